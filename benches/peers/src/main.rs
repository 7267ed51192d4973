//! The peers natively, asked by `cargo xtask bench --peers`.

use freshrank_peers::{Contestant, Error, lightgbm, onnxruntime, prepare};

#[path = "../../src/clock.rs"]
mod clock;

fn main() -> Result<(), Error> {
    // Code is there before anyone is asked, as that of the others.
    onnxruntime::library()?;
    lightgbm::library()?;
    clock::serve(prepare)
}
