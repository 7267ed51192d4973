//! Opening hours: the table of cases in `hours.toml`, and agreement with the library's own calendar.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use freshrank_offline::hours::{self, Hours, Schedule, Site};
use freshrank_offline::import::{self, OsmOptions};
use jiff::ToSpan;
use jiff::civil::{Date, date};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    sites: BTreeMap<String, Where>,
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Where {
    country: Option<String>,
    latitude: f64,
    longitude: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    claim: String,
    hours: String,
    #[serde(default = "helsinki")]
    site: String,
    from: Option<toml::value::Datetime>,
    #[serde(default = "ten")]
    days: u16,
    #[serde(default)]
    weekly: Vec<String>,
    #[serde(default)]
    exceptions: Vec<String>,
    #[serde(default)]
    uncertain: u32,
    error: Option<String>,
}

fn helsinki() -> String {
    "helsinki".to_owned()
}

fn ten() -> u16 {
    10
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn openings(open: &[(u16, u16)]) -> String {
    open.iter().map(|(a, b)| format!("{}-{}", clock(*a), clock(*b))).collect::<Vec<_>>().join(",")
}

/// As a person would read it, and as `hours.toml` has it.
fn printed(hours: &Hours) -> (Vec<String>, Vec<String>, u32) {
    let days = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
    let weekly = hours.weekly.iter().map(|(opens, closes)| {
        let midnight = opens / 1440 * 1440;
        format!("{} {}", days[usize::from(opens / 1440)], openings(&[(opens - midnight, closes - midnight)]))
    });
    let exceptions = hours.exceptions.iter().map(|exception| {
        let holiday = if exception.holiday == Some(true) { " holiday" } else { "" };
        let open = if exception.open.is_empty() { "closed".to_owned() } else { openings(&exception.open) };
        format!("{}{holiday}: {open}", exception.date)
    });
    (weekly.collect(), exceptions.collect(), hours.uncertain_minutes)
}

#[test]
fn every_case_of_the_table_holds() {
    let cases: Cases = toml::from_str(include_str!("hours.toml")).unwrap();
    let mut wrong = Vec::new();
    for case in &cases.case {
        let at = &cases.sites[&case.site];
        let site = Site { country: at.country.as_deref(), latitude: at.latitude, longitude: at.longitude };
        let from = case.from.map_or(date(2026, 11, 16), |from| from.to_string().parse().unwrap());
        let found = hours::compile(&case.hours, site, from, case.days);
        let holds = match (&found, &case.error) {
            (Ok(hours), None) => printed(hours) == (case.weekly.clone(), case.exceptions.clone(), case.uncertain),
            (Err(err), Some(part)) => err.to_string().contains(part),
            _ => false,
        };
        if !holds {
            let found = found.map(|hours| printed(&hours)).map_err(|err| err.to_string());
            wrong.push(format!("{}\n  {}\n  found {found:#?}", case.claim, case.hours));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The texts of real merchants that are near at hand, and where they hold.
fn real() -> Vec<(String, f64, f64)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let options = OsmOptions::default();
    let helsinki = import::osm(&root.join("target/data/helsinki.osm.pbf"), &options);
    let copenhagen = import::geojson(&root.join("../shared/data/osm/copenhagen.geojson"), &options);
    let texts: BTreeSet<String> = [helsinki, copenhagen]
        .into_iter()
        .flatten()
        .flat_map(|(merchants, _)| merchants)
        .filter_map(|merchant| merchant.opening_hours)
        .collect();
    let cases: Cases = toml::from_str(include_str!("hours.toml")).unwrap();
    let written = cases.case.into_iter().map(|case| case.hours);
    texts.into_iter().chain(written).map(|text| (text, 60.17, 24.94)).collect()
}

/// Compares every minute of the window.
fn agrees(text: &str, site: Site<'_>, from: Date, days: u16) -> Result<bool, String> {
    let Ok(schedule) = Schedule::parse(text, site) else {
        return Ok(false);
    };
    let hours = schedule.over(from, days).map_err(|err| err.to_string())?;
    for day in 0..days {
        let date = from + i64::from(day).days();
        let mut ours = vec![false; 1440];
        let yesterday = hours.on(date.yesterday().unwrap());
        let night = yesterday.iter().map(|(a, b)| (a.saturating_sub(1440), b.saturating_sub(1440)));
        for (opens, closes) in hours.on(date).into_iter().chain(night) {
            ours[usize::from(opens).min(1440)..usize::from(closes).min(1440)].fill(true);
        }
        let mut theirs = vec![false; 1440];
        for (opens, closes) in schedule.open_on(date) {
            theirs[usize::from(opens)..usize::from(closes)].fill(true);
        }
        if let Some(minute) = (0..1440).find(|minute| ours[*minute] != theirs[*minute]) {
            let said = |open: bool| if open { "open" } else { "closed" };
            return Err(format!(
                "{text:?} on {date} at {}: {} here, {} in the library",
                clock(minute as u16),
                said(ours[minute]),
                said(theirs[minute]),
            ));
        }
    }
    Ok(true)
}

#[test]
fn the_week_and_its_exceptions_say_what_the_library_says_every_minute_of_five_weeks() {
    let mut compared = 0;
    for (n, (text, latitude, longitude)) in real().into_iter().enumerate() {
        let site = Site { country: None, latitude, longitude };
        // Another window for every text, over two years.
        let from = date(2026, 1, 1) + (n as i64 * 17 % 730).days();
        compared += usize::from(agrees(&text, site, from, 35).unwrap());
    }
    assert!(compared >= 15, "only {compared} texts were understood");
}

fn day_selector() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "",
        "Mo-Fr ",
        "Mo-Su ",
        "Sa,Su ",
        "Su-Tu ",
        "PH ",
        "Mo-Fr,PH ",
        "Th[1] ",
        "Fr[-1] ",
        "week 01-53/2 ",
        "Dec 24 ",
        "Dec 25-26 ",
        "Jan-Mar ",
        "Nov-Feb Fr-Su ",
        "2026 ",
        "easter ",
        "PH -1 day ",
    ])
    .prop_map(str::to_owned)
}

fn time_selector() -> impl Strategy<Value = String> {
    let clocked = (0_u16..24, prop::sample::select(vec![0_u16, 15, 30]), 1_u16..24).prop_map(|(hour, minute, long)| {
        let end = (hour + long) % 24;
        format!("{hour:02}:{minute:02}-{end:02}:00")
    });
    prop_oneof![
        6 => clocked.clone(),
        2 => (clocked.clone(), clocked).prop_map(|(a, b)| format!("{a},{b}")),
        1 => prop::sample::select(vec![
            "off", "open", "10:00-sunset", "sunrise-20:00", "18:00-26:00", "unknown", "10:00-12:00 \"ask\"", "00:00-24:00",
            "10:00+",
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn made_up_hours_agree_too(
        rules in prop::collection::vec((day_selector(), time_selector()), 1..5),
        joints in prop::collection::vec(prop::sample::select(vec!["; ", ", ", " || "]), 5),
        start in 0_i64..2000,
        days in 1_u16..50,
    ) {
        let mut text = String::new();
        for (n, (days, times)) in rules.iter().enumerate() {
            text += if n > 0 { joints[n] } else { "" };
            text += days;
            text += times;
        }
        let site = Site { country: Some("FI"), latitude: 60.17, longitude: 24.94 };
        let agreed = agrees(&text, site, date(2024, 1, 1) + start.days(), days);
        prop_assert!(agreed.is_ok(), "{}", agreed.unwrap_err());
    }

    #[test]
    fn no_text_and_no_place_ends_in_a_panic(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "Mo", "Su", "PH", "SH", " ", "-", "+", ",", ";", "||", ":", "10:00", "24:00", "48:00", "99:99", "9999", "/0", "/2",
            "sunrise", "(sunset-23:59)", "(dawn+12:00)", "week", "53", "easter", "Feb 29", "Feb 31", "Dec", "2026", "1900-9999",
            "off", "unknown", "\"x\"", "[1]", "[-5]", "24/7", " days", "+365 days", "-9999 days", "é",
        ]), 0..9),
        latitude in -100.0..100.0_f64,
        longitude in -200.0..200.0_f64,
    ) {
        let site = Site { country: None, latitude, longitude };
        let _ = hours::compile(&tokens.concat(), site, date(2026, 2, 20), 14);
    }
}

#[test]
fn zones_and_their_changes_come_from_the_program_not_the_machine() {
    assert_eq!(hours::time_zone(60.17, 24.94), "Europe/Helsinki");
    assert_eq!(hours::time_zone(45.42, -75.70), "America/Toronto");
    assert_eq!(hours::time_zone(f64::NAN, 500.0), "UTC");
    let second = |time: &str| time.parse::<jiff::Timestamp>().unwrap().as_second();
    let (now, changes) = hours::transitions("Europe/Helsinki", second("2026-11-21T00:00:00Z"), 3).unwrap();
    assert_eq!(now, 120);
    let expected = [
        (second("2027-03-28T01:00:00Z"), 180),
        (second("2027-10-31T01:00:00Z"), 120),
        (second("2028-03-26T01:00:00Z"), 180),
    ];
    assert_eq!(changes, expected);
    assert_eq!(hours::transitions("Asia/Kolkata", 0, 3).unwrap(), (330, vec![]));
    let err = hours::transitions("Europe/Atlantis", 0, 3).unwrap_err();
    assert_eq!(err.to_string(), "time zone \"Europe/Atlantis\" is not in the time zone database");
}

#[test]
fn a_window_that_cannot_be_is_an_error() {
    let site = Site { country: Some("FI"), latitude: 60.17, longitude: 24.94 };
    for (from, days) in [(date(2026, 1, 1), 0), (date(2026, 1, 1), 401), (date(1969, 1, 1), 7), (date(9999, 12, 31), 7)]
    {
        let err = hours::compile("24/7", site, from, days).unwrap_err().to_string();
        assert!(err.contains("expected 1 to 400 days between 1970 and 2200"), "{err}");
    }
}
