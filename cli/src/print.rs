//! Tables, progress bars and JSON: how everything is said.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use freshrank_offline::tables::{self, ReadOptions, TableError, Tables};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;
use std::time::Instant;

/// Readers that a command holds in memory at most, unless told: those that fit a few numbers need no more.
pub const READERS: usize = 100_000;

/// A table for a person: the first column to the left, numbers to the right.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    let is_number = |text: &str| text.parse::<f64>().is_ok() || text.is_empty();
    for i in 1..header.len() {
        if rows.iter().all(|row| row.get(i).is_some_and(|text| is_number(text)))
            && let Some(column) = table.column_mut(i)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.add_rows(rows);
    println!("{table}");
}

/// JSON for a program.
pub fn json(value: &impl Serialize) -> Result<(), serde_json::Error> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A bar over the partitions of tables.
pub fn parts() -> impl Fn(usize, usize) + Sync {
    progress("partitions")
}

/// A bar on stderr; indicatif shows it only where that is a person's terminal.
pub fn progress(what: &'static str) -> impl Fn(usize, usize) + Sync {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    move |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        if done >= total {
            bar.finish_and_clear();
        }
    }
}

/// Reads at most so many readers of some tables, and says on stderr when there were more.
pub fn sample(tables: &Path, n_readers: usize) -> Result<Tables, TableError> {
    let (read, report) = tables::read_sample(tables, &ReadOptions::default(), n_readers)?;
    if report.skipped() > 0 {
        eprintln!(
            "{}: {n_readers} readers by the smallest hash of their ids are read (--readers); {} rows are of others",
            tables.display(),
            report.skipped()
        );
    }
    Ok(read)
}

/// JSON of a result, with what is true of this run alone under `run`.
pub fn json_with_run(value: &impl Serialize, run: Value) -> Result<(), serde_json::Error> {
    let mut value = serde_json::to_value(value)?;
    value["run"] = run;
    json(&value)
}

/// Speed and memory of a run over so many rows.
pub fn run_figures(rows: u64, started: Instant) -> Value {
    let seconds = started.elapsed().as_secs_f64();
    serde_json::json!({
        "rows": rows,
        "seconds": seconds,
        "rows_per_second": rows as f64 / seconds,
        "cpu_seconds": cpu_seconds(),
        "peak_bytes": peak_bytes(),
        "threads": rayon::current_num_threads(),
    })
}

/// Seconds of all cores that this process worked, as Linux counts them; elsewhere nobody tells.
fn cpu_seconds() -> Option<f64> {
    /// Of the clock that /proc counts in, on every architecture that Rust runs on.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name, which may hold anything; user and system time are the 14th and 15th.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

/// The most memory this process ever had resident, as Linux counts it; elsewhere nobody tells.
pub fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
