//! Holds the clock of a contest natively: a line asked, a line answered, words apart by tabs. The peers' program reads this file, too.
//!
//! ```text
//! scores SCORER MODEL ROWS WIDTH OUT     writes the scores
//! time   SCORER MODEL ROWS WIDTH TIMES   microseconds a run
//! cold   SCORER MODEL ROWS WIDTH         microseconds from the model's bytes to the first scores; for a fresh process
//! ```
//! Rows and scores are files of little-endian f32.

use super::{Contestant, Error};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, Write, stdin, stdout};
use std::time::Instant;

/// Makes a contestant of scorer, model, rows and their width.
pub type Prepare = fn(&str, &[u8], &[f32], usize) -> Result<Box<dyn Contestant>, Error>;

/// Answers until nobody asks.
///
/// # Errors
/// Only where it cannot be heard: what is wrong with a question is its answer.
pub fn serve(prepare: Prepare) -> Result<(), Error> {
    let mut known = BTreeMap::new();
    for line in stdin().lock().lines() {
        let answer = answer(prepare, &mut known, &line?).unwrap_or_else(|error| format!("error: {error}"));
        writeln!(stdout(), "{}", answer.replace('\n', " "))?;
    }
    Ok(())
}

type Known = BTreeMap<[String; 4], (Box<dyn Contestant>, Vec<f32>)>;

fn answer(prepare: Prepare, known: &mut Known, line: &str) -> Result<String, Error> {
    let words: Vec<&str> = line.split('\t').collect();
    let [verb, scorer, model, rows, width, last @ ..] = &words[..] else {
        return Err(
            format!("found the question {line:?}, expected a verb, a scorer, its model, rows and a width").into()
        );
    };
    let read = || -> Result<_, Error> { Ok((fs::read(model)?, numbers(&fs::read(rows)?), width.parse()?)) };
    if *verb == "cold" {
        let (model, rows, width) = read()?;
        let began = Instant::now();
        let scores = prepare(scorer, &model, &rows, width)?.run(1)?;
        let microseconds = began.elapsed().as_secs_f64() * 1e6;
        return Ok(if scores.iter().all(|score| score.is_finite()) { microseconds } else { f64::NAN }.to_string());
    }
    let key = [scorer, model, rows, width].map(|word| (*word).to_owned());
    if !known.contains_key(&key) {
        let (model, rows, width) = read()?;
        let mut contestant = prepare(scorer, &model, &rows, width)?;
        let scores = contestant.run(1)?;
        known.insert(key.clone(), (contestant, scores));
    }
    let (contestant, expected) = known.get_mut(&key).ok_or("what was kept is there")?;
    match (*verb, last) {
        ("scores", [out]) => {
            fs::write(out, expected.iter().flat_map(|score| score.to_le_bytes()).collect::<Vec<u8>>())?;
            Ok("written".to_owned())
        }
        ("time", [times]) => {
            let times: u32 = times.parse()?;
            let began = Instant::now();
            let scores = contestant.run(times)?;
            let microseconds = began.elapsed().as_secs_f64() * 1e6 / f64::from(times);
            if scores == *expected { Ok(microseconds.to_string()) } else { Err("the same rows, other scores".into()) }
        }
        _ => Err(format!("found the question {line:?}, expected scores, time or cold").into()),
    }
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
