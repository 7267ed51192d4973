// What teams publish: one layer at a time, checked as part of the whole, with a history and a way back.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, beforeEach, describe, it } from "node:test";
import { HELSINKI, area, profile } from "./bytes.mjs";
import { HELSINKI_KEY, PUBLISH_KEY, RANK_KEY, US_KEY, directory, startWorker, upload } from "./workerd.mjs";

const { latitude, longitude, cell } = HELSINKI;
const AREA = area([{ id: "near", north_km: 0.2, popularity: 3 }, { id: "far", north_km: 1.5 }]);
const CONTEXT = { at: "2026-06-05T09:00:00Z", latitude, longitude, grade: "exact", seed: 7 };
const SIGNED = { author: "Anna", reason: "summer" };
const LUNCH = {
  id: "lunch",
  layers: { global: { slots: 2, title: "Lunch", lock: ["slots"] }, fi: { title: "Lounas" } },
};
const HELSINKI_PATH = "/v1/campaigns/lunch/layers/fi/helsinki";

async function json(response, status = 200) {
  const text = await response.text();
  assert.equal(response.status, status, text);
  return JSON.parse(text);
}

/** Asserts that a response is a problem document of this status, and returns it. */
async function problem(response, status) {
  const type = response.headers.get("content-type");
  const document = await json(response, status);
  assert.equal(type, "application/problem+json");
  assert.equal(document.status, status);
  return document;
}

/** A worker with helpers that send one command each. */
function teams(worker) {
  const ask = (path, { method = "PUT", key = HELSINKI_KEY, body, headers = {} } = {}) =>
    worker.fetch(path, {
      method,
      headers: { ...(key && { Authorization: `Bearer ${key}` }), ...headers },
      body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
    });
  return {
    ask,
    put: (layer, options = {}) => ask(HELSINKI_PATH + (options.query ?? ""), { body: { ...SIGNED, ...layer }, ...options }),
    history: async (path = HELSINKI_PATH, key = HELSINKI_KEY) => json(await ask(path, { method: "GET", key })),
    title: async (reader) => {
      const request = { campaign: "lunch", context: CONTEXT, ...(reader !== undefined && { profile: profile(reader) }) };
      return (await json(await worker.rank(request))).title;
    },
  };
}

describe("layers of a campaign", () => {
  let worker;
  let team;
  before(async () => {
    worker = await startWorker();
    team = teams(worker);
    await json(await worker.put(`/v1/areas/${cell}`, AREA));
  });
  beforeEach(async () => json(await worker.put("/v1/campaigns/lunch", JSON.stringify(LUNCH))));
  after(async () => {
    assert.doesNotMatch(worker.log(), /Critical|panicked/, "no request may panic");
    await worker.stop();
  });

  it("hold at once, with author, reason and scope on record", async () => {
    assert.equal(await team.title(), "Lounas");
    const response = await team.put({ title: "Stadin lounas" });
    const tag = response.headers.get("etag");
    const published = await json(response);
    assert.equal(published.path, "fi/helsinki");
    assert.equal(tag, `"${published.version}"`);
    assert.equal(await team.title(), "Stadin lounas");

    const { version, versions } = await team.history();
    const [{ at, layer, ...newest }] = versions;
    assert.equal(version, published.version);
    assert.deepEqual(newest, { path: "fi/helsinki", n: versions.length, version, ...SIGNED, scope: "lunch/fi/helsinki", share: 1 });
    assert.match(at, /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/);
    assert.deepEqual(layer, { title: "Stadin lounas", ...SIGNED });
  });

  it("are published with a key of theirs alone", async () => {
    for (const key of [null, "nobody's", RANK_KEY]) {
      await problem(await team.put({ title: "x" }, { key }), 401);
    }
    for (const [path, key] of [
      [HELSINKI_PATH, US_KEY],
      ["/v1/campaigns/lunch/layers/fi", HELSINKI_KEY],
      ["/v1/campaigns/lunch/layers/global", HELSINKI_KEY],
      ["/v1/campaigns/lunch/layers/defaults/fi/helsinki", HELSINKI_KEY],
      ["/v1/campaigns/dinner/layers/fi/helsinki", HELSINKI_KEY],
    ]) {
      const { detail } = await problem(await team.ask(path, { key, body: { ...SIGNED, title: "x" } }), 403);
      assert.match(detail, /^this key is for lunch\/(us|fi\/helsinki), not for /);
    }
    await json(await team.ask(`${HELSINKI_PATH}/kallio`, { body: { ...SIGNED, title: "Kallio" } }));
    await json(await team.put({ title: "Helsinki" }, { key: PUBLISH_KEY }));
    await problem(await worker.fetch("/v1/campaigns/lunch", { method: "PUT", headers: { Authorization: `Bearer ${HELSINKI_KEY}` }, body: "{}" }), 401);
  });

  it("name who changed them and why, or are refused", async () => {
    for (const missing of ["author", "reason"]) {
      for (const value of [undefined, "", "  "]) {
        const body = { ...SIGNED, title: "x", [missing]: value };
        assert.match((await problem(await team.ask(HELSINKI_PATH, { body }), 422)).detail, /`author` and the `reason`/);
      }
    }
    await problem(await team.ask(HELSINKI_PATH, { method: "DELETE", body: "{}" }), 422);
    await problem(await team.ask(`${HELSINKI_PATH}?rollback`, { body: "" }), 422);
    assert.equal(await team.title(), "Lounas");
  });

  it("may have conditions of too many levels: those are refused, before the module's stack is used up", async () => {
    for (const when of ["1+".repeat(1900) + "1 > 0", "a" + "[0]".repeat(1300), "a" + ".a".repeat(1900), "(".repeat(3900)]) {
      const { problems } = await problem(await team.put({ rules: [{ id: "deep", when, then: "include" }] }), 422);
      assert.equal(problems[0].key, "rules.deep.when");
    }
    await json(await team.put({ title: "Still there" }));
  });

  it("are checked as part of the whole, and everything wrong is told at once", async () => {
    const locked = await problem(await team.put({ slots: 5 }), 422);
    assert.equal(locked.problems.length, 1);
    const [{ layer, key, message }] = locked.problems;
    assert.deepEqual([layer, key], ["fi/helsinki", "slots"]);
    assert.match(message, /global/, "the other layer is named");

    const several = await problem(await team.put({ slotz: 5, radius_km: -1, title: 7 }), 422);
    assert.deepEqual(several.problems.map(({ key }) => key).sort(), ["radius_km", "slotz", "title"]);
    assert.equal(several.problems.find(({ key }) => key === "slotz").hint, "did you mean slots?");
    assert.match(several.detail, /\(and 2 more\)$/);

    for (const body of ["", "{", "[]", "7", '"x"', "null", "{\"a\":".repeat(500)]) {
      const response = await team.ask(HELSINKI_PATH, { body });
      assert.ok([400, 422].includes(response.status), `${body.slice(0, 20)}: ${response.status}`);
    }
    assert.equal(await team.title(), "Lounas", "nothing of it was published");
  });

  it("have their rules compiled, and a wrong one is told by its character", async () => {
    const rule = (when) => ({ rules: [{ id: "no-far", when, then: "exclude" }] });
    const { problems } = await problem(await team.put(rule("merchant.distanc_km > 1.0")), 422);
    assert.deepEqual([problems[0].layer, problems[0].key], ["fi/helsinki", "rules.no-far.when"]);
    assert.match(problems[0].message, /^character \d+: /);
    assert.match(problems[0].hint, /distance_km/);
    await problem(await team.put(rule("merchant.distance_km >")), 422);
    await problem(await team.put(rule("'piza' in merchant.cuisines")), 422);

    // A program is longer than its text, and longer than any other text of a layer may be.
    const long = Array.from({ length: 150 }, (_, i) => `merchant.distance_km == ${i + 100}.5`).join(" || ");
    await problem(await team.put(rule(long)), 422);
    await json(await team.put(rule(long.slice(0, 3900).replace(/ \|\|[^|]*$/, ""))));
    await json(await team.put(rule("merchant.distance_km > 1.0")));
    const reply = await json(await worker.rank({ campaign: "lunch", context: CONTEXT }));
    assert.deepEqual([reply.kept, Object.values(reply.dropped)], [1, [1]]);
  });

  it("go to whoever was first, where two start from one version", async () => {
    const { version } = await json(await team.put({ title: "Before" }));
    const answers = await Promise.all(
      ["One", "Two", "Three"].map((title) => team.put({ title }, { headers: { "If-Match": `"${version}"` } })),
    );
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 412, 412]);
    const won = ["One", "Two", "Three"][answers.findIndex(({ status }) => status === 200)];
    assert.equal(await team.title(), won);
    await problem(await team.put({ title: "x" }, { headers: { "If-Match": '"none"' } }), 412);
  });

  it("go back one version, and away", async () => {
    await json(await team.put({ title: "Good" }));
    await json(await team.put({ title: "Bad" }));
    await json(await team.ask(`${HELSINKI_PATH}?rollback`, { body: { author: "Olli", reason: "typo" } }));
    assert.equal(await team.title(), "Good");
    const [newest] = (await team.history()).versions;
    assert.equal(newest.author, "Olli");
    assert.match(newest.reason, /^typo \(back to version [0-9a-f]{32} of /);

    await json(await team.ask(HELSINKI_PATH, { method: "DELETE", body: SIGNED }));
    assert.equal(await team.title(), "Lounas");
    await problem(await team.ask(HELSINKI_PATH, { method: "DELETE", body: SIGNED }), 404);
    await problem(await team.ask(`${HELSINKI_PATH}/kamppi`, { method: "GET" }), 404);
    await problem(await team.ask(`${HELSINKI_PATH}/kamppi?rollback`, { body: SIGNED }), 409);
  });

  it("are staged for a share of the readers, each always on the same side", async () => {
    await json(await team.put({ title: "Old" }));
    await json(await team.put({ title: "New" }, { query: "?share=0.3" }));
    const readers = Array.from({ length: 300 }, (_, i) => i + 1);
    const titles = [];
    for (const reader of readers) titles.push(await team.title(reader));
    assert.deepEqual([...new Set(titles)].sort(), ["New", "Old"]);
    const n = titles.filter((title) => title === "New").length;
    // Five standard deviations of 300 draws at 0.3 are 40.
    assert.ok(Math.abs(n - 90) <= 40, `${n} of 300 readers have what is staged for 0.3 of them`);
    for (const reader of readers.slice(0, 20)) assert.equal(await team.title(reader), titles[reader - 1]);
    assert.equal(await team.title(), "Old", "a reader nobody knows");
    assert.equal((await team.history()).versions[0].share, 0.3);

    const moved = await problem(await team.put({ title: "New", priority: 3 }, { query: "?share=0.5" }), 422);
    assert.match(moved.detail, /priority: staged with another priority/);
    await json(await team.ask(`${HELSINKI_PATH}?rollback`, { body: SIGNED }));
    for (const reader of readers.slice(0, 20)) assert.equal(await team.title(reader), "Old");
    for (const share of ["0", "-1", "1.5", "NaN", "x", ""]) {
      await problem(await team.put({ title: "x" }, { query: `?share=${share}` }), 400);
    }
    await json(await team.put({ title: "All" }, { query: "?share=1" }));
    assert.equal(await team.title(7), "All");
  });

  it("can be staged where none held, and taken back", async () => {
    const path = `${HELSINKI_PATH}/vallila`;
    await json(await team.ask(`${path}?share=0.5`, { body: { ...SIGNED, title: "Vallila" } }));
    await json(await team.ask(`${path}?rollback`, { body: SIGNED }));
    assert.equal((await team.history(path)).versions[0].layer, null);
  });

  it("are replaced by a campaign published as a whole, which keeps the history", async () => {
    await json(await team.put({ title: "Own" }));
    const before = (await team.history("/v1/campaigns/lunch/layers/fi", PUBLISH_KEY)).versions.length;
    await json(await worker.put("/v1/campaigns/lunch", JSON.stringify(LUNCH)));
    assert.equal(await team.title(), "Lounas");
    assert.equal((await team.history()).versions[0].layer, null);
    const after = (await team.history("/v1/campaigns/lunch/layers/fi", PUBLISH_KEY)).versions.length;
    assert.equal(after, before, "what stayed as it was has no new version");
    const broken = { ...LUNCH, layers: { ...LUNCH.layers, fi: { slots: 3 } } };
    assert.equal((await problem(await worker.put("/v1/campaigns/lunch", JSON.stringify(broken)), 422)).problems[0].key, "slots");
    await problem(await worker.put("/v1/campaigns/lunch", JSON.stringify({ ...LUNCH, staged: {} })), 422);
  });

  it("refuse large bodies and paths with tricks", async () => {
    for (const [path, key] of [[HELSINKI_PATH, HELSINKI_KEY], ["/v1/campaigns/lunch", PUBLISH_KEY]]) {
      await problem(await upload(worker, path, { "Content-Length": 3 << 20 }, 0, "PUT", key), 413);
      await problem(await upload(worker, path, { "Transfer-Encoding": "chunked" }, 3 << 20, "PUT", key), 413);
    }
    const layers = "/v1/campaigns/lunch/layers/";
    for (const path of ["", "/", "fi//helsinki", "fi/", "/fi", "fi%2Fhelsinki", "fi/..%2f..", "f%20i", "a'--", "fi;drop", "ü", "x".repeat(65), "a/".repeat(120) + "a", "%00"]) {
      const response = await team.ask(layers + path, { body: { ...SIGNED, title: "x" }, key: PUBLISH_KEY });
      assert.equal(response.status, 404, path);
      await response.text();
    }
    for (const path of ["../../areas", "..", "%2e%2e/%2e%2e"]) {
      const response = await team.ask(layers + path, { body: { ...SIGNED }, key: PUBLISH_KEY });
      assert.ok(response.status >= 400 && response.status < 500, `${path}: ${response.status}`);
      await response.text();
    }
    await problem(await team.ask("/v1/campaigns/a%20b/layers/fi", { body: SIGNED, key: PUBLISH_KEY }), 400);
    const post = await team.ask(HELSINKI_PATH, { method: "POST", body: SIGNED });
    assert.equal(post.headers.get("allow"), "GET, PUT, DELETE");
    await problem(post, 405);
  });

  it("answer from the version before where the document is damaged, also in a fresh isolate", async () => {
    await json(await team.put({ title: "First" }));
    await json(await team.put({ title: "Second" }));
    const whole = await (await worker.kv()).get("campaign/lunch");
    for (const damaged of ["", "{", whole.slice(0, -9), whole.replace('"slots":2', '"slots":0')]) {
      await (await worker.kv()).put("campaign/lunch", damaged);
      await worker.restart();
      assert.equal(await team.title(), "First", damaged.slice(0, 20));
    }
    await json(await team.put({ title: "Third" }));
    assert.equal(await team.title(), "Third");
    assert.deepEqual((await team.history()).versions.slice(0, 3).map(({ layer }) => layer.title), ["Third", "Second", "First"]);
  });
});

describe("a registry whose KV takes nothing for a while", () => {
  let worker;
  let team;
  before(async () => {
    worker = await startWorker({ flaky: true });
    team = teams(worker);
    await json(await worker.put(`/v1/areas/${cell}`, AREA));
    await json(await worker.put("/v1/campaigns/lunch", JSON.stringify(LUNCH)));
  });
  after(async () => {
    assert.doesNotMatch(worker.log(), /Critical|panicked/, "no request may panic");
    await worker.stop();
  });

  it("records the change, leaves readers with the whole version before, and says so", async () => {
    await worker.setKv("broken");
    const response = await team.put({ title: "Meanwhile" });
    const { pending, version } = await json(response, 202);
    assert.match(pending, /^on record; readers have the version before until KV takes it: campaign\/lunch was not written: .*broken/);
    assert.equal((await team.history()).version, version);
    assert.equal(await team.title(), "Lounas");
  });

  it("tells readers by itself once KV is back, also in a fresh isolate", async () => {
    await worker.setKv("broken");
    const pending = await json(await team.put({ title: "By itself" }), 202);
    assert.ok(pending.version);
    await worker.restart();
    await worker.setKv("well");
    const until = Date.now() + 60_000;
    let title = await team.title();
    while (title !== "By itself" && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      title = await team.title();
    }
    assert.equal(title, "By itself");
    assert.equal(JSON.parse(await (await worker.kv()).get("good/campaign/lunch")).layers.fi.title, "Lounas");
  });

  it("tells readers with the next change, if that comes first", async () => {
    await worker.setKv("broken");
    await json(await team.put({ title: "First" }), 202);
    await worker.setKv("well");
    await json(await team.ask(`${HELSINKI_PATH}/kallio`, { body: { ...SIGNED, title: "Kallio" } }));
    assert.equal(await team.title(), "First");
    assert.deepEqual((await team.history()).versions.slice(0, 2).map(({ layer }) => layer.title), ["First", "By itself"]);
  });
});

describe("a deployment without a registry", () => {
  let worker;
  before(async () => (worker = await startWorker({ registry: false })));
  after(async () => worker.stop());

  it("takes whole campaigns and no layers", async () => {
    const published = await json(await worker.put("/v1/campaigns/lunch", JSON.stringify(LUNCH)));
    assert.deepEqual([published.id, published.layers], ["lunch", 2]);
    const team = teams(worker);
    const { detail } = await problem(await team.put({ title: "x" }), 503);
    assert.match(detail, /registry/);
    assert.doesNotMatch(worker.log(), /Critical|panicked/);
  });
});

describe("a page that the deployment names", () => {
  const PAGE = "https://simulator.example";
  let worker;
  before(async () => {
    worker = await startWorker({ vars: { SIMULATOR_ORIGIN: PAGE } });
    await json(await worker.put("/v1/campaigns/lunch", JSON.stringify(LUNCH)));
  });
  after(() => worker.stop());
  const from = (origin, path, method = "GET", key = HELSINKI_KEY) =>
    worker.fetch(path, { method, headers: { Origin: origin, ...(key && { Authorization: `Bearer ${key}` }) }, ...(method === "PUT" && { body: JSON.stringify({ ...SIGNED, title: "Lounas" }) }) });
  const allowed = (response) => response.headers.get("access-control-allow-origin");

  it("may ask beforehand, publish its layer, and read what is wrong", async () => {
    const preflight = await from(PAGE, HELSINKI_PATH, "OPTIONS", null);
    assert.deepEqual([preflight.status, allowed(preflight), preflight.headers.get("vary")], [204, PAGE, "Origin"]);
    assert.match(preflight.headers.get("access-control-allow-methods"), /GET, PUT, DELETE/);
    assert.match(preflight.headers.get("access-control-allow-headers"), /Authorization.*If-Match/);
    const put = await from(PAGE, HELSINKI_PATH, "PUT");
    assert.equal(allowed(put), PAGE);
    await json(put);
    const refused = await from(PAGE, HELSINKI_PATH, "PUT", "another key");
    assert.equal(allowed(refused), PAGE);
    await problem(refused, 401);
    assert.equal((await json(await from(PAGE, HELSINKI_PATH))).versions.length, 1);
  });

  it("is the only one, and may do nothing else", async () => {
    for (const [origin, path] of [["https://evil.example", HELSINKI_PATH], ["null", HELSINKI_PATH], [PAGE, "/v1/campaigns/lunch"], [PAGE, "/v1/rank"], [PAGE, "/healthz"]]) {
      assert.equal(allowed(await from(origin, path)), null, `${origin} ${path}`);
      const preflight = await from(origin, path, "OPTIONS", null);
      assert.deepEqual([preflight.status, allowed(preflight)], [405, null], `${origin} ${path}`);
    }
  });
});

describe("the lite module", { skip: !existsSync(`${directory("lite")}/index.js`) }, () => {
  let worker;
  before(async () => (worker = await startWorker({ module: "lite" })));
  after(async () => worker.stop());

  it("takes rules with their program, and says how where there is none", async () => {
    const team = teams(worker);
    await json(await worker.put("/v1/campaigns/lunch", JSON.stringify(LUNCH)));
    const rule = { id: "near", when: "merchant.distance_km < 1.0", then: "include" };
    const { problems } = await problem(await team.put({ rules: [rule] }), 422);
    assert.equal(problems[0].key, "rules.near.when");
    assert.match(problems[0].hint, /freshrank campaign publish.*full module/);
    await json(await team.put({ title: "Lite" }));
    assert.doesNotMatch(worker.log(), /Critical|panicked/);
  });
});
