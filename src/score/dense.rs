//! `dense`: a plain feed-forward ranker, exact to the bit everywhere.
//!
//! ```text
//! x = clamp((row - mean) * scale)
//! x = relu(x W + b)   for every layer but the last, which has no relu
//! ```
//!
//! f32, each output summed over its inputs in order from its bias on, multiply and add rounded apart: no target may reorder or fuse
//! them. Targets differ in how many rows they take at a time (`freshrank-kernel`).
//!
//! Plan: magic and version, checksum, fingerprint (16), the ONNX file's hash (16), clamp (f32), number of layers (u16), widths
//! (u16 each, the input's first), means, scales, then per layer the form of its weights, its weights (input by input) and its biases.
//! Numbers are f32; weights in form 1 are a scale an output and then bytes, as they stand in the ONNX file: weight = byte x scale.
//! Version 1 has no forms, and all weights in f32.

use super::{ModelError, Scorer, check_fingerprint};
use crate::feature::{N_FEATURES, Rows};
use crate::id::{Hash, hex};
use crate::wire::{DecodeError, Reader, seal};
use alloc::vec::Vec;
use freshrank_kernel::Network;

pub use freshrank_kernel::Layer;

const MAGIC: [u8; 4] = *b"FRLP";
const VERSION: u16 = 2;
const PART: &str = "model plan";
const CHECKSUM_AT: usize = 6;
const MAX_LAYERS: usize = 8;
const MAX_WIDTH: usize = 1024;
/// Weights as they are.
const PLAIN: u8 = 0;
/// Weights as bytes, with a scale an output.
const BYTES: u8 = 1;

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
        let numbers = |bytes: &mut Vec<u8>, values: &[f32]| {
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        };
        numbers(&mut bytes, &self.mean);
        numbers(&mut bytes, &self.scale);
        for layer in &self.layers {
            match quantized(layer) {
                Some((scales, weights)) => {
                    bytes.push(BYTES);
                    numbers(&mut bytes, &scales);
                    bytes.extend(weights.into_iter().map(|weight| weight as u8));
                }
                None => {
                    bytes.push(PLAIN);
                    numbers(&mut bytes, &layer.weights);
                }
            }
            numbers(&mut bytes, &layer.biases);
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
        let found = r.array("the magic")?;
        if found != MAGIC {
            return Err(DecodeError::Magic { part: PART, found, expected: MAGIC });
        }
        let version = r.u16("the version")?;
        if !(1..=VERSION).contains(&version) {
            return Err(DecodeError::Version { part: PART, found: version, expected: VERSION });
        }
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
        let mut layers = Vec::with_capacity(n_layers);
        let mean = finite(&mut r, "the means", widths[0])?;
        let scale = finite(&mut r, "the scales", widths[0])?;
        for width in widths.windows(2) {
            let form = if version == 1 { PLAIN } else { r.u8("the form of the weights")? };
            let n_weights = width[0] * width[1];
            let weights = match form {
                PLAIN => finite(&mut r, "the weights", n_weights)?,
                BYTES => {
                    let scales = finite(&mut r, "the weights' scales", width[1])?;
                    let bytes = r.take("the weights", n_weights)?;
                    let scales = scales.iter().cycle();
                    bytes.iter().zip(scales).map(|(byte, scale)| f32::from(*byte as i8) * scale).collect()
                }
                found => {
                    let (what, expected) = ("form of the weights", "0 or 1");
                    return Err(DecodeError::Value {
                        part: PART,
                        what,
                        at: layers.len(),
                        found: found.into(),
                        expected,
                    });
                }
            };
            layers.push(Layer { weights, biases: finite(&mut r, "the biases", width[1])? });
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
            return Err(of_shape(inputs, outputs));
        }
        Ok(plan)
    }

    /// One score a row of `values`, row after row, each as wide as the plan's input.
    #[must_use]
    pub fn run(&self, values: &[f32]) -> Vec<f32> {
        let Self { clamp, mean, scale, layers, .. } = self;
        freshrank_kernel::scores(&Network { clamp: *clamp, mean, scale, layers }, values)
    }
}

/// Scales by output and whole numbers that give exactly the weights of a layer, if there are such.
fn quantized(layer: &Layer) -> Option<(Vec<f32>, Vec<i8>)> {
    let n_outputs = layer.biases.len();
    let column = |o: usize| layer.weights.iter().skip(o).step_by(n_outputs.max(1)).copied();
    let scales = (0..n_outputs).map(|o| scale_of(column(o))).collect::<Option<Vec<f32>>>()?;
    let whole = |(weight, scale): (&f32, &f32)| libm::roundf(weight / scale) as i8;
    let weights = layer.weights.iter().zip(scales.iter().cycle()).map(whole).collect();
    Some((scales, weights))
}

/// What all these numbers are whole multiples of, from -127 to 127 times, exactly.
fn scale_of(weights: impl Iterator<Item = f32> + Clone) -> Option<f32> {
    let largest = weights.clone().map(f32::abs).fold(0.0, |a, b| if b > a { b } else { a });
    if largest == 0.0 {
        return Some(1.0);
    }
    // Training takes the largest to 127; dividing it again may miss the scale by its last bits.
    let guesses = (64..=127_u8).rev().flat_map(|times| {
        let scale = (largest / f32::from(times)).to_bits();
        (0..=4).flat_map(move |off| [scale - off, scale + off]).map(f32::from_bits)
    });
    let fits = |scale: f32, weight: f32| {
        let times = libm::roundf(weight / scale);
        (-127.0..=127.0).contains(&times) && (f32::from(times as i8) * scale).to_bits() == weight.to_bits()
    };
    guesses.into_iter().find(|scale| scale.is_normal() && weights.clone().all(|weight| fits(*scale, weight)))
}

/// So many numbers, each of them one.
fn finite(r: &mut Reader<'_>, what: &'static str, n: usize) -> Result<Vec<f32>, DecodeError> {
    let bytes = r.take(what, 4 * n)?;
    let values: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(DecodeError::Value { part: PART, what, at, found: 0, expected: "finite numbers" }),
        None => Ok(values),
    }
}

fn of_shape(inputs: usize, outputs: usize) -> ModelError {
    let found = alloc::format!("{inputs} columns in, {outputs} out");
    ModelError::Graph { what: "shape", found, expected: "the columns of this release in, 1 out" }
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
        let found = self.mean.len();
        if found == N_FEATURES { Ok(self.run(&rows.values)) } else { Err(of_shape(found, 1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

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
    fn weights_of_few_levels_are_bytes_and_come_back_to_the_bit() {
        let scales: Vec<f32> = (0..16).map(|o| 0.0117 / (1.0 + o as f32)).collect();
        // Every output has a weight of 127 steps, as training leaves it; output 3 has none but 0.
        let weight = |i: usize| if i % 16 == 3 { 0 } else { (i / 16 * 37 % 255) as i8 as i16 - i16::from(i < 16) };
        let step = |i: usize| if i < 16 && i != 3 { 127 } else { weight(i).clamp(-127, 127) };
        let weights: Vec<f32> = (0..N_FEATURES * 16).map(|i| f32::from(step(i)) * scales[i % 16]).collect();
        let first = Layer { weights, biases: vec![0.25; 16] };
        let last = Layer { weights: (0..16).map(|i| 1.0 / (i as f32 + 3.0)).collect(), biases: vec![0.5] };
        let plan = Dense { layers: vec![first, last], ..plan() };
        let bytes = plan.encode();
        let decoded = Dense::load(&bytes).unwrap();
        let bits =
            |plan: &Dense| plan.layers.iter().flat_map(|l| l.weights.iter().map(|w| w.to_bits())).collect::<Vec<_>>();
        assert_eq!(bits(&decoded), bits(&plan));
        assert!(bytes.len() < 2 * 4 * N_FEATURES + 17 * N_FEATURES + 300, "{} bytes", bytes.len());
    }

    #[test]
    fn a_plan_of_the_first_version_is_still_read() {
        // What version 1 wrote of it: the same without the byte that tells a layer's form.
        let mut plan = plan();
        for layer in &mut plan.layers {
            layer.weights = (0..layer.weights.len()).map(|i| libm::sinf(i as f32 + 1.0)).collect();
        }
        let mut bytes = plan.encode();
        let last = bytes.len() - 1 - 4 * (4 + 1);
        let first = last - 1 - 4 * (N_FEATURES * 4 + 4);
        assert_eq!((bytes[first], bytes[last]), (PLAIN, PLAIN), "weights that are no multiples of one");
        bytes.remove(last);
        bytes.remove(first);
        bytes[4] = 1;
        seal(&mut bytes, CHECKSUM_AT);
        assert_eq!(Dense::load(&bytes), Ok(plan));
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
