//! How well each scorer ranks what readers ordered next.
//!
//! All scorers rank the same candidates: after the filters, before the best N and the blend. A query whose order was
//! filtered stays, with nothing gained, and its reason is counted. Equal scores are judged by their expectation over
//! all orders they could be shown in, so that no scorer gains by luck; a scorer that tells nothing is *random*.

use crate::areas::Catalog;
use crate::cuisines::CuisineMap;
use crate::examples::{ExamplesError, name, utilities};
use crate::market::Oracle;
use crate::tables::{Tables, Timestamp};
use crate::timeline::{Answer, LeftOut, Protocol, Timeline, TimelineOptions, mix};
use arrow::array::{ArrayRef, Float32Array, Float64Array, Int64Array, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use freshrank::feature::FEATURES;
use freshrank::score::{self, ModelError, Scorer};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Where a list is cut by NDCG.
const NDCG_DEPTH: usize = 10;
/// Orders before the query of a reader who is no longer new, and of one who orders often.
const INFREQUENT_FROM: usize = 2;
const FREQUENT_FROM: usize = 5;

/// Who ranks, in the order of reports.
const SCORERS: [&str; 8] =
    ["ltr", "prior", "own history", "popularity in the cell", "popularity", "nearest", "random", "oracle"];
/// The difference that is tested.
const DIFFERENCE: &str = "ltr - prior";

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
}

impl EvaluateOptions {
    /// Both protocols from a time on.
    #[must_use]
    pub fn new(split: Timestamp) -> Self {
        let protocols = vec![Protocol::KnownPlace, Protocol::SendTime];
        Self { timeline: TimelineOptions::default(), split, protocols, resamples: 1000, seed: 1 }
    }
}

/// Why there is no evaluation.
#[derive(Debug, Error)]
pub enum EvaluateError {
    /// The queries cannot be asked.
    #[error(transparent)]
    Examples(#[from] ExamplesError),
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
    /// The rankings cannot be written.
    #[error("{}: {source}", path.display())]
    Rankings {
        /// Which file.
        path: PathBuf,
        /// What the writer says.
        source: ParquetError,
    },
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
    /// Readers they are of.
    pub readers: usize,
    /// Candidates of a query, on average.
    pub candidates: f64,
    /// Queries whose order was no candidate, by reason; they stay, with nothing gained.
    pub filtered: BTreeMap<&'static str, usize>,
    /// Orders from the split on that are no queries, by reason.
    pub left_out: LeftOut,
    /// By segment, then scorer; the difference last.
    pub figures: Vec<Figure>,
}

/// One scorer over one kind of query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Which queries.
    pub segment: &'static str,
    /// Who ranked, or `ltr - prior`.
    pub scorer: &'static str,
    /// Each query counts alike.
    pub by_query: Scores,
    /// Each reader counts alike.
    pub by_reader: Scores,
    /// How many queries.
    pub queries: usize,
    /// How many readers.
    pub readers: usize,
}

/// Five measures, each with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scores {
    /// Mean reciprocal rank.
    pub mrr: Interval,
    /// Normalized discounted cumulative gain of the first ten; gain 2^label - 1.
    pub ndcg_10: Interval,
    /// Share of queries whose order was ranked first.
    pub hit_1: Interval,
    /// Among the first four: a message.
    pub hit_4: Interval,
    /// Among the first ten.
    pub hit_10: Interval,
}

/// A mean, and where 95 % of the resampled means lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Of all readers.
    pub value: f64,
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th.
    pub high: f64,
}

const N_MEASURES: usize = 5;

/// The measures of one ranking: reciprocal rank, NDCG@10, hits at 1, 4 and 10.
pub type Measures = [f64; N_MEASURES];

/// Judges one ranking by the expectation over all orders of equal scores; `None` where nothing was ordered.
///
/// `missing` are labels of merchants that were ordered from but are no candidates: they gain nothing and count in what
/// could have been gained.
#[must_use]
pub fn judge(scores: &[f64], labels: &[f32], missing: &[f32]) -> Option<Measures> {
    let gain = |label: &f32| libm::exp2(f64::from(*label)) - 1.0;
    let discount = |rank: usize| 1.0 / libm::log2(rank as f64 + 1.0);
    let mut gains: Vec<f64> = labels.iter().chain(missing).map(gain).filter(|gain| *gain > 0.0).collect();
    gains.sort_by(|a, b| b.total_cmp(a));
    let ideal: f64 = gains.iter().take(NDCG_DEPTH).zip(1..).map(|(gain, rank)| gain * discount(rank)).sum();
    if ideal == 0.0 {
        return None;
    }

    let mut order: Vec<usize> = (0..scores.len().min(labels.len())).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let mut measures = [0.0; N_MEASURES];
    let (mut before, mut found) = (0, false);
    for tie in order.chunk_by(|a, b| scores[*a].total_cmp(&scores[*b]).is_eq()) {
        let n = tie.len();
        let share = tie.iter().map(|i| gain(&labels[*i])).sum::<f64>() / n as f64;
        let depth = (before + n).min(NDCG_DEPTH);
        measures[1] += share * (before + 1..=depth).map(discount).sum::<f64>() / ideal;

        let relevant = tie.iter().filter(|i| labels[**i] > 0.0).count();
        if relevant > 0 && !found {
            found = true;
            // The chance that none of the first j of the tie is relevant, for j - 1 and j.
            let mut none = 1.0;
            for j in 0..=n - relevant {
                let still = none * (n - relevant - j) as f64 / (n - j) as f64;
                let (first, rank) = (none - still, before + j + 1);
                measures[0] += first / rank as f64;
                for (measure, depth) in measures[2..].iter_mut().zip([1, 4, 10]) {
                    *measure += if rank <= depth { first } else { 0.0 };
                }
                none = still;
            }
        }
        before += n;
    }
    Some(measures)
}

/// A query as every scorer ranked it.
struct Judged<'t> {
    user_id: &'t str,
    n_before: usize,
    travelling: bool,
    new_merchant: bool,
    measures: Vec<Measures>,
}

/// Which queries a line of the report is about.
type Segment = (&'static str, fn(&Judged<'_>) -> bool);

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
/// No query after the split, a ranker that does not answer, or a file that cannot be written.
pub fn evaluate(
    tables: &Tables,
    map: &CuisineMap,
    oracle: Option<&Oracle>,
    ltr: Option<&dyn Scorer>,
    options: &EvaluateOptions,
    rankings: Option<&Path>,
    progress: &dyn Fn(usize, usize),
) -> Result<Evaluation, EvaluateError> {
    let catalog = Catalog::new(tables, map, &options.timeline.areas);
    let timeline = Timeline::new(tables, map, &catalog, &options.timeline);
    let mut rankings = match rankings {
        Some(path) => Some(Rankings::create(path, tables.simulated.as_deref())?),
        None => None,
    };
    let protocols = options.protocols.iter().map(|protocol| {
        let found = protocol_figures(&timeline, *protocol, oracle, ltr, options, rankings.as_mut(), progress)?;
        Ok(found)
    });
    let protocols = protocols.collect::<Result<Vec<_>, EvaluateError>>()?;
    if let Some(rankings) = rankings {
        rankings.close()?;
    }
    Ok(Evaluation {
        simulated: tables.simulated.clone(),
        from: freshrank::time::format(options.split),
        resamples: options.resamples,
        protocols,
    })
}

fn protocol_figures(
    timeline: &Timeline<'_>,
    protocol: Protocol,
    oracle: Option<&Oracle>,
    ltr: Option<&dyn Scorer>,
    options: &EvaluateOptions,
    mut rankings: Option<&mut Rankings>,
    progress: &dyn Fn(usize, usize),
) -> Result<ProtocolFigures, EvaluateError> {
    let (mut queries, mut left_out) = timeline.queries(protocol, options.split);
    let all = queries.len();
    queries.retain(|query| query.at >= options.split);
    if queries.len() < all {
        left_out.insert("asked before the split", all - queries.len());
    }
    if queries.is_empty() {
        return Err(EvaluateError::NoQueries { protocol: protocol.name(), split: options.split });
    }
    let scorers: Vec<&'static str> = SCORERS
        .into_iter()
        .filter(|scorer| (*scorer != "ltr" || ltr.is_some()) && (*scorer != "oracle" || oracle.is_some()))
        .collect();
    let mut judged: Vec<Judged<'_>> = Vec::with_capacity(queries.len());
    let mut filtered: BTreeMap<&'static str, usize> = BTreeMap::new();
    let (mut candidates, mut failed) = (0, None);
    let mut one = |answer: Answer<'_>| -> Result<Vec<Measures>, EvaluateError> {
        let labels: Vec<f32> = (0..answer.kept.len()).map(|i| if answer.found == Ok(i) { 1.0 } else { 0.0 }).collect();
        let missing: &[f32] = if answer.found.is_ok() { &[] } else { &[1.0] };
        let mut measures = Vec::with_capacity(scorers.len());
        for scorer in &scorers {
            let scores = scored(scorer, timeline, &answer, oracle, ltr)?;
            measures.push(judge(&scores, &labels, missing).unwrap_or_default());
            if let Some(rankings) = rankings.as_deref_mut() {
                rankings.add(timeline, &answer, scorer, &scores);
            }
        }
        if let Some(rankings) = rankings.as_deref_mut() {
            rankings.next()?;
        }
        candidates += answer.kept.len();
        if let Err(why) = answer.found {
            *filtered.entry(why).or_default() += 1;
        }
        Ok(measures)
    };
    let lived = timeline.live(&queries, progress, |answers| {
        for answer in answers {
            if failed.is_some() {
                return;
            }
            let (query, travelling) = (answer.query, answer.travelling);
            match one(answer) {
                Ok(measures) => judged.push(Judged {
                    user_id: query.user_id,
                    n_before: query.n_before,
                    travelling,
                    new_merchant: query.new_merchant,
                    measures,
                }),
                Err(error) => failed = Some(error),
            }
        }
    });
    lived.map_err(ExamplesError::from)?;
    if let Some(error) = failed {
        return Err(error);
    }
    let segments = SEGMENTS.iter().flat_map(|segment| figures(segment, &judged, &scorers, options));
    let readers: std::collections::BTreeSet<&str> = judged.iter().map(|query| query.user_id).collect();
    Ok(ProtocolFigures {
        protocol,
        queries: judged.len(),
        readers: readers.len(),
        candidates: candidates as f64 / judged.len() as f64,
        filtered,
        left_out,
        figures: segments.collect(),
    })
}

/// The higher, the better.
fn scored(
    scorer: &'static str,
    timeline: &Timeline<'_>,
    answer: &Answer<'_>,
    oracle: Option<&Oracle>,
    ltr: Option<&dyn Scorer>,
) -> Result<Vec<f64>, EvaluateError> {
    let column = |name: &str, sign: f64| -> Vec<f64> {
        let at = FEATURES.iter().position(|feature| feature.name == name);
        answer.rows.iter().map(|row| at.map_or(0.0, |at| sign * f64::from(row[at]))).collect()
    };
    // As the engine compares them: in fixed point.
    let fixed = |scores: Vec<i32>| scores.into_iter().map(f64::from).collect();
    Ok(match (scorer, ltr, oracle) {
        ("ltr", Some(ltr), _) => {
            let wrong = |source| EvaluateError::Model { scorer: ltr.name(), source };
            fixed(score::score(ltr, &answer.rows).map_err(wrong)?)
        }
        ("oracle", _, Some(oracle)) => utilities(oracle, timeline, answer),
        ("prior", ..) => fixed(score::prior(&answer.rows)),
        ("own history", ..) => column("own_log_orders", 1.0),
        ("popularity in the cell", ..) => column("log_popularity_cell", 1.0),
        ("popularity", ..) => column("log_popularity_city", 1.0),
        ("nearest", ..) => column("distance_km", -1.0),
        _ => vec![0.0; answer.kept.len()],
    })
}

/// What a reader's queries add up to, by scorer.
struct OfReader {
    n: f64,
    sums: Vec<Measures>,
}

/// The lines of one segment: every scorer, then the difference.
fn figures(
    segment: &Segment,
    judged: &[Judged<'_>],
    scorers: &[&'static str],
    options: &EvaluateOptions,
) -> Vec<Figure> {
    let mut readers: BTreeMap<&str, OfReader> = BTreeMap::new();
    let with_difference = scorers.starts_with(&["ltr", "prior"]);
    let n_lines = scorers.len() + usize::from(with_difference);
    for query in judged.iter().filter(|query| segment.1(query)) {
        let reader =
            readers.entry(query.user_id).or_insert_with(|| OfReader { n: 0.0, sums: vec![[0.0; N_MEASURES]; n_lines] });
        reader.n += 1.0;
        let add = |sums: &mut Measures, value: &dyn Fn(usize) -> f64| {
            sums.iter_mut().enumerate().for_each(|(m, sum)| *sum += value(m));
        };
        for (sums, measures) in reader.sums.iter_mut().zip(&query.measures) {
            add(sums, &|m| measures[m]);
        }
        if with_difference && let Some(sums) = reader.sums.last_mut() {
            add(sums, &|m| query.measures[0][m] - query.measures[1][m]);
        }
    }
    let readers: Vec<OfReader> = readers.into_values().collect();
    if readers.is_empty() {
        return Vec::new();
    }
    let once: Vec<f64> = vec![1.0; readers.len()];
    let all = means(&readers, &once);
    let resampled: Vec<Vec<[Measures; 2]>> = (0..options.resamples as u64)
        .into_par_iter()
        .map(|b| means(&readers, &drawn(readers.len(), options.seed, b)))
        .collect();
    let interval = |line: usize, kind: usize, measure: usize| {
        let mut values: Vec<f64> = resampled.iter().map(|means| means[line][kind][measure]).collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let i = libm::round(share * values.len().saturating_sub(1) as f64) as usize;
            values.get(i).copied().unwrap_or(all[line][kind][measure])
        };
        Interval { value: all[line][kind][measure], low: at(0.025), high: at(0.975) }
    };
    let scores = |line: usize, kind: usize| Scores {
        mrr: interval(line, kind, 0),
        ndcg_10: interval(line, kind, 1),
        hit_1: interval(line, kind, 2),
        hit_4: interval(line, kind, 3),
        hit_10: interval(line, kind, 4),
    };
    let queries = readers.iter().map(|reader| reader.n as usize).sum();
    let line = |line: usize| Figure {
        segment: segment.0,
        scorer: scorers.get(line).copied().unwrap_or(DIFFERENCE),
        by_query: scores(line, 0),
        by_reader: scores(line, 1),
        queries,
        readers: readers.len(),
    };
    (0..n_lines).map(line).collect()
}

/// How often each reader is drawn, with replacement; the same for every scorer, so that differences are paired.
fn drawn(n: usize, seed: u64, resample: u64) -> Vec<f64> {
    let mut times = vec![0.0; n];
    let start = mix(seed ^ mix(resample));
    (0..n as u64).for_each(|i| times[(mix(start.wrapping_add(i)) % n as u64) as usize] += 1.0);
    times
}

/// By line: the mean over queries and the mean over readers' means, each reader counted so many times.
fn means(readers: &[OfReader], times: &[f64]) -> Vec<[Measures; 2]> {
    let n_lines = readers.first().map_or(0, |reader| reader.sums.len());
    let mut sums = vec![[[0.0; N_MEASURES]; 2]; n_lines];
    let (mut queries, mut n) = (0.0, 0.0);
    for (reader, times) in readers.iter().zip(times).filter(|(_, times)| **times > 0.0) {
        queries += times * reader.n;
        n += times;
        for (sum, own) in sums.iter_mut().zip(&reader.sums) {
            for m in 0..N_MEASURES {
                sum[0][m] += times * own[m];
                sum[1][m] += times * own[m] / reader.n;
            }
        }
    }
    for sum in &mut sums {
        sum[0].iter_mut().for_each(|value| *value /= queries);
        sum[1].iter_mut().for_each(|value| *value /= n);
    }
    sums
}

/// The file of all rankings: one row a query, scorer and candidate, best first.
///
/// `rank` is the mean rank among equal scores; an order that was filtered has a row without rank and score.
struct Rankings {
    path: PathBuf,
    schema: Arc<Schema>,
    writer: ArrowWriter<File>,
    query_id: u32,
    rows: Vec<Ranked>,
}

struct Ranked {
    protocol: &'static str,
    query_id: u32,
    user_id: String,
    at: Timestamp,
    place_used: Option<String>,
    merchant_id: String,
    rank: Option<f64>,
    score: Option<f64>,
    label: f32,
    scorer: &'static str,
}

/// Rows gathered before they are written.
const BATCH_ROWS: usize = 1 << 17;

impl Rankings {
    fn create(path: &Path, simulated: Option<&str>) -> Result<Self, EvaluateError> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("protocol", DataType::Utf8, false),
            Field::new("query_id", DataType::UInt32, false),
            Field::new("user_id", DataType::Utf8, false),
            Field::new("at", DataType::Int64, false),
            Field::new("place_used", DataType::Utf8, true),
            Field::new("merchant_id", DataType::Utf8, false),
            Field::new("rank", DataType::Float64, true),
            Field::new("score", DataType::Float64, true),
            Field::new("label", DataType::Float32, false),
            Field::new("scorer", DataType::Utf8, false),
        ]));
        let open = || {
            let said = KeyValue::new("freshrank.simulated".to_owned(), simulated.unwrap_or_default().to_owned());
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
                .set_key_value_metadata(Some(vec![said]))
                .build();
            ArrowWriter::try_new(File::create(path)?, schema.clone(), Some(properties))
        };
        let writer = open().map_err(|source| EvaluateError::Rankings { path: path.into(), source })?;
        Ok(Self { path: path.into(), schema, writer, query_id: 0, rows: Vec::new() })
    }

    fn add(&mut self, timeline: &Timeline<'_>, answer: &Answer<'_>, scorer: &'static str, scores: &[f64]) {
        let query = &answer.query;
        let place_used = answer.place.cell().map(|cell| cell.to_string());
        let row = |merchant_id, rank, score, label| Ranked {
            protocol: query.protocol.name(),
            query_id: self.query_id,
            user_id: query.user_id.to_owned(),
            at: query.at,
            place_used: place_used.clone(),
            merchant_id,
            rank,
            score,
            label,
            scorer,
        };
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
        let mut before = 0;
        for tie in order.chunk_by(|a, b| scores[*a].total_cmp(&scores[*b]).is_eq()) {
            let rank = before as f64 + (tie.len() + 1) as f64 / 2.0;
            for &i in tie {
                let label = if answer.found == Ok(i) { 1.0 } else { 0.0 };
                let merchant_id = name(timeline.catalog(), answer.kept[i].merchant.id);
                self.rows.push(row(merchant_id, Some(rank), Some(scores[i]), label));
            }
            before += tie.len();
        }
        if answer.found.is_err() {
            self.rows.push(row(query.order.merchant_id.clone(), None, None, 1.0));
        }
    }

    /// Ends a query.
    fn next(&mut self) -> Result<(), EvaluateError> {
        self.query_id += 1;
        if self.rows.len() >= BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), EvaluateError> {
        let rows = std::mem::take(&mut self.rows);
        let text = |value: fn(&Ranked) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(value)))
        };
        let columns: Vec<ArrayRef> = vec![
            text(|row| row.protocol),
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.query_id))),
            text(|row| &row.user_id),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.at))),
            Arc::new(rows.iter().map(|row| row.place_used.as_deref()).collect::<StringArray>()),
            text(|row| &row.merchant_id),
            Arc::new(rows.iter().map(|row| row.rank).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|row| row.score).collect::<Float64Array>()),
            Arc::new(Float32Array::from_iter_values(rows.iter().map(|row| row.label))),
            text(|row| row.scorer),
        ];
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(ParquetError::from);
        let written = batch.and_then(|batch| self.writer.write(&batch));
        written.map_err(|source| EvaluateError::Rankings { path: self.path.clone(), source })
    }

    fn close(mut self) -> Result<(), EvaluateError> {
        self.flush()?;
        let path = self.path;
        self.writer.close().map(drop).map_err(|source| EvaluateError::Rankings { path, source })
    }
}

#[cfg(test)]
mod tests;
