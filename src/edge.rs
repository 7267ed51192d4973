//! What an edge says of a request's origin, read as hints: none of it is needed, any of it may be missing or wrong.
//!
//! Cloudflare's `cf` object is read raw. Its fields are null, empty, absent or of another type in ways that its typed readers do
//! not expect, and whatever is not understood here is simply not known.

use crate::geo::Point;
use alloc::string::{String, ToString};
use serde_json::Value;

/// Characters of a name that are kept: the longest city has fewer.
const MAX_CHARS: usize = 100;

/// Where a request seems to come from. Judged in memory and never kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hints {
    /// ISO 3166-1 alpha-2, in capitals; absent for Tor (`T1`) and for unknown (`XX`), too.
    pub country: Option<String>,
    /// ISO 3166-2 without the country, as `TX`.
    pub region_code: Option<String>,
    /// As the edge calls it.
    pub city: Option<String>,
    /// Where its address is thought to be; absent unless both coordinates are.
    pub point: Option<Point>,
    /// The network's number.
    pub asn: Option<u32>,
    /// The network's name.
    pub organisation: Option<String>,
    /// IANA name, as `Europe/Helsinki`.
    pub timezone: Option<String>,
}

impl Hints {
    /// Reads a `cf` object; what it does not say, or not well, stays unknown.
    #[must_use]
    pub fn of(cf: &Value) -> Self {
        let text = |key: &str| text(cf.get(key)?);
        let degrees = |key: &str| match cf.get(key)? {
            Value::Number(number) => number.as_f64(),
            // As JSON, whose numbers every module reads anyway: std's own reader would come with 10 KB of tables.
            Value::String(text) => serde_json::from_slice(text.as_bytes()).ok(),
            _ => None,
        };
        let asn = match cf.get("asn") {
            Some(Value::Number(number)) => number.as_u64().and_then(|asn| u32::try_from(asn).ok()),
            Some(Value::String(text)) => number(text),
            _ => None,
        };
        let code = |code: &String| code.len() == 2 && code.bytes().all(|b| b.is_ascii_alphabetic());
        let country = text("country").filter(code).map(|code| code.to_ascii_uppercase());
        let region = |code: &String| code.len() <= 3 && code.bytes().all(|b| b.is_ascii_alphanumeric());
        // Both zero is where positions go that nobody knows.
        let point = match (degrees("latitude"), degrees("longitude")) {
            (Some(latitude), Some(longitude)) if (latitude, longitude) != (0.0, 0.0) => Point::new(latitude, longitude),
            _ => None,
        };
        Self {
            country: country.filter(|code| code != "XX"),
            region_code: text("regionCode").filter(region).map(|code| code.to_ascii_uppercase()),
            city: text("city"),
            point,
            asn: asn.filter(|asn| *asn != 0),
            organisation: text("asOrganization"),
            timezone: text("timezone").filter(|name| name.bytes().all(|b| b.is_ascii_graphic())),
        }
    }
}

/// `13335` or `AS13335`.
fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    text.strip_prefix("AS").unwrap_or(text).parse().ok()
}

fn text(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    let printable = !text.is_empty() && !text.chars().any(char::is_control);
    (printable && text.chars().count() <= MAX_CHARS).then(|| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use serde_json::json;

    fn whole() -> Value {
        json!({
            "asn": 1759, "asOrganization": "Telia Finland Oyj", "country": "FI", "regionCode": "18", "city": "Helsinki",
            "latitude": "60.17190", "longitude": "24.93470", "timezone": "Europe/Helsinki",
            "colo": "HEL", "httpProtocol": "HTTP/3", "tlsVersion": "TLSv1.3",
        })
    }

    #[test]
    fn a_whole_object_is_read() {
        let known = |text: &str| Some(text.to_string());
        let expected = Hints {
            country: known("FI"),
            region_code: known("18"),
            city: known("Helsinki"),
            point: Point::new(60.1719, 24.9347),
            asn: Some(1759),
            organisation: known("Telia Finland Oyj"),
            timezone: known("Europe/Helsinki"),
        };
        assert_eq!(Hints::of(&whole()), expected);
    }

    #[test]
    fn every_field_may_be_anything_and_the_others_stay() {
        let anything = vec![
            Value::Null,
            json!(""),
            json!("  "),
            json!(0),
            json!(-1),
            json!(1e300),
            json!(true),
            json!([]),
            json!({}),
            json!("\u{0}"),
            json!("NaN"),
            json!("inf"),
            json!("91"),
            json!("x".repeat(1 << 16)),
            json!("Zürich\n"),
        ];
        let whole = whole();
        for key in whole.as_object().unwrap().keys() {
            for value in &anything {
                let mut cf = whole.clone();
                cf[key] = value.clone();
                let found = Hints::of(&cf);
                let mut absent = whole.clone();
                absent.as_object_mut().unwrap().remove(key);
                let without = Hints::of(&absent);
                // Either it is as if the field were not there, or the field alone has another value.
                let fields = |hints: Hints| {
                    let Hints { country, region_code, city, point, asn, organisation, timezone } = hints;
                    let point = point.map(|point| alloc::format!("{point:?}"));
                    [country, region_code, city, point, asn.map(|asn| asn.to_string()), organisation, timezone]
                };
                let (found, without) = (fields(found), fields(without));
                let differing = found.iter().zip(&without).filter(|(a, b)| a != b).count();
                assert!(differing <= 1, "{key} = {value:.20}: {found:?}");
            }
        }
        for nothing in anything {
            assert_eq!(Hints::of(&nothing), Hints::default(), "{nothing:.20}");
        }
    }

    #[test]
    fn places_that_are_none_are_none() {
        let of = |key: &str, value: Value| {
            let mut cf = whole();
            cf[key] = value;
            Hints::of(&cf)
        };
        assert_eq!(of("country", json!("T1")).country, None, "Tor");
        assert_eq!(of("country", json!("XX")).country, None, "unknown");
        assert_eq!(of("country", json!("fi")).country, Some("FI".to_string()));
        assert_eq!(of("latitude", json!(null)).point, None);
        assert_eq!(of("latitude", json!(60.5)).point, Point::new(60.5, 24.9347), "numbers are taken, too");
        assert_eq!(of("asn", json!("AS15169")).asn, Some(15169));
        let mut nowhere = whole();
        (nowhere["latitude"], nowhere["longitude"]) = (json!("0"), json!("0.0"));
        assert_eq!(Hints::of(&nowhere).point, None);
    }
}
