//! Peers: others' runtimes over the rows that `dense` scores, natively and in V8.
//!
//! Each is set up as its own documentation says for speed on one thread. What scores here ships nowhere.

#[cfg(not(target_arch = "wasm32"))]
pub mod lightgbm;
#[cfg(not(target_arch = "wasm32"))]
pub mod onnxruntime;
pub mod rten;

use wasm_bindgen::prelude::wasm_bindgen;

#[path = "../../src/contestant.rs"]
mod contestant;
pub use contestant::{Contestant, Error};

/// A model with the rows it is asked about.
///
/// # Errors
/// A runtime that is not here, or a model that it refuses.
pub fn prepare(scorer: &str, model: &[u8], rows: &[f32], width: usize) -> Result<Box<dyn Contestant>, Error> {
    match scorer {
        "rten" => Ok(Box::new(rten::Rten::load(model, rows, width)?)),
        #[cfg(not(target_arch = "wasm32"))]
        "onnxruntime" => Ok(Box::new(onnxruntime::OnnxRuntime::load(model, rows, width)?)),
        #[cfg(not(target_arch = "wasm32"))]
        "lightgbm" => Ok(Box::new(lightgbm::LightGbm::load(model, rows, width)?)),
        _ => Err(format!("no peer {scorer:?} here").into()),
    }
}

/// A contestant in V8.
#[wasm_bindgen]
pub struct Entry(Box<dyn Contestant>);

#[wasm_bindgen]
impl Entry {
    /// As [`prepare`].
    ///
    /// # Errors
    /// As [`prepare`].
    #[wasm_bindgen(constructor)]
    pub fn new(scorer: &str, model: &[u8], rows: &[f32], width: usize) -> Result<Self, String> {
        prepare(scorer, model, rows, width).map(Self).map_err(|error| error.to_string())
    }

    /// Scores all rows so many times; the last scores.
    ///
    /// # Errors
    /// What keeps it from answering.
    pub fn run(&mut self, times: u32) -> Result<Vec<f32>, String> {
        self.0.run(times).map_err(|error| error.to_string())
    }
}
