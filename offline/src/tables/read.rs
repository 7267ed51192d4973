//! Reading the six tables: CSV or Parquet, with every fault counted and the first of each kind shown.
//!
//! A table that cannot be what it claims (no such column, not a Parquet file) is an error. A row or value that
//! cannot be used is a fault: it is left out, counted, and listed with file, row and column. Too many lost rows are
//! an error again. Only operators see these messages; still no reader's id is repeated in them.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::hash::Hash;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimeUnit, TimestampSecondType, UInt32Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};

use super::column::{Column, Limits, Need, Row, Type, Value, labels};
pub use super::records::MAX_RECORD_BYTES;
use super::records::{Next, Record, Records};
use super::{Event, Fault, Merchant, Offer, Order, Place, Reader, Report, TableError, Tables, Timestamp};

/// How many rows of one kind of fault are listed.
pub const LISTED: usize = 10;

/// The key under which a Parquet file, and the column in which a CSV file, says that its rows are made up.
pub(super) const SIMULATED: &str = "freshrank.simulated";

/// Metres of a degree of latitude on the sphere that distances are measured on.
const METRES_PER_DEGREE: f64 = 111_195.08;

/// What the report says of rows that a sample passed over, after their table.
pub(super) const SKIPPED: &str = "of readers who are not in the sample";
/// Rows of a table between two looks at which of them are still in the sample.
const SAMPLED_ROWS: usize = 1 << 20;

/// Rows of a Parquet file that are decoded at once.
const BATCH_ROWS: usize = 8192;

/// How to read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadOptions {
    /// The share of a table's rows, 0 to 1, that may be lost before reading fails.
    pub max_bad_share: f64,
    /// Foreign headers: (column of the contract, column of the file). The first may name its table
    /// (`orders.value`); the second may join columns (`OSM_TYPE+OSM_ID`).
    pub map: Vec<(String, String)>,
    /// For coordinates that are masked or local: where they are on Earth.
    pub affine: Option<Affine>,
}

/// Where masked or local coordinates are on Earth; `longitude` and `latitude` of the file are x and y.
///
/// An affine map keeps what is near near as long as it is about a similarity: distances in kilometres are those of the
/// place it maps to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// Degrees north: of x, of y, constant.
    pub latitude: [f64; 3],
    /// Degrees east: of x, of y, constant.
    pub longitude: [f64; 3],
}

impl Affine {
    /// Reads `a,b,c,d,e,f` (latitude = a x + b y + c, longitude = d x + e y + f), or `m@NORTH,EAST` for metres east and
    /// north of a point on Earth.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = "six numbers a,b,c,d,e,f (latitude = a x + b y + c, longitude = d x + e y + f), or m@NORTH,EAST";
        let wrong = || format!("found {text:?}, expected {expected}");
        let numbers = |text: &str| -> Option<Vec<f64>> {
            let numbers = text.split(',').map(|part| part.trim().parse().ok().filter(|v: &f64| v.is_finite()));
            numbers.collect()
        };
        if let Some(origin) = text.trim().strip_prefix("m@") {
            let Some([north, east]) = numbers(origin).as_deref().and_then(|found| <[f64; 2]>::try_from(found).ok())
            else {
                return Err(wrong());
            };
            if !(-89.0..=89.0).contains(&north) || !(-180.0..=180.0).contains(&east) {
                return Err(wrong());
            }
            let degree = 1.0 / METRES_PER_DEGREE;
            return Ok(Self {
                latitude: [0.0, degree, north],
                longitude: [degree / libm::cos(north.to_radians()), 0.0, east],
            });
        }
        let Some([a, b, c, d, e, f]) = numbers(text).as_deref().and_then(|found| <[f64; 6]>::try_from(found).ok())
        else {
            return Err(wrong());
        };
        if a * e - b * d == 0.0 {
            return Err(format!("found {text:?}, which maps a plane onto a line, expected {expected}"));
        }
        Ok(Self { latitude: [a, b, c], longitude: [d, e, f] })
    }

    /// (latitude, longitude) of (x, y).
    #[must_use]
    pub fn apply(&self, x: f64, y: f64) -> (f64, f64) {
        let at = |[of_x, of_y, constant]: [f64; 3]| of_x * x + of_y * y + constant;
        (at(self.latitude), at(self.longitude))
    }
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { max_bad_share: 0.01, map: Vec::new(), affine: None }
    }
}

/// Reads a directory of tables, or one file, whose name then says which table it is (merchants unless told).
///
/// Of `merchants.parquet` and `merchants.csv` the former is taken. Orders come sorted by (`ordered_at`, `user_id`,
/// `merchant_id`), events by (`at`, `user_id`); readers that only other tables mention are added at the end, by id.
///
/// # Errors
/// No merchants, a file or column that is not there or not readable, or too many lost rows.
pub fn read(path: &Path, options: &ReadOptions) -> Result<(Tables, Report), TableError> {
    read_from(Source::new(Files::of(path)?, options))
}

/// The same of at most `n_readers` readers, those with the smallest hashes of their ids: rows of others are read and
/// counted, not held. Where it cuts, the report says so.
///
/// # Errors
/// As [`read`].
pub fn read_sample(path: &Path, options: &ReadOptions, n_readers: usize) -> Result<(Tables, Report), TableError> {
    let mut from = Source::new(Files::of(path)?, options);
    from.sample = Some(Sample { n_readers, hashes: BTreeSet::new(), below: None });
    read_from(from)
}

fn read_from(mut from: Source<'_>) -> Result<(Tables, Report), TableError> {
    let options = from.options;
    let merchants = from.merchants()?;
    let readers = from.unique::<Reader, _>(|row| row.user_id.clone(), "user_id")?;
    let places = from.unique::<Place, _>(|row| (row.user_id.clone(), row.place_id.clone()), "place_id")?;
    let orders = from.table::<Order>()?;
    let known = Known::of(merchants.iter().map(|(_, row)| row));
    let offers = from.offers(&known)?;
    let events = from.table::<Event>()?;
    from.all_mapped()?;
    // Who was taken for small by an earlier table may not be so by a later one.
    let (readers, places) = (from.sampled(readers), from.sampled(places));
    let (orders, events) = (from.sampled(orders), from.sampled(events));

    let spots = Spots::of(&places);
    let orders = from.keep_mut(orders, |row| {
        known.check(&row.merchant_id)?;
        spots.place(row)
    });
    let mut events = from.keep(events, |row| row.merchant_id.as_deref().map_or(Ok(()), |id| known.check(id)));
    for (row, event) in &mut events {
        if let Err(wrong) = whole_place(event) {
            from.fault(Event::TABLE, *row, false, wrong);
        }
    }

    let mut tables = Tables {
        merchants: rows(merchants),
        readers: rows(readers),
        places: rows(places),
        orders: rows(orders),
        offers: rows(offers),
        events: rows(events),
        simulated: from.simulated.take(),
    };
    from.counts.added = add_readers(&mut tables);
    sort(&mut tables);
    from.counts.add(&tables);
    from.counts.report(options).map(|report| (tables, report))
}

/// Into the order that [`read`] promises; rows that are equal in it stay as the file had them.
pub(super) fn sort(tables: &mut Tables) {
    tables
        .orders
        .sort_by(|a, b| (a.ordered_at, &a.user_id, &a.merchant_id).cmp(&(b.ordered_at, &b.user_id, &b.merchant_id)));
    tables.events.sort_by(|a, b| (a.at, &a.user_id).cmp(&(b.at, &b.user_id)));
}

/// The merchants that other rows may name.
pub(super) struct Known(HashSet<String>);

impl Known {
    pub(super) fn of<'m>(merchants: impl Iterator<Item = &'m Merchant>) -> Self {
        Self(merchants.map(|row| row.merchant_id.clone()).collect())
    }

    pub(super) fn check(&self, id: &str) -> Result<(), Wrong> {
        let found = || Wrong::new("merchant_id", "unknown merchant", shown(id), "an id of the table merchants");
        if self.0.contains(id) { Ok(()) } else { Err(found()) }
    }
}

/// Where the readers' places are.
pub(super) struct Spots<'p>(HashMap<(&'p str, &'p str), (f64, f64)>);

impl<'p> Spots<'p> {
    pub(super) fn of(places: &'p [(u64, Place)]) -> Self {
        let spot =
            |(_, row): &'p (u64, Place)| ((row.user_id.as_str(), row.place_id.as_str()), (row.latitude, row.longitude));
        Self(places.iter().map(spot).collect())
    }

    /// Fills an order's coordinates from its place where it has none of its own.
    pub(super) fn place(&self, row: &mut Order) -> Result<(), Wrong> {
        if row.latitude.is_none() || row.longitude.is_none() {
            let spot = row.place_id.as_ref().and_then(|id| self.0.get(&(row.user_id.as_str(), id.as_str())));
            let Some((latitude, longitude)) = spot else {
                let found = match row.place_id {
                    Some(_) => "a place that is not in the table places, and no coordinates",
                    None => "neither place_id nor latitude and longitude",
                };
                return Err(Wrong::new("place_id", "no place", found, "a place of the reader, or coordinates"));
            };
            (row.latitude, row.longitude) = (Some(*latitude), Some(*longitude));
        }
        Ok(())
    }
}

/// A latitude alone is no place.
pub(super) fn whole_place(event: &mut Event) -> Result<(), Wrong> {
    if event.latitude.is_some() == event.longitude.is_some() {
        return Ok(());
    }
    (event.latitude, event.longitude) = (None, None);
    Err(Wrong::new("latitude", "without longitude", "one of the two", "both or none"))
}

/// Adds the readers that only other tables mention, by id, and says how many.
pub(super) fn add_readers(tables: &mut Tables) -> usize {
    let known: BTreeSet<&str> = tables.readers.iter().map(|reader| reader.user_id.as_str()).collect();
    let mentioned: BTreeSet<&str> = (tables.places.iter().map(|row| row.user_id.as_str()))
        .chain(tables.orders.iter().map(|row| row.user_id.as_str()))
        .chain(tables.events.iter().map(|row| row.user_id.as_str()))
        .filter(|user_id| !known.contains(user_id))
        .collect();
    let added: Vec<Reader> =
        mentioned.into_iter().map(|user_id| Reader { user_id: user_id.to_owned(), ..Reader::default() }).collect();
    let n_added = added.len();
    tables.readers.extend(added);
    n_added
}

/// Which readers are in a sample.
#[derive(Debug)]
struct Sample {
    n_readers: usize,
    /// The smallest ones found so far.
    hashes: BTreeSet<u64>,
    /// Once there are too many: the smallest that is not among them.
    below: Option<u64>,
}

impl Sample {
    /// Whether a reader is in it, as far as one can tell by now.
    fn takes(&mut self, reader: &str) -> bool {
        let hash = freshrank::MerchantId::of(reader).0;
        if self.below.is_some_and(|below| hash >= below) {
            return false;
        }
        if self.hashes.insert(hash)
            && self.hashes.len() > self.n_readers
            && let Some(largest) = self.hashes.pop_last()
        {
            self.below = Some(largest);
        }
        self.below.is_none_or(|below| hash < below)
    }
}

/// The reader that a row belongs to; none for merchants and offers.
fn reader_of<R: Row>(row: &R) -> Option<Cow<'_, str>> {
    let column = R::COLUMNS.iter().find(|column| column.name == "user_id")?;
    match (column.get)(row) {
        Value::Text(user_id) => Some(user_id),
        _ => None,
    }
}

/// What reading came to, in some partition or in all of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    rows: BTreeMap<String, usize>,
    /// Rows of readers that are not in the sample, by table.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    skipped: BTreeMap<String, usize>,
    added: usize,
    moved: usize,
    faults: BTreeMap<String, Listed>,
}

/// One kind of fault, with the rows of the first ones: those of several partitions are listed as those of the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Listed {
    count: usize,
    row_lost: bool,
    first: Vec<(u64, String)>,
}

impl Counts {
    /// Adds what another partition came to.
    pub fn merge(&mut self, other: &Self) {
        for (table, rows) in &other.rows {
            *self.rows.entry(table.clone()).or_default() += rows;
        }
        for (table, rows) in &other.skipped {
            *self.skipped.entry(table.clone()).or_default() += rows;
        }
        self.added += other.added;
        self.moved += other.moved;
        for (kind, fault) in &other.faults {
            let sum = self.faults.entry(kind.clone()).or_default();
            sum.count += fault.count;
            sum.row_lost |= fault.row_lost;
            sum.first.extend(fault.first.iter().cloned());
            sum.first.sort();
            sum.first.truncate(LISTED);
        }
    }

    /// The rows of all tables that were taken.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.values().sum()
    }

    pub(super) fn add(&mut self, tables: &Tables) {
        let counts = [
            (Merchant::TABLE, tables.merchants.len()),
            (Reader::TABLE, tables.readers.len()),
            (Place::TABLE, tables.places.len()),
            (Order::TABLE, tables.orders.len()),
            (Offer::TABLE, tables.offers.len()),
            (Event::TABLE, tables.events.len()),
        ];
        for (table, count) in counts {
            *self.rows.entry(table.to_owned()).or_default() += count;
        }
    }

    pub(super) fn add_readers(&mut self, n: usize) {
        self.added += n;
    }

    pub(super) fn fault(&mut self, file: &str, table: &str, row: u64, row_lost: bool, wrong: Wrong) {
        let Wrong { column, kind, found, expected } = wrong;
        let kind = if column.is_empty() { format!("{table}: {kind}") } else { format!("{table}: {column} {kind}") };
        let fault = self.faults.entry(kind).or_default();
        fault.count += 1;
        fault.row_lost |= row_lost;
        if fault.first.len() < LISTED {
            let column = if column.is_empty() { String::new() } else { format!("{column}: ") };
            fault.first.push((row, format!("{file}:{row}: {column}found {found}, expected {expected}")));
        }
    }

    /// The report of all partitions together.
    ///
    /// # Errors
    /// More rows were lost than the options accept.
    pub fn report(self, options: &ReadOptions) -> Result<Report, TableError> {
        let fault = |(kind, fault): (String, Listed)| {
            let first = fault.first.into_iter().map(|(_, text)| text).collect();
            (kind, Fault { count: fault.count, row_lost: fault.row_lost, first })
        };
        let faults = self.faults.into_iter().map(fault).collect();
        let mut report = Report { rows: self.rows, faults };
        let counts = report.rows.clone();
        if self.added > 0 {
            report.rows.insert("readers (known from other tables only)".to_owned(), self.added);
        }
        for (table, n) in &self.skipped {
            report.rows.insert(format!("{table} {SKIPPED}"), *n);
        }
        if self.moved > 0 {
            report.rows.insert("rows whose coordinates were mapped by --affine".to_owned(), self.moved);
        }
        for table in TABLES {
            let (lost, kept) = (report.lost(table), counts.get(table).copied().unwrap_or(0));
            let rows = lost + kept + self.skipped.get(table).copied().unwrap_or(0);
            if lost as f64 > options.max_bad_share * rows as f64 {
                let (table, limit) = (table.to_owned(), options.max_bad_share);
                return Err(TableError::TooManyBad { table, lost, rows, limit, report });
            }
        }
        Ok(report)
    }
}

fn rows<R>(rows: Vec<(u64, R)>) -> Vec<R> {
    rows.into_iter().map(|(_, row)| row).collect()
}

fn ordered(first: Timestamp, end: Timestamp, column: &'static str, expected: &'static str) -> Result<(), Wrong> {
    if first < end {
        return Ok(());
    }
    Err(Wrong::new(column, "ends before it begins", time(end), expected))
}

pub(super) fn time(second: Timestamp) -> String {
    jiff::Timestamp::from_second(second).map_or_else(|_| second.to_string(), |time| time.to_string())
}

/// Why a row or value is refused.
pub(super) struct Wrong {
    column: &'static str,
    /// The kind it is counted under.
    kind: &'static str,
    found: String,
    expected: Cow<'static, str>,
}

impl Wrong {
    fn new(
        column: &'static str,
        kind: &'static str,
        found: impl Into<String>,
        expected: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { column, kind, found: found.into(), expected: expected.into() }
    }
}

/// What stood there, short enough for a line.
fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

/// Which file has which table.
pub(super) struct Files {
    pub(super) by_table: BTreeMap<&'static str, PathBuf>,
}

const TABLES: [&str; 6] = [Merchant::TABLE, Reader::TABLE, Place::TABLE, Order::TABLE, Offer::TABLE, Event::TABLE];

impl Files {
    pub(super) fn of(path: &Path) -> Result<Self, TableError> {
        let io = |source| TableError::Io { file: path.to_owned(), source };
        let mut by_table = BTreeMap::new();
        if std::fs::metadata(path).map_err(io)?.is_file() {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let table = TABLES.iter().find(|table| **table == stem).unwrap_or(&Merchant::TABLE);
            by_table.insert(*table, path.to_owned());
        } else {
            for table in TABLES {
                let candidates = ["parquet", "csv"].map(|ending| path.join(format!("{table}.{ending}")));
                if let Some(file) = candidates.into_iter().find(|file| file.is_file()) {
                    by_table.insert(table, file);
                }
            }
        }
        if !by_table.contains_key(Merchant::TABLE) {
            let mut found: Vec<String> = match std::fs::read_dir(path) {
                Ok(dir) => dir.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect(),
                Err(_) => vec![path.display().to_string()],
            };
            found.sort();
            found.truncate(LISTED);
            return Err(TableError::NoMerchants { dir: path.to_owned(), found });
        }
        Ok(Self { by_table })
    }

    /// As it is called in messages.
    pub(super) fn name(&self, table: &str) -> String {
        let file = self.by_table.get(table).and_then(|file| file.file_name());
        file.map_or_else(|| table.to_owned(), |name| name.to_string_lossy().into_owned())
    }
}

/// Rows without two of the same id: the first stays.
pub(super) fn unique<R: Row, K: Hash + Eq>(
    rows: Vec<(u64, R)>,
    id: fn(&R) -> K,
    column: &'static str,
    file: &str,
    counts: &mut Counts,
) -> Vec<(u64, R)> {
    let mut first: HashMap<K, u64> = HashMap::with_capacity(rows.len());
    let mut kept = Vec::with_capacity(rows.len());
    for (row, values) in rows {
        match first.entry(id(&values)) {
            Entry::Vacant(entry) => {
                entry.insert(row);
                kept.push((row, values));
            }
            Entry::Occupied(entry) => {
                let found = format!("the id of row {} again", entry.get());
                counts.fault(file, R::TABLE, row, true, Wrong::new(column, "duplicate", found, "each id once"));
            }
        }
    }
    kept
}

/// Takes out the rows of readers who turned out not to be in the sample.
fn keep_sampled<R: Row>(sample: &mut Sample, rows: &mut Vec<(u64, R)>, counts: &mut Counts) {
    let before = rows.len();
    rows.retain(|(_, row)| reader_of(row).is_none_or(|reader| sample.takes(&reader)));
    if rows.len() < before {
        *counts.skipped.entry(R::TABLE.to_owned()).or_default() += before - rows.len();
    }
}

/// One cell as it was found.
enum Cell<'a> {
    Text(Cow<'a, str>),
    Value(Value<'a>),
    NotUtf8,
}

/// Files on their way into rows.
pub(super) struct Source<'o> {
    pub(super) files: Files,
    options: &'o ReadOptions,
    pub(super) counts: Counts,
    pub(super) simulated: Option<String>,
    /// Mappings that some table used.
    pub(super) mapped: BTreeSet<String>,
    /// All readers if absent.
    sample: Option<Sample>,
}

/// Takes one row and its number in the file.
type Take<'t, R> = &'t mut dyn FnMut(&mut Counts, u64, R) -> Result<(), TableError>;

impl<'o> Source<'o> {
    pub(super) fn new(files: Files, options: &'o ReadOptions) -> Self {
        Self { files, options, counts: Counts::default(), simulated: None, mapped: BTreeSet::new(), sample: None }
    }

    fn fault(&mut self, table: &str, row: u64, row_lost: bool, wrong: Wrong) {
        self.counts.fault(&self.files.name(table), table, row, row_lost, wrong);
    }

    /// The table of merchants, each listed for some time.
    pub(super) fn merchants(&mut self) -> Result<Vec<(u64, Merchant)>, TableError> {
        let merchants = self.unique::<Merchant, _>(|row| row.merchant_id.clone(), "merchant_id")?;
        Ok(self.keep(merchants, |row| {
            let (Some(first), Some(end)) = (row.listed_from, row.listed_until) else {
                return Ok(());
            };
            ordered(first, end, "listed_until", "a time after listed_from")
        }))
    }

    /// The table of offers, each of a known merchant.
    pub(super) fn offers(&mut self, known: &Known) -> Result<Vec<(u64, Offer)>, TableError> {
        let offers = self.unique::<Offer, _>(|row| row.offer_id.clone(), "offer_id")?;
        Ok(self.keep(offers, |row| {
            known.check(&row.merchant_id)?;
            ordered(row.starts_at, row.ends_at, "ends_at", "a time after starts_at")
        }))
    }

    /// Every mapping was of use to some table.
    pub(super) fn all_mapped(&self) -> Result<(), TableError> {
        match self.options.map.iter().find(|(column, _)| !self.mapped.contains(column)) {
            Some((column, file)) => Err(TableError::UnusedMapping { column: column.clone(), from: file.clone() }),
            None => Ok(()),
        }
    }

    fn keep<R: Row>(&mut self, rows: Vec<(u64, R)>, check: impl Fn(&R) -> Result<(), Wrong>) -> Vec<(u64, R)> {
        self.keep_mut(rows, |row| check(row))
    }

    fn keep_mut<R: Row>(
        &mut self,
        mut rows: Vec<(u64, R)>,
        check: impl Fn(&mut R) -> Result<(), Wrong>,
    ) -> Vec<(u64, R)> {
        rows.retain_mut(|(row, values)| match check(values) {
            Ok(()) => true,
            Err(wrong) => {
                self.fault(R::TABLE, *row, true, wrong);
                false
            }
        });
        rows
    }

    /// A table without two rows of the same id: the first stays.
    fn unique<R: Row, K: Hash + Eq>(
        &mut self,
        id: fn(&R) -> K,
        column: &'static str,
    ) -> Result<Vec<(u64, R)>, TableError> {
        let rows = self.table::<R>()?;
        let file = self.files.name(R::TABLE);
        Ok(unique(rows, id, column, &file, &mut self.counts))
    }

    fn table<R: Row>(&mut self) -> Result<Vec<(u64, R)>, TableError> {
        let mut rows: Vec<(u64, R)> = Vec::new();
        let mut sample = self.sample.take();
        let mut next = SAMPLED_ROWS;
        let read = self.each(&mut |counts, row, values: R| {
            if let Some(sample) = &mut sample
                && let Some(reader) = reader_of(&values)
            {
                if !sample.takes(&reader) {
                    *counts.skipped.entry(R::TABLE.to_owned()).or_default() += 1;
                    return Ok(());
                }
                if rows.len() >= next {
                    keep_sampled(sample, &mut rows, counts);
                    next = rows.len() + SAMPLED_ROWS;
                }
            }
            rows.push((row, values));
            Ok(())
        });
        self.sample = sample;
        read.map(|()| rows)
    }

    /// Those of readers who are in the sample once all rows were seen.
    fn sampled<R: Row>(&mut self, mut rows: Vec<(u64, R)>) -> Vec<(u64, R)> {
        if let Some(sample) = &mut self.sample {
            keep_sampled(sample, &mut rows, &mut self.counts);
        }
        rows
    }

    /// Reads a table row by row; a few thousand rows are held at a time. An absent table has none.
    pub(super) fn each<R: Row>(&mut self, take: Take<'_, R>) -> Result<(), TableError> {
        let Some(file) = self.files.by_table.get(R::TABLE).cloned() else {
            return Ok(());
        };
        let opened = File::open(&file).map_err(|source| TableError::Io { file: file.clone(), source })?;
        if file.extension().is_some_and(|ending| ending == "parquet") {
            self.parquet(&file, opened, take)
        } else {
            self.csv(&file, opened, take)
        }
    }

    /// For each column of the contract, which columns of the file hold it; none when the file lacks an optional one.
    fn columns<R: Row>(&mut self, file: &Path, found: &[String]) -> Result<Vec<Vec<usize>>, TableError> {
        let position = |name: &str| found.iter().position(|column| column == name);
        if let Some(twice) = found.iter().enumerate().find(|(i, name)| position(name) != Some(*i)) {
            return Err(TableError::DuplicateColumn { file: file.to_owned(), column: twice.1.clone() });
        }
        let mut missing = Vec::new();
        let mut columns = Vec::new();
        for column in R::COLUMNS {
            let mapping = self
                .options
                .map
                .iter()
                .find(|(to, _)| to == column.name || to.split_once('.') == Some((R::TABLE, column.name)));
            let mapped = mapping.and_then(|(to, from)| {
                let parts = position(from).map(|at| vec![at]).or_else(|| from.split('+').map(position).collect());
                parts.inspect(|_| {
                    self.mapped.insert(to.clone());
                })
            });
            let held = mapped.or_else(|| position(column.name).map(|at| vec![at]));
            if held.is_none() && column.need != Need::Nothing {
                missing.push(column.name);
            }
            columns.push(held.unwrap_or_default());
        }
        if missing.is_empty() {
            return Ok(columns);
        }
        let suggestions =
            missing.iter().filter_map(|name| Some(((*name).to_owned(), nearest(name, found)?.to_owned()))).collect();
        Err(TableError::MissingColumns {
            file: file.to_owned(),
            missing: missing.into_iter().map(str::to_owned).collect(),
            found: found.to_vec(),
            suggestions,
        })
    }

    fn csv<R: Row>(&mut self, file: &Path, opened: File, take: Take<'_, R>) -> Result<(), TableError> {
        let io = |source| TableError::Io { file: file.to_owned(), source };
        let mut records = Records::new(opened).map_err(io)?;
        let mut record = Record::default();
        let found: Vec<String> = match records.next(&mut record).map_err(io)? {
            Next::Record(_) => record.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect(),
            Next::TooLong(_) | Next::OpenQuote(_) => {
                return Err(TableError::Header { file: file.to_owned() });
            }
            Next::End => Vec::new(),
        };
        let columns = self.columns::<R>(file, &found)?;
        let simulated = found.iter().position(|name| name == SIMULATED);
        loop {
            let line = match records.next(&mut record).map_err(io)? {
                Next::End => return Ok(()),
                Next::TooLong(line) => {
                    let found = format!("a line of more than {MAX_RECORD_BYTES} bytes");
                    self.fault(R::TABLE, line, true, Wrong::new("", "line too long", found, "a record"));
                    continue;
                }
                Next::OpenQuote(line) => {
                    let wrong = Wrong::new("", "quote never closed", "an opening quote", "a closing one");
                    self.fault(R::TABLE, line, true, wrong);
                    continue;
                }
                Next::Record(line) if record.len() != found.len() => {
                    let expected = format!("{} as in the header", found.len());
                    let wrong = Wrong::new("", "number of fields", record.len().to_string(), expected);
                    self.fault(R::TABLE, line, true, wrong);
                    continue;
                }
                Next::Record(line) => line,
            };
            if let Some(said) = simulated.and_then(|at| record.get(at)).filter(|said| !said.is_empty()) {
                self.simulated.get_or_insert_with(|| String::from_utf8_lossy(said).into_owned());
            }
            let text = |at: usize| std::str::from_utf8(record.get(at).unwrap_or_default());
            let row = self.row(line, |column| {
                let parts: Result<Vec<&str>, _> = columns[column].iter().map(|at| text(*at)).collect();
                match parts.as_deref() {
                    Err(_) => Cell::NotUtf8,
                    Ok([one]) => Cell::Text(Cow::Borrowed(*one)),
                    Ok(parts) => Cell::Text(Cow::Owned(parts.concat())),
                }
            });
            if let Some(row) = row {
                take(&mut self.counts, line, row)?;
            }
        }
    }

    fn parquet<R: Row>(&mut self, file: &Path, opened: File, take: Take<'_, R>) -> Result<(), TableError> {
        let parquet = |err: &dyn std::fmt::Display| TableError::Parquet {
            file: file.to_owned(),
            what: err.to_string().lines().next().unwrap_or_default().to_owned(),
        };
        let builder = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|err| parquet(&err))?;
        let found: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        let columns = self.columns::<R>(file, &found)?;
        let metadata = builder.metadata().file_metadata().key_value_metadata();
        for entry in metadata.into_iter().flatten().filter(|entry| entry.key == SIMULATED) {
            self.simulated = self.simulated.take().or_else(|| entry.value.clone());
        }
        let wanted: BTreeSet<usize> = columns.iter().flatten().copied().collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.iter().copied());
        let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(|err| parquet(&err))?;

        let mut before: u64 = 0;
        for batch in batches {
            let batch = batch.map_err(|err| parquet(&err))?;
            let mut cells: Vec<Vec<Cells>> = Vec::new();
            for (column, held) in R::COLUMNS.iter().zip(&columns) {
                let held = held.iter().map(|at| {
                    let array = batch.column(wanted.iter().position(|kept| kept == at).unwrap_or_default());
                    Cells::of(array, if held.len() == 1 { column.kind } else { Type::Text }).map_err(|err| {
                        let what = format!("column {}: {err}, expected {}", found[*at], column.expected());
                        parquet(&what)
                    })
                });
                cells.push(held.collect::<Result<_, _>>()?);
            }
            for i in 0..batch.num_rows() {
                let row = before + i as u64 + 1;
                let values = self.row(row, |column| match cells[column].as_slice() {
                    [] => Cell::Value(Value::Absent),
                    [one] => one.at(i),
                    parts => Cell::Text(Cow::Owned(parts.iter().map(|part| part.text(i)).collect())),
                });
                if let Some(values) = values {
                    take(&mut self.counts, row, values)?;
                }
            }
            before += batch.num_rows() as u64;
        }
        Ok(())
    }

    /// One row, or nothing if a value it cannot do without is wrong.
    fn row<'c, R: Row>(&mut self, row: u64, cell: impl Fn(usize) -> Cell<'c>) -> Option<R> {
        let mut values = R::default();
        for (i, column) in R::COLUMNS.iter().enumerate() {
            let value = parse(column, cell(i), self.options.affine.is_some());
            let wrong = match value {
                Ok(Value::Absent) if column.need != Need::Value => continue,
                Ok(Value::Absent) => Wrong::new(column.name, "missing", "nothing", column.expected()),
                Ok(value) => {
                    let found = matches!(column.limits, Limits::OneOf(_)).then(|| said(&value));
                    if (column.set)(&mut values, value) {
                        continue;
                    }
                    Wrong::new(column.name, "unknown word", found.unwrap_or_default(), column.expected())
                }
                Err(wrong) => wrong,
            };
            let row_lost = column.need == Need::Value;
            self.fault(R::TABLE, row, row_lost, wrong);
            if row_lost {
                return None;
            }
        }
        if let Some(affine) = self.options.affine {
            match place::<R>(affine, &mut values) {
                Ok(moved) => self.counts.moved += usize::from(moved),
                Err(wrong) => {
                    self.fault(R::TABLE, row, true, wrong);
                    return None;
                }
            }
        }
        Some(values)
    }
}

/// The rows of a Parquet file, by its own word.
pub(super) fn parquet_rows(file: &Path, opened: File) -> Result<u64, TableError> {
    let wrong =
        |err: parquet::errors::ParquetError| TableError::Parquet { file: file.to_owned(), what: err.to_string() };
    let builder = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(wrong)?;
    Ok(u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0))
}

/// Brings a row's coordinates to Earth, if it has any.
fn place<R: Row>(affine: Affine, values: &mut R) -> Result<bool, Wrong> {
    let column = |name: &str| R::COLUMNS.iter().find(|column| column.name == name);
    let (Some(north), Some(east)) = (column("latitude"), column("longitude")) else {
        return Ok(false);
    };
    let (Value::Real(y), Value::Real(x)) = ((north.get)(values), (east.get)(values)) else {
        return Ok(false);
    };
    let (latitude, longitude) = affine.apply(x, y);
    for (column, value) in [(north, latitude), (east, longitude)] {
        let value = Value::Real(value);
        if !column.allows(&value) {
            let found = format!("{} after --affine", said(&value));
            return Err(Wrong::new(column.name, "out of range", found, column.expected()));
        }
        (column.set)(values, value);
    }
    Ok(true)
}

/// Brings a cell to its column's type and limits.
fn parse<'c, R>(column: &Column<R>, cell: Cell<'c>, elsewhere: bool) -> Result<Value<'c>, Wrong> {
    let wrong = |kind, found: String| Err(Wrong::new(column.name, kind, found, column.expected()));
    let value = match cell {
        Cell::NotUtf8 => return wrong("not UTF-8", "bytes that are not UTF-8".to_owned()),
        Cell::Text(text) if text.trim().is_empty() => Value::Absent,
        Cell::Text(text) if text.len() > MAX_RECORD_BYTES => {
            return wrong("too long", format!("{} bytes", text.len()));
        }
        Cell::Text(text) if column.kind == Type::Text => Value::Text(match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        }),
        Cell::Text(text) => match read_text(column.kind, text.trim()) {
            Some(value) => value,
            None => return wrong("unreadable", shown(text.trim())),
        },
        Cell::Value(value) => value,
    };
    // Coordinates that are no degrees yet are checked when they are.
    let is_later = elsewhere && matches!(column.name, "latitude" | "longitude");
    let is_allowed = if is_later { matches!(value, Value::Real(v) if v.is_finite()) } else { column.allows(&value) };
    if !is_allowed && value != Value::Absent {
        return wrong("out of range", said(&value));
    }
    Ok(match value {
        Value::Text(code) if matches!(column.limits, Limits::Country) => {
            Value::Text(Cow::Owned(code.to_ascii_uppercase()))
        }
        value => value,
    })
}

fn said(value: &Value<'_>) -> String {
    match value {
        Value::Absent => "nothing".to_owned(),
        Value::Text(text) => shown(text),
        Value::Real(v) => v.to_string(),
        Value::Single(v) => v.to_string(),
        Value::Count(v) => v.to_string(),
        Value::Flag(v) => v.to_string(),
        Value::Time(v) => time(*v),
        Value::Labels(labels) => shown(&labels.join(";")),
    }
}

/// A value of any type but text, as it is written in a CSV file.
fn read_text(kind: Type, text: &str) -> Option<Value<'static>> {
    match kind {
        Type::Text => None,
        Type::Real => text.parse().ok().map(Value::Real),
        Type::Single => text.parse().ok().map(Value::Single),
        // Programs that keep gaps in a column of whole numbers write them as reals.
        Type::Count => text.strip_suffix(".0").unwrap_or(text).parse().ok().map(Value::Count),
        Type::Flag => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Some(Value::Flag(true)),
            "false" | "no" | "0" => Some(Value::Flag(false)),
            _ => None,
        },
        Type::Time => text.parse().ok().map(|time: jiff::Timestamp| Value::Time(time.as_second())),
        Type::Labels => Some(Value::Labels(distinct(labels(text)))),
    }
}

fn distinct(labels: impl Iterator<Item = String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for label in labels {
        if !out.contains(&label) {
            out.push(label);
        }
    }
    out
}

/// One column of a batch of a Parquet file: in the type we write, else as text.
enum Cells {
    Array(Type, ArrayRef),
    Text(StringArray),
}

impl Cells {
    fn of(array: &ArrayRef, kind: Type) -> Result<Self, String> {
        let found = || format!("found {}", array.data_type());
        let to = |data_type: DataType| cast(array, &data_type).map_err(|_| found());
        match (kind, array.data_type()) {
            (Type::Real, DataType::Float64)
            | (Type::Single, DataType::Float32)
            | (Type::Count, DataType::UInt32)
            | (Type::Flag, DataType::Boolean) => Ok(Self::Array(kind, array.clone())),
            (Type::Time, DataType::Timestamp(..)) => {
                Ok(Self::Array(kind, to(DataType::Timestamp(TimeUnit::Second, None))?))
            }
            // A number is no moment: its unit and its epoch are anyone's guess.
            (Type::Time, other) if other.is_numeric() => Err(found()),
            (Type::Labels, DataType::List(_) | DataType::LargeList(_)) => {
                Ok(Self::Array(kind, to(DataType::new_list(DataType::Utf8, true))?))
            }
            _ => Ok(Self::Text(to(DataType::Utf8)?.as_string::<i32>().clone())),
        }
    }

    fn at(&self, row: usize) -> Cell<'_> {
        let (kind, array) = match self {
            Self::Text(texts) if texts.is_null(row) => return Cell::Value(Value::Absent),
            Self::Text(texts) => return Cell::Text(Cow::Borrowed(texts.value(row))),
            Self::Array(_, array) if array.is_null(row) => return Cell::Value(Value::Absent),
            Self::Array(kind, array) => (*kind, array),
        };
        Cell::Value(match kind {
            Type::Real => Value::Real(array.as_primitive::<Float64Type>().value(row)),
            Type::Single => Value::Single(array.as_primitive::<Float32Type>().value(row)),
            Type::Count => Value::Count(array.as_primitive::<UInt32Type>().value(row)),
            Type::Flag => Value::Flag(array.as_boolean().value(row)),
            Type::Time => Value::Time(array.as_primitive::<TimestampSecondType>().value(row)),
            Type::Labels => {
                let list = array.as_list::<i32>().value(row);
                let texts = list.as_string::<i32>().iter().flatten();
                Value::Labels(distinct(texts.flat_map(|text| labels(text).collect::<Vec<_>>())))
            }
            Type::Text => Value::Absent,
        })
    }

    fn text(&self, row: usize) -> &str {
        match self {
            Self::Text(texts) if !texts.is_null(row) => texts.value(row),
            _ => "",
        }
    }
}

/// The column that was probably meant: what differs least once case and punctuation are gone.
pub(super) fn nearest<'f>(name: &str, found: &'f [String]) -> Option<&'f str> {
    let plain =
        |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect() };
    let wanted = plain(name);
    let similar = |candidate: &&String| {
        let candidate = plain(candidate);
        let contained = candidate.len() >= 3 && (wanted.contains(&candidate) || candidate.contains(&wanted));
        let distance = edits(&wanted, &candidate);
        (contained || distance * 3 <= wanted.len()).then_some(distance)
    };
    let ranked = found.iter().filter_map(|column| Some((similar(&column)?, column)));
    ranked.min_by_key(|(distance, _)| *distance).map(|(_, column)| column.as_str())
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
