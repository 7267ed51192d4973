// What is newer than bundles and tokens, under workerd: who is closed, what a reader did last, and who does not want to be known.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { existsSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { HELSINKI, area, fingerprintHex } from "./bytes.mjs";
import { EVENTS_KEY, PUBLISH_KEY, RANK_KEY, directory, startWorker } from "./workerd.mjs";

const { latitude, longitude, cell } = HELSINKI;
const AREA = area([
  { id: "near", north_km: 0.2, popularity: 3 },
  { id: "far", north_km: 1.5, popularity: 1 },
]);
const ASKED = { context: { at: "2026-06-05T09:00:00Z", latitude, longitude, grade: "exact", seed: 7 } };
const READER = createHmac("sha256", "s3cret").update("user-4711").digest("hex").slice(0, 16);
const module = existsSync(directory("lite")) ? "lite" : "full";

const json = async (response, status = 200) => {
  const text = await response.text();
  assert.equal(response.status, status, text);
  return JSON.parse(text);
};
const names = new Map(["near", "far"].map((id) => [fingerprintHex(id), id]));
const shown = (reply) => reply.slots.map((slot) => names.get(slot.merchant)).filter(Boolean);
const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();
const headers = (key) => ({ Authorization: `Bearer ${key}` });
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

describe("availability", () => {
  let worker;
  before(async () => {
    worker = await startWorker({ module, second: true });
    assert.equal((await worker.put(`/v1/areas/${cell}`, AREA)).status, 200);
  });
  after(async () => {
    assert.doesNotMatch(worker.log(), /Critical|panicked/);
    await worker.stop();
  });

  const put = (body) => worker.put("/v1/availability", JSON.stringify(body));
  const told = async () => shown(await json(await worker.rank(ASKED)));

  it("is honoured by /v1/rank, together with what the caller brings", async () => {
    assert.deepEqual(await told(), ["near", "far"]);
    const paused = { merchant_id: "near", closure: "paused" };
    assert.equal((await json(await put({ closures: [paused] }))).closed, 1);
    assert.deepEqual(await told(), ["far"]);
    const own = { ...ASKED, availability: [{ merchant_id: "far", closure: "removed" }] };
    assert.deepEqual(shown(await json(await worker.rank(own))), []);
    const batch = await (await worker.rank(`${JSON.stringify(ASKED)}\n${JSON.stringify(own)}`, "/v1/rank/batch")).text();
    assert.deepEqual(batch.trimEnd().split("\n").map((line) => shown(JSON.parse(line))), [["far"], []]);
    const brought = { ...ASKED, areas: [AREA.toString("base64url")] };
    assert.deepEqual(shown(await json(await worker.rank(brought))), ["far"], "bundles that come along are no way around");
  });

  it("says the same however often it is told, and ends", async () => {
    const paused = { merchant_id: "near", closure: "paused" };
    assert.equal((await json(await put({ closures: [paused] }))).closed, 1);
    const listed = await json(await worker.fetch("/v1/availability", { headers: headers(PUBLISH_KEY) }));
    assert.deepEqual(listed.closures.map(({ merchant_id, closure }) => [merchant_id, closure]), [["near", "paused"]]);
    for (let i = 0; i < 2; i += 1) assert.equal((await json(await put({ available: ["near"] }))).closed, 0);
    assert.deepEqual(await told(), ["near", "far"]);
    await json(await put({ closures: [{ ...paused, until: ago(-3) }] }));
    const now = { ...ASKED, context: { ...ASKED.context, at: undefined } };
    assert.deepEqual(shown(await json(await worker.rank(now))), ["far"]);
    await sleep(3000);
    assert.deepEqual(shown(await json(await worker.rank(now))), ["near", "far"], "its end needs no request");
    await json(await put({ available: ["near"] }));
  });

  it("acts within 60 s in an isolate that nobody told, and its end does", async () => {
    const second = async () => shown(await json(await worker.fetchSecond("/v1/rank", { method: "POST", headers: headers(RANK_KEY), body: JSON.stringify(ASKED) })));
    assert.deepEqual(await second(), ["near", "far"], "it has a copy of its own now");
    for (const [change, expected] of [[{ closures: [{ merchant_id: "near", closure: "removed" }] }, ["far"]], [{ available: ["near"] }, ["near", "far"]]]) {
      await json(await put(change));
      const started = Date.now();
      while (String(await second()) !== String(expected)) {
        assert.ok(Date.now() - started < 60_000, "60 s are over: the copy of an isolate is not renewed");
        await sleep(200);
      }
      console.log(`# availability acted after ${((Date.now() - started) / 1000).toFixed(1)} s, at most 60`);
    }
  });

  it("refuses what it cannot mean", async () => {
    for (const [body, status, detail] of [
      [{ closures: [{ merchant_id: "near", closure: "closed_today" }] }, 400, /closures.until/],
      [{ closures: [{ merchant_id: "near", closure: "paused" }], available: ["near"] }, 400, /both closed and available/],
      [{ closures: Array.from({ length: 10_001 }, (_, i) => ({ merchant_id: `m${i}`, closure: "paused" })) }, 400, /10000/],
    ]) {
      assert.match((await json(await put(body), status)).detail, detail);
    }
    assert.equal((await worker.fetch("/v1/availability", { method: "PUT", body: "{}" })).status, 401);
    assert.equal((await worker.fetch("/v1/availability", { method: "POST" })).headers.get("allow"), "GET, PUT");
    const many = { closures: Array.from({ length: 10_000 }, (_, i) => ({ merchant_id: `m${i}`, closure: "paused" })) };
    assert.equal((await json(await put(many))).closed, 10_000);
    assert.match((await json(await put({ closures: [{ merchant_id: "near", closure: "paused" }] }), 422)).detail, /at most 10000/);
    assert.deepEqual(await told(), ["near", "far"], "what is refused changes nothing");
  });
});

it("without its object a deployment ranks as before and keeps nothing", async () => {
  const worker = await startWorker({ module, rooms: false });
  try {
    await worker.put(`/v1/areas/${cell}`, AREA);
    assert.deepEqual(shown(await json(await worker.rank(ASKED))), ["near", "far"]);
    assert.equal((await worker.put("/v1/availability", "{}")).status, 503);
    assert.equal((await worker.put(`/v1/suppressions/${READER}`)).status, 503);
  } finally {
    await worker.stop();
  }
});

describe("a reader", () => {
  let worker;
  before(async () => (worker = await startWorker({ module })));
  after(async () => {
    assert.doesNotMatch(worker.log(), /Critical|panicked/);
    await worker.stop();
  });

  const event = (more = {}) =>
    worker.fetch("/v1/events", {
      method: "POST",
      headers: headers(EVENTS_KEY),
      body: JSON.stringify({ reader: READER, kind: "trip_end", at: ago(60), latitude, longitude, consent: true, ...more }),
    });
  const kept = async (more) => (await json(await event(more))).kept;
  const suppression = async (method, reader = READER) => json(await worker.fetch(`/v1/suppressions/${reader}`, { method, headers: headers(PUBLISH_KEY) }));

  it("has one last event, the newest whatever order they come in", async () => {
    assert.equal(await kept(), true);
    assert.equal(await kept({ at: ago(120) }), false);
    assert.equal(await kept({ at: ago(30), kind: "app_open" }), true);
    assert.deepEqual(await suppression("GET"), { suppressed: false, since: null, event: true });
  });

  it("is not kept without consent, and an old event not at all", async () => {
    assert.equal(await kept({ at: ago(1), consent: false }), false);
    assert.match((await json(await event({ consent: undefined }), 400)).detail, /consent/);
    assert.equal(await kept({ reader: "00000000000000aa", at: ago(2 * 3600) }), false);
  });

  it("who objects is forgotten, and nothing is kept until they do not any more", async () => {
    for (let i = 0; i < 2; i += 1) {
      const told = await suppression("PUT");
      assert.deepEqual([told.suppressed, told.event], [true, false]);
    }
    assert.equal(await kept({ at: ago(0) }), false);
    for (let i = 0; i < 2; i += 1) assert.deepEqual(await suppression("DELETE"), { suppressed: false, since: null, event: false });
    assert.equal(await kept({ at: ago(0) }), true);
  });

  it("is forgotten on demand, and by the clock", async () => {
    assert.equal((await suppression("GET")).event, true);
    for (let i = 0; i < 2; i += 1) {
      const forgotten = await worker.fetch(`/v1/events/${READER}`, { method: "DELETE", headers: headers(EVENTS_KEY) });
      assert.deepEqual(await json(forgotten), { kept: false });
    }
    assert.equal((await suppression("GET")).event, false);
    assert.equal(await kept({ at: ago(2 * 3600 - 3) }), true);
    assert.equal((await suppression("GET")).event, true);
    await sleep(3500);
    assert.equal((await suppression("GET")).event, false);
  });

  it("is nobody by another name", async () => {
    for (const nobody of ["anna@example.com", "4711", "", "5bdcc146bf60754ez", `${READER}0`, "%00"]) {
      const response = await worker.fetch(`/v1/suppressions/${nobody}`, { method: "PUT", headers: headers(PUBLISH_KEY) });
      const { detail } = await json(response, 404);
      assert.doesNotMatch(detail, /anna|4711/);
    }
    assert.equal((await worker.fetch("/v1/events", { method: "POST", headers: headers(PUBLISH_KEY), body: "{}" })).status, 401);
    assert.equal((await worker.fetch(`/v1/suppressions/${READER}`, { method: "PUT", headers: headers(EVENTS_KEY) })).status, 401);
  });
});
