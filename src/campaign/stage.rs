//! Staged rollout: some readers have the next version of a layer while all others keep the one that holds.
//!
//! A published campaign may carry `staged`: by path a share, a salt, and the layer. Of the readers whose bucket of the salt is below
//! the share, the staged layer takes the place of the one that holds; a salt of its own makes each rollout draw anew. A reader
//! nobody knows (0) keeps what holds, and so does everyone for the keys that follow the market: what the law asks is the same
//! for all readers. Where a layer is staged that never held, an empty one does.

use super::{Campaign, Chain, Layer, LayerId, Problem, Severity};
use crate::campaign::schema::Follows;
use crate::id::Hash;
use crate::sorted::Set;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// The next version of a layer, for a share of the readers.
#[derive(Debug, Clone, PartialEq)]
pub struct Staged {
    /// Of the readers, 0 to 1.
    pub share: f64,
    /// Who is among them depends on it.
    pub salt: String,
    /// What they have; its path is that of the layer it takes the place of.
    pub layer: Layer,
}

impl Serialize for Staged {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("Staged", 3)?;
        map.serialize_field("share", &self.share)?;
        map.serialize_field("salt", &self.salt)?;
        map.serialize_field("layer", &self.layer)?;
        map.end()
    }
}

/// The stages of a campaign as its document has them: by path.
pub(super) struct ByPath<'a>(pub &'a [Staged]);

impl Serialize for ByPath<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for stage in self.0 {
            map.serialize_entry(&*stage.layer.path, stage)?;
        }
        map.end()
    }
}

/// Where a reader falls, from 0 to 1, without 1: the first 53 bits of SHA-256 of a name and the reader.
pub(super) fn bucket(name: &str, reader: u64) -> f64 {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(name.as_bytes())
        .chain_update([0])
        .chain_update(reader.to_le_bytes())
        .finalize()
        .into();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    (u64::from_le_bytes(first) >> 11) as f64 / (1_u64 << 53) as f64
}

impl Campaign {
    /// What is staged, by path.
    #[must_use]
    pub fn staged(&self) -> &[Staged] {
        &self.staged
    }

    /// This campaign with some layers staged.
    #[must_use]
    pub fn with_staged(self, staged: Vec<Staged>) -> Self {
        let mut campaign = Self::indexed(self.id, self.layers, self.defaults, staged, Hash::default());
        campaign.hash = Hash::of(campaign.to_json().as_bytes());
        campaign
    }

    /// Puts what is staged for a reader in the place of what holds.
    ///
    /// Staged layers are counted after all that hold, so that the chain of a reader who has one is another.
    pub(super) fn stage(&self, chain: &mut Chain, reader: u64) {
        if reader == 0 {
            return;
        }
        let n = self.index.order.len();
        for (i, stage) in self.staged.iter().enumerate().filter(|(_, s)| bucket(&s.salt, reader) < s.share) {
            let id = (n + i) as LayerId;
            let holds = |held: &&mut LayerId| self.layer_at(**held).is_some_and(|held| held.path == stage.layer.path);
            if let Some(held) = chain.place.iter_mut().find(holds) {
                *held = id;
            }
        }
    }

    /// This campaign once all that is staged holds for everyone.
    fn rolled_out(&self) -> Self {
        let (mut layers, mut defaults) = (self.layers.clone(), self.defaults.clone());
        for stage in &self.staged {
            let tree = if stage.layer.is_default() { &mut defaults } else { &mut layers };
            tree.insert(stage.layer.own_path().to_string(), stage.layer.clone());
        }
        Self::indexed(self.id.clone(), layers, defaults, Vec::new(), self.hash)
    }

    /// What is wrong with what is staged, by itself and once all of it holds.
    pub(super) fn check_staged(&self, problems: &mut Set<Problem>) {
        if self.staged.is_empty() {
            return;
        }
        for stage in &self.staged {
            let Some(held) = self.layer(&stage.layer.path) else { continue };
            let mut say = |key: &str, message: &str, hint: &str, severity: Severity| {
                let (layer, mark) = (stage.layer.path.to_string(), &stage.layer.mark);
                let (message, hint) = (message.to_string(), Some(hint.to_string()));
                let (line, column) = (mark.line, mark.column);
                problems.insert(Problem { layer, line, column, key: key.into(), message, hint, severity });
            };
            let same = [
                ("covers", stage.layer.covers == held.covers),
                ("level", stage.layer.level == held.level),
                ("priority", stage.layer.priority == held.priority),
            ];
            for (key, _) in same.iter().filter(|(_, same)| !same) {
                let message = format!(
                    "staged with another {key} than the layer that holds, whose place it takes for some readers"
                );
                say(key, &message, "publish it for all readers, or take back what is staged", Severity::Error);
            }
            let keys = stage.layer.body.children().into_iter().flat_map(|children| children.keys());
            let follows = |key: &&String| super::KEYS.iter().any(|f| f.name == **key && f.follows == Follows::Market);
            for key in keys.filter(follows) {
                let message = "staged, but follows the market, and so waits until the layer holds for all readers";
                say(key, message, "change it in a version for all readers", Severity::Warning);
            }
        }
        problems.extend(self.rolled_out().check());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::{CampaignError, Whereabouts};

    fn campaign(staged: &str) -> Result<Campaign, CampaignError> {
        let json = format!(
            r#"{{"id": "lunch", "layers": {{"global": {{"title": "Lunch", "slots": 6, "lock": ["slots"]}}, "fi": {{"title": "Lounas"}}}},
            "staged": {staged}}}"#
        );
        Campaign::parse(json.as_bytes())
    }

    fn at(reader: u64) -> Whereabouts<'static> {
        Whereabouts { market: "fi/helsinki", reader, ..Whereabouts::default() }
    }

    #[test]
    fn a_share_of_the_readers_has_what_is_staged_and_each_always_the_same() {
        let campaign =
            campaign(r#"{"fi": {"share": 0.3, "salt": "a", "layer": {"title": "Uusi", "language": "fi"}}}"#).unwrap();
        let title = |reader| campaign.policy_at(&at(reader)).title;
        let n = (1..=10_000).filter(|reader| title(*reader) == "Uusi").count();
        assert!((2800..=3200).contains(&n), "{n} of 10,000 readers");
        assert!((1..100).all(|reader| title(reader) == title(reader)));
        assert_eq!(title(0), "Lounas", "nobody known keeps what holds");
        let (new, old) = ((1..).find(|r| title(*r) == "Uusi"), (1..).find(|r| title(*r) == "Lounas"));
        let [new, old] = [new, old].map(|reader| campaign.chain(&at(reader.unwrap())));
        assert!(new != old && new.market == old.market, "policies are kept by chain");
        assert_eq!(campaign.merged(&new).language, "", "what follows the market is the same for all");
        assert_eq!(campaign.merged(&new).slots, 6);
    }

    #[test]
    fn another_salt_draws_anew() {
        let both = (1..=10_000).filter(|reader| bucket("a", *reader) < 0.3 && bucket("b", *reader) < 0.3).count();
        assert!((800..=1000).contains(&both), "{both}, of 900 that are expected");
    }

    #[test]
    fn what_never_held_is_staged_over_an_empty_layer() {
        let campaign =
            campaign(r#"{"fi/helsinki": {"share": 1.0, "salt": "a", "layer": {"title": "Stadi"}}}"#).unwrap();
        assert_eq!(
            (campaign.policy_at(&at(7)).title, campaign.policy_at(&at(0)).title),
            ("Stadi".into(), "Lounas".into())
        );
        assert_eq!(campaign.check(), []);
        let again = Campaign::parse(campaign.to_json().as_bytes()).unwrap();
        assert_eq!((again.layers(), again.staged()), (campaign.layers(), campaign.staged()));
    }

    #[test]
    fn what_is_staged_is_checked_as_if_it_held() {
        let said = |staged: &str| match campaign(staged) {
            Ok(campaign) => campaign.check().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
            Err(error) => error.to_string(),
        };
        for (staged, message) in [
            (r#"{"fi": {"share": 0.5, "salt": "a", "layer": {"slots": 3}}}"#, "fi: slots: changes what global locks"),
            (
                r#"{"fi": {"share": 0.5, "salt": "a", "layer": {"priority": 3}}}"#,
                "fi: priority: staged with another priority",
            ),
            (
                r#"{"fi": {"share": 0.5, "salt": "a", "layer": {"legal": "x"}}}"#,
                "fi: warning: legal: staged, but follows the market",
            ),
            (r#"{"fi": {"share": 0.5, "salt": "a", "layer": {"slotz": 3}}}"#, "did you mean slots?"),
            (r#"{"fi": {"share": 1.5, "salt": "a", "layer": {}}}"#, "found share 1.5, expected 0 to 1"),
        ] {
            assert!(said(staged).contains(message), "{}\nwhere {message:?} was expected", said(staged));
        }
    }
}
