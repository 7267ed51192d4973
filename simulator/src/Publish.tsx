// A draft goes to the Worker by the layer's key, signed, and back again; nobody's work is overwritten unseen.

import { Alert, Button, Group, NativeSelect, PasswordInput, Stack, Table, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import type { EditorProps } from "./Editor.js";
import { inDocument, withLayer } from "./layer.js";
import { place, percent } from "./words.js";

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

export function Publish({ campaign, path, layer, dirty, problems, onPublished }: EditorProps) {
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
    // A browser refuses to send anything else, and says so in words of its own.
    if (!/^[\x21-\x7e]+$/.test(key)) throw new Error("The key has a letter that no key has. Copy it again, whole and without spaces.");
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
  const holds = (layer: Record<string, unknown> | null | undefined, draft: "stays" | "holds" | "goes") => onPublished(withLayer(campaign, path, layer), draft);
  const publish = attempt(async () => {
    const { marks: _, ...written } = layer ?? {};
    const newest = (await history()).find((version) => (version.share ?? 1) === 1);
    if (newest && canonical(newest.layer) !== canonical(inDocument(campaign, path))) {
      holds(newest.layer, "stays");
      throw new Error(`${newest.author} published this layer meanwhile: “${newest.reason}”. What holds now is loaded; look at your draft again, then publish it.`);
    }
    const answer = await call("PUT", share === "1" ? "" : `?share=${share}`, { ...written, author, reason }, newest?.version);
    const [latest] = await history();
    if (share === "1") holds(latest?.layer ?? layer, "holds");
    return `Published${share === "1" ? "" : ` for ${percent(Number(share))} of the readers`}: version ${answer.version}. Readers see it within a minute.${answer.pending ? ` ${answer.pending}` : ""}`;
  });
  const rollback = attempt(async () => {
    const answer = await call("PUT", "?rollback", { author, reason });
    const [latest] = await history();
    holds(latest?.layer, "goes");
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
