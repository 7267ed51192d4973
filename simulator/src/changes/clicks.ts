// A model of clicks, by slot and by how well a card scores; and clicks that are made up, where nobody has a log.

import { hash, random } from "./random.js";

/** What the ranker says of a card, in log odds; null where it stands outside of what was ranked. */
export type Score = number | null;

const BINS = 8;
const FOLDS = 5;
/** So many messages' worth of the slot's own rate are added to each bin. */
const PRIOR = 20;

/** A card that was shown, to learn from. */
export interface Shown {
  unit: string;
  slot: number;
  score: Score;
  clicked: number;
}

/** Clicks to expect of a card; a reader's own clicks are not in what is said of them. */
export type Model = (unit: string, slot: number, score: Score) => number;

/** Rates by slot and bin of score, shrunken to the slot's, learnt from the other folds of readers. */
export function fit(shown: Shown[]): Model {
  const scores = shown.flatMap(({ score }) => (score === null ? [] : [score])).sort((a, b) => a - b);
  const edges = Array.from({ length: BINS - 1 }, (_, i) => scores[Math.floor(((i + 1) * scores.length) / BINS)] ?? 0);
  const bin = (score: Score) => (score === null ? BINS : edges.filter((edge) => score >= edge).length);
  const fold = (unit: string) => hash(unit) % FOLDS;
  const counts = new Map<string, [number, number]>();
  const count = (name: string, clicked: number) => {
    const [clicks, n] = counts.get(name) ?? [0, 0];
    counts.set(name, [clicks + clicked, n + 1]);
  };
  for (const { unit, slot, score, clicked } of shown) {
    for (let other = 0; other < FOLDS; other++) {
      if (other === fold(unit)) continue;
      count(`${other}/${slot}`, clicked);
      count(`${other}/${slot}/${bin(score)}`, clicked);
    }
  }
  return (unit, slot, score) => {
    const [all, n] = counts.get(`${fold(unit)}/${slot}`) ?? [0, 0];
    const rate = n > 0 ? all / n : 0;
    const [clicks, m] = counts.get(`${fold(unit)}/${slot}/${bin(score)}`) ?? [0, 0];
    return (clicks + PRIOR * rate) / (m + PRIOR);
  };
}

/** The chance of a made-up click: better cards get more, lower slots fewer. It says what the ranker believes, so it cannot tell whether the ranker is right. */
export function made_up(slot: number, score: Score, middle: number): number {
  if (score === null) return 0.005;
  return 0.3 / (1 + Math.exp(1.5 - (score - middle))) / Math.log2(slot + 2);
}

/** Whether a made-up reader clicks. */
export function clicks(seed: number, unit: string, slot: number, chance: number): number {
  return random(hash(`${seed}/${unit}/${slot}`))() < chance ? 1 : 0;
}
