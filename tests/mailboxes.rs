//! Who fetched it: the table of real user agents and networks, and what holds of every request.

#[path = "support/holds.rs"]
mod holds;

use freshrank::context::{Grade, Mailbox};
use freshrank::mailbox::form::JudgeRequest;
use freshrank::mailbox::{Evidence, Fetch, RULES, SOURCES, classify};
use holds::holds;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[derive(Deserialize)]
struct Table {
    requests: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    about: String,
    user_agent: Option<String>,
    method: Option<String>,
    #[serde(default)]
    fetch: Fetch,
    asn: Option<u32>,
    organisation: Option<String>,
    seconds_since_minted: Option<i64>,
    expect: Value,
    source: String,
    network: Option<String>,
}

impl Row {
    /// As an edge would bring it.
    fn request(&self) -> Value {
        let asked = JudgeRequest {
            user_agent: self.user_agent.clone(),
            method: self.method.clone(),
            fetch: self.fetch,
            cf: json!({ "asn": self.asn, "asOrganization": self.organisation, "country": "FI" }),
            seconds_since_minted: self.seconds_since_minted,
        };
        serde_json::to_value(asked).unwrap()
    }
}

fn table() -> Vec<Row> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table: Table = toml::from_str(&fs::read_to_string(root.join("tests/mailboxes.toml")).unwrap()).unwrap();
    table.requests
}

#[test]
fn every_row_of_the_table_is_judged_as_it_says() {
    let rows = table();
    assert!(rows.len() >= 50);
    let mut wrong = Vec::new();
    let mut judged = Vec::new();
    for row in &rows {
        assert!(
            !row.source.is_empty() && row.network.as_ref().is_none_or(|network| !network.is_empty()),
            "{}",
            row.about
        );
        let request = row.request();
        let reply = JudgeRequest::parse(request.to_string().as_bytes()).unwrap().answer();
        let reply: Value = serde_json::from_str(&reply.to_json()).unwrap();
        let mut found = reply.clone();
        let country = found.as_object_mut().unwrap().remove("country");
        assert_eq!(
            country.is_some(),
            found["grade"] != "none",
            "{}: a country as far as geography is worth anything",
            row.about
        );
        if found != row.expect {
            wrong.push(format!("{}:\nfound    {found}\nexpected {}", row.about, row.expect));
        }
        judged.push(json!({ "about": row.about, "request": request, "reply": reply }));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What the package for Node is compared with.
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    fs::create_dir_all(&target).unwrap();
    fs::write(target.join("mailboxes.json"), serde_json::to_string_pretty(&judged).unwrap()).unwrap();
}

#[test]
fn every_rule_has_a_source_and_a_row() {
    let used: BTreeSet<String> = table()
        .iter()
        .flat_map(|row| row.expect["rules"].as_array().unwrap().iter().map(|rule| rule.as_str().unwrap().to_owned()))
        .collect();
    let names: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), RULES.len(), "no name twice");
    assert_eq!(SOURCES.len(), RULES.len());
    for (rule, (name, source, seen)) in RULES.iter().zip(SOURCES) {
        assert_eq!(rule.name, *name);
        assert!(!source.is_empty() && seen.len() == 10, "{name}");
        assert!(used.contains(*name), "{name}: no row of tests/mailboxes.toml is judged by it");
    }
}

#[test]
fn no_word_of_what_was_judged_is_in_the_verdict() {
    let planted = "planted-person-4711";
    let asked = json!({
        "user_agent": format!("Mozilla/5.0 {planted} Chrome/1"), "seconds_since_minted": 4_711_471_100_i64,
        "cf": { "asn": 47_114_711, "asOrganization": planted, "city": planted, "latitude": "47.11", "longitude": "47.11" },
    });
    let reply = JudgeRequest::parse(asked.to_string().as_bytes()).unwrap().answer().to_json();
    assert!(!reply.contains("planted") && !reply.contains("4711") && !reply.contains("47.11"), "{reply}");
}

#[test]
fn whatever_is_asked_there_is_a_verdict() {
    let known: Vec<String> = table().into_iter().filter_map(|row| row.user_agent).collect();
    let numbers: Vec<u32> = table().into_iter().filter_map(|row| row.asn).collect();
    let agent = prop_oneof![any::<String>(), prop::sample::select(known)];
    let asn = proptest::option::of(prop_oneof![any::<u32>(), prop::sample::select(numbers)]);
    let inputs = (agent, asn, any::<String>(), any::<bool>(), any::<bool>(), proptest::option::of(-100..200_000_i64));
    let property = |(agent, asn, organisation, head, link, seconds_since_minted): (
        String,
        Option<u32>,
        String,
        bool,
        bool,
        Option<i64>,
    )| {
        let fetch = if link { Fetch::Link } else { Fetch::Picture };
        let evidence =
            Evidence { user_agent: &agent, head, fetch, asn, organisation: &organisation, seconds_since_minted };
        let verdict = classify(&evidence);
        let upper = agent.to_ascii_uppercase();
        prop_assert_eq!(&verdict, &classify(&Evidence { user_agent: &upper, ..evidence }), "case tells nothing");
        // A cache tells no place, a scanner is no reader, and only software of a person's own is exact to a network.
        prop_assert!(verdict.grade != Grade::Exact);
        let far = matches!(verdict.mailbox, Mailbox::Gmail | Mailbox::Yahoo | Mailbox::Outlook | Mailbox::Scanner);
        prop_assert!(!far || verdict.grade == Grade::None);
        prop_assert!(verdict.mailbox != Mailbox::Scanner || !verdict.seen);
        prop_assert!(verdict.grade != Grade::Network || verdict.mailbox == Mailbox::Direct);
        // Time makes no reader out of a machine.
        let later = classify(&Evidence { seconds_since_minted: Some(129_600), ..evidence });
        prop_assert!(later.seen || !verdict.seen);
        Ok(())
    };
    holds(2000, inputs, property);
}
