//! Whether a model is worse than the one in use: both rank the same later queries, which neither was trained on.
//!
//! The test is one of non-inferiority, paired by reader. Published is who *is shown* to lose less than the margin: the lower end of
//! the 95 % interval of the difference (one-sided, 97.5 %) is not below it. What little data cannot tell is refused as well, with how
//! many queries would tell.

use super::run::Run;
use crate::cuisines::CuisineMap;
use crate::evaluate::{EvaluateError, EvaluateOptions, Figure, Interval, evaluate};
use crate::tables::Timestamp;
use crate::timeline::{Protocol, Readers, TimelineOptions};
use freshrank::time;
use serde::Serialize;
use std::fmt;
use thiserror::Error;

/// NDCG@10 that a model may lose: what quantization may cost, and too little for anyone to see.
pub const MARGIN: f64 = 0.002;
/// Fewer queries or readers are an anecdote, whatever their interval says.
pub const QUERIES: usize = 400;
const READERS: usize = 100;
const SEGMENT: &str = "all";

/// How to judge.
#[derive(Debug, Clone, PartialEq)]
pub struct GateOptions {
    /// What is known and what is filtered.
    pub timeline: TimelineOptions,
    /// NDCG@10 that a model may lose, at least 0.
    pub margin: f64,
    /// Queries without which nothing is decided.
    pub queries: usize,
    /// Only queries from then on; never earlier ones than either training allows.
    pub since: Option<Timestamp>,
    /// Resamples of the readers.
    pub resamples: usize,
    /// Of the resamples.
    pub seed: u64,
}

impl Default for GateOptions {
    fn default() -> Self {
        let timeline = TimelineOptions::default();
        Self { timeline, margin: MARGIN, queries: QUERIES, since: None, resamples: 1000, seed: 1 }
    }
}

/// Why nothing was judged.
#[derive(Debug, Error)]
pub enum GateError {
    /// Made-up readers, and a model of real ones.
    #[error(
        "tables are {found}: found a model trained on real orders ({whose}), expected tables of real orders to judge it by"
    )]
    Simulated {
        /// What the tables say.
        found: String,
        /// Which model.
        whose: &'static str,
    },
    /// A margin that is none.
    #[error("margin: found {0}, expected a number from 0 to 1")]
    Margin(f64),
    /// The queries cannot be asked, or tell their answers.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It loses less than the margin, if anything.
    NotWorse,
    /// It loses more.
    Worse,
    /// These queries cannot tell.
    Undecided {
        /// So many more could, if the difference stays what it is; `None` where it lies beyond the margin.
        more_queries: Option<usize>,
    },
    /// Not even asked.
    TooFew {
        /// Queries that are missing.
        queries: usize,
        /// Readers that are missing.
        readers: usize,
    },
}

/// One line of the comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// `candidate`, who ranks now, and their difference.
    pub scorer: String,
    /// Each query counts alike; what the gate goes by.
    pub ndcg_10: Interval,
    /// Beside it.
    pub mrr: Interval,
}

/// The gate's figures, as they stay in the history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// What became of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Said in every output when present: such figures show mechanics, not quality.
    pub simulated: Option<String>,
    /// Who ranks now: `in use`, or the `prior` where no model does.
    pub against: &'static str,
    /// Queries from then on, RFC 3339; neither training saw them.
    pub from: String,
    /// How many.
    pub queries: usize,
    /// Of how many readers.
    pub readers: usize,
    /// NDCG@10 that the candidate may lose.
    pub margin: f64,
    /// Resamples behind the intervals.
    pub resamples: usize,
    /// Empty where there were too few queries.
    pub lines: Vec<Line>,
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { against, margin, queries, readers, from, .. } = self;
        let low = self.lines.last().map_or(f64::NAN, |line| line.ndcg_10.low);
        let high = self.lines.last().map_or(f64::NAN, |line| line.ndcg_10.high);
        match self.verdict {
            Verdict::NotWorse => {
                write!(f, "not worse than {against}: NDCG@10 changes by {low:+.4} or more, {:+.4} is allowed", -margin)
            }
            Verdict::Worse => {
                write!(f, "worse than {against}: NDCG@10 changes by {high:+.4} at most, {:+.4} is allowed", -margin)
            }
            Verdict::Undecided { more_queries } => {
                write!(f, "{queries} queries of {readers} readers cannot tell that it is not worse than {against}: ")?;
                write!(f, "NDCG@10 may change by {low:+.4}, {:+.4} is allowed; ", -margin)?;
                match more_queries {
                    Some(more) => write!(f, "{more} more queries could, if the difference stays what it is"),
                    None => f.write_str("no number of queries will, if the difference stays what it is"),
                }
            }
            Verdict::TooFew { queries: missing, readers: and } => {
                write!(f, "found {queries} queries of {readers} readers from {from} on, which neither training saw: ")?;
                write!(f, "{missing} queries and {and} readers are missing")
            }
        }
    }
}

/// Judges a candidate against who ranks now: a model, or the prior.
///
/// # Errors
/// Tables that cannot judge these models, that cannot be asked, or that tell the answers.
pub fn judge<'t>(
    readers: impl Into<Readers<'t>>,
    map: &CuisineMap,
    candidate: &Run,
    in_use: Option<&Run>,
    options: &GateOptions,
    progress: &dyn Fn(usize, usize),
) -> Result<Judgement, GateError> {
    let readers = readers.into();
    let simulated = &readers.shared().simulated;
    if !(0.0..=1.0).contains(&options.margin) {
        return Err(GateError::Margin(options.margin));
    }
    for (whose, model) in [("the candidate", Some(candidate)), ("the model in use", in_use)] {
        if let (Some(found), Some(Run { simulated: None, .. })) = (simulated, model) {
            return Err(GateError::Simulated { found: found.clone(), whose });
        }
    }
    // The order that answered the last query of a training may be later than that; but an order is asked for once, as of the message
    // before it, and so never again.
    let seen = candidate.seen_until.max(in_use.map_or(i64::MIN, |run| run.seen_until));
    let from = options.since.unwrap_or(i64::MIN).max(seen + 1);
    let against = if in_use.is_some() { "in use" } else { "prior" };
    let evaluation = EvaluateOptions {
        timeline: options.timeline.clone(),
        protocols: vec![Protocol::SendTime],
        resamples: options.resamples,
        seed: options.seed,
        in_use: in_use.map(|run| run.ranker.clone()),
        ..EvaluateOptions::new(from)
    };
    let mut judgement = Judgement {
        verdict: Verdict::TooFew { queries: options.queries, readers: READERS },
        simulated: simulated.clone(),
        against,
        from: time::format(from),
        queries: 0,
        readers: 0,
        margin: options.margin,
        resamples: options.resamples,
        lines: Vec::new(),
    };
    let found = match evaluate(readers, map, None, Some(&candidate.ranker), &evaluation, None, progress) {
        Ok(found) => found,
        Err(EvaluateError::NoQueries { .. }) => return Ok(judgement),
        Err(error) => return Err(error.into()),
    };
    let Some(found) = found.protocols.into_iter().next() else {
        return Ok(judgement);
    };
    (judgement.queries, judgement.readers) = (found.queries, found.readers);
    let missing = (options.queries.saturating_sub(found.queries), READERS.saturating_sub(found.readers));
    judgement.verdict = Verdict::TooFew { queries: missing.0, readers: missing.1 };
    if missing != (0, 0) {
        return Ok(judgement);
    }
    let names = [("ltr", "candidate".to_owned()), (against, against.to_owned())];
    let difference = format!("ltr - {against}");
    let names = names.into_iter().chain([(difference.as_str(), format!("candidate - {against}"))]);
    let line = |(name, scorer): (&str, String)| {
        let is_it = |figure: &&Figure| figure.segment == SEGMENT && figure.scorer == name;
        let scores = found.figures.iter().find(is_it)?.by_query;
        Some(Line { scorer, ndcg_10: scores.ndcg_10, mrr: scores.mrr })
    };
    judgement.lines = names.filter_map(line).collect();
    if let [_, _, difference] = judgement.lines.as_slice() {
        judgement.verdict = verdict(difference.ndcg_10, judgement.queries, options.margin);
    }
    Ok(judgement)
}

/// The rule.
pub(super) fn verdict(difference: Interval, queries: usize, margin: f64) -> Verdict {
    let Interval { value, low, high } = difference;
    if low >= -margin {
        return Verdict::NotWorse;
    }
    if high < -margin {
        return Verdict::Worse;
    }
    // The interval narrows with the root of the number of queries.
    let more_queries = (value > -margin).then(|| {
        let times = (value - low) / (value + margin);
        (queries as f64 * (times * times - 1.0)).ceil() as usize
    });
    Verdict::Undecided { more_queries }
}
