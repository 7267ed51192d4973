//! `freshrank examples`: training rows made by the engine's own featurizer.

use crate::{Outcome, print};
use clap::Args;
use freshrank_offline::cuisines::CuisineMap;
use freshrank_offline::examples::{self, ExampleOptions};
use freshrank_offline::market::Oracle;
use freshrank_offline::places::PlaceModel;
use freshrank_offline::places::model::ModelError;
use freshrank_offline::tables::{self, ReadOptions, Tables};
use freshrank_offline::timeline::TimelineOptions;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

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

impl Sources {
    /// Reads all of it.
    pub fn read(&self) -> Result<(Tables, CuisineMap, Option<Oracle>), Box<dyn Error + Send + Sync>> {
        let (tables, _) = tables::read(&self.tables, &ReadOptions::default())?;
        let oracle = oracle(&self.tables, &tables)?;
        Ok((tables, CuisineMap::read(&self.cuisine_map)?, oracle))
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
pub struct Arguments {
    #[command(flatten)]
    sources: Sources,
    /// Candidates of a query: the order's merchant, the others drawn evenly
    #[arg(long, default_value_t = ExampleOptions::default().candidates)]
    candidates: usize,
    /// At most so many queries, drawn evenly; all if absent
    #[arg(long)]
    queries: Option<usize>,
    /// Of what is drawn
    #[arg(long, default_value_t = ExampleOptions::default().seed)]
    seed: u64,
    /// The Parquet file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// For a program
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let (tables, map, oracle) = arguments.sources.read()?;
    let options = ExampleOptions {
        timeline: arguments.sources.timeline()?,
        candidates: arguments.candidates,
        queries: arguments.queries,
        seed: arguments.seed,
    };
    let bar = print::progress("queries");
    let report = examples::write(&tables, &map, oracle.as_ref(), &options, &arguments.out, &bar)?;
    if arguments.json {
        return Ok(print::json(&report)?);
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
