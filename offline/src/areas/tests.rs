use super::*;
use crate::cuisines::{FitOptions, fit};
use crate::tables::Status;
use freshrank::bundle::Opening;
use proptest::prelude::*;

/// Friday, 20 November 2026, 12:00 in Helsinki.
const NOW: Timestamp = 1_795_168_800;
const HELSINKI: (f64, f64) = (60.1699, 24.9384);

fn merchant(id: &str) -> Merchant {
    Merchant {
        merchant_id: id.into(),
        name: id.to_uppercase(),
        latitude: HELSINKI.0,
        longitude: HELSINKI.1,
        country: Some("FI".into()),
        cuisines: vec!["pizza".into()],
        opening_hours: Some("Mo-Su 10:00-22:00; 2026 Nov 21 off".into()),
        ..Merchant::default()
    }
}

fn order(merchant_id: &str, days_ago: f64, to: (f64, f64)) -> Order {
    Order {
        user_id: "u".into(),
        merchant_id: merchant_id.into(),
        ordered_at: NOW - (days_ago * DAY as f64) as i64,
        latitude: Some(to.0),
        longitude: Some(to.1),
        ..Order::default()
    }
}

fn home(tables: &Tables, options: &BuildOptions) -> (Bundle, BuildReport) {
    home_of(tables, options, Point::new(HELSINKI.0, HELSINKI.1).unwrap().cell())
}

fn home_of(tables: &Tables, options: &BuildOptions, cell: Cell) -> (Bundle, BuildReport) {
    let map = fit(&tables.merchants, &FitOptions::default()).unwrap();
    let built = build(tables, NOW, &map, options).unwrap();
    let area = built.areas.iter().find(|area| area.cell == cell).unwrap();
    (area.decode().unwrap(), built.report)
}

fn find(bundle: &Bundle, id: &str) -> Option<freshrank::bundle::Merchant> {
    (0..bundle.len()).map(|i| bundle.merchant(i)).find(|merchant| merchant.id == MerchantId::of(id))
}

#[test]
fn an_order_counts_half_after_thirty_days_and_in_its_own_cell_only() {
    let far = (HELSINKI.0 + 0.03, HELSINKI.1);
    let orders = vec![order("a", 30.0, HELSINKI), order("a", 60.0, far), order("a", -1.0, HELSINKI)];
    let tables = Tables { merchants: vec![merchant("a")], orders, ..Tables::default() };
    let (bundle, report) = home(&tables, &BuildOptions::default());
    let a = find(&bundle, "a").unwrap();
    assert!((a.log_popularity_cell - libm::log1pf(0.5)).abs() < 1e-3, "{}", a.log_popularity_cell);
    assert!((a.log_popularity_city - libm::log1pf(0.75)).abs() < 1e-3, "{}", a.log_popularity_city);
    assert_eq!((report.orders, report.unplaced_orders), (2, 0));
}

#[test]
fn a_share_is_shrunken_to_its_surroundings() {
    // Neighbouring middles are 2 km apart: the other cell is in the ring, and counts by its distance there.
    let home = Point::new(HELSINKI.0, HELSINKI.1).unwrap().cell();
    let middle = home.center().unwrap();
    let east = Point::new(middle.latitude(), middle.longitude() + 0.045).unwrap();
    assert!(
        east.cell() != home
            && h3o::CellIndex::try_from(home.0)
                .unwrap()
                .grid_disk::<Vec<_>>(1)
                .contains(&h3o::CellIndex::try_from(east.cell().0).unwrap())
    );
    let to = |point: Point| (point.latitude(), point.longitude());
    let orders = vec![order("a", 0.001, to(middle)), order("b", 0.001, to(east)), order("c", 0.001, to(east))];
    let tables = Tables { merchants: ["a", "b", "c", "d"].map(merchant).to_vec(), orders, ..Tables::default() };
    let shrinkage = Shrinkage { strength: [4.0, 3.0, 2.0, 1.0], half_distance_km: 1.0 };
    let options = BuildOptions { shrinkage, ..BuildOptions::default() };
    let (bundle, _) = home_of(&tables, &options, home);
    let share = |id: &str| find(&bundle, id).unwrap().share.unwrap();

    let city = |n: f64| (n + 4.0 * 0.25) / (3.0 + 4.0);
    let wide_too = h3o::CellIndex::try_from(home.0).unwrap().parent(h3o::Resolution::Six)
        == h3o::CellIndex::try_from(east.cell().0).unwrap().parent(h3o::Resolution::Six);
    let in_wide = |n: f64| if wide_too { n } else { 0.0 };
    let wide = |a: f64, n: f64| (a + in_wide(n) + 3.0 * city(a + n)) / (1.0 + in_wide(2.0) + 3.0);
    let near = libm::exp2(-east.distance_km(middle));
    let ring = |a: f64, n: f64| (a + n * near + 2.0 * wide(a, n)) / (1.0 + 2.0 * near + 2.0);
    let cell = |a: f64, n: f64| (a + ring(a, n)) / (1.0 + 1.0);
    for (id, a, n) in [("a", 1.0, 0.0), ("b", 0.0, 1.0), ("c", 0.0, 1.0), ("d", 0.0, 0.0)] {
        assert!((f64::from(share(id).log_cell) - cell(a, n).ln()).abs() < 2e-4, "{id}: {:?}", share(id));
        assert!((f64::from(share(id).log_city) - city(a + n).ln()).abs() < 2e-4, "{id}: {:?}", share(id));
    }
    assert!((share("a").evidence - 2.0).abs() < 1e-3);
}

#[test]
fn cancelled_orders_are_no_popularity_but_reliability() {
    let cancelled = Order { status: Status::Cancelled, ..order("a", 1.0, HELSINKI) };
    let orders = vec![cancelled, order("a", 2.0, HELSINKI), order("b", 2.0, HELSINKI), order("b", 3.0, HELSINKI)];
    let tables = Tables { merchants: vec![merchant("a"), merchant("b"), merchant("c")], orders, ..Tables::default() };
    let (bundle, _) = home(&tables, &BuildOptions::default());
    // 3 of 4 are completed; 20 such orders stand before a merchant's own.
    let reliability = |id: &str| find(&bundle, id).unwrap().reliability;
    assert!((reliability("a").unwrap() - 16.0 / 22.0).abs() < 0.01);
    assert!((reliability("b").unwrap() - 17.0 / 22.0).abs() < 0.01);
    assert_eq!(reliability("c"), None, "nobody ordered there");
}

#[test]
fn a_rating_needs_a_date_before_the_build() {
    let rated = |id: &str, observed_at| Merchant { rating: Some(4.0), observed_at, ..merchant(id) };
    let merchants = vec![rated("known", Some(NOW - 1)), rated("later", Some(NOW)), rated("undated", None)];
    let tables = Tables { merchants, ..Tables::default() };
    let (bundle, report) = home(&tables, &BuildOptions::default());
    let rating = |bundle: &Bundle, id: &str| find(bundle, id).unwrap().rating;
    assert_eq!(["known", "later", "undated"].map(|id| rating(&bundle, id)), [Some(4.0), None, None]);
    assert_eq!((report.later_ratings, report.undated_ratings), (1, 1));
    let (bundle, report) = home(&tables, &BuildOptions { allow_snapshot: true, ..BuildOptions::default() });
    assert_eq!(["known", "later", "undated"].map(|id| rating(&bundle, id)), [Some(4.0), None, Some(4.0)]);
    assert_eq!((report.later_ratings, report.undated_ratings), (1, 0));
}

#[test]
fn hours_are_shared_dated_and_honest_about_what_is_not_known() {
    let silent = Merchant { opening_hours: None, ..merchant("silent") };
    let garbled = Merchant { opening_hours: Some("whenever".into()), ..merchant("garbled") };
    let tables = Tables { merchants: vec![merchant("a"), merchant("b"), silent.clone(), garbled], ..Tables::default() };
    let (bundle, report) = home(&tables, &BuildOptions::default());
    let schedule = |id: &str| find(&bundle, id).unwrap().schedule;
    assert_eq!((schedule("a"), schedule("b")), (Schedule::Known(0), Schedule::Known(0)));
    assert_eq!((schedule("silent"), schedule("garbled")), (Schedule::Unknown, Schedule::Unknown));
    assert_eq!(report.unreadable_hours.keys().collect::<Vec<_>>(), ["garbled"]);
    let at = |seconds: i64| bundle.hours(0).at(bundle.local(seconds));
    assert!(matches!(at(NOW), Opening::Open { .. }));
    assert!(matches!(at(NOW + DAY), Opening::Closed { .. }), "the Saturday that is off");

    let tables = Tables { merchants: vec![silent], ..Tables::default() };
    let (bundle, _) = home(&tables, &BuildOptions::default());
    assert_eq!(find(&bundle, "silent").unwrap().schedule, Schedule::Untracked, "nobody tells hours here");
}

#[test]
fn who_is_not_listed_in_the_bundles_life_is_not_there() {
    let listed = |id: &str, from: Option<i64>, until: Option<i64>| Merchant {
        listed_from: from.map(|days| NOW + days * DAY),
        listed_until: until.map(|days| NOW + days * DAY),
        ..merchant(id)
    };
    let merchants = vec![
        listed("always", None, None),
        listed("soon", Some(3), None),
        listed("next month", Some(30), None),
        listed("gone", None, Some(0)),
        listed("going", None, Some(1)),
    ];
    let tables = Tables { merchants, ..Tables::default() };
    let (bundle, report) = home(&tables, &BuildOptions::default());
    let there = |id: &str| find(&bundle, id).is_some();
    assert_eq!(["always", "soon", "next month", "gone", "going"].map(there), [true, true, false, false, true]);
    assert_eq!(report.listed, 3);
}

#[test]
fn an_offer_never_holds_longer_than_promised() {
    let offer = Offer {
        offer_id: "o".into(),
        merchant_id: "a".into(),
        kind: "amount".into(),
        value: 4.5,
        starts_at: NOW - 59,
        ends_at: NOW + 119,
        audience: None,
        terms: None,
    };
    let draft = draft_offer(&offer);
    assert_eq!((draft.value, draft.audience, draft.kind), (450, Audience::All, OfferKind::Amount));
    let minute = (NOW / 60) as u32;
    assert_eq!((draft.starts_minute, draft.ends_minute), (minute, minute + 1));
    let unheard_of = Offer { audience: Some("left-handed".into()), ..offer };
    assert_eq!(draft_offer(&unheard_of).audience, Audience::Unknown);
}

#[test]
fn across_the_border_is_another_layer_and_told_of_each_merchant() {
    // Copenhagen and Malmö are 28 km apart; the bridge's merchants here deliver over it.
    let wide = |id: &str, latitude, longitude, country: &str| Merchant {
        latitude,
        longitude,
        country: Some(country.into()),
        delivery_radius_km: Some(25.0),
        ..merchant(id)
    };
    let merchants = vec![wide("dk", 55.6761, 12.5683, "DK"), wide("se", 55.6050, 13.0038, "SE")];
    let map = fit(&merchants, &FitOptions::default()).unwrap();
    let options = BuildOptions { market: Some("dk/copenhagen".into()), ..BuildOptions::default() };
    let tables = Tables { merchants, ..Tables::default() };
    let built = build(&tables, NOW, &map, &options).unwrap();
    let at = |latitude, longitude| {
        let cell = Point::new(latitude, longitude).unwrap().cell();
        built.areas.iter().find(|area| area.cell == cell).unwrap().decode().unwrap()
    };
    let (amager, malmo) = (at(55.63, 12.65), at(55.6050, 12.98));
    assert_eq!((amager.layer(), malmo.layer()), ("dk/copenhagen", "se"));
    assert!(!find(&amager, "dk").unwrap().across_border);
    assert!(find(&amager, "se").unwrap().across_border);
    assert!(!find(&malmo, "se").unwrap().across_border);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn shares_add_up_at_every_level_and_what_one_order_adds_can_be_taken_out(
        placed in proptest::collection::vec((0_usize..4, -0.06_f64..0.06, -0.12_f64..0.12, 0.0_f64..90.0), 1..30),
    ) {
        let names = ["a", "b", "c", "d"];
        let mut orders: Vec<Order> = placed
            .iter()
            .map(|(m, north, east, days)| order(names[*m], *days, (HELSINKI.0 + north, HELSINKI.1 + east)))
            .collect();
        orders.sort_by_key(|order| order.ordered_at);
        let tables = Tables { merchants: names.map(merchant).to_vec(), orders, ..Tables::default() };
        let map = fit(&tables.merchants, &FitOptions::default()).unwrap();
        let options = BuildOptions::default();
        let catalog = Catalog::new(&tables, &map, &options);
        let mut popularity = Popularity::new(&options);
        tables.orders.iter().for_each(|order| popularity.record(order, &catalog));
        let cell = Point::new(HELSINKI.0, HELSINKI.1).unwrap().cell();
        let shares = popularity.shares(cell, &[0, 1, 2, 3], NOW);
        for of in &shares.by_level {
            prop_assert!((of.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            prop_assert!(of.iter().all(|share| *share > 0.0));
        }
        let counts = popularity.counts(cell, &[0, 1, 2, 3], NOW);
        let weights: Vec<_> = tables
            .orders
            .iter()
            .map(|order| popularity.weight(cell, catalog.destination(order).unwrap(), order.ordered_at, NOW))
            .collect();
        for level in Level::ALL.map(|level| level as usize) {
            let counted: f64 = counts.by_level[level].iter().sum();
            let added: f64 = weights.iter().map(|weight| weight[level]).sum();
            prop_assert!((counted - added).abs() < 1e-9, "level {level}: {counted} counted, {added} added");
        }
    }

    #[test]
    fn every_point_within_the_radius_lies_in_a_delivered_cell(
        latitude in -65.0_f64..70.0,
        longitude in -179.0_f64..179.0,
        radius_km in 0.0_f64..12.0,
        part in 0.0_f64..1.0,
        angle in 0.0_f64..std::f64::consts::TAU,
    ) {
        let from = Point::new(latitude, longitude).unwrap();
        let cells = delivered(from, radius_km);
        let north = part * radius_km * libm::cos(angle) / 111.2;
        let east = part * radius_km * libm::sin(angle) / (111.2 * libm::cos(latitude.to_radians()));
        let to = Point::new(latitude + north, longitude + east).unwrap();
        prop_assume!(from.distance_km(to) <= radius_km);
        prop_assert!(cells.contains(&to.cell()), "{} cells, {} km", cells.len(), from.distance_km(to));
    }
}
