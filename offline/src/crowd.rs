//! A crowd: simulated tables of any size, to see how fast and in how much memory they are built into bundles.
//!
//! [`crate::market`] weighs every candidate of every order, which takes a minute for twenty thousand readers. Here an order
//! costs a few draws, and nothing is held but the merchants and one block of readers:
//!
//! - Merchants stand around twelve cities, at an exponential distance from the centre, with made-up cuisines, hours,
//!   prices, and one in five of a chain.
//! - A reader has one to three places near some merchant of one city, and a log-normal number of orders (sigma 1.2), on
//!   uniform days of two years at about noon or about 18:30.
//! - An order repeats one of the reader's earlier ones every second time; else it goes to one of the up to 120 merchants
//!   near the place, the first of a fixed random order more often (a square law).
//!
//! There is no taste in it: it shows rows per second and bytes, and nothing about ranking. Readers are written in
//! blocks, the orders of a block by time, so that a reader's rows are spread over the file.

use crate::tables::{Kind, Merchant, Order, Place, Reader, Sheet, Status, TableError, Timestamp};
use freshrank::geo::Point;
use rayon::prelude::*;
use std::path::Path;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// The first day of the window: 2024-10-01T00:00:00Z.
const START: Timestamp = 1_727_740_800;
/// Days of the window.
const DAYS: u64 = 730;
/// The moment behind the last order, 2026-10-01T00:00:00Z.
pub const END: Timestamp = START + DAYS as i64 * DAY;
/// Readers that are written at once.
const BLOCK: usize = 16_384;
/// The most merchants that one place orders from.
const NEAR: usize = 120;
/// How far they are, kilometres.
const NEAR_KM: f64 = 2.5;
/// Standard deviation of the logarithm of a reader's number of orders.
const ORDERS_SPREAD: f64 = 1.2;
/// The most orders of a reader.
const MOST_ORDERS: usize = 2000;
/// Kilometres of a degree of latitude, for scattering points.
const KM_PER_DEGREE: f64 = 111.195;

const CITIES: [(&str, &str, f64, f64); 12] = [
    ("fi/helsinki", "FI", 60.170, 24.941),
    ("fi/tampere", "FI", 61.498, 23.761),
    ("fi/turku", "FI", 60.452, 22.267),
    ("se/stockholm", "SE", 59.329, 18.068),
    ("dk/copenhagen", "DK", 55.676, 12.568),
    ("de/berlin", "DE", 52.520, 13.405),
    ("de/munich", "DE", 48.137, 11.575),
    ("nl/amsterdam", "NL", 52.370, 4.895),
    ("pl/warsaw", "PL", 52.230, 21.012),
    ("cz/prague", "CZ", 50.075, 14.437),
    ("fr/paris", "FR", 48.857, 2.352),
    ("ca/ottawa", "CA", 45.421, -75.697),
];

const CUISINES: [&str; 24] = [
    "pizza",
    "burger",
    "kebab",
    "sushi",
    "chinese",
    "thai",
    "indian",
    "mexican",
    "italian",
    "vietnamese",
    "japanese",
    "coffee_shop",
    "sandwich",
    "salad",
    "ramen",
    "american",
    "korean",
    "greek",
    "bakery",
    "ice_cream",
    "chicken",
    "noodle",
    "regional",
    "seafood",
];

const HOURS: [&str; 4] =
    ["Mo-Su 10:00-22:00", "Mo-Th 11:00-21:00; Fr-Sa 11:00-23:00", "Mo-Sa 08:00-18:00", "Mo-Su 16:00-02:00"];

/// How large.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrowdOptions {
    /// Merchants.
    pub merchants: usize,
    /// Readers.
    pub readers: usize,
    /// Mean orders of a reader.
    pub orders_per_reader: f64,
    /// Of everything that is drawn.
    pub seed: u64,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct CrowdReport {
    /// Rows of the table.
    pub merchants: usize,
    /// Rows of the table.
    pub readers: usize,
    /// Rows of the table.
    pub places: usize,
    /// Rows of the table.
    pub orders: usize,
}

/// What [`crate::tables::Tables::simulated`] says of a crowd.
#[must_use]
pub fn label(seed: u64) -> String {
    format!(
        "simulated by `freshrank crowd`, seed {seed}: merchants, readers and orders are made up, to measure speed only"
    )
}

/// Writes merchants, readers, places and orders as Parquet; `progress` is told the readers done, and of how many.
///
/// # Errors
/// A directory that cannot be written.
pub fn crowd(options: &CrowdOptions, out: &Path, progress: &dyn Fn(usize, usize)) -> Result<CrowdReport, TableError> {
    std::fs::create_dir_all(out).map_err(|source| TableError::Io { file: out.to_owned(), source })?;
    let label = label(options.seed);
    let simulated = Some(label.as_str());
    let merchants: Vec<Merchant> = (0..options.merchants.max(1)).map(|n| merchant(n, options.seed)).collect();
    let near = near(&merchants, options.seed);
    let mut report = CrowdReport { merchants: merchants.len(), readers: options.readers, ..CrowdReport::default() };
    let mut sheet = Sheet::<Merchant>::new(out, simulated)?;
    sheet.put(&merchants)?;
    sheet.close()?;

    let (mut readers, mut places, mut orders) = (
        Sheet::<Reader>::new(out, simulated)?,
        Sheet::<Place>::new(out, simulated)?,
        Sheet::<Order>::new(out, simulated)?,
    );
    for from in (0..options.readers).step_by(BLOCK) {
        let to = (from + BLOCK).min(options.readers);
        let lives: Vec<Life> = (from..to).into_par_iter().map(|n| life(n, &merchants, &near, options)).collect();
        let mut block = Life::default();
        for life in lives {
            block.reader.extend(life.reader);
            block.places.extend(life.places);
            block.orders.extend(life.orders);
        }
        block.orders.par_sort_by(|a, b| (a.ordered_at, &a.user_id).cmp(&(b.ordered_at, &b.user_id)));
        report.places += block.places.len();
        report.orders += block.orders.len();
        readers.put(&block.reader)?;
        places.put(&block.places)?;
        orders.put(&block.orders)?;
        progress(to, options.readers);
    }
    readers.close()?;
    places.close()?;
    orders.close()?;
    Ok(report)
}

/// The rows of some readers.
#[derive(Default)]
struct Life {
    reader: Vec<Reader>,
    places: Vec<Place>,
    orders: Vec<Order>,
}

fn merchant(n: usize, seed: u64) -> Merchant {
    let mut dice = Dice::new(seed, 1, n);
    let city = dice.below(CITIES.len());
    let (_, country, latitude, longitude) = CITIES[city];
    let (latitude, longitude) = scatter((latitude, longitude), 2.5, &mut dice);
    let mut cuisines: Vec<String> = Vec::new();
    for _ in 0..1 + dice.below(3) {
        let label = CUISINES[(dice.uniform() * dice.uniform() * CUISINES.len() as f64) as usize];
        if !cuisines.iter().any(|known| known == label) {
            cuisines.push(label.to_owned());
        }
    }
    Merchant {
        merchant_id: format!("m{n:05}"),
        name: format!("Merchant {n}"),
        chain_id: (dice.uniform() < 0.2).then(|| format!("chain{}", dice.below(300))),
        kind: Kind::Restaurant,
        latitude,
        longitude,
        country: Some(country.to_owned()),
        cuisines,
        price_band: Some(1 + dice.below(4) as u8),
        delivery_radius_km: Some((20 + dice.below(31)) as f32 / 10.0),
        prep_minutes: Some(8.0 + dice.below(25) as f32),
        delivery_fee: Some(dice.below(50) as f32 / 10.0),
        opening_hours: Some(HOURS[dice.below(HOURS.len())].to_owned()),
        listed_from: Some(START - dice.below(1000) as i64 * DAY),
        ..Merchant::default()
    }
}

/// Of every merchant, those nearby in a random order that is the same for all; who comes first is famous.
fn near(merchants: &[Merchant], seed: u64) -> Vec<Vec<u32>> {
    let point = |merchant: &Merchant| Point::new(merchant.latitude, merchant.longitude).unwrap_or(Point::ORIGIN);
    let points: Vec<Point> = merchants.iter().map(point).collect();
    let mut famous: Vec<u32> = (0..merchants.len() as u32).collect();
    famous.sort_by_key(|n| (Dice::new(seed, 2, *n as usize).next(), *n));
    let of = |from: &Point| {
        let close = |n: &&u32| {
            let to = points[**n as usize];
            (to.latitude() - from.latitude()).abs() < NEAR_KM / KM_PER_DEGREE && from.distance_km(to) < NEAR_KM
        };
        famous.iter().filter(close).take(NEAR).copied().collect()
    };
    points.par_iter().map(of).collect()
}

fn life(n: usize, merchants: &[Merchant], near: &[Vec<u32>], options: &CrowdOptions) -> Life {
    let mut dice = Dice::new(options.seed, 3, n);
    let user_id = format!("u{n:07}");
    let home = dice.below(merchants.len());
    let n_places = 1 + (dice.uniform() * dice.uniform() * 3.0) as usize;
    let mut anchors = vec![home];
    while anchors.len() < n_places {
        let around = &near[home];
        anchors.push(around[dice.below(around.len())] as usize);
    }
    let mean = options.orders_per_reader * libm::exp(-ORDERS_SPREAD * ORDERS_SPREAD / 2.0);
    let n_orders = (mean * libm::exp(ORDERS_SPREAD * dice.normal()) + 0.5) as usize;
    let n_orders = n_orders.min(MOST_ORDERS);
    let arrival = dice.below(DAYS as usize) as u64;
    let mut at: Vec<i64> = (0..n_orders).map(|_| moment(arrival, &mut dice)).collect();
    at.sort_unstable();

    let places = anchors.iter().enumerate().map(|(i, anchor)| {
        let anchor = &merchants[*anchor];
        let (latitude, longitude) = scatter((anchor.latitude, anchor.longitude), 0.6, &mut dice);
        Place {
            user_id: user_id.clone(),
            place_id: format!("p{}", i + 1),
            latitude,
            longitude,
            first_seen_at: Some(START + arrival as i64 * DAY),
        }
    });
    let places: Vec<Place> = places.collect();
    let mut past: Vec<(u32, usize)> = Vec::with_capacity(n_orders);
    let orders = at.into_iter().map(|at| {
        let (merchant, place) = if !past.is_empty() && dice.uniform() < 0.5 {
            past[dice.below(past.len())]
        } else {
            let place = (dice.uniform() * dice.uniform() * n_places as f64) as usize;
            let around = &near[anchors[place]];
            let u = dice.uniform();
            (around[(u * u * around.len() as f64) as usize], place)
        };
        past.push((merchant, place));
        Order {
            user_id: user_id.clone(),
            merchant_id: merchants[merchant as usize].merchant_id.clone(),
            ordered_at: at,
            place_id: Some(places[place].place_id.clone()),
            value: Some(8.0 + dice.below(400) as f32 / 10.0),
            status: if dice.uniform() < 0.02 { Status::Cancelled } else { Status::Completed },
            ..Order::default()
        }
    });
    let orders = orders.collect();
    let market = CITIES.iter().find(|city| Some(city.1) == merchants[home].country.as_deref());
    let consent = [Some(true), Some(true), Some(false), None][dice.below(4)];
    let reader = Reader {
        user_id: user_id.clone(),
        market: market.map(|city| city.0.to_owned()),
        locale: Some("en".to_owned()),
        consent,
        membership: Some(dice.uniform() < 0.14),
        since: Some(START + arrival as i64 * DAY),
    };
    Life { reader: vec![reader], places, orders }
}

/// A moment of the window from a day on, at about 11:00 or about 17:00 UTC.
fn moment(from_day: u64, dice: &mut Dice) -> Timestamp {
    let day = from_day + dice.below((DAYS - from_day) as usize) as u64;
    let meal = if dice.uniform() < 0.36 { 11.0 } else { 17.0 };
    let hour = meal + dice.uniform() + dice.uniform();
    START + day as i64 * DAY + (hour * 3600.0) as i64
}

fn scatter((latitude, longitude): (f64, f64), mean_km: f64, dice: &mut Dice) -> (f64, f64) {
    let (km, angle) = (-mean_km * libm::log(1.0 - dice.uniform()), dice.uniform() * core::f64::consts::TAU);
    let north = latitude + km * libm::sin(angle) / KM_PER_DEGREE;
    let east = longitude + km * libm::cos(angle) / (KM_PER_DEGREE * libm::cos(latitude.to_radians()));
    let millionth = |x: f64| (x * 1e6).round() / 1e6;
    (millionth(north), millionth(east))
}

/// One stream of SplitMix64 (Steele, Lea, Flood 2014) per reader: two multiplications a draw.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, what: u64, stream: usize) -> Self {
        let start = Self(seed ^ what.rotate_left(48)).next();
        Self(Self(start ^ stream as u64).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    /// Uniform in [0, 1).
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.uniform() * n as f64) as usize
    }

    /// About standard normal: twelve uniforms.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{ReadOptions, read};

    #[test]
    fn a_crowd_is_labelled_valid_and_of_the_size_that_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let options = CrowdOptions { merchants: 300, readers: 2000, orders_per_reader: 20.0, seed: 7 };
        let report = crowd(&options, folder.path(), &|_, _| {}).unwrap();
        let (tables, read) =
            read(folder.path(), &ReadOptions { max_bad_share: 0.0, ..ReadOptions::default() }).unwrap();
        assert_eq!(tables.simulated, Some(label(7)));
        assert!(read.faults.is_empty(), "{read}");
        let rows = [tables.merchants.len(), tables.readers.len(), tables.places.len(), tables.orders.len()];
        assert_eq!(rows, [report.merchants, report.readers, report.places, report.orders]);
        let mean = rows[3] as f64 / rows[1] as f64;
        assert!((18.0..22.0).contains(&mean), "{mean} orders of a reader");
        assert!(tables.orders.iter().all(|order| (START..END).contains(&order.ordered_at)));
        let far = tables.orders.iter().filter(|order| {
            let merchant = tables.merchants.iter().find(|row| row.merchant_id == order.merchant_id).unwrap();
            let to = Point::new(order.latitude.unwrap(), order.longitude.unwrap()).unwrap();
            Point::new(merchant.latitude, merchant.longitude).unwrap().distance_km(to) > 5.0
        });
        assert!(far.count() * 50 < rows[3]);
    }
}
