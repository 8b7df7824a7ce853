//! A line as a record: its value, or an object that holds key and value.

use api::{Headers, Record, TopicPartition};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use zset::{Offset, TimestampMs};

use super::cut::Line;

/// The time of a record that has none.
const NO_TIME: TimestampMs = TimestampMs(-1);

/// What `millstream topic read` prints. A line with any other field is no such line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyValue<'a> {
    #[serde(borrow)]
    key: &'a RawValue,
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(default)]
    timestamp: Option<i64>,
    #[serde(rename = "topic", default)]
    _topic: Option<IgnoredAny>,
    #[serde(rename = "partition", default)]
    _partition: Option<IgnoredAny>,
    #[serde(rename = "offset", default)]
    _offset: Option<IgnoredAny>,
    #[serde(rename = "headers", default)]
    _headers: Option<IgnoredAny>,
}

/// The record of a line. With `keyed`, a line `{"key": ..., "value": ...}` is taken apart; any other is the value.
pub(super) fn record(at: &TopicPartition, line: Line, keyed: bool) -> Record {
    let offset = Offset(line.start as i64);
    let apart = if keyed { serde_json::from_slice::<KeyValue<'_>>(&line.text).ok() } else { None };
    let (key, value, timestamp) = match apart {
        Some(line) => (bytes_of(line.key), bytes_of(line.value), line.timestamp.map_or(NO_TIME, TimestampMs)),
        None => (None, Some(line.text), NO_TIME),
    };
    Record { at: at.clone(), offset, timestamp, key, value, headers: Headers::new() }
}

/// The bytes that a key or value stands for: a string's text, nothing for null, else the JSON itself.
fn bytes_of(raw: &RawValue) -> Option<Bytes> {
    match serde_json::from_str::<Option<String>>(raw.get()) {
        Ok(text) => text.map(Bytes::from),
        Err(_) => Some(Bytes::copy_from_slice(raw.get().as_bytes())),
    }
}
