//! Deltas to records: one change per key and epoch, in the shape of the sink's envelope.
//!
//! The rows of a key are known by the text of its record key. The records of one delta are a function of it alone: they
//! come in the order in which their keys first stand in the delta.

use std::collections::HashMap;

use plan::SinkEnvelope;
use zset::{Delta, Epoch, RowType, TimestampMs};

use super::murmur2::murmur2;
use super::row::{BoundRows, RowWriter, whole};
use crate::text::write_json_string;

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
    pub key: Option<Vec<u8>>,
    /// The value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
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

    /// The records of a consolidated delta. Panics if an append sink's delta retracts, which planning rules out.
    pub fn encode(&self, delta: &Delta, at: &SinkEpoch) -> Vec<SinkRecord> {
        let rows = self.row.bind(delta.batch());
        let mut records = Vec::with_capacity(delta.len());
        match &self.key {
            Some(key) => {
                for (key, change) in keyed_changes(&key.bind(delta.batch()), delta) {
                    let hash = murmur2(&key) as u32;
                    self.records(&rows, change, Some(key), hash, at, &mut records);
                }
            }
            None => {
                let mut text = Vec::new();
                for (row, &weight) in delta.weights().values().iter().enumerate().filter(|(_, weight)| **weight != 0) {
                    text.clear();
                    rows.write(row, &mut text);
                    let hash = murmur2(&text) as u32;
                    let change = match weight > 0 {
                        true => Change { before: None, after: Some(row) },
                        false => Change { before: Some(row), after: None },
                    };
                    for _ in 0..weight.unsigned_abs() {
                        self.records(&rows, change, None, hash, at, &mut records);
                    }
                }
            }
        }
        records
    }

    fn records(
        &self,
        rows: &BoundRows<'_>,
        change: Change,
        key: Option<Vec<u8>>,
        partition_hash: u32,
        at: &SinkEpoch,
        records: &mut Vec<SinkRecord>,
    ) {
        let row = |row: usize| {
            let mut value = Vec::with_capacity(128);
            rows.write(row, &mut value);
            value
        };
        match self.envelope {
            SinkEnvelope::Append => {
                assert!(change.before.is_none(), "the table of an append sink is proved never to retract");
                records.extend(change.after.map(|after| SinkRecord { key, value: Some(row(after)), partition_hash }));
            }
            SinkEnvelope::Upsert => records.push(SinkRecord { key, value: change.after.map(row), partition_hash }),
            SinkEnvelope::Debezium => {
                let tombstone = (change.after.is_none() && self.tombstones).then(|| SinkRecord {
                    key: key.clone(),
                    value: None,
                    partition_hash,
                });
                let value = Some(self.event(rows, change, at));
                records.push(SinkRecord { key, value, partition_hash });
                records.extend(tombstone);
            }
        }
    }

    fn event(&self, rows: &BoundRows<'_>, change: Change, at: &SinkEpoch) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let image = |row: Option<usize>, out: &mut Vec<u8>| match row {
            Some(row) => rows.write(row, out),
            None => out.extend_from_slice(b"null"),
        };
        let op = match change {
            Change { before: Some(_), after: Some(_) } => b"u",
            Change { before: Some(_), after: None } => b"d",
            _ if at.snapshot => b"r",
            _ => b"c",
        };
        out.extend_from_slice(b"{\"before\":");
        image(change.before, &mut out);
        out.extend_from_slice(b",\"after\":");
        image(change.after, &mut out);
        out.push(b',');
        out.extend_from_slice(&self.source_head);
        whole(at.timestamp.0, &mut out);
        out.extend_from_slice(if at.snapshot { b",\"snapshot\":\"true\"" } else { b",\"snapshot\":\"false\"" });
        out.extend_from_slice(&self.source_tail);
        whole(at.epoch.0 as i64, &mut out);
        out.extend_from_slice(b"},\"op\":\"");
        out.extend_from_slice(op);
        out.extend_from_slice(b"\",\"ts_ms\":");
        whole(at.timestamp.0, &mut out);
        out.push(b'}');
        out
    }
}

/// The changes by record key, in the order in which the keys first stand in the delta.
fn keyed_changes(keys: &BoundRows<'_>, delta: &Delta) -> Vec<(Vec<u8>, Change)> {
    let weights = delta.weights().values();
    let (mut text, mut ends) = (Vec::new(), Vec::with_capacity(delta.len()));
    for row in 0..delta.len() {
        keys.write(row, &mut text);
        ends.push(text.len());
    }
    let key = |row: usize| &text[if row == 0 { 0 } else { ends[row - 1] }..ends[row]];
    let mut places: HashMap<&[u8], usize> = HashMap::with_capacity(delta.len());
    let mut changes: Vec<(usize, Change)> = Vec::with_capacity(delta.len());
    for row in (0..delta.len()).filter(|row| weights[*row] != 0) {
        let place = *places.entry(key(row)).or_insert_with(|| {
            changes.push((row, Change::default()));
            changes.len() - 1
        });
        let change = &mut changes[place].1;
        if weights[row] > 0 { change.after = Some(row) } else { change.before = Some(row) }
    }
    changes.into_iter().map(|(row, change)| (key(row).to_vec(), change)).collect()
}
