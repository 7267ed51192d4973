//! The profile: precomputed facts of one reader, small enough to ride in a message.
//!
//! | bytes | field |
//! |---|---|
//! | 4 + 4 | magic with version, checksum |
//! | 8, 4, 1, 1 | reader, as-of in minutes since 1970, flags, UTC offset of home in quarter hours |
//! | 1 + up to 16 | market, as `fi/helsinki` |
//! | 4 + 1 + 2 x up to 20 | cuisine map, clusters, lifelong and recent taste by cluster |
//! | 1 + 12 x up to 3 | raw cuisines: both lists of up to 6, a label and a share each |
//! | 1 + up to 4 x 10, 1 | likely places: 24-bit coordinates and a probability per daypart; rate of new places |
//! | 1 + up to 10 x 8 | merchants ordered from: id, chain, decayed count, days |
//! | 12 | counts |
//!
//! That is [`MAX_BYTES`] when everything is there.

use crate::geo::Point;
use crate::id::{ChainId, MerchantId};
use crate::time::Daypart;
use crate::wire::{DecodeError, Reader, seal};
use alloc::string::String;
use alloc::vec::Vec;

/// The most that fits into a token beside its key and nonce.
pub const MAX_BYTES: usize = 256;
/// Likely places of one reader.
pub const MAX_PLACES: usize = 4;
/// Merchants remembered of one reader.
pub const MAX_MERCHANTS: usize = 10;
/// Raw cuisines of each of the two tastes.
pub const MAX_RAW: usize = 6;
/// Clusters of the cuisine map.
pub const MAX_CLUSTERS: usize = crate::bundle::MAX_CLUSTERS;

const MAGIC: [u8; 4] = *b"FRP1";
const PART: &str = "profile";
const CHECKSUM_AT: usize = 4;
const CONSENT: u8 = 1;
const MEMBER: u8 = 2;
const UNKNOWN: u8 = u8::MAX;

/// A taste is ln(share of the reader / share of the market), clamped to this.
pub const MAX_TASTE: f32 = 4.0;
const TASTE_STEPS: f32 = 127.0 / MAX_TASTE;
const SHARE_STEPS: f32 = 254.0;
const PROBABILITY_STEPS: f32 = 255.0;
const COUNT_STEPS: f32 = 16.0;
const BAND_STEPS: f32 = 50.0;
/// 24 bits of a degree: 2.4 m of latitude.
const DEGREE_STEPS: f64 = 8_388_607.0 / 180.0;

/// One reader, as decided upon.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    /// First 8 bytes of HMAC(secret, user_id); nothing here tells who it is.
    pub reader: u64,
    /// Minutes since 1970: nothing later is in here.
    pub as_of_minute: u32,
    /// Whether individually tailored messages were consented to.
    pub consent: bool,
    /// Pays for a membership.
    pub member: bool,
    /// Minutes ahead of UTC at home, a multiple of 15.
    pub offset_minutes: i16,
    /// Home city, as `fi/helsinki`; legal, language and consent keys follow it.
    pub market: String,
    /// First 4 bytes of the cuisine map's fingerprint; tastes mean nothing on another map.
    pub cuisine_map: u32,
    /// By cluster.
    pub lifelong: Taste,
    /// By cluster, of the last weeks.
    pub recent: Taste,
    /// The likeliest first.
    pub places: Vec<LikelyPlace>,
    /// Probability that the next order goes to a place never used before.
    pub new_place_rate: f32,
    /// The most ordered from first.
    pub merchants: Vec<KnownMerchant>,
    /// Completed orders.
    pub n_orders: u16,
    /// Days since the account was opened.
    pub tenure_days: u16,
    /// Mean price band of the orders, 1 to 4.
    pub basket_band: Option<f32>,
    /// Share of messages opened.
    pub open_rate: Option<f32>,
    /// Share of messages clicked.
    pub click_rate: Option<f32>,
    /// Share of orders by daypart; all zero where there are none.
    pub daypart_share: [f32; 4],
    /// Days since the last order.
    pub last_order_days: Option<u8>,
}

/// What a reader likes, projected to clusters, and the top raw cuisines.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Taste {
    /// ln(share of the reader / share of the market) of each cluster, within [`MAX_TASTE`].
    pub clusters: Vec<f32>,
    /// Label of the cuisine map and the reader's share of it, 0 to 1; the largest first.
    pub raw: Vec<(u16, f32)>,
}

/// A place where the next order may go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LikelyPlace {
    /// Good to 3 m.
    pub point: Point,
    /// By daypart, given that it is no new place.
    pub probability: [f32; 4],
}

/// A merchant the reader has ordered from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnownMerchant {
    /// [`MerchantId::short`].
    pub id: u32,
    /// [`ChainId::short`]; 0 without a chain.
    pub chain: u16,
    /// Orders, decayed; up to 15.9.
    pub count: f32,
    /// Days since the last one at the profile's as-of time; 255 stands for more, too.
    pub days: u8,
}

impl LikelyPlace {
    /// The probability at a part of the day.
    #[must_use]
    pub fn at(&self, daypart: Daypart) -> f32 {
        self.probability[daypart.index()]
    }
}

impl Profile {
    /// Decayed orders from this merchant and days since the last; of a merchant that is not remembered, none.
    #[must_use]
    pub fn known(&self, id: MerchantId) -> Option<&KnownMerchant> {
        self.merchants.iter().find(|m| m.id == id.short())
    }

    /// Decayed orders from this chain, any outlet.
    #[must_use]
    pub fn chain_count(&self, chain: ChainId) -> f32 {
        let same = self.merchants.iter().filter(|m| chain.is_some() && m.chain == chain.short());
        same.fold(0.0, |sum, m| sum + m.count)
    }

    /// Decayed orders from everyone remembered.
    #[must_use]
    pub fn total_count(&self) -> f32 {
        self.merchants.iter().fold(0.0, |sum, m| sum + m.count)
    }

    /// The bytes [`Profile::decode`] reads; values between two steps are rounded.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] for a list that is too long.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        let limit = |what, found: usize, limit: usize| {
            if found <= limit { Ok(found as u8) } else { Err(DecodeError::Limit { part: PART, what, found, limit }) }
        };
        // A cast from float saturates, and takes NaN to 0.
        let byte = |value: f32, steps: f32| libm::roundf(value * steps) as u8;
        let share = |value: Option<f32>| value.map_or(UNKNOWN, |v| byte(v, SHARE_STEPS).min(254));

        let n_clusters = limit("clusters", self.lifelong.clusters.len(), MAX_CLUSTERS)?;
        limit("recent clusters", self.recent.clusters.len(), usize::from(n_clusters))?;
        let n_lifelong = limit("raw cuisines", self.lifelong.raw.len(), MAX_RAW)?;
        let n_recent = limit("raw cuisines", self.recent.raw.len(), MAX_RAW)?;

        let mut bytes = Vec::with_capacity(MAX_BYTES);
        bytes.extend(MAGIC);
        bytes.extend([0; 4]);
        bytes.extend(self.reader.to_le_bytes());
        bytes.extend(self.as_of_minute.to_le_bytes());
        bytes.push(if self.consent { CONSENT } else { 0 } | if self.member { MEMBER } else { 0 });
        bytes.push(((self.offset_minutes / 15) as i8) as u8);
        bytes.push(limit("bytes of market", self.market.len(), crate::bundle::MAX_LAYER)?);
        bytes.extend(self.market.as_bytes());

        bytes.extend(self.cuisine_map.to_le_bytes());
        bytes.push(n_clusters);
        for taste in [&self.lifelong, &self.recent] {
            for k in 0..usize::from(n_clusters) {
                let value = taste.clusters.get(k).copied().unwrap_or(0.0);
                bytes.push((libm::roundf(value * TASTE_STEPS) as i8).max(-127) as u8);
            }
        }
        bytes.push(n_lifelong | n_recent << 4);
        for (label, value) in self.lifelong.raw.iter().chain(&self.recent.raw) {
            bytes.extend(label.to_le_bytes());
            bytes.push(byte(*value, PROBABILITY_STEPS));
        }

        bytes.push(limit("places", self.places.len(), MAX_PLACES)?);
        for place in &self.places {
            for degrees in [place.point.latitude(), place.point.longitude()] {
                let steps = libm::round(degrees * DEGREE_STEPS) as i32;
                bytes.extend(&steps.to_le_bytes()[..3]);
            }
            bytes.extend(place.probability.map(|p| byte(p, PROBABILITY_STEPS)));
        }
        bytes.push(byte(self.new_place_rate, PROBABILITY_STEPS));

        bytes.push(limit("merchants", self.merchants.len(), MAX_MERCHANTS)?);
        for merchant in &self.merchants {
            bytes.extend(merchant.id.to_le_bytes());
            bytes.extend(merchant.chain.to_le_bytes());
            bytes.extend([byte(merchant.count, COUNT_STEPS), merchant.days]);
        }

        bytes.extend(self.n_orders.to_le_bytes());
        bytes.extend(self.tenure_days.to_le_bytes());
        bytes.push(self.basket_band.map_or(0, |band| byte(band, BAND_STEPS)));
        bytes.extend([share(self.open_rate), share(self.click_rate)]);
        bytes.extend(self.daypart_share.map(|p| byte(p, PROBABILITY_STEPS)));
        bytes.push(self.last_order_days.map_or(UNKNOWN, |days| days.min(254)));
        seal(&mut bytes, CHECKSUM_AT);
        Ok(bytes)
    }

    /// Reads a profile; all of its numbers are finite afterwards.
    ///
    /// # Errors
    /// Names the field that is cut off, over a limit, or damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(PART, bytes);
        r.limit("bytes", bytes.len(), MAX_BYTES)?;
        let found = r.array("the magic")?;
        if found != MAGIC {
            return Err(DecodeError::Magic { part: PART, found, expected: MAGIC });
        }
        r.take("the checksum", 4)?;
        let mut profile =
            Self { reader: r.u64("the reader")?, as_of_minute: r.u32("the as-of time")?, ..Self::default() };
        let flags = r.u8("the flags")?;
        profile.consent = flags & CONSENT != 0;
        profile.member = flags & MEMBER != 0;
        profile.offset_minutes = i16::from(r.u8("the UTC offset")? as i8) * 15;
        let length = usize::from(r.u8("the market")?);
        let length = r.limit("bytes of market", length, crate::bundle::MAX_LAYER)?;
        let market = r.take("the market", length)?;

        profile.cuisine_map = r.u32("the cuisine map")?;
        let n_clusters = usize::from(r.u8("the number of clusters")?);
        let n_clusters = r.limit("clusters", n_clusters, MAX_CLUSTERS)?;
        let taste = |bytes: &[u8]| bytes.iter().map(|b| f32::from((*b as i8).max(-127)) / TASTE_STEPS).collect();
        profile.lifelong.clusters = taste(r.take("the lifelong taste", n_clusters)?);
        profile.recent.clusters = taste(r.take("the recent taste", n_clusters)?);
        let n_raw = r.u8("the number of raw cuisines")?;
        for (n, taste) in [(n_raw & 15, &mut profile.lifelong), (n_raw >> 4, &mut profile.recent)] {
            for _ in 0..r.limit("raw cuisines", usize::from(n), MAX_RAW)? {
                let label = r.u16("the raw cuisines")?;
                taste.raw.push((label, f32::from(r.u8("the raw cuisines")?) / PROBABILITY_STEPS));
            }
        }

        let n_places = usize::from(r.u8("the number of places")?);
        for i in 0..r.limit("places", n_places, MAX_PLACES)? {
            let mut degrees = || -> Result<f64, DecodeError> {
                let [a, b, c] = r.array("the places")?;
                // Shifted to the top and back, so that the sign is carried along.
                Ok(f64::from(i32::from_le_bytes([0, a, b, c]) >> 8) / DEGREE_STEPS)
            };
            let (latitude, longitude) = (degrees()?, degrees()?);
            let point = Point::new(latitude, longitude).ok_or(DecodeError::Value {
                part: PART,
                what: "latitude",
                at: i,
                found: latitude as i64,
                expected: "-90 to 90",
            })?;
            let probability = r.array("the places")?.map(|p: u8| f32::from(p) / PROBABILITY_STEPS);
            profile.places.push(LikelyPlace { point, probability });
        }
        profile.new_place_rate = f32::from(r.u8("the rate of new places")?) / PROBABILITY_STEPS;

        let n_merchants = usize::from(r.u8("the number of merchants")?);
        for _ in 0..r.limit("merchants", n_merchants, MAX_MERCHANTS)? {
            profile.merchants.push(KnownMerchant {
                id: r.u32("the merchants")?,
                chain: r.u16("the merchants")?,
                count: f32::from(r.u8("the merchants")?) / COUNT_STEPS,
                days: r.u8("the merchants")?,
            });
        }

        profile.n_orders = r.u16("the counts")?;
        profile.tenure_days = r.u16("the counts")?;
        let known = |byte: u8| (byte != UNKNOWN).then_some(byte);
        profile.basket_band = Some(r.u8("the counts")?).filter(|b| *b != 0).map(|b| f32::from(b) / BAND_STEPS);
        profile.open_rate = known(r.u8("the counts")?).map(|b| f32::from(b) / SHARE_STEPS);
        profile.click_rate = known(r.u8("the counts")?).map(|b| f32::from(b) / SHARE_STEPS);
        profile.daypart_share = r.array("the counts")?.map(|p: u8| f32::from(p) / PROBABILITY_STEPS);
        profile.last_order_days = known(r.u8("the counts")?);
        r.end()?;
        r.at = CHECKSUM_AT;
        r.checksum()?;
        profile.market = match core::str::from_utf8(market) {
            Ok(market) => market.into(),
            Err(error) => {
                let found = error.valid_up_to() as i64;
                return Err(DecodeError::Value { part: PART, what: "market", at: 0, found, expected: "UTF-8" });
            }
        };
        Ok(profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// Everything a profile can hold.
    fn full() -> Profile {
        let taste = |x: i8| Taste {
            clusters: (0..20).map(|k| f32::from(x.wrapping_mul(k as i8)) / TASTE_STEPS).collect(),
            raw: (0..6).map(|i| (i * 7, f32::from(i as u8) / PROBABILITY_STEPS)).collect(),
        };
        let place = LikelyPlace { point: Point::new(60.17, -24.94).unwrap(), probability: [0.2, 0.4, 0.6, 1.0] };
        Profile {
            reader: 7,
            as_of_minute: 29_000_000,
            consent: true,
            member: true,
            offset_minutes: -570,
            market: "fi/helsinki-city".into(),
            cuisine_map: 9,
            lifelong: taste(3),
            recent: taste(-5),
            places: vec![place; 4],
            new_place_rate: 32.0 / 255.0,
            merchants: vec![KnownMerchant { id: 5, chain: 6, count: 2.5, days: 9 }; 10],
            n_orders: 300,
            tenure_days: 900,
            basket_band: Some(2.5),
            open_rate: Some(0.5),
            click_rate: None,
            daypart_share: [0.0, 0.2, 0.8, 0.0],
            last_order_days: Some(9),
        }
    }

    #[test]
    fn a_full_profile_fits_and_survives_the_round_trip() {
        let bytes = full().encode().unwrap();
        assert_eq!(bytes.len(), MAX_BYTES);
        let decoded = Profile::decode(&bytes).unwrap();
        assert_eq!(decoded.encode().unwrap(), bytes, "a decoded profile is written as it was read");
        assert!(decoded.places[0].point.distance_km(full().places[0].point) < 0.003);
        assert_eq!(
            (decoded.merchants, decoded.market, decoded.offset_minutes),
            (full().merchants, full().market, -570)
        );
    }

    #[test]
    fn every_prefix_and_every_flipped_bit_is_an_error() {
        let bytes = full().encode().unwrap();
        for n in 0..bytes.len() {
            let error = Profile::decode(&bytes[..n]).unwrap_err();
            assert!(matches!(error, DecodeError::Truncated { part: "profile", .. }), "{n}: {error}");
        }
        for bit in 0..8 * bytes.len() {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Profile::decode(&bytes).is_err(), "bit {bit}");
        }
    }
}
