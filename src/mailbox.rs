//! Who fetched a picture or a link: a person's own client, a mail provider's cache, a relay, or a scanner.
//!
//! A user agent alone misclassifies: caches and scanners say they are browsers, and anybody can say to be Gmail. So what a request
//! says of itself is held against the network it comes from, and both against the time since the token was minted. Whatever was
//! judged is forgotten: a [`Verdict`] names rules, never what they matched.

use crate::context::{Grade, Mailbox};
use crate::edge::Hints;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

mod rule;
pub use rule::{Agent, Match, Network, RULES, Rule, SOURCES, Tells};

pub mod form;

/// Bytes of a user agent that are looked at; those of browsers have some 150.
const MAX_AGENT: usize = 512;
/// Nobody has a message, opens it and asks for its pictures within so many seconds of its token's minting; machines do.
pub const TOO_SOON_SECONDS: i64 = 10;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Fetch {
    /// A card.
    #[default]
    Picture,
    /// A click.
    Link,
}

/// What is known of one request, in memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// What it says of itself; empty if nothing.
    pub user_agent: &'a str,
    /// Asked with HEAD.
    pub head: bool,
    /// What for.
    pub fetch: Fetch,
    /// The network's number.
    pub asn: Option<u32>,
    /// The network's name; empty if unknown.
    pub organisation: &'a str,
    /// Since the token was minted. Senders mint days ahead, so that only a short time tells anything; one in the future does not.
    pub seconds_since_minted: Option<i64>,
}

/// Who it was, and what that is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which software.
    pub mailbox: Mailbox,
    /// How far the request's geography can be trusted.
    pub grade: Grade,
    /// A person asked for it, opening or clicking. Otherwise it was served and maybe never seen.
    pub seen: bool,
    /// Names of the rules that led here.
    pub rules: Vec<&'static str>,
}

impl<'a> Evidence<'a> {
    /// Evidence with an edge's hints.
    #[must_use]
    pub fn new(user_agent: &'a str, hints: &'a Hints) -> Self {
        let organisation = hints.organisation.as_deref().unwrap_or_default();
        Self { user_agent, asn: hints.asn, organisation, ..Self::default() }
    }
}

/// Judges a request. This never fails: who is not known is [`Mailbox::Unknown`].
#[must_use]
pub fn classify(evidence: &Evidence<'_>) -> Verdict {
    let user_agent = lower(evidence.user_agent.trim());
    let organisation = lower(evidence.organisation);
    let agent = RULES.iter().find_map(|rule| match rule.tells {
        Tells::Agent(agent) if rule.matches.holds(&user_agent, None) => Some((rule.name, agent)),
        _ => None,
    });
    let network = RULES.iter().find_map(|rule| match rule.tells {
        Tells::Network(network) if rule.matches.holds(&organisation, evidence.asn) => Some((rule.name, network)),
        _ => None,
    });
    let too_soon = evidence.seconds_since_minted.is_some_and(|seconds| (0..TOO_SOON_SECONDS).contains(&seconds));
    // A network that no rule knows is an access network: homes, offices, cafés.
    let known_network = evidence.asn.is_some() || !organisation.is_empty();

    let (agent_rule, agent) = agent.map_or((None, Agent::Other), |(name, agent)| (Some(name), agent));
    let (network_rule, network) = match network {
        Some((name, network)) => (Some(name), network),
        None if known_network => (Some("access-network"), Network::Access),
        None => (Some("no-network"), Network::Unknown),
    };
    let time_rule = too_soon.then_some("too-soon");
    let method_rule = evidence.head.then_some("head");
    let (mailbox, grade, seen) = if evidence.head {
        (Mailbox::Scanner, Grade::None, false)
    } else {
        judge(agent, network, evidence.fetch, too_soon)
    };
    let rules = [method_rule, agent_rule, network_rule, time_rule].into_iter().flatten().collect();
    Verdict { mailbox, grade, seen, rules }
}

/// Mailbox, trust in its geography, and whether a person asked.
fn judge(agent: Agent, network: Network, fetch: Fetch, too_soon: bool) -> (Mailbox, Grade, bool) {
    use Network::{Access, Apple, Carrier, Google, Hosting, Microsoft, Relay, Security, Unknown, Vpn, Yahoo};
    const SCANNER: (Mailbox, Grade, bool) = (Mailbox::Scanner, Grade::None, false);
    const NOBODY: (Mailbox, Grade, bool) = (Mailbox::Unknown, Grade::None, false);
    // Their caches answer for readers, who are elsewhere.
    let cache = |mailbox| (mailbox, Grade::None, !too_soon);
    let person = |grade| if too_soon { SCANNER } else { (Mailbox::Direct, grade, true) };
    match (agent, network) {
        (Agent::Scanner | Agent::Tool, _) | (_, Security) => SCANNER,
        (Agent::Preview, _) => NOBODY,

        (Agent::GmailCache, Google | Unknown) => cache(Mailbox::Gmail),
        (Agent::GmailPrefetch, Google | Unknown) => (Mailbox::Gmail, Grade::None, false),
        (Agent::YahooCache, Yahoo | Unknown) => cache(Mailbox::Yahoo),
        // Nobody else's network has these caches: someone pretends. Twelve-year-old Edge is only ever said by machines.
        (Agent::GmailPrefetch, Microsoft) if fetch == Fetch::Picture => (Mailbox::Outlook, Grade::None, false),
        (Agent::GmailPrefetch, _) => SCANNER,
        (Agent::GmailCache | Agent::YahooCache, _) => NOBODY,

        // Apple prefetches whether or not anybody reads; its relay has the city at best.
        (Agent::AppleCache, Apple | Relay | Unknown) => (Mailbox::Apple, Grade::Coarse, false),
        (Agent::AppleCache, _) => NOBODY,
        // Mail behind Apple's relay, which Safari uses too: a link was clicked, a picture may have been prefetched.
        (Agent::AppleMail, Apple | Relay) if fetch == Fetch::Picture => (Mailbox::Apple, Grade::Coarse, false),

        // Outlook's readers get pictures through Microsoft, but their clicks come from themselves: what follows a link there
        // tries it, and what fetches a picture at once does, too.
        (_, Microsoft) if fetch == Fetch::Link || too_soon => SCANNER,
        (_, Microsoft) => (Mailbox::Outlook, Grade::None, true),
        // A provider's network without its cache: machines try links there, and people work there.
        (_, Google | Yahoo) => NOBODY,

        (Agent::Browser | Agent::MailClient | Agent::AppleMail, Access) => person(Grade::Network),
        (Agent::Browser | Agent::MailClient | Agent::AppleMail, Apple | Relay | Carrier | Hosting | Vpn | Unknown) => {
            person(Grade::Coarse)
        }
        (Agent::Other, Access | Carrier) if !too_soon => (Mailbox::Unknown, Grade::Coarse, false),
        (Agent::Other, _) => NOBODY,
    }
}

/// The first [`MAX_AGENT`] bytes in lower case, whole characters.
fn lower(text: &str) -> String {
    let mut end = text.len().min(MAX_AGENT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_ascii_lowercase()
}
