//! Exact t-SNE in two dimensions (van der Maaten and Hinton 2008), for a few hundred points and a picture.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// Gradient steps; the first quarter pulls harder, so that clusters find each other.
const STEPS: usize = 1000;
const EXAGGERATED_STEPS: usize = 250;
const EXAGGERATION: f64 = 12.0;
/// What momentum starts with and goes on with.
const MOMENTUM: (f64, f64) = (0.5, 0.8);
/// Spread of the points before the first step.
const FIRST_SPREAD: f64 = 1e-4;
/// Halvings of the search for a point's bandwidth.
const BANDWIDTH_STEPS: usize = 64;

/// Points in the plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// By point; directions and scale mean nothing, nearness does.
    pub points: Vec<(f64, f64)>,
    /// Kullback-Leibler divergence of the plane's neighbourhoods from the true ones, in nats; what was minimised.
    pub divergence: f64,
}

/// The best of `n_starts` seeded runs, the first among equals; `squares` holds squared distances by pair.
///
/// `perplexity` is about how many neighbours a point has; it is lowered where there are fewer than three times as many points.
#[must_use]
pub fn tsne(squares: &[Vec<f64>], perplexity: f64, seed: u64, n_starts: u64) -> Plane {
    let most = (squares.len() as f64 - 1.0) / 3.0;
    let near = neighbourhoods(squares, if perplexity < most { perplexity } else { most });
    let run = |start: u64| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(start);
        (start, descend(&near, &mut random))
    };
    let better = |a: (u64, Plane), b: (u64, Plane)| {
        if a.1.divergence.total_cmp(&b.1.divergence).then(a.0.cmp(&b.0)).is_le() { a } else { b }
    };
    if squares.len() < 2 {
        return Plane { points: vec![(0.0, 0.0); squares.len()], divergence: 0.0 };
    }
    let best = (0..n_starts.max(1)).into_par_iter().map(run).reduce_with(better);
    best.map_or(Plane { points: Vec::new(), divergence: 0.0 }, |(_, plane)| plane)
}

/// By pair, how likely they are neighbours; symmetric, adds up to 1.
fn neighbourhoods(squares: &[Vec<f64>], perplexity: f64) -> Vec<Vec<f64>> {
    let n = squares.len();
    let conditional: Vec<Vec<f64>> = (0..n).map(|i| bandwidth(&squares[i], i, perplexity)).collect();
    let pair = |i: usize, j: usize| (conditional[i][j] + conditional[j][i]) / (2.0 * n as f64);
    (0..n).map(|i| (0..n).map(|j| pair(i, j)).collect()).collect()
}

/// Gaussian weights of one point's neighbours, of the width at which their entropy is that of `perplexity` alike.
fn bandwidth(squares: &[f64], own: usize, perplexity: f64) -> Vec<f64> {
    let nearest = squares
        .iter()
        .enumerate()
        .filter(|(j, _)| *j != own)
        .fold(f64::INFINITY, |least, (_, square)| if *square < least { *square } else { least });
    let weights = |precision: f64| {
        let weight = |(j, square): (usize, &f64)| {
            if j == own { 0.0 } else { libm::exp(-precision * (square - nearest)) }
        };
        let weights: Vec<f64> = squares.iter().enumerate().map(weight).collect();
        let total: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| if total > 0.0 { weight / total } else { 0.0 }).collect::<Vec<_>>()
    };
    let wanted = libm::log(if perplexity > 1.0 { perplexity } else { 1.0 });
    let (mut low, mut high, mut precision) = (0.0, f64::INFINITY, 1.0);
    for _ in 0..BANDWIDTH_STEPS {
        let entropy: f64 = weights(precision).iter().filter(|p| **p > 0.0).map(|p| -p * libm::log(*p)).sum();
        if entropy > wanted {
            low = precision;
            precision = if high.is_finite() { (low + high) / 2.0 } else { precision * 2.0 };
        } else {
            high = precision;
            precision = (low + high) / 2.0;
        }
    }
    weights(precision)
}

fn descend(near: &[Vec<f64>], random: &mut ChaCha8Rng) -> Plane {
    let n = near.len();
    let mut draw = || -> f64 { StandardNormal.sample(random) };
    let mut points: Vec<[f64; 2]> = (0..n).map(|_| [draw() * FIRST_SPREAD, draw() * FIRST_SPREAD]).collect();
    let mut speed = vec![[0.0_f64; 2]; n];
    let mut gains = vec![[1.0_f64; 2]; n];
    let rate = n as f64 / EXAGGERATION / 4.0;
    let rate = if rate > 50.0 { rate } else { 50.0 };

    let mut flat = vec![0.0; n * n];
    for step in 0..STEPS {
        let (pull, momentum) = if step < EXAGGERATED_STEPS { (EXAGGERATION, MOMENTUM.0) } else { (1.0, MOMENTUM.1) };
        let total = student(&points, &mut flat);
        for i in 0..n {
            let mut gradient = [0.0; 2];
            for (j, other) in points.iter().enumerate() {
                let weight = flat[i * n + j];
                let force = 4.0 * (pull * near[i][j] - weight / total) * weight;
                gradient[0] += force * (points[i][0] - other[0]);
                gradient[1] += force * (points[i][1] - other[1]);
            }
            for d in 0..2 {
                let same = gradient[d] * speed[i][d] > 0.0;
                let gain = if same { gains[i][d] * 0.8 } else { gains[i][d] + 0.2 };
                gains[i][d] = if gain > 0.01 { gain } else { 0.01 };
                speed[i][d] = momentum * speed[i][d] - rate * gains[i][d] * gradient[d];
            }
        }
        for (point, speed) in points.iter_mut().zip(&speed) {
            (point[0], point[1]) = (point[0] + speed[0], point[1] + speed[1]);
        }
    }

    let total = student(&points, &mut flat);
    let surprise = |(p, weight): (&f64, &f64)| if *p > 0.0 { p * libm::log(p * total / weight) } else { 0.0 };
    let divergence = near.iter().flatten().zip(&flat).map(surprise).sum();
    let center = |d: usize| points.iter().map(|point| point[d]).sum::<f64>() / n.max(1) as f64;
    let (x, y) = (center(0), center(1));
    Plane { points: points.iter().map(|point| (point[0] - x, point[1] - y)).collect(), divergence }
}

/// Student weights 1 / (1 + d^2) by pair, none of a point with itself; returns their sum.
fn student(points: &[[f64; 2]], flat: &mut [f64]) -> f64 {
    let n = points.len();
    let mut total = 0.0;
    for i in 0..n {
        for j in 0..i {
            let (x, y) = (points[i][0] - points[j][0], points[i][1] - points[j][1]);
            let weight = 1.0 / (1.0 + x * x + y * y);
            (flat[i * n + j], flat[j * n + i]) = (weight, weight);
            total += 2.0 * weight;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squares(points: &[[f64; 3]]) -> Vec<Vec<f64>> {
        let square = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum();
        points.iter().map(|a| points.iter().map(|b| square(a, b)).collect()).collect()
    }

    /// Three heaps of ten points each, far apart.
    fn heaps() -> Vec<[f64; 3]> {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut draw = move || -> f64 { StandardNormal.sample(&mut random) };
        (0..30).map(|i| std::array::from_fn(|d| if i / 10 == d { 10.0 } else { 0.0 } + draw())).collect()
    }

    #[test]
    fn a_point_has_as_many_neighbours_as_asked() {
        for perplexity in [2.0, 5.0, 9.0] {
            let squares = squares(&heaps());
            for (i, row) in squares.iter().enumerate() {
                let weights = bandwidth(row, i, perplexity);
                let entropy: f64 = weights.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
                assert!((entropy.exp() - perplexity).abs() < 1e-6, "{}", entropy.exp());
            }
        }
    }

    #[test]
    fn heaps_stay_heaps_and_a_seed_is_a_picture() {
        let squares = squares(&heaps());
        let plane = tsne(&squares, 6.0, 1, 2);
        assert_eq!(plane, tsne(&squares, 6.0, 1, 2));
        assert_ne!(plane.points, tsne(&squares, 6.0, 2, 2).points);
        assert!(tsne(&squares, 6.0, 1, 4).divergence <= plane.divergence);
        let distance =
            |a: usize, b: usize| (plane.points[a].0 - plane.points[b].0).hypot(plane.points[a].1 - plane.points[b].1);
        for i in 0..30 {
            let nearest =
                (0..30).filter(|j| *j != i).min_by(|a, b| distance(i, *a).total_cmp(&distance(i, *b))).unwrap();
            assert_eq!(nearest / 10, i / 10);
        }
    }

    #[test]
    fn few_and_equal_points_still_have_a_place() {
        for n in [0, 1, 2, 3] {
            let plane = tsne(&vec![vec![0.0; n]; n], 10.0, 1, 2);
            assert_eq!(plane.points.len(), n);
            assert!(plane.points.iter().all(|(x, y)| x.is_finite() && y.is_finite()), "{n}: {plane:?}");
        }
    }
}
