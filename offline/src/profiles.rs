//! Profiles: everything the engine may know of a reader, in at most 256 bytes.
//!
//! A profile is made from the rows of one reader and two facts of the market, both as of the profile's time. Live
//! builds and training rows make it by the same function.

use crate::areas::{Catalog, orders_before};
use crate::cuisines::CuisineMap;
use crate::hours;
use crate::places::{self, History, NewPlaces, PlaceOptions};
use crate::preferences::{Menus, Mix, Ordered, PreferenceOptions, Preferences, home_market, is_evidence};
use crate::tables::{Event, Order, Place, Reader, Tables, Timestamp};
use freshrank::geo::{Cell, Point};
use freshrank::id::ReaderId;
use freshrank::profile::{KnownMerchant, MAX_MERCHANTS, Profile};
use freshrank::request::base64url;
use freshrank::time::Local;
use freshrank::wire::DecodeError;
use freshrank::{ChainId, MerchantId};
use jiff::tz::TimeZone;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Messages that the usual rates count as.
const RATE_STRENGTH: f32 = 5.0;
/// Share of delivered messages that are opened and clicked where nothing is known, as the columns' missing values.
const USUAL_OPEN_RATE: f32 = 0.2;
const USUAL_CLICK_RATE: f32 = 0.02;

/// Stands in for the operator's secret with simulated data; readers' ids made with it are no secret.
pub const DEVELOPMENT_SECRET: &[u8] = b"freshrank development secret: for simulated readers only";

/// How to make profiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProfileOptions {
    /// Tastes.
    pub preferences: PreferenceOptions,
    /// Likely places.
    pub places: PlaceOptions,
    /// Half-life of an order in a merchant's own count, days.
    pub half_life_days: f64,
}

impl Default for ProfileOptions {
    fn default() -> Self {
        Self { preferences: PreferenceOptions::default(), places: PlaceOptions::default(), half_life_days: 90.0 }
    }
}

/// The profile of one reader as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Whose.
    pub user_id: String,
    /// At most 256 of them.
    pub bytes: Vec<u8>,
}

/// All rows of one reader, each in order of time.
#[derive(Debug, Clone, Default)]
pub struct ReaderRows<'t> {
    /// Consent, membership, market; absent for a reader that only orders tell of.
    pub reader: Option<&'t Reader>,
    /// All of them, cancelled ones too.
    pub orders: Vec<&'t Order>,
    /// Registered.
    pub places: Vec<&'t Place>,
    /// Messages and positions.
    pub events: Vec<&'t Event>,
}

/// The rows of every reader.
#[must_use]
pub fn by_reader(tables: &Tables) -> BTreeMap<&str, ReaderRows<'_>> {
    let mut readers: BTreeMap<&str, ReaderRows<'_>> = BTreeMap::new();
    for reader in &tables.readers {
        readers.entry(&reader.user_id).or_default().reader = Some(reader);
    }
    for order in orders_before(&tables.orders, Timestamp::MAX) {
        readers.entry(&order.user_id).or_default().orders.push(order);
    }
    for place in &tables.places {
        readers.entry(&place.user_id).or_default().places.push(place);
    }
    for event in &tables.events {
        readers.entry(&event.user_id).or_default().events.push(event);
    }
    for rows in readers.values_mut() {
        rows.places.sort_by(|a, b| (a.first_seen_at, &a.place_id).cmp(&(b.first_seen_at, &b.place_id)));
        // A second holds one event of a kind about a merchant; the table's order shall not matter.
        rows.events.sort_by(|a, b| {
            (a.at, &a.kind, &a.message_id, a.slot, &a.merchant_id).cmp(&(
                b.at,
                &b.kind,
                &b.message_id,
                b.slot,
                &b.merchant_id,
            ))
        });
    }
    readers
}

/// What the market as a whole does, as of a time.
#[derive(Debug, Clone)]
pub struct MarketFacts {
    mixes: BTreeMap<String, Mix>,
    new_place_rate: f64,
}

/// What the readers of one partition add to the market's facts; parts add up alike in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketPart {
    ordered: Ordered,
    new_places: NewPlaces,
}

impl MarketPart {
    /// Adds another partition's.
    pub fn merge(&mut self, other: &Self) {
        self.ordered.merge(&other.ordered);
        self.new_places.merge(&other.new_places);
    }
}

/// Seconds of a week, after which a timeline counts its market anew.
pub const WEEK: i64 = 7 * DAY;

/// What each week adds to the market's facts, so that one pass over readers tells them as of the beginning of any week;
/// parts add up alike in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Weeks {
    /// By the first week that knows it, weeks counted from 1970.
    of: BTreeMap<i64, MarketPart>,
}

impl Weeks {
    /// Adds another partition's.
    pub fn merge(&mut self, other: &Self) {
        other.of.iter().for_each(|(week, part)| self.of.entry(*week).or_default().merge(part));
    }

    /// All that is known when a week begins.
    fn before(&self, week: i64) -> MarketPart {
        let mut sum = MarketPart::default();
        self.of.range(..=week).for_each(|(_, part)| sum.merge(part));
        sum
    }
}

/// Makes profiles: what they have in common at any time.
pub struct Press<'t> {
    tables: &'t Tables,
    map: &'t CuisineMap,
    catalog: &'t Catalog<'t>,
    menus: Menus,
    options: ProfileOptions,
    zones: Zones,
}

impl<'t> Press<'t> {
    /// Looks up what does not depend on time.
    #[must_use]
    pub fn new(tables: &'t Tables, map: &'t CuisineMap, catalog: &'t Catalog<'t>, options: &ProfileOptions) -> Self {
        let menus = Menus::new(&tables.merchants, map, &options.preferences);
        let first = tables.merchants.first().and_then(|merchant| Point::new(merchant.latitude, merchant.longitude));
        Self { tables, map, catalog, menus, options: *options, zones: Zones::new(first) }
    }

    /// The market's facts; nothing later is in them.
    #[must_use]
    pub fn market(&self, as_of: Timestamp) -> MarketFacts {
        MarketFacts {
            mixes: Mix::by_market(self.tables, &self.menus, as_of),
            new_place_rate: places::market_new_place_rate(self.tables, as_of, &self.options.places),
        }
    }

    /// What some readers add to the market's facts.
    #[must_use]
    pub fn market_part<'r>(
        &self,
        readers: impl IntoIterator<Item = &'r ReaderRows<'r>>,
        as_of: Timestamp,
    ) -> MarketPart {
        let mut part = MarketPart::default();
        for rows in readers {
            let market = rows.reader.map(home_market).unwrap_or_default();
            if rows.reader.is_some() || !rows.orders.is_empty() {
                part.ordered.add_market(market, &self.menus);
            }
            for order in rows.orders.iter().filter(|order| is_evidence(order, as_of)) {
                part.ordered.add(market, order, &self.menus);
            }
            part.new_places.add_reader(&rows.orders, &rows.places, as_of, &self.options.places);
        }
        part
    }

    /// What some readers add to the market's facts, week by week.
    #[must_use]
    pub fn weeks<'r>(&self, readers: impl IntoIterator<Item = &'r ReaderRows<'r>>) -> Weeks {
        // Nothing that happens within a week is known when it begins.
        let known_from = |at: Timestamp| at.div_euclid(WEEK) + 1;
        let mut weeks = Weeks::default();
        for rows in readers {
            let market = rows.reader.map(home_market).unwrap_or_default();
            if rows.reader.is_some() || !rows.orders.is_empty() {
                weeks.of.entry(i64::MIN).or_default().ordered.add_market(market, &self.menus);
            }
            for order in rows.orders.iter().filter(|order| is_evidence(order, Timestamp::MAX)) {
                let part = weeks.of.entry(known_from(order.ordered_at)).or_default();
                part.ordered.add(market, order, &self.menus);
            }
            let later = NewPlaces::of_reader(&rows.orders, &rows.places, Timestamp::MAX, &self.options.places);
            for (at, new) in later {
                weeks.of.entry(known_from(at)).or_default().new_places.add(new);
            }
        }
        weeks
    }

    /// The market's facts when a week begins, counted from 1970: the same as [`Press::market`] at its first second.
    #[must_use]
    pub fn market_in(&self, weeks: &Weeks, week: i64) -> MarketFacts {
        self.market_of(&weeks.before(week), week * WEEK)
    }

    /// The market's facts from what all partitions added: the same as [`Press::market`] of all their tables.
    #[must_use]
    pub fn market_of(&self, parts: &MarketPart, as_of: Timestamp) -> MarketFacts {
        let offered = Mix::of_merchants(&self.tables.merchants, &self.menus, as_of);
        MarketFacts { mixes: parts.ordered.mixes(&offered), new_place_rate: parts.new_places.rate() }
    }

    /// The wall clock where a reader was last known to be before a time.
    #[must_use]
    pub fn zone(&self, rows: &ReaderRows<'_>, as_of: Timestamp) -> TimeZone {
        let orders = rows.orders.iter().rev().filter(|order| is_evidence(order, as_of));
        let ordered = || orders.into_iter().find_map(|order| self.catalog.destination(order));
        let registered = || {
            let known = rows.places.iter().find(|place| place.first_seen_at.is_some_and(|seen| seen < as_of))?;
            Point::new(known.latitude, known.longitude)
        };
        self.zones.at(ordered().or_else(registered))
    }

    /// The profile of one reader as of a time; nothing later is in it.
    #[must_use]
    pub fn profile(&self, reader: u64, rows: &ReaderRows<'_>, as_of: Timestamp, market: &MarketFacts) -> Profile {
        let zone = self.zone(rows, as_of);
        let orders: Vec<&Order> = rows.orders.iter().copied().filter(|order| is_evidence(order, as_of)).collect();
        let home = rows.reader.map(home_market).unwrap_or_default();
        let (lifelong, recent) = match market.mixes.get(home) {
            Some(mix) => Preferences::of_reader(&orders, &self.menus, as_of, &self.options.preferences).tastes(
                mix,
                self.map,
                &self.options.preferences,
            ),
            None => Default::default(),
        };
        let history = History { orders: &orders, places: &rows.places, events: &rows.events };
        let likely = places::of_reader(&history, as_of, &zone, market.new_place_rate, &self.options.places);
        let days = |since: Timestamp| (as_of - since).max(0) / DAY;
        let since = rows.reader.and_then(|reader| reader.since).filter(|since| *since < as_of);
        let since = since.or_else(|| orders.first().map(|order| order.ordered_at));
        let (open_rate, click_rate) = rates(&rows.events, as_of);
        Profile {
            reader,
            as_of_minute: u32::try_from(as_of / 60).unwrap_or(0),
            consent: rows.reader.and_then(|reader| reader.consent) == Some(true),
            member: rows.reader.and_then(|reader| reader.membership) == Some(true),
            offset_minutes: offset_minutes(&zone, as_of),
            market: home.to_owned(),
            // The engine compares the low half.
            cuisine_map: self.catalog.cuisine_map() as u32,
            lifelong,
            recent,
            places: likely.places,
            new_place_rate: likely.new_place_rate,
            merchants: self.known(&orders, as_of),
            n_orders: u16::try_from(orders.len()).unwrap_or(u16::MAX),
            tenure_days: since.map_or(0, |since| u16::try_from(days(since)).unwrap_or(u16::MAX)),
            basket_band: self.basket_band(&orders),
            open_rate,
            click_rate,
            daypart_share: daypart_share(&orders, &zone),
            last_order_days: orders.last().map(|order| days(order.ordered_at).min(254) as u8),
        }
    }

    /// The profiles of all readers of some tables, which may be one partition, ascending by `user_id`.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] for a market whose path is longer than the format holds.
    pub fn make(
        &self,
        readers: &Tables,
        as_of: Timestamp,
        secret: &[u8],
        market: &MarketFacts,
    ) -> Result<Vec<Made>, DecodeError> {
        let readers: Vec<(&str, ReaderRows<'_>)> = by_reader(readers).into_iter().collect();
        let make = |(user_id, rows): &(&str, ReaderRows<'_>)| {
            let profile = self.profile(reader_id(secret, user_id), rows, as_of, market);
            Ok(Made { user_id: (*user_id).to_owned(), bytes: profile.encode()? })
        };
        readers.par_iter().map(make).collect()
    }

    /// The merchants ordered from most, by decayed count; equal ones by the last order, then by id.
    fn known(&self, orders: &[&Order], as_of: Timestamp) -> Vec<KnownMerchant> {
        let half_life = self.options.half_life_days * DAY as f64;
        let mut counts: BTreeMap<&str, (f64, Timestamp)> = BTreeMap::new();
        for order in orders {
            let (count, last) = counts.entry(&order.merchant_id).or_insert((0.0, order.ordered_at));
            *count += libm::exp2(-((as_of - order.ordered_at) as f64) / half_life);
            *last = order.ordered_at.max(*last);
        }
        let mut most: Vec<(&str, f64, Timestamp)> =
            counts.into_iter().map(|(id, (count, last))| (id, count, last)).collect();
        most.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.2.cmp(&a.2)).then(a.0.cmp(b.0)));
        let merchant = |(id, count, last): &(&str, f64, Timestamp)| {
            let row = self.catalog.row(id).and_then(|row| self.catalog.merchant(row));
            let chain = row.and_then(|row| row.chain_id.as_deref()).map_or(ChainId::NONE, ChainId::of);
            KnownMerchant {
                id: MerchantId::of(id).short(),
                chain: chain.short(),
                count: *count as f32,
                days: ((as_of - last) / DAY).clamp(0, 255) as u8,
            }
        };
        most.iter().take(MAX_MERCHANTS).map(merchant).collect()
    }

    /// Mean price band of the orders whose merchant tells one.
    fn basket_band(&self, orders: &[&Order]) -> Option<f32> {
        let band = |order: &&Order| self.catalog.merchant(self.catalog.row(&order.merchant_id)?)?.price_band;
        let bands: Vec<f32> = orders.iter().filter_map(band).map(f32::from).collect();
        (!bands.is_empty()).then(|| bands.iter().sum::<f32>() / bands.len() as f32)
    }
}

/// A reader's number in profiles, as [`ReaderId`] says.
#[must_use]
pub fn reader_id(secret: &[u8], user_id: &str) -> u64 {
    ReaderId::of(secret, user_id).0
}

/// Profiles of all readers as of a time, ascending by `user_id`.
///
/// # Errors
/// [`DecodeError::Limit`] for a market whose path is longer than the format holds.
pub fn build(
    tables: &Tables,
    as_of: Timestamp,
    map: &CuisineMap,
    catalog: &Catalog<'_>,
    secret: &[u8],
    options: &ProfileOptions,
) -> Result<Vec<Made>, DecodeError> {
    let press = Press::new(tables, map, catalog, options);
    press.make(tables, as_of, secret, &press.market(as_of))
}

/// Writes `profiles.ndjson`: a `user_id` and a `profile` in base64url a line.
///
/// # Errors
/// The file cannot be written.
pub fn write(profiles: &[Made], path: &Path) -> std::io::Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    profiles.iter().try_for_each(|made| write_line(&made.user_id, &made.bytes, &mut file))?;
    file.flush()
}

/// One line of `profiles.ndjson`.
pub(crate) fn write_line(user_id: &str, bytes: &[u8], to: &mut impl Write) -> std::io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        user_id: &'a str,
        profile: String,
    }
    serde_json::to_writer(&mut *to, &Line { user_id, profile: base64url(bytes) })?;
    to.write_all(b"\n")
}

/// Shares of delivered messages that were opened and clicked, upon the usual ones; unknown without a message.
///
/// A message counts as delivered when anything was heard of it. Scanners fetch and click everything and count as nobody.
fn rates(events: &[&Event], as_of: Timestamp) -> (Option<f32>, Option<f32>) {
    let mut messages: HashMap<&str, (bool, bool)> = HashMap::new();
    let heard = events.iter().take_while(|event| event.at < as_of);
    for event in heard.filter(|event| event.mailbox.as_deref() != Some("scanner")) {
        let Some(message) = event.message_id.as_deref() else {
            continue;
        };
        let (seen, clicked) = messages.entry(message).or_default();
        *seen |= event.kind == "seen";
        *clicked |= event.kind == "click";
    }
    let n = messages.len() as f32;
    let rate = |count: usize, usual: f32| {
        (!messages.is_empty()).then(|| (count as f32 + RATE_STRENGTH * usual) / (n + RATE_STRENGTH))
    };
    (
        rate(messages.values().filter(|(seen, _)| *seen).count(), USUAL_OPEN_RATE),
        rate(messages.values().filter(|(_, clicked)| *clicked).count(), USUAL_CLICK_RATE),
    )
}

fn daypart_share(orders: &[&Order], zone: &TimeZone) -> [f32; 4] {
    let mut share = [0.0; 4];
    for order in orders {
        let local = Local::new(order.ordered_at, offset_minutes(zone, order.ordered_at));
        share[local.daypart().index()] += 1.0 / orders.len() as f32;
    }
    share
}

/// Minutes that clocks are ahead of UTC.
pub(crate) fn offset_minutes(zone: &TimeZone, at: Timestamp) -> i16 {
    let seconds = jiff::Timestamp::from_second(at).map_or(0, |at| zone.to_offset(at).seconds());
    // Below a day by jiff's own limit.
    (seconds / 60) as i16
}

/// Time zones by area: looking one up costs more than the rest of a profile.
struct Zones {
    usual: TimeZone,
    known: Mutex<HashMap<Cell, TimeZone>>,
}

impl Zones {
    fn new(usual: Option<Point>) -> Self {
        let usual = usual.map_or(TimeZone::UTC, zone_of);
        Self { usual, known: Mutex::default() }
    }

    /// The zone of a place's area; where nobody knows the place, that of the first merchant.
    fn at(&self, point: Option<Point>) -> TimeZone {
        let Some(cell) = point.map(Point::cell) else {
            return self.usual.clone();
        };
        let Ok(mut known) = self.known.lock() else {
            return self.usual.clone();
        };
        known.entry(cell).or_insert_with(|| zone_of(cell.center().unwrap_or(Point::ORIGIN))).clone()
    }
}

fn zone_of(point: Point) -> TimeZone {
    hours::zone(hours::time_zone(point.latitude(), point.longitude())).unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests;
