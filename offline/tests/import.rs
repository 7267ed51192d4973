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
    OsmOptions {
        country: None,
        as_of: Some(date(2026, 11, 16)),
    }
}

#[test]
fn helsinki_has_448_food_places_and_225_with_hours() {
    let Some(path) = data("target/data/helsinki.osm.pbf") else {
        return;
    };
    let (merchants, report) = import::osm(&path, &options()).unwrap();
    println!("{report}");
    let left_out: usize = report.left_out.values().map(|examples| examples.count).sum();
    assert_eq!(report.food.values().sum::<usize>(), merchants.len() + left_out);
    assert!(
        merchants
            .iter()
            .all(|merchant| merchant.country.as_deref() == Some("FI"))
    );
}

#[test]
fn copenhagen_is_read_from_geojson() {
    let Some(path) = data("../shared/data/osm/copenhagen.geojson") else {
        return;
    };
    let (merchants, report) = import::geojson(&path, &options()).unwrap();
    println!("{report}");
    assert_eq!(merchants.len(), 777);
}

#[test]
#[ignore = "prints which categories make up the figure of 448"]
fn which_categories_are_counted() {
    let Some(path) = data("target/data/helsinki.osm.pbf") else {
        return;
    };
    let mut counts = std::collections::BTreeMap::<String, (usize, usize, usize)>::new();
    let mut see = |sort: &str, tags: Vec<(&str, &str)>| {
        let get = |key: &str| tags.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        for key in ["amenity", "shop"] {
            if let Some(value) = get(key) {
                let count = counts.entry(format!("{sort} {key}={value}")).or_default();
                count.0 += 1;
                count.1 += usize::from(get("name").is_some());
                count.2 += usize::from(get("opening_hours").is_some());
            }
        }
    };
    osmpbf::ElementReader::from_path(path)
        .unwrap()
        .for_each(|element| match element {
            osmpbf::Element::Node(node) => see("node", node.tags().collect()),
            osmpbf::Element::DenseNode(node) => see("node", node.tags().collect()),
            osmpbf::Element::Way(way) => see("way", way.tags().collect()),
            osmpbf::Element::Relation(relation) => see("relation", relation.tags().collect()),
        })
        .unwrap();
    println!("{counts:#?}");
}
