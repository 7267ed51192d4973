//! `freshrank build`: tables become area bundles and profiles, as of a time.

use crate::{Outcome, print};
use clap::Args;
use freshrank::time;
use freshrank_offline::areas::BuildOptions;
use freshrank_offline::build::{self, BuildError, Built, Job, Stage};
use freshrank_offline::cuisines::CuisineMap;
use freshrank_offline::places::PlaceModel;
use freshrank_offline::profiles::ProfileOptions;
use freshrank_offline::tables::{ReadOptions, Report};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Readers are HMAC(secret, user_id); every minter must compute them alike.
pub const SECRET: &str = "FRESHRANK_READER_SECRET";
/// What to build.
#[derive(Debug, Args)]
#[command(after_help = "A build that was interrupted is gone on with when the same command is given again: its \
    finished steps are in OUT/.unfinished, and the result has the same bytes.")]
pub struct Arguments {
    /// A tables directory
    #[arg(long, value_name = "DIR")]
    tables: PathBuf,
    /// RFC 3339; nothing later is seen
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    as_of: i64,
    /// Where cells of the readers' country lie in the campaign's geography, as `fi/helsinki`
    #[arg(long, value_name = "PATH")]
    market: Option<String>,
    /// How far a merchant delivers that tells no radius, kilometres
    #[arg(long, default_value_t = BuildOptions::default().radius_km)]
    radius_km: f64,
    /// Take ratings that do not tell when they were observed
    #[arg(long)]
    allow_snapshot: bool,
    /// Which cuisines are alike
    #[arg(long, value_name = "FILE", default_value = "models/cuisine-map.json")]
    cuisine_map: PathBuf,
    /// What `places fit` wrote; the model that ships if absent
    #[arg(long, value_name = "FILE")]
    place_model: Option<PathBuf>,
    /// The share of rows, 0 to 1, that may be wrong
    #[arg(long, default_value_t = ReadOptions::default().max_bad_share)]
    max_bad_share: f64,
    /// Into how many parts readers are split on disk; as many as their rows need if absent. No byte depends on it
    #[arg(long, value_name = "N")]
    partitions: Option<usize>,
    /// Where areas/, profiles.ndjson and manifest.json go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// For a program
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let started = Instant::now();
    let map = CuisineMap::read(&arguments.cuisine_map)?;
    let mut profiles = ProfileOptions::default();
    if let Some(path) = &arguments.place_model {
        profiles.places.weights = PlaceModel::read(path)?.send_time;
    }
    let job = Job {
        tables: &arguments.tables,
        read: ReadOptions { max_bad_share: arguments.max_bad_share, ..ReadOptions::default() },
        as_of: arguments.as_of,
        map: &map,
        areas: BuildOptions {
            market: arguments.market.clone(),
            radius_km: arguments.radius_km,
            allow_snapshot: arguments.allow_snapshot,
            ..BuildOptions::default()
        },
        profiles,
        secret: std::env::var(SECRET).ok().map(String::into_bytes),
        partitions: arguments.partitions,
        out: &arguments.out,
    };
    let bars = [print::progress("rows"), print::progress("counting"), print::progress("profiles")];
    let told = |stage: Stage, done: u64, total: u64| {
        bars[stage as usize](done as usize, total.max(done) as usize);
        true
    };
    let built = build::build(&job, &told).map_err(|error| match error {
        BuildError::NoSecret => format!("{SECRET} is not set: readers are known by HMAC(secret, user_id) only").into(),
        error => Box::<dyn std::error::Error + Send + Sync>::from(error),
    })?;
    let Some(built) = built else {
        return Err("stopped".into());
    };
    if arguments.json {
        let mut run = print::run_figures(built.rows, started);
        run["partitions"] = built.partitions.into();
        run["steps_resumed"] = built.resumed.into();
        return Ok(print::json_with_run(&built.manifest, run)?);
    }
    say(&built, started.elapsed())
}

fn say(built: &Built, took: Duration) -> Outcome {
    let manifest = &built.manifest;
    if let Some(simulated) = &manifest.simulated {
        println!("{simulated}");
    }
    let row = |name: &str, n: String| vec![name.to_string(), n];
    let of_report = |key: &str| {
        let value = &manifest.report[key];
        value.as_object().map_or_else(|| value.to_string(), |entries| entries.len().to_string())
    };
    let each = |bytes: u64, n: u64| if n == 0 { String::new() } else { format!("{:.1}", bytes as f64 / n as f64) };
    let bundle_bytes = manifest.report["bundle_bytes"].as_u64().unwrap_or(0);
    let peak = print::peak_bytes().map_or(String::new(), |bytes| format!("{:.0}", bytes as f64 / 1e6));
    print::table(
        &["built", ""],
        [
            row("areas", of_report("areas")),
            row("merchants", of_report("merchants")),
            row("listed", of_report("listed")),
            row("with hours", of_report("with_hours")),
            row("without hours", of_report("without_hours")),
            row("whose hours could not be read", of_report("unreadable_hours")),
            row("ratings left out, undated", of_report("undated_ratings")),
            row("ratings left out, later", of_report("later_ratings")),
            row("orders that count", of_report("orders")),
            row("orders to no known place", of_report("unplaced_orders")),
            row("offers", of_report("offers")),
            row("bytes of all bundles", bundle_bytes.to_string()),
            row("bytes of a merchant in a bundle", each(bundle_bytes, manifest.merchant_rows)),
            row("bytes of a merchant in a display block", each(manifest.display_bytes, manifest.merchant_rows)),
            row("profiles", manifest.profiles.to_string()),
            row("bytes of a profile", each(manifest.profile_bytes, manifest.profiles)),
            row("bytes of the longest profile", manifest.longest_profile_bytes.to_string()),
            row("rows", built.rows.to_string()),
            row("partitions", built.partitions.to_string()),
            row("steps of an interrupted build", built.resumed.to_string()),
            row("seconds", format!("{:.1}", took.as_secs_f64())),
            row("rows a second", format!("{:.0}", built.rows as f64 / took.as_secs_f64())),
            row("peak memory, MB", peak),
        ],
    );
    let read: Report = serde_json::from_value(manifest.tables.clone())?;
    if read.faults.values().any(|fault| fault.count > 0) {
        print!("{read}");
    }
    Ok(())
}
