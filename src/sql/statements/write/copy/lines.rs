//! The lines of COPY's input, found in bytes that come in pieces, by PostgreSQL's rules: the first line's end is that of all;
//! a backslash takes what is behind it along, quotes of CSV hold line ends; a line `\.` is the end of everything.

use std::ops::Range;

use dataflow::{CopyFormat, StatementError};

use crate::error::{Detail, error};

/// What ends lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Unknown,
    Lf,
    CrLf,
    Cr,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Lines {
    csv: bool,
    quote: u8,
    /// `None`: it is the quote.
    escape: Option<u8>,
    buffer: Vec<u8>,
    /// Where the next line begins, and how far it was looked at.
    start: usize,
    at: usize,
    end: End,
    in_quotes: bool,
    escaped: bool,
    /// `\.` was there.
    over: bool,
    /// The number of the last line, from 1; line ends within quotes count too.
    pub(super) number: u64,
    /// Whether the line that is looked at was counted.
    counted: bool,
}

/// What a step of the scan found.
enum Found {
    /// Go on behind so many bytes.
    On(usize),
    /// The line ends here, and the next begins so many bytes behind.
    Line(usize),
    /// What is here depends on bytes that are not there yet.
    Short,
    /// The end of everything; what is before it in the line counts.
    Over,
}

impl Lines {
    pub(super) fn new(format: &CopyFormat) -> Self {
        Self {
            csv: format.csv,
            quote: format.quote,
            escape: (format.escape != format.quote).then_some(format.escape),
            buffer: Vec::new(),
            start: 0,
            at: 0,
            end: End::Unknown,
            in_quotes: false,
            escaped: false,
            over: false,
            number: 0,
            counted: false,
        }
    }

    /// Adds bytes; those of lines that were given are let go.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.over {
            return;
        }
        self.buffer.drain(..self.start);
        self.at -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The bytes that are kept.
    pub(super) fn kept(&self) -> usize {
        self.buffer.len()
    }

    /// The bytes of a line that was found.
    pub(super) fn bytes(&self, line: Range<usize>) -> &[u8] {
        &self.buffer[line]
    }

    /// The next line, without its end. `last`: there are no more bytes.
    pub(super) fn next(&mut self, last: bool) -> Result<Option<Range<usize>>, StatementError> {
        if self.over {
            return Ok(None);
        }
        if !std::mem::replace(&mut self.counted, true) {
            self.number += 1;
        }
        while let Some(&byte) = self.buffer.get(self.at) {
            let found = match byte {
                b'\r' if self.at + 1 == self.buffer.len() && !last => Found::Short,
                byte => {
                    if self.csv {
                        self.quotes(byte);
                    }
                    self.look(byte, last)?
                }
            };
            match found {
                Found::On(bytes) => self.at += bytes,
                Found::Line(bytes) => return Ok(Some(self.line(bytes))),
                Found::Short => return Ok(None),
                Found::Over => {
                    self.over = true;
                    let line = self.line(0);
                    return Ok((!line.is_empty()).then_some(line));
                }
            }
        }
        if !last {
            return Ok(None);
        }
        self.over = true;
        let line = self.line(0);
        Ok((!line.is_empty()).then_some(line))
    }

    fn line(&mut self, end: usize) -> Range<usize> {
        let line = self.start..self.at;
        self.at += end;
        self.start = self.at;
        self.counted = false;
        (self.in_quotes, self.escaped) = (false, false);
        line
    }

    /// Follows the quotes of CSV.
    fn quotes(&mut self, byte: u8) {
        if self.in_quotes && Some(byte) == self.escape {
            self.escaped = !self.escaped;
        }
        if byte == self.quote && !self.escaped {
            self.in_quotes = !self.in_quotes;
        }
        if Some(byte) != self.escape {
            self.escaped = false;
        }
        if self.in_quotes && byte == if self.end == End::Lf { b'\n' } else { b'\r' } {
            self.number += 1;
        }
    }

    fn look(&mut self, byte: u8, last: bool) -> Result<Found, StatementError> {
        let open = self.csv && self.in_quotes;
        Ok(match byte {
            b'\r' if !open => match self.end {
                End::Unknown | End::CrLf if self.buffer.get(self.at + 1) == Some(&b'\n') => {
                    self.end = End::CrLf;
                    Found::Line(2)
                }
                End::Unknown | End::Cr => {
                    self.end = End::Cr;
                    Found::Line(1)
                }
                End::CrLf | End::Lf => return Err(self.stray("carriage return", "\\r")),
            },
            b'\n' if !open => match self.end {
                End::Unknown | End::Lf => {
                    self.end = End::Lf;
                    Found::Line(1)
                }
                End::Cr | End::CrLf => return Err(self.stray("newline", "\\n")),
            },
            b'\\' if !self.csv || self.at == self.start => self.backslash(last)?,
            _ => Found::On(1),
        })
    }

    fn backslash(&self, last: bool) -> Result<Found, StatementError> {
        let byte = |n: usize| self.buffer.get(self.at + n).copied();
        match byte(1) {
            None if last => return Ok(Found::On(1)),
            None => return Ok(Found::Short),
            Some(b'.') => {}
            Some(_) => return Ok(Found::On(if self.csv { 1 } else { 2 })),
        }
        let mut behind = 2;
        if byte(behind).is_none() && !last {
            return Ok(Found::Short);
        }
        if self.end == End::CrLf {
            match byte(behind) {
                Some(b'\r') => {}
                _ if self.csv => return Ok(Found::On(1)),
                Some(b'\n') => return Err(other_style()),
                _ => return Err(corrupt()),
            }
            behind += 1;
            if byte(behind).is_none() && !last {
                return Ok(Found::Short);
            }
        }
        let end = match byte(behind) {
            Some(end @ (b'\r' | b'\n')) => end,
            _ if self.csv => return Ok(Found::On(1)),
            _ => return Err(corrupt()),
        };
        let fits = match self.end {
            End::Unknown => true,
            End::Lf | End::CrLf => end == b'\n',
            End::Cr => end == b'\r',
        };
        if fits { Ok(Found::Over) } else { Err(other_style()) }
    }

    fn stray(&self, what: &str, escape: &str) -> StatementError {
        if self.csv {
            error("22P04", format!("unquoted {what} found in data"))
                .with_hint(format!("Use quoted CSV field to represent {what}."))
        } else {
            error("22P04", format!("literal {what} found in data"))
                .with_hint(format!("Use \"{escape}\" to represent {what}."))
        }
    }
}

fn corrupt() -> StatementError {
    error("22P04", "end-of-copy marker corrupt")
}

fn other_style() -> StatementError {
    error("22P04", "end-of-copy marker does not match previous newline style")
}
