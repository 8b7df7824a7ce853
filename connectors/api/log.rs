//! The log: topics, a reader over many partitions, and the one transactional writer.

use std::time::Duration;

use zset::{Offset, Partition, TimestampMs};

use crate::{CommitError, LogError, OutRecord, Record, TopicPartition};

/// The only partition of the epoch topic.
pub const EPOCH_PARTITION: Partition = Partition(0);

/// What a topic is kept for: decides its settings when it is made, and is verified where it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicKind {
    /// The epoch topic: one partition, never compacted, never expired.
    Epochs,
    /// The latest value per key: compacted.
    Compacted,
    /// A changelog kept by the broker's defaults.
    Plain,
}

/// A topic to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// The name.
    pub topic: String,
    /// The number of partitions.
    pub partitions: u32,
    /// The replication factor; `None`: the broker's default.
    pub replication: Option<u16>,
    /// What it is kept for.
    pub kind: TopicKind,
}

/// A topic there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// The name.
    pub topic: String,
    /// The number of partitions: numbers 0 to partitions - 1.
    pub partitions: u32,
}

/// The offsets a partition holds: `low` is the first (or would be), `high` the one behind the last *readable* one
/// (for Kafka: the last stable offset). Equal: nothing to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset.
    pub low: Offset,
    /// The offset behind the last.
    pub high: Offset,
}

/// A log.
pub trait Log: Send + Sync {
    /// A name for errors and logs: `embedded log DIR`, `Kafka at host:port`.
    fn name(&self) -> String;

    /// The topics there are, in order of name, internal ones left out.
    fn topics(&self) -> Result<Vec<TopicInfo>, LogError>;

    /// One topic; `None` if it does not exist.
    fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, LogError>;

    /// Makes a topic if it is missing; an existing one is used as it is, except that an `Epochs` topic with other
    /// settings is refused.
    fn make_topic(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError>;

    /// What a partition holds now.
    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError>;

    /// The first offset whose record is at or after a time; the end if there is none.
    fn offset_at(&self, at: &TopicPartition, time: TimestampMs) -> Result<Offset, LogError>;

    /// Deletes a partition's records below an offset, for good: `low` becomes `below`. At or below `low` already:
    /// nothing happens. Above `high`: [`LogError::OutOfRange`]. Offsets are never given out twice, also when all is
    /// deleted.
    fn trim(&self, at: &TopicPartition, below: Offset) -> Result<(), LogError>;

    /// Writes records outside of any transaction of the [`Writer`], which it neither fences nor waits for, and returns
    /// when they are durable, with the offset of each. The embedded log writes all or none; Kafka (a plain idempotent
    /// producer) may have written some of them when it fails.
    fn append(&self, records: &[OutRecord]) -> Result<Vec<Offset>, LogError>;

    /// A reader without partitions.
    fn reader(&self) -> Result<Box<dyn Reader>, LogError>;

    /// The writer. Fences every older one, and returns only when their open transactions are resolved: what is in the
    /// log afterwards is all there will ever be of them.
    fn writer(&self) -> Result<Box<dyn Writer>, LogError>;
}

/// Reads many partitions, each in the order of its offsets, committed records only.
pub trait Reader: Send {
    /// Adds a partition, or moves it: the next record read of it is the first at or after `offset`. An offset out of the
    /// partition's bounds is an error, here or at a next poll; never a silent jump. The end (`high`) is in bounds: the
    /// reader waits for what comes.
    fn assign(&mut self, at: &TopicPartition, offset: Offset) -> Result<(), LogError>;

    /// Takes a partition out.
    fn unassign(&mut self, at: &TopicPartition) -> Result<(), LogError>;

    /// At most `max` records, in the order they came: within a partition always by offset. Waits up to `wait` for the
    /// first; returns with what is at hand after that. Empty: nothing came, and the whole of `wait` is over.
    fn poll(&mut self, max: usize, wait: Duration) -> Result<Vec<Record>, LogError>;

    /// Whether every record below the end that [`Log::bounds`] gives now has been delivered by `poll`, counted from the
    /// offset of `assign`. Offsets alone do not tell: the last entry of a transactional log is a control record, which
    /// is never delivered, and compaction leaves gaps. `true` is exact. `false` may be said a little too long (until the
    /// reader has met the end itself): the caller polls again and asks again. Not assigned: an error.
    fn at_end(&mut self, at: &TopicPartition) -> Result<bool, LogError>;
}

/// The one writer of a pipeline.
pub trait Writer: Send {
    /// Writes all records in one transaction, in order, and returns when it is committed, with the offset of each.
    /// On `Aborted` and `Refused` nothing is visible and the writer can be used again. A topic or partition that does
    /// not exist is `Refused`, never made. (Kafka's readers may see a committed transaction a moment later, and
    /// partition by partition.)
    fn commit(&mut self, records: &[OutRecord]) -> Result<Vec<Offset>, CommitError>;
}
