//! A picture in a mail: whatever is broken, the reader gets one, and within a second.
//!
//! Mail clients show an error as a broken picture, and mail providers cache it. So nothing here is an error: what cannot be decided
//! is the deployment's own card, and where that cannot be read either, one that this module carries.

use crate::message::Message;
use crate::picture::{self, LAST_RESORT};
use crate::problem::{Problem, respond};
use crate::record;
use crate::store::Store;
use crate::{ledger, message};
use freshrank::card::{Card, Density, Theme, parse_ending};
use freshrank::mailbox::Fetch;
use freshrank::record::{Decided, Record};
use freshrank::slate::Viewer;
use futures_util::future::{Either, select};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use worker::{Context, Delay, Env, Request, Response, ResponseBody, console_error};

/// How long a decision may take: campaign, area, ledger.
const DECIDE: Duration = Duration::from_millis(700);
/// How long its card may take.
const FETCH: Duration = Duration::from_millis(300);

/// Answers `GET /o/{token}/{slot}[@2x][-dark].png`.
pub async fn picture(request: &Request, env: &Env, later: &Rc<Context>, token: &str, name: &str) -> Response {
    // Some proxies escape what need not be.
    let name = name.replace("%40", "@");
    let (slot, density, theme) = parse_ending(&name).unwrap_or(("", Density::Single, Theme::Light));
    if request.inner().method() == "HEAD" {
        return png(Vec::new());
    }
    let store = Store::hurried(env, later);
    let decided = within(DECIDE, card(request, env, later, &store, token, slot)).await;
    let card = decided.unwrap_or_else(|| Err(Problem::unavailable("no decision in time"))).unwrap_or_else(|problem| {
        // Anybody can send what is no token; a log of that would tell nothing.
        if problem.status >= 500 {
            console_error!("a picture shows the deployment's own card: {}", problem.detail);
        }
        None
    });
    let found = within(FETCH, picture::of(&store, env, card, density, theme)).await.flatten();
    png(found.map_or_else(|| LAST_RESORT.to_vec(), |found| found.0.clone()))
}

/// The card that this slot shows; `None` is the deployment's own.
async fn card(
    request: &Request,
    env: &Env,
    later: &Rc<Context>,
    store: &Store,
    token: &str,
    slot: &str,
) -> Result<Option<Card>, Problem> {
    let slot = slot_of(slot);
    let mut message = Message::open(request, env, token, Fetch::Picture)?;
    if message.expired || !message.has(slot) {
        return Ok(None);
    }
    let decided = message.decide(store, Vec::new()).await?;
    let slate = decided.slate(&message);
    if !message.personal {
        return Ok(slate.card(slot));
    }
    // A message whose area was not at hand is not frozen on that: the next picture may find it.
    let offered = (!decided.is_poor()).then_some(slate);
    let seen = ledger::look(env, &message.token, Viewer::from(message.verdict.mailbox), offered).await?;
    let Some(seen) = seen else { return Ok(None) };
    if seen.decided {
        let (store, env) = (store.clone(), env.clone());
        later.wait_until(async move { write(&store, &env, &message, &decided).await });
    }
    Ok(seen.slate.card(slot))
}

async fn write(store: &Store, env: &Env, message: &Message, decided: &message::Decided) {
    let display = decided.display(store).await;
    let Message { token, verdict, context, .. } = message;
    let record = Decided::of(&decided.decision, display.as_deref(), token, verdict, context, decided.step);
    record::write(env, &Record::Decision(record)).await;
}

/// The slot of a path, from 1; 0 is none.
pub fn slot_of(text: &str) -> u8 {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.bytes().filter(|_| digits).fold(0, |slot, digit| slot * 10 + (digit - b'0'))
}

/// What a future comes to, if it does within this time.
pub async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), Delay::from(time)).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}

fn png(bytes: Vec<u8>) -> Response {
    // Not even a browser may take what one reader got for another.
    let more = [("X-Content-Type-Options", "nosniff"), ("Cross-Origin-Resource-Policy", "cross-origin")];
    respond(200, "image/png", ResponseBody::Body(bytes), more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_one_or_two_digits() {
        for (text, slot) in
            [("1", 1), ("24", 24), ("01", 1), ("0", 0), ("", 0), ("1x", 0), ("-1", 0), ("123", 0), ("１", 0)]
        {
            assert_eq!(slot_of(text), slot, "{text}");
        }
    }
}
