// Mail already sent, under workerd: who objects since, who was somewhere since, and who closed since; and a mail that is alive.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { HELSINKI, area, display, fingerprintHex, png, profile } from "./bytes.mjs";
import { EVENTS_KEY, PUBLISH_KEY, TOKEN_KEYS, directory, startWorker } from "./workerd.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const PACKAGE = process.env.FRESHRANK_WEB ?? join(ROOT, "target/modules/web-full");
const { mintToken } = createRequire(import.meta.url)(join(PACKAGE, "nodejs/freshrank.js"));
const module = existsSync(directory("lite")) ? "lite" : "full";

const SENDER = "news@brand.example";
const AWAY_KM = 30;
const AWAY = { latitude: HELSINKI.latitude + AWAY_KM / 111.195, longitude: HELSINKI.longitude };
const HOME = Array.from({ length: 8 }, (_, i) => ({ id: `home${i}`, north_km: 0.1 * i, popularity: 9 - i }));
const OUT = Array.from({ length: 4 }, (_, i) => ({ id: `away${i}`, north_km: AWAY_KM + 0.1 * i, popularity: 9 - i }));
const LUNCH = { id: "lunch", layers: { global: { slots: 3, title: "Lunch", chain_cap: 24, cuisine_cap: 24 } } };
const cards = (merchants) => merchants.map(({ id }) => ({ id, name: id, url: `https://shop.example/${id}` }));

const bearer = (key) => ({ Authorization: `Bearer ${key}` });
const ok = async (response) => assert.equal(response.status, 200, await response.text());
/** As a profile has it, and as routes and any backend's HMAC do. */
const hex = (reader) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(reader));
  return bytes.toString("hex");
};
const rfc3339 = (seconds) => new Date(Date.now() + 1000 * seconds).toISOString();
let n = 0;
const mint = (reader) => {
  n += 1;
  const request = { campaign: "lunch", slots: 3, message_id: `m-${n}`, minted_at: rfc3339(-3600), profile: profile(reader, "fi/helsinki", { consent: true }) };
  return JSON.parse(mintToken(TOKEN_KEYS, JSON.stringify(request))).token;
};
const PERSON = {
  "User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
  "AMP-Email-Sender": SENDER,
};

async function start(options = {}) {
  const worker = await startWorker({ module, ...options, vars: { AMP_SENDERS: SENDER, LINK_HOSTS: "shop.example", ...options.vars } });
  const there = await (await worker.rank({ context: { ...AWAY, grade: "exact" } })).json();
  for (const [cell, merchants] of [[HELSINKI.cell, HOME], [there.place.cell, OUT]]) {
    const bytes = area(merchants, { cell });
    await ok(await worker.put(`/v1/areas/${cell}`, bytes));
    await ok(await worker.put(`/v1/areas/${cell}/display`, display(bytes, cards(merchants))));
  }
  await ok(await worker.put("/v1/campaigns/lunch", JSON.stringify(LUNCH)));
  const list = async (token, ask = worker.fetch) => {
    const response = await ask(`/a/${token}`, { headers: PERSON, redirect: "manual" });
    assert.equal(response.status, 200);
    return (await response.json()).items.map(({ merchant_id }) => merchant_id);
  };
  const records = () => [...worker.log().matchAll(/freshrank-record (\{.*\})/g)].map(([, line]) => JSON.parse(line));
  return { worker, list, records };
}

describe("mail already sent", () => {
  let worker, list, records;
  before(async () => ({ worker, list, records } = await start({ second: true })));
  after(async () => {
    assert.doesNotMatch(worker.log(), /Critical|panicked/);
    await worker.stop();
  });

  const event = (reader, more) =>
    worker.fetch("/v1/events", { method: "POST", headers: bearer(EVENTS_KEY), body: JSON.stringify({ reader: hex(reader), kind: "trip_end", at: rfc3339(-60), ...AWAY, consent: true, ...more }) });

  it("starts from where its reader was last", async () => {
    const before = await list(mint(1));
    assert.ok(before.length === 3 && before.every((id) => id.startsWith("home")), `${before}`);
    await ok(await event(1));
    const after = await list(mint(1));
    assert.ok(after.length === 3 && after.every((id) => id.startsWith("away")), `${after}`);
    assert.ok((await list(mint(2))).every((id) => id.startsWith("home")), "nobody else moves");
    await ok(await event(3, { at: rfc3339(-5 * 3600) }));
    assert.ok((await list(mint(3))).every((id) => id.startsWith("home")), "old news moves nobody");
  });

  it("is everybody's once its reader objects: no place, no ledger, no record", async () => {
    await ok(await event(4));
    const token = mint(4);
    const shown = await list(token);
    assert.ok(shown.every((id) => id.startsWith("away")), `${shown}`);
    const n = records().length;
    assert.ok(n > 0);
    await ok(await worker.fetch(`/v1/suppressions/${hex(4)}`, { method: "PUT", headers: bearer(PUBLISH_KEY) }));
    const everybodys = await list(token);
    assert.ok(everybodys.length === 3 && everybodys.every((id) => id.startsWith("home")), `${everybodys}`);
    const page = await worker.fetch(`/c/${token}/1`, { headers: PERSON, redirect: "manual" });
    assert.doesNotMatch(`${page.headers.get("location")} ${await page.text()}`, /away/, "what it showed is not told any more");
    await worker.fetch(`/o/${token}/1.png`, { headers: PERSON });
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(records().length, n, "nothing is written down of who objects");
    await ok(await worker.fetch(`/v1/suppressions/${hex(4)}`, { method: "DELETE", headers: bearer(PUBLISH_KEY) }));
    assert.deepEqual(await list(token), shown, "its ledger is still there");
  });

  it("does not show who closed since, in an isolate that nobody told, within 60 s; a click on who did leads to others", async () => {
    const opened = mint(5);
    const [first] = await list(opened);
    const unopened = Array.from({ length: 400 }, () => mint(5));
    assert.ok((await list(unopened.pop(), worker.fetchSecond)).includes(first));
    await ok(await worker.put("/v1/availability", JSON.stringify({ closures: [{ merchant_id: first, closure: "paused" }] })));
    const started = Date.now();
    while ((await list(unopened.pop(), worker.fetchSecond)).includes(first)) {
      assert.ok(Date.now() - started < 60_000, "60 s are over");
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    console.log(`# mail already sent stopped showing a paused merchant after ${((Date.now() - started) / 1000).toFixed(1)} s, at most 60`);
    const clicked = await worker.fetch(`/c/${opened}/1`, { headers: PERSON, redirect: "manual" });
    assert.match(await clicked.text(), new RegExp(`${first} is closed right now`));
    await ok(await worker.put("/v1/availability", JSON.stringify({ available: [first] })));
    const open = await worker.fetch(`/c/${opened}/1`, { headers: PERSON, redirect: "manual" });
    assert.equal(open.headers.get("location"), `https://shop.example/${first}`);
  });
});

it("is everybody's where nobody can be asked who objects", async () => {
  const { worker, list, records } = await start({ rooms: "Fails" });
  try {
    const shown = await list(mint(6));
    assert.ok(shown.length === 3 && shown.every((id) => id.startsWith("home")), `${shown}`);
    assert.deepEqual(records(), []);
  } finally {
    await worker.stop();
  }
});

describe("a mail that is alive", () => {
  const dir = mkdtempSync(join(tmpdir(), "freshrank-alive-"));
  const shows = new Map();
  let worker, list;
  before(async () => {
    for (const path of ["fallback", ...HOME.map(({ id }) => `${fingerprintHex(id)}/none`)]) {
      mkdirSync(dirname(join(dir, path)), { recursive: true });
      writeFileSync(join(dir, `${path}.png`), png(path));
      shows.set(png(path).toString("base64"), path.split("/")[0]);
    }
    ({ worker, list } = await start({ cards: dir }));
  });
  after(async () => {
    await worker.stop();
    rmSync(dir, { recursive: true });
  });

  it("lists what its pictures show, whichever is asked first", async () => {
    for (let i = 0; i < 4; i += 1) {
      const token = mint(10 + i);
      const picture = async (slot) => shows.get(Buffer.from(await (await worker.fetch(`/o/${token}/${slot}.png`, { headers: PERSON })).arrayBuffer()).toString("base64"));
      const pictures = () => Promise.all([1, 2, 3].map(picture));
      const [seen, listed] = i % 2 ? [await pictures(), await list(token)] : (([a, b]) => [b, a])([await list(token), await pictures()]);
      assert.deepEqual(listed.map(fingerprintHex), seen);
    }
  });

  it("answers its sender in both versions of the headers, and nobody else", async () => {
    const token = mint(20);
    const ask = (query, headers) => worker.fetch(`/a/${token}${query}`, { headers, redirect: "manual" });
    const second = await ask("", { "AMP-Email-Sender": SENDER });
    assert.deepEqual([second.status, second.headers.get("AMP-Email-Allow-Sender"), second.headers.get("cache-control")], [200, SENDER, "private, no-store"]);
    const { items } = await second.json();
    assert.deepEqual(Object.keys(items[0]), ["slot", "merchant_id", "name", "cuisines", "open_until", "offer", "sponsored", "picture", "picture_2x", "link"].sort());
    assert.equal(items[0].link, `${worker.url}/c/${token}/1`);
    const first = await ask(`?__amp_source_origin=${encodeURIComponent(SENDER)}`, { Origin: "https://mail.google.com" });
    assert.equal(first.status, 200);
    assert.equal(first.headers.get("Access-Control-Allow-Origin"), "https://mail.google.com");
    assert.equal(first.headers.get("AMP-Access-Control-Allow-Source-Origin"), SENDER);
    assert.equal(first.headers.get("Access-Control-Expose-Headers"), "AMP-Access-Control-Allow-Source-Origin");
    for (const headers of [{}, { "AMP-Email-Sender": "evil@other.example" }, { Origin: "https://mail.google.com" }]) {
      assert.equal((await ask("", headers)).status, 403);
    }
  });

  it("is an empty list where its token opens nothing", async () => {
    for (const token of ["x", mint(21).slice(1)]) assert.deepEqual(await list(token), []);
  });
});
