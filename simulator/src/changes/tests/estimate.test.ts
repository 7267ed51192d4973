// From messages to what a team is told: made-up pairs whose truth is known.

import assert from "node:assert/strict";
import { it } from "node:test";
import { compare } from "../compare.js";
import { estimate_clicks, unsupported } from "../estimate.js";
import { random } from "../random.js";
import type { ChanceSlot, Chances, Pair } from "../types.js";
import { clicks as say, headline } from "../words.js";

const CARDS = ["a", "b", "c", "d"];
const slot = (merchant: string, propensity: number, options: [string, number, number][]): ChanceSlot => ({
  merchant, propensity, options, score: 65536 * (3 - CARDS.indexOf(merchant)), sponsored: merchant === "d", open: merchant !== "c", distance_km: 1, cluster: 1, pool: "ranked",
});
const message = (slots: ChanceSlot[], explores: boolean): Chances => ({ at: "", cell: "", explores, title: "", slots });

/** One slot: today shows any of `today`, equally likely; the draft shows `draft`. */
function pairs(n: number, today: string[], draft: (i: number) => string): Pair[] {
  const draw = random(4);
  return Array.from({ length: n }, (_, i) => {
    const options = today.map((merchant): [string, number, number] => [merchant, 1 / today.length, 65536 * (3 - CARDS.indexOf(merchant))]);
    const shown = today[Math.floor(draw() * today.length)];
    const asked = draft(i);
    const own: [string, number, number] = [asked, 1, 65536 * (3 - CARDS.indexOf(asked))];
    const logged = message([slot(shown, 1 / today.length, options)], today.length > 1);
    return {
      reader: `r${i}`, published: message([slot(today[0], 1, options)], false), draft: message([slot(asked, 1, [own])], false), logged,
      asked: message([slot(shown, shown === asked ? 1 : 0, [own])], false), support: message([slot(asked, today.includes(asked) ? 1 / today.length : 0, options)], true),
    };
  });
}

it("finds the truth of made-up clicks within its interval, and the same numbers with the same seed", () => {
  const all = pairs(4000, ["a", "b", "c"], () => "b");
  const told = estimate_clicks(all, { seed: 3, rounds: 300 });
  assert.deepEqual(estimate_clicks(all, { seed: 3, rounds: 300 }), told);
  assert.notDeepEqual(estimate_clicks(all, { seed: 4, rounds: 300 }).estimates.dr, told.estimates.dr);
  const { interval } = told.estimates.dr;
  const truth = told.truth_per_thousand as number;
  assert.ok(interval && interval.low < truth && truth < interval.high, JSON.stringify([interval, truth]));
  assert.equal(told.declined, null);
  assert.ok(told.simulated && Math.abs(told.health.mean_weight - 1) < 0.1 && told.health.effective < 1500);
  assert.match(say(told), /simulated clicks in 1,000\. The draft's would get about/);
});

it("says nothing above five in a hundred cards without support, and something at five", () => {
  const at = (share: number) => pairs(1000, ["a", "b", "c"], (i) => (i < share * 1000 ? "d" : "b"));
  assert.equal(unsupported(at(0.05)), 0.05);
  assert.equal(estimate_clicks(at(0.05), { seed: 1, rounds: 50 }).declined, null);
  const declined = estimate_clicks(at(0.051), { seed: 1, rounds: 50 });
  assert.match(declined.declined as string, /^5\.1 % of the draft's cards could never have been shown .*explore: among/);
  for (const { interval, gain } of Object.values(declined.estimates)) assert.deepEqual([interval, gain], [null, null]);
  assert.match(estimate_clicks(pairs(100, ["a"], () => "b"), { seed: 1 }).declined as string, /tries nothing out: let it \(explore\)/);
});

it("clicks of a log are not called simulated, and estimators that need every message say so", () => {
  const all = pairs(500, ["a", "b"], () => "b").map((pair, i): Pair => ({ ...pair, clicks: [i % 5 === 0 ? 1 : 0] }));
  const told = estimate_clicks(all, { seed: 1, rounds: 50 });
  assert.equal(told.simulated, false);
  assert.equal(told.truth_per_thousand, null);
  assert.equal(told.published_per_thousand, 200);
  assert.equal(told.estimates.pseudo_inverse.per_thousand, null);
});

it("counts what changes", () => {
  const cards = Object.fromEntries(CARDS.map((name) => [name, { merchant_id: name, name: name.toUpperCase(), cuisines: name === "d" ? "pizza" : "sushi;asian" }]));
  const of = compare(pairs(200, ["a"], (i) => (i < 24 ? "d" : "a")), cards);
  assert.equal(headline(of), "12 % of messages change: 24 of 200 sample readers see something else.");
  assert.deepEqual(of.merchants.map(({ name, published, draft }) => [name, published, draft]), [["D", 0, 24], ["A", 200, 176]]);
  assert.deepEqual(of.cuisines, [{ name: "sushi", published: 1, draft: 0.88 }, { name: "pizza", published: 0, draft: 0.12 }]);
  assert.deepEqual([of.sponsored.published, of.sponsored.draft, of.affected.length, of.affected[0].reader], [0, 0.12, 24, "r0"]);
  assert.deepEqual(compare([], {}).changed, 0);
});
