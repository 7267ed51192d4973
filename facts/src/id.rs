//! Names short enough for a bundle: fingerprints of the identifiers the tables use.

use alloc::string::String;
use core::fmt::{self, Write as _};
use hmac::{Hmac, KeyInit, Mac};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A reader as profiles, routes and logs know them: the first 8 bytes of HMAC-SHA-256(secret, `user_id`).
///
/// Written as 16 hexadecimal digits in the order of those bytes, it is what any backend's HMAC prints, cut to 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReaderId(pub u64);

/// What is said of a path or a field that is no reader.
pub const NO_READER: &str =
    "expected a reader: 16 hexadecimal digits of HMAC-SHA-256(secret, user_id), as `freshrank reader` prints";

impl ReaderId {
    /// The reader of this `user_id`, by the operator's secret.
    #[must_use]
    pub fn of(secret: &[u8], user_id: &str) -> Self {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
            return Self(0);
        };
        mac.update(user_id.as_bytes());
        let digest = mac.finalize().into_bytes();
        Self(digest.iter().take(8).rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    /// Reads 16 hexadecimal digits, capitals or not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let bytes = u64::from_str_radix(text, 16).ok().filter(|_| is_hex);
        bytes.map(|bytes| Self(bytes.swap_bytes()))
    }
}

impl fmt::Display for ReaderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0.swap_bytes())
    }
}

/// The first 8 bytes of SHA-256 of a `merchant_id`; equal scores are ordered by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MerchantId(pub u64);

impl MerchantId {
    /// The fingerprint of the tables' `merchant_id`.
    #[must_use]
    pub fn of(merchant_id: &str) -> Self {
        Self(u64::from_le_bytes(first(merchant_id)))
    }

    /// What a profile keeps of it: enough to tell the few thousand merchants of an area apart.
    #[must_use]
    pub fn short(self) -> u32 {
        (self.0 & 0xFFFF_FFFF) as u32
    }
}

impl fmt::Display for MerchantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for MerchantId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MerchantId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        match u64::from_str_radix(&text, 16) {
            Ok(id) if hex => Ok(Self(id)),
            _ => Err(D::Error::custom("a merchant's fingerprint is 16 hexadecimal digits")),
        }
    }
}

/// The first 4 bytes of SHA-256 of a `chain_id`; 0 where there is no chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ChainId(pub u32);

impl ChainId {
    /// A merchant of its own.
    pub const NONE: Self = Self(0);

    /// The fingerprint of the tables' `chain_id`; never [`ChainId::NONE`].
    #[must_use]
    pub fn of(chain_id: &str) -> Self {
        let id = u32::from_le_bytes(first(chain_id));
        Self(if id == 0 { 1 } else { id })
    }

    /// Whether there is a chain at all.
    #[must_use]
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }

    /// What a profile keeps of it.
    #[must_use]
    pub fn short(self) -> u16 {
        (self.0 & 0xFFFF) as u16
    }
}

/// SHA-256 of some bytes, cut to 16: which model, bundle or campaign made a decision.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 16]);

impl Hash {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        Self(hash)
    }

    /// Reads 32 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 32 {
            return None;
        }
        let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
        let mut hash = [0; 16];
        for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(hash))
    }

    /// The first 8 bytes, for places where 16 are too many.
    #[must_use]
    pub fn short(self) -> u64 {
        let mut short = [0; 8];
        short.copy_from_slice(&self.0[..8]);
        u64::from_le_bytes(short)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Lower-case hexadecimal digits of some bytes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn first<const N: usize>(text: &str) -> [u8; N] {
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let mut bytes = [0; N];
    bytes.copy_from_slice(&digest[..N]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    /// A backend in any language is held to the same lines.
    #[test]
    fn a_reader_is_hmac_sha256_as_every_language_computes_it() {
        #[derive(Deserialize)]
        struct Vector {
            secret: String,
            user_id: String,
            reader: String,
        }
        let vectors: alloc::vec::Vec<Vector> =
            serde_json::from_slice(include_bytes!("../../tests/readers.json")).unwrap();
        assert!(vectors.len() > 5);
        for Vector { secret, user_id, reader } in vectors {
            let id = ReaderId::of(secret.as_bytes(), &user_id);
            assert_eq!(id.to_string(), reader, "{user_id}");
            assert_eq!(ReaderId::parse(&reader), Some(id));
            assert_eq!(ReaderId::parse(&reader.to_uppercase()), Some(id));
        }
        for nobody in ["", "0", "5bdcc146bf60754", "5bdcc146bf60754e6", "+bdcc146bf60754e", "anna@example.com"] {
            assert_eq!(ReaderId::parse(nobody), None, "{nobody}");
        }
    }
}
