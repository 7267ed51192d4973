//! What the layers come to at a place, who said it, how it came about, and where two versions differ.

use super::Folder;
use freshrank::campaign::author::nearest;
use freshrank::campaign::edit::{Base, Edit, Leaf as Plain, ListEdit};
use freshrank::campaign::schema::{self, Follows};
use freshrank::campaign::{Campaign, Chain, KEYS, Layer, Mark, Origin, Policy};
use h3o::Resolution;
use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What has not been said by any layer.
const BY_DEFAULT: &str = "the default";

/// Somewhere a campaign holds, for one side of an experiment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// As `fi/helsinki`; empty where no layer but the global one holds.
    pub path: String,
    /// Where it is not the place itself.
    pub market: Option<String>,
    /// One side of an experiment.
    pub arm: Option<String>,
}

impl Place {
    /// As a person reads it.
    #[must_use]
    pub fn name(&self) -> String {
        let place = if self.path.is_empty() { "everywhere" } else { &self.path };
        match &self.arm {
            Some(arm) => format!("{place}, arm {arm}"),
            None => place.to_owned(),
        }
    }

    /// The layers of a campaign that hold here.
    #[must_use]
    pub fn chain(&self, campaign: &Campaign) -> Chain {
        let at = |path: &str| {
            let (path, cells) = inside(campaign, path);
            campaign.chain_of(&path, &cells, self.arm.as_deref())
        };
        let mut chain = at(&self.path);
        if let Some(market) = &self.market {
            chain.market = at(market).market;
        }
        chain
    }
}

/// A path and cells that lie in what a layer of this path covers: of cells, the middle of the first.
fn inside(campaign: &Campaign, path: &str) -> (String, Vec<u64>) {
    let layer = campaign.layers().get(path).or_else(|| campaign.defaults().get(path));
    let Some(layer) = layer else {
        return (path.to_owned(), Vec::new());
    };
    if let Some(cell) = layer.cells().next() {
        let middle = cell.center_child(Resolution::Nine).unwrap_or(cell);
        let up = Resolution::range(Resolution::Zero, middle.resolution());
        return (path.to_owned(), up.filter_map(|resolution| middle.parent(resolution)).map(u64::from).collect());
    }
    (layer.paths().next().unwrap_or(path).to_owned(), Vec::new())
}

/// One part of a merged configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leaf {
    /// Its path, `rules.no-alcohol.when`; an entry of a list is `exclude[chain:burger]`.
    pub key: String,
    /// In JSON; an entry of a list is `listed`.
    pub value: String,
    /// The layer that said it; absent for a default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// That layer's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The line in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The layer's own count of its versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl Leaf {
    /// `fi/helsinki.yaml:3 (version 7)`, or that nobody did.
    #[must_use]
    pub fn said_by(&self) -> String {
        let (Some(layer), Some(line)) = (&self.layer, self.line) else {
            return BY_DEFAULT.to_owned();
        };
        let by = Origin { layer: layer.clone(), line }.to_string();
        self.version.as_ref().map_or(by.clone(), |version| format!("{by} (version {version})"))
    }
}

/// Everything that a message at this place goes by, in the order of the keys.
#[must_use]
pub fn merged(folder: &Folder, place: &Place) -> Vec<Leaf> {
    let policy = folder.campaign.merged(&place.chain(&folder.campaign));
    let leaf = |(key, value): (String, String)| {
        let origin = policy.provenance.get(&key).or_else(|| policy.provenance.get(list_of(&key)?));
        let layer = origin.and_then(|origin| folder.campaign.layer(&origin.layer));
        Leaf {
            layer: origin.map(|origin| origin.layer.clone()),
            file: origin.and_then(|origin| folder.file(&origin.layer)).map(PathBuf::from),
            line: origin.map(|origin| origin.line),
            version: layer.and_then(|layer| layer.version.clone()),
            key,
            value,
        }
    };
    leaves(&policy).into_iter().map(leaf).collect()
}

/// `exclude` of `exclude[a]`.
fn list_of(key: &str) -> Option<&str> {
    key.ends_with(']').then(|| key.split_once('[').map(|(list, _)| list)).flatten()
}

/// Every leaf of a policy, in the order of the keys.
fn leaves(policy: &Policy) -> Vec<(String, String)> {
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

/// One thing that a layer did about a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// `fi/helsinki.yaml:3`.
    pub by: String,
    /// Its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// What it did, in words.
    pub did: String,
    /// What the key was after this layer.
    pub after: String,
}

/// How a key came to its value: everything that the layers of a place said of it, in their order.
///
/// # Errors
/// Where no key is called so.
pub fn history(folder: &Folder, place: &Place, key: &str) -> Result<Vec<Step>, String> {
    let head = key.split(['.', '[']).next().unwrap_or_default();
    let Some(field) = KEYS.iter().find(|field| field.name == head) else {
        let names: Vec<&str> = KEYS.iter().map(|field| field.name).collect();
        let meant = nearest(head, &names).map_or(String::new(), |name| format!("; did you mean {name}?"));
        return Err(format!("no key is called {head}{meant}"));
    };
    if schema::form(KEYS, key).is_none() {
        return Err(format!("{head} has no part called {}", &key[head.len() + 1..]));
    }
    let campaign = &folder.campaign;
    let chain = place.chain(campaign);
    let ids = if field.follows == Follows::Market { chain.market } else { chain.place };
    let after = |n: usize| {
        let ids = ids[..n].to_vec();
        value_of(&campaign.merged(&Chain { place: ids.clone(), market: ids }), key)
    };
    let mut steps = vec![Step { by: BY_DEFAULT.to_owned(), file: None, did: String::new(), after: after(0) }];
    let mut locks: Vec<(&str, &Mark)> = Vec::new();
    for (i, layer) in ids.iter().enumerate().filter_map(|(i, id)| Some((i, campaign.layer_at(*id)?))) {
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
        parts.sort_by_key(|(mark, _)| mark.as_ref().map_or((0, 0), |mark| (mark.line, mark.column)));
        steps.extend(parts.into_iter().map(|(mark, did)| Step {
            by: mark.as_ref().map_or_else(|| layer.path.to_string(), |mark| Origin::from(mark).to_string()),
            file: folder.file(&layer.path).map(PathBuf::from),
            did,
            after: after(i + 1),
        }));
    }
    Ok(steps)
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
        Edit::Set { leaf, stays, .. } => {
            let to = match leaf {
                Plain::Bool(flag) => flag.to_string(),
                Plain::Number(number) => number.to_string(),
                Plain::Text(text) => format!("{text:?}"),
            };
            format!("sets{what} to {to}{}", if *stays { ", for good" } else { "" })
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

/// One part of a place's configuration that two versions say otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Where.
    pub place: String,
    /// Which leaf; `covers` where a layer holds elsewhere.
    pub key: String,
    /// What it was, and who said so.
    pub before: Side,
    /// What it is.
    pub after: Side,
}

/// One version's side of a change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Side {
    /// In JSON; absent where the leaf is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// `fi/helsinki.yaml:3`; absent for a default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.value, &self.by) {
            (None, _) => f.write_str("nothing"),
            (Some(value), None) => write!(f, "{value} ({BY_DEFAULT})"),
            (Some(value), Some(by)) => write!(f, "{value} ({by})"),
        }
    }
}

/// Every place of either version, and every leaf of it, that changes; places ascending, keys in their order.
#[must_use]
pub fn compare(before: &Folder, after: &Folder) -> Vec<Change> {
    let (old, new) = (&before.campaign, &after.campaign);
    if old.hash == new.hash {
        return Vec::new();
    }
    let places: BTreeSet<String> = places(old).chain(places(new)).collect();
    let arms: BTreeSet<String> = arms(old).chain(arms(new)).collect();
    let at_place = |path: &String| {
        let of =
            |arm: Option<&String>| differing(old, new, &Place { path: path.clone(), market: None, arm: arm.cloned() });
        let control = of(None);
        let mut changes: Vec<Change> = covers(old, new, path).into_iter().chain(control.iter().cloned()).collect();
        for arm in &arms {
            // An arm inherits what changes for everybody, and tells only its own.
            let said = |change: &Change| (change.key.clone(), change.before.clone(), change.after.clone());
            let is_own = |change: &Change| !control.iter().any(|all| said(all) == said(change));
            changes.extend(of(Some(arm)).into_iter().filter(is_own));
        }
        changes
    };
    let places: Vec<String> = places.into_iter().collect();
    places.par_iter().flat_map_iter(at_place).collect()
}

fn differing(old: &Campaign, new: &Campaign, place: &Place) -> Vec<Change> {
    let sides = |campaign: &Campaign| {
        let policy = campaign.merged(&place.chain(campaign));
        let leaves = leaves(&policy);
        (policy, leaves)
    };
    let ((old_policy, old), (new_policy, new)) = (sides(old), sides(new));
    if old == new {
        return Vec::new();
    }
    let by_key = |leaves: &[(String, String)]| leaves.iter().cloned().collect::<BTreeMap<String, String>>();
    let (old_values, new_values) = (by_key(&old), by_key(&new));
    let gone = old.iter().filter(|(key, _)| !new_values.contains_key(key));
    let keys = new.iter().chain(gone).map(|(key, _)| key);
    let side = |values: &BTreeMap<String, String>, policy: &Policy, key: &String| {
        let value = values.get(key).cloned();
        let origin = policy.provenance.get(key).or_else(|| policy.provenance.get(list_of(key)?));
        Side { by: value.as_ref().and(origin).map(ToString::to_string), value }
    };
    keys.filter(|key| old_values.get(*key) != new_values.get(*key))
        .map(|key| Change {
            place: place.name(),
            key: key.clone(),
            before: side(&old_values, &old_policy, key),
            after: side(&new_values, &new_policy, key),
        })
        .collect()
}

/// A layer that holds elsewhere than it did.
fn covers(old: &Campaign, new: &Campaign, path: &str) -> Option<Change> {
    let layers = [old.layers().get(path), new.layers().get(path)];
    let [before, after] = layers.map(|layer| layer.and_then(|layer| layer.covers.as_ref()));
    if before == after {
        return None;
    }
    let side = |layer: Option<&Layer>| {
        let value = layer.filter(|layer| layer.covers.is_some()).map(|layer| {
            let cells = layer.cells().count();
            let cells = (cells > 0).then(|| format!("{cells} cells"));
            layer.paths().map(str::to_owned).chain(cells).collect::<Vec<_>>().join(", ")
        });
        Side { by: value.as_ref().and(layer).map(|layer| Origin::from(&layer.mark).to_string()), value }
    };
    let [before, after] = layers.map(side);
    Some(Change { place: path.to_owned(), key: "covers".to_owned(), before, after })
}

/// Every path that a layer has or covers; the empty one stands for wherever none is.
fn places(campaign: &Campaign) -> impl Iterator<Item = String> {
    let layers = campaign.layers().values().chain(campaign.defaults().values());
    let layers = layers.filter(|layer| layer.arm().is_none() && !layer.is_global());
    let paths = layers.flat_map(|layer| layer.paths().chain([layer.own_path()]));
    paths.map(str::to_owned).chain([String::new()])
}

fn arms(campaign: &Campaign) -> impl Iterator<Item = String> {
    let layers = campaign.layers().values().chain(campaign.defaults().values());
    layers.filter_map(|layer| layer.arm().map(str::to_owned))
}

impl Folder {
    /// A place of this campaign.
    ///
    /// # Errors
    /// Where it has no such arm.
    pub fn place(&self, path: &str, market: Option<&str>, arm: Option<&str>) -> Result<Place, String> {
        let known: BTreeSet<String> = arms(&self.campaign).collect();
        if let Some(arm) = arm
            && !known.contains(arm)
        {
            let known: Vec<String> = known.into_iter().collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(format!("no layer is called arms/{arm}; of this campaign there are {known}"));
        }
        Ok(Place { path: path.to_owned(), market: market.map(str::to_owned), arm: arm.map(str::to_owned) })
    }

    /// The layers that hold at a place, the shallowest first.
    #[must_use]
    pub fn layers_at(&self, place: &Place) -> Vec<String> {
        let chain = place.chain(&self.campaign);
        let name = |id: &u32| self.campaign.layer_at(*id).map(|layer| layer.path.to_string());
        chain.place.iter().filter_map(name).collect()
    }
}
