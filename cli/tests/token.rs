//! `freshrank token` as a sender calls it.

use serde_json::Value;
use std::io::Write;
use std::process::{Command, Output, Stdio};

const KEYS: &str = "new MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
const REQUEST: &str =
    r#"{"campaign": "lunch", "market": "fi/helsinki", "slots": 4, "message_id": "m-1", "consent": true}"#;

fn token(arguments: &[&str], keys: &str, input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshrank"));
    command.arg("token").args(arguments).env("FRESHRANK_TOKEN_KEYS", keys);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // Written beside the reading: a pipe holds little.
    let writer = std::thread::spawn(move || {
        // Who refuses the keys does not read on.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn said(arguments: &[&str], input: &str) -> String {
    let output = token(arguments, KEYS, input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_minted_opens_and_shows_nobody_unasked() {
    let minted = said(&["mint"], REQUEST);
    let open = |arguments: &[&str]| said(&[&["open", minted.trim()], arguments].concat(), "");
    let told: Value = serde_json::from_str(&open(&["--json"])).unwrap();
    assert_eq!(
        (&told["campaign"], &told["verdict"], &told["personal"]),
        (&"lunch".into(), &"valid".into(), &true.into())
    );
    assert_eq!(told.get("message"), None, "only when asked for");
    let asked: Value = serde_json::from_str(&open(&["--json", "--personal"])).unwrap();
    assert_eq!(asked["message"].as_str().unwrap().len(), 32);
    assert!(open(&["--at", "2099-01-01T00:00:00Z"]).contains("expired"));
    assert!(open(&[]).contains("one reader"));
}

#[test]
fn a_batch_keeps_its_order_and_a_bad_line_its_number() {
    // More than one chunk, so that order is not luck.
    let mut lines: Vec<String> = (0..9000)
        .map(|i| format!(r#"{{"id": "{i}", "campaign": "lunch", "market": "fi/helsinki", "slots": 4, "message_id": "m-{i}", "consent": true}}"#))
        .collect();
    lines[4999] = "{".into();
    lines.insert(2, String::new());
    let replies = said(&["mint", "--batch"], &lines.join("\n"));
    let replies: Vec<Value> = replies.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(replies.len(), 9000);
    for (i, reply) in replies.iter().enumerate().filter(|(i, _)| *i != 4999) {
        assert_eq!(reply["id"], i.to_string(), "{reply}");
        assert_eq!(reply["token"].as_str().unwrap().len(), 444);
    }
    assert_eq!((&replies[4999]["status"], &replies[4999]["line"]), (&400.into(), &5001.into()), "{}", replies[4999]);
}

#[test]
fn without_consent_a_batch_has_one_token_of_a_market() {
    let line = |i: usize| {
        let market = ["fi/helsinki", "fi/turku"][i % 2];
        format!(r#"{{"campaign": "lunch", "market": "{market}", "slots": 4, "message_id": "m-{i}", "consent": false}}"#)
    };
    let replies = said(&["mint", "--batch"], &(0..100).map(line).collect::<Vec<_>>().join("\n"));
    let tokens: std::collections::BTreeSet<&str> = replies.lines().collect();
    assert_eq!(tokens.len(), 2, "{tokens:?}");
}

#[test]
fn errors_say_what_to_do_and_no_secret() {
    let failed = |arguments: &[&str], keys: &str, input: &str| {
        let output = token(arguments, keys, input);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let none = failed(&["mint"], "", REQUEST);
    assert!(none.contains("FRESHRANK_TOKEN_KEYS: no token key: expected a line `NAME KEY`"), "{none}");
    let short = failed(&["mint"], "a c2hvcnQ", REQUEST);
    assert!(short.contains("line 1") && !short.contains("c2hvcnQ"), "{short}");
    let minted = said(&["mint"], REQUEST);
    let cut = failed(&["open", &minted[..200]], KEYS, "");
    assert!(cut.contains("token does not open with key new"), "{cut}");
    let other = failed(&["open", minted.trim()], &KEYS.replace("new", "old"), "");
    assert!(other.contains("token asks for key new, the ring has old"), "{other}");
}
