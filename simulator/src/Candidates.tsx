// The map as a list, for whoever reads rather than looks: everyone by what became of them.

import { Button, Stack, Text, UnstyledButton } from "@mantine/core";
import { useState } from "react";
import type { Scene } from "./engine.js";
import { REASONS } from "./words.js";

const SHOWN = "In the message";
const KEPT = "Could be shown, the best first";

export function Candidates({ scene, names, onChoose }: { scene: Scene | null; names: (id: string) => string; onChoose: (merchant: string) => void }) {
  const [open, setOpen] = useState(false);
  const groups = new Map<string, string[]>();
  if (open && scene) {
    const shown = scene.shown.filter((id) => id !== null);
    groups.set(SHOWN, shown);
    groups.set(KEPT, [...scene.kept].sort((a, b) => b[1] - a[1]).map(([id]) => id).filter((id) => !shown.includes(id)));
    for (const [id, code] of scene.dropped) {
      const label = REASONS[code]?.label ?? code;
      groups.set(label, [...(groups.get(label) ?? []), id]);
    }
  }
  return (
    <Stack gap="xs" data-testid="candidates">
      <div><Button size="compact-sm" variant="default" aria-expanded={open} onClick={() => setOpen(!open)}>{open ? "Hide the list" : "Everyone as a list, with the reason"}</Button></div>
      {[...groups].map(([label, ids]) => (
        <section key={label} aria-label={label}>
          <Text component="h3" fw={600} size="sm">{label} ({ids.length})</Text>
          <ul className="names">{ids.map((id) => <li key={id}><UnstyledButton className="link" onClick={() => onChoose(id)}>{names(id)}</UnstyledButton></li>)}</ul>
        </section>
      ))}
    </Stack>
  );
}
