//! Records in parts, each ascending by key, read back as one ascending whole.
//!
//! What partitions find in any order, each for itself, is told in order of time or of readers without ever being held
//! together: a part is sorted when it is written, and reading holds one record of each part. Keys are compared byte by byte.

use super::TableError;
use super::spool::{Sealing, open_sealed, varint};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The longest key or value; a longer one is a damaged file.
const MAX_BYTES: u64 = 1 << 26;
/// What all parts together buffer while they are read, and each of them at least.
const BUFFERS_BYTES: usize = 1 << 24;
const LEAST_BUFFER_BYTES: usize = 1 << 12;

/// One part that is whole.
#[derive(Debug)]
pub(crate) enum Run {
    /// A sealed file.
    File(PathBuf),
    /// The same bytes, where there are few.
    Memory(Vec<u8>),
}

/// One part on its way.
pub(crate) enum Writing {
    File(PathBuf, Sealing),
    Memory(Vec<u8>),
}

impl Writing {
    /// A part of this file, or in memory.
    pub(crate) fn new(path: Option<PathBuf>) -> Result<Self, TableError> {
        Ok(match path {
            Some(path) => Self::File(path.clone(), Sealing::new(path)?),
            None => Self::Memory(Vec::new()),
        })
    }

    /// Adds a record, whose key is not before the last one's.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), TableError> {
        let to = match self {
            Self::File(_, file) => &mut file.waiting,
            Self::Memory(bytes) => bytes,
        };
        for bytes in [key, value] {
            varint(bytes.len() as u64, to);
            to.extend(bytes);
        }
        match self {
            Self::File(_, file) => file.flush_full(),
            Self::Memory(_) => Ok(()),
        }
    }

    /// Ends the part.
    pub(crate) fn end(self) -> Result<Run, TableError> {
        Ok(match self {
            Self::File(path, file) => {
                file.seal()?;
                Run::File(path)
            }
            Self::Memory(bytes) => Run::Memory(bytes),
        })
    }
}

/// A key and its value.
pub(crate) type Record = (Vec<u8>, Vec<u8>);

/// The records of all parts, ascending by key; those of one key part by part, as they were written.
pub(crate) struct Merge<'r> {
    parts: Vec<Part<'r>>,
    heads: BinaryHeap<Reverse<Head>>,
}

/// The first record of a part that was not told yet: its key, which part, and its value.
type Head = (Vec<u8>, usize, Vec<u8>);

struct Part<'r> {
    from: Box<dyn Read + 'r>,
    file: &'r Path,
}

impl<'r> Merge<'r> {
    /// Opens all parts.
    pub(crate) fn new(runs: &'r [Run]) -> Result<Self, TableError> {
        let buffer = (BUFFERS_BYTES / runs.len().max(1)).max(LEAST_BUFFER_BYTES);
        let mut merge = Self { parts: Vec::with_capacity(runs.len()), heads: BinaryHeap::new() };
        for (i, run) in runs.iter().enumerate() {
            merge.parts.push(match run {
                Run::File(file) => {
                    let from = open_sealed(file, buffer)?.ok_or_else(|| TableError::Damaged { file: file.clone() })?;
                    Part { from: Box::new(from), file }
                }
                Run::Memory(bytes) => Part { from: Box::new(bytes.as_slice()), file: Path::new("memory") },
            });
            merge.pull(i)?;
        }
        Ok(merge)
    }

    /// Puts the next record of a part among the heads.
    fn pull(&mut self, part: usize) -> Result<(), TableError> {
        let Part { from, file } = &mut self.parts[part];
        match record(from) {
            Ok(Some((key, value))) => self.heads.push(Reverse((key, part, value))),
            Ok(None) => {}
            Err(source) => return Err(TableError::Io { file: file.to_owned(), source }),
        }
        Ok(())
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<Record, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((key, part, value)) = self.heads.pop()?;
        Some(self.pull(part).map(|()| (key, value)))
    }
}

/// The next record of a part, if there is one more.
fn record(from: &mut impl Read) -> io::Result<Option<Record>> {
    let Some(length) = length(from)? else {
        return Ok(None);
    };
    let key = exactly(from, length)?;
    let length = length_or_end(from)?;
    Ok(Some((key, exactly(from, length)?)))
}

fn length_or_end(from: &mut impl Read) -> io::Result<u64> {
    length(from)?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
}

/// A length as [`varint`] writes it; `None` at the end.
fn length(from: &mut impl Read) -> io::Result<Option<u64>> {
    let (mut value, mut byte) = (0, [0]);
    for shift in (0..35).step_by(7) {
        if from.read(&mut byte)? == 0 {
            return if shift == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        value |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            break;
        }
    }
    if value <= MAX_BYTES { Ok(Some(value)) } else { Err(io::ErrorKind::InvalidData.into()) }
}

fn exactly(from: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length as usize];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A time as bytes that are in its order.
pub(crate) fn time_key(at: i64) -> [u8; 8] {
    ((at as u64) ^ 1 << 63).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Any split into parts, on disk or in memory, is read back sorted, equal keys part by part.
        #[test]
        fn parts_are_read_as_one(rows in prop::collection::vec((-5_i64..5, 0_usize..3, 0_u8..9), 0..60)) {
            let folder = tempfile::tempdir().unwrap();
            let mut runs = Vec::new();
            for part in 0..3 {
                let mut of: Vec<_> = rows.iter().filter(|row| row.1 == part).collect();
                of.sort_by_key(|row| row.0);
                let path = (part > 0).then(|| folder.path().join(part.to_string()));
                let mut writing = Writing::new(path).unwrap();
                of.iter().for_each(|row| writing.put(&time_key(row.0), &[row.1 as u8, row.2]).unwrap());
                runs.push(writing.end().unwrap());
            }
            let found: Vec<Record> = Merge::new(&runs).unwrap().map(Result::unwrap).collect();
            let mut expected = rows;
            expected.sort_by_key(|row| (row.0, row.1));
            let expected = expected.iter().map(|row| (time_key(row.0).to_vec(), vec![row.1 as u8, row.2]));
            prop_assert_eq!(found, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn half_a_part_is_an_error_and_no_end() {
        let mut writing = Writing::new(None).unwrap();
        writing.put(b"key", b"value").unwrap();
        let Run::Memory(bytes) = writing.end().unwrap() else { panic!("asked for memory") };
        for end in 1..bytes.len() {
            assert!(Merge::new(&[Run::Memory(bytes[..end].to_vec())]).is_err(), "{end} bytes");
        }
    }
}
