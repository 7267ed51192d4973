//! How good probabilities are: hits, log loss, Brier, calibration.

use crate::timeline::mix;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// Bins of equal mass.
const BINS: usize = 15;

/// One answered question.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered<'t> {
    /// Whose.
    pub user_id: &'t str,
    /// Of every class; they add up to 1.
    pub probabilities: Vec<f64>,
    /// The class that came true.
    pub label: usize,
}

/// One bin of a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Mean of what was said.
    pub said: f64,
    /// Share of what came true.
    pub came: f64,
    /// How many.
    pub n: usize,
}

/// A value, and where 95 % of the resampled ones lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Of all readers.
    pub value: f64,
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th.
    pub high: f64,
}

/// What is measured of every query: hits at 1 and 3, log loss, Brier.
pub type Measures = [f64; 4];

/// The measures of one query. Among equal probabilities a hit is its expectation over all orders.
#[must_use]
pub fn measures(answered: &Answered<'_>) -> Measures {
    let p = &answered.probabilities;
    let own = p.get(answered.label).copied().unwrap_or(0.0);
    let better = p.iter().filter(|p| **p > own).count() as f64;
    let equal = p.iter().filter(|p| **p == own).count().max(1) as f64;
    let hit = |k: f64| ((k - better) / equal).clamp(0.0, 1.0);
    let square = |(i, p): (usize, &f64)| {
        let missed = p - if i == answered.label { 1.0 } else { 0.0 };
        missed * missed
    };
    [hit(1.0), hit(3.0), -libm::log(own), p.iter().enumerate().map(square).sum()]
}

/// Means over the queries, and intervals by drawing readers; `differences` may be measures of two answers subtracted.
#[must_use]
pub fn spread(queries: &[(&str, Measures)], resamples: usize, seed: u64) -> [Spread; 4] {
    let mut readers: BTreeMap<&str, (f64, Measures)> = BTreeMap::new();
    for (user, measures) in queries {
        let (n, sums) = readers.entry(user).or_default();
        *n += 1.0;
        sums.iter_mut().zip(measures).for_each(|(sum, value)| *sum += value);
    }
    let readers: Vec<(f64, Measures)> = readers.into_values().collect();
    let mean = |draw: &dyn Fn(usize) -> usize| {
        let (mut n, mut sums) = (0.0, [0.0; 4]);
        for i in 0..readers.len() {
            let (queries, own) = readers[draw(i)];
            n += queries;
            sums.iter_mut().zip(own).for_each(|(sum, value)| *sum += value);
        }
        sums.map(|sum| if n > 0.0 { sum / n } else { 0.0 })
    };
    let all = mean(&|i| i);
    let drawn: Vec<Measures> = (0..resamples as u64)
        .into_par_iter()
        .map(|resample| {
            let start = mix(seed ^ mix(resample));
            mean(&|i| (mix(start.wrapping_add(i as u64)) % readers.len() as u64) as usize)
        })
        .collect();
    [0, 1, 2, 3].map(|m| {
        let mut values: Vec<f64> = drawn.iter().map(|measures| measures[m]).collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let i = libm::round(share * values.len().saturating_sub(1) as f64) as usize;
            values.get(i).copied().unwrap_or(all[m])
        };
        Spread { value: all[m], low: at(0.025), high: at(0.975) }
    })
}

/// Bins of equal mass over what was said, ascending; equal sayings stay in the order of the queries.
#[must_use]
pub fn bins(mut said: Vec<(f64, bool)>) -> Vec<Bin> {
    said.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n = said.len();
    let bins = BINS.min(n);
    let bin = |b: usize| {
        let of = &said[b * n / bins..(b + 1) * n / bins];
        let count = of.len() as f64;
        Bin {
            said: of.iter().map(|(p, _)| p).sum::<f64>() / count,
            came: of.iter().filter(|(_, came)| *came).count() as f64 / count,
            n: of.len(),
        }
    };
    (0..bins).map(bin).collect()
}

/// Mean distance between what was said and what came true, over the bins.
#[must_use]
pub fn calibration_error(bins: &[Bin]) -> f64 {
    let n: usize = bins.iter().map(|bin| bin.n).sum();
    bins.iter().map(|bin| (bin.said - bin.came).abs() * bin.n as f64).sum::<f64>() / n.max(1) as f64
}

/// The likeliest class's probability, and whether it came true; the first among equals.
#[must_use]
pub fn confidence(answered: &Answered<'_>) -> (f64, bool) {
    let p = answered.probabilities.iter().copied().enumerate();
    let (best, p) = p.reduce(|a, b| if b.1 > a.1 { b } else { a }).unwrap_or_default();
    (p, best == answered.label)
}

/// The last class's probability, and whether it came true: a place never used before.
#[must_use]
pub fn newness(answered: &Answered<'_>) -> (f64, bool) {
    let p = answered.probabilities.last().copied().unwrap_or(0.0);
    (p, answered.label + 1 == answered.probabilities.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(probabilities: &[f64], label: usize) -> Answered<'static> {
        Answered { user_id: "u", probabilities: probabilities.to_vec(), label }
    }

    #[test]
    fn a_tie_hits_as_often_as_chance_would() {
        let [hit_1, hit_3, log_loss, brier] = measures(&answered(&[0.4, 0.4, 0.2], 1));
        assert_eq!((hit_1, hit_3), (0.5, 1.0));
        assert!((log_loss + 0.4_f64.ln()).abs() < 1e-15 && (brier - (0.16 + 0.36 + 0.04)).abs() < 1e-15);
        assert_eq!(measures(&answered(&[0.3, 0.3, 0.2, 0.2], 3))[1], 0.5, "two better, two equal: one of three seats");
    }

    #[test]
    fn who_says_what_comes_true_is_calibrated() {
        let honest: Vec<(f64, bool)> = (0..1500).map(|i| (0.2, i % 5 == 0)).collect();
        assert!(calibration_error(&bins(honest.clone())) < 1e-12);
        let bold: Vec<(f64, bool)> = honest.into_iter().map(|(_, came)| (0.5, came)).collect();
        assert!((calibration_error(&bins(bold)) - 0.3).abs() < 1e-12);
        assert!(
            bins((0..1000).map(|i| (f64::from(i) / 1000.0, true)).collect())
                .iter()
                .all(|bin| (66..=67).contains(&bin.n))
        );
        assert!(bins(Vec::new()).is_empty());
    }
}
