//! Records of the edge become events: what was served, what a person saw, what a person clicked.
//!
//! A picture that a cache or a proxy fetched was *served*; only a person *sees*. A click by a security scanner becomes a
//! [`SCAN`], which nothing learns from. A record knows its message by hash alone; the sender's own file says whose it was.

use crate::import::LoadReport;
use crate::tables::{Event, Timestamp};
use csv::StringRecord;
use freshrank::id::Hash;
use freshrank::record::{Click, Decided, How, Look, Record, Slot};
use freshrank::{MerchantId, time};
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, Read};

/// What stands before a record on a Worker's console, where nothing else takes it.
pub const MARK: &str = "freshrank-record ";
/// The kind of a click that a security scanner made.
pub const SCAN: &str = "scan";
/// The kinds of what a cache fetched, and of what a person looked at.
const SERVED: &str = "served";
const SEEN: &str = "seen";
const LOOKS: &str = "messages opened by a person";
/// The mailbox of whatever a security scanner did, as the simulated market says it, too.
pub const SCANNER: &str = "scanner";
const OTHER: &str = "a record that is not as the edge writes it";
/// Records that nobody can be told from; they are as they should be.
pub(super) const NOBODYS: &str = "of nobody: the message had no consent";
/// What of a line is repeated when it is wrong.
const SHOWN: usize = 60;

/// A record, and what every sort of them tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// As the edge writes it.
    pub record: Record,
    /// When.
    pub at: Timestamp,
    /// Of which message; without consent there is none.
    pub message: Option<Hash>,
}

/// Reads one line: a record, or a console's line with [`MARK`] before it.
///
/// # Errors
/// The kind of fault, and what was found and expected.
pub fn record(line: &str) -> Result<Told, (&'static str, String)> {
    let json = line.split_once(MARK).map_or(line, |(_, json)| json).trim();
    let record: Record = serde_json::from_str(json).map_err(|error| {
        let shown: String = json.chars().take(SHOWN).collect();
        match error.classify() {
            // Whatever is said of the contents names a field, never a reader.
            serde_json::error::Category::Data => (OTHER, error.to_string()),
            _ => ("no record", format!("found {shown:?}, expected a JSON object")),
        }
    })?;
    let at = time::parse(record.at()).map_err(|problem| (OTHER, format!("at: {problem}")))?;
    let text = record.message();
    let unread =
        || (OTHER, format!("found {} bytes as message, expected the 32 hexadecimal digits of its hash", text.len()));
    let message = if text.is_empty() { None } else { Some(Hash::parse(text).ok_or_else(unread)?) };
    Ok(Told { record, at, message })
}

/// Whose messages are: the sender's own file.
#[derive(Debug, Default)]
pub struct Messages {
    /// By hash of the message's id: that id, and the reader's.
    of_hash: HashMap<Hash, (String, String)>,
}

impl Messages {
    /// Reads CSV with the columns `message_id` and `user_id`, and tells of rows that are of no use.
    ///
    /// # Errors
    /// The file cannot be read, or has no such columns.
    pub fn read(file: impl Read, report: &mut LoadReport) -> Result<Self, String> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
        let header = reader.headers().map_err(|error| error.to_string())?.clone();
        let column = |name: &str| {
            let found = header.iter().position(|cell| cell.trim() == name);
            found.ok_or_else(|| format!("found no column {name}, expected message_id and user_id"))
        };
        let (message, user) = (column("message_id")?, column("user_id")?);
        let mut all = Self::default();
        let mut ambiguous: HashSet<Hash> = HashSet::new();
        let mut row = StringRecord::new();
        loop {
            match reader.read_record(&mut row) {
                Ok(false) => break,
                Ok(true) => {}
                Err(error) if matches!(error.kind(), csv::ErrorKind::Io(_)) => return Err(error.to_string()),
                Err(error) => {
                    report.leave_out("messages: a row that is no text", || error.to_string());
                    continue;
                }
            }
            report.row("messages");
            let line = row.position().map_or(0, csv::Position::line);
            let cell = |column: usize| row.get(column).map(str::trim).filter(|text| !text.is_empty());
            let (Some(message), Some(user)) = (cell(message), cell(user)) else {
                report.leave_out("messages: a row without message_id or user_id", || format!("line {line}"));
                continue;
            };
            let hash = Hash::of(message.as_bytes());
            let before = all.of_hash.insert(hash, (message.to_owned(), user.to_owned()));
            if before.is_some_and(|(_, before)| before != user) {
                report.leave_out("messages: one id of two readers", || format!("line {line}"));
                ambiguous.insert(hash);
            }
        }
        all.of_hash.retain(|hash, _| !ambiguous.contains(hash));
        Ok(all)
    }

    /// The message's id and its reader's.
    #[must_use]
    pub fn of(&self, hash: Hash) -> Option<(&str, &str)> {
        self.of_hash.get(&hash).map(|(message, user)| (message.as_str(), user.as_str()))
    }
}

/// What a log is joined with.
#[derive(Debug, Default)]
pub struct Joined {
    /// Whose messages are.
    pub messages: Messages,
    /// Ids of the table merchants by their hash. While there are none, ids stay as the log has them.
    pub merchants: HashMap<MerchantId, String>,
}

/// Reads records, and adds to `events`, which may be of an earlier import: nothing is in them twice.
///
/// # Errors
/// The log cannot be read.
pub fn log(
    file: impl BufRead,
    joined: &Joined,
    events: &mut Vec<Event>,
    report: &mut LoadReport,
) -> Result<(), std::io::Error> {
    let known = events.iter().map(key).collect();
    let mut served: Served = HashMap::new();
    for (i, event) in events.iter().enumerate().filter(|(_, event)| event.kind == SERVED) {
        served.entry((event.message_id.clone(), event.at)).or_default().push(i);
    }
    let mut taking = Taking { joined, known, served, looks: Vec::new(), events, report };
    for (i, line) in file.split(b'\n').enumerate() {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if !line.trim().is_empty() {
            taking.line(i + 1, &line);
        }
    }
    // A look may be written down before its decision.
    for (line, look) in std::mem::take(&mut taking.looks) {
        taking.look(line, look);
    }
    if joined.merchants.is_empty() {
        report.note("no table of merchants: their ids are as the log has them".to_owned());
    }
    let order = |a: &Event, b: &Event| {
        (a.at, &a.user_id, &a.message_id, &a.kind, a.slot).cmp(&(b.at, &b.user_id, &b.message_id, &b.kind, b.slot))
    };
    events.sort_by(order);
    Ok(())
}

/// What makes two events the same one.
type Key = (String, Option<String>, Option<u32>, Timestamp);

fn key(event: &Event) -> Key {
    (event.kind.clone(), event.message_id.clone(), event.slot, event.at)
}

/// Events of what was served, by message and time of its decision.
type Served = HashMap<(Option<String>, Timestamp), Vec<usize>>;

/// What of a message a record makes events of.
struct Of<'a> {
    /// Of the log, from 1.
    line: usize,
    message_id: &'a str,
    user_id: &'a str,
    at: Timestamp,
    kind: &'static str,
    mailbox: &'a str,
}

impl Of<'_> {
    /// Without a slot.
    fn event(&self) -> Event {
        Event {
            user_id: self.user_id.to_owned(),
            at: self.at,
            kind: self.kind.to_owned(),
            merchant_id: None,
            latitude: None,
            longitude: None,
            message_id: Some(self.message_id.to_owned()),
            slot: None,
            propensity: None,
            mailbox: Some(self.mailbox.to_owned()),
        }
    }
}

struct Taking<'a> {
    joined: &'a Joined,
    known: HashSet<Key>,
    served: Served,
    /// Of which line, and told of nobody yet: the event of a slot without its slot.
    looks: Vec<(usize, (Event, Timestamp))>,
    events: &'a mut Vec<Event>,
    report: &'a mut LoadReport,
}

impl Taking<'_> {
    fn line(&mut self, line: usize, text: &str) {
        self.report.row("records");
        let Told { record, at, message } = match record(text) {
            Ok(told) => told,
            Err((fault, what)) => return self.report.leave_out(fault, || format!("line {line}: {what}")),
        };
        let Some(message) = message else {
            return self.report.leave_out(NOBODYS, || format!("line {line}"));
        };
        let Some((message_id, user_id)) = self.joined.messages.of(message) else {
            let fault = "of a message that is not in --messages";
            return self.report.leave_out(fault, || format!("line {line}: message {message}"));
        };
        let of = |kind, mailbox| Of { line, message_id, user_id, at, kind, mailbox };
        match record {
            Record::Decision(Decided { how, mailbox, slots, .. }) => {
                let (kind, fact) = match how {
                    How::Served => (SERVED, "fetches by caches and proxies"),
                    How::Seen => (SEEN, LOOKS),
                };
                let before = self.events.len();
                for Slot { slot, merchant_id, merchant, propensity, .. } in slots {
                    let merchant = merchant_id.unwrap_or_else(|| merchant.to_string());
                    self.slot(&of(kind, mailbox.name()), slot, Some(&merchant), Some(propensity));
                }
                self.report.count(fact, self.events.len() > before);
            }
            Record::Look(Look { mailbox, decided_at, .. }) => match time::parse(&decided_at) {
                Ok(decided_at) => self.looks.push((line, (of(SEEN, mailbox.name()).event(), decided_at))),
                Err(problem) => self.report.leave_out(OTHER, || format!("line {line}: decided_at: {problem}")),
            },
            Record::Click(Click { mailbox, scanner, slot, merchant_id, .. }) => {
                let (kind, mailbox) = if scanner { (SCAN, SCANNER) } else { ("click", mailbox.name()) };
                self.slot(&of(kind, mailbox), slot, merchant_id.as_deref(), None);
            }
        }
    }

    /// A person looked at what was only served: what that was, its decision told.
    fn look(&mut self, line: usize, (look, decided_at): (Event, Timestamp)) {
        let shown = self.served.get(&(look.message_id.clone(), decided_at)).cloned().unwrap_or_default();
        if shown.is_empty() {
            let fault = "a look at a decision that neither the log nor the table tells";
            return self.report.leave_out(fault, || format!("line {line}"));
        }
        let before = self.events.len();
        for i in shown {
            let Event { slot, merchant_id, propensity, .. } = self.events[i].clone();
            self.take(SEEN, Event { slot, merchant_id, propensity, ..look.clone() });
        }
        self.report.count(LOOKS, self.events.len() > before);
    }

    /// Adds one slot's event.
    fn slot(&mut self, of: &Of<'_>, slot: u8, merchant: Option<&str>, propensity: Option<f64>) {
        let line = of.line;
        let Some(slot) = slot.checked_sub(1) else {
            return self.report.leave_out("slot 0", || format!("line {line}: found slot 0, expected 1 for the first"));
        };
        let merchant_id = merchant.and_then(|merchant| self.name(line, merchant));
        let is_likely = |share: &f64| *share > 0.0 && *share <= 1.0;
        if let Some(found) = propensity.filter(|share| !is_likely(share)) {
            let what = || format!("line {line}: found {found}, expected more than 0, at most 1");
            self.report.leave_out("a propensity that is none", what);
        }
        let propensity = propensity.filter(is_likely).map(|share| share as f32);
        self.take(of.kind, Event { merchant_id, slot: Some(u32::from(slot)), propensity, ..of.event() });
    }

    fn take(&mut self, kind: &'static str, event: Event) {
        if !self.known.insert(key(&event)) {
            return self.report.count_n("told again", 1);
        }
        *self.report.taken.entry(kind).or_default() += 1;
        if kind == SERVED {
            self.served.entry((event.message_id.clone(), event.at)).or_default().push(self.events.len());
        }
        self.events.push(event);
    }

    /// The merchant's id in the tables, of that id or of its fingerprint.
    fn name(&mut self, line: usize, merchant: &str) -> Option<String> {
        if self.joined.merchants.is_empty() {
            return Some(merchant.to_owned());
        }
        let fingerprint = (merchant.len() == 16).then(|| u64::from_str_radix(merchant, 16).ok()).flatten();
        let mut ids = fingerprint.map(MerchantId).into_iter().chain([MerchantId::of(merchant)]);
        let found = ids.find_map(|id| self.joined.merchants.get(&id));
        if found.is_none() {
            let fault = "a merchant that is not in the tables";
            self.report.leave_out(fault, || format!("line {line}: {merchant:?}"));
        }
        found.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const OF_A: &str = "message_id,note,user_id\nm/1,x,anna\nm/2,y,bert\nm/3,,\nm/4,,one\nm/4,,other\n";

    fn imported(lines: &[String]) -> (Vec<Event>, LoadReport) {
        let mut report = LoadReport::default();
        let messages = Messages::read(OF_A.as_bytes(), &mut report).unwrap();
        let merchants = ["forno", "da-vinci"].map(|id| (MerchantId::of(id), id.to_owned())).into();
        let mut events = Vec::new();
        let joined = Joined { messages, merchants };
        log(lines.join("\n").as_bytes(), &joined, &mut events, &mut report).unwrap();
        (events, report)
    }

    fn hash(message_id: &str) -> Hash {
        Hash::of(message_id.as_bytes())
    }

    /// A line that the edge's own type reads, or this test is of another format.
    fn line(json: serde_json::Value) -> String {
        let record: Record = serde_json::from_value(json).unwrap();
        record.to_json()
    }

    fn decision(message_id: &str, at: &str, how: &str, mailbox: &str) -> String {
        let (forno, da_vinci) = (MerchantId::of("forno").to_string(), MerchantId::of("da-vinci").to_string());
        line(json!({ "type": "decision", "at": format!("2026-11-20T{at}:00Z"), "message": hash(message_id).to_string(),
            "campaign": "lunch", "market": "fi", "how": how, "mailbox": mailbox, "step": "own", "seed": 7,
            "versions": { "model": "", "columns": "", "campaign": "", "policy": "" },
            "slots": [
                { "slot": 1, "merchant_id": "forno", "merchant": forno, "score": 1.5, "propensity": 0.9 },
                { "slot": 2, "merchant": da_vinci, "score": 1.25, "propensity": 0.05 },
            ] }))
    }

    fn look(message_id: &str, at: &str, decided_at: &str) -> String {
        line(json!({ "type": "look", "at": format!("2026-11-20T{at}:00Z"), "message": hash(message_id).to_string(),
            "campaign": "lunch", "mailbox": "direct", "decided_at": format!("2026-11-20T{decided_at}:00Z") }))
    }

    fn click(message_id: &str, at: &str, scanner: bool, mailbox: &str) -> String {
        line(json!({ "type": "click", "at": format!("2026-11-20T{at}:00Z"), "message": hash(message_id).to_string(),
            "campaign": "lunch", "slot": 1, "merchant_id": "forno", "mailbox": mailbox, "scanner": scanner, "opened": "merchant" }))
    }

    fn told(events: &[Event]) -> Vec<String> {
        let one = |e: &Event| {
            let text = |text: &Option<String>| text.clone().unwrap_or("-".into());
            let (slot, message) = (e.slot.unwrap(), text(&e.message_id));
            [&e.user_id, &message, &e.kind, &text(&e.merchant_id), &slot.to_string(), &text(&e.mailbox)]
                .map(String::as_str)
                .join(" ")
        };
        events.iter().map(one).collect()
    }

    #[test]
    fn a_prefetch_is_served_and_a_scanner_is_nobodys_click() {
        let lines = [
            click("m/1", "08:00", true, "outlook"),
            decision("m/1", "08:01", "served", "apple"),
            decision("m/1", "09:00", "seen", "direct"),
            click("m/1", "09:01", false, "direct"),
        ];
        let (events, report) = imported(&lines);
        let expected = [
            "anna m/1 scan forno 0 scanner",
            "anna m/1 served forno 0 apple",
            "anna m/1 served da-vinci 1 apple",
            "anna m/1 seen forno 0 direct",
            "anna m/1 seen da-vinci 1 direct",
            "anna m/1 click forno 0 direct",
        ];
        assert_eq!(told(&events), expected);
        let kinds = [("click", 1), ("scan", 1), ("seen", 2), ("served", 2)];
        assert_eq!(report.taken, kinds.into());
    }

    #[test]
    fn a_person_who_looks_later_sees_what_was_served_whichever_line_comes_first() {
        let lines =
            [look("m/1", "09:00", "08:01"), decision("m/1", "08:01", "served", "apple"), look("m/1", "09:00", "08:01")];
        let (events, report) = imported(&lines);
        let expected = [
            "anna m/1 served forno 0 apple",
            "anna m/1 served da-vinci 1 apple",
            "anna m/1 seen forno 0 direct",
            "anna m/1 seen da-vinci 1 direct",
        ];
        assert_eq!(told(&events), expected);
        assert_eq!(events[3].propensity, events[1].propensity);
        assert_eq!((report.facts[LOOKS], report.facts["told again"]), (1, 2));
    }

    #[test]
    fn what_is_told_twice_is_there_once() {
        let lines = [decision("m/2", "09:00", "seen", "direct"), click("m/2", "09:01", false, "direct")];
        let (once, _) = imported(&lines);
        let (twice, report) = imported(&[lines.clone(), lines].concat());
        assert_eq!(told(&once), told(&twice));
        assert_eq!(report.facts["told again"], 3);
    }

    #[test]
    fn nothing_is_dropped_silently() {
        let lines = [
            "{".to_owned(),
            format!("(log) {MARK}{}", click("m/1", "09:00", false, "gmail")),
            r#"{"type":"decision","at":"yesterday"}"#.into(),
            r#"{"type":"order"}"#.into(),
            click("m/3", "09:00", false, "gmail"),
            click("m/4", "09:00", false, "gmail"),
            click("m/1", "09:05", false, "gmail").replace(r#""slot":1"#, r#""slot":0"#),
            click("m/1", "09:06", false, "gmail").replace("forno", "0123456789abcdef"),
            decision("m/1", "09:00", "served", "apple").replace(&hash("m/1").to_string(), ""),
            decision("m/1", "09:00", "served", "apple").replace(&hash("m/1").to_string(), "m/1"),
            look("m/1", "09:00", "08:00"),
        ];
        let (events, report) = imported(&lines);
        let out: Vec<String> = report.left_out.iter().map(|(why, some)| format!("{why}: {}", some.count)).collect();
        let expected = [
            "a look at a decision that neither the log nor the table tells: 1",
            "a merchant that is not in the tables: 1",
            "a record that is not as the edge writes it: 3",
            "messages: a row without message_id or user_id: 1",
            "messages: one id of two readers: 1",
            "no record: 1",
            "of a message that is not in --messages: 2",
            "of nobody: the message had no consent: 1",
            "slot 0: 1",
        ];
        assert_eq!(out, expected);
        // The click stays, of whomever it was.
        assert_eq!(told(&events), ["anna m/1 click forno 0 gmail", "anna m/1 click - 0 gmail"]);
        let said = report.to_string();
        assert!(!said.contains("anna") && !said.contains("bert"), "{said}");
        assert!(Messages::read(&b"message,user\n"[..], &mut LoadReport::default()).is_err());
    }
}
