//! When a merchant takes orders, on the local clock of the window.

use freshrank::time::Local;

/// Opening intervals of the whole window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// `[open, close)` in minutes since 1970-01-01T00:00 on the local clock, sorted and apart.
    open: Vec<(i64, i64)>,
    prep_minutes: i64,
}

impl Calendar {
    /// A calendar of any intervals; those that touch become one.
    pub fn new(mut intervals: Vec<(i64, i64)>, prep_minutes: i64) -> Self {
        intervals.sort_unstable();
        let mut open: Vec<(i64, i64)> = Vec::with_capacity(intervals.len());
        for (from, to) in intervals.into_iter().filter(|(from, to)| from < to) {
            match open.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => open.push((from, to)),
            }
        }
        Self { open, prep_minutes }
    }

    /// Open, and not closing before the food is ready.
    pub fn takes_orders(&self, local: Local) -> bool {
        let after = self.open.partition_point(|&(from, _)| from <= local.minutes);
        let during = after.checked_sub(1).and_then(|n| self.open.get(n));
        during.is_some_and(|&(_, to)| local.minutes + self.prep_minutes <= to && local.minutes < to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_must_be_ready_before_closing_time() {
        let calendar = Calendar::new(vec![(600, 720), (720, 900), (1320, 1560)], 20);
        let takes = |minutes| calendar.takes_orders(Local { minutes });
        assert!([600, 719, 720, 880, 1320, 1500].into_iter().all(takes));
        assert!(![599, 881, 900, 1319, 1541, 1560].into_iter().any(takes));
    }
}
