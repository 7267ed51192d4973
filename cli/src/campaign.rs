//! `freshrank campaign`: the layers of a folder, checked and merged.

use crate::{Outcome, print, shelf};
use clap::Subcommand;
use std::path::PathBuf;

/// What to do with a campaign.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Check every layer
    Check {
        /// The campaign's folder
        folder: PathBuf,
    },
    /// Show the merged configuration of a place, and which layer set each key
    Show {
        /// The campaign's folder
        folder: PathBuf,
        /// As `fi/helsinki`
        #[arg(default_value = "")]
        path: String,
    },
    /// Write the document that the Worker keeps
    Publish {
        /// The campaign's folder
        folder: PathBuf,
        /// Where it goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

pub fn run(verb: &Verb) -> Outcome {
    match verb {
        Verb::Check { folder } => {
            let campaign = shelf::campaign(folder)?;
            println!("{}: {} layers, hash {}", campaign.id, campaign.layers.len(), campaign.hash);
        }
        Verb::Show { folder, path } => {
            let campaign = shelf::campaign(folder)?;
            let policy = campaign.policy(path);
            let layers = campaign.layers.values().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
            let names: Vec<&String> = campaign.layers.keys().collect();
            let rows = policy.provenance.iter().map(|(key, origin)| {
                let at = names.iter().position(|name| **name == origin.layer);
                let value = at.map(|at| layers[at][key.as_str()].to_string()).unwrap_or_default();
                vec![key.clone(), value, origin.to_string()]
            });
            print::table(&["key", "value", "layer"], rows);
        }
        Verb::Publish { folder, out } => {
            let campaign = shelf::campaign(folder)?;
            std::fs::write(out, serde_json::to_vec(&campaign)?).map_err(|e| format!("{}: {e}", out.display()))?;
            println!("{}: {} layers, hash {}", out.display(), campaign.layers.len(), campaign.hash);
        }
    }
    Ok(())
}
