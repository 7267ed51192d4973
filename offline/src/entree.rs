//! Entree: what people of the nineties looked for among the restaurants of Chicago; real choices to measure tastes on.
//!
//! The log (Burke 1997, UCI) has sessions, not orders: a person is shown restaurants one by one and stops at one of
//! them. Half of all later sessions begin within half an hour of the last one, which is the same search begun anew, so
//! that sessions of one visitor that follow each other within [`SITTING_HOURS`] count as one sitting, and where its
//! last session stopped is its order. Times are the log's own clock, read as UTC. A visitor is a hashed host: a few are
//! shared by several people.

use crate::tables::{Merchant, Order, Reader, Tables, Timestamp};
use freshrank::time;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Sessions of a visitor that begin within so many hours of the one before are one sitting.
pub const SITTING_HOURS: i64 = 6;
/// The only city with sessions.
const CHICAGO: &str = "chicago";
const ELSEWHERE: [&str; 7] =
    ["atlanta", "boston", "los_angeles", "new_orleans", "new_york", "san_francisco", "washington_dc"];
/// Where nobody knows the restaurant that a session stopped at.
const UNKNOWN: &str = "-1";

/// The features that are cuisines; the others tell of the room, the price, the hours and the company. Reviewed by hand:
/// what a menu is about counts, what it also has (a wine list, a brunch, game in season) does not.
const CUISINES: &str = "\
    Afghanistan; African; American; American (Contemporary); American (New); American (Regional); American \
    (Traditional); Argentinean; Armenian; Asian; Austrian; Bakeries; Bar-B-Q; Belgian; Brasserie; Brazilian; \
    Burmese; Burritos; Cafe/Espresso Bars; Cafe/Garden Dining; Cafeterias; Cajun; Californian; Cambodian; Canadian; \
    Caribbean; Caviar; Chinese; Coffee Houses; Coffee Shops; Coffee and Dessert; Coffeehouses; Continental; Creole; \
    Cuban; Czech; Deli; Dim Sum; Diners; Down-Home; Down-Home Creole; Eastern European; Eclectic; Egyptian; English; \
    Ethiopian; Fast Food; Filipino; Fondue; Fountain and Ice Cream; Franco-Russian; Frankfurters; French; French \
    (New); French Bistro; French Classic; French Contemporary; French Nouvelle; French-Japanese; German; Greek; \
    Grills; Guatemalan; Hamburgers; Hamburgers & Beer; Haute Creole; Haute New Orleans; Health Food; Hot Dogs; \
    Hungarian; Indian; Indonesian; International; Irish; Italian; Italian (North; Italian (North & South); Italian \
    (Northern); Italian (Southern); Italian Nuova Cucina; Jamaican; Japanese; Jewish; Korean; Kosher; Latin; \
    Lebanese; Lithuanian; Malaysian; Mediterranean; Mexican; Middle Eastern; Moroccan; Nicaraguan; Noodle Houses; \
    Noodle Shops; Omelettes; Other Quick Food; Oyster Bars; Pacific New Wave; Pacific Rim; Pancakes; Pastries; \
    Pastry Shops; Persian; Peruvian; Pizza; Pizzerias; Po' Boys; Polish; Polynesian; Portuguese; Puerto Rican; \
    Romanian; Roumanian; Russian; Salvadoran; Scandinavian; Scottish; Seafood; Soul Food; Soulfood; South American; \
    Southeast Asian; Southern; Southern Comfort; Southwestern; Spanish; Steakhouses; Sushi; Swiss; Swiss-French; \
    Tacos; Tapas; Tex Mex; Tex-Mex; Thai; Tibetan; Tunisian; Turkish; Ukrainian; Ukranian; Vegetarian; Venezuelan; \
    Vietnamese; Yogurt Bar; Yugoslavian";

/// Why there is nothing to measure on.
#[derive(Debug, Error)]
pub enum EntreeError {
    /// The file system's answer.
    #[error("{}: {source}", file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// A value that the published layout has no place for.
    #[error("{}:{row}: {column}: found {found:?}, expected {expected}", file.display())]
    Value {
        /// Which file.
        file: PathBuf,
        /// Its line, from 1.
        row: usize,
        /// Which column.
        column: &'static str,
        /// What stands there.
        found: String,
        /// What may.
        expected: String,
    },
}

/// The log as tables, with what a session shows beyond them.
#[derive(Debug, Clone)]
pub struct Entree {
    /// Chicago's restaurants in the order of their numbers, visitors, and an order for every sitting that stopped at a
    /// known restaurant. Nobody knows where a restaurant stands: coordinates are 0.
    pub tables: Tables,
    /// The restaurants of the other cities, whose menus tell what goes together, too.
    pub elsewhere: Vec<Merchant>,
    /// By order of [`Self::tables`]: the session that stopped there.
    pub sessions: Vec<Session>,
    /// Sessions in the log.
    pub n_sessions: usize,
    /// Of them, those that stopped nobody knows where.
    pub n_unknown: usize,
    /// Mean reciprocal rank of the restaurant a session stopped at among those it showed, in random order; over all
    /// sessions that stopped somewhere.
    pub random_mrr: f64,
    /// The same with the restaurant first that came up last: what a scorer gains that looks at the order.
    pub shown_last_mrr: f64,
}

/// What a session showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Rows of restaurants, each once, in the order in which they came up; the one it stopped at is among them. **The
    /// order is a leak**: the last is nearly always where it stopped.
    pub shown: Vec<u32>,
}

/// One line of sessions.tsv.
struct Line {
    visitor: String,
    at: Timestamp,
    shown: Vec<u32>,
    end: Option<u32>,
}

/// Reads the folder as UCI publishes it, with `sessions.tsv` for its quarterly logs.
///
/// # Errors
/// Names the file, row and column that is not in the layout.
pub fn read(folder: &Path) -> Result<Entree, EntreeError> {
    let features = features(&folder.join("features.txt"))?;
    let merchants = restaurants(folder, CHICAGO, &features)?;
    let mut elsewhere = Vec::new();
    for city in ELSEWHERE {
        elsewhere.extend(restaurants(folder, city, &features)?);
    }

    let lines = lines(&folder.join("sessions.tsv"), merchants.len())?;
    let n_unknown = lines.iter().filter(|line| line.end.is_none()).count();
    let n_sessions = lines.len();
    let (random_mrr, shown_last_mrr) = controls(&lines);
    let mut visitors: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    for line in lines {
        visitors.entry(line.visitor.clone()).or_default().push(line);
    }
    let mut stops: Vec<(Order, Session)> = Vec::new();
    for (visitor, mut lines) in visitors {
        // The log is not in order of time; sessions of one second stay in the log's order.
        lines.sort_by_key(|line| line.at);
        for sitting in lines.chunk_by(|a, b| b.at - a.at <= SITTING_HOURS * 3600) {
            let last = sitting.iter().rev().find_map(|line| Some((line, line.end?)));
            if let Some((line, end)) = last {
                let merchant_id = merchants[end as usize].merchant_id.clone();
                let order = Order { user_id: visitor.clone(), merchant_id, ordered_at: line.at, ..Order::default() };
                stops.push((order, Session { shown: line.shown.clone() }));
            }
        }
    }
    stops.sort_by(|(a, _), (b, _)| (a.ordered_at, &a.user_id).cmp(&(b.ordered_at, &b.user_id)));
    let visitors: BTreeSet<&str> = stops.iter().map(|(order, _)| order.user_id.as_str()).collect();
    let reader = |visitor: &&str| Reader {
        user_id: (*visitor).to_owned(),
        market: Some("us/chicago".to_owned()),
        ..Reader::default()
    };
    let readers = visitors.iter().map(reader).collect();
    let (orders, sessions) = stops.into_iter().unzip();
    Ok(Entree {
        tables: Tables { merchants, readers, orders, ..Tables::default() },
        elsewhere,
        sessions,
        n_sessions,
        n_unknown,
        random_mrr,
        shown_last_mrr,
    })
}

/// See [`Entree::random_mrr`] and [`Entree::shown_last_mrr`].
fn controls(lines: &[Line]) -> (f64, f64) {
    let (mut n, mut random, mut last) = (0.0, 0.0, 0.0);
    for line in lines {
        let Some(position) = line.shown.iter().position(|row| Some(*row) == line.end) else { continue };
        n += 1.0;
        random += (1..=line.shown.len()).map(|rank| 1.0 / rank as f64).sum::<f64>() / line.shown.len() as f64;
        last += 1.0 / (line.shown.len() - position) as f64;
    }
    if n > 0.0 { (random / n, last / n) } else { (0.0, 0.0) }
}

/// The text of a file.
fn text(file: &Path) -> Result<String, EntreeError> {
    std::fs::read_to_string(file).map_err(|source| EntreeError::Io { file: file.to_owned(), source })
}

/// A line's columns, as many as there should be.
fn columns<'a, const N: usize>(file: &Path, row: usize, line: &'a str) -> Result<[&'a str; N], EntreeError> {
    let columns: Vec<&str> = line.split('\t').collect();
    let found = columns.len();
    columns.try_into().map_err(|_| EntreeError::Value {
        file: file.to_owned(),
        row,
        column: "line",
        found: format!("{found} columns"),
        expected: format!("{N} columns between tabs"),
    })
}

/// By number: the feature's name where it is a cuisine.
fn features(file: &Path) -> Result<Vec<Option<String>>, EntreeError> {
    let cuisines: BTreeSet<&str> = CUISINES.split("; ").collect();
    let mut features = Vec::new();
    for (i, line) in text(file)?.lines().enumerate() {
        let [number, name] = columns(file, i + 1, line)?;
        if number.parse() != Ok(i) {
            let (found, expected) = (number.to_owned(), format!("{i:03}: features are numbered from 000"));
            return Err(EntreeError::Value { file: file.to_owned(), row: i + 1, column: "number", found, expected });
        }
        features.push(cuisines.contains(name).then(|| name.to_owned()));
    }
    Ok(features)
}

fn restaurants(folder: &Path, city: &str, features: &[Option<String>]) -> Result<Vec<Merchant>, EntreeError> {
    let file = folder.join(format!("{city}.txt"));
    let mut merchants = Vec::new();
    for (i, line) in text(&file)?.lines().enumerate() {
        let bad = |column, found: &str, expected: String| EntreeError::Value {
            file: file.clone(),
            row: i + 1,
            column,
            found: found.to_owned(),
            expected,
        };
        let [number, name, has] = columns(&file, i + 1, line)?;
        if number.parse() != Ok(i) {
            return Err(bad("number", number, format!("{i:07}: restaurants are numbered from 0000000")));
        }
        let mut cuisines = Vec::new();
        for id in has.split_whitespace() {
            let feature = id.parse::<usize>().ok().and_then(|id| features.get(id));
            let feature = feature.ok_or_else(|| bad("features", id, format!("a number below {}", features.len())))?;
            cuisines.extend(feature.iter().cloned());
        }
        let merchant_id = format!("{city}/{number}");
        merchants.push(Merchant { merchant_id, name: name.to_owned(), cuisines, ..Merchant::default() });
    }
    Ok(merchants)
}

fn lines(file: &Path, n_merchants: usize) -> Result<Vec<Line>, EntreeError> {
    let mut lines = Vec::new();
    for (i, line) in text(file)?.lines().enumerate().skip(1) {
        let bad = |column, found: &str, expected: String| EntreeError::Value {
            file: file.to_owned(),
            row: i + 1,
            column,
            found: found.to_owned(),
            expected,
        };
        let [at, visitor, _, moves, end] = columns(file, i + 1, line)?;
        let stamp = time::parse(&format!("{at}Z"));
        let stamp = stamp.map_err(|_| bad("timestamp", at, "a time like 1996-09-07T12:17:05".to_owned()))?;
        let restaurant = |column, text: &str| {
            let row = text.parse::<u32>().ok().filter(|row| (*row as usize) < n_merchants);
            row.ok_or_else(|| bad(column, text, format!("a restaurant's number below {n_merchants}")))
        };
        let mut shown: Vec<u32> = Vec::new();
        for moved in moves.split_whitespace() {
            let row = restaurant("moves", moved.trim_end_matches(|c: char| c.is_ascii_uppercase()))?;
            if !shown.contains(&row) {
                shown.push(row);
            }
        }
        let end = if end == UNKNOWN { None } else { Some(restaurant("end", end)?) };
        shown.extend(end.filter(|end| !shown.contains(end)));
        lines.push(Line { visitor: visitor.to_owned(), at: stamp, shown, end });
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEATURES: &str = "000\tThai\n001\tGood Decor\n002\tPizza\n";
    const SESSIONS: &str = "timestamp\tvisitor\tentry\tmoves\tend\n\
        1996-09-09T10:00:00\tv\t0\t1L 1N 0L\t1\n\
        1996-09-07T12:00:00\tv\t2C\t0L 1L\t0\n\
        1996-09-07T12:30:00\tv\t0\t1M\t2\n\
        1996-09-07T17:00:00\tv\t0\t0L\t-1\n\
        1996-09-08T12:00:00\tw\t0\t0L\t-1\n";

    fn folder(sessions: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("features.txt", FEATURES);
        write("sessions.tsv", sessions);
        write("chicago.txt", "0000000\tNoi\t001 000\n0000001\tUno\t002\n0000002\tDue\t002 000\n");
        ELSEWHERE.iter().for_each(|city| write(&format!("{city}.txt"), "0000000\tElse\t000\n"));
        folder
    }

    #[test]
    fn a_sitting_is_one_order_where_its_last_known_session_stopped() {
        let entree = read(folder(SESSIONS).path()).unwrap();
        let orders: Vec<String> = entree
            .tables
            .orders
            .iter()
            .zip(&entree.sessions)
            .map(|(o, s)| format!("{} {} {} {:?}", o.user_id, time::format(o.ordered_at), o.merchant_id, s.shown))
            .collect();
        assert_eq!(
            orders,
            ["v 1996-09-07T12:30:00Z chicago/0000002 [1, 2]", "v 1996-09-09T10:00:00Z chicago/0000001 [1, 0]",],
            "the session after it, of which nobody knows the end, is of the same sitting"
        );
        assert_eq!((entree.n_sessions, entree.n_unknown, entree.tables.readers.len()), (5, 2, 1));
        assert_eq!(entree.tables.merchants[2].cuisines, ["Pizza", "Thai"], "the room is no cuisine");
        assert_eq!(entree.elsewhere.len(), 7);
        // [1, 0] at 1, [0, 1] at 0, [1, 2] at 2.
        assert!((entree.random_mrr - 0.75).abs() < 1e-12);
        assert!((entree.shown_last_mrr - (0.5 + 0.5 + 1.0) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_row_out_of_layout_is_named() {
        for (wrong, expected) in [
            ("x\tv\t0\t1L\t1", "timestamp: found \"x\", expected a time like 1996-09-07T12:17:05"),
            ("1996-09-09T10:00:00\tv\t0\t3L\t1", "moves: found \"3\", expected a restaurant's number below 3"),
            ("1996-09-09T10:00:00\tv\t0\t1L\tend", "end: found \"end\", expected a restaurant's number below 3"),
            ("1996-09-09T10:00:00\tv", "line: found \"2 columns\", expected 5 columns between tabs"),
        ] {
            let error = read(folder(&format!("header\n{wrong}\n")).path()).unwrap_err().to_string();
            assert!(error.ends_with(&format!("sessions.tsv:2: {expected}")), "{error}");
        }
        let error = read(Path::new("nowhere")).unwrap_err().to_string();
        assert!(error.starts_with("nowhere/features.txt: "), "{error}");
    }

    #[test]
    fn the_reviewed_cuisines_stand_once_and_in_order() {
        let cuisines: Vec<&str> = CUISINES.split("; ").collect();
        assert!(cuisines.windows(2).all(|pair| pair[0] < pair[1]), "{cuisines:?}");
    }
}
