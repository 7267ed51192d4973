//! What each step from the posterior to the profile costs or brings, on the next restaurant.
//!
//! Every form of a taste is read as one thing: by label, how many times the market's share the reader takes of it. A
//! merchant is worth the mean over its labels, which times its popularity is the probability of the order where readers
//! choose a cuisine by their taste and a merchant of it by popularity. So all forms rank by the same rule, and differ in
//! nothing but what they have kept.

use super::held_out::{Ask, Interval, Log, Mixes, Resampling, Slices, Sums, asks, before, logs};
use super::{Evidence, Menus, Mix, PreferenceOptions, Preferences, posterior, projected, smoothed};
use crate::areas::Catalog;
use crate::cuisines::CuisineMap;
use crate::entree::sittings::Sittings;
use crate::evaluate::judge;
use crate::tables::{Tables, Timestamp};
use crate::timeline::{Protocol, Timeline, TimelineError, TimelineOptions};
use freshrank::feature::FEATURES;
use freshrank::profile::{MAX_RAW, Profile, Taste};
use freshrank::wire::DecodeError;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use thiserror::Error;

/// A taste, as far as it has come on its way into the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Form {
    /// The lifelong posterior over labels.
    Lifelong,
    /// The recent one.
    Recent,
    /// Both.
    Full,
    /// Both, evidence smoothed over alike cuisines; see [`Worth::smoothing_shown`].
    Smoothed,
    /// Both, projected to clusters, smoothed before by as much as was chosen.
    Projected,
    /// The same in int8, as it came out of a profile's bytes.
    Int8,
    /// All that a profile carries: clusters and the top raw cuisines.
    Profile,
}

impl Form {
    /// In the order of a report.
    pub const ALL: [Self; 7] =
        [Self::Lifelong, Self::Recent, Self::Full, Self::Smoothed, Self::Projected, Self::Int8, Self::Profile];

    /// As reports say it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lifelong => "lifelong",
            Self::Recent => "recent",
            Self::Full => "full",
            Self::Smoothed => "smoothed",
            Self::Projected => "projected",
            Self::Int8 => "int8",
            Self::Profile => "profile",
        }
    }

    /// The form it is compared with: the step before; none is the market's own mix.
    fn step_before(self) -> Option<Self> {
        match self {
            Self::Lifelong | Self::Recent => None,
            Self::Full => Some(Self::Lifelong),
            Self::Smoothed => Some(Self::Full),
            Self::Projected => Some(Self::Full),
            Self::Int8 => Some(Self::Projected),
            Self::Profile => Some(Self::Full),
        }
    }

    /// Bytes of both vectors over so many labels and clusters, with what a profile needs to tell their lengths.
    #[must_use]
    pub fn bytes(self, n_labels: usize, n_clusters: usize) -> usize {
        match self {
            Self::Lifelong | Self::Recent => 4 * n_labels,
            Self::Full | Self::Smoothed => 2 * 4 * n_labels,
            Self::Projected => 2 * 4 * n_clusters,
            Self::Int8 => 2 * n_clusters,
            Self::Profile => 2 * n_clusters + 2 * 3 * MAX_RAW,
        }
    }
}

/// Why nothing was measured.
#[derive(Debug, Error)]
pub enum WorthError {
    /// The queries cannot be asked.
    #[error(transparent)]
    Timeline(#[from] TimelineError),
    /// A taste does not fit into a profile.
    #[error(transparent)]
    Profile(#[from] DecodeError),
    /// Nobody orders again in the test slice.
    #[error("found {orders} orders and no later one in the last {share:.0} % of them, expected at least one")]
    NothingToTell {
        /// Rows.
        orders: usize,
        /// Of the orders.
        share: f64,
    },
}

/// What is shown where nothing was chosen.
const SHOWN: f64 = 0.2;

fn shown(options: &PreferenceOptions) -> f64 {
    if options.smoothing > 0.0 { options.smoothing } else { SHOWN }
}

/// Times the market's share, by label; 1 where the market has nothing.
pub type Lifts = Vec<f64>;

/// Reads tastes in every form.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// Which cuisines are alike.
    pub map: &'a CuisineMap,
    /// The levers.
    pub options: &'a PreferenceOptions,
}

impl Reading<'_> {
    /// What the reader takes of each label in one form.
    ///
    /// # Errors
    /// A map with more clusters than a profile holds.
    pub fn lifts(&self, form: Form, preferences: &Preferences, mix: &Mix) -> Result<Lifts, DecodeError> {
        let (lifelong, recent) = (&preferences.lifelong, &preferences.recent);
        let both = |one: &dyn Fn(&Evidence) -> Lifts| self.both(&one(lifelong), &one(recent));
        let smooth = |evidence: &Evidence, part: f64| smoothed(evidence, mix, self.map, part);
        Ok(match form {
            Form::Lifelong => self.full(lifelong, mix),
            Form::Recent => self.full(recent, mix),
            Form::Full => both(&|evidence| self.full(evidence, mix)),
            Form::Smoothed => both(&|evidence| self.full(&smooth(evidence, shown(self.options)), mix)),
            Form::Projected => {
                let market = self.map.project(&mix.share);
                let clusters = |evidence: &Evidence| {
                    projected(&smooth(evidence, self.options.smoothing), &market, self.map, self.options)
                };
                both(&|evidence| self.clusters(&clusters(evidence)))
            }
            Form::Int8 | Form::Profile => {
                let (lifelong, recent) = preferences.tastes(mix, self.map, self.options);
                let sent = Profile { lifelong, recent, ..Profile::default() };
                let read = Profile::decode(&sent.encode()?)?;
                let one = |taste: &Taste| match form {
                    Form::Int8 => self.clusters(&taste.clusters),
                    _ => self.carried(taste, mix),
                };
                self.both(&one(&read.lifelong), &one(&read.recent))
            }
        })
    }

    fn both(&self, lifelong: &[f64], recent: &[f64]) -> Lifts {
        let share = self.options.recent_share;
        lifelong.iter().zip(recent).map(|(lifelong, recent)| (1.0 - share) * lifelong + share * recent).collect()
    }

    fn full(&self, evidence: &Evidence, mix: &Mix) -> Lifts {
        let lift = |(own, market): (f64, &f64)| if *market > 0.0 { own / market } else { 1.0 };
        posterior(evidence, mix, self.options).into_iter().zip(&mix.share).map(lift).collect()
    }

    /// A label takes after its clusters; one in none of them after the market.
    fn clusters(&self, clusters: &[f32]) -> Lifts {
        let lift = |weights: &Vec<(u8, u8)>| {
            let total: f64 = weights.iter().map(|(_, weight)| f64::from(*weight)).sum();
            let one = |(k, weight): &(u8, u8)| {
                let taste = clusters.get(usize::from(*k)).copied().unwrap_or(0.0);
                f64::from(*weight) / total * libm::exp(f64::from(taste))
            };
            if weights.is_empty() { 1.0 } else { weights.iter().map(one).sum() }
        };
        self.map.weights.iter().map(lift).collect()
    }

    /// The raw cuisines as they are; the others share what is left as the clusters tell.
    fn carried(&self, taste: &Taste, mix: &Mix) -> Lifts {
        let mut lifts = self.clusters(&taste.clusters);
        let raw: HashMap<usize, f64> =
            taste.raw.iter().map(|(id, share)| (usize::from(*id), f64::from(*share))).collect();
        let mass = |(id, lift): (usize, &f64)| if raw.contains_key(&id) { 0.0 } else { lift * mix.share[id] };
        let others: f64 = lifts.iter().enumerate().map(mass).sum();
        let left = 1.0 - raw.values().sum::<f64>();
        for (id, lift) in lifts.iter_mut().enumerate() {
            let market = mix.share[id];
            match raw.get(&id) {
                // What was rounded to nothing was less than half a step.
                Some(share) if market > 0.0 => *lift = share.max(LEAST_SHARE) / market,
                None if others > 0.0 && left > 0.0 => *lift *= left / others,
                _ => {}
            }
        }
        lifts
    }
}

/// What an order gains, in nats over the market's mix; the shares of a form add up to 1 before it is judged.
fn likelihood(lifts: &[f64], mix: &Mix, menu: &[u16]) -> Option<f64> {
    let total: f64 = lifts.iter().zip(&mix.share).map(|(lift, share)| lift * share).sum();
    let known: Vec<&u16> = menu.iter().filter(|id| mix.share[usize::from(**id)] > 0.0).collect();
    // A label that nothing is left for: as little as 8 bits tell apart.
    let gain = |id: &&u16| libm::log((lifts[usize::from(**id)] / total).max(1.0 / 65_536.0));
    (!known.is_empty() && total > 0.0).then(|| known.iter().map(gain).sum::<f64>() / known.len() as f64)
}

/// The mean over a merchant's labels; without any, the market's.
fn worth(lifts: &[f64], menu: &[u16]) -> f64 {
    if menu.is_empty() { 1.0 } else { menu.iter().map(|id| lifts[usize::from(*id)]).sum::<f64>() / menu.len() as f64 }
}

/// The report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worth {
    /// What was measured on.
    pub source: String,
    /// Said in every output when present.
    pub simulated: Option<String>,
    /// Orders from then on are asked for, RFC 3339.
    pub from: String,
    /// Resamples behind every interval.
    pub resamples: usize,
    /// The levers, chosen before.
    pub options: PreferenceOptions,
    /// By how much the smoothed form is smoothed: as chosen, or where that is not at all, by a fifth.
    pub smoothing_shown: f64,
    /// Labels and clusters of the map.
    pub labels: usize,
    /// See [`Self::labels`].
    pub clusters: usize,
    /// What each form weighs.
    pub sizes: Vec<Size>,
    /// By candidates; never mixed.
    pub rankings: Vec<Ranking>,
}

/// What a form weighs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Size {
    /// Which.
    pub form: &'static str,
    /// Bytes of a reader.
    pub bytes: usize,
    /// The full form's bytes over these.
    pub smaller: f64,
}

/// One way of asking.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranking {
    /// Who is ranked.
    pub candidates: &'static str,
    /// How many, on average.
    pub mean_candidates: f64,
    /// Orders whose merchant was none of them; they gain nothing.
    pub missing: usize,
    /// By kind of order.
    pub segments: Vec<Segment>,
}

/// Everything about one kind of order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Segment {
    /// Which orders.
    pub segment: &'static str,
    /// How many.
    pub orders: usize,
    /// Whose.
    pub readers: usize,
    /// By scorer.
    pub scorers: Vec<Figures>,
    /// What each step costs or brings.
    pub steps: Vec<Figures>,
}

/// Figures of one scorer, or of a difference of two.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// `full`, `popularity x full`; `smoothed - full`.
    pub name: String,
    /// Mean reciprocal rank.
    pub mrr: Interval,
    /// Gain 2^label - 1, first ten.
    pub ndcg_10: Interval,
    /// Nats an order over the market's mix; of what tells no share, none.
    pub nats: Option<Interval>,
}

/// Half a step of a raw cuisine's share in a profile.
const LEAST_SHARE: f64 = 0.5 / 255.0;

/// Who ranks beside the forms, as told by each ranking.
struct Beside {
    name: &'static str,
    scores: Vec<f64>,
}

/// A list of candidates for one order.
struct List<'a> {
    /// Menus of the candidates.
    menus: Vec<&'a [u16]>,
    /// What a candidate is worth to everybody; positive.
    popularity: Vec<f64>,
    /// Others who rank.
    beside: Vec<Beside>,
    /// The order's merchant among them.
    found: Option<usize>,
}

/// Figures of one scorer: reciprocal rank, NDCG@10, nats.
const N_FIGURES: usize = 3;

type Kind = (&'static str, fn(&Ask<'_>) -> bool);

const FEW: usize = super::held_out::FEW_ORDERS;

/// Readers who had churned are apart from all others.
const KINDS: [Kind; 6] = [
    ("all", |ask| !ask.churned),
    ("first orders at a merchant", |ask| !ask.churned && ask.new_merchant),
    ("readers with 1 to 3 orders", |ask| !ask.churned && ask.n_before <= FEW),
    ("first orders of readers with 1 to 3 orders", |ask| !ask.churned && ask.new_merchant && ask.n_before <= FEW),
    ("readers with more orders", |ask| !ask.churned && ask.n_before > FEW),
    ("churned readers", |ask| ask.churned),
];

/// Adds up one way of asking.
struct Tally {
    candidates: &'static str,
    n: usize,
    n_candidates: usize,
    missing: usize,
    names: Vec<String>,
    /// Pairs of positions in `names` whose difference is told.
    steps: Vec<(usize, usize)>,
    sums: Vec<Sums>,
}

impl Tally {
    fn new(candidates: &'static str) -> Self {
        let sums = vec![Sums::default(); KINDS.len()];
        Self { candidates, n: 0, n_candidates: 0, missing: 0, names: Vec::new(), steps: Vec::new(), sums }
    }

    /// Judges every scorer on one list.
    fn add(&mut self, ask: &Ask<'_>, list: &List<'_>, lifts: &[Lifts], mix: &Mix, menu: &[u16]) {
        self.n += 1;
        self.n_candidates += list.menus.len();
        self.missing += usize::from(list.found.is_none());
        let labels: Vec<f32> = (0..list.menus.len()).map(|i| if list.found == Some(i) { 1.0 } else { 0.0 }).collect();
        let missing: &[f32] = if list.found.is_some() { &[] } else { &[1.0] };
        let mut figures: Vec<f64> = Vec::new();
        let mut one = |scores: &[f64], nats: Option<f64>| {
            let [mrr, ndcg, ..] = judge(scores, &labels, missing).unwrap_or_default();
            figures.extend([mrr, ndcg, nats.unwrap_or(0.0)]);
        };
        one(&vec![0.0; labels.len()], None);
        one(&list.popularity, None);
        list.beside.iter().for_each(|beside| one(&beside.scores, None));
        for popular in [false, true] {
            for lifts in lifts {
                let score =
                    |(menu, popularity): (&&[u16], &f64)| worth(lifts, menu) * if popular { *popularity } else { 1.0 };
                let scores: Vec<f64> = list.menus.iter().zip(&list.popularity).map(score).collect();
                one(&scores, likelihood(lifts, mix, menu));
            }
        }
        if self.names.is_empty() {
            self.name(list);
        }
        for (a, b) in &self.steps {
            for i in 0..N_FIGURES {
                figures.push(figures[a * N_FIGURES + i] - figures[b * N_FIGURES + i]);
            }
        }
        for (sums, kind) in self.sums.iter_mut().zip(&KINDS) {
            if kind.1(ask) {
                sums.add(ask.log, &figures);
            }
        }
    }

    fn name(&mut self, list: &List<'_>) {
        self.names = vec!["random".to_owned(), "popularity".to_owned()];
        self.names.extend(list.beside.iter().map(|beside| beside.name.to_owned()));
        for (base, prefix) in ["", "popularity x "].into_iter().enumerate() {
            let start = self.names.len();
            let at = |form: Form| start + Form::ALL.iter().position(|other| *other == form).unwrap_or(0);
            self.steps.extend(Form::ALL.map(|form| (at(form), form.step_before().map_or(base, at))));
            // And all of it together, against knowing nothing of the reader.
            self.steps.extend([Form::Full, Form::Profile].map(|form| (at(form), base)));
            self.names.extend(Form::ALL.map(|form| format!("{prefix}{}", form.name())));
        }
    }

    fn ranking(self, how: Resampling) -> Ranking {
        let n_beside = self.names.len() - 2 * Form::ALL.len();
        let segment = |(sums, kind): (&Sums, &Kind)| {
            let intervals = sums.intervals(how);
            let mut figures = intervals.chunks_exact(N_FIGURES).enumerate().map(|(i, of)| {
                let name = match self.names.get(i) {
                    Some(name) => name.clone(),
                    None => {
                        let (a, b) = self.steps[i - self.names.len()];
                        format!("{} - {}", self.names[a], self.names[b])
                    }
                };
                let nats = (i >= n_beside).then_some(of[2]);
                Figures { name, mrr: of[0], ndcg_10: of[1], nats }
            });
            let scorers = figures.by_ref().take(self.names.len()).collect();
            let steps = figures.collect();
            Segment { segment: kind.0, orders: sums.answers(), readers: sums.readers(), scorers, steps }
        };
        let told = self.sums.iter().zip(&KINDS).filter(|(sums, _)| sums.answers() > 0);
        Ranking {
            candidates: self.candidates,
            mean_candidates: self.n_candidates as f64 / self.n.max(1) as f64,
            missing: self.missing,
            segments: told.map(segment).collect(),
        }
    }
}

/// What all ways of asking need of one order.
struct Known<'a> {
    mix: &'a Mix,
    menu: &'a [u16],
    lifts: Vec<Lifts>,
}

fn known<'a>(
    reading: Reading<'_>,
    mixes: &'a Mixes<'_>,
    log: &Log<'_>,
    ask: &Ask<'_>,
) -> Result<Known<'a>, DecodeError> {
    let mix = mixes.at(log.market, ask.order.ordered_at);
    let preferences = before(log, ask, mixes.menus(), reading.options);
    let lifts = Form::ALL.iter().map(|form| reading.lifts(*form, &preferences, mix)).collect::<Result<_, _>>()?;
    Ok(Known { mix, menu: mixes.menus().of(&ask.order.merchant_id), lifts })
}

fn head(source: String, tables: &Tables, map: &CuisineMap, options: &PreferenceOptions, from: Timestamp) -> Worth {
    let (labels, clusters) = (map.labels.len(), map.n_clusters);
    let full = Form::Full.bytes(labels, clusters) as f64;
    let size = |form: Form| {
        let bytes = form.bytes(labels, clusters);
        Size { form: form.name(), bytes, smaller: full / bytes as f64 }
    };
    Worth {
        source,
        simulated: tables.simulated.clone(),
        from: freshrank::time::format(from),
        resamples: 0,
        options: *options,
        smoothing_shown: shown(options),
        labels,
        clusters,
        sizes: Form::ALL[2..].iter().map(|form| size(*form)).collect(),
        rankings: Vec::new(),
    }
}

fn asked<'t>(logs: &[Log<'t>], n_orders: usize) -> Result<(Vec<Ask<'t>>, Timestamp), WorthError> {
    let all = asks(logs);
    let slices = Slices::of(&all);
    let asked: Vec<Ask<'t>> = all.into_iter().filter(|ask| ask.order.ordered_at >= slices.test).collect();
    if asked.is_empty() {
        return Err(WorthError::NothingToTell { orders: n_orders, share: 100.0 * Slices::TEST_SHARE });
    }
    Ok((asked, slices.test))
}

/// On Entree: content only. Where in a session a restaurant came up, the operators and the way in tell the answer and
/// are not looked at, but for one control that shows how much the first of them tells.
///
/// # Errors
/// See [`WorthError`].
pub fn on_entree(
    entree: &Sittings,
    map: &CuisineMap,
    options: &PreferenceOptions,
    how: Resampling,
) -> Result<Worth, WorthError> {
    let tables = &entree.tables;
    let menus = Menus::new(&tables.merchants, map, options);
    let logs = logs(tables);
    let (asked, from) = asked(&logs, tables.orders.len())?;
    let mixes = Mixes::new(tables, &menus, asked.iter().map(|ask| ask.order.ordered_at));
    let all_menus: Vec<&[u16]> = tables.merchants.iter().map(|merchant| menus.of(&merchant.merchant_id)).collect();
    let row: HashMap<&str, usize> =
        tables.merchants.iter().enumerate().map(|(row, merchant)| (merchant.merchant_id.as_str(), row)).collect();
    let session = |ask: &Ask<'_>| {
        let own = (ask.order.ordered_at, &ask.order.user_id);
        let at = tables.orders.binary_search_by(|order| (order.ordered_at, &order.user_id).cmp(&own)).ok()?;
        entree.shown.get(at)
    };

    let mut every = Tally::new("all restaurants of Chicago");
    let mut new = Tally::new("restaurants of Chicago that are new to the reader");
    let mut shown = Tally::new("restaurants of the session");
    // Where everybody stopped so far; each restaurant once beforehand.
    let mut stops = vec![1.0; tables.merchants.len()];
    let mut counted = 0;
    for ask in &asked {
        while let Some(order) = tables.orders.get(counted).filter(|order| order.ordered_at < ask.order.ordered_at) {
            row.get(order.merchant_id.as_str()).into_iter().for_each(|row| stops[*row] += 1.0);
            counted += 1;
        }
        let log = &logs[ask.log];
        let known = known(Reading { map, options }, &mixes, log, ask)?;
        let mut own = vec![0.0; stops.len()];
        let earlier = log.orders.get(..ask.n_before).unwrap_or_default();
        earlier.iter().filter_map(|order| row.get(order.merchant_id.as_str())).for_each(|row| own[*row] += 1.0);
        let Some(end) = row.get(ask.order.merchant_id.as_str()).copied() else { continue };
        let list = |rows: &[usize], leak: bool| List {
            menus: rows.iter().map(|row| all_menus[*row]).collect(),
            popularity: rows.iter().map(|row| stops[*row]).collect(),
            beside: [
                ("own history", rows.iter().map(|row| own[*row]).collect::<Vec<f64>>()),
                ("shown last (a leak)", (0..rows.len()).map(|i| i as f64).collect()),
            ]
            .into_iter()
            .take(if leak { 2 } else { 1 })
            .map(|(name, scores)| Beside { name, scores })
            .collect(),
            found: rows.iter().position(|row| *row == end),
        };
        let rows: Vec<usize> = (0..stops.len()).collect();
        every.add(ask, &list(&rows, false), &known.lifts, known.mix, known.menu);
        if ask.new_merchant {
            let rows: Vec<usize> = rows.into_iter().filter(|row| own[*row] == 0.0).collect();
            new.add(ask, &list(&rows, false), &known.lifts, known.mix, known.menu);
        }
        if let Some(rows) = session(ask).filter(|rows| rows.len() > 1) {
            shown.add(ask, &list(rows, true), &known.lifts, known.mix, known.menu);
        }
    }
    let source = format!(
        "Entree Chicago (real): {} sessions, {} orders of {} visitors; over all sessions with a known end, random scores \
         MRR {:.3} and showing the last restaurant shown, a leak, {:.3}",
        entree.n_sessions,
        tables.orders.len(),
        tables.readers.len(),
        entree.random_mrr,
        entree.shown_last_mrr
    );
    let rankings = [every, new, shown].into_iter().map(|tally| tally.ranking(how)).collect();
    Ok(Worth { rankings, resamples: how.resamples, ..head(source, tables, map, options, from) })
}

/// On tables with places: the engine's own candidates at the order's place and hour, popularity that of the cell.
///
/// # Errors
/// See [`WorthError`].
pub fn on_tables(
    tables: &Tables,
    map: &CuisineMap,
    timeline: &TimelineOptions,
    how: Resampling,
    progress: &dyn Fn(usize, usize),
) -> Result<Worth, WorthError> {
    let options = &timeline.profiles.preferences;
    let menus = Menus::new(&tables.merchants, map, options);
    let logs = logs(tables);
    let (asked, from) = asked(&logs, tables.orders.len())?;
    let mixes = Mixes::new(tables, &menus, asked.iter().map(|ask| ask.order.ordered_at));
    let catalog = Catalog::new(tables, map, &timeline.areas);
    let life = Timeline::new(tables, map, &catalog, timeline)?;
    let (queries, _) = life.queries(tables, Protocol::KnownPlace, from);
    // By reader, time and merchant: two orders of one second at two merchants are two.
    let of: HashMap<(&str, Timestamp, &str), &Ask<'_>> = asked
        .iter()
        .map(|ask| ((ask.order.user_id.as_str(), ask.order.ordered_at, ask.order.merchant_id.as_str()), ask))
        .collect();
    let in_cell = FEATURES.iter().position(|feature| feature.name == "log_popularity_cell");

    let mut every = Tally::new("candidates of the place");
    let mut new = Tally::new("candidates of the place that are new to the reader");
    let mut failed = None;
    let mut one = |answer: &crate::timeline::Answer<'_>| -> Result<(), DecodeError> {
        let query = &answer.query;
        let merchant = catalog.merchant(query.merchant).map_or("", |row| row.merchant_id.as_str());
        let key = (query.user_id, query.ordered_at, merchant);
        let Some(ask) = of.get(&key) else { return Ok(()) };
        let log = &logs[ask.log];
        let known = known(Reading { map, options }, &mixes, log, ask)?;
        let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
        let earlier = log.orders.get(..ask.n_before).unwrap_or_default();
        earlier.iter().for_each(|order| *counts.entry(&order.merchant_id).or_default() += 1.0);
        let ids: Vec<&str> = answer
            .kept
            .iter()
            .map(|candidate| {
                let row = catalog.row_of(candidate.merchant.id).and_then(|row| catalog.merchant(row));
                row.map_or("", |merchant| merchant.merchant_id.as_str())
            })
            .collect();
        // One order more than there were, so that a merchant without any is not worth nothing.
        let popularity: Vec<f64> =
            answer.rows.iter().map(|row| in_cell.map_or(1.0, |at| libm::exp(f64::from(row[at])))).collect();
        let list = |kept: &[usize]| List {
            menus: kept.iter().map(|i| menus.of(ids[*i])).collect(),
            popularity: kept.iter().map(|i| popularity[*i]).collect(),
            beside: vec![Beside {
                name: "own history",
                scores: kept.iter().map(|i| counts.get(ids[*i]).copied().unwrap_or(0.0)).collect(),
            }],
            found: kept.iter().position(|i| answer.found == Ok(*i)),
        };
        let all: Vec<usize> = (0..ids.len()).collect();
        every.add(ask, &list(&all), &known.lifts, known.mix, known.menu);
        if ask.new_merchant {
            let rest: Vec<usize> = all.into_iter().filter(|i| !counts.contains_key(ids[*i])).collect();
            new.add(ask, &list(&rest), &known.lifts, known.mix, known.menu);
        }
        Ok(())
    };
    life.live(&queries, progress, |answers| {
        for answer in &answers {
            if failed.is_none() {
                failed = one(answer).err();
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let source = format!("tables: {} orders of {} readers, known-place", tables.orders.len(), tables.readers.len());
    let rankings = [every, new].into_iter().map(|tally| tally.ranking(how)).collect();
    Ok(Worth { rankings, resamples: how.resamples, ..head(source, tables, map, options, from) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuisines::{FitOptions, fit};
    use crate::tables::{Merchant, Order};

    const OPTIONS: PreferenceOptions = PreferenceOptions {
        lifelong: super::super::Fade::Days(365.0),
        recent: super::super::Fade::Days(14.0),
        prior_strength: 2.0,
        smoothing: 0.25,
        recent_share: 0.4,
        sensitive: false,
    };

    struct World {
        map: CuisineMap,
        mix: Mix,
    }

    fn world() -> World {
        let menus = ["sushi;ramen", "ramen;udon", "sushi;udon", "burger;fries", "fries;hot_dog", "burger;hot_dog"];
        let merchant = |(i, menu): (usize, &&str)| Merchant {
            merchant_id: i.to_string(),
            cuisines: menu.split(';').map(str::to_owned).collect(),
            ..Merchant::default()
        };
        let merchants: Vec<Merchant> = menus.iter().enumerate().map(merchant).collect();
        let map = fit(&merchants, &FitOptions::default()).unwrap();
        let mix = Mix::of_merchants(&merchants, &Menus::new(&merchants, &map, &OPTIONS), 0);
        World { map, mix }
    }

    impl World {
        fn id(&self, label: &str) -> u16 {
            self.map.id(label).unwrap()
        }

        fn lifts(&self, form: Form, preferences: &Preferences, options: &PreferenceOptions) -> Lifts {
            Reading { map: &self.map, options }.lifts(form, preferences, &self.mix).unwrap()
        }

        /// Loves sushi, had fries last week.
        fn reader(&self) -> Preferences {
            let lifelong = [(self.id("sushi"), 3.0), (self.id("fries"), 0.5)].into();
            Preferences { as_of: 0, lifelong, recent: [(self.id("fries"), 0.5)].into() }
        }
    }

    #[test]
    fn a_reader_nobody_knows_takes_what_the_market_takes_in_every_form() {
        let w = world();
        for form in Form::ALL {
            let lifts = w.lifts(form, &Preferences::default(), &OPTIONS);
            assert!(lifts.iter().all(|lift| (lift - 1.0).abs() < 1e-6), "{form:?} {lifts:?}");
        }
    }

    #[test]
    fn the_full_form_is_the_posterior_over_the_market_and_the_others_lose_what_they_say() {
        let (w, reader) = (world(), world().reader());
        let full = w.lifts(Form::Full, &reader, &OPTIONS);
        let share = |evidence: &Evidence, label: &str| posterior(evidence, &w.mix, &OPTIONS)[usize::from(w.id(label))];
        for label in ["sushi", "fries", "udon"] {
            let both = 0.6 * share(&reader.lifelong, label) + 0.4 * share(&reader.recent, label);
            let id = usize::from(w.id(label));
            assert!((full[id] - both / w.mix.share[id]).abs() < 1e-12, "{label}");
            let gain = likelihood(&full, &w.mix, &[w.id(label)]).unwrap();
            assert!(
                (gain - libm::log(both / w.mix.share[id])).abs() < 1e-12,
                "{label}: shares add up to 1 as they are"
            );
        }
        let (a, b) =
            (PreferenceOptions { smoothing: 0.0, ..OPTIONS }, PreferenceOptions { smoothing: SHOWN, ..OPTIONS });
        assert_eq!(w.lifts(Form::Smoothed, &reader, &a), w.lifts(Form::Smoothed, &reader, &b), "shown all the same");
        let smooth = w.lifts(Form::Smoothed, &reader, &OPTIONS);
        assert!(smooth[usize::from(w.id("udon"))] > full[usize::from(w.id("udon"))], "alike to sushi");

        // A byte tells steps of 4 / 127 of the logarithm: half of one is lost at most.
        let (projected, int8) = (w.lifts(Form::Projected, &reader, &OPTIONS), w.lifts(Form::Int8, &reader, &OPTIONS));
        let half_step = 2.0 / 127.0 + 1e-6;
        assert!(
            projected.iter().zip(&int8).all(|(a, b)| (libm::log(a / b)).abs() <= half_step),
            "{projected:?} {int8:?}"
        );
        assert!(projected != int8 && projected != smooth);

        // The raw cuisines come back as they were, to half a step of a share.
        let carried = w.lifts(Form::Profile, &reader, &PreferenceOptions { recent_share: 0.0, ..OPTIONS });
        for label in ["sushi", "fries"] {
            let id = usize::from(w.id(label));
            assert!((carried[id] * w.mix.share[id] - share(&reader.lifelong, label)).abs() <= 0.5 / 255.0 + 1e-9);
        }
        let sum: f64 = carried.iter().zip(&w.mix.share).map(|(lift, share)| lift * share).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn figures_and_steps_are_those_of_the_list() {
        let (w, reader) = (world(), world().reader());
        let lifts: Vec<Lifts> = Form::ALL.iter().map(|form| w.lifts(*form, &reader, &OPTIONS)).collect();
        let (sushi, fries, udon) = ([w.id("sushi")], [w.id("fries")], [w.id("udon")]);
        let order = Order { user_id: "u".into(), merchant_id: "m".into(), ..Order::default() };
        let ask = Ask { log: 0, order: &order, n_before: 4, churned: false, new_merchant: true };
        let list = List {
            menus: vec![&udon, &sushi, &fries, &[]],
            popularity: vec![9.0, 1.0, 2.0, 4.0],
            beside: vec![Beside { name: "own history", scores: vec![0.0, 3.0, 1.0, 0.0] }],
            found: Some(1),
        };
        let mut tally = Tally::new("a few");
        tally.add(&ask, &list, &lifts, &w.mix, &sushi);
        tally.add(&ask, &List { found: None, ..list }, &lifts, &w.mix, &sushi);
        let ranking = tally.ranking(Resampling { resamples: 10, seed: 1 });
        assert_eq!((ranking.missing, ranking.mean_candidates), (1, 4.0));
        let told: Vec<(&str, usize)> = ranking.segments.iter().map(|s| (s.segment, s.orders)).collect();
        assert_eq!(told, [("all", 2), ("first orders at a merchant", 2), ("readers with more orders", 2)]);
        let all = &ranking.segments[0];
        let of = |name: &str| all.scorers.iter().chain(&all.steps).find(|f| f.name == name).unwrap();
        // Half of the orders is no candidate: every figure is half of what the first list gives.
        assert!((of("random").mrr.value - 0.5 * (1.0 + 0.5 + 1.0 / 3.0 + 0.25) / 4.0).abs() < 1e-12);
        assert_eq!(of("popularity").mrr.value, 0.5 / 4.0, "the last of four");
        assert_eq!(of("own history").mrr.value, 0.5);
        assert_eq!(of("lifelong").mrr.value, 0.5);
        assert_eq!(
            of("recent").mrr.value,
            0.5 * 0.5 * (1.0 / 3.0 + 0.25),
            "behind fries and the unknown, a tie with udon"
        );
        let value = |name: &str| of(name).mrr.value;
        assert!((value("full - lifelong") - (value("full") - value("lifelong"))).abs() < 1e-12);
        let step = of("popularity x full - popularity x lifelong").mrr;
        assert!(
            (step.high - (value("popularity x full") - value("popularity x lifelong"))).abs() < 1e-12,
            "one reader"
        );
        assert!((value("profile - random") - (value("profile") - value("random"))).abs() < 1e-12);
        assert_eq!(of("random").nats, None);
        assert!(of("lifelong").nats.unwrap().value > 0.3);
        assert_eq!(of("lifelong - random").nats, of("lifelong").nats);
    }

    #[test]
    fn a_form_weighs_what_it_says() {
        assert_eq!(Form::Full.bytes(166, 17), 1328);
        assert_eq!(Form::Int8.bytes(166, 17), 34);
        // What a profile's bytes grow by, from no taste at all.
        let taste = |n: usize, raw: usize| Taste { clusters: vec![0.5; n], raw: vec![(1, 0.5); raw] };
        let bytes = |n, raw| {
            let profile = Profile { lifelong: taste(n, raw), recent: taste(n, raw), ..Profile::default() };
            profile.encode().unwrap().len()
        };
        assert_eq!(bytes(17, MAX_RAW) - bytes(0, 0), Form::Profile.bytes(166, 17));
        assert_eq!(bytes(17, 0) - bytes(0, 0), Form::Int8.bytes(166, 17));
    }
}
