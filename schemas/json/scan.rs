//! Finds where the values stand in the documents that most topics have, fast; `None` for all others.
//!
//! What is found here is what [`super::slow`] finds, which reads every document and has the words for those that are broken:
//! whatever looks unusual (an escape in a field's name, deep nesting, an error) is left to it.

use super::locate::{Change, Images, Kind, Span};
use super::names::Names;
use crate::text::plain_run;
use crate::watch::Watch;

/// Values nested deeper are left to the slow way: the kinds of those around a place are the bits of one word.
const DEPTH_MAX: u32 = 64;

/// What stood before a value.
enum Head {
    /// The name of a field, of this column.
    Of(Option<usize>),
    /// Nothing: the object ends.
    End,
}

/// A document on its way.
pub(super) struct Scanner<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    /// Whether nothing was passed over that is not ASCII.
    pub ascii: bool,
    /// Where the document begins in its record.
    base: usize,
}

/// Finds the columns in a row; `base` is where the document begins in its record. `None`: nothing is known.
pub(super) fn row(text: &str, base: usize, names: &mut Names, spans: &mut [Span], watch: &mut Watch) -> Option<()> {
    let mut scanner = Scanner::new(text.as_bytes(), base);
    scanner.row(names, spans, watch)?;
    scanner.end()
}

/// Finds the columns in both rows of a change event.
pub(super) fn change<'a>(text: &'a str, base: usize, images: &mut Images<'_>) -> Option<Change<'a>> {
    let Images { names, before, after, watch } = images;
    let mut scanner = Scanner::new(text.as_bytes(), base);
    let mut change = Change::default();
    scanner.fields(|scanner, name| {
        match name {
            b"op" => {
                let begin = scanner.at;
                scanner.value()?;
                let token = &text[begin..scanner.at];
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
    let mut scanner = Scanner::new(text.as_bytes(), 0);
    let (mut schema, mut payload) = (None, None);
    scanner.fields(|scanner, name| {
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
        found.replace(&text[begin..scanner.at]).is_none().then_some(())
    })?;
    scanner.end()?;
    Some((schema?, payload?))
}

impl<'a> Scanner<'a> {
    pub fn new(bytes: &'a [u8], base: usize) -> Self {
        Self { bytes, at: 0, ascii: true, base }
    }

    /// Passes over white space; the byte that stands behind it.
    pub fn peek(&mut self) -> Option<u8> {
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
    pub fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// An object: calls back before each value with the field's name as it is written, which has no escapes.
    fn fields(&mut self, mut each: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let name = self.name()?;
            self.take(b':')?;
            self.peek()?;
            each(self, name)?;
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
        let mut place = 0;
        loop {
            // While names are watched they are read.
            let predicted = names.predicted(place, &self.bytes[self.at..]).filter(|_| !watch.is_active());
            let column = match predicted {
                Some((length, column)) => {
                    self.at += length;
                    // This record may have more white space there.
                    self.peek()?;
                    column
                }
                None => match self.head(place, names, watch)? {
                    Head::Of(column) => column,
                    Head::End => return Some(()),
                },
            };
            let begin = self.at;
            let kind = self.value()?;
            if let Some(column) = column {
                spans[column] = Span::new(base + begin, base + self.at, kind);
            }
            place += 1;
        }
    }

    /// Passes over what stands before the `place`th value of an object.
    fn head(&mut self, place: usize, names: &mut Names, watch: &mut Watch) -> Option<Head> {
        let begin = self.at;
        match (self.peek()?, place) {
            (b'{', 0) => {
                self.at += 1;
                if self.peek()? == b'}' {
                    self.at += 1;
                    return Some(Head::End);
                }
            }
            (b',', 1..) => self.at += 1,
            (b'}', 1..) => {
                self.at += 1;
                return Some(Head::End);
            }
            _ => return None,
        }
        let name = std::str::from_utf8(self.name()?).ok()?;
        self.take(b':')?;
        self.peek()?;
        let column = names.find(place, name);
        names.learn(place, &self.bytes[begin..self.at]);
        watch.saw(name, column);
        Some(Head::Of(column))
    }

    fn row_or_null(&mut self, names: &mut Names, spans: &mut [Span], watch: &mut Watch) -> Option<bool> {
        if self.bytes[self.at] == b'{' {
            return self.row(names, spans, watch).map(|()| true);
        }
        spans.fill(Span::NONE);
        self.word(b"null").map(|()| false)
    }

    /// Passes over a value, which begins here.
    pub fn value(&mut self) -> Option<Kind> {
        match self.bytes.get(self.at)? {
            b'"' => Some(if self.string()? { Kind::Other } else { Kind::Literal }),
            b'{' | b'[' => self.nested().map(|()| Kind::Other),
            _ => self.plain(),
        }
    }

    /// A number, `true`, `false` or `null`.
    fn plain(&mut self) -> Option<Kind> {
        let word: &[u8] = match self.bytes.get(self.at)? {
            b't' => b"true",
            b'f' => b"false",
            b'n' => b"null",
            _ => return self.number(),
        };
        self.word(word).map(|()| Kind::Literal)
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<Kind> {
        let negative = self.bytes[self.at] == b'-';
        if negative {
            self.at += 1;
        }
        let begin = self.at;
        let mut value = 0i64;
        // Of eight bytes at a time.
        while let Some((digits, eight)) = self.bytes[self.at..].first_chunk().map(leading_digits) {
            value = value.wrapping_mul(POWERS[digits]).wrapping_add(eight);
            self.at += digits;
            if digits < 8 {
                break;
            }
        }
        while let Some(digit) = self.bytes.get(self.at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10)
        {
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
            self.at += 1;
        }
        let digits = self.at - begin;
        if digits == 0 || (digits > 1 && self.bytes[begin] == b'0') {
            return None;
        }
        // What has more may be too much for the sum.
        let mut kind = if digits <= 18 { Kind::Integer(if negative { -value } else { value }) } else { Kind::Other };
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
            kind = Kind::Other;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
            kind = Kind::Other;
        }
        Some(kind)
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
            let (plain, ascii) = plain_run(&self.bytes[self.at..]);
            self.at += plain;
            self.ascii &= ascii;
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
                _ => {
                    self.plain()?;
                }
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

/// What so many digits more multiply a number by.
const POWERS: [i64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// How many of eight bytes are digits, up to the first that is none, and what they count.
fn leading_digits(bytes: &[u8; 8]) -> (usize, i64) {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    let digits = u64::from_le_bytes(*bytes) ^ (EACH * u64::from(b'0'));
    // The high bit of each that is above 9. A carry can only mark bytes behind the first one that is.
    let others = (digits.wrapping_add(EACH * 0x76) | digits) & (EACH << 7);
    let count = others.trailing_zeros() as usize / 8;
    if count == 0 {
        return (0, 0);
    }
    // The digits stand at the end, behind zeros; each pair, each four, and all eight become one number.
    let digits = digits << (64 - 8 * count);
    let pairs = (digits.wrapping_mul(10).wrapping_add(digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & 0x0000_ffff_0000_ffff;
    let eight = (fours.wrapping_mul(10_000).wrapping_add(fours >> 32)) & 0xffff_ffff;
    (count, eight as i64)
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
