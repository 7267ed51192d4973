//! Tables too large for memory, split by reader into files on disk.
//!
//! Merchants and offers are few, and stay in memory. The rows of a reader all go into one partition, chosen by a hash
//! of the reader's id, in the order of the files they came from; a partition loaded again is a [`Tables`] of its
//! readers, sorted and checked as [`read()`](super::read()) does it. So whatever is worked out reader by reader does not depend on
//! the number of partitions.
//!
//! A table that was split has a marker beside it, written last: after an interruption it is not split again. A file
//! is rows and a trailer (length, CRC-32, magic), so that half a file is never taken for a whole one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crc32fast::Hasher;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::column::{Column, Row, Type, Value};
use super::read::{self, Counts, Files, Known, ReadOptions, Source, Spots};
use super::runs::{Merge, Run, Writing};
use super::{Event, Merchant, Offer, Order, Place, Reader, Report, TableError, Tables};

/// Rows of a partition, about; two of them in memory take a few hundred megabytes.
const PART_ROWS: u64 = 250_000;
/// The most partitions there are, each with an open file and a buffer while a table is split.
pub const MAX_PARTS: usize = 512;
/// Bytes of a partition that wait before they are written.
const BUFFER_BYTES: usize = 1 << 17;
/// Bytes of a row in a CSV file, for guessing how many there are.
const CSV_ROW_BYTES: u64 = 64;
/// Rows between two calls of the progress.
const PROGRESS_ROWS: u64 = 1 << 16;
/// Ends every file here.
const MAGIC: u32 = u32::from_le_bytes(*b"frs1");
/// Bytes of length, CRC-32 and magic.
const TRAILER_BYTES: usize = 16;

/// The tables whose rows belong to readers.
const SPLIT: [&str; 4] = [Reader::TABLE, Place::TABLE, Order::TABLE, Event::TABLE];

/// Is told the rows done and their likely sum; false stops after what is under way.
pub type Progress<'p> = &'p (dyn Fn(u64, u64) -> bool + Sync);

/// Tables that were split.
#[derive(Debug)]
pub struct Split {
    /// Merchants and offers, and whether all of it is simulated; no row of a reader.
    pub shared: Tables,
    /// What reading them and splitting the others came to.
    pub counts: Counts,
    /// Rows of all tables, those that were left out among them.
    pub rows: u64,
    /// How many partitions there are.
    pub n_parts: usize,
    /// Bytes of all partitions.
    pub bytes: u64,
    dir: PathBuf,
    /// As the tables' files are called in messages.
    names: BTreeMap<&'static str, String>,
    options: ReadOptions,
}

/// What a table's marker says.
#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    n_parts: usize,
    rows: u64,
    bytes: u64,
    simulated: Option<String>,
    mapped: Vec<String>,
    counts: Counts,
}

/// How many partitions these tables need, by their rows; a CSV file's are guessed from its size.
///
/// # Errors
/// No merchants, or a file that is not readable.
pub fn parts_of(path: &Path) -> Result<usize, TableError> {
    let rows = rows_of(&Files::of(path)?)?;
    Ok(usize::try_from(rows.div_ceil(PART_ROWS)).unwrap_or(MAX_PARTS).clamp(1, MAX_PARTS))
}

fn rows_of(files: &Files) -> Result<u64, TableError> {
    let mut rows = 0;
    for file in SPLIT.iter().filter_map(|table| files.by_table.get(table)) {
        let io = |source| TableError::Io { file: file.clone(), source };
        let opened = File::open(file).map_err(io)?;
        rows += if file.extension().is_some_and(|ending| ending == "parquet") {
            read::parquet_rows(file, opened)?
        } else {
            opened.metadata().map_err(io)?.len() / CSV_ROW_BYTES
        };
    }
    Ok(rows)
}

/// Splits the tables of a directory into `n_parts` partitions under `dir`; tables that have a marker there are not
/// split again. `None` where `progress` asked to stop.
///
/// # Errors
/// As [`read()`](super::read()), except that too many lost rows are only known when all partitions were loaded; and a
/// directory that is not writable.
pub fn split(
    path: &Path,
    options: &ReadOptions,
    dir: &Path,
    n_parts: usize,
    progress: Progress<'_>,
) -> Result<Option<Split>, TableError> {
    fs::create_dir_all(dir).map_err(|source| TableError::Io { file: dir.to_owned(), source })?;
    let n_parts = n_parts.clamp(1, MAX_PARTS);
    let files = Files::of(path)?;
    let total = rows_of(&files)?;
    let names = SPLIT.map(|table| (table, files.name(table)));
    let mut from = Source::new(files, options);
    let merchants = from.merchants()?;
    let known = Known::of(merchants.iter().map(|(_, row)| row));
    let mut of = Splitting { dir, n_parts, total, progress, rows: 0, bytes: 0, counts: Counts::default() };
    let is_done = of.table::<Reader>(&mut from, |_| Ok(()), |row| &row.user_id)?
        && of.table::<Place>(&mut from, |_| Ok(()), |row| &row.user_id)?
        && of.table::<Order>(&mut from, |row| known.check(&row.merchant_id), |row| &row.user_id)?;
    if !is_done {
        return Ok(None);
    }
    let offers = from.offers(&known)?;
    let is_known = |row: &Event| row.merchant_id.as_deref().map_or(Ok(()), |id| known.check(id));
    if !of.table::<Event>(&mut from, is_known, |row| &row.user_id)? {
        return Ok(None);
    }
    from.all_mapped()?;
    let shared = Tables {
        merchants: merchants.into_iter().map(|(_, row)| row).collect::<Vec<Merchant>>(),
        offers: offers.into_iter().map(|(_, row)| row).collect::<Vec<Offer>>(),
        simulated: from.simulated.take(),
        ..Tables::default()
    };
    let mut counts = std::mem::take(&mut from.counts);
    counts.merge(&of.counts);
    counts.add(&shared);
    let rows = of.rows + shared.merchants.len() as u64 + shared.offers.len() as u64;
    Ok(Some(Split {
        shared,
        counts,
        rows,
        n_parts,
        bytes: of.bytes,
        dir: dir.to_owned(),
        names: names.into(),
        options: options.clone(),
    }))
}

struct Splitting<'s> {
    dir: &'s Path,
    n_parts: usize,
    total: u64,
    progress: Progress<'s>,
    rows: u64,
    bytes: u64,
    counts: Counts,
}

impl Splitting<'_> {
    /// Splits one table, unless its marker is there; false where it was asked to stop.
    fn table<R: Row>(
        &mut self,
        from: &mut Source<'_>,
        check: impl Fn(&R) -> Result<(), read::Wrong>,
        reader: fn(&R) -> &str,
    ) -> Result<bool, TableError> {
        let path = self.dir.join(format!("{}.done", R::TABLE));
        if let Some(marker) = read_marker(&path).filter(|marker| marker.n_parts == self.n_parts) {
            from.simulated = from.simulated.take().or(marker.simulated);
            from.mapped.extend(marker.mapped);
            self.counts.merge(&marker.counts);
            self.rows += marker.rows;
            self.bytes += marker.bytes;
            return Ok((self.progress)(self.rows, self.total));
        }
        let before = (from.simulated.take(), std::mem::take(&mut from.mapped), std::mem::take(&mut from.counts));
        let mut parts = (0..self.n_parts)
            .map(|part| Sealing::new(self.dir.join(part_name(R::TABLE, part))))
            .collect::<Result<Vec<_>, _>>()?;
        let file = from.files.name(R::TABLE);
        let (mut rows, mut stopped) = (0_u64, false);
        let (done, total, progress) = (self.rows, self.total, self.progress);
        let read = from.each::<R>(&mut |counts, row, values| {
            rows += 1;
            if rows.is_multiple_of(PROGRESS_ROWS) && !progress(done + rows, total) {
                stopped = true;
                return Err(TableError::Stopped);
            }
            match check(&values) {
                Ok(()) => {
                    let part = part_of(reader(&values), parts.len());
                    encode(row, &values, &mut parts[part].waiting);
                    parts[part].flush_full()
                }
                Err(wrong) => {
                    counts.fault(&file, R::TABLE, row, true, wrong);
                    Ok(())
                }
            }
        });
        if stopped {
            return Ok(false);
        }
        read?;
        let mut bytes = 0;
        for part in parts {
            bytes += part.seal()?;
        }
        let marker = Marker {
            n_parts: self.n_parts,
            rows,
            bytes,
            simulated: from.simulated.clone(),
            mapped: from.mapped.iter().cloned().collect(),
            counts: from.counts.clone(),
        };
        let text = serde_json::to_vec(&marker)
            .map_err(|err| TableError::Io { file: path.clone(), source: std::io::Error::other(err) })?;
        write_sealed(&path, &text)?;
        let (simulated, mapped, counts) = before;
        from.simulated = simulated.or(from.simulated.take());
        from.mapped.extend(mapped);
        let of_table = std::mem::replace(&mut from.counts, counts);
        self.counts.merge(&of_table);
        self.rows += rows;
        self.bytes += bytes;
        Ok((self.progress)(self.rows, self.total))
    }
}

/// Works on all partitions, on all cores; false where `told`, which gets the number of those that are done, asked to stop.
pub(crate) fn each_part<E: Send>(
    n_parts: usize,
    told: &(dyn Fn(u64) -> bool + Sync),
    work: &(dyn Fn(usize) -> Result<(), E> + Sync),
) -> Result<bool, E> {
    let (done, stopped) = (AtomicU64::new(0), AtomicBool::new(!told(0)));
    let next = AtomicU64::new(0);
    // One partition after the other from one counter: never more are in memory than there are threads.
    let worker = |_: usize| -> Result<(), E> {
        while !stopped.load(Ordering::Relaxed) {
            let part = next.fetch_add(1, Ordering::Relaxed) as usize;
            if part >= n_parts {
                break;
            }
            work(part)?;
            let n_done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if !told(n_done) {
                stopped.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    };
    (0..rayon::current_num_threads()).into_par_iter().with_max_len(1).try_for_each(worker)?;
    Ok(!stopped.into_inner())
}

/// Of which reader, and what.
pub type Said = (String, Vec<u8>);

/// What was said of all readers, see [`Split::by_reader`].
#[derive(Debug)]
pub struct ByReader {
    runs: Vec<Run>,
}

fn run(mut said: Vec<Said>, path: Option<PathBuf>) -> Result<Run, TableError> {
    said.sort();
    let mut writing = Writing::new(path)?;
    for (user_id, bytes) in said {
        writing.put(user_id.as_bytes(), &bytes)?;
    }
    writing.end()
}

impl ByReader {
    /// The same of readers that are in memory.
    ///
    /// # Errors
    /// None where there is memory.
    pub fn of(said: Vec<Said>) -> Result<Self, TableError> {
        Ok(Self { runs: vec![run(said, None)?] })
    }

    /// All of it, ascending by reader.
    ///
    /// # Errors
    /// A file that is not as it was written.
    pub fn iter(&self) -> Result<impl Iterator<Item = Result<Said, TableError>> + '_, TableError> {
        let text = |(user_id, bytes): (Vec<u8>, Vec<u8>)| (String::from_utf8_lossy(&user_id).into_owned(), bytes);
        Ok(Merge::new(&self.runs)?.map(move |record| record.map(text)))
    }
}

impl Split {
    /// What came of reading, once all partitions were loaded; `loaded` is the sum of what loading them came to.
    ///
    /// # Errors
    /// More rows were lost than the options accept.
    pub fn report(&self, loaded: &Counts) -> Result<Report, TableError> {
        let mut counts = self.counts.clone();
        counts.merge(loaded);
        counts.report(&self.options)
    }

    /// Hands every partition to `work`, on all cores and in no order, and gives what came of reading; `told` gets how many are done,
    /// of how many.
    ///
    /// # Errors
    /// A file that is not as it was written, more lost rows than the options accept, or what `work` says.
    pub fn each<E: From<TableError> + Send>(
        &self,
        told: &(dyn Fn(usize, usize) + Sync),
        work: &(dyn Fn(Tables) -> Result<(), E> + Sync),
    ) -> Result<Report, E> {
        let loaded = Mutex::new(Counts::default());
        let of_part = |part: usize| -> Result<(), E> {
            let (tables, counts) = self.load(part)?;
            loaded.lock().unwrap_or_else(PoisonError::into_inner).merge(&counts);
            work(tables)
        };
        let told = |done: u64| {
            told(done as usize, self.n_parts);
            true
        };
        each_part(self.n_parts, &told, &of_part)?;
        Ok(self.report(&loaded.into_inner().unwrap_or_else(PoisonError::into_inner))?)
    }

    /// What `work` has to say of the readers of each partition, to be read ascending by reader: on disk until then.
    ///
    /// # Errors
    /// As [`Split::each`]; a directory that is not writable.
    pub fn by_reader(
        &self,
        told: &(dyn Fn(usize, usize) + Sync),
        work: &(dyn Fn(&Tables) -> Vec<Said> + Sync),
    ) -> Result<ByReader, TableError> {
        let runs = Mutex::new(Vec::with_capacity(self.n_parts));
        let next = AtomicU64::new(0);
        let of_part = |tables: Tables| -> Result<(), TableError> {
            let path = self.dir.join(format!("said-{}", next.fetch_add(1, Ordering::Relaxed)));
            let run = run(work(&tables), Some(path))?;
            runs.lock().unwrap_or_else(PoisonError::into_inner).push(run);
            Ok(())
        };
        self.each(told, &of_part)?;
        Ok(ByReader { runs: runs.into_inner().unwrap_or_else(PoisonError::into_inner) })
    }

    /// One partition's readers, as [`read()`](super::read()) would have them, and what loading came to; no merchant is among them.
    ///
    /// # Errors
    /// A file that is not as it was written.
    pub fn load(&self, part: usize) -> Result<(Tables, Counts), TableError> {
        let mut counts = Counts::default();
        let name = |table: &str| self.names.get(table).map_or("", String::as_str);
        let readers = self.rows::<Reader>(part)?;
        let readers = read::unique(readers, |row| row.user_id.clone(), "user_id", name(Reader::TABLE), &mut counts);
        let places = self.rows::<Place>(part)?;
        let id = |row: &Place| (row.user_id.clone(), row.place_id.clone());
        let places = read::unique(places, id, "place_id", name(Place::TABLE), &mut counts);
        let mut orders = self.rows::<Order>(part)?;
        let spots = Spots::of(&places);
        orders.retain_mut(|(row, order)| match spots.place(order) {
            Ok(()) => true,
            Err(wrong) => {
                counts.fault(name(Order::TABLE), Order::TABLE, *row, true, wrong);
                false
            }
        });
        let mut events = self.rows::<Event>(part)?;
        for (row, event) in &mut events {
            if let Err(wrong) = read::whole_place(event) {
                counts.fault(name(Event::TABLE), Event::TABLE, *row, false, wrong);
            }
        }
        let mut tables = Tables {
            readers: bare(readers),
            places: bare(places),
            orders: bare(orders),
            events: bare(events),
            simulated: self.shared.simulated.clone(),
            ..Tables::default()
        };
        counts.add_readers(read::add_readers(&mut tables));
        read::sort(&mut tables);
        counts.add(&tables);
        Ok((tables, counts))
    }

    fn rows<R: Row>(&self, part: usize) -> Result<Vec<(u64, R)>, TableError> {
        let path = self.dir.join(part_name(R::TABLE, part));
        let damaged = || TableError::Damaged { file: path.clone() };
        let bytes = read_sealed(&path)?.ok_or_else(damaged)?;
        let mut rest = bytes.as_slice();
        let mut rows = Vec::new();
        while !rest.is_empty() {
            rows.push(decode(&mut rest).ok_or_else(damaged)?);
        }
        Ok(rows)
    }
}

fn bare<R>(rows: Vec<(u64, R)>) -> Vec<R> {
    rows.into_iter().map(|(_, row)| row).collect()
}

fn part_name(table: &str, part: usize) -> String {
    format!("{table}.{part:04}")
}

/// FNV-1a, mixed once more: its low bits alone follow the last letter.
fn part_of(reader: &str, n_parts: usize) -> usize {
    let hash = reader
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    ((hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32) as usize % n_parts
}

/// The row's number, which columns it has, and their values.
pub(crate) fn encode<R: Row>(row: u64, values: &R, to: &mut Vec<u8>) {
    varint(row, to);
    let mask_at = to.len();
    to.extend([0; 4]);
    let mut mask = 0_u32;
    for (i, column) in R::COLUMNS.iter().enumerate() {
        match (column.get)(values) {
            Value::Absent => continue,
            Value::Text(value) => text(&value, to),
            Value::Real(value) => to.extend(value.to_le_bytes()),
            Value::Single(value) => to.extend(value.to_le_bytes()),
            Value::Count(value) => varint(value.into(), to),
            Value::Flag(value) => to.push(value.into()),
            Value::Time(value) => to.extend(value.to_le_bytes()),
            Value::Labels(labels) => {
                varint(labels.len() as u64, to);
                labels.iter().for_each(|label| text(label, to));
            }
        }
        mask |= 1 << i;
    }
    to[mask_at..mask_at + 4].copy_from_slice(&mask.to_le_bytes());
}

pub(crate) fn decode<R: Row>(from: &mut &[u8]) -> Option<(u64, R)> {
    let row = take_varint(from)?;
    let mask = u32::from_le_bytes(take(from)?);
    let mut values = R::default();
    for (i, column) in R::COLUMNS.iter().enumerate() {
        if mask >> i & 1 == 1 && !(column.set)(&mut values, take_value(column, from)?) {
            return None;
        }
    }
    Some((row, values))
}

fn take_value<'b, R>(column: &Column<R>, from: &mut &'b [u8]) -> Option<Value<'b>> {
    Some(match column.kind {
        Type::Text => Value::Text(take_text(from)?.into()),
        Type::Real => Value::Real(f64::from_le_bytes(take(from)?)),
        Type::Single => Value::Single(f32::from_le_bytes(take(from)?)),
        Type::Count => Value::Count(u32::try_from(take_varint(from)?).ok()?),
        Type::Flag => Value::Flag(take::<1>(from)? != [0]),
        Type::Time => Value::Time(i64::from_le_bytes(take(from)?)),
        Type::Labels => {
            let n = take_varint(from)?;
            let mut labels = Vec::new();
            for _ in 0..n {
                labels.push(take_text(from)?.to_owned());
            }
            Value::Labels(labels)
        }
    })
}

pub(crate) fn text(value: &str, to: &mut Vec<u8>) {
    varint(value.len() as u64, to);
    to.extend(value.as_bytes());
}

pub(crate) fn take_text<'b>(from: &mut &'b [u8]) -> Option<&'b str> {
    let length = usize::try_from(take_varint(from)?).ok()?;
    let (text, rest) = from.split_at_checked(length)?;
    *from = rest;
    std::str::from_utf8(text).ok()
}

pub(crate) fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*bytes)
}

/// Seven bits a byte, the lowest first; all but the last have the highest bit set.
pub(crate) fn varint(mut value: u64, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

pub(crate) fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = take::<1>(from)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// A file on its way; without its trailer it counts as not written.
pub(crate) struct Sealing {
    path: PathBuf,
    file: File,
    crc: Hasher,
    bytes: u64,
    /// What goes into the file next.
    pub(crate) waiting: Vec<u8>,
}

impl Sealing {
    pub(crate) fn new(path: PathBuf) -> Result<Self, TableError> {
        let file = File::create(draft(&path)).map_err(|source| TableError::Io { file: path.clone(), source })?;
        Ok(Self { path, file, crc: Hasher::new(), bytes: 0, waiting: Vec::new() })
    }

    /// Writes what is waiting once it is much.
    pub(crate) fn flush_full(&mut self) -> Result<(), TableError> {
        if self.waiting.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), TableError> {
        self.crc.update(&self.waiting);
        self.bytes += self.waiting.len() as u64;
        self.file.write_all(&self.waiting).map_err(|source| TableError::Io { file: self.path.clone(), source })?;
        self.waiting.clear();
        Ok(())
    }

    /// Ends the file, gives it its name, and tells its bytes without the trailer.
    pub(crate) fn seal(mut self) -> Result<u64, TableError> {
        self.flush()?;
        let mut trailer = Vec::with_capacity(TRAILER_BYTES);
        trailer.extend(self.bytes.to_le_bytes());
        trailer.extend(self.crc.finalize().to_le_bytes());
        trailer.extend(MAGIC.to_le_bytes());
        let sealed = self.file.write_all(&trailer).and_then(|()| fs::rename(draft(&self.path), &self.path));
        sealed.map_err(|source| TableError::Io { file: self.path.clone(), source })?;
        Ok(self.bytes)
    }
}

fn draft(path: &Path) -> PathBuf {
    path.with_extension(format!("{}.part", path.extension().and_then(|ending| ending.to_str()).unwrap_or_default()))
}

/// Writes a whole file with its trailer.
pub(crate) fn write_sealed(path: &Path, bytes: &[u8]) -> Result<(), TableError> {
    let mut sealing = Sealing::new(path.to_owned())?;
    sealing.waiting.extend(bytes);
    sealing.seal().map(drop)
}

/// What was sealed; `None` where there is no such file, or not all of it.
pub(crate) fn read_sealed(path: &Path) -> Result<Option<Vec<u8>>, TableError> {
    let io = |source| TableError::Io { file: path.to_owned(), source };
    if !path.is_file() {
        return Ok(None);
    }
    let mut bytes = fs::read(path).map_err(io)?;
    let Some((length, crc)) = trailer(&bytes) else {
        return Ok(None);
    };
    bytes.truncate(bytes.len() - TRAILER_BYTES);
    let is_whole = length == bytes.len() as u64 && crc32fast::hash(&bytes) == crc;
    Ok(is_whole.then_some(bytes))
}

/// As [`read_sealed`] for reading on and on: the file behind its checked trailer's length, the bytes themselves
/// unchecked.
pub(crate) fn open_sealed(path: &Path, buffer_bytes: usize) -> Result<Option<impl Read + use<>>, TableError> {
    let io = |source| TableError::Io { file: path.to_owned(), source };
    if !path.is_file() {
        return Ok(None);
    }
    let mut file = File::open(path).map_err(io)?;
    let whole = file.metadata().map_err(io)?.len();
    let Some(body) = whole.checked_sub(TRAILER_BYTES as u64) else {
        return Ok(None);
    };
    let mut end = [0; TRAILER_BYTES];
    let read = std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(body)).and_then(|_| file.read_exact(&mut end));
    read.and_then(|()| std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(0))).map_err(io)?;
    let is_whole = trailer(&end).is_some_and(|(length, _)| length == body);
    Ok(is_whole.then(|| BufReader::with_capacity(buffer_bytes, file.take(body))))
}

/// Whether a file is there and ends as a whole one does.
pub(crate) fn is_sealed(path: &Path) -> Result<bool, TableError> {
    Ok(open_sealed(path, 0)?.is_some())
}

fn trailer(bytes: &[u8]) -> Option<(u64, u32)> {
    let mut end = bytes.get(bytes.len().checked_sub(TRAILER_BYTES)?..)?;
    let (length, crc) = (u64::from_le_bytes(take(&mut end)?), u32::from_le_bytes(take(&mut end)?));
    (u32::from_le_bytes(take(&mut end)?) == MAGIC).then_some((length, crc))
}

fn read_marker(path: &Path) -> Option<Marker> {
    let bytes = read_sealed(path).ok()??;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests;
