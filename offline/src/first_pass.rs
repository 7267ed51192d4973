//! The weights of the first pass, and what it costs.
//!
//! For each pool a conditional logit (McFadden 1974) over the columns of [`FIRST_PASS`] starts; coordinate ascent on
//! recall@N itself goes on, after Metzler and Croft, "Linear feature-based models for information retrieval" (2007). Only queries of
//! the train split are seen by either. Queries are messages (`send-time`): the place is inferred.

use crate::areas::{Catalog, Level, Popularity, orders_before};
use crate::cuisines::CuisineMap;
use crate::evaluate::{column, judge};
use crate::examples::ExamplesError;
use crate::tables::{Tables, Timestamp};
use crate::timeline::{Answer, Protocol, Query, Timeline, TimelineOptions, mix};
use faer::prelude::Solve;
use faer::{Mat, Side};
use freshrank::MerchantId;
use freshrank::feature::{FEATURES, FIRST_PASS, FIRST_PASS_AT};
use freshrank::geo::{Cell, Point};
use freshrank::retrieve::first_pass::{Columns, Pool, Ranks, WEIGHTS, Weights, turn};
use freshrank::score::{self, ModelError, Scorer};
use rayon::prelude::*;
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use thiserror::Error;

/// The share of queries, by time, that trains; the next validates, the last tests. As of examples.
const TRAIN: f64 = 0.70;
const VALID: f64 = 0.15;
const N_COLUMNS: usize = FIRST_PASS.len();
const N_POOLS: usize = Pool::ALL.len();
/// Newton's steps, and what keeps columns that never differ from running away, in queries.
const NEWTON_STEPS: usize = 25;
const RIDGE: f64 = 1.0;
/// Steps of the ascent, in standard deviations of a column over the whole score's.
const STEPS: [f64; 6] = [0.5, 0.2, 0.1, 0.05, 0.02, 0.01];
/// Rounds over all columns at one size of step, at most.
const ROUNDS: usize = 4;
/// What 1 / log2(1 + rank) counts beside recall: it tells weights of one recall apart.
const SMOOTH: f64 = 0.1;
/// Turns that are tried.
const TURNS: [u8; 4] = [1, 2, 4, 8];
/// How far a list is judged by recall: so many candidates, and such shares of them.
const DEPTHS: [usize; 5] = [10, 20, 50, 100, 200];
const SHARES: [f64; 4] = [0.05, TENTH, 0.2, 0.5];
/// The share of the members whose recall has an interval.
const TENTH: f64 = 0.1;
/// Merchants that an area would be capped at.
const CAPS: [usize; 4] = [200, 500, 1000, 2000];
/// The first pass before there were pools: the prior's weights on these.
const BEFORE: [&str; 8] = [
    "distance_km",
    "log_popularity_cell",
    "log_popularity_city",
    "own_log_orders",
    "chain_log_orders",
    "taste_lifelong_raw",
    "taste_lifelong",
    "rating",
];

/// How to tune.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstPassOptions {
    /// What is known and what is filtered.
    pub timeline: TimelineOptions,
    /// At most so many queries of each directory and split, drawn evenly.
    pub queries: usize,
    /// N of recall@N as a share of a pool's members, at least 1.
    pub share: f64,
    /// Resamples of the readers behind every interval.
    pub resamples: usize,
    /// Of everything that is drawn.
    pub seed: u64,
}

impl Default for FirstPassOptions {
    fn default() -> Self {
        Self { timeline: TimelineOptions::default(), queries: 2000, share: 0.1, resamples: 1000, seed: 1 }
    }
}

/// Why there are no weights.
#[derive(Debug, Error)]
pub enum FirstPassError {
    /// The queries cannot be asked.
    #[error(transparent)]
    Examples(#[from] ExamplesError),
    /// The ranker does not answer; nothing is measured in its place.
    #[error("{scorer} did not score a query: {source}")]
    Model {
        /// Which.
        scorer: &'static str,
        /// Why.
        source: ModelError,
    },
    /// Nothing to learn from.
    #[error("found no train query of pool {pool}, expected at least one")]
    NoQueries {
        /// Which.
        pool: &'static str,
    },
}

/// One directory of tables.
pub struct Market<'t> {
    /// As it is called in the report.
    pub name: String,
    /// The tables.
    pub tables: &'t Tables,
    /// Where its cells lie in the campaign's geography.
    pub path: Option<String>,
}

/// The weights and what they bring.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tuned {
    /// What is simulated, by directory; such figures show mechanics, not quality.
    pub simulated: BTreeMap<String, String>,
    /// The columns, in the weights' order.
    pub columns: [&'static str; N_COLUMNS],
    /// By pool.
    pub weights: BTreeMap<&'static str, Columns>,
    /// By pool.
    pub turns: BTreeMap<&'static str, u8>,
    /// By directory.
    pub markets: Vec<Figures>,
}

/// What a directory of tables shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Which.
    pub name: String,
    /// By split: queries whose order is a candidate.
    pub queries: BTreeMap<&'static str, usize>,
    /// Queries whose order is no candidate, by reason.
    pub filtered: BTreeMap<&'static str, usize>,
    /// Candidates of a query, on average, and the most.
    pub candidates: (f64, usize),
    /// Recall of every ranker in every pool.
    pub recall: Vec<Recall>,
    /// What the cut costs where it comes before a ranker.
    pub end_to_end: Vec<Loss>,
    /// Merchants of a query's area before any filter, on average, and the most.
    pub area: (f64, usize),
    /// What capping areas costs.
    pub caps: Vec<Cap>,
}

/// One ranker over the queries of one pool.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recall {
    /// `train`, `valid` or `test`.
    pub split: &'static str,
    /// Whose positives.
    pub pool: &'static str,
    /// By what it is ranked.
    pub by: &'static str,
    /// How many.
    pub queries: usize,
    /// Members of the pool, on average.
    pub members: f64,
    /// Mean reciprocal rank, ties by their expectation.
    pub mrr: f64,
    /// Recall at 10, 20, 50, 100 and 200.
    pub at: [f64; DEPTHS.len()],
    /// Recall at 5, 10, 20 and 50 % of the members, at least 1.
    pub at_share: [f64; SHARES.len()],
    /// Where 95 % of the resampled recalls at 10 % lie.
    pub at_tenth: Interval,
    /// Recall at 10 % more than the first pass before there were pools, over the same queries.
    pub more: Interval,
}

/// A mean over queries, and where 95 % of the means over resampled readers lie: value, low, high.
pub type Interval = (f64, f64, f64);

/// NDCG@10 lost to a cut.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Loss {
    /// Who ranks what is left.
    pub scorer: &'static str,
    /// Who cuts.
    pub by: &'static str,
    /// To how many: a number, or a share of the candidates.
    pub n: String,
    /// NDCG@10 without a cut.
    pub whole: f64,
    /// NDCG@10 of what is left.
    pub cut: f64,
    /// The difference.
    pub lost: Interval,
}

/// What capping an area costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cap {
    /// Who stays.
    pub by: &'static str,
    /// Merchants that stay.
    pub merchants: usize,
    /// Share of the orders, among those from a merchant of the area, that a capped area has no merchant for.
    pub lost: Interval,
    /// The same, over queries whose area is larger than the cap.
    pub lost_where_capped: Option<Interval>,
    /// How many those are.
    pub capped: usize,
    /// NDCG@10 that is lost, by who ranks what is left; over all queries of the split.
    pub ndcg_lost: BTreeMap<&'static str, Interval>,
}

/// A query with what the first pass sees.
struct Seen {
    split: &'static str,
    reader: String,
    at: Timestamp,
    cell: Option<Cell>,
    merchant: u32,
    ids: Vec<MerchantId>,
    columns: Vec<Columns>,
    is_in: Vec<[bool; N_POOLS]>,
    before: Vec<f32>,
    /// ln(1 + decayed orders from the cell).
    counts: Vec<f32>,
    /// By who ranks: the model first, if there is one, then the prior.
    scores: Vec<(&'static str, Vec<f64>)>,
    /// The order's merchant among the candidates.
    found: Option<usize>,
    new_merchant: bool,
}

impl Seen {
    /// Whether its order is of a pool: repeats, all, orders on offer, first orders at a merchant.
    fn is_positive(&self, pool: Pool) -> bool {
        match pool {
            Pool::Reorder => !self.new_merchant,
            Pool::Relevant => true,
            Pool::Offer => self.found.is_some_and(|i| self.is_in[i][Pool::Offer as usize]),
            Pool::Inspire => self.new_merchant,
        }
    }

    fn ranks(&self, weights: &Weights) -> Vec<Ranks> {
        weights.ranks(&self.columns, &|pool, i| self.is_in[i][pool as usize])
    }

    /// NDCG@10 of the candidates that are kept, ranked by one of the scorers; 0 where the order's merchant is not.
    fn ndcg(&self, scorer: usize, keeps: &dyn Fn(usize) -> bool) -> f64 {
        let kept: Vec<usize> = (0..self.columns.len()).filter(|i| keeps(*i)).collect();
        let scores: Vec<f64> = kept.iter().map(|i| self.scores[scorer].1[*i]).collect();
        let labels: Vec<f32> = kept.iter().map(|i| if self.found == Some(*i) { 1.0 } else { 0.0 }).collect();
        let missing: &[f32] = if labels.iter().any(|label| *label > 0.0) { &[] } else { &[1.0] };
        judge(&scores, &labels, missing).map_or(0.0, |measures| measures[1])
    }
}

/// Tunes the weights on the train queries of all markets, and measures them on the others.
///
/// # Errors
/// A pool without a train query, a ranker that does not answer, or an area that cannot be built.
pub fn tune(
    markets: &[Market<'_>],
    map: &CuisineMap,
    ltr: Option<&dyn Scorer>,
    options: &FirstPassOptions,
    progress: &dyn Fn(usize, usize),
) -> Result<Tuned, FirstPassError> {
    let mut all = Vec::new();
    for market in markets {
        all.push(see(market, map, ltr, options, progress)?);
    }
    let train: Vec<&Seen> = all.iter().flat_map(|(seen, ..)| seen).filter(|seen| seen.split == "train").collect();
    let mut logit = WEIGHTS;
    let mut weights = WEIGHTS;
    for pool in Pool::ALL {
        let rivals: Vec<Rivals> = train.par_iter().filter_map(|seen| Rivals::of(seen, pool)).collect();
        if rivals.is_empty() {
            return Err(FirstPassError::NoQueries { pool: pool.name() });
        }
        let spread = spread(&rivals);
        let start = conditional_logit(&rivals, &spread);
        logit.by_pool[pool as usize] = written(&start, &spread);
        weights.by_pool[pool as usize] = written(&ascend(&rivals, start, &spread, options.share), &spread);
    }
    weights.turns = turns(&train, &weights, options.share);
    let named = |of: &dyn Fn(Pool) -> Columns| Pool::ALL.map(|pool| (pool.name(), of(pool))).into();
    let figures = markets.iter().zip(&all);
    let figures =
        figures.map(|(market, (seen, filtered))| figures_of(market, map, seen, filtered, &weights, &logit, options));
    Ok(Tuned {
        simulated: markets.iter().filter_map(|m| Some((m.name.clone(), m.tables.simulated.clone()?))).collect(),
        columns: FIRST_PASS,
        weights: named(&|pool| weights.by_pool[pool as usize]),
        turns: Pool::ALL.map(|pool| (pool.name(), weights.turns[pool as usize])).into(),
        markets: figures.collect(),
    })
}

impl Tuned {
    /// The file that the engine compiles in.
    #[must_use]
    pub fn source(&self) -> String {
        let mut text = String::from("// Written by `freshrank first-pass tune` from the train queries of:\n");
        for market in &self.markets {
            let n = market.queries.get("train").copied().unwrap_or(0);
            let simulated = self.simulated.get(&market.name).map_or("not simulated", String::as_str);
            let _ = writeln!(text, "//   {n} queries, {simulated}");
        }
        let _ = writeln!(text, "// Columns: {}.", self.columns.join(", "));
        text.push_str("Weights {\n    by_pool: [\n");
        for pool in Pool::ALL.map(Pool::name) {
            let weights = self.weights.get(pool).map(|weights| weights.map(|weight| format!("{weight:?}")).join(", "));
            let _ = writeln!(text, "        // {pool}\n        [{}],", weights.unwrap_or_default());
        }
        let turns = Pool::ALL.map(|pool| self.turns.get(pool.name()).copied().unwrap_or(1).to_string()).join(", ");
        let _ = writeln!(text, "    ],\n    turns: [{turns}],\n}}");
        text
    }
}

type Found = (Vec<Seen>, BTreeMap<&'static str, usize>);

/// Lives through the sampled queries of a market.
fn see(
    market: &Market<'_>,
    map: &CuisineMap,
    ltr: Option<&dyn Scorer>,
    options: &FirstPassOptions,
    progress: &dyn Fn(usize, usize),
) -> Result<Found, FirstPassError> {
    let mut timeline_options = options.timeline.clone();
    timeline_options.areas.market.clone_from(&market.path);
    let catalog = Catalog::new(market.tables, map, &timeline_options.areas);
    let timeline = Timeline::new(market.tables, map, &catalog, &timeline_options).map_err(ExamplesError::from)?;
    let (queries, _) = timeline.queries(market.tables, Protocol::SendTime, Timestamp::MIN);
    let (valid, test) = splits(&queries);
    let split = |at: Timestamp| {
        if at >= test {
            "test"
        } else if at >= valid {
            "valid"
        } else {
            "train"
        }
    };
    let mut sampled: Vec<Query<'_>> = Vec::new();
    for name in ["train", "valid", "test"] {
        let mut of: Vec<&Query<'_>> = queries.iter().filter(|query| split(query.at) == name).collect();
        let key = |query: &Query<'_>| mix(options.seed ^ query.key());
        of.sort_by_key(|query| (key(query), query.at, query.user_id));
        sampled.extend(of.into_iter().take(options.queries));
    }
    sampled.sort_by(|a, b| (a.at, a.user_id).cmp(&(b.at, b.user_id)));

    let (mut all, mut filtered, mut failed) = (Vec::new(), BTreeMap::new(), None);
    let lived = timeline.live(&sampled, progress, |answers| {
        for answer in answers {
            if let Err(why) = answer.found {
                *filtered.entry(why).or_default() += 1;
            }
            match seen(&answer, split(answer.query.at), ltr) {
                Ok(seen) => all.push(seen),
                Err(error) => failed = Some(error),
            }
        }
    });
    lived.map_err(ExamplesError::from)?;
    match failed {
        Some(source) => Err(FirstPassError::Model { scorer: ltr.map_or("prior", Scorer::name), source }),
        None => Ok((all, filtered)),
    }
}

/// When validation and test begin.
fn splits(queries: &[Query<'_>]) -> (Timestamp, Timestamp) {
    let at = |share: f64| {
        let i = (queries.len() as f64 * share) as usize;
        queries.get(i).or(queries.last()).map_or(0, |query| query.at)
    };
    (at(TRAIN), at(TRAIN + VALID))
}

/// When the validation and test splits of a market's messages begin.
#[must_use]
pub fn splits_of(timeline: &Timeline<'_>, tables: &Tables) -> (Timestamp, Timestamp) {
    splits(&timeline.queries(tables, Protocol::SendTime, Timestamp::MIN).0)
}

fn seen(answer: &Answer<'_>, split: &'static str, ltr: Option<&dyn Scorer>) -> Result<Seen, ModelError> {
    let before: Vec<(usize, f32)> =
        FEATURES.iter().enumerate().filter(|(_, f)| BEFORE.contains(&f.name)).map(|(i, f)| (i, f.prior)).collect();
    let wide = |scores: Vec<i32>| -> Vec<f64> { scores.into_iter().map(f64::from).collect() };
    let mut scores = Vec::new();
    if let Some(ltr) = ltr {
        scores.push((ltr.name(), wide(score::score(ltr, &answer.rows)?)));
    }
    scores.push(("prior", wide(score::prior(&answer.rows))));
    let (own, count) = const { (column("own_log_orders"), column("log_popularity_cell")) };
    let is_in = answer.kept.iter().zip(answer.rows.iter()).map(|(candidate, row)| {
        // Whom the profile remembers has a count above nothing.
        let known = row[own] > 0.0;
        Pool::ALL.map(|pool| match pool {
            Pool::Reorder => known,
            Pool::Inspire => !known,
            pool => pool.has(candidate, None),
        })
    });
    Ok(Seen {
        split,
        reader: answer.query.user_id.to_owned(),
        at: answer.query.at,
        cell: answer.place.cell(),
        merchant: answer.query.merchant,
        ids: answer.kept.iter().map(|candidate| candidate.merchant.id).collect(),
        columns: answer.rows.iter().map(|row| FIRST_PASS_AT.map(|at| row[at])).collect(),
        is_in: is_in.collect(),
        before: answer.rows.iter().map(|row| before.iter().fold(0.0, |sum, (i, w)| sum + w * row[*i])).collect(),
        counts: answer.rows.iter().map(|row| row[count]).collect(),
        scores,
        found: answer.found.ok(),
        new_merchant: answer.query.new_merchant,
    })
}

/// A query of a pool: by column, what each other member has more than the order's merchant.
struct Rivals {
    more: [Vec<f32>; N_COLUMNS],
}

impl Rivals {
    /// `None` where the order is not of the pool, or its merchant no member.
    fn of(seen: &Seen, pool: Pool) -> Option<Self> {
        let found = seen.found.filter(|i| seen.is_positive(pool) && seen.is_in[*i][pool as usize])?;
        let others = (0..seen.columns.len()).filter(|i| *i != found && seen.is_in[*i][pool as usize]);
        let others: Vec<usize> = others.collect();
        let own = seen.columns[found];
        let more = std::array::from_fn(|j| others.iter().map(|i| seen.columns[*i][j] - own[j]).collect());
        Some(Self { more })
    }

    fn len(&self) -> usize {
        self.more[0].len()
    }

    /// How much higher each rival scores.
    fn leads(&self, weights: &[f64; N_COLUMNS]) -> Vec<f64> {
        let mut leads = vec![0.0; self.len()];
        for (weight, more) in weights.iter().zip(&self.more).filter(|(weight, _)| **weight != 0.0) {
            leads.iter_mut().zip(more).for_each(|(lead, more)| *lead += weight * f64::from(*more));
        }
        leads
    }
}

/// Root mean square of each column's differences: the unit that steps are taken in; 0 where nothing differs.
fn spread(rivals: &[Rivals]) -> [f64; N_COLUMNS] {
    let n: usize = rivals.iter().map(Rivals::len).sum();
    std::array::from_fn(|j| {
        let squares = rivals.iter().map(|r| r.more[j].iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>());
        libm::sqrt(squares.sum::<f64>() / n.max(1) as f64)
    })
}

/// The likeliest weights of a conditional logit, by Newton's method on standardized columns; one observation a query.
fn conditional_logit(rivals: &[Rivals], spread: &[f64; N_COLUMNS]) -> [f64; N_COLUMNS] {
    let unit = spread.map(|s| if s > 0.0 { 1.0 / s } else { 0.0 });
    let mut weights = [0.0; N_COLUMNS];
    for _ in 0..NEWTON_STEPS {
        let scaled: [f64; N_COLUMNS] = std::array::from_fn(|j| weights[j] * unit[j]);
        let parts: Vec<([f64; N_COLUMNS], [[f64; N_COLUMNS]; N_COLUMNS])> =
            rivals.par_iter().map(|rivals| moments(rivals, &scaled, &unit)).collect();
        let mut gradient = weights.map(|weight| -RIDGE * weight);
        let mut curvature = [[0.0; N_COLUMNS]; N_COLUMNS];
        (0..N_COLUMNS).for_each(|j| curvature[j][j] = RIDGE);
        // In the order of the queries, so that threads change no bit.
        for (mean, covariance) in &parts {
            for j in 0..N_COLUMNS {
                gradient[j] -= mean[j];
                (0..N_COLUMNS).for_each(|k| curvature[j][k] += covariance[j][k]);
            }
        }
        let matrix = Mat::from_fn(N_COLUMNS, N_COLUMNS, |j, k| curvature[j][k]);
        let right = Mat::from_fn(N_COLUMNS, 1, |j, _| gradient[j]);
        let Ok(factors) = matrix.llt(Side::Lower) else { break };
        let step = factors.solve(&right);
        // A whole step may overshoot far from the optimum.
        let longest = (0..N_COLUMNS).map(|j| step[(j, 0)].abs()).fold(0.0, f64::max);
        let shorten = if longest > 1.0 { 1.0 / longest } else { 1.0 };
        (0..N_COLUMNS).for_each(|j| weights[j] += shorten * step[(j, 0)]);
        if longest < 1e-9 {
            break;
        }
    }
    std::array::from_fn(|j| weights[j] * unit[j])
}

/// Mean and covariance of the rivals' leads over the order's merchant, by the choice's probabilities.
fn moments(
    rivals: &Rivals,
    weights: &[f64; N_COLUMNS],
    unit: &[f64; N_COLUMNS],
) -> ([f64; N_COLUMNS], [[f64; N_COLUMNS]; N_COLUMNS]) {
    let leads = rivals.leads(weights);
    let most = leads.iter().copied().fold(0.0, f64::max);
    let odds: Vec<f64> = leads.iter().map(|lead| libm::exp(lead - most)).collect();
    let all = libm::exp(-most) + odds.iter().sum::<f64>();
    let (mut mean, mut covariance) = ([0.0; N_COLUMNS], [[0.0; N_COLUMNS]; N_COLUMNS]);
    for (i, odds) in odds.iter().enumerate() {
        let p = odds / all;
        let x: [f64; N_COLUMNS] = std::array::from_fn(|j| f64::from(rivals.more[j][i]) * unit[j]);
        for j in 0..N_COLUMNS {
            mean[j] += p * x[j];
            (0..=j).for_each(|k| covariance[j][k] += p * x[j] * x[k]);
        }
    }
    for j in 0..N_COLUMNS {
        for k in 0..=j {
            covariance[j][k] -= mean[j] * mean[k];
            covariance[k][j] = covariance[j][k];
        }
    }
    (mean, covariance)
}

/// How many are ahead by their leads; who is level is ahead half of the time.
fn ahead(leads: impl Iterator<Item = f64>) -> f64 {
    leads.fold(0.0, |ahead, lead| {
        ahead
            + if lead > 0.0 {
                1.0
            } else if lead < 0.0 {
                0.0
            } else {
                0.5
            }
    })
}

/// So many of the members; at least one.
fn depth(share: f64, members: usize) -> f64 {
    let n = libm::ceil(share * members as f64);
    if n > 1.0 { n } else { 1.0 }
}

/// Column by column, as long as recall rises.
fn ascend(rivals: &[Rivals], start: [f64; N_COLUMNS], spread: &[f64; N_COLUMNS], share: f64) -> [f64; N_COLUMNS] {
    let mut weights = start;
    let mut leads: Vec<Vec<f64>> = rivals.par_iter().map(|rivals| rivals.leads(&weights)).collect();
    let value = |leads: &[Vec<f64>], column: usize, step: f64| -> f64 {
        let one = |(rivals, leads): (&Rivals, &Vec<f64>)| {
            let ahead =
                ahead(leads.iter().zip(&rivals.more[column]).map(|(lead, more)| lead + step * f64::from(*more)));
            let hit = if 1.0 + ahead <= depth(share, rivals.len() + 1) { 1.0 } else { 0.0 };
            hit + SMOOTH / libm::log2(2.0 + ahead)
        };
        rivals.par_iter().zip(leads).map(one).collect::<Vec<f64>>().iter().sum::<f64>()
    };
    let mut most = value(&leads, 0, 0.0);
    for size in STEPS {
        for _ in 0..ROUNDS {
            let before = most;
            for column in (0..N_COLUMNS).filter(|j| spread[*j] > 0.0) {
                let whole = (0..N_COLUMNS).map(|j| weights[j] * spread[j]).map(|x| x * x).sum::<f64>();
                let whole = libm::sqrt(whole);
                let one = size * if whole > 0.0 { whole } else { 1.0 } / spread[column];
                for step in [one, -one] {
                    let found = value(&leads, column, step);
                    if found > most {
                        most = found;
                        weights[column] += step;
                        leads = rivals.par_iter().map(|rivals| rivals.leads(&weights)).collect();
                        break;
                    }
                }
            }
            if most <= before {
                break;
            }
        }
    }
    weights
}

/// Only the order counts: the column that matters most weighs 1 in its own unit; four decimals of a unit are kept.
fn written(weights: &[f64; N_COLUMNS], spread: &[f64; N_COLUMNS]) -> Columns {
    let most = (0..N_COLUMNS).map(|j| (weights[j] * spread[j]).abs()).fold(0.0, f64::max);
    let most = if most > 0.0 { most } else { 1.0 };
    std::array::from_fn(|j| {
        // Adding zero turns -0.0 into 0.0.
        let round = |value: f64| libm::round(value * 1e4) / 1e4 + 0.0;
        (if spread[j] > 0.0 { round(weights[j] / most) } else { 0.0 }) as f32
    })
}

/// The turns that bring the most repeats, first orders and orders on offer into the first N, each kind counted alike.
fn turns(train: &[&Seen], weights: &Weights, share: f64) -> [u8; N_POOLS] {
    let ranked: Vec<(&Seen, Vec<Ranks>)> =
        train.par_iter().filter(|seen| seen.found.is_some()).map(|seen| (*seen, seen.ranks(weights))).collect();
    let kinds = [Pool::Reorder, Pool::Offer, Pool::Inspire];
    let recall = |turns: &[u8; N_POOLS]| -> f64 {
        let one = |(seen, ranks): &(&Seen, Vec<Ranks>)| {
            let own = turn(&ranks[seen.found.unwrap_or(0)], turns);
            let ahead = ranks.iter().filter(|ranks| turn(ranks, turns) < own).count();
            (ahead as f64) < depth(share, ranks.len())
        };
        let hits: Vec<bool> = ranked.par_iter().map(one).collect();
        let of = |pool: Pool| {
            let of = ranked.iter().zip(&hits).filter(|((seen, _), _)| seen.is_positive(pool));
            let (n, hits) = of.fold((0, 0), |(n, hits), (_, hit)| (n + 1, hits + usize::from(*hit)));
            hits as f64 / n.max(1) as f64
        };
        kinds.map(of).iter().sum::<f64>()
    };
    let mut best = (f64::MIN, [1; N_POOLS]);
    for relevant in TURNS {
        for offer in TURNS {
            for inspire in TURNS {
                // A reader knows ten at most: they may come first.
                let turns = [8, relevant, offer, inspire];
                let found = recall(&turns);
                if found > best.0 {
                    best = (found, turns);
                }
            }
        }
    }
    best.1
}

fn figures_of(
    market: &Market<'_>,
    map: &CuisineMap,
    seen: &[Seen],
    filtered: &BTreeMap<&'static str, usize>,
    weights: &Weights,
    logit: &Weights,
    options: &FirstPassOptions,
) -> Figures {
    let mut queries = BTreeMap::new();
    for one in seen.iter().filter(|one| one.found.is_some()) {
        *queries.entry(one.split).or_default() += 1;
    }
    let sizes = |of: &dyn Fn(&Seen) -> usize| {
        let (sum, most) = seen.iter().map(of).fold((0, 0), |(sum, most), n| (sum + n, most.max(n)));
        (sum as f64 / seen.len().max(1) as f64, most)
    };
    let mut recall = Vec::new();
    for split in ["train", "valid", "test"] {
        let of: Vec<&Seen> = seen.iter().filter(|seen| seen.split == split).collect();
        for pool in Pool::ALL {
            recall.extend(recalls(&of, split, pool, weights, logit, options));
        }
    }
    let test: Vec<&Seen> = seen.iter().filter(|seen| seen.split == "test").collect();
    let (area, caps) = caps(market, map, &test, options);
    Figures {
        name: market.name.clone(),
        queries,
        filtered: filtered.clone(),
        candidates: sizes(&|seen| seen.columns.len()),
        recall,
        end_to_end: losses(&test, weights, options),
        area,
        caps,
    }
}

/// By what a pool is ranked in a report, the best last.
type Ranker<'a> = (&'static str, Box<dyn Fn(&Seen, usize) -> f64 + Sync + 'a>);

fn recalls(
    of: &[&Seen],
    split: &'static str,
    pool: Pool,
    weights: &Weights,
    logit: &Weights,
    options: &FirstPassOptions,
) -> Vec<Recall> {
    let column = |name: &str| FIRST_PASS.iter().position(|column| *column == name).unwrap_or(0);
    let (near, share) = (column("distance_km"), column("log_share_cell"));
    let rankers: [Ranker<'_>; 7] = [
        ("random", Box::new(|_, _| 0.0)),
        ("nearest", Box::new(move |seen, i| -f64::from(seen.columns[i][near]))),
        ("orders in the cell", Box::new(|seen, i| f64::from(seen.counts[i]))),
        ("share in the cell", Box::new(move |seen, i| f64::from(seen.columns[i][share]))),
        ("before", Box::new(|seen, i| f64::from(seen.before[i]))),
        ("logit", Box::new(|seen, i| f64::from(logit.score(pool, &seen.columns[i])))),
        ("tuned", Box::new(|seen, i| f64::from(weights.score(pool, &seen.columns[i])))),
    ];
    let of: Vec<&Seen> = of.iter().copied().filter(|seen| seen.found.is_some() && seen.is_positive(pool)).collect();
    let n = of.len().max(1) as f64;
    let members = |seen: &Seen| seen.is_in.iter().filter(|is_in| is_in[pool as usize]).count();
    let all: usize = of.iter().map(|seen| members(seen)).sum();
    // The place in the list, ties at their middle; a merchant that is no member of the pool is never found there.
    let places = |score: &(dyn Fn(&Seen, usize) -> f64 + Sync)| -> Vec<Option<f64>> {
        let place = |seen: &&Seen| -> Option<f64> {
            let found = seen.found.filter(|i| seen.is_in[*i][pool as usize])?;
            let own = score(seen, found);
            let rivals = (0..seen.columns.len()).filter(|i| *i != found && seen.is_in[*i][pool as usize]);
            Some(1.0 + ahead(rivals.map(|i| score(seen, i) - own)))
        };
        of.par_iter().map(place).collect()
    };
    let tenth = |places: &[Option<f64>]| -> Vec<f64> {
        let hit = |(seen, place): (&&Seen, &Option<f64>)| {
            if place.is_some_and(|place| place <= depth(TENTH, members(seen))) { 1.0 } else { 0.0 }
        };
        of.iter().zip(places).map(hit).collect()
    };
    let before = tenth(&places(&|seen, i| f64::from(seen.before[i])));
    let one = |(by, score): &Ranker<'_>| {
        let places = places(score);
        let reciprocal = |seen: &&Seen| {
            let members: Vec<usize> = (0..seen.columns.len()).filter(|i| seen.is_in[*i][pool as usize]).collect();
            let scores: Vec<f64> = members.iter().map(|i| score(seen, *i)).collect();
            let labels: Vec<f32> = members.iter().map(|i| if seen.found == Some(*i) { 1.0 } else { 0.0 }).collect();
            judge(&scores, &labels, &[]).map_or(0.0, |measures| measures[0])
        };
        let reciprocal: Vec<f64> = of.par_iter().map(reciprocal).collect();
        let within = |depth: &dyn Fn(&Seen) -> f64| {
            let hits = of.iter().zip(&places).filter(|(seen, place)| place.is_some_and(|place| place <= depth(seen)));
            hits.count() as f64 / n
        };
        let hits = tenth(&places);
        let more: Vec<f64> = hits.iter().zip(&before).map(|(hit, before)| hit - before).collect();
        Recall {
            split,
            pool: pool.name(),
            by,
            queries: of.len(),
            members: all as f64 / n,
            mrr: mean(&reciprocal),
            at: DEPTHS.map(|depth| within(&|_| depth as f64)),
            at_share: SHARES.map(|share| within(&|seen| depth(share, members(seen)))),
            at_tenth: interval(&of, &hits, options),
            more: interval(&of, &more, options),
        }
    };
    rankers.iter().map(one).collect()
}

/// NDCG@10 of what a cut leaves, against that of all candidates.
fn losses(test: &[&Seen], weights: &Weights, options: &FirstPassOptions) -> Vec<Loss> {
    let in_turns = |seen: &Seen| -> Vec<usize> {
        let keys: Vec<(u32, u32)> = seen.ranks(weights).iter().map(|ranks| turn(ranks, &weights.turns)).collect();
        places(keys.len(), |a, b| keys[a].cmp(&keys[b]))
    };
    let by = |score: &dyn Fn(usize) -> f32, n: usize| places(n, |a, b| score(b).total_cmp(&score(a)));
    let before = |seen: &Seen| by(&|i| seen.before[i], seen.columns.len());
    let relevant = |seen: &Seen| by(&|i| weights.score(Pool::Relevant, &seen.columns[i]), seen.columns.len());
    type Cutter<'a> = (&'static str, &'a (dyn Fn(&Seen) -> Vec<usize> + Sync));
    let cutters: [Cutter<'_>; 3] = [("before", &before), ("relevant alone", &relevant), ("pools in turns", &in_turns)];
    let counts = DEPTHS.map(|n| (n.to_string(), n as f64, 0.0));
    let shares = SHARES.map(|share| (format!("{:.0} %", share * 100.0), 0.0, share));
    let mut losses = Vec::new();
    for scorer in 0..n_scorers(test) {
        let name = test[0].scores[scorer].0;
        let whole: Vec<f64> = test.par_iter().map(|seen| seen.ndcg(scorer, &|_| true)).collect();
        for (by, places) in cutters {
            let places: Vec<Vec<usize>> = test.par_iter().map(|seen| places(seen)).collect();
            for (n, count, share) in counts.iter().chain(&shares) {
                let cut = |(seen, places): (&&Seen, &Vec<usize>)| {
                    let limit = if *share > 0.0 { depth(*share, places.len()) } else { *count };
                    seen.ndcg(scorer, &|i| (places[i] as f64) < limit)
                };
                let cut: Vec<f64> = test.par_iter().zip(&places).map(cut).collect();
                let lost: Vec<f64> = whole.iter().zip(&cut).map(|(whole, cut)| whole - cut).collect();
                losses.push(Loss {
                    scorer: name,
                    by,
                    n: n.clone(),
                    whole: mean(&whole),
                    cut: mean(&cut),
                    lost: interval(test, &lost, options),
                });
            }
        }
    }
    losses
}

/// How many rank the queries; the same for each.
fn n_scorers(of: &[&Seen]) -> usize {
    of.first().map_or(0, |seen| seen.scores.len())
}

/// Where each of so many stands in the order of the comparison, the first of equals before the others.
fn places(n: usize, compare: impl Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| compare(*a, *b).then(a.cmp(b)));
    let mut places = vec![0; n];
    order.iter().enumerate().for_each(|(place, i)| places[*i] = place);
    places
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// A mean over queries, and where 95 % of the means over resampled readers lie.
fn interval(test: &[&Seen], values: &[f64], options: &FirstPassOptions) -> Interval {
    let mut readers: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (seen, value) in test.iter().zip(values) {
        let (sum, n) = readers.entry(&seen.reader).or_default();
        (*sum, *n) = (*sum + value, *n + 1.0);
    }
    let readers: Vec<(f64, f64)> = readers.into_values().collect();
    let resample = |b: u64| {
        let start = mix(options.seed ^ mix(b));
        let (sum, n) = (0..readers.len() as u64).fold((0.0, 0.0), |(sum, n), i| {
            let (s, m) = readers[(mix(start.wrapping_add(i)) % readers.len() as u64) as usize];
            (sum + s, n + m)
        });
        sum / n
    };
    let mut means: Vec<f64> = (0..options.resamples as u64).into_par_iter().map(resample).collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let i = libm::round(share * means.len().saturating_sub(1) as f64) as usize;
        means.get(i).copied().unwrap_or(f64::NAN)
    };
    (mean(values), at(0.025), at(0.975))
}

/// Where the merchants of a query's area stand, before any filter.
struct Stands<'s> {
    seen: &'s Seen,
    /// Merchants of the area.
    size: usize,
    /// By who stays: how many stand before the order's merchant.
    own: [usize; N_KEEPERS],
    /// Likewise before each candidate.
    candidates: [Vec<usize>; N_KEEPERS],
}

/// By what merchants stay in a capped area.
const KEEPERS: [&str; N_KEEPERS] = ["share in the cell", "share in the city", "nearest"];
const N_KEEPERS: usize = 3;

/// What is lost where only so many merchants of an area stay.
fn caps(market: &Market<'_>, map: &CuisineMap, test: &[&Seen], options: &FirstPassOptions) -> ((f64, usize), Vec<Cap>) {
    let catalog = Catalog::new(market.tables, map, &options.timeline.areas);
    let orders = orders_before(&market.tables.orders, Timestamp::MAX);
    let mut popularity = Popularity::new(&options.timeline.areas);
    let mut recorded = 0;
    let mut stands: Vec<Stands<'_>> = Vec::new();
    for seen in test {
        while let Some(order) = orders.get(recorded).filter(|order| order.ordered_at < seen.at) {
            popularity.record(order, &catalog);
            recorded += 1;
        }
        let Some(cell) = seen.cell else { continue };
        let rows = catalog.listed(cell, seen.at);
        let Ok(own) = rows.binary_search(&seen.merchant) else { continue };
        let shares = popularity.shares(cell, &rows, seen.at);
        let middle = cell.center().unwrap_or(Point::ORIGIN);
        let near = |row: &u32| {
            let position = catalog.merchant(*row).and_then(|row| Point::new(row.latitude, row.longitude));
            -position.map_or(f64::INFINITY, |position| position.distance_km(middle))
        };
        let near: Vec<f64> = rows.iter().map(near).collect();
        let level = |level: Level| shares.by_level[level as usize].as_slice();
        // Equal ones in the order of the table.
        let stand = |values: &[f64]| places(rows.len(), |a, b| values[b].total_cmp(&values[a]));
        let by = [stand(level(Level::Cell)), stand(level(Level::City)), stand(&near)];
        let of = |id: &MerchantId| catalog.row_of(*id).and_then(|row| rows.binary_search(&row).ok());
        let at: Vec<Option<usize>> = seen.ids.iter().map(of).collect();
        let candidates = |places: &Vec<usize>| at.iter().map(|at| at.map_or(usize::MAX, |at| places[at])).collect();
        stands.push(Stands {
            seen,
            size: rows.len(),
            own: by.each_ref().map(|places| places[own]),
            candidates: by.each_ref().map(candidates),
        });
    }
    let lost = |of: &[&Stands<'_>], each: &dyn Fn(&Stands<'_>) -> f64| {
        let (seen, values): (Vec<&Seen>, Vec<f64>) = of.iter().map(|stands| (stands.seen, each(stands))).unzip();
        interval(&seen, &values, options)
    };
    let all: Vec<&Stands<'_>> = stands.iter().collect();
    let mut caps = Vec::new();
    for (k, by) in KEEPERS.into_iter().enumerate() {
        for merchants in CAPS {
            let capped: Vec<&Stands<'_>> = stands.iter().filter(|stands| stands.size > merchants).collect();
            let gone = |stands: &Stands<'_>| if stands.own[k] >= merchants { 1.0 } else { 0.0 };
            let ndcg = |scorer: usize| {
                let less = |stands: &Stands<'_>| {
                    let left = stands.seen.ndcg(scorer, &|i| stands.candidates[k][i] < merchants);
                    stands.seen.ndcg(scorer, &|_| true) - left
                };
                (stands[0].seen.scores[scorer].0, lost(&all, &less))
            };
            caps.push(Cap {
                by,
                merchants,
                lost: lost(&all, &gone),
                lost_where_capped: (!capped.is_empty()).then(|| lost(&capped, &gone)),
                capped: capped.len(),
                ndcg_lost: (0..stands.first().map_or(0, |stands| stands.seen.scores.len())).map(ndcg).collect(),
            });
        }
    }
    let sizes = stands.iter().map(|stands| stands.size);
    ((sizes.clone().sum::<usize>() as f64 / stands.len().max(1) as f64, sizes.max().unwrap_or(0)), caps)
}

#[cfg(test)]
mod tests;
