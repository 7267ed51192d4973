//! Tables, progress bars and JSON: how everything is said.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

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

/// A bar on stderr; indicatif shows it only where that is a person's terminal.
pub fn progress(what: &'static str) -> impl Fn(usize, usize) {
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
