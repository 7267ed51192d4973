//! From all merchants of an area to the candidates a reader could order from now; every drop has a reason.

use crate::areas::Area;
use crate::campaign::{Named, Policy};
use crate::candidate::crowded;
use crate::context::Context;
use crate::feature::{self, Facts};
use crate::gate::{CUISINE, Gate, Terms};
use crate::id::MerchantId;
use crate::locate::Place;
use crate::profile::Profile;
use crate::rule::{Excluded, Hits, Moment, Rules};
use crate::sorted::{Map, ranked, sort_by_key};
use crate::time::{self, Local};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

pub mod first_pass;

pub use crate::candidate::{Candidate, days_since, worth};
pub use crate::gate::{Dropped, Reason, USUAL_PREP_MINUTES, open};

use first_pass::{Columns, Pool, WEIGHTS};

/// Splits an area's merchants into those that may be placed and those that may not.
///
/// Kept candidates come ascending by merchant id, with what the rules say of them; kept and dropped together are all
/// merchants of the area. Rules are asked once a door is known to be open, and before the first pass.
#[must_use]
pub fn retrieve(
    area: Option<&Area<'_>>,
    profile: &Profile,
    place: &Place,
    context: &Context,
    policy: &Policy,
) -> (Vec<Candidate>, Vec<Dropped>, Hits) {
    retrieve_by(area, profile, place, context, policy, &Rules::new(policy))
}

/// As [`retrieve`], with the policy's rules already linked.
#[must_use]
pub fn retrieve_by(
    area: Option<&Area<'_>>,
    profile: &Profile,
    place: &Place,
    context: &Context,
    policy: &Policy,
    rules: &Rules,
) -> (Vec<Candidate>, Vec<Dropped>, Hits) {
    let (Some(area), Some(point)) = (area, place.point) else {
        return (Vec::new(), Vec::new(), Hits::default());
    };
    let excluded_by =
        |name: &str| policy.origin(&format!("exclude[{name}]")).map(ToString::to_string).unwrap_or_default();
    let terms = Terms {
        kinds: &policy.kinds,
        exclude: &policy.exclude,
        excluded_by: &excluded_by,
        age_restricted: &policy.age_restricted,
        age_allow: &policy.age_allow,
        across_border: policy.across_border,
        radius_km: policy.radius_km,
        unknown_hours: policy.unknown_hours,
    };
    let (mut kept, mut dropped) = Gate::new(area, point, context, profile, terms).admit_all();
    let local = area.bundle.local(context.at);
    let moment = Moment { profile, place, context, local, slots: policy.slots, language: &policy.language };
    let hits = rules.evaluate(&moment, &kept);
    if hits.are_of_no_rule() {
        best(&mut kept, &mut dropped, profile, place, context, policy, local);
        let hits = hits.for_as_many(kept.len());
        return (kept, dropped, hits);
    }
    let asked: Vec<MerchantId> = kept.iter().map(|candidate| candidate.merchant.id).collect();
    let mut i = 0;
    kept.retain(|candidate| {
        let excluded = hits.excluded(i);
        i += 1;
        dropped.extend(excluded.map(|excluded| {
            let reason = match excluded {
                Excluded::By(head) => Reason::Rule { rule: head.id.clone(), layer: head.layer.clone() },
                Excluded::NotIncluded => Reason::NotIncluded,
            };
            Dropped { id: candidate.merchant.id, reason }
        }));
        excluded.is_none()
    });
    best(&mut kept, &mut dropped, profile, place, context, policy, local);
    // Both are ascending by id.
    let places: Vec<usize> =
        kept.iter().filter_map(|candidate| asked.binary_search(&candidate.merchant.id).ok()).collect();
    let hits = hits.of(&places);
    (kept, dropped, hits)
}

/// As many outlets of a chain as the message may show, then the first N by the linear first pass: pins, then the pools in turns.
fn best(
    kept: &mut Vec<Candidate>,
    dropped: &mut Vec<Dropped>,
    profile: &Profile,
    place: &Place,
    context: &Context,
    policy: &Policy,
    local: Local,
) {
    let pins = policy.pins.values().filter(|pin| time::holds(&pin.from, &pin.until, context.at));
    let pinned: Vec<Named> = pins.map(|pin| Named::parse(&pin.merchant)).collect();
    // Nothing is cut and no chain has too many outlets: every score would be thrown away.
    if kept.len() <= usize::from(policy.first_pass) && !crowded(kept, policy.chain_cap.max(1)) {
        sort_by_key(dropped, |dropped| dropped.id);
        return;
    }
    let columns: Vec<Columns> = kept
        .iter()
        .map(|candidate| feature::first_pass(&Facts { candidate, profile, place, context, local }))
        .collect();
    let is_in = |pool: Pool, i: usize| pool.has(&kept[i], Some(profile));
    let ranks = WEIGHTS.ranks(&columns, &is_in);
    let is_pinned = |candidate: &Candidate| pinned.iter().any(|named| named.matches(&candidate.merchant));
    // Candidates stay where they are, ascending by id, and only their places are ranked.
    let keys = ranks.into_iter().enumerate().map(|(i, ranks)| {
        let (turn, rank) = first_pass::turn(&ranks, &WEIGHTS.turns);
        let pinned_first = u128::from(!is_pinned(&kept[i]));
        pinned_first << 96 | u128::from(turn) << 64 | u128::from(rank) << 32 | i as u128
    });
    let keys: Vec<u128> = keys.collect();

    let mut outlets: Map<u32, (MerchantId, u8)> = Map::new();
    let mut is_kept = vec![false; kept.len()];
    let (mut n_kept, mut beyond) = (0, 0);
    for i in ranked(keys) {
        let (id, chain) = (kept[i].merchant.id, kept[i].merchant.chain);
        let mut of_chain = chain.is_some().then(|| outlets.or_insert_with(chain.0, || (id, 0)));
        if let Some((first, n)) = &of_chain
            && *n >= policy.chain_cap.max(1)
        {
            dropped.push(Dropped { id, reason: Reason::ChainDuplicate(*first) });
        } else if n_kept >= usize::from(policy.first_pass) {
            dropped.push(Dropped { id, reason: Reason::FirstPass(n_kept + beyond) });
            beyond += 1;
        } else {
            if let Some((_, n)) = &mut of_chain {
                *n = n.saturating_add(1);
            }
            is_kept[i] = true;
            n_kept += 1;
        }
    }
    let mut places = is_kept.into_iter();
    kept.retain(|_| places.next().unwrap_or(false));
    sort_by_key(dropped, |dropped| dropped.id);
}

/// How an entry of `age_restricted` or `age_allow` is published: `cuisine:LABEL` as `cuisine:#INDEX`, which is what bundles
/// carry; every other entry as it is. `None` where `lookup` knows no such label.
#[must_use]
pub fn resolve_cuisine(entry: &str, lookup: impl Fn(&str) -> Option<u16>) -> Option<String> {
    match entry.strip_prefix(CUISINE) {
        Some(label) if !label.starts_with('#') => lookup(label).map(|index| alloc::format!("{CUISINE}#{index}")),
        _ => Some(entry.to_string()),
    }
}
