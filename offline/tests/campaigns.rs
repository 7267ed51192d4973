//! Folders and what is told about them: `campaigns/CASE/` is read, `campaigns/CASE.txt` is what a person should see.

use freshrank_offline::campaigns;
use std::path::{Path, PathBuf};

#[test]
fn everything_wrong_with_a_folder_is_told_at_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/campaigns");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.is_dir());
    cases.sort();
    let mut stale = Vec::new();
    for case in cases {
        let mut folders = campaigns::open_all(std::slice::from_ref(&case));
        assert_eq!(folders.len(), 1, "{}", case.display());
        let folder = folders.remove(0);
        let told: Vec<String> = folder.faults.iter().map(ToString::to_string).collect();
        let told = told.join("\n").replace(&format!("{}/", case.display()), "") + "\n";
        assert_eq!(campaigns::open(&folder.path).faults, folder.faults, "one at a time, or all at once");
        let expected = case.with_extension("txt");
        if std::env::var_os("FRESHRANK_BLESS").is_some() {
            std::fs::write(&expected, &told).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != told {
            stale.push(format!("{}:\n{told}", expected.display()));
        }
    }
    assert!(stale.is_empty(), "other words than expected; FRESHRANK_BLESS=1 rewrites them:\n{}", stale.join("\n"));
}

#[test]
fn a_polygon_is_published_as_cells() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/campaigns/ties/lunch");
    let folder = campaigns::open(&folder);
    let kallio = folder.campaign.layers().get("fi/helsinki/kallio").unwrap();
    let cells: Vec<String> = kallio.cells().map(|cell| cell.to_string()).collect();
    assert!(cells.len() > 5 && cells.iter().all(|cell| cell.len() == 15), "{cells:?}");
}
