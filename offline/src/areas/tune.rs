//! How far to shrink a merchant's share of the orders to a cell: what later orders say, the reader's own left out.
//!
//! Every held-out order is asked for as of the midnight (UTC) before it: how likely was its merchant among all that deliver to
//! its cell? What the reader ordered before is taken out of all counts, since habit is another fact. Orders from
//! `until` on are not looked at, not even as counts.

use super::popularity::orders_before;
use super::{AreaError, BuildOptions, Catalog, Level, N_LEVELS, Popularity, shrunken};
use crate::tables::{Order, Status, Tables, Timestamp};
use freshrank::geo::{Cell, Point};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

const DAY: i64 = 86_400;
/// Strengths that are tried: from 1/2 on, each the square root of 2 larger, 2^17 at most.
const TRIED: i32 = 37;
/// A level of this strength says what its parent says.
const NOTHING: f64 = 1e15;
/// Rounds over the levels, unless nothing changes before.
const ROUNDS: usize = 20;

/// What to try.
#[derive(Debug, Clone, PartialEq)]
pub struct TuneOptions {
    /// Where to start.
    pub areas: BuildOptions,
    /// Half-lives, days; the first is tried alone where there is one.
    pub half_lives: Vec<f64>,
    /// Distances at which an order counts half in the ring, kilometres.
    pub half_distances: Vec<f64>,
}

impl Default for TuneOptions {
    fn default() -> Self {
        Self {
            areas: BuildOptions::default(),
            half_lives: vec![15.0, 30.0, 60.0, 120.0],
            half_distances: vec![0.25, 0.5, 1.0, 2.0, 4.0],
        }
    }
}

/// Held-out orders of one directory of tables.
pub struct Market<'t> {
    /// The tables.
    pub tables: &'t Tables,
    /// Of the same tables and options.
    pub catalog: &'t Catalog<'t>,
    /// Orders are held out from then on.
    pub from: Timestamp,
    /// Orders from then on do not exist.
    pub until: Timestamp,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tuned {
    /// Orders that were asked for.
    pub orders: usize,
    /// Of them, at a merchant the reader had not ordered from.
    pub first_orders: usize,
    /// Orders that could not be asked for, by reason.
    pub left_out: BTreeMap<&'static str, usize>,
    /// The likeliest half-life, days.
    pub half_life_days: f64,
    /// The likeliest distance, kilometres.
    pub half_distance_km: f64,
    /// By level: the likeliest strength; the largest that is tried means that a level brings nothing.
    pub strength: BTreeMap<&'static str, f64>,
    /// What was tried, the chosen last.
    pub tried: Vec<Tried>,
}

/// How likely the held-out orders are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tried {
    /// What.
    pub name: String,
    /// Mean of ln p(merchant | cell), nats an order.
    pub log_likelihood: f64,
    /// As many merchants drawn evenly would be as surprising.
    pub perplexity: f64,
    /// The mean over first orders at a merchant.
    pub log_likelihood_first: f64,
}

/// One held-out order: its merchant's counts and those of all, without the reader's own.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Held {
    n: [f64; N_LEVELS],
    all: [f64; N_LEVELS],
    even: f64,
    first: bool,
}

impl Held {
    fn share(&self, strength: &[f64; N_LEVELS]) -> f64 {
        Level::ALL
            .iter()
            .map(|level| *level as usize)
            .fold(self.even, |parent, level| shrunken(self.n[level], self.all[level], parent, strength[level]))
    }
}

/// Chooses half-life, distance and strengths by the likelihood of held-out orders.
///
/// # Errors
/// No order could be asked for.
pub fn tune(
    markets: &[Market<'_>],
    options: &TuneOptions,
    progress: &dyn Fn(usize, usize),
) -> Result<Tuned, AreaError> {
    let mut areas = options.areas.clone();
    let mut tried = Vec::new();
    let mut left_out = BTreeMap::new();
    let steps = options.half_lives.len() + options.half_distances.len();
    let mut best: Option<(f64, [f64; N_LEVELS], Vec<Held>)> = None;
    let mut start = areas.shrinkage.strength;
    let half_lives = options.half_lives.iter().map(|days| (Some(*days), None));
    let half_distances = options.half_distances.iter().map(|km| (None, Some(*km)));
    for (done, (half_life, half_distance)) in half_lives.chain(half_distances).enumerate() {
        let mut trial = areas.clone();
        trial.half_life_days = half_life.unwrap_or(trial.half_life_days);
        trial.shrinkage.half_distance_km = half_distance.unwrap_or(trial.shrinkage.half_distance_km);
        left_out.clear();
        let held: Vec<Held> = markets.iter().flat_map(|market| hold(market, &trial, &mut left_out)).collect();
        if held.is_empty() {
            return Err(AreaError::NothingHeldOut);
        }
        let (found, strength) = strengths(&held, start);
        let name = match (half_life, half_distance) {
            (Some(days), _) => format!("half-life {days} days"),
            (_, Some(km)) => format!("half at {km} km"),
            _ => String::new(),
        };
        tried.push(line(name, &held, &strength));
        if best.as_ref().is_none_or(|(most, ..)| found > *most) {
            (areas, start) = (trial, strength);
            best = Some((found, strength, held));
        }
        progress(done + 1, steps);
    }
    let Some((_, strength, held)) = best else {
        return Err(AreaError::NothingHeldOut);
    };
    let alone = |level: Level| Level::ALL.map(|other| if other == level { strength[level as usize] } else { NOTHING });
    tried.push(line("all merchants alike".into(), &held, &[NOTHING; N_LEVELS]));
    let mut add_one = [NOTHING; N_LEVELS];
    add_one[Level::Cell as usize] = 1.0;
    tried.push(line("the cell's counts upon one even order".into(), &held, &add_one));
    tried.extend(Level::ALL.map(|level| line(format!("{} alone", level.name()), &held, &alone(level))));
    tried.extend(Level::ALL.map(|level| {
        let mut without = strength;
        without[level as usize] = NOTHING;
        line(format!("without {}", level.name()), &held, &without)
    }));
    tried.push(line("before: options given".into(), &held, &options.areas.shrinkage.strength));
    tried.push(line("chosen".into(), &held, &strength));
    Ok(Tuned {
        orders: held.len(),
        first_orders: held.iter().filter(|held| held.first).count(),
        left_out,
        half_life_days: areas.half_life_days,
        half_distance_km: areas.shrinkage.half_distance_km,
        strength: Level::ALL.map(|level| (level.name(), strength[level as usize])).into(),
        tried,
    })
}

fn likelihood<'h>(held: impl Iterator<Item = &'h Held>, strength: &[f64; N_LEVELS]) -> f64 {
    let (sum, n) = held.fold((0.0, 0), |(sum, n), held| (sum + libm::log(held.share(strength)), n + 1));
    if n == 0 { 0.0 } else { sum / f64::from(n) }
}

fn line(name: String, held: &[Held], strength: &[f64; N_LEVELS]) -> Tried {
    let log_likelihood = likelihood(held.iter(), strength);
    Tried {
        name,
        log_likelihood,
        perplexity: libm::exp(-log_likelihood),
        log_likelihood_first: likelihood(held.iter().filter(|held| held.first), strength),
    }
}

/// Level by level over a grid, until nothing gets likelier.
fn strengths(held: &[Held], start: [f64; N_LEVELS]) -> (f64, [f64; N_LEVELS]) {
    let (mut strength, mut most) = (start, likelihood(held.iter(), &start));
    let grid: Vec<f64> = (0..TRIED).map(|i| libm::exp2(f64::from(i) / 2.0 - 1.0)).collect();
    for _ in 0..ROUNDS {
        let before = most;
        for level in Level::ALL {
            let try_one = |k: &f64| {
                let mut trial = strength;
                trial[level as usize] = *k;
                (likelihood(held.iter(), &trial), *k)
            };
            let found: Vec<(f64, f64)> = grid.par_iter().map(try_one).collect();
            // The first of equals: the smallest.
            for (likely, k) in found {
                if likely > most {
                    (most, strength[level as usize]) = (likely, k);
                }
            }
        }
        if most <= before {
            break;
        }
    }
    (most, strength)
}

/// The held-out orders of a market under one half-life and distance.
fn hold(market: &Market<'_>, options: &BuildOptions, left_out: &mut BTreeMap<&'static str, usize>) -> Vec<Held> {
    let catalog = market.catalog;
    let orders = orders_before(&market.tables.orders, market.until);
    let mut own: HashMap<&str, Vec<Own>> = HashMap::new();
    for order in orders.iter().filter(|order| order.status == Status::Completed) {
        if let (Some(row), Some(to)) = (catalog.row(&order.merchant_id), catalog.destination(order)) {
            own.entry(&order.user_id).or_default().push(Own { row, to, at: order.ordered_at });
        }
    }
    let mut popularity = Popularity::new(options);
    let (mut recorded, mut held) = (0, Vec::new());
    let first = orders.partition_point(|order| order.ordered_at < market.from);
    for day in orders[first..].chunk_by(|a, b| a.ordered_at.div_euclid(DAY) == b.ordered_at.div_euclid(DAY)) {
        let Some(as_of) = day.first().map(|order| order.ordered_at.div_euclid(DAY) * DAY) else { continue };
        while let Some(order) = orders.get(recorded).filter(|order| order.ordered_at < as_of) {
            popularity.record(order, catalog);
            recorded += 1;
        }
        let mut cells: BTreeMap<Cell, Vec<(&Order, u32)>> = BTreeMap::new();
        for order in day.iter().filter(|order| order.status == Status::Completed) {
            match (catalog.row(&order.merchant_id), catalog.destination(order)) {
                (None, _) => *left_out.entry("merchant not in the table").or_default() += 1,
                (_, None) => *left_out.entry("order to no known place").or_default() += 1,
                (Some(row), Some(to)) => cells.entry(to.cell()).or_default().push((order, row)),
            }
        }
        let cells: Vec<(Cell, Vec<(&Order, u32)>)> = cells.into_iter().collect();
        let ask = |(cell, asked): &(Cell, Vec<(&Order, u32)>)| {
            let rows = catalog.listed(*cell, as_of);
            let counts = popularity.counts(*cell, &rows, as_of);
            let all: [f64; N_LEVELS] = Level::ALL.map(|level| counts.by_level[level as usize].iter().sum());
            let one = |(order, row): &(&Order, u32)| {
                let at = rows.binary_search(row).ok()?;
                let n = Level::ALL.map(|level| counts.by_level[level as usize][at]);
                let mut held = Held { n, all, even: 1.0 / rows.len() as f64, first: true };
                for own in own.get(order.user_id.as_str()).into_iter().flatten().filter(|own| own.at < as_of) {
                    held.first &= own.row != *row;
                    let weight = popularity.weight(*cell, own.to, own.at, as_of);
                    for level in Level::ALL.map(|level| level as usize) {
                        // Counts of the others never fall below nothing, whatever rounding leaves.
                        let less = |count: f64| if count > weight[level] { count - weight[level] } else { 0.0 };
                        if rows.binary_search(&own.row).is_ok() {
                            held.all[level] = less(held.all[level]);
                        }
                        if own.row == *row {
                            held.n[level] = less(held.n[level]);
                        }
                    }
                }
                Some(held)
            };
            asked.iter().map(one).collect::<Vec<Option<Held>>>()
        };
        let found: Vec<Vec<Option<Held>>> = cells.par_iter().map(ask).collect();
        for one in found.into_iter().flatten() {
            match one {
                Some(one) => held.push(one),
                None => *left_out.entry("merchant does not deliver there").or_default() += 1,
            }
        }
    }
    held
}

/// An earlier order of the same reader.
struct Own {
    row: u32,
    to: Point,
    at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuisines::{FitOptions, fit};
    use crate::tables::Merchant;

    const NOW: Timestamp = 1_795_168_800;
    const HELSINKI: (f64, f64) = (60.1699, 24.9384);

    fn order(user: &str, merchant: &str, days_ago: i64) -> Order {
        Order {
            user_id: user.into(),
            merchant_id: merchant.into(),
            ordered_at: NOW - days_ago * DAY,
            latitude: Some(HELSINKI.0),
            longitude: Some(HELSINKI.1),
            ..Order::default()
        }
    }

    fn tables(orders: Vec<Order>) -> Tables {
        let merchant = |id: &str| Merchant {
            merchant_id: id.into(),
            latitude: HELSINKI.0,
            longitude: HELSINKI.1,
            cuisines: vec!["pizza".into()],
            ..Merchant::default()
        };
        Tables { merchants: ["a", "b"].map(merchant).to_vec(), orders, ..Tables::default() }
    }

    fn held(tables: &Tables, from: i64, until: i64) -> Vec<Held> {
        let map = fit(&tables.merchants, &FitOptions::default()).unwrap();
        let options = BuildOptions::default();
        let catalog = Catalog::new(tables, &map, &options);
        let market = Market { tables, catalog: &catalog, from: NOW - from * DAY, until: NOW - until * DAY };
        hold(&market, &options, &mut BTreeMap::new())
    }

    #[test]
    fn what_a_reader_ordered_before_says_nothing_of_their_next_order() {
        let habit: Vec<Order> = [20, 15, 10, 3].map(|days| order("u", "a", days)).into();
        let held = held(&tables(habit.clone()), 4, -1);
        assert_eq!(held.len(), 1);
        assert!(!held[0].first);
        assert!(held[0].n.iter().chain(&held[0].all).all(|n| n.abs() < 1e-12), "{:?}", held[0]);

        let others: Vec<Order> = habit.into_iter().chain([order("v", "a", 3)]).collect();
        let held = self::held(&tables(others), 4, -1);
        let v = held.iter().find(|held| held.first).unwrap();
        assert!(v.n[Level::Cell as usize] > 1.5 && v.n == v.all, "v sees what u ordered: {v:?}");
    }

    #[test]
    fn later_orders_do_not_exist() {
        let early = vec![order("u", "a", 9), order("v", "b", 5)];
        let late: Vec<Order> = early.iter().cloned().chain([order("w", "b", 4), order("w", "a", 2)]).collect();
        let until = |orders: Vec<Order>| held(&tables(orders), 6, 4);
        assert_eq!(until(early), until(late));
    }

    #[test]
    fn a_level_that_tells_nothing_is_given_no_weight() {
        // The cell says the opposite of what its ring says, and the ring is right.
        let one = |n: [f64; N_LEVELS], all| Held { n, all, even: 0.5, first: true };
        let held: Vec<Held> = (0..400)
            .map(|i| {
                if i % 10 < 8 {
                    one([4.0, 4.0, 8.0, 1.0], [8.0, 8.0, 10.0, 10.0])
                } else {
                    one([4.0, 4.0, 2.0, 9.0], [8.0, 8.0, 10.0, 10.0])
                }
            })
            .collect();
        let (_, strength) = strengths(&held, [10.0; N_LEVELS]);
        assert!(strength[Level::Cell as usize] > 1000.0, "{strength:?}");
        assert!(strength[Level::Ring as usize] < 2.0, "{strength:?}");
    }
}
