//! `freshrank reader`: what a reader is called wherever no `user_id` may stand.

use crate::Outcome;
use crate::build::SECRET;
use clap::Args;
use freshrank::id::ReaderId;
use std::io::{BufRead, BufWriter, Write};

/// Whose name. The secret is in FRESHRANK_READER_SECRET; without `--user` one `user_id` a line of stdin, one reader a line of
/// stdout, in the same order.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The sender's own id of the reader; it shows in the list of processes, a line of stdin does not
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let secret = std::env::var(SECRET).ok().filter(|secret| !secret.is_empty());
    let secret = secret.ok_or_else(|| format!("{SECRET} is not set: readers are HMAC(secret, user_id)"))?;
    let reader = |user_id: &str| ReaderId::of(secret.as_bytes(), user_id);
    let mut output = BufWriter::new(std::io::stdout().lock());
    match &arguments.user {
        Some(user_id) => writeln!(output, "{}", reader(user_id))?,
        None => {
            for line in std::io::stdin().lock().lines() {
                writeln!(output, "{}", reader(line?.trim_end_matches('\r')))?;
            }
        }
    }
    Ok(output.flush()?)
}
