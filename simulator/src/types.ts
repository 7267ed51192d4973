// The engine's types under the page's names, and those of what the page asks.

import type { AreaMerchant, DraftProblem, Grade, Leaf, Located, Mailbox, Node, ReaderFacts, Reply, ReplySlot, Request } from "freshrank";

export type { Grade, Leaf, Located, Mailbox, Node, ReaderFacts, Reply, ReplySlot, Request };
export type Merchant = AreaMerchant;
export type Problem = DraftProblem;

export type Point = { latitude: number; longitude: number };

/** What the page asks: who, when, where, through what. */
export type Scene = {
  campaign: string;
  /** Of the page's readers; null is somebody of whom nothing is known. */
  reader: number | null;
  /** Half hours since the data's first midnight, UTC. */
  step: number;
  point: Point | null;
  grade: Grade;
  mailbox: Mailbox;
};

/** One layer as its author writes it. */
export type Draft = { path: string; yaml: string };
