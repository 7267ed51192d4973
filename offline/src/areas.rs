//! Area bundles: one for every H3 cell that anyone delivers to.
//!
//! What time does not change about a merchant is worked out once, in [`Catalog`]; what it does (popularity, who is
//! listed, which ratings were known, offers) goes in as of a moment. Live builds and training rows use the same
//! catalog, so that a row sees exactly what a bundle of its own time would have held.

use crate::cuisines::CuisineMap;
use crate::hours::{self, HoursError};
use crate::tables::{self, Merchant, Offer, Order, Place, Tables, Timestamp};
use freshrank::bundle::{
    AreaDraft, Audience, Bundle, Card, Display, ExceptionDraft, Kind, MerchantDraft, OfferDraft, OfferKind, Schedule,
    ScheduleDraft, Share,
};
use freshrank::geo::{AREA_RESOLUTION, Cell, Point};
use freshrank::time::{Local, days_from_civil};
use freshrank::wire::DecodeError;
use freshrank::{ChainId, Hash, MerchantId};
use h3o::{CellIndex, LatLng};
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use thiserror::Error;

mod popularity;
pub mod tune;

pub(crate) use popularity::orders_before;
pub use popularity::{Counts, Delivery, Level, N_LEVELS, Popularity, Shares, Shrinkage, nearness, shrunken};

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Days a bundle's dated hours and offers reach beyond its time; mail sent today is opened this late.
const LIFE_DAYS: i64 = 7;
/// The widest radius a bundle can hold, kilometres.
const WIDEST_KM: f64 = 25.4;
/// Changes of the clocks that a bundle carries.
const TRANSITIONS: usize = 4;

/// How to build areas.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildOptions {
    /// The layer path of the cells in its country, `fi/helsinki`; cells of other countries get their country alone.
    pub market: Option<String>,
    /// How far a merchant delivers that tells no radius, kilometres.
    pub radius_km: f64,
    /// Half-life of an order in popularity, days.
    pub half_life_days: f64,
    /// How far shares of orders are shrunken.
    pub shrinkage: Shrinkage,
    /// Take ratings without a date, which may be later than the build's time.
    pub allow_snapshot: bool,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            market: None,
            radius_km: 3.0,
            half_life_days: 30.0,
            shrinkage: Shrinkage::default(),
            allow_snapshot: false,
        }
    }
}

/// Why areas cannot be built.
#[derive(Debug, Error)]
pub enum AreaError {
    /// More than the format holds.
    #[error("area {cell}: {source}")]
    Format {
        /// Which.
        cell: Cell,
        /// What is too large.
        source: DecodeError,
    },
    /// No order to learn from.
    #[error(
        "found no completed order to hold out, expected at least one to a known place, by a merchant that delivers there"
    )]
    NothingHeldOut,
    /// A time zone that the database lacks.
    #[error(transparent)]
    Hours(#[from] HoursError),
    /// The output.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// One area, ready to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Area {
    /// Which.
    pub cell: Cell,
    /// The scoring columns.
    pub bundle: Vec<u8>,
    /// What a reader sees.
    pub display: Vec<u8>,
}

/// All areas of the tables.
#[derive(Debug, Clone)]
pub struct Built {
    /// Ascending by cell.
    pub areas: Vec<Area>,
    /// What was and was not used.
    pub report: BuildReport,
}

/// What was and was not used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BuildReport {
    /// Said in every output when present.
    pub simulated: Option<String>,
    /// Seconds since 1970: nothing later is in the bundles.
    pub as_of: Timestamp,
    /// Cells that anyone delivers to.
    pub areas: usize,
    /// Merchants of the table.
    pub merchants: usize,
    /// Of them, those that are listed at some time of the bundles' life.
    pub listed: usize,
    /// Merchants whose hours are known.
    pub with_hours: usize,
    /// Merchants that tell no hours.
    pub without_hours: usize,
    /// Merchants whose hours could not be read, by id, with the reason.
    pub unreadable_hours: BTreeMap<String, String>,
    /// Merchants whose rating was left out because nobody says when it was observed.
    pub undated_ratings: usize,
    /// Merchants whose rating was left out because it is later.
    pub later_ratings: usize,
    /// Completed orders that count in popularity.
    pub orders: usize,
    /// Completed orders before that time, to no known place or from no known merchant.
    pub unplaced_orders: usize,
    /// Offers that hold at some time of the bundles' life.
    pub offers: usize,
    /// Bytes of all bundles, without display blocks.
    pub bundle_bytes: usize,
}

/// A merchant, as far as time does not change it.
struct Fixed<'t> {
    row: &'t Merchant,
    draft: MerchantDraft,
    country: Option<[u8; 2]>,
    offers: Vec<(&'t Offer, OfferDraft)>,
}

/// A cell, as far as time does not change it.
struct Ground {
    /// Rows of the merchants that deliver here.
    merchants: Vec<u32>,
    country: [u8; 2],
    layer: String,
    zone: &'static str,
}

/// What is the same at any time: merchants, who delivers where, and how hours read.
pub struct Catalog<'t> {
    merchants: Vec<Fixed<'t>>,
    index: HashMap<&'t str, u32>,
    ids: HashMap<MerchantId, u32>,
    schedules: Vec<Option<hours::Schedule>>,
    unreadable: BTreeMap<String, String>,
    tracked: bool,
    grounds: BTreeMap<Cell, Ground>,
    places: HashMap<(&'t str, &'t str), &'t Place>,
    cuisine_map: u64,
    options: BuildOptions,
}

/// Hours over a window of dates, by merchant's row; they hold for bundles whose life lies within.
pub struct Doors {
    of: Vec<Option<ScheduleDraft>>,
}

impl<'t> Catalog<'t> {
    /// Works out what does not depend on time.
    ///
    /// Merchants whose coordinates are out of range deliver nowhere; the tables' reader leaves such rows out.
    #[must_use]
    pub fn new(tables: &'t Tables, map: &CuisineMap, options: &BuildOptions) -> Self {
        let index: HashMap<&str, u32> =
            (0..).zip(&tables.merchants).map(|(i, merchant)| (merchant.merchant_id.as_str(), i)).collect();
        let mut merchants: Vec<Fixed<'t>> = tables.merchants.par_iter().map(|row| Fixed::new(row, map)).collect();
        for offer in &tables.offers {
            if let Some(i) = index.get(offer.merchant_id.as_str()) {
                merchants[*i as usize].offers.push((offer, draft_offer(offer)));
            }
        }
        let read: Vec<_> = tables
            .merchants
            .par_iter()
            .map(|row| row.opening_hours.as_deref().map(|text| hours::Schedule::parse(text, row.into())))
            .collect();
        let unreadable = read.iter().zip(&tables.merchants).filter_map(|(read, row)| {
            let why = read.as_ref()?.as_ref().err()?;
            Some((row.merchant_id.clone(), why.to_string()))
        });
        let unreadable = unreadable.collect();
        let schedules: Vec<_> = read.into_iter().map(|read| read.and_then(Result::ok)).collect();
        let places = tables.places.iter().map(|place| ((place.user_id.as_str(), place.place_id.as_str()), place));
        let grounds = grounds(&merchants, options);
        Self {
            ids: (0..).zip(&merchants).map(|(i, merchant)| (merchant.draft.id, i)).collect(),
            tracked: tables.merchants.iter().any(|merchant| merchant.opening_hours.is_some()),
            merchants,
            index,
            schedules,
            unreadable,
            grounds,
            places: places.collect(),
            cuisine_map: map.fingerprint(),
            options: options.clone(),
        }
    }

    /// Every cell that anyone delivers to, ascending.
    pub fn cells(&self) -> impl Iterator<Item = Cell> + '_ {
        self.grounds.keys().copied()
    }

    /// The row of a merchant in the table.
    #[must_use]
    pub fn row(&self, merchant_id: &str) -> Option<u32> {
        self.index.get(merchant_id).copied()
    }

    /// The row of a merchant by its fingerprint.
    #[must_use]
    pub fn row_of(&self, id: MerchantId) -> Option<u32> {
        self.ids.get(&id).copied()
    }

    /// The merchant of a row of the table.
    #[must_use]
    pub fn merchant(&self, row: u32) -> Option<&'t Merchant> {
        self.merchants.get(row as usize).map(|fixed| fixed.row)
    }

    /// The fingerprint of the cuisine map that all clusters are of.
    #[must_use]
    pub fn cuisine_map(&self) -> u64 {
        self.cuisine_map
    }

    /// Where an order went to; its own coordinates before its place's.
    #[must_use]
    pub fn destination(&self, order: &Order) -> Option<Point> {
        let own = order.latitude.zip(order.longitude);
        let named = || {
            let place = self.places.get(&(order.user_id.as_str(), order.place_id.as_deref()?))?;
            Some((place.latitude, place.longitude))
        };
        let (latitude, longitude) = own.or_else(named)?;
        Point::new(latitude, longitude)
    }

    /// Hours for bundles built on these days; first and last are days since 1970, UTC.
    #[must_use]
    pub fn doors(&self, first_day: i64, last_day: i64) -> Doors {
        // A night two days ago may still run, and the last bundle looks a week and a closing time ahead.
        let from = date(first_day - 3);
        let days = (last_day - first_day + LIFE_DAYS + 8).clamp(1, i64::from(hours::MAX_DAYS)) as u16;
        let over =
            |schedule: &Option<hours::Schedule>| Some(draft_schedule(&schedule.as_ref()?.over(from?, days).ok()?));
        Doors { of: self.schedules.par_iter().map(over).collect() }
    }

    /// The area of a cell as of a moment: nothing later is in it. `None` where nobody delivers.
    ///
    /// # Errors
    /// The cell's time zone is not in the database.
    pub fn draft(
        &self,
        cell: Cell,
        as_of: Timestamp,
        popularity: &Popularity,
        doors: &Doors,
    ) -> Result<Option<AreaDraft>, AreaError> {
        let Some(ground) = self.grounds.get(&cell) else {
            return Ok(None);
        };
        let (offset_minutes, transitions) = hours::transitions(ground.zone, as_of, TRANSITIONS)?;
        let mut schedules: BTreeMap<&ScheduleDraft, u16> = BTreeMap::new();
        let mut draft = AreaDraft {
            cell,
            as_of,
            country: ground.country,
            layer: ground.layer.clone(),
            cuisine_map: self.cuisine_map,
            offset_minutes,
            transitions,
            merchants: Vec::with_capacity(ground.merchants.len()),
            schedules: Vec::new(),
            offers: Vec::new(),
        };
        let listed = self.listed(cell, as_of);
        let shares = popularity.shares(cell, &listed, as_of);
        let [city, .., here] = &shares.by_level;
        let [.., evidence] = shares.evidence;
        for ((&i, here), city) in listed.iter().zip(here).zip(city) {
            let fixed = &self.merchants[i as usize];
            let schedule = match doors.of.get(i as usize).and_then(Option::as_ref) {
                _ if !self.tracked => Schedule::Untracked,
                None => Schedule::Unknown,
                Some(schedule) => {
                    let next = schedules.len() as u16;
                    Schedule::Known(*schedules.entry(schedule).or_insert_with(|| {
                        draft.schedules.push(schedule.clone());
                        next
                    }))
                }
            };
            let known = fixed.judged(as_of, self.options.allow_snapshot);
            draft.merchants.push(MerchantDraft {
                log_popularity_cell: ln_1p(popularity.in_cell(cell, i, as_of)),
                log_popularity_city: ln_1p(popularity.in_city(i, as_of)),
                share: Some(Share {
                    log_cell: libm::log(*here) as f32,
                    log_city: libm::log(*city) as f32,
                    evidence: evidence as f32,
                }),
                rating: fixed.row.rating.filter(|_| known),
                rating_count: fixed.row.rating_count.filter(|_| known).unwrap_or(0),
                quality: fixed.row.quality.filter(|_| known),
                reliability: popularity.reliability(i),
                across_border: fixed.country.is_some_and(|country| country != ground.country),
                schedule,
                listed_day: fixed
                    .row
                    .listed_from
                    .and_then(|from| u16::try_from(Local::new(from, offset_minutes).day()).ok()),
                ..fixed.draft.clone()
            });
            draft.offers.extend(fixed.offers(as_of).cloned());
        }
        Ok(Some(draft))
    }

    /// The rows of the merchants that deliver to a cell and are listed at some time of its bundle's life, ascending.
    #[must_use]
    pub fn listed(&self, cell: Cell, as_of: Timestamp) -> Vec<u32> {
        let rows = self.grounds.get(&cell).map_or(&[][..], |ground| ground.merchants.as_slice());
        rows.iter().copied().filter(|i| self.merchants[*i as usize].is_listed(as_of)).collect()
    }

    /// The cards of a cell's merchants, in the draft's order.
    fn cards(&self, draft: &AreaDraft) -> Vec<Card> {
        let Some(ground) = self.grounds.get(&draft.cell) else {
            return Vec::new();
        };
        let rows = ground.merchants.iter().map(|i| &self.merchants[*i as usize]).filter(|m| m.is_listed(draft.as_of));
        rows.map(|fixed| card(fixed.row)).collect()
    }
}

impl<'t> Fixed<'t> {
    fn new(row: &'t Merchant, map: &CuisineMap) -> Self {
        let position = Point::new(row.latitude, row.longitude).unwrap_or(Point::ORIGIN);
        let cuisines = map.ids(&row.cuisines);
        let country =
            row.country.as_deref().or_else(|| hours::country(row.latitude, row.longitude)).and_then(two_letters);
        let draft = MerchantDraft {
            chain: row.chain_id.as_deref().map_or(ChainId::NONE, ChainId::of),
            clusters: map.blend(&cuisines),
            cuisines,
            price_band: row.price_band,
            prep_minutes: row.prep_minutes,
            radius_km: row.delivery_radius_km,
            kind: kind(row.kind),
            ..MerchantDraft::new(MerchantId::of(&row.merchant_id), position)
        };
        Self { row, draft, country, offers: Vec::new() }
    }

    /// Whether it can be ordered from at some time of a bundle's life.
    fn is_listed(&self, as_of: Timestamp) -> bool {
        self.row.listed_from.is_none_or(|from| from <= as_of + LIFE_DAYS * DAY)
            && self.row.listed_until.is_none_or(|until| until > as_of)
    }

    /// Whether its rating, count and quality were known by then.
    fn judged(&self, as_of: Timestamp, allow_snapshot: bool) -> bool {
        self.row.observed_at.map_or(allow_snapshot, |at| at < as_of)
    }

    fn offers(&self, as_of: Timestamp) -> impl Iterator<Item = &OfferDraft> {
        let holds = move |offer: &Offer| offer.ends_at > as_of && offer.starts_at <= as_of + LIFE_DAYS * DAY;
        self.offers.iter().filter(move |(row, _)| holds(row)).map(|(_, draft)| draft)
    }

    fn radius_km(&self, options: &BuildOptions) -> f64 {
        self.row.delivery_radius_km.map_or(options.radius_km, f64::from).clamp(0.0, WIDEST_KM)
    }
}

/// Builds every area as of a time; what comes later in the tables changes no byte.
///
/// # Errors
/// An area that is too large for the format; its name and the limit are in the error.
pub fn build(tables: &Tables, as_of: Timestamp, map: &CuisineMap, options: &BuildOptions) -> Result<Built, AreaError> {
    let catalog = Catalog::new(tables, map, options);
    let mut popularity = Popularity::new(options);
    orders_before(&tables.orders, as_of).into_iter().for_each(|order| popularity.record(order, &catalog));
    build_from(&catalog, &popularity, as_of, tables.simulated.clone())
}

/// Builds every area from orders that were counted already, perhaps in many partitions; all of them are before `as_of`.
///
/// # Errors
/// As [`build`].
pub fn build_from(
    catalog: &Catalog<'_>,
    popularity: &Popularity,
    as_of: Timestamp,
    simulated: Option<String>,
) -> Result<Built, AreaError> {
    let today = as_of.div_euclid(DAY);
    let doors = catalog.doors(today, today);

    let cells: Vec<Cell> = catalog.cells().collect();
    let area = |cell: &Cell| {
        let Some(draft) = catalog.draft(*cell, as_of, popularity, &doors)? else {
            return Ok(None);
        };
        if draft.merchants.is_empty() {
            return Ok(None);
        }
        let wrong = |source| AreaError::Format { cell: *cell, source };
        let bundle = draft.encode().map_err(wrong)?;
        let display = Display::encode(Hash::of(&bundle), &catalog.cards(&draft)).map_err(wrong)?;
        Ok(Some(Area { cell: *cell, bundle, display }))
    };
    let areas = cells.par_iter().map(area).collect::<Result<Vec<Option<Area>>, AreaError>>()?;
    let areas: Vec<Area> = areas.into_iter().flatten().collect();
    let report = report(simulated, as_of, catalog, popularity, &areas);
    Ok(Built { areas, report })
}

fn report(
    simulated: Option<String>,
    as_of: Timestamp,
    catalog: &Catalog<'_>,
    popularity: &Popularity,
    areas: &[Area],
) -> BuildReport {
    let listed = || catalog.merchants.iter().filter(|merchant| merchant.is_listed(as_of));
    let rated = || listed().filter(|merchant| merchant.row.rating.is_some());
    let left_out = |dated: bool| {
        let allow = catalog.options.allow_snapshot;
        rated().filter(|m| m.row.observed_at.is_some() == dated && !m.judged(as_of, allow)).count()
    };
    BuildReport {
        simulated,
        as_of,
        areas: areas.len(),
        merchants: catalog.merchants.len(),
        listed: listed().count(),
        with_hours: catalog.schedules.iter().flatten().count(),
        without_hours: catalog.merchants.iter().filter(|merchant| merchant.row.opening_hours.is_none()).count(),
        unreadable_hours: catalog.unreadable.clone(),
        undated_ratings: left_out(false),
        later_ratings: left_out(true),
        orders: popularity.orders,
        unplaced_orders: popularity.unplaced,
        offers: listed().map(|merchant| merchant.offers(as_of).count()).sum(),
        bundle_bytes: areas.iter().map(|area| area.bundle.len()).sum(),
    }
}

/// Writes `areas/{cell}.area` and `areas/{cell}.display`; areas of an earlier build are removed.
///
/// # Errors
/// The folder or a file that cannot be written.
pub fn write(areas: &[Area], out: &Path) -> Result<(), AreaError> {
    let folder = out.join("areas");
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| AreaError::Io { path, source }
    };
    std::fs::create_dir_all(&folder).map_err(io(&folder))?;
    for entry in std::fs::read_dir(&folder).map_err(io(&folder))? {
        let path = entry.map_err(io(&folder))?.path();
        if path.extension().is_some_and(|ending| ending == "area" || ending == "display") {
            std::fs::remove_file(&path).map_err(io(&path))?;
        }
    }
    for area in areas {
        for (ending, bytes) in [("area", &area.bundle), ("display", &area.display)] {
            let path = folder.join(format!("{}.{ending}", area.cell));
            std::fs::write(&path, bytes).map_err(io(&path))?;
        }
    }
    Ok(())
}

/// The cells of every merchant's deliveries, and what is true of each cell at any time.
fn grounds(merchants: &[Fixed<'_>], options: &BuildOptions) -> BTreeMap<Cell, Ground> {
    let reach = |(i, merchant): (usize, &Fixed<'_>)| -> Vec<(Cell, u32)> {
        let cells = delivered(merchant.draft.position, merchant.radius_km(options));
        cells.into_iter().map(|cell| (cell, i as u32)).collect()
    };
    let mut of: BTreeMap<Cell, Vec<u32>> = BTreeMap::new();
    let pairs: Vec<Vec<(Cell, u32)>> = merchants.par_iter().enumerate().map(reach).collect();
    pairs.into_iter().flatten().for_each(|(cell, i)| of.entry(cell).or_default().push(i));

    let ground = |(cell, rows): (Cell, Vec<u32>)| {
        let center = cell.center().unwrap_or(Point::ORIGIN);
        // A cell whose middle is in the sea is of the country that most of its merchants are in.
        let most = || {
            let mut counts: BTreeMap<[u8; 2], usize> = BTreeMap::new();
            let countries = rows.iter().filter_map(|i| merchants[*i as usize].country);
            countries.for_each(|country| *counts.entry(country).or_default() += 1);
            counts.into_iter().max_by_key(|(_, n)| *n).map(|(country, _)| country)
        };
        let country = hours::country(center.latitude(), center.longitude()).and_then(two_letters).or_else(most);
        let country = country.unwrap_or(*b"  ");
        let layer = layer(country, options.market.as_deref());
        let zone = hours::time_zone(center.latitude(), center.longitude());
        (cell, Ground { merchants: rows, country, layer, zone })
    };
    let cells: Vec<(Cell, Vec<u32>)> = of.into_iter().collect();
    cells.into_par_iter().map(ground).collect::<Vec<_>>().into_iter().collect()
}

/// The cells of which some point may lie within a radius: the cell's middle is at most its circumradius further.
fn delivered(from: Point, radius_km: f64) -> Vec<Cell> {
    let Ok(at) = LatLng::new(from.latitude(), from.longitude()) else {
        return Vec::new();
    };
    let home = at.to_cell(AREA_RESOLUTION);
    // Neighbours' middles are at least 1.4 circumradii apart, however H3 distorts the hexagon.
    let rings = libm::ceil((radius_km + 2.0 * circumradius_km(home)) / (1.4 * circumradius_km(home))) as u32;
    let disk: Vec<CellIndex> = home.grid_disk(rings);
    let near = |cell: &CellIndex| {
        let center = LatLng::from(*cell);
        Point::new(center.lat(), center.lng())
            .is_some_and(|center| from.distance_km(center) - circumradius_km(*cell) <= radius_km)
    };
    disk.into_iter().filter(near).filter_map(|cell| Cell::new(u64::from(cell))).collect()
}

/// From a cell's middle to its farthest corner.
fn circumradius_km(cell: CellIndex) -> f64 {
    let center = LatLng::from(cell);
    let point = |at: &LatLng| Point::new(at.lat(), at.lng()).unwrap_or(Point::ORIGIN);
    cell.boundary().iter().map(|corner| point(corner).distance_km(point(&center))).fold(0.0, f64::max)
}

/// `fi/helsinki` in the market's own country, else the country.
fn layer(country: [u8; 2], market: Option<&str>) -> String {
    let country = String::from_utf8_lossy(&country).to_ascii_lowercase();
    match market {
        Some(market) if market.split('/').next() == Some(&country) => market.to_owned(),
        _ => country.trim().to_owned(),
    }
}

fn two_letters(country: &str) -> Option<[u8; 2]> {
    let upper: Vec<u8> = country.bytes().map(|b| b.to_ascii_uppercase()).collect();
    upper.try_into().ok()
}

fn kind(kind: tables::Kind) -> Kind {
    match kind {
        tables::Kind::Restaurant => Kind::Restaurant,
        tables::Kind::Grocery => Kind::Grocery,
        tables::Kind::Retail => Kind::Retail,
    }
}

fn card(row: &Merchant) -> Card {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    Card {
        merchant_id: row.merchant_id.clone(),
        name: row.name.clone(),
        cuisines: row.cuisines.join(";"),
        opening_hours: text(&row.opening_hours),
        url: text(&row.url),
        image_url: text(&row.image_url),
        chain: text(&row.chain_id),
    }
}

/// An offer never holds longer than it was promised: it starts with the next full minute and ends with the last.
fn draft_offer(offer: &Offer) -> OfferDraft {
    let minute = |seconds: i64| u32::try_from(seconds.max(0) / 60).unwrap_or(u32::MAX);
    let (kind, steps) = match offer.kind.as_str() {
        "percent" => (OfferKind::Percent, 1.0),
        "amount" => (OfferKind::Amount, 100.0),
        "free_delivery" => (OfferKind::FreeDelivery, 100.0),
        _ => (OfferKind::Other, 100.0),
    };
    let audience = match offer.audience.as_deref() {
        None | Some("all") => Audience::All,
        Some("new") => Audience::New,
        Some("member") => Audience::Member,
        Some(_) => Audience::Unknown,
    };
    let digest = Sha256::digest(offer.offer_id.as_bytes());
    OfferDraft {
        id: u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]),
        merchant: MerchantId::of(&offer.merchant_id),
        kind,
        audience,
        value: libm::roundf(offer.value * steps) as i32,
        starts_minute: minute(offer.starts_at.saturating_add(59)),
        ends_minute: minute(offer.ends_at),
    }
}

fn draft_schedule(hours: &hours::Hours) -> ScheduleDraft {
    let day = |date: jiff::civil::Date| days_from_civil(date.year().into(), date.month().into(), date.day().into());
    let exceptions = hours.exceptions.iter().filter_map(|exception| {
        let day = u16::try_from(day(exception.date)).ok()?;
        Some(ExceptionDraft { day, open: exception.open.clone(), holiday: exception.holiday == Some(true) })
    });
    ScheduleDraft { weekly: hours.weekly.clone(), exceptions: exceptions.collect() }
}

/// The date of a day since 1970.
fn date(day: i64) -> Option<jiff::civil::Date> {
    let at = jiff::Timestamp::from_second(day * DAY).ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).date())
}

/// Logarithms go into columns; counts are never negative.
fn ln_1p(count: f64) -> f32 {
    libm::log1p(count) as f32
}

impl Area {
    /// The area as the engine reads it.
    ///
    /// # Errors
    /// Never for an area that was built here.
    pub fn decode(&self) -> Result<Bundle, DecodeError> {
        Bundle::decode(self.bundle.clone())
    }
}

#[cfg(test)]
mod tests;
