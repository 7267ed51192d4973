//! `freshrank model check`: every engine scores every row as whoever trained it did.

use crate::{Outcome, print, shelf};
use clap::Args;
use freshrank::feature::{N_FEATURES, Rows};
use freshrank::score::{Scorer, dense::Dense, tract::Tract};
use freshrank_offline::models::TOLERANCE;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Rows scored at a time: activations of a million rows would not fit.
const ROWS_AT_ONCE: usize = 4096;

/// What must score alike.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The ONNX file
    onnx: PathBuf,
    /// The plan compiled from it
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// Rows, little-endian f32, row after row, as `training/train.py --rows` writes all of valid
    #[arg(long, value_name = "FILE")]
    rows: PathBuf,
    /// Another engine's score of each row, little-endian f32
    #[arg(long, value_name = "FILE")]
    scores: PathBuf,
    /// For a program
    #[arg(long)]
    json: bool,
}

/// Every row by every engine; an error where any two are further apart than allowed.
pub fn run(arguments: &Arguments) -> Outcome {
    let Arguments { onnx, plan, rows, scores, json } = arguments;
    let at = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let compiled = Dense::load(&shelf::read(plan)?).map_err(|error| at(plan, &error))?;
    let tract = Tract::load_pinned(&shelf::read(onnx)?, compiled.model).map_err(|error| at(onnx, &error))?;
    let (values, told) = (numbers(rows)?, numbers(scores)?);
    if values.len() != told.len() * N_FEATURES {
        let found = format!("{} numbers, {} has {}", values.len(), scores.display(), told.len());
        return Err(at(rows, &format!("found {found}, expected {N_FEATURES} columns a score")).into());
    }
    let (mut by_tract, mut by_dense) = (Vec::new(), Vec::new());
    for values in values.chunks(ROWS_AT_ONCE * N_FEATURES) {
        let rows = Rows { values: values.to_vec() };
        by_tract.extend(tract.score(&rows)?);
        by_dense.extend(compiled.score(&rows)?);
    }
    let pairs = [
        ("told and tract", &told, &by_tract),
        ("told and dense", &told, &by_dense),
        ("tract and dense", &by_tract, &by_dense),
    ];
    let mut gaps = Vec::new();
    for (pair, one, other) in pairs {
        let (row, gap) = largest_gap(one, other).ok_or_else(|| at(rows, &"found no row, expected at least one"))?;
        if gap.is_nan() || gap > TOLERANCE {
            let found = format!(
                "row {row}: {pair} are {gap:e} apart, at most {TOLERANCE:e} is allowed; train and compile again"
            );
            return Err(at(rows, &found).into());
        }
        gaps.push((pair, gap));
    }
    if *json {
        let gaps: Vec<_> = gaps.iter().map(|(pair, gap)| json!({ "pair": pair, "largest_gap": gap })).collect();
        return Ok(print::json(&json!({ "model": compiled.model.to_string(), "rows": told.len(), "gaps": gaps }))?);
    }
    println!("model {}, {} rows; at most apart, relative to scores above 1:", compiled.model, told.len());
    for (pair, gap) in gaps {
        println!("  {pair:16} {gap:.1e}  (allowed {TOLERANCE:.0e})");
    }
    Ok(())
}

/// A file of little-endian f32.
fn numbers(path: &Path) -> Result<Vec<f32>, Box<dyn std::error::Error + Send + Sync>> {
    let bytes = shelf::read(path)?;
    if !bytes.len().is_multiple_of(4) {
        return Err(format!("{}: found {} bytes, expected a multiple of 4", path.display(), bytes.len()).into());
    }
    let values: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    match values.iter().position(|value| !value.is_finite()) {
        Some(i) => Err(format!("{}: number {i}: found {}, expected a finite one", path.display(), values[i]).into()),
        None => Ok(values),
    }
}

/// Where two lists differ most, and by how much; a list that is shorter differs by everything.
fn largest_gap(one: &[f32], other: &[f32]) -> Option<(usize, f32)> {
    if one.len() != other.len() {
        return Some((one.len().min(other.len()), f32::INFINITY));
    }
    let gaps = one.iter().zip(other).map(|(a, b)| (a - b).abs() / a.abs().max(1.0));
    gaps.enumerate().max_by(|a, b| a.1.total_cmp(&b.1))
}
