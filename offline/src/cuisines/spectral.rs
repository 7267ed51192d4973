//! Regularized spectral clustering after Qin and Rohe (2013), for a few hundred nodes.
//!
//! L = D_tau^-1/2 A D_tau^-1/2 with D_tau = D + tau I; the rows of its leading eigenvectors, each of length one, are
//! clustered by k-means. Without tau, a pair of nodes that only know each other takes an eigenvector for itself. A row that is
//! zero has no direction: such a node gets none, instead of 0/0.

use faer::{Mat, Side};

/// A row shorter than this is rounding: the leading eigenvectors do not reach the node.
const SHORTEST_ROW: f64 = 1e-8;
/// Eigenvalues nearer than this are one: a cut between them would keep an arbitrary half of their space.
const SAME_EIGENVALUE: f64 = 1e-9;

/// The eigenvalues and eigenvectors of a symmetric matrix.
pub struct Spectrum {
    /// The largest first.
    pub values: Vec<f64>,
    /// In their order, of length one; each one's largest component is positive.
    pub vectors: Vec<Vec<f64>>,
}

/// The regularized Laplacian of a symmetric adjacency, D_tau^-1/2 A D_tau^-1/2; `tau` above 0 keeps it finite where a
/// degree is 0.
#[must_use]
pub fn laplacian(adjacency: &Mat<f64>, tau: f64) -> Mat<f64> {
    let n = adjacency.nrows();
    let scale: Vec<f64> =
        (0..n).map(|i| 1.0 / libm::sqrt((0..n).map(|j| adjacency[(i, j)]).sum::<f64>() + tau)).collect();
    Mat::from_fn(n, n, |i, j| scale[i] * adjacency[(i, j)] * scale[j])
}

impl Spectrum {
    /// Of a symmetric matrix; `None` when the eigenvalues do not converge.
    #[must_use]
    pub fn of(matrix: &Mat<f64>) -> Option<Self> {
        let n = matrix.nrows();
        if n == 0 {
            return Some(Self { values: Vec::new(), vectors: Vec::new() });
        }
        let eigen = matrix.self_adjoint_eigen(Side::Lower).ok()?;
        let vector = |c: usize| {
            let vector: Vec<f64> = (0..n).map(|i| eigen.U()[(i, c)]).collect();
            let largest =
                vector.iter().fold(0.0_f64, |best, x| if x.abs() > best.abs() + SHORTEST_ROW { *x } else { best });
            vector.into_iter().map(|x| if largest < 0.0 { -x } else { x }).collect::<Vec<_>>()
        };
        let (values, vectors) = (0..n).rev().map(|c| (eigen.S()[c], vector(c))).unzip();
        Some(Self { values, vectors })
    }

    /// How many vectors lead: `k`, or a few more where the k-th eigenvalue is not alone.
    #[must_use]
    pub fn leading(&self, k: usize) -> usize {
        let last = self.values.get(k.min(self.values.len()).saturating_sub(1)).copied().unwrap_or(0.0);
        self.values.iter().filter(|value| **value > last - SAME_EIGENVALUE).count()
    }

    /// By node, its row of the leading vectors, of length one; `None` where they do not reach it.
    #[must_use]
    pub fn rows(&self, k: usize) -> Vec<Option<Vec<f64>>> {
        let direction = |row: Option<Vec<f64>>| {
            let row = row?;
            let length = libm::sqrt(dot(&row, &row));
            Some(row.iter().map(|x| x / length).collect())
        };
        self.raw_rows(k).into_iter().map(direction).collect()
    }

    /// The same, as long as they are: how much of a node the leading vectors hold, which is mostly its degree.
    #[must_use]
    pub fn raw_rows(&self, k: usize) -> Vec<Option<Vec<f64>>> {
        let columns = &self.vectors[..self.leading(k)];
        let row = |i: usize| {
            let row: Vec<f64> = columns.iter().map(|column| column[i]).collect();
            (dot(&row, &row) > SHORTEST_ROW * SHORTEST_ROW).then_some(row)
        };
        (0..self.values.len()).map(row).collect()
    }
}

/// Squared Euclidean distance.
#[must_use]
pub fn square_distance(a: &[f64], b: &[f64]) -> f64 {
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
    use crate::cuisines::k_means::k_means;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

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

    fn spectrum(adjacency: &Mat<f64>, tau: f64) -> Spectrum {
        Spectrum::of(&laplacian(adjacency, tau)).unwrap()
    }

    #[test]
    fn eigenvalues_agree_with_jacobi_and_vectors_are_an_orthonormal_basis_with_fixed_signs() {
        for seed in 0..5 {
            let l = laplacian(&planted(24, 8, seed), 5.0);
            let spectrum = Spectrum::of(&l).unwrap();
            for (found, expected) in spectrum.values.iter().zip(jacobi_eigenvalues(&l)) {
                assert!((found - expected).abs() < 1e-9, "{found} {expected}");
            }
            assert!(spectrum.values[0] < 1.0, "tau draws the largest eigenvalue below 1");
            for (i, a) in spectrum.vectors.iter().enumerate() {
                let largest = a.iter().fold(0.0_f64, |best, x| if x.abs() > best.abs() { *x } else { best });
                assert!(largest > 0.0);
                for (j, b) in spectrum.vectors.iter().enumerate() {
                    assert!((dot(a, b) - f64::from(u8::from(i == j))).abs() < 1e-12);
                }
                for (x, row) in a.iter().zip(0..24) {
                    let product: f64 = (0..24).map(|j| l[(row, j)] * a[j]).sum();
                    assert!((product - spectrum.values[i] * x).abs() < 1e-12);
                }
            }
            for row in spectrum.rows(3).iter().flatten() {
                assert!((dot(row, row) - 1.0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn planted_blocks_are_recovered_whole() {
        for seed in 0..10 {
            let rows = spectrum(&planted(48, 12, seed), 12.0).rows(4);
            let points: Vec<&[f64]> = rows.iter().flatten().map(Vec::as_slice).collect();
            let cluster = k_means(&points, 4, 32, 7).unwrap().cluster;
            let together = |a: usize, b: usize| (cluster[a] == cluster[b]) == (a / 12 == b / 12);
            assert!((0..48).all(|a| (0..48).all(|b| together(a, b))), "seed {seed}: {cluster:?}");
        }
    }

    #[test]
    fn nodes_that_the_leading_eigenvectors_do_not_reach_get_no_row() {
        let mut a = planted(12, 12, 1);
        a = Mat::from_fn(15, 15, |i, j| if i < 12 && j < 12 { a[(i, j)] } else { 0.0 });
        (a[(12, 13)], a[(13, 12)]) = (1.0, 1.0);
        let rows = spectrum(&a, 4.0).rows(1);
        assert!(rows[..12].iter().all(Option::is_some));
        assert_eq!(rows[12..], [None, None, None]);
    }

    #[test]
    fn eigenvectors_of_one_eigenvalue_are_kept_together() {
        // Four separate pairs: one eigenvalue, four times.
        let a = Mat::from_fn(8, 8, |i, j| if i != j && i / 2 == j / 2 { 1.0 } else { 0.0 });
        assert!(spectrum(&a, 1.0).rows(2).iter().all(|row| row.as_ref().is_some_and(|row| row.len() == 4)));
    }
}
