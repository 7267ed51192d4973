//! The six tables of the contract, as rows in memory.
//!
//! Column names are fixed (README.md, "Tables"). Reading and writing is in `tables/`; what a
//! row means is here. Times are whole seconds since 1970-01-01T00:00:00Z, coordinates WGS84 degrees.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

pub use read::{ReadOptions, read, read_sample};
pub use write::{Sheet, write, write_csv};

pub(crate) use column::labels;

mod column;
mod records;
pub mod read;
pub mod spool;
pub(crate) mod runs;
pub mod write;

/// Seconds since 1970-01-01T00:00:00Z.
pub type Timestamp = i64;

/// Who can be shown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Merchant {
    /// Unique in the table; any text.
    pub merchant_id: String,
    /// As its sign says.
    pub name: String,
    /// The parent brand, for deduplication.
    pub chain_id: Option<String>,
    /// Restaurant unless told.
    pub kind: Kind,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// ISO 3166-1 alpha-2, upper case.
    pub country: Option<String>,
    /// Labels as imported: lower case, `_` between words, in the source's order.
    pub cuisines: Vec<String>,
    /// 1 (cheap) to 4.
    pub price_band: Option<u8>,
    /// 0 to 5.
    pub rating: Option<f32>,
    /// How many ratings stand behind `rating`.
    pub rating_count: Option<u32>,
    /// 0 to 1, the operator's own judgement (photos, menu, complaints).
    pub quality: Option<f32>,
    /// How far this merchant delivers, kilometres.
    pub delivery_radius_km: Option<f32>,
    /// From order to hand-over, minutes.
    pub prep_minutes: Option<f32>,
    /// In the market's currency.
    pub delivery_fee: Option<f32>,
    /// OpenStreetMap syntax, verbatim.
    pub opening_hours: Option<String>,
    /// Where a click goes.
    pub url: Option<String>,
    /// Its picture.
    pub image_url: Option<String>,
    /// First moment it could be ordered from.
    pub listed_from: Option<Timestamp>,
    /// First moment it no longer could.
    pub listed_until: Option<Timestamp>,
    /// When rating, rating_count and quality were observed; undated ratings are a snapshot.
    pub observed_at: Option<Timestamp>,
}

/// What a merchant sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Meals.
    #[default]
    Restaurant,
    /// Food to cook or to keep.
    Grocery,
    /// Anything else.
    Retail,
}

/// Who receives messages.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reader {
    /// Unique in the table; any text.
    pub user_id: String,
    /// The layer path of the home city, `fi/helsinki`.
    pub market: Option<String>,
    /// BCP 47.
    pub locale: Option<String>,
    /// Whether individually tailored messages are consented to; absent means not asked.
    pub consent: Option<bool>,
    /// Pays for a membership.
    pub membership: Option<bool>,
    /// When the account was opened.
    pub since: Option<Timestamp>,
}

/// Where a reader has food brought.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Place {
    /// Whose.
    pub user_id: String,
    /// Unique within the reader.
    pub place_id: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// When it became known; else its first order.
    pub first_seen_at: Option<Timestamp>,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Order {
    /// Whose.
    pub user_id: String,
    /// From whom.
    pub merchant_id: String,
    /// When it was placed.
    pub ordered_at: Timestamp,
    /// Where to, by name.
    pub place_id: Option<String>,
    /// Where to, degrees north; filled from the place when only `place_id` is given.
    pub latitude: Option<f64>,
    /// Where to, degrees east.
    pub longitude: Option<f64>,
    /// In the market's currency.
    pub value: Option<f32>,
    /// Completed unless told.
    pub status: Status,
}

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// Delivered.
    #[default]
    Completed,
    /// Not delivered; no evidence of taste.
    Cancelled,
}

/// A promotion.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Offer {
    /// Unique in the table.
    pub offer_id: String,
    /// Whose promotion.
    pub merchant_id: String,
    /// `percent`, `amount`, `free_delivery`, or the operator's own word.
    pub kind: String,
    /// Per cent for `percent`, currency for `amount`.
    pub value: f32,
    /// First moment it holds.
    pub starts_at: Timestamp,
    /// First moment it no longer holds.
    pub ends_at: Timestamp,
    /// `all` unless told; `new`, `member`.
    pub audience: Option<String>,
    /// For the card's small print.
    pub terms: Option<String>,
}

/// Something that happened around a reader.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Event {
    /// Whose.
    pub user_id: String,
    /// When.
    pub at: Timestamp,
    /// `trip_end`, `app_open`, `served`, `seen`, `click`, `add`, ...
    pub kind: String,
    /// About whom.
    pub merchant_id: Option<String>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// In which message.
    pub message_id: Option<String>,
    /// In which slot, from 0.
    pub slot: Option<u32>,
    /// Probability with which the logging policy chose it.
    pub propensity: Option<f32>,
    /// Mailbox kind.
    pub mailbox: Option<String>,
}

/// All that is known, in the order of the files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tables {
    /// Required.
    pub merchants: Vec<Merchant>,
    /// Readers that orders mention but the table does not are added with their id alone.
    pub readers: Vec<Reader>,
    /// May be empty.
    pub places: Vec<Place>,
    /// Sorted by (ordered_at, user_id, merchant_id) once read.
    pub orders: Vec<Order>,
    /// May be empty.
    pub offers: Vec<Offer>,
    /// Sorted by (at, user_id) once read.
    pub events: Vec<Event>,
    /// Said in every output when present: `simulated by freshrank market, seed 7`.
    pub simulated: Option<String>,
}

/// What reading found wrong, counted by kind, with the first rows of each kind.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Report {
    /// Rows taken, by table.
    pub rows: BTreeMap<String, usize>,
    /// Rows or values refused, by `table: kind of fault`.
    pub faults: BTreeMap<String, Fault>,
}

/// One kind of fault.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Fault {
    /// How often.
    pub count: usize,
    /// Whether the row was left out (else only the value).
    pub row_lost: bool,
    /// The first few, each `file:row: column: found X, expected Y`.
    pub first: Vec<String>,
}

impl Kind {
    pub(crate) const WORDS: [&str; 3] = ["restaurant", "grocery", "retail"];

    /// As in the tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Restaurant => "restaurant",
            Self::Grocery => "grocery",
            Self::Retail => "retail",
        }
    }

    /// From the tables' word, or from OpenStreetMap's word for an amenity or shop that sells food.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "restaurant" | "fast_food" | "cafe" | "pub" | "bar" | "biergarten" | "food_court" | "ice_cream" => {
                Some(Self::Restaurant)
            }
            "grocery" | "bakery" | "beverages" | "butcher" | "cheese" | "chocolate" | "coffee" | "confectionery"
            | "convenience" | "dairy" | "deli" | "farm" | "frozen_food" | "greengrocer" | "health_food" | "nuts"
            | "pasta" | "pastry" | "seafood" | "spices" | "supermarket" | "tea" => Some(Self::Grocery),
            "retail" => Some(Self::Retail),
            _ => None,
        }
    }
}

impl Status {
    pub(crate) const WORDS: [&str; 2] = ["completed", "cancelled"];

    /// As in the tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }

    /// From the tables' word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "completed" => Some(Self::Completed),
            "cancelled" | "canceled" => Some(Self::Cancelled),
            _ => None,
        }
    }
}

impl Report {
    /// Rows that were passed over since their readers are not in a sample.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.rows.iter().filter(|(name, _)| name.ends_with(read::SKIPPED)).map(|(_, n)| n).sum()
    }

    /// How many rows of a table were left out.
    #[must_use]
    pub fn lost(&self, table: &str) -> usize {
        let of_table = |kind: &str| kind.split_once(": ").is_some_and(|(name, _)| name == table);
        self.faults.iter().filter(|(kind, fault)| fault.row_lost && of_table(kind)).map(|(_, fault)| fault.count).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (table, count) in &self.rows {
            writeln!(f, "{table}: {count} rows")?;
        }
        for (kind, fault) in &self.faults {
            let what = if fault.row_lost { "rows left out" } else { "values left out" };
            writeln!(f, "{kind}: {} {what}", fault.count)?;
            for first in &fault.first {
                writeln!(f, "  {first}")?;
            }
            if fault.count > fault.first.len() {
                writeln!(f, "  and {} more", fault.count - fault.first.len())?;
            }
        }
        Ok(())
    }
}

/// Why tables cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file system's answer.
    #[error("{}: {source}", file.display())]
    Io {
        /// Which file or directory.
        file: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// Not a Parquet file, or one with other types.
    #[error("{}: not readable as Parquet: {what}", file.display())]
    Parquet {
        /// Which file.
        file: PathBuf,
        /// What was found.
        what: String,
    },
    /// The one table that must be there is not.
    #[error("{}: found neither merchants.parquet nor merchants.csv but {}", dir.display(), list(found))]
    NoMerchants {
        /// Where.
        dir: PathBuf,
        /// The first few files there.
        found: Vec<String>,
    },
    /// The first line is no header.
    #[error("{}:1: found no end of the header, expected column names separated by commas", file.display())]
    Header {
        /// Which file.
        file: PathBuf,
    },
    /// A header without columns of the contract.
    #[error(
        "{}: found no column {}, but {}{}",
        file.display(), missing.join(", "), list(found), did_you_mean(suggestions)
    )]
    MissingColumns {
        /// Which file.
        file: PathBuf,
        /// The contract's names.
        missing: Vec<String>,
        /// What the header has.
        found: Vec<String>,
        /// (The contract's name, a similar one of the header).
        suggestions: Vec<(String, String)>,
    },
    /// A header with the same name twice.
    #[error("{}: found the column {column} twice, expected it once", file.display())]
    DuplicateColumn {
        /// Which file.
        file: PathBuf,
        /// Which column.
        column: String,
    },
    /// A mapping that fits no table that was read.
    #[error("column mapping {column}={from}: found no table with a column {column} to fill and {from} to fill it from")]
    UnusedMapping {
        /// The contract's name.
        column: String,
        /// The file's.
        from: String,
    },
    /// More lost rows than the operator accepts.
    #[error("{table}: lost {lost} of {rows} rows, expected at most {:.4} %\n{report}", limit * 100.0)]
    TooManyBad {
        /// Which table.
        table: String,
        /// Rows left out.
        lost: usize,
        /// Rows there are.
        rows: usize,
        /// The accepted share, 0 to 1.
        limit: f64,
        /// What was wrong.
        report: Report,
    },
    /// A partition on disk is not what was written.
    #[error("{}: found a partition that is damaged, expected what this build wrote; remove its folder and build again", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
    },
    /// Somebody asked for it.
    #[error("stopped before all rows were read")]
    Stopped,
    /// An empty table would be read back from an older file.
    #[error("{}: found a file of another import, expected a directory without it", file.display())]
    Stale {
        /// The other file.
        file: PathBuf,
    },
}

fn list(found: &[String]) -> String {
    if found.is_empty() { "nothing".to_owned() } else { found.join(", ") }
}

fn did_you_mean(suggestions: &[(String, String)]) -> String {
    if suggestions.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = suggestions.iter().map(|(name, found)| format!("{name}={found}")).collect();
    format!("; did you mean {}?", pairs.join(","))
}
