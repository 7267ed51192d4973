use super::*;
use proptest::prelude::*;

const TOLERANCE: f64 = 1e-12;

fn close(a: Measures, b: Measures) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() < TOLERANCE)
}

#[test]
fn the_order_ranked_third_gains_as_by_hand() {
    let found = judge(&[0.9, 0.8, 0.7, 0.1], &[0.0, 0.0, 1.0, 0.0], &[]).unwrap();
    // 1/3; 1/log2(4); not first; among four; among ten.
    assert!(close(found, [1.0 / 3.0, 0.5, 0.0, 1.0, 1.0]), "{found:?}");
}

#[test]
fn gains_are_two_to_the_label_less_one() {
    let found = judge(&[3.0, 2.0, 1.0], &[1.0, 0.0, 2.0], &[]).unwrap();
    let ideal = 3.0 + 1.0 / libm::log2(3.0);
    assert!(close(found, [1.0, (1.0 + 3.0 / 2.0) / ideal, 1.0, 1.0, 1.0]), "{found:?}");
}

#[test]
fn a_tie_of_two_is_judged_half_and_half() {
    let found = judge(&[1.0, 1.0], &[0.0, 1.0], &[]).unwrap();
    let ndcg = (1.0 + 1.0 / libm::log2(3.0)) / 2.0;
    assert!(close(found, [0.75, ndcg, 0.5, 1.0, 1.0]), "{found:?}");
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
    );
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

fn judged(user_id: &'static str, ltr: f64, prior: f64) -> Judged<'static> {
    let measures = vec![[ltr; N_MEASURES], [prior; N_MEASURES]];
    Judged { user_id, n_before: 3, travelling: false, new_merchant: false, measures }
}

#[test]
fn queries_and_readers_count_alike_each_in_their_own_mean() {
    // One reader with three queries, one with one.
    let queries = [judged("a", 1.0, 0.5), judged("a", 1.0, 0.5), judged("a", 1.0, 0.5), judged("b", 0.0, 0.25)];
    let lines = figures(&SEGMENTS[0], &queries, &["ltr", "prior"], &EvaluateOptions::new(0));
    let mrr: Vec<(&str, f64, f64)> =
        lines.iter().map(|line| (line.scorer, line.by_query.mrr.value, line.by_reader.mrr.value)).collect();
    assert_eq!(mrr, [("ltr", 0.75, 0.5), ("prior", 0.4375, 0.375), ("ltr - prior", 0.3125, 0.125)]);
    // Two readers resampled are one, the other, or both.
    let interval = lines[2].by_reader.mrr;
    assert_eq!((interval.low, interval.high), (-0.25, 0.5));
    assert!(figures(&SEGMENTS[1], &queries, &["ltr", "prior"], &EvaluateOptions::new(0)).is_empty());
}

#[test]
fn intervals_narrow_as_the_bootstrap_says() {
    // Half of 400 readers gain 1, half nothing: the standard error is 0.025, the interval twice 1.96 of it.
    const NAMES: [&str; 2] = ["even", "odd"];
    let names: Vec<&'static str> = (0..400).map(|i| &*format!("{}{i}", NAMES[i % 2]).leak()).collect();
    let queries: Vec<Judged<'_>> =
        names.iter().enumerate().map(|(i, name)| judged(name, (i % 2) as f64, 0.0)).collect();
    let lines = figures(&SEGMENTS[0], &queries, &["ltr", "prior"], &EvaluateOptions::new(0));
    let interval = lines[0].by_query.mrr;
    assert!((interval.high - interval.low - 2.0 * 1.96 * 0.025).abs() < 0.01, "{interval:?}");
    assert_eq!(interval, lines[2].by_query.mrr, "the difference to nothing is the figure itself");
}
