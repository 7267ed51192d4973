//! What is known of the world at a decision: the area bundles at hand, and the overlay that is newer than any of them.

use crate::bundle::{Bundle, Opening, Schedule};
use crate::geo::Cell;
use crate::id::MerchantId;
use crate::sorted::sort_by_key;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Entries of the overlay that a request may bring.
pub const MAX_CLOSURES: usize = 10_000;

/// The area bundles at hand, and the overlay.
#[derive(Debug, Default)]
pub struct Areas<'a> {
    bundles: Vec<&'a Bundle>,
    instead: Option<&'a Bundle>,
    overlay: Vec<Availability>,
}

/// One merchant that is not available, whatever the bundle says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Availability {
    /// Who.
    pub merchant: MerchantId,
    /// What happened.
    pub closure: Closure,
    /// Seconds since 1970; from then on the bundle holds again.
    pub until: Option<i64>,
}

/// What happened to a merchant since the bundle was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Closure {
    /// Takes no orders for now.
    Paused,
    /// Does not open today.
    ClosedToday,
    /// Is gone.
    Removed,
}

impl Closure {
    /// The closure of this number, from 0 in their order.
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        [Self::Paused, Self::ClosedToday, Self::Removed].get(usize::from(number)).copied()
    }

    /// Its name in counts and logs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::ClosedToday => "closed_today",
            Self::Removed => "removed",
        }
    }
}

impl fmt::Display for Closure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paused => "paused",
            Self::ClosedToday => "closed today",
            Self::Removed => "removed",
        })
    }
}

/// One area with the overlay over it.
#[derive(Debug, Clone, Copy)]
pub struct Area<'a> {
    /// The candidates.
    pub bundle: &'a Bundle,
    overlay: &'a [Availability],
}

impl<'a> Areas<'a> {
    /// The later of two bundles of one cell counts.
    #[must_use]
    pub fn new(bundles: impl IntoIterator<Item = &'a Bundle>, mut overlay: Vec<Availability>) -> Self {
        let mut bundles: Vec<&Bundle> = bundles.into_iter().collect();
        sort_by_key(&mut bundles, |bundle| (bundle.cell, bundle.as_of));
        sort_by_key(&mut overlay, |entry| (entry.merchant, entry.closure));
        Self { bundles, instead: None, overlay }
    }

    /// A bundle that stands in for every cell whose own is not at hand: who is in it delivers there only as far as it delivers.
    #[must_use]
    pub fn or(mut self, bundle: Option<&'a Bundle>) -> Self {
        self.instead = bundle;
        self
    }

    /// The area of a cell, if its bundle is at hand, or one that stands in.
    #[must_use]
    pub fn get(&self, cell: Cell) -> Option<Area<'_>> {
        let end = self.bundles.partition_point(|bundle| bundle.cell <= cell);
        let own = end.checked_sub(1).and_then(|last| self.bundles.get(last)).filter(|bundle| bundle.cell == cell);
        let bundle = own.copied().or(self.instead)?;
        Some(Area { bundle, overlay: &self.overlay })
    }
}

/// How far down an edge had to go for the area of a place: each step knows less of it than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// The cell's own bundle.
    Own,
    /// The cell's own, as it was a while ago.
    Stale,
    /// A neighbour's.
    Neighbour,
    /// Of the middle of the reader's market, or of the city they travelled to.
    City,
    /// There is none, or no place: the campaign's own card.
    #[default]
    None,
}

impl Area<'_> {
    /// Whether the overlay closes a merchant at this time; the most final closure counts.
    #[must_use]
    pub fn closure(&self, merchant: MerchantId, at: i64) -> Option<(Closure, Option<i64>)> {
        let start = self.overlay.partition_point(|entry| entry.merchant < merchant);
        let entries = self.overlay[start..].iter().take_while(|entry| entry.merchant == merchant);
        entries
            .filter(|entry| entry.until.is_none_or(|until| at < until))
            .max_by_key(|entry| entry.closure)
            .map(|entry| (entry.closure, entry.until))
    }

    /// Whether a merchant takes orders at this time: it is still there, nothing closes it, and its door is open or nobody knows.
    #[must_use]
    pub fn takes_orders(&self, merchant: MerchantId, at: i64) -> bool {
        let Some(i) = self.bundle.find(merchant) else {
            return false;
        };
        let open = match self.bundle.merchant(i).schedule {
            Schedule::Known(schedule) => {
                matches!(self.bundle.hours(schedule).at(self.bundle.local(at)), Opening::Open { .. })
            }
            Schedule::Unknown | Schedule::Untracked => true,
        };
        open && self.closure(merchant, at).is_none()
    }
}
