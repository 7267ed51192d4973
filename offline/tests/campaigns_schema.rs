//! `campaigns/layer.schema.json` is what the engine reads layers by, and every worked campaign's file satisfies it.
//!
//! The judge is fastjsonschema in the training's environment: a validator written in Rust would turn on features of
//! `regex` and `num` for tests alone, and compile arrow and tract a second time.

use freshrank::campaign::author::{Node, Value};
use freshrank_offline::campaigns::{schema, yaml};
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

#[test]
fn the_schema_in_the_tree_is_the_engines() {
    let path = root().join("campaigns/layer.schema.json");
    if std::env::var_os("FRESHRANK_BLESS").is_some() {
        std::fs::write(&path, schema::text()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == schema::text(),
        "campaigns/layer.schema.json is stale: FRESHRANK_BLESS=1 renews it; read its diff"
    );
}

fn json_of(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => json!(null),
        Value::Bool(flag) => json!(flag),
        // YAML's 4 and 4.0 are one number to the engine, and to draft 7.
        Value::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => json!(*number as i64),
        Value::Number(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::List(list) => list.iter().map(json_of).collect(),
        Value::Map(map) => map.iter().map(|(key, node)| (key.text.clone(), json_of(node))).collect(),
    }
}

fn document(text: &str) -> serde_json::Value {
    let (root, faults) = yaml::read(text.as_bytes());
    assert!(faults.is_empty(), "{faults:?}");
    root.as_ref().map_or_else(|| json!(null), json_of)
}

fn layers(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            layers(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            all.push(path);
        }
    }
}

/// Of each document: empty, or why it does not satisfy the schema. `None` where this machine has no judge.
fn judged(documents: &[serde_json::Value]) -> Option<Vec<String>> {
    // target/, wherever this build keeps it.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let python = target.join("tools/venv/bin/python");
    if !python.exists() {
        return None;
    }
    let script = "import fastjsonschema, json, sys\n\
        told = json.load(sys.stdin)\n\
        valid = fastjsonschema.compile(told['schema'])\n\
        def why(document):\n\
        \x20   try:\n\
        \x20       valid(document)\n\
        \x20   except fastjsonschema.JsonSchemaException as error:\n\
        \x20       return error.message\n\
        \x20   return ''\n\
        print(json.dumps([why(document) for document in told['documents']]))\n";
    let mut child =
        Command::new(python).args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema::text()).unwrap();
    let told = json!({ "schema": schema, "documents": documents }).to_string();
    child.stdin.take().unwrap().write_all(told.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the judge failed; `cargo xtask setup` installs it");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn every_worked_layer_satisfies_the_schema() {
    let mut files = Vec::new();
    layers(&root().join("campaigns"), &mut files);
    assert!(!files.is_empty());
    let documents: Vec<_> = files.iter().map(|path| document(&std::fs::read_to_string(path).unwrap())).collect();
    let judged = judged(&documents).expect("no judge in target/tools/venv: run `cargo xtask setup`");
    for (path, why) in files.iter().zip(judged) {
        assert_eq!(why, "", "{}", path.display());
    }
}

#[test]
fn the_schema_refuses_what_the_engine_refuses() {
    let right = [
        "slots: 5",
        "slots: null",
        "exclude: [a, b]",
        "exclude: {append: [a], remove: [b]}",
        "pattern: [reorder, relevant, relevant]",
        "rules: [{id: a, when: 'true', then: exclude}]",
        "rules: {a: {when: 'true', then: exclude}, b: null}",
        "rules: [{id: a, remove: true}]",
        "boosts: [{merchant: nokka, factor: 1.5, until: '2026-12-01T00:00:00Z'}]",
        "pool_caps: {inspire: 2}",
        "fallback: {url: 'https://example.invalid/'}",
        "lock: [slots, fallback.url]\nbounds: {boosts.*.factor: {max: 1.5}}",
        "covers: {iso: [FI, US-NY], places: [fi/helsinki], cells: [871126d31ffffff], polygon: a.geojson}\npriority: 2",
        "level: region\nversion: 3\nauthor: Team\nreason: Autumn",
        "# nothing",
    ];
    let wrong = [
        "slotz: 5",
        "slots: 0",
        "slots: '5'",
        "slots: 4.5",
        "radius_km: 0",
        "exclude: a",
        "exclude: [a, a]",
        "exclude: {add: [a]}",
        "exclude: [1]",
        "kinds: [kitchen]",
        "rules: [{when: 'true', then: exclude}]",
        "rules: [{id: a, then: forbid}]",
        "boosts: [{factor: 2}]",
        "boosts: [{merchant: a, factor: 1000}]",
        "pool_caps: {inspire: many}",
        "fallback: {link: x}",
        "lock: [slotz]",
        "bounds: {slots: {most: 3}}",
        "covers: {iso: [fi]}",
        "covers: {}",
        "level: village",
        "- slots",
    ];
    let documents: Vec<_> = right.iter().chain(&wrong).map(|text| document(text)).collect();
    let judged = judged(&documents).expect("no judge in target/tools/venv: run `cargo xtask setup`");
    for ((text, document), why) in right.iter().chain(&wrong).zip(&documents).zip(judged) {
        assert_eq!(why.is_empty(), right.contains(text), "{text}: {why}");
        // The engine's own reader, which cannot know a polygon and is stricter about the whole of a thing.
        if !text.contains("polygon") {
            let (_, problems) = freshrank::campaign::author::read("fi", &Node::from_json(document));
            assert_eq!(problems.is_empty(), right.contains(text), "{text}: {problems:?}");
        }
    }
}
