// Why a merchant stands where it stands: a waterfall that adds up, the rules that hold, and what would bring it to the top.

import { Alert, Badge, Button, CloseButton, Group, List, Paper, Stack, Text, Title } from "@mantine/core";
import * as Plot from "@observablehq/plot";
import { useEffect, useMemo, useRef } from "react";
import type { Merchant, Reply } from "./engine.js";
import { GROUPS, REASONS, cuisines, score } from "./words.js";

type Node = NonNullable<Reply["slots"][number]["explanation"]>;
interface Step { name: string; value: number; from: number; to: number; kind: "start" | "up" | "down" | "total" }

/** The leaves that are not nothing, one after the other; their sum is the score, to the last bit. */
export function steps(node: Node): Step[] {
  const leaves: Node[] = [];
  const walk = (of: Node) => (of.parts?.length ? of.parts.forEach(walk) : leaves.push(of));
  node.parts?.forEach(walk);
  let sum = 0;
  const all = leaves.filter(({ name, value }) => value !== 0 && name !== "campaign boost").map((leaf): Step => {
    const from = sum;
    sum += leaf.value;
    return { name: word(leaf.name), value: leaf.value, from, to: sum, kind: leaf.name === "reference" ? "start" : leaf.value > 0 ? "up" : "down" };
  });
  return [...all, { name: "Score", value: node.value, from: 0, to: node.value, kind: "total" }];
}

const word = (name: string): string => GROUPS[name] ?? name.replace(/^boost (\S+), odds/, "Boost $1, odds").replace(/^rule /, "Rule ");

/** Whether every part of the tree is the sum of its own. */
export const addsUp = (node: Node): boolean => !node.parts?.length || (node.parts.reduce((sum, part) => sum + part.value, 0) === node.value && node.parts.every(addsUp));

/** With a capital and a full stop; what a campaign's file would say stands as code. */
const sentence = (text: string) => `${text.replace(/^./, (letter) => letter.toUpperCase())}.`.split("`").map((part, i) => (i % 2 === 1 ? <code key={i}>{part}</code> : part));

const COLORS = { start: "#8a8f98", up: "#2f855a", down: "#c05621", total: "#3b5bdb" };

export interface WhyProps { merchant: Merchant | undefined; id: string; reply: Reply | null; onClose: () => void; onBoost: () => void; onPin: () => void; onExclude: () => void; names: (id: string) => string; most: number | null }

export function Why({ merchant, id, reply, onClose, onBoost, onPin, onExclude, names, most }: WhyProps) {
  const slot = reply?.slots.find((slot) => slot.merchant === id);
  const drop = reply?.drops?.find((drop) => drop.merchant === id);
  const name = merchant?.card?.name ?? id;
  const at = reply?.slots.findIndex((slot) => slot.merchant === id) ?? -1;
  const why = reply?.why?.merchant === id ? reply.why : undefined;
  const said = (text: string) => text.replace(/(pin it to slot (\d+)): slot \2\b/g, "$1").replace(/\b[0-9a-f]{16}\b/g, names).replace(/slot (\d+)/g, (_, n) => `slot ${Number(n) + 1}`).replace(/boost it by ([\d.]+) or more/g, (words, factor) => (most !== null && Number(factor) > most ? `${words} (the layers above allow ${most} at most)` : words));
  return (
    <Paper withBorder p="md" component="section" aria-label={`Why ${name}`} data-testid="why" className="why">
      <Group justify="space-between" wrap="nowrap" align="start">
        <div>
          <Title order={2} size="h4">{name}</Title>
          <Text size="sm">{cuisines(merchant?.card?.cuisines ?? "", 3)}</Text>
        </div>
        <CloseButton aria-label="Close the explanation" onClick={onClose} />
      </Group>
      <Stack gap="sm" mt="xs">
        <Group gap="xs">
          {slot ? <Badge color="indigo.8" variant="filled">Slot {at + 1}</Badge> : drop ? <Badge color="gray.8" variant="filled">{REASONS[drop.code]?.label ?? drop.code}</Badge> : <Badge color="gray.8" variant="filled">Kept, below the slots</Badge>}
          {slot?.sponsored && <Badge color="yellow.9" variant="filled">Paid for</Badge>}
        </Group>
        {drop && <Text>It is not shown: {said(drop.reason)}.</Text>}
        {slot?.explanation && <Waterfall node={slot.explanation} name={name} />}
        {slot?.moved && <Text size="sm">By its score alone it would stand {slot.moved.rank + 1}. Moved by {slot.moved.by.join(" and ")}{slot.moved.past.length > 0 ? `, past ${slot.moved.past.slice(0, 3).map(names).join(", ")}` : ""}.</Text>}
        {slot && (
          <div>
            <Title order={3} size="h6">Rules that hold for it</Title>
            {slot.rules?.length ? <List size="sm">{slot.rules.map((rule) => <List.Item key={rule}>{rule}</List.Item>)}</List> : <Text size="sm">None.</Text>}
          </div>
        )}
        {why && at < 0 && (
          <div>
            <Title order={3} size="h6">What would bring it into the message</Title>
            {!drop && <Text size="sm">{sentence(said(why.verdict))}</Text>}
            {why.changes.length > 0 && <List size="sm" type="ordered">{why.changes.map((change) => <List.Item key={change}>{sentence(said(change))}</List.Item>)}</List>}
            {why.then === undefined && <Text size="sm">No change of the campaign shows it here and now.</Text>}
          </div>
        )}
        {why && at !== 0 && (why.on_top ?? why.then === 0) && (
          <div data-testid="on-top">
            <Title order={3} size="h6">What would put it on top</Title>
            <Text size="sm">{why.on_top ? sentence(`${at < 0 ? "after that, " : ""}${said(why.on_top)}`) : "The same: it would stand first."}</Text>
          </div>
        )}
        <div>
          <Title order={3} size="h6" mb={4}>Change that in my city</Title>
          <Group gap="xs">
            <Button size="xs" onClick={onPin}>Pin to slot 1</Button>
            <Button size="xs" variant="default" onClick={onBoost}>Boost</Button>
            <Button size="xs" variant="default" onClick={onExclude}>Exclude</Button>
          </Group>
        </div>
      </Stack>
    </Paper>
  );
}

function Waterfall({ node, name }: { node: Node; name: string }) {
  const box = useRef<HTMLDivElement>(null);
  const parts = useMemo(() => steps(node), [node]);
  useEffect(() => {
    const width = Math.max(280, box.current?.clientWidth ?? 420);
    const room = Math.min(170, width * 0.42);
    // A letter is some 6.6 wide.
    const letters = Math.floor((room - 8) / 6.6);
    const plot = Plot.plot({
      width, height: 28 * parts.length + 34, marginLeft: room, marginRight: 44, marginTop: 4,
      style: { background: "transparent", fontSize: "12px" },
      x: { label: "score", ticks: 4, tickFormat: (x: number) => x.toFixed(1), grid: true },
      y: { label: null, domain: parts.map(({ name }) => name), tickFormat: (text: string) => (text.length > letters ? `${text.slice(0, letters - 1)}…` : text) },
      marks: [
        Plot.barX(parts, { x1: (step: Step) => step.from / 65536, x2: (step: Step) => step.to / 65536, y: "name", fill: (step: Step) => COLORS[step.kind], rx: 2, insetTop: 3, insetBottom: 3 }),
        Plot.text(parts, { x: (step: Step) => Math.max(step.from, step.to) / 65536, y: "name", text: (step: Step) => (step.kind === "total" || step.kind === "start" ? (step.value / 65536).toFixed(2) : score(step.value)), dx: 4, textAnchor: "start", fill: "currentColor" }),
        Plot.ruleX([0]),
      ],
    });
    plot.setAttribute("aria-hidden", "true");
    box.current?.replaceChildren(plot);
  }, [parts]);
  const whole = addsUp(node);
  return (
    <figure className="waterfall" aria-label={`What the score of ${name} is made of`}>
      <div ref={box} />
      <div className="visually-hidden"><table><caption>Parts of the score</caption><tbody>{parts.map((part, i) => <tr key={i}><th scope="row">{part.name}</th><td>{(part.value / 65536).toFixed(4)}</td></tr>)}</tbody></table></div>
      {whole ? <figcaption data-testid="adds-up">The parts add up to the score exactly.</figcaption> : <Alert color="red">The parts do not add up: please tell whoever runs this page.</Alert>}
    </figure>
  );
}
