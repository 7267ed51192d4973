//! What both stand on.

use freshrank_offline::cuisines::{CuisineMap, FitOptions, fit};
use freshrank_offline::market::{Oracle, Parameters, simulate};
use freshrank_offline::tables::{self, Merchant, ReadOptions, Tables};
use std::path::PathBuf;

/// A small simulated market on disk.
pub struct World {
    _folder: tempfile::TempDir,
    /// All six tables.
    pub folder: PathBuf,
    pub tables: Tables,
    pub map: CuisineMap,
    pub oracle: Oracle,
}

impl World {
    pub fn new(merchants: usize, readers: usize) -> Self {
        let merchants: Vec<Merchant> = (0..merchants).map(merchant).collect();
        let market = simulate(&merchants, &Parameters::frozen().unwrap(), 7, readers, "fi/helsinki").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tables");
        tables::write(&market.tables, &path).unwrap();
        let map = fit(&market.tables.merchants, &FitOptions::default()).unwrap();
        let (tables, _) = tables::read(&path, &ReadOptions::default()).unwrap();
        Self { _folder: folder, folder: path, tables, map, oracle: market.oracle }
    }
}

fn merchant(n: usize) -> Merchant {
    let cuisines = ["pizza", "sushi", "thai", "burger;american", "indian", "coffee_shop;bakery", "kebab"];
    Merchant {
        merchant_id: format!("m{n}"),
        name: format!("Merchant {n}"),
        chain_id: n.is_multiple_of(6).then(|| format!("chain{}", n % 4)),
        latitude: 60.16 + (n % 11) as f64 / 300.0,
        longitude: 24.90 + (n % 13) as f64 / 150.0,
        country: Some("FI".into()),
        cuisines: cuisines[n % cuisines.len()].split(';').map(Into::into).collect(),
        opening_hours: (!n.is_multiple_of(5)).then(|| "Mo-Su 10:00-23:00".into()),
        ..Merchant::default()
    }
}

/// Runs the work on so many threads.
pub fn threads<T: Send>(n: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap().install(work)
}
