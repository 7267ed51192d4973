//! Why a candidate has its score: a tree of numbers that adds up, in fixed point and so exactly.
//!
//! The model's part is divided among the [`Group`]s of columns by their Shapley values ([`shapley`]; for their use here
//! S. M. Lundberg and S.-I. Lee, "A unified approach to interpreting model predictions", 2017). Every set of groups is a
//! row: who is in brings the candidate's columns, who is out those of the area's [`Reference`]. Sequential occlusion, which
//! stood here before, gave what two groups do together to whichever was filled in first.
//!
//! A share is rounded once; what that leaves goes to the reference's leaf, at most 4 steps from [`Reference::base`].

use crate::areas::Area;
use crate::campaign::Policy;
use crate::context::Context;
use crate::decision::Decision;
use crate::feature::{FEATURES, Group, N_FEATURES, Rows};
use crate::retrieve::Candidate;
use crate::score::{ModelError, Scorer, prior, score};
use crate::sorted::sort_by;
use crate::{blend, campaign};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use serde::Serialize;

pub mod reference;
pub mod shapley;
pub mod why;

use reference::{AreaRow, Reference};

/// The leaf that holds the reference's score.
pub const REFERENCE: &str = "reference";
/// The leaf that holds what could not be divided.
pub const NOT_EXPLAINED: &str = "not explained";

/// One number and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
pub struct Node {
    /// What it is.
    pub name: String,
    /// In fixed point, score x 65536.
    pub value: i32,
    /// They add up to `value`; a leaf has none.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub parts: Vec<Node>,
}

impl Node {
    fn leaf(name: &str, value: i32) -> Self {
        Self { name: name.to_string(), value, parts: Vec::new() }
    }

    /// A number with its parts; what they leave of it is said to be left.
    fn of(name: &str, value: i32, mut parts: Vec<Self>) -> Self {
        let sum = parts.iter().fold(0_i64, |sum, part| sum + i64::from(part.value));
        let rest = i64::from(value) - sum;
        if rest != 0 {
            let rest = rest.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
            parts.push(Self::leaf(NOT_EXPLAINED, rest as i32));
        }
        Self { name: name.to_string(), value, parts }
    }

    /// Whether every node is the sum of its parts.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let sum = self.parts.iter().fold(0_i64, |sum, part| sum + i64::from(part.value));
        self.parts.is_empty() || (sum == i64::from(self.value) && self.parts.iter().all(Self::adds_up))
    }
}

/// Explains the scores of one decision.
pub struct Explainer<'a> {
    decision: &'a Decision,
    context: &'a Context,
    /// `None` where the prior judged.
    scorer: Option<&'a dyn Scorer>,
    reference: AreaRow,
}

impl<'a> Explainer<'a> {
    /// Of a decision that this scorer made in this area.
    #[must_use]
    pub fn new(decision: &'a Decision, area: Option<&Area<'_>>, context: &'a Context, scorer: &'a dyn Scorer) -> Self {
        let scorer = (decision.scorer != "prior").then_some(scorer);
        let reference = area.map(|area| AreaRow::of(area, context)).unwrap_or_default();
        Self { decision, context, scorer, reference }
    }

    /// What shares are against; `None` where no door is open, or the model did not judge it.
    #[must_use]
    pub fn reference(&self) -> Option<Reference> {
        let base = self.judge(&Rows { values: self.reference.columns.clone() }).ok()?.first().copied()?;
        Some(self.reference.told(base))
    }

    /// Explains the score of a kept candidate: the model by groups of columns, then what the campaign adds.
    #[must_use]
    pub fn explain(&self, i: usize) -> Node {
        let Decision { kept, rows, scores, policy, .. } = self.decision;
        let (Some(candidate), Some(row), Some(judged)) = (kept.get(i), rows.iter().nth(i), scores.get(i)) else {
            return Node::leaf("score", 0);
        };
        // Whatever else comes to add to a candidate's odds has its parts beside these, or shows as not explained.
        let rules = self.decision.hits.boosts(i).map(|(rule, ln)| {
            let by = if rule.layer.is_empty() { String::new() } else { format!(" ({})", rule.layer) };
            (format!("rule {}{by}", rule.id), ln)
        });
        let boosts = boosts(candidate, self.context, policy).into_iter().chain(rules);
        let boosts = boosts.map(|(name, value)| Node::leaf(&name, value)).collect();
        let parts = vec![self.model(row, judged.model), Node::of("campaign boost", judged.boost, boosts)];
        Node::of("score", judged.total(), parts)
    }

    /// Divides the judgement of a row among the groups.
    fn model(&self, row: &[f32], judged: i32) -> Node {
        let name = if self.scorer.is_some() { "model" } else { "prior" };
        // Who brings nothing new adds nothing to any set, and is spared the rows.
        let players: Vec<Group> = Group::ALL.into_iter().filter(|group| self.differs(row, *group)).collect();
        let Ok(values) = self.judge(&self.coalitions(row, &players)) else {
            return Node::of(name, judged, Vec::new());
        };
        let shares = shapley::rounded(&values);
        let all = values.last().copied().unwrap_or_default();
        let base = shares.iter().fold(i64::from(all), |rest, share| rest - i64::from(*share));
        let mut parts = vec![Node::leaf(REFERENCE, base as i32)];
        for group in Group::ALL {
            let share = players.iter().position(|player| *player == group).map_or(0, |i| shares[i]);
            parts.push(Node::leaf(group.name(), share));
        }
        // A scorer that judges a row by its neighbours says something else of it among these rows: that is left.
        Node::of(name, judged, parts)
    }

    fn judge(&self, rows: &Rows) -> Result<Vec<i32>, ModelError> {
        self.scorer.map_or_else(|| Ok(prior(rows)), |scorer| score(scorer, rows))
    }

    fn differs(&self, row: &[f32], group: Group) -> bool {
        let columns = FEATURES.iter().zip(row.iter().zip(&self.reference.columns));
        columns.clone().any(|(feature, (own, usual))| feature.group == group && own.to_bits() != usual.to_bits())
    }

    /// A row for every set of players, in the order of [`shapley`].
    fn coalitions(&self, row: &[f32], players: &[Group]) -> Rows {
        let player: Vec<Option<usize>> =
            FEATURES.iter().map(|feature| players.iter().position(|group| *group == feature.group)).collect();
        let mut values = Vec::with_capacity(N_FEATURES << players.len());
        for set in 0..1_usize << players.len() {
            let columns = player.iter().zip(row.iter().zip(&self.reference.columns));
            values.extend(columns.map(|(player, (own, usual))| match player {
                Some(i) if set >> i & 1 == 1 => own,
                _ => usual,
            }));
        }
        Rows { values }
    }
}

/// What each boost of the campaign adds to a candidate, and who says so.
fn boosts(candidate: &Candidate, context: &Context, policy: &Policy) -> Vec<(String, i32)> {
    let mut alone = Policy::default();
    let of = |(id, boost): (&String, &campaign::Boost)| {
        // Alone in a policy, so that it adds what the blend says it adds.
        alone.boosts = [(id.clone(), boost.clone())].into();
        let added = blend::boost(core::slice::from_ref(candidate), &[0], &[], context, &alone)
            .first()
            .map_or(0, |score| score.boost);
        let said = said(policy, &format!("boosts.{id}"), "boosts");
        (added != 0).then(|| (format!("boost {id}, odds x {}{said}", boost.factor), added))
    };
    policy.boosts.iter().filter_map(of).collect()
}

/// ` (fi/helsinki.yaml:7)`: who said a leaf, or the key it belongs to.
fn said(policy: &Policy, leaf: &str, key: &str) -> String {
    let origin = policy.origin(leaf).or_else(|| policy.origin(key));
    origin.map(|origin| format!(" ({origin})")).unwrap_or_default()
}

/// The parts that speak for a candidate most, the strongest first: what a person wants to read first.
#[must_use]
pub fn reasons(node: &Node) -> Vec<(&str, i32)> {
    let mut leaves: Vec<(&str, i32)> = Vec::new();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        if node.parts.is_empty() && node.value > 0 && ![REFERENCE, NOT_EXPLAINED].contains(&node.name.as_str()) {
            leaves.push((&node.name, node.value));
        }
        open.extend(&node.parts);
    }
    sort_by(&mut leaves, |a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    leaves
}
