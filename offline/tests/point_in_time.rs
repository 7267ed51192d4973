//! Nothing later than a row's own time is in the row, and nothing later than a build's time is in its bytes.

use freshrank_offline::areas::{self, BuildOptions, Built, Catalog};
use freshrank_offline::cuisines::{CuisineMap, FitOptions, fit};
use freshrank_offline::examples::{self, Example, ExampleOptions};
use freshrank_offline::market::{Parameters, simulate};
use freshrank_offline::profiles::{self, DEVELOPMENT_SECRET, Made, ProfileOptions};
use freshrank_offline::tables::{Merchant, Status, Tables, Timestamp};
use freshrank_offline::timeline::{Protocol, Timeline, TimelineOptions};
use std::collections::BTreeMap;
use std::sync::LazyLock;

const HOURS: [&str; 4] = ["Mo-Su 10:00-22:00", "Mo-Fr 10:30-15:00; PH off", "Tu-Su 15:00-02:00", "24/7"];
const CUISINES: [[&str; 2]; 5] =
    [["pizza", "italian"], ["sushi", "japanese"], ["burger", "american"], ["kebab", "pizza"], ["thai", "sushi"]];

/// A street of merchants, and half a year of demand for them.
static MARKET: LazyLock<(Tables, CuisineMap)> = LazyLock::new(|| {
    let merchant = |n: usize| Merchant {
        merchant_id: format!("m{n}"),
        name: format!("Merchant {n}"),
        chain_id: n.is_multiple_of(9).then(|| "chain".to_owned()),
        latitude: 60.15 + 0.004 * (n % 8) as f64,
        longitude: 24.90 + 0.008 * (n / 8) as f64,
        country: Some("FI".into()),
        cuisines: CUISINES[n % 5].map(String::from).to_vec(),
        opening_hours: (n % 7 != 3).then(|| HOURS[n % 4].to_owned()),
        ..Merchant::default()
    };
    let merchants: Vec<Merchant> = (0..40).map(merchant).collect();
    let market = simulate(&merchants, &Parameters::frozen().unwrap(), 5, 300, "fi/helsinki").unwrap();
    let map = fit(&market.tables.merchants, &FitOptions::default()).unwrap();
    (market.tables, map)
});

/// A time with half of the orders behind it.
fn middle(tables: &Tables) -> Timestamp {
    tables.orders[tables.orders.len() / 2].ordered_at
}

/// Another future: the same hours, but other merchants, other ends, other places; no events, other judgements.
fn another_future(tables: &Tables, from: Timestamp) -> Tables {
    let mut other = tables.clone();
    let later = other.orders.iter().position(|order| order.ordered_at >= from).unwrap();
    let told: Vec<_> = other.orders[later..].iter().map(|o| (o.merchant_id.clone(), o.value)).collect();
    let n = told.len();
    for (i, order) in other.orders[later..].iter_mut().enumerate() {
        (order.merchant_id, order.value) = told[(i * 7 + 13) % n].clone();
    }
    other.events.retain(|event| event.at < from);
    for merchant in &mut other.merchants {
        if merchant.observed_at.is_some_and(|at| at >= from) {
            (merchant.rating, merchant.rating_count, merchant.quality) = (Some(1.0), Some(9999), Some(0.0));
        }
    }
    other
}

fn built(tables: &Tables, as_of: Timestamp) -> (Built, Vec<Made>) {
    let options = BuildOptions { market: Some("fi/helsinki".into()), ..BuildOptions::default() };
    let built = areas::build(tables, as_of, &MARKET.1, &options).unwrap();
    let catalog = Catalog::new(tables, &MARKET.1, &options);
    let made =
        profiles::build(tables, as_of, &MARKET.1, &catalog, DEVELOPMENT_SECRET, &ProfileOptions::default()).unwrap();
    (built, made)
}

#[test]
fn a_build_sees_nothing_later_than_its_time() {
    let (tables, _) = &*MARKET;
    let as_of = middle(tables);
    let (areas, readers) = built(tables, as_of);

    let mut cut = another_future(tables, as_of);
    cut.orders.retain(|order| order.ordered_at < as_of);
    cut.orders.reverse();
    cut.events.reverse();
    let (areas_cut, readers_cut) = built(&cut, as_of);
    assert_eq!(areas.areas, areas_cut.areas);
    assert_eq!(readers, readers_cut);

    let mut earlier = tables.clone();
    earlier.orders[0].status = Status::Cancelled;
    let (areas_earlier, readers_earlier) = built(&earlier, as_of);
    assert_ne!(areas.areas, areas_earlier.areas, "what came before does count");
    assert_ne!(readers, readers_earlier);
}

#[test]
fn a_build_holds_what_the_engine_needs() {
    let (tables, map) = &*MARKET;
    let (areas, readers) = built(tables, middle(tables));
    assert_eq!(areas.report.simulated, tables.simulated);
    assert_eq!((areas.report.with_hours, areas.report.without_hours), (34, 6));
    assert!(readers.iter().all(|made| made.bytes.len() <= freshrank::profile::MAX_BYTES));
    for area in &areas.areas {
        let bundle = area.decode().unwrap();
        assert_eq!((bundle.cell, bundle.layer(), bundle.country), (area.cell, "fi/helsinki", *b"FI"));
        assert_eq!(bundle.cuisine_map, map.fingerprint());
        let display = freshrank::bundle::Display::decode(area.display.clone()).unwrap();
        assert_eq!((display.bundle, display.len()), (bundle.hash, bundle.len()));
    }
    let profile = freshrank::Profile::decode(&readers[0].bytes).unwrap();
    assert_eq!(profile.cuisine_map, map.fingerprint() as u32, "tastes and clusters are of one map");
    assert_eq!(profile.reader, profiles::reader_id(DEVELOPMENT_SECRET, &readers[0].user_id));
}

/// Every row by reader, time and merchant; the label is none of it.
type Seen = BTreeMap<(String, Timestamp, String), Vec<u32>>;

fn seen(tables: &Tables, protocol: Protocol) -> Seen {
    let (map, options) = (&MARKET.1, TimelineOptions::default());
    let catalog = Catalog::new(tables, map, &options.areas);
    let timeline = Timeline::new(tables, map, &catalog, &options).unwrap();
    let (queries, _) = timeline.queries(tables, protocol, Timestamp::MIN);
    let mut seen = Seen::new();
    let lived = timeline.live(&queries, &|_, _| (), |answers| {
        for answer in answers {
            for (candidate, row) in answer.kept.iter().zip(answer.rows.iter()) {
                let merchant = catalog.merchant(catalog.row_of(candidate.merchant.id).unwrap()).unwrap();
                let key = (answer.query.user_id.to_owned(), answer.query.at, merchant.merchant_id.clone());
                seen.insert(key, row.iter().map(|value| value.to_bits()).collect());
            }
        }
    });
    lived.unwrap();
    seen
}

#[test]
fn another_future_changes_no_bit_of_an_earlier_row() {
    let (tables, _) = &*MARKET;
    let from = middle(tables);
    let other = another_future(tables, from);
    let upto = |seen: &Seen| -> Seen {
        seen.iter().filter(|((_, at, _), _)| *at <= from).map(|(key, row)| (key.clone(), row.clone())).collect()
    };
    for protocol in [Protocol::SendTime, Protocol::KnownPlace] {
        let (here, there) = (seen(tables, protocol), seen(&other, protocol));
        assert!(upto(&here).len() > 1000, "{} rows", upto(&here).len());
        assert!(upto(&here) == upto(&there), "{}: an earlier row changed", protocol.name());
        assert!(here != there, "what is later than the change does see it");
    }
}

fn made(tables: &Tables, options: &ExampleOptions) -> (Vec<Example>, examples::ExamplesReport) {
    let mut rows = Vec::new();
    let report = examples::make(tables, &MARKET.1, None, options, &|_, _| (), |more| rows.extend(more)).unwrap();
    (rows, report)
}

#[test]
fn examples_keep_the_order_and_say_what_they_leave_out() {
    let (tables, _) = &*MARKET;
    let options = ExampleOptions { candidates: 10, ..ExampleOptions::default() };
    let (rows, report) = made(tables, &options);
    assert_eq!(rows.len(), report.rows);
    for query in rows.chunk_by(|a, b| a.query_id == b.query_id) {
        assert!(query.len() <= 10);
        assert_eq!(query.iter().filter(|row| row.label == 1.0).count(), 1);
        if query[0].protocol == Protocol::KnownPlace {
            continue;
        }
        let hour = (query[0].at + 3 * 3600).rem_euclid(86_400) / 3600;
        assert!(hour == 11 || hour == 17 || query[0].at > report.test_from, "summer time until the end: {hour}");
    }
    assert!(rows.is_sorted_by_key(|row| (row.protocol != Protocol::SendTime, row.at)), "one protocol after the other");
    let known = rows.iter().filter(|row| row.protocol == Protocol::KnownPlace);
    assert!(known.clone().count() > 0 && known.clone().all(|row| row.split == "train"));
    let sum = |counts: &BTreeMap<&str, BTreeMap<&str, usize>>| counts["send-time"].values().sum::<usize>();
    let asked = sum(&report.queries) + sum(&report.filtered);
    let completed = tables.orders.iter().filter(|order| order.status == Status::Completed).count();
    assert_eq!(asked + report.left_out.values().sum::<usize>(), completed, "{report:?}");
    let (again, _) = made(tables, &options);
    assert!(rows.iter().zip(&again).all(|(a, b)| a.features == b.features && a.merchant_id == b.merchant_id));

    let (fewer, _) = made(tables, &ExampleOptions { queries: Some(50), ..options });
    let drawn = fewer.chunk_by(|a, b| a.query_id == b.query_id).count();
    assert!((60..=100).contains(&drawn), "{drawn} of both protocols, less those that are filtered");
}
