//! Areas as a case writes them.

use super::Library;
use freshrank::bundle::{
    AreaDraft, Audience, ExceptionDraft, Kind, MerchantDraft, OfferDraft, OfferKind, Schedule, ScheduleDraft, Share,
};
use freshrank::geo::Point;
use freshrank::time::{self, DAY_MINUTES};
use freshrank::{ChainId, Hash, MerchantId};
use serde::Deserialize;
use std::collections::BTreeMap;

/// One area; what is absent comes from the area it is `of`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AreaFile {
    /// Another fixture.
    of: Option<String>,
    /// Degrees north and east.
    centre: Option<[f64; 2]>,
    /// Which area of the city, as kilometres from its centre.
    at: Option<String>,
    country: Option<String>,
    layer: Option<String>,
    as_of: Option<String>,
    offset_minutes: Option<i16>,
    /// From this time on, this many minutes ahead of UTC.
    transitions: Option<Vec<(String, i16)>>,
    cuisine_map: Option<u64>,
    #[serde(default)]
    pub merchants: BTreeMap<String, MerchantFile>,
}

/// Where kilometres are counted from.
#[derive(Debug, Clone, Copy)]
pub struct City {
    centre: [f64; 2],
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MerchantFile {
    /// Kilometres from the city's centre, `0.3 N 1 E`.
    at: String,
    /// `Mo-Fr 10:00-22:00; Sa 18:00-02:00; 2026-12-24 off`, `24/7`, `unknown`, or `untracked`.
    hours: String,
    chain: String,
    cuisines: Vec<u16>,
    /// Cluster and weight out of 255.
    clusters: Vec<(u8, u8)>,
    popularity_cell: f32,
    popularity_city: f32,
    price_band: Option<u8>,
    rating: Option<f32>,
    rating_count: u32,
    reliability: Option<f32>,
    prep_minutes: Option<f32>,
    quality: Option<f32>,
    radius_km: Option<f32>,
    kind: Kind,
    across_border: bool,
    /// A date.
    listed: Option<String>,
    offers: Vec<OfferFile>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferFile {
    id: String,
    /// `percent`, `amount`, `free_delivery`, or anything else.
    kind: String,
    #[serde(default)]
    value: i32,
    /// `all`, `new`, `member`, or anything else.
    #[serde(default = "all")]
    audience: String,
    starts: Option<String>,
    ends: Option<String>,
}

fn all() -> String {
    "all".into()
}

impl Default for MerchantFile {
    fn default() -> Self {
        Self {
            at: String::new(),
            hours: "24/7".into(),
            chain: String::new(),
            cuisines: Vec::new(),
            clusters: Vec::new(),
            popularity_cell: 0.0,
            popularity_city: 0.0,
            price_band: None,
            rating: None,
            rating_count: 0,
            reliability: None,
            prep_minutes: None,
            quality: None,
            radius_km: None,
            kind: Kind::Restaurant,
            across_border: false,
            listed: None,
            offers: Vec::new(),
        }
    }
}

impl City {
    /// Kilometres north, south, east or west of the centre: `0.3 N 1 E`.
    pub fn point(self, offset: &str) -> Point {
        let [mut latitude, mut longitude] = self.centre;
        let km_per_degree = 6371.0088_f64.to_radians();
        let east = libm::cos(latitude.to_radians()) * km_per_degree;
        let words: Vec<&str> = offset.split_whitespace().collect();
        for pair in words.chunks(2) {
            let [km, direction] = pair else { panic!("{offset:?}: expected kilometres and a direction") };
            let km: f64 = km.parse().unwrap_or_else(|_| panic!("{offset:?}: {km:?} is no number"));
            match *direction {
                "N" => latitude += km / km_per_degree,
                "S" => latitude -= km / km_per_degree,
                "E" => longitude += km / east,
                "W" => longitude -= km / east,
                other => panic!("{offset:?}: {other:?} is no direction"),
            }
        }
        // Past the date line it goes on from the other side.
        let longitude = longitude - 360.0 * libm::round(longitude / 360.0);
        Point::new(latitude, longitude).unwrap_or_else(|| panic!("{offset:?} leaves the map"))
    }
}

impl AreaFile {
    /// As a case that only names it would write it.
    pub fn named(self, name: &str) -> Self {
        Self { of: Some(name.into()), ..Self::default() }
    }

    /// Takes what is absent from the area it is `of`.
    pub fn resolve(&self, library: &Library) -> Self {
        let Some(of) = &self.of else { return self.clone() };
        let base = library.fixture::<Self>(of).resolve(library);
        let mut merchants = base.merchants;
        merchants.extend(self.merchants.clone());
        Self {
            of: None,
            centre: self.centre.or(base.centre),
            at: self.at.clone().or(base.at),
            country: self.country.clone().or(base.country),
            layer: self.layer.clone().or(base.layer),
            as_of: self.as_of.clone().or(base.as_of),
            offset_minutes: self.offset_minutes.or(base.offset_minutes),
            transitions: self.transitions.clone().or(base.transitions),
            cuisine_map: self.cuisine_map.or(base.cuisine_map),
            merchants,
        }
    }

    /// Where it is.
    pub fn city(&self) -> City {
        City { centre: self.centre.expect("an area has a centre") }
    }

    /// What the offline half would write.
    pub fn draft(&self) -> AreaDraft {
        let city = self.city();
        let mut hours: BTreeMap<ScheduleDraft, u16> = BTreeMap::new();
        let mut schedules = Vec::new();
        let mut merchants = Vec::new();
        let mut offers = Vec::new();
        for (name, file) in &self.merchants {
            let schedule = match file.hours.as_str() {
                "unknown" => Schedule::Unknown,
                "untracked" => Schedule::Untracked,
                text => {
                    let draft = parse_hours(text);
                    let next = schedules.len() as u16;
                    let index = *hours.entry(draft.clone()).or_insert(next);
                    if index == next {
                        schedules.push(draft);
                    }
                    Schedule::Known(index)
                }
            };
            let id = MerchantId::of(name);
            merchants.push(MerchantDraft {
                chain: if file.chain.is_empty() { ChainId::NONE } else { ChainId::of(&file.chain) },
                cuisines: file.cuisines.clone(),
                clusters: file.clusters.clone(),
                log_popularity_cell: file.popularity_cell,
                log_popularity_city: file.popularity_city,
                // As if every merchant's share stood to its orders alike.
                share: Some(Share {
                    log_cell: file.popularity_cell - 10.0,
                    log_city: file.popularity_city - 12.0,
                    evidence: 60.0,
                }),
                price_band: file.price_band,
                rating: file.rating,
                rating_count: file.rating_count,
                reliability: file.reliability,
                prep_minutes: file.prep_minutes,
                quality: file.quality,
                radius_km: file.radius_km,
                kind: file.kind,
                across_border: file.across_border,
                schedule,
                listed_day: file.listed.as_deref().map(day),
                ..MerchantDraft::new(id, city.point(&file.at))
            });
            offers.extend(file.offers.iter().map(|offer| offer.draft(id)));
        }
        let transitions = self.transitions.iter().flatten();
        AreaDraft {
            cell: city.point(self.at.as_deref().unwrap_or_default()).cell(),
            as_of: instant(self.as_of.as_deref().unwrap_or("2026-11-01T00:00:00Z")),
            country: self.country.as_deref().unwrap_or("FI").as_bytes().try_into().expect("a country has two letters"),
            layer: self.layer.clone().unwrap_or_default(),
            cuisine_map: self.cuisine_map.unwrap_or(7),
            offset_minutes: self.offset_minutes.unwrap_or(0),
            transitions: transitions.map(|(at, minutes)| (instant(at), *minutes)).collect(),
            merchants,
            schedules,
            offers,
        }
    }
}

impl OfferFile {
    fn draft(&self, merchant: MerchantId) -> OfferDraft {
        let minute = |text: &Option<String>, absent| text.as_deref().map_or(absent, |at| (instant(at) / 60) as u32);
        OfferDraft {
            id: Hash::of(self.id.as_bytes()).short() as u32,
            merchant,
            kind: match self.kind.as_str() {
                "percent" => OfferKind::Percent,
                "amount" => OfferKind::Amount,
                "free_delivery" => OfferKind::FreeDelivery,
                _ => OfferKind::Other,
            },
            audience: match self.audience.as_str() {
                "all" => Audience::All,
                "new" => Audience::New,
                "member" => Audience::Member,
                _ => Audience::Unknown,
            },
            value: self.value,
            starts_minute: minute(&self.starts, 0),
            ends_minute: minute(&self.ends, u32::MAX),
        }
    }
}

/// Seconds since 1970.
pub fn instant(text: &str) -> i64 {
    time::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Days since 1970.
fn day(date: &str) -> u16 {
    (instant(&format!("{date}T00:00:00Z")) / 86_400) as u16
}

const WEEKDAYS: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];

/// `Mo-Fr 10:00-22:00; Sa 18:00-02:00; 2026-12-24 off; 2026-12-25 PH 12:00-15:00`, or `24/7`.
fn parse_hours(text: &str) -> ScheduleDraft {
    let mut draft = ScheduleDraft::default();
    for rule in text.split(';').map(str::trim) {
        if rule == "24/7" {
            draft.weekly.extend((0..7).map(|day| (day * DAY_MINUTES as u16, (day + 1) * DAY_MINUTES as u16)));
            continue;
        }
        let (days, times) = rule.split_once(' ').unwrap_or_else(|| panic!("{rule:?}: expected days, then times"));
        let (holiday, times) = times.strip_prefix("PH ").map_or((false, times), |times| (true, times));
        let open: Vec<(u16, u16)> = if times == "off" { Vec::new() } else { times.split(',').map(span).collect() };
        if days.starts_with(char::is_numeric) {
            draft.exceptions.push(ExceptionDraft { day: day(days), open, holiday });
            continue;
        }
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        let index = |day: &str| {
            WEEKDAYS.iter().position(|known| *known == day).unwrap_or_else(|| panic!("{day:?} is no weekday"))
        };
        for weekday in index(first)..=index(last) {
            let midnight = weekday as u16 * DAY_MINUTES as u16;
            draft.weekly.extend(open.iter().map(|(opens, closes)| (midnight + opens, midnight + closes)));
        }
    }
    draft.weekly.sort_unstable();
    draft.exceptions.sort_unstable();
    draft
}

/// `18:00-02:00`: a closing time before the opening time is the next day's.
fn span(text: &str) -> (u16, u16) {
    let minute = |text: &str| -> Option<u16> {
        let (hour, minute) = text.trim().split_once(':')?;
        Some(hour.parse::<u16>().ok()? * 60 + minute.parse::<u16>().ok()?)
    };
    let read = || {
        let (opens, closes) = text.split_once('-')?;
        Some((minute(opens)?, minute(closes)?))
    };
    let (opens, closes) = read().unwrap_or_else(|| panic!("{text:?}: expected as 18:00-02:00"));
    (opens, if closes <= opens { closes + DAY_MINUTES as u16 } else { closes })
}
