//! `freshrank campaign check` and `bless`: everything that is wrong, then what the golden decisions come to.

use super::dry_run::{Samples, Tally};
use super::{Parts, counted};
use crate::Outcome;
use crate::print;
use crate::shelf::{self, Shelf};
use clap::Args;
use freshrank::request::Question;
use freshrank::{Campaign, Scorer};
use freshrank_offline::campaigns::golden::{Answer, Decider};
use freshrank_offline::campaigns::{self, Fault, Folder};
use rayon::prelude::*;
use serde::Serialize;
use std::path::PathBuf;

/// What to check.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Campaigns' folders, or folders of campaigns
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    parts: Parts,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What came of one campaign.
#[derive(Debug, Serialize)]
struct Checked {
    campaign: String,
    layers: usize,
    /// The content's hash; absent where something stops it.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    golden: Golden,
    /// With `--bundles`: what its rules say of sample readers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dry_run: Vec<Tally>,
}

/// How its golden decisions came out.
#[derive(Debug, Default, Serialize)]
struct Golden {
    same: usize,
    other: usize,
    blessed: usize,
    /// They need `--bundles`.
    undecided: usize,
}

pub fn run(arguments: &Arguments, bless: bool) -> Outcome {
    let mut folders = campaigns::open_all(&arguments.folders);
    let mut faults: Vec<Fault> = Vec::new();
    for folder in &mut folders {
        faults.extend(folder.faults.iter().cloned());
    }
    let mut checked = Vec::new();
    if folders.iter().any(|folder| !folder.golden.is_empty()) {
        let decided = Decided::open(&arguments.parts)?;
        let all: Vec<_> = folders.par_iter_mut().map(|folder| decided.golden(folder, bless)).collect();
        for (golden, wrong) in all {
            checked.push(golden);
            faults.extend(wrong);
        }
    } else {
        checked.resize_with(folders.len(), Golden::default);
    }
    let mut tried: Vec<Vec<Tally>> = vec![Vec::new(); folders.len()];
    if let Some(bundles) = &arguments.parts.bundles {
        let (decided, samples) = (Decided::open(&arguments.parts)?, Samples::read(bundles)?);
        if let Some(shelf) = &decided.shelf {
            let usable = folders.iter().zip(&mut tried).filter(|(folder, _)| !folder.is_broken());
            for (folder, tried) in usable {
                *tried = samples.ask(&folder.campaign, shelf)?;
            }
        }
        if !arguments.json {
            println!("rules tried on {} messages to sample readers", samples.len());
        }
    }
    faults.sort();
    // What is wrong with shared defaults is wrong with every campaign over them.
    faults.dedup();
    let checked: Vec<Checked> =
        folders.iter().zip(checked).zip(tried).map(|((folder, golden), tried)| told(folder, golden, tried)).collect();
    if arguments.json {
        print::json(&serde_json::json!({ "campaigns": checked, "faults": faults }))?;
    } else {
        faults.iter().for_each(|fault| println!("{fault}"));
        checked.iter().for_each(say);
    }
    match faults.iter().filter(|fault| !fault.warning).count() {
        0 => Ok(()),
        n => Err(format!("{} to mend before anything is published", counted(n, "fault")).into()),
    }
}

fn told(folder: &Folder, golden: Golden, dry_run: Vec<Tally>) -> Checked {
    let campaign = &folder.campaign;
    Checked {
        campaign: campaign.id.clone(),
        layers: campaign.layers().len(),
        version: (!folder.is_broken()).then(|| folder.version().to_string()),
        golden,
        dry_run,
    }
}

fn say(checked: &Checked) {
    let Checked { campaign, layers, version, golden, dry_run } = checked;
    print!("{campaign}: {}", counted(*layers, "layer"));
    for (n, what) in [
        (golden.same, "as expected"),
        (golden.other, "otherwise than expected"),
        (golden.blessed, "blessed"),
        (golden.undecided, "not decided, name `--bundles DIR`"),
    ] {
        if n > 0 {
            print!(", {} {what}", counted(n, "golden decision"));
        }
    }
    match version {
        Some(version) => println!(", version {version}"),
        None => println!(", cannot be published"),
    }
    for Tally { rule, pairs, holds, errors, messages } in dry_run {
        let unknown = if *errors > 0 { format!(", asks what is unknown of {errors}") } else { String::new() };
        let never = if *holds == 0 { ": never holds here" } else { "" };
        println!(
            "    {rule} holds for {holds} of {pairs} pairs of reader and merchant, in {messages} messages{unknown}{never}"
        );
    }
}

/// The parts that decide, opened once.
pub struct Decided {
    scorer: Box<dyn Scorer + Send + Sync>,
    shelf: Option<Shelf>,
}

impl Decided {
    pub fn open(parts: &Parts) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let shelf = match &parts.bundles {
            Some(bundles) => Some(Shelf::open(&shelf::Paths {
                bundles: bundles.clone(),
                campaign: None,
                model: parts.model.clone(),
            })?),
            None => None,
        };
        Ok(Self { scorer: shelf::scorer(&parts.model)?, shelf })
    }

    /// Calls with what decides.
    pub fn with<T>(&self, decide: impl FnOnce(Decider<'_>) -> T) -> T {
        let answer = self.shelf.as_ref().map(|shelf| {
            move |campaign: &Campaign, question: &Question| {
                shelf.answer_by(campaign, question).map_err(|error| error.to_string())
            }
        });
        let bundles = answer.as_ref().map(|answer| answer as Answer<'_>);
        decide(Decider { scorer: self.scorer.as_ref(), bundles })
    }

    fn golden(&self, folder: &mut Folder, bless: bool) -> (Golden, Vec<Fault>) {
        let (mut came, mut faults) = (Golden::default(), Vec::new());
        if folder.is_broken() {
            return (came, faults);
        }
        let campaign = &folder.campaign;
        for golden in &mut folder.golden {
            let now = match self.with(|decider| golden.come_to(campaign, decider)) {
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
                Ok(None) => {
                    came.undecided += 1;
                    continue;
                }
                Ok(Some(now)) if golden.expect() == Some(&now) => {
                    came.same += 1;
                    continue;
                }
                Ok(Some(now)) => now,
            };
            if bless {
                match golden.bless(now) {
                    Ok(()) => came.blessed += 1,
                    Err(error) => {
                        let message = format!("cannot be written: {error}");
                        faults.push(Fault::at(1, 1, message, "make it writable").in_file(&golden.path));
                    }
                }
                continue;
            }
            came.other += 1;
            let message = match golden.expect() {
                Some(expected) => format!("is decided otherwise: {}", expected.differences(&now).join("; ")),
                None => "says no expectation yet".to_owned(),
            };
            let hint = "where that is meant, run `freshrank campaign bless` and read the difference";
            faults.push(Fault::at(1, 1, message, hint).in_file(&golden.path));
        }
        (came, faults)
    }
}
