//! Means by query and by reader, with paired bootstrap intervals over readers (Efron and Tibshirani 1993, chapter 13).
//!
//! Readers are drawn, not queries: the queries of one reader are alike. Every column sees the same draws, so that an interval
//! of a difference or of a ratio is one of pairs.

use crate::timeline::mix;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// A mean, and where 95 % of the resampled means lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Of all readers.
    pub value: f64,
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th.
    pub high: f64,
}

/// What each reader's queries add up to.
#[derive(Debug, Clone, Default)]
pub struct Sums<'r> {
    readers: BTreeMap<&'r str, (f64, Vec<f64>)>,
}

impl<'r> Sums<'r> {
    /// Adds one query with one value a column; all queries have as many.
    pub fn add(&mut self, reader: &'r str, values: impl Iterator<Item = f64>) {
        let (n, sums) = self.readers.entry(reader).or_default();
        *n += 1.0;
        for (i, value) in values.enumerate() {
            match sums.get_mut(i) {
                Some(sum) => *sum += value,
                None => sums.push(value),
            }
        }
    }

    /// How many readers there are.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.readers.len()
    }

    /// How many queries there are.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.readers.values().map(|(n, _)| *n as usize).sum()
    }
}

/// Means of every column: by query, then by reader.
pub type Means = Vec<[f64; 2]>;

/// The means of all readers, and those of resampled ones.
#[derive(Debug, Clone)]
pub struct Resampled {
    all: Means,
    again: Vec<Means>,
}

impl Resampled {
    /// Draws readers so many times.
    #[must_use]
    pub fn new(sums: &Sums<'_>, resamples: usize, seed: u64) -> Self {
        let readers: Vec<&(f64, Vec<f64>)> = sums.readers.values().collect();
        let once = vec![1.0; readers.len()];
        let again = (0..resamples as u64).into_par_iter();
        Self {
            all: means(&readers, &once),
            again: again.map(|resample| means(&readers, &drawn(readers.len(), seed, resample))).collect(),
        }
    }

    /// The interval of anything that is told by the means; `None` where it has no value, as a ratio to nothing.
    pub fn interval(&self, of: impl Fn(&Means) -> f64) -> Option<Interval> {
        let value = of(&self.all);
        let mut values: Vec<f64> = self.again.iter().map(of).filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let i = libm::round(share * values.len().saturating_sub(1) as f64) as usize;
            values.get(i).copied().unwrap_or(value)
        };
        value.is_finite().then(|| Interval { value, low: at(0.025), high: at(0.975) })
    }
}

/// How often each reader is drawn, with replacement.
fn drawn(n: usize, seed: u64, resample: u64) -> Vec<f64> {
    let mut times = vec![0.0; n];
    let start = mix(seed ^ mix(resample));
    (0..n as u64).for_each(|i| times[(mix(start.wrapping_add(i)) % n as u64) as usize] += 1.0);
    times
}

/// The mean over queries and the mean over readers' means, each reader counted so many times.
fn means(readers: &[&(f64, Vec<f64>)], times: &[f64]) -> Means {
    let n_columns = readers.first().map_or(0, |(_, sums)| sums.len());
    let mut means = vec![[0.0; 2]; n_columns];
    let (mut queries, mut n) = (0.0, 0.0);
    for ((of_reader, sums), times) in readers.iter().zip(times).filter(|(_, times)| **times > 0.0) {
        queries += times * of_reader;
        n += times;
        for (mean, own) in means.iter_mut().zip(sums) {
            mean[0] += times * own;
            mean[1] += times * own / of_reader;
        }
    }
    for mean in &mut means {
        mean[0] /= queries;
        mean[1] /= n;
    }
    means
}
