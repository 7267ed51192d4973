//! Civil time without a clock and without a time-zone database.
//!
//! An area bundle brings its UTC offset and its next transitions; what is left is arithmetic on days
//! (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").

use alloc::format;
use alloc::string::String;

/// Minutes of a day.
pub const DAY_MINUTES: i64 = 1440;
/// Minutes of a week.
pub const WEEK_MINUTES: i64 = 7 * DAY_MINUTES;

/// The latest time that is taken, 2100-01-01T00:00:00Z: days since 1970 still fit 16 bits.
pub const LATEST: i64 = 4_102_444_800;

/// Wall-clock time at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Local {
    /// Minutes since 1970-01-01T00:00 on the local clock.
    pub minutes: i64,
}

impl Local {
    /// The local time of `at` (seconds since 1970-01-01T00:00:00Z) where clocks are `offset` minutes ahead of UTC.
    #[must_use]
    pub fn new(at: i64, offset: i16) -> Self {
        Self { minutes: at.div_euclid(60) + i64::from(offset) }
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub fn day(self) -> i64 {
        self.minutes.div_euclid(DAY_MINUTES)
    }

    /// Minutes after local midnight, 0 to 1439.
    #[must_use]
    pub fn minute_of_day(self) -> i64 {
        self.minutes.rem_euclid(DAY_MINUTES)
    }

    /// Monday is 0. 1970-01-01 was a Thursday.
    #[must_use]
    pub fn weekday(self) -> i64 {
        weekday(self.day())
    }

    /// The part of the day.
    #[must_use]
    pub fn daypart(self) -> Daypart {
        Daypart::of_hour(self.minute_of_day() / 60)
    }
}

/// The weekday of a day since 1970-01-01; Monday is 0.
#[must_use]
pub fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7)
}

/// Four parts of a day; what a reader wants, and where they are, differs between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Daypart {
    /// 05:00 to 11:00.
    Morning,
    /// 11:00 to 16:00.
    Midday,
    /// 16:00 to 22:00.
    Evening,
    /// 22:00 to 05:00.
    Night,
}

impl Daypart {
    /// The part that a local hour, 0 to 23, lies in.
    #[must_use]
    pub fn of_hour(hour: i64) -> Self {
        match hour {
            5..=10 => Self::Morning,
            11..=15 => Self::Midday,
            16..=21 => Self::Evening,
            _ => Self::Night,
        }
    }

    /// 0 to 3, as a profile stores it.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// `HH:MM` of minutes after local midnight; 1530 is `01:30`.
#[must_use]
pub fn clock(minute_of_day: i64) -> String {
    let minute = minute_of_day.rem_euclid(DAY_MINUTES);
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Reads an RFC 3339 time; fractions of a second are cut off.
///
/// # Errors
/// A sentence with what was found and what was expected.
pub fn parse(text: &str) -> Result<i64, String> {
    parse_fields(text).filter(|at| (0..LATEST).contains(at)).ok_or_else(|| {
        // Whatever is not even like a time may be somebody's name or address, which no error repeats.
        let begins = |i: usize, b: u8| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() };
        let is_like = text.len() >= 10
            && text.bytes().take(10).enumerate().all(|(i, b)| begins(i, b))
            && text.bytes().all(|b| b.is_ascii_digit() || b"-:.+TtZz ".contains(&b));
        let found = if is_like { format!("{:?}", cut(text)) } else { format!("{} bytes", text.len()) };
        format!("found {found}, expected an RFC 3339 time from 1970 to 2099, as 2026-11-20T12:00:00+02:00")
    })
}

/// Whether a time lies within two RFC 3339 times, the second exclusive; what cannot be read never holds.
#[must_use]
pub fn holds(from: &Option<String>, until: &Option<String>, at: i64) -> bool {
    let from = from.as_deref().is_none_or(|text| parse(text).is_ok_and(|from| from <= at));
    let until = until.as_deref().is_none_or(|text| parse(text).is_ok_and(|until| at < until));
    from && until
}

/// Writes seconds since 1970 as RFC 3339 in UTC.
#[must_use]
pub fn format(at: i64) -> String {
    let (year, month, day) = civil_from_days(at.div_euclid(86_400));
    let second = at.rem_euclid(86_400);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// At most the first 40 characters of what somebody sent, for an error.
pub fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}

fn parse_fields(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        bytes.get(from..to)?.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
    };
    let is = |at: usize, any: &[u8]| bytes.get(at).is_some_and(|b| any.contains(b));
    let separators = is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let days = days_from_civil(year, month, day);
    let exists = civil_from_days(days) == (year, month, day) && hour < 24 && minute < 60 && second <= 60;

    let mut at = 19;
    if is(at, b".") {
        at += 1;
        let digits = bytes.get(at..)?.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        at += digits;
    }
    let offset = match bytes.get(at)? {
        b'Z' | b'z' if bytes.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if bytes.len() == at + 6 && is(at + 3, b":") => {
            let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -60 } else { 60 }
        }
        _ => return None,
    };
    (separators && exists).then(|| days * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
#[must_use]
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a day since 1970-01-01.
#[must_use]
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days - era * 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_is_read_and_written() {
        for (text, at) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-20T12:00:00+02:00", 1_795_168_800),
            ("2026-11-20T10:00:00.75Z", 1_795_168_800),
            ("2028-02-29T23:59:59-00:30", 1_835_483_399),
        ] {
            assert_eq!(parse(text), Ok(at), "{text}");
            assert_eq!(parse(&format(at)), Ok(at), "{text}");
        }
        for text in [
            "",
            "2026-11-20",
            "2026-02-29T00:00:00Z",
            "2026-11-20T12:00:00",
            "2026-11-20T12:00:00.Z",
            "2026-11-20T24:00:00Z",
            "2026-11-20T12:00:00+2:00",
            "2526-11-20T12:00:00Z",
            "2026-11-20T12:00:00Zulu",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_of_three_centuries_survives_the_round_trip() {
        for day in -40_000..80_000 {
            let (y, m, d) = civil_from_days(day);
            assert_eq!(days_from_civil(y, m, d), day);
        }
        assert_eq!(weekday(days_from_civil(2026, 11, 20)), 4, "20 November 2026 is a Friday");
    }
}
