// What a sender asks of the Worker: a batch again with the same answer, and links short enough for a text message.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { HELSINKI, area } from "./bytes.mjs";
import { RANK_KEY, startWorker } from "./workerd.mjs";

const { latitude, longitude, cell } = HELSINKI;
// Without a time of their own.
const LINES = [1, 2, 3].map((n) => JSON.stringify({ id: `m${n}`, context: { latitude, longitude, grade: "exact" } })).join("\n");
const TOKEN = "AbC-_09".repeat(60);

describe("a sender", () => {
  let worker;
  before(async () => {
    worker = await startWorker();
    const put = await worker.put(`/v1/areas/${cell}`, area([{ id: "near", north_km: 0.2 }, { id: "far", north_km: 1.5 }]));
    assert.equal(put.status, 200);
  });
  after(async () => {
    assert.doesNotMatch(worker.log(), /Critical|panicked/, "no request may panic");
    await worker.stop();
  });

  const post = (path, body, headers = {}) =>
    worker.fetch(path, { method: "POST", headers: { Authorization: `Bearer ${RANK_KEY}`, ...headers }, body });
  const batch = async (key) => {
    const response = await post("/v1/rank/batch", LINES, key ? { "Idempotency-Key": key } : {});
    return { status: response.status, at: response.headers.get("freshrank-at"), text: await response.text() };
  };
  const second = () => new Promise((resolve) => setTimeout(resolve, 1100));

  it("gets the same bytes for the same key, whenever it asks again", async () => {
    const first = await batch("2026-11-20/lunch/0001");
    assert.equal(first.status, 200);
    assert.equal(first.text.trim().split("\n").length, 3);
    assert.ok(first.text.includes(first.at), "every line says the batch's time");
    await second();
    await worker.restart();
    assert.deepEqual(await batch("2026-11-20/lunch/0001"), first);
    const other = await batch("2026-11-20/lunch/0002");
    assert.notEqual(other.at, first.at, "another key is another batch");
    assert.notEqual((await batch()).at, first.at);
  });

  it("is told when its key is none", async () => {
    assert.equal((await batch("k".repeat(256))).status, 400);
    const shut = await startWorker({ kv: false });
    const headers = { Authorization: `Bearer ${RANK_KEY}`, "Idempotency-Key": "k" };
    const refused = await shut.fetch("/v1/rank/batch", { method: "POST", headers, body: LINES });
    assert.equal(refused.status, 503, "a time that nobody keeps would be another the next time");
    await refused.text();
    await shut.stop();
  });

  it("has links of at most 25 characters that lead to their click", async () => {
    const ask = async () => (await post("/v1/short", `${JSON.stringify({ token: TOKEN })}\n${JSON.stringify({ token: "a/b" })}\n`)).text();
    const [line, bad] = (await ask()).trim().split("\n").map((text) => JSON.parse(text));
    assert.match(line.code, /^[0-9a-z]{16}$/);
    assert.ok(`${line.code}.12`.length <= 25);
    assert.equal(bad.status, 400);
    assert.equal(bad.line, 2);
    assert.ok(!JSON.stringify(bad).includes("a/b"), "a token is never repeated");
    assert.equal(JSON.parse((await ask()).split("\n")[0]).code, line.code, "asking again gives the same");
    const follow = async (path) => {
      const response = await worker.fetch(path, { redirect: "manual" });
      await response.text();
      assert.equal(response.status, 302);
      assert.match(response.headers.get("cache-control"), /no-store/);
      return response.headers.get("location");
    };
    assert.equal(await follow(`/s/${line.code}`), `/c/${TOKEN}/1`);
    assert.equal(await follow(`/s/${line.code}.12`), `/c/${TOKEN}/12`);
    assert.equal(await follow(`/s/${line.code}.evil`), `/c/${TOKEN}/1`);
    for (const unknown of ["0000000000000000", "x", "%00", `${line.code}0`]) {
      assert.equal(await follow(`/s/${unknown}`), "/c/-/1", "the click's route has an answer for every reader");
    }
    assert.equal((await worker.fetch("/v1/short", { method: "POST", body: "{}" })).status, 401);
  });
});
