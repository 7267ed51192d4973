//! Loaders on made-up samples in the published layouts (`tests/samples`), and on Entree's real files where they are.

use freshrank_offline::cuisines::Vocabulary;
use freshrank_offline::import::{self, DhrdOptions, LoadReport, OsmOptions};
use freshrank_offline::tables::read::Affine;
use freshrank_offline::tables::{ReadOptions, Report, Tables};
use std::fs;
use std::path::{Path, PathBuf};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name)
}

fn time(at: i64) -> String {
    freshrank::time::format(at)
}

fn left_out(report: &LoadReport) -> Vec<String> {
    let line = |(why, examples): (&&str, &import::Examples)| format!("{why}: {}", examples.first.join("; "));
    report.left_out.iter().map(line).collect()
}

#[test]
fn dishes_become_orders_with_a_date_on_their_own_weekday() {
    let (tables, report) = import::dhrd(&sample("dhrd"), &DhrdOptions::default()).unwrap();
    let vendors: Vec<String> = tables
        .merchants
        .iter()
        .map(|row| {
            let chain = row.chain_id.as_deref().unwrap_or("-");
            let country = row.country.as_deref().unwrap_or("-");
            format!(
                "{} {chain} {:.3},{:.3} {country} {}",
                row.merchant_id,
                row.latitude,
                row.longitude,
                row.cuisines.join(";")
            )
        })
        .collect();
    assert_eq!(
        vendors,
        [
            "aaaa000001 c0ffee0001 1.340,103.953 SG chinese",
            "aaaa000002 - 1.296,103.821 SG pizza",
            "aaaa000003 c0ffee0001 1.384,103.909 SG chinese",
            "aaaa000004 - 1.296,103.909 SG ",
        ]
    );
    // Day 0 is a Thursday (4), the first from Monday 2 January 2023 on; 12:30:05 in Singapore is 04:30:05 UTC.
    let orders: Vec<String> = tables
        .orders
        .iter()
        .map(|row| format!("{} {} {}", time(row.ordered_at), row.user_id, row.merchant_id))
        .collect();
    assert_eq!(
        orders,
        [
            "2023-01-05T04:30:05Z u00000000a aaaa000001",
            "2023-01-08T10:45:00Z u00000000a aaaa000002",
            "2023-01-06T15:59:59Z u00000000b aaaa000003",
            "2023-03-29T04:10:00Z u00000000a aaaa000001",
            "2023-03-30T11:05:30Z u00000000b aaaa000002",
        ]
    );
    assert_eq!(
        left_out(&report),
        [
            "dishes: an order of somebody else: orders_sg_train.txt:10: order_id: found \"o000000002\", expected one \
             customer, vendor and day for an order",
            "dishes: no day: orders_sg_train.txt:8: order_day: found \"soon\", expected a number of days, as \"61 days\"",
            "dishes: no geohash: orders_sg_train.txt:9: geohash: found \"aioll\", expected letters of a geohash",
            "dishes: no time: orders_sg_train.txt:7: order_time: found \"25:00:00\", expected a time of day, as 18:05:00",
            "dishes: unknown vendor: orders_sg_train.txt:6: vendor_id: found \"ffff000009\", expected an id of the vendors",
            "vendors: id missing or again: vendors_sg.txt:7: vendor_id: found \"aaaa000002\", expected each once",
            "vendors: no geohash: vendors_sg.txt:6: geohash: found \"wailo\", expected letters",
        ]
    );
    // The last one is a Monday (1) by its own word, but a Thursday by its day.
    assert_eq!(report.facts["orders whose weekday is not that of their day"], 1);
    assert!(report.notes[0].contains("dates are made up: day 0 is 2023-01-05"), "{report}");
    assert!(report.notes[1].contains("4.9 km by 4.9 km"), "{report}");
}

#[test]
fn a_folder_without_a_city_says_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let error = |options: &DhrdOptions| import::dhrd(folder.path(), options).unwrap_err().to_string();
    assert!(error(&DhrdOptions::default()).contains("found no vendors_CITY.txt, expected orders_CITY_train.txt"));
    fs::write(folder.path().join("vendors_se.txt"), "vendor_id,chain_id,geohash\n").unwrap();
    fs::write(folder.path().join("orders_se_train.txt"), "").unwrap();
    let text = error(&DhrdOptions::default());
    assert!(
        text.contains("vendors_se.txt: found no column primary_cuisine but vendor_id, chain_id, geohash"),
        "{text}"
    );
    let text = error(&DhrdOptions { city: Some("tw".into()), ..DhrdOptions::default() });
    assert!(text.contains("found no vendors_tw.txt"), "{text}");
}

#[test]
fn overtures_places_that_sell_food_are_merchants() {
    let options = OsmOptions { as_of: Some(jiff::civil::date(2026, 10, 23)), ..OsmOptions::default() };
    let (merchants, report) = import::overture(&sample("overture/places.geojson"), &options, 0.5).unwrap();
    let rows: Vec<String> = merchants
        .iter()
        .map(|row| {
            let chain = row.chain_id.as_deref().unwrap_or("-");
            let (country, url) = (row.country.as_deref().unwrap_or("-"), row.url.as_deref().unwrap_or("-"));
            format!("{} {chain} {} {country} {url} {}", row.name, row.kind.word(), row.cuisines.join(";"))
        })
        .collect();
    assert_eq!(
        rows,
        [
            "Made-up Pizza Q1 restaurant FI https://pizza.example/ pizza;italian",
            "Made-up Beans Beans & Co restaurant FI - coffee_shop;bakery",
            "Made-up Fast - restaurant FI - ",
        ]
    );
    let reasons: Vec<String> = report.left_out.iter().map(|(why, it)| format!("{why} {}", it.count)).collect();
    assert_eq!(reasons, ["closed 1", "no point on Earth 1", "not sure enough to exist 1", "the id of another place 1"]);
    assert_eq!(report.elements["place"], 8);
    assert_eq!(report.food.values().sum::<usize>(), merchants.len() + 4, "taken and left out are all");
    // A feature a line, as `geojsonseq` has it.
    let text = fs::read_to_string(sample("overture/places.geojson")).unwrap();
    let collection: serde_json::Value = serde_json::from_str(&text).unwrap();
    let features = collection["features"].as_array().unwrap();
    let lines: String = features.iter().map(|feature| format!("\u{1e}{feature}\n")).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("places.geojsonseq");
    fs::write(&file, lines).unwrap();
    assert_eq!(import::overture(&file, &options, 0.5).unwrap().0, merchants);
}

#[test]
#[allow(clippy::print_stderr, reason = "a skip must be seen")]
fn entrees_files_are_read_as_they_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/entree");
    if !folder.is_dir() {
        eprintln!("skipped: no ../shared/data/entree");
        return;
    }
    let vocabulary = Vocabulary::reviewed().unwrap();
    let (tables, report) = import::entree(&folder, None, &vocabulary).unwrap();
    assert_eq!((tables.merchants.len(), report.rows["sessions"]), (4160, 50_672), "{report}");
    assert!(tables.orders.is_empty(), "nobody ordered");
    let moti = tables.merchants.iter().find(|row| row.merchant_id == "chicago:0").unwrap();
    assert_eq!(moti.name, "Moti Mahal");
    assert!(moti.cuisines.iter().any(|label| label == "indian"), "{:?}", moti.cuisines);
    assert_eq!((moti.price_band, moti.quality), (Some(1), Some(0.6)));
    // The file's first session: 560L 110L, which ended with 110, at 12:17:05 in Chicago's summer.
    let first: Vec<String> = tables.events[..3]
        .iter()
        .map(|row| format!("{} {} {}", time(row.at), row.kind, row.merchant_id.as_deref().unwrap()))
        .collect();
    assert_eq!(
        first,
        [
            "1996-09-07T17:17:05Z seen chicago:560",
            "1996-09-07T17:17:05Z seen chicago:110",
            "1996-09-07T17:17:05Z click chicago:110",
        ]
    );
    let several = report.facts["restaurants with several cuisines"];
    assert!(several > 500, "{several} restaurants with several cuisines\n{report}");
    let (chicago, _) = import::entree(&folder, Some("chicago"), &vocabulary).unwrap();
    assert!(chicago.merchants.len() < 700 && chicago.events == tables.events);
}

fn read_csv(rows: &str, affine: &str) -> (Tables, Report) {
    let folder = tempfile::tempdir().unwrap();
    let merchants = "merchant_id,name,longitude,latitude,cuisines\na,A,0,0,pizza\nb,B,1000,-2000,sushi\n";
    fs::write(folder.path().join("merchants.csv"), merchants).unwrap();
    fs::write(folder.path().join("orders.csv"), rows).unwrap();
    let options =
        ReadOptions { affine: Some(Affine::parse(affine).unwrap()), max_bad_share: 0.9, ..ReadOptions::default() };
    import::csv(folder.path(), &options).unwrap()
}

#[test]
fn metres_and_masked_coordinates_are_brought_to_earth() {
    let orders = "user_id,merchant_id,ordered_at,longitude,latitude\n\
        u,a,2026-01-01T00:00:00Z,500,0\nu,a,2026-01-02T00:00:00Z,0,99999999\nu,a,2026-01-03T00:00:00Z,5,\n";
    let (tables, report) = read_csv(orders, "m@60.17,24.94");
    let point = |latitude: f64, longitude: f64| freshrank::geo::Point::new(latitude, longitude).unwrap();
    let of = |n: usize| point(tables.merchants[n].latitude, tables.merchants[n].longitude);
    // sqrt(1000^2 + 2000^2) m; a plane is not a sphere, by a few parts in ten thousand here.
    assert!((of(0).distance_km(of(1)) - 2.236_07).abs() < 2e-3, "{}", of(0).distance_km(of(1)));
    assert_eq!((of(0).latitude(), of(0).longitude()), (60.17, 24.94));
    assert_eq!(tables.merchants[0].country.as_deref(), Some("FI"));
    let order = &tables.orders[0];
    let to = point(order.latitude.unwrap(), order.longitude.unwrap());
    assert!((of(0).distance_km(to) - 0.5).abs() < 1e-3);
    let faults: Vec<&str> = report.faults.values().flat_map(|fault| fault.first.iter().map(String::as_str)).collect();
    assert_eq!(tables.orders.len(), 1);
    assert!(faults[0].starts_with("orders.csv:3: latitude: found 959.4"), "{faults:?}");
    assert!(faults[0].ends_with("after --affine, expected -90 to 90"), "{faults:?}");
    assert_eq!(report.rows["rows whose coordinates were mapped by --affine"], 3);

    // Masked by a turn and a scale: x and y are swapped here.
    let (tables, _) = read_csv("user_id,merchant_id,ordered_at\n", "0.00001,0,50,0,-0.00002,10");
    let found: Vec<(f64, f64)> = tables.merchants.iter().map(|row| (row.latitude, row.longitude)).collect();
    assert_eq!(found, [(50.0, 10.0), (50.01, 10.04)]);
}

#[test]
fn a_map_that_is_none_is_refused_with_what_was_expected() {
    for text in ["", "1,2,3", "1,2,3,4,5,x", "m@91,0", "m@60", "1,1,0,1,1,0", "inf,0,0,0,1,0"] {
        let error = Affine::parse(text).unwrap_err();
        assert!(error.starts_with(&format!("found {text:?}")) && error.contains("expected six numbers"), "{error}");
    }
}
