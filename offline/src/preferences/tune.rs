//! Chooses the levers by the likelihood of orders that were held out.
//!
//! An order is told by the posterior before it: ln of the share of its cuisine, averaged where it has several (its labels
//! share one unit, as evidence does), less the same under the market's mix. That is a proper score, in nats an order:
//! only the true shares maximise its expectation. The whole grid is computed, so that no lever is chosen before another.

use super::held_out::{Ask, FEW_ORDERS, Interval, Log, Mixes, Resampling, Slices, Sums, asks, before, logs};
use super::{Evidence, Fade, Menus, PreferenceOptions, smoothed};
use crate::cuisines::CuisineMap;
use crate::tables::Tables;
use rayon::prelude::*;
use serde::Serialize;
use thiserror::Error;

/// The values that are tried; every combination is.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// See [`PreferenceOptions::lifelong`].
    pub lifelong: Vec<Fade>,
    /// See [`PreferenceOptions::recent`].
    pub recent: Vec<Fade>,
    /// See [`PreferenceOptions::prior_strength`].
    pub prior_strength: Vec<f64>,
    /// See [`PreferenceOptions::smoothing`].
    pub smoothing: Vec<f64>,
    /// See [`PreferenceOptions::recent_share`].
    pub recent_share: Vec<f64>,
}

impl Default for Grid {
    fn default() -> Self {
        let days = [90.0, 180.0, 365.0, 730.0, 1460.0, f64::INFINITY].map(Fade::Days);
        let orders = [2.0, 4.0, 8.0, 16.0, 32.0].map(Fade::Orders);
        Self {
            lifelong: days.into_iter().chain(orders).collect(),
            recent: [3.5, 7.0, 14.0, 28.0, 56.0, 84.0].map(Fade::Days).to_vec(),
            prior_strength: vec![0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0],
            smoothing: vec![0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0],
            recent_share: vec![0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0],
        }
    }
}

/// Why nothing was chosen.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TuneError {
    /// Nobody orders twice, or nothing of it has a cuisine.
    #[error(
        "found {orders} orders and none to tell from an earlier one, expected readers with two orders of known cuisine"
    )]
    NothingToTell {
        /// Completed ones.
        orders: usize,
    },
}

/// What was chosen, and how sharply.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tuned {
    /// Said in every output when present.
    pub simulated: Option<String>,
    /// First moment of the slice it was chosen on, RFC 3339.
    pub from: String,
    /// First moment after it: nothing from there on was looked at.
    pub until: String,
    /// Orders that were told, of readers who had not churned.
    pub orders: usize,
    /// Whose.
    pub readers: usize,
    /// Orders whose merchant has no cuisine that the market had.
    pub left_out: usize,
    /// The levers.
    pub chosen: PreferenceOptions,
    /// Nats an order over the market's mix.
    pub gain: Interval,
    /// Levers whose best value is the first or last that was tried.
    pub at_edge: Vec<&'static str>,
    /// Each value of each lever with the best of the others.
    pub sweeps: Vec<Sweep>,
    /// Kinds of orders by themselves, readers who came back after they had churned the last.
    pub apart: Vec<Apart>,
}

/// One value of one lever.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sweep {
    /// Which lever.
    pub lever: &'static str,
    /// Which value.
    pub value: String,
    /// Whether it was chosen.
    pub chosen: bool,
    /// Nats an order over the market's mix, at the best values of the others.
    pub gain: f64,
    /// The same less the chosen ones' gain; the interval is paired over readers.
    pub less_chosen: Interval,
}

/// One kind of orders by itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Apart {
    /// Which.
    pub kind: &'static str,
    /// Orders that were told.
    pub orders: usize,
    /// Nats an order over the market's mix, by the chosen levers.
    pub gain: Interval,
    /// What they alone would have chosen; nothing rests on it.
    pub best: PreferenceOptions,
    /// And what it would have gained.
    pub best_gain: f64,
}

/// A kind of orders, and which they are.
type Kind = (&'static str, fn(&Ask<'_>) -> bool);

/// Kinds of orders; the first chooses the levers, the last is no part of it.
const KINDS: [Kind; 4] = [
    ("readers who have not churned", |ask| !ask.churned),
    ("first orders at a merchant", |ask| !ask.churned && ask.new_merchant),
    ("readers with 1 to 3 orders", |ask| !ask.churned && ask.n_before <= FEW_ORDERS),
    ("churned readers", |ask| ask.churned),
];

/// A cuisine of an order that is told.
struct Term {
    /// Which of the orders.
    ask: usize,
    /// Its part of the order.
    weight: f64,
    /// The market's share.
    mix: f64,
}

/// What evidence that fades in one way says of every [`Term`].
struct Told {
    /// Evidence for the very cuisine.
    own: Vec<f64>,
    /// The same, all of it spread over alike cuisines.
    spread: Vec<f64>,
    /// By order: all evidence.
    total: Vec<f64>,
}

/// Everything the likelihood is made of.
struct Study {
    terms: Vec<Term>,
    /// By order: of which of [`KINDS`].
    kinds: Vec<[bool; KINDS.len()]>,
    reader: Vec<usize>,
    lifelong: Vec<Told>,
    recent: Vec<Told>,
}

/// One combination of the grid, by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point([usize; 5]);

/// The levers, in the order of a [`Point`].
const LEVERS: [&str; 5] = ["lifelong", "recent", "prior strength", "smoothing", "recent share"];

impl Grid {
    fn sizes(&self) -> [usize; 5] {
        [
            self.lifelong.len(),
            self.recent.len(),
            self.prior_strength.len(),
            self.smoothing.len(),
            self.recent_share.len(),
        ]
    }

    fn points(&self) -> Vec<Point> {
        let sizes = self.sizes();
        let point = |mut i: usize| {
            let mut at = [0; 5];
            for (at, size) in at.iter_mut().zip(sizes) {
                *at = i % size;
                i /= size;
            }
            Point(at)
        };
        (0..sizes.iter().product()).map(point).collect()
    }

    fn options(&self, Point([lifelong, recent, strength, smoothing, share]): Point) -> PreferenceOptions {
        PreferenceOptions {
            lifelong: self.lifelong[lifelong],
            recent: self.recent[recent],
            prior_strength: self.prior_strength[strength],
            smoothing: self.smoothing[smoothing],
            recent_share: self.recent_share[share],
            sensitive: false,
        }
    }

    fn value(&self, lever: usize, i: usize) -> String {
        match lever {
            0 => self.lifelong[i].to_string(),
            1 => self.recent[i].to_string(),
            2 => self.prior_strength[i].to_string(),
            3 => self.smoothing[i].to_string(),
            _ => self.recent_share[i].to_string(),
        }
    }
}

impl Study {
    fn new(tables: &Tables, map: &CuisineMap, logs: &[Log<'_>], asked: &[Ask<'_>], grid: &Grid) -> (Self, usize) {
        let options = PreferenceOptions::default();
        let menus = Menus::new(&tables.merchants, map, &options);
        let mixes = Mixes::new(tables, &menus, asked.iter().map(|ask| ask.order.ordered_at));
        let market = |ask: &Ask<'_>| mixes.at(logs[ask.log].market, ask.order.ordered_at);

        let (mut terms, mut kept) = (Vec::new(), Vec::new());
        for ask in asked {
            let mix = market(ask);
            let menu = menus.of(&ask.order.merchant_id);
            // A cuisine that nobody in the market had before cannot be told by its mix, nor by anything built upon it.
            let known: Vec<u16> = menu.iter().copied().filter(|id| mix.share[usize::from(*id)] > 0.0).collect();
            if known.is_empty() {
                continue;
            }
            let term =
                |id: &u16| Term { ask: kept.len(), weight: 1.0 / known.len() as f64, mix: mix.share[usize::from(*id)] };
            terms.extend(known.iter().map(term));
            kept.push((*ask, known));
        }

        // Two ways of fading at a time, as one reader has.
        let told = |fades: &[Fade]| -> Vec<Told> {
            let of_pair = |pair: &[Fade]| -> Vec<Told> {
                let (first, last) = (pair[0], pair[pair.len() - 1]);
                let options = PreferenceOptions { lifelong: first, recent: last, ..options };
                let mut both = [Told::new(), Told::new()];
                for (ask, known) in &kept {
                    let preferences = before(&logs[ask.log], ask, &menus, &options);
                    both[0].add(&preferences.lifelong, known, market(ask), map);
                    both[1].add(&preferences.recent, known, market(ask), map);
                }
                both.into_iter().take(pair.len()).collect()
            };
            fades.par_chunks(2).flat_map_iter(of_pair).collect()
        };
        let study = Self {
            kinds: kept.iter().map(|(ask, _)| KINDS.map(|(_, is)| is(ask))).collect(),
            reader: kept.iter().map(|(ask, _)| ask.log).collect(),
            lifelong: told(&grid.lifelong),
            recent: told(&grid.recent),
            terms,
        };
        (study, asked.len() - kept.len())
    }

    /// What the posterior of these levers tells of every term, ln(share / market's share) times its weight.
    fn gains<'s>(&'s self, grid: &Grid, Point(at): Point) -> impl Iterator<Item = (usize, f64)> + 's {
        let [lifelong, recent, strength, smoothing, share] = at;
        let (strength, part) = (grid.prior_strength[strength], grid.smoothing[smoothing]);
        let share = grid.recent_share[share];
        let posterior = move |told: &Told, i: usize, term: &Term| {
            let own = (1.0 - part) * told.own[i] + part * told.spread[i];
            (strength * term.mix + own) / (strength + told.total[term.ask])
        };
        let (lifelong, recent) = (&self.lifelong[lifelong], &self.recent[recent]);
        self.terms.iter().enumerate().map(move |(i, term)| {
            let both = (1.0 - share) * posterior(lifelong, i, term) + share * posterior(recent, i, term);
            (term.ask, term.weight * libm::log(both / term.mix))
        })
    }

    /// Sums over the orders of every kind.
    fn sums(&self, grid: &Grid, point: Point) -> [f64; KINDS.len()] {
        let mut sums = [0.0; KINDS.len()];
        for (ask, gain) in self.gains(grid, point) {
            for (sum, is) in sums.iter_mut().zip(self.kinds[ask]) {
                *sum += if is { gain } else { 0.0 };
            }
        }
        sums
    }

    fn by_ask(&self, grid: &Grid, point: Point) -> Vec<f64> {
        let mut gains = vec![0.0; self.kinds.len()];
        self.gains(grid, point).for_each(|(ask, gain)| gains[ask] += gain);
        gains
    }
}

impl Told {
    fn new() -> Self {
        Self { own: Vec::new(), spread: Vec::new(), total: Vec::new() }
    }

    fn add(&mut self, evidence: &Evidence, known: &[u16], mix: &super::Mix, map: &CuisineMap) {
        let spread = smoothed(evidence, mix, map, 1.0);
        let of = |evidence: &Evidence, id: &u16| evidence.get(id).copied().unwrap_or(0.0);
        self.own.extend(known.iter().map(|id| of(evidence, id)));
        self.spread.extend(known.iter().map(|id| of(&spread, id)));
        self.total.push(evidence.values().sum());
    }
}

/// Tries the whole grid on the validation slice.
///
/// # Errors
/// [`TuneError::NothingToTell`].
pub fn tune(tables: &Tables, map: &CuisineMap, grid: &Grid, how: Resampling) -> Result<Tuned, TuneError> {
    let logs = logs(tables);
    let all = asks(&logs);
    let slices = Slices::of(&all);
    let asked: Vec<Ask<'_>> =
        all.into_iter().filter(|ask| (slices.valid..slices.test).contains(&ask.order.ordered_at)).collect();
    let (study, left_out) = Study::new(tables, map, &logs, &asked, grid);
    let nothing = || TuneError::NothingToTell { orders: logs.iter().map(|log| log.orders.len()).sum() };

    let points = grid.points();
    let sums: Vec<[f64; KINDS.len()]> = points.par_iter().map(|point| study.sums(grid, *point)).collect();
    // The first of equal ones, so that the grid's order decides and not the machine.
    let best = |kind: usize, fits: &dyn Fn(Point) -> bool| -> Option<(Point, f64)> {
        let fitting = points.iter().zip(&sums).filter(|(point, _)| fits(**point));
        let better = |a: Option<(Point, f64)>, (point, sums): (&Point, &[f64; KINDS.len()])| match a {
            Some((_, value)) if value >= sums[kind] => a,
            _ => Some((*point, sums[kind])),
        };
        fitting.fold(None, better)
    };
    let (chosen, _) = best(0, &|_| true).ok_or_else(nothing)?;
    let count = |kind: usize| study.kinds.iter().filter(|kinds| kinds[kind]).count();
    let n = count(0);
    if n == 0 {
        return Err(nothing());
    }

    let gains = study.by_ask(grid, chosen);
    let interval = |kind: usize, of: &dyn Fn(usize) -> f64| {
        let mut sums = Sums::default();
        let asks = (0..gains.len()).filter(|ask| study.kinds[*ask][kind]);
        asks.for_each(|ask| sums.add(study.reader[ask], &[of(ask)]));
        (sums.intervals(how).first().copied().unwrap_or_default(), sums.readers())
    };
    let (gain, readers) = interval(0, &|ask| gains[ask]);
    let mut sweeps = Vec::new();
    let mut at_edge = Vec::new();
    for (lever, (name, size)) in LEVERS.into_iter().zip(grid.sizes()).enumerate() {
        // Shares end at 0 and 1 by nature.
        if lever < 3 && size > 1 && [0, size - 1].contains(&chosen.0[lever]) {
            at_edge.push(name);
        }
        for i in 0..size {
            let Some((point, sum)) = best(0, &|point| point.0[lever] == i) else { continue };
            let other = study.by_ask(grid, point);
            sweeps.push(Sweep {
                lever: name,
                value: grid.value(lever, i),
                chosen: chosen.0[lever] == i,
                gain: sum / n as f64,
                less_chosen: interval(0, &|ask| other[ask] - gains[ask]).0,
            });
        }
    }
    let apart = |kind: usize| {
        let (alone, sum) = best(kind, &|_| true).unwrap_or((chosen, 0.0));
        Apart {
            kind: KINDS[kind].0,
            orders: count(kind),
            gain: interval(kind, &|ask| gains[ask]).0,
            best: grid.options(alone),
            best_gain: sum / count(kind).max(1) as f64,
        }
    };
    Ok(Tuned {
        simulated: tables.simulated.clone(),
        from: freshrank::time::format(slices.valid),
        until: freshrank::time::format(slices.test),
        orders: n,
        readers,
        left_out,
        chosen: grid.options(chosen),
        gain,
        at_edge,
        sweeps,
        apart: (1..KINDS.len()).map(apart).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuisines::{FitOptions, fit};
    use crate::tables::{Merchant, Order};
    use crate::timeline::mix as bits;

    const DAY: i64 = 86_400;
    const START: i64 = 1_700_000_000;

    /// Six kitchens, alike in pairs.
    fn merchants() -> Vec<Merchant> {
        let menus = ["sushi;ramen", "ramen", "burger;fries", "fries", "pizza;pasta", "pasta"];
        let merchant = |(i, menu): (usize, &&str)| Merchant {
            merchant_id: i.to_string(),
            cuisines: menu.split(';').map(str::to_owned).collect(),
            ..Merchant::default()
        };
        menus.iter().enumerate().map(merchant).collect()
    }

    /// Readers who order every ten days; one in five orders goes anywhere, the others to what `likes` says of the
    /// reader and the day.
    fn tables(likes: fn(u64, i64) -> u64) -> Tables {
        let mut orders = Vec::new();
        for reader in 0..120_u64 {
            for n in 0..30_i64 {
                let day = n * 10 + (bits(reader) % 10) as i64;
                let dice = bits(reader << 32 | n as u64);
                let merchant = if dice.is_multiple_of(5) { bits(dice) % 6 } else { likes(reader, day) };
                let (user_id, merchant_id) = (format!("u{reader}"), merchant.to_string());
                orders.push(Order { user_id, merchant_id, ordered_at: START + day * DAY, ..Order::default() });
            }
        }
        Tables { merchants: merchants(), orders, ..Tables::default() }
    }

    fn grid() -> Grid {
        Grid {
            lifelong: [30.0, 300.0, f64::INFINITY].map(Fade::Days).to_vec(),
            recent: [7.0, 21.0].map(Fade::Days).to_vec(),
            prior_strength: vec![0.25, 1.0, 4.0, 16.0],
            smoothing: vec![0.0, 0.3],
            recent_share: vec![0.0, 0.5, 1.0],
        }
    }

    fn tuned(likes: fn(u64, i64) -> u64) -> Tuned {
        let map = fit(&merchants(), &FitOptions::default()).unwrap();
        tune(&tables(likes), &map, &grid(), Resampling { resamples: 100, seed: 1 }).unwrap()
    }

    #[test]
    fn a_taste_that_lasts_is_kept_for_good() {
        let found = tuned(|reader, _| bits(reader) % 6);
        assert_eq!(found.chosen.lifelong, Fade::Days(f64::INFINITY), "{:?}", found.chosen);
        // Some of a recent vector that is mostly the market's mix is one more way to shrink; none of the rest is not.
        let recent_alone =
            found.sweeps.iter().find(|sweep| sweep.lever == "recent share" && sweep.value == "1").unwrap();
        assert!(recent_alone.less_chosen.high < 0.0, "{recent_alone:?}");
        assert!(found.gain.low > 0.5, "{:?}", found.gain);
        let chosen: Vec<&Sweep> = found.sweeps.iter().filter(|sweep| sweep.chosen).collect();
        assert!(chosen.iter().all(|sweep| sweep.less_chosen.value == 0.0));
        assert_eq!(chosen.len(), LEVERS.len());
        assert!(found.sweeps.iter().all(|sweep| sweep.gain <= found.gain.value + 1e-12));
    }

    #[test]
    fn a_taste_that_turns_every_month_is_soon_forgotten() {
        let found = tuned(|reader, day| bits(reader << 20 | (day / 40) as u64) % 6);
        let short = found.chosen.recent_share == 1.0 || found.chosen.lifelong == Fade::Days(30.0);
        assert!(short, "{:?}", found.chosen);
    }

    #[test]
    fn the_likelihood_of_one_order_is_what_the_posterior_says() {
        let map = fit(&merchants(), &FitOptions::default()).unwrap();
        let all = tables(|_, _| 1);
        let one = |day: i64| Order {
            user_id: "u".into(),
            merchant_id: "3".into(),
            ordered_at: START + day * DAY,
            ..Order::default()
        };
        let tables = Tables { orders: vec![one(0), one(30), one(60), one(64)], ..all };
        let grid = Grid {
            lifelong: vec![Fade::Days(30.0)],
            recent: vec![Fade::Days(7.0)],
            prior_strength: vec![2.0],
            smoothing: vec![0.0],
            recent_share: vec![0.0],
        };
        // Of three that can be asked for, one lies in the validation slice.
        let found = tune(&tables, &map, &grid, Resampling { resamples: 10, seed: 1 }).unwrap();
        assert_eq!((found.orders, found.readers), (1, 1));
        let menus = Menus::new(&tables.merchants, &map, &PreferenceOptions::default());
        let logs = logs(&tables);
        let asks = asks(&logs);
        let at = Slices::of(&asks).valid;
        let mixes = Mixes::new(&tables, &menus, [at].into_iter());
        let share = mixes.at("", at).share[usize::from(map.id("fries").unwrap())];
        let evidence = if at == START + 30 * DAY { 0.5 } else { panic!("asked at {at}") };
        let expected = libm::log((2.0 * share + evidence) / (2.0 + evidence) / share);
        assert!((found.gain.value - expected).abs() < 1e-12, "{} {expected}", found.gain.value);
    }

    #[test]
    fn one_order_each_is_too_little() {
        let map = fit(&merchants(), &FitOptions::default()).unwrap();
        let mut all = tables(|_, _| 1);
        all.orders.truncate(1);
        let error = tune(&all, &map, &grid(), Resampling::default()).unwrap_err();
        assert!(error.to_string().starts_with("found 1 orders and none to tell"), "{error}");
    }
}
