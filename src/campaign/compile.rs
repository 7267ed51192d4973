//! What publishing adds to a layer: the program of every condition, and the numbers that bundles have for cuisines.
//!
//! It is said again from the text each time, and what a document brings along is not believed.

use super::edit::{Edit, Leaf, ListEdit, MapEdit};
use super::{Layer, Problem, Severity};
use crate::retrieve::resolve_cuisine;
use crate::rule::{self, Labels};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Keys whose entries may name a cuisine.
const SELECTORS: [&str; 2] = ["age_restricted", "age_allow"];

impl Layer {
    /// Compiles the layer's rules and resolves its cuisines; what cannot be is left out, and told.
    pub fn compile(&mut self, labels: &Labels) -> Vec<Problem> {
        let mut problems = Vec::new();
        let layer = self.path.to_string();
        let Edit::Map(body) = &mut self.body else { return problems };
        if let Some(Edit::Map(rules)) = body.children.get_mut("rules") {
            for (id, rule) in &mut rules.children {
                if let Edit::Map(fields) = rule {
                    problems.extend(condition(&layer, id, fields, labels));
                }
            }
        }
        for key in SELECTORS {
            if let Some(Edit::List(list)) = body.children.get_mut(key) {
                problems.extend(cuisines(&layer, key, list, labels));
            }
        }
        problems
    }
}

/// Puts the program beside a rule's condition.
fn condition(layer: &str, id: &str, fields: &mut MapEdit, labels: &Labels) -> Vec<Problem> {
    fields.children.remove("program");
    let (text, mark) = match fields.children.get("when") {
        Some(Edit::Set { leaf: Leaf::Text(text), mark, .. }) => (text.clone(), mark.clone()),
        Some(Edit::Unset(mark)) => {
            let unset = Edit::Unset(mark.clone());
            fields.children.insert("program".to_string(), unset);
            return Vec::new();
        }
        _ => return Vec::new(),
    };
    match rule::compile(&text, labels) {
        Ok(program) => {
            let leaf = Leaf::Text(program.to_string());
            fields.children.insert("program".to_string(), Edit::Set { leaf, mark });
            Vec::new()
        }
        Err(errors) => {
            let problem = |error: rule::RuleError| Problem {
                layer: layer.to_string(),
                line: mark.line,
                column: mark.column,
                key: format!("rules.{id}.when"),
                message: match (error.line, error.column) {
                    (1, column) => format!("character {column}: {}", error.message),
                    (line, column) => format!("line {line}, character {column}: {}", error.message),
                },
                hint: error.hint,
                severity: Severity::Error,
            };
            errors.into_iter().map(problem).collect()
        }
    }
}

fn cuisines(layer: &str, key: &str, list: &mut ListEdit, labels: &Labels) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut resolve = |text: &str, line: u32, column: u32| -> Option<String> {
        let resolved = resolve_cuisine(text, |label| labels.cuisine(label));
        if resolved.is_none() {
            let label = text.split_once(':').map_or(text, |(_, label)| label);
            problems.push(Problem {
                layer: layer.to_string(),
                line,
                column,
                key: format!("{key}[{text}]"),
                message: format!("the cuisine map has no label {label:?}"),
                hint: labels.near(label).map(|near| format!("did you mean cuisine:{near}?")),
                severity: Severity::Error,
            });
        }
        resolved
    };
    for entry in list.prepend.iter_mut().chain(&mut list.append) {
        if let Some(resolved) = resolve(&entry.text, entry.mark.line, entry.mark.column) {
            entry.text = resolved;
        }
    }
    let remove = core::mem::take(&mut list.remove);
    list.remove =
        remove.into_iter().map(|(text, mark)| (resolve(&text, mark.line, mark.column).unwrap_or(text), mark)).collect();
    problems
}
