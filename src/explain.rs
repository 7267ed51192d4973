//! Why a candidate has its score: a tree of numbers that adds up, in fixed point and so exactly.
//!
//! The model's part is split by groups of columns: starting from a row of which everything is unknown, one group after the
//! other takes its real values, and each difference is that group's share (sequential occlusion). The
//! prior splits the same way, where it is exactly its weights times its columns.

use crate::blend::Score;
use crate::feature::{FEATURES, Group, Rows};
use crate::score::{ModelError, Scorer, prior, score};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use serde::Serialize;

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

    fn sum(name: &str, parts: Vec<Self>) -> Self {
        Self { name: name.to_string(), value: parts.iter().fold(0, |sum, part| sum.saturating_add(part.value)), parts }
    }

    /// Whether every node is the sum of its parts.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let sum = self.parts.iter().fold(0_i64, |sum, part| sum + i64::from(part.value));
        self.parts.is_empty() || (sum == i64::from(self.value) && self.parts.iter().all(Self::adds_up))
    }
}

/// Explains a candidate's score: the model by groups of columns, and the campaign's boost.
#[must_use]
pub fn explain(row: &[f32], judged: Score, scorer: &dyn Scorer, model_error: Option<&ModelError>) -> Node {
    let steps = ladder(row);
    let values = match model_error {
        None => score(scorer, &steps).unwrap_or_else(|_| prior(&steps)),
        Some(_) => prior(&steps),
    };
    let name = if model_error.is_some() { "prior" } else { "model" };
    let mut parts = vec![Node::leaf("when nothing is known", values.first().copied().unwrap_or(0))];
    for (group, pair) in Group::ALL.iter().zip(values.windows(2)) {
        parts.push(Node::leaf(group.name(), pair[1].saturating_sub(pair[0])));
    }
    let mut model = Node::sum(name, parts);
    if model.value != judged.model {
        // A scorer that judges a row by its neighbours cannot be taken apart; say so and still add up.
        model.parts.push(Node::leaf("not explained", judged.model.saturating_sub(model.value)));
        model.value = judged.model;
    }
    Node::sum("score", vec![model, Node::leaf("campaign boost", judged.boost)])
}

/// Rows from all unknown to the real one, a group at a time.
fn ladder(row: &[f32]) -> Rows {
    let mut current: Vec<f32> = FEATURES.iter().map(|feature| feature.missing).collect();
    let mut values = current.clone();
    for group in Group::ALL {
        for (i, feature) in FEATURES.iter().enumerate() {
            if feature.group == group {
                current[i] = row.get(i).copied().unwrap_or(feature.missing);
            }
        }
        values.extend(&current);
    }
    Rows { values }
}

/// The groups that speak for a candidate most, the strongest first: what a person wants to read first.
#[must_use]
pub fn reasons(node: &Node) -> Vec<(&str, i32)> {
    let mut leaves: Vec<(&str, i32)> = Vec::new();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        if node.parts.is_empty() && node.value > 0 && node.name != "when nothing is known" {
            leaves.push((&node.name, node.value));
        }
        open.extend(&node.parts);
    }
    leaves.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    leaves
}
