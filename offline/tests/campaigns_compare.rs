//! What a place's layers come to, how a key came to its value, and what two versions of a folder say otherwise.

use freshrank_offline::campaigns::{self, Folder, compare};
use std::fs;
use std::path::{Path, PathBuf};

const CALLIO: &str = r#"{"type": "Polygon", "coordinates": [[[24.94, 60.18], [24.96, 60.18], [24.96, 60.19], [24.94, 60.19], [24.94, 60.18]]]}"#;

fn write(folder: &Path, files: &[(&str, &str)]) -> PathBuf {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder.join("lunch")
}

const FILES: &[(&str, &str)] = &[
    (
        "defaults/global.yaml",
        "legal: Sent by an example\nlock: [legal]\nbounds:\n  boosts.*.factor: { max: 1.5 }\nexclude: [a, b]\n",
    ),
    ("lunch/global.yaml", "title: Lunch\nslots: 4\narms:\n  - { id: six, share: 0.5 }\n"),
    ("lunch/fi.yaml", "version: 7\ntitle: Lounas\nexclude: { append: [c], remove: [a] }\n"),
    ("lunch/fi/helsinki.yaml", "title: null\nboosts:\n  - { merchant: nokka, factor: 1.4 }\n"),
    ("lunch/fi/helsinki/kallio.yaml", "level: neighbourhood\ncovers: { polygon: kallio.geojson }\ntitle: Kallio\n"),
    ("lunch/fi/helsinki/kallio.geojson", CALLIO),
    ("lunch/arms/six.yaml", "slots: 6\n"),
];

fn history(folder: &Folder, key: &str, place: &str) -> Vec<String> {
    let place = folder.place(place, None, None).unwrap();
    let steps = compare::history(folder, &place, key).unwrap();
    steps.into_iter().map(|step| format!("{}: {}: {}", step.by, step.did, step.after)).collect()
}

#[test]
fn every_leaf_names_its_layer_file_line_and_version() {
    let root = tempfile::tempdir().unwrap();
    let folder = campaigns::open(&write(root.path(), FILES));
    assert!(folder.faults.is_empty(), "{:?}", folder.faults);
    let at = |path: &str, arm: Option<&str>, key: &str| {
        let leaves = compare::merged(&folder, &folder.place(path, None, arm).unwrap());
        let leaf = leaves.into_iter().find(|leaf| leaf.key == key).unwrap();
        let file = leaf.file.as_ref().map(|file| file.strip_prefix(root.path()).unwrap().display().to_string());
        format!("{} by {} in {}", leaf.value, leaf.said_by(), file.unwrap_or_default())
    };
    assert_eq!(at("fi", None, "title"), "\"Lounas\" by fi.yaml:2 (version 7) in lunch/fi.yaml");
    assert_eq!(at("fi", None, "exclude[c]"), "listed by fi.yaml:3 (version 7) in lunch/fi.yaml");
    assert_eq!(at("fi", None, "exclude[b]"), "listed by defaults/global.yaml:5 in defaults/global.yaml");
    assert_eq!(at("fi", None, "chain_cap"), "1 by the default in ");
    assert_eq!(at("fi", Some("six"), "slots"), "6 by arms/six.yaml:1 in lunch/arms/six.yaml");
    assert_eq!(
        at("fi/helsinki/kallio", None, "title"),
        "\"Kallio\" by fi/helsinki/kallio.yaml:3 in lunch/fi/helsinki/kallio.yaml"
    );
    let kallio = folder.place("fi/helsinki/kallio", None, None).unwrap();
    assert_eq!(folder.layers_at(&kallio), ["defaults/global", "global", "fi", "fi/helsinki", "fi/helsinki/kallio"]);
    assert!(folder.place("fi", None, Some("seven")).unwrap_err().contains("of this campaign there are six"));
}

#[test]
fn a_keys_history_tells_what_each_layer_did() {
    let root = tempfile::tempdir().unwrap();
    let folder = campaigns::open(&write(root.path(), FILES));
    assert_eq!(
        history(&folder, "title", "fi/helsinki"),
        [
            "the default: : \"\"",
            "global.yaml:1: sets to \"Lunch\": \"Lunch\"",
            "fi.yaml:2: sets to \"Lounas\": \"Lounas\"",
            "fi/helsinki.yaml:1: unsets: \"\"",
        ]
    );
    assert_eq!(
        history(&folder, "exclude", "fi"),
        [
            "the default: : []",
            "defaults/global.yaml:5: sets to [a, b]: [\"a\",\"b\"]",
            "fi.yaml:3: appends [c], removes [a]: [\"b\",\"c\"]",
        ]
    );
    assert_eq!(
        history(&folder, "exclude[b]", "fi"),
        ["the default: : not listed", "defaults/global.yaml:5: sets exclude to [a, b]: listed"]
    );
    assert_eq!(
        history(&folder, "boosts.nokka.factor", "fi/helsinki"),
        [
            "the default: : nothing",
            "defaults/global.yaml:4: bounds boosts.*.factor to at most 1.5: nothing",
            "fi/helsinki.yaml:3: sets to 1.4: 1.4",
        ]
    );
    let place = folder.place("fi", None, None).unwrap();
    assert_eq!(compare::history(&folder, &place, "sluts").unwrap_err(), "no key is called sluts; did you mean slots?");
    assert_eq!(compare::history(&folder, &place, "slots.first").unwrap_err(), "slots has no part called first");
}

#[test]
fn an_edit_that_a_lock_held_off_says_whose() {
    let root = tempfile::tempdir().unwrap();
    let path = write(root.path(), FILES);
    write(root.path(), &[("lunch/fi.yaml", "legal: Lähettäjä on esimerkki\n")]);
    let folder = campaigns::open(&path);
    assert!(folder.is_broken());
    assert_eq!(
        history(&folder, "legal", "fi"),
        [
            "the default: : \"\"",
            "defaults/global.yaml:1: sets to \"Sent by an example\": \"Sent by an example\"",
            "defaults/global.yaml:2: locks legal: \"Sent by an example\"",
            "fi.yaml:1: sets to \"Lähettäjä on esimerkki\", which defaults/global.yaml:2 locks: \"Sent by an example\"",
        ]
    );
}

#[test]
fn two_versions_differ_place_by_place_and_leaf_by_leaf() {
    let root = tempfile::tempdir().unwrap();
    let (old, new) = (root.path().join("old"), root.path().join("new"));
    let before = campaigns::open(&write(&old, FILES));
    let after = write(&new, FILES);
    write(
        &new,
        &[
            (
                "lunch/global.yaml",
                "# The same, one line later.\ntitle: Lunch\nslots: 5\narms:\n  - { id: six, share: 0.5 }\n",
            ),
            ("lunch/fi.yaml", "title: Lounas\nexclude: { remove: [a] }\n"),
            ("lunch/se/lund.yaml", "title: Lund\n"),
            ("lunch/fi/helsinki/kallio.geojson", &CALLIO.replace("60.19", "60.188")),
        ],
    );
    let after = campaigns::open(&after);
    assert!(after.faults.is_empty(), "{:?}", after.faults);
    let told: Vec<String> = compare::compare(&before, &after)
        .into_iter()
        .map(|change| format!("{}: {}: {} -> {}", change.place, change.key, change.before, change.after))
        .collect();
    let slots = |place: &str| format!("{place}: slots: 4 (global.yaml:2) -> 5 (global.yaml:3)");
    let c = |place: &str| format!("{place}: exclude[c]: listed (fi.yaml:3) -> nothing");
    assert_eq!(told.len(), 10, "{told:#?}");
    assert_eq!(told[..5], [slots("everywhere"), slots("fi"), c("fi"), slots("fi/helsinki"), c("fi/helsinki")]);
    let covers =
        "fi/helsinki/kallio: covers: 16 cells (fi/helsinki/kallio.yaml:2) -> 12 cells (fi/helsinki/kallio.yaml:2)";
    assert_eq!(told[5], covers);
    assert_eq!(told[6..8], [slots("fi/helsinki/kallio"), c("fi/helsinki/kallio")]);
    assert_eq!(told[8], "se/lund: title: \"Lunch\" (global.yaml:1) -> \"Lund\" (se/lund.yaml:1)");
}
