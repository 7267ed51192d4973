use super::*;

/// Even numbers in 0..1 that depend on nothing but their place.
fn number(i: u64) -> f64 {
    (mix(i) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Queries whose choice follows a conditional logit of these weights over the first columns, twenty candidates each.
fn chosen_by(weights: &[f64], queries: u64) -> Vec<Rivals> {
    let query = |q: u64| {
        let value = |i: u64, j: u64| 2.0 * number(mix(q * 1000 + i) ^ j) - 1.0;
        let candidates = (0..20).map(|i| {
            let utility: f64 = weights.iter().zip(0..).map(|(weight, j)| weight * value(i, j)).sum();
            // Gumbel noise makes the choice a logit.
            (i, utility - libm::log(-libm::log(number(mix(q ^ 0xabcd) ^ i))))
        });
        let (best, _) = candidates.fold((0, f64::MIN), |best, other| if other.1 > best.1 { other } else { best });
        let more = |j: usize| {
            let more =
                |i: u64| if j < weights.len() { (value(i, j as u64) - value(best, j as u64)) as f32 } else { 0.0 };
            (0..20).filter(|i| *i != best).map(more).collect()
        };
        Rivals { more: std::array::from_fn(more) }
    };
    (0..queries).map(query).collect()
}

#[test]
fn a_logit_finds_the_weights_that_chose() {
    let rivals = chosen_by(&[1.5, -0.7, 0.0], 4000);
    let found = conditional_logit(&rivals, &spread(&rivals));
    for (found, true_weight) in found.iter().zip([1.5, -0.7, 0.0]) {
        assert!((found - true_weight).abs() < 0.1, "{found} for {true_weight}");
    }
    assert!(found[3..].iter().all(|weight| *weight == 0.0), "a column that never differs says nothing");
}

fn recall(rivals: &[Rivals], weights: &[f64; N_COLUMNS]) -> f64 {
    let hit = |r: &&Rivals| r.leads(weights).iter().filter(|lead| **lead > 0.0).count() as f64 + 1.0 <= depth(0.1, 20);
    rivals.iter().filter(hit).count() as f64 / rivals.len() as f64
}

#[test]
fn the_ascent_finds_what_the_start_did_not_see() {
    let rivals = chosen_by(&[2.0, -2.0], 1500);
    let spread = spread(&rivals);
    let mut blind = [0.0; N_COLUMNS];
    blind[0] = 1.0;
    let found = ascend(&rivals, blind, &spread, 0.1);
    let best = conditional_logit(&rivals, &spread);
    assert!(recall(&rivals, &found) > recall(&rivals, &blind) + 0.05);
    assert!(recall(&rivals, &found) > recall(&rivals, &best) - 0.02, "as good as the truth's own form");
}

#[test]
fn a_share_of_few_is_one() {
    assert_eq!([depth(0.1, 3), depth(0.1, 10), depth(0.1, 11), depth(0.1, 130)], [1.0, 1.0, 2.0, 13.0]);
}

#[test]
fn what_is_written_is_what_the_engine_compiles_in() {
    let tuned = Tuned {
        simulated: [("a".to_owned(), "simulated".to_owned())].into(),
        columns: FIRST_PASS,
        weights: Pool::ALL.map(|pool| (pool.name(), WEIGHTS.by_pool[pool as usize])).into(),
        turns: Pool::ALL.map(|pool| (pool.name(), WEIGHTS.turns[pool as usize])).into(),
        markets: Vec::new(),
    };
    let code =
        |text: &str| text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    assert_eq!(code(&tuned.source()), code(include_str!("../../../src/retrieve/first_pass.in")));
}
