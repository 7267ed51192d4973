//! Scores and policy become placements.

use crate::bundle::Kind;
use crate::campaign::{Named, Policy};
use crate::id::MerchantId;
use crate::retrieve::Candidate;
use crate::rule::Hits;
use alloc::vec::Vec;
use serde::Serialize;

/// What one slot shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// Index of the kept candidate; `None` shows the campaign's own fallback card.
    pub candidate: Option<usize>,
    /// Why it stands here.
    pub pool: Pool,
}

/// Why a card stands in its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// A layer pinned it.
    Pinned,
    /// Its score.
    Ranked,
    /// Its score, once the cap on its cuisine was given up so that no slot stays empty.
    Relaxed,
    /// No merchant is left.
    Fallback,
}

/// The judgement of one candidate in fixed point: the scorer's, and what the campaign adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Score {
    /// The model's or the prior's.
    pub model: i32,
    /// ln of the boosts that apply.
    pub boost: i32,
}

impl Score {
    /// What ranks.
    #[must_use]
    pub fn total(self) -> i32 {
        self.model.saturating_add(self.boost)
    }
}

/// Adds the boosts of the campaign's layers and rules; factors multiply odds, so their logarithms add to the score.
#[must_use]
pub fn boost(kept: &[Candidate], scores: &[i32], policy: &Policy, hits: &Hits) -> Vec<Score> {
    let boosts: Vec<(Named, i32)> = policy
        .boosts
        .values()
        .map(|boost| (Named::parse(&boost.merchant), crate::score::fixed(libm::log(boost.factor) as f32)))
        .collect();
    let of = |i: usize, candidate: &Candidate| {
        let own = boosts.iter().filter(|(named, _)| named.matches(&candidate.merchant));
        own.fold(hits.ln_boost(i), |sum, (_, ln)| sum.saturating_add(*ln))
    };
    let judged = kept.iter().zip(scores).enumerate();
    judged.map(|(i, (candidate, &model))| Score { model, boost: of(i, candidate) }).collect()
}

/// Fills every slot: pins, then by score under the caps, then without the cuisine cap, then the fallback card.
///
/// Equal scores are ordered by merchant id; no merchant stands twice.
#[must_use]
pub fn blend(kept: &[Candidate], scores: &[Score], policy: &Policy) -> Vec<Placement> {
    let mut order: Vec<usize> = (0..kept.len()).collect();
    order.sort_by_key(|&i| (core::cmp::Reverse(scores[i].total()), kept[i].merchant.id));
    let mut slate = Slate { kept, policy, slots: alloc::vec![None; usize::from(policy.slots)] };

    for pin in policy.pins.values() {
        let named = Named::parse(&pin.merchant);
        let pinned = order.iter().copied().find(|&i| named.matches(&kept[i].merchant) && slate.is_free(i));
        if let (Some(i), Some(slot @ None)) = (pinned, slate.slots.get_mut(usize::from(pin.slot))) {
            *slot = Some((i, Pool::Pinned));
        }
    }
    for (pool, capped) in [(Pool::Ranked, true), (Pool::Relaxed, false)] {
        for &i in &order {
            let Some(empty) = slate.slots.iter().position(Option::is_none) else {
                break;
            };
            if slate.is_free(i) && slate.chain_has_room(i) && (!capped || slate.cuisine_has_room(i)) {
                slate.slots[empty] = Some((i, pool));
            }
        }
    }
    let fallback = Placement { candidate: None, pool: Pool::Fallback };
    let shown = slate.slots.iter();
    shown.map(|slot| slot.map_or(fallback.clone(), |(i, pool)| Placement { candidate: Some(i), pool })).collect()
}

/// A message being filled.
struct Slate<'a> {
    kept: &'a [Candidate],
    policy: &'a Policy,
    slots: Vec<Option<(usize, Pool)>>,
}

impl Slate<'_> {
    fn shown(&self) -> impl Iterator<Item = &Candidate> {
        self.slots.iter().flatten().map(|(i, _)| &self.kept[*i])
    }

    fn is_free(&self, i: usize) -> bool {
        let id: MerchantId = self.kept[i].merchant.id;
        self.shown().all(|shown| shown.merchant.id != id)
    }

    fn chain_has_room(&self, i: usize) -> bool {
        let chain = self.kept[i].merchant.chain;
        let same = self.shown().filter(|shown| shown.merchant.chain == chain).count();
        !chain.is_some() || same < usize::from(self.policy.chain_cap)
    }

    /// The cap speaks of meals; a message of groceries is of one "cuisine" by nature.
    fn cuisine_has_room(&self, i: usize) -> bool {
        let Some(cluster) = main_cluster(&self.kept[i]) else {
            return true;
        };
        let same = self.shown().filter(|shown| main_cluster(shown) == Some(cluster)).count();
        same < usize::from(self.policy.cuisine_cap)
    }
}

fn main_cluster(candidate: &Candidate) -> Option<u8> {
    let merchant = &candidate.merchant;
    let heaviest = merchant.clusters.iter().filter(|(_, weight)| *weight > 0).max_by_key(|(_, weight)| *weight);
    heaviest.filter(|_| merchant.kind == Kind::Restaurant).map(|(cluster, _)| *cluster)
}
