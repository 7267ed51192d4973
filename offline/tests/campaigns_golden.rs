//! Golden decisions: blessed once, they hold until a layer changes them, and say what changed.

use freshrank::score::NoModel;
use freshrank_offline::campaigns::golden::Decider;
use freshrank_offline::campaigns::{self, Golden};
use std::fs;
use std::path::Path;

const REQUEST: &str = r#"{"request": {"context": {"at": "2026-10-23T05:00:00Z"}}}"#;

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn a_blessed_decision_holds_until_a_layer_changes_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("lunch");
    write(&folder, "global.yaml", "title: Lunch\nslots: 2\nfallback:\n  text: See more\n");
    write(&folder, "golden/fi/nobody-knows-where.json", REQUEST);
    let decider = Decider { scorer: &NoModel, bundles: None };

    let before = campaigns::open(&folder);
    assert_eq!(before.faults, []);
    let mut golden: Golden = before.golden[0].clone();
    assert_eq!((golden.layer.as_str(), golden.expect()), ("fi", None));
    let now = golden.come_to(&before.campaign, decider).unwrap().unwrap();
    golden.bless(now.clone()).unwrap();

    let again = campaigns::open(&folder);
    assert_eq!(again.golden[0].expect(), Some(&now), "what was blessed is what is expected");
    assert_eq!(now.slots, ["fallback: See more", "fallback: See more"]);
    let text = fs::read_to_string(&golden.path).unwrap();
    assert!(text.ends_with("}\n") && text.contains("\n    \"title\": \"Lunch\""), "{text}");

    write(&folder, "global.yaml", "title: Lounas\nslots: 1\nfallback:\n  text: See more\n");
    let after = campaigns::open(&folder);
    let changed = golden.come_to(&after.campaign, decider).unwrap().unwrap();
    assert_eq!(now.differences(&changed), ["title: \"Lunch\" -> \"Lounas\"", "slot 1: fallback: See more -> nothing"]);
}

#[test]
fn a_golden_decision_leads_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("lunch");
    write(&folder, "global.yaml", "slots: 1\n");
    let elsewhere = REQUEST.replace("{\"request\"", "{\"area\": \"../../../etc/area\", \"request\"");
    write(&folder, "golden/elsewhere.json", &elsewhere);
    let folder = campaigns::open(&folder);
    let decider = Decider { scorer: &NoModel, bundles: None };
    let fault = folder.golden[0].come_to(&folder.campaign, decider).unwrap_err();
    assert!(fault.to_string().contains("expected a file beside this one"), "{fault}");
}
