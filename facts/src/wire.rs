//! Reading and writing little-endian bytes, with limits known before anything is allocated.

use thiserror::Error;

/// Why bytes are not what they claim to be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Something else than this format.
    #[error("{part} starts with {found:02x?}, expected {expected:02x?}")]
    Magic {
        /// `area bundle`, `profile`, ...
        part: &'static str,
        /// The first four bytes.
        found: [u8; 4],
        /// What the format starts with.
        expected: [u8; 4],
    },
    /// Written by a release this one does not know.
    #[error("{part} has version {found}, this release reads {expected}")]
    Version {
        /// Which format.
        part: &'static str,
        /// In the bytes.
        found: u16,
        /// In this release.
        expected: u16,
    },
    /// Cut off.
    #[error("{part} ends inside {what}: need {need} bytes, have {have}")]
    Truncated {
        /// Which format.
        part: &'static str,
        /// Which section of it.
        what: &'static str,
        /// Bytes from the start up to the section's end.
        need: usize,
        /// Bytes there are.
        have: usize,
    },
    /// More bytes than the format speaks of.
    #[error("{part} has {have} bytes, its header tells {need}")]
    Trailing {
        /// Which format.
        part: &'static str,
        /// What the header adds up to.
        need: usize,
        /// What there is.
        have: usize,
    },
    /// Over a stated limit.
    #[error("{part} has {found} {what}, at most {limit} are allowed")]
    Limit {
        /// Which format.
        part: &'static str,
        /// Of what there are too many.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A bit is wrong somewhere.
    #[error("{part} has checksum {found:08x}, its header tells {expected:08x}")]
    Checksum {
        /// Which format.
        part: &'static str,
        /// Of the bytes.
        found: u32,
        /// In the header.
        expected: u32,
    },
    /// A value that cannot be.
    #[error("{part} has {what} {found} at entry {at}, expected {expected}")]
    Value {
        /// Which format.
        part: &'static str,
        /// Which field.
        what: &'static str,
        /// In which entry, from 0.
        at: usize,
        /// What stands there.
        found: i64,
        /// What may stand there.
        expected: &'static str,
    },
}

/// Takes fields off the front of some bytes; an error names the field.
#[derive(Debug)]
pub struct Reader<'a> {
    /// What the bytes are, as `area bundle`.
    pub part: &'static str,
    /// All of them.
    pub bytes: &'a [u8],
    /// How many are taken.
    pub at: usize,
}

impl<'a> Reader<'a> {
    /// At the front.
    pub fn new(part: &'static str, bytes: &'a [u8]) -> Self {
        Self { part, bytes, at: 0 }
    }

    /// The next n bytes.
    ///
    /// # Errors
    /// Where the bytes end before.
    // Never inlined: a format has dozens of fields, and each would make its error anew.
    #[inline(never)]
    pub fn take(&mut self, what: &'static str, n: usize) -> Result<&'a [u8], DecodeError> {
        let need = self.at.saturating_add(n);
        let taken = self.bytes.get(self.at..need).ok_or(DecodeError::Truncated {
            part: self.part,
            what,
            need,
            have: self.bytes.len(),
        })?;
        self.at = need;
        Ok(taken)
    }

    /// The next N bytes.
    ///
    /// # Errors
    /// Where the bytes end before.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(what, N)?);
        Ok(array)
    }

    /// A number of 8 bits.
    ///
    /// # Errors
    /// Where the bytes end before.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        Ok(self.array::<1>(what)?[0])
    }

    /// A number of 16 bits.
    ///
    /// # Errors
    /// Where the bytes end before.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.array(what).map(u16::from_le_bytes)
    }

    /// A number of 32 bits.
    ///
    /// # Errors
    /// Where the bytes end before.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// A number of 64 bits.
    ///
    /// # Errors
    /// Where the bytes end before.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// Magic and version, the first six bytes of every format.
    ///
    /// # Errors
    /// Where they are others.
    pub fn magic(&mut self, expected: [u8; 4], version: u16) -> Result<(), DecodeError> {
        let found = self.array("the magic")?;
        if found != expected {
            return Err(DecodeError::Magic { part: self.part, found, expected });
        }
        match self.u16("the version")? {
            found if found == version => Ok(()),
            found => Err(DecodeError::Version { part: self.part, found, expected: version }),
        }
    }

    /// The checksum of everything but itself, compared with what the header tells.
    ///
    /// # Errors
    /// Where they differ.
    pub fn checksum(&mut self) -> Result<(), DecodeError> {
        let at = self.at;
        let expected = self.u32("the checksum")?;
        let found = checksum(self.bytes, at);
        if found == expected { Ok(()) } else { Err(DecodeError::Checksum { part: self.part, found, expected }) }
    }

    /// A count that is at most `limit`.
    ///
    /// # Errors
    /// Where it is more.
    pub fn limit(&self, what: &'static str, found: usize, limit: usize) -> Result<usize, DecodeError> {
        if found <= limit { Ok(found) } else { Err(DecodeError::Limit { part: self.part, what, found, limit }) }
    }

    /// That nothing is left.
    ///
    /// # Errors
    /// Where there is.
    pub fn end(&self) -> Result<(), DecodeError> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(DecodeError::Trailing { part: self.part, need: self.at, have: self.bytes.len() })
        }
    }
}

/// CRC-32 (ISO-HDLC) of all bytes but the four at `at`, where it is stored itself.
#[must_use]
pub fn checksum(bytes: &[u8], at: usize) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(bytes.get(..at).unwrap_or(bytes));
    crc.update(bytes.get(at + 4..).unwrap_or(&[]));
    crc.finalize()
}

/// Puts the checksum where [`Reader::checksum`] looks for it.
pub fn seal(bytes: &mut [u8], at: usize) {
    let crc = checksum(bytes, at);
    if let Some(stored) = bytes.get_mut(at..at + 4) {
        stored.copy_from_slice(&crc.to_le_bytes());
    }
}

/// Fields at fixed offsets of bytes whose length was checked when they were decoded; past the end, zero.
#[must_use]
pub fn at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    if let Some(found) = bytes.get(offset..offset + N) {
        array.copy_from_slice(found);
    }
    array
}
