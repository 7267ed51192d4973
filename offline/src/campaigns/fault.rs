//! What is wrong with a campaign, as a person needs it: which file, where, what, and what to do next.

use freshrank::campaign::author::{Problem, Severity};
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong. Ordered by file, line and column, as they are told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// Which file; empty until it is known.
    pub file: PathBuf,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// Which key; empty where it is not about one.
    pub key: String,
    /// What was found, and what was expected.
    pub message: String,
    /// What to do next.
    pub hint: String,
    /// The campaign can be published all the same.
    pub warning: bool,
}

impl Fault {
    /// An error at a line and a column of a file that is named later.
    #[must_use]
    pub fn at(line: usize, column: usize, message: String, hint: &str) -> Self {
        let small = |n: usize| u32::try_from(n.max(1)).unwrap_or(u32::MAX);
        Self {
            file: PathBuf::new(),
            line: small(line),
            column: small(column),
            key: String::new(),
            message,
            hint: hint.to_owned(),
            warning: false,
        }
    }

    /// As the engine found it, in the file that it read.
    #[must_use]
    pub fn of(problem: Problem, file: &Path) -> Self {
        Self {
            file: file.to_path_buf(),
            // A layer without anything in it has no place to point at.
            line: problem.line.max(1),
            column: problem.column.max(1),
            key: problem.key,
            message: problem.message,
            hint: problem.hint.unwrap_or_default(),
            warning: problem.severity == Severity::Warning,
        }
    }

    /// Names the file.
    #[must_use]
    pub fn in_file(mut self, file: &Path) -> Self {
        self.file = file.to_path_buf();
        self
    }

    /// Names the key.
    #[must_use]
    pub fn about(mut self, key: &str) -> Self {
        key.clone_into(&mut self.key);
        self
    }

    /// Nothing that stops a campaign.
    #[must_use]
    pub fn warned(mut self) -> Self {
        self.warning = true;
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file.display(), self.line, self.column)?;
        if self.warning {
            write!(f, "warning: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}", self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "\n    {}", self.hint) }
    }
}

/// Everything that is wrong, one after the other; why a folder is no campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

impl std::error::Error for Fault {}
