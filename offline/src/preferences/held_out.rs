//! Orders held out one after the other: what was known of the reader before each, and how well that told it.

use super::{Menus, Mix, PreferenceOptions, Preferences, home_market, is_evidence, told};
use crate::tables::{Order, Tables, Timestamp};
use crate::timeline::mix as mix_bits;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Seconds of a day and of a week.
const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;
/// A reader without an order for so many days has churned; one who comes back after that is told of apart.
pub const CHURNED_DAYS: i64 = 90;
/// A reader with so many orders or fewer is one of few orders.
pub const FEW_ORDERS: usize = 3;
/// The shares of held-out orders, by time, after which validation and test begin; what is before is only learnt from.
const VALID_FROM: f64 = 0.25;
const TEST_FROM: f64 = 0.60;

/// One reader's completed orders, in order of time.
#[derive(Debug, Clone)]
pub struct Log<'t> {
    /// Whose.
    pub user_id: &'t str,
    /// Home.
    pub market: &'t str,
    /// All of them.
    pub orders: Vec<&'t Order>,
}

/// The logs of all readers, ascending by id.
#[must_use]
pub fn logs(tables: &Tables) -> Vec<Log<'_>> {
    let market: HashMap<&str, &str> = tables.readers.iter().map(|r| (r.user_id.as_str(), home_market(r))).collect();
    let mut logs: BTreeMap<&str, Vec<&Order>> = BTreeMap::new();
    for order in tables.orders.iter().filter(|order| is_evidence(order, Timestamp::MAX)) {
        logs.entry(&order.user_id).or_default().push(order);
    }
    let mut told_in_time: Vec<Log<'_>> = Vec::with_capacity(logs.len());
    for (user_id, mut orders) in logs {
        orders.sort_by(|a, b| told(a).cmp(&told(b)));
        told_in_time.push(Log { user_id, market: market.get(user_id).copied().unwrap_or_default(), orders });
    }
    told_in_time
}

/// A later order of a reader, to be told from what was before it.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'t> {
    /// Which of [`logs`].
    pub log: usize,
    /// The answer.
    pub order: &'t Order,
    /// Orders of the reader before its second; at least one.
    pub n_before: usize,
    /// Nothing was ordered for [`CHURNED_DAYS`].
    pub churned: bool,
    /// Never ordered from before.
    pub new_merchant: bool,
}

impl<'t> Ask<'t> {
    /// What is known of the reader before the order `at` position `i` of a log; `None` where that is nothing.
    #[must_use]
    pub fn of(log: usize, orders: &[&'t Order], i: usize) -> Option<Self> {
        let order = *orders.get(i)?;
        let n_before = orders.partition_point(|earlier| earlier.ordered_at < order.ordered_at);
        let before = orders.get(..n_before)?;
        let last = before.last()?;
        Some(Self {
            log,
            order,
            n_before,
            churned: order.ordered_at - last.ordered_at > CHURNED_DAYS * DAY,
            new_merchant: !before.iter().any(|earlier| earlier.merchant_id == order.merchant_id),
        })
    }
}

/// All of them, ascending by time, then reader.
#[must_use]
pub fn asks<'t>(logs: &[Log<'t>]) -> Vec<Ask<'t>> {
    let of_log = |(log, own): (usize, &Log<'t>)| -> Vec<Ask<'t>> {
        (0..own.orders.len()).filter_map(|i| Ask::of(log, &own.orders, i)).collect()
    };
    let mut asks: Vec<Ask<'t>> = logs.iter().enumerate().flat_map(of_log).collect();
    asks.sort_by_key(|ask| (ask.order.ordered_at, ask.log));
    asks
}

/// Where the slices of time begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slices {
    /// Levers are chosen on what is asked from here to [`Self::test`].
    pub valid: Timestamp,
    /// What is reported is asked from here on.
    pub test: Timestamp,
}

impl Slices {
    /// What of all that is asked is for reports, 0 to 1.
    pub const TEST_SHARE: f64 = 1.0 - TEST_FROM;

    /// By the times of what is asked, which ascend.
    #[must_use]
    pub fn of(asks: &[Ask<'_>]) -> Self {
        let at = |share: f64| asks.get((asks.len() as f64 * share) as usize).map_or(0, |ask| ask.order.ordered_at);
        Self { valid: at(VALID_FROM), test: at(TEST_FROM) }
    }
}

/// The market's mix as of the week of an order, as profiles are built upon.
pub struct Mixes<'t> {
    tables: &'t Tables,
    menus: &'t Menus,
    weeks: BTreeMap<Timestamp, BTreeMap<String, Mix>>,
    nothing: Mix,
}

impl<'t> Mixes<'t> {
    /// Of the weeks in which these times lie.
    #[must_use]
    pub fn new(tables: &'t Tables, menus: &'t Menus, times: impl Iterator<Item = Timestamp>) -> Self {
        let mut weeks: Vec<Timestamp> = times.map(week).collect();
        weeks.sort_unstable();
        weeks.dedup();
        let of = |week: Timestamp| (week, Mix::by_market(tables, menus, week));
        let weeks = weeks.into_par_iter().map(of).collect();
        Self { tables, menus, weeks, nothing: Mix { share: vec![0.0; menus.n_labels] } }
    }

    /// Before the order; of a market without readers, nothing.
    #[must_use]
    pub fn at(&self, market: &str, at: Timestamp) -> &Mix {
        self.weeks.get(&week(at)).and_then(|markets| markets.get(market)).unwrap_or(&self.nothing)
    }

    /// What the mixes are of.
    #[must_use]
    pub fn menus(&self) -> &'t Menus {
        self.menus
    }

    /// The tables they are of.
    #[must_use]
    pub fn tables(&self) -> &'t Tables {
        self.tables
    }
}

fn week(at: Timestamp) -> Timestamp {
    at.div_euclid(WEEK) * WEEK
}

/// What is known before something that is asked.
#[must_use]
pub fn before(log: &Log<'_>, ask: &Ask<'_>, menus: &Menus, options: &PreferenceOptions) -> Preferences {
    let earlier = log.orders.get(..ask.n_before).unwrap_or_default();
    Preferences::of_reader(earlier, menus, ask.order.ordered_at, options)
}

/// A mean, and where 95 % of the means of resampled readers lie.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Interval {
    /// Over everything asked.
    pub value: f64,
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th.
    pub high: f64,
}

/// How intervals are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resampling {
    /// So many times.
    pub resamples: usize,
    /// Of the draws.
    pub seed: u64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { resamples: 1000, seed: 1 }
    }
}

/// What each reader's answers add up to, for some figures at once.
#[derive(Debug, Clone, Default)]
pub struct Sums {
    /// By reader: how many answers, then the figures' sums.
    readers: BTreeMap<usize, (f64, Vec<f64>)>,
}

impl Sums {
    /// Adds one answer of a reader.
    pub fn add(&mut self, reader: usize, figures: &[f64]) {
        let (n, sums) = self.readers.entry(reader).or_insert_with(|| (0.0, vec![0.0; figures.len()]));
        *n += 1.0;
        sums.iter_mut().zip(figures).for_each(|(sum, figure)| *sum += figure);
    }

    /// Readers there are.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.readers.len()
    }

    /// Answers there are.
    #[must_use]
    pub fn answers(&self) -> usize {
        self.readers.values().map(|(n, _)| *n as usize).sum()
    }

    /// The mean of every figure with its interval; readers are drawn with replacement, the same for all figures, so
    /// that differences among them are paired.
    #[must_use]
    pub fn intervals(&self, how: Resampling) -> Vec<Interval> {
        let readers: Vec<&(f64, Vec<f64>)> = self.readers.values().collect();
        let n_figures = readers.first().map_or(0, |(_, sums)| sums.len());
        let mean = |times: &mut dyn Iterator<Item = f64>| -> Vec<f64> {
            let (mut n, mut sums) = (0.0, vec![0.0; n_figures]);
            for ((own_n, own), times) in readers.iter().zip(times).filter(|(_, times)| *times > 0.0) {
                n += times * own_n;
                sums.iter_mut().zip(own).for_each(|(sum, own)| *sum += times * own);
            }
            sums.into_iter().map(|sum| sum / n).collect()
        };
        let all = mean(&mut std::iter::repeat(1.0));
        let drawn = |resample: u64| -> Vec<f64> {
            let mut times = vec![0.0; readers.len()];
            let start = mix_bits(how.seed ^ mix_bits(resample));
            (0..readers.len() as u64)
                .for_each(|i| times[(mix_bits(start.wrapping_add(i)) % readers.len() as u64) as usize] += 1.0);
            mean(&mut times.into_iter())
        };
        let resampled: Vec<Vec<f64>> = (0..how.resamples as u64).into_par_iter().map(drawn).collect();
        let interval = |(figure, value): (usize, &f64)| {
            let mut values: Vec<f64> = resampled.iter().map(|means| means[figure]).collect();
            values.sort_by(f64::total_cmp);
            let at = |share: f64| {
                let i = libm::round(share * values.len().saturating_sub(1) as f64) as usize;
                values.get(i).copied().unwrap_or(*value)
            };
            Interval { value: *value, low: at(0.025), high: at(0.975) }
        };
        all.iter().enumerate().map(interval).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Status;

    fn order(user: &str, merchant: &str, day: i64) -> Order {
        Order { user_id: user.to_owned(), merchant_id: merchant.to_owned(), ordered_at: day * DAY, ..Order::default() }
    }

    #[test]
    fn what_is_asked_knows_only_what_came_before() {
        let tables = Tables {
            orders: vec![
                order("b", "x", 200),
                order("a", "x", 1),
                order("a", "y", 3),
                order("a", "z", 3),
                Order { status: Status::Cancelled, ..order("a", "w", 4) },
                order("a", "x", 94),
            ],
            ..Tables::default()
        };
        let logs = logs(&tables);
        let asks = asks(&logs);
        let told: Vec<String> = asks
            .iter()
            .map(|ask| {
                let (user, order) = (logs[ask.log].user_id, ask.order);
                format!("{user} {} {} {} {}", order.merchant_id, ask.n_before, ask.churned, ask.new_merchant)
            })
            .collect();
        // Two orders of one second do not know each other; a first order is not asked for; 91 days later is late.
        assert_eq!(told, ["a y 1 false true", "a z 1 false true", "a x 3 true false"]);
        assert_eq!(Slices::of(&asks), Slices { valid: 3 * DAY, test: 3 * DAY });
    }

    #[test]
    fn a_mean_is_over_answers_and_its_interval_over_readers() {
        let mut sums = Sums::default();
        for reader in 0..50 {
            for answer in 0..1 + reader % 3 {
                let value = f64::from(u8::try_from((reader * 7 + answer) % 10).unwrap());
                sums.add(reader, &[value, value - 0.25, 0.25]);
            }
        }
        assert_eq!((sums.readers(), sums.answers()), (50, 50 + 17 + 16 + 16));
        let [a, b, difference] = sums.intervals(Resampling::default())[..] else { panic!("three figures") };
        assert!(a.low < a.value && a.value < a.high && a.high - a.low > 0.5, "{a:?}");
        assert!((a.low - b.low - 0.25).abs() < 1e-12, "the same readers are drawn for both");
        assert!((difference.low - 0.25).abs() < 1e-12 && (difference.high - 0.25).abs() < 1e-12, "{difference:?}");
        let mut twice = Sums::default();
        twice.add(1, &[1.0]);
        twice.add(1, &[1.0]);
        twice.add(2, &[4.0]);
        assert_eq!(twice.intervals(Resampling { resamples: 0, seed: 1 })[0].value, 2.0, "each answer counts alike");
    }
}
