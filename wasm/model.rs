//! Who judges in a module: chosen once when it starts, from the files of `models/` that it carries.

use freshrank::Hash;
use freshrank::Scorer;
use freshrank::feature::Rows;
use freshrank::score::ModelError;
use freshrank::score::dense::Dense;
#[cfg(feature = "full")]
use freshrank::score::tract::Tract;

/// The plan for `dense`, compiled from [`ONNX`].
pub const PLAN: &[u8] = include_bytes!("../models/ltr.plan");
/// The trained ranker itself.
#[cfg(feature = "full")]
pub const ONNX: &[u8] = include_bytes!("../models/ltr.onnx");
/// `full` carries tract beside dense, `lite` dense alone.
pub const MODULE: &str = if cfg!(feature = "full") { "full" } else { "lite" };

/// A model that was refused: the prior ranks, and the decision says why.
struct Refused(ModelError);

impl Scorer for Refused {
    fn name(&self) -> &'static str {
        "prior"
    }

    fn model(&self) -> Hash {
        Hash::default()
    }

    fn score(&self, _rows: &Rows) -> Result<Vec<f32>, ModelError> {
        Err(self.0.clone())
    }
}

/// `dense` if it can read the plan; else, in the full module, `tract`; else the prior.
///
/// tract takes tens of milliseconds to load, so this is for a module's start, never for a request.
#[must_use]
pub fn choose(plan: &[u8]) -> Box<dyn Scorer> {
    match Dense::load(plan) {
        Ok(dense) => Box::new(dense),
        Err(error) => beyond_dense(error),
    }
}

#[cfg(feature = "full")]
fn beyond_dense(_: ModelError) -> Box<dyn Scorer> {
    match Tract::load(ONNX) {
        Ok(tract) => Box::new(tract),
        Err(error) => Box::new(Refused(error)),
    }
}

#[cfg(not(feature = "full"))]
fn beyond_dense(error: ModelError) -> Box<dyn Scorer> {
    Box::new(Refused(error))
}

/// Why the prior ranks, if it does.
#[must_use]
pub fn refusal(scorer: &dyn Scorer) -> Option<String> {
    scorer.score(&Rows { values: Vec::new() }).err().map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_that_ships_is_read_and_a_damaged_one_does_not_stop_the_module() {
        assert_eq!(choose(PLAN).name(), "dense", "compile models/ltr.plan anew");
        let mut damaged = PLAN.to_vec();
        damaged[40] ^= 1;
        let scorer = choose(&damaged);
        if cfg!(feature = "full") {
            assert_eq!((scorer.name(), refusal(scorer.as_ref())), ("tract", None));
            assert_eq!(scorer.model(), choose(PLAN).model(), "the plan was compiled from the ranker beside it");
        } else {
            assert_eq!(scorer.name(), "prior");
            let why = refusal(scorer.as_ref()).unwrap_or_default();
            assert!(why.starts_with("model plan has checksum"), "{why}");
        }
    }
}
