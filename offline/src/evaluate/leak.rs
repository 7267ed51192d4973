//! Does anything tell the answers?
//!
//! Three guards. *The future is cut off*: queries are asked again of tables in which nothing at or after them is left, and every
//! bit of their rows must be the same; otherwise the code leaks, and there is no evaluation. *The tables echo*: an order that also
//! stands a little earlier in the same reader's history, from a double log or a wrong clock, is no habit. *One column is too
//! good*: ranking by it alone reaches what no honest fact does. The last two are signs and not proofs: they refuse unless told
//! otherwise, and stand in the report.

use super::measure::{RECIPROCAL_RANK, judge};
use super::{EvaluateError, EvaluateOptions, Figure};
use crate::areas::Catalog;
use crate::cuisines::CuisineMap;
use crate::examples::name;
use crate::tables::{Tables, Timestamp};
use crate::timeline::{Answer, Protocol, Query, Readers, Timeline, forget};
use freshrank::MerchantId;
use freshrank::feature::{FEATURES, N_FEATURES, Rows};
use serde::Serialize;
use std::fmt;
use thiserror::Error;

const DAY: i64 = 86_400;
/// Ages of the reader's last order at a query, days, that echoes are looked for in.
const AGES_DAYS: [i64; 5] = [1, 2, 4, 7, 14];
/// Fewer queries of an age tell nothing.
const FEWEST: usize = 20;
/// An age at which so many orders only repeat the last one is none of habit; real readers repeat about half the time.
const ECHO: f64 = 0.9;
/// So is one that repeats by so much more than all other ages do.
const ECHO_MORE: f64 = 0.35;
/// The reciprocal rank no single honest column reaches: "the last restaurant shown" of Entree's sessions, a leak, reaches 0.93.
const LONE: f64 = 0.9;
/// Nor does one column beat all rankers that read it by so much.
const LONE_MORE: f64 = 0.1;
/// Queries on which single columns are tried.
const TRIED: usize = 400;
/// Queries that are asked again before each cut.
const ASKED_AGAIN: usize = 12;

/// A row that is another one when the future is cut off.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{protocol} query of {}, {merchant}: {what} is {with} from all tables and {without} from what came before it", freshrank::time::format(*at))]
pub struct Leak {
    /// Of which protocol.
    pub protocol: &'static str,
    /// When it was asked.
    pub at: Timestamp,
    /// Which candidate.
    pub merchant: String,
    /// Which column, or `candidates`.
    pub what: &'static str,
    /// What the row holds.
    pub with: f64,
    /// What it may hold.
    pub without: f64,
}

/// Something that looks as if the tables told the answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suspicion {
    /// Of which protocol.
    pub protocol: &'static str,
    /// What tells.
    pub what: String,
    /// How often, or how well.
    pub found: f64,
    /// What is usual.
    pub usual: f64,
    /// Queries it was seen on.
    pub queries: usize,
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, what, found, usual, queries } = self;
        write!(f, "{protocol}: {what}: {found:.2}, usual {usual:.2}, over {queries} queries")
    }
}

/// Looks at queries as they are answered.
pub(super) struct Watch {
    step: usize,
    seen: usize,
    /// By age of the reader's last order: queries, and those whose order repeats it.
    ages: [(usize, usize); AGES_DAYS.len() + 1],
    tried: usize,
    /// Of every column, the higher the better and the lower the better.
    lone: Vec<[f64; 2]>,
}

impl Watch {
    pub(super) fn new(queries: usize) -> Self {
        let step = queries.div_ceil(TRIED).max(1);
        Self { step, seen: 0, ages: Default::default(), tried: 0, lone: vec![[0.0; 2]; N_FEATURES] }
    }

    pub(super) fn see(&mut self, answer: &Answer<'_>, labels: &[f32], missing: &[f32]) {
        if let Some((ordered_at, repeats)) = answer.last {
            let age = (answer.query.at - ordered_at) / DAY;
            let bin = AGES_DAYS.iter().take_while(|days| age >= **days).count();
            self.ages[bin].0 += 1;
            self.ages[bin].1 += usize::from(repeats);
        }
        self.seen += 1;
        if !self.seen.is_multiple_of(self.step) {
            return;
        }
        self.tried += 1;
        for (column, sums) in self.lone.iter_mut().enumerate() {
            for (sum, sign) in sums.iter_mut().zip([1.0, -1.0]) {
                let scores: Vec<f64> = answer.rows.iter().map(|row| sign * f64::from(row[column])).collect();
                *sum += judge(&scores, labels, missing).map_or(0.0, |measures| measures[RECIPROCAL_RANK]);
            }
        }
    }

    pub(super) fn suspicions(&self, protocol: Protocol, figures: &[Figure]) -> Vec<Suspicion> {
        let protocol = protocol.name();
        let all = |scorer: &str| figures.iter().find(|line| line.segment == "all" && line.scorer == scorer);
        let mut found = Vec::new();
        for (bin, (n, repeats)) in self.ages.iter().enumerate() {
            let others = || self.ages.iter().enumerate().filter(|(other, _)| *other != bin);
            let (all, alike) = others().fold((0, 0), |(all, alike), (_, (n, repeats))| (all + n, alike + repeats));
            let (share, usual) = (share(*repeats, *n), share(alike, all));
            let unlike = all >= FEWEST && share > usual + ECHO_MORE;
            if *n >= FEWEST && (share >= ECHO || unlike) {
                let days =
                    AGES_DAYS.get(bin).map_or("14 or more days ago".into(), |days| format!("within {days} days"));
                let what = format!("share of orders that repeat the reader's last one where it was {days}");
                found.push(Suspicion { protocol, what, found: share, usual, queries: *n });
            }
        }
        // The best of those that read all columns: a bad model is no sign of a leak.
        let rankers = ["ltr", "in use", "prior"].into_iter().filter_map(all).map(|line| line.by_query.mrr.value);
        let ranked = rankers.fold(0.0, |best: f64, mrr| if mrr > best { mrr } else { best });
        for (feature, sums) in FEATURES.iter().zip(&self.lone) {
            for (sum, order) in sums.iter().zip(["highest", "lowest"]) {
                let mrr = sum / self.tried.max(1) as f64;
                if self.tried >= FEWEST && (mrr >= LONE || mrr > ranked + LONE_MORE) {
                    let what = format!("reciprocal rank by {} alone, {order} first", feature.name);
                    found.push(Suspicion { protocol, what, found: mrr, usual: ranked, queries: self.tried });
                }
            }
        }
        if let (Some(over), Some(oracle)) = (all("ltr - oracle"), all("oracle"))
            && over.by_query.mrr.low > 0.0
        {
            let (usual, over) = (oracle.by_query.mrr.value, over.by_query.mrr.value);
            let what = "reciprocal rank of ltr, which is above the oracle's".to_owned();
            found.push(Suspicion { protocol, what, found: usual + over, usual, queries: self.seen });
        }
        found
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Keeps the answers to queries that are asked again.
pub(super) struct Witness {
    n: usize,
    seen: usize,
    /// By cut.
    kept: Vec<Vec<Kept>>,
}

/// One answer, by itself.
struct Kept {
    user_id: String,
    query: Query<'static>,
    ids: Vec<MerchantId>,
    rows: Rows,
}

impl Kept {
    fn of(answer: &Answer<'_>) -> Self {
        let user_id = answer.query.user_id.to_owned();
        let query = answer.query.of_reader("");
        let ids = answer.kept.iter().map(|kept| kept.merchant.id).collect();
        Self { user_id, query, ids, rows: answer.rows.clone() }
    }

    fn query(&self) -> Query<'_> {
        self.query.of_reader(&self.user_id)
    }
}

impl Witness {
    /// Of so many queries, the last ones before each cut.
    pub(super) fn new(n: usize, cuts: usize) -> Self {
        Self { n, seen: 0, kept: (0..cuts).map(|_| Vec::new()).collect() }
    }

    pub(super) fn see(&mut self, answer: &Answer<'_>) {
        let cuts = self.kept.len();
        for (cut, kept) in (1..).zip(&mut self.kept) {
            let end = self.n * cut / cuts;
            if (end.saturating_sub(ASKED_AGAIN)..end).contains(&self.seen) {
                kept.push(Kept::of(answer));
            }
        }
        self.seen += 1;
    }

    /// Asks them again of tables that end with them; how many there were. `readers` are those the answers are of.
    pub(super) fn audit(
        &self,
        readers: Readers<'_>,
        map: &CuisineMap,
        options: &EvaluateOptions,
    ) -> Result<usize, EvaluateError> {
        let mut audited = 0;
        for some in &self.kept {
            let Some(last) = some.last() else { continue };
            let past = past(readers.shared(), last.query.at);
            let catalog = Catalog::new(&past, map, &options.timeline.areas);
            let again = Timeline::new(readers.before(&past, last.query.at), map, &catalog, &options.timeline)?;
            let queries: Vec<Query<'_>> = some.iter().map(Kept::query).collect();
            let mut answers = Vec::with_capacity(some.len());
            again.live(&queries, &|_, _| (), |more| answers.extend(more.iter().map(Kept::of)))?;
            compare(some, &answers, &catalog)?;
            audited += some.len();
        }
        Ok(audited)
    }
}

/// The tables without what is not known before a time, and with other ratings where they were observed later.
fn past(tables: &Tables, at: Timestamp) -> Tables {
    let mut past = tables.clone();
    forget(&mut past, at);
    // Bundles bring offers a week ahead, so those are known.
    past.offers.retain(|offer| offer.starts_at < at + 8 * DAY);
    for merchant in past.merchants.iter_mut().filter(|merchant| merchant.observed_at.is_some_and(|seen| seen >= at)) {
        (merchant.rating, merchant.rating_count, merchant.quality) = (Some(1.0), Some(9_999), Some(0.0));
    }
    past
}

/// The first bit that differs.
fn compare(all: &[Kept], past: &[Kept], catalog: &Catalog<'_>) -> Result<(), Leak> {
    for (with, without) in all.iter().zip(past) {
        let query = &with.query;
        let leak = |merchant: String, what, with, without| {
            Err(Leak { protocol: query.protocol.name(), at: query.at, merchant, what, with, without })
        };
        if with.ids != without.ids {
            return leak("all candidates".into(), "candidates", with.ids.len() as f64, without.ids.len() as f64);
        }
        for ((id, row), other) in with.ids.iter().zip(with.rows.iter()).zip(without.rows.iter()) {
            let differs = row.iter().zip(other).position(|(a, b)| a.to_bits() != b.to_bits());
            if let Some(i) = differs {
                return leak(name(catalog, *id), FEATURES[i].name, f64::from(row[i]), f64::from(other[i]));
            }
        }
    }
    Ok(())
}
