//! What the runtime needs of SQL's statements, as a trait: text and catalog in, a planned statement out.

use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use plan::{Catalog, Graph, SinkDef, TableDef, TableId};
use zset::{Column, ColumnType};

use crate::Eval;

/// Plans statements. Pure: it reads the catalog it is given and nothing else.
pub trait Planner: Send + Sync {
    /// The statements of a text, one by one, without the semicolons; comments may stay.
    fn split(&self, text: &str) -> Result<Vec<String>, StatementError>;

    /// Plans one statement against a catalog. Ids are [`Catalog::next_id`]; `created` is left at its default for the
    /// runtime to fill.
    fn plan(&self, statement: &str, catalog: &Catalog) -> Result<Planned, StatementError>;
}

/// A statement, resolved against a catalog.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What to do.
    pub action: Action,
    /// What the user is told besides.
    pub notices: Vec<String>,
}

/// What a statement does.
#[derive(Debug, Clone)]
pub enum Action {
    /// CREATE TABLE, with a connector or as a table of our own, and CREATE SOURCE.
    CreateTable(TableDef),
    /// ALTER TABLE of a table of our own.
    Alter(Alter),
    /// CREATE STREAM TABLE.
    CreateStream {
        /// The definition.
        def: TableDef,
        /// Its operators.
        graph: Graph<Arc<dyn Eval>>,
    },
    /// CREATE SINK.
    CreateSink(SinkDef),
    /// A CREATE of something that is there with the same definition, or with IF NOT EXISTS.
    Exists {
        /// Its name.
        name: String,
    },
    /// DROP TABLE, DROP STREAM TABLE, DROP MATERIALIZED VIEW, DROP SINK of one name that exists and is of that kind.
    Drop {
        /// Whether it is a sink.
        sink: bool,
        /// Its name.
        name: String,
        /// CASCADE.
        cascade: bool,
    },
    /// DROP ... IF EXISTS of something that is not there.
    Nothing,
    /// SET name = value, checked.
    Set {
        /// The setting.
        name: String,
        /// The value.
        value: String,
    },
    /// SHOW.
    Show(Show),
}

/// What ALTER TABLE changes. Checked against the catalog: the column is there, and no dependent would break.
#[derive(Debug, Clone)]
pub struct Alter {
    /// The table.
    pub table: TableId,
    /// The statement, normalised.
    pub sql: String,
    /// The change, for the rows.
    pub change: ColumnChange,
    /// The table's definition after it: columns, key, defaults and checks; its `sql` is still that of its CREATE.
    pub def: TableDef,
}

/// A change of a table's columns.
#[derive(Debug, Clone)]
pub enum ColumnChange {
    /// ADD COLUMN, behind the others.
    Add {
        /// The column.
        column: Column,
        /// Its default, as SQL.
        default: Option<String>,
        /// The value that rows which are there get: the default's, else NULL. An array of one.
        value: ArrayRef,
    },
    /// DROP COLUMN.
    Drop {
        /// Its place.
        at: usize,
    },
    /// RENAME COLUMN.
    Rename {
        /// Its place.
        at: usize,
        /// The new name.
        name: String,
    },
}

/// What can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// SHOW TABLES: every table and stream table.
    Tables,
    /// SHOW STREAM TABLES (MATERIALIZED VIEWS).
    StreamTables,
    /// SHOW SOURCES.
    Sources,
    /// SHOW SINKS.
    Sinks,
    /// SHOW STATE.
    State,
    /// SHOW JOBS: what the process works at besides epochs, with its progress.
    Jobs,
}

impl Show {
    /// The columns of the answer.
    pub fn columns(self) -> &'static [(&'static str, ColumnType)] {
        use ColumnType::{BigInt, Int, Text};
        match self {
            Self::Tables => &[("name", Text), ("kind", Text)],
            Self::StreamTables => &[
                ("name", Text),
                ("status", Text),
                ("frontier", BigInt),
                ("rows", BigInt),
                ("key", Text),
                ("error", Text),
            ],
            Self::Sources => &[
                ("name", Text),
                ("topic", Text),
                ("partition", Int),
                ("position", BigInt),
                ("end", BigInt),
                ("lag", BigInt),
                ("dead_letters", BigInt),
            ],
            Self::Sinks => &[("name", Text), ("kind", Text), ("status", Text), ("epoch", BigInt), ("pending", BigInt)],
            Self::State => {
                &[("table", Text), ("operator", Text), ("rows", BigInt), ("bytes", BigInt), ("batches", BigInt)]
            }
            Self::Jobs => &[("job", Text), ("object", Text), ("status", Text), ("progress", Text), ("detail", Text)],
        }
    }
}

/// Why a statement is refused: PostgreSQL's SQLSTATE, what and where, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementError {
    /// The code.
    pub sqlstate: &'static str,
    /// What is wrong, naming the offending SQL.
    pub message: String,
    /// What to do instead.
    pub hint: Option<String>,
    /// The particulars of this case, as PostgreSQL's DETAIL: `Key (id)=(1) already exists.`
    pub detail: Option<String>,
    /// Line and column in the statement, from 1, where known.
    pub position: Option<(u64, u64)>,
}

impl std::error::Error for StatementError {}

impl fmt::Display for StatementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.sqlstate)?;
        if let Some((line, column)) = self.position {
            write!(f, " at line {line}, column {column}")?;
        }
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}
