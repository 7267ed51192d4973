//! `freshrank mailbox`: who fetched a picture or a link, by the engine's own rules.

use crate::{Outcome, print};
use clap::{Args, Subcommand};
use freshrank::mailbox::form::JudgeRequest;
use freshrank::mailbox::{RULES, SOURCES};
use freshrank::request::MAX_BODY;
use serde_json::json;
use std::io::Read;
use std::path::PathBuf;

/// What to ask the rules.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Judge a request (JSON on stdin or in a file): user agent, `cf` object, seconds since the minting
    Judge(Judge),
    /// List the rules with where each was learnt
    Rules(Rules),
}

/// What to judge.
#[derive(Debug, Args)]
pub struct Judge {
    /// `{"user_agent": ..., "fetch": "picture" or "link", "cf": {...}, "seconds_since_minted": ...}`; stdin if absent
    request: Option<PathBuf>,
}

/// How to list.
#[derive(Debug, Args)]
pub struct Rules {
    /// For a program
    #[arg(long)]
    json: bool,
}

pub fn run(verb: &Verb) -> Outcome {
    match verb {
        Verb::Judge(judge) => {
            let input: Box<dyn Read> = match &judge.request {
                Some(path) => {
                    Box::new(std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?)
                }
                None => Box::new(std::io::stdin()),
            };
            let mut json = Vec::new();
            input.take(MAX_BODY as u64 + 1).read_to_end(&mut json)?;
            println!("{}", JudgeRequest::parse(&json)?.answer().to_json());
        }
        Verb::Rules(rules) => {
            let rows = RULES.iter().zip(SOURCES).map(|(rule, (_, source, seen))| {
                [
                    rule.name.into(),
                    format!("{:?}", rule.tells),
                    format!("{:?}", rule.matches),
                    (*source).into(),
                    (*seen).into(),
                ]
            });
            if rules.json {
                let rows = rows.map(|[name, tells, matches, source, seen]| {
                    json!({ "name": name, "tells": tells, "matches": matches, "source": source, "seen": seen })
                });
                print::json(&rows.collect::<Vec<_>>())?;
            } else {
                print::table(&["rule", "tells", "where", "learnt from", "looked at"], rows.map(Vec::from));
            }
        }
    }
    Ok(())
}
