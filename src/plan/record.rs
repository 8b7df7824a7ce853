//! The epoch record: what was decided about one epoch, and how its outcome is known again.
//!
//! Records are JSON, one a Kafka record, numbered without gap, each with the hash of the bytes of the one before. A field
//! that is not known is refused, not skipped: it may have meant something.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;
use zset::{Digest, Epoch, Generation, Offset, Partition, Range, TimestampMs};

use crate::{SinkId, TableId};

/// The version this binary writes, and the only one it reads.
pub const RECORD_VERSION: u32 = 2;

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
    /// Sinks that refused a record of this epoch, which was committed without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sinks: Vec<SinkFailure>,
}

/// A sink that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkFailure {
    /// Which.
    pub sink: SinkId,
    /// Why.
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
    },
    /// ALTER TABLE.
    AlterTable {
        /// The table.
        id: TableId,
        /// The statement.
        sql: String,
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
#[error("cannot read epoch record: {0}; it was written by another version of millstream, or is damaged")]
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
        let Version { version } = serde_json::from_slice(bytes).map_err(|e| RecordError(e.to_string()))?;
        if version != RECORD_VERSION {
            return Err(RecordError(format!("its format is version {version}, this binary reads {RECORD_VERSION}")));
        }
        serde_json::from_slice(bytes).map_err(|e| RecordError(e.to_string()))
    }

    /// The hash by which the next record names this one.
    pub fn hash(bytes: &[u8]) -> String {
        format!("{:032x}", xxh3_128(bytes))
    }
}
