//! The rules of merging: the three laws, RFC 7396's own vectors, and Hiera's merge behaviours side by side.

use freshrank::campaign::edit::{Base, Edit, Entry, Leaf, ListEdit, MapEdit, Mark};
use freshrank::campaign::{Campaign, author};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

fn mark(layer: &str, line: u32) -> Mark {
    Mark { layer: layer.into(), line, column: 1 }
}

fn marks() -> impl Strategy<Value = Mark> {
    (prop_oneof!["global", "fi", "fi/helsinki"], 0..4_u32).prop_map(|(layer, line)| mark(&layer, line))
}

/// A list edit in its normal form: nothing is named twice.
fn list() -> impl Strategy<Value = ListEdit> {
    let base = prop_oneof![4 => Just(None), 1 => Just(Some(true)), 1 => Just(Some(false))];
    (base, vec(("[a-f]", 0..3_u8, marks()), 0..6), marks()).prop_map(|(base, named, mark)| {
        let mut seen = BTreeSet::new();
        let mut edit = ListEdit { base: Base::Below, remove: Default::default(), prepend: vec![], append: vec![] };
        for (text, way, mark) in named.into_iter().filter(|(text, ..)| seen.insert(text.clone())) {
            match way {
                0 => edit.prepend.push(Entry { text, mark }),
                1 => edit.append.push(Entry { text, mark }),
                _ => drop(edit.remove.insert(text, mark)),
            }
        }
        match base {
            None => edit,
            Some(true) => ListEdit::set(edit.append, mark),
            Some(false) => ListEdit { base: Base::Default, ..edit },
        }
    })
}

/// Any edit, of any form: layers that were written against different versions of the keys meet, too.
fn edit() -> impl Strategy<Value = Edit> {
    let leaf = prop_oneof![any::<bool>().prop_map(Leaf::Bool), (0..4_u8).prop_map(|n| Leaf::Number(f64::from(n)))];
    let set = (leaf, marks());
    let leaf = prop_oneof![
        3 => set.prop_map(|(leaf, mark)| Edit::Set { leaf, mark }),
        1 => marks().prop_map(Edit::Unset),
        3 => list().prop_map(Edit::List),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        (prop::bool::weighted(0.2), btree_map("[a-d]", inner, 0..4))
            .prop_map(|(cleared, children)| Edit::Map(MapEdit { cleared, children: children.into_iter().collect() }))
    })
}

fn layer() -> impl Strategy<Value = Edit> {
    btree_map("[a-d]", edit(), 0..4)
        .prop_map(|children| Edit::Map(MapEdit { cleared: false, children: children.into_iter().collect() }))
}

fn then(first: &Edit, second: &Edit) -> Edit {
    let mut both = first.clone();
    both.then(second);
    both
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn layers_compose_the_same_however_they_are_bracketed(a in edit(), b in edit(), c in edit()) {
        prop_assert_eq!(then(&then(&a, &b), &c), then(&a, &then(&b, &c)));
    }

    #[test]
    fn a_layer_that_says_nothing_changes_nothing(layer in layer()) {
        prop_assert_eq!(&then(&Edit::default(), &layer), &layer);
        prop_assert_eq!(&then(&layer, &Edit::default()), &layer);
    }

    #[test]
    fn a_layer_said_twice_is_said_once(a in edit()) {
        prop_assert_eq!(&then(&a, &a), &a);
    }

    #[test]
    fn a_composed_edit_does_to_a_list_what_its_parts_do_in_turn(a in list(), b in list(), below in vec("[a-h]", 0..6)) {
        let mut seen = BTreeSet::new();
        let below: Vec<String> = below.into_iter().filter(|text| seen.insert(text.clone())).collect();
        let texts = |list: Vec<(&str, Option<&Mark>)>| -> Vec<String> {
            list.into_iter().map(|(text, _)| text.to_string()).collect()
        };
        let Edit::List(both) = then(&Edit::List(a.clone()), &Edit::List(b.clone())) else { panic!("a list") };
        // To unset is to begin again with the default, which stands for whatever is below here.
        let first = texts(a.apply(&below));
        let second = if b.base == Base::Default { texts(b.apply(&below)) } else { texts(b.apply(&first)) };
        prop_assert_eq!(texts(both.apply(&below)), second);
    }
}

/// A document as the edit that makes it, where null is a value.
fn document(json: &Value) -> Edit {
    match json {
        Value::Object(map) => {
            let children = map.iter().map(|(key, value)| (key.clone(), document(value))).collect();
            Edit::Map(MapEdit { cleared: true, children })
        }
        value => Edit::Set { leaf: Leaf::Text(value.to_string()), mark: mark("", 0) },
    }
}

/// A merge patch, where null unsets.
fn patch(json: &Value) -> Edit {
    match json {
        Value::Null => Edit::Unset(mark("", 0)),
        Value::Object(map) => {
            let children = map.iter().map(|(key, value)| (key.clone(), patch(value))).collect();
            Edit::Map(MapEdit { cleared: false, children })
        }
        value => document(value),
    }
}

fn value(edit: &Edit) -> Option<Value> {
    match edit {
        Edit::Set { leaf: Leaf::Text(text), .. } => serde_json::from_str(text).ok(),
        Edit::Map(map) => {
            let members = map.children.iter().filter_map(|(key, edit)| Some((key.clone(), value(edit)?)));
            Some(Value::Object(members.collect()))
        }
        _ => None,
    }
}

/// Original, patch, result: RFC 7396, appendix A.
const RFC_7396: [(&str, &str, &str); 15] = [
    (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
    (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
    (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
    (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
    (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
    (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
    (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
    (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
    (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
    (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
    (r#"{"a":"foo"}"#, "null", "null"),
    (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
    (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
    (r#"[1,2]"#, r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
    (r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
];

#[test]
fn plain_set_and_unset_are_rfc_7396() {
    for (original, with, result) in RFC_7396 {
        let read = |text| serde_json::from_str::<Value>(text).unwrap();
        let merged = then(&document(&read(original)), &patch(&read(with)));
        assert_eq!(value(&merged).unwrap_or(Value::Null), read(result), "{original} with {with}");
    }
}

/// Hiera 5 looks a key up through its levels, the deepest (highest priority) first.
///
/// Written after Puppet 8's documentation of its merge behaviours, and after what they call: `lookup` of
/// `lib/puppet/pops/merge_strategy.rb` goes from the deepest level up, and `deep_merge!` of the gem deep_merge 1.2
/// (`lib/deep_merge/core.rb`) takes the deeper level as its source.
mod hiera {
    use serde_json::{Map, Value};

    pub fn first(levels: &[Value]) -> Value {
        levels.first().cloned().unwrap_or_default()
    }

    pub fn unique(levels: &[Value]) -> Value {
        let mut all: Vec<Value> = Vec::new();
        for entry in levels.iter().flat_map(|level| level.as_array().cloned().unwrap_or_default()) {
            if !all.contains(&entry) {
                all.push(entry);
            }
        }
        all.into()
    }

    pub fn hash(levels: &[Value]) -> Value {
        let mut all = Map::new();
        for (key, value) in levels.iter().rev().filter_map(Value::as_object).flatten() {
            all.insert(key.clone(), value.clone());
        }
        all.into()
    }

    /// With `knockout_prefix: "--"`.
    pub fn deep(levels: &[Value]) -> Value {
        levels.iter().cloned().reduce(|over, below| merge(&below, &over)).unwrap_or_default()
    }

    fn merge(below: &Value, over: &Value) -> Value {
        match (below, over) {
            (Value::Object(below), Value::Object(over)) => {
                let mut all = below.clone();
                for (key, value) in over {
                    let merged = all.get(key).map_or_else(|| value.clone(), |below| merge(below, value));
                    all.insert(key.clone(), merged);
                }
                all.into()
            }
            (Value::Array(below), Value::Array(over)) => {
                let gone =
                    |v: &Value| over.iter().any(|o| o.as_str() == v.as_str().map(|v| format!("--{v}")).as_deref());
                let mut all: Vec<Value> = below.iter().filter(|v| !gone(v)).cloned().collect();
                for value in over.iter().filter(|v| !v.as_str().is_some_and(|text| text.starts_with("--"))) {
                    if !all.contains(value) {
                        all.push(value.clone());
                    }
                }
                all.into()
            }
            _ => over.clone(),
        }
    }
}

/// What our layers, global first, make of a key.
fn ours(key: &str, layers: &[Value]) -> Value {
    let paths = ["global", "fi", "fi/helsinki"];
    let layers = paths.iter().zip(layers).map(|(path, said)| {
        let (layer, problems) = author::read(path, &author::Node::from_json(&json!({ key: said })));
        assert_eq!(problems, [], "{said}");
        layer
    });
    let policy = Campaign::new("hiera", layers).policy("fi/helsinki");
    match key {
        "exclude" => policy.exclude.into(),
        "fallback" => json!({ "text": policy.fallback.text, "url": policy.fallback.url }),
        "boosts" => {
            let boosts = policy.boosts.into_iter();
            let boosts = boosts.map(|(id, b)| (id, json!({ "factor": b.factor, "sponsored": b.sponsored })));
            boosts.collect::<Map<_, _>>().into()
        }
        other => panic!("{other}"),
    }
}

/// The same intent said to Hiera (the deepest first) and to us (global first), and whether the answer is the same.
#[test]
fn hieras_merge_behaviours_and_where_ours_differ() {
    let [a, b, ab] = [json!(["a"]), json!(["b"]), json!(["a", "b"])];

    // first: the deepest value whole. Ours says that it is meant, since a list that loses entries silently is the usual accident.
    assert_eq!(hiera::first(&[b.clone(), a.clone()]), b);
    assert_eq!(ours("exclude", &[a.clone(), json!({ "set": ["b"] })]), b);

    // unique: everybody's entries, the deepest first. Ours puts them where the layer asks: last is `append`, Hiera's order is `prepend`.
    assert_eq!(hiera::unique(&[b.clone(), a.clone()]), json!(["b", "a"]));
    assert_eq!(ours("exclude", &[a.clone(), json!({ "prepend": ["b"] })]), json!(["b", "a"]));
    assert_eq!(ours("exclude", &[a.clone(), json!({ "append": ["b"] })]), ab);

    // What both levels name stays where the deepest put it with Hiera, and moves to where it was asked for last with us.
    assert_eq!(hiera::unique(&[a.clone(), json!(["b", "a"])]), ab);
    assert_eq!(ours("exclude", &[ab.clone(), json!({ "append": ["a"] })]), json!(["b", "a"]));

    // hash: keys of all levels; the deepest value of a key whole. The same for our maps of plain values.
    let (global, city) = (json!({ "text": "See", "url": "https://example.invalid" }), json!({ "text": "Katso" }));
    let both = json!({ "text": "Katso", "url": "https://example.invalid" });
    assert_eq!(hiera::hash(&[city.clone(), global.clone()]), both);
    assert_eq!(ours("fallback", &[global, city]), both);

    // A hash of hashes loses the inner keys with `hash` and keeps them with `deep`; ours always merges a thing field by field.
    let (global, city) =
        (json!({ "anna": { "factor": 2.0, "sponsored": true } }), json!({ "anna": { "factor": 3.0 } }));
    let merged = json!({ "anna": { "factor": 3.0, "sponsored": true } });
    assert_eq!(hiera::hash(&[city.clone(), global.clone()]), city);
    assert_eq!(hiera::deep(&[city.clone(), global.clone()]), merged);
    assert_eq!(ours("boosts", &[global.clone(), city]), merged);

    // The knockout prefix: an entry `--a` takes a away, so that no entry may begin with it. Ours is a word beside the list.
    assert_eq!(hiera::deep(&[json!(["--a", "c"]), ab.clone()]), json!(["b", "c"]));
    assert_eq!(ours("exclude", &[ab.clone(), json!({ "remove": ["a"], "append": ["c"] })]), json!(["b", "c"]));
    assert_eq!(ours("exclude", &[json!(["--a"]), json!({ "append": ["a"] })]), json!(["--a", "a"]));

    // Hiera knocks out in the result of one merge; a deeper level brings the entry back by naming it. So does ours.
    assert_eq!(hiera::deep(&[a.clone(), json!(["--a"]), ab.clone()]), json!(["b", "a"]));
    assert_eq!(ours("exclude", &[ab, json!({ "remove": ["a"] }), json!({ "append": ["a"] })]), json!(["b", "a"]));

    // A knockout reaches one level: it is gone from the merged list before the next level is looked at. Ours reaches all below.
    let (gone, mid) = (json!(["--a"]), json!(["b"]));
    assert_eq!(hiera::deep(&[gone, mid.clone(), a.clone()]), json!(["a", "b"]));
    assert_eq!(ours("exclude", &[a.clone(), json!({ "append": mid }), json!({ "remove": ["a"] })]), json!(["b"]));

    // Hiera has no way to take a whole key of a hash away but to knock it out; ours is null, or `remove: true` in a list.
    assert_eq!(ours("boosts", &[global.clone(), json!({ "anna": null })]), json!({}));
    assert_eq!(ours("boosts", &[global, json!([{ "id": "anna", "remove": true }])]), json!({}));
}
