//! From all merchants of an area to the candidates a reader could order from now; every drop has a reason.

use crate::areas::{Area, Closure};
use crate::bundle::{Audience, Merchant, Offer, OfferKind, Opening, Schedule};
use crate::campaign::{Named, Policy, UnknownHours};
use crate::context::Context;
use crate::feature::{self, Facts};
use crate::geo::Point;
use crate::id::MerchantId;
use crate::locate::Place;
use crate::profile::Profile;
use crate::rule::{Excluded, Hits, Moment, Rules};
use crate::sorted::{Map, Set, ranked, sort_by_key};
use crate::time::{self, DAY_MINUTES, Local, clock};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

pub mod first_pass;

use first_pass::{Columns, Pool, WEIGHTS};

/// A kitchen that tells no preparation time gets this one.
pub const USUAL_PREP_MINUTES: u8 = 20;

/// How an entry that speaks of a cuisine begins.
const CUISINE: &str = "cuisine:";

/// A merchant that may be placed.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Index in the bundle.
    pub index: u32,
    /// Its columns.
    pub merchant: Merchant,
    /// What its cuisines and clusters count in: the first 4 bytes of the map's fingerprint.
    pub cuisine_map: u32,
    /// From the decided place.
    pub distance_km: f64,
    /// Local minutes since 1970; `None` where its hours are not known.
    pub closes: Option<i64>,
    /// Minutes of the message's own clock until it closes.
    pub open_minutes: Option<i64>,
    /// The best offer that holds for this reader now.
    pub offer: Option<Offer>,
}

/// A merchant that may not be placed.
#[derive(Debug, Clone, PartialEq)]
pub struct Dropped {
    /// Who.
    pub id: MerchantId,
    /// Why.
    pub reason: Reason,
}

/// Why a merchant may not be placed.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// Sells something else than the campaign shows.
    Kind,
    /// Listed later than the message's time.
    NotListedYet,
    /// The overlay says so, until a time (seconds since 1970) if it tells one.
    Unavailable(Closure, Option<i64>),
    /// Another block of the message shows it.
    Elsewhere,
    /// What it sells is not for everyone, and its market does not allow it.
    AgeRestricted,
    /// A layer excludes it.
    Excluded(String),
    /// A rule excludes it.
    Rule {
        /// Its id.
        rule: String,
        /// Who said it.
        layer: String,
    },
    /// There are rules that include, and none of them includes it.
    NotIncluded,
    /// The place is beyond its delivery radius.
    TooFar {
        /// To the place.
        distance_km: f64,
        /// How far it delivers.
        limit_km: f64,
    },
    /// A border lies between.
    AcrossBorder,
    /// Others have hours, this one has none that could be read.
    HoursUnknown,
    /// The door is closed; local minutes since 1970.
    Closed {
        /// Since when, within a day.
        since: Option<i64>,
        /// Until when, within a week.
        opens: Option<i64>,
    },
    /// Closes before the food is ready; local minutes since 1970.
    ClosesTooSoon {
        /// When it closes.
        closes: i64,
        /// How long it prepares.
        prep_minutes: u8,
    },
    /// Another outlet of its chain is the better one.
    ChainDuplicate(MerchantId),
    /// Others are likelier by the first pass; its rank, from 0.
    FirstPass(usize),
}

impl Reason {
    /// Its name in counts and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::NotListedYet => "not_listed_yet",
            Self::Unavailable(closure, _) => closure.code(),
            Self::Elsewhere => "elsewhere",
            Self::AgeRestricted => "age_restricted",
            Self::Excluded(_) => "excluded",
            Self::Rule { .. } => "rule",
            Self::NotIncluded => "not_included",
            Self::TooFar { .. } => "too_far",
            Self::AcrossBorder => "across_border",
            Self::HoursUnknown => "hours_unknown",
            Self::Closed { .. } => "closed",
            Self::ClosesTooSoon { .. } => "closes_too_soon",
            Self::ChainDuplicate(_) => "chain_duplicate",
            Self::FirstPass(_) => "first_pass",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind => write!(f, "not of the kinds this campaign shows"),
            Self::NotListedYet => write!(f, "not listed yet"),
            Self::Unavailable(closure, None) => write!(f, "{closure}"),
            Self::Unavailable(closure, Some(until)) => {
                write!(f, "{closure} until {}", crate::time::format(*until))
            }
            Self::Elsewhere => write!(f, "shown by another block of the message"),
            Self::AgeRestricted => write!(f, "age-restricted, and not on the market's allow-list"),
            Self::Excluded(layer) => write!(f, "excluded by layer {layer}"),
            Self::Rule { rule, layer } => write!(f, "excluded by rule {rule} of {layer}"),
            Self::NotIncluded => write!(f, "not included by any rule"),
            Self::TooFar { distance_km, limit_km } => write!(f, "{distance_km:.1} km away, delivers {limit_km:.1} km"),
            Self::AcrossBorder => write!(f, "across the border"),
            Self::HoursUnknown => write!(f, "opening hours unknown"),
            Self::Closed { since: Some(since), .. } => write!(f, "closed since {}", clock(*since)),
            Self::Closed { opens: Some(opens), .. } => write!(f, "closed, opens {}", clock(*opens)),
            Self::Closed { .. } => write!(f, "closed"),
            Self::ClosesTooSoon { closes, prep_minutes } => {
                write!(f, "closes {}, prepares {prep_minutes} minutes", clock(*closes))
            }
            Self::ChainDuplicate(other) => write!(f, "same chain as {other}"),
            Self::FirstPass(rank) => write!(f, "rank {} of the first pass", rank + 1),
        }
    }
}

/// What retrieval asks of one open, worked out once.
struct Gate<'a> {
    area: &'a Area<'a>,
    point: Point,
    context: &'a Context,
    profile: &'a Profile,
    policy: &'a Policy,
    elsewhere: Set<MerchantId>,
    ages: Ages,
    excluded: Vec<(Named, &'a str)>,
    local: Local,
    /// Kitchens share schedules: each is looked up once.
    doors: Map<u16, Opening>,
}

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
    let (mut kept, mut dropped) = (Vec::with_capacity(area.bundle.len()), Vec::new());
    let mut gate = Gate::new(area, point, context, profile, policy);
    let local = gate.local;
    for index in 0..area.bundle.len() {
        let merchant = area.bundle.merchant(index);
        match gate.admit(index, merchant) {
            Ok(candidate) => kept.push(candidate),
            Err(reason) => dropped.push(Dropped { id: merchant.id, reason }),
        }
    }
    let moment = Moment { profile, place, context, local, slots: policy.slots, language: &policy.language };
    let hits = rules.evaluate(&moment, &kept);
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

/// Every merchant of an area with an open door, or without tracked hours, as seen from a point: whatever a campaign wants,
/// however far away.
#[must_use]
pub fn open(area: &Area<'_>, profile: &Profile, point: Point, context: &Context) -> Vec<Candidate> {
    let policy = Policy { unknown_hours: UnknownHours::Keep, ..Policy::default() };
    let mut gate = Gate::new(area, point, context, profile, &policy);
    let merchants = (0..area.bundle.len()).map(|index| (index, area.bundle.merchant(index)));
    let opened = merchants.filter_map(|(index, merchant)| {
        let closes = gate.stands(&merchant).and_then(|()| gate.door(&merchant)).ok()?;
        Some(gate.candidate(index, merchant, point.distance_km(merchant.position), closes))
    });
    opened.collect()
}

impl<'a> Gate<'a> {
    fn new(area: &'a Area<'a>, point: Point, context: &'a Context, profile: &'a Profile, policy: &'a Policy) -> Self {
        let excluded = policy.exclude.iter().map(|name| (Named::parse(name), name.as_str())).collect();
        let local = area.bundle.local(context.at);
        let ages = Ages::new(policy);
        let elsewhere = context.elsewhere.iter().copied().collect();
        Self { area, point, context, profile, policy, elsewhere, ages, excluded, local, doors: Map::new() }
    }

    /// The checks, cheapest and most final first: the first that fails is the reason.
    fn admit(&mut self, index: usize, merchant: Merchant) -> Result<Candidate, Reason> {
        if !self.policy.kinds.contains(&merchant.kind) {
            return Err(Reason::Kind);
        }
        self.stands(&merchant)?;
        if self.elsewhere.contains(&merchant.id) {
            return Err(Reason::Elsewhere);
        }
        if !self.ages.allow(&merchant) {
            return Err(Reason::AgeRestricted);
        }
        if let Some((_, name)) = self.excluded.iter().find(|(named, _)| named.matches(&merchant)) {
            let origin = self.policy.origin(&format!("exclude[{name}]"));
            return Err(Reason::Excluded(origin.map(ToString::to_string).unwrap_or_default()));
        }
        if merchant.across_border && !self.policy.across_border {
            return Err(Reason::AcrossBorder);
        }
        let distance_km = self.point.distance_km(merchant.position);
        let limit_km = merchant.radius_km.unwrap_or(self.policy.radius_km);
        if distance_km > limit_km {
            return Err(Reason::TooFar { distance_km, limit_km });
        }
        let closes = self.door(&merchant)?;
        Ok(self.candidate(index, merchant, distance_km, closes))
    }

    /// Whether there is such a merchant now, whoever asks.
    fn stands(&self, merchant: &Merchant) -> Result<(), Reason> {
        if merchant.listed_day.is_some_and(|day| i64::from(day) > self.local.day()) {
            return Err(Reason::NotListedYet);
        }
        match self.area.closure(merchant.id, self.context.at) {
            Some((closure, until)) => Err(Reason::Unavailable(closure, until)),
            None => Ok(()),
        }
    }

    fn candidate(&self, index: usize, merchant: Merchant, distance_km: f64, closes: Option<i64>) -> Candidate {
        Candidate {
            index: index as u32,
            merchant,
            cuisine_map: self.area.bundle.cuisine_map as u32,
            distance_km,
            closes,
            open_minutes: closes.map(|closes| self.minutes_until(closes)),
            offer: self.offer(index, merchant.id),
        }
    }

    /// When it closes, if its hours are known; else why it is no candidate.
    fn door(&mut self, merchant: &Merchant) -> Result<Option<i64>, Reason> {
        let schedule = match merchant.schedule {
            Schedule::Known(schedule) => schedule,
            Schedule::Untracked => return Ok(None),
            Schedule::Unknown if self.policy.unknown_hours == UnknownHours::Keep => return Ok(None),
            Schedule::Unknown => return Err(Reason::HoursUnknown),
        };
        let (bundle, local) = (self.area.bundle, self.local);
        match *self.doors.or_insert_with(schedule, || bundle.hours(schedule).at(local)) {
            Opening::Closed { since, opens } => Err(Reason::Closed { since, opens }),
            Opening::Open { closes } => {
                let prep_minutes = merchant.prep_minutes.unwrap_or(USUAL_PREP_MINUTES);
                if self.minutes_until(closes) < i64::from(prep_minutes) {
                    return Err(Reason::ClosesTooSoon { closes, prep_minutes });
                }
                Ok(Some(closes))
            }
        }
    }

    /// Real minutes until a local time: on the night clocks change, the wall clock skips or repeats an hour. A time
    /// that is skipped comes when it is skipped.
    fn minutes_until(&self, local: i64) -> i64 {
        let offset = |minute: i64| i64::from(self.area.bundle.offset_minutes(minute * 60));
        let now = self.context.at.div_euclid(60);
        let before = local - offset(now);
        let after = local - offset(before);
        let (early, late) = if before < after { (before, after) } else { (after, before) };
        (early..late).find(|minute| minute + offset(*minute) >= local).unwrap_or(late) - now
    }

    /// The most valuable offer that holds; equal ones by their id.
    fn offer(&self, index: usize, id: MerchantId) -> Option<Offer> {
        let now = u32::try_from(self.context.at / 60).unwrap_or(u32::MAX);
        self.area
            .bundle
            .offers_of(index)
            .filter(|offer| (offer.starts_minute..offer.ends_minute).contains(&now))
            .filter(|offer| match offer.audience {
                Audience::All => true,
                Audience::New => self.profile.known(id).is_none(),
                Audience::Member => self.profile.member,
                Audience::Unknown => false,
            })
            .fold(None, |best: Option<Offer>, offer| match best {
                Some(b) if worth(&b) >= worth(&offer) => best,
                _ => Some(offer),
            })
    }
}

/// An offer's worth as a share of a usual basket, in per cent.
#[must_use]
pub fn worth(offer: &Offer) -> i32 {
    match offer.kind {
        OfferKind::Percent => offer.value,
        // A usual basket is 25 of the currency, a usual fee 4.
        OfferKind::Amount => offer.value / 25,
        OfferKind::FreeDelivery => 16,
        OfferKind::Other => 5,
    }
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

/// Whether some chain has more outlets than a message may show.
fn crowded(kept: &[Candidate], cap: u8) -> bool {
    let chains = kept.iter().map(|candidate| candidate.merchant.chain).filter(|chain| chain.is_some());
    let mut chains: Vec<u128> = chains.map(|chain| chain.0.into()).collect();
    chains.sort_unstable();
    chains.windows(usize::from(cap) + 1).any(|outlets| outlets.first() == outlets.last())
}

/// Whom an entry of `age_restricted` or `age_allow` speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sells {
    Named(Named),
    /// A label of the cuisine map.
    Cuisine(u16),
    /// A label that nobody resolved, and so nobody's.
    Unresolved,
}

impl Sells {
    fn parse(text: &str) -> Self {
        match text.strip_prefix(CUISINE) {
            Some(label) => label.strip_prefix('#').and_then(|i| i.parse().ok()).map_or(Self::Unresolved, Self::Cuisine),
            None => Self::Named(Named::parse(text)),
        }
    }

    fn matches(self, merchant: &Merchant) -> bool {
        match self {
            Self::Named(named) => named.matches(merchant),
            Self::Cuisine(label) => merchant.cuisines.contains(&label),
            Self::Unresolved => false,
        }
    }
}

/// What is not for everyone, and what of it the market allows.
struct Ages {
    restricted: Vec<Sells>,
    allowed: Vec<Sells>,
}

impl Ages {
    fn new(policy: &Policy) -> Self {
        let read = |entries: &[String]| entries.iter().map(|entry| Sells::parse(entry)).collect();
        Self { restricted: read(&policy.age_restricted), allowed: read(&policy.age_allow) }
    }

    /// Each restriction needs its own permission, or one for the merchant itself: a permit for wine is none for spirits.
    fn allow(&self, merchant: &Merchant) -> bool {
        let named = |allowed: &Sells| matches!(allowed, Sells::Named(_)) && allowed.matches(merchant);
        let mut restricted = self.restricted.iter().filter(|entry| entry.matches(merchant));
        restricted.all(|entry| self.allowed.contains(entry) || self.allowed.iter().any(named))
    }
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

/// Days between a listing and a local day.
#[must_use]
pub(crate) fn days_since(day: u16, local: Local) -> i64 {
    local.minutes.div_euclid(DAY_MINUTES) - i64::from(day)
}
