//! `freshrank campaign diff A B`: every place that changes, leaf by leaf, and every golden decision.

use super::check::Decided;
use super::{Parts, counted, usable};
use crate::{Outcome, print};
use clap::Args;
use freshrank_offline::campaigns::Folder;
use freshrank_offline::campaigns::compare::{self, Change};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What to compare.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The campaign's folder as it was
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

pub fn run(arguments: &Arguments) -> Outcome {
    let (before, after) = (usable(&arguments.before)?, usable(&arguments.after)?);
    let changes = compare::compare(&before, &after);
    let (moved, undecided) = golden(&before, &after, &arguments.parts)?;
    if arguments.json {
        return Ok(print::json(&json!({ "changes": changes, "golden": moved, "undecided": undecided }))?);
    }
    let mut places: Vec<&str> = changes.iter().map(|change| change.place.as_str()).collect();
    places.dedup();
    for (change, at) in grouped(&changes) {
        let more = if at.len() > NAMED { format!(" and {} more", at.len() - NAMED) } else { String::new() };
        println!("{}: {} -> {}", change.key, change.before, change.after);
        println!("    at {}{more}", at[..at.len().min(NAMED)].join(", "));
    }
    for Moved { golden, changes, .. } in &moved {
        println!("{}: {}", golden.display(), changes.join("; "));
    }
    println!("{} and {} change", counted(places.len(), "place"), counted(moved.len(), "golden decision"));
    if undecided > 0 {
        println!("{} not decided: name `--bundles DIR`", counted(undecided, "golden decision"));
    }
    Ok(())
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

fn golden(
    before: &Folder,
    after: &Folder,
    parts: &Parts,
) -> Result<(Vec<Moved>, usize), Box<dyn std::error::Error + Send + Sync>> {
    let (mut moved, mut undecided) = (Vec::new(), 0);
    if after.golden.is_empty() {
        return Ok((moved, undecided));
    }
    let decided = Decided::open(parts)?;
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
