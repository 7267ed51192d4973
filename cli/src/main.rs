//! `freshrank`: every verb of the offline half and of the engine. The only part that prints.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use clap::{Parser, Subcommand};
use std::process::ExitCode;

mod areas;
mod build;
mod campaign;
mod cards;
mod crowd;
mod cuisines;
mod evaluate;
mod examples;
mod first_pass;
mod import;
mod inspect;
mod mailbox;
mod market;
mod model;
mod preferences;
mod places;
mod print;
mod rank;
mod reader;
mod replay;
mod report;
mod shelf;
mod token;

/// Decides which merchants a marketing message shows, when it is sent or opened.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Read merchants and tables from elsewhere
    #[command(subcommand)]
    Import(import::Verb),
    /// Simulate demand over real merchants
    Market(market::Arguments),
    /// Make up tables of any size, only to measure speed and memory
    Crowd(crowd::Arguments),
    /// Learn or show which cuisines are alike
    #[command(subcommand)]
    Cuisines(cuisines::Verb),
    /// What readers like: choose the levers, measure every step, carry evidence from day to day
    #[command(subcommand)]
    Preferences(preferences::Verb),
    /// Fit where the next order goes, or tell what that is worth
    #[command(subcommand)]
    Places(places::Verb),
    /// How far popularity in a cell is shrunken, and what it is
    #[command(subcommand)]
    Areas(areas::Verb),
    /// Write area bundles and profiles as of a time
    Build(build::Arguments),
    /// Make training rows by the engine's own featurizer
    Examples(examples::Arguments),
    /// Rank later orders by every scorer, under both protocols, with intervals
    Evaluate(evaluate::Arguments),
    /// Fit the weights of the first pass, and measure what it costs
    #[command(subcommand)]
    FirstPass(first_pass::Verb),
    /// Answer a request (JSON on stdin or in a file), or a batch of them
    Rank(rank::Arguments),
    /// Decide logged decisions again and compare every byte
    Replay(replay::Arguments),
    /// Clicks and orders of each arm of an experiment, with intervals and a sample-ratio check
    Report(report::Arguments),
    /// Tell what a reader is called in profiles, events and suppressions
    Reader(reader::Arguments),
    /// Mint and open the tokens of messages
    #[command(subcommand)]
    Token(token::Verb),
    /// Draw every picture that a message can need
    Cards(cards::Arguments),
    /// Tell who fetched a picture or a link
    #[command(subcommand)]
    Mailbox(mailbox::Verb),
    /// Show what any area bundle, display block, profile, token, plan or model holds
    Inspect(inspect::Arguments),
    /// Check, show or publish a campaign's layers
    #[command(subcommand)]
    Campaign(campaign::Verb),
    /// Check and compile a ranker
    #[command(subcommand)]
    Model(model::Verb),
}

/// What a verb ends with: nothing, or a sentence for stderr.
type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let outcome = match Arguments::parse().verb {
        Verb::Import(verb) => import::run(&verb),
        Verb::Market(arguments) => market::run(&arguments),
        Verb::Crowd(arguments) => crowd::run(&arguments),
        Verb::Cuisines(verb) => cuisines::run(&verb),
        Verb::Preferences(verb) => preferences::run(&verb),
        Verb::Places(verb) => places::run(&verb),
        Verb::Areas(verb) => areas::run(&verb),
        Verb::Build(arguments) => build::run(&arguments),
        Verb::Examples(arguments) => examples::run(&arguments),
        Verb::Evaluate(arguments) => evaluate::run(&arguments),
        Verb::FirstPass(verb) => first_pass::run(&verb),
        Verb::Rank(arguments) => rank::run(&arguments),
        Verb::Replay(arguments) => replay::run(&arguments),
        Verb::Report(arguments) => report::run(&arguments),
        Verb::Reader(arguments) => reader::run(&arguments),
        Verb::Token(verb) => token::run(&verb),
        Verb::Cards(arguments) => cards::run(&arguments),
        Verb::Mailbox(verb) => mailbox::run(&verb),
        Verb::Inspect(arguments) => inspect::run(&arguments),
        Verb::Campaign(verb) => campaign::run(&verb),
        Verb::Model(verb) => model::run(&verb),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
