// The page: a message on one side; where, what and why on the other.

import { Anchor, AppShell, Badge, Container, FileButton, Button, Grid, Group, NativeSelect, Select, Stack, Switch, Tabs, Text, Title, useMantineColorScheme } from "@mantine/core";
import { useCallback, useDeferredValue, useEffect, useMemo, useState } from "react";
import { ChangesPanel, type Reader } from "./changes/index.js";
import { Editor } from "./Editor";
import { load, type Simulator } from "./engine";
import { parse } from "./layer";
import { CopyLink, Message, Summary } from "./Message";
import { Place } from "./Place";
import { link, shared } from "./share";
import { Tastes } from "./Tastes";
import type { Draft, Problem, Request, Scene } from "./types";
import { NoReply, Others, Why } from "./Why";
import { GRADE_OF } from "./words";

const HALF_HOUR_MS = 1_800_000;
/** Noon in Helsinki on the first day. */
const NOON = 18;

export function App({ simulator, base }: { simulator: Simulator; base: string }) {
  const { index } = simulator;
  const start = useMemo(() => Date.parse(`${index.as_of.slice(0, 10)}T00:00:00Z`), [index]);
  const fromLink = useMemo(() => shared(location.hash), []);
  const campaigns = Object.keys(index.campaigns);
  const first = campaigns.includes("lunch") ? "lunch" : (campaigns[0] ?? "default");
  const [scene, setScene] = useState<Scene>({
    campaign: fromLink && campaigns.includes(fromLink.campaign) ? fromLink.campaign : first,
    reader: fromLink ? null : 0,
    step: fromLink?.step ?? NOON,
    point: fromLink?.point ?? null,
    grade: fromLink?.point ? "exact" : "none",
    mailbox: "direct",
  });
  const [draft, setDraft] = useState<Draft | null>(fromLink?.draft ?? null);
  const [slot, setSlot] = useState<number | null>(0);
  const [asked, setAsked] = useState<string | null>(null);
  const [own, setOwn] = useState<{ version: number; words: string | null }>({ version: 0, words: null });
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const dark = colorScheme === "dark";

  const change = useCallback((to: Partial<Scene>) => {
    // What a mailbox hides, nobody can tell.
    const grade = to.mailbox ? GRADE_OF[to.mailbox] : undefined;
    setScene((scene) => ({ ...scene, ...(grade && { grade }), ...to }));
  }, []);

  const files = index.campaigns[scene.campaign]?.files ?? {};
  const paths = useMemo(() => [...new Set([...Object.keys(files).filter((path) => !path.startsWith("arms/")), "fi/helsinki"])].sort(), [files]);
  const path = draft?.path ?? (paths.includes("fi/helsinki") ? "fi/helsinki" : (paths[0] ?? "global"));
  const original = files[path] ?? "# Helsinki's own layer: it has nothing to say yet.\nlevel: city\ncovers: { places: [fi/helsinki] }\n";
  const yaml = draft?.yaml ?? original;

  const drafted = useMemo((): { campaign: string; problems: Problem[] } => {
    if (yaml === original) return { campaign: scene.campaign, problems: [] };
    const read = parse(yaml);
    if ("problem" in read) return { campaign: scene.campaign, problems: [{ layer: path, key: "", hint: null, severity: "error", ...read.problem }] };
    // A polygon was made into cells when the campaign was published.
    const published = simulator.layer(scene.campaign, path);
    const covers = (read.layer.covers as { polygon?: string } | undefined)?.polygon && published ? { covers: published.covers } : {};
    return simulator.draft(scene.campaign, path, { ...read.layer, ...covers });
  }, [simulator, scene.campaign, path, yaml, original]);

  // The first few came with the page, the others once somebody asks what changes.
  const [readers, setReaders] = useState(index.readers);
  const profile = scene.reader === null ? undefined : readers[scene.reader];
  const request = useMemo((): Request => {
    const at = new Date(start + scene.step * HALF_HOUR_MS).toISOString().replace(".000", "");
    const position = scene.point && scene.grade !== "none" ? { ...scene.point, grade: scene.grade } : {};
    return { campaign: drafted.campaign, ...(profile && { profile }), context: { at, mailbox: scene.mailbox, ...position }, display: true };
  }, [drafted, profile, scene, start]);
  // A bundle of somebody's own changes what is known.
  const answer = useMemo(() => answered(() => simulator.rank(request)), [simulator, request, own.version]);
  // What explains a message may come a moment after it: dragging the pin moves the message at once.
  const later = useDeferredValue(request);
  const behind = useMemo(
    () =>
      answered(() => {
        const reply = simulator.rank({ ...later, explain: true, ...(asked && { why: asked }) });
        simulator.merchants(reply.place.cell);
        return { reply, located: simulator.locate(later), merged: simulator.merged(later) };
      }),
    [simulator, later, asked, own.version],
  );

  useEffect(() => {
    document.documentElement.dataset.ready = "true";
    performance.mark("ranked");
  }, []);

  const facts = useMemo(() => (profile ? simulator.reader(profile) : null), [simulator, profile]);
  const cuisines = useMemo(() => [...new Set(simulator.everybody().flatMap(({ cuisines }) => cuisines?.split(";").filter(Boolean) ?? []))].sort(), [simulator, own.version]);

  const bring = async (chosen: File[]) => {
    let n = 0;
    try {
      // A display block belongs to a bundle, which comes first.
      for (const file of [...chosen].sort((a, b) => a.name.localeCompare(b.name))) {
        const bytes = new Uint8Array(await file.arrayBuffer());
        if (file.name.endsWith(".display")) simulator.addDisplay(bytes);
        else simulator.addArea(bytes);
        n += 1;
      }
      setOwn((own) => ({ version: own.version + 1, words: `${n} files of your own are used now. They stay in this browser.` }));
    } catch (error) {
      setOwn((own) => ({ version: own.version + 1, words: `${chosen[n]?.name ?? "The file"} was not taken: ${String((error as Error).message)}. Bring *.area and *.display files as \`freshrank build\` writes them.` }));
    }
  };

  return (
    <AppShell header={{ height: { base: 128, sm: 56 } }} padding="md">
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" gap="xs">
          <Group gap="xs">
            <Title order={1} size="h4">
              freshrank simulator
            </Title>
            <Badge color="dark" variant="filled" tt="none" title={index.simulated}>
              synthetic readers
            </Badge>
          </Group>
          <Group gap="sm">
            <NativeSelect aria-label="Campaign" size="xs" data={campaigns} value={scene.campaign} onChange={(event) => (setDraft(null), change({ campaign: event.currentTarget.value }))} />
            <Select aria-label="Reader" size="xs" w={180} allowDeselect={false} data={[{ value: "-1", label: "Nobody known" }, ...readers.map((_, i) => ({ value: String(i), label: `Reader ${i + 1}` }))]} value={String(scene.reader ?? -1)} onChange={(value) => change({ reader: value === null || value === "-1" ? null : Number(value) })} />
            <Switch size="sm" label="Dark" checked={dark} onChange={(event) => setColorScheme(event.currentTarget.checked ? "dark" : "light")} />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Main
        onDragOver={(event) => event.preventDefault()}
        onDrop={(event) => {
          event.preventDefault();
          void bring([...event.dataTransfer.files]);
        }}
      >
        <Container size="xl" p={0}>
          {!("value" in answer) || !("value" in behind) ? (
            <NoReply error={"error" in answer ? answer.error : "error" in behind ? behind.error : ""} onReset={() => setDraft(null)} />
          ) : (
            <Grid>
              <Grid.Col span={{ base: 12, md: 5, lg: 4 }}>
                <Stack>
                  <Message reply={answer.value} dark={dark} chosen={slot} onChoose={setSlot} />
                  <Summary reply={answer.value} />
                  <Group gap="xs">
                    <CopyLink href={link(scene, yaml === original ? null : { path, yaml })} />
                    <FileButton multiple accept=".area,.display" onChange={(chosen) => void bring(chosen)}>
                      {(props) => (
                        <Button size="xs" variant="default" {...props}>
                          Your own bundles …
                        </Button>
                      )}
                    </FileButton>
                  </Group>
                  {own.words && (
                    <Text size="sm" role="status">
                      {own.words}
                    </Text>
                  )}
                </Stack>
              </Grid.Col>
              <Grid.Col span={{ base: 12, md: 7, lg: 8 }}>
                <Tabs defaultValue="place" keepMounted={false}>
                  <Tabs.List aria-label="What to look at">
                    <Tabs.Tab value="place">Where and when</Tabs.Tab>
                    <Tabs.Tab value="why">Why</Tabs.Tab>
                    <Tabs.Tab value="campaign">Campaign</Tabs.Tab>
                    <Tabs.Tab value="changes">What changes</Tabs.Tab>
                    <Tabs.Tab value="tastes">Tastes</Tabs.Tab>
                  </Tabs.List>
                  <Tabs.Panel value="place" pt="md">
                    <Place simulator={simulator} base={base} scene={scene} reply={behind.value.reply} located={behind.value.located} onChange={change} />
                  </Tabs.Panel>
                  <Tabs.Panel value="why" pt="md">
                    <Stack>
                      <Why simulator={simulator} reply={behind.value.reply} slot={slot ?? 0} />
                      <Others simulator={simulator} reply={behind.value.reply} asked={asked} onAsk={setAsked} />
                    </Stack>
                  </Tabs.Panel>
                  <Tabs.Panel value="campaign" pt="md">
                    <Editor
                      simulator={simulator}
                      campaign={scene.campaign}
                      draft={{ path, yaml }}
                      problems={drafted.problems}
                      changed={yaml !== original}
                      merged={behind.value.merged}
                      paths={paths}
                      cuisines={cuisines}
                      onPath={(to) => setDraft(to === path ? draft : { path: to, yaml: files[to] ?? original })}
                      onYaml={(yaml) => setDraft({ path, yaml })}
                      onReset={() => setDraft({ path, yaml: original })}
                    />
                  </Tabs.Panel>
                  <Tabs.Panel value="changes" pt="md">
                    <Changes simulator={simulator} base={base} campaign={scene.campaign} drafted={drafted.campaign} request={request} file={{ path: `campaigns/${scene.campaign}/${path}.yaml`, before: original, after: yaml }} readers={readers} onReaders={setReaders} onOpen={(reader) => change({ reader })} />
                  </Tabs.Panel>
                  <Tabs.Panel value="tastes" pt="md">
                    <Tastes base={base} reader={facts} smoothing={smoothingOf(behind.value.merged)} onSmoothing={(value) => setDraft({ path, yaml: withSmoothing(yaml, value) })} />
                  </Tabs.Panel>
                </Tabs>
              </Grid.Col>
            </Grid>
          )}
          <Text size="xs" mt="lg" component="footer">
            The merchants are real, the readers and their demand are {index.simulated}. Ranked in {"value" in answer ? answer.milliseconds.toFixed(1) : "–"} ms by the engine that serves readers; nothing leaves this browser.{" "}
            <Anchor href="https://www.openstreetmap.org/copyright" size="xs" underline="always">
              © OpenStreetMap contributors
            </Anchor>
          </Text>
        </Container>
      </AppShell.Main>
    </AppShell>
  );
}

/** The draft over thousands of sample readers, who are fetched first. */
function Changes({ simulator, base, campaign, drafted, request, file, readers, onReaders, onOpen }: { simulator: Simulator; base: string; campaign: string; drafted: string; request: Request; file: { path: string; before: string; after: string }; readers: string[]; onReaders: (readers: string[]) => void; onOpen: (reader: number) => void }) {
  const [problem, setProblem] = useState<string | null>(null);
  const whole = readers.length > simulator.index.readers.length;
  useEffect(() => {
    if (!whole) void load<string[]>(base, "readers.json").then(onReaders, (error: Error) => setProblem(error.message));
  }, [base, whole, onReaders]);
  const inputs = useMemo(() => simulator.inputs(), [simulator]);
  const [published, draft] = useMemo(() => [simulator.document(campaign), simulator.document(drafted)], [simulator, campaign, drafted, file.after]);
  const sample = useMemo(() => readers.map((profile, i): Reader => ({ id: `Reader ${i + 1}`, request: { profile, context: { ...request.context, seed: i } } })), [readers, request]);
  if (problem) return <Text role="alert">{problem}</Text>;
  if (!whole) return <Text size="sm">Fetching the sample readers …</Text>;
  return (
    <ChangesPanel inputs={inputs} published={published} draft={draft} readers={sample} files={file.before === file.after ? [] : [file]} data={`Merchants © OpenStreetMap contributors (ODbL). Readers are ${simulator.index.simulated}.`} onOpenReader={(reader) => onOpen(Number(reader.id.slice(7)) - 1)} />
  );
}

/** What the engine answers, and how long it took; or why it does not, in a sentence with a next step. */
function answered<T>(ask: () => T): { value: T; milliseconds: number } | { error: string } {
  try {
    const began = performance.now();
    const value = ask();
    return { value, milliseconds: performance.now() - began };
  } catch (error) {
    return { error: `${String((error as Error).message)}. Take the edit back, or choose another reader.` };
  }
}

const smoothingOf = (merged: { key: string; value: string }[]): number => Number(merged.find(({ key }) => key === "smoothing")?.value ?? 1);

function withSmoothing(yaml: string, value: number): string {
  const line = `smoothing: ${value}`;
  return /^smoothing:.*$/m.test(yaml) ? yaml.replace(/^smoothing:.*$/m, line) : `${yaml.trimEnd()}\n${line}\n`;
}
