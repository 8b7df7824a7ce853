//! The fields of one line, by PostgreSQL's rules.

use std::ops::Range;

use dataflow::{CopyFormat, StatementError};

use crate::error::error;

/// The fields of a line: their bytes one after another, and where each is; `None` is NULL.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) bytes: Vec<u8>,
    pub(super) places: Vec<Option<Range<usize>>>,
}

impl Fields {
    /// A field.
    pub(super) fn get(&self, at: usize) -> Option<&[u8]> {
        self.places.get(at)?.clone().map(|place| &self.bytes[place])
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }

    fn end(&mut self, start: usize, is_null: bool) {
        self.places.push((!is_null).then_some(start..self.bytes.len()));
    }

    /// Takes a line apart.
    pub(super) fn read(&mut self, line: &[u8], format: &CopyFormat) -> Result<(), StatementError> {
        self.clear();
        if format.csv {
            self.csv(line, format)
        } else {
            self.text(line, format);
            Ok(())
        }
    }

    fn text(&mut self, line: &[u8], format: &CopyFormat) {
        let mut at = 0;
        loop {
            let (raw, start) = (at, self.bytes.len());
            let mut end = line.len();
            while let Some(&byte) = line.get(at) {
                at += 1;
                if byte == format.delimiter {
                    end = at - 1;
                    break;
                }
                if byte == b'\\' {
                    // one that is the last of the line is nothing
                    if at < line.len() {
                        at = self.escape(line, at);
                    }
                } else {
                    self.bytes.push(byte);
                }
            }
            let found = end < line.len();
            self.end(start, line[raw..end] == *format.null.as_bytes());
            if !found {
                return;
            }
        }
    }

    /// What is behind a backslash; answers where it ends.
    fn escape(&mut self, line: &[u8], at: usize) -> usize {
        let digits = |from: usize, most: usize, radix: u32| {
            let digit = |byte: &u8| char::from(*byte).to_digit(radix);
            let digits: Vec<u32> = line[from..].iter().take(most).map_while(digit).collect();
            (digits.iter().fold(0, |value, digit| value * radix + digit) as u8, digits.len())
        };
        let byte = line[at];
        let (value, length) = match byte {
            b'0'..=b'7' => digits(at, 3, 8),
            b'x' => match digits(at + 1, 2, 16) {
                (_, 0) => (b'x', 1),
                (value, length) => (value, length + 1),
            },
            b'b' => (8, 1),
            b'f' => (12, 1),
            b'n' => (b'\n', 1),
            b'r' => (b'\r', 1),
            b't' => (b'\t', 1),
            b'v' => (11, 1),
            other => (other, 1),
        };
        self.bytes.push(value);
        at + length
    }

    fn csv(&mut self, line: &[u8], format: &CopyFormat) -> Result<(), StatementError> {
        let mut at = 0;
        loop {
            let (raw, start) = (at, self.bytes.len());
            let (mut quoted, mut found) = (false, false);
            let mut end = line.len();
            while let Some(&byte) = line.get(at) {
                at += 1;
                if byte == format.delimiter {
                    (end, found) = (at - 1, true);
                    break;
                }
                if byte == format.quote {
                    quoted = true;
                    at = self.quotes(line, at, format)?;
                } else {
                    self.bytes.push(byte);
                }
            }
            self.end(start, !quoted && line[raw..end] == *format.null.as_bytes());
            if !found {
                return Ok(());
            }
        }
    }

    /// What is in quotes; answers where they end.
    fn quotes(&mut self, line: &[u8], mut at: usize, format: &CopyFormat) -> Result<usize, StatementError> {
        while let Some(&byte) = line.get(at) {
            at += 1;
            if byte == format.escape
                && let Some(&next) = line.get(at)
                && (next == format.escape || next == format.quote)
            {
                self.bytes.push(next);
                at += 1;
                continue;
            }
            if byte == format.quote {
                return Ok(at);
            }
            self.bytes.push(byte);
        }
        Err(error("22P04", "unterminated CSV quoted field"))
    }
}
