//! Messages that a person looked at, as queries: a click or its absence is what answers them.
//!
//! A fetch by a cache or a proxy tells nothing about a person, and a scanner's click even less: only what was *seen* is a query, or
//! what was clicked, since whoever clicks has looked. The query is asked when the person looked, not when a cache fetched.

use super::{Protocol, Query, Timeline, TimelineError};
use crate::profiles::by_reader;
use crate::tables::{Event, Order, Status, Timestamp};
use freshrank::MerchantId;
use freshrank::geo::Point;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// An order that long after the look came of it, seconds.
const OF_THE_LOOK: Timestamp = 24 * 60 * 60;

/// A slate that a person looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Impression {
    /// Whose.
    pub user_id: String,
    /// The sender's id of the message.
    pub message_id: String,
    /// When it was looked at, seconds since 1970.
    pub at: Timestamp,
    /// Merchants of the tables, by slot.
    pub shown: Vec<Shown>,
}

/// One merchant of a slate, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// From 0.
    pub slot: u32,
    /// Who.
    pub merchant: MerchantId,
    /// How likely it was to be put there; unknown where the log does not say.
    pub propensity: Option<f32>,
    /// A person clicked it.
    pub clicked: bool,
    /// And put something into the basket.
    pub added: bool,
    /// And ordered, and the first such order was not delivered.
    pub cancelled: bool,
}

impl Impression {
    /// The query; its label is whoever stood first, for want of an order.
    pub(crate) fn query(&self, timeline: &Timeline<'_>) -> Option<Query<'_>> {
        let first = self.shown.first()?.merchant;
        let merchant = timeline.catalog().row_of(first)?;
        let row = timeline.catalog().merchant(merchant)?;
        Some(Query {
            protocol: Protocol::SendTime,
            user_id: &self.user_id,
            at: self.at,
            ordered_at: self.at,
            destination: Point::new(row.latitude, row.longitude)?,
            merchant,
            label: first,
            n_before: 0,
            new_merchant: false,
        })
    }
}

impl Timeline<'_> {
    /// What people looked at before a time, ascending by time, then reader and message.
    ///
    /// # Errors
    /// Partitions that cannot be read.
    pub fn impressions(&self, until: Timestamp) -> Result<Vec<Impression>, TimelineError> {
        let all = Mutex::new(Vec::new());
        self.readers.each(&|_, tables| {
            let rows = by_reader(tables);
            let here = rows.iter().flat_map(|(user_id, rows)| of_reader(user_id, &rows.events, &rows.orders));
            let here: Vec<Impression> = here.filter(|seen| seen.at < until).collect();
            all.lock().unwrap_or_else(PoisonError::into_inner).extend(here);
            Ok(())
        })?;
        let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        all.sort_by(|a, b| (a.at, &a.user_id, &a.message_id).cmp(&(b.at, &b.user_id, &b.message_id)));
        Ok(all)
    }
}

/// The slates of one reader's events that were looked at; orders come ascending by time.
fn of_reader(user_id: &str, events: &[&Event], orders: &[&Order]) -> Vec<Impression> {
    let mut messages: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in events {
        if let Some(message) = event.message_id.as_deref() {
            messages.entry(message).or_default().push(event);
        }
    }
    let of_message = |(message, events): (&str, Vec<&Event>)| {
        let slates = slates(&events).into_iter();
        let impression = |(at, mut shown): (Timestamp, Vec<Shown>)| {
            for shown in shown.iter_mut().filter(|shown| shown.clicked || shown.added) {
                shown.cancelled = cancelled(shown.merchant, at, orders);
            }
            Impression { user_id: user_id.into(), message_id: message.into(), at, shown }
        };
        slates.map(impression).collect::<Vec<_>>()
    };
    messages.into_iter().flat_map(of_message).collect()
}

/// Whether what a look led to was an order that did not happen.
fn cancelled(merchant: MerchantId, at: Timestamp, orders: &[&Order]) -> bool {
    let came_of_it = |order: &&&Order| {
        (at..at + OF_THE_LOOK).contains(&order.ordered_at) && MerchantId::of(&order.merchant_id) == merchant
    };
    orders.iter().find(came_of_it).is_some_and(|order| order.status == Status::Cancelled)
}

/// What of one message was looked at, each slate once.
fn slates(events: &[&Event]) -> Vec<(Timestamp, Vec<Shown>)> {
    let of_kind = |kind: &'static str| events.iter().filter(move |event| event.kind == kind);
    let mut fetched: BTreeMap<Timestamp, (bool, BTreeMap<u32, Shown>)> = BTreeMap::new();
    for (kind, person) in [("served", false), ("seen", true)] {
        for event in of_kind(kind) {
            let (seen, slots) = fetched.entry(event.at).or_default();
            *seen |= person;
            if let Some((slot, merchant)) = event.slot.zip(event.merchant_id.as_deref()) {
                let merchant = MerchantId::of(merchant);
                let propensity = event.propensity;
                let shown = Shown { slot, merchant, propensity, clicked: false, added: false, cancelled: false };
                slots.entry(slot).or_insert(shown);
            }
        }
    }
    // The same slate may be fetched by a cache, and seen later, and again.
    let mut slates: Vec<(Timestamp, bool, Vec<Shown>)> = Vec::new();
    for (at, (seen, slots)) in fetched {
        let shown: Vec<Shown> = slots.into_values().collect();
        match slates.iter_mut().find(|(_, _, known)| *known == shown) {
            Some((first, known, _)) if seen && !*known => (*first, *known) = (at, true),
            Some(_) => {}
            None => slates.push((at, seen, shown)),
        }
    }
    let clicks = of_kind("click").map(|event| (event, false)).chain(of_kind("add").map(|event| (event, true)));
    for (event, is_add) in clicks.filter(|(event, _)| event.mailbox.as_deref() != Some("scanner")) {
        let merchant = event.merchant_id.as_deref().map(MerchantId::of);
        let is_it = |shown: &Shown| Some(shown.slot) == event.slot && merchant.is_none_or(|id| id == shown.merchant);
        // Whoever clicks has looked: at the latest slate that had that merchant there.
        let slate = slates.iter_mut().rev().find_map(|(at, seen, shown)| {
            let shown = shown.iter_mut().find(|shown| is_it(shown))?;
            (*at <= event.at).then_some((at, seen, shown))
        });
        if let Some((at, seen, shown)) = slate {
            if !*seen {
                (*at, *seen) = (event.at, true);
            }
            shown.clicked |= !is_add;
            shown.added |= is_add;
        }
    }
    slates.into_iter().filter(|(_, seen, shown)| *seen && !shown.is_empty()).map(|(at, _, shown)| (at, shown)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, at: Timestamp, slot: u32, merchant: &str, mailbox: &str) -> Event {
        Event {
            user_id: "u".into(),
            at,
            kind: kind.into(),
            merchant_id: Some(merchant.into()),
            latitude: None,
            longitude: None,
            message_id: Some("m".into()),
            slot: Some(slot),
            propensity: Some(0.5),
            mailbox: Some(mailbox.into()),
        }
    }

    /// Each slate looked at: when, and its merchants, with a star where one was clicked.
    fn told(events: &[Event]) -> Vec<String> {
        told_with(events, &[])
    }

    /// The same with the orders that came of it, a dagger where one was cancelled.
    fn told_with(events: &[Event], orders: &[Order]) -> Vec<String> {
        let names = ["forno", "da-vinci", "sushi"];
        let events: Vec<&Event> = events.iter().collect();
        let slate = |seen: Impression| {
            let shown = seen.shown.iter().map(|shown| {
                let name = names.iter().find(|name| MerchantId::of(name) == shown.merchant).unwrap();
                let marks = [(shown.clicked, "*"), (shown.cancelled, "†")].map(|(is, mark)| if is { mark } else { "" });
                format!(" {name}{}", marks.concat())
            });
            format!("{}{}", seen.at, shown.collect::<String>())
        };
        of_reader("u", &events, &orders.iter().collect::<Vec<_>>()).into_iter().map(slate).collect()
    }

    #[test]
    fn what_only_a_cache_fetched_or_a_scanner_clicked_nobody_looked_at() {
        let events = [
            event("scan", 5, 0, "forno", "scanner"),
            event("click", 5, 1, "da-vinci", "scanner"),
            event("served", 10, 0, "forno", "apple"),
            event("served", 10, 1, "da-vinci", "apple"),
        ];
        assert_eq!(told(&events), [""; 0]);
    }

    #[test]
    fn a_slate_counts_from_when_a_person_looked() {
        let served = [event("served", 10, 0, "forno", "apple"), event("served", 10, 1, "da-vinci", "apple")];
        let seen = [event("seen", 90, 0, "forno", "direct"), event("seen", 90, 1, "da-vinci", "direct")];
        let again = [event("seen", 95, 0, "forno", "direct"), event("seen", 95, 1, "da-vinci", "direct")];
        let click = [event("click", 97, 1, "da-vinci", "direct")];
        assert_eq!(told(&[&served[..], &seen, &again, &click].concat()), ["90 forno da-vinci*"]);
        // Gmail's proxy fetched it, and nobody else said so: a click is a look.
        assert_eq!(told(&[&served[..], &click].concat()), ["97 forno da-vinci*"]);
    }

    #[test]
    fn a_click_is_of_the_slate_that_showed_its_merchant() {
        let events = [
            event("seen", 10, 0, "forno", "direct"),
            event("seen", 50, 0, "sushi", "direct"),
            event("click", 60, 0, "forno", "direct"),
        ];
        assert_eq!(told(&events), ["10 forno*", "50 sushi"]);
    }

    #[test]
    fn a_cancelled_order_is_told_of_the_click_that_led_to_it() {
        let events = [
            event("seen", 10, 0, "forno", "direct"),
            event("seen", 10, 1, "sushi", "direct"),
            event("click", 60, 0, "forno", "direct"),
        ];
        let order = |merchant: &str, ordered_at, status| Order {
            user_id: "u".into(),
            merchant_id: merchant.into(),
            ordered_at,
            status,
            ..Order::default()
        };
        let lost = |merchant, at| order(merchant, at, Status::Cancelled);
        for (orders, expected) in [
            (vec![lost("forno", 90)], "10 forno*† sushi"),
            (vec![lost("sushi", 90)], "10 forno* sushi"),
            (vec![lost("forno", 5), lost("forno", 10 + OF_THE_LOOK)], "10 forno* sushi"),
            (vec![order("forno", 90, Status::Completed), lost("forno", 95)], "10 forno* sushi"),
        ] {
            assert_eq!(told_with(&events, &orders), [expected], "{orders:?}");
        }
    }
}
