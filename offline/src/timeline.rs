//! Orders lived through again: what the engine would have seen when it was asked, and nothing later.
//!
//! Queries are answered in order of time. Popularity is counted up to the hour (bundles are refreshed hourly), a
//! profile up to the query itself, the market's own mix up to the week. Candidates and their columns are the engine's:
//! bundles are encoded and decoded, and `locate`, `retrieve` and `featurize` do here what they do at an open.
//!
//! Readers are independent given merchants and what each week adds to the market, so nothing holds all of them:
//!
//! ```text
//! partitions -> what weeks add (whole numbers)              -> market facts
//!            -> what counts of orders, by time    -\
//!            -> queries with all that was known   -> merged by time, hour by hour -> answers
//!               of their readers, by time         -/
//! ```
//!
//! Tables in memory are one partition, and go the same way.

pub use messages::{Impression, Shown};
pub(crate) use readers::forget;
pub use readers::{Disk, Readers, Told};

mod readers;
mod scene;
mod hours;
mod messages;

use crate::areas::{AreaError, BuildOptions, Catalog, orders_before};
use crate::cuisines::CuisineMap;
use crate::market::Past;
use crate::preferences::is_evidence;
use crate::profiles::{
    MarketFacts, Press, ProfileOptions, ReaderRows, WEEK, Weeks, by_reader, offset_minutes, reader_id,
};
use crate::tables::runs::{Merge, Run, Writing, time_key};
use crate::tables::{Event, Order, TableError, Tables, Timestamp};
use freshrank::bundle::{Bundle, Kind};
use freshrank::campaign::{Policy, UnknownHours};
use freshrank::context::{Context, Fix, Grade, LastEvent};
use freshrank::feature::{Rows, featurize};
use freshrank::geo::Point;
use freshrank::locate::{Place, locate};
use freshrank::profile::Profile;
use freshrank::retrieve::{Candidate, retrieve};
use freshrank::time::{DAY_MINUTES, Local};
use freshrank::wire::DecodeError;
use freshrank::{Areas, MerchantId};
use hours::damaged;
use jiff::tz::TimeZone;
use rayon::prelude::*;
use scene::Scene;
use serde::Serialize;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;

pub(crate) use hours::Hours;

/// Seconds of an hour and of a day.
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;
/// Local hours at which messages are sent: before lunch and before dinner.
const MESSAGE_HOURS: [i64; 2] = [11, 17];
/// A message is answered by an order within this time.
const ANSWER_SECONDS: i64 = 7 * DAY;
/// An order this far from every likely place is a traveller's: nobody at home delivers there.
const TRAVELLING_KM: f64 = 3.0;
/// Queries that are answered at once: an hour of a large market has more of them than memory.
const AT_ONCE: usize = 256;
/// Queries of a partition that are put down at once.
const WRITTEN_AT_ONCE: usize = 1024;

/// Why orders cannot be lived through.
#[derive(Debug, Error)]
pub enum TimelineError {
    /// An area cannot be built.
    #[error(transparent)]
    Area(#[from] AreaError),
    /// The partitions.
    #[error(transparent)]
    Tables(#[from] TableError),
    /// A market whose path is longer than a profile holds.
    #[error("profiles: {0}")]
    Profile(DecodeError),
}

/// What a query knows; the two are never mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// The order's own place and hour.
    KnownPlace,
    /// A message's hour before the order, and the place inferred then.
    SendTime,
}

impl Protocol {
    /// As in files and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KnownPlace => "known-place",
            Self::SendTime => "send-time",
        }
    }
}

/// How to ask.
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineOptions {
    /// Popularity, radius, snapshots.
    pub areas: BuildOptions,
    /// Tastes, places, counts.
    pub profiles: ProfileOptions,
    /// What is filtered; see [`asking`].
    pub policy: Policy,
    /// Of messages' hours.
    pub seed: u64,
    /// Whether answers tell all earlier orders of the reader, which only an oracle asks for.
    pub past: bool,
}

impl Default for TimelineOptions {
    fn default() -> Self {
        Self {
            areas: BuildOptions::default(),
            profiles: ProfileOptions::default(),
            policy: asking(),
            seed: 1,
            past: false,
        }
    }
}

/// The policy of a query: every kind of merchant may have been ordered from, nothing is cut before it is ranked, and
/// merchants whose hours nobody knows stay, since they are ordered from all the same.
#[must_use]
pub fn asking() -> Policy {
    Policy {
        kinds: vec![Kind::Restaurant, Kind::Grocery, Kind::Retail],
        first_pass: u16::MAX,
        unknown_hours: UnknownHours::Keep,
        ..Policy::default()
    }
}

/// One later order of a reader, and when it is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Query<'t> {
    /// What is known.
    pub protocol: Protocol,
    /// Whose.
    pub user_id: &'t str,
    /// When it is asked: everything seen is earlier.
    pub at: Timestamp,
    /// When the order that answers it was placed.
    pub ordered_at: Timestamp,
    /// Where the order went.
    pub destination: Point,
    /// The row of its merchant.
    pub merchant: u32,
    /// Who that is.
    pub label: MerchantId,
    /// Completed orders of the reader before `at`; at least one.
    pub n_before: usize,
    /// Never ordered from before.
    pub new_merchant: bool,
}

impl Query<'_> {
    /// What it is drawn by: depends on the reader and the time, not on other queries.
    #[must_use]
    pub fn key(&self) -> u64 {
        MerchantId::of(self.user_id).0 ^ mix(self.at as u64)
    }

    /// The same, with the reader's id from elsewhere.
    pub(crate) fn of_reader<'u>(&self, user_id: &'u str) -> Query<'u> {
        let Self { protocol, at, ordered_at, destination, merchant, label, n_before, new_merchant, .. } = *self;
        Query { protocol, user_id, at, ordered_at, destination, merchant, label, n_before, new_merchant }
    }
}

/// Orders that are no queries, by reason.
pub type LeftOut = BTreeMap<&'static str, usize>;

/// What the engine would have seen.
#[derive(Debug, Clone)]
pub struct Answer<'q> {
    /// What was asked.
    pub query: Query<'q>,
    /// Where the reader was thought to be.
    pub place: Place,
    /// The order went far from every place the profile knew.
    pub travelling: bool,
    /// Who could have been shown, ascending by id.
    pub kept: Vec<Candidate>,
    /// Their rows.
    pub rows: Rows,
    /// The order's merchant among the candidates, or why it was none.
    pub found: Result<usize, &'static str>,
    /// The reader's last completed order before the query: when, and whether the answer repeats its merchant.
    pub last: Option<(Timestamp, bool)>,
    /// All orders before the answer, by rows of the table; empty unless [`TimelineOptions::past`].
    pub past: &'q [Past],
}

/// Which queries are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Of which protocol.
    pub protocol: Protocol,
    /// Orders from then on.
    pub from: Timestamp,
    /// Asked within.
    pub asked: Range<Timestamp>,
    /// At most so many, drawn evenly; all if absent.
    pub at_most: Option<usize>,
    /// Of what is drawn.
    pub seed: u64,
}

/// How many queries there are.
#[derive(Debug, Clone, Default)]
pub struct Census {
    /// Asked within the time that is wanted.
    pub all: usize,
    /// Those that were drawn.
    pub drawn: usize,
    /// Asked at another time.
    pub other: usize,
    /// Orders that are no queries, by reason.
    pub left_out: LeftOut,
    /// Keys of those that were drawn are below it.
    below: Option<u64>,
    /// How many of those that were drawn are asked at each time: counted for messages alone, which go out at few times.
    times: BTreeMap<Timestamp, usize>,
    /// Those with the smallest keys, one more than is wanted.
    smallest: BinaryHeap<(u64, Timestamp)>,
}

impl Census {
    /// When the message is sent before which this share of them is; 0 where there is none.
    #[must_use]
    pub fn at_share(&self, share: f64) -> Timestamp {
        let mut before = (self.drawn as f64 * share) as usize;
        for (at, n) in &self.times {
            if before < *n {
                return *at;
            }
            before -= n;
        }
        self.times.last_key_value().map_or(0, |(at, _)| *at)
    }

    fn see(&mut self, query: &Query<'_>, wanted: &Wanted) {
        if !wanted.asked.contains(&query.at) {
            self.other += 1;
            return;
        }
        self.all += 1;
        if query.protocol == Protocol::SendTime {
            *self.times.entry(query.at).or_default() += 1;
        }
        if wanted.at_most.is_some() {
            self.smallest.push((mix(wanted.seed ^ query.key()), query.at));
            self.shrink(wanted);
        }
    }

    fn shrink(&mut self, wanted: &Wanted) {
        while wanted.at_most.is_some_and(|most| self.smallest.len() > most.saturating_add(1)) {
            self.smallest.pop();
        }
    }

    fn merge(&mut self, other: Self, wanted: &Wanted) {
        self.all += other.all;
        self.other += other.other;
        other.left_out.into_iter().for_each(|(why, n)| *self.left_out.entry(why).or_default() += n);
        other.times.into_iter().for_each(|(at, n)| *self.times.entry(at).or_default() += n);
        self.smallest.extend(other.smallest);
        self.shrink(wanted);
    }

    /// Draws: the keys below the one that is too many.
    fn end(&mut self, wanted: &Wanted) {
        self.drawn = self.all;
        let smallest = std::mem::take(&mut self.smallest);
        let Some((below, _)) = smallest.peek().copied().filter(|_| wanted.at_most.is_some_and(|most| most < self.all))
        else {
            return;
        };
        self.below = Some(below);
        let drawn = || smallest.iter().filter(|(key, _)| *key < below);
        self.drawn = drawn().count();
        if wanted.protocol == Protocol::SendTime {
            self.times.clear();
            drawn().for_each(|(_, at)| *self.times.entry(*at).or_default() += 1);
        }
    }

    fn is_drawn(&self, query: &Query<'_>, wanted: &Wanted) -> bool {
        let below = |below| mix(wanted.seed ^ query.key()) < below;
        wanted.asked.contains(&query.at) && self.below.is_none_or(below)
    }
}

/// Queries that are ready to be answered, ascending by time, then reader.
#[derive(Debug)]
pub struct Scenes {
    /// How many there are.
    pub n: usize,
    runs: Vec<Run>,
}

/// The tables, ready to be lived through.
pub struct Timeline<'t> {
    readers: Readers<'t>,
    catalog: &'t Catalog<'t>,
    press: Press<'t>,
    weeks: Weeks,
    facts: Mutex<BTreeMap<i64, Arc<MarketFacts>>>,
    orders: Vec<Run>,
    n_orders: usize,
    options: TimelineOptions,
}

impl<'t> Timeline<'t> {
    /// Counts what each week adds and sorts orders by time. The catalog must be one of the same merchants and
    /// [`TimelineOptions::areas`].
    ///
    /// # Errors
    /// Partitions that cannot be read or written.
    pub fn new(
        readers: impl Into<Readers<'t>>,
        map: &'t CuisineMap,
        catalog: &'t Catalog<'t>,
        options: &TimelineOptions,
    ) -> Result<Self, TimelineError> {
        let readers = readers.into();
        let press = Press::new(readers.shared(), map, catalog, &options.profiles);
        let sum = Mutex::new((Weeks::default(), Vec::new(), 0));
        let loaded = readers.each(&|_, tables| {
            let weeks = press.weeks(by_reader(tables).values());
            let run = hours::write(&orders_before(&tables.orders, Timestamp::MAX), catalog, readers.file())?;
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            sum.0.merge(&weeks);
            sum.1.push(run);
            sum.2 += tables.orders.len();
            Ok(())
        })?;
        readers.check(&loaded)?;
        let (weeks, orders, n_orders) = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (facts, options) = (Mutex::default(), options.clone());
        Ok(Self { readers, catalog, press, weeks, facts, orders, n_orders, options })
    }

    /// The merchants' rows and names.
    #[must_use]
    pub fn catalog(&self) -> &'t Catalog<'t> {
        self.catalog
    }

    /// What profiles are made with.
    #[must_use]
    pub fn press(&self) -> &Press<'t> {
        &self.press
    }

    /// Orders of all readers.
    #[must_use]
    pub fn n_orders(&self) -> usize {
        self.n_orders
    }

    /// The market's facts as of the week of a time.
    #[must_use]
    pub fn facts(&self, at: Timestamp) -> Arc<MarketFacts> {
        let week = at.div_euclid(WEEK);
        let mut known = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(week).or_insert_with(|| Arc::new(self.press.market_in(&self.weeks, week))).clone()
    }

    /// The bundles of every hour, from the first on.
    pub(crate) fn hours(&self) -> Result<Hours<'t, '_>, TimelineError> {
        Hours::new(self.catalog, &self.options.areas, &self.orders)
    }

    /// The queries of a protocol about orders of tables in memory from a time on, ascending by time, then reader; and
    /// the orders that are none.
    #[must_use]
    pub fn queries<'r>(&self, tables: &'r Tables, protocol: Protocol, from: Timestamp) -> (Vec<Query<'r>>, LeftOut) {
        let mut queries = Vec::new();
        let left_out = self.asked(&by_reader(tables), protocol, from, &mut |query| queries.push(query));
        queries.sort_by(|a, b| (a.at, a.user_id).cmp(&(b.at, b.user_id)));
        (queries, left_out)
    }

    /// Counts the queries that are wanted, and draws.
    ///
    /// # Errors
    /// Partitions that cannot be read.
    pub fn census(&self, wanted: &[Wanted]) -> Result<Vec<Census>, TimelineError> {
        let sum = Mutex::new(vec![Census::default(); wanted.len()]);
        self.readers.each(&|_, tables| {
            let rows = by_reader(tables);
            let mut found = vec![Census::default(); wanted.len()];
            for (census, wanted) in found.iter_mut().zip(wanted) {
                let out = self.asked(&rows, wanted.protocol, wanted.from, &mut |query| census.see(&query, wanted));
                census.left_out = out;
            }
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            for ((sum, found), wanted) in sum.iter_mut().zip(found).zip(wanted) {
                sum.merge(found, wanted);
            }
            Ok(())
        })?;
        let mut found = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.iter_mut().zip(wanted).for_each(|(census, wanted)| census.end(wanted));
        Ok(found)
    }

    /// Puts down the queries that were drawn and are asked before a time, with all that was known of their readers.
    ///
    /// # Errors
    /// Partitions that cannot be read or written, or a market that no profile holds.
    pub fn scenes(&self, wanted: &[(&Wanted, &Census, Timestamp)]) -> Result<Vec<Scenes>, TimelineError> {
        let sum: Mutex<Vec<Scenes>> = Mutex::new(wanted.iter().map(|_| Scenes { n: 0, runs: Vec::new() }).collect());
        self.readers.each(&|_, tables| {
            let rows = by_reader(tables);
            for (i, (wanted, census, until)) in wanted.iter().enumerate() {
                let mut queries = Vec::new();
                self.asked(&rows, wanted.protocol, wanted.from, &mut |query| {
                    if query.at < *until && census.is_drawn(&query, wanted) {
                        queries.push(query);
                    }
                });
                queries.sort_by(|a, b| (a.at, a.user_id).cmp(&(b.at, b.user_id)));
                let run = self.put(&rows, &queries, &|_, query| query.user_id.as_bytes().to_vec())?;
                let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                sum[i].n += queries.len();
                sum[i].runs.push(run);
            }
            Ok(())
        })?;
        Ok(sum.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts down some queries that ascend by time.
    ///
    /// # Errors
    /// As [`Timeline::scenes`].
    pub fn scenes_of(&self, queries: &[Query<'_>]) -> Result<Scenes, TimelineError> {
        let sum = Mutex::new(Scenes { n: queries.len(), runs: Vec::new() });
        self.readers.each(&|_, tables| {
            let rows = by_reader(tables);
            let here = queries.iter().copied().enumerate().filter(|(_, query)| rows.contains_key(query.user_id));
            let (places, here): (Vec<usize>, Vec<Query<'_>>) = here.unzip();
            let run = self.put(&rows, &here, &|i, _| places[i].to_be_bytes().to_vec())?;
            sum.lock().unwrap_or_else(PoisonError::into_inner).runs.push(run);
            Ok(())
        })?;
        Ok(sum.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// One partition's queries; equal times are told apart by what `then` makes of them.
    fn put(
        &self,
        rows: &BTreeMap<&str, ReaderRows<'_>>,
        queries: &[Query<'_>],
        then: &(dyn Fn(usize, &Query<'_>) -> Vec<u8> + Sync),
    ) -> Result<Run, TimelineError> {
        let mut run = Writing::new(self.readers.file())?;
        let indexed: Vec<usize> = (0..queries.len()).collect();
        for some in indexed.chunks(WRITTEN_AT_ONCE) {
            let scene = |i: &usize| -> Result<(Vec<u8>, Vec<u8>), TimelineError> {
                let query = &queries[*i];
                let none = ReaderRows::default();
                let scene = self.scene(query, rows.get(query.user_id).unwrap_or(&none))?;
                let key = [&time_key(query.at)[..], &then(*i, query)].concat();
                Ok((key, scene.encode()))
            };
            let made: Vec<(Vec<u8>, Vec<u8>)> = some.par_iter().map(scene).collect::<Result<_, _>>()?;
            for (key, value) in made {
                run.put(&key, &value)?;
            }
        }
        Ok(run.end()?)
    }

    /// The queries of some readers, reader by reader; and the orders that are none.
    fn asked<'r>(
        &self,
        readers: &BTreeMap<&'r str, ReaderRows<'r>>,
        protocol: Protocol,
        from: Timestamp,
        take: &mut dyn FnMut(Query<'r>),
    ) -> LeftOut {
        let asked: Vec<(Vec<Query<'r>>, LeftOut)> =
            readers.par_iter().map(|(user_id, rows)| self.ask(protocol, from, user_id, rows)).collect();
        let mut left_out = LeftOut::new();
        for (queries, out) in asked {
            queries.into_iter().for_each(&mut *take);
            out.into_iter().for_each(|(why, n)| *left_out.entry(why).or_default() += n);
        }
        left_out
    }

    fn ask<'r>(
        &self,
        protocol: Protocol,
        from: Timestamp,
        user_id: &'r str,
        rows: &ReaderRows<'r>,
    ) -> (Vec<Query<'r>>, LeftOut) {
        let (mut queries, mut left_out) = (Vec::new(), LeftOut::new());
        let orders: Vec<&'r Order> = rows.orders.iter().copied().filter(|o| is_evidence(o, Timestamp::MAX)).collect();
        for (i, order) in orders.iter().enumerate().filter(|(_, order)| order.ordered_at >= from) {
            let at = match protocol {
                Protocol::KnownPlace => order.ordered_at,
                Protocol::SendTime => self.message_before(user_id, rows, order.ordered_at),
            };
            let before = orders.partition_point(|earlier| earlier.ordered_at < at);
            let query = || {
                if before == 0 {
                    return Err("first order of the reader");
                }
                // The label is the first order after the message.
                if before < i || order.ordered_at - at > ANSWER_SECONDS {
                    return Err("another order came first");
                }
                Ok(Query {
                    protocol,
                    user_id,
                    at,
                    ordered_at: order.ordered_at,
                    merchant: self.catalog.row(&order.merchant_id).ok_or("merchant not in the table")?,
                    destination: self.catalog.destination(order).ok_or("order to no known place")?,
                    label: MerchantId::of(&order.merchant_id),
                    n_before: before,
                    new_merchant: !orders[..before].iter().any(|earlier| earlier.merchant_id == order.merchant_id),
                })
            };
            match query() {
                Ok(query) => queries.push(query),
                Err(why) => *left_out.entry(why).or_default() += 1,
            }
        }
        (queries, left_out)
    }

    /// The last message before a time: one a day, at an hour drawn for the reader and the day.
    fn message_before(&self, user_id: &str, rows: &ReaderRows<'_>, order: Timestamp) -> Timestamp {
        let zone = self.press.zone(rows, order);
        let today = Local::new(order, offset_minutes(&zone, order)).day();
        let sent = |day: i64| {
            let drawn = mix(self.options.seed ^ MerchantId::of(user_id).0 ^ (day as u64).rotate_left(32));
            from_local(day * DAY_MINUTES + MESSAGE_HOURS[(drawn & 1) as usize] * 60, &zone)
        };
        let at = sent(today);
        if at < order { at } else { sent(today - 1) }
    }

    /// All that was known of a reader at a query.
    fn scene(&self, query: &Query<'_>, rows: &ReaderRows<'_>) -> Result<Scene, TimelineError> {
        // The id stands for nobody here: rows do not carry it.
        let made = self.press.profile(reader_id(b"", query.user_id), rows, query.at, &self.facts(query.at));
        let event = match query.protocol {
            Protocol::KnownPlace => None,
            Protocol::SendTime => last_event(rows, query.at),
        };
        let last = rows.orders.iter().rev().find(|order| is_evidence(order, query.at));
        let repeats = |order: &Order| MerchantId::of(&order.merchant_id) == query.label;
        let before = rows.orders.iter().take_while(|order| self.options.past && order.ordered_at < query.ordered_at);
        let past =
            |order: &&Order| Some(Past { merchant: self.catalog.row(&order.merchant_id)?, at: order.ordered_at });
        Ok(Scene {
            user_id: query.user_id.to_owned(),
            protocol: query.protocol,
            at: query.at,
            ordered_at: query.ordered_at,
            destination: query.destination,
            merchant: query.merchant,
            label: query.label,
            n_before: query.n_before,
            new_merchant: query.new_merchant,
            // What the engine reads at an open goes through the profile's bytes.
            profile: made.encode().map_err(TimelineError::Profile)?,
            event,
            last: last.map(|order| (order.ordered_at, repeats(order))),
            past: before.filter_map(past).collect(),
        })
    }

    /// Answers queries that ascend by time; `take` gets them in the same order.
    ///
    /// # Errors
    /// An area that the format cannot hold, or files that cannot be read.
    pub fn live(
        &self,
        queries: &[Query<'_>],
        progress: &dyn Fn(usize, usize),
        take: impl FnMut(Vec<Answer<'_>>),
    ) -> Result<(), TimelineError> {
        self.live_through(&self.scenes_of(queries)?, progress, take)
    }

    /// Answers queries that were put down; `take` gets some at a time, in their order.
    ///
    /// # Errors
    /// As [`Timeline::live`].
    pub fn live_through(
        &self,
        scenes: &Scenes,
        progress: &dyn Fn(usize, usize),
        mut take: impl FnMut(Vec<Answer<'_>>),
    ) -> Result<(), TimelineError> {
        let mut hours = self.hours()?;
        let mut waiting: Vec<Scene> = Vec::with_capacity(AT_ONCE);
        let mut done = 0;
        let mut records = Merge::new(&scenes.runs)?;
        loop {
            let next = match records.next().transpose()? {
                Some((_, value)) => Some(Scene::decode(&value).ok_or_else(damaged)?),
                None => None,
            };
            let hour = |scene: &Scene| scene.at.div_euclid(HOUR);
            let goes_on = next.as_ref().zip(waiting.first()).is_none_or(|(next, first)| hour(next) == hour(first));
            if !waiting.is_empty() && (next.is_none() || !goes_on || waiting.len() >= AT_ONCE) {
                take(self.answers(&waiting, &mut hours)?);
                done += waiting.len();
                progress(done, scenes.n);
                waiting.clear();
            }
            match next {
                Some(next) => waiting.push(next),
                None => return Ok(()),
            }
        }
    }

    /// The queries of one hour see the same bundles.
    fn answers<'q>(&self, scenes: &'q [Scene], hours: &mut Hours<'t, '_>) -> Result<Vec<Answer<'q>>, TimelineError> {
        let as_of = scenes.first().map_or(0, |scene| scene.at.div_euclid(HOUR) * HOUR);
        let located = |scene: &Scene| -> Result<(Profile, Context, Place), TimelineError> {
            let profile = Profile::decode(&scene.profile).map_err(TimelineError::Profile)?;
            let request = match scene.protocol {
                Protocol::KnownPlace => Some(Fix { point: scene.destination, grade: Grade::Exact }),
                Protocol::SendTime => None,
            };
            let context = Context { at: scene.at, request, last_event: scene.event.clone(), ..Context::default() };
            let place = locate(&profile, &context, self.options.policy.place);
            Ok((profile, context, place))
        };
        let located = scenes.par_iter().map(located).collect::<Result<Vec<_>, _>>()?;
        let bundles = hours.make(as_of, located.iter().filter_map(|(.., place)| place.cell()))?;
        let answer = |(scene, (profile, context, place)): (&'q Scene, (Profile, Context, Place))| {
            let bundle = place.cell().and_then(|cell| bundles.of(cell));
            self.answer(scene, &profile, &context, place, bundle)
        };
        Ok(scenes.par_iter().zip(located).map(answer).collect())
    }

    fn answer<'q>(
        &self,
        scene: &'q Scene,
        profile: &Profile,
        context: &Context,
        place: Place,
        bundle: Option<&Bundle>,
    ) -> Answer<'q> {
        let areas = Areas::new(bundle, Vec::new());
        let area = bundle.and_then(|bundle| areas.get(bundle.cell));
        let (kept, dropped, _) = retrieve(area.as_ref(), profile, &place, context, &self.options.policy);
        let local = bundle.map_or(Local::new(context.at, profile.offset_minutes), |bundle| bundle.local(context.at));
        let rows = featurize(&kept, profile, &place, context, local);
        let found = kept.iter().position(|candidate| candidate.merchant.id == scene.label).ok_or_else(|| {
            let dropped = dropped.iter().find(|dropped| dropped.id == scene.label);
            match (place.point, bundle) {
                (None, _) => "place_unknown",
                (_, None) => "no_area",
                _ => dropped.map_or("not_in_area", |dropped| dropped.reason.code()),
            }
        });
        let near =
            |likely: &freshrank::profile::LikelyPlace| likely.point.distance_km(scene.destination) <= TRAVELLING_KM;
        let travelling = !profile.places.iter().any(near);
        Answer { query: scene.query(), place, travelling, kept, rows, found, last: scene.last, past: &scene.past }
    }
}

/// The last event before a time that tells a place.
pub(crate) fn last_event(rows: &ReaderRows<'_>, before: Timestamp) -> Option<LastEvent> {
    let end = rows.events.partition_point(|event| event.at < before);
    rows.events[..end].iter().rev().find_map(|event| position(event))
}

/// An event that tells a place.
fn position(event: &Event) -> Option<LastEvent> {
    let point = Point::new(event.latitude?, event.longitude?)?;
    Some(LastEvent { kind: event.kind.clone(), point, at: event.at })
}

/// The moment of a wall-clock time; in the hour that clocks skip or repeat, one of the moments nearby.
fn from_local(minutes: i64, zone: &TimeZone) -> Timestamp {
    let as_utc = minutes * 60;
    let near = as_utc - i64::from(offset_minutes(zone, as_utc)) * 60;
    as_utc - i64::from(offset_minutes(zone, near)) * 60
}

/// Mixes bits (Steele, Lea, Flood, "Fast splittable pseudorandom number generators"; the finalizer of SplitMix64).
pub(crate) fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}
