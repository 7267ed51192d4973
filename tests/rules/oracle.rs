//! The interpreter of the `cel` crate as an oracle: random conditions over random candidates are true, false or an error
//! value for both.

use crate::fixture::{Scene, labels, rule};
use cel::objects::{Key, Value};
use freshrank::ChainId;
use freshrank::bundle::{Audience, Kind, Offer, OfferKind};
use freshrank::campaign::{Action, Policy};
use freshrank::retrieve::Candidate;
use freshrank::rule::{Moment, Rules, compile};
use freshrank::time::civil_from_days;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::Cell;
use std::collections::HashMap;

const CUISINES: [&str; 4] = ["pizza", "sushi", "burger", "bar"];

/// The same facts as the documentation says them, read without the engine's table.
fn bind(moment: &Moment<'_>, candidate: &Candidate) -> cel::Context<'static, 'static> {
    type Map = HashMap<Key, Value>;
    fn put(map: &mut Map, name: &str, value: Option<Value>) {
        if let Some(value) = value {
            map.insert(Key::from(name), value);
        }
    }
    let int = |value: i64| Value::Int(value);
    // The bundle's steps are 0.02.
    let rating = |value: f32| Value::Float((f64::from(value) * 50.0).round() / 50.0);
    let text = |value: &str| Value::from(value);
    let m = &candidate.merchant;

    let mut merchant = Map::new();
    put(&mut merchant, "independent", Some(Value::Bool(m.chain == ChainId::NONE)));
    put(&mut merchant, "chain", Some(text(if m.chain == ChainId::NONE { "" } else { "chain-a" })));
    put(&mut merchant, "kind", Some(text(["restaurant", "grocery", "retail"][m.kind as usize])));
    let cuisines: Vec<Value> = m
        .cuisines
        .iter()
        .filter(|label| **label != u16::MAX)
        .map(|label| text(CUISINES[usize::from(*label)]))
        .collect();
    put(&mut merchant, "cuisines", Some(Value::from(cuisines)));
    put(&mut merchant, "price_band", m.price_band.map(|band| int(band.into())));
    put(&mut merchant, "prep_minutes", m.prep_minutes.map(|minutes| int(minutes.into())));
    put(&mut merchant, "rating", m.rating.map(rating));
    put(&mut merchant, "distance_km", Some(Value::Float(candidate.distance_km)));
    put(&mut merchant, "open_minutes", candidate.open_minutes.map(int));
    put(&mut merchant, "across_border", Some(Value::Bool(m.across_border)));
    let known = moment.profile.merchants.iter().any(|known| known.id == m.id.short());
    put(&mut merchant, "ordered_before", Some(Value::Bool(known)));

    let mut offer = Map::new();
    put(&mut offer, "present", Some(Value::Bool(candidate.offer.is_some())));
    put(&mut offer, "value", candidate.offer.map(|offer| int(offer.value.into())));
    let kind = |kind| ["percent", "amount", "free_delivery", "other"][kind as usize];
    put(&mut offer, "kind", candidate.offer.map(|offer| text(kind(offer.kind))));

    let mut reader = Map::new();
    put(&mut reader, "member", Some(Value::Bool(moment.profile.member)));
    put(&mut reader, "new", Some(Value::Bool(moment.profile.n_orders == 0)));
    put(&mut reader, "market", Some(text(&moment.profile.market)).filter(|_| !moment.profile.market.is_empty()));
    let tastes = moment.profile.lifelong.raw.iter().take(3).map(|(label, _)| text(CUISINES[usize::from(*label)]));
    put(&mut reader, "tastes", Some(Value::from(tastes.collect::<Vec<_>>())));

    let mut local = Map::new();
    let minute = moment.local.minute_of_day();
    put(&mut local, "hour", Some(int(minute / 60)));
    put(&mut local, "minute", Some(int(minute)));
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    put(&mut local, "weekday", Some(text(days[moment.local.weekday() as usize])));
    let (year, month, day) = civil_from_days(moment.local.day());
    put(&mut local, "date", Some(Value::from(format!("{year:04}-{month:02}-{day:02}"))));

    let mut message = Map::new();
    put(&mut message, "slots", Some(int(moment.slots.into())));
    put(&mut message, "language", Some(text(moment.language)).filter(|_| !moment.language.is_empty()));

    let mut context = cel::Context::default();
    for (name, map) in
        [("merchant", merchant), ("offer", offer), ("reader", reader), ("local", local), ("message", message)]
    {
        context.add_variable_from_value(name, Value::from(map));
    }
    context
}

/// Texts of conditions by type, from small ones to ones of several.
fn condition() -> impl Strategy<Value = String> {
    let words = |words: &'static [&'static str]| proptest::sample::select(words).prop_map(String::from);
    let int = prop_oneof![
        3 => (-40_i64..200).prop_map(|n| if n < 0 { format!("({n})") } else { n.to_string() }),
        1 => words(&["9223372036854775807", "(-9223372036854775807)", "9007199254740993", "0"]),
        5 => words(&["merchant.price_band", "merchant.prep_minutes", "merchant.open_minutes", "offer.value", "local.hour", "local.minute", "message.slots"]),
        2 => words(&["size(merchant.cuisines)", "reader.tastes.size()", "size(reader.market)", "size([1, 2])", "size([merchant.price_band])", "int(merchant.rating)"]),
    ];
    let double = prop_oneof![
        3 => (-50_i32..60).prop_map(|n| format!("({:?})", f64::from(n) / 8.0)),
        1 => words(&["1e300", "(0.0 / 0.0)", "(1.0 / 0.0)", "9007199254740993.0", "9223372036854775808.0"]),
        5 => words(&["merchant.rating", "merchant.distance_km", "double(merchant.prep_minutes)", "double(local.hour)"]),
    ];
    let text = prop_oneof![
        2 => words(&["'fi'", "''", "'2026-11-20'", "'fi/helsinki'", "'ö'", "'en'"]),
        3 => words(&["reader.market", "local.date", "message.language", "(reader.market + message.language)"]),
    ];
    let cuisine = || words(&["'pizza'", "'sushi'", "'burger'", "'bar'"]);
    let flag = prop_oneof![
        1 => words(&["true", "false"]),
        4 => words(&["merchant.independent", "merchant.across_border", "merchant.ordered_before", "offer.present", "reader.member", "reader.new"]),
        2 => words(&["has(merchant.rating)", "has(merchant.open_minutes)", "has(offer.value)", "has(reader.market)", "has(merchant.cuisines)"]),
        2 => words(&["merchant.kind == 'grocery'", "merchant.kind != 'restaurant'", "offer.kind in ['percent', 'amount']", "local.weekday in ['sat', 'sun']", "merchant.chain == ''", "merchant.chain in ['chain-a']", "local.weekday in ['mon', 'thu', 'fri', 'fri', 'sun']", "merchant.prep_minutes in [3, 1, 2, 30, -5, 8, 9, 40]", "merchant.price_band in [1.0, 2.0, 4.0]", "merchant.cuisines[1] == 'sushi'"]),
        2 => cuisine().prop_map(|c| format!("{c} in merchant.cuisines")),
        1 => cuisine().prop_map(|c| format!("{c} in reader.tastes")),
        1 => words(&["merchant.cuisines.exists(c, c in reader.tastes)", "reader.tastes.all(t, t in merchant.cuisines)", "merchant.cuisines.exists_one(c, c == 'pizza' || c == 'bar')"]),
    ];
    // Numbers of two kinds are compared, and only those of one kind are reckoned with.
    let sums = (
        int.clone(),
        double.clone(),
        int,
        double,
        proptest::sample::select(&["+", "-", "*", "/"][..]),
        any::<bool>(),
        0..4,
    );
    let number = sums.prop_map(|(a, x, b, y, sign, negate, form)| {
        let minus = if negate { "-" } else { "" };
        match form {
            0 => a,
            1 => x,
            2 if sign == "/" && negate => format!("({a} % {b})"),
            2 => format!("{minus}({a} {sign} {b})"),
            _ => format!("{minus}({x} {sign} {y})"),
        }
    });
    let order = || proptest::sample::select(&["==", "!=", "<", "<=", ">", ">="][..]);
    let leaf = prop_oneof![
        3 => flag,
        4 => (number.clone(), order(), number.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        2 => (text.clone(), order(), text.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        1 => (text.clone(), words(&["startsWith", "endsWith", "contains"]), text.clone()).prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
        1 => (number, proptest::collection::vec(-3..100_i32, 0..4)).prop_map(|(a, list)| {
            if a.contains('.') && !a.contains("size") && !a.contains("int(") { format!("[1, 2].exists(n, double(n) < 1.5 && {a} == {a})") } else { format!("{list:?}.exists_one(n, n == 3)") }
        }),
        1 => (text.clone(), text).prop_map(|(a, b)| format!("{a} in [{b}, 'fi']")),
    ];
    leaf.prop_recursive(5, 40, 3, move |inner| {
        prop_oneof![
            3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) || ({b})")),
            2 => inner.clone().prop_map(|a| format!("!({a})")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a}) ? ({b}) : ({c})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) == ({b})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) < ({b})")),
            1 => (inner.clone(), proptest::sample::select(&["all", "exists", "exists_one"][..])).prop_map(|(a, form)| {
                format!("merchant.cuisines.{form}(c, c != 'bar' && ({a}))")
            }),
            1 => (inner.clone(), proptest::sample::select(&["all", "exists", "exists_one"][..])).prop_map(|(a, form)| {
                format!("[1, merchant.prep_minutes, 3].{form}(n, n % 2 == 1 || ({a}))")
            }),
            1 => (inner.clone(), inner).prop_map(|(a, b)| format!("(({a}) ? merchant.prep_minutes : 7) <= (({b}) ? 20 : merchant.price_band)")),
        ]
    })
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let known = |range: core::ops::Range<u8>| proptest::option::weighted(0.7, range);
    let one = (
        (any::<u64>(), any::<bool>(), 0..3_usize, any::<bool>()),
        proptest::collection::vec(0..4_u16, 0..4),
        (known(1..5), known(0..90), known(0..251), proptest::option::weighted(0.7, 0..600_i64)),
        (0..400_u32, proptest::option::of((0..4_usize, -5..60_i32))),
    );
    let one = one.prop_map(|((id, chain, kind, border), cuisines, (band, prep, rating, open), (distance, offer))| {
        let mut candidate = Scene::candidate(id);
        candidate.merchant.chain = if chain { ChainId::of("chain-a") } else { ChainId::NONE };
        candidate.merchant.kind = [Kind::Restaurant, Kind::Grocery, Kind::Retail][kind];
        candidate.merchant.across_border = border;
        for (slot, label) in candidate.merchant.cuisines.iter_mut().zip(cuisines) {
            *slot = label;
        }
        candidate.merchant.price_band = band;
        candidate.merchant.prep_minutes = prep;
        candidate.merchant.rating = rating.map(|steps| f32::from(steps) / 50.0);
        candidate.open_minutes = open;
        candidate.distance_km = f64::from(distance) / 64.0;
        let kinds = [OfferKind::Percent, OfferKind::Amount, OfferKind::FreeDelivery, OfferKind::Other];
        candidate.offer = offer.map(|(kind, value)| Offer {
            id: 1,
            merchant: 0,
            kind: kinds[kind],
            audience: Audience::All,
            value,
            starts_minute: 0,
            ends_minute: u32::MAX,
        });
        candidate
    });
    proptest::collection::vec(one, 1..70)
}

fn moments() -> impl Strategy<Value = Scene> {
    let facts = (29_000_000..29_900_000_i64, any::<bool>(), any::<bool>(), any::<bool>());
    (facts, proptest::collection::vec(0..4_u16, 0..5)).prop_map(|((minutes, member, market, language), tastes)| {
        let mut scene = Scene::new();
        scene.local.minutes = minutes;
        scene.profile.member = member;
        scene.profile.market = if market { "fi/helsinki".into() } else { String::new() };
        scene.profile.lifelong.raw = tastes.into_iter().map(|label| (label, 0.2)).collect();
        scene.language = if language { "fi" } else { "" };
        scene
    })
}

#[test]
fn the_columns_agree_with_the_interpreter() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(800);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let seen = [const { Cell::new(0_usize) }; 3];
    let answers = (condition(), candidates(), moments());
    let agreed = TestRunner::new(config).run(&answers, |(text, candidates, mut scene)| {
        scene.profile.merchants[0].id = candidates[0].merchant.id.short();
        let moment = scene.moment();
        let program = compile(&text, &labels());
        prop_assume!(!matches!(&program, Err(errors) if errors.iter().any(|error| error.message.contains("steps"))));
        let program = program.map_err(|errors| TestCaseError::fail(format!("{text}\nis refused: {errors:?}")))?;
        let oracle = cel::Program::compile(&text).unwrap();

        let rules = [("r".to_string(), rule(&text, Action::Badge, Some(program)))].into();
        let rules = Rules::new(&Policy { rules, ..Policy::default() });
        let whole = rules.evaluate(&moment, &candidates);
        let mut errors = 0;
        for (i, candidate) in candidates.iter().enumerate() {
            let expected = match oracle.execute(&bind(&moment, candidate)) {
                Ok(Value::Bool(value)) => Some(value),
                Ok(other) => return Err(TestCaseError::fail(format!("{text}\ngives {other:?}"))),
                Err(_) => None,
            };
            let alone = rules.evaluate(&moment, std::slice::from_ref(candidate));
            let count = alone.counts().next().unwrap();
            let found = if count.errors == 1 { None } else { Some(count.holds == 1) };
            errors += count.errors;
            prop_assert_eq!(found, expected, "{}\nof {:?}", text, candidate);
            prop_assert_eq!(whole.fired(i).count() == 1, expected == Some(true), "{} in a block", text);
            let tally = &seen[expected.map_or(2, usize::from)];
            tally.set(tally.get() + 1);
        }
        prop_assert_eq!(whole.counts().next().unwrap().errors, errors);
        Ok(())
    });
    agreed.unwrap_or_else(|disagreed| panic!("{disagreed}"));
    let seen = seen.map(|tally| tally.get());
    let all: usize = seen.iter().sum();
    assert!(
        seen.iter().all(|some| some * 10 > all),
        "false, true, error: {seen:?} of {all} asks about too little of one"
    );
}
