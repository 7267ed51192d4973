//! onnxruntime on one thread, by its C interface. `FRESHRANK_ONNXRUNTIME` names the library.

use crate::{Contestant, Error};
use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;
use std::sync::OnceLock;

/// A session and its rows.
pub struct OnnxRuntime {
    session: Session,
    rows: Vec<f32>,
    width: usize,
}

/// Loads the library, once a process: code that is there before the first model comes.
///
/// # Errors
/// A library that cannot be found or loaded.
pub fn library() -> Result<&'static Environment, Error> {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let environment = ort::init_from(std::env::var("FRESHRANK_ONNXRUNTIME")?)?.build()?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

impl OnnxRuntime {
    /// Loads an ONNX file.
    ///
    /// # Errors
    /// In onnxruntime's words.
    pub fn load(model: &[u8], rows: &[f32], width: usize) -> Result<Self, Error> {
        let builder = Session::builder(library()?)?.with_intra_threads(1).map_err(|error| error.to_string())?;
        let mut builder = builder.with_inter_threads(1).map_err(|error| error.to_string())?;
        Ok(Self { session: builder.commit_from_memory(model)?, rows: rows.to_vec(), width })
    }
}

impl Contestant for OnnxRuntime {
    fn run(&mut self, times: u32) -> Result<Vec<f32>, Error> {
        let shape = [self.rows.len() / self.width, self.width];
        let mut scores = Vec::new();
        for _ in 0..times {
            let rows = TensorRef::from_array_view((shape, &self.rows[..]))?;
            let outputs = self.session.run(ort::inputs![rows])?;
            scores.clear();
            scores.extend_from_slice(outputs[0].try_extract_tensor::<f32>()?.1);
        }
        Ok(scores)
    }
}
