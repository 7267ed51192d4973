use super::*;
use crate::tables::Status;
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

#[test]
fn lunch_goes_to_work_and_dinner_home() {
    let orders: Vec<Order> =
        (1..10).flat_map(|day| [order(WORK, day, 11), order(HOME, day, 19), order(HOME, day, 20)]).collect();
    let found = likely(&orders, &[], &[]);
    assert!(is_at(&found.places[0], HOME) && is_at(&found.places[1], WORK));
    let [_, midday, evening, night] = found.places[0].probability;
    assert!(midday < 0.25 && evening > 0.9, "{found:?}");
    assert!((0.6..0.7).contains(&night), "without orders at night, the whole day's share: {night}");
    assert!(found.new_place_rate < 0.125, "27 orders to two places: {}", found.new_place_rate);
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
    let alone = likely(&[order(HOME, 1, 19)], &[], &[]);
    assert!((alone.new_place_rate - 0.125).abs() < 1e-6, "one order tells nothing: {}", alone.new_place_rate);
    let wanderer: Vec<Order> = (0..4).map(|i| order((60.0 + i as f64, 25.0), 9 - i, 19)).collect();
    let found = likely(&wanderer, &[], &[]);
    assert!((found.new_place_rate - (8.0 * 0.125 + 3.0) / 11.0).abs() < 1e-6, "{}", found.new_place_rate);
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
    let found = likely(&[order(HOME, 20, 19), order(WORK, 1, 11)], &earlier, &[]);
    assert!(found.new_place_rate < 0.125);
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
fn an_event_at_a_known_place_leans_to_it() {
    let orders = [order(HOME, 3, 19), order(WORK, 2, 19)];
    let at = |to: (f64, f64)| Event {
        at: NOW - 3600,
        kind: "trip_end".into(),
        latitude: Some(to.0),
        longitude: Some(to.1),
        ..Event::default()
    };
    let share = |events: &[Event]| {
        let found = likely(&orders, &[], events);
        found.places.iter().find(|place| is_at(place, HOME)).unwrap().probability[1]
    };
    assert!(share(&[at(HOME)]) > share(&[]));
    assert_eq!(share(&[at((61.0, 25.0))]), share(&[]), "an event nowhere known changes nothing");
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
