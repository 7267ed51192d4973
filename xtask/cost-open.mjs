// What an open and a click ask of everything that is charged by the request or the row, counted under workerd at the Worker's own bindings.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { HELSINKI, area, display, fingerprintHex, png, profile } from "../wasm/worker/tests/bytes.mjs";
import { TOKEN_KEYS, startWorker } from "../wasm/worker/tests/workerd.mjs";

/** The design's. */
const SLOTS = 6;
const MESSAGES = 50;
const PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const MERCHANTS = Array.from({ length: 12 }, (_, i) => ({ id: `m${i}`, north_km: 0.1 * (i + 1), popularity: 12 - i }));

/** Stands between the runtime and the Worker: every call of a binding is a line of the console, every object tells its rows. */
const COUNTING = `
  import * as all from "./index.js";
  const count = (name, n = 1) => console.log("counted " + name + " " + n);
  const done = new WeakSet();
  const counted = (object, method, name) => {
    const real = object[method].bind(object);
    Object.defineProperty(object, method, { value: (...words) => (count(name), real(...words)) });
  };
  const calls = { LEDGER: ["getByName", "ledger_requests"], READERS: ["getByName", "reader_requests"], CLOSURES: ["getByName", "closure_requests"], AREAS: ["get", "kv_reads"], CARDS: ["fetch", "asset_reads"] };
  const bindings = (env) => {
    if (done.has(env)) return;
    done.add(env);
    for (const [binding, [method, name]] of Object.entries(calls)) counted(env[binding], method, name);
  };
  const object = (kind, name) => new Proxy(kind, {
    construct(target, [state, env], made) {
      const { sql } = state.storage;
      const exec = sql.exec.bind(sql);
      let last;
      const told = () => {
        if (last) for (const rows of ["rowsRead", "rowsWritten"]) if (last[rows]) count(name + "_" + rows, last[rows]);
        last = undefined;
      };
      // A cursor knows its rows when it has been read: before the next one, and when the request is over.
      Object.defineProperty(sql, "exec", { value: (...words) => (told(), last = exec(...words), queueMicrotask(told), last) });
      counted(state.storage, "setAlarm", name + "_rowsWritten");
      return Reflect.construct(target, [state, env], made);
    },
  });
  export const Ledger = object(all.Ledger, "ledger");
  export const Readers = object(all.Readers, "reader");
  export const { Closures, Registry } = all;
  export default new Proxy(all.default, {
    construct(target, [ctx, env], made) {
      count("worker_requests");
      bindings(env);
      return Reflect.construct(target, [ctx, env], made);
    },
  });`;

/** Counts by name, of one open and of one click, in an isolate that has the area at hand. */
export async function counts() {
  const { mintToken } = createRequire(import.meta.url)(join(process.env.FRESHRANK_WEB, "nodejs/freshrank.js"));
  const cards = mkdtempSync(join(tmpdir(), "freshrank-cards-"));
  const paths = ["fallback", ...MERCHANTS.map(({ id }) => `${fingerprintHex(id)}/none`)];
  for (const path of paths) {
    mkdirSync(dirname(join(cards, path)), { recursive: true });
    writeFileSync(join(cards, `${path}.png`), png(path));
  }
  const worker = await startWorker({ around: COUNTING, cards, vars: { LINK_TEMPLATE: "https://shop.example/{merchant_id}" } });
  try {
    const bundle = area(MERCHANTS);
    const block = display(bundle, MERCHANTS.map(({ id }) => ({ id, name: id })));
    const lunch = JSON.stringify({ id: "lunch", layers: { global: { slots: SLOTS, chain_cap: 24, cuisine_cap: 24 } } });
    for (const [path, bytes] of [[`/v1/areas/${HELSINKI.cell}`, bundle], [`/v1/areas/${HELSINKI.cell}/display`, block], ["/v1/campaigns/lunch", lunch]]) {
      const response = await worker.put(path, bytes);
      if (!response.ok) throw new Error(`PUT ${path}: ${response.status} ${await response.text()}`);
    }
    const minted_at = `${new Date(Date.now() - 3_600_000).toISOString().slice(0, 19)}Z`;
    const mint = (n) => JSON.parse(mintToken(TOKEN_KEYS, JSON.stringify({ campaign: "lunch", slots: SLOTS, message_id: `m-${n}`, minted_at, profile: profile(n + 1, "fi/helsinki", { consent: true }) }))).token;
    const tokens = Array.from({ length: MESSAGES + 1 }, (_, n) => mint(n));
    const ask = async (path) => {
      const response = await worker.fetch(path, { headers: { "User-Agent": PERSON }, redirect: "manual" });
      await response.arrayBuffer();
      if (response.status !== (path.startsWith("/c/") ? 302 : 200)) throw new Error(`${path.slice(0, 3)}: ${response.status}`);
    };
    const open = (token) => Promise.all(Array.from({ length: SLOTS }, (_, slot) => ask(`/o/${token}/${slot + 1}.png`)));
    /** What is counted meanwhile, a time. */
    const during = async (n, work) => {
      await settled(worker);
      const before = worker.log().length;
      await work();
      await settled(worker);
      const found = {};
      for (const [, name, times] of worker.log().slice(before).matchAll(/counted (\w+) (\d+)/g)) found[name] = (found[name] ?? 0) + Number(times);
      return Object.fromEntries(Object.entries(found).map(([name, times]) => [name, times / n]));
    };
    const [first, ...others] = tokens;
    const cold = await during(1, () => open(first));
    const warm = await during(MESSAGES, async () => {
      for (const token of others) await open(token);
    });
    const click = await during(MESSAGES, async () => {
      for (const token of others) await ask(`/c/${token}/1`);
    });
    const of = (found, name) => found[name] ?? 0;
    if (of(warm, "worker_requests") !== SLOTS || of(click, "worker_requests") !== 1) throw new Error(`counted ${JSON.stringify({ warm, click })}, expected a request a picture`);
    return {
      picture_ledger_requests: of(warm, "ledger_requests") / SLOTS,
      open_ledger_rows_read: of(warm, "ledger_rowsRead"),
      open_ledger_rows_written: of(warm, "ledger_rowsWritten"),
      picture_reader_requests: of(warm, "reader_requests") / SLOTS,
      picture_reader_rows_read: of(warm, "reader_rowsRead") / SLOTS,
      open_reader_rows_written: of(warm, "reader_rowsWritten"),
      open_kv_reads: of(warm, "kv_reads"),
      open_card_reads: of(warm, "asset_reads"),
      cold_open_kv_reads: of(cold, "kv_reads"),
      cold_open_card_reads: of(cold, "asset_reads"),
      click_ledger_requests: of(click, "ledger_requests"),
      click_reader_requests: of(click, "reader_requests"),
    };
  } finally {
    await worker.stop();
    rmSync(cards, { recursive: true });
  }
}

/** Until nothing more is said: records are written after their pictures. */
async function settled(worker) {
  for (let before = -1; before !== worker.log().length; ) {
    before = worker.log().length;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
