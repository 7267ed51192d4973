//! `freshrank report`: clicks and orders of each arm of an experiment.

use crate::build::SECRET;
use crate::examples::Splitting;
use crate::{Outcome, print, shelf};
use clap::Args;
use freshrank_offline::import::LoadReport;
use freshrank_offline::import::log::Messages;
use freshrank_offline::profiles::DEVELOPMENT_SECRET;
use freshrank_offline::report::{Adding, MISMATCH_P, ORDER_DAYS, Of, Rate, Told, sent};
use freshrank_offline::tables::Tables;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// What to report on.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Decisions, as `freshrank rank --log` writes them, or the edge's records of decisions and clicks
    log: PathBuf,
    /// CSV with message_id and user_id: whose messages records are of; else every message is a reader of its own
    #[arg(long, value_name = "FILE")]
    messages: Option<PathBuf>,
    /// A tables directory with the events, and the orders, that followed
    #[arg(long, value_name = "DIR")]
    tables: Option<PathBuf>,
    /// The campaign's folder or document, whose arms say how readers should have been split
    #[arg(long, value_name = "PATH")]
    campaign: Option<PathBuf>,
    #[command(flatten)]
    splitting: Splitting,
    /// For a program
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let campaign = arguments.campaign.as_deref().map(shelf::campaign).transpose()?;
    let parts = arguments.tables.as_ref().map(|tables| arguments.splitting.split(tables)).transpose()?;
    let simulated = parts.as_ref().and_then(|parts| parts.split.shared.simulated.as_deref());
    let secret = std::env::var(SECRET).ok().map(String::into_bytes);
    let has_secret = secret.is_some() || simulated.is_some();
    let secret = secret.unwrap_or_else(|| DEVELOPMENT_SECRET.to_vec());
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", arguments.log.display());
    let file = std::fs::File::open(&arguments.log).map_err(|error| named(&error))?;
    let messages = match &arguments.messages {
        Some(path) => {
            let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            let file = std::fs::File::open(path).map_err(|error| wrong(&error))?;
            Messages::read(file, &mut LoadReport::default()).map_err(|error| wrong(&error))?
        }
        None => Messages::default(),
    };
    let id = campaign.as_ref().map(|campaign| campaign.id.as_str());
    let of = Of { campaign: id, messages: &messages, secret: &secret };
    let (mut log, mut told) = (Vec::new(), Told::default());
    for (i, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| named(&error))?;
        if !line.trim().is_empty() && told.add(i + 1, &line, &of).map_err(|error| named(&error))?.is_none() {
            log.extend(sent(i + 1, &line, id).map_err(|error| named(&error))?);
        }
    }
    log.extend(told.sent());
    let shares: BTreeMap<String, f64> = campaign
        .map(|campaign| campaign.policy("").arms.into_iter().map(|(id, arm)| (id, arm.share)).collect())
        .unwrap_or_default();
    let adding = Mutex::new(Adding::new(&log, &secret).and(&told));
    if let Some(parts) = &parts {
        let of_part = |tables: Tables| -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            if !tables.orders.is_empty() && !has_secret {
                return Err(format!("{SECRET} is not set: orders are joined by HMAC(secret, user_id)").into());
            }
            adding.lock().unwrap_or_else(PoisonError::into_inner).add(&tables);
            Ok(())
        };
        parts.split.each(&print::parts(), &of_part)?;
    }
    let found = adding.into_inner().unwrap_or_else(PoisonError::into_inner).report(simulated, &shares);
    if arguments.json {
        return Ok(print::json(&found)?);
    }
    if let Some(simulated) = &found.simulated {
        println!("{simulated}: these figures show that the parts fit together, not what an arm is worth");
    }
    println!("95 % intervals, readers as units; orders within {ORDER_DAYS} days of a reader's first message");
    let rows = found.arms.iter().map(|arm| {
        let cell = |rate: Option<&Rate>| rate.map(interval).unwrap_or_default();
        let difference = |rate: Option<&Rate>| rate.and_then(|rate| rate.difference).map(signed).unwrap_or_default();
        vec![
            arm.arm.clone(),
            arm.readers.to_string(),
            arm.messages.to_string(),
            cell(arm.seen.as_ref()),
            cell(Some(&arm.clicks)),
            difference(Some(&arm.clicks)),
            cell(arm.orders.as_ref()),
            difference(arm.orders.as_ref()),
        ]
    });
    let header = [
        "arm",
        "readers",
        "messages",
        "messages seen",
        "clicks a message",
        "less control",
        "readers who ordered",
        "less control",
    ];
    print::table(&header, rows);
    if let Some(ratio) = found.sample_ratio {
        let verdict = if ratio.mismatch {
            "readers were NOT split as configured: believe no figure above until that is explained"
        } else {
            "readers were split as configured"
        };
        println!(
            "sample ratio: chi-square {:.2}, {} degrees of freedom, p {:.4} (limit {MISMATCH_P}): {verdict}",
            ratio.chi_square, ratio.degrees_of_freedom, ratio.p
        );
    }
    for (n, what) in [
        (found.scanner_clicks, "clicks by scanners left out"),
        (told.nobodys, "records are of nobody: their messages had no consent"),
        (found.events_without_message, "clicks name a message that is not in the log"),
    ] {
        if n > 0 {
            println!("{n} {what}");
        }
    }
    Ok(())
}

fn interval(rate: &Rate) -> String {
    format!("{:.4} ({:.4} to {:.4})", rate.value, rate.low, rate.high)
}

fn signed((value, low, high): (f64, f64, f64)) -> String {
    format!("{value:+.4} ({low:+.4} to {high:+.4})")
}
