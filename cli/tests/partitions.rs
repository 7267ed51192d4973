//! Commands that show what readers come to, over tables in one partition and in many: the same bytes.

use std::fs;
use std::process::Command;

const AS_OF: &str = "2026-10-01T00:00:00Z";

fn freshrank(arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshrank"));
    let output = command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[test]
fn partitions_change_no_byte_of_what_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let tables = at("tables");
    freshrank(&["crowd", "--merchants", "400", "--readers", "300", "--out", &tables]).unwrap();
    for verb in [["areas", "show"], ["preferences", "show"]] {
        let shown = |partitions| {
            let options = ["--json", "--tables", &tables, "--as-of", AS_OF, "--partitions", partitions];
            freshrank(&[&verb[..], &options].concat()).unwrap()
        };
        let whole = shown("1");
        assert!(whole.len() > 10_000, "{verb:?} shows next to nothing: {whole}");
        assert!(shown("7") == whole, "{verb:?} depends on partitions");
    }
    let state = |partitions: &str| {
        let out = at(partitions);
        let options = ["--tables", &tables, "--as-of", AS_OF, "--partitions", partitions, "--out", &out];
        freshrank(&[&["preferences", "update"][..], &options].concat()).unwrap();
        fs::read(out).unwrap()
    };
    assert!(state("1") == state("7"), "the state depends on partitions");

    let unknown =
        ["preferences", "show", "--tables", &tables, "--as-of", AS_OF, "--user", "nobody", "--partitions", "7"];
    let error = freshrank(&unknown).unwrap_err();
    assert!(error.contains(r#"found "nobody", expected a reader with a completed order"#), "{error}");
}
