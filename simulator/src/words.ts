// What the engine's words are called on the page.

import type { Grade, Mailbox, Node, Reply, ReplySlot } from "./types";

/** Scores are fixed point: 65536 to one. */
const STEPS = 65536;

export const points = (value: number): string => `${value < 0 ? "−" : "+"}${(Math.abs(value) / STEPS).toFixed(2)}`;
export const percent = (share: number): string => `${Math.round(share * 100)} %`;

const PARTS: Record<string, string> = {
  reference: "An average open place here",
  place: "How near it is",
  popularity: "How popular it is around here",
  "own history": "What this reader ordered before",
  taste: "This reader's taste",
  "price and offer": "Price and offers",
  quality: "Ratings",
  time: "The time of day, and how long it is open",
  reader: "What kind of reader this is",
  "campaign boost": "The campaign",
};

/** The leaves of an explanation, which add up to its value. */
export function parts(node: Node): { name: string; value: number }[] {
  const model = node.parts?.find((part) => part.name === "model");
  const others = node.parts?.filter((part) => part !== model) ?? [];
  const leaves = [...(model?.parts ?? (model ? [model] : [])), ...others.flatMap((part) => part.parts ?? [part])];
  return leaves.map(({ name, value }) => ({ name: PARTS[name] ?? name, value }));
}

export const GRADES: { value: Grade; label: string }[] = [
  { value: "none", label: "Nothing: a mail provider fetches the pictures" },
  { value: "coarse", label: "A region: Apple's relay, a VPN" },
  { value: "network", label: "A city at best: the network's address" },
  { value: "exact", label: "Exactly: the app told it" },
];

export const MAILBOXES: { value: Mailbox; label: string }[] = [
  { value: "direct", label: "A mail app of their own" },
  { value: "gmail", label: "Gmail" },
  { value: "apple", label: "Apple Mail" },
  { value: "outlook", label: "Outlook.com" },
  { value: "yahoo", label: "Yahoo" },
  { value: "unknown", label: "Something unknown" },
];

/** What a picture can tell an open by, in this mailbox. */
export const GRADE_OF: Partial<Record<Mailbox, Grade>> = { gmail: "none", yahoo: "none", outlook: "none", apple: "coarse" };

const POOLS: Record<ReplySlot["pool"], string> = {
  pinned: "pinned",
  ranked: "by score",
  relaxed: "a cap was given up",
  explored: "tried out",
  fallback: "nothing left to show",
};

export const pool = (slot: ReplySlot): string => (slot.asked ? `${POOLS[slot.pool]}, pool ${slot.asked}` : POOLS[slot.pool]);

export const openUntil = (slot: ReplySlot): string | null => (slot.open_until ? `Open until ${slot.open_until}` : null);

export function offer(slot: ReplySlot): string | null {
  if (!slot.offer) return null;
  const { kind, value } = slot.offer;
  return { percent: `${value} % off`, amount: `${(value / 100).toFixed(2)} € off`, free_delivery: "Free delivery", other: "Special offer" }[kind];
}

/** How a place came to be decided. */
export function placeWords(reply: Reply): string {
  const { place } = reply;
  const how = { predicted: "where they usually order at this hour", exact: "where they are right now", last_event: "where they were last seen", unknown: "unknown" }[place.source];
  if (place.source === "unknown") return "Nobody knows where this reader is, so the message shows its own card.";
  return `Decided: ${how} (${percent(place.certainty)} sure)${place.travelling ? ", away from their usual places" : ""}.`;
}

const REASONS: [RegExp, string, string][] = [
  [/closed|hours|opens/, "Closed, or hours unknown", "#b5651d"],
  [/far|radius|border/, "Too far", "#6b6f76"],
  [/rule|exclud|campaign|age/, "By the campaign", "#a61e4d"],
  [/paused|unavailable|removed/, "Paused", "#8a4fbf"],
  [/.*/, "Other", "#5c636a"],
];

/** A drop's kind and colour on the map; colours have 3:1 to land and water. */
export function kindOf(code: string): { label: string; colour: string } {
  const [, label, colour] = REASONS.find(([words]) => words.test(code)) ?? [/./, "Other", "#5c636a"];
  return { label, colour };
}
