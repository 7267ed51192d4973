//! Entree's restaurants and sessions as tables; [`crate::entree`] reads them.
//!
//! There are no coordinates: a restaurant stands in the middle of its city, so that nothing that is measured on a distance
//! means anything here.
//!
//! A session becomes events, not orders: nobody ordered. Every restaurant that was shown is `seen`, in the order of the
//! moves (`slot`); the one that the session ended with is a `click`. Who uses them as labels must know that the last one
//! shown is nearly always the end.

use std::path::Path;

use jiff::tz::TimeZone;

use super::{ImportError, LoadReport};
use crate::cuisines::Vocabulary;
use crate::entree::{CHICAGO, Guide, Restaurant, Session, has_sessions};
use crate::hours;
use crate::tables::{Event, Merchant, Tables};

pub use crate::entree::PAGE;

const EXPECTED: &str = "features.txt and CITY.txt of http://kdd.ics.uci.edu/databases/entree/entree.html";

/// The middle of each city, degrees north and east.
const CITIES: [(&str, f64, f64); 8] = [
    ("atlanta", 33.749, -84.388),
    ("boston", 42.360, -71.058),
    ("chicago", 41.878, -87.630),
    ("los_angeles", 34.052, -118.244),
    ("new_orleans", 29.951, -90.072),
    ("new_york", 40.713, -74.006),
    ("san_francisco", 37.775, -122.419),
    ("washington_dc", 38.907, -77.037),
];

/// The guide's price classes as price bands.
const PRICES: [(&str, u8); 4] = [("below $15", 1), ("$15-$30", 2), ("$30-$50", 3), ("over $50", 4)];

/// The guide's judgement of the food as quality.
const FOOD: [(&str, f32); 5] = [
    ("Fair Food", 0.2),
    ("Good Food", 0.4),
    ("Excellent Food", 0.6),
    ("Extraordinary Food", 0.8),
    ("Near-perfect Food", 1.0),
];

/// Reads the restaurants of all cities of a folder, or of one, and the sessions over Chicago's where they are told.
///
/// # Errors
/// A file is not readable or out of its layout; there is no city, or not this one.
pub fn entree(folder: &Path, city: Option<&str>, vocabulary: &Vocabulary) -> Result<(Tables, LoadReport), ImportError> {
    let mut report = LoadReport { source: folder.display().to_string(), ..LoadReport::default() };
    let guide = Guide::read(folder)?;
    report.count_n("features that are cuisines", guide.n_cuisines);
    report.count_n("features that are not", guide.features.len() - guide.n_cuisines);
    let mut tables = Tables::default();
    for restaurant in guide.restaurants.iter().filter(|row| city.is_none_or(|city| city == row.city)) {
        report.row("restaurants");
        tables.merchants.extend(merchant(restaurant, vocabulary, &mut report));
    }
    if tables.merchants.is_empty() {
        let found = format!("no restaurants of {}", city.unwrap_or("any of the eight cities"));
        return Err(ImportError::Format { file: folder.to_owned(), found, expected: EXPECTED });
    }
    if has_sessions(folder) && city.is_none_or(|city| city == CHICAGO) {
        let zone = hours::zone("America/Chicago").unwrap_or(TimeZone::UTC);
        for session in guide.sessions(folder)? {
            report.row("sessions");
            report.count("sessions whose end is not known", session.end.is_none());
            tables.events.extend(events(&session, &zone));
        }
    }
    report.note("there are no coordinates: every restaurant stands in the middle of its city".to_owned());
    report.note("sessions are `seen` and `click` events, not orders: nobody ordered".to_owned());
    report.taken(&tables);
    Ok((tables, report))
}

fn merchant(restaurant: &Restaurant, vocabulary: &Vocabulary, report: &mut LoadReport) -> Option<Merchant> {
    let Restaurant { city, merchant, others } = restaurant;
    let Some((_, latitude, longitude)) = CITIES.iter().find(|(name, ..)| name == city) else {
        report.leave_out("restaurants: nobody knows where the city is", || merchant.merchant_id.clone());
        return None;
    };
    if merchant.name.is_empty() {
        report.leave_out("restaurants: no name", || merchant.merchant_id.clone());
        return None;
    }
    let cuisines = vocabulary.labels(&merchant.cuisines);
    let price = others.iter().rev().find_map(|other| PRICES.iter().find(|(name, _)| name == other));
    report.count("restaurants with a cuisine", !cuisines.is_empty());
    report.count("restaurants with several cuisines", cuisines.len() > 1);
    report.count("restaurants with a price", price.is_some());
    Some(Merchant {
        latitude: *latitude,
        longitude: *longitude,
        country: Some("US".to_owned()),
        cuisines,
        price_band: price.map(|(_, band)| *band),
        quality: others.iter().rev().find_map(|other| FOOD.iter().find(|(name, _)| name == other)).map(|(_, of)| *of),
        ..merchant.clone()
    })
}

fn events(session: &Session, zone: &TimeZone) -> Vec<Event> {
    let at = session.at.to_zoned(zone.clone()).map_or(0, |at| at.timestamp().as_second());
    let event = |kind: &str, number: usize, slot: Option<u32>| Event {
        user_id: session.visitor.clone(),
        at,
        kind: kind.to_owned(),
        merchant_id: Some(format!("{CHICAGO}:{number}")),
        message_id: Some(format!("session{}", session.row - 1)),
        slot,
        ..Event::default()
    };
    let seen = (0..).zip(&session.moves).map(|(slot, number)| event("seen", *number, Some(slot)));
    seen.chain(session.end.map(|number| event("click", number, None))).collect()
}
