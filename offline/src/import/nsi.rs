//! Chains of the name-suggestion-index: what goes together on the menus of the world's food chains.
//!
//! A city's map has few merchants with more than one cuisine; this index has hundreds of chains with several. They
//! have no place, hence are no merchants to rank: they are for fitting the cuisine map only.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Deserialize;

use super::tags::{self, Tags};
use super::{ImportError, ImportReport};
use crate::cuisines::Vocabulary;
use crate::tables::{Kind, Merchant};

/// Where it is published, dist/json/nsi.json in it.
pub const PAGE: &str = "https://www.npmjs.com/package/name-suggestion-index";

const EXPECTED: &str = "a name-suggestion-index, {\"nsi\": {\"brands/amenity/cafe\": {\"items\": [...]}}}";

#[derive(Deserialize)]
struct Index {
    nsi: BTreeMap<String, Category>,
}

#[derive(Deserialize)]
struct Category {
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    id: String,
    #[serde(rename = "displayName")]
    name: String,
    #[serde(default)]
    tags: Tags,
}

/// Reads the chains that sell food and say which, as rows without a place; the index is `dist/json/nsi.json` of its
/// package.
///
/// A chain is known by its Wikidata item, as in [`super::osm()`]: rows of one chain, and its outlets elsewhere, count
/// once. Cuisines are in the vocabulary's spelling; labels that it does not name are kept, and the map counts them.
///
/// # Errors
/// The file is not readable, no such index, or has no such chain.
pub fn nsi(path: &Path, vocabulary: &Vocabulary) -> Result<(Vec<Merchant>, ImportReport), ImportError> {
    let file = File::open(path).map_err(|source| ImportError::Io { file: path.to_owned(), source })?;
    let index: Index = serde_json::from_reader(BufReader::new(file)).map_err(|err| ImportError::Format {
        file: path.to_owned(),
        found: err.to_string(),
        expected: EXPECTED,
    })?;

    let mut report = ImportReport { source: path.display().to_string(), ..ImportReport::default() };
    let mut chains = Vec::new();
    let brands = index.nsi.into_iter().filter(|(tree, _)| tree.starts_with("brands/"));
    for Item { id, name, tags } in brands.flat_map(|(_, category)| category.items) {
        *report.elements.entry("brand").or_default() += 1;
        let tag = |key: &str| tags.get(key).map(String::as_str);
        let Some((key, category)) = tags::food(tag) else {
            continue;
        };
        *report.food.entry(format!("{key}={category}")).or_default() += 1;
        let Some(cuisine) = tag("cuisine") else {
            report.leave_out("no cuisine", || format!("{id} ({name})"));
            continue;
        };
        let cuisines = vocabulary.labels(&[cuisine.to_owned()]);
        if cuisines.is_empty() {
            report.leave_out("no cuisine", || format!("{id} ({name}): {cuisine}"));
            continue;
        }
        report.fact(
            "cuisines that the reviewed table does not name",
            cuisines.iter().any(|label| !vocabulary.knows(label)),
        );
        report.fact("several cuisines", cuisines.len() > 1);
        chains.push(Merchant {
            chain_id: Some(tag("brand:wikidata").unwrap_or(&id).to_owned()),
            kind: Kind::from_word(category).unwrap_or_default(),
            merchant_id: format!("nsi:{id}"),
            name,
            cuisines,
            ..Merchant::default()
        });
    }
    report.merchants = chains.len();
    if chains.is_empty() {
        return Err(ImportError::Nothing { file: path.to_owned(), seen: report.elements.values().sum() });
    }
    Ok((chains, report))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = r#"{"_meta": {"version": "0"}, "nsi": {
        "brands/amenity/fast_food": {"properties": {"path": "brands/amenity/fast_food"}, "items": [
            {"displayName": "Cluck", "id": "cluck-1", "locationSet": {"include": ["001"]}, "tags":
                {"amenity": "fast_food", "brand": "Cluck", "brand:wikidata": "Q1", "cuisine": "burger;chicken;pranzwurst"}},
            {"displayName": "Клак", "id": "cluck-2", "tags":
                {"amenity": "fast_food", "brand": "Клак", "brand:wikidata": "Q1", "cuisine": "Wings"}},
            {"displayName": "Snackery", "id": "snackery-1", "tags": {"amenity": "fast_food", "cuisine": " ; "}}]},
        "brands/shop/bakery": {"items": [
            {"displayName": "Crumb", "id": "crumb-1", "tags": {"shop": "bakery", "cuisine": "pretzel"}},
            {"displayName": "Loaf", "id": "loaf-1", "tags": {"shop": "bakery"}}]},
        "brands/shop/clothes": {"items": [
            {"displayName": "Socks", "id": "socks-1", "tags": {"shop": "clothes", "cuisine": "pizza"}}]},
        "operators/amenity/cafe": {"items": [
            {"displayName": "Campus", "id": "campus-1", "tags": {"amenity": "cafe", "cuisine": "coffee_shop"}}]}}}"#;

    fn read(text: &str) -> Result<(Vec<Merchant>, ImportReport), ImportError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nsi.json");
        std::fs::write(&path, text).unwrap();
        nsi(&path, &Vocabulary::reviewed().unwrap())
    }

    #[test]
    fn a_chain_that_says_what_it_cooks_is_a_row_and_the_rest_has_a_reason() {
        let (chains, report) = read(INDEX).unwrap();
        let rows: Vec<String> = chains
            .iter()
            .map(|row| {
                let chain = row.chain_id.as_deref().unwrap();
                format!("{} {chain} {} {}", row.merchant_id, row.name, row.cuisines.join(";"))
            })
            .collect();
        assert_eq!(
            rows,
            [
                "nsi:cluck-1 Q1 Cluck burger;chicken;pranzwurst",
                "nsi:cluck-2 Q1 Клак chicken_wing",
                "nsi:crumb-1 crumb-1 Crumb pretzel",
            ]
        );
        assert_eq!(
            chains.iter().map(|row| row.kind).collect::<Vec<_>>(),
            [Kind::Restaurant, Kind::Restaurant, Kind::Grocery]
        );
        assert_eq!((report.merchants, report.elements["brand"]), (3, 6));
        assert_eq!(report.facts["several cuisines"], 1);
        assert_eq!(report.facts["cuisines that the reviewed table does not name"], 1);
        let left_out: Vec<String> = report
            .left_out
            .iter()
            .map(|(reason, examples)| format!("{reason}: {}", examples.first.join(", ")))
            .collect();
        assert_eq!(left_out, ["no cuisine: snackery-1 (Snackery):  ; , loaf-1 (Loaf)"]);
        assert_eq!(report.food.values().sum::<usize>(), 5, "taken and left out are all");
    }

    #[test]
    fn what_is_no_index_is_refused_by_name() {
        let error = read(r#"{"type": "FeatureCollection"}"#).unwrap_err().to_string();
        assert!(error.contains("nsi.json: found missing field `nsi`"), "{error}");
        let error = read(r#"{"nsi": {"brands/amenity/bank": {}}}"#).unwrap_err().to_string();
        assert!(error.ends_with("found no merchant among 0 elements"), "{error}");
    }
}
