//! The numbers of market.toml.

use super::MarketError;
use crate::hours;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The file that is frozen.
const FROZEN: &str = include_str!("../../market.toml");

/// What [`Parameters::format`] must say.
const FORMAT: &str = "freshrank-market-1";

/// By daypart: morning, midday, evening, night.
pub type Dayparts = [f64; 4];

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs, reason = "market.toml says what each number is, in its unit")]
        pub struct $name { $(pub $field: $type,)* }
    };
}

section! {
    /// Every number of the market; offline/market.toml says what each is.
    Parameters {
        format: String,
        window: Window,
        merchants: Merchants,
        offers: Offers,
        readers: Readers,
        pace: Pace,
        places: Places,
        utility: Utility,
        unseen: Unseen,
        app: App,
        mail: Mail,
        locales: BTreeMap<String, BTreeMap<String, f64>>,
        groups: Vec<Group>,
    }
}

/// When it happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// First local day.
    #[serde(with = "date")]
    pub start: Date,
    /// How many days.
    pub days: u16,
    /// IANA name; else the zone the merchants lie in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

section! {
    /// What the source of merchants does not know.
    Merchants {
        radius_km: [f64; 2],
        listed_late_share: f64,
        rating_mean: f64,
        rating_slope: f64,
        rating_count_median: f64,
        fee_max: f64,
        fee_free_share: f64,
        unknown_hours: [u16; 2],
    }
}

section! {
    /// Promotions.
    Offers {
        per_merchant_month: f64,
        days: [f64; 2],
        kinds: BTreeMap<String, f64>,
        audiences: BTreeMap<String, f64>,
    }
}

section! {
    /// Who reads.
    Readers {
        launch_share: f64,
        never_order_share: f64,
        consent_share: f64,
        refuse_share: f64,
        membership_share: f64,
        cancelled_share: f64,
        mailboxes: BTreeMap<String, f64>,
    }
}

section! {
    /// When orders come.
    Pace {
        stay_power: f64,
        gap_days: f64,
        gap_spread_readers: f64,
        gap_spread: f64,
        weekdays: [f64; 7],
        dayparts_weekday: Dayparts,
        dayparts_weekend: Dayparts,
        daypart_spread: f64,
    }
}

section! {
    /// Where orders go.
    Places {
        counts: [f64; 4],
        new_share: f64,
        new_spread: f64,
        travel_share: f64,
        travel_days: [f64; 2],
        travel_pace: f64,
        unused_share: f64,
        scatter_km: f64,
        home: Dayparts,
        work: Dayparts,
        other: Dayparts,
    }
}

section! {
    /// What a choice weighs and a feature may see.
    Utility {
        taste: f64,
        taste_own_share: f64,
        taste_drift: f64,
        label: f64,
        appeal: f64,
        daypart: f64,
        fame: f64,
        quality: f64,
        price: f64,
        distance: f64,
        distance_spread: f64,
        fee: f64,
        prep: f64,
        habit: f64,
        habit_choice: f64,
        habit_spread: f64,
        habit_half_life_days: f64,
        satiation: f64,
        chain: f64,
        offer: f64,
        offer_spread: f64,
        not_meals: f64,
    }
}

section! {
    /// What a choice weighs and no feature sees.
    Unseen {
        bond: f64,
        neighbourhood: f64,
        word_of_mouth: f64,
        buzz: f64,
        rain_share: f64,
        rain_distance: f64,
        rain_comfort: f64,
    }
}

section! {
    /// The app's own events.
    App {
        open_before_order: f64,
        browse_per_order: f64,
        trip_to_new_place: f64,
        trip_to_known_place: f64,
        add_before_order: f64,
        gps_km: f64,
    }
}

section! {
    /// The logging policy and its readers.
    Mail {
        every_days: u16,
        minute_of_day: [u16; 2],
        slots: usize,
        considered: usize,
        temperature: f64,
        explore: f64,
        open_rate: [f64; 2],
        examine_power: f64,
        click_intercept: f64,
        click_slope: f64,
        add_after_click: f64,
        scanner_share: f64,
    }
}

section! {
    /// One latent cuisine group.
    Group {
        name: String,
        labels: Vec<String>,
        appeal: f64,
        price: f64,
        prep: f64,
        rain: f64,
        dayparts: Dayparts,
    }
}

impl Parameters {
    /// Reads another market than the frozen one; the whole file, nothing is inherited.
    ///
    /// # Errors
    /// The line and what was expected there, or the name of a number that makes no market.
    pub fn parse(text: &str) -> Result<Self, MarketError> {
        let parameters: Self = toml::from_str(text).map_err(|err| MarketError::Parameters(err.to_string()))?;
        parameters.check().map(|()| parameters)
    }

    /// The frozen parameters of offline/market.toml.
    ///
    /// # Errors
    /// Never: a test reads the file that is built in.
    pub fn frozen() -> Result<Self, MarketError> {
        Self::parse(FROZEN)
    }

    fn check(&self) -> Result<(), MarketError> {
        let rules = [
            ("format", self.format == FORMAT),
            ("window.days", (1..hours::MAX_DAYS).contains(&self.window.days)),
            ("merchants.radius_km", increasing(self.merchants.radius_km, 0.1, 100.0)),
            ("offers.days", increasing(self.offers.days, 0.0, 1000.0)),
            ("pace.stay_power", self.pace.stay_power > 0.0),
            ("pace.gap_days", self.pace.gap_days >= 0.1),
            ("pace.weekdays", self.pace.weekdays.iter().all(|w| (0.01..=1.0).contains(w))),
            ("places.travel_days", increasing(self.places.travel_days, 0.0, 1000.0)),
            ("utility.habit_half_life_days", self.utility.habit_half_life_days > 0.0),
            ("mail.every_days", self.mail.every_days > 0),
            ("mail.slots", (1..=20).contains(&self.mail.slots)),
            ("mail.temperature", self.mail.temperature > 0.0),
            ("mail.explore", self.mail.explore > 0.0 && self.mail.explore <= 1.0),
            ("groups", (1..=64).contains(&self.groups.len())),
        ];
        match rules.into_iter().find(|(_, holds)| !holds) {
            Some((name, _)) => Err(MarketError::Parameters(format!("{name} makes no market"))),
            None => Ok(()),
        }
    }
}

/// A date as text: jiff is built without serde.
mod date {
    use jiff::civil::Date;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(date)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

fn increasing([from, to]: [f64; 2], least: f64, most: f64) -> bool {
    least <= from && from <= to && to <= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frozen_file_is_read() {
        let parameters = Parameters::frozen().unwrap();
        assert_eq!(parameters.window.start.to_string(), "2026-05-01");
        let labels: Vec<&String> = parameters.groups.iter().flat_map(|group| &group.labels).collect();
        let distinct: std::collections::BTreeSet<&&String> = labels.iter().collect();
        assert_eq!(labels.len(), distinct.len(), "a label stands in two groups");
    }

    #[test]
    fn a_misspelt_or_impossible_number_is_refused_by_name() {
        let err = Parameters::parse(&FROZEN.replace("fame =", "fames =")).unwrap_err();
        assert!(err.to_string().contains("fames"), "{err}");
        let err = Parameters::parse(&FROZEN.replace("stay_power = 1.20", "stay_power = 0.0")).unwrap_err();
        assert_eq!(err.to_string(), "market parameters: pace.stay_power makes no market");
    }
}
