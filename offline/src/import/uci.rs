//! UCI's "Restaurant & consumer data" (Vargas-Govea, González-Serna, Ponce-Medellín 2011), CC BY 4.0.
//!
//! It has places, consumers and what each consumer thought of some places, but no times: nothing here is an order, and no
//! split by time can be made of it. Ratings and stated tastes therefore become tables of their own, which only `freshrank
//! evaluate --cold-start` reads.

use super::{ImportError, ImportReport, OsmOptions};
use crate::tables::{self, Merchant, Place, Reader, Tables, labels};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Where it is published.
pub const PAGE: &str = "https://archive.ics.uci.edu/dataset/232/restaurant+consumer+data";

/// The file of ratings, beside the tables.
pub const RATINGS: &str = "ratings.csv";
/// The file of stated tastes.
pub const STATED: &str = "stated.csv";

/// What a consumer thought of a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rating {
    /// Whose.
    pub user_id: String,
    /// Of whom.
    pub merchant_id: String,
    /// 0 (not liked) to 2.
    pub rating: u8,
}

/// A cuisine that a consumer said to like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stated {
    /// Whose.
    pub user_id: String,
    /// As in the tables.
    pub cuisine: String,
}

/// Everything of the data set that has a place in the contract, and the two tables that have none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Consumers {
    /// Merchants, readers, and everyone's home.
    pub tables: Tables,
    /// In the file's order.
    pub ratings: Vec<Rating>,
    /// In the file's order.
    pub stated: Vec<Stated>,
}

/// Reads the folder as UCI publishes it.
///
/// # Errors
/// A file or a column that is missing, or a value that cannot be read, with its row.
pub fn uci(folder: &Path) -> Result<(Consumers, ImportReport), ImportError> {
    let mut report = ImportReport { source: folder.display().to_string(), ..ImportReport::default() };
    let mut cuisines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in Sheet::read(folder, "chefmozcuisine.csv")?.rows(["placeID", "Rcuisine"])? {
        let [id, label] = row.fields;
        let known = cuisines.entry(id).or_default();
        cuisine(&label).into_iter().for_each(|label| {
            if !known.contains(&label) {
                known.push(label);
            }
        });
    }
    let mut hours: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in Sheet::read(folder, "chefmozhours4.csv")?.rows(["placeID", "hours", "days"])? {
        let [id, spans, days] = &row.fields;
        if let Some(rule) = opening(spans, days) {
            hours.entry(id.clone()).or_default().insert(rule);
        }
    }
    let mut found = Consumers::default();
    let columns = ["placeID", "latitude", "longitude", "name", "price", "url"];
    let places = Sheet::read(folder, "geoplaces2.csv")?;
    for row in places.rows(columns)? {
        let [id, latitude, longitude, name, price, url] = &row.fields;
        found.tables.merchants.push(Merchant {
            merchant_id: id.clone(),
            name: name.clone(),
            latitude: row.number("latitude", latitude)?,
            longitude: row.number("longitude", longitude)?,
            country: Some("MX".into()),
            cuisines: cuisines.remove(id).unwrap_or_default(),
            price_band: match price.as_str() {
                "low" => Some(1),
                "medium" => Some(2),
                "high" => Some(3),
                _ => None,
            },
            opening_hours: hours.remove(id).map(|rules| rules.into_iter().collect::<Vec<_>>().join("; ")),
            url: (url != "?" && !url.is_empty()).then(|| format!("http://{url}")),
            ..Merchant::default()
        });
    }
    report.elements.insert("place", found.tables.merchants.len());
    for label in cuisines.keys() {
        report.leave_out("cuisine of a place that is not in geoplaces2.csv", || label.clone());
    }
    for row in Sheet::read(folder, "userprofile.csv")?.rows(["userID", "latitude", "longitude"])? {
        let [id, latitude, longitude] = &row.fields;
        found.tables.readers.push(Reader { user_id: id.clone(), market: Some("mx".into()), ..Reader::default() });
        found.tables.places.push(Place {
            user_id: id.clone(),
            place_id: "home".into(),
            latitude: row.number("latitude", latitude)?,
            longitude: row.number("longitude", longitude)?,
            first_seen_at: None,
        });
    }
    report.elements.insert("consumer", found.tables.readers.len());
    for row in Sheet::read(folder, "usercuisine.csv")?.rows(["userID", "Rcuisine"])? {
        let [user_id, label] = &row.fields;
        let of = |cuisine| Stated { user_id: user_id.clone(), cuisine };
        found.stated.extend(cuisine(label).into_iter().map(of));
    }
    for row in Sheet::read(folder, "rating_final.csv")?.rows(["userID", "placeID", "rating"])? {
        let [user_id, merchant_id, rating] = &row.fields;
        let rating = match rating.as_str() {
            "0" => 0,
            "1" => 1,
            "2" => 2,
            other => return Err(row.wrong("rating", other, "0, 1 or 2")),
        };
        found.ratings.push(Rating { user_id: user_id.clone(), merchant_id: merchant_id.clone(), rating });
    }
    report.elements.insert("rating, without a time", found.ratings.len());
    let as_of = Some(jiff::civil::date(2011, 1, 1));
    report.describe(&found.tables.merchants, &OsmOptions { as_of, ..OsmOptions::default() });
    Ok((found, report))
}

/// Writes the tables of the contract, and ratings and stated tastes beside them.
///
/// # Errors
/// A file that cannot be written.
pub fn write(found: &Consumers, out: &Path) -> Result<(), tables::TableError> {
    tables::write(&found.tables, out)?;
    rows(&out.join(RATINGS), &found.ratings)?;
    rows(&out.join(STATED), &found.stated)
}

fn rows(path: &Path, rows: &[impl Serialize]) -> Result<(), tables::TableError> {
    let io = |source| tables::TableError::Io { file: path.to_owned(), source };
    let mut writer = csv::Writer::from_path(path).map_err(|error| io(error.into()))?;
    rows.iter().try_for_each(|row| writer.serialize(row)).map_err(|error| io(error.into()))?;
    writer.flush().map_err(io)
}

/// Ratings and stated tastes of a directory that [`write()`] wrote.
///
/// # Errors
/// As [`uci`].
pub fn read(directory: &Path) -> Result<(Vec<Rating>, Vec<Stated>), ImportError> {
    let mut ratings = Vec::new();
    for row in Sheet::read(directory, RATINGS)?.rows(["user_id", "merchant_id", "rating"])? {
        let [user_id, merchant_id, rating] = &row.fields;
        let rating = rating.parse().map_err(|_| row.wrong("rating", rating, "a whole number"))?;
        ratings.push(Rating { user_id: user_id.clone(), merchant_id: merchant_id.clone(), rating });
    }
    let mut stated = Vec::new();
    for row in Sheet::read(directory, STATED)?.rows(["user_id", "cuisine"])? {
        let [user_id, cuisine] = row.fields;
        stated.push(Stated { user_id, cuisine });
    }
    Ok((ratings, stated))
}

/// Two cuisines in one word are two; Tex-Mex is one.
fn cuisine(label: &str) -> Vec<String> {
    let parted = match label {
        "Tex-Mex" => label.to_owned(),
        "Bar_Pub_Brewery" => "bar;pub;brewery".to_owned(),
        _ => label.replace('-', ";"),
    };
    labels(&parted).collect()
}

/// `09:00-14:00;18:00-22:00;` on `Mon;Tue;` as OpenStreetMap writes it. A span without length tells that nobody opens.
fn opening(spans: &str, days: &str) -> Option<String> {
    let spans: Vec<&str> = spans.split(';').map(str::trim).filter(|span| !span.is_empty()).collect();
    let open: Vec<&str> =
        spans.into_iter().filter(|span| span.split_once('-').is_some_and(|(from, to)| from != to)).collect();
    let days: Vec<&str> =
        days.split(';').map(str::trim).filter(|day| day.len() == 3).filter_map(|day| day.get(..2)).collect();
    (!open.is_empty() && !days.is_empty()).then(|| format!("{} {}", days.join(","), open.join(",")))
}

/// One file of the folder.
struct Sheet {
    file: PathBuf,
    header: Vec<String>,
    records: Vec<Vec<String>>,
}

/// Some columns of one row.
struct Row<'s, const N: usize> {
    file: &'s Path,
    line: usize,
    fields: [String; N],
}

impl Sheet {
    /// The files are Latin-1 or UTF-8; what is neither is replaced.
    fn read(folder: &Path, name: &str) -> Result<Self, ImportError> {
        let file = folder.join(name);
        let bytes = std::fs::read(&file).map_err(|source| ImportError::Io { file: file.clone(), source })?;
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes.as_slice());
        let mut records = Vec::new();
        for record in reader.byte_records() {
            let wrong = |error: csv::Error| ImportError::Format {
                file: file.clone(),
                found: error.to_string(),
                expected: "CSV",
            };
            let text = |field: &[u8]| String::from_utf8_lossy(field).trim().to_owned();
            records.push(record.map_err(wrong)?.iter().map(text).collect());
        }
        let header = if records.is_empty() { Vec::new() } else { records.remove(0) };
        Ok(Self { file, header, records })
    }

    fn rows<const N: usize>(&self, names: [&'static str; N]) -> Result<Vec<Row<'_, N>>, ImportError> {
        let mut places = [0; N];
        for (place, name) in places.iter_mut().zip(names) {
            *place = self.header.iter().position(|column| column == name).ok_or_else(|| ImportError::Format {
                file: self.file.clone(),
                found: format!("columns {}", self.header.join(", ")),
                expected: name,
            })?;
        }
        let row = |(i, record): (usize, &Vec<String>)| Row {
            file: &self.file,
            line: i + 2,
            fields: places.map(|place| record.get(place).cloned().unwrap_or_default()),
        };
        Ok(self.records.iter().enumerate().map(row).collect())
    }
}

impl<const N: usize> Row<'_, N> {
    fn number(&self, column: &str, text: &str) -> Result<f64, ImportError> {
        text.parse().map_err(|_| self.wrong(column, text, "a number"))
    }

    fn wrong(&self, column: &str, text: &str, expected: &'static str) -> ImportError {
        let found = format!("{text:?} in row {}, column {column}", self.line);
        ImportError::Format { file: self.file.to_owned(), found, expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_written_as_openstreetmap_writes_them() {
        assert_eq!(opening("09:00-14:00;18:00-22:00;", "Mon;Tue;").unwrap(), "Mo,Tu 09:00-14:00,18:00-22:00");
        assert_eq!(opening("00:00-00:00;", "Sun;"), None);
    }

    #[test]
    fn two_cuisines_in_one_word_are_two() {
        assert_eq!(cuisine("Cafe-Coffee_Shop"), ["cafe", "coffee_shop"]);
        assert_eq!(cuisine("Bar_Pub_Brewery"), ["bar", "pub", "brewery"]);
        assert_eq!(cuisine("Tex-Mex"), ["tex-mex"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_file_row_and_column() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        put("chefmozcuisine.csv", "placeID,Rcuisine\n1,Mexican\n");
        put("chefmozhours4.csv", "placeID,hours,days\n1,09:00-22:00;,Mon;Tue;\n");
        put("geoplaces2.csv", "placeID,latitude,longitude,name,price,url\n1,22.1,-100.9,Kiku,low,?\n");
        put("userprofile.csv", "userID,latitude,longitude\nU1,22.1,-100.9\n");
        put("usercuisine.csv", "userID,Rcuisine\nU1,Mexican\n");
        put("rating_final.csv", "userID,placeID,rating\nU1,1,2\nU1,1,7\n");
        let error = uci(folder.path()).unwrap_err().to_string();
        assert!(error.contains("rating_final.csv") && error.contains("\"7\" in row 3, column rating"), "{error}");
        put("rating_final.csv", "userID,placeID,rating\nU1,1,2\n");
        let (found, _) = uci(folder.path()).unwrap();
        assert_eq!(found.tables.merchants[0].opening_hours.as_deref(), Some("Mo,Tu 09:00-22:00"));
        assert!(found.tables.orders.is_empty(), "nothing without a time is an order");
        write(&found, &folder.path().join("out")).unwrap();
        assert_eq!(read(&folder.path().join("out")).unwrap(), (found.ratings, found.stated));
        put("geoplaces2.csv", "placeID,latitude,name,price,url\n");
        let error = uci(folder.path()).unwrap_err().to_string();
        assert!(error.contains("expected longitude"), "{error}");
    }
}
