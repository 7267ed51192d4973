//! Regularized spectral clustering after Qin and Rohe (2013), for a few hundred nodes.
//!
//! L = D_tau^-1/2 A D_tau^-1/2 with D_tau = D + tau I; the rows of its leading eigenvectors, each of length one, are
//! clustered by k-means. Without tau, a pair of nodes that only know each other takes an eigenvector for itself.

use faer::{Mat, Side};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A row shorter than this is rounding: the leading eigenvectors do not reach the node.
const SHORTEST_ROW: f64 = 1e-8;
/// Eigenvalues nearer than this are one: a cut between them would keep an arbitrary half of their space.
const SAME_EIGENVALUE: f64 = 1e-9;
/// Lloyd's iterations; label counts settle in a dozen.
const MAX_ITERATIONS: usize = 200;

/// Nodes as directions in the space of the leading eigenvectors.
pub struct Embedding {
    /// All of them, the largest first.
    pub eigenvalues: Vec<f64>,
    /// By node, of length one; `None` where the leading eigenvectors do not reach.
    pub rows: Vec<Option<Vec<f64>>>,
}

/// The regularized Laplacian of a symmetric adjacency; `tau` above 0 keeps it finite.
#[must_use]
pub fn laplacian(adjacency: &Mat<f64>, tau: f64) -> Mat<f64> {
    let n = adjacency.nrows();
    let scale: Vec<f64> =
        (0..n).map(|i| 1.0 / libm::sqrt((0..n).map(|j| adjacency[(i, j)]).sum::<f64>() + tau)).collect();
    Mat::from_fn(n, n, |i, j| scale[i] * adjacency[(i, j)] * scale[j])
}

/// The rows of the leading `k` eigenvectors, or of a few more where the k-th eigenvalue is not alone; each vector's
/// largest component is positive. `None` when the eigenvalues do not converge.
#[must_use]
pub fn embed(laplacian: &Mat<f64>, k: usize) -> Option<Embedding> {
    let n = laplacian.nrows();
    if n == 0 {
        return Some(Embedding { eigenvalues: Vec::new(), rows: Vec::new() });
    }
    let eigen = laplacian.self_adjoint_eigen(Side::Lower).ok()?;
    let eigenvalues: Vec<f64> = (0..n).rev().map(|i| eigen.S()[i]).collect();
    let last = eigenvalues.get(k.min(n).saturating_sub(1)).copied().unwrap_or(0.0);
    let leading = eigenvalues.iter().filter(|value| **value > last - SAME_EIGENVALUE).count();

    let column = |c: usize| {
        let vector: Vec<f64> = (0..n).map(|i| eigen.U()[(i, n - 1 - c)]).collect();
        let largest =
            vector.iter().fold(0.0_f64, |best, x| if x.abs() > best.abs() + SHORTEST_ROW { *x } else { best });
        vector.into_iter().map(move |x| if largest < 0.0 { -x } else { x }).collect::<Vec<_>>()
    };
    let columns: Vec<Vec<f64>> = (0..leading).map(column).collect();
    let row = |i: usize| {
        let row: Vec<f64> = columns.iter().map(|column| column[i]).collect();
        let length = libm::sqrt(dot(&row, &row));
        (length > SHORTEST_ROW).then(|| row.iter().map(|x| x / length).collect())
    };
    Some(Embedding { rows: (0..n).map(row).collect(), eigenvalues })
}

/// A partition of points.
#[derive(Debug, Clone, PartialEq)]
pub struct Partition {
    /// By point.
    pub cluster: Vec<usize>,
    /// By cluster.
    pub centroids: Vec<Vec<f64>>,
    /// Sum of squared distances to the own centroid.
    pub inertia: f64,
}

/// The best of `n_starts` runs of k-means from k-means++ seeds; the first among equals.
#[must_use]
pub fn k_means(points: &[&[f64]], k: usize, n_starts: usize, seed: u64) -> Option<Partition> {
    if k == 0 || points.len() < k {
        return None;
    }
    let starts = (0..n_starts.max(1) as u64).map(|start| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(start);
        lloyd(points, plus_plus(points, k, &mut random))
    });
    starts.reduce(|best, next| if next.inertia < best.inertia { next } else { best })
}

/// k-means++ (Arthur and Vassilvitskii 2007): each further seed is a point, drawn by its squared distance to the seeds.
fn plus_plus(points: &[&[f64]], k: usize, random: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let first = (random.random::<f64>() * points.len() as f64) as usize;
    let mut seeds = vec![points[first].to_vec()];
    while seeds.len() < k {
        let squares: Vec<f64> = points.iter().map(|point| nearest(point, &seeds).1).collect();
        let mut left = random.random::<f64>() * squares.iter().sum::<f64>();
        let drawn = squares.iter().position(|square| {
            left -= square;
            left < 0.0
        });
        // With fewer distinct points than seeds, all squares are zero and any point will do.
        seeds.push(points[drawn.unwrap_or(seeds.len())].to_vec());
    }
    seeds
}

/// Lloyd's algorithm from these centroids, until nothing moves; an emptied cluster restarts at the point that is
/// worst off.
#[must_use]
pub fn lloyd(points: &[&[f64]], mut centroids: Vec<Vec<f64>>) -> Partition {
    let mut cluster = vec![usize::MAX; points.len()];
    for _ in 0..MAX_ITERATIONS {
        let found: Vec<(usize, f64)> = points.iter().map(|point| nearest(point, &centroids)).collect();
        let moved = found.iter().zip(&cluster).any(|((to, _), from)| to != from);
        cluster = found.iter().map(|(to, _)| *to).collect();
        if !moved {
            break;
        }
        for (c, centroid) in centroids.iter_mut().enumerate() {
            let members: Vec<&&[f64]> =
                points.iter().zip(&cluster).filter(|(_, to)| **to == c).map(|(p, _)| p).collect();
            if members.is_empty() {
                let worst = (0..points.len()).reduce(|a, b| if found[b].1 > found[a].1 { b } else { a });
                *centroid = worst.map_or_else(Vec::new, |i| points[i].to_vec());
                continue;
            }
            for (d, value) in centroid.iter_mut().enumerate() {
                *value = members.iter().map(|point| point[d]).sum::<f64>() / members.len() as f64;
            }
        }
    }
    let inertia = points.iter().map(|point| nearest(point, &centroids).1).sum();
    Partition { cluster, centroids, inertia }
}

/// The nearest centroid, the first among equals, and the squared distance to it.
fn nearest(point: &[f64], centroids: &[Vec<f64>]) -> (usize, f64) {
    let squares = centroids.iter().map(|centroid| square_distance(point, centroid)).enumerate();
    squares.fold((0, f64::INFINITY), |best, next| if next.1 < best.1 { next } else { best })
}

/// Squared Euclidean distance.
fn square_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// Sum of products; the cosine of two rows of length one.
#[must_use]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cyclic Jacobi rotations: slow, obvious, and independent of what is tested.
    fn jacobi_eigenvalues(matrix: &Mat<f64>) -> Vec<f64> {
        let n = matrix.nrows();
        let mut a = matrix.clone();
        for _ in 0..100 {
            for p in 0..n {
                for q in p + 1..n {
                    if a[(p, q)].abs() < 1e-300 {
                        continue;
                    }
                    let theta = (a[(q, q)] - a[(p, p)]) / (2.0 * a[(p, q)]);
                    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                    let c = 1.0 / (t * t + 1.0).sqrt();
                    let s = t * c;
                    for k in 0..n {
                        let (x, y) = (a[(k, p)], a[(k, q)]);
                        (a[(k, p)], a[(k, q)]) = (c * x - s * y, s * x + c * y);
                    }
                    for k in 0..n {
                        let (x, y) = (a[(p, k)], a[(q, k)]);
                        (a[(p, k)], a[(q, k)]) = (c * x - s * y, s * x + c * y);
                    }
                }
            }
        }
        let mut values: Vec<f64> = (0..n).map(|i| a[(i, i)]).collect();
        values.sort_by(|a, b| b.total_cmp(a));
        values
    }

    /// Symmetric, zero diagonal, `n` nodes in blocks of `block`: dense inside, sparse between.
    fn planted(n: usize, block: usize, seed: u64) -> Mat<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut a = Mat::zeros(n, n);
        for i in 0..n {
            for j in 0..i {
                let chance = if i / block == j / block { 0.7 } else { 0.05 };
                if random.random::<f64>() < chance {
                    let count = 1.0 + (random.random::<f64>() * 5.0).floor();
                    (a[(i, j)], a[(j, i)]) = (count, count);
                }
            }
        }
        a
    }

    #[test]
    fn eigenvalues_and_projector_agree_with_jacobi() {
        for seed in 0..5 {
            let l = laplacian(&planted(24, 8, seed), 5.0);
            let embedding = embed(&l, 3).unwrap();
            for (found, expected) in embedding.eigenvalues.iter().zip(jacobi_eigenvalues(&l)) {
                assert!((found - expected).abs() < 1e-9, "{found} {expected}");
            }
            assert!(embedding.eigenvalues[0] < 1.0, "tau draws the largest eigenvalue below 1");
            for row in embedding.rows.iter().flatten() {
                assert!((dot(row, row) - 1.0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn planted_blocks_are_recovered_whole() {
        for seed in 0..10 {
            let a = planted(48, 12, seed);
            let embedding = embed(&laplacian(&a, 12.0), 4).unwrap();
            let points: Vec<&[f64]> = embedding.rows.iter().flatten().map(Vec::as_slice).collect();
            let partition = k_means(&points, 4, 32, 7).unwrap();
            let cluster = partition.cluster;
            let together = |a: usize, b: usize| (cluster[a] == cluster[b]) == (a / 12 == b / 12);
            assert!((0..48).all(|a| (0..48).all(|b| together(a, b))), "seed {seed}: {cluster:?}");
        }
    }

    #[test]
    fn nodes_that_the_leading_eigenvectors_do_not_reach_get_no_row() {
        let mut a = planted(12, 12, 1);
        a = Mat::from_fn(15, 15, |i, j| if i < 12 && j < 12 { a[(i, j)] } else { 0.0 });
        (a[(12, 13)], a[(13, 12)]) = (1.0, 1.0);
        let embedding = embed(&laplacian(&a, 4.0), 1).unwrap();
        assert!(embedding.rows[..12].iter().all(Option::is_some));
        assert_eq!(embedding.rows[12..], [None, None, None]);
    }

    #[test]
    fn eigenvectors_of_one_eigenvalue_are_kept_together() {
        // Four separate pairs: one eigenvalue, four times.
        let a = Mat::from_fn(8, 8, |i, j| if i != j && i / 2 == j / 2 { 1.0 } else { 0.0 });
        let embedding = embed(&laplacian(&a, 1.0), 2).unwrap();
        assert!(embedding.rows.iter().all(|row| row.as_ref().is_some_and(|row| row.len() == 4)));
    }

    #[test]
    fn more_clusters_than_distinct_points_still_end() {
        let (a, b) = ([0.0, 1.0], [1.0, 0.0]);
        let partition = k_means(&[&a, &a, &b, &b], 3, 4, 1).unwrap();
        assert_eq!(partition.inertia, 0.0);
        assert_eq!(k_means(&[&a], 2, 4, 1), None);
    }

    #[test]
    fn no_single_move_improves_a_partition() {
        let a = planted(30, 10, 3);
        let embedding = embed(&laplacian(&a, 6.0), 3).unwrap();
        let points: Vec<&[f64]> = embedding.rows.iter().flatten().map(Vec::as_slice).collect();
        let partition = k_means(&points, 3, 8, 1).unwrap();
        for (point, cluster) in points.iter().zip(&partition.cluster) {
            let own = square_distance(point, &partition.centroids[*cluster]);
            assert!(partition.centroids.iter().all(|centroid| square_distance(point, centroid) >= own));
        }
    }
}
