//! The catalog: tables and sinks by name, and who depends on whom.
//!
//! Serialised into every checkpoint; what is derived (graphs, codecs) is planned again from the SQL.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zset::{Column, Epoch, RowType};

use crate::own::is_zero;
use crate::{Options, OwnDef, Sequence, SinkId, TableId, Unique};

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

/// A source table's input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceDef {
    /// `kafka`, `log` or `file`; [`OWN`] for a table of our own.
    pub connector: String,
    /// The topic read.
    pub topic: String,
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

/// The connector of tables of our own: they change by SQL alone, and their topic is ours.
pub const OWN: &str = "own";

/// What a record has beside its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Include {
    /// The key's bytes: bytea.
    Key,
    /// integer.
    Partition,
    /// bigint.
    Offset,
    /// timestamptz.
    Timestamp,
    /// jsonb: an array of {"key", "value"}, the value as text, as `\\x...` if it is not UTF-8, null if there is none.
    Headers,
}

/// A stream table's query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamDef {
    /// The query, as SQL.
    pub query: String,
    /// The tables it reads.
    pub inputs: Vec<TableId>,
    /// The columns of each input as the query was planned on them: a column that was added later is not in sight.
    pub input_columns: Vec<RowType>,
    /// Where each of them is in the input now that it was altered; `None`: it is gone, and nobody misses it. Empty: nothing
    /// was altered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_positions: Vec<Vec<Option<usize>>>,
    /// The plan's fingerprint.
    pub fingerprint: u64,
    /// Whether its rows are proved never to be retracted.
    pub append_only: bool,
    /// After so many refreshes in a row that failed it is suspended; 0: never.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_consecutive_errors: u32,
}

/// What fills a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableKind {
    /// A topic.
    Source(SourceDef),
    /// A query.
    Stream(StreamDef),
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableDef {
    /// The id.
    pub id: TableId,
    /// The name.
    pub name: String,
    /// The columns, in declared order.
    pub columns: RowType,
    /// The positions of the key columns: declared (sources) or derived (stream tables); empty for keyless.
    pub key: Vec<usize>,
    /// What fills it.
    pub kind: TableKind,
    /// The CREATE statement, normalised: two statements with the same text are the same definition.
    pub sql: String,
    /// The epoch that created it.
    pub created: Epoch,
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

/// Why a change of the catalog is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The name is taken.
    #[error("relation \"{0}\" already exists; drop it first, or use another name")]
    Exists(String),
    /// There is no such name.
    #[error("relation \"{0}\" does not exist; SHOW TABLES, SHOW STREAM TABLES and SHOW SINKS list what does")]
    Missing(String),
    /// Others stand on it.
    #[error("cannot drop {name} because {} on it; drop them first, or say DROP ... CASCADE", depend(.dependents))]
    Dependents {
        /// What was to be dropped.
        name: String,
        /// Who stands on it.
        dependents: Vec<String>,
    },
}

fn depend(names: &[String]) -> String {
    let verb = if names.len() == 1 { "depends" } else { "depend" };
    format!("{} {verb}", names.join(", "))
}

/// Tables and sinks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    tables: BTreeMap<TableId, TableDef>,
    sinks: BTreeMap<SinkId, SinkDef>,
    next_id: u32,
}

impl Catalog {
    /// A new id, never given before. Tables and sinks share the numbers.
    pub fn next_id(&self) -> u32 {
        self.next_id + 1
    }

    /// Adds a table; its id must be [`Catalog::next_id`].
    pub fn add_table(&mut self, table: TableDef) -> Result<(), CatalogError> {
        if self.name_taken(&table.name) {
            return Err(CatalogError::Exists(table.name));
        }
        self.next_id = self.next_id.max(table.id.0);
        self.tables.insert(table.id, table);
        Ok(())
    }

    /// Adds a sink; its id must be [`Catalog::next_id`].
    pub fn add_sink(&mut self, sink: SinkDef) -> Result<(), CatalogError> {
        if self.name_taken(&sink.name) {
            return Err(CatalogError::Exists(sink.name));
        }
        self.next_id = self.next_id.max(sink.id.0);
        self.sinks.insert(sink.id, sink);
        Ok(())
    }

    /// Whether a table or sink has this name.
    pub fn name_taken(&self, name: &str) -> bool {
        self.table_named(name).is_some() || self.sink_named(name).is_some()
    }

    /// The tables in order of creation, which is a topological order: a table reads only older ones.
    pub fn tables(&self) -> impl Iterator<Item = &TableDef> {
        self.tables.values()
    }

    /// The sinks in order of creation.
    pub fn sinks(&self) -> impl Iterator<Item = &SinkDef> {
        self.sinks.values()
    }

    /// A table by id.
    pub fn table(&self, id: TableId) -> Option<&TableDef> {
        self.tables.get(&id)
    }

    /// A sink by id.
    pub fn sink(&self, id: SinkId) -> Option<&SinkDef> {
        self.sinks.get(&id)
    }

    /// A table by name.
    pub fn table_named(&self, name: &str) -> Option<&TableDef> {
        self.tables.values().find(|table| table.name == name)
    }

    /// A sink by name.
    pub fn sink_named(&self, name: &str) -> Option<&SinkDef> {
        self.sinks.values().find(|sink| sink.name == name)
    }

    /// The stream tables that read a table, directly.
    pub fn readers(&self, id: TableId) -> impl Iterator<Item = &TableDef> {
        self.tables.values().filter(move |table| match &table.kind {
            TableKind::Stream(stream) => stream.inputs.contains(&id),
            TableKind::Source(_) => false,
        })
    }

    /// The catalog as a stream table's query was planned on it: its inputs have the columns that they had then.
    pub fn as_planned(&self, stream: &StreamDef) -> Catalog {
        let mut catalog = self.clone();
        for (at, columns) in stream.input_columns.iter().enumerate() {
            let Some(input) = stream.inputs.get(at).and_then(|id| catalog.tables.get_mut(id)) else { continue };
            if let Some(positions) = stream.input_positions.get(at) {
                let then = |key: &usize| positions.iter().position(|position| position.as_ref() == Some(key));
                input.key = input.key.iter().filter_map(then).collect();
            }
            input.columns = columns.clone();
        }
        catalog
    }

    /// The catalog without a table, whatever stands on it: to plan its statement again.
    #[must_use]
    pub fn without(mut self, table: TableId) -> Catalog {
        self.tables.remove(&table);
        self
    }

    /// Puts another definition of a table in the place of the one that is there.
    pub fn replace_table(&mut self, table: TableDef) {
        assert!(self.tables.contains_key(&table.id), "table {} is there", table.name);
        self.tables.insert(table.id, table);
    }

    /// Removes a table, with `cascade` also all that stands on it. Returns what went, dependents first.
    pub fn drop_table(&mut self, name: &str, cascade: bool) -> Result<(Vec<SinkDef>, Vec<TableDef>), CatalogError> {
        let root = self.table_named(name).ok_or_else(|| CatalogError::Missing(name.to_string()))?.id;
        let mut doomed = vec![root];
        let mut at = 0;
        while at < doomed.len() {
            let more: Vec<TableId> = self.readers(doomed[at]).map(|t| t.id).filter(|id| !doomed.contains(id)).collect();
            doomed.extend(more);
            at += 1;
        }
        let sinks: Vec<SinkId> = self.sinks.values().filter(|s| doomed.contains(&s.input)).map(|s| s.id).collect();
        if !cascade && (doomed.len() > 1 || !sinks.is_empty()) {
            let tables = doomed[1..].iter().filter_map(|id| self.table(*id)).map(|t| t.name.clone());
            let sinks = sinks.iter().filter_map(|id| self.sink(*id)).map(|s| s.name.clone());
            return Err(CatalogError::Dependents { name: name.to_string(), dependents: tables.chain(sinks).collect() });
        }
        doomed.sort_unstable();
        let sinks = sinks.iter().filter_map(|id| self.sinks.remove(id)).collect();
        let tables = doomed.iter().rev().filter_map(|id| self.tables.remove(id)).collect();
        Ok((sinks, tables))
    }

    /// Removes a sink.
    pub fn drop_sink(&mut self, name: &str) -> Result<SinkDef, CatalogError> {
        let id = self.sink_named(name).ok_or_else(|| CatalogError::Missing(name.to_string()))?.id;
        self.sinks.remove(&id).ok_or_else(|| CatalogError::Missing(name.to_string()))
    }
}

impl SourceDef {
    /// Whether the table is one of our own: changed by SQL alone.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }
}

impl TableDef {
    /// The source that fills it; `None` for a stream table.
    pub fn source(&self) -> Option<&SourceDef> {
        match &self.kind {
            TableKind::Source(source) => Some(source),
            TableKind::Stream(_) => None,
        }
    }

    /// What only a table of our own has.
    pub fn own(&self) -> Option<&OwnDef> {
        self.source().and_then(|source| source.own.as_ref())
    }

    /// The UNIQUE constraints.
    pub fn uniques(&self) -> &[Unique] {
        self.own().map_or(&[], |own| &own.uniques)
    }

    /// The sequences of its columns.
    pub fn sequences(&self) -> &[Sequence] {
        self.own().map_or(&[], |own| &own.sequences)
    }

    /// The sequence of a column.
    pub fn sequence_of(&self, column: usize) -> Option<&Sequence> {
        self.sequences().iter().find(|sequence| sequence.column == column)
    }

    /// Whether it is a table of our own.
    pub fn is_own(&self) -> bool {
        self.source().is_some_and(SourceDef::is_own)
    }

    /// Whether its rows are kept: not those of a CREATE SOURCE.
    pub fn is_stored(&self) -> bool {
        self.source().is_none_or(|source| source.stored)
    }

    /// The key columns.
    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().map(|&at| &self.columns.0[at])
    }

    /// Whether its rows are proved never to be retracted.
    pub fn append_only(&self) -> bool {
        match &self.kind {
            TableKind::Source(source) => source.envelope == Envelope::Append && self.key.is_empty(),
            TableKind::Stream(stream) => stream.append_only,
        }
    }
}
