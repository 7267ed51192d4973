//! What holds of every blend, whatever a campaign asks: tried on drafted candidates, the same ones in every run.

#[path = "support/holds.rs"]
mod holds;

use freshrank::blend::{
    Blend, Demand, Ingredients, Marks, Notice, Placement, Pool, Score, blend, blend_by, boost, chances, feasible_hash,
    moves, weave,
};
use freshrank::bundle::{Audience, Kind, Merchant, Offer, OfferKind, Schedule};
use freshrank::campaign::{Boost, Explore, Pin, Policy, Range};
use freshrank::context::Context;
use freshrank::geo::Point;
use freshrank::profile::{KnownMerchant, Profile};
use freshrank::retrieve::{Candidate, resolve_cuisine};
use freshrank::sorted::Map;
use freshrank::{ChainId, MerchantId};
use holds::holds;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Everything a message is blended from.
#[derive(Debug, Clone)]
struct Table {
    kept: Vec<Candidate>,
    scores: Vec<Score>,
    marks: Vec<Marks>,
    profile: Profile,
    context: Context,
    policy: Policy,
}

impl Table {
    /// `n` merchants of no chain and no cuisine, `m0` the best.
    fn of(n: usize, policy: Policy) -> Self {
        let kept: Vec<Candidate> = (0..n).map(|i| candidate(i, 0, [(0, 0); 3])).collect();
        let scores = (0..n).map(|i| Score { model: -(i as i32) * 1000, boost: 0 }).collect();
        Self {
            kept,
            scores,
            marks: Vec::new(),
            profile: Profile::default(),
            context: Context { at: 1_795_168_800, ..Context::default() },
            policy,
        }
    }

    fn ingredients(&self) -> Ingredients<'_> {
        let Self { kept, scores, marks, profile, context, policy } = self;
        Ingredients { kept, dropped: &[], scores, marks, profile: Some(profile), context, policy }
    }

    fn blend(&self) -> Blend {
        blend(&self.ingredients())
    }

    /// The merchants of the slots.
    fn slots(&self) -> Vec<Option<MerchantId>> {
        self.ids(&self.blend().placements)
    }

    fn ids(&self, placements: &[Placement]) -> Vec<Option<MerchantId>> {
        placements.iter().map(|placement| Some(self.kept[placement.candidate?].merchant.id)).collect()
    }

    fn is_paid(&self, i: usize) -> bool {
        let id = self.kept[i].merchant.id;
        let named = |name: &str| MerchantId::of(name) == id;
        let Policy { boosts, pins, .. } = &self.policy;
        self.marks.get(i).is_some_and(|marks| marks.sponsored)
            || boosts.values().any(|boost| boost.sponsored && named(&boost.merchant))
            || pins.values().any(|pin| pin.sponsored && named(&pin.merchant))
    }
}

fn candidate(i: usize, chain: u32, clusters: [(u8, u8); 3]) -> Candidate {
    Candidate {
        index: i as u32,
        merchant: Merchant {
            id: MerchantId::of(&format!("m{i}")),
            chain: ChainId(chain),
            position: Point::ORIGIN,
            cuisines: [u16::MAX; 3],
            clusters,
            log_popularity_cell: 0.0,
            log_popularity_city: 0.0,
            share: None,
            price_band: None,
            rating: None,
            log2_rating_count: 0.0,
            reliability: None,
            prep_minutes: None,
            quality: None,
            radius_km: None,
            kind: Kind::Restaurant,
            across_border: false,
            schedule: Schedule::Untracked,
            listed_day: None,
        },
        cuisine_map: 0,
        distance_km: 1.0,
        closes: None,
        open_minutes: None,
        offer: None,
    }
}

fn candidates() -> impl Strategy<Value = Vec<(Candidate, Score, Marks, bool)>> {
    let weight = prop_oneof![1 => Just(0), 2 => 1..=255_u8];
    let clusters = [(0..4_u8, weight.clone()), (0..4_u8, weight.clone()), (0..4_u8, weight)];
    let pools = vec(prop_oneof![Just("local".to_owned()), Just("late".to_owned())], 0..=2);
    let kind = prop_oneof![6 => Just(Kind::Restaurant), 1 => Just(Kind::Grocery)];
    let merchant = (0..9_u32, clusters, proptest::option::of(1..=4_u8), kind, any::<bool>(), any::<bool>());
    let judged = (-9..9_i32, pools, prop_oneof![3 => Just(false), 1 => Just(true)]);
    vec((merchant, judged), 0..24).prop_map(|drafts| {
        let of = |(i, (merchant, judged))| {
            let (chain, clusters, price_band, kind, offers, known): (u32, _, _, _, bool, bool) = merchant;
            let (model, pools, sponsored): (i32, _, _) = judged;
            let mut candidate = candidate(i, if chain < 3 { chain + 1 } else { 0 }, clusters);
            (candidate.merchant.price_band, candidate.merchant.kind) = (price_band, kind);
            candidate.offer = offers.then_some(Offer {
                id: 0,
                merchant: i as u32,
                kind: OfferKind::Percent,
                audience: Audience::All,
                value: 10,
                starts_minute: 0,
                ends_minute: u32::MAX,
            });
            let score = Score { model: model * 10_000, boost: 0 };
            (candidate, score, Marks { pools, sponsored, ..Marks::default() }, known)
        };
        drafts.into_iter().enumerate().map(of).collect()
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let pool =
        || prop_oneof![Just("reorder"), Just("relevant"), Just("offer"), Just("inspire"), Just("local"), Just("none")];
    let pool = move || pool().prop_map(String::from);
    let pin = (0..10_u8, 0..26_u8, any::<bool>())
        .prop_map(|(slot, i, sponsored)| Pin { sponsored, ..Pin::at(slot, &format!("m{i}")) });
    let boost =
        (0..26_u8, any::<bool>()).prop_map(|(i, sponsored)| Boost { sponsored, ..Boost::of(&format!("m{i}"), 2.0) });
    let range = (0..8_u8, 0..4_u8, pool()).prop_map(|(first, more, pool)| Range { first, last: first + more, pool });
    let by_id = || "[a-e]";
    let caps = (0..3_u8, 0..4_u8, 1..4_u8, btree_map(pool(), 0..4_u8, 0..3));
    let plans = (vec(pool(), 0..4), btree_map(pool(), 0..4_u8, 0..3), btree_map(by_id(), range, 0..2));
    let levers = (
        prop_oneof![Just(0.0), Just(0.5), Just(1.0), 0.0..1.0],
        0..3_u8,
        prop_oneof![2 => Just(0.0), 1 => Just(0.3), 1 => Just(1.0)],
        prop_oneof![2 => Just(0.0), 1 => Just(0.5), 1 => Just(1.0)],
        0..6_u8,
    );
    let named = (btree_map(by_id(), pin, 0..4), btree_map(by_id(), boost, 0..3));
    (1..=8_u8, caps, plans, levers, named).prop_map(|(slots, caps, plans, levers, named)| Policy {
        slots,
        chain_cap: caps.0,
        cuisine_cap: caps.1,
        price_cap: caps.2,
        pool_caps: caps.3.into_iter().collect(),
        pattern: plans.0,
        weave: plans.1.into_iter().collect(),
        ranges: plans.2.into_iter().collect(),
        organic_share: levers.0,
        no_repeat: levers.1,
        diversity: levers.2,
        explore: Explore { share: levers.3, among: levers.4 },
        pins: named.0.into_iter().collect(),
        boosts: named.1.into_iter().collect(),
        ..Policy::default()
    })
}

fn table() -> impl Strategy<Value = Table> {
    let recent = vec(vec(0..26_u8, 0..5), 0..3);
    (candidates(), policy(), recent, any::<u64>()).prop_map(|(drafts, policy, recent, seed)| {
        let id = |i: u8| MerchantId::of(&format!("m{i}"));
        let known = drafts.iter().filter(|draft| draft.3).map(|draft| KnownMerchant {
            id: draft.0.merchant.id.short(),
            chain: 0,
            count: 1.0,
            days: 1,
        });
        Table {
            profile: Profile { merchants: known.collect(), ..Profile::default() },
            context: Context {
                at: 1_795_168_800,
                seed,
                recent: recent.into_iter().map(|shown| shown.into_iter().map(id).collect()).collect(),
                ..Context::default()
            },
            kept: drafts.iter().map(|draft| draft.0.clone()).collect(),
            scores: drafts.iter().map(|draft| draft.1).collect(),
            marks: drafts.into_iter().map(|draft| draft.2).collect(),
            policy,
        }
    })
}

#[test]
fn the_order_of_candidates_changes_nothing() {
    holds(512, (table(), any::<u64>()), |(table, seed)| {
        let mut order: Vec<usize> = (0..table.kept.len()).collect();
        order.sort_by_key(|i| freshrank::Hash::of(&(*i as u64 ^ seed).to_le_bytes()));
        let shuffled = Table {
            kept: order.iter().map(|i| table.kept[*i].clone()).collect(),
            scores: order.iter().map(|i| table.scores[*i]).collect(),
            marks: order.iter().map(|i| table.marks[*i].clone()).collect(),
            ..table.clone()
        };
        prop_assert_eq!(table.slots(), shuffled.slots());
        prop_assert_eq!(table.blend().notices, shuffled.blend().notices);
        let draws = |table: &Table| table.blend().placements.iter().map(|p| p.draw).collect::<Vec<_>>();
        prop_assert_eq!(draws(&table), draws(&shuffled));
        Ok(())
    });
}

#[test]
fn no_merchant_stands_twice_and_no_chain_beyond_its_cap() {
    holds(1024, table(), |table| {
        let blend = table.blend();
        prop_assert_eq!(blend.placements.len(), usize::from(table.policy.slots));
        let shown: Vec<usize> = blend.placements.iter().filter_map(|p| p.candidate).collect();
        prop_assert_eq!(shown.iter().collect::<BTreeSet<_>>().len(), shown.len());
        for chain in (1..=3).map(ChainId) {
            let outlets = shown.iter().filter(|i| table.kept[**i].merchant.chain == chain).count();
            prop_assert!(outlets <= usize::from(table.policy.chain_cap));
        }
        Ok(())
    });
}

#[test]
fn a_slot_stays_empty_only_where_a_hard_demand_keeps_everyone_out() {
    holds(1024, table(), |table| {
        let blend = table.blend();
        let shown: BTreeSet<usize> = blend.placements.iter().filter_map(|p| p.candidate).collect();
        let of_chain = |chain| shown.iter().filter(|i| table.kept[**i].merchant.chain == chain).count();
        let left = (0..table.kept.len()).filter(|i| !shown.contains(i)).filter(|i| {
            let chain = table.kept[*i].merchant.chain;
            !chain.is_some() || of_chain(chain) < usize::from(table.policy.chain_cap)
        });
        let left: Vec<usize> = left.collect();
        let empty = blend.placements.iter().any(|p| p.candidate.is_none());
        if empty && !left.is_empty() {
            prop_assert!(left.iter().all(|i| table.is_paid(*i)) && table.policy.organic_share > 0.0);
            let told = blend.notices.iter().any(|notice| matches!(notice, Notice::OnlyPaid { .. }));
            prop_assert!(told);
        }
        Ok(())
    });
}

#[test]
fn the_organic_share_holds_and_every_paid_card_is_labelled() {
    holds(1024, table(), |table| {
        let placements = table.blend().placements;
        let shown = || placements.iter().filter_map(|p| Some((p.candidate?, p.sponsored)));
        for (i, sponsored) in shown() {
            prop_assert_eq!(sponsored, table.is_paid(i));
        }
        let (filled, paid) = (shown().count(), shown().filter(|(_, sponsored)| *sponsored).count());
        let least = (table.policy.organic_share * filled as f64 - 1e-9).ceil() as usize;
        prop_assert!(
            filled - paid >= least,
            "{paid} of {filled} are paid, {} are not to be",
            table.policy.organic_share
        );
        Ok(())
    });
}

/// What a candidate breaks in a slot beside those that stand before it, counted again from the cards alone.
fn breaks(table: &Table, before: &[usize], slot: usize, asked: Option<&String>, i: usize) -> BTreeSet<Demand> {
    let Policy { pool_caps, cuisine_cap, price_cap, no_repeat, .. } = &table.policy;
    let in_pool = |i: usize, pool: &str| match pool {
        "relevant" => true,
        "reorder" => table.profile.known(table.kept[i].merchant.id).is_some(),
        "inspire" => table.profile.known(table.kept[i].merchant.id).is_none(),
        "offer" => table.kept[i].offer.is_some(),
        pool => table.marks[i].pools.iter().any(|own| own == pool),
    };
    let cluster = |i: usize| {
        let merchant = &table.kept[i].merchant;
        let heaviest = merchant.clusters.iter().filter(|(_, weight)| *weight > 0).max_by_key(|(_, weight)| *weight);
        heaviest.filter(|_| merchant.kind == Kind::Restaurant).map(|(cluster, _)| *cluster)
    };
    let price = |i: usize| table.kept[i].merchant.price_band;
    let recent: BTreeSet<MerchantId> =
        table.context.recent.iter().take(usize::from(*no_repeat)).flatten().copied().collect();
    let count = |same: &dyn Fn(usize) -> bool| before.iter().filter(|other| same(**other)).count();
    let full = |(pool, cap): (&String, &u8)| in_pool(i, pool) && count(&|j| in_pool(j, pool)) >= usize::from(*cap);
    let kitchens = cluster(i).map(|own| count(&|other| cluster(other) == Some(own)));
    let peers = price(i).map(|own| count(&|other| price(other) == Some(own)));
    let in_range = table.policy.ranges.values().any(|r| (r.first..=r.last).contains(&(slot as u8)));
    let wrong_pool = asked.is_some_and(|pool| !in_pool(i, pool));
    let found = [
        (Demand::CuisineCap, kitchens.is_some_and(|n| n >= usize::from(*cuisine_cap))),
        (Demand::PriceCap, peers.is_some_and(|n| n >= usize::from(*price_cap))),
        (Demand::PoolCaps, pool_caps.iter().any(full)),
        (Demand::Pattern, wrong_pool && !in_range),
        (Demand::NoRepeat, recent.contains(&table.kept[i].merchant.id)),
        (Demand::Ranges, wrong_pool && in_range),
    ];
    found.into_iter().filter(|(_, broken)| *broken).map(|(demand, _)| demand).collect()
}

/// Walks through the slots without a pin: which, its card, and those that stand before it, the pins first.
fn walk(placements: &[Placement]) -> Vec<(usize, usize, Vec<usize>)> {
    let pinned = placements.iter().filter(|p| p.pool == Pool::Pinned).filter_map(|p| p.candidate);
    let mut before: Vec<usize> = pinned.collect();
    let mut walked = Vec::new();
    for (slot, placement) in placements.iter().enumerate().filter(|(_, p)| p.pool != Pool::Pinned) {
        if let Some(i) = placement.candidate {
            walked.push((slot, i, before.clone()));
            before.push(i);
        }
    }
    walked
}

#[test]
fn nobody_who_is_left_breaks_less_or_is_better_and_breaks_no_more() {
    holds(1024, table(), |mut table| {
        // Who may be paid for is another property's business.
        table.policy.organic_share = 0.0;
        let Policy { chain_cap, diversity, explore, .. } = table.policy.clone();
        let placements = table.blend().placements;
        for (slot, shown, before) in walk(&placements) {
            let of_chain = |chain| before.iter().filter(|j| table.kept[**j].merchant.chain == chain).count();
            let asked = placements[slot].asked.as_ref();
            // A set of demands counts by its strongest first.
            let order = |i: usize| breaks(&table, &before, slot, asked, i).into_iter().rev().collect::<Vec<_>>();
            let score = |i: usize| (table.scores[i].total(), std::cmp::Reverse(table.kept[i].merchant.id));
            for i in (0..table.kept.len()).filter(|i| *i != shown && !before.contains(i)) {
                let chain = table.kept[i].merchant.chain;
                if chain.is_some() && of_chain(chain) >= usize::from(chain_cap) {
                    continue;
                }
                prop_assert!(order(i) >= order(shown), "slot {slot}: {:?} breaks less", table.kept[i].merchant.id);
                if order(i) == order(shown) && diversity == 0.0 && explore.share == 0.0 {
                    prop_assert!(score(i) < score(shown), "slot {slot}: {:?} is better", table.kept[i].merchant.id);
                }
            }
        }
        Ok(())
    });
}

#[test]
fn what_a_message_breaks_it_tells_and_nothing_else() {
    holds(1024, table(), |table| {
        let blend = table.blend();
        let told = blend.notices.iter().filter_map(|notice| match notice {
            Notice::GivenUp { demand, slots } => Some(slots.iter().map(|slot| (*demand, *slot))),
            _ => None,
        });
        let told: BTreeSet<_> = told.flatten().collect();
        let counted = walk(&blend.placements).into_iter().flat_map(|(slot, i, before)| {
            let asked = blend.placements[slot].asked.as_ref();
            breaks(&table, &before, slot, asked, i).into_iter().map(move |demand| (demand, slot))
        });
        prop_assert_eq!(&told, &counted.collect::<BTreeSet<_>>());
        let by_slot = blend.placements.iter().enumerate();
        let by_slot: BTreeSet<_> = by_slot.flat_map(|(slot, p)| p.relaxed.iter().map(move |d| (*d, slot))).collect();
        prop_assert_eq!(told, by_slot);
        Ok(())
    });
}

/// No plan, no cap, no pin, no chance: the score alone.
fn plain(table: Table) -> Table {
    let Policy { slots, diversity, .. } = table.policy;
    let policy = Policy { slots, diversity, chain_cap: 24, cuisine_cap: 24, price_cap: 24, ..Policy::default() };
    Table { policy, marks: Vec::new(), ..table }
}

#[test]
fn without_demands_and_with_diversity_at_rest_the_score_ranks() {
    holds(512, table(), |table| {
        let mut table = plain(table);
        table.policy.diversity = 0.0;
        let mut order: Vec<usize> = (0..table.kept.len()).collect();
        order.sort_by_key(|&i| (-table.scores[i].total(), table.kept[i].merchant.id));
        let best: Vec<_> = order.iter().map(|i| Some(table.kept[*i].merchant.id)).collect();
        let n = best.len().min(usize::from(table.policy.slots));
        prop_assert_eq!(&table.slots()[..n], &best[..n]);
        prop_assert!(moves(&table.ingredients(), &table.blend().placements).iter().all(|m| m.causes.is_empty()));
        Ok(())
    });
}

#[test]
fn raising_one_score_never_lowers_its_rank() {
    holds(1024, (table(), any::<prop::sample::Index>(), 0..9_i32), |(mut table, pick, more)| {
        (table.policy.diversity, table.policy.explore.share) = (0.0, 0.0);
        if table.kept.is_empty() {
            return Ok(());
        }
        let i = pick.index(table.kept.len());
        let rank = |table: &Table| {
            let placements = table.blend().placements;
            placements.iter().position(|p| p.candidate == Some(i)).unwrap_or(placements.len())
        };
        let before = rank(&table);
        table.scores[i].model += more * 10_000;
        prop_assert!(rank(&table) <= before, "from slot {before} to {}", rank(&table));
        Ok(())
    });
}

/// Diversity again, in doubles and from the textbook: agreement of the order wherever values are not within rounding.
#[test]
fn diversity_is_maximal_marginal_relevance() {
    let cosine = |a: &[(u8, u8); 3], b: &[(u8, u8); 3]| {
        let vector = |weights: &[(u8, u8); 3]| {
            let mut vector = [0.0_f64; 4];
            weights.iter().for_each(|(cluster, weight)| vector[usize::from(*cluster)] += f64::from(*weight));
            vector
        };
        let (a, b) = (vector(a), vector(b));
        let dot = |a: &[f64; 4], b: &[f64; 4]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        let norm = (dot(&a, &a) * dot(&b, &b)).sqrt();
        if norm > 0.0 { dot(&a, &b) / norm } else { 0.0 }
    };
    holds(512, (table(), 0.0..1.0_f64), |(table, lever)| {
        let mut table = plain(table);
        table.policy.diversity = lever;
        table.kept.iter_mut().for_each(|candidate| candidate.merchant.kind = Kind::Restaurant);
        let totals: Vec<f64> = table.scores.iter().map(|score| f64::from(score.total())).collect();
        let lowest = totals.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = totals.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut shown: Vec<usize> = Vec::new();
        for placement in table.blend().placements {
            let Some(i) = placement.candidate else { continue };
            let value = |i: usize| {
                let relevance = if highest > lowest { (totals[i] - lowest) / (highest - lowest) } else { 0.0 };
                let weights = |i: usize| &table.kept[i].merchant.clusters;
                let likeness = shown.iter().map(|j| cosine(weights(i), weights(*j))).fold(0.0, f64::max);
                (1.0 - lever) * relevance - lever * likeness
            };
            let best = (0..totals.len()).filter(|i| !shown.contains(i)).map(value).fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(value(i) >= best - 1e-4, "{} where {best} could be had", value(i));
            shown.push(i);
        }
        Ok(())
    });
}

/// Every message that could have been, with its probability: the product over its slots.
fn every_message(table: &Table) -> Vec<(Vec<Option<MerchantId>>, f64)> {
    let mut messages = Vec::new();
    let mut script: Vec<usize> = Vec::new();
    loop {
        let (mut at, mut widths) = (0, Vec::new());
        let blend = blend_by(&table.ingredients(), &mut |_, n| {
            let choice = script.get(at).copied().unwrap_or(0);
            (at, widths) = (at + 1, [&widths[..], &[n]].concat());
            choice
        });
        let probability = blend.placements.iter().filter_map(|p| p.draw).map(|draw| draw.propensity).product();
        messages.push((table.ids(&blend.placements), probability));
        // The next script, counting like an odometer whose last wheels turn first.
        script.resize(widths.len(), 0);
        while script.last().is_some_and(|last| last + 1 >= widths[script.len() - 1]) {
            script.pop();
        }
        match script.last_mut() {
            Some(last) => *last += 1,
            None => return messages,
        }
    }
}

#[test]
fn the_probabilities_of_all_messages_add_up_to_one() {
    holds(64, table(), |mut table| {
        (table.policy.slots, table.policy.explore) = (table.policy.slots.min(3), Explore { share: 0.4, among: 3 });
        let messages = every_message(&table);
        let whole: f64 = messages.iter().map(|(_, probability)| probability).sum();
        prop_assert!((whole - 1.0).abs() < 1e-12, "{whole}");
        let different: BTreeSet<_> = messages.iter().map(|(slots, _)| slots).collect();
        prop_assert_eq!(different.len(), messages.len(), "each message comes about in one way");
        Ok(())
    });
}

#[test]
fn a_message_has_the_chance_that_its_own_draw_says_and_another_campaigns_has_none_where_it_cannot_be() {
    holds(64, table(), |mut table| {
        (table.policy.slots, table.policy.explore) = (table.policy.slots.min(3), Explore { share: 0.4, among: 3 });
        for (slots, probability) in every_message(&table) {
            let chances = chances(&table.ingredients(), &slots);
            let product: f64 = chances.iter().map(|chance| chance.propensity).product();
            prop_assert!((product - probability).abs() < 1e-15, "{product} where its draws say {probability}");
            for (chance, slot) in chances.iter().zip(&slots) {
                let whole: f64 = chance.options.iter().map(|(_, likely)| likely).sum();
                prop_assert!(
                    chance.options.is_empty() == slot.is_none() && (whole - 1.0).abs() < 1e-12 || slot.is_none()
                );
            }
        }
        let stranger = vec![Some(MerchantId::of("nobody")); usize::from(table.policy.slots)];
        prop_assert!(chances(&table.ingredients(), &stranger).iter().all(|chance| chance.propensity == 0.0));
        let everybody = freshrank::blend::every_message(&table.ingredients(), 27);
        prop_assert_eq!(everybody, Some(every_message(&table)));
        table.policy.explore.share = 0.0;
        let sure = chances(&table.ingredients(), &table.slots());
        prop_assert!(sure.iter().all(|chance| chance.propensity == 1.0 && chance.options.len() < 2));
        Ok(())
    });
}

#[test]
fn messages_come_as_often_as_they_say() {
    let policy = Policy {
        slots: 3,
        explore: Explore { share: 0.5, among: 3 },
        pins: Map::from([("fixed".into(), Pin::at(1, "m4"))]),
        ..Policy::default()
    };
    let mut table = Table::of(6, policy);
    let likely: BTreeMap<_, f64> = every_message(&table).into_iter().collect();
    assert_eq!(likely.len(), 9, "three by three, the pin between them");
    let n = 20_000_u64;
    let mut seen: BTreeMap<_, f64> = BTreeMap::new();
    for seed in 0..n {
        table.context.seed = seed;
        *seen.entry(table.slots()).or_insert(0.0) += 1.0;
    }
    for (slots, probability) in likely {
        let (expected, sigma) = (probability * n as f64, (probability * (1.0 - probability) * n as f64).sqrt());
        let found = seen.remove(&slots).unwrap_or(0.0);
        assert!((found - expected).abs() < 4.5 * sigma, "{slots:?}: {found} times, expected {expected:.0}");
    }
    assert!(seen.is_empty(), "messages that nobody expected: {seen:?}");
}

#[test]
fn a_draw_names_the_set_it_was_drawn_from() {
    let policy = Policy {
        slots: 2,
        explore: Explore { share: 1.0, among: 2 },
        pins: Map::from([("fixed".into(), Pin::at(1, "m0"))]),
        ..Policy::default()
    };
    let table = Table::of(4, policy);
    let [drawn, pinned] = &table.blend().placements[..] else { panic!("two slots") };
    let (drawn, pinned) = (drawn.draw.unwrap(), pinned.draw.unwrap());
    assert_eq!((drawn.n, drawn.feasible, drawn.propensity), (3, feasible_hash(&table.kept, &[3, 1, 2]), 0.5));
    assert_eq!((pinned.n, pinned.deterministic, pinned.propensity), (1, true, 1.0));
    assert_ne!(drawn.feasible, feasible_hash(&table.kept, &[1, 2]));
}

#[test]
fn an_explanation_of_moves_covers_everyone_who_was_passed() {
    holds(512, table(), |table| {
        let placements = table.blend().placements;
        let pinned: BTreeSet<_> = placements.iter().filter(|p| p.pin.is_some()).map(|p| p.candidate).collect();
        let mut before: BTreeSet<usize> = BTreeSet::new();
        for moved in moves(&table.ingredients(), &placements) {
            prop_assert_eq!(placements[moved.slot].candidate, Some(moved.candidate));
            let key = |i: usize| (-table.scores[i].total(), table.kept[i].merchant.id);
            let better = |i: &usize| key(*i) < key(moved.candidate);
            let out = |i: &usize| !before.contains(i) && !pinned.contains(&Some(*i));
            let passed: BTreeSet<usize> = (0..table.kept.len()).filter(better).filter(out).collect();
            prop_assert_eq!(&passed, &moved.passed.iter().map(|p| p.candidate).collect::<BTreeSet<_>>());
            prop_assert!(moved.passed.iter().all(|p| !p.causes.is_empty()), "nobody is passed without a cause");
            before.insert(moved.candidate);
        }
        Ok(())
    });
}

#[test]
fn a_paid_outlet_does_not_take_the_room_of_an_unpaid_one() {
    let mut table = Table::of(2, Policy { slots: 2, organic_share: 0.5, ..Policy::default() });
    table.kept.iter_mut().for_each(|candidate| candidate.merchant.chain = ChainId(1));
    table.marks = vec![Marks { sponsored: true, ..Marks::default() }];
    assert_eq!(
        table.slots(),
        [Some(MerchantId::of("m1")), None],
        "the better one is paid for, and its chain has one room"
    );
}

#[test]
fn a_weave_keeps_its_ratio_and_spreads_it() {
    let woven = |weights: &[(&str, u8)], slots: usize| {
        let weights = weights.iter().map(|(pool, weight)| ((*pool).to_owned(), *weight)).collect();
        weave(&weights, slots).join(" ")
    };
    assert_eq!(woven(&[("a", 1), ("b", 1)], 5), "a b a b a");
    assert_eq!(woven(&[("a", 1), ("b", 3)], 8), "b b a b b b a b");
    assert_eq!(woven(&[("a", 0), ("b", 2)], 2), "b b");
    assert_eq!(woven(&[], 3), "");
    assert_eq!(woven(&[("a", 0)], 3), "");
    holds(512, (btree_map("[a-f]", 0..=255_u8, 0..5), 0..=24_usize), |(weights, slots)| {
        let whole: usize = weights.values().map(|weight| usize::from(*weight)).sum();
        let weights: Map<String, u8> = weights.into_iter().collect();
        let woven = weave(&weights, slots);
        prop_assert_eq!(woven.len(), if whole == 0 { 0 } else { slots });
        for (pool, weight) in weights.iter().filter(|_| whole > 0) {
            let given = woven.iter().filter(|own| *own == pool).count();
            let quota = slots * usize::from(*weight) / whole;
            prop_assert!(given == quota || given == quota + 1, "{pool}: {given} of {slots}, a share of {quota}");
        }
        Ok(())
    });
}

#[test]
fn marks_of_rules_fill_pools_lift_label_and_badge() {
    let policy = Policy { slots: 2, pattern: vec!["local".into(), "relevant".into()], ..Policy::default() };
    let mut table = Table::of(3, policy);
    table.marks = vec![
        Marks::default(),
        Marks { ln_boost: 5000, badges: vec!["new".into()], sponsored: true, ..Marks::default() },
        Marks { pools: vec!["local".into()], ..Marks::default() },
    ];
    let judged: Vec<i32> = table.scores.iter().map(|score| score.model).collect();
    table.scores = boost(&table.kept, &judged, &table.marks, &table.context, &table.policy);
    assert_eq!(table.scores.iter().map(|score| score.boost).collect::<Vec<_>>(), [0, 5000, 0]);
    let [local, lifted] = &table.blend().placements[..] else { panic!("two slots") };
    assert_eq!((local.candidate, local.sponsored), (Some(2), false));
    assert_eq!((lifted.candidate, lifted.sponsored, &lifted.badges[..]), (Some(1), true, &["new".to_owned()][..]));
}

#[test]
fn labels_are_published_as_the_bundles_carry_them() {
    let lookup = |label: &str| (label == "wine_bar").then_some(17);
    assert_eq!(resolve_cuisine("cuisine:wine_bar", lookup).as_deref(), Some("cuisine:#17"));
    assert_eq!(resolve_cuisine("cuisine:#3", lookup).as_deref(), Some("cuisine:#3"));
    assert_eq!(resolve_cuisine("chain:alko", lookup).as_deref(), Some("chain:alko"));
    assert_eq!(resolve_cuisine("cuisine:wine", lookup), None);
}

/// Notices go to logs: they may name pins and keys, but no taste of a reader.
#[test]
fn the_blend_has_no_word_for_a_sensitive_taste() {
    let vocabulary = include_str!("../offline/cuisines.toml").parse::<toml::Table>().unwrap();
    let sensitive = vocabulary["sensitive"].as_table().unwrap().values().flat_map(|list| list.as_array().unwrap());
    let sensitive: Vec<&str> = sensitive.map(|label| label.as_str().unwrap()).collect();
    assert!(sensitive.len() > 20);
    assert!(Demand::ALL.iter().all(|demand| !sensitive.contains(&demand.key())));
    holds(256, table(), |table| {
        let words = table.blend().notices.iter().map(ToString::to_string).collect::<String>();
        prop_assert!(
            !sensitive.iter().any(|label| words.split(|c: char| !c.is_alphabetic() && c != '_').any(|w| w == *label))
        );
        Ok(())
    });
}
