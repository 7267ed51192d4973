// The page: the message on the left, what decides about it on the right. Every change asks the engine again at once.

import { ActionIcon, Alert, Anchor, Button, FileButton, Group, NativeSelect, Paper, SegmentedControl, Stack, Tabs, Text, Title, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { Suspense, lazy, useCallback, useEffect, useMemo, useRef, useState } from "react";
import scriptUrl from "freshrank?url";
import wasmUrl from "freshrank-wasm?url";
import { Candidates } from "./Candidates.js";
import { Broken } from "./Broken.js";
import { Editor } from "./Editor.js";
import { MapView } from "./MapView.js";
import { Mail, type MomentState, Verdict, WEEK, When, Who } from "./Moment.js";
import { Phone, Ranks } from "./Phone.js";
import { type Given, bring, inDrop } from "./brought.js";
import { type Campaign, type Checked, type Data, Engine, type Merged, type PlaceOf, type Point, type Problem, type ProfileOf, type Reply, type Scene, listed, said } from "./engine.js";
import type { Action } from "./edits.js";
import { edit, inDocument, put, read, slug, values, write } from "./layer.js";
import type { EngineInputs, FileEdit } from "./changes/index.js";
import { fromHash, toHash } from "./share.js";
import { GRADES, place } from "./words.js";

const Why = lazy(() => import("./Why.js").then(({ Why }) => ({ default: Why })));
const ChangesPanel = lazy(() => import("./changes/index.js").then(({ ChangesPanel }) => ({ default: ChangesPanel })));
const Tastes = lazy(() => import("./Tastes.js").then(({ Tastes }) => ({ default: Tastes })));

/** Where the pin stands first: Kamppi. */
const KAMPPI: Point = { latitude: 60.1685, longitude: 24.9316 };
const NOWHERE: string[] = [];
/** How long a drag rests before everything is explained anew. */
const REST_MS = 90;

export function App({ data }: { data: Data }) {
  const { engine, market } = data;
  const shared = useMemo(() => fromHash(location.hash), []);
  const [published, setPublished] = useState<Record<string, Campaign>>(() => Object.fromEntries(market.campaigns.map((campaign) => [campaign.id, campaign])));
  const [id, setId] = useState(shared?.campaign && published[shared.campaign] ? shared.campaign : market.campaigns[0].id);
  const campaign = published[id];
  const [path, setPath] = useState(shared?.layer ?? market.home);
  // Drafts of this browser's own, which keeps them at once; what another one shared is kept once it is edited here.
  const [kept, setKept] = useState(drafts);
  const [texts, setTexts] = useState(() => (shared?.yaml !== undefined ? { ...kept, [`${shared.campaign}/${shared.layer}`]: shared.yaml } : kept));
  const change = useCallback((drafts: Drafts) => {
    const onto = (all: Drafts) => Object.fromEntries(Object.entries({ ...all, ...drafts }).filter(([, text]) => text !== undefined));
    setTexts(onto);
    setKept(onto);
  }, []);
  const [keeps, setKeeps] = useState(true);
  useEffect(() => setKeeps(keep(kept)), [kept]);
  const [index, setIndex] = useState<number | null>(() => worthSeeing(data));
  const [pin, setPin] = useState<Point>(shared?.latitude !== undefined && shared.longitude !== undefined ? { latitude: shared.latitude, longitude: shared.longitude } : KAMPPI);
  const [moment, setMoment] = useState<MomentState>({ minute: inWeek(shared?.at) ?? 720, grade: shared?.grade ?? "exact", mailbox: shared?.mailbox ?? "direct", trip: false });
  const [chosen, setChosen] = useState<string | null>(null);
  const [wish, setWish] = useState<{ action: Action; merchant: string | null }>({ action: "boost", merchant: null });
  const [tab, setTab] = useState<string | null>("place");
  const [showing, setShowing] = useState<"draft" | "published">("draft");
  const [at, setAt] = useState({ areas: data.areas, merchants: data.merchants, version: 0 });
  const [own, setOwn] = useState<[string, Uint8Array][]>([]);
  const [note, setNote] = useState<{ good: boolean; text: string } | null>(null);
  const scheme = useComputedColorScheme("light");
  const { setColorScheme } = useMantineColorScheme();
  const [phoneDark, setPhoneDark] = useState(false);

  // The week from the day on that the areas were built.
  const start = useMemo(() => midnight(market.as_of, market.timezone), [market]);

  const paths = useMemo(() => [...new Set([market.home, path, ...Object.keys(campaign.layers)])].sort((a, b) => a.split("/").length - b.split("/").length || a.localeCompare(b)), [campaign, market, path]);
  // As its author wrote it, comments and all, for as long as that is what is published.
  const [authored, setAuthored] = useState<Record<string, string | undefined>>(market.files);
  const file = market.files[`${id}/${path}`];
  const words = authored[`${id}/${path}`];
  const original = useMemo(() => words ?? write(campaign, path, data.cuisines.labels), [campaign, path, data, words]);
  const text = texts[`${id}/${path}`] ?? original;
  const setText = useCallback((next: string) => { change({ [`${id}/${path}`]: next === original ? undefined : next }); setShowing("draft"); }, [id, path, original, change]);
  const dirty = text !== original;

  const json = useMemo(() => JSON.stringify(campaign), [campaign]);
  const checked = useMemo((): Checked & { problems: Problem[] } => {
    if (!dirty) return { problems: [], document: json };
    const { covers } = (inDocument(campaign, path) ?? {}) as { covers?: { cells?: string[] } };
    const polygon = values(text).covers?.polygon;
    const { tree, problems } = read(text, path, polygon !== undefined && polygon === values(original).covers?.polygon ? covers?.cells : undefined);
    if (!tree) return { problems };
    try {
      return JSON.parse(Engine.checkLayer(json, path, JSON.stringify(tree), data.labels));
    } catch (error) {
      return { problems: [{ layer: path, line: 1, column: 1, key: "", message: said(error), hint: "Take the last change back", severity: "error" }] };
    }
  }, [text, path, json, dirty, data.labels, campaign, original]);
  // Whatever is being typed, the phone shows the last draft that can be read.
  const good = useRef<{ key: string; document: string }>({ key: "", document: json });
  if (checked.document) good.current = { key: `${id}/${path}`, document: checked.document };
  else if (good.current.key !== `${id}/${path}`) good.current = { key: `${id}/${path}`, document: json };
  const document_ = showing === "draft" ? good.current.document : json;

  const reader = index === null ? null : data.readers[index];
  const profile = useMemo((): ProfileOf | null => (reader ? JSON.parse(Engine.profileOf(reader.profile)) : null), [reader]);

  const request = useMemo(() => {
    const instant = start + moment.minute * 60;
    const iso = (seconds: number) => new Date(seconds * 1000).toISOString().replace(".000", "");
    const position = moment.grade === "none" ? {} : pin;
    const trip = moment.trip ? { last_event: { kind: "trip_end", ...pin, at: iso(instant - 900) } } : {};
    return { campaign: id, ...(reader && { profile: reader.profile }), context: { at: iso(instant), grade: moment.grade, mailbox: moment.mailbox, ...position, ...trip, seed: 1 }, display: true };
  }, [id, reader, pin, moment, start]);

  const quick = useMemo((): { reply: Reply | null; scene: Scene | null; place: PlaceOf | null; error: string | null; ms: number } => {
    const began = performance.now();
    try {
      engine.setCampaign(document_);
      const asked = JSON.stringify(request);
      const reply: Reply = JSON.parse(engine.rank(asked));
      const scene: Scene = JSON.parse(engine.scene(asked));
      const place: PlaceOf = JSON.parse(engine.placeOf(asked));
      const ms = performance.now() - began;
      performance.measure("freshrank re-rank", { start: began, duration: ms });
      return { reply, scene, place, error: null, ms };
    } catch (error) {
      return { reply: null, scene: null, place: null, error: said(error), ms: 0 };
    }
  }, [engine, document_, request, at.version]);

  const [full, setFull] = useState<{ of: unknown; chosen: string | null; reply: Reply } | null>(null);
  useEffect(() => {
    const card = chosen ? at.merchants.get(chosen)?.card : undefined;
    const rest = setTimeout(() => {
      try {
        engine.setCampaign(document_);
        setFull({ of: quick, chosen, reply: JSON.parse(engine.rank(JSON.stringify({ ...request, explain: true, ...(card && { why: card.merchant_id }) }))) });
      } catch {
        // What cannot be answered was said already, by the quick answer.
        setFull(null);
      }
    }, chosen ? REST_MS : 4 * REST_MS);
    return () => clearTimeout(rest);
  }, [quick, chosen]);
  const explained = full?.of === quick ? full.reply : null;
  const reply = explained ?? quick.reply;

  const merged = useMemo((): Merged | null => {
    try {
      return JSON.parse(engine.mergedAt(document_, path, undefined));
    } catch {
      return null;
    }
  }, [engine, document_, path]);

  // The pin follows the pointer once a frame, however often the pointer tells.
  const frame = useRef(0);
  const moved = useRef<Point | null>(null);
  const onMove = useCallback((point: Point, settled: boolean) => {
    if (settled && moved.current) point = moved.current;
    moved.current = settled ? null : point;
    cancelAnimationFrame(frame.current);
    frame.current = requestAnimationFrame(() => {
      setPin(point);
      setMoment((now) => (now.grade === "none" && !now.trip ? { ...now, grade: "exact", mailbox: "direct" } : now));
    });
  }, []);

  const explain = useCallback((merchant: string) => { setChosen(merchant); scrollTo({ top: 0, behavior: "smooth" }); }, []);
  const choose = useCallback((merchant: string) => { setChosen(merchant); setWish((now) => ({ ...now, merchant })); }, []);
  const names = useCallback((merchant: string) => at.merchants.get(merchant)?.card?.name ?? merchant, [at.merchants]);
  const inForm = (action: Action) => () => { setWish({ action, merchant: chosen }); setTab("campaign"); };
  const pinFirst = () => {
    const card = chosen ? at.merchants.get(chosen)?.card : undefined;
    if (card) setText(put(text, "pins", slug(card.name), { slot: 0, merchant: card.merchant_id }));
    setTab("campaign");
  };

  const drop = async (given: Given[]) => {
    const { bundles, campaigns, layers, wrong } = await bring(given, engine, published, { campaign: id, layer: path });
    const drafts = layers.filter(({ campaign, layer, text }) => text !== authored[`${campaign}/${layer}`]);
    if (bundles.length > 0) {
      const now = listed(engine);
      setAt(({ version }) => ({ ...now, version: version + 1 }));
      setOwn((before) => [...before, ...bundles]);
    }
    setPublished((all) => ({ ...all, ...Object.fromEntries(campaigns.map((campaign) => [campaign.id, campaign])) }));
    // What its author wrote of a campaign that another one takes the place of is of no use.
    setAuthored((all) => Object.fromEntries(Object.entries(all).filter(([key]) => !campaigns.some((campaign) => key.startsWith(`${campaign.id}/`)))));
    change(Object.fromEntries(drafts.map(({ campaign, layer, text }) => [`${campaign}/${layer}`, text])));
    const last = drafts.at(-1) ?? (campaigns.length > 0 ? { campaign: campaigns[campaigns.length - 1].id, layer: market.home } : undefined);
    if (last) {
      setId(last.campaign);
      setPath(last.layer);
      setShowing("draft");
    }
    const n = bundles.length + campaigns.length + layers.length;
    const read = n > 0 ? `${n === 1 ? "1 file read. It stays" : `${n} files read. They stay`} in this browser: nothing is sent anywhere.` : "";
    const differ = drafts.length === 1 ? `It is your draft of ${place(drafts[0].layer)} now.` : `They are your drafts of ${drafts.map(({ layer }) => place(layer)).join(", ")}; the phone shows the last.`;
    const told = layers.length === 0 ? "" : drafts.length === 0 ? "No layer says anything else than what is published." : differ;
    setNote({ good: wrong.length === 0, text: [read, told, ...wrong].filter(Boolean).join(" ") });
  };

  const share = async () => {
    const hash = toHash({ campaign: id, layer: path, ...(dirty && { yaml: text }), at: moment.minute, ...(moment.grade !== "none" && pin), grade: moment.grade, mailbox: moment.mailbox });
    history.replaceState(null, "", hash);
    const copied = await navigator.clipboard?.writeText(location.href).then(() => true, () => false);
    setNote({ good: true, text: `The address of this page now holds the edit, the place and the time${copied ? ", and is on the clipboard" : ": copy it from above"}. The reader is not in it.` });
  };

  // For the workers of `changes`: the same module, the same bundles, and readers of whom some are asked at a time.
  const inputs = useMemo((): EngineInputs => {
    // Whoever brings a cell of their own takes the place of the page's.
    const of = (kind: string) => [...data.bundles, ...own].filter(([name]) => name.endsWith(kind)).map(([, bytes]) => bytes);
    return { script: new URL(scriptUrl, document.baseURI).href, wasm: new URL(wasmUrl, document.baseURI).href, areas: of(".area"), displays: of(".display") };
  }, [data, own]);
  const { context } = request;
  const sample = useMemo(() => data.readers.map((one, i) => ({ id: String(i + 1), request: { profile: one.profile, context: { at: context.at, grade: "none", mailbox: "gmail", seed: i + 1 } } })), [data, context.at]);
  const draft = useMemo(() => JSON.parse(good.current.document) as Campaign, [good.current.document]);
  const files = useMemo((): FileEdit[] => [{ path: `campaigns/${id}/${path}.yaml`, before: file ?? (dirty ? null : text), after: text }], [id, path, file, dirty, text]);

  const smoothing = Number(values(text).smoothing ?? merged?.leaves.find(({ key }) => key === "smoothing")?.value ?? 1);
  const covered = useMemo(() => (inDocument(draft, path) as { covers?: { cells?: string[] } } | undefined)?.covers?.cells ?? NOWHERE, [draft, path]);
  const simulated = `${market.simulated.replace(/`/g, "").replace(/^./, (letter) => letter.toUpperCase())}.`;
  const graded = GRADES.find(({ value }) => value === moment.grade) ?? GRADES[3];
  const local = reply?.local ?? "";

  return (
    <div className="page" onDragOver={(event) => event.preventDefault()} onDrop={(event) => { event.preventDefault(); void inDrop(event.dataTransfer).then(drop); }}>
      <header>
        <Group gap="sm" wrap="wrap" justify="space-between">
          <Group gap="sm" align="end"><Title order={1} size="h3">What a reader would see</Title><Text size="sm">{market.name}. Readers are simulated, merchants are real.</Text></Group>
          <Group gap="xs">
            <NativeSelect aria-label="Campaign" value={id} onChange={(event) => { setId(event.currentTarget.value); setPath(market.home); }} data={Object.values(published).map(({ id }) => id)} data-testid="campaign" />
            <Button variant="default" onClick={share}>Share</Button>
            <ActionIcon variant="default" size="lg" aria-label={scheme === "dark" ? "Make the page light" : "Make the page dark"} onClick={() => setColorScheme(scheme === "dark" ? "light" : "dark")}>{scheme === "dark" ? "☀" : "☾"}</ActionIcon>
          </Group>
        </Group>
        {note && <Alert mt="xs" color={note.good ? "green" : "red"} withCloseButton closeButtonLabel="Close" onClose={() => setNote(null)} role="status">{note.text}</Alert>}
        {quick.error && <Alert mt="xs" color="red" role="alert" title="No message can be shown">{quick.error}. Choose another campaign or take the last change back.</Alert>}
      </header>
      <main>
        <div className="left">
          <Who readers={data.readers} index={index} profile={profile} onChange={setIndex} />
          <Group justify="space-between">{dirty ? <SegmentedControl size="xs" aria-label="What the phone shows" value={showing} onChange={(value) => setShowing(value as typeof showing)} data={[{ value: "draft", label: "With my draft" }, { value: "published", label: "As published" }]} /> : <Text size="sm" fw={600}>As published</Text>}<Button size="compact-sm" variant="default" aria-pressed={phoneDark} onClick={() => setPhoneDark(!phoneDark)}>{phoneDark ? "Light phone" : "Dark phone"}</Button></Group>
          <Phone reply={quick.reply} merchants={at.merchants} dark={phoneDark} chosen={chosen} onChoose={choose} sender={`${market.name} eats`} pictures={market.cards ? (quick.scene?.pictures ?? null) : null} />
          <Ranks reply={quick.reply} merchants={at.merchants} chosen={chosen} onChoose={choose} />
        </div>
        <div className="right">
          {chosen && <Broken><Suspense fallback={<Paper withBorder p="md"><Text>Explaining …</Text></Paper>}><Why id={chosen} merchant={at.merchants.get(chosen)} reply={reply} names={names} most={merged?.bounds.find(({ key }) => key === "boosts.*.factor")?.max ?? null} onClose={() => setChosen(null)} onBoost={inForm("boost")} onPin={pinFirst} onExclude={inForm("exclude")} /></Suspense></Broken>}
          <Tabs value={tab} onChange={setTab} keepMounted={false}>
            <Tabs.List>
              <Tabs.Tab value="place">Where and when</Tabs.Tab>
              <Tabs.Tab value="campaign">Campaign</Tabs.Tab>
              <Tabs.Tab value="changes">What changes</Tabs.Tab>
              <Tabs.Tab value="tastes">Tastes</Tabs.Tab>
            </Tabs.List>
            <Tabs.Panel value="place" pt="md">
              <Stack gap="md">
                <When state={moment} start={start} timezone={market.timezone} local={local} onChange={(minute) => setMoment((now) => ({ ...now, minute: Math.max(0, Math.min(WEEK - 15, minute)) }))} />
                <MapView areas={at.areas} covered={covered} layer={place(path)} merchants={at.merchants} coast={data.coast} ground={data.ground} scene={quick.scene} place={quick.place} evidence={pin} graded={graded} chosen={chosen} onMove={onMove} onChoose={choose} />
                <Verdict place={quick.place} />
                <Candidates scene={quick.scene} names={names} onChoose={explain} />
                <Mail state={moment} onChange={(next) => setMoment((now) => ({ ...now, ...next }))} />
              </Stack>
            </Tabs.Panel>
            <Tabs.Panel value="campaign" pt="md"><Broken>
              <Editor campaign={campaign} path={path} onPath={setPath} paths={paths} text={text} onText={setText} original={original} problems={checked.problems} dirty={dirty} merged={merged} merchants={at.merchants} schema={data.schema} labels={data.cuisines.labels}
                timezone={market.timezone} wish={wish} onWish={setWish} onExplain={explain} layer={checked.layer ?? null} keeps={keeps}
                onPublished={(document, draft) => {
                  setPublished((all) => ({ ...all, [id]: document }));
                  setAuthored((all) => ({ ...all, [`${id}/${path}`]: draft === "holds" ? text : undefined }));
                  if (draft !== "stays") change({ [`${id}/${path}`]: undefined });
                }} />
            </Broken></Tabs.Panel>
            <Tabs.Panel value="changes" pt="md"><Broken><Suspense fallback={<Text>Loading …</Text>}><ChangesPanel inputs={inputs} published={campaign as never} draft={draft as never} readers={sample} files={files} data={`Merchants © OpenStreetMap contributors (ODbL). ${simulated}`} onOpenReader={({ id }) => { setIndex(Number(id) - 1); setMoment((now) => ({ ...now, grade: "none", mailbox: "gmail", trip: false })); scrollTo({ top: 0 }); }} /></Suspense></Broken></Tabs.Panel>
            <Tabs.Panel value="tastes" pt="md"><Broken><Suspense fallback={<Text>Loading …</Text>}><Tastes cuisines={data.cuisines} profile={profile} merged={merged} smoothing={smoothing} locked={merged?.locks.some(({ key }) => key === "smoothing") ?? false} onSmoothing={(value) => setText(edit(text, ["smoothing"], value))} /></Suspense></Broken></Tabs.Panel>
          </Tabs>
        </div>
      </main>
      <footer>
        <Text size="xs" data-testid="speed">Ready in {data.seconds.toFixed(2)} s; asked the engine again in {quick.ms.toFixed(1)} ms for {quick.scene ? quick.scene.kept.length + quick.scene.dropped.length : 0} candidates.</Text>
        <Text size="xs">{simulated} Merchants <Anchor href="https://www.openstreetmap.org/copyright" size="xs" underline="always">© OpenStreetMap contributors</Anchor>; coastline Natural Earth. Drop area bundles, a campaign or a layer on this page to try your own: they stay in this browser.</Text>
        <div><FileButton onChange={(files) => void drop(files.map((file) => ({ path: file.name, file })))} multiple accept=".area,.display,.json,.yaml,.yml">{(props) => <Button {...props} size="compact-sm" variant="default">Choose files of your own</Button>}</FileButton></div>
      </footer>
      <div className="visually-hidden" role="status" aria-live="polite">{reply ? `The message shows ${reply.slots.map((slot) => (slot.merchant ? names(slot.merchant) : "the campaign's own card")).join(", ")}` : ""}</div>
    </div>
  );
}

/** A reader of whom something is known, and who lives near the pin, so that there is something to see. */
function worthSeeing({ readers }: Data): number {
  const near = ({ latitude, longitude }: Point) => Math.hypot(latitude - KAMPPI.latitude, (longitude - KAMPPI.longitude) / 2) < 0.006;
  const found = readers.slice(0, 1000).findIndex(({ profile }) => {
    const of: ProfileOf = JSON.parse(Engine.profileOf(profile));
    return of.consent && of.orders >= 6 && of.places.length >= 2 && of.places.some(near);
  });
  return Math.max(0, found);
}

/** The texts of layers by `CAMPAIGN/LAYER`; none is a draft no longer. */
type Drafts = Record<string, string | undefined>;
/** Where this browser keeps them. */
const KEPT = "freshrank.drafts";

/** Drafts that this browser kept; what is no such thing is none. */
function drafts(): Drafts {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "{}");
  } catch {
    return {};
  }
}

/** Whether this browser keeps drafts: one that is told to forget all does not. */
function keep(drafts: Drafts): boolean {
  try {
    localStorage.setItem(KEPT, JSON.stringify(drafts));
    return true;
  } catch {
    return false;
  }
}

const inWeek = (minute?: number): number | undefined => (minute !== undefined && minute >= 0 && minute < WEEK ? minute : undefined);

/** The last midnight on the clocks of a time zone, in seconds since 1970. */
function midnight(iso: string, timeZone: string): number {
  const at = Date.parse(iso) / 1000;
  const [hour, minute] = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone }).format(new Date(at * 1000)).split(":").map(Number);
  return at - hour * 3600 - minute * 60;
}
