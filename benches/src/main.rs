//! Holds the clock natively: prints `{name: microseconds}`, the median of several rounds.
//!
//! With a directory, it writes there what the modules are started with (`start.mjs`), and the rows of `dense/300` with
//! their scores. With a question and a number, it asks that often, for a profiler. With `serve` it answers a contest (`clock.rs`).
#![allow(clippy::print_stdout)]

use freshrank_bench::contest::prepare;
use freshrank_bench::contestant::{Contestant, Error};
use freshrank_bench::scene::{CAMPAIGN, Scene};
use freshrank_bench::{Bench, ROWS, questions, rows_and_scores};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

mod clock;

/// Rounds of which the median counts.
const ROUNDS: usize = 9;
/// How long a round lasts, about.
const ROUND_MICROSECONDS: f64 = 20_000.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [] => {}
        [word] if word == "serve" => return clock::serve(prepare),
        [directory] => return start(Path::new(directory)),
        [question, times, ..] => {
            Bench::new(question)?.run(times.parse()?);
            return Ok(());
        }
    }
    let benches =
        questions().into_iter().map(|(name, _)| Ok((Bench::new(&name)?, name))).collect::<Result<Vec<_>, String>>()?;
    let times: Vec<u32> =
        benches.iter().map(|(bench, _)| (ROUND_MICROSECONDS / per_run(bench, 3)).clamp(1.0, 1e6) as u32).collect();
    // Round by round over all questions, so that a slow moment of a shared machine falls on all of them.
    let mut found: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for ((bench, name), times) in benches.iter().zip(&times) {
            found.entry(name).or_default().push(per_run(bench, *times));
        }
    }
    let medians: BTreeMap<&str, f64> = found
        .into_iter()
        .map(|(name, mut rounds)| {
            rounds.sort_by(f64::total_cmp);
            (name, rounds[ROUNDS / 2])
        })
        .collect();
    println!("{}", serde_json::to_string(&medians)?);
    Ok(())
}

/// What a module is started with, 200 candidates; and what a contest is about.
fn start(directory: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let scene = Scene::new(200)?;
    fs::create_dir_all(directory)?;
    fs::write(directory.join("area.frab"), &scene.bytes)?;
    fs::write(directory.join("campaign.json"), CAMPAIGN)?;
    fs::write(directory.join("request.json"), scene.request()?)?;
    let (rows, scores) = rows_and_scores(ROWS)?;
    for (name, numbers) in [("rows.f32", rows), ("scores.f32", scores)] {
        fs::write(directory.join(name), numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())?;
    }
    Ok(())
}

/// Microseconds.
fn per_run(bench: &Bench, times: u32) -> f64 {
    let started = Instant::now();
    bench.run(times);
    started.elapsed().as_secs_f64() * 1e6 / f64::from(times)
}
