//! The files of one training run, and whether they belong together.

use freshrank::feature::{FEATURES, N_FEATURES, Rows, fingerprint_hex};
use freshrank::score::dense::Dense;
use freshrank::score::tract::Tract;
use freshrank::score::{ModelError, Scorer as _};
use freshrank::{Hash, time};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The ranker, its card, rows with their scores, and the plan for `dense`.
pub const FILES: [&str; 4] = ["ltr.onnx", "ltr.card.json", "ltr.probe.json", "ltr.plan"];
/// How far two engines may be apart, relative to scores above 1.
pub const TOLERANCE: f32 = 1e-5;
/// What the card and the ranker's own copy of it differ in.
const OF_THE_FILE: &str = "onnx";

/// Why a run cannot be used.
#[derive(Debug, Error)]
pub enum RunError {
    /// A file that cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file that says something else than it should.
    #[error("{}: {what}: found {found}, expected {expected}", path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// Which part of it.
        what: &'static str,
        /// What stands there.
        found: String,
        /// What should.
        expected: String,
    },
    /// Trained on other columns, or on the same columns with other arithmetic.
    #[error("{}: trained on features {found}, this release makes {expected}; make examples anew, and train", path.display())]
    Fingerprint {
        /// Which file.
        path: PathBuf,
        /// In it.
        found: String,
        /// What `freshrank model features` says.
        expected: String,
    },
    /// A ranker that this release cannot run.
    #[error("{}: {source}", path.display())]
    Model {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: ModelError,
    },
}

/// What a card tells a gate; it tells people more.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Card {
    simulated: Option<String>,
    fingerprint: String,
    features: Vec<String>,
    examples: Examples,
    onnx: File,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Examples {
    splits: Splits,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Splits {
    train: Span,
    /// Training stops by it, so that it is seen as well.
    valid: Span,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Span {
    until: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct File {
    sha256: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Probe {
    onnx_sha256: String,
    fingerprint: String,
    features: Vec<String>,
    rows: Vec<Vec<f32>>,
    scores: Vec<f32>,
}

/// One training run whose files belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// By this a decision names it.
    pub model: Hash,
    /// What was made up in its training, in the words of its tables.
    pub simulated: Option<String>,
    /// The last query that training saw, seconds since 1970.
    pub seen_until: i64,
    /// What decides.
    pub ranker: Dense,
    /// Their bytes, as [`FILES`].
    pub(super) files: [Vec<u8>; 4],
}

impl Run {
    /// Reads a folder that `training/train.py` wrote; the plan is compiled, and one that is there must be the same.
    ///
    /// # Errors
    /// The first file that is not of this run, or not of this release's columns.
    pub fn read(folder: &Path) -> Result<Self, RunError> {
        let [onnx, card, probe, plan] = FILES.map(|name| folder.join(name));
        let (onnx_bytes, card_bytes, probe_bytes) = (read(&onnx)?, read(&card)?, read(&probe)?);
        let sha256 = hex(&Sha256::digest(&onnx_bytes));
        let (said, told): (Value, Card) = (json(&card, &card_bytes)?, json(&card, &card_bytes)?);
        let probed: Probe = json(&probe, &probe_bytes)?;
        let columns: Vec<&str> = FEATURES.iter().map(|feature| feature.name).collect();

        same(&card, "onnx.sha256", &told.onnx.sha256, &sha256)?;
        same(&probe, "onnx_sha256", &probed.onnx_sha256, &sha256)?;
        for (path, fingerprint, features) in
            [(&card, &told.fingerprint, &told.features), (&probe, &probed.fingerprint, &probed.features)]
        {
            if *fingerprint != fingerprint_hex() {
                let (path, found) = (path.clone(), fingerprint.clone());
                return Err(RunError::Fingerprint { path, found, expected: fingerprint_hex() });
            }
            same(path, "features", &features.join(" "), &columns.join(" "))?;
        }
        let wrong = |source| RunError::Model { path: onnx.clone(), source };
        let tract = Tract::load(&onnx_bytes).map_err(wrong)?;
        let of_the_run = tract.card().and_then(|card| serde_json::from_str::<Value>(card).ok());
        if of_the_run != Some(without(said, OF_THE_FILE)) {
            let (found, expected) = ("another".into(), "the one in ltr.card.json, from the same run".into());
            return Err(RunError::Wrong { path: onnx, what: "its own card", found, expected });
        }
        let ranker = compiled(&tract).map_err(wrong)?;
        let encoded = ranker.encode();
        if plan.exists() && read(&plan)? != encoded {
            let (found, expected) = ("another plan".into(), "what `freshrank model compile` makes of ltr.onnx".into());
            return Err(RunError::Wrong { path: plan, what: "its bytes", found, expected });
        }
        scores_as_it_did(&probe, &probed, &tract, &ranker)?;

        let seen = |span: &Span| {
            time::parse(&span.until).map_err(|_| {
                let (found, expected) = (span.until.clone(), "an RFC 3339 time".into());
                RunError::Wrong { path: card.clone(), what: "examples.splits.until", found, expected }
            })
        };
        let splits = &told.examples.splits;
        Ok(Self {
            model: tract.model(),
            simulated: told.simulated,
            seen_until: seen(&splits.train)?.max(seen(&splits.valid)?),
            ranker,
            files: [onnx_bytes, card_bytes, probe_bytes, encoded],
        })
    }
}

/// Compiles a ranker to the plan that decides, and compares both over rows that sweep every column through and beyond its usual
/// range.
///
/// # Errors
/// A graph outside `dense`'s family, or a plan that scores otherwise.
pub fn compile(tract: &Tract) -> Result<(Dense, f32), ModelError> {
    let plan = compiled(tract)?;
    let spread = |i: usize| ((i * 7919 % 1009) as f32 / 1009.0 - 0.5) * 8.0;
    let value = |i: usize| {
        let column = i % N_FEATURES;
        let scale = plan.scale.get(column).copied().unwrap_or(1.0);
        plan.mean.get(column).copied().unwrap_or(0.0) + spread(i) / if scale == 0.0 { 1.0 } else { scale }
    };
    let rows = Rows { values: (0..1000 * N_FEATURES).map(value).collect() };
    let apart = apart(&tract.score(&rows)?, &plan.score(&rows)?);
    if apart > TOLERANCE {
        let found = format!("{apart:e} away from tract");
        return Err(ModelError::Graph { what: "plan", found, expected: "scores within 1e-5 of it" });
    }
    Ok((plan, apart))
}

/// The plan as a program will read it.
fn compiled(tract: &Tract) -> Result<Dense, ModelError> {
    Dense::load(&tract.plan()?.encode())
}

fn scores_as_it_did(path: &Path, probe: &Probe, tract: &Tract, ranker: &Dense) -> Result<(), RunError> {
    let wrong = |what, found: String, expected: String| RunError::Wrong { path: path.into(), what, found, expected };
    if probe.rows.is_empty()
        || probe.rows.len() != probe.scores.len()
        || probe.rows.iter().any(|row| row.len() != N_FEATURES)
    {
        let found = format!("{} rows and {} scores", probe.rows.len(), probe.scores.len());
        return Err(wrong("its rows", found, format!("rows of {N_FEATURES} columns with a score each")));
    }
    let rows = Rows { values: probe.rows.concat() };
    for (what, scores) in [("scores by tract", tract.score(&rows)), ("scores by dense", ranker.score(&rows))] {
        let scores = scores.map_err(|source| RunError::Model { path: path.into(), source })?;
        let apart = apart(&probe.scores, &scores);
        if apart > TOLERANCE || apart.is_nan() {
            return Err(wrong(what, format!("{apart:e} away from training's"), format!("at most {TOLERANCE:e}")));
        }
    }
    Ok(())
}

/// The largest difference, relative to scores above 1; no number where a score is none.
fn apart(a: &[f32], b: &[f32]) -> f32 {
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs() / a.abs().max(1.0));
    apart.fold(0.0, |largest, apart| if apart > largest || apart.is_nan() { apart } else { largest })
}

fn same(path: &Path, what: &'static str, found: &str, expected: &str) -> Result<(), RunError> {
    if found == expected {
        return Ok(());
    }
    Err(RunError::Wrong { path: path.into(), what, found: found.into(), expected: expected.into() })
}

fn without(mut card: Value, key: &str) -> Value {
    if let Value::Object(fields) = &mut card {
        fields.remove(key);
    }
    card
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, RunError> {
    std::fs::read(path).map_err(|source| RunError::Io { path: path.into(), source })
}

fn json<T: for<'de> Deserialize<'de>>(path: &Path, bytes: &[u8]) -> Result<T, RunError> {
    serde_json::from_slice(bytes).map_err(|error| RunError::Wrong {
        path: path.into(),
        what: "its JSON",
        found: error.to_string(),
        expected: "what training/train.py writes".into(),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
