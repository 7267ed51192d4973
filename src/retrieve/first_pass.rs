//! The first pass: linear scores over a few columns, one for each pool, that choose whom the ranker sees.
//!
//! A message may ask every pool, and a merchant that is the likeliest of one can be far down in another. So each pool ranks its
//! own members, and the pools take turns.

use super::Candidate;
use crate::feature::FIRST_PASS;
use crate::profile::Profile;
use crate::sorted::ranked;
use alloc::vec;
use alloc::vec::Vec;

/// A value for each column of [`FIRST_PASS`].
pub type Columns = [f32; FIRST_PASS.len()];

/// The pools that need no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pool {
    /// Whom the reader orders from.
    Reorder,
    /// Everyone.
    Relevant,
    /// Whoever has an offer that holds for the reader.
    Offer,
    /// Who is new to the reader; a profile remembers ten merchants, and what it does not remember is new.
    Inspire,
}

impl Pool {
    /// All, in the order of [`Weights::by_pool`].
    pub const ALL: [Self; 4] = [Self::Reorder, Self::Relevant, Self::Offer, Self::Inspire];

    /// As campaigns call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reorder => "reorder",
            Self::Relevant => "relevant",
            Self::Offer => "offer",
            Self::Inspire => "inspire",
        }
    }

    /// `None` for a pool that a rule fills.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pool| pool.name() == name)
    }

    /// Whether a candidate belongs to it; without a profile nobody is known to the reader.
    #[must_use]
    pub fn has(self, candidate: &Candidate, profile: Option<&Profile>) -> bool {
        let known = || profile.is_some_and(|profile| profile.known(candidate.merchant.id).is_some());
        match self {
            Self::Reorder => known(),
            Self::Relevant => true,
            Self::Offer => candidate.offer.is_some(),
            Self::Inspire => !known(),
        }
    }
}

/// What `freshrank first-pass tune` writes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// By pool, as [`Pool::ALL`]: the weight of each column of [`FIRST_PASS`].
    pub by_pool: [Columns; Pool::ALL.len()],
    /// Turns of each pool, 1 to 8.
    pub turns: [u8; Pool::ALL.len()],
}

/// The weights that are compiled in.
pub const WEIGHTS: Weights = include!("first_pass.in");

/// Divisible by every number of turns.
const ROUND: u32 = 840;

impl Weights {
    /// A candidate's score in a pool.
    #[must_use]
    pub fn score(&self, pool: Pool, columns: &Columns) -> f32 {
        let weights = &self.by_pool[pool as usize];
        weights.iter().zip(columns).fold(0.0, |sum, (weight, value)| sum + weight * value)
    }

    /// Each candidate's rank in every pool, from 1; 0 where it is no member. Equal scores are ordered by index.
    #[must_use]
    pub fn ranks(&self, columns: &[Columns], is_in: &dyn Fn(Pool, usize) -> bool) -> Vec<Ranks> {
        let mut ranks = vec![[0; Pool::ALL.len()]; columns.len()];
        for pool in Pool::ALL {
            let members = (0..columns.len()).filter(|i| is_in(pool, *i));
            let key = |i| u128::from(descending(self.score(pool, &columns[i]))) << 32 | i as u128;
            ranked(members.map(key).collect()).zip(1..).for_each(|(i, rank)| ranks[i][pool as usize] = rank);
        }
        ranks
    }
}

/// Numbers whose order is [`f32::total_cmp`]'s turned round.
fn descending(score: f32) -> u32 {
    let bits = score.to_bits();
    // A positive number's bits ascend with it, a negative one's descend.
    if bits >> 31 == 0 { !(bits | 1 << 31) } else { bits }
}

/// A candidate's rank in each pool, as [`Pool::ALL`], from 1; 0 where it is no member.
pub type Ranks = [u32; Pool::ALL.len()];

/// When a candidate's turn comes, the smallest first; no two candidates of everyone's pool come at once.
///
/// A pool with t turns brings its r-th member at time r / t; a candidate comes with the first pool that brings it, at equal
/// times in the order of the relevant pool.
#[must_use]
pub fn turn(ranks: &Ranks, turns: &[u8; Pool::ALL.len()]) -> (u32, u32) {
    let times = ranks.iter().zip(turns).filter(|(rank, _)| **rank > 0);
    let times = times.map(|(rank, turns)| rank * (ROUND / u32::from(*turns).clamp(1, 8)));
    (times.min().unwrap_or(u32::MAX), ranks[Pool::Relevant as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everybody's only column is the first; pools differ by its sign.
    fn weights(turns: [u8; 4]) -> Weights {
        let one = |sign: f32| core::array::from_fn(|j| if j == 0 { sign } else { 0.0 });
        Weights { by_pool: [one(1.0), one(1.0), one(1.0), one(-1.0)], turns }
    }

    fn order(turns: [u8; 4], reorder: &[usize], inspire: &[usize]) -> Vec<usize> {
        let columns: Vec<Columns> = (0..6).map(|i| core::array::from_fn(|_| -(i as f32))).collect();
        let is_in = |pool: Pool, i: usize| match pool {
            Pool::Reorder => reorder.contains(&i),
            Pool::Relevant => true,
            Pool::Offer => false,
            Pool::Inspire => inspire.contains(&i),
        };
        let ranks = weights(turns).ranks(&columns, &is_in);
        let mut order: Vec<usize> = (0..6).collect();
        order.sort_by_key(|i| turn(&ranks[*i], &turns));
        order
    }

    #[test]
    fn pools_take_turns() {
        assert_eq!(order([1, 1, 1, 1], &[], &[]), [0, 1, 2, 3, 4, 5], "one pool alone is its own order");
        assert_eq!(order([1, 1, 1, 1], &[4], &[]), [0, 4, 1, 2, 3, 5], "the best of each, then the second");
        assert_eq!(order([1, 1, 1, 1], &[4], &[1, 5]), [0, 4, 5, 1, 2, 3], "the least first, where a pool wants that");
        assert_eq!(order([1, 3, 1, 1], &[4], &[]), [0, 1, 2, 4, 3, 5], "three of the relevant to one of the known");
    }

    #[test]
    fn every_pool_keeps_its_share_of_a_cut() {
        let reorder = [2, 3, 4, 5];
        for n in 1..=6 {
            let kept = &order([1, 1, 1, 1], &reorder, &[])[..n];
            let of_pool = kept.iter().filter(|i| reorder.contains(i)).count();
            assert!(of_pool >= (n / 2).min(reorder.len()), "{kept:?}");
        }
    }

    #[test]
    fn the_weights_that_are_compiled_in_are_numbers_and_turns() {
        assert!(WEIGHTS.by_pool.iter().flatten().all(|weight| weight.is_finite()));
        assert!(WEIGHTS.turns.iter().all(|turns| (1..=8).contains(turns)));
    }

    #[test]
    fn a_round_holds_every_number_of_turns() {
        assert!((1..=8).all(|turns| ROUND.is_multiple_of(turns)));
    }
}
