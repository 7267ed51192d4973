//! The card: the picture of one merchant as one placement may show it.
//!
//! Cards are drawn before the send and only picked when a message is opened, so all that may differ between two pictures of a merchant
//! is in the name of the file: `{merchant}/{badge}[-offer][-ad][@2x][-dark].png`. Badges are few (closing times in half hours, rounded
//! down), or files could not be counted. A picture says less than is known rather than something that is not so.

use crate::bundle::{Bundle, Offer, Schedule};
use crate::decision::Decision;
use crate::id::MerchantId;
use crate::sorted::sort_by_key;
use crate::time::DAY_MINUTES;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Minutes between two closing times that a badge tells apart.
pub const STEP_MINUTES: i64 = 30;
/// The file that every folder of cards has, for slots that show no merchant: `fallback[@2x][-dark].png`.
pub const FALLBACK: &str = "fallback";
/// Pictures of one card: two densities, light and dark.
pub const PICTURES: [(Density, Theme); 4] = [
    (Density::Single, Theme::Light),
    (Density::Single, Theme::Dark),
    (Density::Double, Theme::Light),
    (Density::Double, Theme::Dark),
];

/// What one placement shows of its merchant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Card {
    /// Whose picture.
    pub merchant: MerchantId,
    /// What it says beside.
    pub badge: Badge,
    /// An offer holds for this reader.
    pub offer: bool,
    /// Somebody pays for the placement: the picture says so.
    pub sponsored: bool,
}

/// What a card says about the moment it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Badge {
    /// Nothing: hours are not known, the door stays open for a day and longer, or closes before the next half hour.
    None,
    /// Open at least until so many half hours after midnight, 0 to 47.
    OpenUntil(u8),
}

/// Pixels for one of the message's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Density {
    /// One.
    Single,
    /// Two by two, `@2x`.
    Double,
}

/// For which background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Theme {
    /// A white one.
    Light,
    /// A dark one, `-dark`.
    Dark,
}

impl Card {
    /// The card of a slot of a decision; `None` where the slot shows no merchant.
    #[must_use]
    pub fn of(decision: &Decision, slot: usize) -> Option<Self> {
        let placement = decision.placements.get(slot)?;
        let candidate = decision.kept.get(placement.candidate?)?;
        Some(Self {
            merchant: candidate.merchant.id,
            badge: Badge::of(candidate.closes, candidate.open_minutes),
            offer: candidate.offer.is_some(),
            sponsored: placement.sponsored,
        })
    }

    /// Its file beneath the folder of cards.
    #[must_use]
    pub fn path(&self, density: Density, theme: Theme) -> String {
        let offer = if self.offer { "-offer" } else { "" };
        let ad = if self.sponsored { "-ad" } else { "" };
        format!("{}/{}{offer}{ad}{}", self.merchant, self.badge, ending(density, theme))
    }

    /// Reads what [`Card::path`] writes, and nothing else.
    #[must_use]
    pub fn parse(path: &str) -> Option<(Self, Density, Theme)> {
        let (merchant, file) = path.split_once('/')?;
        let (rest, density, theme) = parse_ending(file)?;
        let (rest, sponsored) = strip(rest, "-ad");
        let (rest, offer) = strip(rest, "-offer");
        let merchant = MerchantId(u64::from_str_radix(merchant, 16).ok()?);
        let card = Self { merchant, badge: Badge::parse(rest)?, offer, sponsored };
        (card.path(density, theme) == path).then_some((card, density, theme))
    }

    /// The cards to look for, the best first, where a folder is older than the decision: each says less than the one before, and a
    /// paid one never stops saying so. [`fallback`] comes after the last.
    #[must_use]
    pub fn looked_for(&self) -> Vec<Self> {
        let plain = Self { badge: Badge::None, ..*self };
        let mut cards = Vec::from([*self, plain, Self { offer: false, ..plain }]);
        cards.dedup();
        cards
    }

    /// Every card that merchant `i` of a bundle can need on these days since 1970, ascending; with `sponsored` also the paid ones.
    #[must_use]
    pub fn all_of(bundle: &Bundle, i: usize, days: core::ops::Range<i64>, sponsored: bool) -> Vec<Self> {
        let merchant = bundle.merchant(i);
        let mut badges = Vec::from([Badge::None]);
        if let Schedule::Known(schedule) = merchant.schedule {
            // What opened two days before may still be open on the first one.
            let days = days.start - 2..days.end;
            badges.extend(bundle.hours(schedule).closings(days.clone()).map(Badge::until));
        }
        sort_by_key(&mut badges, |badge| *badge);
        badges.dedup();
        let day = |minute: u32| bundle.local(i64::from(minute) * 60).day();
        let holds = |offer: &Offer| day(offer.starts_minute) < days.end && days.start <= day(offer.ends_minute);
        let offer = bundle.offers_of(i).any(|offer| holds(&offer));
        let may = |yes: bool| if yes { &[false, true][..] } else { &[false][..] };
        let mut cards = Vec::new();
        for &badge in &badges {
            for (&offer, &sponsored) in may(offer).iter().flat_map(|o| may(sponsored).iter().map(move |s| (o, s))) {
                cards.push(Self { merchant: merchant.id, badge, offer, sponsored });
            }
        }
        cards
    }
}

impl Badge {
    /// What can be promised of a door that closes at `closes` (local minutes since 1970), in `open_minutes` from now.
    #[must_use]
    pub fn of(closes: Option<i64>, open_minutes: Option<i64>) -> Self {
        match (closes, open_minutes) {
            // Rounding must not promise a time that has gone by.
            (Some(closes), Some(minutes)) if closes.rem_euclid(STEP_MINUTES) < minutes && minutes < DAY_MINUTES => {
                Self::until(closes)
            }
            _ => Self::None,
        }
    }

    fn until(closes: i64) -> Self {
        Self::OpenUntil((closes.rem_euclid(DAY_MINUTES) / STEP_MINUTES) as u8)
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "none" {
            return Some(Self::None);
        }
        let digits = text.strip_prefix("open-").filter(|digits| digits.len() == 4)?;
        let time: i64 = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
        let (hour, minute) = (time / 100, time % 100);
        (hour < 24 && minute < 60 && minute % STEP_MINUTES == 0).then(|| Self::until(hour * 60 + minute))
    }
}

/// As files call it: `none`, `open-2230`.
impl fmt::Display for Badge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::OpenUntil(step) => {
                let minute = i64::from(*step) * STEP_MINUTES;
                write!(f, "open-{:02}{:02}", minute / 60 % 24, minute % 60)
            }
        }
    }
}

/// The deployment's own card.
#[must_use]
pub fn fallback(density: Density, theme: Theme) -> String {
    format!("{FALLBACK}{}", ending(density, theme))
}

/// How the name of every picture ends: `@2x-dark.png`.
#[must_use]
pub fn ending(density: Density, theme: Theme) -> &'static str {
    match (density, theme) {
        (Density::Single, Theme::Light) => ".png",
        (Density::Single, Theme::Dark) => "-dark.png",
        (Density::Double, Theme::Light) => "@2x.png",
        (Density::Double, Theme::Dark) => "@2x-dark.png",
    }
}

/// Takes the [`ending`] off a name: `3@2x.png` is `3`, twice as dense, light.
#[must_use]
pub fn parse_ending(name: &str) -> Option<(&str, Density, Theme)> {
    let (name, dark) = strip(name.strip_suffix(".png")?, "-dark");
    let (name, double) = strip(name, "@2x");
    let density = if double { Density::Double } else { Density::Single };
    Some((name, density, if dark { Theme::Dark } else { Theme::Light }))
}

fn strip<'a>(text: &'a str, suffix: &str) -> (&'a str, bool) {
    text.strip_suffix(suffix).map_or((text, false), |text| (text, true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{AreaDraft, Audience, ExceptionDraft, MerchantDraft, OfferDraft, OfferKind, ScheduleDraft};
    use crate::geo::Point;
    use crate::time::days_from_civil;
    use alloc::string::ToString;
    use alloc::vec;

    const HOUR: i64 = 60;

    fn card(badge: Badge) -> Card {
        Card { merchant: MerchantId(0xab), badge, offer: false, sponsored: false }
    }

    #[test]
    fn a_closing_time_is_rounded_down_to_what_can_be_promised() {
        let today = days_from_civil(2026, 11, 20) * DAY_MINUTES;
        let badge = |now: i64, closes: i64| Badge::of(Some(today + closes), Some(closes - now)).to_string();
        assert_eq!(badge(12 * HOUR, 22 * HOUR), "open-2200");
        assert_eq!(badge(12 * HOUR, 22 * HOUR + 29), "open-2200");
        assert_eq!(badge(12 * HOUR, 22 * HOUR + 45), "open-2230");
        assert_eq!(badge(12 * HOUR, 24 * HOUR), "open-0000");
        assert_eq!(badge(23 * HOUR, 25 * HOUR + 30), "open-0130");
        assert_eq!(badge(22 * HOUR - 1, 22 * HOUR + 20), "open-2200");
        assert_eq!(badge(22 * HOUR, 22 * HOUR + 20), "none", "22:00 has gone by");
        assert_eq!(badge(12 * HOUR, 36 * HOUR - 1), "open-1130");
        assert_eq!(badge(12 * HOUR, 36 * HOUR), "none", "open all day");
        assert_eq!(Badge::of(None, None), Badge::None);
    }

    #[test]
    fn a_path_is_read_as_it_was_written() {
        let mut n = 0;
        let badges = (0..48).map(Badge::OpenUntil).chain([Badge::None]);
        for (badge, labels) in badges.flat_map(|badge| (0..4).map(move |labels| (badge, labels))) {
            let card = Card { offer: labels & 1 == 1, sponsored: labels & 2 == 2, ..card(badge) };
            for (density, theme) in PICTURES {
                let path = card.path(density, theme);
                assert_eq!(Card::parse(&path), Some((card, density, theme)), "{path}");
                n += 1;
            }
        }
        assert_eq!(n, 49 * 4 * 4);
        let all = Card { offer: true, sponsored: true, ..card(Badge::OpenUntil(44)) };
        assert_eq!(all.path(Density::Double, Theme::Dark), "00000000000000ab/open-2200-offer-ad@2x-dark.png");
        assert_eq!(card(Badge::None).path(Density::Single, Theme::Light), "00000000000000ab/none.png");
        assert_eq!(fallback(Density::Double, Theme::Light), "fallback@2x.png");
    }

    #[test]
    fn a_name_that_nobody_writes_is_no_card() {
        for path in [
            "",
            "none.png",
            "ab/none.png",
            "+0000000000000ab/none.png",
            "00000000000000AB/none.png",
            "00000000000000ab/none",
            "00000000000000ab/none.gif",
            "00000000000000ab/none-dark@2x.png",
            "00000000000000ab/none-ad-offer.png",
            "00000000000000ab/open-2215.png",
            "00000000000000ab/open-2400.png",
            "00000000000000ab/open-+100.png",
            "00000000000000ab/../none.png",
        ] {
            assert_eq!(Card::parse(path), None, "{path}");
        }
        assert_eq!(parse_ending("3@2x.png"), Some(("3", Density::Double, Theme::Light)));
    }

    #[test]
    fn an_older_folder_is_asked_for_less_and_a_paid_card_still_says_so() {
        let paid = Card { offer: true, sponsored: true, ..card(Badge::OpenUntil(44)) };
        let names = |card: Card| -> Vec<String> {
            card.looked_for().iter().map(|card| card.path(Density::Single, Theme::Light)[17..].to_string()).collect()
        };
        assert_eq!(names(paid), ["open-2200-offer-ad.png", "none-offer-ad.png", "none-ad.png"]);
        assert_eq!(names(card(Badge::None)), ["none.png"]);
    }

    /// One merchant, and its cards in the week from Monday, 16 November 2026.
    fn all(weekly: &[(i64, i64)], exceptions: Vec<ExceptionDraft>, offer: bool, sponsored: bool) -> Vec<String> {
        let monday = days_from_civil(2026, 11, 16);
        let point = Point::new(60.1699, 24.9384).unwrap();
        let id = MerchantId(0xab);
        let offer = OfferDraft {
            id: 1,
            merchant: id,
            kind: OfferKind::Percent,
            audience: Audience::All,
            value: 20,
            starts_minute: (monday * DAY_MINUTES) as u32,
            ends_minute: ((monday + if offer { 3 } else { -3 }) * DAY_MINUTES) as u32,
        };
        let draft = AreaDraft {
            cell: point.cell(),
            as_of: monday * 86_400,
            country: *b"FI",
            layer: "fi/helsinki".into(),
            cuisine_map: 0,
            offset_minutes: 120,
            transitions: vec![],
            merchants: vec![MerchantDraft { schedule: Schedule::Known(0), ..MerchantDraft::new(id, point) }],
            schedules: vec![ScheduleDraft {
                weekly: weekly.iter().map(|&(opens, closes)| (opens as u16, closes as u16)).collect(),
                exceptions,
            }],
            offers: vec![offer],
        };
        let bundle = Bundle::decode(draft.encode().unwrap()).unwrap();
        let cards = Card::all_of(&bundle, 0, monday..monday + 7, sponsored);
        let name = |card: &Card| card.path(Density::Single, Theme::Light)[17..].trim_end_matches(".png").to_string();
        cards.iter().map(name).collect()
    }

    /// Every day of the week from and until these hours.
    fn daily(opens: i64, closes: i64) -> Vec<(i64, i64)> {
        (0..7).map(|day| (day * DAY_MINUTES + opens * HOUR, day * DAY_MINUTES + closes * HOUR)).collect()
    }

    #[test]
    fn a_merchant_has_the_cards_its_hours_can_need_and_no_others() {
        assert_eq!(all(&daily(11, 22), vec![], false, false), ["none", "open-2200"]);
        assert_eq!(all(&daily(18, 26), vec![], false, false), ["none", "open-0200"]);
        assert_eq!(all(&daily(0, 24), vec![], false, false), ["none"], "open all day, every day");
        let split: Vec<_> = daily(11, 14).into_iter().chain(daily(14, 21)).chain(daily(22, 23)).collect();
        assert_eq!(all(&split, vec![], false, false), ["none", "open-2100", "open-2300"], "14:00 is no closing time");
        let saturday = days_from_civil(2026, 11, 21) as u16;
        let late = ExceptionDraft { day: saturday, open: vec![(11 * 60, 23 * 60 + 40)], holiday: false };
        assert_eq!(all(&daily(11, 22), vec![late.clone()], false, false), ["none", "open-2200", "open-2330"]);
        let after = ExceptionDraft { day: saturday + 7, ..late };
        assert_eq!(all(&daily(11, 22), vec![after], false, false), ["none", "open-2200"], "a week too late");
    }

    #[test]
    fn offers_and_payment_have_cards_where_they_can_be() {
        let cards = all(&daily(11, 22), vec![], true, true);
        let with = |name: &str| ["", "-ad", "-offer", "-offer-ad"].map(|labels| alloc::format!("{name}{labels}"));
        assert_eq!(cards, [with("none"), with("open-2200")].concat());
    }
}
