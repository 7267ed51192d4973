// What the parts of this folder tell each other. `Chances` and `Possible` are the engine's (wasm/web/types.d.ts).

import type { Estimator, Health, Interval } from "./ope.js";

/** A campaign as it is published: layers by path. */
export interface Campaign {
  id: string;
  layers: Record<string, Record<string, unknown>>;
  /** What every campaign starts from; a campaign is passed on whole. */
  defaults?: Record<string, Record<string, unknown>>;
}

/** A sample reader: a made-up one, or one of a sender's own file, which stays in this browser. */
export interface Reader {
  id: string;
  /** A request to the engine without its campaign. */
  request: { profile?: string; context: Record<string, unknown>; [more: string]: unknown };
}

/** What an engine is given, in a page or in a worker. */
export interface EngineInputs {
  /** Of the package's `web/freshrank.js` and `web/freshrank_bg.wasm`. */
  script: string;
  wasm: string;
  /** A ranker; absent is the one compiled in. */
  plan?: Uint8Array;
  areas: Uint8Array[];
  displays: Uint8Array[];
}

export interface ChanceSlot {
  merchant: string | null;
  propensity: number;
  score: number | null;
  sponsored: boolean;
  open: boolean | null;
  distance_km: number | null;
  cluster: number | null;
  pool: string | null;
  options: [string, number, number][];
}
export interface Chances {
  at: string;
  cell: string | null;
  explores: boolean;
  title: string;
  slots: ChanceSlot[];
}
export interface Card {
  merchant_id: string;
  name: string;
  cuisines: string;
}

/** The engine, as far as this folder asks it. */
export interface Engine {
  setCampaign(json: string): string;
  chances(request: string, shown?: string): string;
  everyMessage(request: string, limit: number): string;
  cards(): string;
}

/** What a reader gets of both campaigns, and what can be learnt of one from the other. */
export interface Pair {
  reader: string;
  published: Chances;
  draft: Chances;
  /** The message that estimates learn from, the chance of it under the draft, and that of the draft's under whoever sent it. */
  logged: Chances;
  asked: Chances;
  support: Chances;
  /** Where every possible message is known: of each card of `logged`, [sender's, draft's]; and the pseudo-inverse's weight. */
  marginals?: [number, number][];
  pseudo?: number;
  /** Clicks by slot of a loaded log. */
  clicks?: number[];
}

/** Work for a worker: a reader, and what was sent to them if that is known. */
export interface Task {
  reader: Reader;
  sent?: { merchants: (string | null)[]; propensities: number[]; clicks: number[] };
}

export interface Estimate {
  /** `null` where the log cannot say. */
  per_thousand: number | null;
  interval: Interval | null;
  gain: Interval | null;
}

/** What is known of clicks. */
export interface Clicks {
  /** Clicks are made up, or those of a log. */
  simulated: boolean;
  published_per_thousand: number;
  estimates: Record<Estimator, Estimate>;
  health: Health;
  clip: number;
  unsupported: number;
  /** Why there is no interval. */
  declined: string | null;
  /** Only of made-up clicks: what the draft would truly earn. */
  truth_per_thousand: number | null;
  seed: number;
  rounds: number;
  notes: string[];
}
