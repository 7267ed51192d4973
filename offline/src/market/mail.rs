//! The logging policy: messages that were sent before freshrank, with propensities and a known position bias.
//!
//! Slots are filled one after the other: with probability `explore` by any candidate, else by one of the most
//! popular in the home's cell, by a softmax over ln(1 + orders). The logged propensity is the probability of
//! the merchant in its slot, given the slots before. Messages cause no orders in this market.

use super::draw::{Dice, Key};
use super::life::{Life, Stage};
use super::oracle::Oracle;
use super::parameters;
use crate::tables::{Event, Timestamp};
use freshrank::geo::{Cell, Point};
use freshrank::time::{DAY_MINUTES, Local};
use std::collections::{BTreeMap, HashMap};

/// Orders by cell and merchant, so far.
type Counts = HashMap<Cell, BTreeMap<u32, u32>>;

/// One slot of a message.
struct Slot {
    merchant: u32,
    propensity: f64,
}

/// When messages are sent, and what was ordered before each of them: counts add up in any order.
pub struct Rounds {
    at: Vec<Timestamp>,
    counts: Vec<Counts>,
}

impl Rounds {
    pub fn new(oracle: &Oracle) -> Self {
        let p = &oracle.parameters().mail;
        let first_day = oracle.local(oracle.start()).day();
        let days = (0..oracle.parameters().window.days).step_by(usize::from(p.every_days));
        let at = days.enumerate().map(|(round, day)| {
            let minute = i64::from(p.minute_of_day[round % 2]);
            oracle.at(Local { minutes: (first_day + i64::from(day)) * DAY_MINUTES + minute })
        });
        let at: Vec<Timestamp> = at.collect();
        Self { counts: vec![Counts::new(); at.len()], at }
    }

    /// Counts the orders of a life, each in the first round that knows of it.
    pub fn count(&mut self, life: &Life) {
        for (order, past) in life.orders.iter().zip(&life.past) {
            let point = order.latitude.zip(order.longitude).and_then(|(north, east)| Point::new(north, east));
            let round = self.at.partition_point(|at| *at <= past.at);
            if let (Some(point), Some(counts)) = (point, self.counts.get_mut(round)) {
                *counts.entry(point.cell()).or_default().entry(past.merchant).or_default() += 1;
            }
        }
    }

    /// Once all lives are counted.
    pub fn end(self, oracle: &Oracle) -> Mail {
        let considered = oracle.parameters().mail.considered;
        let mut counts = Counts::new();
        let popular = self.counts.into_iter().map(|more| {
            for (cell, merchants) in more {
                let of = counts.entry(cell).or_default();
                merchants.into_iter().for_each(|(merchant, n)| *of.entry(merchant).or_default() += n);
            }
            counts.iter().map(|(&cell, merchants)| (cell, most(merchants, considered))).collect()
        });
        let popular: Vec<Popular> = popular.collect();
        Mail { rounds: self.at.into_iter().zip(popular).collect() }
    }
}

/// By cell, who is popular there, with ln(1 + orders).
type Popular = HashMap<Cell, Vec<(u32, f64)>>;

/// All rounds of the window.
pub struct Mail {
    rounds: Vec<(Timestamp, Popular)>,
}

impl Mail {
    /// What the log says of the messages to one reader.
    pub fn send(&self, stage: &Stage<'_>, life: &Life, number: usize) -> Vec<Event> {
        let letter = |(round, (at, popular)): (usize, &(Timestamp, Popular))| {
            Letter { stage, life, number, round, popular }.write(*at)
        };
        self.rounds.iter().enumerate().flat_map(letter).collect()
    }
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
    popular: &'a Popular,
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

    fn slate(&self, p: &parameters::Mail, at: Timestamp, dice: &mut Dice) -> Vec<Slot> {
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
    fn read(&self, p: &parameters::Mail, sent: Timestamp, slate: &[Slot], dice: &mut Dice) -> Vec<Event> {
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
