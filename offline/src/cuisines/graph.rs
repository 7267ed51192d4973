//! Who serves what together: labels are nodes, owners of menus edges.
//!
//! A chain of a hundred outlets says once what goes together, not a hundred times: its outlets share one vote. What is
//! held out or drawn again to judge a map is an owner, never an edge, since the edges of one menu come together.

use super::vocabulary::plain;
use super::{CuisineError, NO_LABEL, Vocabulary};
use crate::tables::Merchant;
use faer::Mat;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The menus of merchants as a graph; equal for any order of them.
pub struct Company {
    /// By id: normalized, sorted.
    pub labels: Vec<String>,
    /// SHA-256 of the menus, hexadecimal.
    pub sha256: String,
    /// By owner: the ids of each outlet that has any, ascending.
    owners: Vec<Vec<Vec<usize>>>,
}

/// The labels that occur beside another.
pub struct Linked {
    /// By node: the id of its label, ascending.
    pub ids: Vec<usize>,
    /// By pair of nodes: owners that serve both, a chain by share of its outlets; symmetric, no loops.
    pub adjacency: Mat<f64>,
    /// By node: the sum of its row; never 0.
    pub degree: Vec<f64>,
}

impl Company {
    /// Reads the merchants' labels.
    ///
    /// # Errors
    /// [`CuisineError::TooManyLabels`].
    pub fn new(merchants: &[Merchant], vocabulary: &Vocabulary) -> Result<Self, CuisineError> {
        let menus = menus(merchants, vocabulary);
        let mut labels: Vec<String> = menus.values().flatten().flatten().cloned().collect();
        labels.sort();
        labels.dedup();
        if labels.len() > NO_LABEL {
            return Err(CuisineError::TooManyLabels { found: labels.len(), limit: NO_LABEL });
        }
        let ids = |menu: &Vec<String>| menu.iter().filter_map(|label| labels.binary_search(label).ok()).collect();
        let owners = menus.values().map(|outlets| outlets.iter().map(ids).collect()).collect();
        Ok(Self { sha256: hash(&menus), owners, labels })
    }

    /// Owners with any label: merchants, and chains once.
    #[must_use]
    pub fn n_owners(&self) -> usize {
        self.owners.len()
    }

    /// By id: owners that serve it.
    #[must_use]
    pub fn counts(&self) -> Vec<f64> {
        let mut counts = vec![0.0; self.labels.len()];
        for outlets in &self.owners {
            let weight = 1.0 / outlets.len() as f64;
            outlets.iter().flatten().for_each(|id| counts[*id] += weight);
        }
        counts
    }

    /// The owners that serve two labels together, by their place; only they make edges.
    #[must_use]
    pub fn combining(&self) -> Vec<usize> {
        (0..self.owners.len()).filter(|o| self.owners[*o].iter().any(|menu| menu.len() > 1)).collect()
    }

    /// The graph of these owners; one that is named twice counts twice.
    #[must_use]
    pub fn adjacency(&self, owners: &[usize]) -> Mat<f64> {
        let n = self.labels.len();
        let mut adjacency = Mat::<f64>::zeros(n, n);
        for owner in owners {
            let outlets = &self.owners[*owner];
            let weight = 1.0 / outlets.len() as f64;
            for menu in outlets {
                for &i in menu {
                    menu.iter().filter(|j| **j != i).for_each(|j| adjacency[(i, *j)] += weight);
                }
            }
        }
        adjacency
    }
}

impl Linked {
    /// The part of an adjacency by id that has any edge.
    #[must_use]
    pub fn of(adjacency: &Mat<f64>) -> Self {
        let n = adjacency.nrows();
        let row = |i: usize| (0..n).map(|j| adjacency[(i, j)]).sum::<f64>();
        let (ids, degree): (Vec<usize>, Vec<f64>) = (0..n).map(|i| (i, row(i))).filter(|(_, d)| *d > 0.0).unzip();
        let adjacency = Mat::from_fn(ids.len(), ids.len(), |i, j| adjacency[(ids[i], ids[j])]);
        Self { ids, adjacency, degree }
    }

    /// The mean degree, what Qin and Rohe take for tau.
    #[must_use]
    pub fn mean_degree(&self) -> f64 {
        self.degree.iter().sum::<f64>() / self.ids.len().max(1) as f64
    }
}

/// The label sets of the outlets that have any, by chain; a merchant without one is its own.
///
/// One source knows a chain by its Wikidata item, another by its brand's name: where a name stands for one item only, they are
/// one chain.
fn menus<'a>(
    merchants: &'a [Merchant],
    vocabulary: &Vocabulary,
) -> BTreeMap<(Option<&'a str>, &'a str), Vec<Vec<String>>> {
    let mut items = BTreeMap::<String, BTreeSet<&str>>::new();
    for merchant in merchants {
        if let (Some(chain), Some(name)) =
            (merchant.chain_id.as_deref().filter(|chain| is_item(chain)), plain(&merchant.name))
        {
            items.entry(name).or_default().insert(chain);
        }
    }
    let item = |chain: &'a str| {
        let known = plain(chain).and_then(|name| items.get(&name)).filter(|items| items.len() == 1);
        known.and_then(|items| items.first().copied()).filter(|_| !is_item(chain)).unwrap_or(chain)
    };
    let mut menus = BTreeMap::<_, Vec<Vec<String>>>::new();
    for merchant in merchants {
        let mut menu = vocabulary.labels(&merchant.cuisines);
        menu.sort();
        let owner = match &merchant.chain_id {
            Some(chain) => (Some(item(chain)), ""),
            None => (None, merchant.merchant_id.as_str()),
        };
        if !menu.is_empty() {
            menus.entry(owner).or_default().push(menu);
        }
    }
    menus.values_mut().for_each(|outlets| outlets.sort());
    menus
}

/// Whether this is a Wikidata item, `Q` and a number.
fn is_item(chain: &str) -> bool {
    chain.strip_prefix('Q').is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn hash(menus: &BTreeMap<(Option<&str>, &str), Vec<Vec<String>>>) -> String {
    let mut digest = Sha256::new();
    for ((chain, merchant), outlets) in menus {
        digest.update(format!("{}\t{merchant}\t{outlets:?}\n", chain.unwrap_or("")));
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
