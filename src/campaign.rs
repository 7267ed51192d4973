//! A campaign: layers from global to city, merged for the place that was decided.
//!
//! A layer sets a key or leaves it alone; the deeper layer wins, and the merged policy knows for every key which
//! layer set it. Lists are set whole.

use crate::bundle::Kind;
use crate::id::{ChainId, Hash, MerchantId};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The path of the layer that covers everything.
pub const GLOBAL: &str = "global";
/// Slots of one message.
pub const MAX_SLOTS: usize = 24;
/// Entries of one list of a layer.
pub const MAX_LIST: usize = 1000;
/// Layers of one campaign.
pub const MAX_LAYERS: usize = 10_000;

/// How a campaign wants the place decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum PlacePolicy {
    /// Likely places and evidence together.
    #[default]
    Fused,
    /// The likeliest place of the profile.
    Predicted,
    /// The last event, however old within a day.
    LastEvent,
    /// The newest position of any kind.
    Freshest,
}

/// What to do with a merchant whose hours nobody knows, in a city where others' are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum UnknownHours {
    /// A closed door disappoints more than a missing merchant.
    #[default]
    Drop,
    /// Show it.
    Keep,
}

/// A multiplier on a merchant's odds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Boost {
    /// `merchant_id`, or `chain:` and a `chain_id`.
    pub merchant: String,
    /// Above 1 lifts, below 1 buries; 0.01 to 100.
    pub factor: f32,
}

/// A fixed slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// From 0.
    pub slot: u8,
    /// `merchant_id`, or `chain:` and a `chain_id`; shown there if it is kept.
    pub merchant: String,
}

/// What a slot shows when no merchant is left.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// On the card.
    pub text: String,
    /// Where a click goes.
    #[serde(default)]
    pub url: String,
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
            /// Which layer set each key; keys that nobody set have their default.
            pub provenance: BTreeMap<&'static str, String>,
        }

        impl Default for Policy {
            fn default() -> Self {
                Self { $($key: $default,)* provenance: BTreeMap::new() }
            }
        }

        impl Policy {
            /// Lets a layer override what is above it.
            fn apply(&mut self, path: &str, layer: &Layer) {
                $(if let Some(value) = &layer.$key {
                    self.$key = value.clone();
                    self.provenance.insert(stringify!($key), path.to_string());
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
    boosts: Vec<Boost> = Vec::new();
    /// `merchant_id`s, or `chain:` and a `chain_id`, that are never shown.
    exclude: Vec<String> = Vec::new();
    /// Fixed slots.
    pins: Vec<Pin> = Vec::new();
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
            let boosts = layer.boosts.as_deref().unwrap_or_default();
            if let Some(boost) = boosts.iter().find(|b| !(b.factor >= 0.01 && b.factor <= 100.0)) {
                return fail(path, "boosts", format!("{} for {}", boost.factor, boost.merchant), "0.01 to 100");
            }
            let pins = layer.pins.as_deref().unwrap_or_default();
            if let Some(pin) = pins.iter().find(|pin| usize::from(pin.slot) >= MAX_SLOTS) {
                return fail(path, "pins", pin.slot.to_string(), "a slot from 0 to 23");
            }
            let longest = boosts.len().max(pins.len()).max(layer.exclude.as_ref().map_or(0, Vec::len));
            if longest > MAX_LIST {
                return fail(path, "boosts, pins or exclude", longest.to_string(), "at most 1000 entries");
            }
        }
        Ok(())
    }
}

/// Whom a list entry of a layer speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// One merchant.
    Merchant(MerchantId),
    /// All outlets of a chain.
    Chain(ChainId),
}

impl Named {
    /// Reads `merchant_id`, or `chain:` and a `chain_id`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix("chain:") {
            Some(chain) => Self::Chain(ChainId::of(chain)),
            None => Self::Merchant(MerchantId::of(text)),
        }
    }

    /// Whether this merchant is meant.
    #[must_use]
    pub fn matches(self, merchant: &crate::bundle::Merchant) -> bool {
        match self {
            Self::Merchant(id) => merchant.id == id,
            Self::Chain(chain) => merchant.chain == chain,
        }
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
        let from: Vec<_> = policy.provenance.iter().map(|(key, layer)| (*key, layer.as_str())).collect();
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
                r#"{"boosts": [{"merchant": "m", "factor": 1e9}]}"#,
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
