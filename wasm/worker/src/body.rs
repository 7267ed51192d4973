//! Bodies, never in memory beyond their limit.

use crate::problem::Problem;
use futures_util::StreamExt as _;
use std::pin::{Pin, pin};
use worker::{ByteStream, Request};

/// The whole body, if it has at most `limit` bytes; the rest of a longer one is not read.
///
/// # Errors
/// 413, from the declared length before a byte is read, else at the first byte too many.
pub async fn read(request: &mut Request, limit: usize) -> Result<Vec<u8>, Problem> {
    let declared = request.headers().get("Content-Length").ok().flatten();
    let declared = declared.and_then(|text| text.trim().parse::<u64>().ok());
    if let Some(length) = declared.filter(|length| *length > limit as u64) {
        return Err(Problem::too_large(&format!("body has {length} bytes"), limit));
    }
    // A request without a body has no stream either.
    let Ok(stream) = request.stream() else {
        return Ok(Vec::new());
    };
    let mut stream = pin!(stream);
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| Problem::bad_request(format!("body ends early: {error}")))?;
        if bytes.len() + chunk.len() > limit {
            return Err(Problem::too_large("body goes on", limit));
        }
        bytes.extend(chunk);
    }
    Ok(bytes)
}

/// One line of a body, from 1; of a line over the limit, only its length.
pub type Line = (u64, Result<Vec<u8>, usize>);

/// Cuts chunks into lines.
pub struct Lines {
    limit: usize,
    number: u64,
    line: Vec<u8>,
    length: usize,
}

impl Lines {
    /// Lines longer than `limit` are not kept.
    pub const fn new(limit: usize) -> Self {
        Self { limit, number: 1, line: Vec::new(), length: 0 }
    }

    /// Takes bytes off the front of a chunk, up to a line's end if there is one.
    fn take(&mut self, chunk: &[u8]) -> (usize, Option<Line>) {
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        self.length += part.len();
        if self.length <= self.limit {
            self.line.extend(part);
        } else {
            self.line = Vec::new();
        }
        match end {
            Some(end) => (end + 1, Some(self.end())),
            None => (chunk.len(), None),
        }
    }

    /// What there is since the last line's end.
    fn end(&mut self) -> Line {
        let (line, length) = (std::mem::take(&mut self.line), std::mem::take(&mut self.length));
        self.number += 1;
        (self.number - 1, if length <= self.limit { Ok(line) } else { Err(length) })
    }
}

/// The lines of a body, each as soon as it is there.
pub struct BodyLines {
    body: Option<Pin<Box<ByteStream>>>,
    chunk: Vec<u8>,
    at: usize,
    lines: Lines,
}

impl BodyLines {
    /// The lines of this request.
    pub fn new(request: &mut Request, limit: usize) -> Self {
        Self { body: request.stream().ok().map(Box::pin), chunk: Vec::new(), at: 0, lines: Lines::new(limit) }
    }

    /// The next line that is not blank.
    pub async fn next(&mut self) -> Option<Line> {
        loop {
            let line = self.any().await?;
            if !is_blank(&line) {
                return Some(line);
            }
        }
    }

    /// The next lines that are not blank, as far as they came together; none where there are no more.
    pub async fn few(&mut self, most: usize) -> Vec<Line> {
        let mut few: Vec<Line> = self.next().await.into_iter().collect();
        while (1..most).contains(&few.len())
            && let Some(line) = self.at_hand()
        {
            few.extend((!is_blank(&line)).then_some(line));
        }
        few
    }

    /// The next line of what is in memory.
    fn at_hand(&mut self) -> Option<Line> {
        while self.at < self.chunk.len() {
            let (taken, line) = self.lines.take(&self.chunk[self.at..]);
            self.at += taken;
            if line.is_some() {
                return line;
            }
        }
        None
    }

    async fn any(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.at_hand() {
                return Some(line);
            }
            match self.body.as_mut()?.next().await {
                Some(Ok(chunk)) => (self.chunk, self.at) = (chunk, 0),
                // A client that broke off reads no answer to its last, unfinished line.
                Some(Err(_)) | None => {
                    self.body = None;
                    return Some(self.lines.end());
                }
            }
        }
    }
}

fn is_blank((_, line): &Line) -> bool {
    line.as_ref().is_ok_and(|bytes| bytes.trim_ascii().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]], limit: usize) -> Vec<Line> {
        let (mut cut, mut found) = (Lines::new(limit), Vec::new());
        for chunk in chunks {
            let mut at = 0;
            while at < chunk.len() {
                let (taken, line) = cut.take(&chunk[at..]);
                at += taken;
                found.extend(line);
            }
        }
        found.push(cut.end());
        found
    }

    #[test]
    fn lines_are_the_same_however_the_body_is_cut() {
        let body = b"one\n\nthree is too long\nfour";
        let expected = [(1, Ok(b"one".to_vec())), (2, Ok(vec![])), (3, Err(17)), (4, Ok(b"four".to_vec()))];
        assert_eq!(lines(&[body], 5), expected);
        for cut in 0..body.len() {
            assert_eq!(lines(&[&body[..cut], &body[cut..]], 5), expected, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(lines(&bytes, 5), expected);
    }

    #[test]
    fn a_line_over_the_limit_is_not_kept_in_memory() {
        let mut cut = Lines::new(10);
        for _ in 0..1000 {
            assert_eq!(cut.take(&[b'x'; 1000]), (1000, None));
            assert!(cut.line.capacity() <= 10, "{}", cut.line.capacity());
        }
        assert_eq!(cut.take(b"\n"), (1, Some((1, Err(1_000_000)))));
    }
}
