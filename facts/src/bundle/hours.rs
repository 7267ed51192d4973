//! Whether a merchant is open, on its own wall clock.

use super::{Bundle, EXCEPTION_BYTES, SCHEDULE_BYTES};
use crate::time::{DAY_MINUTES, Local, WEEK_MINUTES, weekday};
use core::ops::Range;

/// How far ahead a closing time is followed; whoever is open longer closes "later than that".
const LOOK_AHEAD_MINUTES: i64 = 2 * DAY_MINUTES;

/// The hours of one schedule: a week, and the dates that differ from it.
///
/// An exception replaces the openings that *begin* on its date; what began the evening before runs on.
#[derive(Debug, Clone, Copy)]
pub struct Hours<'b> {
    bundle: &'b Bundle,
    schedule: usize,
}

/// A merchant's door at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Open.
    Open {
        /// Local minutes since 1970, at most two days ahead.
        closes: i64,
    },
    /// Closed.
    Closed {
        /// When it last closed, local minutes since 1970, within the last day.
        since: Option<i64>,
        /// When it opens next, local minutes since 1970, within the next week.
        opens: Option<i64>,
    },
}

impl<'b> Hours<'b> {
    pub(super) fn new(bundle: &'b Bundle, schedule: usize) -> Self {
        Self { bundle, schedule }
    }

    /// Whether the door is open at this local time.
    #[must_use]
    pub fn at(self, now: Local) -> Opening {
        match self.closes_after(now.minutes) {
            Some(closes) => Opening::Open { closes },
            None => self.closed(now),
        }
    }

    /// When doors close: the ends of all openings that begin on these days since 1970, each followed through the openings that touch
    /// it, in local minutes since 1970; whoever stays open for a day and longer closes at none of them.
    pub fn closings(self, days: Range<i64>) -> impl Iterator<Item = i64> + 'b {
        let ends = days.flat_map(move |day| self.on(day)).filter(|(opens, closes)| opens < closes);
        ends.filter_map(move |(_, end)| match self.closes_after(end - 1) {
            Some(closes) if closes < end - 1 + DAY_MINUTES => Some(closes),
            _ => None,
        })
    }

    /// Follows openings that touch each other, so that 24/7 does not close at midnight.
    fn closes_after(self, now: i64) -> Option<i64> {
        let mut closes = None;
        let mut at = now;
        while at < now + LOOK_AHEAD_MINUTES {
            let Some(end) = self.closing_of(at) else { break };
            closes = Some(end);
            at = end;
        }
        closes.map(|end| if end < now + LOOK_AHEAD_MINUTES { end } else { now + LOOK_AHEAD_MINUTES })
    }

    /// The latest end of the openings that hold `at`; an opening may have begun up to two days before.
    fn closing_of(self, at: i64) -> Option<i64> {
        let (bundle, today) = (self.bundle, at.div_euclid(DAY_MINUTES));
        let start = bundle.schedules_at + self.schedule * SCHEDULE_BYTES;
        let exceptions = [0, 1, 2].map(|back| self.exception(start, today - back));
        // The week is gone through once for all three days: every decision does this for every schedule.
        let (first, n) = (bundle.u32(start) as usize, usize::from(bundle.u16(start + 4)));
        let weekly = (first..first + n).filter_map(|i| {
            let (opens, closes) = bundle.interval(i);
            let day = i64::from(opens) / DAY_MINUTES;
            let back = (weekday(today) - day).rem_euclid(7);
            let holds = day < 7 && matches!(exceptions.get(back as usize), Some(None));
            let monday = (today - back - day) * DAY_MINUTES;
            holds.then_some((monday + i64::from(opens), monday + i64::from(closes)))
        });
        let dated = exceptions.iter().zip(0..).filter_map(|(exception, back)| Some(((*exception)?, today - back)));
        let dated = dated.flat_map(|((first, n), day)| {
            (first..first + n).map(|i| bundle.interval(i)).filter(|(opens, _)| i64::from(*opens) < WEEK_MINUTES).map(
                move |(opens, closes)| (day * DAY_MINUTES + i64::from(opens), day * DAY_MINUTES + i64::from(closes)),
            )
        });
        let holding = weekly.chain(dated).filter(|(opens, closes)| *opens <= at && at < *closes);
        holding.map(|(_, closes)| closes).max()
    }

    fn closed(self, now: Local) -> Opening {
        let (today, now) = (now.day(), now.minutes);
        let since = (today - 3..=today)
            .flat_map(|day| self.on(day))
            .map(|(_, closes)| closes)
            .filter(|closes| *closes <= now && now - closes < DAY_MINUTES)
            .max();
        let opens = (today..=today + 7)
            .flat_map(|day| self.on(day))
            .filter(|(opens, closes)| *opens > now && closes > opens)
            .map(|(opens, _)| opens)
            .min();
        Opening::Closed { since, opens }
    }

    /// The openings that begin on this day, in local minutes since 1970.
    fn on(self, day: i64) -> impl Iterator<Item = (i64, i64)> + 'b {
        let bundle = self.bundle;
        let start = bundle.schedules_at + self.schedule * SCHEDULE_BYTES;
        let midnight = day * DAY_MINUTES;
        let exception = self.exception(start, day);
        let (first, n, base) = match exception {
            Some((first, n)) => (first, n, midnight),
            None => {
                (bundle.u32(start) as usize, usize::from(bundle.u16(start + 4)), midnight - weekday(day) * DAY_MINUTES)
            }
        };
        let within = if exception.is_some() {
            0..WEEK_MINUTES
        } else {
            weekday(day) * DAY_MINUTES..(weekday(day) + 1) * DAY_MINUTES
        };
        (first..first + n)
            .map(move |i| bundle.interval(i))
            .filter(move |(opens, _)| within.contains(&i64::from(*opens)))
            .map(move |(opens, closes)| (base + i64::from(opens), base + i64::from(closes)))
    }

    /// First interval and number of intervals of the day's exception, if it has one.
    fn exception(self, start: usize, day: i64) -> Option<(usize, usize)> {
        let bundle = self.bundle;
        let first = usize::from(bundle.u16(start + 6));
        (first..first + usize::from(bundle.u16(start + 8)))
            .map(|e| bundle.exceptions_at + e * EXCEPTION_BYTES)
            .find(|&e| i64::from(bundle.u16(e)) == day)
            .map(|e| (bundle.u32(e + 2) as usize, usize::from(bundle.bytes.get(e + 6).copied().unwrap_or(0))))
    }
}
