//! A merchant that may be placed: what every column and every rule is about.

use crate::bundle::{Merchant, Offer, OfferKind};
use crate::time::{DAY_MINUTES, Local};
use alloc::vec::Vec;

/// A merchant that may be placed.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Index in the bundle.
    pub index: u32,
    /// Its columns.
    pub merchant: Merchant,
    /// What its cuisines and clusters count in: the first 4 bytes of the map's fingerprint.
    pub cuisine_map: u32,
    /// From the decided place.
    pub distance_km: f64,
    /// Local minutes since 1970; `None` where its hours are not known.
    pub closes: Option<i64>,
    /// Minutes of the message's own clock until it closes.
    pub open_minutes: Option<i64>,
    /// The best offer that holds for this reader now.
    pub offer: Option<Offer>,
}

/// An offer's worth as a share of a usual basket, in per cent.
#[must_use]
pub fn worth(offer: &Offer) -> i32 {
    match offer.kind {
        OfferKind::Percent => offer.value,
        // A usual basket is 25 of the currency, a usual fee 4.
        OfferKind::Amount => offer.value / 25,
        OfferKind::FreeDelivery => 16,
        OfferKind::Other => 5,
    }
}

/// Days between a listing and a local day.
#[must_use]
pub fn days_since(day: u16, local: Local) -> i64 {
    local.minutes.div_euclid(DAY_MINUTES) - i64::from(day)
}

/// Whether some chain has more outlets than a message may show.
#[must_use]
pub fn crowded(kept: &[Candidate], cap: u8) -> bool {
    let chains = kept.iter().map(|candidate| candidate.merchant.chain).filter(|chain| chain.is_some());
    let mut chains: Vec<u128> = chains.map(|chain| chain.0.into()).collect();
    chains.sort_unstable();
    chains.windows(usize::from(cap) + 1).any(|outlets| outlets.first() == outlets.last())
}
