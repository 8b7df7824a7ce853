//! Blocks of a file, cut into lines.

use bytes::{Bytes, BytesMut};

/// A longer line is cut off there: it becomes a dead letter instead of filling the memory.
pub(crate) const LINE_BYTES_MAX: usize = 10 << 20;

/// What stands behind the first bytes of a line that was cut off. It is no JSON, so that what is left never passes for a
/// whole document.
const CUT_MARK: &str = "… (the line is longer than 10 MiB, and was cut off here)";

/// A line, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// The offset it begins at.
    pub start: u64,
    /// The offset behind it and its end.
    pub end: u64,
    pub text: Bytes,
}

/// Cuts. Blocks come in order, without gap.
#[derive(Debug)]
pub(super) struct Cutter {
    /// What is not cut yet.
    rest: Bytes,
    /// Of it, where no line feed is.
    looked: usize,
    /// The offset of `rest`.
    base: u64,
    /// Whether it stands within a line that is not wanted.
    skips: bool,
    /// A line that is too long: its start, its first bytes.
    long: Option<(u64, Bytes)>,
}

impl Cutter {
    /// Begins with the first line that begins at or behind an offset. The first block begins at [`Cutter::read_to`].
    pub fn new(offset: u64) -> Self {
        let (base, skips) = if offset == 0 { (0, false) } else { (offset - 1, true) };
        Self { rest: Bytes::new(), looked: 0, base, skips, long: None }
    }

    /// The offset of the next block.
    pub fn read_to(&self) -> u64 {
        self.base + self.rest.len() as u64
    }

    /// Takes the next block.
    pub fn push(&mut self, block: Bytes) {
        if self.rest.is_empty() {
            self.rest = block;
            return;
        }
        let mut joined = BytesMut::with_capacity(self.rest.len() + block.len());
        joined.extend_from_slice(&self.rest);
        joined.extend_from_slice(&block);
        self.rest = joined.freeze();
    }

    /// The next line that is whole and not empty.
    pub fn next(&mut self) -> Option<Line> {
        loop {
            let Some(at) = self.rest[self.looked..].iter().position(|byte| *byte == b'\n') else {
                self.keep_little();
                return None;
            };
            let raw = self.rest.split_to(self.looked + at + 1);
            if let Some(line) = self.line(raw.slice(..raw.len() - 1), 1) {
                return Some(line);
            }
        }
    }

    /// What is left as a line: there is nothing behind it.
    pub fn last(&mut self) -> Option<Line> {
        let raw = std::mem::take(&mut self.rest);
        self.line(raw, 0)
    }

    /// The line of some text with its end, if it is one.
    fn line(&mut self, text: Bytes, end: u64) -> Option<Line> {
        let begin = self.base;
        self.base += text.len() as u64 + end;
        self.looked = 0;
        if std::mem::take(&mut self.skips) {
            return None;
        }
        let (start, text) = match self.long.take() {
            Some((start, head)) => (start, cut_off(&head)),
            None if text.len() > LINE_BYTES_MAX => (begin, cut_off(&text[..LINE_BYTES_MAX])),
            None => (begin, trimmed(begin, text)),
        };
        (!text.is_empty()).then_some(Line { start, end: self.base, text })
    }

    /// Without an end in sight only the beginning of a long line is kept, and nothing of one that is not wanted.
    fn keep_little(&mut self) {
        self.looked = self.rest.len();
        let long = self.rest.len() > LINE_BYTES_MAX;
        if !(self.skips || self.long.is_some() || long) {
            return;
        }
        if long && !self.skips && self.long.is_none() {
            self.long = Some((self.base, Bytes::copy_from_slice(&self.rest[..LINE_BYTES_MAX])));
        }
        self.base += self.rest.len() as u64;
        self.rest = Bytes::new();
        self.looked = 0;
    }
}

fn cut_off(head: &[u8]) -> Bytes {
    [head, CUT_MARK.as_bytes()].concat().into()
}

/// Without the CR of its end, and without the byte order mark that some editors put first.
fn trimmed(start: u64, text: Bytes) -> Bytes {
    let end = if text.ends_with(b"\r") { text.len() - 1 } else { text.len() };
    let begin = if start == 0 && text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    text.slice(begin.min(end)..end)
}
