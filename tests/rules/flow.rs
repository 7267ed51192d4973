//! Rules in a whole decision: asked after the doors, before the first pass.

use crate::fixture::labels;
use crate::scene;
use freshrank::campaign::{Campaign, author};
use freshrank::rule::compile;
use freshrank::score::NoModel;
use freshrank::{Areas, Decision, rerank};

/// A decision under one layer with these rules, and at most `first_pass` candidates for the ranker.
fn decide(rules: &[(&str, &str, serde_json::Value)], first_pass: u16) -> Decision {
    let scene = scene::Scene::new(200).unwrap();
    let rules: serde_json::Map<String, serde_json::Value> = rules
        .iter()
        .map(|(id, when, then)| {
            let mut rule = then.clone();
            rule["when"] = (*when).into();
            rule["program"] = compile(when, &labels()).unwrap().to_string().into();
            ((*id).to_string(), rule)
        })
        .collect();
    let document = serde_json::json!({ "rules": rules, "first_pass": first_pass });
    let (layer, problems) = author::read("fi/helsinki", &author::Node::from_json(&document));
    assert_eq!(problems, []);
    let campaign = Campaign::new("lunch", [layer]);
    let areas = Areas::new([&scene.bundle], vec![]);
    rerank(&areas, &scene.profile, &scene.context, &campaign, &NoModel)
}

#[test]
fn an_excluded_merchant_is_dropped_and_names_the_rule_and_its_layer() {
    let exclude = serde_json::json!({ "then": "exclude" });
    let decision = decide(&[("no-cheap", "merchant.price_band == 1", exclude)], 2000);
    assert_eq!((decision.kept.len(), decision.dropped.len()), (150, 50));
    assert!(decision.kept.iter().all(|kept| kept.merchant.price_band != Some(1)));
    for dropped in &decision.dropped {
        assert_eq!(dropped.reason.code(), "rule");
        assert_eq!(dropped.reason.to_string(), "excluded by rule no-cheap of fi/helsinki");
    }
}

#[test]
fn where_a_rule_includes_the_others_are_dropped() {
    let include = serde_json::json!({ "then": "include" });
    let decision = decide(&[("dear", "merchant.price_band == 4", include)], 2000);
    assert_eq!((decision.kept.len(), decision.dropped.len()), (50, 150));
    assert!(decision.dropped.iter().all(|dropped| dropped.reason.to_string() == "not included by any rule"));
}

#[test]
fn hits_belong_to_the_candidates_that_were_kept() {
    let exclude = serde_json::json!({ "then": "exclude" });
    let boost = serde_json::json!({ "then": "boost", "factor": 2.0 });
    let rules = [("lift", "merchant.price_band == 2", boost), ("no-cheap", "merchant.price_band == 1", exclude)];
    let decision = decide(&rules, 40);
    assert_eq!((decision.kept.len(), decision.kept.len() + decision.dropped.len()), (40, 200));
    assert_eq!(decision.hits.len(), 40);
    let lifted = decision.kept.iter().filter(|kept| kept.merchant.price_band == Some(2)).count();
    assert!(lifted > 0 && lifted < 40, "{lifted}");
    for (i, kept) in decision.kept.iter().enumerate() {
        let lifted = kept.merchant.price_band == Some(2);
        assert_eq!(
            decision.hits.fired(i).map(|head| head.id.as_str()).collect::<Vec<_>>(),
            if lifted { vec!["lift"] } else { vec![] }
        );
        assert_eq!(decision.scores[i].boost, if lifted { 45_426 } else { 0 });
    }
}

#[test]
fn a_document_with_a_damaged_program_is_refused() {
    let rules = serde_json::json!({ "a": { "when": "true", "then": "exclude", "program": "RlJSVQEAAAAAAAAA" } });
    let json = serde_json::json!({ "id": "lunch", "layers": { "global": { "rules": rules } } }).to_string();
    let error = Campaign::parse(json.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("rule program"), "{error}");
}
