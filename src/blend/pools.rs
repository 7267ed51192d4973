//! Who belongs to which pool, and which pool a slot asks.

use super::{Demand, Ingredients, Notice};
use crate::retrieve::first_pass::Pool;
use crate::sorted::{Map, Set, sort_by_key};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// What a slot wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) pool: &'a str,
    /// A range takes its pool alone, a pattern asks it first.
    pub(super) demand: Demand,
    /// Whether a candidate belongs to it.
    pub(super) members: &'a [bool],
}

/// The pools that a campaign speaks of.
pub(super) struct Pools<'a> {
    plan: Vec<Option<(&'a str, Demand)>>,
    /// By pool, whether a candidate belongs to it.
    members: Map<&'a str, Vec<bool>>,
    /// By capped pool, how many more may be shown.
    room: Map<&'a str, usize>,
    /// What is wrong with the plan.
    pub(super) notices: Vec<Notice>,
}

impl<'a> Pools<'a> {
    pub(super) fn new(of: &Ingredients<'a>) -> Self {
        let mut notices = Vec::new();
        let plan = plan(of, &mut notices);
        let room: Map<&str, usize> =
            of.policy.pool_caps.iter().map(|(pool, cap)| (pool.as_str(), usize::from(*cap))).collect();
        let named = plan.iter().flatten().map(|(pool, _)| *pool).chain(room.keys().copied());
        let named: Set<&str> = named.collect();
        let members = named.into_iter();
        let members = members.map(|pool| (pool, (0..of.kept.len()).map(|i| belongs(of, i, pool)).collect())).collect();
        Self { plan, members, room, notices }
    }

    pub(super) fn asked(&self, slot: usize) -> Option<Asked<'_>> {
        let (pool, demand) = (*self.plan.get(slot)?)?;
        Some(Asked { pool, demand, members: self.members.get(pool)? })
    }

    /// Whether a pool that a candidate belongs to is used up.
    pub(super) fn is_full(&self, i: usize) -> bool {
        self.room.iter().any(|(pool, room)| *room == 0 && self.members.get(pool).is_some_and(|members| members[i]))
    }

    pub(super) fn show(&mut self, i: usize) {
        let members = &self.members;
        let own = self.room.iter_mut().filter(|(pool, _)| members.get(**pool).is_some_and(|members| members[i]));
        own.for_each(|(_, room)| *room = room.saturating_sub(1));
    }
}

/// The four pools that the first pass has, too, and those that rules fill.
fn belongs(of: &Ingredients<'_>, i: usize, pool: &str) -> bool {
    match Pool::parse(pool) {
        Some(pool) => pool.has(&of.kept[i], of.profile),
        None => of.marks.get(i).is_some_and(|marks| marks.pools.iter().any(|own| own == pool)),
    }
}

/// What every slot asks: the range it lies in, the first by id; else its pool of the pattern or weave.
fn plan<'a>(of: &Ingredients<'a>, notices: &mut Vec<Notice>) -> Vec<Option<(&'a str, Demand)>> {
    let policy = of.policy;
    let slots = usize::from(policy.slots);
    let mut plan = vec![None; slots];
    let mut by = vec![None; slots];
    for (id, range) in &policy.ranges {
        if usize::from(range.last) >= slots {
            notices.push(Notice::BeyondSlots { what: "range", id: id.clone(), slot: range.last.into(), slots });
        }
        for slot in (usize::from(range.first)..=usize::from(range.last)).filter(|slot| *slot < slots) {
            match by[slot] {
                Some(by) => notices.push(Notice::RangeTaken { range: id.clone(), slot, by: String::clone(by) }),
                None => (plan[slot], by[slot]) = (Some((range.pool.as_str(), Demand::Ranges)), Some(id)),
            }
        }
    }
    let woven = weave(&policy.weave, slots);
    let pattern: Vec<&str> =
        if policy.pattern.is_empty() { woven } else { policy.pattern.iter().map(String::as_str).collect() };
    for (entry, pool) in plan.iter_mut().zip(pattern.iter().cycle()) {
        *entry = entry.or(Some((*pool, Demand::Pattern)));
    }
    plan
}

/// Spreads pools by ratio over slots.
///
/// Each pool gets its share of the slots by largest remainder, equal remainders by weight and then by name; each slot goes to
/// the pool that lags furthest behind its share.
#[must_use]
pub fn weave(weights: &Map<String, u8>, slots: usize) -> Vec<&str> {
    let whole: usize = weights.values().map(|weight| usize::from(*weight)).sum();
    if whole == 0 {
        return Vec::new();
    }
    struct Share<'a> {
        pool: &'a str,
        weight: usize,
        quota: usize,
        given: usize,
    }
    let mut shares: Vec<Share<'_>> = weights
        .iter()
        .map(|(pool, weight)| (pool, usize::from(*weight)))
        .map(|(pool, weight)| Share { pool, weight, quota: slots * weight / whole, given: 0 })
        .collect();
    // The heavier first; the map brought them by name, and the sort is stable.
    sort_by_key(&mut shares, |share| core::cmp::Reverse(share.weight));
    let rest = slots - shares.iter().map(|share| share.quota).sum::<usize>();
    let mut by_remainder: Vec<usize> = (0..shares.len()).collect();
    sort_by_key(&mut by_remainder, |&k| core::cmp::Reverse(slots * shares[k].weight % whole));
    by_remainder.into_iter().take(rest).for_each(|k| shares[k].quota += 1);

    let mut woven = Vec::with_capacity(slots);
    for slot in 1..=slots {
        let lag = |share: &Share<'_>| (share.quota * slot) as i64 - (share.given * slots) as i64;
        let open = shares.iter_mut().filter(|share| share.given < share.quota);
        // Of equal lags the first counts, so the fold keeps what it has.
        let next = open.fold(None, |best: Option<&mut Share<'_>>, share| match best {
            Some(best) if lag(best) >= lag(share) => Some(best),
            _ => Some(share),
        });
        if let Some(share) = next {
            share.given += 1;
            woven.push(share.pool);
        }
    }
    woven
}
