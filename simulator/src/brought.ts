// Files that somebody brings: bundles, a published campaign, layers as YAML. They stay in this browser.

import type { Campaign, Engine } from "./engine.js";
import { said } from "./engine.js";

/** A file with its way from the folder that was dropped: `lunch/fi/helsinki.yaml`, or its name alone. */
export interface Given { path: string; file: File }
/** A layer as its author wrote it. */
export interface Written { campaign: string; layer: string; text: string }
export interface Brought { bundles: [string, Uint8Array][]; campaigns: Campaign[]; layers: Written[]; /** What could not be read, each a sentence with what to do. */ wrong: string[] }

/** What lies in a folder of campaigns beside its layers. */
const BESIDE = /(^|\/)golden\/|\.(geojson|md)$|\.schema\.json$/;

/** Everything in what was dropped, folders included. */
export async function inDrop(transfer: DataTransfer): Promise<Given[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files].map((file) => ({ path: file.name, file }));
  return (await Promise.all(entries.map((entry) => walk(entry)))).flat().filter(({ path }) => !BESIDE.test(path));
}

async function walk(entry: FileSystemEntry): Promise<Given[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ path: entry.fullPath.replace(/^\//, ""), file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const all: FileSystemEntry[] = [];
  // A browser tells a hundred at a time.
  for (let some = [entry]; some.length > 0; all.push(...some)) some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
  return (await Promise.all(all.map(walk))).flat();
}

/** Reads them; each by itself, so that one that is broken keeps no other out. `at` is the layer that is open. */
export async function bring(given: Given[], engine: Engine, known: Record<string, Campaign>, at: { campaign: string; layer: string }): Promise<Brought> {
  const brought: Brought = { bundles: [], campaigns: [], layers: [], wrong: [] };
  const order = (path: string) => [".json", ".area", ".display", ".yaml"].findIndex((end) => path.endsWith(end));
  const all = { ...known };
  for (const { path, file } of [...given].sort((a, b) => order(a.path) - order(b.path))) {
    try {
      if (path.endsWith(".json")) {
        const text = await file.text();
        const id = orSay(() => engine.setCampaign(text), "Drop what `freshrank campaign publish FOLDER --out FILE.json` wrote");
        all[id] = JSON.parse(text);
        brought.campaigns.push(all[id]);
      } else if (/\.(area|display)$/.test(path)) {
        const bytes = new Uint8Array(await file.arrayBuffer());
        orSay(() => (path.endsWith(".area") ? engine.addArea(bytes) : engine.addDisplay(bytes)), "Drop it again as `freshrank build` wrote it, a .display together with its .area");
        brought.bundles.push([file.name, bytes]);
      } else if (/\.ya?ml$/.test(path)) {
        brought.layers.push({ ...layerOf(path.replace(/\.ya?ml$/, "").split("/"), all, at), text: await file.text() });
      } else throw new Error("it is nothing that this page reads. Drop .area and .display files of `freshrank build`, a published campaign (.json), or a layer (.yaml)");
    } catch (error) {
      brought.wrong.push(`${path}: ${said(error)}.`);
    }
  }
  return brought;
}

/** Whose layer a file is, by its way: after a campaign's name the whole path; else the layer called so, or the open one. */
function layerOf(way: string[], known: Record<string, Campaign>, at: { campaign: string; layer: string }): { campaign: string; layer: string } {
  const i = way.findIndex((part) => known[part]);
  if (i >= 0 && i + 1 < way.length) return { campaign: way[i], layer: way.slice(i + 1).join("/") };
  const defaults = way.indexOf("defaults");
  if (defaults >= 0 && defaults + 1 < way.length) return { campaign: at.campaign, layer: way.slice(defaults).join("/") };
  if (way.length > 1) throw new Error("its folder is no campaign that this page knows. Publish the folder with `freshrank campaign publish FOLDER --out FILE.json` and drop that file");
  const called = Object.keys(known[at.campaign].layers).filter((layer) => layer.split("/").pop() === way[0]);
  return { campaign: at.campaign, layer: called.length === 1 ? called[0] : at.layer };
}

function orSay<T>(what: () => T, next: string): T {
  try {
    return what();
  } catch (error) {
    throw new Error(`${said(error)}. ${next}`);
  }
}
