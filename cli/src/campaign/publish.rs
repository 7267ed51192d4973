//! `freshrank campaign publish`: the document that the Worker keeps, and a record of who published it and why.

use super::{counted, usable};
use crate::{Outcome, print};
use clap::Args;
use freshrank::Hash;
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;

/// What to publish.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The campaign's folder
    folder: PathBuf,
    /// Where the document goes; the record beside it, `.published.ndjson`, grows by one line a version
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Who publishes it
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Why
    #[arg(long, value_name = "WORDS")]
    reason: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let folder = usable(&arguments.folder)?;
    let out = &arguments.out;
    let named = |error: std::io::Error| format!("{}: {error}", out.display());
    let document = folder.campaign.to_json();
    let version = Hash::of(document.as_bytes());
    let before = if out.exists() { Some(Hash::of(&std::fs::read(out).map_err(named)?)) } else { None };
    let mut line = json!({
        "campaign": folder.campaign.id,
        "version": version.to_string(),
        "at": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    });
    for (key, value) in [
        ("author", arguments.author.clone()),
        ("reason", arguments.reason.clone()),
        ("previous", before.map(|hash| hash.to_string())),
    ] {
        if let Some(value) = value {
            line[key] = json!(value);
        }
    }
    if before != Some(version) {
        std::fs::write(out, &document).map_err(named)?;
        let record = out.with_extension("published.ndjson");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&record);
        file.and_then(|mut file| writeln!(file, "{line}")).map_err(|error| format!("{}: {error}", record.display()))?;
    }
    if arguments.json {
        line["layers"] = json!(folder.campaign.layers().len());
        line["bytes"] = json!(document.len());
        line["changed"] = json!(before != Some(version));
        return Ok(print::json(&line)?);
    }
    let layers = counted(folder.campaign.layers().len(), "layer");
    let changed = if before == Some(version) { ", which stood there already" } else { "" };
    println!("{}: {layers}, {} bytes, version {version}{changed}", out.display(), document.len());
    Ok(())
}
