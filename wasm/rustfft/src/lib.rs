//! The discrete Fourier transform behind the part of rustfft's interface that tract uses.
//!
//! Even lengths are halved after Cooley and Tukey (1965), odd ones summed up: n log n for powers of two, n² at worst. As with rustfft,
//! nothing is scaled: forward and inverse after each other give the input times its length.

pub use num_complex;
pub use num_traits;

use num_complex::Complex;
use num_traits::{FromPrimitive, Signed, Zero};
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

/// What can be transformed: `f32` and `f64`.
pub trait FftNum: Copy + FromPrimitive + Signed + Sync + Send + Debug + 'static {}

impl<T> FftNum for T where T: Copy + FromPrimitive + Signed + Sync + Send + Debug + 'static {}

/// The sign of the exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FftDirection {
    /// e^(-2 pi i k n / N).
    Forward,
    /// e^(+2 pi i k n / N).
    Inverse,
}

/// A transform of one length and direction.
pub trait Fft<T: FftNum>: Sync + Send {
    /// Transforms each whole stretch of its length, in place.
    fn process(&self, buffer: &mut [Complex<T>]);
}

/// Makes transforms.
#[derive(Debug)]
pub struct FftPlanner<T>(PhantomData<T>);

impl<T: FftNum> FftPlanner<T> {
    /// Knows nothing yet, and need not.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "rustfft's interface")]
    pub fn new() -> Self {
        Self(PhantomData)
    }

    /// A transform of `len` values.
    pub fn plan_fft(&mut self, len: usize, direction: FftDirection) -> Arc<dyn Fft<T>> {
        let sign = if direction == FftDirection::Forward { -1.0 } else { 1.0 };
        let turn = |k: usize| {
            let angle = sign * core::f64::consts::TAU * k as f64 / len as f64;
            let part = |x: f64| T::from_f64(x).unwrap_or_else(T::zero);
            Complex::new(part(libm::cos(angle)), part(libm::sin(angle)))
        };
        Arc::new(Plain { turns: (0..len).map(turn).collect() })
    }

    /// The same, forward.
    pub fn plan_fft_forward(&mut self, len: usize) -> Arc<dyn Fft<T>> {
        self.plan_fft(len, FftDirection::Forward)
    }
}

struct Plain<T> {
    /// e^(± 2 pi i k / N) for k from 0 to N - 1.
    turns: Vec<Complex<T>>,
}

impl<T: FftNum> Fft<T> for Plain<T> {
    fn process(&self, buffer: &mut [Complex<T>]) {
        for stretch in buffer.chunks_exact_mut(self.turns.len().max(1)) {
            let values = stretch.to_vec();
            transform(&values, 1, &self.turns, stretch);
        }
    }
}

/// The transform of every `step`th value from the first on, into all of `out`.
fn transform<T: FftNum>(values: &[Complex<T>], step: usize, turns: &[Complex<T>], out: &mut [Complex<T>]) {
    let n = out.len();
    if n.is_multiple_of(2) && n > 0 {
        let (even, odd) = out.split_at_mut(n / 2);
        transform(values, 2 * step, turns, even);
        transform(&values[step..], 2 * step, turns, odd);
        for (k, (a, b)) in even.iter_mut().zip(odd).enumerate() {
            let turned = *b * turns[k * step];
            (*a, *b) = (*a + turned, *a - turned);
        }
        return;
    }
    for (k, sum) in out.iter_mut().enumerate() {
        let terms = values.iter().step_by(step).take(n).enumerate();
        *sum = terms.fold(Complex::zero(), |sum, (i, value)| sum + *value * turns[(i * k % n) * step]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(n: usize) -> Vec<Complex<f64>> {
        (0..n).map(|i| Complex::new((i * 7 % 5) as f64 - 2.0, (i * 3 % 4) as f64 / 3.0)).collect()
    }

    #[test]
    fn it_is_the_sum_that_defines_it() {
        for n in [1, 2, 3, 4, 5, 6, 8, 12, 15, 16, 40] {
            let (before, mut found) = (values(n), values(n));
            FftPlanner::new().plan_fft_forward(n).process(&mut found);
            for (k, found) in found.iter().enumerate() {
                let angle = |i: usize| -core::f64::consts::TAU * (i * k) as f64 / n as f64;
                let turn = |i: usize| Complex::new(angle(i).cos(), angle(i).sin());
                let sum: Complex<f64> = before.iter().enumerate().map(|(i, value)| value * turn(i)).sum();
                assert!((found - sum).l1_norm() < 1e-9, "{n} values, frequency {k}: found {found}, expected {sum}");
            }
        }
    }

    #[test]
    fn forward_and_inverse_give_the_input_times_its_length() {
        let (before, mut found) = (values(24), values(24));
        FftPlanner::new().plan_fft(12, FftDirection::Forward).process(&mut found);
        FftPlanner::new().plan_fft(12, FftDirection::Inverse).process(&mut found);
        assert!(before.iter().zip(&found).all(|(a, b)| (a * 12.0 - b).l1_norm() < 1e-9));
    }
}
