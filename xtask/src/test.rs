//! Every check there is: one line each, the words of those that failed, and one summary.
//!
//! The checks are data; what one needs is built or installed by the check itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::sh::{self, Outcome, program, root, target};
use crate::wasm::Weight;
use crate::{dependencies, documents, load, retrain, setup, simulator, size, wasm};

/// One check.
struct Check {
    name: &'static str,
    lane: Lane,
    work: Work,
}

/// Checks of one lane run one after the other; the two long lanes run side by side, as each leaves half of two cores idle.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    /// Before all others: seconds, and what both lanes read.
    First,
    /// This machine's own target.
    Native,
    /// wasm32 and what runs it, then Python; builds into a directory of its own.
    Modules,
}

enum Work {
    /// cargo on this machine's own target, with this in the environment.
    Cargo(&'static [&'static str], &'static [(&'static str, &'static str)]),
    /// A check that is code, here or in another language.
    Own(fn() -> Outcome<Verdict>),
}

enum Verdict {
    Passed,
    /// Why it could not run.
    Skipped(String),
}

/// With `--workspace`, the one selection of features that native code is compiled for: each other one would compile tract again.
const TYPES: &str = "--features=freshrank-web/types,freshrank-web/full";

/// Cheap ones first: a mistake in form need not wait for a build.
const CHECKS: &[Check] = &[
    Check { name: "format", lane: Lane::First, work: Work::Cargo(&["fmt", "--all", "--check"], &[]) },
    Check { name: "documents", lane: Lane::First, work: Work::Own(|| documents::check().map(passed)) },
    Check { name: "features", lane: Lane::First, work: Work::Own(|| dependencies::features().map(passed)) },
    Check { name: "deny", lane: Lane::First, work: Work::Own(|| dependencies::deny().map(passed)) },
    Check { name: "data", lane: Lane::First, work: Work::Own(data) },
    // The shells too: what of them can be tested without a runtime, and that types.d.ts is current.
    Check {
        name: "native",
        lane: Lane::Native,
        work: Work::Cargo(&["test", "--release", "--locked", "--no-fail-fast", "--workspace", TYPES], &[]),
    },
    Check { name: "campaigns", lane: Lane::Native, work: Work::Own(campaigns) },
    Check {
        name: "clippy",
        lane: Lane::Native,
        work: Work::Cargo(&["clippy", "--release", "--locked", "--all-targets", "--", "-D", "warnings"], &[]),
    },
    Check {
        name: "doc",
        lane: Lane::Native,
        work: Work::Cargo(&["doc", "--release", "--locked", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")]),
    },
    Check { name: "wasm clippy", lane: Lane::Modules, work: Work::Own(wasm_clippy) },
    // Before the native tests are over, all that can be built without them.
    Check { name: "modules", lane: Lane::Modules, work: Work::Own(build_modules) },
    Check { name: "training", lane: Lane::Modules, work: Work::Own(training) },
    Check { name: "model", lane: Lane::Modules, work: Work::Own(model) },
    Check { name: "reference", lane: Lane::Modules, work: Work::Own(reference) },
    Check { name: "retrain", lane: Lane::Modules, work: Work::Own(retrained) },
    Check { name: "wasm", lane: Lane::Modules, work: Work::Own(wasm_tests) },
    Check { name: "node", lane: Lane::Modules, work: Work::Own(node) },
    Check { name: "workerd", lane: Lane::Modules, work: Work::Own(workerd) },
    Check { name: "sender", lane: Lane::Modules, work: Work::Own(sender) },
    Check { name: "load", lane: Lane::Modules, work: Work::Own(loaded) },
    Check { name: "changes", lane: Lane::Modules, work: Work::Own(changes) },
    Check { name: "simulator", lane: Lane::Modules, work: Work::Own(simulator) },
];

fn passed((): ()) -> Verdict {
    Verdict::Passed
}

/// `cargo xtask test [--list] [CHECK...]`.
pub fn run(arguments: &[String]) -> Outcome {
    if arguments.iter().any(|argument| argument == "--list") {
        CHECKS.iter().for_each(|check| println!("{}", check.name));
        return Ok(());
    }
    if let Some(unknown) = arguments.iter().find(|name| !CHECKS.iter().any(|check| check.name == **name)) {
        return Err(format!("no check `{unknown}`: `cargo xtask test --list` names them"));
    }
    let started = Instant::now();
    let wanted = |lane| {
        let of_lane = move |check: &&Check| {
            check.lane == lane && (arguments.is_empty() || arguments.iter().any(|name| name == check.name))
        };
        CHECKS.iter().filter(of_lane)
    };
    let sum = Mutex::new(Sum::default());
    let run = |lane| {
        for check in wanted(lane) {
            // Outside the lock: the other lane goes on meanwhile.
            let came = timed(check);
            sum.lock().unwrap_or_else(PoisonError::into_inner).add(check, came);
            if check.name == "native" {
                NATIVE.open();
            }
        }
    };
    if wanted(Lane::Native).all(|check| check.name != "native") {
        NATIVE.open();
    }
    run(Lane::First);
    thread::scope(|lanes| {
        lanes.spawn(|| run(Lane::Modules));
        run(Lane::Native);
        // Whatever became of it, nobody waits for it any more.
        NATIVE.open();
    });
    let Sum { total, n_passed, skipped, failed } = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    let list = |names: &[&str]| {
        if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
    };
    println!(
        "{n_passed} checks passed, {} failed{}, {} skipped{} in {minutes:.1} min",
        failed.len(),
        list(&failed),
        skipped.len(),
        list(&skipped)
    );
    println!("{} passed, {} failed", total.passed, total.failed);
    if failed.is_empty() { Ok(()) } else { Err(String::new()) }
}

/// What all checks came to.
#[derive(Default)]
struct Sum {
    total: Tally,
    n_passed: usize,
    skipped: Vec<&'static str>,
    failed: Vec<&'static str>,
}

impl Sum {
    /// Says what one check came to.
    fn add(&mut self, check: &Check, (verdict, tally, seconds): (Outcome<Verdict>, Tally, f64)) {
        let tests = if tally.tests() > 0 { format!(", {} tests", tally.tests()) } else { String::new() };
        match verdict {
            Ok(Verdict::Passed) => {
                println!("{:12} ok      {seconds:5.0} s{tests}", check.name);
                self.n_passed += 1;
                self.total.add(tally.or(Tally { passed: 1, failed: 0 }));
            }
            Ok(Verdict::Skipped(why)) => {
                println!("{:12} skipped {seconds:5.0} s: {why}", check.name);
                self.skipped.push(check.name);
            }
            Err(words) => {
                println!("{:12} FAILED  {seconds:5.0} s{tests}\n{words}\n", check.name);
                self.failed.push(check.name);
                let one = Tally { passed: 0, failed: 1 };
                self.total.add(if tally.failed > 0 { tally } else { Tally { failed: 1, ..tally }.or(one) });
            }
        }
    }
}

/// Opens once the native tests are over: they write what the other shells are compared with, and build the binary.
static NATIVE: Gate = Gate { open: Mutex::new(false), opened: Condvar::new() };

struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.opened.wait_while(open, |open| !*open).unwrap_or_else(PoisonError::into_inner));
    }
}

fn timed(check: &Check) -> (Outcome<Verdict>, Tally, f64) {
    let log = log_of(check.name);
    // The last run's counts are not this one's.
    let _ = fs::remove_file(&log);
    let started = Instant::now();
    let verdict = match check.work {
        Work::Cargo(arguments, environment) => {
            let mut cargo = program("cargo");
            cargo.args(arguments).envs(environment.iter().copied());
            logged(check.name, &mut cargo).map(passed)
        }
        Work::Own(run) => run(),
    };
    let tally = Tally::read(&fs::read_to_string(log).unwrap_or_default());
    (verdict, tally, started.elapsed().as_secs_f64())
}

fn log_of(check: &str) -> PathBuf {
    target("logs").join(format!("test-{}.log", check.replace(' ', "-")))
}

fn logged(check: &str, command: &mut Command) -> Outcome {
    sh::quietly(&format!("test-{check}"), command)
}

fn modules(check: &str, arguments: &[&str]) -> Outcome {
    setup::bindgen()?;
    let wasm = setup::wasm()?;
    logged(check, wasm.program("cargo").args(arguments))
}

/// What the native tests read but the tree may not hold: without it they check nothing, so it is fetched, or its absence said.
fn data() -> Outcome<Verdict> {
    setup::helsinki()?;
    // CEL's conformance suite comes with them; without it a native test checks nothing.
    setup::node()?;
    // What cards are written with; a native test draws some.
    if let Some(why_not) = setup::fonts()? {
        return Ok(Verdict::Skipped(why_not));
    }
    // The judge of the campaigns' JSON Schema is among them.
    if let Some(why_not) = setup::python()? {
        return Ok(Verdict::Skipped(why_not));
    }
    if root().join("../shared/data/osm").is_dir() {
        return Ok(Verdict::Passed);
    }
    Ok(Verdict::Skipped("no ../shared/data/osm: the tests on Ottawa and Copenhagen check nothing".to_owned()))
}

/// The worked campaigns have no fault, and their golden decisions come out as they are kept.
fn campaigns() -> Outcome<Verdict> {
    let mut check = program(cli_as_tested()?);
    logged("campaigns", check.args(["campaign", "check", "campaigns"])).map(passed)
}

fn wasm_clippy() -> Outcome<Verdict> {
    if let Some(why) = setup::wasm()?.lacks_clippy() {
        return Ok(Verdict::Skipped(why));
    }
    let target = ["--locked", "--profile", "wasm", "--target", setup::WASM_TARGET];
    let packages = ["--package", "freshrank-worker", "--package", "freshrank-web", "--features", "freshrank-web/full"];
    let rest = ["--all-targets", "--", "-D", "warnings"];
    modules("wasm clippy", &[&["clippy"][..], &target, &packages, &rest].concat()).map(passed)
}

/// Every module there is, as it ships.
fn build_modules() -> Outcome<Verdict> {
    setup::node()?;
    modules("modules", &[WASM_TESTS, &["--no-run"]].concat())?;
    wasm::web(Weight::Full)?;
    let workers = [Weight::Full, Weight::Lite];
    let built = workers.into_iter().map(|weight| Ok((weight, wasm::worker(weight)?))).collect::<Outcome<Vec<_>>>()?;
    size::check(&built).map(passed)
}

/// The cases inside the module, under Node.
fn wasm_tests() -> Outcome<Verdict> {
    NATIVE.pass();
    modules("wasm", WASM_TESTS).map(passed)
}

const WASM_TESTS: &[&str] = &[
    "test",
    "--locked",
    "--profile",
    "wasm",
    "--target",
    "wasm32-unknown-unknown",
    "--package",
    "freshrank-web",
    "--features",
    "full",
    "--no-fail-fast",
];

/// The package for Node, as a program in Node uses it.
fn node() -> Outcome<Verdict> {
    node_tests("node", "wasm/web/tests", || {
        let package = wasm::web(Weight::Full)?;
        Ok(vec![("FRESHRANK_WEB", package)])
    })
}

/// The Worker under workerd, over HTTP.
fn workerd() -> Outcome<Verdict> {
    node_tests("workerd", "wasm/worker/tests", || {
        setup::node()?;
        setup::mail()?;
        setup::chromium()?;
        let (full, lite) = (wasm::worker(Weight::Full)?, wasm::worker(Weight::Lite)?);
        // Tokens are minted by the package.
        let web = wasm::web(Weight::Full)?;
        Ok(vec![("FRESHRANK_WORKER", full), ("FRESHRANK_WORKER_LITE", lite), ("FRESHRANK_WEB", web)])
    })
}

/// The packed package in a folder that knows no Rust: mail, push and text messages, and a picture.
fn sender() -> Outcome<Verdict> {
    // Its cards are drawn.
    if let Some(why_not) = setup::fonts()? {
        return Ok(Verdict::Skipped(why_not));
    }
    node_tests("sender", "examples/sender", || {
        setup::node()?;
        Ok(vec![("FRESHRANK_PACKAGE", wasm::package(Weight::Full)?)])
    })
}

/// A few requests of every sort; how many a second is for `cargo xtask load` to say.
fn loaded() -> Outcome<Verdict> {
    Ok(match load::load(FEW_REQUESTS, Weight::Full)? {
        Ok(_) => Verdict::Passed,
        Err(why_not) => Verdict::Skipped(why_not),
    })
}

/// Seconds, on two cores that others use, too.
const FEW_REQUESTS: &str = "300";

/// The page's stories in a Chromium, beside the Worker, and its comparison of two campaigns by itself.
fn simulator() -> Outcome<Verdict> {
    if let Some(why_not) = setup::chromium()? {
        return Ok(Verdict::Skipped(why_not));
    }
    let worker = wasm::worker(Weight::Full)?;
    NATIVE.pass();
    let mut stories = simulator::tests(&cli_as_tested()?, &worker)?;
    logged("simulator", &mut stories).map(passed)
}

/// What the simulator says of a draft, as far as it needs no browser.
fn changes() -> Outcome<Verdict> {
    setup::node()?;
    logged("changes", program("node").arg(root().join("simulator/tests/changes.mjs"))).map(passed)
}

/// Runs a directory's `*.test.mjs`; they find what they test by the variables, and the `freshrank`
/// binary in `FRESHRANK_CLI`.
fn node_tests(
    check: &str,
    dir: &str,
    prepare: impl FnOnce() -> Outcome<Vec<(&'static str, PathBuf)>>,
) -> Outcome<Verdict> {
    let files = files_ending(&root().join(dir), ".test.mjs");
    if files.is_empty() {
        return Ok(Verdict::Skipped(format!("no *.test.mjs in {dir}")));
    }
    let mut environment = prepare()?;
    NATIVE.pass();
    environment.push(("FRESHRANK_CLI", cli_as_tested()?));
    let mut node = program("node");
    node.args(["--test", "--test-concurrency=1", "--test-reporter=tap"]).args(files).envs(environment);
    node.env("CLOUDFLARE_CF_FETCH_ENABLED", "false").env("WRANGLER_SEND_METRICS", "false");
    logged(check, &mut node).map(passed)
}

fn files_ending(dir: &Path, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut files: Vec<_> = paths.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    files.sort();
    files
}

/// The `freshrank` binary, built.
pub fn cli() -> Outcome<PathBuf> {
    sh::quietly("cli", program("cargo").args(["build", "--release", "--locked", "--package", "freshrank-cli"]))?;
    Ok(target("release/freshrank"))
}

/// The same from the selection of features that the native tests have compiled.
pub fn cli_as_tested() -> Outcome<PathBuf> {
    // With `--tests`, as development dependencies select features as well.
    let selection = ["build", "--release", "--locked", "--workspace", "--bins", "--tests", TYPES];
    sh::quietly("cli", program("cargo").args(selection))?;
    Ok(target("release/freshrank"))
}

/// The training's own checks, in its own language.
fn training() -> Outcome<Verdict> {
    if let Some(why_not) = setup::python()? {
        return Ok(Verdict::Skipped(why_not));
    }
    let mut python = program(setup::venv().join("bin/python"));
    python.args(["-m", "unittest", "discover", "--start-directory", "training"]);
    logged("training", &mut python).map(passed)
}

/// What the offline half computes, computed anew in Python by others' libraries.
fn reference() -> Outcome<Verdict> {
    if let Some(why_not) = setup::python()? {
        return Ok(Verdict::Skipped(why_not));
    }
    NATIVE.pass();
    let mut python = program(setup::venv().join("bin/python"));
    python.args(["-m", "unittest", "discover", "--verbose", "--start-directory", "offline/reference"]);
    logged("reference", python.env("FRESHRANK", cli_as_tested()?))?;
    let log = fs::read_to_string(log_of("reference")).unwrap_or_default();
    for line in log.lines().filter(|line| line.contains("... skipped")) {
        println!("reference: {line}");
    }
    Ok(Verdict::Passed)
}

/// The committed model is of one run, and still scores as it did.
fn model() -> Outcome<Verdict> {
    if let Some(why_not) = setup::python()? {
        return Ok(Verdict::Skipped(why_not));
    }
    let mut check = program(setup::venv().join("bin/python"));
    logged("model", check.args(["training/check.py", "models/"])).map(passed)
}

/// README's way from new tables to a published model and back, as it stands there; and what clicks teach.
fn retrained() -> Outcome<Verdict> {
    if let Some(why_not) = setup::python()? {
        return Ok(Verdict::Skipped(why_not));
    }
    NATIVE.pass();
    let cli = cli_as_tested()?;
    retrain::retrain(&cli, retrain::FEW)?;
    retrain::learn_from_clicks(&cli).map(|_| Verdict::Passed)
}

/// How many tests said what.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    /// Adds up the summaries of Rust's harness, of TAP and of Python's unittest.
    fn read(log: &str) -> Self {
        let mut total = Self::default();
        for line in log.lines() {
            if let Some(rest) = line.trim_start().strip_prefix("test result: ") {
                total.passed += before(rest, " passed");
                total.failed += before(rest, " failed");
            } else if let Some(n) = line.strip_prefix("# pass ") {
                total.passed += n.trim().parse().unwrap_or(0);
            } else if let Some(n) = line.strip_prefix("# fail ") {
                total.failed += n.trim().parse().unwrap_or(0);
            } else if let Some(rest) = line.strip_prefix("Ran ") {
                total.passed += rest.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
            } else if let Some(n) = line.strip_prefix("OK (skipped=") {
                let skipped = n.trim_end_matches(')').parse().unwrap_or(0);
                total.passed = total.passed.saturating_sub(skipped);
            } else if let Some(rest) = line.strip_prefix("FAILED (") {
                let failed: usize = rest
                    .trim_end_matches(')')
                    .split(", ")
                    .filter_map(|part| part.split_once('='))
                    .filter(|(kind, _)| matches!(*kind, "failures" | "errors"))
                    .filter_map(|(_, n)| n.parse::<usize>().ok())
                    .sum();
                total.failed += failed;
                total.passed = total.passed.saturating_sub(failed);
            }
        }
        total
    }

    const fn tests(self) -> usize {
        self.passed + self.failed
    }

    const fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// A check that has no tests within counts as one itself.
    const fn or(self, one: Self) -> Self {
        if self.tests() > 0 { self } else { one }
    }
}

/// The number that stands before `word`: 3 for `ok. 3 passed; ...`.
fn before(text: &str, word: &str) -> usize {
    text.split_once(word)
        .and_then(|(head, _)| head.rsplit(' ').next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summaries_of_three_harnesses_add_up() {
        let rust =
            "test result: ok. 3 passed; 0 failed; 1 ignored\ntest result: FAILED. 10 passed; 2 failed; 0 ignored";
        assert_eq!(Tally::read(rust), Tally { passed: 13, failed: 2 });
        assert_eq!(Tally::read("# tests 5\n# pass 4\n# fail 1\n"), Tally { passed: 4, failed: 1 });
        let python = "Ran 7 tests in 0.1s\n\nFAILED (failures=1, errors=2, skipped=1)";
        assert_eq!(Tally::read(python), Tally { passed: 4, failed: 3 });
        assert_eq!(Tally::read("error: could not compile"), Tally::default());
    }
}
