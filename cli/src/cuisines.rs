//! `freshrank cuisines`: the map of which cuisines are alike.

use crate::{Outcome, print};
use clap::Subcommand;
use freshrank_offline::cuisines::{CuisineError, CuisineMap, FitOptions, Vocabulary, fit};
use freshrank_offline::import;
use freshrank_offline::tables::{self, Merchant, ReadOptions};
use std::path::PathBuf;

/// What to do with a map.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Learn a map from the cuisines that merchants combine
    Fit {
        /// A tables directory
        #[arg(long, value_name = "DIR")]
        tables: PathBuf,
        /// A name-suggestion-index (nsi.json): what its chains combine counts too, and what the reviewed table says
        #[arg(long, value_name = "FILE")]
        chains: Option<PathBuf>,
        /// Of the k-means starts
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where the map goes
        #[arg(long, value_name = "FILE", default_value = "models/cuisine-map.json")]
        out: PathBuf,
    },
    /// Show a map's clusters
    Show {
        /// The map
        #[arg(default_value = "models/cuisine-map.json")]
        map: PathBuf,
        /// For a program
        #[arg(long)]
        json: bool,
    },
}

pub fn run(verb: &Verb) -> Outcome {
    match verb {
        Verb::Fit { tables, chains, seed, out } => {
            let (mut tables, _) = tables::read(tables, &ReadOptions::default())?;
            if let Some(path) = chains {
                let vocabulary = Vocabulary::reviewed().map_err(CuisineError::from)?;
                let (chains, report) = import::nsi(path, &vocabulary)?;
                println!(
                    "{}: {} chains, {} with several cuisines",
                    report.source,
                    report.merchants,
                    report.facts.get("several cuisines").unwrap_or(&0)
                );
                tables.merchants.extend(chains);
            }
            // Demand is made up, merchants are not: a map of real merchants is real.
            let options = FitOptions { seed: *seed, ..FitOptions::default() };
            let map = match chains {
                Some(_) => reviewed(tables.merchants, &options)?,
                None => fit(&tables.merchants, &options)?,
            };
            map.write(out)?;
            println!("{}: {} cuisines in {} clusters", out.display(), map.labels.len(), map.n_clusters);
        }
        Verb::Show { map, json } => {
            let map = CuisineMap::read(map)?;
            let clusters = map.show();
            if *json {
                return Ok(print::json(&clusters)?);
            }
            let rows = clusters.iter().map(|cluster| {
                let labels: Vec<&str> = cluster.labels.iter().take(10).map(|(label, _)| label.as_str()).collect();
                vec![cluster.cluster.to_string(), format!("{:.0}", cluster.merchants), labels.join(", ")]
            });
            print::table(&["cluster", "merchants", "cuisines"], rows);
            println!("unplaced: {}", if map.unplaced.is_empty() { "none".into() } else { map.unplaced.join(", ") });
            println!("not in the reviewed table: {}", map.unknown.keys().cloned().collect::<Vec<_>>().join(", "));
        }
    }
    Ok(())
}

/// Learns a map in which the reviewed table speaks too: each label beside its nearest ancestor that anybody serves, once.
///
/// One chain that sells Indian food with coffee would else decide where Indian food stands. What is counted is still
/// merchants only.
fn reviewed(mut merchants: Vec<Merchant>, options: &FitOptions) -> Result<CuisineMap, CuisineError> {
    let seen = fit(&merchants, options)?;
    let ancestor = |label: &String| {
        let mut climb = std::iter::successors(seen.vocabulary.parent(label), |label| seen.vocabulary.parent(label));
        let parent = climb.find(|parent| seen.labels.iter().any(|other| other == parent))?;
        Some((label.clone(), parent.to_owned()))
    };
    let pairs: Vec<(String, String)> = seen.labels.iter().filter_map(ancestor).collect();
    merchants.extend(pairs.iter().map(|(label, parent)| Merchant {
        merchant_id: format!("reviewed:{label}"),
        cuisines: vec![label.clone(), parent.clone()],
        ..Merchant::default()
    }));
    let map = fit(&merchants, options)?;
    let alone = |label: &String| seen.parents.contains_key(label) || seen.unplaced.contains(label);
    let attached = |(label, _): &(String, String)| alone(label) && !map.unplaced.contains(label);
    let parents = pairs.into_iter().filter(attached).collect();
    Ok(CuisineMap {
        parents,
        merchants: seen.merchants,
        merchants_sha256: seen.merchants_sha256,
        unknown: seen.unknown,
        ..map
    })
}
