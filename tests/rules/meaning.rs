//! What rules mean to a decision.

use crate::fixture::{MAP, Scene, labels, rule};
use freshrank::campaign::{Action, Origin, Policy, Rule};
use freshrank::retrieve::Candidate;
use freshrank::rule::{Excluded, Hits, Rules, State, VARIABLES, compile, dry_run};
use freshrank::time;
use std::collections::BTreeSet;

fn compiled(when: &str, then: Action) -> Rule {
    rule(when, then, Some(compile(when, &labels()).unwrap_or_else(|errors| panic!("{when}: {errors:?}"))))
}

fn policy(rules: impl IntoIterator<Item = (&'static str, Rule)>) -> Policy {
    let rules = rules.into_iter().map(|(id, rule)| (id.to_string(), rule)).collect();
    Policy { rules, ..Policy::default() }
}

fn ask(policy: &Policy, scene: &Scene, candidates: &[Candidate]) -> Hits {
    Rules::new(policy).evaluate(&scene.moment(), candidates)
}

/// `true`, `false` or `error` of one condition for one merchant.
fn says(when: &str, scene: &Scene, candidate: &Candidate) -> &'static str {
    let hits = ask(&policy([("r", compiled(when, Action::Badge))]), scene, std::slice::from_ref(candidate));
    let count = hits.counts().next().unwrap();
    match (count.holds, count.errors) {
        (1, 0) => "true",
        (0, 0) => "false",
        _ => "error",
    }
}

#[test]
fn unknown_facts_are_errors_that_and_and_or_take_in_either_order() {
    let (scene, unknown) = (Scene::new(), Scene::candidate(1));
    for (when, expected) in [
        ("merchant.rating > 4.0", "error"),
        ("!(merchant.rating > 4.0)", "error"),
        ("merchant.rating > 4.0 || true", "true"),
        ("true || merchant.rating > 4.0", "true"),
        ("merchant.rating > 4.0 && false", "false"),
        ("false && merchant.rating > 4.0", "false"),
        ("merchant.rating > 4.0 || false", "error"),
        ("merchant.rating > 4.0 && true", "error"),
        ("has(merchant.rating)", "false"),
        ("has(merchant.rating) && merchant.rating > 4.0", "false"),
        ("has(merchant.rating) ? merchant.rating > 4.0 : true", "true"),
        ("merchant.price_band / 0 == 1", "error"),
        ("message.slots / (message.slots - 6) == 1", "error"),
        ("message.slots * 9223372036854775807 > 0", "error"),
        ("[1.0, merchant.rating].exists(r, r < 2.0)", "error"),
        ("merchant.cuisines[0] == 'pizza'", "error"),
        ("merchant.chain == ''", "true"),
        ("merchant.chain != 'a'", "true"),
    ] {
        assert_eq!(says(when, &scene, &unknown), expected, "{when}");
    }
}

#[test]
fn local_time_is_the_wall_clock_of_the_decided_place() {
    let mut scene = Scene::new();
    for (at, when, expected) in [
        ("2026-11-20T12:00:00Z", "local.between('11:00', '14:00')", "true"),
        ("2026-11-20T14:00:00Z", "local.between('11:00', '14:00')", "false"),
        ("2026-11-20T11:00:00Z", "local.between('11:00', '14:00')", "true"),
        ("2026-11-20T23:30:00Z", "local.between('22:00', '05:00')", "true"),
        ("2026-11-20T04:59:00Z", "local.between('22:00', '05:00')", "true"),
        ("2026-11-20T05:00:00Z", "local.between('22:00', '05:00')", "false"),
        ("2026-11-20T23:59:00Z", "local.between('22:00', '24:00')", "true"),
        ("2026-11-20T12:00:00Z", "local.on('fri')", "true"),
        ("2026-11-20T12:00:00Z", "local.on('sat', 'sun')", "false"),
        ("2026-11-22T12:00:00Z", "local.on('sat', 'sun')", "true"),
        ("2026-12-01T00:00:00Z", "local.during('2026-12-01', '2026-12-24')", "true"),
        ("2026-12-24T23:59:00Z", "local.during('2026-12-01', '2026-12-24')", "true"),
        ("2026-12-25T00:00:00Z", "local.during('2026-12-01', '2026-12-24')", "false"),
        ("2026-12-25T17:45:00Z", "local.hour == 17 && local.minute == 1065 && local.weekday == 'fri'", "true"),
        ("2026-12-25T17:45:00Z", "local.date == '2026-12-25' && local.month == 12 && local.day == 25", "true"),
    ] {
        scene.local = time::Local::new(time::parse(at).unwrap(), 0);
        assert_eq!(says(when, &scene, &Scene::candidate(1)), expected, "{at}: {when}");
    }
}

#[test]
fn a_cuisine_of_another_map_is_no_cuisine() {
    let (mut scene, mut candidate) = (Scene::new(), Scene::candidate(1));
    candidate.merchant.cuisines[0] = 0;
    scene.profile.lifelong.raw = vec![(0, 0.5)];
    let conditions = [
        "'pizza' in merchant.cuisines",
        "merchant.cuisines.exists(c, c in reader.tastes)",
        "size(merchant.cuisines) == 1",
    ];
    for when in conditions {
        assert_eq!(says(when, &scene, &candidate), "true", "{when}");
    }
    candidate.cuisine_map = MAP + 1;
    for when in conditions.into_iter().chain(["merchant.cuisines.exists(c, false)", "!('sushi' in merchant.cuisines)"])
    {
        assert_eq!(says(when, &scene, &candidate), "error", "{when}");
    }
    candidate.cuisine_map = MAP;
    scene.profile.cuisine_map = MAP + 1;
    assert_eq!(says("'pizza' in reader.tastes", &scene, &candidate), "error");
    assert_eq!(says("'pizza' in merchant.cuisines", &scene, &candidate), "true");
}

#[test]
fn ids_are_compared_as_the_tables_write_them() {
    let mut candidate = Scene::candidate(freshrank::MerchantId::of("da-vinci").0);
    candidate.merchant.chain = freshrank::ChainId::of("forno");
    for (when, expected) in [
        ("merchant.id == 'da-vinci'", "true"),
        ("merchant.id in ['a', 'b']", "false"),
        ("merchant.chain in ['a', 'forno']", "true"),
        ("merchant.chain == '' || merchant.independent", "false"),
        ("['forno', 'x'].exists(c, merchant.chain == c)", "true"),
    ] {
        assert_eq!(says(when, &Scene::new(), &candidate), expected, "{when}");
    }
}

#[test]
fn every_fact_can_be_asked_about() {
    let (scene, candidate) = (Scene::new(), Scene::candidate(1));
    for variable in VARIABLES {
        let name = format!("{}.{}", variable.root, variable.field);
        let when = if variable.list > 0 {
            format!("size({name}) >= 0")
        } else {
            format!("has({name}) ? {name} == {name} : true")
        };
        assert_eq!(says(&when, &scene, &candidate), "true", "{when}");
        let expected = if variable.list == 0 && variable.nullable { "false" } else { "true" };
        if variable.list == 0 && !matches!(name.as_str(), "reader.market") {
            assert_eq!(says(&format!("has({name})"), &scene, &candidate), expected, "{name}");
        }
    }
}

#[test]
fn no_two_facts_have_one_code() {
    let codes: BTreeSet<u32> = VARIABLES.iter().map(|variable| variable.code()).collect();
    assert_eq!(codes.len(), VARIABLES.len());
}

#[test]
fn rules_include_exclude_boost_bury_pool_and_badge() {
    let scene = Scene::new();
    let candidates: Vec<Candidate> = (0..130)
        .map(|i| {
            let mut candidate = Scene::candidate(i);
            candidate.merchant.price_band = Some(1 + (i % 4) as u8);
            candidate.distance_km = i as f64 / 10.0;
            candidate
        })
        .collect();
    let mut cheap = compiled("merchant.price_band == 1", Action::Boost);
    cheap.factor = Some(2.0);
    cheap.sponsored = true;
    let mut far = compiled("merchant.distance_km > 10.0", Action::Bury);
    far.factor = Some(0.5);
    let mut near = compiled("merchant.distance_km < 0.5", Action::Pool);
    near.pool = Some("near".into());
    let mut dear = compiled("merchant.price_band == 4", Action::Badge);
    dear.badge = Some("Fine".into());
    let mut policy = policy([
        ("a-cheap", cheap),
        ("b-far", far),
        ("c-near", near),
        ("d-dear", dear),
        ("e-band-two", compiled("merchant.price_band == 2", Action::Exclude)),
        ("f-within", compiled("merchant.distance_km <= 12.0", Action::Include)),
    ]);
    policy.provenance.insert("rules.e-band-two.when".into(), Origin { layer: "fi/helsinki".into(), line: 7 });
    let hits = ask(&policy, &scene, &candidates);
    let ln_2 = 45_426;
    for (i, candidate) in candidates.iter().enumerate() {
        let (band, far) = (candidate.merchant.price_band.unwrap(), candidate.distance_km > 10.0);
        let expected = i32::from(band == 1) * ln_2 - i32::from(far) * ln_2;
        assert_eq!(hits.ln_boost(i), expected, "{i}");
        assert_eq!(hits.pools(i).collect::<Vec<_>>(), if i < 5 { vec!["near"] } else { vec![] }, "{i}");
        assert_eq!(hits.badges(i).collect::<Vec<_>>(), if band == 4 { vec!["Fine"] } else { vec![] }, "{i}");
        assert_eq!(hits.sponsored(i).map(|head| head.id.as_str()), (band == 1).then_some("a-cheap"), "{i}");
        let excluded = hits.excluded(i).map(|excluded| match excluded {
            Excluded::By(head) => format!("{} of {}", head.id, head.layer),
            Excluded::NotIncluded => "not included".into(),
        });
        let expected = match band {
            2 => Some("e-band-two of fi/helsinki.yaml:7".to_string()),
            _ => (candidate.distance_km > 12.0).then(|| "not included".to_string()),
        };
        assert_eq!(excluded, expected, "{i}");
    }
    let some = [3, 64, 129];
    let of = hits.of(&some);
    for (to, from) in some.into_iter().enumerate() {
        let ids = |hits: &Hits, i| hits.fired(i).map(|head| head.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&of, to), ids(&hits, from));
    }
    assert_eq!(of.fired(3).count(), 0);
}

#[test]
fn a_rule_is_in_force_from_its_first_second_until_its_last() {
    let mut scene = Scene::new();
    let mut happy = compiled("true", Action::Exclude);
    happy.from = Some("2026-11-20T10:00:00Z".into());
    happy.until = Some("2026-11-20T12:00:00+01:00".into());
    let policy = policy([("happy", happy)]);
    for (at, in_force) in [("09:59:59", false), ("10:00:00", true), ("10:59:59", true), ("11:00:00", false)] {
        scene.context.at = time::parse(&format!("2026-11-20T{at}Z")).unwrap();
        let hits = ask(&policy, &scene, &[Scene::candidate(1)]);
        assert_eq!(hits.excluded(0).is_some(), in_force, "{at}");
        assert_eq!(hits.counts().next().unwrap().state, if in_force { State::Asked } else { State::NotInForce });
    }
}

#[test]
fn a_rule_that_was_never_compiled_never_holds_and_says_so() {
    let scene = Scene::new();
    let policy = policy([
        ("raw", rule("true", Action::Exclude, None)),
        ("number", {
            let program = freshrank::rule::compile_expression("message.slots + 1", &labels()).unwrap();
            rule("message.slots + 1", Action::Exclude, Some(program))
        }),
    ]);
    let hits = ask(&policy, &scene, &[Scene::candidate(1)]);
    assert_eq!(hits.excluded(0), None);
    assert!(hits.counts().all(|count| count.state == State::NotCompiled));
}

#[test]
fn equal_parts_of_several_rules_are_run_once() {
    let one = policy([("a", compiled("merchant.rating > 4.0 && 'bar' in merchant.cuisines", Action::Badge))]);
    let two = policy([
        ("a", compiled("merchant.rating > 4.0 && 'bar' in merchant.cuisines", Action::Badge)),
        ("b", compiled("'bar' in merchant.cuisines && merchant.rating > 4.0 || reader.member", Action::Badge)),
    ]);
    let (one, two) = (Rules::new(&one).steps(), Rules::new(&two).steps());
    assert_eq!(two - one, 3, "the conjunction the other way round, a read and a disjunction are new");
}

#[test]
fn a_long_list_is_one_step() {
    let ids: Vec<String> = (0..1000).map(|i| format!("'m{i}'")).collect();
    let when = format!("merchant.id in [{}]", ids.join(", "));
    let program = compile(&when, &labels()).unwrap();
    assert_eq!(program.steps().len(), 2);
    let policy = policy([("long", rule(&when, Action::Badge, Some(program)))]);
    let candidates = [0, 500, 999, 1000].map(|i| Scene::candidate(freshrank::MerchantId::of(&format!("m{i}")).0));
    let hits = ask(&policy, &Scene::new(), &candidates);
    assert_eq!([0, 1, 2, 3].map(|i| hits.fired(i).count()), [1, 1, 1, 0]);
    let longer = when.replace("'m0'", "'m0', 'n'");
    let error = compile(&longer, &labels()).unwrap_err()[0].to_string();
    assert_eq!(error, "1:16: the list has 1001 items, at most 1000 are read");
}

#[test]
fn a_dry_run_counts_what_holds_what_never_does_and_what_errs() {
    let (regular, mut member) = (Scene::new(), Scene::new());
    member.profile.member = true;
    let mut rated = Scene::candidate(2);
    rated.merchant.rating = Some(4.5);
    let candidates = [Scene::candidate(1), rated];
    let policy = policy([
        ("members", compiled("reader.member", Action::Badge)),
        ("nobody", compiled("merchant.distance_km > 100.0", Action::Exclude)),
        ("rated", compiled("merchant.rating > 4.0", Action::Badge)),
        ("raw", rule("true", Action::Badge, None)),
    ]);
    let samples = [(regular.moment(), &candidates[..]), (member.moment(), &candidates[..])];
    let tried = dry_run(&Rules::new(&policy), samples);
    let found: Vec<_> = tried.iter().map(|t| (t.rule.as_str(), t.pairs, t.holds, t.errors, t.readers)).collect();
    assert_eq!(found, [("members", 4, 2, 0, 1), ("nobody", 4, 0, 0, 0), ("rated", 4, 2, 2, 2), ("raw", 0, 0, 0, 0)]);
}

#[test]
fn the_labels_that_ship_are_those_of_the_map() {
    let map = include_bytes!("../../models/cuisine-map.json");
    let json: serde_json::Value = serde_json::from_slice(map).unwrap();
    let short = format!("{:016x}", freshrank::Hash::of(map).short());
    let sensitive = &json["vocabulary"]["sensitive"];
    let labels =
        serde_json::json!({ "map": short, "labels": json["labels"], "vocabulary": { "sensitive": sensitive } });
    let written = format!("{labels}\n");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/cuisine-labels.json");
    if std::env::var_os("FRESHRANK_BLESS").is_some() {
        std::fs::write(path, &written).unwrap();
    }
    let found = std::fs::read(path).unwrap();
    assert!(found == written.as_bytes(), "models/cuisine-labels.json is not current: FRESHRANK_BLESS=1 rewrites it");
    assert_eq!(freshrank::rule::Labels::read(&found), freshrank::rule::Labels::read(map));
}

#[test]
fn the_shipped_cuisine_map_names_its_labels() {
    let labels = freshrank::rule::Labels::read(include_bytes!("../../models/cuisine-map.json")).unwrap();
    assert!(compile("'pizza' in merchant.cuisines && 'vegan' in merchant.cuisines", &labels).is_ok());
    let error = &compile("'vegan' in reader.tastes", &labels).unwrap_err()[0];
    assert!(error.message.contains("can reveal religion or health"), "{error}");
}
