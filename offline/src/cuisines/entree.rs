//! Entree's restaurants as merchants with cuisines: 4,160 in eight American cities, 1996 to 1999.
//!
//! They have no position and a feature where others have a label; `offline/entree.toml` says which features are cuisines.

use super::CuisineError;
use super::vocabulary::plain;
use crate::tables::Merchant;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The reviewed list of this version.
const REVIEWED: &str = include_str!("../../entree.toml");
/// Files of the folder that are no city.
const NO_CITY: [&str; 2] = ["features.txt", "README.txt"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    cuisines: BTreeSet<String>,
}

/// What was in the folder.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EntreeReport {
    /// Restaurants by city.
    pub restaurants: BTreeMap<String, usize>,
    /// Restaurants with a cuisine.
    pub with_cuisines: usize,
    /// Features that are cuisines, of all.
    pub cuisine_features: (usize, usize),
}

/// Reads a folder of Entree: `features.txt` (id, tab, name) and a file for each city (id, tab, name, tab, feature ids).
///
/// Restaurants of one name count as one chain, in whatever city.
///
/// # Errors
/// A file that is not readable, or the line and part that is not in this form.
pub fn entree(folder: &Path) -> Result<(Vec<Merchant>, EntreeReport), CuisineError> {
    let table: Table = toml::from_str(REVIEWED).map_err(CuisineError::EntreeTable)?;
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| CuisineError::Io { path, source }
    };
    let path = folder.join("features.txt");
    let mut features = BTreeMap::new();
    for (row, line) in latin1(&path)?.lines().enumerate() {
        let Some((id, name)) = line.split_once('\t') else {
            let (found, expected) = (format!("{line:?}"), "an id, a tab and a name");
            return Err(CuisineError::Line { file: path, row: row + 1, column: "feature", found, expected });
        };
        features.insert(id.to_owned(), name.trim().to_owned());
    }

    let mut cities: Vec<_> =
        std::fs::read_dir(folder).map_err(io(folder))?.flatten().map(|entry| entry.path()).collect();
    cities.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".txt") && !NO_CITY.contains(&name)
    });
    cities.sort();

    let cuisines = features.values().filter(|name| table.cuisines.contains(*name)).count();
    let mut report = EntreeReport { cuisine_features: (cuisines, features.len()), ..EntreeReport::default() };
    let mut merchants = Vec::new();
    for path in cities {
        let city = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        for (row, line) in latin1(&path)?.lines().enumerate() {
            let bad = |column, found: &str, expected| {
                let found = format!("{found:?}");
                CuisineError::Line { file: path.clone(), row: row + 1, column, found, expected }
            };
            let [id, name, ids] = line.split('\t').collect::<Vec<_>>()[..] else {
                return Err(bad("line", line, "an id, a name and feature ids, with tabs between"));
            };
            let mut labels = Vec::new();
            for id in ids.split_whitespace() {
                let feature = features.get(id).ok_or_else(|| bad("features", id, "an id of features.txt"))?;
                if table.cuisines.contains(feature) {
                    labels.push(feature.clone());
                }
            }
            *report.restaurants.entry(city.clone()).or_default() += 1;
            report.with_cuisines += usize::from(!labels.is_empty());
            merchants.push(Merchant {
                merchant_id: format!("entree:{city}:{id}"),
                chain_id: plain(name).map(|name| format!("entree:{name}")),
                name: name.trim().to_owned(),
                cuisines: labels,
                ..Merchant::default()
            });
        }
    }
    Ok((merchants, report))
}

/// The files are older than UTF-8.
fn latin1(path: &Path) -> Result<String, CuisineError> {
    let bytes = std::fs::read(path).map_err(|source| CuisineError::Io { path: path.to_owned(), source })?;
    Ok(bytes.into_iter().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuisines::Vocabulary;

    fn folder(city: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("features.txt"),
            "005\tAmerican (New)\n024\tCreative\n096\tFrench-Japanese\n",
        )
        .unwrap();
        std::fs::write(folder.path().join("springfield.txt"), city).unwrap();
        folder
    }

    #[test]
    fn what_is_cooked_is_read_and_what_is_not_is_left() {
        let vocabulary = Vocabulary::reviewed().unwrap();
        let folder = folder("0000000\tCafe Moe's\t024 005\n0000001\t CAFE MOES\t096\n0000002\tElsewhere\t024\n");
        let (merchants, report) = entree(folder.path()).unwrap();
        let rows: Vec<String> = merchants
            .iter()
            .map(|m| {
                format!(
                    "{} {} {}",
                    m.merchant_id,
                    m.chain_id.as_deref().unwrap(),
                    vocabulary.labels(&m.cuisines).join(";")
                )
            })
            .collect();
        assert_eq!(rows[0].split(' ').next_back(), Some("new_american"));
        assert_eq!(rows[1].split(' ').next_back(), Some("french;japanese"));
        assert_eq!(merchants[0].chain_id, merchants[1].chain_id, "one name is one chain");
        assert_eq!((report.with_cuisines, report.cuisine_features), (2, (2, 3)));
    }

    #[test]
    fn a_line_in_another_form_is_named() {
        for (city, says) in [
            ("0000000\tMoe's\t999\n", r#"springfield.txt:1: features: found "999", expected an id of features.txt"#),
            ("ok\tok\t005\nbad\n", r#"springfield.txt:2: line: found "bad", expected an id, a name and feature ids"#),
        ] {
            let error = entree(folder(city).path()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn every_listed_cuisine_has_a_label_that_the_reviewed_table_names() {
        let vocabulary = Vocabulary::reviewed().unwrap();
        let table: Table = toml::from_str(REVIEWED).unwrap();
        for name in table.cuisines {
            for label in vocabulary.labels(std::slice::from_ref(&name)) {
                assert!(vocabulary.knows(&label), "{name}: {label}");
            }
        }
    }
}
