//! Builds the modules that ship: the Worker, and the package for browsers and Node, each full or lite.
//!
//! What comes out is in `target/modules/NAME-WEIGHT`. `FRESHRANK_WASM_LTO=off` leaves out wasm-opt, which
//! optimizes the linked module as a whole: seconds instead of a minute, and a larger and slower module.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::setup::{self, Wasm};
use crate::sh::{self, Outcome, program, quietly, root, target};

/// What wasm-opt does. Functions of one generic stand next to each other by their names, which gzip likes.
const WASM_OPT: &[&str] = &["-O2", "-g", "--reorder-functions-by-name"];
/// The feature set by which it may go: what .cargo/config.toml turns on, and rustc by default.
const WASM_FEATURES: &[&str] = &[
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-sign-ext",
    "--enable-nontrapping-float-to-int",
    "--enable-mutable-globals",
    "--enable-multivalue",
    "--enable-reference-types",
    "--enable-exception-handling",
];

/// How much is in a module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weight {
    /// tract and dense.
    Full,
    /// dense alone.
    Lite,
    /// dense, and the compiler of rules: the simulator's, and the Worker's to be weighed.
    LiteWithCel,
}

impl Weight {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Lite => "lite",
            Self::LiteWithCel => "lite-with-cel",
        }
    }

    /// The one switch; with it every crate of wasm/ takes the engine's `tract`.
    const fn features(self) -> &'static [&'static str] {
        match self {
            Self::Full => &["--no-default-features", "--features", "full"],
            Self::Lite => &["--no-default-features"],
            Self::LiteWithCel => &["--no-default-features", "--features", "cel"],
        }
    }
}

/// `cargo xtask build worker|web [--lite [--cel]]`.
pub fn run(arguments: &[String]) -> Outcome {
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let weight = match (has("--lite"), has("--cel")) {
        (true, true) => Weight::LiteWithCel,
        (true, false) => Weight::Lite,
        (false, _) => Weight::Full,
    };
    let rest: Vec<&str> = arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with("--")).collect();
    let module = match rest[..] {
        ["worker"] => worker(weight)?,
        ["web"] => web(weight)?,
        ["package"] => package(weight)?,
        _ => {
            return Err(
                "`cargo xtask build` takes `worker`, `web` or `package`, then `--lite`, `--lite --cel` or nothing"
                    .to_owned(),
            );
        }
    };
    println!("{}", module.display());
    Ok(())
}

/// The package for browsers and Node: `web/` and `nodejs/` in the directory returned, each with
/// `freshrank.js`, `freshrank_bg.wasm` and `freshrank.d.ts`.
pub fn web(weight: Weight) -> Outcome<PathBuf> {
    web_as(weight, true)
}

/// The same without the minute that wasm-opt takes: larger and slower, for what only tries it out.
pub fn web_to_try(weight: Weight) -> Outcome<PathBuf> {
    web_as(weight, false)
}

fn web_as(weight: Weight, optimized: bool) -> Outcome<PathBuf> {
    let wasm = setup::wasm()?;
    let bindgen = setup::bindgen()?;
    let mut cargo = wasm.program("cargo");
    cargo.args([
        "build",
        "--package",
        "freshrank-web",
        "--lib",
        "--target",
        "wasm32-unknown-unknown",
        "--profile",
        "wasm",
    ]);
    quietly("web", cargo.args(weight.features()))?;

    let linked = target("wasm/wasm32-unknown-unknown/wasm/freshrank_web.wasm");
    let to = target("modules").join(format!("web-{}", weight.name()));
    for kind in ["web", "nodejs"] {
        let dir = to.join(kind);
        sh::fresh_dir(&dir)?;
        let mut command = program(&bindgen);
        command.args(["--target", kind, "--out-name", "freshrank", "--out-dir"]).arg(&dir).arg(&linked);
        quietly("wasm-bindgen", &mut command)?;
        if optimized {
            optimize(&dir.join("freshrank_bg.wasm"), &named("web", weight))?;
        }
    }
    sh::copy_dir(&root().join("wasm/web/npm"), &to)?;
    Ok(to)
}

/// Both in one, for `npm pack`: what somebody without Rust sends, serves and simulates with.
pub fn package(weight: Weight) -> Outcome<PathBuf> {
    let (web, worker) = (web(weight)?, worker(weight)?);
    let to = target("modules").join(format!("package-{}", weight.name()));
    sh::fresh_dir(&to)?;
    sh::copy_dir(&web, &to)?;
    sh::create_dir(&to.join("worker"))?;
    for file in ["index.js", "index_bg.wasm"] {
        sh::write(&to.join("worker").join(file), sh::read_bytes(&worker.join(file))?)?;
    }
    Ok(to)
}

/// The Worker: `index.js` and `index_bg.wasm` in the directory returned.
pub fn worker(weight: Weight) -> Outcome<PathBuf> {
    let wasm = setup::wasm()?;
    let name = format!("worker-{}", weight.name());
    let built = target("modules/built").join(&name);
    worker_build(&wasm, &built, weight)?;

    let to = target("modules").join(&name);
    sh::fresh_dir(&to)?;
    sh::copy_dir(&built, &to)?;
    optimize(&to.join("index_bg.wasm"), &named("worker", weight))?;
    Ok(to)
}

/// Where the module stays as it was before its function names were taken away.
pub fn named(module: &str, weight: Weight) -> PathBuf {
    target("modules/built").join(format!("{module}-{}.named.wasm", weight.name()))
}

/// Everything worker-build would download is there already and named.
fn worker_build(wasm: &Wasm, to: &Path, weight: Weight) -> Outcome {
    let worker_build = setup::worker_build()?;
    let bindgen = setup::bindgen()?;
    let node = setup::node()?;
    // Relative to the crate, as worker-build wants it.
    let to = Path::new("../..").join(to.strip_prefix(root()).unwrap_or(to));
    let mut command = wasm.program(worker_build);
    command.args(["--no-opt", "--profile", "wasm", "--out-dir"]).arg(to).arg("wasm/worker").args(weight.features());
    command.env("WASM_BINDGEN_BIN", bindgen);
    command.env("ESBUILD_BIN", node.join("esbuild"));
    command.env("WASM_OPT_BIN", node.join("wasm-opt"));
    quietly("worker-build", &mut command)
}

/// Whether a build is for trying out only.
fn is_quick() -> bool {
    std::env::var("FRESHRANK_WASM_LTO").is_ok_and(|value| value == "off")
}

/// Runs wasm-opt over a module in place, keeping it with its names in `named`. It takes a minute:
/// the same module is not optimized twice.
pub fn optimize(module: &Path, named: &Path) -> Outcome {
    let bytes = sh::read_bytes(module)?;
    sh::write(named, &bytes)?;
    if is_quick() {
        return Ok(());
    }
    let mut hasher = DefaultHasher::new();
    (&bytes, WASM_OPT, WASM_FEATURES, sh::read(&root().join("wasm/package-lock.json"))?).hash(&mut hasher);
    let known = target("modules/optimized").join(format!("{:016x}.wasm", hasher.finish()));
    if !known.exists() {
        sh::create_dir(&target("modules/optimized"))?;
        let part = known.with_extension("part");
        let wasm_opt = setup::node()?.join("wasm-opt");
        let run = |passes: &[&str], from: &Path| {
            quietly("wasm-opt", program(&wasm_opt).args(WASM_FEATURES).args(passes).arg(from).arg("-o").arg(&part))
        };
        run(WASM_OPT, module)?;
        // Without -g it writes no names.
        run(&[], &part)?;
        std::fs::rename(&part, &known).map_err(|err| format!("cannot write {}: {err}", known.display()))?;
    }
    sh::write(module, sh::read_bytes(&known)?)
}
