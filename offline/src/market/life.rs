//! One reader's life in the window: places, orders, and what the app saw of it.

use super::calendar::Calendar;
use super::draw::Dice;
use super::oracle::{Oracle, Past, Soul};
use super::parameters::{App, Dayparts, Pace, Places};
use crate::tables::spool::{decode, encode, take, take_varint, varint};
use crate::tables::{Event, Merchant, Order, Place, Reader, Status, Timestamp};
use freshrank::geo::Point;
use freshrank::time::{DAY_MINUTES, Local};

/// Minutes of the day between which a daypart's orders are placed, with the busiest; 1560 is 02:00.
const HOURS: [[f64; 3]; 4] =
    [[420.0, 540.0, 660.0], [660.0, 720.0, 960.0], [960.0, 1110.0, 1320.0], [1320.0, 1350.0, 1560.0]];

/// The daypart a reader falls back to when nobody is open.
const EVENING: usize = 2;

/// Kilometres of a degree of latitude, for scattering points; what is measured is measured on the sphere.
const KM_PER_DEGREE: f64 = 111.195;

const MINUTE: i64 = 60;

/// What all lives share.
pub struct Stage<'a> {
    pub oracle: &'a Oracle,
    pub merchants: &'a [Merchant],
    pub calendars: &'a [Calendar],
    pub market: &'a str,
    pub country: Option<&'a str>,
}

/// One reader's rows.
pub struct Life {
    pub reader: Reader,
    pub soul: Soul,
    pub home: Point,
    pub places: Vec<Place>,
    pub orders: Vec<Order>,
    pub past: Vec<Past>,
    pub events: Vec<Event>,
}

impl Life {
    /// What of it waits until its mail is sent.
    pub fn put_by(&self) -> Vec<u8> {
        let mut to = Vec::new();
        encode(0, &self.reader, &mut to);
        [self.home.latitude(), self.home.longitude()].iter().for_each(|degrees| to.extend(degrees.to_le_bytes()));
        varint(self.past.len() as u64, &mut to);
        for past in &self.past {
            varint(past.merchant.into(), &mut to);
            to.extend(past.at.to_le_bytes());
        }
        self.events.iter().for_each(|event| encode(0, event, &mut to));
        to
    }

    /// The same again, without places and orders.
    pub fn taken_up(mut bytes: &[u8], oracle: &Oracle) -> Option<Self> {
        let from = &mut bytes;
        let (_, reader) = decode::<Reader>(from)?;
        let home = Point::new(f64::from_le_bytes(take(from)?), f64::from_le_bytes(take(from)?))?;
        let mut past = Vec::new();
        for _ in 0..take_varint(from)? {
            let merchant = u32::try_from(take_varint(from)?).ok()?;
            past.push(Past { merchant, at: i64::from_le_bytes(take(from)?) });
        }
        let mut events = Vec::new();
        while !from.is_empty() {
            events.push(decode::<Event>(from)?.1);
        }
        let soul = oracle.soul(&reader.user_id);
        Some(Self { reader, soul, home, places: Vec::new(), orders: Vec::new(), past, events })
    }
}

/// Somewhere food can be brought.
struct Spot {
    point: Point,
    leaning: Dayparts,
    /// Row in the reader's places, once an order went there.
    place: Option<usize>,
}

/// A journey: its spot, and when it ends.
struct Journey {
    spot: usize,
    until: Timestamp,
}

impl Stage<'_> {
    /// The candidates of a place at a moment: who delivers there and stays open until the food is ready.
    pub fn candidates(&self, point: Point, at: Timestamp) -> Vec<(u32, f64)> {
        let local = self.oracle.local(at);
        let mut delivering = self.oracle.delivering(point, at);
        delivering.retain(|&(merchant, _)| self.calendars[merchant as usize].takes_orders(local));
        delivering
    }

    /// Lives the life of the reader of this number.
    pub fn live(&self, number: usize) -> Life {
        let parameters = self.oracle.parameters();
        let mut dice = Dice::new(self.oracle.seed(), "life", number);
        let days = f64::from(parameters.window.days);
        let launch = dice.chance(parameters.readers.launch_share);
        let arrival =
            self.oracle.start() + (dice.uniform() * if launch && days > 28.0 { 28.0 } else { days } * 86_400.0) as i64;
        let spots = self.spots(&parameters.places, &mut dice, arrival);
        let user_id = format!("u{number:06}");
        let soul = self.oracle.soul(&user_id);
        let reader = self.reader(user_id, &soul, arrival, &mut dice);
        let home = spots[0].point;
        let life = Life { reader, soul, home, places: vec![], orders: vec![], past: vec![], events: vec![] };
        let mut living = Living { stage: self, dice, life, spots, journey: None };
        living.app_open(arrival, home);
        if !living.dice.chance(parameters.readers.never_order_share) {
            living.order_on(arrival, &parameters.pace);
        }
        living.life
    }

    fn reader(&self, user_id: String, soul: &Soul, since: Timestamp, dice: &mut Dice) -> Reader {
        let parameters = self.oracle.parameters();
        let asked = dice.uniform();
        let p = &parameters.readers;
        let consent = if asked < p.consent_share {
            Some(true)
        } else {
            (asked < p.consent_share + p.refuse_share).then_some(false)
        };
        let locales = self.country.and_then(|country| parameters.locales.get(country));
        Reader {
            user_id,
            market: Some(self.market.into()),
            locale: Some(locales.and_then(|locales| dice.name(locales)).unwrap_or("en").into()),
            consent,
            membership: Some(soul.member),
            since: Some(since),
        }
    }

    /// Home, and up to three other regular places.
    fn spots(&self, p: &Places, dice: &mut Dice, at: Timestamp) -> Vec<Spot> {
        let count = 1 + dice.pick(p.counts.iter().copied()).unwrap_or(0);
        let leanings = [p.home, p.work, p.other, p.other];
        let spot = |leaning: &Dayparts| Spot { point: self.anywhere(dice, at), leaning: *leaning, place: None };
        leanings.iter().take(count).map(spot).collect()
    }

    /// Some point where a few merchants deliver; people live where food is.
    fn anywhere(&self, dice: &mut Dice, at: Timestamp) -> Point {
        let mut anchor = Point::ORIGIN;
        for _ in 0..8 {
            anchor = self.oracle.point(dice.below(self.oracle.len())).unwrap_or(Point::ORIGIN);
            let point = scatter(anchor, self.oracle.parameters().places.scatter_km, dice);
            if self.oracle.delivering(point, at).len() >= 5 {
                return point;
            }
        }
        anchor
    }
}

/// A life under way.
struct Living<'a> {
    stage: &'a Stage<'a>,
    dice: Dice,
    life: Life,
    spots: Vec<Spot>,
    journey: Option<Journey>,
}

impl Living<'_> {
    fn order_on(&mut self, arrival: Timestamp, pace: &Pace) {
        let oracle = self.stage.oracle;
        let p = &oracle.parameters().places;
        let stay = libm::pow(self.dice.uniform(), pace.stay_power);
        let gap_days = pace.gap_days * libm::exp(pace.gap_spread_readers * self.dice.normal());
        let new_share = p.new_share * libm::exp(p.new_spread * self.dice.normal() - p.new_spread * p.new_spread / 2.0);
        let lean: Dayparts = [0, 1, 2, 3].map(|_| libm::exp(pace.daypart_spread * self.dice.normal()));

        let mut due = oracle.local(arrival).minutes + 5;
        let mut forced = None;
        loop {
            let (local, daypart) = self.hour(due, pace, &lean, forced);
            let at = oracle.at(local) + self.dice.below(60) as i64;
            if at >= oracle.end() {
                return;
            }
            let spot = self.spot(at, daypart, new_share);
            if !self.order(at, spot) {
                // Nobody is open at that hour, or nobody delivers there by now: next evening, or never.
                if forced.is_some() {
                    return;
                }
                (due, forced) = (local.minutes + DAY_MINUTES / 2, Some(EVENING));
                continue;
            }
            forced = None;
            if !self.dice.chance(stay) {
                return;
            }
            let travelling = self.journey.as_ref().is_some_and(|journey| at < journey.until);
            let hurry = if travelling { p.travel_pace } else { 1.0 };
            let gap = hurry * gap_days * libm::exp(pace.gap_spread * self.dice.normal());
            due = local.minutes + 90 + (gap * DAY_MINUTES as f64) as i64;
        }
    }

    /// The wall-clock time of an order that is due, and its daypart.
    fn hour(&mut self, due: i64, pace: &Pace, lean: &Dayparts, forced: Option<usize>) -> (Local, usize) {
        let mut day = due.div_euclid(DAY_MINUTES);
        while !self.dice.chance(pace.weekdays[freshrank::time::weekday(day) as usize % 7]) {
            day += 1;
        }
        let weekend = freshrank::time::weekday(day) >= 5;
        let usual = if weekend { &pace.dayparts_weekend } else { &pace.dayparts_weekday };
        let daypart = forced.or_else(|| self.dice.pick(usual.iter().zip(lean).map(|(a, b)| a * b))).unwrap_or(EVENING);
        let minutes = day * DAY_MINUTES + triangular(HOURS[daypart], self.dice.uniform()) as i64;
        (Local { minutes: if minutes < due { minutes + DAY_MINUTES } else { minutes } }, daypart)
    }

    /// Where the order goes.
    fn spot(&mut self, at: Timestamp, daypart: usize, new_share: f64) -> usize {
        let p = &self.stage.oracle.parameters().places;
        if let Some(journey) = self.journey.as_ref().filter(|journey| at < journey.until) {
            return journey.spot;
        }
        let first = self.life.orders.is_empty();
        if !first && self.dice.chance(new_share) {
            if self.dice.chance(p.travel_share) {
                let days = self.dice.between(p.travel_days);
                let spot = self.far(at);
                self.journey = Some(Journey { spot, until: at + (days * 86_400.0) as i64 });
                return spot;
            }
            if self.dice.chance(p.unused_share)
                && let Some(spot) = self.regular(daypart, |spot| spot.place.is_none())
            {
                return spot;
            }
            let point = self.stage.anywhere(&mut self.dice, at);
            // A guest comes back, but seldom.
            self.spots.push(Spot { point, leaning: p.other.map(|x| 0.3 * x), place: None });
            return self.spots.len() - 1;
        }
        self.regular(daypart, |spot| first || spot.place.is_some()).unwrap_or(0)
    }

    fn regular(&mut self, daypart: usize, may: impl Fn(&Spot) -> bool + Clone) -> Option<usize> {
        self.dice.pick(self.spots.iter().map(move |spot| if may(spot) { spot.leaning[daypart] } else { 0.0 }))
    }

    /// The farthest of a few places; nobody returns to it after the journey.
    fn far(&mut self, at: Timestamp) -> usize {
        let home = self.life.home;
        let mut best = self.stage.anywhere(&mut self.dice, at);
        for _ in 0..5 {
            let other = self.stage.anywhere(&mut self.dice, at);
            if other.distance_km(home) > best.distance_km(home) {
                best = other;
            }
        }
        self.spots.push(Spot { point: best, leaning: [0.0; 4], place: None });
        self.spots.len() - 1
    }

    /// Orders, unless there is no candidate.
    fn order(&mut self, at: Timestamp, spot: usize) -> bool {
        let point = self.spots[spot].point;
        let candidates = self.stage.candidates(point, at);
        let Some(merchant) = self.choose(at, point, &candidates) else {
            return false;
        };

        let new_place = self.spots[spot].place.is_none();
        let place = self.place(at, spot);
        let row = &self.stage.merchants[merchant as usize];
        self.surround(at, point, new_place, &row.merchant_id);
        let (order, readers) = (&mut self.life.orders, &self.stage.oracle.parameters().readers);
        let basket = 5.0 + 9.0 * f64::from(row.price_band.unwrap_or(2)) * libm::exp(0.3 * self.dice.normal());
        let cancelled = self.dice.chance(readers.cancelled_share);
        order.push(Order {
            user_id: self.life.reader.user_id.clone(),
            merchant_id: row.merchant_id.clone(),
            ordered_at: at,
            place_id: Some(self.life.places[place].place_id.clone()),
            latitude: Some(point.latitude()),
            longitude: Some(point.longitude()),
            value: Some((basket * 10.0).round() as f32 / 10.0),
            status: if cancelled { Status::Cancelled } else { Status::Completed },
        });
        self.life.past.push(Past { merchant, at });
        true
    }

    /// Multinomial logit: adding Gumbel noise to every utility and taking the greatest is drawing with
    /// probability proportional to its exponential.
    fn choose(&mut self, at: Timestamp, point: Point, candidates: &[(u32, f64)]) -> Option<u32> {
        let moment = self.stage.oracle.moment(&self.life.soul, at, point, &self.life.past);
        let utilities: Vec<f64> = candidates.iter().map(|&candidate| moment.utility_at(candidate)).collect();
        let best = utilities.iter().copied().fold(f64::NEG_INFINITY, |a, b| if b > a { b } else { a });
        let weights: Vec<f64> = utilities.iter().map(|utility| libm::exp(utility - best)).collect();
        let chosen = self.dice.pick(weights.iter().copied())?;
        candidates.get(chosen).map(|&(merchant, _)| merchant)
    }

    fn place(&mut self, at: Timestamp, spot: usize) -> usize {
        let spot = &mut self.spots[spot];
        let places = &mut self.life.places;
        *spot.place.get_or_insert_with(|| {
            places.push(Place {
                user_id: self.life.reader.user_id.clone(),
                place_id: format!("p{}", places.len() + 1),
                latitude: spot.point.latitude(),
                longitude: spot.point.longitude(),
                first_seen_at: Some(at),
            });
            places.len() - 1
        })
    }

    /// What the app saw around an order.
    fn surround(&mut self, at: Timestamp, point: Point, new_place: bool, merchant_id: &str) {
        let p: &App = &self.stage.oracle.parameters().app;
        let trip = if new_place { p.trip_to_new_place } else { p.trip_to_known_place };
        // The very first order is at home, as a rule.
        if self.dice.chance(trip) && !self.life.orders.is_empty() {
            let minutes = self.dice.between([10.0, 180.0]) as i64;
            self.event(at - minutes * MINUTE, "trip_end", point, None);
        }
        if self.dice.chance(p.open_before_order) {
            let minutes = self.dice.between([2.0, 25.0]) as i64;
            self.app_open(at - minutes * MINUTE, point);
        }
        if self.dice.chance(p.add_before_order) {
            self.event(at - MINUTE, "add", point, Some(merchant_id));
        }
        let mut browse = p.browse_per_order;
        while self.dice.chance(browse) {
            let later = at + (self.dice.exponential(5.0) * 86_400.0) as i64;
            let daypart = self.stage.oracle.local(later).daypart().index();
            let spot = self.regular(daypart, |spot| spot.place.is_some()).unwrap_or(0);
            let point = self.spots[spot].point;
            if later < self.stage.oracle.end() {
                self.app_open(later, point);
            }
            browse -= 0.5;
        }
    }

    fn app_open(&mut self, at: Timestamp, point: Point) {
        self.event(at, "app_open", point, None);
    }

    fn event(&mut self, at: Timestamp, kind: &str, point: Point, merchant_id: Option<&str>) {
        let seen = scatter(point, self.stage.oracle.parameters().app.gps_km, &mut self.dice);
        self.life.events.push(Event {
            user_id: self.life.reader.user_id.clone(),
            at,
            kind: kind.into(),
            merchant_id: merchant_id.map(Into::into),
            latitude: Some(seen.latitude()),
            longitude: Some(seen.longitude()),
            ..Event::default()
        });
    }
}

/// A point at an exponential distance in any direction, in whole millionths of a degree.
fn scatter(around: Point, mean_km: f64, dice: &mut Dice) -> Point {
    let (km, angle) = (dice.exponential(mean_km), dice.uniform() * core::f64::consts::TAU);
    let north = km * libm::sin(angle) / KM_PER_DEGREE;
    let east = km * libm::cos(angle) / (KM_PER_DEGREE * libm::cos(around.latitude().to_radians()));
    let millionth = |x: f64| (x * 1e6).round() / 1e6;
    Point::new(millionth(around.latitude() + north), millionth(around.longitude() + east)).unwrap_or(around)
}

/// The inverse distribution function of a triangle.
fn triangular([from, mode, to]: [f64; 3], u: f64) -> f64 {
    let left = (mode - from) / (to - from);
    if u < left {
        from + libm::sqrt(u * (to - from) * (mode - from))
    } else {
        to - libm::sqrt((1.0 - u) * (to - from) * (to - mode))
    }
}
