// A layer as its author writes it: YAML with its comments, edited in place by the form, and read as a tree with lines and columns.

import { Document, LineCounter, type Node, isAlias, isMap, isScalar, isSeq, parseDocument } from "yaml";
import type { Campaign, Problem } from "./engine.js";

export type Tree = [number, number, unknown];

/** What the engine calls a document: every value with its place. `drawn` are the cells that the layer's polygon was published as: the
 * polygon itself is a file beside the layer, which only the command line reads. */
export function read(text: string, layer: string, drawn?: string[]): { tree: Tree | null; problems: Problem[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: false });
  const problems = document.errors.map(({ message, pos }): Problem => {
    const { line, col } = lines.linePos(pos[0]);
    return { layer, line, column: col, key: "", message: message.split("\n")[0], hint: "Check the indentation and the colons of this line.", severity: "error" };
  });
  if (problems.length > 0) return { tree: null, problems };
  const at = (node: Node | null): [number, number] => {
    const { line, col } = lines.linePos(node?.range?.[0] ?? 0);
    return [line || 1, col || 1];
  };
  const tree = (node: Node | null): Tree => {
    if (isAlias(node)) return tree(node.resolve(document) ?? null);
    const [line, column] = at(node);
    if (isMap(node)) {
      const map = node.items.map(({ key, value }) => {
        const word = String(isScalar(key) ? key.value : key);
        const here = at(key as Node);
        if (word === "polygon" && drawn) return [...here, "cells", [...here, { list: drawn.map((cell) => [...here, cell]) }]];
        return [...here, word, value ? tree(value as Node) : [...here, null]];
      });
      return [line, column, { map }];
    }
    if (isSeq(node)) return [line, column, { list: node.items.map((item) => tree(item as Node)) }];
    return [line, column, isScalar(node) ? (typeof node.value === "bigint" ? Number(node.value) : node.value) : null];
  };
  return { tree: document.contents ? tree(document.contents as Node) : [1, 1, { map: [] }], problems: [] };
}

type Trees = Record<string, Record<string, Record<string, unknown> | undefined> | undefined>;
const treeOf = (path: string): [string, string] => (path.startsWith("defaults/") ? ["defaults", path.slice(9)] : ["layers", path]);

/** A layer of a published campaign. */
export function inDocument(campaign: Campaign, path: string): Record<string, unknown> | undefined {
  const [tree, own] = treeOf(path);
  return (campaign as unknown as Trees)[tree]?.[own];
}

/** The campaign with another layer at a path, or without one. */
export function withLayer(campaign: Campaign, path: string, layer: Record<string, unknown> | null | undefined): Campaign {
  const [tree, own] = treeOf(path);
  const all = (campaign as unknown as Trees)[tree] ?? {};
  const { [own]: _, ...others } = all;
  return { ...campaign, [tree]: layer ? { ...all, [own]: layer } : others };
}

/** The published form of a layer as its author would write it: without programs, marks and the numbers of cuisines. */
export function write(campaign: Campaign, path: string, cuisines: string[]): string {
  const layer = inDocument(campaign, path);
  const plain = (value: unknown): unknown => {
    if (typeof value === "string") return value.replace(/^cuisine:#(\d+)$/, (_, n) => `cuisine:${cuisines[Number(n)] ?? n}`);
    if (Array.isArray(value)) return value.map(plain);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).filter(([key]) => key !== "program" && key !== "marks").map(([key, inner]) => [key, plain(inner)]));
  };
  const { author: _, reason: __, ...body } = (plain(layer ?? {}) ?? {}) as Record<string, unknown>;
  const head = `# ${campaign.id}: the layer ${path}.\n`;
  if (Object.keys(body).length === 0) return `${head}# Nothing is said here yet: what the layers above say holds.\n`;
  const document = new Document(body);
  return head + document.toString(FORM);
}

/** Changes a key of the text and leaves all else, comments included, as it was. */
export function edit(text: string, path: (string | number)[], value: unknown): string {
  const document = parseDocument(text);
  if (!isMap(document.contents)) document.contents = document.createNode({}) as never;
  if (value === undefined) {
    document.deleteIn(path);
    for (let up = path.slice(0, -1); up.length > 0; up = up.slice(0, -1)) {
      const inner = document.getIn(up);
      if ((isMap(inner) || isSeq(inner)) && inner.items.length === 0) document.deleteIn(up);
    }
  } else document.setIn(path, document.createNode(value));
  return asWritten(document.toString(FORM), text);
}

const FORM = { lineWidth: 0, flowCollectionPadding: true };

/** Lines that differ from the author's in nothing but the space inside brackets are the author's. */
function asWritten(text: string, before: string): string {
  const tight = (line: string) => line.replace(/([[{]) +/g, "$1").replace(/ +([\]}])/g, "$1");
  const own = new Map(before.split("\n").map((line) => [tight(line), line]));
  return text.split("\n").map((line) => own.get(tight(line)) ?? line).join("\n");
}

/** The text's values, with no regard to what they mean. */
export function values(text: string): Record<string, any> {
  try {
    const found = parseDocument(text).toJS();
    return found && typeof found === "object" && !Array.isArray(found) ? found : {};
  } catch {
    return {};
  }
}

/** Every entry of a list of things, in either form: by id, or as a list of things with ids. */
export function things(of: unknown): Record<string, Record<string, unknown>> {
  if (Array.isArray(of)) return Object.fromEntries(of.filter((thing) => thing && typeof thing === "object").map((thing) => [String(thing.id ?? thing.merchant), thing]));
  return (of ?? {}) as Record<string, Record<string, unknown>>;
}

/** A thing into a map of things, whichever form the text has them in. */
export function put(text: string, key: string, id: string, thing: Record<string, unknown> | undefined): string {
  const now = values(text)[key];
  if (!Array.isArray(now)) return edit(text, [key, id], thing);
  const at = now.findIndex((one) => String(one?.id ?? one?.merchant) === id);
  if (thing === undefined) return at < 0 ? text : edit(text, [key, at], undefined);
  return edit(text, [key, at < 0 ? now.length : at], { id, ...thing });
}

/** An id that a layer may have, of any text. */
export function slug(text: string): string {
  const plain = text.normalize("NFD").replace(/[^\w\s-]/g, "").toLowerCase().trim().replace(/[\s_]+/g, "-");
  return plain.slice(0, 40) || "one";
}
