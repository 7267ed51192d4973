//! GeoJSON (RFC 7946) with OpenStreetMap's tags as properties.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::osm::mean;
use super::tags::{self, Found, Tags};
use super::{ImportError, ImportReport, OsmOptions};
use crate::tables::Merchant;

/// The largest file that is read, in bytes: it is held in memory as a whole.
pub const MAX_BYTES: u64 = 1 << 30;

const EXPECTED: &str = "a GeoJSON feature collection";

#[derive(Deserialize)]
struct Collection {
    features: Vec<Feature>,
}

#[derive(Deserialize)]
struct Feature {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    geometry: Value,
    #[serde(default)]
    properties: Option<serde_json::Map<String, Value>>,
}

/// Reads the merchants of a feature collection: points, and lines and areas as the mean of their outer corners.
///
/// A feature's own id is taken (`node/12` as `n12`); one without is known by a hash of its name and position.
///
/// # Errors
/// The file is not readable, too large, not such a collection, or has no merchant.
pub fn geojson(path: &Path, options: &OsmOptions) -> Result<(Vec<Merchant>, ImportReport), ImportError> {
    let io = |source| ImportError::Io { file: path.to_owned(), source };
    let format = |found: String| ImportError::Format { file: path.to_owned(), found, expected: EXPECTED };
    let bytes = fs::metadata(path).map_err(io)?.len();
    if bytes > MAX_BYTES {
        return Err(format(format!("{bytes} bytes, which is more than {MAX_BYTES}")));
    }
    let text = fs::read(path).map_err(io)?;
    let collection: Collection = serde_json::from_slice(&text).map_err(|err| format(err.to_string()))?;

    let mut report = ImportReport { source: path.display().to_string(), ..ImportReport::default() };
    report.elements.insert("feature", collection.features.len());
    let mut elements: Vec<Found> = Vec::new();
    for feature in collection.features {
        let properties = feature.properties.unwrap_or_default();
        let tags: Tags = properties
            .iter()
            .filter(|(key, _)| tags::matters(key))
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect();
        if tags::food(|key| tags.get(key).map(String::as_str)).is_none() {
            continue;
        }
        let position = mean(corners(&feature.geometry).into_iter());
        let own = [&feature.id, properties.get("@id").unwrap_or(&Value::Null)].into_iter().find_map(id);
        let id = own.unwrap_or_else(|| hashed(tags.get("name").map_or("", String::as_str), position));
        elements.push(Found { id, tags, position });
    }
    // Two features may be the same merchant under the same id, or the same name at the same place.
    let mut seen = std::collections::HashSet::new();
    let mut twice = Vec::new();
    elements.retain(|element| {
        seen.insert(element.id.clone()) || {
            twice.push(element.id.clone());
            false
        }
    });
    let merchants = tags::merchants(elements, options, &mut report);
    if !twice.is_empty() {
        *report.food.entry("listed twice".to_owned()).or_default() += twice.len();
    }
    for id in twice {
        report.leave_out("the id of another feature", || id);
    }
    if merchants.is_empty() {
        return Err(ImportError::Nothing { file: path.to_owned(), seen: report.elements.values().sum() });
    }
    Ok((merchants, report))
}

fn id(id: &Value) -> Option<String> {
    let id = match id {
        Value::String(id) => id.clone(),
        Value::Number(id) => id.to_string(),
        _ => return None,
    };
    Some(match id.split_once('/') {
        Some(("node", number)) => format!("n{number}"),
        Some(("way", number)) => format!("w{number}"),
        Some(("relation", number)) => format!("r{number}"),
        _ => id,
    })
}

fn hashed(name: &str, position: Option<(f64, f64)>) -> String {
    let (latitude, longitude) = position.unwrap_or_default();
    let digest = Sha256::digest(format!("{name}|{latitude:.7}|{longitude:.7}"));
    digest.iter().take(6).fold("g".to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

/// The corners of the outer line, (latitude, longitude); none of what is no point on Earth.
fn corners(geometry: &Value) -> Vec<(f64, f64)> {
    let point = |at: &Value| {
        let (longitude, latitude) = (at.get(0)?.as_f64()?, at.get(1)?.as_f64()?);
        (latitude.abs() <= 90.0 && longitude.abs() <= 180.0).then_some((latitude, longitude))
    };
    let at = &geometry["coordinates"];
    let line = match geometry["type"].as_str() {
        Some("Point") => return point(at).into_iter().collect(),
        Some("LineString") => at,
        Some("Polygon") => &at[0],
        Some("MultiPolygon") => &at[0][0],
        _ => return Vec::new(),
    };
    let line = line.as_array().map_or(&[][..], Vec::as_slice);
    let closed = line.len() > 1 && line.first() == line.last();
    line[..line.len() - usize::from(closed)].iter().filter_map(point).collect()
}
