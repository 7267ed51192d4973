//! `freshrank campaign diff A B`: every place that changes, leaf by leaf, and every golden decision.

use super::check::Decided;
use super::{Parts, counted, is_usable};
use crate::{Outcome, print};
use clap::Args;
use freshrank_offline::campaigns::compare::{self, Change};
use freshrank_offline::campaigns::{self, Fault, Folder};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What to compare.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The campaign's folder as it was, or a folder of campaigns
    before: PathBuf,
    /// As it is now; its golden decisions are decided by both
    after: PathBuf,
    #[command(flatten)]
    parts: Parts,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// A golden decision that comes out differently.
#[derive(Debug, Serialize)]
struct Moved {
    golden: PathBuf,
    layer: String,
    changes: Vec<String>,
}

/// Places named in one line before the rest is only counted.
const NAMED: usize = 8;

/// What differs between two versions of one campaign.
#[derive(Debug, Serialize)]
struct Difference {
    campaign: String,
    changes: Vec<Change>,
    golden: Vec<Moved>,
    /// Golden decisions that need `--bundles`.
    undecided: usize,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let (before, after) = (opened(&arguments.before)?, opened(&arguments.after)?);
    let mut told = Vec::new();
    let (mut all, mut decided) = (Vec::new(), None);
    for (old, new) in pairs(&before, &after) {
        let (old, new) = match (old, new) {
            (Some(old), Some(new)) => (old, new),
            (Some(gone), None) => {
                told.push(format!("{}: the campaign is gone", gone.campaign.id));
                continue;
            }
            (None, new) => {
                told.extend(new.map(|new| format!("{}: the campaign is new", new.campaign.id)));
                continue;
            }
        };
        let changes = compare::compare(old, new);
        if decided.is_none() && !new.golden.is_empty() {
            decided = Some(Decided::open(&arguments.parts)?);
        }
        let (golden, undecided) = decided.as_ref().map_or(Ok((Vec::new(), 0)), |by| golden(old, new, by))?;
        all.push(Difference { campaign: new.campaign.id.clone(), changes, golden, undecided });
    }
    if arguments.json {
        return Ok(print::json(&json!({ "campaigns": all, "told": told }))?);
    }
    told.iter().for_each(|words| println!("{words}"));
    all.iter().for_each(say);
    Ok(())
}

fn say(difference: &Difference) {
    let Difference { campaign, changes, golden, undecided } = difference;
    for (change, at) in grouped(changes) {
        let more = if at.len() > NAMED { format!(" and {} more", at.len() - NAMED) } else { String::new() };
        println!("{}: {} -> {}", change.key, change.before, change.after);
        println!("    at {}{more}", at[..at.len().min(NAMED)].join(", "));
    }
    for Moved { golden, changes, .. } in golden {
        println!("{}: {}", golden.display(), changes.join("; "));
    }
    let mut places: Vec<&str> = changes.iter().map(|change| change.place.as_str()).collect();
    places.dedup();
    println!("{campaign}: {} and {} change", counted(places.len(), "place"), counted(golden.len(), "golden decision"));
    if *undecided > 0 {
        println!("{campaign}: {} not decided: name `--bundles DIR`", counted(*undecided, "golden decision"));
    }
}

/// A campaign's folder, or a folder of campaigns, of which each can be used.
fn opened(path: &Path) -> Result<Vec<Folder>, Box<dyn std::error::Error + Send + Sync>> {
    let folders = campaigns::open_all(&[path.to_path_buf()]);
    folders.iter().try_for_each(is_usable)?;
    Ok(folders)
}

/// Two folders of one campaign each are versions of one another; of more, those of one name.
fn pairs<'f>(before: &'f [Folder], after: &'f [Folder]) -> Vec<(Option<&'f Folder>, Option<&'f Folder>)> {
    if let ([before], [after]) = (before, after) {
        return vec![(Some(before), Some(after))];
    }
    let mut pairs: BTreeMap<&str, (Option<&Folder>, Option<&Folder>)> = BTreeMap::new();
    for folder in before {
        pairs.entry(&folder.campaign.id).or_default().0 = Some(folder);
    }
    for folder in after {
        pairs.entry(&folder.campaign.id).or_default().1 = Some(folder);
    }
    pairs.into_values().collect()
}

/// The same change at several places is told once.
fn grouped(changes: &[Change]) -> Vec<(&Change, Vec<&str>)> {
    let mut groups: BTreeMap<_, (&Change, Vec<&str>)> = BTreeMap::new();
    for change in changes {
        let group = groups.entry((&change.key, &change.before, &change.after)).or_insert((change, Vec::new()));
        group.1.push(&change.place);
    }
    groups.into_values().collect()
}

fn golden(before: &Folder, after: &Folder, decided: &Decided) -> Result<(Vec<Moved>, usize), Fault> {
    let (mut moved, mut undecided) = (Vec::new(), 0);
    for golden in &after.golden {
        let by = |folder: &Folder| decided.with(|decider| golden.come_to(&folder.campaign, decider));
        match (by(before)?, by(after)?) {
            (Some(old), Some(new)) if old != new => moved.push(Moved {
                golden: golden.path.clone(),
                layer: golden.layer.clone(),
                changes: old.differences(&new),
            }),
            (Some(_), Some(_)) => {}
            _ => undecided += 1,
        }
    }
    Ok((moved, undecided))
}
