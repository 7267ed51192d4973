//! CSV records (RFC 4180) in bounded memory.
//!
//! Never more than [`MAX_RECORD_BYTES`] of one record are held, whatever the file has: a longer record is given up,
//! and reading goes on behind its *first* line. So a line of a gigabyte costs one fault, and a quote that is never
//! closed costs its own line, not the rest of the file.

use std::io::{self, Read};

/// The longest CSV record that is read, in bytes.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// Read at once: calls into the system are what a large file costs.
const CHUNK_BYTES: usize = 1 << 20;

/// Reads one record after the other.
pub struct Records<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where the next record begins in `buffer`.
    start: usize,
    /// The line of the file, from 1, on which the next record begins.
    line: u64,
    max_bytes: usize,
}

/// The fields of one record, without their quotes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Record {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// What came next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A record, and the line on which it begins.
    Record(u64),
    /// A line without an end for too many bytes.
    TooLong(u64),
    /// A quote that is not closed within the limit or before the file ends.
    OpenQuote(u64),
    /// Nothing.
    End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    QuoteSeen,
}

enum Step {
    Push,
    Skip,
    EndField,
    EndRecord,
}

impl State {
    fn step(self, byte: u8) -> (Self, Step) {
        match (self, byte) {
            (Self::Quoted, b'"') => (Self::QuoteSeen, Step::Skip),
            (Self::Quoted, _) => (Self::Quoted, Step::Push),
            (_, b',') => (Self::FieldStart, Step::EndField),
            (_, b'\n') => (Self::FieldStart, Step::EndRecord),
            (Self::FieldStart, b'"') => (Self::Quoted, Step::Skip),
            (Self::QuoteSeen, b'"') => (Self::Quoted, Step::Push),
            _ => (Self::Plain, Step::Push),
        }
    }
}

impl Record {
    /// One field, from 0.
    pub fn get(&self, field: usize) -> Option<&[u8]> {
        let end = *self.ends.get(field)?;
        let start = field.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.bytes.get(start..end)
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|field| self.get(field))
    }

    fn fill(&mut self, raw: &[u8]) {
        self.bytes.clear();
        self.ends.clear();
        let mut state = State::FieldStart;
        for &byte in raw {
            let (next, step) = state.step(byte);
            state = next;
            match step {
                Step::Push => self.bytes.push(byte),
                Step::Skip => {}
                Step::EndField | Step::EndRecord => self.ends.push(self.bytes.len()),
            }
        }
        self.ends.push(self.bytes.len());
    }
}

impl<R: Read> Records<R> {
    /// Starts at the file's first byte; a byte order mark is skipped.
    pub fn new(input: R) -> io::Result<Self> {
        Self::with_limit(input, MAX_RECORD_BYTES)
    }

    fn with_limit(input: R, max_bytes: usize) -> io::Result<Self> {
        let mut records = Self { input, buffer: Vec::new(), start: 0, line: 1, max_bytes };
        while records.buffer.len() < 3 && records.more()? {}
        if records.buffer.starts_with(b"\xef\xbb\xbf") {
            records.start = 3;
        }
        Ok(records)
    }

    /// Reads the next record that is not an empty line.
    pub fn next(&mut self, record: &mut Record) -> io::Result<Next> {
        loop {
            let line = self.line;
            let mut state = State::FieldStart;
            let mut length = 0;
            let ended = loop {
                let Some(&byte) = self.buffer.get(self.start + length) else {
                    if self.more()? {
                        continue;
                    }
                    break false;
                };
                if length == self.max_bytes && byte != b'\n' {
                    return self.give_up(line);
                }
                let (next, step) = state.step(byte);
                state = next;
                if matches!(step, Step::EndRecord) {
                    break true;
                }
                length += 1;
            };
            if !ended && length == 0 {
                return Ok(Next::End);
            }
            if !ended && state == State::Quoted {
                return self.give_up(line);
            }
            let raw = &self.buffer[self.start..self.start + length];
            let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
            if !raw.is_empty() {
                record.fill(raw);
            }
            let empty = raw.is_empty();
            self.consume(length + usize::from(ended));
            if !empty {
                return Ok(Next::Record(line));
            }
        }
    }

    /// Goes on behind the first end of line from here.
    fn give_up(&mut self, line: u64) -> io::Result<Next> {
        if let Some(length) = self.buffer[self.start..].iter().position(|byte| *byte == b'\n') {
            // The record went on behind an end of line: a quote holds it open.
            let within = length <= self.max_bytes;
            self.consume(length + 1);
            return Ok(if within { Next::OpenQuote(line) } else { Next::TooLong(line) });
        }
        let short = self.buffer.len() - self.start <= self.max_bytes;
        loop {
            self.start = self.buffer.len();
            if !self.more()? {
                return Ok(if short { Next::OpenQuote(line) } else { Next::TooLong(line) });
            }
            // `contains` looks at many bytes at once, which a gigabyte needs.
            if !self.buffer[self.start..].contains(&b'\n') {
                continue;
            }
            if let Some(length) = self.buffer[self.start..].iter().position(|byte| *byte == b'\n') {
                self.consume(length + 1);
                return Ok(Next::TooLong(line));
            }
        }
    }

    fn consume(&mut self, length: usize) {
        let consumed = &self.buffer[self.start..self.start + length];
        self.line += consumed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.start += length;
    }

    /// False at the end of the file.
    fn more(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + CHUNK_BYTES, 0);
        let read = loop {
            match self.input.read(&mut self.buffer[length..]) {
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &[u8], max_bytes: usize) -> Vec<(Next, Vec<String>)> {
        let mut records = Records::with_limit(text, max_bytes).unwrap();
        let mut out = Vec::new();
        let mut record = Record::default();
        loop {
            match records.next(&mut record).unwrap() {
                Next::End => return out,
                next @ Next::Record(_) => {
                    let fields = record.iter().map(|field| String::from_utf8_lossy(field).into_owned());
                    out.push((next, fields.collect()));
                }
                next => out.push((next, Vec::new())),
            }
        }
    }

    fn fields(fields: &[&str]) -> Vec<String> {
        fields.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn quotes_hold_commas_and_ends_of_lines() {
        let text = b"\xef\xbb\xbfid,name\r\n1,\"Let's\nEat\"\r\n\r\n2,\"the \"\"best\"\", they say\"\n3,5\" sub";
        let expected = vec![
            (Next::Record(1), fields(&["id", "name"])),
            (Next::Record(2), fields(&["1", "Let's\nEat"])),
            (Next::Record(5), fields(&["2", "the \"best\", they say"])),
            (Next::Record(6), fields(&["3", "5\" sub"])),
        ];
        assert_eq!(all(text, 100), expected);
    }

    #[test]
    fn a_line_without_end_costs_itself_alone() {
        let text = format!("a\n{}\nb\n", "x".repeat(200_000));
        let expected =
            vec![(Next::Record(1), fields(&["a"])), (Next::TooLong(2), vec![]), (Next::Record(3), fields(&["b"]))];
        assert_eq!(all(text.as_bytes(), 1000), expected);
    }

    #[test]
    fn a_quote_never_closed_costs_its_own_line() {
        let expected =
            vec![(Next::OpenQuote(1), vec![]), (Next::Record(2), fields(&["b"])), (Next::Record(3), fields(&["c"]))];
        assert_eq!(all(b"\"a\nb\nc\n", 1000), expected);
        assert_eq!(all(b"\"a\nb\nc\n", 3), expected);
    }

    proptest! {
        /// The `csv` crate agrees wherever every quote is closed; it takes a lone `\r` for an end of line, too.
        #[test]
        fn records_are_those_of_the_csv_crate(text in "[ab\",\n]{0,40}") {
            let ours = all(text.as_bytes(), 1000);
            prop_assume!(ours.iter().all(|(next, _)| matches!(next, Next::Record(_))));
            let theirs: Vec<Vec<String>> = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(text.as_bytes())
                .records()
                .map(|record| record.unwrap().iter().map(str::to_owned).collect())
                .collect();
            prop_assert_eq!(ours.into_iter().map(|(_, fields)| fields).collect::<Vec<_>>(), theirs);
        }

        /// Whatever the bytes, every line is in exactly one record or fault.
        #[test]
        fn no_line_is_lost(text in "[a\",\n]{0,60}", max_bytes in 1_usize..12) {
            let lines: Vec<u64> = all(text.as_bytes(), max_bytes)
                .iter()
                .map(|(next, _)| match next {
                    Next::Record(line) | Next::TooLong(line) | Next::OpenQuote(line) => *line,
                    Next::End => unreachable!(),
                })
                .collect();
            prop_assert!(lines.is_sorted());
            prop_assert!(text.len() < 3 || !text.contains('a') || !lines.is_empty());
        }
    }
}
