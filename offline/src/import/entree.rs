//! Entree's restaurants and sessions (Burke, UCI Machine Learning Repository, CC BY 4.0).
//!
//! Eight cities' restaurants, each with the features that a guide book gave it, and what visitors of the Chicago guide
//! looked at from 1996 to 1999. There are no coordinates: a restaurant stands in the middle of its city, so that nothing
//! that is measured on a distance means anything here.
//!
//! A session becomes events, not orders: nobody ordered. Every restaurant that was shown is `seen`, in the order of the
//! moves (`slot`); the one that the session ended with is a `click`. Who uses them as labels must know that the last one
//! shown is nearly always the end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{ImportError, LoadReport};
use crate::cuisines::Vocabulary;
use crate::hours;
use crate::tables::{Event, Merchant, Tables};

/// Where it is published.
pub const PAGE: &str = "http://kdd.ics.uci.edu/databases/entree/entree.html";

const EXPECTED: &str = "features.txt and CITY.txt of http://kdd.ics.uci.edu/databases/entree/entree.html";

/// The middle of each city, degrees north and east, and its layer path.
const CITIES: [(&str, f64, f64, &str); 8] = [
    ("atlanta", 33.749, -84.388, "us/atlanta"),
    ("boston", 42.360, -71.058, "us/boston"),
    ("chicago", 41.878, -87.630, "us/chicago"),
    ("los_angeles", 34.052, -118.244, "us/los_angeles"),
    ("new_orleans", 29.951, -90.072, "us/new_orleans"),
    ("new_york", 40.713, -74.006, "us/new_york"),
    ("san_francisco", 37.775, -122.419, "us/san_francisco"),
    ("washington_dc", 38.907, -77.037, "us/washington_dc"),
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

/// Columns of the sessions' table.
const SESSIONS: [&str; 5] = ["timestamp", "visitor", "entry", "moves", "end"];

/// Reads the restaurants of all cities of a folder, or of one, and the sessions over Chicago's where they are told.
///
/// Cuisines are the features that the reviewed vocabulary names; the others ("Weekend Dining") are counted.
///
/// # Errors
/// The folder lacks its feature names or has no city; a file is not readable; an id without a feature.
pub fn entree(folder: &Path, city: Option<&str>, vocabulary: &Vocabulary) -> Result<(Tables, LoadReport), ImportError> {
    let mut report = LoadReport { source: folder.display().to_string(), ..LoadReport::default() };
    let features = read_features(&folder.join("features.txt"))?;
    let is_cuisine = |name: &str| vocabulary.normalize(name).is_some_and(|label| vocabulary.knows(&label));
    report.count_n("features that are cuisines", features.values().filter(|name| is_cuisine(name)).count());
    report.count_n("features that are not", features.values().filter(|name| !is_cuisine(name)).count());

    let mut tables = Tables::default();
    for (name, latitude, longitude, _) in CITIES.iter().filter(|row| city.is_none_or(|city| city == row.0)) {
        let path = folder.join(format!("{name}.txt"));
        if path.is_file() {
            let restaurants = read_city(&path, name, (*latitude, *longitude), &features, vocabulary, &mut report)?;
            tables.merchants.extend(restaurants);
        }
    }
    if tables.merchants.is_empty() {
        let found = format!("no restaurants of {}", city.unwrap_or("any of the eight cities"));
        return Err(ImportError::Format { file: folder.to_owned(), found, expected: EXPECTED });
    }
    let sessions = folder.join("sessions.tsv");
    if sessions.is_file() && tables.merchants.iter().any(|row| row.merchant_id.starts_with("chicago:")) {
        tables.events = read_sessions(&sessions, &tables.merchants, &mut report)?;
    }
    report.note("there are no coordinates: every restaurant stands in the middle of its city".to_owned());
    report.note("sessions are `seen` and `click` events, not orders: nobody ordered".to_owned());
    report.taken(&tables);
    Ok((tables, report))
}

fn lines(path: &Path) -> Result<Vec<String>, ImportError> {
    let bytes = std::fs::read(path).map_err(|source| ImportError::Io { file: path.to_owned(), source })?;
    // The originals are Latin-1; whoever converted them has UTF-8.
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(err) => err.into_bytes().into_iter().map(char::from).collect(),
    };
    Ok(text.lines().map(str::to_owned).collect())
}

fn read_features(path: &Path) -> Result<BTreeMap<u32, String>, ImportError> {
    let mut features = BTreeMap::new();
    for (number, line) in lines(path)?.iter().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let read = line.split_once('\t').and_then(|(id, name)| Some((id.trim().parse().ok()?, name.trim().to_owned())));
        let (id, name) = read.ok_or_else(|| wrong(path, number, line, "a number, a tab and a feature"))?;
        features.insert(id, name);
    }
    Ok(features)
}

fn wrong(path: &Path, number: usize, line: &str, expected: &'static str) -> ImportError {
    let shown: String = line.chars().take(60).collect();
    ImportError::Format {
        file: PathBuf::from(format!("{}:{}", path.display(), number + 1)),
        found: format!("{shown:?}"),
        expected,
    }
}

fn read_city(
    path: &Path,
    city: &str,
    (latitude, longitude): (f64, f64),
    features: &BTreeMap<u32, String>,
    vocabulary: &Vocabulary,
    report: &mut LoadReport,
) -> Result<Vec<Merchant>, ImportError> {
    let expected = "an id, a name and feature numbers, with tabs between";
    let mut merchants = Vec::new();
    for (number, line) in lines(path)?.iter().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        report.row("restaurants");
        let mut fields = line.split('\t');
        let (Some(id), Some(name)) = (fields.next().and_then(|id| id.trim().parse::<u32>().ok()), fields.next()) else {
            return Err(wrong(path, number, line, expected));
        };
        let mut merchant = Merchant {
            merchant_id: format!("{city}:{id}"),
            // Some names are followed by a comma and nothing.
            name: name.trim().trim_end_matches(',').trim().to_owned(),
            latitude,
            longitude,
            country: Some("US".to_owned()),
            ..Merchant::default()
        };
        let mut own: Vec<String> = Vec::new();
        for code in fields.flat_map(str::split_whitespace) {
            let Some(feature) = code.parse().ok().and_then(|code: u32| features.get(&code)) else {
                return Err(wrong(path, number, code, "a number of features.txt"));
            };
            if let Some((_, band)) = PRICES.iter().find(|(name, _)| name == feature) {
                merchant.price_band = Some(*band);
            } else if let Some((_, quality)) = FOOD.iter().find(|(name, _)| name == feature) {
                merchant.quality = Some(*quality);
            } else {
                own.push(feature.clone());
            }
        }
        merchant.cuisines = vocabulary.labels(&own);
        merchant.cuisines.retain(|label| vocabulary.knows(label));
        if merchant.name.is_empty() {
            report.leave_out("restaurants: no name", || format!("{}:{}", path.display(), number + 1));
            continue;
        }
        report.count("restaurants with a cuisine", !merchant.cuisines.is_empty());
        report.count("restaurants with several cuisines", merchant.cuisines.len() > 1);
        report.count("restaurants with a price", merchant.price_band.is_some());
        merchants.push(merchant);
    }
    Ok(merchants)
}

fn read_sessions(path: &Path, merchants: &[Merchant], report: &mut LoadReport) -> Result<Vec<Event>, ImportError> {
    let lines = lines(path)?;
    let header: Vec<&str> = lines.first().map_or_else(Vec::new, |line| line.split('\t').collect());
    if header != SESSIONS {
        return Err(wrong(path, 0, &header.join(" "), "timestamp, visitor, entry, moves and end, with tabs between"));
    }
    let known: BTreeMap<&str, ()> = merchants.iter().map(|row| (row.merchant_id.as_str(), ())).collect();
    let zone = hours::zone("America/Chicago").unwrap_or(TimeZone::UTC);
    let mut events = Vec::new();
    for (number, line) in lines.iter().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        report.row("sessions");
        let fields: Vec<&str> = line.split('\t').collect();
        let [time, visitor, _, moves, end] = fields[..] else {
            return Err(wrong(path, number, line, "five fields with tabs between"));
        };
        let at = time.parse::<DateTime>().ok().and_then(|time| time.to_zoned(zone.clone()).ok());
        let Some(at) = at.map(|at| at.timestamp().as_second()) else {
            return Err(wrong(path, number, time, "a local time, as 1996-09-07T12:17:05"));
        };
        let event = |kind: &str, id: &str, slot: Option<u32>| {
            let merchant_id = format!("chicago:{}", id.parse::<u32>().ok()?);
            let event = Event {
                user_id: visitor.to_owned(),
                at,
                kind: kind.to_owned(),
                merchant_id: Some(merchant_id),
                message_id: Some(format!("session{number}")),
                slot,
                ..Event::default()
            };
            known.contains_key(event.merchant_id.as_deref()?).then_some(event)
        };
        for (slot, step) in (0..).zip(moves.split_whitespace()) {
            let id = step.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
            match event("seen", id, Some(slot)) {
                Some(seen) => events.push(seen),
                None => {
                    report.leave_out("moves to no restaurant", || format!("{}:{}: {step}", path.display(), number + 1))
                }
            }
        }
        match event("click", end.trim(), None) {
            Some(click) => events.push(click),
            None => report.count("sessions whose end is not known", true),
        }
    }
    Ok(events)
}
