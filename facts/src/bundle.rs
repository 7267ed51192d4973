//! The area bundle: what every reader in one H3 cell shares, read in place.
//!
//! Fixed little-endian layout, [`VERSION`] 1. Sections follow each other without padding:
//!
//! | section | entry |
//! |---|---|
//! | header | 64 bytes: magic, version, checksum, counts, cell, as-of, UTC offset, country, cuisine map, f32 evidence of the shares |
//! | layer | UTF-8, the area's place in the campaign's geography, as `fi/helsinki` |
//! | transitions | 10 bytes: i64 seconds, i16 minutes ahead of UTC from then on |
//! | merchants | [`MERCHANT_BYTES`], ascending by id |
//! | schedules | 10 bytes: u32 first interval, u16 weekly intervals, u16 first exception, u16 exceptions |
//! | exceptions | 8 bytes: u16 day since 1970, u32 first interval, u8 intervals, u8 flags (1: public holiday) |
//! | intervals | 4 bytes: u16 opens, u16 closes; minutes of the week (schedules) or of the day (exceptions) |
//! | offers | 24 bytes, ascending by merchant |
//! | shares | 4 bytes a merchant, u16 share in the cell, u16 share in the city, both -ln in steps of 1/4096; absent where the evidence is 0 |
//!
//! The display block (names, links, pictures) is bytes of its own, so that ranking never reads it.

use crate::geo::{Cell, Point};
use crate::id::{ChainId, Hash, MerchantId};
use crate::time::Local;
use crate::wire::{DecodeError, Reader, at};
use alloc::string::String;
use alloc::vec::Vec;

mod build;
mod display;
mod hours;

pub use build::{AreaDraft, ExceptionDraft, MerchantDraft, OfferDraft, ScheduleDraft};
pub use display::{Card, Display};
pub use hours::{Hours, Opening};

/// Version of the layout.
pub const VERSION: u16 = 1;
/// A merchant without its schedule and offers.
pub const MERCHANT_BYTES: usize = 48;
/// Merchants of one area; more than any city has within a delivery radius.
pub const MAX_MERCHANTS: usize = 20_000;
/// Bytes of one area; checked before anything is read or allocated.
pub const MAX_BYTES: usize = 4 << 20;
/// Clusters of the cuisine map.
pub const MAX_CLUSTERS: usize = 20;
/// Openings of one schedule's week.
pub const MAX_WEEKLY: usize = 128;
/// Dates that differ from their weekday, of one schedule.
pub const MAX_EXCEPTIONS: usize = 1000;
/// Bytes of a layer path.
pub const MAX_LAYER: usize = 16;

const MAGIC: [u8; 4] = *b"FRAB";
const HEADER_BYTES: usize = 64;
const TRANSITION_BYTES: usize = 10;
const SCHEDULE_BYTES: usize = 10;
const EXCEPTION_BYTES: usize = 8;
const INTERVAL_BYTES: usize = 4;
const OFFER_BYTES: usize = 24;
const SHARE_BYTES: usize = 4;
/// No clock on Earth differs more from UTC.
const MAX_OFFSET_MINUTES: i16 = 18 * 60;
/// No opening is longer: whether a door is open is looked for so far back.
const MAX_OPENING_MINUTES: u16 = 2 * 1440;
const CHECKSUM_AT: usize = 6;
const PART: &str = "area bundle";

/// A decoded area: the bytes, and where each section starts.
#[derive(Debug, Clone)]
pub struct Bundle {
    bytes: Vec<u8>,
    /// The area.
    pub cell: Cell,
    /// Seconds since 1970: nothing later is in here.
    pub as_of: i64,
    /// ISO 3166-1 alpha-2.
    pub country: [u8; 2],
    /// The fingerprint of the cuisine map its clusters come from; a profile of another map has no taste here.
    pub cuisine_map: u64,
    /// Of all bytes; a decision carries it.
    pub hash: Hash,
    offset_minutes: i16,
    layer: String,
    n_merchants: usize,
    n_transitions: usize,
    n_schedules: usize,
    n_exceptions: usize,
    n_intervals: usize,
    n_offers: usize,
    transitions_at: usize,
    merchants_at: usize,
    schedules_at: usize,
    exceptions_at: usize,
    intervals_at: usize,
    offers_at: usize,
    shares_at: usize,
    /// 0 where there are no shares.
    evidence: f32,
}

/// What a merchant sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Meals.
    Restaurant,
    /// Food to cook or to keep.
    Grocery,
    /// Anything else.
    Retail,
}

impl Kind {
    /// As a merchant's record has it.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        match code & 3 {
            0 => Self::Restaurant,
            1 => Self::Grocery,
            _ => Self::Retail,
        }
    }
}

/// The scoring columns of one merchant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Merchant {
    /// Fingerprint of its `merchant_id`.
    pub id: MerchantId,
    /// [`ChainId::NONE`] for a merchant of its own.
    pub chain: ChainId,
    /// Where it cooks.
    pub position: Point,
    /// Labels of the cuisine map, by index; unused ones are `u16::MAX`.
    pub cuisines: [u16; 3],
    /// Clusters with weights out of 255; unused ones have weight 0.
    pub clusters: [(u8, u8); 3],
    /// ln(1 + decayed orders from this cell).
    pub log_popularity_cell: f32,
    /// ln(1 + decayed orders from the whole city).
    pub log_popularity_city: f32,
    /// Its share of the orders; `None` in a bundle that tells none.
    pub share: Option<Share>,
    /// 1 (cheap) to 4.
    pub price_band: Option<u8>,
    /// 0 to 5, in steps of 0.02.
    pub rating: Option<f32>,
    /// log2(1 + ratings), in steps of 1/12.
    pub log2_rating_count: f32,
    /// Share of orders that were completed, 0 to 1.
    pub reliability: Option<f32>,
    /// From order to hand-over.
    pub prep_minutes: Option<u8>,
    /// The operator's own judgement, 0 to 1.
    pub quality: Option<f32>,
    /// How far it delivers; `None` leaves it to the campaign.
    pub radius_km: Option<f64>,
    /// What it sells.
    pub kind: Kind,
    /// Its country is not the area's.
    pub across_border: bool,
    /// Which hours it keeps.
    pub schedule: Schedule,
    /// Days since 1970 when it could first be ordered from.
    pub listed_day: Option<u16>,
}

/// A merchant's share of the orders of all that deliver here, shrunken level by level to its surroundings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// ln p(merchant | cell).
    pub log_cell: f32,
    /// ln p(merchant | city).
    pub log_city: f32,
    /// Decayed orders that the share in the cell rests on, those its parent counts as among them; one for all of an area.
    pub evidence: f32,
}

/// Which hours a merchant keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// By index into the bundle.
    Known(u16),
    /// Others have hours, this one has none that could be read.
    Unknown,
    /// The source tells no hours of anyone: all are taken as open.
    Untracked,
}

impl Schedule {
    const UNKNOWN: u16 = u16::MAX;
    const UNTRACKED: u16 = u16::MAX - 1;
}

/// A promotion as the bundle carries it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer {
    /// The first 4 bytes of SHA-256 of its `offer_id`.
    pub id: u32,
    /// Index of its merchant.
    pub merchant: u32,
    /// What it gives.
    pub kind: OfferKind,
    /// To whom.
    pub audience: Audience,
    /// Per cent, or hundredths of the currency.
    pub value: i32,
    /// Minutes since 1970: first that it holds.
    pub starts_minute: u32,
    /// Minutes since 1970: first that it no longer holds.
    pub ends_minute: u32,
}

/// What an offer gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum OfferKind {
    /// A share of the basket.
    Percent,
    /// A sum off.
    Amount,
    /// No fee.
    FreeDelivery,
    /// The operator's own kind.
    Other,
}

/// Whom an offer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Everyone.
    All,
    /// Readers who never ordered from this merchant.
    New,
    /// Readers with a membership.
    Member,
    /// A word this release does not know: nobody, since a promise that cannot be checked is not made.
    Unknown,
}

impl Bundle {
    /// Checks every byte once; afterwards nothing here fails.
    ///
    /// # Errors
    /// Names the section that is cut off, over a limit, or damaged.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, DecodeError> {
        let mut r = Reader::new(PART, &bytes);
        r.limit("bytes", bytes.len(), MAX_BYTES)?;
        r.magic(MAGIC, VERSION)?;
        r.take("the checksum", 4)?;
        let layer_len = r.u8("the layer's length")?;
        let n_transitions = usize::from(r.u8("the number of transitions")?);
        let n_merchants = r.u32("the number of merchants")? as usize;
        let n_schedules = usize::from(r.u16("the number of schedules")?);
        let n_exceptions = usize::from(r.u16("the number of exceptions")?);
        let n_intervals = r.u32("the number of intervals")? as usize;
        let n_offers = r.u32("the number of offers")? as usize;
        let cell = r.u64("the cell")?;
        let as_of = r.u64("the as-of time")? as i64;
        let offset_minutes = r.u16("the UTC offset")? as i16;
        let country = r.array("the country")?;
        let cuisine_map = r.u64("the cuisine map")?;
        let evidence = f32::from_bits(r.u32("the evidence of the shares")?);
        r.take("the header", HEADER_BYTES - r.at)?;

        let n_merchants = r.limit("merchants", n_merchants, MAX_MERCHANTS)?;
        let layer_len = r.limit("bytes of layer path", usize::from(layer_len), MAX_LAYER)?;
        let n_intervals = r.limit("intervals", n_intervals, MAX_BYTES / INTERVAL_BYTES)?;
        let n_offers = r.limit("offers", n_offers, MAX_BYTES / OFFER_BYTES)?;

        let layer = r.take("the layer", layer_len)?;
        let transitions_at = r.at;
        r.take("the transitions", n_transitions * TRANSITION_BYTES)?;
        let merchants_at = r.at;
        r.take("the merchants", n_merchants * MERCHANT_BYTES)?;
        let schedules_at = r.at;
        r.take("the schedules", n_schedules * SCHEDULE_BYTES)?;
        let exceptions_at = r.at;
        r.take("the exceptions", n_exceptions * EXCEPTION_BYTES)?;
        let intervals_at = r.at;
        r.take("the intervals", n_intervals * INTERVAL_BYTES)?;
        let offers_at = r.at;
        r.take("the offers", n_offers * OFFER_BYTES)?;
        let shares_at = r.at;
        // Any bits of zero are none, so that a bundle from before there were shares is read as it is.
        r.take("the shares", if evidence == 0.0 { 0 } else { n_merchants * SHARE_BYTES })?;
        r.end()?;
        r.at = CHECKSUM_AT;
        r.checksum()?;

        let value = |what, at, found, expected| DecodeError::Value { part: PART, what, at, found, expected };
        let layer = core::str::from_utf8(layer).map_err(|_| value("layer", 0, layer_len as i64, "UTF-8"))?.into();
        let cell = Cell::new(cell).ok_or(value("cell", 0, cell as i64, "an H3 cell at resolution 7"))?;
        let hash = Hash::of(&bytes);
        let bundle = Self {
            bytes,
            cell,
            as_of,
            country,
            cuisine_map,
            hash,
            offset_minutes,
            layer,
            n_merchants,
            n_transitions,
            n_schedules,
            n_exceptions,
            n_intervals,
            n_offers,
            transitions_at,
            merchants_at,
            schedules_at,
            exceptions_at,
            intervals_at,
            offers_at,
            shares_at,
            evidence,
        };
        bundle.check_references()?;
        Ok(bundle)
    }

    /// A writer that got the checksum right can still be wrong about the rest.
    fn check_references(&self) -> Result<(), DecodeError> {
        let value = |what, at, found, expected| DecodeError::Value { part: PART, what, at, found, expected };
        let offsets = (0..self.n_transitions).map(|i| self.u16(self.transitions_at + i * TRANSITION_BYTES + 8) as i16);
        for (i, minutes) in [self.offset_minutes].into_iter().chain(offsets).enumerate() {
            if !(-MAX_OFFSET_MINUTES..=MAX_OFFSET_MINUTES).contains(&minutes) {
                return Err(value("UTC offset", i, i64::from(minutes), "at most 18 hours"));
            }
        }
        if !(self.evidence.is_finite() && self.evidence >= 0.0) {
            return Err(value(
                "evidence of the shares",
                0,
                i64::from(self.evidence.to_bits()),
                "a finite number, at least 0",
            ));
        }
        let mut last = None;
        for i in 0..self.n_merchants {
            let start = self.merchants_at + i * MERCHANT_BYTES;
            let id = u64::from_le_bytes(at(&self.bytes, start));
            if last.is_some_and(|last| last >= id) {
                return Err(value("merchant id", i, id as i64, "ascending ids, each once"));
            }
            last = Some(id);
            let (lat, lon) = (self.i32(start + 12), self.i32(start + 16));
            if position(lat, lon).is_none() {
                return Err(value("position", i, i64::from(lat), "at most 90 degrees north and 180 east"));
            }
            if let Schedule::Known(s) = self.merchant_schedule(start)
                && usize::from(s) >= self.n_schedules
            {
                return Err(value("schedule", i, i64::from(s), "one of the bundle's schedules"));
            }
        }
        for s in 0..self.n_schedules {
            let start = self.schedules_at + s * SCHEDULE_BYTES;
            let (n_weekly, n_exceptions) = (usize::from(self.u16(start + 4)), usize::from(self.u16(start + 8)));
            // Every decision goes through a schedule's entries: a long one would cost each of them time.
            if n_weekly > MAX_WEEKLY || n_exceptions > MAX_EXCEPTIONS {
                return Err(value(
                    "schedule's length",
                    s,
                    (n_weekly + n_exceptions) as i64,
                    "at most 128 openings a week and 1000 exceptions",
                ));
            }
            let weekly = self.u32(start) as usize + n_weekly;
            let exceptions = usize::from(self.u16(start + 6)) + n_exceptions;
            if weekly > self.n_intervals || exceptions > self.n_exceptions {
                return Err(value("schedule's end", s, weekly as i64, "intervals and exceptions of the bundle"));
            }
        }
        for e in 0..self.n_exceptions {
            let start = self.exceptions_at + e * EXCEPTION_BYTES;
            let end = self.u32(start + 2) as usize + usize::from(self.bytes.get(start + 6).copied().unwrap_or(0));
            if end > self.n_intervals {
                return Err(value("exception's end", e, end as i64, "intervals of the bundle"));
            }
        }
        for i in 0..self.n_intervals {
            let (opens, closes) = self.interval(i);
            if opens > closes || closes - opens > MAX_OPENING_MINUTES {
                return Err(value(
                    "interval",
                    i,
                    i64::from(closes),
                    "a closing time at most two days after the opening time",
                ));
            }
        }
        let mut last = 0;
        for o in 0..self.n_offers {
            let merchant = self.offer(o).merchant;
            if merchant as usize >= self.n_merchants || merchant < last {
                return Err(value("offer's merchant", o, i64::from(merchant), "ascending merchants of the bundle"));
            }
            last = merchant;
        }
        Ok(())
    }

    /// How many candidates the area has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.n_merchants
    }

    /// Whether nobody delivers here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n_merchants == 0
    }

    /// The area's place in the campaign's geography, as `fi/helsinki`.
    #[must_use]
    pub fn layer(&self) -> &str {
        &self.layer
    }

    /// All bytes, as decoded.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Minutes that local clocks are ahead of UTC at a time; before `as_of`, as they were then.
    #[must_use]
    pub fn offset_minutes(&self, at_second: i64) -> i16 {
        (0..self.n_transitions)
            .map(|i| self.transitions_at + i * TRANSITION_BYTES)
            .take_while(|&start| i64::from_le_bytes(at(&self.bytes, start)) <= at_second)
            .last()
            .map_or(self.offset_minutes, |start| self.u16(start + 8) as i16)
    }

    /// The wall clock here.
    #[must_use]
    pub fn local(&self, at_second: i64) -> Local {
        Local::new(at_second, self.offset_minutes(at_second))
    }

    /// The scoring columns of merchant `i`.
    #[must_use]
    pub fn merchant(&self, i: usize) -> Merchant {
        let start = self.merchants_at + i * MERCHANT_BYTES;
        let record: [u8; MERCHANT_BYTES] = at(&self.bytes, start);
        let u16_at = |o: usize| u16::from_le_bytes([record[o], record[o + 1]]);
        let known = |byte: u8| (byte != u8::MAX).then_some(byte);
        Merchant {
            id: MerchantId(u64::from_le_bytes(at(&record, 0))),
            chain: ChainId(u32::from_le_bytes(at(&record, 8))),
            position: position(self.i32(start + 12), self.i32(start + 16)).unwrap_or(Point::ORIGIN),
            cuisines: [u16_at(20), u16_at(22), u16_at(24)],
            clusters: [(record[26], record[27]), (record[28], record[29]), (record[30], record[31])],
            log_popularity_cell: f32::from(u16_at(32)) / build::POPULARITY_STEPS,
            log_popularity_city: f32::from(u16_at(34)) / build::POPULARITY_STEPS,
            share: self.share(i),
            price_band: (record[36] != 0).then_some(record[36]),
            rating: known(record[37]).map(|r| f32::from(r) / build::RATING_STEPS),
            log2_rating_count: f32::from(record[38]) / build::COUNT_STEPS,
            reliability: known(record[39]).map(|r| f32::from(r) / build::SHARE_STEPS),
            prep_minutes: known(record[40]),
            quality: known(record[41]).map(|q| f32::from(q) / build::SHARE_STEPS),
            radius_km: known(record[42]).map(|r| f64::from(r) / build::RADIUS_STEPS),
            kind: Kind::from_code(record[43]),
            across_border: record[43] & build::ACROSS_BORDER != 0,
            schedule: self.merchant_schedule(start),
            listed_day: Some(u16_at(46)).filter(|day| *day != 0),
        }
    }

    /// The index of a merchant; they ascend by id.
    #[must_use]
    pub fn find(&self, id: MerchantId) -> Option<usize> {
        let of = |i: usize| u64::from_le_bytes(at(&self.bytes, self.merchants_at + i * MERCHANT_BYTES));
        let (mut low, mut high) = (0, self.n_merchants);
        while low < high {
            let middle = low + (high - low) / 2;
            if of(middle) < id.0 { low = middle + 1 } else { high = middle }
        }
        (low < self.n_merchants && of(low) == id.0).then_some(low)
    }

    /// The hours of a schedule of this bundle.
    #[must_use]
    pub fn hours(&self, schedule: u16) -> Hours<'_> {
        Hours::new(self, usize::from(schedule))
    }

    /// The offers of merchant `i`.
    pub fn offers_of(&self, i: usize) -> impl Iterator<Item = Offer> + '_ {
        let (mut low, mut high) = (0, self.n_offers);
        while low < high {
            let middle = low + (high - low) / 2;
            if (self.offer(middle).merchant as usize) < i { low = middle + 1 } else { high = middle }
        }
        (low..self.n_offers).map(|o| self.offer(o)).take_while(move |offer| offer.merchant as usize == i)
    }

    fn share(&self, i: usize) -> Option<Share> {
        if self.evidence == 0.0 {
            return None;
        }
        let start = self.shares_at + i * SHARE_BYTES;
        let (cell, city) = (self.u16(start), self.u16(start + 2));
        let log = |steps: u16| 0.0 - f32::from(steps) / build::POPULARITY_STEPS;
        (cell != u16::MAX).then(|| Share { log_cell: log(cell), log_city: log(city), evidence: self.evidence })
    }

    fn offer(&self, o: usize) -> Offer {
        let record: [u8; OFFER_BYTES] = at(&self.bytes, self.offers_at + o * OFFER_BYTES);
        Offer {
            id: u32::from_le_bytes(at(&record, 0)),
            merchant: u32::from_le_bytes(at(&record, 4)),
            kind: match record[8] {
                0 => OfferKind::Percent,
                1 => OfferKind::Amount,
                2 => OfferKind::FreeDelivery,
                _ => OfferKind::Other,
            },
            audience: match record[9] {
                0 => Audience::All,
                1 => Audience::New,
                2 => Audience::Member,
                _ => Audience::Unknown,
            },
            value: i32::from_le_bytes(at(&record, 12)),
            starts_minute: u32::from_le_bytes(at(&record, 16)),
            ends_minute: u32::from_le_bytes(at(&record, 20)),
        }
    }

    fn merchant_schedule(&self, start: usize) -> Schedule {
        match self.u16(start + 44) {
            Schedule::UNKNOWN => Schedule::Unknown,
            Schedule::UNTRACKED => Schedule::Untracked,
            s => Schedule::Known(s),
        }
    }

    fn interval(&self, i: usize) -> (u16, u16) {
        let start = self.intervals_at + i * INTERVAL_BYTES;
        (self.u16(start), self.u16(start + 2))
    }

    fn u16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(at(&self.bytes, offset))
    }

    fn u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(at(&self.bytes, offset))
    }

    fn i32(&self, offset: usize) -> i32 {
        i32::from_le_bytes(at(&self.bytes, offset))
    }
}

/// A position stored in ten-millionths of a degree.
fn position(lat: i32, lon: i32) -> Option<Point> {
    Point::new(f64::from(lat) / build::DEGREE_STEPS, f64::from(lon) / build::DEGREE_STEPS)
}
