//! A picture in a mail: whatever is broken, the reader gets one, and within a second.
//!
//! Mail clients show an error as a broken picture, and mail providers cache it. So nothing here is an error: what cannot be decided
//! is the deployment's own card, and where that cannot be read either, one that this module carries.

use crate::message::Message;
use crate::picture::{self, LAST_RESORT};
use crate::problem::{Problem, respond};
use crate::record;
use crate::store::Store;
use crate::{availability, ledger, message};
use freshrank::card::{Card, Density, Theme, parse_ending};
use freshrank::mailbox::Fetch;
use freshrank::record::{Decided, Look, Record};
use freshrank::slate::{Seen, Slate};
use futures_util::FutureExt;
use futures_util::future::{Either, join, select};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use worker::{Context, Delay, Env, Request, Response, ResponseBody, console_error};

/// How long a decision may take: campaign, area, ledger.
pub const DECIDE: Duration = Duration::from_millis(700);
/// How long of that the ledger may.
const LOOK: Duration = Duration::from_millis(350);
/// How long until a ledger that did not answer is told what was shown without it, and how long that may take.
const TELL: Duration = Duration::from_secs(2);
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
    let message = Message::open(request, env, token, Fetch::Picture)?;
    if !message.has(slot) {
        return Ok(None);
    }
    Ok(slate(env, later, store, message).await?.and_then(|slate| slate.card(slot)))
}

/// What a message shows to whoever asks: with consent what its ledger says, after it was offered what is decided now.
///
/// # Errors
/// Where campaign or ledger cannot be read.
pub async fn slate(
    env: &Env,
    later: &Rc<Context>,
    store: &Store,
    mut message: Message,
) -> Result<Option<Slate>, Problem> {
    if message.expired {
        return Ok(None);
    }
    // Neither waits for the other.
    let (closed, ()) = join(availability::closures(env), message.meet(env)).await;
    let decided = message.decide(store, &closed).await?;
    let slate = decided.slate(&message);
    if !message.personal {
        return Ok(Some(slate));
    }
    // A message whose area was not at hand is not frozen on that: the next picture may find it.
    let offered = (!decided.is_poor()).then(|| slate.clone());
    let look = ledger::look(env, &message, offered);
    let looked = within(LOOK, look).await.unwrap_or_else(|| Err(Problem::unavailable("the ledger is slow")));
    let (store, env) = (store.clone(), env.clone());
    match looked {
        Ok(None) => Ok(None),
        Ok(Some(seen)) => {
            let shown = seen.slate.clone();
            if seen.decided || seen.first_seen {
                // In a box, as all that is done later: every kind of future has its own copy of what JavaScript waits by.
                later.wait_until(async move { write(&store, &env, &message, &decided, &seen).await }.boxed_local());
            }
            Ok(Some(shown))
        }
        // All pictures of an open come to the same by themselves as long as nothing was shown before; what they show the ledger is
        // told as soon as it answers, so that a click that could be about either asks.
        Err(_) if decided.is_poor() => Ok(None),
        Err(problem) => {
            console_error!("a picture shows its own decision: {}", problem.detail);
            let shown = slate.clone();
            let told = async move {
                Delay::from(TELL).await;
                if let Some(Ok(Some(added))) = within(TELL, ledger::add(&env, &message, slate)).await {
                    write(&store, &env, &message, &decided, &added).await;
                }
            };
            later.wait_until(told.boxed_local());
            Ok(Some(shown))
        }
    }
}

/// Writes down what a fetch adds to what is known: its decision, if that counts, or that a person looks at what was only served.
async fn write(store: &Store, env: &Env, message: &Message, decided: &message::Decided, seen: &Seen) {
    let Message { token, verdict, context, .. } = message;
    if seen.decided {
        let display = decided.display(store).await;
        let record = Decided::of(&decided.decision, display.as_deref(), token, verdict, context, decided.step);
        record::write(env, &Record::Decision(record)).await;
    } else if seen.first_seen {
        record::write(env, &Record::Look(Look::of(token, verdict, context.at, seen.slate.at))).await;
    }
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
