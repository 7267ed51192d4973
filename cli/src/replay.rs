//! `freshrank replay`: a logged decision must come out again, byte for byte.

use crate::Outcome;
use crate::shelf::{Paths, Shelf};
use clap::Args;
use freshrank::Hash;
use freshrank::request::Question;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

/// What to decide again.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    paths: Paths,
    /// A log that `freshrank rank --log` wrote: one `{"request": ..., "reply": ...}` a line
    log: PathBuf,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let shelf = Shelf::open(&arguments.paths)?;
    let bundles = shelf.by_hash()?;
    let file = std::fs::File::open(&arguments.log).map_err(|error| format!("{}: {error}", arguments.log.display()))?;
    let (mut same, mut different) = (0, 0);
    for (i, line) in BufReader::new(file).lines().enumerate() {
        let named = |error: String| format!("{}:{}: {error}", arguments.log.display(), i + 1);
        let mut logged: Value = serde_json::from_str(&line?).map_err(|error| named(error.to_string()))?;
        let request = serde_json::to_vec(&logged["request"])?;
        let question = Question::parse(&request, 0).map_err(|error| named(error.to_string()))?;
        let area = match logged["reply"]["hashes"]["area"].as_str().and_then(Hash::parse) {
            Some(hash) if question.areas.is_empty() => {
                Some(bundles.get(&hash).ok_or_else(|| named(format!("no bundle with hash {hash} in the folder")))?)
            }
            _ => None,
        };
        let bundle = area.map(|area| &area.bundle);
        let display = area.and_then(|area| area.display.as_ref());
        let reply = question.answer(bundle, display, &shelf.campaign, shelf.scorer.as_ref());
        let replayed: Value = serde_json::from_str(&reply.to_json())?;
        if replayed == logged["reply"] {
            same += 1;
        } else {
            different += 1;
            println!("{}", named(difference(&logged["reply"].take(), &replayed)));
        }
    }
    println!("{same} decisions came out again, {different} did not");
    if different == 0 { Ok(()) } else { Err("the log does not replay with this model, campaign and bundles".into()) }
}

/// The first key that differs.
fn difference(logged: &Value, replayed: &Value) -> String {
    match (logged, replayed) {
        (Value::Object(a), Value::Object(b)) => a
            .keys()
            .chain(b.keys())
            .find(|key| a.get(*key) != b.get(*key))
            .map_or_else(|| "equal".into(), |key| format!("{key}.{}", difference(&logged[key], &replayed[key]))),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find(|(_, (x, y))| x != y)
            .map_or_else(|| "equal".into(), |(i, (x, y))| format!("{i}.{}", difference(x, y))),
        _ => format!(" logged {logged}, replayed {replayed}"),
    }
}
