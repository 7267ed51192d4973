//! How many cards may be paid for.
//!
//! Whoever lets a paid card in looks ahead: were every other slot filled with unpaid merchants, as far as there are any, would the
//! finished message keep to `organic_share`? Then it does in the end, whatever is drawn on the way.

use super::Slate;
use alloc::vec;
use alloc::vec::Vec;

/// The state of a message before one more slot is filled.
pub(super) struct Organic {
    share: f64,
    /// Slots without a card, the one to be filled among them.
    empty: usize,
    /// Cards that nobody paid for, and that somebody did.
    unpaid: usize,
    paid: usize,
    /// Unpaid merchants that could still be added, all of them and of each chain.
    left: usize,
    left_of_chain: Vec<usize>,
}

impl Organic {
    /// Counts; `None` where any card may be paid for.
    pub(super) fn new(slate: &Slate<'_>) -> Option<Self> {
        let share = slate.of.policy.organic_share;
        if !(share > 0.0 && slate.facts.iter().any(|facts| facts.paid)) {
            return None;
        }
        let shown = || slate.slots.iter().flatten();
        let paid = shown().filter(|&&i| slate.facts[i].paid).count();
        let (mut left, mut left_of_chain) = (0, vec![0; slate.chains.len()]);
        for (i, facts) in slate.facts.iter().enumerate().filter(|(i, facts)| !facts.paid && !slate.is_shown[*i]) {
            match facts.chain {
                Some(chain) if slate.chain_has_room(i) => left_of_chain[chain] += 1,
                Some(_) => {}
                None => left += 1,
            }
        }
        let cap = usize::from(slate.of.policy.chain_cap);
        let room = |chain: usize| cap.saturating_sub(slate.chains[chain]);
        left += left_of_chain.iter().enumerate().map(|(chain, n)| room(chain).min(*n)).sum::<usize>();
        let empty = slate.slots.iter().filter(|slot| slot.is_none()).count();
        Some(Self { share, empty, unpaid: shown().count() - paid, paid, left, left_of_chain })
    }

    /// Whether a candidate may take one of the empty slots.
    pub(super) fn allows(&self, slate: &Slate<'_>, i: usize) -> bool {
        if !slate.facts[i].paid {
            return true;
        }
        // It may take an unpaid outlet's room in its chain.
        let crowded = slate.facts[i].chain.is_some_and(|chain| {
            let room = usize::from(slate.of.policy.chain_cap).saturating_sub(slate.chains[chain]);
            self.left_of_chain[chain] >= room
        });
        let left = self.left.saturating_sub(usize::from(crowded));
        let unpaid = self.unpaid + left.min(self.empty.saturating_sub(1));
        unpaid >= least(self.share, unpaid + self.paid + 1)
    }
}

/// ceil(share x filled), but for the last bits of the product.
fn least(share: f64, filled: usize) -> usize {
    libm::ceil(share * filled as f64 - 1e-9) as usize
}
