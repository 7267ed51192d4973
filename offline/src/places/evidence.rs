//! Simulated requests: what an open's network tells of where its reader is, and what `locate` makes of it.
//!
//! No public log has requests with true positions, and the simulated market is one city. So readers of the test slice
//! are given an open each: most are at home in their city, some are out of town and will order there. The network's
//! error follows what was measured of address databases ("Lost in the Prefix", arXiv 2605.21937: median errors of
//! 3 to 16 km for fixed and of 179 to 207 km for mobile networks); how many are mobile, hidden or away is assumed, and
//! said. What comes out shows that the fusion is right for such a world, not what the world is like.

use super::figures::{Answered, Spread, bins, calibration_error, measures, newness, spread};
use super::model::Weights;
use super::study::Asked;
use crate::timeline::mix;
use freshrank::MerchantId;
use freshrank::campaign::PlacePolicy;
use freshrank::context::{Context, Fix, Grade};
use freshrank::geo::Point;
use freshrank::locate::{FUSION, Fusion, Sight, fuse, locate};
use serde::Serialize;

/// Kilometres of a degree of latitude.
const KM_PER_DEGREE: f64 = 111.195;

/// How requests err.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct World {
    /// Readers who are out of town and will order there; assumed.
    pub away: f64,
    /// Half of those are within this many kilometres; assumed.
    pub away_km: f64,
    /// Median error of a fixed network: the middle of the measured medians.
    pub fixed_km: f64,
    /// Median error of a mobile network: likewise.
    pub mobile_km: f64,
    /// Direct requests that come through a carrier's gateway; assumed.
    pub mobile: f64,
    /// Direct requests from a hidden network that nobody knew to be one; assumed.
    pub hidden: f64,
    /// Median distance of a relay's city; a relay says its city at best.
    pub relay_km: f64,
    /// Coarse requests that only keep to the country; assumed.
    pub country: f64,
    /// Coarse requests from a network known to hide its users; assumed.
    pub known_hidden: f64,
}

impl World {
    /// What was measured, and what is assumed.
    #[must_use]
    pub fn measured() -> Self {
        Self {
            away: 0.03,
            away_km: 300.0,
            fixed_km: 9.5,
            mobile_km: 193.0,
            mobile: 0.2,
            hidden: 0.005,
            relay_km: 30.0,
            country: 0.3,
            known_hidden: 0.1,
        }
    }
}

/// The kernels that such a world asks for.
pub(super) fn measured(fusion: Fusion) -> Fusion {
    let world = World::measured();
    let network = Sight {
        median_km: world.fixed_km,
        gateway_share: world.mobile,
        gateway_km: world.mobile_km,
        outlier: world.hidden,
        ..fusion.network
    };
    let coarse = Sight {
        median_km: world.relay_km,
        gateway_share: world.country,
        gateway_km: world.mobile_km,
        outlier: world.known_hidden,
        ..fusion.coarse
    };
    Fusion { network, coarse, far_km: world.away_km, ..fusion }
}

/// What such an open is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// At home, a fixed line.
    Fixed,
    /// At home, through a gateway in the country.
    Gateway,
    /// At home, through a network that hides it, anywhere.
    Hidden,
    /// Out of town.
    Away,
}

/// Uniform draws of one open.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = mix(self.0);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A point at a distance drawn by the inverse of its distribution, in any direction.
    fn moved(&mut self, from: Point, km: f64) -> Point {
        let angle = self.next() * core::f64::consts::TAU;
        let latitude = from.latitude() + km * libm::sin(angle) / KM_PER_DEGREE;
        let east = km * libm::cos(angle) / (KM_PER_DEGREE * libm::cos(from.latitude().to_radians()));
        let longitude = (from.longitude() + east + 540.0).rem_euclid(360.0) - 180.0;
        Point::new(latitude.clamp(-89.0, 89.0), longitude).unwrap_or(from)
    }

    /// Heavy-tailed with this median: beyond d lies a share of 1 / (1 + (d / median)^2).
    fn heavy(&mut self, median_km: f64) -> f64 {
        let u = self.next();
        median_km * libm::sqrt(u / (1.0 - u))
    }

    /// Circular normal with this median.
    fn normal(&mut self, median_km: f64) -> f64 {
        median_km * libm::sqrt(libm::log2(1.0 / (1.0 - self.next())))
    }

    fn anywhere(&mut self) -> Point {
        let north = libm::asin(2.0 * self.next() - 1.0).to_degrees();
        Point::new(north, 360.0 * self.next() - 180.0).unwrap_or(Point::ORIGIN)
    }
}

/// One simulated open of a reader.
struct Opened<'a, 't> {
    asked: &'a Asked<'t>,
    kind: Kind,
    /// As many as known places where the order goes out of town.
    label: usize,
    position: Point,
}

fn open<'a, 't>(asked: &'a Asked<'t>, grade: Grade, world: &World, seed: u64) -> Opened<'a, 't> {
    let mut draws = Draws(mix(seed ^ MerchantId::of(asked.query.user_id).0 ^ mix(asked.query.at as u64)));
    let away = draws.next() < world.away;
    let true_point = if away {
        let km = draws.heavy(world.away_km);
        draws.moved(asked.query.destination, km)
    } else {
        asked.query.destination
    };
    let [hidden, country, near_km] = match grade {
        Grade::Network => [world.hidden, world.mobile, world.fixed_km],
        _ => [world.known_hidden, world.country, world.relay_km],
    };
    let (kind, position) = if draws.next() < hidden {
        (Kind::Hidden, draws.anywhere())
    } else if draws.next() < country {
        let km = draws.normal(world.mobile_km);
        (Kind::Gateway, draws.moved(true_point, km))
    } else {
        let km = draws.heavy(near_km);
        (Kind::Fixed, draws.moved(true_point, km))
    };
    let label = if away { asked.facts.spots.len() } else { asked.label };
    Opened { asked, kind: if away { Kind::Away } else { kind }, label, position }
}

/// One line of the report.
#[derive(Debug, Clone, Serialize)]
pub struct EvidenceFigures {
    /// `network` or `coarse`.
    pub grade: Grade,
    /// Which opens.
    pub kind: Option<Kind>,
    /// How many.
    pub opens: usize,
    /// Log loss of the profile alone.
    pub prior_log_loss: f64,
    /// With the request.
    pub log_loss: Spread,
    /// With kernels half as wide, and twice as wide.
    pub half_and_twice: [f64; 2],
    /// Equal-mass calibration error of elsewhere's posterior.
    pub elsewhere_calibration_error: f64,
    /// Share of these opens that count as travelling.
    pub travelling: f64,
    /// Share whose likeliest known place is another one than without the request.
    pub moved: f64,
}

/// Opens every query of a slice once by a direct connection and once by a relay.
#[must_use]
pub fn figures(slice: &[Asked<'_>], weights: &Weights, resamples: usize, seed: u64) -> Vec<EvidenceFigures> {
    let world = World::measured();
    let mut figures = Vec::new();
    for grade in [Grade::Network, Grade::Coarse] {
        let opened: Vec<Opened<'_, '_>> = slice.iter().map(|asked| open(asked, grade, &world, seed)).collect();
        for kind in [None, Some(Kind::Fixed), Some(Kind::Gateway), Some(Kind::Hidden), Some(Kind::Away)] {
            let of: Vec<&Opened<'_, '_>> =
                opened.iter().filter(|open| kind.is_none_or(|kind| open.kind == kind)).collect();
            if !of.is_empty() {
                figures.push(figure(&of, grade, kind, weights, resamples, seed));
            }
        }
    }
    figures
}

fn scaled(fusion: Fusion, grade: Grade, by: f64) -> Fusion {
    let wide = |s: Sight| Sight { median_km: by * s.median_km, gateway_km: by * s.gateway_km, ..s };
    match grade {
        Grade::Network => Fusion { network: wide(fusion.network), ..fusion },
        _ => Fusion { coarse: wide(fusion.coarse), ..fusion },
    }
}

fn figure(
    opened: &[&Opened<'_, '_>],
    grade: Grade,
    kind: Option<Kind>,
    weights: &Weights,
    resamples: usize,
    seed: u64,
) -> EvidenceFigures {
    let n = opened.len() as f64;
    let (mut travelling, mut moved) = (0.0, 0.0);
    let mut sums = [0.0; 3];
    let mut answers: Vec<Answered<'_>> = Vec::with_capacity(opened.len());
    for open in opened {
        let (profile, kept) = open.asked.profile(weights);
        let blind = open.asked.context(false);
        let seen = Context { request: Some(Fix { point: open.position, grade }), ..blind.clone() };
        let answer = |context: &Context, fusion: &Fusion| {
            let posterior = fuse(&profile, context, fusion);
            let probabilities = open.asked.spread(&posterior, &kept, weights);
            Answered { user_id: open.asked.query.user_id, probabilities, label: open.label }
        };
        let loss = |context: &Context, fusion: &Fusion| measures(&answer(context, fusion))[2];
        sums[0] += loss(&blind, &FUSION);
        sums[1] += loss(&seen, &scaled(FUSION, grade, 0.5));
        sums[2] += loss(&seen, &scaled(FUSION, grade, 2.0));
        answers.push(answer(&seen, &FUSION));
        let best = |context: &Context| {
            let place = locate(&profile, context, PlacePolicy::Predicted);
            (place.travelling, place.point.map(|point| point.cell()))
        };
        let ((_, before), (travels, after)) = (best(&blind), best(&seen));
        travelling += if travels { 1.0 } else { 0.0 };
        moved += if before != after { 1.0 } else { 0.0 };
    }
    let each: Vec<_> = answers.iter().map(|answer| (answer.user_id, measures(answer))).collect();
    EvidenceFigures {
        grade,
        kind,
        opens: opened.len(),
        prior_log_loss: sums[0] / n,
        log_loss: spread(&each, resamples, seed)[2],
        half_and_twice: [sums[1] / n, sums[2] / n],
        elsewhere_calibration_error: calibration_error(&bins(answers.iter().map(newness).collect())),
        travelling: travelling / n,
        moved: moved / n,
    }
}
