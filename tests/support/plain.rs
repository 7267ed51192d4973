//! What `dense` computes, said as plainly as can be: one row, one sum at a time. No target may differ from it by a bit.

use std::vec::Vec;

/// A layer's weights, input by input, and its biases.
pub type Plain<'a> = (&'a [f32], &'a [f32]);

/// The score of one row.
pub fn score(clamp: f32, mean: &[f32], scale: &[f32], layers: &[Plain<'_>], row: &[f32]) -> f32 {
    let mut x: Vec<f32> = Vec::new();
    for ((value, mean), scale) in row.iter().zip(mean).zip(scale) {
        let normal = (value - mean) * scale;
        x.push(if normal > clamp {
            clamp
        } else if normal < -clamp {
            -clamp
        } else {
            normal
        });
    }
    for (l, (weights, biases)) in layers.iter().enumerate() {
        let mut y = Vec::new();
        for (o, bias) in biases.iter().enumerate() {
            let mut sum = *bias;
            for (i, x) in x.iter().enumerate() {
                sum += x * weights[i * biases.len() + o];
            }
            let is_last = l + 1 == layers.len();
            y.push(if is_last || sum > 0.0 { sum } else { 0.0 });
        }
        x = y;
    }
    x[0]
}
