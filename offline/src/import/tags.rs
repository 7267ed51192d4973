//! From OpenStreetMap's tags to a merchant.

use std::collections::{BTreeMap, HashMap};

use super::{ImportReport, OsmOptions};
use crate::hours;
use crate::tables::{Kind, Merchant, labels};

/// The tags of one element.
pub type Tags = BTreeMap<String, String>;

/// Keys that are kept of an element; all others are forgotten while reading.
const KEYS: [&str; 13] = [
    "amenity",
    "shop",
    "name",
    "brand",
    "brand:wikidata",
    "cuisine",
    "opening_hours",
    "website",
    "contact:website",
    "url",
    "brand:website",
    "addr:country",
    "image",
];

const AMENITIES: [&str; 8] = ["restaurant", "fast_food", "cafe", "pub", "bar", "biergarten", "food_court", "ice_cream"];

/// Categories that say nothing about what is sold there.
const SAY_NOTHING: [&str; 3] = ["restaurant", "fast_food", "food_court"];

/// Whether a key matters here.
#[must_use]
pub fn matters(key: &str) -> bool {
    KEYS.contains(&key)
}

/// The tag that makes an element a merchant (`("amenity", "restaurant")`), if one does.
#[must_use]
pub fn food<'t>(get: impl Fn(&str) -> Option<&'t str>) -> Option<(&'static str, &'t str)> {
    // A place may be two things at once: `nightclub;restaurant`.
    let sold = |key, sells: fn(&str) -> bool| get(key)?.split(';').map(str::trim).find(|word| sells(word));
    let shop = |word: &str| Kind::from_word(word) == Some(Kind::Grocery) && word != "grocery";
    let amenity = sold("amenity", |word| AMENITIES.contains(&word));
    amenity.map(|word| ("amenity", word)).or_else(|| sold("shop", shop).map(|word| ("shop", word)))
}

/// An element that sells food, and where it is.
pub struct Found {
    /// `n123`, `w123`.
    pub id: String,
    /// Those that [`matters`] lets through.
    pub tags: Tags,
    /// Degrees north, degrees east; none when the extract lacks the nodes.
    pub position: Option<(f64, f64)>,
}

/// Turns elements into merchants, ordered as they are, and says what became of each.
pub fn merchants(found: Vec<Found>, options: &OsmOptions, report: &mut ImportReport) -> Vec<Merchant> {
    // Mappers tag a brand with its Wikidata item here and without it there: one chain all the same.
    let get = |found: &Found, key: &str| found.tags.get(key).map(|text| text.trim().to_owned());
    let mut items: HashMap<String, String> = HashMap::new();
    for element in &found {
        if let (Some(brand), Some(item)) = (get(element, "brand"), get(element, "brand:wikidata")) {
            items.entry(slug(&brand)).or_insert(item);
        }
    }
    let brands: std::collections::HashSet<String> =
        found.iter().filter_map(|element| get(element, "brand")).map(|brand| slug(&brand)).collect();

    let mut merchants = Vec::with_capacity(found.len());
    for element in found {
        let tag = |key: &str| element.tags.get(key).map(|text| text.trim()).filter(|text| !text.is_empty());
        let Some((key, category)) = food(tag) else {
            continue;
        };
        *report.food.entry(format!("{key}={category}")).or_default() += 1;

        let Some(name) = tag("name").or_else(|| tag("brand")) else {
            report.leave_out("no name and no brand", || format!("{} ({key}={category})", element.id));
            continue;
        };
        let Some((latitude, longitude)) = element.position else {
            report.leave_out("no position in this extract", || format!("{} ({name})", element.id));
            continue;
        };
        let chain_id = match (tag("brand:wikidata"), tag("brand")) {
            (Some(item), _) => Some(item.to_owned()),
            (None, Some(brand)) => Some(slug(brand)).map(|brand| items.get(&brand).cloned().unwrap_or(brand)),
            (None, None) if brands.contains(&slug(name)) => {
                report.fact("chain known by the name alone", true);
                Some(slug(name)).map(|brand| items.get(&brand).cloned().unwrap_or(brand))
            }
            (None, None) => None,
        };
        let mut cuisines: Vec<String> = Vec::new();
        for label in tag("cuisine").into_iter().flat_map(labels) {
            if !cuisines.contains(&label) {
                cuisines.push(label);
            }
        }
        if cuisines.is_empty() && !SAY_NOTHING.contains(&category) {
            cuisines.push(category.to_owned());
            report.fact("cuisines from the category", true);
        }
        let country = (options.country.as_deref())
            .or_else(|| tag("addr:country").filter(|code| code.len() == 2 && code.is_ascii()))
            .map(str::to_uppercase)
            .or_else(|| hours::country(latitude, longitude).map(str::to_owned));
        let link = ["website", "contact:website", "url", "brand:website"].into_iter().find_map(tag);
        merchants.push(Merchant {
            name: name.to_owned(),
            chain_id: chain_id.filter(|chain| !chain.is_empty()),
            kind: Kind::from_word(category).unwrap_or_default(),
            latitude,
            longitude,
            country,
            cuisines,
            opening_hours: tag("opening_hours").map(str::to_owned),
            url: link.map(str::to_owned),
            image_url: tag("image").filter(|image| image.starts_with("https://")).map(str::to_owned),
            merchant_id: element.id.clone(),
            ..Merchant::default()
        });
    }
    report.describe(&merchants, options);
    merchants
}

/// A brand as a key: letters and digits in lower case, `_` between words.
fn slug(brand: &str) -> String {
    let lower = brand.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}
