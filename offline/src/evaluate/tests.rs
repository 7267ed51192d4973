use super::*;
use crate::market::{Parameters, simulate};
use crate::tables::{Merchant, Tables};
use proptest::prelude::*;
use std::sync::LazyLock;

const TOLERANCE: f64 = 1e-12;

fn close(a: Measures, b: Measures) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() < TOLERANCE)
}

#[test]
fn the_order_ranked_third_gains_as_by_hand() {
    let found = judge(&[0.9, 0.8, 0.7, 0.1], &[0.0, 0.0, 1.0, 0.0], &[]).unwrap();
    // 1/3; 1/log2(4); not first; among four; among ten, fifty, a hundred; covered.
    assert!(close(found, [1.0 / 3.0, 0.5, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]), "{found:?}");
}

#[test]
fn gains_are_two_to_the_label_less_one() {
    let found = judge(&[3.0, 2.0, 1.0], &[1.0, 0.0, 2.0], &[]).unwrap();
    let ideal = 3.0 + 1.0 / libm::log2(3.0);
    assert!(close(found, [1.0, (1.0 + 3.0 / 2.0) / ideal, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]), "{found:?}");
}

#[test]
fn a_tie_of_two_is_judged_half_and_half() {
    let found = judge(&[1.0, 1.0], &[0.0, 1.0], &[]).unwrap();
    let ndcg = (1.0 + 1.0 / libm::log2(3.0)) / 2.0;
    assert!(close(found, [0.75, ndcg, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]), "{found:?}");
}

#[test]
fn who_tells_nothing_has_the_harmonic_mean_of_chance() {
    let mut labels = [0.0; 100];
    labels[17] = 1.0;
    let found = judge(&[0.0; 100], &labels, &[]).unwrap();
    let harmonic: f64 = (1..=100).map(|rank| 1.0 / f64::from(rank)).sum::<f64>() / 100.0;
    assert!((found[0] - harmonic).abs() < TOLERANCE);
    assert!(
        (found[2] - 0.01).abs() < TOLERANCE
            && (found[3] - 0.04).abs() < TOLERANCE
            && (found[4] - 0.1).abs() < TOLERANCE
            && (found[5] - 0.1).abs() < TOLERANCE
            && (found[6] - 0.5).abs() < TOLERANCE
            && found[7] == 1.0
            && found[8] == 1.0
    );
}

#[test]
fn what_is_no_candidate_counts_in_recall() {
    let found = judge(&[2.0, 1.0], &[1.0, 0.0], &[1.0, 1.0]).unwrap();
    assert!((found[5] - 1.0 / 3.0).abs() < TOLERANCE && found[8] == 1.0, "{found:?}");
}

#[test]
fn a_filtered_order_gains_nothing_and_a_query_without_order_is_none() {
    assert_eq!(judge(&[1.0, 0.5], &[0.0, 0.0], &[1.0]), Some([0.0; N_MEASURES]));
    assert_eq!(judge(&[], &[], &[1.0]), Some([0.0; N_MEASURES]));
    assert_eq!(judge(&[1.0, 0.5], &[0.0, 0.0], &[]), None);
}

/// The reference: every order of the candidates that the scores allow, each alike.
fn brute(scores: &[f64], labels: &[f32]) -> Measures {
    fn permutations(items: Vec<usize>) -> Vec<Vec<usize>> {
        if items.is_empty() {
            return vec![Vec::new()];
        }
        let with = |i: usize| {
            let mut rest = items.clone();
            let first = rest.remove(i);
            permutations(rest).into_iter().map(move |rest| [vec![first], rest].concat())
        };
        (0..items.len()).flat_map(with).collect()
    }
    let falling = |order: &Vec<usize>| order.windows(2).all(|pair| scores[pair[0]] >= scores[pair[1]]);
    let allowed: Vec<Vec<usize>> = permutations((0..scores.len()).collect()).into_iter().filter(falling).collect();
    let mut sum = [0.0; N_MEASURES];
    for order in &allowed {
        // Without a tie left, positions are scores.
        let position: Vec<f64> =
            (0..scores.len()).map(|i| -(order.iter().position(|at| *at == i).unwrap() as f64)).collect();
        let gain = |label: f32| libm::exp2(f64::from(label)) - 1.0;
        let mut ranked: Vec<(f64, f32)> = position.iter().copied().zip(labels.iter().copied()).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut best = labels.to_vec();
        best.sort_by(|a, b| b.total_cmp(a));
        let dcg = |labels: &[f32]| -> f64 {
            (0..labels.len().min(10)).map(|i| gain(labels[i]) / libm::log2(i as f64 + 2.0)).sum()
        };
        let shown: Vec<f32> = ranked.iter().map(|(_, label)| *label).collect();
        let first = 1 + shown.iter().position(|label| *label > 0.0).unwrap();
        sum[0] += 1.0 / first as f64;
        sum[1] += dcg(&shown) / dcg(&best);
        for (measure, depth) in [(2, 1), (3, 4), (4, 10)] {
            sum[measure] += if first <= depth { 1.0 } else { 0.0 };
        }
        let relevant = |labels: &[f32]| labels.iter().filter(|label| **label > 0.0).count() as f64;
        for (measure, depth) in [(5, 10), (6, 50), (7, 100)] {
            sum[measure] += relevant(&shown[..shown.len().min(depth)]) / relevant(&shown);
        }
        sum[8] += 1.0;
    }
    sum.map(|value| value / allowed.len() as f64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ties_are_the_mean_over_all_permutations(
        rows in prop::collection::vec((0_u8..3, 0_u8..3), 1..7),
    ) {
        let scores: Vec<f64> = rows.iter().map(|(score, _)| f64::from(*score)).collect();
        let labels: Vec<f32> = rows.iter().map(|(_, label)| f32::from(*label)).collect();
        match judge(&scores, &labels, &[]) {
            Some(found) => prop_assert!(close(found, brute(&scores, &labels)), "{found:?}"),
            None => prop_assert!(labels.iter().all(|label| *label == 0.0)),
        }
    }
}

fn judged(user_id: &str, ltr: f64, prior: f64) -> Judged {
    let measures = vec![[ltr; N_MEASURES], [prior; N_MEASURES]];
    Judged { user_id: user_id.into(), n_before: 3, travelling: false, new_merchant: false, measures }
}

#[test]
fn queries_and_readers_count_alike_each_in_their_own_mean() {
    // One reader with three queries, one with one.
    let queries = [judged("a", 1.0, 0.5), judged("a", 1.0, 0.5), judged("a", 1.0, 0.5), judged("b", 0.0, 0.25)];
    let (lines, gap) = figures(&SEGMENTS[0], &queries, &["ltr", "prior"], &EvaluateOptions::new(0));
    let mrr: Vec<(&str, f64, f64)> =
        lines.iter().map(|line| (line.scorer.as_str(), line.by_query.mrr.value, line.by_reader.mrr.value)).collect();
    assert_eq!(mrr, [("ltr", 0.75, 0.5), ("prior", 0.4375, 0.375), ("ltr - prior", 0.3125, 0.125)]);
    assert_eq!(gap, None, "without an oracle nobody knows the gap");
    // Two readers resampled are one, the other, or both.
    let interval = lines[2].by_reader.mrr;
    assert_eq!((interval.low, interval.high), (-0.25, 0.5));
    assert!(figures(&SEGMENTS[1], &queries, &["ltr", "prior"], &EvaluateOptions::new(0)).0.is_empty());
}

#[test]
fn intervals_narrow_as_the_bootstrap_says() {
    // Half of 400 readers gain 1, half nothing: the standard error is 0.025, the interval twice 1.96 of it.
    const NAMES: [&str; 2] = ["even", "odd"];
    let queries: Vec<Judged> = (0..400).map(|i| judged(&format!("{}{i}", NAMES[i % 2]), (i % 2) as f64, 0.0)).collect();
    let (lines, _) = figures(&SEGMENTS[0], &queries, &["ltr", "prior"], &EvaluateOptions::new(0));
    let interval = lines[0].by_query.mrr;
    assert!((interval.high - interval.low - 2.0 * 1.96 * 0.025).abs() < 0.01, "{interval:?}");
    assert_eq!(interval, lines[2].by_query.mrr, "the difference to nothing is the figure itself");
}

#[test]
fn the_rank_of_all_is_coverage_times_the_rank_of_those_covered() {
    let of = |user_id: &str, rank: f64, covered: f64| {
        let mut measures = [0.0; N_MEASURES];
        (measures[RECIPROCAL_RANK], measures[COVERED]) = (rank, covered);
        Judged { user_id: user_id.into(), n_before: 1, travelling: false, new_merchant: true, measures: vec![measures] }
    };
    let queries = [of("a", 0.5, 1.0), of("a", 0.0, 0.0), of("b", 1.0, 1.0), of("c", 0.0, 0.0)];
    let (lines, _) = figures(&SEGMENTS[0], &queries, &["prior"], &EvaluateOptions::new(0));
    let scores = lines[0].by_query;
    assert_eq!((scores.mrr.value, scores.coverage.value), (0.375, 0.5));
    assert_eq!(scores.mrr_covered.unwrap().value, 0.75);
    let nobody = [of("a", 0.0, 0.0)];
    let (lines, _) = figures(&SEGMENTS[0], &nobody, &["prior"], &EvaluateOptions::new(0));
    assert_eq!(lines[0].by_query.mrr_covered, None);
}

#[test]
fn half_way_from_prior_to_oracle_is_half_the_gap() {
    let of = |user_id: &str, [ltr, prior, oracle]: [f64; 3]| {
        let measures = [ltr, prior, oracle].map(|value| [value; N_MEASURES]).to_vec();
        Judged { user_id: user_id.into(), n_before: 1, travelling: false, new_merchant: true, measures }
    };
    let queries = [of("a", [0.5, 0.25, 0.75]), of("b", [0.5, 0.25, 0.75])];
    let (lines, gap) = figures(&SEGMENTS[0], &queries, &["ltr", "prior", "oracle"], &EvaluateOptions::new(0));
    let gap = gap.unwrap().mrr.unwrap();
    assert_eq!((gap.low, gap.value, gap.high), (0.5, 0.5, 0.5));
    let names: Vec<&str> = lines.iter().map(|line| line.scorer.as_str()).collect();
    assert_eq!(names, ["ltr", "prior", "oracle", "ltr - prior", "ltr - oracle"]);
}

const CUISINES: [[&str; 2]; 5] =
    [["pizza", "italian"], ["sushi", "japanese"], ["burger", "american"], ["kebab", "pizza"], ["thai", "sushi"]];

/// A town of merchants, and half a year of demand for them.
pub(crate) static MARKET: LazyLock<(Tables, CuisineMap, Oracle)> = LazyLock::new(|| {
    let merchant = |n: usize| Merchant {
        merchant_id: format!("m{n}"),
        name: format!("Merchant {n}"),
        latitude: 60.15 + 0.004 * (n % 8) as f64,
        longitude: 24.90 + 0.008 * (n / 8) as f64,
        country: Some("FI".into()),
        cuisines: CUISINES[n % 5].map(String::from).to_vec(),
        opening_hours: Some(["Mo-Su 10:00-22:00", "Mo-Fr 10:30-15:00", "24/7"][n % 3].to_owned()),
        ..Merchant::default()
    };
    let merchants: Vec<Merchant> = (0..64).map(merchant).collect();
    let market = simulate(&merchants, &Parameters::frozen().unwrap(), 5, 600, "fi/helsinki").unwrap();
    let map = crate::cuisines::fit(&market.tables.merchants, &crate::cuisines::FitOptions::default()).unwrap();
    (market.tables, map, market.oracle)
});

/// The last month of the town.
pub(super) fn last_month() -> EvaluateOptions {
    let end = MARKET.0.orders.last().unwrap().ordered_at;
    EvaluateOptions { resamples: 50, ..EvaluateOptions::new(end - 30 * 86_400) }
}

#[test]
fn an_honest_market_is_evaluated_and_audited() {
    let (tables, map, oracle) = &*MARKET;
    let found = evaluate(tables, map, Some(oracle), None, &last_month(), None, &|_, _| ()).unwrap();
    for protocol in &found.protocols {
        assert!(protocol.queries > 100 && protocol.audited > 0, "{protocol:?}");
        assert_eq!((protocol.suspicions.len(), protocol.empty), (0, 0));
        let filtered: usize = protocol.filtered.values().sum();
        let coverage = protocol.figures[0].by_query.coverage.value;
        assert!((coverage - 1.0 + filtered as f64 / protocol.queries as f64).abs() < 1e-12, "{coverage} {filtered}");
    }
    let picture = chart::evaluation(&found);
    assert!(picture.contains("simulated by `freshrank market`") && picture.ends_with("</svg>\n"));
}

/// The planted leak: every order of the last month also stands in the log two days earlier.
#[test]
fn orders_that_stand_twice_in_the_log_are_refused_as_a_leak() {
    let (tables, map, _) = &*MARKET;
    let options = last_month();
    let mut leaking = tables.clone();
    let late = tables.orders.iter().filter(|order| order.ordered_at >= options.split + 3 * 86_400);
    leaking
        .orders
        .extend(late.map(|order| crate::tables::Order { ordered_at: order.ordered_at - 2 * 86_400, ..order.clone() }));
    leaking
        .orders
        .sort_by(|a, b| (a.ordered_at, &a.user_id, &a.merchant_id).cmp(&(b.ordered_at, &b.user_id, &b.merchant_id)));
    let error = evaluate(&leaking, map, None, None, &options, None, &|_, _| ()).unwrap_err();
    assert!(matches!(&error, EvaluateError::Suspicious { .. }), "{error}");
    assert!(error.to_string().contains("repeat the reader's last one where it was within 4 days"), "{error}");

    let allowed = EvaluateOptions { allow_leaks: true, ..options };
    let found = evaluate(&leaking, map, None, None, &allowed, None, &|_, _| ()).unwrap();
    assert!(found.protocols.iter().all(|protocol| !protocol.suspicions.is_empty()));
}

/// The planted leak: code that looks a day ahead.
#[test]
fn a_row_that_changes_without_its_future_is_refused() {
    let (tables, map, _) = &*MARKET;
    let options = last_month();
    let catalog = Catalog::new(tables, map, &options.timeline.areas);
    let audit = |seen: &Tables| {
        let timeline = Timeline::new(seen, map, &catalog, &options.timeline).unwrap();
        let (queries, _) = timeline.queries(seen, Protocol::KnownPlace, options.split);
        let mut witness = leak::Witness::new(queries.len(), options.cuts);
        timeline.live(&queries, &|_, _| (), |answers| answers.iter().for_each(|answer| witness.see(answer))).unwrap();
        witness.audit(tables.into(), map, &options)
    };
    assert!(audit(tables).unwrap() > 0);
    // A clairvoyant: its popularity and profiles are of a log in which tomorrow's orders are today's.
    let mut tomorrow = tables.clone();
    tomorrow.orders.iter_mut().for_each(|order| order.ordered_at -= 86_400);
    let error = audit(&tomorrow).unwrap_err();
    assert!(matches!(&error, EvaluateError::Leak(_)), "{error}");
    assert!(error.to_string().starts_with("leak: known-place query of 20"), "{error}");
}
