//! The whole build, partition by partition: from tables of any size to area bundles and profiles.
//!
//! Merchants are few and known to every partition; readers are independent given merchants. So there are two passes
//! over the partitions on disk, and nothing holds all readers:
//!
//! ```text
//! tables -> split by reader -> count (popularity, what markets eat, new places) -> merged -> areas, market facts
//!                           -> profiles of a partition, given the market facts  -> merged by user_id
//! ```
//!
//! What partitions count are whole numbers, so that the sum has the same bits for any number of partitions, threads,
//! and order of rows; a partition needs only its own rows and what is broadcast, so that a cluster may run what one
//! machine runs here. Everything unfinished is in `.unfinished` beside the output, each step under its own name only
//! once it is whole: whoever builds again after an interruption, from the same tables and with the same options, goes
//! on there and gets the same bytes.

use crate::areas::{self, AreaError, BuildOptions, Catalog, Popularity};
use crate::cuisines::CuisineMap;
use crate::profiles::{self, DEVELOPMENT_SECRET, MarketPart, Press, ProfileOptions, by_reader};
use crate::tables::read::Counts;
use crate::tables::runs::{Merge, Run, Writing};
use crate::tables::spool::{self, Split, each_part, is_sealed, read_sealed, write_sealed};
use crate::tables::{ReadOptions, TableError, Timestamp};
use freshrank::bundle::Bundle;
use freshrank::wire::DecodeError;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use thiserror::Error;

/// Everything that is not finished, beside what is.
const UNFINISHED: &str = ".unfinished";
/// What was finished, on its way out.
const FINISHED: &str = ".finished";
/// Whoever changes what lies in [`UNFINISHED`] raises this.
const FORMAT: u32 = 1;

/// What to build.
#[derive(Debug, Clone)]
pub struct Job<'j> {
    /// A directory of tables.
    pub tables: &'j Path,
    /// How to read them.
    pub read: ReadOptions,
    /// Nothing later is seen.
    pub as_of: Timestamp,
    /// Which cuisines are alike.
    pub map: &'j CuisineMap,
    /// Of areas.
    pub areas: BuildOptions,
    /// Of profiles.
    pub profiles: ProfileOptions,
    /// Readers are HMAC(secret, `user_id`); none: only for simulated readers, with [`DEVELOPMENT_SECRET`].
    pub secret: Option<Vec<u8>>,
    /// Into how many partitions readers are split; none: as many as their rows need.
    pub partitions: Option<usize>,
    /// Where `areas/`, `profiles.ndjson` and `manifest.json` go.
    pub out: &'j Path,
}

/// What is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Rows are read and split.
    Split,
    /// Partitions are counted.
    Count,
    /// Profiles of partitions are made.
    Profiles,
}

/// Is told the stage, how much of it is done and of how much; false stops after what is under way.
pub type Progress<'p> = &'p (dyn Fn(Stage, u64, u64) -> bool + Sync);

/// Why nothing was built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The tables, or their partitions.
    #[error(transparent)]
    Tables(#[from] TableError),
    /// The areas.
    #[error(transparent)]
    Areas(#[from] AreaError),
    /// A market whose path is longer than a profile holds.
    #[error("profiles: {0}")]
    Profiles(DecodeError),
    /// Real readers, and nothing to hide them with.
    #[error("found no secret: readers are known by HMAC(secret, user_id) only")]
    NoSecret,
    /// The output.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What was built; `manifest.json` holds the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// RFC 3339.
    pub as_of: String,
    /// Said in every output when present.
    pub simulated: Option<String>,
    /// How many area bundles.
    pub areas: usize,
    /// Merchants in all bundles, each as often as it is in one.
    pub merchant_rows: u64,
    /// Bytes of all display blocks.
    pub display_bytes: u64,
    /// How many profiles.
    pub profiles: u64,
    /// Bytes of all profiles, before base64.
    pub profile_bytes: u64,
    /// At most 256.
    pub longest_profile_bytes: u64,
    /// The cuisine map's fingerprint, in hexadecimal digits.
    pub cuisine_map: String,
    /// [`areas::BuildReport`].
    pub report: Value,
    /// [`crate::tables::Report`].
    pub tables: Value,
}

/// What came of a build that was not stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// As in the file.
    pub manifest: Manifest,
    /// Rows of all tables that were taken.
    pub rows: u64,
    /// Partitions that readers were split into.
    pub partitions: usize,
    /// Steps that an earlier, interrupted build had done.
    pub resumed: usize,
}

/// What the first pass leaves for the second one and for the manifest.
#[derive(Debug, Serialize, Deserialize)]
struct Counted {
    market: MarketPart,
    cells: Vec<String>,
    merchant_rows: u64,
    display_bytes: u64,
    rows: u64,
    report: Value,
    tables: Value,
}

/// Builds areas and profiles; `None` where `progress` asked to stop, to go on with the next build.
///
/// # Errors
/// Tables that cannot be read, an area that the format cannot hold, or an output that cannot be written.
pub fn build(job: &Job<'_>, progress: Progress<'_>) -> Result<Option<Built>, BuildError> {
    let n_parts = match job.partitions {
        Some(n) => n.clamp(1, spool::MAX_PARTS),
        None => spool::parts_of(job.tables)?,
    };
    let work = job.out.join(UNFINISHED);
    let mut resumed = usize::from(begin(job, n_parts, &work)?);

    let told = |done, total| progress(Stage::Split, done, total);
    let Some(split) = spool::split(job.tables, &job.read, &work.join("parts"), n_parts, &told)? else {
        return Ok(None);
    };
    let catalog = Catalog::new(&split.shared, job.map, &job.areas);
    let press = Press::new(&split.shared, job.map, &catalog, &job.profiles);
    let path = work.join("counted");
    let counted = match read_sealed(&path)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        Some(counted) => {
            resumed += 1;
            counted
        }
        None => {
            let Some(counted) = count(job, &split, &catalog, &press, &work, progress)? else {
                return Ok(None);
            };
            write_sealed(&path, &json(&counted, &path)?)?;
            counted
        }
    };
    let secret = match &job.secret {
        Some(secret) => secret.as_slice(),
        None if split.shared.simulated.is_some() || counted.market == MarketPart::default() => DEVELOPMENT_SECRET,
        None => return Err(BuildError::NoSecret),
    };
    let Some(done) = make(job, &split, &press, &counted, secret, &work, progress)? else {
        return Ok(None);
    };
    resumed += done;

    let mut manifest = Manifest {
        as_of: freshrank::time::format(job.as_of),
        simulated: split.shared.simulated.clone(),
        areas: counted.cells.len(),
        merchant_rows: counted.merchant_rows,
        display_bytes: counted.display_bytes,
        profiles: 0,
        profile_bytes: 0,
        longest_profile_bytes: 0,
        cuisine_map: format!("{:016x}", job.map.fingerprint()),
        report: counted.report,
        tables: counted.tables,
    };
    merge(&work, n_parts, &mut manifest)?;
    finish(job.out, &work, &counted.cells, &manifest)?;
    Ok(Some(Built { manifest, rows: counted.rows, partitions: n_parts, resumed }))
}

/// Opens the work of an interrupted build of the same tables and options, else begins anew; true for the former.
fn begin(job: &Job<'_>, n_parts: usize, work: &Path) -> Result<bool, BuildError> {
    remove(&job.out.join(FINISHED))?;
    let key = key(job, n_parts)?;
    let path = work.join("key");
    if read_sealed(&path)?.is_some_and(|found| found == key) {
        return Ok(true);
    }
    remove(work)?;
    for folder in [work, &work.join("parts"), &work.join("profiles")] {
        fs::create_dir_all(folder).map_err(|source| io_error(folder, source))?;
    }
    write_sealed(&path, &key)?;
    Ok(false)
}

/// What an interrupted build must have in common with this one; tables by their files' sizes and times.
fn key(job: &Job<'_>, n_parts: usize) -> Result<Vec<u8>, BuildError> {
    let mut hash = Sha256::new();
    let mut add = |text: String| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    add(format!("{FORMAT} {} {n_parts} {}", env!("CARGO_PKG_VERSION"), job.as_of));
    add(format!("{:?} {:?} {:?}", job.read, job.areas, job.profiles));
    add(format!("{:016x}", job.map.fingerprint()));
    add(format!("{:?}", job.secret.as_deref().map(Sha256::digest)));
    // Another program may count otherwise.
    let mut files: Vec<PathBuf> = std::env::current_exe().into_iter().collect();
    let listed = fs::read_dir(job.tables).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
    let mut tables: Vec<PathBuf> = listed.unwrap_or_else(|_| vec![job.tables.to_owned()]);
    tables.sort();
    let is_table = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "parquet" || ending == "csv");
    files.extend(tables.into_iter().filter(is_table));
    for file in files {
        let known = fs::metadata(&file).map_err(|source| io_error(&file, source))?;
        let written = known.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        add(format!("{} {} {written:?}", file.display(), known.len()));
    }
    Ok(hash.finalize().to_vec())
}

/// The first pass: what all readers' orders come to, and the areas.
fn count(
    job: &Job<'_>,
    split: &Split,
    catalog: &Catalog<'_>,
    press: &Press<'_>,
    work: &Path,
    progress: Progress<'_>,
) -> Result<Option<Counted>, BuildError> {
    type Sum = (Popularity, MarketPart, Counts);
    let sum: Mutex<Sum> = Mutex::new((Popularity::new(&job.areas), MarketPart::default(), split.counts.clone()));
    let of_part = |part: usize| -> Result<(), BuildError> {
        let (tables, counts) = split.load(part)?;
        let mut popularity = Popularity::new(&job.areas);
        let before = tables.orders.iter().filter(|order| order.ordered_at < job.as_of);
        before.for_each(|order| popularity.record(order, catalog));
        let market = press.market_part(by_reader(&tables).values(), job.as_of);
        let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.0.merge(&popularity);
        sum.1.merge(&market);
        sum.2.merge(&counts);
        Ok(())
    };
    let n_parts = split.n_parts as u64;
    if !each_part(split.n_parts, &|done| progress(Stage::Count, done, n_parts), &of_part)? {
        return Ok(None);
    }
    let (popularity, market, counts) = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    let rows = counts.rows() as u64;
    let tables = counts.report(&job.read)?;
    let built = areas::build_from(catalog, &popularity, job.as_of, split.shared.simulated.clone())?;
    areas::write(&built.areas, work)?;
    let merchants = |area: &areas::Area| Bundle::decode(area.bundle.clone()).map_or(0, |bundle| bundle.len() as u64);
    let to_value =
        |path: &Path, value: Result<Value, serde_json::Error>| value.map_err(|err| io_error(path, err.into()));
    Ok(Some(Counted {
        market,
        cells: built.areas.iter().map(|area| area.cell.to_string()).collect(),
        merchant_rows: built.areas.par_iter().map(merchants).sum(),
        display_bytes: built.areas.iter().map(|area| area.display.len() as u64).sum(),
        rows,
        report: to_value(work, serde_json::to_value(&built.report))?,
        tables: to_value(work, serde_json::to_value(&tables))?,
    }))
}

/// The second pass: the profiles of every partition, each ascending by `user_id`; tells how many were there already.
fn make(
    job: &Job<'_>,
    split: &Split,
    press: &Press<'_>,
    counted: &Counted,
    secret: &[u8],
    work: &Path,
    progress: Progress<'_>,
) -> Result<Option<usize>, BuildError> {
    let market = press.market_of(&counted.market, job.as_of);
    let there = AtomicU64::new(0);
    let of_part = |part: usize| -> Result<(), BuildError> {
        let path = part_path(work, part);
        if is_sealed(&path)? {
            there.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let (tables, _) = split.load(part)?;
        let made = press.make(&tables, job.as_of, secret, &market).map_err(BuildError::Profiles)?;
        let mut file = Writing::new(Some(path))?;
        for made in made {
            file.put(made.user_id.as_bytes(), &made.bytes)?;
        }
        file.end()?;
        Ok(())
    };
    let n_parts = split.n_parts as u64;
    let is_done = each_part(split.n_parts, &|done| progress(Stage::Profiles, done, n_parts), &of_part)?;
    Ok(is_done.then(|| there.into_inner() as usize))
}

/// Merges the partitions' profiles into one file, ascending by `user_id`, and counts them.
fn merge(work: &Path, n_parts: usize, manifest: &mut Manifest) -> Result<(), BuildError> {
    let path = work.join("profiles.ndjson");
    let io = |source| io_error(&path, source);
    let runs: Vec<Run> = (0..n_parts).map(|part| Run::File(part_path(work, part))).collect();
    let mut out = BufWriter::with_capacity(1 << 18, fs::File::create(&path).map_err(io)?);
    for made in Merge::new(&runs)? {
        let (user_id, bytes) = made?;
        let user_id = std::str::from_utf8(&user_id).map_err(|err| io(io::Error::other(err)))?;
        profiles::write_line(user_id, &bytes, &mut out).map_err(io)?;
        manifest.profiles += 1;
        manifest.profile_bytes += bytes.len() as u64;
        manifest.longest_profile_bytes = manifest.longest_profile_bytes.max(bytes.len() as u64);
    }
    out.flush().map_err(io)
}

/// Puts everything in its place. A build without its manifest is none; an interruption here is gone on with, too.
fn finish(out: &Path, work: &Path, cells: &[String], manifest: &Manifest) -> Result<(), BuildError> {
    let path = out.join("manifest.json");
    if path.is_file() {
        fs::remove_file(&path).map_err(|source| io_error(&path, source))?;
    }
    let (from, to) = (work.join("areas"), out.join("areas"));
    fs::create_dir_all(&to).map_err(|source| io_error(&to, source))?;
    let wanted: BTreeSet<&str> = cells.iter().map(String::as_str).collect();
    for entry in fs::read_dir(&to).map_err(|source| io_error(&to, source))? {
        let old = entry.map_err(|source| io_error(&to, source))?.path();
        let is_area = old.extension().is_some_and(|ending| ending == "area" || ending == "display");
        let stem = old.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if is_area && !wanted.contains(stem) {
            fs::remove_file(&old).map_err(|source| io_error(&old, source))?;
        }
    }
    for file in cells.iter().flat_map(|cell| ["area", "display"].map(|ending| format!("{cell}.{ending}"))) {
        // One that is not there any more was moved before an interruption.
        let made = from.join(&file);
        if made.is_file() {
            fs::rename(&made, to.join(&file)).map_err(|source| io_error(&made, source))?;
        }
    }
    let profiles = out.join("profiles.ndjson");
    fs::rename(work.join("profiles.ndjson"), &profiles).map_err(|source| io_error(&profiles, source))?;
    let draft = work.join("manifest.json");
    // Through a value, whose keys are sorted: the file has read so from the first release on.
    let sorted = serde_json::to_value(manifest).and_then(|value| serde_json::to_vec_pretty(&value));
    let text = sorted.map_err(|err| io_error(&path, err.into()))?;
    fs::write(&draft, text).and_then(|()| fs::rename(&draft, &path)).map_err(|source| io_error(&path, source))?;
    // Renamed first: half a folder would look like work to go on with.
    let finished = out.join(FINISHED);
    fs::rename(work, &finished).map_err(|source| io_error(work, source))?;
    remove(&finished)
}

fn part_path(work: &Path, part: usize) -> PathBuf {
    work.join("profiles").join(format!("{part:04}"))
}

fn json(value: &impl Serialize, path: &Path) -> Result<Vec<u8>, BuildError> {
    serde_json::to_vec(value).map_err(|err| io_error(path, err.into()))
}

fn remove(folder: &Path) -> Result<(), BuildError> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(io_error(folder, source)),
        _ => Ok(()),
    }
}

fn io_error(path: &Path, source: io::Error) -> BuildError {
    BuildError::Io { path: path.to_owned(), source }
}
