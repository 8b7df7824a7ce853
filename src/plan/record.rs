//! The epoch record: what was decided about one epoch, and how its outcome is known again.
//!
//! Records are JSON, one a Kafka record, numbered without gap, each with the hash of the bytes of the one before. A field
//! that is not known is refused, not skipped: it may have meant something.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;
use zset::{Digest, Epoch, Generation, Offset, Partition, Range, TimestampMs};

use crate::{SequenceId, SinkId, TableId, known_version};

/// The version this binary writes.
pub const RECORD_VERSION: u32 = 3;

/// The oldest version that it reads: what came since has a default, and is left out where it has that.
const RECORD_VERSION_OLDEST: u32 = 2;

/// One epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    /// The format.
    pub version: u32,
    /// The id made with the epoch topic.
    pub incarnation: String,
    /// The start of the process that decided it.
    pub generation: Generation,
    /// The number, without gap.
    pub epoch: Epoch,
    /// The hash of the bytes of the record before; empty for the first.
    pub previous: String,
    /// The epoch's time.
    pub timestamp: TimestampMs,
    /// The ranges read; only partitions with records.
    pub inputs: Vec<InputRange>,
    /// What came of it, for every table whose contents changed or whose refresh failed.
    pub tables: Vec<TableOutcome>,
    /// The change of the catalog; such an epoch has no inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<CatalogChange>,
    /// Sinks that refused a record of this epoch, which was committed without them, or that get nothing more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sinks: Vec<SinkFailure>,
    /// What sinks wrote in this epoch of what had waited in their backlogs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<Release>,
    /// Sources that are not read from here on: their ranges end where they stopped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub halts: Vec<SourceHalt>,
    /// How far the sequences are of which this epoch has values, or that it set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sequences: Vec<SequenceMark>,
    /// The source that was brought together with its topic again; such an epoch has no inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mended: Option<Mended>,
}

/// A source whose topic is not what was read of it, brought together with it again. Where the rows changed, the outcome of
/// its table has the digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mended {
    /// The source table.
    pub table: TableId,
    /// How.
    pub way: Mending,
    /// What was wrong; for a statement, its text.
    pub reason: String,
    /// Where all its partitions are from now on.
    pub positions: Vec<MendedPosition>,
}

/// How a source and its topic come together again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mending {
    /// The rows became what the whole topic says.
    Reconciled,
    /// The rows are gone, and are read anew.
    Restarted,
    /// The rows stayed.
    LossAccepted,
}

/// Where a partition of a mended source is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MendedPosition {
    /// Which.
    pub partition: Partition,
    /// From where on it was read; how much of that was read is `records`.
    pub start: Offset,
    /// The next offset to read.
    pub next: Offset,
    /// How many records were read of it.
    pub records: u64,
    /// The last of them, to know the topic again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastRecord>,
    /// Its topic was not there, which the user accepted: it is read on when it is back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
}

/// How far a sequence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceMark {
    /// Which.
    pub sequence: SequenceId,
    /// The last value that it gave.
    pub last: i64,
    /// Where it was set (setval, RESTART IDENTITY), whether `last` counts as given; else the mark only moves it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<bool>,
}

/// A sink that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkFailure {
    /// Which.
    pub sink: SinkId,
    /// Why.
    pub reason: String,
    /// It gets nothing more; else what it lacks waits in its backlog.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub for_good: bool,
    /// How many records the partitions of its topic ever had, if that could be seen: another topic has fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<i64>,
}

/// The first records of a sink's backlog, which an epoch wrote. In the epoch that makes a sink, the present rows of its table are
/// its backlog; without a release all of them were written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The sink.
    pub sink: SinkId,
    /// How many records.
    pub records: u64,
    /// The xxh3_128, in hex, of their times, places and keys.
    pub hash: String,
}

/// A source that stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceHalt {
    /// The source table.
    pub table: TableId,
    /// Why, and the ways out.
    pub reason: String,
}

/// What was read of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputRange {
    /// The source table it was read for.
    pub table: TableId,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: Partition,
    /// From where to where; `end` is the offset after the last record.
    pub range: Range,
    /// How many records.
    pub count: u64,
    /// The xxh3_128, in hex, over offset, key and value of each.
    pub hash: String,
    /// How many of them became dead letters.
    pub dead_letters: u64,
    /// The last record, to know the topic again.
    pub last: LastRecord,
}

/// The last record of a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastRecord {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp.
    pub timestamp: TimestampMs,
    /// The xxh3_128, in hex, of its key and value.
    pub hash: String,
}

/// What came of one table's refresh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableOutcome {
    /// Which.
    pub table: TableId,
    /// What.
    pub outcome: Outcome,
}

/// How a refresh ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It succeeded; the digest of its delta.
    Digest(Digest),
    /// It failed; contents stay. The first words of the error.
    Error(String),
    /// It failed, and is not tried again: it is suspended. The first words of the error.
    Suspended(String),
}

/// A change of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CatalogChange {
    /// CREATE TABLE and CREATE STREAM TABLE.
    CreateTable {
        /// The id it got.
        id: TableId,
        /// The statement.
        sql: String,
        /// The plan's fingerprint; 0 for a source table.
        fingerprint: u64,
        /// Where each partition of a source begins.
        start: Vec<(Partition, Offset)>,
        /// What a stream table read of CREATE SOURCEs' topics to start complete: from their start to where they are now.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        backfill: Vec<InputRange>,
        /// The topics that the pattern of a source matched, each at its place.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        topics: Vec<String>,
    },
    /// The pattern of a source matches more topics: they are behind those that it has.
    AddTopics {
        /// The source.
        id: TableId,
        /// The topics.
        topics: Vec<String>,
    },
    /// ALTER TABLE.
    AlterTable {
        /// The table.
        id: TableId,
        /// The statement.
        sql: String,
    },
    /// REPLAY DEAD LETTERS.
    ReplayDeadLetters {
        /// The table.
        table: TableId,
        /// FORCE.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
        /// What was read of the dead-letter topic; of the records there, `dead_letters` are letters again.
        ranges: Vec<InputRange>,
        /// Whether there are more behind them.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        more: bool,
    },
    /// ALTER STREAM TABLE ... RESUME: contents and state are made anew from all that the inputs hold.
    ResumeStreams {
        /// The table, and those below that were suspended with it, in the order in which they are made anew. What came of each
        /// is among the record's outcomes: a digest of the difference to its old contents, or why it is suspended still.
        tables: Vec<TableId>,
        /// What was read again of CREATE SOURCEs' topics.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        backfill: Vec<InputRange>,
    },
    /// CREATE SINK.
    CreateSink {
        /// The id it got.
        id: SinkId,
        /// The statement.
        sql: String,
    },
    /// DROP of anything.
    Drop {
        /// Whether it was a sink.
        sink: bool,
        /// Its name.
        name: String,
        /// CASCADE.
        cascade: bool,
    },
}

/// Why the bytes of an epoch record are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read epoch record: {0}")]
pub struct RecordError(pub String);

impl EpochRecord {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an epoch record is always JSON")
    }

    /// Reads the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let unreadable = |error: serde_json::Error| {
            RecordError(format!("{error}; it is damaged, or was written by another version of millstream"))
        };
        let Version { version } = serde_json::from_slice(bytes).map_err(unreadable)?;
        known_version(version, RECORD_VERSION_OLDEST..=RECORD_VERSION).map_err(RecordError)?;
        serde_json::from_slice(bytes).map_err(unreadable)
    }

    /// The hash by which the next record names this one.
    pub fn hash(bytes: &[u8]) -> String {
        format!("{:032x}", xxh3_128(bytes))
    }
}
