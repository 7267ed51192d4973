//! Learns the cuisine map from merchants.

use super::graph::{Company, Linked};
use super::judge::{self, Judging};
use super::k_means::{Partition, k_means};
use super::spectral::{Spectrum, dot, laplacian};
use super::{Choice, CuisineError, CuisineMap, FORMAT, Vocabulary, quantized, round};
use crate::tables::Merchant;
use freshrank::bundle::MAX_CLUSTERS;
use serde::Serialize;
use std::collections::BTreeMap;

/// How alike a label is to the parent it was attached to; twice removed, squared.
const PARENT_SIMILARITY: f64 = 0.8;
/// Likeness below this is none.
const LEAST_SIMILARITY: f64 = 0.05;
/// A smaller share in a cluster is none.
const LEAST_SHARE: f64 = 1.0 / 16.0;
/// Nearest labels kept of each.
const MAX_SIMILAR: usize = 8;
/// Cuisines for each cluster at least: what a taste is shrunk by.
const SHRINKING: usize = 10;
/// k-means starts of a partition that only helps to choose the number of clusters.
const JUDGING_STARTS: usize = 20;

/// How a map is fitted.
#[derive(Debug, Clone)]
pub struct FitOptions {
    /// Of folds, resamples and k-means starts.
    pub seed: u64,
    /// The best of so many.
    pub n_starts: usize,
    /// Regularization in mean degrees; Qin and Rohe's is 1.
    pub tau: f64,
    /// Chosen by [`judge::choose`] unless given; at most a tenth of the labels that occur beside another and at most 20, but
    /// at least 2.
    pub n_clusters: Option<usize>,
    /// Parts that menus are dealt out to for choosing, each held out once.
    pub n_folds: usize,
    /// Bootstrap resamples for stability.
    pub n_resamples: usize,
    /// Seeds of k-means for stability.
    pub n_seeds: usize,
    /// Whose data this is, and its licence.
    pub credits: Vec<String>,
    /// [`crate::tables::Tables::simulated`] of the merchants' table.
    pub simulated: Option<String>,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            n_starts: 200,
            tau: 1.0,
            n_clusters: None,
            n_folds: 10,
            n_resamples: 20,
            n_seeds: 10,
            credits: Vec::new(),
            simulated: None,
        }
    }
}

impl FitOptions {
    /// How partitions are judged with these options: quickly to choose among many, thoroughly for the one chosen.
    #[must_use]
    pub fn judging(&self, thoroughly: bool) -> Judging {
        Judging {
            seed: self.seed,
            n_starts: if thoroughly { self.n_starts } else { self.n_starts.min(JUDGING_STARTS) },
            tau: self.tau,
            directions: true,
            n_folds: self.n_folds,
            n_resamples: self.n_resamples,
            n_seeds: self.n_seeds,
        }
    }
}

/// What a fit did on the way, for whoever does it again with other tools.
#[derive(Debug, Clone, Serialize)]
pub struct Trace {
    /// By node: labels that occur beside another.
    pub labels: Vec<String>,
    /// By pair of nodes: owners that serve both.
    pub adjacency: Vec<Vec<f64>>,
    /// The regularization, in owners.
    pub tau: f64,
    /// All of the regularized Laplacian's, the largest first.
    pub eigenvalues: Vec<f64>,
    /// The leading ones, in this order.
    pub eigenvectors: Vec<Vec<f64>>,
    /// By node: its direction in their space; null where they do not reach.
    pub rows: Vec<Option<Vec<f64>>>,
    /// k-means on the rows that are not null, in their order, the best of `n_starts`; null without clusters.
    pub k_means: Option<Partition>,
    /// How many starts there were.
    pub n_starts: usize,
}

/// Learns a map from merchants; equal for any order of them and any number of threads.
///
/// # Errors
/// [`CuisineError::TooManyLabels`] and [`CuisineError::Eigenvalues`].
pub fn fit(merchants: &[Merchant], options: &FitOptions) -> Result<CuisineMap, CuisineError> {
    Ok(fit_traced(merchants, options, &|_, _| ())?.0)
}

/// The numbers of clusters that a graph of so many linked labels may have.
#[must_use]
pub fn allowed(n_linked: usize) -> Vec<usize> {
    (2..=(n_linked / SHRINKING).clamp(2, MAX_CLUSTERS).min(n_linked)).collect()
}

/// Learns a map, says how, and tells `progress` the steps done and the steps in all while it chooses the number of
/// clusters.
///
/// # Errors
/// As [`fit`].
pub fn fit_traced(
    merchants: &[Merchant],
    options: &FitOptions,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<(CuisineMap, Trace), CuisineError> {
    let vocabulary = Vocabulary::reviewed()?;
    let company = Company::new(merchants, &vocabulary)?;
    let labels = company.labels.clone();
    let n = labels.len();
    let combining = company.combining();
    let linked = Linked::of(&company.adjacency(&combining));
    let tau = options.tau * linked.mean_degree();
    let spectrum = Spectrum::of(&laplacian(&linked.adjacency, tau))
        .ok_or(CuisineError::Eigenvalues { labels: linked.ids.len() })?;

    let ks = match options.n_clusters {
        Some(k) => vec![k.min(MAX_CLUSTERS).min(linked.ids.len())],
        None => allowed(linked.ids.len()),
    };
    // Where there is nothing to choose, nobody waits for it.
    let candidates = match ks.len() {
        0 | 1 => Vec::new(),
        _ => judge::judge(&company, &ks, &options.judging(false), progress)?,
    };
    let wanted = judge::choose(&candidates).or(ks.first().copied()).unwrap_or(0);
    let chosen = match candidates.is_empty() {
        true => None,
        false => judge::judge(&company, &[wanted], &options.judging(true), progress)?.pop(),
    };

    let mut rows: Vec<Option<Vec<f64>>> = vec![None; n];
    let directions = spectrum.rows(wanted);
    linked.ids.iter().zip(&directions).for_each(|(i, row)| rows[*i].clone_from(row));
    let reached: Vec<usize> = (0..n).filter(|i| rows[*i].is_some()).collect();
    let points: Vec<&[f64]> = rows.iter().flatten().map(Vec::as_slice).collect();
    let counts = company.counts();
    let mass: Vec<f64> = reached.iter().map(|i| counts[*i]).collect();
    let found = k_means(&points, wanted, options.n_starts, options.seed);
    let (n_clusters, shares) = match &found {
        Some(partition) => {
            let partition = by_mass(partition, &mass);
            (partition.centroids.len(), memberships(&points, &partition))
        }
        None => (0, Vec::new()),
    };
    let mut weights = vec![Vec::new(); n];
    reached.iter().zip(shares).for_each(|(i, share)| weights[*i] = share);

    let parents = attach(&labels, &vocabulary, &mut rows, &mut weights);
    let unplaced = labels.iter().zip(&weights).filter(|(_, w)| w.is_empty()).map(|(label, _)| label.clone()).collect();
    let counts: Vec<f64> = counts.into_iter().map(|count| round(count, 1e2)).collect();
    let unknown = labels.iter().zip(&counts).filter(|(label, _)| !vocabulary.knows(label));
    let projection = |row: &Option<Vec<f64>>| row.iter().flatten().map(|x| round(*x, 1e6) + 0.0).collect();
    let map = CuisineMap {
        format: FORMAT.into(),
        simulated: options.simulated.clone(),
        credits: options.credits.clone(),
        merchants_sha256: company.sha256.clone(),
        n_owners: company.n_owners(),
        n_clusters,
        tau: round(tau, 1e9),
        eigenvalues: spectrum.values.iter().take(wanted + 1).map(|value| round(*value, 1e9)).collect(),
        choice: Choice {
            n_combining: combining.len(),
            n_linked: linked.ids.len(),
            eigengap: judge::eigengap(&spectrum.values, allowed(linked.ids.len()).len() + 1),
            candidates,
            chosen,
        },
        weights,
        similarity: (0..n).map(|i| similar(i, &rows)).collect(),
        projection: rows.iter().map(projection).collect(),
        parents,
        unplaced,
        unknown: unknown.map(|(label, count)| (label.clone(), *count)).collect(),
        merchants: counts,
        labels,
        vocabulary,
    };
    let nodes = 0..linked.ids.len();
    let trace = Trace {
        labels: linked.ids.iter().map(|id| company.labels[*id].clone()).collect(),
        adjacency: nodes.clone().map(|i| nodes.clone().map(|j| linked.adjacency[(i, j)]).collect()).collect(),
        tau,
        eigenvectors: spectrum.vectors[..spectrum.leading(wanted)].to_vec(),
        eigenvalues: spectrum.values,
        rows: directions,
        k_means: found,
        n_starts: options.n_starts,
    };
    Ok((map, trace))
}

/// Without clusters that nobody is in, the heaviest first; among equals the one of the first point.
fn by_mass(partition: &Partition, mass: &[f64]) -> Partition {
    let of = |c: usize| partition.cluster.iter().zip(mass).filter(|(own, _)| **own == c).map(|(_, m)| m).sum::<f64>();
    let first = |c: usize| partition.cluster.iter().position(|own| *own == c);
    let mut order: Vec<usize> = (0..partition.centroids.len()).filter(|c| first(*c).is_some()).collect();
    order.sort_by(|a, b| of(*b).total_cmp(&of(*a)).then(first(*a).cmp(&first(*b))));
    let place = |c: &usize| order.iter().position(|other| other == c).unwrap_or(0);
    Partition {
        cluster: partition.cluster.iter().map(place).collect(),
        centroids: order.iter().map(|c| partition.centroids[*c].clone()).collect(),
        inertia: partition.inertia,
        start: partition.start.clone(),
    }
}

/// Shares in clusters: the squared cosines to their centroids, of which those of a basis would add up to 1; what is
/// small is left out, but never the label's own cluster.
fn memberships(points: &[&[f64]], partition: &Partition) -> Vec<Vec<(u8, u8)>> {
    let length: Vec<f64> = partition.centroids.iter().map(|centroid| libm::sqrt(dot(centroid, centroid))).collect();
    let share = |(point, own): (&&[f64], &usize)| {
        let cosines = partition.centroids.iter().zip(&length).map(|(centroid, length)| dot(point, centroid) / length);
        let squares = cosines.map(|cosine| if cosine > 0.0 { cosine * cosine } else { 0.0 });
        let kept = squares.map(|square| if square < LEAST_SHARE { 0.0 } else { square });
        let mut shares: Vec<f64> = kept.collect();
        let most = shares.iter().fold(LEAST_SHARE, |most, share| if *share > most { *share } else { most });
        // The nearest centroid by distance is seldom not the nearest by angle; the map then stays with k-means.
        shares[*own] = most;
        shares.iter_mut().enumerate().for_each(|(k, share)| {
            if k != *own && *share >= most {
                *share = most * (1.0 - 1e-9)
            }
        });
        quantized(&shares)
    };
    points.iter().zip(&partition.cluster).map(share).collect()
}

/// Places labels without a row where their nearest placed ancestor is; returns who was attached to whom.
fn attach(
    labels: &[String],
    vocabulary: &Vocabulary,
    rows: &mut [Option<Vec<f64>>],
    weights: &mut [Vec<(u8, u8)>],
) -> BTreeMap<String, String> {
    let id = |label: &str| labels.binary_search_by(|other| other.as_str().cmp(label)).ok();
    let ancestor = |label: &str| {
        let climb = std::iter::successors(vocabulary.parent(label), |label| vocabulary.parent(label));
        let mut likeness = 1.0;
        climb.take(labels.len()).find_map(|parent| {
            likeness *= PARENT_SIMILARITY;
            let parent = id(parent)?;
            Some((parent, rows[parent].as_ref()?.iter().map(|x| x * likeness).collect::<Vec<_>>()))
        })
    };
    let lost = (0..labels.len()).filter(|i| rows[*i].is_none());
    let found: Vec<_> = lost.filter_map(|i| ancestor(&labels[i]).map(|(parent, row)| (i, parent, row))).collect();
    let mut parents = BTreeMap::new();
    for (i, parent, row) in found {
        rows[i] = Some(row);
        weights[i] = weights[parent].clone();
        parents.insert(labels[i].clone(), labels[parent].clone());
    }
    parents
}

/// A label itself, and the nearest by cosine; rows of attached labels are shorter than one, so that they are less alike.
fn similar(i: usize, rows: &[Option<Vec<f64>>]) -> Vec<(u16, f64)> {
    let mut near: Vec<(u16, f64)> = Vec::new();
    if let Some(own) = &rows[i] {
        let others = rows.iter().enumerate().filter(|(j, _)| *j != i);
        near.extend(others.filter_map(|(j, row)| {
            let cosine = dot(own, row.as_ref()?);
            (cosine > LEAST_SIMILARITY).then(|| (j as u16, round(cosine.min(1.0), 1e4)))
        }));
    }
    near.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    near.truncate(MAX_SIMILAR);
    near.insert(0, (i as u16, 1.0));
    near
}
