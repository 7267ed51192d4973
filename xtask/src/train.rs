//! The artefacts in models/, made again from nothing: real merchants, simulated demand, rows, training, plan, and every
//! engine's score of every validation row. Nothing reaches models/ before all of it agrees.

use crate::sh::{self, Outcome, program, root, target};
use crate::{retrain, setup, test};
use std::path::Path;

/// The same market and seed as the demo's.
const SEED: &str = "7";
const MARKET: &str = "fi/helsinki";
/// Further markets: the same merchants, other readers, tastes and standings. Messages of one market are too few to tell what holds from
/// chance; the first one alone is tested on.
const MORE_SEEDS: [&str; 5] = ["11", "12", "13", "14", "15"];
/// Of a query, so that all markets are learnt from in minutes.
const CANDIDATES: &str = "50";
/// Extracts count as of then.
const AS_OF: &str = "2026-10-23";
/// A market to train again on has as many as `freshrank market` makes unless told.
const READERS: u32 = 20_000;
const OTTAWA: &str =
    "merchant_id=OSM_TYPE+OSM_ID,name=NAME,cuisines=CUISINE,chain_id=BRAND,latitude=LATITUDE,longitude=LONGITUDE";

/// `cargo xtask train`.
pub fn run(_: &[String]) -> Outcome {
    let extract = setup::helsinki()?;
    let node = setup::node()?;
    if let Some(why) = setup::python()? {
        return Err(why);
    }
    let cli = test::cli_as_tested()?;
    let extract = extract.to_string_lossy().into_owned();
    let chains = node.join("../name-suggestion-index/dist/json/nsi.json").to_string_lossy().into_owned();
    let folder = target("train");
    sh::fresh_dir(&folder)?;
    let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (merchants, tables, examples) = (at("merchants"), at("tables"), at("examples.parquet"));

    let import = ["import", "osm", &extract, "--country", "FI", "--as-of", AS_OF, "--out", &merchants];
    step(&cli, "import", &import)?;
    cuisines(&cli, &merchants, &chains)?;
    simulate(&cli, &merchants, SEED, &tables, &examples)?;
    let more = MORE_SEEDS.map(|seed| at(&format!("examples-{seed}.parquet")));
    for (seed, examples) in MORE_SEEDS.iter().zip(&more) {
        simulate(&cli, &merchants, seed, &at(&format!("tables-{seed}")), examples)?;
    }
    let made = folder.join("models");
    let model = |name: &str| made.join(name).to_string_lossy().into_owned();
    let (onnx, plan, page) = (model("ltr.onnx"), model("ltr.plan"), target("report/training.html"));
    println!("\n> training/train.py");
    let mut train = program(setup::venv().join("bin/python"));
    train.arg("training/train.py").args(["--examples", &examples, "--also", "known-place"]);
    train.args(more.iter().flat_map(|examples| ["--more", examples]));
    train.arg("--out").arg(&made).arg("--rows").arg(&folder).arg("--report").arg(page);
    print!("{}", sh::logged("train", &mut train)?);
    step(&cli, "plan", &["model", "compile", &onnx, "--out", &plan])?;
    let (rows, scores) = (at("valid_rows.f32"), at("valid_scores.f32"));
    step(&cli, "check", &["model", "check", &onnx, "--plan", &plan, "--rows", &rows, "--scores", &scores])?;
    let mut check = program(setup::venv().join("bin/python"));
    print!("{}", sh::logged("train-files", check.arg("training/check.py").arg(&made))?);
    for name in ["ltr.onnx", "ltr.plan", "ltr.card.json", "ltr.probe.json"] {
        std::fs::copy(made.join(name), root().join("models").join(name)).map_err(|error| format!("{name}: {error}"))?;
    }
    println!("the shells embed models/: build them again; all of it is in {}", root().join("models").display());
    Ok(())
}

/// `cargo xtask retrain [--users N]`.
pub fn again(arguments: &[String]) -> Outcome {
    let wrong = || format!("found `retrain {}`, expected `retrain` or `retrain --users N`", arguments.join(" "));
    let readers = match arguments {
        [] => READERS,
        [flag, n] if flag == "--users" => n.parse().map_err(|_| wrong())?,
        _ => return Err(wrong()),
    };
    if let Some(why) = setup::python()? {
        return Err(why);
    }
    let cli = test::cli_as_tested()?;
    retrain::retrain(&cli, readers).map(|words| println!("{words}"))
}

/// A market of that seed, and its rows.
fn simulate(cli: &Path, merchants: &str, seed: &str, tables: &str, examples: &str) -> Outcome {
    let market = ["market", "--merchants", merchants, "--market", MARKET, "--seed", seed, "--out", tables];
    step(cli, "market", &market)?;
    let rows = ["examples", "--tables", tables, "--market", MARKET, "--candidates", CANDIDATES, "--out", examples];
    step(cli, "examples", &rows)
}

/// Prints what `freshrank` is asked, and what it says.
fn step(cli: &Path, name: &str, arguments: &[&str]) -> Outcome {
    println!("\n> freshrank {}", arguments.join(" "));
    print!("{}", sh::logged(&format!("train-{name}"), program(cli).args(arguments))?);
    Ok(())
}

/// The cuisine map of three cities, the world's chains and Entree; kept as it is where part of that is not at hand.
fn cuisines(cli: &Path, helsinki: &str, chains: &str) -> Outcome {
    let data = root().join("../shared/data");
    let path = |name: &str| data.join(name).to_string_lossy().into_owned();
    let (ottawa, copenhagen, entree) = (path("osm/ottawa.csv"), path("osm/copenhagen.geojson"), path("entree"));
    if [&ottawa, &copenhagen, &entree].into_iter().any(|path| !Path::new(path).exists()) {
        println!("\nno ../shared/data: models/cuisine-map.json stays as it is");
        return Ok(());
    }
    let at = |name: &str| target("train").join(name).to_string_lossy().into_owned();
    let (in_ottawa, in_copenhagen) = (at("ottawa"), at("copenhagen"));
    step(cli, "ottawa", &["import", "csv", &ottawa, "--map", OTTAWA, "--out", &in_ottawa])?;
    step(cli, "copenhagen", &["import", "geojson", &copenhagen, "--as-of", AS_OF, "--out", &in_copenhagen])?;
    let tables = ["--tables", helsinki, "--tables", &in_ottawa, "--tables", &in_copenhagen];
    let others = ["--chains", chains, "--entree", &entree, "--credit", "© OpenStreetMap contributors (ODbL 1.0)"];
    step(cli, "cuisines", &[&["cuisines", "fit"][..], &tables, &others].concat())
}
