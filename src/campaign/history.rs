//! How a key came to its value: what every layer of a place did to it, in words, and what it was then.

use super::edit::{Base, Edit, Leaf, ListEdit};
use super::schema::{self, Follows};
use super::{Campaign, Chain, KEYS, Mark, Origin, Policy};
use crate::sorted::sort_by_key;
use crate::suggest::nearest;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use serde::Serialize;
use serde_json::Value;

/// One thing that a layer did about a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Who did it; absent for the default, which comes first.
    pub origin: Option<Origin>,
    /// The layer's own count of its versions.
    pub version: Option<String>,
    /// What it did, in words; empty for the default.
    pub did: String,
    /// What the key was after this layer, in JSON.
    pub after: String,
}

impl Campaign {
    /// Everything that the layers of a chain said of a key or a leaf (`boosts.anna.factor`), in their order.
    ///
    /// # Errors
    /// Where no key is called so.
    pub fn history(&self, chain: &Chain, key: &str) -> Result<Vec<Step>, String> {
        let head = key.split(['.', '[']).next().unwrap_or_default();
        let Some(field) = KEYS.iter().find(|field| field.name == head) else {
            let names: Vec<&str> = KEYS.iter().map(|field| field.name).collect();
            let meant =
                nearest(head, names.iter().copied()).map_or(String::new(), |name| format!("; did you mean {name}?"));
            return Err(format!("no key is called {head}{meant}"));
        };
        if schema::form(KEYS, key).is_none() {
            return Err(format!("{head} has no part called {}", &key[head.len() + 1..]));
        }
        let ids = if field.follows == Follows::Market { &chain.market } else { &chain.place };
        let after = |n: usize| {
            let ids = ids[..n].to_vec();
            value_of(&self.merged(&Chain { place: ids.clone(), market: ids }), key)
        };
        let mut steps = vec![Step { origin: None, version: None, did: String::new(), after: after(0) }];
        let mut locks: Vec<(&str, &Mark)> = Vec::new();
        for (i, layer) in ids.iter().enumerate().filter_map(|(i, id)| Some((i, self.layer_at(*id)?))) {
            let mut parts = Vec::new();
            layer.body.walk(&mut String::new(), &mut |path, edit| {
                if concerns(path, key, edit) {
                    let words = did(path, key, edit);
                    let by_lock = locks.iter().find(|(lock, _)| blocks(lock, path, edit));
                    let blocked = by_lock.map(|(_, mark)| format!(", which {} locks", Origin::from(*mark)));
                    parts.push((edit.mark().cloned(), words + &blocked.unwrap_or_default()));
                }
            });
            for bound in layer.bounds.iter().filter(|bound| reaches(&bound.key, key)) {
                let end = |word: &str, n: Option<f64>| n.map(|n| format!(" {word} {n}")).unwrap_or_default();
                let words =
                    format!("bounds {}{}{}", bound.key, end("to at least", bound.min), end("to at most", bound.max));
                parts.push((Some(bound.mark.clone()), words));
            }
            for (lock, mark) in layer.lock.iter().filter(|(lock, _)| is_within(lock, key) || is_within(key, lock)) {
                parts.push((Some(mark.clone()), format!("locks {lock}")));
                locks.push((lock.as_str(), mark));
            }
            sort_by_key(&mut parts, |(mark, _)| mark.as_ref().map_or((0, 0), |mark| (mark.line, mark.column)));
            steps.extend(parts.into_iter().map(|(mark, did)| Step {
                origin: Some(Origin::from(mark.as_ref().unwrap_or(&layer.mark))),
                version: layer.version.clone(),
                did,
                after: after(i + 1),
            }));
        }
        Ok(steps)
    }
}

/// `exclude` of `exclude[a]`.
#[must_use]
pub fn list_of(key: &str) -> Option<&str> {
    key.ends_with(']').then(|| key.split_once('[').map(|(list, _)| list)).flatten()
}

/// Every leaf of a policy and its value in JSON, in the order of the keys; an entry of a list is `listed`.
#[must_use]
pub fn leaves(policy: &Policy) -> Vec<(String, String)> {
    let json = serde_json::to_value(policy).unwrap_or_default();
    let mut all = Vec::new();
    for field in KEYS {
        flatten(field.name, &json[field.name], &mut all);
    }
    // Publishing makes it of the condition, which stands beside it.
    all.retain(|(path, _)| !path.ends_with(".program"));
    all
}

fn flatten(path: &str, value: &Value, all: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(key, value)| flatten(&format!("{path}.{key}"), value, all));
        }
        Value::Array(list) if !list.is_empty() => {
            for (i, entry) in list.iter().enumerate() {
                let text = entry.as_str().unwrap_or_default();
                // Entries that may come again are told apart by where they stand, as provenance does.
                if path == "pattern" {
                    all.push((format!("{path}[{i}]"), entry.to_string()));
                } else {
                    all.push((format!("{path}[{text}]"), "listed".to_owned()));
                }
            }
        }
        value => all.push((path.to_owned(), value.to_string())),
    }
}

/// Whether a path is this one or a part of it.
fn is_within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Whether what a layer did at a path has to do with a key.
fn concerns(path: &str, key: &str, edit: &Edit) -> bool {
    match edit {
        // An empty map says nothing.
        Edit::Map(map) if !map.cleared => false,
        Edit::List(list) if key != path && is_within(key, path) => match list_of(key) {
            Some(_) if key.ends_with(']') => {
                let entry = &key[path.len() + 1..key.len() - 1];
                matches!(list.base, Base::Set(_))
                    || list.remove.contains_key(entry)
                    || list.prepend.iter().chain(&list.append).any(|said| said.text == entry)
                    || path == "pattern"
            }
            _ => true,
        },
        _ => is_within(path, key) || is_within(key, path),
    }
}

/// Whether an earlier layer's lock holds off an edit; one that takes a whole away takes its locked parts along.
fn blocks(lock: &str, path: &str, edit: &Edit) -> bool {
    let takes_all = !matches!(edit, Edit::Set { .. });
    is_within(path, lock) || (takes_all && is_within(lock, path))
}

/// Whether a bound on `boosts.*.factor` speaks of a key.
fn reaches(bound: &str, key: &str) -> bool {
    let (mut bound, mut key) = (bound.split('.'), key.split('.'));
    loop {
        match (bound.next(), key.next()) {
            (Some(bound), Some(key)) if bound == key || bound == "*" => {}
            (None, None) | (Some(_), None) => return true,
            _ => return false,
        }
    }
}

fn did(path: &str, key: &str, edit: &Edit) -> String {
    let what = if path == key { String::new() } else { format!(" {path}") };
    match edit {
        Edit::Set { leaf, .. } => {
            let to = match leaf {
                Leaf::Bool(flag) => flag.to_string(),
                Leaf::Number(number) => number.to_string(),
                Leaf::Text(text) => format!("{text:?}"),
            };
            let label = path.ends_with(".sponsored") && *leaf == Leaf::Bool(true);
            format!("sets{what} to {to}{}", if label { ", for good" } else { "" })
        }
        Edit::Unset(_) => format!("unsets{what}"),
        Edit::List(list) => listed(list, &what),
        Edit::Map(_) => format!("clears{what}"),
    }
}

/// `what` is the list's path after a blank, or nothing where it is the key asked for.
fn listed(list: &ListEdit, what: &str) -> String {
    let names = |entries: &mut dyn Iterator<Item = &str>| format!("[{}]", entries.collect::<Vec<_>>().join(", "));
    let append = names(&mut list.append.iter().map(|entry| entry.text.as_str()));
    if let Base::Set(_) = list.base {
        return format!("sets{what} to {append}");
    }
    let mut words = Vec::new();
    if !list.prepend.is_empty() {
        words.push(format!("prepends {}", names(&mut list.prepend.iter().map(|entry| entry.text.as_str()))));
    }
    if !list.append.is_empty() {
        words.push(format!("appends {append}"));
    }
    if !list.remove.is_empty() {
        words.push(format!("removes {}", names(&mut list.remove.keys().map(String::as_str))));
    }
    let to = if what.is_empty() { String::new() } else { format!(" in{what}") };
    words.join(", ") + &to
}

/// A key's value in JSON: a leaf, or all parts of it.
fn value_of(policy: &Policy, key: &str) -> String {
    if list_of(key).is_some() {
        let found = leaves(policy).into_iter().find(|(leaf, _)| leaf == key);
        return found.map_or_else(|| "not listed".to_owned(), |(_, value)| value);
    }
    let json = serde_json::to_value(policy).unwrap_or_default();
    find(&json, key).map_or_else(|| "nothing".to_owned(), Value::to_string)
}

/// A value by its path; ids may hold dots themselves.
fn find<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let map = value.as_object()?;
    if let Some(found) = map.get(path) {
        return Some(found);
    }
    path.match_indices('.').find_map(|(end, _)| find(map.get(&path[..end])?, &path[end + 1..]))
}
