// How many requests does the Worker answer, beside a Worker that says hello? All run under workerd on the loopback, one after the other in
// turns, asked by the same wrk; what is told is the ratio. workerd's memory is looked at after every turn: it must not grow.
//
//   node benches/load.mjs [--requests N] [--module lite|full] [--out FILE]
//
// KV and Durable Objects are as wrangler simulates them. Two things of workerd's make a request wait for seconds, whatever its Worker does. It
// runs all Workers of a process on one thread, one at a time, and who waits for another one than the one that runs has no place in a queue
// (`takeAsyncLockImpl` in its worker.c++). On Cloudflare no other Worker stands before ours, nor one in its process between it and static assets;
// so here all are asked at sockets of their own, and cards come from another process. And it looks for new requests only when it has nothing
// left to do: where every connection asks again at once, some are not read for as long as the others keep it busy, "hello" too. So how many
// requests a second go is told of turns in which everybody asks at once, and how long one takes of turns at a steady pace that leaves room.
//
// A third Worker tells what of that is not ranking: plain JavaScript that reads, asks an object and fetches a card as ours does, and decides
// nothing.

import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs, promisify } from "node:util";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const { HELSINKI, area, display, fingerprintHex, png, profile } = await import(pathToFileURL(join(ROOT, "wasm/worker/tests/bytes.mjs")));
const { ASSETS, RANK_KEY, TOKEN_KEYS, startWorker } = await import(pathToFileURL(join(ROOT, "wasm/worker/tests/workerd.mjs")));
const PACKAGE = process.env.FRESHRANK_WEB ?? join(ROOT, "target/modules/web-full");
const { mintToken } = createRequire(import.meta.url)(join(PACKAGE, "nodejs/freshrank.js"));
const { Miniflare } = createRequire(join(ROOT, "wasm/package.json"))("miniflare");

const { values: wanted } = parseArgs({
  options: {
    requests: { type: "string", default: "200000" },
    module: { type: "string", default: "full" },
    out: { type: "string", default: join(ROOT, "target/report/load.json") },
  },
});
const REQUESTS = Number(wanted.requests);
const CONNECTIONS = 8;
const MANY = REQUESTS > 20_000;
/** Seconds of a turn at a steady pace: long enough for a p99, short enough that all see the same machine. */
const STEADY = MANY ? 10 : 3;
/** Seconds of a turn of who is only compared with, and of one as fast as it goes. */
const OTHER = 3;
/** What a steady pace leaves of the requests that go. */
const ROOM = 0.5;
/** Fewer turns than this tell nothing of memory: V8's heap finds its size over some 30,000 requests. */
const TURNS_OF_MEMORY = 12;
/** What the last quarter of the turns may hold above the second quarter: what a collector leaves lying about. */
const GROWTH = 1.1;
const MERCHANTS = 300;
/** Messages that are opened again and again, by three pictures each. Each has its ledger and each rank its reader, whose first touch makes a
 * file here: that is done before the first turn. */
const MESSAGES = 50;
const SLOTS = 3;
/** Of ten requests: what a mailing looks like while it is read, and a sender at work beside it. */
const MIX = ["picture", "picture", "rank", "picture", "picture", "click", "picture", "rank", "picture", "rank"];
const PROXY = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
const PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/** One turn of wrk: requests a second, microseconds at the median and the 99th percentile, and what went wrong. */
async function wrk(url, script, seconds) {
  // Meanwhile somebody has to read what the Worker says, or it waits for that.
  const { stdout: words } = await promisify(execFile)("wrk", ["-t1", `-c${CONNECTIONS}`, `-d${seconds}s`, "--timeout", "10s", "-s", script, url]);
  return JSON.parse(words.slice(words.indexOf("{")));
}

/** The requests, in turn, and a line of JSON at the end. With a `pause` every connection waits as many milliseconds on average before it asks again. */
function script(folder, name, requests, pause = 0) {
  const quoted = (text) => JSON.stringify(text);
  const made = requests.map(({ method = "GET", path, headers = {}, body }) => {
    const fields = Object.entries(headers).map(([key, value]) => `[${quoted(key)}] = ${quoted(value)}`);
    return `wrk.format(${quoted(method)}, ${quoted(path)}, {${fields.join(", ")}}, ${body === undefined ? "nil" : `[==[${body}]==]`})`;
  });
  const file = join(folder, `${name}.lua`);
  writeFileSync(
    file,
    `local made, n = nil, 0
init = function() made = { ${made.join(",\n")} } end
request = function() n = n % #made + 1; return made[n] end
${pause > 0 ? `delay = function() return math.random(0, ${Math.round(2 * pause)}) end` : ""}
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('{"requests": %d, "seconds": %.6f, "p50": %d, "p99": %d, "longest": %d, "errors": %d}\\n', summary.requests,
    summary.duration / 1e6, latency:percentile(50), latency:percentile(99), latency.max, e.connect + e.read + e.write + e.status + e.timeout))
end
`,
  );
  return file;
}

/** The workerd that was started last by this process. */
function workerds() {
  return new Set(
    readdirSync("/proc").filter((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, "utf8");
        return /^Name:\s+workerd$/m.test(status) && new RegExp(`^PPid:\\s+${process.pid}$`, "m").test(status);
      } catch {
        return false;
      }
    }),
  );
}
const resident = (pid) => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;

const folder = mkdtempSync(join(tmpdir(), "freshrank-load-"));
const many = Array.from({ length: MERCHANTS }, (_, i) => ({ id: `m${i}`, north_km: (i % 60) / 20, popularity: 1 + (i % 17) }));
/** A Worker of one script, at its own socket. */
async function start(script, more = {}) {
  const miniflare = new Miniflare({
    host: "127.0.0.1",
    port: 0,
    cf: false,
    workers: [{ name: "other", unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }], modules: true, compatibilityDate: "2026-04-01", script, ...more }],
  });
  await miniflare.ready;
  const { origin, host } = await miniflare.unsafeGetDirectURL("other");
  return { origin, host, stop: () => miniflare.dispose() };
}
const cards = join(folder, "cards");
const card = (path) => {
  mkdirSync(dirname(join(cards, path)), { recursive: true });
  writeFileSync(join(cards, path), png(path));
};
card("fallback.png");
for (const { id } of many) card(`${fingerprintHex(id)}/none.png`);
const hello = await start(`export default { fetch: () => new Response("hello") }`);
const drawn = await start(`export default { fetch: (request, { CARDS }) => CARDS.fetch(request) }`, { assets: { ...ASSETS, directory: cards } });
const plain = await start(
  `import { DurableObject } from "cloudflare:workers";
   export class Room extends DurableObject { fetch = async (request) => new Response(await request.text()); }
   const ask = async ({ ROOMS }, name) => (await ROOMS.getByName(name).fetch("https://object/", { method: "POST", body: name })).text();
   export default {
     async fetch(request, env) {
       const [, kind, name] = new URL(request.url).pathname.split("/");
       if (kind === "v1") return new Response(await ask(env, (await request.json()).id));
       await ask(env, name);
       return kind === "c" ? new Response(name) : new Response(await (await env.CARDS.fetch("https://cards/fallback.png")).arrayBuffer());
     },
   };`,
  { durableObjects: { ROOMS: { className: "Room", useSQLite: true } }, serviceBindings: { CARDS: { external: { address: drawn.host, http: {} } } } },
);
const before = workerds();
const worker = await startWorker({ module: wanted.module, direct: true, cardsAt: drawn.host, vars: { LINK_TEMPLATE: "https://shop.example/{merchant_id}" } });
const [pid] = [...workerds()].filter((pid) => !before.has(pid));

const put = async (path, bytes) => {
  const response = await worker.put(path, bytes);
  if (response.status !== 200) throw new Error(`${path} was not taken: ${await response.text()}`);
};
const bundle = area(many);
await put(`/v1/areas/${HELSINKI.cell}`, bundle);
await put(`/v1/areas/${HELSINKI.cell}/display`, display(bundle, many.map(({ id }) => ({ id, name: `The ${id}` }))));
await put("/v1/campaigns/lunch", JSON.stringify({ id: "lunch", layers: { global: { slots: SLOTS } } }));
const headers = { Authorization: `Bearer ${RANK_KEY}`, "Content-Type": "application/json" };
const { latitude, longitude } = HELSINKI;
const rank = (i) => ({
  method: "POST",
  path: "/v1/rank",
  headers,
  body: JSON.stringify({ id: `m${i}`, profile: profile(i + 1), context: { latitude, longitude, grade: "exact" } }),
});
const tokens = Array.from({ length: MESSAGES }, (_, i) => {
  const message = { campaign: "lunch", market: "fi/helsinki", slots: SLOTS, message_id: `message ${i}`, consent: true };
  return JSON.parse(mintToken(TOKEN_KEYS, JSON.stringify(message))).token;
});
const agent = (i) => ({ "User-Agent": i % 2 ? PROXY : PERSON });
const asks = {
  picture: (i) => ({ path: `/o/${tokens[i % MESSAGES]}/${1 + (i % SLOTS)}.png`, headers: agent(i) }),
  click: (i) => ({ path: `/c/${tokens[i % MESSAGES]}/${1 + (i % SLOTS)}`, headers: { "User-Agent": PERSON } }),
  rank,
};
const mix = Array.from({ length: 6 * MESSAGES }, (_, i) => asks[MIX[i % MIX.length]](i));
for (const { path, ...how } of mix) {
  const response = await worker.fetch(path, { ...how, redirect: "manual" });
  await response.arrayBuffer();
  if (response.status !== 200 && response.status !== 302) throw new Error(`${path.slice(0, 8)} once, before the first turn: status ${response.status}`);
}
const sorts = [...new Set(MIX)].map((sort) => `${MIX.filter((other) => other === sort).length} ${sort}s`);

const asked = { hello: [hello.origin, [{ path: "/" }]], plain: [plain.origin, mix], worker: [worker.url, mix] };
const turns = Object.fromEntries(Object.keys(asked).map((who) => [who, { full: [], steady: [] }]));
/** Asks one of them for as long. */
async function turn(who, pace, seconds, pause) {
  const [url, requests] = asked[who];
  const now = await wrk(url, script(folder, who, requests, pause), seconds);
  turns[who][pace].push(now);
  return now.requests;
}
const memory = [];
const once = await wrk(worker.url, script(folder, "worker", mix), OTHER);
const pause = (CONNECTIONS * 1000) / ((once.requests / once.seconds) * ROOM);
let n = 0;
while (n < REQUESTS) {
  for (const other of ["hello", "plain"]) {
    await turn(other, "full", OTHER);
    await turn(other, "steady", OTHER, pause);
  }
  n += await turn("worker", "full", MANY ? STEADY / 2 : OTHER);
  n += await turn("worker", "steady", STEADY, pause);
  memory.push(resident(pid));
}
const log = worker.log();
await Promise.all([worker, plain, drawn, hello].map((one) => one.stop()));
rmSync(folder, { recursive: true });

/** The middle of all turns: one disturbed turn moves nothing. */
const middle = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const figure = (who, pace, of) => middle(turns[who][pace].map(of));
const errors = [...turns.worker.full, ...turns.worker.steady].reduce((sum, turn) => sum + turn.errors, 0);
const quarter = Math.ceil(memory.length / 4);
const mean = (values) => values.reduce((sum, mb) => sum + mb, 0) / values.length;
const [first, last] = [mean(memory.slice(quarter, 2 * quarter)) || memory[0], mean(memory.slice(-quarter))];
const OTHERS = { hello: "hello world", plain: "plain JavaScript" };
const rows = [
  ["requests a second", "full", (turn) => turn.requests / turn.seconds, "1/s"],
  ["p50 at a steady pace", "steady", (turn) => turn.p50, "us"],
  ["p99 at a steady pace", "steady", (turn) => turn.p99, "us"],
  ["longest of a turn", "steady", (turn) => turn.longest, "us"],
].flatMap(([name, pace, of, unit]) =>
  Object.entries(OTHERS).map(([other, against]) => {
    const [value, theirs] = [figure("worker", pace, of), figure(other, pace, of)];
    return { name, target: "workerd", value, unit, against, ratio: value / theirs, theirs };
  }),
);
const pace = figure("worker", "steady", (turn) => turn.requests / turn.seconds).toFixed(0);
console.log(
  `${n} requests of a mix of ${sorts.join(", ")}; ${wanted.module} module, ${CONNECTIONS} connections, ${memory.length} turns as fast as it goes and as many at ${pace} requests a second`,
);
for (const { name, value, against, theirs, unit, ratio } of rows) {
  console.log(`${name.padEnd(22)}${value.toFixed(0).padStart(8)} ${unit.padEnd(4)}${against.padStart(18)} ${theirs.toFixed(0).padStart(8)} ${unit.padEnd(4)} ratio ${ratio.toFixed(2)}`);
}
console.log(`errors ${errors}; workerd's memory ${first.toFixed(0)} MB in the second quarter, ${last.toFixed(0)} MB in the last (${memory.map((mb) => mb.toFixed(0)).join(" ")})`);
const report = [
  ...rows.map(({ theirs, ...row }) => row),
  { name: "errors", target: "workerd", value: errors, unit: "requests" },
  { name: "memory at the end", target: "workerd", value: last, unit: "MB", against: "second quarter", ratio: last / first },
];
mkdirSync(dirname(wanted.out), { recursive: true });
writeFileSync(wanted.out, `[\n${report.map((row) => `  ${JSON.stringify(row)}`).join(",\n")}\n]\n`);
if (/Critical|panicked/.test(log)) throw new Error(`the Worker panicked:\n${log}`);
if (errors > 0) throw new Error(`${errors} of ${n} requests were not answered well, expected none`);
if (memory.length < TURNS_OF_MEMORY) {
  console.log(`${memory.length} turns are too few to judge memory by: ask for 200,000 requests`);
} else if (last > first * GROWTH) {
  throw new Error(`workerd grew from ${first.toFixed(0)} to ${last.toFixed(0)} MB: something is kept from request to request`);
}
