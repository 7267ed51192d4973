// The engine's types, and those of what a page asks beside the message.

import type { Grade, Mailbox, Node, Reply, ReplySlot, Request, Source } from "freshrank";

export type { Grade, Mailbox, Node, Reply, ReplySlot, Request };

export type Point = { latitude: number; longitude: number };

export type Merchant = Point & { merchant: string; merchant_id: string | null; name: string | null; cuisines: string | null };

export type ReaderFacts = {
  market: string;
  consent: boolean;
  member: boolean;
  n_orders: number;
  last_order_days: number;
  new_place_rate: number;
  places: (Point & { probability: number[] })[];
  lifelong: number[];
  recent: number[];
};

export type Located = {
  point: Point | null;
  cell: string | null;
  served: boolean;
  certainty: number;
  source: Source;
  travelling: boolean;
  elsewhere: number;
  tailored: boolean;
  places: (Point & { usual: number; now: number })[];
};

export type Leaf = { key: string; value: string; layer: string | null; line: number | null; locked_by: string | null };

export type Problem = { layer: string; line: number; column: number; key: string; message: string; hint: string | null; severity: "error" | "warning" };

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
