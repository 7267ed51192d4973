//! Slates: what a message showed, so that a click opens what its picture showed.
//!
//! One decision is one slate, and a [`Ledger`] holds all of one message's. The pictures of an open are fetched one by one, from anywhere
//! and in any order: the first one's decision becomes the slate, the others read it. What a mail provider's cache fetched never changes
//! again, so that such a fetch freezes the message for all caches; a person's client asks each time, and within the freeze window sees
//! the same.

use crate::areas::Step;
use crate::card::{Card, Density, Theme};
use crate::context::Mailbox;
use crate::decision::Decision;
use crate::geo::Cell;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// How long a person sees the same where nobody says it, seconds.
pub const FREEZE_SECONDS: i64 = 600;
/// How long slates are kept where nobody says it, seconds: as long as a token counts.
pub const KEEP_SECONDS: i64 = crate::token::form::DEFAULT_DAYS * 86_400;
/// Pictures still coming this soon after the last one belong to the same open: a slate does not end between two of them.
const SAME_OPEN_SECONDS: i64 = 10;
/// Slates of one message; who opens it more often loses the oldest that nothing froze.
pub const MAX_SLATES: usize = 64;

/// What one decision shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slate {
    /// The decision's time, seconds since 1970.
    pub at: i64,
    /// The area decided in; a stand-in has its own.
    pub cell: Option<Cell>,
    /// How it was found.
    pub step: Step,
    /// The card of every slot, as its file is called; empty where none is shown.
    pub slots: Vec<String>,
}

impl Slate {
    /// The slate of a decision.
    #[must_use]
    pub fn of(decision: &Decision, at: i64, step: Step) -> Self {
        let card = |slot| Card::of(decision, slot).map(|card| card.path(Density::Single, Theme::Light));
        let slots = (0..decision.placements.len()).map(|slot| card(slot).unwrap_or_default()).collect();
        Self { at, cell: decision.cell, step, slots }
    }

    /// The card of a slot, from 1; `None` is the deployment's own.
    #[must_use]
    pub fn card(&self, slot: u8) -> Option<Card> {
        let path = self.slots.get(usize::from(slot).checked_sub(1)?)?;
        Card::parse(path).map(|(card, ..)| card)
    }
}

/// Who looks at a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Viewer {
    /// Somebody whose client asks each time; who is not known counts as one.
    Person,
    /// A mail provider that keeps what it got, and shows it to its reader.
    Cache,
    /// A machine that shows it to nobody, as far as is known.
    Scanner,
}

impl From<Mailbox> for Viewer {
    fn from(mailbox: Mailbox) -> Self {
        match mailbox {
            Mailbox::Gmail | Mailbox::Yahoo | Mailbox::Outlook | Mailbox::Apple => Self::Cache,
            Mailbox::Scanner => Self::Scanner,
            Mailbox::Direct | Mailbox::Sender | Mailbox::Unknown => Self::Person,
        }
    }
}

/// All slates of one message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// The oldest first.
    slates: Vec<Entry>,
    /// When the newest was fetched last; forgotten where nobody fetches.
    #[serde(skip)]
    fetched_at: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// On the ledger's own clock.
    kept_at: i64,
    slate: Slate,
    /// A cache has it.
    frozen: bool,
    /// Somebody else than a scanner fetched it.
    shown: bool,
    /// A person did.
    #[serde(default)]
    seen: bool,
}

impl Entry {
    /// Whether a person looks for the first time.
    fn look(&mut self, seen: bool) -> bool {
        let first = seen && !self.seen;
        self.seen |= seen;
        first
    }
}

/// What a fetch gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What it shows.
    pub slate: Slate,
    /// It is the one that was offered: whoever offered it writes the record.
    pub decided: bool,
    /// It was fetched before, and no person had seen it: that is a record, too.
    pub first_seen: bool,
}

/// What a slot of some slate showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The card, as its file is called.
    pub card: String,
    /// The area it was decided in.
    pub cell: Option<Cell>,
}

impl Shown {
    /// The card.
    #[must_use]
    pub fn card(&self) -> Option<Card> {
        Card::parse(&self.card).map(|(card, ..)| card)
    }
}

impl Ledger {
    /// What this fetch shows, and whether there is something to write down. Nothing where there is no slate yet and none is offered.
    /// `seen` says that a person looks, be it through a cache.
    pub fn look(
        &mut self,
        viewer: Viewer,
        seen: bool,
        now: i64,
        freeze_seconds: i64,
        offered: Option<Slate>,
    ) -> (Option<Seen>, bool) {
        let frozen = self.slates.iter().position(|entry| entry.frozen).filter(|_| viewer == Viewer::Cache);
        let found = frozen.or_else(|| self.current(now, freeze_seconds));
        let (i, decided) = match (found, offered) {
            (Some(i), _) => (i, false),
            (None, Some(slate)) => {
                self.make_room();
                self.slates.push(Entry { kept_at: now, slate, frozen: false, shown: false, seen: false });
                (self.slates.len() - 1, true)
            }
            (None, None) => return (None, false),
        };
        if i + 1 == self.slates.len() {
            self.fetched_at = now;
        }
        let Some(entry) = self.slates.get_mut(i) else {
            return (None, false);
        };
        let before = (entry.frozen, entry.shown, entry.seen);
        entry.frozen |= viewer == Viewer::Cache;
        entry.shown |= viewer != Viewer::Scanner;
        let first_seen = entry.look(seen) && !decided;
        let changed = decided || before != (entry.frozen, entry.shown, entry.seen);
        (Some(Seen { slate: entry.slate.clone(), decided, first_seen }), changed)
    }

    /// Keeps what was shown while the ledger did not answer, so that a click knows of it; and whether there is something to write down.
    pub fn add(&mut self, viewer: Viewer, seen: bool, now: i64, slate: Slate) -> (Seen, bool) {
        let known = self.slates.iter_mut().rev().find(|entry| entry.slate.slots == slate.slots);
        let shown = viewer != Viewer::Scanner;
        if let Some(entry) = known {
            let first_seen = entry.look(seen);
            let changed = first_seen || (shown && !entry.shown);
            entry.shown |= shown;
            return (Seen { slate: entry.slate.clone(), decided: false, first_seen }, changed);
        }
        self.make_room();
        // Before the newest: it goes on being what is shown. No cache has the whole of it.
        let at = self.slates.len().saturating_sub(1);
        self.slates.insert(at, Entry { kept_at: now, slate: slate.clone(), frozen: false, shown, seen });
        (Seen { slate, decided: true, first_seen: false }, true)
    }

    /// The newest slate, while it is what a person sees.
    fn current(&self, now: i64, freeze_seconds: i64) -> Option<usize> {
        let last = self.slates.len().checked_sub(1)?;
        let age = now - self.slates.get(last)?.kept_at;
        let same_open = now - self.fetched_at < SAME_OPEN_SECONDS && age < freeze_seconds + 6 * SAME_OPEN_SECONDS;
        (age < freeze_seconds || same_open).then_some(last)
    }

    fn make_room(&mut self) {
        if self.slates.len() >= MAX_SLATES {
            let oldest = self.slates.iter().position(|entry| !entry.frozen).unwrap_or(0);
            self.slates.remove(oldest);
        }
    }

    /// Everything a slot, from 1, has shown, each merchant once, the likeliest first: what was decided last. What only scanners
    /// fetched counts where nobody else fetched anything.
    #[must_use]
    pub fn shown(&self, slot: u8) -> Vec<Shown> {
        let any = self.slates.iter().any(|entry| entry.shown);
        let mut shown: Vec<Shown> = Vec::new();
        let mut merchants = Vec::new();
        for Entry { slate, .. } in self.slates.iter().rev().filter(|entry| entry.shown || !any) {
            if let Some(card) = slate.card(slot)
                && !merchants.contains(&card.merchant)
            {
                merchants.push(card.merchant);
                shown.push(Shown { card: card.path(Density::Single, Theme::Light), cell: slate.cell });
            }
        }
        shown
    }

    /// How many slates there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slates.len()
    }

    /// Whether nobody looked yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slates.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::Badge;
    use crate::id::MerchantId;
    use Viewer::{Cache, Person, Scanner};
    use alloc::vec;

    const NOON: i64 = 1_795_168_800;
    const WINDOW: i64 = FREEZE_SECONDS;

    fn slate(at: i64, merchants: &[u64]) -> Slate {
        let card = |id: &u64| Card { merchant: MerchantId(*id), badge: Badge::None, offer: false, sponsored: false };
        let slots = merchants.iter().map(|id| card(id).path(Density::Single, Theme::Light)).collect();
        Slate { at, cell: None, step: Step::Own, slots }
    }

    /// A fetch, each with an offer of its own; gives the number of the merchant it shows.
    fn look(ledger: &mut Ledger, viewer: Viewer, seconds: i64, offer: u64) -> u64 {
        let (seen, _) =
            ledger.look(viewer, viewer == Person, NOON + seconds, WINDOW, Some(slate(NOON + seconds, &[offer])));
        seen.unwrap().slate.card(1).unwrap().merchant.0
    }

    fn opens(ledger: &Ledger) -> Vec<u64> {
        ledger.shown(1).iter().map(|shown| shown.card().unwrap().merchant.0).collect()
    }

    #[test]
    fn the_first_picture_decides_and_the_others_read_it() {
        let mut ledger = Ledger::default();
        let first = ledger.look(Person, true, NOON, WINDOW, Some(slate(NOON, &[1])));
        assert_eq!(first, (Some(Seen { slate: slate(NOON, &[1]), decided: true, first_seen: false }), true));
        for offer in 2..7 {
            let other = ledger.look(Person, true, NOON, WINDOW, Some(slate(NOON, &[offer])));
            assert_eq!(
                other,
                (Some(Seen { slate: slate(NOON, &[1]), decided: false, first_seen: false }), false),
                "nothing to write"
            );
        }
        assert_eq!(opens(&ledger), [1]);
    }

    #[test]
    fn a_person_sees_the_same_within_the_window_and_something_new_after_it() {
        let mut ledger = Ledger::default();
        assert_eq!(look(&mut ledger, Person, 0, 1), 1);
        assert_eq!(look(&mut ledger, Person, WINDOW - 1, 2), 1);
        assert_eq!(look(&mut ledger, Person, 2 * WINDOW, 3), 3);
        assert_eq!(opens(&ledger), [3, 1], "another device may still show the first");
    }

    #[test]
    fn what_a_cache_fetched_never_changes_for_any_cache() {
        let mut ledger = Ledger::default();
        assert_eq!(look(&mut ledger, Cache, 0, 1), 1);
        assert_eq!(look(&mut ledger, Person, 60, 2), 1, "an open right after a prefetch");
        assert_eq!(look(&mut ledger, Person, 3600, 3), 3, "an hour after the prefetch");
        assert_eq!(look(&mut ledger, Cache, 3700, 4), 1, "the cache fetched anew");
        assert_eq!(look(&mut ledger, Person, 3800, 5), 3, "and that ended nobody's slate");
        assert_eq!(opens(&ledger), [3, 1]);
    }

    #[test]
    fn a_person_who_sees_what_was_only_served_is_told_of_once() {
        let mut ledger = Ledger::default();
        let mut first_seen = |viewer, seen, seconds: i64| {
            let (found, changed) = ledger.look(viewer, seen, NOON + seconds, WINDOW, Some(slate(NOON, &[1])));
            (found.unwrap().first_seen, changed)
        };
        assert_eq!(first_seen(Scanner, false, 0), (false, true), "a new decision is a record of its own");
        assert_eq!(first_seen(Person, true, 60), (true, true));
        assert_eq!(first_seen(Person, true, 61), (false, false), "its other pictures");
        // What Apple fetched ahead, a person sees within the window.
        let mut ledger = Ledger::default();
        look(&mut ledger, Cache, 0, 1);
        assert!(ledger.look(Person, true, NOON + 60, WINDOW, None).0.unwrap().first_seen);
        // Who decides as a person needs no second record, and whoever asks without a word of who they are is nobody yet.
        let mut ledger = Ledger::default();
        look(&mut ledger, Person, 0, 1);
        assert!(!ledger.look(Person, true, NOON + 60, WINDOW, None).0.unwrap().first_seen);
        let mut ledger = Ledger::default();
        ledger.look(Person, false, NOON, WINDOW, Some(slate(NOON, &[1])));
        assert!(!ledger.look(Person, false, NOON + 1, WINDOW, None).0.unwrap().first_seen);
    }

    #[test]
    fn a_cache_that_comes_second_keeps_what_the_person_sees() {
        let mut ledger = Ledger::default();
        assert_eq!(look(&mut ledger, Person, 0, 1), 1);
        assert_eq!(look(&mut ledger, Cache, 30, 2), 1);
        assert_eq!(look(&mut ledger, Cache, 86_400, 3), 1);
        assert_eq!(opens(&ledger), [1]);
    }

    #[test]
    fn pictures_that_are_still_coming_keep_their_slate_over_the_windows_end() {
        let mut ledger = Ledger::default();
        assert_eq!(look(&mut ledger, Person, 0, 1), 1);
        for (seconds, offer) in [(WINDOW - 2, 2), (WINDOW + 1, 3), (WINDOW + 8, 4)] {
            assert_eq!(look(&mut ledger, Person, seconds, offer), 1, "{seconds}");
        }
        assert_eq!(look(&mut ledger, Person, WINDOW + 30, 5), 5);
        // Who asks without end does not keep it for ever.
        let last = (WINDOW + 31..3 * WINDOW).map(|seconds| look(&mut ledger, Person, seconds, 6)).next_back();
        assert_eq!(last, Some(6));
    }

    #[test]
    fn a_scanner_decides_nothing_that_a_persons_click_could_meet() {
        let mut ledger = Ledger::default();
        assert_eq!(look(&mut ledger, Scanner, 0, 1), 1);
        assert_eq!(opens(&ledger), [1], "somebody behind it may have seen it all the same");
        assert_eq!(look(&mut ledger, Person, 7200, 2), 2);
        assert_eq!(opens(&ledger), [2], "and is not asked which");
        // Once a person saw the scanner's slate, it counts.
        let mut ledger = Ledger::default();
        look(&mut ledger, Scanner, 0, 1);
        let (_, changed) = ledger.look(Person, true, NOON + 60, WINDOW, None);
        assert!(changed);
        look(&mut ledger, Person, 7200, 2);
        assert_eq!(opens(&ledger), [2, 1]);
    }

    #[test]
    fn the_same_merchant_of_two_slates_is_one_answer() {
        let mut ledger = Ledger::default();
        look(&mut ledger, Person, 0, 1);
        look(&mut ledger, Person, 7200, 1);
        assert_eq!((ledger.len(), opens(&ledger)), (2, vec![1]));
    }

    #[test]
    fn what_was_shown_without_the_ledger_is_one_more_answer_and_ends_no_slate() {
        let mut ledger = Ledger::default();
        look(&mut ledger, Person, 0, 1);
        assert!(!ledger.add(Person, true, NOON + 1, slate(NOON, &[1])).1, "it showed the same");
        let (seen, changed) = ledger.add(Person, true, NOON + 1, slate(NOON, &[2]));
        assert!(seen.decided && changed);
        assert!(!ledger.add(Person, true, NOON + 1, slate(NOON, &[2])).1, "six pictures, one slate");
        assert_eq!(look(&mut ledger, Person, 2, 3), 1);
        assert_eq!(opens(&ledger), [1, 2]);
        let mut ledger = Ledger::default();
        ledger.add(Scanner, false, NOON, slate(NOON, &[1]));
        assert!(ledger.add(Person, true, NOON, slate(NOON, &[1])).1);
        assert_eq!(opens(&ledger), [1]);
    }

    #[test]
    fn nothing_offered_is_nothing_kept() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.look(Person, true, NOON, WINDOW, None), (None, false));
        assert!(ledger.is_empty() && ledger.shown(1).is_empty());
        look(&mut ledger, Person, 0, 1);
        assert_eq!(ledger.shown(2), [], "a slot that shows the fallback card");
        assert_eq!(ledger.shown(0), []);
    }

    #[test]
    fn the_frozen_slate_outlives_any_number_of_opens() {
        let mut ledger = Ledger::default();
        look(&mut ledger, Cache, 0, 1_000);
        for i in 0..200 {
            look(&mut ledger, Person, (i + 1) * 2 * WINDOW, i as u64);
        }
        assert_eq!(ledger.len(), MAX_SLATES);
        assert_eq!(look(&mut ledger, Cache, 500 * WINDOW, 7), 1_000);
    }

    #[test]
    fn a_ledger_is_read_as_it_was_written() {
        let mut ledger = Ledger::default();
        look(&mut ledger, Cache, 0, 1);
        look(&mut ledger, Person, 7200, 2);
        let text = serde_json::to_string(&ledger).unwrap();
        let read: Ledger = serde_json::from_str(&text).unwrap();
        assert_eq!(Ledger { fetched_at: 0, ..ledger }, read);
    }
}
