//! `freshrank build`: tables become area bundles and profiles, as of a time.

use crate::{Outcome, print};
use clap::Args;
use freshrank::time;
use freshrank_offline::areas::{self, BuildOptions, Catalog};
use freshrank_offline::cuisines::CuisineMap;
use freshrank_offline::places::PlaceModel;
use freshrank_offline::profiles::{self, DEVELOPMENT_SECRET, ProfileOptions};
use freshrank_offline::tables::{self, ReadOptions};
use serde_json::json;
use std::path::PathBuf;

/// Readers are HMAC(secret, user_id); every minter must compute them alike.
pub const SECRET: &str = "FRESHRANK_READER_SECRET";
/// What to build.
#[derive(Debug, Args)]
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
    /// Where areas/, profiles.ndjson and manifest.json go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// For a program
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let options = ReadOptions { max_bad_share: arguments.max_bad_share, ..ReadOptions::default() };
    let (tables, read) = tables::read(&arguments.tables, &options)?;
    let map = CuisineMap::read(&arguments.cuisine_map)?;
    let secret = match std::env::var(SECRET) {
        Ok(secret) => secret.into_bytes(),
        Err(_) if tables.simulated.is_some() || tables.readers.is_empty() => DEVELOPMENT_SECRET.to_vec(),
        Err(_) => {
            return Err(format!("{SECRET} is not set: readers are known by HMAC(secret, user_id) only").into());
        }
    };
    let options = BuildOptions {
        market: arguments.market.clone(),
        radius_km: arguments.radius_km,
        allow_snapshot: arguments.allow_snapshot,
        ..BuildOptions::default()
    };
    let built = areas::build(&tables, arguments.as_of, &map, &options)?;
    areas::write(&built.areas, &arguments.out)?;
    let catalog = Catalog::new(&tables, &map, &options);
    let mut options = ProfileOptions::default();
    if let Some(path) = &arguments.place_model {
        options.places.weights = PlaceModel::read(path)?.send_time;
    }
    let made = profiles::build(&tables, arguments.as_of, &map, &catalog, &secret, &options)?;
    profiles::write(&made, &arguments.out.join("profiles.ndjson"))?;

    let report = &built.report;
    let longest = made.iter().map(|profile| profile.bytes.len()).max().unwrap_or(0);
    let manifest = json!({
        "as_of": time::format(arguments.as_of),
        "simulated": tables.simulated,
        "areas": built.areas.len(),
        "profiles": made.len(),
        "longest_profile_bytes": longest,
        "cuisine_map": format!("{:016x}", map.fingerprint()),
        "report": report,
        "tables": read,
    });
    let path = arguments.out.join("manifest.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&manifest)?).map_err(|e| format!("{}: {e}", path.display()))?;
    if arguments.json {
        return Ok(print::json(&manifest)?);
    }
    if let Some(simulated) = &tables.simulated {
        println!("{simulated}");
    }
    let row = |name: &str, n: usize| vec![name.to_string(), n.to_string()];
    print::table(
        &["built", ""],
        [
            row("areas", report.areas),
            row("merchants", report.merchants),
            row("listed", report.listed),
            row("with hours", report.with_hours),
            row("without hours", report.without_hours),
            row("whose hours could not be read", report.unreadable_hours.len()),
            row("ratings left out, undated", report.undated_ratings),
            row("ratings left out, later", report.later_ratings),
            row("orders that count", report.orders),
            row("orders to no known place", report.unplaced_orders),
            row("offers", report.offers),
            row("bytes of all bundles", report.bundle_bytes),
            row("profiles", made.len()),
            row("bytes of the longest profile", longest),
        ],
    );
    let faults = read.faults.values().map(|fault| fault.count).sum::<usize>();
    if faults > 0 {
        print!("{read}");
    }
    Ok(())
}
