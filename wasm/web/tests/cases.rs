//! The cases of tests/cases inside the module, under Node: the same runner as natively, so that bundles, profiles and
//! plans are also *written* in V8, and broken models are asked there; then every bit compared with the native answers.
#![cfg(target_family = "wasm")]

#[path = "../../../tests/support/mod.rs"]
mod support;
#[path = "../../../tests/support/plain.rs"]
mod plain;

use freshrank::Hash;
use freshrank::score::NoModel;
use freshrank::score::dense::{Dense, Layer};
use serde_json::Value;
use support::{Answer, Library};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen(module = "node:fs")]
extern "C" {
    #[wasm_bindgen(js_name = readFileSync)]
    fn read_text(path: &str, encoding: &str) -> String;
    #[wasm_bindgen(js_name = readFileSync)]
    fn read_bytes(path: &str) -> Vec<u8>;
    #[wasm_bindgen(js_name = readdirSync)]
    fn read_dir(path: &str) -> Vec<String>;
    #[wasm_bindgen(js_name = existsSync)]
    fn exists(path: &str) -> bool;
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn library() -> Library {
    let mut library = Library::default();
    for (prefix, dir) in [("", "tests/cases"), ("fixtures/", "tests/cases/fixtures")] {
        for file in read_dir(&format!("{ROOT}/{dir}")) {
            if let Some(name) = file.strip_suffix(".toml") {
                library.0.insert(format!("{prefix}{name}"), read_text(&format!("{ROOT}/{dir}/{file}"), "utf8"));
            }
        }
    }
    library
}

#[wasm_bindgen_test]
fn every_case_has_the_native_bits() {
    let library = library();
    assert!(library.cases().count() >= 40, "the cases were found");
    let plan = format!("{ROOT}/models/ltr.plan");
    for name in library.cases() {
        let path = format!("{ROOT}/target/cases/{name}.json");
        assert!(exists(&path), "no {path}: run `cargo test --release -p freshrank --test cases` first");
        let native: Value = serde_json::from_str(&read_text(&path, "utf8")).unwrap();
        let case = library.case(name);
        let asked = case.ask();
        assert_eq!(native["request"], asked.request, "{name}: bundles and profiles are written alike");
        assert_eq!(native["campaign"], asked.campaign, "{name}");
        for (scorer, expected) in native["answers"].as_object().unwrap() {
            let (answer, decision) = match scorer.as_str() {
                "own" => asked.answer(&*case.scorer()),
                "prior" => asked.answer(&NoModel),
                _ => asked.answer(&Dense::load(&read_bytes(&plan)).unwrap()),
            };
            let Answer { reply, rows, scores, totals } = answer;
            assert_eq!(expected["reply"], reply, "{name}, {scorer}");
            assert_eq!(expected["rows"], rows, "{name}, {scorer}: bits of the rows");
            assert_eq!(expected["scores"], scores, "{name}, {scorer}: bits of the scores");
            assert_eq!(expected["totals"], serde_json::json!(totals), "{name}, {scorer}");
            if scorer == "own" || !case.has_own_scorer() && scorer == "prior" {
                assert_eq!(case.differences(&asked, &decision), None, "{name}");
            }
        }
    }
}

#[wasm_bindgen_test]
fn dense_has_the_bits_of_one_row_and_one_sum_at_a_time() {
    let mut state = 1_u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Some are 0, some so small that products are denormal.
        match state >> 28 {
            0 => 0.0,
            1 => (state >> 8) as f32 * 1e-42,
            _ => (state >> 8) as f32 / 8_388_608.0 - 1.0,
        }
    };
    let mut numbers = |n: usize| -> Vec<f32> { (0..n).map(|_| next()).collect() };
    for widths in [&[33, 64, 64, 32, 1][..], &[7, 5, 1], &[1, 1], &[9, 12, 3, 4], &[33, 1]] {
        let layer = |w: &[usize]| Layer { weights: numbers(w[0] * w[1]), biases: numbers(w[1]) };
        let layers: Vec<Layer> = widths.windows(2).map(layer).collect();
        let (mean, scale, rows) = (numbers(widths[0]), numbers(widths[0]), numbers(21 * widths[0]));
        let (fingerprint, model) = (Hash::default(), Hash::default());
        let plan = Dense { fingerprint, model, clamp: 0.9, mean, scale, layers };
        let layers: Vec<plain::Plain<'_>> = plan.layers.iter().map(|l| (&l.weights[..], &l.biases[..])).collect();
        let score = |row: &[f32]| plain::score(plan.clamp, &plan.mean, &plan.scale, &layers, row).to_bits();
        let expected: Vec<u32> = rows.chunks(widths[0]).map(score).collect();
        let found: Vec<u32> = plan.run(&rows).into_iter().map(f32::to_bits).collect();
        assert_eq!(found, expected, "{widths:?}");
    }
}
