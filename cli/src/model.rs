//! `freshrank model`: from an ONNX file to the plan that decides.

use crate::{Outcome, print, shelf};
use clap::Subcommand;
use freshrank::feature::{FEATURES, N_FEATURES, Rows, fingerprint_hex};
use freshrank::score::{Scorer, dense::Dense, tract::Tract};
use serde_json::json;
use std::path::PathBuf;

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
    /// The columns of this release, and the fingerprint a model must have been trained on
    Features {
        /// For a program
        #[arg(long)]
        json: bool,
    },
}

/// How far `tract` and `dense` may be apart, relative to scores above 1.
const TOLERANCE: f32 = 1e-5;

pub fn run(verb: &Verb) -> Outcome {
    match verb {
        Verb::Compile { onnx, out } => {
            let bytes = shelf::read(onnx)?;
            let tract = Tract::load(&bytes).map_err(|error| format!("{}: {error}", onnx.display()))?;
            let plan = tract.plan().map_err(|error| {
                format!(
                    "{}: {error}; tract runs it all the same, here and, where {} is an empty file, in the full module",
                    onnx.display(),
                    out.display()
                )
            })?;
            let apart = apart(&tract, &plan)?;
            if apart > TOLERANCE {
                return Err(format!("plan and tract are {apart:e} apart, at most {TOLERANCE:e} is allowed").into());
            }
            let bytes = plan.encode();
            Dense::load(&bytes)?;
            std::fs::write(out, &bytes).map_err(|error| format!("{}: {error}", out.display()))?;
            println!("{}: {} bytes, model {}, at most {apart:.1e} from tract", out.display(), bytes.len(), plan.model);
        }
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
    }
    Ok(())
}

/// The largest difference over rows that sweep every column through and beyond its usual range.
fn apart(tract: &Tract, plan: &Dense) -> Result<f32, freshrank::score::ModelError> {
    let spread = |i: usize| ((i * 7919 % 1009) as f32 / 1009.0 - 0.5) * 8.0;
    let value = |i: usize| {
        let column = i % N_FEATURES;
        let scale = plan.scale.get(column).copied().unwrap_or(1.0);
        plan.mean.get(column).copied().unwrap_or(0.0) + spread(i) / if scale == 0.0 { 1.0 } else { scale }
    };
    let rows = Rows { values: (0..1000 * N_FEATURES).map(value).collect() };
    let (a, b) = (tract.score(&rows)?, plan.score(&rows)?);
    Ok(a.iter().zip(&b).map(|(a, b)| (a - b).abs() / a.abs().max(1.0)).fold(0.0, f32::max))
}
