//! Models as a case writes them: a few weights, or a fake with a character.

use freshrank::feature::{FEATURES, N_FEATURES, Rows, fingerprint};
use freshrank::score::dense::{Dense, Layer};
use freshrank::score::{ModelError, NoModel};
use freshrank::{Hash, Scorer};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The case's `model`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(untagged)]
pub enum ModelFile {
    /// The prior ranks.
    #[default]
    None,
    /// The model breaks in this way.
    Broken(Fault),
    /// A linear ranker over the named columns.
    Linear(BTreeMap<String, f32>),
}

/// How a model breaks.
#[derive(Debug, Clone, Copy, Deserialize)]
pub enum Fault {
    #[serde(rename = "answers one row too few")]
    TooFew,
    #[serde(rename = "answers one row too many")]
    TooMany,
    #[serde(rename = "answers NaN for the last row")]
    NaN,
    #[serde(rename = "answers infinity for the first row")]
    Infinite,
    #[serde(rename = "was trained on other columns")]
    OtherColumns,
    #[serde(rename = "has a flipped bit")]
    FlippedBit,
}

impl ModelFile {
    /// Who judges.
    pub fn scorer(&self) -> Box<dyn Scorer> {
        match self {
            Self::None => Box::new(NoModel),
            Self::Broken(fault) => Box::new(Broken(*fault)),
            Self::Linear(weights) => Box::new(linear(weights)),
        }
    }
}

/// The plan of a linear ranker, through its bytes as a shell would load it.
pub fn linear(weights: &BTreeMap<String, f32>) -> Dense {
    let unknown = weights.keys().find(|name| FEATURES.iter().all(|feature| feature.name != **name));
    assert_eq!(unknown, None, "a model weighs columns that exist");
    let weights = FEATURES.iter().map(|feature| weights.get(feature.name).copied().unwrap_or(0.0)).collect();
    let plan = Dense {
        fingerprint: fingerprint(),
        model: Hash::of(b"a case's own model"),
        clamp: 1000.0,
        mean: vec![0.0; N_FEATURES],
        scale: vec![1.0; N_FEATURES],
        layers: vec![Layer { weights, biases: vec![0.0] }],
    };
    Dense::load(&plan.encode()).unwrap_or_else(|error| panic!("{error}"))
}

/// A model that does not answer as it should.
#[derive(Debug)]
struct Broken(Fault);

impl Scorer for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn model(&self) -> Hash {
        Hash::of(b"broken")
    }

    fn score(&self, rows: &Rows) -> Result<Vec<f32>, ModelError> {
        let n = rows.len();
        let mut scores: Vec<f32> = (0..n).map(|i| i as f32).collect();
        match self.0 {
            Fault::TooFew => scores.truncate(n.saturating_sub(1)),
            Fault::TooMany => scores.push(0.0),
            Fault::NaN => scores.iter_mut().last().into_iter().for_each(|score| *score = f32::NAN),
            Fault::Infinite => scores.iter_mut().take(1).for_each(|score| *score = f32::INFINITY),
            Fault::OtherColumns => {
                let other = Dense { fingerprint: Hash::of(b"other columns"), ..linear(&BTreeMap::new()) };
                return Err(Dense::load(&other.encode()).unwrap_err());
            }
            Fault::FlippedBit => {
                let mut bytes = linear(&BTreeMap::new()).encode();
                bytes[100] ^= 1;
                return Err(Dense::load(&bytes).unwrap_err());
            }
        }
        Ok(scores)
    }
}
