// What another campaign would have earned, from messages that this one sent: off-policy evaluation of slates.
//
// Probabilities of a slot are given the slots before it, as the engine draws them; their products are those of prefixes. What each
// estimator takes for granted:
//   slate IPS        nothing; (Horvitz and Thompson 1952) w = the ratio of whole messages
//   cascade IPS      a click depends on its own and the earlier slots (McInerney et al. 2020, "RIPS")
//   position IPS     a click depends on its own slot alone (Li et al. 2018, "IIPS"); needs every possible message
//   pseudo-inverse   clicks of a message add up over slots (Swaminathan et al. 2017); needs every possible message
//   SNIPS            as cascade IPS; weights of each slot are divided by their mean (Swaminathan and Joachims 2015)
//   DR               as cascade IPS; a model of clicks takes away variance (Kiyohara et al. 2022), weights may be clipped (Su et al. 2020)

import { random } from "./random.js";

/** One slot of a logged message. */
export interface Step {
  /** Clicks it got. */
  reward: number;
  /** Probability of what it showed, given the slots before: of the campaign that showed it, and of the one asked about. */
  logging: number;
  target: number;
  /** A model's clicks of what it showed, and of what the campaign asked about would have shown, given the slots before. */
  predicted: number;
  expected: number;
  /** Probabilities of the card in this slot whatever the slots before show; only where every possible message is known. */
  marginal?: { logging: number; target: number };
}

/** One logged message. `unit` is its reader: messages of one reader are resampled together. */
export interface Sample {
  unit: string;
  steps: Step[];
  /** The pseudo-inverse's weight; see `pseudoInverse`. */
  pseudo?: number;
}

export const ESTIMATORS = ["slate_ips", "cascade_ips", "position_ips", "pseudo_inverse", "snips", "dr"] as const;
export type Estimator = (typeof ESTIMATORS)[number];

/** Weights of a prefix are at most `clip`; Infinity leaves them. */
export interface Options {
  clip?: number;
}

/** Ratios of prefixes: after every slot, how much likelier the message up to there is under the campaign asked about. */
export function weights(steps: Step[]): number[] {
  let weight = 1;
  return steps.map(({ logging, target }) => {
    // What could not have been shown was not: a log that says so is wrong, and is counted by whoever read it.
    weight = logging > 0 ? (weight * target) / logging : 0;
    return weight;
  });
}

/**
 * What messages add to each estimator. Everything is a sum over messages, so that a resampling only weighs sums anew; in this order: messages,
 * clicks, what each of `PLAIN` adds, then by slot weighted clicks and weights.
 */
type Sums = Float64Array;
const PLAIN = ["slate_ips", "cascade_ips", "position_ips", "pseudo_inverse", "dr"] as const;
const SLOTS_AT = 2 + PLAIN.length;

function sums({ steps, pseudo }: Sample, n_slots: number, clip: number): Sums {
  const of = new Float64Array(SLOTS_AT + 2 * n_slots);
  const clipped = weights(steps).map((weight) => Math.min(weight, clip));
  const logged = steps.reduce((sum, step) => sum + step.reward, 0);
  let [cascade, position, robust] = [0, 0, 0];
  steps.forEach((step, slot) => {
    const before = slot > 0 ? clipped[slot - 1] : 1;
    const { marginal } = step;
    cascade += clipped[slot] * step.reward;
    position += marginal ? (Math.min(marginal.target / marginal.logging, clip) || 0) * step.reward : NaN;
    robust += before * step.expected + clipped[slot] * (step.reward - step.predicted);
    of[SLOTS_AT + 2 * slot] = clipped[slot] * step.reward;
    of[SLOTS_AT + 2 * slot + 1] = clipped[slot];
  });
  of.set([1, logged, (clipped.at(-1) ?? 1) * logged, cascade, position, pseudo === undefined ? NaN : pseudo * logged, robust]);
  return of;
}

/** Clicks a message from sums; NaN where an estimator lacks what it needs. */
function value(of: Sums, estimator: Estimator): number {
  if (estimator !== "snips") return of[2 + PLAIN.indexOf(estimator)] / of[0];
  let clicks = 0;
  // A slot of which nothing is left after weighing earns nothing that anybody could know of.
  for (let at = SLOTS_AT; at < of.length; at += 2) clicks += of[at + 1] > 0 ? of[at] / of[at + 1] : 0;
  return clicks;
}

const slots_of = (samples: Sample[]) => samples.reduce((most, sample) => Math.max(most, sample.steps.length), 0);

/** Adds `times` of one to the other; 0 times something unknown is nothing. */
function add(to: Sums, of: Sums, times: number): void {
  if (times > 0) for (let at = 0; at < to.length; at++) to[at] += times * of[at];
}

function total(samples: Sample[], { clip = Infinity }: Options): Sums {
  const n_slots = slots_of(samples);
  const all = new Float64Array(SLOTS_AT + 2 * n_slots);
  for (const sample of samples) add(all, sums(sample, n_slots, clip), 1);
  return all;
}

/** Clicks a message that the campaign asked about would have got. */
export function estimate(samples: Sample[], estimator: Estimator, options: Options = {}): number {
  return value(total(samples, options), estimator);
}

/** What one message says of it; their mean is `estimate`, but for SNIPS. */
export function single(sample: Sample, estimator: Estimator, options: Options = {}): number {
  return estimate([sample], estimator, options);
}

/** How far a log can carry an estimate. */
export interface Health {
  messages: number;
  /** Messages that weigh as much as this many unweighted ones: (sum of w)^2 / sum of w^2, of whole messages and of the worst slot. */
  effective: number;
  effective_by_slot: number[];
  /** Share of all weight that clipping took away. */
  clipped_mass: number;
  largest_weight: number;
  /** Should be 1: what weights add up to tells whether probabilities are right and support is there. */
  mean_weight: number;
}

export function health(samples: Sample[], { clip = Infinity }: Options = {}): Health {
  const n_slots = slots_of(samples);
  const effective = (all: number[]) => {
    const squares = all.reduce((sum, weight) => sum + weight * weight, 0);
    return squares > 0 ? all.reduce((sum, weight) => sum + weight, 0) ** 2 / squares : 0;
  };
  const raw = samples.map((sample) => weights(sample.steps));
  const whole = raw.map((of) => of.at(-1) ?? 1);
  const mass = whole.reduce((sum, weight) => sum + weight, 0);
  const kept = whole.map((weight) => Math.min(weight, clip));
  return {
    messages: samples.length,
    effective: effective(kept),
    effective_by_slot: Array.from({ length: n_slots }, (_, slot) => effective(raw.map((of) => Math.min(of[slot] ?? 0, clip)))),
    clipped_mass: mass > 0 ? 1 - kept.reduce((sum, weight) => sum + weight, 0) / mass : 0,
    largest_weight: whole.reduce((most, weight) => Math.max(most, weight), 0),
    mean_weight: samples.length > 0 ? mass / samples.length : 0,
  };
}

export interface Interval {
  low: number;
  high: number;
}

export interface Intervals {
  /** Of the campaign asked about. */
  value: Interval;
  /** Of its difference to the one that sent the messages. */
  gain: Interval;
}

/** Percentile intervals over readers, of every estimator from the same resamplings. The click model of DR is held as it is. */
export function bootstrap(samples: Sample[], options: Options & { seed: number; rounds?: number; level?: number }): Record<Estimator, Intervals> {
  const { seed, rounds = 1000, level = 0.95, clip = Infinity } = options;
  const n_slots = slots_of(samples);
  const by_unit = new Map<string, Sums>();
  for (const sample of samples) {
    const of = by_unit.get(sample.unit) ?? new Float64Array(SLOTS_AT + 2 * n_slots);
    add(of, sums(sample, n_slots, clip), 1);
    by_unit.set(sample.unit, of);
  }
  const units = [...by_unit.values()];
  const draw = random(seed);
  const drawn = ESTIMATORS.map(() => ({ values: new Float64Array(rounds), gains: new Float64Array(rounds) }));
  const times = new Uint32Array(units.length);
  for (let round = 0; round < rounds; round++) {
    times.fill(0);
    for (let i = 0; i < units.length; i++) times[Math.floor(draw() * units.length)]++;
    const all = new Float64Array(SLOTS_AT + 2 * n_slots);
    units.forEach((of, i) => add(all, of, times[i]));
    ESTIMATORS.forEach((estimator, at) => {
      const of = value(all, estimator);
      drawn[at].values[round] = of;
      drawn[at].gains[round] = of - all[1] / all[0];
    });
  }
  const tail = (1 - level) / 2;
  const between = (all: Float64Array) => ({ low: quantile(all, tail), high: quantile(all, 1 - tail) });
  return Object.fromEntries(ESTIMATORS.map((estimator, at) => [estimator, { value: between(drawn[at].values), gain: between(drawn[at].gains) }])) as Record<Estimator, Intervals>;
}

/** By linear interpolation between order statistics. */
export function quantile(all: ArrayLike<number>, at: number): number {
  const sorted = Float64Array.from(all).sort();
  const place = at * (sorted.length - 1);
  const [below, above] = [Math.floor(place), Math.ceil(place)];
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

/** A message that there could have been, and how likely. */
export interface Possible {
  merchants: (string | null)[];
  propensity: number;
}

/** How likely a card stands in a slot, whatever stands in the others. */
export function marginals(messages: Possible[]): Map<string, number> {
  const of = new Map<string, number>();
  for (const { merchants, propensity } of messages) {
    merchants.forEach((merchant, slot) => of.set(key(slot, merchant), (of.get(key(slot, merchant)) ?? 0) + propensity));
  }
  return of;
}

export const key = (slot: number, merchant: string | null) => `${slot}:${merchant ?? "-"}`;

/**
 * The weights of all messages by the pseudo-inverse: q' G+ 1(message), with G = E[1 1'] of the campaign that sends and q = E[1] of the one
 * asked about (Swaminathan et al. 2017, eq. 4). `null` where the latter shows cards that the former does not: q lies outside of G's range. With
 * `project`, what lies outside is left out instead; whoever asks for that counts it (`unsupported`).
 */
export function pseudoInverse(logging: Possible[], target: Possible[], project = false): ((message: (string | null)[]) => number) | null {
  const places = new Map<string, number>();
  for (const { merchants } of logging) merchants.forEach((merchant, slot) => places.set(key(slot, merchant), places.get(key(slot, merchant)) ?? places.size));
  const n = places.size;
  const gram = new Float64Array(n * n);
  for (const { merchants, propensity } of logging) {
    const at = merchants.map((merchant, slot) => places.get(key(slot, merchant)) as number);
    for (const i of at) for (const j of at) gram[i * n + j] += propensity;
  }
  const q = new Float64Array(n);
  for (const [card, likely] of marginals(target)) {
    const at = places.get(card);
    if (at === undefined) {
      if (likely > 0 && !project) return null;
    } else q[at] = likely;
  }
  const solved = least(gram, q, project);
  if (solved === null) return null;
  return (message) => message.reduce((sum, merchant, slot) => sum + (solved[places.get(key(slot, merchant)) ?? -1] ?? 0), 0);
}

/** The shortest x with Ax = b, or with `project` nearest to it, for a symmetric A without negative eigenvalues, by Jacobi's rotations; null where there is none. */
export function least(matrix: Float64Array, b: Float64Array, project = false): Float64Array | null {
  const n = b.length;
  const a = matrix.slice();
  const v = new Float64Array(n * n);
  for (let i = 0; i < n; i++) v[i * n + i] = 1;
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0;
    for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) off += a[i * n + j] ** 2;
    if (off < 1e-30) break;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const pq = a[p * n + q];
        if (Math.abs(pq) < 1e-300) continue;
        const theta = (a[q * n + q] - a[p * n + p]) / (2 * pq);
        const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1);
        const s = t * c;
        for (let k = 0; k < n; k++) {
          const [kp, kq] = [a[k * n + p], a[k * n + q]];
          a[k * n + p] = c * kp - s * kq;
          a[k * n + q] = s * kp + c * kq;
        }
        for (let k = 0; k < n; k++) {
          const [pk, qk] = [a[p * n + k], a[q * n + k]];
          a[p * n + k] = c * pk - s * qk;
          a[q * n + k] = s * pk + c * qk;
          const [vp, vq] = [v[k * n + p], v[k * n + q]];
          v[k * n + p] = c * vp - s * vq;
          v[k * n + q] = s * vp + c * vq;
        }
      }
    }
  }
  const x = new Float64Array(n);
  for (let e = 0; e < n; e++) {
    const eigenvalue = a[e * n + e];
    let along = 0;
    for (let i = 0; i < n; i++) along += v[i * n + e] * b[i];
    if (eigenvalue > 1e-10) for (let i = 0; i < n; i++) x[i] += (along / eigenvalue) * v[i * n + e];
    else if (Math.abs(along) > 1e-8 && !project) return null;
  }
  return x;
}
