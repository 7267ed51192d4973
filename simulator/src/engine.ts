// The engine that serves readers, with what the page ships. Nothing here ranks: questions go in, answers come out.

import init, { Engine, readProfile } from "freshrank";
import script from "freshrank-script?url";
import wasm from "freshrank-wasm?url";
import type { Campaign, EngineInputs } from "./changes/index.js";
import type { Leaf, Located, Merchant, Problem, ReaderFacts, Reply, Request } from "./types";

/** What `pack.mjs` wrote first. */
export type Index = {
  as_of: string;
  simulated: string;
  areas: { cell: string; area: [number, number]; display: [number, number] }[];
  campaigns: Record<string, { document: unknown; files: Record<string, string> }>;
  readers: string[];
  schema: JsonSchema;
};

export type JsonSchema = { description?: string; enum?: string[]; type?: string | string[]; properties?: Record<string, JsonSchema>; [key: string]: unknown };

const DRAFT = "draft";

/** The engine, its areas and campaigns; every answer is parsed JSON, every refusal an `Error` in the engine's words. */
export class Simulator {
  private readonly byCell = new Map<string, Merchant[]>();
  private readonly byId = new Map<string, Merchant>();
  private readonly areas: Uint8Array[] = [];
  private readonly displays: Uint8Array[] = [];
  readonly cells = new Set<string>();

  private constructor(
    private readonly engine: Engine,
    readonly index: Index,
  ) {}

  static async open(base: string): Promise<Simulator> {
    const [index, areas] = await Promise.all([
      fetch(`${base}index.json`).then(read<Index>),
      fetch(`${base}areas.bin`).then((response) => (response.ok ? response.arrayBuffer() : Promise.reject(missing(response)))),
      init(),
    ]);
    const simulator = new Simulator(new Engine(), index);
    for (const { area, display } of index.areas) {
      simulator.addArea(new Uint8Array(areas, ...area));
      simulator.addDisplay(new Uint8Array(areas, ...display));
    }
    for (const { document } of Object.values(index.campaigns)) simulator.setCampaign(JSON.stringify(document));
    return simulator;
  }

  addArea(bytes: Uint8Array): string {
    const cell = this.engine.addArea(bytes);
    this.cells.add(cell);
    this.areas.push(bytes.slice());
    this.byCell.delete(cell);
    return cell;
  }

  addDisplay(bytes: Uint8Array): string {
    this.byCell.clear();
    this.displays.push(bytes.slice());
    return this.engine.addDisplay(bytes);
  }

  setCampaign(json: string): string {
    return this.engine.setCampaign(json);
  }

  rank(request: Request): Reply {
    return JSON.parse(this.engine.rank(JSON.stringify(request))) as Reply;
  }

  locate(request: Request): Located {
    return JSON.parse(this.engine.locate(JSON.stringify(request))) as Located;
  }

  merged(request: Request): Leaf[] {
    return JSON.parse(this.engine.merged(JSON.stringify(request))) as Leaf[];
  }

  reader(profile: string): ReaderFacts {
    return JSON.parse(readProfile(profile)) as ReaderFacts;
  }

  /** A layer as the campaign has it; null where there is none. */
  layer(campaign: string, path: string): Record<string, unknown> | null {
    return JSON.parse(this.engine.layer(campaign, path)) as Record<string, unknown> | null;
  }

  /** Puts the layer into the draft of a campaign; what is wrong with it, and the campaign to ask for. */
  draft(campaign: string, path: string, layer: unknown): { problems: Problem[]; campaign: string } {
    const name = `${campaign}/${DRAFT}`;
    const problems = JSON.parse(this.engine.draft(campaign, path, JSON.stringify(layer), name)) as Problem[];
    const broken = problems.some((problem) => problem.severity === "error");
    return { problems, campaign: broken ? campaign : name };
  }

  /** A campaign, or its draft, as it would be published. */
  document(campaign: string): Campaign {
    return JSON.parse(this.engine.document(campaign)) as Campaign;
  }

  /** What another engine needs to answer as this one does. */
  inputs(): EngineInputs {
    return { script: new URL(script, location.href).href, wasm: new URL(wasm, location.href).href, areas: this.areas, displays: this.displays };
  }

  /** Everybody who is in an area, and whoever else is known already. */
  merchants(cell: string | null): Merchant[] {
    if (cell === null || !this.cells.has(cell)) return [];
    let found = this.byCell.get(cell);
    if (!found) {
      found = JSON.parse(this.engine.merchants(cell)) as Merchant[];
      this.byCell.set(cell, found);
      for (const merchant of found) this.byId.set(merchant.merchant, merchant);
    }
    return found;
  }

  /** Everybody there is, each once. */
  everybody(): Merchant[] {
    for (const cell of this.cells) this.merchants(cell);
    return [...this.byId.values()].sort((a, b) => (a.name ?? "").localeCompare(b.name ?? ""));
  }

  name(merchant: string): string {
    return this.byId.get(merchant)?.name ?? merchant;
  }

  /** A sentence of the engine with names in place of fingerprints. */
  named(words: string): string {
    return words.replace(/\b[0-9a-f]{16}\b/g, (id) => this.name(id));
  }
}

async function read<T>(response: Response): Promise<T> {
  if (!response.ok) throw missing(response);
  return (await response.json()) as T;
}

function missing(response: Response): Error {
  return new Error(`${new URL(response.url).pathname} could not be loaded (${response.status}). Run \`cargo xtask simulator\` and serve its folder whole.`);
}

/** What else the page may show, once somebody asks. */
export async function load<T>(base: string, name: string): Promise<T> {
  return read<T>(await fetch(base + name));
}
