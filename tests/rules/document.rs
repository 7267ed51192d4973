//! RULES.md says what the tables say, and every refusal in it is one.

use crate::fixture::labels;
use freshrank::rule::{Scope, TIME_FUNCTIONS, VARIABLES, compile};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/RULES.md");
const REFUSED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rules/refused.toml");

#[derive(Deserialize)]
struct File {
    refused: Vec<Refused>,
}

#[derive(Deserialize, Serialize)]
struct Refused {
    what: String,
    when: String,
    says: String,
}

fn refused() -> Vec<Refused> {
    toml::from_str::<File>(&std::fs::read_to_string(REFUSED).unwrap()).unwrap().refused
}

fn section(document: &str, name: &str, table: &str) -> String {
    let start = format!("<!-- {name}: written by tests/rules/document.rs -->\n");
    let (before, rest) = document.split_once(&start).unwrap_or_else(|| panic!("RULES.md has no section {name}"));
    let (_, after) = rest.split_once("<!-- end -->").expect("an end");
    format!("{before}{start}{table}<!-- end -->{after}")
}

fn variables() -> String {
    let mut table = String::from("| fact | type | of | what |\n|---|---|---|---|\n");
    for variable in VARIABLES {
        let kind = if variable.list > 0 {
            format!("list of {}, at most {}", variable.kind.name(), variable.list)
        } else {
            variable.kind.name().into()
        };
        let of = match variable.scope {
            Scope::Moment => "the message",
            Scope::Merchant => "the merchant",
            Scope::Pair => "both",
        };
        let words = match variable.kind {
            freshrank::rule::Type::Word(words) => words.list(),
            _ => None,
        };
        let words = words
            .filter(|_| !variable.about.contains('`'))
            .map(|words| format!(": `{}`", words.join("`, `")))
            .unwrap_or_default();
        let unknown = if variable.nullable { "?" } else { "" };
        let _ = writeln!(
            table,
            "| `{}.{}`{unknown} | {kind} | {of} | {}{words} |",
            variable.root, variable.field, variable.about
        );
    }
    table
}

fn functions() -> String {
    let mut table = String::from("| call | holds |\n|---|---|\n");
    for (name, arguments, about) in TIME_FUNCTIONS {
        let _ = writeln!(table, "| `local.{name}({arguments})` | {about} |");
    }
    table
}

fn refusals() -> String {
    let mut table = String::from("| what | as |\n|---|---|\n");
    for Refused { what, when, .. } in refused() {
        let when = when.replace('\n', " ").replace("||", "\\|\\|");
        let _ = writeln!(table, "| {what} | `{}` |", when.trim());
    }
    table
}

#[test]
fn the_document_says_what_the_tables_say() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let written = section(&document, "variables", &variables());
    let written = section(&written, "functions", &functions());
    let written = section(&written, "refused", &refusals());
    if std::env::var_os("FRESHRANK_BLESS").is_some() {
        std::fs::write(DOCUMENT, &written).unwrap();
    } else {
        assert!(document == written, "RULES.md is not current: FRESHRANK_BLESS=1 rewrites its tables");
    }
}

#[test]
fn what_is_refused_says_where_and_what_to_write_instead() {
    let mut wrong = String::new();
    for Refused { what, when, says } in refused() {
        let found = match compile(&when, &labels()) {
            Ok(_) => "is accepted".into(),
            Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        };
        if found != says {
            let _ = writeln!(wrong, "{what}: {when}\n{found}\nwhere this was expected:\n{says}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
