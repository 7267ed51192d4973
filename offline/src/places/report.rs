//! What the place model is worth: every predictor over the same queries, calibration, requests, and the ranking reached.

use super::evidence::{self, EvidenceFigures, World};
use super::facts::COLUMNS;
use super::figures::{Answered, Bin, Spread, bins, calibration_error, confidence, measures, newness, spread};
use super::model::PlaceModel;
use super::study::{Asked, Hours, Rates, Rule, Study, counted, last_place, most_frequent};
use crate::evaluate::judge;
use crate::timeline::{Answer, Protocol, Query, Timeline, TimelineError, mix};
use arrow::array::{ArrayRef, BooleanArray, Float64Array, StringArray, UInt32Array};
use arrow::record_batch::RecordBatch;
use freshrank::MerchantId;
use freshrank::geo::Point;
use freshrank::locate::{FUSION, Fusion, fuse};
use freshrank::score::{self, Scorer};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// How to report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReportOptions {
    /// Resamples of the readers behind every interval.
    pub resamples: usize,
    /// Queries of the test slice that are ranked, drawn evenly; those before them set the sharpness of scores.
    pub ranked: usize,
    /// Of what is drawn.
    pub seed: u64,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self { resamples: 1000, ranked: 1500, seed: 1 }
    }
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// Nobody orders twice, or all of it is one moment.
    #[error(
        "found {train} queries to fit on, {calibrate} to calibrate on and {test} to test on, expected at least one each"
    )]
    NoQueries {
        /// Earliest.
        train: usize,
        /// Later.
        calibrate: usize,
        /// Latest.
        test: usize,
    },
    /// The queries cannot be asked.
    #[error(transparent)]
    Timeline(#[from] TimelineError),
    /// A file cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the writer says.
        source: ParquetError,
    },
}

/// Everything.
#[derive(Debug, Clone, Serialize)]
pub struct PlacesReport {
    /// Said in every output when present.
    pub simulated: Option<String>,
    /// RFC 3339; the queries are later, and nothing of them was seen.
    pub tested_from: String,
    /// Test queries.
    pub queries: usize,
    /// Of how many readers.
    pub readers: usize,
    /// Resamples behind every interval.
    pub resamples: usize,
    /// By protocol, segment and predictor; differences last.
    pub figures: Vec<Line>,
    /// By protocol and predictor.
    pub calibration: Vec<Curve>,
    /// What requests are simulated by.
    pub world: World,
    /// What requests bring; simulated whatever the tables are.
    pub requests: Vec<EvidenceFigures>,
    /// What ranking is reached, by scorer and place.
    pub ranking: Vec<Ranking>,
}

/// One predictor over one kind of query.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// What is known of the hour.
    pub hours: Hours,
    /// Which queries.
    pub segment: &'static str,
    /// Who predicts, or a difference of two.
    pub predictor: &'static str,
    /// How many queries.
    pub queries: usize,
    /// Orders that went where the likeliest class said.
    pub top_1: Spread,
    /// Among the three likeliest.
    pub top_3: Spread,
    /// Mean of -ln(probability of what came true).
    pub log_loss: Spread,
    /// Mean of the sum over classes of (probability - what came true)^2.
    pub brier: Spread,
    /// Of the likeliest class, over bins of equal mass; absent for a difference.
    pub calibration_error: Option<f64>,
    /// Of the new place, likewise.
    pub new_calibration_error: Option<f64>,
}

/// A reliability diagram.
#[derive(Debug, Clone, Serialize)]
pub struct Curve {
    /// What is known of the hour.
    pub hours: Hours,
    /// Who predicts.
    pub predictor: &'static str,
    /// Of the likeliest class.
    pub likeliest: Vec<Bin>,
    /// Of the new place.
    pub new: Vec<Bin>,
}

/// What is reached when ranking at a place.
#[derive(Debug, Clone, Serialize)]
pub struct Ranking {
    /// Who ranks.
    pub scorer: &'static str,
    /// Which queries.
    pub segment: &'static str,
    /// Where, or a difference of two.
    pub place: &'static str,
    /// How many queries.
    pub queries: usize,
    /// Mean reciprocal rank; 0 where the order's merchant was no candidate.
    pub mrr: Spread,
    /// Share of queries whose merchant was a candidate; absent for a difference.
    pub coverage: Option<f64>,
    /// What a score is multiplied with before places are weighed, set on the calibration slice.
    pub sharpness: f64,
}

/// Who predicts.
pub const PREDICTORS: [&str; 9] = [
    "place model",
    "place model, not calibrated",
    "profile",
    "profile with last event",
    "profile with last event, not calibrated",
    "last event inside the model",
    "counts by daypart",
    "most frequent place",
    "last place",
];

/// What is subtracted: better than the most frequent place, than counts, and what the last event brings.
const DIFFERENCES: [(&str, &str, &str); 3] = [
    ("place model - most frequent place", "place model", "most frequent place"),
    ("place model - counts by daypart", "place model", "counts by daypart"),
    ("profile with last event - profile", "profile with last event", "profile"),
];

type Segment = (&'static str, fn(&Asked<'_>) -> bool);

const SEGMENTS: [Segment; 6] = [
    ("all", |_| true),
    ("one order before", |asked| asked.query.n_before < 2),
    ("two to four orders", |asked| (2..5).contains(&asked.query.n_before)),
    ("five or more orders", |asked| asked.query.n_before >= 5),
    ("two used places", |asked| asked.used == 2),
    ("an event in the last day", |asked| asked.last_event.is_some()),
];

/// What a predictor says of a question; `None` where it has nothing of its own to say.
fn said(predictor: &str, asked: &Asked<'_>, hours: Hours, model: &PlaceModel, rules: &Rules) -> Option<Vec<f64>> {
    let weights = match hours {
        Hours::SendTime => &model.send_time,
        Hours::KnownHour => &model.known_hour,
    };
    let (hour, sends) = (asked.hour(hours), hours == Hours::SendTime);
    let raw = Fusion { power: 1.0, elsewhere: 1.0, ..FUSION };
    Some(match predictor {
        "place model" => weights.probabilities(&asked.facts, hour),
        "place model, not calibrated" => weights.raw(&asked.facts, hour),
        "counts by daypart" => counted(asked, hours),
        "most frequent place" => rules.most_frequent.probabilities(&asked.facts, most_frequent),
        "last place" => rules.last.probabilities(&asked.facts, last_place),
        "profile" if sends => asked.fused(weights, &FUSION, false),
        "profile with last event" if sends => asked.fused(weights, &FUSION, true),
        "profile with last event, not calibrated" if sends => asked.fused(weights, &raw, true),
        "last event inside the model" if sends => model.with_event.probabilities(&asked.facts, hour),
        _ => return None,
    })
}

/// Rules of thumb, as often right as they were before.
struct Rules {
    most_frequent: Rates,
    last: Rates,
}

/// Every predictor over the test slice, and what requests bring; `ranking` is added by [`rank`].
///
/// # Errors
/// A slice without a query, or a file of predictions that cannot be written.
pub fn report(
    study: &Study<'_>,
    model: &PlaceModel,
    simulated: Option<&str>,
    options: &ReportOptions,
    predictions: Option<&Path>,
) -> Result<PlacesReport, ReportError> {
    check(study)?;
    let test = study.test();
    let of = |rule: Rule| Rates::of(study.train(), rule);
    let rules = Rules { most_frequent: of(most_frequent), last: of(last_place) };
    let (mut figures, mut calibration, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for hours in [Hours::SendTime, Hours::KnownHour] {
        let mut answers: Vec<(&'static str, Vec<Answered<'_>>)> = Vec::new();
        for predictor in PREDICTORS {
            let answer = |asked: &Asked<'_>| said(predictor, asked, hours, model, &rules);
            let all: Option<Vec<Vec<f64>>> = test.par_iter().map(answer).collect();
            if let Some(all) = all {
                let all = all.into_iter().zip(test).map(|(said, asked)| asked.answered(said));
                answers.push((predictor, all.collect()));
            }
        }
        for segment in &SEGMENTS {
            figures.extend(lines(hours, segment, test, &answers, options));
        }
        for (predictor, answers) in &answers {
            let curve = |of: fn(&Answered<'_>) -> (f64, bool)| bins(answers.iter().map(of).collect());
            calibration.push(Curve { hours, predictor, likeliest: curve(confidence), new: curve(newness) });
        }
        if predictions.is_some() {
            rows.extend(answers.into_iter().map(|(predictor, answers)| (hours, predictor, answers)));
        }
    }
    if let Some(path) = predictions {
        write_predictions(path, &rows, test)?;
    }
    let readers: BTreeSet<&str> = test.iter().map(|asked| asked.query.user_id).collect();
    Ok(PlacesReport {
        simulated: simulated.map(str::to_owned),
        tested_from: freshrank::time::format(study.test_from),
        queries: test.len(),
        readers: readers.len(),
        resamples: options.resamples,
        figures,
        calibration,
        world: World::measured(),
        requests: evidence::figures(test, &model.send_time, options.resamples, options.seed),
        ranking: Vec::new(),
    })
}

/// Whether every slice has a query.
///
/// # Errors
/// One has none.
pub fn check(study: &Study<'_>) -> Result<(), ReportError> {
    let (train, calibrate, test) = (study.train().len(), study.calibrate().len(), study.test().len());
    let none = train == 0 || calibrate == 0 || test == 0;
    if none { Err(ReportError::NoQueries { train, calibrate, test }) } else { Ok(()) }
}

fn lines(
    hours: Hours,
    segment: &Segment,
    test: &[Asked<'_>],
    answers: &[(&'static str, Vec<Answered<'_>>)],
    options: &ReportOptions,
) -> Vec<Line> {
    let within: Vec<usize> = (0..test.len()).filter(|i| segment.1(&test[*i])).collect();
    if within.is_empty() {
        return Vec::new();
    }
    let line = |predictor, each: &[(&str, [f64; 4])], errors: Option<(f64, f64)>| {
        let [top_1, top_3, log_loss, brier] = spread(each, options.resamples, options.seed);
        Line {
            hours,
            segment: segment.0,
            predictor,
            queries: within.len(),
            top_1,
            top_3,
            log_loss,
            brier,
            calibration_error: errors.map(|errors| errors.0),
            new_calibration_error: errors.map(|errors| errors.1),
        }
    };
    let each = |answers: &[Answered<'_>]| -> Vec<(&str, [f64; 4])> {
        within.iter().map(|i| (test[*i].query.user_id, measures(&answers[*i]))).collect()
    };
    let mut lines: Vec<Line> = answers
        .iter()
        .map(|(predictor, answers)| {
            let error = |of: fn(&Answered<'_>) -> (f64, bool)| {
                calibration_error(&bins(within.iter().map(|i| of(&answers[*i])).collect()))
            };
            line(*predictor, &each(answers), Some((error(confidence), error(newness))))
        })
        .collect();
    let named = |name: &str| answers.iter().find(|(predictor, _)| *predictor == name).map(|(_, answers)| each(answers));
    for (difference, one, other) in DIFFERENCES {
        if let (Some(one), Some(other)) = (named(one), named(other)) {
            let less = |a: [f64; 4], b: [f64; 4]| [0, 1, 2, 3].map(|m| a[m] - b[m]);
            let each: Vec<(&str, [f64; 4])> = one.iter().zip(&other).map(|(a, b)| (a.0, less(a.1, b.1))).collect();
            lines.push(line(difference, &each, None));
        }
    }
    lines
}

/// Where a query is ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// As the engine decides.
    Decided,
    /// A place with a posterior; of known places, and of a stray event.
    Likely(usize),
    /// Where the order went.
    True,
}

/// The places of one query, with their posterior.
struct Weighed {
    points: Vec<(Point, f64)>,
    top: usize,
}

impl Weighed {
    fn of(asked: &Asked<'_>, model: &PlaceModel) -> Self {
        let (profile, _) = asked.profile(&model.send_time);
        let context = asked.context(true);
        let posterior = fuse(&profile, &context, &FUSION);
        let mut points: Vec<(Point, f64)> =
            profile.places.iter().map(|place| place.point).zip(posterior.places.iter().copied()).collect();
        let top = (0..points.len()).reduce(|a, b| if points[b].1 > points[a].1 { b } else { a }).unwrap_or(0);
        // Elsewhere has a point only where an event was.
        let stray = context.last_event.map(|event| event.point);
        let known = |point: Point| points.iter().any(|(other, _)| other.distance_km(point) <= 0.3);
        if let Some(point) = stray.filter(|point| !known(*point)) {
            points.push((point, posterior.elsewhere));
        }
        Self { points, top }
    }
}

/// Candidates of one query at one place, and how each scorer scores them.
struct Ranked {
    ids: Vec<MerchantId>,
    scores: Vec<Vec<f64>>,
}

const PLACES: [&str; 4] = ["decided by the engine", "top place", "posterior-weighted", "true place"];
/// What scores are tried to be multiplied with.
const SHARPNESS: [f64; 7] = [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0];

/// Ranks queries of the test slice at the top place, over all places by their posterior, and at the true place.
///
/// Over all places a merchant has the sum over places of posterior times its share among who delivers there, shares by
/// a softmax whose sharpness the calibration slice sets.
///
/// # Errors
/// An area that cannot be built.
pub fn rank(
    study: &Study<'_>,
    model: &PlaceModel,
    timeline: &Timeline<'_>,
    ltr: Option<&dyn Scorer>,
    options: &ReportOptions,
    progress: &dyn Fn(usize, usize),
) -> Result<Vec<Ranking>, ReportError> {
    let scorers: Vec<&'static str> = if ltr.is_some() { vec!["ltr", "prior"] } else { vec!["prior"] };
    let sample = |slice: &'_ [Asked<'_>], n: usize| -> Vec<usize> {
        let key = |i: &usize| {
            (mix(options.seed ^ mix(slice[*i].query.at as u64) ^ MerchantId::of(slice[*i].query.user_id).0), *i)
        };
        let mut all: Vec<usize> = (0..slice.len()).collect();
        all.sort_by_key(key);
        all.truncate(n);
        all.sort_unstable();
        all
    };
    let tuned: Vec<&Asked<'_>> =
        sample(study.calibrate(), options.ranked / 4).into_iter().map(|i| &study.calibrate()[i]).collect();
    let tested: Vec<&Asked<'_>> = sample(study.test(), options.ranked).into_iter().map(|i| &study.test()[i]).collect();

    let at_true = live(timeline, &tuned, ltr, progress, &|_| vec![(At::True, None)])?;
    let sharpness: Vec<f64> = (0..scorers.len()).map(|scorer| sharpest(&tuned, &at_true, scorer)).collect();

    let weighed: Vec<Weighed> = tested.iter().map(|asked| Weighed::of(asked, model)).collect();
    let places = |i: usize| -> Vec<(At, Option<Point>)> {
        let likely = weighed[i].points.iter().enumerate().map(|(k, (point, _))| (At::Likely(k), Some(*point)));
        likely.chain([(At::Decided, None), (At::True, None)]).collect()
    };
    let ranked = live(timeline, &tested, ltr, progress, &places)?;
    let mut found = Vec::new();
    for (s, scorer) in scorers.iter().enumerate() {
        // By place: the reciprocal rank of every query, and whether its merchant was there.
        let mut reached: [Vec<(f64, bool)>; 4] = Default::default();
        for (i, (asked, at)) in tested.iter().zip(&ranked).enumerate() {
            let wanted = asked.query.label;
            let single = |which: At| {
                let ranked = at.iter().find(|(at, _)| *at == which).map(|(_, ranked)| ranked);
                ranked.map_or((0.0, false), |ranked| judged(&ranked.ids, &ranked.scores[s], wanted))
            };
            let mut shares: BTreeMap<MerchantId, f64> = BTreeMap::new();
            for (k, (_, weight)) in weighed[i].points.iter().enumerate() {
                if let Some((_, ranked)) = at.iter().find(|(at, _)| *at == At::Likely(k)) {
                    for (id, share) in ranked.ids.iter().zip(softened(&ranked.scores[s], sharpness[s])) {
                        *shares.entry(*id).or_default() += weight * share;
                    }
                }
            }
            let (ids, weights): (Vec<MerchantId>, Vec<f64>) = shares.into_iter().unzip();
            reached[0].push(single(At::Decided));
            reached[1].push(single(At::Likely(weighed[i].top)));
            reached[2].push(judged(&ids, &weights, wanted));
            reached[3].push(single(At::True));
        }
        for segment in SEGMENTS
            .iter()
            .chain(&[("known places two or more", (|asked| asked.facts.spots.len() > 1) as fn(&Asked<'_>) -> bool)])
        {
            let within: Vec<usize> = (0..tested.len()).filter(|i| segment.1(tested[*i])).collect();
            let mut add = |place: &'static str, each: Vec<(&str, [f64; 4])>, coverage: Option<f64>| {
                found.push(Ranking {
                    scorer,
                    segment: segment.0,
                    place,
                    queries: within.len(),
                    mrr: spread(&each, options.resamples, options.seed)[0],
                    coverage,
                    sharpness: sharpness[s],
                });
            };
            if within.is_empty() {
                continue;
            }
            let user = |i: &usize| tested[*i].query.user_id;
            for (place, reached) in PLACES.iter().zip(&reached) {
                let each = within.iter().map(|i| (user(i), [reached[*i].0, 0.0, 0.0, 0.0])).collect();
                let there = within.iter().filter(|i| reached[**i].1).count();
                add(place, each, Some(there as f64 / within.len() as f64));
            }
            for (name, one, other) in [("posterior-weighted - top place", 2, 1), ("true place - top place", 3, 1)] {
                let less = |i: &usize| reached[one][*i].0 - reached[other][*i].0;
                add(name, within.iter().map(|i| (user(i), [less(i), 0.0, 0.0, 0.0])).collect(), None);
            }
        }
    }
    Ok(found)
}

/// Reciprocal rank, and whether the merchant was there at all.
fn judged(ids: &[MerchantId], scores: &[f64], wanted: MerchantId) -> (f64, bool) {
    let labels: Vec<f32> = ids.iter().map(|id| if *id == wanted { 1.0 } else { 0.0 }).collect();
    let there = ids.contains(&wanted);
    let missing: &[f32] = if there { &[] } else { &[1.0] };
    (judge(scores, &labels, missing).map_or(0.0, |measures| measures[0]), there)
}

fn softened(scores: &[f64], sharpness: f64) -> Vec<f64> {
    super::logit::softmax(scores.iter().map(|score| score / 65_536.0 * sharpness).collect())
}

/// The sharpness under which the orders of these queries are the likeliest, at their own places.
fn sharpest(asked: &[&Asked<'_>], ranked: &[Vec<(At, Ranked)>], scorer: usize) -> f64 {
    let loss = |sharpness: f64| -> f64 {
        let of = |(asked, at): (&&Asked<'_>, &Vec<(At, Ranked)>)| {
            let (_, ranked) = at.first()?;
            let wanted = asked.query.label;
            let i = ranked.ids.iter().position(|id| *id == wanted)?;
            Some(-libm::log(softened(&ranked.scores[scorer], sharpness)[i]))
        };
        asked.iter().zip(ranked).filter_map(of).sum()
    };
    SHARPNESS.into_iter().map(|s| (s, loss(s))).reduce(|a, b| if b.1 < a.1 { b } else { a }).map_or(1.0, |(s, _)| s)
}

/// Lets the engine retrieve and score at the places of every query.
fn live<'t>(
    timeline: &Timeline<'t>,
    asked: &[&Asked<'t>],
    ltr: Option<&dyn Scorer>,
    progress: &dyn Fn(usize, usize),
    places: &dyn Fn(usize) -> Vec<(At, Option<Point>)>,
) -> Result<Vec<Vec<(At, Ranked)>>, ReportError> {
    let (mut queries, mut of): (Vec<Query<'t>>, Vec<(usize, At)>) = Default::default();
    for (i, asked) in asked.iter().enumerate() {
        for (at, point) in places(i) {
            // A known place is an exact position there: nothing is left to be inferred.
            let protocol = if at == At::Decided { Protocol::SendTime } else { Protocol::KnownPlace };
            queries.push(Query { protocol, destination: point.unwrap_or(asked.query.destination), ..asked.query });
            of.push((i, at));
        }
    }
    let mut found: Vec<Vec<(At, Ranked)>> = asked.iter().map(|_| Vec::new()).collect();
    let mut next = of.into_iter();
    let score = |answer: &Answer<'_>| -> Vec<Vec<f64>> {
        let wide = |scores: Vec<i32>| scores.into_iter().map(f64::from).collect::<Vec<f64>>();
        let prior = || wide(score::prior(&answer.rows));
        match ltr {
            // A ranker that does not answer leaves the prior, as at an open.
            Some(ltr) => vec![score::score(ltr, &answer.rows).map_or_else(|_| prior(), wide), prior()],
            None => vec![prior()],
        }
    };
    timeline.live(&queries, progress, |answers| {
        for answer in answers {
            if let Some((i, at)) = next.next() {
                let ids = answer.kept.iter().map(|candidate| candidate.merchant.id).collect();
                found[i].push((at, Ranked { ids, scores: score(&answer) }));
            }
        }
    })?;
    Ok(found)
}

fn write_batch(path: &Path, columns: Vec<(&str, ArrayRef)>) -> Result<(), ReportError> {
    let wrong = |source| ReportError::Write { path: path.into(), source };
    let batch = RecordBatch::try_from_iter(columns).map_err(|error| wrong(error.into()))?;
    let write = || {
        let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), None)?;
        writer.write(&batch)?;
        writer.close().map(drop)
    };
    write().map_err(wrong)
}

/// One row a query and class: what every predictor said. The class never used before is the last of its query.
fn write_predictions(
    path: &Path,
    rows: &[(Hours, &'static str, Vec<Answered<'_>>)],
    test: &[Asked<'_>],
) -> Result<(), ReportError> {
    let each = || {
        rows.iter().flat_map(|(hours, predictor, answers)| {
            answers.iter().enumerate().flat_map(move |(i, answered)| {
                (0..answered.probabilities.len()).map(move |class| (*hours, *predictor, i, class, answered))
            })
        })
    };
    let numbers = |of: fn(&Asked<'_>) -> usize| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(each().map(|(_, _, i, ..)| of(&test[i]) as u32)))
    };
    write_batch(
        path,
        vec![
            ("hours", Arc::new(StringArray::from_iter_values(each().map(|(hours, ..)| hours.name())))),
            ("predictor", Arc::new(StringArray::from_iter_values(each().map(|(_, predictor, ..)| predictor)))),
            ("query_id", Arc::new(UInt32Array::from_iter_values(each().map(|(_, _, i, ..)| i as u32)))),
            ("user_id", Arc::new(StringArray::from_iter_values(each().map(|(.., answered)| answered.user_id)))),
            ("class", Arc::new(UInt32Array::from_iter_values(each().map(|(_, _, _, class, _)| class as u32)))),
            ("orders", numbers(|asked| asked.query.n_before)),
            ("used_places", numbers(|asked| asked.used)),
            ("probability", Arc::new(Float64Array::from_iter_values(each().map(|(_, _, _, c, a)| a.probabilities[c])))),
            ("came", Arc::new(each().map(|(_, _, _, c, a)| Some(a.label == c)).collect::<BooleanArray>())),
        ],
    )
}

/// One row a query and alternative: the send-time design matrix, its slice and what was chosen.
///
/// # Errors
/// The file cannot be written.
pub fn write_design(path: &Path, study: &Study<'_>) -> Result<(), ReportError> {
    let slices = [("train", study.train()), ("calibrate", study.calibrate()), ("test", study.test())];
    let asked: Vec<(usize, &str, &Asked<'_>)> = slices
        .iter()
        .flat_map(|(slice, asked)| asked.iter().map(|asked| (*slice, asked)))
        .enumerate()
        .map(|(i, (slice, asked))| (i, slice, asked))
        .collect();
    let each = || {
        asked
            .iter()
            .flat_map(|(i, slice, asked)| (0..=asked.facts.spots.len()).map(move |class| (*i, *slice, *asked, class)))
    };
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("query_id", Arc::new(UInt32Array::from_iter_values(each().map(|(i, ..)| i as u32)))),
        ("slice", Arc::new(StringArray::from_iter_values(each().map(|(_, slice, ..)| slice)))),
        ("class", Arc::new(UInt32Array::from_iter_values(each().map(|(.., class)| class as u32)))),
        ("chosen", Arc::new(each().map(|(_, _, asked, class)| Some(asked.label == class)).collect::<BooleanArray>())),
    ];
    let matrix: Vec<Vec<f64>> = asked.iter().map(|(.., asked)| asked.facts.rows(asked.message)).collect();
    for (c, column) in COLUMNS.iter().enumerate() {
        let values = matrix.iter().flat_map(|rows| rows.iter().skip(c).step_by(COLUMNS.len()).copied());
        columns.push((column.name, Arc::new(Float64Array::from_iter_values(values))));
    }
    write_batch(path, columns)
}

/// The reliability diagrams as a picture: the likeliest place, and the place never used before.
#[must_use]
pub fn svg(report: &PlacesReport) -> String {
    const SIDE: f64 = 320.0;
    const SHOWN: [(&str, &str); 4] = [
        ("place model, not calibrated", "#9a9a9a"),
        ("place model", "#0b6e4f"),
        ("profile with last event", "#1f5fbf"),
        ("most frequent place", "#c96a00"),
    ];
    let mut out = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 520\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"800\" height=\"520\" fill=\"#ffffff\"/>\n",
    );
    let mut say = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    let text = |x: f64, y: f64, anchor: &str, words: &str| {
        format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            words.replace('&', "&amp;").replace('<', "&lt;")
        )
    };
    let curves: Vec<&Curve> = report.calibration.iter().filter(|curve| curve.hours == Hours::SendTime).collect();
    type Of = fn(&Curve) -> &[Bin];
    let panels: [(&str, f64, f64, Of); 2] = [
        ("The likeliest place", 60.0, 1.0, |curve| &curve.likeliest),
        ("A place never used before", 450.0, 0.5, |curve| &curve.new),
    ];
    say(text(60.0, 24.0, "start", report.simulated.as_deref().unwrap_or("")));
    for (title, left, most, of) in panels {
        let top = 70.0;
        let (x, y) = (|p: f64| left + p / most * SIDE, |p: f64| top + SIDE - p / most * SIDE);
        say(format!("<g><text x=\"{left}\" y=\"{}\" font-size=\"16\" font-weight=\"bold\">{title}</text>", top - 14.0));
        for tick in 0..=5 {
            let p = most * f64::from(tick) / 5.0;
            say(format!(
                "<path d=\"M{left} {0:.1}H{1:.1}M{2:.1} {top}V{3:.1}\" stroke=\"#e3e3e3\"/>",
                y(p),
                left + SIDE,
                x(p),
                top + SIDE
            ));
            say(text(left - 6.0, y(p) + 4.0, "end", &format!("{:.0}%", 100.0 * p)));
            say(text(x(p), top + SIDE + 18.0, "middle", &format!("{:.0}%", 100.0 * p)));
        }
        say(format!(
            "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"#555\" stroke-dasharray=\"4 4\"/>",
            x(0.0),
            y(0.0),
            x(most),
            y(most)
        ));
        for (name, colour) in SHOWN {
            let Some(curve) = curves.iter().find(|curve| curve.predictor == name) else { continue };
            let inside = of(curve).iter().filter(|bin| bin.said <= most && bin.came <= most);
            let points: Vec<String> =
                inside.clone().map(|bin| format!("{:.1},{:.1}", x(bin.said), y(bin.came))).collect();
            say(format!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                points.join(" ")
            ));
            for bin in inside {
                say(format!(
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"{colour}\"><title>{name}: said {:.1} %, came {:.1} %, {} queries</title></circle>",
                    x(bin.said),
                    y(bin.came),
                    100.0 * bin.said,
                    100.0 * bin.came,
                    bin.n
                ));
            }
        }
        say(text(left + SIDE / 2.0, top + SIDE + 38.0, "middle", "said"));
        let (x, y) = (left - 44.0, top + SIDE / 2.0);
        say(format!("<g transform=\"rotate(-90 {x} {y})\">{}</g>", text(x, y, "middle", "came true")));
        say("</g>".into());
    }
    for (i, (name, colour)) in SHOWN.iter().enumerate() {
        let of = report
            .figures
            .iter()
            .find(|line| line.hours == Hours::SendTime && line.segment == "all" && line.predictor == *name);
        let errors = of.and_then(|line| line.calibration_error.zip(line.new_calibration_error));
        let (likeliest, new) = errors.unwrap_or((0.0, 0.0));
        let (left, y) = (60.0 + 390.0 * (i % 2) as f64, 462.0 + 24.0 * (i / 2) as f64);
        say(format!("<rect x=\"{left}\" y=\"{:.1}\" width=\"14\" height=\"14\" fill=\"{colour}\"/>", y - 11.0));
        say(text(
            left + 20.0,
            y,
            "start",
            &format!("{name}: off by {:.1} and {:.1} points", 100.0 * likeliest, 100.0 * new),
        ));
    }
    out.push_str("</svg>\n");
    out
}
