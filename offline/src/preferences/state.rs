//! The evidence of all readers from one day to the next.
//!
//! A file of lines: a head, then a reader each, ascending by id. An update reads the old lines one at a time, adds the
//! orders since, and writes the new ones beside; nobody's orders are in memory but one reader's. A reader without
//! orders since is copied as it stands, which is why ten years of days equal one computation from scratch.

use super::{Menus, PreferenceOptions, Preferences, is_evidence, told};
use crate::cuisines::CuisineMap;
use crate::tables::spool::{ByReader, Said};
use crate::tables::{Order, TableError, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Lines, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What [`Head::format`] says.
const FORMAT: &str = "freshrank-preferences-1";

/// Why a state was not updated; the old one is as it was.
#[derive(Debug, Error)]
pub enum StateError {
    /// The file system's answer.
    #[error("{}: {source}", file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The orders cannot be read.
    #[error(transparent)]
    Tables(#[from] TableError),
    /// A line that is none of a state.
    #[error("{}:{row}: {source}", file.display())]
    Line {
        /// Which file.
        file: PathBuf,
        /// Its line, from 1.
        row: usize,
        /// Where in the line, and what was expected.
        source: serde_json::Error,
    },
    /// A state of another map, of other levers, or later than what it shall be brought to.
    #[error("{}: {what}: found {found}, expected {expected}; start again without it", file.display())]
    Other {
        /// Which file.
        file: PathBuf,
        /// Which field of the head, or what is wrong with a line.
        what: &'static str,
        /// What it holds.
        found: String,
        /// What it would have to hold.
        expected: String,
    },
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// `freshrank-preferences-1`.
    pub format: String,
    /// Said in every output when present.
    pub simulated: Option<String>,
    /// Orders before this are in it, RFC 3339.
    pub as_of: String,
    /// The cuisine map's fingerprint, hexadecimal: evidence is by its ids.
    pub cuisine_map: String,
    /// How lifelong evidence fades.
    pub lifelong: String,
    /// How recent evidence fades.
    pub recent: String,
    /// Whether it holds tastes that can reveal religion or health.
    pub sensitive: bool,
}

/// A reader's line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Whose.
    pub user_id: String,
    /// Faded to the reader's last order.
    pub preferences: Preferences,
}

/// What an update did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Updated {
    /// Readers in the new state.
    pub readers: usize,
    /// Of them, those with orders since the old one.
    pub touched: usize,
    /// Orders since then.
    pub orders: usize,
}

/// Reads a state from its file, a reader at a time.
pub struct States {
    /// What is true of all of it.
    pub head: Head,
    /// Orders before this are in it.
    pub as_of: Timestamp,
    file: PathBuf,
    row: usize,
    lines: Lines<BufReader<File>>,
}

impl States {
    /// Opens a state.
    ///
    /// # Errors
    /// The file cannot be read, or its first line is no head.
    pub fn open(file: &Path) -> Result<Self, StateError> {
        let io = |source| StateError::Io { file: file.to_owned(), source };
        let mut lines = BufReader::new(File::open(file).map_err(io)?).lines();
        let first = lines.next().transpose().map_err(io)?.unwrap_or_default();
        let head: Head = serde_json::from_str(&first).map_err(|source| StateError::Line {
            file: file.to_owned(),
            row: 1,
            source,
        })?;
        let other = |what, found: &str, expected: &str| StateError::Other {
            file: file.to_owned(),
            what,
            found: found.to_owned(),
            expected: expected.to_owned(),
        };
        if head.format != FORMAT {
            return Err(other("format", &head.format, FORMAT));
        }
        let as_of = freshrank::time::parse(&head.as_of).map_err(|_| other("as_of", &head.as_of, "an RFC 3339 time"))?;
        Ok(Self { head, as_of, file: file.to_owned(), row: 1, lines })
    }

    fn read(&mut self) -> Result<Option<Line>, StateError> {
        let Some(line) = self.lines.next() else { return Ok(None) };
        self.row += 1;
        let line = line.map_err(|source| StateError::Io { file: self.file.clone(), source })?;
        let line = serde_json::from_str(&line);
        line.map(Some).map_err(|source| StateError::Line { file: self.file.clone(), row: self.row, source })
    }
}

impl Iterator for States {
    type Item = Result<Line, StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// Orders of one reader in the order they are told: when, and at which merchant.
type Orders = Vec<(Timestamp, String)>;

/// The orders since a state, reader by reader; those before its time are in it already and are passed over.
#[must_use]
pub fn since(orders: &[Order], from: Timestamp, as_of: Timestamp) -> Vec<Said> {
    let mut of: BTreeMap<&str, Vec<&Order>> = BTreeMap::new();
    for order in orders.iter().filter(|order| order.ordered_at >= from && is_evidence(order, as_of)) {
        of.entry(&order.user_id).or_default().push(order);
    }
    let said = |(user_id, mut orders): (&str, Vec<&Order>)| {
        orders.sort_by(|a, b| told(a).cmp(&told(b)));
        let orders: Vec<(Timestamp, &str)> = orders.into_iter().map(told).collect();
        (user_id.to_owned(), json(&orders))
    };
    of.into_iter().map(said).collect()
}

/// Everything an update needs beside the old state and the orders.
#[derive(Debug, Clone, Copy)]
pub struct Update<'a> {
    /// Of the same merchants, map and options.
    pub menus: &'a Menus,
    /// Which map.
    pub map: &'a CuisineMap,
    /// How evidence fades.
    pub options: &'a PreferenceOptions,
    /// Orders from then on are not looked at.
    pub as_of: Timestamp,
    /// [`crate::tables::Tables::simulated`].
    pub simulated: Option<&'a str>,
}

impl Update<'_> {
    fn head(&self) -> Head {
        Head {
            format: FORMAT.to_owned(),
            simulated: self.simulated.map(str::to_owned),
            as_of: freshrank::time::format(self.as_of),
            cuisine_map: format!("{:016x}", self.map.fingerprint()),
            lifelong: self.options.lifelong.to_string(),
            recent: self.options.recent.to_string(),
            sensitive: self.options.sensitive,
        }
    }

    /// Brings a state to a later time, or makes the first one, by what [`since`] says of all readers from a time on; a failure leaves
    /// the old file as it was.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn write(
        &self,
        old: Option<&Path>,
        orders: impl FnOnce(Timestamp) -> Result<ByReader, TableError>,
        new: &Path,
    ) -> Result<Updated, StateError> {
        let head = self.head();
        let old = old.map(States::open).transpose()?;
        if let Some(old) = &old {
            let fields = [
                ("cuisine_map", &old.head.cuisine_map, &head.cuisine_map),
                ("lifelong", &old.head.lifelong, &head.lifelong),
                ("recent", &old.head.recent, &head.recent),
                ("sensitive", &old.head.sensitive.to_string(), &head.sensitive.to_string()),
            ];
            let other = |(what, found, expected): (&'static str, &String, &String)| StateError::Other {
                file: old.file.clone(),
                what,
                found: found.clone(),
                expected: expected.clone(),
            };
            if let Some(field) = fields.into_iter().find(|(_, found, expected)| found != expected) {
                return Err(other(field));
            }
            if old.as_of > self.as_of {
                return Err(other(("as_of", &old.head.as_of, &format!("{} or earlier", head.as_of))));
            }
        }

        let orders = orders(old.as_ref().map_or(Timestamp::MIN, |old| old.as_of))?;
        // Beside the new one, so that a failure half-way leaves nothing that looks like a state.
        let part = new.with_extension("part");
        match self.fill(&head, old, &orders, &part) {
            Ok(updated) => {
                std::fs::rename(&part, new).map_err(|source| StateError::Io { file: new.to_owned(), source })?;
                Ok(updated)
            }
            Err(error) => {
                // What the first failure says is worth more than a second one.
                let _ = std::fs::remove_file(&part);
                Err(error)
            }
        }
    }

    fn fill(
        &self,
        head: &Head,
        mut old: Option<States>,
        orders: &ByReader,
        part: &Path,
    ) -> Result<Updated, StateError> {
        let mut updated = Updated::default();
        let io = |source| StateError::Io { file: part.to_owned(), source };
        let mut file = BufWriter::new(File::create(part).map_err(io)?);
        let mut put = |line: &[u8]| file.write_all(line).and_then(|()| file.write_all(b"\n")).map_err(io);
        put(&json(head))?;
        let mut orders = orders.iter()?;
        let mut next = || -> Result<Option<(String, Orders)>, StateError> {
            let Some((user_id, bytes)) = orders.next().transpose()? else { return Ok(None) };
            let told: Orders = serde_json::from_slice(&bytes).map_err(|source| io(source.into()))?;
            Ok(Some((user_id, told)))
        };
        let mut waiting = next()?;
        let mut last: Option<String> = None;
        loop {
            let kept = match &mut old {
                Some(old) => old.read()?,
                None => None,
            };
            if let (Some(kept), Some(last), Some(old)) = (&kept, &last, &old)
                && kept.user_id <= *last
            {
                return Err(StateError::Other {
                    file: old.file.clone(),
                    what: "user_id",
                    found: format!("{:?} after {last:?}", kept.user_id),
                    expected: "readers ascending, each once".to_owned(),
                });
            }
            let user_id = kept.as_ref().map(|kept| kept.user_id.as_str());
            // Readers that stand before this one and are new.
            while let Some((user_id, orders)) = waiting.take_if(|(new, _)| user_id.is_none_or(|old| new.as_str() < old))
            {
                updated.touched += 1;
                updated.readers += 1;
                updated.orders += orders.len();
                put(&json(&self.line(&user_id, None, orders)))?;
                waiting = next()?;
            }
            let Some(kept) = kept else { break };
            let own = waiting.take_if(|(new, _)| *new == kept.user_id);
            updated.readers += 1;
            if let Some((_, orders)) = &own {
                updated.touched += 1;
                updated.orders += orders.len();
                waiting = next()?;
            }
            last = Some(kept.user_id.clone());
            let line = match own {
                Some((_, orders)) => self.line(&kept.user_id, Some(kept.preferences), orders),
                None => kept,
            };
            put(&json(&line))?;
        }
        file.flush().map_err(io)?;
        Ok(updated)
    }

    fn line(&self, user_id: &str, kept: Option<Preferences>, orders: Orders) -> Line {
        let first = orders.first().map_or(self.as_of, |(at, _)| *at);
        let mut preferences = kept.unwrap_or(Preferences { as_of: first, ..Preferences::default() });
        for (at, merchant_id) in orders {
            preferences.update(at, self.menus.of(&merchant_id), self.options);
        }
        Line { user_id: user_id.to_owned(), preferences }
    }
}

/// A line; strings and finite numbers always serialize.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
