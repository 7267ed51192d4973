// The layer as text: completion from the schema that layers are read by, and the engine's own words beside the line they are about.

import { autocompletion, type CompletionContext, closeBrackets, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, defaultHighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, lintGutter, setDiagnostics } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { useEffect, useRef } from "react";
import type { Problem, Schema } from "./engine.js";

/** What may stand at a path of keys; an id of a thing is any word. */
function within(schema: Schema, path: string[], root: Schema): Schema[] {
  const here = resolve(schema, root);
  const [key, ...rest] = path;
  if (key === undefined) return here;
  return here.flatMap((one) => {
    const next = one.properties?.[key] ?? (typeof one.additionalProperties === "object" ? one.additionalProperties : one.items?.properties?.[key]);
    return next ? within(next, rest, root) : one.items ? within(one.items, path, root) : [];
  });
}

function resolve(schema: Schema, root: Schema): Schema[] {
  const target = schema.$ref?.startsWith("#/definitions/") ? root.definitions?.[schema.$ref.slice(14)] : schema;
  if (!target) return [];
  return target.anyOf ? [target, ...target.anyOf.flatMap((one) => resolve(one, root))] : [target];
}

function complete(schema: Schema) {
  return (context: CompletionContext) => {
    const line = context.state.doc.lineAt(context.pos);
    const before = line.text.slice(0, context.pos - line.from);
    // Keys above with less indentation are what this line stands in.
    const path: string[] = [];
    let indent = before.search(/[^\s-]|$/);
    for (let n = line.number - 1; n > 0 && indent > 0; n -= 1) {
      const [, space, key] = /^([\s-]*)([\w.*-]+):\s*(#.*)?$/.exec(context.state.doc.line(n).text) ?? [];
      if (key !== undefined && space.length < indent && !/-\s*$/.test(space)) {
        path.unshift(key);
        indent = space.length;
      }
    }
    const [, key, typed] = /^[\s-]*([\w.*-]+):\s+(\w*)$/.exec(before) ?? [];
    if (key !== undefined) {
      const words = within(schema, [...path, key], schema).flatMap((one) => one.enum ?? one.items?.enum ?? []);
      const options = words.filter((word) => word !== null).map((word) => ({ label: String(word), type: "constant" }));
      return options.length > 0 ? { from: context.pos - typed.length, options } : null;
    }
    const word = context.matchBefore(/[\w]*/);
    if (!word || (word.from === word.to && !context.explicit) || !/^[\s-]*\w*$/.test(before)) return null;
    const keys = within(schema, path, schema).flatMap((one) => [...Object.entries(one.properties ?? {}), ...Object.entries(one.items?.properties ?? {})]);
    const seen = new Set<string>();
    const options = keys.filter(([label]) => !seen.has(label) && seen.add(label)).map(([label, of]) => ({ label, type: "property", info: of.description?.trim(), apply: `${label}: ` }));
    return { from: word.from, options };
  };
}

export default function Yaml({ text, onText, problems, schema, path }: { text: string; onText: (text: string) => void; problems: Problem[]; schema: Schema; path: string }) {
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const say = useRef(onText);
  say.current = onText;
  useEffect(() => {
    if (!box.current) return;
    const editor = new EditorView({
      parent: box.current,
      state: EditorState.create({
        doc: text,
        extensions: [
          lineNumbers(), history(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(), highlightActiveLine(), lintGutter(), yaml(), syntaxHighlighting(defaultHighlightStyle, { fallback: true }),
          autocompletion({ override: [complete(schema)] }), keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap]), EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": `YAML of ${path}`, "aria-multiline": "true", tabindex: "0" }),
          EditorView.updateListener.of((update) => { if (update.docChanged) say.current(update.state.doc.toString()); }),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
  }, [schema, path]);
  useEffect(() => {
    const editor = view.current;
    if (editor && editor.state.doc.toString() !== text) editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text } });
  }, [text]);
  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const { doc } = editor.state;
    const diagnostics = problems.filter(({ layer }) => layer === path).map((problem): Diagnostic => {
      const line = doc.line(Math.max(1, Math.min(doc.lines, problem.line || 1)));
      const from = Math.min(line.to, line.from + Math.max(0, problem.column - 1));
      return { from, to: line.to, severity: problem.severity, message: [problem.key && `${problem.key}: `, problem.message, problem.hint && `; ${problem.hint}`].filter(Boolean).join("") };
    });
    editor.dispatch(setDiagnostics(editor.state, diagnostics));
  }, [problems, text, path]);
  return <div ref={box} className="yaml" data-testid="yaml" />;
}
