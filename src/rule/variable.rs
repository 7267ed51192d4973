//! The variables of rules: one table, read by the checker, the evaluator and the documentation.

use crate::bundle::{Audience, Kind, OfferKind};
use crate::context::{Context, Grade, Mailbox};
use crate::locate::{Place, Source};
use crate::profile::Profile;
use crate::retrieve::{Candidate, days_since, worth};
use crate::time::{Local, civil_from_days};
use alloc::format;
use alloc::string::String;

/// What is the same for every candidate of a decision.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// The reader.
    pub profile: &'a Profile,
    /// Where they are thought to be.
    pub place: &'a Place,
    /// The open.
    pub context: &'a Context,
    /// The wall clock of the area at the message's time.
    pub local: Local,
    /// Slots of the message.
    pub slots: u8,
    /// BCP 47; empty where no layer says one.
    pub language: &'a str,
}

/// One candidate of a decision.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// The rest of the decision.
    pub moment: &'a Moment<'a>,
    /// The merchant.
    pub candidate: &'a Candidate,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    /// `true` or `false`.
    Bool,
    /// 64 bits with a sign.
    Int,
    /// IEEE 754, 64 bits.
    Double,
    /// UTF-8.
    Text,
    /// A string of which the engine has only a number: compared with `==`, `!=` and `in`, and nothing else.
    Word(Words),
}

impl Type {
    /// As a rule's author would say it; words are strings to them.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::Text | Self::Word(_) => "string",
        }
    }
}

/// Which strings a word is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Words {
    /// `merchant_id`s of the tables.
    Merchant,
    /// `chain_id`s of the tables; `""` is no chain.
    Chain,
    /// Labels of the cuisine map.
    Cuisine,
    /// What a merchant sells.
    Kind,
    /// What an offer gives.
    OfferKind,
    /// Whom an offer is for.
    Audience,
    /// How much a reader has ordered.
    Orders,
    /// What decided on the place.
    Source,
    /// How far the request's geography can be trusted.
    Grade,
    /// Which software fetched the message.
    Mailbox,
    /// The day of the week.
    Weekday,
}

impl Words {
    /// All, in the order of their codes in a program: append only, as to the lists themselves.
    pub const ALL: [Self; 11] = [
        Self::Merchant,
        Self::Chain,
        Self::Cuisine,
        Self::Kind,
        Self::OfferKind,
        Self::Audience,
        Self::Orders,
        Self::Source,
        Self::Grade,
        Self::Mailbox,
        Self::Weekday,
    ];

    /// The whole list, where there is one; a word's number is its place in it.
    #[must_use]
    pub fn list(self) -> Option<&'static [&'static str]> {
        Some(match self {
            Self::Merchant | Self::Chain | Self::Cuisine => return None,
            Self::Kind => &["restaurant", "grocery", "retail"],
            Self::OfferKind => &["percent", "amount", "free_delivery", "other"],
            Self::Audience => &["all", "new", "member"],
            Self::Orders => &["none", "few", "some", "many"],
            Self::Source => &["predicted", "exact", "last_event", "unknown"],
            Self::Grade => &["exact", "network", "coarse", "none"],
            Self::Mailbox => &["direct", "gmail", "yahoo", "outlook", "apple", "scanner", "sender", "unknown"],
            Self::Weekday => &["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        })
    }
}

/// On what a variable depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Reader, place, message and clock: the same for every candidate, read once.
    Moment,
    /// The merchant alone.
    Merchant,
    /// Merchant and reader, or merchant and clock.
    Pair,
}

/// How a variable is read; `None` is an unknown fact. Values are 64 bits: see [`Type`].
#[derive(Clone, Copy)]
pub(super) enum Read {
    Moment(fn(&Moment<'_>) -> Option<u64>),
    Text(fn(&Moment<'_>) -> Option<String>),
    Pair(fn(&Pair<'_>) -> Option<u64>),
    /// The k-th item; `None` past the end.
    Moments(fn(&Moment<'_>, usize) -> Option<u64>),
    Pairs(fn(&Pair<'_>, usize) -> Option<u64>),
}

/// One documented variable.
pub struct Variable {
    /// `merchant`, `offer`, `reader`, ...
    pub root: &'static str,
    /// Below it.
    pub field: &'static str,
    /// Of the value, or of a list's items.
    pub kind: Type,
    /// The longest that a list can be; 0 for what is no list.
    pub list: u8,
    /// On what it depends.
    pub scope: Scope,
    /// Whether it can be unknown: `has()` asks, and reading it then is an error value.
    pub nullable: bool,
    /// What it means.
    pub about: &'static str,
    pub(super) read: Read,
}

macro_rules! variables {
    ($($root:ident.$field:ident: $kind:expr $(=> $n:literal)?, $scope:ident $($null:ident)?, $about:literal, $read:ident $value:expr;)*) => {
        /// Every variable, by root and in the order of the documentation.
        pub const VARIABLES: &[Variable] = &[$(Variable {
            root: stringify!($root),
            field: stringify!($field),
            kind: $kind,
            list: 0 $(+ $n)?,
            scope: Scope::$scope,
            nullable: {
                const UNKNOWN: &[&str] = &[$(stringify!($null))?];
                !UNKNOWN.is_empty()
            },
            about: $about,
            read: Read::$read($value),
        },)*];
    };
}

use Type::{Bool, Double, Int, Text, Word};

variables! {
    merchant.id: Word(Words::Merchant), Merchant, "its `merchant_id`",
        Pair |p| Some(p.candidate.merchant.id.0);
    merchant.chain: Word(Words::Chain), Merchant, "its `chain_id`; `\"\"` for a merchant of its own",
        Pair |p| Some(u64::from(p.candidate.merchant.chain.0));
    merchant.independent: Bool, Merchant, "belongs to no chain",
        Pair |p| flag(!p.candidate.merchant.chain.is_some());
    merchant.kind: Word(Words::Kind), Merchant, "what it sells",
        Pair |p| Some(match p.candidate.merchant.kind { Kind::Restaurant => 0, Kind::Grocery => 1, Kind::Retail => 2 });
    merchant.cuisines: Word(Words::Cuisine) => 3, Merchant, "labels of the cuisine map",
        Pairs |p, k| p.candidate.merchant.cuisines.get(k).filter(|label| **label != u16::MAX).map(|label| u64::from(*label));
    merchant.price_band: Int, Merchant unknown, "1 (cheap) to 4",
        Pair |p| p.candidate.merchant.price_band.map(u64::from);
    merchant.rating: Double, Merchant unknown, "0 to 5, in steps of 0.02",
        Pair |p| double(p.candidate.merchant.rating);
    merchant.rating_count: Int, Merchant, "how many ratings, to 6 %",
        Pair |p| int(libm::roundf(libm::exp2f(p.candidate.merchant.log2_rating_count) - 1.0) as i64);
    merchant.reliability: Double, Merchant unknown, "share of orders that were completed, 0 to 1",
        Pair |p| double(p.candidate.merchant.reliability);
    merchant.quality: Double, Merchant unknown, "the operator's own judgement, 0 to 1",
        Pair |p| double(p.candidate.merchant.quality);
    merchant.prep_minutes: Int, Merchant unknown, "from order to hand-over",
        Pair |p| p.candidate.merchant.prep_minutes.map(u64::from);
    merchant.popularity_cell: Double, Merchant, "decayed orders delivered to this cell",
        Pair |p| double(Some(libm::expm1f(p.candidate.merchant.log_popularity_cell)));
    merchant.popularity_city: Double, Merchant, "decayed orders of the whole city",
        Pair |p| double(Some(libm::expm1f(p.candidate.merchant.log_popularity_city)));
    merchant.across_border: Bool, Merchant, "its country is not the area's",
        Pair |p| flag(p.candidate.merchant.across_border);
    merchant.age_days: Int, Pair unknown, "days since it was listed",
        Pair |p| int(days_since(p.candidate.merchant.listed_day?, p.moment.local));
    merchant.distance_km: Double, Pair, "great-circle distance from the decided place",
        Pair |p| Some(p.candidate.distance_km.to_bits());
    merchant.open_minutes: Int, Pair unknown, "minutes until it closes",
        Pair |p| int(p.candidate.open_minutes?);
    merchant.ordered_before: Bool, Pair, "is among the merchants the reader orders from",
        Pair |p| flag(p.moment.profile.known(p.candidate.merchant.id).is_some());
    merchant.chain_ordered_before: Bool, Pair, "an outlet of its chain is",
        Pair |p| flag(p.moment.profile.chain_count(p.candidate.merchant.chain) > 0.0);

    offer.present: Bool, Pair, "it has an offer that holds for this reader now",
        Pair |p| flag(p.candidate.offer.is_some());
    offer.kind: Word(Words::OfferKind), Pair unknown, "what the best such offer gives",
        Pair |p| Some(match p.candidate.offer?.kind {
            OfferKind::Percent => 0,
            OfferKind::Amount => 1,
            OfferKind::FreeDelivery => 2,
            OfferKind::Other => 3,
        });
    offer.value: Int, Pair unknown, "per cent, or hundredths of the currency",
        Pair |p| int(i64::from(p.candidate.offer?.value));
    offer.worth: Int, Pair unknown, "per cent of a usual basket",
        Pair |p| int(i64::from(worth(&p.candidate.offer?)));
    offer.audience: Word(Words::Audience), Pair unknown, "whom it is for",
        Pair |p| match p.candidate.offer?.audience {
            Audience::All => Some(0),
            Audience::New => Some(1),
            Audience::Member => Some(2),
            Audience::Unknown => None,
        };
    offer.minutes_left: Int, Pair unknown, "minutes until it ends",
        Pair |p| int(i64::from(p.candidate.offer?.ends_minute) - p.moment.context.at.div_euclid(60));

    reader.member: Bool, Moment, "pays for a membership",
        Moment |m| flag(m.profile.member);
    reader.new: Bool, Moment, "has not ordered yet",
        Moment |m| flag(m.profile.n_orders == 0);
    reader.orders: Word(Words::Orders), Moment, "completed orders: `none`, `few` (1 or 2), `some` (3 to 9), `many`",
        Moment |m| Some(match m.profile.n_orders { 0 => 0, 1..=2 => 1, 3..=9 => 2, _ => 3 });
    reader.market: Text, Moment unknown, "home country or city, as `fi/helsinki`",
        Text |m| told(&m.profile.market);
    reader.tastes: Word(Words::Cuisine) => 3, Moment, "the cuisines ordered most, none that is sensitive",
        Moments |m, k| m.profile.lifelong.raw.get(k).map(|(label, _)| u64::from(*label));

    place.known: Bool, Moment, "a place was decided",
        Moment |m| flag(m.place.point.is_some());
    place.certainty: Double, Moment, "its posterior, 0 to 1",
        Moment |m| double(Some(m.place.certainty));
    place.source: Word(Words::Source), Moment, "what decided",
        Moment |m| Some(match m.place.source {
            Source::Predicted => 0,
            Source::Exact => 1,
            Source::LastEvent => 2,
            Source::Unknown => 3,
        });
    place.travelling: Bool, Moment, "the evidence lies where no likely place is",
        Moment |m| flag(m.place.travelling);
    place.grade: Word(Words::Grade), Moment, "how far the request's own geography can be trusted",
        Moment |m| Some(match m.context.request.map_or(Grade::None, |fix| fix.grade) {
            Grade::Exact => 0,
            Grade::Network => 1,
            Grade::Coarse => 2,
            Grade::None => 3,
        });
    place.last_event: Text, Moment unknown, "`trip_end`, `app_open`, ...: the last thing the reader did that tells a place",
        Text |m| told(&m.context.last_event.as_ref()?.kind);

    message.mailbox: Word(Words::Mailbox), Moment, "which software fetched it",
        Moment |m| Some(match m.context.mailbox {
            Mailbox::Direct => 0,
            Mailbox::Gmail => 1,
            Mailbox::Yahoo => 2,
            Mailbox::Outlook => 3,
            Mailbox::Apple => 4,
            Mailbox::Scanner => 5,
            Mailbox::Sender => 6,
            Mailbox::Unknown => 7,
        });
    message.slots: Int, Moment, "how many merchants it shows",
        Moment |m| Some(u64::from(m.slots));
    message.language: Text, Moment unknown, "BCP 47",
        Text |m| told(m.language);

    local.hour: Int, Moment, "0 to 23 on the clocks of the decided place",
        Moment |m| int(m.local.minute_of_day() / 60);
    local.minute: Int, Moment, "of the day, 0 to 1439",
        Moment |m| int(m.local.minute_of_day());
    local.weekday: Word(Words::Weekday), Moment, "`mon` to `sun`",
        Moment |m| int(m.local.weekday());
    local.date: Text, Moment, "`2026-11-20`",
        Text |m| Some(date(m.local));
    local.month: Int, Moment, "1 to 12",
        Moment |m| int(civil_from_days(m.local.day()).1);
    local.day: Int, Moment, "of the month, 1 to 31",
        Moment |m| int(civil_from_days(m.local.day()).2);
}

/// A call on `local`, written out by the compiler: its name, its arguments, what it means.
pub const TIME_FUNCTIONS: &[(&str, &str, &str)] = &[
    (
        "between",
        "\"11:00\", \"14:00\"",
        "from the first time of the day until before the second; past midnight where the second is earlier",
    ),
    ("on", "\"sat\", \"sun\", ...", "on one of these weekdays"),
    ("during", "\"2026-12-01\", \"2026-12-24\"", "from the first date to the second, both included"),
];

#[allow(clippy::unnecessary_wraps)]
fn flag(value: bool) -> Option<u64> {
    Some(u64::from(value))
}

#[allow(clippy::unnecessary_wraps)]
fn int(value: i64) -> Option<u64> {
    Some(value.cast_unsigned())
}

/// Bundles keep single precision: as the shortest decimal that is the same there, since 4.3 should be 4.3 to a rule.
fn double(value: Option<f32>) -> Option<u64> {
    let value = f64::from(value?);
    let rounded = libm::round(value * 1e4) / 1e4;
    Some(if (rounded as f32).to_bits() == (value as f32).to_bits() { rounded } else { value }.to_bits())
}

fn told(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.into())
}

fn date(local: Local) -> String {
    let (year, month, day) = civil_from_days(local.day());
    format!("{year:04}-{month:02}-{day:02}")
}

impl Variable {
    /// How a program names it: CRC-32 of `merchant.rating`, so that the table may grow anywhere. A variable whose meaning
    /// changes takes another name.
    #[must_use]
    pub fn code(&self) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        [self.root, ".", self.field].into_iter().for_each(|part| crc.update(part.as_bytes()));
        crc.finalize()
    }

    /// The variable of a name, and its place in [`VARIABLES`].
    #[must_use]
    pub fn find(root: &str, field: &str) -> Option<(u8, &'static Self)> {
        let at = VARIABLES.iter().position(|variable| variable.root == root && variable.field == field)?;
        Some((at as u8, &VARIABLES[at]))
    }
}
