//! Peers: our scorers beside others' runtimes and beside what the machine can do at most, over the same rows in one run.
//!
//! Each program holds its own clock (`benches/src/clock.rs`, `benches/peers/v8.mjs`) and is asked in turn, so that a slow moment of a
//! shared machine falls on all of them. Nobody is timed before all agree. What is built for it stays in `target/peers`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::report::{self, Row};
use crate::setup;
use crate::sh::{self, Outcome, cannot_run, logged, program, quietly, root, target};
use crate::size::gzipped;
use crate::wasm;

/// How far scores of one network may be apart, relative, below 1 absolute.
const BOUND: f32 = 1e-5;
/// Rounds of which the median counts, each about so long.
const ROUNDS: usize = 9;
const ROUND_MICROSECONDS: f64 = 20_000.0;
/// V8 compiles twice: the second, better code is there after some hundred milliseconds.
const WARM_UP_MICROSECONDS: f64 = 200_000.0;
/// Fresh processes of which the median counts.
const STARTS: usize = 7;

/// Who holds the clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Program {
    /// The benches, natively.
    Ours,
    /// The peers, natively.
    Theirs,
    /// All of them in V8.
    V8,
}

impl Program {
    const fn target(self) -> &'static str {
        if matches!(self, Self::V8) { "v8" } else { "native" }
    }
}

/// Which model a scorer runs, under the name it has beside the scorer's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Form {
    /// What ships: weights in int8, arithmetic in f32.
    Shipped,
    /// The same numbers in f32.
    Floats,
    /// Trees by leaves.
    Forest(&'static str),
}

impl Form {
    fn model(self, scorer: &str, scene: &Path) -> PathBuf {
        match self {
            Self::Shipped if matches!(scorer, "dense" | "gemm" | "fused gemm") => root().join("models/ltr.plan"),
            Self::Shipped => root().join("models/ltr.onnx"),
            Self::Floats => scene.join("ltr-f32.onnx"),
            Self::Forest(name) => scene.join(format!("lightgbm-{name}.txt")),
        }
    }

    fn scores(self, scene: &Path) -> PathBuf {
        match self {
            Self::Forest(name) => scene.join(format!("lightgbm-{name}.f32")),
            _ => scene.join("scores.f32"),
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Entry {
    program: Program,
    scorer: &'static str,
    form: Form,
    part: Part,
}

/// What it stands there for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Part {
    Ours,
    Peer,
    Limit,
}

impl Entry {
    fn name(self) -> String {
        match self.form {
            Form::Shipped => self.scorer.to_owned(),
            Form::Floats => format!("{} f32", self.scorer),
            Form::Forest(name) => format!("{} {name}", self.scorer),
        }
    }
}

/// Everyone, in the table's order.
fn entries() -> Vec<Entry> {
    let mut all = Vec::new();
    for (ours, theirs) in [(Program::Ours, Program::Theirs), (Program::V8, Program::V8)] {
        let mut add = |program, scorer, form, part| all.push(Entry { program, scorer, form, part });
        for form in [Form::Shipped, Form::Floats] {
            if form == Form::Shipped {
                add(ours, "dense", form, Part::Ours);
            }
            add(ours, "tract", form, Part::Ours);
            add(theirs, "onnxruntime", form, Part::Peer);
            add(theirs, "rten", form, Part::Peer);
        }
        if theirs == Program::Theirs {
            add(theirs, "lightgbm", Form::Forest("100x15"), Part::Peer);
            add(theirs, "lightgbm", Form::Forest("500x63"), Part::Peer);
            add(ours, "fused gemm", Form::Shipped, Part::Limit);
        }
        for limit in ["gemm", "kernel", "same network", "copy"] {
            add(ours, limit, Form::Shipped, Part::Limit);
        }
    }
    all
}

/// `cargo xtask bench --agree`: every runtime natively, over every file of rows there is.
pub fn agree(native: &Path) -> Outcome {
    let built = Built::new(native)?;
    let mut clocks = BTreeMap::from([
        (Program::Ours, Clock::start(built.command(Program::Ours))?),
        (Program::Theirs, Clock::start(built.command(Program::Theirs))?),
    ]);
    built.agree(&mut clocks)
}

/// `cargo xtask bench --peers`.
pub fn run(native: &Path, lite: PathBuf, full: PathBuf) -> Outcome {
    let mut built = Built::new(native)?;
    let (rten, packages) = (rten()?, packages()?);
    built.modules = Some([lite, full, rten, packages]);
    let mut clocks = BTreeMap::new();
    for program in [Program::Ours, Program::Theirs, Program::V8] {
        clocks.insert(program, Clock::start(built.command(program))?);
    }
    built.agree(&mut clocks)?;

    let entries = entries();
    let warm = built.warm(&entries, &mut clocks)?;
    // Nobody else runs while modules start.
    drop(clocks);
    let cold = built.cold(&entries)?;
    let rows = [table("native", &entries, &warm, &cold)?, table("v8", &entries, &warm, &cold)?, built.sizes()?];
    report::write("bench-peers", &rows.concat())?;
    println!("{}", about(&built));
    Ok(())
}

/// What has been built and written.
struct Built {
    native: PathBuf,
    peers: PathBuf,
    scene: PathBuf,
    /// Of onnxruntime and of LightGBM.
    libraries: [String; 2],
    /// Without tract, with tract, rten's, and where onnxruntime-web is.
    modules: Option<[PathBuf; 4]>,
    width: String,
    n_rows: usize,
}

impl Built {
    fn new(native: &Path) -> Outcome<Self> {
        let scene = target("bench");
        quietly("bench-scene", program(native).arg(&scene))?;
        let mut cargo = program("cargo");
        cargo.args(["build", "--release", "--locked", "--manifest-path", "benches/peers/Cargo.toml", "--target-dir"]);
        quietly("peers", cargo.arg(target("peers")))?;
        if let Some(why_not) = setup::peers()? {
            return Err(why_not);
        }
        let mut python = program(setup::venv().join("bin/python"));
        let said = logged("peers-python", python.arg("benches/peers/peers.py").arg(&scene))?;
        let Some([onnxruntime, lightgbm]) =
            said.lines().rev().take(2).collect::<Vec<_>>().try_into().ok().map(|[b, a]: [&str; 2]| [a, b])
        else {
            return Err(format!("benches/peers/peers.py says {said:?}, expected the paths of two libraries"));
        };
        let libraries = [onnxruntime.to_owned(), lightgbm.to_owned()];
        let (rows, scores) = (numbers(&scene.join("rows.f32"))?, numbers(&scene.join("scores.f32"))?);
        let (width, n_rows) = ((rows.len() / scores.len().max(1)).to_string(), scores.len());
        let peers = target("peers/release/freshrank-peers");
        Ok(Self { native: native.to_owned(), peers, scene, libraries, modules: None, width, n_rows })
    }

    fn command(&self, who: Program) -> Command {
        let mut command = match who {
            Program::Ours => program(&self.native),
            Program::Theirs => program(&self.peers),
            Program::V8 => program("node"),
        };
        match who {
            Program::Ours => command.arg("serve"),
            Program::Theirs => {
                let [onnxruntime, lightgbm] = &self.libraries;
                command.env("FRESHRANK_ONNXRUNTIME", onnxruntime).env("FRESHRANK_LIGHTGBM", lightgbm)
            }
            Program::V8 => command.arg("benches/peers/v8.mjs").args(self.modules.iter().flatten()),
        };
        command
    }

    /// The words that name a question: scorer, model, rows, width.
    fn question(&self, entry: &Entry, rows: &Path) -> [String; 4] {
        let model = entry.form.model(entry.scorer, &self.scene);
        [entry.scorer.into(), model.display().to_string(), rows.display().to_string(), self.width.clone()]
    }

    /// Refuses scores that are too far from `dense`'s, or forests' from those of LightGBM's Python predictor.
    fn agree(&self, clocks: &mut BTreeMap<Program, Clock>) -> Outcome {
        let sets = [
            ("the bench", self.scene.join("rows.f32"), self.scene.join("scores.f32")),
            ("the model's probe", self.scene.join("probe_rows.f32"), self.scene.join("probe_scores.f32")),
            ("validation", target("train/valid_rows.f32"), target("train/valid_scores.f32")),
        ];
        let entries: Vec<Entry> = entries().into_iter().filter(|entry| entry.part != Part::Limit).collect();
        for (set, rows, written) in &sets {
            if !rows.exists() {
                println!("no rows of {set}: {} is not there", rows.display());
                continue;
            }
            let mut scores_of = |entry: &Entry| -> Outcome<Vec<f32>> {
                let out = self.scene.join("answer.f32").display().to_string();
                let clock = clocks.get_mut(&entry.program).ok_or("a clock that was not started")?;
                clock.ask("scores", &self.question(entry, rows), &out)?;
                numbers(Path::new(&out))
            };
            let dense = scores_of(&entries[0])?;
            let mut gaps = vec![("what stands in the file".to_owned(), "", apart(&numbers(written)?, &dense)?)];
            for entry in &entries {
                let is_here = entry.program != Program::V8 || self.modules.is_some();
                let is_forest = matches!(entry.form, Form::Forest(_));
                // Forests were asked about the bench's rows only.
                if !is_here || is_forest && *set != sets[0].0 {
                    continue;
                }
                let scores = scores_of(entry)?;
                let expected = if is_forest { &numbers(&entry.form.scores(&self.scene))? } else { &dense };
                let gap = apart(&scores, expected)?;
                let must_be_equal = entry.scorer == "dense";
                if must_be_equal && scores.iter().zip(&dense).any(|(a, b)| a.to_bits() != b.to_bits()) {
                    return Err(format!(
                        "dense has other bits in {} than natively, over the rows of {set}",
                        entry.program.target()
                    ));
                }
                gaps.push((entry.name(), entry.program.target(), gap));
            }
            println!(
                "{} rows of {set}, largest relative gap to dense (forests: to LightGBM's Python predictor):",
                dense.len()
            );
            for (name, target, gap) in &gaps {
                println!("  {name:24} {target:6}  {gap:.1e}");
            }
            if let Some((name, target, gap)) = gaps.iter().find(|(.., gap)| *gap > BOUND) {
                return Err(format!(
                    "{name} {target} is {gap:e} from dense over the rows of {set}, expected at most {BOUND:e}; \
                     where it is what stands in the file, rows and model are of two runs: `cargo xtask train`"
                ));
            }
        }
        Ok(())
    }

    /// Microseconds a run, the median of rounds.
    fn warm(&self, entries: &[Entry], clocks: &mut BTreeMap<Program, Clock>) -> Outcome<BTreeMap<Entry, f64>> {
        let rows = self.scene.join("rows.f32");
        let mut time = |entry: &Entry, times: f64| -> Outcome<f64> {
            let clock = clocks.get_mut(&entry.program).ok_or("a clock that was not started")?;
            let said = clock.ask("time", &self.question(entry, &rows), &times.clamp(1.0, 1e6).floor().to_string())?;
            said.parse().map_err(|_| format!("{} says {said:?}, expected microseconds", entry.name()))
        };
        let mut times = Vec::new();
        for entry in entries {
            let first = time(entry, 3.0)?;
            let warm = time(entry, WARM_UP_MICROSECONDS / first)?;
            times.push(ROUND_MICROSECONDS / warm);
        }
        let mut found: BTreeMap<Entry, Vec<f64>> = BTreeMap::new();
        for _ in 0..ROUNDS {
            for (entry, times) in entries.iter().zip(&times) {
                found.entry(*entry).or_default().push(time(entry, *times)?);
            }
        }
        let mut medians: BTreeMap<Entry, f64> =
            found.into_iter().map(|(entry, times)| (entry, median(times))).collect();
        // What a copy takes becomes what the network's bytes would take.
        for (entry, value) in &mut medians {
            if entry.scorer == "copy" {
                let out = self.scene.join("answer.f32").display().to_string();
                let clock = clocks.get_mut(&entry.program).ok_or("a clock that was not started")?;
                clock.ask("scores", &self.question(entry, &rows), &out)?;
                let copied = numbers(Path::new(&out))?.first().copied().unwrap_or(f32::NAN);
                let weights = sh::read_bytes(&root().join("models/ltr.plan"))?.len();
                let bytes = weights + sh::read_bytes(&rows)?.len() + 4 * self.n_rows;
                *value *= bytes as f64 / f64::from(copied);
            }
        }
        Ok(medians)
    }

    /// Microseconds from bytes to first scores, the median over fresh processes.
    fn cold(&self, entries: &[Entry]) -> Outcome<BTreeMap<Entry, f64>> {
        let rows = self.scene.join("rows.f32");
        let mut found: BTreeMap<Entry, Vec<f64>> = BTreeMap::new();
        for _ in 0..STARTS {
            for entry in entries.iter().filter(|entry| entry.part != Part::Limit) {
                let said = Clock::start(self.command(entry.program))?.ask("cold", &self.question(entry, &rows), "")?;
                let time =
                    said.parse().map_err(|_| format!("{} says {said:?}, expected microseconds", entry.name()))?;
                found.entry(*entry).or_default().push(time);
            }
        }
        Ok(found.into_iter().map(|(entry, times)| (entry, median(times))).collect())
    }

    /// What a browser or a Worker fetches, gzipped. Ours is that of the benches: the whole engine is in it. `cargo xtask size` has what ships.
    fn sizes(&self) -> Outcome<Vec<Row>> {
        let Some([lite, full, rten, packages]) = &self.modules else {
            return Ok(Vec::new());
        };
        let modules = [
            ("module dense", lite.with_file_name("bench_bg.wasm")),
            ("module dense and tract", full.with_file_name("bench_bg.wasm")),
            ("module rten", rten.with_file_name("peers_bg.wasm")),
            ("module onnxruntime", packages.join("node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm")),
        ];
        println!("\ngzip -9, the module alone (ours: the whole engine, as in the benches)");
        let row = |(name, path): &(&str, PathBuf)| {
            let bytes = gzipped(path)?;
            println!("  {name:24} {bytes:>10} bytes");
            Ok(Row { name: (*name).to_owned(), target: "v8", value: bytes as f64, unit: "bytes", against: None })
        };
        modules.iter().map(row).collect()
    }
}

/// A program that is asked line by line.
struct Clock {
    child: Child,
    said: BufReader<ChildStdout>,
    name: String,
}

impl Clock {
    fn start(mut command: Command) -> Outcome<Self> {
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.map_err(|err| cannot_run(&command, &err))?;
        let said = child.stdout.take().ok_or("a program without an output")?;
        Ok(Self { child, said: BufReader::new(said), name: command.get_program().to_string_lossy().into_owned() })
    }

    fn ask(&mut self, verb: &str, question: &[String; 4], last: &str) -> Outcome<String> {
        let line = format!("{verb}\t{}\t{last}", question.join("\t"));
        let gone = |err: std::io::Error| format!("{} does not answer {line:?}: {err}", self.name);
        writeln!(self.child.stdin.as_mut().ok_or("a program that cannot be asked")?, "{line}").map_err(gone)?;
        let mut answer = String::new();
        self.said.read_line(&mut answer).map_err(gone)?;
        match answer.trim_end() {
            "" => Err(format!("{} ended at {line:?}", self.name)),
            wrong if wrong.starts_with("error: ") => Err(format!("{}: {} at {line:?}", self.name, &wrong[7..])),
            answer => Ok(answer.to_owned()),
        }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        // Nobody asks any more: it ends by itself.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// rten as a module for Node, built as ours is but for speed alone.
fn rten() -> Outcome<PathBuf> {
    let (compiler, bindgen) = (setup::wasm()?, setup::bindgen()?);
    let mut cargo = compiler.program("cargo");
    cargo.args(["build", "--release", "--locked", "--lib", "--manifest-path", "benches/peers/Cargo.toml"]);
    cargo.args(["--target", setup::WASM_TARGET]).env("CARGO_TARGET_DIR", target("peers"));
    quietly("peers-wasm", &mut cargo)?;
    let dir = target("modules/peers");
    sh::fresh_dir(&dir)?;
    let mut command = program(bindgen);
    command.args(["--target", "nodejs", "--out-name", "peers", "--out-dir"]).arg(&dir);
    quietly("wasm-bindgen", command.arg(target("peers/wasm32-unknown-unknown/release/freshrank_peers.wasm")))?;
    wasm::optimize(&dir.join("peers_bg.wasm"), &target("modules/built/peers.named.wasm"))?;
    Ok(dir.join("peers.js"))
}

/// onnxruntime-web, in a directory of its own.
fn packages() -> Outcome<PathBuf> {
    let dir = target("peers/node");
    setup::packages(&root().join("benches/peers"), &dir)?;
    Ok(dir)
}

/// Prints the lines of a target, and their ratios.
fn table(
    target: &'static str,
    entries: &[Entry],
    warm: &BTreeMap<Entry, f64>,
    cold: &BTreeMap<Entry, f64>,
) -> Outcome<Vec<Row>> {
    let here = || entries.iter().filter(|entry| entry.program.target() == target);
    let limit = |scorer: &str| {
        let entry = here().find(|entry| entry.scorer == scorer && entry.part == Part::Limit);
        entry.and_then(|entry| warm.get(entry)).copied()
    };
    let peers = here().filter(|entry| entry.part == Part::Peer);
    let best = peers.min_by(|a, b| warm[*a].total_cmp(&warm[*b])).ok_or("nobody to compare with")?;
    // Natively the peers may fuse multiply and add, so that is their limit and ours.
    let (gemm_name, gemm) = match limit("fused gemm") {
        Some(time) => ("bare GEMM, fused", time),
        None => ("bare GEMM", limit("gemm").ok_or("no bare GEMM")?),
    };
    let memory = limit("copy").ok_or("no copy")?;
    let best_name: &'static str = if best.scorer == "rten" { "rten" } else { "onnxruntime" };

    println!("\n{target}: microseconds over the same rows; best peer: {}", best.name());
    println!(
        "  {:24} {:>10} {:>10} {:>14} {:>18} {:>12}",
        "",
        "cold",
        "warm",
        "of best peer",
        format!("of {gemm_name}"),
        "of memory"
    );
    let mut rows = Vec::new();
    for entry in here() {
        let time = warm[entry];
        let name = if entry.scorer == "copy" { "memory".to_owned() } else { entry.name() };
        let (to_peer, to_gemm, to_memory) = (time / warm[best], time / gemm, time / memory);
        let start = cold.get(entry).map_or(String::new(), |cold| format!("{cold:.0}"));
        println!("  {name:24} {start:>10} {time:>10.1} {to_peer:>14.2} {to_gemm:>18.2} {to_memory:>12.1}");
        let row = |name: String, value: f64, against| Row {
            name,
            target,
            value: (value * 100.0).round() / 100.0,
            unit: "us",
            against,
        };
        rows.push(row(format!("{name}/300"), time, Some((best_name, to_peer))));
        rows.push(row(format!("{name}/300"), time, Some((gemm_name, to_gemm))));
        rows.push(row(format!("{name}/300"), time, Some(("memory bandwidth", to_memory))));
        if let Some(cold_time) = cold.get(entry) {
            rows.push(row(format!("{name} cold"), *cold_time, Some((best_name, cold_time / cold[best]))));
        }
    }

    let of = |scorer: &str| {
        here().find(|entry| entry.scorer == scorer).and_then(|entry| warm.get(entry)).copied().unwrap_or(f64::NAN)
    };
    let mut aim = |name: &str, what: &str, value: f64, against: (&'static str, f64), aim: f64| {
        println!("  {what}: {:.2}, aim at most {aim:.2}{}", against.1, if against.1 <= aim { "" } else { "  MISSED" });
        rows.push(Row { name: name.to_owned(), target, value, unit: "us", against: Some(against) });
    };
    let (kernel, same, dense) = (of("kernel"), of("same network"), of("dense"));
    if target == "v8" {
        aim(
            "same network/300",
            "dense on the kernel's own network / the hand-written kernel",
            same,
            ("hand-written kernel", same / kernel),
            1.2,
        );
        aim("dense/300", "dense / the best peer", dense, ("the best peer", dense / warm[best]), 0.5);
    } else {
        aim("dense/300", "dense / onnxruntime", dense, ("onnxruntime", dense / of("onnxruntime")), 4.0);
    }
    Ok(rows)
}

/// What a reader of the table must know.
fn about(built: &Built) -> String {
    #[cfg(target_arch = "x86_64")]
    let has = [
        ("AVX2", std::is_x86_feature_detected!("avx2")),
        ("FMA", std::is_x86_feature_detected!("fma")),
        ("AVX-512", std::is_x86_feature_detected!("avx512f")),
        ("VNNI", std::is_x86_feature_detected!("avx512vnni")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let has: [(&str, bool); 0] = [];
    let has: Vec<&str> = has.into_iter().filter_map(|(name, has)| has.then_some(name)).collect();
    let has = if has.is_empty() { "none of them".to_owned() } else { has.join(", ") };
    format!(
        "\n{} rows, one thread; cold: a fresh process, from bytes to first scores (in V8 the module's compilation is counted, natively the \
         library is there); warm: the median of {ROUNDS} rounds in turn.\nNatively: target-cpu {}, registers chosen at run time; this CPU has {has}. dense never \
         fuses multiply and add, the others do.\nBare GEMM: the shipped network's multiplications alone; memory: the bytes of plan, rows and \
         scores at the speed of a large copy. Forests learnt the network's scores of made-up rows: for their speed only.",
        built.n_rows,
        std::env::consts::ARCH,
    )
}

/// The largest difference, relative to the second; below 1, absolute. What is no number is infinitely far from every other.
fn apart(a: &[f32], b: &[f32]) -> Outcome<f32> {
    if a.len() != b.len() {
        return Err(format!("found {} scores, expected {}", a.len(), b.len()));
    }
    let gaps = a.iter().zip(b).map(|(a, b)| (a - b).abs() / b.abs().max(1.0));
    Ok(gaps.map(|gap| if gap.is_nan() { f32::INFINITY } else { gap }).fold(0.0, f32::max))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Little-endian f32.
fn numbers(path: &Path) -> Outcome<Vec<f32>> {
    Ok(sh::read_bytes(path)?.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_that_is_no_number_is_apart_from_every_other() {
        assert_eq!(apart(&[1.0, 2.0], &[1.0, 4.0]), Ok(0.5));
        assert_eq!(apart(&[0.1], &[0.2]), Ok(0.1));
        assert_eq!(apart(&[f32::NAN, 1.0], &[1.0, 1.0]), Ok(f32::INFINITY));
        assert_eq!(apart(&[1.0, f32::INFINITY], &[1.0, 1.0]), Ok(f32::INFINITY));
        assert_eq!(apart(&[1.0], &[]), Err("found 1 scores, expected 0".to_owned()));
    }
}
