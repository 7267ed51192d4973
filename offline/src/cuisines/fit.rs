//! Learns the cuisine map from merchants.

use super::spectral::{self, Partition, dot};
use super::{CuisineError, CuisineMap, FORMAT, NO_LABEL, Vocabulary, quantized, round};
use crate::tables::Merchant;
use faer::Mat;
use freshrank::bundle::MAX_CLUSTERS;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// How alike a label is to the parent it was attached to; twice removed, squared.
const PARENT_SIMILARITY: f64 = 0.8;
/// Likeness below this is none.
const LEAST_SIMILARITY: f64 = 0.05;
/// A smaller share in a cluster is none.
const LEAST_SHARE: f64 = 1.0 / 16.0;
/// Nearest labels kept of each.
const MAX_SIMILAR: usize = 8;

/// How a map is fitted.
#[derive(Debug, Clone)]
pub struct FitOptions {
    /// Of the k-means starts.
    pub seed: u64,
    /// The best of so many.
    pub n_starts: usize,
    /// Regularization; the mean degree unless given.
    pub tau: Option<f64>,
    /// A tenth of the labels that occur beside another, at least 2, unless given; at most 20.
    pub n_clusters: Option<usize>,
    /// [`crate::tables::Tables::simulated`] of the merchants' table.
    pub simulated: Option<String>,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { seed: 1, n_starts: 200, tau: None, n_clusters: None, simulated: None }
    }
}

/// Learns a map from merchants; equal for any order of them.
///
/// # Errors
/// [`CuisineError::TooManyLabels`] and [`CuisineError::Eigenvalues`].
pub fn fit(merchants: &[Merchant], options: &FitOptions) -> Result<CuisineMap, CuisineError> {
    let vocabulary = Vocabulary::reviewed()?;
    let menus = menus(merchants, &vocabulary);
    let mut labels: Vec<String> = menus.values().flatten().flatten().cloned().collect();
    labels.sort();
    labels.dedup();
    let n = labels.len();
    if n > NO_LABEL {
        return Err(CuisineError::TooManyLabels { found: n, limit: NO_LABEL });
    }

    let mut counts = vec![0.0; n];
    let mut adjacency = Mat::<f64>::zeros(n, n);
    for outlets in menus.values() {
        // A chain of a hundred outlets says once what goes together, not a hundred times.
        let weight = 1.0 / outlets.len() as f64;
        for menu in outlets {
            let ids: Vec<usize> = menu.iter().filter_map(|label| labels.binary_search(label).ok()).collect();
            for &i in &ids {
                counts[i] += weight;
                ids.iter().filter(|j| **j != i).for_each(|j| adjacency[(i, *j)] += weight);
            }
        }
    }

    let degree: Vec<f64> = (0..n).map(|i| (0..n).map(|j| adjacency[(i, j)]).sum()).collect();
    let linked: Vec<usize> = (0..n).filter(|i| degree[*i] > 0.0).collect();
    let graph = Mat::from_fn(linked.len(), linked.len(), |i, j| adjacency[(linked[i], linked[j])]);
    let tau = options.tau.unwrap_or_else(|| degree.iter().sum::<f64>() / linked.len().max(1) as f64);
    let wanted =
        options.n_clusters.unwrap_or_else(|| linked.len().div_ceil(10).max(2)).clamp(1, MAX_CLUSTERS).min(linked.len());
    let embedding = spectral::embed(&spectral::laplacian(&graph, tau), wanted)
        .ok_or(CuisineError::Eigenvalues { labels: linked.len() })?;

    let mut rows: Vec<Option<Vec<f64>>> = vec![None; n];
    linked.iter().zip(&embedding.rows).for_each(|(i, row)| rows[*i].clone_from(row));
    let reached: Vec<usize> = (0..n).filter(|i| rows[*i].is_some()).collect();
    let points: Vec<&[f64]> = rows.iter().flatten().map(Vec::as_slice).collect();
    let mass: Vec<f64> = reached.iter().map(|i| counts[*i]).collect();
    let (n_clusters, shares) = match spectral::k_means(&points, wanted, options.n_starts, options.seed) {
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
    Ok(CuisineMap {
        format: FORMAT.into(),
        simulated: options.simulated.clone(),
        merchants_sha256: hash(&menus),
        n_clusters,
        tau: round(tau, 1e9),
        eigenvalues: embedding.eigenvalues.iter().take(wanted + 1).map(|value| round(*value, 1e9)).collect(),
        weights,
        similarity: (0..n).map(|i| similar(i, &rows)).collect(),
        parents,
        unplaced,
        unknown: unknown.map(|(label, count)| (label.clone(), *count)).collect(),
        merchants: counts,
        labels,
        vocabulary,
    })
}

/// The label sets of the outlets that have any, by chain; a merchant without one is its own.
fn menus<'a>(
    merchants: &'a [Merchant],
    vocabulary: &Vocabulary,
) -> BTreeMap<(Option<&'a str>, &'a str), Vec<Vec<String>>> {
    let mut menus = BTreeMap::<_, Vec<Vec<String>>>::new();
    for merchant in merchants {
        let mut menu = vocabulary.labels(&merchant.cuisines);
        menu.sort();
        let owner = match &merchant.chain_id {
            Some(chain) => (Some(chain.as_str()), ""),
            None => (None, merchant.merchant_id.as_str()),
        };
        if !menu.is_empty() {
            menus.entry(owner).or_default().push(menu);
        }
    }
    menus.values_mut().for_each(|outlets| outlets.sort());
    menus
}

fn hash(menus: &BTreeMap<(Option<&str>, &str), Vec<Vec<String>>>) -> String {
    let mut digest = Sha256::new();
    for ((chain, merchant), outlets) in menus {
        digest.update(format!("{}\t{merchant}\t{outlets:?}\n", chain.unwrap_or("")));
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Without clusters that nobody is in, the heaviest first; among equals the one of the first point.
fn by_mass(partition: Partition, mass: &[f64]) -> Partition {
    let of = |c: usize| partition.cluster.iter().zip(mass).filter(|(own, _)| **own == c).map(|(_, m)| m).sum::<f64>();
    let first = |c: usize| partition.cluster.iter().position(|own| *own == c);
    let mut order: Vec<usize> = (0..partition.centroids.len()).filter(|c| first(*c).is_some()).collect();
    order.sort_by(|a, b| of(*b).total_cmp(&of(*a)).then(first(*a).cmp(&first(*b))));
    let place = |c: &usize| order.iter().position(|other| other == c).unwrap_or(0);
    Partition {
        cluster: partition.cluster.iter().map(place).collect(),
        centroids: order.iter().map(|c| partition.centroids[*c].clone()).collect(),
        inertia: partition.inertia,
    }
}

/// Shares in clusters: the squared cosines to their centroids, of which those of a basis would add up to 1; what is
/// small is left out.
fn memberships(points: &[&[f64]], partition: &Partition) -> Vec<Vec<(u8, u8)>> {
    let length: Vec<f64> = partition.centroids.iter().map(|centroid| libm::sqrt(dot(centroid, centroid))).collect();
    let share = |point: &&[f64]| {
        let cosines = partition.centroids.iter().zip(&length).map(|(centroid, length)| dot(point, centroid) / length);
        let squares = cosines.map(|cosine| if cosine > 0.0 { cosine * cosine } else { 0.0 });
        quantized(&squares.map(|square| if square < LEAST_SHARE { 0.0 } else { square }).collect::<Vec<_>>())
    };
    points.iter().map(share).collect()
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
