//! How well each scorer ranks what readers ordered next.
//!
//! All scorers rank the same candidates: after the filters, before the best N and the blend. A query whose order was
//! filtered stays, with nothing gained, and its reason is counted. Equal scores are judged by their expectation over
//! all orders they could be shown in, so that no scorer gains by luck; a scorer that tells nothing is *random*.

pub use bootstrap::Interval;
pub use leak::{Leak, Suspicion};
pub use measure::{Measures, judge};

mod measure;
pub(crate) mod bootstrap;
mod rankings;
mod leak;
pub mod late;
pub mod cold;
pub mod chart;

use crate::areas::Catalog;
use crate::cuisines::CuisineMap;
use crate::examples::utilities;
use crate::market::Oracle;
use crate::tables::Timestamp;
use crate::timeline::{
    Answer, Census, LeftOut, Protocol, Readers, Scenes, Timeline, TimelineError, TimelineOptions, Wanted,
};
use bootstrap::{Means, Resampled, Sums};
use freshrank::feature::FEATURES;
use freshrank::score::{self, ModelError, Scorer, dense::Dense};
use measure::{COVERED, HIT, N_MEASURES, NDCG_10, RECALL, RECIPROCAL_RANK};
use parquet::errors::ParquetError;
use rankings::Rankings;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Orders before the query of a reader who is no longer new, and of one who orders often.
const INFREQUENT_FROM: usize = 2;
const FREQUENT_FROM: usize = 5;

/// Who ranks, in the order of reports.
const SCORERS: [&str; 9] =
    ["ltr", "in use", "prior", "own history", "popularity in the cell", "popularity", "nearest", "random", "oracle"];

/// How to evaluate.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluateOptions {
    /// What is known and what is filtered.
    pub timeline: TimelineOptions,
    /// Queries from then on are asked; nothing of them was seen in training.
    pub split: Timestamp,
    /// Which protocols.
    pub protocols: Vec<Protocol>,
    /// Resamples of the readers.
    pub resamples: usize,
    /// Of the resamples.
    pub seed: u64,
    /// Tables cut at a query, to see that its rows stay the same: so many cuts a protocol; 0 for none.
    pub cuts: usize,
    /// Report what looks like a leak instead of refusing.
    pub allow_leaks: bool,
    /// Another model over the same queries, as `in use`.
    pub in_use: Option<Dense>,
    /// At most so many queries of a protocol, drawn evenly: what is kept of each is what memory grows by.
    pub queries: usize,
}

/// Queries of a protocol, unless told: some 600 bytes of each are kept.
pub const QUERIES: usize = 100_000;

impl EvaluateOptions {
    /// Both protocols from a time on.
    #[must_use]
    pub fn new(split: Timestamp) -> Self {
        let protocols = vec![Protocol::KnownPlace, Protocol::SendTime];
        let timeline = TimelineOptions::default();
        Self {
            timeline,
            split,
            protocols,
            resamples: 1000,
            seed: 1,
            cuts: 2,
            allow_leaks: false,
            in_use: None,
            queries: QUERIES,
        }
    }
}

/// Why there is no evaluation.
#[derive(Debug, Error)]
pub enum EvaluateError {
    /// The queries cannot be asked.
    #[error(transparent)]
    Timeline(#[from] TimelineError),
    /// The ranker does not answer; nothing is evaluated in its place.
    #[error("{scorer} did not score a query: {source}")]
    Model {
        /// Which.
        scorer: &'static str,
        /// Why.
        source: ModelError,
    },
    /// Nobody orders again after the split.
    #[error("found no query of protocol {protocol} from {} on, expected at least one", freshrank::time::format(*split))]
    NoQueries {
        /// Which.
        protocol: &'static str,
        /// From when on.
        split: Timestamp,
    },
    /// A row knows what comes later.
    #[error("leak: {0}")]
    Leak(#[from] Leak),
    /// The tables tell the answers.
    #[error("the tables look as if they told the answers ({} finding(s)): {}", found.len(), listed(found))]
    Suspicious {
        /// What looks wrong.
        found: Vec<Suspicion>,
    },
    /// The rankings cannot be written.
    #[error("{}: {source}", path.display())]
    Rankings {
        /// Which file.
        path: PathBuf,
        /// What the writer says.
        source: ParquetError,
    },
    /// The experiment's own numbers.
    #[error("{0}")]
    Assumptions(String),
}

fn listed(found: &[Suspicion]) -> String {
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// How well everybody ranks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Said in every output when present: such figures show mechanics, not quality.
    pub simulated: Option<String>,
    /// Queries from then on, RFC 3339.
    pub from: String,
    /// Resamples behind every interval.
    pub resamples: usize,
    /// Never mixed.
    pub protocols: Vec<ProtocolFigures>,
}

/// Everything about one protocol.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProtocolFigures {
    /// What a query knows.
    pub protocol: Protocol,
    /// Queries asked, filtered ones too.
    pub queries: usize,
    /// Of so many, where [`EvaluateOptions::queries`] are fewer: drawn evenly by reader and time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drawn_of: Option<usize>,
    /// Readers they are of.
    pub readers: usize,
    /// Candidates of a query, on average.
    pub candidates: f64,
    /// Queries whose order was no candidate, by reason; they stay, with nothing gained.
    pub filtered: BTreeMap<&'static str, usize>,
    /// Queries to which nothing is the answer, dropped.
    pub empty: usize,
    /// Orders from the split on that are no queries, by reason.
    pub left_out: LeftOut,
    /// Queries asked again of tables without a future; every bit was the same.
    pub audited: usize,
    /// What looks as if the tables told the answers.
    pub suspicions: Vec<Suspicion>,
    /// By segment, then scorer; then what ltr has over each of the others.
    pub figures: Vec<Figure>,
    /// How much of what can be known ltr adds to the prior, by segment; only where there is an oracle.
    pub gaps: Vec<Gap>,
}

/// One scorer over one kind of query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Which queries.
    pub segment: &'static str,
    /// Who ranked, or a difference such as `ltr - prior`.
    pub scorer: String,
    /// Each query counts alike.
    pub by_query: Scores,
    /// Each reader counts alike.
    pub by_reader: Scores,
    /// How many queries.
    pub queries: usize,
    /// How many readers.
    pub readers: usize,
}

/// The measures, each with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scores {
    /// Share of queries whose order is a candidate: the most that any ranking of these candidates can gain.
    pub coverage: Interval,
    /// Mean reciprocal rank.
    pub mrr: Interval,
    /// Of the covered queries alone; `mrr` is this times `coverage`. `None` where nothing is covered.
    pub mrr_covered: Option<Interval>,
    /// Normalized discounted cumulative gain of the first ten; gain 2^label - 1.
    pub ndcg_10: Interval,
    /// Share of queries whose order was ranked first.
    pub hit_1: Interval,
    /// Among the first four: a message.
    pub hit_4: Interval,
    /// Among the first ten.
    pub hit_10: Interval,
    /// Share of what was ordered that is among the first ten.
    pub recall_10: Interval,
    /// Among the first fifty.
    pub recall_50: Interval,
    /// Among the first hundred.
    pub recall_100: Interval,
}

/// (ltr - prior) / (oracle - prior): 0 is the prior, 1 knows all that the market knows but its noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Gap {
    /// Which queries.
    pub segment: &'static str,
    /// Of the mean reciprocal rank, by query.
    pub mrr: Option<Interval>,
    /// Of NDCG@10, by query.
    pub ndcg_10: Option<Interval>,
}

/// A query as every scorer ranked it.
struct Judged {
    user_id: String,
    n_before: usize,
    travelling: bool,
    new_merchant: bool,
    measures: Vec<Measures>,
}

/// Which queries a line of the report is about.
type Segment = (&'static str, fn(&Judged) -> bool);

const SEGMENTS: [Segment; 6] = [
    ("all", |_| true),
    ("new readers", |query| query.n_before < INFREQUENT_FROM),
    ("infrequent readers", |query| (INFREQUENT_FROM..FREQUENT_FROM).contains(&query.n_before)),
    ("frequent readers", |query| query.n_before >= FREQUENT_FROM),
    ("travelling readers", |query| query.travelling),
    ("first orders at a merchant", |query| query.new_merchant),
];

/// Ranks every query of the protocols by every scorer; writes all rankings where a file is given.
///
/// # Errors
/// No query after the split, a ranker that does not answer, a file that cannot be written, a row that knows what comes
/// later, or, unless that is allowed, tables that tell the answers.
pub fn evaluate<'t>(
    readers: impl Into<Readers<'t>>,
    map: &CuisineMap,
    oracle: Option<&Oracle>,
    ltr: Option<&dyn Scorer>,
    options: &EvaluateOptions,
    rankings: Option<&Path>,
    progress: &dyn Fn(usize, usize),
) -> Result<Evaluation, EvaluateError> {
    let readers = readers.into();
    let simulated = &readers.shared().simulated;
    let timeline_options = TimelineOptions { past: oracle.is_some(), ..options.timeline.clone() };
    let catalog = Catalog::new(readers.shared(), map, &timeline_options.areas);
    let timeline = Timeline::new(readers, map, &catalog, &timeline_options)?;
    let mut rankings = match rankings {
        Some(path) => Some(Rankings::create(path, simulated.as_deref())?),
        None => None,
    };
    let wanted = |protocol: &Protocol| Wanted {
        protocol: *protocol,
        from: options.split,
        asked: options.split..Timestamp::MAX,
        at_most: Some(options.queries),
        seed: options.seed,
    };
    let wanted: Vec<Wanted> = options.protocols.iter().map(wanted).collect();
    let census = timeline.census(&wanted)?;
    if let Some((wanted, _)) = wanted.iter().zip(&census).find(|(_, census)| census.drawn == 0) {
        return Err(EvaluateError::NoQueries { protocol: wanted.protocol.name(), split: options.split });
    }
    let all: Vec<_> = wanted.iter().zip(&census).map(|(wanted, census)| (wanted, census, Timestamp::MAX)).collect();
    let scenes = timeline.scenes(&all)?;
    let mut protocols = Vec::with_capacity(wanted.len());
    for ((wanted, census), scenes) in wanted.iter().zip(census).zip(&scenes) {
        let mut witness = leak::Witness::new(census.drawn, options.cuts);
        let asked = Asked { timeline: &timeline, protocol: wanted.protocol, census, scenes };
        let mut found = protocol_figures(asked, oracle, ltr, options, rankings.as_mut(), &mut witness, progress)?;
        found.audited = witness.audit(readers, map, options)?;
        protocols.push(found);
    }
    if let Some(rankings) = rankings {
        rankings.close()?;
    }
    let found: Vec<Suspicion> = protocols.iter().flat_map(|protocol| protocol.suspicions.iter().cloned()).collect();
    if !options.allow_leaks && !found.is_empty() {
        return Err(EvaluateError::Suspicious { found });
    }
    Ok(Evaluation {
        simulated: simulated.clone(),
        from: freshrank::time::format(options.split),
        resamples: options.resamples,
        protocols,
    })
}

/// The queries of one protocol.
struct Asked<'a, 't> {
    timeline: &'a Timeline<'t>,
    protocol: Protocol,
    census: Census,
    scenes: &'a Scenes,
}

fn protocol_figures(
    asked: Asked<'_, '_>,
    oracle: Option<&Oracle>,
    ltr: Option<&dyn Scorer>,
    options: &EvaluateOptions,
    mut rankings: Option<&mut Rankings>,
    witness: &mut leak::Witness,
    progress: &dyn Fn(usize, usize),
) -> Result<ProtocolFigures, EvaluateError> {
    let Asked { timeline, protocol, census, scenes } = asked;
    let mut left_out = census.left_out;
    if census.other > 0 {
        left_out.insert("asked before the split", census.other);
    }
    let in_use = options.in_use.as_ref();
    let is_there = |scorer: &&str| match *scorer {
        "ltr" => ltr.is_some(),
        "in use" => in_use.is_some(),
        "oracle" => oracle.is_some(),
        _ => true,
    };
    let scorers: Vec<&'static str> = SCORERS.into_iter().filter(is_there).collect();
    let mut judged: Vec<Judged> = Vec::with_capacity(census.drawn);
    let mut filtered: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut watch = leak::Watch::new(census.drawn);
    let (mut candidates, mut empty, mut failed) = (0, 0, None);
    let mut one = |answer: &Answer<'_>| -> Result<Option<Vec<Measures>>, EvaluateError> {
        let labels: Vec<f32> = (0..answer.kept.len()).map(|i| if answer.found == Ok(i) { 1.0 } else { 0.0 }).collect();
        let missing: &[f32] = if answer.found.is_ok() { &[] } else { &[1.0] };
        let mut measures = Vec::with_capacity(scorers.len());
        for scorer in &scorers {
            let model = if *scorer == "in use" { in_use.map(|model| model as &dyn Scorer) } else { ltr };
            let scores = scored(scorer, timeline, answer, oracle, model)?;
            measures.push(judge(&scores, &labels, missing));
            if let Some(rankings) = rankings.as_deref_mut() {
                rankings.add(timeline, answer, scorer, &scores);
            }
        }
        if let Some(rankings) = rankings.as_deref_mut() {
            rankings.next()?;
        }
        watch.see(answer, &labels, missing);
        witness.see(answer);
        candidates += answer.kept.len();
        if let Err(why) = answer.found {
            *filtered.entry(why).or_default() += 1;
        }
        Ok(measures.into_iter().collect())
    };
    timeline.live_through(scenes, progress, |answers| {
        for answer in answers {
            if failed.is_some() {
                return;
            }
            let (query, travelling) = (answer.query, answer.travelling);
            match one(&answer) {
                Ok(Some(measures)) => judged.push(Judged {
                    user_id: query.user_id.to_owned(),
                    n_before: query.n_before,
                    travelling,
                    new_merchant: query.new_merchant,
                    measures,
                }),
                Ok(None) => empty += 1,
                Err(error) => failed = Some(error),
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let (mut lines, mut gaps) = (Vec::new(), Vec::new());
    for segment in &SEGMENTS {
        let (figures, gap) = figures(segment, &judged, &scorers, options);
        lines.extend(figures);
        gaps.extend(gap);
    }
    let suspicions = watch.suspicions(protocol, &lines);
    let readers: BTreeSet<&str> = judged.iter().map(|query| query.user_id.as_str()).collect();
    Ok(ProtocolFigures {
        protocol,
        queries: judged.len(),
        drawn_of: (census.drawn < census.all).then_some(census.all),
        readers: readers.len(),
        candidates: candidates as f64 / judged.len() as f64,
        filtered,
        empty,
        left_out,
        audited: 0,
        suspicions,
        figures: lines,
        gaps,
    })
}

/// The place of a column in a row; in a constant, a name that no column has does not compile.
pub(crate) const fn column(name: &str) -> usize {
    let (mut at, name) = (0, name.as_bytes());
    loop {
        let (mut i, other) = (0, FEATURES[at].name.as_bytes());
        while i < name.len() && i < other.len() && name[i] == other[i] {
            i += 1;
        }
        if i == name.len() && i == other.len() {
            return at;
        }
        at += 1;
    }
}

/// The higher, the better.
fn scored(
    scorer: &'static str,
    timeline: &Timeline<'_>,
    answer: &Answer<'_>,
    oracle: Option<&Oracle>,
    model: Option<&dyn Scorer>,
) -> Result<Vec<f64>, EvaluateError> {
    let by = |at: usize, sign: f64| -> Vec<f64> { answer.rows.iter().map(|row| sign * f64::from(row[at])).collect() };
    // As the engine compares them: in fixed point.
    let fixed = |scores: Vec<i32>| scores.into_iter().map(f64::from).collect();
    Ok(match (scorer, model, oracle) {
        ("ltr" | "in use", Some(model), _) => {
            let wrong = |source| EvaluateError::Model { scorer: model.name(), source };
            fixed(score::score(model, &answer.rows).map_err(wrong)?)
        }
        ("oracle", _, Some(oracle)) => utilities(oracle, timeline, answer),
        ("prior", ..) => fixed(score::prior(&answer.rows)),
        ("own history", ..) => by(const { column("own_log_orders") }, 1.0),
        ("popularity in the cell", ..) => by(const { column("log_popularity_cell") }, 1.0),
        ("popularity", ..) => by(const { column("log_popularity_city") }, 1.0),
        ("nearest", ..) => by(const { column("distance_km") }, -1.0),
        _ => vec![0.0; answer.kept.len()],
    })
}

/// The lines of one segment: every scorer, what ltr has over each, and the share of the gap that it closes.
fn figures(
    segment: &Segment,
    judged: &[Judged],
    scorers: &[&'static str],
    options: &EvaluateOptions,
) -> (Vec<Figure>, Option<Gap>) {
    let mut sums = Sums::default();
    for query in judged.iter().filter(|query| segment.1(query)) {
        sums.add(&query.user_id, query.measures.iter().flatten().copied());
    }
    if sums.readers() == 0 {
        return (Vec::new(), None);
    }
    let drawn = Resampled::new(&sums, options.resamples, options.seed);
    let place = |scorer: &str| scorers.iter().position(|name| *name == scorer);
    let ltr = place("ltr");
    let alone = (0..scorers.len()).map(|line| (scorers[line].to_owned(), line, None));
    let over = ltr.into_iter().flat_map(|ltr| {
        let others = (0..scorers.len()).filter(move |line| *line != ltr);
        others.map(move |line| (format!("ltr - {}", scorers[line]), ltr, Some(line)))
    });
    let line = |(scorer, line, less): (String, usize, Option<usize>)| Figure {
        segment: segment.0,
        scorer,
        by_query: scores(&drawn, line, less, 0),
        by_reader: scores(&drawn, line, less, 1),
        queries: sums.queries(),
        readers: sums.readers(),
    };
    let lines = alone.chain(over).map(line).collect();

    let gap = ltr.zip(place("prior")).zip(place("oracle")).map(|((ltr, prior), oracle)| {
        let closed = |measure: usize| {
            drawn.interval(|means| {
                let of = |scorer: usize| means[scorer * N_MEASURES + measure][0];
                (of(ltr) - of(prior)) / (of(oracle) - of(prior))
            })
        };
        Gap { segment: segment.0, mrr: closed(RECIPROCAL_RANK), ndcg_10: closed(NDCG_10) }
    });
    (lines, gap)
}

/// One line's measures, by query (0) or by reader (1), or their differences to another line's.
fn scores(drawn: &Resampled, line: usize, less: Option<usize>, kind: usize) -> Scores {
    let of = |means: &Means, measure: usize| {
        means[line * N_MEASURES + measure][kind] - less.map_or(0.0, |less| means[less * N_MEASURES + measure][kind])
    };
    let interval = |measure: usize| {
        let found = drawn.interval(|means| of(means, measure));
        found.unwrap_or(Interval { value: 0.0, low: 0.0, high: 0.0 })
    };
    // The same candidates for every scorer: a difference divides by the same coverage.
    let coverage = |means: &Means| means[line * N_MEASURES + COVERED][kind];
    let covered = drawn.interval(coverage);
    Scores {
        coverage: covered.unwrap_or(Interval { value: 0.0, low: 0.0, high: 0.0 }),
        mrr: interval(RECIPROCAL_RANK),
        mrr_covered: drawn.interval(|means| of(means, RECIPROCAL_RANK) / coverage(means)),
        ndcg_10: interval(NDCG_10),
        hit_1: interval(HIT),
        hit_4: interval(HIT + 1),
        hit_10: interval(HIT + 2),
        recall_10: interval(RECALL),
        recall_50: interval(RECALL + 1),
        recall_100: interval(RECALL + 2),
    }
}

#[cfg(test)]
pub(crate) mod tests;
