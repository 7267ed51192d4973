//! The simulator: static files around the engine's module, and the data that they ship.
//!
//! Merchants are an OpenStreetMap extract's, readers are simulated. Everything is made in `target/simulator`: `data` by the same commands
//! as a person's, `dist` by Vite, and a made-up area of a thousand merchants to time a drag with.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sh::{self, Outcome, program, root, target};
use crate::wasm::Weight;
use crate::{setup, wasm};

/// A Friday before lunch, near the end of the simulated window: what is shown is the same on every day.
pub const AS_OF: &str = "2026-10-23T05:00:00Z";
pub const MARKET: &str = "fi/helsinki";
/// The worked campaigns.
pub const CAMPAIGNS: [&str; 4] = ["lunch", "member-offers", "locals", "arrival"];

/// Where its market is made.
const HOME: &str = "target/simulator/market";
/// Readers of the simulated market; the page ships no more than 3,000.
const USERS: u32 = 4000;
/// Merchants of the made-up area.
const THOUSAND: u32 = 1100;
/// Where the page is asked for first.
const PORT: u16 = 8788;

/// `cargo xtask simulator build|serve|test`; `cli` gives the `freshrank` binary.
pub fn run(arguments: &[String], cli: fn() -> Outcome<PathBuf>) -> Outcome {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["build"] => built(&cli()?).map(|page| println!("{}", page.display())),
        ["serve"] => {
            let mut server = serve(&built(&cli()?)?, PORT, None);
            server.status().map_err(|err| sh::cannot_run(&server, &err)).map(drop)
        }
        ["test"] => {
            let mut tests = tests(&cli()?, &wasm::worker(Weight::Full)?)?;
            let status = tests.status().map_err(|err| sh::cannot_run(&tests, &err))?;
            if status.success() { Ok(()) } else { Err("a story of the page does not hold".to_owned()) }
        }
        _ => Err("`cargo xtask simulator` takes `build`, `serve` or `test`".to_owned()),
    }
}

/// Real merchants, simulated demand, bundles and campaigns, each by the command that a person would give: `home/out` has what is published.
pub fn market(cli: &Path, home: &str, users: u32, tell: bool) -> Outcome {
    let extract = setup::helsinki()?;
    sh::fresh_dir(&root().join(home))?;
    let freshrank = |step: &str, arguments: &[&str]| -> Outcome {
        let name = home.strip_prefix("target/").unwrap_or(home);
        let words = sh::logged(&format!("{name}-{step}"), program(cli).args(arguments))?;
        if tell {
            print!("\n> freshrank {}\n{words}", arguments.join(" "));
        }
        Ok(())
    };
    let within = |folder: &str| format!("{home}/{folder}");
    let (merchants, tables, out) = (within("merchants"), within("tables"), within("out"));
    let extract = extract.strip_prefix(root()).unwrap_or(&extract).to_string_lossy().into_owned();
    freshrank("import", &["import", "osm", &extract, "--country", "FI", "--as-of", &AS_OF[..10], "--out", &merchants])?;
    let demand =
        ["market", "--merchants", &merchants, "--market", MARKET, "--seed", "7", "--users", &users.to_string()];
    freshrank("market", &[&demand[..], &["--out", &tables]].concat())?;
    freshrank("build", &["build", "--tables", &tables, "--as-of", AS_OF, "--market", MARKET, "--out", &out])?;
    for id in CAMPAIGNS {
        let (folder, document) = (format!("campaigns/{id}"), format!("{out}/{id}.json"));
        freshrank("campaign", &["campaign", "publish", &folder, "--out", &document])?;
    }
    Ok(())
}

/// The page with a market of its own.
fn built(cli: &Path) -> Outcome<PathBuf> {
    market(cli, HOME, USERS, false)?;
    page(&root().join(HOME).join("out"))
}

/// The same to try its stories on, which hold for a slower module all the more.
fn built_to_try(cli: &Path) -> Outcome {
    market(cli, HOME, USERS, false)?;
    wasm::web_to_try(Weight::LiteWithCel)?;
    assembled(&root().join(HOME).join("out")).map(drop)
}

/// The page over what a market came to; the folder that is to be served.
pub fn page(out: &Path) -> Outcome<PathBuf> {
    wasm::web(Weight::LiteWithCel)?;
    assembled(out)
}

/// Data and page around the module that is there.
fn assembled(out: &Path) -> Outcome<PathBuf> {
    let extract = setup::helsinki()?;
    setup::simulator()?;
    let (dist, data) = (target("simulator/dist"), target("simulator/data"));
    sh::fresh_dir(&data)?;
    let mut pack = program("node");
    // Beside what was published, where `freshrank cards` puts them.
    let cards = out.with_file_name("cards");
    let drawn = cards.is_dir().then_some("cards");
    sh::quietly("simulator-data", pack.arg("simulator/data.mjs").arg(out).arg(&data).arg(extract).args(drawn))?;
    let mut check = program("node");
    sh::quietly("simulator-types", check.arg("node_modules/typescript/bin/tsc").arg("--noEmit").current_dir(room()))?;
    let mut vite = program("node");
    sh::quietly("simulator-vite", vite.arg("node_modules/vite/bin/vite.js").arg("build").current_dir(room()))?;
    sh::copy_dir(&data, &dist.join("data"))?;
    if drawn.is_some() {
        sh::copy_dir(&cards, &dist.join("cards"))?;
    }
    Ok(dist)
}

/// What serves the page, beside a Worker if there is one.
pub fn serve(page: &Path, port: u16, worker: Option<&str>) -> Command {
    let mut node = program("node");
    node.arg("simulator/serve.mjs").arg(page).arg(port.to_string()).args(worker);
    node
}

/// The stories, in a Chromium; the Worker's folder is of any weight.
pub fn tests(cli: &Path, worker: &Path) -> Outcome<Command> {
    built_to_try(cli)?;
    thousand(cli)?;
    setup::node()?;
    // What cards are drawn with; without them that story says why it is skipped.
    if let Some(why_not) = setup::fonts()? {
        println!("{why_not}");
    }
    let mut node = program("node");
    node.args(["--test", "--test-concurrency=1", "--test-reporter=tap"]);
    node.args(["simulator/tests/page.e2e.mjs", "simulator/tests/changes.e2e.mjs"]);
    let web = target("modules").join(format!("web-{}", Weight::LiteWithCel.name()));
    node.env("FRESHRANK_WORKER", worker).env("FRESHRANK_WEB", web).env("FRESHRANK_CLI", cli);
    node.env("FRESHRANK_MARKET", root().join(HOME).join("out"));
    Ok(node)
}

/// One area of more merchants than Helsinki's extract has, all made up.
fn thousand(cli: &Path) -> Outcome {
    let home = target("simulator/thousand");
    sh::fresh_dir(&home)?;
    let mut table = "merchant_id,name,kind,latitude,longitude,country,cuisines\n".to_owned();
    for i in 0..THOUSAND {
        let cuisine = ["pizza", "sushi", "burger", "indian", "cafe", "thai", "kebab"][i as usize % 7];
        let (north, east) = (60.160 + f64::from(i / 34) * 0.0007, 24.925 + f64::from(i % 34) * 0.0012);
        let _ = writeln!(table, "made-up-{i},Made up {i},restaurant,{north:.5},{east:.5},FI,{cuisine}");
    }
    sh::write(&home.join("merchants.csv"), table)?;
    let freshrank =
        |step: &str, arguments: &[&str]| sh::quietly(&format!("simulator-{step}"), program(cli).args(arguments));
    let [merchants, tables, out] =
        ["merchants.csv", "tables", "out"].map(|name| format!("target/simulator/thousand/{name}"));
    let market = ["market", "--merchants", &merchants, "--market", MARKET, "--seed", "7", "--users", "200"];
    freshrank("thousand-market", &[&market[..], &["--out", &tables]].concat())?;
    freshrank("thousand-build", &["build", "--tables", &tables, "--as-of", AS_OF, "--market", MARKET, "--out", &out])
}

fn room() -> PathBuf {
    root().join("simulator")
}
