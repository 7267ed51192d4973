// The campaign's editor: a form first, the YAML it writes second, and what all layers come to.

import { Alert, Button, Group, Modal, NativeSelect, NumberInput, PasswordInput, Select, Stack, Table, Tabs, Text, TextInput } from "@mantine/core";
import { Suspense, lazy, useMemo, useState } from "react";
import type { Simulator } from "./engine";
import { type Edit, edited } from "./layer";
import type { Draft, Leaf, Problem } from "./types";

// The code editor is the page's largest part, and most never open it.
const Yaml = lazy(() => import("./Yaml"));

type Props = {
  simulator: Simulator;
  campaign: string;
  draft: Draft;
  problems: Problem[];
  changed: boolean;
  merged: Leaf[];
  paths: string[];
  cuisines: string[];
  onPath: (path: string) => void;
  onYaml: (yaml: string) => void;
  onReset: () => void;
};

export function Editor(props: Props) {
  const { simulator, campaign, draft, problems, changed, merged, paths, onPath, onYaml, onReset } = props;
  const errors = problems.filter(({ severity }) => severity === "error");
  return (
    <Stack gap="sm">
      <Group align="end" justify="space-between">
        <NativeSelect label="Whose layer you edit" data={paths} value={draft.path} onChange={(event) => onPath(event.currentTarget.value)} />
        <Group gap="xs">
          <Button variant="default" size="xs" disabled={!changed} onClick={onReset}>
            Take the edit back
          </Button>
          <Publish simulator={simulator} campaign={campaign} draft={draft} blocked={errors.length > 0} />
        </Group>
      </Group>
      {errors.length > 0 && (
        <Alert color="red" variant="outline" title="This edit cannot be published yet" role="alert">
          {errors.map((problem) => (
            <Text size="sm" key={`${problem.line}:${problem.key}:${problem.message}`}>
              {problem.line > 0 && `Line ${problem.line}: `}
              {problem.key && <code>{problem.key}</code>} {problem.message}
              {problem.hint && `; ${problem.hint}.`}
            </Text>
          ))}
        </Alert>
      )}
      <Tabs defaultValue="form" keepMounted={false}>
        <Tabs.List aria-label="Ways to edit">
          <Tabs.Tab value="form">Form</Tabs.Tab>
          <Tabs.Tab value="yaml">YAML</Tabs.Tab>
          <Tabs.Tab value="merged">What it comes to</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="form" pt="sm">
          <Form {...props} onEdit={(edit) => onYaml(edited(draft.yaml, edit))} />
        </Tabs.Panel>
        <Tabs.Panel value="yaml" pt="sm">
          <Suspense fallback={<Text size="sm">Loading the editor …</Text>}>
            <Yaml yaml={draft.yaml} problems={problems} schema={simulator.index.schema} onChange={onYaml} />
          </Suspense>
        </Tabs.Panel>
        <Tabs.Panel value="merged" pt="sm">
          <Merged leaves={merged} own={draft.path} />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}

const DOES = [
  { value: "boost", label: "Show a merchant more often" },
  { value: "bury", label: "Show a merchant less often" },
  { value: "pin", label: "Fix a merchant to a slot" },
  { value: "exclude", label: "Never show a merchant" },
  { value: "theme", label: "Make a cuisine the theme" },
  { value: "cap", label: "Cap how many are alike" },
];
const CAPS = [
  { value: "cuisine_cap", label: "of one kind of cuisine" },
  { value: "chain_cap", label: "outlets of one chain" },
  { value: "price_cap", label: "of one price band" },
];

function Form({ simulator, cuisines, onEdit }: Props & { onEdit: (edit: Edit) => void }) {
  const [does, setDoes] = useState("boost");
  const [merchant, setMerchant] = useState<string | null>(null);
  const [cuisine, setCuisine] = useState<string | null>(null);
  const [cap, setCap] = useState("cuisine_cap");
  const [number, setNumber] = useState<number | string>("");
  const [from, setFrom] = useState("");
  const [until, setUntil] = useState("");
  const merchants = useMemo(
    () => simulator.everybody().flatMap(({ merchant_id, name, cuisines: of }) => (merchant_id && name ? [{ value: merchant_id, label: of ? `${name} (${of.split(";").join(", ")})` : name }] : [])),
    [simulator],
  );
  const asks = { boost: "Times as often, 1 to 100", bury: "Times as often, 0.01 to 1", pin: "Slot, from 1", theme: "Times as often, 1 to 100", cap: "At most", exclude: "" }[does] ?? "";
  const initial = { boost: 1.5, bury: 0.5, pin: 1, theme: 1.3, cap: 1, exclude: 0 }[does] ?? 1;
  const about = does === "theme" ? cuisine : does === "cap" ? cap : merchant;
  const wrongTimes = from !== "" && until !== "" && from >= until;
  const submit = () => {
    const value = number === "" ? initial : Number(number);
    const name = merchants.find((one) => one.value === merchant)?.label.split(" (")[0] ?? "";
    const when = { ...(from && { from: rfc(from) }), ...(until && { until: rfc(until) }) };
    if (does === "cap") onEdit({ kind: "cap", key: cap as "cuisine_cap", value });
    else if (does === "theme" && cuisine) onEdit({ kind: "theme", cuisine, factor: value, ...when });
    else if (does === "exclude" && merchant) onEdit({ kind: "exclude", merchant });
    else if (does === "pin" && merchant) onEdit({ kind: "pin", merchant, name, slot: value - 1, ...when });
    else if (merchant) onEdit({ kind: "boost", merchant, name, factor: value, ...when });
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <Stack gap="xs">
        <NativeSelect label="What to do" data={DOES} value={does} onChange={(event) => (setDoes(event.currentTarget.value), setNumber(""))} />
        {does === "theme" ? (
          <Select label="Cuisine" data={cuisines} value={cuisine} onChange={setCuisine} searchable limit={40} placeholder="pizza" />
        ) : does === "cap" ? (
          <NativeSelect label="Of what" data={CAPS} value={cap} onChange={(event) => setCap(event.currentTarget.value)} />
        ) : (
          <Select label="Merchant" data={merchants} value={merchant} onChange={setMerchant} searchable limit={40} placeholder="Begin to type its name" nothingFoundMessage="Nobody of that name in these areas" />
        )}
        {asks && <NumberInput label={asks} value={number === "" ? initial : number} onChange={setNumber} decimalScale={2} min={does === "cap" || does === "pin" ? 0 : 0.01} max={does === "bury" ? 1 : 100} />}
        {does !== "exclude" && does !== "cap" && (
          <Group grow>
            <TextInput type="datetime-local" label="From" value={from} onChange={(event) => setFrom(event.currentTarget.value)} />
            <TextInput type="datetime-local" label="Until" value={until} onChange={(event) => setUntil(event.currentTarget.value)} error={wrongTimes ? "Ends before it begins" : undefined} />
          </Group>
        )}
        <Button type="submit" disabled={!about || wrongTimes}>
          Add to the draft
        </Button>
      </Stack>
    </form>
  );
}

/** A wall clock as the browser's zone has it. */
const rfc = (local: string): string => new Date(local).toISOString().replace(".000", "");

function Merged({ leaves, own }: { leaves: Leaf[]; own: string }) {
  return (
    <Table striped aria-label="What all layers come to here">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Key</Table.Th>
          <Table.Th>Value</Table.Th>
          <Table.Th>Said by</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {leaves.map(({ key, value, layer, line, locked_by }) => (
          <Table.Tr key={key} fw={layer === own ? 700 : undefined}>
            <Table.Td>
              {locked_by && (
                <span role="img" aria-label={`Locked by ${locked_by}`} title={`Locked by ${locked_by}: deeper layers cannot change it`}>
                  🔒
                </span>
              )}
              <code>{key}</code>
            </Table.Td>
            <Table.Td className="value">{value}</Table.Td>
            <Table.Td>
              {layer ? `${layer}${line ? `, line ${line}` : ""}` : "the default"}
              {locked_by && <Text size="xs">held by {locked_by}</Text>}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

type Version = { version: string; at: string; author: string; reason: string };

/** Publishing and rolling back through the layer's own key; nothing of it is kept by the page. */
function Publish({ simulator, campaign, draft, blocked }: { simulator: Simulator; campaign: string; draft: Draft; blocked: boolean }) {
  const [open, setOpen] = useState(false);
  const [url, setUrl] = useState("http://127.0.0.1:8787");
  const [key, setKey] = useState("");
  const [author, setAuthor] = useState("");
  const [reason, setReason] = useState("");
  const [said, setSaid] = useState<{ good: boolean; words: string } | null>(null);
  const [versions, setVersions] = useState<Version[]>([]);
  const path = `${url.replace(/\/+$/, "")}/v1/campaigns/${encodeURIComponent(campaign)}/layers/${draft.path}`;
  const ask = async (method: string, to: string, body?: unknown): Promise<Record<string, unknown>> => {
    const response = await fetch(to, { method, headers: { Authorization: `Bearer ${key}` }, ...(body ? { body: JSON.stringify(body) } : {}) });
    const json = (await response.json()) as Record<string, unknown>;
    if (!response.ok) throw new Error(`${String(json.title ?? response.status)}: ${String(json.detail ?? "")}`);
    return json;
  };
  const act = async (words: (json: Record<string, unknown>) => string, method: string, to: string, body?: unknown) => {
    try {
      const json = await ask(method, to, body);
      setSaid({ good: true, words: words(json) });
      const history = (await ask("GET", path)) as { versions?: Version[] };
      setVersions(history.versions ?? []);
    } catch (error) {
      const words = error instanceof TypeError ? `${url} did not answer. Is the Worker running, and does it allow this page (SIMULATOR_ORIGIN)?` : String((error as Error).message);
      setSaid({ good: false, words });
    }
  };
  const ready = key !== "" && author.trim() !== "" && reason.trim() !== "";
  return (
    <>
      <Button size="xs" disabled={blocked} onClick={() => setOpen(true)}>
        Publish …
      </Button>
      <Modal opened={open} onClose={() => setOpen(false)} title={`Publish ${draft.path} of ${campaign}`} closeButtonProps={{ "aria-label": "Close" }}>
        <Stack gap="xs">
          <TextInput label="The Worker" value={url} onChange={(event) => setUrl(event.currentTarget.value)} />
          <PasswordInput label="Your layer's key" value={key} onChange={(event) => setKey(event.currentTarget.value)} visibilityToggleButtonProps={{ "aria-label": "Show the key" }} />
          <TextInput label="Author" value={author} onChange={(event) => setAuthor(event.currentTarget.value)} />
          <TextInput label="Reason" value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
          <Group>
            <Button disabled={!ready} onClick={() => void act((json) => `Published as version ${String(json.version)}. Readers see it within a minute.`, "PUT", path, { ...publishable(simulator, campaign, draft), author, reason })}>
              Publish
            </Button>
            <Button variant="default" disabled={!ready} onClick={() => void act((json) => `Rolled back: version ${String(json.version)} holds.`, "PUT", `${path}?rollback`, { author, reason })}>
              Roll back
            </Button>
          </Group>
          {said && (
            <Alert color={said.good ? "green" : "red"} role="status">
              {said.words}
            </Alert>
          )}
          {versions.map(({ version, at, author: by, reason: why }, i) => (
            <Text size="xs" key={`${version}${i}`}>
              {at}: {by}, “{why}” ({version.slice(0, 8)})
            </Text>
          ))}
        </Stack>
      </Modal>
    </>
  );
}

/** The layer as the draft has it. */
function publishable(simulator: Simulator, campaign: string, draft: Draft): Record<string, unknown> {
  return simulator.layer(`${campaign}/draft`, draft.path) ?? simulator.layer(campaign, draft.path) ?? {};
}
