//! Orders lived through again: what the engine would have seen when it was asked, and nothing later.
//!
//! Queries are answered in order of time. Popularity is counted up to the hour (bundles are refreshed hourly), a
//! profile up to the query itself, the market's own mix up to the week. Candidates and their columns are the engine's:
//! bundles are encoded and decoded, and `locate`, `retrieve` and `featurize` do here what they do at an open.

use crate::areas::{AreaError, BuildOptions, Catalog, Doors, Popularity, orders_before};
use crate::cuisines::CuisineMap;
use crate::preferences::is_evidence;
use crate::profiles::{MarketFacts, Press, ProfileOptions, ReaderRows, by_reader, offset_minutes, reader_id};
use crate::tables::{Event, Order, Tables, Timestamp};
use freshrank::bundle::{Bundle, Kind};
use freshrank::campaign::{Policy, UnknownHours};
use freshrank::context::{Context, Fix, Grade, LastEvent};
use freshrank::feature::{Rows, featurize};
use freshrank::geo::{Cell, Point};
use freshrank::locate::{Place, locate};
use freshrank::profile::Profile;
use freshrank::retrieve::{Candidate, retrieve};
use freshrank::time::{DAY_MINUTES, Local};
use freshrank::{Areas, MerchantId};
use jiff::tz::TimeZone;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Seconds of an hour, of a day and of a week.
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;
/// Days whose hours are compiled together.
const DOORS_DAYS: i64 = 28;
/// Local hours at which messages are sent: before lunch and before dinner.
const MESSAGE_HOURS: [i64; 2] = [11, 17];
/// A message is answered by an order within this time.
const ANSWER_SECONDS: i64 = 7 * DAY;
/// An order this far from every likely place is a traveller's: nobody at home delivers there.
const TRAVELLING_KM: f64 = 3.0;

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
}

impl Default for TimelineOptions {
    fn default() -> Self {
        Self { areas: BuildOptions::default(), profiles: ProfileOptions::default(), policy: asking(), seed: 1 }
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
    /// The answer.
    pub order: &'t Order,
    /// Where the order went.
    pub destination: Point,
    /// The row of its merchant.
    pub merchant: u32,
    /// Completed orders of the reader before `at`; at least one.
    pub n_before: usize,
    /// Never ordered from before.
    pub new_merchant: bool,
}

/// Orders that are no queries, by reason.
pub type LeftOut = BTreeMap<&'static str, usize>;

/// What the engine would have seen.
#[derive(Debug, Clone)]
pub struct Answer<'t> {
    /// What was asked.
    pub query: Query<'t>,
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
}

/// The tables, ready to be lived through.
pub struct Timeline<'t> {
    catalog: &'t Catalog<'t>,
    press: Press<'t>,
    readers: BTreeMap<&'t str, ReaderRows<'t>>,
    orders: Vec<&'t Order>,
    options: TimelineOptions,
}

impl<'t> Timeline<'t> {
    /// Sorts the tables by reader and time. The catalog must be one of the same tables and [`TimelineOptions::areas`].
    #[must_use]
    pub fn new(tables: &'t Tables, map: &'t CuisineMap, catalog: &'t Catalog<'t>, options: &TimelineOptions) -> Self {
        Self {
            catalog,
            press: Press::new(tables, map, catalog, &options.profiles),
            readers: by_reader(tables),
            orders: orders_before(&tables.orders, Timestamp::MAX),
            options: options.clone(),
        }
    }

    /// The merchants' rows and names.
    #[must_use]
    pub fn catalog(&self) -> &'t Catalog<'t> {
        self.catalog
    }

    /// The rows of a reader.
    #[must_use]
    pub fn reader(&self, user_id: &str) -> Option<&ReaderRows<'t>> {
        self.readers.get(user_id)
    }

    /// The queries of a protocol about orders from a time on, ascending by time, then reader; and the orders that are
    /// none.
    #[must_use]
    pub fn queries(&self, protocol: Protocol, from: Timestamp) -> (Vec<Query<'t>>, LeftOut) {
        let asked: Vec<(Vec<Query<'t>>, LeftOut)> =
            self.readers.par_iter().map(|(user_id, rows)| self.ask(protocol, from, user_id, rows)).collect();
        let (mut queries, mut left_out) = (Vec::new(), LeftOut::new());
        for (more, out) in asked {
            queries.extend(more);
            out.into_iter().for_each(|(why, n)| *left_out.entry(why).or_default() += n);
        }
        queries.sort_by(|a, b| (a.at, a.user_id).cmp(&(b.at, b.user_id)));
        (queries, left_out)
    }

    fn ask(
        &self,
        protocol: Protocol,
        from: Timestamp,
        user_id: &'t str,
        rows: &ReaderRows<'t>,
    ) -> (Vec<Query<'t>>, LeftOut) {
        let (mut queries, mut left_out) = (Vec::new(), LeftOut::new());
        let orders: Vec<&'t Order> = rows.orders.iter().copied().filter(|o| is_evidence(o, Timestamp::MAX)).collect();
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
                let merchant = self.catalog.row(&order.merchant_id).ok_or("merchant not in the table")?;
                let destination = self.catalog.destination(order).ok_or("order to no known place")?;
                let new_merchant = !orders[..before].iter().any(|earlier| earlier.merchant_id == order.merchant_id);
                Ok(Query { protocol, user_id, at, order, destination, merchant, n_before: before, new_merchant })
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

    /// Answers queries that ascend by time; `take` gets them in the same order.
    ///
    /// # Errors
    /// An area that the format cannot hold.
    pub fn live(
        &self,
        queries: &[Query<'t>],
        progress: &dyn Fn(usize, usize),
        mut take: impl FnMut(Vec<Answer<'t>>),
    ) -> Result<(), AreaError> {
        let mut popularity = Popularity::new(&self.options.areas);
        let (mut recorded, mut done) = (0, 0);
        let mut doors: Option<(i64, Doors)> = None;
        let mut market: Option<(i64, MarketFacts)> = None;
        for group in queries.chunk_by(|a, b| a.at.div_euclid(HOUR) == b.at.div_euclid(HOUR)) {
            let Some(first) = group.first() else { continue };
            let as_of = first.at.div_euclid(HOUR) * HOUR;
            while let Some(order) = self.orders.get(recorded).filter(|order| order.ordered_at < as_of) {
                popularity.record(order, self.catalog);
                recorded += 1;
            }
            let (days, week) = (as_of.div_euclid(DAY * DOORS_DAYS) * DOORS_DAYS, as_of.div_euclid(WEEK) * WEEK);
            let (_, doors) = match doors.take_if(|(known, _)| *known == days) {
                Some(known) => doors.insert(known),
                None => doors.insert((days, self.catalog.doors(days, days + DOORS_DAYS - 1))),
            };
            let (_, market) = match market.take_if(|(known, _)| *known == week) {
                Some(known) => market.insert(known),
                None => market.insert((week, self.press.market(week))),
            };
            take(self.hour(group, as_of, &popularity, doors, market)?);
            done += group.len();
            progress(done, queries.len());
        }
        Ok(())
    }

    /// The queries of one hour see the same bundles.
    fn hour(
        &self,
        group: &[Query<'t>],
        as_of: Timestamp,
        popularity: &Popularity,
        doors: &Doors,
        market: &MarketFacts,
    ) -> Result<Vec<Answer<'t>>, AreaError> {
        let located: Vec<(Profile, Context, Place)> =
            group.par_iter().map(|query| self.locate(query, market)).collect();
        let cells: BTreeSet<Cell> = located.iter().filter_map(|(.., place)| place.cell()).collect();
        let bundle = |cell: Cell| -> Result<Option<(Cell, Bundle)>, AreaError> {
            let Some(draft) = self.catalog.draft(cell, as_of, popularity, doors)? else {
                return Ok(None);
            };
            let bundle = draft.encode().and_then(Bundle::decode);
            bundle.map(|bundle| Some((cell, bundle))).map_err(|source| AreaError::Format { cell, source })
        };
        let cells: Vec<Cell> = cells.into_iter().collect();
        let bundles = cells.into_par_iter().map(bundle).collect::<Result<Vec<_>, _>>()?;
        let bundles: BTreeMap<Cell, Bundle> = bundles.into_iter().flatten().collect();
        let answer = |(query, (profile, context, place)): (&Query<'t>, (Profile, Context, Place))| {
            let bundle = place.cell().and_then(|cell| bundles.get(&cell));
            self.answer(query, &profile, &context, place, bundle)
        };
        Ok(group.par_iter().zip(located).map(answer).collect())
    }

    fn locate(&self, query: &Query<'t>, market: &MarketFacts) -> (Profile, Context, Place) {
        let none = ReaderRows::default();
        let rows = self.reader(query.user_id).unwrap_or(&none);
        // The id stands for nobody here: rows do not carry it.
        let made = self.press.profile(reader_id(b"", query.user_id), rows, query.at, market);
        // What the engine reads at an open went through the profile's bytes.
        let profile = made.encode().and_then(|bytes| Profile::decode(&bytes)).unwrap_or(made);
        let before = rows.events.partition_point(|event| event.at < query.at);
        let event = rows.events[..before].iter().rev().find_map(|event| position(event));
        let (request, last_event) = match query.protocol {
            Protocol::KnownPlace => (Some(Fix { point: query.destination, grade: Grade::Exact }), None),
            Protocol::SendTime => (None, event),
        };
        let context = Context { at: query.at, request, last_event, ..Context::default() };
        let place = locate(&profile, &context, self.options.policy.place);
        (profile, context, place)
    }

    fn answer(
        &self,
        query: &Query<'t>,
        profile: &Profile,
        context: &Context,
        place: Place,
        bundle: Option<&Bundle>,
    ) -> Answer<'t> {
        let areas = Areas::new(bundle, Vec::new());
        let area = bundle.and_then(|bundle| areas.get(bundle.cell));
        let (kept, dropped, _) = retrieve(area.as_ref(), profile, &place, context, &self.options.policy);
        let local = bundle.map_or(Local::new(context.at, profile.offset_minutes), |bundle| bundle.local(context.at));
        let rows = featurize(&kept, profile, &place, context, local);
        let wanted = self.catalog.merchant(query.merchant).map(|row| MerchantId::of(&row.merchant_id));
        let found = kept.iter().position(|candidate| Some(candidate.merchant.id) == wanted).ok_or_else(|| {
            let reason = dropped.iter().find(|dropped| Some(dropped.id) == wanted).map(|dropped| dropped.reason.code());
            match (place.point, bundle) {
                (None, _) => "place_unknown",
                (_, None) => "no_area",
                _ => reason.unwrap_or("not_in_area"),
            }
        });
        let near =
            |likely: &freshrank::profile::LikelyPlace| likely.point.distance_km(query.destination) <= TRAVELLING_KM;
        let travelling = !profile.places.iter().any(near);
        Answer { query: *query, place, travelling, kept, rows, found }
    }
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
