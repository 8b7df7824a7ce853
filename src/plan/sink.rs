//! A sink: which table's changes go where, and in which shape.

use serde::{Deserialize, Serialize};
use zset::Epoch;

use crate::{Options, SinkId, TableId};

/// A sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkDef {
    /// The id.
    pub id: SinkId,
    /// The name.
    pub name: String,
    /// The table whose changes it publishes.
    pub input: TableId,
    /// Where to.
    pub connector: SinkConnector,
    /// The topic (empty for `stdout` and `blackhole`).
    pub topic: String,
    /// Partitions to make the topic with if it is missing.
    pub partitions: u32,
    /// Replication to make it with; `None`: the broker's.
    pub replication: Option<u16>,
    /// The shape of the records.
    pub envelope: SinkEnvelope,
    /// The positions of the record key's columns; empty: a null key.
    pub key: Vec<usize>,
    /// Debezium: whether a delete is followed by a tombstone.
    pub tombstones: bool,
    /// All options as given.
    pub options: Options,
    /// The CREATE statement, normalised.
    pub sql: String,
    /// The epoch that created it.
    pub created: Epoch,
}

/// Where a sink writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkConnector {
    /// A topic of the pipeline's log (`kafka` and `log`): in the epoch's transaction.
    Log,
    /// Standard output, one JSON line a change.
    Stdout,
    /// Nowhere; counted.
    Blackhole,
    /// A table of a PostgreSQL database, by an outbox.
    Postgres,
    /// A file of JSON lines.
    File,
}

/// The shape of a sink's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkEnvelope {
    /// Value = row; delete = null value.
    Upsert,
    /// Debezium change events.
    Debezium,
    /// Value = row; only from tables that are proved append-only.
    Append,
}
