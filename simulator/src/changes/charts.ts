// The pictures of a comparison. Colours are told apart without seeing red and green; every bar also says its number.

import * as Plot from "@observablehq/plot";
import { nice } from "../words.js";
import type { Comparison } from "./compare.js";
import { percent, signed } from "./words.js";

const [GAIN, LOSS, TODAY] = ["#0b7285", "#c2410c", "#868e96"];
type Svg = SVGSVGElement;
const short = (name: string) => (name.length > 24 ? `${name.slice(0, 23)}…` : name);

function picture(options: Plot.PlotOptions, label: string): Svg {
  const svg = Plot.plot({ ...options, style: { background: "transparent", fontSize: "12px", color: "currentColor" } }) as Svg;
  // Plot names the groups of marks, too; a picture is read out as one.
  for (const group of svg.querySelectorAll("g[aria-label]")) group.removeAttribute("aria-label");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  return svg;
}

/** Who gains and who loses places: the most moved. */
export function merchants({ merchants }: Comparison, width = 420): Svg {
  const moved = merchants.map(({ merchant, name, published, draft }) => ({ merchant, name: short(name), by: draft - published }));
  const shown = [...moved.slice(0, 6), ...moved.slice(6).slice(-6)];
  const names = new Map(shown.map(({ merchant, name }) => [merchant, name]));
  const [low, high] = [Math.min(0, ...shown.map(({ by }) => by)), Math.max(0, ...shown.map(({ by }) => by))];
  // Room for the number beside the longest bar of each side.
  const room = 0.32 * Math.max(1, high - low);
  return picture({
    width, height: 62 + 24 * shown.length, marginLeft: 178, marginRight: 28, marginTop: 6, marginBottom: 44,
    x: { label: "places in messages", domain: [low - room, high + room], ticks: 4, labelAnchor: "center", labelArrow: "none" },
    y: { label: null, domain: shown.map(({ merchant }) => merchant), tickFormat: (merchant: string) => names.get(merchant) ?? merchant, tickSize: 0 },
    marks: [
      Plot.barX(shown, { x: "by", y: "merchant", fill: ({ by }) => (by > 0 ? GAIN : LOSS), insetTop: 3, insetBottom: 3 }),
      Plot.text(shown.filter(({ by }) => by > 0), { x: "by", y: "merchant", text: ({ by }) => signed(by), textAnchor: "start", dx: 4 }),
      Plot.text(shown.filter(({ by }) => by < 0), { x: "by", y: "merchant", text: ({ by }) => signed(by), textAnchor: "end", dx: -4 }),
      Plot.ruleX([0]),
    ],
  }, `Merchants that gain or lose places: ${shown.map(({ name, by }) => `${name} ${signed(by)}`).join(", ")}`);
}

/** The mix of cuisines, today and in the draft. */
export function cuisines({ cuisines }: Comparison, width = 420): Svg {
  const shown = cuisines.slice(0, 12).map((shift) => ({ ...shift, name: nice(shift.name) }));
  return picture({
    width, height: 62 + 24 * shown.length, marginLeft: 128, marginRight: 56, marginTop: 6, marginBottom: 44,
    x: { label: "share of cards (grey: today)", labelAnchor: "center", labelArrow: "none", tickFormat: (share: number) => percent(share), ticks: 4, zero: true, grid: true },
    y: { label: null, domain: shown.map(({ name }) => name), tickSize: 0 },
    marks: [
      Plot.link(shown, { x1: "published", x2: "draft", y1: "name", y2: "name", stroke: TODAY, strokeWidth: 2 }),
      Plot.dot(shown, { x: "published", y: "name", fill: TODAY, r: 4 }),
      Plot.dot(shown, { x: "draft", y: "name", fill: GAIN, r: 5 }),
      Plot.text(shown, { x: ({ published, draft }) => Math.max(published, draft), y: "name", text: ({ draft }) => percent(draft), textAnchor: "start", dx: 9 }),
    ],
  }, `Cuisines by share of cards, today and in the draft: ${shown.map(({ name, published, draft }) => `${name} ${percent(published)}, ${percent(draft)}`).join("; ")}`);
}
