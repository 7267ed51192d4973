// Where the edge's records go: over a real Queue to its consumer, and from there into `freshrank import log`; and a data set of Analytics Engine.
// Of that miniflare has the binding and its method, which keeps nothing: what is shown is that records go there and no picture, link or
// log suffers, not what a query of the data set would find.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { HELSINKI, area, display } from "./bytes.mjs";
import { TOKEN_KEYS, directory, startWorker } from "./workerd.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const PACKAGE = process.env.FRESHRANK_WEB ?? join(ROOT, "target/modules/web-full");
const CLI = process.env.FRESHRANK_CLI ?? join(ROOT, "target/release/freshrank");
const { mintToken } = createRequire(import.meta.url)(join(PACKAGE, "nodejs/freshrank.js"));
const module = existsSync(directory("lite")) ? "lite" : "full";

const PERSON = { "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0" };
const AREA = area([{ id: "forno", north_km: 0.2, popularity: 9 }, { id: "sushi", north_km: 0.9, popularity: 2 }]);
const DISPLAY = display(AREA, [{ id: "forno", name: "Forno", url: "https://shop.example/forno" }, { id: "sushi", name: "Sushi Bar", url: "https://shop.example/sushi" }]);
const dir = mkdtempSync(join(tmpdir(), "freshrank-records-"));
after(() => rmSync(dir, { recursive: true }));

/** A mail that a person opens and clicks; `check` looks at the Worker until it does not complain any more. */
async function opened(records, check) {
  const worker = await startWorker({ module, records, vars: { LINK_HOSTS: "shop.example" } });
  try {
    const campaign = JSON.stringify({ id: "lunch", layers: { global: { slots: 2 } } });
    for (const [path, bytes] of [[`/v1/areas/${HELSINKI.cell}`, AREA], [`/v1/areas/${HELSINKI.cell}/display`, DISPLAY], ["/v1/campaigns/lunch", campaign]]) {
      const response = await worker.put(path, bytes);
      assert.equal(response.status, 200, await response.text());
    }
    const minted_at = `${new Date(Date.now() - 3_600_000).toISOString().slice(0, 19)}Z`;
    const asked = { campaign: "lunch", market: "fi/helsinki", slots: 2, consent: true, message_id: "2026-11-20/1", minted_at };
    const { token } = JSON.parse(mintToken(TOKEN_KEYS, JSON.stringify(asked)));
    const picture = await worker.fetch(`/o/${token}/1.png`, { headers: PERSON });
    assert.deepEqual([picture.status, picture.headers.get("content-type")], [200, "image/png"]);
    const click = await worker.fetch(`/c/${token}/1`, { headers: PERSON, redirect: "manual" });
    assert.equal(click.headers.get("location"), "https://shop.example/forno");
    for (let tries = 0; ; tries += 1) {
      try {
        check(worker.log());
        break;
      } catch (error) {
        if (tries === 50) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    assert.doesNotMatch(worker.log(), /Critical|panicked/);
  } finally {
    await worker.stop();
  }
}

describe("records", () => {
  it("of a decision and a click reach a queue's consumer as lines that `freshrank import log` takes", async () => {
    let lines;
    await opened("queue", (log) => {
      lines = [...log.matchAll(/consumed (\{.*\})/g)].map(([, line]) => line);
      assert.deepEqual(lines.map((line) => JSON.parse(line).type).sort(), ["click", "decision"], log);
      assert.doesNotMatch(log, /freshrank-record/, "where a queue is bound, the console has none");
    });
    const [records, messages] = [join(dir, "records.ndjson"), join(dir, "messages.csv")];
    writeFileSync(records, `${lines.join("\n")}\n`);
    writeFileSync(messages, "message_id,user_id\n2026-11-20/1,anna\n");
    const words = ["import", "log", "--log", records, "--messages", messages, "--out", join(dir, "events"), "--json"];
    const told = JSON.parse(execFileSync(CLI, words, { encoding: "utf8" }));
    assert.deepEqual([told.taken, told.left_out], [{ click: 1, seen: 2 }, {}], lines.join("\n"));
  });

  it("go to a data set of Analytics Engine, and nothing breaks", async () => {
    await opened("analytics", (log) => assert.doesNotMatch(log, /took no record|freshrank-record/, log));
  });

  it("that nothing takes cost a line of the console", async () => {
    await opened("neither", (log) => assert.match(log, /RECORDS took no record: "it is neither an Analytics Engine data set nor a Queue"/));
  });
});
