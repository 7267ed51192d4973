// The Worker over HTTP, under workerd: what every route answers, and that nothing a client sends brings it down.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { request as open } from "node:http";
import { after, before, describe, it } from "node:test";
import { HELSINKI, area, display, fingerprintHex, hash } from "./bytes.mjs";
import { PUBLISH_KEY, RANK_KEY, directory, startWorker, upload } from "./workerd.mjs";

const MERCHANTS = [
  { id: "near", north_km: 0.2, popularity: 3 },
  { id: "far", north_km: 1.5, popularity: 1 },
  { id: "beyond", north_km: 40 },
];
const AREA = area(MERCHANTS);
const AREA_HASH = hash(AREA).toString("hex");
const { latitude, longitude, cell } = HELSINKI;
const ASKED = { id: "m1", context: { at: "2026-06-05T09:00:00Z", latitude, longitude, grade: "exact", seed: 7 } };

/** Asserts that a response is a problem of this status, and returns its detail. */
async function problem(response, status) {
  const text = await response.text();
  assert.equal(response.status, status, text);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.match(response.headers.get("cache-control"), /no-store/);
  const { type, title, status: told, detail } = JSON.parse(text);
  assert.equal(type, "about:blank");
  assert.ok(title.length > 0);
  assert.equal(told, status);
  return detail;
}

const shown = (reply) => reply.slots.map((slot) => slot.merchant ?? "-");
const ids = (...names) => names.map((name) => (name === "-" ? "-" : fingerprintHex(name)));
const json = async (response, status = 200) => {
  const text = await response.text();
  assert.equal(response.status, status, text);
  return JSON.parse(text);
};

describe("the worker", () => {
  let worker;
  before(async () => (worker = await startWorker()));
  after(async () => {
    assert.doesNotMatch(worker.log(), /Critical|panicked/, "no request may panic");
    await worker.stop();
  });

  it("says at /healthz what it runs", async () => {
    const health = await json(await worker.fetch("/healthz"));
    assert.equal(health.ok, true);
    assert.equal(health.module, "full");
    assert.equal(health.scorer, "dense", `${health.model_error}`);
    assert.match(health.model, /^[0-9a-f]{32}$/);
    assert.match(health.features, /^[0-9a-f]{32}$/);
    assert.match(health.version, /^\d+\.\d+\.\d+$/);
  });

  it("tells unknown routes from unknown methods", async () => {
    for (const path of ["/", "/v1", "/v1/rank/", "/v1/rank/batch/x", "/healthz/x", "/v1/areas", "/%00"]) {
      await problem(await worker.fetch(path), 404);
    }
    for (const [path, method, allow] of [
      ["/healthz", "POST", "GET, HEAD"],
      ["/v1/rank", "GET", "POST"],
      ["/v1/rank", "PROPFIND", "POST"],
      ["/v1/rank/batch", "PUT", "POST"],
      [`/v1/areas/${cell}`, "GET", "PUT"],
      ["/v1/campaigns/lunch", "DELETE", "PUT"],
    ]) {
      const response = await worker.fetch(path, { method });
      assert.equal(response.headers.get("allow"), allow);
      await problem(response, 405);
    }
    assert.equal((await worker.fetch("/healthz", { method: "HEAD" })).status, 200);
  });

  it("lets nobody in without the route's own key", async () => {
    const routes = [
      ["POST", "/v1/rank", PUBLISH_KEY],
      ["POST", "/v1/rank/batch", PUBLISH_KEY],
      ["PUT", `/v1/areas/${cell}`, RANK_KEY],
      ["PUT", `/v1/areas/${cell}/display`, RANK_KEY],
      ["PUT", "/v1/campaigns/lunch", RANK_KEY],
    ];
    for (const [method, path, other] of routes) {
      for (const header of [undefined, "", "Bearer", "Bearer ", `Bearer ${other}`, `Basic ${RANK_KEY}`, `Bearer ${RANK_KEY.slice(1)}`]) {
        const headers = header === undefined ? {} : { Authorization: header };
        const response = await worker.fetch(path, { method, headers, body: "{}" });
        assert.match(response.headers.get("www-authenticate"), /^Bearer/);
        await problem(response, 401);
      }
    }
  });

  it("answers with the campaign's own card while it has no area", async () => {
    const reply = await json(await worker.rank({ context: { ...ASKED.context, latitude: 65.01, longitude: 25.47 } }));
    assert.deepEqual([reply.place.served, shown(reply)], [false, ids("-", "-", "-", "-")]);
  });

  it("ranks an area from the moment it is published", async () => {
    const published = await json(await worker.put(`/v1/areas/${cell}`, AREA));
    assert.deepEqual(published, { as_of: "2026-05-28T20:26:40Z", cell, hash: AREA_HASH, merchants: 3 });

    const response = await worker.rank(ASKED);
    assert.equal(response.headers.get("content-type"), "application/json");
    assert.equal(response.headers.get("cache-control"), "private, no-store");
    assert.equal(response.headers.get("freshrank-notice"), null);
    const reply = await json(response);
    assert.deepEqual([reply.id, reply.place.cell, reply.hashes.area, reply.local], ["m1", cell, AREA_HASH, "Fri 11:00"]);
    assert.deepEqual(shown(reply).sort(), ids("near", "far", "-", "-").sort());
    assert.deepEqual(reply.dropped, { too_far: 1 });

    const fewer = area(MERCHANTS.slice(1));
    await json(await worker.put(`/v1/areas/${cell}`, fewer));
    assert.deepEqual(shown(await json(await worker.rank(ASKED))), ids("far", "-", "-", "-"));
    await json(await worker.put(`/v1/areas/${cell}`, AREA));
  });

  it("shows names only on request and only of the same bundle", async () => {
    const name = (reply) => reply.slots.map((slot) => slot.card?.name);
    const cards = MERCHANTS.map(({ id }) => ({ id, name: `The ${id}` }));
    const published = await json(await worker.put(`/v1/areas/${cell}/display`, display(AREA, cards)));
    assert.deepEqual(published, { bundle: AREA_HASH, cards: 3, cell });
    assert.deepEqual(name(await json(await worker.rank(ASKED))), [undefined, undefined, undefined, undefined]);
    const named = name(await json(await worker.rank({ ...ASKED, display: true })));
    assert.deepEqual(named.toSorted(), ["The far", "The near", undefined, undefined]);

    await json(await worker.put(`/v1/areas/${cell}/display`, display(area([]), cards)));
    assert.deepEqual(name(await json(await worker.rank({ ...ASKED, display: true }))), [undefined, undefined, undefined, undefined]);
  });

  it("takes an area from the request instead", async () => {
    const own = area(MERCHANTS.slice(0, 1));
    const reply = await json(await worker.rank({ ...ASKED, areas: [own.toString("base64url")] }));
    assert.deepEqual([reply.hashes.area, shown(reply)], [hash(own).toString("hex"), ids("near", "-", "-", "-")]);
  });

  it("refuses a damaged area with the part's name, and keeps the good one", async () => {
    for (let n = 0; n < AREA.length; n += 7) {
      assert.match(await problem(await worker.put(`/v1/areas/${cell}`, AREA.subarray(0, n)), 400), /area bundle/);
    }
    for (let bit = 3; bit < 8 * AREA.length; bit += 41) {
      const damaged = Buffer.from(AREA);
      damaged[bit >> 3] ^= 1 << (bit & 7);
      assert.match(await problem(await worker.put(`/v1/areas/${cell}`, damaged), 400), /area bundle/);
      assert.match(await problem(await worker.put(`/v1/areas/${cell}/display`, damaged), 400), /display block/);
    }
    assert.match(await problem(await worker.put("/v1/areas/871f1d489ffffff", AREA), 400), /area bundle is of cell/);
    for (const nonsense of ["x", "851126d3fffffff", "0", "-1", "..", "%2e%2e%2f"]) {
      await problem(await worker.put(`/v1/areas/${nonsense}`, AREA), 404);
    }
    assert.equal((await json(await worker.rank(ASKED))).hashes.area, AREA_HASH);
  });

  it("decides by a campaign once it is published", async () => {
    const lunch = { id: "lunch", layers: { global: { slots: 2, title: "Lunch" }, fi: { exclude: ["near"] } } };
    assert.match(await problem(await worker.rank({ ...ASKED, campaign: "lunch" }), 404), /no campaign of this name/);
    const published = await json(await worker.put("/v1/campaigns/lunch", JSON.stringify(lunch)));
    assert.deepEqual([published.id, published.layers], ["lunch", 2]);
    const reply = await json(await worker.rank({ ...ASKED, campaign: "lunch" }));
    assert.deepEqual([reply.title, shown(reply)], ["Lunch", ids("far", "-")]);
    assert.equal(reply.hashes.campaign, published.hash);

    lunch.layers.fi.radius_km = -1;
    const wrong = await worker.put("/v1/campaigns/lunch", JSON.stringify(lunch));
    assert.match(await problem(wrong, 422), /^fi: radius_km: found -1/);
    assert.match(await problem(await worker.put("/v1/campaigns/dinner", JSON.stringify({ ...lunch, layers: {} })), 400), /"lunch".*"dinner"/);
    await problem(await worker.put("/v1/campaigns/a%20b", JSON.stringify(lunch)), 400);
    for (const id of ["", "../area/x", "x".repeat(600), "\u0000"]) {
      await problem(await worker.rank({ ...ASKED, campaign: id }), 404);
    }
  });

  it("refuses 10 MB before they are sent, by the declared length", async () => {
    const refused = await upload(worker, "/v1/rank", { "Content-Length": 10 << 20 }, 0);
    assert.match(await problem(refused, 413), /body has 10485760 bytes, at most 8388608 bytes are read/);
  });

  it("refuses a body of unknown length at the first byte too many", async () => {
    const refused = await upload(worker, "/v1/rank", { "Transfer-Encoding": "chunked" }, (8 << 20) + 1);
    assert.match(await problem(refused, 413), /body goes on, at most 8388608 bytes are read/);
    const area = await upload(worker, `/v1/areas/${cell}`, { "Transfer-Encoding": "chunked" }, (4 << 20) + 1, "PUT", PUBLISH_KEY);
    assert.match(await problem(area, 413), /at most 4194304 bytes/);
  });

  it("answers a batch line by line while it is still being sent", async () => {
    const conversation = await converse(worker, "/v1/rank/batch");
    for (let i = 1; i <= 3; i += 1) {
      conversation.say(`${JSON.stringify({ ...ASKED, id: `line ${i}` })}\n`);
      const reply = JSON.parse(await conversation.hear());
      assert.deepEqual([reply.id, reply.hashes.area], [`line ${i}`, AREA_HASH], "the answer is there before the next question");
    }
    assert.equal(await conversation.end(), undefined);
  });

  it("tells in a batch which line is bad and answers the others", async () => {
    const good = JSON.stringify(ASKED);
    const lines = [good, "{", "", `${good}\r`, "x".repeat((8 << 20) + 1), JSON.stringify({ ...ASKED, campaign: "none" }), good];
    const response = await worker.rank(lines.join("\n"), "/v1/rank/batch");
    assert.equal(response.headers.get("content-type"), "application/x-ndjson");
    const text = await response.text();
    const answers = text.trimEnd().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(
      answers.map(({ line, status, id }) => ({ line, status, id })),
      [
        { line: undefined, status: undefined, id: "m1" },
        { line: 2, status: 400, id: undefined },
        { line: undefined, status: undefined, id: "m1" },
        { line: 5, status: 413, id: undefined },
        { line: 6, status: 404, id: undefined },
        { line: undefined, status: undefined, id: "m1" },
      ],
    );
    assert.match(answers[3].detail, /line has 8388609 bytes, at most 8388608/);
    const alone = await (await worker.rank(ASKED)).text();
    assert.equal(text.split("\n")[0], alone, "a line has the bytes of a single answer");
    assert.equal(await (await worker.rank("", "/v1/rank/batch")).text(), "");
  });

  it("answers mangled requests with a problem or a decision", async () => {
    const random = mulberry(20_260_605);
    const full = {
      ...ASKED,
      campaign: "default",
      areas: [AREA.toString("base64url")],
      availability: [{ merchant_id: "near", closure: "paused", until: "2026-06-05T12:00:00Z" }],
      explain: true,
      display: true,
      profile: Buffer.alloc(60, 7).toString("base64url"),
    };
    full.context.last_event = { kind: "trip_end", latitude, longitude, at: "2026-06-05T08:30:00Z" };
    const { profile, ...readable } = full;
    const { areas, ...published } = readable;
    const seeds = [published, published, readable, full].map((value) => Buffer.from(JSON.stringify(value)));
    const counts = new Map();
    for (let round = 0; round < 400; round += 1) {
      const mangled = mangle(Buffer.from(seeds[round % seeds.length]), random);
      const response = await worker.rank(new Uint8Array(mangled));
      const text = await response.text();
      assert.ok([200, 400, 404].includes(response.status), `${response.status} ${text} for ${mangled}`);
      const answer = JSON.parse(text);
      assert.equal(response.status === 200 ? answer.slots.length : answer.status, response.status === 200 ? 4 : response.status);
      counts.set(response.status, (counts.get(response.status) ?? 0) + 1);
    }
    assert.ok(counts.get(200) > 20 && counts.get(400) > 100, `${[...counts]}: both kinds are met`);
    assert.equal((await json(await worker.rank(ASKED))).hashes.area, AREA_HASH);
  });
});

describe("a worker whose surroundings fail", () => {
  it("serves the campaign's own card where KV holds a damaged area, and says so", async () => {
    const worker = await startWorker();
    try {
      const kv = await worker.kv();
      await kv.put(`area/${cell}`, new Uint8Array(AREA.subarray(0, -1)));
      const response = await worker.rank(ASKED);
      assert.match(response.headers.get("freshrank-notice"), /area bundle/);
      assert.deepEqual(shown(await json(response)), ids("-", "-", "-", "-"));

      await kv.put("campaign/broken", "{");
      assert.match(await problem(await worker.rank({ ...ASKED, campaign: "broken" }), 503), /the campaign cannot be read/);

      await kv.put(`display/${cell}`, "?");
      await json(await worker.put(`/v1/areas/${cell}`, AREA));
      const named = await worker.rank({ ...ASKED, display: true });
      assert.match(named.headers.get("freshrank-notice"), /display block/);
      assert.equal((await json(named)).hashes.area, AREA_HASH);
    } finally {
      await worker.stop();
    }
  });

  for (const [module, scorer, reason] of [
    ["full", "tract", null],
    ["lite", "prior", /^model plan has checksum/],
  ]) {
    it(`ranks by ${scorer} where the plan in the ${module} module is damaged`, { skip: existsSync(directory(module)) ? false : `no ${module} module` }, async () => {
      const plan = readFileSync(new URL("../../../models/ltr.plan", import.meta.url));
      const patch = (wasm) => {
        const at = wasm.indexOf(plan.subarray(0, 42));
        assert.ok(at > 0, "the module was built with another models/ltr.plan");
        wasm[at + 40] ^= 1;
        return wasm;
      };
      const worker = await startWorker({ module, patch });
      try {
        const health = await json(await worker.fetch("/healthz"));
        assert.equal(health.scorer, scorer);
        if (reason) assert.match(health.model_error, reason);
        await json(await worker.put(`/v1/areas/${cell}`, AREA));
        const reply = await json(await worker.rank(ASKED));
        assert.equal(reply.scorer, scorer);
        assert.equal(reply.model_error ?? null, health.model_error);
        assert.deepEqual(shown(reply).toSorted(), ids("near", "far", "-", "-").toSorted());
      } finally {
        await worker.stop();
      }
    });
  }

  it("ranks by tract, in the full module, a graph that dense has no plan of", async () => {
    // Protobuf's field 4, the operator, four letters long.
    const tanh = (bytes) => bytes.toString("latin1").replaceAll('"\x04Relu', '"\x04Tanh');
    const other = Buffer.from(tanh(readFileSync(new URL("../../../models/ltr.onnx", import.meta.url))), "latin1");
    const patch = (wasm) => Buffer.from(tanh(wasm), "latin1");
    const worker = await startWorker({ patch });
    try {
      const health = await json(await worker.fetch("/healthz"));
      assert.deepEqual([health.scorer, health.model, health.model_error ?? null], ["tract", hash(other).toString("hex"), null]);
      await json(await worker.put(`/v1/areas/${cell}`, AREA));
      const reply = await json(await worker.rank(ASKED));
      assert.deepEqual([reply.scorer, reply.model_error ?? null], ["tract", null]);
      assert.deepEqual(shown(reply).toSorted(), ids("near", "far", "-", "-").toSorted());
    } finally {
      await worker.stop();
    }
  });

  it("finds in KV what another isolate published", async () => {
    const worker = await startWorker();
    try {
      const kv = await worker.kv();
      await kv.put(`area/${cell}`, new Uint8Array(AREA));
      assert.equal((await json(await worker.rank(ASKED))).hashes.area, AREA_HASH);
    } finally {
      await worker.stop();
    }
  });

  it("opens no door where a secret was never set, and ranks without KV", async () => {
    const closed = await startWorker({ secrets: { PUBLISH_KEY: "" } });
    try {
      assert.match(await problem(await closed.rank(ASKED), 503), /RANK_KEY/);
      assert.match(await problem(await closed.put(`/v1/areas/${cell}`, AREA), 503), /PUBLISH_KEY/);
    } finally {
      await closed.stop();
    }
    const bare = await startWorker({ kv: false });
    try {
      const response = await bare.rank(ASKED);
      assert.match(response.headers.get("freshrank-notice"), /AREAS/);
      await json(response);
      assert.match(await problem(await bare.put(`/v1/areas/${cell}`, AREA), 503), /AREAS/);
      const own = await bare.rank({ ...ASKED, areas: [AREA.toString("base64url")], campaign: undefined });
      assert.equal((await json(own)).hashes.area, AREA_HASH);
    } finally {
      await bare.stop();
    }
  });
});

/** A request whose body is written line by line, and its answer read alongside. */
async function converse(worker, path) {
  const request = open(worker.url + path, { method: "POST", headers: { Authorization: `Bearer ${RANK_KEY}` } });
  const response = new Promise((resolve, reject) => request.on("response", resolve).on("error", reject));
  let lines;
  async function* read() {
    let text = "";
    for await (const part of await response) {
      text += part;
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        yield text.slice(0, end);
        text = text.slice(end + 1);
      }
    }
  }
  const hear = async () => (await (lines ??= read()).next()).value;
  return {
    say: (text) => request.write(text),
    hear,
    end: () => {
      request.end();
      return hear();
    },
  };
}

/** One or two random edits: of bits and bytes, of text, of whole values. */
function mangle(bytes, random) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  const strange = ["null", "1e999", "-0", "[]", "{}", '""', "9007199254740993", "\0", '"\\ud800"', "[".repeat(300), "NaN", "-1"];
  const plausible = ["0", "12.5", "-60.2", "true", "false", '"default"', '"network"', '"removed"', '"2026-10-25T03:30:00+02:00"', '"near"'];
  for (let n = 1 + Math.floor(random() * 2); n > 0 && bytes.length > 0; n -= 1) {
    const i = Math.floor(random() * bytes.length);
    const j = Math.min(bytes.length, i + Math.floor(random() * 12));
    const splice = (from, to, put) => Buffer.concat([bytes.subarray(0, from), Buffer.from(put), bytes.subarray(to)]);
    const kind = Math.floor(random() * 9);
    if (kind === 0) bytes[i] ^= 1 << Math.floor(random() * 8);
    if (kind === 1) bytes[i] = Math.floor(random() * 256);
    if (kind === 2) bytes = bytes.subarray(0, i);
    if (kind === 3) bytes = splice(i, i, bytes.subarray(i, j));
    if (kind === 4) bytes = splice(i, j, pick(strange));
    if (kind > 4) {
      const text = bytes.toString("latin1");
      const member = pick([...text.matchAll(/"[a-z_]+":(-?[0-9.]+|"[^"]*"|true|false),?/g)]);
      if (member === undefined) continue;
      const from = member.index + member[0].indexOf(":") + 1;
      if (kind < 8) bytes = splice(from, from + member[1].length, pick(kind === 5 ? strange : plausible));
      else bytes = splice(member.index, member.index + member[0].length, "");
    }
  }
  return bytes;
}

/** The same numbers on every run. */
function mulberry(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
