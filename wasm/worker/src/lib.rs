//! The edge: one request is one open or one send.
//!
//! This shell only translates. It brings the clock and what was published, so that the engine does not have to, and
//! it answers every request: a sender gets a decision or a problem with its reason, never a stack trace.

mod amp;
mod availability;
mod body;
mod click;
mod key;
mod ledger;
mod message;
#[path = "../../model.rs"]
mod model;
mod object;
mod open;
mod origin;
mod page;
mod picture;
mod problem;
mod reader;
mod record;
mod registry;
mod short;
mod store;

use body::{BodyLines, Line};
use freshrank::bundle::{self, Bundle, Display};
use freshrank::geo::Cell;
use freshrank::profile::LikelyPlace;
use freshrank::request::{MAX_BODY, Question, Reply};
use freshrank::score::Prior;
use freshrank::{Campaign, Hash, Scorer, feature};
use futures_util::{future, stream};
use problem::{Problem, respond};
use registry::{Command, UNSIGNED, What};
use serde_json::json;
use std::rc::Rc;
use std::task::Poll;
use store::{Keeping, Store, is_name, now};
use worker::{Context, Env, Request, Response, ResponseBody, event};

/// Bytes of a display block, as [`Display::decode`] reads them.
const MAX_DISPLAY: usize = 16 << 20;
/// Bytes of a layer's path.
const MAX_PATH: usize = 200;
/// Bytes of a campaign.
const MAX_CAMPAIGN: usize = 2 << 20;
/// Lines of a batch whose readers are asked at once.
const TOGETHER: usize = 32;
/// Bytes of an `Idempotency-Key`, as others take them.
const MAX_IDEMPOTENCY_KEY: usize = 255;
/// Bytes of one layer, or of who asks and why.
const MAX_LAYER: usize = 1 << 20;

thread_local! {
    static SCORER: Rc<dyn Scorer> = Rc::from(model::choose(model::PLAN));
}

/// Chooses who judges, before the first request.
#[event(start)]
fn start() {
    SCORER.with(|_| ());
}

/// Answers a request.
#[event(fetch)]
async fn fetch(mut request: Request, env: Env, later: Context) -> worker::Result<Response> {
    store::set_clock(&env);
    let page = origin::of(&request, &env);
    // A panic is a bug, and costs every request of this isolate: nothing below may.
    let response = match page {
        Some(_) if origin::is_preflight(&request) => origin::preflight(),
        _ => route(&mut request, &env, later).await.unwrap_or_else(|problem| problem.response()),
    };
    Ok(match page {
        Some(page) => origin::open_to(&page, &response),
        None => response,
    })
}

async fn route(request: &mut Request, env: &Env, later: Context) -> Result<Response, Problem> {
    let path = request.path();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments[..] {
        ["healthz"] => {
            allow(request, &["GET", "HEAD"], "GET, HEAD")?;
            Ok(health())
        }
        ["o", ref rest @ ..] => {
            allow(request, &["GET", "HEAD"], "GET, HEAD")?;
            // Whatever else stands there is the address of no picture, and answered with one.
            let (token, name) = if let [token, name] = *rest { (token, name) } else { ("", "") };
            Ok(open::picture(request, env, &Rc::new(later), token, name).await)
        }
        ["c", token, slot, ref merchant @ ..] if merchant.len() < 2 => {
            allow(request, &["GET", "HEAD"], "GET, HEAD")?;
            Ok(click::click(request, env, &Rc::new(later), token, slot, merchant.first().copied()).await)
        }
        ["a", token] => {
            allow(request, &["GET"], "GET")?;
            amp::list(request, env, &Rc::new(later), token).await
        }
        ["v1", "rank"] => {
            allow(request, &["POST"], "POST")?;
            key::check(request, env, key::RANK)?;
            rank(request, env).await
        }
        ["v1", "rank", "batch"] => {
            allow(request, &["POST"], "POST")?;
            key::check(request, env, key::RANK)?;
            batch(request, env.clone()).await
        }
        ["v1", "short"] => {
            allow(request, &["POST"], "POST")?;
            key::check(request, env, key::RANK)?;
            short::shorten(request, Store::new(env))
        }
        ["s", code] => {
            allow(request, &["GET", "HEAD"], "GET, HEAD")?;
            Ok(short::follow(&Store::new(env), code).await)
        }
        ["v1", "areas", cell] => {
            publishes(request, env)?;
            put_area(request, &Store::new(env), cell).await
        }
        ["v1", "areas", cell, "display"] => {
            publishes(request, env)?;
            put_display(request, &Store::new(env), cell).await
        }
        ["v1", "availability"] => availability::route(request, env).await,
        ["v1", "events"] => reader::event(request, env).await,
        ["v1", "events", reader] => reader::forget(request, env, reader).await,
        ["v1", "suppressions", reader] => reader::suppression(request, env, reader).await,
        ["v1", "campaigns", id] => {
            publishes(request, env)?;
            put_campaign(request, env, id).await
        }
        ["v1", "campaigns", id, "layers", ref path @ ..] => layer(request, env, id, &path.join("/")).await,
        _ => Err(Problem::new(404, "no such route")),
    }
}

fn allow(request: &Request, methods: &[&str], allow: &'static str) -> Result<(), Problem> {
    // The raw word: `Request::method` calls whatever it does not know a GET.
    let method = request.inner().method();
    if methods.contains(&method.as_str()) { Ok(()) } else { Err(Problem::method_not_allowed(&method, allow)) }
}

fn publishes(request: &Request, env: &Env) -> Result<(), Problem> {
    allow(request, &["PUT"], "PUT")?;
    key::check(request, env, key::PUBLISH)
}

/// What runs here, and why the prior ranks if it does.
fn health() -> Response {
    let scorer = SCORER.with(Rc::clone);
    json_response(&json!({
        "ok": true,
        "version": env!("CARGO_PKG_VERSION"),
        "module": model::MODULE,
        "scorer": scorer.name(),
        "model": scorer.model().to_string(),
        "model_error": model::refusal(scorer.as_ref()),
        "features": feature::fingerprint_hex(),
    }))
}

async fn rank(request: &mut Request, env: &Env) -> Result<Response, Problem> {
    let json = body::read(request, MAX_BODY).await?;
    let question = reader::met(Question::parse(&json, now())?, env).await;
    let (reply, notices) = answer(question, env).await?;
    let notices = notices.join("; ");
    let header = (!notices.is_empty()).then_some(("Freshrank-Notice", notices.as_str()));
    Ok(respond(200, "application/json", ResponseBody::Body(reply.to_json().into_bytes()), header))
}

/// Answers line by line while the client still sends. What is in memory is what came in one piece, since all of its readers are asked at
/// once what is known of them, and one answer.
async fn batch(request: &mut Request, env: Env) -> Result<Response, Problem> {
    let now = asked_at(request, &Store::new(&env)).await?;
    let state = (BodyLines::new(request, MAX_BODY), Vec::new().into_iter(), env);
    let answers = stream::unfold(state, move |(mut lines, mut met, env)| async move {
        if met.len() == 0 {
            let few = lines.few(TOGETHER).await;
            met = all(few.into_iter().map(|line| meet(line, now, &env))).await.into_iter();
        }
        let (number, question) = met.next()?;
        let answered = match question {
            Ok(question) => answer(question, &env).await.map(|(reply, _)| reply.to_json()),
            Err(problem) => Err(problem),
        };
        let mut text = answered.unwrap_or_else(|problem| problem.to_json(Some(number)));
        text.push('\n');
        Some((Ok::<_, worker::Error>(text.into_bytes()), (lines, met, env)))
    });
    let response = Response::builder().from_stream(answers);
    let response = response.map_err(|error| Problem::unavailable(format!("no stream: {error}")))?;
    let at = freshrank::time::format(now);
    Ok(respond(200, "application/x-ndjson", response.body().clone(), Some(("Freshrank-At", at.as_str()))))
}

/// The time that lines without their own are answered as of: of every batch with one key that of the first. The rest of an answer follows
/// from it, the request, what is published, whose hashes it names, and what readers did and said meanwhile.
async fn asked_at(request: &Request, store: &Store) -> Result<i64, Problem> {
    let Some(key) = request.headers().get("Idempotency-Key").ok().flatten() else {
        return Ok(now());
    };
    if key.is_empty() || key.len() > MAX_IDEMPOTENCY_KEY {
        let found = key.len();
        return Err(Problem::bad_request(format!(
            "Idempotency-Key has {found} bytes, expected 1 to {MAX_IDEMPOTENCY_KEY}"
        )));
    }
    store.first_time(&format!("batch/{}", Hash::of(key.as_bytes())), now()).await
}

/// What several futures come to, each polled whenever one goes on: they are few, and a queue of those that do is more code in a module.
async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(|future| Box::pin(future::maybe_done(future))).collect();
    future::poll_fn(|context| {
        let waiting =
            running.iter_mut().filter_map(|future| future.as_mut().poll(context).is_pending().then_some(())).count();
        if waiting == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.iter_mut().filter_map(|future| future.as_mut().take_output()).collect()
}

/// A line of a batch, read, as it may be answered.
async fn meet((number, line): Line, now: i64, env: &Env) -> (u64, Result<Question, Problem>) {
    let question = match line {
        Ok(json) => Question::parse(&json, now).map_err(Problem::from),
        Err(length) => Err(Problem::too_large(&format!("line has {length} bytes"), MAX_BODY)),
    };
    match question {
        Ok(question) => (number, Ok(reader::met(question, env).await)),
        Err(problem) => (number, Err(problem)),
    }
}

/// The reply, and what is wrong with what was published.
async fn answer(mut question: Question, env: &Env) -> Result<(Reply, Vec<String>), Problem> {
    let store = Store::new(env);
    let campaign = store.campaign(question.campaign.as_deref()).await?;
    let policies = Keeping(&campaign);
    if question.suppressed {
        // As a picture that they open: the middle of their market, and its prior.
        let middle = store.middle(&question.profile.market).await.and_then(Cell::center);
        question.profile.places.extend(middle.map(|point| LikelyPlace { point, probability: [1.0; 4] }));
    }
    let cell = question.cell(&policies).filter(|_| question.areas.is_empty());
    let mut notices = Vec::new();
    let (mut area, mut display) = (None, None);
    if let Some(cell) = cell {
        // Without its area the reader still gets the campaign's own card.
        let found = store.area(cell).await;
        notices.extend(found.error);
        area = found.value;
    }
    if let (true, Some(bundle)) = (question.display, &area) {
        let found = store.display(bundle.cell, bundle.hash).await;
        notices.extend(found.error);
        display = found.value;
    }
    // What the caller brings counts as well.
    let closed = availability::closures(env).await;
    let own = question.areas.iter().chain(area.as_deref()).flat_map(|area| closed.within(area)).collect::<Vec<_>>();
    question.overlay.extend(own);
    let scorer = SCORER.with(Rc::clone);
    let scorer: &dyn Scorer = if question.suppressed { &Prior } else { scorer.as_ref() };
    Ok((question.answer(area.as_deref(), display.as_deref(), &policies, scorer), notices))
}

async fn put_area(request: &mut Request, store: &Store, path: &str) -> Result<Response, Problem> {
    let cell = cell(path)?;
    let bytes = body::read(request, bundle::MAX_BYTES).await?;
    let area = Bundle::decode(bytes).map_err(Problem::bad_request)?;
    if area.cell != cell {
        return Err(Problem::bad_request(format!("area bundle is of cell {}, its path of {cell}", area.cell)));
    }
    let published = json!({ "cell": cell, "hash": area.hash, "merchants": area.len(), "as_of": freshrank::time::format(area.as_of) });
    let bytes = area.bytes().to_vec();
    store.tell_middle(&area).await;
    store.publish(&cell.to_string(), &bytes, area).await?;
    Ok(json_response(&published))
}

async fn put_display(request: &mut Request, store: &Store, path: &str) -> Result<Response, Problem> {
    let cell = cell(path)?;
    let bytes = body::read(request, MAX_DISPLAY).await?;
    let display = Display::decode(bytes.clone()).map_err(Problem::bad_request)?;
    let published = json!({ "cell": cell, "bundle": display.bundle, "cards": display.len() });
    store.publish(&cell.to_string(), &bytes, display).await?;
    Ok(json_response(&published))
}

async fn put_campaign(request: &mut Request, env: &Env, id: &str) -> Result<Response, Problem> {
    campaign_name(id)?;
    let bytes = body::read(request, MAX_CAMPAIGN).await?;
    let campaign = Campaign::parse(&bytes)?;
    if campaign.id != id {
        return Err(Problem::bad_request(format!("campaign says its name is {:?}, its path {id:?}", campaign.id)));
    }
    if registry::is_bound(env) {
        let document = serde_json::from_slice(&bytes).map_err(Problem::bad_request)?;
        return ask(env, id, "", What::Import { document }, "everything".into(), None).await;
    }
    let mut published = json!({ "id": id, "hash": campaign.hash, "layers": campaign.layers().len() });
    if let Some(warning) = store::warning(id) {
        published["warnings"] = json!([warning]);
    }
    Store::new(env).publish(id, &bytes, campaign).await?;
    Ok(json_response(&published))
}

fn campaign_name(id: &str) -> Result<(), Problem> {
    let problem = || Problem::bad_request("a campaign's name has 1 to 64 letters, digits, - and _");
    is_name(id).then_some(()).ok_or_else(problem)
}

/// One layer of a campaign: its versions, a new one, one back, or none.
async fn layer(request: &mut Request, env: &Env, id: &str, path: &str) -> Result<Response, Problem> {
    campaign_name(id)?;
    if path.is_empty() || path.len() > MAX_PATH || !path.split('/').all(is_name) {
        return Err(Problem::new(
            404,
            "a layer's path is names of letters, digits, - and _ with / between, as fi/helsinki",
        ));
    }
    allow(request, &["GET", "PUT", "DELETE"], "GET, PUT, DELETE")?;
    let scope = key::layer(request, env, id, path)?;
    let if_match = request.headers().get("If-Match").ok().flatten();
    // Not `Request::url`, which would bring the tables of international domain names along.
    let url = request.inner().url();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let asked = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let method = request.inner().method();
    let what = match method.as_str() {
        "GET" => What::Show,
        "DELETE" => {
            let (author, reason) = signed(request).await?;
            What::Remove { author, reason }
        }
        _ if asked("rollback").is_some() => {
            let (author, reason) = signed(request).await?;
            What::Rollback { author, reason }
        }
        _ => {
            let share = match asked("share") {
                // JSON's reader of numbers is there already, std's is not.
                Some(text) => serde_json::from_slice(text.as_bytes())
                    .ok()
                    .filter(|share| *share > 0.0 && *share <= 1.0)
                    .ok_or_else(|| {
                        Problem::bad_request(format!("found share {text:?}, expected a number above 0 and at most 1"))
                    })?,
                None => 1.0,
            };
            let bytes = body::read(request, MAX_LAYER).await?;
            let layer: serde_json::Value = serde_json::from_slice(&bytes).map_err(Problem::bad_request)?;
            What::Put { layer, share }
        }
    };
    ask(env, id, path, what, scope, if_match).await
}

/// Who asks, and why.
async fn signed(request: &mut Request) -> Result<(String, String), Problem> {
    #[derive(serde::Deserialize)]
    struct Signed {
        author: String,
        reason: String,
    }
    let bytes = body::read(request, MAX_LAYER).await?;
    let expected = |error| Problem::new(422, format!("{error}; expected {{\"author\": ..., \"reason\": ...}}"));
    let said: Signed = serde_json::from_slice(&bytes).map_err(expected)?;
    if said.author.trim().is_empty() || said.reason.trim().is_empty() {
        return Err(Problem::new(422, UNSIGNED));
    }
    Ok((said.author, said.reason))
}

async fn ask(
    env: &Env,
    campaign: &str,
    path: &str,
    what: What,
    scope: String,
    if_match: Option<String>,
) -> Result<Response, Problem> {
    let writes = !matches!(what, What::Show);
    let command = Command { campaign: campaign.into(), path: path.into(), what, scope, if_match };
    let response = registry::send(env, &command).await?;
    if writes {
        // The isolate that was told answers with it at once; others within a minute.
        Store::forget_campaign(campaign);
    }
    Ok(response)
}

fn cell(text: &str) -> Result<Cell, Problem> {
    Cell::parse(text).ok_or_else(|| Problem::new(404, "expected an H3 cell at resolution 7"))
}

fn json_response(value: &serde_json::Value) -> Response {
    respond(200, "application/json", ResponseBody::Body(value.to_string().into_bytes()), None)
}
