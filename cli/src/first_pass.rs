//! `freshrank first-pass`: the weights that choose whom the ranker sees, and what the choice costs.

use crate::{Outcome, print, shelf};
use clap::{Args, Subcommand};
use freshrank_offline::cuisines::CuisineMap;
use freshrank_offline::first_pass::{Cap, FirstPassOptions, Interval, Loss, Market, Recall, tune};
use freshrank_offline::tables::Tables;
use std::path::PathBuf;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Fit each pool's weights to the recall of train messages, and measure them on the others
    Tune(Tune),
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
    /// Who ranks what the first pass leaves: a plan, any ONNX ranker, or `none` for the prior
    #[arg(long, value_name = "FILE", default_value = "models/ltr.plan")]
    model: PathBuf,
    /// At most so many messages of each directory and split
    #[arg(long, default_value_t = FirstPassOptions::default().queries)]
    queries: usize,
    /// N of recall@N, as a share of a pool's members
    #[arg(long, default_value_t = FirstPassOptions::default().share)]
    share: f64,
    /// Resamples of the readers behind every interval
    #[arg(long, default_value_t = FirstPassOptions::default().resamples)]
    resamples: usize,
    /// Of everything that is drawn
    #[arg(long, default_value_t = FirstPassOptions::default().seed)]
    seed: u64,
    /// Where the weights go, usually src/retrieve/first_pass.in
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// For a program
    #[arg(long)]
    json: bool,
}

pub fn run(verb: &Verb) -> Outcome {
    let Verb::Tune(arguments) = verb;
    let map = CuisineMap::read(&arguments.cuisine_map)?;
    let ltr = match arguments.model.as_os_str() == "none" {
        true => None,
        false => Some(shelf::scorer(&arguments.model)?),
    };
    let ltr = ltr.as_ref().map(|scorer| scorer.as_ref() as &dyn freshrank::Scorer);
    let read = |path: &PathBuf| print::sample(path, arguments.readers);
    let all = arguments.tables.iter().map(read).collect::<Result<Vec<Tables>, _>>()?;
    let market = |(path, tables)| {
        let path: &PathBuf = path;
        Market { name: path.display().to_string(), tables, path: None }
    };
    let markets: Vec<Market<'_>> = arguments.tables.iter().zip(&all).map(market).collect();
    let options = FirstPassOptions {
        queries: arguments.queries,
        share: arguments.share,
        resamples: arguments.resamples,
        seed: arguments.seed,
        ..FirstPassOptions::default()
    };
    let bar = print::progress("messages");
    let tuned = tune(&markets, &map, ltr, &options, &bar)?;
    if let Some(out) = &arguments.out {
        std::fs::write(out, tuned.source()).map_err(|error| format!("{}: {error}", out.display()))?;
    }
    if arguments.json {
        return Ok(print::json(&tuned)?);
    }
    for (name, simulated) in &tuned.simulated {
        println!("{name}: {simulated}: these figures show that the parts fit together, not how good they are");
    }
    let rows = tuned.weights.iter().map(|(pool, weights)| {
        let turns = tuned.turns.get(pool).copied().unwrap_or(0).to_string();
        [pool.to_string(), turns].into_iter().chain(weights.iter().map(f32::to_string)).collect()
    });
    print::table(&[&["pool", "turns"], &tuned.columns[..]].concat(), rows);
    let fine = |value: &f64| format!("{value:.4}");
    for market in &tuned.markets {
        let (mean, most) = market.candidates;
        println!(
            "\n{}: messages {}, the place is inferred; {mean:.0} candidates each, {most} at most; order was no candidate: {}",
            market.name,
            serde_json::to_string(&market.queries)?,
            serde_json::to_string(&market.filtered)?
        );
        let percent = |share: &f64| format!("{:.1}", share * 100.0);
        let rows = market.recall.iter().map(|recall| {
            let Recall { split, pool, by, queries, members, mrr, at, at_share, at_tenth, more } = recall;
            let mut row = vec![split.to_string(), pool.to_string(), by.to_string(), queries.to_string()];
            row.extend([format!("{members:.1}"), format!("{mrr:.3}")]);
            row.extend(at.iter().chain(at_share).map(percent));
            row.extend([range(at_tenth, &percent), spread(more, &percent)]);
            row
        });
        println!("recall@N, per cent, N as a number and as a share of the pool's members");
        let depths =
            ["10", "20", "50", "100", "200", "5 %", "10 %", "20 %", "50 %", "of 10 %", "10 %, more than before"];
        print::table(&[&["split", "pool", "by", "messages", "members", "MRR"], &depths[..]].concat(), rows);
        let rows = market.end_to_end.iter().map(|loss| {
            let Loss { scorer, by, n, whole, cut, lost } = loss;
            let lost = spread(lost, &fine);
            vec![by.to_string(), n.clone(), scorer.to_string(), fine(whole), fine(cut), lost]
        });
        println!("test: NDCG@10 lost to a cut at N, with 95 % intervals of resampled readers");
        print::table(&["cut by", "N", "ranked by", "no cut", "cut", "lost"], rows);
        let (mean, most) = market.area;
        println!(
            "test: what is lost where areas are capped; {mean:.0} merchants an area before filters, {most} at most"
        );
        let rows = market.caps.iter().map(|cap| {
            let Cap { by, merchants, lost, lost_where_capped, capped, ndcg_lost } = cap;
            let where_capped = lost_where_capped.as_ref().map(|lost| spread(lost, &percent)).unwrap_or_default();
            let mut row = vec![by.to_string(), merchants.to_string(), spread(lost, &percent)];
            row.extend([capped.to_string(), where_capped]);
            row.extend(ndcg_lost.values().map(|lost| spread(lost, &fine)));
            row
        });
        let scorers = market.caps.first().map(|cap| cap.ndcg_lost.keys()).into_iter().flatten();
        let ranked: Vec<String> = scorers.map(|scorer| format!("NDCG@10 lost, ranked by {scorer}")).collect();
        let header: Vec<&str> = ["kept by", "cap", "orders lost, %", "messages above the cap", "lost there, %"]
            .into_iter()
            .chain(ranked.iter().map(String::as_str))
            .collect();
        print::table(&header, rows);
    }
    Ok(())
}

/// The ends of an interval.
fn range((_, low, high): &Interval, of: &dyn Fn(&f64) -> String) -> String {
    format!("{} to {}", of(low), of(high))
}

/// A value with its interval.
fn spread(interval: &Interval, of: &dyn Fn(&f64) -> String) -> String {
    format!("{} ({})", of(&interval.0), range(interval, of))
}
