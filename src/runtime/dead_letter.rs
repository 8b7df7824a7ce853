//! Dead letters: the record that could not be decoded, as it came, with where it came from and why.

use std::sync::Arc;

use api::{Headers, OutRecord, Record, TopicPartition};
use bytes::Bytes;
use zset::{Epoch, Partition, TimestampMs};

/// A dead letter has no more bytes than this: brokers refuse records over 1 MiB unless told otherwise.
const BYTES_MAX: usize = 900 * 1024;
/// A reason has no more characters than this; it may quote the record.
const REASON_CHARS_MAX: usize = 1000;

/// Why a record is dead.
#[derive(Debug)]
pub(crate) struct Cause {
    pub column: Option<String>,
    pub reason: String,
}

/// The dead letter of a record, without its partition: [`place`] says that, when the topic is known.
pub(crate) fn dead_letter(
    table: &str,
    dlq_topic: &str,
    record: &Record,
    cause: Cause,
    (incarnation, epoch, timestamp): (&str, Epoch, TimestampMs),
) -> OutRecord {
    let mut own: Headers = Vec::new();
    let mut add = |name: &str, value: String| own.push((format!("millstream.error.{name}"), Some(value.into())));
    add("table", table.to_string());
    add("topic", record.at.topic.to_string());
    add("partition", record.at.partition.to_string());
    add("offset", record.offset.to_string());
    add("timestamp", record.timestamp.0.to_string());
    add("epoch", epoch.to_string());
    add("incarnation", incarnation.to_string());
    if let Some(column) = cause.column {
        add("column", column);
    }
    add("reason", first_chars(cause.reason, REASON_CHARS_MAX));

    let mut room = Room { left: BYTES_MAX - own.iter().map(bytes_of).sum::<usize>(), cut: false };
    let key = record.key.as_ref().map(|key| room.fit(key));
    let mut headers: Headers = record.headers.iter().filter(|header| room.has(bytes_of(header))).cloned().collect();
    let value = record.value.as_ref().map(|value| room.fit(value));
    if room.cut {
        own.push(("millstream.error.truncated".to_string(), Some("true".into())));
    }
    headers.extend(own);
    let to = TopicPartition { topic: Arc::from(dlq_topic), partition: Partition(0) };
    OutRecord { to, timestamp, key, value, headers }
}

/// Puts a dead letter into the partition of its key.
pub(crate) fn place(letter: &mut OutRecord, partitions: u32) {
    let hash = schemas::murmur2(letter.key.as_deref().unwrap_or_default()) as u32;
    letter.to.partition = Partition(schemas::partition(hash, partitions) as i32);
}

/// The beginning of a text.
pub(crate) fn first_chars(mut text: String, chars_max: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(chars_max) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// What a dead letter still has room for.
struct Room {
    left: usize,
    cut: bool,
}

impl Room {
    fn fit(&mut self, bytes: &Bytes) -> Bytes {
        let kept = bytes.len().min(self.left);
        self.left -= kept;
        self.cut |= kept < bytes.len();
        bytes.slice(..kept)
    }

    fn has(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.left;
        self.left -= if fits { bytes } else { 0 };
        self.cut |= !fits;
        fits
    }
}

fn bytes_of((name, value): &(String, Option<Bytes>)) -> usize {
    name.len() + value.as_ref().map_or(0, Bytes::len)
}
