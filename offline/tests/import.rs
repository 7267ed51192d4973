//! Real merchants: the cities that come with the project or are fetched by its setup.

use std::path::{Path, PathBuf};

use freshrank_offline::import::{self, OsmOptions};
use jiff::civil::date;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Extracts are fetched, not committed: without them a test has nothing to say.
fn data(path: &str) -> Option<PathBuf> {
    let path = root().join(path);
    path.is_file().then_some(path)
}

fn options() -> OsmOptions {
    OsmOptions { country: None, as_of: Some(date(2026, 11, 16)) }
}

#[test]
fn every_food_place_of_helsinki_is_a_merchant_or_left_out_with_a_reason() {
    let Some(path) = data("target/data/helsinki.osm.pbf") else {
        return;
    };
    let (merchants, report) = import::osm(&path, &options()).unwrap();
    let left_out: usize = report.left_out.values().map(|examples| examples.count).sum();
    assert_eq!(report.food.values().sum::<usize>(), merchants.len() + left_out);
    assert_eq!(merchants.len(), 458, "{report}");
    assert_eq!(report.left_out["no name and no brand"].count, 6);
    assert_eq!(report.left_out["no position in this extract"].first, ["r335178 (Spårakoff)"]);
    assert_eq!(report.hours.given, report.hours.compiled + report.hours.unreadable.count);
    assert!(merchants.iter().all(|merchant| merchant.country.as_deref() == Some("FI")));
    assert!(merchants.iter().all(|merchant| (60.1..60.3).contains(&merchant.latitude)));
    let ids: std::collections::BTreeSet<_> = merchants.iter().map(|merchant| &merchant.merchant_id).collect();
    assert_eq!(ids.len(), merchants.len());
}

/// The figure that others give for this extract, nodes and ways: five amenities and three kinds of shops, nameless ones
/// included.
#[test]
fn helsinki_has_448_food_places_and_225_with_hours() {
    const FOOD: [&str; 8] = ["restaurant", "fast_food", "cafe", "pub", "bar", "bakery", "supermarket", "convenience"];
    let Some(path) = data("target/data/helsinki.osm.pbf") else {
        return;
    };
    let (mut places, mut with_hours) = (0, 0);
    let mut see = |tags: Vec<(&str, &str)>| {
        let get = |key: &str| tags.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        let food = |key: &str| get(key).is_some_and(|value| FOOD.contains(&value));
        if food("amenity") || food("shop") {
            places += 1;
            with_hours += usize::from(get("opening_hours").is_some());
        }
    };
    osmpbf::ElementReader::from_path(path)
        .unwrap()
        .for_each(|element| match element {
            osmpbf::Element::Node(node) => see(node.tags().collect()),
            osmpbf::Element::DenseNode(node) => see(node.tags().collect()),
            osmpbf::Element::Way(way) => see(way.tags().collect()),
            osmpbf::Element::Relation(_) => {}
        })
        .unwrap();
    assert_eq!((places, with_hours), (448, 225));
}

#[test]
fn copenhagen_is_read_from_geojson() {
    let Some(path) = data("../shared/data/osm/copenhagen.geojson") else {
        return;
    };
    let (merchants, report) = import::geojson(&path, &options()).unwrap();
    assert_eq!((merchants.len(), report.elements["feature"]), (777, 778), "{report}");
    assert_eq!(report.countries, [("DK".to_owned(), 777)].into());
    assert_eq!((report.hours.given, report.hours.compiled), (556, 545), "{report}");
    let again = import::geojson(&path, &options()).unwrap().0;
    assert_eq!(merchants, again, "ids are the same every time");
}

#[test]
fn a_broken_extract_is_an_error_or_fewer_merchants_and_never_a_panic() {
    let Some(path) = data("target/data/helsinki.osm.pbf") else {
        return;
    };
    let bytes = std::fs::read(path).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("broken.osm.pbf");
    let whole = 458;
    let outcome = |bytes: &[u8]| {
        std::fs::write(&broken, bytes).unwrap();
        match import::osm(&broken, &OsmOptions::default()) {
            Ok((merchants, _)) => assert!(merchants.len() <= whole),
            Err(err) => assert!(err.to_string().contains("broken.osm.pbf"), "{err}"),
        }
    };
    for length in (0..bytes.len()).step_by(bytes.len() / 16) {
        outcome(&bytes[..length]);
    }
    for bit in (0..bytes.len() * 8).step_by(bytes.len() / 2) {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        outcome(&bytes);
    }
    for bit in 0..400 {
        let mut bytes = bytes[..bytes.len() / 8].to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        outcome(&bytes);
    }
}

#[test]
fn tags_become_facts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("three.geojson");
    std::fs::write(
        &path,
        r#"{"type": "FeatureCollection", "features": [
            {"id": "node/1", "geometry": {"type": "Point", "coordinates": [24.94, 60.17]}, "properties": {
                "amenity": "nightclub;fast_food", "name": " Hesburger ", "brand": "Hesburger", "brand:wikidata": "Q1276832",
                "cuisine": "Burger;fish and chips; burger", "contact:website": "https://example.org", "addr:country": "fi"}},
            {"id": "way/2", "geometry": {"type": "Polygon", "coordinates": [[[24.0, 60.0], [24.2, 60.0], [24.2, 60.2], [24.0, 60.2], [24.0, 60.0]]]},
                "properties": {"shop": "bakery", "name": "HESBURGER", "opening_hours": "whenever"}},
            {"geometry": {"type": "Point", "coordinates": [12.5, 55.7]}, "properties": {"amenity": "cafe", "brand": "Kaffe"}},
            {"geometry": {"type": "Point", "coordinates": [12.5, 55.7]}, "properties": {"amenity": "cafe", "brand": "Kaffe"}},
            {"geometry": {"type": "Point", "coordinates": [12.5, 155.7]}, "properties": {"amenity": "pub", "name": "Beyond"}},
            {"geometry": null, "properties": {"amenity": "bench", "name": "Not food"}},
            {"geometry": {"type": "Point", "coordinates": [12.5, 55.7]}, "properties": null}
        ]}"#,
    )
    .unwrap();
    let (merchants, report) = import::geojson(&path, &options()).unwrap();
    let told: Vec<String> = merchants
        .iter()
        .map(|m| {
            let (chain, country) = (m.chain_id.as_deref().unwrap_or("-"), m.country.as_deref().unwrap_or("-"));
            let (id, name, kind) = (&m.merchant_id, &m.name, m.kind.word());
            format!(
                "{id} {name} {kind} {chain} {country} {} {:.1},{:.1}",
                m.cuisines.join("+"),
                m.latitude,
                m.longitude
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "n1 Hesburger restaurant Q1276832 FI burger+fish_and_chips 60.2,24.9",
            "w2 HESBURGER grocery Q1276832 FI bakery 60.1,24.1",
            &format!("{} Kaffe restaurant kaffe DK cafe 55.7,12.5", merchants[2].merchant_id),
        ]
    );
    assert_eq!(report.left_out["no position in this extract"].count, 1);
    assert_eq!(report.left_out["the id of another feature"].count, 1);
    assert_eq!(
        report.hours.unreadable.first,
        ["w2 (HESBURGER): opening hours \"whenever\": not understood after 0 characters, from \"whenever\" on"]
    );
    let left_out: usize = report.left_out.values().map(|examples| examples.count).sum();
    assert_eq!(report.food.values().sum::<usize>(), merchants.len() + left_out);
}
