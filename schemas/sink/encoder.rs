//! Deltas to records: one change per key and epoch, in the shape of the sink's envelope.
//!
//! The rows of a key are known by the text of its record key. The records of one delta are a function of it alone: they
//! come in the order in which their keys first stand in the delta. They are written into one buffer, of which each has its parts.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use plan::SinkEnvelope;
use zset::{Delta, Epoch, RowType, TimestampMs};

use super::murmur2::murmur2;
use super::row::{BoundRows, RowWriter};
use crate::text::{write_i64, write_json_string};

/// Room is made at once for no more bytes than this: the first record may be the only long one.
const ROOM_MAX: usize = 16 << 20;

/// What records are named after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkNames {
    /// The pipeline.
    pub pipeline: String,
    /// The table whose changes are published.
    pub table: String,
}

/// The epoch that a delta is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinkEpoch {
    /// Its number.
    pub epoch: Epoch,
    /// Its time, which is every record's.
    pub timestamp: TimestampMs,
    /// Whether the delta is what was present when the sink was made.
    pub snapshot: bool,
}

/// A record for the sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkRecord {
    /// The key; `None` for a table without one.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The hash that chooses the partition: see [`super::partition`].
    pub partition_hash: u32,
}

/// Encodes the deltas of one sink.
#[derive(Debug)]
pub struct SinkEncoder {
    row: RowWriter,
    key: Option<RowWriter>,
    envelope: SinkEnvelope,
    tombstones: bool,
    /// `"source":{` up to the value of `ts_ms`.
    source_head: Vec<u8>,
    /// From behind the value of `snapshot` to the value of `epoch`.
    source_tail: Vec<u8>,
}

/// A change of one key, or of one row of a table without keys: its rows in the delta.
#[derive(Debug, Clone, Copy, Default)]
struct Change {
    before: Option<usize>,
    after: Option<usize>,
}

impl SinkEncoder {
    /// For a table's columns, the positions of the key's columns in the order they are to have in the record key, and
    /// the sink's options. Panics on an upsert sink without a key, which planning refuses.
    pub fn new(columns: &RowType, key: &[usize], envelope: SinkEnvelope, tombstones: bool, names: &SinkNames) -> Self {
        assert!(envelope != SinkEnvelope::Upsert || !key.is_empty(), "an upsert sink has a key");
        let all: Vec<usize> = (0..columns.0.len()).collect();
        let quoted = |text: &str, out: &mut Vec<u8>| write_json_string(text, out);
        let mut source_head = b"\"source\":{\"version\":".to_vec();
        quoted(env!("CARGO_PKG_VERSION"), &mut source_head);
        source_head.extend_from_slice(b",\"connector\":\"millstream\",\"name\":");
        quoted(&names.pipeline, &mut source_head);
        source_head.extend_from_slice(b",\"ts_ms\":");
        let mut source_tail = b",\"db\":".to_vec();
        quoted(&names.pipeline, &mut source_tail);
        source_tail.extend_from_slice(b",\"schema\":\"public\",\"table\":");
        quoted(&names.table, &mut source_tail);
        source_tail.extend_from_slice(b",\"epoch\":");
        Self {
            row: RowWriter::new(columns, &all),
            key: (!key.is_empty()).then(|| RowWriter::new(columns, key)),
            envelope,
            tombstones,
            source_head,
            source_tail,
        }
    }

    /// The records of a delta of which no two rows cancel. Panics if an append sink's retracts, which planning rules out.
    pub fn encode(&self, delta: &Delta, at: &SinkEpoch) -> Vec<SinkRecord> {
        let rows = self.row.bind(delta.batch());
        let mut out = Out { buffer: Vec::new(), placed: Vec::with_capacity(delta.len()) };
        match &self.key {
            Some(key) if self.envelope != SinkEnvelope::Append => {
                let changes = keyed_changes(&key.bind(delta.batch()), delta, &mut out.buffer);
                for (done, (key, change)) in changes.iter().enumerate() {
                    let hash = murmur2(&out.buffer[key.clone()]) as u32;
                    self.keyed(&rows, *change, Placed { key: Some(key.clone()), value: None, hash }, at, &mut out);
                    out.make_room(done, changes.len());
                }
            }
            // Rows without a key, and those that replace nothing, are each for itself.
            key => {
                let keys = key.as_ref().map(|key| key.bind(delta.batch()));
                for (row, &weight) in delta.weights().values().iter().enumerate().filter(|(_, weight)| **weight != 0) {
                    let change = match weight > 0 {
                        true => Change { before: None, after: Some(row) },
                        false => Change { before: Some(row), after: None },
                    };
                    let key = keys.as_ref().map(|keys| {
                        let begin = out.buffer.len();
                        keys.write(row, &mut out.buffer);
                        begin..out.buffer.len()
                    });
                    let (value, text) = self.value(&rows, change, at, &mut out.buffer);
                    let hash = murmur2(&out.buffer[key.clone().unwrap_or(text)]) as u32;
                    let tombstone = self.tombstone_of(change).then_some(Placed { key: None, value: None, hash });
                    for _ in 0..weight.unsigned_abs() {
                        out.placed.push(Placed { key: key.clone(), value: Some(value.clone()), hash });
                        out.placed.extend(tombstone.clone());
                    }
                    out.make_room(row, delta.len());
                }
            }
        }
        out.records()
    }

    /// The records of a change of a key, of which `head` has all but the value.
    fn keyed(&self, rows: &BoundRows<'_>, change: Change, head: Placed, at: &SinkEpoch, out: &mut Out) {
        let deletes = self.envelope == SinkEnvelope::Upsert && change.after.is_none();
        let value = (!deletes).then(|| self.value(rows, change, at, &mut out.buffer).0);
        let tombstone = self.tombstone_of(change).then(|| head.clone());
        out.placed.push(Placed { value, ..head });
        out.placed.extend(tombstone);
    }

    /// Whether a record without a value follows that of a change.
    fn tombstone_of(&self, change: Change) -> bool {
        self.envelope == SinkEnvelope::Debezium && change.after.is_none() && self.tombstones
    }

    /// Writes the value of a change that has one: where it is, and where in it a row is that is in the change.
    fn value(
        &self,
        rows: &BoundRows<'_>,
        change: Change,
        at: &SinkEpoch,
        out: &mut Vec<u8>,
    ) -> (Range<usize>, Range<usize>) {
        if self.envelope == SinkEnvelope::Debezium {
            return self.event(rows, change, at, out);
        }
        let appends = self.envelope == SinkEnvelope::Append;
        assert!(!appends || change.before.is_none(), "the table of an append sink is proved never to retract");
        let begin = out.len();
        rows.write(change.after.expect("a change with a value has a row"), out);
        (begin..out.len(), begin..out.len())
    }

    fn event(
        &self,
        rows: &BoundRows<'_>,
        change: Change,
        at: &SinkEpoch,
        out: &mut Vec<u8>,
    ) -> (Range<usize>, Range<usize>) {
        let begin = out.len();
        let image = |row: Option<usize>, out: &mut Vec<u8>| {
            let begin = out.len();
            match row {
                Some(row) => rows.write(row, out),
                None => out.extend_from_slice(b"null"),
            }
            begin..out.len()
        };
        let op = match change {
            Change { before: Some(_), after: Some(_) } => b"u",
            Change { before: Some(_), after: None } => b"d",
            _ if at.snapshot => b"r",
            _ => b"c",
        };
        out.extend_from_slice(b"{\"before\":");
        let before = image(change.before, out);
        out.extend_from_slice(b",\"after\":");
        let after = image(change.after, out);
        out.push(b',');
        out.extend_from_slice(&self.source_head);
        write_i64(at.timestamp.0, out);
        out.extend_from_slice(if at.snapshot { b",\"snapshot\":\"true\"" } else { b",\"snapshot\":\"false\"" });
        out.extend_from_slice(&self.source_tail);
        write_i64(at.epoch.0 as i64, out);
        out.extend_from_slice(b"},\"op\":\"");
        out.extend_from_slice(op);
        out.extend_from_slice(b"\",\"ts_ms\":");
        write_i64(at.timestamp.0, out);
        out.push(b'}');
        (begin..out.len(), if change.after.is_some() { after } else { before })
    }
}

/// A record whose parts stand in a buffer.
#[derive(Debug, Clone)]
struct Placed {
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    hash: u32,
}

/// The records of a delta while they are written.
#[derive(Debug)]
struct Out {
    buffer: Vec<u8>,
    placed: Vec<Placed>,
}

impl Out {
    /// Behind the first of `count` changes: room for more like it, so that the buffer is not copied as it grows.
    fn make_room(&mut self, done: usize, count: usize) {
        let first = self.placed.first().and_then(|placed| placed.value.as_ref()).filter(|_| done == 0);
        if let Some(first) = first {
            self.buffer.reserve((first.len() + 8).saturating_mul(count - 1).min(ROOM_MAX));
        }
    }

    fn records(self) -> Vec<SinkRecord> {
        let buffer = Bytes::from(self.buffer);
        let part = |part: Option<Range<usize>>| part.map(|part| buffer.slice(part));
        let placed = self.placed.into_iter();
        placed
            .map(|Placed { key, value, hash }| SinkRecord { key: part(key), value: part(value), partition_hash: hash })
            .collect()
    }
}

/// The changes by record key, in the order in which the keys first stand in the delta. The keys are written into `text`, which is
/// empty before: each change has its place in it.
fn keyed_changes(keys: &BoundRows<'_>, delta: &Delta, text: &mut Vec<u8>) -> Vec<(Range<usize>, Change)> {
    let weights = delta.weights().values();
    let mut ends = Vec::with_capacity(delta.len());
    for row in 0..delta.len() {
        keys.write(row, text);
        ends.push(text.len());
    }
    let key = |row: usize| (if row == 0 { 0 } else { ends[row - 1] })..ends[row];
    let mut places: HashMap<&[u8], usize> = HashMap::with_capacity(delta.len());
    let mut changes: Vec<(Range<usize>, Change)> = Vec::with_capacity(delta.len());
    for row in (0..delta.len()).filter(|row| weights[*row] != 0) {
        let place = *places.entry(&text[key(row)]).or_insert_with(|| {
            changes.push((key(row), Change::default()));
            changes.len() - 1
        });
        let change = &mut changes[place].1;
        if weights[row] > 0 { change.after = Some(row) } else { change.before = Some(row) }
    }
    changes
}
