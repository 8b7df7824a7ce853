//! Finds where the values stand in a document, in one pass, without reading them.

use serde_json::Error;

use super::names::Names;
use super::{scan, slow};
use crate::watch::Watch;

/// What is known of a token from passing over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is as it is written: a word, or a string without escapes.
    Literal,
    /// An integer of up to 18 digits.
    Integer(i64),
    /// Nothing.
    Other,
}

/// A place in the bytes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    end: usize,
    kind: Kind,
}

impl Span {
    /// Nowhere: no token of JSON is empty.
    pub const NONE: Self = Self { start: 0, end: 0, kind: Kind::Other };

    pub fn new(start: usize, end: usize, kind: Kind) -> Self {
        Self { start, end, kind }
    }

    pub fn kind(self) -> Kind {
        self.kind
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
        Span { start, end: start + part.len(), kind: Kind::Other }
    }
}

/// The document without JSON's white space around it.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}

/// The schema and the payload of a document of exactly these two fields; `last` is the schema that came last.
pub(super) fn wrapped<'a>(text: &'a str, last: Option<&str>) -> Option<(&'a str, &'a str)> {
    let first = trim(trim(text).strip_prefix('{')?);
    if !first.starts_with("\"schema\"") && !first.starts_with("\"payload\"") {
        return None;
    }
    let (schema, payload) = scan::wrapped(text, last).or_else(|| slow::wrapped(text))?;
    (schema == "null" || schema.starts_with('{')).then_some((schema, payload))
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
    slow::row(text, at, names, spans, watch)
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

/// Where the columns of both rows of a change event are put.
pub(super) struct Images<'s> {
    pub names: &'s mut Names,
    pub before: &'s mut [Span],
    pub after: &'s mut [Span],
    pub watch: &'s mut Watch,
}

/// Finds the columns in both rows of a change event.
pub(super) fn change<'a>(text: &'a str, at: Located, mut images: Images<'_>) -> Result<Change<'a>, Error> {
    match scan::change(text, at.offset(text), &mut images) {
        Some(change) => Ok(change),
        None => slow::change(text, at, images),
    }
}
