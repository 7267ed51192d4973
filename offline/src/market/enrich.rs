//! What OpenStreetMap does not know of a merchant, made up from its name in the table.
//!
//! Only empty columns are filled, and a second pass changes nothing: the oracle reads the enriched table.

use super::draw::Key;
use super::oracle::Groups;
use super::parameters::{Merchants, Parameters};
use crate::tables::{Kind, Merchant, Timestamp};

const DAY: i64 = 86_400;

/// Standard normal quality of a merchant; ratings are its shadow.
pub(super) fn latent_quality(key: Key) -> f64 {
    key.and(1).normal()
}

/// Standard normal fame of a merchant; counts of ratings are its shadow.
pub(super) fn latent_fame(key: Key) -> f64 {
    key.and(2).normal()
}

/// Fills what is missing. `start` is the first moment of the window.
pub(super) fn enrich(merchant: &mut Merchant, parameters: &Parameters, groups: &Groups, seed: u64, start: Timestamp) {
    let key = Key::new(seed, "merchant", &merchant.merchant_id);
    let draw = |fact: u64| key.and(100 + fact);
    let p = &parameters.merchants;
    let weights = groups.of(&merchant.cuisines);
    let typical = |usual: f64, value: fn(&super::parameters::Group) -> f64| {
        let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
        let sum: f64 = weights.iter().map(|&(group, weight)| weight * value(&parameters.groups[group])).sum();
        if total > 0.0 { sum / total } else { usual }
    };

    let from = *merchant.listed_from.get_or_insert_with(|| {
        let late = draw(0).uniform() < p.listed_late_share;
        let span = if late { f64::from(parameters.window.days) } else { -1095.0 };
        start + (draw(1).uniform() * span) as i64 * DAY
    });
    let price = typical(1.8, |group| group.price) + 0.6 * draw(2).normal();
    merchant.price_band.get_or_insert(clamp(price.round(), 1.0, 4.0) as u8);
    let prep = typical(if merchant.kind == Kind::Restaurant { 18.0 } else { 14.0 }, |group| group.prep);
    merchant.prep_minutes.get_or_insert(clamp((prep * draw(3).spread(0.25)).round(), 4.0, 60.0) as f32);
    let [near, far] = p.radius_km;
    merchant.delivery_radius_km.get_or_insert(tenth(near + (far - near) * draw(4).uniform()));
    let fee = if draw(5).uniform() < p.fee_free_share { 0.0 } else { 0.9 + (p.fee_max - 0.9) * draw(6).uniform() };
    merchant.delivery_fee.get_or_insert(tenth(fee));
    rate(merchant, p, key, from, start);
}

/// Rating, count and quality share one date, so they are filled together or not at all.
///
/// Who was listed before the window has ratings as of its start; who comes later has none, and only the
/// operator's own judgement, of the day it was listed.
fn rate(merchant: &mut Merchant, p: &Merchants, key: Key, from: Timestamp, start: Timestamp) {
    let given = merchant.rating.is_some() || merchant.rating_count.is_some() || merchant.quality.is_some();
    if given || merchant.observed_at.is_some() {
        return;
    }
    let (quality, fame) = (latent_quality(key), latent_fame(key));
    let seen = 0.5 + 0.16 * (0.7 * quality + 0.7 * key.and(120).normal());
    merchant.quality = Some((clamp(seen, 0.0, 1.0) * 100.0).round() as f32 / 100.0);
    merchant.observed_at = Some(if from > start { from } else { start });
    if from <= start {
        let years = (start - from) as f64 / (365.0 * DAY as f64);
        let count = (p.rating_count_median * years * libm::exp(0.8 * fame + 0.5 * key.and(121).normal())).round();
        let noise = 0.8 / libm::sqrt(count + 1.0) * key.and(122).normal();
        merchant.rating_count = Some(count as u32);
        // Nobody has rated it: no rating, rather than a zero.
        merchant.rating =
            (count >= 1.0).then(|| tenth(clamp(p.rating_mean + p.rating_slope * quality + noise, 1.0, 5.0)));
    }
}

fn clamp(x: f64, from: f64, to: f64) -> f64 {
    if x < from {
        from
    } else if x > to {
        to
    } else {
        x
    }
}

fn tenth(x: f64) -> f32 {
    (x * 10.0).round() as f32 / 10.0
}
