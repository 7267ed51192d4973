//! Which layers hold at a place and in which order; arms; and the same answers however many layers there are.

use freshrank::Bundle;
use freshrank::bundle::AreaDraft;
use freshrank::campaign::{Campaign, Layer, Level, Whereabouts, author};
use freshrank::geo::Point;
use h3o::{LatLng, Resolution};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn read(path: &str, json: &Value) -> Layer {
    let (layer, problems) = author::read(path, &author::Node::from_json(json));
    assert_eq!(problems, [], "{path}");
    layer
}

fn campaign(layers: &[(&str, Value)]) -> Campaign {
    Campaign::new("c", layers.iter().map(|(path, json)| read(path, json)))
}

/// An area without merchants.
fn area(layer: &str, country: &str, point: Point) -> Bundle {
    let draft = AreaDraft {
        cell: point.cell(),
        as_of: 1_795_168_800,
        country: country.as_bytes().try_into().unwrap(),
        layer: layer.into(),
        cuisine_map: 0,
        offset_minutes: 120,
        transitions: Vec::new(),
        merchants: Vec::new(),
        schedules: Vec::new(),
        offers: Vec::new(),
    };
    Bundle::decode(draft.encode().unwrap()).unwrap()
}

fn point(latitude: f64, longitude: f64) -> Point {
    Point::new(latitude, longitude).unwrap()
}

fn kallio() -> Point {
    point(60.1841, 24.9497)
}

/// The cell of a point: of its area up to resolution 7, and of the point itself beyond.
fn cell(point: Point, resolution: u8) -> String {
    let resolution = Resolution::try_from(resolution).unwrap();
    let finest = if resolution <= Resolution::Seven { Resolution::Seven } else { Resolution::Fifteen };
    let at = LatLng::new(point.latitude(), point.longitude()).unwrap();
    at.to_cell(finest).parent(resolution).unwrap().to_string()
}

/// The paths of the layers that hold, the shallowest first.
fn chain(campaign: &Campaign, at: &Whereabouts<'_>) -> Vec<String> {
    campaign.chain(at).place.iter().map(|id| campaign.layer_at(*id).unwrap().path.to_string()).collect()
}

#[test]
fn there_is_one_order_from_the_defaults_to_the_arm() {
    let campaign = campaign(&[
        ("arms/bold", json!({})),
        ("global", json!({ "arms": { "bold": { "share": 1 } } })),
        ("nordics", json!({ "level": "region", "covers": { "iso": ["FI", "SE"] } })),
        ("fi", json!({})),
        ("fi/uusimaa", json!({ "level": "state", "covers": { "places": ["fi/helsinki", "fi/espoo"] } })),
        ("fi/helsinki", json!({})),
        ("coast", json!({ "covers": { "cells": [cell(kallio(), 5)] }, "priority": -1 })),
        ("fi/helsinki/kallio", json!({ "level": "neighbourhood", "covers": { "cells": [cell(kallio(), 9)] } })),
        ("defaults/fi/helsinki", json!({})),
        ("defaults/global", json!({})),
    ]);
    assert_eq!(campaign.check(), []);
    let helsinki = area("fi/helsinki", "FI", kallio());
    let at = Whereabouts {
        market: "se/lund",
        area: Some(&helsinki),
        point: Some(kallio()),
        arm: campaign.arm(7),
        reader: 7,
    };
    let order = [
        "defaults/global",
        "defaults/fi/helsinki",
        "global",
        "nordics",
        "fi",
        "fi/uusimaa",
        "coast",
        "fi/helsinki",
        "fi/helsinki/kallio",
        "arms/bold",
    ];
    assert_eq!(chain(&campaign, &at), order);
    let elsewhere = Whereabouts { point: Some(point(60.2, 25.1)), arm: None, ..at };
    assert!(!chain(&campaign, &elsewhere).contains(&"fi/helsinki/kallio".into()), "finer cells follow the point");
    let unknown = Whereabouts { area: None, arm: None, ..at };
    assert_eq!(chain(&campaign, &unknown), ["defaults/global", "global", "nordics"], "the market's layers alone");
}

#[test]
fn a_layer_holds_only_where_its_ancestors_hold() {
    let campaign = campaign(&[
        ("se", json!({ "title": "Lunch" })),
        ("se/border", json!({ "covers": { "cells": [cell(kallio(), 7)] }, "title": "Gräns" })),
    ]);
    let helsinki = area("fi/helsinki", "FI", kallio());
    let at = Whereabouts { market: "fi/helsinki", area: Some(&helsinki), point: Some(kallio()), arm: None, reader: 0 };
    assert_eq!(campaign.policy_at(&at).title, "");
    // The same cell, said to be in Sweden by its country alone.
    let border = area("nowhere", "SE", kallio());
    assert_eq!(campaign.policy_at(&Whereabouts { area: Some(&border), ..at }).title, "Gräns");
}

#[test]
fn a_level_need_not_be_said() {
    for (path, document, level) in [
        ("global", json!({}), Level::Global),
        ("fi", json!({}), Level::Country),
        ("fi/helsinki", json!({}), Level::City),
        ("any", json!({ "covers": { "iso": ["FI"] } }), Level::Country),
        ("any", json!({ "covers": { "iso": ["US-NY", "US-NJ"] } }), Level::State),
        ("any", json!({ "covers": { "places": ["fi/helsinki"] } }), Level::City),
        ("any", json!({ "covers": { "cells": [cell(kallio(), 7)] } }), Level::City),
        ("any", json!({ "level": "region" }), Level::Region),
        ("arms/a", json!({}), Level::Arm),
        ("defaults/global", json!({}), Level::Global),
    ] {
        assert_eq!(read(path, &document).level, level, "{path} {document}");
    }
}

#[test]
fn law_and_language_follow_the_market_and_the_rest_the_place() {
    let own = |text: &str| {
        json!({ "title": text, "legal": text, "language": text, "age_allow": [text], "slots": text.len(),
                "consent": if text == "fi" { "required" } else { "not_required" } })
    };
    let campaign =
        campaign(&[("fi", own("fi")), ("nl", own("nl-NL")), ("fi/helsinki", json!({ "title": "Helsinki" }))]);
    let amsterdam = area("nl/amsterdam", "NL", point(52.37, 4.895));
    let at = Whereabouts { market: "fi/helsinki", area: Some(&amsterdam), ..Whereabouts::default() };
    let policy = campaign.policy_at(&at);
    assert_eq!((policy.title.as_str(), policy.slots), ("nl-NL", 5));
    assert_eq!(
        (policy.legal.as_str(), policy.language.as_str(), policy.age_allow.as_slice()),
        ("fi", "fi", &["fi".into()][..])
    );
    assert_eq!(policy.consent, freshrank::campaign::Consent::Required);
    let home = campaign.policy_at(&Whereabouts { area: None, ..at });
    assert_eq!((home.title.as_str(), home.legal.as_str()), ("Helsinki", "fi"));
}

#[test]
fn defaults_lie_below_every_campaign() {
    let campaign = campaign(&[
        ("defaults/global", json!({ "slots": 3, "legal": "18+", "lock": ["legal"], "exclude": ["a"] })),
        ("defaults/fi", json!({ "title": "Oletus", "slots": 5 })),
        ("global", json!({ "title": "Lunch", "legal": "none", "exclude": { "append": ["b"] } })),
    ]);
    let policy = campaign.policy("fi/helsinki");
    assert_eq!((policy.slots, policy.title.as_str(), policy.legal.as_str()), (5, "Lunch", "18+"));
    assert_eq!(policy.exclude, ["a", "b"]);
    let said = policy.provenance.get("exclude[a]").map(|source| source.layer.as_str());
    assert_eq!(said, Some("defaults/global"));
    assert_eq!(campaign.check().len(), 1, "a campaign does not break the lock of the defaults");
    let published = Campaign::parse(campaign.to_json().as_bytes()).unwrap();
    assert_eq!((published.to_json(), published.hash), (campaign.to_json(), campaign.hash));
    assert_eq!(published.policy("fi/helsinki"), policy);
}

#[test]
fn arms_take_their_share_and_are_salted_by_their_campaign() {
    let arms = json!({ "arms": { "bold": { "share": 0.3 }, "quiet": { "share": 0.1, "holdout": true } } });
    let campaign =
        |id: &str| Campaign::new(id, [read("global", &arms), read("arms/bold", &json!({ "title": "Bold" }))]);
    let (lunch, dinner) = (campaign("lunch"), campaign("dinner"));
    assert_eq!(lunch.check(), []);
    let n = 20_000;
    let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    let mut both = 0;
    for reader in 1..=n {
        *counts.entry(lunch.arm(reader)).or_default() += 1;
        both += usize::from(lunch.arm(reader) == Some("bold") && dinner.arm(reader) == Some("bold"));
    }
    // Five standard deviations of a binomial count.
    let near = |found: usize, share: f64| {
        (found as f64 - share * n as f64).abs() < 5.0 * (n as f64 * share * (1.0 - share)).sqrt()
    };
    assert!(
        near(counts[&Some("bold")], 0.3) && near(counts[&Some("quiet")], 0.1) && near(counts[&None], 0.6),
        "{counts:?}"
    );
    assert!(near(both, 0.09), "{both}: one campaign's arm tells nothing of another's");
    assert_eq!(lunch.arm(0), None, "nobody known has no arm");
    assert!(lunch.is_holdout(Some("quiet")) && !lunch.is_holdout(Some("bold")) && !lunch.is_holdout(None));
    let at = Whereabouts { market: "fi", arm: Some("bold"), ..Whereabouts::default() };
    assert_eq!(lunch.policy_at(&at).title, "Bold");
    assert_eq!(lunch.policy_at(&Whereabouts { arm: None, ..at }).title, "");
}

/// A generator that gives the same layers everywhere (xorshift).
struct Random(u32);

impl Random {
    fn below(&mut self, n: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % n
    }
}

/// Layers of a world in which countries are squares and cities are points of them.
fn world(random: &mut Random, n_layers: usize) -> Vec<Layer> {
    let mut layers: BTreeMap<String, Value> =
        BTreeMap::from([("global".into(), json!({ "slots": 4, "exclude": ["x"] }))]);
    while layers.len() < n_layers {
        let (country, city, part) = (random.below(20), random.below(12), random.below(6));
        let (code, at) = (format!("{}{}", (b'a' + country as u8) as char, 'x'), place(country, city, part));
        let edit = match random.below(4) {
            0 => json!({ "slots": 1 + random.below(24) }),
            1 => json!({ "exclude": { "append": [format!("m{}", random.below(9))], "remove": ["x"] } }),
            2 => {
                json!({ "boosts": [{ "merchant": format!("m{}", random.below(9)), "factor": 1.5 }], "title": format!("{at:?}") })
            }
            _ => json!({ "pins": { "m1": { "slot": random.below(3) } }, "exclude": { "prepend": ["x"] } }),
        };
        let (path, covers) = match random.below(5) {
            0 => (code, None),
            1 => (format!("region-{country}-{city}"), Some(json!({ "iso": [code.to_uppercase(), "ZZ"] }))),
            2 => (format!("{code}/c{city}"), None),
            3 => (format!("{code}/c{city}/p{part}"), Some(json!({ "cells": [cell(at, 8)] }))),
            _ => (
                format!("{code}/spot{city}-{part}"),
                Some(json!({ "cells": [cell(at, 6)], "places": [format!("{code}/c{city}")] })),
            ),
        };
        let mut edit = edit;
        if let Some(covers) = covers {
            edit["covers"] = covers;
            edit["priority"] = json!(layers.len());
        }
        layers.insert(path, edit);
    }
    layers.iter().map(|(path, json)| read(path, json)).collect()
}

fn place(country: u32, city: u32, part: u32) -> Point {
    point(-40.0 + 4.0 * f64::from(country), 10.0 + f64::from(city) + 0.02 * f64::from(part))
}

/// What holds by the definition: every layer looked at.
fn by_definition(campaign: &Campaign, area: &Bundle, at: Point) -> Vec<String> {
    let country = String::from_utf8_lossy(&area.country).to_lowercase();
    let cells: BTreeSet<String> = (0..16).map(|resolution| cell(at, resolution)).collect();
    let below = |path: &str, above: &str| path == above || path.starts_with(&format!("{above}/"));
    let covers = |layer: &Layer| {
        layer.is_global()
            || layer.paths().any(|path| below(area.layer(), path) || path == country)
            || layer.cells().any(|cell| cells.contains(&cell.to_string()))
    };
    let layers: Vec<&Layer> = campaign.layers().values().collect();
    let mut found: Vec<&&Layer> = layers
        .iter()
        .filter(|layer| {
            covers(layer) && layers.iter().filter(|above| above.is_ancestor_of(layer)).all(|above| covers(above))
        })
        .collect();
    found.sort_by_key(|layer| (layer.level, layer.priority, &layer.path));
    found.iter().map(|layer| layer.path.to_string()).collect()
}

#[test]
fn two_hundred_campaigns_answer_as_the_definition_says() {
    let mut random = Random(11);
    let campaigns: Vec<Campaign> = (0..200).map(|i| Campaign::new(&format!("c{i}"), world(&mut random, 25))).collect();
    let large = Campaign::new("large", world(&mut random, 1500));
    let mut longest = 0;
    for i in 0..2000 {
        let (country, city, part) = (random.below(20), random.below(12), random.below(6));
        let at = place(country, city, part);
        let code = format!("{}x", (b'a' + country as u8) as char);
        let area = area(&format!("{code}/c{city}"), &code.to_uppercase(), at);
        let campaign = if i % 20 == 0 { &large } else { &campaigns[i % 200] };
        let whereabouts = Whereabouts { market: "ax", area: Some(&area), point: Some(at), arm: None, reader: 0 };
        let found = chain(campaign, &whereabouts);
        assert_eq!(found, by_definition(campaign, &area, at), "{code}/c{city} part {part} of {}", campaign.id);
        longest = longest.max(found.len());
    }
    assert!(longest >= 6, "the world is too plain to tell anything: {longest}");
    assert!(campaigns.iter().map(|campaign| campaign.layers().len()).sum::<usize>() == 5000);
}
