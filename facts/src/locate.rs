//! Where the reader's next order will likely go, or honestly unknown.
//!
//! A mixture: the profile's likely places, each with its probability at this part of the day, and an explicit
//! *elsewhere* with the reader's rate of new places. A position x of trust t multiplies each component by its likelihood,
//!
//! ```text
//! posterior(c) = prior(c) x (t f(x|c) / sum over c' of prior(c') f(x|c') + 1 - t)
//! f(x|place)     = (1 - o) ((1 - g) K(d; s) + g N(d; w)) + o / land
//! f(x|elsewhere) = the same from the nearest likely place, spread by how far new places lie from it
//! ```
//!
//! with d the distance in kilometres. K(d; s) = (1 + (d/s)^2)^-2 / (pi s^2) is heavy-tailed: half of such positions lie
//! within s, and a share of 1 / (1 + (d/s)^2) beyond d. N is a circular normal distribution: a carrier's gateway stands in
//! the carrier's country. The outlier mass o is spread over all land, so that one wrong address never rules a place out.
//! What cannot tell a city's places apart sees a city as one place. Trust is the chance that the order goes where the
//! reader was seen; an event loses it with age.
//!
//! Decided is the app's own position, else the place of a fresh event that is no less likely than any other, else the
//! likeliest place. Who is likelier elsewhere than at home travels; then an event of up to [`STALE_SECONDS`] decides, where the
//! network, if there is one, sees the same city: it alone tells that they are away.
//!
//! `freshrank places fit` fits [`FUSION`] and `models/place-model.json` holds what it found; a test compares the two.

use crate::context::{Context, Grade, LastEvent};
use crate::geo::{Cell, Point};
use crate::profile::Profile;
use crate::time::Local;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Elsewhere's posterior from which the reader counts as travelling.
const TRAVELLING: f64 = 0.5;
/// How long an event is fresh enough to move a reader who may as well be at home; an older one only moves who is likelier there than anywhere else.
const FRESH_SECONDS: i64 = 2 * 3600;
/// After this long an event tells nothing here: places where events were is what the offline model counts, from this age on.
pub const STALE_SECONDS: i64 = 24 * 3600;
/// Evidence this near a likely place is that place.
const SAME_PLACE_KM: f64 = 0.3;
/// Even who never went anywhere new may do so.
const NEW_PLACE_FLOOR: f64 = 0.02;
/// Where an outlier may lie: the land of the Earth, square kilometres.
const LAND_KM2: f64 = 1.49e8;
/// Half of a circular normal distribution lies within this many deviations: sqrt(2 ln 2).
const NORMAL_MEDIAN: f64 = 1.177_410_022_515_474_7;

/// How evidence is weighed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fusion {
    /// That an order goes to the app's own position; as an event of no age.
    pub exact_trust: f64,
    /// Of an event `trip_end`.
    pub trip_end: Trust,
    /// Of any other event.
    pub event: Trust,
    /// Of a precise position.
    pub precise: Sight,
    /// Of a direct connection.
    pub network: Sight,
    /// Of a relay, a carrier, or a network known to hide its users.
    pub coarse: Sight,
    /// Half of the new places in town lie this near a likely one, kilometres.
    pub new_km: f64,
    /// Share of new places that are out of town.
    pub far_share: f64,
    /// Half of those lie within this, kilometres.
    pub far_km: f64,
    /// After a precise position: the power of every component, 1 leaves it. A later slice of orders tells.
    pub power: f64,
    /// After a precise position: elsewhere is worth this much more.
    pub elsewhere: f64,
}

/// The chance that the order goes where the reader was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trust {
    /// At once.
    pub now: f64,
    /// After so many hours it is half of that.
    pub half_life_hours: f64,
}

/// What a grade of evidence can see.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sight {
    /// Half of the positions lie within this, kilometres.
    pub median_km: f64,
    /// Share of positions that are a gateway's.
    pub gateway_share: f64,
    /// Half of the gateways lie within this, kilometres.
    pub gateway_km: f64,
    /// Probability that such a position is wrong altogether.
    pub outlier: f64,
    /// Likely places this near each other look like one; 0 where the evidence tells them apart.
    pub city_km: f64,
}

/// What `freshrank places fit` found, rounded.
///
/// Trust, power, elsewhere and `new_km` are fitted to simulated orders; a trip's end is trusted as much as the fit was
/// allowed to, since simulated trips end before orders only. `precise` is a phone's position beside an address. No public
/// log has requests with true positions: `network` and `coarse` are held to what was measured of address databases, medians of
/// 3 to 16 km for fixed and 179 to 207 km for mobile networks ("Lost in the Prefix", arXiv 2605.21937); shares of gateways,
/// outliers and far places are assumed. `freshrank places report` shows what kernels half and twice as wide would cost.
pub const FUSION: Fusion = Fusion {
    exact_trust: 0.95,
    trip_end: Trust { now: 0.95, half_life_hours: 12.0 },
    event: Trust { now: 0.95, half_life_hours: 0.795 },
    precise: Sight { median_km: 0.05, gateway_share: 0.0, gateway_km: 1.0, outlier: 0.0005, city_km: 0.0 },
    network: Sight { median_km: 9.5, gateway_share: 0.2, gateway_km: 193.0, outlier: 0.005, city_km: 25.0 },
    coarse: Sight { median_km: 30.0, gateway_share: 0.3, gateway_km: 193.0, outlier: 0.1, city_km: 50.0 },
    new_km: 1.32,
    far_share: 0.2,
    far_km: 300.0,
    power: 0.912,
    elsewhere: 0.9855,
};

/// How a campaign wants the place decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum PlacePolicy {
    /// Likely places and evidence together.
    #[default]
    Fused,
    /// The likeliest place of the profile.
    Predicted,
    /// The last event, however old within a day.
    LastEvent,
    /// The newest position of any kind.
    Freshest,
}

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

impl Trust {
    fn after(self, seconds: i64) -> f64 {
        self.now * libm::exp2(-(seconds as f64) / 3600.0 / self.half_life_hours)
    }
}

impl Sight {
    /// Positions a square kilometre at this distance from where the reader is, when that itself is only known to within
    /// `spread_km`, half of the time.
    fn density(&self, distance_km: f64, spread_km: f64) -> f64 {
        let wide = |km: f64| libm::sqrt(km * km + spread_km * spread_km);
        let scale = wide(self.median_km);
        let ratio = distance_km / scale;
        let tail = 1.0 + ratio * ratio;
        let near = 1.0 / (core::f64::consts::PI * scale * scale * tail * tail);
        let deviation = wide(self.gateway_km) / NORMAL_MEDIAN;
        let ratio = distance_km / deviation;
        let gateway = libm::exp(-ratio * ratio / 2.0) / (core::f64::consts::TAU * deviation * deviation);
        (1.0 - self.outlier) * ((1.0 - self.gateway_share) * near + self.gateway_share * gateway)
            + self.outlier / LAND_KM2
    }

    /// The same for a reader who is elsewhere, at this distance from the nearest likely place.
    fn density_elsewhere(&self, distance_km: f64, fusion: &Fusion) -> f64 {
        let (near, far) = (self.density(distance_km, fusion.new_km), self.density(distance_km, fusion.far_km));
        (1.0 - fusion.far_share) * near + fusion.far_share * far
    }

    /// How far each likely place is from the evidence, as far as the evidence can tell.
    fn distances(&self, profile: &Profile, point: Point) -> Vec<f64> {
        let mut distances: Vec<f64> = profile.places.iter().map(|place| place.point.distance_km(point)).collect();
        let n = if self.city_km > 0.0 { distances.len() } else { 0 };
        // A city may be a chain of places: as many rounds as places carry the nearest one's distance through it.
        for (_, i, j) in (0..n).flat_map(|round| (0..n).flat_map(move |i| (0..n).map(move |j| (round, i, j)))) {
            let same_city = profile.places[i].point.distance_km(profile.places[j].point) <= self.city_km;
            if same_city && distances[j] < distances[i] {
                distances[i] = distances[j];
            }
        }
        distances
    }
}

/// Posterior of each likely place, and of elsewhere; they add up to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    /// In the profile's order.
    pub places: Vec<f64>,
    /// None of them.
    pub elsewhere: f64,
}

impl Posterior {
    /// The profile's own, at this moment's part of the day.
    fn prior(profile: &Profile, context: &Context) -> Self {
        let daypart = Local::new(context.at, profile.offset_minutes).daypart();
        let total: f64 = profile.places.iter().map(|place| f64::from(place.at(daypart))).sum();
        let rate = f64::from(profile.new_place_rate);
        let rate = if rate > NEW_PLACE_FLOOR { rate } else { NEW_PLACE_FLOOR };
        let known = if total > 0.0 { 1.0 - rate } else { 0.0 };
        let share = |p: f32| if total > 0.0 { known * f64::from(p) / total } else { 0.0 };
        let places = profile.places.iter().map(|place| share(place.at(daypart))).collect();
        Self { places, elsewhere: 1.0 - known }
    }

    /// Takes a position in.
    fn see(&mut self, profile: &Profile, point: Point, sight: &Sight, trust: f64, fusion: &Fusion) {
        let distances = sight.distances(profile, point);
        let Some(nearest) = distances.iter().copied().reduce(|a, b| if b < a { b } else { a }) else {
            return;
        };
        let likely: Vec<f64> = self.places.iter().zip(&distances).map(|(p, km)| p * sight.density(*km, 0.0)).collect();
        let elsewhere = self.elsewhere * sight.density_elsewhere(nearest, fusion);
        let sum = likely.iter().fold(elsewhere, |sum, p| sum + p);
        // Elsewhere is always possible and outliers lie everywhere; whoever sets either to zero is not told anything.
        if sum > 0.0 {
            let mix = |prior: f64, likely: f64| trust * (likely / sum) + (1.0 - trust) * prior;
            self.places.iter_mut().zip(&likely).for_each(|(p, likely)| *p = mix(*p, *likely));
            self.elsewhere = mix(self.elsewhere, elsewhere);
        }
    }

    /// What precise positions are held to on later orders.
    fn calibrate(&mut self, fusion: &Fusion) {
        let raised = |p: f64| if p > 0.0 { libm::exp(fusion.power * libm::log(p)) } else { 0.0 };
        self.places.iter_mut().for_each(|p| *p = raised(*p));
        self.elsewhere = fusion.elsewhere * raised(self.elsewhere);
        let sum = self.places.iter().fold(self.elsewhere, |sum, p| sum + p);
        if sum > 0.0 {
            self.places.iter_mut().for_each(|p| *p /= sum);
            self.elsewhere /= sum;
        }
    }
}

/// Fuses the profile's likely places with the evidence of this open, weighed as told.
#[must_use]
pub fn fuse(profile: &Profile, context: &Context, fusion: &Fusion) -> Posterior {
    let mut posterior = Posterior::prior(profile, context);
    let Some(evidence) = Evidence::of(context) else {
        return posterior;
    };
    if let Some((point, sight)) = evidence.network(fusion) {
        posterior.see(profile, point, sight, 1.0, fusion);
    }
    if let Some((point, trust)) = evidence.precise(context, fusion) {
        posterior.see(profile, point, &fusion.precise, trust, fusion);
        posterior.calibrate(fusion);
    }
    posterior
}

/// What an open tells of the reader's whereabouts; at least one of them is there.
struct Evidence<'c> {
    exact: Option<Point>,
    event: Option<&'c LastEvent>,
    coarser: Option<(Point, Grade)>,
}

impl<'c> Evidence<'c> {
    fn of(context: &'c Context) -> Option<Self> {
        let at = |grade: Grade| context.request.filter(|fix| fix.grade == grade).map(|fix| fix.point);
        let exact = at(Grade::Exact);
        let recent = |event: &&LastEvent| (0..=STALE_SECONDS).contains(&(context.at - event.at));
        let event = context.last_event.as_ref().filter(recent);
        let network = at(Grade::Network).map(|point| (point, Grade::Network));
        let coarser = network.or_else(|| at(Grade::Coarse).map(|point| (point, Grade::Coarse)));
        let any = exact.is_some() || event.is_some() || coarser.is_some();
        any.then_some(Self { exact, event, coarser })
    }

    /// The network's position, and what it can see.
    fn network<'f>(&self, fusion: &'f Fusion) -> Option<(Point, &'f Sight)> {
        let (point, grade) = self.coarser?;
        Some((point, if grade == Grade::Network { &fusion.network } else { &fusion.coarse }))
    }

    /// Whether the network, which is newer than any event, sees the same city, if it sees any.
    fn agrees(&self, point: Point) -> bool {
        self.network(&FUSION).is_none_or(|(seen, sight)| seen.distance_km(point) <= sight.city_km)
    }

    /// The precise position and its trust. The app's own is newer than any event, which then tells nothing more.
    fn precise(&self, context: &Context, fusion: &Fusion) -> Option<(Point, f64)> {
        let of_event = |event: &LastEvent| {
            let trust = if event.kind == "trip_end" { fusion.trip_end } else { fusion.event };
            (event.point, trust.after(context.at - event.at))
        };
        self.exact.map(|point| (point, fusion.exact_trust)).or_else(|| self.event.map(of_event))
    }
}

/// Fuses the profile's likely places with the evidence of this open, and decides on one.
#[must_use]
pub fn locate(profile: &Profile, context: &Context, policy: PlacePolicy) -> Place {
    let evidence = Evidence::of(context);
    let Posterior { places: posterior, elsewhere } = fuse(profile, context, &FUSION);
    // A place nobody orders from at this part of the day is no prediction.
    let likeliest = posterior.iter().enumerate().filter(|(_, p)| **p > 0.0).fold(None, |best, (i, &p)| match best {
        Some((_, q)) if q >= p => best,
        _ => Some((i, p)),
    });
    // Nobody travels who has no place to be away from.
    let travelling = evidence.is_some() && !profile.places.is_empty() && elsewhere > TRAVELLING;

    let predicted = likeliest.map(|(i, p)| (profile.places[i].point, p, Source::Predicted));
    // What is where a likely place is, is that place: its address is better than the fix.
    let moved = |point: Point, source| {
        let near = profile.places.iter().enumerate().map(|(i, place)| (i, place.point.distance_km(point)));
        let near = near.filter(|(_, km)| *km <= SAME_PLACE_KM).reduce(|a, b| if b.1 < a.1 { b } else { a });
        match near {
            Some((i, _)) => (profile.places[i].point, posterior[i], source),
            None => (point, elsewhere, source),
        }
    };
    let exact = evidence.as_ref().and_then(|seen| seen.exact).map(|point| moved(point, Source::Exact));
    let event = evidence.as_ref().and_then(|seen| seen.event);
    let last = event.map(|event| moved(event.point, Source::LastEvent));
    // A fresh event moves a reader who is not likelier somewhere known.
    let fresh = last.filter(|_| event.is_some_and(|event| context.at - event.at <= FRESH_SECONDS));
    let fresh = fresh.filter(|(_, p, _)| predicted.is_none_or(|(_, likeliest, _)| *p >= likeliest));
    // An older one moves who is likelier there than anywhere else: it alone tells that they are away, and so it tells where.
    let gone =
        last.filter(|(point, p, _)| *p > TRAVELLING && evidence.as_ref().is_some_and(|seen| seen.agrees(*point)));
    let decided = match policy {
        PlacePolicy::Predicted => predicted,
        PlacePolicy::LastEvent => last.or(predicted),
        PlacePolicy::Freshest => exact.or(last).or(predicted),
        PlacePolicy::Fused if travelling => exact.or(fresh).or(gone),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Fix;
    use crate::profile::LikelyPlace;
    use alloc::string::ToString;
    use alloc::vec;

    fn homebody() -> Profile {
        let place = |latitude, p| LikelyPlace { point: Point::new(latitude, 24.94).unwrap(), probability: [p; 4] };
        Profile { places: vec![place(60.17, 0.7), place(60.27, 0.3)], new_place_rate: 0.1, ..Profile::default() }
    }

    fn seen(latitude: f64, grade: Grade) -> Context {
        let point = Point::new(latitude, 24.94).unwrap();
        Context { at: 1_795_168_800, request: Some(Fix { point, grade }), ..Context::default() }
    }

    /// Rings of one kilometre, and beyond 20,000 km nothing: what is left out is the outliers' and the tail's.
    #[test]
    fn positions_of_every_grade_add_up_to_one() {
        for (name, sight) in [("precise", &FUSION.precise), ("network", &FUSION.network), ("coarse", &FUSION.coarse)] {
            for spread_km in [0.0, FUSION.new_km, FUSION.far_km] {
                let ring = |km: f64, step: f64| {
                    let away = sight.density(km, spread_km) - sight.outlier / LAND_KM2;
                    core::f64::consts::TAU * km * away * step
                };
                let near: f64 = (0..100_000).map(|i| ring((f64::from(i) + 0.5) * 1e-3, 1e-3)).sum();
                let far: f64 = (0..199_000).map(|i| ring(100.0 + (f64::from(i) + 0.5) * 0.1, 0.1)).sum();
                let sum = near + far + sight.outlier;
                assert!((sum - 1.0).abs() < 2e-3, "{name}, spread {spread_km} km: {sum}");
            }
        }
    }

    #[test]
    fn half_of_the_positions_lie_within_the_median() {
        let sight = Sight { median_km: 10.0, gateway_share: 0.0, gateway_km: 1.0, outlier: 0.0, city_km: 0.0 };
        let ring = |i: i32| {
            let km = (f64::from(i) + 0.5) * 1e-2;
            core::f64::consts::TAU * km * sight.density(km, 0.0) * 1e-2
        };
        assert!(((0..1000).map(ring).sum::<f64>() - 0.5).abs() < 1e-4);
    }

    #[test]
    fn the_farther_a_network_is_the_likelier_is_elsewhere_until_it_may_as_well_be_wrong() {
        let elsewhere = |latitude: f64| fuse(&homebody(), &seen(latitude, Grade::Network), &FUSION).elsewhere;
        let blind = fuse(&homebody(), &seen(60.17, Grade::None), &FUSION).elsewhere;
        assert!((blind - 0.1).abs() < 1e-7, "{blind}");
        let [at_home, in_the_country, abroad] = [60.2, 62.0, 45.0].map(elsewhere);
        assert!(at_home < blind && in_the_country < 0.5 && abroad > 0.5, "{at_home} {in_the_country} {abroad}");
    }

    #[test]
    fn an_event_weighs_half_as_much_after_its_half_life() {
        let at = |hours: f64| FUSION.event.after((hours * 3600.0) as i64);
        let half = FUSION.event.half_life_hours;
        assert!((at(half) - FUSION.event.now / 2.0).abs() < 1e-3 && at(0.0) == FUSION.event.now);
        let plain = Fusion { power: 1.0, elsewhere: 1.0, ..FUSION };
        let event = |seconds: i64| {
            let event = LastEvent {
                kind: "trip_end".to_string(),
                point: Point::new(60.27, 24.94).unwrap(),
                at: 1_795_168_800 - seconds,
            };
            let context = Context { last_event: Some(event), request: None, ..seen(60.17, Grade::None) };
            fuse(&homebody(), &context, &plain).places[1]
        };
        let prior = fuse(&homebody(), &seen(60.17, Grade::None), &FUSION).places[1];
        for hours in [0, 3, 12, 24] {
            let trust = FUSION.trip_end.after(hours * 3600);
            let expected = trust + (1.0 - trust) * prior;
            assert!((event(hours * 3600) - expected).abs() < 2e-3, "{hours} h: {} {expected}", event(hours * 3600));
        }
        assert_eq!((event(24 * 3600 + 1), event(-1)), (prior, prior), "a day old, or of the future: no evidence");
    }
}
