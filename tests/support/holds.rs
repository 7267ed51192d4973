//! Properties, tried on the same inputs in every run.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// Runs a property over `n` inputs from a fixed seed: a failure here is a failure everywhere.
pub fn holds<S: Strategy>(n: u32, inputs: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { cases: n, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    TestRunner::new_with_rng(config, rng).run(&inputs, property).unwrap_or_else(|error| panic!("{error}"));
}
