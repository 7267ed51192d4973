//! OpenStreetMap extracts (.osm.pbf): nodes, and ways as the mean of their nodes.

use std::collections::HashMap;
use std::path::Path;

use osmpbf::{Element, ElementReader};

use super::tags::{self, Found, Tags};
use super::{ImportError, ImportReport, OsmOptions};
use crate::tables::Merchant;

/// Reads the merchants of an extract: nodes in the file's order, then ways.
///
/// Relations are counted, not read: a shop whose outline has holes is a rarity.
///
/// # Errors
/// The file is not readable, not an extract, or has no merchant.
pub fn osm(path: &Path, options: &OsmOptions) -> Result<(Vec<Merchant>, ImportReport), ImportError> {
    let mut report = ImportReport { source: path.display().to_string(), ..ImportReport::default() };
    let (mut nodes, mut ways) = (Vec::new(), Vec::new());
    let mut count = |sort: &'static str| *report.elements.entry(sort).or_default() += 1;
    let mut relations = Vec::new();
    each(path, |element| match element {
        Element::Node(node) => {
            count("node");
            nodes.extend(food(node.tags()).map(|tags| found('n', node.id(), tags, Some((node.lat(), node.lon())))));
        }
        Element::DenseNode(node) => {
            count("node");
            nodes.extend(food(node.tags()).map(|tags| found('n', node.id(), tags, Some((node.lat(), node.lon())))));
        }
        Element::Way(way) => {
            count("way");
            if let Some(tags) = food(way.tags()) {
                ways.push((found('w', way.id(), tags, None), way.refs().collect::<Vec<i64>>()));
            }
        }
        Element::Relation(relation) => {
            count("relation");
            relations.extend(food(relation.tags()).map(|tags| found('r', relation.id(), tags, None)));
        }
    })?;

    // A node comes before the ways that use it: their positions need a second pass.
    let mut corners: HashMap<i64, Option<(f64, f64)>> =
        ways.iter().flat_map(|(_, refs)| refs).map(|node| (*node, None)).collect();
    if !corners.is_empty() {
        each(path, |element| {
            let (id, position) = match element {
                Element::Node(node) => (node.id(), (node.lat(), node.lon())),
                Element::DenseNode(node) => (node.id(), (node.lat(), node.lon())),
                _ => return,
            };
            corners.entry(id).and_modify(|corner| *corner = Some(position));
        })?;
    }
    for (way, refs) in &mut ways {
        // A closed way names its first node again at its end.
        if refs.len() > 1 && refs.first() == refs.last() {
            refs.pop();
        }
        way.position = mean(refs.iter().filter_map(|node| corners.get(node).copied().flatten()));
    }
    let elements = nodes.into_iter().chain(ways.into_iter().map(|(way, _)| way)).chain(relations).collect();
    let merchants = tags::merchants(elements, options, &mut report);
    if merchants.is_empty() {
        return Err(ImportError::Nothing { file: path.to_owned(), seen: report.elements.values().sum() });
    }
    Ok((merchants, report))
}

fn found(sort: char, id: i64, tags: Tags, position: Option<(f64, f64)>) -> Found {
    Found { id: format!("{sort}{id}"), tags, position }
}

/// The tags of an element that sells food.
fn food<'t>(tags: impl Iterator<Item = (&'t str, &'t str)>) -> Option<Tags> {
    let tags: Tags =
        tags.filter(|(key, _)| tags::matters(key)).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    tags::food(|key| tags.get(key).map(String::as_str))?;
    Some(tags)
}

/// The mean of some points; none of none.
pub(super) fn mean(points: impl Iterator<Item = (f64, f64)>) -> Option<(f64, f64)> {
    let (mut n, mut north, mut east) = (0.0, 0.0, 0.0);
    for (latitude, longitude) in points {
        n += 1.0;
        north += latitude;
        east += longitude;
    }
    (n > 0.0).then(|| (north / n, east / n))
}

fn each(path: &Path, visit: impl for<'a> FnMut(Element<'a>)) -> Result<(), ImportError> {
    let format = |err: osmpbf::Error| match err.into_kind() {
        osmpbf::ErrorKind::Io(source) => ImportError::Io { file: path.to_owned(), source },
        other => ImportError::Format {
            file: path.to_owned(),
            found: format!("{other:?}").chars().take(200).collect(),
            expected: "an OpenStreetMap extract (.osm.pbf)",
        },
    };
    ElementReader::from_path(path).map_err(format)?.for_each(visit).map_err(format)
}
