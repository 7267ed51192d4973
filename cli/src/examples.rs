//! `freshrank examples`: training rows made by the engine's own featurizer.

use crate::{Outcome, print};
use clap::Args;
use freshrank_offline::cuisines::CuisineMap;
use freshrank_offline::examples::{self, ExampleOptions};
use freshrank_offline::market::Oracle;
use freshrank_offline::places::PlaceModel;
use freshrank_offline::places::model::ModelError;
use freshrank_offline::tables::spool::{self, Split};
use freshrank_offline::tables::{self, ReadOptions, Tables};
use freshrank_offline::timeline::{Disk, Readers, TimelineOptions, Told};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tempfile::TempDir;

/// From what rows are made, here and in `evaluate`.
#[derive(Debug, Args)]
pub struct Sources {
    /// A tables directory; where it has an oracle, the true utilities come along
    #[arg(long, value_name = "DIR")]
    pub tables: PathBuf,
    /// Which cuisines are alike
    #[arg(long, value_name = "FILE", default_value = "models/cuisine-map.json")]
    pub cuisine_map: PathBuf,
    /// Where cells of the readers' country lie in the campaign's geography, as `fi/helsinki`
    #[arg(long, value_name = "PATH")]
    pub market: Option<String>,
    /// Take ratings that do not tell when they were observed, and say so
    #[arg(long)]
    pub allow_snapshot: bool,
    /// What `places fit` wrote; the model that ships if absent
    #[arg(long, value_name = "FILE")]
    pub place_model: Option<PathBuf>,
}

/// How readers are split while a command works.
#[derive(Debug, Clone, Args)]
pub struct Splitting {
    /// Where readers are split on disk while it works, about as large as the tables; the system's folder for temporary files
    /// if absent
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Into how many parts; as many as their rows need if absent. No byte depends on it
    #[arg(long, value_name = "N")]
    partitions: Option<usize>,
}

/// Tables whose readers are in partitions on disk, for as long as a command works.
pub struct Spooled {
    pub map: CuisineMap,
    pub oracle: Option<Oracle>,
    split: Split,
    disk: Disk,
    started: Instant,
    /// Goes with it.
    _folder: TempDir,
}

impl Spooled {
    /// The readers, and whoever is told how every pass over them goes.
    pub fn readers<'s>(&'s self, told: Told<'s>) -> Readers<'s> {
        Readers::on_disk(&self.split, &self.disk).telling(told)
    }

    /// What is true of this run alone.
    pub fn figures(&self) -> serde_json::Value {
        let mut figures = print::run_figures(self.split.rows, self.started);
        figures["partitions"] = self.split.n_parts.into();
        figures
    }
}

/// Tables in partitions on disk, for as long as a command works.
pub struct Parts {
    pub split: Split,
    /// Goes with it.
    folder: TempDir,
}

impl Splitting {
    /// Splits the readers of tables.
    pub fn split(&self, tables: &Path) -> Result<Parts, Box<dyn Error + Send + Sync>> {
        let mut folder = tempfile::Builder::new();
        folder.prefix("freshrank-");
        let folder = match &self.work {
            Some(work) => {
                std::fs::create_dir_all(work).map_err(|error| format!("{}: {error}", work.display()))?;
                folder.tempdir_in(work)
            }
            None => folder.tempdir(),
        };
        let folder = folder.map_err(|error| format!("a folder for temporary files: {error}; give one by --work"))?;
        let n_parts = match self.partitions {
            Some(n) => n,
            None => spool::parts_of(tables)?,
        };
        let bar = print::progress("rows");
        let told = |done: u64, total: u64| {
            bar(done as usize, total.max(done) as usize);
            true
        };
        let split = spool::split(tables, &ReadOptions::default(), folder.path(), n_parts, &told)?;
        let split = split.ok_or("stopped")?;
        Ok(Parts { split, folder })
    }
}

impl Sources {
    /// Splits all of it.
    pub fn spool(&self, how: &Splitting) -> Result<Spooled, Box<dyn Error + Send + Sync>> {
        let started = Instant::now();
        let Parts { split, folder } = how.split(&self.tables)?;
        let oracle = oracle(&self.tables, &split.shared)?;
        let map = CuisineMap::read(&self.cuisine_map)?;
        Ok(Spooled { map, oracle, split, disk: Disk::new(folder.path()), started, _folder: folder })
    }

    /// Reads all of it into memory: for tables that are small by their nature.
    pub fn read(&self) -> Result<(Tables, CuisineMap), Box<dyn Error + Send + Sync>> {
        let (tables, _) = tables::read(&self.tables, &ReadOptions::default())?;
        Ok((tables, CuisineMap::read(&self.cuisine_map)?))
    }

    /// Reads so many readers into memory.
    pub fn sample(&self, n_readers: usize) -> Result<(Tables, CuisineMap), Box<dyn Error + Send + Sync>> {
        Ok((print::sample(&self.tables, n_readers)?, CuisineMap::read(&self.cuisine_map)?))
    }

    /// The same of other tables.
    pub fn elsewhere(&self, tables: &Path) -> Self {
        Self {
            tables: tables.to_owned(),
            cuisine_map: self.cuisine_map.clone(),
            market: self.market.clone(),
            allow_snapshot: self.allow_snapshot,
            place_model: self.place_model.clone(),
        }
    }

    /// What is known, and what is filtered.
    pub fn timeline(&self) -> Result<TimelineOptions, ModelError> {
        let mut options = TimelineOptions::default();
        options.areas.market.clone_from(&self.market);
        options.areas.allow_snapshot = self.allow_snapshot;
        if let Some(path) = &self.place_model {
            options.profiles.places.weights = PlaceModel::read(path)?.send_time;
        }
        Ok(options)
    }
}

fn oracle(directory: &Path, tables: &Tables) -> Result<Option<Oracle>, Box<dyn Error + Send + Sync>> {
    let simulated = tables.simulated.is_some() && directory.join("oracle.json").exists();
    Ok(if simulated { Some(Oracle::read(directory, tables)?) } else { None })
}

/// Which rows to make.
#[derive(Debug, Args)]
#[command(
    after_help = "Interrupted, it begins anew when it is given again, and comes to the same bytes; what was split stays \
    in its folder for temporary files."
)]
pub struct Arguments {
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    splitting: Splitting,
    /// Candidates of a query: the order's merchant, the others drawn evenly
    #[arg(long, default_value_t = ExampleOptions::default().candidates)]
    candidates: usize,
    /// At most so many queries, drawn evenly; all if absent
    #[arg(long)]
    queries: Option<usize>,
    /// Of what is drawn
    #[arg(long, default_value_t = ExampleOptions::default().seed)]
    seed: u64,
    /// Also rows of messages that a person looked at, protocol `message`, to train on; and columns with slots and clicks
    #[arg(long)]
    clicks: bool,
    /// The Parquet file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// For a program
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let spooled = arguments.sources.spool(&arguments.splitting)?;
    let options = ExampleOptions {
        timeline: arguments.sources.timeline()?,
        candidates: arguments.candidates,
        queries: arguments.queries,
        seed: arguments.seed,
        clicks: arguments.clicks,
    };
    let (passes, bar) = (print::progress("partitions"), print::progress("queries"));
    let (readers, oracle) = (spooled.readers(&passes), spooled.oracle.as_ref());
    let report = examples::write(readers, &spooled.map, oracle, &options, &arguments.out, &bar)?;
    if arguments.json {
        return Ok(print::json_with_run(&report, spooled.figures())?);
    }
    if let Some(simulated) = &report.simulated {
        println!("{simulated}");
    }
    println!("{}: {} rows", arguments.out.display(), report.rows);
    for (protocol, splits) in &report.queries {
        println!("{protocol} queries: {}", counts(splits));
        if let Some(filtered) = report.filtered.get(protocol) {
            println!("{protocol} queries whose order was no candidate: {}", counts(filtered));
        }
    }
    println!("orders that are no queries: {}", serde_json::to_string(&report.left_out)?);
    println!("evaluate a model of these rows with --split {}", freshrank::time::format(report.test_from));
    Ok(())
}

fn counts(counts: &BTreeMap<&str, usize>) -> String {
    counts.iter().map(|(what, n)| format!("{n} {what}")).collect::<Vec<_>>().join(", ")
}
