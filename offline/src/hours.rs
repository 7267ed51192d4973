//! When a merchant is open: OpenStreetMap's opening hours as minutes of a week and the dates that differ.
//!
//! The syntax, the holidays and the position of the sun belong to the `opening-hours` crate; this room only asks
//! it for every date of a window and folds the answers into [`Hours`], which the edge reads without a calendar.
//! Time zones are found here too, so that an area bundle can carry plain offsets. Nothing depends on the machine's
//! own time zone database or clock.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime};
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use opening_hours::localization::{Coordinates, Country, Localize};
use opening_hours::{Context, OpeningHours, RuleKind};
use opening_hours_syntax::rules::time::TimeEvent;

use crate::tables::{Merchant, Timestamp};

const DAY_MINUTES: u32 = 24 * 60;

/// The longest text that is read, in bytes; OpenStreetMap's own limit is 255 characters.
pub const MAX_BYTES: usize = 4096;

/// The longest window, in days: the next week is what matters, a year is plenty.
pub const MAX_DAYS: u16 = 400;

/// Days before the window that also vote for the usual week.
const DAYS_BEFORE: i64 = 7;

/// Where a merchant stands: it decides holidays, borders of the day and the sun.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Site<'a> {
    /// ISO 3166-1 alpha-2; found from the coordinates when absent or not known.
    pub country: Option<&'a str>,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

impl<'a> From<&'a Merchant> for Site<'a> {
    fn from(merchant: &'a Merchant) -> Self {
        Self { country: merchant.country.as_deref(), latitude: merchant.latitude, longitude: merchant.longitude }
    }
}

/// The usual week, and the dates of the window that differ from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Hours {
    /// Ascending, disjoint `[open, close)` in minutes of the week, Monday 00:00 being 0. The opening lies before
    /// 10080, the close may pass it. Openings longer than a day are cut at midnight and touch.
    pub weekly: Vec<(u16, u16)>,
    /// Ascending by date.
    pub exceptions: Vec<Exception>,
    /// Minutes of the window of which the source does not say that they are open: `unknown`, `"by appointment"`, a
    /// holiday of only a part of the country. They count as not open.
    pub uncertain_minutes: u32,
}

/// A date that differs from the usual week: it replaces all openings which begin on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Exception {
    /// On the merchant's wall.
    pub date: Date,
    /// Ascending, disjoint `[open, close)` in minutes of that day; the close may pass 1440. Empty: closed.
    pub open: Vec<(u16, u16)>,
    /// Whether it is a public holiday of the whole country; `None` when the country is not known.
    pub holiday: Option<bool>,
}

impl Hours {
    /// Whether the door is open at a minute of a local date. Exact for every date of the window.
    #[must_use]
    pub fn is_open(&self, date: Date, minute: u16) -> bool {
        let holds = |openings: Vec<(u16, u16)>, minute: u32| {
            openings.iter().any(|&(opens, closes)| (u32::from(opens)..u32::from(closes)).contains(&minute))
        };
        let minute = u32::from(minute);
        holds(self.on(date), minute)
            || date.yesterday().is_ok_and(|yesterday| holds(self.on(yesterday), minute + DAY_MINUTES))
    }

    /// The openings that begin on a date, in minutes of that day.
    #[must_use]
    pub fn on(&self, date: Date) -> Vec<(u16, u16)> {
        if let Some(exception) = self.exceptions.iter().find(|exception| exception.date == date) {
            return exception.open.clone();
        }
        let midnight = weekday(date) * DAY_MINUTES as u16;
        let day = midnight..midnight + DAY_MINUTES as u16;
        self.weekly
            .iter()
            .filter(|(opens, _)| day.contains(opens))
            .map(|(opens, closes)| (opens - midnight, closes - midnight))
            .collect()
    }
}

/// Why a text gives no hours. The merchant stays; its hours are unknown.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HoursError {
    /// Not in the syntax of <https://wiki.openstreetmap.org/wiki/Key:opening_hours/specification>.
    #[error("opening hours {text:?}: {why}")]
    Syntax {
        /// As it was written, cut to a line.
        text: String,
        /// What was found and what was expected.
        why: String,
    },
    /// Longer than anyone writes by hand.
    #[error("opening hours of {found} bytes, expected at most {MAX_BYTES}")]
    TooLong {
        /// Bytes.
        found: usize,
    },
    /// A window outside of what this room answers for.
    #[error("opening hours for {days} days from {from}, expected 1 to {MAX_DAYS} days between 1970 and 2200")]
    Window {
        /// First date.
        from: Date,
        /// How many.
        days: u16,
    },
    /// Not a place on Earth.
    #[error("opening hours at latitude {latitude}, longitude {longitude}: expected -90 to 90 and -180 to 180")]
    Nowhere {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
    },
    /// A name that the time zone database lacks.
    #[error("time zone {name:?} is not in the time zone database")]
    Zone {
        /// As asked for.
        name: String,
    },
}

/// What the sun and the clock say where the merchant stands.
#[derive(Clone)]
struct Wall {
    coordinates: Coordinates,
    zone: TimeZone,
}

impl Localize for Wall {
    type DateTime = NaiveDateTime;

    fn naive(&self, local: NaiveDateTime) -> NaiveDateTime {
        local
    }

    fn datetime(&self, local: NaiveDateTime) -> NaiveDateTime {
        local
    }

    fn event_time(&self, date: NaiveDate, event: TimeEvent) -> Option<NaiveTime> {
        // Above the polar circles the sun may not rise at all; the rule then has no time and does not match.
        let at = self.coordinates.event_time(date, event)?;
        let at = jiff::Timestamp::from_second(at.timestamp()).ok()?;
        let local = self.zone.to_datetime(at);
        NaiveTime::from_hms_opt(local.hour() as u32, local.minute() as u32, local.second() as u32)
    }
}

/// A text and its place, ready to be asked for any date.
#[derive(Clone)]
pub struct Schedule {
    hours: OpeningHours<Wall>,
    country: Option<Country>,
}

/// The states of one local day, in minutes.
#[derive(Default)]
struct Day {
    open: Vec<(u32, u32)>,
    uncertain: u32,
}

impl Schedule {
    /// Reads a text in OpenStreetMap's syntax.
    ///
    /// # Errors
    /// The text is not in that syntax, or the site is not on Earth.
    pub fn parse(text: &str, at: Site<'_>) -> Result<Self, HoursError> {
        if text.len() > MAX_BYTES {
            return Err(HoursError::TooLong { found: text.len() });
        }
        if let Some(number) = overlong_number(text) {
            let why = format!("found the number {number}, expected at most 4 digits");
            return Err(HoursError::Syntax { text: line(text), why });
        }
        let (latitude, longitude) = (at.latitude, at.longitude);
        let coordinates = Coordinates::new(latitude, longitude).ok_or(HoursError::Nowhere { latitude, longitude })?;
        let parsed: OpeningHours =
            text.parse().map_err(|err| HoursError::Syntax { text: line(text), why: said(&err, text) })?;
        let country = at.country.and_then(|code| code.parse().ok()).or_else(|| Country::try_from_coords(coordinates));
        let zone = zone(time_zone(latitude, longitude))?;
        let context = Context::default()
            .with_locale(Wall { coordinates, zone })
            .with_holidays(country.map(Country::holidays).unwrap_or_default())
            .with_holidays_unknown(country.map(Country::holidays_regional).unwrap_or_default());
        Ok(Self { hours: parsed.with_context(context), country })
    }

    /// The library's own answer for one calendar day: ascending, disjoint `[open, close)` within its 1440 minutes.
    /// [`Hours`] is tested against it.
    #[must_use]
    pub fn open_on(&self, date: Date) -> Vec<(u16, u16)> {
        let day = chrono_date(date).map(|date| self.day(date)).unwrap_or_default();
        day.open.iter().map(|(opens, closes)| (*opens as u16, *closes as u16)).collect()
    }

    fn day(&self, date: NaiveDate) -> Day {
        let mut day = Day::default();
        for range in self.hours.schedule_at(date) {
            let minutes = |time: opening_hours_syntax::ExtendedTime| u32::from(time.mins_from_midnight());
            let opens = minutes(range.range.start).min(DAY_MINUTES);
            let closes = minutes(range.range.end).clamp(opens, DAY_MINUTES);
            match range.kind {
                RuleKind::Open if !arranged(&range.comment, closes - opens) => day.open.push((opens, closes)),
                RuleKind::Open | RuleKind::Unknown => day.uncertain += closes - opens,
                RuleKind::Closed => {}
            }
        }
        day
    }

    fn holiday(&self, date: NaiveDate) -> Option<bool> {
        self.country.map(|_| self.hours.get_context().holidays.get_public().contains(date))
    }

    /// The usual week over the window's dates and the seven before, and every date from the day before the
    /// window that differs: its night may reach into the window.
    ///
    /// # Errors
    /// The window is empty, longer than [`MAX_DAYS`] or outside of 1970 to 2200.
    pub fn over(&self, from: Date, days: u16) -> Result<Hours, HoursError> {
        let window = HoursError::Window { from, days };
        if !(1..=MAX_DAYS).contains(&days) || !(1970..2200).contains(&from.year()) {
            return Err(window);
        }
        let first = chrono_date(from).ok_or(window)?;
        let date = |offset: i64| first + chrono::Duration::days(offset);

        // One day more on either side, so that every opening of the dates between is seen whole.
        let (before, after) = (-DAYS_BEFORE - 1, i64::from(days) + 1);
        let mut uncertain_minutes = 0;
        let mut runs: Vec<(i64, i64)> = Vec::new();
        for offset in before..=after {
            let day = self.day(date(offset));
            if (0..i64::from(days)).contains(&offset) {
                uncertain_minutes += day.uncertain;
            }
            let midnight = offset * i64::from(DAY_MINUTES);
            for (opens, closes) in day.open {
                let (opens, closes) = (midnight + i64::from(opens), midnight + i64::from(closes));
                match runs.last_mut() {
                    Some(run) if run.1 == opens => run.1 = closes,
                    _ => runs.push((opens, closes)),
                }
            }
        }
        let openings = by_day(&runs);
        let on = |offset: i64| openings.get(&offset).cloned().unwrap_or_default();

        // The usual day is the most frequent one; among equals a day that is no holiday, then the earlier.
        let mut weekly = Vec::new();
        let mut usual: [Vec<(u16, u16)>; 7] = Default::default();
        for (weekday, usual) in usual.iter_mut().enumerate() {
            let mut votes: BTreeMap<Vec<(u16, u16)>, (usize, bool, i64)> = BTreeMap::new();
            for offset in -DAYS_BEFORE..i64::from(days) {
                if date(offset).weekday().num_days_from_monday() as usize == weekday {
                    let vote = votes.entry(on(offset)).or_insert((0, false, -offset));
                    vote.0 += 1;
                    vote.1 |= self.holiday(date(offset)) != Some(true);
                }
            }
            if let Some((day, _)) = votes.into_iter().max_by_key(|(_, vote)| *vote) {
                let midnight = weekday as u16 * DAY_MINUTES as u16;
                weekly.extend(day.iter().map(|(opens, closes)| (midnight + opens, midnight + closes)));
                *usual = day;
            }
        }
        let exceptions = (-1..i64::from(days))
            .filter(|&offset| on(offset) != usual[date(offset).weekday().num_days_from_monday() as usize])
            .filter_map(|offset| {
                let holiday = self.holiday(date(offset));
                Some(Exception { date: jiff_date(date(offset))?, open: on(offset), holiday })
            })
            .collect();
        Ok(Hours { weekly, exceptions, uncertain_minutes })
    }
}

/// Openings by the day they begin on. What lasts up to a day stays whole, so that a bar's night belongs to its
/// evening; what lasts longer is cut at every midnight, so that 24/7 is the same every day.
fn by_day(runs: &[(i64, i64)]) -> BTreeMap<i64, Vec<(u16, u16)>> {
    const DAY: i64 = DAY_MINUTES as i64;
    let mut days: BTreeMap<i64, Vec<(u16, u16)>> = BTreeMap::new();
    for &(mut opens, closes) in runs {
        while opens < closes {
            let day = opens.div_euclid(DAY);
            let until = if closes - opens <= DAY { closes } else { (day + 1) * DAY };
            // Both are at most two days after the day's midnight.
            days.entry(day).or_default().push(((opens - day * DAY) as u16, (until - day * DAY) as u16));
            opens = until;
        }
    }
    days
}

/// Compiles opening hours for `days` local dates from `from` on.
///
/// # Errors
/// See [`Schedule::parse`] and [`Schedule::over`]; the text and the reason are in the error.
pub fn compile(opening_hours: &str, at: Site<'_>, from: Date, days: u16) -> Result<Hours, HoursError> {
    Schedule::parse(opening_hours, at)?.over(from, days)
}

/// The country around a point, ISO 3166-1 alpha-2; none at sea.
#[must_use]
pub fn country(latitude: f64, longitude: f64) -> Option<&'static str> {
    let coordinates = Coordinates::new(latitude, longitude)?;
    Country::try_from_coords(coordinates).map(Country::iso_code)
}

/// The name of the time zone around a point; `UTC` for what is not on Earth.
#[must_use]
pub fn time_zone(latitude: f64, longitude: f64) -> &'static str {
    static FINDER: LazyLock<tzf_rs::DefaultFinder> = LazyLock::new(tzf_rs::DefaultFinder::new);
    if !(latitude.abs() <= 90.0 && longitude.abs() <= 180.0) {
        return "UTC";
    }
    match FINDER.get_tz_name(longitude, latitude) {
        "" => "UTC",
        name => name,
    }
}

/// Minutes ahead of UTC at `from`, and the next `n` changes: from this second on, this many minutes ahead.
///
/// # Errors
/// The zone is not in the bundled database.
pub fn transitions(name: &str, from: Timestamp, n: usize) -> Result<(i16, Vec<(Timestamp, i16)>), HoursError> {
    let zone = zone(name)?;
    let from = jiff::Timestamp::from_second(from).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let minutes = |offset: jiff::tz::Offset| offset.seconds().div_euclid(60) as i16;
    let now = minutes(zone.to_offset(from));
    let mut offset = now;
    let changes = zone
        .following(from)
        .map(|change| (change.timestamp().as_second(), minutes(change.offset())))
        // Some transitions only rename the zone or move its standard time.
        .filter(|(_, minutes)| std::mem::replace(&mut offset, *minutes) != *minutes)
        .take(n)
        .collect();
    Ok((now, changes))
}

/// From the database in the program: results must not depend on what the machine has installed.
pub(crate) fn zone(name: &str) -> Result<TimeZone, HoursError> {
    static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    BUNDLED.get(name).map_err(|_| HoursError::Zone { name: name.to_owned() })
}

/// Whether a comment takes the door away again. The library calls `"by appointment"` open, with a comment; by the
/// syntax's own rules a comment in place of times means *unknown*, and one beside times may say anything.
fn arranged(comment: &str, minutes: u32) -> bool {
    const WORDS: [&str; 17] = [
        "appointment",
        "by arrangement",
        "by request",
        "on request",
        "by reservation",
        "reservation only",
        "reservations only",
        "auf anfrage",
        "vereinbarung",
        "efter aftale",
        "överenskommelse",
        "tilauksesta",
        "varauksesta",
        "rendez-vous",
        "cita previa",
        "appuntamento",
        "op afspraak",
    ];
    let comment = comment.to_lowercase();
    !comment.is_empty() && (minutes == DAY_MINUTES || WORDS.iter().any(|word| comment.contains(word)))
}

/// Offsets in days go unchecked into the library's calendar, and would overflow it.
fn overlong_number(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_ascii_digit()).find(|number| number.len() > 4)
}

/// The library draws a picture of the place of an error over several lines; one line is enough.
fn said(err: &opening_hours_syntax::Error, text: &str) -> String {
    use opening_hours_syntax::Error;
    let picture = err.to_string();
    let Error::Syntax(_) = err else {
        return picture.lines().next().unwrap_or_default().to_lowercase();
    };
    let place = picture.lines().find_map(|line| line.trim_start().strip_prefix("--> 1:"));
    let before = place.and_then(|column| column.parse::<usize>().ok()).map_or(0, |column| column.saturating_sub(1));
    match text.chars().skip(before).take(24).collect::<String>() {
        rest if rest.is_empty() => format!("ends too early, after {before} characters"),
        rest => format!("not understood after {before} characters, from {rest:?} on"),
    }
}

fn line(text: &str) -> String {
    text.chars().take(120).collect()
}

fn weekday(date: Date) -> u16 {
    u16::from(date.weekday().to_monday_zero_offset().unsigned_abs())
}

fn chrono_date(date: Date) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(date.year().into(), date.month().unsigned_abs().into(), date.day().unsigned_abs().into())
}

fn jiff_date(date: NaiveDate) -> Option<Date> {
    Date::new(date.year().try_into().ok()?, date.month().try_into().ok()?, date.day().try_into().ok()?).ok()
}
