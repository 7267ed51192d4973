//! The file of all rankings, for whoever wants to judge them by other means.

use super::EvaluateError;
use crate::examples::name;
use crate::tables::Timestamp;
use crate::timeline::{Answer, Timeline};
use arrow::array::{ArrayRef, Float32Array, Float64Array, Int64Array, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file of all rankings: one row a query, scorer and candidate, best first.
///
/// `rank` is the mean rank among equal scores; an order that was filtered has a row without rank and score, and its reason.
pub(super) struct Rankings {
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
    reason: Option<&'static str>,
}

/// Rows gathered before they are written.
const BATCH_ROWS: usize = 1 << 17;

impl Rankings {
    pub(super) fn create(path: &Path, simulated: Option<&str>) -> Result<Self, EvaluateError> {
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
            Field::new("reason", DataType::Utf8, true),
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

    pub(super) fn add(&mut self, timeline: &Timeline<'_>, answer: &Answer<'_>, scorer: &'static str, scores: &[f64]) {
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
            reason: answer.found.err().filter(|_| rank.is_none()),
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
            self.rows.push(row(name(timeline.catalog(), query.label), None, None, 1.0));
        }
    }

    /// Ends a query.
    pub(super) fn next(&mut self) -> Result<(), EvaluateError> {
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
            Arc::new(rows.iter().map(|row| row.reason).collect::<StringArray>()),
        ];
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(ParquetError::from);
        let written = batch.and_then(|batch| self.writer.write(&batch));
        written.map_err(|source| EvaluateError::Rankings { path: self.path.clone(), source })
    }

    pub(super) fn close(mut self) -> Result<(), EvaluateError> {
        self.flush()?;
        let path = self.path;
        self.writer.close().map(drop).map_err(|source| EvaluateError::Rankings { path, source })
    }
}
