//! k-means with many seeded starts, for a few hundred points, and how alike two partitions are.

use super::spectral::square_distance;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

/// Lloyd's iterations; label counts settle in a dozen.
const MAX_ITERATIONS: usize = 300;

/// A partition of points.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Partition {
    /// By point.
    pub cluster: Vec<usize>,
    /// By cluster.
    pub centroids: Vec<Vec<f64>>,
    /// Sum of squared distances to the own centroid.
    pub inertia: f64,
    /// The centroids that it began with.
    pub start: Vec<Vec<f64>>,
}

/// The best of `n_starts` runs of k-means from greedy k-means++ seeds, each bettered point by point, the first among equals;
/// `None` with fewer points than clusters.
///
/// Every start has a random stream of its own, so that the answer does not depend on the number of threads.
#[must_use]
pub fn k_means(points: &[&[f64]], k: usize, n_starts: usize, seed: u64) -> Option<Partition> {
    if k == 0 || points.len() < k {
        return None;
    }
    let run = |start: u64| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(start);
        (start, exchange(points, lloyd(points, plus_plus(points, k, &mut random))))
    };
    let better = |a: (u64, Partition), b: (u64, Partition)| {
        let first = a.1.inertia.total_cmp(&b.1.inertia).then(a.0.cmp(&b.0));
        if first.is_le() { a } else { b }
    };
    (0..n_starts.max(1) as u64).into_par_iter().map(run).reduce_with(better).map(|(_, partition)| partition)
}

/// Greedy k-means++ (Arthur and Vassilvitskii 2007): each further seed is a point, drawn by its squared distance to the
/// seeds; of 2 + ln k draws, the one that leaves the least.
fn plus_plus(points: &[&[f64]], k: usize, random: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let first = (random.random::<f64>() * points.len() as f64) as usize;
    let mut seeds = vec![points[first].to_vec()];
    let mut squares: Vec<f64> = points.iter().map(|point| square_distance(point, points[first])).collect();
    let n_draws = 2 + libm::log(k as f64) as usize;
    while seeds.len() < k {
        let total: f64 = squares.iter().sum();
        let mut best: Option<(f64, usize, Vec<f64>)> = None;
        for _ in 0..n_draws {
            let mut left = random.random::<f64>() * total;
            let drawn = squares.iter().position(|square| {
                left -= square;
                left < 0.0
            });
            // With fewer distinct points than seeds, all squares are zero and any point will do.
            let drawn = drawn.unwrap_or(seeds.len());
            let nearer = |(point, square): (&&[f64], &f64)| {
                let to_drawn = square_distance(point, points[drawn]);
                if to_drawn < *square { to_drawn } else { *square }
            };
            let after: Vec<f64> = points.iter().zip(&squares).map(nearer).collect();
            let rest = after.iter().sum();
            if best.as_ref().is_none_or(|(least, ..)| rest < *least) {
                best = Some((rest, drawn, after));
            }
        }
        if let Some((_, drawn, after)) = best {
            seeds.push(points[drawn].to_vec());
            squares = after;
        }
    }
    seeds
}

/// Lloyd's algorithm from these centroids, until nothing moves; an emptied cluster restarts at the point that is
/// worst off.
#[must_use]
pub fn lloyd(points: &[&[f64]], start: Vec<Vec<f64>>) -> Partition {
    let mut centroids = start.clone();
    let mut found: Vec<(usize, f64)> = Vec::new();
    for _ in 0..MAX_ITERATIONS {
        let next: Vec<(usize, f64)> = points.iter().map(|point| nearest(point, &centroids)).collect();
        let moved = found.len() != next.len() || next.iter().zip(&found).any(|((to, _), (from, _))| to != from);
        found = next;
        if !moved {
            break;
        }
        let mut sizes = vec![0_usize; centroids.len()];
        let mut sums = vec![vec![0.0; points.first().map_or(0, |point| point.len())]; centroids.len()];
        for (point, (to, _)) in points.iter().zip(&found) {
            sizes[*to] += 1;
            sums[*to].iter_mut().zip(*point).for_each(|(sum, x)| *sum += x);
        }
        for ((centroid, sum), size) in centroids.iter_mut().zip(sums).zip(sizes) {
            if size == 0 {
                let worst = (0..points.len()).reduce(|a, b| if found[b].1 > found[a].1 { b } else { a });
                *centroid = worst.map_or_else(Vec::new, |i| points[i].to_vec());
                continue;
            }
            *centroid = sum.into_iter().map(|sum| sum / size as f64).collect();
        }
    }
    let inertia = points.iter().zip(&found).map(|(point, (own, _))| square_distance(point, &centroids[*own])).sum();
    Partition { cluster: found.into_iter().map(|(own, _)| own).collect(), centroids, inertia, start }
}

/// Moves single points as long as that lessens the inertia (Hartigan and Wong 1979): Lloyd's algorithm stops where every point
/// is nearest to its own centroid, which a point of a small cluster is because it holds the centroid itself.
fn exchange(points: &[&[f64]], partition: Partition) -> Partition {
    let Partition { mut cluster, mut centroids, .. } = partition;
    let mut sizes = vec![0_usize; centroids.len()];
    cluster.iter().for_each(|own| sizes[*own] += 1);
    for _ in 0..MAX_ITERATIONS {
        let mut moved = false;
        for (point, own) in points.iter().zip(&mut cluster) {
            if sizes[*own] < 2 {
                continue;
            }
            let n = sizes[*own] as f64;
            let saved = n / (n - 1.0) * square_distance(point, &centroids[*own]);
            let cost = |to: usize| {
                let n = sizes[to] as f64;
                n / (n + 1.0) * square_distance(point, &centroids[to])
            };
            let others = (0..centroids.len()).filter(|to| *to != *own).map(|to| (to, cost(to)));
            let best = others.reduce(|a, b| if b.1 < a.1 { b } else { a });
            // A hair's breadth could be rounding, and go back and forth for ever.
            if let Some((to, cost)) = best
                && cost < saved * (1.0 - 1e-12)
            {
                shift(&mut centroids[*own], point, sizes[*own], -1.0);
                shift(&mut centroids[to], point, sizes[to], 1.0);
                (sizes[*own], sizes[to]) = (sizes[*own] - 1, sizes[to] + 1);
                (*own, moved) = (to, true);
            }
        }
        if !moved {
            break;
        }
    }
    // Sums anew, since shifted centroids carry rounding along; the start that is told leads here.
    lloyd(points, centroids)
}

/// Takes a point into the mean of `size` points (`sign` 1) or out of it (-1).
fn shift(centroid: &mut [f64], point: &[f64], size: usize, sign: f64) {
    let size = size as f64;
    centroid.iter_mut().zip(point).for_each(|(mean, x)| *mean += sign * (x - *mean) / (size + sign));
}

/// The nearest centroid, the first among equals, and the squared distance to it.
fn nearest(point: &[f64], centroids: &[Vec<f64>]) -> (usize, f64) {
    let squares = centroids.iter().map(|centroid| square_distance(point, centroid)).enumerate();
    squares.fold((0, f64::INFINITY), |best, next| if next.1 < best.1 { next } else { best })
}

/// The adjusted Rand index of two partitions of the same points (Hubert and Arabie 1985): 1 where they are one, 0 on average
/// for chance, 1 where neither says anything.
#[must_use]
pub fn adjusted_rand_index(a: &[usize], b: &[usize]) -> f64 {
    let size = |of: &[usize]| of.iter().max().map_or(0, |max| max + 1);
    let mut both = vec![vec![0_u64; size(b)]; size(a)];
    a.iter().zip(b).for_each(|(i, j)| both[*i][*j] += 1);
    let pairs = |n: u64| (n * n.saturating_sub(1) / 2) as f64;
    let together: f64 = both.iter().flatten().map(|n| pairs(*n)).sum();
    let in_a: f64 = both.iter().map(|row| pairs(row.iter().sum())).sum();
    let in_b: f64 = (0..size(b)).map(|j| pairs(both.iter().map(|row| row[j]).sum())).sum();
    let all = pairs(a.len() as u64);
    let (expected, most) = (in_a * in_b / all, (in_a + in_b) / 2.0);
    if all == 0.0 || most == expected { 1.0 } else { (together - expected) / (most - expected) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn more_clusters_than_distinct_points_still_end() {
        let (a, b) = ([0.0, 1.0], [1.0, 0.0]);
        let partition = k_means(&[&a, &a, &b, &b], 3, 4, 1).unwrap();
        assert_eq!(partition.inertia, 0.0);
        assert_eq!(k_means(&[&a], 2, 4, 1), None);
    }

    #[test]
    fn the_index_is_that_of_the_paper_and_ignores_names() {
        // By hand: of 15 pairs, 2 are together in both and 4 in each, of which 16/15 are expected to meet.
        let (a, b) = ([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 2]);
        assert!((adjusted_rand_index(&a, &b) - (2.0 - 16.0 / 15.0) / (4.0 - 16.0 / 15.0)).abs() < 1e-15);
        assert_eq!(adjusted_rand_index(&a, &[2, 2, 2, 0, 0, 1]), 1.0);
        assert_eq!(adjusted_rand_index(&[0, 0], &[0, 0]), 1.0);
        assert!(adjusted_rand_index(&[0, 1, 0, 1], &[0, 0, 1, 1]) < 0.0, "worse than chance is below zero");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_point_is_nearer_to_another_centroid_and_more_starts_are_never_worse(
            rows in prop::collection::vec(prop::array::uniform3(-1.0_f64..1.0), 4..40),
            seed in 0_u64..100,
        ) {
            let points: Vec<&[f64]> = rows.iter().map(|row| row.as_slice()).collect();
            let few = k_means(&points, 3, 2, seed).unwrap();
            let many = k_means(&points, 3, 16, seed).unwrap();
            prop_assert!(many.inertia <= few.inertia);
            for (point, own) in points.iter().zip(&many.cluster) {
                let to = |c: &Vec<f64>| square_distance(point, c);
                prop_assert!(many.centroids.iter().all(|c| to(c) >= to(&many.centroids[*own])));
            }
            prop_assert_eq!(lloyd(&points, many.start.clone()), many, "the start that it names leads there again");
        }
    }
}
