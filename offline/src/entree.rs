//! Entree: the restaurants of eight American cities, and what people of the nineties looked for among Chicago's.
//!
//! Burke's log (1996 to 1999, UCI, CC BY 4.0) as it is published, with `sessions.tsv` for its quarterly logs. A restaurant
//! has features of a guide book where others have labels; `offline/entree.toml` says which of them are cuisines. Whoever
//! needs Entree reads it here: the cuisine map takes the menus, [`sittings`] the choices, [`mod@crate::import::entree`] tables.

use crate::cuisines::vocabulary::plain;
use crate::tables::Merchant;
use jiff::civil::DateTime;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use thiserror::Error;

pub mod sittings;

/// Where it is published.
pub const PAGE: &str = "http://kdd.ics.uci.edu/databases/entree/entree.html";
/// The only city with sessions.
pub const CHICAGO: &str = "chicago";
/// Features by their numbers.
const FEATURES: &str = "features.txt";
/// Sessions over Chicago's restaurants.
const SESSIONS: &str = "sessions.tsv";
/// Its columns.
const COLUMNS: [&str; 5] = ["timestamp", "visitor", "entry", "moves", "end"];
/// Texts of the folder that are no city.
const NO_CITY: [&str; 2] = [FEATURES, "README.txt"];
/// Where nobody knows the restaurant that a session stopped at.
const UNKNOWN: &str = "-1";
/// The reviewed list of this version.
const REVIEWED: &str = include_str!("../entree.toml");

/// Why there is nothing to read.
#[derive(Debug, Error)]
pub enum EntreeError {
    /// The file system's answer.
    #[error("{}: {source}", file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The reviewed list is damaged.
    #[error("offline/entree.toml: {0}")]
    Reviewed(toml::de::Error),
    /// A value that the published layout has no place for.
    #[error("{}:{row}: {column}: found {found:?}, expected {expected}", file.display())]
    Value {
        /// Which file.
        file: PathBuf,
        /// Its line, from 1.
        row: usize,
        /// Which column.
        column: &'static str,
        /// What stands there.
        found: String,
        /// What may.
        expected: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reviewed {
    cuisines: BTreeSet<String>,
}

/// The guide book.
#[derive(Debug, Clone, PartialEq)]
pub struct Guide {
    /// Names by their numbers; some stand twice.
    pub features: BTreeMap<usize, String>,
    /// Features that are cuisines.
    pub n_cuisines: usize,
    /// City by city in the order of their names, in each in the order of the numbers, which begin with 0.
    pub restaurants: Vec<Restaurant>,
}

/// A line of the guide.
#[derive(Debug, Clone, PartialEq)]
pub struct Restaurant {
    /// `atlanta`.
    pub city: String,
    /// `atlanta:7`, its name, the features that are cuisines, and its name again as its chain in whatever city. Nobody
    /// knows where it stands: coordinates are 0.
    pub merchant: Merchant,
    /// The features that are no cuisines.
    pub others: Vec<String>,
}

/// A search among Chicago's restaurants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its line in the file, from 1.
    pub row: usize,
    /// The log's own clock.
    pub at: DateTime,
    /// A hashed host; a few are shared by several people.
    pub visitor: String,
    /// Numbers of restaurants in the order in which they came up, with repetitions. **The order is a leak**: the last is
    /// nearly always where it stopped.
    pub moves: Vec<usize>,
    /// Where it stopped; absent where nobody knows.
    pub end: Option<usize>,
}

impl Guide {
    /// Reads `features.txt` and every city of a folder.
    ///
    /// # Errors
    /// Names the file, row and column that is not in the layout.
    pub fn read(folder: &Path) -> Result<Self, EntreeError> {
        let Reviewed { cuisines } = toml::from_str(REVIEWED).map_err(EntreeError::Reviewed)?;
        let file = folder.join(FEATURES);
        let mut features = BTreeMap::new();
        for (row, line) in rows(&text(&file)?) {
            let [number, name] = fields(&file, row, line, "a number, a tab and a name")?;
            let number = number.trim().parse().map_err(|_| value(&file, row, "number", number, "a number".into()))?;
            features.insert(number, name.trim().to_owned());
        }
        let mut restaurants = Vec::new();
        for file in cities(folder)? {
            restaurants.extend(city(&file, &features, &cuisines)?);
        }
        let n_cuisines = features.values().filter(|name| cuisines.contains(*name)).count();
        Ok(Self { features, n_cuisines, restaurants })
    }

    /// All restaurants.
    #[must_use]
    pub fn merchants(&self) -> Vec<Merchant> {
        self.restaurants.iter().map(|restaurant| restaurant.merchant.clone()).collect()
    }

    /// Reads the sessions over Chicago's restaurants.
    ///
    /// # Errors
    /// Names the file, row and column that is not in the layout.
    pub fn sessions(&self, folder: &Path) -> Result<Vec<Session>, EntreeError> {
        let file = folder.join(SESSIONS);
        let n = self.restaurants.iter().filter(|restaurant| restaurant.city == CHICAGO).count();
        let expected = || format!("{} between tabs", COLUMNS.join(", "));
        let all = text(&file)?;
        let mut sessions = Vec::new();
        for (row, line) in rows(&all) {
            let [time, visitor, entry, moves, end] = fields(&file, row, line, &expected())?;
            if row == 1 {
                if [time, visitor, entry, moves, end] != COLUMNS {
                    return Err(value(&file, row, "line", line, expected()));
                }
                continue;
            }
            let number = |column, text: &str| {
                let number = text.parse().ok().filter(|number| *number < n);
                number.ok_or_else(|| value(&file, row, column, text, format!("a restaurant's number below {n}")))
            };
            let at = time
                .parse()
                .map_err(|_| value(&file, row, "timestamp", time, "a time like 1996-09-07T12:17:05".to_owned()))?;
            let moved = |step: &str| number("moves", step.trim_end_matches(|c: char| c.is_ascii_uppercase()));
            let moves = moves.split_whitespace().map(moved).collect::<Result<_, _>>()?;
            let end = if end.trim() == UNKNOWN { None } else { Some(number("end", end.trim())?) };
            sessions.push(Session { row, at, visitor: visitor.to_owned(), moves, end });
        }
        Ok(sessions)
    }
}

impl Restaurant {
    /// Whether the folder has sessions over it.
    #[must_use]
    pub fn has_sessions(&self) -> bool {
        self.city == CHICAGO
    }
}

/// Whether a folder has sessions.
#[must_use]
pub fn has_sessions(folder: &Path) -> bool {
    folder.join(SESSIONS).is_file()
}

/// The cities' files, by name.
fn cities(folder: &Path) -> Result<Vec<PathBuf>, EntreeError> {
    let io = |source| EntreeError::Io { file: folder.to_owned(), source };
    let mut cities = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(".txt") && !NO_CITY.contains(&name) {
            cities.push(path);
        }
    }
    cities.sort();
    Ok(cities)
}

fn city(
    file: &Path,
    features: &BTreeMap<usize, String>,
    cuisines: &BTreeSet<String>,
) -> Result<Vec<Restaurant>, EntreeError> {
    let city = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let mut restaurants = Vec::new();
    for (row, line) in rows(&text(file)?) {
        let [number, name, has] =
            fields(file, row, line, "a number, a name and numbers of features, with tabs between")?;
        let next = restaurants.len();
        if number.trim().parse() != Ok(next) {
            return Err(value(file, row, "number", number, format!("{next:07}: restaurants are numbered from 0")));
        }
        let mut own = (Vec::new(), Vec::new());
        for id in has.split_whitespace() {
            let feature = id.parse().ok().and_then(|id: usize| features.get(&id));
            let feature = feature.ok_or_else(|| value(file, row, "features", id, "a number of features.txt".into()))?;
            if cuisines.contains(feature) { &mut own.0 } else { &mut own.1 }.push(feature.clone());
        }
        let merchant = Merchant {
            merchant_id: format!("{city}:{next}"),
            chain_id: plain(name).map(|name| format!("entree:{name}")),
            // Some names are followed by a comma and nothing.
            name: name.trim().trim_end_matches(',').trim().to_owned(),
            cuisines: own.0,
            ..Merchant::default()
        };
        restaurants.push(Restaurant { city: city.to_owned(), merchant, others: own.1 });
    }
    Ok(restaurants)
}

fn value(file: &Path, row: usize, column: &'static str, found: &str, expected: String) -> EntreeError {
    EntreeError::Value { file: file.to_owned(), row, column, found: found.to_owned(), expected }
}

/// The text of a file. The originals are Latin-1; whoever converted them has UTF-8.
fn text(file: &Path) -> Result<String, EntreeError> {
    let bytes = std::fs::read(file).map_err(|source| EntreeError::Io { file: file.to_owned(), source })?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect()))
}

/// Lines that are not empty, numbered from 1.
fn rows(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty())
}

/// A line's fields, as many as there should be.
fn fields<'a, const N: usize>(
    file: &Path,
    row: usize,
    line: &'a str,
    expected: &str,
) -> Result<[&'a str; N], EntreeError> {
    let fields: Vec<&str> = line.split('\t').collect();
    fields.try_into().map_err(|_| value(file, row, "line", line, expected.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuisines::Vocabulary;

    const HEADER: &str = "timestamp\tvisitor\tentry\tmoves\tend\n";

    fn folder(chicago: &str, sessions: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("features.txt", "005\tAmerican (New)\n024\tCreative\n096\tFrench-Japanese\n");
        write("chicago.txt", chicago);
        write("sessions.tsv", &format!("{HEADER}{sessions}"));
        folder
    }

    #[test]
    fn what_is_cooked_is_read_and_what_is_not_is_apart() {
        let vocabulary = Vocabulary::reviewed().unwrap();
        let folder = folder("0000000\tCafe Moe's,\t024 005\n0000001\t CAFE MOES\t096\n0000002\tElsewhere\t024\n", "");
        let guide = Guide::read(folder.path()).unwrap();
        let row = |restaurant: &Restaurant| {
            let Merchant { merchant_id, name, chain_id, cuisines, .. } = &restaurant.merchant;
            let labels = vocabulary.labels(cuisines).join(";");
            format!("{merchant_id} {name} {} {labels} {}", chain_id.as_deref().unwrap(), restaurant.others.join(";"))
        };
        assert_eq!(
            guide.restaurants.iter().map(row).collect::<Vec<_>>(),
            [
                "chicago:0 Cafe Moe's entree:cafe_moes new_american Creative",
                "chicago:1 CAFE MOES entree:cafe_moes french;japanese ",
                "chicago:2 Elsewhere entree:elsewhere  Creative",
            ],
            "one name is one chain"
        );
        assert_eq!((guide.n_cuisines, guide.features.len()), (2, 3));
    }

    #[test]
    fn a_row_out_of_layout_is_named() {
        let two = "0000000\tUno\t005\n0000001\tDue\t005\n";
        for (chicago, says) in [
            ("0000000\tMoe's\t999\n", "chicago.txt:1: features: found \"999\", expected a number of features.txt"),
            (
                "0000001\tMoe's\t005\n",
                "chicago.txt:1: number: found \"0000001\", expected 0000000: restaurants are numbered from 0",
            ),
            (
                "0000000\tMoe's\t005\nbad\n",
                "chicago.txt:2: line: found \"bad\", expected a number, a name and numbers of features, with tabs between",
            ),
        ] {
            let error = Guide::read(folder(chicago, "").path()).unwrap_err().to_string();
            assert!(error.ends_with(says), "{error}");
        }
        for (wrong, says) in [
            ("x\tv\t0\t1L\t1", "timestamp: found \"x\", expected a time like 1996-09-07T12:17:05"),
            ("1996-09-09T10:00:00\tv\t0\t2L\t1", "moves: found \"2\", expected a restaurant's number below 2"),
            ("1996-09-09T10:00:00\tv\t0\t1L\tend", "end: found \"end\", expected a restaurant's number below 2"),
            (
                "1996-09-09T10:00:00\tv",
                "line: found \"1996-09-09T10:00:00\\tv\", expected timestamp, visitor, entry, moves, end between tabs",
            ),
        ] {
            let folder = folder(two, wrong);
            let error = Guide::read(folder.path()).unwrap().sessions(folder.path()).unwrap_err().to_string();
            assert!(error.ends_with(&format!("sessions.tsv:2: {says}")), "{error}");
        }
        let error = Guide::read(Path::new("nowhere")).unwrap_err().to_string();
        assert!(error.starts_with("nowhere/features.txt: "), "{error}");
    }

    #[test]
    fn every_listed_cuisine_has_a_label_that_the_reviewed_table_names() {
        let vocabulary = Vocabulary::reviewed().unwrap();
        let Reviewed { cuisines } = toml::from_str(REVIEWED).unwrap();
        for name in cuisines {
            for label in vocabulary.labels(std::slice::from_ref(&name)) {
                assert!(vocabulary.knows(&label), "{name}: {label}");
            }
        }
    }
}
