//! A table: its columns, its key, and what fills it.

use serde::{Deserialize, Serialize};
use zset::{Column, Epoch, RowType};

use crate::own::is_zero;
use crate::{Envelope, OwnDef, Sequence, SourceDef, TableId, Unique};

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

/// What fills a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableKind {
    /// A topic.
    Source(SourceDef),
    /// A query.
    Stream(StreamDef),
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

    /// Whether rows that are right in one are so in the other: the same columns, key, constraints and sequences.
    pub fn has_rows_of(&self, other: &Self) -> bool {
        self.columns == other.columns && self.key == other.key && self.own() == other.own()
    }

    /// Whether it is a table of our own.
    pub fn is_own(&self) -> bool {
        self.source().is_some_and(SourceDef::is_own)
    }

    /// Whether its rows are kept: not those of a CREATE SOURCE.
    pub fn is_stored(&self) -> bool {
        self.source().is_none_or(|source| source.stored)
    }

    /// Whether its rows only ever come: those of a CREATE SOURCE whose records are rows. (Kept ones go when it is restarted.)
    pub fn only_passes_on(&self) -> bool {
        !self.is_stored() && self.append_only()
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
