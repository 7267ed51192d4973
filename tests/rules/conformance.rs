//! CEL's own conformance suite over what rules accept: whatever compiles gives the suite's answer.

use cel::common::ast::IdedExpr;
use cel::parser::{Parser, PrattParser};
use freshrank::context::Context;
use freshrank::locate::{Place, Source};
use freshrank::profile::Profile;
use freshrank::rule::{Labels, Moment, Value, answer, compile_expression};
use freshrank::time::Local;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/wasm/node_modules/@bufbuild/cel-spec/dist/esm/testdata");
const COUNTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rules/conformance.toml");

/// The suite is JavaScript; Node says it as JSON.
const SAY: &str = r#"
    const { tests } = await import(process.argv[1]);
    const all = [];
    const walk = (suite, path) => {
        for (const child of suite.suites ?? []) walk(child, [...path, child.name]);
        for (const test of suite.tests ?? []) all.push({ section: path.slice(0, 2).join("/"), ...test.original });
    };
    walk(tests, []);
    console.log(JSON.stringify(all));
"#;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    section: String,
    #[serde(default)]
    name: String,
    expr: String,
    #[serde(default)]
    disable_macros: bool,
    typed_result: Option<Typed>,
    value: Option<serde_json::Value>,
    eval_error: Option<serde_json::Value>,
}

/// A value whose type the suite tells, too.
#[derive(Debug, Deserialize)]
struct Typed {
    result: Option<serde_json::Value>,
}

/// How many expressions of a section are accepted, of how many.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    accepted: usize,
    of: usize,
}

fn suite() -> Option<Vec<Case>> {
    let file = Path::new(SUITE).join("conformance.js");
    if !file.exists() {
        say_aloud("skipped: the conformance suite is not installed; npm ci in wasm/ brings it");
        return None;
    }
    let said = Command::new("node").args(["--input-type=module", "-e", SAY]).arg(&file).output().expect("node runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    Some(serde_json::from_slice(&said.stdout).expect("the suite's JSON"))
}

/// Past the test runner, which keeps the words of a test that passes to itself.
fn say_aloud(words: &str) {
    let _ = writeln!(std::io::stderr(), "{words}");
}

/// What the engine says, in the suite's words; `None` is an error value.
fn say(value: Option<Value>) -> String {
    match value {
        None => "error".into(),
        Some(Value::Bool(value)) => format!("bool {value}"),
        Some(Value::Int(value)) => format!("int {value}"),
        // Adding zero takes the sign off zero, which the suite's JSON has lost.
        Some(Value::Double(value)) => format!("double {}", value + 0.0),
        Some(Value::Text(value)) => format!("string {value:?}"),
        Some(Value::Word(words, value)) => format!("{words:?} {value}"),
    }
}

fn expected(case: &Case) -> String {
    let typed = case.typed_result.as_ref().and_then(|typed| typed.result.as_ref());
    let Some(value) = case.value.as_ref().or(typed) else {
        // A case that says neither wants `true`.
        return if case.eval_error.is_some() { "error".into() } else { "bool true".into() };
    };
    let (kind, value) = value.as_object().and_then(|fields| fields.iter().next()).expect("one value");
    match (kind.as_str(), value) {
        ("boolValue", value) => format!("bool {value}"),
        ("int64Value", value) => format!("int {}", value.as_str().expect("a string of digits")),
        ("doubleValue", serde_json::Value::String(word)) => {
            let value: f64 = word.parse().expect("a double in words");
            format!("double {value}")
        }
        ("doubleValue", value) => format!("double {}", value.as_f64().expect("a double") + 0.0),
        ("stringValue", value) => format!("string {:?}", value.as_str().expect("a string")),
        (other, _) => other.into(),
    }
}

#[test]
fn what_is_accepted_gives_the_suites_answer() {
    let Some(cases) = suite() else { return };
    let (profile, context) = (Profile::default(), Context::default());
    let place = Place {
        point: None,
        certainty: 0.0,
        source: Source::Unknown,
        travelling: false,
        posterior: vec![],
        elsewhere: 1.0,
    };
    let local = Local { minutes: 0 };
    let nowhere = Moment { profile: &profile, place: &place, context: &context, local, slots: 4, language: "" };

    let (mut counts, mut wrong) = (BTreeMap::<String, Count>::new(), Vec::new());
    for case in &cases {
        let count = counts.entry(case.section.clone()).or_default();
        count.of += 1;
        // With macros switched off, `all` and the like are functions nobody has.
        let Ok(program) = compile_expression(&case.expr, &Labels::default()) else { continue };
        if case.disable_macros {
            continue;
        }
        count.accepted += 1;
        let (found, expected) = (say(answer(&program, &nowhere)), expected(case));
        if found != expected {
            wrong.push(format!(
                "{}/{}: {} gives {found}, the suite says {expected}",
                case.section, case.name, case.expr
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));

    let accepted: usize = counts.values().map(|count| count.accepted).sum();
    let head = "# What rules accept of CEL's conformance suite (@bufbuild/cel-spec 0.6.1), by section; all of it gives the suite's answer.\n# FRESHRANK_BLESS=1 rewrites this.";
    let rows: String = counts
        .iter()
        .map(|(section, count)| format!("{section:?} = {{ accepted = {}, of = {} }}\n", count.accepted, count.of))
        .collect();
    let found = format!("{head}\n\n{rows}");
    if std::env::var_os("FRESHRANK_BLESS").is_some() {
        std::fs::write(COUNTS, &found).unwrap();
    }
    say_aloud(&format!("{accepted} of {} expressions of the conformance suite are accepted", cases.len()));
    let pinned = std::fs::read_to_string(COUNTS).unwrap_or_default();
    assert!(
        pinned == found,
        "other expressions are accepted than tests/rules/conformance.toml says: FRESHRANK_BLESS=1 rewrites it\n{found}"
    );
}

/// Rules are read by the cel crate's Pratt parser; the generated one, which its interpreter uses, is the older of the two.
#[test]
fn both_parsers_of_cel_read_the_suite_alike() {
    let Some(cases) = suite() else { return };
    let (mut n_read, mut differ) = (0, Vec::new());
    for Case { expr, .. } in &cases {
        let (found, expected) = (PrattParser::new().parse(expr), Parser::new().parse(expr));
        let (found, expected) = (found.ok().map(without_ids), expected.ok().map(without_ids));
        n_read += usize::from(found.is_some());
        if found != expected {
            differ.push(format!("{expr}: {found:?}, the generated one {expected:?}"));
        }
    }
    assert!(differ.is_empty(), "{} of {}:\n{}", differ.len(), cases.len(), differ.join("\n"));
    assert!(n_read * 2 > cases.len(), "only {n_read} of {} are read at all", cases.len());
}

/// A tree in words, without the numbers that its parser gave the parts.
fn without_ids(tree: IdedExpr) -> String {
    let words = format!("{tree:?}");
    words.split("id: ").map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit())).collect()
}
