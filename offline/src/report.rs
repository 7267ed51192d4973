//! What each arm of an experiment brought, and whether its readers are as many as were asked for.
//!
//! Arms are drawn by reader, so the reader is the unit of every interval: a reader with ten messages is one
//! observation. A rate is the ratio of two sums over readers; its variance comes from linearizing that ratio
//! (Deng, Knoblich and Lu 2018, "Applying the Delta Method in Metric Analytics"). Before any rate is believed, the sample
//! ratio is tested (Fabijan et al. 2019, "Diagnosing Sample Ratio Mismatch"): Pearson's chi-square of readers an arm
//! against the shares that were configured.

use crate::import::log::{self, Messages, SCAN, SCANNER};
use crate::profiles::reader_id;
use crate::tables::{Status, Tables, Timestamp};
use freshrank::record::{How, Record};
use freshrank::request::from_base64url;
use freshrank::{Hash, Profile};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// The arm of readers that no arm claims.
pub const CONTROL: &str = "control";
/// Orders within this many days of a reader's first message count for it.
pub const ORDER_DAYS: i64 = 7;
/// Below this, readers were not split as configured, and no rate is to be believed.
pub const MISMATCH_P: f64 = 0.001;
/// Of the normal distribution, two-sided 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// Why a decision log cannot be read.
#[derive(Debug, Error)]
#[error("line {line}: {problem}")]
pub struct LogError {
    /// From 1.
    pub line: usize,
    /// What was found and what was expected.
    pub problem: String,
}

/// One message of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The sender's id of the message, as its events carry it; or the hash of that id, as the edge's records do.
    pub message: String,
    /// As its profile says; a message without a profile is a reader of its own.
    pub reader: Option<u64>,
    /// Seconds since 1970.
    pub at: Timestamp,
    /// Which side it is on.
    pub arm: String,
}

#[derive(Deserialize)]
struct Line {
    request: Request,
    reply: Reply,
}

#[derive(Deserialize)]
struct Request {
    profile: Option<String>,
}

#[derive(Deserialize)]
struct Reply {
    id: Option<String>,
    at: String,
    campaign: String,
    arm: Option<String>,
}

/// Only records say what they are.
#[derive(Deserialize)]
struct Sort {
    r#type: Option<serde::de::IgnoredAny>,
}

/// Reads one line of what `freshrank rank --log` writes; `None` for a message of another campaign.
///
/// # Errors
/// What is missing on that line.
pub fn sent(line: usize, text: &str, campaign: Option<&str>) -> Result<Option<Sent>, LogError> {
    let wrong = |problem: String| LogError { line, problem };
    let logged: Line = serde_json::from_str(text)
        .map_err(|error| wrong(format!("{error}, expected as `freshrank rank --log` writes it")))?;
    if campaign.is_some_and(|campaign| campaign != logged.reply.campaign) {
        return Ok(None);
    }
    let message = logged.reply.id.ok_or_else(|| wrong("the request had no id, so no event can name it".into()))?;
    let profile = match &logged.request.profile {
        Some(text) => {
            let bytes = from_base64url(text).map_err(|error| wrong(error.to_string()))?;
            Some(Profile::decode(&bytes).map_err(|error| wrong(error.to_string()))?)
        }
        None => None,
    };
    let at = freshrank::time::parse(&logged.reply.at).map_err(wrong)?;
    let arm = logged.reply.arm.unwrap_or_else(|| CONTROL.into());
    Ok(Some(Sent { message, reader: profile.map(|profile| profile.reader).filter(|reader| *reader != 0), at, arm }))
}

/// What the edge's records tell, message by message.
#[derive(Debug, Default)]
pub struct Told {
    /// By hash of the message's id.
    messages: BTreeMap<String, Sent>,
    seen: BTreeSet<String>,
    /// Message, slot from 0, time; and whether a scanner made it.
    clicks: BTreeMap<(String, Option<u32>, Timestamp), bool>,
    /// Decisions for nobody: messages without consent.
    pub nobodys: usize,
}

impl Told {
    /// Adds a line, if it is a record; `None` for what `freshrank rank --log` writes.
    ///
    /// # Errors
    /// A record that is not as the edge writes it.
    pub fn add(&mut self, line: usize, text: &str, of: &Of<'_>) -> Result<Option<()>, LogError> {
        if matches!(serde_json::from_str(text), Ok(Sort { r#type: None })) {
            return Ok(None);
        }
        let told = log::record(text).map_err(|(fault, what)| LogError { line, problem: format!("{fault}: {what}") })?;
        if of.campaign.is_some_and(|wanted| wanted != told.record.campaign()) {
            return Ok(Some(()));
        }
        let Some(hash) = told.message else {
            self.nobodys += 1;
            return Ok(Some(()));
        };
        let (message, at) = (hash.to_string(), told.at);
        match told.record {
            Record::Decision(decision) => {
                let reader = of.messages.of(hash).map(|(_, user_id)| reader_id(of.secret, user_id));
                let arm = decision.arm.unwrap_or_else(|| CONTROL.into());
                if decision.how == How::Seen {
                    self.seen.insert(message.clone());
                }
                // Of a message that is decided again, the first decision is its beginning.
                let sent = self.messages.entry(message.clone()).or_insert(Sent { message, reader, at, arm });
                sent.at = sent.at.min(at);
            }
            Record::Look(_) => {
                self.seen.insert(message);
            }
            Record::Click(click) => {
                self.clicks.insert((message, click.slot.checked_sub(1).map(u32::from), at), click.scanner);
            }
        }
        Ok(Some(()))
    }

    /// The messages, each once.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.messages.values().cloned().collect()
    }
}

/// With what records are joined.
#[derive(Debug)]
pub struct Of<'a> {
    /// Others are passed over.
    pub campaign: Option<&'a str>,
    /// Whose messages are; of an unknown one the reader is nobody else.
    pub messages: &'a Messages,
    /// What readers' ids are made with.
    pub secret: &'a [u8],
}

/// What there is to say of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Said first where the tables are simulated.
    pub simulated: Option<String>,
    /// In the order of their names, control first.
    pub arms: Vec<Arm>,
    /// Whether readers were split as configured; absent where there is one arm alone.
    pub sample_ratio: Option<SampleRatio>,
    /// Events that name a message which is not in the log.
    pub events_without_message: usize,
    /// Clicks by security scanners, which count for nobody.
    pub scanner_clicks: usize,
}

/// One side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Arm {
    /// Its id.
    pub arm: String,
    /// Who was drawn into it.
    pub readers: usize,
    /// What was decided for them.
    pub messages: usize,
    /// Messages that a person saw, of all; absent where nothing tells.
    pub seen: Option<Rate>,
    /// Clicks a message.
    pub clicks: Rate,
    /// Readers with an order within [`ORDER_DAYS`] of their first message; absent without an orders table.
    pub orders: Option<Rate>,
}

/// A ratio with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    /// The numerator.
    pub count: usize,
    /// Of all.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// This arm less control, with its interval; absent for control itself.
    pub difference: Option<(f64, f64, f64)>,
}

/// Pearson's test of the readers an arm against the configured shares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SampleRatio {
    /// The statistic.
    pub chi_square: f64,
    /// Arms less one.
    pub degrees_of_freedom: usize,
    /// How often chance alone is as far off.
    pub p: f64,
    /// Whether that is too seldom to believe any rate.
    pub mismatch: bool,
}

/// Counts of one reader.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    messages: f64,
    seen: f64,
    clicks: f64,
    first_at: Timestamp,
    ordered: bool,
}

/// Adds up a log, and the events and orders that followed; these come in parts, and in any order.
#[derive(Debug)]
pub struct Adding<'l> {
    /// By arm and reader.
    readers: BTreeMap<(String, String), Tally>,
    of_message: BTreeMap<&'l str, (String, String)>,
    /// In which arms a reader is, by id.
    of_reader: BTreeMap<String, Vec<String>>,
    secret: &'l [u8],
    with_orders: bool,
    seen: BTreeSet<&'l str>,
    told: Option<&'l Told>,
    events_without_message: usize,
    scanner_clicks: usize,
}

impl<'l> Adding<'l> {
    /// The log; `secret` is what its readers' ids were made with.
    #[must_use]
    pub fn new(log: &'l [Sent], secret: &'l [u8]) -> Self {
        let mut all = Self {
            readers: BTreeMap::new(),
            of_message: BTreeMap::new(),
            of_reader: BTreeMap::new(),
            secret,
            with_orders: false,
            seen: BTreeSet::new(),
            told: None,
            events_without_message: 0,
            scanner_clicks: 0,
        };
        for sent in log {
            let id = sent.reader.map(|id| format!("{id:016x}"));
            let key = (sent.arm.clone(), id.clone().unwrap_or_else(|| format!("message {}", sent.message)));
            let first = Tally { first_at: sent.at, ..Tally::default() };
            let tally = all.readers.entry(key.clone()).or_insert_with(|| {
                id.into_iter().for_each(|id| all.of_reader.entry(id).or_default().push(sent.arm.clone()));
                first
            });
            tally.messages += 1.0;
            tally.first_at = tally.first_at.min(sent.at);
            all.of_message.insert(&sent.message, key);
        }
        all
    }

    /// Adds what the edge's records tell of looks and clicks.
    #[must_use]
    pub fn and(mut self, told: &'l Told) -> Self {
        told.seen.iter().for_each(|message| self.see(message));
        for ((message, ..), scanner) in &told.clicks {
            self.click(message, *scanner);
        }
        self.told = Some(told);
        self
    }

    /// The message as the log knows it: by its id, or by that id's hash.
    fn known(&self, message: &str) -> Option<&'l str> {
        let find = |name: &str| self.of_message.get_key_value(name).map(|(name, _)| *name);
        find(message).or_else(|| find(&Hash::of(message.as_bytes()).to_string()))
    }

    fn see(&mut self, message: &str) {
        let Some(message) = self.known(message) else { return };
        if self.seen.insert(message)
            && let Some(tally) = self.of_message.get(message).and_then(|key| self.readers.get_mut(key))
        {
            tally.seen += 1.0;
        }
    }

    fn click(&mut self, message: &str, scanner: bool) {
        if scanner {
            self.scanner_clicks += 1;
        } else if let Some(tally) =
            self.known(message).and_then(|name| self.of_message.get(name)).and_then(|key| self.readers.get_mut(key))
        {
            tally.clicks += 1.0;
        } else {
            self.events_without_message += 1;
        }
    }

    /// Adds events and orders; an event that the records told as well counts once.
    pub fn add(&mut self, tables: &Tables) {
        for event in &tables.events {
            let Some(message) = event.message_id.as_deref() else { continue };
            match event.kind.as_str() {
                "seen" => self.see(message),
                "click" | SCAN => {
                    let record = || (Hash::of(message.as_bytes()).to_string(), event.slot, event.at);
                    if self.told.is_none_or(|told| !told.clicks.contains_key(&record())) {
                        self.click(message, event.kind == SCAN || event.mailbox.as_deref() == Some(SCANNER));
                    }
                }
                _ => {}
            }
        }
        self.with_orders |= !tables.orders.is_empty();
        let mut ids: BTreeMap<&str, String> = BTreeMap::new();
        for order in tables.orders.iter().filter(|order| order.status == Status::Completed) {
            let id =
                ids.entry(&order.user_id).or_insert_with(|| format!("{:016x}", reader_id(self.secret, &order.user_id)));
            for arm in self.of_reader.get(id).into_iter().flatten() {
                if let Some(tally) = self.readers.get_mut(&(arm.clone(), id.clone())) {
                    let window = tally.first_at..tally.first_at + ORDER_DAYS * 86_400;
                    tally.ordered |= window.contains(&order.ordered_at);
                }
            }
        }
    }

    /// What there is to say. `shares` are the configured arms; control has the rest.
    #[must_use]
    pub fn report(&self, simulated: Option<&str>, shares: &BTreeMap<String, f64>) -> Report {
        let (readers, with_orders) = (&self.readers, self.with_orders);
        let mut names: BTreeSet<&str> = readers.keys().map(|(arm, _)| arm.as_str()).collect();
        names.extend(shares.keys().map(String::as_str));
        names.remove(CONTROL);
        let of_arm = |name: &str| -> Vec<Tally> {
            readers.iter().filter(|((arm, _), _)| arm == name).map(|(_, tally)| *tally).collect()
        };
        let control = of_arm(CONTROL);
        let seen = |tally: &Tally| (tally.seen, tally.messages);
        let clicks = |tally: &Tally| (tally.clicks, tally.messages);
        let orders = |tally: &Tally| (f64::from(u8::from(tally.ordered)), 1.0);
        let arms = core::iter::once(CONTROL).chain(names).map(|name| {
            let own = of_arm(name);
            let rate = |of: &dyn Fn(&Tally) -> (f64, f64)| {
                let own = Ratio::new(own.iter().map(of));
                own.rate((name != CONTROL).then(|| Ratio::new(control.iter().map(of))))
            };
            Arm {
                arm: name.to_owned(),
                readers: own.len(),
                messages: own.iter().map(|tally| tally.messages as usize).sum(),
                seen: (!self.seen.is_empty()).then(|| rate(&seen)),
                clicks: rate(&clicks),
                orders: with_orders.then(|| rate(&orders)),
            }
        });
        let arms: Vec<Arm> = arms.collect();
        let sample_ratio = sample_ratio(&arms, shares);
        Report {
            simulated: simulated.map(str::to_owned),
            arms,
            sample_ratio,
            events_without_message: self.events_without_message,
            scanner_clicks: self.scanner_clicks,
        }
    }
}

/// A ratio of sums over readers, and the variance of it.
struct Ratio {
    count: f64,
    value: f64,
    variance: f64,
}

impl Ratio {
    fn new(readers: impl Iterator<Item = (f64, f64)> + Clone) -> Self {
        let (n, above, below) =
            readers.clone().fold((0.0, 0.0, 0.0), |(n, above, below), (a, b)| (n + 1.0, above + a, below + b));
        let value = if below > 0.0 { above / below } else { 0.0 };
        let squares: f64 = readers.map(|(a, b)| (a - value * b) * (a - value * b)).sum();
        let variance = if n > 1.0 && below > 0.0 { n / (n - 1.0) * squares / (below * below) } else { 0.0 };
        Self { count: above, value, variance }
    }

    fn rate(&self, control: Option<Self>) -> Rate {
        let half = Z * self.variance.sqrt();
        let difference = control.map(|control| {
            let (d, half) = (self.value - control.value, Z * (self.variance + control.variance).sqrt());
            (d, d - half, d + half)
        });
        Rate {
            count: self.count as usize,
            value: self.value,
            low: (self.value - half).max(0.0),
            high: self.value + half,
            difference,
        }
    }
}

fn sample_ratio(arms: &[Arm], shares: &BTreeMap<String, f64>) -> Option<SampleRatio> {
    let claimed: f64 = shares.values().sum();
    let share = |arm: &str| shares.get(arm).copied().unwrap_or(if arm == CONTROL { 1.0 - claimed } else { 0.0 });
    let total: usize = arms.iter().map(|arm| arm.readers).sum();
    let expected: Vec<(f64, f64)> =
        arms.iter().map(|arm| (arm.readers as f64, share(&arm.arm).max(0.0) * total as f64)).collect();
    let classes = expected.iter().filter(|(found, expected)| *found > 0.0 || *expected > 0.0).count();
    if classes < 2 || total == 0 {
        return None;
    }
    // An arm that nobody configured and somebody is in is infinitely far from its share.
    let chi_square = expected.iter().map(|(found, expected)| match (*found, *expected) {
        (0.0, 0.0) => 0.0,
        (found, expected) => (found - expected) * (found - expected) / expected,
    });
    let chi_square: f64 = chi_square.sum();
    let p = chi_square_above(chi_square, classes - 1);
    Some(SampleRatio { chi_square, degrees_of_freedom: classes - 1, p, mismatch: p < MISMATCH_P })
}

/// P(X >= x) of a chi-square with `k` degrees of freedom: closed forms of the regularized upper incomplete gamma function at
/// whole and half-whole `k / 2` (Abramowitz and Stegun 26.4.4 and 26.4.5).
fn chi_square_above(x: f64, k: usize) -> f64 {
    if x.is_infinite() {
        return 0.0;
    }
    let half = x / 2.0;
    let (mut term, mut sum, first) = if k.is_multiple_of(2) {
        ((-half).exp(), 0.0, 1.0)
    } else {
        (
            (2.0 * half / std::f64::consts::PI).sqrt() * (-half).exp() * std::f64::consts::SQRT_2,
            libm::erfc(half.sqrt()),
            1.5,
        )
    };
    // For odd k the first term is sqrt(2x/pi) e^(-x/2), which belongs to k = 3.
    let terms = k / 2;
    for i in 0..terms {
        sum += term;
        term *= half / (first + i as f64);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{Event, Order};
    use serde_json::json;

    fn report(log: &[Sent], tables: &Tables, secret: &[u8], shares: &BTreeMap<String, f64>) -> Report {
        let mut adding = Adding::new(log, secret);
        adding.add(tables);
        adding.report(None, shares)
    }

    /// Quantiles as every table of the chi-square has them.
    #[test]
    fn the_chi_square_agrees_with_its_tables() {
        for (x, k, p) in [
            (3.841_458_821, 1, 0.05),
            (10.827_566_17, 1, 0.001),
            (5.991_464_547, 2, 0.05),
            (7.814_727_903, 3, 0.05),
            (9.487_729_037, 4, 0.05),
            (11.070_497_69, 5, 0.05),
            (20.515_005_65, 5, 0.001),
            (18.307_038_05, 10, 0.05),
        ] {
            let found = chi_square_above(x, k);
            assert!((found - p).abs() < 1e-6 * p.max(0.01), "{x} with {k}: found {found}, expected {p}");
        }
        assert_eq!(chi_square_above(0.0, 2), 1.0);
    }

    fn message(n: usize, reader: u64, arm: &str) -> Sent {
        Sent { message: format!("m{n}"), reader: Some(reader), at: 1_000, arm: arm.into() }
    }

    fn click(n: usize, mailbox: Option<&str>) -> Event {
        Event {
            user_id: "u".into(),
            at: 2_000,
            kind: "click".into(),
            merchant_id: None,
            latitude: None,
            longitude: None,
            message_id: Some(format!("m{n}")),
            slot: Some(0),
            propensity: None,
            mailbox: mailbox.map(str::to_owned),
        }
    }

    #[test]
    fn a_scanner_never_clicks_and_an_unknown_message_is_counted() {
        let log: Vec<Sent> = (0..4).map(|n| message(n, n as u64 + 1, CONTROL)).collect();
        let events = vec![click(0, None), click(1, Some("scanner")), click(9, None)];
        let found = report(&log, &Tables { events, ..Tables::default() }, b"", &BTreeMap::new());
        assert_eq!((found.scanner_clicks, found.events_without_message), (1, 1));
        assert_eq!((found.arms[0].clicks.count, found.arms[0].clicks.value), (1, 0.25));
        assert_eq!(found.sample_ratio, None, "one arm is no experiment");
    }

    #[test]
    fn one_reader_with_many_messages_is_one_observation() {
        let same: Vec<Sent> = (0..100).map(|n| message(n, 1 + n as u64 % 2, CONTROL)).collect();
        let events = (0..50).map(|n| click(2 * n, None)).collect();
        let found = report(&same, &Tables { events, ..Tables::default() }, b"", &BTreeMap::new());
        // Reader 1 clicks always, reader 2 never: two observations, 0 and 1, tell next to nothing.
        let clicks = found.arms[0].clicks;
        assert_eq!((found.arms[0].readers, clicks.value), (2, 0.5));
        assert!(clicks.high - clicks.low > 1.0, "{clicks:?}");
    }

    #[test]
    fn an_order_counts_within_a_week_of_the_first_message() {
        let secret = b"secret";
        let sent = |user: &str, n| Sent { reader: Some(reader_id(secret, user)), ..message(n, 0, CONTROL) };
        let order = |user: &str, ordered_at| Order {
            user_id: user.into(),
            merchant_id: "m".into(),
            ordered_at,
            place_id: None,
            latitude: None,
            longitude: None,
            value: None,
            status: Status::Completed,
        };
        let log = [sent("a", 0), sent("b", 1), sent("c", 2)];
        let orders = vec![order("a", 999), order("b", 1_000 + 6 * 86_400), order("c", 1_000 + 7 * 86_400)];
        let found = report(&log, &Tables { orders, ..Tables::default() }, secret, &BTreeMap::new());
        assert_eq!(found.arms[0].orders.map(|rate| rate.count), Some(1));
    }

    #[test]
    fn a_split_that_is_not_the_configured_one_is_told() {
        let shares = BTreeMap::from([("bold".to_owned(), 0.5)]);
        let log = |bold: u64| -> Vec<Sent> {
            (0..1000).map(|n| message(n as usize, n + 1, if n < bold { "bold" } else { CONTROL })).collect()
        };
        let ratio = |bold| report(&log(bold), &Tables::default(), b"", &shares).sample_ratio.unwrap();
        assert!(!ratio(510).mismatch, "{:?}", ratio(510));
        assert!(ratio(560).mismatch, "{:?}", ratio(560));
    }

    /// Simulated: with no difference between arms, the interval of the difference holds zero about 95 times in a hundred.
    #[test]
    fn intervals_cover_as_often_as_they_say() {
        use rand::{RngExt as _, SeedableRng as _};
        let mut draw = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let rounds = 400;
        let mut covered = 0;
        for _ in 0..rounds {
            let mut readers = |n: usize| -> Vec<(f64, f64)> {
                (0..n)
                    .map(|_| {
                        let (messages, taste) = (1 + draw.random_range(0..6), draw.random::<f64>() * 0.4);
                        let clicks = (0..messages).filter(|_| draw.random::<f64>() < taste).count();
                        (clicks as f64, f64::from(messages))
                    })
                    .collect()
            };
            let (one, other) = (readers(200), readers(150));
            let rate = Ratio::new(one.iter().copied()).rate(Some(Ratio::new(other.iter().copied())));
            let (_, low, high) = rate.difference.unwrap();
            covered += usize::from(low <= 0.0 && 0.0 <= high);
        }
        assert!((370..=392).contains(&covered), "{covered} of {rounds}");
    }

    #[test]
    fn the_edges_records_tell_what_arms_brought_and_events_of_them_count_once() {
        let hash = |id: &str| Hash::of(id.as_bytes());
        // A line that the edge's own type reads.
        let line = |json| serde_json::from_value::<Record>(json).unwrap().to_json();
        let decision = |id: &str, how: &str, arm: Option<&str>| {
            line(
                json!({ "type": "decision", "at": "1970-01-01T00:10:00Z", "message": hash(id).to_string(), "campaign": "lunch",
                "market": "fi", "arm": arm, "how": how, "mailbox": "apple", "step": "own", "seed": 7, "slots": [],
                "versions": { "model": "", "columns": "", "campaign": "", "policy": "" } }),
            )
        };
        let click = |id: &str, scanner: bool| {
            line(
                json!({ "type": "click", "at": "1970-01-01T00:33:20Z", "message": hash(id).to_string(), "campaign": "lunch",
                "slot": 1, "mailbox": "direct", "scanner": scanner, "opened": "merchant" }),
            )
        };
        let look = |id: &str| {
            line(
                json!({ "type": "look", "at": "1970-01-01T00:20:00Z", "message": hash(id).to_string(), "campaign": "lunch",
                "mailbox": "direct", "decided_at": "1970-01-01T00:10:00Z" }),
            )
        };
        let lines = [
            decision("m0", "served", None),
            look("m0"),
            decision("m1", "served", Some("bold")),
            click("m0", false),
            click("m0", false),
            click("m1", true),
            decision("m9", "seen", None).replace("lunch", "dinner"),
            decision("m8", "served", None).replace(&hash("m8").to_string(), ""),
        ];
        let csv = "message_id,user_id\nm0,a\nm1,b\n";
        let messages = Messages::read(csv.as_bytes(), &mut crate::import::LoadReport::default()).unwrap();
        let of = Of { campaign: Some("lunch"), messages: &messages, secret: b"secret" };
        let mut told = Told::default();
        lines.iter().for_each(|line| assert_eq!(told.add(1, line, &of).unwrap(), Some(()), "{line}"));
        assert_eq!(told.add(1, r#"{"request":{},"reply":{}}"#, &of).unwrap(), None);
        assert!(told.add(1, r#"{"type":"order"}"#, &of).is_err());
        let sent = told.sent();
        assert_eq!(sent.iter().filter(|sent| sent.reader == Some(reader_id(b"secret", "a"))).count(), 1);
        let mut adding = Adding::new(&sent, b"secret").and(&told);
        // What `import log` made of the same records, and one click more.
        let events =
            vec![click_event(0, None, 2_000), click_event(0, None, 2_500), click_event(1, Some(SCANNER), 2_000)];
        adding.add(&Tables { events, ..Tables::default() });
        let found = adding.report(None, &BTreeMap::new());
        let arm = |arm: &Arm| (arm.arm.clone(), arm.messages, arm.seen.map(|rate| rate.count), arm.clicks.count);
        let arms: Vec<_> = found.arms.iter().map(arm).collect();
        assert_eq!(arms, [(CONTROL.into(), 1, Some(1), 2), ("bold".into(), 1, Some(0), 0)]);
        assert_eq!((found.scanner_clicks, told.nobodys), (1, 1));
    }

    fn click_event(n: usize, mailbox: Option<&str>, at: Timestamp) -> Event {
        Event { at, ..click(n, mailbox) }
    }

    #[test]
    fn a_log_line_that_cannot_be_joined_says_so() {
        let line = |id: &str| {
            format!(r#"{{"request":{{}},"reply":{{{id}"at":"2026-10-23T05:00:00Z","campaign":"lunch","arm":"bold"}}}}"#)
        };
        let found = sent(3, &line(r#""id":"m1","#), None).unwrap().unwrap();
        assert_eq!((found.message.as_str(), found.arm.as_str(), found.reader), ("m1", "bold", None));
        assert_eq!(sent(3, &line(r#""id":"m1","#), Some("dinner")).unwrap(), None);
        let error = sent(3, &line(""), None).unwrap_err();
        assert_eq!(error.to_string(), "line 3: the request had no id, so no event can name it");
    }
}
