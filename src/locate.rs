//! Where the reader's next order will likely go, or honestly unknown.
//!
//! A mixture: the profile's likely places, each with its probability at this part of the day, and an explicit
//! *elsewhere* with the reader's rate of new places. Evidence multiplies each component by its likelihood,
//!
//! ```text
//! posterior(place) ~ prior(place) x ((1 - e) / (1 + (d / scale)^2) + e)
//! posterior(elsewhere) ~ prior(elsewhere) x ELSEWHERE(grade)
//! ```
//!
//! with d the distance in kilometres beyond the grade's blind radius: a Cauchy kernel with outlier mass e, so that one
//! wrong address never rules a place out. Coarse evidence sees a city as one place. Constants are first guesses; the place model of the offline half fits them.

use crate::campaign::PlacePolicy;
use crate::context::{Context, Grade, LastEvent};
use crate::geo::{Cell, Point};
use crate::profile::Profile;
use crate::time::Local;
use alloc::vec::Vec;
use serde::Serialize;

/// Elsewhere's posterior from which the reader counts as travelling.
const TRAVELLING: f64 = 0.5;
/// How long an event is fresh enough to move a reader.
const FRESH_SECONDS: i64 = 2 * 3600;
/// After this long an event tells nothing.
const STALE_SECONDS: i64 = 24 * 3600;
/// Evidence this near a likely place is that place.
const SAME_PLACE_KM: f64 = 0.3;
/// Likely places this near each other are in one city.
const CITY_KM: f64 = 50.0;
/// Even who never went anywhere new may do so.
const NEW_PLACE_FLOOR: f64 = 0.02;

/// Where the next order will likely go.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The decided point; `None` is honestly unknown.
    pub point: Option<Point>,
    /// Posterior of that point, 0 to 1.
    pub certainty: f32,
    /// What decided.
    pub source: Source,
    /// The evidence lies where no likely place is.
    pub travelling: bool,
    /// Posterior of each likely place, in the profile's order.
    pub posterior: Vec<f32>,
    /// Posterior of elsewhere.
    pub elsewhere: f32,
}

/// What decided on a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A likely place of the profile.
    Predicted,
    /// The request's exact position.
    Exact,
    /// A fresh event.
    LastEvent,
    /// Nothing did.
    Unknown,
}

impl Place {
    /// The area to decide in.
    #[must_use]
    pub fn cell(&self) -> Option<Cell> {
        self.point.map(Point::cell)
    }
}

/// What a grade of evidence can see.
struct Sight {
    /// Half-width of the kernel.
    scale_km: f64,
    /// Distances up to here are no difference.
    blind_km: f64,
    /// Likelihood of such evidence when the reader is somewhere else.
    elsewhere: f64,
    /// Probability that such a position is wrong altogether.
    outlier: f64,
    /// Places of one city look the same.
    merges_cities: bool,
}

impl Sight {
    fn of(grade: Grade) -> Option<Self> {
        match grade {
            // Whoever is elsewhere is where the evidence is: nearly as likely as at a known address that is right there.
            Grade::Exact => {
                Some(Self { scale_km: 0.3, blind_km: 0.0, elsewhere: 0.8, outlier: 0.0005, merges_cities: false })
            }
            Grade::Network => {
                Some(Self { scale_km: 25.0, blind_km: 10.0, elsewhere: 0.2, outlier: 0.002, merges_cities: false })
            }
            // Where a relay stands is chosen by its operator: it moves a reader to another city, hardly to another country.
            Grade::Coarse => {
                Some(Self { scale_km: 60.0, blind_km: 50.0, elsewhere: 0.05, outlier: 0.02, merges_cities: true })
            }
            Grade::None => None,
        }
    }

    fn likelihood(&self, distance_km: f64) -> f64 {
        let beyond = if distance_km > self.blind_km { distance_km - self.blind_km } else { 0.0 };
        let ratio = beyond / self.scale_km;
        (1.0 - self.outlier) / (1.0 + ratio * ratio) + self.outlier
    }

    /// How far each likely place is from the evidence, as far as the evidence can tell.
    fn distances(&self, profile: &Profile, point: Point) -> Vec<f64> {
        let mut distances: Vec<f64> = profile.places.iter().map(|place| place.point.distance_km(point)).collect();
        let n = if self.merges_cities { distances.len() } else { 0 };
        // A city may be a chain of places: as many rounds as places carry the nearest one's distance through it.
        for (_, i, j) in (0..n).flat_map(|round| (0..n).flat_map(move |i| (0..n).map(move |j| (round, i, j)))) {
            let same_city = profile.places[i].point.distance_km(profile.places[j].point) <= CITY_KM;
            if same_city && distances[j] < distances[i] {
                distances[i] = distances[j];
            }
        }
        distances
    }
}

/// Fuses the profile's likely places with the evidence of this open.
#[must_use]
pub fn locate(profile: &Profile, context: &Context, policy: PlacePolicy) -> Place {
    let event = context.last_event.as_ref().filter(|event| (0..=STALE_SECONDS).contains(&(context.at - event.at)));
    let exact = context.request.filter(|fix| fix.grade == Grade::Exact).map(|fix| fix.point);
    // An exact position is newer than any event, which then tells nothing more.
    let (posterior, elsewhere) = fuse(profile, context, event.filter(|_| exact.is_none()));
    let fresh = event.filter(|event| context.at - event.at <= FRESH_SECONDS).map(|event| event.point);
    // A place nobody orders from at this part of the day is no prediction.
    let likeliest = posterior.iter().enumerate().filter(|(_, p)| **p > 0.0).fold(None, |best, (i, &p)| match best {
        Some((_, q)) if q >= p => best,
        _ => Some((i, p)),
    });
    let seen = context.request.is_some_and(|fix| fix.grade != Grade::None) || event.is_some();
    // Nobody travels who has no place to be away from.
    let travelling = seen && !profile.places.is_empty() && elsewhere > TRAVELLING;

    let predicted = likeliest.map(|(i, p)| (profile.places[i].point, p, Source::Predicted));
    // What is where a likely place is, is that place: its address is better than the fix.
    let moved = |point: Point, source| {
        let near = profile.places.iter().position(|place| place.point.distance_km(point) <= SAME_PLACE_KM);
        match near {
            Some(i) => (profile.places[i].point, posterior[i], source),
            None => (point, elsewhere, source),
        }
    };
    let exact = exact.map(|point| moved(point, Source::Exact));
    let fresh = fresh.map(|point| moved(point, Source::LastEvent));
    let last = event.map(|event| moved(event.point, Source::LastEvent));
    let decided = match policy {
        PlacePolicy::Predicted => predicted,
        PlacePolicy::LastEvent => last.or(predicted),
        PlacePolicy::Freshest => exact.or(last).or(predicted),
        PlacePolicy::Fused if travelling => exact.or(fresh),
        PlacePolicy::Fused => exact.or(fresh).or(predicted),
    };
    Place {
        point: decided.map(|(point, ..)| point),
        certainty: decided.map_or(0.0, |(_, p, _)| p as f32),
        source: decided.map_or(Source::Unknown, |(.., source)| source),
        travelling,
        posterior: posterior.iter().map(|p| *p as f32).collect(),
        elsewhere: elsewhere as f32,
    }
}

/// Posterior of each likely place and of elsewhere; they add up to 1.
fn fuse(profile: &Profile, context: &Context, event: Option<&LastEvent>) -> (Vec<f64>, f64) {
    let daypart = Local::new(context.at, profile.offset_minutes).daypart();
    let total: f64 = profile.places.iter().map(|place| f64::from(place.at(daypart))).sum();
    let known = if total > 0.0 { 1.0 - f64::from(profile.new_place_rate).max(NEW_PLACE_FLOOR) } else { 0.0 };

    let seen = |point, grade, trust| Sight::of(grade).map(|sight| (sight.distances(profile, point), sight, trust));
    let request = context.request.and_then(|fix| seen(fix.point, fix.grade, 1.0));
    let event = event.and_then(|event| {
        let trust = 1.0 - (context.at - event.at) as f64 / STALE_SECONDS as f64;
        seen(event.point, Grade::Exact, trust)
    });
    // Evidence of trust t is t of itself and 1 - t of nothing.
    let weigh = |likelihood: f64, trust: f64| trust * likelihood + (1.0 - trust);

    let mut posterior: Vec<f64> = Vec::with_capacity(profile.places.len());
    for (i, place) in profile.places.iter().enumerate() {
        let prior = if total > 0.0 { known * f64::from(place.at(daypart)) / total } else { 0.0 };
        let evidence = [&request, &event].into_iter().flatten();
        posterior.push(
            evidence.fold(prior, |p, (distances, sight, trust)| p * weigh(sight.likelihood(distances[i]), *trust)),
        );
    }
    let evidence = [&request, &event].into_iter().flatten();
    let elsewhere = evidence.fold(1.0 - known, |p, (_, sight, trust)| p * weigh(sight.elsewhere, *trust));
    let sum = posterior.iter().fold(elsewhere, |sum, p| sum + p);
    posterior.iter_mut().for_each(|p| *p /= sum);
    (posterior, elsewhere / sum)
}
