// One page to send around: pictures and numbers, nothing to load, and nobody's name on it.

import type { Comparison } from "./compare.js";
import type { Clicks } from "./types.js";
import { ABOUT, clicks as say_clicks, headline, number, percent, rows, second, signed } from "./words.js";
import { ESTIMATORS } from "./ope.js";

export interface Report {
  campaign: string;
  /** In words. */
  made_at: string;
  comparison: Comparison;
  clicks: Clicks;
  /** SVG elements as text, with what they show. */
  pictures: { title: string; svg: string }[];
  /** Attribution of what is shown. */
  data: string;
}

const text = (value: string) => value.replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign] as string);

const STYLE = `
  @page { size: A4; margin: 14mm }
  body { font: 13px/1.45 system-ui, sans-serif; color: #1b1f24; max-width: 182mm; margin: 8mm auto; padding: 0 4mm }
  h1 { font-size: 22px; margin: 0 0 2px } h2 { font-size: 14px; margin: 14px 0 4px } p { margin: 3px 0 }
  .lead { font-size: 17px; font-weight: 600 } .quiet { color: #57606a } .side { display: grid; grid-template-columns: 1fr 1fr; gap: 0 8mm }
  table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: 2px 6px 2px 0; border-bottom: 1px solid #d8dee4 }
  td + td, th + th { text-align: right; white-space: nowrap } .moves td { font-weight: 600 } .tag { background: #fff1c2; border: 1px solid #b08800; border-radius: 3px; padding: 0 5px }
  svg { max-width: 100%; height: auto } figure { margin: 0 } @media (max-width: 600px) { .side { display: block } }
  @media print { body { margin: 0; padding: 0; font-size: 11px } figure, table { break-inside: avoid } }`;

export function report({ campaign, made_at, comparison, clicks, pictures, data }: Report): string {
  const cells = (of: (string | number)[], tag = "td") => of.map((cell) => `<${tag}>${text(String(cell))}</${tag}>`).join("");
  const numbers = rows(comparison).map((row) => `<tr${row.changes ? ' class="moves"' : ""}>${cells([row.name, row.published, row.draft])}</tr>`);
  const merchants = [...comparison.merchants.slice(0, 5), ...comparison.merchants.slice(5).slice(-5)];
  const moved = merchants.map((of) => `<tr>${cells([of.name, number(of.published), number(of.draft), signed(of.draft - of.published)])}</tr>`);
  const sure = ESTIMATORS.flatMap((name) => {
    const { per_thousand, interval } = clicks.estimates[name];
    if (per_thousand === null || clicks.declined !== null) return [];
    return [`<tr>${cells([ABOUT[name], number(per_thousand, 0), interval ? `${number(interval.low, 0)} to ${number(interval.high, 0)}` : "none"])}</tr>`];
  });
  const { health } = clicks;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>What changes: ${text(campaign)}</title><style>${STYLE}
</style></head><body>
<h1>What changes in “${text(campaign)}”</h1>
<p class="lead">${text(headline(comparison))}</p>
<p>${text(second(comparison))}</p>
<div class="side">
${(comparison.changed > 0 ? pictures : []).map(({ title, svg }) => `<figure><h2>${text(title)}</h2>${svg}</figure>`).join("\n")}
</div>
<div class="side"><div><h2>Of all cards</h2><table><tr>${cells(["", "Today", "Draft"], "th")}</tr>${numbers.join("")}</table></div>
<div><h2>Places in messages</h2>${moved.length > 0 ? `<table><tr>${cells(["Merchant", "Today", "Draft", ""], "th")}</tr>${moved.join("")}</table>` : "<p>Nobody gains or loses one.</p>"}</div></div>
<h2>Clicks ${clicks.simulated ? '<span class="tag">simulated</span>' : ""}</h2>
<p>${text(say_clicks(clicks))}</p>
${sure.length > 0 ? `<table><tr>${cells(["Estimate", "In 1,000 messages", "95 % interval"], "th")}</tr>${sure.join("")}</table>` : ""}
<p class="quiet">${number(health.messages)} messages, worth ${number(health.effective, 0)} after weighing; ${percent(health.clipped_mass)} of weight clipped; ${percent(clicks.unsupported)} of the draft's cards without support. Seed ${clicks.seed}, ${number(clicks.rounds)} resamplings of readers.</p>
${clicks.notes.map((note) => `<p class="quiet">${text(note)}</p>`).join("\n")}
<p class="quiet">${text(data)} Made ${text(made_at)} over ${number(comparison.readers)} sample readers.</p>
</body></html>
`;
}
