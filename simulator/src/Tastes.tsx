// The cuisine map: which cuisines belong together, and what a reader likes of them. The lever is the campaign's own.

import { Button, Group, Slider, Stack, Table, Text, Title } from "@mantine/core";
import { memo, useMemo } from "react";
import type { Cuisines, Merged, ProfileOf } from "./engine.js";
import { CLUSTERS, nice } from "./words.js";

interface Bubble { label: string; cluster: number; x: number; y: number; r: number; n: number }

/** Each cluster a spiral of its cuisines, the commonest inside; clusters on three rows. Nothing is read from distances. */
function layout({ labels, weights, merchants, n_clusters }: Cuisines): Bubble[] {
  const of = new Map<number, { label: string; n: number }[]>();
  labels.forEach((label, i) => {
    const main = weights[i]?.[0]?.[0];
    if (main === undefined || merchants[i] < 8) return;
    of.set(main, [...(of.get(main) ?? []), { label, n: merchants[i] }]);
  });
  const columns = 4;
  return Array.from({ length: n_clusters }, (_, cluster) => cluster).flatMap((cluster) => {
    const own = (of.get(cluster) ?? []).sort((a, b) => b.n - a.n).slice(0, 7);
    const [cx, cy] = [110 + 195 * (cluster % columns), 84 + 158 * Math.floor(cluster / columns)];
    return own.map(({ label, n }, i) => {
      const angle = (2 * Math.PI * (i - 1)) / Math.max(1, own.length - 1) - Math.PI / 2;
      const far = i === 0 ? 0 : 56;
      return { label, cluster, n, x: cx + 1.25 * far * Math.cos(angle), y: cy + far * Math.sin(angle), r: Math.max(9, Math.min(25, 4.4 * Math.log2(n))) };
    });
  });
}

export const Tastes = memo(function Tastes({ cuisines, profile, merged, smoothing, onSmoothing, locked }: { cuisines: Cuisines; profile: ProfileOf | null; merged: Merged | null; smoothing: number; onSmoothing: (value: number | undefined) => void; locked: boolean }) {
  const bubbles = useMemo(() => layout(cuisines), [cuisines]);
  const likes = profile?.lifelong.clusters ?? [];
  const names = useMemo(() => Array.from({ length: cuisines.n_clusters }, (_, cluster) => bubbles.filter((bubble) => bubble.cluster === cluster).slice(0, 3).map(({ label }) => nice(label)).join(", ")), [bubbles, cuisines]);
  const told = likes.map((value, cluster) => ({ value: value * smoothing, cluster })).filter(({ value }) => Math.abs(value) > 0.01).sort((a, b) => b.value - a.value);
  const said = merged?.leaves.find(({ key }) => key === "smoothing");
  return (
    <Stack gap="md" data-testid="tastes">
      <div>
        <Group justify="space-between" align="end">
          <Title order={2} size="h4">What the reader likes</Title>
          <Text size="sm">{profile ? (told.length > 0 ? "Larger rings: ordered more than the city does" : profile.lifelong.raw.length > 0 ? "No taste counts for its neighbours now" : "Nothing is known of this reader's tastes") : "Choose a sample reader to see their tastes"}</Text>
        </Group>
        <Text size="sm">Smoothing lets a taste for one cuisine count for those like it. At 0 only what was ordered itself counts.</Text>
        <Group align="center" wrap="nowrap" mt="xs">
          <Slider style={{ flex: 1 }} mx={36} thumbLabel="Smoothing" min={0} max={1} step={0.05} value={smoothing} onChange={onSmoothing} disabled={locked} label={(value) => value.toFixed(2)} marks={[{ value: 0, label: "as ordered" }, { value: 1, label: "smoothed" }]} mb={22} />
          <Text data-testid="smoothing">{smoothing.toFixed(2)}</Text>
          <Button size="compact-sm" variant="default" onClick={() => onSmoothing(undefined)}>As it was</Button>
        </Group>
        <Text size="xs">{said?.layer ? `Said by ${said.layer}.` : "No layer says it: the default is 1."} The lever edits your draft.</Text>
      </div>
      <div className="scroll">
        <svg viewBox="0 0 800 640" className="tastes" role="img" aria-label="Map of cuisines: 16 groups of cuisines that belong together">
          {bubbles.map(({ label, cluster, x, y, r }) => {
            const taste = (likes[cluster] ?? 0) * smoothing;
            const width = Math.max(0, Math.min(9, 4 * taste));
            return (
              <g key={label} transform={`translate(${x} ${y})`}>
                <circle r={r} fill={CLUSTERS[cluster % CLUSTERS.length]} fillOpacity={taste < -0.2 ? 0.18 : 0.62} />
                {width > 0.3 && <circle r={r + width / 2 + 1} fill="none" stroke={CLUSTERS[cluster % CLUSTERS.length]} strokeWidth={width} />}
                <text textAnchor="middle" y={r > 13 ? 4 : r + 11}>{nice(label)}</text>
              </g>
            );
          })}
        </svg>
      </div>
      {profile && profile.lifelong.raw.length > 0 && (
        <Group align="start" grow>
          {told.length > 0 && <Table aria-label="Tastes by group of cuisines"><Table.Thead><Table.Tr><Table.Th>Group</Table.Th><Table.Th>Against the city</Table.Th></Table.Tr></Table.Thead>
            <Table.Tbody>{[...told.slice(0, 4), ...told.slice(-2).filter((one) => !told.slice(0, 4).includes(one))].map(({ value, cluster }) => <Table.Tr key={cluster}><Table.Td><i className="dot" style={{ background: CLUSTERS[cluster % CLUSTERS.length] }} /> {names[cluster]}</Table.Td><Table.Td>{Math.exp(value).toFixed(1)} times as much</Table.Td></Table.Tr>)}</Table.Tbody></Table>}
          <Table aria-label="Cuisines ordered"><Table.Thead><Table.Tr><Table.Th>Ordered most</Table.Th><Table.Th>Share</Table.Th></Table.Tr></Table.Thead>
            <Table.Tbody>{profile.lifelong.raw.map(([label, share]) => <Table.Tr key={label}><Table.Td>{nice(cuisines.labels[label] ?? String(label))}</Table.Td><Table.Td>{Math.round(100 * share)} %</Table.Td></Table.Tr>)}</Table.Tbody></Table>
        </Group>
      )}
      <Text size="xs">Groups from {cuisines.credits.join("; ")}. Tastes that can tell religion or health are not in profiles.</Text>
    </Stack>
  );
});
