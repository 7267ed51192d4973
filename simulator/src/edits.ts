// What the form writes into a layer, and what a layer says in words, each with how to take it out again.

import type { Merchant } from "./engine.js";
import { edit, put, slug, things, values } from "./layer.js";
import { nice } from "./words.js";

export type Action = "boost" | "pin" | "exclude" | "cap" | "theme";
/** Of whom a message shows so many at most: the merchant's cuisine, its chain, or every chain there is. */
export type Capped = "cuisine" | "chain" | "chains";

/** What the fields of the form say; times are what a clock in `timezone` shows, `2026-10-23T11:00`, or empty. */
export interface Wish { action: Action; name: string; merchant: string; cuisine?: string; chain?: string; factor: number; slot: number; badge: string; capped: Capped; cap: number; from: string; until: string; timezone: string }

/** The key of a layer that an action is written under: whoever locks it stops the action. */
export const keyOf = (action: Action, capped: Capped): string => (action === "cap" && capped === "chains" ? "chain_cap" : { boost: "boosts", pin: "pins", exclude: "exclude", cap: "pool_caps", theme: "rules" }[action]);

export function written(text: string, wish: Wish): string {
  const { action, name, merchant, from, until, timezone } = wish;
  const key = slug(name);
  const time = { ...(from && { from: instant(from, timezone) }), ...(until && { until: instant(until, timezone) }) };
  const span = said(time, timezone);
  const rule = (id: string, condition: string, then: Record<string, unknown>) => put(text, "rules", id, { when: [condition, ...during(from, until)].join(" && "), ...then });
  const own = `merchant.id == ${JSON.stringify(merchant)}`;
  if (action === "boost") return put(text, "boosts", key, { merchant, factor: Math.round(wish.factor * 100) / 100, ...time });
  if (action === "pin") return put(text, "pins", key, { slot: wish.slot - 1, merchant, ...time });
  if (action === "theme") return rule(`theme-${key}`, own, { then: "badge", badge: wish.badge.trim() || "Theme", reason: `theme of the team's own${span}` });
  if (action === "exclude") {
    if (from || until) return rule(`without-${key}`, own, { then: "exclude", reason: `${name} is taken out${span}` });
    const now = values(text).exclude;
    const list: string[] = Array.isArray(now) ? now : now?.append ?? [];
    return list.includes(merchant) ? text : edit(text, Array.isArray(now) ? ["exclude"] : ["exclude", "append"], [...list, merchant]);
  }
  if (wish.capped === "chains") return edit(text, ["chain_cap"], wish.cap);
  const [what, condition] = wish.capped === "chain" ? [name, `merchant.chain == ${JSON.stringify(wish.chain)}`] : [nice(wish.cuisine ?? ""), `${JSON.stringify(wish.cuisine)} in merchant.cuisines`];
  const pool = `some-${slug(what)}`;
  return edit(rule(pool, condition, { then: "pool", pool, reason: `not too much of ${what}${span}` }), ["pool_caps", pool], wish.cap);
}

/** Conditions that hold from one minute of the calendar until another. */
function during(from: string, until: string): string[] {
  if (!from && !until) return [];
  const [[first, at], [last, end]] = [from || "2000-01-01T00:00", until || "2099-12-31T24:00"].map((clock) => [clock.slice(0, 10), 60 * Number(clock.slice(11, 13)) + Number(clock.slice(14, 16))] as [string, number]);
  return [
    `local.during(${JSON.stringify(first)}, ${JSON.stringify(last)})`,
    ...(at > 0 ? [`!(local.date == ${JSON.stringify(first)} && local.minute < ${at})`] : []),
    ...(end < 1440 ? [`!(local.date == ${JSON.stringify(last)} && local.minute >= ${end})`] : []),
  ];
}

/** What a clock in a time zone shows, as RFC 3339 in UTC. */
function instant(local: string, timeZone: string): string {
  const shown = (at: number) => Date.parse(`${new Date(at).toLocaleString("sv-SE", { timeZone }).replace(" ", "T")}Z`);
  const about = Date.parse(`${local}:00Z`);
  // Once more, as the first guess may lie on the other side of a change of the clocks.
  const first = about - (shown(about) - about);
  const at = about - (shown(first) - first);
  return new Date(at).toISOString().replace(".000", "");
}

/** From when until when, by the clocks of a time zone. */
function said(thing: Record<string, unknown>, timeZone: string): string {
  const clock = (at: unknown) => {
    const known = new Date(String(at));
    return Number.isNaN(known.getTime()) ? String(at) : known.toLocaleString("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZone });
  };
  return [thing.from && ` from ${clock(thing.from)}`, thing.until && ` until ${clock(thing.until)}`].filter(Boolean).join("");
}

export interface Said { key: string; words: string; take: (text: string) => string }

/** Whatever else of a layer is one value. */
const SINGLE = ["title", "slots", "radius_km", "cuisine_cap", "chain_cap", "price_cap", "organic_share", "diversity", "no_repeat", "smoothing", "unknown_hours", "place", "ranker"];

/** The layer's edits in words. */
export function own(text: string, merchants: Map<string, Merchant>, timezone: string): Said[] {
  const layer = values(text);
  const names = new Map([...merchants.values()].map(({ card }) => [card?.merchant_id, card?.name]));
  const name = (id: unknown) => names.get(String(id)) ?? String(id);
  const found: Said[] = [];
  for (const [id, thing] of Object.entries(things(layer.boosts))) found.push({ key: `boosts.${id}`, words: `${Number(thing?.factor) >= 1 ? "Boost" : "Bury"} ${name(thing?.merchant ?? id)}: odds × ${thing?.factor}${said(thing ?? {}, timezone)}`, take: (text) => put(text, "boosts", id, undefined) });
  for (const [id, thing] of Object.entries(things(layer.pins))) found.push({ key: `pins.${id}`, words: `Pin ${name(thing?.merchant ?? id)} to slot ${Number(thing?.slot) + 1}${said(thing ?? {}, timezone)}`, take: (text) => put(text, "pins", id, undefined) });
  const excluded: string[] = Array.isArray(layer.exclude) ? layer.exclude : layer.exclude?.append ?? [];
  for (const id of excluded) {
    const list = Array.isArray(layer.exclude) ? ["exclude"] : ["exclude", "append"];
    const rest = excluded.filter((other) => other !== id);
    found.push({ key: `exclude.${id}`, words: `Exclude ${name(id)}`, take: (text) => edit(text, list, rest.length > 0 ? rest : undefined) });
  }
  const caps = (layer.pool_caps ?? {}) as Record<string, number>;
  const rules = Object.entries(things(layer.rules));
  // A cap of the form's is two things, a pool and how many of it; it comes and goes as one.
  const isCap = ([id, thing]: [string, Record<string, unknown>]) => thing?.then === "pool" && thing.pool === id && caps[id] !== undefined;
  for (const [id, thing] of rules.filter(isCap)) found.push({ key: `rules.${id}`, words: `At most ${caps[id]} of ${nice(id.replace(/^some-/, "").replace(/-/g, " "))} in a message${thing.reason ? `, ${thing.reason}` : ""}`, take: (text) => edit(put(text, "rules", id, undefined), ["pool_caps", id], undefined) });
  for (const [id, thing] of rules.filter((one) => !isCap(one))) found.push({ key: `rules.${id}`, words: `Rule ${id}: ${[thing?.then, thing?.factor && `× ${thing.factor}`, thing?.badge && `“${thing.badge}”`].filter(Boolean).join(" ") || "changes a rule above"}${thing?.reason ? `, ${thing.reason}` : ""}`, take: (text) => put(text, "rules", id, undefined) });
  for (const [pool, most] of Object.entries(caps).filter(([pool]) => !rules.some((rule) => rule[0] === pool && isCap(rule)))) found.push({ key: `pool_caps.${pool}`, words: `At most ${most} of pool ${pool}`, take: (text) => edit(text, ["pool_caps", pool], undefined) });
  for (const key of SINGLE) if (layer[key] !== undefined) found.push({ key, words: `${nice(key)}: ${layer[key]}`, take: (text) => edit(text, [key], undefined) });
  return found;
}
