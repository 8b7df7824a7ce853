//! What the properties share: topics with fresh names, records, and reading with a limit on patience.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use zset::{Offset, Partition, TimestampMs};

use crate::{Log, LogError, OutRecord, Reader, Record, TopicKind, TopicPartition, TopicSpec};

/// How long is waited for what must come before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The log under test.
pub struct Subject<'a> {
    make: &'a dyn Fn() -> Arc<dyn Log>,
    prefix: &'a str,
}

impl<'a> Subject<'a> {
    /// A log and the prefix of all topics made in it.
    pub fn new(make: &'a dyn Fn() -> Arc<dyn Log>, prefix: &'a str) -> Self {
        Self { make, prefix }
    }

    /// The log, opened.
    pub(super) fn log(&self) -> Arc<dyn Log> {
        (self.make)()
    }

    /// A topic's name.
    pub(super) fn name(&self, topic: &str) -> String {
        format!("{}-{topic}", self.prefix)
    }

    /// A new plain topic; its partitions.
    pub(super) fn topic(&self, log: &dyn Log, topic: &str, partitions: u32) -> Vec<TopicPartition> {
        let spec = plain(&self.name(topic), partitions);
        let info = log.make_topic(&spec).expect("a topic is made");
        assert_eq!((info.topic.as_str(), info.partitions), (spec.topic.as_str(), partitions), "the topic made");
        (0..partitions).map(|n| at(&spec.topic, n)).collect()
    }

    /// A new plain topic of one partition.
    pub(super) fn single(&self, log: &dyn Log, topic: &str) -> TopicPartition {
        self.topic(log, topic, 1).remove(0)
    }
}

/// How a plain topic is asked for.
pub(super) fn plain(topic: &str, partitions: u32) -> TopicSpec {
    TopicSpec { topic: topic.into(), partitions, replication: None, kind: TopicKind::Plain }
}

/// A partition of a topic.
pub(super) fn at(topic: &str, partition: u32) -> TopicPartition {
    let partition = Partition(i32::try_from(partition).expect("a partition's number"));
    TopicPartition { topic: topic.into(), partition }
}

/// An hour ago: brokers refuse times ahead, and expire records of long ago.
pub(super) fn start_time() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis();
    i64::try_from(now).expect("a clock before the year 292 million") - 3_600_000
}

/// A record with a text as key and value.
pub(super) fn text(to: &TopicPartition, text: &str) -> OutRecord {
    OutRecord {
        to: to.clone(),
        timestamp: TimestampMs(start_time()),
        key: Some(Bytes::copy_from_slice(text.as_bytes())),
        value: Some(Bytes::copy_from_slice(text.as_bytes())),
        headers: Vec::new(),
    }
}

/// Records `text-0` to `text-(n-1)`.
pub(super) fn texts(to: &TopicPartition, prefix: &str, n: usize) -> Vec<OutRecord> {
    (0..n).map(|i| text(to, &format!("{prefix}-{i}"))).collect()
}

/// Bytes that do not compress, the same for the same seed.
pub(super) fn noise(seed: u64, len: usize) -> Bytes {
    let blocks = (0..len.div_ceil(16) as u64).flat_map(|i| {
        let block = xxhash_rust::xxh3::xxh3_128_with_seed(&i.to_le_bytes(), seed);
        block.to_le_bytes()
    });
    blocks.take(len).collect::<Vec<u8>>().into()
}

/// What must be read of a record that was written at an offset.
pub(super) fn as_read(record: &OutRecord, offset: Offset) -> Record {
    Record {
        at: record.to.clone(),
        offset,
        timestamp: record.timestamp,
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record.headers.clone(),
    }
}

/// What must be read of all records of a commit, by partition.
pub(super) fn expected(records: &[OutRecord], offsets: &[Offset]) -> BTreeMap<TopicPartition, Vec<Record>> {
    assert_eq!(records.len(), offsets.len(), "one offset per record");
    let mut by_partition: BTreeMap<TopicPartition, Vec<Record>> = BTreeMap::new();
    for (record, offset) in records.iter().zip(offsets) {
        by_partition.entry(record.to.clone()).or_default().push(as_read(record, *offset));
    }
    by_partition
}

/// The records by partition, in the order they came.
pub(super) fn by_partition(records: Vec<Record>) -> BTreeMap<TopicPartition, Vec<Record>> {
    let mut map: BTreeMap<TopicPartition, Vec<Record>> = BTreeMap::new();
    for record in records {
        map.entry(record.at.clone()).or_default().push(record);
    }
    map
}

/// The values as text.
pub(super) fn values(records: &[Record]) -> Vec<String> {
    let value = |record: &Record| String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
    records.iter().map(value).collect()
}

/// A reader of partitions, each from an offset.
pub(super) fn reader(log: &dyn Log, from: &[(&TopicPartition, Offset)]) -> Box<dyn Reader> {
    let mut reader = log.reader(&Default::default()).expect("a reader");
    for (at, offset) in from {
        reader.assign(at, *offset).unwrap_or_else(|e| panic!("assigning {at:?} at {offset}: {e}"));
    }
    reader
}

/// Polls until `n` records are there; fails when they do not come, or more than `n` do.
pub(super) fn read(reader: &mut dyn Reader, n: usize) -> Vec<Record> {
    let begin = Instant::now();
    let mut records = Vec::new();
    while records.len() < n {
        assert!(begin.elapsed() < PATIENCE, "{} of {n} records came: {:?}", records.len(), values(&records));
        records.extend(reader.poll(n, Duration::from_millis(200)).expect("a poll"));
    }
    assert_eq!(records.len(), n, "more came than were written: {:?}", values(&records));
    records
}

/// The first `n` records of a partition, from its beginning.
pub(super) fn read_from_start(log: &dyn Log, at: &TopicPartition, n: usize) -> Vec<Record> {
    let low = log.bounds(at).expect("bounds").low;
    read(reader(log, &[(at, low)]).as_mut(), n)
}

/// Assigning there is out of range, at once or at a poll, and no record comes instead.
pub(super) fn expect_out_of_range(log: &dyn Log, at: &TopicPartition, offset: Offset) {
    let bounds = log.bounds(at).expect("bounds");
    let mut reader = log.reader(&Default::default()).expect("a reader");
    let begin = Instant::now();
    let mut answer = reader.assign(at, offset).map(|()| Vec::<Record>::new());
    while let Ok(records) = &answer {
        assert!(records.is_empty(), "a silent jump from {offset} to {}", records[0].offset);
        assert!(begin.elapsed() < PATIENCE, "no error for offset {offset} outside of {bounds:?}");
        answer = reader.poll(10, Duration::from_millis(200));
    }
    match answer {
        Err(LogError::OutOfRange { topic, partition, offset: asked, low, high }) => {
            assert_eq!(
                (topic.as_str(), partition, asked),
                (&*at.topic, at.partition, offset),
                "the place in the error"
            );
            assert_eq!((low, high), (bounds.low, bounds.high), "the bounds in the error");
        }
        other => panic!("assigning offset {offset} outside of {bounds:?}: {other:?}"),
    }
    // The reader is not broken by it.
    reader.assign(at, bounds.low).expect("assigning the first offset after an error");
    let first = reader.poll(1, if bounds.low < bounds.high { PATIENCE } else { Duration::ZERO }).expect("a poll");
    assert!(first.iter().all(|record| record.offset >= bounds.low));
    assert!(!first.is_empty() || bounds.low == bounds.high, "nothing comes after the error");
}
