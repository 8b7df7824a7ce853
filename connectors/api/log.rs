//! The log: topics, a reader over many partitions, and the one transactional writer.

use std::collections::BTreeMap;
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
    /// The topic of a table of our own with a key: compacted, and nothing of it deleted otherwise. Verified.
    OwnKeyed,
    /// The topic of a table of our own without a key: kept for ever. Verified.
    OwnKeyless,
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

/// What a topic loses by itself as time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keeping {
    /// A record goes when a later one has its key, and is at least so old, in milliseconds; `None`: it does not.
    pub compacted_after_ms: Option<i64>,
    /// How long a tombstone can be read at least, once it could be compacted. Only where there is compaction.
    pub tombstones_ms: i64,
    /// How long a record is kept at least, whatever its key; `None`: it does not expire.
    pub expires_after_ms: Option<i64>,
}

/// What records are read from: topics with partitions and offsets, read back exactly as they are. A file is one too.
pub trait Transport: Send + Sync {
    /// A name for errors and logs: `embedded log DIR`, `Kafka at host:port`.
    fn name(&self) -> String;

    /// The partitions of a topic, in order; `None` if it does not exist. A number that was given once is never given to
    /// other records.
    fn partitions(&self, topic: &str) -> Result<Option<Vec<Partition>>, LogError>;

    /// Whether a partition may go away for good once it was read, as a file that is deleted.
    fn partitions_go(&self) -> bool {
        false
    }

    /// What a partition is called in errors.
    fn place(&self, at: &TopicPartition) -> String {
        format!("topic \"{}\" partition {}", at.topic, at.partition)
    }

    /// What a partition holds now.
    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError>;

    /// What a partition held some time ago, and how long that is, less than `at_most`: for who asks again and again, so that many
    /// may be one question.
    fn bounds_seen(&self, at: &TopicPartition, at_most: Duration) -> Result<(Bounds, Duration), LogError> {
        let _ = at_most;
        Ok((self.bounds(at)?, Duration::ZERO))
    }

    /// What a topic loses by itself; `None`: nothing, or it cannot be known.
    fn keeping(&self, topic: &str) -> Result<Option<Keeping>, LogError> {
        let _ = topic;
        Ok(None)
    }

    /// The first offset whose record is at or after a time; the end if there is none.
    fn offset_at(&self, at: &TopicPartition, time: TimestampMs) -> Result<Offset, LogError>;

    /// A reader without partitions. `properties` are the client's own, by name; one that is not known, or that would break
    /// what a reader guarantees, is [`LogError::Unusable`].
    fn reader(&self, properties: &BTreeMap<String, String>) -> Result<Box<dyn Reader>, LogError>;

    /// The same, of which many are kept for long with little to read: what each costs while nothing comes they may share.
    fn lasting_reader(&self, properties: &BTreeMap<String, String>) -> Result<Box<dyn Reader>, LogError> {
        self.reader(properties)
    }
}

/// Ends a wait.
pub type Bell = Box<dyn Fn() + Send + Sync>;

/// A log: a transport that is written to as well.
pub trait Log: Transport {
    /// About how many bytes of records its clients hold that nobody has asked for yet.
    fn held_bytes(&self) -> u64 {
        0
    }

    /// The topics there are, in order of name, internal ones left out.
    fn topics(&self) -> Result<Vec<TopicInfo>, LogError>;

    /// One topic; `None` if it does not exist.
    fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, LogError>;

    /// Makes a topic if it is missing; an existing one is used as it is, except that an `Epochs`, `OwnKeyed` or
    /// `OwnKeyless` topic with settings that would lose what must be kept is refused.
    fn make_topic(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError>;

    /// Deletes a partition's records below an offset, for good: `low` becomes `below`. At or below `low` already:
    /// nothing happens. Above `high`: [`LogError::OutOfRange`]. Offsets are never given out twice, also when all is
    /// deleted.
    fn trim(&self, at: &TopicPartition, below: Offset) -> Result<(), LogError>;

    /// Writes records outside of any transaction of the [`Writer`], which it neither fences nor waits for, and returns
    /// when they are durable, with the offset of each. The embedded log writes all or none; Kafka (a plain idempotent
    /// producer) may have written some of them when it fails.
    fn append(&self, records: &[OutRecord]) -> Result<Vec<Offset>, LogError>;

    /// Why nothing can be written any more until the process is started again, if so.
    fn failed(&self) -> Option<String> {
        None
    }

    /// The writer. Fences every older one, and returns only when their open transactions are resolved: what is in the
    /// log afterwards is all there will ever be of them.
    fn writer(&self) -> Result<Box<dyn Writer>, LogError>;

    /// Tells tools that watch consumer groups how far the pipeline is: a courtesy, which nothing reads back. May block;
    /// failing is no harm. A log without such tools does nothing.
    fn tell_positions(&self, positions: &[(TopicPartition, Offset)]) -> Result<(), LogError>;
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

    /// What has another thread's `poll`, or its next one, wait no longer; `None`: nothing has.
    fn bell(&self) -> Option<Bell> {
        None
    }
}

/// The one writer of a pipeline.
pub trait Writer: Send {
    /// Writes records in one transaction, and returns when it is committed, with the offset of each. `first` goes out
    /// first; when its offsets are known, `rest` is asked for what follows them in the same transaction, in order.
    ///
    /// `rest` is called while the transaction is open: it must not use the log. On `Aborted` and `Refused` nothing is visible
    /// and the writer can be used again (`rest` may have been asked, more than once: the last answer counts). `Refused` names the place among `first` and `rest` together. A topic or partition that does not exist
    /// is `Refused`, never made. (Kafka's readers may see a committed transaction a moment later, and partition by
    /// partition.)
    fn commit(
        &mut self,
        first: &[OutRecord],
        rest: &mut dyn FnMut(&[Offset]) -> Vec<OutRecord>,
    ) -> Result<Vec<Offset>, CommitError>;

    /// Whom to ask, every second or so, whether a commit that waits may go on waiting: that it is asked says that it does not hang.
    /// One that may not is given up some seconds after it began, and not before: `Aborted` where nothing of it can become visible,
    /// else `InDoubt`. A writer that never waits for long asks nobody.
    fn on_wait(&mut self, may_wait: Box<dyn Fn() -> bool + Send>) {
        let _ = may_wait;
    }

    /// As [`Writer::commit`], of records that need to know nothing of each other.
    fn commit_all(&mut self, records: &[OutRecord]) -> Result<Vec<Offset>, CommitError> {
        self.commit(records, &mut |_| Vec::new())
    }
}
