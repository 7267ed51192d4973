//! What is known of a reader beside their token: that they do not want to be known, and what they did last.
//!
//! One Durable Object a reader, so that the newest event wins whatever order events come in, an objection holds from the next
//! request on, and both can be deleted: KV shows neither for a minute. The edge never learns a `user_id`; a reader is its HMAC, by a
//! secret that only the sender has. A position is deleted by an alarm when it is [`EVENT_SECONDS`] old, at once when its reader
//! objects, and stands in no log, answer or error. Of whom nothing is known, nothing is stored.

use crate::object::{self, number, text};
use crate::problem::{Problem, respond};
use crate::store::{self, now};
use crate::{body, json_response, key};
use freshrank::fresh::{EVENT_SECONDS, Event, Known, is_stale};
use freshrank::id::{NO_READER, ReaderId};
use freshrank::request::{Question, RequestEvent};
use freshrank::time;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use worker::{DurableObject, Env, Request, Response, ResponseBody, State, Storage, console_error, durable_object};

/// The binding in wrangler.toml.
pub const READERS: &str = "READERS";
/// Bytes of one event.
const MAX_EVENT: usize = 4096;

/// What is asked of a reader's object.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Command {
    /// Keep this if it is the newest.
    Event(RequestEvent, i64),
    /// Delete the event.
    Forget,
    /// They object.
    Suppress,
    /// They do not object any more.
    Lift,
    /// Tell.
    Know,
}

/// What an object tells of its reader.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Told {
    #[serde(default)]
    suppressed_since: Option<i64>,
    #[serde(default)]
    event: Option<RequestEvent>,
    /// Whether an event was taken.
    #[serde(default)]
    kept: bool,
}

/// `POST /v1/events`.
///
/// # Errors
/// What is wrong with the key or the event, without a word of it; 503 where it cannot be kept.
pub async fn event(request: &mut Request, env: &Env) -> Result<Response, Problem> {
    crate::allow(request, &["POST"], "POST")?;
    key::check(request, env, key::EVENTS)?;
    let now = now();
    let event = Event::parse(&body::read(request, MAX_EVENT).await?, now)?;
    let kept = event.consent && !event.is_stale(now) && {
        let command = Command::Event(event.told, event.at);
        ask(env, event.reader, &command).await?.kept
    };
    Ok(json_response(&json!({ "kept": kept })))
}

/// `DELETE /v1/events/{reader}`.
///
/// # Errors
/// As [`event`].
pub async fn forget(request: &Request, env: &Env, reader: &str) -> Result<Response, Problem> {
    crate::allow(request, &["DELETE"], "DELETE")?;
    key::check(request, env, key::EVENTS)?;
    ask(env, named(reader)?, &Command::Forget).await?;
    Ok(json_response(&json!({ "kept": false })))
}

/// `PUT`, `DELETE` and `GET /v1/suppressions/{reader}`.
///
/// # Errors
/// As [`event`].
pub async fn suppression(request: &Request, env: &Env, reader: &str) -> Result<Response, Problem> {
    crate::allow(request, &["GET", "PUT", "DELETE"], "GET, PUT, DELETE")?;
    key::check(request, env, key::PUBLISH)?;
    let reader = named(reader)?;
    let command = match request.inner().method().as_str() {
        "PUT" => Command::Suppress,
        "DELETE" => Command::Lift,
        _ => Command::Know,
    };
    let told = ask(env, reader, &command).await?;
    let since = told.suppressed_since.map(time::format);
    Ok(json_response(&json!({ "suppressed": since.is_some(), "since": since, "event": told.event.is_some() })))
}

/// What is known of the reader of a token. This never fails: who cannot be asked whether they object is treated as if they did.
/// A deployment without the binding keeps neither events nor objections.
pub async fn known(env: &Env, reader: u64) -> Known {
    if reader == 0 || env.durable_object(READERS).is_err() {
        return Known::default();
    }
    match ask(env, ReaderId(reader), &Command::Know).await {
        Ok(told) => Known {
            suppressed: told.suppressed_since.is_some(),
            last_event: told.event.and_then(|event| event.check(["latitude", "at"]).ok()),
        },
        Err(problem) => {
            console_error!("readers: {}", problem.detail);
            Known { suppressed: true, last_event: None }
        }
    }
}

/// A question, after it was learned what is known of its reader.
pub async fn met(mut question: Question, env: &Env) -> Question {
    question.meet(known(env, question.profile.reader).await);
    question
}

fn named(reader: &str) -> Result<ReaderId, Problem> {
    // Whoever puts a user_id there does not read it in an error, nor in a log of errors.
    ReaderId::parse(reader).ok_or_else(|| Problem::new(404, NO_READER))
}

async fn ask(env: &Env, reader: ReaderId, command: &Command) -> Result<Told, Problem> {
    let body = serde_json::to_string(command).map_err(Problem::bad_request)?;
    let failed = |error: worker::Error| Problem::unavailable(format!("{READERS} does not answer: {error}"));
    let mut response = object::ask(env, READERS, &reader.to_string(), &body).await.map_err(failed)?;
    let unread = || Problem::unavailable("what the reader's object told cannot be read");
    let bytes = response.bytes().await.map_err(|_| unread())?;
    if response.status_code() != 200 {
        return Err(Problem::unavailable(format!("the reader's object answered {}", response.status_code())));
    }
    serde_json::from_slice(&bytes).map_err(|_| unread())
}

/// One reader.
#[durable_object(alarm)]
pub struct Readers {
    state: State,
}

impl DurableObject for Readers {
    fn new(state: State, env: Env) -> Self {
        store::set_clock(&env);
        Self { state }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let bytes = request.bytes().await?;
        let Ok(command) = serde_json::from_slice(&bytes) else {
            return Ok(Problem::new(400, "no command").response());
        };
        Ok(match run(self.state.storage(), &command).await {
            Ok(told) => {
                let bytes = serde_json::to_vec(&told)?;
                respond(200, "application/json", ResponseBody::Body(bytes), None)
            }
            Err(problem) => problem.response(),
        })
    }

    /// The event is as old as it may become.
    async fn alarm(&self) -> worker::Result<Response> {
        let room = Room(self.state.storage());
        // An alarm that fails is tried again.
        let failed = |problem: Problem| worker::Error::RustError(problem.detail);
        match room.event().map_err(failed)? {
            Some((_, at)) if !is_stale(at, now()) => room.wake(at).await.map_err(failed)?,
            _ => room.forget().await.map_err(failed)?,
        }
        Response::empty()
    }
}

async fn run(storage: Storage, command: &Command) -> Result<Told, Problem> {
    let room = Room(storage);
    match command {
        Command::Event(told, at) => {
            if room.suppressed_since()?.is_some() || room.event()?.is_some_and(|(_, newest)| newest >= *at) {
                return Ok(Told::default());
            }
            room.keep(told, *at).await?;
            return Ok(Told { kept: true, ..Told::default() });
        }
        Command::Forget => room.forget().await?,
        Command::Suppress => {
            if room.suppressed_since()?.is_none() {
                room.suppress(now())?;
            }
            room.forget().await?;
        }
        Command::Lift => room.nothing().await?,
        Command::Know => {}
    }
    // The alarm may be late; what is stale is not told all the same.
    let event = room.event()?.filter(|(_, at)| !is_stale(*at, now())).map(|(event, _)| event);
    Ok(Told { suppressed_since: room.suppressed_since()?, event, kept: false })
}

/// A reader's database; of whom nothing is known it has no table.
struct Room(Storage);

impl Room {
    fn rows(
        &self,
        sql: &str,
        values: Vec<worker::SqlStorageValue>,
    ) -> Result<Vec<Vec<worker::SqlStorageValue>>, Problem> {
        object::rows(&self.0.sql(), sql, values)
    }

    /// Reading must not leave a table behind: it would be a list of all who opened a mail.
    fn has(&self, table: &str) -> Result<bool, Problem> {
        let rows = self.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", [table.into()].into())?;
        Ok(!rows.is_empty())
    }

    fn event(&self) -> Result<Option<(RequestEvent, i64)>, Problem> {
        if !self.has("event")? {
            return Ok(None);
        }
        let rows = self.rows("SELECT kind, latitude, longitude, at FROM event", Vec::new())?;
        let event = rows.first().and_then(|row| {
            let [kind, latitude, longitude, at] = row.as_slice() else { return None };
            let (kind, at) = (text(kind.clone())?, number(at)? as i64);
            let (latitude, longitude) = (number(latitude)?, number(longitude)?);
            Some((RequestEvent { kind, latitude, longitude, at: time::format(at) }, at))
        });
        Ok(event)
    }

    fn suppressed_since(&self) -> Result<Option<i64>, Problem> {
        if !self.has("suppressed")? {
            return Ok(None);
        }
        let rows = self.rows("SELECT since FROM suppressed", Vec::new())?;
        Ok(rows.first().and_then(|row| number(row.first()?)).map(|since| since as i64))
    }

    async fn keep(&self, event: &RequestEvent, at: i64) -> Result<(), Problem> {
        self.rows(
            "CREATE TABLE IF NOT EXISTS event (kind TEXT, latitude REAL, longitude REAL, at INTEGER)",
            Vec::new(),
        )?;
        self.rows("DELETE FROM event", Vec::new())?;
        let RequestEvent { kind, latitude, longitude, .. } = event;
        let values = [kind.as_str().into(), (*latitude).into(), (*longitude).into(), at.into()];
        self.rows("INSERT INTO event VALUES (?, ?, ?, ?)", values.into())?;
        self.wake(at).await
    }

    fn suppress(&self, since: i64) -> Result<(), Problem> {
        self.rows("CREATE TABLE IF NOT EXISTS suppressed (since INTEGER)", Vec::new())?;
        self.rows("INSERT INTO suppressed VALUES (?)", [since.into()].into()).map(|_| ())
    }

    /// Comes back when an event of that time is stale.
    async fn wake(&self, at: i64) -> Result<(), Problem> {
        let seconds = u64::try_from(at.saturating_add(EVENT_SECONDS) - now()).unwrap_or_default();
        let failed = |error: worker::Error| Problem::unavailable(format!("no alarm could be set: {error}"));
        self.0.set_alarm(Duration::from_secs(seconds)).await.map_err(failed)
    }

    /// Deletes the event, and with nothing else known, everything.
    async fn forget(&self) -> Result<(), Problem> {
        if self.suppressed_since()?.is_none() {
            return self.nothing().await;
        }
        let failed = |error: worker::Error| Problem::unavailable(format!("the alarm stands: {error}"));
        self.rows("DROP TABLE IF EXISTS event", Vec::new())?;
        self.0.delete_alarm().await.map_err(failed)
    }

    async fn nothing(&self) -> Result<(), Problem> {
        let failed = |error: worker::Error| Problem::unavailable(format!("nothing was deleted: {error}"));
        self.0.delete_alarm().await.map_err(failed)?;
        self.0.delete_all().await.map_err(failed)
    }
}
