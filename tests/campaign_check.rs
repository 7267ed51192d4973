//! What authors are told: every mistake at once, with file, line, column and a hint.

use freshrank::campaign::author::{Key, Node, Value};
use freshrank::campaign::{Campaign, Layer, author};
use serde_json::json;

/// A document with the places it would have in a file with one key to a line, two columns deeper for each map.
fn placed(json: &serde_json::Value) -> Node {
    fn place(node: &mut Node, line: &mut u32, column: u32) {
        (node.line, node.column) = (*line, column);
        match &mut node.value {
            Value::List(list) => list.iter_mut().for_each(|entry| place(entry, line, column)),
            Value::Map(map) => {
                for (Key { line: at, column: to, .. }, child) in map {
                    (*at, *to) = (*line, column);
                    if matches!(child.value, Value::Map(_)) {
                        *line += 1;
                        place(child, line, column + 2);
                    } else {
                        place(child, line, column + 2);
                        *line += 1;
                    }
                }
            }
            _ => {}
        }
    }
    let mut node = Node::from_json(json);
    place(&mut node, &mut 1, 1);
    node
}

fn read(path: &str, json: serde_json::Value) -> Layer {
    let (layer, problems) = author::read(path, &placed(&json));
    assert_eq!(problems, [], "{path}");
    layer
}

/// The problems of one layer in words.
fn wrong(json: serde_json::Value) -> Vec<String> {
    author::read("fi", &placed(&json)).1.iter().map(ToString::to_string).collect()
}

/// The problems between layers in words.
fn between(layers: &[(&str, serde_json::Value)]) -> Vec<String> {
    let layers = layers.iter().map(|(path, json)| read(path, json.clone()));
    Campaign::new("c", layers).check().iter().map(ToString::to_string).collect()
}

#[test]
fn all_mistakes_of_a_layer_are_told_at_once() {
    let found = wrong(json!({
        "boosts": { "local": { "factor": 1000 } },
        "consent": "require",
        "covers": { "iso": ["Finland"], "cells": ["zz"] },
        "exclude": ["a", "a"],
        "pins": [{ "slot": 24, "merchant": "m" }],
        "slotz": 4,
        "until": "tomorrow",
    }));
    let expected = [
        "fi.yaml:3:7: boosts.local.factor: found 1000, expected 0.01 to 100",
        "fi.yaml:4:3: consent: found \"require\", expected one of not_required, required; did you mean required?",
        "fi.yaml:6:5: covers.cells: found \"zz\", expected an H3 cell as 871126d36ffffff",
    ];
    assert_eq!(found.len(), 8, "{found:#?}");
    for line in expected {
        assert!(found.iter().any(|found| found == line), "{line}\n{found:#?}");
    }
    assert!(found.iter().any(|line| line.contains("slotz: no key is called so; did you mean slots?")), "{found:#?}");
    assert!(found.iter().any(|line| line.contains("pins.m.slot: found 24, expected a whole number from 0 to 23")));
    assert!(found.iter().any(|line| line.contains("exclude: found \"a\" twice, expected once")));
    assert!(found.iter().any(|line| line.contains("covers.iso: found \"Finland\", expected as FI or US-NY")));
}

#[test]
fn a_list_says_what_it_means() {
    for (document, message) in [
        (json!({ "exclude": { "set": ["a"], "append": ["b"] } }), "found set beside append, prepend or remove"),
        (json!({ "exclude": { "append": ["a"], "remove": ["a"] } }), "found \"a\" twice, expected once"),
        (json!({ "pattern": { "append": ["offer"] } }), "no way to edit this list is called so; there are set"),
        (
            json!({ "rules": [{ "when": "true", "then": "exclude" }] }),
            "found no id, expected an id; things merge by their id",
        ),
        (json!({ "boosts": [{ "id": "x", "remove": true, "factor": 2 }] }), "found factor beside remove"),
        (json!({ "boosts": [{ "merchant": "x" }, { "merchant": "x" }] }), "found twice, expected once"),
        (json!({ "kinds": { "append": ["groceries"] } }), "did you mean grocery?"),
        (json!({ "level": "global" }), "found global, expected country of a layer with this path"),
        (json!({ "bounds": { "title": { "max": 1 } } }), "found a bound on what is no number"),
        (json!({ "lock": ["fallback.urls"] }), "expected a key or the path of a leaf"),
        (json!({ "lock": ["exclude[a]"] }), "expected a key or the path of a leaf"),
        (json!({ "lock": ["boosts.*.factor"] }), "expected a key or the path of a leaf"),
        (json!({ "boosts": { "x": { "from": "2026-13-01T00:00:00Z" } } }), "expected an RFC 3339 time"),
        (json!(7), "found 7, expected a map of keys"),
    ] {
        let found = wrong(document.clone());
        assert!(found.len() == 1 && found[0].contains(message), "{document}: {found:?}");
    }
}

#[test]
fn a_locked_key_names_both_layers_and_holds() {
    let layers = [
        (
            "global",
            json!({ "legal": "18+", "lock": ["legal", "fallback.url"], "fallback": { "url": "https://a.invalid" } }),
        ),
        (
            "fi",
            json!({ "title": "Lounas", "legal": "K-18", "fallback": { "text": "Katso", "url": "https://b.invalid" } }),
        ),
        ("fi/helsinki", json!({ "fallback": null })),
    ];
    assert_eq!(
        between(&layers),
        [
            "fi.yaml:3:5: fallback.url: changes what global.yaml:4 locks (fallback.url); the locked value holds; take this out",
            "fi.yaml:4:3: legal: changes what global.yaml:4 locks (legal); the locked value holds; take this out",
            "fi/helsinki.yaml:1:3: fallback: changes what global.yaml:4 locks (fallback.url); the locked value holds; take this out",
        ]
    );
    let policy = Campaign::new("c", layers.map(|(path, json)| read(path, json))).policy("fi/helsinki");
    assert_eq!((policy.legal.as_str(), policy.fallback.url.as_str()), ("18+", "https://a.invalid"));
    assert_eq!(policy.fallback.text, "Katso", "what is not locked moves");
}

#[test]
fn a_bound_names_both_layers_and_holds() {
    let bounds =
        json!({ "slots": { "min": 2, "max": 6 }, "boosts.*.factor": { "max": 1.5 }, "organic_share": { "min": 0.2 } });
    let layers = [
        ("global", json!({ "bounds": bounds })),
        ("fi", json!({ "slots": 9, "boosts": { "anna": { "factor": 3 }, "bento": { "factor": 1.2 } } })),
    ];
    let found = between(&layers);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("fi.yaml:3:7: boosts.anna.factor: found 3, expected at most 1.5 as global.yaml:"));
    assert!(found[1].starts_with("fi.yaml:6:3: slots: found 9, expected at most 6 as global.yaml:"), "{found:#?}");
    let policy = Campaign::new("c", layers.map(|(path, json)| read(path, json))).policy("fi");
    let factor = |id: &str| policy.boosts.get(id).map(|boost| boost.factor);
    assert_eq!((policy.slots, factor("anna"), factor("bento")), (6, Some(1.5), Some(1.2)));
    assert_eq!(policy.organic_share, 0.2, "a default beyond the bound moves, too");
    let said = policy.provenance.get("slots").map(|source| source.layer.as_str());
    assert_eq!(said, Some("global"), "the bound is who said six");
}

#[test]
fn nothing_vanishes_silently() {
    let layers = [("global", json!({ "exclude": ["a", "b"] })), ("fi", json!({ "exclude": ["b", "c"] }))];
    assert_eq!(
        between(&layers),
        ["fi.yaml:1:3: exclude: a plain list would take away a of global.yaml:1; \
          say {set: [...]} if that is meant, else {append: [...]} or {remove: [...]}"]
    );
    let adds = [("global", json!({ "exclude": ["a"] })), ("fi", json!({ "exclude": ["a", "c"] }))];
    assert_eq!(between(&adds), Vec::<String>::new(), "a plain list that keeps all it inherits takes nothing away");
    let dead = [
        ("global", json!({ "exclude": ["a"] })),
        ("fi", json!({ "exclude": { "remove": ["A"] }, "rules": { "x": null } })),
    ];
    let found = between(&dead);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found.iter().all(|line| line.contains("warning: ") && line.contains("takes away what is not there")));
}

#[test]
fn what_is_paid_for_stays_labelled() {
    let layers = [
        ("global", json!({ "pins": [{ "merchant": "m", "slot": 0, "sponsored": true }] })),
        ("fi", json!({ "pins": [{ "merchant": "m", "slot": 1, "sponsored": false }] })),
        ("fi/helsinki", json!({ "pins": [{ "id": "m", "remove": true }] })),
    ];
    let found = between(&layers);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("pins.m.sponsored: takes back what global.yaml:3 says is paid for"), "{found:#?}");
    let campaign = Campaign::new("c", layers.map(|(path, json)| read(path, json)));
    let espoo = campaign.policy("fi/espoo");
    assert_eq!(espoo.pins.get("m").map(|pin| (pin.slot, pin.sponsored)), Some((1, true)));
    assert!(campaign.policy("fi/helsinki").pins.is_empty(), "the whole thing may go");
}

/// Taken away in a country and said anew in its city: whether under its own id or another one, the label comes back.
#[test]
fn a_label_comes_back_with_what_was_paid_for() {
    let rule = |id: &str, when: &str, paid: bool| json!([{ "id": id, "when": when, "then": "boost", "factor": 2, "sponsored": paid }]);
    let pin = json!([{ "merchant": "m", "slot": 0, "sponsored": true }]);
    let other_pin = json!([{ "merchant": "other", "slot": 1 }]);
    let (deal, other) = ("merchant.rating > 4.0", "merchant.rating > 3.0");
    for (key, paid, taken, anew, unpaid) in [
        ("pins", &pin, json!([{ "id": "m", "remove": true }]), json!([{ "merchant": "m", "slot": 2 }]), &other_pin),
        ("pins", &pin, json!(null), json!([{ "merchant": "m", "slot": 2 }]), &other_pin),
        ("pins", &pin, json!({ "m": null }), json!([{ "id": "ours", "merchant": "m", "slot": 2 }]), &other_pin),
        (
            "boosts",
            &json!([{ "id": "deal", "merchant": "m", "factor": 3, "sponsored": true }]),
            json!({ "deal": null }),
            json!([{ "merchant": "m", "factor": 3 }]),
            &json!([{ "merchant": "other", "factor": 3 }]),
        ),
        (
            "rules",
            &rule("deal", deal, true),
            json!({ "deal": null }),
            rule("ours", deal, false),
            &rule("ours", other, false),
        ),
    ] {
        let layers = [
            ("global", json!({ key: paid })),
            ("fi", json!({ key: taken })),
            ("fi/helsinki", json!({ key: anew })),
            ("fi/espoo", json!({ key: unpaid })),
        ];
        let campaign = Campaign::new("c", layers.clone().map(|(path, json)| read(path, json)));
        let labelled = |place: &str| -> Vec<bool> {
            let policy = campaign.policy(place);
            let (pins, boosts) = (policy.pins.values(), policy.boosts.values());
            let rules = policy.rules.values().map(|rule| rule.sponsored);
            pins.map(|pin| pin.sponsored).chain(boosts.map(|boost| boost.sponsored)).chain(rules).collect()
        };
        assert_eq!(labelled("se"), [true], "{key}");
        assert_eq!(labelled("fi"), [] as [bool; 0], "{key}: gone is gone");
        assert_eq!(labelled("fi/helsinki"), [true], "{key}");
        assert_eq!(labelled("fi/espoo"), [false], "{key}: another one is not paid for");
        let found = between(&layers);
        let told = |line: &&String| line.contains("global.yaml:") && line.contains("paid for");
        assert_eq!(found.iter().filter(told).count(), 1, "{key}: {found:#?}");
    }
}

#[test]
fn a_tie_is_an_error_and_a_priority_settles_it() {
    let layers = |priority: i32| {
        [
            ("hot", json!({ "covers": { "cells": ["871126d36ffffff"] }, "title": "Hot" })),
            ("kallio", json!({ "covers": { "cells": ["891126d36c3ffff"] }, "title": "Kallio", "priority": priority })),
            ("nordics", json!({ "covers": { "iso": ["FI", "SE"] }, "level": "region" })),
            ("baltics", json!({ "covers": { "iso": ["EE", "FI"] }, "level": "region" })),
        ]
    };
    let found = between(&layers(0));
    assert!(
        found.iter().any(|line| line.starts_with(
            "nordics.yaml:1:1: priority: covers a place that baltics.yaml:1 covers too, both level region"
        )),
        "{found:#?}"
    );
    let cells = between(&layers(0)).iter().filter(|line| line.starts_with("kallio")).count();
    assert_eq!((cells, between(&layers(1)).len()), (1, 1), "{found:#?}");
}

/// Where the cells of one layer lie is not known here, nor where a city of another ends.
#[test]
fn cells_beside_a_named_city_ask_for_a_priority() {
    let layers = |priority: i32, covers: serde_json::Value| {
        [
            ("fi", json!({ "title": "Finland" })),
            ("fi/helsinki", json!({ "title": "Helsinki" })),
            ("fi/night", json!({ "covers": covers, "title": "Night", "priority": priority })),
            ("se/uppsala", json!({ "title": "Uppsala" })),
        ]
    };
    let cells = json!({ "cells": ["891126d36c3ffff"] });
    let found = between(&layers(0, cells.clone()));
    assert_eq!(found.len(), 1, "{found:#?}");
    let said = "fi/night.yaml:1:1: warning: priority: its cells may lie in a place that fi/helsinki.yaml:1 covers";
    assert!(found[0].starts_with(said), "{found:#?}");
    assert_eq!(between(&layers(1, cells)), Vec::<String>::new());
    assert_eq!(between(&layers(0, json!({ "places": ["fi/espoo"] }))), Vec::<String>::new());
}

#[test]
fn what_cannot_be_together_is_named() {
    for (layer, message) in [
        (
            json!({ "pattern": ["offer"], "weave": { "relevant": 1 } }),
            "pattern: stands together with weave of global.yaml:",
        ),
        (json!({ "pattern": ["offers"] }), "no pool is called \"offers\"; did you mean offer?"),
        (json!({ "arms": { "a": { "share": 0.7 }, "b": { "share": 0.6 } } }), "found 130 % of the readers"),
        (json!({ "rules": { "x": { "when": "true" } } }), "rules.x: found no then, which it needs"),
        (
            json!({ "rules": { "x": { "when": "true", "then": "boost" } } }),
            "found no factor, which boost and bury need",
        ),
        (
            json!({ "rules": { "x": { "when": "true", "then": "bury", "factor": 2 } } }),
            "bury needs one below 1; say boost",
        ),
        (json!({ "rules": { "x": { "when": "true", "then": "pool" } } }), "found no pool, which then: pool needs"),
        (json!({ "pins": { "m": { "slot": 5 } } }), "pins.m.slot: found slot 5, of 4 slots"),
        (json!({ "ranges": { "r": { "first": 3, "last": 1, "pool": "offer" } } }), "found slots 3 to 1, of 4 slots"),
        (
            json!({ "boosts": { "m": { "factor": 2, "from": "2026-11-20T00:00:00Z", "until": "2026-11-19T00:00:00Z" } } }),
            "boosts.m.until: ends at 2026-11-19T00:00:00Z and begins at 2026-11-20T00:00:00Z; it never holds",
        ),
    ] {
        let found = between(&[("global", layer.clone())]);
        assert!(found.len() == 1 && found[0].contains(message), "{layer}: {found:#?}");
    }
    let filled =
        json!({ "pattern": ["members"], "rules": { "x": { "when": "true", "then": "pool", "pool": "members" } } });
    assert_eq!(between(&[("global", filled)]), Vec::<String>::new());
    let found = between(&[("fi", json!({ "arms": { "a": { "share": 0.5 } } })), ("arms/b", json!({ "slots": 2 }))]);
    assert!(found.iter().any(|line| line.contains("arms: found outside the global layer")), "{found:#?}");
    assert!(found.iter().any(|line| line.contains("arms/b.yaml:1:1: no arm is called \"b\"")), "{found:#?}");
}

#[test]
fn a_layer_that_would_come_before_its_ancestor_is_named() {
    let found =
        between(&[("fi", json!({ "priority": 3 })), ("fi/lapland", json!({ "level": "country", "title": "Lappi" }))]);
    assert_eq!(
        found,
        [
            "fi/lapland.yaml:1:1: level: level country and priority 0 put it before its ancestor fi.yaml:1 (level country and \
          priority 3); a deeper layer needs a deeper level, or a priority as high"
        ]
    );
}

/// Everything that a layer can say, with places.
fn everything() -> Layer {
    read(
        "fi/helsinki",
        json!({
            "level": "neighbourhood",
            "covers": { "iso": ["FI-18"], "places": ["fi/helsinki"], "cells": ["871126d36ffffff", "891126d36c3ffff"] },
            "priority": -3,
            "lock": ["legal", "boosts.a.factor"],
            "bounds": { "slots": { "min": 2 }, "boosts.*.factor": { "max": 1.5 } },
            "version": "7",
            "author": "Helsinki",
            "reason": "summer",
            "slots": null,
            "radius_km": 2.5,
            "across_border": true,
            "exclude": { "append": ["a"], "prepend": ["b"], "remove": ["c"] },
            "kinds": ["grocery"],
            "age_allow": { "set": ["x"] },
            "pattern": ["offer", "relevant", "offer"],
            "pool_caps": { "offer": 2, "inspire": null },
            "boosts": { "a": { "factor": 1.5, "sponsored": true, "from": "2026-11-20T00:00:00Z" }, "b": null },
            "rules": [{ "id": "x", "when": "true", "then": "bury", "factor": 0.5 }, { "id": "y", "remove": true }],
            "fallback": { "url": "https://example.invalid" },
        }),
    )
}

#[test]
fn what_is_published_keeps_every_place() {
    let campaign = Campaign::new("c", [everything()]);
    let published = Campaign::parse(campaign.to_json().as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(published.layers(), campaign.layers());
    assert_eq!(published, campaign);
}

#[test]
fn a_key_tells_its_history() {
    let layers = [
        (
            "global",
            json!({ "slots": 4, "bounds": { "slots": { "max": 6 } }, "boosts": { "m": { "factor": 2 } }, "version": 3 }),
        ),
        ("fi", json!({ "title": "Lounas", "slots": 9 })),
        ("fi/helsinki", json!({ "slots": null, "boosts": [{ "id": "m", "remove": true }] })),
    ];
    let campaign = Campaign::new("c", layers.map(|(path, json)| read(path, json)));
    let chain = campaign.chain(&freshrank::campaign::Whereabouts { market: "fi/helsinki", ..Default::default() });
    let told = |path: &str| -> Vec<String> {
        let steps = campaign.history(&chain, path).unwrap().into_iter();
        let by = |origin: Option<freshrank::campaign::Origin>| origin.map_or("nobody".into(), |o| o.to_string());
        steps.map(|step| format!("{} {}: {}", by(step.origin), step.did, step.after)).collect()
    };
    assert_eq!(
        told("slots"),
        [
            "nobody : 4",
            "global.yaml:5 bounds slots to at most 6: 4",
            "global.yaml:7 sets to 4: 4",
            "fi.yaml:1 sets to 9: 6",
            "fi/helsinki.yaml:4 unsets: 4"
        ]
    );
    assert_eq!(
        told("boosts.m.factor"),
        ["nobody : nothing", "global.yaml:3 sets to 2: 2.0", "fi/helsinki.yaml:1 unsets boosts.m: nothing"]
    );
    assert_eq!(told("title"), ["nobody : \"\"", "fi.yaml:2 sets to \"Lounas\": \"Lounas\""]);
    let version = |key: &str| campaign.history(&chain, key).unwrap().pop().unwrap().version;
    assert_eq!((version("title"), version("boosts")), (None, None));
    assert_eq!(campaign.history(&chain, "slots").unwrap()[1].version.as_deref(), Some("3"));
    assert!(campaign.history(&chain, "nonsense").is_err());
}

#[test]
fn no_more_layers_are_read_than_a_campaign_may_have() {
    let layers: Vec<String> = (0..10_001).map(|i| format!("\"l{i}\":{{}}")).collect();
    let json = format!("{{\"id\":\"c\",\"layers\":{{{}}}}}", layers.join(","));
    let error = Campaign::parse(json.as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with("campaign: invalid length 10001, expected at most 10000 layers"), "{error}");
    let twice = br#"{"id": "c", "layers": {"fi": {}, "fi": {}}}"#;
    assert!(Campaign::parse(twice).unwrap_err().to_string().contains("each once"));
}
