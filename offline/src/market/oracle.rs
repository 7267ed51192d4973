//! The choice model itself: what every merchant is truly worth to a reader, at a moment, at a place.

use super::Form;
use super::MarketError;
use super::draw::Key;
use super::enrich::{latent_fame, latent_quality};
use super::parameters::Parameters;
use super::urn;
use crate::tables::{Kind, Merchant, Offer, Tables, Timestamp};
use freshrank::geo::Point;
use freshrank::time::Local;
use h3o::{LatLng, Resolution};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// What the oracle's file is called, beside the tables.
pub const FILE: &str = "oracle.json";

/// What the `format` of that file says.
const FORMAT: &str = "freshrank-oracle-1";

/// A usual basket, in the market's currency.
const BASKET: f64 = 25.0;

/// A usual delivery fee, in the market's currency, where a merchant tells none.
const USUAL_FEE: f64 = 3.0;

/// Where a merchant tells no radius, kilometres.
const USUAL_RADIUS_KM: f64 = 3.5;

const DAY: i64 = 86_400;

/// Answers what a merchant would truly have been worth: the systematic part of the utility with the effects no
/// feature sees, without the Gumbel noise. No scorer can do better on average; it is an upper bound, not a peer.
///
/// Parameters, a seed and the tables are all of it: latent facts are hashes of the seed and of names.
#[derive(Debug, Clone)]
pub struct Oracle {
    parameters: Parameters,
    seed: u64,
    zone: TimeZone,
    start: Timestamp,
    groups: Groups,
    labels: Vec<Key>,
    sites: Vec<Site>,
    /// Apart from the sites and small, for they are read as a whole for every order.
    reaches: Vec<Reach>,
    index: HashMap<String, u32>,
    /// Who is chosen by another form than the logit.
    urn: Option<urn::Model>,
}

/// oracle.json.
#[derive(Serialize, Deserialize)]
struct File {
    format: String,
    simulated: String,
    seed: u64,
    time_zone: String,
    parameters: Parameters,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    urn: Option<urn::UrnParameters>,
}

/// Where and when a merchant delivers.
#[derive(Debug, Clone)]
struct Reach {
    unit: [f64; 3],
    /// Of the delivery radius.
    chord_square: f64,
    listed_from: Timestamp,
    listed_until: Timestamp,
}

/// What the model knows of one merchant.
#[derive(Debug, Clone)]
struct Site {
    key: Key,
    point: Point,
    chain: Option<u32>,
    /// Position among all cuisine groups, with its own part; as many numbers as groups.
    vector: Vec<f64>,
    labels: Vec<u32>,
    /// What is the same for every reader at every hour.
    base: f64,
    daypart: [f64; 4],
    rain: f64,
    price: f64,
    fee: f64,
    deals: Vec<Deal>,
}

#[derive(Debug, Clone)]
struct Deal {
    from: Timestamp,
    until: Timestamp,
    audience: DealFor,
    /// In usual baskets.
    worth: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum DealFor {
    All,
    New,
    Member,
    Nobody,
}

/// An order of the reader's past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// As [`Oracle::merchant`] gives it.
    pub merchant: u32,
    /// When it was placed.
    pub at: Timestamp,
}

/// A reader's latent self.
#[derive(Debug, Clone)]
pub struct Soul {
    key: Key,
    taste: Vec<f64>,
    labels: Vec<f64>,
    distance: f64,
    price: f64,
    habit: f64,
    offer: f64,
    /// Pays for a membership: no delivery fee, and the members' offers.
    pub member: bool,
}

/// A reader at a time, at a place, with a past: what a choice is made in.
#[derive(Debug, Clone)]
pub struct Moment<'a> {
    oracle: &'a Oracle,
    soul: &'a Soul,
    at: Timestamp,
    point: Point,
    daypart: usize,
    week: u64,
    rains: bool,
    cells: [u64; 2],
    taste: Vec<f64>,
    habit: f64,
    /// Decayed own orders by merchant, and when the last was.
    own: BTreeMap<u32, (f64, Timestamp)>,
    chains: BTreeMap<u32, f64>,
    /// Where the market is an urn, all of the choice.
    urn: Option<(&'a urn::Model, urn::Scene)>,
}

impl Oracle {
    /// The oracle of enriched merchants and their offers.
    ///
    /// # Errors
    /// No merchant, a coordinate out of range, or a time zone that does not exist.
    pub fn new(
        merchants: &[Merchant],
        offers: &[Offer],
        parameters: &Parameters,
        seed: u64,
        zone: TimeZone,
    ) -> Result<Self, MarketError> {
        let start = start(parameters, &zone)?;
        let groups = Groups::new(parameters, seed);
        let labels = numbered(merchants.iter().flat_map(|m| m.cuisines.iter().map(String::as_str)));
        let chains = numbered(merchants.iter().filter_map(|m| m.chain_id.as_deref()));
        let index: HashMap<String, u32> =
            (0..).zip(merchants).map(|(n, merchant)| (merchant.merchant_id.clone(), n)).collect();
        let mut sites = merchants
            .iter()
            .map(|merchant| Site::new(merchant, parameters, seed, &groups, &labels, &chains))
            .collect::<Result<Vec<Site>, _>>()?;
        for offer in offers {
            if let Some(site) = index.get(&offer.merchant_id).and_then(|&n| sites.get_mut(n as usize)) {
                site.deals.push(Deal::new(offer, site.fee));
            }
        }
        let labels = labels.keys().map(|label| Key::new(seed, "label", label)).collect();
        let reaches = merchants.iter().zip(&sites).map(|(merchant, site)| Reach::new(merchant, site.point)).collect();
        let urn = None;
        Ok(Self { parameters: parameters.clone(), seed, zone, start, groups, labels, sites, reaches, index, urn })
    }

    /// The same with readers who choose by another form; `merchants` are those of [`Oracle::new`].
    #[must_use]
    pub fn with_form(mut self, form: &Form, merchants: &[Merchant]) -> Self {
        self.urn = match form {
            Form::Logit => None,
            Form::Urn(numbers) => {
                let (groups, all) = (&self.groups, &self.parameters.groups);
                Some(urn::Model::new(merchants, groups, all, self.seed, urn::UrnParameters::clone(numbers)))
            }
        };
        self
    }

    /// Reads oracle.json beside the tables it was written with.
    ///
    /// # Errors
    /// The file is not there, is no oracle, or the tables hold no merchant.
    pub fn read(directory: &Path, tables: &Tables) -> Result<Self, MarketError> {
        let path = directory.join(FILE);
        let wrong = |what: String| MarketError::Oracle { path: path.clone(), what };
        let text = std::fs::read_to_string(&path).map_err(|err| wrong(err.to_string()))?;
        let file: File = serde_json::from_str(&text).map_err(|err| wrong(err.to_string()))?;
        if file.format != FORMAT {
            return Err(wrong(format!("found format {:?}, expected {FORMAT:?}", file.format)));
        }
        let zone = super::zone_of(&file.time_zone).map_err(|err| wrong(err.to_string()))?;
        let oracle = Self::new(&tables.merchants, &tables.offers, &file.parameters, file.seed, zone)?;
        Ok(oracle.with_form(&file.urn.map_or(Form::Logit, |numbers| Form::Urn(numbers.into())), &tables.merchants))
    }

    /// Writes oracle.json beside the tables.
    ///
    /// # Errors
    /// The directory cannot be written to.
    pub fn write(&self, directory: &Path) -> Result<(), MarketError> {
        let path = directory.join(FILE);
        let file = File {
            format: FORMAT.into(),
            simulated: super::label_of(self.seed, self.urn.is_some()),
            seed: self.seed,
            time_zone: self.zone.iana_name().unwrap_or("UTC").into(),
            parameters: self.parameters.clone(),
            urn: self.urn.as_ref().map(|urn| urn.parameters.clone()),
        };
        let wrong = |what: String| MarketError::Oracle { path: path.clone(), what };
        let text = serde_json::to_string_pretty(&file).map_err(|err| wrong(err.to_string()))?;
        std::fs::write(&path, text + "\n").map_err(|err| wrong(err.to_string()))
    }

    /// The row of a merchant in the table; `None` if there is none of that name.
    #[must_use]
    pub fn merchant(&self, merchant_id: &str) -> Option<u32> {
        self.index.get(merchant_id).copied()
    }

    /// What a merchant is truly worth to a reader, in units of the Gumbel noise; `None` for an unknown merchant
    /// or a place that is none.
    ///
    /// Opening and delivery are not part of it: they say who is a candidate. Whoever asks for many candidates of
    /// one query makes the [`Moment`] once.
    #[must_use]
    pub fn utility(
        &self,
        user_id: &str,
        merchant_id: &str,
        at: Timestamp,
        (latitude, longitude): (f64, f64),
        history: &[Past],
    ) -> Option<f64> {
        let soul = self.soul(user_id);
        let moment = self.moment(&soul, at, Point::new(latitude, longitude)?, history);
        Some(moment.utility(self.merchant(merchant_id)?))
    }

    /// The latent self of a reader.
    #[must_use]
    pub fn soul(&self, user_id: &str) -> Soul {
        let u = &self.parameters.utility;
        let key = Key::new(self.seed, "reader", user_id);
        let groups = self.parameters.groups.len() as u64;
        Soul {
            key,
            taste: (0..groups).map(|group| key.and(1000 + group).normal()).collect(),
            labels: self.labels.iter().map(|&label| key.with(label).normal()).collect(),
            distance: key.and(1).spread(u.distance_spread),
            price: 2.0 + 0.7 * key.and(2).normal(),
            habit: key.and(3).spread(u.habit_spread),
            offer: key.and(4).spread(u.offer_spread),
            member: key.and(5).uniform() < self.parameters.readers.membership_share,
        }
    }

    /// Sets a scene; orders of the history that are not before `at` are left out.
    #[must_use]
    pub fn moment<'a>(&'a self, soul: &'a Soul, at: Timestamp, point: Point, history: &[Past]) -> Moment<'a> {
        let u = &self.parameters.utility;
        let local = self.local(at);
        let month = (at - self.start).div_euclid(30 * DAY) as u64;
        let drift = soul.key.and(month.wrapping_add(1 << 32));
        let taste = (0..).zip(&soul.taste).map(|(n, taste)| taste + u.taste_drift * drift.and(n).normal()).collect();

        let mut own: BTreeMap<u32, (f64, Timestamp)> = BTreeMap::new();
        let mut chains: BTreeMap<u32, f64> = BTreeMap::new();
        for past in history.iter().filter(|past| past.at < at) {
            let age_days = (at - past.at) as f64 / DAY as f64;
            let weight = libm::exp2(-age_days / u.habit_half_life_days);
            let entry = own.entry(past.merchant).or_insert((0.0, past.at));
            *entry = (entry.0 + weight, if past.at > entry.1 { past.at } else { entry.1 });
            if let Some(chain) = self.sites.get(past.merchant as usize).and_then(|site| site.chain) {
                *chains.entry(chain).or_default() += weight;
            }
        }
        // Counting who delivers costs a scan; only habit asks for it.
        let habit = if own.is_empty() || self.urn.is_some() {
            0.0
        } else {
            let choice = libm::log(self.delivering(point, at).len().max(10) as f64 / 100.0);
            let habit = u.habit + u.habit_choice * choice;
            soul.habit * if habit > 0.0 { habit } else { 0.0 }
        };
        let rain = Key::new(self.seed, "rain", "").and(local.day() as u64).uniform();
        let week = (local.day() + 3).div_euclid(7) as u64;
        let cells = cells(point);
        let urn = self.urn.as_ref().map(|urn| {
            let setting = urn::Setting {
                at,
                month,
                day: local.day() as u64,
                week,
                daypart: local.daypart().index(),
                cell: cells[0],
                seed: self.seed,
                member: soul.member,
            };
            let deal = |merchant, new| self.deal(merchant, at, new, soul.member);
            (urn, urn.scene(soul.key, setting, history, &self.delivering(point, at), deal))
        });
        Moment {
            oracle: self,
            soul,
            at,
            point,
            daypart: local.daypart().index(),
            week,
            rains: rain < self.parameters.unseen.rain_share,
            cells,
            taste,
            habit,
            own,
            chains,
            urn,
        }
    }

    /// The best offer of a merchant, in usual baskets.
    fn deal(&self, merchant: u32, at: Timestamp, new: bool, member: bool) -> f64 {
        self.sites.get(merchant as usize).map_or(0.0, |site| site.deal(at, new, member))
    }

    /// Who delivers to a place, with the distance in kilometres, in the order of the table.
    #[must_use]
    pub fn delivering(&self, point: Point, at: Timestamp) -> Vec<(u32, f64)> {
        let to = unit(point);
        let near = |(n, reach): (u32, &Reach)| {
            let square = chord_square(reach.unit, to);
            let listed = (reach.listed_from..reach.listed_until).contains(&at);
            (square <= reach.chord_square && listed).then(|| (n, arc_km(square)))
        };
        (0..).zip(&self.reaches).filter_map(near).collect()
    }

    /// Wall-clock time in this market.
    pub(super) fn local(&self, at: Timestamp) -> Local {
        Local::new(at, self.offset_minutes(at))
    }

    /// The moment of a wall-clock time; in the hour that clocks skip or repeat, one of the moments nearby.
    pub(super) fn at(&self, local: Local) -> Timestamp {
        let as_utc = local.minutes * 60;
        let near = as_utc - i64::from(self.offset_minutes(as_utc)) * 60;
        as_utc - i64::from(self.offset_minutes(near)) * 60
    }

    fn offset_minutes(&self, at: Timestamp) -> i16 {
        let seconds = jiff::Timestamp::from_second(at).map_or(0, |at| self.zone.to_offset(at).seconds());
        // Below a day by jiff's own limit.
        (seconds / 60) as i16
    }

    /// The first moment of the window.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// The first moment after the window.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.start + i64::from(self.parameters.window.days) * DAY
    }

    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn point(&self, merchant: usize) -> Option<Point> {
        self.sites.get(merchant).map(|site| site.point)
    }

    pub(super) fn len(&self) -> usize {
        self.sites.len()
    }

    /// Names of the latent groups, and what a label weighs in them.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.groups
    }
}

/// Mean radius of the Earth (IUGG R1), in kilometres.
const EARTH_RADIUS_KM: f64 = 6371.0088;

/// A point on the unit sphere.
fn unit(point: Point) -> [f64; 3] {
    let (north, east) = (point.latitude().to_radians(), point.longitude().to_radians());
    let across = libm::cos(north);
    [across * libm::cos(east), across * libm::sin(east), libm::sin(north)]
}

/// The square of the straight line between two points of the unit sphere.
fn chord_square(a: [f64; 3], b: [f64; 3]) -> f64 {
    let [x, y, z] = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    x * x + y * y + z * z
}

/// The great-circle distance over a chord. Below 13 km, where the simulation spends its time, the series of the
/// arc sine is exact to the last digit or two; the haversine formula gives the same within a millimetre.
fn arc_km(chord_square: f64) -> f64 {
    let half = libm::sqrt(chord_square) / 2.0;
    let half = if half < 1.0 { half } else { 1.0 };
    let angle = if half < 1e-3 { half + half * half * half / 6.0 } else { libm::asin(half) };
    2.0 * EARTH_RADIUS_KM * angle
}

impl Moment<'_> {
    /// The systematic utility of a merchant (the formula is in the module's documentation); minus infinity for a
    /// row that is not in the table.
    #[must_use]
    pub fn utility(&self, merchant: u32) -> f64 {
        let distance_km = |reach: &Reach| arc_km(chord_square(reach.unit, unit(self.point)));
        self.oracle
            .reaches
            .get(merchant as usize)
            .map_or(f64::NEG_INFINITY, |reach| self.utility_at((merchant, distance_km(reach))))
    }

    /// The same where the distance is known already, kilometres.
    pub(super) fn utility_at(&self, (merchant, distance_km): (u32, f64)) -> f64 {
        if let Some((urn, scene)) = self.urn.as_ref().filter(|_| (merchant as usize) < self.oracle.sites.len()) {
            let deal = |merchant, new| self.oracle.deal(merchant, self.at, new, self.soul.member);
            return urn.utility(scene, merchant, distance_km, deal);
        }
        self.oracle.sites.get(merchant as usize).map_or(f64::NEG_INFINITY, |site| self.of(merchant, site, distance_km))
    }

    fn of(&self, merchant: u32, site: &Site, distance_km: f64) -> f64 {
        let (u, unseen) = (&self.oracle.parameters.utility, &self.oracle.parameters.unseen);
        let own = self.own.get(&merchant);

        let taste: f64 = self.taste.iter().zip(&site.vector).map(|(taste, at)| taste * at).sum();
        let labels: f64 = site.labels.iter().filter_map(|&label| self.soul.labels.get(label as usize)).sum();
        let label = if site.labels.is_empty() { 0.0 } else { labels / libm::sqrt(site.labels.len() as f64) };
        let price = site.price - self.soul.price;
        let fee = if self.soul.member { 0.0 } else { site.fee };
        let habit = own.map_or(0.0, |&(strength, last)| {
            let again_so_soon = self.at - last < 18 * 3600;
            self.habit * libm::log1p(strength) - if again_so_soon { u.satiation } else { 0.0 }
        });
        let others =
            site.chain.and_then(|chain| self.chains.get(&chain)).map_or(0.0, |all| all - own.map_or(0.0, |o| o.0));
        let chain = if others > 0.0 { u.chain * libm::log1p(others) } else { 0.0 };
        let offer = site.deal(self.at, own.is_none(), self.soul.member);

        let seen = site.base + u.taste * taste + u.label * label + u.daypart * site.daypart[self.daypart]
            - u.distance * self.soul.distance * distance_km
            - u.price * price * price
            - u.fee * fee
            + habit
            + chain
            + u.offer * self.soul.offer * offer;

        let bond = unseen.bond * self.soul.key.with(site.key).normal();
        let [area, street] = self.cells;
        let standing = unseen.neighbourhood * site.key.and(area).normal();
        let word = unseen.word_of_mouth * site.key.and(street).and(self.week).normal();
        let buzz = unseen.buzz * site.key.and(self.week).normal();
        let rain = if self.rains { unseen.rain_comfort * site.rain - unseen.rain_distance * distance_km } else { 0.0 };
        seen + bond + standing + word + buzz + rain
    }
}

impl Reach {
    fn new(merchant: &Merchant, point: Point) -> Self {
        let angle = merchant.delivery_radius_km.map_or(USUAL_RADIUS_KM, f64::from) / EARTH_RADIUS_KM;
        let chord = 2.0 * libm::sin(angle / 2.0);
        Self {
            unit: unit(point),
            chord_square: chord * chord,
            listed_from: merchant.listed_from.unwrap_or(Timestamp::MIN),
            listed_until: merchant.listed_until.unwrap_or(Timestamp::MAX),
        }
    }
}

impl Site {
    fn new(
        merchant: &Merchant,
        parameters: &Parameters,
        seed: u64,
        groups: &Groups,
        labels: &BTreeMap<&str, u32>,
        chains: &BTreeMap<&str, u32>,
    ) -> Result<Self, MarketError> {
        let point = Point::new(merchant.latitude, merchant.longitude)
            .ok_or_else(|| MarketError::Coordinates { merchant_id: merchant.merchant_id.clone() })?;
        let (u, n) = (&parameters.utility, parameters.groups.len());
        let key = Key::new(seed, "merchant", &merchant.merchant_id);
        let weights = groups.of(&merchant.cuisines);
        let sum = |value: &dyn Fn(usize) -> f64| -> f64 { weights.iter().map(|&(group, w)| w * value(group)).sum() };
        let g = |group: usize| &parameters.groups[group];

        let own = u.taste_own_share / libm::sqrt(n as f64);
        let mut vector: Vec<f64> = (0..n as u64).map(|group| own * key.and(1000 + group).normal()).collect();
        for &(group, weight) in &weights {
            vector[group] += (1.0 - u.taste_own_share) * weight;
        }
        let prep = f64::from(merchant.prep_minutes.unwrap_or(18.0));
        let not_meals = if merchant.kind == Kind::Restaurant { 0.0 } else { u.not_meals };
        Ok(Self {
            key,
            point,
            chain: merchant.chain_id.as_deref().and_then(|chain| chains.get(chain)).copied(),
            vector,
            labels: merchant.cuisines.iter().filter_map(|label| labels.get(label.as_str())).copied().collect(),
            base: u.appeal * sum(&|group| g(group).appeal)
                + u.fame * latent_fame(key)
                + u.quality * latent_quality(key)
                - u.prep * prep / 10.0
                + not_meals,
            daypart: [0, 1, 2, 3].map(|part| sum(&|group| g(group).dayparts[part])),
            rain: sum(&|group| g(group).rain),
            price: f64::from(merchant.price_band.unwrap_or(2)),
            fee: merchant.delivery_fee.map_or(USUAL_FEE, f64::from),
            deals: Vec::new(),
        })
    }

    /// The best offer that holds, in usual baskets.
    fn deal(&self, at: Timestamp, new: bool, member: bool) -> f64 {
        let holds = |deal: &&Deal| {
            let audience = match deal.audience {
                DealFor::All => true,
                DealFor::New => new,
                DealFor::Member => member,
                DealFor::Nobody => false,
            };
            audience && (deal.from..deal.until).contains(&at)
        };
        self.deals
            .iter()
            .filter(holds)
            .map(|deal| deal.worth)
            .fold(0.0, |best, worth| if worth > best { worth } else { best })
    }
}

impl Deal {
    fn new(offer: &Offer, fee: f64) -> Self {
        let worth = match offer.kind.as_str() {
            "percent" => f64::from(offer.value) / 100.0,
            "amount" => f64::from(offer.value) / BASKET,
            "free_delivery" => fee / BASKET,
            _ => 0.0,
        };
        let audience = match offer.audience.as_deref() {
            None | Some("all") => DealFor::All,
            Some("new") => DealFor::New,
            Some("member") => DealFor::Member,
            Some(_) => DealFor::Nobody,
        };
        Self { from: offer.starts_at, until: offer.ends_at, audience, worth }
    }
}

/// Which latent groups a cuisine label belongs to.
#[derive(Debug, Clone)]
pub struct Groups {
    seed: u64,
    n: usize,
    of: HashMap<String, usize>,
}

impl Groups {
    pub(super) fn new(parameters: &Parameters, seed: u64) -> Self {
        let groups = parameters.groups.iter().enumerate();
        let of = groups.flat_map(|(n, group)| group.labels.iter().map(move |label| (label.clone(), n))).collect();
        Self { seed, n: parameters.groups.len(), of }
    }

    /// The row of the group a label belongs to.
    #[must_use]
    pub fn of_label(&self, label: &str) -> usize {
        let drawn = || (Key::new(self.seed, "group", label).uniform() * self.n as f64) as usize;
        self.of.get(label).copied().unwrap_or_else(drawn)
    }

    /// The groups of a merchant with weights that sum to 1; the first label counts twice. Empty without labels.
    #[must_use]
    pub fn of(&self, cuisines: &[String]) -> Vec<(usize, f64)> {
        let total = cuisines.len() as f64 + 1.0;
        let mut weights: BTreeMap<usize, f64> = BTreeMap::new();
        for (n, label) in cuisines.iter().enumerate() {
            *weights.entry(self.of_label(label)).or_default() += if n == 0 { 2.0 } else { 1.0 } / total;
        }
        weights.into_iter().collect()
    }
}

/// The first moment of the window.
pub(super) fn start(parameters: &Parameters, zone: &TimeZone) -> Result<Timestamp, MarketError> {
    let midnight = parameters.window.start.to_zoned(zone.clone());
    midnight.map(|at| at.timestamp().as_second()).map_err(|err| MarketError::Parameters(format!("window.start: {err}")))
}

/// Distinct names with numbers in alphabetical order.
fn numbered<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, u32> {
    let distinct: std::collections::BTreeSet<&str> = names.collect();
    distinct.into_iter().zip(0..).collect()
}

/// The cells of resolution 7 and 8.
fn cells(point: Point) -> [u64; 2] {
    match LatLng::new(point.latitude(), point.longitude()) {
        Ok(at) => [Resolution::Seven, Resolution::Eight].map(|resolution| u64::from(at.to_cell(resolution))),
        // A Point is finite, the only thing h3o asks for.
        Err(_) => [0; 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chord_gives_the_haversine_distance() {
        let station = Point::new(60.1719, 24.9414).unwrap();
        for (latitude, longitude) in
            [(60.1719, 24.9414), (60.1720, 24.9416), (60.2, 25.1), (60.3, 25.3), (-60.0, -155.0)]
        {
            let point = Point::new(latitude, longitude).unwrap();
            let (chord, arc) = (arc_km(chord_square(unit(station), unit(point))), station.distance_km(point));
            assert!((chord - arc).abs() < 1e-6, "{chord} {arc}");
        }
    }
}
