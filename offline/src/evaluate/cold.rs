//! Cold start: readers of whom nothing is known but where they live and what they said to like.
//!
//! For data without times, as UCI's consumers: no order, no history, no split. Every reader is asked for once, everybody else's
//! ratings are all that the market knows, and the reader's own ratings are the answer. Two sets of candidates, never
//! mixed: every merchant around, where most of what is not rated is merely unknown, and only those the reader rated.

use super::bootstrap::{Resampled, Sums};
use super::measure::{NDCG_10, judge};
use super::{EvaluateError, EvaluateOptions, Figure, column, scores};
use crate::areas::{AreaError, Catalog, Popularity};
use crate::cuisines::CuisineMap;
use crate::import::uci::{Rating, Stated};
use crate::profiles::{Press, ReaderRows, reader_id};
use crate::tables::{Merchant, Order, Tables, Timestamp};
use crate::timeline::TimelineError;
use freshrank::bundle::Bundle;
use freshrank::campaign::Policy;
use freshrank::context::{Context, Fix, Grade};
use freshrank::feature::{Rows, featurize};
use freshrank::geo::Point;
use freshrank::locate::locate;
use freshrank::profile::Profile;
use freshrank::retrieve::{Candidate, retrieve};
use freshrank::score::{self, Scorer};
use freshrank::{Areas, MerchantId};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Who ranks, in the order of reports.
const SCORERS: [&str; 7] =
    ["ltr", "prior", "stated taste", "popularity in the cell", "popularity", "nearest", "random"];
/// A merchant this far away is around: people go there, nobody delivers.
const AROUND_KM: f64 = 25.0;
/// What a reader likes best, and counts as a hit.
const LIKED: u8 = 2;
/// Some noon: the data has no times, and neither hours nor seasons count.
const NOON: Timestamp = 1_300_000_000 / 86_400 * 86_400 + 18 * 3600;
/// Before all that is known.
const BEFORE: Timestamp = NOON - 30 * 86_400;
/// Stated tastes are orders from merchants of this name that deliver to nobody.
const STATED: &str = "stated:";

/// How well everybody ranks for strangers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColdStart {
    /// Where ratings and tastes are from.
    pub data: String,
    /// What the columns of a stranger cannot know.
    pub note: &'static str,
    /// Readers who liked somebody.
    pub readers: usize,
    /// Readers who liked nobody: dropped.
    pub empty: usize,
    /// Merchants.
    pub merchants: usize,
    /// Ratings, all of them answers.
    pub ratings: usize,
    /// Resamples of the readers behind every interval.
    pub resamples: usize,
    /// By set of candidates (the segment), then scorer; then what ltr has over each of the others.
    pub figures: Vec<Figure>,
}

/// Ranks the merchants around every reader, and those that the reader rated.
///
/// # Errors
/// No reader who liked anybody, an area that cannot be built, or a ranker that does not answer.
pub fn cold_start(
    tables: &Tables,
    ratings: &[Rating],
    stated: &[Stated],
    map: &CuisineMap,
    ltr: Option<&(dyn Scorer + Sync)>,
    options: &EvaluateOptions,
) -> Result<ColdStart, EvaluateError> {
    let base = base(tables, stated);
    let mut areas = options.timeline.areas.clone();
    areas.radius_km = AROUND_KM;
    let catalog = Catalog::new(&base, map, &areas);
    let homes: BTreeMap<&str, Point> = tables
        .places
        .iter()
        .filter_map(|place| Some((place.user_id.as_str(), Point::new(place.latitude, place.longitude)?)))
        .collect();
    let mut of: BTreeMap<&str, Vec<&Rating>> = BTreeMap::new();
    ratings.iter().for_each(|rating| of.entry(&rating.user_id).or_default().push(rating));
    let all: Vec<(&str, Vec<&Rating>)> = of.into_iter().filter(|(user_id, _)| homes.contains_key(user_id)).collect();
    let asked: Vec<&(&str, Vec<&Rating>)> =
        all.iter().filter(|(_, own)| own.iter().any(|rating| rating.rating >= LIKED)).collect();
    let scorers: Vec<&'static str> = SCORERS.into_iter().filter(|scorer| *scorer != "ltr" || ltr.is_some()).collect();
    let stranger = Stranger { base: &base, catalog: &catalog, map, options, homes: &homes, ratings, stated, ltr };
    let judged = asked.par_iter().map(|(user_id, own)| stranger.judged(user_id, own, &scorers));
    let judged = judged.collect::<Result<Vec<[Vec<f64>; 2]>, EvaluateError>>()?;
    if judged.is_empty() {
        return Err(EvaluateError::NoQueries { protocol: "cold-start", split: NOON });
    }
    let mut figures = Vec::new();
    for (kind, segment) in ["all around", "rated ones alone"].into_iter().enumerate() {
        let mut sums = Sums::default();
        asked.iter().zip(&judged).for_each(|((user_id, _), values)| sums.add(user_id, values[kind].iter().copied()));
        let drawn = Resampled::new(&sums, options.resamples, options.seed);
        let line = |scorer: String, line: usize, less: Option<usize>| Figure {
            segment,
            scorer,
            by_query: scores(&drawn, line, less, 0),
            by_reader: scores(&drawn, line, less, 1),
            queries: sums.queries(),
            readers: sums.readers(),
        };
        figures.extend(scorers.iter().enumerate().map(|(i, scorer)| line((*scorer).to_owned(), i, None)));
        let others = scorers.iter().enumerate().skip(1).filter(|_| ltr.is_some());
        figures.extend(others.map(|(i, scorer)| line(format!("ltr - {scorer}"), 0, Some(i))));
    }
    Ok(ColdStart {
        data: "ratings without times (UCI Restaurant & consumer data, CC BY 4.0): cold start only".into(),
        note: "nothing of a reader's own ratings is in any row; gain of NDCG is 2^rating - 1, a hit is a rating of 2",
        readers: asked.len(),
        empty: all.len() - asked.len(),
        merchants: tables.merchants.len(),
        ratings: ratings.len(),
        resamples: options.resamples,
        figures,
    })
}

/// The tables with merchants that stand for stated tastes, and without hours: the data does not tell when anybody went anywhere.
fn base(tables: &Tables, stated: &[Stated]) -> Tables {
    let mut base = tables.clone();
    base.orders.clear();
    base.merchants.iter_mut().for_each(|merchant| merchant.opening_hours = None);
    let cuisines: BTreeSet<&str> = stated.iter().map(|stated| stated.cuisine.as_str()).collect();
    base.merchants.extend(cuisines.into_iter().map(|cuisine| Merchant {
        merchant_id: format!("{STATED}{cuisine}"),
        name: cuisine.to_owned(),
        cuisines: vec![cuisine.to_owned()],
        ..Merchant::default()
    }));
    base
}

/// What all strangers have in common.
struct Stranger<'a> {
    base: &'a Tables,
    catalog: &'a Catalog<'a>,
    map: &'a CuisineMap,
    options: &'a EvaluateOptions,
    homes: &'a BTreeMap<&'a str, Point>,
    ratings: &'a [Rating],
    stated: &'a [Stated],
    ltr: Option<&'a (dyn Scorer + Sync)>,
}

impl Stranger<'_> {
    /// The measures of every scorer, for all merchants around and for the rated ones.
    fn judged(&self, user_id: &str, own: &[&Rating], scorers: &[&str]) -> Result<[Vec<f64>; 2], EvaluateError> {
        let (kept, rows) = self.rows(user_id)?;
        let ids: BTreeMap<MerchantId, u8> =
            own.iter().map(|rating| (MerchantId::of(&rating.merchant_id), rating.rating)).collect();
        let said: BTreeSet<&str> =
            self.stated.iter().filter(|s| s.user_id == user_id).map(|s| s.cuisine.as_str()).collect();
        let mut values = [Vec::new(), Vec::new()];
        for scorer in scorers {
            let scored = self.scored(scorer, &kept, &rows, &said)?;
            for (kind, values) in values.iter_mut().enumerate() {
                let some: Vec<usize> =
                    (0..kept.len()).filter(|i| kind == 0 || ids.contains_key(&kept[*i].merchant.id)).collect();
                let scores: Vec<f64> = some.iter().map(|i| scored[*i]).collect();
                let rated = |i: &usize| ids.get(&kept[*i].merchant.id).copied().unwrap_or(0);
                let here: BTreeSet<MerchantId> = kept.iter().map(|candidate| candidate.merchant.id).collect();
                let missing = ids.iter().filter(|(id, _)| !here.contains(id)).map(|(_, rating)| *rating);
                let missing: Vec<u8> = missing.collect();
                let graded = |rating: u8| f32::from(rating);
                let liked = |rating: u8| if rating >= LIKED { 1.0 } else { 0.0 };
                let by = |label: &dyn Fn(u8) -> f32| {
                    let labels: Vec<f32> = some.iter().map(|i| label(rated(i))).collect();
                    let missing: Vec<f32> = missing.iter().map(|rating| label(*rating)).collect();
                    judge(&scores, &labels, &missing).unwrap_or_default()
                };
                let mut measures = by(&liked);
                measures[NDCG_10] = by(&graded)[NDCG_10];
                values.extend(measures);
            }
        }
        Ok(values)
    }

    /// The engine's own rows, for a reader who has never ordered; everybody else's good ratings are the market's orders.
    fn rows(&self, user_id: &str) -> Result<(Vec<Candidate>, Rows), EvaluateError> {
        let order = |user_id: &str, merchant_id: String, at: Point| Order {
            user_id: user_id.to_owned(),
            merchant_id,
            ordered_at: BEFORE,
            latitude: Some(at.latitude()),
            longitude: Some(at.longitude()),
            ..Order::default()
        };
        let others = self.ratings.iter().filter(|rating| rating.user_id != user_id && rating.rating > 0);
        let others = others.filter_map(|rating| {
            let home = self.homes.get(rating.user_id.as_str())?;
            Some(order(&rating.user_id, rating.merchant_id.clone(), *home))
        });
        let home = self.homes.get(user_id).copied().unwrap_or(Point::ORIGIN);
        let said = self.stated.iter().filter(|stated| stated.user_id == user_id);
        let said: Vec<Order> = said.map(|stated| order(user_id, format!("{STATED}{}", stated.cuisine), home)).collect();
        let tables = Tables { orders: others.collect(), ..self.base.clone() };
        let mut popularity = Popularity::new(&self.options.timeline.areas);
        tables.orders.iter().for_each(|order| popularity.record(order, self.catalog));

        let press = Press::new(&tables, self.map, self.catalog, &self.options.timeline.profiles);
        let reader = tables.readers.iter().find(|reader| reader.user_id == user_id);
        let places = tables.places.iter().filter(|place| place.user_id == user_id).collect();
        let rows = ReaderRows { reader, orders: said.iter().collect(), places, events: Vec::new() };
        let made = press.profile(reader_id(b"", user_id), &rows, NOON, &press.market(NOON));
        let profile = Profile {
            // Saying is not ordering: tastes stay, counts do not.
            merchants: Vec::new(),
            n_orders: 0,
            basket_band: None,
            daypart_share: [0.0; 4],
            last_order_days: None,
            ..made
        };
        let request = Some(Fix { point: home, grade: Grade::Exact });
        let context = Context { at: NOON, request, ..Context::default() };
        let policy = Policy { radius_km: AROUND_KM, chain_cap: u8::MAX, ..self.options.timeline.policy.clone() };
        let place = locate(&profile, &context, policy.place);
        let Some(cell) = place.cell() else { return Ok((Vec::new(), Rows::default())) };
        let day = NOON.div_euclid(86_400);
        let draft = self.catalog.draft(cell, NOON, &popularity, &self.catalog.doors(day, day));
        let Some(draft) = draft.map_err(TimelineError::from)? else { return Ok((Vec::new(), Rows::default())) };
        let wrong = |source| TimelineError::from(AreaError::Format { cell, source });
        let bundle = draft.encode().and_then(Bundle::decode).map_err(wrong)?;
        let areas = Areas::new([&bundle], Vec::new());
        let area = areas.get(bundle.cell);
        let (kept, _, _) = retrieve(area.as_ref(), &profile, &place, &context, &policy);
        let rows = featurize(&kept, &profile, &place, &context, bundle.local(NOON));
        Ok((kept, rows))
    }

    fn scored(
        &self,
        scorer: &str,
        kept: &[Candidate],
        rows: &Rows,
        said: &BTreeSet<&str>,
    ) -> Result<Vec<f64>, EvaluateError> {
        let by = |at: usize, sign: f64| -> Vec<f64> { rows.iter().map(|row| sign * f64::from(row[at])).collect() };
        let fixed = |scores: Vec<i32>| scores.into_iter().map(f64::from).collect();
        let share = |candidate: &Candidate| {
            let row = self.catalog.row_of(candidate.merchant.id).and_then(|row| self.catalog.merchant(row));
            let cuisines = row.map_or(&[][..], |row| row.cuisines.as_slice());
            let liked = cuisines.iter().filter(|cuisine| said.contains(cuisine.as_str())).count();
            liked as f64 / cuisines.len().max(1) as f64
        };
        Ok(match (scorer, self.ltr) {
            ("ltr", Some(ltr)) => {
                let wrong = |source| EvaluateError::Model { scorer: ltr.name(), source };
                fixed(score::score(ltr, rows).map_err(wrong)?)
            }
            ("prior", _) => fixed(score::prior(rows)),
            ("stated taste", _) => kept.iter().map(share).collect(),
            ("popularity in the cell", _) => by(const { column("log_popularity_cell") }, 1.0),
            ("popularity", _) => by(const { column("log_popularity_city") }, 1.0),
            ("nearest", _) => by(const { column("distance_km") }, -1.0),
            _ => vec![0.0; kept.len()],
        })
    }
}
