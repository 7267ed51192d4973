// The YAML of a layer, with completion from its schema and the engine's own problems beside the lines.

import { autocompletion, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { yaml as language } from "@codemirror/lang-yaml";
import { type Diagnostic, lintGutter, setDiagnostics } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { basicSetup } from "codemirror";
import { useEffect, useRef } from "react";
import type { JsonSchema } from "./engine";
import type { Problem } from "./types";

export default function Yaml({ yaml, problems, schema, onChange }: { yaml: string; problems: Problem[]; schema: JsonSchema; onChange: (yaml: string) => void }) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const change = useRef(onChange);
  change.current = onChange;

  useEffect(() => {
    if (!host.current) return;
    const state = EditorState.create({
      doc: yaml,
      extensions: [
        basicSetup,
        language(),
        lintGutter(),
        autocompletion({ override: [(context) => complete(context, schema)] }),
        EditorView.contentAttributes.of({ "aria-label": "The layer's YAML" }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) change.current(update.state.doc.toString());
        }),
      ],
    });
    const made = new EditorView({ state, parent: host.current });
    // Whoever has no mouse scrolls it all the same.
    made.scrollDOM.tabIndex = 0;
    view.current = made;
    return () => made.destroy();
    // The text is the editor's own once it is there.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [schema]);

  useEffect(() => {
    const made = view.current;
    if (made && made.state.doc.toString() !== yaml) made.dispatch({ changes: { from: 0, to: made.state.doc.length, insert: yaml } });
  }, [yaml]);

  useEffect(() => {
    const made = view.current;
    if (!made) return;
    const diagnostics = problems.map((problem): Diagnostic => {
      const line = made.state.doc.line(Math.min(Math.max(problem.line, 1), made.state.doc.lines));
      const from = Math.min(line.from + Math.max(problem.column - 1, 0), line.to);
      return { from, to: line.to, severity: problem.severity, message: `${problem.key ? `${problem.key}: ` : ""}${problem.message}${problem.hint ? `; ${problem.hint}` : ""}` };
    });
    made.dispatch(setDiagnostics(made.state, diagnostics));
  }, [problems, yaml]);

  return <div ref={host} className="yaml" />;
}

/** Keys at the beginning of a line, values after one. */
function complete(context: CompletionContext, schema: JsonSchema): CompletionResult | null {
  const line = context.state.doc.lineAt(context.pos);
  const before = line.text.slice(0, context.pos - line.from);
  const key = /^(\w*)$/.exec(before);
  const keys = schema.properties ?? {};
  if (key) {
    if (!key[1] && !context.explicit) return null;
    return { from: line.from, options: Object.entries(keys).map(([label, about]) => ({ label, apply: `${label}: `, type: "property", ...(about.description && { info: about.description }) })) };
  }
  const value = /^(\w+):\s*(\w*)$/.exec(before);
  const words = value?.[1] ? keys[value[1]]?.enum : undefined;
  return value && words ? { from: context.pos - (value[2]?.length ?? 0), options: words.map((label) => ({ label, type: "enum" })) } : null;
}
