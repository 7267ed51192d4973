//! Merchants and orders from elsewhere: OpenStreetMap extracts, Overture's places, published research data, and anybody's
//! CSV or Parquet.
//!
//! Every importer ends in the same [`Merchant`] rows and the same [`ImportReport`]: what was seen, what was taken,
//! and why the rest was not.

pub mod dhrd;
pub mod entree;
pub mod geohash;
pub mod geojson;
pub mod log;
pub mod nsi;
pub mod osm;
pub mod overture;
pub mod tags;
pub mod uci;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use serde::Serialize;

pub use dhrd::{DhrdOptions, dhrd};
pub use entree::entree;
pub use geojson::geojson;
pub use nsi::nsi;
pub use osm::osm;
pub use overture::overture;

use crate::entree::EntreeError;
use crate::hours::{self, Site};
use crate::tables::{self, Merchant, ReadOptions, Report, TableError, Tables};

/// How many examples of one kind are listed.
const LISTED: usize = 10;

/// Days for which opening hours are compiled as a check.
const DAYS: u16 = 28;

/// How to import.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OsmOptions {
    /// ISO 3166-1 alpha-2, for all merchants; else each one's `addr:country`, else where it stands.
    pub country: Option<String>,
    /// The date from which opening hours are compiled, to say which cannot be; none: they are not checked.
    pub as_of: Option<Date>,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file system's answer.
    #[error("{}: {source}", file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// Not in the format it should have.
    #[error("{}: found {found}, expected {expected}", file.display())]
    Format {
        /// Which file.
        file: PathBuf,
        /// What the reader met.
        found: String,
        /// What should have been there.
        expected: &'static str,
    },
    /// A reviewed list is damaged.
    #[error("{file}: {source}")]
    Reviewed {
        /// Which.
        file: &'static str,
        /// Where, and what was expected.
        source: toml::de::Error,
    },
    /// Entree's files are not as they are published.
    #[error(transparent)]
    Entree(#[from] EntreeError),
    /// A file with no merchant in it.
    #[error("{}: found no merchant among {seen} elements", file.display())]
    Nothing {
        /// Which file.
        file: PathBuf,
        /// Elements seen.
        seen: usize,
    },
}

/// What an import saw, took and left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ImportReport {
    /// The file.
    pub source: String,
    /// Elements seen, by sort (`node`, `way`, `relation`, `feature`).
    pub elements: BTreeMap<&'static str, usize>,
    /// Elements that sell food, by tag (`amenity=restaurant`); taken and left out add up to their sum.
    pub food: BTreeMap<String, usize>,
    /// Merchants taken.
    pub merchants: usize,
    /// Food elements left out, by reason.
    pub left_out: BTreeMap<&'static str, Examples>,
    /// Merchants that have a fact, by fact (`chain`, `cuisines from the category`, ...).
    pub facts: BTreeMap<&'static str, usize>,
    /// Merchants by country; `unknown` for none.
    pub countries: BTreeMap<String, usize>,
    /// What became of the opening hours.
    pub hours: HoursReport,
}

/// A count with the first few cases.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Examples {
    /// How often.
    pub count: usize,
    /// The first few, each `id (name): why`.
    pub first: Vec<String>,
}

/// What became of the merchants' opening hours.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HoursReport {
    /// Merchants with a text.
    pub given: usize,
    /// Texts that gave hours.
    pub compiled: usize,
    /// Of those, with minutes that the source calls unknown ("by appointment"); they count as closed.
    pub uncertain: usize,
    /// Of those, never open in the window.
    pub never_open: usize,
    /// Texts that could not be read. The merchant is kept; its hours are unknown.
    pub unreadable: Examples,
}

impl Examples {
    /// Counts one more, and lists it if it is among the first.
    pub fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < LISTED {
            self.first.push(example());
        }
    }
}

impl HoursReport {
    /// Compiles the hours of all merchants for four weeks, and says what came of it.
    #[must_use]
    pub fn of(merchants: &[Merchant], from: Date) -> Self {
        let mut report = Self::default();
        for merchant in merchants {
            let Some(text) = &merchant.opening_hours else {
                continue;
            };
            report.given += 1;
            match hours::compile(text, Site::from(merchant), from, DAYS) {
                Ok(hours) => {
                    report.compiled += 1;
                    report.uncertain += usize::from(hours.uncertain_minutes > 0);
                    let never = hours.weekly.is_empty() && hours.exceptions.iter().all(|date| date.open.is_empty());
                    report.never_open += usize::from(never);
                }
                Err(err) => report.unreadable.add(|| format!("{} ({}): {err}", merchant.merchant_id, merchant.name)),
            }
        }
        report
    }
}

impl ImportReport {
    fn leave_out(&mut self, reason: &'static str, example: impl FnOnce() -> String) {
        self.left_out.entry(reason).or_default().add(example);
    }

    fn fact(&mut self, fact: &'static str, holds: bool) {
        *self.facts.entry(fact).or_default() += usize::from(holds);
    }

    /// Counts what the merchants have.
    fn describe(&mut self, merchants: &[Merchant], options: &OsmOptions) {
        self.merchants = merchants.len();
        for merchant in merchants {
            self.fact("chain", merchant.chain_id.is_some());
            self.fact("cuisines", !merchant.cuisines.is_empty());
            self.fact("opening hours", merchant.opening_hours.is_some());
            self.fact("link", merchant.url.is_some());
            let country = merchant.country.clone().unwrap_or_else(|| "unknown".to_owned());
            *self.countries.entry(country).or_default() += 1;
        }
        if let Some(from) = options.as_of {
            self.hours = HoursReport::of(merchants, from);
        }
    }
}

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = |counts: Vec<(String, usize)>| {
            counts.iter().map(|(what, n)| format!("{what} {n}")).collect::<Vec<_>>().join(", ")
        };
        let named = |map: &BTreeMap<&'static str, usize>| {
            counts(map.iter().map(|(what, n)| ((*what).to_owned(), *n)).collect())
        };
        let owned = |map: &BTreeMap<String, usize>| counts(map.iter().map(|(what, n)| (what.clone(), *n)).collect());
        writeln!(f, "{}: {} merchants", self.source, self.merchants)?;
        writeln!(f, "seen: {}", named(&self.elements))?;
        writeln!(f, "selling food: {}", owned(&self.food))?;
        writeln!(f, "with: {}", named(&self.facts))?;
        writeln!(f, "countries: {}", owned(&self.countries))?;
        for (reason, examples) in &self.left_out {
            writeln!(f, "left out, {reason}: {}", examples.count)?;
            examples.first.iter().try_for_each(|example| writeln!(f, "  {example}"))?;
        }
        let HoursReport { given, compiled, uncertain, never_open, unreadable } = &self.hours;
        writeln!(
            f,
            "hours: {given} given, {compiled} compiled ({uncertain} in part uncertain, {never_open} never open), {} not \
             understood",
            unreadable.count
        )?;
        unreadable.first.iter().try_for_each(|example| writeln!(f, "  {example}"))
    }
}

/// What was read of a published dataset, what was taken, and why the rest was not.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LoadReport {
    /// The folder.
    pub source: String,
    /// Rows read, by sort (`dishes`, `vendors`, `sessions`).
    pub rows: BTreeMap<&'static str, usize>,
    /// Rows of the tables that came of them.
    pub taken: BTreeMap<&'static str, usize>,
    /// Facts worth knowing, counted.
    pub facts: BTreeMap<&'static str, usize>,
    /// Rows left out, by reason, with the first of each.
    pub left_out: BTreeMap<&'static str, Examples>,
    /// What stands in for something the dataset does not tell.
    pub notes: Vec<String>,
}

impl LoadReport {
    /// Rows of a log that were left out for a fault; a message without consent is none.
    #[must_use]
    pub fn unusable(&self) -> usize {
        let faults = self.left_out.iter().filter(|(why, _)| !why.starts_with("messages: ") && **why != log::NOBODYS);
        faults.map(|(_, some)| some.count).sum()
    }

    fn row(&mut self, sort: &'static str) {
        *self.rows.entry(sort).or_default() += 1;
    }

    fn n_rows(&self) -> usize {
        self.rows.values().sum()
    }

    fn count(&mut self, fact: &'static str, holds: bool) {
        self.count_n(fact, usize::from(holds));
    }

    fn count_n(&mut self, fact: &'static str, n: usize) {
        *self.facts.entry(fact).or_default() += n;
    }

    fn leave_out(&mut self, reason: &'static str, example: impl FnOnce() -> String) {
        self.left_out.entry(reason).or_default().add(example);
    }

    fn note(&mut self, note: String) {
        self.notes.push(note);
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = |map: &BTreeMap<&'static str, usize>| {
            map.iter().map(|(what, n)| format!("{what} {n}")).collect::<Vec<_>>().join(", ")
        };
        writeln!(f, "{}", self.source)?;
        writeln!(f, "read: {}", counts(&self.rows))?;
        writeln!(f, "taken: {}", counts(&self.taken))?;
        for (fact, n) in &self.facts {
            writeln!(f, "{fact}: {n}")?;
        }
        for (reason, examples) in &self.left_out {
            writeln!(f, "left out, {reason}: {}", examples.count)?;
            examples.first.iter().try_for_each(|example| writeln!(f, "  {example}"))?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

/// The .txt and .csv files of a folder by their names without ending.
fn text_files(folder: &Path) -> Result<BTreeMap<String, PathBuf>, ImportError> {
    let io = |source| ImportError::Io { file: folder.to_owned(), source };
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let is_text = path.extension().is_some_and(|ending| ending == "txt" || ending == "csv");
        if let Some(stem) = path.file_stem().filter(|_| is_text).and_then(|stem| stem.to_str()) {
            files.insert(stem.to_owned(), path.clone());
        }
    }
    Ok(files)
}

/// Reads a directory of tables or a file of merchants, and fills each merchant's country from where it stands.
///
/// # Errors
/// See [`tables::read()`].
pub fn csv(path: &Path, options: &ReadOptions) -> Result<(Tables, Report), TableError> {
    let (mut tables, mut report) = tables::read(path, options)?;
    let mut filled = 0;
    for merchant in tables.merchants.iter_mut().filter(|merchant| merchant.country.is_none()) {
        merchant.country = hours::country(merchant.latitude, merchant.longitude).map(str::to_owned);
        filled += usize::from(merchant.country.is_some());
    }
    if filled > 0 {
        report.rows.insert("merchants (country from the coordinates)".to_owned(), filled);
    }
    Ok((tables, report))
}
