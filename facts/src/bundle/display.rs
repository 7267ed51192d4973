//! The display block of an area: what a reader sees of a merchant, read only when it is shown.
//!
//! Layout: magic, version, checksum, the bundle's hash, the number of cards, then per card its merchant's id (u64) and the
//! end of its strings (u32), then the strings: each a u16 length and UTF-8.

use crate::id::{Hash, MerchantId};
use crate::wire::{DecodeError, Reader, at, seal};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

const MAGIC: [u8; 4] = *b"FRAD";
const VERSION: u16 = 1;
const PART: &str = "display block";
const CHECKSUM_AT: usize = 6;
const ENTRY_BYTES: usize = 12;
const MAX_BYTES: usize = 16 << 20;
const N_TEXTS: usize = 7;

/// What a reader sees of a merchant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
pub struct Card {
    /// As the tables call it.
    pub merchant_id: String,
    /// As its sign says.
    pub name: String,
    /// `;`-separated labels.
    pub cuisines: String,
    /// Opening hours as the source wrote them.
    pub opening_hours: String,
    /// Where a click goes; empty if nowhere.
    pub url: String,
    /// Its picture; empty if none.
    pub image_url: String,
    /// The chain's name; empty if none.
    pub chain: String,
}

/// The cards of one area.
#[derive(Debug, Clone)]
pub struct Display {
    bytes: Vec<u8>,
    /// Of the bundle these cards belong to.
    pub bundle: Hash,
    n: usize,
    entries_at: usize,
    texts_at: usize,
}

impl Display {
    /// Writes the cards, ascending by merchant; a text longer than 65,535 bytes is cut at a character.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] where all together are over 16 MiB.
    pub fn encode(bundle: Hash, cards: &[Card]) -> Result<Vec<u8>, DecodeError> {
        let mut cards: Vec<(MerchantId, &Card)> = cards.iter().map(|c| (MerchantId::of(&c.merchant_id), c)).collect();
        cards.sort_by_key(|(id, _)| *id);
        let (mut entries, mut texts) = (Vec::new(), Vec::new());
        for (id, card) in &cards {
            for text in card.texts() {
                let end = (0..=text.len().min(usize::from(u16::MAX))).rev().find(|&i| text.is_char_boundary(i));
                let text = &text[..end.unwrap_or(0)];
                texts.extend((text.len() as u16).to_le_bytes());
                texts.extend(text.as_bytes());
            }
            entries.extend(id.0.to_le_bytes());
            entries.extend((texts.len() as u32).to_le_bytes());
        }
        let mut bytes = Vec::new();
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(bundle.0);
        bytes.extend((cards.len() as u32).to_le_bytes());
        bytes.extend(entries);
        bytes.extend(texts);
        if bytes.len() > MAX_BYTES {
            return Err(DecodeError::Limit { part: PART, what: "bytes", found: bytes.len(), limit: MAX_BYTES });
        }
        seal(&mut bytes, CHECKSUM_AT);
        Ok(bytes)
    }

    /// Checks every byte once.
    ///
    /// # Errors
    /// Names the section that is cut off, over a limit, or damaged.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, DecodeError> {
        let mut r = Reader::new(PART, &bytes);
        r.limit("bytes", bytes.len(), MAX_BYTES)?;
        r.magic(MAGIC, VERSION)?;
        r.take("the checksum", 4)?;
        let bundle = Hash(r.array("the bundle's hash")?);
        let n = r.u32("the number of cards")? as usize;
        let n = r.limit("cards", n, super::MAX_MERCHANTS)?;
        let entries_at = r.at;
        let entries = r.take("the entries", n * ENTRY_BYTES)?;
        let texts_at = r.at;
        let mut start = 0;
        for (i, entry) in entries.chunks_exact(ENTRY_BYTES).enumerate() {
            let end = u32::from_le_bytes(at(entry, 8)) as usize;
            for _ in 0..N_TEXTS {
                let length = usize::from(r.u16("a card's texts")?);
                let text = r.take("a card's texts", length)?;
                start += 2 + length;
                if core::str::from_utf8(text).is_err() {
                    return Err(DecodeError::Value { part: PART, what: "text", at: i, found: 0, expected: "UTF-8" });
                }
            }
            if end != start {
                let found = end as i64;
                return Err(DecodeError::Value {
                    part: PART,
                    what: "card's end",
                    at: i,
                    found,
                    expected: "the end of its texts",
                });
            }
        }
        r.end()?;
        r.at = CHECKSUM_AT;
        r.checksum()?;
        Ok(Self { bytes, bundle, n, entries_at, texts_at })
    }

    /// How many cards there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The card of a merchant; entries ascend by id.
    #[must_use]
    pub fn card(&self, id: MerchantId) -> Option<Card> {
        let (mut low, mut high) = (0, self.n);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.id(middle) < id { low = middle + 1 } else { high = middle }
        }
        (low < self.n && self.id(low) == id).then(|| self.nth(low))
    }

    fn id(&self, i: usize) -> MerchantId {
        MerchantId(u64::from_le_bytes(at(&self.bytes, self.entries_at + i * ENTRY_BYTES)))
    }

    fn nth(&self, i: usize) -> Card {
        let start = match i.checked_sub(1) {
            Some(before) => u32::from_le_bytes(at(&self.bytes, self.entries_at + before * ENTRY_BYTES + 8)) as usize,
            None => 0,
        };
        let mut r = Reader { part: PART, bytes: &self.bytes, at: self.texts_at + start };
        let mut text = || -> String {
            let length = r.u16("a text").unwrap_or(0);
            let bytes = r.take("a text", usize::from(length)).unwrap_or(&[]);
            String::from_utf8_lossy(bytes).into_owned()
        };
        Card {
            merchant_id: text(),
            name: text(),
            cuisines: text(),
            opening_hours: text(),
            url: text(),
            image_url: text(),
            chain: text(),
        }
    }
}

impl Card {
    fn texts(&self) -> [&str; N_TEXTS] {
        let Self { merchant_id, name, cuisines, opening_hours, url, image_url, chain } = self;
        [merchant_id, name, cuisines, opening_hours, url, image_url, chain].map(String::as_str)
    }
}
