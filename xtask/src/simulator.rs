//! The simulator: the page, with the engine and Helsinki beside it, as one folder of static files.

use std::path::{Path, PathBuf};

use crate::setup;
use crate::sh::{self, Outcome, program, root, target};
use crate::wasm::{self, Weight};

/// As the demo's.
const AS_OF: &str = "2026-10-23T05:00:00Z";
const MARKET: &str = "fi/helsinki";
const CAMPAIGNS: [&str; 4] = ["lunch", "member-offers", "locals", "arrival"];
/// Readers of the market that the page ships a sample of.
const USERS: &str = "6000";

/// `cargo xtask simulator`: builds it into target/simulator/page, over a small market of its own.
pub fn run(_: &[String]) -> Outcome {
    let cli = setup::cli()?;
    let page = page(&market(&cli)?)?;
    println!("{}: static files, to be served from anywhere", page.display());
    Ok(())
}

/// Real merchants with simulated readers: what `freshrank build` and `campaign publish` make of them.
pub fn market(cli: &Path) -> Outcome<PathBuf> {
    let extract = setup::helsinki()?;
    let folder = target("simulator/market");
    let out = folder.join("out");
    sh::fresh_dir(&folder)?;
    let freshrank =
        |words: &[&str], paths: &[&Path]| sh::quietly("simulator-market", program(cli).args(words).args(paths));
    let (merchants, tables) = (folder.join("merchants"), folder.join("tables"));
    freshrank(&["import", "osm", "--country", "FI", "--as-of", &AS_OF[..10], "--out"], &[&merchants, &extract])?;
    freshrank(
        &["market", "--market", MARKET, "--seed", "7", "--users", USERS, "--merchants"],
        &[&merchants, "--out".as_ref(), &tables],
    )?;
    freshrank(&["build", "--as-of", AS_OF, "--market", MARKET, "--tables"], &[&tables, "--out".as_ref(), &out])?;
    for id in CAMPAIGNS {
        let (folder, document) = (root().join("campaigns").join(id), out.join(format!("{id}.json")));
        freshrank(&["campaign", "publish", "--out"], &[&document, &folder])?;
    }
    Ok(out)
}

/// The page over what was built: one folder of static files.
pub fn page(built: &Path) -> Outcome<PathBuf> {
    setup::simulator()?;
    wasm::web(Weight::LiteWithCel)?;
    let (folder, data) = (root().join("simulator"), target("simulator/data"));
    sh::fresh_dir(&data)?;
    sh::quietly("simulator-data", program("node").arg(folder.join("pack.mjs")).args([built, &data]))?;
    sh::quietly("simulator", program("npm").args(["run", "build"]).current_dir(&folder))?;
    Ok(target("simulator/page"))
}
