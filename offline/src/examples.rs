//! Training rows, made by the engine's own featurizer as of each message's time.
//!
//! A query whose order cannot be among the candidates teaches nothing: it is counted by the reason and left out.
//! Evaluation keeps it.

use crate::areas::{AreaError, Catalog};
use crate::cuisines::CuisineMap;
use crate::market::{Oracle, Past};
use crate::tables::{Tables, Timestamp};
use crate::timeline::{Answer, LeftOut, Protocol, Query, Timeline, TimelineOptions, mix};
use arrow::array::{ArrayRef, Float32Array, Int64Array, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use freshrank::MerchantId;
use freshrank::feature::{self, FEATURES, N_FEATURES};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// The share of queries, by time, that trains; the next validates, the last tests.
const TRAIN: f64 = 0.70;
const VALID: f64 = 0.15;
/// Rows gathered before they are written.
const BATCH_ROWS: usize = 1 << 16;

/// How to make rows.
#[derive(Debug, Clone, PartialEq)]
pub struct ExampleOptions {
    /// What is known and what is filtered.
    pub timeline: TimelineOptions,
    /// Of a query's candidates: the order's merchant, the others drawn evenly.
    pub candidates: usize,
    /// At most so many queries, drawn evenly; all if absent.
    pub queries: Option<usize>,
    /// Of what is drawn here.
    pub seed: u64,
}

impl Default for ExampleOptions {
    fn default() -> Self {
        Self { timeline: TimelineOptions::default(), candidates: 100, queries: None, seed: 1 }
    }
}

/// Why there are no rows.
#[derive(Debug, Error)]
pub enum ExamplesError {
    /// An area cannot be built.
    #[error(transparent)]
    Area(#[from] AreaError),
    /// The file cannot be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Neither can its contents.
    #[error("{}: {source}", path.display())]
    Parquet {
        /// Which.
        path: PathBuf,
        /// What the writer says.
        source: ParquetError,
    },
    /// Nobody ordered twice.
    #[error("found no later order of any reader among {orders} orders, expected at least one")]
    NoQueries {
        /// Orders of the table.
        orders: usize,
    },
}

/// One candidate of one query.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// What its query knows.
    pub protocol: Protocol,
    /// Its query, ascending.
    pub query_id: u32,
    /// Whose.
    pub user_id: String,
    /// When it is asked, seconds since 1970.
    pub at: Timestamp,
    /// The candidate.
    pub merchant_id: String,
    /// 1 where it was ordered from.
    pub label: f32,
    /// `train`, `valid` or `test`, by time.
    pub split: &'static str,
    /// What ranks without a model.
    pub prior: f32,
    /// The market's true utility; NaN where nobody knows.
    pub utility: f32,
    /// As [`FEATURES`].
    pub features: Vec<f32>,
}

/// What became of the orders.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ExamplesReport {
    /// Said in every output when present.
    pub simulated: Option<String>,
    /// Queries written, by protocol and split; `known-place` only to train on.
    pub queries: BTreeMap<&'static str, BTreeMap<&'static str, usize>>,
    /// Rows written.
    pub rows: usize,
    /// Queries whose order was no candidate, by protocol and reason.
    pub filtered: BTreeMap<&'static str, BTreeMap<&'static str, usize>>,
    /// Orders that are no queries, by reason.
    pub left_out: LeftOut,
    /// First query times of the validation and test splits, seconds since 1970.
    pub valid_from: Timestamp,
    /// Evaluation of a model trained on these rows starts here.
    pub test_from: Timestamp,
}

/// Where the splits begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Splits {
    valid: Timestamp,
    test: Timestamp,
}

impl Splits {
    /// Queries ascend by time.
    fn of(queries: &[Query<'_>]) -> Self {
        let at = |share: f64| {
            let i = (queries.len() as f64 * share) as usize;
            queries.get(i).or(queries.last()).map_or(0, |query| query.at)
        };
        Self { valid: at(TRAIN), test: at(TRAIN + VALID) }
    }

    fn name(self, at: Timestamp) -> &'static str {
        if at >= self.test {
            "test"
        } else if at >= self.valid {
            "valid"
        } else {
            "train"
        }
    }
}

/// Makes the rows, query after query; `take` gets those of some queries at a time.
///
/// # Errors
/// No reader ordered twice, or an area that cannot be built.
pub fn make(
    tables: &Tables,
    map: &CuisineMap,
    oracle: Option<&Oracle>,
    options: &ExampleOptions,
    progress: &dyn Fn(usize, usize),
    mut take: impl FnMut(Vec<Example>),
) -> Result<ExamplesReport, ExamplesError> {
    let catalog = Catalog::new(tables, map, &options.timeline.areas);
    let timeline = Timeline::new(tables, map, &catalog, &options.timeline);
    let (mut queries, left_out) = timeline.queries(Protocol::SendTime, Timestamp::MIN);
    sample(&mut queries, options);
    if queries.is_empty() {
        return Err(ExamplesError::NoQueries { orders: tables.orders.len() });
    }
    let splits = Splits::of(&queries);
    let (mut known, _) = timeline.queries(Protocol::KnownPlace, Timestamp::MIN);
    sample(&mut known, options);
    // Only to train on: what is measured is the message.
    known.retain(|query| query.at < splits.valid);
    let mut report = ExamplesReport {
        simulated: tables.simulated.clone(),
        left_out,
        valid_from: splits.valid,
        test_from: splits.test,
        ..ExamplesReport::default()
    };
    let mut query_id = 0;
    for queries in [&queries, &known] {
        timeline.live(queries, progress, |answers| {
            let mut examples = Vec::new();
            for answer in answers {
                let protocol = answer.query.protocol.name();
                match answer.found {
                    Ok(positive) => {
                        let split = splits.name(answer.query.at);
                        examples.extend(rows(&timeline, &answer, positive, query_id, split, oracle, options));
                        *report.queries.entry(protocol).or_default().entry(split).or_default() += 1;
                        query_id += 1;
                    }
                    Err(why) => *report.filtered.entry(protocol).or_default().entry(why).or_default() += 1,
                }
            }
            report.rows += examples.len();
            take(examples);
        })?;
    }
    Ok(report)
}

/// Makes the rows and writes them.
///
/// # Errors
/// As [`make`], and a file that cannot be written.
pub fn write(
    tables: &Tables,
    map: &CuisineMap,
    oracle: Option<&Oracle>,
    options: &ExampleOptions,
    path: &Path,
    progress: &dyn Fn(usize, usize),
) -> Result<ExamplesReport, ExamplesError> {
    let wrong = |source| ExamplesError::Parquet { path: path.into(), source };
    let file = File::create(path).map_err(|source| ExamplesError::Io { path: path.into(), source })?;
    let schema = schema();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(wrong)?))
        .set_key_value_metadata(Some(metadata(tables.simulated.as_deref())))
        .build();
    let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(wrong)?;
    let mut waiting: Vec<Example> = Vec::new();
    let mut failed = None;
    let mut put = |examples: &mut Vec<Example>| {
        let written = batch(&schema, examples).map_err(ParquetError::from).and_then(|batch| writer.write(&batch));
        failed = failed.take().or(written.err());
        examples.clear();
    };
    let report = make(tables, map, oracle, options, progress, |examples| {
        waiting.extend(examples);
        if waiting.len() >= BATCH_ROWS {
            put(&mut waiting);
        }
    })?;
    put(&mut waiting);
    match failed {
        Some(source) => Err(wrong(source)),
        None => writer.close().map(|_| report).map_err(wrong),
    }
}

/// Draws queries evenly, and leaves them in order of time.
fn sample(queries: &mut Vec<Query<'_>>, options: &ExampleOptions) {
    let Some(n) = options.queries.filter(|n| *n < queries.len()) else {
        return;
    };
    let key = |query: &Query<'_>| mix(options.seed ^ query_key(query));
    let mut keys: Vec<u64> = queries.iter().map(key).collect();
    let (_, last, _) = keys.select_nth_unstable(n);
    let last = *last;
    queries.retain(|query| key(query) < last);
}

/// Depends on the reader and the time, not on other queries.
fn query_key(query: &Query<'_>) -> u64 {
    MerchantId::of(query.user_id).0 ^ mix(query.at as u64)
}

fn rows(
    timeline: &Timeline<'_>,
    answer: &Answer<'_>,
    positive: usize,
    query_id: u32,
    split: &'static str,
    oracle: Option<&Oracle>,
    options: &ExampleOptions,
) -> Vec<Example> {
    let query = &answer.query;
    let seed = mix(options.seed ^ query_key(query));
    let mut drawn: Vec<usize> = (0..answer.kept.len()).filter(|i| *i != positive).collect();
    drawn.sort_by_key(|i| (mix(seed ^ answer.kept[*i].merchant.id.0), *i));
    drawn.truncate(options.candidates.saturating_sub(1));
    drawn.push(positive);
    drawn.sort_unstable();
    let utilities = oracle.map(|oracle| utilities(oracle, timeline, answer));
    let all: Vec<&[f32]> = answer.rows.iter().collect();
    let example = |i: usize| Example {
        protocol: query.protocol,
        query_id,
        user_id: query.user_id.to_owned(),
        at: query.at,
        merchant_id: name(timeline.catalog(), answer.kept[i].merchant.id),
        label: if i == positive { 1.0 } else { 0.0 },
        split,
        prior: feature::prior(all[i]),
        utility: utilities.as_ref().map_or(f32::NAN, |utilities| utilities[i] as f32),
        features: all[i].to_vec(),
    };
    drawn.into_iter().map(example).collect()
}

/// What every candidate was truly worth when and where the order was placed, knowing all of the reader's past: more
/// than any scorer of a message can know.
pub(crate) fn utilities(oracle: &Oracle, timeline: &Timeline<'_>, answer: &Answer<'_>) -> Vec<f64> {
    let query = &answer.query;
    let orders = timeline.reader(query.user_id).map_or(&[][..], |rows| rows.orders.as_slice());
    let past = orders.iter().take_while(|order| order.ordered_at < query.order.ordered_at);
    let past: Vec<Past> = past
        .filter_map(|order| Some(Past { merchant: oracle.merchant(&order.merchant_id)?, at: order.ordered_at }))
        .collect();
    let soul = oracle.soul(query.user_id);
    let moment = oracle.moment(&soul, query.order.ordered_at, query.destination, &past);
    let utility = |id: MerchantId| {
        let row = timeline.catalog().row_of(id).and_then(|row| timeline.catalog().merchant(row));
        row.and_then(|row| oracle.merchant(&row.merchant_id)).map_or(f64::NEG_INFINITY, |row| moment.utility(row))
    };
    answer.kept.iter().map(|candidate| utility(candidate.merchant.id)).collect()
}

/// The merchant's id in the tables.
pub(crate) fn name(catalog: &Catalog<'_>, id: MerchantId) -> String {
    catalog.row_of(id).and_then(|row| catalog.merchant(row)).map_or_else(String::new, |row| row.merchant_id.clone())
}

fn schema() -> Arc<Schema> {
    let mut fields = vec![
        Field::new("query_id", DataType::UInt32, false),
        Field::new("user_id", DataType::Utf8, false),
        Field::new("at", DataType::Int64, false),
        Field::new("protocol", DataType::Utf8, false),
        Field::new("merchant_id", DataType::Utf8, false),
        Field::new("label", DataType::Float32, false),
        Field::new("split", DataType::Utf8, false),
        Field::new("prior", DataType::Float32, false),
        Field::new("utility", DataType::Float32, false),
    ];
    fields.extend(FEATURES.iter().map(|feature| Field::new(feature.name, DataType::Float32, false)));
    Arc::new(Schema::new(fields))
}

fn metadata(simulated: Option<&str>) -> Vec<KeyValue> {
    let names: Vec<&str> = FEATURES.iter().map(|feature| feature.name).collect();
    let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    vec![
        pair("freshrank.features", serde_json::Value::from(names).to_string()),
        pair("freshrank.fingerprint", feature::fingerprint_hex()),
        pair("freshrank.simulated", simulated.unwrap_or_default().to_owned()),
    ]
}

fn batch(schema: &Arc<Schema>, examples: &[Example]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let text = |value: fn(&Example) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(examples.iter().map(value)))
    };
    let number = |value: &dyn Fn(&Example) -> f32| -> ArrayRef {
        Arc::new(Float32Array::from_iter_values(examples.iter().map(value)))
    };
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from_iter_values(examples.iter().map(|e| e.query_id))),
        text(|e| &e.user_id),
        Arc::new(Int64Array::from_iter_values(examples.iter().map(|e| e.at))),
        text(|example| example.protocol.name()),
        text(|e| &e.merchant_id),
        number(&|e| e.label),
        text(|e| e.split),
        number(&|e| e.prior),
        number(&|e| e.utility),
    ];
    columns.extend((0..N_FEATURES).map(|column| number(&|e| e.features[column])));
    RecordBatch::try_new(schema.clone(), columns)
}
