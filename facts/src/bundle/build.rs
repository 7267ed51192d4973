//! Writing an area bundle. The offline half fills a draft; what does not fit a column is clamped, never wrapped.

use super::{
    Audience, CHECKSUM_AT, HEADER_BYTES, Kind, MAGIC, MAX_BYTES, MAX_EXCEPTIONS, MAX_LAYER, MAX_MERCHANTS, MAX_WEEKLY,
    OfferKind, PART, Schedule, Share, VERSION,
};
use crate::geo::{Cell, Point};
use crate::id::{ChainId, MerchantId};
use crate::wire::{DecodeError, seal};
use alloc::string::String;
use alloc::vec::Vec;

pub(super) const POPULARITY_STEPS: f32 = 4096.0;
pub(super) const RATING_STEPS: f32 = 50.0;
pub(super) const COUNT_STEPS: f32 = 12.0;
pub(super) const SHARE_STEPS: f32 = 254.0;
pub(super) const RADIUS_STEPS: f64 = 10.0;
pub(super) const DEGREE_STEPS: f64 = 1e7;
pub(super) const ACROSS_BORDER: u8 = 4;

/// An area before it is bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct AreaDraft {
    /// The area.
    pub cell: Cell,
    /// Seconds since 1970.
    pub as_of: i64,
    /// ISO 3166-1 alpha-2.
    pub country: [u8; 2],
    /// `fi/helsinki`; at most [`MAX_LAYER`] bytes.
    pub layer: String,
    /// [`super::Bundle::cuisine_map`].
    pub cuisine_map: u64,
    /// Minutes ahead of UTC at `as_of`.
    pub offset_minutes: i16,
    /// Ascending: from this second on, this many minutes ahead of UTC. At most 255.
    pub transitions: Vec<(i64, i16)>,
    /// In any order.
    pub merchants: Vec<MerchantDraft>,
    /// Shared by the merchants.
    pub schedules: Vec<ScheduleDraft>,
    /// In any order; `merchant` names the merchant.
    pub offers: Vec<OfferDraft>,
}

/// A merchant before it is bytes; the fields mean what [`super::Merchant`]'s mean.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct MerchantDraft {
    pub id: MerchantId,
    pub chain: ChainId,
    pub position: Point,
    pub cuisines: Vec<u16>,
    pub clusters: Vec<(u8, u8)>,
    pub log_popularity_cell: f32,
    pub log_popularity_city: f32,
    /// The evidence of the first that has a share is the area's.
    pub share: Option<Share>,
    pub price_band: Option<u8>,
    pub rating: Option<f32>,
    pub rating_count: u32,
    pub reliability: Option<f32>,
    pub prep_minutes: Option<f32>,
    pub quality: Option<f32>,
    pub radius_km: Option<f32>,
    pub kind: Kind,
    pub across_border: bool,
    pub schedule: Schedule,
    pub listed_day: Option<u16>,
}

impl MerchantDraft {
    /// A merchant of which only the name and the place are known.
    #[must_use]
    pub fn new(id: MerchantId, position: Point) -> Self {
        Self {
            id,
            chain: ChainId::NONE,
            position,
            cuisines: Vec::new(),
            clusters: Vec::new(),
            log_popularity_cell: 0.0,
            log_popularity_city: 0.0,
            share: None,
            price_band: None,
            rating: None,
            rating_count: 0,
            reliability: None,
            prep_minutes: None,
            quality: None,
            radius_km: None,
            kind: Kind::Restaurant,
            across_border: false,
            schedule: Schedule::Unknown,
            listed_day: None,
        }
    }
}

/// Opening hours before they are bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ScheduleDraft {
    /// Minutes of the week, Monday 00:00 is 0; a closing time may pass the week's end.
    pub weekly: Vec<(u16, u16)>,
    /// Ascending by day.
    pub exceptions: Vec<ExceptionDraft>,
}

/// One date that differs from its weekday.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ExceptionDraft {
    /// Days since 1970.
    pub day: u16,
    /// Minutes of that day; a closing time may pass midnight.
    pub open: Vec<(u16, u16)>,
    /// Whether it is a public holiday.
    pub holiday: bool,
}

/// An offer before it is bytes.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct OfferDraft {
    pub id: u32,
    pub merchant: MerchantId,
    pub kind: OfferKind,
    pub audience: Audience,
    /// Per cent, or hundredths of the currency.
    pub value: i32,
    pub starts_minute: u32,
    pub ends_minute: u32,
}

impl AreaDraft {
    /// The bytes [`super::Bundle::decode`] reads. Merchants are written ascending by id, so the order they came in is no part of the bytes.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] where the format has no room.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        let limit = |what, found: usize, limit: usize| {
            if found <= limit { Ok(()) } else { Err(DecodeError::Limit { part: PART, what, found, limit }) }
        };
        limit("merchants", self.merchants.len(), MAX_MERCHANTS)?;
        limit("bytes of layer path", self.layer.len(), MAX_LAYER)?;
        limit("transitions", self.transitions.len(), 255)?;
        limit("schedules", self.schedules.len(), usize::from(Schedule::UNTRACKED))?;

        let mut merchants: Vec<&MerchantDraft> = self.merchants.iter().collect();
        merchants.sort_by_key(|m| m.id);
        let mut offers: Vec<(u32, &OfferDraft)> = self
            .offers
            .iter()
            .filter_map(|o| merchants.binary_search_by_key(&o.merchant, |m| m.id).ok().map(|m| (m as u32, o)))
            .collect();
        offers.sort_by_key(|(merchant, offer)| (*merchant, offer.id));

        let mut intervals: Vec<(u16, u16)> = Vec::new();
        let (mut schedules, mut exceptions) = (Vec::new(), Vec::new());
        let mut n_exceptions = 0_usize;
        for schedule in &self.schedules {
            limit("openings a week", schedule.weekly.len(), MAX_WEEKLY)?;
            limit("exceptions of one schedule", schedule.exceptions.len(), MAX_EXCEPTIONS)?;
            schedules.extend((intervals.len() as u32).to_le_bytes());
            schedules.extend((schedule.weekly.len() as u16).to_le_bytes());
            schedules.extend((n_exceptions as u16).to_le_bytes());
            schedules.extend((schedule.exceptions.len() as u16).to_le_bytes());
            intervals.extend(&schedule.weekly);
            for exception in &schedule.exceptions {
                limit("intervals on one day", exception.open.len(), 255)?;
                exceptions.extend(exception.day.to_le_bytes());
                exceptions.extend((intervals.len() as u32).to_le_bytes());
                exceptions.extend([exception.open.len() as u8, u8::from(exception.holiday)]);
                intervals.extend(&exception.open);
            }
            n_exceptions += schedule.exceptions.len();
        }
        limit("exceptions", n_exceptions, usize::from(u16::MAX))?;

        let mut bytes = Vec::with_capacity(HEADER_BYTES + 64 * merchants.len());
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend([self.layer.len() as u8, self.transitions.len() as u8]);
        bytes.extend((merchants.len() as u32).to_le_bytes());
        bytes.extend((self.schedules.len() as u16).to_le_bytes());
        bytes.extend((n_exceptions as u16).to_le_bytes());
        bytes.extend((intervals.len() as u32).to_le_bytes());
        bytes.extend((offers.len() as u32).to_le_bytes());
        bytes.extend(self.cell.0.to_le_bytes());
        bytes.extend(self.as_of.to_le_bytes());
        bytes.extend(self.offset_minutes.to_le_bytes());
        bytes.extend(self.country);
        bytes.extend(self.cuisine_map.to_le_bytes());
        let evidence = merchants.iter().find_map(|m| m.share).map_or(0.0, |share| share.evidence);
        bytes.extend(evidence.to_le_bytes());
        bytes.resize(HEADER_BYTES, 0);

        bytes.extend(self.layer.as_bytes());
        for (second, minutes) in &self.transitions {
            bytes.extend(second.to_le_bytes());
            bytes.extend(minutes.to_le_bytes());
        }
        merchants.iter().for_each(|m| m.write(&mut bytes));
        bytes.extend(schedules);
        bytes.extend(exceptions);
        for (opens, closes) in intervals {
            bytes.extend(opens.to_le_bytes());
            bytes.extend(closes.to_le_bytes());
        }
        offers.iter().for_each(|(merchant, offer)| offer.write(*merchant, &mut bytes));
        if evidence != 0.0 {
            merchants.iter().for_each(|m| m.write_share(&mut bytes));
        }
        limit("bytes", bytes.len(), MAX_BYTES)?;
        seal(&mut bytes, CHECKSUM_AT);
        Ok(bytes)
    }
}

impl MerchantDraft {
    fn write(&self, bytes: &mut Vec<u8>) {
        // A cast from float saturates, and takes NaN to 0.
        let byte = |value: Option<f32>, steps: f32| value.map_or(u8::MAX, |v| (libm::roundf(v * steps) as u8).min(254));
        let degrees = |value: f64| (libm::round(value * DEGREE_STEPS) as i32).to_le_bytes();
        let popularity = |value: f32| (libm::roundf(value * POPULARITY_STEPS) as u16).to_le_bytes();
        bytes.extend(self.id.0.to_le_bytes());
        bytes.extend(self.chain.0.to_le_bytes());
        bytes.extend(degrees(self.position.latitude()));
        bytes.extend(degrees(self.position.longitude()));
        for i in 0..3 {
            bytes.extend(self.cuisines.get(i).copied().unwrap_or(u16::MAX).to_le_bytes());
        }
        for i in 0..3 {
            let (cluster, weight) = self.clusters.get(i).copied().unwrap_or((0, 0));
            bytes.extend([cluster, weight]);
        }
        bytes.extend(popularity(self.log_popularity_cell));
        bytes.extend(popularity(self.log_popularity_city));
        bytes.push(self.price_band.unwrap_or(0).min(4));
        bytes.push(byte(self.rating, RATING_STEPS));
        bytes.push(libm::roundf(libm::log2f(1.0 + self.rating_count as f32) * COUNT_STEPS) as u8);
        bytes.push(byte(self.reliability, SHARE_STEPS));
        bytes.push(byte(self.prep_minutes, 1.0));
        bytes.push(byte(self.quality, SHARE_STEPS));
        bytes.push(byte(self.radius_km, RADIUS_STEPS as f32));
        bytes.push(self.kind as u8 | if self.across_border { ACROSS_BORDER } else { 0 });
        let schedule = match self.schedule {
            Schedule::Known(s) => s,
            Schedule::Unknown => Schedule::UNKNOWN,
            Schedule::Untracked => Schedule::UNTRACKED,
        };
        bytes.extend(schedule.to_le_bytes());
        bytes.extend(self.listed_day.unwrap_or(0).to_le_bytes());
    }
}

impl MerchantDraft {
    /// The largest number stands for no share.
    fn write_share(&self, bytes: &mut Vec<u8>) {
        let steps = |log: f32| (libm::roundf(-log * POPULARITY_STEPS) as u16).min(u16::MAX - 1);
        let (cell, city) =
            self.share.map_or((u16::MAX, u16::MAX), |share| (steps(share.log_cell), steps(share.log_city)));
        bytes.extend(cell.to_le_bytes());
        bytes.extend(city.to_le_bytes());
    }
}

impl OfferDraft {
    fn write(&self, merchant: u32, bytes: &mut Vec<u8>) {
        bytes.extend(self.id.to_le_bytes());
        bytes.extend(merchant.to_le_bytes());
        bytes.extend([self.kind as u8, self.audience as u8, 0, 0]);
        bytes.extend(self.value.to_le_bytes());
        bytes.extend(self.starts_minute.to_le_bytes());
        bytes.extend(self.ends_minute.to_le_bytes());
    }
}
