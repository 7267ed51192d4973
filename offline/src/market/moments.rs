//! The moments of a table of orders that a market is fitted to.

use crate::tables::{Order, Tables};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is plain about orders, real or simulated.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Moments {
    /// Readers with an order.
    pub readers: usize,
    /// All orders, cancelled ones too.
    pub orders: usize,
    /// Of a reader who orders at all.
    pub median_orders: f64,
    /// What the top hundredth of them at least has.
    pub p99_orders: f64,
    /// Share of readers with a second order.
    pub returning_share: f64,
    /// Between a returning reader's consecutive orders, days, over all gaps; to the minute.
    pub median_gap_days: f64,
    /// Share of orders after a reader's first that go to a merchant ordered from before.
    pub repeat_share: f64,
    /// Share of orders after a reader's first that come from a place never used before.
    pub new_place_share: f64,
    /// Share of all orders that go to the most popular tenth of the merchants.
    pub top_tenth_share: f64,
}

impl Moments {
    /// Of these tables; orders need no order.
    #[must_use]
    pub fn of(tables: &Tables) -> Self {
        let mut readers: BTreeMap<&str, Vec<&Order>> = BTreeMap::new();
        for order in &tables.orders {
            readers.entry(&order.user_id).or_default().push(order);
        }
        let mut counts = Counts::default();
        readers.into_values().for_each(|orders| counts.add_reader(orders));
        counts.moments(tables.merchants.len())
    }
}

/// What the moments are made of: counts that add up, reader by reader, and grow with merchants and days alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    orders: usize,
    popularity: BTreeMap<String, usize>,
    /// Readers by number of orders.
    readers: BTreeMap<usize, usize>,
    /// Gaps by whole minutes.
    gaps: BTreeMap<i64, usize>,
    repeats: usize,
    new_places: usize,
}

impl Counts {
    /// Counts all orders of one reader.
    pub(super) fn add_reader<'o>(&mut self, orders: impl IntoIterator<Item = &'o Order>) {
        let mut orders: Vec<&Order> = orders.into_iter().collect();
        orders.sort_by(|a, b| (a.ordered_at, &a.merchant_id).cmp(&(b.ordered_at, &b.merchant_id)));
        if orders.is_empty() {
            return;
        }
        self.orders += orders.len();
        *self.readers.entry(orders.len()).or_default() += 1;
        for two in orders.windows(2) {
            *self.gaps.entry((two[1].ordered_at - two[0].ordered_at) / 60).or_default() += 1;
        }
        let (mut merchants, mut places) = (BTreeSet::new(), BTreeSet::new());
        for (n, order) in orders.iter().enumerate() {
            match self.popularity.get_mut(&order.merchant_id) {
                Some(count) => *count += 1,
                None => drop(self.popularity.insert(order.merchant_id.clone(), 1)),
            }
            let known = !merchants.insert(&order.merchant_id);
            let bits = |x: Option<f64>| x.map(f64::to_bits);
            let new_place = places.insert((&order.place_id, bits(order.latitude), bits(order.longitude)));
            self.repeats += usize::from(n > 0 && known);
            self.new_places += usize::from(n > 0 && new_place);
        }
    }

    pub(super) fn moments(self, n_merchants: usize) -> Moments {
        let readers: usize = self.readers.values().sum();
        let later = self.orders - readers;
        let mut popularity: Vec<usize> = self.popularity.into_values().collect();
        popularity.sort_unstable_by(|a, b| b.cmp(a));
        let top: usize = popularity.iter().take(n_merchants.div_ceil(10)).sum();
        let once = self.readers.get(&1).copied().unwrap_or(0);
        Moments {
            readers,
            orders: self.orders,
            median_orders: quantile(&self.readers, 0.5) as f64,
            p99_orders: quantile(&self.readers, 0.99) as f64,
            returning_share: share(readers - once, readers),
            median_gap_days: quantile(&self.gaps, 0.5) as f64 / 1440.0,
            repeat_share: share(self.repeats, later),
            new_place_share: share(self.new_places, later),
            top_tenth_share: share(top, self.orders),
        }
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The value at this share of all that were counted; 0 of none.
fn quantile<V: Copy + Default>(counts: &BTreeMap<V, usize>, share: f64) -> V {
    let n: usize = counts.values().sum();
    let mut before = (n.saturating_sub(1) as f64 * share).round() as usize;
    for (value, n) in counts {
        if before < *n {
            return *value;
        }
        before -= n;
    }
    V::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_who_repeats_once_of_two_later_orders_has_a_repeat_share_of_a_half() {
        let order = |user: &str, merchant: &str, day: i64, place: &str| Order {
            user_id: user.into(),
            merchant_id: merchant.into(),
            ordered_at: day * 86_400,
            place_id: Some(place.into()),
            ..Order::default()
        };
        let orders = vec![
            order("a", "x", 17, "home"),
            order("a", "x", 10, "work"),
            order("a", "y", 3, "home"),
            order("b", "x", 5, "home"),
            order("c", "z", 5, "home"),
        ];
        let moments = Moments::of(&Tables { orders, ..Tables::default() });
        assert_eq!((moments.readers, moments.median_orders, moments.median_gap_days), (3, 1.0, 7.0));
        assert_eq!((moments.repeat_share, moments.new_place_share), (0.5, 0.5));
    }
}
