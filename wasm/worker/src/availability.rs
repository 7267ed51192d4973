//! Which merchants are closed from this minute on: one Durable Object for all, and a copy of it in every isolate.
//!
//! Mail already sent must stop showing a closed merchant within [`WITHIN_MS`]. KV promises no less than 60 seconds, takes one write
//! a second of a key, and a list that two senders write at once would lose one's change; an object has one truth, and tells an
//! isolate in one request what changed. An isolate asks when its copy is [`FRESH_MS`] old, whoever comes first; the others go on with
//! the copy at hand meanwhile. So the object answers a request for every isolate and [`FRESH_MS`], however many open their mail.
//! One object is enough for every market: what is here is what bundles, which are made hourly, do not know yet.

use crate::object::{self, number, text};
use crate::problem::{Problem, respond};
use crate::store::{self, now, now_ms};
use crate::{body, json_response, key};
use freshrank::areas::{Availability, Closure, MAX_CLOSURES};
use freshrank::fresh::{AvailabilityRequest, Overlay};
use freshrank::sorted::Set;
use freshrank::time;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use worker::{
    DurableObject, Env, Request, Response, ResponseBody, SqlStorageValue, State, Storage, console_error, durable_object,
};

/// The binding in wrangler.toml.
pub const CLOSURES: &str = "CLOSURES";
/// The one object's name.
const ALL: &str = "all";
/// How long a copy is used without asking.
const FRESH_MS: u64 = 10_000;
/// From this age on nobody goes on with a copy while another asks.
const OLD_MS: u64 = 40_000;
/// How long who asks may take before the next one asks as well.
const PATIENCE_MS: u64 = 5_000;
/// The promise: after this long nobody shows who is closed.
#[cfg(test)]
const WITHIN_MS: u64 = 60_000;
/// Bytes of one request: as many closures as there may be, with their names.
const MAX_BODY: usize = 4 << 20;

/// What is asked of the object.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Command {
    /// Take these in.
    Put(AvailabilityRequest),
    /// Tell all, by name.
    Show,
    /// Tell all, in bytes, unless this version is still the one.
    Since(u64),
}

/// `PUT` and `GET /v1/availability`.
///
/// # Errors
/// What is wrong with the key or the request, and 503 where the object does not answer.
pub async fn route(request: &mut Request, env: &Env) -> Result<Response, Problem> {
    crate::allow(request, &["GET", "PUT"], "GET, PUT")?;
    key::check(request, env, key::PUBLISH)?;
    if request.inner().method() == "GET" {
        return ask(env, &Command::Show).await;
    }
    let told = AvailabilityRequest::parse(&body::read(request, MAX_BODY).await?)?;
    let response = ask(env, &Command::Put(told)).await?;
    // The isolate that was told asks again at once; the others when their copies are no longer fresh.
    COPY.with_borrow_mut(|copy| copy.read_at_ms = None);
    Ok(response)
}

async fn ask(env: &Env, command: &Command) -> Result<Response, Problem> {
    let body = serde_json::to_string(command).map_err(Problem::bad_request)?;
    let failed = |error: worker::Error| Problem::unavailable(format!("{CLOSURES} does not answer: {error}"));
    object::ask(env, CLOSURES, ALL, &body).await.map_err(failed)
}

/// All that are closed, as this isolate knows them. This never fails: a copy that cannot be renewed goes on closing doors.
pub async fn closures(env: &Env) -> Rc<Overlay> {
    let (now, known) = (now_ms(), COPY.with_borrow(|copy| copy.version));
    if env.durable_object(CLOSURES).is_err() || !COPY.with_borrow_mut(|copy| copy.must_ask(now)) {
        return COPY.with_borrow(|copy| copy.overlay.clone());
    }
    match since(env, known).await {
        Ok(news) => COPY.with_borrow_mut(|copy| copy.take(news, now)),
        Err(problem) => console_error!("availability: {}", problem.detail),
    }
    COPY.with_borrow(|copy| copy.overlay.clone())
}

/// What is new since a version: nothing, or another version and all of it.
async fn since(env: &Env, known: Option<u64>) -> Result<Option<(u64, Overlay)>, Problem> {
    let command = Command::Since(known.unwrap_or(u64::MAX));
    let mut response = ask(env, &command).await?;
    let damaged = || Problem::unavailable("what the object told cannot be read");
    match response.status_code() {
        204 => Ok(None),
        200 => {
            let bytes = response.bytes().await.map_err(|_| damaged())?;
            let (version, entries) = bytes.split_first_chunk().ok_or_else(damaged)?;
            Ok(Some((u64::from_le_bytes(*version), Overlay::decode(entries).ok_or_else(damaged)?)))
        }
        status => Err(Problem::unavailable(format!("the object answered {status}"))),
    }
}

thread_local! {
    static COPY: RefCell<Copy> = RefCell::default();
}

/// What this isolate was told last.
#[derive(Default)]
struct Copy {
    version: Option<u64>,
    overlay: Rc<Overlay>,
    read_at_ms: Option<u64>,
    asked_at_ms: Option<u64>,
}

impl Copy {
    /// Whether whoever comes now asks the object; if so, the next one need not.
    fn must_ask(&mut self, now_ms: u64) -> bool {
        let age = self.read_at_ms.map_or(u64::MAX, |at| now_ms.saturating_sub(at));
        let somebody_asks = self.asked_at_ms.is_some_and(|at| now_ms.saturating_sub(at) < PATIENCE_MS);
        let must = age >= OLD_MS || (age >= FRESH_MS && !somebody_asks);
        if must {
            self.asked_at_ms = Some(now_ms);
        }
        must
    }

    /// What was asked for at a time is as of that time, whenever the answer came.
    fn take(&mut self, news: Option<(u64, Overlay)>, asked_at_ms: u64) {
        self.read_at_ms = Some(self.read_at_ms.map_or(asked_at_ms, |at| at.max(asked_at_ms)));
        self.asked_at_ms = None;
        if let Some((version, overlay)) = news {
            // Two may have asked; versions only go up.
            if self.version.is_none_or(|known| known <= version) {
                (self.version, self.overlay) = (Some(version), Rc::new(overlay));
            }
        }
    }
}

/// Who is closed.
#[durable_object(fetch)]
pub struct Closures {
    state: State,
}

impl DurableObject for Closures {
    fn new(state: State, env: Env) -> Self {
        store::set_clock(&env);
        Self { state }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let bytes = request.bytes().await?;
        Ok(match serde_json::from_slice(&bytes) {
            Ok(command) => run(&self.state.storage(), &command).unwrap_or_else(|problem| problem.response()),
            Err(_) => Problem::new(400, "no command").response(),
        })
    }
}

/// Nothing here waits, so that no other command comes in between.
fn run(storage: &Storage, command: &Command) -> Result<Response, Problem> {
    let query = |sql: &str, values: Vec<SqlStorageValue>| object::rows(&storage.sql(), sql, values);
    query(
        "CREATE TABLE IF NOT EXISTS closures (merchant_id TEXT PRIMARY KEY, closure INTEGER, until INTEGER, said_at INTEGER)",
        Vec::new(),
    )?;
    query("CREATE TABLE IF NOT EXISTS version (n INTEGER)", Vec::new())?;
    let version = || -> Result<u64, Problem> {
        let rows = query("SELECT n FROM version", Vec::new())?;
        Ok(rows.first().and_then(|row| number(row.first()?)).unwrap_or_default() as u64)
    };
    let now = now();
    let standing = || -> Result<Vec<Standing>, Problem> {
        let rows = query("SELECT merchant_id, closure, until, said_at FROM closures ORDER BY merchant_id", Vec::new())?;
        Ok(rows.iter().filter_map(|row| Standing::read(row)).collect())
    };
    match command {
        Command::Since(known) => {
            let version = version()?;
            if *known == version {
                return Ok(respond(204, "application/octet-stream", ResponseBody::Empty, None));
            }
            let overlay: Overlay = standing()?.iter().map(Standing::availability).collect();
            let bytes = [&version.to_le_bytes()[..], &overlay.encode()].concat();
            Ok(respond(200, "application/octet-stream", ResponseBody::Body(bytes), None))
        }
        Command::Show => {
            let closures: Vec<Value> = standing()?.iter().map(Standing::told).collect();
            Ok(json_response(&json!({ "version": version()?, "closures": closures })))
        }
        Command::Put(told) => {
            query("DELETE FROM closures WHERE until <= ?", [now.into()].into())?;
            let standing = standing()?;
            let opened: Set<&str> = told.available.iter().map(String::as_str).collect();
            let told_of = told.closures.iter().map(|entry| entry.merchant_id.as_str());
            let closed: Set<&str> = standing.iter().map(|row| row.merchant_id.as_str()).chain(told_of).collect();
            let closed = closed.iter().filter(|id| !opened.contains(*id)).count();
            if closed > MAX_CLOSURES {
                let detail = format!(
                    "{closed} merchants would be closed, at most {MAX_CLOSURES} are kept: build area bundles without them"
                );
                return Err(Problem::new(422, detail));
            }
            for id in opened.iter() {
                query("DELETE FROM closures WHERE merchant_id = ?", [(*id).into()].into())?;
            }
            for entry in &told.closures {
                let (id, closure) = (entry.merchant_id.as_str().into(), i64::from(entry.closure as u8).into());
                let values = [id, closure, entry.check()?.until.into(), now.into()];
                query("INSERT OR REPLACE INTO closures VALUES (?, ?, ?, ?)", values.into())?;
            }
            let version = version()? + 1;
            query("DELETE FROM version", Vec::new())?;
            query("INSERT INTO version VALUES (?)", [version.cast_signed().into()].into())?;
            Ok(json_response(&json!({ "version": version, "closed": closed })))
        }
    }
}

/// A row of the table.
struct Standing {
    merchant_id: String,
    closure: Closure,
    until: Option<i64>,
    said_at: i64,
}

impl Standing {
    fn read(row: &[SqlStorageValue]) -> Option<Self> {
        let [merchant_id, closure, until, said_at] = row else { return None };
        Some(Self {
            merchant_id: text(merchant_id.clone())?,
            closure: Closure::of(number(closure)? as u8)?,
            until: number(until).map(|until| until as i64),
            said_at: number(said_at)? as i64,
        })
    }

    fn availability(&self) -> Availability {
        Availability {
            merchant: freshrank::MerchantId::of(&self.merchant_id),
            closure: self.closure,
            until: self.until,
        }
    }

    fn told(&self) -> Value {
        let Self { merchant_id, closure, until, said_at } = self;
        json!({ "merchant_id": merchant_id, "closure": closure, "until": until.map(time::format), "said_at": time::format(*said_at) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However requests come, who was closed at 0 is not shown after a minute: a copy asked for before that is too old by then.
    #[test]
    fn no_copy_is_used_longer_than_promised_even_if_who_asks_never_answers() {
        let mut copy = Copy::default();
        assert!(copy.must_ask(0) && copy.must_ask(1), "without a copy everybody waits");
        copy.take(None, 0);
        assert!(!copy.must_ask(FRESH_MS - 1));
        assert!(copy.must_ask(FRESH_MS) && !copy.must_ask(FRESH_MS), "one asks, the others go on");
        assert!(copy.must_ask(FRESH_MS + PATIENCE_MS), "who asked is gone");
        assert!(copy.must_ask(OLD_MS) && copy.must_ask(OLD_MS), "nobody goes on with an old one");
        const { assert!(OLD_MS + PATIENCE_MS < WITHIN_MS) };
    }

    #[test]
    fn a_late_answer_brings_back_neither_an_old_version_nor_an_old_time() {
        let mut copy = Copy::default();
        let one = |id: &str| {
            Overlay::from_iter([Availability {
                merchant: freshrank::MerchantId::of(id),
                closure: Closure::Paused,
                until: None,
            }])
        };
        copy.take(Some((2, one("b"))), 5_000);
        copy.take(Some((1, one("a"))), 4_000);
        assert_eq!((copy.version, copy.read_at_ms, &*copy.overlay), (Some(2), Some(5_000), &one("b")));
    }
}
