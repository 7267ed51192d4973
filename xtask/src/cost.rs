//! What a million messages cost at the edge: measured work and the design's counts, at the platform's public prices.
//!
//! Prices, quantities and counts are data (`xtask/cost/`), each with its source or reason. What can be measured here is: CPU time of the
//! Worker under workerd and of a decision in V8, bytes of a profile, an area and a reply, and what an open and a click ask of objects, KV
//! and assets, counted at the Worker's own bindings (`xtask/cost-open.mjs`). The rest is said to be assumed.

use std::collections::BTreeMap;
use std::path::Path;

use crate::report::{self, Row};
use crate::sh::{self, Outcome, program, quietly, root, said, target};
use crate::wasm::Weight;
use crate::{bench, setup, wasm};

const PRICES: &str = "xtask/cost/prices.txt";
const QUANTITIES: &str = "xtask/cost/quantities.txt";
const ARCHITECTURES: &str = "xtask/cost/architectures.txt";
const MILLION: f64 = 1e6;
/// Paid whether or not anybody sends.
const SUBSCRIPTION: &str = "subscription";
/// A decision with its request and reply, in the report of `cargo xtask bench`.
const DECISION: &str = "answer/200";

/// Numbers by name.
type Numbers = BTreeMap<String, f64>;

/// `cargo xtask cost`.
pub fn run(_: &[String]) -> Outcome {
    let prices = prices(&text(PRICES)?)?;
    let mut known = quantities(&text(QUANTITIES)?)?;
    let (parts, architectures) = architectures(&text(ARCHITECTURES)?)?;
    let measured = measure()?;
    known.extend(measured.clone());
    let mut bills = Vec::new();
    for architecture in &architectures {
        bills.push((architecture.name.as_str(), bill(architecture, &parts, &prices, &known)?));
    }
    print(&prices, &known, &measured, &bills);
    let rows = rows(&prices, &known, &measured, &bills);
    report::write("cost", &rows)
}

fn text(path: &str) -> Outcome<String> {
    sh::read(&root().join(path))
}

/// What an item costs.
#[derive(Debug, Clone, PartialEq)]
struct Price {
    item: String,
    dollars: f64,
    so_many: f64,
    /// In a month.
    included: f64,
    read_on: String,
    source: String,
    note: String,
}

impl Price {
    fn of(&self, n: f64) -> f64 {
        n / self.so_many * self.dollars
    }
}

/// What stands in a file, without comments; the number of a line for whoever made a mistake in it.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn columns<const N: usize>(path: &str, at: usize, line: &str) -> Outcome<[String; N]> {
    let found: Vec<String> = line.split('|').map(|column| column.trim().to_owned()).collect();
    let n = found.len();
    found.try_into().map_err(|_| format!("{path} line {at}: found {n} columns, expected {N}"))
}

fn number(path: &str, at: usize, text: &str) -> Outcome<f64> {
    let number = text.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0);
    number.ok_or_else(|| format!("{path} line {at}: found {text:?}, expected a number of at least 0"))
}

fn prices(text: &str) -> Outcome<Vec<Price>> {
    let price = |(at, line)| {
        let [item, dollars, so_many, included, read_on, source, note] = columns(PRICES, at, line)?;
        let number = |text: &str| number(PRICES, at, text);
        let (dollars, so_many, included) = (number(&dollars)?, number(&so_many)?, number(&included)?);
        Ok(Price { item, dollars, so_many, included, read_on, source, note })
    };
    lines(text).map(price).collect()
}

fn quantities(text: &str) -> Outcome<Numbers> {
    let quantity = |(at, line)| {
        let [name, value, _reason] = columns(QUANTITIES, at, line)?;
        Ok((name, number(QUANTITIES, at, &value)?))
    };
    lines(text).map(quantity).collect()
}

/// How often something is charged.
#[derive(Debug, Clone, PartialEq)]
struct Count {
    item: String,
    per: Per,
    /// A product of numbers and names.
    count: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Per {
    Message,
    Open,
    Click,
    ReaderAndMonth,
    Month,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Part {
    name: String,
    lets: Vec<(String, String)>,
    counts: Vec<Count>,
}

#[derive(Debug, Clone, PartialEq)]
struct Architecture {
    name: String,
    parts: Vec<String>,
}

fn architectures(text: &str) -> Outcome<(Vec<Part>, Vec<Architecture>)> {
    let (mut parts, mut architectures): (Vec<Part>, Vec<Architecture>) = (Vec::new(), Vec::new());
    for (at, line) in lines(text) {
        let wrong = |expected: &str| format!("{ARCHITECTURES} line {at}: found {line:?}, expected {expected}");
        if let Some(name) = line.strip_prefix("part ") {
            parts.push(Part { name: name.to_owned(), ..Part::default() });
        } else if let Some(rest) = line.strip_prefix("architecture ") {
            let (name, of) = rest.split_once(" = ").ok_or_else(|| wrong("NAME = PART + PART"))?;
            let of: Vec<String> = of.split(" + ").map(|part| part.trim().to_owned()).collect();
            if let Some(unknown) = of.iter().find(|name| !parts.iter().any(|part| part.name == **name)) {
                return Err(wrong(&format!("a part that stands above it, not {unknown:?}")));
            }
            architectures.push(Architecture { name: name.to_owned(), parts: of });
        } else {
            let part = parts.last_mut().ok_or_else(|| wrong("a part before it"))?;
            if let Some(rest) = line.strip_prefix("let ") {
                let (name, count) = rest.split_once(" = ").ok_or_else(|| wrong("let NAME = COUNT"))?;
                part.lets.push((name.to_owned(), count.to_owned()));
                continue;
            }
            let [item, per, count, _reason] = columns(ARCHITECTURES, at, line)?;
            let per = match per.as_str() {
                "message" => Per::Message,
                "open" => Per::Open,
                "click" => Per::Click,
                "reader and month" => Per::ReaderAndMonth,
                "month" => Per::Month,
                _ => return Err(wrong("message, open, click, reader and month, or month")),
            };
            part.counts.push(Count { item, per, count });
        }
    }
    Ok((parts, architectures))
}

/// A product such as `slots * 0.5`.
fn product(count: &str, known: &Numbers) -> Outcome<f64> {
    count.split('*').map(str::trim).try_fold(1.0, |product, factor| {
        let value = factor.parse().ok().or_else(|| known.get(factor).copied());
        value.map(|value| product * value).ok_or_else(|| {
            format!("{ARCHITECTURES}: nobody knows {factor:?}: found neither in {QUANTITIES} nor measured, expected it there")
        })
    })
}

/// How often each item is charged for a million messages, in the order of prices.
type Bill = Vec<(String, f64)>;

fn bill(architecture: &Architecture, parts: &[Part], prices: &[Price], known: &Numbers) -> Outcome<Bill> {
    let mine: Vec<&Part> = parts.iter().filter(|part| architecture.parts.contains(&part.name)).collect();
    let mut known = known.clone();
    // In the order of the architecture: `deciders` may be `pictures`.
    for name in &architecture.parts {
        for (name, count) in mine.iter().filter(|part| part.name == *name).flat_map(|part| &part.lets) {
            let value = product(count, &known)?;
            known.insert(name.clone(), value);
        }
    }
    let of = |name: &str| product(name, &known);
    let mut bill: Numbers = Numbers::new();
    for Count { item, per, count } in mine.iter().flat_map(|part| &part.counts) {
        if !prices.iter().any(|price| price.item == *item) {
            return Err(format!("{ARCHITECTURES}: found the item {item:?}, expected one of {PRICES}"));
        }
        let of_a_message = match per {
            Per::Message => 1.0,
            Per::Open => of("opens")?,
            Per::Click => of("clicks")?,
            Per::ReaderAndMonth => 1.0 / of("messages_a_reader")?,
            Per::Month => 1.0 / of("messages_a_month")?,
        };
        *bill.entry(item.clone()).or_default() += MILLION * of_a_message * of(count)?;
    }
    Ok(prices.iter().filter_map(|price| Some((price.item.clone(), *bill.get(&price.item)?))).collect())
}

/// What a bill comes to for a million messages more.
fn dollars(bill: &Bill, prices: &[Price]) -> Vec<(String, f64)> {
    let of = |(item, n): &(String, f64)| {
        let price = prices.iter().find(|price| price.item == *item)?;
        Some((item.clone(), price.of(*n)))
    };
    bill.iter().filter_map(of).collect()
}

/// What a month of so many messages comes to, after what is included.
fn month(bill: &Bill, prices: &[Price], messages: f64) -> f64 {
    let charged = |price: &Price| {
        let n = bill.iter().find(|(item, _)| *item == price.item).map_or(0.0, |(_, n)| n * messages / MILLION);
        let n = if price.item == SUBSCRIPTION { 1.0 } else { n };
        price.of(if n > price.included { n - price.included } else { 0.0 })
    };
    prices.iter().map(charged).sum()
}

fn total(lines: &[(String, f64)]) -> f64 {
    lines.iter().map(|(_, dollars)| dollars).sum()
}

/// The item that costs most, and its share.
fn largest(lines: &[(String, f64)]) -> Option<(&str, f64)> {
    let (item, dollars) = lines.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some((item, dollars / total(lines)))
}

/// What this machine can tell.
fn measure() -> Outcome<Numbers> {
    setup::node()?;
    let worker = wasm::worker(Weight::Full)?;
    // Tokens are minted by the package.
    let web = wasm::web(Weight::Full)?;
    let scene = target("bench");
    let native = bench::native()?;
    quietly("bench-scene", program(&native).arg(&scene))?;
    let mut node = program("node");
    node.arg("xtask/cost.mjs").arg(&scene).env("FRESHRANK_WORKER", worker).env("FRESHRANK_WEB", web);
    node.env("CLOUDFLARE_CF_FETCH_ENABLED", "false").env("WRANGLER_SEND_METRICS", "false");
    let words = said(&mut node)?;
    let line = words.lines().last().unwrap_or_default();
    let mut found = bench::numbers(line).ok_or_else(|| format!("xtask/cost.mjs says {line:?}, expected numbers"))?;
    for (target, name) in [("native", "native_decision_ms"), ("v8", "v8_decision_ms")] {
        let report = sh::target("report/bench.json");
        if let Some(microseconds) = reported(&report, target) {
            found.insert(name.to_owned(), microseconds / 1e3);
        }
    }
    Ok(found)
}

/// A decision of 200 candidates in a report of `cargo xtask bench`, if there is one.
fn reported(path: &Path, target: &str) -> Option<f64> {
    let text = std::fs::read_to_string(path).ok()?;
    let is_it = |line: &&str| {
        line.contains(&format!("\"name\": {DECISION:?}"))
            && line.contains(&format!("\"target\": {target:?}"))
            && line.contains("\"unit\": \"us\"")
    };
    let line = text.lines().find(is_it)?;
    line.split_once("\"value\": ")?.1.split(',').next()?.trim().parse().ok()
}

fn print(prices: &[Price], known: &Numbers, measured: &Numbers, bills: &[(&str, Bill)]) {
    println!("measured on this machine:");
    for (name, value) in measured {
        println!("  {name:24} {value:>10.3}");
    }
    println!("assumed or the design's, not measured: {QUANTITIES} and {ARCHITECTURES} have each with its reason");
    let days: Vec<&str> = prices.iter().map(|price| price.read_on.as_str()).collect();
    println!("prices: {PRICES}, read {}", days.iter().min().copied().unwrap_or_default());
    for price in prices.iter().filter(|price| !price.note.is_empty()) {
        println!("  {}: {} ({})", price.item, price.note, price.source);
    }
    let messages = known.get("messages_a_month").copied().unwrap_or_default();
    println!("\nUS dollars for a million messages:");
    let mut design: Option<f64> = None;
    for (name, bill) in bills {
        let lines = dollars(bill, prices);
        let (all, first) = (total(&lines), *design.get_or_insert(total(&lines)));
        println!("\n{name}");
        for ((item, dollars), (_, n)) in lines.iter().zip(bill) {
            println!("  {item:20} {n:>14.0} {dollars:>10.4} {:>5.1} %", 100.0 * dollars / all);
        }
        println!("  {:20} {:>14} {all:>10.4}   {:.2} of the design", "all", "", all / first);
        println!(
            "  {:.1} billion messages a month: {:.0} dollars; most of it {}",
            messages / 1e9,
            month(bill, prices, messages),
            largest(&lines).map_or(String::new(), |(item, share)| format!("{item}, {:.0} %", 100.0 * share))
        );
    }
    for line in savings(prices, bills, messages) {
        println!("{line}");
    }
}

/// Where the next saving lies: what each other architecture takes off the design's bill, the most first.
fn savings(prices: &[Price], bills: &[(&str, Bill)], messages: f64) -> Vec<String> {
    let Some(((_, design), others)) = bills.split_first() else { return Vec::new() };
    let now = month(design, prices, messages);
    let mut found: Vec<(&str, f64)> =
        others.iter().map(|(name, bill)| (*name, now - month(bill, prices, messages))).collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    let line = |(name, saved): (&str, f64)| {
        let what = if saved > 0.0 { "saves" } else { "costs" };
        format!("  {what} {:>8.0} dollars a month: {name}", saved.abs())
    };
    std::iter::once("\nagainst the design:".to_owned()).chain(found.into_iter().map(line)).collect()
}

fn rows(prices: &[Price], known: &Numbers, measured: &Numbers, bills: &[(&str, Bill)]) -> Vec<Row> {
    let round = |value: f64| (value * 1e6).round() / 1e6;
    let unit = |name: &str| match name {
        _ if name.ends_with("_bytes") => "bytes",
        _ if name.starts_with("click_") => "a click",
        _ if name.starts_with("picture_") => "a picture",
        _ if name.contains("open_") => "an open",
        _ => "ms",
    };
    let mut rows: Vec<Row> = measured
        .iter()
        .map(|(name, value)| Row {
            name: name.clone(),
            target: "measured",
            value: round(*value),
            unit: unit(name),
            against: None,
        })
        .collect();
    let messages = known.get("messages_a_month").copied().unwrap_or_default();
    let mut design: Option<f64> = None;
    for (name, bill) in bills {
        let lines = dollars(bill, prices);
        let (all, first) = (total(&lines), *design.get_or_insert(total(&lines)));
        let row = |what: &str, value, unit, against| Row {
            name: format!("{name}: {what}"),
            target: "edge",
            value: round(value),
            unit,
            against,
        };
        const UNIT: &str = "USD a million messages";
        rows.extend(lines.iter().map(|(item, dollars)| row(item, *dollars, UNIT, Some(("all of it", dollars / all)))));
        rows.push(row("all", all, UNIT, Some(("the design", all / first))));
        rows.push(row("a month", month(bill, prices, messages), "USD a month", None));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "subscription | 5 | 1 | 0 | 2026-11-27 | https://a.example/ |\n\
                       requests | 0.25 | 1000000 | 10000000 | 2026-11-27 | https://a.example/ |\n\
                       rows | 1.00 | 1000000 | 0 | 2026-11-27 | https://a.example/ | soon";
    const PARTS: &str = "# six pictures\n\
                         part pictures\n  let pictures = slots\n  requests | open | pictures | each\n\
                         part ledger\n  rows | open | 3 | written\n  rows | month | 2 * areas | refreshed\n\
                         part readers\n  rows | reader and month | 30 | daily\n  requests | click | 1 | redirect\n\
                         architecture plain = pictures + ledger\n\
                         architecture more = pictures + ledger + readers";

    fn known() -> Numbers {
        let numbers = [
            ("opens", 0.5),
            ("clicks", 0.02),
            ("slots", 6.0),
            ("areas", 1e6),
            ("messages_a_month", 1e7),
            ("messages_a_reader", 20.0),
        ];
        numbers.map(|(name, value)| (name.to_owned(), value)).into()
    }

    fn bills() -> (Vec<Price>, Vec<Bill>) {
        let prices = prices(TWO).unwrap();
        let (parts, architectures) = architectures(PARTS).unwrap();
        let bills = architectures.iter().map(|one| bill(one, &parts, &prices, &known()).unwrap()).collect();
        (prices, bills)
    }

    #[test]
    fn a_bill_is_as_by_hand() {
        let (prices, bills) = bills();
        let named = |bill: &[(&str, f64)]| bill.iter().map(|(item, n)| ((*item).to_owned(), *n)).collect::<Bill>();
        // Half a million opens of six pictures; three rows an open, and 2 million rows over 10 million messages.
        assert_eq!(bills[0], named(&[("requests", 3_000_000.0), ("rows", 1_700_000.0)]));
        // 20,000 clicks; 50,000 readers with 30 rows each.
        assert_eq!(bills[1], named(&[("requests", 3_020_000.0), ("rows", 3_200_000.0)]));
        let lines = dollars(&bills[0], &prices);
        assert_eq!(lines, named(&[("requests", 0.75), ("rows", 1.7)]));
        assert_eq!(largest(&lines), Some(("rows", 1.7 / 2.45)));
        // 10 million messages: 30 million requests of which 10 are included, 17 million rows, and the subscription.
        assert!((month(&bills[0], &prices, 1e7) - (5.0 + 5.0 + 17.0)).abs() < 1e-9);
        assert!(
            (month(&bills[0], &prices, 1e6) - (5.0 + 1.7)).abs() < 1e-9,
            "less than what is included costs nothing"
        );
    }

    #[test]
    fn what_saves_most_stands_first() {
        let (prices, bills) = bills();
        let [plain, more] = [&bills[0], &bills[1]];
        let named = [("now", more.clone()), ("same", more.clone()), ("less", plain.clone())];
        let told = savings(&prices, &named, 1e7);
        assert_eq!(told[1], "  saves       15 dollars a month: less");
        assert_eq!(told[2], "  costs        0 dollars a month: same");
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let said = |text: &str| architectures(text).unwrap_err();
        assert!(said("\npart a\n  rows | open | 1").contains("line 3: found 3 columns, expected 4"));
        assert!(
            said("part a\n  rows | week | 1 | why")
                .contains("line 2: found \"rows | week | 1 | why\", expected message,")
        );
        assert!(said("architecture a = b").contains("not \"b\""));
        assert!(prices("a | -1 | 1 | 0 | d | s |").unwrap_err().contains("line 1: found \"-1\", expected a number"));
        let (parts, one) = architectures("part a\n  rows | open | slots * pages | why\narchitecture b = a").unwrap();
        let error = bill(&one[0], &parts, &prices(TWO).unwrap(), &known()).unwrap_err();
        assert!(error.contains("nobody knows \"pages\""), "{error}");
    }

    /// The files that ship, with ones where a machine would measure.
    #[test]
    fn every_architecture_has_a_bill_and_every_price_a_source() {
        let prices = prices(&text(PRICES).unwrap()).unwrap();
        assert!(prices.iter().all(|price| price.source.starts_with("https://") && price.read_on.len() == 10));
        let mut known = quantities(&text(QUANTITIES).unwrap()).unwrap();
        let measured = ["hello_cpu_ms", "request_cpu_ms", "line_cpu_ms", "profile_bytes", "area_bytes", "reply_bytes"];
        let counted = [
            "picture_ledger_requests",
            "open_ledger_rows_read",
            "open_ledger_rows_written",
            "picture_reader_requests",
            "picture_reader_rows_read",
            "click_ledger_requests",
            "click_reader_requests",
        ];
        known.extend(measured.into_iter().chain(counted).map(|name| (name.to_owned(), 1.0)));
        let (parts, architectures) = architectures(&text(ARCHITECTURES).unwrap()).unwrap();
        for architecture in &architectures {
            let bill = bill(architecture, &parts, &prices, &known).unwrap();
            assert!(total(&dollars(&bill, &prices)) > 0.0, "{}", architecture.name);
        }
        let unused: Vec<&String> = parts
            .iter()
            .map(|part| &part.name)
            .filter(|name| !architectures.iter().any(|one| one.parts.contains(name)))
            .collect();
        assert!(unused.is_empty(), "{unused:?}");
    }
}
