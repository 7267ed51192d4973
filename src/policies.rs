//! Policies that are merged once and used often.
//!
//! Merging reads every layer of a chain, and linking the rules of a policy costs as much as asking them; decisions of equal
//! chains have equal policies. The engine keeps nothing between two decisions: a shell that wants to brings its own
//! [`Policies`], with a [`Kept`] inside.

use crate::campaign::{Campaign, Chain, Policy};
use crate::id::Hash;
use crate::rule::Rules;
use crate::sorted::Map;
use alloc::sync::Arc;
use core::ops::Deref;

/// A campaign, and who merges its layers: it does so itself, each time anew.
pub trait Policies {
    /// Whose chains these are.
    fn campaign(&self) -> &Campaign;

    /// The policy of a chain of this campaign: always the one that [`Campaign::merged`] makes.
    fn merged(&self, chain: &Chain) -> Arc<Merged> {
        self.campaign().merged(chain).into()
    }

    /// The keys that follow a reader's market, all others at their defaults: what is needed before there is a place.
    fn of_market(&self, market: &str) -> Arc<Merged> {
        self.merged(&self.campaign().market_chain(market))
    }
}

impl Policies for Campaign {
    fn campaign(&self) -> &Campaign {
        self
    }
}

/// A policy with what every decision needs of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Merged {
    policy: Policy,
    rules: Rules,
    hash: Hash,
}

impl Merged {
    /// Its rules, linked.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Of the policy: two areas under the same layers share it.
    #[must_use]
    pub const fn hash(&self) -> Hash {
        self.hash
    }
}

impl From<Policy> for Merged {
    fn from(policy: Policy) -> Self {
        Self { rules: Rules::new(&policy), hash: policy.hash(), policy }
    }
}

impl From<Policy> for Arc<Merged> {
    fn from(policy: Policy) -> Self {
        Self::new(policy.into())
    }
}

impl Deref for Merged {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        &self.policy
    }
}

impl Policy {
    /// The hash of what was merged: of its JSON without spaces, keys in their order here, whoever said them.
    #[must_use]
    pub fn hash(&self) -> Hash {
        // Strings, finite numbers and maps by strings: nothing that JSON has not.
        Hash::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// The policies used last, of any number of campaigns.
#[derive(Debug, Default)]
pub struct Kept {
    capacity: usize,
    uses: u64,
    policies: Map<Hash, Map<Chain, (u64, Arc<Merged>)>>,
}

impl Kept {
    /// At most so many.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { capacity, uses: 0, policies: Map::new() }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.policies.values().map(Map::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// The policy of a chain, merged if it is not at hand; of a full house the one used longest ago goes.
    pub fn merged(&mut self, campaign: &Campaign, chain: &Chain) -> Arc<Merged> {
        self.uses += 1;
        if let Some((used, policy)) = self.policies.get_mut(&campaign.hash).and_then(|of| of.get_mut(chain)) {
            *used = self.uses;
            return Arc::clone(policy);
        }
        if self.len() >= self.capacity {
            self.let_go();
        }
        let policy: Arc<Merged> = campaign.merged(chain).into();
        let of = self.policies.or_default(campaign.hash);
        of.insert(chain.clone(), (self.uses, Arc::clone(&policy)));
        policy
    }

    fn let_go(&mut self) {
        let all =
            self.policies.iter().flat_map(|(hash, of)| of.iter().map(move |(chain, (used, _))| (used, hash, chain)));
        let Some((hash, chain)) = all.min().map(|(_, hash, chain)| (*hash, chain.clone())) else { return };
        if let Some(of) = self.policies.get_mut(&hash) {
            of.remove(&chain);
            if of.is_empty() {
                self.policies.remove(&hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn campaign(id: &str) -> Campaign {
        let json =
            format!(r#"{{"id": "{id}", "layers": {{"global": {{"slots": 6}}, "fi": {{"slots": 5}}, "se": {{}}}}}}"#);
        Campaign::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_kept_is_what_would_be_merged() {
        let (lunch, dinner, mut kept) = (campaign("lunch"), campaign("dinner"), Kept::new(100));
        for _ in 0..2 {
            for campaign in [&lunch, &dinner] {
                for path in ["", "fi", "fi/helsinki", "se", "no"] {
                    let chain = campaign.chain_of(path, &[], None);
                    let policy = kept.merged(campaign, &chain);
                    assert_eq!(*policy, campaign.merged(&chain).into(), "{path}");
                    assert!(Arc::ptr_eq(&policy, &kept.merged(campaign, &chain)), "merged once");
                }
            }
        }
        assert_eq!(kept.len(), 6, "three chains a campaign");
    }

    #[test]
    fn the_one_used_longest_ago_goes() {
        let (lunch, mut kept) = (campaign("lunch"), Kept::new(2));
        let chains = ["", "fi", "se"].map(|path| lunch.chain_of(path, &[], None));
        let first = kept.merged(&lunch, &chains[0]);
        kept.merged(&lunch, &chains[1]);
        assert!(Arc::ptr_eq(&first, &kept.merged(&lunch, &chains[0])));
        kept.merged(&lunch, &chains[2]);
        assert_eq!(kept.len(), 2);
        assert!(Arc::ptr_eq(&first, &kept.merged(&lunch, &chains[0])));
    }
}
