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
    weights: Vec<Option<[(u8, u8); 3]>>,
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
            weights: of.kept.iter().map(weights).collect(),
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
        let Some(Some(shown)) = self.weights.get(shown).copied() else {
            return;
        };
        for (likeness, weights) in self.likeness.iter_mut().zip(&self.weights) {
            *likeness = (*likeness).max(weights.map_or(0, |weights| cosine(&shown, &weights)));
        }
    }
}

/// Of a meal; other goods are not told apart by cuisine.
fn weights(candidate: &Candidate) -> Option<[(u8, u8); 3]> {
    main_cluster(candidate).map(|_| candidate.merchant.clusters)
}

/// 0 to 2^16. The sums are integers and IEEE 754 prescribes every bit of root and quotient.
fn cosine(a: &[(u8, u8); 3], b: &[(u8, u8); 3]) -> i64 {
    let dot = |a: &[(u8, u8); 3], b: &[(u8, u8); 3]| -> u32 {
        let pairs = a.iter().flat_map(|x| b.iter().map(move |y| (x, y)));
        pairs.filter(|(x, y)| x.0 == y.0).map(|(x, y)| u32::from(x.1) * u32::from(y.1)).sum()
    };
    let norm = libm::sqrt(f64::from(dot(a, a)) * f64::from(dot(b, b)));
    libm::round(f64::from(dot(a, b)) / norm * STEPS as f64) as i64
}
