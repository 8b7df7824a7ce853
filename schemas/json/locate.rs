//! Finds where the values stand in a document, in one pass, without reading them.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Deserializer, Error};

use super::names::Names;
use super::scan;
use super::value::{shorten, visible};
use crate::watch::Watch;

/// So much is shown of what stands where a document is broken.
const FOUND_CHARS_MAX: usize = 20;

/// A place in the bytes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    end: usize,
    /// Whether it is known that what stands there is as it is written: it has no escape.
    literal: bool,
}

impl Span {
    /// Nowhere: no token of JSON is empty.
    pub const NONE: Self = Self { start: 0, end: 0, literal: false };

    pub fn new(start: usize, end: usize, literal: bool) -> Self {
        Self { start, end, literal }
    }

    pub fn is_literal(self) -> bool {
        self.literal
    }

    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// What stands there.
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start..self.end]
    }
}

/// The address that a record's bytes begin at: spans are counted from there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Located {
    pub base: usize,
}

impl Located {
    /// Where a part of the record begins in it.
    pub fn offset(self, part: &str) -> usize {
        part.as_ptr() as usize - self.base
    }

    /// The place of a part of the record.
    pub fn span(self, part: &str) -> Span {
        let start = self.offset(part);
        Span { start, end: start + part.len(), literal: false }
    }
}

/// The document without JSON's white space around it.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}

/// Whether a text is one JSON value.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// What to say of a document that is no object.
pub(super) fn no_object(text: &str) -> String {
    let kind = match text.bytes().next() {
        None => {
            return "the value is empty; a JSON object was expected (a tombstone is a null value, not an empty one)"
                .into();
        }
        Some(0) => {
            return "the value begins with the byte 0, as Avro, Protobuf and JSON Schema of a schema registry do; format 'json' \
                    reads plain JSON"
                .into();
        }
        _ if text.starts_with('\u{feff}') => {
            return "the value begins with a byte order mark (the bytes EF BB BF), which JSON does not have; let the producer \
                    leave it out"
                .into();
        }
        _ if !is_json(text) => return format!("the value is not JSON: it begins with {}", shorten(text)),
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(_) => "a number",
    };
    format!("the value is {kind}; a JSON object was expected")
}

/// What to say of a document that could not be scanned.
pub(super) fn broken(text: &str, error: &Error) -> String {
    let what = told(error);
    match error.classify() {
        Category::Data => format!("the value cannot be read: {what}"),
        Category::Eof => format!("the value is not JSON: it ends too early, after {} bytes", text.len()),
        _ => {
            let at = place_of(text, error);
            let found: String = text[at..].chars().take(FOUND_CHARS_MAX).collect();
            format!("the value is not JSON: {} at byte {at}, where it says {}", in_words(&what), visible(&found))
        }
    }
}

/// An error without its place.
pub(super) fn told(error: &Error) -> String {
    let (what, place) = (error.to_string(), format!(" at line {} column {}", error.line(), error.column()));
    let what = what.strip_suffix(&place).unwrap_or(&what);
    what.replace("invalid type: ", "found ").replace("found sequence", "found an array")
}

/// The byte that the error is at.
fn place_of(text: &str, error: &Error) -> usize {
    let line = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    let mut at = (line + error.column().saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The parser's words for whoever does not know the parser.
fn in_words(what: &str) -> &str {
    match what {
        "expected value" => "a value was expected",
        "key must be a string" => "a field's name in double quotes was expected",
        "trailing characters" => "there is more behind its end",
        "trailing comma" => "there is a comma too many",
        "expected `,` or `}`" => "a comma or the end of the object was expected",
        "expected `,` or `]`" => "a comma or the end of the array was expected",
        "unexpected end of hex escape" | "lone leading surrogate in hex escape" => "an escape stands for no character",
        what if what.starts_with("control character") => "a string holds a control character that is not escaped",
        other => other,
    }
}

/// The schema and the payload of a document of exactly these two fields; `last` is the schema that came last.
pub(super) fn wrapped<'a>(text: &'a str, last: Option<&str>) -> Option<(&'a str, &'a str)> {
    let first = trim(trim(text).strip_prefix('{')?);
    if !first.starts_with("\"schema\"") && !first.starts_with("\"payload\"") {
        return None;
    }
    let (schema, payload) = scan::wrapped(text, last).or_else(|| wrapped_slowly(text))?;
    (schema == "null" || schema.starts_with('{')).then_some((schema, payload))
}

pub(super) fn wrapped_slowly(text: &str) -> Option<(&str, &str)> {
    // A document with a third field, or a field twice, is no wrapper but a row.
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        schema: &'a RawValue,
        #[serde(borrow)]
        payload: &'a RawValue,
    }
    let fields = serde_json::from_str::<Wrapped<'_>>(text).ok()?;
    Some((fields.schema.get(), fields.payload.get()))
}

/// Finds the columns in a row.
pub(super) fn row(
    text: &str,
    at: Located,
    names: &mut Names,
    spans: &mut [Span],
    watch: &mut Watch,
) -> Result<(), Error> {
    if scan::row(text, at.offset(text), names, spans, watch).is_some() {
        return Ok(());
    }
    row_slowly(text, at, names, spans, watch)
}

/// The same of any document.
pub(super) fn row_slowly(
    text: &str,
    at: Located,
    names: &mut Names,
    spans: &mut [Span],
    watch: &mut Watch,
) -> Result<(), Error> {
    whole(text, RowSeed { at, names, spans, watch }).map(|_| ())
}

/// What a change event holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change<'a> {
    /// The token of `op`, unless it is null.
    pub op: Option<&'a str>,
    /// Whether `before` is a row.
    pub before: bool,
    /// Whether `after` is a row.
    pub after: bool,
}

/// Finds the columns in both rows of a change event.
pub(super) fn change<'a>(
    text: &'a str,
    at: Located,
    names: &mut Names,
    before: &mut [Span],
    after: &mut [Span],
    watch: &mut Watch,
) -> Result<Change<'a>, Error> {
    if let Some(change) = scan::change(text, at.offset(text), names, before, after, watch) {
        return Ok(change);
    }
    change_slowly(text, at, names, before, after, watch)
}

/// The same of any document.
pub(super) fn change_slowly<'a>(
    text: &'a str,
    at: Located,
    names: &mut Names,
    before: &mut [Span],
    after: &mut [Span],
    watch: &mut Watch,
) -> Result<Change<'a>, Error> {
    // An event without one of them says that there is no row.
    before.fill(Span::NONE);
    after.fill(Span::NONE);
    whole(text, ChangeSeed { at, names, before, after, watch })
}

fn whole<'a, S: DeserializeSeed<'a>>(text: &'a str, seed: S) -> Result<S::Value, Error> {
    let mut deserializer = Deserializer::from_str(text);
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// A row or null; whether it is a row.
struct RowSeed<'s> {
    at: Located,
    names: &'s mut Names,
    spans: &'s mut [Span],
    watch: &'s mut Watch,
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null in \"before\" and \"after\"")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        // A later null takes back an earlier row of the same name.
        self.spans.fill(Span::NONE);
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        self.spans.fill(Span::NONE);
        let mut place = 0;
        while let Some(column) = map.next_key_seed(NameSeed { place, names: self.names, watch: self.watch })? {
            match column {
                Some(column) => self.spans[column] = self.at.span(map.next_value::<&'de RawValue>()?.get()),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            place += 1;
        }
        Ok(true)
    }
}

/// A field's name to its column.
struct NameSeed<'s> {
    place: usize,
    names: &'s mut Names,
    watch: &'s mut Watch,
}

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let column = self.names.find(self.place, name);
        if self.watch.is_active() {
            self.watch.saw(name, column);
        }
        Ok(column)
    }
}

struct ChangeSeed<'s> {
    at: Located,
    names: &'s mut Names,
    before: &'s mut [Span],
    after: &'s mut [Span],
    watch: &'s mut Watch,
}

impl<'de> DeserializeSeed<'de> for ChangeSeed<'_> {
    type Value = Change<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ChangeSeed<'_> {
    type Value = Change<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a change event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self { at, names, before, after, watch } = self;
        let mut change = Change::default();
        while let Some(field) = map.next_key_seed(FieldSeed)? {
            match field {
                Field::Op => {
                    let token = map.next_value::<&'de RawValue>()?.get();
                    change.op = (token != "null").then_some(token);
                }
                Field::Before => {
                    let seed = RowSeed { at, names: &mut *names, spans: &mut *before, watch: &mut *watch };
                    change.before = map.next_value_seed(seed)?;
                }
                Field::After => {
                    let seed = RowSeed { at, names: &mut *names, spans: &mut *after, watch: &mut *watch };
                    change.after = map.next_value_seed(seed)?;
                }
                Field::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(change)
    }
}

enum Field {
    Op,
    Before,
    After,
    Other,
}

struct FieldSeed;

impl<'de> DeserializeSeed<'de> for FieldSeed {
    type Value = Field;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldSeed {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Field, E> {
        Ok(match name {
            "op" => Field::Op,
            "before" => Field::Before,
            "after" => Field::After,
            _ => Field::Other,
        })
    }
}
