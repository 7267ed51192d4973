//! The logging policy: messages that were sent before freshrank, with propensities and a known position bias.
//!
//! Slots are filled one after the other: with probability `explore` by any candidate, else by one of the most
//! popular in the home's cell, by a softmax over ln(1 + orders). The logged propensity is the probability of
//! the merchant in its slot, given the slots before. Messages cause no orders in this market.

use super::draw::{Dice, Key};
use super::life::{Life, Stage};
use super::parameters::Mail;
use crate::tables::{Event, Timestamp};
use freshrank::geo::Cell;
use freshrank::time::{DAY_MINUTES, Local};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// Orders by cell and merchant, so far.
type Counts = HashMap<Cell, BTreeMap<u32, u32>>;

/// One slot of a message.
struct Slot {
    merchant: u32,
    propensity: f64,
}

/// All mail of the window.
pub fn send(stage: &Stage<'_>, lives: &[Life]) -> Vec<Event> {
    let oracle = stage.oracle;
    let p = &oracle.parameters().mail;
    let mut orders: Vec<(Timestamp, Cell, u32)> = lives.iter().flat_map(ordered).collect();
    orders.sort_unstable();
    let first_day = oracle.local(oracle.start()).day();
    let mut counts = Counts::new();
    let mut counted = 0;
    let mut events = Vec::new();
    for (round, day) in (0..oracle.parameters().window.days).step_by(usize::from(p.every_days)).enumerate() {
        let minute = i64::from(p.minute_of_day[round % 2]);
        let at = oracle.at(Local { minutes: (first_day + i64::from(day)) * DAY_MINUTES + minute });
        for &(_, cell, merchant) in orders[counted..].iter().take_while(|order| order.0 < at) {
            *counts.entry(cell).or_default().entry(merchant).or_default() += 1;
            counted += 1;
        }
        let popular: HashMap<Cell, Vec<(u32, f64)>> =
            counts.iter().map(|(&cell, merchants)| (cell, most(merchants, p.considered))).collect();
        let write = |(number, life)| Letter { stage, life, number, round, popular: &popular }.write(at);
        let letters: Vec<Vec<Event>> = lives.par_iter().enumerate().map(write).collect();
        events.extend(letters.into_iter().flatten());
    }
    events
}

fn ordered(life: &Life) -> impl Iterator<Item = (Timestamp, Cell, u32)> {
    life.orders.iter().zip(&life.past).filter_map(|(order, past)| {
        let point = freshrank::geo::Point::new(order.latitude?, order.longitude?)?;
        Some((past.at, point.cell(), past.merchant))
    })
}

/// The most ordered from, with ln(1 + orders); equal ones in the order of the table.
fn most(merchants: &BTreeMap<u32, u32>, considered: usize) -> Vec<(u32, f64)> {
    let mut all: Vec<(u32, u32)> = merchants.iter().map(|(&merchant, &count)| (merchant, count)).collect();
    all.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    all.truncate(considered);
    all.into_iter().map(|(merchant, count)| (merchant, libm::log1p(f64::from(count)))).collect()
}

/// One reader's message of one round.
struct Letter<'a> {
    stage: &'a Stage<'a>,
    life: &'a Life,
    number: usize,
    round: usize,
    popular: &'a HashMap<Cell, Vec<(u32, f64)>>,
}

impl Letter<'_> {
    /// What the log says of it; nothing without consent, or before the reader came.
    fn write(&self, at: Timestamp) -> Vec<Event> {
        let (p, reader) = (&self.stage.oracle.parameters().mail, &self.life.reader);
        if reader.consent != Some(true) || reader.since.is_none_or(|since| since > at) {
            return Vec::new();
        }
        let mut dice = Dice::new(self.stage.oracle.seed(), "mail", self.number * 1024 + self.round);
        let sent = at + dice.below(1200) as i64;
        let slate = self.slate(p, sent, &mut dice);
        if slate.len() < p.slots { Vec::new() } else { self.read(p, sent, &slate, &mut dice) }
    }

    fn slate(&self, p: &Mail, at: Timestamp, dice: &mut Dice) -> Vec<Slot> {
        let mut left: Vec<(u32, f64)> = self.stage.candidates(self.life.home, at);
        let popular = self.popular.get(&self.life.home.cell()).map_or(&[][..], Vec::as_slice);
        let popular: BTreeMap<u32, f64> = popular.iter().copied().collect();
        left.iter_mut().for_each(|(merchant, weight)| {
            *weight = popular.get(merchant).map_or(0.0, |score| libm::exp(score / p.temperature));
        });
        let mut slate = Vec::with_capacity(p.slots);
        while slate.len() < p.slots && !left.is_empty() {
            let total: f64 = left.iter().map(|(_, weight)| weight).sum();
            let explore = if total > 0.0 { p.explore } else { 1.0 };
            let even = explore / left.len() as f64;
            let share = |weight: f64| {
                if total > 0.0 { (1.0 - explore) * weight / total + even } else { even }
            };
            let Some(chosen) = dice.pick(left.iter().map(|&(_, weight)| share(weight))) else {
                break;
            };
            let (merchant, weight) = left.remove(chosen);
            slate.push(Slot { merchant, propensity: share(weight) });
        }
        slate
    }

    /// Proxies and people fetch it, people see and click it, scanners click everything.
    fn read(&self, p: &Mail, sent: Timestamp, slate: &[Slot], dice: &mut Dice) -> Vec<Event> {
        let oracle = self.stage.oracle;
        let key = Key::new(oracle.seed(), "mailbox", &self.life.reader.user_id);
        let mailboxes = &oracle.parameters().readers.mailboxes;
        let mailbox = at_share(mailboxes, key.uniform());
        let [seldom, often] = p.open_rate;
        let open_rate = seldom + (often - seldom) * key.and(1).uniform();
        let mut log = Log { letter: self, slate, events: Vec::new() };

        let opened = dice.chance(open_rate).then(|| sent + 60 + dice.exponential(5.0 * 3600.0) as i64);
        // Apple's relay fetches every picture soon after delivery, read or not.
        let fetched = if mailbox == "apple" { Some(sent + dice.between([60.0, 1800.0]) as i64) } else { opened };
        if dice.chance(p.scanner_share) {
            log.all(sent + 5, "click", "scanner");
        }
        if let Some(at) = fetched {
            log.all(at, "served", mailbox);
        }
        let Some(at) = opened else { return log.events };
        log.all(at, "seen", mailbox);
        let moment = oracle.moment(&self.life.soul, at, self.life.home, &self.life.past);
        for (slot, shown) in slate.iter().enumerate() {
            let examined = dice.chance(libm::pow(1.0 + slot as f64, -p.examine_power));
            let logit = p.click_intercept + p.click_slope * moment.utility(shown.merchant);
            let liked = dice.chance(1.0 / (1.0 + libm::exp(-logit)));
            let (pause, added) = (dice.between([3.0, 90.0]) as i64, dice.chance(p.add_after_click));
            if examined && liked {
                log.one(at + pause, "click", mailbox, slot);
                if added {
                    log.one(at + pause + 60, "add", mailbox, slot);
                }
            }
        }
        log.events
    }
}

/// The name at a share of the whole.
fn at_share(shares: &BTreeMap<String, f64>, u: f64) -> &str {
    let mut left = u * shares.values().sum::<f64>();
    let mut names = shares.iter();
    names
        .find(|(_, share)| {
            left -= **share;
            left < 0.0
        })
        .map_or("unknown", |(name, _)| name.as_str())
}

struct Log<'a> {
    letter: &'a Letter<'a>,
    slate: &'a [Slot],
    events: Vec<Event>,
}

impl Log<'_> {
    fn all(&mut self, at: Timestamp, kind: &str, mailbox: &str) {
        (0..self.slate.len()).for_each(|slot| self.one(at, kind, mailbox, slot));
    }

    fn one(&mut self, at: Timestamp, kind: &str, mailbox: &str, slot: usize) {
        let (letter, shown) = (self.letter, &self.slate[slot]);
        self.events.push(Event {
            user_id: letter.life.reader.user_id.clone(),
            at,
            kind: kind.into(),
            merchant_id: Some(letter.stage.merchants[shown.merchant as usize].merchant_id.clone()),
            latitude: None,
            longitude: None,
            message_id: Some(format!("m{:02}-{}", letter.round, letter.life.reader.user_id)),
            slot: u32::try_from(slot).ok(),
            propensity: Some(shown.propensity as f32),
            mailbox: Some(mailbox.into()),
        });
    }
}
