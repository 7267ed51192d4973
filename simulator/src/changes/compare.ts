// What changes between two campaigns, in numbers that a local team reads.

import type { Card, ChanceSlot, Pair } from "./types.js";

export interface Shift {
  name: string;
  published: number;
  draft: number;
}
export interface Affected {
  reader: string;
  /** Slots that show another merchant, and how many there are. */
  slots: number;
  of: number;
  /** Merchants that were not in the message at all. */
  new_merchants: number;
  /** Upper slots weigh more: 1, 0.63, 0.5, ...; a merchant that only moved there counts for a quarter. */
  weight: number;
}
export interface Comparison {
  readers: number;
  /** Messages that show another merchant in some slot; of them, those that only order the same merchants anew. */
  changed: number;
  reordered: number;
  /** Merchants by how many slots they gain. */
  merchants: (Shift & { merchant: string })[];
  /** By cuisine, shares of all cards. */
  cuisines: Shift[];
  /** Shares of all cards. */
  open: Shift;
  unknown_hours: Shift;
  sponsored: Shift;
  own_card: Shift;
  /** A message. */
  different_cuisines: Shift;
  distance_km: Shift;
  /** All messages together. */
  different_merchants: Shift;
  affected: Affected[];
}

const SIDES = ["published", "draft"] as const;

export function compare(pairs: Pair[], cards: Record<string, Card>): Comparison {
  const cuisine = ({ merchant }: ChanceSlot) => (merchant === null ? null : cards[merchant]?.cuisines.split(";")[0] || "not known");
  const both = (name: string, of: (side: "published" | "draft") => number): Shift => ({ name, published: of("published"), draft: of("draft") });
  const cards_of = (side: "published" | "draft") => pairs.flatMap((pair) => pair[side].slots);
  const shown = { published: cards_of("published"), draft: cards_of("draft") };
  const share = (name: string, holds: (slot: ChanceSlot) => boolean) => both(name, (side) => shown[side].filter(holds).length / (shown[side].length || 1));
  const per = (name: string, of: (slots: ChanceSlot[]) => number) => both(name, (side) => pairs.reduce((sum, pair) => sum + of(pair[side].slots), 0) / (pairs.length || 1));
  const count = (of: (slot: ChanceSlot) => string | null) => {
    const counts = new Map<string, Shift>();
    for (const side of SIDES) {
      for (const slot of shown[side]) {
        const name = of(slot);
        if (name === null) continue;
        const shift = counts.get(name) ?? { name, published: 0, draft: 0 };
        shift[side]++;
        counts.set(name, shift);
      }
    }
    return [...counts.values()];
  };
  const gain = (shift: Shift) => shift.draft - shift.published;
  const by_gain = (a: Shift, b: Shift) => gain(b) - gain(a) || (a.name < b.name ? -1 : 1);

  const affected: Affected[] = [];
  let reordered = 0;
  for (const { reader, published, draft } of pairs) {
    const [before, after] = [published.slots, draft.slots].map((slots) => slots.map(({ merchant }) => merchant));
    const of = Math.max(before.length, after.length);
    const different = Array.from({ length: of }, (_, slot) => slot).filter((slot) => before[slot] !== after[slot]);
    if (different.length === 0) continue;
    const new_merchants = after.filter((merchant) => merchant !== null && !before.includes(merchant)).length;
    if (new_merchants === 0 && before.length === after.length && before.every((merchant) => after.includes(merchant))) reordered++;
    affected.push({ reader, slots: different.length, of, new_merchants, weight: different.reduce((sum, slot) => sum + (before.includes(after[slot]) ? 0.25 : 1) / Math.log2(slot + 2), 0) });
  }
  const distances = (side: "published" | "draft") => shown[side].flatMap(({ distance_km }) => (distance_km === null ? [] : [distance_km]));
  return {
    readers: pairs.length,
    changed: affected.length,
    reordered,
    merchants: count((slot) => slot.merchant).filter((shift) => gain(shift) !== 0).sort(by_gain).map((shift) => ({ ...shift, merchant: shift.name, name: cards[shift.name]?.name ?? shift.name })),
    cuisines: count(cuisine).map(({ name, published, draft }) => ({ name, published: published / (shown.published.length || 1), draft: draft / (shown.draft.length || 1) })).sort((a, b) => b.published + b.draft - a.published - a.draft || (a.name < b.name ? -1 : 1)),
    open: share("Open now", ({ open }) => open === true),
    unknown_hours: share("Hours not known", ({ merchant, open }) => merchant !== null && open === null),
    sponsored: share("Sponsored", ({ sponsored }) => sponsored),
    own_card: share("Your own card, no merchant left", ({ merchant }) => merchant === null),
    different_cuisines: per("Different cuisines in a message", (slots) => new Set(slots.map(cuisine).filter((name) => name !== null)).size),
    distance_km: both("Distance, km", (side) => distances(side).reduce((sum, km) => sum + km, 0) / (distances(side).length || 1)),
    different_merchants: both("Different merchants in all messages", (side) => new Set(shown[side].flatMap(({ merchant }) => (merchant === null ? [] : [merchant]))).size),
    affected: affected.sort((a, b) => b.weight - a.weight || (a.reader < b.reader ? -1 : 1)),
  };
}
