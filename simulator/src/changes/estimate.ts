// From pairs to clicks: what the draft would have got, how sure that is, and when to say nothing.

import { type Score, clicks as click, fit, made_up } from "./clicks.js";
import { ESTIMATORS, type Estimator, type Health, type Sample, bootstrap, estimate, health } from "./ope.js";
import type { Clicks, Estimate, Pair } from "./types.js";

/** Above this share of cards without support there is no interval. */
export const MOST_UNSUPPORTED = 0.05;
/** Nor above this share of the weight cut off, nor below so many messages' worth: such intervals hold the truth too seldom, see tests/changes.e2e.mjs. */
export const MOST_CLIPPED = 0.1;
export const LEAST_EFFECTIVE = 100;

export interface Settings {
  seed: number;
  rounds?: number;
  clip?: number;
}

const score = (fixed: number | null): Score => (fixed === null ? null : fixed / 65536);

/** Cards of the draft that whoever sent the messages could not have shown there, given the slots before: nothing was learnt of them. */
export function unsupported(pairs: Pair[]): number {
  let [without, all] = [0, 0];
  for (const { support } of pairs) {
    let possible = true;
    for (const { propensity } of support.slots) {
      possible &&= propensity > 0;
      all++;
      if (!possible) without++;
    }
  }
  return all > 0 ? without / all : 0;
}

export function estimate_clicks(pairs: Pair[], { seed, rounds = 1000, clip = 50 }: Settings, units?: Map<string, string>): Clicks {
  const simulated = pairs.every(({ clicks }) => clicks === undefined);
  const scores = pairs.flatMap(({ logged }) => logged.slots.flatMap(({ score: of }) => (of === null ? [] : [of / 65536]))).sort((a, b) => a - b);
  const middle = scores[scores.length >> 1] ?? 0;
  const unit = ({ reader }: Pair) => units?.get(reader) ?? reader;
  const got = pairs.map((pair) => pair.clicks ?? pair.logged.slots.map((slot, at) => click(seed, pair.reader, at, made_up(at, score(slot.score), middle))));
  const model = fit(pairs.flatMap((pair, i) => pair.logged.slots.map((slot, at) => ({ unit: unit(pair), slot: at, score: score(slot.score), clicked: got[i][at] ?? 0 }))));

  const samples: Sample[] = pairs.map((pair, i) => ({
    unit: unit(pair),
    pseudo: pair.pseudo,
    steps: pair.logged.slots.map((slot, at) => {
      const asked = pair.asked.slots[at];
      const would = (of: number | null) => model(unit(pair), at, score(of));
      const marginal = pair.marginals?.[at];
      return {
        reward: got[i][at] ?? 0,
        logging: slot.propensity,
        // A draft with fewer slots shows nothing there.
        target: asked?.propensity ?? 0,
        predicted: would(slot.score),
        expected: asked === undefined ? 0 : asked.options.length === 0 ? would(null) : asked.options.reduce((sum, [, likely, of]) => sum + likely * would(of), 0),
        marginal: marginal && { logging: marginal[0], target: marginal[1] },
      };
    }),
  }));

  const share = unsupported(pairs);
  const of_health = health(samples, { clip });
  const differs = pairs.some(({ published, draft }) => published.slots.length !== draft.slots.length);
  const declined = reason(pairs, share, differs, of_health);
  const intervals = declined === null ? bootstrap(samples, { seed, rounds, clip }) : null;
  const estimates = Object.fromEntries(
    ESTIMATORS.map((estimator): [Estimator, Estimate] => {
      const of = estimate(samples, estimator, { clip });
      if (!Number.isFinite(of) || differs) return [estimator, { per_thousand: null, interval: null, gain: null }];
      const between = intervals?.[estimator];
      const thousand = ({ low, high }: { low: number; high: number }) => ({ low: 1000 * low, high: 1000 * high });
      return [estimator, { per_thousand: 1000 * of, interval: between ? thousand(between.value) : null, gain: between ? thousand(between.gain) : null }];
    }),
  ) as Record<Estimator, Estimate>;

  const n = pairs.length || 1;
  const truth = pairs.reduce((sum, { draft }) => sum + draft.slots.reduce((clicks, slot, at) => clicks + made_up(at, score(slot.score), middle), 0), 0) / n;
  const notes: string[] = [];
  if (simulated) notes.push("Clicks are simulated: they follow the ranker's own scores, so they cannot tell whether the ranker is right.");
  if (of_health.clipped_mass > 0) notes.push(`Weights above ${clip} were cut: that keeps the estimate steady and makes it a little too low.`);
  return {
    simulated,
    published_per_thousand: (1000 * got.reduce((sum, of) => sum + of.reduce((a, b) => a + b, 0), 0)) / n,
    estimates,
    health: of_health,
    clip,
    unsupported: share,
    declined,
    truth_per_thousand: simulated ? 1000 * truth : null,
    seed,
    rounds,
    notes,
  };
}

/** Why there is no interval, with what to do. */
function reason(pairs: Pair[], share: number, differs: boolean, { effective, clipped_mass }: Health): string | null {
  const percent = (of: number) => `${(100 * of).toFixed(of < 0.1 ? 1 : 0)} %`;
  if (pairs.length === 0) return "There are no messages to learn from.";
  if (differs) return "The draft has another number of slots than the messages that were sent: clicks of a message cannot be compared. Estimate with the same `slots`.";
  if (share > MOST_UNSUPPORTED) {
    const explores = pairs.some(({ logged }) => logged.explores);
    return `${percent(share)} of the draft's cards could never have been shown where they stand by the campaign that sent the messages (at most ${percent(MOST_UNSUPPORTED)} may): nobody has seen them there, so no click tells how they do. ${
      explores ? "Let the campaign try out more merchants (explore: among), or change less at once." : "That campaign tries nothing out: let it (explore) for a week, then load its log."
    }`;
  }
  if (effective < LEAST_EFFECTIVE) return `After weighing, the messages are worth ${effective.toFixed(0)} (at least ${LEAST_EFFECTIVE} are asked for): too few for an interval. Take more readers, load more of the log, or let the campaign explore more.`;
  if (clipped_mass > MOST_CLIPPED) return `Messages that the draft makes far likelier than the campaign that sent them carry ${percent(clipped_mass)} of all weight (at most ${percent(MOST_CLIPPED)} may): too few of them decide. Let the campaign explore more, or change less at once.`;
  return null;
}
