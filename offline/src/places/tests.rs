use super::study::{last_place, most_frequent};
use super::*;
use crate::tables::Status;
use freshrank::geo::Point;
use proptest::prelude::*;

/// Friday, 20 November 2026, 12:00 in Helsinki.
const NOW: Timestamp = 1_795_168_800;
const HOME: (f64, f64) = (60.1699, 24.9384);
const WORK: (f64, f64) = (60.2055, 24.6559);

fn helsinki() -> TimeZone {
    TimeZone::get("Europe/Helsinki").unwrap()
}

/// An order so many days ago at that local hour.
fn order(to: (f64, f64), days_ago: i64, hour: i64) -> Order {
    Order {
        user_id: "u".into(),
        merchant_id: "m".into(),
        ordered_at: NOW - days_ago * 86_400 + (hour - 12) * 3600,
        latitude: Some(to.0),
        longitude: Some(to.1),
        ..Order::default()
    }
}

fn likely(orders: &[Order], places: &[Place], events: &[Event]) -> LikelyPlaces {
    let (orders, places, events): (Vec<_>, Vec<_>, Vec<_>) =
        (orders.iter().collect(), places.iter().collect(), events.iter().collect());
    let history = History { orders: &orders, places: &places, events: &events };
    of_reader(&history, NOW, &helsinki(), 0.125, &PlaceOptions::default())
}

fn is_at(place: &LikelyPlace, at: (f64, f64)) -> bool {
    place.point.distance_km(Point::new(at.0, at.1).unwrap()) < 0.1
}

/// As the shipped model tells it: weights that a fit found may change, what they say of plain lives may not.
#[test]
fn lunch_goes_to_work_and_dinner_home() {
    let orders: Vec<Order> =
        (1..10).flat_map(|day| [order(WORK, day, 11), order(HOME, day, 19), order(HOME, day, 20)]).collect();
    let found = likely(&orders, &[], &[]);
    let home = found.places.iter().find(|place| is_at(place, HOME)).unwrap();
    let [_, midday, evening, _] = home.probability;
    assert!(evening > 0.5 && evening > midday, "{found:?}");
    assert!(found.new_place_rate < 0.125, "27 orders to two places: {}", found.new_place_rate);
}

#[test]
fn the_shipped_model_can_be_read_and_the_engines_fusion_is_what_was_fitted() {
    let model = PlaceModel::read(std::path::Path::new("../models/place-model.json")).unwrap();
    assert_eq!(Weights::shipped(), model.send_time);
    let fresh = COLUMNS.iter().zip(model.send_time.columns).filter(|(column, _)| column.fresh);
    assert!(fresh.clone().count() > 0 && fresh.clone().all(|(_, weight)| weight == 0.0), "the engine weighs those");
    let numbers = |f: &freshrank::locate::Fusion| {
        let sight = |s: &freshrank::locate::Sight| [s.median_km, s.gateway_share, s.gateway_km, s.outlier, s.city_km];
        let plain = [f.exact_trust, f.trip_end.now, f.event.now, f.new_km, f.far_share, f.far_km, f.power, f.elsewhere];
        let lives = [f.trip_end.half_life_hours, f.event.half_life_hours];
        [&plain[..], &lives, &sight(&f.precise), &sight(&f.network), &sight(&f.coarse)].concat()
    };
    for (ships, fitted) in numbers(&freshrank::locate::FUSION).into_iter().zip(numbers(&model.fusion)) {
        assert!(
            (ships - fitted).abs() <= 0.02 * fitted.abs(),
            "FUSION has {ships}, models/place-model.json {fitted}: round anew"
        );
    }
}

#[test]
fn orders_150_m_apart_or_of_one_name_are_one_place() {
    let near = (HOME.0 + 0.001, HOME.1);
    let far = (HOME.0 + 0.01, HOME.1);
    assert_eq!(likely(&[order(HOME, 3, 19), order(near, 2, 19)], &[], &[]).places.len(), 1, "110 m");
    assert_eq!(likely(&[order(HOME, 3, 19), order(far, 2, 19)], &[], &[]).places.len(), 2, "1.1 km");
    let named = |to, days| Order { place_id: Some("p".into()), ..order(to, days, 19) };
    assert_eq!(likely(&[named(HOME, 3), named(far, 2)], &[], &[]).places.len(), 1);
}

#[test]
fn the_rate_of_new_places_follows_the_readers_own_orders() {
    let (orders, zone, options) = (vec![order(HOME, 1, 19)], helsinki(), PlaceOptions::default());
    let rate = |orders: &[Order]| {
        let orders: Vec<&Order> = orders.iter().collect();
        let history = History { orders: &orders, ..History::default() };
        Facts::of(&history, NOW, &zone, 0.125, &options).new_rate
    };
    assert_eq!(rate(&orders), 0.125, "one order tells nothing");
    let wanderer: Vec<Order> = (0..4).map(|i| order((60.0 + i as f64, 25.0), 9 - i, 19)).collect();
    assert_eq!(rate(&wanderer), (8.0 * 0.125 + 3.0) / 11.0);
    let homebody: Vec<Order> = (0..4).map(|i| order(HOME, 9 - i, 19)).collect();
    let (new, known) = (likely(&wanderer, &[], &[]).new_place_rate, likely(&homebody, &[], &[]).new_place_rate);
    assert!(new > known, "{new} {known}");
}

#[test]
fn rules_of_thumb_name_the_last_place_and_the_most_frequent() {
    let orders = [order(HOME, 3, 19), order(HOME, 2, 19), order(WORK, 1, 11)];
    let refs: Vec<&Order> = orders.iter().collect();
    let history = History { orders: &refs, ..History::default() };
    let facts = Facts::of(&history, NOW, &helsinki(), 0.125, &PlaceOptions::default());
    assert_eq!((most_frequent(&facts), last_place(&facts)), (0, 1));
    assert_eq!((facts.last, facts.n, facts.spots.len()), (Some(1), 3.0, 2));
}

#[test]
fn a_registered_place_is_likely_before_any_order_and_no_longer_new() {
    let place = |first_seen_at| Place {
        user_id: "u".into(),
        place_id: "work".into(),
        latitude: WORK.0,
        longitude: WORK.1,
        first_seen_at,
    };
    let earlier = [place(Some(NOW - 30 * 86_400))];
    let (orders, none) = ([order(HOME, 20, 19), order(WORK, 1, 11)], helsinki());
    let refs: Vec<&Order> = orders.iter().collect();
    let registered: Vec<&Place> = earlier.iter().collect();
    let history = History { orders: &refs, places: &registered, events: &[] };
    let facts = Facts::of(&history, NOW, &none, 0.125, &PlaceOptions::default());
    assert!(facts.new_rate < 0.125, "work was registered before it was ordered to");
    assert_eq!(likely(&[], &earlier, &[]).places.len(), 1);
    for unseen in [place(None), place(Some(NOW)), place(Some(NOW + 1))] {
        let nowhere = LikelyPlaces { places: vec![], new_place_rate: 1.0 };
        assert_eq!(likely(&[], &[unseen], &[]), nowhere, "nothing known is honestly nothing");
    }
    // An order that only names its place has the place's coordinates.
    let named = Order { place_id: Some("work".into()), latitude: None, longitude: None, ..order(HOME, 1, 11) };
    assert!(is_at(&likely(&[named], &[place(None)], &[]).places[0], WORK));
}

#[test]
fn an_event_older_than_a_day_is_the_models_and_a_fresh_one_the_engines() {
    let orders = [order(HOME, 3, 19), order(WORK, 2, 19)];
    let at = |to: (f64, f64), hours: i64| Event {
        at: NOW - hours * 3600,
        kind: "trip_end".into(),
        latitude: Some(to.0),
        longitude: Some(to.1),
        ..Event::default()
    };
    let share = |events: &[Event]| {
        let found = likely(&orders, &[], events);
        found.places.iter().find(|place| is_at(place, HOME)).unwrap().probability[1]
    };
    assert_ne!(share(&[at(HOME, 30)]), share(&[]));
    assert_eq!(share(&[at(HOME, 20)]), share(&[]), "locate weighs it, and would weigh it twice");
}

#[test]
fn the_market_counts_what_every_reader_does_after_the_first_order() {
    let by = |user: &str, order: Order| Order { user_id: user.into(), ..order };
    let mut tables = Tables::default();
    assert_eq!(market_new_place_rate(&tables, NOW, &PlaceOptions::default()), 0.125);
    tables.orders = (0..60)
        .flat_map(|i| {
            let user = format!("u{i}");
            [by(&user, order(HOME, 9, 19)), by(&user, order(WORK, 8, 19)), by(&user, order(HOME, -1, 19))]
        })
        .collect();
    let rate = market_new_place_rate(&tables, NOW, &PlaceOptions::default());
    assert!((rate - (5.0 + 60.0) / (40.0 + 60.0)).abs() < 1e-12, "{rate}");
}

fn any_order(days: std::ops::Range<i64>) -> impl Strategy<Value = Order> {
    (0_i32..8, days, 0_i64..24, any::<bool>()).prop_map(|(where_to, days, hour, named)| {
        let order = order((60.0 + f64::from(where_to) / 100.0, 25.0), days, hour);
        Order { place_id: named.then(|| format!("p{where_to}")), ..order }
    })
}

proptest! {
    #[test]
    fn at_every_part_of_the_day_places_and_elsewhere_add_up_to_1(orders in prop::collection::vec(any_order(1..400), 0..40)) {
        let found = likely(&orders, &[], &[]);
        prop_assert!(found.places.len() <= MAX_PLACES);
        prop_assert!((0.0..=1.0).contains(&found.new_place_rate));
        for daypart in 0..4 {
            let known: f32 = found.places.iter().map(|place| place.probability[daypart] * (1.0 - found.new_place_rate)).sum();
            prop_assert!((known + found.new_place_rate - 1.0).abs() < 1e-5, "{:?}", found);
        }
    }

    #[test]
    fn what_comes_later_and_the_order_of_rows_change_nothing(
        past in prop::collection::vec(any_order(1..400), 0..20),
        future in prop::collection::vec(any_order(-400..-1), 0..20),
        rotate in 0_usize..40,
    ) {
        // Merchants tell orders of one second apart.
        let past: Vec<Order> =
            past.into_iter().enumerate().map(|(i, order)| Order { merchant_id: format!("m{i}"), ..order }).collect();
        let mut all = past.clone();
        all.extend(future);
        all.push(Order { status: Status::Cancelled, ..order((59.0, 25.0), 1, 12) });
        let n = all.len();
        all.rotate_left(rotate % n);
        prop_assert_eq!(likely(&past, &[], &[]), likely(&all, &[], &[]));
    }
}
