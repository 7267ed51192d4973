// The pictures of an opened message, where the page was given them (`freshrank cards`): which file a slot asks for, and which next.

import type { Reply } from "./engine.js";

type Slot = Reply["slots"][number];
const DAY = 1440;
const STEP = 30;
const minute = (clock: string) => Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3, 5));

/** The files to look for, the best first: each says less than the one before, and a paid one never stops saying so. */
export function pictures(slot: Slot, local: string, dark: boolean): string[] {
  const theme = dark ? "-dark" : "";
  if (!slot.merchant) return [`cards/fallback@2x${theme}.png`];
  const of = (badge: string, offer: boolean) => `cards/${slot.merchant}/${badge}${offer ? "-offer" : ""}${slot.sponsored ? "-ad" : ""}@2x${theme}.png`;
  const offer = slot.offer !== undefined;
  const badge = until(slot.open_until, local.split(" ")[1] ?? "00:00");
  return [...new Set([of(badge, offer), of("none", offer), of("none", false), `cards/fallback@2x${theme}.png`])];
}

/** Closing times in half hours, rounded down; none where that would promise a time that has gone by. */
function until(closes: string | undefined, now: string): string {
  if (!closes) return "none";
  const [at, left] = [minute(closes), (minute(closes) - minute(now) + DAY) % DAY];
  if (at % STEP >= left) return "none";
  const down = at - (at % STEP);
  return `open-${String(Math.floor(down / 60)).padStart(2, "0")}${String(down % 60).padStart(2, "0")}`;
}
