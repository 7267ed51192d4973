// Packs what the page ships: `node simulator/data.mjs OUT TO EXTRACT [cards]`, by `cargo xtask simulator build`.
//
// Areas and display blocks become one file, since a cold load pays for every request; readers are the simulated market's, and
// only what a profile has of them; the coast is Natural Earth's, cut to where the areas are.

import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cellToLatLng } from "h3-js";
import { feature } from "topojson-client";
import { ground } from "./osm.mjs";

const [out, to, extract, cards] = process.argv.slice(2);
const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const N_READERS = 3000;
/** Degrees of land around the areas. */
const MARGIN = 1.2;

mkdirSync(to, { recursive: true });
const bundles = readdirSync(join(out, "areas")).filter((name) => /\.(area|display)$/.test(name)).sort();
const bytes = bundles.map((name) => readFileSync(join(out, "areas", name)));
const index = JSON.stringify(bundles.map((name, i) => [name, bytes[i].length]));
const head = Buffer.alloc(4);
head.writeUInt32LE(Buffer.byteLength(index));
const pack = Buffer.concat([head, Buffer.from(index), ...bytes]);
writeFileSync(join(to, "areas.pack"), pack);

const manifest = JSON.parse(readFileSync(join(out, "manifest.json"), "utf8"));
const campaigns = readdirSync(out).filter((name) => name.endsWith(".json")).map((name) => JSON.parse(readFileSync(join(out, name), "utf8")));
const published = campaigns.filter((document) => document.id && document.layers).sort((a, b) => (a.id === "lunch" ? -1 : b.id === "lunch" ? 1 : a.id < b.id ? -1 : 1));
/** The layers as their authors wrote them, by campaign and path: a draft begins with these, comments and all. */
const files = Object.fromEntries(published.flatMap(({ id, layers }) => Object.keys(layers).map((path) => [`${id}/${path}`, join(root, "campaigns", id, `${path}.yaml`)])).filter(([, file]) => existsSync(file)).map(([name, file]) => [name, readFileSync(file, "utf8")]));
const market = { as_of: manifest.as_of, timezone: "Europe/Helsinki", name: "Helsinki", home: "fi/helsinki", simulated: manifest.report.simulated, campaigns: published, files, cards: cards === "cards" };
write("market.json", market);

const lines = readFileSync(join(out, "profiles.ndjson"), "utf8").trim().split("\n").slice(0, N_READERS).map((line) => JSON.parse(line));
write("readers.json", lines.map(({ user_id, profile }) => [user_id, profile]));

const map = JSON.parse(readFileSync(join(root, "models/cuisine-map.json"), "utf8"));
write("cuisines.json", { labels: map.labels, weights: map.weights, merchants: map.merchants, n_clusters: map.n_clusters, credits: map.credits });
writeFileSync(join(to, "cuisine-labels.json"), readFileSync(join(root, "models/cuisine-labels.json")));
writeFileSync(join(to, "layer.schema.json"), readFileSync(join(root, "campaigns/layer.schema.json")));

const cells = bundles.filter((name) => name.endsWith(".area")).map((name) => cellToLatLng(name.split(".")[0]));
const [lats, lons] = [cells.map(([lat]) => lat), cells.map(([, lon]) => lon)];
const box = [Math.min(...lons) - 2 * MARGIN, Math.min(...lats) - MARGIN, Math.max(...lons) + 2 * MARGIN, Math.max(...lats) + MARGIN];
const atlas = (name) => JSON.parse(readFileSync(join(root, "simulator/node_modules/world-atlas", name), "utf8"));
const land = feature(atlas("land-10m.json"), "land");
write("coast.json", { type: "MultiPolygon", coordinates: polygons(land).map((rings) => rings.map((ring) => clip(ring, box)).filter((ring) => ring.length > 3)).filter((rings) => rings.length > 0) });
write("ground.json", ground(readFileSync(extract)));
console.log(`${bundles.length} area files in ${kb(pack.length)}, ${lines.length} simulated readers, ${published.length} campaigns`);

function write(name, value) {
  writeFileSync(join(to, name), JSON.stringify(value));
}

function kb(n) {
  return `${Math.round(n / 1024)} KB`;
}

function polygons(geo) {
  const one = (geometry) => (geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates);
  return geo.type === "FeatureCollection" ? geo.features.flatMap(({ geometry }) => one(geometry)) : one(geo.geometry);
}

/** A ring cut to a box, side by side (Sutherland and Hodgman). */
function clip(ring, [west, south, east, north]) {
  const sides = [[0, west, 1], [0, east, -1], [1, south, 1], [1, north, -1]];
  return sides.reduce((points, [axis, at, sign]) => {
    const inside = (point) => sign * (point[axis] - at) >= 0;
    const cut = (a, b) => a.map((x, i) => x + ((at - a[axis]) / (b[axis] - a[axis])) * (b[i] - x));
    return points.flatMap((point, i) => {
      const last = points[(i + points.length - 1) % points.length];
      if (inside(point)) return inside(last) ? [point] : [cut(last, point), point];
      return inside(last) ? [cut(last, point)] : [];
    });
  }, ring).map(([lon, lat]) => [Number(lon.toFixed(4)), Number(lat.toFixed(4))]);
}
