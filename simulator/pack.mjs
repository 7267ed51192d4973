// Packs what the page ships: `node pack.mjs BUILD TO`, BUILD being what `freshrank build` and `campaign publish` wrote.
//
// Areas and their display blocks go into one file, so that the page asks once; readers, which are synthetic, lose their ids; the
// coast around the areas is Natural Earth's.

import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import { feature } from "topojson-client";

const N_READERS = 3000;
const N_FIRST = 24;
const MARGIN_DEGREES = 1.5;

const [build, to] = process.argv.slice(2);
const root = join(import.meta.dirname, "..");
mkdirSync(to, { recursive: true });

const manifest = JSON.parse(readFileSync(join(build, "manifest.json"), "utf8"));
const simulated = manifest.report?.simulated;
if (!simulated) throw new Error(`${build}/manifest.json does not say that its readers are simulated: the page ships no others`);

const names = readdirSync(join(build, "areas")).filter((name) => name.endsWith(".area"));
const parts = [];
let at = 0;
const put = (file) => {
  const bytes = readFileSync(file);
  parts.push(bytes);
  at += bytes.length;
  return [at - bytes.length, bytes.length];
};
const areas = names.map((name) => {
  const cell = name.split(".")[0];
  return { cell, area: put(join(build, "areas", name)), display: put(join(build, "areas", `${cell}.display`)) };
});
writeFileSync(join(to, "areas.bin"), Buffer.concat(parts));

const campaigns = Object.fromEntries(
  readdirSync(build)
    .filter((name) => /^[\w-]+\.json$/.test(name) && !["manifest.json", "request.json"].includes(name))
    .map((name) => [name.slice(0, -5), { document: JSON.parse(readFileSync(join(build, name), "utf8")) }])
    .filter(([, { document }]) => document.id && document.layers),
);
for (const [id, campaign] of Object.entries(campaigns)) {
  const folder = join(root, "campaigns", id);
  campaign.files = Object.fromEntries(yamls(folder).map((file) => [relative(folder, file).slice(0, -5), readFileSync(file, "utf8")]));
}

const lines = readFileSync(join(build, "profiles.ndjson"), "utf8").trim().split("\n");
const step = Math.max(1, Math.floor(lines.length / N_READERS));
const readers = lines.filter((_, i) => i % step === 0).slice(0, N_READERS).map((line) => JSON.parse(line).profile);
writeFileSync(join(to, "readers.json"), JSON.stringify(readers));

const map = JSON.parse(readFileSync(join(root, "models/cuisine-map.json"), "utf8"));
const taste = { labels: map.labels, n_clusters: map.n_clusters, weights: map.weights, merchants: map.merchants, projection: map.projection, credits: map.credits };
writeFileSync(join(to, "tastes.json"), JSON.stringify(taste));

writeFileSync(
  join(to, "index.json"),
  JSON.stringify({ as_of: manifest.as_of, simulated, areas, campaigns, readers: readers.slice(0, N_FIRST), schema: JSON.parse(readFileSync(join(root, "campaigns/layer.schema.json"), "utf8")) }),
);
writeFileSync(join(to, "coast.json"), JSON.stringify(await coast()));

function yamls(folder) {
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .flatMap((path) => (statSync(path).isDirectory() ? (path.endsWith("golden") ? [] : yamls(path)) : path.endsWith(".yaml") ? [path] : []));
}

/** Natural Earth's land, the polygons near the areas alone. */
async function coast() {
  const { cellToLatLng } = await import("h3-js");
  const middle = areas.map(({ cell }) => cellToLatLng(cell));
  const box = [Math.min(...middle.map(([, x]) => x)), Math.min(...middle.map(([y]) => y)), Math.max(...middle.map(([, x]) => x)), Math.max(...middle.map(([y]) => y))];
  const [west, south, east, north] = [box[0] - MARGIN_DEGREES, box[1] - MARGIN_DEGREES, box[2] + MARGIN_DEGREES, box[3] + MARGIN_DEGREES];
  const atlas = JSON.parse(readFileSync(createRequire(import.meta.url).resolve("world-atlas/land-10m.json"), "utf8"));
  const land = feature(atlas, atlas.objects.land);
  const polygons = land.features.flatMap(({ geometry }) => (geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates));
  const clipped = polygons.map(([ring]) => clip(ring, west, south, east, north)).filter((ring) => ring.length > 2);
  const round = (n) => Math.round(n * 1e4) / 1e4;
  return { type: "MultiPolygon", coordinates: clipped.map((ring) => [ring.map(([x, y]) => [round(x), round(y)])]) };
}

/** Sutherland and Hodgman 1974: one side of the box after the other. */
function clip(ring, west, south, east, north) {
  const sides = [
    [([x]) => x >= west, (a, b) => across(a, b, 0, west)],
    [([x]) => x <= east, (a, b) => across(a, b, 0, east)],
    [([, y]) => y >= south, (a, b) => across(a, b, 1, south)],
    [([, y]) => y <= north, (a, b) => across(a, b, 1, north)],
  ];
  return sides.reduce(
    (points, [inside, cut]) =>
      points.flatMap((point, i) => {
        const before = points[(i + points.length - 1) % points.length];
        if (inside(point)) return inside(before) ? [point] : [cut(before, point), point];
        return inside(before) ? [cut(before, point)] : [];
      }),
    ring,
  );
}

function across(a, b, axis, limit) {
  const share = (limit - a[axis]) / (b[axis] - a[axis]);
  return [a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])];
}
