//! A campaign: layers from global to city, merged for the place that was decided.
//!
//! A layer sets a key or leaves it alone; the deeper layer wins, and the merged policy knows for every key which
//! layer set it. Lists are set whole.

use crate::bundle::Kind;
use crate::id::Hash;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use thiserror::Error;

mod policy;

pub use policy::{
    Action, Arm, Boost, ById, Consent, Explore, Fallback, Named, Pin, PlacePolicy, Range, Ranker, Rule, UnknownHours,
};

/// The path of the layer that covers everything.
pub const GLOBAL: &str = "global";
/// Slots of one message.
pub const MAX_SLOTS: usize = 24;
/// Entries of one list of a layer.
pub const MAX_LIST: usize = 1000;
/// Layers of one campaign.
pub const MAX_LAYERS: usize = 10_000;

/// Who said something: a layer and the line of its file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
pub struct Origin {
    /// Its path, `fi/helsinki`.
    pub layer: String,
    /// From 1; 0 where the layer was never a file.
    pub line: u32,
}

impl core::fmt::Display for Origin {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { layer, line } = self;
        if *line == 0 { write!(f, "{layer}") } else { write!(f, "{layer}.yaml:{line}") }
    }
}

macro_rules! layers {
    ($($(#[$doc:meta])* $key:ident: $type:ty = $default:expr;)*) => {
        /// One level of a campaign's configuration; a key that is absent is left to the layer above.
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        #[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
        #[serde(deny_unknown_fields)]
        pub struct Layer {
            $($(#[$doc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $key: Option<$type>,)*
        }

        /// The merged configuration of one decision.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Policy {
            $($(#[$doc])* pub $key: $type,)*
            /// Who said each leaf, by its path: `slots`, `rules.no-alcohol.when`, `exclude[chain:burger]`. A leaf that nobody said has
            /// its default.
            pub provenance: BTreeMap<String, Origin>,
        }

        impl Default for Policy {
            fn default() -> Self {
                Self { $($key: $default,)* provenance: BTreeMap::new() }
            }
        }

        impl Policy {
            /// Who said a key, or the nearest thing above it: of `rules.a`, whoever spoke last of the rule or of its parts.
            #[must_use]
            pub fn origin(&self, path: &str) -> Option<&Origin> {
                self.provenance.get(path).or_else(|| {
                    let parts = self.provenance.iter();
                    let mut parts = parts.filter(|(leaf, _)| leaf.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '['])));
                    parts.next_back().map(|(_, origin)| origin)
                })
            }

            /// Lets a layer override what is above it.
            fn apply(&mut self, path: &str, layer: &Layer) {
                $(if let Some(value) = &layer.$key {
                    self.$key = value.clone();
                    self.provenance.insert(stringify!($key).to_string(), Origin { layer: path.to_string(), line: 0 });
                })*
            }
        }
    };
}

layers! {
    /// The message's headline.
    title: String = String::new();
    /// How many merchants the message shows, 1 to 24.
    slots: u8 = 4;
    /// Which kinds of merchant it may show.
    kinds: Vec<Kind> = Vec::from([Kind::Restaurant]);
    /// How far a merchant delivers that tells no radius of its own, kilometres.
    radius_km: f64 = 3.0;
    /// How many candidates the ranker sees.
    first_pass: u16 = 200;
    /// Outlets of one chain in a message.
    chain_cap: u8 = 1;
    /// Merchants of one cuisine cluster in a message; given up before a slot stays empty.
    cuisine_cap: u8 = 2;
    /// Whether merchants beyond the country's border are shown.
    across_border: bool = false;
    /// What to do with a merchant whose hours nobody knows.
    unknown_hours: UnknownHours = UnknownHours::Drop;
    /// How the place is decided; follows the reader's market, since it comes before the place.
    place: PlacePolicy = PlacePolicy::Fused;
    /// Merchants whose odds are multiplied.
    boosts: ById<Boost> = ById::new();
    /// `merchant_id`s, or `chain:` and a `chain_id`, that are never shown.
    exclude: Vec<String> = Vec::new();
    /// Fixed slots.
    pins: ById<Pin> = ById::new();
    /// Conditions over merchant, reader, place and time, and what follows from them.
    rules: ById<Rule> = ById::new();
    /// Merchants of one price band in a message; given up before a slot stays empty.
    price_cap: u8 = 24;
    /// Merchants of one pool in a message, by pool.
    pool_caps: BTreeMap<String, u8> = BTreeMap::new();
    /// Which pool each slot asks first, over and over: `[reorder, relevant, relevant]`; empty asks none.
    pattern: Vec<String> = Vec::new();
    /// Pools by ratio, `{relevant: 3, offer: 1}`: a pattern spread evenly. Not together with `pattern`.
    weave: BTreeMap<String, u8> = BTreeMap::new();
    /// Slots that take one pool alone.
    ranges: ById<Range> = ById::new();
    /// Least share of slots, of those filled, that nobody paid for, 0 to 1.
    organic_share: f64 = 0.0;
    /// Merchants shown in this many of the reader's last messages stand back.
    no_repeat: u8 = 0;
    /// From 0, the score alone, to 1: how much a merchant of a cluster already shown stands back.
    diversity: f64 = 0.0;
    /// How much a message tries out.
    explore: Explore = Explore { share: 0.0, among: 10 };
    /// From 0, the reader's raw tastes alone, to 1: how far tastes are smoothed over similar cuisines.
    smoothing: f64 = 1.0;
    /// Who judges.
    ranker: Ranker = Ranker::Model;
    /// Sides of an experiment.
    arms: ById<Arm> = ById::new();
    /// `merchant_id`s, `chain:` and a `chain_id`, or `cuisine:` and a label, that need `age_allow`.
    age_restricted: Vec<String> = Vec::new();
    /// Which of them this market's law lets a message show; follows the reader's market.
    age_allow: Vec<String> = Vec::new();
    /// BCP 47; follows the reader's market.
    language: String = String::new();
    /// What the law wants said below; follows the reader's market.
    legal: String = String::new();
    /// Whether tailoring needs the reader's consent; follows the reader's market.
    consent: Consent = Consent::NotRequired;
    /// What a slot shows when no merchant is left.
    fallback: Fallback = Fallback { text: "See what is open near you".to_string(), url: String::new() };
}

/// Why a campaign cannot be used.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CampaignError {
    /// Not JSON, or not a campaign.
    #[error("campaign: {0}")]
    Json(String),
    /// A value that cannot be.
    #[error("campaign {campaign}, layer {layer}, {key}: found {found}, expected {expected}")]
    Value {
        /// Its id.
        campaign: String,
        /// The layer's path.
        layer: String,
        /// The key.
        key: &'static str,
        /// What stands there.
        found: String,
        /// What may stand there.
        expected: &'static str,
    },
}

/// One message programme.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// Its name.
    pub id: String,
    /// By path: `global`, `fi`, `fi/helsinki`.
    pub layers: BTreeMap<String, Layer>,
    /// Of the published bytes.
    #[serde(skip)]
    pub hash: Hash,
}

impl Default for Campaign {
    fn default() -> Self {
        Self { id: "default".into(), layers: BTreeMap::new(), hash: Hash::default() }
    }
}

impl Campaign {
    /// Reads a published campaign.
    ///
    /// # Errors
    /// Names the layer and the key, what was found and what was expected.
    pub fn parse(json: &[u8]) -> Result<Self, CampaignError> {
        let mut campaign: Self =
            serde_json::from_slice(json).map_err(|error| CampaignError::Json(error.to_string()))?;
        campaign.hash = Hash::of(json);
        campaign.check()?;
        Ok(campaign)
    }

    /// A campaign from its layers, as [`Campaign::parse`] would give it.
    ///
    /// # Errors
    /// As [`Campaign::parse`].
    pub fn new(id: &str, layers: BTreeMap<String, Layer>) -> Result<Self, CampaignError> {
        let campaign = Self { id: id.into(), layers, hash: Hash::default() };
        let json = serde_json::to_vec(&campaign).map_err(|error| CampaignError::Json(error.to_string()))?;
        Self::parse(&json)
    }

    /// Merges the layers along a path, `fi/helsinki`: global, then `fi`, then `fi/helsinki`.
    #[must_use]
    pub fn policy(&self, path: &str) -> Policy {
        let mut policy = Policy::default();
        let prefixes = path.match_indices('/').map(|(i, _)| &path[..i]).chain([path]);
        for path in [GLOBAL].into_iter().chain(prefixes) {
            if let Some(layer) = self.layers.get(path) {
                policy.apply(path, layer);
            }
        }
        policy
    }

    fn check(&self) -> Result<(), CampaignError> {
        let fail = |layer: &str, key, found: String, expected| {
            Err(CampaignError::Value { campaign: self.id.clone(), layer: layer.into(), key, found, expected })
        };
        if self.layers.len() > MAX_LAYERS {
            return fail(GLOBAL, "layers", self.layers.len().to_string(), "at most 10000 layers");
        }
        for (path, layer) in &self.layers {
            if let Some(slots) = layer.slots.filter(|slots| *slots == 0 || usize::from(*slots) > MAX_SLOTS) {
                return fail(path, "slots", slots.to_string(), "1 to 24");
            }
            if let Some(radius) = layer.radius_km.filter(|radius| !(*radius > 0.0 && *radius <= 100.0)) {
                return fail(path, "radius_km", radius.to_string(), "above 0 and at most 100 km");
            }
            if layer.first_pass == Some(0) {
                return fail(path, "first_pass", "0".into(), "at least 1");
            }
            let boosts = layer.boosts.iter().flatten();
            if let Some((_, boost)) = boosts.clone().find(|(_, b)| !(b.factor >= 0.01 && b.factor <= 100.0)) {
                return fail(path, "boosts", format!("{} for {}", boost.factor, boost.merchant), "0.01 to 100");
            }
            let pins = layer.pins.iter().flatten();
            if let Some((_, pin)) = pins.clone().find(|(_, pin)| usize::from(pin.slot) >= MAX_SLOTS) {
                return fail(path, "pins", pin.slot.to_string(), "a slot from 0 to 23");
            }
            let longest = boosts.count().max(pins.count()).max(layer.exclude.as_ref().map_or(0, Vec::len));
            if longest > MAX_LIST {
                return fail(path, "boosts, pins or exclude", longest.to_string(), "at most 1000 entries");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn campaign() -> Campaign {
        let json = br#"{"id": "lunch", "layers": {
            "global": {"slots": 6, "title": "Lunch"},
            "fi": {"title": "Lounas", "exclude": ["a"]},
            "fi/helsinki": {"exclude": []}}}"#;
        Campaign::parse(json).unwrap()
    }

    #[test]
    fn the_deeper_layer_wins_and_every_key_knows_its_layer() {
        let policy = campaign().policy("fi/helsinki");
        assert_eq!((policy.slots, policy.title.as_str(), policy.exclude.len()), (6, "Lounas", 0));
        let from: Vec<_> =
            policy.provenance.iter().map(|(key, origin)| (key.as_str(), origin.layer.as_str())).collect();
        assert_eq!(from, [("exclude", "fi/helsinki"), ("slots", "global"), ("title", "fi")]);
        assert_eq!(campaign().policy("se/lund").title, "Lunch", "a place without layers has the global one");
        assert_eq!(campaign().policy("").title, "Lunch");
    }

    #[test]
    fn a_campaign_that_cannot_be_is_refused_with_layer_and_key() {
        for (layer, message) in [
            (r#"{"slots": 0}"#, "campaign c, layer fi, slots: found 0, expected 1 to 24"),
            (r#"{"radius_km": -1}"#, "campaign c, layer fi, radius_km: found -1, expected above 0 and at most 100 km"),
            (
                r#"{"boosts": {"m": {"merchant": "m", "factor": 1e9}}}"#,
                "campaign c, layer fi, boosts: found 1000000000 for m, expected 0.01 to 100",
            ),
            (r#"{"slotz": 1}"#, "campaign: unknown field `slotz`"),
        ] {
            let json = format!(r#"{{"id": "c", "layers": {{"fi": {layer}}}}}"#);
            let error = Campaign::parse(json.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
