//! `freshrank evaluate`: how well everybody ranks, with intervals, under protocols that are never mixed.

use crate::examples::Sources;
use crate::{Outcome, print, shelf};
use clap::Args;
use freshrank::time;
use freshrank_offline::evaluate::{EvaluateOptions, Interval, evaluate};
use std::path::PathBuf;

/// What to evaluate.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    sources: Sources,
    /// RFC 3339; later orders are asked for, and nothing of them was seen in training
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    split: i64,
    /// A plan for `dense`, any ONNX ranker for `tract`, or `none`
    #[arg(long, value_name = "FILE", default_value = "models/ltr.plan")]
    model: PathBuf,
    /// Resamples of the readers behind every interval
    #[arg(long, default_value_t = 1000)]
    resamples: usize,
    /// Of the resamples
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A Parquet file with every ranking
    #[arg(long, value_name = "FILE")]
    rankings: Option<PathBuf>,
    /// For a program
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let (tables, map, oracle) = arguments.sources.read()?;
    let ltr = match arguments.model.as_os_str() == "none" {
        true => None,
        false => Some(shelf::scorer(&arguments.model)?),
    };
    let options = EvaluateOptions {
        timeline: arguments.sources.timeline()?,
        resamples: arguments.resamples,
        seed: arguments.seed,
        ..EvaluateOptions::new(arguments.split)
    };
    let bar = print::progress("queries");
    let ltr = ltr.as_ref().map(|scorer| scorer.as_ref() as &dyn freshrank::Scorer);
    let found = evaluate(&tables, &map, oracle.as_ref(), ltr, &options, arguments.rankings.as_deref(), &bar)?;
    if arguments.json {
        return Ok(print::json(&found)?);
    }
    if let Some(simulated) = &found.simulated {
        println!("{simulated}: these figures show that the parts fit together, not how good they are");
    }
    if arguments.sources.allow_snapshot {
        println!("ratings without a date are a snapshot and may be later than a query");
    }
    println!("queries from {} on; 95 % intervals of {} resamples of the readers", found.from, found.resamples);
    for protocol in &found.protocols {
        let filtered: Vec<String> = protocol.filtered.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
        println!(
            "\n{}: {} queries of {} readers, {:.0} candidates each; order was no candidate: {}",
            protocol.protocol.name(),
            protocol.queries,
            protocol.readers,
            protocol.candidates,
            if filtered.is_empty() { "never".into() } else { filtered.join(", ") },
        );
        let rows = protocol.figures.iter().map(|figure| {
            vec![
                figure.segment.to_string(),
                figure.queries.to_string(),
                figure.scorer.to_string(),
                interval(figure.by_query.mrr),
                interval(figure.by_query.ndcg_10),
                interval(figure.by_query.hit_4),
                interval(figure.by_reader.mrr),
            ]
        });
        print::table(&["segment", "queries", "scorer", "MRR", "NDCG@10", "hit@4", "MRR by reader"], rows);
    }
    Ok(())
}

fn interval(interval: Interval) -> String {
    let Interval { value, low, high } = interval;
    format!("{value:.3} ({low:.3} to {high:.3})")
}
