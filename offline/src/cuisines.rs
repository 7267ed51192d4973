//! The cuisine map: which cuisines are alike, learnt from merchants that serve several.
//!
//! Labels become nodes, merchants edges; spectral clusters of that graph shrink a taste over hundreds of labels to
//! at most 20 numbers. Many labels never occur beside another: those go where a reviewed table says, or nowhere. An
//! eigenvector never places what it does not reach.

pub mod vocabulary;
pub mod graph;
pub mod spectral;
pub mod k_means;
pub mod judge;
pub mod fit;
pub mod tsne;
pub mod draw;

use freshrank::bundle::MAX_CLUSTERS;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use fit::{FitOptions, fit, fit_traced};
pub use judge::Candidate;
pub use vocabulary::Vocabulary;

/// What [`CuisineMap::format`] says.
const FORMAT: &str = "freshrank-cuisine-map-2";
/// The bundle's mark for "no label"; ids stay below.
const NO_LABEL: usize = u16::MAX as usize;
/// Clusters that a label may belong to.
const MAX_SHARES: usize = 3;
/// What the shares of one label add up to.
const WHOLE: u8 = u8::MAX;

/// Why there is no map.
#[derive(Debug, thiserror::Error)]
pub enum CuisineError {
    /// The file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is no JSON of a map.
    #[error("{path}: {source}", path = path.display())]
    Json {
        /// Which file.
        path: PathBuf,
        /// Where, and what was expected.
        source: serde_json::Error,
    },
    /// The file is a map that contradicts itself.
    #[error("{path}: {what}: found {found}, expected {expected}", path = path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// Which field.
        what: &'static str,
        /// What it holds.
        found: String,
        /// What it may hold.
        expected: String,
    },
    /// The reviewed table is damaged.
    #[error("offline/cuisines.toml: {0}")]
    Vocabulary(#[from] toml::de::Error),
    /// More labels than ids.
    #[error("merchants have {found} different cuisine labels, the limit is {limit}")]
    TooManyLabels {
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The eigenvalues of this graph do not converge.
    #[error("the eigenvalues of the cuisine graph do not converge ({labels} labels)")]
    Eigenvalues {
        /// Nodes of the graph.
        labels: usize,
    },
}

/// Which cuisines are alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CuisineMap {
    /// `freshrank-cuisine-map-2`.
    pub format: String,
    /// Said in every output when present.
    pub simulated: Option<String>,
    /// Whose data it was learnt from, and its licence.
    pub credits: Vec<String>,
    /// SHA-256 of the merchants' labels, hexadecimal.
    pub merchants_sha256: String,
    /// Merchants with any label, a chain once.
    pub n_owners: usize,
    /// By id: normalized, sorted.
    pub labels: Vec<String>,
    /// By id: merchants that serve it, a chain once; to a hundredth.
    pub merchants: Vec<f64>,
    /// At most 20; the one that most merchants serve first.
    pub n_clusters: usize,
    /// Why so many.
    pub choice: Choice,
    /// The regularization, in merchants.
    pub tau: f64,
    /// Of the regularized Laplacian, the largest first: those used and the next; to nine digits.
    pub eigenvalues: Vec<f64>,
    /// By id: up to 3 clusters with shares that add up to 255, the largest first; empty where unplaced.
    pub weights: Vec<Vec<(u8, u8)>>,
    /// By id: itself with 1, then up to 8 labels by falling likeness, 0 to 1.
    pub similarity: Vec<Vec<(u16, f64)>>,
    /// By id: its direction in the space of the leading eigenvectors, whose cosines are the similarity; shorter than 1 by
    /// what a label is less alike than the parent it was attached to; empty where unplaced. To six digits.
    pub projection: Vec<Vec<f64>>,
    /// Labels that were attached, and to whom.
    pub parents: BTreeMap<String, String>,
    /// Labels in no cluster.
    pub unplaced: Vec<String>,
    /// Labels that the reviewed table does not name, and how many merchants serve them, a chain once.
    pub unknown: BTreeMap<String, f64>,
    /// How labels are brought to one spelling.
    pub vocabulary: Vocabulary,
}

/// How the number of clusters was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Merchants that serve two labels together, a chain once.
    pub n_combining: usize,
    /// Labels that occur beside another; the rest is attached or unplaced.
    pub n_linked: usize,
    /// The number that the largest drop between eigenvalues would have picked.
    pub eigengap: usize,
    /// Up to a tenth of the linked labels; none where there was nothing to choose.
    pub candidates: Vec<Candidate>,
    /// The chosen one, judged with all k-means starts.
    pub chosen: Option<Candidate>,
}

/// What is read first.
#[derive(Deserialize)]
struct Head {
    format: String,
}

/// One cluster, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cluster {
    /// Its number.
    pub cluster: u8,
    /// Merchants that serve its labels, by share.
    pub merchants: f64,
    /// Labels and how much of each belongs here, 0 to 1; what most merchants serve first.
    pub labels: Vec<(String, f64)>,
}

impl CuisineMap {
    /// The id of a label in any spelling.
    #[must_use]
    pub fn id(&self, label: &str) -> Option<u16> {
        let label = self.vocabulary.normalize(label)?;
        self.labels.binary_search(&label).ok().map(|id| id as u16)
    }

    /// The ids of a merchant's cuisines, each once, in the source's order; labels the map does not have are left out.
    #[must_use]
    pub fn ids(&self, cuisines: &[String]) -> Vec<u16> {
        let labels = self.vocabulary.labels(cuisines);
        labels.iter().filter_map(|label| self.labels.binary_search(label).ok().map(|id| id as u16)).collect()
    }

    /// Up to 3 clusters of a label with shares that add up to 255; none where it is unplaced.
    #[must_use]
    pub fn weights(&self, id: u16) -> &[(u8, u8)] {
        self.weights.get(usize::from(id)).map_or(&[], Vec::as_slice)
    }

    /// Up to 3 clusters of a merchant with these labels, each label alike; shares as in [`CuisineMap::weights`].
    #[must_use]
    pub fn blend(&self, ids: &[u16]) -> Vec<(u8, u8)> {
        let by_label: Vec<f64> =
            (0..self.labels.len()).map(|id| f64::from(u8::from(ids.contains(&(id as u16))))).collect();
        quantized(&self.project(&by_label))
    }

    /// Something by label, summed up by cluster; what unplaced labels hold goes nowhere.
    #[must_use]
    pub fn project(&self, by_label: &[f64]) -> Vec<f64> {
        let mut clusters = vec![0.0; self.n_clusters];
        for (value, weights) in by_label.iter().zip(&self.weights) {
            weights
                .iter()
                .for_each(|(k, weight)| clusters[usize::from(*k)] += value * f64::from(*weight) / f64::from(WHOLE));
        }
        clusters
    }

    /// The clusters with their labels.
    #[must_use]
    pub fn show(&self) -> Vec<Cluster> {
        let cluster = |k: u8| {
            let share = |i: usize| {
                self.weights[i].iter().find(|(own, _)| *own == k).map(|(_, w)| f64::from(*w) / f64::from(WHOLE))
            };
            let mut own: Vec<(usize, f64)> = (0..self.labels.len()).filter_map(|i| Some((i, share(i)?))).collect();
            let mass = |(i, share): &(usize, f64)| self.merchants[*i] * share;
            own.sort_by(|a, b| mass(b).total_cmp(&mass(a)).then(a.0.cmp(&b.0)));
            let merchants = round(own.iter().map(mass).sum(), 1e2);
            Cluster {
                cluster: k,
                merchants,
                labels: own.into_iter().map(|(i, share)| (self.labels[i].clone(), share)).collect(),
            }
        };
        (0..self.n_clusters as u8).map(cluster).collect()
    }

    /// First 8 bytes, little-endian, of the SHA-256 of the map's JSON; bundles and profiles carry it, so that tastes of
    /// one map are never read on another.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let digest = Sha256::digest(self.to_json().unwrap_or_default());
        digest.iter().take(8).rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    /// Reads `models/cuisine-map.json`.
    ///
    /// # Errors
    /// Names the file and the place that is no map.
    pub fn read(path: &Path) -> Result<Self, CuisineError> {
        let text = std::fs::read_to_string(path).map_err(|source| CuisineError::Io { path: path.into(), source })?;
        let json = |source| CuisineError::Json { path: path.into(), source };
        // A map of another version is told by its name, not by the first field that it lacks.
        let Head { format } = serde_json::from_str(&text).map_err(json)?;
        if format != FORMAT {
            let (found, expected) = (format, FORMAT.into());
            return Err(CuisineError::Value { path: path.into(), what: "format", found, expected });
        }
        let map: Self = serde_json::from_str(&text).map_err(json)?;
        match map.contradiction() {
            Some((what, found, expected)) => Err(CuisineError::Value { path: path.into(), what, found, expected }),
            None => Ok(map),
        }
    }

    /// Writes what [`CuisineMap::read`] reads, a line for each field.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), CuisineError> {
        let text = self.to_json().map_err(|source| CuisineError::Json { path: path.into(), source })?;
        std::fs::write(path, text).map_err(|source| CuisineError::Io { path: path.into(), source })
    }

    fn to_json(&self) -> Result<String, serde_json::Error> {
        let serde_json::Value::Object(fields) = serde_json::to_value(self)? else {
            return Ok(String::new());
        };
        let lines: Vec<String> = fields.iter().map(|(name, value)| format!("  {name:?}: {value}")).collect();
        Ok(format!("{{\n{}\n}}\n", lines.join(",\n")))
    }

    /// The first field that does not fit the others: its name, what it holds, what it may hold.
    fn contradiction(&self) -> Option<(&'static str, String, String)> {
        let n = self.labels.len();
        let bad = |what, found: &dyn std::fmt::Display, expected: &dyn std::fmt::Display| {
            Some((what, found.to_string(), expected.to_string()))
        };
        if self.n_clusters > MAX_CLUSTERS {
            return bad("n_clusters", &self.n_clusters, &format!("at most {MAX_CLUSTERS}"));
        }
        if n > NO_LABEL {
            return bad("labels", &n, &format!("at most {NO_LABEL}"));
        }
        if let Some(pair) = self.labels.windows(2).find(|pair| pair[0] >= pair[1]) {
            return bad("labels", &format!("{:?} before {:?}", pair[0], pair[1]), &"sorted, each once");
        }
        let lengths = [
            ("weights", self.weights.len()),
            ("similarity", self.similarity.len()),
            ("projection", self.projection.len()),
            ("merchants", self.merchants.len()),
        ];
        if let Some((what, found)) = lengths.into_iter().find(|(_, length)| *length != n) {
            return bad(what, &format!("{found} entries"), &n);
        }
        let whole =
            |shares: &[(u8, u8)]| shares.iter().map(|(_, share)| u32::from(*share)).sum::<u32>() == u32::from(WHOLE);
        let known = |shares: &[(u8, u8)]| shares.iter().all(|(k, _)| usize::from(*k) < self.n_clusters);
        let fits =
            |shares: &[(u8, u8)]| shares.is_empty() || shares.len() <= MAX_SHARES && whole(shares) && known(shares);
        if let Some(shares) = self.weights.iter().find(|shares| !fits(shares)) {
            return bad(
                "weights",
                &format!("{shares:?}"),
                &format!("up to 3 of {} clusters, in all 255", self.n_clusters),
            );
        }
        let alike = |(id, value): &(u16, f64)| usize::from(*id) < n && (0.0..=1.0).contains(value);
        let odd = self.similarity.iter().flatten().find(|pair| !alike(pair));
        odd.and_then(|pair| bad("similarity", &format!("{pair:?}"), &format!("an id below {n} and 0 to 1")))
    }
}

/// The largest three of these shares, scaled so that they add up to 255; nothing where all are zero.
fn quantized(shares: &[f64]) -> Vec<(u8, u8)> {
    let mut largest: Vec<(usize, f64)> = shares.iter().copied().enumerate().filter(|(_, share)| *share > 0.0).collect();
    largest.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    largest.truncate(MAX_SHARES);
    let total: f64 = largest.iter().map(|(_, share)| share).sum();
    let scaled = largest.iter().map(|(k, share)| (*k as u8, libm::round(share / total * f64::from(WHOLE)) as u8));
    let mut weights: Vec<(u8, u8)> = scaled.filter(|(_, weight)| *weight > 0).collect();
    // What rounding took or gave is the first one's, who feels it least.
    let rest = weights.iter().skip(1).map(|(_, weight)| weight).sum::<u8>();
    if let Some((_, first)) = weights.first_mut() {
        *first = WHOLE - rest;
    }
    weights
}

/// To so many steps per one: the last bits of an eigenvector depend on the machine's vector width.
fn round(value: f64, steps: f64) -> f64 {
    libm::round(value * steps) / steps
}

#[cfg(test)]
mod tests;
