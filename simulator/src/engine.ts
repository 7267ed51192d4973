// The engine that serves readers, and what it is given here. Nothing in this folder ranks, places or merges anything itself.

import init, { Engine } from "freshrank";
import type { AreaOf as Area, Campaign, Card, Checked, Listed as Merchant, MergedAt as Merged, PlaceOf, Position as Point, Problem, ProfileOf, Reply, Request, Scene } from "freshrank";

export { Engine };
export type { Area, Campaign, Card, Checked, Merchant, Merged, PlaceOf, Point, Problem, ProfileOf, Reply, Request, Scene };

export interface Reader { id: string; profile: string }
export interface Market { as_of: string; timezone: string; name: string; home: string; simulated: string; campaigns: Campaign[]; /** Layers as their authors wrote them, by `lunch/fi/helsinki`. */ files: Record<string, string>; /** Pictures lie beside the page, in cards/. */ cards: boolean }
export interface Cuisines { labels: string[]; weights: [number, number][][]; merchants: number[]; n_clusters: number; credits: string[] }
/** Lines of OpenStreetMap, packed by osm.mjs. */
export type Ground = Record<"major" | "minor" | "green" | "water" | "coast" | "rail", number[][]>;
export interface Data { engine: Engine; market: Market; readers: Reader[]; cuisines: Cuisines; labels: string; coast: GeoJSON.MultiPolygon; ground: Ground; schema: Schema; areas: Area[]; merchants: Map<string, Merchant>; bundles: [string, Uint8Array][]; seconds: number }
export interface Schema { description?: string; properties?: Record<string, Schema>; additionalProperties?: Schema | boolean; anyOf?: Schema[]; items?: Schema; enum?: unknown[]; definitions?: Record<string, Schema>; $ref?: string; minimum?: number; maximum?: number }

async function get(path: string): Promise<Response> {
  const answer = await fetch(new URL(path, document.baseURI));
  if (!answer.ok) throw new Error(`${path} is not beside the page (${answer.status}): run \`cargo xtask simulator build\` and serve its folder.`);
  return answer;
}

const json = async <T>(path: string): Promise<T> => (await get(path)).json() as Promise<T>;

/** Everything a first ranking needs, at once. */
export async function load(): Promise<Data> {
  const started = performance.now();
  const [, pack, market, readers, cuisines, labels, coast, ground, schema] = await Promise.all([
    init(), get("data/areas.pack").then((answer) => answer.arrayBuffer()), json<Market>("data/market.json"),
    json<[string, string][]>("data/readers.json"), json<Cuisines>("data/cuisines.json"), get("data/cuisine-labels.json").then((answer) => answer.text()),
    json<GeoJSON.MultiPolygon>("data/coast.json"), json<Ground>("data/ground.json"), json<Schema>("data/layer.schema.json"),
  ]);
  const engine = new Engine();
  const bundles = unpack(pack);
  for (const [name, bytes] of bundles) if (name.endsWith(".area")) engine.addArea(bytes);
  for (const [name, bytes] of bundles) if (name.endsWith(".display")) engine.addDisplay(bytes);
  return {
    engine, market, cuisines, labels, coast, ground, schema,
    readers: readers.map(([id, profile]) => ({ id, profile })),
    bundles, ...listed(engine), seconds: (performance.now() - started) / 1000,
  };
}

/** What the areas at hand list, anew after somebody dropped files on the page. */
export function listed(engine: Engine): { areas: Area[]; merchants: Map<string, Merchant> } {
  const merchants: Merchant[] = JSON.parse(engine.merchants());
  return { areas: JSON.parse(engine.areas()), merchants: new Map(merchants.map((merchant) => [merchant.id, merchant])) };
}

function unpack(pack: ArrayBuffer): [string, Uint8Array][] {
  const length = new DataView(pack).getUint32(0, true);
  const index: [string, number][] = JSON.parse(new TextDecoder().decode(new Uint8Array(pack, 4, length)));
  let at = 4 + length;
  return index.map(([name, size]) => {
    const bytes = new Uint8Array(pack.slice(at, at + size));
    at += size;
    return [name, bytes];
  });
}

/** An error as a sentence. */
export const said = (error: unknown): string => (error instanceof Error ? error.message : String(error));
