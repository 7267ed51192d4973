use super::*;
use crate::areas::BuildOptions;
use crate::cuisines::{FitOptions, fit};
use crate::tables::{Merchant, Status};

/// Friday, 20 November 2026, 12:00 in Helsinki.
const NOW: Timestamp = 1_795_168_800;

#[test]
fn a_readers_id_is_hmac_sha256_as_rfc_4231_has_it() {
    // Test case 2: 5bdcc146bf60754e...
    assert_eq!(reader_id(b"Jefe", "what do ya want for nothing?"), 0x4e75_60bf_46c1_dc5b);
    assert_ne!(reader_id(b"a", "u"), reader_id(b"b", "u"));
}

fn event(kind: &str, message: &str, mailbox: &str) -> Event {
    Event {
        user_id: "u".into(),
        at: NOW - DAY,
        kind: kind.into(),
        message_id: Some(message.into()),
        mailbox: Some(mailbox.into()),
        ..Event::default()
    }
}

#[test]
fn a_proxy_is_no_reader_and_a_scanner_is_nobody() {
    let events = [
        event("served", "1", "apple"),
        event("served", "2", "gmail"),
        event("seen", "2", "gmail"),
        event("click", "2", "gmail"),
        event("click", "3", "scanner"),
        Event { at: NOW, ..event("seen", "4", "gmail") },
    ];
    let events: Vec<&Event> = events.iter().collect();
    let (open, click) = rates(&events, NOW);
    assert_eq!((open, click), (Some((1.0 + 1.0) / 7.0), Some((1.0 + 0.1) / 7.0)));
    assert_eq!(rates(&[], NOW), (None, None));
}

fn tables(orders: Vec<Order>) -> Tables {
    let merchant = |n: usize| Merchant {
        merchant_id: format!("m{n}"),
        chain_id: (n < 2).then(|| "chain".into()),
        latitude: 60.17,
        longitude: 24.94,
        cuisines: vec![["pizza", "sushi", "thai"][n % 3].into()],
        price_band: Some(1 + (n % 4) as u8),
        ..Merchant::default()
    };
    let reader =
        Reader { user_id: "u".into(), market: Some("fi/helsinki".into()), consent: Some(true), ..Reader::default() };
    Tables { merchants: (0..12).map(merchant).collect(), readers: vec![reader], orders, ..Tables::default() }
}

fn order(merchant: usize, days_ago: i64) -> Order {
    Order {
        user_id: "u".into(),
        merchant_id: format!("m{merchant}"),
        ordered_at: NOW - days_ago * DAY,
        latitude: Some(60.17),
        longitude: Some(24.94),
        ..Order::default()
    }
}

fn profile(tables: &Tables) -> Profile {
    let map = fit(&tables.merchants, &FitOptions::default()).unwrap();
    let catalog = Catalog::new(tables, &map, &BuildOptions::default());
    let made = build(tables, NOW, &map, &catalog, b"", &ProfileOptions::default()).unwrap();
    Profile::decode(&made[0].bytes).unwrap()
}

#[test]
fn own_orders_fade_and_the_ten_most_are_remembered() {
    let mut orders: Vec<Order> = (0..12).map(|merchant| order(merchant, 20 - merchant as i64)).collect();
    orders.extend([order(0, 90), order(1, 300), order(0, -1)]);
    orders.push(Order { status: Status::Cancelled, ..order(5, 1) });
    let found = profile(&tables(orders));
    assert_eq!((found.n_orders, found.last_order_days), (14, Some(9)));
    assert_eq!(found.merchants.len(), 10);
    let first = found.merchants[0];
    assert_eq!((first.id, first.days), (MerchantId::of("m0").short(), 20));
    assert!((f64::from(first.count) - (0.5 + libm::exp2(-20.0 / 90.0))).abs() < 0.04, "{}", first.count);
    assert_eq!((first.chain, found.merchants[2].chain), (ChainId::of("chain").short(), 0));
    assert!((found.daypart_share[1] - 1.0).abs() < 0.01, "all at noon, local: {:?}", found.daypart_share);
    assert_eq!((found.offset_minutes, found.consent, found.member), (120, true, false));
}

#[test]
fn a_reader_without_orders_is_known_by_nothing() {
    let found = profile(&tables(Vec::new()));
    assert_eq!((found.n_orders, found.last_order_days, found.basket_band), (0, None, None));
    assert!(found.merchants.is_empty() && found.places.is_empty());
    assert_eq!((found.new_place_rate, found.market.as_str()), (1.0, "fi/helsinki"));
}
