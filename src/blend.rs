//! Scores and policy become placements.
//!
//! Pins come first, by id. Then every slot in turn shows the best of those that may stand there: whoever meets the hard
//! demands (no merchant twice, `chain_cap`, an `organic_share` still in reach) and breaks the least of the soft ones, in the
//! order of [`Demand`]. A slot stays empty only where nobody meets the hard demands.

use crate::bundle::Kind;
use crate::campaign::{Named, Policy};
use crate::context::Context;
use crate::id::MerchantId;
use crate::profile::Profile;
use crate::retrieve::{Candidate, Dropped};
use crate::rule::Hits;
use crate::sorted::{Map, Set, ranked, sort_by_key};
use crate::time;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;
use serde::Serialize;

mod chances;
mod diversity;
mod explore;
mod moves;
mod notice;
mod organic;
mod pins;
mod pools;

pub use chances::{Chance, Possible, chances, every_message};
pub use explore::{Draw, feasible_hash};
pub use moves::{Cause, Move, Passed, moves};
pub use notice::Notice;
pub use pools::weave;

use diversity::Diversity;
use organic::Organic;
use pools::{Asked, Pools};

/// What rules say of one candidate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    /// Pools it belongs to, beside the built-in ones.
    pub pools: Vec<String>,
    /// What its card shows.
    pub badges: Vec<String>,
    /// Somebody pays for what a rule does with it.
    pub sponsored: bool,
    /// ln of the factors, score x 65536.
    pub ln_boost: i32,
}

/// What rules say of each of the first `n` candidates; nothing at all where no rule is in force.
#[must_use]
pub fn marks(hits: &Hits, n: usize) -> Vec<Marks> {
    if hits.are_of_no_rule() {
        return Vec::new();
    }
    let texts = |texts: &mut dyn Iterator<Item = &str>| texts.map(ToString::to_string).collect();
    let of = |i| Marks {
        pools: texts(&mut hits.pools(i)),
        badges: texts(&mut hits.badges(i)),
        sponsored: hits.sponsored(i).is_some(),
        ln_boost: hits.ln_boost(i),
    };
    (0..n).map(of).collect()
}

/// What a message is blended from.
#[derive(Debug, Clone, Copy)]
pub struct Ingredients<'a> {
    /// Who may be shown, ascending by merchant id.
    pub kept: &'a [Candidate],
    /// Who may not: a pin of theirs says why.
    pub dropped: &'a [Dropped],
    /// The judgement of `kept`.
    pub scores: &'a [Score],
    /// What rules say of `kept`; who is not in it has no marks.
    pub marks: &'a [Marks],
    /// Tells what is new to the reader; `None` where nothing may be known of them, not even their last messages.
    pub profile: Option<&'a Profile>,
    /// Brings time, seed and what was shown elsewhere.
    pub context: &'a Context,
    /// What the campaign wants.
    pub policy: &'a Policy,
}

/// All slots, and what could not be had.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Blend {
    /// One a slot.
    pub placements: Vec<Placement>,
    /// Demands that gave way, for whoever made them.
    pub notices: Vec<Notice>,
}

/// What one slot shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// Index of the kept candidate; `None` shows the campaign's own fallback card.
    pub candidate: Option<usize>,
    /// Why it stands here.
    pub pool: Pool,
    /// The pin it stands here by.
    pub pin: Option<String>,
    /// The pool that this slot takes or asks first.
    pub asked: Option<String>,
    /// What was given up so that the slot is not empty.
    pub relaxed: Vec<Demand>,
    /// Somebody pays for it: the card says so.
    pub sponsored: bool,
    /// What the card shows beside.
    pub badges: Vec<String>,
    /// How likely this was, in a campaign that explores.
    pub draw: Option<Draw>,
}

/// Why a card stands in its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// A layer pinned it.
    Pinned,
    /// Its score, among those that may stand here.
    Ranked,
    /// Its score, once a demand was given up so that no slot stays empty.
    Relaxed,
    /// It was drawn, to learn from.
    Explored,
    /// No merchant is left.
    Fallback,
}

/// What a campaign wants of a slot as long as somebody meets it; in the order of giving up, the first first.
///
/// A slot shows those who break the least: who breaks only a demand that is given up early goes before who breaks one that
/// is given up late. Pins are held to none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// `cuisine_cap`.
    CuisineCap,
    /// `price_cap`.
    PriceCap,
    /// `pool_caps`.
    PoolCaps,
    /// The slot's pool of `pattern` or `weave`.
    Pattern,
    /// `no_repeat`.
    NoRepeat,
    /// The pool of the range that the slot lies in.
    Ranges,
}

impl Demand {
    /// All, in the order of giving up.
    pub const ALL: [Self; 6] =
        [Self::CuisineCap, Self::PriceCap, Self::PoolCaps, Self::Pattern, Self::NoRepeat, Self::Ranges];

    /// The key of the campaign that asks it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::CuisineCap => "cuisine_cap",
            Self::PriceCap => "price_cap",
            Self::PoolCaps => "pool_caps",
            Self::Pattern => "pattern",
            Self::NoRepeat => "no_repeat",
            Self::Ranges => "ranges",
        }
    }
}

/// A set of broken demands; the smaller, the earlier they are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Broken(u8);

impl Broken {
    fn with(self, demand: Demand, broken: bool) -> Self {
        Self(self.0 | u8::from(broken) << demand as u8)
    }

    fn demands(self) -> impl Iterator<Item = Demand> {
        Demand::ALL.into_iter().filter(move |demand| self.0 >> *demand as u8 & 1 == 1)
    }
}

/// The judgement of one candidate in fixed point: the scorer's, and what the campaign adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Score {
    /// The model's or the prior's.
    pub model: i32,
    /// ln of the boosts that apply, of layers and of rules.
    pub boost: i32,
}

impl Score {
    /// What ranks.
    #[must_use]
    pub fn total(self) -> i32 {
        self.model.saturating_add(self.boost)
    }
}

/// Adds the campaign's boosts in force; factors multiply odds, so their logarithms add to the score.
#[must_use]
pub fn boost(kept: &[Candidate], scores: &[i32], marks: &[Marks], context: &Context, policy: &Policy) -> Vec<Score> {
    let in_force = policy.boosts.values().filter(|boost| time::holds(&boost.from, &boost.until, context.at));
    let boosts: Vec<(Named, i32)> = in_force
        .map(|boost| (Named::parse(&boost.merchant), crate::score::fixed(libm::log(boost.factor) as f32)))
        .collect();
    let of = |candidate: &Candidate| {
        let own = boosts.iter().filter(|(named, _)| named.matches(&candidate.merchant));
        own.fold(0_i32, |sum, (_, ln)| sum.saturating_add(*ln))
    };
    let by_rules = marks.iter().map(|marks| marks.ln_boost).chain(core::iter::repeat(0));
    let judged = kept.iter().zip(scores).zip(by_rules);
    judged.map(|((candidate, &model), rules)| Score { model, boost: of(candidate).saturating_add(rules) }).collect()
}

/// Fills every slot; equal scores are ordered by merchant id.
#[must_use]
pub fn blend(of: &Ingredients<'_>) -> Blend {
    let (seed, share) = (of.context.seed, of.policy.explore.share);
    blend_by(of, &mut |slot, n| explore::draw(seed, slot, share, n))
}

/// As [`blend`], with the chances in the caller's hand: `draw(slot, n)` says which of the best `n` the slot shows, from 0.
///
/// For whoever wants every slate that there could have been. It is asked only in a campaign that explores, and only for slots
/// without a pin.
#[must_use]
pub fn blend_by(of: &Ingredients<'_>, draw: &mut dyn FnMut(usize, usize) -> usize) -> Blend {
    let mut slate = Slate::new(of);
    let mut notices = Vec::new();
    let pinned = slate.pin(&mut notices);
    notices.append(&mut slate.pools.notices);

    let slots = 0..slate.slots.len();
    let placements: Vec<Placement> = slots
        .map(|slot| match pinned.get(&slot) {
            Some(pin) => slate.pinned(slot, pin),
            None => slate.fill(slot, draw),
        })
        .collect();

    let slots = |of: &dyn Fn(&Placement) -> bool| -> Vec<usize> {
        (0..placements.len()).filter(|slot| of(&placements[*slot])).collect()
    };
    let given_up = Demand::ALL.map(|demand| Notice::GivenUp { demand, slots: slots(&|p| p.relaxed.contains(&demand)) });
    let only_paid = Notice::OnlyPaid { slots: slots(&|p| p.candidate.is_none() && slate.is_anyone_left()) };
    notices.extend(given_up.into_iter().chain([only_paid]).filter(|notice| !notice.is_void()));
    Blend { placements, notices }
}

/// A message being filled, and what of every candidate decides whether it may stand in a slot.
struct Slate<'a> {
    of: Ingredients<'a>,
    pools: Pools<'a>,
    /// The candidates by score.
    order: Vec<usize>,
    facts: Vec<Facts>,
    slots: Vec<Option<usize>>,
    is_shown: Vec<bool>,
    /// By chain, cluster and price band, how many are shown: at most 24.
    chains: Vec<usize>,
    clusters: [u8; 256],
    prices: [u8; 256],
    diversity: Option<Diversity>,
}

/// What decides of one candidate.
#[derive(Debug, Clone, Copy)]
struct Facts {
    /// Into `Slate::chains`; `None` without a chain.
    chain: Option<usize>,
    cluster: Option<u8>,
    price: Option<u8>,
    /// Somebody pays for it.
    paid: bool,
    /// It was in one of the last messages.
    repeats: bool,
}

impl<'a> Slate<'a> {
    fn new(of: &Ingredients<'a>) -> Self {
        let Ingredients { kept, policy, context, .. } = *of;
        let keys = of.scores.iter().zip(kept).enumerate().map(|(i, (score, candidate))| {
            // The best score first: its bits turned round, and above them all that is negative.
            let descending = !score.total().cast_unsigned() ^ 1 << 31;
            u128::from(descending) << 96 | u128::from(candidate.merchant.id.0) << 32 | i as u128
        });
        let order = ranked(keys.collect()).collect();

        let mut chains = Map::new();
        let paid = paid(of);
        let recent = context.recent.iter().take(usize::from(policy.no_repeat)).filter(|_| of.profile.is_some());
        let recent: Set<MerchantId> = recent.flatten().copied().collect();
        let facts = kept.iter().zip(&paid).map(|(candidate, &paid)| {
            let merchant = &candidate.merchant;
            let n = chains.len();
            Facts {
                chain: merchant.chain.is_some().then(|| *chains.or_insert_with(merchant.chain, || n)),
                cluster: main_cluster(candidate),
                price: merchant.price_band,
                paid,
                repeats: recent.contains(&merchant.id),
            }
        });
        let facts: Vec<Facts> = facts.collect();
        Self {
            of: *of,
            pools: Pools::new(of),
            facts,
            slots: vec![None; usize::from(policy.slots)],
            is_shown: vec![false; kept.len()],
            chains: vec![0; chains.len()],
            clusters: [0; 256],
            prices: [0; 256],
            diversity: Diversity::new(of),
            order,
        }
    }

    fn explores(&self) -> bool {
        self.of.policy.explore.share > 0.0
    }

    /// Those that may stand in a slot, the best first, and what each of them breaks; the best alone where nobody asks for more.
    fn standing(&self, slot: usize) -> (Broken, Vec<usize>) {
        let (organic, asked) = (Organic::new(self), self.pools.asked(slot));
        let only_the_best = !self.explores() && self.diversity.is_none();
        let mut standing: Vec<(Broken, usize)> = Vec::new();
        for &i in self.order.iter().filter(|i| self.may_stand(**i, organic.as_ref())) {
            let broken = self.breaks(i, asked);
            if only_the_best && broken == Broken(0) {
                return (broken, vec![i]);
            }
            standing.push((broken, i));
        }
        let Some(least) = standing.iter().map(|(broken, _)| *broken).min() else {
            return (Broken(0), Vec::new());
        };
        let mut standing: Vec<usize> =
            standing.into_iter().filter(|(broken, _)| *broken == least).map(|(_, i)| i).collect();
        if let Some(diversity) = &self.diversity {
            // Stable: what diversity does not tell apart stays ordered by score.
            sort_by_key(&mut standing, |&i| Reverse(diversity.value(i)));
        }
        (least, standing)
    }

    /// The hard demands.
    fn may_stand(&self, i: usize, organic: Option<&Organic>) -> bool {
        !self.is_shown[i] && self.chain_has_room(i) && organic.is_none_or(|organic| organic.allows(self, i))
    }

    fn chain_has_room(&self, i: usize) -> bool {
        self.facts[i].chain.is_none_or(|chain| self.chains[chain] < usize::from(self.of.policy.chain_cap))
    }

    /// Somebody is left whom only `organic_share` keeps out.
    fn is_anyone_left(&self) -> bool {
        (0..self.facts.len()).any(|i| !self.is_shown[i] && self.chain_has_room(i))
    }

    /// The soft demands that a candidate would break in a slot that asks this.
    fn breaks(&self, i: usize, asked: Option<Asked<'_>>) -> Broken {
        let (facts, policy) = (&self.facts[i], self.of.policy);
        let full =
            |counts: &[u8; 256], key: Option<u8>, cap: u8| key.is_some_and(|key| counts[usize::from(key)] >= cap);
        let broken = Broken::default()
            .with(Demand::CuisineCap, full(&self.clusters, facts.cluster, policy.cuisine_cap))
            .with(Demand::PriceCap, full(&self.prices, facts.price, policy.price_cap))
            .with(Demand::PoolCaps, self.pools.is_full(i))
            .with(Demand::NoRepeat, facts.repeats);
        asked.map_or(broken, |asked| broken.with(asked.demand, !asked.members[i]))
    }

    fn place(&mut self, slot: usize, i: usize) {
        self.slots[slot] = Some(i);
        self.is_shown[i] = true;
        let facts = self.facts[i];
        if let Some(chain) = facts.chain {
            self.chains[chain] += 1;
        }
        if let Some(cluster) = facts.cluster {
            self.clusters[usize::from(cluster)] += 1;
        }
        if let Some(price) = facts.price {
            self.prices[usize::from(price)] += 1;
        }
        self.pools.show(i);
        if let Some(diversity) = &mut self.diversity {
            diversity.show(i);
        }
    }

    /// What a slot shows by its pin.
    fn pinned(&self, slot: usize, pin: &str) -> Placement {
        let certain = |i| Draw::certain(self.of.kept, i);
        let draw = self.slots[slot].filter(|_| self.explores()).map(certain);
        Placement { pin: Some(pin.into()), draw, ..self.card(slot, Pool::Pinned) }
    }

    /// Fills a slot without a pin.
    fn fill(&mut self, slot: usize, draw: &mut dyn FnMut(usize, usize) -> usize) -> Placement {
        let (broken, standing) = self.standing(slot);
        if standing.is_empty() {
            return self.card(slot, Pool::Fallback);
        }
        let among = usize::from(self.of.policy.explore.among).clamp(1, standing.len());
        let at = if self.explores() { draw(slot, among).min(among - 1) } else { 0 };
        self.place(slot, standing[at]);
        let pool = match (at, broken) {
            (0, Broken(0)) => Pool::Ranked,
            (0, _) => Pool::Relaxed,
            _ => Pool::Explored,
        };
        let draw = self.explores().then(|| Draw::among(&self.of, &standing, at, among));
        Placement { relaxed: broken.demands().collect(), draw, ..self.card(slot, pool) }
    }

    /// A slot's card with its labels.
    fn card(&self, slot: usize, pool: Pool) -> Placement {
        let candidate = self.slots[slot];
        Placement {
            candidate,
            pool,
            pin: None,
            asked: self.pools.asked(slot).map(|asked| asked.pool.into()),
            relaxed: Vec::new(),
            sponsored: candidate.is_some_and(|i| self.facts[i].paid),
            badges: candidate.and_then(|i| self.of.marks.get(i)).map(|marks| marks.badges.clone()).unwrap_or_default(),
            draw: None,
        }
    }
}

/// The campaign's own boosts and pins in force, and its rules, may be paid for; a card is labelled wherever it stands.
fn paid(of: &Ingredients<'_>) -> Vec<bool> {
    let at = of.context.at;
    let boosts = of.policy.boosts.values().filter(|b| b.sponsored && time::holds(&b.from, &b.until, at));
    let pins = of.policy.pins.values().filter(|p| p.sponsored && time::holds(&p.from, &p.until, at));
    let named = boosts.map(|boost| &boost.merchant).chain(pins.map(|pin| &pin.merchant));
    let named: Vec<Named> = named.map(|name| Named::parse(name)).collect();
    let by_rule = |i: usize| of.marks.get(i).is_some_and(|marks| marks.sponsored);
    let by_name = |candidate: &Candidate| named.iter().any(|named| named.matches(&candidate.merchant));
    of.kept.iter().enumerate().map(|(i, candidate)| by_rule(i) || by_name(candidate)).collect()
}

/// Caps and diversity speak of meals: a message of groceries is of one "cuisine" by nature.
fn main_cluster(candidate: &Candidate) -> Option<u8> {
    let merchant = &candidate.merchant;
    let heaviest = merchant.clusters.iter().filter(|(_, weight)| *weight > 0).max_by_key(|(_, weight)| *weight);
    heaviest.filter(|_| merchant.kind == Kind::Restaurant).map(|(cluster, _)| *cluster)
}
