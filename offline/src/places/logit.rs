//! A conditional logit (McFadden 1974), fitted exactly: who has one of several alternatives chooses it with probability
//! proportional to exp(w . x).
//!
//! Newton's method on the log likelihood less a ridge; it is concave, so that there is one answer. Sums run in the order
//! of the groups: the same groups give the same bits.

/// One choice: a row of `width` numbers for every alternative, and which was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Row by row.
    pub rows: Vec<f64>,
    /// A row.
    pub chosen: usize,
}

/// Steps after which the fit is taken as it is; it takes about eight.
const MAX_STEPS: usize = 100;
/// The largest gradient of a fit that is done, as a share of the choices.
const DONE: f64 = 1e-12;

/// exp(w . x), divided by its sum over the rows; in the order of the rows.
#[must_use]
pub fn shares(rows: &[f64], weights: &[f64]) -> Vec<f64> {
    let utility = |row: &[f64]| row.iter().zip(weights).fold(0.0, |sum, (x, w)| sum + x * w);
    softmax(rows.chunks_exact(weights.len().max(1)).map(utility).collect())
}

/// First the last row against all others, with odds of exp(w . x); then one of the others by its share of them. What is far
/// or long ago among the others makes the last no likelier.
#[must_use]
pub fn nested(rows: &[f64], weights: &[f64]) -> Vec<f64> {
    let (others, last) = rows.split_at(rows.len().saturating_sub(weights.len()));
    if others.is_empty() {
        return vec![1.0];
    }
    let utility = last.iter().zip(weights).fold(0.0, |sum, (x, w)| sum + x * w);
    let last = 1.0 / (1.0 + libm::exp(-utility));
    shares(others, weights).into_iter().map(|p| (1.0 - last) * p).chain([last]).collect()
}

/// exp(u), divided by its sum.
#[must_use]
pub fn softmax(mut utilities: Vec<f64>) -> Vec<f64> {
    let best = utilities.iter().copied().fold(f64::NEG_INFINITY, |a, b| if b > a { b } else { a });
    utilities.iter_mut().for_each(|u| *u = libm::exp(*u - best));
    let sum: f64 = utilities.iter().sum();
    utilities.iter_mut().for_each(|u| *u /= sum);
    utilities
}

/// The weights that maximise the log likelihood less `ridge / 2 * |w - start|^2`; weights whose `free` is false stay
/// where they start.
#[must_use]
pub fn fit(choices: &[Choice], start: &[f64], free: &[bool], ridge: f64) -> Vec<f64> {
    let width = start.len();
    let free: Vec<usize> = (0..width).filter(|i| free.get(*i) == Some(&true)).collect();
    let n = free.len();
    let mut weights = start.to_vec();
    let mut value = objective(choices, &weights, start, ridge);
    for _ in 0..MAX_STEPS {
        let (mut gradient, mut curvature) = (vec![0.0; n], vec![0.0; n * n]);
        for choice in choices {
            add(choice, &weights, &free, &mut gradient, &mut curvature);
        }
        for (i, &column) in free.iter().enumerate() {
            gradient[i] -= ridge * (weights[column] - start[column]);
            curvature[i * n + i] += ridge;
        }
        if gradient.iter().all(|g| g.abs() <= DONE * choices.len() as f64) {
            break;
        }
        let Some(step) = solve(curvature, gradient) else { break };
        // A whole step can only be too long far from the answer.
        let mut length = 1.0;
        let moved = loop {
            let mut tried = weights.clone();
            free.iter().zip(&step).for_each(|(column, step)| tried[*column] += length * step);
            let reached = objective(choices, &tried, start, ridge);
            if reached >= value {
                let better = reached > value;
                (weights, value) = (tried, reached);
                break better;
            }
            length /= 2.0;
            if length < 1e-9 {
                break false;
            }
        };
        if !moved {
            break;
        }
    }
    weights
}

/// Mean of -ln(share of what was chosen).
#[must_use]
pub fn log_loss(choices: &[Choice], weights: &[f64]) -> f64 {
    let of = |choice: &Choice| shares(&choice.rows, weights).get(choice.chosen).map_or(0.0, |p| -libm::log(*p));
    choices.iter().map(of).sum::<f64>() / choices.len().max(1) as f64
}

fn objective(choices: &[Choice], weights: &[f64], start: &[f64], ridge: f64) -> f64 {
    let far: f64 = weights.iter().zip(start).map(|(w, s)| (w - s) * (w - s)).sum();
    -log_loss(choices, weights) * choices.len() as f64 - ridge / 2.0 * far
}

/// One choice's part of gradient and negative Hessian.
fn add(choice: &Choice, weights: &[f64], free: &[usize], gradient: &mut [f64], curvature: &mut [f64]) {
    let n = free.len();
    let shares = shares(&choice.rows, weights);
    let rows: Vec<&[f64]> = choice.rows.chunks_exact(weights.len()).collect();
    let mut mean = vec![0.0; n];
    for (row, share) in rows.iter().zip(&shares) {
        mean.iter_mut().zip(free).for_each(|(mean, column)| *mean += share * row[*column]);
    }
    if let Some(row) = rows.get(choice.chosen) {
        (0..n).for_each(|i| gradient[i] += row[free[i]] - mean[i]);
    }
    for (row, share) in rows.iter().zip(&shares) {
        for i in 0..n {
            let left = share * (row[free[i]] - mean[i]);
            if left != 0.0 {
                (0..n).for_each(|j| curvature[i * n + j] += left * (row[free[j]] - mean[j]));
            }
        }
    }
}

/// Solves a symmetric positive definite system by Cholesky's method; `None` where it is none.
fn solve(mut a: Vec<f64>, mut b: Vec<f64>) -> Option<Vec<f64>> {
    let n = b.len();
    for j in 0..n {
        for i in j..n {
            let mut sum = a[i * n + j];
            (0..j).for_each(|k| sum -= a[i * n + k] * a[j * n + k]);
            if i == j {
                if sum <= 0.0 || !sum.is_finite() {
                    return None;
                }
                a[i * n + j] = libm::sqrt(sum);
            } else {
                a[i * n + j] = sum / a[j * n + j];
            }
        }
    }
    for i in 0..n {
        (0..i).for_each(|k| b[i] -= a[i * n + k] * b[k]);
        b[i] /= a[i * n + i];
    }
    for i in (0..n).rev() {
        (i + 1..n).for_each(|k| b[i] -= a[k * n + i] * b[k]);
        b[i] /= a[i * n + i];
    }
    Some(b)
}

/// The least value of a smooth function of a few numbers, by the simplex of Nelder and Mead (1965); `steps` are the
/// sides of the first simplex.
#[must_use]
pub fn minimise(start: &[f64], steps: &[f64], rounds: usize, f: &dyn Fn(&[f64]) -> f64) -> Vec<f64> {
    let n = start.len();
    let mut simplex: Vec<(Vec<f64>, f64)> = Vec::with_capacity(n + 1);
    for corner in 0..=n {
        let mut at = start.to_vec();
        if let Some(i) = corner.checked_sub(1) {
            at[i] += steps[i];
        }
        let value = f(&at);
        simplex.push((at, value));
    }
    for _ in 0..rounds {
        simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
        if simplex[n].1 - simplex[0].1 < 1e-12 {
            break;
        }
        let middle: Vec<f64> = (0..n).map(|i| simplex[..n].iter().map(|(x, _)| x[i]).sum::<f64>() / n as f64).collect();
        let worst = simplex[n].clone();
        let along = |t: f64| -> (Vec<f64>, f64) {
            let at: Vec<f64> = middle.iter().zip(&worst.0).map(|(m, w)| m + t * (m - w)).collect();
            let value = f(&at);
            (at, value)
        };
        let mirrored = along(1.0);
        simplex[n] = if mirrored.1 < simplex[0].1 {
            let farther = along(2.0);
            if farther.1 < mirrored.1 { farther } else { mirrored }
        } else if mirrored.1 < simplex[n - 1].1 {
            mirrored
        } else {
            let nearer = if mirrored.1 < worst.1 { along(0.5) } else { along(-0.5) };
            if nearer.1 < worst.1.min(mirrored.1) {
                nearer
            } else {
                let best = simplex[0].0.clone();
                for (at, value) in simplex.iter_mut().skip(1) {
                    at.iter_mut().zip(&best).for_each(|(x, b)| *x = (*x + b) / 2.0);
                    *value = f(at);
                }
                continue;
            }
        };
    }
    simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
    simplex.swap_remove(0).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt as _, SeedableRng as _};

    fn drawn(n: usize, truth: &[f64]) -> Vec<Choice> {
        let mut dice = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let choice = |_| {
            let alternatives = dice.random_range(2..5);
            let rows: Vec<f64> = (0..alternatives * truth.len()).map(|_| dice.random_range(-1.0..1.0)).collect();
            let mut left = dice.random::<f64>();
            let shares = shares(&rows, truth);
            let chosen = shares.iter().position(|p| {
                left -= p;
                left < 0.0
            });
            Choice { rows, chosen: chosen.unwrap_or(alternatives - 1) }
        };
        (0..n).map(choice).collect()
    }

    #[test]
    fn the_weights_behind_many_choices_are_found_again() {
        let truth = [1.5, -0.7, 0.0];
        let found = fit(&drawn(20_000, &truth), &[0.0; 3], &[true; 3], 1.0);
        for (found, truth) in found.iter().zip(truth) {
            assert!((found - truth).abs() < 0.06, "{found} for {truth}");
        }
    }

    #[test]
    fn at_the_answer_any_other_weight_is_worse_and_a_weight_that_is_not_free_stays() {
        let choices = drawn(500, &[1.0, -1.0]);
        let found = fit(&choices, &[0.0, 0.0], &[true, true], 0.5);
        let at = |w: &[f64]| objective(&choices, w, &[0.0, 0.0], 0.5);
        for step in [[1e-3, 0.0], [-1e-3, 0.0], [0.0, 1e-3], [0.0, -1e-3]] {
            assert!(at(&[found[0] + step[0], found[1] + step[1]]) < at(&found));
        }
        assert_eq!(fit(&choices, &[0.25, 0.0], &[false, true], 0.5)[0], 0.25);
    }

    #[test]
    fn a_simplex_walks_down_rosenbrocks_valley() {
        let f = |x: &[f64]| (1.0 - x[0]) * (1.0 - x[0]) + 100.0 * (x[1] - x[0] * x[0]) * (x[1] - x[0] * x[0]);
        let found = minimise(&[-1.2, 1.0], &[0.5, 0.5], 500, &f);
        assert!((found[0] - 1.0).abs() < 1e-3 && (found[1] - 1.0).abs() < 1e-3, "{found:?}");
    }
}
