//! The artefacts in models/, made again from nothing: real merchants, simulated demand, rows, training, plan.

use crate::sh::{self, Outcome, program, root, target};
use crate::{setup, test};

/// The same market and seed as the demo's.
const SEED: &str = "7";
const MARKET: &str = "fi/helsinki";

/// `cargo xtask train`.
pub fn run(_: &[String]) -> Outcome {
    let extract = setup::helsinki()?;
    let node = setup::node()?;
    if let Some(why) = setup::python()? {
        return Err(why);
    }
    let cli = test::cli()?;
    let extract = extract.to_string_lossy().into_owned();
    let chains = node.join("../name-suggestion-index/dist/json/nsi.json").to_string_lossy().into_owned();
    let folder = target("train");
    sh::fresh_dir(&folder)?;
    let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (merchants, tables, examples) = (at("merchants"), at("tables"), at("examples.parquet"));

    let steps: [(&str, Vec<&str>); 4] = [
        ("import", vec!["import", "osm", &extract, "--country", "FI", "--as-of", "2026-10-23", "--out", &merchants]),
        (
            "cuisines",
            vec!["cuisines", "fit", "--tables", &merchants, "--chains", &chains, "--out", "models/cuisine-map.json"],
        ),
        ("market", vec!["market", "--merchants", &merchants, "--market", MARKET, "--seed", SEED, "--out", &tables]),
        ("examples", vec!["examples", "--tables", &tables, "--market", MARKET, "--out", &examples]),
    ];
    for (name, arguments) in &steps {
        println!("\n> freshrank {}", arguments.join(" "));
        print!("{}", sh::logged(&format!("train-{name}"), program(&cli).args(arguments))?);
    }
    println!("\n> training/train.py");
    let mut train = program(setup::venv().join("bin/python"));
    train.arg("training/train.py").args(["--examples", &examples, "--out", "models", "--also", "known-place"]);
    print!("{}", sh::logged("train", &mut train)?);
    let compile = ["model", "compile", "models/ltr.onnx", "--out", "models/ltr.plan"];
    print!("{}", sh::logged("train-plan", program(&cli).args(compile))?);
    println!("the shells embed models/: build them again; all of it is in {}", root().join("models").display());
    Ok(())
}
