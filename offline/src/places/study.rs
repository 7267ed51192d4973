//! The questions a place model is fitted and tested on: messages before orders, as of each message's time.
//!
//! `send-time` knows what a message knows. `known-hour` is asked at the same time with the same facts, by someone who
//! also knows the hour of the order: what lies between the two is what the hour is worth, and nothing else.

use super::facts::{Facts, Hour, Known, N_COLUMNS, destination};
use super::figures::Answered;
use super::logit::Choice;
use super::model::Weights;
use super::{History, PlaceOptions, counts, likeliest, local, market_new_place_rate};
use crate::preferences::is_evidence;
use crate::profiles::{Press, by_reader, offset_minutes};
use crate::tables::{Order, Tables, Timestamp};
use crate::timeline::{Protocol, Query, Timeline};
use freshrank::MerchantId;
use freshrank::context::{Context, LastEvent};
use freshrank::locate::{Fusion, Posterior, STALE_SECONDS, fuse};
use freshrank::profile::Profile;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// The share of queries, by time, that trains; the next calibrates, the last tests.
const TRAIN: f64 = 0.70;
const CALIBRATE: f64 = 0.15;
const WEEK: i64 = 7 * 86_400;

/// One question.
#[derive(Debug, Clone)]
pub struct Asked<'t> {
    /// The message, and the order that answers it.
    pub query: Query<'t>,
    /// What was known.
    pub facts: Facts,
    /// Of the message.
    pub message: Hour,
    /// Of the order.
    pub order: Hour,
    /// The known place it went to, or as many as there are for one never used before.
    pub label: usize,
    /// Places that were ordered to.
    pub used: usize,
    /// Minutes ahead of UTC.
    pub offset_minutes: i16,
    /// The last day's, if it tells a place.
    pub last_event: Option<LastEvent>,
}

/// What is known of the hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hours {
    /// The message's.
    SendTime,
    /// The order's.
    KnownHour,
}

impl Hours {
    /// As in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SendTime => "send-time",
            Self::KnownHour => "known-hour",
        }
    }
}

/// All questions, ascending by time.
#[derive(Debug, Clone)]
pub struct Study<'t> {
    /// Whole.
    pub asked: Vec<Asked<'t>>,
    /// From then on they calibrate.
    pub calibrate_from: Timestamp,
    /// From then on they test.
    pub test_from: Timestamp,
}

impl<'t> Study<'t> {
    /// Asks for every later order of every reader, at the message before it. Readers without a known place are no
    /// question.
    #[must_use]
    pub fn new(tables: &'t Tables, timeline: &Timeline<'t>, press: &Press<'t>, options: &PlaceOptions) -> Self {
        let (queries, _) = timeline.queries(tables, Protocol::SendTime, Timestamp::MIN);
        let readers = by_reader(tables);
        let mut rates: BTreeMap<i64, f64> = queries.iter().map(|query| (query.at.div_euclid(WEEK), 0.0)).collect();
        rates.par_iter_mut().for_each(|(week, rate)| *rate = market_new_place_rate(tables, *week * WEEK, options));
        let ask = |query: &Query<'t>| {
            let rows = readers.get(query.user_id)?;
            let is_answer = |order: &&&Order| {
                order.ordered_at == query.ordered_at && MerchantId::of(&order.merchant_id) == query.label
            };
            let answer = rows.orders.iter().filter(|order| is_evidence(order, Timestamp::MAX)).find(is_answer)?;
            let zone = press.zone(rows, query.at);
            let history = History { orders: &rows.orders, places: &rows.places, events: &rows.events };
            let known = Known::of(&history, query.at, &zone, options);
            let market = rates.get(&query.at.div_euclid(WEEK))?;
            let facts = Facts::from(&known, &history, query.at, *market, options);
            let to = known.find(answer.place_id.as_deref(), destination(answer, &history), options);
            let before = rows.events.partition_point(|event| event.at < query.at);
            let last_event = rows.events[..before].iter().rev().find_map(|event| {
                Some(LastEvent { kind: event.kind.clone(), point: super::facts::position(event)?, at: event.at })
            });
            (!facts.spots.is_empty()).then(|| Asked {
                query: *query,
                label: to.unwrap_or(facts.spots.len()),
                used: facts.spots.iter().filter(|spot| spot.n > 0.0).count(),
                message: Hour::of(local(query.at, &zone)),
                order: Hour::of(local(query.ordered_at, &zone)),
                offset_minutes: offset_minutes(&zone, query.at),
                last_event: last_event.filter(|event| query.at - event.at <= STALE_SECONDS),
                facts,
            })
        };
        let asked: Vec<Asked<'t>> = queries.par_iter().filter_map(ask).collect();
        let at = |share: f64| {
            let i = (asked.len() as f64 * share) as usize;
            asked.get(i).or(asked.last()).map_or(0, |asked| asked.query.at)
        };
        Self { calibrate_from: at(TRAIN), test_from: at(TRAIN + CALIBRATE), asked }
    }

    /// What the weights are fitted on.
    #[must_use]
    pub fn train(&self) -> &[Asked<'t>] {
        &self.asked[..self.asked.partition_point(|asked| asked.query.at < self.calibrate_from)]
    }

    /// What calibrates.
    #[must_use]
    pub fn calibrate(&self) -> &[Asked<'t>] {
        let from = self.asked.partition_point(|asked| asked.query.at < self.calibrate_from);
        &self.asked[from..self.asked.partition_point(|asked| asked.query.at < self.test_from)]
    }

    /// What nothing was seen of.
    #[must_use]
    pub fn test(&self) -> &[Asked<'t>] {
        &self.asked[self.asked.partition_point(|asked| asked.query.at < self.test_from)..]
    }
}

impl<'t> Asked<'t> {
    /// The hour that is known.
    #[must_use]
    pub fn hour(&self, hours: Hours) -> Hour {
        match hours {
            Hours::SendTime => self.message,
            Hours::KnownHour => self.order,
        }
    }

    /// For the fit: whether it went to a place never used before, and if not, to which of the known ones. The two
    /// likelihoods add up to that of the whole.
    pub fn choices(&self, hours: Hours) -> impl Iterator<Item = Choice> {
        let rows = self.facts.rows(self.hour(hours));
        let (known, new) = rows.split_at(rows.len() - N_COLUMNS);
        let is_new = self.label == self.facts.spots.len();
        let whether = Choice { rows: [&[0.0; N_COLUMNS], new].concat(), chosen: usize::from(is_new) };
        let which = (!is_new).then(|| Choice { rows: known.to_vec(), chosen: self.label });
        [Some(whether), which].into_iter().flatten()
    }

    /// For the figures.
    #[must_use]
    pub fn answered(&self, probabilities: Vec<f64>) -> Answered<'t> {
        Answered { user_id: self.query.user_id, probabilities, label: self.label }
    }

    /// The profile that this reader would have, as its bytes tell it, and which of the known places are in it.
    #[must_use]
    pub fn profile(&self, weights: &Weights) -> (Profile, Vec<usize>) {
        let (likely, kept) = likeliest(&self.facts, weights, self.message.weekend);
        let made = Profile {
            places: likely.places,
            new_place_rate: likely.new_place_rate,
            offset_minutes: self.offset_minutes,
            ..Profile::default()
        };
        (made.encode().and_then(|bytes| Profile::decode(&bytes)).unwrap_or(made), kept)
    }

    /// The open of the message: its time and the last day's event, if the message knows it.
    #[must_use]
    pub fn context(&self, with_event: bool) -> Context {
        let last_event = self.last_event.clone().filter(|_| with_event);
        Context { at: self.query.at, last_event, ..Context::default() }
    }

    /// What the engine makes of profile and last event, over all known places: what the profile has no room for, and a
    /// place never used before, share its elsewhere as the model does.
    #[must_use]
    pub fn fused(&self, weights: &Weights, fusion: &Fusion, with_event: bool) -> Vec<f64> {
        let (profile, kept) = self.profile(weights);
        let posterior = fuse(&profile, &self.context(with_event), fusion);
        self.spread(&posterior, &kept, weights)
    }

    /// A posterior over all known places and a new one.
    #[must_use]
    pub fn spread(&self, posterior: &Posterior, kept: &[usize], weights: &Weights) -> Vec<f64> {
        let prior = weights.probabilities(&self.facts, self.message);
        let rest: f64 = (0..prior.len()).filter(|i| !kept.contains(i)).map(|i| prior[i]).sum();
        let mut all: Vec<f64> = prior.iter().map(|p| posterior.elsewhere * p / rest).collect();
        kept.iter().zip(&posterior.places).for_each(|(i, p)| all[*i] = *p);
        all
    }
}

/// Shares of the train slice that make a rule of thumb a probability: for readers with one known place, and with more.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// The rule was right.
    right: [f64; 2],
    /// A place never used before.
    new: [f64; 2],
}

/// Which place a rule of thumb names.
pub type Rule = fn(&Facts) -> usize;

/// Where the last order went.
pub fn last_place(facts: &Facts) -> usize {
    facts.last.unwrap_or(0)
}

/// Where most orders went; the last used among equals.
pub fn most_frequent(facts: &Facts) -> usize {
    let key = |i: usize| (facts.spots[i].n, -facts.spots[i].days_since.unwrap_or(f64::MAX));
    (0..facts.spots.len()).reduce(|a, b| if key(b) > key(a) { b } else { a }).unwrap_or(0)
}

impl Rates {
    /// Counts, on what trains, upon one of each.
    #[must_use]
    pub fn of(train: &[Asked<'_>], rule: Rule) -> Self {
        let (mut n, mut right, mut new) = ([3.0; 2], [1.0; 2], [1.0; 2]);
        for asked in train {
            let several = usize::from(asked.facts.spots.len() > 1);
            n[several] += 1.0;
            right[several] += if asked.label == rule(&asked.facts) { 1.0 } else { 0.0 };
            new[several] += if asked.label == asked.facts.spots.len() { 1.0 } else { 0.0 };
        }
        Self { right: [right[0] / n[0], right[1] / n[1]], new: [new[0] / n[0], new[1] / n[1]] }
    }

    /// The named place as often as the rule is right, a new one as often as there is one, the others evenly.
    #[must_use]
    pub fn probabilities(&self, facts: &Facts, rule: Rule) -> Vec<f64> {
        let (known, named) = (facts.spots.len(), rule(facts));
        let several = usize::from(known > 1);
        let new = self.new[several];
        if known == 1 {
            return vec![1.0 - new, new];
        }
        let right = self.right[several];
        let other = (1.0 - right - new) / (known - 1) as f64;
        (0..known).map(|i| if i == named { right } else { other }).chain([new]).collect()
    }
}

/// As it was before the place model.
#[must_use]
pub fn counted(asked: &Asked<'_>, hours: Hours) -> Vec<f64> {
    counts::probabilities(&asked.facts, asked.hour(hours).daypart)
}
