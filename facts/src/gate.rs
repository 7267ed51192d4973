//! Whom an area's door lets through: every merchant is a candidate, or has the reason why not.

use crate::areas::{Area, Closure};
use crate::bundle::{Audience, Kind, Merchant, Offer, Opening, Schedule};
use crate::candidate::{Candidate, worth};
use crate::context::Context;
use crate::geo::Point;
use crate::id::{ChainId, MerchantId};
use crate::profile::Profile;
use crate::sorted::{Map, Set};
use crate::time::{Local, clock};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A kitchen that tells no preparation time gets this one.
pub const USUAL_PREP_MINUTES: u8 = 20;

/// How an entry that speaks of a cuisine begins.
pub const CUISINE: &str = "cuisine:";

/// What to do with a merchant whose hours nobody knows, in a city where others' are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum UnknownHours {
    /// A closed door disappoints more than a missing merchant.
    #[default]
    Drop,
    /// Show it.
    Keep,
}

/// Whom a list entry of a layer speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// One merchant.
    Merchant(MerchantId),
    /// All outlets of a chain.
    Chain(ChainId),
}

impl Named {
    /// Reads `merchant_id`, or `chain:` and a `chain_id`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix("chain:") {
            Some(chain) => Self::Chain(ChainId::of(chain)),
            None => Self::Merchant(MerchantId::of(text)),
        }
    }

    /// Whether this merchant is meant.
    #[must_use]
    pub fn matches(self, merchant: &Merchant) -> bool {
        match self {
            Self::Merchant(id) => merchant.id == id,
            Self::Chain(chain) => merchant.chain == chain,
        }
    }
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

/// What a campaign says of whom it may show.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// `kinds`.
    pub kinds: &'a [Kind],
    /// `exclude`.
    pub exclude: &'a [String],
    /// The layer that says so of an entry of `exclude`.
    pub excluded_by: &'a dyn Fn(&str) -> String,
    /// `age_restricted`.
    pub age_restricted: &'a [String],
    /// `age_allow`.
    pub age_allow: &'a [String],
    /// `across_border`.
    pub across_border: bool,
    /// `radius_km`.
    pub radius_km: f64,
    /// `unknown_hours`.
    pub unknown_hours: UnknownHours,
}

impl Terms<'_> {
    /// Nobody says anything, and whose hours are unknown stays.
    const NONE: Self = Terms {
        kinds: &[],
        exclude: &[],
        excluded_by: &|_| String::new(),
        age_restricted: &[],
        age_allow: &[],
        across_border: true,
        radius_km: 0.0,
        unknown_hours: UnknownHours::Keep,
    };
}

/// What retrieval asks of one open, worked out once.
pub struct Gate<'a> {
    area: &'a Area<'a>,
    point: Point,
    context: &'a Context,
    profile: &'a Profile,
    terms: Terms<'a>,
    elsewhere: Set<MerchantId>,
    ages: Ages,
    excluded: Vec<(Named, &'a str)>,
    local: Local,
    /// Kitchens share schedules: each is looked up once.
    doors: Map<u16, Opening>,
}

/// Every merchant of an area with an open door, or without tracked hours, as seen from a point: whatever a campaign wants,
/// however far away.
#[must_use]
pub fn open(area: &Area<'_>, profile: &Profile, point: Point, context: &Context) -> Vec<Candidate> {
    let mut gate = Gate::new(area, point, context, profile, Terms::NONE);
    let merchants = (0..area.bundle.len()).map(|index| (index, area.bundle.merchant(index)));
    let opened = merchants.filter_map(|(index, merchant)| {
        let closes = gate.stands(&merchant).and_then(|()| gate.door(&merchant)).ok()?;
        Some(gate.candidate(index, merchant, point.distance_km(merchant.position), closes))
    });
    opened.collect()
}

impl<'a> Gate<'a> {
    /// Reads what the campaign says, once.
    #[must_use]
    pub fn new(area: &'a Area<'a>, point: Point, context: &'a Context, profile: &'a Profile, terms: Terms<'a>) -> Self {
        let excluded = terms.exclude.iter().map(|name| (Named::parse(name), name.as_str())).collect();
        let local = area.bundle.local(context.at);
        let ages = Ages::new(&terms);
        let elsewhere = context.elsewhere.iter().copied().collect();
        Self { area, point, context, profile, terms, elsewhere, ages, excluded, local, doors: Map::new() }
    }

    /// All merchants of the area, ascending by id: those that may be placed, and those that may not.
    #[must_use]
    pub fn admit_all(mut self) -> (Vec<Candidate>, Vec<Dropped>) {
        let (mut kept, mut dropped) = (Vec::with_capacity(self.area.bundle.len()), Vec::new());
        for index in 0..self.area.bundle.len() {
            let merchant = self.area.bundle.merchant(index);
            match self.admit(index, merchant) {
                Ok(candidate) => kept.push(candidate),
                Err(reason) => dropped.push(Dropped { id: merchant.id, reason }),
            }
        }
        (kept, dropped)
    }

    /// The checks, cheapest and most final first: the first that fails is the reason.
    fn admit(&mut self, index: usize, merchant: Merchant) -> Result<Candidate, Reason> {
        if !self.terms.kinds.contains(&merchant.kind) {
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
            return Err(Reason::Excluded((self.terms.excluded_by)(name)));
        }
        if merchant.across_border && !self.terms.across_border {
            return Err(Reason::AcrossBorder);
        }
        let distance_km = self.point.distance_km(merchant.position);
        let limit_km = merchant.radius_km.unwrap_or(self.terms.radius_km);
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
            Schedule::Unknown if self.terms.unknown_hours == UnknownHours::Keep => return Ok(None),
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
    fn new(terms: &Terms<'_>) -> Self {
        let read = |entries: &[String]| entries.iter().map(|entry| Sells::parse(entry)).collect();
        Self { restricted: read(terms.age_restricted), allowed: read(terms.age_allow) }
    }

    /// Each restriction needs its own permission, or one for the merchant itself: a permit for wine is none for spirits.
    fn allow(&self, merchant: &Merchant) -> bool {
        let named = |allowed: &Sells| matches!(allowed, Sells::Named(_)) && allowed.matches(merchant);
        let mut restricted = self.restricted.iter().filter(|entry| entry.matches(merchant));
        restricted.all(|entry| self.allowed.contains(entry) || self.allowed.iter().any(named))
    }
}
