//! What a reader likes: a Dirichlet posterior over cuisines, lifelong and recent.
//!
//! The prior is the market's mix; an order is one unit of evidence, shared by the cuisines of its merchant, that fades.
//! Infrequent readers live on what they ordered a year ago, frequent ones change within weeks: hence two. Evidence adds
//! up and fades alike everywhere, so a daily update equals a computation from scratch: `state` keeps it from day to day,
//! `tune` chooses the levers by held-out log likelihood, `worth` measures what each step from posterior to profile is
//! worth.

pub mod constants;
pub mod state;
pub mod held_out;
pub mod tune;
pub mod worth;

use crate::cuisines::CuisineMap;
use crate::tables::{Merchant, Order, Reader, Status, Tables, Timestamp};
use freshrank::profile::{MAX_RAW, MAX_TASTE, Taste};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Seconds of a day.
const DAY: f64 = 86_400.0;
/// Orders that a wider mix counts as, where a narrower one is built upon it.
const WIDER_MIX_ORDERS: f64 = 20.0;
/// An order in parts that up to 16 labels share without rest: the least common multiple of 1 to 16.
const ORDER_PARTS: u64 = 720_720;
/// Less evidence than this is no taste of one's own: what would be told is the market's.
const LEAST_EVIDENCE: f64 = 0.05;

/// How evidence fades.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fade {
    /// Halved every so many days; the order in which orders are told does not matter.
    Days(f64),
    /// Halved every so many later orders of the reader, however long they take; orders must be told in time.
    Orders(f64),
}

impl Fade {
    /// What is left of one unit after so many seconds.
    fn after(self, elapsed_seconds: i64) -> f64 {
        match self {
            Self::Days(half_life) => libm::exp2(-(elapsed_seconds as f64) / DAY / half_life),
            Self::Orders(_) => 1.0,
        }
    }

    /// What one more order leaves of all earlier evidence.
    fn per_order(self) -> f64 {
        match self {
            Self::Days(_) => 1.0,
            Self::Orders(half_life) => libm::exp2(-1.0 / half_life),
        }
    }
}

impl std::fmt::Display for Fade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Days(days) if days.is_infinite() => write!(f, "never"),
            Self::Days(days) => write!(f, "{days} days"),
            Self::Orders(orders) => write!(f, "{orders} orders"),
        }
    }
}

impl Serialize for Fade {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The levers, and one switch; [`constants`] has their values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PreferenceOptions {
    /// How lifelong evidence fades.
    pub lifelong: Fade,
    /// How recent evidence fades.
    pub recent: Fade,
    /// Orders that the market's mix counts as.
    pub prior_strength: f64,
    /// Share of each order that is spread over alike cuisines before it is projected, 0 to 1.
    pub smoothing: f64,
    /// What the recent taste counts where both are read as one, 0 to 1; the ranker reads them apart.
    pub recent_share: f64,
    /// Keep tastes that can reveal religion or health.
    pub sensitive: bool,
}

impl Default for PreferenceOptions {
    fn default() -> Self {
        constants::CHOSEN
    }
}

/// The cuisines of every merchant as far as a profile may know them; the one place where sensitive ones are left out.
#[derive(Debug, Clone)]
pub struct Menus {
    of: HashMap<String, Vec<u16>>,
    n_labels: usize,
}

impl Menus {
    /// Looks the labels of all merchants up in the map.
    #[must_use]
    pub fn new(merchants: &[Merchant], map: &CuisineMap, options: &PreferenceOptions) -> Self {
        let told = |id: &u16| options.sensitive || !map.vocabulary.is_sensitive(&map.labels[usize::from(*id)]);
        let menu = |merchant: &Merchant| map.ids(&merchant.cuisines).into_iter().filter(told).collect();
        let of = merchants.iter().map(|merchant| (merchant.merchant_id.clone(), menu(merchant))).collect();
        Self { of, n_labels: map.labels.len() }
    }

    /// Ids in the cuisine map; none of a merchant that is not known.
    #[must_use]
    pub fn of(&self, merchant_id: &str) -> &[u16] {
        self.of.get(merchant_id).map_or(&[], Vec::as_slice)
    }
}

/// What a market eats.
#[derive(Debug, Clone, PartialEq)]
pub struct Mix {
    /// By label of the cuisine map; adds up to 1, or is all zero where nobody has a cuisine.
    pub share: Vec<f64>,
}

impl Mix {
    /// What is on offer: each merchant that was listed by then is one vote.
    #[must_use]
    pub fn of_merchants(merchants: &[Merchant], menus: &Menus, as_of: Timestamp) -> Self {
        let listed = merchants.iter().filter(|merchant| merchant.listed_from.is_none_or(|from| from <= as_of));
        Self::new(vec![0.0; menus.n_labels], listed.map(|merchant| menus.of(&merchant.merchant_id)))
    }

    /// What was ordered, upon a wider mix that counts as a few orders; `parts` are sums of [`Ordered`].
    fn of_orders(parts: &[u64], wider: &Self) -> Self {
        let part = |(share, parts): (&f64, &u64)| share * WIDER_MIX_ORDERS + *parts as f64 / ORDER_PARTS as f64;
        Self::normal(wider.share.iter().zip(parts).map(part).collect())
    }

    /// The mix of every home market, each upon the mix of all.
    #[must_use]
    pub fn by_market(tables: &Tables, menus: &Menus, as_of: Timestamp) -> BTreeMap<String, Self> {
        Ordered::of(tables, menus, as_of).mixes(&Self::of_merchants(&tables.merchants, menus, as_of))
    }

    fn new<'a>(mut share: Vec<f64>, menus: impl Iterator<Item = &'a [u16]>) -> Self {
        for menu in menus {
            menu.iter().for_each(|id| share[usize::from(*id)] += 1.0 / menu.len() as f64);
        }
        Self::normal(share)
    }

    fn normal(mut share: Vec<f64>) -> Self {
        let total: f64 = share.iter().sum();
        if total > 0.0 {
            share.iter_mut().for_each(|share| *share /= total);
        }
        Self { share }
    }
}

/// Orders by home market and label, as whole numbers: readers may be counted in any partition and any order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// By market, then by label of the cuisine map, in parts of an order.
    of: BTreeMap<String, Vec<u64>>,
}

impl Ordered {
    /// Orders before a time; no merchant need be among the tables.
    #[must_use]
    pub fn of(tables: &Tables, menus: &Menus, as_of: Timestamp) -> Self {
        let mut ordered = Self::default();
        let market: HashMap<&str, &str> = tables.readers.iter().map(|r| (r.user_id.as_str(), home_market(r))).collect();
        market.values().for_each(|market| ordered.add_market(market, menus));
        for order in tables.orders.iter().filter(|order| is_evidence(order, as_of)) {
            ordered.add(market.get(order.user_id.as_str()).copied().unwrap_or_default(), order, menus);
        }
        ordered
    }

    /// A market has a mix even where nobody ordered.
    pub fn add_market(&mut self, market: &str, menus: &Menus) {
        if !self.of.contains_key(market) {
            self.of.insert(market.to_owned(), vec![0; menus.n_labels]);
        }
    }

    /// Adds an order that is evidence; its labels share it.
    pub fn add(&mut self, market: &str, order: &Order, menus: &Menus) {
        self.add_market(market, menus);
        let menu = menus.of(&order.merchant_id);
        if let Some(parts) = self.of.get_mut(market) {
            menu.iter().for_each(|id| parts[usize::from(*id)] += ORDER_PARTS / menu.len() as u64);
        }
    }

    /// Adds the orders of another partition.
    pub fn merge(&mut self, other: &Self) {
        for (market, parts) in &other.of {
            let sum = self.of.entry(market.clone()).or_insert_with(|| vec![0; parts.len()]);
            sum.iter_mut().zip(parts).for_each(|(sum, parts)| *sum += parts);
        }
    }

    /// The mix of every market upon the mix of all, and that upon what is on offer.
    #[must_use]
    pub fn mixes(&self, offered: &Mix) -> BTreeMap<String, Mix> {
        let mut all = vec![0; offered.share.len()];
        self.of.values().for_each(|parts| all.iter_mut().zip(parts).for_each(|(sum, parts)| *sum += parts));
        let all = Mix::of_orders(&all, offered);
        self.of.iter().map(|(market, parts)| (market.clone(), Mix::of_orders(parts, &all))).collect()
    }
}

/// The layer path of a reader's home city; empty where nobody knows.
#[must_use]
pub fn home_market(reader: &Reader) -> &str {
    reader.market.as_deref().unwrap_or_default()
}

/// Completed, and before that time: what is known at `as_of` excludes its own second, where the order asked for lies.
#[must_use]
pub fn is_evidence(order: &Order, as_of: Timestamp) -> bool {
    order.ordered_at < as_of && order.status == Status::Completed
}

/// Orders by cuisine of the map, faded; only those that are not zero.
pub type Evidence = BTreeMap<u16, f64>;

/// What one reader's orders tell.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Preferences {
    /// The time to which the evidence is faded.
    pub as_of: Timestamp,
    /// Fades within years.
    pub lifelong: Evidence,
    /// Fades within weeks.
    pub recent: Evidence,
}

impl Preferences {
    /// From scratch: everything before `as_of`, nothing later.
    #[must_use]
    pub fn of_reader(orders: &[&Order], menus: &Menus, as_of: Timestamp, options: &PreferenceOptions) -> Self {
        let mut known: Vec<&Order> = orders.iter().copied().filter(|order| is_evidence(order, as_of)).collect();
        known.sort_by(|a, b| told(a).cmp(&told(b)));
        let mut preferences = Self { as_of: Timestamp::MIN, ..Self::default() };
        for order in known {
            preferences.update(order.ordered_at, menus.of(&order.merchant_id), options);
        }
        preferences.advance(as_of, options);
        preferences
    }

    /// Fades the evidence to a later time; an earlier one changes nothing.
    pub fn advance(&mut self, to: Timestamp, options: &PreferenceOptions) {
        if to > self.as_of {
            let elapsed = to.saturating_sub(self.as_of);
            for (evidence, fade) in self.both(options) {
                let left = fade.after(elapsed);
                evidence.values_mut().for_each(|value| *value *= left);
            }
            self.as_of = to;
        }
    }

    /// Adds one order of a merchant with these cuisines; one without any tells nothing.
    ///
    /// Evidence stays at the time of the last order until [`Preferences::advance`] fades it to be read: nothing is
    /// multiplied on days without orders, which is why any number of updates equals a computation from scratch.
    pub fn update(&mut self, ordered_at: Timestamp, cuisines: &[u16], options: &PreferenceOptions) {
        if cuisines.is_empty() {
            return;
        }
        self.advance(ordered_at, options);
        let age = self.as_of - ordered_at;
        for (evidence, fade) in self.both(options) {
            let left = fade.per_order();
            if left < 1.0 {
                evidence.values_mut().for_each(|value| *value *= left);
            }
            let unit = fade.after(age) / cuisines.len() as f64;
            cuisines.iter().for_each(|id| *evidence.entry(*id).or_default() += unit);
        }
    }

    /// The two tastes as a profile carries them.
    #[must_use]
    pub fn tastes(&self, mix: &Mix, map: &CuisineMap, options: &PreferenceOptions) -> (Taste, Taste) {
        let market = map.project(&mix.share);
        let taste = |evidence: &Evidence| Taste {
            clusters: projected(&smoothed(evidence, mix, map, options.smoothing), &market, map, options),
            raw: top_raw(evidence, mix, MAX_RAW, options),
        };
        (taste(&self.lifelong), taste(&self.recent))
    }

    fn both(&mut self, options: &PreferenceOptions) -> [(&mut Evidence, Fade); 2] {
        [(&mut self.lifelong, options.lifelong), (&mut self.recent, options.recent)]
    }
}

/// In which order orders are told.
fn told(order: &Order) -> (Timestamp, &str) {
    (order.ordered_at, &order.merchant_id)
}

/// The Dirichlet posterior's mean by label; adds up to 1 where the mix does.
#[must_use]
pub fn posterior(evidence: &Evidence, mix: &Mix, options: &PreferenceOptions) -> Vec<f64> {
    let total = options.prior_strength + evidence.values().sum::<f64>();
    let own = |id: usize| evidence.get(&(id as u16)).copied().unwrap_or(0.0);
    mix.share.iter().enumerate().map(|(id, share)| (options.prior_strength * share + own(id)) / total).collect()
}

/// A part of each unit goes to alike cuisines, by likeness (the label itself has 1); none is lost, and none goes where
/// the market has nothing, which is where sensitive labels are.
#[must_use]
pub fn smoothed(evidence: &Evidence, mix: &Mix, map: &CuisineMap, part: f64) -> Evidence {
    let mut smooth = Evidence::new();
    for (id, value) in evidence {
        let alike = map.similarity.get(usize::from(*id)).into_iter().flatten();
        let alike: Vec<_> = alike.filter(|(other, _)| other == id || mix.share[usize::from(*other)] > 0.0).collect();
        let total: f64 = alike.iter().map(|(_, likeness)| likeness).sum();
        *smooth.entry(*id).or_default() += value * (1.0 - part);
        for (other, likeness) in alike {
            *smooth.entry(*other).or_default() += value * part * likeness / total;
        }
    }
    smooth
}

/// By cluster, ln(share in the posterior / share in the market), within [`MAX_TASTE`]; 0 where the market has nothing.
#[must_use]
pub fn projected(evidence: &Evidence, market: &[f64], map: &CuisineMap, options: &PreferenceOptions) -> Vec<f32> {
    let mut by_label = vec![0.0; map.labels.len()];
    evidence.iter().for_each(|(id, value)| by_label[usize::from(*id)] = *value);
    let total = options.prior_strength + evidence.values().sum::<f64>();
    let own = map.project(&by_label);
    let lift = |(own, market): (f64, &f64)| {
        if *market > 0.0 { libm::log((options.prior_strength * market + own) / total / market) as f32 } else { 0.0 }
    };
    own.into_iter().zip(market).map(lift).map(|taste| taste.clamp(-MAX_TASTE, MAX_TASTE)).collect()
}

/// The cuisines the reader ordered, with their share in the posterior; the largest `n`, ties by id.
#[must_use]
pub fn top_raw(evidence: &Evidence, mix: &Mix, n: usize, options: &PreferenceOptions) -> Vec<(u16, f32)> {
    let share = posterior(evidence, mix, options);
    let own = evidence.iter().filter(|(_, value)| **value >= LEAST_EVIDENCE);
    let mut raw: Vec<(u16, f32)> = own.map(|(id, _)| (*id, share[usize::from(*id)] as f32)).collect();
    raw.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    raw.truncate(n);
    raw
}

#[cfg(test)]
mod tests;
