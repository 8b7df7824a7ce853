//! What was read of a partition in one epoch: its range, count and hash, as the epoch record keeps them.

use std::collections::BTreeMap;

use api::Record;
use plan::{InputRange, LastRecord, TableId};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};
use zset::{Offset, Partition, Range};

/// The order in which the records of an epoch are processed: by partition and offset, whatever order they came in.
pub(crate) fn put_in_order(records: &mut [Record]) {
    records.sort_by_key(|record| (record.at.partition, record.offset));
}

/// The ranges of records that are in order. `starts` has where each partition's range begins.
pub(crate) fn ranges(table: TableId, records: &[Record], starts: &BTreeMap<Partition, Offset>) -> Vec<InputRange> {
    records
        .chunk_by(|a, b| a.at.partition == b.at.partition)
        .map(|run| {
            let (first, last) = (&run[0], &run[run.len() - 1]);
            let partition = first.at.partition;
            let start = starts.get(&partition).copied().unwrap_or(first.offset);
            InputRange {
                table,
                topic: first.at.topic.to_string(),
                partition,
                range: Range { start, end: Offset(last.offset.0 + 1) },
                count: run.len() as u64,
                hash: hash(run),
                dead_letters: 0,
                last: last_record(last),
            }
        })
        .collect()
}

/// The hash over offset, key and value of each record. Lengths are hashed too, so that no two runs look the same.
fn hash(records: &[Record]) -> String {
    let mut hasher = Xxh3::new();
    for record in records {
        hasher.update(&record.offset.0.to_le_bytes());
        for part in [&record.key, &record.value] {
            let length = part.as_ref().map_or(-1, |bytes| bytes.len() as i64);
            hasher.update(&length.to_le_bytes());
            hasher.update(part.as_deref().unwrap_or_default());
        }
    }
    format!("{:032x}", hasher.digest128())
}

/// What is remembered of a record, to know its topic again.
pub(crate) fn last_record(record: &Record) -> LastRecord {
    let mut bytes = record.key.as_deref().unwrap_or_default().to_vec();
    bytes.push(u8::from(record.value.is_some()));
    bytes.extend_from_slice(record.value.as_deref().unwrap_or_default());
    LastRecord { offset: record.offset, timestamp: record.timestamp, hash: format!("{:032x}", xxh3_128(&bytes)) }
}
