//! The models in use: published if they are not worse, kept by hash, and taken back.
//!
//! ```text
//! models/ltr.{onnx,card.json,probe.json,plan}       who ranks: the command line reads them, the modules embed them
//! models/versions/HASH/ltr.*                        every model that was ever in use; a decision names its model by this hash
//! models/versions/history.ndjson                    who changed it, when, why, and the gate's figures; one line a change
//! models/versions/change.json                       a change that is being made
//! ```
//!
//! A change is written down whole before the first file is replaced. Whoever opens the folder next finishes what was interrupted, so
//! that the four files are never of two models for long.

pub use gate::{GateError, GateOptions, Judgement, Line, MARGIN, QUERIES, Verdict};
pub use run::{FILES, Run, RunError, TOLERANCE, compile};

mod run;
mod gate;

use crate::cuisines::CuisineMap;
use crate::timeline::Readers;
use freshrank::Hash;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use thiserror::Error;

const VERSIONS: &str = "versions";
const HISTORY: &str = "history.ndjson";
const CHANGE: &str = "change.json";

/// Why the models stay as they are.
#[derive(Debug, Error)]
pub enum ModelsError {
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Files that do not belong together.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Nothing could be judged.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// Somebody else is at it.
    #[error("{}: another change is being made", .0.display())]
    Busy(PathBuf),
    /// A history that a person has changed.
    #[error("{} line {line}: {what}", path.display())]
    History {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// There is no earlier model.
    #[error("{}: {what}", path.display())]
    NothingBefore {
        /// Which folder.
        path: PathBuf,
        /// What its history says.
        what: String,
    },
}

/// Who changes it, when and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signature {
    /// RFC 3339.
    pub at: String,
    /// A person's name.
    pub author: Option<String>,
    /// In their words.
    pub reason: Option<String>,
}

/// How a model came into use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Through the gate.
    Published,
    /// By whoever took back what came after it.
    RolledBack,
}

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// RFC 3339.
    pub at: String,
    /// How.
    pub what: What,
    /// Who ranks from then on.
    pub model: String,
    /// Who ranked until then; absent where nobody but the prior did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was made up in the model's training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<String>,
    /// The gate's figures, as [`Judgement`] says them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Value>,
}

/// What came of publishing.
#[derive(Debug, Clone, PartialEq)]
pub enum Published {
    /// It ranks from now on.
    Changed(Box<Change>, Judgement),
    /// The gate refused it, and nothing was changed.
    Refused(Judgement),
    /// It ranks already.
    Standing(Hash),
}

/// Who ranks.
#[derive(Debug, Clone, PartialEq)]
pub enum InUse {
    /// This model.
    Model(Box<Run>),
    /// The prior, as this release refuses the model that is there: its columns are others.
    Refused,
    /// The prior, as there is no model.
    Nobody,
}

/// Every change of a folder's model, the first one first.
///
/// # Errors
/// A line that is none.
pub fn history(folder: &Path) -> Result<Vec<Change>, ModelsError> {
    let path = folder.join(VERSIONS).join(HISTORY);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = String::from_utf8_lossy(&read(&path)?).into_owned();
    let change = |(i, line): (usize, &str)| {
        let wrong = |error: serde_json::Error| ModelsError::History {
            path: path.clone(),
            line: i + 1,
            what: error.to_string(),
        };
        serde_json::from_str(line).map_err(wrong)
    };
    text.lines().enumerate().map(change).collect()
}

/// A folder of models, held by whoever changes it.
#[derive(Debug)]
pub struct Models {
    folder: PathBuf,
    /// Given back when it is closed.
    _lock: File,
}

impl Models {
    /// Opens a folder, and finishes a change that was interrupted.
    ///
    /// # Errors
    /// Somebody else has it open, or it cannot be written.
    pub fn open(folder: &Path) -> Result<Self, ModelsError> {
        let versions = folder.join(VERSIONS);
        fs::create_dir_all(&versions).map_err(|source| io_error(&versions, source))?;
        let lock = File::open(&versions).map_err(|source| io_error(&versions, source))?;
        lock.try_lock().map_err(|_| ModelsError::Busy(versions))?;
        let models = Self { folder: folder.to_owned(), _lock: lock };
        let change = models.at(CHANGE);
        if change.exists() {
            let text = read(&change)?;
            let parsed = serde_json::from_slice(&text);
            let wrong = |error: serde_json::Error| ModelsError::History {
                path: change.clone(),
                line: 1,
                what: error.to_string(),
            };
            models.make(&parsed.map_err(wrong)?)?;
        }
        Ok(models)
    }

    /// Who ranks now.
    ///
    /// # Errors
    /// Files that do not belong together: nobody can be judged against them.
    pub fn in_use(&self) -> Result<InUse, ModelsError> {
        if FILES.iter().all(|name| !self.folder.join(name).exists()) {
            return Ok(InUse::Nobody);
        }
        match Run::read(&self.folder) {
            Ok(run) => Ok(InUse::Model(Box::new(run))),
            Err(RunError::Fingerprint { .. }) => Ok(InUse::Refused),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets a candidate through the gate, and puts it in the place of the model in use.
    ///
    /// # Errors
    /// Files that do not belong together, tables that cannot judge, or a folder that cannot be written.
    pub fn publish<'t>(
        &self,
        candidate: &Path,
        readers: impl Into<Readers<'t>>,
        map: &CuisineMap,
        options: &GateOptions,
        signature: &Signature,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Published, ModelsError> {
        let run = Run::read(candidate)?;
        let there = self.in_use()?;
        let in_use = match &there {
            InUse::Model(in_use) => Some(in_use.as_ref()),
            InUse::Refused | InUse::Nobody => None,
        };
        if in_use.is_some_and(|in_use| in_use.model == run.model) {
            return Ok(Published::Standing(run.model));
        }
        let judgement = gate::judge(readers, map, &run, in_use, options, progress)?;
        if judgement.verdict != Verdict::NotWorse {
            return Ok(Published::Refused(judgement));
        }
        let change = Change {
            at: signature.at.clone(),
            what: What::Published,
            model: self.keep(&run.files)?,
            before: self.keep_what_is_there(there)?,
            author: signature.author.clone(),
            reason: signature.reason.clone(),
            simulated: run.simulated.clone(),
            gate: serde_json::to_value(&judgement).ok(),
        };
        self.change_to(&change)?;
        Ok(Published::Changed(Box::new(change), judgement))
    }

    /// Puts the model before the one in use into its place again; given again, the one before that.
    ///
    /// # Errors
    /// The history knows no earlier one, this release cannot run it, or the folder cannot be written.
    pub fn roll_back(&self, signature: &Signature) -> Result<Change, ModelsError> {
        let nothing = |what: String| ModelsError::NothingBefore { path: self.folder.clone(), what };
        let history = history(&self.folder)?;
        let last = history.last().ok_or_else(|| nothing("no model was ever published here".into()))?.model.clone();
        let now = self.keep_what_is_there(self.in_use()?)?;
        let before = if now.as_ref() == Some(&last) {
            let came = history.iter().rev().find(|change| change.what == What::Published && change.model == last);
            let before = came.and_then(|change| change.before.clone());
            before.ok_or_else(|| nothing(format!("found no model before {last}")))?
        } else {
            // Whoever ranks now was put there by hand, after the last change.
            last
        };
        let run = Run::read(&self.at(&before))?;
        let change = Change {
            at: signature.at.clone(),
            what: What::RolledBack,
            model: before,
            before: now,
            author: signature.author.clone(),
            reason: signature.reason.clone(),
            simulated: run.simulated,
            gate: None,
        };
        self.change_to(&change)?;
        Ok(change)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(VERSIONS).join(name)
    }

    /// The model in use among the versions, whether it was published here or came with the folder, and its name.
    fn keep_what_is_there(&self, there: InUse) -> Result<Option<String>, ModelsError> {
        let files = match there {
            InUse::Nobody => return Ok(None),
            InUse::Model(run) => run.files.to_vec(),
            InUse::Refused => FILES.iter().map(|name| read(&self.folder.join(name))).collect::<Result<_, _>>()?,
        };
        self.keep(&files).map(Some)
    }

    /// Writes a version whole, or not at all; its name is the ranker's hash.
    fn keep(&self, files: &[Vec<u8>]) -> Result<String, ModelsError> {
        let model = files.first().map_or_else(Hash::default, |onnx| Hash::of(onnx)).to_string();
        let (folder, unfinished) = (self.at(&model), self.at(&format!(".{model}")));
        if folder.exists() {
            return Ok(model);
        }
        fs::create_dir_all(&unfinished).map_err(|source| io_error(&unfinished, source))?;
        for (name, bytes) in FILES.iter().zip(files) {
            write(&unfinished.join(name), bytes)?;
        }
        fs::rename(&unfinished, &folder).map_err(|source| io_error(&folder, source))?;
        Ok(model)
    }

    /// Writes down what will be done, and does it.
    fn change_to(&self, change: &Change) -> Result<(), ModelsError> {
        let line = serde_json::to_vec(change).map_err(|error| io_error(&self.at(CHANGE), error.into()))?;
        replace(&self.at(CHANGE), &line)?;
        self.make(change)
    }

    /// Does what was written down; done twice, it is done once.
    fn make(&self, change: &Change) -> Result<(), ModelsError> {
        for name in FILES {
            replace(&self.folder.join(name), &read(&self.at(&change.model).join(name))?)?;
        }
        if history(&self.folder)?.last() != Some(change) {
            let path = self.at(HISTORY);
            let line = serde_json::to_string(change).map_err(|error| io_error(&path, error.into()))?;
            let file = OpenOptions::new().create(true).append(true).open(&path);
            let written = file.and_then(|mut file| writeln!(file, "{line}").and_then(|()| file.sync_all()));
            written.map_err(|source| io_error(&path, source))?;
        }
        let path = self.at(CHANGE);
        fs::remove_file(&path).map_err(|source| io_error(&path, source))
    }
}

fn io_error(path: &Path, source: io::Error) -> ModelsError {
    ModelsError::Io { path: path.into(), source }
}

fn read(path: &Path) -> Result<Vec<u8>, ModelsError> {
    fs::read(path).map_err(|source| io_error(path, source))
}

/// Writes a file, and waits until the disk has it.
fn write(path: &Path, bytes: &[u8]) -> Result<(), ModelsError> {
    let written = File::create(path).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(|source| io_error(path, source))
}

/// Writes a file beside another one and gives it that one's name: whoever reads has one of the two, whole.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), ModelsError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    write(&beside, bytes)?;
    fs::rename(&beside, path).map_err(|source| io_error(path, source))
}

#[cfg(test)]
mod tests;
