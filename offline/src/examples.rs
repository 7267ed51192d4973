//! Training rows, made by the engine's own featurizer as of each message's time.
//!
//! A query whose order cannot be among the candidates teaches nothing: it is counted by the reason and left out.
//! Evaluation keeps it.

use crate::areas::Catalog;
use crate::cuisines::CuisineMap;
use crate::market::Oracle;
use crate::tables::Timestamp;
use crate::timeline::{
    Answer, Census, Impression, LeftOut, Protocol, Query, Readers, Shown, Timeline, TimelineError, TimelineOptions,
    Wanted, mix,
};
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
/// The protocol of a message that a person looked at, as in files and reports.
const MESSAGE: &str = "message";
/// Rows gathered before they are written.
const BATCH_ROWS: usize = 1 << 16;
/// Rows of a group of the file: what the writer holds at most.
const GROUP_ROWS: usize = 1 << 18;

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
    /// Whether messages that a person looked at are queries to train on, and rows tell slots and clicks.
    pub clicks: bool,
}

impl Default for ExampleOptions {
    fn default() -> Self {
        Self { timeline: TimelineOptions::default(), candidates: 100, queries: None, seed: 1, clicks: false }
    }
}

/// Why there are no rows.
#[derive(Debug, Error)]
pub enum ExamplesError {
    /// The queries cannot be asked.
    #[error(transparent)]
    Timeline(#[from] TimelineError),
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
    /// What came of it in a message; of its queries every row was shown.
    pub shown: Option<Shown>,
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
    fn of(messages: &Census) -> Self {
        Self { valid: messages.at_share(TRAIN), test: messages.at_share(TRAIN + VALID) }
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
pub fn make<'t>(
    readers: impl Into<Readers<'t>>,
    map: &CuisineMap,
    oracle: Option<&Oracle>,
    options: &ExampleOptions,
    progress: &dyn Fn(usize, usize),
    mut take: impl FnMut(Vec<Example>),
) -> Result<ExamplesReport, ExamplesError> {
    let readers = readers.into();
    let timeline_options = TimelineOptions { past: oracle.is_some(), ..options.timeline.clone() };
    let catalog = Catalog::new(readers.shared(), map, &timeline_options.areas);
    let timeline = Timeline::new(readers, map, &catalog, &timeline_options)?;
    let wanted = [Protocol::SendTime, Protocol::KnownPlace].map(|protocol| Wanted {
        protocol,
        from: Timestamp::MIN,
        asked: Timestamp::MIN..Timestamp::MAX,
        at_most: options.queries,
        seed: options.seed,
    });
    let census = timeline.census(&wanted)?;
    let (messages, known) = (&census[0], &census[1]);
    if messages.drawn == 0 {
        return Err(ExamplesError::NoQueries { orders: timeline.n_orders() });
    }
    let splits = Splits::of(messages);
    // Known places only to train on: what is measured is the message.
    let scenes = timeline.scenes(&[(&wanted[0], messages, Timestamp::MAX), (&wanted[1], known, splits.valid)])?;
    let mut report = ExamplesReport {
        simulated: readers.shared().simulated.clone(),
        left_out: messages.left_out.clone(),
        valid_from: splits.valid,
        test_from: splits.test,
        ..ExamplesReport::default()
    };
    let mut query_id = 0;
    for scenes in &scenes {
        timeline.live_through(scenes, progress, |answers| {
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
    if options.clicks {
        // As known places: only to train on.
        let impressions = timeline.impressions(splits.valid)?;
        let asked = impressions.iter().filter_map(|seen| seen.query(&timeline).map(|query| (seen, query)));
        let (impressions, queries): (Vec<&Impression>, Vec<Query<'_>>) = asked.unzip();
        let mut impressions = impressions.into_iter();
        timeline.live(&queries, progress, |answers| {
            let mut examples = Vec::new();
            for (answer, seen) in answers.iter().zip(&mut impressions) {
                let rows = seen_rows(&timeline, answer, seen, query_id);
                let (counts, what) = match rows.is_empty() {
                    true => (&mut report.filtered, "none of the merchants shown"),
                    false => (&mut report.queries, "train"),
                };
                *counts.entry(MESSAGE).or_default().entry(what).or_default() += 1;
                query_id += u32::from(!rows.is_empty());
                examples.extend(rows);
            }
            report.rows += examples.len();
            take(examples);
        })?;
    }
    Ok(report)
}

/// Makes the rows and writes them; there is no file before all of them are in it.
///
/// # Errors
/// As [`make`], and a file that cannot be written.
pub fn write<'t>(
    readers: impl Into<Readers<'t>>,
    map: &CuisineMap,
    oracle: Option<&Oracle>,
    options: &ExampleOptions,
    path: &Path,
    progress: &dyn Fn(usize, usize),
) -> Result<ExamplesReport, ExamplesError> {
    let readers = readers.into();
    let wrong = |source| ExamplesError::Parquet { path: path.into(), source };
    let io = |source| ExamplesError::Io { path: path.into(), source };
    let draft = path.with_file_name(format!(".{}", path.file_name().unwrap_or_default().to_string_lossy()));
    let file = File::create(&draft).map_err(io)?;
    let schema = schema(options.clicks);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(wrong)?))
        .set_key_value_metadata(Some(metadata(readers.shared().simulated.as_deref())))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .build();
    let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(wrong)?;
    let mut waiting: Vec<Example> = Vec::new();
    let mut failed = None;
    let mut put = |examples: &[Example]| {
        let written = batch(&schema, examples).map_err(ParquetError::from).and_then(|batch| writer.write(&batch));
        failed = failed.take().or(written.err());
    };
    let report = make(readers, map, oracle, options, progress, |examples| {
        waiting.extend(examples);
        // Batches of one length, so that no byte depends on how many queries were answered at once.
        while waiting.len() >= BATCH_ROWS {
            put(&waiting[..BATCH_ROWS]);
            waiting.drain(..BATCH_ROWS);
        }
    })?;
    put(&waiting);
    if let Some(source) = failed {
        return Err(wrong(source));
    }
    writer.close().map_err(wrong)?;
    std::fs::rename(&draft, path).map_err(io)?;
    Ok(report)
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
    let seed = mix(options.seed ^ query.key());
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
        shown: None,
        features: all[i].to_vec(),
    };
    drawn.into_iter().map(example).collect()
}

/// The merchants a message showed, as far as they are candidates; others would be taken for what nobody liked.
fn seen_rows(timeline: &Timeline<'_>, answer: &Answer<'_>, seen: &Impression, query_id: u32) -> Vec<Example> {
    let all: Vec<&[f32]> = answer.rows.iter().collect();
    let example = |(i, shown): (usize, &Shown)| Example {
        protocol: answer.query.protocol,
        query_id,
        user_id: seen.user_id.clone(),
        at: seen.at,
        merchant_id: name(timeline.catalog(), shown.merchant),
        label: 0.0,
        split: "train",
        prior: feature::prior(all[i]),
        utility: f32::NAN,
        shown: Some(shown.clone()),
        features: all[i].to_vec(),
    };
    let of = |shown| move |candidate: &freshrank::retrieve::Candidate| candidate.merchant.id == shown;
    let kept = seen.shown.iter().filter_map(|shown| Some((answer.kept.iter().position(of(shown.merchant))?, shown)));
    let mut kept: Vec<(usize, &Shown)> = kept.collect();
    kept.sort_by_key(|(i, _)| *i);
    // A chain may stand in two slots where dedupe is off; the first counts.
    kept.dedup_by_key(|(i, _)| *i);
    kept.into_iter().map(example).collect()
}

/// What every candidate was truly worth when and where the order was placed, knowing all of the reader's past
/// ([`TimelineOptions::past`]): more than any scorer of a message can know.
pub(crate) fn utilities(oracle: &Oracle, timeline: &Timeline<'_>, answer: &Answer<'_>) -> Vec<f64> {
    let query = &answer.query;
    let soul = oracle.soul(query.user_id);
    let moment = oracle.moment(&soul, query.ordered_at, query.destination, answer.past);
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

/// What rows tell of messages: a column's name, and its value; 0 for what was in none.
type Signal = (&'static str, fn(&Shown) -> f32);
const SIGNALS: [Signal; 5] = [
    ("click", |shown| f32::from(u8::from(shown.clicked))),
    ("add", |shown| f32::from(u8::from(shown.added))),
    ("cancelled", |shown| f32::from(u8::from(shown.cancelled))),
    // From 1, as 0 is not shown.
    ("position", |shown| (shown.slot + 1) as f32),
    ("propensity", |shown| shown.propensity.unwrap_or(0.0)),
];

fn schema(clicks: bool) -> Arc<Schema> {
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
    let signals = SIGNALS.iter().filter(|_| clicks);
    fields.extend(signals.map(|(name, _)| Field::new(*name, DataType::Float32, false)));
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
        text(|e| if e.shown.is_some() { MESSAGE } else { e.protocol.name() }),
        text(|e| &e.merchant_id),
        number(&|e| e.label),
        text(|e| e.split),
        number(&|e| e.prior),
        number(&|e| e.utility),
    ];
    columns.extend((0..N_FEATURES).map(|column| number(&|e| e.features[column])));
    let signals = SIGNALS.iter().take(schema.fields().len() - columns.len());
    columns.extend(signals.map(|(_, of)| number(&|e| e.shown.as_ref().map_or(0.0, of))));
    RecordBatch::try_new(schema.clone(), columns)
}
