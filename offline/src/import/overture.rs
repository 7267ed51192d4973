//! Places of the Overture Maps Foundation: GeoParquet as published, or GeoJSON as `overturemaps download` writes it.
//!
//! A place that sells food is taken with its own category and its others as cuisines: `pizza_restaurant` is `pizza`.
//! Releases tell `categories` (primary, alternate), and from December 2025 on `taxonomy` (primary, hierarchy, alternates)
//! beside or instead of it; either is read, as <https://docs.overturemaps.org/schema/reference/places/place> has them.
//! `offline/overture.toml` says what a category sells. Coordinates are a point in WKB or GeoJSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ImportError, ImportReport, OsmOptions};
use crate::hours;
use crate::tables::{Kind, Merchant, labels};

/// Where it is published.
pub const PAGE: &str = "https://docs.overturemaps.org/getting-data/";

const EXPECTED: &str = "Overture places as GeoParquet or GeoJSON, see https://docs.overturemaps.org/getting-data/";

/// The columns that are read.
const COLUMNS: [&str; 10] = [
    "id",
    "geometry",
    "names",
    "categories",
    "taxonomy",
    "confidence",
    "websites",
    "brand",
    "addresses",
    "operating_status",
];

/// The reviewed list of this version.
const REVIEWED: &str = include_str!("../../overture.toml");

/// What categories sell.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reviewed {
    /// Meals: the cuisines that a category tells.
    restaurant: BTreeMap<String, String>,
    /// Food to take home: likewise.
    grocery: BTreeMap<String, String>,
    nothing: Nothing,
}

/// No food, though it stands among it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {
    categories: BTreeSet<String>,
}

impl Reviewed {
    fn read() -> Result<Self, ImportError> {
        toml::from_str(REVIEWED).map_err(|source| ImportError::Reviewed { file: "offline/overture.toml", source })
    }

    /// What a category says by its own name: the kind, and the cuisines it tells.
    fn named<'t>(&'t self, category: &'t str) -> Option<(Kind, &'t str)> {
        let of = |table: &'t BTreeMap<String, String>| table.get(category).map(String::as_str);
        let meals = of(&self.restaurant).or_else(|| category.strip_suffix("_restaurant"));
        meals.map(|cuisine| (Kind::Restaurant, cuisine)).or_else(|| Some((Kind::Grocery, of(&self.grocery)?)))
    }

    /// What is sold under the first category that says so; `None` where it is no food.
    fn sells<'t>(&'t self, categories: impl Iterator<Item = &'t str>) -> Option<(Kind, &'t str)> {
        let mut food = categories.take_while(|category| !self.nothing.categories.contains(*category));
        food.find_map(|category| self.named(category))
    }
}

/// Reads the places that sell food, at least as sure to exist as `least_confidence`, 0 to 1.
///
/// # Errors
/// The file is not readable, not such a file, or has no such place.
pub fn overture(
    path: &Path,
    options: &OsmOptions,
    least_confidence: f64,
) -> Result<(Vec<Merchant>, ImportReport), ImportError> {
    let mut report = ImportReport { source: path.display().to_string(), ..ImportReport::default() };
    let reviewed = Reviewed::read()?;
    let mut merchants = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut take = |place: &Value, report: &mut ImportReport| {
        *report.elements.entry("place").or_default() += 1;
        if let Some(merchant) = merchant(place, &reviewed, options, least_confidence, report) {
            if seen.insert(merchant.merchant_id.clone()) {
                merchants.push(merchant);
            } else {
                report.leave_out("the id of another place", || merchant.merchant_id.clone());
            }
        }
    };
    if path.extension().is_some_and(|ending| ending == "parquet") {
        parquet(path, &mut report, &mut take)?;
    } else {
        geojson(path, &mut report, &mut take)?;
    }
    report.describe(&merchants, options);
    if merchants.is_empty() {
        return Err(ImportError::Nothing { file: path.to_owned(), seen: report.elements.values().sum() });
    }
    Ok((merchants, report))
}

type Take<'t> = &'t mut dyn FnMut(&Value, &mut ImportReport);

fn geojson(path: &Path, report: &mut ImportReport, take: Take<'_>) -> Result<(), ImportError> {
    let io = |source| ImportError::Io { file: path.to_owned(), source };
    let format = |found: String| ImportError::Format { file: path.to_owned(), found, expected: EXPECTED };
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > super::geojson::MAX_BYTES {
        return Err(format(format!("{bytes} bytes, which is more than {}", super::geojson::MAX_BYTES)));
    }
    let text = std::fs::read_to_string(path).map_err(io)?;
    // `geojsonseq` has a feature a line, `geojson` one collection.
    let features = match serde_json::from_str::<Value>(&text) {
        Ok(mut collection) => match collection["features"].take() {
            Value::Array(features) => features,
            _ => return Err(format("no features".to_owned())),
        },
        Err(whole) => {
            let lines =
                text.lines().map(|line| line.trim_start_matches('\u{1e}').trim()).filter(|line| !line.is_empty());
            let features: Result<Vec<Value>, _> = lines.map(serde_json::from_str).collect();
            features.map_err(|_| format(whole.to_string()))?
        }
    };
    for mut feature in features {
        let mut place = feature["properties"].take();
        if place["id"].is_null() {
            place["id"] = feature["id"].take();
        }
        let at = &feature["geometry"];
        if at["type"] == "Point" {
            place["longitude"] = at["coordinates"][0].clone();
            place["latitude"] = at["coordinates"][1].clone();
        }
        take(&place, report);
    }
    Ok(())
}

fn parquet(path: &Path, report: &mut ImportReport, take: Take<'_>) -> Result<(), ImportError> {
    let io = |source| ImportError::Io { file: path.to_owned(), source };
    let format = |found: String| ImportError::Format { file: path.to_owned(), found, expected: EXPECTED };
    let opened = File::open(path).map_err(io)?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|err| format(err.to_string()))?;
    let held: Vec<usize> = (builder.schema().fields().iter().enumerate())
        .filter(|(_, field)| COLUMNS.contains(&field.name().as_str()))
        .map(|(at, _)| at)
        .collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), held);
    let batches = builder.with_projection(mask).with_batch_size(4096).build().map_err(|err| format(err.to_string()))?;
    for batch in batches {
        let batch = batch.map_err(|err| format(err.to_string()))?;
        let columns = columns(&batch).map_err(format)?;
        for row in 0..batch.num_rows() {
            let mut place = json!({});
            for (name, column) in &columns {
                if *name == "geometry" {
                    if let Some((longitude, latitude)) = point(column, row) {
                        place["longitude"] = longitude.into();
                        place["latitude"] = latitude.into();
                    }
                } else {
                    place[*name] = value(column, row);
                }
            }
            take(&place, report);
        }
    }
    Ok(())
}

fn columns(batch: &RecordBatch) -> Result<Vec<(&'static str, ArrayRef)>, String> {
    let mut columns = Vec::new();
    for name in COLUMNS {
        match batch.column_by_name(name) {
            Some(column) => columns.push((name, column.clone())),
            None if ["id", "geometry", "names"].contains(&name) => return Err(format!("no column {name}")),
            None => {}
        }
    }
    Ok(columns)
}

/// One cell as JSON; what is neither text, number, list nor struct of them is null.
fn value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Struct(fields) => {
            let of = array.as_struct();
            let pairs =
                fields.iter().zip(of.columns()).map(|(field, column)| (field.name().clone(), value(column, row)));
            Value::Object(pairs.collect())
        }
        DataType::List(_) => list(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row)),
        DataType::Map(..) => Value::Null,
        other if other.is_numeric() => match cast(array, &DataType::Float64) {
            Ok(numbers) => numbers.as_primitive::<arrow::datatypes::Float64Type>().value(row).into(),
            Err(_) => Value::Null,
        },
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
            match cast(&array.slice(row, 1), &DataType::Utf8) {
                Ok(text) => text.as_string::<i32>().value(0).into(),
                Err(_) => Value::Null,
            }
        }
        _ => Value::Null,
    }
}

fn list(items: &ArrayRef) -> Value {
    (0..items.len()).map(|item| value(items, item)).collect()
}

/// A point in WKB (ISO 19125-1, with or without Z, M and SRID): (x, y).
fn point(array: &ArrayRef, row: usize) -> Option<(f64, f64)> {
    if array.is_null(row) {
        return None;
    }
    let bytes = cast(&array.slice(row, 1), &DataType::Binary).ok()?;
    wkb_point(bytes.as_binary::<i32>().value(0))
}

fn wkb_point(bytes: &[u8]) -> Option<(f64, f64)> {
    let (order, rest) = bytes.split_first()?;
    let u32_at = |bytes: &[u8; 4]| if *order == 1 { u32::from_le_bytes(*bytes) } else { u32::from_be_bytes(*bytes) };
    let f64_at = |bytes: &[u8; 8]| if *order == 1 { f64::from_le_bytes(*bytes) } else { f64::from_be_bytes(*bytes) };
    let (kind, mut rest) = rest.split_first_chunk::<4>()?;
    let kind = u32_at(kind);
    if *order > 1 || (kind & 0x0fff_ffff) % 1000 != 1 {
        return None;
    }
    if kind & 0x2000_0000 != 0 {
        rest = rest.get(4..)?;
    }
    let (x, rest) = rest.split_first_chunk::<8>()?;
    Some((f64_at(x), f64_at(rest.first_chunk::<8>()?)))
}

fn merchant(
    place: &Value,
    reviewed: &Reviewed,
    options: &OsmOptions,
    least_confidence: f64,
    report: &mut ImportReport,
) -> Option<Merchant> {
    let text = |value: &Value| value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let texts = |value: &Value| -> Vec<String> { value.as_array().into_iter().flatten().filter_map(text).collect() };
    let either = |first: &Value, second: &Value| text(first).or_else(|| text(second));
    let (categories, taxonomy) = (&place["categories"], &place["taxonomy"]);
    let primary = either(&taxonomy["primary"], &categories["primary"])?;
    let others = [texts(&taxonomy["alternates"]), texts(&categories["alternate"])].concat();
    let above = texts(&taxonomy["hierarchy"]);
    // A bowling alley that also sells burgers is no restaurant.
    let (kind, cuisine) =
        reviewed.sells(std::iter::once(primary.as_str()).chain(above.iter().rev().map(String::as_str)))?;
    *report.food.entry(primary.clone()).or_default() += 1;

    let id = text(&place["id"]);
    let name = text(&place["names"]["primary"]);
    let shown = || format!("{} ({primary})", id.as_deref().unwrap_or("no id"));
    let (Some(id), Some(name)) = (id.clone(), name) else {
        report.leave_out("no id or no name", shown);
        return None;
    };
    let at = place["latitude"].as_f64().zip(place["longitude"].as_f64());
    let Some((latitude, longitude)) = at.filter(|(n, e)| n.abs() <= 90.0 && e.abs() <= 180.0) else {
        report.leave_out("no point on Earth", shown);
        return None;
    };
    if place["operating_status"].as_str().is_some_and(|status| status.contains("closed")) {
        report.leave_out("closed", shown);
        return None;
    }
    let confidence = place["confidence"].as_f64();
    if confidence.is_some_and(|confidence| confidence < least_confidence) {
        report.leave_out("not sure enough to exist", shown);
        return None;
    }
    let mut cuisines: Vec<String> = Vec::new();
    let told = std::iter::once(cuisine).chain(others.iter().filter_map(|other| Some(reviewed.named(other)?.1)));
    for label in told.flat_map(labels) {
        if !cuisines.contains(&label) {
            cuisines.push(label);
        }
    }
    let brand = &place["brand"];
    let country = text(&place["addresses"][0]["country"]).filter(|code| code.len() == 2 && code.is_ascii());
    let country = options.country.clone().or(country).map(|code| code.to_uppercase());
    Some(Merchant {
        merchant_id: id,
        name,
        chain_id: either(&brand["wikidata"], &brand["names"]["primary"]),
        kind,
        latitude,
        longitude,
        country: country.or_else(|| hours::country(latitude, longitude).map(str::to_owned)),
        cuisines,
        url: texts(&place["websites"]).into_iter().next(),
        ..Merchant::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuisines::Vocabulary;

    #[test]
    fn a_category_tells_what_it_sells_and_else_the_nearest_above_it() {
        let reviewed = Reviewed::read().unwrap();
        for (hierarchy, expected) in [
            ("eat_and_drink > restaurant", Some((Kind::Restaurant, ""))),
            (
                "food_and_drink > restaurant > european_restaurant > italian_restaurant",
                Some((Kind::Restaurant, "italian")),
            ),
            ("food_and_drink > casual_eatery > fast_food_restaurant", Some((Kind::Restaurant, ""))),
            ("food_and_drink > non_alcoholic_beverage_venue > coffee_shop", Some((Kind::Restaurant, "coffee_shop"))),
            // The schema's own example.
            ("food_and_drink > restaurant > casual_eatery > gas_station_sushi", Some((Kind::Restaurant, ""))),
            ("food_and_drink > alcoholic_beverage_venue > bar > made_up_bar", Some((Kind::Restaurant, "bar"))),
            ("food_and_drink > casual_eatery > bakery", Some((Kind::Grocery, "bakery"))),
            ("shopping > food_and_beverage_store > made_up_store", Some((Kind::Grocery, "grocery"))),
            ("shopping > food_and_beverage_store > tobacco_shop", None),
            ("services_and_business > financial_service > bank", None),
        ] {
            assert_eq!(reviewed.sells(hierarchy.rsplit(" > ")), expected, "{hierarchy}");
        }
    }

    #[test]
    fn a_category_stands_once_and_its_cuisines_are_reviewed_ones() {
        let reviewed = Reviewed::read().unwrap();
        let vocabulary = Vocabulary::reviewed().unwrap();
        let Reviewed { restaurant, grocery, nothing } = &reviewed;
        for category in grocery.keys().chain(&nothing.categories) {
            assert!(!restaurant.contains_key(category), "{category}");
        }
        assert!(nothing.categories.iter().all(|category| !grocery.contains_key(category)));
        let unknown: BTreeSet<String> = (restaurant.values().chain(grocery.values()))
            .flat_map(|cuisine| vocabulary.labels(std::slice::from_ref(cuisine)))
            .filter(|label| !vocabulary.knows(label))
            .collect();
        let expected = ["beverage", "cheese", "dairy", "flatbread", "himalayan", "kazakh", "raw_food"];
        assert_eq!(
            unknown.iter().map(String::as_str).collect::<Vec<_>>(),
            expected,
            "are not in offline/cuisines.toml"
        );
    }

    #[test]
    fn a_point_is_read_in_either_byte_order_and_nothing_else_is() {
        let little = [&[1, 1, 0, 0, 0][..], &24.94_f64.to_le_bytes(), &60.17_f64.to_le_bytes()].concat();
        let big = [&[0, 0, 0, 0, 1][..], &24.94_f64.to_be_bytes(), &60.17_f64.to_be_bytes()].concat();
        assert_eq!((wkb_point(&little), wkb_point(&big)), (Some((24.94, 60.17)), Some((24.94, 60.17))));
        let line = [&[1, 2, 0, 0, 0][..], &little[5..]].concat();
        assert_eq!((wkb_point(&line), wkb_point(&little[..20]), wkb_point(&[])), (None, None, None));
    }
}
