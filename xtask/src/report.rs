//! Reports: a table for a person, and `target/report/NAME.json` for a program.

use std::fmt::Write as _;

use crate::sh::{self, Outcome};

/// One figure.
#[derive(Clone)]
pub struct Row {
    /// What was measured: `lite gzip`.
    pub name: String,
    /// Where it runs: `native`, `v8`.
    pub target: &'static str,
    pub value: f64,
    pub unit: &'static str,
    /// What it stands beside, and value / that.
    pub against: Option<(&'static str, f64)>,
}

/// Prints the rows and writes them.
pub fn publish(report: &str, rows: &[Row]) -> Outcome {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    for Row { name, target, value, unit, against } in rows {
        let ratio = against.map_or(String::new(), |(peer, ratio)| format!("  {ratio:.2} of {peer}"));
        println!("{name:width$}  {target:6}  {value:>12} {unit}{ratio}");
    }
    write(report, rows)
}

/// Writes the rows, for a table that is printed otherwise.
pub fn write(report: &str, rows: &[Row]) -> Outcome {
    let path = sh::target("report").join(format!("{report}.json"));
    sh::write(&path, json(rows))?;
    println!("written to {}", path.display());
    Ok(())
}

fn json(rows: &[Row]) -> String {
    let mut text = String::from("[");
    for (i, Row { name, target, value, unit, against }) in rows.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(
            text,
            "{comma}\n  {{ \"name\": {name:?}, \"target\": {target:?}, \"value\": {value}, \"unit\": {unit:?}"
        );
        if let Some((peer, ratio)) = against {
            let _ = write!(text, ", \"against\": {peer:?}, \"ratio\": {ratio}");
        }
        text.push_str(" }");
    }
    text.push_str("\n]\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_object_with_its_ratio() {
        let row = |against| Row { name: "lite gzip".into(), target: "v8", value: 12.0, unit: "bytes", against };
        assert_eq!(
            json(&[row(None), row(Some(("limit", 0.5)))]),
            "[\n  { \"name\": \"lite gzip\", \"target\": \"v8\", \"value\": 12, \"unit\": \"bytes\" },\n  \
             { \"name\": \"lite gzip\", \"target\": \"v8\", \"value\": 12, \"unit\": \"bytes\", \
             \"against\": \"limit\", \"ratio\": 0.5 }\n]\n"
        );
    }
}
