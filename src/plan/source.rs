//! What a source table reads: which topic, from where, and what its records mean.

use serde::{Deserialize, Serialize};

use crate::{Options, OwnDef};

/// A source table's input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceDef {
    /// `kafka`, `log` or `file`; [`OWN`] for a table of our own.
    pub connector: String,
    /// The topic read; of several the first.
    pub topic: String,
    /// The topics behind it, of a source that reads several: none ever leaves its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_topics: Vec<String>,
    /// The dead-letter topic.
    pub dlq_topic: String,
    /// The changelog meaning.
    pub envelope: Envelope,
    /// Where reading begins.
    pub start: StartAt,
    /// Partitions to make the topic with if it is missing.
    pub partitions: u32,
    /// Whether rows are kept (CREATE TABLE) or only passed on (CREATE SOURCE).
    pub stored: bool,
    /// What only a table of our own has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnDef>,
    /// Columns that come from beside the value (INCLUDE): the place of each, and what it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<(usize, Include)>,
    /// All options as given: the decoder takes its own (`replica_identity`, `decimal_handling_mode`, ...) from here.
    pub options: Options,
}

impl SourceDef {
    /// Whether the table is one of our own: changed by SQL alone.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }
}

/// The connector of tables of our own: they change by SQL alone, and their topic is ours.
pub const OWN: &str = "own";

/// The changelog meaning of a topic's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Envelope {
    /// Every record is a row.
    Append,
    /// The latest value per key.
    Upsert,
    /// Debezium change events.
    Debezium,
}

/// Where in a topic a source begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartAt {
    /// The oldest record there is.
    Earliest,
    /// Behind the newest record there is at creation.
    Latest,
    /// The first record at or after a time, in milliseconds since 1970.
    Time(i64),
}

/// What a record has beside its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Include {
    /// The key's bytes: bytea.
    Key,
    /// integer.
    Partition,
    /// text.
    Topic,
    /// bigint.
    Offset,
    /// timestamptz.
    Timestamp,
    /// jsonb: an array of {"key", "value"}, the value as text, as `\\x...` if it is not UTF-8, null if there is none.
    Headers,
}
