//! `freshrank model`: from an ONNX file to the plan that decides, checked row by row, and from a training run to the models in use.

use crate::{Outcome, print, shelf};
use clap::Subcommand;
use freshrank::feature::{FEATURES, fingerprint_hex};
use freshrank::score::tract::Tract;
use freshrank_offline::models::compile;
use serde_json::json;
use std::path::PathBuf;

mod check;
mod publish;

/// What to do with a model.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Compile an ONNX ranker to the plan `dense` runs, and compare both
    Compile {
        /// The ONNX file
        onnx: PathBuf,
        /// Where the plan goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Score rows by `tract` and by the plan, and compare both with the scores that came with the rows
    Check(check::Arguments),
    /// The columns of this release, and the fingerprint a model must have been trained on
    Features {
        /// For a program
        #[arg(long)]
        json: bool,
    },
    /// Put a trained model into the place of the one in use, unless it is worse on later queries
    Publish(publish::Arguments),
    /// Put the model before the one in use into its place again
    Rollback(publish::Rollback),
    /// Every change of the model in use: when, who, why, and the gate's figures
    History(publish::History),
}

pub fn run(verb: &Verb) -> Outcome {
    match verb {
        Verb::Compile { onnx, out } => {
            let bytes = shelf::read(onnx)?;
            let tract = Tract::load(&bytes).map_err(|error| format!("{}: {error}", onnx.display()))?;
            let (plan, apart) = compile(&tract).map_err(|error| {
                let (onnx, out) = (onnx.display(), out.display());
                format!("{onnx}: {error}; tract runs it all the same, here and, where {out} is an empty file, in the full module")
            })?;
            let bytes = plan.encode();
            std::fs::write(out, &bytes).map_err(|error| format!("{}: {error}", out.display()))?;
            println!("{}: {} bytes, model {}, at most {apart:.1e} from tract", out.display(), bytes.len(), plan.model);
        }
        Verb::Check(arguments) => check::run(arguments)?,
        Verb::Features { json: true } => {
            let names: Vec<_> = FEATURES.iter().map(|feature| feature.name).collect();
            print::json(&json!({ "fingerprint": fingerprint_hex(), "features": names }))?;
        }
        Verb::Features { json: false } => {
            let rows = FEATURES.iter().map(|f| {
                vec![f.name.into(), f.group.name().into(), f.missing.to_string(), f.prior.to_string(), f.about.into()]
            });
            print::table(&["column", "group", "missing", "prior", "what it holds"], rows);
            println!("fingerprint {}", fingerprint_hex());
        }
        Verb::Publish(arguments) => publish::run(arguments)?,
        Verb::Rollback(arguments) => publish::roll_back(arguments)?,
        Verb::History(arguments) => publish::history(arguments)?,
    }
    Ok(())
}
