//! `freshrank crowd`: simulated tables of any size, to measure on.

use crate::{Outcome, print};
use clap::Args;
use freshrank_offline::crowd::{self, CrowdOptions};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// How large.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Merchants, around twelve cities
    #[arg(long, default_value_t = 10_000)]
    merchants: usize,
    /// Readers
    #[arg(long, default_value_t = 1_000_000)]
    readers: usize,
    /// Mean orders of a reader
    #[arg(long, default_value_t = 20.0)]
    orders_per_reader: f64,
    /// Of everything that is drawn
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Where the tables go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// For a program
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let options = CrowdOptions {
        merchants: arguments.merchants,
        readers: arguments.readers,
        orders_per_reader: arguments.orders_per_reader,
        seed: arguments.seed,
    };
    let started = Instant::now();
    let bar = print::progress("readers");
    let report = crowd::crowd(&options, &arguments.out, &bar)?;
    let (label, as_of) = (crowd::label(options.seed), freshrank::time::format(crowd::END));
    if arguments.json {
        let seconds = started.elapsed().as_secs_f64();
        return Ok(print::json(&json!({ "simulated": label, "rows": report, "as_of": as_of, "seconds": seconds }))?);
    }
    println!("{label}");
    let row = |name: &str, n: usize| vec![name.to_string(), n.to_string()];
    print::table(
        &["table", "rows"],
        [
            row("merchants", report.merchants),
            row("readers", report.readers),
            row("places", report.places),
            row("orders", report.orders),
        ],
    );
    println!("build them with --as-of {as_of}");
    Ok(())
}
