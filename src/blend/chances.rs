//! What a message could have shown instead, and how likely: for whoever asks what another campaign would have done.

use super::{Draw, Ingredients, Slate, blend_by};
use crate::id::MerchantId;
use alloc::vec;
use alloc::vec::Vec;

/// Who might have stood in one slot, given the slots before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Chance {
    /// Indices of kept candidates with their probabilities, the best first; they add up to 1. Empty where nobody is left, so
    /// that the campaign's own card is certain.
    pub options: Vec<(usize, f64)>,
    /// The probability of what the message showed here.
    pub propensity: f64,
}

/// A message and its probability.
pub type Possible = (Vec<Option<MerchantId>>, f64);

/// How likely a message is, slot by slot: every slot is filled as if the slots before it had shown what `shown` says.
///
/// `shown` has one entry a slot, `None` for the campaign's own card; whatever it lacks is the likeliest. What could not have
/// been shown has probability 0, and stands there nevertheless for the slots after it.
#[must_use]
pub fn chances(of: &Ingredients<'_>, shown: &[Option<MerchantId>]) -> Vec<Chance> {
    let mut slate = Slate::new(of);
    let pinned = slate.pin(&mut Vec::new());
    let index = |id: MerchantId| of.kept.iter().position(|candidate| candidate.merchant.id == id);
    let chance = |slot: usize| {
        let options: Vec<(usize, f64)> = match slate.slots[slot] {
            Some(i) if pinned.contains_key(&slot) => vec![(i, 1.0)],
            _ => {
                let (_, standing) = slate.standing(slot);
                let among = if slate.explores() { usize::from(of.policy.explore.among) } else { 1 };
                let among = among.clamp(1, standing.len().max(1));
                let likely = |at| if slate.explores() { Draw::chance(of, at, among) } else { 1.0 };
                standing.iter().take(among).enumerate().map(|(at, &i)| (i, likely(at))).collect()
            }
        };
        let (taken, propensity) = match shown.get(slot) {
            Some(Some(id)) => {
                let taken = index(*id);
                (taken, options.iter().find(|(i, _)| Some(*i) == taken).map_or(0.0, |(_, likely)| *likely))
            }
            Some(None) => (None, if options.is_empty() { 1.0 } else { 0.0 }),
            None => options.first().map_or((None, 1.0), |(i, likely)| (Some(*i), *likely)),
        };
        if let Some(i) = taken.filter(|i| !slate.is_shown[*i]) {
            slate.place(slot, i);
        }
        Chance { options, propensity }
    };
    (0..usize::from(of.policy.slots)).map(chance).collect()
}

/// Every message that there could have been, the likeliest draws first; `None` where there are more than `limit`.
#[must_use]
pub fn every_message(of: &Ingredients<'_>, limit: usize) -> Option<Vec<Possible>> {
    let (mut messages, mut script) = (Vec::new(), Vec::new());
    loop {
        if messages.len() == limit {
            return None;
        }
        let (mut at, mut widths) = (0, Vec::new());
        let blend = blend_by(of, &mut |_, n| {
            let choice = script.get(at).copied().unwrap_or(0);
            at += 1;
            widths.push(n);
            choice
        });
        let ids = blend.placements.iter().map(|p| Some(of.kept.get(p.candidate?)?.merchant.id)).collect();
        let likely = blend.placements.iter().filter_map(|p| p.draw).map(|draw| draw.propensity).product();
        messages.push((ids, likely));
        // The next script, counting like an odometer whose last wheels turn first.
        script.resize(widths.len(), 0_usize);
        while script.last().is_some_and(|last| last + 1 >= widths[script.len() - 1]) {
            script.pop();
        }
        match script.last_mut() {
            Some(last) => *last += 1,
            None => return Some(messages),
        }
    }
}
