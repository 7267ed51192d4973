//! A mail that is alive (AMP for Email): its list, decided as its pictures are, and through the same ledger.
//!
//! An `amp-list` fetches this at every open. The mail client says which sender's mail it shows, and must be answered that this sender may
//! read the list: by the headers of "CORS in AMP for Email", version 2 (`AMP-Email-Sender`) and its deprecated version 1 (`Origin` with
//! `__amp_source_origin`), <https://amp.dev/documentation/guides-and-tutorials/email/learn/cors-in-email>, looked at on 2026-11-27. A
//! redirect would lose them, and there is none. Whatever else is wrong, the list is empty: the mail then shows what it has for that.

use crate::message::Message;
use crate::open::{DECIDE, slate, within};
use crate::problem::{Problem, respond};
use crate::store::{Store, variable};
use freshrank::card::Badge;
use freshrank::mailbox::Fetch;
use serde_json::{Value, json};
use std::rc::Rc;
use worker::{Context, Env, Request, Response, ResponseBody, console_error};

/// A variable: addresses of senders whose mail may show lists, separated by blanks; `*` for any.
const SENDERS: &str = "AMP_SENDERS";
const SOURCE_ORIGIN: &str = "AMP-Access-Control-Allow-Source-Origin";

/// Answers `GET /a/{token}`.
///
/// # Errors
/// 403 for a sender that is not on the deployment's list, and for who names none.
pub async fn list(request: &Request, env: &Env, later: &Rc<Context>, token: &str) -> Result<Response, Problem> {
    let url = request.inner().url();
    let (address, query) = url.split_once('?').unwrap_or((&url, ""));
    let header = |name: &str| request.headers().get(name).ok().flatten();
    let source = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "__amp_source_origin");
    let asks = Asks {
        sender: header("AMP-Email-Sender"),
        origin: header("Origin"),
        source_origin: source.map(|(_, value)| value.into_owned()),
    };
    let headers = asks.answer(&variable(env, SENDERS).unwrap_or_default()).ok_or_else(|| {
        Problem::new(403, format!("the sender of the mail is not one of those that the variable {SENDERS} lists"))
    })?;
    let origin = address.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let items = within(DECIDE, items(request, env, later, token, &origin)).await;
    let items = items.unwrap_or_else(|| Err(Problem::unavailable("no decision in time"))).unwrap_or_else(|problem| {
        if problem.status >= 500 {
            console_error!("a list is empty: {}", problem.detail);
        }
        Vec::new()
    });
    let body = ResponseBody::Body(json!({ "items": items }).to_string().into_bytes());
    Ok(respond(200, "application/json", body, headers.iter().map(|(name, value)| (*name, value.as_str()))))
}

/// One item a slot that shows a merchant.
async fn items(
    request: &Request,
    env: &Env,
    later: &Rc<Context>,
    token: &str,
    origin: &str,
) -> Result<Vec<Value>, Problem> {
    let message = Message::open(request, env, token, Fetch::Picture)?;
    let (store, slots) = (Store::hurried(env, later), message.token.slots);
    let Some(slate) = slate(env, later, &store, message).await? else {
        return Ok(Vec::new());
    };
    let Some(cell) = slate.cell else { return Ok(Vec::new()) };
    let display = store.any_display(cell).await;
    let item = |slot: u8| {
        let card = slate.card(slot)?;
        // Who has no name yet has a picture all the same, in the mail's other part.
        let known = display.as_ref()?.card(card.merchant)?;
        let open_until = match card.badge {
            Badge::OpenUntil(half_hours) => Some(freshrank::time::clock(i64::from(half_hours) * 30)),
            Badge::None => None,
        };
        Some(json!({
            "slot": slot,
            "merchant_id": known.merchant_id,
            "name": known.name,
            "cuisines": known.cuisines.replace(';', ", "),
            "open_until": open_until,
            "offer": card.offer,
            "sponsored": card.sponsored,
            "picture": format!("{origin}/o/{token}/{slot}.png"),
            "picture_2x": format!("{origin}/o/{token}/{slot}@2x.png"),
            "link": format!("{origin}/c/{token}/{slot}"),
        }))
    };
    Ok((1..=slots).filter_map(item).collect())
}

/// What a mail client says of the mail it shows.
struct Asks {
    sender: Option<String>,
    origin: Option<String>,
    source_origin: Option<String>,
}

impl Asks {
    /// The headers that let it read the answer; `None` where it may not.
    fn answer(&self, senders: &str) -> Option<Vec<(&'static str, String)>> {
        let listed =
            |sender: &str| senders.split_whitespace().any(|known| known == "*" || known.eq_ignore_ascii_case(sender));
        let may =
            |sender: &&String| !sender.is_empty() && sender.bytes().all(|b| b.is_ascii_graphic()) && listed(sender);
        // The newer version wins; a client that speaks both is answered in both.
        let mut headers = Vec::new();
        if let Some(sender) = &self.sender {
            headers.push(("AMP-Email-Allow-Sender", Some(sender).filter(may)?.clone()));
        }
        if let (Some(origin), Some(sender)) = (&self.origin, &self.source_origin) {
            let sender = Some(sender).filter(may)?.clone();
            headers.push(("Access-Control-Allow-Origin", origin.clone()));
            headers.push(("Access-Control-Expose-Headers", SOURCE_ORIGIN.into()));
            headers.push((SOURCE_ORIGIN, sender));
        }
        (!headers.is_empty()).then_some(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(sender: &str, origin: &str, source_origin: &str) -> Option<Vec<(&'static str, String)>> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let asks = Asks { sender: some(sender), origin: some(origin), source_origin: some(source_origin) };
        asks.answer("news@brand.example  offers@brand.example")
    }

    #[test]
    fn a_listed_sender_is_answered_in_the_version_it_asks_in() {
        let gmail = "https://mail.google.com";
        assert_eq!(
            asks("news@brand.example", "", ""),
            Some(vec![("AMP-Email-Allow-Sender", "news@brand.example".into())])
        );
        let first = asks("", gmail, "Offers@Brand.example").unwrap();
        let expected = [
            ("Access-Control-Allow-Origin", gmail.to_owned()),
            ("Access-Control-Expose-Headers", SOURCE_ORIGIN.to_owned()),
            (SOURCE_ORIGIN, "Offers@Brand.example".to_owned()),
        ];
        assert_eq!(first, expected);
        assert_eq!(asks("news@brand.example", gmail, "news@brand.example").unwrap().len(), 4);
    }

    #[test]
    fn nobody_else_is() {
        let gmail = "https://mail.google.com";
        for (sender, origin, source) in [
            ("", "", ""),
            ("evil@other.example", "", ""),
            ("*", "", ""),
            ("news@brand.example offers@brand.example", "", ""),
            ("", gmail, ""),
            ("", "", "news@brand.example"),
            ("evil@other.example", gmail, "news@brand.example"),
            ("news@brand.example", gmail, "evil@other.example"),
        ] {
            assert_eq!(asks(sender, origin, source), None, "{sender} {origin} {source}");
        }
        assert!(Asks { sender: Some("a@b".into()), origin: None, source_origin: None }.answer("").is_none());
    }
}
