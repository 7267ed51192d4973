// Numbers as a local team says them.

import type { Comparison, Shift } from "./compare.js";
import type { Clicks } from "./types.js";
import type { Estimator } from "./ope.js";

export const percent = (share: number) => `${share > 0 && share < 0.0995 ? (100 * share).toFixed(1) : Math.round(100 * share)} %`;
export const number = (value: number, digits = 1) => value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: 0 });
export const signed = (value: number, digits = 0) => `${value > 0 ? "+" : value < 0 ? "−" : "±"}${number(Math.abs(value), digits)}`;

/** The one sentence. */
export function headline(of: Comparison): string {
  if (of.changed === 0) return `No message changes, of ${number(of.readers)} sample readers.`;
  return `${percent(of.changed / of.readers)} of messages change: ${number(of.changed)} of ${number(of.readers)} sample readers see something else.`;
}

export function second(of: Comparison): string {
  const [gain, lose] = [of.merchants.filter((m) => m.draft > m.published), of.merchants.filter((m) => m.draft < m.published)];
  if (of.changed === 0) return "The draft shows everybody what they see today.";
  const reordered = of.reordered > 0 ? ` ${number(of.reordered)} ${of.reordered === 1 ? "message only changes its" : "messages only change their"} order.` : "";
  return `${gain.length} ${gain.length === 1 ? "merchant gains" : "merchants gain"} places, ${lose.length} ${lose.length === 1 ? "loses" : "lose"} some.${reordered}`;
}

/** The numbers of a comparison, as rows of a table: what, today, draft. */
export function rows(of: Comparison): { name: string; published: string; draft: string; changes: boolean }[] {
  const shares = [of.open, of.unknown_hours, of.sponsored, of.own_card].map((shift) => row(shift, percent));
  const counts = [of.different_cuisines, of.different_merchants, of.distance_km].map((shift) => row(shift, (value) => number(value, 2)));
  return [...shares, ...counts];
}

function row({ name, published, draft }: Shift, say: (value: number) => string) {
  return { name, published: say(published), draft: say(draft), changes: say(published) !== say(draft) };
}

export const ABOUT: Record<Estimator, string> = {
  dr: "doubly robust",
  cascade_ips: "weighted, by slot and the slots above",
  snips: "weighted and normalized",
  slate_ips: "weighted, whole messages",
  position_ips: "weighted, each slot by itself",
  pseudo_inverse: "weighted, clicks that add up (pseudo-inverse)",
};

/** What is known of clicks, in one sentence or two. */
export function clicks(of: Clicks): string {
  const { per_thousand, gain } = of.estimates.dr;
  const told = of.simulated ? "simulated clicks" : "clicks";
  const today = `Today's messages get ${number(of.published_per_thousand, 0)} ${told} in 1,000.`;
  if (of.declined !== null || per_thousand === null || gain === null) return `${today} Nothing is said of the draft's. ${of.declined ?? ""}`;
  if (gain.low === 0 && gain.high === 0) return `${today} The draft's would get as many.`;
  const sure = gain.low > 0 ? "more" : gain.high < 0 ? "fewer" : "about as many as today: the difference may be chance";
  return `${today} The draft's would get about ${number(per_thousand, 0)}, ${sure}. Difference: ${signed(gain.low)} to ${signed(gain.high)} (95 %).`;
}
