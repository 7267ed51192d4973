// No route writes what is personal into a log, an answer, a header or KV: not when all is well, not when all is wrong.
//
// A reader is planted everywhere: in paths, queries, headers and in every field of every body, one after the other. Then everything
// the Worker said is searched for them, and the disk beneath its objects as well.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { HELSINKI, area, profile } from "./bytes.mjs";
import { EVENTS_KEY, PUBLISH_KEY, RANK_KEY, TOKEN_KEYS, directory, startWorker } from "./workerd.mjs";

const module = existsSync(directory("lite")) ? "lite" : "full";
const PACKAGE = process.env.FRESHRANK_WEB ?? join(dirname(fileURLToPath(import.meta.url)), "../../../target/modules/web-full");
const { mintToken } = createRequire(import.meta.url)(join(PACKAGE, "nodejs/freshrank.js"));
const READER = "5bdcc146bf60754e";
/** Far from any merchant's position and from any cell's centre. */
const PLACE = { latitude: 60.1712345, longitude: 24.9398765 };
const PLANTED = ["anna", "4711", "60.1712", "24.9398", "203.0.113.77", "1199.12"];
const VALUES = ["anna.virtanen@example.com", "user-4711", "60.1712345,24.9398765", "203.0.113.77", PLACE.latitude, -1199.123, 471100000000, ["anna"], { "anna@example.com": 4711 }];
const HEADERS = {
  "User-Agent": "AnnasPhone/4711 anna.virtanen@example.com",
  "X-Forwarded-For": "203.0.113.77",
  "CF-Connecting-IP": "203.0.113.77",
  Referer: "https://mail.example/anna.virtanen@example.com/4711",
  Cookie: "user=anna-4711",
  "Accept-Language": "x-anna",
};

const EVENT = { reader: READER, kind: "trip_end", at: new Date().toISOString(), ...PLACE, consent: true };
const RANK = {
  campaign: "default",
  profile: profile(4711),
  explain: true,
  display: true,
  why: "near",
  context: {
    ...PLACE,
    grade: "exact",
    mailbox: "direct",
    seed: 7,
    at: "2026-06-05T09:00:00Z",
    last_event: { kind: "trip_end", ...PLACE, at: "2026-06-05T08:00:00Z" },
    elsewhere: ["far"],
    recent: [["far"]],
  },
  availability: [{ merchant_id: "gone", closure: "paused", until: "2026-06-05T10:00:00Z" }],
};
const CLOSURES = { closures: [{ merchant_id: "gone", closure: "paused", until: "2099-01-01T00:00:00Z" }], available: ["near"] };

/** A body with each of its values replaced by each plant, and with a plant as one more field of every object; then cut off. */
function planted(body) {
  const bodies = [];
  const visit = (value, put) => {
    for (const plant of VALUES) bodies.push(put(plant));
    if (Array.isArray(value)) value.forEach((entry, i) => visit(entry, (plant) => put(value.with(i, plant))));
    else if (value && typeof value === "object") {
      for (const key of [...Object.keys(value), "user-4711", "anna@example.com"]) visit(value[key], (plant) => put({ ...value, [key]: plant }));
    }
  };
  visit(body, (plant) => plant);
  const texts = bodies.map((value) => JSON.stringify(value));
  return [JSON.stringify(body), ...texts, ...texts.filter((_, i) => i % 7 === 0).map((text) => text.slice(0, -1)), "anna.virtanen@example.com 4711", ""];
}

const bearer = (key) => ({ Authorization: `Bearer ${key}` });
const ROUTES = [
  ["GET", "/healthz", {}],
  ["POST", "/v1/rank", bearer(RANK_KEY), RANK],
  ["POST", "/v1/events", bearer(EVENTS_KEY), EVENT],
  ["DELETE", "/v1/events/{}", bearer(EVENTS_KEY)],
  ["GET", "/v1/suppressions/{}", bearer(PUBLISH_KEY)],
  ["PUT", "/v1/suppressions/{}", bearer(PUBLISH_KEY), {}],
  ["DELETE", "/v1/suppressions/{}", bearer(PUBLISH_KEY)],
  ["GET", "/v1/availability", bearer(PUBLISH_KEY)],
  ["PUT", "/v1/availability", bearer(PUBLISH_KEY), CLOSURES],
  ["PUT", "/v1/areas/{}", bearer(PUBLISH_KEY), {}],
  ["PUT", "/v1/areas/{}/display", bearer(PUBLISH_KEY), {}],
  ["GET", "/o/{}/1.png", {}],
  ["GET", "/c/{}/1", {}],
  ["GET", "/a/{}", {}],
  ["GET", "/o/TOKEN/1.png", {}],
  ["GET", "/c/TOKEN/{}", {}],
  ["GET", "/a/TOKEN", { "AMP-Email-Sender": "news@brand.example" }],
  ["GET", "/{}", {}],
  ["GET", "/v1/{}/{}", {}],
];

it("is kept out of the platform's own logs of requests", () => {
  const told = readFileSync(new URL("../../../wrangler.toml", import.meta.url), "utf8");
  assert.match(told, /\[observability.logs\]\nenabled = true\ninvocation_logs = false/, "they have addresses, user agents and positions");
});

describe("nobody's data", () => {
  let worker;
  let disk;
  let asked = 0;
  before(async () => {
    disk = mkdtempSync(join(tmpdir(), "freshrank-privacy-"));
    worker = await startWorker({ module, persist: disk, vars: { AMP_SENDERS: "news@brand.example" } });
    assert.equal((await worker.put("/v1/campaigns/lunch", JSON.stringify({ id: "lunch", layers: { global: { slots: 2 } } }))).status, 200);
    assert.equal((await worker.put(`/v1/areas/${HELSINKI.cell}`, area([{ id: "near", north_km: 0.2 }, { id: "far", north_km: 1.5 }]))).status, 200);
  });
  after(async () => {
    await worker.stop();
    rmSync(disk, { recursive: true });
  });

  const clean = (what, text) => {
    for (const secret of PLANTED) assert.ok(!text.toLowerCase().includes(secret), `${what} tells ${secret}: ${text.slice(0, 600)}`);
  };
  /** Asks, and searches whatever comes back, the address a reader is sent to included. */
  const ask = async (method, path, headers, body) => {
    asked += 1;
    const response = await worker.fetch(path, { method, headers: { ...HEADERS, ...headers }, body, redirect: "manual" });
    const what = `${method} ${path} with ${String(body).slice(0, 200)}: ${response.status}`;
    clean(what, JSON.stringify([...response.headers]));
    clean(what, await response.text());
    assert.ok(response.status < 500, what);
    return response.status;
  };

  for (const [method, path, headers, body] of ROUTES) {
    it(`is in no answer of ${method} ${path}`, async () => {
      const asked = { campaign: "lunch", slots: 2, message_id: "user-4711 anna", profile: profile(4711, "fi/helsinki", { consent: true }) };
      const route = path.replace("TOKEN", JSON.parse(mintToken(TOKEN_KEYS, JSON.stringify(asked))).token);
      const paths = ["anna.virtanen@example.com", "user-4711", "60.1712345,24.9398765", "203.0.113.77", "%61nna%404711"].map((plant) => route.replaceAll("{}", plant));
      const statuses = new Set();
      for (const there of [route.replaceAll("{}", READER), ...paths]) {
        statuses.add(await ask(method, `${there}?user=anna.virtanen@example.com&id=4711`, headers, body && JSON.stringify(body)));
        statuses.add(await ask(method, there, { Authorization: "Bearer anna-4711" }, body && JSON.stringify(body)));
        statuses.add(await ask("PATCH", there, headers));
      }
      if (body) for (const text of planted(body)) statuses.add(await ask(method, path.replaceAll("{}", READER), headers, text));
      assert.ok(/^.[oc]/.test(path) || [...statuses].some((status) => status >= 400), "nothing was wrong with any of it");
    });
  }

  it("is in no answer of a batch", async () => {
    const lines = planted(RANK).filter(Boolean);
    await ask("POST", "/v1/rank/batch", bearer(RANK_KEY), lines.join("\n"));
    assert.ok(lines.length > 300, `${lines.length}`);
  });

  it("is in no log, not in KV, and on no disk but where a reader's last event is kept", async () => {
    assert.equal(await ask("POST", "/v1/events", bearer(EVENTS_KEY), JSON.stringify({ ...EVENT, at: new Date().toISOString() })), 200);
    clean("the log", worker.log());
    const kv = await worker.kv();
    const { keys } = await kv.list();
    assert.ok(keys.every(({ name }) => /^(area|good.campaign|campaign|market)\//.test(name)), JSON.stringify(keys));
    for (const { name } of keys) clean(name, name + Buffer.from(await kv.get(name, "arrayBuffer")).toString("latin1"));
    assert.match(worker.log(), /freshrank-record/, "decisions are written down, and searched as well");
    const files = readdirSync(disk, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    assert.ok(files.length > 1, "objects are on disk");
    const degrees = Buffer.alloc(8);
    degrees.writeDoubleBE(PLACE.latitude);
    const holders = () => files.filter((file) => existsSync(join(file.parentPath, file.name)) && readFileSync(join(file.parentPath, file.name)).includes(degrees));
    // Whoever says that a reader is a merchant finds them among the closed merchants, whose names are kept as they are told.
    for (const file of files.filter(({ parentPath }) => !parentPath.includes("Closures"))) clean(file.name, file.name + readFileSync(join(file.parentPath, file.name), "latin1"));
    assert.ok(holders().every((file) => file.parentPath.includes("Readers")) && holders().length > 0, "SQLite writes degrees so");
    console.log(`# ${asked} requests, ${files.length} files and the log searched for ${PLANTED.length} plants`);
  });
});
