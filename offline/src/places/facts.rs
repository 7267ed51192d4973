//! What is known of a reader's places at some time, and the columns of the place model.

use super::{DAY, History, PlaceOptions, local};
use crate::preferences::is_evidence;
use crate::tables::{Event, Order, Place, Timestamp};
use freshrank::geo::Point;
use freshrank::locate::STALE_SECONDS;
use freshrank::time::Local;
use jiff::tz::TimeZone;

/// Somewhere food was brought, or may be.
pub(super) struct Spot<'a> {
    pub point: Point,
    names: Vec<&'a str>,
    /// When, and the wall clock then.
    pub orders: Vec<(Timestamp, Local)>,
}

/// The rows of a reader's places, lived through in order of time.
pub(super) struct Known<'a> {
    pub spots: Vec<Spot<'a>>,
    /// Orders after the first one: when, and whether they went where none went before and nothing was registered.
    pub later: Vec<(Timestamp, bool)>,
    /// Where the orders went, in order of time.
    pub visits: Vec<usize>,
}

impl<'a> Known<'a> {
    /// Lives through the history in order of time, up to `as_of`.
    pub fn of(history: &History<'a>, as_of: Timestamp, zone: &TimeZone, options: &PlaceOptions) -> Self {
        let mut orders: Vec<&Order> =
            history.orders.iter().copied().filter(|order| is_evidence(order, as_of)).collect();
        orders.sort_by(|a, b| (a.ordered_at, &a.merchant_id).cmp(&(b.ordered_at, &b.merchant_id)));
        let registered = history.places.iter().filter_map(|place| Some((place.first_seen_at?, *place)));
        let mut registered: Vec<(Timestamp, &Place)> = registered.filter(|(seen, _)| *seen < as_of).collect();
        registered.sort_by(|a, b| (a.0, &a.1.place_id).cmp(&(b.0, &b.1.place_id)));
        let mut registered = registered.into_iter().peekable();

        let mut known = Self { spots: Vec::new(), later: Vec::new(), visits: Vec::new() };
        for order in orders {
            while let Some((_, place)) = registered.next_if(|(seen, _)| *seen < order.ordered_at) {
                known.visit(Some(&place.place_id), Point::new(place.latitude, place.longitude), options);
            }
            let n_spots = known.spots.len();
            let Some(at) = known.visit(order.place_id.as_deref(), destination(order, history), options) else {
                continue;
            };
            known.spots[at].orders.push((order.ordered_at, local(order.ordered_at, zone)));
            if !known.visits.is_empty() {
                known.later.push((order.ordered_at, known.spots.len() > n_spots));
            }
            known.visits.push(at);
        }
        for (_, place) in registered {
            known.visit(Some(&place.place_id), Point::new(place.latitude, place.longitude), options);
        }
        known
    }

    /// The spot of that name, else the nearest one.
    pub fn find(&self, name: Option<&str>, point: Option<Point>, options: &PlaceOptions) -> Option<usize> {
        let named = self.spots.iter().position(|spot| name.is_some_and(|name| spot.names.contains(&name)));
        named.or_else(|| self.nearest(point?, options))
    }

    /// The same, else a new one; `None` for nowhere.
    fn visit(&mut self, name: Option<&'a str>, point: Option<Point>, options: &PlaceOptions) -> Option<usize> {
        let at = match self.find(name, point, options) {
            Some(at) => at,
            None => {
                self.spots.push(Spot { point: point?, names: Vec::new(), orders: Vec::new() });
                self.spots.len() - 1
            }
        };
        let names = &mut self.spots[at].names;
        names.extend(name.filter(|name| !names.contains(name)));
        Some(at)
    }

    /// The nearest spot that is the same place, the oldest among equals.
    pub fn nearest(&self, point: Point, options: &PlaceOptions) -> Option<usize> {
        let near = self.spots.iter().enumerate().map(|(i, spot)| (i, spot.point.distance_km(point)));
        let near = near.filter(|(_, km)| *km <= options.same_place_km);
        near.reduce(|best, next| if next.1 < best.1 { next } else { best }).map(|(i, _)| i)
    }

    /// The rate of new places: the reader's own, upon the market's.
    pub fn new_rate(&self, market: f64, options: &PlaceOptions) -> f64 {
        let n_new = self.later.iter().filter(|(_, new)| *new).count();
        (options.new_place_strength * market + n_new as f64) / (options.new_place_strength + self.later.len() as f64)
    }
}

/// Where an order went: its own coordinates, else those of the place it names.
pub(super) fn destination(order: &Order, history: &History<'_>) -> Option<Point> {
    let named = || history.places.iter().find(|place| Some(&place.place_id) == order.place_id.as_ref());
    let own = order.latitude.zip(order.longitude);
    let (latitude, longitude) = own.or_else(|| named().map(|place| (place.latitude, place.longitude)))?;
    Point::new(latitude, longitude)
}

/// The position of an event.
pub(super) fn position(event: &Event) -> Option<Point> {
    Point::new(event.latitude?, event.longitude?)
}

/// The hour a place is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hour {
    /// 0 to 3.
    pub daypart: usize,
    /// Saturday or Sunday.
    pub weekend: bool,
}

impl Hour {
    /// Of a wall clock.
    #[must_use]
    pub fn of(local: Local) -> Self {
        Self { daypart: local.daypart().index(), weekend: local.weekday() >= 5 }
    }
}

/// One place, as of the time of the question.
#[derive(Debug, Clone, PartialEq)]
pub struct SpotFacts {
    /// Where.
    pub point: Point,
    /// Orders.
    pub n: f64,
    /// Orders that fade over months, by daypart.
    pub by_daypart: [f64; 4],
    /// The same on weekdays and weekends.
    pub by_weekend: [f64; 2],
    /// Since the last order; absent without one.
    pub days_since: Option<f64>,
    /// Trips that ended here, fading; fresh ones are the engine's.
    pub trips: f64,
    /// Other events here, likewise.
    pub events: f64,
    /// Kilometres from the place ordered to most.
    pub km: f64,
}

/// An event that tells a place: where among them, whether a trip ended, and how long ago.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// `None` where nothing is known.
    pub spot: Option<usize>,
    /// `trip_end`.
    pub trip: bool,
    /// Age in days.
    pub days: f64,
}

/// A reader's places as of a time; nothing later is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// In the order they came to be known.
    pub spots: Vec<SpotFacts>,
    /// Orders.
    pub n: f64,
    /// Since any order.
    pub days_since: f64,
    /// The reader's rate of new places.
    pub new_rate: f64,
    /// Where the last order went.
    pub last: Option<usize>,
    /// The last event older than a day.
    pub stale: Option<Seen>,
    /// The last event of the last day, which the engine weighs by itself.
    pub fresh: Option<Seen>,
}

/// Half-lives in days.
const EVENT_DAYS: f64 = 30.0;
const STALE_DAYS: f64 = 7.0;
/// Orders that a reader's mix counts as in a place's, and the usual one in the reader's.
const LIFT_STRENGTH: f64 = 2.0;
/// Share of orders by part of the day where nothing else is known, and of days that are a weekend's.
const USUAL_DAYPARTS: [f64; 4] = [0.06, 0.31, 0.52, 0.11];
const WEEKEND: f64 = 2.0 / 7.0;
/// A fresh event's, in the column that only the report uses.
const FRESH_DAYS: f64 = 0.25;

impl Facts {
    /// Of a reader's rows; `market` is the market's rate of new places.
    #[must_use]
    pub fn of(history: &History<'_>, as_of: Timestamp, zone: &TimeZone, market: f64, options: &PlaceOptions) -> Self {
        Self::from(&Known::of(history, as_of, zone, options), history, as_of, market, options)
    }

    pub(super) fn from(
        known: &Known<'_>,
        history: &History<'_>,
        as_of: Timestamp,
        market: f64,
        options: &PlaceOptions,
    ) -> Self {
        let age = |at: Timestamp| (as_of - at) as f64 / DAY;
        let faded = |at: Timestamp, half_life: f64| libm::exp2(-age(at) / half_life);
        // The one ordered to most, the earliest known among equals.
        let most = known.spots.iter().reduce(|a, b| if b.orders.len() > a.orders.len() { b } else { a });
        let mut spots: Vec<SpotFacts> = known
            .spots
            .iter()
            .map(|spot| {
                let mut facts = SpotFacts {
                    point: spot.point,
                    n: spot.orders.len() as f64,
                    by_daypart: [0.0; 4],
                    by_weekend: [0.0; 2],
                    days_since: spot.orders.last().map(|(at, _)| age(*at)),
                    trips: 0.0,
                    events: 0.0,
                    km: most.map_or(0.0, |most| most.point.distance_km(spot.point)),
                };
                for (at, local) in &spot.orders {
                    let hour = Hour::of(*local);
                    facts.by_daypart[hour.daypart] += faded(*at, options.half_life_days);
                    facts.by_weekend[usize::from(hour.weekend)] += faded(*at, options.half_life_days);
                }
                facts
            })
            .collect();

        let mut events: Vec<(&Event, Point)> = history
            .events
            .iter()
            .filter(|event| event.at < as_of)
            .filter_map(|event| Some((*event, position(event)?)))
            .collect();
        events.sort_by(|a, b| (a.0.at, &a.0.kind).cmp(&(b.0.at, &b.0.kind)));
        let (mut stale, mut fresh) = (None, None);
        for (event, point) in events {
            let seen =
                Seen { spot: known.nearest(point, options), trip: event.kind == "trip_end", days: age(event.at) };
            if as_of - event.at <= STALE_SECONDS {
                fresh = Some(seen);
                continue;
            }
            stale = Some(seen);
            if let Some(spot) = seen.spot.and_then(|spot| spots.get_mut(spot)) {
                let count = if seen.trip { &mut spot.trips } else { &mut spot.events };
                *count += faded(event.at, EVENT_DAYS);
            }
        }
        let last = known.visits.last().copied();
        let days_since = spots.iter().filter_map(|spot| spot.days_since).reduce(|a, b| if b < a { b } else { a });
        Self {
            n: known.visits.len() as f64,
            days_since: days_since.unwrap_or(0.0),
            new_rate: known.new_rate(market, options),
            last,
            spots,
            stale,
            fresh,
        }
    }

    /// The design matrix of a question: a row for every place, and a last one for a place never used before.
    #[must_use]
    pub fn rows(&self, hour: Hour) -> Vec<f64> {
        let alternatives = (0..self.spots.len()).map(Some).chain([None]);
        let row = |spot: Option<usize>| COLUMNS.iter().map(move |column| (column.value)(self, hour, spot));
        alternatives.flat_map(row).collect()
    }

    /// ln of a share of all orders, of which no place has none.
    fn log_share(&self, spot: &SpotFacts) -> f64 {
        libm::log((spot.n + 1.0 / self.spots.len() as f64) / (self.n + 1.0))
    }

    /// ln of how much more of a place's orders are of one kind than of all the reader's orders: naive Bayes. Both shares
    /// stand upon what is usual, the place's upon the reader's.
    fn log_lift(&self, spot: &SpotFacts, usual: f64, of: impl Fn(&SpotFacts) -> (f64, f64)) -> f64 {
        let all = self.spots.iter().map(&of).fold((0.0, 0.0), |sum, (part, whole)| (sum.0 + part, sum.1 + whole));
        let mix = (all.0 + LIFT_STRENGTH * usual) / (all.1 + LIFT_STRENGTH);
        let (part, whole) = of(spot);
        libm::log((part + LIFT_STRENGTH * mix) / (whole + LIFT_STRENGTH) / mix)
    }

    /// Whether the last order was the first one there, and not the first at all.
    fn been_new(&self, spot: usize) -> bool {
        self.last == Some(spot) && self.n > 1.0 && self.spots.get(spot).is_some_and(|spot| spot.n == 1.0)
    }

    fn seen_at(seen: Option<Seen>, spot: Option<usize>, half_life: f64) -> f64 {
        seen.filter(|seen| seen.spot == spot).map_or(0.0, |seen| libm::exp2(-seen.days / half_life))
    }
}

/// One column of the place model.
pub struct Column {
    /// In `models/place-model.json`.
    pub name: &'static str,
    /// What it holds.
    pub meaning: &'static str,
    /// Of a known place, or of the place never used before; 0 where it does not apply.
    pub value: fn(&Facts, Hour, Option<usize>) -> f64,
    /// Of the last day's event: the engine weighs that, so the shipped model has it at zero.
    pub fresh: bool,
}

/// How many there are.
pub const N_COLUMNS: usize = COLUMNS.len();

macro_rules! columns {
    ($($name:ident $(($fresh:ident))?, $meaning:literal: $value:expr;)*) => {
        /// The columns, in the order of the design matrix.
        pub const COLUMNS: &[Column] = &[$(Column {
            name: stringify!($name),
            meaning: $meaning,
            value: $value,
            fresh: columns!(@ $($fresh)?),
        }),*];
    };
    (@) => { false };
    (@ fresh) => { true };
}

fn flag(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

fn new(spot: Option<usize>, value: f64) -> f64 {
    if spot.is_none() { value } else { 0.0 }
}

columns! {
    log_share, "ln of the share of orders that went there":
        |f, _, spot| spot.and_then(|spot| f.spots.get(spot)).map_or(0.0, |s| f.log_share(s));
    daypart_lift, "ln of how much more of its orders are of the message's part of the day than of all orders; they fade":
        |f, hour, spot| spot.and_then(|spot| f.spots.get(spot)).map_or(0.0, |s| {
            let of = |s: &SpotFacts| (s.by_daypart[hour.daypart], s.by_daypart.iter().sum());
            f.log_lift(s, USUAL_DAYPARTS[hour.daypart], of)
        });
    weekend_lift, "the same of orders on weekends, or on weekdays, as the message's day is":
        |f, hour, spot| spot.and_then(|spot| f.spots.get(spot)).map_or(0.0, |s| {
            let usual = if hour.weekend { WEEKEND } else { 1.0 - WEEKEND };
            f.log_lift(s, usual, |s| (s.by_weekend[usize::from(hour.weekend)], s.by_weekend.iter().sum()))
        });
    just_new, "1 where the last order went, if it was the first there and not the first at all":
        |f, _, spot| flag(spot.is_some_and(|spot| f.been_new(spot)));
    log_days_since, "ln(1 + days since the last order there); 0 without one":
        |f, _, spot| spot.and_then(|spot| f.spots.get(spot)?.days_since).map_or(0.0, libm::log1p);
    log_trips, "ln(1 + trips that ended there), older than a day, fading with a half-life of 30 days":
        |f, _, spot| spot.and_then(|spot| f.spots.get(spot)).map_or(0.0, |s| libm::log1p(s.trips));
    log_events, "the same of other events":
        |f, _, spot| spot.and_then(|spot| f.spots.get(spot)).map_or(0.0, |s| libm::log1p(s.events));
    last_event, "2^(-age / 7 days) of the last event older than a day, if it was there":
        |f, _, spot| if spot.is_some() { Facts::seen_at(f.stale, spot, STALE_DAYS) } else { 0.0 };
    log_km, "ln(1 + kilometres from the place ordered to most)":
        |f, _, spot| spot.and_then(|spot| f.spots.get(spot)).map_or(0.0, |s| libm::log1p(s.km));
    registered_only, "1 where no order went":
        |f, _, spot| flag(spot.and_then(|spot| f.spots.get(spot)).is_some_and(|s| s.n == 0.0));
    new, "1 for the place never used before; the columns after it are its own":
        |_, _, spot| new(spot, 1.0);
    new_rate, "log-odds of the reader's rate of new places, upon the market's":
        |f, _, spot| new(spot, libm::log(f.new_rate / (1.0 - f.new_rate)));
    new_log_places, "ln of the number of places":
        |f, _, spot| new(spot, libm::log(f.spots.len().max(1) as f64));
    new_log_days, "ln(1 + days since any order)":
        |f, _, spot| new(spot, libm::log1p(f.days_since));
    new_after_new, "1 if the last order went where none went before":
        |f, _, spot| new(spot, flag(f.last.is_some_and(|last| f.been_new(last))));
    fresh_trip (fresh), "2^(-age / 6 hours) of the last day's event, if it was a trip that ended there":
        |f, _, spot| if spot.is_some() { Facts::seen_at(f.fresh.filter(|e| e.trip), spot, FRESH_DAYS) } else { 0.0 };
    fresh_event (fresh), "the same of another event":
        |f, _, spot| if spot.is_some() { Facts::seen_at(f.fresh.filter(|e| !e.trip), spot, FRESH_DAYS) } else { 0.0 };
    fresh_stray_trip (fresh), "the same of a trip that ended at no known place":
        |f, _, spot| if spot.is_none() { Facts::seen_at(f.fresh.filter(|e| e.trip), None, FRESH_DAYS) } else { 0.0 };
    fresh_stray_event (fresh), "the same of another event at no known place":
        |f, _, spot| if spot.is_none() { Facts::seen_at(f.fresh.filter(|e| !e.trip), None, FRESH_DAYS) } else { 0.0 };
}
