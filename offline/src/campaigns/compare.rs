//! What the layers come to at a place, who said it, how it came about, and where two versions differ.

use super::Folder;
use freshrank::campaign::history::{leaves, list_of};
use freshrank::campaign::{self, Campaign, Chain, Layer, Origin, Policy};
use h3o::Resolution;
use rayon::prelude::*;
use serde::Serialize;
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

/// One thing that a layer did about a key, and in which file.
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
    let steps = folder.campaign.history(&place.chain(&folder.campaign), key)?;
    let step = |campaign::Step { origin, did, after, .. }| Step {
        by: origin.as_ref().map_or_else(|| BY_DEFAULT.to_owned(), ToString::to_string),
        file: origin.and_then(|origin| folder.file(&origin.layer).map(PathBuf::from)),
        did,
        after,
    };
    Ok(steps.into_iter().map(step).collect())
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
