//! What would have to change for a merchant to be shown.
//!
//! Nothing is worked out on paper: a change is applied and the decision made again by [`decide`], until the merchant
//! stands in the message. So what is said is true of whatever gate and blend do, and stays true when they change.

use super::said;
use crate::blend::Pool;
use crate::bundle::Kind;
use crate::campaign::{Boost, MAX_SLOTS, Named, Pin, Policy, UnknownHours};
use crate::context::Context;
use crate::decide;
use crate::decision::{Asked, Decision};
use crate::id::MerchantId;
use crate::retrieve::Reason;
use crate::time::{self, DAY_MINUTES, Local, civil_from_days, clock};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// More than there are reasons to drop.
const MAX_STEPS: usize = 16;
/// The id under which a boost or a pin is tried; a layer that has this id loses it in the trial.
const TRIED: &str = "what would have to change";
/// A boost is told in hundredths, and at most what a campaign may say.
const BOOSTS: core::ops::RangeInclusive<u32> = 101..=10_000;
/// The widest radius a campaign may say.
const WIDEST_KM: f64 = 100.0;

/// Where a merchant stands, and the way into the message.
#[derive(Debug, Clone, PartialEq)]
pub struct Why {
    /// Who.
    pub merchant: MerchantId,
    /// Its slot, from 0.
    pub shown_in: Option<usize>,
    /// Where it stands now.
    pub verdict: String,
    /// One after the other.
    pub steps: Vec<Step>,
    /// The slot, from 0, that it has after the first change of every step; `None` where no change shows it.
    pub then: Option<usize>,
    /// What puts it first, once it is shown; `None` where it is first by then, or not shown at all.
    pub on_top: Option<Step>,
}

/// One step of the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// For a person.
    pub sentence: String,
    /// Any one of them does, the first as the later steps take it; none where it is not in a campaign's hands.
    pub any_of: Vec<Change>,
}

/// Something that a campaign could say instead, or another time for the message.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The message's time, seconds since 1970; the place stays the decided one.
    Time(i64),
    /// One more kind.
    Kind(Kind),
    /// Entries that `exclude` does without.
    Unexclude(Vec<String>),
    /// A rule that is not there.
    WithoutRule(String),
    /// Merchants beyond the border are shown.
    AcrossBorder,
    /// `radius_km`.
    Radius(f64),
    /// Merchants of unknown hours are shown.
    UnknownHours,
    /// `first_pass`.
    FirstPass(u16),
    /// `chain_cap`.
    ChainCap(u8),
    /// `cuisine_cap`.
    CuisineCap(u8),
    /// `price_cap`.
    PriceCap(u8),
    /// One of `pool_caps`.
    PoolCap(String, u8),
    /// `no_repeat`.
    NoRepeat(u8),
    /// `slots`.
    Slots(u8),
    /// One more boost of the merchant.
    Boost(f64),
    /// The only pin of this slot.
    Pin(u8),
}

impl Change {
    /// Makes it.
    pub fn apply(&self, merchant: &str, policy: &mut Policy, context: &mut Context) {
        match self {
            Self::Time(at) => context.at = *at,
            Self::Kind(kind) => policy.kinds.push(*kind),
            Self::Unexclude(names) => policy.exclude.retain(|name| !names.contains(name)),
            Self::WithoutRule(id) => drop(policy.rules.remove(id)),
            Self::AcrossBorder => policy.across_border = true,
            Self::Radius(km) => policy.radius_km = *km,
            Self::UnknownHours => policy.unknown_hours = UnknownHours::Keep,
            Self::FirstPass(n) => policy.first_pass = *n,
            Self::ChainCap(n) => policy.chain_cap = *n,
            Self::CuisineCap(n) => policy.cuisine_cap = *n,
            Self::PriceCap(n) => policy.price_cap = *n,
            Self::PoolCap(pool, n) => drop(policy.pool_caps.insert(pool.clone(), *n)),
            Self::NoRepeat(n) => policy.no_repeat = *n,
            Self::Slots(n) => policy.slots = *n,
            Self::Boost(factor) => drop(policy.boosts.insert(TRIED.into(), Boost::of(merchant, *factor))),
            Self::Pin(slot) => {
                policy.pins.retain(|_, pin| pin.slot != *slot);
                policy.pins.insert(TRIED.into(), Pin::at(*slot, merchant));
            }
        }
    }

    /// As an instruction, with what stands there now and who says so.
    fn sentence(&self, policy: &Policy) -> String {
        let set = |key: &str, new: &dyn core::fmt::Display, old: &dyn core::fmt::Display| {
            let said = policy.origin(key).map_or("default".to_string(), ToString::to_string);
            format!("set `{key}: {new}` ({old} by {said})")
        };
        match self {
            Self::Time(at) => format!("send or open it at {}", time::format(*at)),
            Self::Kind(kind) => {
                let names: Vec<&str> = policy.kinds.iter().map(|kind| word(*kind)).collect();
                set("kinds", &format!("[{}]", [&names[..], &[word(*kind)]].concat().join(", ")), &names.join(", "))
            }
            Self::Unexclude(names) => {
                let said = names
                    .iter()
                    .map(|name| format!("`{name}`{}", said(policy, &format!("exclude[{name}]"), "exclude")));
                format!("take {} out of `exclude`", said.collect::<Vec<_>>().join(" and "))
            }
            Self::AcrossBorder => set("across_border", &true, &policy.across_border),
            Self::Radius(km) => set("radius_km", km, &policy.radius_km),
            Self::UnknownHours => set("unknown_hours", &"keep", &"drop"),
            Self::FirstPass(n) => set("first_pass", n, &policy.first_pass),
            Self::ChainCap(n) => set("chain_cap", n, &policy.chain_cap),
            Self::CuisineCap(n) => set("cuisine_cap", n, &policy.cuisine_cap),
            Self::PriceCap(n) => set("price_cap", n, &policy.price_cap),
            Self::PoolCap(pool, n) => {
                let old = policy.pool_caps.get(pool).copied().unwrap_or_default();
                set(&format!("pool_caps.{pool}"), n, &old)
            }
            Self::NoRepeat(n) => set("no_repeat", n, &policy.no_repeat),
            Self::Slots(n) => set("slots", n, &policy.slots),
            Self::WithoutRule(id) => format!("take away rule {id}{}", said(policy, &format!("rules.{id}"), "rules")),
            Self::Boost(factor) => format!("boost it by {factor:.2} or more"),
            Self::Pin(slot) => {
                let pins = policy.pins.iter().filter(|(_, pin)| pin.slot == *slot);
                let pins =
                    pins.map(|(id, _)| format!(" instead of pin {id}{}", said(policy, &format!("pins.{id}"), "pins")));
                format!("pin it to slot {slot}{}", pins.collect::<String>())
            }
        }
    }
}

/// What would have to change for this merchant to be shown.
#[must_use]
pub fn why(merchant: &str, decision: &Decision, asked: Asked<'_>) -> Why {
    let id = MerchantId::of(merchant);
    let mut trial =
        Trial { merchant, id, asked, context: asked.context.clone(), decision: decision.clone(), moved: false };
    let (shown_in, verdict) = (trial.slot(), trial.verdict());
    let mut steps = Vec::new();
    while trial.slot().is_none() && steps.len() < MAX_STEPS {
        let step = trial.step();
        let made = step.any_of.first().is_some_and(|change| trial.make(change));
        steps.push(step);
        if !made {
            break;
        }
    }
    let on_top = trial.slot().filter(|slot| *slot > 0).map(|_| trial.way_up());
    Why { merchant: id, shown_in, verdict, steps, then: trial.slot(), on_top }
}

/// A decision made under other circumstances.
struct Trial<'a> {
    merchant: &'a str,
    id: MerchantId,
    asked: Asked<'a>,
    context: Context,
    decision: Decision,
    /// Whether the message's time was moved: it goes back at most first.
    moved: bool,
}

impl Trial<'_> {
    fn slot(&self) -> Option<usize> {
        slot_of(&self.decision, self.id)
    }

    fn reason(&self) -> Option<&Reason> {
        self.decision.dropped.iter().find(|drop| drop.id == self.id).map(|drop| &drop.reason)
    }

    fn kept(&self) -> Option<usize> {
        self.decision.kept.iter().position(|candidate| candidate.merchant.id == self.id)
    }

    fn verdict(&self) -> String {
        let Decision { placements, scores, kept, place, cell, .. } = &self.decision;
        if let Some(reason) = self.reason() {
            return reason.to_string();
        }
        let Some(i) = self.kept() else {
            return match (cell, place.cell()) {
                (Some(cell), _) => format!("none of the merchants that deliver to area {cell}"),
                (None, Some(cell)) => format!("the bundle of area {cell} was not at hand"),
                (None, None) => "nobody knows where the reader is, so no area was decided in".into(),
            };
        };
        let order = |i: usize| (core::cmp::Reverse(scores[i].total()), kept[i].merchant.id);
        let rank = 1 + (0..kept.len()).filter(|other| order(*other) < order(i)).count();
        let ranked = format!("rank {rank} of {} by score", kept.len());
        match self.slot().and_then(|slot| Some((slot, placements.get(slot)?.pool))) {
            Some((slot, Pool::Pinned)) => format!("pinned to slot {slot}; {ranked}"),
            Some((slot, _)) => format!("stands in slot {slot}; {ranked}"),
            None if placements.len() == 1 => format!("{ranked}, in a message of 1 slot"),
            None => format!("{ranked}, in a message of {} slots", placements.len()),
        }
    }

    /// The next thing to change.
    fn step(&self) -> Step {
        let nothing = |sentence: &str| Step { sentence: sentence.into(), any_of: Vec::new() };
        let policy = &self.decision.policy;
        let change = match self.reason() {
            None if self.kept().is_some() => return self.way_in(),
            None if self.decision.cell.is_none() => {
                return nothing(
                    "not in a campaign's hands: the place must be known, and the bundle of its area at hand",
                );
            }
            None => {
                return nothing(
                    "not in a campaign's hands: it would have to deliver there, and the area's bundle list it",
                );
            }
            Some(Reason::Kind) => self.listed().map(|merchant| Change::Kind(merchant.kind)),
            Some(Reason::NotListedYet) => self.first_day(),
            Some(Reason::Unavailable(_, until)) => until.map(Change::Time),
            Some(Reason::Elsewhere | Reason::AgeRestricted | Reason::NotIncluded) => None,
            Some(Reason::Rule { rule, .. }) => Some(Change::WithoutRule(rule.clone())),
            Some(Reason::Excluded(_)) => self.unexcluded(),
            Some(Reason::AcrossBorder) => Some(Change::AcrossBorder),
            Some(Reason::TooFar { distance_km, limit_km }) => {
                // In tenths, upwards: what is said must be enough.
                let enough_km = libm::ceil(distance_km * 10.0) / 10.0;
                let own = self.listed().is_none_or(|merchant| merchant.radius_km.is_some());
                if own {
                    return nothing(&format!(
                        "not in a campaign's hands: {limit_km:.1} km is its own radius, and {enough_km:.1} km would be needed"
                    ));
                }
                (enough_km <= WIDEST_KM).then_some(Change::Radius(enough_km))
            }
            Some(Reason::HoursUnknown) => Some(Change::UnknownHours),
            Some(Reason::Closed { opens, .. }) => opens.and_then(|opens| self.at_local(opens)).map(Change::Time),
            Some(Reason::ClosesTooSoon { closes, prep_minutes }) => {
                let latest = self.at_local(*closes).map(|at| at - 60 * i64::from(*prep_minutes));
                latest.filter(|_| !self.moved).map(Change::Time)
            }
            Some(Reason::ChainDuplicate(_)) => self.lowest(
                u32::from(policy.chain_cap) + 1..=u32::from(u8::MAX),
                |n| Change::ChainCap(n as u8),
                |trial| !matches!(trial.reason(), Some(Reason::ChainDuplicate(_))),
            ),
            Some(Reason::FirstPass(rank)) => u16::try_from(rank + 1).ok().map(Change::FirstPass),
        };
        let lifted = change.filter(|change| {
            let reason = |trial: &Self| trial.reason().map(Reason::code);
            reason(&self.with(change)) != reason(self)
        });
        match (lifted, self.reason()) {
            (Some(Change::Time(at)), reason) => {
                Step { sentence: self.at_another_time(at, reason), any_of: [Change::Time(at)].into() }
            }
            (Some(change), _) => {
                // A pin goes before chain and first pass, and may be the shorter way.
                let enough = if self.with(&change).slot().is_none() { self.pin() } else { None };
                let or = enough.iter().map(|pin| format!("; or, which is enough, {}", self.outcome(pin)));
                let sentence = format!("{}{}", change.sentence(policy), or.collect::<String>());
                Step { sentence, any_of: [change].into_iter().chain(enough).collect() }
            }
            (None, reason) => {
                let reason = reason.map(ToString::to_string).unwrap_or_default();
                nothing(&format!("not in a campaign's hands: {reason}"))
            }
        }
    }

    /// All that brings a kept merchant into the message, the gentlest first.
    fn way_in(&self) -> Step {
        let policy = &self.decision.policy;
        let shown = |trial: &Self| trial.slot().is_some();
        let cap = |old: u8, change: fn(u8) -> Change| {
            self.lowest(u32::from(old) + 1..=MAX_SLOTS as u32, |n| change(n as u8), shown)
        };
        let pools = policy.pool_caps.iter().map(|(pool, old)| {
            self.lowest(u32::from(*old) + 1..=MAX_SLOTS as u32, |n| Change::PoolCap(pool.clone(), n as u8), shown)
        });
        let fewer = u32::from(policy.no_repeat);
        let mut any_of: Vec<Change> = self
            .lowest(BOOSTS, |hundredths| Change::Boost(f64::from(hundredths) / 100.0), shown)
            .into_iter()
            .chain(cap(policy.chain_cap, Change::ChainCap))
            .chain(cap(policy.cuisine_cap, Change::CuisineCap))
            .chain(cap(policy.price_cap, Change::PriceCap))
            .chain(pools.flatten())
            .chain(self.lowest(1..=fewer, |n| Change::NoRepeat(policy.no_repeat - n as u8), shown))
            .chain(cap(policy.slots, Change::Slots))
            .collect();
        if !matches!(any_of.first(), Some(Change::Boost(_))) {
            any_of.extend(self.pin());
        }
        self.any_of(any_of, "no single boost, cap, slot or pin shows it")
    }

    /// All that puts a shown merchant first, the gentlest first.
    fn way_up(&self) -> Step {
        let first = |trial: &Self| trial.slot() == Some(0);
        let boost = self.lowest(BOOSTS, |hundredths| Change::Boost(f64::from(hundredths) / 100.0), first);
        let pin = Some(Change::Pin(0)).filter(|pin| first(&self.with(pin)));
        self.any_of(boost.into_iter().chain(pin).collect(), "no single boost or pin puts it first")
    }

    fn any_of(&self, any_of: Vec<Change>, none: &str) -> Step {
        let sentences: Vec<String> = any_of.iter().map(|change| self.outcome(change)).collect();
        let sentence = if sentences.is_empty() { none.into() } else { sentences.join("; or ") };
        Step { sentence, any_of }
    }

    /// The last slot whose pin shows it.
    fn pin(&self) -> Option<Change> {
        let slots = 0..self.decision.policy.slots;
        slots.rev().map(Change::Pin).find(|pin| self.with(pin).slot().is_some())
    }

    /// A change, the slot it gives, and who goes.
    fn outcome(&self, change: &Change) -> String {
        let after = self.with(change);
        let shown = |decision: &Decision| -> Vec<MerchantId> {
            let shown = decision.placements.iter().filter_map(|placement| placement.candidate);
            shown.filter_map(|i| Some(decision.kept.get(i)?.merchant.id)).collect()
        };
        let now = shown(&after.decision);
        let gone = shown(&self.decision).into_iter().filter(|id| !now.contains(id)).map(|id| format!(", {id} goes"));
        let slot = after.slot().map(|slot| format!(": slot {slot}")).unwrap_or_default();
        format!("{}{slot}{}", change.sentence(&self.decision.policy), gone.collect::<String>())
    }

    /// The lowest number whose change does it, by bisection: that it does is tried, that no lower one does rests on more
    /// never undoing it.
    fn lowest(
        &self,
        numbers: core::ops::RangeInclusive<u32>,
        change: impl Fn(u32) -> Change,
        done: impl Fn(&Self) -> bool,
    ) -> Option<Change> {
        let does = |n: u32| done(&self.with(&change(n)));
        let (mut low, mut high) = numbers.into_inner();
        if low > high || !does(high) {
            return None;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if does(middle) { high = middle } else { low = middle + 1 }
        }
        Some(change(high))
    }

    /// Makes a change; whether that changed anything for the merchant.
    fn make(&mut self, change: &Change) -> bool {
        let before = (self.reason().map(Reason::code), self.slot());
        *self = self.with(change);
        before != (self.reason().map(Reason::code), self.slot())
    }

    fn with(&self, change: &Change) -> Self {
        let (mut policy, mut context) = (Policy::clone(&self.decision.policy), self.context.clone());
        change.apply(self.merchant, &mut policy, &mut context);
        let decision = decide(Asked { context: &context, ..self.asked }, self.decision.place.clone(), policy);
        let moved = self.moved || matches!(change, Change::Time(_));
        Self { context, decision, moved, ..*self }
    }

    fn listed(&self) -> Option<crate::bundle::Merchant> {
        let bundle = self.asked.area?.bundle;
        (0..bundle.len()).map(|i| bundle.merchant(i)).find(|merchant| merchant.id == self.id)
    }

    fn unexcluded(&self) -> Option<Change> {
        let merchant = self.listed()?;
        let names = self.decision.policy.exclude.iter().filter(|name| Named::parse(name).matches(&merchant));
        Some(Change::Unexclude(names.cloned().collect()))
    }

    fn first_day(&self) -> Option<Change> {
        let day = self.listed()?.listed_day?;
        self.at_local(i64::from(day) * DAY_MINUTES).map(Change::Time)
    }

    /// When a local minute comes there, in seconds since 1970.
    fn at_local(&self, minute: i64) -> Option<i64> {
        let bundle = self.asked.area?.bundle;
        let offset = |at: i64| i64::from(bundle.offset_minutes(at));
        let about = 60 * (minute - offset(self.context.at));
        Some(60 * (minute - offset(about)))
    }

    fn at_another_time(&self, at: i64, reason: Option<&Reason>) -> String {
        let here = |at| self.asked.area.map_or(Local::new(at, 0), |area| area.bundle.local(at));
        let local = here(at);
        let day = if local.day() == here(self.context.at).day() {
            String::new()
        } else {
            let (year, month, day) = civil_from_days(local.day());
            format!(" on {year}-{month:02}-{day:02}")
        };
        let at = format!("{}{day}", clock(local.minute_of_day()));
        let comes = match reason {
            Some(Reason::ClosesTooSoon { .. }) => "a message finds it cooking until",
            Some(Reason::NotListedYet) => "it is listed from",
            Some(Reason::Unavailable(..)) => "it is back at",
            _ => "it opens at",
        };
        format!("not in a campaign's hands: {comes} {at}")
    }
}

fn slot_of(decision: &Decision, id: MerchantId) -> Option<usize> {
    let shows = |i: usize| decision.kept.get(i).is_some_and(|candidate| candidate.merchant.id == id);
    decision.placements.iter().position(|placement| placement.candidate.is_some_and(shows))
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Restaurant => "restaurant",
        Kind::Grocery => "grocery",
        Kind::Retail => "retail",
    }
}
