//! rten, with its weights packed when they are loaded, in its pool of one thread (in V8 it has none).

use crate::{Contestant, Error};
use rten::{Model, ModelOptions, RunOptions, ThreadPool};
use rten_tensor::{AsView, NdTensor};
use std::sync::Arc;

/// A loaded model and its rows.
pub struct Rten {
    model: Model,
    rows: NdTensor<f32, 2>,
    pool: Arc<ThreadPool>,
}

impl Rten {
    /// Loads an ONNX file.
    ///
    /// # Errors
    /// In rten's words.
    pub fn load(model: &[u8], rows: &[f32], width: usize) -> Result<Self, Error> {
        let model = ModelOptions::with_all_ops().prepack_weights(true).load(model.to_vec())?;
        let rows = NdTensor::from_data([rows.len() / width, width], rows.to_vec());
        Ok(Self { model, rows, pool: Arc::new(ThreadPool::with_num_threads(1)) })
    }

    fn score(&self) -> Result<Vec<f32>, Error> {
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.pool)));
        let scores = self.model.run_one(self.rows.view().into(), Some(options))?;
        let scores = scores.into_tensor::<f32>().ok_or("rten: found scores of another type, expected f32")?;
        Ok(scores.into_data())
    }
}

impl Contestant for Rten {
    fn run(&mut self, times: u32) -> Result<Vec<f32>, Error> {
        // Inside the pool: a run would otherwise wake its thread and wait for it.
        let runs = || {
            (1..times).try_for_each(|_| self.score().map(drop)).and_then(|()| self.score()).map_err(|e| e.to_string())
        };
        Ok(self.pool.run(runs)?)
    }
}
