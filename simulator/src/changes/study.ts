// One reader under both campaigns. All rankings and all probabilities are the engine's.

import { key, marginals, type Possible, pseudoInverse } from "./ope.js";
import type { Campaign, Chances, Engine, Pair, Task } from "./types.js";

export const PUBLISHED = "published";
export const DRAFT = "draft";
/** The published campaign as it would have to be sent to learn from it; only where clicks are made up. */
export const SENDER = "sender";

/** Messages that a campaign may have for the estimators that need all of them. */
const MOST_MESSAGES = 128;

export interface Trial {
  share: number;
  among: number;
}

/** Gives the engine both campaigns; `trial` makes the published one try things out, as far as no deeper layer says otherwise. */
export function prepare(engine: Engine, published: Campaign, draft: Campaign, trial: Trial | null): void {
  const sender = trial ? { ...published, layers: { ...published.layers, global: { ...published.layers.global, explore: trial } } } : published;
  for (const [id, campaign] of Object.entries({ [PUBLISHED]: published, [DRAFT]: draft, [SENDER]: sender })) {
    engine.setCampaign(JSON.stringify({ ...campaign, id }));
  }
}

export function study(engine: Engine, { reader, sent }: Task, trial: Trial | null): Pair {
  const request = (campaign: string) => JSON.stringify({ ...reader.request, campaign });
  const ask = (campaign: string, shown?: (string | null)[]): Chances => JSON.parse(engine.chances(request(campaign), shown && JSON.stringify(shown)));
  const sender = trial && !sent ? SENDER : PUBLISHED;
  const published = ask(PUBLISHED);
  const draft = ask(DRAFT);
  const logged = sent ? ask(PUBLISHED, sent.merchants) : sender === SENDER ? ask(SENDER) : published;
  const merchants = logged.slots.map((slot) => slot.merchant);
  const pair: Pair = {
    reader: reader.id,
    published,
    draft,
    logged,
    asked: ask(DRAFT, merchants),
    support: ask(sender, draft.slots.map((slot) => slot.merchant)),
    clicks: sent?.clicks,
  };
  if (logged.explores && n_messages(logged) <= MOST_MESSAGES && n_messages(draft) <= MOST_MESSAGES) {
    const every = (campaign: string): Possible[] | null => JSON.parse(engine.everyMessage(request(campaign), MOST_MESSAGES));
    const [of_sender, of_draft] = [every(sender), every(DRAFT)];
    if (of_sender && of_draft) {
      const [from, to] = [marginals(of_sender), marginals(of_draft)];
      pair.marginals = merchants.map((merchant, slot) => [from.get(key(slot, merchant)) ?? 0, to.get(key(slot, merchant)) ?? 0]);
      pair.pseudo = pseudoInverse(of_sender, of_draft, true)?.(merchants);
    }
  }
  return pair;
}

const n_messages = ({ slots }: Chances) => slots.reduce((product, { options }) => product * Math.max(1, options.length), 1);
