//! A simulated market: made-up demand over real merchants.
//!
//! No public orders go with the merchants of OpenStreetMap, so readers, places, orders, offers and events are
//! drawn from a choice model whose every number stands in `offline/market.toml`. That file was frozen before
//! any model was trained. **The market shows mechanics, not quality**: whoever wrote the choice model knows what
//! a good feature is, so a ranker that wins here has shown that rows, labels, training and serving fit together,
//! and nothing about real readers. Every output says that it is simulated.
//!
//! # The choice
//!
//! An order goes to one of the merchants that deliver to its place, are listed, and stay open until the food is
//! ready. Reader *r* takes the merchant *m* that maximises *V + ε*, with *ε* standard Gumbel: a multinomial logit
//! (McFadden 1974). At time *t*, place *p*, with *d* the distance in km and the weights of `[utility]`:
//!
//! ```text
//! V =  taste · ⟨u_r + drift(r, month), x_m⟩        latent vectors over the cuisine groups
//!    + label · mean taste for the labels of m      beyond their groups
//!    + appeal(g_m) + daypart(g_m, t)               what a group is worth, and when
//!    + fame(m) + quality(m) − prep(m)              the same for everyone
//!    − price · (band_m − band_r)²
//!    − distance · δ_r · d − fee · fee_m            members pay no fee
//!    + η_r · (habit + habit_choice · ln(n/100)) · ln(1 + Σ 2^(−age/half-life))    own orders at m; n deliver to p
//!    − satiation, if m was ordered from within 18 hours
//!    + chain · ln(1 + the same sum at other outlets of the chain)
//!    + offer · ω_r · best offer that holds for r, in usual baskets
//!    + bond(r, m) + standing(m, cell 7 of p) + word(m, cell 8 of p, week) + buzz(m, week)
//!    + rain(t) · (comfort(g_m) − rain_distance · d)
//! ```
//!
//! `x_m` is the mean of its groups' unit vectors with a part of its own; `u_r` is standard normal; `δ`, `η` and
//! `ω` are log-normal with median 1. The last two lines are `[unseen]`: no column of the tables has them, though
//! popularity in the cell sees the shadow of `standing`, and own orders that of `bond`.
//!
//! # Readers
//!
//! A reader has one to four regular places, each leaned to by daypart; a later order goes with `new_share` to a
//! place never used before: a regular one not used so far, a guest's, or the begin of a journey, whose orders then
//! stay there. After each order a reader comes back with probability *u^stay_power*, *u* uniform: by itself that
//! gives one order at the median and a tail of order 1/n. Gaps are log-normal around the reader's own median.
//!
//! # What it is fitted to
//!
//! [`Moments`] of real food delivery: the median reader has one order; the median gap of those who return is a week;
//! half of their later orders repeat a merchant; one in eight goes to a place never used before. A test holds the
//! frozen numbers to that.
//!
//! # What is made up about merchants
//!
//! Price band, rating with its count, quality, delivery radius, preparation, fee and the date of listing, where the
//! table has none. What the table has (name, coordinates, hours, cuisines, chain) is left alone.
//!
//! # A second form
//!
//! [`Form::Urn`] has the same city, readers, places, hours and mail, and another choice (`market/urn.rs`): what a ranker learnt from
//! one of the two, and still knows in the other, is not the shape of the formula above.
//!
//! Everything depends on the seed, the parameters and the merchants only, not on threads or the machine. Readers are
//! simulated in blocks and written as they come: their orders first, from which the mail of each round takes who is
//! popular, and then their mail, so that nothing holds all of them.

pub use moments::Moments;
pub use oracle::{Groups, Moment, Oracle, Past, Soul};
pub use parameters::Parameters;
pub use urn::UrnParameters;

mod draw;
pub mod parameters;
mod calendar;
mod enrich;
pub mod urn;
pub mod oracle;
mod life;
mod mail;
mod moments;

use crate::hours;
use crate::tables::runs::{Merge, Writing};
use crate::tables::{Event, Merchant, Offer, Order, Place, Reader, Sheet, TableError, Tables, Timestamp};
use calendar::Calendar;
use draw::Dice;
use freshrank::time::DAY_MINUTES;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use life::{Life, Stage};
use moments::Counts;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

const DAY: i64 = 86_400;

/// Readers, unless told.
pub const USERS: usize = 20_000;
/// Readers that are simulated and written at once.
const BLOCK: usize = 4096;
/// What of their lives their mail needs, beside the tables until it is sent.
const LIVES: &str = ".lives";

/// What a market cannot be made of.
#[derive(Debug, thiserror::Error)]
pub enum MarketError {
    /// A number that makes no market, or a file that is no TOML.
    #[error("market parameters: {0}")]
    Parameters(String),
    /// Nobody to order from.
    #[error("no merchants: a market needs at least one")]
    NoMerchants,
    /// Not on Earth.
    #[error("merchant {merchant_id:?}: coordinates are out of range")]
    Coordinates {
        /// Whose.
        merchant_id: String,
    },
    /// The oracle's file.
    #[error("{path}: {what}", path = path.display())]
    Oracle {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The tables cannot be written.
    #[error(transparent)]
    Tables(#[from] TableError),
}

/// A market that was made up.
#[derive(Debug, Clone)]
pub struct Market {
    /// All six tables; merchants are the real ones, with what was missing filled. Where they were written, those of readers
    /// are empty here.
    pub tables: Tables,
    /// What everybody truly wants.
    pub oracle: Oracle,
    /// What the orders look like.
    pub moments: Moments,
    /// Merchants whose opening hours are missing or not readable; open 10:00 to 21:00 here.
    pub unknown_hours: usize,
}

/// How readers choose.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Form {
    /// By a multinomial logit: the formula above.
    #[default]
    Logit,
    /// By an urn of own orders and a gravity of the others.
    Urn(Box<UrnParameters>),
}

/// What [`Tables::simulated`] says of such a market.
#[must_use]
pub fn label(seed: u64) -> String {
    label_of(seed, false)
}

fn label_of(seed: u64, urn: bool) -> String {
    let form = if urn { " --form urn" } else { "" };
    format!("simulated by `freshrank market{form}`, seed {seed}: demand is made up, merchants are real")
}

/// Makes up the demand of `users` readers for these merchants; `market` is the layer path of the city, `fi/helsinki`.
///
/// # Errors
/// No merchant, a merchant that is nowhere on Earth, or parameters that make no market.
pub fn simulate(
    merchants: &[Merchant],
    parameters: &Parameters,
    seed: u64,
    users: usize,
    market: &str,
) -> Result<Market, MarketError> {
    simulate_as(&Form::Logit, merchants, parameters, seed, users, market)
}

/// As [`simulate`], with readers who choose by this form.
///
/// # Errors
/// As [`simulate`].
pub fn simulate_as(
    form: &Form,
    merchants: &[Merchant],
    parameters: &Parameters,
    seed: u64,
    users: usize,
    market: &str,
) -> Result<Market, MarketError> {
    let city = City::new(form, merchants, parameters, seed, market)?;
    let mut rows = Tables::default();
    let moments = city.people(users, BLOCK, &mut rows, None, &|_, _| ())?;
    sort(&mut rows);
    let Tables { readers, places, orders, events, .. } = rows;
    let made = city.made(moments);
    Ok(Market { tables: Tables { readers, places, orders, events, ..made.tables }, ..made })
}

/// Writes such a market as Parquet, block by block of readers; reading the tables gives the rows of [`simulate_as`].
/// `progress` is told the readers whose orders, and then those whose mail is done, and of how many.
///
/// # Errors
/// As [`simulate`], and a directory that cannot be written to.
#[allow(clippy::too_many_arguments, reason = "what makes a market, where it goes, and who is told")]
pub fn write_as(
    form: &Form,
    merchants: &[Merchant],
    parameters: &Parameters,
    seed: u64,
    users: usize,
    market: &str,
    out: &Path,
    progress: &dyn Fn(usize, usize),
) -> Result<Market, MarketError> {
    let city = City::new(form, merchants, parameters, seed, market)?;
    std::fs::create_dir_all(out).map_err(|source| TableError::Io { file: out.to_owned(), source })?;
    let label = city.label();
    let simulated = Some(label.as_str());
    let mut sheets = Sheets {
        readers: Sheet::new(out, simulated)?,
        places: Sheet::new(out, simulated)?,
        orders: Sheet::new(out, simulated)?,
        events: Sheet::new(out, simulated)?,
    };
    let lives = out.join(LIVES);
    let moments = city.people(users, BLOCK, &mut sheets, Some(lives.clone()), progress)?;
    std::fs::remove_file(&lives).map_err(|source| TableError::Io { file: lives, source })?;
    let mut sheet = Sheet::<Merchant>::new(out, simulated)?;
    sheet.put(&city.merchants)?;
    sheet.close()?;
    let mut sheet = Sheet::<Offer>::new(out, simulated)?;
    sheet.put(&city.offers)?;
    sheet.close()?;
    sheets.readers.close()?;
    sheets.places.close()?;
    sheets.orders.close()?;
    sheets.events.close()?;
    city.oracle.write(out)?;
    Ok(city.made(moments))
}

/// Everything but the readers.
struct City<'m> {
    merchants: Vec<Merchant>,
    offers: Vec<Offer>,
    oracle: Oracle,
    calendars: Vec<Calendar>,
    unknown_hours: usize,
    market: &'m str,
    seed: u64,
    urn: bool,
}

impl<'m> City<'m> {
    fn new(
        form: &Form,
        merchants: &[Merchant],
        parameters: &Parameters,
        seed: u64,
        market: &'m str,
    ) -> Result<Self, MarketError> {
        let zone = zone(merchants, parameters)?;
        let start = oracle::start(parameters, &zone)?;
        let groups = Groups::new(parameters, seed);
        let mut merchants = merchants.to_vec();
        for merchant in &mut merchants {
            enrich::enrich(merchant, parameters, &groups, seed, start);
        }
        let offers = offers(&merchants, parameters, seed, start);
        let oracle = Oracle::new(&merchants, &offers, parameters, seed, zone)?.with_form(form, &merchants);
        let hours: Vec<Option<Calendar>> =
            merchants.par_iter().map(|merchant| calendar(merchant, parameters)).collect();
        let unknown_hours = hours.iter().filter(|hours| hours.is_none()).count();
        let calendars = merchants.iter().zip(hours).map(|(m, hours)| hours.unwrap_or_else(|| daytime(m, parameters)));
        let calendars = calendars.collect();
        let urn = *form != Form::Logit;
        Ok(Self { merchants, offers, oracle, calendars, unknown_hours, market, seed, urn })
    }

    fn label(&self) -> String {
        label_of(self.seed, self.urn)
    }

    /// Lives all lives, then sends all mail; `lives` is where what mail needs of them waits, else memory.
    fn people(
        &self,
        users: usize,
        block: usize,
        rows: &mut dyn Ledger,
        lives: Option<PathBuf>,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Moments, MarketError> {
        let country = country(&self.merchants, self.market);
        let stage = Stage {
            oracle: &self.oracle,
            merchants: &self.merchants,
            calendars: &self.calendars,
            market: self.market,
            country: country.as_deref(),
        };
        let (mut counts, mut rounds) = (Counts::default(), mail::Rounds::new(&self.oracle));
        let mut waiting = Writing::new(lives)?;
        for from in (0..users).step_by(block) {
            let to = (from + block).min(users);
            let lived: Vec<Life> = (from..to).into_par_iter().map(|number| stage.live(number)).collect();
            let mut some = Tables::default();
            for (number, life) in (from..).zip(lived) {
                counts.add_reader(life.orders.iter());
                rounds.count(&life);
                waiting.put(&number.to_be_bytes(), &life.put_by())?;
                some.readers.push(life.reader);
                some.places.extend(life.places);
                some.orders.extend(life.orders);
            }
            sort(&mut some);
            rows.put(&some)?;
            progress(to, 2 * users);
        }
        let lives = [waiting.end()?];
        let mail = rounds.end(&self.oracle);
        let mut waiting = Merge::new(&lives)?;
        for from in (0..users).step_by(block) {
            let to = (from + block).min(users);
            let records = waiting.by_ref().take(to - from).collect::<Result<Vec<_>, _>>()?;
            let damaged = || TableError::Damaged { file: PathBuf::from(LIVES) };
            let send = |(number, (_, bytes)): (usize, &(Vec<u8>, Vec<u8>))| {
                let mut life = Life::taken_up(bytes, &self.oracle).ok_or_else(damaged)?;
                let mut events = mail.send(&stage, &life, number);
                // Mail stands before what the app saw in the same second.
                events.append(&mut life.events);
                Ok(events)
            };
            let numbered = records.par_iter().enumerate().map(|(i, record)| (from + i, record));
            let events: Vec<Vec<Event>> = numbered.map(send).collect::<Result<_, TableError>>()?;
            let mut some = Tables { events: events.into_iter().flatten().collect(), ..Tables::default() };
            sort(&mut some);
            rows.put(&some)?;
            progress(users + to, 2 * users);
        }
        Ok(counts.moments(self.merchants.len()))
    }

    fn made(self, moments: Moments) -> Market {
        let simulated = Some(self.label());
        let Self { merchants, offers, oracle, unknown_hours, .. } = self;
        Market { tables: Tables { merchants, offers, simulated, ..Tables::default() }, oracle, moments, unknown_hours }
    }
}

/// Whoever takes the rows of a block of readers.
trait Ledger {
    fn put(&mut self, some: &Tables) -> Result<(), TableError>;
}

impl Ledger for Tables {
    fn put(&mut self, some: &Tables) -> Result<(), TableError> {
        self.readers.extend_from_slice(&some.readers);
        self.places.extend_from_slice(&some.places);
        self.orders.extend_from_slice(&some.orders);
        self.events.extend_from_slice(&some.events);
        Ok(())
    }
}

/// Files that are not whole yet.
struct Sheets {
    readers: Sheet<Reader>,
    places: Sheet<Place>,
    orders: Sheet<Order>,
    events: Sheet<Event>,
}

impl Ledger for Sheets {
    fn put(&mut self, some: &Tables) -> Result<(), TableError> {
        self.readers.put(&some.readers)?;
        self.places.put(&some.places)?;
        self.orders.put(&some.orders)?;
        self.events.put(&some.events)
    }
}

/// Stable: what happens to one reader in one second keeps its order.
fn sort(tables: &mut Tables) {
    tables
        .orders
        .sort_by(|a, b| (a.ordered_at, &a.user_id, &a.merchant_id).cmp(&(b.ordered_at, &b.user_id, &b.merchant_id)));
    tables.events.sort_by(|a, b| (a.at, &a.user_id).cmp(&(b.at, &b.user_id)));
}

/// The zone that is asked for, else the one the middle merchant lies in.
fn zone(merchants: &[Merchant], parameters: &Parameters) -> Result<TimeZone, MarketError> {
    let middle = |value: fn(&Merchant) -> f64| {
        let mut all: Vec<f64> = merchants.iter().map(value).collect();
        all.sort_unstable_by(f64::total_cmp);
        all.get(all.len() / 2).copied().ok_or(MarketError::NoMerchants)
    };
    let (latitude, longitude) = (middle(|m| m.latitude)?, middle(|m| m.longitude)?);
    let name = match &parameters.window.time_zone {
        Some(name) => name.clone(),
        None => hours::time_zone(latitude, longitude).to_owned(),
    };
    zone_of(&name).map_err(|err| MarketError::Parameters(format!("window.time_zone: {err}")))
}

/// From the database in the program: results must not depend on what the machine has installed.
fn zone_of(name: &str) -> Result<TimeZone, jiff::Error> {
    if name == "UTC" { Ok(TimeZone::UTC) } else { TimeZoneDatabase::bundled().get(name) }
}

/// Where most merchants are, else the first part of the market's path.
fn country(merchants: &[Merchant], market: &str) -> Option<String> {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    merchants.iter().filter_map(|m| m.country.as_deref()).for_each(|country| *counts.entry(country).or_default() += 1);
    let most = counts.into_iter().max_by_key(|&(_, count)| count).map(|(country, _)| country.to_owned());
    let path = || market.split('/').next().filter(|part| part.len() == 2).map(str::to_uppercase);
    most.or_else(path)
}

/// Promotions of the window, merchant by merchant.
fn offers(merchants: &[Merchant], parameters: &Parameters, seed: u64, start: Timestamp) -> Vec<Offer> {
    let p = &parameters.offers;
    let mut offers = Vec::new();
    for (number, merchant) in merchants.iter().enumerate() {
        let mut dice = Dice::new(seed, "offers", number);
        let mut day = 0.0;
        loop {
            day += dice.exponential(30.0 / p.per_merchant_month);
            if day >= f64::from(parameters.window.days) {
                break;
            }
            let length = dice.between(p.days);
            let kind = dice.name(&p.kinds).unwrap_or("percent");
            let value = match kind {
                "percent" => 5.0 * (2 + dice.below(7)) as f32,
                "amount" => (3 + dice.below(6)) as f32,
                _ => 0.0,
            };
            let audience = dice.name(&p.audiences).unwrap_or("all");
            offers.push(Offer {
                offer_id: format!("o{:05}", offers.len() + 1),
                merchant_id: merchant.merchant_id.clone(),
                kind: kind.into(),
                value,
                starts_at: start + (day as i64) * DAY,
                ends_at: start + ((day + length) as i64) * DAY,
                audience: Some(audience.into()),
                terms: None,
            });
            day += length;
        }
    }
    offers
}

/// Opening hours over the window and the day before it, for those who close after midnight.
fn calendar(merchant: &Merchant, parameters: &Parameters) -> Option<Calendar> {
    let first = parameters.window.start.yesterday().ok()?;
    let days = parameters.window.days + 1;
    let hours = hours::compile(merchant.opening_hours.as_deref()?, merchant.into(), first, days).ok()?;
    let dates = first.series(jiff::Span::new().days(1)).take(days.into());
    let day = |(n, date)| {
        let midnight = (first_day(parameters) - 1 + n) * DAY_MINUTES;
        let opening = move |(open, close)| (midnight + i64::from(open), midnight + i64::from(close));
        hours.on(date).into_iter().map(opening)
    };
    Some(Calendar::new((0..).zip(dates).flat_map(day).collect(), prep(merchant)))
}

fn daytime(merchant: &Merchant, parameters: &Parameters) -> Calendar {
    let [open, close] = parameters.merchants.unknown_hours.map(i64::from);
    let day = |n: i64| (first_day(parameters) + n) * DAY_MINUTES;
    Calendar::new(
        (-1..=i64::from(parameters.window.days)).map(|n| (day(n) + open, day(n) + close)).collect(),
        prep(merchant),
    )
}

fn prep(merchant: &Merchant) -> i64 {
    merchant.prep_minutes.map_or(20, |minutes| minutes as i64)
}

/// Days from 1970-01-01 to the first day of the window.
fn first_day(parameters: &Parameters) -> i64 {
    let start = parameters.window.start;
    freshrank::time::days_from_civil(start.year().into(), start.month().into(), start.day().into())
}

#[cfg(test)]
mod tests;
