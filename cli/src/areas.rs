//! `freshrank areas`: how far popularity is shrunken, and what comes of it in one cell.

use crate::examples::Splitting;
use crate::{Outcome, print};
use clap::{Args, Subcommand};
use freshrank::geo::Cell;
use freshrank::time;
use freshrank_offline::areas::tune::{Market, TuneOptions, tune};
use freshrank_offline::areas::{BuildOptions, Catalog, Level, Popularity};
use freshrank_offline::cuisines::CuisineMap;
use freshrank_offline::first_pass::splits_of;
use freshrank_offline::tables::{Status, TableError, Tables};
use freshrank_offline::timeline::{Timeline, TimelineError, TimelineOptions};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Choose half-life, distance and strength of every level by the likelihood of held-out orders
    Tune(Tune),
    /// Every merchant's counts and shares in one cell
    Show(Show),
}

/// On what.
#[derive(Debug, Args)]
pub struct Tune {
    /// A tables directory; may be given more than once
    #[arg(long, value_name = "DIR", required = true)]
    tables: Vec<PathBuf>,
    /// Which cuisines are alike
    #[arg(long, value_name = "FILE", default_value = "models/cuisine-map.json")]
    cuisine_map: PathBuf,
    /// At most so many readers of each, by the smallest hash of their ids
    #[arg(long, default_value_t = print::READERS)]
    readers: usize,
    /// Days to try
    #[arg(long, value_delimiter = ',', default_values_t = TuneOptions::default().half_lives)]
    half_lives: Vec<f64>,
    /// Kilometres to try
    #[arg(long, value_delimiter = ',', default_values_t = TuneOptions::default().half_distances)]
    half_distances: Vec<f64>,
    /// For a program
    #[arg(long)]
    json: bool,
}

/// Which cell, and when.
#[derive(Debug, Args)]
pub struct Show {
    /// A tables directory
    #[arg(long, value_name = "DIR")]
    tables: PathBuf,
    /// Which cuisines are alike
    #[arg(long, value_name = "FILE", default_value = "models/cuisine-map.json")]
    cuisine_map: PathBuf,
    /// RFC 3339; nothing later is seen
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    as_of: i64,
    /// An H3 cell of resolution 7; without one, the cell with the most orders
    #[arg(long, value_name = "CELL")]
    cell: Option<String>,
    #[command(flatten)]
    splitting: Splitting,
    /// For a program
    #[arg(long)]
    json: bool,
}

pub fn run(verb: &Verb) -> Outcome {
    match verb {
        Verb::Tune(arguments) => run_tune(arguments),
        Verb::Show(arguments) => show(arguments),
    }
}

fn run_tune(arguments: &Tune) -> Outcome {
    let map = CuisineMap::read(&arguments.cuisine_map)?;
    let options = TuneOptions {
        half_lives: arguments.half_lives.clone(),
        half_distances: arguments.half_distances.clone(),
        ..TuneOptions::default()
    };
    let read = |path: &PathBuf| print::sample(path, arguments.readers);
    let all = arguments.tables.iter().map(read).collect::<Result<Vec<Tables>, _>>()?;
    let catalogs: Vec<Catalog<'_>> = all.iter().map(|tables| Catalog::new(tables, &map, &options.areas)).collect();
    let market = |(tables, catalog)| -> Result<Market<'_>, TimelineError> {
        let tables: &Tables = tables;
        // Test messages begin where examples' do; half of what comes before only counts.
        let timeline = Timeline::new(tables, &map, catalog, &TimelineOptions::default())?;
        let (valid, until) = splits_of(&timeline, tables);
        let mut times: Vec<i64> = tables.orders.iter().map(|order| order.ordered_at).filter(|at| *at < until).collect();
        times.sort_unstable();
        Ok(Market { tables, catalog, from: times.get(times.len() / 2).copied().unwrap_or(valid), until })
    };
    let markets = all.iter().zip(&catalogs).map(market).collect::<Result<Vec<Market<'_>>, _>>()?;
    let bar = print::progress("trials");
    let tuned = tune(&markets, &options, &bar)?;
    let simulated: Vec<&str> = all.iter().filter_map(|tables| tables.simulated.as_deref()).collect();
    if arguments.json {
        let window =
            |market: &Market<'_>| json!({ "from": time::format(market.from), "until": time::format(market.until) });
        let windows: Vec<_> = markets.iter().map(window).collect();
        return Ok(print::json(&json!({ "simulated": simulated, "held_out": windows, "tuned": tuned }))?);
    }
    simulated.iter().for_each(|simulated| println!("{simulated}"));
    for (path, market) in arguments.tables.iter().zip(&markets) {
        println!(
            "{}: held-out orders from {} to {}; the test split is not seen",
            path.display(),
            time::format(market.from),
            time::format(market.until)
        );
    }
    println!(
        "{} orders, {} of them first orders at a merchant; left out: {}",
        tuned.orders,
        tuned.first_orders,
        serde_json::to_string(&tuned.left_out)?
    );
    let rows = tuned.tried.iter().map(|tried| {
        vec![
            tried.name.clone(),
            format!("{:.4}", tried.log_likelihood),
            format!("{:.1}", tried.perplexity),
            format!("{:.4}", tried.log_likelihood_first),
        ]
    });
    print::table(&["shares", "nats an order", "perplexity", "nats, first orders"], rows);
    println!(
        "chosen: half-life {} days, half at {} km; strengths {}",
        tuned.half_life_days,
        tuned.half_distance_km,
        serde_json::to_string(&tuned.strength)?
    );
    Ok(())
}

fn show(arguments: &Show) -> Outcome {
    let parts = arguments.splitting.split(&arguments.tables)?;
    let (split, tables) = (&parts.split, &parts.split.shared);
    let map = CuisineMap::read(&arguments.cuisine_map)?;
    let options = BuildOptions::default();
    let catalog = Catalog::new(tables, &map, &options);
    let all = Mutex::new((Popularity::new(&options), BTreeMap::<Cell, usize>::new()));
    let of_part = |tables: Tables| -> Result<(), TableError> {
        let (mut popularity, mut delivered) = (Popularity::new(&options), BTreeMap::<Cell, usize>::new());
        for order in tables.orders.iter().filter(|order| order.ordered_at < arguments.as_of) {
            popularity.record(order, &catalog);
            if order.status == Status::Completed
                && let Some(to) = catalog.destination(order)
            {
                *delivered.entry(to.cell()).or_default() += 1;
            }
        }
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        all.0.merge(&popularity);
        delivered.into_iter().for_each(|(cell, n)| *all.1.entry(cell).or_default() += n);
        Ok(())
    };
    split.each(&print::parts(), &of_part)?;
    let (popularity, delivered) = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    let cell = match &arguments.cell {
        Some(text) => {
            Cell::parse(text).ok_or_else(|| format!("found cell {text:?}, expected an H3 cell of resolution 7"))?
        }
        None => {
            delivered.iter().max_by_key(|(cell, n)| (**n, **cell)).map(|(cell, _)| *cell).ok_or("found no order")?
        }
    };
    let rows = catalog.listed(cell, arguments.as_of);
    let counts = popularity.counts(cell, &rows, arguments.as_of);
    let shares = popularity.shares(cell, &rows, arguments.as_of);
    let name = |row: &u32| catalog.merchant(*row).map_or(String::new(), |row| row.merchant_id.clone());
    let at = |i: usize, of: &[Vec<f64>]| Level::ALL.map(|level| of[level as usize][i]);
    if arguments.json {
        let merchant = |(i, row)| json!({ "merchant_id": name(row), "counts": at(i, &counts.by_level), "shares": at(i, &shares.by_level) });
        let merchants: Vec<_> = rows.iter().enumerate().map(merchant).collect();
        let shrinkage = options.shrinkage;
        return Ok(print::json(&json!({
            "simulated": tables.simulated,
            "as_of": time::format(arguments.as_of),
            "cell": cell,
            "levels": Level::ALL,
            "half_life_days": options.half_life_days,
            "half_distance_km": shrinkage.half_distance_km,
            "strength": shrinkage.strength,
            "evidence": shares.evidence,
            "merchants": merchants,
        }))?);
    }
    if let Some(simulated) = &tables.simulated {
        println!("{simulated}");
    }
    println!("cell {cell}: decayed orders and shrunken shares, per cent");
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let here = &shares.by_level[Level::Cell as usize];
    order.sort_by(|a, b| here[*b].total_cmp(&here[*a]).then(a.cmp(b)));
    let lines = order.into_iter().map(|i| {
        let mut line = vec![catalog.merchant(rows[i]).map_or(String::new(), |row| row.name.clone())];
        line.extend(at(i, &counts.by_level).iter().map(|n| format!("{n:.2}")));
        line.extend(at(i, &shares.by_level).iter().map(|share| format!("{:.3}", share * 100.0)));
        line
    });
    print::table(
        &["merchant", "n city", "n res 6", "n ring", "n cell", "p city", "p res 6", "p ring", "p cell"],
        lines,
    );
    Ok(())
}
