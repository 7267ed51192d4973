//! What is worth deciding at the open instead of at the send?
//!
//! A message is sent, its pictures are fetched some time later (when it is opened, or before, by Apple's relay), and it is opened.
//! The same message is decided over and over, each time with one more thing bound late, and every slate is judged at the open:
//! whether its merchants still take orders there and then, and where the reader's next order stands. Every message is tried in
//! every mailbox, so that mailboxes differ in what they tell and in nothing else; the mix weighs them afterwards.

use super::bootstrap::{Interval, Means, Resampled, Sums};
use super::measure::{NDCG_10, RECIPROCAL_RANK, judge};
use super::{EvaluateError, EvaluateOptions};
use crate::areas::Catalog;
use crate::cuisines::CuisineMap;
use crate::preferences::is_evidence;
use crate::profiles::{ReaderRows, by_reader, offset_minutes, reader_id};
use crate::tables::{Tables, Timestamp};
use crate::timeline::{Hours, Timeline, last_event, mix};
use freshrank::areas::{Availability, Closure};
use freshrank::blend::{self, Ingredients};
use freshrank::bundle::Bundle;
use freshrank::campaign::Policy;
use freshrank::context::{Context, Fix, Grade, LastEvent};
use freshrank::feature::featurize;
use freshrank::geo::Point;
use freshrank::locate::{Place, locate};
use freshrank::profile::Profile;
use freshrank::retrieve::{Reason, retrieve};
use freshrank::score::{self, Scorer};
use freshrank::time::{DAY_MINUTES, Local};
use freshrank::{Areas, MerchantId};
use jiff::tz::TimeZone;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;
/// A decided place this near the order's counts as found.
const SAME_PLACE_KM: f64 = 1.0;
/// What the file must say it is.
const FORMAT: &str = "freshrank-mailboxes-1";
const BUILT_IN: &str = include_str!("../../mailboxes.toml");
/// Upper ends of the rows by delay, hours.
const DELAYS: [(&str, f64); 4] = [
    ("opened within 1 h", 1.0),
    ("opened after 1 to 6 h", 6.0),
    ("opened after 6 to 24 h", 24.0),
    ("opened later", f64::INFINITY),
];
/// Upper ends of the rows by the time from the open to the order, hours.
const ANSWERS: [(&str, f64); 3] =
    [("ordered within 3 h of the open", 3.0), ("ordered 3 to 24 h after it", 24.0), ("ordered later", f64::INFINITY)];

/// The numbers of mailboxes.toml, which says what each is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "mailboxes.toml says what each number is, in its unit")]
pub struct Assumptions {
    pub format: String,
    pub message: Message,
    pub opens: Opens,
    pub positions: Positions,
    pub availability: Pauses,
    pub mailboxes: Vec<MailboxKind>,
}

/// When messages are sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "mailboxes.toml says what each number is, in its unit")]
pub struct Message {
    pub every_days: u16,
    pub local_hours: [u8; 2],
    pub slots: u8,
    pub answer_days: f64,
}

/// When they are opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "mailboxes.toml says what each number is, in its unit")]
pub struct Opens {
    pub cumulative: Vec<[f64; 2]>,
    pub awake_hours: [f64; 2],
    pub source: String,
}

/// What a request's address tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "mailboxes.toml says what each number is, in its unit")]
pub struct Positions {
    pub near_hours: f64,
    pub network_error_km: f64,
    pub source: String,
}

/// What only the overlay knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "mailboxes.toml says what each number is, in its unit")]
pub struct Pauses {
    pub pauses_per_day: f64,
    pub pause_hours: [f64; 2],
    pub pause_from_hours: [f64; 2],
    pub closed_day_share: f64,
    pub source: String,
}

/// One kind of mailbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "mailboxes.toml says what each number is, in its unit")]
pub struct MailboxKind {
    pub name: String,
    pub share: f64,
    pub fetched: Fetched,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefetch_hours: Option<[f64; 2]>,
    pub grade: Grade,
    pub source: String,
}

/// When a mailbox fetches the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fetched {
    /// When a person opens the message for the first time.
    Open,
    /// Soon after delivery, read or not.
    Prefetch,
}

impl Assumptions {
    /// The numbers that freshrank comes with.
    ///
    /// # Errors
    /// Never: a test reads the file that is built in.
    pub fn built_in() -> Result<Self, EvaluateError> {
        Self::parse(BUILT_IN)
    }

    /// Reads other numbers.
    ///
    /// # Errors
    /// The line and what was expected there, or the name of a number that makes no experiment.
    pub fn parse(text: &str) -> Result<Self, EvaluateError> {
        let found: Self = toml::from_str(text).map_err(|error| EvaluateError::Assumptions(error.to_string()))?;
        let curve = &found.opens.cumulative;
        let rising = |of: usize| curve.windows(2).all(|two| two[0][of] < two[1][of]);
        let mixed: f64 = found.mailboxes.iter().map(|mailbox| mailbox.share).sum();
        let rules = [
            ("format", found.format == FORMAT),
            ("message.every_days", found.message.every_days > 0),
            ("message.local_hours", found.message.local_hours.iter().all(|hour| *hour < 24)),
            ("message.slots", (1..=24).contains(&found.message.slots)),
            ("message.answer_days", found.message.answer_days > 0.0),
            ("opens.cumulative", curve.len() >= 2 && curve[0][0] > 0.0 && rising(0) && rising(1)),
            ("opens.awake_hours", {
                let [from, to] = found.opens.awake_hours;
                0.0 <= from && from < to && to <= 24.0
            }),
            ("positions.near_hours", found.positions.near_hours >= 0.0),
            ("availability.pauses_per_day", (0.0..=1.0).contains(&found.availability.pauses_per_day)),
            ("availability.closed_day_share", (0.0..=1.0).contains(&found.availability.closed_day_share)),
            ("mailboxes: shares, which must add up to 1", (mixed - 1.0).abs() < 1e-9),
        ];
        match rules.into_iter().find(|(_, holds)| !holds) {
            Some((name, _)) => Err(EvaluateError::Assumptions(format!("{name} makes no experiment"))),
            None => Ok(found),
        }
    }

    /// Seconds from send to open at a share of the opens; logarithmic between the points of the curve.
    fn delay(&self, share: f64) -> i64 {
        let curve = &self.opens.cumulative;
        let first = curve.first().map_or(0.0, |point| point[1]);
        let last = curve.last().map_or(1.0, |point| point[1]);
        let share = first + share * (last - first);
        let hours = curve.windows(2).find(|two| share <= two[1][1]).map_or(0.0, |two| {
            let part = (share - two[0][1]) / (two[1][1] - two[0][1]);
            libm::exp((1.0 - part) * libm::log(two[0][0]) + part * libm::log(two[1][0]))
        });
        (hours * HOUR as f64) as i64
    }
}

/// What is bound late, in the order in which it is added; each step has all those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Nothing: decided at the send, for the hour of the send.
    Send,
    /// Nothing: decided at the send, for the hour at which half of the opens have come.
    SendAimed,
    /// The clock: who is open, which offers hold, which place this part of the day suggests.
    Clock,
    /// The overlay: who is paused or closed today.
    Overlay,
    /// The area bundle of that hour: popularity, listings, offers.
    Bundle,
    /// The reader's last event.
    Event,
    /// The position of the request.
    Geography,
}

impl Step {
    /// All, in order.
    pub const ALL: [Self; 7] =
        [Self::Send, Self::SendAimed, Self::Clock, Self::Overlay, Self::Bundle, Self::Event, Self::Geography];

    /// As in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::SendAimed => "send, for the usual open",
            Self::Clock => "+ clock",
            Self::Overlay => "+ overlay",
            Self::Bundle => "+ bundle",
            Self::Event => "+ last event",
            Self::Geography => "+ geography",
        }
    }

    /// The step it adds to.
    fn before(self) -> Self {
        match self {
            Self::Send | Self::SendAimed | Self::Clock => Self::Send,
            Self::Overlay => Self::Clock,
            Self::Bundle => Self::Overlay,
            Self::Event => Self::Bundle,
            Self::Geography => Self::Event,
        }
    }
}

const N_STEPS: usize = Step::ALL.len();
/// Good, closed, unavailable, undeliverable, expired, no merchant; NDCG@10, reciprocal rank, in the slate, place found; whether
/// the merchant of the next order takes orders at the open, and NDCG@10 where it does.
const N_FIGURES: usize = 12;
const GOOD: usize = 0;
const NDCG: usize = 6;
const ORDERABLE: usize = 10;
const NDCG_ORDERABLE: usize = 11;

/// The experiment's answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LateBinding {
    /// Said in every output when present.
    pub simulated: Option<String>,
    /// Messages from then on, RFC 3339.
    pub from: String,
    /// Who ranked.
    pub scorer: String,
    /// Messages tried, each in every mailbox.
    pub messages: usize,
    /// Readers they went to.
    pub readers: usize,
    /// Hours from send to open: the quartiles of the messages tried.
    pub delay_hours: [f64; 3],
    /// Resamples of the readers behind every interval.
    pub resamples: usize,
    /// By mailbox and step; the mix of all mailboxes first.
    pub rows: Vec<Row>,
    /// The last step against the send, over the mix, by the time from send to open and by that from open to order.
    pub by_delay: Vec<ByDelay>,
    /// Mailboxes and steps that changed neither slots nor NDCG@10 beyond their intervals.
    pub nothing: Vec<String>,
    /// What was assumed, with its sources.
    pub assumptions: Assumptions,
}

/// One mailbox at one step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Its name, or `mix`.
    pub mailbox: String,
    /// What is bound late.
    pub step: Step,
    /// Of all slots: the merchant takes orders there and then, and its offer holds.
    pub good: Interval,
    /// Its door is closed, or closes before the food is ready.
    pub closed: Interval,
    /// Paused, closed today or not listed.
    pub unavailable: Interval,
    /// Does not deliver to where the reader's next order goes.
    pub undeliverable: Interval,
    /// Takes orders, but the offer on its card is over.
    pub expired: Interval,
    /// The campaign's own card.
    pub no_merchant: Interval,
    /// Of the ranking, against the reader's next order.
    pub ndcg_10: Interval,
    /// The same.
    pub mrr: Interval,
    /// NDCG@10 of the messages whose next order could have been placed at the open; an order of tomorrow from who is closed
    /// now is out of reach for whoever shows open doors only.
    pub ndcg_10_orderable: Interval,
    /// Share of slates that show where the reader ordered next.
    pub in_slate: Interval,
    /// Decided places within a kilometre of where the next order goes.
    pub place_found: Interval,
    /// Good slots more than at the send.
    pub good_over_send: Interval,
    /// NDCG@10 more than at the send.
    pub ndcg_over_send: Interval,
    /// Good slots more than at the step before.
    pub good_over_before: Interval,
    /// NDCG@10 more than at the step before.
    pub ndcg_over_before: Interval,
    /// `ndcg_10_orderable` more than at the send.
    pub orderable_over_send: Interval,
}

/// What the last step brings over the send where the open comes so late.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ByDelay {
    /// When it was opened, or answered.
    pub delay: &'static str,
    /// Messages.
    pub messages: usize,
    /// Good slots at the send.
    pub good_at_send: Interval,
    /// And more at the last step.
    pub good_over_send: Interval,
    /// NDCG@10 more.
    pub ndcg_over_send: Interval,
    /// The same of orders that could have been placed at the open.
    pub orderable_over_send: Interval,
}

/// One message: when it was sent and opened, and what came of it.
struct Sent<'t> {
    user_id: &'t str,
    profile: Profile,
    sent: Timestamp,
    open: Timestamp,
    ordered: Timestamp,
    /// Where the reader's next order goes.
    destination: Point,
    label: MerchantId,
    asks: Vec<Ask>,
    /// By mailbox and step, an index into `asks`.
    arms: Vec<[usize; N_STEPS]>,
}

/// Everything a decision depends on.
#[derive(Debug, Clone, PartialEq)]
struct Ask {
    at: Timestamp,
    bundle_at: Timestamp,
    overlay_at: Option<Timestamp>,
    event: Option<LastEvent>,
    fix: Option<Fix>,
}

/// One slot's merchant, and until when its card's offer holds.
type Shown = Option<(MerchantId, Option<u32>)>;

/// A decided slate, and how well the ranking behind it stands.
struct Slate {
    slots: Vec<Shown>,
    ndcg_10: f64,
    reciprocal_rank: f64,
    place_found: bool,
}

/// What is true of a merchant at the open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    Good,
    Closed,
    Unavailable,
    Undeliverable,
}

struct Experiment<'t> {
    catalog: &'t Catalog<'t>,
    timeline: Timeline<'t>,
    readers: BTreeMap<&'t str, ReaderRows<'t>>,
    merchants: Vec<MerchantId>,
    zone: TimeZone,
    center: Option<Point>,
    policy: Policy,
    assumptions: &'t Assumptions,
    options: &'t EvaluateOptions,
    ltr: &'t (dyn Scorer + Sync),
}

/// Decides every message at every step and in every mailbox.
///
/// # Errors
/// No message from the split on that is followed by an order, or a ranker that does not answer.
pub fn late_binding(
    tables: &Tables,
    map: &CuisineMap,
    ltr: &(dyn Scorer + Sync),
    options: &EvaluateOptions,
    assumptions: &Assumptions,
    progress: &dyn Fn(usize, usize),
) -> Result<LateBinding, EvaluateError> {
    let catalog = Catalog::new(tables, map, &options.timeline.areas);
    let timeline = Timeline::new(tables, map, &catalog, &options.timeline)?;
    let policy = Policy { slots: assumptions.message.slots, ..options.timeline.policy.clone() };
    let experiment = Experiment {
        catalog: &catalog,
        zone: timeline.press().zone(&ReaderRows::default(), Timestamp::MAX),
        timeline,
        readers: by_reader(tables),
        merchants: tables.merchants.iter().map(|merchant| MerchantId::of(&merchant.merchant_id)).collect(),
        center: center(tables),
        policy,
        assumptions,
        options,
        ltr,
    };
    let messages = experiment.messages();
    if messages.is_empty() {
        return Err(EvaluateError::NoQueries { protocol: "late-binding", split: options.split });
    }
    let (slates, truths) = experiment.live(&messages, progress)?;
    Ok(experiment.report(tables, &messages, &slates, &truths))
}

impl<'t> Experiment<'t> {
    /// Every message that was sent from the split on and followed by an order, ascending by reader and time.
    fn messages(&self) -> Vec<Sent<'t>> {
        let of = |(user_id, rows): (&&'t str, &ReaderRows<'t>)| -> Vec<Sent<'t>> {
            self.days().filter_map(|day| self.message(user_id, rows, day)).collect()
        };
        self.readers.par_iter().flat_map_iter(of).collect()
    }

    /// Days since 1970 on which messages may be sent.
    fn days(&self) -> impl Iterator<Item = i64> + use<> {
        let last = self.readers.values().filter_map(|rows| rows.orders.last()).map(|order| order.ordered_at).max();
        self.options.split.div_euclid(DAY)..=last.unwrap_or(0).div_euclid(DAY)
    }

    fn message(&self, user_id: &'t str, rows: &ReaderRows<'t>, day: i64) -> Option<Sent<'t>> {
        let message = &self.assumptions.message;
        let key = mix(self.options.seed ^ MerchantId::of(user_id).0);
        if (day + (key % 7_919) as i64) % i64::from(message.every_days) != 0 {
            return None;
        }
        let drawn = mix(key ^ (day as u64).rotate_left(32));
        let hour = message.local_hours[(drawn & 1) as usize];
        let as_utc = (day * DAY_MINUTES + i64::from(hour) * 60) * 60;
        let sent = as_utc - i64::from(offset_minutes(&self.zone, as_utc)) * 60;
        let open = self.awake(sent + self.assumptions.delay(unit(mix(drawn ^ 1))), drawn);
        if sent < self.options.split {
            return None;
        }
        let answer = (message.answer_days * DAY as f64) as i64;
        let orders: Vec<_> = rows.orders.iter().filter(|order| is_evidence(order, Timestamp::MAX)).collect();
        let known = orders.partition_point(|order| order.ordered_at < sent);
        let next = orders.get(orders.partition_point(|order| order.ordered_at < open))?;
        if known == 0 || next.ordered_at - open > answer {
            return None;
        }
        self.catalog.row(&next.merchant_id)?;
        let facts = self.timeline.facts(sent);
        let made = self.timeline.press().profile(reader_id(b"", user_id), rows, sent, &facts);
        let profile = made.encode().and_then(|bytes| Profile::decode(&bytes)).unwrap_or(made);
        let mut of = Sent {
            user_id,
            profile,
            sent,
            open,
            ordered: next.ordered_at,
            destination: self.catalog.destination(next)?,
            label: MerchantId::of(&next.merchant_id),
            asks: Vec::new(),
            arms: Vec::new(),
        };
        for mailbox in &self.assumptions.mailboxes {
            let fetched = match mailbox.fetched {
                Fetched::Open => open,
                Fetched::Prefetch => {
                    let [from, to] = mailbox.prefetch_hours.unwrap_or([0.0, 0.0]);
                    let hours = from + (to - from) * unit(mix(drawn ^ 2));
                    open.min(sent + (hours * HOUR as f64) as i64)
                }
            };
            let arms = Step::ALL.map(|step| of.ask(self.ask(rows, step, mailbox, sent, fetched, drawn)));
            of.arms.push(arms);
        }
        Some(of)
    }

    /// Who sleeps opens within the first hour of the morning.
    fn awake(&self, at: Timestamp, drawn: u64) -> Timestamp {
        let [from, to] = self.assumptions.opens.awake_hours;
        let offset = i64::from(offset_minutes(&self.zone, at)) * 60;
        let (day, second) = ((at + offset).div_euclid(DAY), (at + offset).rem_euclid(DAY));
        let hour = second as f64 / HOUR as f64;
        if (from..to).contains(&hour) {
            return at;
        }
        let morning = if hour < from { day } else { day + 1 };
        let into = ((from + unit(mix(drawn ^ 9))) * HOUR as f64) as i64;
        morning * DAY + into - offset
    }

    fn ask(
        &self,
        rows: &ReaderRows<'t>,
        step: Step,
        mailbox: &MailboxKind,
        sent: Timestamp,
        fetched: Timestamp,
        drawn: u64,
    ) -> Ask {
        let at = match step {
            Step::Send => sent,
            Step::SendAimed => sent + self.assumptions.delay(0.5),
            _ => fetched,
        };
        let event = if step >= Step::Event { fetched } else { sent };
        Ask {
            at,
            bundle_at: if step >= Step::Bundle { fetched } else { sent },
            overlay_at: Some(if step >= Step::Overlay { fetched } else { sent }),
            event: last_event(rows, event),
            fix: (step >= Step::Geography).then(|| self.fix(rows, mailbox.grade, fetched, drawn)).flatten(),
        }
    }

    /// What the request's address tells; the relay stands in the middle of the city.
    fn fix(&self, rows: &ReaderRows<'t>, grade: Grade, at: Timestamp, drawn: u64) -> Option<Fix> {
        let point = match grade {
            Grade::None => return None,
            Grade::Coarse => self.center?,
            Grade::Exact => self.position(rows, at)?,
            Grade::Network => {
                let (point, angle) = (self.position(rows, at)?, core::f64::consts::TAU * unit(mix(drawn ^ 3)));
                let km = -self.assumptions.positions.network_error_km * libm::log(1.0 - unit(mix(drawn ^ 4)));
                let north = km * libm::sin(angle) / 111.195;
                let east = km * libm::cos(angle) / (111.195 * libm::cos(point.latitude().to_radians()));
                Point::new(point.latitude() + north, point.longitude() + east)?
            }
        };
        Some(Fix { point, grade })
    }

    /// Where the tables show the reader nearest to a time: the truth, not what any scorer may know.
    fn position(&self, rows: &ReaderRows<'t>, at: Timestamp) -> Option<Point> {
        let ordered = rows.orders.iter().filter_map(|o| Some((o.ordered_at, self.catalog.destination(o)?)));
        let seen = rows.events.iter().filter_map(|e| Some((e.at, Point::new(e.latitude?, e.longitude?)?)));
        let near = ordered.chain(seen).min_by_key(|(when, _)| (when - at).abs())?;
        let hours = (near.0 - at).abs() as f64 / HOUR as f64;
        (hours <= self.assumptions.positions.near_hours).then_some(near.1)
    }

    /// All closures in force at a time.
    fn closures(&self, at: Timestamp) -> Vec<Availability> {
        let p = &self.assumptions.availability;
        let offset = i64::from(offset_minutes(&self.zone, at)) * 60;
        let day = (at + offset).div_euclid(DAY);
        let midnight = day * DAY - offset;
        let one = |merchant: &MerchantId| {
            let key = mix(self.options.seed ^ mix(merchant.0) ^ (day as u64).rotate_left(17));
            if unit(mix(key ^ 5)) < p.closed_day_share {
                return Some(Availability {
                    merchant: *merchant,
                    closure: Closure::ClosedToday,
                    until: Some(midnight + DAY),
                });
            }
            let between =
                |[from, to]: [f64; 2], draw| ((from + (to - from) * unit(mix(key ^ draw))) * HOUR as f64) as i64;
            let from = midnight + between(p.pause_from_hours, 6);
            let until = from + between(p.pause_hours, 7);
            let paused = unit(mix(key ^ 8)) < p.pauses_per_day && (from..until).contains(&at);
            paused.then_some(Availability { merchant: *merchant, closure: Closure::Paused, until: Some(until) })
        };
        self.merchants.iter().filter_map(one).collect()
    }

    /// Goes through the hours of all bundles; slates by message and ask, truths by message.
    #[allow(clippy::type_complexity, reason = "what it answers, once")]
    fn live(
        &self,
        messages: &[Sent<'t>],
        progress: &dyn Fn(usize, usize),
    ) -> Result<(Vec<Vec<Option<Slate>>>, Vec<HashMap<MerchantId, Truth>>), EvaluateError> {
        // An ask, or what is true at the open.
        let mut tasks: Vec<(Timestamp, usize, Option<usize>)> = Vec::new();
        for (i, message) in messages.iter().enumerate() {
            let hour = |at: Timestamp| at.div_euclid(HOUR) * HOUR;
            tasks.extend(message.asks.iter().enumerate().map(|(a, ask)| (hour(ask.bundle_at), i, Some(a))));
            tasks.push((hour(message.open), i, None));
        }
        tasks.sort_unstable();
        let mut slates: Vec<Vec<Option<Slate>>> =
            messages.iter().map(|message| message.asks.iter().map(|_| None).collect()).collect();
        let mut truths: Vec<HashMap<MerchantId, Truth>> = messages.iter().map(|_| HashMap::new()).collect();
        let mut hours = self.timeline.hours()?;
        let mut done = 0;
        for group in tasks.chunk_by(|a, b| a.0 == b.0) {
            for (i, ask, answer) in self.hour(group, messages, &mut hours)? {
                match (ask, answer) {
                    (Some(ask), Answer::Slate(slate)) => slates[i][ask] = Some(slate),
                    (_, Answer::Truth(truth)) => truths[i] = truth,
                    (None, Answer::Slate(_)) => {}
                }
            }
            done += group.len();
            progress(done, tasks.len());
        }
        Ok((slates, truths))
    }

    /// The tasks of one hour see the same bundles.
    #[allow(clippy::type_complexity, reason = "tasks and their answers")]
    fn hour(
        &self,
        group: &[(Timestamp, usize, Option<usize>)],
        messages: &[Sent<'t>],
        hours: &mut Hours<'t, '_>,
    ) -> Result<Vec<(usize, Option<usize>, Answer)>, EvaluateError> {
        let scene = |(_, i, ask): &(Timestamp, usize, Option<usize>)| {
            let message = &messages[*i];
            let (context, place) = match ask {
                Some(ask) => self.located(message, &message.asks[*ask]),
                None => {
                    let fix = Some(Fix { point: message.destination, grade: Grade::Exact });
                    let ask = Ask { at: message.open, bundle_at: 0, overlay_at: None, event: None, fix };
                    self.located(message, &ask)
                }
            };
            (*i, *ask, context, place)
        };
        let scenes: Vec<(usize, Option<usize>, Context, Place)> = group.par_iter().map(scene).collect();
        let as_of = group.first().map_or(0, |task| task.0);
        let bundles = hours.make(as_of, scenes.iter().filter_map(|(.., place)| place.cell()))?;
        let answer = |(i, ask, context, place): (usize, Option<usize>, Context, Place)| {
            let bundle = place.cell().and_then(|cell| bundles.of(cell));
            let message = &messages[i];
            let answer = match ask {
                Some(of) => Answer::Slate(self.slate(message, &message.asks[of], &context, &place, bundle)?),
                None => Answer::Truth(self.truth(message, &context, &place, bundle)),
            };
            Ok((i, ask, answer))
        };
        scenes.into_par_iter().map(answer).collect()
    }

    fn located(&self, message: &Sent<'t>, ask: &Ask) -> (Context, Place) {
        let context = Context { at: ask.at, request: ask.fix, last_event: ask.event.clone(), ..Context::default() };
        let place = locate(&message.profile, &context, self.policy.place);
        (context, place)
    }

    fn slate(
        &self,
        message: &Sent<'t>,
        ask: &Ask,
        context: &Context,
        place: &Place,
        bundle: Option<&Bundle>,
    ) -> Result<Slate, EvaluateError> {
        let (profile, policy) = (&message.profile, &self.policy);
        let overlay = ask.overlay_at.map_or_else(Vec::new, |at| self.closures(at));
        let areas = Areas::new(bundle, overlay);
        let area = bundle.and_then(|bundle| areas.get(bundle.cell));
        let (kept, dropped, hits) = retrieve(area.as_ref(), profile, place, context, policy);
        let local = bundle.map_or(Local::new(context.at, profile.offset_minutes), |bundle| bundle.local(context.at));
        let rows = featurize(&kept, profile, place, context, local);
        let wrong = |source| EvaluateError::Model { scorer: self.ltr.name(), source };
        let judged = score::score(self.ltr, &rows).map_err(wrong)?;
        let labels: Vec<f32> =
            kept.iter().map(|candidate| if candidate.merchant.id == message.label { 1.0 } else { 0.0 }).collect();
        let missing: &[f32] = if labels.contains(&1.0) { &[] } else { &[1.0] };
        let exact: Vec<f64> = judged.iter().copied().map(f64::from).collect();
        let measures = judge(&exact, &labels, missing).unwrap_or_default();
        let marks = blend::marks(&hits, kept.len());
        let scores = blend::boost(&kept, &judged, &marks, context, policy);
        let of = Ingredients {
            kept: &kept,
            dropped: &dropped,
            scores: &scores,
            marks: &marks,
            profile: Some(profile),
            context,
            policy,
        };
        let shown = |candidate: Option<usize>| {
            let candidate = &kept[candidate?];
            Some((candidate.merchant.id, candidate.offer.as_ref().map(|offer| offer.ends_minute)))
        };
        Ok(Slate {
            slots: blend::blend(&of).placements.iter().map(|placement| shown(placement.candidate)).collect(),
            ndcg_10: measures[NDCG_10],
            reciprocal_rank: measures[RECIPROCAL_RANK],
            place_found: place.point.is_some_and(|point| point.distance_km(message.destination) <= SAME_PLACE_KM),
        })
    }

    /// Every merchant around the reader at the open: who is not told of does not deliver there.
    fn truth(
        &self,
        message: &Sent<'t>,
        context: &Context,
        place: &Place,
        bundle: Option<&Bundle>,
    ) -> HashMap<MerchantId, Truth> {
        let areas = Areas::new(bundle, self.closures(context.at));
        let area = bundle.and_then(|bundle| areas.get(bundle.cell));
        let all = Policy { chain_cap: u8::MAX, ..self.policy.clone() };
        let (kept, dropped, _) = retrieve(area.as_ref(), &message.profile, place, context, &all);
        let why = |reason: &Reason| match reason {
            Reason::Closed { .. } | Reason::ClosesTooSoon { .. } | Reason::HoursUnknown => Truth::Closed,
            Reason::TooFar { .. } | Reason::AcrossBorder => Truth::Undeliverable,
            Reason::ChainDuplicate(_) | Reason::FirstPass(_) => Truth::Good,
            _ => Truth::Unavailable,
        };
        let good = kept.iter().map(|candidate| (candidate.merchant.id, Truth::Good));
        good.chain(dropped.iter().map(|dropped| (dropped.id, why(&dropped.reason)))).collect()
    }

    fn report(
        &self,
        tables: &Tables,
        messages: &[Sent<'t>],
        slates: &[Vec<Option<Slate>>],
        truths: &[HashMap<MerchantId, Truth>],
    ) -> LateBinding {
        let n_mailboxes = self.assumptions.mailboxes.len();
        let values = |i: usize| -> Vec<f64> {
            let arms = messages[i].arms.iter().flatten();
            arms.flat_map(|ask| figures(&messages[i], slates[i][*ask].as_ref(), &truths[i])).collect()
        };
        let all: Vec<Vec<f64>> = (0..messages.len()).map(values).collect();
        let sums = |keep: &dyn Fn(&Sent<'t>) -> bool| {
            let mut sums = Sums::default();
            messages
                .iter()
                .zip(&all)
                .filter(|(m, _)| keep(m))
                .for_each(|(m, v)| sums.add(m.user_id, v.iter().copied()));
            sums
        };
        let every = sums(&|_| true);
        let drawn = Resampled::new(&every, self.options.resamples, self.options.seed);
        // One mailbox, or all of them by their shares.
        let weights: Vec<(String, Vec<f64>)> = {
            let shares = self.assumptions.mailboxes.iter().map(|mailbox| mailbox.share).collect();
            let alone = (0..n_mailboxes).map(|i| {
                let one = (0..n_mailboxes).map(|j| if i == j { 1.0 } else { 0.0 }).collect();
                (self.assumptions.mailboxes[i].name.clone(), one)
            });
            std::iter::once(("mix".to_owned(), shares)).chain(alone).collect()
        };
        let of = |means: &Means, weights: &[f64], step: Step, figure: usize| -> f64 {
            let column = |mailbox: usize| (mailbox * N_STEPS + step as usize) * N_FIGURES + figure;
            weights.iter().enumerate().map(|(mailbox, weight)| weight * means[column(mailbox)][0]).sum()
        };
        let nil = Interval { value: 0.0, low: 0.0, high: 0.0 };
        let interval = |drawn: &Resampled, weights: &[f64], step, figure| {
            drawn.interval(|means| of(means, weights, step, figure)).unwrap_or(nil)
        };
        let over = |drawn: &Resampled, weights: &[f64], step: Step, less: Step, figure| {
            let more = |means: &Means| of(means, weights, step, figure) - of(means, weights, less, figure);
            drawn.interval(more).unwrap_or(nil)
        };
        let orderable = |means: &Means, weights: &[f64], step| {
            of(means, weights, step, NDCG_ORDERABLE) / of(means, weights, step, ORDERABLE)
        };
        let orderable_over = |drawn: &Resampled, weights: &[f64], step| {
            let more = |means: &Means| orderable(means, weights, step) - orderable(means, weights, Step::Send);
            drawn.interval(more).unwrap_or(nil)
        };
        let mut rows = Vec::new();
        for (mailbox, weights) in &weights {
            for step in Step::ALL {
                let one = |figure| interval(&drawn, weights, step, figure);
                rows.push(Row {
                    mailbox: mailbox.clone(),
                    step,
                    good: one(GOOD),
                    closed: one(1),
                    unavailable: one(2),
                    undeliverable: one(3),
                    expired: one(4),
                    no_merchant: one(5),
                    ndcg_10: one(NDCG),
                    mrr: one(7),
                    ndcg_10_orderable: drawn.interval(|means| orderable(means, weights, step)).unwrap_or(nil),
                    in_slate: one(8),
                    place_found: one(9),
                    good_over_send: over(&drawn, weights, step, Step::Send, GOOD),
                    ndcg_over_send: over(&drawn, weights, step, Step::Send, NDCG),
                    good_over_before: over(&drawn, weights, step, step.before(), GOOD),
                    ndcg_over_before: over(&drawn, weights, step, step.before(), NDCG),
                    orderable_over_send: orderable_over(&drawn, weights, step),
                });
            }
        }
        let mut by_delay = Vec::new();
        let hours = |from: Timestamp, to: Timestamp| (to - from) as f64 / HOUR as f64;
        let opened = |message: &Sent<'t>| hours(message.sent, message.open);
        let answered = |message: &Sent<'t>| hours(message.open, message.ordered);
        type Bins = &'static [(&'static str, f64)];
        type Hours<'f, 't> = &'f dyn Fn(&Sent<'t>) -> f64;
        let kinds: [(Bins, Hours<'_, 't>); 2] = [(&DELAYS, &opened), (&ANSWERS, &answered)];
        for (bins, hours) in kinds {
            let mut from = 0.0;
            for &(delay, to) in bins {
                let some = sums(&|message| (from..to).contains(&hours(message)));
                from = to;
                if some.readers() == 0 {
                    continue;
                }
                let drawn = Resampled::new(&some, self.options.resamples, self.options.seed);
                let mix = &weights[0].1;
                by_delay.push(ByDelay {
                    delay,
                    messages: some.queries(),
                    good_at_send: interval(&drawn, mix, Step::Send, GOOD),
                    good_over_send: over(&drawn, mix, Step::Geography, Step::Send, GOOD),
                    ndcg_over_send: over(&drawn, mix, Step::Geography, Step::Send, NDCG),
                    orderable_over_send: orderable_over(&drawn, mix, Step::Geography),
                });
            }
        }
        let holds_nothing = |interval: Interval| interval.low <= 0.0 && interval.high >= 0.0;
        let idle = rows.iter().filter(|row| row.step >= Step::Clock && row.mailbox != "mix");
        let idle = idle.filter(|row| holds_nothing(row.good_over_before) && holds_nothing(row.ndcg_over_before));
        let nothing = idle.map(|row| format!("{}: {}", row.mailbox, row.step.name())).collect();
        let mut delays: Vec<f64> = messages.iter().map(|m| (m.open - m.sent) as f64 / HOUR as f64).collect();
        delays.sort_by(f64::total_cmp);
        LateBinding {
            simulated: tables.simulated.clone(),
            from: freshrank::time::format(self.options.split),
            scorer: self.ltr.name().to_owned(),
            messages: messages.len(),
            readers: every.readers(),
            delay_hours: [1, 2, 3].map(|quarter| delays[(delays.len() - 1) * quarter / 4]),
            resamples: self.options.resamples,
            rows,
            by_delay,
            nothing,
            assumptions: self.assumptions.clone(),
        }
    }
}

impl Sent<'_> {
    /// The place of an ask among those that differ.
    fn ask(&mut self, ask: Ask) -> usize {
        self.asks.iter().position(|known| *known == ask).unwrap_or_else(|| {
            self.asks.push(ask);
            self.asks.len() - 1
        })
    }
}

enum Answer {
    Slate(Slate),
    Truth(HashMap<MerchantId, Truth>),
}

/// What a slate is worth at the open, in the order of [`N_FIGURES`].
fn figures(message: &Sent<'_>, slate: Option<&Slate>, truth: &HashMap<MerchantId, Truth>) -> [f64; N_FIGURES] {
    let Some(slate) = slate else { return [0.0; N_FIGURES] };
    let mut figures = [0.0; N_FIGURES];
    let one = 1.0 / slate.slots.len().max(1) as f64;
    let minute = u32::try_from(message.open / 60).unwrap_or(u32::MAX);
    for slot in &slate.slots {
        let Some((id, offer_ends)) = slot else {
            figures[5] += one;
            continue;
        };
        let at = match truth.get(id) {
            Some(Truth::Good) if offer_ends.is_some_and(|ends| ends <= minute) => 4,
            Some(Truth::Good) => GOOD,
            Some(Truth::Closed) => 1,
            Some(Truth::Unavailable) => 2,
            Some(Truth::Undeliverable) | None => 3,
        };
        figures[at] += one;
    }
    let bool = |holds| if holds { 1.0 } else { 0.0 };
    figures[NDCG] = slate.ndcg_10;
    figures[7] = slate.reciprocal_rank;
    figures[8] = bool(slate.slots.iter().flatten().any(|(id, _)| *id == message.label));
    figures[9] = bool(slate.place_found);
    figures[ORDERABLE] = bool(truth.get(&message.label) == Some(&Truth::Good));
    figures[NDCG_ORDERABLE] = figures[ORDERABLE] * slate.ndcg_10;
    figures
}

/// The middle merchant's coordinates.
fn center(tables: &Tables) -> Option<Point> {
    let middle = |value: fn(&crate::tables::Merchant) -> f64| {
        let mut all: Vec<f64> = tables.merchants.iter().map(value).collect();
        all.sort_unstable_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    };
    Point::new(middle(|m| m.latitude)?, middle(|m| m.longitude)?)
}

/// The upper 53 bits as a fraction.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// Reads the assumptions of a file, or those that are built in.
///
/// # Errors
/// As [`Assumptions::parse`], and a file that cannot be read.
pub fn assumptions(path: Option<&Path>) -> Result<Assumptions, EvaluateError> {
    let Some(path) = path else { return Assumptions::built_in() };
    let wrong = |error: &dyn std::fmt::Display| EvaluateError::Assumptions(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    Assumptions::parse(&text).map_err(|error| wrong(&error))
}

#[cfg(test)]
mod tests;
