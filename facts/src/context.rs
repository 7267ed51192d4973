//! One open or one send: what is known of it, and how far it can be trusted.
//!
//! The shells fill this in; the engine reads no clock and no network.

use crate::geo::Point;
use crate::id::MerchantId;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One open or one send.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Context {
    /// Seconds since 1970-01-01T00:00:00Z: when the message is read, or sent.
    pub at: i64,
    /// Where the request says it comes from.
    pub request: Option<Fix>,
    /// The last thing the reader did that tells a place.
    pub last_event: Option<LastEvent>,
    /// Which software fetched it.
    pub mailbox: Mailbox,
    /// Breaks nothing but ties of chance; the same seed gives the same decision.
    pub seed: u64,
    /// Shown by other blocks of the same message, and so never by this one.
    pub elsewhere: Vec<MerchantId>,
    /// Shown by the reader's last messages, the newest first.
    pub recent: Vec<Vec<MerchantId>>,
}

/// A position of the request with its trust.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fix {
    /// Where.
    pub point: Point,
    /// How far to trust it.
    pub grade: Grade,
}

/// How far the request's geography can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// The app's own position.
    Exact,
    /// A direct connection: tens of kilometres, the city at best.
    Network,
    /// A relay or a carrier: the region, and never between places of one city.
    Coarse,
    /// A proxy's own position: tells nothing of the reader.
    #[default]
    None,
}

/// Something the reader did.
#[derive(Debug, Clone, PartialEq)]
pub struct LastEvent {
    /// `trip_end`, `app_open`, ...
    pub kind: String,
    /// Where.
    pub point: Point,
    /// Seconds since 1970; later than the context's own time it is no evidence.
    pub at: i64,
}

/// Which software fetched the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Mailbox {
    /// A person's own client.
    Direct,
    /// Google's image proxy.
    Gmail,
    /// Yahoo's image proxy.
    Yahoo,
    /// Microsoft's image proxy.
    Outlook,
    /// Apple's relay or prefetch.
    Apple,
    /// A security scanner; never counts as a reader.
    Scanner,
    /// A sender's own call.
    Sender,
    /// Anything else.
    #[default]
    Unknown,
}

impl Mailbox {
    /// As JSON has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Gmail => "gmail",
            Self::Yahoo => "yahoo",
            Self::Outlook => "outlook",
            Self::Apple => "apple",
            Self::Scanner => "scanner",
            Self::Sender => "sender",
            Self::Unknown => "unknown",
        }
    }
}
