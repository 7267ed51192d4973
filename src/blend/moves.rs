//! Why a card is not where its score alone would put it, worked out only when somebody asks.

use super::{Broken, Demand, Ingredients, Organic, Placement, Pool, Slate};
use crate::sorted::Set;
use alloc::string::String;
use alloc::vec::Vec;

/// How a card came to its slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Where it stands.
    pub slot: usize,
    /// Index of the kept candidate.
    pub candidate: usize,
    /// Its rank by score alone, from 0.
    pub rank: usize,
    /// What moved it; none where it is the best by score of all that no other slot shows.
    pub causes: Vec<Cause>,
    /// Who is better by score and stands in no slot before this one nor by a pin; the best first.
    pub passed: Vec<Passed>,
}

/// Somebody a slot passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// Index of the kept candidate.
    pub candidate: usize,
    /// Its rank by score alone, from 0.
    pub rank: usize,
    /// What kept it out of this slot.
    pub causes: Vec<Cause>,
}

/// Something of the campaign that moves cards.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A pin has the slot.
    Pinned(String),
    /// `chain_cap`.
    ChainCap,
    /// `organic_share`: no more paid cards.
    OrganicShare,
    /// A soft demand that the card shown breaks less of.
    Demand(Demand),
    /// Likeness to cards already shown costs this much more, in steps of 2^-32 of the distance from lowest to highest score.
    Diversity(i64),
    /// Drawn, to learn from.
    Explored,
}

impl Cause {
    /// The key of the campaign behind it, as its origin is found by.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Pinned(id) => ["pins.", id].concat(),
            Self::ChainCap => "chain_cap".into(),
            Self::OrganicShare => "organic_share".into(),
            Self::Demand(demand) => demand.key().into(),
            Self::Diversity(_) => "diversity".into(),
            Self::Explored => "explore".into(),
        }
    }
}

/// Plays a message again, slot by slot: how each card came to its slot, and who was passed over and why.
#[must_use]
pub fn moves(of: &Ingredients<'_>, placements: &[Placement]) -> Vec<Move> {
    let mut slate = Slate::new(of);
    let mut rank = alloc::vec![0; of.kept.len()];
    slate.order.iter().enumerate().for_each(|(place, &i)| rank[i] = place);
    slate.pin(&mut Vec::new());

    let mut moves = Vec::new();
    for (slot, placement) in placements.iter().enumerate() {
        let Some(shown) = placement.candidate.filter(|i| *i < of.kept.len()) else {
            continue;
        };
        let passed: Vec<Passed> = slate.order[..rank[shown]]
            .iter()
            .filter(|&&i| !slate.is_shown[i])
            .map(|&i| Passed { candidate: i, rank: rank[i], causes: slate.kept_out(i, shown, slot, placement) })
            .collect();
        let causes: Set<Cause> = match &placement.pin {
            Some(pin) => Set::from([Cause::Pinned(pin.clone())]),
            None => passed.iter().flat_map(|passed| passed.causes.iter().cloned()).collect(),
        };
        moves.push(Move { slot, candidate: shown, rank: rank[shown], causes: causes.into_iter().collect(), passed });
        if placement.pool != Pool::Pinned && slate.slots.get(slot) == Some(&None) {
            slate.place(slot, shown);
        }
    }
    moves
}

impl Slate<'_> {
    /// Why a candidate with a better score does not have the slot.
    fn kept_out(&self, i: usize, shown: usize, slot: usize, placement: &Placement) -> Vec<Cause> {
        if let Some(pin) = &placement.pin {
            return Vec::from([Cause::Pinned(pin.clone())]);
        }
        if !self.chain_has_room(i) {
            return Vec::from([Cause::ChainCap]);
        }
        if Organic::new(self).is_some_and(|organic| !organic.allows(self, i)) {
            return Vec::from([Cause::OrganicShare]);
        }
        let asked = self.pools.asked(slot);
        let (own, shown_breaks) = (self.breaks(i, asked), self.breaks(shown, asked));
        if own > shown_breaks {
            return Broken(own.0 & !shown_breaks.0).demands().map(Cause::Demand).collect();
        }
        let cost = self.diversity.as_ref().map_or(0, |diversity| diversity.cost(i) - diversity.cost(shown));
        let better = self.diversity.as_ref().is_none_or(|diversity| diversity.value(i) >= diversity.value(shown));
        if better { Vec::from([Cause::Explored]) } else { Vec::from([Cause::Diversity(cost)]) }
    }
}
