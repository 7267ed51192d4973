// Made from the engine's types by wasm/web/tests/types.rs: change those, not this.

/**
 * A multiplier on a merchant's odds.
 */
export type Boost = { 
/**
 * `merchant_id`, or `chain:` and a `chain_id`.
 */
merchant: string, 
/**
 * Above 1 lifts, below 1 buries; 0.01 to 100.
 */
factor: number, };

/**
 * What a reader sees of a merchant.
 */
export type Card = { 
/**
 * As the tables call it.
 */
merchant_id: string, 
/**
 * As its sign says.
 */
name: string, 
/**
 * `;`-separated labels.
 */
cuisines: string, 
/**
 * Opening hours as the source wrote them.
 */
opening_hours: string, 
/**
 * Where a click goes; empty if nowhere.
 */
url: string, 
/**
 * Its picture; empty if none.
 */
image_url: string, 
/**
 * The chain's name; empty if none.
 */
chain: string, };

/**
 * What happened to a merchant since the bundle was built.
 */
export type Closure = "paused" | "closed_today" | "removed";

/**
 * What a slot shows when no merchant is left.
 */
export type Fallback = { 
/**
 * On the card.
 */
text: string, 
/**
 * Where a click goes.
 */
url: string, };

/**
 * How far the request's geography can be trusted.
 */
export type Grade = "exact" | "network" | "coarse" | "none";

/**
 * Which model, bundle and campaign made a decision.
 */
export type Hashes = { 
/**
 * Of the ONNX file.
 */
model: string, 
/**
 * Of the columns.
 */
features: string, 
/**
 * Of the area bundle.
 */
area: string | null, 
/**
 * Of the published campaign.
 */
campaign: string, 
/**
 * Of the merged configuration.
 */
policy: string, };

/**
 * What a merchant sells.
 */
export type Kind = "restaurant" | "grocery" | "retail";

/**
 * One level of a campaign's configuration; a key that is absent is left to the layer above.
 */
export type Layer = { 
/**
 * The message's headline.
 */
title?: string, 
/**
 * How many merchants the message shows, 1 to 24.
 */
slots?: number, 
/**
 * Which kinds of merchant it may show.
 */
kinds?: Array<Kind>, 
/**
 * How far a merchant delivers that tells no radius of its own, kilometres.
 */
radius_km?: number, 
/**
 * How many candidates the ranker sees.
 */
first_pass?: number, 
/**
 * Outlets of one chain in a message.
 */
chain_cap?: number, 
/**
 * Merchants of one cuisine cluster in a message; given up before a slot stays empty.
 */
cuisine_cap?: number, 
/**
 * Whether merchants beyond the country's border are shown.
 */
across_border?: boolean, 
/**
 * What to do with a merchant whose hours nobody knows.
 */
unknown_hours?: UnknownHours, 
/**
 * How the place is decided; follows the reader's market, since it comes before the place.
 */
place?: PlacePolicy, 
/**
 * Merchants whose odds are multiplied.
 */
boosts?: Array<Boost>, 
/**
 * `merchant_id`s, or `chain:` and a `chain_id`, that are never shown.
 */
exclude?: Array<string>, 
/**
 * Fixed slots.
 */
pins?: Array<Pin>, 
/**
 * What a slot shows when no merchant is left.
 */
fallback?: Fallback, };

/**
 * Which software fetched the message.
 */
export type Mailbox = "direct" | "gmail" | "yahoo" | "outlook" | "apple" | "scanner" | "sender" | "unknown";

/**
 * One number and what it is made of.
 */
export type Node = { 
/**
 * What it is.
 */
name: string, 
/**
 * In fixed point, score x 65536.
 */
value: number, 
/**
 * They add up to `value`; a leaf has none.
 */
parts?: Array<Node>, };

/**
 * What an offer gives.
 */
export type OfferKind = "percent" | "amount" | "free_delivery" | "other";

/**
 * A fixed slot.
 */
export type Pin = { 
/**
 * From 0.
 */
slot: number, 
/**
 * `merchant_id`, or `chain:` and a `chain_id`; shown there if it is kept.
 */
merchant: string, };

/**
 * How a campaign wants the place decided.
 */
export type PlacePolicy = "fused" | "predicted" | "last_event" | "freshest";

/**
 * Why a card stands in its slot.
 */
export type Pool = "pinned" | "ranked" | "relaxed" | "fallback";

/**
 * The answer: a decision as a sender or a page reads it.
 */
export type Reply = { 
/**
 * The request's.
 */
id?: string, 
/**
 * Which campaign.
 */
campaign: string, 
/**
 * The merged headline.
 */
title: string, 
/**
 * The message's time, RFC 3339 in UTC.
 */
at: string, 
/**
 * The wall clock at the decided place, `Fri 12:00`.
 */
local: string, 
/**
 * Where the reader is thought to be.
 */
place: ReplyPlace, 
/**
 * One a slot.
 */
slots: Array<ReplySlot>, 
/**
 * How many candidates could be placed.
 */
kept: number, 
/**
 * How many could not, by reason.
 */
dropped: Record<string, number>, 
/**
 * Who judged.
 */
scorer: string, 
/**
 * Why the model did not.
 */
model_error?: string, 
/**
 * Which layer set each key of the merged configuration.
 */
layers: Record<string, string>, 
/**
 * What made it.
 */
hashes: Hashes, 
/**
 * On request: every drop with its reason.
 */
drops?: Array<ReplyDrop>, };

/**
 * A drop with its reason.
 */
export type ReplyDrop = { 
/**
 * Who.
 */
merchant: string, 
/**
 * For a program.
 */
code: string, 
/**
 * For a person.
 */
reason: string, };

/**
 * An offer on a card.
 */
export type ReplyOffer = { 
/**
 * What it gives.
 */
kind: OfferKind, 
/**
 * Per cent, or hundredths of the currency.
 */
value: number, };

/**
 * Where the reader is thought to be; no coordinates, since replies are logged.
 */
export type ReplyPlace = { 
/**
 * The area decided in.
 */
cell: string | null, 
/**
 * Whether that area's bundle was at hand.
 */
served: boolean, 
/**
 * Posterior of the place.
 */
certainty: number, 
/**
 * What decided.
 */
source: Source, 
/**
 * The evidence lies where no likely place is.
 */
travelling: boolean, };

/**
 * What one slot shows.
 */
export type ReplySlot = { 
/**
 * Why it stands here.
 */
pool: Pool, 
/**
 * The merchant's fingerprint; absent for the campaign's own card.
 */
merchant?: string, 
/**
 * What ranked it, score x 65536.
 */
score?: number, 
/**
 * From the decided place, kilometres to 10 m.
 */
distance_km?: number, 
/**
 * `22:00` on the local clock; absent where its hours are not known, or it stays open for a day and longer.
 */
open_until?: string, 
/**
 * The best offer that holds.
 */
offer?: ReplyOffer, 
/**
 * On request: names, links and pictures.
 */
card?: Card, 
/**
 * The campaign's own card, when no merchant is left.
 */
fallback?: Fallback, 
/**
 * On request: why.
 */
explanation?: Node, };

/**
 * What a shell is asked.
 */
export type Request = { 
/**
 * Echoed in the reply, so that a sender finds its line again.
 */
id?: string, 
/**
 * Which campaign; `default` if absent.
 */
campaign?: string, 
/**
 * The profile's bytes in base64url without padding; absent for a reader nothing is known of.
 */
profile?: string, 
/**
 * The open or the send.
 */
context: RequestContext, 
/**
 * Area bundles in base64url, for a sender that has them at hand; the shell's own are not asked then.
 */
areas?: Array<string>, 
/**
 * Merchants that are not available.
 */
availability?: Array<RequestClosure>, 
/**
 * Adds the explanation of every placement, and every drop with its reason.
 */
explain?: boolean, 
/**
 * Adds names, links and pictures.
 */
display?: boolean, };

/**
 * A merchant that is not available.
 */
export type RequestClosure = { 
/**
 * As the tables call it.
 */
merchant_id: string, 
/**
 * What happened.
 */
closure: Closure, 
/**
 * RFC 3339; absent means until told otherwise.
 */
until?: string, };

/**
 * The open or the send, as a request tells it.
 */
export type RequestContext = { 
/**
 * RFC 3339; a shell with a clock fills it in where it is absent.
 */
at?: string, 
/**
 * Degrees north of whoever asks.
 */
latitude?: number, 
/**
 * Degrees east.
 */
longitude?: number, 
/**
 * How far to trust them; `none` if absent.
 */
grade?: Grade, 
/**
 * The last thing the reader did that tells a place.
 */
last_event?: RequestEvent, 
/**
 * Which software asks.
 */
mailbox?: Mailbox, 
/**
 * The same seed gives the same decision.
 */
seed?: number, };

/**
 * Something the reader did, as a request tells it.
 */
export type RequestEvent = { 
/**
 * `trip_end`, `app_open`, ...
 */
kind: string, 
/**
 * Degrees north.
 */
latitude: number, 
/**
 * Degrees east.
 */
longitude: number, 
/**
 * RFC 3339.
 */
at: string, };

/**
 * What decided on a place.
 */
export type Source = "predicted" | "exact" | "last_event" | "unknown";

/**
 * What to do with a merchant whose hours nobody knows, in a city where others' are known.
 */
export type UnknownHours = "drop" | "keep";

/** One column of the model's input. */
export type Feature = { name: string, group: string, about: string, missing: number };

/** What an `Engine` runs. `model_error` tells why the prior ranks. */
export type About = { version: string, module: "full" | "lite", scorer: string, model: string, model_error: string | null, features: string };

/** A campaign as it is published: layers by path, `global`, `fi`, `fi/helsinki`. */
export type Campaign = { id: string, layers: Record<string, Layer> };
