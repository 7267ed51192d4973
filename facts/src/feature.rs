//! What the model sees of a candidate: one table, read by training, serving, the documentation and the model card.

use crate::bundle::OfferKind;
use crate::candidate::{Candidate, days_since, worth};
use crate::context::Context;
use crate::id::{Hash, hex};
use crate::locate::Place;
use crate::profile::{KnownMerchant, Profile, Taste};
use crate::time::Local;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use sha2::{Digest, Sha256};

mod probe;

/// Everything a column may look at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The merchant.
    pub candidate: &'a Candidate,
    /// The reader.
    pub profile: &'a Profile,
    /// Where they are thought to be.
    pub place: &'a Place,
    /// The open.
    pub context: &'a Context,
    /// The wall clock of the area at the message's time.
    pub local: Local,
}

/// One column of the model's input.
pub struct Feature {
    /// Ends in its unit where it has one, and is the column name in training.
    pub name: &'static str,
    /// Which part of an explanation it belongs to.
    pub group: Group,
    /// What it means, for the documentation.
    pub about: &'static str,
    /// What the column holds when the fact is unknown; training used the same.
    pub missing: f32,
    /// Its weight in the prior.
    pub prior: f32,
    /// The fact itself.
    pub value: fn(&Facts<'_>) -> Option<f32>,
}

/// The parts of an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// How near, how sure.
    Place,
    /// What others order.
    Popularity,
    /// What the reader ordered before.
    History,
    /// What the reader likes.
    Taste,
    /// What it costs, and what an offer takes off.
    Price,
    /// Ratings and reliability.
    Quality,
    /// Hour, weekday, doors.
    Time,
    /// How this reader treats messages.
    Reader,
}

impl Group {
    /// All, in the order of an explanation.
    pub const ALL: [Self; 8] = [
        Self::Place,
        Self::Popularity,
        Self::History,
        Self::Taste,
        Self::Price,
        Self::Quality,
        Self::Time,
        Self::Reader,
    ];

    /// Its name in an explanation.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Popularity => "popularity",
            Self::History => "own history",
            Self::Taste => "taste",
            Self::Price => "price and offer",
            Self::Quality => "quality",
            Self::Time => "time",
            Self::Reader => "reader",
        }
    }
}

macro_rules! features {
    ($($name:ident, $group:ident, missing $missing:expr, prior $prior:expr, $about:expr, $value:expr;)*) => {
        /// The columns, in the model's order.
        pub const FEATURES: &[Feature] = &[$(Feature {
            name: stringify!($name),
            group: Group::$group,
            about: $about,
            missing: $missing,
            prior: $prior,
            value: $value,
        },)*];

        #[allow(non_camel_case_types)]
        enum Column {
            $($name,)*
        }

        /// Column by column: each is a loop of its own over the candidates, without a call in it.
        fn fill(values: &mut [f32], kept: &[Candidate], facts: Facts<'_>) {
            $(fill_column(values, Column::$name as usize, kept, facts, $missing, $value);)*
        }
    };
}

// A weight of the prior is what a careful person would guess, frozen before any data was looked at.
features! {
    distance_km, Place, missing 3.0, prior -0.35, "great-circle distance from the decided place",
        |f| Some(f.candidate.distance_km as f32);
    place_certainty, Place, missing 0.0, prior 0.0, "posterior of the decided place",
        |f| Some(f.place.certainty);
    near_when_certain, Place, missing 0.0, prior 0.0, "place certainty / (1 + distance in km)",
        |f| Some(f.place.certainty / (1.0 + f.candidate.distance_km as f32));
    log_popularity_cell, Popularity, missing 0.0, prior 0.45, "ln(1 + decayed orders delivered to this cell)",
        |f| Some(f.candidate.merchant.log_popularity_cell);
    log_popularity_city, Popularity, missing 0.0, prior 0.1, "ln(1 + decayed orders of the whole city)",
        |f| Some(f.candidate.merchant.log_popularity_city);
    log_share_cell, Popularity, missing -6.0, prior 0.0, "ln(share of the orders to this cell), shrunken to ring, resolution 6 and city; the reader's own taken out",
        share_cell;
    cell_log_ratio, Popularity, missing 0.0, prior 0.0, "ln(share in the cell, as above / share in the city)",
        |f| Some(share_cell(f)? - f.candidate.merchant.share?.log_city);
    own_log_orders, History, missing 0.0, prior 1.6, "ln(1 + the reader's decayed orders from this merchant)",
        |f| f.profile.known(f.candidate.merchant.id).map(|known| ln_1p(known.count));
    own_recency, History, missing 0.0, prior 0.6, "1 / (1 + days since the reader's last order from this merchant / 14)",
        |f| Some(1.0 / (1.0 + own_days(f)? / 14.0));
    own_share, History, missing 0.0, prior 0.5, "this merchant's share of the reader's decayed orders",
        |f| share(f.profile.known(f.candidate.merchant.id)?.count, f.profile.total_count());
    chain_log_orders, History, missing 0.0, prior 0.3, "ln(1 + the reader's decayed orders from this chain, any outlet)",
        |f| Some(ln_1p(f.profile.chain_count(f.candidate.merchant.chain)));
    daypart_share, History, missing 0.25, prior 0.0, "share of the reader's orders at this part of the day",
        |f| (f.profile.n_orders > 0).then(|| f.profile.daypart_share[f.local.daypart().index()]);
    reader_log_orders, Reader, missing 0.0, prior 0.0, "ln(1 + completed orders of the reader)",
        |f| Some(ln_1p(f32::from(f.profile.n_orders)));
    reader_last_order_days, Reader, missing 255.0, prior 0.0, "days since the reader's last order, 254 for more",
        |f| f.profile.last_order_days.map(f32::from);
    taste_lifelong_raw, Taste, missing 0.0, prior 0.4, "lifelong share of the merchant's cuisines among the reader's top six",
        |f| Some(raw_affinity(f, &f.profile.lifelong));
    taste_recent_raw, Taste, missing 0.0, prior 0.3, "recent share of the merchant's cuisines among the reader's top six",
        |f| Some(raw_affinity(f, &f.profile.recent));
    taste_lifelong, Taste, missing 0.0, prior 0.2, "lifelong taste, ln(share / market's share), averaged over the merchant's clusters",
        |f| cluster_affinity(f, &f.profile.lifelong);
    taste_recent, Taste, missing 0.0, prior 0.1, "recent taste, ln(share / market's share), averaged over the merchant's clusters",
        |f| cluster_affinity(f, &f.profile.recent);
    price_band, Price, missing 2.0, prior 0.0, "1 (cheap) to 4",
        |f| f.candidate.merchant.price_band.map(f32::from);
    price_gap, Price, missing 0.7, prior -0.15, "distance between the price band and the reader's mean basket, in bands",
        |f| Some(libm::fabsf(f32::from(f.candidate.merchant.price_band?) - f.profile.basket_band?));
    offer_worth, Price, missing 0.0, prior 0.01, "best offer that holds, in per cent of a usual basket",
        |f| f.candidate.offer.as_ref().map(|offer| worth(offer) as f32);
    free_delivery, Price, missing 0.0, prior 0.0, "1 where the best offer is free delivery",
        |f| f.candidate.offer.as_ref().map(|offer| if offer.kind == OfferKind::FreeDelivery { 1.0 } else { 0.0 });
    rating, Quality, missing 3.8, prior 0.15, "0 to 5",
        |f| f.candidate.merchant.rating;
    log2_rating_count, Quality, missing 0.0, prior 0.02, "log2(1 + ratings)",
        |f| Some(f.candidate.merchant.log2_rating_count);
    quality, Quality, missing 0.5, prior 0.1, "the operator's own judgement, 0 to 1",
        |f| f.candidate.merchant.quality;
    reliability, Quality, missing 0.95, prior 0.2, "share of orders that were completed",
        |f| f.candidate.merchant.reliability;
    log_age_days, Quality, missing 6.0, prior 0.0, "ln(1 + days since it was listed)",
        |f| Some(ln_1p(days_since(f.candidate.merchant.listed_day?, f.local).max(0) as f32));
    open_minutes, Time, missing 240.0, prior 0.001, "minutes until it closes, at most 480",
        |f| f.candidate.open_minutes.map(|minutes| minutes.min(480) as f32);
    prep_minutes, Time, missing 20.0, prior -0.01, "from order to hand-over",
        |f| f.candidate.merchant.prep_minutes.map(f32::from);
    hour_sin, Time, missing 0.0, prior 0.0, "sine of the message's local time of day, midnight is 0",
        |f| Some(libm::sinf(day_angle(f.local)));
    hour_cos, Time, missing 0.0, prior 0.0, "cosine of the message's local time of day, midnight is 1",
        |f| Some(libm::cosf(day_angle(f.local)));
    weekend, Time, missing 0.0, prior 0.0, "1 on Saturday and Sunday, local",
        |f| Some(if f.local.weekday() >= 5 { 1.0 } else { 0.0 });
    open_rate, Reader, missing 0.2, prior 0.0, "share of messages this reader opened",
        |f| f.profile.open_rate;
    click_rate, Reader, missing 0.02, prior 0.0, "share of messages this reader clicked",
        |f| f.profile.click_rate;
}

/// How many columns a row has.
pub const N_FEATURES: usize = FEATURES.len();

/// The columns the first pass looks at: cheap, and most of what tells merchants apart.
pub const FIRST_PASS: [&str; 12] = [
    "distance_km",
    "log_share_cell",
    "cell_log_ratio",
    "own_log_orders",
    "own_recency",
    "chain_log_orders",
    "taste_lifelong_raw",
    "taste_lifelong",
    "price_gap",
    "offer_worth",
    "rating",
    "prep_minutes",
];

/// Where they stand in a row; a name that is no column does not compile.
pub const FIRST_PASS_AT: [usize; FIRST_PASS.len()] = {
    let mut at = [0; FIRST_PASS.len()];
    let mut i = 0;
    while i < at.len() {
        while !is_same(FEATURES[at[i]].name, FIRST_PASS[i]) {
            at[i] += 1;
        }
        i += 1;
    }
    at
};

/// The columns that are the same for all candidates of one decision: read once.
const OF_THE_OPEN: [&str; 9] = [
    "place_certainty",
    "daypart_share",
    "reader_log_orders",
    "reader_last_order_days",
    "hour_sin",
    "hour_cos",
    "weekend",
    "open_rate",
    "click_rate",
];

/// [`OF_THE_OPEN`] by column.
const IS_OF_THE_OPEN: [bool; N_FEATURES] = named(&OF_THE_OPEN);

/// Which columns have one of these names; a name that no column has does not compile.
const fn named(names: &[&str]) -> [bool; N_FEATURES] {
    let (mut is_named, mut n) = ([false; N_FEATURES], 0);
    while n < names.len() {
        let mut column = 0;
        while !is_same(FEATURES[column].name, names[n]) {
            column += 1;
        }
        is_named[column] = true;
        n += 1;
    }
    is_named
}

const fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

/// Rows of the model's input, one a candidate.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    /// Row after row, each of [`N_FEATURES`] values; all finite.
    pub values: Vec<f32>,
}

impl Rows {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / N_FEATURES
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The rows, in the candidates' order.
    pub fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(N_FEATURES)
    }
}

/// Makes the rows of all candidates.
#[must_use]
pub fn featurize(kept: &[Candidate], profile: &Profile, place: &Place, context: &Context, local: Local) -> Rows {
    let mut values = vec![0.0; kept.len() * N_FEATURES];
    if let Some(candidate) = kept.first() {
        fill(&mut values, kept, Facts { candidate, profile, place, context, local });
    }
    Rows { values }
}

/// One column of all rows; of `facts`, the candidate is the first one.
#[inline(always)]
fn fill_column(
    values: &mut [f32],
    column: usize,
    kept: &[Candidate],
    facts: Facts<'_>,
    missing: f32,
    value: impl Fn(&Facts<'_>) -> Option<f32>,
) {
    let cells = values.iter_mut().skip(column).step_by(N_FEATURES);
    if IS_OF_THE_OPEN[column] {
        let value = known(value(&facts), missing);
        cells.for_each(|cell| *cell = value);
    } else {
        cells.zip(kept).for_each(|(cell, candidate)| *cell = known(value(&Facts { candidate, ..facts }), missing));
    }
}

impl Feature {
    /// The column's value; what is unknown or not finite reads as missing.
    #[must_use]
    pub fn read(&self, facts: &Facts<'_>) -> f32 {
        known((self.value)(facts), self.missing)
    }
}

#[inline(always)]
fn known(value: Option<f32>, missing: f32) -> f32 {
    match value {
        Some(value) if value.is_finite() => value,
        _ => missing,
    }
}

/// What the first pass sees of a candidate.
#[must_use]
pub fn first_pass(facts: &Facts<'_>) -> [f32; FIRST_PASS.len()] {
    FIRST_PASS_AT.map(|at| FEATURES[at].read(facts))
}

/// The prior: what ranks when the model cannot answer.
#[must_use]
pub fn prior(row: &[f32]) -> f32 {
    FEATURES.iter().zip(row).fold(0.0, |sum, (feature, value)| sum + feature.prior * value)
}

/// The fingerprint a model must have been trained on: SHA-256 over every column's name and missing value, and over
/// the rows of a fixed probe, so that changed arithmetic shows even if nobody remembers to say so.
#[must_use]
pub fn fingerprint() -> Hash {
    let mut hash = Sha256::new();
    for feature in FEATURES {
        hash.update(feature.name);
        hash.update(feature.missing.to_le_bytes());
    }
    for value in probe::rows().values {
        hash.update(value.to_le_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    Hash(short)
}

/// [`fingerprint`] as a model carries it.
#[must_use]
pub fn fingerprint_hex() -> String {
    hex(&fingerprint().0)
}

/// ln of the share in the cell, without the orders that the reader alone is the reason for.
///
/// A bundle is the same for all readers, so what the profile remembers is taken out here. It counts over all places, and fades
/// by [`OWN_FADES`] slower: of regular orders it tells the last one's age and the count, which is enough. Never below what
/// the city thinks of the merchant, where the cell thinks more.
fn share_cell(f: &Facts<'_>) -> Option<f32> {
    let share = f.candidate.merchant.share?;
    let Some(known) = f.profile.known(f.candidate.merchant.id) else {
        return Some(share.log_cell);
    };
    let (cell, city) = (libm::expf(share.log_cell), libm::expf(share.log_city));
    let others = cell - own_orders(known) / share.evidence;
    let floor = if city < cell { city } else { cell };
    Some(if others > floor { libm::logf(others) } else { libm::logf(floor) })
}

/// The half-life of a reader's own count over that of orders in a cell, days: 90 and 30.
const OWN_FADES: u32 = 3;
const OWN_HALF_LIFE_DAYS: f32 = 90.0;

/// The reader's orders as the cell counts them, if they came at regular gaps: a geometric series of which the count (its sum) and
/// the last order (its first term) are known, and every term is raised to [`OWN_FADES`]. Exact for one order; up to two fifths too few for irregular ones.
fn own_orders(known: &KnownMerchant) -> f32 {
    let raised = |x: f32| (1..OWN_FADES).fold(x, |product, _| product * x);
    let last = libm::exp2f(-f32::from(known.days) / OWN_HALF_LIFE_DAYS);
    let ratio = 1.0 - last / known.count;
    // A count in steps can be a little below its last order.
    if ratio > 0.0 { raised(last) / (1.0 - raised(ratio)) } else { raised(last) }
}

fn ln_1p(value: f32) -> f32 {
    libm::logf(1.0 + value)
}

/// Days since the reader's last order from this merchant, as of the message.
fn own_days(f: &Facts<'_>) -> Option<f32> {
    let known = f.profile.known(f.candidate.merchant.id)?;
    let since_profile = (f.context.at / 60 - i64::from(f.profile.as_of_minute)).max(0) / 1440;
    Some(f32::from(known.days) + since_profile as f32)
}

fn share(part: f32, whole: f32) -> Option<f32> {
    (whole > 0.0).then(|| part / whole)
}

fn raw_affinity(f: &Facts<'_>, taste: &Taste) -> f32 {
    let wanted = taste.raw.iter().filter(|(label, _)| f.candidate.merchant.cuisines.contains(label));
    if same_map(f) { wanted.fold(0.0, |sum, (_, share)| sum + share) } else { 0.0 }
}

fn cluster_affinity(f: &Facts<'_>, taste: &Taste) -> Option<f32> {
    let clusters = f.candidate.merchant.clusters;
    let weight = clusters.iter().fold(0.0, |sum, (_, weight)| sum + f32::from(*weight));
    let weighted = clusters.iter().fold(0.0, |sum, (cluster, weight)| {
        sum + f32::from(*weight) * taste.clusters.get(usize::from(*cluster)).copied().unwrap_or(0.0)
    });
    if same_map(f) { share(weighted, weight) } else { None }
}

/// Clusters and labels of different cuisine maps mean different things.
fn same_map(f: &Facts<'_>) -> bool {
    f.candidate.cuisine_map == f.profile.cuisine_map
}

fn day_angle(local: Local) -> f32 {
    local.minute_of_day() as f32 * (core::f32::consts::TAU / 1440.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same orders as a profile counts them and as a cell does.
    fn counted(days: &[f32]) -> (KnownMerchant, f32) {
        let faded = |half_life: f32| days.iter().fold(0.0, |sum, days| sum + libm::exp2f(-days / half_life));
        let last = days.iter().fold(255.0, |last: f32, days| if *days < last { *days } else { last });
        let known = KnownMerchant { id: 1, chain: 0, count: faded(OWN_HALF_LIFE_DAYS), days: last as u8 };
        (known, faded(OWN_HALF_LIFE_DAYS / OWN_FADES as f32))
    }

    #[test]
    fn own_orders_fade_as_the_cells_do() {
        let (once, in_cell) = counted(&[40.0]);
        assert!((own_orders(&once) - in_cell).abs() < 1e-5, "one order is exact");
        // Gaps of a week over a year, which is not quite for ever.
        let weekly: Vec<f32> = (0..52).map(|week| 3.0 + 7.0 * week as f32).collect();
        let (regular, in_cell) = counted(&weekly);
        assert!((own_orders(&regular) / in_cell - 1.0).abs() < 0.07, "{} for {in_cell}", own_orders(&regular));
        let (irregular, in_cell) = counted(&[2.0, 5.0, 80.0]);
        // Two lately and one long ago: what the two numbers leave open. Too few are taken out of the cell then, never too many.
        let found = own_orders(&irregular) / in_cell;
        assert!((0.6..1.0).contains(&found), "{found}");
        let rounded = KnownMerchant { count: 0.0, ..once };
        assert!(own_orders(&rounded).is_finite(), "a count that was rounded to nothing");
    }

    #[test]
    fn the_first_pass_reads_its_own_columns() {
        for (at, name) in FIRST_PASS_AT.iter().zip(FIRST_PASS) {
            assert_eq!(FEATURES[*at].name, name);
        }
    }

    #[test]
    fn a_column_of_the_open_is_the_same_for_all_candidates_and_the_others_are_not() {
        // The probe has eight candidates an open.
        let opens: Vec<Vec<f32>> = probe::rows().values.chunks(8 * N_FEATURES).map(<[f32]>::to_vec).collect();
        for (column, feature) in FEATURES.iter().enumerate() {
            let differs = |open: &Vec<f32>| {
                let mut values = open.iter().skip(column).step_by(N_FEATURES);
                let first = values.next();
                values.any(|value| Some(value) != first)
            };
            assert_eq!(opens.iter().any(differs), !IS_OF_THE_OPEN[column], "{}", feature.name);
        }
    }
}
