// Made from the engine's types by wasm/web/tests/types.rs: change those, not this.

/**
 * What a rule does to the merchants it holds for.
 */
export type Action = "include" | "exclude" | "boost" | "bury" | "pool" | "badge";

/**
 * One side of an experiment; its configuration is the layer `arms/ID`.
 */
export type Arm = { 
/**
 * Of the readers, 0 to 1; what the arms leave is `control`.
 */
share: number, 
/**
 * These readers are sent nothing; who asks anyway gets the control message, marked.
 */
holdout?: boolean, };

/**
 * Merchants that are closed from now on, and such that are not any more.
 */
export type AvailabilityRequest = { 
/**
 * Each stands in place of what was said of its merchant before.
 */
closures?: Array<RequestClosure>, 
/**
 * `merchant_id`s of whom nothing is said any more.
 */
available?: Array<string>, };

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
factor: number, 
/**
 * Paid for: the card says so, and no deeper layer can take that back.
 */
sponsored?: boolean, 
/**
 * RFC 3339; holds from then on.
 */
from?: string, 
/**
 * RFC 3339; holds until then.
 */
until?: string, };

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
 * What the law of the reader's market asks before a message is tailored.
 */
export type Consent = "not_required" | "required";

/**
 * Something a reader did, as a sender's backend tells it.
 */
export type EventRequest = { 
/**
 * 16 hexadecimal digits, HMAC(secret, `user_id`).
 */
reader: string, 
/**
 * `trip_end`, `app_open`, `order`, ...; at most 32 small letters, digits and _.
 */
kind: string, 
/**
 * RFC 3339.
 */
at: string, 
/**
 * Degrees north.
 */
latitude: number, 
/**
 * Degrees east.
 */
longitude: number, 
/**
 * Whether the reader consented to personal messages. Without it nothing is kept; it is not guessed.
 */
consent: boolean, };

/**
 * How much a message tries out.
 */
export type Explore = { 
/**
 * Probability that a slot is drawn at random instead of by score, 0 to 1.
 */
share: number, 
/**
 * From how many of the best that could stand there.
 */
among: number, };

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
 * What is asked for.
 */
export type Fetch = "picture" | "link";

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
 * Who it was. Nothing of what was judged is in here but the country.
 */
export type JudgeReply = { 
/**
 * Which software.
 */
mailbox: Mailbox, 
/**
 * How far the request's geography can be trusted.
 */
grade: Grade, 
/**
 * A person asked for it; otherwise it was served and maybe never seen.
 */
seen: boolean, 
/**
 * Names of the rules that led here.
 */
rules: Array<string>, 
/**
 * ISO 3166-1 alpha-2, where the edge knows it and the grade is not `none`.
 */
country?: string, };

/**
 * A request to judge, as an edge saw it.
 */
export type JudgeRequest = { 
/**
 * The header `User-Agent`; absent where there was none.
 */
user_agent?: string, 
/**
 * `GET` if absent.
 */
method?: string, 
/**
 * What was asked for; a picture if absent.
 */
fetch?: Fetch, 
/**
 * Cloudflare's `cf` object, or what there is of it: anything in it may be absent, null or wrong.
 */
cf?: unknown, 
/**
 * Since the token was minted; absent where unknown.
 */
seconds_since_minted?: number, };

/**
 * What a merchant sells.
 */
export type Kind = "restaurant" | "grocery" | "retail";

/**
 * A layer as a person writes it in JSON, for those who read its TypeScript declaration. Lists take `set`, `append`,
 * `prepend` and `remove` instead, things may be a list of objects with an `id`, and null unsets.
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
boosts?: { [key in string]: Boost }, 
/**
 * `merchant_id`s, or `chain:` and a `chain_id`, that are never shown.
 */
exclude?: Array<string>, 
/**
 * Fixed slots.
 */
pins?: { [key in string]: Pin }, 
/**
 * Conditions over merchant, reader, place and time, and what follows from them.
 */
rules?: { [key in string]: Rule }, 
/**
 * Merchants of one price band in a message; given up before a slot stays empty.
 */
price_cap?: number, 
/**
 * Merchants of one pool in a message, by pool.
 */
pool_caps?: { [key in string]: number }, 
/**
 * Which pool each slot asks first, over and over: `[reorder, relevant, relevant]`; empty asks none.
 */
pattern?: Array<string>, 
/**
 * Pools by ratio, `{relevant: 3, offer: 1}`: a pattern spread evenly. Not together with `pattern`.
 */
weave?: { [key in string]: number }, 
/**
 * Slots that take one pool alone.
 */
ranges?: { [key in string]: Range }, 
/**
 * Least share of slots, of those filled, that nobody paid for, 0 to 1.
 */
organic_share?: number, 
/**
 * Merchants shown in this many of the reader's last messages stand back.
 */
no_repeat?: number, 
/**
 * From 0, the score alone, to 1: how much a merchant of a cluster already shown stands back.
 */
diversity?: number, 
/**
 * How much a message tries out.
 */
explore?: Explore, 
/**
 * From 0, the reader's raw tastes alone, to 1: how far tastes are smoothed over similar cuisines.
 */
smoothing?: number, 
/**
 * Who judges.
 */
ranker?: Ranker, 
/**
 * Sides of an experiment.
 */
arms?: { [key in string]: Arm }, 
/**
 * `merchant_id`s, `chain:` and a `chain_id`, or `cuisine:` and a label, that need `age_allow`.
 */
age_restricted?: Array<string>, 
/**
 * Which of them this market's law lets a message show; follows the reader's market.
 */
age_allow?: Array<string>, 
/**
 * BCP 47; follows the reader's market.
 */
language?: string, 
/**
 * What the law wants said below; follows the reader's market.
 */
legal?: string, 
/**
 * Whether tailoring needs the reader's consent; follows the reader's market.
 */
consent?: Consent, 
/**
 * What a slot shows when no merchant is left.
 */
fallback?: Fallback, };

/**
 * Which software fetched the message.
 */
export type Mailbox = "direct" | "gmail" | "yahoo" | "outlook" | "apple" | "scanner" | "sender" | "unknown";

/**
 * A token, and what became of the request.
 */
export type MintReply = { 
/**
 * The request's.
 */
id?: string, 
/**
 * At most 480 letters, digits, - and _.
 */
token: string, 
/**
 * Which key minted it.
 */
key: string, 
/**
 * Whether it is one reader's; otherwise all of the campaign and the market have it.
 */
personal: boolean, 
/**
 * RFC 3339; without consent the hour.
 */
minted_at: string, 
/**
 * RFC 3339.
 */
expires_at: string, };

/**
 * A message to mint a token for.
 */
export type MintRequest = { 
/**
 * Echoed in the reply, so that a sender finds its line again.
 */
id?: string, 
/**
 * Which campaign; at most 32 letters, digits, - and _.
 */
campaign: string, 
/**
 * Home of the reader, as `fi/helsinki`; absent it is the profile's.
 */
market?: string, 
/**
 * The sender's own id of this message to this reader; a token has its hash. Needed with consent.
 */
message_id?: string, 
/**
 * The reader, 16 hexadecimal digits of HMAC(secret, `user_id`), where no profile tells it: a stranger who consented may object, too.
 */
reader?: string, 
/**
 * RFC 3339; a shell with a clock fills it in where it is absent.
 */
minted_at?: string, 
/**
 * RFC 3339; 30 days after the minting if absent.
 */
expires_at?: string, 
/**
 * Pictures of the message, 1 to 24.
 */
slots: number, 
/**
 * Whether the message may be personal: the reader consented, or the law of their market does not ask. Without it message id and
 * profile are left out, whoever gave them. Absent it is the profile's.
 */
consent?: boolean, 
/**
 * The profile's bytes in base64url without padding; absent for a reader nothing is known of.
 */
profile?: string, };

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
 * What a token says.
 */
export type OpenReply = { 
/**
 * Which key opened it.
 */
key: string, 
/**
 * `valid` or `expired`.
 */
verdict: "valid" | "expired", 
/**
 * Which campaign.
 */
campaign: string, 
/**
 * Home of the reader.
 */
market: string, 
/**
 * RFC 3339.
 */
minted_at: string, 
/**
 * RFC 3339.
 */
expires_at: string, 
/**
 * Pictures of the message.
 */
slots: number, 
/**
 * Whether it is one reader's.
 */
personal: boolean, 
/**
 * Bytes of the profile; absent where there is none.
 */
profile_bytes?: number, 
/**
 * The hash of the message id; only when asked for.
 */
message?: string, 
/**
 * The profile in base64url; only when asked for.
 */
profile?: string, };

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
merchant: string, 
/**
 * Paid for: the card says so, and no deeper layer can take that back.
 */
sponsored?: boolean, 
/**
 * RFC 3339; holds from then on.
 */
from?: string, 
/**
 * RFC 3339; holds until then.
 */
until?: string, };

/**
 * How a campaign wants the place decided.
 */
export type PlacePolicy = "fused" | "predicted" | "last_event" | "freshest";

/**
 * Why a card stands in its slot.
 */
export type Pool = "pinned" | "ranked" | "relaxed" | "explored" | "fallback";

/**
 * Slots that take one pool alone.
 */
export type Range = { 
/**
 * From 0.
 */
first: number, 
/**
 * Inclusive.
 */
last: number, 
/**
 * A built-in pool (`reorder`, `relevant`, `offer`, `inspire`), or one that a rule fills.
 */
pool: string, };

/**
 * Who judges in this campaign.
 */
export type Ranker = "model" | "prior";

/**
 * What a share is a share against.
 */
export type Reference = { 
/**
 * Its score in fixed point, score x 65536.
 */
base: number, 
/**
 * What it is, `middle of the area's 57 open merchants, to a reader of whom nothing is known`.
 */
about: string, 
/**
 * Its columns, in the model's order.
 */
row: Array<number>, };

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
 * What the campaign asked for and could not have, for whoever made it.
 */
notices?: Array<string>, 
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
 * The reader's side of the campaign's experiment; absent for the control.
 */
arm?: string, 
/**
 * A reader who should have been sent nothing.
 */
holdout?: boolean, 
/**
 * The reader objects to personal treatment: this is what anybody of their market is shown.
 */
suppressed?: boolean, 
/**
 * What made it.
 */
hashes: Hashes, 
/**
 * On request: what the explanations' shares are shares against.
 */
reference?: Reference, 
/**
 * On request: every drop with its reason.
 */
drops?: Array<ReplyDrop>, 
/**
 * On request: what would have to change for a merchant to be shown.
 */
why?: ReplyWhy, };

/**
 * How likely it was that a slot shows what it shows, given the slots before it.
 */
export type ReplyDraw = { 
/**
 * The probability.
 */
propensity: number, 
/**
 * A pin: nothing was drawn.
 */
deterministic?: boolean, 
/**
 * Those that could have stood here: the first 8 bytes of SHA-256 over their fingerprints, ascending, in hexadecimal.
 */
feasible: string, 
/**
 * How many they were.
 */
n_feasible: number, };

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
 * How a card came to a slot that its score alone would not have given it, or past whom.
 */
export type ReplyMove = { 
/**
 * Its rank by score alone, from 0.
 */
rank: number, 
/**
 * The campaign's keys that moved it, and who said them: `cuisine_cap (fi/helsinki.yaml:7)`.
 */
by: Array<string>, 
/**
 * Who has a better score and was passed over here, the best first.
 */
past: Array<string>, };

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
 * The pool that this slot takes or asks first, by the campaign's plan.
 */
asked?: string, 
/**
 * Somebody pays for it: whoever shows the card says so on it.
 */
sponsored?: boolean, 
/**
 * What the card shows beside.
 */
badges?: Array<string>, 
/**
 * How likely it was, in a campaign that explores.
 */
draw?: ReplyDraw, 
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
explanation?: Node, 
/**
 * On request: the rules that hold for it, who wrote them, and their authors' reasons.
 */
rules?: Array<string>, 
/**
 * On request: what put it here, where that is not its score alone.
 */
moved?: ReplyMove, };

/**
 * What would have to change for a merchant to be shown.
 */
export type ReplyWhy = { 
/**
 * Who.
 */
merchant: string, 
/**
 * Its slot, from 0.
 */
shown_in?: number, 
/**
 * Where it stands.
 */
verdict: string, 
/**
 * For a person: to be done one after the other; slots count from 0.
 */
changes: Array<string>, 
/**
 * The slot, from 0, that it has when all are done; absent where no change of the campaign shows it.
 */
then?: number, 
/**
 * For a person: what puts it first, once it is shown.
 */
on_top?: string, };

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
 * A `merchant_id`: adds what would have to change for it to be shown.
 */
why?: string, 
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
seed?: number, 
/**
 * `merchant_id`s that other blocks of the same message show; this one does not repeat them.
 */
elsewhere?: Array<string>, 
/**
 * What the reader's last messages showed, the newest first; how many of them count is the campaign's `no_repeat`.
 */
recent?: Array<Shown>, };

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
 * A CEL condition and what follows from it.
 */
export type Rule = { 
/**
 * In CEL, over the documented variables.
 */
when: string, 
/**
 * `when` as it was compiled when the campaign was published; without it a rule never holds.
 */
program?: string, 
/**
 * What follows.
 */
then: Action, 
/**
 * Of a boost or bury; 0.01 to 100.
 */
factor?: number, 
/**
 * Of a pool.
 */
pool?: string, 
/**
 * Of a badge.
 */
badge?: string, 
/**
 * For whoever reads the explanation.
 */
reason?: string, 
/**
 * Paid for: the card says so, and no deeper layer can take that back.
 */
sponsored?: boolean, 
/**
 * RFC 3339; holds from then on.
 */
from?: string, 
/**
 * RFC 3339; holds until then.
 */
until?: string, };

/**
 * The `merchant_id`s of one message.
 */
export type Shown = Array<string>;

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

/** A message with the chance of every card, given the cards before it. */
export type Chances = { at: string, cell: string | null, explores: boolean, title: string, slots: Array<ChanceSlot> };

/** One slot: what it shows, and who else might have stood there. `score` is the ranker's alone, x 65536, without the campaign's boosts;
 * `open` is null where hours are not known. `options` are merchants with probability and `score`, the likeliest first. */
export type ChanceSlot = { merchant: string | null, propensity: number, score: number | null, sponsored: boolean, open: boolean | null,
  distance_km: number | null, cluster: number | null, pool: Pool | null, options: Array<[string, number, number]> };

/** A message that there could have been: merchants by slot, and how likely. */
export type Possible = { merchants: Array<string | null>, propensity: number };

/** What `Engine.areas` tells of each area at hand. */
export type AreaOf = { cell: string, layer: string, merchants: number, as_of: string, hash: string, offset_minutes: number };

/** Degrees. */
export type Position = { latitude: number, longitude: number };

/** What `Engine.merchants` tells of everyone listed; clusters of the cuisine map with weights, and the cells delivered to. */
export type Listed = Position & { id: string, kind: Kind, price_band: number | null, rating: number | null, independent: boolean,
  clusters: Array<[number, number]>, card: Card | null, cells: Array<string> };

/** What `Engine.placeOf` tells: likely places and elsewhere, before and after the evidence, and what was decided. */
export type PlaceOf = { places: Array<Position & { before: number, after: number, usual: number }>, elsewhere: { before: number, after: number },
  point: Position | null, cell: string | null, certainty: number, source: Source, travelling: boolean, policy: PlacePolicy, tailored: boolean };

/** What is wrong with a layer, where, and what to do. */
export type Problem = { layer: string, line: number, column: number, key: string, message: string, hint: string | null, severity: "error" | "warning" };

/** What `Engine.checkLayer` tells; `document` is absent where something stops the layer. */
export type Checked = { problems: Array<Problem>, document?: string | null, layer?: Record<string, unknown> };

/** What `Engine.mergedAt` tells: the layers that hold, what they lock and bound, and every leaf with who said it. */
export type MergedAt = { layers: Array<string>, locks: Array<{ key: string, layer: string, line: number }>,
  bounds: Array<{ key: string, min: number | null, max: number | null, layer: string, line: number }>,
  leaves: Array<{ key: string, value: string, layer: string | null, line: number | null }> };

/** What is liked: by cluster ln(share of the reader / share of the market), and the largest shares by label of the cuisine map. */
export type TasteOf = { clusters: Array<number>, raw: Array<[number, number]> };

/** What `Engine.profileOf` tells of a reader. */
export type ProfileOf = { market: string, consent: boolean, member: boolean, orders: number, tenure_days: number, last_order_days: number | null,
  new_place_rate: number, cuisine_map: string, lifelong: TasteOf, recent: TasteOf, places: Array<Position>,
  merchants: Array<{ short: string, count: number, days: number }> };

/** What `Engine.scene` tells: who is kept, with score x 65536 and kilometres; who is dropped, with the reason's code; who is shown, by slot,
 * and by which files of a folder of cards, the best first. */
export type Scene = { kept: Array<[string, number, number]>, dropped: Array<[string, string]>, shown: Array<string | null>, cell: string | null, point: Position | null,
  pictures: Array<{ light: Array<string>, dark: Array<string> }> };
