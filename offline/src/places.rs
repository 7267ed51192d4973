//! Where a reader's next order will likely go: known places by part of the day, and the rate of new ones.
//!
//! Two steps: whether the order goes to a place *never used before*, as one in eight does, by a logit on what the reader is
//! like; and to which of the known ones if not, by a conditional logit over them. `facts` has its columns, `model` what was fitted, `study` the queries it is fitted and tested on,
//! `fit` how, `report` what it is worth beside the last place and the most frequent one.
//!
//! The last day's events are no column of what ships: `freshrank::locate` weighs them at the open, when they are
//! fresher, and nothing is counted twice.

use crate::tables::{Event, Order, Place, Tables, Timestamp};
use facts::Known;
use freshrank::profile::{LikelyPlace, MAX_PLACES};
use freshrank::time::Local;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

pub use crate::preferences::home_market;
pub use facts::{COLUMNS, Facts, Hour, N_COLUMNS};
pub use model::{PlaceModel, Weights};

mod counts;
mod facts;
pub mod logit;
pub mod model;
pub mod figures;
pub mod study;
pub mod fit;
pub mod evidence;
pub mod report;

/// Seconds of a day.
const DAY: f64 = 86_400.0;
/// Orders to new places per later order in real food-delivery logs, where the market has too few to tell.
const USUAL_NEW_PLACE_RATE: f64 = 0.125;
/// Orders that the usual rate counts as.
const USUAL_STRENGTH: f64 = 40.0;

/// What places are made with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlaceOptions {
    /// Orders this near go to the same place.
    pub same_place_km: f64,
    /// Half-life of an order in the shares by part of the day and of the week, days.
    pub half_life_days: f64,
    /// Later orders that the market's rate of new places counts as.
    pub new_place_strength: f64,
    /// The place model.
    pub weights: Weights,
}

impl Default for PlaceOptions {
    fn default() -> Self {
        Self { same_place_km: 0.15, half_life_days: 90.0, new_place_strength: 8.0, weights: Weights::shipped() }
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

/// The likely places of one reader at `as_of`; nothing later is seen. `zone` is the time zone of home.
#[must_use]
pub fn of_reader(
    history: &History<'_>,
    as_of: Timestamp,
    zone: &TimeZone,
    market_new_place_rate: f64,
    options: &PlaceOptions,
) -> LikelyPlaces {
    let facts = Facts::of(history, as_of, zone, market_new_place_rate, options);
    likely(&facts, &options.weights, Hour::of(local(as_of, zone)).weekend)
}

/// What the profile carries of the model: the likeliest places with a probability for every part of this day.
#[must_use]
pub fn likely(facts: &Facts, weights: &Weights, weekend: bool) -> LikelyPlaces {
    likeliest(facts, weights, weekend).0
}

/// The same, and which of the known places they are.
fn likeliest(facts: &Facts, weights: &Weights, weekend: bool) -> (LikelyPlaces, Vec<usize>) {
    if facts.spots.is_empty() {
        return (LikelyPlaces { places: Vec::new(), new_place_rate: 1.0 }, Vec::new());
    }
    let asked = [0, 1, 2, 3].map(|daypart| weights.probabilities(facts, Hour { daypart, weekend }));
    // Parts of the day count as often as the reader orders then, upon once each.
    let usual = [0, 1, 2, 3].map(|d| 1.0 + facts.spots.iter().map(|spot| spot.by_daypart[d]).sum::<f64>());
    let all: f64 = usual.iter().sum();
    let mean = |i: usize| asked.iter().zip(usual).map(|(p, usual)| p[i] * usual / all).sum::<f64>();
    let weight: Vec<f64> = (0..facts.spots.len()).map(mean).collect();

    let mut likeliest: Vec<usize> = (0..weight.len()).collect();
    // The last to be known first among equals.
    likeliest.sort_by(|a, b| weight[*b].total_cmp(&weight[*a]).then(b.cmp(a)));
    likeliest.truncate(MAX_PLACES);
    let kept: f64 = likeliest.iter().map(|i| weight[*i]).sum();
    let in_daypart = [0, 1, 2, 3].map(|d| likeliest.iter().map(|i| asked[d][*i]).sum::<f64>());
    let place = |i: &usize| LikelyPlace {
        point: facts.spots[*i].point,
        probability: [0, 1, 2, 3].map(|d| (asked[d][*i] / in_daypart[d]) as f32),
    };
    let places = likeliest.iter().map(place).collect();
    (LikelyPlaces { places, new_place_rate: (1.0 - kept) as f32 }, likeliest)
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
        Self::of_reader(orders, places, as_of, options).into_iter().for_each(|(_, new)| self.add(new));
    }

    /// Adds one order after a reader's first.
    pub fn add(&mut self, new: bool) {
        self.n_new += u64::from(new);
        self.n_later += 1;
    }

    /// One reader's orders after the first, before `as_of`: when, and whether to a place never used before. A later
    /// `as_of` adds to them and changes none.
    #[must_use]
    pub fn of_reader(
        orders: &[&Order],
        places: &[&Place],
        as_of: Timestamp,
        options: &PlaceOptions,
    ) -> Vec<(Timestamp, bool)> {
        // No part of the day is asked for, so that no time zone matters.
        Known::of(&History { orders, places, events: &[] }, as_of, &TimeZone::UTC, options).later
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
