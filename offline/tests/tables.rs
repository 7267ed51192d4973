//! The table contract: what is written is read back, and what is wrong is counted and shown.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder, TimestampNanosecondArray};
use freshrank_offline::tables::{
    self, Event, Kind, Merchant, Offer, Order, Place, ReadOptions, Reader, Status, TableError, Tables,
};
use proptest::prelude::*;
use tempfile::TempDir;

/// A seeded source of values that a table can hold.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn real(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.roll(1 << 53) as f64 / (1_u64 << 53) as f64
    }

    fn text(&mut self) -> String {
        let words = ["Kuu", "l'été, 2", "the \"best\"", "line\nend", "東京", "a;b", "=1+1", "ß"];
        format!("{}{}", words[self.roll(8) as usize], self.roll(100))
    }

    fn time(&mut self) -> i64 {
        self.roll(7_258_118_400) as i64
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.roll(2) == 0).then(|| make(self))
    }

    fn single(&mut self, low: f64, high: f64) -> f32 {
        (self.real(low, high) as f32).clamp(low as f32, high as f32)
    }

    fn tables(&mut self) -> Tables {
        let merchants: Vec<Merchant> = (0..1 + self.roll(5)).map(|n| self.merchant(n)).collect();
        let readers: Vec<Reader> = (0..4)
            .map(|n| Reader {
                user_id: format!("u{n}"),
                market: self.maybe(|_| "fi/helsinki".to_owned()),
                locale: self.maybe(|_| "fi-FI".to_owned()),
                consent: self.maybe(|dice| dice.roll(2) == 0),
                membership: self.maybe(|dice| dice.roll(2) == 0),
                since: self.maybe(Self::time),
            })
            .collect();
        let places: Vec<Place> = (0..self.roll(5))
            .map(|n| Place {
                user_id: format!("u{}", n % 4),
                place_id: format!("p{n}"),
                latitude: self.real(-90.0, 90.0),
                longitude: self.real(-180.0, 180.0),
                first_seen_at: self.maybe(Self::time),
            })
            .collect();
        let known = |dice: &mut Self| merchants[dice.roll(merchants.len() as u64) as usize].merchant_id.clone();
        let mut orders: Vec<Order> = (0..self.roll(20))
            .map(|_| Order {
                user_id: format!("u{}", self.roll(4)),
                merchant_id: known(self),
                ordered_at: self.time(),
                place_id: self.maybe(Self::text),
                latitude: Some(self.real(-90.0, 90.0)),
                longitude: Some(self.real(-180.0, 180.0)),
                value: self.maybe(|dice| dice.single(0.0, 100.0)),
                status: if self.roll(2) == 0 { Status::Completed } else { Status::Cancelled },
            })
            .collect();
        orders.sort_by(|a, b| (a.ordered_at, &a.user_id).cmp(&(b.ordered_at, &b.user_id)));
        let offers = (0..self.roll(4))
            .map(|n| {
                let starts_at = self.roll(4_000_000_000) as i64;
                Offer {
                    offer_id: format!("o{n}"),
                    merchant_id: known(self),
                    kind: "percent".to_owned(),
                    value: self.single(0.0, 100.0),
                    starts_at,
                    ends_at: starts_at + 1 + self.roll(1_000_000) as i64,
                    audience: self.maybe(|_| "new".to_owned()),
                    terms: self.maybe(Self::text),
                }
            })
            .collect();
        let mut events: Vec<Event> = (0..self.roll(20))
            .map(|_| {
                let at = self.maybe(|dice| (dice.real(-90.0, 90.0), dice.real(-180.0, 180.0)));
                Event {
                    user_id: format!("u{}", self.roll(4)),
                    at: self.time(),
                    kind: "click".to_owned(),
                    merchant_id: self.maybe(known),
                    latitude: at.map(|at| at.0),
                    longitude: at.map(|at| at.1),
                    message_id: self.maybe(Self::text),
                    slot: self.maybe(|dice| dice.roll(9) as u32),
                    propensity: self.maybe(|dice| dice.single(0.01, 1.0)),
                    mailbox: self.maybe(|_| "gmail".to_owned()),
                }
            })
            .collect();
        events.sort_by(|a, b| (a.at, &a.user_id).cmp(&(b.at, &b.user_id)));
        let simulated = self.maybe(|_| "simulated by freshrank market, seed 7".to_owned());
        Tables { merchants, readers, places, orders, offers, events, simulated }
    }

    fn merchant(&mut self, n: u64) -> Merchant {
        let labels = ["pizza", "fish_and_chips", "ice_cream", "東京"];
        let listed_from = self.maybe(|dice| dice.roll(4_000_000_000) as i64);
        Merchant {
            merchant_id: format!("n{n}"),
            name: self.text(),
            chain_id: self.maybe(Self::text),
            kind: [Kind::Restaurant, Kind::Grocery, Kind::Retail][self.roll(3) as usize],
            latitude: self.real(-90.0, 90.0),
            longitude: self.real(-180.0, 180.0),
            country: self.maybe(|_| "FI".to_owned()),
            cuisines: labels[..self.roll(5) as usize].iter().map(ToString::to_string).collect(),
            price_band: self.maybe(|dice| 1 + dice.roll(4) as u8),
            rating: self.maybe(|dice| dice.single(0.0, 5.0)),
            rating_count: self.maybe(|dice| dice.roll(1 << 32) as u32),
            quality: self.maybe(|dice| dice.single(0.0, 1.0)),
            delivery_radius_km: self.maybe(|dice| dice.single(0.1, 20.0)),
            prep_minutes: self.maybe(|dice| dice.single(0.0, 60.0)),
            delivery_fee: self.maybe(|dice| dice.single(0.0, 9.0)),
            opening_hours: self.maybe(|_| "Mo-Fr 10:00-22:00; PH off".to_owned()),
            url: self.maybe(Self::text),
            image_url: self.maybe(Self::text),
            listed_from,
            listed_until: self.maybe(|dice| listed_from.unwrap_or(0) + 1 + dice.roll(1000) as i64),
            observed_at: self.maybe(Self::time),
        }
    }
}

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn put(dir: &TempDir, file: &str, text: impl AsRef<[u8]>) {
    fs::write(dir.path().join(file), text).unwrap();
}

fn lenient() -> ReadOptions {
    ReadOptions { max_bad_share: 1.0, ..ReadOptions::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_back(seed: u64) {
        let tables = Dice(seed).tables();
        let (parquet, csv) = (dir(), dir());
        tables::write(&tables, parquet.path()).unwrap();
        tables::write_csv(&tables, csv.path()).unwrap();
        for dir in [&parquet, &csv] {
            let (read, report) = tables::read(dir.path(), &ReadOptions::default()).unwrap();
            prop_assert!(report.faults.is_empty(), "{report}");
            // Orders and events of the same second and reader may change places among themselves.
            prop_assert_eq!(&read, &tables);
        }
    }

    #[test]
    fn the_same_tables_give_the_same_bytes(seed: u64) {
        let tables = Dice(seed).tables();
        let (one, two) = (dir(), dir());
        tables::write(&tables, one.path()).unwrap();
        tables::write(&tables, two.path()).unwrap();
        let bytes = |dir: &TempDir| fs::read(dir.path().join("merchants.parquet")).unwrap();
        prop_assert_eq!(bytes(&one), bytes(&two));
    }

    #[test]
    fn no_bytes_end_in_a_panic(text in "[a-z0-9,;\"\n.-]{0,80}") {
        let dir = dir();
        put(&dir, "merchants.csv", format!("merchant_id,name,latitude,longitude,cuisines,rating,listed_from\n{text}"));
        let (tables, report) = tables::read(dir.path(), &lenient()).unwrap();
        prop_assert_eq!(report.rows["merchants"], tables.merchants.len());
    }
}

#[test]
fn every_fault_is_counted_and_shown_with_its_place() {
    let dir = dir();
    let long = "x".repeat(tables::read::MAX_RECORD_BYTES);
    put(
        &dir,
        "merchants.csv",
        [
            "merchant_id,name,latitude,longitude,cuisines,price_band,rating,kind,country,listed_from,listed_until,extra\n\
             m1,Kuu,60.17,24.93,Finnish; Fish soup ;finnish,2,4.5,,fi,2020-01-01T00:00:00Z,,ignored\n\
             m1,Kuu again,60.17,24.93,,,,,,,,\n\
             m2,,60.17,24.93,,,,,,,,\n\
             m3,North,91,24.93,,,,,,,,\n\
             m4,Nowhere,NaN,24.93,,,,,,,,\n\
             m5,Words,sixty,24.93,,,,,,,,\n\
             m6,Dear,60.17,24.93,,9,7,palace,Finland,yesterday,,\n\
             m7,Short,60.17\n\
             m8,Gone,60.17,24.93,,,,,,2021-01-01T00:00:00Z,2020-01-01T00:00:00+02:00,\n"
                .as_bytes(),
            b"m9,\xff\xfe,60.17,24.93,,,,,,,,\n",
            format!("m10,{long},60.17,24.93,,,,,,,,\n").as_bytes(),
            b"m11,\"Open quote,60.17,24.93,,,,,,,,\n",
            b"m12,Last,60.17,24.93,,,,grocery,,,,\n",
        ]
        .concat(),
    );
    put(
        &dir,
        "orders.csv",
        "user_id,merchant_id,ordered_at,place_id,latitude,longitude\n\
         u2,m1,2026-02-01T12:00:00+02:00,home,,\n\
         u1,m1,2026-01-01T12:00:00Z,,60.1,24.9\n\
         u1,m99,2026-01-01T12:00:00Z,,60.1,24.9\n\
         u1,m1,2026-01-01,,60.1,24.9\n\
         u1,m1,2026-01-01T12:00:00Z,,,\n\
         u1,m1,2026-01-01T12:00:00Z,attic,60.1,\n",
    );
    put(&dir, "places.csv", "user_id,place_id,latitude,longitude\nu2,home,60.2,25.0\n");
    put(
        &dir,
        "events.csv",
        "user_id,at,kind,merchant_id,latitude\nu3,2026-01-01T00:00:00Z,click,m77,\nu3,2026-01-01T00:00:00Z,trip_end,,60.1\n",
    );
    put(
        &dir,
        "offers.csv",
        "offer_id,merchant_id,kind,value,starts_at,ends_at\n\
         o1,m1,percent,20,2026-01-02T00:00:00Z,2026-01-01T00:00:00Z\n\
         o2,m98,percent,20,2026-01-01T00:00:00Z,2026-01-02T00:00:00Z\n",
    );
    let (tables, report) = tables::read(dir.path(), &lenient()).unwrap();
    let expected = "\
events: 1 rows
merchants: 3 rows
offers: 0 rows
orders: 2 rows
places: 1 rows
readers: 3 rows
readers (known from other tables only): 3 rows
events: latitude without longitude: 1 values left out
  events.csv:3: latitude: found one of the two, expected both or none
events: merchant_id unknown merchant: 1 rows left out
  events.csv:2: merchant_id: found \"m77\", expected an id of the table merchants
merchants: country out of range: 1 values left out
  merchants.csv:8: country: found \"Finland\", expected two letters (ISO 3166-1 alpha-2)
merchants: kind unknown word: 1 values left out
  merchants.csv:8: kind: found \"palace\", expected restaurant, grocery, retail
merchants: latitude out of range: 2 rows left out
  merchants.csv:5: latitude: found 91, expected -90 to 90
  merchants.csv:6: latitude: found NaN, expected -90 to 90
merchants: latitude unreadable: 1 rows left out
  merchants.csv:7: latitude: found \"sixty\", expected -90 to 90
merchants: line too long: 1 rows left out
  merchants.csv:12: found a line of more than 1048576 bytes, expected a record
merchants: listed_from unreadable: 1 values left out
  merchants.csv:8: listed_from: found \"yesterday\", expected an RFC 3339 time, 1970 to 2199
merchants: listed_until ends before it begins: 1 rows left out
  merchants.csv:10: listed_until: found 2019-12-31T22:00:00Z, expected a time after listed_from
merchants: merchant_id duplicate: 1 rows left out
  merchants.csv:3: merchant_id: found the id of row 2 again, expected each id once
merchants: name missing: 1 rows left out
  merchants.csv:4: name: found nothing, expected text
merchants: name not UTF-8: 1 rows left out
  merchants.csv:11: name: found bytes that are not UTF-8, expected text
merchants: number of fields: 1 rows left out
  merchants.csv:9: found 3, expected 12 as in the header
merchants: price_band out of range: 1 values left out
  merchants.csv:8: price_band: found 9, expected 1 to 4
merchants: quote never closed: 1 rows left out
  merchants.csv:13: found an opening quote, expected a closing one
merchants: rating out of range: 1 values left out
  merchants.csv:8: rating: found 7, expected 0 to 5
offers: ends_at ends before it begins: 1 rows left out
  offers.csv:2: ends_at: found 2026-01-01T00:00:00Z, expected a time after starts_at
offers: merchant_id unknown merchant: 1 rows left out
  offers.csv:3: merchant_id: found \"m98\", expected an id of the table merchants
orders: merchant_id unknown merchant: 1 rows left out
  orders.csv:4: merchant_id: found \"m99\", expected an id of the table merchants
orders: ordered_at unreadable: 1 rows left out
  orders.csv:5: ordered_at: found \"2026-01-01\", expected an RFC 3339 time, 1970 to 2199
orders: place_id no place: 2 rows left out
  orders.csv:6: place_id: found neither place_id nor latitude and longitude, expected a place of the reader, or coordinates
  orders.csv:7: place_id: found a place that is not in the table places, and no coordinates, expected a place of the reader, or coordinates
";
    assert_eq!(report.to_string(), expected);
    assert_eq!(report.lost("merchants"), 10);
    assert_eq!(tables.merchants[0].cuisines, ["finnish", "fish_soup"]);
    assert_eq!(tables.merchants[0].country.as_deref(), Some("FI"));
    assert_eq!(tables.merchants[2].kind, Kind::Grocery);
    assert_eq!((tables.orders[1].latitude, tables.orders[1].longitude), (Some(60.2), Some(25.0)));
}

#[test]
fn too_many_lost_rows_are_an_error_that_shows_them() {
    let dir = dir();
    let rows: String = (0..99).map(|n| format!("m{n},Kuu,60.17,24.93,\n")).collect();
    let header = "merchant_id,name,latitude,longitude,cuisines\n";
    put(&dir, "merchants.csv", format!("{header}{rows}x,,60,24,\n"));
    assert!(tables::read(dir.path(), &ReadOptions::default()).is_ok(), "one in a hundred is within the limit");
    put(&dir, "merchants.csv", format!("{header}{rows}x,,60,24,\ny,,60,24,\n"));
    let err = tables::read(dir.path(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(err.starts_with("merchants: lost 2 of 101 rows, expected at most 1.0000 %\n"), "{err}");
    assert!(err.contains("merchants.csv:101: name: found nothing, expected text"), "{err}");
}

#[test]
fn foreign_headers_are_named_and_can_be_mapped() {
    let ottawa = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/osm/ottawa.csv");
    let sample = "OSM_TYPE,OSM_ID,NAME,CATEGORY,CUISINE,BRAND,LATITUDE,LONGITUDE\n\
                  node,1,3 Sisters,bakery,,,45.38,-75.63\nway,1,Wei's,restaurant,Chinese;Thai,Wei,45.33,-76.29\n";
    let dir = dir();
    put(&dir, "ottawa.csv", sample);
    let file = dir.path().join("ottawa.csv");
    let err = tables::read(&file, &ReadOptions::default()).unwrap_err().to_string();
    let says = "found no column merchant_id, name, latitude, longitude, cuisines, but OSM_TYPE, OSM_ID, NAME, CATEGORY, \
                CUISINE, BRAND, LATITUDE, LONGITUDE; did you mean name=NAME,latitude=LATITUDE,longitude=LONGITUDE,\
                cuisines=CUISINE?";
    assert!(err.ends_with(says), "{err}");

    let map = "merchant_id=OSM_TYPE+OSM_ID,name=NAME,latitude=LATITUDE,longitude=LONGITUDE,cuisines=CUISINE,\
               chain_id=BRAND,merchants.kind=CATEGORY";
    let pair = |pair: &str| pair.split_once('=').map(|(to, from)| (to.to_owned(), from.to_owned())).unwrap();
    let mapped = ReadOptions { map: map.split(',').map(pair).collect(), ..ReadOptions::default() };
    let (tables, report) = tables::read(&file, &mapped).unwrap();
    assert!(report.faults.is_empty(), "{report}");
    let wei = &tables.merchants[1];
    assert_eq!((wei.merchant_id.as_str(), wei.chain_id.as_deref()), ("way1", Some("Wei")));
    assert_eq!(wei.cuisines, ["chinese", "thai"]);
    assert_eq!(tables.merchants[0].kind, Kind::Grocery);

    let unused = ReadOptions { map: vec![("colour".into(), "NAME".into())], ..mapped.clone() };
    assert!(matches!(tables::read(&file, &ReadOptions { map: [mapped.map.clone(), unused.map].concat(), ..unused }),
        Err(TableError::UnusedMapping { column, .. }) if column == "colour"));

    if ottawa.is_file() {
        let (tables, report) = freshrank_offline::import::csv(&ottawa, &mapped).unwrap();
        assert_eq!(report.rows["merchants"] + report.lost("merchants"), 3880, "{report}");
        assert_eq!(report.faults["merchants: name missing"].count, 20);
        assert!(tables.merchants.iter().all(|merchant| merchant.country.as_deref() == Some("CA")));
    }
}

#[test]
fn parquet_of_other_programs_is_read() {
    let dir = dir();
    let mut labels = ListBuilder::new(StringBuilder::new());
    labels.append_value([Some("Pizza"), Some("ice cream")]);
    labels.append_null();
    let batch = RecordBatch::try_from_iter(vec![
        ("merchant_id", Arc::new(Int64Array::from(vec![1, 2])) as _),
        ("name", Arc::new(StringArray::from(vec!["Kuu", "Sea"])) as _),
        ("latitude", Arc::new(StringArray::from(vec!["60.1", "60.2"])) as _),
        ("longitude", Arc::new(Int64Array::from(vec![24, 25])) as _),
        ("cuisines", Arc::new(labels.finish()) as _),
        ("price_band", Arc::new(Int64Array::from(vec![Some(-1), None])) as _),
        ("listed_from", Arc::new(TimestampNanosecondArray::from(vec![Some(1_600_000_000_999_999_999), None])) as _),
    ])
    .unwrap();
    let write = |file: &str, batch: &RecordBatch| {
        let file = fs::File::create(dir.path().join(file)).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
    };
    write("merchants.parquet", &batch);
    let (tables, report) = tables::read(dir.path(), &ReadOptions::default()).unwrap();
    let kuu = &tables.merchants[0];
    assert_eq!((kuu.merchant_id.as_str(), kuu.latitude, kuu.longitude), ("1", 60.1, 24.0));
    assert_eq!(kuu.cuisines, ["pizza", "ice_cream"]);
    assert_eq!(kuu.listed_from, Some(1_600_000_000));
    let fault = &report.faults["merchants: price_band unreadable"];
    assert_eq!(fault.first, ["merchants.parquet:1: price_band: found \"-1\", expected 1 to 4"]);

    let seconds = RecordBatch::try_from_iter(vec![
        ("user_id", Arc::new(StringArray::from(vec!["u"])) as _),
        ("merchant_id", Arc::new(StringArray::from(vec!["1"])) as _),
        ("ordered_at", Arc::new(Int64Array::from(vec![1_600_000_000])) as _),
    ])
    .unwrap();
    write("orders.parquet", &seconds);
    let err = tables::read(dir.path(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(err.ends_with("column ordered_at: found Int64, expected an RFC 3339 time, 1970 to 2199"), "{err}");
}

#[test]
fn broken_parquet_is_an_error_and_no_panic() {
    let (good, broken) = (dir(), dir());
    tables::write(&Dice(7).tables(), good.path()).unwrap();
    let bytes = fs::read(good.path().join("merchants.parquet")).unwrap();
    for length in (0..bytes.len()).step_by(97) {
        put(&broken, "merchants.parquet", &bytes[..length]);
        let err = tables::read(broken.path(), &lenient()).unwrap_err().to_string();
        assert!(err.contains("merchants.parquet: not readable as Parquet"), "{err}");
    }
    for bit in (0..bytes.len() * 8).step_by(331) {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        put(&broken, "merchants.parquet", bytes);
        let _ = tables::read(broken.path(), &lenient());
    }
}

#[test]
fn an_older_file_never_stands_in_for_an_empty_table() {
    let dir = dir();
    let mut tables = Dice(3).tables();
    tables::write(&tables, dir.path()).unwrap();
    (tables.places, tables.events, tables.offers) = Default::default();
    tables::write(&tables, dir.path()).unwrap();
    assert_eq!(tables::read(dir.path(), &ReadOptions::default()).unwrap().0, tables);
    put(&dir, "events.csv", "user_id,at,kind\n");
    assert!(matches!(tables::write(&tables, dir.path()), Err(TableError::Stale { .. })));
}

#[test]
fn a_directory_without_merchants_says_what_it_has() {
    let dir = dir();
    put(&dir, "restaurants.xlsx", "");
    let err = tables::read(dir.path(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(err.ends_with("found neither merchants.parquet nor merchants.csv but restaurants.xlsx"), "{err}");
}
