//! A campaign: layers from global to neighbourhood, merged for the place that was decided.
//!
//! What people write ([`author`]) becomes a [`Layer`] of edits ([`edit`] has the rules of merging); the layers that hold at a place
//! come in one total order ([`cover`]), and make a [`Policy`] that knows for every leaf which layer and line said it
//! ([`merge`]). [`Campaign::check`] finds what is wrong between layers. One table names every key: `keys!` below.

use crate::bundle::Kind;
use crate::id::Hash;
use crate::sorted::{Map, Set};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub mod schema;
pub mod edit;
pub mod cover;
pub mod author;
mod label;
pub mod merge;
pub mod history;
mod stage;
mod check;
#[cfg(feature = "cel")]
mod compile;
mod policy;

pub use crate::gate::{Named, UnknownHours};
pub use crate::locate::PlacePolicy;
pub use author::{Problem, Severity};
pub use cover::{Chain, Covers, LayerId, Level, Whereabouts};
pub use edit::{Edit, Mark};
pub use history::Step;
pub use label::Paid;
pub use policy::{Action, Arm, Boost, ById, Consent, Explore, Fallback, Pin, Range, Ranker, Rule};
use schema::{Field, Follows, Form};
pub use stage::Staged;

/// The path of the layer that covers everything.
pub const GLOBAL: &str = "global";
/// Where the paths of the tree below all campaigns begin.
pub const DEFAULTS: &str = "defaults/";
/// Where the paths of arms' layers begin.
pub const ARMS: &str = "arms/";
/// Slots of one message.
pub const MAX_SLOTS: usize = 24;
/// Entries of one list of a layer.
pub const MAX_LIST: usize = 1000;
/// Cells that one layer covers.
pub const MAX_CELLS: usize = 20_000;
/// Layers of one campaign, its defaults counted apart.
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

impl From<&Mark> for Origin {
    fn from(mark: &Mark) -> Self {
        Self { layer: mark.layer.to_string(), line: mark.line }
    }
}

/// One level of a campaign's configuration: where it holds, and what it changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// `global`, `fi/helsinki`, `arms/ID`; below all campaigns, `defaults/fi`.
    pub path: Arc<str>,
    /// Its place in the total order.
    pub level: Level,
    /// What it covers; without any, its path.
    pub covers: Option<Covers>,
    /// The higher comes later among layers of one level.
    pub priority: i32,
    /// Where its file says what it covers, or begins.
    pub mark: Mark,
    /// Keys and leaves that no later layer may change.
    pub lock: Vec<(String, Mark)>,
    /// Numbers that no later layer may leave.
    pub bounds: Vec<Bound>,
    /// As its author counts.
    pub version: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// Why it was changed last.
    pub reason: Option<String>,
    /// What it changes: a map.
    pub body: Edit,
    /// Lists that were written plainly, and so may not take away silently what they inherit.
    pub plain: Set<String>,
}

/// How far later layers may go with a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// The leaf; `boosts.*.factor` is that of every boost.
    pub key: String,
    /// At least.
    pub min: Option<f64>,
    /// At most.
    pub max: Option<f64>,
    /// Who said it.
    pub mark: Mark,
}

macro_rules! keys {
    ($($(#[doc = $doc:literal])* $key:ident: $type:ty = $default:expr, $form:expr, $follows:ident;)*) => {
        /// The merged configuration of one decision.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        pub struct Policy {
            $($(#[doc = $doc])* pub $key: $type,)*
            /// Who said each leaf, by its path: `slots`, `rules.no-alcohol.when`, `exclude[chain:burger]`. A leaf that nobody said has
            /// its default.
            #[serde(skip)]
            pub provenance: Map<String, Origin>,
        }

        impl Default for Policy {
            fn default() -> Self {
                Self { $($key: $default,)* provenance: Map::new() }
            }
        }

        /// Every key of a layer.
        pub const KEYS: &[Field] =
            &[$(Field { name: stringify!($key), about: concat!($($doc),*), form: $form, follows: Follows::$follows }),*];

        impl Policy {
            /// What the merged edits make of the defaults.
            fn fill(&mut self, merged: &edit::MapEdit) {
                $(if let Some(edit) = merged.children.get(stringify!($key)) {
                    merge::Fill::fill(&mut self.$key, edit, stringify!($key), &mut self.provenance);
                })*
            }

            /// A number by its path, `explore.share`.
            fn number(&self, path: &str) -> Option<f64> {
                let (key, rest) = path.split_once('.').unwrap_or((path, ""));
                match key {
                    $(stringify!($key) => merge::Fill::number(&self.$key, rest),)*
                    _ => None,
                }
            }
        }

        /// A layer as a person writes it in JSON, for those who read its TypeScript declaration. Lists take `set`, `append`,
        /// `prepend` and `remove` instead, things may be a list of objects with an `id`, and null unsets.
        #[cfg(feature = "types")]
        #[derive(ts_rs::TS)]
        #[ts(rename = "Layer", optional_fields)]
        #[allow(dead_code)]
        pub struct LayerForm {
            $($(#[doc = $doc])* $key: Option<$type>,)*
        }
    };
}

keys! {
    /// The message's headline.
    title: String = String::new(), Form::Text, Place;
    /// How many merchants the message shows, 1 to 24.
    slots: u8 = 4, Form::Whole(1, 24), Place;
    /// Which kinds of merchant it may show.
    kinds: Vec<Kind> = Vec::from([Kind::Restaurant]), Form::Words(&["restaurant", "grocery", "retail"]), Place;
    /// How far a merchant delivers that tells no radius of its own, kilometres.
    radius_km: f64 = 3.0, Form::Above0(100.0), Place;
    /// How many candidates the ranker sees.
    first_pass: u16 = 200, Form::Whole(1, 65_535), Place;
    /// Outlets of one chain in a message.
    chain_cap: u8 = 1, Form::Whole(0, 24), Place;
    /// Merchants of one cuisine cluster in a message; given up before a slot stays empty.
    cuisine_cap: u8 = 2, Form::Whole(0, 24), Place;
    /// Whether merchants beyond the country's border are shown.
    across_border: bool = false, Form::Flag, Place;
    /// What to do with a merchant whose hours nobody knows.
    unknown_hours: UnknownHours = UnknownHours::Drop, Form::Word(&["drop", "keep"]), Place;
    /// How the place is decided; follows the reader's market, since it comes before the place.
    place: PlacePolicy = PlacePolicy::Fused, Form::Word(&["fused", "predicted", "last_event", "freshest"]), Market;
    /// Merchants whose odds are multiplied.
    boosts: ById<Boost> = ById::new(), Form::Things { fields: schema::BOOST, by_merchant: true }, Place;
    /// `merchant_id`s, or `chain:` and a `chain_id`, that are never shown.
    exclude: Vec<String> = Vec::new(), Form::Texts, Place;
    /// Fixed slots.
    pins: ById<Pin> = ById::new(), Form::Things { fields: schema::PIN, by_merchant: true }, Place;
    /// Conditions over merchant, reader, place and time, and what follows from them.
    rules: ById<Rule> = ById::new(), Form::Things { fields: schema::RULE, by_merchant: false }, Place;
    /// Merchants of one price band in a message; given up before a slot stays empty.
    price_cap: u8 = 24, Form::Whole(0, 24), Place;
    /// Merchants of one pool in a message, by pool.
    pool_caps: Map<String, u8> = Map::new(), Form::Table(0, 24), Place;
    /// Which pool each slot asks first, over and over: `[reorder, relevant, relevant]`; empty asks none.
    pattern: Vec<String> = Vec::new(), Form::Sequence, Place;
    /// Pools by ratio, `{relevant: 3, offer: 1}`: a pattern spread evenly. Not together with `pattern`.
    weave: Map<String, u8> = Map::new(), Form::Table(0, 24), Place;
    /// Slots that take one pool alone.
    ranges: ById<Range> = ById::new(), Form::Things { fields: schema::RANGE, by_merchant: false }, Place;
    /// Least share of slots, of those filled, that nobody paid for, 0 to 1.
    organic_share: f64 = 0.0, Form::Real(0.0, 1.0), Place;
    /// Merchants shown in this many of the reader's last messages stand back.
    no_repeat: u8 = 0, Form::Whole(0, 255), Place;
    /// From 0, the score alone, to 1: how much a merchant of a cluster already shown stands back.
    diversity: f64 = 0.0, Form::Real(0.0, 1.0), Place;
    /// How much a message tries out.
    explore: Explore = Explore { share: 0.0, among: 10 }, Form::Record(schema::EXPLORE), Place;
    /// From 0, the reader's raw tastes alone, to 1: how far tastes are smoothed over similar cuisines.
    smoothing: f64 = 1.0, Form::Real(0.0, 1.0), Place;
    /// Who judges.
    ranker: Ranker = Ranker::Model, Form::Word(&["model", "prior"]), Place;
    /// Sides of an experiment.
    arms: ById<Arm> = ById::new(), Form::Things { fields: schema::ARM, by_merchant: false }, Place;
    /// `merchant_id`s, `chain:` and a `chain_id`, or `cuisine:` and a label, that need `age_allow`.
    age_restricted: Vec<String> = Vec::new(), Form::Texts, Place;
    /// Which of them this market's law lets a message show; follows the reader's market.
    age_allow: Vec<String> = Vec::new(), Form::Texts, Market;
    /// BCP 47; follows the reader's market.
    language: String = String::new(), Form::Text, Market;
    /// What the law wants said below; follows the reader's market.
    legal: String = String::new(), Form::Text, Market;
    /// Whether tailoring needs the reader's consent; follows the reader's market.
    consent: Consent = Consent::NotRequired, Form::Word(&["not_required", "required"]), Market;
    /// What a slot shows when no merchant is left.
    fallback: Fallback = Fallback { text: "See what is open near you".to_string(), url: String::new() }, Form::Record(schema::FALLBACK), Place;
}

impl Policy {
    /// Who said a key, or the nearest thing below it: of `rules.a`, whoever said the last of its parts.
    #[must_use]
    pub fn origin(&self, path: &str) -> Option<&Origin> {
        self.provenance.get(path).or_else(|| {
            let parts = self.provenance.iter();
            let mut parts =
                parts.filter(|(leaf, _)| leaf.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '['])));
            parts.next_back().map(|(_, origin)| origin)
        })
    }
}

/// Why a published campaign cannot be used.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CampaignError {
    /// Not JSON, or not a campaign.
    #[error("campaign: {0}")]
    Json(String),
    /// Layers that cannot be.
    #[error("campaign {campaign}, layer {}", in_words(problems))]
    Layers {
        /// Its id.
        campaign: String,
        /// Everything that is wrong.
        problems: Vec<Problem>,
    },
}

/// Problems of one answer; a person reads the first few.
fn in_words(problems: &[Problem]) -> String {
    let first = problems.first().map(ToString::to_string).unwrap_or_default();
    match problems.len() {
        0 | 1 => first,
        n => format!("{first} (and {} more)", n - 1),
    }
}

/// One message programme.
#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    /// Its name.
    pub id: String,
    /// Of the published bytes.
    pub hash: Hash,
    layers: Map<String, Layer>,
    defaults: Map<String, Layer>,
    staged: Vec<Staged>,
    index: cover::Index,
    arms: Vec<(String, Arm)>,
}

impl Default for Campaign {
    fn default() -> Self {
        Self::indexed("default".into(), Map::new(), Map::new(), Vec::new(), Hash::default())
    }
}

impl Serialize for Campaign {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        if !self.defaults.is_empty() {
            map.serialize_entry("defaults", &self.defaults)?;
        }
        map.serialize_entry("layers", &self.layers)?;
        if !self.staged.is_empty() {
            map.serialize_entry("staged", &stage::ByPath(&self.staged))?;
        }
        map.end()
    }
}

/// A published campaign while it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    id: String,
    layers: Tree<false>,
    #[serde(default)]
    defaults: Tree<true>,
    #[serde(default)]
    staged: Stages,
}

/// What is staged, as it is read.
#[derive(Default)]
struct Stages {
    staged: Vec<Staged>,
    problems: Vec<Problem>,
}

impl<'de> Deserialize<'de> for Stages {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Stage {
            share: f64,
            salt: String,
            layer: author::Node,
        }

        let mut stages = Self::default();
        for (path, Stage { share, salt, layer }) in Map::<String, Stage>::deserialize(deserializer)? {
            if !(0.0..=1.0).contains(&share) || stages.staged.len() == MAX_LAYERS {
                let message = format!("staged {}: found share {share}, expected 0 to 1", crate::time::cut(&path));
                return Err(serde::de::Error::custom(message));
            }
            let (layer, problems) = author::read(&path, &layer);
            stages.problems.extend(problems.into_iter().take(MAX_LIST.saturating_sub(stages.problems.len())));
            stages.staged.push(Staged { share, salt, layer });
        }
        Ok(stages)
    }
}

/// Layers by path; each becomes a layer before the next one is read, and there are never more than [`MAX_LAYERS`].
#[derive(Default)]
struct Tree<const DEFAULT: bool> {
    layers: Map<String, Layer>,
    problems: Vec<Problem>,
}

impl<'de, const DEFAULT: bool> Deserialize<'de> for Tree<DEFAULT> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Layers<const DEFAULT: bool>;

        impl<'de, const DEFAULT: bool> serde::de::Visitor<'de> for Layers<DEFAULT> {
            type Value = Tree<DEFAULT>;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "at most {MAX_LAYERS} layers by path, each once")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut tree, mut layers) = (Tree::default(), Vec::new());
                while let Some((path, node)) = map.next_entry::<String, author::Node>()? {
                    if layers.len() == MAX_LAYERS {
                        return Err(serde::de::Error::invalid_length(MAX_LAYERS + 1, &self));
                    }
                    let name = if DEFAULT { format!("{DEFAULTS}{path}") } else { path.clone() };
                    let (layer, problems) = author::read(&name, &node);
                    // Who sends nonsense gets the beginning of it back.
                    tree.problems.extend(problems.into_iter().take(MAX_LIST.saturating_sub(tree.problems.len())));
                    layers.push((path, layer));
                }
                let n_told = layers.len();
                tree.layers = layers.into_iter().collect();
                if tree.layers.len() == n_told {
                    Ok(tree)
                } else {
                    Err(serde::de::Error::invalid_length(n_told, &self))
                }
            }
        }

        deserializer.deserialize_map(Layers::<DEFAULT>)
    }
}

impl Campaign {
    /// Reads a published campaign: each layer must be right by itself.
    ///
    /// What is wrong between layers, [`Campaign::check`] tells: a campaign that was published must keep answering when a layer
    /// above it changes, so that a lock or a bound simply holds here.
    ///
    /// # Errors
    /// Names the layers and the keys, what was found and what was expected.
    pub fn parse(json: &[u8]) -> Result<Self, CampaignError> {
        let read: Published = serde_json::from_slice(json).map_err(|error| CampaignError::Json(error.to_string()))?;
        let mut problems = read.defaults.problems;
        problems.extend(read.layers.problems);
        problems.extend(read.staged.problems);
        if problems.is_empty() {
            Ok(Self::indexed(read.id, read.layers.layers, read.defaults.layers, read.staged.staged, Hash::of(json)))
        } else {
            Err(CampaignError::Layers { campaign: read.id, problems })
        }
    }

    /// A campaign of layers that were read; those whose path begins with `defaults/` go below. Its hash is that of its own
    /// published bytes.
    #[must_use]
    pub fn new(id: &str, layers: impl IntoIterator<Item = Layer>) -> Self {
        let (defaults, layers): (Vec<Layer>, Vec<Layer>) = layers.into_iter().partition(Layer::is_default);
        let by_path =
            |layers: Vec<Layer>| layers.into_iter().map(|layer| (layer.own_path().to_string(), layer)).collect();
        let mut campaign = Self::indexed(id.into(), by_path(layers), by_path(defaults), Vec::new(), Hash::default());
        campaign.hash = Hash::of(campaign.to_json().as_bytes());
        campaign
    }

    fn indexed(
        id: String,
        mut layers: Map<String, Layer>,
        mut defaults: Map<String, Layer>,
        staged: Vec<Staged>,
        hash: Hash,
    ) -> Self {
        for Staged { layer, .. } in &staged {
            let tree = if layer.is_default() { &mut defaults } else { &mut layers };
            tree.or_insert_with(layer.own_path().to_string(), || layer.header());
        }
        let mut campaign =
            Self { id, hash, layers, defaults, staged, index: cover::Index::default(), arms: Vec::new() };
        campaign.index = cover::Index::new(&campaign);
        campaign.arms = campaign.policy(GLOBAL).arms.into_iter().collect();
        campaign
    }

    /// The document to publish.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Every key is a string and every number finite, so this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Its own layers by path: `global`, `fi`, `fi/helsinki`.
    #[must_use]
    pub fn layers(&self) -> &Map<String, Layer> {
        &self.layers
    }

    /// The layers below all campaigns, by their path in that tree.
    #[must_use]
    pub fn defaults(&self) -> &Map<String, Layer> {
        &self.defaults
    }

    /// A layer by its path, `fi/helsinki` or `defaults/fi`, as an [`Origin`] names it.
    #[must_use]
    pub fn layer(&self, path: &str) -> Option<&Layer> {
        match path.strip_prefix(DEFAULTS) {
            Some(path) => self.defaults.get(path),
            None => self.layers.get(path),
        }
    }

    /// A layer by its position in the total order; after the last, what is staged by its path.
    #[must_use]
    pub fn layer_at(&self, id: LayerId) -> Option<&Layer> {
        match self.index.order.get(id as usize) {
            Some((true, path)) => self.layers.get(path),
            Some((false, path)) => self.defaults.get(path),
            None => self.staged.get(id as usize - self.index.order.len()).map(|stage| &stage.layer),
        }
    }

    /// The layers that hold at a place.
    #[must_use]
    pub fn chain(&self, at: &Whereabouts<'_>) -> Chain {
        let mut chain = self.index.chain(at);
        self.stage(&mut chain, at.reader);
        chain
    }

    /// The layers of a market, for the keys that follow it; none for all others.
    #[must_use]
    pub fn market_chain(&self, market: &str) -> Chain {
        let at = Whereabouts { market, ..Whereabouts::default() };
        Chain { place: Vec::new(), market: self.index.chain(&at).market }
    }

    /// The layers that hold at a place known by its path and the cells it lies in, for a reader at home there.
    #[must_use]
    pub fn chain_of(&self, path: &str, cells: &[u64], arm: Option<&str>) -> Chain {
        self.index.at_path(path, cells, arm)
    }

    /// Merges the layers of a chain of this campaign.
    #[must_use]
    pub fn merged(&self, chain: &Chain) -> Policy {
        merge::policy(self, chain)
    }

    /// The merged configuration of a place.
    #[must_use]
    pub fn policy_at(&self, at: &Whereabouts<'_>) -> Policy {
        self.merged(&self.chain(at))
    }

    /// The merged configuration of whoever is at home in a place of this path, without its cells.
    #[must_use]
    pub fn policy(&self, path: &str) -> Policy {
        self.merged(&self.index.at_path(path, &[], None))
    }

    /// Which side of the experiment a reader is on: a bucket of SHA-256 of campaign and reader, arms in the order of their ids.
    ///
    /// Nobody known (0) and whoever the arms leave has none: the control.
    #[must_use]
    pub fn arm(&self, reader: u64) -> Option<&str> {
        if reader == 0 || self.arms.is_empty() {
            return None;
        }
        let bucket = stage::bucket(&self.id, reader);
        let mut end = 0.0;
        self.arms.iter().find_map(|(id, arm)| {
            end += arm.share;
            (bucket < end).then_some(id.as_str())
        })
    }

    /// Whether the readers of an arm are sent nothing.
    #[must_use]
    pub fn is_holdout(&self, arm: Option<&str>) -> bool {
        self.arms.iter().any(|(id, side)| Some(id.as_str()) == arm && side.holdout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn campaign() -> Campaign {
        let json = br#"{"id": "lunch", "layers": {
            "global": {"slots": 6, "title": "Lunch"},
            "fi": {"title": "Lounas", "exclude": ["a"]},
            "fi/helsinki": {"exclude": {"set": []}}}}"#;
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
            (r#"{"slots": 0}"#, "campaign c, layer fi: slots: found 0, expected a whole number from 1 to 24"),
            (r#"{"radius_km": -1}"#, "campaign c, layer fi: radius_km: found -1, expected above 0 and at most 100"),
            (
                r#"{"boosts": {"m": {"merchant": "m", "factor": 1e9}}}"#,
                "campaign c, layer fi: boosts.m.factor: found 1000000000, expected 0.01 to 100",
            ),
            (r#"{"slotz": 1}"#, "campaign c, layer fi: slotz: no key is called so; did you mean slots?"),
        ] {
            let json = format!(r#"{{"id": "c", "layers": {{"fi": {layer}}}}}"#);
            let error = Campaign::parse(json.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, message);
        }
    }

    #[test]
    fn what_is_published_is_read_back_the_same() {
        let again = Campaign::parse(campaign().to_json().as_bytes()).unwrap();
        assert_eq!((again.layers, again.index), (campaign().layers, campaign().index));
    }
}
