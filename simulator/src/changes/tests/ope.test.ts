// Estimators against the truth, to 1e-9: small worlds in which every message is counted with its probability, closed forms, and a
// second opinion.

import assert from "node:assert/strict";
import { it } from "node:test";
import { type Estimator, type Possible, type Sample, type Step, bootstrap, estimate, health, least, marginals, key, pseudoInverse, quantile, single, weights } from "../ope.js";
import { random } from "../random.js";

const near = (found: number, expected: number, what: string) => assert.ok(Math.abs(found - expected) < 1e-9, `${what}: found ${found}, expected ${expected}`);

/** A way of drawing messages without repeats: the probability of a card given the cards before it. */
type Policy = (before: number[], card: number) => number;

/** The engine's way: with `share` any of the best `among` of those left, otherwise the best. */
const engine = (order: number[], share: number, among: number): Policy => (before, card) => {
  const left = order.filter((other) => !before.includes(other));
  const width = Math.min(among, left.length);
  const at = left.indexOf(card);
  return at < 0 || at >= width ? 0 : share / width + (at === 0 ? 1 - share : 0);
};

/** Any way at all: weights by a hash of what stands before. */
const odd = (seed: number, n_cards: number): Policy => (before, card) => {
  const draw = random(seed * 1000 + before.reduce((sum, of) => sum * 7 + of + 1, 0));
  const all = Array.from({ length: n_cards }, (_, i) => (before.includes(i) ? (draw(), 0) : 0.05 + draw()));
  return all[card] / all.reduce((sum, weight) => sum + weight, 0);
};

function every(policy: Policy, n_slots: number, n_cards: number): { cards: number[]; likely: number }[] {
  let all: { cards: number[]; likely: number }[] = [{ cards: [], likely: 1 }];
  for (let slot = 0; slot < n_slots; slot++) {
    all = all.flatMap(({ cards, likely }) =>
      Array.from({ length: n_cards }, (_, card) => ({ cards: [...cards, card], likely: likely * policy(cards, card) })).filter(({ likely }) => likely > 0),
    );
  }
  return all;
}
const possible = (all: { cards: number[]; likely: number }[]): Possible[] => all.map(({ cards, likely }) => ({ merchants: cards.map(String), propensity: likely }));

/** Expected clicks of every slot of a message. */
type World = (cards: number[]) => number[];
const worlds: Record<string, World> = {
  // A click depends on its own slot and card.
  position: (cards) => cards.map((card, slot) => (0.1 + 0.13 * card) / (slot + 1)),
  // ... and on what stands above.
  cascade: (cards) => cards.map((card, slot) => (0.1 + 0.13 * card) * (cards.slice(0, slot).includes((card + 1) % 4) ? 0.3 : 1)),
  // ... and on what stands below, too.
  anything: (cards) => cards.map((card, slot) => 0.05 + 0.1 * ((card * 3 + slot + cards.reduce((sum, other) => sum + other * other, 0)) % 5)),
};
/** Who is right where. */
const unbiased: Record<Estimator, string[]> = {
  slate_ips: ["position", "cascade", "anything"],
  cascade_ips: ["position", "cascade"],
  dr: ["position", "cascade"],
  position_ips: ["position"],
  pseudo_inverse: ["position"],
  snips: [],
};

const N_SLOTS = 3;
const N_CARDS = 4;
/** A click model as wrong as it likes. */
const wrong = (slot: number, card: number) => 0.9 - 0.2 * card + 0.1 * slot;

/** Every message of a world with its probability; clicks are their expectation, in which all estimators but SNIPS are linear. */
function logged(logging: Policy, target: Policy, world: World): { sample: Sample; likely: number }[] {
  const [sent, asked] = [every(logging, N_SLOTS, N_CARDS), every(target, N_SLOTS, N_CARDS)];
  const of = { logging: marginals(possible(sent)), target: marginals(possible(asked)) };
  const pseudo = pseudoInverse(possible(sent), possible(asked));
  return sent.map(({ cards, likely }) => {
    const steps: Step[] = cards.map((card, slot) => {
      const before = cards.slice(0, slot);
      const place = key(slot, String(card));
      const expected = Array.from({ length: N_CARDS }, (_, other) => target(before, other) * wrong(slot, other)).reduce((sum, of) => sum + of, 0);
      return {
        reward: world(cards)[slot], logging: logging(before, card), target: target(before, card), predicted: wrong(slot, card), expected,
        marginal: { logging: of.logging.get(place) as number, target: of.target.get(place) ?? 0 },
      };
    });
    return { sample: { unit: cards.join(), steps, pseudo: pseudo?.(cards.map(String)) }, likely };
  });
}
const truth = (target: Policy, world: World) => every(target, N_SLOTS, N_CARDS).reduce((sum, { cards, likely }) => sum + likely * world(cards).reduce((a, b) => a + b, 0), 0);

const pairs: [string, Policy, Policy][] = [
  ["two campaigns that explore", engine([0, 1, 2, 3], 0.5, 4), engine([2, 0, 3, 1], 0.2, 3)],
  ["one that does not explore any more", engine([0, 1, 2, 3], 0.4, 4), engine([3, 1, 0, 2], 0, 1)],
  ["any two policies", odd(1, N_CARDS), odd(2, N_CARDS)],
];

for (const [name, logging, target] of pairs) {
  it(`of ${name} every estimator gives the truth in the worlds that it is made for`, () => {
    for (const [estimator, right] of Object.entries(unbiased) as [Estimator, string[]][]) {
      for (const [of, world] of Object.entries(worlds)) {
        const all = logged(logging, target, world);
        const found = all.reduce((sum, { sample, likely }) => sum + likely * single(sample, estimator), 0);
        const expected = truth(target, world);
        if (right.includes(of)) near(found, expected, `${estimator} in ${of}`);
        else if (estimator !== "snips" && of === "anything") assert.ok(Math.abs(found - expected) > 1e-6, `${estimator} should not know ${of}: a check that cannot fail checks nothing`);
      }
    }
    const mean = logged(logging, target, worlds.position).reduce((sum, { sample, likely }) => sum + likely * (weights(sample.steps).at(-1) as number), 0);
    near(mean, 1, "the mean weight");
  });
}

it("the pseudo-inverse of independent slots has a closed form", () => {
  // Slots do not know of each other: w = 1 + sum of (ratio - 1) (Swaminathan et al. 2017, for product distributions).
  const sent = [[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.25, 0.25, 0.5]];
  const asked = [[0.1, 0.1, 0.8], [0.3, 0.3, 0.4], [0.6, 0.2, 0.2]];
  const product = (of: number[][]): Possible[] =>
    [0, 1, 2].flatMap((a) => [0, 1, 2].flatMap((b) => [0, 1, 2].map((c) => ({ merchants: [a, b, c].map(String), propensity: of[0][a] * of[1][b] * of[2][c] }))));
  const weight = pseudoInverse(product(sent), product(asked));
  assert.ok(weight);
  for (const { merchants } of product(sent)) {
    near(weight(merchants), 1 + merchants.reduce((sum, card, slot) => sum + asked[slot][Number(card)] / sent[slot][Number(card)] - 1, 0), merchants.join());
  }
});

it("the pseudo-inverse of all orders of as many cards as slots has a closed form", () => {
  // G of uniform rankings has eigenvalues 1 and 1/(m-1): w = (m-1) * sum of q - m + 2.
  const m = 4;
  const sent = possible(every((before, card) => (before.includes(card) ? 0 : 1 / (m - before.length)), m, m));
  assert.equal(sent.length, 24);
  const asked = possible(every(engine([3, 1, 0, 2], 0.3, 2), m, m));
  const [weight, q] = [pseudoInverse(sent, asked), marginals(asked)];
  assert.ok(weight);
  for (const { merchants } of sent) near(weight(merchants), (m - 1) * merchants.reduce((sum, card, slot) => sum + (q.get(key(slot, card)) ?? 0), 0) - m + 2, merchants.join());
});

it("the pseudo-inverse refuses cards that were never shown, and finds the shortest solution", () => {
  assert.equal(pseudoInverse([{ merchants: ["a"], propensity: 1 }], [{ merchants: ["b"], propensity: 1 }]), null);
  const half = [{ merchants: ["a"], propensity: 0.5 }, { merchants: ["b"], propensity: 0.5 }];
  near(pseudoInverse([{ merchants: ["a"], propensity: 1 }], half, true)?.(["a"]) as number, 0.5, "what was shown counts, what was not is left out");
  const x = least(Float64Array.from([1, 1, 1, 1]), Float64Array.from([2, 2]));
  near(x?.[0] as number, 1, "half of it each");
  assert.equal(least(Float64Array.from([1, 1, 1, 1]), Float64Array.from([2, 1])), null);
});

const step = (reward: number, logging: number, target: number): Step => ({ reward, logging, target, predicted: 0.2, expected: 0.3 });
const HAND: Sample[] = [
  { unit: "a", steps: [step(1, 0.5, 0.25), step(0, 0.2, 0.4)] },
  { unit: "b", steps: [step(0, 0.5, 0.75), step(1, 0.8, 0.4)] },
  { unit: "a", steps: [step(1, 0.25, 1), step(1, 1, 1)] },
];

it("by hand", () => {
  // Weights: 1/2, 1; 3/2, 3/4; 4, 4.
  near(estimate(HAND, "slate_ips"), (1 + 0.75 + 8) / 3, "slate IPS");
  near(estimate(HAND, "cascade_ips"), (0.5 + 0.75 + 8) / 3, "cascade IPS");
  near(estimate(HAND, "snips"), 4.5 / 6 + 4.75 / 5.75, "SNIPS");
  const dr = 0.3 + 0.5 * 0.8 + 0.5 * 0.3 - 0.2 + (0.3 - 1.5 * 0.2 + 1.5 * 0.3 + 0.75 * 0.8) + (0.3 + 4 * 0.8 + 4 * 0.3 + 4 * 0.8);
  near(estimate(HAND, "dr"), dr / 3, "DR");
  assert.ok(Number.isNaN(estimate(HAND, "position_ips")), "without marginals there is no such estimate");
  const of = health(HAND, { clip: 2 });
  near(of.effective, (1 + 0.75 + 2) ** 2 / (1 + 0.75 ** 2 + 4), "effective sample size");
  near(of.clipped_mass, 2 / 5.75, "clipped mass");
  near(of.mean_weight, 5.75 / 3, "mean weight");
  near(estimate(HAND, "cascade_ips", { clip: 2 }), (0.5 + 0.75 + 4) / 3, "clipped");
  near(quantile([3, 1, 2], 0.25), 1.5, "quantile");
});

it("of the same campaign every estimator says what was counted", () => {
  const same = HAND.map(({ unit, steps }) => ({ unit, pseudo: 1, steps: steps.map((of) => ({ ...of, target: of.logging, predicted: 0.4, expected: 0.4, marginal: { logging: 0.5, target: 0.5 } })) }));
  for (const estimator of Object.keys(unbiased) as Estimator[]) near(estimate(same, estimator), 4 / 3, estimator);
  assert.deepEqual(bootstrap(same, { seed: 1 }).cascade_ips.gain, { low: 0, high: 0 });
});

it("an interval is the same for the same seed, and holds the truth about as often as it says", () => {
  const [logging, target] = [engine([0, 1, 2, 3], 0.6, 4), engine([1, 0, 2, 3], 0.3, 3)];
  const all = logged(logging, target, worlds.cascade);
  const expected = truth(target, worlds.cascade);
  const rounds = 120;
  let held = 0;
  for (let run = 0; run < rounds; run++) {
    const draw = random(run + 1);
    const samples: Sample[] = Array.from({ length: 400 }, (_, i) => {
      let at = draw();
      const one = all.find(({ likely }) => (at -= likely) < 0) ?? all[0];
      return { unit: `r${i}`, steps: one.sample.steps.map((of) => ({ ...of, reward: draw() < of.reward ? 1 : 0 })) };
    });
    const { value } = bootstrap(samples, { seed: 7, rounds: 200 }).dr;
    if (run === 0) assert.deepEqual(bootstrap(samples, { seed: 7, rounds: 200 }).dr.value, value);
    if (value.low <= expected && expected <= value.high) held++;
  }
  console.log(`  95 % intervals hold the truth in ${held} of ${rounds} simulated logs`);
  assert.ok(held >= 0.87 * rounds, `${held} of ${rounds}`);
});
