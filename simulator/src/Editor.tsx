// A local team's edit of its own layer: a form first, the YAML behind it, what all layers come to, and publishing.

import { Alert, Badge, Button, Group, List, NativeSelect, NumberInput, Paper, SegmentedControl, Select, Slider, Stack, Table, Tabs, Text, TextInput, Title, Tooltip } from "@mantine/core";
import { Suspense, lazy, useMemo, useState } from "react";
import type { Campaign, Merchant, Merged, Problem, Schema } from "./engine.js";
import { Publish } from "./Publish.js";
import { type Action, type Capped, keyOf, own, written } from "./edits.js";
import { cuisines, nice, place } from "./words.js";

// The code editor is the heaviest part of the page, and a second tab: it comes when it is opened.
const Yaml = lazy(() => import("./Yaml.js"));

export interface EditorProps {
  campaign: Campaign; path: string; onPath: (path: string) => void; paths: string[];
  text: string; onText: (text: string) => void; original: string; problems: Problem[]; dirty: boolean;
  merged: Merged | null; merchants: Map<string, Merchant>; schema: Schema; labels: string[];
  timezone: string; wish: { action: Action; merchant: string | null }; onWish: (wish: { action: Action; merchant: string | null }) => void;
  onExplain: (merchant: string) => void;
  /** What holds now; the draft stays, is what holds, or gives way to what holds. */
  onPublished: (document: Campaign, draft: "stays" | "holds" | "goes") => void; layer: Record<string, unknown> | null;
  /** Whether drafts outlive the page. */
  keeps: boolean;
}

export function Editor(props: EditorProps) {
  const { path, onPath, paths, problems, dirty, merged } = props;
  const errors = problems.filter(({ severity }) => severity === "error");
  return (
    <Stack gap="md" data-testid="editor">
      <NativeSelect label="My city" value={path} onChange={(event) => onPath(event.currentTarget.value)} data={paths.map((value) => ({ value, label: place(value) }))} maw={240} />
      <Group gap="xs">
        <Badge variant="filled" color={errors.length > 0 ? "red.8" : dirty ? "indigo.8" : "gray.8"} data-testid="state">{errors.length > 0 ? `${errors.length} to mend` : dirty ? "Draft" : "As published"}</Badge>
        <Text size="sm">{errors.length > 0 ? "The phone shows the last draft that could be read." : dirty ? `Only in this browser${props.keeps ? "" : ", until the page is closed"}: readers see nothing of it until it is published.` : `Nothing is changed in ${place(path)} yet.`}</Text>
        {dirty && <Button size="compact-sm" variant="subtle" color="dark" onClick={() => props.onText(props.original)}>Discard</Button>}
      </Group>
      <Problems problems={problems} path={path} />
      <Tabs defaultValue="form" keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="form">Form</Tabs.Tab>
          <Tabs.Tab value="yaml">YAML</Tabs.Tab>
          <Tabs.Tab value="merged">All layers together</Tabs.Tab>
          <Tabs.Tab value="publish">Publish</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="form" pt="md"><Form {...props} /></Tabs.Panel>
        <Tabs.Panel value="yaml" pt="md"><Suspense fallback={<Text>Loading the editor …</Text>}><Yaml text={props.text} onText={props.onText} problems={problems} schema={props.schema} path={path} /></Suspense></Tabs.Panel>
        <Tabs.Panel value="merged" pt="md">{merged && <Together merged={merged} path={path} labels={props.labels} />}</Tabs.Panel>
        <Tabs.Panel value="publish" pt="md"><Publish {...props} /></Tabs.Panel>
      </Tabs>
    </Stack>
  );
}

function Problems({ problems, path }: { problems: Problem[]; path: string }) {
  if (problems.length === 0) return null;
  return (
    <Alert color={problems.some(({ severity }) => severity === "error") ? "red" : "yellow"} title={problems.length === 1 ? "One thing to look at" : `${problems.length} things to look at`} data-testid="problems" role="alert">
      <List size="sm">{problems.slice(0, 6).map((problem, i) => <List.Item key={i}>{problem.line > 0 && <b>{problem.layer === path ? `Line ${problem.line}` : lineOf(problem.layer, problem.line)}: </b>}{problem.key && <code>{problem.key}</code>} {problem.message}{problem.hint ? `. ${problem.hint.replace(/^./, (letter) => letter.toUpperCase())}` : ""}</List.Item>)}</List>
    </Alert>
  );
}

/** Who holds a key, where it is locked or bounded. */
const held = (merged: Merged | null, key: string, path: string) => merged?.locks.find((lock) => (key === lock.key || key.startsWith(`${lock.key}.`)) && lock.layer !== path);
const lineOf = (layer: string, line: number) => (line > 0 ? `${layer}.yaml, line ${line}` : layer);

export function Lock({ by }: { by: { layer: string; line: number } }) {
  return <Tooltip label={`Held by ${lineOf(by.layer, by.line)}`}><span className="lock" role="img" aria-label={`Locked by ${lineOf(by.layer, by.line)}`}><svg viewBox="0 0 16 16" width="14" height="14" aria-hidden><path d="M4.5 7V5a3.5 3.5 0 0 1 7 0v2" fill="none" stroke="currentColor" strokeWidth="1.8" /><rect x="2.5" y="7" width="11" height="7.5" rx="1.5" fill="currentColor" /></svg></span></Tooltip>;
}

function Form({ text, onText, merged, merchants, labels, path, timezone, wish, onWish, onExplain }: EditorProps) {
  const [factor, setFactor] = useState(1.3);
  const [slot, setSlot] = useState<number>(1);
  const [from, setFrom] = useState("");
  const [until, setUntil] = useState("");
  const [words, setWords] = useState("Local favourite");
  const [cap, setCap] = useState<number>(1);
  const [capped, setCapped] = useState<Capped>("cuisine");
  const merchant = wish.merchant ? merchants.get(wish.merchant) : undefined;
  const name = merchant?.card?.name ?? "";
  const id = merchant?.card?.merchant_id ?? "";
  const options = useMemo(() => [...merchants.values()].filter(({ card }) => card).map(({ id, card }) => ({ value: id, label: `${card?.name}${card?.cuisines ? `, ${cuisines(card.cuisines)}` : ""}` })).sort((a, b) => a.label.localeCompare(b.label)), [merchants]);
  const bound = merged?.bounds.find(({ key }) => key === "boosts.*.factor");
  const most = bound?.max ?? 5;
  const leaf = (name: string, otherwise: number) => Number(merged?.leaves.find(({ key }) => key === name)?.value ?? otherwise);
  const [slots, ofChain] = [leaf("slots", 4), leaf("chain_cap", 1)];
  const cuisine = merchant?.card?.cuisines.split(";").find((label) => labels.includes(label));
  const chain = merchant?.card?.chain || undefined;
  const whose: Capped = (capped === "cuisine" && !cuisine) || (capped === "chain" && !chain) ? (chain ? "chain" : cuisine ? "cuisine" : "chains") : capped;
  const lock = held(merged, keyOf(wish.action, whose), path);
  const apply = () => {
    if (merchant && !lock) onText(written(text, { action: wish.action, name, merchant: id, cuisine, chain, factor, slot, badge: words, capped: whose, cap, from, until, timezone }));
  };
  const edits = useMemo(() => own(text, merchants, timezone), [text, merchants, timezone]);
  const verb = { boost: factor >= 1 ? `Boost ${name}` : `Bury ${name}`, pin: `Pin ${name}`, exclude: `Exclude ${name}`, cap: { cuisine: `Cap ${nice(cuisine ?? "")}`, chain: `Cap ${name}'s chain`, chains: "Cap every chain" }[whose], theme: `Theme ${name}` }[wish.action];

  return (
    <Stack gap="md">
      <Paper withBorder p="md">
        <Stack gap="sm">
          <Select label="Find a merchant by name" placeholder="Type the beginning of its name" searchable allowDeselect={false} limit={40} data={options} value={wish.merchant} onChange={(merchant) => onWish({ ...wish, merchant })} nothingFoundMessage="Nobody is called so in the areas at hand" clearable clearButtonProps={{ "aria-label": "Forget the merchant" }} />
          <SegmentedControl aria-label="What to do with it" fullWidth value={wish.action} onChange={(action) => onWish({ ...wish, action: action as Action })} data={[{ value: "boost", label: "Boost" }, { value: "pin", label: "Pin" }, { value: "exclude", label: "Exclude" }, { value: "cap", label: "Cap" }, { value: "theme", label: "Theme" }]} />
          {lock && <Text size="sm"><Lock by={lock} /> {nice(lock.key)} is locked by {lineOf(lock.layer, lock.line)}. Ask who owns that layer to open it.</Text>}
          {wish.action === "boost" && <div><Text size="sm">Its odds, times {factor.toFixed(2)}{bound ? <> (at most {most}, as {lineOf(bound.layer, bound.line)} says)</> : null}</Text><Slider thumbLabel="Times its odds" min={0.2} max={most} step={0.05} value={Math.min(factor, most)} onChange={setFactor} label={(value) => value.toFixed(2)} /></div>}
          {wish.action === "pin" && <NumberInput label="Slot" min={1} max={slots} value={slot} onChange={(value) => setSlot(Number(value) || 1)} w={120} description={`1 is the first of ${slots}`} />}
          {wish.action === "theme" && <TextInput label="Words on its card" value={words} maxLength={40} onChange={(event) => setWords(event.currentTarget.value)} />}
          {wish.action === "cap" && (
            <Group align="end">
              <NumberInput label="At most" min={0} max={slots} value={cap} onChange={(value) => setCap(Number(value) || 0)} w={90} />
              <NativeSelect label="in one message of" value={whose} onChange={(event) => setCapped(event.currentTarget.value as Capped)} data={[...(cuisine ? [{ value: "cuisine", label: `its cuisine: ${nice(cuisine)}` }] : []), ...(chain ? [{ value: "chain", label: `its chain: ${name}` }] : []), { value: "chains", label: "any one chain" }]} miw={240} />
              <Text size="sm">{whose === "chains" ? "From now on, at all times: this cap knows no dates." : whose === "chain" && cap > ofChain ? `No more than ${ofChain} of any one chain is shown as it is: raise that first.` : "Merchants themselves are never shown twice."}</Text>
            </Group>
          )}
          {!(wish.action === "cap" && whose === "chains") && <Group grow>
            <TextInput type="datetime-local" label={`From (optional, ${timezone.split("/").pop()} time)`} value={from} onChange={(event) => setFrom(event.currentTarget.value)} />
            <TextInput type="datetime-local" label={`Until (optional, ${timezone.split("/").pop()} time)`} value={until} onChange={(event) => setUntil(event.currentTarget.value)} error={from && until && until <= from ? "Choose a time after the first" : undefined} />
          </Group>}
          <Group><Button onClick={apply} disabled={!merchant || lock !== undefined || (from !== "" && until !== "" && until <= from)} data-testid="apply">{merchant ? `${verb} in ${place(path).split(" › ").pop()}` : "Choose a merchant first"}</Button>{merchant && <Button variant="default" onClick={() => onExplain(merchant.id)}>Why is it in the message, or not?</Button>}</Group>
        </Stack>
      </Paper>
      <div>
        <Title order={3} size="h5" mb="xs">What {place(path)} says of its own</Title>
        {edits.length === 0 ? <Text size="sm">Nothing yet: what the layers above say holds.</Text> : (
          <Table aria-label="Edits of this layer"><Table.Tbody>{edits.map(({ key, words, take }) => <Table.Tr key={key}><Table.Td>{words}</Table.Td><Table.Td w={90}><Button size="compact-xs" variant="default" aria-label={`Take out: ${words}`} onClick={() => onText(take(text))}>Take out</Button></Table.Td></Table.Tr>)}</Table.Tbody></Table>
        )}
      </div>
    </Stack>
  );
}

/** A leaf's JSON as a person writes it, and a cuisine by its name. */
const plain = (text: string, labels: string[]) => (text.startsWith('"') ? (JSON.parse(text) as string) : text).replace(/cuisine:#(\d+)/g, (_, n) => `cuisine:${labels[Number(n)] ?? n}`);

function Together({ merged, path, labels }: { merged: Merged; path: string; labels: string[] }) {
  const [all, setAll] = useState(false);
  const leaves = merged.leaves.filter(({ layer }) => all || layer !== null);
  return (
    <Stack gap="xs">
      <Text size="sm">From the outermost to the innermost: {merged.layers.map((layer) => layer.replace("defaults/", "defaults of ")).join(", then ")}. The later one wins, except for what is locked.</Text>
      <Group><Button size="compact-sm" variant="default" onClick={() => setAll(!all)}>{all ? "Only what somebody said" : "Show defaults, too"}</Button></Group>
      <div className="scroll" tabIndex={0} role="region" aria-label="Every key with who said it">
        <Table data-testid="merged">
          <Table.Thead><Table.Tr><Table.Th>Key</Table.Th><Table.Th>Value</Table.Th><Table.Th>Said by</Table.Th></Table.Tr></Table.Thead>
          <Table.Tbody>
            {leaves.map(({ key, value, layer, line }) => {
              const lock = merged.locks.find((lock) => key === lock.key || key.startsWith(`${lock.key}.`) || key.startsWith(`${lock.key}[`));
              const bound = merged.bounds.find((bound) => bound.key === key || (bound.key.includes(".*") && key.startsWith(bound.key.split(".*")[0] + ".") && key.endsWith(bound.key.split(".*")[1])));
              return (
                <Table.Tr key={key} className={layer === path ? "mine" : ""}>
                  <Table.Td><code>{plain(key, labels)}</code> {lock && <Lock by={lock} />}</Table.Td>
                  <Table.Td>{plain(value, labels)}{bound && <Text size="xs">{[bound.min !== null && `at least ${bound.min}`, bound.max !== null && `at most ${bound.max}`].filter(Boolean).join(", ")}: {lineOf(bound.layer, bound.line)}</Text>}</Table.Td>
                  <Table.Td>{layer === null ? "the default" : lineOf(layer, line ?? 0)}{layer === path ? " (mine)" : ""}{lock && <Text size="xs">locked by {lineOf(lock.layer, lock.line)}</Text>}</Table.Td>
                </Table.Tr>
              );
            })}
          </Table.Tbody>
        </Table>
      </div>
    </Stack>
  );
}
