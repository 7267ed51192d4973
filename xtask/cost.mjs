// What the Worker's requests take of a CPU under workerd on this machine, and how large what it moves is. `node xtask/cost.mjs SCENE`
//
// Prints numbers by name. The time is the whole process's: what a Worker takes that does nothing is taken off, and told as well.

import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { counts } from "./cost-open.mjs";
import { HELSINKI } from "../wasm/worker/tests/bytes.mjs";
import { startWorker } from "../wasm/worker/tests/workerd.mjs";

const { Miniflare } = createRequire(new URL("../wasm/worker/tests/workerd.mjs", import.meta.url))("miniflare");
const [WARM, ASKED, LINES] = [500, 3000, 3000];
// The kernel counts in hundredths of a second.
const MS_A_TICK = 10;

const scene = resolve(process.argv[2]);
const text = (name) => readFileSync(join(scene, name), "utf8");
const [area, campaign, request] = [readFileSync(join(scene, "area.frab")), text("campaign.json"), text("request.json")];
const { profile } = JSON.parse(request);

const worker = await startWorker();
await publish(worker);
const rank = async () => {
  const response = await worker.rank(request);
  const reply = await response.text();
  const { kept, scorer } = JSON.parse(reply);
  if (kept !== 200 || scorer !== "dense") throw new Error(`not the decision that is asked for: ${reply}`);
  return reply;
};
const reply = await rank();
const asked = await cpuMs(rank);
const batch = `${Array(LINES).fill(request).join("\n")}\n`;
const lines = async () => {
  const replies = (await (await worker.rank(batch, "/v1/rank/batch")).text()).trimEnd().split("\n");
  if (replies.length !== LINES || replies.at(-1) !== reply) throw new Error(`a line of a batch is answered otherwise: ${replies.at(-1)}`);
};
await lines();
const before = ticks();
await lines();
const line = ((ticks() - before) * MS_A_TICK) / LINES;
await worker.stop();

const nothing = new Miniflare({
  host: "127.0.0.1",
  port: 0,
  cf: false,
  modules: true,
  compatibilityDate: "2026-04-01",
  script: `export default { fetch: async (request) => { await request.text(); return new Response("{}"); } };`,
});
const { origin } = await nothing.ready;
const hello = await cpuMs(async () => (await fetch(origin, { method: "POST", body: request })).text());
await nothing.dispose();

console.log(
  JSON.stringify({
    hello_cpu_ms: hello,
    request_cpu_ms: Math.max(asked - hello, 0),
    line_cpu_ms: line,
    profile_bytes: Buffer.from(profile, "base64url").length,
    area_bytes: area.length,
    reply_bytes: Buffer.byteLength(reply),
    ...(await counts()),
  }),
);

/** Puts area and campaign where the Worker looks for them. */
async function publish(worker) {
  for (const [path, bytes] of [[`/v1/areas/${HELSINKI.cell}`, area], [`/v1/campaigns/${JSON.parse(campaign).id}`, campaign]]) {
    const response = await worker.put(path, bytes);
    if (!response.ok) throw new Error(`PUT ${path}: ${response.status} ${await response.text()}`);
  }
}

/** Milliseconds of CPU a time. */
async function cpuMs(ask) {
  for (let n = 0; n < WARM; n += 1) await ask();
  const before = ticks();
  for (let n = 0; n < ASKED; n += 1) await ask();
  return ((ticks() - before) * MS_A_TICK) / ASKED;
}

/** User and system time of the workerd that this process started. */
function ticks() {
  const stat = (pid) => readFileSync(`/proc/${pid}/stat`, "utf8");
  const after = (line) => line.slice(line.lastIndexOf(")") + 2).split(" ");
  const mine = readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && stat(pid).includes("(workerd)") && Number(after(stat(pid))[1]) === process.pid;
    } catch {
      return false;
    }
  });
  if (mine.length !== 1) throw new Error(`found ${mine.length} workerd of this process, expected 1`);
  const fields = after(stat(mine[0]));
  return Number(fields[11]) + Number(fields[12]);
}
