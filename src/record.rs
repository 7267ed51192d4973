//! What is written down of an open and of a click, with consent: one JSON object a line.
//!
//! A message is known by the hash of its id alone, a mailbox by its kind: no address, no user agent, no position. The sender joins
//! readers from its own list of message ids.

use crate::areas::Step;
use crate::bundle::Display;
use crate::context::{Context, Mailbox};
use crate::decision::Decision;
use crate::geo::Cell;
use crate::id::MerchantId;
use crate::mailbox::Verdict;
use crate::score::SCORE_STEPS;
use crate::time;
use crate::token::Token;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Record {
    /// A slate was decided upon.
    Decision(Decided),
    /// A person looked at a slate that was only served until then.
    Look(Look),
    /// A link was followed.
    Click(Click),
}

/// A decision whose pictures were fetched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// RFC 3339 in UTC.
    pub at: String,
    /// The hash of the sender's message id, 32 hexadecimal digits.
    pub message: String,
    /// Which campaign.
    pub campaign: String,
    /// Home of the reader.
    pub market: String,
    /// The reader's side of the campaign's experiment; absent for the control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<String>,
    /// Who fetched it.
    pub how: How,
    /// Through what.
    pub mailbox: Mailbox,
    /// How the area was found.
    pub step: Step,
    /// The area decided in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<Cell>,
    /// What chance was drawn from.
    pub seed: u64,
    /// What made it.
    pub versions: Versions,
    /// What it showed.
    pub slots: Vec<Slot>,
}

/// Whether somebody was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// A cache or a machine fetched it.
    Served,
    /// A person did.
    Seen,
}

/// Hashes of what made a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Of the ONNX file.
    pub model: String,
    /// Of the columns.
    pub columns: String,
    /// Of the area bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    /// Of the published campaign.
    pub campaign: String,
    /// Of the merged configuration.
    pub policy: String,
}

/// What one slot showed; one with the fallback card is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// From 1.
    pub slot: u8,
    /// As the tables call it; absent where the area's display block was not at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant_id: Option<String>,
    /// Its fingerprint.
    pub merchant: MerchantId,
    /// What ranked it.
    pub score: f64,
    /// How likely it was to stand here, given those before it; 1 where nothing was drawn.
    pub propensity: f64,
}

/// A look at a slate that was fetched before, by nobody or by who knows whom. What it showed stands in the record of its decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// RFC 3339 in UTC.
    pub at: String,
    /// The hash of the sender's message id, 32 hexadecimal digits.
    pub message: String,
    /// Which campaign.
    pub campaign: String,
    /// Through what.
    pub mailbox: Mailbox,
    /// The `at` of the decision.
    pub decided_at: String,
}

/// A link that was followed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Click {
    /// RFC 3339 in UTC.
    pub at: String,
    /// The hash of the sender's message id, 32 hexadecimal digits.
    pub message: String,
    /// Which campaign.
    pub campaign: String,
    /// From 1.
    pub slot: u8,
    /// Where it went, as the tables call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant_id: Option<String>,
    /// From what.
    pub mailbox: Mailbox,
    /// A machine tried the link: never a label.
    pub scanner: bool,
    /// What it opened.
    pub opened: Opened,
}

/// What a click opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Opened {
    /// What its picture showed.
    Merchant,
    /// All that its picture may have shown.
    Landing,
    /// Open ones, since what its picture showed takes no orders any more.
    Alternatives,
    /// The campaign's list, since nobody knows what its picture showed.
    List,
}

impl Decided {
    /// The record of a decision for a message; merchants are named as far as their display block is at hand.
    #[must_use]
    pub fn of(
        decision: &Decision,
        display: Option<&Display>,
        token: &Token,
        verdict: &Verdict,
        context: &Context,
        step: Step,
    ) -> Self {
        let hashes = &decision.hashes;
        let slots = decision.placements.iter().zip(1..).filter_map(|(placement, slot)| {
            let i = placement.candidate?;
            let merchant = decision.kept.get(i)?.merchant.id;
            Some(Slot {
                slot,
                merchant_id: display.and_then(|block| block.card(merchant)).map(|card| card.merchant_id),
                merchant,
                score: f64::from(decision.scores.get(i)?.total()) / f64::from(SCORE_STEPS),
                propensity: placement.draw.map_or(1.0, |draw| draw.propensity),
            })
        });
        Self {
            at: time::format(context.at),
            message: message(token),
            campaign: token.campaign.clone(),
            market: token.market.clone(),
            arm: decision.arm.clone(),
            how: if verdict.seen { How::Seen } else { How::Served },
            mailbox: verdict.mailbox,
            step,
            cell: decision.cell,
            seed: context.seed,
            versions: Versions {
                model: hashes.model.to_string(),
                columns: hashes.features.to_string(),
                bundle: hashes.area.map(|hash| hash.to_string()),
                campaign: hashes.campaign.to_string(),
                policy: hashes.policy.to_string(),
            },
            slots: slots.collect(),
        }
    }
}

impl Look {
    /// The record of a look at what was decided at a time, seconds since 1970.
    #[must_use]
    pub fn of(token: &Token, verdict: &Verdict, at: i64, decided_at: i64) -> Self {
        Self {
            at: time::format(at),
            message: message(token),
            campaign: token.campaign.clone(),
            mailbox: verdict.mailbox,
            decided_at: time::format(decided_at),
        }
    }
}

impl Click {
    /// The record of a click on a slot, from 1.
    #[must_use]
    pub fn of(
        token: &Token,
        verdict: &Verdict,
        at: i64,
        slot: u8,
        opened: Opened,
        merchant_id: Option<String>,
    ) -> Self {
        Self {
            at: time::format(at),
            message: message(token),
            campaign: token.campaign.clone(),
            slot,
            merchant_id,
            mailbox: verdict.mailbox,
            scanner: verdict.mailbox == Mailbox::Scanner,
            opened,
        }
    }
}

fn message(token: &Token) -> String {
    token.personal.as_ref().map(|personal| personal.message.to_string()).unwrap_or_default()
}

impl Record {
    /// When, RFC 3339 in UTC.
    #[must_use]
    pub fn at(&self) -> &str {
        match self {
            Self::Decision(Decided { at, .. }) | Self::Look(Look { at, .. }) | Self::Click(Click { at, .. }) => at,
        }
    }

    /// The hash of the sender's message id, 32 hexadecimal digits; empty for nobody's.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Decision(Decided { message, .. })
            | Self::Look(Look { message, .. })
            | Self::Click(Click { message, .. }) => message,
        }
    }

    /// Which campaign.
    #[must_use]
    pub fn campaign(&self) -> &str {
        match self {
            Self::Decision(Decided { campaign, .. })
            | Self::Look(Look { campaign, .. })
            | Self::Click(Click { campaign, .. }) => campaign,
        }
    }

    /// The line, without its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Every key is a string and every number finite, so this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}
