// Streets, parks and water of an OpenStreetMap extract, for the map's ground: `ground(bytes)` of a .osm.pbf.
//
// The format: https://wiki.openstreetmap.org/wiki/PBF_Format. Only what the map draws is read.

import { inflateSync } from "node:zlib";

const MAJOR = new Set(["motorway", "trunk", "primary", "secondary", "tertiary"]);
const MINOR = new Set(["residential", "unclassified", "pedestrian", "living_street"]);
const GREEN = new Set(["park", "garden", "grass", "scrub", "wood", "forest", "meadow", "heath"]);
const WATER = new Set(["water", "pond", "basin"]);

/** Lines by kind; each is longitude and latitude in steps of 1/100000 degree, the first absolute, the others against the last. */
export function ground(bytes) {
  const [nodes, ways] = [new Map(), []];
  for (const block of blocks(bytes)) read(block, nodes, ways);
  const found = { major: [], minor: [], green: [], water: [], coast: [], rail: [] };
  for (const { tags, refs } of ways) {
    const kind = kindOf(tags, refs);
    if (!kind) continue;
    const points = refs.map((ref) => nodes.get(ref)).filter(Boolean);
    let last = [0, 0];
    const line = points.flatMap((point) => {
      const step = [point[0] - last[0], point[1] - last[1]];
      last = point;
      return step;
    });
    if (points.length > 1) found[kind].push(line);
  }
  return found;
}

function kindOf(tags, refs) {
  const closed = refs[0] === refs.at(-1);
  if (MAJOR.has(tags.highway)) return "major";
  if (MINOR.has(tags.highway)) return closed && tags.area === "yes" ? null : "minor";
  if (tags.natural === "coastline") return "coast";
  if (tags.railway === "rail") return "rail";
  if (closed && (GREEN.has(tags.leisure) || GREEN.has(tags.landuse) || GREEN.has(tags.natural))) return "green";
  return closed && (WATER.has(tags.natural) || WATER.has(tags.landuse)) ? "water" : null;
}

function* blocks(bytes) {
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    const head = Object.fromEntries(fields(bytes.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
    const blob = Object.fromEntries(fields(bytes.subarray(at, at + head[3])));
    at += head[3];
    if (head[1].toString() === "OSMData") yield blob[3] ? inflateSync(blob[3]) : blob[1];
  }
}

function read(block, nodes, ways) {
  let [strings, groups, unit, north, east] = [[], [], 100, 0, 0];
  for (const [field, value] of fields(block)) {
    if (field === 1) strings = [...fields(value)].map(([, text]) => text.toString());
    else if (field === 2) groups.push(value);
    else if (field === 17) unit = value;
    else if (field === 19) north = value;
    else if (field === 20) east = value;
  }
  const steps = (offset, value) => Math.round((offset + unit * value) / 1e4);
  for (const group of groups) {
    for (const [field, value] of fields(group)) {
      if (field === 2) {
        const dense = Object.fromEntries(fields(value));
        const [ids, lats, lons] = [dense[1], dense[8], dense[9]].map((list) => deltas(list));
        ids.forEach((id, i) => nodes.set(id, [steps(east, lons[i]), steps(north, lats[i])]));
      } else if (field === 3) {
        const way = Object.fromEntries(fields(value));
        const [keys, values] = [way[2], way[3]].map((list) => (list ? numbers(list) : []));
        ways.push({ tags: Object.fromEntries(keys.map((key, i) => [strings[key], strings[values[i]]])), refs: deltas(way[8] ?? Buffer.alloc(0)) });
      }
    }
  }
}

function* fields(bytes) {
  for (let at = 0; at < bytes.length; ) {
    let key, value;
    [key, at] = varint(bytes, at);
    if (key % 8 === 0) [value, at] = varint(bytes, at);
    else if (key % 8 === 2) {
      let length;
      [length, at] = varint(bytes, at);
      value = bytes.subarray(at, at + length);
      at += length;
    } else {
      const length = key % 8 === 1 ? 8 : 4;
      value = bytes.subarray(at, at + length);
      at += length;
    }
    yield [Math.floor(key / 8), value];
  }
}

/** Up to 2^53, which no id of OpenStreetMap reaches: bitwise operators would stop at 32. */
function varint(bytes, at) {
  for (let value = 0, scale = 1; ; scale *= 128) {
    const byte = bytes[at++];
    value += (byte % 128) * scale;
    if (byte < 128) return [value, at];
  }
}

function numbers(bytes) {
  const list = [];
  for (let at = 0; at < bytes.length; ) {
    let value;
    [value, at] = varint(bytes, at);
    list.push(value);
  }
  return list;
}

/** Zigzag numbers, each against the last. */
function deltas(bytes) {
  let sum = 0;
  return numbers(bytes).map((value) => (sum += value % 2 ? -(value + 1) / 2 : value / 2));
}
