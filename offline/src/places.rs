//! Where a reader's next order will likely go: known places by part of the day, and the rate of new ones.
//!
//! People order to a few places, mostly in a rhythm. What was ordered at this part of the day counts, upon what was
//! ordered at any; old orders fade. One order in eight goes where none went before: *elsewhere* is always possible.

use crate::preferences::is_evidence;
use crate::tables::{Event, Order, Place, Tables, Timestamp};
use freshrank::geo::Point;
use freshrank::profile::{LikelyPlace, MAX_PLACES};
use freshrank::time::Local;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

pub use crate::preferences::home_market;

/// Seconds of a day.
const DAY: f64 = 86_400.0;
/// Orders to new places per later order in real food-delivery logs, where the market has too few to tell.
const USUAL_NEW_PLACE_RATE: f64 = 0.125;
/// Orders that the usual rate counts as.
const USUAL_STRENGTH: f64 = 40.0;

/// The levers; a later issue sets them by held-out likelihood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlaceOptions {
    /// Orders this near go to the same place.
    pub same_place_km: f64,
    /// Half-life of an order, days.
    pub half_life_days: f64,
    /// Orders that the all-day shares count as in each part of the day.
    pub all_day_strength: f64,
    /// Orders that a place counts as without any.
    pub unused: f64,
    /// Later orders that the market's rate of new places counts as.
    pub new_place_strength: f64,
    /// Orders that an event at a known place counts as.
    pub event: f64,
    /// Half-life of an event, days.
    pub event_half_life_days: f64,
}

impl Default for PlaceOptions {
    fn default() -> Self {
        Self {
            same_place_km: 0.15,
            half_life_days: 90.0,
            all_day_strength: 2.0,
            unused: 0.5,
            new_place_strength: 8.0,
            event: 0.1,
            event_half_life_days: 14.0,
        }
    }
}

/// The rows of one reader, whatever their order and time.
#[derive(Debug, Clone, Copy, Default)]
pub struct History<'a> {
    /// All of them; cancelled ones are no evidence.
    pub orders: &'a [&'a Order],
    /// Registered places.
    pub places: &'a [&'a Place],
    /// Those without coordinates tell nothing here.
    pub events: &'a [&'a Event],
}

/// Where the next order may go.
#[derive(Debug, Clone, PartialEq)]
pub struct LikelyPlaces {
    /// Up to 4, the likeliest of the whole day first; at each part of the day their probabilities add up to 1, given
    /// that the order goes to one of them.
    pub places: Vec<LikelyPlace>,
    /// Probability that it goes to none of them: to a new place, or to one that did not fit.
    pub new_place_rate: f32,
}

/// Somewhere food was brought, or may be.
struct Spot<'a> {
    point: Point,
    names: Vec<&'a str>,
    /// When, and at which part of the day.
    orders: Vec<(Timestamp, usize)>,
}

/// What is known of a reader's places at some time.
struct Known<'a> {
    spots: Vec<Spot<'a>>,
    /// Orders after the first one.
    n_later: usize,
    /// Those among them that went where none went before and nothing was registered.
    n_new: usize,
}

impl<'a> Known<'a> {
    /// Lives through the history in order of time, up to `as_of`.
    fn of(history: &History<'a>, as_of: Timestamp, zone: &TimeZone, options: &PlaceOptions) -> Self {
        let mut orders: Vec<&Order> =
            history.orders.iter().copied().filter(|order| is_evidence(order, as_of)).collect();
        orders.sort_by(|a, b| (a.ordered_at, &a.merchant_id).cmp(&(b.ordered_at, &b.merchant_id)));
        let registered = history.places.iter().filter_map(|place| Some((place.first_seen_at?, *place)));
        let mut registered: Vec<(Timestamp, &Place)> = registered.filter(|(seen, _)| *seen < as_of).collect();
        registered.sort_by(|a, b| (a.0, &a.1.place_id).cmp(&(b.0, &b.1.place_id)));
        let mut registered = registered.into_iter().peekable();

        let mut known = Self { spots: Vec::new(), n_later: 0, n_new: 0 };
        let mut n_orders = 0;
        for order in orders {
            while let Some((_, place)) = registered.next_if(|(seen, _)| *seen < order.ordered_at) {
                known.visit(Some(&place.place_id), Point::new(place.latitude, place.longitude), options);
            }
            let n_spots = known.spots.len();
            let named = || history.places.iter().find(|place| Some(&place.place_id) == order.place_id.as_ref());
            let own = order.latitude.zip(order.longitude);
            let point = own.or_else(|| named().map(|place| (place.latitude, place.longitude)));
            let point = point.and_then(|(latitude, longitude)| Point::new(latitude, longitude));
            if let Some(spot) = known.visit(order.place_id.as_deref(), point, options) {
                spot.orders.push((order.ordered_at, local(order.ordered_at, zone).daypart().index()));
                known.n_later += usize::from(n_orders > 0);
                known.n_new += usize::from(n_orders > 0 && known.spots.len() > n_spots);
                n_orders += 1;
            }
        }
        for (_, place) in registered {
            known.visit(Some(&place.place_id), Point::new(place.latitude, place.longitude), options);
        }
        known
    }

    /// The spot of that name, else the nearest one, else a new one; `None` for nowhere.
    fn visit(&mut self, name: Option<&'a str>, point: Option<Point>, options: &PlaceOptions) -> Option<&mut Spot<'a>> {
        let named = self.spots.iter().position(|spot| name.is_some_and(|name| spot.names.contains(&name)));
        let at = match named.or_else(|| nearest(&self.spots, point?, options)) {
            Some(at) => at,
            None => {
                self.spots.push(Spot { point: point?, names: Vec::new(), orders: Vec::new() });
                self.spots.len() - 1
            }
        };
        let spot = &mut self.spots[at];
        spot.names.extend(name.filter(|name| !spot.names.contains(name)));
        Some(spot)
    }
}

/// The nearest spot that is the same place, the oldest among equals.
fn nearest(spots: &[Spot<'_>], point: Point, options: &PlaceOptions) -> Option<usize> {
    let near = spots.iter().enumerate().map(|(i, spot)| (i, spot.point.distance_km(point)));
    let near = near.filter(|(_, km)| *km <= options.same_place_km);
    near.reduce(|best, next| if next.1 < best.1 { next } else { best }).map(|(i, _)| i)
}

/// The likely places of one reader at `as_of`; nothing later is seen. `zone` is the time zone of home.
#[must_use]
pub fn of_reader(
    history: &History<'_>,
    as_of: Timestamp,
    zone: &TimeZone,
    market_new_place_rate: f64,
    options: &PlaceOptions,
) -> LikelyPlaces {
    let known = Known::of(history, as_of, zone, options);
    if known.spots.is_empty() {
        return LikelyPlaces { places: Vec::new(), new_place_rate: 1.0 };
    }

    let faded = |at: Timestamp, half_life_days: f64| libm::exp2(-((as_of - at) as f64) / DAY / half_life_days);
    let count = |spot: &Spot<'_>| {
        spot.orders.iter().fold([0.0; 4], |mut counts, (at, daypart)| {
            counts[*daypart] += faded(*at, options.half_life_days);
            counts
        })
    };
    let mut counts: Vec<[f64; 4]> = known.spots.iter().map(count).collect();
    let mut events: Vec<&Event> = history.events.iter().copied().filter(|event| event.at < as_of).collect();
    events.sort_by(|a, b| (a.at, &a.kind).cmp(&(b.at, &b.kind)));
    for event in events {
        let point =
            event.latitude.zip(event.longitude).and_then(|(latitude, longitude)| Point::new(latitude, longitude));
        if let Some(at) = point.and_then(|point| nearest(&known.spots, point, options)) {
            counts[at][local(event.at, zone).daypart().index()] +=
                options.event * faded(event.at, options.event_half_life_days);
        }
    }

    let weight: Vec<f64> = counts.iter().map(|count| count.iter().sum::<f64>() + options.unused).collect();
    let total: f64 = weight.iter().sum();
    let mut likeliest: Vec<usize> = (0..weight.len()).collect();
    // The last used first among equals; places were found in order of time.
    likeliest.sort_by(|a, b| weight[*b].total_cmp(&weight[*a]).then(b.cmp(a)));
    likeliest.truncate(MAX_PLACES);
    let kept: f64 = likeliest.iter().map(|i| weight[*i]).sum();

    let in_daypart: [f64; 4] = [0, 1, 2, 3].map(|d| likeliest.iter().map(|i| counts[*i][d]).sum::<f64>());
    let probability = |i: usize, d: usize| {
        let all_day = weight[i] / kept;
        ((counts[i][d] + options.all_day_strength * all_day) / (in_daypart[d] + options.all_day_strength)) as f32
    };
    let place =
        |i: &usize| LikelyPlace { point: known.spots[*i].point, probability: [0, 1, 2, 3].map(|d| probability(*i, d)) };
    let new = (options.new_place_strength * market_new_place_rate + known.n_new as f64)
        / (options.new_place_strength + known.n_later as f64);
    LikelyPlaces {
        places: likeliest.iter().map(place).collect(),
        new_place_rate: (new + (1.0 - new) * (1.0 - kept / total)) as f32,
    }
}

/// Orders after the first ones of some readers, and how many of them went where none went before; readers may be
/// counted in any partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPlaces {
    /// To a place never used before.
    pub n_new: u64,
    /// All of them.
    pub n_later: u64,
}

impl NewPlaces {
    /// Counts one reader's orders before `as_of`.
    pub fn add_reader(&mut self, orders: &[&Order], places: &[&Place], as_of: Timestamp, options: &PlaceOptions) {
        // No part of the day is asked for, so that no time zone matters.
        let known = Known::of(&History { orders, places, events: &[] }, as_of, &TimeZone::UTC, options);
        self.n_new += known.n_new as u64;
        self.n_later += known.n_later as u64;
    }

    /// Adds the readers of another partition.
    pub fn merge(&mut self, other: &Self) {
        self.n_new += other.n_new;
        self.n_later += other.n_later;
    }

    /// The share of new places, upon the usual one.
    #[must_use]
    pub fn rate(&self) -> f64 {
        (USUAL_NEW_PLACE_RATE * USUAL_STRENGTH + self.n_new as f64) / (USUAL_STRENGTH + self.n_later as f64)
    }
}

/// Share of the orders after a reader's first that went where none went before, of all readers, upon the usual rate.
#[must_use]
pub fn market_new_place_rate(tables: &Tables, as_of: Timestamp, options: &PlaceOptions) -> f64 {
    let mut orders: BTreeMap<&str, Vec<&Order>> = BTreeMap::new();
    tables.orders.iter().for_each(|order| orders.entry(&order.user_id).or_default().push(order));
    let mut places: HashMap<&str, Vec<&Place>> = HashMap::new();
    tables.places.iter().for_each(|place| places.entry(&place.user_id).or_default().push(place));
    let mut found = NewPlaces::default();
    for (user, orders) in &orders {
        let places = places.get(user).map_or(&[][..], Vec::as_slice);
        found.add_reader(orders, places, as_of, options);
    }
    found.rate()
}

/// The clock on the wall.
fn local(at: Timestamp, zone: &TimeZone) -> Local {
    let seconds = jiff::Timestamp::from_second(at).map_or(0, |at| zone.to_offset(at).seconds());
    Local::new(at, (seconds / 60) as i16)
}

#[cfg(test)]
mod tests;
