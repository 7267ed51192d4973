use super::*;
use crate::tables::{Status, write_csv};
use proptest::prelude::*;

fn order(user: &str, merchant: &str, at: i64) -> Order {
    Order {
        user_id: user.into(),
        merchant_id: merchant.into(),
        ordered_at: at,
        place_id: Some("p1".into()),
        value: Some(0.1 + at as f32),
        status: if at % 3 == 0 { Status::Cancelled } else { Status::Completed },
        ..Order::default()
    }
}

/// Readers of the table and of orders alone, faults of every kind that a partition finds, rows in no order.
fn tables() -> Tables {
    let merchant = |id: &str| Merchant {
        merchant_id: id.into(),
        name: id.into(),
        latitude: 60.17,
        longitude: 24.94,
        cuisines: vec!["pizza".into(), "sushi".into()],
        ..Merchant::default()
    };
    let user = |n: usize| format!("u{n}");
    let place = |n: usize, id: &str| Place {
        user_id: user(n),
        place_id: id.into(),
        latitude: 60.0 + n as f64 / 100.0,
        longitude: 24.9,
        first_seen_at: Some(1_700_000_000),
    };
    let event = |n: usize, at: i64, latitude| Event {
        user_id: user(n),
        at,
        kind: "app_open".into(),
        latitude,
        longitude: Some(24.9),
        slot: Some(3),
        propensity: Some(0.25),
        ..Event::default()
    };
    let mut orders: Vec<Order> =
        (0..90).map(|i| order(&user(i * 7 % 30), ["a", "b"][i % 2], 1_700_000_000 + (i as i64 * 37) % 50)).collect();
    // No such merchant, no such place, a reader that only an order knows.
    orders.push(order("u1", "nobody", 1_700_000_000));
    orders.push(Order { place_id: Some("p9".into()), ..order("u2", "a", 1_700_000_000) });
    orders.push(Order { latitude: Some(60.0), longitude: Some(25.0), ..order("stranger", "a", 1_700_000_000) });
    Tables {
        merchants: vec![merchant("a"), merchant("b")],
        readers: [(0..20).collect(), vec![3, 4, 3]]
            .concat()
            .into_iter()
            .map(|n| Reader { user_id: user(n), consent: Some(n % 2 == 0), ..Reader::default() })
            .collect(),
        places: (0..30).map(|n| place(n, "p1")).chain([place(5, "p1"), place(5, "p2")]).collect(),
        orders,
        events: (0..30).map(|n| event(n, 1_700_000_000 - n as i64, (n % 5 > 0).then_some(60.0))).collect(),
        simulated: Some("simulated for a test".into()),
        ..Tables::default()
    }
}

fn sorted(mut tables: Tables) -> Tables {
    tables.readers.sort_by(|a, b| a.user_id.cmp(&b.user_id));
    tables.places.sort_by(|a, b| (&a.user_id, &a.place_id).cmp(&(&b.user_id, &b.place_id)));
    read::sort(&mut tables);
    tables
}

fn together(split: &Split) -> (Tables, Counts) {
    let (mut all, mut counts) = (split.shared.clone(), split.counts.clone());
    // Backwards: what partitions come to does not depend on their order.
    for part in (0..split.n_parts).rev() {
        let (tables, of_part) = split.load(part).unwrap();
        counts.merge(&of_part);
        all.readers.extend(tables.readers);
        all.places.extend(tables.places);
        all.orders.extend(tables.orders);
        all.events.extend(tables.events);
    }
    (sorted(all), counts)
}

#[test]
fn partitions_together_are_the_tables_with_the_same_faults() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("tables");
    let options = ReadOptions { max_bad_share: 0.5, ..ReadOptions::default() };
    for (form, write) in [("parquet", super::super::write as fn(&Tables, &Path) -> _), ("csv", write_csv)] {
        let source = source.join(form);
        write(&tables(), &source).unwrap();
        let (whole, report) = read::read(&source, &options).unwrap();
        assert!(report.faults.len() >= 5, "{report}");
        for n_parts in [1, 2, 7, 100] {
            let dir = folder.path().join(format!("{form}-{n_parts}"));
            let split = split(&source, &options, &dir, n_parts, &|_, _| true).unwrap().unwrap();
            let (all, counts) = together(&split);
            assert_eq!(all, sorted(whole.clone()), "{form}, {n_parts} partitions");
            assert_eq!(counts.report(&options).unwrap(), report, "{form}, {n_parts} partitions");
        }
    }
}

#[test]
fn a_table_that_was_split_is_not_split_again() {
    let folder = tempfile::tempdir().unwrap();
    let (source, dir) = (folder.path().join("tables"), folder.path().join("spool"));
    super::super::write(&tables(), &source).unwrap();
    let options = ReadOptions { max_bad_share: 0.5, ..ReadOptions::default() };
    // Stops behind the second table, as an interruption would.
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let twice = |_, _| calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 1;
    assert!(split(&source, &options, &dir, 3, &twice).unwrap().is_none());
    let written = |name: &str| fs::metadata(dir.join(name)).and_then(|file| file.modified()).ok();
    let before = (written("places.0001").unwrap(), written("orders.0001"));
    assert_eq!(before.1, None);
    // What a power failure leaves of a file is not taken for it.
    fs::write(dir.join("readers.done"), b"{").unwrap();
    let split = split(&source, &options, &dir, 3, &|_, _| true).unwrap().unwrap();
    assert_eq!(written("places.0001"), Some(before.0));
    assert_eq!(together(&split).0, sorted(read::read(&source, &options).unwrap().0));

    fs::write(dir.join("orders.0001"), b"half a file").unwrap();
    let error = split.load(1).unwrap_err().to_string();
    assert!(error.contains("orders.0001: found a partition that is damaged"), "{error}");
}

proptest! {
    #[test]
    fn a_row_comes_back_as_it_was(
        (user, merchant, at, place) in (".{0,9}", ".{1,9}", 0_i64..7_258_118_399, proptest::option::of(".{0,5}")),
        (value, latitude, row) in
            (proptest::option::of(0.0_f32..1e9), proptest::option::of(-90.0_f64..90.0), any::<u64>()),
    ) {
        let order = Order {
            user_id: user,
            merchant_id: merchant,
            ordered_at: at,
            place_id: place,
            latitude,
            value,
            ..Order::default()
        };
        let mut bytes = Vec::new();
        encode(row, &order, &mut bytes);
        prop_assert_eq!(decode::<Order>(&mut bytes.as_slice()), Some((row, order)));
        for length in 0..bytes.len() {
            prop_assert_eq!(decode::<Order>(&mut &bytes[..length]), None);
        }
    }
}
