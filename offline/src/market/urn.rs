//! The second market: an urn of own orders beside a gravity of everything else.
//!
//! The first market's choice is a logit: what speaks for a merchant is *added* up in an exponent, and all of it can be traded
//! for all else. A ranker that was made by people who think in such sums does well there for the wrong reason. Here strengths
//! are added *outside* of any exponent, distance and forgetting follow power laws, and price, quality, patience and the hour are
//! gates that nothing buys back. With *d* the distance in kilometres and the numbers of `offline/market-urn.toml`:
//!
//! ```text
//! P(m)  ~  U(m) + α_r · G(m) / Σ G            Σ over all that deliver to the place
//! U(m)  =  s · Σ over own orders at m of (1 + age / forget)^-power              s: satiation within 18 hours
//! G(m)  =  fame(m) · Σ_g share_r(g, month) · weight_m(g) · (1 + d / δ_r)^-β     Huff's gravity
//!          · gates of price, quality, preparation, hour · (1 + fee)^-f · (1 + ω · best offer) · shops
//!          · e^(bond + standing in the cell + buzz of the week)                  unseen
//! ```
//!
//! Whatever was ordered draws the next order to it (Hoppe 1984; Zabell 1992), α_r is what is left for the new. Fame has a Pareto
//! tail. The share of a cuisine is logistic-normal by reader. Gravity is after Huff 1964, forgetting after Wixted and Ebbesen 1991,
//! gates after Tversky's elimination by aspects (1972). The oracle of this market answers ln P(m) up to a constant of the query.

use super::MarketError;
use super::draw::Key;
use super::enrich::{latent_fame, latent_quality};
use super::oracle::{Groups, Past};
use super::parameters::Group;
use crate::tables::{Kind, Merchant, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The file that is frozen.
const FROZEN: &str = include_str!("../../market-urn.toml");
/// What its `format` must say.
const FORMAT: &str = "freshrank-urn-1";

const DAY: f64 = 86_400.0;
const SATIATED_SECONDS: i64 = 18 * 3600;
/// Utilities are ln of this much probability, so that a middling merchant has about 0, as in the first market.
const SCALE: f64 = 100.0;
/// A cuisine whose utility in a part of the day is below this is none of that part.
const WRONG_HOUR: f64 = -0.8;
/// Price bands above the mean at which a reader's ceiling lies, and its spread.
const CEILING: [f64; 2] = [2.4, 0.7];
/// Minutes a reader waits, and the spread of their logarithm.
const PATIENCE: [f64; 2] = [24.0, 0.3];

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs, reason = "market-urn.toml says what each number is, in its unit")]
        pub struct $name { $(pub $field: $type,)* }
    };
}

section! {
    /// Every number of the second market's choice.
    UrnParameters {
        format: String,
        urn: Urn,
        gravity: Gravity,
        unseen: Hidden,
    }
}

section! {
    /// What own orders are worth.
    Urn {
        novelty: f64,
        novelty_spread: f64,
        forget_days: f64,
        forget_power: f64,
        satiation: f64,
    }
}

section! {
    /// What everything else is worth.
    Gravity {
        taste_spread: f64,
        taste_drift: f64,
        fame_tail: f64,
        distance_km: f64,
        distance_power: f64,
        distance_spread: f64,
        price_over: f64,
        quality_under: f64,
        prep_over: f64,
        closed_mind: f64,
        fee_power: f64,
        offer: f64,
        not_meals: f64,
    }
}

section! {
    /// What no feature sees.
    Hidden {
        bond: f64,
        neighbourhood: f64,
        buzz: f64,
        rain_share: f64,
        rain_power: f64,
    }
}

impl UrnParameters {
    /// The frozen numbers of offline/market-urn.toml.
    ///
    /// # Errors
    /// Never: a test reads the file that is built in.
    pub fn frozen() -> Result<Self, MarketError> {
        Self::parse(FROZEN)
    }

    /// Reads other numbers; the whole file, nothing is inherited.
    ///
    /// # Errors
    /// The line and what was expected there, or the name of a number that makes no market.
    pub fn parse(text: &str) -> Result<Self, MarketError> {
        let found: Self = toml::from_str(text).map_err(|err| MarketError::Parameters(err.to_string()))?;
        let rules = [
            ("format", found.format == FORMAT),
            ("urn.novelty", found.urn.novelty > 0.0),
            ("urn.forget_days", found.urn.forget_days > 0.0),
            ("gravity.fame_tail", found.gravity.fame_tail > 0.0),
            ("gravity.distance_km", found.gravity.distance_km > 0.0),
        ];
        match rules.into_iter().find(|(_, holds)| !holds) {
            Some((name, _)) => Err(MarketError::Parameters(format!("{name} makes no market"))),
            None => Ok(found),
        }
    }
}

/// The model with its merchants.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub parameters: UrnParameters,
    merchants: Vec<Attraction>,
    n_groups: usize,
}

/// What of a merchant is the same for every reader.
#[derive(Debug, Clone)]
struct Attraction {
    key: Key,
    groups: Vec<(usize, f64)>,
    /// Fame and kind.
    base: f64,
    quality: f64,
    price: f64,
    prep: f64,
    fee: f64,
    wrong_hour: [bool; 4],
}

/// A reader in a moment.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    reader: Key,
    member: bool,
    novelty: f64,
    half_km: f64,
    power: f64,
    ceiling: f64,
    standard: f64,
    patience: f64,
    /// By group, 1 on average.
    shares: Vec<f64>,
    /// What of the urn each merchant has.
    own: BTreeMap<u32, f64>,
    daypart: usize,
    cell: u64,
    week: u64,
    /// Of all that deliver to the place.
    total: f64,
}

/// Where and when, as the oracle knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    pub at: Timestamp,
    pub month: u64,
    pub day: u64,
    pub week: u64,
    pub daypart: usize,
    pub cell: u64,
    pub seed: u64,
    pub member: bool,
}

impl Model {
    pub fn new(merchants: &[Merchant], groups: &Groups, all: &[Group], seed: u64, parameters: UrnParameters) -> Self {
        let tail = parameters.gravity.fame_tail;
        let of = |merchant: &Merchant| {
            let key = Key::new(seed, "merchant", &merchant.merchant_id);
            let weights = groups.of(&merchant.cuisines);
            let mean = |part: usize| -> f64 { weights.iter().map(|&(g, w)| w * all[g].dayparts[part]).sum() };
            let shop = if merchant.kind == Kind::Restaurant { 1.0 } else { parameters.gravity.not_meals };
            Attraction {
                key,
                // The logistic of a normal is nearly uniform; this is the inverse of Pareto's distribution there.
                base: shop * libm::pow(1.0 + libm::exp(1.7 * latent_fame(key)), 1.0 / tail),
                quality: latent_quality(key),
                price: f64::from(merchant.price_band.unwrap_or(2)),
                prep: f64::from(merchant.prep_minutes.unwrap_or(18.0)),
                fee: merchant.delivery_fee.map_or(3.0, f64::from),
                wrong_hour: [0, 1, 2, 3].map(|part| mean(part) < WRONG_HOUR),
                groups: weights,
            }
        };
        Self { merchants: merchants.iter().map(of).collect(), n_groups: all.len(), parameters }
    }

    /// Sets a scene; `deal` tells the best offer of a merchant for this reader, in baskets.
    pub fn scene(
        &self,
        reader: Key,
        setting: Setting,
        past: &[Past],
        delivering: &[(u32, f64)],
        deal: impl Fn(u32, bool) -> f64,
    ) -> Scene {
        let (urn, gravity, unseen) = (&self.parameters.urn, &self.parameters.gravity, &self.parameters.unseen);
        let drift = reader.and(setting.month.wrapping_add(1 << 33));
        let share = |group: u64| {
            let lasting = gravity.taste_spread * reader.and(2000 + group).normal();
            libm::exp(lasting + gravity.taste_drift * drift.and(group).normal())
        };
        let shares: Vec<f64> = (0..self.n_groups as u64).map(share).collect();
        let mean = shares.iter().sum::<f64>() / shares.len().max(1) as f64;
        let mut own: BTreeMap<u32, f64> = BTreeMap::new();
        let mut last: BTreeMap<u32, Timestamp> = BTreeMap::new();
        for past in past.iter().filter(|past| past.at < setting.at) {
            let age = (setting.at - past.at) as f64 / DAY;
            *own.entry(past.merchant).or_default() += libm::pow(1.0 + age / urn.forget_days, -urn.forget_power);
            let latest = last.entry(past.merchant).or_insert(past.at);
            *latest = past.at.max(*latest);
        }
        for (merchant, strength) in &mut own {
            let soon = last.get(merchant).is_some_and(|last| setting.at - last < SATIATED_SECONDS);
            *strength *= if soon { urn.satiation } else { 1.0 };
        }
        let rains = Key::new(setting.seed, "rain", "").and(setting.day).uniform() < unseen.rain_share;
        let mut scene = Scene {
            reader,
            member: setting.member,
            novelty: urn.novelty * reader.and(11).spread(urn.novelty_spread),
            half_km: gravity.distance_km * reader.and(12).spread(gravity.distance_spread),
            power: gravity.distance_power + if rains { unseen.rain_power } else { 0.0 },
            ceiling: CEILING[0] + CEILING[1] * reader.and(13).normal(),
            standard: -0.8 + 0.8 * reader.and(14).normal(),
            patience: PATIENCE[0] * reader.and(15).spread(PATIENCE[1]),
            shares: shares.iter().map(|share| share / mean).collect(),
            own,
            daypart: setting.daypart,
            cell: setting.cell,
            week: setting.week,
            total: 0.0,
        };
        scene.total = delivering.iter().map(|&(m, km)| self.gravity(&scene, m, km, &deal)).sum();
        scene
    }

    /// ln of the strength of a merchant, up to a constant of the scene.
    pub fn utility(&self, scene: &Scene, merchant: u32, distance_km: f64, deal: impl Fn(u32, bool) -> f64) -> f64 {
        let pull = self.gravity(scene, merchant, distance_km, &deal);
        let new = if scene.total > 0.0 { scene.novelty * pull / scene.total } else { 0.0 };
        libm::log(SCALE * (scene.own.get(&merchant).copied().unwrap_or(0.0) + new))
    }

    fn gravity(&self, scene: &Scene, merchant: u32, distance_km: f64, deal: &impl Fn(u32, bool) -> f64) -> f64 {
        let (gravity, unseen) = (&self.parameters.gravity, &self.parameters.unseen);
        let Some(site) = self.merchants.get(merchant as usize) else { return 0.0 };
        let gate = |shut: bool, left: f64| if shut { left } else { 1.0 };
        let taste: f64 = site.groups.iter().map(|&(group, weight)| weight * scene.shares[group]).sum();
        let taste = if site.groups.is_empty() { 1.0 } else { taste };
        let fee = if scene.member { 0.0 } else { site.fee };
        let hidden = unseen.bond * scene.reader.with(site.key).normal()
            + unseen.neighbourhood * site.key.and(scene.cell).normal()
            + unseen.buzz * site.key.and(scene.week).normal();
        site.base
            * taste
            * libm::pow(1.0 + distance_km / scene.half_km, -scene.power)
            * gate(site.price > scene.ceiling, gravity.price_over)
            * gate(site.quality < scene.standard, gravity.quality_under)
            * gate(site.prep > scene.patience, gravity.prep_over)
            * gate(site.wrong_hour[scene.daypart], gravity.closed_mind)
            * libm::pow(1.0 + fee, -gravity.fee_power)
            * (1.0 + gravity.offer * deal(merchant, !scene.own.contains_key(&merchant)))
            * libm::exp(hidden)
    }
}
