//! The reference kernel: what one core can do at most for a 64-64-32-1 network in 128-bit vectors.
//!
//! Written by hand and good for nothing else: four rows and eight outputs at a time, so that every weight that is loaded is
//! used four times and all sums stay in registers. Every speed is a ratio to this, run in the same process over the same
//! number of rows.

/// Widths, the input's first.
pub const WIDTHS: [usize; 4] = [64, 64, 32, 1];

/// Rows that share the loaded weights.
const ROWS: usize = 4;

/// Outputs whose sums are in registers together.
const OUTPUTS: usize = 8;

#[cfg(target_arch = "wasm32")]
mod vector {
    use core::arch::wasm32::{f32x4, f32x4_add, f32x4_extract_lane, f32x4_mul, f32x4_pmax, f32x4_splat, v128};

    #[derive(Clone, Copy)]
    pub struct V(v128);

    /// One load fills all lanes with a number.
    pub type Splat = f32;

    pub fn splat(x: f32) -> Splat {
        x
    }

    pub fn first(x: Splat) -> f32 {
        x
    }

    impl V {
        pub fn new(x: [f32; 4]) -> Self {
            Self(f32x4(x[0], x[1], x[2], x[3]))
        }

        pub fn mul_add(self, x: Splat, weights: Self) -> Self {
            Self(f32x4_add(self.0, f32x4_mul(f32x4_splat(x), weights.0)))
        }

        pub fn relu(self) -> [f32; 4] {
            let v = f32x4_pmax(f32x4_splat(0.0), self.0);
            [
                f32x4_extract_lane::<0>(v),
                f32x4_extract_lane::<1>(v),
                f32x4_extract_lane::<2>(v),
                f32x4_extract_lane::<3>(v),
            ]
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod vector {
    /// Four lanes; the compiler makes one SSE register of them.
    #[derive(Clone, Copy)]
    pub struct V([f32; 4]);

    /// SSE2 has no such load, and a shuffle costs as much as a sum: each number is stored four times.
    pub type Splat = [f32; 4];

    pub fn splat(x: f32) -> Splat {
        [x; 4]
    }

    pub fn first(x: Splat) -> f32 {
        x[0]
    }

    impl V {
        #[inline(always)]
        pub fn new(x: [f32; 4]) -> Self {
            Self(x)
        }

        #[inline(always)]
        pub fn mul_add(self, x: Splat, weights: Self) -> Self {
            let ([a, b, c, d], [s, t, u, v], [e, f, g, h]) = (self.0, x, weights.0);
            Self([a + s * e, b + t * f, c + u * g, d + v * h])
        }

        #[inline(always)]
        pub fn relu(self) -> [f32; 4] {
            self.0.map(|x| x.max(0.0))
        }
    }
}

use vector::{Splat, V, first, splat};

/// Made up: weight `i` of a layer, input by input, is `weight(i + SEEDS[layer])`.
#[must_use]
pub fn weight(i: usize) -> f32 {
    ((i * 7919 % 257) as f32 / 257.0 - 0.5) * 0.25
}

/// So that layers differ.
pub const SEEDS: [usize; 3] = [0, 5, 9];

/// Made-up rows for it.
#[must_use]
pub fn rows(n: usize) -> Vec<[f32; WIDTHS[0]]> {
    (0..n).map(|i| std::array::from_fn(|j| ((i * 31 + j * 17) % 101) as f32 / 50.0 - 1.0)).collect()
}

/// A layer's weights: for eight outputs after eight, input by input.
type Panels<const N: usize> = Box<[[[f32; OUTPUTS]; N]]>;

/// The numbers of some rows: input by input, row by row.
type Block<const N: usize> = [[Splat; ROWS]; N];

/// The network with made-up weights.
#[derive(Debug, Clone)]
pub struct Kernel {
    first: Panels<64>,
    second: Panels<64>,
    last: [f32; 32],
}

impl Kernel {
    /// Weights of a fixed pattern.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let panel = |m: usize, seed: usize, first: usize| {
            std::array::from_fn(|i| std::array::from_fn(|o| weight(i * m + first + o + seed)))
        };
        Self {
            first: (0..64).step_by(OUTPUTS).map(|o| panel(64, SEEDS[0], o)).collect(),
            second: (0..32).step_by(OUTPUTS).map(|o| panel(32, SEEDS[1], o)).collect(),
            last: std::array::from_fn(|i| weight(i + 9)),
        }
    }

    /// One score a row.
    pub fn run(&self, rows: &[[f32; 64]], scores: &mut [f32]) {
        for (rows, scores) in rows.chunks(ROWS).zip(scores.chunks_mut(ROWS)) {
            let mut x = [[splat(0.0); ROWS]; 64];
            for (r, row) in rows.iter().enumerate() {
                for (x, value) in x.iter_mut().zip(row) {
                    x[r] = splat(*value);
                }
            }
            let hidden: Block<64> = layer(&x, &self.first);
            let hidden: Block<32> = layer(&hidden, &self.second);
            let mut sums = [0.0; ROWS];
            for (hidden, weight) in hidden.iter().zip(&self.last) {
                for (sum, hidden) in sums.iter_mut().zip(hidden) {
                    *sum += first(*hidden) * weight;
                }
            }
            for (score, sum) in scores.iter_mut().zip(sums) {
                *score = sum;
            }
        }
    }
}

/// relu(x W), eight outputs at a time.
fn layer<const N: usize, const M: usize>(x: &Block<N>, weights: &[[[f32; OUTPUTS]; N]]) -> Block<M> {
    let mut y = [[splat(0.0); ROWS]; M];
    for (panel, y) in weights.iter().zip(y.as_chunks_mut::<OUTPUTS>().0) {
        // Names, not an array: the compiler is sure to keep these in registers.
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = [V::new([0.0; 4]); 2 * ROWS];
        for (x, w) in x.iter().zip(panel) {
            let (low, high) = (V::new([w[0], w[1], w[2], w[3]]), V::new([w[4], w[5], w[6], w[7]]));
            (a, b) = (a.mul_add(x[0], low), b.mul_add(x[0], high));
            (c, d) = (c.mul_add(x[1], low), d.mul_add(x[1], high));
            (e, f) = (e.mul_add(x[2], low), f.mul_add(x[2], high));
            (g, h) = (g.mul_add(x[3], low), h.mul_add(x[3], high));
        }
        for (r, (low, high)) in [(a, b), (c, d), (e, f), (g, h)].into_iter().enumerate() {
            for (y, value) in y.iter_mut().zip(low.relu().into_iter().chain(high.relu())) {
                y[r] = splat(value);
            }
        }
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_computes_the_network_it_claims_to() {
        let kernel = Kernel::new();
        let rows = rows(7);
        let relu = |x: &[f32], m: usize, seed: usize| -> Vec<f32> {
            let sum = |o: usize| x.iter().enumerate().fold(0.0, |sum, (i, x)| sum + x * weight(i * m + o + seed));
            (0..m).map(|o| f32::max(sum(o), 0.0)).collect()
        };
        let plain = |row: &[f32; 64]| {
            let hidden = relu(&relu(row, 64, 0), 32, 5);
            hidden.iter().enumerate().fold(0.0, |sum, (i, x)| sum + x * weight(i + 9))
        };
        let mut scores = [0.0; 7];
        kernel.run(&rows, &mut scores);
        assert_eq!(scores.to_vec(), rows.iter().map(plain).collect::<Vec<f32>>());
        assert!(scores.iter().any(|score| *score != 0.0));
    }
}
