//! `dense`: a plain feed-forward ranker, exact to the bit everywhere.
//!
//! ```text
//! x = clamp((row - mean) * scale)
//! x = relu(x W + b)   for every layer but the last, which has no relu
//! ```
//!
//! f32, each output summed over its inputs in order, multiply and add rounded apart: no target may reorder or fuse them.
//!
//! Plan: magic and version, checksum, fingerprint (16), the ONNX file's hash (16), clamp (f32), number of layers (u16), widths
//! (u16 each, the input's first), means, scales, then per layer its weights (input by input) and its biases, all f32.

use super::{ModelError, Scorer, check_fingerprint};
use crate::feature::{N_FEATURES, Rows};
use crate::id::{Hash, hex};
use crate::wire::{DecodeError, Reader, seal};
use alloc::vec;
use alloc::vec::Vec;

const MAGIC: [u8; 4] = *b"FRLP";
const VERSION: u16 = 1;
const PART: &str = "model plan";
const CHECKSUM_AT: usize = 6;
const MAX_LAYERS: usize = 8;
const MAX_WIDTH: usize = 1024;

/// A compiled ranker.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    /// Of the columns it was trained on.
    pub fingerprint: Hash,
    /// Of the ONNX file it was compiled from.
    pub model: Hash,
    /// Normalized inputs are clamped to this, both ways.
    pub clamp: f32,
    /// Subtracted from each input.
    pub mean: Vec<f32>,
    /// Then multiplied.
    pub scale: Vec<f32>,
    /// First to last.
    pub layers: Vec<Layer>,
}

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// `[inputs x outputs]`, input by input.
    pub weights: Vec<f32>,
    /// One an output.
    pub biases: Vec<f32>,
}

impl Dense {
    /// The bytes [`Dense::decode`] reads.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.fingerprint.0);
        bytes.extend(self.model.0);
        bytes.extend(self.clamp.to_le_bytes());
        bytes.extend((self.layers.len() as u16).to_le_bytes());
        bytes.extend((self.mean.len() as u16).to_le_bytes());
        for layer in &self.layers {
            bytes.extend((layer.biases.len() as u16).to_le_bytes());
        }
        let layers = self.layers.iter().flat_map(|layer| [&layer.weights, &layer.biases]);
        for values in [&self.mean, &self.scale].into_iter().chain(layers) {
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        seal(&mut bytes, CHECKSUM_AT);
        bytes
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// Names the part that is cut off, over a limit, damaged or not finite.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(PART, bytes);
        r.magic(MAGIC, VERSION)?;
        r.take("the checksum", 4)?;
        let fingerprint = Hash(r.array("the fingerprint")?);
        let model = Hash(r.array("the model's hash")?);
        let clamp = f32::from_le_bytes(r.array("the clamp")?);
        if !(clamp > 0.0 && clamp.is_finite()) {
            return Err(DecodeError::Value {
                part: PART,
                what: "clamp",
                at: 0,
                found: clamp as i64,
                expected: "a finite number above 0",
            });
        }
        let n_layers = usize::from(r.u16("the number of layers")?);
        let n_layers = r.limit("layers", n_layers, MAX_LAYERS)?;
        let mut widths = Vec::with_capacity(n_layers + 1);
        for _ in 0..=n_layers {
            let width = usize::from(r.u16("the widths")?);
            widths.push(r.limit("columns in a layer", width, MAX_WIDTH)?);
        }
        let mut values = |what, n: usize| -> Result<Vec<f32>, DecodeError> {
            let bytes = r.take(what, 4 * n)?;
            let values: Vec<f32> =
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            match values.iter().position(|value| !value.is_finite()) {
                Some(at) => Err(DecodeError::Value { part: PART, what, at, found: 0, expected: "finite numbers" }),
                None => Ok(values),
            }
        };
        let (mean, scale) = (values("the means", widths[0])?, values("the scales", widths[0])?);
        let mut layers = Vec::with_capacity(n_layers);
        for width in widths.windows(2) {
            let weights = values("the weights", width[0] * width[1])?;
            layers.push(Layer { weights, biases: values("the biases", width[1])? });
        }
        r.end()?;
        r.at = CHECKSUM_AT;
        r.checksum()?;
        Ok(Self { fingerprint, model, clamp, mean, scale, layers })
    }

    /// Reads a plan that ranks this release's columns.
    ///
    /// # Errors
    /// As [`Dense::decode`]; and where fingerprint or shape are not this release's.
    pub fn load(bytes: &[u8]) -> Result<Self, ModelError> {
        let plan = Self::decode(bytes)?;
        check_fingerprint(&hex(&plan.fingerprint.0))?;
        let (inputs, outputs) = (plan.mean.len(), plan.layers.last().map_or(0, |layer| layer.biases.len()));
        if (inputs, outputs) != (N_FEATURES, 1) {
            let found = alloc::format!("{inputs} columns in, {outputs} out");
            return Err(ModelError::Graph { what: "shape", found, expected: "the columns of this release in, 1 out" });
        }
        Ok(plan)
    }

    /// The score of one row; `x` and `y` are scratch space.
    fn row(&self, row: &[f32], x: &mut Vec<f32>, y: &mut Vec<f32>) -> f32 {
        x.clear();
        x.extend(row.iter().zip(&self.mean).zip(&self.scale).map(|((value, mean), scale)| {
            let value = (value - mean) * scale;
            let value = if value > self.clamp { self.clamp } else { value };
            if value < -self.clamp { -self.clamp } else { value }
        }));
        let last = self.layers.len().saturating_sub(1);
        for (l, layer) in self.layers.iter().enumerate() {
            y.clear();
            y.extend(&layer.biases);
            for (value, weights) in x.iter().zip(layer.weights.chunks_exact(layer.biases.len().max(1))) {
                for (sum, weight) in y.iter_mut().zip(weights) {
                    *sum += value * weight;
                }
            }
            if l != last {
                y.iter_mut().for_each(|value| *value = if *value > 0.0 { *value } else { 0.0 });
            }
            core::mem::swap(x, y);
        }
        x.first().copied().unwrap_or(0.0)
    }
}

impl Scorer for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn model(&self) -> Hash {
        self.model
    }

    fn features(&self) -> Hash {
        self.fingerprint
    }

    fn score(&self, rows: &Rows) -> Result<Vec<f32>, ModelError> {
        let (mut x, mut y) = (vec![], vec![]);
        Ok(rows.iter().map(|row| self.row(row, &mut x, &mut y)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Dense {
        let layer = |n: usize, m: usize| Layer {
            weights: (0..n * m).map(|i| (i % 7) as f32 * 0.1 - 0.3).collect(),
            biases: (0..m).map(|i| i as f32 * 0.05).collect(),
        };
        Dense {
            fingerprint: crate::feature::fingerprint(),
            model: Hash::of(b"onnx"),
            clamp: 8.0,
            mean: vec![0.5; N_FEATURES],
            scale: vec![2.0; N_FEATURES],
            layers: vec![layer(N_FEATURES, 4), layer(4, 1)],
        }
    }

    #[test]
    fn a_plan_survives_the_round_trip_and_no_damage() {
        let bytes = plan().encode();
        assert_eq!(Dense::load(&bytes), Ok(plan()));
        for n in 0..bytes.len() {
            assert!(Dense::decode(&bytes[..n]).is_err(), "prefix {n}");
        }
        for bit in 0..8 * bytes.len() {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Dense::decode(&bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_model_of_other_columns_is_refused() {
        let other = Dense { fingerprint: Hash::of(b"other columns"), ..plan() };
        let error = Dense::load(&other.encode()).unwrap_err();
        assert!(matches!(error, ModelError::Fingerprint { .. }), "{error}");
    }

    #[test]
    fn scores_are_what_the_formula_says() {
        // One hidden unit counts the clamped first column, the other is shut by its bias.
        let mut plan = plan();
        plan.layers = vec![
            Layer {
                weights: (0..N_FEATURES * 2).map(|i| if i == 0 { 1.0 } else { 0.0 }).collect(),
                biases: vec![0.25, -1.0],
            },
            Layer { weights: vec![3.0, 100.0], biases: vec![0.5] },
        ];
        let row = |first: f32| Rows { values: (0..N_FEATURES).map(|i| if i == 0 { first } else { 0.0 }).collect() };
        assert_eq!(plan.score(&row(1.0)), Ok(vec![3.0 * 1.25 + 0.5]));
        assert_eq!(plan.score(&row(1e9)), Ok(vec![3.0 * 8.25 + 0.5]), "clamped");
        assert_eq!(plan.score(&row(-1.0)), Ok(vec![0.5]), "relu");
    }
}
