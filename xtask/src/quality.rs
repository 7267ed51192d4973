//! `cargo xtask quality`: how well the ranker ranks beside LightGBM's LambdaMART, on real choices and on simulated markets.

use crate::sh::{self, Outcome, program, root, target};
use crate::{setup, test};
use std::path::Path;
use std::process::Command;

/// The same market, seed and extract as training's.
const SEED: &str = "7";
const MARKET: &str = "fi/helsinki";
const AS_OF: &str = "2026-10-23";
/// How readers of the two simulated markets choose; the first is the one that models/ is trained on.
const FORMS: [&str; 2] = ["logit", "urn"];
/// Simulated readers of each market.
const USERS: &str = "6000";
/// Real data that is not committed, and what stands there.
const DATA: [(&str, &str); 2] = [("--entree", "entree"), ("--lightgbm", "lightgbm_lambdarank")];

/// `cargo xtask quality`.
pub fn run(arguments: &[String]) -> Outcome {
    let (users, passed_on) = match arguments {
        [option, users, rest @ ..] if option == "--users" => (users.as_str(), rest),
        _ => (USERS, arguments),
    };
    let extract = setup::helsinki()?.to_string_lossy().into_owned();
    if let Some(why) = setup::python()? {
        return Err(why);
    }
    let cli = test::cli()?;
    let folder = target("quality");
    sh::fresh_dir(&folder)?;
    let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let merchants = at("merchants");
    step(&cli, "import", &["import", "osm", &extract, "--country", "FI", "--as-of", AS_OF, "--out", &merchants])?;

    let mut python = program(setup::venv().join("bin/python"));
    python.arg("training/quality.py").arg("--out").arg(target("report"));
    for form in FORMS {
        let (tables, examples) = (at(form), at(&format!("{form}.parquet")));
        let simulated = ["--market", MARKET, "--seed", SEED, "--users", users, "--form", form, "--out", &tables];
        step(&cli, form, &[&["market", "--merchants", &merchants][..], &simulated].concat())?;
        step(&cli, "examples", &["examples", "--tables", &tables, "--market", MARKET, "--out", &examples])?;
        python.arg("--market").arg(format!("{form} market={examples}"));
    }
    for (option, name) in DATA {
        let path = root().join("../shared/data").join(name);
        if path.exists() {
            python.arg(option).arg(path);
        } else {
            println!("skipped: {} is not there", path.display());
        }
    }
    aloud(python.args(passed_on))
}

/// Prints what `freshrank` is asked, and what it says.
fn step(cli: &Path, name: &str, arguments: &[&str]) -> Outcome {
    println!("> freshrank {}", arguments.join(" "));
    print!("{}", sh::logged(&format!("quality-{name}"), program(cli).args(arguments))?);
    Ok(())
}

/// Runs a program that talks to the person who waits.
fn aloud(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|err| format!("cannot run {command:?}: {err}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}")) }
}
