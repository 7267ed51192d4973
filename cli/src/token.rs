//! `freshrank token`: a message's facts sealed into the address of its pictures, and opened again.

use crate::rank::Lines;
use crate::{Outcome, print};
use clap::{Args, Subcommand};
use freshrank::request::MAX_BODY;
use freshrank::token::form::{MintReply, MintRequest, OpenReply};
use freshrank::token::{Keys, Token};
use rayon::prelude::*;
use serde_json::json;
use std::error::Error;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// The variable with the keys: a line each, `NAME KEY`; the first one mints.
const KEYS: &str = "FRESHRANK_TOKEN_KEYS";
/// Lines minted together by all cores; what a batch keeps in memory.
const CHUNK: usize = 4096;

/// What to do with tokens. The keys are in FRESHRANK_TOKEN_KEYS: a line each, `NAME KEY`, the first one mints.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Seal a message's facts (JSON on stdin or in a file), or a batch of them
    Mint(Mint),
    /// Tell what a token says
    Open(Open),
}

/// How to mint.
#[derive(Debug, Args)]
pub struct Mint {
    /// A file with the request, or with one a line; stdin if absent
    request: Option<PathBuf>,
    /// One request a line, one reply a line, in the same order, on all cores; a bad line gives an error line
    #[arg(long)]
    batch: bool,
    /// Reply as JSON, the bytes of the npm package; otherwise the token alone
    #[arg(long, conflicts_with = "batch")]
    json: bool,
}

/// How to open.
#[derive(Debug, Args)]
pub struct Open {
    /// The token; stdin if absent
    token: Option<String>,
    /// Whether it is expired at this time, RFC 3339, instead of now
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Also tell what is one reader's: the hash of the message id, and the profile
    #[arg(long)]
    personal: bool,
    /// For a program
    #[arg(long)]
    json: bool,
}

pub fn run(verb: &Verb) -> Outcome {
    let keys = std::env::var(KEYS).unwrap_or_default();
    let keys = Keys::parse(&keys).map_err(|error| format!("{KEYS}: {error}"))?;
    match verb {
        Verb::Mint(mint) if mint.batch => batch(mint, &keys),
        Verb::Mint(mint) => {
            let (input, _) = input(mint.request.as_deref())?;
            let mut request = Vec::new();
            input.take(MAX_BODY as u64 + 1).read_to_end(&mut request)?;
            let reply = answer(&request, &keys, now())?;
            println!("{}", if mint.json { reply.to_json() } else { reply.token });
            Ok(())
        }
        Verb::Open(open) => tell(open, &keys),
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn answer(request: &[u8], keys: &Keys, now: i64) -> Result<MintReply, Box<dyn Error + Send + Sync>> {
    Ok(MintRequest::parse(request)?.answer(keys, now)?)
}

/// Where the requests come from, and how many bytes they are where that is known.
fn input(path: Option<&Path>) -> Result<(Box<dyn Read>, usize), Box<dyn Error + Send + Sync>> {
    let file = match path {
        Some(path) => std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?,
        // A redirected file has a length, a pipe has none.
        None => std::fs::File::from(std::os::fd::AsFd::as_fd(&std::io::stdin()).try_clone_to_owned()?),
    };
    let metadata = file.metadata()?;
    let length = if metadata.is_file() { metadata.len() as usize } else { 0 };
    Ok((Box::new(file), length))
}

fn batch(mint: &Mint, keys: &Keys) -> Outcome {
    let (input, length) = input(mint.request.as_deref())?;
    // One time for the whole batch: all without consent then share a token.
    let now = now();
    let bar = (length > 0).then(|| print::progress("bytes"));
    let mut output = BufWriter::new(std::io::stdout().lock());
    let mut lines = Lines::new(BufReader::new(input));
    let mut done = 0;
    loop {
        let chunk: Vec<_> = lines.by_ref().take(CHUNK).collect::<Result<_, _>>()?;
        if chunk.is_empty() {
            if let Some(bar) = bar {
                bar(length, length);
            }
            return Ok(output.flush()?);
        }
        let answers: Vec<_> = chunk
            .par_iter()
            .map(|(number, line)| match line {
                Ok(line) => answer(line, keys, now).map_err(|error| (*number, error.to_string())),
                Err(length) => Err((*number, format!("request has {length} bytes, at most {MAX_BODY} are read"))),
            })
            .collect();
        for answered in answers {
            match answered {
                Ok(reply) => writeln!(output, "{}", reply.to_json())?,
                Err((line, detail)) => {
                    let problem = json!({ "type": "about:blank", "title": "Bad Request", "status": 400, "detail": detail, "line": line });
                    writeln!(output, "{problem}")?;
                }
            }
        }
        done += chunk.iter().map(|(_, line)| line.as_ref().map_or_else(|length| *length, Vec::len)).sum::<usize>();
        if let Some(bar) = &bar {
            bar(done.min(length - 1), length);
        }
    }
}

fn tell(open: &Open, keys: &Keys) -> Outcome {
    let text = match &open.token {
        Some(token) => token.clone(),
        None => {
            let mut text = String::new();
            std::io::stdin().take(4096).read_to_string(&mut text)?;
            text
        }
    };
    let opened = Token::open(text.trim(), keys)?;
    let at = match &open.at {
        Some(text) => freshrank::time::parse(text).map_err(|problem| format!("--at: {problem}"))?,
        None => now(),
    };
    let reply = OpenReply::new(&opened, at, open.personal);
    if open.json {
        println!("{}", reply.to_json());
        return Ok(());
    }
    let mut rows = vec![
        ("verdict", reply.verdict.to_string()),
        ("campaign", reply.campaign),
        ("market", reply.market),
        ("minted at", reply.minted_at),
        ("expires at", reply.expires_at),
        ("slots", reply.slots.to_string()),
        ("for", if reply.personal { "one reader" } else { "everybody of the market" }.to_string()),
        ("bytes of profile", reply.profile_bytes.unwrap_or_default().to_string()),
        ("key", reply.key),
    ];
    rows.extend(reply.message.map(|message| ("message", message)));
    rows.extend(reply.profile.map(|profile| ("profile", profile)));
    print::table(&["", ""], rows.into_iter().map(|(name, value)| vec![name.to_string(), value]));
    Ok(())
}
