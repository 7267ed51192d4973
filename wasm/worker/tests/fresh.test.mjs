// What is newer than bundles and tokens, under workerd: who is closed, what a reader did last, and who does not want to be known.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { existsSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { HELSINKI, area, fingerprintHex, profile } from "./bytes.mjs";
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
const names = new Map(["near", "far", "away"].map((id) => [fingerprintHex(id), id]));
const shown = (reply) => reply.slots.map((slot) => names.get(slot.merchant)).filter(Boolean);
const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();
const headers = (key) => ({ Authorization: `Bearer ${key}` });
/** A profile's number as routes and any backend's HMAC have it. */
const hex = (reader) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(reader));
  return bytes.toString("hex");
};
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

describe("the reader of a question", () => {
  const AWAY = { latitude: latitude + 30 / 111.195, longitude };
  const N = 100;
  let worker;
  const suppress = async (reader, method = "PUT") => json(await worker.fetch(`/v1/suppressions/${hex(reader)}`, { method, headers: headers(PUBLISH_KEY) }));
  /** Asked of a reader who is away from home, by the app's own position. */
  const of = (reader) => ({ id: `r${reader}`, profile: profile(reader, "fi/helsinki", { consent: true }), context: { ...ASKED.context, ...AWAY, recent: [["near"]] } });
  const told = ({ id, suppressed, scorer, ...reply }) => [id, suppressed, scorer, shown(reply)];
  const batch = async (lines) => (await (await worker.rank(lines.join("\n"), "/v1/rank/batch")).text()).trimEnd().split("\n").map((line) => JSON.parse(line));

  before(async () => {
    worker = await startWorker({ module });
    const there = await json(await worker.rank({ context: { ...AWAY, grade: "exact" } }));
    for (const [at, bytes] of [[cell, AREA], [there.place.cell, area([{ id: "away", north_km: 30 }], { cell: there.place.cell })]]) {
      await json(await worker.put(`/v1/areas/${at}`, bytes));
    }
  });
  after(async () => {
    assert.doesNotMatch(worker.log(), /Critical|panicked/);
    await worker.stop();
  });

  it("who objects is ranked as anybody of their market, and the reply says so", async () => {
    const asked = async () => told(await json(await worker.rank(of(1))));
    const mine = ["r1", undefined, "dense", ["away"]];
    assert.deepEqual(await asked(), mine);
    await suppress(1);
    assert.deepEqual(await asked(), ["r1", true, "prior", ["near", "far"]], "no position, no past, no model");
    const anybody = { id: "r1", profile: profile(2, "fi/helsinki", { consent: true }), context: { at: ASKED.context.at } };
    assert.equal((await json(await worker.rank(anybody))).suppressed, undefined, "nobody else is");
    await suppress(1, "DELETE");
    assert.deepEqual(await asked(), mine, "and not any more");
  });

  it("is ranked where they were last, if they agreed and the sender knows nothing newer", async () => {
    const at = ago(60);
    const tell = (reader) =>
      worker.fetch("/v1/events", { method: "POST", headers: headers(EVENTS_KEY), body: JSON.stringify({ reader: hex(reader), kind: "trip_end", at, ...AWAY, consent: true }) });
    for (const reader of [31, 32]) assert.deepEqual(await json(await tell(reader)), { kept: true });
    const now = new Date().toISOString();
    const home = (seconds) => ({ kind: "app_open", latitude, longitude, at: ago(seconds) });
    const where = async (reader, context = {}, consent = true) => {
      const asked = { profile: profile(reader, "fi/helsinki", { consent }), context: { at: now, ...context } };
      const { place, slots } = await json(await worker.rank(asked));
      return [place.source, shown({ slots })];
    };
    assert.deepEqual(await where(31), ["last_event", ["away"]]);
    assert.deepEqual(await where(31, { last_event: home(30) }), ["last_event", ["near", "far"]], "the sender knows something newer");
    assert.deepEqual(await where(31, { last_event: home(90) }), ["last_event", ["away"]], "and here something older");
    assert.deepEqual(await where(31, { at: ago(120) }), await where(33, { at: ago(120) }), "it had not happened then");
    assert.deepEqual(await where(32, {}, false), await where(33, {}, false), "without consent");
    await suppress(31);
    assert.notDeepEqual((await where(31))[1], ["away"], "who objects");
    await suppress(31, "DELETE");
  });

  it("who objects is found among the readers of a batch, whose answers keep their order", async () => {
    await suppress(7);
    const lines = Array.from({ length: 100 }, (_, i) => JSON.stringify(of(i + 1)));
    const replies = await batch([...lines, "no json", JSON.stringify({ ...ASKED, id: "nobody" })]);
    assert.deepEqual(replies.slice(0, 100).map(({ id }) => id), lines.map((line) => JSON.parse(line).id));
    assert.deepEqual(replies.filter(({ suppressed }) => suppressed).map(told), [["r7", true, "prior", ["near", "far"]]]);
    assert.deepEqual([replies[100].status, replies[101].id], [400, "nobody"]);
  });

  // A reader's object that nobody ever asked is a file of its own here, made one after the other; what that takes elsewhere this cannot tell.
  it("costs a batch milliseconds a reader, once their objects are there", async () => {
    const nobody = Array(N).fill(JSON.stringify({ context: { ...ASKED.context, ...AWAY } }));
    const readers = Array.from({ length: N }, (_, i) => JSON.stringify(of(1000 + i)));
    const seconds = async (lines) => {
      const started = performance.now();
      assert.equal((await batch(lines)).length, N);
      return (performance.now() - started) / 1000;
    };
    await seconds(nobody);
    const [without, anew, again] = [await seconds(nobody), await seconds(readers), await seconds(readers)];
    const ms = (took) => ((1000 * (took - without)) / N).toFixed(2);
    console.log(`# a batch that asks ${N} readers whether they object takes ${(again / without).toFixed(1)} times as long as of nobodies, ${ms(again)} ms a reader, of objects made anew ${ms(anew)}`);
    assert.ok(again - without < 0.02 * N, `${again - without} s more for ${N} readers`);
  });
});

it("whoever cannot be asked counts as objecting in what is ranked, too", async () => {
  const worker = await startWorker({ module, rooms: "Fails" });
  try {
    await worker.put(`/v1/areas/${cell}`, AREA);
    const { suppressed, slots } = await json(await worker.rank({ ...ASKED, profile: profile(1, "fi/helsinki", { consent: true }) }));
    assert.deepEqual([suppressed, shown({ slots })], [true, ["near", "far"]]);
    assert.equal((await json(await worker.rank(ASKED))).suppressed, undefined, "of nobody nobody is asked");
  } finally {
    await worker.stop();
  }
});
