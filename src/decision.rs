//! The whole answer.

use crate::blend::{Placement, Score};
use crate::campaign::Policy;
use crate::feature::Rows;
use crate::geo::Cell;
use crate::id::Hash;
use crate::locate::Place;
use crate::retrieve::{Candidate, Dropped};
use crate::score::ModelError;
use alloc::string::String;
use alloc::vec::Vec;

/// The whole answer: what every slot shows, and everything that led there.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Where the reader is thought to be.
    pub place: Place,
    /// The area decided in; `None` where the place is unknown or its bundle not at hand.
    pub cell: Option<Cell>,
    /// Minutes that local clocks there are ahead of UTC.
    pub offset_minutes: i16,
    /// One a slot.
    pub placements: Vec<Placement>,
    /// Who could be placed, ascending by merchant id.
    pub kept: Vec<Candidate>,
    /// Who could not, and why, ascending by merchant id.
    pub dropped: Vec<Dropped>,
    /// The rows of `kept`, as the model saw them.
    pub rows: Rows,
    /// The judgement of `kept`.
    pub scores: Vec<Score>,
    /// Who judged: `dense`, `tract` or `prior`.
    pub scorer: &'static str,
    /// Why the model did not.
    pub model_error: Option<ModelError>,
    /// The merged configuration.
    pub policy: Policy,
    /// The reader's side of the campaign's experiment; `None` is the control.
    pub arm: Option<String>,
    /// A reader who should have been sent nothing.
    pub holdout: bool,
    /// What made it.
    pub hashes: Hashes,
}

/// Which model, bundle and campaign made a decision.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
pub struct Hashes {
    /// Of the ONNX file.
    #[cfg_attr(feature = "types", ts(type = "string"))]
    pub model: Hash,
    /// Of the columns.
    #[cfg_attr(feature = "types", ts(type = "string"))]
    pub features: Hash,
    /// Of the area bundle.
    #[cfg_attr(feature = "types", ts(type = "string | null"))]
    pub area: Option<Hash>,
    /// Of the published campaign.
    #[cfg_attr(feature = "types", ts(type = "string"))]
    pub campaign: Hash,
    /// Of the merged configuration.
    #[cfg_attr(feature = "types", ts(type = "string"))]
    pub policy: Hash,
}

impl Policy {
    /// The hash of what was merged: two areas under the same layers share it.
    #[must_use]
    pub fn hash(&self) -> Hash {
        use core::fmt::Write as _;
        let mut text = String::new();
        // Writing to a String cannot fail, and Debug prints every field.
        let _ = write!(text, "{self:?}");
        Hash::of(text.as_bytes())
    }
}
