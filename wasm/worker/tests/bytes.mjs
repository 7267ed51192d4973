// Area bundles, display blocks and profiles as facts/src/bundle.rs, facts/src/bundle/display.rs and facts/src/profile.rs describe their bytes,
// written a second time from that description alone, so that a test can damage what it likes.

import { createHash } from "node:crypto";
import { crc32, deflateSync } from "node:zlib";

/** The middle of Helsinki: its cell at resolution 7, and a position in it. */
export const HELSINKI = { cell: "871126d33ffffff", latitude: 60.1699, longitude: 24.9384 };

const UNTRACKED = 0xfffe;

/** The first 8 bytes of SHA-256, as the engine's fingerprint of a `merchant_id`. */
export const fingerprint = (id) => createHash("sha256").update(id).digest().readBigUInt64LE(0);
export const fingerprintHex = (id) => fingerprint(id).toString(16).padStart(16, "0");
/** The hash a decision names a bundle by. */
export const hash = (bytes) => createHash("sha256").update(bytes).digest().subarray(0, 16);

function seal(parts, at = 6) {
  const bytes = Buffer.concat(parts);
  const sum = crc32(bytes.subarray(at + 4), crc32(bytes.subarray(0, at)));
  bytes.writeUInt32LE(sum, at);
  return bytes;
}

/** The profile of a reader of whom only number and market are known, perhaps that they consented, and where they order, as a request carries it. */
export function profile(reader, market = "fi/helsinki", { consent = false, place, newPlaces = 0 } = {}) {
  const head = Buffer.alloc(22);
  head.write("FRP1");
  head.writeBigUInt64LE(BigInt(reader), 8);
  head.writeUInt8(consent ? 1 : 0, 20);
  head.writeInt8(120 / 15, 21);
  // No cuisines, places or merchants; the last 12 are counts, of which 255 is an unknown one.
  const counts = Buffer.alloc(12);
  counts.fill(0xff, 5, 7);
  counts.fill(0xff, 11);
  const degrees = (value) => {
    const steps = Buffer.alloc(4);
    steps.writeInt32LE(Math.round((value * 8_388_607) / 180));
    return steps.subarray(0, 3);
  };
  const places = place === undefined ? [] : [degrees(place.latitude), degrees(place.longitude), Buffer.alloc(4, 255)];
  const tail = [Buffer.alloc(4 + 1 + 1), Buffer.from([places.length / 3]), ...places, Buffer.from([Math.round(255 * newPlaces), 0])];
  return seal([head, Buffer.from([market.length]), Buffer.from(market), ...tail, counts], 4).toString("base64url");
}

/** A bundle of merchants that are always open, or `closed` for good: `{ id, north_km, popularity }`, north of the middle of
 * Helsinki, or of another town. */
export function area(merchants, { cell = HELSINKI.cell, asOf = 1_780_000_000, market = "fi/helsinki", middle = HELSINKI } = {}) {
  const layer = Buffer.from(market);
  const header = Buffer.alloc(64);
  header.write("FRAB");
  header.writeUInt16LE(1, 4);
  header.writeUInt8(layer.length, 10);
  header.writeUInt32LE(merchants.length, 12);
  header.writeUInt16LE(1, 16);
  header.writeBigUInt64LE(BigInt(`0x${cell}`), 28);
  header.writeBigInt64LE(BigInt(asOf), 36);
  header.writeInt16LE(120, 44);
  header.write("FI", 46);
  const ordered = [...merchants].sort((a, b) => (fingerprint(a.id) < fingerprint(b.id) ? -1 : 1));
  const records = ordered.map(({ id, north_km, popularity = 1, closed = false }) => {
    const record = Buffer.alloc(48);
    record.writeBigUInt64LE(fingerprint(id), 0);
    record.writeInt32LE(Math.round((middle.latitude + north_km / 111.195) * 1e7), 12);
    record.writeInt32LE(Math.round(middle.longitude * 1e7), 16);
    record.fill(0xff, 20, 26);
    record.writeUInt16LE(Math.round(popularity * 1000), 32);
    record.fill(0xff, 37, 38);
    record.fill(0xff, 39, 43);
    record.writeUInt16LE(closed ? 0 : UNTRACKED, 44);
    return record;
  });
  // The one schedule opens never.
  return seal([header, layer, ...records, Buffer.alloc(10)]);
}

/** The cards of a bundle: `{ id, name, url }`. */
export function display(bundle, cards) {
  const ordered = [...cards].sort((a, b) => (fingerprint(a.id) < fingerprint(b.id) ? -1 : 1));
  const entries = [];
  const texts = [];
  let end = 0;
  for (const { id, name, url = "" } of ordered) {
    for (const text of [id, name, "pizza", "", url, "", ""]) {
      const bytes = Buffer.from(text);
      const length = Buffer.alloc(2);
      length.writeUInt16LE(bytes.length);
      texts.push(length, bytes);
      end += 2 + bytes.length;
    }
    const entry = Buffer.alloc(12);
    entry.writeBigUInt64LE(fingerprint(id), 0);
    entry.writeUInt32LE(end, 8);
    entries.push(entry);
  }
  const header = Buffer.alloc(30);
  header.write("FRAD");
  header.writeUInt16LE(1, 4);
  hash(bundle).copy(header, 10);
  header.writeUInt32LE(cards.length, 26);
  return seal([header, ...entries, ...texts]);
}

/** A picture of one dot, another one for every text. */
export function png(text) {
  const chunk = (type, data) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    const body = Buffer.concat([Buffer.from(type), data]);
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const header = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0]);
  const dot = deflateSync(Buffer.from([0, ...hash(Buffer.from(text)).subarray(0, 3)]));
  const said = Buffer.from(`Comment\0${text}`);
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), ...[["IHDR", header], ["tEXt", said], ["IDAT", dot], ["IEND", Buffer.alloc(0)]].map(([type, data]) => chunk(type, data))]);
}
