//! Delivery Hero's recommendation dataset (DHRD): real orders of three cities, with what could tell who and where blurred.
//!
//! Published by Assylbekov, Bali, Bovard and Klaue (RecSys 2023, doi 10.1145/3604915.3610242), whose first table names the
//! columns. Of each city there are `orders_CITY_train.txt`, `orders_CITY_test.txt`, `vendors_CITY.txt` and
//! `products_CITY.txt`, as CSV with a first column of row numbers. A row of orders is one dish of an order: rows of one
//! `order_id` become one order.
//!
//! What the files do not tell, and what stands in for it:
//! - *When.* Days are numbered, so that only differences, the weekday and the time of day are real. The first day gets
//!   the first date from [`DhrdOptions::start`] on that falls on its weekday (0 is Sunday).
//! - *Where.* A geohash of five letters is a rectangle of about 5 by 5 km; its middle stands for everything in it.
//!   Distances below that are not real: build with a radius of several kilometres.
//! - *How much.* Prices are normalized, so that orders have no value.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::{ImportError, LoadReport, geohash, text_files};
use crate::hours;
use crate::tables::{Merchant, Order, Tables, Timestamp, labels};

/// Where it is published.
pub const PAGE: &str = "https://github.com/deliveryhero/dh-reco-dataset";

const EXPECTED: &str = "orders_CITY_train.txt, orders_CITY_test.txt and vendors_CITY.txt of one city, from \
    https://github.com/deliveryhero/dh-reco-dataset";
const ORDERS: [&str; 7] = ["customer_id", "geohash", "order_id", "vendor_id", "day_of_week", "order_time", "order_day"];
const VENDORS: [&str; 4] = ["vendor_id", "chain_id", "geohash", "primary_cuisine"];

/// How to read it.
#[derive(Debug, Clone, PartialEq)]
pub struct DhrdOptions {
    /// `se`, `sg` or `tw`, where the folder has several.
    pub city: Option<String>,
    /// The day from which the numbered days are counted, on the first weekday that fits.
    pub start: Date,
}

impl Default for DhrdOptions {
    fn default() -> Self {
        Self { city: None, start: Date::constant(2023, 1, 2) }
    }
}

/// Reads one city.
///
/// # Errors
/// The folder has no city, or several; a file is not readable or lacks a column; no order is left.
pub fn dhrd(folder: &Path, options: &DhrdOptions) -> Result<(Tables, LoadReport), ImportError> {
    let files = text_files(folder)?;
    let cities: Vec<String> =
        files.keys().filter_map(|name| name.strip_prefix("vendors_").map(str::to_owned)).collect();
    let city = match (&options.city, cities.as_slice()) {
        (Some(city), _) => city.clone(),
        (None, [city]) => city.clone(),
        (None, found) => {
            let found = if found.is_empty() { "no vendors_CITY.txt".to_owned() } else { found.join(", ") };
            return Err(ImportError::Format { file: folder.to_owned(), found, expected: EXPECTED });
        }
    };
    let file = |name: String| -> Option<&PathBuf> { files.get(&name) };
    let Some(vendors) = file(format!("vendors_{city}")) else {
        let found = format!("no vendors_{city}.txt");
        return Err(ImportError::Format { file: folder.to_owned(), found, expected: EXPECTED });
    };
    let parts = ["_train", "_test", ""].map(|part| format!("orders_{city}{part}"));
    let orders: Vec<&PathBuf> = parts.into_iter().filter_map(file).collect();
    if orders.is_empty() {
        let found = format!("no orders_{city}_train.txt");
        return Err(ImportError::Format { file: folder.to_owned(), found, expected: EXPECTED });
    }

    let mut report = LoadReport { source: format!("{} ({city})", folder.display()), ..LoadReport::default() };
    let merchants = read_vendors(vendors, &mut report)?;
    let mut found = Found::default();
    for file in orders {
        read_orders(file, &merchants, &mut found, &mut report)?;
    }
    if merchants.is_empty() || found.orders.is_empty() {
        return Err(ImportError::Nothing { file: folder.to_owned(), seen: report.n_rows() });
    }
    let tables = date(merchants, found, options.start, &mut report);
    report.taken(&tables);
    Ok((tables, report))
}

fn read_vendors(file: &Path, report: &mut LoadReport) -> Result<Vec<Merchant>, ImportError> {
    let mut merchants: Vec<Merchant> = Vec::new();
    let mut known: HashMap<String, ()> = HashMap::new();
    each(file, VENDORS, |[id, chain, place, cuisine], line, _| {
        report.row("vendors");
        let Some(at) = geohash::decode(place) else {
            report.leave_out("vendors: no geohash", || format!("{line}: geohash: found {place:?}, expected letters"));
            return;
        };
        if id.is_empty() || known.insert(id.to_owned(), ()).is_some() {
            report.leave_out("vendors: id missing or again", || {
                format!("{line}: vendor_id: found {id:?}, expected each once")
            });
            return;
        }
        report.count("vendors of a chain", !chain.is_empty());
        report.count("vendors without a cuisine", cuisine.is_empty());
        merchants.push(Merchant {
            merchant_id: id.to_owned(),
            name: id.to_owned(),
            chain_id: Some(chain.to_owned()).filter(|chain| !chain.is_empty()),
            latitude: at.latitude,
            longitude: at.longitude,
            country: hours::country(at.latitude, at.longitude).map(str::to_owned),
            cuisines: labels(cuisine).collect(),
            ..Merchant::default()
        });
    })?;
    Ok(merchants)
}

/// Orders before they have dates.
#[derive(Default)]
struct Found {
    orders: Vec<Numbered>,
    /// By order, its place among them.
    index: HashMap<String, usize>,
    /// How often day 0 would be each weekday.
    weekdays: [usize; 7],
    /// The widest rectangle of a place, degrees.
    half: (f64, f64),
}

struct Numbered {
    user_id: String,
    merchant_id: String,
    day: i32,
    weekday: Option<i32>,
    time: Time,
    latitude: f64,
    longitude: f64,
}

fn read_orders(
    file: &Path,
    merchants: &[Merchant],
    found: &mut Found,
    report: &mut LoadReport,
) -> Result<(), ImportError> {
    let known: HashMap<&str, ()> = merchants.iter().map(|row| (row.merchant_id.as_str(), ())).collect();
    each(file, ORDERS, |[user, place, order, vendor, weekday, time, day], line, _| {
        report.row("dishes");
        let wrong = |column: &str, value: &str, expected: &str| {
            format!("{line}: {column}: found {value:?}, expected {expected}")
        };
        if user.is_empty() || order.is_empty() {
            report.leave_out("dishes: no customer or order", || wrong("order_id", order, "an id"));
            return;
        }
        if !known.contains_key(vendor) {
            report.leave_out("dishes: unknown vendor", || wrong("vendor_id", vendor, "an id of the vendors"));
            return;
        }
        let Some(at) = geohash::decode(place) else {
            report.leave_out("dishes: no geohash", || wrong("geohash", place, "letters of a geohash"));
            return;
        };
        let Some(day) =
            day.split(' ').next().and_then(|day| day.parse::<i32>().ok()).filter(|day| (0..36_500).contains(day))
        else {
            report.leave_out("dishes: no day", || wrong("order_day", day, "a number of days, as \"61 days\""));
            return;
        };
        let Ok(time) = time.parse::<Time>() else {
            report.leave_out("dishes: no time", || wrong("order_time", time, "a time of day, as 18:05:00"));
            return;
        };
        let weekday = weekday.parse::<f64>().ok().map(|day| day as i32).filter(|day| (0..7).contains(day));
        match found.index.entry(order.to_owned()) {
            Entry::Occupied(entry) => {
                let first = &found.orders[*entry.get()];
                if first.user_id != user || first.merchant_id != vendor || first.day != day {
                    report.leave_out("dishes: an order of somebody else", || {
                        wrong("order_id", order, "one customer, vendor and day for an order")
                    });
                }
            }
            Entry::Vacant(entry) => {
                entry.insert(found.orders.len());
                if let Some(weekday) = weekday {
                    found.weekdays[(weekday - day).rem_euclid(7) as usize] += 1;
                }
                found.half = (larger(found.half.0, at.north), larger(found.half.1, at.east));
                found.orders.push(Numbered {
                    user_id: user.to_owned(),
                    merchant_id: vendor.to_owned(),
                    day,
                    weekday,
                    time,
                    latitude: at.latitude,
                    longitude: at.longitude,
                });
            }
        }
    })
}

fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// Gives numbered days their dates, on the wall clock of the city.
fn date(merchants: Vec<Merchant>, found: Found, start: Date, report: &mut LoadReport) -> Tables {
    let n = merchants.len() as f64;
    let mean = |of: fn(&Merchant) -> f64| merchants.iter().map(of).sum::<f64>() / n;
    let name = hours::time_zone(mean(|row| row.latitude), mean(|row| row.longitude));
    let zone = hours::zone(name).unwrap_or(TimeZone::UTC);
    // Most orders have the last word about the weekday of the first day.
    let first = (0..7).max_by_key(|day| (found.weekdays[*day], 6 - day)).unwrap_or(0);
    let ahead = (first as i8 - start.weekday().to_sunday_zero_offset()).rem_euclid(7);
    let day_0 = start.checked_add(jiff::Span::new().days(ahead)).unwrap_or(start);
    let at = |order: &Numbered| -> Option<Timestamp> {
        let date = day_0.checked_add(jiff::Span::new().days(order.day)).ok()?;
        Some(date.to_datetime(order.time).to_zoned(zone.clone()).ok()?.timestamp().as_second())
    };
    let fits = |order: &Numbered| order.weekday.is_none_or(|day| (day - order.day).rem_euclid(7) == first as i32);
    report.count_n("orders whose weekday is not that of their day", found.orders.iter().filter(|o| !fits(o)).count());
    report.note(format!("dates are made up: day 0 is {day_0}, the weekday and the time of day ({name}) are real"));
    report.note(format!(
        "a place is the middle of its geohash, of up to {:.1} km by {:.1} km; nearer distances are not real",
        2.0 * found.half.0 * 111.195,
        2.0 * found.half.1 * 111.195 * libm::cos(mean(|row| row.latitude).to_radians()),
    ));
    let order = |row: &Numbered| {
        Some(Order {
            ordered_at: at(row)?,
            user_id: row.user_id.clone(),
            merchant_id: row.merchant_id.clone(),
            latitude: Some(row.latitude),
            longitude: Some(row.longitude),
            ..Order::default()
        })
    };
    let orders = found.orders.iter().filter_map(order).collect();
    Tables { orders, merchants, ..Tables::default() }
}

/// Reads the named columns of a CSV file row by row: the fields, where they are (`orders.txt:12`), and the line.
pub(super) fn each<const N: usize>(
    file: &Path,
    columns: [&'static str; N],
    mut take: impl FnMut([&str; N], &str, u64),
) -> Result<(), ImportError> {
    let format = |found: String, expected: &'static str| ImportError::Format { file: file.to_owned(), found, expected };
    let opened = File::open(file).map_err(|source| ImportError::Io { file: file.to_owned(), source })?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(opened);
    let header = reader.headers().map_err(|err| format(err.to_string(), "CSV with a header"))?.clone();
    let mut at = [0; N];
    for (at, column) in at.iter_mut().zip(columns) {
        let found =
            || format(format!("no column {column} but {}", header.iter().collect::<Vec<_>>().join(", ")), EXPECTED);
        *at = header.iter().position(|name| name == column).ok_or_else(found)?;
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|err| format(err.to_string(), "CSV in UTF-8"))? {
        let line = record.position().map_or(0, csv::Position::line);
        take(at.map(|at| record.get(at).unwrap_or_default()), &format!("{name}:{line}"), line);
    }
    Ok(())
}

impl LoadReport {
    /// What the tables hold, as the last lines of the report.
    pub(super) fn taken(&mut self, tables: &Tables) {
        let counts: BTreeMap<&'static str, usize> = [
            ("merchants", tables.merchants.len()),
            ("orders", tables.orders.len()),
            ("events", tables.events.len()),
            ("readers", {
                let orders = tables.orders.iter().map(|row| row.user_id.as_str());
                let events = tables.events.iter().map(|row| row.user_id.as_str());
                orders.chain(events).collect::<std::collections::BTreeSet<_>>().len()
            }),
        ]
        .into();
        self.taken = counts;
    }
}
