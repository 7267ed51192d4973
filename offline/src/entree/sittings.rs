//! Real choices to measure tastes on: a sitting is one search, and where it stopped an order.
//!
//! Entree's log has sessions, not orders: a person is shown restaurants one by one and stops at one of them. Half of all
//! later sessions begin within half an hour of the last one, which is the same search begun anew, so that sessions of one
//! visitor that follow each other within [`SITTING_HOURS`] count as one sitting, and where its last session stopped is its
//! order. Times are the log's own clock, read as UTC: only what lies between them is looked at.

use super::{EntreeError, Guide};
use crate::tables::{Merchant, Order, Reader, Tables};
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Sessions of a visitor that begin within so many hours of the one before are one sitting.
pub const SITTING_HOURS: i64 = 6;

/// The log as tables, with what a session shows beyond them.
#[derive(Debug, Clone)]
pub struct Sittings {
    /// Chicago's restaurants in the order of their numbers, visitors, and an order for every sitting that stopped at a
    /// known restaurant.
    pub tables: Tables,
    /// The restaurants of the other cities, whose menus tell what goes together, too.
    pub elsewhere: Vec<Merchant>,
    /// By order of [`Self::tables`]: what the session that stopped there showed.
    pub shown: Vec<Shown>,
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

/// Numbers of the restaurants a session showed, each once, in the order in which they came up; the one it stopped at is
/// among them. **The order is a leak**: the last is nearly always where it stopped.
pub type Shown = Vec<usize>;

/// Reads the folder as UCI publishes it.
///
/// # Errors
/// Names the file, row and column that is not in the layout.
pub fn read(folder: &Path) -> Result<Sittings, EntreeError> {
    let guide = Guide::read(folder)?;
    let sessions = guide.sessions(folder)?;
    let of = |here: bool| guide.restaurants.iter().filter(move |restaurant| restaurant.has_sessions() == here);
    let merchants: Vec<Merchant> = of(true).map(|restaurant| restaurant.merchant.clone()).collect();
    let elsewhere = of(false).map(|restaurant| restaurant.merchant.clone()).collect();

    let n_unknown = sessions.iter().filter(|session| session.end.is_none()).count();
    let n_sessions = sessions.len();
    let mut lines = Vec::new();
    for session in sessions {
        let at = session.at.to_zoned(TimeZone::UTC).map_or(0, |at| at.timestamp().as_second());
        let mut shown: Shown = Vec::new();
        for number in session.moves.into_iter().chain(session.end) {
            if !shown.contains(&number) {
                shown.push(number);
            }
        }
        lines.push(Line { visitor: session.visitor, at, shown, end: session.end });
    }
    let (random_mrr, shown_last_mrr) = controls(&lines);
    let mut visitors: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    for line in lines {
        visitors.entry(line.visitor.clone()).or_default().push(line);
    }
    let mut stops: Vec<(Order, Shown)> = Vec::new();
    for (visitor, mut lines) in visitors {
        // The log is not in order of time; sessions of one second stay in the log's order.
        lines.sort_by_key(|line| line.at);
        for sitting in lines.chunk_by(|a, b| b.at - a.at <= SITTING_HOURS * 3600) {
            let last = sitting.iter().rev().find_map(|line| Some((line, line.end?)));
            if let Some((line, end)) = last {
                let merchant_id = merchants[end].merchant_id.clone();
                let order = Order { user_id: visitor.clone(), merchant_id, ordered_at: line.at, ..Order::default() };
                stops.push((order, line.shown.clone()));
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
    let (orders, shown) = stops.into_iter().unzip();
    Ok(Sittings {
        tables: Tables { merchants, readers, orders, ..Tables::default() },
        elsewhere,
        shown,
        n_sessions,
        n_unknown,
        random_mrr,
        shown_last_mrr,
    })
}

/// One session.
struct Line {
    visitor: String,
    at: i64,
    shown: Shown,
    end: Option<usize>,
}

/// See [`Sittings::random_mrr`] and [`Sittings::shown_last_mrr`].
fn controls(lines: &[Line]) -> (f64, f64) {
    let (mut n, mut random, mut last) = (0.0, 0.0, 0.0);
    for line in lines {
        let Some(position) = line.shown.iter().position(|number| Some(*number) == line.end) else { continue };
        n += 1.0;
        random += (1..=line.shown.len()).map(|rank| 1.0 / rank as f64).sum::<f64>() / line.shown.len() as f64;
        last += 1.0 / (line.shown.len() - position) as f64;
    }
    if n > 0.0 { (random / n, last / n) } else { (0.0, 0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use freshrank::time;

    const SESSIONS: &str = "timestamp\tvisitor\tentry\tmoves\tend\n\
        1996-09-09T10:00:00\tv\t0\t1L 1N 0L\t1\n\
        1996-09-07T12:00:00\tv\t2C\t0L 1L\t0\n\
        1996-09-07T12:30:00\tv\t0\t1M\t2\n\
        1996-09-07T17:00:00\tv\t0\t0L\t-1\n\
        1996-09-08T12:00:00\tw\t0\t0L\t-1\n";

    #[test]
    fn a_sitting_is_one_order_where_its_last_known_session_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("features.txt", "000\tThai\n001\tGood Decor\n002\tPizza\n");
        write("sessions.tsv", SESSIONS);
        write("chicago.txt", "0000000\tNoi\t001 000\n0000001\tUno\t002\n0000002\tDue\t002 000\n");
        write("atlanta.txt", "0000000\tElse\t000\n");
        let found = read(folder.path()).unwrap();
        let orders: Vec<String> = found
            .tables
            .orders
            .iter()
            .zip(&found.shown)
            .map(|(o, shown)| format!("{} {} {} {shown:?}", o.user_id, time::format(o.ordered_at), o.merchant_id))
            .collect();
        assert_eq!(
            orders,
            ["v 1996-09-07T12:30:00Z chicago:2 [1, 2]", "v 1996-09-09T10:00:00Z chicago:1 [1, 0]"],
            "the session after it, of which nobody knows the end, is of the same sitting"
        );
        assert_eq!((found.n_sessions, found.n_unknown, found.tables.readers.len()), (5, 2, 1));
        assert_eq!(found.tables.merchants[2].cuisines, ["Pizza", "Thai"], "the room is no cuisine");
        assert_eq!(found.elsewhere.len(), 1);
        // [1, 0] at 1, [0, 1] at 0, [1, 2] at 2.
        assert!((found.random_mrr - 0.75).abs() < 1e-12);
        assert!((found.shown_last_mrr - (0.5 + 0.5 + 1.0) / 3.0).abs() < 1e-12);
    }
}
