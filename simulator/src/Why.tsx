// Why a card stands where it does: a waterfall that adds up, the rules that fired, and what would put somebody on top.

import { Alert, Button, List, Select, Stack, Table, Text, Title } from "@mantine/core";
import * as Plot from "@observablehq/plot";
import { useEffect, useMemo, useRef } from "react";
import type { Simulator } from "./engine";
import type { Reply } from "./types";
import { kindOf, parts, points } from "./words";

export function Why({ simulator, reply, slot }: { simulator: Simulator; reply: Reply; slot: number }) {
  const shown = reply.slots[slot];
  if (!shown?.explanation) {
    return <Text size="sm">{shown?.fallback ? "Nobody was left for this slot: see below who was dropped, and why." : "Tap a card of the message to see why it stands there."}</Text>;
  }
  const bars = parts(shown.explanation);
  const name = shown.card?.name ?? "";
  return (
    <Stack gap="xs">
      <Title order={3} size="h5">
        Why {name} stands {slot + 1}.
      </Title>
      <Waterfall bars={bars} total={shown.explanation.value} />
      <Text size="xs">
        Every bar is what one thing adds to or takes from the score; together they are the score, {points(shown.explanation.value)}.
        {reply.reference && ` “Average” is the ${simulator.named(reply.reference.about)}.`}
      </Text>
      {shown.rules && shown.rules.length > 0 && (
        <List size="sm" aria-label="Rules that fired">
          {shown.rules.map((rule) => (
            <List.Item key={rule}>{rule}</List.Item>
          ))}
        </List>
      )}
      {shown.moved && (
        <Text size="sm">
          By score alone it would stand {shown.moved.rank + 1}.; moved by {shown.moved.by.join(", ")}
          {shown.moved.past.length > 0 && `, past ${shown.moved.past.map((id) => simulator.name(id)).join(", ")}`}.
        </Text>
      )}
    </Stack>
  );
}

function Waterfall({ bars, total }: { bars: { name: string; value: number }[]; total: number }) {
  const host = useRef<HTMLDivElement>(null);
  const rows = useMemo(() => {
    let at = 0;
    const steps = bars.map(({ name, value }) => ({ name, from: at / 65536, to: (at += value) / 65536, value }));
    return [...steps, { name: "Score", from: 0, to: total / 65536, value: total }];
  }, [bars, total]);
  useEffect(() => {
    const style = host.current ? getComputedStyle(host.current) : undefined;
    const plot = Plot.plot({
      marginLeft: 290,
      marginRight: 50,
      width: 680,
      height: rows.length * 24 + 30,
      style: { background: "transparent", color: style?.color ?? "black", fontSize: "12px" },
      x: { label: null, grid: true },
      y: { label: null, domain: rows.map(({ name }) => name) },
      marks: [
        Plot.barX(rows, { x1: "from", x2: "to", y: "name", fill: (row) => (row.name === "Score" ? "#364fc7" : row.value < 0 ? "#c2255c" : "#2b8a3e") }),
        Plot.text(rows, { x: (row) => Math.max(row.from, row.to), y: "name", text: (row) => points(row.value), textAnchor: "start", dx: 4 }),
        Plot.ruleX([0]),
      ],
    });
    plot.setAttribute("aria-hidden", "true");
    host.current?.replaceChildren(plot);
  }, [rows]);
  return (
    <>
      <div ref={host} className="plot" />
      <Table className="visually-hidden" aria-label="What adds up to the score">
        <Table.Tbody>
          {rows.map(({ name, value }) => (
            <Table.Tr key={name}>
              <Table.Td>{name}</Table.Td>
              <Table.Td data-part={name} data-value={value}>
                {points(value)}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </>
  );
}

/** Everybody who could not be shown, by reason; and what it would take for one of all to be on top. */
export function Others({ simulator, reply, asked, onAsk }: { simulator: Simulator; reply: Reply; asked: string | null; onAsk: (merchant_id: string | null) => void }) {
  const merchants = simulator.merchants(reply.place.cell);
  const options = useMemo(() => {
    const known = new Map(merchants.filter(({ merchant_id, name }) => merchant_id && name).map(({ merchant_id, name }) => [merchant_id as string, name as string]));
    return [...known].map(([value, label]) => ({ value, label })).sort((a, b) => a.label.localeCompare(b.label));
  }, [merchants]);
  const byReason = useMemo(() => {
    const found = new Map<string, { code: string; names: string[] }>();
    for (const { merchant, code, reason } of reply.drops ?? []) {
      // When it closed, and which chain, differ from one to the next.
      const told = code.replace(/_/g, " ");
      const one = found.get(told) ?? { code, names: [] };
      one.names.push(`${simulator.name(merchant)} (${simulator.named(reason)})`);
      found.set(told, one);
    }
    return [...found].sort((a, b) => b[1].names.length - a[1].names.length);
  }, [reply, simulator]);
  const { why } = reply;
  return (
    <Stack gap="sm">
      <Select label="What would put a merchant on top?" placeholder="A merchant's name" searchable clearable data={options} value={asked} onChange={onAsk} limit={30} nothingFoundMessage="Nobody of that name in this area" />
      {why && (
        <Alert color="indigo" variant="outline" role="alert" title={`${simulator.name(why.merchant)}: ${why.shown_in === undefined ? why.verdict : `shown, slot ${why.shown_in + 1}`}`}>
          {why.changes.length === 0 && why.shown_in === undefined && <Text size="sm">No change of the campaign shows it: {why.verdict}.</Text>}
          <List size="sm" type="ordered">
            {why.changes.map((change) => (
              <List.Item key={change}>{fromOne(simulator.named(change))}</List.Item>
            ))}
          </List>
          {why.then !== undefined && <Text size="sm">Then it stands {why.then + 1}.</Text>}
        </Alert>
      )}
      <Title order={3} size="h5">
        Who could not be shown, and why
      </Title>
      {byReason.map(([reason, { code, names }]) => (
        <details key={reason}>
          <summary>
            <span className="swatch" style={{ background: kindOf(code).colour }} aria-hidden />
            {reason} ({names.length})
          </summary>
          <Text size="sm">{names.slice(0, 40).join(", ")}{names.length > 40 && ` and ${names.length - 40} more`}</Text>
        </details>
      ))}
    </Stack>
  );
}

/** People count slots from one. */
const fromOne = (words: string): string => words.replace(/\bslot (\d+)/g, (_, slot: string) => `slot ${Number(slot) + 1}`);

export function NoReply({ error, onReset }: { error: string; onReset: () => void }) {
  return (
    <Alert color="red" variant="outline" title="There is no message to show" role="alert">
      <Text size="sm">{error}</Text>
      <Button size="xs" mt="xs" onClick={onReset}>
        Start again from the published campaign
      </Button>
    </Alert>
  );
}
