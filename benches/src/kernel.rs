//! The reference kernel: what one core can do at most for a 64-64-32-1 network in 128-bit vectors.
//!
//! Written by hand and good for nothing else: four rows and eight outputs at a time, so that every weight that is loaded is
//! used four times. Every speed is a ratio to this, run in the same process over the same number of rows.

/// Widths, the input's first.
pub const WIDTHS: [usize; 4] = [64, 64, 32, 1];

/// Rows that share the loaded weights.
const ROWS: usize = 4;

#[cfg(target_arch = "wasm32")]
mod vector {
    use core::arch::wasm32::{f32x4, f32x4_add, f32x4_extract_lane, f32x4_mul, f32x4_splat, v128};

    #[derive(Clone, Copy)]
    pub struct V(v128);

    impl V {
        pub fn new(x: &[f32; 4]) -> Self {
            Self(f32x4(x[0], x[1], x[2], x[3]))
        }

        pub fn mul_add(self, scalar: f32, weights: Self) -> Self {
            Self(f32x4_add(self.0, f32x4_mul(f32x4_splat(scalar), weights.0)))
        }

        pub fn array(self) -> [f32; 4] {
            let v = self.0;
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

    impl V {
        #[inline(always)]
        pub fn new(x: &[f32; 4]) -> Self {
            Self(*x)
        }

        #[inline(always)]
        pub fn mul_add(self, scalar: f32, weights: Self) -> Self {
            let mut sum = self.0;
            for (sum, weight) in sum.iter_mut().zip(weights.0) {
                *sum += scalar * weight;
            }
            Self(sum)
        }

        #[inline(always)]
        pub fn array(self) -> [f32; 4] {
            self.0
        }
    }
}

use vector::V;

/// The network with made-up weights.
#[derive(Debug, Clone)]
pub struct Kernel {
    first: Box<[[f32; 64]; 64]>,
    second: Box<[[f32; 32]; 64]>,
    last: [f32; 32],
}

impl Kernel {
    /// Weights of a fixed pattern.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let weight = |i: usize| ((i * 7919 % 257) as f32 / 257.0 - 0.5) * 0.25;
        let mut kernel = Self { first: Box::new([[0.0; 64]; 64]), second: Box::new([[0.0; 32]; 64]), last: [0.0; 32] };
        kernel.first.as_flattened_mut().iter_mut().enumerate().for_each(|(i, w)| *w = weight(i));
        kernel.second.as_flattened_mut().iter_mut().enumerate().for_each(|(i, w)| *w = weight(i + 5));
        kernel.last.iter_mut().enumerate().for_each(|(i, w)| *w = weight(i + 9));
        kernel
    }

    /// One score a row.
    pub fn run(&self, rows: &[[f32; 64]], scores: &mut [f32]) {
        for (rows, scores) in rows.chunks(ROWS).zip(scores.chunks_mut(ROWS)) {
            let mut x = [[0.0; 64]; ROWS];
            for (x, row) in x.iter_mut().zip(rows) {
                *x = *row;
            }
            let hidden = layer::<64, 64>(&x, &self.first);
            let hidden = layer::<64, 32>(&hidden, &self.second);
            for (score, hidden) in scores.iter_mut().zip(&hidden) {
                *score = hidden.iter().zip(&self.last).map(|(h, w)| h * w).sum();
            }
        }
    }
}

/// relu(x W), eight outputs at a time.
fn layer<const N: usize, const M: usize>(x: &[[f32; N]; ROWS], weights: &[[f32; M]; N]) -> [[f32; M]; ROWS] {
    let mut y = [[0.0; M]; ROWS];
    let zero = V::new(&[0.0; 4]);
    for o in (0..M).step_by(8) {
        let mut sums = [[zero; 2]; ROWS];
        for (i, weights) in weights.iter().enumerate() {
            let (Some(low), Some(high)) = (weights[o..].first_chunk::<4>(), weights[o + 4..].first_chunk::<4>()) else {
                break;
            };
            let (low, high) = (V::new(low), V::new(high));
            for (sums, x) in sums.iter_mut().zip(x) {
                sums[0] = sums[0].mul_add(x[i], low);
                sums[1] = sums[1].mul_add(x[i], high);
            }
        }
        for (y, sums) in y.iter_mut().zip(sums) {
            for (half, sum) in sums.iter().enumerate() {
                for (lane, value) in sum.array().into_iter().enumerate() {
                    y[o + 4 * half + lane] = if value > 0.0 { value } else { 0.0 };
                }
            }
        }
    }
    y
}
