// The cuisine map, the reader's taste on it, and the lever that smooths it.

import { Slider, Stack, Text, Title } from "@mantine/core";
import * as Plot from "@observablehq/plot";
import { useEffect, useMemo, useRef, useState } from "react";
import { load } from "./engine";
import type { ReaderFacts } from "./types";
import { percent } from "./words";

type Map16 = { labels: string[]; n_clusters: number; weights: [number, number][][]; merchants: number[]; credits: string[] };

export function Tastes({ base, reader, smoothing, onSmoothing }: { base: string; reader: ReaderFacts | null; smoothing: number; onSmoothing: (smoothing: number) => void }) {
  const [map, setMap] = useState<Map16 | null>(null);
  const [error, setError] = useState<string | null>(null);
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => void load<Map16>(base, "tastes.json").then(setMap, (problem: Error) => setError(problem.message)), [base]);
  const clusters = useMemo(() => (map ? named(map) : []), [map]);
  useEffect(() => {
    if (!reader || clusters.length === 0) return host.current?.replaceChildren();
    const rows = clusters.flatMap((name, i) => [
      { name, which: "over all orders", value: reader.lifelong[i] ?? 0 },
      { name, which: "of the last weeks", value: reader.recent[i] ?? 0 },
    ]);
    const plot = Plot.plot({
      marginLeft: 250,
      width: 620,
      height: clusters.length * 26 + 60,
      style: { background: "transparent", fontSize: "12px" },
      x: { label: "less than others in town ← → more", labelAnchor: "center", grid: true },
      y: { label: null, domain: clusters },
      color: { legend: true, domain: ["over all orders", "of the last weeks"], range: ["#364fc7", "#e8590c"] },
      marks: [Plot.ruleX([0]), Plot.dot(rows, { x: "value", y: "name", fill: "which", r: 5 }), Plot.link(clusters.map((name, i) => ({ name, a: reader.lifelong[i] ?? 0, b: reader.recent[i] ?? 0 })), { x1: "a", x2: "b", y: "name", stroke: "#868e96" })],
    });
    plot.setAttribute("aria-hidden", "true");
    host.current?.replaceChildren(plot);
  }, [clusters, reader]);
  return (
    <Stack gap="sm">
      <Title order={3} size="h5">
        Tastes
      </Title>
      {error && <Text role="alert">{error}</Text>}
      <Text size="sm">Cuisines that stand on the same signs form clusters. A reader's taste is how much more, or less, of a cluster they order than others in town.</Text>
      <Text size="sm" id="smoothing">
        How far taste reaches to similar cuisines: <strong>{percent(smoothing)}</strong>
      </Text>
      <Slider min={0} max={1} step={0.05} value={smoothing} onChange={onSmoothing} label={null} thumbLabel="How far taste reaches to similar cuisines" />
      {reader ? <div ref={host} className="plot" /> : <Text size="sm">Choose a reader to see their taste: of a stranger nothing is known.</Text>}
      {reader && (
        <ul className="visually-hidden" aria-label="The reader's taste by cluster">
          {clusters.map((name, i) => (
            <li key={name}>
              {name}: {(reader.lifelong[i] ?? 0).toFixed(2)} over all orders, {(reader.recent[i] ?? 0).toFixed(2)} of the last weeks
            </li>
          ))}
        </ul>
      )}
      {map && <Text size="xs">{map.credits.join(" · ")}</Text>}
    </Stack>
  );
}

/** A cluster is called by the cuisines that most of it is. */
function named(map: Map16): string[] {
  return Array.from({ length: map.n_clusters }, (_, cluster) => {
    const mass = map.labels.map((label, i) => ({ label, mass: (map.weights[i]?.find(([of]) => of === cluster)?.[1] ?? 0) * (map.merchants[i] ?? 0) }));
    return mass
      .sort((a, b) => b.mass - a.mass)
      .slice(0, 3)
      .map(({ label }) => label.replace(/_/g, " "))
      .join(", ");
  });
}
