// A layer as its author writes it: YAML that keeps its comments, whoever edits it, a person or the form.

import { type Document, LineCounter, isMap, isScalar, isSeq, parseDocument, type YAMLMap } from "yaml";

export type Edit =
  | { kind: "boost"; merchant: string; name: string; factor: number; from?: string; until?: string }
  | { kind: "pin"; merchant: string; name: string; slot: number; from?: string; until?: string }
  | { kind: "exclude"; merchant: string }
  | { kind: "cap"; key: "cuisine_cap" | "chain_cap" | "price_cap"; value: number }
  | { kind: "theme"; cuisine: string; factor: number; from?: string; until?: string }
  | { kind: "set"; key: string; value: string | number };

/** The layer in the form that the engine reads, with line and column of everything said; or what is no YAML. */
export function parse(yaml: string): { layer: Record<string, unknown> } | { problem: { line: number; column: number; message: string } } {
  const lines = new LineCounter();
  const document = parseDocument(yaml, { lineCounter: lines });
  const [error] = document.errors;
  if (error) {
    const { line, col } = lines.linePos(error.pos[0]);
    return { problem: { line, column: col, message: error.message.split("\n")[0] ?? error.code } };
  }
  const layer = (document.toJS() ?? {}) as Record<string, unknown>;
  if (typeof layer !== "object" || Array.isArray(layer)) return { problem: { line: 1, column: 1, message: "A layer is keys with values, as `slots: 4`" } };
  return { layer: { ...layer, marks: marks(document, lines) } };
}

/** Does what the form says. */
export function edited(yaml: string, edit: Edit): string {
  const document = parseDocument(yaml);
  if (!document.contents) document.contents = document.createNode({}) as YAMLMap as never;
  const when = "from" in edit ? { ...(edit.from ? { from: edit.from } : {}), ...(edit.until ? { until: edit.until } : {}) } : {};
  switch (edit.kind) {
    case "boost":
      put(document, "boosts", slug(edit.name), { merchant: edit.merchant, factor: edit.factor, ...when });
      break;
    case "pin":
      put(document, "pins", slug(edit.name), { slot: edit.slot, merchant: edit.merchant, ...when });
      break;
    case "exclude": {
      const list = document.get("exclude");
      const append = isMap(list) ? list.get("append") : undefined;
      if (isSeq(list)) list.add(edit.merchant);
      else if (isSeq(append)) append.add(edit.merchant);
      else document.setIn(["exclude", "append"], document.createNode([edit.merchant]));
      break;
    }
    case "theme": {
      const cuisine = JSON.stringify(edit.cuisine);
      put(document, "rules", `theme-${slug(edit.cuisine)}`, { when: `${cuisine} in merchant.cuisines`, then: "boost", factor: edit.factor, reason: `the theme is ${edit.cuisine}`, ...when });
      break;
    }
    default:
      document.set(edit.kind === "cap" ? edit.key : edit.key, edit.value);
  }
  return document.toString({ lineWidth: 0 });
}

/** A thing with an id, in place of the one of that name: things are a list of objects with an id, or a map by id. */
function put(document: Document, key: string, id: string, fields: Record<string, unknown>): void {
  const things = document.get(key);
  if (isSeq(things)) {
    const at = things.items.findIndex((item) => isMap(item) && item.get("id") === id);
    const node = document.createNode({ id, ...fields });
    if (at < 0) things.add(node);
    else things.set(at, node);
  } else document.setIn([key, id], document.createNode(fields));
}

function slug(name: string): string {
  const plain = name.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
  return plain.slice(0, 40) || "merchant";
}

/** Line and column of every key and entry, by the path that the engine gives it: things by their id, entries of lists by their text. */
function marks(document: Document, lines: LineCounter): Record<string, [number, number]> {
  const found: Record<string, [number, number]> = {};
  const say = (path: string, offset: number | undefined) => {
    if (path && offset !== undefined) {
      const { line, col } = lines.linePos(offset);
      found[path] = [line, col];
    }
  };
  const walk = (node: unknown, path: string, at: number | undefined) => {
    say(path, at);
    if (isMap(node)) {
      for (const { key, value } of node.items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        const list = ["set", "append", "prepend", "remove"].includes(name) && !path.includes(".");
        walk(value, list && path ? path : path ? `${path}.${name}` : name, key.range?.[0]);
      }
    } else if (isSeq(node)) {
      node.items.forEach((item, i) => {
        const id = isMap(item) ? item.get("id") : undefined;
        if (typeof id === "string") walk(item, `${path}.${id}`, (item as YAMLMap).range?.[0]);
        else if (isScalar(item)) say(path === "pattern" ? `pattern[${i}]` : `${path}[${String(item.value)}]`, item.range?.[0]);
      });
    }
  };
  walk(document.contents, "", undefined);
  return found;
}
