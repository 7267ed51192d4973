// Ranks readers under both campaigns, away from the page. One engine a worker; what it is told is in `pool.ts`.

import { prepare, study } from "./study.js";
import type { FromWorker, ToWorker } from "./pool.js";
import type { Engine, Task } from "./types.js";
import type { Trial } from "./study.js";

interface Package {
  default(given: { module_or_path: WebAssembly.Module }): Promise<unknown>;
  Engine: new (plan?: Uint8Array) => Engine & { addArea(bytes: Uint8Array): string; addDisplay(bytes: Uint8Array): string };
}

const scope = self as unknown as { onmessage: (event: MessageEvent<ToWorker>) => void; postMessage(message: FromWorker): void };
let engine: Engine | null = null;
let trial: Trial | null = null;

async function open(message: Extract<ToWorker, { kind: "open" }>): Promise<void> {
  const { script, plan, areas, displays } = message.inputs;
  const loaded = (await import(/* @vite-ignore */ script)) as Package;
  await loaded.default({ module_or_path: message.module });
  const opened = new loaded.Engine(plan);
  for (const bytes of areas) opened.addArea(bytes);
  for (const bytes of message.with_cards ? displays : []) opened.addDisplay(bytes);
  prepare(opened, message.published, message.draft, message.trial);
  [engine, trial] = [opened, message.trial];
  scope.postMessage({ kind: "opened", cards: message.with_cards ? JSON.parse(opened.cards()) : null });
}

function work(tasks: Task[]): void {
  const ready = engine;
  if (ready === null) throw new Error("the worker was asked before it was opened");
  scope.postMessage({ kind: "done", pairs: tasks.map((task) => study(ready, task, trial)) });
}

scope.onmessage = ({ data }) => {
  const failed = (error: unknown) => scope.postMessage({ kind: "failed", problem: error instanceof Error ? error.message : String(error) });
  if (data.kind === "open") open(data).catch(failed);
  else {
    try {
      work(data.tasks);
    } catch (error) {
      failed(error);
    }
  }
};
