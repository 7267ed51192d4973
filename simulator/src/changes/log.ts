// A log of decisions and clicks, joined with the sender's own list of who got which message. Everything stays in this browser.

import type { Campaign, Reader, Task } from "./types.js";

export interface Loaded {
  tasks: Task[];
  /** The reader of each task's id, so that messages of one reader are resampled together. */
  units: Map<string, string>;
  /** What was left out, in words. */
  left_out: string[];
  messages: number;
}

interface Decision {
  at: string;
  message: string;
  campaign: string;
  how: string;
  seed: number;
  cell?: string;
  slots: { slot: number; merchant_id?: string; propensity?: number }[];
}

/** The first 8 bytes of SHA-256 of a `merchant_id`, as the engine names merchants. */
export async function fingerprint(merchant_id: string): Promise<string> {
  // The engine reads those 8 bytes as a little-endian number, and writes its digits from the top.
  return (await digest(merchant_id)).slice(0, 8).reverse().map(hex).join("");
}

const hex = (byte: number) => byte.toString(16).padStart(2, "0");
const digest = async (text: string) => [...new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)))];

/**
 * Reads NDJSON records. `readers` finds a message's reader by the start of SHA-256 of its id in hexadecimal, which is all that a record
 * has; see `index`. A message counts once, by its first decision: messages that were seen, if the log knows of any, and clicks of people.
 */
export async function load(ndjson: string, campaign: Campaign["id"], readers: (message: string) => Reader | undefined): Promise<Loaded> {
  const decisions = new Map<string, Decision>();
  const seen = new Set<string>();
  const clicked = new Map<string, Map<number, number>>();
  let [bad, others, scanners] = [0, 0, 0];
  for (const line of ndjson.split("\n")) {
    if (line.trim() === "") continue;
    let record: Record<string, unknown>;
    try {
      record = JSON.parse(line.replace(/^freshrank-record /, ""));
    } catch {
      bad++;
      continue;
    }
    if (record?.campaign !== campaign) {
      others++;
      continue;
    }
    const message = String(record.message);
    if (record.type === "decision" && Array.isArray(record.slots)) {
      const decision = record as unknown as Decision;
      if (!decisions.has(message)) decisions.set(message, decision);
      if (decision.how === "seen") seen.add(message);
    } else if (record.type === "look") {
      seen.add(message);
    } else if (record.type === "click" && typeof record.slot === "number") {
      if (record.scanner === true) scanners++;
      else {
        const slots = clicked.get(message) ?? new Map<number, number>();
        slots.set(record.slot, 1);
        clicked.set(message, slots);
        seen.add(message);
      }
    } else bad++;
  }

  const tasks: Task[] = [];
  const units = new Map<string, string>();
  let [unseen, unknown, unweighted] = [0, 0, 0];
  for (const [message, { at, seed, slots }] of decisions) {
    if (seen.size > 0 && !seen.has(message)) {
      unseen++;
      continue;
    }
    const reader = readers(message);
    if (reader === undefined) {
      unknown++;
      continue;
    }
    const ordered = [...slots].sort((a, b) => a.slot - b.slot);
    if (ordered.some(({ merchant_id, propensity }) => merchant_id !== undefined && !(Number(propensity) > 0 && Number(propensity) <= 1))) {
      unweighted++;
      continue;
    }
    units.set(message, reader.id);
    tasks.push({
      reader: { id: message, request: { ...reader.request, context: { ...reader.request.context, at, seed } } },
      sent: {
        merchants: await Promise.all(ordered.map(({ merchant_id }) => (merchant_id === undefined ? null : fingerprint(merchant_id)))),
        propensities: ordered.map(({ propensity }) => propensity ?? 1),
        clicks: ordered.map(({ slot }) => clicked.get(message)?.get(slot) ?? 0),
      },
    });
  }
  const told: [number, string][] = [
    [bad, "lines are no records"],
    [others, "records are of other campaigns"],
    [scanners, "clicks are a scanner's"],
    [unseen, "messages were fetched, but nobody is known to have seen them"],
    [unknown, "messages are of readers that the list does not name"],
    [unweighted, "messages tell no propensity: they were sent before the campaign explored"],
  ];
  return { tasks, units, messages: decisions.size, left_out: told.filter(([n]) => n > 0).map(([n, what]) => `${n.toLocaleString("en")} ${what}`) };
}

/** Finds readers by what a record has of a message id. `list` is the sender's CSV, `message_id,user_id`, with a header. */
export async function index(list: string, readers: Map<string, Reader>): Promise<(message: string) => Reader | undefined> {
  const by_hash = new Map<string, Reader>();
  const [head = "", ...rows] = list.split(/\r?\n/).filter((line) => line !== "");
  const columns = head.split(",").map((name) => name.trim());
  const [message_at, user_at] = [columns.indexOf("message_id"), columns.indexOf("user_id")];
  if (message_at < 0 || user_at < 0) throw new Error(`the list of messages begins with "${head.slice(0, 80)}", expected columns message_id and user_id`);
  for (const row of rows) {
    const cells = row.split(",").map((cell) => cell.trim());
    const reader = readers.get(cells[user_at]);
    if (reader) by_hash.set((await digest(cells[message_at])).map(hex).join("").slice(0, 16), reader);
  }
  return (message) => by_hash.get(message.slice(0, 16));
}

/** Share of messages whose logged propensities are, to the bit, what the engine computes: otherwise the log is of another campaign, or place. */
export function replayed(logged: number[][], engine: number[][]): number {
  const same = logged.filter((of, i) => of.length === engine[i]?.length && of.every((likely, slot) => Math.abs(likely - engine[i][slot]) < 1e-12));
  return logged.length > 0 ? same.length / logged.length : 1;
}
