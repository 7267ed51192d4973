//! Writing the six tables. The same tables give the same bytes.

use std::fs::{self, File};
use std::io::Write;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float32Builder, Float64Builder, ListBuilder, StringBuilder, TimestampMillisecondBuilder,
    UInt32Builder,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::column::{Column, Need, Row, Type, Value};
use super::read::SIMULATED;
use super::{Merchant, TableError, Tables, Timestamp};

/// Rows that are turned into columns at once.
const BATCH_ROWS: usize = 1 << 16;
/// Rows of a group of the file: what the writer holds at most.
const GROUP_ROWS: usize = 1 << 17;

/// Writes Parquet files into a directory, which is made if need be: merchants always, the others when they have
/// rows. A Parquet file of a table that is empty now is removed.
///
/// # Errors
/// The directory is not writable, or has a CSV file which would be read as a table that is empty now.
pub fn write(tables: &Tables, dir: &Path) -> Result<(), TableError> {
    let to = Target { dir, simulated: tables.simulated.as_deref(), ending: "parquet", stale: "csv", put: Put::Parquet };
    to.all(tables)
}

/// Writes CSV files, for a spreadsheet or another program; otherwise like [`write()`].
///
/// # Errors
/// As for [`write()`], the other way round.
pub fn write_csv(tables: &Tables, dir: &Path) -> Result<(), TableError> {
    let to = Target { dir, simulated: tables.simulated.as_deref(), ending: "csv", stale: "parquet", put: Put::Csv };
    to.all(tables)
}

enum Put {
    Parquet,
    Csv,
}

struct Target<'t> {
    dir: &'t Path,
    simulated: Option<&'t str>,
    ending: &'static str,
    stale: &'static str,
    put: Put,
}

impl Target<'_> {
    fn all(&self, tables: &Tables) -> Result<(), TableError> {
        fs::create_dir_all(self.dir).map_err(|source| TableError::Io { file: self.dir.to_owned(), source })?;
        self.table(&tables.merchants)?;
        self.table(&tables.readers)?;
        self.table(&tables.places)?;
        self.table(&tables.orders)?;
        self.table(&tables.offers)?;
        self.table(&tables.events)
    }

    fn table<R: Row>(&self, rows: &[R]) -> Result<(), TableError> {
        let file = self.dir.join(format!("{}.{}", R::TABLE, self.ending));
        let other = self.dir.join(format!("{}.{}", R::TABLE, self.stale));
        let io = |source| TableError::Io { file: file.clone(), source };
        let empty = rows.is_empty() && R::TABLE != Merchant::TABLE;
        // Reading prefers Parquet: an older file must not stand in for what is written now.
        if other.is_file() && (empty || self.stale == "parquet") {
            return Err(TableError::Stale { file: other });
        }
        if empty {
            return if file.is_file() { fs::remove_file(&file).map_err(io) } else { Ok(()) };
        }
        // Whoever reads meanwhile gets the old table or the new one, never half of it.
        let draft = self.dir.join(format!(".{}.{}", R::TABLE, self.ending));
        let written = File::create(&draft).map_err(io)?;
        match self.put {
            Put::Parquet => parquet(rows, self.simulated, written)
                .map_err(|err| TableError::Parquet { file: file.clone(), what: err.to_string() })?,
            Put::Csv => csv(rows, self.simulated, written).map_err(io)?,
        }
        fs::rename(&draft, &file).map_err(io)
    }
}

fn data_type(kind: Type) -> DataType {
    match kind {
        Type::Text => DataType::Utf8,
        Type::Real => DataType::Float64,
        Type::Single => DataType::Float32,
        Type::Count => DataType::UInt32,
        Type::Flag => DataType::Boolean,
        // Parquet knows no unit of a second.
        Type::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        Type::Labels => DataType::new_list(DataType::Utf8, true),
    }
}

fn parquet<R: Row>(rows: &[R], simulated: Option<&str>, to: File) -> Result<(), parquet::errors::ParquetError> {
    let (schema, mut writer) = writer::<R>(simulated, to)?;
    put(rows, &schema, &mut writer)?;
    writer.close().map(drop)
}

fn writer<R: Row>(
    simulated: Option<&str>,
    to: File,
) -> Result<(Arc<Schema>, ArrowWriter<File>), parquet::errors::ParquetError> {
    let fields =
        R::COLUMNS.iter().map(|column| Field::new(column.name, data_type(column.kind), column.need == Need::Nothing));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let metadata = simulated.map(|said| vec![KeyValue::new(SIMULATED.to_owned(), said.to_owned())]);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_key_value_metadata(metadata)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .build();
    let writer = ArrowWriter::try_new(to, schema.clone(), Some(properties))?;
    Ok((schema, writer))
}

fn put<R: Row>(
    rows: &[R],
    schema: &Arc<Schema>,
    writer: &mut ArrowWriter<File>,
) -> Result<(), parquet::errors::ParquetError> {
    for rows in rows.chunks(BATCH_ROWS) {
        let arrays = R::COLUMNS.iter().map(|column| array(column, rows)).collect();
        writer.write(&RecordBatch::try_new(schema.clone(), arrays)?)?;
    }
    Ok(())
}

/// A Parquet table whose rows come a few at a time; without [`Sheet::close`] there is none, nor of no rows.
pub struct Sheet<R> {
    n_rows: usize,
    schema: Arc<Schema>,
    writer: ArrowWriter<File>,
    draft: PathBuf,
    file: PathBuf,
    rows: PhantomData<R>,
}

impl<R: Row> Sheet<R> {
    /// A table of a directory that exists; `simulated` is [`Tables::simulated`].
    ///
    /// # Errors
    /// The directory is not writable, or has a CSV file of the table.
    pub fn new(dir: &Path, simulated: Option<&str>) -> Result<Self, TableError> {
        let other = dir.join(format!("{}.csv", R::TABLE));
        if other.is_file() {
            return Err(TableError::Stale { file: other });
        }
        let (draft, file) = (dir.join(format!(".{}.parquet", R::TABLE)), dir.join(format!("{}.parquet", R::TABLE)));
        let to = File::create(&draft).map_err(|source| TableError::Io { file: file.clone(), source })?;
        let opened = writer::<R>(simulated, to);
        let (schema, writer) =
            opened.map_err(|err| TableError::Parquet { file: file.clone(), what: err.to_string() })?;
        Ok(Self { n_rows: 0, schema, writer, draft, file, rows: PhantomData })
    }

    /// Adds some rows.
    ///
    /// # Errors
    /// The file is not writable.
    pub fn put(&mut self, rows: &[R]) -> Result<(), TableError> {
        self.n_rows += rows.len();
        put(rows, &self.schema, &mut self.writer)
            .map_err(|err| TableError::Parquet { file: self.file.clone(), what: err.to_string() })
    }

    /// Ends the file and gives it its name.
    ///
    /// # Errors
    /// The file is not writable.
    pub fn close(self) -> Result<(), TableError> {
        let Self { n_rows, writer, draft, file, .. } = self;
        writer.close().map_err(|err| TableError::Parquet { file: file.clone(), what: err.to_string() })?;
        if n_rows == 0 && R::TABLE != Merchant::TABLE {
            let removed =
                fs::remove_file(&draft).and_then(|()| if file.is_file() { fs::remove_file(&file) } else { Ok(()) });
            return removed.map_err(|source| TableError::Io { file, source });
        }
        fs::rename(&draft, &file).map_err(|source| TableError::Io { file, source })
    }
}

/// One column of some rows; a value of another type than the column's cannot occur and would be absent.
fn array<R>(column: &Column<R>, rows: &[R]) -> ArrayRef {
    macro_rules! build {
        ($builder:expr, $variant:ident, $append:expr) => {{
            let mut builder = $builder;
            for row in rows {
                match (column.get)(row) {
                    Value::$variant(value) => $append(&mut builder, value),
                    _ => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }};
    }
    match column.kind {
        Type::Text => build!(StringBuilder::new(), Text, |b: &mut StringBuilder, v| b.append_value(v)),
        Type::Real => build!(Float64Builder::new(), Real, |b: &mut Float64Builder, v| b.append_value(v)),
        Type::Single => build!(Float32Builder::new(), Single, |b: &mut Float32Builder, v| b.append_value(v)),
        Type::Count => build!(UInt32Builder::new(), Count, |b: &mut UInt32Builder, v| b.append_value(v)),
        Type::Flag => build!(BooleanBuilder::new(), Flag, |b: &mut BooleanBuilder, v| b.append_value(v)),
        Type::Time => build!(
            TimestampMillisecondBuilder::new().with_timezone("UTC"),
            Time,
            |b: &mut TimestampMillisecondBuilder, v: Timestamp| b.append_value(v.saturating_mul(1000))
        ),
        Type::Labels => build!(
            ListBuilder::new(StringBuilder::new()),
            Labels,
            |b: &mut ListBuilder<StringBuilder>, v: Vec<String>| b.append_value(v.into_iter().map(Some))
        ),
    }
}

fn csv<R: Row>(rows: &[R], simulated: Option<&str>, to: File) -> std::io::Result<()> {
    let mut writer = csv::Writer::from_writer(to);
    let names = R::COLUMNS.iter().map(|column| column.name);
    writer.write_record(names.chain(simulated.map(|_| SIMULATED)))?;
    for row in rows {
        for column in R::COLUMNS {
            match (column.get)(row) {
                Value::Absent => writer.write_field("")?,
                Value::Text(text) => writer.write_field(text.as_ref())?,
                Value::Real(v) => writer.write_field(v.to_string())?,
                Value::Single(v) => writer.write_field(v.to_string())?,
                Value::Count(v) => writer.write_field(v.to_string())?,
                Value::Flag(v) => writer.write_field(v.to_string())?,
                Value::Time(v) => writer.write_field(super::read::time(v))?,
                Value::Labels(labels) => writer.write_field(labels.join(";"))?,
            }
        }
        if let Some(said) = simulated {
            writer.write_field(said)?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    let mut file = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    file.flush()
}
