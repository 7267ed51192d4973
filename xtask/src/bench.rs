//! Speeds: each stage and the whole, natively and in V8, beside the reference kernel of the same run.
//!
//! Benches assert their answers themselves; here they are only built, run and put into one table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::peers;
use crate::report::{Row, publish};
use crate::setup;
use crate::sh::{self, Outcome, program, quietly, said, target};
use crate::wasm::{self, Weight};

/// The denominator, and how many rows it scores.
const KERNEL: (&str, f64) = ("kernel/300", 300.0);

/// The kernel's own network and rows, run by `dense`.
const SAME: &str = "same network/300";

/// Ours, and what stands beside it. Ours also checks a checksum, every value and reference, and a SHA-256.
const OURS: &str = "area bundle/1000";
const PEER: &str = "wincode/1000";

/// The stages of a decision, in the order of its flow; `decode` stands before the `whole` of them, and `answer` is both
/// with the request read and the reply written.
const STAGES: [&str; 7] = ["decode", "retrieve", "featurize", "score", "blend", "whole", "answer"];
const SIZES: [u32; 3] = [50, 200, 1000];
/// What a campaign costs: ten rules over 200 candidates, linking them, and merging a city's layers anew or from a shell's cache.
const CAMPAIGN: [(&str, f64); 4] =
    [("rules/200", 200.0), ("link/200", 200.0), ("merge cold/300", 300.0), ("merge warm/300", 300.0)];

/// What an open costs before anything is decided: its token and who asks; and what a sender pays for the token.
const OPEN: [&str; 3] = ["token mint", "token open", "mailbox"];

/// What is counted in instructions, the kernel first.
const COUNTED: [&str; 9] = [
    KERNEL.0,
    "dense/300",
    "decode/200",
    "retrieve/200",
    "featurize/200",
    "score/200",
    "blend/200",
    "whole/200",
    "answer/200",
];
const COUNTED_TIMES: u32 = 20;

/// How often all programs are run, one after the other; medians count.
const ROUNDS: usize = 3;
/// How often a module is started.
const STARTS: usize = 9;
/// From a module's bytes to its first decision in a cold V8.
const START_AIMS_MS: [(Weight, f64); 2] = [(Weight::Lite, 10.0), (Weight::Full, 40.0)];

/// `cargo xtask bench [--stages|--peers|--agree]`.
pub fn run(arguments: &[String]) -> Outcome {
    let only_stages = match arguments {
        [] => false,
        [word] if word == "--stages" => true,
        [word] if word == "--peers" => return peers::run(&native()?, package(Weight::Lite)?, package(Weight::Full)?),
        [word] if word == "--agree" => return peers::agree(&native()?),
        _ => return Err(format!("found {arguments:?}, expected nothing, --stages, --peers or --agree")),
    };
    let native = native()?;
    let package = package(Weight::Full)?;
    let scene = target("bench");
    quietly("bench-scene", program(&native).arg(&scene))?;
    let mut by_target: [Vec<Measured>; 2] = Default::default();
    for _ in 0..ROUNDS {
        by_target[0].push(measured(&mut program(&native))?);
        by_target[1].push(measured(program("node").arg("benches/v8.mjs").arg(&package))?);
    }
    let mut rows = Vec::new();
    for (target, rounds) in ["native", "v8"].into_iter().zip(&by_target) {
        rows.extend(table(target, &medians(rounds))?);
    }
    if sh::exists("valgrind") {
        rows.extend(instructions(&native)?);
    } else {
        println!("no valgrind here: instructions are not counted");
    }
    if !only_stages {
        rows.extend(starts(&scene)?);
    }
    publish("bench", &rows)?;
    println!(
        "us: microseconds, median of rounds; N us of the reference kernel: {}'s time / {} x the rows; \
         {SAME} is the kernel's network and rows run by dense; \
         {OURS} also checks a checksum, a SHA-256 and every value, which {PEER} does not",
        KERNEL.0, KERNEL.1,
    );
    Ok(())
}

/// What a question costs whatever else the machine does: instructions of one run, by callgrind.
fn instructions(native: &Path) -> Outcome<Vec<Row>> {
    let collected = |question: &str, times: u32| -> Outcome<f64> {
        let mut valgrind = program("valgrind");
        valgrind
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(native)
            .args([question, &times.to_string()]);
        let words = sh::logged("callgrind", &mut valgrind)?;
        let total = words.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
        total.ok_or_else(|| format!("callgrind does not say what it collected for {question}"))
    };
    let names = COUNTED.iter().map(|question| {
        // What comes before the first run is in both.
        let one = (collected(question, 1 + COUNTED_TIMES)? - collected(question, 1)?) / f64::from(COUNTED_TIMES);
        Ok((*question, one.round()))
    });
    let counts = names.collect::<Outcome<Vec<_>>>()?;
    let kernel = counts.first().map_or(f64::NAN, |(_, count)| *count);
    let row = |(name, value): (&str, f64)| {
        let rows = name.split_once('/').and_then(|(_, n)| n.parse::<f64>().ok()).unwrap_or(KERNEL.1);
        let against = Some(("reference kernel", value / (kernel * rows / KERNEL.1)));
        Row { name: name.to_owned(), target: "native", value, unit: "instructions", against }
    };
    Ok(counts.into_iter().map(row).collect())
}

/// How long the modules take to their first decision, and what memory is left after many.
fn starts(scene: &Path) -> Outcome<Vec<Row>> {
    let modules = START_AIMS_MS.map(|(weight, aim)| wasm::web(weight).map(|module| (weight, aim, module)));
    let modules = modules.into_iter().collect::<Outcome<Vec<_>>>()?;
    let mut found = vec![Vec::new(); modules.len()];
    for _ in 0..STARTS {
        for ((.., module), found) in modules.iter().zip(&mut found) {
            found.push(measured(program("node").arg("benches/start.mjs").arg(module).arg(scene))?);
        }
    }
    let mut rows = Vec::new();
    for ((weight, aim, _), found) in modules.iter().zip(&found) {
        let median = medians(found);
        let of = |name: &str| median.get(name).copied().ok_or_else(|| format!("the start of a module lacks {name}"));
        let row = |name: &str, value, unit, against| {
            let name = format!("{} {name}", weight.name());
            Row { name, target: "v8", value, unit, against: Some(against) }
        };
        let (start, first, last) = (of("start")?, of("first")?, of("last")?);
        let start = (start * 100.0).round() / 100.0;
        rows.push(row("cold start", start, "ms", ("what is aimed at", start / aim)));
        rows.push(row("memory after 10000", last, "bytes", ("memory after 100", last / first)));
    }
    Ok(rows)
}

/// The native benches, from the selection of features that the native tests have compiled: another one would compile tract again.
pub fn native() -> Outcome<PathBuf> {
    let mut cargo = program("cargo");
    cargo.args(["build", "--release", "--locked", "--workspace", "--features=freshrank-web/types,freshrank-web/full"]);
    // A test with it, as development dependencies select features as well.
    quietly("bench", cargo.args(["--bin", "freshrank-bench", "--test", "types"]))?;
    Ok(target("release/freshrank-bench"))
}

/// The benches as a package for Node, built as the shipped modules are; a lite one has no tract.
fn package(weight: Weight) -> Outcome<PathBuf> {
    let compiler = setup::wasm()?;
    let bindgen = setup::bindgen()?;
    let mut cargo = compiler.program("cargo");
    cargo.args(["build", "--package", "freshrank-bench", "--lib", "--profile", "wasm"]);
    if weight == Weight::Lite {
        cargo.arg("--no-default-features");
    }
    quietly("bench-wasm", cargo.args(["--target", setup::WASM_TARGET]))?;

    let dir = target("modules").join(format!("bench-{}", weight.name()));
    sh::fresh_dir(&dir)?;
    let mut command = program(bindgen);
    command
        .args(["--target", "nodejs", "--out-name", "bench", "--out-dir"])
        .arg(&dir)
        .arg(target("wasm/wasm32-unknown-unknown/wasm/freshrank_bench.wasm"));
    quietly("wasm-bindgen", &mut command)?;
    wasm::optimize(&dir.join("bench_bg.wasm"), &wasm::named("bench", weight))?;
    Ok(dir.join("bench.js"))
}

/// Numbers by name, most of them microseconds.
pub type Measured = BTreeMap<String, f64>;

/// Of each name over all rounds.
fn medians(rounds: &[Measured]) -> Measured {
    let mut found: BTreeMap<&String, Vec<f64>> = BTreeMap::new();
    for (name, value) in rounds.iter().flatten() {
        found.entry(name).or_default().push(*value);
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    found.into_iter().map(|(name, values)| (name.clone(), median(values))).collect()
}

/// The last line of what a bench says.
fn measured(command: &mut Command) -> Outcome<Measured> {
    let words = said(command)?;
    let line = words.lines().last().unwrap_or_default();
    numbers(line).ok_or_else(|| format!("a bench says {line:?}, expected {{\"name\": microseconds, ...}}"))
}

/// A flat JSON object of numbers, whose names have no comma, colon or escape.
pub fn numbers(json: &str) -> Option<Measured> {
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
fn table(target: &'static str, microseconds: &Measured) -> Outcome<Vec<Row>> {
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
    rows.extend([SAME, "dense/300", "tract/300", "locate"].map(|name| row(name.into(), scaled(KERNEL.1))));
    for stage in STAGES {
        rows.extend(SIZES.map(|n| row(format!("{stage}/{n}"), scaled(f64::from(n)))));
    }
    rows.extend(CAMPAIGN.map(|(name, n)| row(name.into(), scaled(n))));
    rows.extend(OPEN.map(|name| row(name.into(), scaled(KERNEL.1))));
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
            [("kernel/300", 90.0), (SAME, 90.0), ("dense/300", 180.0), ("tract/300", 99.0), ("locate", 9.0)]
                .map(|(name, time)| (name.to_owned(), time))
                .into();
        for stage in STAGES {
            times.extend(SIZES.map(|n| (format!("{stage}/{n}"), f64::from(n))));
        }
        times.extend(CAMPAIGN.map(|(name, n)| (name.to_owned(), n)));
        times.extend(OPEN.map(|name| (name.to_owned(), 1.0)));
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
