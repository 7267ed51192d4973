//! What an explanation says is true: shares against every order in which they could have come, and ways into a message by going them.

#[path = "support/holds.rs"]
mod holds;
mod support;

use freshrank::bundle::{AreaDraft, Bundle, Kind, MerchantDraft, Schedule, ScheduleDraft};
use freshrank::campaign::{Campaign, Policy, author};
use freshrank::context::{Context, Fix, Grade};
use freshrank::decision::{Asked, reader};
use freshrank::explain::why::{Change, Why, why};
use freshrank::explain::{Explainer, NOT_EXPLAINED, Node, REFERENCE, reasons, shapley};
use freshrank::feature::{FEATURES, Group, N_FEATURES, Rows};
use freshrank::geo::Point;
use freshrank::request::Question;
use freshrank::score::dense::Dense;
use freshrank::score::{ModelError, NoModel, fixed, score};
use freshrank::{Areas, ChainId, Decision, Hash, MerchantId, Profile, Scorer, decide, rerank};
use holds::holds;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use support::Library;

const CENTRE: (f64, f64) = (60.1699, 24.9384);
/// A Friday, 12:00 in Helsinki.
const NOON: i64 = 1_795_168_800;

fn library() -> Library {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut library = Library::default();
    for (prefix, dir) in [("", dir.clone()), ("fixtures/", dir.join("fixtures"))] {
        for path in fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()) {
            if path.extension().is_some_and(|extension| extension == "toml") {
                let name = path.file_stem().unwrap().to_str().unwrap();
                library.0.insert(format!("{prefix}{name}"), fs::read_to_string(&path).unwrap());
            }
        }
    }
    library
}

fn shipped() -> Dense {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ltr.plan");
    Dense::load(&fs::read(&path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The shares by their definition: what each adds to those before it, in every order, times g!.
fn by_orders(values: &[i32]) -> Vec<i64> {
    fn walk(values: &[i32], set: usize, added: &mut Vec<(usize, i64)>, shares: &mut [i64]) {
        if added.len() == shares.len() {
            added.iter().for_each(|(i, more)| shares[*i] += more);
        }
        for i in (0..shares.len()).filter(|i| set >> i & 1 == 0) {
            let with = set | 1 << i;
            added.push((i, i64::from(values[with]) - i64::from(values[set])));
            walk(values, with, added, shares);
            added.pop();
        }
    }
    let mut shares = vec![0; values.len().ilog2() as usize];
    walk(values, 0, &mut Vec::new(), &mut shares);
    shares
}

/// A game of up to 6 players, with values as far out as scores can be.
fn game() -> impl Strategy<Value = Vec<i32>> {
    (0..=6_u32).prop_flat_map(|g| vec(prop_oneof![-9..9_i32, i32::MIN / 2..=i32::MAX / 2], 1 << g))
}

#[test]
fn shares_are_those_over_every_order() {
    holds(256, game(), |values| {
        let (shares, orders) = (shapley::shares(&values), by_orders(&values));
        prop_assert_eq!(&shares, &orders);
        let whole = shapley::factorial(shares.len() as u32);
        let all = i64::from(values[values.len() - 1]) - i64::from(values[0]);
        prop_assert_eq!(shares.iter().sum::<i64>(), whole * all, "they add up");
        for (share, rounded) in shares.iter().zip(shapley::rounded(&values)) {
            prop_assert!((share - whole * i64::from(rounded)).abs() * 2 <= whole, "rounded to the nearest");
        }
        Ok(())
    });
}

#[test]
fn shares_are_linear_and_symmetric_and_nothing_for_nothing() {
    let games = (1..=5_u32).prop_flat_map(|g| (vec(-9999..9999_i32, 1 << g), vec(-9999..9999_i32, 1 << g), 0..g, 0..g));
    holds(256, games, |(a, b, i, j)| {
        let (in_a, in_b) = (shapley::shares(&a), shapley::shares(&b));
        let mixed: Vec<i32> = a.iter().zip(&b).map(|(a, b)| 3 * a - 2 * b).collect();
        let expected: Vec<i64> = in_a.iter().zip(&in_b).map(|(a, b)| 3 * a - 2 * b).collect();
        prop_assert_eq!(shapley::shares(&mixed), expected, "linear");

        let (i, j) = (i as usize, j as usize);
        let swapped = |set: usize| set & !(1 << i) & !(1 << j) | (set >> i & 1) << j | (set >> j & 1) << i;
        let alike: Vec<i32> = (0..a.len()).map(|set| a[set] + a[swapped(set)]).collect();
        let shares = shapley::shares(&alike);
        prop_assert_eq!(shares[i], shares[j], "symmetric");

        let idle: Vec<i32> = (0..a.len()).map(|set| a[set & !(1 << i)]).collect();
        prop_assert_eq!(shapley::shares(&idle)[i], 0, "who adds nothing gets nothing");
        Ok(())
    });
}

/// A lunch hour somewhere in Helsinki.
#[derive(Debug, Clone)]
struct City {
    area: AreaDraft,
    layer: Value,
}

fn merchant() -> impl Strategy<Value = MerchantDraft> {
    let place = (-0.03..0.03_f64, -0.06..0.06_f64, proptest::option::of(0.5..6.0_f32), 0..20_u8);
    let facts = (0.0..6.0_f32, proptest::option::of(1..=4_u8), proptest::option::of(2.0..5.0_f32));
    let kind = prop_oneof![9 => Just(Kind::Restaurant), 1 => Just(Kind::Grocery)];
    let rest = (0..8_u32, 0..3_u8, 0..12_u16, kind, proptest::option::of(20_700..20_790_u16));
    (place, facts, rest).prop_map(|(place, facts, (chain, cluster, schedule, kind, listed_day))| MerchantDraft {
        chain: if chain < 2 { ChainId::of(&chain.to_string()) } else { ChainId::NONE },
        clusters: vec![(cluster, 255)],
        log_popularity_cell: facts.0,
        price_band: facts.1,
        rating: facts.2,
        radius_km: place.2,
        across_border: place.3 == 0,
        kind,
        schedule: if schedule == 0 { Schedule::Unknown } else { Schedule::Known(schedule % 4) },
        listed_day,
        ..MerchantDraft::new(MerchantId(0), Point::new(CENTRE.0 + place.0, CENTRE.1 + place.1).unwrap())
    })
}

/// Around the clock, evenings, a lunch hour that is nearly over, weekends.
fn schedules() -> Vec<ScheduleDraft> {
    let daily = |opens: u16, closes: u16| (0..7).map(|day| (day * 1440 + opens, day * 1440 + closes)).collect();
    let weekends = [5, 6].map(|day| (day * 1440 + 600, day * 1440 + 1200));
    let weekly = [daily(0, 1440), daily(1080, 1320), daily(660, 735), Vec::from(weekends)];
    weekly.map(|weekly| ScheduleDraft { weekly, ..ScheduleDraft::default() }).into()
}

fn city() -> impl Strategy<Value = City> {
    let caps = (1..6_u8, 2..25_u16, 0..3_u8, 0..3_u8, 1.0..4.0_f64);
    let lists = (vec(0..30_u8, 0..4), vec((0..30_u8, 0.1..9.0_f64), 0..4), vec((0..4_u8, 0..30_u8), 0..3));
    (vec(merchant(), 1..30), caps, lists).prop_map(|(mut merchants, caps, (exclude, boosts, pins))| {
        merchants.iter_mut().enumerate().for_each(|(i, merchant)| merchant.id = MerchantId::of(&name(i as u8)));
        let chain_or_merchant = |i: u8| if i < 2 { format!("chain:{i}") } else { name(i) };
        let boosts: Map<String, Value> =
            boosts.into_iter().map(|(i, factor)| (name(i), json!({ "factor": factor }))).collect();
        let pins: Map<String, Value> = pins.into_iter().map(|(slot, i)| (name(i), json!({ "slot": slot }))).collect();
        // A list names nobody twice.
        let exclude: BTreeSet<String> = exclude.into_iter().map(chain_or_merchant).collect();
        let layer = json!({
            "slots": caps.0,
            "first_pass": caps.1,
            "chain_cap": caps.2,
            "cuisine_cap": caps.3,
            "radius_km": caps.4,
            "exclude": exclude,
            "boosts": boosts,
            "pins": pins,
        });
        City { area: area(merchants), layer }
    })
}

fn area(merchants: Vec<MerchantDraft>) -> AreaDraft {
    AreaDraft {
        cell: Point::new(CENTRE.0, CENTRE.1).unwrap().cell(),
        as_of: NOON - 86_400,
        country: *b"FI",
        layer: "fi/helsinki".into(),
        cuisine_map: 7,
        offset_minutes: 120,
        transitions: Vec::new(),
        offers: Vec::new(),
        merchants,
        schedules: schedules(),
    }
}

fn name(i: u8) -> String {
    format!("m{i}")
}

/// A question and all it is asked of.
struct Open {
    bundle: Bundle,
    profile: Profile,
    context: Context,
    campaign: Campaign,
}

fn campaign(layer: &Value) -> Campaign {
    let (layer, problems) = author::read("global", &author::Node::from_json(layer));
    assert_eq!(problems, []);
    Campaign::new("city", [layer])
}

impl City {
    fn open(&self) -> Open {
        let centre = Point::new(CENTRE.0, CENTRE.1).unwrap();
        Open {
            bundle: Bundle::decode(self.area.encode().unwrap()).unwrap(),
            profile: Profile::default(),
            context: Context {
                at: NOON,
                request: Some(Fix { point: centre, grade: Grade::Exact }),
                ..Context::default()
            },
            campaign: campaign(&self.layer),
        }
    }
}

impl Open {
    fn decide(&self, scorer: &dyn Scorer) -> Decision {
        let areas = Areas::new([&self.bundle], Vec::new());
        rerank(&areas, &self.profile, &self.context, &self.campaign, scorer)
    }

    fn check(&self, scorer: &dyn Scorer) {
        let areas = Areas::new([&self.bundle], Vec::new());
        let decision = self.decide(scorer);
        for i in 0..30 {
            let asked = asked(&areas, &decision, &self.profile, &self.context, &self.campaign, scorer);
            check_why(&name(i), &decision, asked);
        }
    }
}

fn asked<'a>(
    areas: &'a Areas<'a>,
    decision: &Decision,
    profile: &'a Profile,
    context: &'a Context,
    campaign: &Campaign,
    scorer: &'a dyn Scorer,
) -> Asked<'a> {
    let area = decision.place.cell().and_then(|cell| areas.get(cell));
    let (tailored, campaign) = (decision.tailored, campaign.hash);
    Asked { area, profile, tailored, context, campaign, arm: None, holdout: false, scorer }
}

/// Goes every way that is told, and a little less far where less is said not to be enough.
fn check_why(merchant: &str, decision: &Decision, asked: Asked<'_>) -> Why {
    let told = why(merchant, decision, asked);
    let id = MerchantId::of(merchant);
    let go = |changes: &[Change]| {
        let (mut policy, mut context) = (Policy::clone(&decision.policy), asked.context.clone());
        changes.iter().for_each(|change| change.apply(merchant, &mut policy, &mut context));
        decide(Asked { context: &context, ..asked }, decision.place.clone(), policy)
    };
    assert_eq!(told.shown_in, slot(decision, id), "{merchant}: {told:?}");
    assert_eq!(told.shown_in.is_some(), told.steps.is_empty(), "{merchant}: {told:?}");
    let first: Vec<Change> = told.steps.iter().filter_map(|step| step.any_of.first().cloned()).collect();
    assert_eq!(told.then, slot(&go(&first), id), "{merchant}: {told:?}");
    for n in 0..first.len() {
        assert_eq!(slot(&go(&first[..n]), id), None, "{merchant}: no step too many, {told:?}");
    }
    for (n, step) in told.steps.iter().enumerate().filter(|(_, step)| !step.any_of.is_empty()) {
        for short in &step.any_of[1..] {
            let way = [&first[..n], std::slice::from_ref(short)].concat();
            assert!(slot(&go(&way), id).is_some(), "{merchant}: {short:?} is enough, {told:?}");
        }
    }
    assert_eq!(told.on_top.is_some(), told.then.is_some_and(|slot| slot > 0), "{merchant}: {told:?}");
    for change in told.on_top.iter().flat_map(|step| &step.any_of) {
        let way = |change: &Change| slot(&go(&[&first[..], std::slice::from_ref(change)].concat()), id);
        assert_eq!(way(change), Some(0), "{merchant}: {change:?} puts it first, {told:?}");
        if let Change::Boost(factor) = change
            && *factor > 1.015
        {
            assert_ne!(way(&Change::Boost(factor - 0.01)), Some(0), "{merchant}: a smaller boost will do, {told:?}");
        }
    }
    if let Some((last, before)) = told.steps.last().zip(first.len().checked_sub(1)) {
        for change in &last.any_of {
            let way = |change: Change| go(&[&first[..before], &[change]].concat());
            assert_eq!(
                slot(&way(change.clone()), id).is_some(),
                told.then.is_some(),
                "{merchant}: {change:?} {told:?}"
            );
            let less = match change {
                Change::Boost(factor) => Some(Change::Boost(factor - 0.01)).filter(|_| *factor > 1.015),
                Change::Slots(n) => Some(Change::Slots(n - 1)),
                Change::CuisineCap(n) => Some(Change::CuisineCap(n - 1)),
                Change::Radius(km) => Some(Change::Radius(km - 0.1)),
                _ => None,
            };
            if let Some(less) = less {
                assert_eq!(slot(&way(less), id), None, "{merchant}: less than {change:?} will do, {told:?}");
            }
        }
    }
    told
}

fn slot(decision: &Decision, id: MerchantId) -> Option<usize> {
    let shown = |i: usize| decision.kept[i].merchant.id == id;
    decision.placements.iter().position(|placement| placement.candidate.is_some_and(shown))
}

/// What kind of way it was.
fn ways(told: &Why) -> impl Iterator<Item = String> + '_ {
    let changes = told.steps.iter().flat_map(|step| &step.any_of);
    changes.map(|change| format!("{change:?}").split(['(', ' ']).next().unwrap_or_default().to_string())
}

#[test]
fn the_way_into_the_message_leads_there() {
    let plan = shipped();
    holds(96, city(), |city| {
        city.open().check(&NoModel);
        Ok(())
    });
    holds(16, city(), |city| {
        city.open().check(&plan);
        Ok(())
    });
}

#[test]
fn every_merchant_of_every_case_has_a_true_way() {
    let library = library();
    let mut seen = BTreeSet::new();
    for name in library.cases() {
        let case = library.case(name);
        let asked_of = case.ask();
        let question = Question::parse(asked_of.request.as_bytes(), 0).unwrap();
        let campaign = Campaign::parse(asked_of.campaign.as_bytes()).unwrap();
        let areas = Areas::new(&question.areas, question.overlay.clone());
        let scorer = case.scorer();
        let decision = rerank(&areas, &question.profile, &question.context, &campaign, &*scorer);
        for merchant in asked_of.merchants().chain(["nobody"]) {
            let profile = &*reader(&question.profile, &campaign.policy(&question.profile.market));
            let asked = asked(&areas, &decision, profile, &question.context, &campaign, &*scorer);
            let told = check_why(merchant, &decision, asked);
            seen.extend(ways(&told));
            assert!(!told.verdict.is_empty());
        }
    }
    let all = ["AcrossBorder", "Boost", "ChainCap", "CuisineCap", "FirstPass", "Kind", "Radius", "Slots", "Time"];
    let missing: Vec<_> =
        all.into_iter().chain(["Unexclude", "UnknownHours"]).filter(|way| !seen.contains(*way)).collect();
    assert!(missing.is_empty(), "no case has a way by {missing:?}");
}

#[test]
fn a_name_that_is_no_name_is_refused() {
    let ask = |n: usize| {
        let request = format!(r#"{{"context": {{}}, "why": "{}"}}"#, "m".repeat(n));
        Question::parse(request.as_bytes(), 0).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(ask(256), Ok(()));
    assert_eq!(ask(257), Err("request why: found 257 bytes, expected a merchant_id of at most 256".into()));
}

fn leaves(node: &Node) -> Vec<(&str, i32)> {
    if node.parts.is_empty() { vec![(&node.name, node.value)] } else { node.parts.iter().flat_map(leaves).collect() }
}

fn leaf(node: &Node, name: &str) -> i32 {
    leaves(node).iter().find(|(leaf, _)| *leaf == name).map_or(0, |(_, value)| *value)
}

/// The lower median of a column.
fn usual(decision: &Decision, column: usize) -> f32 {
    let mut values: Vec<f32> = decision.rows.iter().map(|row| row[column]).collect();
    values.sort_by(f32::total_cmp);
    values[(values.len() - 1) / 2]
}

/// Worked out anew as the middle of a message that shows all there is to nobody, asked for in the middle of the area.
#[test]
fn the_reference_is_the_middle_of_the_area_whoever_reads() {
    let seen = Cell::new(0);
    holds(48, city(), |mut city| {
        let own = city.open();
        let decision = own.decide(&NoModel);
        let areas = Areas::new([&own.bundle], Vec::new());
        let area = areas.get(own.bundle.cell);
        let told = |profile: &Profile, decision: &Decision| {
            let areas = Areas::new([&own.bundle], Vec::new());
            let reader = rerank(&areas, profile, &own.context, &own.campaign, &NoModel);
            prop_assert_eq!(reader.kept.len(), decision.kept.len());
            let reference = Explainer::new(&reader, area.as_ref(), &own.context, &NoModel).reference();
            Ok(reference)
        };
        let regular = Profile { n_orders: 9, basket_band: Some(1.0), click_rate: Some(0.5), ..Profile::default() };
        let nobody = told(&Profile::default(), &decision)?;
        prop_assert_eq!(&nobody, &told(&regular, &decision)?);
        if nobody.is_none() {
            return Ok(());
        }

        for merchant in &mut city.area.merchants {
            (merchant.radius_km, merchant.chain) = (None, ChainId::NONE);
        }
        city.layer = json!({
            "radius_km": 100, "kinds": { "set": ["restaurant", "grocery", "retail"] }, "unknown_hours": "keep",
            "across_border": true, "first_pass": 60_000,
        });
        let mut all = city.open();
        all.context.request = Some(Fix { point: all.bundle.cell.center().unwrap(), grade: Grade::Exact });
        let decision = all.decide(&NoModel);
        let areas = Areas::new([&all.bundle], Vec::new());
        let area = areas.get(all.bundle.cell);
        let Some(reference) = Explainer::new(&decision, area.as_ref(), &all.context, &NoModel).reference() else {
            return Ok(());
        };
        for (column, feature) in FEATURES.iter().enumerate() {
            // Nobody doubts that the middle is there.
            if !["place_certainty", "near_when_certain"].contains(&feature.name) {
                prop_assert_eq!(reference.row[column], usual(&decision, column), "{}", feature.name);
            }
        }
        let n = decision.kept.len();
        let s = if n == 1 { "" } else { "s" };
        let about = format!("middle of the area's {n} open merchant{s}, to a reader of whom nothing is known");
        prop_assert_eq!(&reference.about, &about);
        seen.set(seen.get() + 1);
        Ok(())
    });
    assert!(seen.get() > 24, "{} areas had an open door", seen.get());
}

#[test]
fn the_real_model_is_divided_as_over_every_order() {
    let plan = shipped();
    holds(24, city(), |city| {
        let open = city.open();
        let decision = open.decide(&plan);
        let areas = Areas::new([&open.bundle], Vec::new());
        let explainer = Explainer::new(&decision, areas.get(open.bundle.cell).as_ref(), &open.context, &plan);
        let Some(reference) = explainer.reference() else { return Ok(()) };
        for (i, row) in decision.rows.iter().enumerate().take(3) {
            // Every set of the eight groups, none left out.
            let sets = 0..1_usize << Group::ALL.len();
            let values = sets.flat_map(|set| {
                let reference = &reference.row;
                (0..N_FEATURES).map(move |column| {
                    let group = Group::ALL.iter().position(|group| *group == FEATURES[column].group).unwrap();
                    if set >> group & 1 == 1 { row[column] } else { reference[column] }
                })
            });
            let values = score(&plan, &Rows { values: values.collect() }).unwrap();
            let orders = by_orders(&values);
            let tree = explainer.explain(i);
            prop_assert!(tree.adds_up());
            prop_assert_eq!(leaf(&tree, NOT_EXPLAINED), 0);
            for (group, share) in Group::ALL.iter().zip(orders) {
                let found = 40_320 * i64::from(leaf(&tree, group.name()));
                prop_assert!((found - share).abs() * 2 <= 40_320, "{} {found} {share}", group.name());
            }
            let base = reference.base;
            prop_assert_eq!(base, values[0]);
            prop_assert!((leaf(&tree, REFERENCE) - base).abs() <= 4, "only rounding goes to the reference");
            let speaking = reasons(&tree);
            prop_assert!(speaking.iter().all(|(name, value)| *value > 0 && *name != REFERENCE));
        }
        Ok(())
    });
}

#[test]
fn the_prior_is_divided_into_weights_times_columns() {
    holds(64, city(), |city| {
        let open = city.open();
        let decision = open.decide(&NoModel);
        let areas = Areas::new([&open.bundle], Vec::new());
        let explainer = Explainer::new(&decision, areas.get(open.bundle.cell).as_ref(), &open.context, &NoModel);
        let Some(reference) = explainer.reference() else { return Ok(()) };
        for (i, row) in decision.rows.iter().enumerate() {
            let tree = explainer.explain(i);
            for group in Group::ALL {
                let own = FEATURES.iter().enumerate().filter(|(_, feature)| feature.group == group);
                let expected: f64 = own
                    .map(|(column, feature)| {
                        f64::from(feature.prior) * (f64::from(row[column]) - f64::from(reference.row[column]))
                    })
                    .sum();
                let found = f64::from(leaf(&tree, group.name())) / 65_536.0;
                prop_assert!((found - expected).abs() < 1e-4, "{} {found} {expected}", group.name());
            }
        }
        Ok(())
    });
}

/// Judges a row by how many stand beside it.
struct Crowd;

impl Scorer for Crowd {
    fn name(&self) -> &'static str {
        "crowd"
    }

    fn model(&self) -> Hash {
        Hash::of(b"crowd")
    }

    fn score(&self, rows: &Rows) -> Result<Vec<f32>, ModelError> {
        Ok((0..rows.len()).map(|i| rows.len() as f32 + i as f32).collect())
    }
}

#[test]
fn what_cannot_be_divided_is_said_to_be_left() {
    holds(32, city(), |city| {
        let open = city.open();
        let decision = open.decide(&Crowd);
        let areas = Areas::new([&open.bundle], Vec::new());
        let explainer = Explainer::new(&decision, areas.get(open.bundle.cell).as_ref(), &open.context, &Crowd);
        for i in 0..decision.kept.len() {
            let tree = explainer.explain(i);
            prop_assert!(tree.adds_up());
            prop_assert_eq!(tree.value, decision.scores[i].total());
            prop_assert!(leaf(&tree, NOT_EXPLAINED) != 0 || leaf(&tree, REFERENCE) != 0);
        }
        Ok(())
    });
}

#[test]
fn a_boost_is_a_leaf_with_its_layer() {
    let of = |i: u8| MerchantDraft {
        schedule: Schedule::Untracked,
        ..MerchantDraft::new(MerchantId::of(&name(i)), Point::new(CENTRE.0, CENTRE.1).unwrap())
    };
    let layer = json!({ "boosts": [
        { "id": "lunch", "merchant": "m0", "factor": 2.0 },
        { "id": "again", "merchant": "m0", "factor": 1.5 },
        { "id": "other", "merchant": "m1", "factor": 3.0 },
    ] });
    let city = City { area: area(vec![of(0), of(1)]), layer };
    let open = city.open();
    let decision = open.decide(&NoModel);
    let i = decision.kept.iter().position(|kept| kept.merchant.id == MerchantId::of("m0")).unwrap();
    let areas = Areas::new([&open.bundle], Vec::new());
    let area = areas.get(open.bundle.cell);
    let tree = Explainer::new(&decision, area.as_ref(), &open.context, &NoModel).explain(i);
    let ln = |factor: f64| fixed(libm::log(factor) as f32);
    let campaign = tree.parts.iter().find(|part| part.name == "campaign boost").unwrap();
    let parts: Vec<_> = campaign.parts.iter().map(|part| (part.name.as_str(), part.value)).collect();
    let expected = [("boost again, odds x 1.5 (global)", ln(1.5)), ("boost lunch, odds x 2 (global)", ln(2.0))];
    assert_eq!(parts, expected);
}
