// As many workers as there are cores, each with its own engine, fed in small batches so that progress is true and cancelling is at once.

import type { Trial } from "./study.js";
import type { Campaign, Card, EngineInputs, Pair, Task } from "./types.js";

export type ToWorker =
  | { kind: "open"; inputs: EngineInputs; module: WebAssembly.Module; published: Campaign; draft: Campaign; trial: Trial | null; with_cards: boolean }
  | { kind: "work"; tasks: Task[] };
export type FromWorker = { kind: "opened"; cards: Record<string, Card> | null } | { kind: "done"; pairs: Pair[] } | { kind: "failed"; problem: string };

const BATCH = 25;
const MOST_WORKERS = 8;

export interface Job {
  inputs: EngineInputs;
  published: Campaign;
  draft: Campaign;
  trial: Trial | null;
  tasks: Task[];
  new_worker: () => Worker;
  progress: (done: number, of: number) => void;
  signal: AbortSignal;
  n_workers?: number;
}
export interface Result {
  /** In the order of the tasks, whichever worker did them. */
  pairs: Pair[];
  cards: Record<string, Card>;
  seconds: number;
  workers: number;
}

const modules = new Map<string, Promise<WebAssembly.Module>>();

/** Compiled once a page; workers share it. */
function compiled(url: string): Promise<WebAssembly.Module> {
  const module = modules.get(url) ?? fetch(url).then(async (reply) => {
    if (!reply.ok) throw new Error(`the engine could not be loaded (${reply.status} for ${url}): reload the page`);
    return WebAssembly.compile(await reply.arrayBuffer());
  });
  modules.set(url, module);
  module.catch(() => modules.delete(url));
  return module;
}

export async function run(job: Job): Promise<Result> {
  const { inputs, published, draft, trial, tasks, signal } = job;
  const began = performance.now();
  const module = await compiled(inputs.wasm);
  signal.throwIfAborted();
  const n = Math.max(1, Math.min(job.n_workers ?? (navigator.hardwareConcurrency || 2), MOST_WORKERS, Math.ceil(tasks.length / BATCH)));
  const workers = Array.from({ length: n }, job.new_worker);
  const pairs: Pair[] = new Array(tasks.length);
  let [next, done] = [0, 0];
  let cards: Record<string, Card> = {};
  try {
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      if (tasks.length === 0) resolve();
      workers.forEach((worker, at) => {
        let [from, size] = [0, 0];
        const feed = () => {
          [from, size] = [next, Math.min(BATCH, tasks.length - next)];
          next += size;
          if (size > 0) worker.postMessage({ kind: "work", tasks: tasks.slice(from, from + size) } satisfies ToWorker);
        };
        worker.onerror = (event) => reject(new Error(`a worker stopped (${event.message || "no reason given"}): reload the page and try again`));
        worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
          if (data.kind === "failed") return reject(new Error(data.problem));
          if (data.kind === "opened") cards = data.cards ?? cards;
          else {
            data.pairs.forEach((pair, i) => (pairs[from + i] = pair));
            done += size;
            job.progress(done, tasks.length);
            if (done === tasks.length) return resolve();
          }
          feed();
        };
        worker.postMessage({ kind: "open", inputs, module, published, draft, trial, with_cards: at === 0 } satisfies ToWorker);
      });
    });
  } finally {
    for (const worker of workers) worker.terminate();
  }
  return { pairs, cards, seconds: (performance.now() - began) / 1000, workers: n };
}
