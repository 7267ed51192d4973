// Fills the Worker and asks it for a few readers: `node xtask/demo.mjs URL OUT AS_OF`, by `cargo xtask demo`.
//
// Everything goes over HTTP, as on a server: areas and a campaign are published, then messages are asked for.

import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mail } from "../mail/build.mjs";

const [url, out, asOf] = process.argv.slice(2);
const { RANK_KEY, PUBLISH_KEY, HELSINKI_KEY } = process.env;
const DAY_MS = 86_400_000;
/** Readers asked about at once to find some whose places differ. */
const N_ASKED = 400;
const CAMPAIGNS = ["lunch", "member-offers", "locals", "arrival"];
const KALLIO = { latitude: 60.1841, longitude: 24.9531, grade: "exact" };
const KAMPPI = { latitude: 60.1685, longitude: 24.9316, grade: "exact" };

await healthy();
await publish();
const noon = at(9);
const early = at(DAY_MS / 3_600_000 + 1);
const [here, there] = await readersOfTwoPlaces(noon);

await show("Friday noon, a reader nothing is known of, in Kamppi", { context: { at: noon, ...KAMPPI } }, full);
await show("The same at 04:00 next morning: only who is open then", { context: { at: early, ...KAMPPI } }, open);
await show("The same at noon without the campaign's layers", { campaign: undefined, context: { at: noon, ...KAMPPI } }, full);
await show("A reader whose place is inferred from the profile alone (simulated)", { profile: here.profile, context: { at: noon } }, full);
await show("Another, who lives elsewhere (simulated)", { profile: there.profile, context: { at: noon } }, full);
const trip = { kind: "trip_end", latitude: KAMPPI.latitude, longitude: KAMPPI.longitude, at: at(8.8) };
await show("The same, twelve minutes after a trip to Kamppi", { profile: there.profile, context: { at: noon, last_event: trip } }, full);

await show("Kallio has a layer of its own, drawn as a polygon: the reader of the first message, there", { context: { at: noon, ...KALLIO } }, full);
await show("Locals' favourites in Kamppi (campaign locals)", { campaign: "locals", context: { at: noon, ...KAMPPI } }, someone);
const member = await readerShown("member-offers", noon);
await show("Offers for members, to a member (campaign member-offers; simulated)", { campaign: "member-offers", profile: member.profile, context: { at: noon, ...KAMPPI } }, someone);
await show("The same to somebody who is none: the campaign's own card, four times", { campaign: "member-offers", context: { at: noon, ...KAMPPI } }, nobody);
await show("Welcome after a trip to Kamppi (campaign arrival)", { campaign: "arrival", profile: there.profile, context: { at: noon, last_event: trip } }, someone);
await team();
await mailTo(here.profile);

const request = join(out, "request.json");
writeFileSync(request, JSON.stringify(asked({ profile: here.profile, context: { at: noon } })));
console.log(`\nTry next:\n  curl -s ${url}/v1/rank -H 'Authorization: Bearer ${RANK_KEY}' --data @${request}`);

/** The time so many hours after the day's start in UTC. */
function at(hours) {
  return new Date(Date.parse(asOf.slice(0, 10)) + hours * 3_600_000).toISOString().replace(".000", "");
}

/** A mail to a simulated reader, sent now, and who its pictures show. */
async function mailTo(profile) {
  const slots = 4;
  const asked = { campaign: "lunch", slots, consent: true, message_id: `demo ${Date.now()}`, profile };
  const token = execFileSync(process.env.FRESHRANK_CLI, ["token", "mint"], { input: JSON.stringify(asked), encoding: "utf8" }).trim();
  const file = join(out, "mail.html");
  writeFileSync(file, await mail({ origin: url, token, slots, unsubscribe: `${url}/unsubscribe` }));
  const sizes = [];
  for (let slot = 1; slot <= slots; slot += 1) {
    const response = await fetch(`${url}/o/${token}/${slot}@2x.png`);
    if (response.headers.get("content-type") !== "image/png") throw new Error(`picture ${slot}: ${response.status} ${await response.text()}`);
    sizes.push((await response.arrayBuffer()).byteLength);
  }
  console.log(`\nA mail to a simulated reader, pictures of ${sizes.join(", ")} bytes: open ${file} in a browser`);
}

async function healthy() {
  for (let tries = 0; ; tries += 1) {
    try {
      const health = await (await fetch(`${url}/healthz`)).json();
      console.log(`worker: ${health.module} module, ranked by ${health.scorer}${health.model_error ? ` (${health.model_error})` : ""}`);
      return;
    } catch (error) {
      if (tries === 300) throw new Error(`no worker at ${url}: ${error.cause ?? error}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

async function publish() {
  const areas = readdirSync(join(out, "areas"));
  const n = { area: 0, display: 0 };
  // A bundle before its display block, which is of one bundle.
  for (const kind of ["area", "display"]) {
    for (const file of areas.filter((name) => name.endsWith(`.${kind}`))) {
      const path = `/v1/areas/${file.split(".")[0]}${kind === "display" ? "/display" : ""}`;
      await put(path, readFileSync(join(out, "areas", file)));
      n[kind] += 1;
    }
  }
  for (const id of CAMPAIGNS) await put(`/v1/campaigns/${id}`, readFileSync(join(out, `${id}.json`)));
  console.log(`published: ${n.area} areas, ${n.display} display blocks, campaigns ${CAMPAIGNS.join(", ")}`);
}

async function put(path, body) {
  const response = await fetch(url + path, { method: "PUT", headers: { Authorization: `Bearer ${PUBLISH_KEY}` }, body });
  if (!response.ok) throw new Error(`PUT ${path}: ${await response.text()}`);
}

function asked(request) {
  return { campaign: "lunch", display: true, explain: true, ...request };
}

/** The reader whose place is surest from the profile alone, and one elsewhere whose message differs the most. */
async function readersOfTwoPlaces(time) {
  const lines = readFileSync(join(out, "profiles.ndjson"), "utf8").trim().split("\n").slice(0, N_ASKED);
  const readers = lines.map((line) => JSON.parse(line));
  const body = readers.map(({ user_id, profile }) => JSON.stringify({ id: user_id, campaign: "lunch", profile, context: { at: time } }));
  const started = performance.now();
  const response = await fetch(`${url}/v1/rank/batch`, { method: "POST", headers: { Authorization: `Bearer ${RANK_KEY}` }, body: body.join("\n") });
  const replies = (await response.text()).trim().split("\n").map((line) => JSON.parse(line));
  console.log(`asked: ${replies.length} readers in one batch, ${(performance.now() - started).toFixed(0)} ms`);
  const known = replies
    .map((reply, i) => ({ reply, profile: readers[i].profile }))
    .filter(({ reply }) => reply.place?.served && reply.slots.every((slot) => slot.merchant))
    .sort((a, b) => b.reply.place.certainty - a.reply.place.certainty);
  const [first, ...others] = known;
  const shown = new Set(first?.reply.slots.map((slot) => slot.merchant));
  const different = ({ reply }) => reply.slots.filter((slot) => !shown.has(slot.merchant)).length;
  // The sort is stable: among those whose messages differ as much, the surest place comes first.
  const [second] = others
    .filter(({ reply }) => reply.place.cell !== first.reply.place.cell)
    .sort((a, b) => different(b) - different(a));
  if (!second) throw new Error(`${known.length} of ${replies.length} readers have a served place, and all the same one`);
  return [first, second];
}

/** A reader whom a campaign shows merchants that it shows nobody unknown. */
async function readerShown(campaign, time) {
  const lines = readFileSync(join(out, "profiles.ndjson"), "utf8").trim().split("\n").slice(0, N_ASKED);
  const readers = lines.map((line) => JSON.parse(line));
  const body = readers.map(({ user_id, profile }) => JSON.stringify({ id: user_id, campaign, profile, context: { at: time, ...KAMPPI } }));
  const response = await fetch(`${url}/v1/rank/batch`, { method: "POST", headers: { Authorization: `Bearer ${RANK_KEY}` }, body: body.join("\n") });
  const replies = (await response.text()).trim().split("\n").map((line) => JSON.parse(line));
  const shown = (reply) => reply.slots?.filter((slot) => slot.merchant).length ?? 0;
  const best = replies.reduce((best, reply, i) => (shown(reply) > shown(replies[best]) ? i : best), 0);
  return readers[best];
}

/** Helsinki's team excludes what stands first, with its own key; asks why; and takes it back. */
async function team() {
  const asks = { context: { at: noon, ...KAMPPI } };
  const [first] = (await rank(asks)).slots;
  console.log(`\nHelsinki's team buries ${first.card.name} in a layer of its own key, and asks why it is gone`);
  const path = `${url}/v1/campaigns/lunch/layers/fi/helsinki`;
  const call = async (method, to, body) => {
    const response = await fetch(to, { method, headers: { Authorization: `Bearer ${HELSINKI_KEY}` }, body: body && JSON.stringify(body) });
    const json = JSON.parse(await response.text());
    if (!response.ok) throw new Error(`${method} ${to}: ${JSON.stringify(json)}`);
    return json;
  };
  const [{ layer }] = (await call("GET", path)).versions;
  const signed = { author: "Aino of the demo", reason: "the kitchen asked for a quiet day" };
  const exclude = { append: [first.card.merchant_id] };
  const put = await call("PUT", path, { ...layer, exclude, ...signed, marks: undefined });
  const { why } = await rank({ ...asks, why: first.card.merchant_id });
  console.log(`  version ${put.version}: ${why.verdict}; ${why.changes.join("; ")}`);
  const other = await fetch(`${url}/v1/campaigns/lunch/layers/us`, { method: "PUT", headers: { Authorization: `Bearer ${HELSINKI_KEY}` }, body: "{}" });
  console.log(`  the same key on another team's layer: ${other.status}, ${(await other.json()).detail}`);
  await call("PUT", `${path}?rollback`, signed);
  const back = (await rank(asks)).slots[0].card.name;
  console.log(`  rolled back: ${back} stands first again`);
  if (back !== first.card.name || other.status !== 403 || why.shown_in !== undefined) throw new Error("a team's layer did not do what it should");
}

async function rank(request) {
  const response = await fetch(`${url}/v1/rank`, { method: "POST", headers: { Authorization: `Bearer ${RANK_KEY}` }, body: JSON.stringify(asked(request)) });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

/** At least one slot shows a merchant. */
function someone(reply) {
  return reply.slots.some((slot) => slot.merchant) || "nobody is shown";
}

/** No slot does. */
function nobody(reply) {
  return reply.slots.every((slot) => !slot.merchant) || "somebody is shown";
}

/** Every slot shows a merchant. */
function full(reply) {
  return reply.slots.every((slot) => slot.merchant) || "a slot is not filled";
}

/** Who is shown is open now, and someone is. */
function open(reply) {
  const shown = reply.slots.filter((slot) => slot.merchant);
  return (shown.length > 0 && (reply.dropped.closed ?? 0) > 0) || "nobody is shown, or nobody is closed";
}

async function show(title, request, holds) {
  const response = await fetch(`${url}/v1/rank`, {
    method: "POST",
    headers: { Authorization: `Bearer ${RANK_KEY}` },
    body: JSON.stringify(asked(request)),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${title}: ${text}`);
  const reply = JSON.parse(text);
  const { place } = reply;
  const where = place.cell ? `area ${place.cell}, ${Math.round(100 * place.certainty)} % sure${place.travelling ? ", travelling" : ""}` : "place unknown";
  console.log(`\n${title}\n  ${reply.title ? `"${reply.title}"` : "(no headline)"}  ${reply.local}, ${where}, ranked by ${reply.scorer}`);
  const rows = reply.slots.map((slot, i) => row(slot, i));
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  for (const cells of rows) console.log(`  ${cells.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd()}`);
  const dropped = Object.entries(reply.dropped).map(([reason, n]) => `${n} ${reason}`);
  console.log(`  from ${reply.kept} candidates; dropped: ${dropped.join(", ") || "none"}`);
  const verdict = holds(reply);
  if (verdict !== true) throw new Error(`${title}: ${verdict}`);
}

function row(slot, i) {
  if (!slot.merchant) return [`${i + 1}`, slot.fallback?.text ?? "-", "", "", "", ""];
  const until = slot.open_until ? `open until ${slot.open_until}` : "open";
  return [
    `${i + 1}`,
    slot.card?.name ?? slot.merchant,
    (slot.card?.cuisines ?? "").split(";").filter(Boolean).slice(0, 3).join(", "),
    `${slot.distance_km.toFixed(2)} km`,
    until,
    why(slot.explanation),
  ];
}

/** The two heaviest leaves of the explanation. */
function why(node) {
  const leaves = [];
  const walk = (part) => (part.parts?.length ? part.parts.forEach(walk) : leaves.push(part));
  if (node) walk(node);
  return leaves
    .filter((leaf) => leaf.value !== 0 && leaf.name !== "reference")
    .sort((a, b) => Math.abs(b.value) - Math.abs(a.value))
    .slice(0, 2)
    .map((leaf) => `${leaf.name} ${leaf.value > 0 ? "+" : ""}${(leaf.value / 65536).toFixed(2)}`)
    .join(", ");
}
