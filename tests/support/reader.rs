//! Readers and opens as a case writes them.

use super::area::instant;
use super::{Library, point};
use freshrank::context::{Grade, Mailbox};
use freshrank::profile::{KnownMerchant, LikelyPlace, Profile, Taste};
use freshrank::request::{RequestContext, RequestEvent, Shown};
use freshrank::time;
use freshrank::{ChainId, MerchantId};
use serde::Deserialize;

/// One reader.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProfileFile {
    as_of: String,
    member: bool,
    consent: bool,
    offset_minutes: i16,
    market: String,
    cuisine_map: u32,
    lifelong: Vec<f32>,
    recent: Vec<f32>,
    raw_lifelong: Vec<(u16, f32)>,
    raw_recent: Vec<(u16, f32)>,
    pub places: Vec<PlaceFile>,
    new_place_rate: f32,
    merchants: Vec<KnownFile>,
    n_orders: u16,
    basket_band: Option<f32>,
    open_rate: Option<f32>,
    click_rate: Option<f32>,
    daypart_share: [f32; 4],
    last_order_days: Option<u8>,
}

impl Default for ProfileFile {
    fn default() -> Self {
        Self {
            as_of: "2026-11-01T00:00:00Z".into(),
            member: false,
            consent: true,
            offset_minutes: 120,
            market: "fi/helsinki".into(),
            cuisine_map: 7,
            lifelong: Vec::new(),
            recent: Vec::new(),
            raw_lifelong: Vec::new(),
            raw_recent: Vec::new(),
            places: Vec::new(),
            new_place_rate: 0.1,
            merchants: Vec::new(),
            n_orders: 0,
            basket_band: None,
            open_rate: None,
            click_rate: None,
            daypart_share: [0.0; 4],
            last_order_days: None,
        }
    }
}

/// `{ name = "home", at = "helsinki 1 N", share = 0.7 }`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceFile {
    pub name: String,
    at: String,
    share: Share,
}

/// The same all day, or morning, midday, evening, night.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Share {
    Day(f32),
    Dayparts([f32; 4]),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownFile {
    name: String,
    #[serde(default)]
    chain: String,
    count: f32,
    days: u8,
}

impl ProfileFile {
    /// What the offline half would write.
    pub fn profile(&self, library: &Library) -> Profile {
        Profile {
            reader: 1,
            as_of_minute: (instant(&self.as_of) / 60) as u32,
            consent: self.consent,
            member: self.member,
            offset_minutes: self.offset_minutes,
            market: self.market.clone(),
            cuisine_map: self.cuisine_map,
            lifelong: Taste { clusters: self.lifelong.clone(), raw: self.raw_lifelong.clone() },
            recent: Taste { clusters: self.recent.clone(), raw: self.raw_recent.clone() },
            places: self
                .places
                .iter()
                .map(|place| LikelyPlace {
                    point: point(library, &place.at),
                    probability: match place.share {
                        Share::Day(share) => [share; 4],
                        Share::Dayparts(shares) => shares,
                    },
                })
                .collect(),
            new_place_rate: self.new_place_rate,
            merchants: self
                .merchants
                .iter()
                .map(|known| KnownMerchant {
                    id: MerchantId::of(&known.name).short(),
                    chain: if known.chain.is_empty() { 0 } else { ChainId::of(&known.chain).short() },
                    count: known.count,
                    days: known.days,
                })
                .collect(),
            n_orders: self.n_orders,
            tenure_days: 300,
            basket_band: self.basket_band,
            open_rate: self.open_rate,
            click_rate: self.click_rate,
            daypart_share: self.daypart_share,
            last_order_days: self.last_order_days,
        }
    }
}

/// One open: its time, and at most one of the four grades of evidence with a place.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextFile {
    at: String,
    exact: Option<String>,
    network: Option<String>,
    coarse: Option<String>,
    none: Option<String>,
    event: Option<EventFile>,
    #[serde(default)]
    mailbox: Mailbox,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    elsewhere: Vec<String>,
    #[serde(default)]
    recent: Vec<Vec<String>>,
}

/// `{ kind = "trip_end", place = "helsinki 3 E", minutes_ago = 20 }`; below zero it lies in the future.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventFile {
    kind: String,
    place: String,
    minutes_ago: i64,
}

impl ContextFile {
    /// The same as a request tells it.
    pub fn request(&self, library: &Library) -> RequestContext {
        let graded = [
            (&self.exact, Grade::Exact),
            (&self.network, Grade::Network),
            (&self.coarse, Grade::Coarse),
            (&self.none, Grade::None),
        ];
        let fix = graded.into_iter().find_map(|(place, grade)| Some((point(library, place.as_deref()?), grade)));
        RequestContext {
            at: Some(self.at.clone()),
            latitude: fix.map(|(point, _)| point.latitude()),
            longitude: fix.map(|(point, _)| point.longitude()),
            grade: fix.map(|(_, grade)| grade).unwrap_or_default(),
            last_event: self.event.as_ref().map(|event| {
                let place = point(library, &event.place);
                RequestEvent {
                    kind: event.kind.clone(),
                    latitude: place.latitude(),
                    longitude: place.longitude(),
                    at: time::format(instant(&self.at) - 60 * event.minutes_ago),
                }
            }),
            mailbox: self.mailbox,
            seed: self.seed,
            elsewhere: self.elsewhere.clone(),
            recent: self.recent.iter().cloned().map(Shown).collect(),
        }
    }
}
