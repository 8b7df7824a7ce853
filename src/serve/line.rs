//! A record as a JSON line: `{"partition","offset","key","value","headers","timestamp"}`.
//!
//! Keys, values and header values are bytes. What is read says them by one rule: text is a JSON string, null is null,
//! bytes that are not UTF-8 are `{"$base64":"..."}`. Text that is itself JSON stays a string: the bytes are what counts.
//! What is written may say them the same way, or as any other JSON (an object, a number, ...), which stands for its own
//! text without white space: `"value":{"id": 1}` writes the bytes `{"id":1}`. So what was read can be written again.
//!
//! Headers are an object, or a list of `[name, value]` where a name occurs twice. Of a line that is written only `value`
//! must be there (null deletes); `offset` is not looked at.

use std::borrow::Cow;

use api::{Headers, Record};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

const SHAPE: &str =
    "a line is {\"key\": ..., \"value\": ...} (value null deletes), and may have partition, headers and timestamp";

/// A line to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub partition: Option<i32>,
    pub timestamp: Option<i64>,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Headers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    topic: Option<Cow<'a, str>>,
    partition: Option<i32>,
    #[serde(rename = "offset")]
    _offset: Option<IgnoredAny>,
    timestamp: Option<i64>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(borrow, default)]
    headers: Pairs<'a>,
}

/// Reads a line.
pub(crate) fn parse(line: &[u8], topic: &str) -> Result<Line, String> {
    if !line.starts_with(b"{") {
        return Err(format!("it is not a JSON object; {SHAPE}"));
    }
    let fields: Fields<'_> = serde_json::from_slice(line).map_err(|error| {
        let why = error.to_string().replace(" at line 1 column ", " at column ");
        format!("{why}; {SHAPE}")
    })?;
    if let Some(other) = fields.topic.filter(|named| named != topic) {
        return Err(format!(
            "it is a record of topic \"{other}\", not of \"{topic}\"; write it there, or leave topic out"
        ));
    }
    let headers = fields.headers.0.into_iter().map(|(name, value)| Ok((name, bytes_of(value)?)));
    Ok(Line {
        partition: fields.partition,
        timestamp: fields.timestamp,
        key: fields.key.map_or(Ok(None), bytes_of)?,
        value: bytes_of(fields.value)?,
        headers: headers.collect::<Result<_, String>>()?,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Binary<'a> {
    #[serde(rename = "$base64", borrow)]
    base64: Cow<'a, str>,
}

/// The bytes that a key or value stands for.
fn bytes_of(raw: &RawValue) -> Result<Option<Bytes>, String> {
    let raw = raw.get();
    if raw == "null" {
        return Ok(None);
    }
    if raw.starts_with('"') {
        let text: String = serde_json::from_str(raw).map_err(|error| format!("a string is not text: {error}"))?;
        return Ok(Some(text.into()));
    }
    // A list would be taken for the object's fields in order.
    if raw.starts_with('{')
        && let Ok(binary) = serde_json::from_str::<Binary<'_>>(raw)
    {
        let bytes =
            STANDARD.decode(binary.base64.as_bytes()).map_err(|error| format!("$base64 is not base64: {error}"))?;
        return Ok(Some(bytes.into()));
    }
    Ok(Some(compact(raw).into()))
}

/// Valid JSON without the white space between its parts; numbers and the order of fields stay as they are.
fn compact(json: &str) -> Vec<u8> {
    let (mut inside, mut escaped) = (false, false);
    let keep = |byte: &u8| {
        if inside {
            inside = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            return true;
        }
        inside = *byte == b'"';
        !matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
    };
    json.bytes().filter(keep).collect()
}

/// Headers, in whichever of their two forms.
#[derive(Default)]
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("headers as an object or as a list of [name, value]")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Pairs::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = seq.next_element()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

/// Writes a record as a line.
pub(crate) fn write(record: &Record, out: &mut Vec<u8>) {
    out.extend_from_slice(
        format!("{{\"partition\":{},\"offset\":{},\"key\":", record.at.partition, record.offset).as_bytes(),
    );
    write_bytes(record.key.as_ref(), out);
    out.extend_from_slice(b",\"value\":");
    write_bytes(record.value.as_ref(), out);
    out.extend_from_slice(b",\"headers\":");
    write_headers(&record.headers, out);
    out.extend_from_slice(format!(",\"timestamp\":{}}}\n", record.timestamp.0).as_bytes());
}

fn write_headers(headers: &Headers, out: &mut Vec<u8>) {
    let twice = headers.iter().enumerate().any(|(at, (name, _))| headers[..at].iter().any(|(other, _)| other == name));
    let [open, close] = if twice { *b"[]" } else { *b"{}" };
    out.push(open);
    for (at, (name, value)) in headers.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if twice {
            out.push(b'[');
        }
        write_text(name, out);
        out.push(if twice { b',' } else { b':' });
        write_bytes(value.as_ref(), out);
        if twice {
            out.push(b']');
        }
    }
    out.push(close);
}

fn write_bytes(bytes: Option<&Bytes>, out: &mut Vec<u8>) {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => out.extend_from_slice(b"null"),
        Some((Ok(text), _)) => write_text(text, out),
        Some((Err(_), bytes)) => {
            out.extend_from_slice(b"{\"$base64\":\"");
            out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            out.extend_from_slice(b"\"}");
        }
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("text can always be written to memory");
}
