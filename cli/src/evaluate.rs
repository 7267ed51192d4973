//! `freshrank evaluate`: how well everybody ranks, with intervals, under protocols that are never mixed.
//!
//! Two experiments stand beside it: `--late-binding` decides messages at the send and at the open, `--cold-start` ranks for readers
//! of whom nothing is known.

use crate::examples::{Sources, Splitting};
use crate::{Outcome, print, shelf};
use clap::Args;
use freshrank::score::dense::Dense;
use freshrank::{Scorer, time};
use freshrank_offline::evaluate::late::{self, LateBinding, late_binding};
use freshrank_offline::evaluate::{EvaluateError, EvaluateOptions, Figure, Interval, QUERIES, chart, cold, evaluate};
use freshrank_offline::import::uci;
use freshrank_offline::timeline::Protocol;
use std::error::Error;
use std::path::{Path, PathBuf};

/// What to evaluate.
#[derive(Debug, Args)]
#[command(
    after_help = "Interrupted, it begins anew when it is given again, and comes to the same figures; what was split \
    stays in its folder for temporary files."
)]
pub struct Arguments {
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    splitting: Splitting,
    /// At most so many queries of each protocol, drawn evenly by reader and time; the report says where that cut
    #[arg(long, default_value_t = QUERIES)]
    queries: usize,
    /// At most so many readers of `--late-binding`, which holds them
    #[arg(long, default_value_t = print::READERS)]
    readers: usize,
    /// RFC 3339; later orders are asked for, and nothing of them was seen in training
    #[arg(long, value_name = "TIME", value_parser = time::parse, required_unless_present = "cold_start")]
    split: Option<i64>,
    /// A plan for `dense`, any ONNX ranker for `tract`, or `none`
    #[arg(long, value_name = "FILE", default_value = "models/ltr.plan")]
    model: PathBuf,
    /// Another plan over the same queries, as `in use`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cold_start", "truth", "late_binding"])]
    against: Option<PathBuf>,
    /// Resamples of the readers behind every interval
    #[arg(long, default_value_t = 1000)]
    resamples: usize,
    /// Of the resamples, and of what an experiment draws
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A Parquet file with every ranking
    #[arg(long, value_name = "FILE")]
    rankings: Option<PathBuf>,
    /// Evaluate although the tables look as if they told the answers, and say so
    #[arg(long)]
    allow_leaks: bool,
    /// Times at which the tables are cut to see that rows do not change; 0 for none
    #[arg(long, default_value_t = 2)]
    cuts: usize,
    /// Send-time against open-time slates, by mailbox and by what is bound late
    #[arg(long, conflicts_with_all = ["cold_start", "truth", "rankings"])]
    late_binding: bool,
    /// When and how mailboxes fetch, instead of the assumptions built in (offline/mailboxes.toml)
    #[arg(long, value_name = "FILE", requires = "late_binding")]
    mailboxes: Option<PathBuf>,
    /// Strangers: tables of `import uci`, which have no times
    #[arg(long, conflicts_with_all = ["truth", "rankings"])]
    cold_start: bool,
    /// How much of the gap from the prior to the oracle every model closes on every market
    #[arg(long, conflicts_with = "rankings")]
    truth: bool,
    /// Further markets of `--truth`
    #[arg(long, value_name = "DIR", requires = "truth")]
    and_tables: Vec<PathBuf>,
    /// Further models of `--truth`
    #[arg(long, value_name = "FILE", requires = "truth")]
    and_model: Vec<PathBuf>,
    /// A picture of the figures
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cold_start", "truth"])]
    svg: Option<PathBuf>,
    /// For a program
    #[arg(long)]
    json: bool,
}

type Model = Option<Box<dyn Scorer + Send + Sync>>;

fn model(path: &Path) -> Result<Model, Box<dyn Error + Send + Sync>> {
    Ok(if path.as_os_str() == "none" { None } else { Some(shelf::scorer(path)?) })
}

fn as_scorer(model: &Model) -> Option<&(dyn Scorer + Sync)> {
    model.as_ref().map(|scorer| scorer.as_ref() as &(dyn Scorer + Sync))
}

fn plain(model: &Model) -> Option<&dyn Scorer> {
    model.as_ref().map(|scorer| scorer.as_ref() as &dyn Scorer)
}

impl Arguments {
    fn options(&self) -> Result<EvaluateOptions, Box<dyn Error + Send + Sync>> {
        let in_use = match &self.against {
            Some(path) => {
                let read = Dense::load(&shelf::read(path)?);
                Some(read.map_err(|error| format!("{}: {error}", path.display()))?)
            }
            None => None,
        };
        Ok(EvaluateOptions {
            in_use,
            timeline: self.sources.timeline()?,
            resamples: self.resamples,
            seed: self.seed,
            cuts: self.cuts,
            allow_leaks: self.allow_leaks,
            queries: self.queries,
            ..EvaluateOptions::new(self.split.unwrap_or_default())
        })
    }
}

/// What this command can do about an error.
fn hinted(error: EvaluateError) -> Box<dyn Error + Send + Sync> {
    match error {
        EvaluateError::Suspicious { .. } => format!("{error}; --allow-leaks evaluates all the same").into(),
        _ => error.into(),
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    if arguments.late_binding {
        return run_late_binding(arguments);
    }
    if arguments.cold_start {
        return run_cold_start(arguments);
    }
    if arguments.truth {
        return run_truth(arguments);
    }
    let spooled = arguments.sources.spool(&arguments.splitting)?;
    let ltr = model(&arguments.model)?;
    let (passes, bar) = (print::progress("partitions"), print::progress("queries"));
    let (readers, oracle) = (spooled.readers(&passes), spooled.oracle.as_ref());
    let rankings = arguments.rankings.as_deref();
    let found = evaluate(readers, &spooled.map, oracle, plain(&ltr), &arguments.options()?, rankings, &bar);
    let found = found.map_err(hinted)?;
    draw(arguments.svg.as_deref(), || chart::evaluation(&found))?;
    if arguments.json {
        return Ok(print::json_with_run(&found, spooled.figures())?);
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
            "\n{}: {} queries of {} readers, {:.0} candidates each; {} empty ones dropped; order was no candidate: {}",
            protocol.protocol.name(),
            protocol.queries,
            protocol.readers,
            protocol.candidates,
            protocol.empty,
            if filtered.is_empty() { "never".into() } else { filtered.join(", ") },
        );
        if let Some(all) = protocol.drawn_of {
            println!("drawn evenly from {all} queries by reader and time (--queries)");
        }
        println!("{} queries asked again of tables without a future: the same bits", protocol.audited);
        for suspicion in &protocol.suspicions {
            println!("LOOKS LIKE A LEAK: {suspicion}");
        }
        figures(&protocol.figures);
        for gap in &protocol.gaps {
            println!(
                "share of the gap from prior to oracle closed (simulated), {}: MRR {}, NDCG@10 {}",
                gap.segment,
                gap.mrr.map_or("-".into(), interval),
                gap.ndcg_10.map_or("-".into(), interval)
            );
        }
    }
    Ok(())
}

/// Differences to others than the prior and the model in use are for programs.
fn figures(figures: &[Figure]) {
    let is_told = |scorer: &str| scorer.strip_prefix("ltr - ").is_none_or(|other| matches!(other, "prior" | "in use"));
    let told = figures.iter().filter(|line| is_told(&line.scorer));
    let rows = told.map(|line| {
        let scores = &line.by_query;
        vec![
            line.segment.to_string(),
            line.queries.to_string(),
            line.scorer.clone(),
            interval(scores.mrr),
            format!("{:.3}", scores.coverage.value),
            scores.mrr_covered.map_or("-".into(), |mrr| format!("{:.3}", mrr.value)),
            interval(scores.ndcg_10),
            format!("{:.3}", scores.hit_4.value),
            format!("{:.3}", scores.recall_50.value),
            interval(line.by_reader.mrr),
        ]
    });
    let header = [
        "segment",
        "queries",
        "scorer",
        "MRR",
        "coverage",
        "MRR covered",
        "NDCG@10",
        "hit@4",
        "recall@50",
        "MRR by reader",
    ];
    print::table(&header, rows);
}

fn run_late_binding(arguments: &Arguments) -> Outcome {
    let (tables, map) = arguments.sources.sample(arguments.readers)?;
    let ltr: Box<dyn Scorer + Send + Sync> =
        model(&arguments.model)?.unwrap_or_else(|| Box::new(freshrank::score::Prior));
    let assumptions = late::assumptions(arguments.mailboxes.as_deref())?;
    let bar = print::progress("decisions");
    let found = late_binding(&tables, &map, ltr.as_ref(), &arguments.options()?, &assumptions, &bar)?;
    draw(arguments.svg.as_deref(), || chart::late_binding(&found))?;
    if arguments.json {
        return Ok(print::json(&found)?);
    }
    if let Some(simulated) = &found.simulated {
        println!("{simulated}");
    }
    println!("mailboxes, delays and pauses are assumptions: offline/mailboxes.toml has each with its source");
    let [q1, q2, q3] = found.delay_hours;
    println!(
        "{} messages from {} on to {} readers who ordered within {} days of opening, ranked by {}, {} slots;\n\
         opened after {q1:.1}, {q2:.1}, {q3:.1} h (quartiles); 95 % intervals of {} resamples of the readers",
        found.messages,
        found.from,
        found.readers,
        assumptions.message.answer_days,
        found.scorer,
        assumptions.message.slots,
        found.resamples
    );
    print_late_binding(&found);
    Ok(())
}

fn print_late_binding(found: &LateBinding) {
    let share = |interval: Interval| format!("{:.1}", 100.0 * interval.value);
    let shares = |interval: Interval| {
        let Interval { value, low, high } = interval;
        format!("{:.1} ({:.1} to {:.1})", 100.0 * value, 100.0 * low, 100.0 * high)
    };
    let signed = |interval: Interval| {
        let Interval { value, low, high } = interval;
        format!("{value:+.4} ({low:+.4} to {high:+.4})")
    };
    let rows = found.rows.iter().map(|row| {
        vec![
            row.mailbox.clone(),
            row.step.name().to_string(),
            shares(row.good),
            share(row.closed),
            share(row.unavailable),
            share(row.undeliverable),
            share(row.expired),
            share(row.no_merchant),
            share(row.place_found),
            interval(row.ndcg_10),
            interval(row.ndcg_10_orderable),
            share(row.in_slate),
            signed(row.ndcg_over_before),
        ]
    });
    let header = [
        "mailbox",
        "bound late",
        "good slots %",
        "closed",
        "paused",
        "undeliverable",
        "offer over",
        "no merchant",
        "place found %",
        "NDCG@10",
        "if orderable",
        "in slate %",
        "NDCG@10 over the step before",
    ];
    print::table(&header, rows);
    println!(
        "if orderable: NDCG@10 of the messages whose next order could have been placed at the open; the others are out of reach\n\
         for whoever shows open doors only\n\nall of it against the send, over the mix:"
    );
    let rows = found.by_delay.iter().map(|by| {
        let delay = by.delay.to_string();
        let n = by.messages.to_string();
        let (ndcg, orderable) = (signed(by.ndcg_over_send), signed(by.orderable_over_send));
        vec![delay, n, shares(by.good_at_send), shares(by.good_over_send), ndcg, orderable]
    });
    let header = [
        "messages that were",
        "messages",
        "good slots at the send %",
        "more at the open",
        "NDCG@10 more",
        "if orderable",
    ];
    print::table(&header, rows);
    println!(
        "\nbrought nothing measurable, in slots or in NDCG@10, over the step before: {}",
        found.nothing.join("; ")
    );
}

fn run_cold_start(arguments: &Arguments) -> Outcome {
    let (tables, map) = arguments.sources.read()?;
    let (ratings, stated) = uci::read(&arguments.sources.tables)?;
    let ltr = model(&arguments.model)?;
    let found = cold::cold_start(&tables, &ratings, &stated, &map, as_scorer(&ltr), &arguments.options()?)?;
    if arguments.json {
        return Ok(print::json(&found)?);
    }
    println!("{}\n{}", found.data, found.note);
    println!(
        "{} readers, {} who liked nobody dropped; {} merchants, {} ratings; 95 % intervals of {} resamples of the readers",
        found.readers, found.empty, found.merchants, found.ratings, found.resamples
    );
    figures(&found.figures);
    Ok(())
}

fn run_truth(arguments: &Arguments) -> Outcome {
    #[derive(serde::Serialize)]
    struct Closed {
        market: PathBuf,
        simulated: Option<String>,
        model: PathBuf,
        protocol: Protocol,
        queries: usize,
        prior: Interval,
        ltr: Interval,
        oracle: Interval,
        gap_mrr: Option<Interval>,
        gap_ndcg_10: Option<Interval>,
    }
    let mut closed: Vec<Closed> = Vec::new();
    for directory in std::iter::once(&arguments.sources.tables).chain(&arguments.and_tables) {
        let sources = arguments.sources.elsewhere(directory);
        let spooled = sources.spool(&arguments.splitting)?;
        let oracle = spooled.oracle.as_ref();
        let oracle = oracle.ok_or(format!("{}: found no oracle, expected a simulated market", directory.display()))?;
        for path in std::iter::once(&arguments.model).chain(&arguments.and_model) {
            let ltr = model(path)?.ok_or("--model none closes no gap: expected a model")?;
            let (passes, bar) = (print::progress("partitions"), print::progress("queries"));
            let scorer = Some(ltr.as_ref() as &dyn Scorer);
            let readers = spooled.readers(&passes);
            let found = evaluate(readers, &spooled.map, Some(oracle), scorer, &arguments.options()?, None, &bar);
            let found = found.map_err(hinted)?;
            for protocol in found.protocols {
                let mrr = |scorer: &str| {
                    let line = protocol.figures.iter().find(|line| line.segment == "all" && line.scorer == scorer);
                    line.map(|line| line.by_query.mrr).ok_or("found no figure for all queries")
                };
                let gap = protocol.gaps.iter().find(|gap| gap.segment == "all");
                closed.push(Closed {
                    market: directory.clone(),
                    simulated: found.simulated.clone(),
                    model: path.clone(),
                    protocol: protocol.protocol,
                    queries: protocol.queries,
                    prior: mrr("prior")?,
                    ltr: mrr("ltr")?,
                    oracle: mrr("oracle")?,
                    gap_mrr: gap.and_then(|gap| gap.mrr),
                    gap_ndcg_10: gap.and_then(|gap| gap.ndcg_10),
                });
            }
        }
    }
    if arguments.json {
        return Ok(print::json(&closed)?);
    }
    println!("simulated markets: how much of the gap from prior to oracle a model closes");
    println!(
        "the oracle knows every reader's utility, the order's place and its hour, and not the noise of the choice"
    );
    for closed in &closed {
        println!("{}: {}", closed.market.display(), closed.simulated.as_deref().unwrap_or_default());
    }
    let rows = closed.iter().map(|closed| {
        vec![
            closed.market.display().to_string(),
            closed.model.display().to_string(),
            closed.protocol.name().to_string(),
            closed.queries.to_string(),
            format!("{:.3}", closed.prior.value),
            format!("{:.3}", closed.ltr.value),
            format!("{:.3}", closed.oracle.value),
            closed.gap_mrr.map_or("-".into(), interval),
            closed.gap_ndcg_10.map_or("-".into(), interval),
        ]
    });
    let header = [
        "market (simulated)",
        "model",
        "protocol",
        "queries",
        "prior MRR",
        "ltr MRR",
        "oracle MRR",
        "gap closed, MRR",
        "gap closed, NDCG@10",
    ];
    print::table(&header, rows);
    Ok(())
}

fn draw(path: Option<&Path>, picture: impl FnOnce() -> String) -> Outcome {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, picture()).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn interval(interval: Interval) -> String {
    let Interval { value, low, high } = interval;
    format!("{value:.3} ({low:.3} to {high:.3})")
}
