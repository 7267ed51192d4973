//! `freshrank rank`: a request in, a reply out; the bytes the Worker answers with.

use crate::Outcome;
use crate::print;
use crate::shelf::{Paths, Shelf};
use clap::Args;
use freshrank::request::{MAX_BODY, Question, Reply};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

/// Lines answered together by all cores; what a batch keeps in memory.
const CHUNK: usize = 4096;

/// How to answer.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    paths: Paths,
    /// A file with the request, or with one a line; stdin if absent
    request: Option<PathBuf>,
    /// One request a line, one reply a line, in the same order, on all cores; a bad line gives an error line
    #[arg(long)]
    batch: bool,
    /// Explain every placement and every drop
    #[arg(long)]
    explain: bool,
    /// Also tell what would have to change for this merchant to be shown
    #[arg(long, value_name = "MERCHANT_ID", conflicts_with = "batch")]
    why: Option<String>,
    /// Reply as JSON, the bytes of every other shell; otherwise as a table for a person
    #[arg(long)]
    json: bool,
    /// Append request and reply to a log that `freshrank replay` reads
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let shelf = Shelf::open(&arguments.paths)?;
    let input: Box<dyn Read> = match &arguments.request {
        Some(path) => Box::new(std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?),
        None => Box::new(std::io::stdin()),
    };
    if arguments.batch {
        return batch(&shelf, arguments, BufReader::new(input));
    }
    let mut request = Vec::new();
    input.take(MAX_BODY as u64 + 1).read_to_end(&mut request)?;
    let (reply, logged) = answer(&shelf, arguments, &request)?;
    if let Some(path) = &arguments.log {
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        writeln!(log, "{logged}")?;
    }
    if arguments.json {
        println!("{}", reply.to_json());
    } else {
        message(&reply);
    }
    Ok(())
}

/// The reply, and the log line that makes it again.
fn answer(
    shelf: &Shelf,
    arguments: &Arguments,
    request: &[u8],
) -> Result<(Reply, Value), Box<dyn std::error::Error + Send + Sync>> {
    let now = jiff::Timestamp::now().as_second();
    let mut question = Question::parse(request, now)?;
    question.explain |= arguments.explain;
    question.why = arguments.why.clone().or(question.why);
    // A person wants to read names.
    question.display |= !arguments.json && !arguments.batch;
    let reply = shelf.answer(&question)?;
    // The log fixes what the clock and the flags added, so that it replays to the same bytes.
    let mut fixed: Value = serde_json::from_slice(request)?;
    fixed["context"]["at"] = json!(freshrank::time::format(question.context.at));
    fixed["explain"] = json!(question.explain);
    fixed["display"] = json!(question.display);
    if let Some(why) = &question.why {
        fixed["why"] = json!(why);
    }
    let logged = json!({ "request": fixed, "reply": serde_json::from_str::<Value>(&reply.to_json())? });
    Ok((reply, logged))
}

fn batch(shelf: &Shelf, arguments: &Arguments, input: impl BufRead) -> Outcome {
    let mut output = BufWriter::new(std::io::stdout().lock());
    let mut log = match &arguments.log {
        Some(path) => Some(BufWriter::new(std::fs::OpenOptions::new().create(true).append(true).open(path)?)),
        None => None,
    };
    let mut lines = Lines::new(input);
    loop {
        let chunk: Vec<_> = lines.by_ref().take(CHUNK).collect::<Result<_, _>>()?;
        if chunk.is_empty() {
            return Ok(output.flush()?);
        }
        let answers: Vec<_> = chunk
            .par_iter()
            .map(|(number, line)| match line {
                Ok(line) => answer(shelf, arguments, line).map_err(|error| (*number, error.to_string())),
                Err(length) => Err((*number, format!("request has {length} bytes, at most {MAX_BODY} are read"))),
            })
            .collect();
        for answered in answers {
            match answered {
                Ok((reply, logged)) => {
                    writeln!(output, "{}", reply.to_json())?;
                    if let Some(log) = &mut log {
                        writeln!(log, "{logged}")?;
                    }
                }
                Err((line, detail)) => {
                    let problem = json!({ "type": "about:blank", "title": "Bad Request", "status": 400, "detail": detail, "line": line });
                    writeln!(output, "{problem}")?;
                }
            }
        }
    }
}

/// Numbered lines that are not empty; of one over the limit, only its length.
pub struct Lines<R> {
    input: R,
    number: usize,
}

impl<R: BufRead> Lines<R> {
    /// The lines of this input.
    pub fn new(input: R) -> Self {
        Self { input, number: 0 }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = std::io::Result<(usize, Result<Vec<u8>, usize>)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = Vec::new();
            match self.input.by_ref().take(MAX_BODY as u64 + 1).read_until(b'\n', &mut line) {
                Err(error) => return Some(Err(error)),
                Ok(0) => return None,
                Ok(_) => self.number += 1,
            }
            if line.len() > MAX_BODY && line.last() != Some(&b'\n') {
                return Some(self.skip(line.len()).map(|length| (self.number, Err(length))));
            }
            if !line.trim_ascii().is_empty() {
                return Some(Ok((self.number, Ok(line))));
            }
        }
    }
}

impl<R: BufRead> Lines<R> {
    /// Reads on to the line's end without keeping it.
    fn skip(&mut self, mut length: usize) -> std::io::Result<usize> {
        loop {
            let buffer = self.input.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.input.consume(used);
            length += used;
            if end.is_some() || used == 0 {
                return Ok(length);
            }
        }
    }
}

/// A message as a person reads it.
fn message(reply: &Reply) {
    let place = match (&reply.place.cell, reply.place.served) {
        (Some(cell), true) => format!("area {cell}, {:.0} % sure", 100.0 * reply.place.certainty),
        (Some(cell), false) => format!("no bundle of area {cell}"),
        (None, _) => "place unknown".to_string(),
    };
    println!("{} ({}, {place}, ranked by {})", reply.title, reply.local, reply.scorer);
    if let Some(error) = &reply.model_error {
        println!("the model did not answer: {error}");
    }
    let rows = reply.slots.iter().enumerate().map(|(i, slot)| {
        let card = slot.card.clone().unwrap_or_default();
        let name = match (&slot.fallback, slot.merchant) {
            (Some(fallback), _) => fallback.text.clone(),
            (None, Some(id)) if card.name.is_empty() => id.to_string(),
            (None, _) => card.name,
        };
        let why = slot.explanation.as_ref().map(|node| {
            let reasons = freshrank::explain::reasons(node);
            let named: Vec<_> =
                reasons.iter().take(2).map(|(name, value)| format!("{name} {:+.2}", points(*value))).collect();
            named.join(", ")
        });
        let labels = slot.sponsored.then_some("sponsored".to_owned()).into_iter().chain(slot.badges.iter().cloned());
        let labels: Vec<String> = labels.collect();
        vec![
            (i + 1).to_string(),
            if labels.is_empty() { name } else { format!("{name} ({})", labels.join(", ")) },
            card.cuisines.replace(';', ", "),
            slot.distance_km.map(|km| format!("{km:.2}")).unwrap_or_default(),
            slot.open_until.clone().unwrap_or_default(),
            slot.score.map(|score| format!("{:+.2}", points(score))).unwrap_or_default(),
            why.unwrap_or_default(),
        ]
    });
    print::table(&["", "merchant", "cuisines", "km", "open until", "score", "why"], rows);
    reply.notices.iter().for_each(|notice| println!("{notice}"));
    if let Some(why) = &reply.why {
        println!("{}: {}", why.merchant, why.verdict);
        why.changes.iter().for_each(|change| println!("  {change}"));
        why.then.iter().for_each(|then| println!("  then: slot {then}"));
        why.on_top.iter().for_each(|on_top| println!("  on top: {on_top}"));
    }
    let dropped: Vec<_> = reply.dropped.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
    println!(
        "{} candidates; dropped: {}",
        reply.kept,
        if dropped.is_empty() { "none".into() } else { dropped.join(", ") }
    );
}

fn points(fixed: i32) -> f32 {
    fixed as f32 / freshrank::score::SCORE_STEPS
}
