//! `freshrank build` killed while it works, by the signal that no program can answer, and started again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PARTITIONS: usize = 60;

fn freshrank() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshrank"));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn build(tables: &Path, out: &Path) -> Command {
    let mut command = freshrank();
    command.args(["build", "--json", "--as-of", "2026-10-01T00:00:00Z", "--partitions", &PARTITIONS.to_string()]);
    command.arg("--tables").arg(tables).arg("--out").arg(out);
    command
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn bytes(folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes(&path, found);
        } else {
            found.insert(path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap());
        }
    }
}

#[test]
fn killed_half_way_it_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let size = ["--merchants", "400", "--readers", "6000", "--orders-per-reader", "20"];
    said(freshrank().arg("crowd").args(size).arg("--out").arg(at("tables")));
    said(&mut build(&at("tables"), &at("whole")));

    let mut child = build(&at("tables"), &at("killed")).spawn().unwrap();
    let profiles = at("killed").join(".unfinished/profiles");
    let finished = || {
        let files = fs::read_dir(&profiles).map(|files| files.flatten().collect::<Vec<_>>()).unwrap_or_default();
        files.iter().filter(|file| file.path().extension().is_none()).count()
    };
    let started = Instant::now();
    while finished() < PARTITIONS / 4 {
        assert!(child.try_wait().unwrap().is_none(), "over before it was killed: make the tables larger");
        assert!(started.elapsed() < Duration::from_secs(60), "nothing was written for a minute");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left = finished();
    assert!(!at("killed").join("manifest.json").exists() && left < PARTITIONS, "{left} of {PARTITIONS} were done");

    let again: serde_json::Value = serde_json::from_str(&said(&mut build(&at("tables"), &at("killed")))).unwrap();
    let resumed = again["run"]["steps_resumed"].as_u64().unwrap();
    assert!(resumed as usize >= left + 2, "{left} partitions, the split and the counts: {resumed}");
    let (mut expected, mut found) = (BTreeMap::new(), BTreeMap::new());
    bytes(&at("whole"), &mut expected);
    bytes(&at("killed"), &mut found);
    let names: Vec<&String> = found.keys().collect();
    assert_eq!(names, expected.keys().collect::<Vec<_>>());
    assert!(expected.iter().all(|(name, bytes)| found[name] == *bytes), "other bytes");
}
