//! What a campaign may say: the types of its keys.

use crate::rule::Program;
use crate::sorted::Map;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// What the law of the reader's market asks before a message is tailored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// Nothing beyond the sender's own terms.
    #[default]
    NotRequired,
    /// Without the reader's consent the profile is not looked at.
    Required,
}

/// Who judges in this campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Ranker {
    /// The model that the shell carries.
    #[default]
    Model,
    /// The prior, as if no model could answer.
    Prior,
}

/// A multiplier on a merchant's odds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct Boost {
    /// `merchant_id`, or `chain:` and a `chain_id`.
    pub merchant: String,
    /// Above 1 lifts, below 1 buries; 0.01 to 100.
    pub factor: f64,
    /// Paid for: the card says so, and no deeper layer can take that back.
    #[serde(default, skip_serializing_if = "is_false")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<bool>"))]
    pub sponsored: bool,
    /// RFC 3339; holds from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// RFC 3339; holds until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl Boost {
    /// Of a merchant, for ever, unpaid.
    #[must_use]
    pub fn of(merchant: &str, factor: f64) -> Self {
        Self { merchant: merchant.into(), factor, sponsored: false, from: None, until: None }
    }
}

/// A fixed slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// From 0.
    pub slot: u8,
    /// `merchant_id`, or `chain:` and a `chain_id`; shown there if it is kept.
    pub merchant: String,
    /// Paid for: the card says so, and no deeper layer can take that back.
    #[serde(default, skip_serializing_if = "is_false")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<bool>"))]
    pub sponsored: bool,
    /// RFC 3339; holds from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// RFC 3339; holds until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl Pin {
    /// Of a merchant, for ever, unpaid.
    #[must_use]
    pub fn at(slot: u8, merchant: &str) -> Self {
        Self { slot, merchant: merchant.into(), sponsored: false, from: None, until: None }
    }
}

/// What a rule does to the merchants it holds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Where any rule includes, only merchants that one of them includes are shown.
    Include,
    /// Never shown.
    Exclude,
    /// Odds times `factor`, above 1.
    Boost,
    /// Odds times `factor`, below 1.
    Bury,
    /// Belongs to `pool`.
    Pool,
    /// Its card shows `badge`.
    Badge,
}

/// A CEL condition and what follows from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// In CEL, over the documented variables.
    pub when: String,
    /// `when` as it was compiled when the campaign was published; without it a rule never holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "types", ts(as = "Option<String>"))]
    pub program: Option<Program>,
    /// What follows.
    pub then: Action,
    /// Of a boost or bury; 0.01 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// Of a pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Of a badge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub badge: Option<String>,
    /// For whoever reads the explanation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Paid for: the card says so, and no deeper layer can take that back.
    #[serde(default, skip_serializing_if = "is_false")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<bool>"))]
    pub sponsored: bool,
    /// RFC 3339; holds from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// RFC 3339; holds until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// Slots that take one pool alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// From 0.
    pub first: u8,
    /// Inclusive.
    pub last: u8,
    /// A built-in pool (`reorder`, `relevant`, `offer`, `inspire`), or one that a rule fills.
    pub pool: String,
}

/// How much a message tries out.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Explore {
    /// Probability that a slot is drawn at random instead of by score, 0 to 1.
    pub share: f64,
    /// From how many of the best that could stand there.
    pub among: u8,
}

/// One side of an experiment; its configuration is the layer `arms/ID`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Of the readers, 0 to 1; what the arms leave is `control`.
    pub share: f64,
    /// These readers are sent nothing; who asks anyway gets the control message, marked.
    #[serde(default, skip_serializing_if = "is_false")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<bool>"))]
    pub holdout: bool,
}

/// What a slot shows when no merchant is left.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// On the card.
    pub text: String,
    /// Where a click goes.
    #[serde(default)]
    pub url: String,
}

/// Things of a layer by their id; a list in a document, where a boost or a pin without an `id` goes by its merchant's.
pub type ById<T> = Map<String, T>;

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(flag: &bool) -> bool {
    !flag
}
