//! What to say of a document that is not what was expected.

use serde::de::IgnoredAny;
use serde_json::Error;
use serde_json::error::Category;

use super::value::{shorten, visible};

/// So much is shown of what stands where a document is broken.
const FOUND_CHARS_MAX: usize = 20;

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
