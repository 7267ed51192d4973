//! Fixed slots, by the id of their pin: whichever comes first has the slot.

use super::organic::Organic;
use super::{Notice, Slate};
use crate::campaign::Named;
use crate::sorted::Map;
use crate::time;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

impl Slate<'_> {
    /// Places the pins in force; tells which pin each slot shows.
    pub(super) fn pin(&mut self, notices: &mut Vec<Notice>) -> Map<usize, String> {
        let mut pinned: Map<usize, String> = Map::new();
        let (policy, at, slots) = (self.of.policy, self.of.context.at, self.slots.len());
        for (id, pin) in policy.pins.iter().filter(|(_, pin)| time::holds(&pin.from, &pin.until, at)) {
            let (slot, pin_id) = (usize::from(pin.slot), id.clone());
            if slot >= slots {
                notices.push(Notice::BeyondSlots { what: "pin", id: pin_id, slot, slots });
            } else if let Some(by) = pinned.get(&slot) {
                notices.push(Notice::PinTaken { pin: pin_id, slot, by: by.clone() });
            } else {
                match self.pinnable(Named::parse(&pin.merchant)) {
                    Ok(i) => {
                        self.place(slot, i);
                        pinned.insert(slot, pin_id);
                    }
                    Err(problem) => notices.push(Notice::PinLost { pin: pin_id, problem }),
                }
            }
        }
        pinned
    }

    /// The best of those named that may be shown, or why there is none.
    fn pinnable(&self, named: Named) -> Result<usize, String> {
        let organic = Organic::new(self);
        let mut problem = None;
        for &i in self.order.iter().filter(|i| named.matches(&self.of.kept[**i].merchant)) {
            if self.may_stand(i, organic.as_ref()) {
                return Ok(i);
            }
            problem.get_or_insert(if self.is_shown[i] {
                "stands in another slot already"
            } else if !self.chain_has_room(i) {
                "as many of its chain are shown as chain_cap allows"
            } else {
                "paid for, and organic_share leaves no more room for that"
            });
        }
        let dropped = |id| self.of.dropped.iter().find(move |dropped| dropped.id == id);
        Err(match (problem, named) {
            (Some(problem), _) => problem.into(),
            (None, Named::Merchant(id)) => {
                dropped(id).map_or("not in this area".into(), |dropped| dropped.reason.to_string())
            }
            (None, Named::Chain(_)) => "no outlet can be shown".into(),
        })
    }
}
