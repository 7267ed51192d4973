//! Chance, seeded by the message: with probability `share` a slot shows any of the best `among` that may stand there.
//!
//! The draw of a slot is SHA-256 of seed and slot, so that it can be replayed and slots are independent: the probability of a
//! slate is the product over its slots.

use super::Ingredients;
use crate::id::Hash;
use crate::retrieve::Candidate;
use crate::sorted::sort;
use alloc::vec::Vec;
use sha2::{Digest, Sha256};

/// How likely it was that a slot shows what it shows, given the slots before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// The probability.
    pub propensity: f64,
    /// A pin: nothing was drawn.
    pub deterministic: bool,
    /// [`feasible_hash`] of those that could have stood here.
    pub feasible: u64,
    /// How many they were.
    pub n: usize,
}

impl Draw {
    pub(super) fn certain(kept: &[Candidate], i: usize) -> Self {
        Self { propensity: 1.0, deterministic: true, feasible: feasible_hash(kept, &[i]), n: 1 }
    }

    /// How likely the one `at` of the best `among` is.
    pub(super) fn chance(of: &Ingredients<'_>, at: usize, among: usize) -> f64 {
        let share = within_one(of.policy.explore.share);
        let drawn = share / among as f64;
        if at == 0 { (1.0 - share) + drawn } else { drawn }
    }

    /// Of the best `among` of `standing`, the one `at`.
    pub(super) fn among(of: &Ingredients<'_>, standing: &[usize], at: usize, among: usize) -> Self {
        Self {
            propensity: Self::chance(of, at, among),
            deterministic: false,
            feasible: feasible_hash(of.kept, standing),
            n: standing.len(),
        }
    }
}

/// The first 8 bytes of SHA-256 over the merchant ids, ascending and little-endian.
#[must_use]
pub fn feasible_hash(kept: &[Candidate], set: &[usize]) -> u64 {
    let mut ids: Vec<u64> = set.iter().filter_map(|i| Some(kept.get(*i)?.merchant.id.0)).collect();
    sort(&mut ids);
    let bytes: Vec<u8> = ids.into_iter().flat_map(u64::to_le_bytes).collect();
    Hash::of(&bytes).short()
}

/// Which of the best `n` a slot shows; 0 is the best.
pub(super) fn draw(seed: u64, slot: usize, share: f64, n: usize) -> usize {
    let mut hash = Sha256::new();
    hash.update(b"explore");
    hash.update(seed.to_le_bytes());
    hash.update((slot as u64).to_le_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let word = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    // 53 bits are a double's; the chance that one of n is off by 2^-64 is nobody's concern.
    let chance = (word(0) >> 11) as f64 / (1_u64 << 53) as f64;
    if chance < within_one(share) { ((u128::from(word(8)) * n as u128) >> 64) as usize } else { 0 }
}

fn within_one(share: f64) -> f64 {
    if share > 1.0 { 1.0 } else { share }
}
