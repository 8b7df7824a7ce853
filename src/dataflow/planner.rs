//! What the runtime needs of SQL's statements, as a trait: text and catalog in, a planned statement out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use plan::{Catalog, Graph, Mending, SinkDef, StartAt, TableDef, TableId};
use zset::{Column, ColumnType, Offset, Partition};

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
    /// ALTER TABLE ... RESTART FROM and ACCEPT LOSS.
    Mend(Mend),
    /// ALTER TABLE ... SET, RESET and RESUME of a table or source with a connector.
    AlterSource(AlterSource),
    /// REPLAY DEAD LETTERS FROM a table or source with a connector.
    ReplayDeadLetters {
        /// The table.
        table: TableId,
        /// FORCE: also letters that may be older than the rows there are.
        force: bool,
    },
    /// SHOW DEAD LETTERS FROM a table or source with a connector.
    ShowDeadLetters {
        /// The table.
        table: TableId,
        /// How many, at most.
        limit: usize,
    },
    /// ALTER STREAM TABLE ... RESUME.
    Resume {
        /// Which.
        table: TableId,
    },
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

/// Where a table with a connector goes on reading.
#[derive(Debug, Clone)]
pub struct Mend {
    /// The table.
    pub table: TableId,
    /// The statement, normalised.
    pub sql: String,
    /// Whether its rows go ([`Mending::Restarted`]) or stay ([`Mending::LossAccepted`]).
    pub way: Mending,
    /// From where; `None`: where its topic does not have what was to be read next, from the first record that it has.
    pub from: Option<ReadFrom>,
}

/// Where reading begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadFrom {
    /// As a source's `start`.
    Start(StartAt),
    /// An offset for every partition.
    Offsets(BTreeMap<Partition, Offset>),
}

/// What ALTER TABLE ... SET, RESET and RESUME change: options, and that the source goes on if it was halted.
#[derive(Debug, Clone)]
pub struct AlterSource {
    /// The statement, normalised.
    pub sql: String,
    /// The table's definition after it; its `sql` is still that of its CREATE.
    pub def: TableDef,
}

/// The columns of SHOW DEAD LETTERS.
pub const DEAD_LETTER_COLUMNS: &[(&str, ColumnType)] = &[
    ("partition", ColumnType::Int),
    ("offset", ColumnType::BigInt),
    ("source_topic", ColumnType::Text),
    ("source_partition", ColumnType::Int),
    ("source_offset", ColumnType::BigInt),
    ("timestamp", ColumnType::TimestampTz(3)),
    ("column", ColumnType::Text),
    ("reason", ColumnType::Text),
    ("key", ColumnType::Text),
    ("value", ColumnType::Text),
    ("status", ColumnType::Text),
];

/// The columns of what REPLAY DEAD LETTERS answers.
pub const REPLAY_COLUMNS: &[(&str, ColumnType)] = &[
    ("replayed", ColumnType::BigInt),
    ("failed", ColumnType::BigInt),
    ("skipped", ColumnType::BigInt),
    ("truncated", ColumnType::BigInt),
    ("more", ColumnType::Boolean),
];

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
    /// The constraints alone: no row changes.
    Constraints,
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
    /// SHOW MEMORY: what memory is taken for.
    Memory,
    /// SHOW JOBS: what the process works at besides epochs, with its progress.
    Jobs,
}

impl Show {
    /// The columns of the answer.
    pub fn columns(self) -> &'static [(&'static str, ColumnType)] {
        use ColumnType::{BigInt, Int, Text};
        match self {
            Self::Tables => &[("name", Text), ("kind", Text), ("status", Text), ("error", Text)],
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
                ("status", Text),
                ("error", Text),
            ],
            Self::Sinks => &[("name", Text), ("kind", Text), ("status", Text), ("epoch", BigInt), ("pending", BigInt)],
            Self::State => {
                &[("table", Text), ("operator", Text), ("rows", BigInt), ("bytes", BigInt), ("batches", BigInt)]
            }
            Self::Memory => &[("part", Text), ("bytes", BigInt), ("limit", BigInt)],
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
    /// The table, column or constraint that it is about, where a program may ask for them.
    pub about: Option<Box<About>>,
}

/// What a [`StatementError`] is about: the fields of PostgreSQL's error message that name it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// The table.
    pub table: Option<String>,
    /// Its column.
    pub column: Option<String>,
    /// Its constraint.
    pub constraint: Option<String>,
    /// Where it happened: `COPY t, line 3, column b: "x"`.
    pub context: Option<String>,
}

impl About {
    /// A constraint of a table.
    pub fn constraint(table: impl Into<String>, constraint: impl Into<String>) -> Option<Box<Self>> {
        Some(Box::new(Self { table: Some(table.into()), constraint: Some(constraint.into()), ..Self::default() }))
    }

    /// A column of a table.
    pub fn column(table: impl Into<String>, column: impl Into<String>) -> Option<Box<Self>> {
        Some(Box::new(Self { table: Some(table.into()), column: Some(column.into()), ..Self::default() }))
    }
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
