//! `freshrank campaign show`: what a place's layers come to.

use crate::{Outcome, print};
use clap::Args;
use freshrank_offline::campaigns::compare;
use serde_json::json;
use std::path::PathBuf;

/// What to show.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The campaign's folder
    folder: PathBuf,
    /// As `fi/helsinki`; what holds everywhere if absent
    #[arg(default_value = "")]
    place: String,
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
    let place = folder.place(&arguments.place, arguments.market.as_deref(), arguments.arm.as_deref())?;
    let leaves = compare::merged(&folder, &place);
    if arguments.json {
        let (version, layers) = (folder.version().to_string(), folder.layers_at(&place));
        return Ok(print::json(
            &json!({ "place": place.name(), "version": version, "layers": layers, "leaves": leaves }),
        )?);
    }
    let rows = leaves.into_iter().map(|leaf| {
        let by = leaf.said_by();
        vec![leaf.key, leaf.value, by]
    });
    print::table(&["key", "value", "said by"], rows);
    println!("{}: {}, version {}", place.name(), folder.layers_at(&place).join(" < "), folder.version());
    Ok(())
}
