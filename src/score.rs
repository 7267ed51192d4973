//! Who judges: two scorers behind one trait, and the prior behind both.
//!
//! `dense` decides, since it is exact to the bit on every target; `tract` runs whatever ONNX ranker `dense` cannot.

use crate::campaign::Ranker;
use crate::feature::{self, Rows};
use crate::id::Hash;
use alloc::string::String;
use alloc::vec::Vec;
use thiserror::Error;

pub mod dense;
#[cfg(feature = "tract")]
pub mod tract;

/// Scores are fixed point from here on: i32 of score x 2^16, so that parts can add up exactly.
pub const SCORE_STEPS: f32 = 65_536.0;

/// Judges rows; the more a reader would like to order, the higher.
pub trait Scorer {
    /// `dense`, `tract`, ...
    fn name(&self) -> &'static str;

    /// Which model it runs, by the hash of the ONNX file.
    fn model(&self) -> Hash;

    /// Which columns it was trained on; [`feature::fingerprint`], or it would have been refused.
    fn features(&self) -> Hash {
        feature::fingerprint()
    }

    /// One score a row.
    ///
    /// # Errors
    /// Whatever keeps it from answering; the prior does then.
    fn score(&self, rows: &Rows) -> Result<Vec<f32>, ModelError>;
}

/// Why a model cannot be used, or did not answer.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ModelError {
    /// Its bytes are damaged.
    #[error(transparent)]
    Decode(#[from] crate::wire::DecodeError),
    /// Trained on other columns, or on the same columns with other arithmetic.
    #[error("model was trained on features {found}, this release makes {expected}")]
    Fingerprint {
        /// In the model.
        found: String,
        /// [`feature::fingerprint_hex`].
        expected: String,
    },
    /// Its graph does what this scorer cannot.
    #[error("model {what}: found {found}, expected {expected}")]
    Graph {
        /// Which part of it.
        what: &'static str,
        /// What stands there.
        found: String,
        /// What this scorer runs.
        expected: &'static str,
    },
    /// It answered for another number of rows than it was asked for.
    #[error("model gave {found} scores for {expected} rows")]
    Rows {
        /// Scores.
        found: usize,
        /// Rows.
        expected: usize,
    },
    /// A score that is no number.
    #[error("model gave {found} for row {row}")]
    NotFinite {
        /// From 0.
        row: usize,
        /// `NaN`, `inf` or `-inf`.
        found: String,
    },
    /// There is no model.
    #[error("no model")]
    Absent,
}

/// No model at all: the prior ranks, and the decision says so.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoModel;

impl Scorer for NoModel {
    fn name(&self) -> &'static str {
        "prior"
    }

    fn model(&self) -> Hash {
        Hash::default()
    }

    fn score(&self, _rows: &Rows) -> Result<Vec<f32>, ModelError> {
        Err(ModelError::Absent)
    }
}

/// The prior by a campaign's own wish: no model was asked, so none failed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Prior;

impl Scorer for Prior {
    fn name(&self) -> &'static str {
        "prior"
    }

    fn model(&self) -> Hash {
        Hash::default()
    }

    fn score(&self, rows: &Rows) -> Result<Vec<f32>, ModelError> {
        Ok(rows.iter().map(feature::prior).collect())
    }
}

/// Who judges in a campaign.
#[must_use]
pub fn of(ranker: Ranker, scorer: &dyn Scorer) -> &dyn Scorer {
    match ranker {
        Ranker::Model => scorer,
        Ranker::Prior => &Prior,
    }
}

/// The scores of all rows in fixed point, from the model if it answers for every row.
///
/// # Errors
/// What kept the model from answering.
pub fn score(scorer: &dyn Scorer, rows: &Rows) -> Result<Vec<i32>, ModelError> {
    let scores = scorer.score(rows)?;
    if scores.len() != rows.len() {
        return Err(ModelError::Rows { found: scores.len(), expected: rows.len() });
    }
    if let Some(row) = scores.iter().position(|score| !score.is_finite()) {
        let found = if scores[row].is_nan() { "NaN" } else { "an infinity" };
        return Err(ModelError::NotFinite { row, found: found.into() });
    }
    Ok(scores.into_iter().map(fixed).collect())
}

/// The prior of all rows, in fixed point.
#[must_use]
pub fn prior(rows: &Rows) -> Vec<i32> {
    rows.iter().map(|row| fixed(feature::prior(row))).collect()
}

/// Rounds once, half away from zero; beyond 16 bits before the point, it saturates.
#[must_use]
pub fn fixed(score: f32) -> i32 {
    // Halved, so that a campaign's boost can still be added.
    (libm::roundf(score * SCORE_STEPS) as i32).clamp(i32::MIN / 2, i32::MAX / 2)
}

/// Refuses a model that was trained on other columns.
pub(crate) fn check_fingerprint(found: &str) -> Result<(), ModelError> {
    let expected = feature::fingerprint_hex();
    if found == expected { Ok(()) } else { Err(ModelError::Fingerprint { found: found.into(), expected }) }
}
