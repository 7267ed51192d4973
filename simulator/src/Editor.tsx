// A local team's edit of its own layer: a form first, the YAML behind it, what all layers come to, and publishing.

import { Alert, Badge, Button, Group, List, NativeSelect, NumberInput, Paper, PasswordInput, SegmentedControl, Select, Slider, Stack, Table, Tabs, Text, TextInput, Title, Tooltip } from "@mantine/core";
import { Suspense, lazy, useMemo, useState } from "react";
import type { Campaign, Merchant, Merged, Problem, Schema } from "./engine.js";
import { edit, put, slug, things, values } from "./layer.js";
import { cuisines, nice, place, percent } from "./words.js";

// The code editor is the heaviest part of the page, and a second tab: it comes when it is opened.
const Yaml = lazy(() => import("./Yaml.js"));

export type Action = "boost" | "pin" | "exclude" | "cap" | "theme";

export interface EditorProps {
  campaign: Campaign; path: string; onPath: (path: string) => void; paths: string[];
  text: string; onText: (text: string) => void; original: string; problems: Problem[]; dirty: boolean;
  merged: Merged | null; merchants: Map<string, Merchant>; schema: Schema; labels: string[];
  timezone: string; wish: { action: Action; merchant: string | null }; onWish: (wish: { action: Action; merchant: string | null }) => void;
  onExplain: (merchant: string) => void; showing: "draft" | "published"; onShowing: (which: "draft" | "published") => void;
  onPublished: (document: Campaign, keepDraft: boolean) => void; layer: Record<string, unknown> | null; onSave: () => void; saved: boolean;
}

export function Editor(props: EditorProps) {
  const { campaign, path, onPath, paths, problems, dirty, merged } = props;
  const errors = problems.filter(({ severity }) => severity === "error");
  return (
    <Stack gap="md" data-testid="editor">
      <Group align="end" justify="space-between">
        <NativeSelect label="My city" value={path} onChange={(event) => onPath(event.currentTarget.value)} data={paths.map((value) => ({ value, label: place(value) }))} w={240} />
        <SegmentedControl aria-label="What the phone shows" value={props.showing} onChange={(value) => props.onShowing(value as "draft" | "published")} data={[{ value: "draft", label: "With my draft" }, { value: "published", label: "As published" }]} />
      </Group>
      <Group gap="xs">
        <Badge variant="filled" color={errors.length > 0 ? "red.8" : dirty ? "indigo.8" : "gray.8"} data-testid="state">{errors.length > 0 ? `${errors.length} to mend` : dirty ? "Draft" : "As published"}</Badge>
        <Text size="sm">{errors.length > 0 ? "The phone shows the last draft that could be read." : dirty ? "Only here: readers see nothing of it until it is published." : `Nothing is changed in ${place(path)} yet.`}</Text>
        {dirty && <Button size="compact-sm" variant="default" onClick={props.onSave}>{props.saved ? "Saved in this browser" : "Save the draft"}</Button>}
        {dirty && <Button size="compact-sm" variant="subtle" color="dark" onClick={() => props.onText(props.original)}>Discard</Button>}
      </Group>
      <Problems problems={problems} />
      <Tabs defaultValue="form" keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="form">Form</Tabs.Tab>
          <Tabs.Tab value="yaml">YAML</Tabs.Tab>
          <Tabs.Tab value="merged">All layers together</Tabs.Tab>
          <Tabs.Tab value="publish">Publish</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="form" pt="md"><Form {...props} /></Tabs.Panel>
        <Tabs.Panel value="yaml" pt="md"><Suspense fallback={<Text>Loading the editor …</Text>}><Yaml text={props.text} onText={props.onText} problems={problems} schema={props.schema} label={`YAML of ${path}`} /></Suspense></Tabs.Panel>
        <Tabs.Panel value="merged" pt="md">{merged && <Together merged={merged} path={path} labels={props.labels} />}</Tabs.Panel>
        <Tabs.Panel value="publish" pt="md"><Publish {...props} campaign={campaign} /></Tabs.Panel>
      </Tabs>
    </Stack>
  );
}

function Problems({ problems }: { problems: Problem[] }) {
  if (problems.length === 0) return null;
  return (
    <Alert color={problems.some(({ severity }) => severity === "error") ? "red" : "yellow"} title={problems.length === 1 ? "One thing to look at" : `${problems.length} things to look at`} data-testid="problems" role="alert">
      <List size="sm">{problems.slice(0, 6).map((problem, i) => <List.Item key={i}>{problem.line > 0 && <b>Line {problem.line}: </b>}{problem.key && <code>{problem.key}</code>} {problem.message}{problem.hint ? `. ${problem.hint.replace(/^./, (letter) => letter.toUpperCase())}` : ""}</List.Item>)}</List>
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
  const merchant = wish.merchant ? merchants.get(wish.merchant) : undefined;
  const name = merchant?.card?.name ?? "";
  const id = merchant?.card?.merchant_id ?? "";
  const options = useMemo(() => [...merchants.values()].filter(({ card }) => card).map(({ id, card }) => ({ value: id, label: `${card?.name}${card?.cuisines ? `, ${cuisines(card.cuisines)}` : ""}` })).sort((a, b) => a.label.localeCompare(b.label)), [merchants]);
  const bound = merged?.bounds.find(({ key }) => key === "boosts.*.factor");
  const most = bound?.max ?? 5;
  const lock = held(merged, { boost: "boosts", pin: "pins", exclude: "exclude", cap: "pool_caps", theme: "rules" }[wish.action], path);
  const slots = Number(merged?.leaves.find(({ key }) => key === "slots")?.value ?? 4);
  const cuisine = merchant?.card?.cuisines.split(";").find((label) => labels.includes(label));
  const during = from || until ? `local.during("${(from || "2000-01-01").slice(0, 10)}", "${(until || "2099-12-31").slice(0, 10)}")` : "";
  const time = { ...(from && { from: instant(from, timezone) }), ...(until && { until: instant(until, timezone) }) };
  const when = (condition: string) => [condition, during].filter(Boolean).join(" && ");
  const key = slug(name);

  const apply = () => {
    if (!merchant || lock) return;
    const own = `merchant.id == ${JSON.stringify(id)}`;
    if (wish.action === "boost") return onText(put(text, "boosts", key, { merchant: id, factor: Math.round(factor * 100) / 100, ...time }));
    if (wish.action === "pin") return onText(put(text, "pins", key, { slot: slot - 1, merchant: id, ...time }));
    if (wish.action === "exclude") {
      if (during) return onText(put(text, "rules", `without-${key}`, { when: when(own), then: "exclude", reason: `${name} is taken out for a while` }));
      const now = values(text).exclude;
      const list: string[] = Array.isArray(now) ? now : now?.append ?? [];
      return list.includes(id) ? undefined : onText(edit(text, Array.isArray(now) ? ["exclude"] : ["exclude", "append"], [...list, id]));
    }
    if (wish.action === "theme") return onText(put(text, "rules", `theme-${key}`, { when: when(own), then: "badge", badge: words.trim() || "Theme", reason: `theme of ${place(path)}` }));
    const kind = cuisine ?? "pizza";
    const pool = `some-${slug(kind)}`;
    const rules = put(text, "rules", pool, { when: when(`${JSON.stringify(kind)} in merchant.cuisines`), then: "pool", pool, reason: `at most ${cap} of ${nice(kind)} in a message` });
    return onText(edit(rules, ["pool_caps", pool], cap));
  };
  const edits = useMemo(() => own(text, merchants), [text, merchants]);
  const verb = { boost: factor >= 1 ? `Boost ${name}` : `Bury ${name}`, pin: `Pin ${name}`, exclude: `Exclude ${name}`, cap: `Cap ${cuisine ? nice(cuisine) : "its cuisine"}`, theme: `Theme ${name}` }[wish.action];

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
          {wish.action === "cap" && <NumberInput label={`At most so many of ${cuisine ? nice(cuisine) : "its cuisine"} in one message`} min={0} max={slots} value={cap} onChange={(value) => setCap(Number(value) || 0)} w={260} />}
          <Group grow>
            <TextInput type="datetime-local" label={`From (optional, ${timezone.split("/").pop()} time)`} value={from} onChange={(event) => setFrom(event.currentTarget.value)} />
            <TextInput type="datetime-local" label={`Until (optional, ${timezone.split("/").pop()} time)`} value={until} onChange={(event) => setUntil(event.currentTarget.value)} error={from && until && until <= from ? "Choose a time after the first" : undefined} />
          </Group>
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

/** What a clock in a time zone shows, as RFC 3339 in UTC. */
function instant(local: string, timeZone: string): string {
  const shown = (at: number) => Date.parse(`${new Date(at).toLocaleString("sv-SE", { timeZone }).replace(" ", "T")}Z`);
  const about = Date.parse(`${local}:00Z`);
  // Once more, as the first guess may lie on the other side of a change of the clocks.
  const first = about - (shown(about) - about);
  const at = about - (shown(first) - first);
  return new Date(at).toISOString().replace(".000", "");
}

/** The layer's edits in words, each with how to take it out again. */
function own(text: string, merchants: Map<string, Merchant>): { key: string; words: string; take: (text: string) => string }[] {
  const layer = values(text);
  const names = new Map([...merchants.values()].map(({ card }) => [card?.merchant_id, card?.name]));
  const name = (id: unknown) => names.get(String(id)) ?? String(id);
  const time = (thing: Record<string, unknown>) => [thing.from && `from ${String(thing.from).slice(0, 16).replace("T", " ")} UTC`, thing.until && `until ${String(thing.until).slice(0, 16).replace("T", " ")} UTC`].filter(Boolean).map((part) => `, ${part}`).join("");
  const found: { key: string; words: string; take: (text: string) => string }[] = [];
  for (const [id, thing] of Object.entries(things(layer.boosts))) found.push({ key: `boosts.${id}`, words: `${Number(thing?.factor) >= 1 ? "Boost" : "Bury"} ${name(thing?.merchant ?? id)}: odds × ${thing?.factor}${time(thing ?? {})}`, take: (text) => put(text, "boosts", id, undefined) });
  for (const [id, thing] of Object.entries(things(layer.pins))) found.push({ key: `pins.${id}`, words: `Pin ${name(thing?.merchant ?? id)} to slot ${Number(thing?.slot) + 1}${time(thing ?? {})}`, take: (text) => put(text, "pins", id, undefined) });
  const excluded: string[] = Array.isArray(layer.exclude) ? layer.exclude : layer.exclude?.append ?? [];
  for (const id of excluded) {
    const list = Array.isArray(layer.exclude) ? ["exclude"] : ["exclude", "append"];
    const rest = excluded.filter((other) => other !== id);
    found.push({ key: `exclude.${id}`, words: `Exclude ${name(id)}`, take: (text) => edit(text, list, rest.length > 0 ? rest : undefined) });
  }
  for (const [id, thing] of Object.entries(things(layer.rules))) found.push({ key: `rules.${id}`, words: `Rule ${id}: ${[thing?.then, thing?.factor && `× ${thing.factor}`, thing?.badge && `“${thing.badge}”`].filter(Boolean).join(" ") || "changes a rule above"}${thing?.reason ? `, ${thing.reason}` : ""}`, take: (text) => put(text, "rules", id, undefined) });
  for (const [pool, most] of Object.entries((layer.pool_caps ?? {}) as Record<string, number>)) found.push({ key: `pool_caps.${pool}`, words: `At most ${most} of pool ${pool}`, take: (text) => edit(text, ["pool_caps", pool], undefined) });
  for (const key of ["title", "slots", "radius_km", "cuisine_cap", "chain_cap", "price_cap", "organic_share", "diversity", "no_repeat", "smoothing", "unknown_hours", "place", "ranker"]) if (layer[key] !== undefined) found.push({ key, words: `${nice(key)}: ${layer[key]}`, take: (text) => edit(text, [key], undefined) });
  return found;
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

/** What a layer says, whoever wrote it down and in which order. */
function canonical(layer: unknown): string {
  const plain = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(plain);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).filter(([key]) => key !== "program" && key !== "marks").sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, plain(inner)]));
  };
  const { author: _, reason: __, ...said } = (layer ?? {}) as Record<string, unknown>;
  return JSON.stringify(plain(said));
}

interface Version { version: string; at: string; author: string; reason: string; scope?: string; share?: number; layer?: Record<string, unknown> | null }

function Publish({ campaign, path, layer, dirty, problems, onPublished }: EditorProps) {
  const [server, setServer] = useState(() => localStorage.getItem("freshrank.worker") ?? "");
  const [key, setKey] = useState("");
  const [author, setAuthor] = useState(() => localStorage.getItem("freshrank.author") ?? "");
  const [reason, setReason] = useState("");
  const [share, setShare] = useState("1");
  const [busy, setBusy] = useState(false);
  const [told, setTold] = useState<{ good: boolean; text: string } | null>(null);
  const [versions, setVersions] = useState<Version[]>([]);
  const broken = problems.some(({ severity }) => severity === "error");
  const url = `${server.replace(/\/$/, "")}/v1/campaigns/${encodeURIComponent(campaign.id)}/layers/${path}`;

  const call = async (method: string, query: string, body?: unknown, ifMatch?: string): Promise<Record<string, any>> => {
    const answer = await fetch(url + query, { method, headers: { Authorization: `Bearer ${key}`, ...(ifMatch && { "If-Match": `"${ifMatch}"` }) }, body: body === undefined ? undefined : JSON.stringify(body) }).catch(() => {
      throw new Error(`Nobody answers at ${server || "this page's own address"}. Check the Worker's address; \`cargo xtask demo\` starts one beside this page.`);
    });
    const read = await answer.text();
    let json: Record<string, any> = {};
    try { json = JSON.parse(read); } catch { throw new Error(`What answers at ${server || "this page's own address"} is no freshrank Worker (${answer.status}). Enter the Worker's address above.`); }
    if (answer.ok) return json;
    const next = { 401: "Check the key of your layer.", 403: "Choose a layer that your key is for.", 404: "Ask for the campaign to be published first.", 409: "There is nothing to go back to.", 412: "Somebody published meanwhile: load the versions and look.", 422: "Mend what it names, then publish again." }[answer.status] ?? "Try again in a minute.";
    throw new Error(`${json.detail ?? json.title ?? answer.status}. ${next}`);
  };
  const attempt = (what: () => Promise<string>) => async () => {
    setBusy(true);
    setTold(null);
    try {
      localStorage.setItem("freshrank.worker", server);
      localStorage.setItem("freshrank.author", author);
      setTold({ good: true, text: await what() });
    } catch (error) {
      setTold({ good: false, text: error instanceof Error ? error.message : String(error) });
    } finally {
      setBusy(false);
    }
  };
  const history = async () => {
    const { versions } = await call("GET", "");
    setVersions(versions ?? []);
    return versions as Version[];
  };
  const holds = (layer: Record<string, unknown> | null | undefined, keepDraft = false) => {
    const document = structuredClone(campaign) as unknown as Record<string, Record<string, unknown>>;
    const [tree, name] = path.startsWith("defaults/") ? ["defaults", path.slice(9)] : ["layers", path];
    document[tree] ??= {};
    if (layer) document[tree][name] = layer;
    else delete document[tree][name];
    onPublished(document as unknown as Campaign, keepDraft);
  };
  const now = () => {
    const [tree, name] = path.startsWith("defaults/") ? ["defaults", path.slice(9)] : ["layers", path];
    return (campaign as unknown as Record<string, Record<string, unknown>>)[tree]?.[name];
  };
  const publish = attempt(async () => {
    const { marks: _, ...written } = layer ?? {};
    const newest = (await history()).find((version) => (version.share ?? 1) === 1);
    if (newest && canonical(newest.layer) !== canonical(now())) {
      holds(newest.layer, true);
      throw new Error(`${newest.author} published this layer meanwhile: “${newest.reason}”. What holds now is loaded; look at your draft again, then publish it.`);
    }
    const answer = await call("PUT", share === "1" ? "" : `?share=${share}`, { ...written, author, reason }, newest?.version);
    const [latest] = await history();
    if (share === "1") holds(latest?.layer ?? layer);
    return `Published${share === "1" ? "" : ` for ${percent(Number(share))} of the readers`}: version ${answer.version}. Readers see it within a minute.${answer.pending ? ` ${answer.pending}` : ""}`;
  });
  const rollback = attempt(async () => {
    const answer = await call("PUT", "?rollback", { author, reason });
    const [latest] = await history();
    holds(latest?.layer);
    return `Rolled back to version ${answer.version}. Readers see it within a minute.`;
  });
  const signed = author.trim() !== "" && reason.trim() !== "" && key !== "";
  const missing = [key === "" && "the key", author.trim() === "" && "your name", reason.trim() === "" && "a reason"].filter(Boolean).join(", ");
  return (
    <Stack gap="sm" component="form" onSubmit={(event: { preventDefault(): void }) => event.preventDefault()}>
      <Group grow align="start">
        <TextInput label="Worker" placeholder="this page's own address" value={server} onChange={(event) => setServer(event.currentTarget.value)} />
        <PasswordInput label={`Key of ${place(path)}`} value={key} onChange={(event) => setKey(event.currentTarget.value)} description="Kept on this page only, until it is closed" visibilityToggleButtonProps={{ "aria-label": "Show the key" }} autoComplete="off" />
      </Group>
      <Group grow align="start">
        <TextInput label="Your name" value={author} onChange={(event) => setAuthor(event.currentTarget.value)} />
        <TextInput label="Why" placeholder="summer terraces open" value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
        <NativeSelect label="For" value={share} onChange={(event) => setShare(event.currentTarget.value)} data={[{ value: "1", label: "all readers" }, { value: "0.1", label: "a tenth first" }, { value: "0.5", label: "half first" }]} />
      </Group>
      <Group>
        <Button onClick={publish} loading={busy} disabled={!signed || !dirty || broken || !layer} data-testid="publish">Publish</Button>
        <Button variant="default" onClick={rollback} loading={busy} disabled={!signed} data-testid="rollback">Roll back</Button>
        <Button variant="subtle" color="dark" onClick={attempt(async () => { const all = await history(); return all.length > 0 ? `${all.length} versions on record.` : "No version on record yet."; })} disabled={key === ""}>Versions</Button>
      </Group>
      {(missing || broken || !dirty) && <Text size="sm">{broken ? "Mend what is listed above before you publish." : !dirty ? "There is no change to publish." : `To publish, enter ${missing}.`}</Text>}
      {told && <Alert color={told.good ? "green" : "red"} role="status" title={told.good ? "Done" : "That did not work"} data-testid="told">{told.text}</Alert>}
      {versions.length > 0 && (
        <Table aria-label="Versions of this layer"><Table.Thead><Table.Tr><Table.Th>When</Table.Th><Table.Th>Who</Table.Th><Table.Th>Why</Table.Th></Table.Tr></Table.Thead>
          <Table.Tbody>{versions.slice(0, 10).map((version, i) => <Table.Tr key={i}><Table.Td>{version.at.replace("T", " ").slice(0, 16)}</Table.Td><Table.Td>{version.author}</Table.Td><Table.Td>{version.reason}{version.share !== undefined && version.share < 1 ? ` (for ${percent(version.share)})` : ""}</Table.Td></Table.Tr>)}</Table.Tbody></Table>
      )}
    </Stack>
  );
}
