//! `freshrank cuisines`: the map of which cuisines are alike.

use crate::{Outcome, print};
use clap::{Args, Subcommand};
use freshrank_offline::cuisines::fit::allowed;
use freshrank_offline::cuisines::graph::{Company, Linked};
use freshrank_offline::cuisines::judge::{self, Judging};
use freshrank_offline::cuisines::k_means::{adjusted_rand_index, lloyd};
use freshrank_offline::cuisines::{Candidate, CuisineError, CuisineMap, FitOptions, Vocabulary, draw, fit_traced};
use freshrank_offline::entree::Guide;
use freshrank_offline::import;
use freshrank_offline::tables::{self, Merchant, ReadOptions};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::path::PathBuf;

/// Regularizations that `sweep` tries unless told otherwise, in mean degrees.
const TAUS: [f64; 8] = [0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0];

/// What to do with a map.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Learn a map from the cuisines that merchants combine
    Fit(Fit),
    /// Judge numbers of clusters under several regularizations, without writing a map
    Sweep(Sweep),
    /// Show a map's clusters, or draw it
    Show(Show),
    /// Count the labels of merchants before and after they are brought to one spelling
    Labels(Labels),
    /// k-means from given centroids on stdin, for comparison with other tools
    #[command(hide = true)]
    Lloyd,
}

/// Where merchants with cuisines come from; several sources are one map.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Sources {
    /// A tables directory; may be given often
    #[arg(long, value_name = "DIR")]
    tables: Vec<PathBuf>,
    /// A name-suggestion-index (nsi.json): what the world's chains combine
    #[arg(long, value_name = "FILE")]
    chains: Option<PathBuf>,
    /// A folder of Entree's restaurants
    #[arg(long, value_name = "DIR")]
    entree: Option<PathBuf>,
}

/// Learning a map.
#[derive(Debug, Args)]
pub struct Fit {
    #[command(flatten)]
    sources: Sources,
    /// Of folds, resamples and k-means starts
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// k-means starts
    #[arg(long, default_value_t = FitOptions::default().n_starts)]
    starts: usize,
    /// Regularization, in mean degrees
    #[arg(long, default_value_t = FitOptions::default().tau)]
    tau: f64,
    /// Clusters; else chosen by held-out likelihood and stability
    #[arg(long, value_name = "N")]
    clusters: Option<usize>,
    /// Whose data the tables are, and its licence; may be given often
    #[arg(long, value_name = "TEXT")]
    credit: Vec<String>,
    /// Where the map goes
    #[arg(long, value_name = "FILE", default_value = "models/cuisine-map.json")]
    out: PathBuf,
    /// Where the matrix, its eigenvectors and k-means go, for comparison with other tools
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// For a program
    #[arg(long)]
    json: bool,
}

/// Judging.
#[derive(Debug, Args)]
pub struct Sweep {
    #[command(flatten)]
    sources: Sources,
    /// Of folds, resamples and k-means starts
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// k-means starts
    #[arg(long, default_value_t = 20)]
    starts: usize,
    /// Regularizations in mean degrees
    #[arg(long, value_name = "TAU", value_delimiter = ',')]
    tau: Vec<f64>,
    /// Numbers of clusters; else 2 to a tenth of the cuisines
    #[arg(long, value_name = "N", value_delimiter = ',')]
    clusters: Vec<usize>,
    /// For a program
    #[arg(long)]
    json: bool,
}

/// Looking at a map.
#[derive(Debug, Args)]
pub struct Show {
    /// The map
    #[arg(default_value = "models/cuisine-map.json")]
    map: PathBuf,
    /// Draw it there, 1600 by 900
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Of the drawing
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For a program
    #[arg(long)]
    json: bool,
}

/// Counting labels.
#[derive(Debug, Args)]
pub struct Labels {
    #[command(flatten)]
    sources: Sources,
    /// For a program
    #[arg(long)]
    json: bool,
}

type Res<T> = Result<T, Box<dyn Error + Send + Sync>>;

pub fn run(verb: &Verb) -> Outcome {
    match verb {
        Verb::Fit(arguments) => fit_map(arguments),
        Verb::Sweep(arguments) => sweep(arguments),
        Verb::Show(arguments) => show(arguments),
        Verb::Labels(arguments) => labels(arguments),
        Verb::Lloyd => run_lloyd(),
    }
}

impl Sources {
    /// All merchants, whose data they are, and what was read in a sentence each.
    fn read(&self) -> Res<(Vec<Merchant>, Vec<String>, Vec<String>)> {
        let vocabulary = Vocabulary::reviewed().map_err(CuisineError::from)?;
        let (mut merchants, mut credits, mut said) = (Vec::new(), Vec::new(), Vec::new());
        for path in &self.tables {
            // Demand may be made up, merchants are not: a map of real merchants is real.
            let (tables, _) = tables::read_sample(path, &ReadOptions::default(), 0)?;
            let with = tables.merchants.iter().filter(|m| !m.cuisines.is_empty()).count();
            said.push(format!("{}: {} merchants, {with} with cuisines", path.display(), tables.merchants.len()));
            merchants.extend(tables.merchants);
        }
        if let Some(path) = &self.chains {
            let (chains, report) = import::nsi(path, &vocabulary)?;
            let several = report.facts.get("several cuisines").unwrap_or(&0);
            said.push(format!("{}: {} chains, {several} with several cuisines", report.source, report.merchants));
            credits.push("name-suggestion-index contributors (BSD-3-Clause)".into());
            merchants.extend(chains);
        }
        if let Some(path) = &self.entree {
            let guide = Guide::read(path)?;
            let restaurants = guide.merchants();
            said.push(format!(
                "{}: {} restaurants, {} with cuisines, which are {} of {} features",
                path.display(),
                restaurants.len(),
                restaurants.iter().filter(|restaurant| !restaurant.cuisines.is_empty()).count(),
                guide.n_cuisines,
                guide.features.len()
            ));
            credits.push("UCI Entree Chicago Recommendation Data (CC BY 4.0)".into());
            merchants.extend(restaurants);
        }
        Ok((merchants, credits, said))
    }
}

fn fit_map(arguments: &Fit) -> Outcome {
    let (merchants, credits, said) = arguments.sources.read()?;
    let options = FitOptions {
        seed: arguments.seed,
        n_starts: arguments.starts,
        tau: arguments.tau,
        n_clusters: arguments.clusters,
        credits: arguments.credit.iter().cloned().chain(credits).collect(),
        ..FitOptions::default()
    };
    let (map, trace) = fit_traced(&merchants, &options, &print::progress("judging numbers of clusters"))?;
    map.write(&arguments.out)?;
    if let Some(path) = &arguments.trace {
        std::fs::write(path, serde_json::to_string(&trace)?)?;
    }
    if arguments.json {
        return Ok(print::json(&map.choice)?);
    }
    said.iter().for_each(|line| println!("{line}"));
    let (n, choice) = (map.labels.len(), &map.choice);
    println!(
        "{n} cuisines of {} merchants and chains; {} combine {} of them, {} go to a parent, {} are unplaced, {} are not in the reviewed table",
        map.n_owners,
        choice.n_combining,
        choice.n_linked,
        map.parents.len(),
        map.unplaced.len(),
        map.unknown.len(),
    );
    if !choice.candidates.is_empty() {
        println!("the eigengap would pick {}; chosen of {}:", choice.eigengap, choice.candidates.len());
        candidates(&choice.candidates, choice.chosen.as_ref());
    }
    if let Some(chosen) = &choice.chosen {
        println!(
            "with {} starts: ARI between {} seeds {:.3}, between {} bootstrap resamples {:.3} ({:.3} over common cuisines)",
            options.n_starts,
            options.n_seeds,
            chosen.seeds_ari,
            options.n_resamples,
            chosen.bootstrap_ari,
            chosen.bootstrap_ari_common
        );
    }
    println!("{}: {n} cuisines in {} clusters", arguments.out.display(), map.n_clusters);
    Ok(())
}

/// A table of candidates with a mark at the chosen one.
fn candidates(candidates: &[Candidate], chosen: Option<&Candidate>) {
    let rows = candidates.iter().map(|c| {
        vec![
            c.n_clusters.to_string(),
            format!("{:.4}", c.held_out_gain),
            format!("{:.4}", c.held_out_se),
            format!("{:.3}", c.seeds_ari),
            format!("{:.3}", c.bootstrap_ari),
            format!("{:.3}", c.bootstrap_ari_common),
            match chosen {
                Some(chosen) if chosen.n_clusters == c.n_clusters => "chosen",
                _ if judge::is_admitted(c, candidates) => "admitted",
                _ => "",
            }
            .into(),
        ]
    });
    let header = ["clusters", "gain, nats per held-out edge", "+-", "ARI seeds", "ARI bootstrap", "common", ""];
    print::table(&header, rows);
}

/// One line of a sweep.
#[derive(Serialize)]
struct Swept {
    /// In mean degrees.
    tau: f64,
    /// Whether rows were brought to length one.
    directions: bool,
    /// What [`judge::choose`] picks under this regularization.
    chosen: Option<usize>,
    candidates: Vec<Candidate>,
}

fn sweep(arguments: &Sweep) -> Outcome {
    let (merchants, _, said) = arguments.sources.read()?;
    let company = Company::new(&merchants, &Vocabulary::reviewed().map_err(CuisineError::from)?)?;
    let linked = Linked::of(&company.adjacency(&company.combining()));
    let ks = if arguments.clusters.is_empty() { allowed(linked.ids.len()) } else { arguments.clusters.clone() };
    let taus = if arguments.tau.is_empty() { TAUS.to_vec() } else { arguments.tau.clone() };
    let base = FitOptions { seed: arguments.seed, n_starts: arguments.starts, ..FitOptions::default() }.judging(true);
    let bar = print::progress("judging");
    let runs: Vec<(f64, bool)> = taus.iter().map(|tau| (*tau, true)).chain([(1.0, false)]).collect();
    let mut swept = Vec::new();
    for (i, (tau, directions)) in runs.iter().enumerate() {
        let judging = Judging { tau: *tau, directions: *directions, ..base };
        let found = judge::judge(&company, &ks, &judging, &|done, total| bar(i * total + done, runs.len() * total))?;
        swept.push(Swept { tau: *tau, directions: *directions, chosen: judge::choose(&found), candidates: found });
    }
    if arguments.json {
        return Ok(print::json(&swept)?);
    }
    said.iter().for_each(|line| println!("{line}"));
    println!(
        "{} cuisines, {} beside another on the menus of {} merchants and chains; mean degree {:.2}",
        company.labels.len(),
        linked.ids.len(),
        company.combining().len(),
        linked.mean_degree()
    );
    let rows = swept.iter().flat_map(|swept| {
        let best = swept.candidates.iter().reduce(|a, b| if b.held_out_gain > a.held_out_gain { b } else { a });
        let chosen = swept.candidates.iter().find(|c| Some(c.n_clusters) == swept.chosen);
        let row = |what: &str, c: &Candidate| {
            vec![
                format!("{}{}", swept.tau, if swept.directions { "" } else { " (rows not normalized)" }),
                what.to_owned(),
                c.n_clusters.to_string(),
                format!("{:.4}", c.held_out_gain),
                format!("{:.3}", c.seeds_ari),
                format!("{:.3}", c.bootstrap_ari),
                format!("{:.3}", c.bootstrap_ari_common),
            ]
        };
        [best.map(|c| row("likeliest", c)), chosen.map(|c| row("chosen", c))].into_iter().flatten().collect::<Vec<_>>()
    });
    let header =
        ["tau, mean degrees", "", "clusters", "gain, nats per held-out edge", "ARI seeds", "ARI bootstrap", "common"];
    print::table(&header, rows);
    Ok(())
}

fn show(arguments: &Show) -> Outcome {
    let map = CuisineMap::read(&arguments.map)?;
    if let Some(path) = &arguments.svg {
        std::fs::write(path, draw::svg(&map, arguments.seed))?;
    }
    let clusters = map.show();
    if arguments.json {
        return Ok(print::json(&clusters)?);
    }
    let rows = clusters.iter().map(|cluster| {
        let labels: Vec<&str> = cluster.labels.iter().take(10).map(|(label, _)| label.as_str()).collect();
        vec![cluster.cluster.to_string(), format!("{:.0}", cluster.merchants), labels.join(", ")]
    });
    print::table(&["cluster", "merchants", "cuisines"], rows);
    let none = |text: String| if text.is_empty() { "none".into() } else { text };
    let pair = |(label, parent): (&String, &String)| format!("{label} ({parent})");
    println!("with their parent: {}", none(map.parents.iter().map(pair).collect::<Vec<_>>().join(", ")));
    println!("unplaced: {}", none(map.unplaced.join(", ")));
    println!("not in the reviewed table: {}", none(map.unknown.keys().cloned().collect::<Vec<_>>().join(", ")));
    if let Some(chosen) = &map.choice.chosen {
        println!(
            "stability: ARI between seeds {:.3}, between bootstrap resamples {:.3} ({:.3} over common cuisines)",
            chosen.seeds_ari, chosen.bootstrap_ari, chosen.bootstrap_ari_common
        );
    }
    Ok(())
}

/// A label and how it was written.
#[derive(Serialize)]
struct Spelt {
    label: String,
    /// How often, by merchants.
    written: std::collections::BTreeMap<String, usize>,
    reviewed: bool,
}

fn labels(arguments: &Labels) -> Outcome {
    let (merchants, _, _) = arguments.sources.read()?;
    let vocabulary = Vocabulary::reviewed().map_err(CuisineError::from)?;
    let mut spelt = std::collections::BTreeMap::<String, Spelt>::new();
    for written in merchants.iter().flat_map(|merchant| &merchant.cuisines) {
        for label in vocabulary.labels(std::slice::from_ref(written)) {
            let reviewed = vocabulary.knows(&label);
            let one = spelt.entry(label.clone());
            let one = one.or_insert_with(|| Spelt { label, written: Default::default(), reviewed });
            *one.written.entry(written.clone()).or_default() += 1;
        }
    }
    if arguments.json {
        return Ok(print::json(&spelt.values().collect::<Vec<_>>())?);
    }
    let rows = spelt.values().map(|one| {
        let written: Vec<String> = one.written.iter().map(|(text, n)| format!("{text} {n}")).collect();
        vec![one.label.clone(), written.join(", "), if one.reviewed { "" } else { "not in the reviewed table" }.into()]
    });
    print::table(&["label", "written, merchants", ""], rows);
    Ok(())
}

/// Points and the centroids to begin with; partitions to compare.
#[derive(Deserialize)]
struct Task {
    points: Vec<Vec<f64>>,
    starts: Vec<Vec<Vec<f64>>>,
}

fn run_lloyd() -> Outcome {
    let task: Task = serde_json::from_reader(std::io::stdin().lock())?;
    let points: Vec<&[f64]> = task.points.iter().map(Vec::as_slice).collect();
    let found: Vec<_> = task.starts.into_iter().map(|start| lloyd(&points, start)).collect();
    let first = found.first().map(|partition| partition.cluster.clone()).unwrap_or_default();
    let index: Vec<f64> = found.iter().map(|other| adjusted_rand_index(&first, &other.cluster)).collect();
    Ok(print::json(&serde_json::json!({ "runs": found, "ari_to_first": index }))?)
}
