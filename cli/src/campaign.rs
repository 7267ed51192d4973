//! `freshrank campaign`: a campaign's folder, checked, shown, explained, compared and published.

use crate::Outcome;
use clap::{Args, Subcommand};
use freshrank_offline::campaigns::{self, Folder};
use std::path::{Path, PathBuf};

mod check;
mod diff;
mod dry_run;
mod explain;
mod publish;
mod show;

/// What to do with a campaign.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Tell everything that is wrong at once, and decide the golden decisions again
    Check(check::Arguments),
    /// Write what the golden decisions come to now as what is expected from now on
    Bless(check::Arguments),
    /// Show the merged configuration of a place, and who said each part of it
    Show(show::Arguments),
    /// Tell what every layer did to a key, in order
    Explain(explain::Arguments),
    /// Tell every place whose configuration or golden decisions differ between two folders
    Diff(diff::Arguments),
    /// Write the document that the Worker keeps
    Publish(publish::Arguments),
    /// Write the JSON Schema of a layer's file, for editors
    Schema {
        /// Where it goes; stdout if absent
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// What golden decisions are decided with.
#[derive(Debug, Args)]
pub struct Parts {
    /// The folder that `freshrank build` wrote, for golden decisions without a bundle of their own
    #[arg(long, value_name = "DIR")]
    bundles: Option<PathBuf>,
    /// A plan for `dense`, or any ONNX ranker for `tract`; `none` leaves it to the prior
    #[arg(long, value_name = "FILE", default_value = "models/ltr.plan")]
    model: PathBuf,
}

pub fn run(verb: &Verb) -> Outcome {
    match verb {
        Verb::Check(arguments) => check::run(arguments, std::env::var_os("FRESHRANK_BLESS").is_some()),
        Verb::Bless(arguments) => check::run(arguments, true),
        Verb::Show(arguments) => show::run(arguments),
        Verb::Explain(arguments) => explain::run(arguments),
        Verb::Diff(arguments) => diff::run(arguments),
        Verb::Publish(arguments) => publish::run(arguments),
        Verb::Schema { out } => {
            let text = campaigns::schema::text();
            match out {
                Some(path) => std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?,
                None => print!("{text}"),
            }
            Ok(())
        }
    }
}

/// A folder that can be used.
fn usable(path: &Path) -> Result<Folder, Box<dyn std::error::Error + Send + Sync>> {
    let folder = campaigns::open(path);
    is_usable(&folder)?;
    Ok(folder)
}

/// Whether a folder can be used; otherwise everything that is wrong with it is the error.
fn is_usable(folder: &Folder) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if !folder.is_broken() {
        return Ok(());
    }
    let errors = folder.faults.iter().filter(|fault| !fault.warning);
    let told: Vec<String> = errors.map(ToString::to_string).collect();
    Err(format!("{} cannot be used:\n{}", folder.path.display(), told.join("\n")).into())
}

/// A folder to look at, whatever is wrong with it: what is wrong may be why somebody looks.
fn readable(path: &Path) -> Folder {
    let folder = campaigns::open(path);
    if folder.is_broken() {
        eprintln!(
            "this is what could be read of it: `freshrank campaign check {}` tells what is wrong",
            path.display()
        );
    }
    folder
}

/// `3 layers`, `1 layer`.
fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
