//! The token: one message to one reader, sealed, in the address of every picture and link.
//!
//! Whoever carries the mail can read an address; nobody but the holder of a key can read a token, and nobody can change one.
//!
//! | bytes | field |
//! |---|---|
//! | 1, 4 | version, key: readable, and authenticated with the rest |
//! | 24 | nonce: a keyed hash of what is sealed |
//! | 1 | slots; 128 for consent, 64 for a profile |
//! | 4, 4 | minted at, expires at, in seconds since 1970 |
//! | 1 + up to 32 | campaign |
//! | 16 | message, with consent |
//! | 1 + up to 16 | market, where no profile tells it |
//! | 1, 256 | bytes that the profile lacks to its limit, the profile and so many zeros |
//! | 16 | tag |
//!
//! That is [`MAX_BYTES`] when everything is there. With consent the length follows the campaign's name alone: without a profile,
//! zeros stand where it would, since how much is known of a reader would tell regulars from strangers.
//!
//! Minting needs neither clock nor chance: the nonce is HMAC-SHA-256 of the rest under a key of its own, so that the same facts give
//! the same token in every shell, and different ones never share a nonce. What that tells is that two equal tokens are equal.

use crate::id::Hash;
use crate::profile::{self, Profile};
use crate::request::base64url;
use crate::time;
use crate::wire::{DecodeError, Reader};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use core::fmt;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;

pub mod form;

/// Characters of the longest token.
pub const MAX_CHARS: usize = 480;
/// Bytes of the longest token.
pub const MAX_BYTES: usize = HEADER + NONCE + MAX_SEALED + TAG;
/// Bytes of a campaign's name in a token.
pub const MAX_CAMPAIGN: usize = 32;
/// Slots of one message, as a campaign's own limit.
pub const MAX_SLOTS: u8 = 24;
/// Keys that a ring holds.
pub const MAX_KEYS: usize = 16;
/// Letters and digits of a key's name.
pub const MAX_KEY_NAME: usize = 4;

const PART: &str = "token";
const VERSION: u8 = 1;
const HEADER: usize = 1 + MAX_KEY_NAME;
const NONCE: usize = 24;
const TAG: usize = 16;
const MAX_MARKET: usize = crate::bundle::MAX_LAYER;
/// What stands for profile and market with consent.
const READER: usize = 1 + profile::MAX_BYTES;
const MAX_SEALED: usize = 1 + 8 + 1 + MAX_CAMPAIGN + 16 + READER;

const CONSENT: u8 = 128;
const PROFILE: u8 = 64;
const SLOTS: u8 = 31;
const HOUR: i64 = 3600;

/// One message, to one reader or to all of a market.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Token {
    /// Which campaign.
    pub campaign: String,
    /// Home of the reader, as `fi/helsinki`; their profile says the same.
    pub market: String,
    /// Seconds since 1970. Senders mint days ahead: a hint of when the message went out, no more.
    pub minted_at: i64,
    /// Seconds since 1970; from then on a token is expired.
    pub expires_at: i64,
    /// Pictures of the message.
    pub slots: u8,
    /// Absent without consent: then everybody of a campaign and a market has the same token.
    pub personal: Option<Personal>,
}

/// What only a message to one reader carries.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Personal {
    /// [`Hash::of`] the sender's message id.
    pub message: Hash,
    /// Absent for a reader nothing is known of.
    pub profile: Option<Profile>,
}

/// A token that a key has opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// Which key.
    pub key: KeyName,
    /// What was sealed.
    pub token: Token,
}

/// What can be read of a token without its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Which key it asks for.
    pub key: KeyName,
    /// Of the token.
    pub bytes: usize,
}

/// Whether a token still counts; what to show for one that does not is the caller's to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Now is before its expiry.
    Valid,
    /// Now is at its expiry, or after it.
    Expired,
}

/// Why a token cannot be minted, or is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Not a token's alphabet.
    #[error("token is not base64url: {0}")]
    Text(base64::DecodeError),
    /// Not a token's layout.
    #[error(transparent)]
    Layout(#[from] DecodeError),
    /// The message goes to another market than its reader's.
    #[error("token is of market {market:?}, its profile of {profile:?}")]
    Market {
        /// The token's.
        market: String,
        /// The profile's.
        profile: String,
    },
    /// No key of this name, or none any more.
    #[error("token asks for key {key}, the ring has {known}")]
    Key {
        /// The token's.
        key: KeyName,
        /// Names, separated by commas.
        known: String,
    },
    /// The tag does not fit.
    #[error("token does not open with key {key}: something was changed, or another key of that name minted it")]
    Sealed {
        /// The token's.
        key: KeyName,
    },
}

impl Token {
    /// Seals the token with the newest key: the same token and ring give the same text.
    ///
    /// # Errors
    /// Names what is over its limit, and a profile of another market.
    pub fn mint(&self, keys: &Keys) -> Result<String, TokenError> {
        let key = &keys.newest;
        let mut sealed = self.encode()?;
        let header = key.name.header();
        let nonce = key.nonce_of(&header, &sealed);
        // It fails beyond 256 GB.
        let tag = key
            .cipher()
            .encrypt_inout_detached(&nonce.into(), &header, sealed.as_mut_slice().into())
            .map_err(|_| TokenError::Sealed { key: key.name })?;
        Ok(base64url(&[&header[..], &nonce, &sealed, &tag].concat()))
    }

    /// Opens a token with the key it names, whether or not it is expired.
    ///
    /// # Errors
    /// Whatever is not, to the bit, what [`Token::mint`] gave with a key of the ring.
    pub fn open(text: &str, keys: &Keys) -> Result<Opened, TokenError> {
        let bytes = bytes(text)?;
        let mut r = Reader::new(PART, &bytes);
        let name = header(&mut r)?;
        let nonce = r.array::<NONCE>("the nonce")?;
        let length = bytes.len().saturating_sub(r.at + TAG);
        let mut sealed = r.take("what is sealed", length)?.to_vec();
        let tag = r.array::<TAG>("the tag")?;
        let key = keys.get(name).ok_or_else(|| TokenError::Key { key: name, known: keys.names() })?;
        // The tag is compared in constant time, and nothing is looked at before.
        key.cipher()
            .decrypt_inout_detached(&nonce.into(), &name.header(), sealed.as_mut_slice().into(), &tag.into())
            .map_err(|_| TokenError::Sealed { key: name })?;
        Ok(Opened { key: name, token: Self::decode(&sealed)? })
    }

    /// Whether it still counts.
    #[must_use]
    pub fn verdict(&self, now: i64) -> Verdict {
        if now < self.expires_at { Verdict::Valid } else { Verdict::Expired }
    }

    /// The token as [`Token::open`] gives it back: without consent times are whole hours, the first down and the second up, since
    /// the second that a token was minted in would tell readers apart.
    #[must_use]
    pub fn blurred(mut self) -> Self {
        (self.minted_at, self.expires_at) = self.times();
        self
    }

    fn times(&self) -> (i64, i64) {
        let hour = |at: i64| at.div_euclid(HOUR).saturating_mul(HOUR);
        match self.personal {
            Some(_) => (self.minted_at, self.expires_at),
            None => (hour(self.minted_at), hour(self.expires_at.saturating_add(HOUR - 1))),
        }
    }

    /// What is sealed, as [`Token::decode`] reads it.
    ///
    /// # Errors
    /// As [`Token::mint`].
    pub fn encode(&self) -> Result<Vec<u8>, TokenError> {
        let text = |what, text: &str, limit: usize| match text.len() {
            found if found <= limit => Ok(found as u8),
            found => Err(DecodeError::Limit { part: PART, what, found, limit }),
        };
        let (what, expected) = ("slots", "1 to 24");
        if !(1..=MAX_SLOTS).contains(&self.slots) {
            return Err(DecodeError::Value { part: PART, what, at: 0, found: self.slots.into(), expected }.into());
        }
        let profile = self.personal.as_ref().and_then(|personal| personal.profile.as_ref());
        let flags = if self.personal.is_some() { CONSENT } else { 0 } | if profile.is_some() { PROFILE } else { 0 };
        let mut bytes = Vec::with_capacity(MAX_SEALED);
        bytes.push(self.slots | flags);
        let (minted_at, expires_at) = self.times();
        for (what, at) in [("a minting time", minted_at), ("an expiry", expires_at)] {
            let expected = "seconds from 1970 to 2099";
            let value = u32::try_from(at).ok().filter(|at| i64::from(*at) <= time::LATEST);
            let value = value.ok_or(DecodeError::Value { part: PART, what, at: 0, found: at, expected })?;
            bytes.extend(value.to_le_bytes());
        }
        bytes.push(text("bytes of campaign", &self.campaign, MAX_CAMPAIGN)?);
        bytes.extend(self.campaign.as_bytes());
        if let Some(personal) = &self.personal {
            bytes.extend(personal.message.0);
        }
        let reader = bytes.len();
        match profile {
            Some(profile) => {
                if profile.market != self.market {
                    return Err(TokenError::Market { market: self.market.clone(), profile: profile.market.clone() });
                }
                let profile = profile.encode()?;
                let lacking =
                    profile::MAX_BYTES.checked_sub(profile.len()).and_then(|lacking| u8::try_from(lacking).ok());
                let limit = profile::MAX_BYTES;
                let (what, found) = ("bytes of profile", profile.len());
                bytes.push(lacking.ok_or(DecodeError::Limit { part: PART, what, found, limit })?);
                bytes.extend(profile);
            }
            None => {
                bytes.push(text("bytes of market", &self.market, MAX_MARKET)?);
                bytes.extend(self.market.as_bytes());
            }
        }
        if self.personal.is_some() {
            bytes.resize(reader + READER, 0);
        }
        Ok(bytes)
    }

    /// Reads what was sealed.
    ///
    /// # Errors
    /// Names the field that is cut off, over a limit, or cannot be.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(PART, bytes);
        r.limit("bytes sealed", bytes.len(), MAX_SEALED)?;
        let value =
            |what, found: u8, expected| DecodeError::Value { part: PART, what, at: 0, found: found.into(), expected };
        let first = r.u8("the slots")?;
        let slots = first & SLOTS;
        if !(1..=MAX_SLOTS).contains(&slots) {
            return Err(value("slots", slots, "1 to 24"));
        }
        let (consent, has_profile) = (first & CONSENT != 0, first & PROFILE != 0);
        if first & !(CONSENT | PROFILE | SLOTS) != 0 || has_profile && !consent {
            return Err(value("flags", first & !SLOTS, "none, 128 for consent, or 192 with a profile"));
        }
        let minted_at = i64::from(r.u32("the minting time")?);
        let expires_at = i64::from(r.u32("the expiry")?);
        let campaign = string(&mut r, "the campaign", "bytes of campaign", MAX_CAMPAIGN)?;
        let message = if consent { Some(Hash(r.array("the message")?)) } else { None };
        let end = r.at + READER;
        let mut profile = None;
        let market = if has_profile {
            let lacking = usize::from(r.u8("the profile")?);
            let found = Profile::decode(r.take("the profile", profile::MAX_BYTES - lacking)?)?;
            profile.insert(found).market.clone()
        } else {
            string(&mut r, "the market", "bytes of market", MAX_MARKET)?
        };
        if consent {
            let rest = r.take("the padding", end.saturating_sub(r.at))?;
            if let Some(found) = rest.iter().find(|byte| **byte != 0) {
                return Err(value("padding", *found, "0"));
            }
        }
        r.end()?;
        let personal = message.map(|message| Personal { message, profile });
        Ok(Self { campaign, market, minted_at, expires_at, slots, personal })
    }
}

impl Header {
    /// Reads what stands before the nonce.
    ///
    /// # Errors
    /// Where that is not a token.
    pub fn read(text: &str) -> Result<Self, TokenError> {
        let bytes = bytes(text)?;
        Ok(Self { key: header(&mut Reader::new(PART, &bytes))?, bytes: bytes.len() })
    }
}

/// The bytes of a text that is not too long to be a token.
fn bytes(text: &str) -> Result<Vec<u8>, TokenError> {
    Reader::new(PART, &[]).limit("characters", text.len(), MAX_CHARS)?;
    URL_SAFE_NO_PAD.decode(text).map_err(TokenError::Text)
}

fn header(r: &mut Reader<'_>) -> Result<KeyName, DecodeError> {
    match r.u8("the version")? {
        VERSION => r.array("the key").map(KeyName),
        found => Err(DecodeError::Version { part: PART, found: found.into(), expected: VERSION.into() }),
    }
}

fn string(r: &mut Reader<'_>, what: &'static str, of: &'static str, limit: usize) -> Result<String, DecodeError> {
    let length = usize::from(r.u8(what)?);
    let length = r.limit(of, length, limit)?;
    let text = core::str::from_utf8(r.take(what, length)?).map_err(|error| {
        let found = error.valid_up_to() as i64;
        DecodeError::Value { part: PART, what, at: 0, found, expected: "UTF-8" }
    })?;
    Ok(text.to_string())
}

/// What a key is called: up to [`MAX_KEY_NAME`] letters and digits, then zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyName([u8; MAX_KEY_NAME]);

impl KeyName {
    /// Reads a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut name = [0; MAX_KEY_NAME];
        let fits = (1..=MAX_KEY_NAME).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        name.get_mut(..text.len()).filter(|_| fits)?.copy_from_slice(text.as_bytes());
        Some(Self(name))
    }

    fn header(self) -> [u8; HEADER] {
        let [a, b, c, d] = self.0;
        [VERSION, a, b, c, d]
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A stranger's token may have anything there.
        let end = self.0.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        write!(f, "{}", self.0.get(..end).unwrap_or_default().escape_ascii())
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Keys by name: the first one mints, all of them open.
#[derive(Debug, Clone)]
pub struct Keys {
    newest: Key,
    older: Vec<Key>,
}

/// What a key is used for, each with a key of its own.
#[derive(Clone)]
struct Key {
    name: KeyName,
    encryption: [u8; 32],
    nonce: [u8; 32],
}

/// Why there is no ring; never with the text of a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeysError {
    /// Nobody set one.
    #[error("no token key: expected a line `NAME KEY`, the key 32 random bytes in base64url; the first line mints")]
    None,
    /// More than are read.
    #[error("found more than {MAX_KEYS} token keys: take out those whose tokens are all expired")]
    TooMany,
    /// A line that is no key.
    #[error("token keys, line {line}: {problem}")]
    Line {
        /// From 1.
        line: usize,
        /// What was found and what was expected.
        problem: String,
    },
}

impl Keys {
    /// Reads lines of `NAME KEY`, a key being 32 bytes in base64url; empty lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// Names the line that is no key, or repeats a name.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let mut keys: Vec<Key> = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if keys.len() == MAX_KEYS {
                return Err(KeysError::TooMany);
            }
            let key = Key::parse(line).and_then(|key| match keys.iter().find(|other| other.name == key.name) {
                Some(_) => Err("a name that stands above already, expected another"),
                None => Ok(key),
            });
            let problem = |problem: &str| KeysError::Line { line: i + 1, problem: alloc::format!("found {problem}") };
            keys.push(key.map_err(problem)?);
        }
        let mut keys = keys.into_iter();
        let newest = keys.next().ok_or(KeysError::None)?;
        Ok(Self { newest, older: keys.collect() })
    }

    fn get(&self, name: KeyName) -> Option<&Key> {
        core::iter::once(&self.newest).chain(&self.older).find(|key| key.name == name)
    }

    fn names(&self) -> String {
        let names = core::iter::once(&self.newest).chain(&self.older).map(|key| key.name.to_string());
        names.collect::<Vec<_>>().join(", ")
    }
}

impl Key {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let (name, secret) =
            line.split_once(char::is_whitespace).ok_or("one word, expected a name, a blank and a key")?;
        let name = KeyName::parse(name).ok_or("a name that is not 1 to 4 letters and digits")?;
        let secret =
            URL_SAFE_NO_PAD.decode(secret.trim()).map_err(|_| "a key that is not base64url without padding")?;
        let secret: [u8; 32] = secret.try_into().map_err(|_| "a key of another length, expected 32 bytes")?;
        let derived = |usage: &[u8]| hmac(&secret, &[usage]);
        Ok(Self {
            name,
            encryption: derived(b"freshrank token 1: encryption"),
            nonce: derived(b"freshrank token 1: nonce"),
        })
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.encryption.into())
    }

    fn nonce_of(&self, header: &[u8], sealed: &[u8]) -> [u8; NONCE] {
        let hash = hmac(&self.nonce, &[header, sealed]);
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&hash[..NONCE]);
        nonce
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, ...)", self.name)
    }
}

/// HMAC-SHA-256 of some parts one after the other.
fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // A key shorter than the hash's block is one followed by zeros (RFC 2104).
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}
