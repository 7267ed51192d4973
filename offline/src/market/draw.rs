//! Where chance comes from: latent facts from names, what happens from a reader's own stream.
//!
//! A latent fact (a taste, a merchant's fame) is a hash of the seed and the names it is about, so that anyone
//! with the seed can ask for it later and nothing has to be stored. What happens in time is drawn from one
//! ChaCha8 stream per reader, so that the tables do not depend on the number of threads.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// A latent fact's name, already mixed with the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    /// The key of one thing: `what` separates a merchant from a reader of the same name.
    pub fn new(seed: u64, what: &str, id: &str) -> Self {
        let digest = digest(seed, what, id);
        Self(digest.iter().take(8).rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    }

    /// The key of two things together.
    pub fn with(self, other: Self) -> Self {
        self.and(other.0)
    }

    /// The key of this thing and a number: a week, a cell, or which of its facts.
    pub fn and(self, number: u64) -> Self {
        Self(mix(self.0 ^ mix(number.wrapping_add(0x9E37_79B9_7F4A_7C15))))
    }

    /// Uniform in [0, 1).
    pub fn uniform(self) -> f64 {
        unit(mix(self.0))
    }

    /// Standard normal to the eye: the sum of four uniforms of 16 bits (Irwin–Hall), never beyond 3.47.
    ///
    /// Exact integers, and one hash for a draw: the market asks for hundreds of millions.
    pub fn normal(self) -> f64 {
        let bits = mix(self.0);
        let sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48);
        (sum as f64 - 131_070.0) * IRWIN_HALL
    }

    /// Log-normal with median 1.
    pub fn spread(self, spread: f64) -> f64 {
        libm::exp(spread * self.normal())
    }
}

/// One over the standard deviation of four uniforms on 0..=65535: sqrt(3) / 65536.
const IRWIN_HALL: f64 = 1.732_050_807_568_877_2 / 65_536.0;

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

/// The upper 53 bits as a fraction.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

fn digest(seed: u64, what: &str, id: &str) -> [u8; 32] {
    let hash = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(what).chain_update([0]).chain_update(id);
    hash.finalize().into()
}

/// One stream of events.
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The `stream`-th stream of `what`.
    pub fn new(seed: u64, what: &str, stream: usize) -> Self {
        let mut rng = ChaCha8Rng::from_seed(digest(seed, what, ""));
        rng.set_stream(stream as u64);
        Self(rng)
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        unit(self.0.next_u64())
    }

    /// Uniform in [from, to).
    pub fn between(&mut self, [from, to]: [f64; 2]) -> f64 {
        from + (to - from) * self.uniform()
    }

    /// Uniform in 0..n; 0 where there is nothing to choose from.
    pub fn below(&mut self, n: usize) -> usize {
        (self.uniform() * n as f64) as usize
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Standard normal, as [`Key::normal`].
    pub fn normal(&mut self) -> f64 {
        Key(self.0.next_u64()).normal()
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.uniform())
    }

    /// An index with probability proportional to its weight; `None` where all weights are zero.
    pub fn pick(&mut self, weights: impl Iterator<Item = f64> + Clone) -> Option<usize> {
        let total: f64 = weights.clone().sum();
        let mut left = self.uniform() * total;
        let mut last = None;
        for (index, weight) in weights.enumerate().filter(|(_, weight)| *weight > 0.0) {
            last = Some(index);
            if left < weight {
                break;
            }
            left -= weight;
        }
        last
    }

    /// A key of a named table with probability proportional to its weight.
    pub fn name<'a>(&mut self, weights: &'a std::collections::BTreeMap<String, f64>) -> Option<&'a str> {
        let index = self.pick(weights.values().copied())?;
        weights.keys().nth(index).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_normal_has_mean_zero_and_deviation_one() {
        let draws: Vec<f64> = (0..100_000).map(|n| Key::new(7, "test", "x").and(n).normal()).collect();
        let mean = draws.iter().sum::<f64>() / 1e5;
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / 1e5 - mean * mean;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn a_pick_follows_its_weights() {
        let mut dice = Dice::new(1, "test", 0);
        let mut counts = [0_u32; 3];
        (0..30_000).for_each(|_| counts[dice.pick([1.0, 0.0, 2.0].into_iter()).unwrap()] += 1);
        assert_eq!(counts[1], 0);
        assert!((f64::from(counts[2]) / 30_000.0 - 2.0 / 3.0).abs() < 0.02, "{counts:?}");
        assert_eq!(dice.pick([0.0].into_iter()), None);
    }
}
