//! A link in a mail: it opens what its picture showed, and asks where that is not sure.
//!
//! One slate leads to its merchant; several, from two devices or a forward, to a list of what they showed, the likeliest first. A merchant
//! that takes no orders any more leads to open ones, and a ledger that is gone to the campaign's list. A click changes nothing, so that
//! scanners may come first, and as often as they like.

use crate::message::{Decided, Message};
use crate::open::{slot_of, within};
use crate::page::{Entry, Page};
use crate::problem::{Problem, respond};
use crate::store::{Store, variable};
use crate::{availability, ledger, record};
use freshrank::Areas;
use freshrank::bundle::{self, Display};
use freshrank::fresh::Overlay;
use freshrank::geo::Cell;
use freshrank::id::MerchantId;
use freshrank::link::Links;
use freshrank::mailbox::Fetch;
use freshrank::record::{Click, Opened, Record};
use freshrank::slate::Shown;
use freshrank::time::{DAY_MINUTES, clock};
use futures_util::FutureExt;
use std::rc::Rc;
use std::time::Duration;
use worker::{Context, Env, Request, Response, ResponseBody, console_error};

/// A variable: hosts that a click may go to, separated by blanks.
const HOSTS: &str = "LINK_HOSTS";
/// A variable: the address of a merchant in the sender's own app or shop, with `{merchant_id}`.
const TEMPLATE: &str = "LINK_TEMPLATE";
/// A variable: where a link goes that no token tells anything of.
const HOME: &str = "LINK_HOME";
/// How long it may take until a reader gets at least the list.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Merchants on a page.
const MAX_ENTRIES: usize = 12;

/// Where a click goes, and what is written down of it.
struct Outcome {
    opened: Opened,
    to: To,
    merchant_id: Option<String>,
}

enum To {
    Address(String),
    Page(Page),
}

/// Answers `GET /c/{token}/{slot}`, and `/c/{token}/{slot}/{merchant}` of the pages that it opens.
pub async fn click(
    request: &Request,
    env: &Env,
    later: &Rc<Context>,
    token: &str,
    slot: &str,
    merchant: Option<&str>,
) -> Response {
    let links = links(env);
    let Ok(mut message) = Message::open(request, env, token, Fetch::Link) else {
        // Whoever changed the token, or lost its key: the reader is not to blame.
        return home(env, &links);
    };
    let slot = slot_of(slot);
    let store = Store::hurried(env, later);
    let personal = message.personal && !message.expired;
    let outcome = within(PATIENCE, async {
        message.meet(env).await;
        let closed = availability::closures(env).await;
        let path = format!("/c/{token}/{slot}");
        let asked = Asked { env, store: &store, links: &links, closed: &closed, path, slot };
        asked.outcome(&mut message, merchant).await
    })
    .await;
    let Some(outcome) = outcome else {
        console_error!("a click opens no list: no answer in time");
        return home(env, &links);
    };
    if personal && message.personal {
        let click =
            Click::of(&message.token, &message.verdict, message.context.at, slot, outcome.opened, outcome.merchant_id);
        let env = env.clone();
        later.wait_until(async move { record::write(&env, &Record::Click(click)).await }.boxed_local());
    }
    match outcome.to {
        To::Address(url) => go(&url),
        To::Page(page) if page.entries.is_empty() && page.more.is_none() => home(env, &links),
        To::Page(page) => page.response(),
    }
}

/// What the deployment lets a click go to.
pub fn links(env: &Env) -> Links {
    let text = |name| variable(env, name).unwrap_or_default();
    Links::parse(&text(HOSTS), &text(TEMPLATE)).trusting(&text(HOME))
}

fn go(url: &str) -> Response {
    // The address before holds a token: the merchant learns nothing of it.
    let more = [("Location", url), ("Referrer-Policy", "no-referrer"), ("X-Robots-Tag", "noindex, nofollow")];
    respond(302, "text/plain", ResponseBody::Empty, more)
}

fn home(env: &Env, links: &Links) -> Response {
    match variable(env, HOME).and_then(|url| links.allowed(&url)) {
        Some(url) => go(&url),
        None => Page {
            heading: "Nothing to show here right now".into(),
            lead: "This link is too old, or nothing is open near you at the moment.".into(),
            ..Page::default()
        }
        .response(),
    }
}

/// One click, while it is answered.
struct Asked<'a> {
    env: &'a Env,
    store: &'a Store,
    links: &'a Links,
    closed: &'a Overlay,
    /// Of this link.
    path: String,
    slot: u8,
}

impl Asked<'_> {
    async fn outcome(&self, message: &mut Message, merchant: Option<&str>) -> Outcome {
        let shown = self.shown(message).await;
        let named =
            merchant.map(|text| u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16).map(MerchantId));
        match (named, &shown[..]) {
            // A link of one of our pages: a merchant of an area that the message is about, and of no other.
            (Some(Some(merchant)), _) => self.named(message, merchant, &shown).await,
            (None, [one]) => self.one(message, one).await,
            (None, [_, ..]) => self.several(message, &shown).await,
            _ => self.list(message).await,
        }
    }

    /// What this slot showed, the likeliest first; nothing where nobody knows.
    async fn shown(&self, message: &Message) -> Vec<Shown> {
        if !message.personal || message.expired || !message.has(self.slot) {
            return Vec::new();
        }
        ledger::shown(self.env, &message.token, self.slot).await.unwrap_or_else(|problem| {
            console_error!("a click opens the list: {}", problem.detail);
            Vec::new()
        })
    }

    /// One slate: that merchant, as long as it takes orders.
    async fn one(&self, message: &mut Message, shown: &Shown) -> Outcome {
        let (Some(card), Some(cell)) = (shown.card(), shown.cell) else {
            return self.list(message).await;
        };
        let area = self.store.area_soon(cell).await;
        let display = self.store.any_display(cell).await;
        let known = display.as_ref().and_then(|block| block.card(card.merchant));
        // Where the area cannot be read, nobody can say that it is closed.
        let open = area.is_none_or(|(bundle, _)| {
            let areas = Areas::new([&*bundle], self.closed.within(&bundle));
            areas.get(cell).is_none_or(|area| area.takes_orders(card.merchant, message.context.at))
        });
        let Some(known) = known else {
            return self.list(message).await;
        };
        match self.links.merchant(&known, &message.token.campaign, self.slot) {
            Some(url) if open => {
                Outcome { opened: Opened::Merchant, to: To::Address(url), merchant_id: Some(known.merchant_id) }
            }
            url => self.alternatives(message, &known, url, open).await,
        }
    }

    /// Several slates: all that they showed.
    async fn several(&self, message: &Message, shown: &[Shown]) -> Outcome {
        let mut page = Page {
            heading: "Which one did you see?".into(),
            lead: "Your message was opened more than once. These are the places it has shown here.".into(),
            ..Page::default()
        };
        for shown in shown.iter().take(MAX_ENTRIES) {
            let (Some(card), Some(cell)) = (shown.card(), shown.cell) else { continue };
            let Some(known) = self.store.any_display(cell).await.and_then(|block| block.card(card.merchant)) else {
                continue;
            };
            let area = self.store.area_soon(cell).await;
            let closed = area.is_some_and(|(bundle, _)| {
                let areas = Areas::new([&*bundle], self.closed.within(&bundle));
                areas.get(cell).is_some_and(|area| !area.takes_orders(card.merchant, message.context.at))
            });
            page.entries.push(self.entry(message, &known, if closed { Some("closed right now") } else { None }));
        }
        Outcome { opened: Opened::Landing, to: To::Page(page), merchant_id: None }
    }

    /// What its picture showed takes no orders, or has no address: open ones beside it.
    async fn alternatives(
        &self,
        message: &mut Message,
        known: &bundle::Card,
        url: Option<String>,
        open: bool,
    ) -> Outcome {
        let mut page = Page::default();
        let fresh = self.fresh(message).await;
        page.entries = fresh.map(|(_, entries)| entries).unwrap_or_default();
        page.entries.retain(|entry| entry.name != known.name);
        if open {
            page.heading = known.name.clone();
            page.entries.insert(0, self.entry(message, known, None));
        } else {
            page.heading = format!("{} is closed right now", known.name);
            page.lead = if page.entries.is_empty() { String::new() } else { "These are open near you.".into() };
            page.more = url.map(|url| (url, format!("Go to {} anyway", known.name)));
            if page.more.is_none() && page.entries.is_empty() {
                page.entries.push(self.entry(message, known, Some("closed right now")));
            }
        }
        let opened = if open { Opened::Merchant } else { Opened::Alternatives };
        Outcome { opened, to: To::Page(page), merchant_id: Some(known.merchant_id.clone()) }
    }

    /// The campaign's own list for the likeliest place; without one, who is open there now.
    async fn list(&self, message: &mut Message) -> Outcome {
        let fresh = self.fresh(message).await;
        let url = fresh.as_ref().and_then(|(decided, _)| self.links.allowed(&decided.decision.policy.fallback.url));
        let to = match (url, fresh) {
            (Some(url), _) => To::Address(url),
            (None, Some((decided, entries))) => {
                let title = &decided.decision.policy.title;
                let heading = if title.is_empty() { "Open near you" } else { title };
                To::Page(Page { heading: heading.into(), entries, ..Page::default() })
            }
            (None, None) => To::Page(Page::default()),
        };
        Outcome { opened: Opened::List, to, merchant_id: None }
    }

    /// A merchant that one of our pages named.
    async fn named(&self, message: &mut Message, merchant: MerchantId, shown: &[Shown]) -> Outcome {
        let mut cells: Vec<Cell> = shown.iter().filter_map(|shown| shown.cell).collect();
        let mut found = None;
        for cell in &cells {
            found = found.or(self.store.any_display(*cell).await.and_then(|block| block.card(merchant)));
        }
        if found.is_none()
            && let Ok(decided) = message.decide(self.store, self.closed).await
        {
            cells.extend(decided.area.as_ref().map(|area| area.cell));
            found = decided.display(self.store).await.and_then(|block| block.card(merchant));
        }
        let found =
            found.and_then(|card| Some((self.links.merchant(&card, &message.token.campaign, self.slot)?, card)));
        match found {
            Some((url, card)) => {
                Outcome { opened: Opened::Merchant, to: To::Address(url), merchant_id: Some(card.merchant_id) }
            }
            None => self.list(message).await,
        }
    }

    /// What the message would show now, as entries of a page; nothing where that cannot be told.
    async fn fresh(&self, message: &mut Message) -> Option<(Decided, Vec<Entry>)> {
        let decided: Result<Decided, Problem> = message.decide(self.store, self.closed).await;
        let decided = decided.map_err(|problem| console_error!("a click opens no list: {}", problem.detail)).ok()?;
        let display = decided.display(self.store).await;
        let entries = display.as_deref().map(|display| self.entries(message, &decided, display));
        Some((decided, entries.unwrap_or_default()))
    }

    fn entries(&self, message: &Message, decided: &Decided, display: &Display) -> Vec<Entry> {
        let placed = decided.decision.placements.iter().filter_map(|placement| placement.candidate);
        let mut entries = Vec::new();
        for candidate in placed.filter_map(|i| decided.decision.kept.get(i)).take(MAX_ENTRIES) {
            let until = candidate.closes.filter(|_| candidate.open_minutes < Some(DAY_MINUTES));
            let until = until.map(|closes| format!("open until {}", clock(closes)));
            if let Some(card) = display.card(candidate.merchant.id) {
                entries.push(self.entry(message, &card, until.as_deref()));
            }
        }
        entries
    }

    fn entry(&self, message: &Message, card: &bundle::Card, note: Option<&str>) -> Entry {
        let goes = self.links.merchant(card, &message.token.campaign, self.slot).is_some();
        let cuisines = card.cuisines.replace(';', ", ");
        let notes = [cuisines.as_str(), note.unwrap_or_default()];
        let note = notes.into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join(" · ");
        let href = goes.then(|| format!("{}/{}", self.path, MerchantId::of(&card.merchant_id)));
        Entry { name: card.name.clone(), note, href }
    }
}
