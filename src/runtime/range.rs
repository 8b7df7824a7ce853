//! What was read of a partition in one epoch: its range, count and hash, as the epoch record keeps them.

use std::collections::BTreeMap;

use api::Record;
use bytes::Bytes;
use plan::{InputRange, LastRecord, TableId};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};
use zset::{Offset, Partition, Range};

/// So many bytes are hashed at a time.
const PIECE: usize = 8 << 10;

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

/// A range that is read piece by piece, in order.
pub(crate) struct Running {
    table: TableId,
    start: Offset,
    hasher: Xxh3,
    count: u64,
    dead_letters: u64,
    last: Option<Record>,
}

impl Running {
    /// Nothing read yet of what begins there.
    pub fn new(table: TableId, start: Offset) -> Self {
        Self { table, start, hasher: Xxh3::new(), count: 0, dead_letters: 0, last: None }
    }

    /// The next records, of which so many are dead letters.
    pub fn push(&mut self, records: &[Record], dead_letters: u64) {
        add(&mut self.hasher, records);
        self.count += records.len() as u64;
        self.dead_letters += dead_letters;
        if let Some(last) = records.last() {
            self.last = Some(last.clone());
        }
    }

    /// How many records there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The whole; `None` if there were no records.
    pub fn finish(self) -> Option<InputRange> {
        let last = self.last?;
        Some(InputRange {
            table: self.table,
            topic: last.at.topic.to_string(),
            partition: last.at.partition,
            range: Range { start: self.start, end: Offset(last.offset.0 + 1) },
            count: self.count,
            hash: format!("{:032x}", self.hasher.digest128()),
            dead_letters: self.dead_letters,
            last: last_record(&last),
        })
    }
}

/// The hash over offset, key and value of each record.
fn hash(records: &[Record]) -> String {
    let mut hasher = Xxh3::new();
    add(&mut hasher, records);
    format!("{:032x}", hasher.digest128())
}

/// Lengths are hashed too, so that no two runs look the same. Records go into the hash several at a time, for it takes each piece at a
/// price.
fn add(hasher: &mut Xxh3, records: &[Record]) {
    let mut some = Vec::with_capacity(2 * PIECE);
    for record in records {
        let length = |part: &Option<Bytes>| part.as_ref().map_or(-1, |bytes| bytes.len() as i64).to_le_bytes();
        some.extend_from_slice(&record.offset.0.to_le_bytes());
        some.extend_from_slice(&length(&record.key));
        some.extend_from_slice(record.key.as_deref().unwrap_or_default());
        some.extend_from_slice(&length(&record.value));
        match record.value.as_deref().unwrap_or_default() {
            long if long.len() > PIECE => {
                hasher.update(&some);
                hasher.update(long);
                some.clear();
            }
            value => some.extend_from_slice(value),
        }
        if some.len() >= PIECE {
            hasher.update(&some);
            some.clear();
        }
    }
    hasher.update(&some);
}

/// What is remembered of a record, to know its topic again.
pub(crate) fn last_record(record: &Record) -> LastRecord {
    let mut bytes = record.key.as_deref().unwrap_or_default().to_vec();
    bytes.push(u8::from(record.value.is_some()));
    bytes.extend_from_slice(record.value.as_deref().unwrap_or_default());
    LastRecord { offset: record.offset, timestamp: record.timestamp, hash: format!("{:032x}", xxh3_128(&bytes)) }
}

#[cfg(test)]
mod tests {
    use api::TopicPartition;
    use zset::TimestampMs;

    use super::*;

    /// Epoch records have it: it is of these bytes for ever.
    #[test]
    fn the_hash_of_a_range_is_pinned() {
        let record = |offset, key: Option<&str>, value: Option<&str>| Record {
            at: TopicPartition { topic: "t".into(), partition: Partition(0) },
            offset: Offset(offset),
            timestamp: TimestampMs(1),
            key: key.map(|key| key.to_string().into()),
            value: value.map(|value| value.to_string().into()),
            headers: Default::default(),
        };
        let (long, longer) = ("x".repeat(1000), "y".repeat(2 * PIECE));
        let mut all = vec![(1, None, Some("v")), (2, Some(""), None), (4, Some("k"), Some(long.as_str()))];
        all.extend((5..40i64).map(|offset| (offset, Some("k"), Some(long.as_str()))));
        all.extend([(40, None, Some(longer.as_str())), (41, Some(longer.as_str()), None), (42, None, Some("z"))]);
        let records: Vec<Record> = all.iter().map(|(offset, key, value)| record(*offset, *key, *value)).collect();
        let mut bytes = Vec::new();
        for (offset, key, value) in all {
            bytes.extend(offset.to_le_bytes());
            for part in [key, value] {
                bytes.extend(part.map_or(-1, |part| part.len() as i64).to_le_bytes());
                bytes.extend(part.unwrap_or_default().as_bytes());
            }
        }
        assert_eq!(hash(&records), format!("{:032x}", xxh3_128(&bytes)));
    }

    /// Between the records of a partition others have aborted some: a range ends behind its last record, and begins where the
    /// one before it ended.
    #[test]
    fn a_range_with_gaps_is_of_offsets() {
        let record = |partition, offset| Record {
            at: TopicPartition { topic: "t".into(), partition: Partition(partition) },
            offset: Offset(offset),
            timestamp: TimestampMs(1),
            key: None,
            value: Some(offset.to_string().into()),
            headers: Default::default(),
        };
        let records = [record(0, 12), record(0, 13), record(0, 17), record(1, 4)];
        let starts = [(Partition(0), Offset(10))].into();
        let found = ranges(TableId(1), &records, &starts);
        let range = |start, end| Range { start: Offset(start), end: Offset(end) };
        let all: Vec<_> = found.iter().map(|found| (found.range, found.count, found.last.offset)).collect();
        assert_eq!(all, [(range(10, 18), 3, Offset(17)), (range(4, 5), 1, Offset(4))]);
        let mut running = Running::new(TableId(1), Offset(10));
        records[..3].chunks(2).for_each(|records| running.push(records, 0));
        assert_eq!(running.finish().as_ref(), found.first(), "read piece by piece it is the same");
        let elsewhere = ranges(TableId(1), &[record(0, 12), record(0, 13), record(0, 16)], &starts);
        assert_ne!((elsewhere[0].count, &elsewhere[0].hash), (3, &found[0].hash), "the offsets are hashed too");
    }
}
