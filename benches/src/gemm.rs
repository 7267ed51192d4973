//! The bare multiplications of a network over rows: no normalization, no biases, no relu, no checks. What is left to win.
//!
//! Rows broadcast and outputs in lanes, the other way round than in the engine's kernel, so that neither is the other's copy. Natively in
//! the widest registers the CPU has, and also with fused multiply-add, which rounds once where the engine must round twice.

use freshrank::score::dense::Layer;

/// Registers of outputs that a row's sums stand in together.
const REGISTERS: usize = 2;

/// How many of them are in a register, and what is done with them.
trait Lanes<const N: usize>: Copy {
    fn load(numbers: &[f32; N]) -> Self;
    fn store(self) -> [f32; N];
    /// Adds x times the weights.
    fn add(self, x: f32, weights: Self) -> Self;
}

/// Numbers in as many registers as they take; fused, multiply and add round once, else twice, as in the engine.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Clone, Copy)]
struct Array<const N: usize, const FUSED: bool>([f32; N]);

#[cfg(not(target_arch = "wasm32"))]
impl<const N: usize, const FUSED: bool> Lanes<N> for Array<N, FUSED> {
    #[inline(always)]
    fn load(numbers: &[f32; N]) -> Self {
        Self(*numbers)
    }

    #[inline(always)]
    fn store(self) -> [f32; N] {
        self.0
    }

    #[inline(always)]
    fn add(mut self, x: f32, weights: Self) -> Self {
        for (sum, weight) in self.0.iter_mut().zip(weights.0) {
            *sum = if FUSED { x.mul_add(weight, *sum) } else { *sum + x * weight };
        }
        self
    }
}

#[cfg(target_arch = "wasm32")]
mod wasm {
    use core::arch::wasm32::{f32x4, f32x4_add, f32x4_extract_lane, f32x4_mul, f32x4_splat, v128};

    #[derive(Clone, Copy)]
    pub struct Vector(v128);

    impl super::Lanes<4> for Vector {
        #[inline(always)]
        fn load([a, b, c, d]: &[f32; 4]) -> Self {
            Self(f32x4(*a, *b, *c, *d))
        }

        #[inline(always)]
        fn store(self) -> [f32; 4] {
            let v = self.0;
            [
                f32x4_extract_lane::<0>(v),
                f32x4_extract_lane::<1>(v),
                f32x4_extract_lane::<2>(v),
                f32x4_extract_lane::<3>(v),
            ]
        }

        #[inline(always)]
        fn add(self, x: f32, weights: Self) -> Self {
            Self(f32x4_add(self.0, f32x4_mul(f32x4_splat(x), weights.0)))
        }
    }
}

/// Weights as a GEMM wants them: for `2 N` outputs after another, input by input; outputs beyond the last have zeros.
struct Packed<const N: usize> {
    panels: Vec<Vec<[[f32; N]; REGISTERS]>>,
    /// As they are, where there is one output.
    only: Vec<f32>,
    n_outputs: usize,
}

impl<const N: usize> Packed<N> {
    fn new(layer: &Layer) -> Self {
        let n_outputs = layer.biases.len();
        let panel = |first: usize| {
            let number = |row: &[f32], o: usize| row.get(first + o).copied().unwrap_or_default();
            let packed = |row: &[f32]| std::array::from_fn(|v| std::array::from_fn(|l| number(row, v * N + l)));
            layer.weights.chunks(n_outputs).map(packed).collect()
        };
        let only = if n_outputs == 1 { layer.weights.clone() } else { Vec::new() };
        Self { panels: (0..n_outputs).step_by(REGISTERS * N).map(panel).collect(), only, n_outputs }
    }
}

/// Rows that share the loaded weights: with two registers each, eight sums hide the latency of adding.
const ROWS: usize = 4;

/// A network's weights, packed for the registers there are.
pub struct Gemm(Box<dyn Fn(&[f32], &mut Vec<f32>)>);

impl Gemm {
    /// Packs the weights; `fused` where multiply and add may round once.
    ///
    /// # Errors
    /// A target that has no such instruction.
    pub fn new(layers: &[Layer], width: usize, fused: bool) -> Result<Self, &'static str> {
        #[cfg(target_arch = "wasm32")]
        {
            if fused {
                return Err("no fused multiply-add in simd128");
            }
            let packed = pack::<4>(layers);
            Ok(Self(Box::new(move |rows, scores| run::<wasm::Vector, 4>(&packed, width, rows, scores))))
        }
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        {
            let has_512 = std::is_x86_feature_detected!("avx512f");
            let has_256 = std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma");
            // SAFETY: the CPU says that it has what each is compiled for.
            Ok(Self(match (has_512, has_256, fused) {
                (true, _, true) => {
                    let packed = pack(layers);
                    Box::new(move |rows, scores| unsafe { fused_512(&packed, width, rows, scores) })
                }
                (true, _, false) => {
                    let packed = pack(layers);
                    Box::new(move |rows, scores| unsafe { apart_512(&packed, width, rows, scores) })
                }
                (false, true, true) => {
                    let packed = pack(layers);
                    Box::new(move |rows, scores| unsafe { fused_256(&packed, width, rows, scores) })
                }
                (false, true, false) => {
                    let packed = pack(layers);
                    Box::new(move |rows, scores| unsafe { apart_256(&packed, width, rows, scores) })
                }
                (false, false, true) => return Err("this CPU has no fused multiply-add"),
                (false, false, false) => {
                    let packed = pack::<4>(layers);
                    Box::new(move |rows, scores| run::<Array<4, false>, 4>(&packed, width, rows, scores))
                }
            }))
        }
        #[cfg(not(any(target_arch = "wasm32", target_arch = "x86_64")))]
        {
            if fused {
                return Err("fused multiply-add is measured on x86-64 only");
            }
            let packed = pack::<4>(layers);
            Ok(Self(Box::new(move |rows, scores| run::<Array<4, false>, 4>(&packed, width, rows, scores))))
        }
    }

    /// One sum of products a row.
    pub fn run(&self, rows: &[f32], scores: &mut Vec<f32>) {
        scores.clear();
        (self.0)(rows, scores);
    }
}

fn pack<const N: usize>(layers: &[Layer]) -> Vec<Packed<N>> {
    layers.iter().map(Packed::new).collect()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,fma")]
fn fused_512(layers: &[Packed<16>], width: usize, rows: &[f32], scores: &mut Vec<f32>) {
    run::<Array<16, true>, 16>(layers, width, rows, scores);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn apart_512(layers: &[Packed<16>], width: usize, rows: &[f32], scores: &mut Vec<f32>) {
    run::<Array<16, false>, 16>(layers, width, rows, scores);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn fused_256(layers: &[Packed<8>], width: usize, rows: &[f32], scores: &mut Vec<f32>) {
    run::<Array<8, true>, 8>(layers, width, rows, scores);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn apart_256(layers: &[Packed<8>], width: usize, rows: &[f32], scores: &mut Vec<f32>) {
    run::<Array<8, false>, 8>(layers, width, rows, scores);
}

#[inline(always)]
fn run<L: Lanes<N>, const N: usize>(layers: &[Packed<N>], width: usize, rows: &[f32], scores: &mut Vec<f32>) {
    let widest = layers.iter().map(|layer| layer.panels.len() * REGISTERS * N).fold(width, usize::max);
    let (mut x, mut y) = (vec![0.0; ROWS * widest], vec![0.0; ROWS * widest]);
    let n_rows = rows.len() / width;
    for rows in rows.chunks(ROWS * width) {
        for (x, row) in x.chunks_exact_mut(widest).zip(rows.chunks_exact(width)) {
            x[..width].copy_from_slice(row);
        }
        let mut n_inputs = width;
        for layer in layers {
            if layer.n_outputs == 1 {
                for (x, y) in x.chunks_exact(widest).zip(y.chunks_exact_mut(widest)) {
                    y[0] = single(&x[..n_inputs], &layer.only);
                }
            } else {
                multiply::<L, N>(&x, n_inputs, layer, &mut y);
            }
            std::mem::swap(&mut x, &mut y);
            n_inputs = layer.n_outputs;
        }
        scores.extend(x.iter().step_by(widest));
    }
    scores.truncate(n_rows);
}

/// y = x W, for four rows.
#[inline(always)]
fn multiply<L: Lanes<N>, const N: usize>(x: &[f32], n_inputs: usize, layer: &Packed<N>, y: &mut [f32]) {
    let widest = x.len() / ROWS;
    let row = |r: usize| x[r * widest..][..n_inputs].iter();
    for (p, panel) in layer.panels.iter().enumerate() {
        // Names, not an array: the compiler is sure to keep these in registers.
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = [L::load(&[0.0; N]); REGISTERS * ROWS];
        for ((((s, t), u), v), [low, high]) in row(0).zip(row(1)).zip(row(2)).zip(row(3)).zip(panel) {
            let (low, high) = (L::load(low), L::load(high));
            (a, b) = (a.add(*s, low), b.add(*s, high));
            (c, d) = (c.add(*t, low), d.add(*t, high));
            (e, f) = (e.add(*u, low), f.add(*u, high));
            (g, h) = (g.add(*v, low), h.add(*v, high));
        }
        for (r, (low, high)) in [(a, b), (c, d), (e, f), (g, h)].into_iter().enumerate() {
            let y = &mut y[r * widest + p * REGISTERS * N..][..REGISTERS * N];
            y[..N].copy_from_slice(&low.store());
            y[N..].copy_from_slice(&high.store());
        }
    }
}

/// The last layer's one output, in as many sums as there are lanes.
#[inline(always)]
fn single(x: &[f32], weights: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    for (x, weights) in x.chunks(8).zip(weights.chunks(8)) {
        for ((sum, x), weight) in sums.iter_mut().zip(x).zip(weights) {
            *sum += x * weight;
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_multiplies_every_row_with_every_layer() {
        let widths = [34, 64, 64, 32, 1];
        let weight = |i: usize| ((i * 7919 % 257) as f32 / 257.0 - 0.5) * 0.25;
        let layer = |w: &[usize]| Layer { weights: (0..w[0] * w[1]).map(weight).collect(), biases: vec![0.0; w[1]] };
        let layers: Vec<Layer> = widths.windows(2).map(layer).collect();
        let rows: Vec<f32> = (0..19 * 34).map(|i| (i * 31 % 101) as f32 / 50.0 - 1.0).collect();
        let plain = |row: &[f32]| {
            let times = |x: Vec<f64>, layer: &Layer| -> Vec<f64> {
                let n = layer.biases.len();
                (0..n)
                    .map(|o| x.iter().enumerate().map(|(i, x)| x * f64::from(layer.weights[i * n + o])).sum())
                    .collect()
            };
            layers.iter().fold(row.iter().copied().map(f64::from).collect(), times)[0]
        };
        for fused in [false, true] {
            let Ok(gemm) = Gemm::new(&layers, 34, fused) else { continue };
            let mut scores = Vec::new();
            gemm.run(&rows, &mut scores);
            assert_eq!(scores.len(), 19);
            for (row, score) in rows.chunks(34).zip(scores) {
                assert!((plain(row) - f64::from(score)).abs() < 1e-4, "{} and {score}", plain(row));
            }
        }
    }
}
