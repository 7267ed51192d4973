//! Speeds: each stage and the whole, natively and in V8, beside the reference kernel of the same run.
//!
//! Benches assert their answers themselves; here they are only built, run and put into one table.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use crate::report::{Row, publish};
use crate::sh::{self, Outcome, program, quietly, said, target};
use crate::{setup, wasm};

/// The denominator, and how many rows it scores.
const KERNEL: (&str, f64) = ("kernel/300", 300.0);

/// Ours, and what stands beside it. Ours also checks a checksum, every value and reference, and a SHA-256.
const OURS: &str = "area bundle/1000";
const PEER: &str = "wincode/1000";

/// The stages of a decision, in the order of its flow; `decode` stands before them.
const STAGES: [&str; 5] = ["decode", "retrieve", "featurize", "blend", "whole"];
const SIZES: [u32; 3] = [50, 200, 1000];
/// What a campaign costs: ten rules over 200 candidates, linking them, and merging a city's layers anew or from a shell's cache.
const CAMPAIGN: [(&str, f64); 4] =
    [("rules/200", 200.0), ("link/200", 200.0), ("merge cold/300", 300.0), ("merge warm/300", 300.0)];

/// `cargo xtask bench`.
pub fn run(_: &[String]) -> Outcome {
    let native = native()?;
    let package = package()?;
    let v8 = || {
        let mut node = program("node");
        node.arg("benches/v8.mjs").arg(&package);
        node
    };
    let mut rows = Vec::new();
    for (target, mut command) in [("native", program(native)), ("v8", v8())] {
        rows.extend(table(target, &measured(&mut command)?)?);
    }
    publish("bench", &rows)?;
    println!(
        "us: microseconds, median of rounds; N us of the reference kernel: {}'s time / {} x the rows; \
         {OURS} also checks a checksum, a SHA-256 and every value, which {PEER} does not",
        KERNEL.0, KERNEL.1,
    );
    Ok(())
}

/// The native benches.
fn native() -> Outcome<PathBuf> {
    let mut cargo = program("cargo");
    cargo.args(["build", "--release", "--package", "freshrank-bench"]);
    quietly("bench", &mut cargo)?;
    Ok(target("release/freshrank-bench"))
}

/// The benches as a package for Node, built as the shipped modules are.
fn package() -> Outcome<PathBuf> {
    let compiler = setup::wasm()?;
    let bindgen = setup::bindgen()?;
    let mut cargo = compiler.program("cargo");
    cargo.args(["build", "--package", "freshrank-bench", "--lib", "--profile", "wasm"]);
    quietly("bench-wasm", cargo.args(["--target", setup::WASM_TARGET]))?;

    let dir = target("modules/bench");
    sh::fresh_dir(&dir)?;
    let mut command = program(bindgen);
    command
        .args(["--target", "nodejs", "--out-name", "bench", "--out-dir"])
        .arg(&dir)
        .arg(target("wasm/wasm32-unknown-unknown/wasm/freshrank_bench.wasm"));
    quietly("wasm-bindgen", &mut command)?;
    wasm::optimize(&dir.join("bench_bg.wasm"), &target("modules/built/bench.named.wasm"))?;
    Ok(dir.join("bench.js"))
}

/// Microseconds by name: the last line of what a bench says.
fn measured(command: &mut Command) -> Outcome<BTreeMap<String, f64>> {
    let words = said(command)?;
    let line = words.lines().last().unwrap_or_default();
    numbers(line).ok_or_else(|| format!("a bench says {line:?}, expected {{\"name\": microseconds, ...}}"))
}

/// A flat JSON object of numbers, whose names have no comma, colon or escape.
fn numbers(json: &str) -> Option<BTreeMap<String, f64>> {
    let inside = json.trim().strip_prefix('{')?.strip_suffix('}')?;
    inside
        .split(',')
        .map(|pair| {
            let (name, value) = pair.split_once(':')?;
            let name = name.trim().strip_prefix('"')?.strip_suffix('"')?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        })
        .collect()
}

/// The rows of one target, each with its ratio.
fn table(target: &'static str, microseconds: &BTreeMap<String, f64>) -> Outcome<Vec<Row>> {
    let of = |name: &str| microseconds.get(name).copied().ok_or_else(|| format!("the {target} bench lacks {name}"));
    let kernel = of(KERNEL.0)?;
    let row = |name: String, against: Option<(&'static str, f64)>| {
        let value = of(&name)?;
        Ok(Row {
            name,
            target,
            value: (value * 100.0).round() / 100.0,
            unit: "us",
            against: against.map(|(peer, time)| (peer, value / time)),
        })
    };
    let scaled = |n: f64| Some(("reference kernel", kernel * n / KERNEL.1));

    let mut rows = vec![row(KERNEL.0.into(), None)];
    rows.extend(["dense/300", "tract/300", "locate"].map(|name| row(name.into(), scaled(KERNEL.1))));
    for stage in STAGES {
        rows.extend(SIZES.map(|n| row(format!("{stage}/{n}"), scaled(f64::from(n)))));
    }
    rows.extend(CAMPAIGN.map(|(name, n)| row(name.into(), scaled(n))));
    rows.push(row(PEER.into(), None));
    rows.push(row(OURS.into(), Some(("wincode", of(PEER)?))));
    rows.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_object_is_read_and_anything_else_refused() {
        let read = numbers(r#"{"locate":0.25, "area bundle/1000": 1e2}"#);
        let expected = [("area bundle/1000", 100.0), ("locate", 0.25)];
        assert_eq!(read, Some(expected.map(|(name, time)| (name.to_owned(), time)).into()));
        for other in ["", "[1]", r#"{"locate":null}"#, r#"{locate: 1}"#, "thread panicked"] {
            assert_eq!(numbers(other), None, "{other}");
        }
    }

    #[test]
    fn a_ratio_is_to_the_kernel_over_as_many_rows_and_a_missing_bench_is_named() {
        let mut times: BTreeMap<String, f64> =
            [("kernel/300", 90.0), ("dense/300", 180.0), ("tract/300", 99.0), ("locate", 9.0)]
                .map(|(name, time)| (name.to_owned(), time))
                .into();
        for stage in STAGES {
            times.extend(SIZES.map(|n| (format!("{stage}/{n}"), f64::from(n))));
        }
        times.extend(CAMPAIGN.map(|(name, n)| (name.to_owned(), n)));
        assert_eq!(table("v8", &times).err(), Some("the v8 bench lacks wincode/1000".into()));
        times.extend([(PEER.to_owned(), 20.0), (OURS.to_owned(), 60.0)]);
        let rows = table("v8", &times).unwrap();
        let ratio = |name: &str| rows.iter().find(|row| row.name == name)?.against;
        assert_eq!(ratio("kernel/300"), None);
        assert_eq!(ratio("dense/300"), Some(("reference kernel", 2.0)));
        assert_eq!(ratio("whole/1000"), Some(("reference kernel", 1000.0 / 300.0)));
        assert_eq!(ratio(OURS), Some(("wincode", 3.0)));
    }
}
