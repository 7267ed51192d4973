// What changes: the draft and the published campaign over a few thousand sample readers, in words, pictures and two files to take away.

import { Alert, Badge, Button, FileInput, Group, Loader, NativeSelect, Paper, Progress, SimpleGrid, Stack, Table, Text, Title, UnstyledButton } from "@mantine/core";
import { useEffect, useMemo, useRef, useState } from "react";
import { cuisines as cuisines_chart, merchants as merchants_chart } from "./charts.js";
import { type Comparison, compare } from "./compare.js";
import { estimate_clicks } from "./estimate.js";
import { type Loaded, index, load, replayed } from "./log.js";
import { ESTIMATORS } from "./ope.js";
import { type FileEdit, patch } from "./patch.js";
import { run } from "./pool.js";
import { report } from "./report.js";
import type { Trial } from "./study.js";
import type { Campaign, Clicks, EngineInputs, Reader } from "./types.js";
import { ABOUT, clicks as say_clicks, headline, number, percent, rows, second } from "./words.js";

export interface ChangesPanelProps {
  inputs: EngineInputs;
  /** As readers have it, and as the editor has it; both compiled, as they would be published. */
  published: Campaign;
  draft: Campaign;
  readers: Reader[];
  /** The campaign's files, as they are and as the draft has them. */
  files: FileEdit[];
  /** Attribution of merchants and readers. */
  data: string;
  onOpenReader: (reader: Reader) => void;
  /** Where the bundler does not know workers by itself. */
  newWorker?: () => Worker;
  seed?: number;
}

interface Done {
  comparison: Comparison;
  clicks: Clicks;
  seconds: number;
  workers: number;
  log: { loaded: Loaded; replayed: number } | null;
  of: { published: Campaign; draft: Campaign };
}

const NUMBER = { whiteSpace: "nowrap" } as const;
const new_worker = () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
const TRIALS: Record<string, Trial | null> = { "as it is": null, "if 1 card in 5 were a try among 10": { share: 0.2, among: 10 }, "if 1 card in 2 were a try among 3": { share: 0.5, among: 3 }, "the same among 2, counting every message (slower)": { share: 0.5, among: 2 } };

export function ChangesPanel(props: ChangesPanelProps) {
  const { inputs, published, draft, readers, files, data, onOpenReader, newWorker = new_worker, seed = 1 } = props;
  const sizes = useMemo(() => [...new Set([500, 2000, 5000].map((size) => Math.min(size, readers.length)))], [readers.length]);
  const [size, set_size] = useState(Math.min(2000, readers.length));
  const [trial, set_trial] = useState(Object.keys(TRIALS)[0]);
  const [progress, set_progress] = useState<{ done: number; of: number } | null>(null);
  const [done, set_done] = useState<Done | null>(null);
  const [problem, set_problem] = useState<string | null>(null);
  const [log_file, set_log_file] = useState<File | null>(null);
  const [list_file, set_list_file] = useState<File | null>(null);
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);

  const start = async () => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    const { signal } = controller;
    set_problem(null);
    set_progress({ done: 0, of: 1 });
    try {
      const sample = readers.slice(0, size);
      const log = log_file ? await read_log(log_file, list_file, published.id, readers) : null;
      const base = { inputs, published, draft, new_worker: newWorker, signal };
      const asked = TRIALS[trial];
      const n_all = sample.length + (log?.tasks.length ?? 0);
      const main = await run({ ...base, trial: log ? null : asked, tasks: sample.map((reader) => ({ reader })), progress: (n) => set_progress({ done: n, of: n_all }) });
      const of_log = log && (await run({ ...base, trial: null, tasks: log.tasks, progress: (n) => set_progress({ done: sample.length + n, of: n_all }) }));
      const same = log && of_log ? replayed(log.tasks.map(({ sent }) => sent?.propensities ?? []), of_log.pairs.map(({ logged }) => logged.slots.map(({ propensity }) => propensity))) : 1;
      // What whoever sent a message wrote down holds; the engine's word about it is only compared.
      of_log?.pairs.forEach((pair, i) => pair.logged.slots.forEach((slot, at) => (slot.propensity = log?.tasks[i].sent?.propensities[at] ?? slot.propensity)));
      const clicks = estimate_clicks(of_log?.pairs ?? main.pairs, { seed }, log?.units);
      if (log && same < 0.95) {
        clicks.declined ??= `Only ${percent(same)} of the log's messages are what this campaign would have sent there: load the campaign as it was, and its areas.`;
        for (const name of ESTIMATORS) Object.assign(clicks.estimates[name], { interval: null, gain: null });
      }
      set_done({ comparison: compare(main.pairs, main.cards), clicks, seconds: main.seconds + (of_log?.seconds ?? 0), workers: main.workers, log: log && { loaded: log, replayed: same }, of: { published, draft } });
    } catch (error) {
      if (!signal.aborted) set_problem(error instanceof Error ? error.message : String(error));
    } finally {
      if (running.current === controller) set_progress(null);
    }
  };
  const cancel = () => {
    running.current?.abort();
    running.current = null;
    set_progress(null);
  };

  const is_old = done !== null && (done.of.draft !== draft || done.of.published !== published);
  return (
    <Stack component="section" aria-label="What changes" gap="md">
      <Group align="end" gap="sm">
        <NativeSelect label="Sample readers" value={String(size)} onChange={(event) => set_size(Number(event.currentTarget.value))} data={sizes.map((of) => ({ value: String(of), label: number(of) }))} />
        <NativeSelect label="Clicks: today's campaign" value={trial} disabled={log_file !== null} onChange={(event) => set_trial(event.currentTarget.value)} data={Object.keys(TRIALS)} />
        {progress === null ? <Button onClick={start} disabled={readers.length === 0}>See what changes</Button> : <Button variant="default" onClick={cancel}>Cancel</Button>}
      </Group>
      {readers.length === 0 && <Text>There are no sample readers here: choose a city that has some.</Text>}
      {progress && (
        <div>
          <Progress value={(100 * progress.done) / progress.of} aria-label="Readers ranked" size="lg" />
          <Group gap="xs" mt={4}><Loader size="xs" aria-hidden /><Text size="sm" role="status">{number(progress.done)} of {number(progress.of)} readers ranked</Text></Group>
        </div>
      )}
      {problem && <Alert color="red" title="That did not work" role="alert">{problem}</Alert>}
      {is_old && <Alert color="yellow" title="The draft has changed since">Ask again to see what it changes now.</Alert>}
      {done && <Answer done={done} readers={readers} files={files} data={data} onOpenReader={onOpenReader} campaign={published.id} />}
      <Paper withBorder p="md">
        <Title order={3} size="h5">Clicks of your own log</Title>
        <Text size="sm" mb="xs">Records of messages that were sent and clicked, and the list of who got them. Neither leaves this browser.</Text>
        <Group align="end">
          <FileInput label="Log (NDJSON)" placeholder="Choose a file" value={log_file} onChange={set_log_file} clearable clearButtonProps={{ "aria-label": "Forget the log" }} w={220} />
          <FileInput label="Messages (CSV: message_id, user_id)" placeholder="Choose a file" value={list_file} onChange={set_list_file} clearable clearButtonProps={{ "aria-label": "Forget the list" }} w={280} />
        </Group>
      </Paper>
    </Stack>
  );
}

async function read_log(log: File, list: File | null, campaign: string, readers: Reader[]): Promise<Loaded> {
  if (list === null) throw new Error("A log names messages, not readers: choose the list of messages, too.");
  const find = await index(await list.text(), new Map(readers.map((reader) => [reader.id, reader])));
  const loaded = await load(await log.text(), campaign, find);
  if (loaded.tasks.length === 0) throw new Error(`No message of the log can be used for “${campaign}”: ${loaded.left_out.join("; ") || "it has none"}.`);
  return loaded;
}

function Answer({ done, readers, files, data, onOpenReader, campaign }: { done: Done } & Pick<ChangesPanelProps, "readers" | "files" | "data" | "onOpenReader"> & { campaign: string }) {
  const { comparison, clicks, seconds, workers, log } = done;
  const by_id = useMemo(() => new Map(readers.map((reader) => [reader.id, reader])), [readers]);
  const pictures = useMemo(() => [{ title: "Who gains and loses places", svg: merchants_chart(comparison) }, { title: "Cuisines, today and in the draft", svg: cuisines_chart(comparison) }], [comparison]);
  const diff = useMemo(() => patch(files), [files]);
  const save_report = () => {
    const as_text = pictures.map(({ title, svg }) => ({ title, svg: new XMLSerializer().serializeToString(svg) }));
    save(`${campaign}-what-changes.html`, "text/html", report({ campaign, made_at: `${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC`, comparison, clicks, pictures: as_text, data }));
  };
  return (
    <Stack gap="md">
      <div>
        <Title order={2} size="h3" data-testid="headline">{headline(comparison)}</Title>
        <Text>{second(comparison)}</Text>
        <Text size="sm" c="dimmed" data-testid="speed">Ranked in {number(seconds)} seconds by {workers} {workers === 1 ? "worker" : "workers"}.</Text>
      </div>
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        {comparison.changed > 0 && pictures.map(({ title, svg }) => (
          <Paper withBorder p="md" key={title}><Title order={3} size="h5" mb="xs">{title}</Title><Picture svg={svg} /></Paper>
        ))}
        <Paper withBorder p="md">
          <Title order={3} size="h5" mb="xs">In numbers</Title>
          <Table>
            <Table.Thead><Table.Tr><Table.Th>Of all cards</Table.Th><Table.Th ta="right">Today</Table.Th><Table.Th ta="right">Draft</Table.Th></Table.Tr></Table.Thead>
            <Table.Tbody>
              {rows(comparison).map((row) => (
                <Table.Tr key={row.name} fw={row.changes ? 600 : 400}><Table.Td>{row.name}</Table.Td><Table.Td ta="right" style={NUMBER}>{row.published}</Table.Td><Table.Td ta="right" style={NUMBER}>{row.draft}</Table.Td></Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Paper>
        <Paper withBorder p="md">
          <Title order={3} size="h5" mb="xs">Most affected readers</Title>
          {comparison.affected.length === 0 && <Text>Nobody sees anything else.</Text>}
          <Stack component="ul" gap={2} m={0} p={0} style={{ listStyle: "none" }}>
            {comparison.affected.slice(0, 8).map((of) => (
              <li key={of.reader}>
                <UnstyledButton p={6} w="100%" data-testid="affected" onClick={() => { const reader = by_id.get(of.reader); if (reader) onOpenReader(reader); }} style={{ textDecoration: "underline", textUnderlineOffset: 3 }}>
                  Reader {of.reader}: {of.slots} of {of.of} cards differ, {of.new_merchants} {of.new_merchants === 1 ? "merchant is" : "merchants are"} new
                </UnstyledButton>
              </li>
            ))}
          </Stack>
        </Paper>
      </SimpleGrid>
      <Paper withBorder p="md" data-testid="clicks">
        <Group gap="xs" mb="xs"><Title order={3} size="h5">Clicks</Title>{clicks.simulated && <Badge color="yellow.3" variant="filled" c="black">Simulated</Badge>}</Group>
        <Text data-testid="clicks-say">{say_clicks(clicks)}</Text>
        {log && <Text size="sm">{number(log.loaded.tasks.length)} of the log's {number(log.loaded.messages)} messages are used; {percent(log.replayed)} of them are to the letter what the engine would send. {log.loaded.left_out.length > 0 && `Left out: ${log.loaded.left_out.join("; ")}.`}</Text>}
        {clicks.notes.map((note) => <Text size="sm" c="dimmed" key={note}>{note}</Text>)}
        <details>
          <summary>How sure is that?</summary>
          <Text size="sm">{number(clicks.health.messages)} messages are worth {number(clicks.health.effective, 0)} after weighing. {percent(clicks.health.clipped_mass)} of the weight was clipped. {percent(clicks.unsupported)} of the draft's cards have no support. The mean weight is {number(clicks.health.mean_weight, 3)} (1 is right). Seed {clicks.seed}, {number(clicks.rounds)} resamplings of readers.{clicks.truth_per_thousand !== null && clicks.declined === null && ` Since clicks are simulated, the truth is known: ${number(clicks.truth_per_thousand, 0)}.`}</Text>
          <Table>
            <Table.Thead><Table.Tr><Table.Th>Estimate</Table.Th><Table.Th ta="right">In 1,000 messages</Table.Th><Table.Th ta="right">95 % interval</Table.Th></Table.Tr></Table.Thead>
            <Table.Tbody>
              {ESTIMATORS.map((name) => {
                const { per_thousand, interval } = clicks.estimates[name];
                return (
                  <Table.Tr key={name}><Table.Td>{ABOUT[name]}</Table.Td><Table.Td ta="right">{per_thousand === null ? "too many possible messages" : clicks.declined === null ? number(per_thousand, 0) : "not said"}</Table.Td><Table.Td ta="right">{interval ? `${number(interval.low, 0)} to ${number(interval.high, 0)}` : "none"}</Table.Td></Table.Tr>
                );
              })}
            </Table.Tbody>
          </Table>
        </details>
      </Paper>
      <Group>
        <Button variant="light" onClick={save_report}>Save the report</Button>
        <Button variant="light" disabled={diff === ""} onClick={() => save(`${campaign}.patch`, "text/x-diff", diff)}>Save the patch</Button>
        <Text size="sm" c="dimmed">{diff === "" ? "No file of the campaign differs." : "Whoever keeps the campaign's files takes the patch with `git apply`."}</Text>
      </Group>
    </Stack>
  );
}

function Picture({ svg }: { svg: SVGSVGElement }) {
  const here = useRef<HTMLDivElement>(null);
  useEffect(() => {
    svg.style.maxWidth = "100%";
    here.current?.replaceChildren(svg);
  }, [svg]);
  return <div ref={here} />;
}

function save(name: string, type: string, content: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  Object.assign(link, { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
