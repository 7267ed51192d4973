//! A network over blocks of rows, a row a lane: the one place where targets differ, in how many lanes they have.
//!
//! A lane adds up the sums of its own row, over the inputs in order, multiply and add rounded apart. So no bit depends on how many
//! lanes there are: the tests hold every target's against one lane. A crate of its own, since it is optimized for speed where
//! everything else in a module is optimized for size.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

use alloc::vec;
use alloc::vec::Vec;

#[cfg(target_arch = "x86_64")]
cpufeatures::new!(avx2, "avx2");
#[cfg(target_arch = "x86_64")]
cpufeatures::new!(avx512, "avx512f");

/// A plain feed-forward network with one output.
///
/// ```text
/// x = clamp((row - mean) * scale)
/// x = relu(x W + b)   for every layer but the last, which has no relu
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Network<'a> {
    /// Normalized inputs are clamped to this, both ways.
    pub clamp: f32,
    /// Subtracted from each input.
    pub mean: &'a [f32],
    /// Then multiplied.
    pub scale: &'a [f32],
    /// First to last.
    pub layers: &'a [Layer],
}

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// `[inputs x outputs]`, input by input.
    pub weights: Vec<f32>,
    /// One an output.
    pub biases: Vec<f32>,
}

/// One score a row of `values`, each row as wide as the network's input.
#[must_use]
#[cfg(target_arch = "wasm32")]
pub fn scores(network: &Network<'_>, values: &[f32]) -> Vec<f32> {
    blocks::<wasm::Vector, 4>(network, values)
}

/// One score a row of `values`, each row as wide as the network's input.
#[must_use]
#[cfg(not(target_arch = "wasm32"))]
pub fn scores(network: &Network<'_>, values: &[f32]) -> Vec<f32> {
    #[cfg(target_arch = "x86_64")]
    if avx512::get() {
        // SAFETY: the CPU says that it has AVX-512, and the system that it keeps the registers.
        #[allow(unsafe_code)]
        return unsafe { by_avx512(network, values) };
    }
    #[cfg(target_arch = "x86_64")]
    if avx2::get() {
        // SAFETY: the CPU says that it has AVX2, and the system that it keeps the registers.
        #[allow(unsafe_code)]
        return unsafe { by_avx2(network, values) };
    }
    blocks::<[f32; 4], 4>(network, values)
}

/// The same code, compiled for registers of eight lanes. No FMA: it would round once where others round twice.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn by_avx2(network: &Network<'_>, values: &[f32]) -> Vec<f32> {
    blocks::<[f32; 8], 8>(network, values)
}

/// And for registers of sixteen.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn by_avx512(network: &Network<'_>, values: &[f32]) -> Vec<f32> {
    blocks::<[f32; 16], 16>(network, values)
}

/// A register: one number of each of N rows.
trait Lanes<const N: usize>: Copy {
    fn load(numbers: &[f32; N]) -> Self;
    fn splat(number: f32) -> Self;
    fn store(self) -> [f32; N];
    /// Adds x times a weight.
    fn add(self, x: Self, weight: f32) -> Self;
    /// `(x - mean) * scale`, not beyond `clamp` either way.
    fn normal(self, mean: f32, scale: f32, clamp: f32) -> Self;
    /// Nothing below 0.
    fn relu(self) -> Self;
}

/// What the compiler makes registers of, natively.
impl<const N: usize> Lanes<N> for [f32; N] {
    #[inline(always)]
    fn load(numbers: &[f32; N]) -> Self {
        *numbers
    }

    #[inline(always)]
    fn splat(number: f32) -> Self {
        [number; N]
    }

    #[inline(always)]
    fn store(self) -> [f32; N] {
        self
    }

    #[inline(always)]
    fn add(mut self, x: Self, weight: f32) -> Self {
        for (sum, x) in self.iter_mut().zip(x) {
            *sum += x * weight;
        }
        self
    }

    #[inline(always)]
    fn normal(self, mean: f32, scale: f32, clamp: f32) -> Self {
        self.map(|x| {
            let x = (x - mean) * scale;
            let x = if x > clamp { clamp } else { x };
            if x < -clamp { -clamp } else { x }
        })
    }

    #[inline(always)]
    fn relu(self) -> Self {
        self.map(|x| if x > 0.0 { x } else { 0.0 })
    }
}

#[cfg(target_arch = "wasm32")]
mod wasm {
    use core::arch::wasm32::{
        f32x4, f32x4_add, f32x4_extract_lane, f32x4_mul, f32x4_pmax, f32x4_pmin, f32x4_splat, f32x4_sub, v128,
    };

    /// simd128 by name: what the compiler makes of loops there is ten times slower.
    #[derive(Clone, Copy)]
    pub struct Vector(v128);

    impl super::Lanes<4> for Vector {
        #[inline(always)]
        fn load([a, b, c, d]: &[f32; 4]) -> Self {
            Self(f32x4(*a, *b, *c, *d))
        }

        #[inline(always)]
        fn splat(number: f32) -> Self {
            Self(f32x4_splat(number))
        }

        #[inline(always)]
        fn store(self) -> [f32; 4] {
            [
                f32x4_extract_lane::<0>(self.0),
                f32x4_extract_lane::<1>(self.0),
                f32x4_extract_lane::<2>(self.0),
                f32x4_extract_lane::<3>(self.0),
            ]
        }

        #[inline(always)]
        fn add(self, x: Self, weight: f32) -> Self {
            Self(f32x4_add(self.0, f32x4_mul(x.0, f32x4_splat(weight))))
        }

        // `pmin(a, b)` is `if b < a { b } else { a }`, `pmax(a, b)` is `if a < b { b } else { a }`.
        #[inline(always)]
        fn normal(self, mean: f32, scale: f32, clamp: f32) -> Self {
            let x = f32x4_mul(f32x4_sub(self.0, f32x4_splat(mean)), f32x4_splat(scale));
            Self(f32x4_pmax(f32x4_pmin(x, f32x4_splat(clamp)), f32x4_splat(-clamp)))
        }

        #[inline(always)]
        fn relu(self) -> Self {
            Self(f32x4_pmax(f32x4_splat(0.0), self.0))
        }
    }
}

/// Two registers of rows: with four outputs, their sums fill half of sixteen registers.
type Column<const N: usize> = [[f32; N]; 2];

#[inline(always)]
fn blocks<L: Lanes<N>, const N: usize>(network: &Network<'_>, values: &[f32]) -> Vec<f32> {
    let width = network.mean.len();
    let Some(n_rows) = values.len().checked_div(width) else {
        return Vec::new();
    };
    let widest = network.layers.iter().map(|layer| layer.biases.len()).fold(width, usize::max);
    let mut scores = Vec::with_capacity(n_rows.next_multiple_of(2 * N));
    let (mut x, mut y) = (vec![[[0.0; N]; 2]; widest], vec![[[0.0; N]; 2]; widest]);
    for rows in values.chunks(2 * N * width) {
        normalize::<L, N>(network, rows, &mut x[..width]);
        let mut n_inputs = width;
        for (l, layer) in network.layers.iter().enumerate() {
            let n_outputs = layer.biases.len();
            forward::<L, N>(&x[..n_inputs], layer, l + 1 < network.layers.len(), &mut y[..n_outputs]);
            core::mem::swap(&mut x, &mut y);
            n_inputs = n_outputs;
        }
        scores.extend(x.first().into_iter().flatten().flatten());
    }
    scores.truncate(n_rows);
    scores
}

/// Row after row into columns, each number taken to the scale the network was trained on.
#[inline(always)]
fn normalize<L: Lanes<N>, const N: usize>(network: &Network<'_>, rows: &[f32], x: &mut [Column<N>]) {
    for (r, row) in rows.chunks_exact(x.len()).enumerate() {
        for (x, value) in x.iter_mut().zip(row) {
            x.as_flattened_mut()[r] = *value;
        }
    }
    for ((x, mean), scale) in x.iter_mut().zip(network.mean).zip(network.scale) {
        *x = (*x).map(|x| L::load(&x).normal(*mean, *scale, network.clamp).store());
    }
}

/// y = x W + b, and with `relu` nothing below 0.
#[inline(always)]
fn forward<L: Lanes<N>, const N: usize>(x: &[Column<N>], layer: &Layer, relu: bool, y: &mut [Column<N>]) {
    let n_outputs = y.len();
    if n_outputs.is_multiple_of(4) {
        let (weights, biases) = (layer.weights.as_chunks::<4>().0, layer.biases.as_chunks::<4>().0);
        for (q, (y, biases)) in y.as_chunks_mut::<4>().0.iter_mut().zip(biases).enumerate() {
            // Names, not an array: the compiler is sure to keep these in registers.
            let [mut a, mut c, mut e, mut g] = biases.map(L::splat);
            let [mut b, mut d, mut f, mut h] = [a, c, e, g];
            let weights = weights.get(q..).unwrap_or_default().iter().step_by(n_outputs / 4);
            for ([s, t], [i, j, k, l]) in x.iter().zip(weights) {
                let (s, t) = (L::load(s), L::load(t));
                (a, b) = (a.add(s, *i), b.add(t, *i));
                (c, d) = (c.add(s, *j), d.add(t, *j));
                (e, f) = (e.add(s, *k), f.add(t, *k));
                (g, h) = (g.add(s, *l), h.add(t, *l));
            }
            let done = |sum: L| if relu { sum.relu().store() } else { sum.store() };
            *y = [[a, b], [c, d], [e, f], [g, h]].map(|sums| sums.map(done));
        }
    } else {
        for (o, (y, bias)) in y.iter_mut().zip(&layer.biases).enumerate() {
            let [mut a, mut b] = [L::splat(*bias); 2];
            let weights = layer.weights.get(o..).unwrap_or_default().iter().step_by(n_outputs);
            for ([s, t], weight) in x.iter().zip(weights) {
                (a, b) = (a.add(L::load(s), *weight), b.add(L::load(t), *weight));
            }
            *y = [a, b].map(|sum| if relu { sum.relu().store() } else { sum.store() });
        }
    }
}

#[cfg(test)]
#[path = "../../tests/support/plain.rs"]
mod plain;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(scores: &[f32]) -> Vec<u32> {
        scores.iter().map(|score| score.to_bits()).collect()
    }

    fn number() -> impl Strategy<Value = f32> {
        prop_oneof![8 => -3.0_f32..3.0, 1 => Just(0.0), 1 => Just(-0.0), 1 => -1e-38_f32..1e-38, 1 => -1e6_f32..1e6]
    }

    type Numbers = Vec<f32>;

    /// A network of any shape, and up to 80 rows for it.
    fn network() -> impl Strategy<Value = ((Numbers, Numbers), Vec<Layer>, Numbers)> {
        let widths = prop::collection::vec(prop_oneof![1..20_usize, Just(32), Just(64)], 2..5);
        (widths, 0..80_usize).prop_flat_map(|(widths, n_rows)| {
            let numbers = |n: usize| prop::collection::vec(number(), n);
            let layer = |w: &[usize]| {
                (numbers(w[0] * w[1]), numbers(w[1])).prop_map(|(weights, biases)| Layer { weights, biases })
            };
            let layers: Vec<_> = widths.windows(2).map(layer).collect();
            ((numbers(widths[0]), numbers(widths[0])), layers, numbers(n_rows * widths[0]))
        })
    }

    proptest! {
        #[test]
        fn any_number_of_lanes_gives_the_same_bits(((mean, scale), layers, rows) in network()) {
            let network = Network { clamp: 8.0, mean: &mean, scale: &scale, layers: &layers };
            let layers: Vec<plain::Plain<'_>> =
                network.layers.iter().map(|layer| (&layer.weights[..], &layer.biases[..])).collect();
            let score = |row: &[f32]| plain::score(network.clamp, network.mean, network.scale, &layers, row);
            let expected: Vec<f32> = rows.chunks(mean.len()).map(score).collect();
            let expected = bits(&expected);
            prop_assert_eq!(&bits(&scores(&network, &rows)), &expected, "as this machine does it");
            prop_assert_eq!(&bits(&blocks::<[f32; 1], 1>(&network, &rows)), &expected);
            prop_assert_eq!(&bits(&blocks::<[f32; 4], 4>(&network, &rows)), &expected);
            prop_assert_eq!(&bits(&blocks::<[f32; 8], 8>(&network, &rows)), &expected);
            prop_assert_eq!(&bits(&blocks::<[f32; 16], 16>(&network, &rows)), &expected);
        }
    }
}
