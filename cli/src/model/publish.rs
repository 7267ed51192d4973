//! `freshrank model publish`, `rollback` and `history`: which model ranks, and how it came there.

use crate::examples::{Sources, Splitting};
use crate::{Outcome, print};
use clap::Args;
use freshrank::time;
use freshrank_offline::evaluate::Interval;
use freshrank_offline::models::{
    self, Change, GateOptions, Judgement, MARGIN, Models, Published, QUERIES, Signature, Verdict, What,
};
use serde_json::json;
use std::path::PathBuf;

/// What to publish, and what to judge it by.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder that training/train.py wrote
    candidate: PathBuf,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    splitting: Splitting,
    /// The folder of the model in use
    #[arg(long, value_name = "DIR", default_value = "models")]
    models: PathBuf,
    /// NDCG@10 that it may lose: the lower end of the paired 95 % interval must not be below minus this
    #[arg(long, value_name = "NDCG", default_value_t = MARGIN)]
    margin: f64,
    /// Queries, newer than what either model was trained on, without which nothing is decided
    #[arg(long, value_name = "N", default_value_t = QUERIES)]
    queries: usize,
    /// RFC 3339; judge by later queries only
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    since: Option<i64>,
    /// Resamples of the readers behind every interval
    #[arg(long, default_value_t = 1000)]
    resamples: usize,
    /// Of the resamples
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    signature: Who,
    /// For a program
    #[arg(long)]
    json: bool,
}

/// What to take back.
#[derive(Debug, Args)]
pub struct Rollback {
    /// The folder of the model in use
    #[arg(long, value_name = "DIR", default_value = "models")]
    models: PathBuf,
    #[command(flatten)]
    signature: Who,
    /// For a program
    #[arg(long)]
    json: bool,
}

/// Whose history.
#[derive(Debug, Args)]
pub struct History {
    /// The folder of the model in use
    #[arg(long, value_name = "DIR", default_value = "models")]
    models: PathBuf,
    /// For a program
    #[arg(long)]
    json: bool,
}

/// Who signs.
#[derive(Debug, Args)]
struct Who {
    /// Who does it
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Why
    #[arg(long, value_name = "WORDS")]
    reason: Option<String>,
}

impl Who {
    fn now(&self) -> Signature {
        let at = time::format(jiff::Timestamp::now().as_second());
        Signature { at, author: self.author.clone(), reason: self.reason.clone() }
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    let models = Models::open(&arguments.models)?;
    let spooled = arguments.sources.spool(&arguments.splitting)?;
    let passes = print::progress("partitions");
    let readers = spooled.readers(&passes);
    let options = GateOptions {
        timeline: arguments.sources.timeline()?,
        margin: arguments.margin,
        queries: arguments.queries,
        since: arguments.since,
        resamples: arguments.resamples,
        seed: arguments.seed,
    };
    let bar = print::progress("queries");
    let found =
        models.publish(&arguments.candidate, readers, &spooled.map, &options, &arguments.signature.now(), &bar)?;
    match &found {
        Published::Changed(change, _) if arguments.json => Ok(print::json(change)?),
        Published::Refused(judgement) if arguments.json => {
            print::json(&json!({ "what": "refused", "gate": judgement }))?;
            Err(refused(judgement).into())
        }
        Published::Standing(model) if arguments.json => {
            Ok(print::json(&json!({ "what": "standing", "model": model }))?)
        }
        Published::Changed(change, judgement) => {
            figures(judgement);
            told(change);
            println!("the modules carry the model they were built with: build and deploy them again");
            Ok(())
        }
        Published::Refused(judgement) => {
            figures(judgement);
            Err(refused(judgement).into())
        }
        Published::Standing(model) => {
            println!("{model} ranks already");
            Ok(())
        }
    }
}

fn refused(judgement: &Judgement) -> String {
    let hint = match judgement.verdict {
        Verdict::TooFew { .. } | Verdict::Undecided { .. } => "; wait for newer orders",
        Verdict::Worse | Verdict::NotWorse => "",
    };
    format!("the model in use stays: {judgement}{hint}")
}

fn figures(judgement: &Judgement) {
    if let Some(simulated) = &judgement.simulated {
        println!("{simulated}: these figures show that the parts fit together, not how good they are");
    }
    println!(
        "send-time queries from {} on, which neither training saw: {} of {} readers; 95 % intervals of {} resamples of the readers",
        judgement.from, judgement.queries, judgement.readers, judgement.resamples
    );
    if judgement.lines.is_empty() {
        return;
    }
    let interval = |Interval { value, low, high }: Interval| format!("{value:.4} ({low:.4} to {high:.4})");
    let row =
        |line: &freshrank_offline::models::Line| vec![line.scorer.clone(), interval(line.ndcg_10), interval(line.mrr)];
    print::table(&["scorer", "NDCG@10", "MRR"], judgement.lines.iter().map(row));
    println!("{judgement}");
}

pub fn roll_back(arguments: &Rollback) -> Outcome {
    let change = Models::open(&arguments.models)?.roll_back(&arguments.signature.now())?;
    if arguments.json {
        return Ok(print::json(&change)?);
    }
    told(&change);
    println!("the modules carry the model they were built with: build and deploy them again");
    Ok(())
}

pub fn history(arguments: &History) -> Outcome {
    let history = models::history(&arguments.models)?;
    if arguments.json {
        return Ok(print::json(&history)?);
    }
    let gate = |change: &Change, key: &str| {
        let gate = change.gate.as_ref();
        let number =
            |value: &serde_json::Value| value.as_f64().map_or_else(|| value.to_string(), |n| format!("{n:+.4}"));
        let low = || gate?.get("lines")?.as_array()?.last()?.get("ndcg_10")?.get(key).map(number);
        low().unwrap_or_default()
    };
    let row = |change: &Change| {
        let words = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            change.at.clone(),
            what(change.what).to_owned(),
            change.model.clone(),
            gate(change, "value"),
            gate(change, "low"),
            words(&change.author),
            words(&change.reason),
            words(&change.simulated),
        ]
    };
    let header = ["at", "what", "model", "NDCG@10 more", "at least", "author", "reason", "simulated"];
    print::table(&header, history.iter().map(row));
    Ok(())
}

fn told(change: &Change) {
    if let Some(simulated) = &change.simulated {
        println!("trained on orders {simulated}");
    }
    let before = change.before.as_deref().unwrap_or("the prior");
    println!("{}: {} ranks now, {before} did before", what(change.what), change.model);
}

const fn what(what: What) -> &'static str {
    match what {
        What::Published => "published",
        What::RolledBack => "rolled back",
    }
}
