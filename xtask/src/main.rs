//! `cargo xtask`: one command each for what people and CI do here, in the same words.
//!
//! Only the standard library is used, so that the first command on a fresh machine starts in seconds.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a task runner talks to a terminal")]

// In the order of dependence; a module uses only those above it.
mod sh;
mod report;
mod setup;
mod wasm;
mod size;
mod peers;
mod bench;
mod cost;
mod dependencies;
mod documents;
mod retrain;
mod simulator;
mod test;
mod train;
mod golden;
mod soak;
mod quality;
mod demo;

use std::process::ExitCode;

use sh::Outcome;

/// A word after `cargo xtask`.
struct Task {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Outcome,
}

const TASKS: &[Task] = &[
    Task {
        name: "setup",
        arguments: "",
        about: "install what is missing: wasm32's std, wasm-bindgen, worker-build, node and python packages, the extract",
        run: setup::run,
    },
    Task {
        name: "demo",
        arguments: "[--once]",
        about: "real merchants in, ranked messages out, under workerd; leaves the server running, or exits with --once",
        run: demo::run,
    },
    Task {
        name: "test",
        arguments: "[--list] [CHECK...]",
        about: "run every check, or the named ones; the last line is `N passed, N failed`",
        run: test::run,
    },
    Task {
        name: "simulator",
        arguments: "build|serve|test",
        about: "the browser page for marketing teams: static files in target/simulator/dist, the same served, or its stories in a Chromium",
        run: |arguments| simulator::run(arguments, test::cli),
    },
    Task {
        name: "build",
        arguments: "worker|web [--lite [--cel]]",
        about: "build a wasm module into target/modules (FRESHRANK_WASM_LTO=off for a quick, large one)",
        run: wasm::run,
    },
    Task {
        name: "train",
        arguments: "",
        about: "make models/ again: real merchants, simulated demand, rows, training, quantization, plan",
        run: train::run,
    },
    Task {
        name: "retrain",
        arguments: "[--users N]",
        about: "README's Retrain, as it stands there: tables, examples, training, publishing through the gate, rolling back",
        run: train::again,
    },
    Task {
        name: "golden",
        arguments: "",
        about: "make the worked campaigns' golden bundles, profiles and decisions again; read the difference",
        run: golden::run,
    },
    Task { name: "size", arguments: "", about: "full and lite modules, raw and gzip, by crate", run: size::run },
    Task {
        name: "bench",
        arguments: "[--stages|--peers|--agree]",
        about: "each stage and the whole, natively and in V8, as ratios to the reference kernel; modules from bytes to first decision; \
                --peers: our scorers beside onnxruntime, rten and LightGBM; --agree: only whether all score alike",
        run: bench::run,
    },
    Task {
        name: "cost",
        arguments: "",
        about: "what a million messages cost at the edge platform's public prices, by architecture, and where the next saving lies",
        run: cost::run,
    },
    Task {
        name: "quality",
        arguments: "[--users N] [--letor FILES]",
        about: "the ranker beside LightGBM's LambdaMART on Entree, LightGBM's example, svmlight files and simulated markets",
        run: quality::run,
    },
    Task {
        name: "soak",
        arguments: "scale [--full]",
        about: "build 100,000 simulated readers (--full: 1,000,000, 20 M orders): rows/s, memory, killed and resumed",
        run: soak::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((word, rest)) = arguments.split_first() else {
        print!("{}", help());
        return ExitCode::SUCCESS;
    };
    if matches!(word.as_str(), "help" | "--help" | "-h") {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let Some(task) = TASKS.iter().find(|task| task.name == word) else {
        eprintln!("error: no task `{word}`\n\n{}", help());
        return ExitCode::FAILURE;
    };
    match (task.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) if message.is_empty() => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn help() -> String {
    let usage: Vec<String> = TASKS.iter().map(|task| format!("{} {}", task.name, task.arguments)).collect();
    let width = usage.iter().map(String::len).max().unwrap_or(0);
    let lines = TASKS.iter().zip(&usage).map(|(task, usage)| format!("  {usage:width$}  {}\n", task.about));
    format!("cargo xtask COMMAND\n\n{}", lines.collect::<String>())
}
