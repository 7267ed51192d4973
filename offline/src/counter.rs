//! Counts that fade with time, and are the same to the bit however the orders were split up or sorted.
//!
//! A sum of floating-point numbers depends on its order; a sum of whole numbers does not. An order at time *t* counts
//! 2^((t − now) / half-life). The exponent's whole half-lives since 1970 say to which block an order belongs; what it
//! counts within the block is rounded once, to 2^-32, and added as a whole number. Readers may thus be counted in any
//! partition, and an hour's count goes on where the last one stood (forward decay: Cormode, Shkapenyuk, Srivastava,
//! Xu 2009, "Forward decay: a practical time decay model for streaming systems").

use crate::tables::Timestamp;

/// What one order counts at the beginning of its block.
const ONE: f64 = (1_u64 << 32) as f64;

/// A faded count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faded {
    /// (Half-lives since 1970, sum in 2^-32 as of then), ascending.
    blocks: Vec<(i64, u64)>,
}

impl Faded {
    /// Adds something that counts `weight`, 0 to 1, at its own time; `half_life` is in seconds.
    pub fn add(&mut self, weight: f64, at: Timestamp, half_life: f64) {
        let age = at as f64 / half_life;
        let block = libm::floor(age);
        // Below 2^33: a block holds two thousand million orders.
        let counted = libm::round(weight * libm::exp2(age - block) * ONE) as u64;
        self.put(block as i64, counted);
    }

    /// Adds all that another one counted with the same half-life.
    pub fn merge(&mut self, other: &Self) {
        other.blocks.iter().for_each(|(block, sum)| self.put(*block, *sum));
    }

    /// The count as of a time, which may be any.
    #[must_use]
    pub fn read(&self, at: Timestamp, half_life: f64) -> f64 {
        let age = at as f64 / half_life;
        let block = libm::floor(age);
        let since = |from: i64| (from - block as i64).clamp(-2000, 2000) as i32;
        // Doubling and halving are exact, so that only the sum itself is rounded; its order is the blocks' own.
        let sum = self.blocks.iter().fold(0.0, |sum, (from, count)| sum + libm::scalbn(*count as f64, since(*from)));
        sum / ONE * libm::exp2(block - age)
    }

    fn put(&mut self, block: i64, counted: u64) {
        match self.blocks.binary_search_by_key(&block, |(block, _)| *block) {
            Ok(at) => self.blocks[at].1 = self.blocks[at].1.saturating_add(counted),
            Err(at) => self.blocks.insert(at, (block, counted)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HALF_LIFE: f64 = 60.0 * 86_400.0;
    const NOW: Timestamp = 1_795_168_800;

    #[test]
    fn an_order_counts_half_after_its_half_life() {
        let mut faded = Faded::default();
        faded.add(1.0, NOW, HALF_LIFE);
        for (days, left) in [(0, 1.0), (60, 0.5), (120, 0.25), (6000, libm::exp2(-100.0))] {
            let found = faded.read(NOW + days * 86_400, HALF_LIFE);
            assert!((found / left - 1.0).abs() < 1e-9, "{days} days: {found}");
        }
        assert_eq!(Faded::default().read(NOW, HALF_LIFE), 0.0);
    }

    proptest! {
        /// Any split into parts, in any order, gives the same bits, and the sum is what floating point says.
        #[test]
        fn a_split_and_a_shuffle_change_no_bit(
            ages in proptest::collection::vec((0_i64..900, 1_u32..=100, 0_usize..4), 0..60),
        ) {
            let weight = |percent: u32| f64::from(percent) / 100.0;
            let mut whole = Faded::default();
            let mut parts = vec![Faded::default(); 4];
            let mut plain = 0.0;
            for (days, percent, _) in &ages {
                whole.add(weight(*percent), NOW - days * 86_400, HALF_LIFE);
                plain += weight(*percent) * libm::exp2(-(*days as f64) / 60.0);
            }
            for (days, percent, part) in ages.iter().rev() {
                parts[*part].add(weight(*percent), NOW - days * 86_400, HALF_LIFE);
            }
            let mut merged = Faded::default();
            parts.iter().rev().for_each(|part| merged.merge(part));
            prop_assert_eq!(&merged, &whole);
            let found = whole.read(NOW, HALF_LIFE);
            prop_assert_eq!(merged.read(NOW, HALF_LIFE).to_bits(), found.to_bits());
            prop_assert!((found - plain).abs() <= 1e-8, "{} {}", found, plain);
        }
    }
}
