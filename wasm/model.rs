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

/// `dense` if it can read the plan, and in the full module only if the ranker beside it is the one the plan was compiled from; else, in
/// the full module, `tract`; else the prior. A ranker outside `dense`'s family has an empty plan.
///
/// tract takes tens of milliseconds to load, so this is for a module's start, never for a request.
#[must_use]
pub fn choose(plan: &[u8]) -> Box<dyn Scorer> {
    match planned(plan) {
        Ok(dense) if is_shipped(dense.model) => Box::new(dense),
        Ok(_) => beyond_dense(ModelError::Absent),
        Err(error) => beyond_dense(error),
    }
}

fn planned(plan: &[u8]) -> Result<Dense, ModelError> {
    if plan.is_empty() {
        let expected = "the plan of a ranker in dense's family; any other one is for the full module";
        return Err(ModelError::Graph { what: "plan", found: "none".into(), expected });
    }
    Dense::load(plan)
}

/// A plan that was left behind when the ranker changed would go on ranking.
#[cfg(feature = "full")]
fn is_shipped(model: Hash) -> bool {
    model == Hash::of(ONNX)
}

#[cfg(not(feature = "full"))]
fn is_shipped(_: Hash) -> bool {
    true
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

    #[test]
    fn a_ranker_outside_denses_family_is_left_to_tract_and_the_lite_module_says_so() {
        assert_eq!(
            planned(&[]).unwrap_err().to_string(),
            "model plan: found none, expected the plan of a ranker in dense's family; any other one is for the full module"
        );
        assert_eq!(choose(&[]).name(), if cfg!(feature = "full") { "tract" } else { "prior" });
        let of_another = Dense { model: Hash::of(b"another ranker"), ..Dense::load(PLAN).unwrap() };
        assert_eq!(choose(&of_another.encode()).name(), if cfg!(feature = "full") { "tract" } else { "dense" });
    }
}
