//! From text to program, where campaigns are published.

use super::check::Checker;
use super::program::Program;
use super::variable::Type;
use crate::id::Hash;
use crate::sorted::{Map, Set};
use crate::suggest::nearest;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use cel::common::ast::SourceInfo;
use cel::parser::{ParseErrors, PrattParser};
use core::fmt;
use serde::Deserialize;
use thiserror::Error;

/// Bytes of one condition.
pub const MAX_TEXT: usize = 16 << 10;
/// Parentheses, calls and lists within each other.
pub const MAX_DEPTH: u16 = 32;

/// What a rule may call things that bundles have numbers for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels {
    /// The first 4 bytes of the cuisine map's fingerprint.
    pub(super) map: u32,
    pub(super) cuisines: Map<String, u16>,
    /// Tastes for these tell religion or health.
    pub(super) sensitive: Set<String>,
}

/// What is wrong with a condition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Error)]
pub struct RuleError {
    /// From 1, in the condition's text.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What was found, and what was expected.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, message, hint } = self;
        write!(f, "{line}:{column}: {message}")?;
        hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl Labels {
    /// The labels of a map, in the order in which bundles count them, and its fingerprint.
    #[must_use]
    pub fn new(fingerprint: u64, cuisines: impl IntoIterator<Item = String>, sensitive: Set<String>) -> Self {
        let cuisines = cuisines.into_iter().zip(0..).collect();
        Self { map: fingerprint as u32, cuisines, sensitive }
    }

    /// The number of a label.
    #[must_use]
    pub fn cuisine(&self, label: &str) -> Option<u16> {
        self.cuisines.get(label).copied()
    }

    /// The label that somebody who wrote this may have meant.
    #[must_use]
    pub fn near(&self, label: &str) -> Option<&str> {
        nearest(label, self.cuisines.keys().map(String::as_str))
    }

    /// Reads `models/cuisine-map.json`, whose fingerprint is that of its bytes, or what rules need of it: `cuisine-labels.json`, which
    /// names the fingerprint of the map that it was taken from.
    ///
    /// # Errors
    /// A sentence with the place that is no map.
    pub fn read(json: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Map {
            #[serde(default)]
            map: Option<String>,
            labels: Vec<String>,
            vocabulary: Vocabulary,
        }
        #[derive(Deserialize)]
        struct Vocabulary {
            #[serde(default)]
            sensitive: Set<String>,
        }
        let map: Map = serde_json::from_slice(json).map_err(|error| format!("cuisine map: {error}"))?;
        let fingerprint = match &map.map {
            Some(hex) => u64::from_str_radix(hex, 16).map_err(|_| format!("cuisine map: found fingerprint {hex:?}"))?,
            None => Hash::of(json).short(),
        };
        Ok(Self::new(fingerprint, map.labels, map.vocabulary.sensitive))
    }
}

/// Compiles a rule's condition.
///
/// # Errors
/// Everything that is wrong with it, in the order of the text.
pub fn compile(text: &str, labels: &Labels) -> Result<Program, Vec<RuleError>> {
    let program = compile_expression(text, labels)?;
    match program.kind() {
        Some(Type::Bool) => Ok(program),
        kind => {
            let found = kind.map_or("nothing", Type::name);
            Err(vec![RuleError {
                line: 1,
                column: 1,
                message: format!("the condition is of type {found}, expected bool"),
                hint: Some("compare it with something".into()),
            }])
        }
    }
}

/// Compiles an expression of any type: what the conformance suite asks.
///
/// # Errors
/// As [`compile`].
pub fn compile_expression(text: &str, labels: &Labels) -> Result<Program, Vec<RuleError>> {
    if text.len() > MAX_TEXT {
        let message = format!("the condition has {} bytes, at most {MAX_TEXT} are read", text.len());
        return Err(vec![RuleError { line: 1, column: 1, message, hint: Some("split the rule".into()) }]);
    }
    let tree = parser().parse(text).map_err(|ParseErrors { errors }| {
        let errors = errors.iter().map(|error| RuleError {
            line: usize::try_from(error.pos.0).unwrap_or(1).max(1),
            column: usize::try_from(error.pos.1).unwrap_or(1).max(1),
            message: error.msg.to_string(),
            hint: None,
        });
        let mut errors: Vec<RuleError> = errors.collect();
        errors.dedup();
        errors
    })?;
    Checker::new(text, labels).program(&tree)
}

/// Where the parts of a condition stand, in bytes. The parser tells it beside an error alone: here is one, after everything else.
pub(super) fn places(text: &str) -> Arc<SourceInfo> {
    let refused = parser().parse(&format!("{text}\n)")).err();
    refused.and_then(|told| told.errors.into_iter().find_map(|error| error.source_info)).unwrap_or_default()
}

fn parser() -> PrattParser {
    PrattParser::new().max_recursion_depth(MAX_DEPTH)
}
