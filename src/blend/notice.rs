//! What a campaign asked for and could not have, for the marketer who asked.

use super::Demand;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// A demand that gave way. Slots count from 0, as in the campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A pin's slot shows another pin.
    PinTaken {
        /// The loser's id.
        pin: String,
        /// The slot of both.
        slot: usize,
        /// The winner's id.
        by: String,
    },
    /// A pin's merchant cannot be shown.
    PinLost {
        /// Its id.
        pin: String,
        /// Why.
        problem: String,
    },
    /// A pin or a range lies beyond the message.
    BeyondSlots {
        /// `pin` or `range`.
        what: &'static str,
        /// Its id.
        id: String,
        /// Its last slot.
        slot: usize,
        /// How many there are.
        slots: usize,
    },
    /// A range's slot belongs to another range.
    RangeTaken {
        /// The loser's id.
        range: String,
        /// The slot of both.
        slot: usize,
        /// The winner's id.
        by: String,
    },
    /// A soft demand that nobody was left to meet.
    GivenUp {
        /// Which.
        demand: Demand,
        /// Where.
        slots: Vec<usize>,
    },
    /// Slots that only paid merchants were left for.
    OnlyPaid {
        /// Which.
        slots: Vec<usize>,
    },
}

impl Notice {
    /// Speaks of no slot at all.
    pub(super) fn is_void(&self) -> bool {
        matches!(self, Self::GivenUp { slots, .. } | Self::OnlyPaid { slots } if slots.is_empty())
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PinTaken { pin, slot, by } => write!(f, "pin {pin}: slot {slot} is taken by pin {by}"),
            Self::PinLost { pin, problem } => write!(f, "pin {pin}: {problem}"),
            Self::BeyondSlots { what, id, slot, slots } => {
                write!(f, "{what} {id}: slot {slot} is beyond the message's last, {}", slots.saturating_sub(1))
            }
            Self::RangeTaken { range, slot, by } => write!(f, "range {range}: slot {slot} belongs to range {by}"),
            Self::GivenUp { demand, slots } => {
                write!(
                    f,
                    "{}: given up in {}, to break no stronger demand and leave nothing empty",
                    demand.key(),
                    list(slots)
                )
            }
            Self::OnlyPaid { slots } => {
                write!(f, "organic_share: only paid merchants are left for {}", list(slots))
            }
        }
    }
}

/// `slot 1`, `slots 1, 2 and 5`.
fn list(slots: &[usize]) -> String {
    let words: Vec<String> = slots.iter().map(ToString::to_string).collect();
    match words.split_last() {
        Some((last, [])) => alloc::format!("slot {last}"),
        Some((last, rest)) => alloc::format!("slots {} and {last}", rest.join(", ")),
        None => String::new(),
    }
}
