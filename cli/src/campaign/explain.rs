//! `freshrank campaign explain KEY DIR --at PLACE`: what every layer did to a key, and what it came to.

use crate::{Outcome, print};
use clap::Args;
use freshrank_offline::campaigns::compare;
use serde_json::json;
use std::path::PathBuf;

/// What to explain.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A key or a leaf: `slots`, `rules`, `rules.no-alcohol.when`
    key: String,
    /// The campaign's folder
    folder: PathBuf,
    /// As `fi/helsinki`; what holds everywhere if absent
    #[arg(long, value_name = "PLACE", default_value = "")]
    at: String,
    /// The reader's market, where it is not the place
    #[arg(long, value_name = "PLACE")]
    market: Option<String>,
    /// One side of an experiment
    #[arg(long, value_name = "ARM")]
    arm: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let folder = super::readable(&arguments.folder);
    let place = folder.place(&arguments.at, arguments.market.as_deref(), arguments.arm.as_deref())?;
    let history = compare::history(&folder, &place, &arguments.key)?;
    if arguments.json {
        let (key, version) = (&arguments.key, folder.version().to_string());
        return Ok(print::json(&json!({ "key": key, "at": place.name(), "version": version, "steps": history }))?);
    }
    println!("{} at {}", arguments.key, place.name());
    let rows = history.into_iter().map(|step| vec![step.by, step.did, step.after]);
    print::table(&["who", "did", "then it was"], rows);
    Ok(())
}
