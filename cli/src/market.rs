//! `freshrank market`: made-up demand over real merchants, and labelled so.

use crate::{Outcome, print};
use clap::Args;
use freshrank_offline::market::{Form, Parameters, USERS, UrnParameters, write_as};
use freshrank_offline::tables::{self, ReadOptions};
use std::path::PathBuf;
use std::time::Instant;

/// What to simulate.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A tables directory, or a file of merchants
    #[arg(long, value_name = "PATH")]
    merchants: PathBuf,
    /// Of everything that is drawn
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many readers
    #[arg(long, default_value_t = USERS)]
    users: usize,
    /// The readers' home city, as `fi/helsinki`
    #[arg(long, value_name = "PATH")]
    market: String,
    /// Other parameters than the frozen ones
    #[arg(long, value_name = "FILE")]
    parameters: Option<PathBuf>,
    /// How readers choose: `logit`, or `urn` to try a ranker on a market of another shape
    #[arg(long, value_parser = form, default_value = "logit")]
    form: Form,
    /// Where the tables go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// For a program
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    // Of tables with readers only the merchants.
    let (merchants, _) = tables::read_sample(&arguments.merchants, &ReadOptions::default(), 0)?;
    let parameters = match &arguments.parameters {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            Parameters::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?
        }
        None => Parameters::frozen()?,
    };
    let started = Instant::now();
    let bar = print::progress("readers, then mail");
    let market = write_as(
        &arguments.form,
        &merchants.merchants,
        &parameters,
        arguments.seed,
        arguments.users,
        &arguments.market,
        &arguments.out,
        &bar,
    )?;
    let m = &market.moments;
    if arguments.json {
        let found = serde_json::json!({ "simulated": market.tables.simulated, "moments": m });
        return Ok(print::json_with_run(&found, print::run_figures(arguments.users as u64, started))?);
    }
    println!("{}", market.tables.simulated.unwrap_or_default());
    let row = |name: &str, found: String, fitted: &str| vec![name.to_string(), found, fitted.to_string()];
    let share = |value: f64| format!("{value:.3}");
    print::table(
        &["moment (simulated)", "found", "fitted to"],
        [
            row("readers with an order", m.readers.to_string(), ""),
            row("orders", m.orders.to_string(), ""),
            row("median orders of a reader", share(m.median_orders), "1"),
            row("median gap of those who return, days", share(m.median_gap_days), "7"),
            row("later orders that repeat a merchant", share(m.repeat_share), "0.5"),
            row("later orders to a new place", share(m.new_place_share), "0.125"),
            row("merchants whose hours are not known", market.unknown_hours.to_string(), ""),
        ],
    );
    Ok(())
}

fn form(name: &str) -> Result<Form, String> {
    match name {
        "logit" => Ok(Form::Logit),
        "urn" => UrnParameters::frozen().map(|numbers| Form::Urn(numbers.into())).map_err(|error| error.to_string()),
        other => Err(format!("found {other:?}, expected `logit` or `urn`")),
    }
}
