//! `freshrank reader` as a sender calls it.

use serde_json::Value;
use std::io::Write;
use std::process::{Command, Output, Stdio};

fn reader(secret: Option<&str>, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshrank"));
    command.arg("reader").args(arguments).env_remove("FRESHRANK_READER_SECRET");
    command.envs(secret.map(|secret| ("FRESHRANK_READER_SECRET", secret)));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Who has no secret does not read on.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn a_reader_is_called_as_every_shell_calls_them() {
    let vectors: Vec<Value> = serde_json::from_slice(include_bytes!("../../tests/readers.json")).unwrap();
    for vector in vectors {
        let [secret, user_id, expected] = ["secret", "user_id", "reader"].map(|key| vector[key].as_str().unwrap());
        let said = reader(Some(secret), &["--user", user_id], "");
        assert_eq!(String::from_utf8(said.stdout).unwrap().trim_end(), expected, "{user_id}");
        let said = reader(Some(secret), &[], &format!("{user_id}\nsomebody\r\n{user_id}\n"));
        let lines = String::from_utf8(said.stdout).unwrap();
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[2]), (3, expected, expected));
    }
}

#[test]
fn without_a_secret_nobody_has_a_name() {
    for secret in [None, Some("")] {
        let said = reader(secret, &["--user", "anna@example.com"], "");
        assert!(!said.status.success() && said.stdout.is_empty());
        let error = String::from_utf8(said.stderr).unwrap();
        assert!(error.contains("FRESHRANK_READER_SECRET is not set") && !error.contains("anna"), "{error}");
    }
}
