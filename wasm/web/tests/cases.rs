//! The cases of tests/cases inside the module, under Node: the same runner as natively, so that bundles, profiles and
//! plans are also *written* in V8, and broken models are asked there; then every bit compared with the native answers.
#![cfg(target_family = "wasm")]

#[path = "../../../tests/support/mod.rs"]
mod support;

use freshrank::score::NoModel;
use freshrank::score::dense::Dense;
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
