//! `freshrank model check`: the shipped files pass, and what differs is refused by row, number or hash.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What training left behind: rows of valid, and what onnxruntime made of them.
#[derive(serde::Deserialize)]
struct Probe {
    rows: Vec<Vec<f32>>,
    scores: Vec<f32>,
}

/// A folder with the probe's rows and scores as a program hands them over.
struct Handed(tempfile::TempDir);

impl Handed {
    fn new(change: impl FnOnce(&mut Vec<f32>, &mut Vec<f32>)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let probe: Probe = serde_json::from_slice(&std::fs::read(model("ltr.probe.json")).unwrap()).unwrap();
        let (mut rows, mut scores) = (probe.rows.concat(), probe.scores);
        change(&mut rows, &mut scores);
        for (name, values) in [("rows", rows), ("scores", scores)] {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        Self(folder)
    }

    /// What the command says: out where it agrees, err where not.
    fn check(&self, onnx: &Path) -> Result<String, String> {
        let output = Command::new(env!("CARGO_BIN_EXE_freshrank"))
            .args(["model", "check"])
            .arg(onnx)
            .arg("--plan")
            .arg(model("ltr.plan"))
            .arg("--rows")
            .arg(self.0.path().join("rows"))
            .arg("--scores")
            .arg(self.0.path().join("scores"))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(name)
}

#[test]
fn the_shipped_model_scores_its_rows_as_onnxruntime_does() {
    let said = Handed::new(|_, _| ()).check(&model("ltr.onnx")).unwrap();
    assert!(said.contains("32 rows") && said.contains("told and dense"), "{said}");
}

#[test]
fn a_row_scored_otherwise_is_named() {
    let said = Handed::new(|_, scores| scores[5] += 0.01).check(&model("ltr.onnx")).unwrap_err();
    assert!(said.contains("row 5: told and tract are"), "{said}");
}

#[test]
fn rows_and_scores_of_two_runs_are_refused() {
    let said = Handed::new(|_, scores| scores.truncate(7)).check(&model("ltr.onnx")).unwrap_err();
    assert!(said.contains("has 7, expected"), "{said}");
    let said = Handed::new(|rows, _| rows[40] = f32::NAN).check(&model("ltr.onnx")).unwrap_err();
    assert!(said.contains("number 40: found NaN, expected a finite one"), "{said}");
}

#[test]
fn an_onnx_file_of_another_hash_is_refused() {
    let handed = Handed::new(|_, _| ());
    let mut bytes = std::fs::read(model("ltr.onnx")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let changed = handed.0.path().join("changed.onnx");
    std::fs::write(&changed, bytes).unwrap();
    let said = handed.check(&changed).unwrap_err();
    assert!(said.contains("not the pinned"), "{said}");
}
