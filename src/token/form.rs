//! Minting and opening as JSON: the same text from the command line, Node and every sender.

use crate::id::{Hash, NO_READER, ReaderId, hex};
use crate::profile::Profile;
use crate::request::{MAX_BODY, MAX_NAME, RequestError, base64url, from_base64url, worded};
use crate::time;
use crate::token::{Keys, MAX_CAMPAIGN, MAX_SLOTS, Opened, Personal, Token, Verdict};
use alloc::format;
use alloc::string::{String, ToString};
use serde::{Deserialize, Serialize};

/// How long a token counts where nobody says it: as long as its slates are kept.
pub const DEFAULT_DAYS: i64 = 30;

/// A message to mint a token for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct MintRequest {
    /// Echoed in the reply, so that a sender finds its line again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Which campaign; at most 32 letters, digits, - and _.
    pub campaign: String,
    /// Home of the reader, as `fi/helsinki`; absent it is the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market: Option<String>,
    /// The sender's own id of this message to this reader; a token has its hash. Needed with consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The reader, 16 hexadecimal digits of HMAC(secret, `user_id`), where no profile tells it: a stranger who consented may object, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<String>,
    /// RFC 3339; a shell with a clock fills it in where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minted_at: Option<String>,
    /// RFC 3339; 30 days after the minting if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Pictures of the message, 1 to 24.
    pub slots: u8,
    /// Whether the message may be personal: the reader consented, or the law of their market does not ask. Without it message id and
    /// profile are left out, whoever gave them. Absent it is the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<bool>,
    /// The profile's bytes in base64url without padding; absent for a reader nothing is known of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

/// A token, and what became of the request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
pub struct MintReply {
    /// The request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// At most 480 letters, digits, - and _.
    pub token: String,
    /// Which key minted it.
    pub key: String,
    /// Whether it is one reader's; otherwise all of the campaign and the market have it.
    pub personal: bool,
    /// RFC 3339; without consent the hour.
    pub minted_at: String,
    /// RFC 3339.
    pub expires_at: String,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
pub struct OpenReply {
    /// Which key opened it.
    pub key: String,
    /// `valid` or `expired`.
    #[cfg_attr(feature = "types", ts(type = "\"valid\" | \"expired\""))]
    pub verdict: &'static str,
    /// Which campaign.
    pub campaign: String,
    /// Home of the reader.
    pub market: String,
    /// RFC 3339.
    pub minted_at: String,
    /// RFC 3339.
    pub expires_at: String,
    /// Pictures of the message.
    pub slots: u8,
    /// Whether it is one reader's.
    pub personal: bool,
    /// Bytes of the profile; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_bytes: Option<usize>,
    /// The hash of the message id; only when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The profile in base64url; only when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

impl MintRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// What is no JSON, or no request.
    pub fn parse(json: &[u8]) -> Result<Self, RequestError> {
        if json.len() > MAX_BODY {
            return Err(RequestError::TooLong { found: json.len() });
        }
        serde_json::from_slice(json).map_err(|error| RequestError::Json(worded(&error)))
    }

    /// The token to mint; `now` (seconds since 1970) stands in for an absent time.
    ///
    /// # Errors
    /// Names the field, what was found and what was expected.
    pub fn check(&self, now: i64) -> Result<Token, RequestError> {
        let wrong = |field, problem| RequestError::Value { field, problem };
        let instant = |field, text: &str| time::parse(text).map_err(|problem| wrong(field, problem));
        let named = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if !named(&self.campaign) || !(1..=MAX_CAMPAIGN).contains(&self.campaign.len()) {
            let bytes = self.campaign.len();
            let problem = format!("found {bytes} bytes, expected 1 to {MAX_CAMPAIGN} letters, digits, - and _");
            return Err(wrong("campaign", problem));
        }
        if !(1..=MAX_SLOTS).contains(&self.slots) {
            return Err(wrong("slots", format!("found {}, expected 1 to {MAX_SLOTS}", self.slots)));
        }
        let profile = match &self.profile {
            Some(text) => Some(
                Profile::decode(&from_base64url(text)?)
                    .map_err(|source| RequestError::Decode { field: "profile", source })?,
            ),
            None => None,
        };
        let market = match (&self.market, &profile) {
            (Some(market), Some(profile)) if *market != profile.market => {
                // Where somebody lives is their own: neither is told.
                let problem = "found another than the profile's".into();
                return Err(wrong("market", problem));
            }
            (Some(market), _) => market.clone(),
            (None, Some(profile)) => profile.market.clone(),
            (None, None) => return Err(wrong("market", "found none, expected one, as there is no profile".into())),
        };
        if market.len() > super::MAX_MARKET {
            let problem = format!("found {} bytes, expected at most {}", market.len(), super::MAX_MARKET);
            return Err(wrong("market", problem));
        }
        let minted_at = match &self.minted_at {
            Some(text) => instant("minted_at", text)?,
            None => now.clamp(0, time::LATEST - 1),
        };
        let expires_at = match &self.expires_at {
            Some(text) => instant("expires_at", text)?,
            None => (minted_at + DEFAULT_DAYS * 86_400).min(time::LATEST),
        };
        if expires_at <= minted_at {
            let problem = format!(
                "found {}, expected a time after the minting, {}",
                time::format(expires_at),
                time::format(minted_at)
            );
            return Err(wrong("expires_at", problem));
        }
        let reader = match self.reader.as_deref().map(|text| ReaderId::parse(text).ok_or(NO_READER)) {
            Some(Err(problem)) => return Err(wrong("reader", problem.into())),
            Some(Ok(reader)) => Some(reader.0),
            None => None,
        };
        if let (Some(reader), Some(profile)) = (reader, &profile)
            && reader != profile.reader
        {
            return Err(wrong("reader", "found another than the profile's".into()));
        }
        let consent = self.consent.unwrap_or_else(|| profile.as_ref().is_some_and(|profile| profile.consent));
        let personal = match (&self.message_id, consent) {
            (_, false) => None,
            (Some(id), true) if (1..=MAX_NAME).contains(&id.len()) => {
                let named = |reader| Profile { reader, market: market.clone(), consent, ..Profile::default() };
                Some(Personal { message: Hash::of(id.as_bytes()), profile: profile.or_else(|| reader.map(named)) })
            }
            (Some(id), true) => {
                let problem = format!("found {} bytes, expected 1 to {MAX_NAME}", id.len());
                return Err(wrong("message_id", problem));
            }
            (None, true) => {
                let problem = "found none, expected one: with consent every decision is kept by its message";
                return Err(wrong("message_id", problem.into()));
            }
        };
        let campaign = self.campaign.clone();
        Ok(Token { campaign, market, minted_at, expires_at, slots: self.slots, personal }.blurred())
    }

    /// Mints the token.
    ///
    /// # Errors
    /// As [`MintRequest::check`].
    pub fn answer(&self, keys: &Keys, now: i64) -> Result<MintReply, RequestError> {
        let token = self.check(now)?;
        let text =
            token.mint(keys).map_err(|error| RequestError::Value { field: "token", problem: error.to_string() })?;
        Ok(MintReply {
            id: self.id.clone(),
            token: text,
            key: keys.newest.name.to_string(),
            personal: token.personal.is_some(),
            minted_at: time::format(token.minted_at),
            expires_at: time::format(token.expires_at),
        })
    }
}

impl MintReply {
    /// The reply's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl OpenReply {
    /// Words what a token says at a time; what is one reader's only when asked for.
    #[must_use]
    pub fn new(opened: &Opened, now: i64, with_personal: bool) -> Self {
        let Opened { key, token } = opened;
        let personal = token.personal.as_ref();
        // It was decoded from such bytes.
        let profile = personal.and_then(|personal| personal.profile.as_ref()?.encode().ok());
        Self {
            key: key.to_string(),
            verdict: match token.verdict(now) {
                Verdict::Valid => "valid",
                Verdict::Expired => "expired",
            },
            campaign: token.campaign.clone(),
            market: token.market.clone(),
            minted_at: time::format(token.minted_at),
            expires_at: time::format(token.expires_at),
            slots: token.slots,
            personal: personal.is_some(),
            profile_bytes: profile.as_ref().map(|bytes| bytes.len()),
            message: personal.filter(|_| with_personal).map(|personal| hex(&personal.message.0)),
            profile: profile.filter(|_| with_personal).map(|bytes| base64url(&bytes)),
        }
    }

    /// The reply's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
