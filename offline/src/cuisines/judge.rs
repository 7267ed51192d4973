//! How good a number of clusters is: does it foretell menus that it has not seen, and does it come again?
//!
//! The eigengap answers 2 or 3 on real cuisines, which is what the graph's coarsest halves are, not what a taste needs.

use super::graph::{Company, Linked};
use super::k_means::{adjusted_rand_index, k_means};
use super::spectral::{Spectrum, laplacian};
use super::{CuisineError, round};
use faer::Mat;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Edges between two blocks that are believed in before any is seen, spread as degrees say.
const PRIOR_EDGES: f64 = 1.0;
/// A label with at least this degree is common.
const COMMON_DEGREE: f64 = 5.0;
/// The stream of the random numbers that deal owners out to folds; resamples come after it, k-means starts before.
const FOLD_STREAM: u64 = 1 << 32;

/// How partitions are made and judged.
#[derive(Debug, Clone, Copy)]
pub struct Judging {
    /// Of folds, resamples and k-means.
    pub seed: u64,
    /// k-means starts of each partition.
    pub n_starts: usize,
    /// tau in mean degrees of the graph at hand.
    pub tau: f64,
    /// Whether rows are brought to length one. The method says so; the other is to see what it brings.
    pub directions: bool,
    /// Parts that the combining owners are dealt out to; each is held out once.
    pub n_folds: usize,
    /// Times that the combining owners are drawn again, with replacement.
    pub n_resamples: usize,
    /// Seeds of k-means on the same graph.
    pub n_seeds: usize,
}

/// What is known of one number of clusters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The number.
    pub n_clusters: usize,
    /// Held-out log likelihood of an edge above the model without clusters (only degrees), in nats; mean over folds.
    pub held_out_gain: f64,
    /// The standard error of this mean over folds.
    pub held_out_se: f64,
    /// Adjusted Rand index between seeds, mean over pairs.
    pub seeds_ari: f64,
    /// Adjusted Rand index between bootstrap resamples of the owners, mean over pairs.
    pub bootstrap_ari: f64,
    /// The same over labels that at least 5 owners serve beside another.
    pub bootstrap_ari_common: f64,
}

/// A partition by label id; `None` for a label without company or without a row.
type Clusters = Vec<Option<usize>>;

/// Judges each of these numbers of clusters; `progress` is told steps done and steps in all.
///
/// # Errors
/// [`CuisineError::Eigenvalues`].
pub fn judge(
    company: &Company,
    ks: &[usize],
    judging: &Judging,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<Candidate>, CuisineError> {
    let combining = company.combining();
    let n_folds = judging.n_folds.min(combining.len());
    let total = n_folds + judging.n_resamples + judging.n_seeds;
    let done = AtomicUsize::new(0);
    let step = || progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);

    let mut dealt = combining.clone();
    dealt.shuffle(&mut random(judging.seed, FOLD_STREAM));
    let gains: Vec<Vec<f64>> = (0..n_folds)
        .into_par_iter()
        .map(|fold| {
            let (held, rest): (Vec<_>, Vec<_>) = dealt.iter().enumerate().partition(|(i, _)| i % n_folds == fold);
            let owners = |of: Vec<(usize, &usize)>| of.into_iter().map(|(_, owner)| *owner).collect::<Vec<_>>();
            let (train, held) = (ascending(owners(rest)), ascending(owners(held)));
            let (train, held) = (company.adjacency(&train), company.adjacency(&held));
            let found = partitions(&train, ks, judging, judging.seed)?;
            step();
            Ok(found.iter().map(|clusters| held_out_gain(&train, &held, clusters)).collect())
        })
        .collect::<Result<_, CuisineError>>()?;

    let resamples: Vec<Vec<Clusters>> = (0..judging.n_resamples as u64)
        .into_par_iter()
        .map(|b| {
            let mut random = random(judging.seed, FOLD_STREAM + 1 + b);
            let draw = |_| combining[(random.random::<f64>() * combining.len() as f64) as usize];
            let drawn: Vec<usize> = (0..combining.len()).map(draw).collect();
            let found = partitions(&company.adjacency(&ascending(drawn)), ks, judging, judging.seed)?;
            step();
            Ok(found)
        })
        .collect::<Result<_, CuisineError>>()?;

    let whole = company.adjacency(&combining);
    let seeds: Vec<Vec<Clusters>> = (0..judging.n_seeds as u64)
        .into_par_iter()
        .map(|s| {
            let found = partitions(&whole, ks, judging, judging.seed + 1 + s)?;
            step();
            Ok(found)
        })
        .collect::<Result<_, CuisineError>>()?;

    let common = |id: usize| (0..whole.nrows()).map(|j| whole[(id, j)]).sum::<f64>() >= COMMON_DEGREE;
    let candidate = |(c, k): (usize, &usize)| {
        let gains: Vec<f64> = gains.iter().map(|fold| fold[c]).collect();
        let of = |runs: &'_ [Vec<Clusters>], kept: &dyn Fn(usize) -> bool| {
            round(agreement(&runs.iter().map(|run| &run[c]).collect::<Vec<_>>(), kept), 1e6)
        };
        Candidate {
            n_clusters: *k,
            held_out_gain: round(mean(gains.iter().copied()), 1e6),
            held_out_se: round(standard_error(&gains), 1e6),
            seeds_ari: of(&seeds, &|_| true),
            bootstrap_ari: of(&resamples, &|_| true),
            bootstrap_ari_common: of(&resamples, &common),
        }
    };
    Ok(ks.iter().enumerate().map(candidate).collect())
}

/// Whether a candidate foretells menus as well as the best one, within the latter's standard error (the rule of Breiman et al.
/// 1984).
#[must_use]
pub fn is_admitted(candidate: &Candidate, all: &[Candidate]) -> bool {
    let best = all.iter().reduce(|a, b| if b.held_out_gain > a.held_out_gain { b } else { a });
    best.is_some_and(|best| candidate.held_out_gain >= best.held_out_gain - best.held_out_se)
}

/// Of the numbers of clusters that are admitted, the one that comes again most surely; the smallest among equals.
#[must_use]
pub fn choose(candidates: &[Candidate]) -> Option<usize> {
    let admitted = candidates.iter().filter(|candidate| is_admitted(candidate, candidates));
    let best = admitted.reduce(|a, b| if b.bootstrap_ari > a.bootstrap_ari { b } else { a });
    best.map(|best| best.n_clusters)
}

/// What the largest drop between two successive eigenvalues would pick, of 2 to `most`.
#[must_use]
pub fn eigengap(eigenvalues: &[f64], most: usize) -> usize {
    let gap = |k: usize| eigenvalues[k - 1] - eigenvalues[k];
    let last = most.min(eigenvalues.len().saturating_sub(1));
    (2..=last).reduce(|a, b| if gap(b) > gap(a) { b } else { a }).unwrap_or(1)
}

/// Regularized spectral clustering of an adjacency by label id, into each of these numbers of clusters.
fn partitions(adjacency: &Mat<f64>, ks: &[usize], judging: &Judging, seed: u64) -> Result<Vec<Clusters>, CuisineError> {
    let linked = Linked::of(adjacency);
    let spectrum = Spectrum::of(&laplacian(&linked.adjacency, judging.tau * linked.mean_degree()))
        .ok_or(CuisineError::Eigenvalues { labels: linked.ids.len() })?;
    let partition = |k: &usize| {
        let rows = if judging.directions { spectrum.rows(*k) } else { spectrum.raw_rows(*k) };
        let (ids, points): (Vec<usize>, Vec<&[f64]>) =
            linked.ids.iter().zip(&rows).filter_map(|(id, row)| Some((*id, row.as_deref()?))).unzip();
        let mut clusters = vec![None; adjacency.nrows()];
        if let Some(found) = k_means(&points, *k, judging.n_starts, seed) {
            ids.iter().zip(found.cluster).for_each(|(id, cluster)| clusters[*id] = Some(cluster));
        }
        clusters
    };
    Ok(ks.iter().map(partition).collect())
}

/// What clusters add to the log likelihood of an edge that was not seen, in nats: a degree-corrected blockmodel (Karrer
/// and Newman 2011, the model for which Qin and Rohe prove their method) against the same with one block.
///
/// An edge falls on the pair i, j with probability proportional to d_i d_j w(c_i, c_j); w is what the seen edges between two
/// blocks are to those that degrees alone foretell, a gamma prior drawing it to 1. Held-out edges of labels that the seen
/// graph does not have are left out.
fn held_out_gain(train: &Mat<f64>, held: &Mat<f64>, clusters: &Clusters) -> f64 {
    let linked = Linked::of(train);
    // Labels without a row are one block more.
    let apart = clusters.iter().flatten().max().map_or(0, |max| max + 1);
    let block: Vec<usize> = linked.ids.iter().map(|id| clusters[*id].unwrap_or(apart)).collect();
    let n_blocks = apart + 1;
    let total: f64 = linked.degree.iter().sum();

    let mut seen = Mat::<f64>::zeros(n_blocks, n_blocks);
    let mut mass = vec![0.0; n_blocks];
    // Pairs of a label with itself are no edges.
    let mut loops = vec![0.0; n_blocks];
    for (i, own) in block.iter().enumerate() {
        mass[*own] += linked.degree[i];
        loops[*own] += linked.degree[i] * linked.degree[i];
        block.iter().enumerate().for_each(|(j, other)| seen[(*own, *other)] += linked.adjacency[(i, j)]);
    }
    let foretold = |r: usize, s: usize| (mass[r] * mass[s] - if r == s { loops[r] } else { 0.0 }) / total;
    let affinity =
        Mat::from_fn(n_blocks, n_blocks, |r, s| (seen[(r, s)] + PRIOR_EDGES) / (foretold(r, s) + PRIOR_EDGES));
    let pairs = || (0..n_blocks).flat_map(|r| (0..n_blocks).map(move |s| (r, s)));
    let with: f64 = pairs().map(|(r, s)| affinity[(r, s)] * foretold(r, s)).sum();
    let without: f64 = pairs().map(|(r, s)| foretold(r, s)).sum();

    let (mut gain, mut edges) = (0.0, 0.0);
    for (i, a) in linked.ids.iter().enumerate() {
        for (j, b) in linked.ids.iter().enumerate() {
            let weight = held[(*a, *b)];
            gain += weight * libm::log(affinity[(block[i], block[j])] * without / with);
            edges += weight;
        }
    }
    if edges > 0.0 { gain / edges } else { 0.0 }
}

/// The mean adjusted Rand index over pairs of partitions, each over the labels that both place; 1 for fewer than two.
fn agreement(runs: &[&Clusters], kept: &dyn Fn(usize) -> bool) -> f64 {
    let pairs = (0..runs.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
    let index = |(a, b): (usize, usize)| {
        let both = runs[a].iter().zip(runs[b]).enumerate().filter(|(id, _)| kept(*id));
        let (x, y): (Vec<usize>, Vec<usize>) = both.filter_map(|(_, (x, y))| Some(((*x)?, (*y)?))).unzip();
        adjusted_rand_index(&x, &y)
    };
    if runs.len() < 2 { 1.0 } else { mean(pairs.map(index)) }
}

fn random(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream);
    random
}

/// Sums of weights are made in the order of owners, however they were drawn.
fn ascending(mut owners: Vec<usize>) -> Vec<usize> {
    owners.sort_unstable();
    owners
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0_usize), |(sum, n), value| (sum + value, n + 1));
    sum / n.max(1) as f64
}

/// Of the mean of these values; 0 of fewer than two.
fn standard_error(values: &[f64]) -> f64 {
    let (n, center) = (values.len() as f64, mean(values.iter().copied()));
    let squares: f64 = values.iter().map(|value| (value - center) * (value - center)).sum();
    if n < 2.0 { 0.0 } else { libm::sqrt(squares / (n - 1.0) / n) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(n_clusters: usize, held_out_gain: f64, held_out_se: f64, bootstrap_ari: f64) -> Candidate {
        let (seeds_ari, bootstrap_ari_common) = (1.0, 1.0);
        Candidate { n_clusters, held_out_gain, held_out_se, seeds_ari, bootstrap_ari, bootstrap_ari_common }
    }

    #[test]
    fn likelihood_admits_and_stability_decides() {
        let of = |rows: &[(usize, f64, f64, f64)]| {
            choose(&rows.iter().map(|(k, gain, se, ari)| candidate(*k, *gain, *se, *ari)).collect::<Vec<_>>())
        };
        assert_eq!(of(&[(2, 0.5, 0.9, 0.9), (3, 0.95, 0.9, 0.6), (4, 1.0, 0.1, 0.5)]), Some(3));
        assert_eq!(of(&[(2, 0.5, 0.9, 0.9), (3, 0.85, 0.9, 0.6), (4, 1.0, 0.1, 0.5)]), Some(4));
        assert_eq!(of(&[(3, 1.0, 0.0, 0.5), (4, 1.0, 0.1, 0.5)]), Some(3), "the smallest among equals");
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_held_out_edge_gains_what_the_blocks_say_of_it() {
        // Two pairs of labels, ten owners each and one across; by hand.
        let mut train = Mat::<f64>::zeros(4, 4);
        for (i, j, weight) in [(0, 1, 10.0), (2, 3, 10.0), (1, 2, 1.0)] {
            (train[(i, j)], train[(j, i)]) = (weight, weight);
        }
        let clusters = vec![Some(0), Some(0), Some(1), Some(1)];
        let held =
            |i: usize, j: usize| Mat::from_fn(4, 4, |a, b| f64::from(u8::from((a, b) == (i, j) || (b, a) == (i, j))));
        // Degrees 10, 11, 11, 10; within a block 220 / 42 of the 20 seen are foretold, across 441 / 42 of 1.
        let (within, across) = ((20.0 + 1.0) / (220.0 / 42.0 + 1.0), (1.0 + 1.0) / (441.0 / 42.0 + 1.0));
        let scale: f64 = (2.0 * 220.0 + 2.0 * 441.0) / (2.0 * 220.0 * within + 2.0 * 441.0 * across);
        let gain = |i, j| held_out_gain(&train, &held(i, j), &clusters);
        assert!((gain(0, 1) - (within * scale).ln()).abs() < 1e-12, "{}", gain(0, 1));
        assert!((gain(0, 2) - (across * scale).ln()).abs() < 1e-12, "{}", gain(0, 2));
        assert!(held_out_gain(&train, &held(0, 1), &vec![Some(0); 4]).abs() < 1e-12, "one block adds nothing");
    }

    #[test]
    fn the_eigengap_leaves_out_the_first_and_the_tail() {
        assert_eq!(eigengap(&[0.9, 0.3, 0.29, 0.1, 0.09, -0.5], 4), 3);
        assert_eq!(eigengap(&[0.9], 4), 1);
    }
}
