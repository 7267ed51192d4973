//! What is newer than any bundle or token, as the edge is told of it: what a reader did last, and which merchants are closed.
//!
//! A position is personal: whatever is wrong with an event is said without it.

use crate::areas::{Availability, Closure, MAX_CLOSURES};
use crate::bundle::Bundle;
use crate::context::LastEvent;
use crate::id::{MerchantId, NO_READER, ReaderId};
use crate::request::{MAX_NAME, RequestClosure, RequestError, RequestEvent, at_most, worded};
use crate::sorted::Map;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// How long an event is kept after it happened, seconds: as long as it moves a reader by itself, see [`crate::locate`]. What it still
/// tells later is not worth keeping a position for, and a reader of whom only that they are away is known gets no merchant at all.
pub const EVENT_SECONDS: i64 = 2 * 3600;
/// How far a sender's clock may be ahead, seconds.
const AHEAD_SECONDS: i64 = 300;
/// Bytes of an event's kind.
const MAX_KIND: usize = 32;

/// Something a reader did, as a sender's backend tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct EventRequest {
    /// 16 hexadecimal digits, HMAC(secret, `user_id`).
    pub reader: String,
    /// `trip_end`, `app_open`, `order`, ...; at most 32 small letters, digits and _.
    pub kind: String,
    /// RFC 3339.
    pub at: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Whether the reader consented to personal messages. Without it nothing is kept; it is not guessed.
    pub consent: bool,
}

/// An event after everything in it was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Whose.
    pub reader: ReaderId,
    /// As told; a time a little ahead is now.
    pub told: RequestEvent,
    /// Seconds since 1970.
    pub at: i64,
    /// Whether it may be kept.
    pub consent: bool,
}

impl Event {
    /// Reads an event; `now` is in seconds since 1970.
    ///
    /// # Errors
    /// Names the field and what was expected.
    pub fn parse(json: &[u8], now: i64) -> Result<Self, RequestError> {
        let request: EventRequest = serde_json::from_slice(json).map_err(|error| RequestError::Json(worded(&error)))?;
        let wrong = |field, problem: &str| RequestError::Value { field, problem: problem.to_string() };
        let reader = ReaderId::parse(&request.reader).ok_or_else(|| wrong("reader", NO_READER))?;
        let named = |kind: &str| kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !(1..=MAX_KIND).contains(&request.kind.len()) || !named(&request.kind) {
            let problem = format!("expected 1 to {MAX_KIND} small letters, digits and _, as trip_end");
            return Err(RequestError::Value { field: "kind", problem });
        }
        let EventRequest { kind, at, latitude, longitude, consent, .. } = request;
        let told = RequestEvent { kind, latitude, longitude, at };
        let at = told.check(["latitude", "at"])?.at;
        if at > now + AHEAD_SECONDS {
            let problem = format!("{} seconds ahead of this clock, at most {AHEAD_SECONDS} are believed", at - now);
            return Err(RequestError::Value { field: "at", problem });
        }
        let at = if at < now { at } else { now };
        Ok(Self { reader, told: RequestEvent { at: crate::time::format(at), ..told }, at, consent })
    }

    /// Whether it is too old to be kept.
    #[must_use]
    pub fn is_stale(&self, now: i64) -> bool {
        is_stale(self.at, now)
    }
}

/// Whether an event of that time is to be deleted.
#[must_use]
pub fn is_stale(at: i64, now: i64) -> bool {
    now.saturating_sub(at) >= EVENT_SECONDS
}

/// What is known of a reader beside their token.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Known {
    /// They are to be treated as if they had never consented, whatever a token says.
    pub suppressed: bool,
    /// Not yet stale.
    pub last_event: Option<LastEvent>,
}

/// Merchants that are closed from now on, and such that are not any more.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct AvailabilityRequest {
    /// Each stands in place of what was said of its merchant before.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<_, _, MAX_CLOSURES>")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<_>"))]
    pub closures: Vec<RequestClosure>,
    /// `merchant_id`s of whom nothing is said any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<_, _, MAX_CLOSURES>")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<_>"))]
    pub available: Vec<String>,
}

impl AvailabilityRequest {
    /// Reads a request and checks everything in it.
    ///
    /// # Errors
    /// Names the field, what was found and what was expected.
    pub fn parse(json: &[u8]) -> Result<Self, RequestError> {
        let request: Self = serde_json::from_slice(json).map_err(|error| RequestError::Json(worded(&error)))?;
        let ids = request.closures.iter().map(|entry| &entry.merchant_id).chain(&request.available);
        if let Some(found) = ids.map(String::len).find(|found| !(1..=MAX_NAME).contains(found)) {
            let problem = format!("found {found} bytes, expected a merchant_id of 1 to {MAX_NAME}");
            return Err(RequestError::Value { field: "merchant_id", problem });
        }
        for entry in &request.closures {
            let until = entry.check()?.until;
            if entry.closure == Closure::ClosedToday && until.is_none() {
                let problem = "closed_today needs it: the day ends where the merchant is".to_string();
                return Err(RequestError::Value { field: "closures.until", problem });
            }
            if let Some(id) = request.available.iter().find(|id| **id == entry.merchant_id) {
                let id = MerchantId::of(id);
                let problem = format!("merchant {id} is both closed and available");
                return Err(RequestError::Value { field: "available", problem });
            }
        }
        Ok(request)
    }
}

/// All merchants that are closed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Overlay(Map<MerchantId, Availability>);

/// Bytes of one entry: merchant, closure, until.
const ENTRY: usize = 8 + 1 + 8;

impl FromIterator<Availability> for Overlay {
    /// Of one merchant the last one counts.
    fn from_iter<I: IntoIterator<Item = Availability>>(entries: I) -> Self {
        Self(entries.into_iter().map(|entry| (entry.merchant, entry)).collect())
    }
}

impl Overlay {
    /// Those among these merchants, which come ascending: a decision sorts its overlay, and most of a country's is not its.
    pub fn among(&self, merchants: impl Iterator<Item = MerchantId>) -> Vec<Availability> {
        if self.0.is_empty() {
            return Vec::new();
        }
        merchants.filter_map(|id| self.0.get(&id).copied()).collect()
    }

    /// Those of an area's merchants.
    #[must_use]
    pub fn within(&self, area: &Bundle) -> Vec<Availability> {
        self.among((0..area.len()).map(|index| area.merchant(index).id))
    }

    /// 17 bytes each, little-endian: merchant; 0, 1 or 2 as [`Closure`]s are ordered; until, or the largest number.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * ENTRY);
        for entry in self.0.values() {
            bytes.extend(entry.merchant.0.to_le_bytes());
            bytes.push(entry.closure as u8);
            bytes.extend(entry.until.unwrap_or(i64::MAX).to_le_bytes());
        }
        bytes
    }

    /// Reads what [`Overlay::encode`] wrote; `None` where that cannot be.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if !bytes.len().is_multiple_of(ENTRY) || bytes.len() > MAX_CLOSURES * ENTRY {
            return None;
        }
        let entry = |bytes: &[u8]| {
            let merchant = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
            let closure = Closure::of(*bytes.get(8)?)?;
            let until = i64::from_le_bytes(bytes.get(9..)?.try_into().ok()?);
            Some(Availability { merchant: MerchantId(merchant), closure, until: (until != i64::MAX).then_some(until) })
        };
        bytes.chunks_exact(ENTRY).map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use serde_json::{Value, json};

    /// Friday, 20 November 2026, 12:00 in Helsinki.
    const NOW: i64 = 1_795_168_800;

    fn told() -> Value {
        json!({ "reader": "5bdcc146bf60754e", "kind": "trip_end", "at": "2026-11-20T11:30:00+02:00",
            "latitude": 60.1699, "longitude": 24.9384, "consent": true })
    }

    fn parse(value: &Value) -> Result<Event, String> {
        Event::parse(value.to_string().as_bytes(), NOW).map_err(|error| error.to_string())
    }

    #[test]
    fn an_event_is_read_and_its_time_is_utc() {
        let event = parse(&told()).unwrap();
        assert_eq!((event.reader.to_string().as_str(), event.at), ("5bdcc146bf60754e", NOW - 1800));
        assert_eq!(event.told.at, "2026-11-20T09:30:00Z");
        assert!(!event.is_stale(NOW) && event.is_stale(NOW - 1800 + EVENT_SECONDS));
        let mut ahead = told();
        ahead["at"] = "2026-11-20T12:04:59+02:00".into();
        assert_eq!(parse(&ahead).unwrap().at, NOW, "clocks differ a little");
    }

    #[test]
    fn whatever_is_wrong_is_said_without_the_reader_and_without_the_position() {
        let planted =
            [json!("anna@example.com"), json!(1199.1234), json!(-60.169_912), json!("60.169912"), Value::Null];
        for key in ["reader", "kind", "at", "latitude", "longitude", "consent", "user_id"] {
            for value in &planted {
                let mut event = told();
                event[key] = value.clone();
                if let Err(error) = parse(&event) {
                    for secret in ["anna", "1199", "60.16", "24.93"] {
                        assert!(!error.contains(secret), "{key} = {value}: {error}");
                    }
                }
            }
        }
        let mut event = told();
        event.as_object_mut().unwrap().remove("consent");
        assert!(parse(&event).unwrap_err().contains("missing field `consent`"));
        let mut event = told();
        event["at"] = "2026-11-21T12:00:00+02:00".into();
        assert_eq!(
            parse(&event).unwrap_err(),
            "request at: 86400 seconds ahead of this clock, at most 300 are believed"
        );
    }

    #[test]
    fn an_overlay_is_found_by_merchant_and_comes_back_from_its_bytes() {
        let entry = |id: &str, closure, until| Availability { merchant: MerchantId::of(id), closure, until };
        let entries = vec![
            entry("a", Closure::Paused, Some(5)),
            entry("b", Closure::ClosedToday, Some(NOW)),
            entry("c", Closure::Removed, None),
        ];
        let overlay: Overlay = entries.into_iter().collect();
        let bytes = overlay.encode();
        assert_eq!(Overlay::decode(&bytes), Some(overlay.clone()));
        let ids = ["a", "c", "d"].map(MerchantId::of);
        assert_eq!(overlay.among(ids.into_iter()).len(), 2);
        let twice: Overlay =
            [entry("a", Closure::Removed, None), entry("a", Closure::Paused, Some(5))].into_iter().collect();
        assert_eq!(twice.among(ids.into_iter()), [entry("a", Closure::Paused, Some(5))], "the last one counts");
        assert_eq!(Overlay::decode(&bytes[1..]), None);
        assert_eq!(Overlay::decode(&[9; ENTRY]), None, "there is no tenth closure");
    }

    #[test]
    fn availability_that_contradicts_itself_is_refused() {
        let parse = |value: Value| {
            let read = AvailabilityRequest::parse(value.to_string().as_bytes());
            read.map_err(|error| error.to_string())
        };
        let paused = json!({ "merchant_id": "forno", "closure": "paused" });
        assert!(parse(json!({ "closures": [paused], "available": ["da-vinci"] })).is_ok());
        assert!(parse(json!({ "closures": [paused], "available": ["forno"] })).unwrap_err().contains("both closed"));
        let today = json!({ "merchant_id": "forno", "closure": "closed_today" });
        assert!(parse(json!({ "closures": [today] })).unwrap_err().contains("closures.until"));
        assert!(parse(json!({ "closures": [{ "merchant_id": "", "closure": "paused" }] })).is_err());
        assert!(parse(json!({ "closed": [] })).is_err());
    }
}
