//! Holds the clock natively: prints `{name: microseconds}`, the median of several rounds.
#![allow(clippy::print_stdout)]

use freshrank_bench::{Bench, questions};
use std::collections::BTreeMap;
use std::time::Instant;

/// Rounds of which the median counts.
const ROUNDS: usize = 9;
/// How long a round lasts, about.
const ROUND_MICROSECONDS: f64 = 20_000.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
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

/// Microseconds.
fn per_run(bench: &Bench, times: u32) -> f64 {
    let started = Instant::now();
    bench.run(times);
    started.elapsed().as_secs_f64() * 1e6 / f64::from(times)
}
