//! PostgreSQL's text form of `jsonb`: what `'...'::jsonb::text` gives.
//!
//! Members by length of name, then by its bytes; of equal names the last; `": "` and `", "` between; numbers as `numeric`
//! shows them; strings with only the escapes that must be. Written in one pass: only an object whose members are not in
//! order already is put together a second time.

use std::borrow::Cow;

use super::numeric::Digits;
use super::{Misfit, misfit, misfit_with};

/// How deep a document may be nested.
pub const JSON_DEPTH_MAX: usize = 1024;

/// How long a document may be, as PostgreSQL has it. (A number of few characters may have a hundred thousand digits.)
const BYTES_MAX: usize = 268_435_455;

/// The canonical text of a JSON document.
pub fn jsonb(text: &str) -> Result<String, Misfit> {
    let mut writer = Writer { text, at: 0, out: Vec::with_capacity(text.len() + text.len() / 8), members: Vec::new() };
    writer.value(0)?;
    writer.space();
    if writer.at < text.len() {
        return writer.unexpected();
    }
    String::from_utf8(writer.out).or_else(|_| misfit("is not UTF-8"))
}

struct Writer<'a> {
    text: &'a str,
    at: usize,
    out: Vec<u8>,
    /// The members of the objects that are open, the innermost last.
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    name: Cow<'a, str>,
    /// Where it stands in the output, name and value.
    start: usize,
    end: usize,
}

impl<'a> Writer<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn unexpected<T>(&self) -> Result<T, Misfit> {
        match self.text[self.at..].chars().next() {
            Some(found) => misfit_with(format!("is not JSON: unexpected {found:?} at byte {}", self.at)),
            None => misfit("is not JSON: it ends too early"),
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), Misfit> {
        if depth > JSON_DEPTH_MAX {
            return misfit_with(format!("is nested more than {JSON_DEPTH_MAX} deep"));
        }
        if self.out.len() > BYTES_MAX {
            return misfit_with(format!("has more than {BYTES_MAX} bytes, its numbers written out"));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => {
                let text = self.string()?;
                write_json_string(&text, &mut self.out);
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<(), Misfit> {
        for word in ["true", "false", "null"] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                self.out.extend_from_slice(word.as_bytes());
                return Ok(());
            }
        }
        self.unexpected()
    }

    fn number(&mut self) -> Result<(), Misfit> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let digits = |at: usize| bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut at = start + usize::from(bytes[start] == b'-');
        let whole = digits(at);
        let mut good = whole > 0 && (whole == 1 || bytes[at] != b'0');
        at += whole;
        if bytes.get(at) == Some(&b'.') {
            let behind = digits(at + 1);
            good &= behind > 0;
            at += 1 + behind;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let exponent = digits(at + 1 + sign);
            good &= exponent > 0;
            at += 1 + sign + exponent;
        }
        if !good {
            return misfit_with(format!("is not JSON: a number is malformed at byte {start}"));
        }
        self.at = at;
        Digits::parse(&self.text[start..at])?.write_postgres(&mut self.out)
    }

    fn array(&mut self, depth: usize) -> Result<(), Misfit> {
        self.at += 1;
        self.out.push(b'[');
        self.space();
        if !self.take(b']') {
            loop {
                self.value(depth + 1)?;
                self.space();
                if self.take(b']') {
                    break;
                }
                if !self.take(b',') {
                    return self.unexpected();
                }
                self.out.extend_from_slice(b", ");
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), Misfit> {
        self.at += 1;
        self.out.push(b'{');
        let (first, body) = (self.members.len(), self.out.len());
        self.space();
        if !self.take(b'}') {
            loop {
                self.member(depth)?;
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return self.unexpected();
                }
                self.out.extend_from_slice(b", ");
            }
        }
        let order = |a: &Member<'_>, b: &Member<'_>| (a.name.len(), &a.name).cmp(&(b.name.len(), &b.name));
        if !self.members[first..].is_sorted_by(|a, b| order(a, b).is_lt()) {
            let written = self.out.split_off(body);
            let mut members: Vec<Member<'a>> = self.members.drain(first..).collect();
            // Stable: of equal names the last stays the last.
            members.sort_by(order);
            for (at, member) in members.iter().enumerate() {
                if members.get(at + 1).is_some_and(|next| next.name == member.name) {
                    continue;
                }
                if self.out.len() > body {
                    self.out.extend_from_slice(b", ");
                }
                self.out.extend_from_slice(&written[member.start - body..member.end - body]);
            }
        }
        self.members.truncate(first);
        self.out.push(b'}');
        Ok(())
    }

    fn member(&mut self, depth: usize) -> Result<(), Misfit> {
        self.space();
        if self.peek() != Some(b'"') {
            return self.unexpected();
        }
        let start = self.out.len();
        let name = self.string()?;
        write_json_string(&name, &mut self.out);
        self.space();
        if !self.take(b':') {
            return self.unexpected();
        }
        self.out.extend_from_slice(b": ");
        self.value(depth + 1)?;
        self.space();
        self.members.push(Member { name, start, end: self.out.len() });
        Ok(())
    }

    /// The string that begins here, unescaped.
    fn string(&mut self) -> Result<Cow<'a, str>, Misfit> {
        let start = self.at;
        let mut escaped = false;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    // The escape itself is judged when the string is unescaped.
                    self.at += 2;
                }
                Some(byte) if byte >= 0x20 => self.at += 1,
                Some(_) => return misfit_with(format!("is not JSON: a bare control character at byte {}", self.at)),
                None => return misfit("is not JSON: it ends within a string"),
            }
        }
        self.at += 1;
        match escaped {
            false => Ok(Cow::Borrowed(&self.text[start + 1..self.at - 1])),
            true => unescape(&self.text[start..self.at]).map(Cow::Owned),
        }
    }
}

/// A string literal of JSON, quotes and all, as the text it stands for.
pub(crate) fn unescape(literal: &str) -> Result<String, Misfit> {
    match serde_json::from_str::<String>(literal) {
        Ok(text) if text.contains('\0') => misfit("holds \\u0000, which no text of PostgreSQL can"),
        Ok(text) => Ok(text),
        Err(_) => misfit("holds an escape that stands for no character"),
    }
}

/// Writes a string literal with the escapes that must be, as PostgreSQL's `escape_json`.
pub(crate) fn write_json_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut clean = 0;
    loop {
        let at = clean + super::plain_len(&bytes[clean..]);
        out.extend_from_slice(&bytes[clean..at]);
        let Some(&byte) = bytes.get(at) else { break };
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            0x08 => b"\\b",
            0x0c => b"\\f",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let [high, low] = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                &[b'\\', b'u', b'0', b'0', high, low]
            }
        };
        out.extend_from_slice(escape);
        clean = at + 1;
    }
    out.push(b'"');
}

#[cfg(test)]
#[path = "jsonb_tests.rs"]
mod tests;
