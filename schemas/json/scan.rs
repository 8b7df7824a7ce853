//! Finds where the values stand in the documents that most topics have, fast; `None` for all others.
//!
//! What is found here is what [`super::slow`] finds, which reads every document and has the words for those that are broken:
//! whatever looks unusual (an escape in a field's name, deep nesting, an error) is left to it.

use super::locate::{Change, Images, Span};
use super::names::Names;
use crate::watch::Watch;

/// Values nested deeper are left to the slow way: the kinds of those around a place are the bits of one word.
const DEPTH_MAX: u32 = 64;

/// A document on its way.
struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Where the document begins in its record.
    base: usize,
}

/// Finds the columns in a row; `base` is where the document begins in its record. `None`: nothing is known.
pub(super) fn row(text: &str, base: usize, names: &mut Names, spans: &mut [Span], watch: &mut Watch) -> Option<()> {
    let mut scanner = Scanner::new(text, base);
    scanner.row(names, spans, watch)?;
    scanner.end()
}

/// Finds the columns in both rows of a change event.
pub(super) fn change<'a>(text: &'a str, base: usize, images: &mut Images<'_>) -> Option<Change<'a>> {
    let Images { names, before, after, watch } = images;
    let mut scanner = Scanner::new(text, base);
    let mut change = Change::default();
    scanner.fields(|scanner, _, name| {
        match name {
            b"op" => {
                let begin = scanner.at;
                scanner.value()?;
                let token = &scanner.text[begin..scanner.at];
                change.op = (token != "null").then_some(token);
            }
            b"before" => change.before = scanner.row_or_null(names, before, watch)?,
            b"after" => change.after = scanner.row_or_null(names, after, watch)?,
            _ => {
                scanner.value()?;
            }
        }
        Some(())
    })?;
    scanner.end()?;
    Some(change)
}

/// The schema and the payload of a document of exactly these two fields. The schema that came last need not be read to be known.
pub(super) fn wrapped<'a>(text: &'a str, last: Option<&str>) -> Option<(&'a str, &'a str)> {
    let mut scanner = Scanner::new(text, 0);
    let (mut schema, mut payload) = (None, None);
    scanner.fields(|scanner, _, name| {
        let begin = scanner.at;
        let found = match name {
            b"schema" => &mut schema,
            b"payload" => &mut payload,
            _ => return None,
        };
        match last.filter(|last| name == b"schema" && scanner.bytes[begin..].starts_with(last.as_bytes())) {
            Some(last) => scanner.at += last.len(),
            None => drop(scanner.value()?),
        }
        found.replace(&scanner.text[begin..scanner.at]).is_none().then_some(())
    })?;
    scanner.end()?;
    Some((schema?, payload?))
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str, base: usize) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, base }
    }

    /// Passes over white space; the byte that stands behind it.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    /// Nothing but white space is left.
    fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// An object: calls back before each value with the place of the field and its name as it is written, which has no escapes.
    fn fields(&mut self, mut each: impl FnMut(&mut Self, usize, &'a [u8]) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        let mut place = 0;
        loop {
            let name = self.name()?;
            self.take(b':')?;
            self.peek()?;
            each(self, place, name)?;
            place += 1;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// A field's name without escapes.
    fn name(&mut self) -> Option<&'a [u8]> {
        (self.peek()? == b'"').then_some(())?;
        let begin = self.at + 1;
        let escaped = self.string()?;
        (!escaped).then(|| &self.bytes[begin..self.at - 1])
    }

    fn row(&mut self, names: &mut Names, spans: &mut [Span], watch: &mut Watch) -> Option<()> {
        spans.fill(Span::NONE);
        let base = self.base;
        self.fields(|scanner, place, name| {
            let column = match names.predicted(place, name) {
                Some(column) => column,
                None => names.find(place, std::str::from_utf8(name).ok()?),
            };
            if watch.is_active() {
                watch.saw(std::str::from_utf8(name).ok()?, column);
            }
            let begin = scanner.at;
            let escaped = scanner.value()?;
            if let Some(column) = column {
                spans[column] = Span::new(base + begin, base + scanner.at, !escaped);
            }
            Some(())
        })
    }

    fn row_or_null(&mut self, names: &mut Names, spans: &mut [Span], watch: &mut Watch) -> Option<bool> {
        if self.bytes[self.at] == b'{' {
            return self.row(names, spans, watch).map(|()| true);
        }
        spans.fill(Span::NONE);
        self.word(b"null").map(|()| false)
    }

    /// Passes over a value, which begins here; whether it has an escape in it.
    fn value(&mut self) -> Option<bool> {
        match self.bytes.get(self.at)? {
            b'"' => self.string(),
            b'{' | b'[' => self.nested().map(|()| true),
            _ => self.plain().map(|()| false),
        }
    }

    /// A number, `true`, `false` or `null`.
    fn plain(&mut self) -> Option<()> {
        match self.bytes.get(self.at)? {
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        match self.bytes.get(self.at)? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits()?,
            _ => return None,
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Option<()> {
        let count = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }

    /// A string, which begins here; whether it has an escape in it.
    fn string(&mut self) -> Option<bool> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at += usual(&self.bytes[self.at..]);
            match self.bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(escaped);
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                // A control character.
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        match self.bytes.get(self.at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
            b'u' => {
                let digits = self.bytes.get(self.at + 2..self.at + 6)?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                self.at += 6;
            }
            _ => return None,
        }
        Some(())
    }

    /// Passes over an object or an array.
    fn nested(&mut self) -> Option<()> {
        // One bit for each that is open, the innermost last: set for an object.
        let (mut open, mut depth) = (0u64, 0);
        loop {
            match self.bytes.get(self.at)? {
                bracket @ (b'{' | b'[') => {
                    depth += 1;
                    if depth > DEPTH_MAX {
                        return None;
                    }
                    open = open << 1 | u64::from(*bracket == b'{');
                    self.at += 1;
                    if self.peek()? != bracket + 2 {
                        self.before_value(open)?;
                        continue;
                    }
                    // It is empty, and closed below.
                }
                b'"' => {
                    self.string()?;
                }
                _ => self.plain()?,
            }
            // Behind a value: those that end here, then the next.
            loop {
                match self.peek()? {
                    b',' => {
                        self.at += 1;
                        self.before_value(open)?;
                        break;
                    }
                    bracket @ (b'}' | b']') if (bracket == b'}') == (open & 1 == 1) => {
                        self.at += 1;
                        (open, depth) = (open >> 1, depth - 1);
                        if depth == 0 {
                            return Some(());
                        }
                    }
                    _ => return None,
                }
            }
        }
    }

    /// Passes over what stands before a value: in an object its name.
    fn before_value(&mut self, open: u64) -> Option<()> {
        if open & 1 == 1 {
            (self.peek()? == b'"').then_some(())?;
            self.string()?;
            self.take(b':')?;
        }
        self.peek().map(|_| ())
    }
}

/// How many bytes there are before the first that means something in a string: a quote, a backslash, a control character.
fn usual(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let mut at = 0;
    while let Some(eight) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(eight.try_into().expect("eight bytes"));
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let backslash = zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (quote | backslash | control) & HIGHS;
        if found != 0 {
            // A borrow can only mark bytes behind the first one that is meant.
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes[at..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    rest.map_or(bytes.len(), |found| at + found)
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
