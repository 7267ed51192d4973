//! The moments of a table of orders that a market is fitted to.

use crate::tables::Tables;
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
    /// Between a returning reader's consecutive orders, days, over all gaps.
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
        let mut readers: BTreeMap<&str, Vec<&crate::tables::Order>> = BTreeMap::new();
        let mut popularity: BTreeMap<&str, usize> = BTreeMap::new();
        for order in &tables.orders {
            readers.entry(&order.user_id).or_default().push(order);
            *popularity.entry(&order.merchant_id).or_default() += 1;
        }
        let (mut gaps, mut later, mut repeats, mut new_places) = (Vec::new(), 0_usize, 0_usize, 0_usize);
        for orders in readers.values_mut() {
            orders.sort_by_key(|order| order.ordered_at);
            gaps.extend(orders.windows(2).map(|two| (two[1].ordered_at - two[0].ordered_at) as f64 / 86_400.0));
            let (mut merchants, mut places) = (BTreeSet::new(), BTreeSet::new());
            for (n, order) in orders.iter().enumerate() {
                let known = !merchants.insert(&order.merchant_id);
                let bits = |x: Option<f64>| x.map(f64::to_bits);
                let place = (&order.place_id, bits(order.latitude), bits(order.longitude));
                let new_place = places.insert(place);
                if n > 0 {
                    later += 1;
                    repeats += usize::from(known);
                    new_places += usize::from(new_place);
                }
            }
        }
        let mut counts: Vec<f64> = readers.values().map(|orders| orders.len() as f64).collect();
        let mut popularity: Vec<usize> = popularity.into_values().collect();
        popularity.sort_unstable_by(|a, b| b.cmp(a));
        let top: usize = popularity.iter().take(tables.merchants.len().div_ceil(10)).sum();
        let returning = counts.iter().filter(|count| **count > 1.0).count();
        Self {
            readers: readers.len(),
            orders: tables.orders.len(),
            median_orders: quantile(&mut counts, 0.5),
            p99_orders: quantile(&mut counts, 0.99),
            returning_share: share(returning, readers.len()),
            median_gap_days: quantile(&mut gaps, 0.5),
            repeat_share: share(repeats, later),
            new_place_share: share(new_places, later),
            top_tenth_share: share(top, tables.orders.len()),
        }
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The value at this share of the sorted values; 0 of none.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let at = (values.len().saturating_sub(1) as f64 * share).round() as usize;
    values.get(at).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Order;

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
