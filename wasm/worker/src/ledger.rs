//! What a message showed: one Durable Object a message, so that pictures fetched at once show one decision.
//!
//! Whoever fetches a picture offers a decision; the first one counts, and all are answered with it. Reading and writing happen without
//! waiting in between, so that nothing comes between them. A slate costs one row; an alarm deletes the whole after its life.

use crate::message::Message;
use crate::object::{self, text};
use crate::problem::Problem;
use crate::store::{self, now};
use freshrank::mailbox::Verdict;
use freshrank::slate::{self, Ledger as Slates, Seen, Shown, Slate, Viewer};
use freshrank::token::Token;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::time::Duration;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

/// The binding in wrangler.toml.
pub const LEDGER: &str = "LEDGER";
/// A variable: how long a person sees the same, in seconds.
const FREEZE: &str = "FREEZE_SECONDS";
/// A variable: how long slates are kept, in days.
const KEEP: &str = "LEDGER_DAYS";
const DAY_SECONDS: f64 = 86_400.0;

/// What is asked of a message's ledger.
#[derive(Debug, Serialize, Deserialize)]
enum Command {
    /// What a fetch shows; the offer is what it would show by itself.
    Look { viewer: Viewer, seen: bool, offered: Option<Slate> },
    /// What a fetch has shown already, since the ledger did not answer in time.
    Add { viewer: Viewer, seen: bool, slate: Slate },
    /// All that a slot has shown.
    Shown { slot: u8 },
}

/// What a message's picture shows.
///
/// # Errors
/// Where the ledger does not answer.
pub async fn look(env: &Env, message: &Message, offered: Option<Slate>) -> Result<Option<Seen>, Problem> {
    let Verdict { mailbox, seen, .. } = message.verdict;
    send(env, &message.token, &Command::Look { viewer: mailbox.into(), seen, offered }).await
}

/// Tells the ledger afterwards what a picture showed without it; gives it back if nobody told it before.
///
/// # Errors
/// Where the ledger still does not answer.
pub async fn add(env: &Env, message: &Message, slate: Slate) -> Result<Option<Seen>, Problem> {
    let Verdict { mailbox, seen, .. } = message.verdict;
    send(env, &message.token, &Command::Add { viewer: mailbox.into(), seen, slate }).await
}

/// What a message's slot, from 1, has shown, the likeliest first.
///
/// # Errors
/// Where the ledger does not answer.
pub async fn shown(env: &Env, token: &Token, slot: u8) -> Result<Vec<Shown>, Problem> {
    send(env, token, &Command::Shown { slot }).await
}

async fn send<T: for<'de> Deserialize<'de>>(env: &Env, token: &Token, command: &Command) -> Result<T, Problem> {
    let failed = |error: &dyn std::fmt::Display| Problem::unavailable(format!("the ledger did not answer: {error}"));
    // Two campaigns of one message have a ledger each.
    let message = token.personal.as_ref().map(|personal| personal.message).unwrap_or_default();
    let name = format!("{message}/{}", token.campaign);
    let body = serde_json::to_string(command).map_err(|error| failed(&error))?;
    let mut response = object::ask(env, LEDGER, &name, &body).await.map_err(|error| failed(&error))?;
    if response.status_code() != 200 {
        return Err(failed(&format!("status {}", response.status_code())));
    }
    let bytes = response.bytes().await.map_err(|error| failed(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| failed(&error))
}

/// A message's slates.
#[durable_object(alarm)]
pub struct Ledger {
    state: State,
    freeze_seconds: i64,
    keep_seconds: f64,
    /// As the database has it, and when it ends; read once.
    kept: RefCell<Option<(Slates, i64)>>,
}

impl DurableObject for Ledger {
    fn new(state: State, env: Env) -> Self {
        store::set_clock(&env);
        let number = |name: &str| store::variable(&env, name).and_then(|text| store::number(&text));
        let freeze_seconds = number(FREEZE).map_or(slate::FREEZE_SECONDS, |seconds| seconds as i64);
        let keep_seconds = number(KEEP).map_or(slate::KEEP_SECONDS as f64, |days| days * DAY_SECONDS);
        Self { state, freeze_seconds, keep_seconds, kept: RefCell::default() }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let command: Command = serde_json::from_slice(&request.bytes().await?)?;
        let (answer, begins) = self.answer(command, now())?;
        if begins {
            let life = Duration::try_from_secs_f64(self.keep_seconds).unwrap_or(Duration::ZERO);
            self.state.storage().set_alarm(life).await?;
        }
        Response::from_bytes(answer)
    }

    /// Its life is over.
    async fn alarm(&self) -> worker::Result<Response> {
        self.kept.borrow_mut().take();
        self.state.storage().delete_all().await?;
        Response::ok("deleted")
    }
}

impl Ledger {
    /// What a command is answered with, and whether a ledger's life begins with it. It waits for nothing: what another command reads
    /// is before all of this or after it.
    fn answer(&self, command: Command, now: i64) -> worker::Result<(Vec<u8>, bool)> {
        let mut kept = self.kept.borrow_mut();
        let (slates, until) = match kept.take() {
            Some(kept) => kept,
            None => self.read()?,
        };
        // An alarm may be late.
        let over = now >= until && !slates.is_empty();
        let (mut slates, until) = if over { Default::default() } else { (slates, until) };
        let is_first = slates.is_empty();
        let (answer, changed) = match command {
            Command::Shown { slot } => (serde_json::to_vec(&slates.shown(slot))?, false),
            Command::Look { viewer, seen, offered } => {
                let (seen, changed) = slates.look(viewer, seen, now, self.freeze_seconds, offered);
                (serde_json::to_vec(&seen)?, changed)
            }
            Command::Add { viewer, seen, slate } => {
                let (seen, changed) = slates.add(viewer, seen, now, slate);
                (serde_json::to_vec(&Some(seen))?, changed)
            }
        };
        let begins = changed && is_first;
        let until = if begins { now.saturating_add(self.keep_seconds as i64) } else { until };
        if changed {
            // What was not written is not kept in memory either: the next one decides anew.
            self.write(&slates, until)?;
        }
        *kept = Some((slates, until));
        Ok((answer, begins))
    }

    fn read(&self) -> worker::Result<(Slates, i64)> {
        let sql = self.state.storage().sql();
        // Who only asks, as a scanner's click of a mail that nobody opened, leaves nothing behind.
        let tables = sql.exec("SELECT name FROM sqlite_master WHERE name = 'ledger'", None)?;
        if tables.raw().next().is_none() {
            return Ok(Default::default());
        }
        let rows = sql.exec("SELECT slates, until FROM ledger", None)?.raw().collect::<Result<Vec<_>, _>>()?;
        let Some(row) = rows.into_iter().next() else {
            return Ok(Default::default());
        };
        let mut columns = row.into_iter().map(|column| text(column).unwrap_or_default());
        let (slates, until) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
        let until = serde_json::from_slice(until.as_bytes())?;
        Ok((serde_json::from_slice(slates.as_bytes())?, until))
    }

    fn write(&self, slates: &Slates, until: i64) -> worker::Result<()> {
        let text = serde_json::to_string(slates)?;
        let values = Vec::from([text.into(), until.to_string().into()]);
        let sql = self.state.storage().sql();
        sql.exec("CREATE TABLE IF NOT EXISTS ledger (one INTEGER PRIMARY KEY, slates TEXT, until TEXT)", None)?;
        sql.exec("INSERT OR REPLACE INTO ledger VALUES (1, ?, ?)", values).map(|_| ())
    }
}
