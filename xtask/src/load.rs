//! The Worker under load, beside a Worker that says hello in the same run: `benches/load.mjs` asks, this brings what it needs.

use crate::sh::{Outcome, program, root};
use crate::wasm::{self, Weight};
use crate::{setup, sh};

/// Enough for memory to tell whether it grows.
const REQUESTS: &str = "200000";

/// `cargo xtask load [--requests N] [--lite]`.
pub fn run(arguments: &[String]) -> Outcome {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (requests, weight) = match arguments.as_slice() {
        [] => (REQUESTS, Weight::Full),
        ["--lite"] => (REQUESTS, Weight::Lite),
        ["--requests", n] => (*n, Weight::Full),
        ["--requests", n, "--lite"] => (*n, Weight::Lite),
        other => return Err(format!("found `load {}`, expected `load [--requests N] [--lite]`", other.join(" "))),
    };
    match load(requests, weight)? {
        Ok(words) => print!("{words}"),
        Err(why_not) => return Err(why_not),
    }
    Ok(())
}

/// What it says, or why there is nothing to ask with.
pub fn load(requests: &str, weight: Weight) -> Outcome<Result<String, String>> {
    if let Some(why_not) = setup::wrk() {
        return Ok(Err(why_not));
    }
    setup::node()?;
    let (module, package) = (wasm::worker(weight)?, wasm::web(weight)?);
    let mut node = program("node");
    node.arg("benches/load.mjs").args(["--requests", requests, "--module", weight.name()]).current_dir(root());
    node.env(if weight == Weight::Full { "FRESHRANK_WORKER" } else { "FRESHRANK_WORKER_LITE" }, module);
    node.env("FRESHRANK_WEB", package).env("CLOUDFLARE_CF_FETCH_ENABLED", "false");
    sh::logged("load", &mut node).map(Ok)
}
