//! Fits the place model and the engine's fusion: weights on the earliest queries, calibration on later ones.

use super::evidence;
use super::facts::{COLUMNS, N_COLUMNS};
use super::logit::{Choice, fit, log_loss, minimise};
use super::model::{Fitted, PlaceModel, Weights};
use super::study::{Asked, Hours, Study};
use freshrank::context::Context;
use freshrank::locate::{FUSION, Fusion, Trust, fuse};
use freshrank::profile::Profile;
use rayon::prelude::*;
use serde::Serialize;

/// Half of this times the sum of squared weights is subtracted from the log likelihood.
pub const RIDGE: f64 = 1.0;
/// Of the simplex search.
const ROUNDS: usize = 300;
/// Trust is at most this, and its half-life. In the simulated market a trip always ends before an order there, so that
/// the fit would trust it blindly and for days; nobody's trips do that.
const MAX_TRUST: f64 = 0.95;
const MAX_HALF_LIFE_HOURS: f64 = 12.0;

/// What a fit came to.
#[derive(Debug, Clone, Serialize)]
pub struct FitReport {
    /// Said first when present.
    pub simulated: Option<String>,
    /// Mean log loss of the send-time fit on what it was fitted on.
    pub train_log_loss: f64,
    /// On the slice that calibrates, before and after.
    pub calibration_log_loss: [f64; 2],
    /// What leaving a column out costs on the slice that calibrates: the log loss without it, less the one with it.
    pub without: Vec<Without>,
    /// Of the last day's event: log loss of the calibration slice's queries that have one, without it, with it, and
    /// calibrated after fusion.
    pub fusion_log_loss: [f64; 3],
    /// The same with trust and half-life as the simulated orders alone would have them.
    pub fusion_unbounded: ([f64; 4], f64),
    /// How many queries those are.
    pub fusion_queries: usize,
}

/// A column that was left out.
#[derive(Debug, Clone, Serialize)]
pub struct Without {
    /// Its name.
    pub column: &'static str,
    /// In nats a query; above zero the column helps.
    pub costs: f64,
}

/// Fits everything.
#[must_use]
pub fn run(study: &Study<'_>, simulated: Option<&str>) -> (PlaceModel, FitReport) {
    let send_time = weights(study, Hours::SendTime, false);
    let known_hour = weights(study, Hours::KnownHour, false);
    let with_event = weights(study, Hours::SendTime, true);
    let (train, calibrate) = (choices(study.train(), Hours::SendTime), choices(study.calibrate(), Hours::SendTime));
    // A query is one choice or two.
    let per_query = |choices: &[Choice], queries: usize, columns: &[f64]| {
        log_loss(choices, columns) * choices.len() as f64 / queries.max(1) as f64
    };
    let later = |columns: &[f64]| per_query(&calibrate, study.calibrate().len(), columns);
    let raw = later(&send_time.columns);
    let calibrated = mean(study.calibrate().iter().map(|asked| {
        -libm::log(send_time.probabilities(&asked.facts, asked.message).get(asked.label).copied().unwrap_or(0.0))
    }));
    let shipped: Vec<usize> = (0..N_COLUMNS).filter(|i| !COLUMNS[*i].fresh).collect();
    let leave = |left: &usize| {
        let mut free = free(false);
        free[*left] = false;
        let weights = fit(&train, &[0.0; N_COLUMNS], &free, RIDGE);
        Without { column: COLUMNS[*left].name, costs: later(&weights) - raw }
    };
    let without = shipped.par_iter().map(leave).collect();
    let fused = fusion(study, &send_time);
    let model = PlaceModel {
        simulated: simulated.map(str::to_owned),
        fitted: Fitted {
            train_queries: study.train().len(),
            calibration_queries: study.calibrate().len(),
            calibrated_from: freshrank::time::format(study.calibrate_from),
            tested_from: freshrank::time::format(study.test_from),
            ridge: RIDGE,
        },
        send_time,
        known_hour,
        with_event,
        fusion: fused.fusion,
    };
    let report = FitReport {
        simulated: model.simulated.clone(),
        train_log_loss: per_query(&train, study.train().len(), &send_time.columns),
        calibration_log_loss: [raw, calibrated],
        without,
        fusion_log_loss: fused.losses,
        fusion_unbounded: fused.unbounded,
        fusion_queries: fused.queries,
    };
    (model, report)
}

fn choices(slice: &[Asked<'_>], hours: Hours) -> Vec<Choice> {
    slice.par_iter().flat_map_iter(|asked| asked.choices(hours)).collect()
}

fn free(with_event: bool) -> [bool; N_COLUMNS] {
    let mut free = [true; N_COLUMNS];
    free.iter_mut().zip(COLUMNS).for_each(|(free, column)| *free = with_event || !column.fresh);
    free
}

/// Weights on what trains, power and new place on what calibrates.
fn weights(study: &Study<'_>, hours: Hours, with_event: bool) -> Weights {
    let found = fit(&choices(study.train(), hours), &[0.0; N_COLUMNS], &free(with_event), RIDGE);
    let mut weights = Weights { columns: [0.0; N_COLUMNS], power: 1.0, new: 0.0 };
    weights.columns.copy_from_slice(&found);
    let calibration = |asked: &Asked<'_>| {
        let raw = weights.raw(&asked.facts, asked.hour(hours));
        let last = raw.len() - 1;
        let rows = raw.iter().enumerate().flat_map(|(i, p)| [libm::log(*p), if i == last { 1.0 } else { 0.0 }]);
        Choice { rows: rows.collect(), chosen: asked.label }
    };
    let calibration: Vec<Choice> = study.calibrate().iter().map(calibration).collect();
    let found = fit(&calibration, &[1.0, 0.0], &[true, true], 0.0);
    Weights { power: found[0], new: found[1], ..weights }
}

/// A query whose message knows an event of the last day.
struct Case<'a, 't> {
    asked: &'a Asked<'t>,
    profile: Profile,
    kept: Vec<usize>,
    context: Context,
}

impl<'a, 't> Case<'a, 't> {
    fn of(slice: &'a [Asked<'t>], weights: &Weights) -> Vec<Self> {
        let case = |asked: &'a Asked<'t>| {
            asked.last_event.as_ref()?;
            let (profile, kept) = asked.profile(weights);
            Some(Self { asked, profile, kept, context: asked.context(true) })
        };
        slice.par_iter().filter_map(case).collect()
    }

    /// -ln of what was said of where the order went.
    fn loss(&self, weights: &Weights, fusion: &Fusion) -> f64 {
        let posterior = fuse(&self.profile, &self.context, fusion);
        let all = self.asked.spread(&posterior, &self.kept, weights);
        -libm::log(all.get(self.asked.label).copied().unwrap_or(0.0))
    }
}

fn loss(cases: &[Case<'_, '_>], weights: &Weights, fusion: &Fusion) -> f64 {
    let losses: Vec<f64> = cases.par_iter().map(|case| case.loss(weights, fusion)).collect();
    mean(losses.into_iter())
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (n, sum) = values.fold((0.0, 0.0), |(n, sum), value| (n + 1.0, sum + value));
    if n > 0.0 { sum / n } else { 0.0 }
}

fn chance(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

struct Fused {
    fusion: Fusion,
    losses: [f64; 3],
    unbounded: ([f64; 4], f64),
    queries: usize,
}

/// Trust on what trains, power and elsewhere on what calibrates; the kernels of networks from what was measured of them.
fn fusion(study: &Study<'_>, weights: &Weights) -> Fused {
    let base = Fusion { power: 1.0, elsewhere: 1.0, new_km: new_km(study), ..evidence::measured(FUSION) };
    let train = Case::of(study.train(), weights);
    let fitted = |max_trust: f64, max_hours: f64| {
        let with = |x: &[f64]| {
            let hours = |x: f64| max_hours * chance(x);
            let trust = |at: usize| Trust { now: max_trust * chance(x[at]), half_life_hours: hours(x[at + 1]) };
            Fusion { trip_end: trust(0), event: trust(2), exact_trust: max_trust * chance(x[2]), ..base }
        };
        with(&minimise(&[1.0, 0.0, 1.0, -1.0], &[1.0; 4], ROUNDS, &|x| loss(&train, weights, &with(x))))
    };
    let trusted = fitted(MAX_TRUST, MAX_HALF_LIFE_HOURS);
    let unbounded = fitted(1.0, 240.0);

    let calibrate = Case::of(study.calibrate(), weights);
    let with = |x: &[f64]| Fusion { power: libm::exp(x[0]), elsewhere: libm::exp(x[1]), ..trusted };
    let found = minimise(&[0.0, 0.0], &[0.2, 0.2], ROUNDS, &|x| loss(&calibrate, weights, &with(x)));
    let calibrated = with(&found);
    let nothing = Trust { now: 0.0, half_life_hours: 1.0 };
    let blind = Fusion { trip_end: nothing, event: nothing, ..base };
    let losses = [blind, trusted, calibrated].map(|fusion| loss(&calibrate, weights, &fusion));
    let (trip, event) = (unbounded.trip_end, unbounded.event);
    let unbounded =
        ([trip.now, trip.half_life_hours, event.now, event.half_life_hours], loss(&calibrate, weights, &unbounded));
    Fused { fusion: calibrated, losses, unbounded, queries: calibrate.len() }
}

/// The median distance of an order to a new place from the nearest known one.
fn new_km(study: &Study<'_>) -> f64 {
    let km = |asked: &Asked<'_>| {
        let far = asked.facts.spots.iter().map(|spot| spot.point.distance_km(asked.query.destination));
        far.reduce(|a, b| if b < a { b } else { a })
    };
    let new = study.train().iter().filter(|asked| asked.label == asked.facts.spots.len());
    let mut all: Vec<f64> = new.filter_map(km).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(FUSION.new_km)
}
