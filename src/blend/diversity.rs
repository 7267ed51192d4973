//! Maximal marginal relevance (Carbonell and Goldstein, 1998) over cuisine clusters, in fixed point.
//!
//! With the lever at d, a candidate is worth (1 - d) x relevance - d x likeness. Its relevance is its score between the lowest (0) and the
//! highest (1) of all kept candidates, its likeness the highest cosine of its cluster weights with those of a card already
//! shown. All three are counted in steps of 2^-16, so that a move can be stated exactly.

use super::{Ingredients, main_cluster};
use crate::retrieve::Candidate;
use alloc::vec;
use alloc::vec::Vec;

const STEPS: i64 = 65_536;

/// What every candidate is worth, beside those already shown.
pub(super) struct Diversity {
    lever: i64,
    relevance: Vec<i64>,
    likeness: Vec<i64>,
    weights: Vec<Option<Weights>>,
}

impl Diversity {
    /// `None` where the score alone ranks.
    pub(super) fn new(of: &Ingredients<'_>) -> Option<Self> {
        let lever = of.policy.diversity;
        let lever = if lever > 1.0 { 1.0 } else { lever };
        let lever = libm::round(lever * STEPS as f64) as i64;
        let totals = || of.scores.iter().map(|score| i64::from(score.total()));
        let (lowest, highest) = (totals().min()?, totals().max()?);
        let relevance = |total: i64| if highest > lowest { (total - lowest) * STEPS / (highest - lowest) } else { 0 };
        (lever > 0).then(|| Self {
            lever,
            relevance: totals().map(relevance).collect(),
            likeness: vec![0; of.kept.len()],
            weights: of.kept.iter().map(Weights::of).collect(),
        })
    }

    /// In steps of 2^-32.
    pub(super) fn value(&self, i: usize) -> i64 {
        (STEPS - self.lever) * self.relevance[i] - self.cost(i)
    }

    /// What its likeness to cards already shown takes off.
    pub(super) fn cost(&self, i: usize) -> i64 {
        self.lever * self.likeness[i]
    }

    /// One more card beside which the rest is judged.
    pub(super) fn show(&mut self, shown: usize) {
        let Some(shown) = self.weights[shown] else {
            return;
        };
        for (likeness, weights) in self.likeness.iter_mut().zip(&self.weights) {
            *likeness = (*likeness).max(weights.map_or(0, |weights| shown.cosine(&weights)));
        }
    }
}

/// The cluster weights of a meal; other goods are not told apart by cuisine.
#[derive(Debug, Clone, Copy)]
struct Weights {
    clusters: [(u8, u8); 3],
    /// The sum of their squares; above 0.
    square: u32,
}

impl Weights {
    fn of(candidate: &Candidate) -> Option<Self> {
        let clusters = candidate.merchant.clusters;
        main_cluster(candidate).map(|_| Self { clusters, square: dot(&clusters, &clusters) })
    }

    /// 0 to 2^16. The sums are integers, and IEEE 754 prescribes every bit of root and quotient.
    fn cosine(&self, other: &Self) -> i64 {
        match dot(&self.clusters, &other.clusters) {
            0 => 0,
            dot => {
                let norm = libm::sqrt(f64::from(self.square) * f64::from(other.square));
                libm::round(f64::from(dot) / norm * STEPS as f64) as i64
            }
        }
    }
}

fn dot(a: &[(u8, u8); 3], b: &[(u8, u8); 3]) -> u32 {
    let pairs = a.iter().flat_map(|x| b.iter().map(move |y| (x, y)));
    pairs.filter(|(x, y)| x.0 == y.0).map(|(x, y)| u32::from(x.1) * u32::from(y.1)).sum()
}
