//! Our scorers, and the limits they stand beside, as a contest with others' runtimes asks for them.

use crate::contestant::{Contestant, Error};
use crate::gemm::Gemm;
use freshrank::feature::Rows;
use freshrank::score::Scorer;
use freshrank::score::dense::Dense;
#[cfg(feature = "tract")]
use freshrank::score::tract::Tract;
use std::hint::black_box;
use wasm_bindgen::prelude::wasm_bindgen;

/// Bytes that are copied at a time, more than a cache holds.
const COPIED: usize = 64 << 20;

/// A scorer of the engine, or a limit, with the rows it is asked about.
///
/// # Errors
/// A scorer that is not here, or a model that it refuses.
pub fn prepare(scorer: &str, model: &[u8], rows: &[f32], width: usize) -> Result<Box<dyn Contestant>, Error> {
    let rows = Rows { values: rows.to_vec() };
    match scorer {
        "dense" => Ok(Box::new(Scored { scorer: Dense::load(model)?, rows })),
        #[cfg(feature = "tract")]
        "tract" => Ok(Box::new(Scored { scorer: Tract::load(model)?, rows })),
        "gemm" | "fused gemm" => {
            let gemm = Gemm::new(&Dense::load(model)?.layers, width, scorer == "fused gemm")?;
            Ok(Box::new(Multiplied { gemm, rows: rows.values }))
        }
        "copy" => Ok(Box::new(Copied { from: vec![1; COPIED], to: vec![0; COPIED] })),
        "kernel" | "same network" => Ok(Box::new(Asked(crate::prepare(&format!("{scorer}/300"))?))),
        _ => Err(format!("no scorer {scorer:?} here").into()),
    }
}

struct Scored<S> {
    scorer: S,
    rows: Rows,
}

impl<S: Scorer> Contestant for Scored<S> {
    fn run(&mut self, times: u32) -> Result<Vec<f32>, Error> {
        let mut scores = Vec::new();
        for _ in 0..times {
            scores = self.scorer.score(black_box(&self.rows))?;
        }
        Ok(scores)
    }
}

struct Multiplied {
    gemm: Gemm,
    rows: Vec<f32>,
}

impl Contestant for Multiplied {
    fn run(&mut self, times: u32) -> Result<Vec<f32>, Error> {
        let mut scores = Vec::new();
        for _ in 0..times {
            self.gemm.run(black_box(&self.rows), &mut scores);
        }
        Ok(scores)
    }
}

/// Its one score says how many bytes a run read and wrote.
struct Copied {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Contestant for Copied {
    fn run(&mut self, times: u32) -> Result<Vec<f32>, Error> {
        for _ in 0..times {
            black_box(&mut self.to).copy_from_slice(black_box(&self.from));
        }
        Ok(vec![(2 * self.to.len()) as f32])
    }
}

/// A question of the bench, which asserts its own answer.
struct Asked(Box<dyn Fn()>);

impl Contestant for Asked {
    fn run(&mut self, times: u32) -> Result<Vec<f32>, Error> {
        (0..times).for_each(|_| (self.0)());
        Ok(Vec::new())
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
