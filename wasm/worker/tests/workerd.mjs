// A Worker under workerd on this machine, with KV in memory: what the tests and the parity check talk to.
//
// `FRESHRANK_WORKER` names the directory of the full module; else it is where `cargo xtask build worker` puts it.

import { existsSync, readFileSync } from "node:fs";
import { request as open } from "node:http";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Miniflare } from "miniflare";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");
export const RANK_KEY = "rank-key-of-the-tests";
export const PUBLISH_KEY = "publish-key-of-the-tests";
export const EVENTS_KEY = "events-key-of-the-tests";
export const HELSINKI_KEY = "helsinki-key-of-the-tests";
export const US_KEY = "us-key-of-the-tests";
export const TOKEN_KEYS = `k1 ${Buffer.alloc(32, 7).toString("base64url")}`;
const LAYER_KEYS = `lunch/fi/helsinki ${HELSINKI_KEY}\nlunch/us ${US_KEY}`;

/** A ledger that fails, or never answers. */
const NO_LEDGER = {
  name: "no-ledger",
  modules: true,
  compatibilityDate: "2026-04-01",
  durableObjects: { OTHERS: { className: "Fails" }, MORE: { className: "Hangs" } },
  script: `
    import { DurableObject } from "cloudflare:workers";
    export class Fails extends DurableObject { fetch() { throw new Error("broken"); } }
    export class Hangs extends DurableObject { fetch() { return new Promise((resolve) => setTimeout(() => resolve(new Response("late")), 60_000)); } }
    export default { fetch: () => new Response("not here", { status: 404 }) };`,
};

/** Who takes records off a queue, a line of the console each. */
const CONSUMER = {
  name: "consumer",
  modules: true,
  compatibilityDate: "2026-04-01",
  queueConsumers: { records: { maxBatchTimeout: 0.1 } },
  script: `export default { queue: (batch) => batch.messages.forEach(({ body }) => console.log("consumed " + body)) };`,
};
/** Where records go: a queue whose consumer writes lines, an Analytics Engine data set, or something that takes none. */
const RECORDS = {
  queue: { queueProducers: { RECORDS: "records" } },
  analytics: { analyticsEngineDatasets: { RECORDS: { dataset: "freshrank" } } },
  neither: { bindings: { RECORDS: "a text" } },
};

/** How a Worker has static assets: bound, and behind it. */
export const ASSETS = { binding: "CARDS", routerConfig: { invoke_user_worker_ahead_of_assets: true, has_user_worker: true } };

/** The real KV behind a door that can be shut. */
const FLAKY = {
  name: "flaky-kv",
  modules: true,
  kvNamespaces: ["AREAS"],
  script: `export default ({ AREAS }) => ({
    ...Object.fromEntries(["getWithMetadata", "list", "delete"].map((name) => [name, (...args) => AREAS[name](...args)])),
    get: async (...args) => {
      const state = await AREAS.get("state");
      if (state === "fails") throw new Error("fails");
      if (state === "hangs") await new Promise((resolve) => setTimeout(resolve, 60_000));
      return AREAS.get(...args);
    },
    put: async (...args) => {
      if ((await AREAS.get("state")) === "broken") throw new Error("broken");
      return AREAS.put(...args);
    },
  });`,
};

/** Where a module's `index.js` and `index_bg.wasm` are. */
export function directory(module = "full") {
  const given = module === "full" ? process.env.FRESHRANK_WORKER : process.env.FRESHRANK_WORKER_LITE;
  return given ?? join(ROOT, "target/modules", `worker-${module}`);
}

/**
 * Starts a module on a free port of the loopback. `secrets` replaces the keys, and `kv: false` leaves KV unbound, `registry: false` the registry; `patch` may
 * change the module's bytes. A `flaky` one has a KV that takes nothing while `setKv` says "broken", and whose reading `fails` or `hangs`.
 * `cards` is a folder of pictures, `cardsAt` where a server of them listens (HOST:PORT), `ledger` false for none, "Fails" or "Hangs", and `vars` are variables of the deployment. Without `rooms`
 * nobody keeps events, objections and closed merchants, "Fails" breaks what keeps them; a `second` isolate of the same module shares the objects
 * and is asked by `fetchSecond`. `records` go to a "queue", whose consumer writes each down as `consumed ...`, or to an "analytics" data set. A module
 * `around` stands between the runtime and `index.js`. A `direct` one is asked at a socket of its own, without miniflare's own Worker before it.
 *
 * `fetch(path, init)` asks as anyone, `rank(request)` and `put(path, bytes)` with their keys; `kv()` is the namespace itself.
 */
export async function startWorker({ module = "full", secrets = { RANK_KEY, PUBLISH_KEY, EVENTS_KEY, LAYER_KEYS, TOKEN_KEYS }, kv = true, registry = kv, ledger = true, rooms = true, second = false, persist, cards, cardsAt, vars = {}, flaky = false, records, around, direct = false, patch = (wasm) => wasm } = {}) {
  const root = directory(module);
  if (!existsSync(join(root, "index.js"))) {
    const flag = module === "lite" ? " --lite" : "";
    throw new Error(`no module in ${root}: run \`cargo xtask build worker${flag}\` first`);
  }
  const logged = [];
  const script = {
    name: "freshrank",
    modulesRoot: root,
    modules: [
      ...(around === undefined ? [] : [{ type: "ESModule", path: join(root, "around.js"), contents: around }]),
      { type: "ESModule", path: join(root, "index.js") },
      { type: "CompiledWasm", path: join(root, "index_bg.wasm"), contents: patch(readFileSync(join(root, "index_bg.wasm"))) },
    ],
    compatibilityDate: "2026-04-01",
    ...(flaky ? { wrappedBindings: { AREAS: FLAKY.name } } : { kvNamespaces: kv ? ["AREAS"] : [] }),
    durableObjects: {
      ...(registry && { REGISTRY: { className: "Registry", useSQLite: true } }),
      ...(ledger === true && { LEDGER: { className: "Ledger", useSQLite: true } }),
      ...(typeof ledger === "string" && { LEDGER: { className: ledger, scriptName: NO_LEDGER.name } }),
      ...(rooms === true && { CLOSURES: { className: "Closures", useSQLite: true }, READERS: { className: "Readers", useSQLite: true } }),
      ...(typeof rooms === "string" && { CLOSURES: { className: rooms, scriptName: NO_LEDGER.name }, READERS: { className: rooms, scriptName: NO_LEDGER.name } }),
    },
    ...RECORDS[records],
    bindings: { ...secrets, ...vars, ...RECORDS[records]?.bindings },
    ...(cards && { assets: { ...ASSETS, workerName: "freshrank", directory: cards } }),
    ...(cardsAt && { serviceBindings: { CARDS: { external: { address: cardsAt, http: {} } } } }),
    ...(direct && { unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] }),
  };
  // A script of its own is an isolate of its own.
  const { durableObjects } = script;
  const other = {
    ...script,
    name: "second",
    durableObjects: Object.fromEntries(Object.entries(durableObjects).map(([name, room]) => [name, { scriptName: script.name, ...room }])),
  };
  const options = {
    ...(persist ? { durableObjectsPersist: persist } : {}),
    host: "127.0.0.1",
    port: 0,
    cf: false,
    workers: [script, ...(flaky ? [FLAKY] : []), ...(typeof ledger === "string" || typeof rooms === "string" ? [NO_LEDGER] : []), ...(records === "queue" ? [CONSUMER] : []), ...(second ? [other] : [])],
    handleRuntimeStdio: (stdout, stderr) => {
      for (const stream of [stdout, stderr]) stream.on("data", (text) => logged.push(String(text)));
    },
  };
  const miniflare = new Miniflare(options);
  const origin = async () => {
    const entry = await miniflare.ready;
    return (direct ? await miniflare.unsafeGetDirectURL(script.name) : entry).origin;
  };
  let url = await origin();
  const namespace = () => miniflare.getKVNamespace("AREAS", flaky ? FLAKY.name : script.name);
  const ask = async (path, init, attempts = 5) => {
    try {
      return await fetch(url + path, init);
    } catch (error) {
      // Who is refused before the body was read loses the connection as well, and `fetch` may ask the next thing on it.
      if (attempts === 1 || error.message !== "fetch failed") throw error;
      return ask(path, init, attempts - 1);
    }
  };
  return {
    get url() {
      return url;
    },
    fetch: ask,
    fetchSecond: async (path, init) => (await miniflare.getWorker("second")).fetch(`https://second${path}`, init),
    rank: (request, path = "/v1/rank") =>
      ask(path, {
        method: "POST",
        headers: { Authorization: `Bearer ${RANK_KEY}` },
        body: typeof request === "string" || request instanceof Uint8Array ? request : JSON.stringify(request),
      }),
    put: (path, bytes) =>
      ask(path, { method: "PUT", headers: { Authorization: `Bearer ${PUBLISH_KEY}` }, body: bytes }),
    kv: namespace,
    /** Whether a flaky KV takes what is put: "well" or "broken". */
    setKv: async (state) => (await namespace()).put("state", state),
    /** What the runtime wrote; a panic shows as `Critical`. */
    log: () => logged.join(""),
    /** A fresh isolate over the same KV and objects, with these variables changed. */
    restart: async (changed = {}) => {
      Object.assign(script.bindings, changed);
      await miniflare.setOptions(options);
      url = await origin();
    },
    stop: () => miniflare.dispose(),
  };
}

/** Sends `n` bytes of a body that never ends, and waits for the answer. */
export function upload(worker, path, headers, n, method = "POST", key = RANK_KEY) {
  return new Promise((resolve, reject) => {
    const request = open(worker.url + path, { method, headers: { Authorization: `Bearer ${key}`, ...headers } });
    request.on("error", reject);
    request.on("response", async (response) => {
      const text = Buffer.concat(await response.toArray());
      request.destroy();
      resolve(new Response(text, { status: response.statusCode, headers: response.headers }));
    });
    request.flushHeaders();
    if (n > 0) request.write(Buffer.alloc(n, " "));
  });
}
