//! What a client's session needs of SQL, as traits: a statement is prepared against a catalog, and run on one epoch's view.
//!
//! A view is a copy of lists: whoever reads it holds up nobody. Reads and the evaluation of writes run on the caller's
//! thread, under its limits; only the rows that a write would change go to the engine's loop.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch};
use plan::{Catalog, SequenceMark, TableDef, TableId};
use state::Budget;
use zset::{ColumnType, Epoch, TimestampMs};

use crate::{
    Block, ContentsReader, CopyIn, CopyOut, LastChange, Modes, SequenceSession, Sequences, StatementError, UniqueRows,
};

/// Prepares statements. Pure: it reads the catalog it is given and nothing else.
pub trait Queries: Send + Sync {
    /// Prepares one statement. `types` are those that the client gave for $1, $2, ...; the others follow from their use.
    fn prepare(
        &self,
        statement: &str,
        catalog: &Catalog,
        types: &[Option<ColumnType>],
    ) -> Result<Prepared, StatementError>;

    /// The values of an array of this type in PostgreSQL's text form (`t`, `1.50`, `2024-01-15 10:00:00+00`): a TEXT array.
    fn text(&self, ty: ColumnType, values: &ArrayRef) -> Result<ArrayRef, StatementError>;
}

/// A statement that can be run, as often as the catalog stays as it is.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The types of $1, $2, ...
    pub parameters: Vec<ColumnType>,
    /// The columns of its answer; empty: it has no rows to answer.
    pub columns: Vec<ResultColumn>,
    /// What the user is told besides.
    pub notices: Vec<String>,
    /// What it does.
    pub work: Work,
}

/// What a prepared statement does.
#[derive(Debug, Clone)]
pub enum Work {
    /// It reads one epoch's view: SELECT, VALUES, TABLE, EXPLAIN.
    Read(Arc<dyn Read>),
    /// It changes a table of our own: INSERT, UPDATE, DELETE, TRUNCATE.
    Write(Arc<dyn Write>),
    /// COPY ... TO STDOUT.
    CopyOut(CopyOut),
    /// COPY ... FROM STDIN: its bytes become a [`Write`].
    CopyIn(Arc<dyn CopyIn>),
    /// It is for the engine's loop, which takes it as text: all that changes the catalog, and our own SHOW.
    Engine,
    /// SHOW JOBS: answered beside the loop, which may be busy with one.
    Jobs,
    /// It is about the session alone.
    Session(Session),
    /// The statement is empty.
    Nothing,
}

/// Statements about the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Session {
    /// SET name = value; a name that is not known is kept and does nothing.
    Set {
        /// The setting, in lower case; `all` (RESET ALL) with no value: every setting.
        name: String,
        /// The value; `None`: back to the default (also RESET).
        value: Option<String>,
        /// SET LOCAL: until the transaction ends.
        local: bool,
    },
    /// SHOW name of a setting. The answer is one text column of that name.
    Show {
        /// The setting, in lower case; `all`.
        name: String,
    },
    /// BEGIN, COMMIT, ROLLBACK, SAVEPOINT, ...
    Block(Block),
    /// SET SESSION CHARACTERISTICS AS TRANSACTION: the modes of those to come.
    Characteristics(Modes),
    /// DISCARD ALL: settings, prepared statements and what sequences gave.
    Discard,
    /// DISCARD SEQUENCES: what sequences gave to the session.
    DiscardSequences,
    /// What has nothing to do here, and does nothing: CLOSE ALL, UNLISTEN *, SET CONSTRAINTS, DISCARD PLANS.
    Done {
        /// The answer.
        tag: &'static str,
    },
    /// DEALLOCATE name; `None`: all.
    Deallocate {
        /// Which.
        name: Option<String>,
    },
    /// PREPARE name AS statement.
    Prepare {
        /// The name.
        name: String,
        /// The types given, if any.
        types: Vec<ColumnType>,
        /// The statement.
        statement: String,
    },
    /// EXECUTE name (values). The values are constants, as text; `None` is NULL.
    Execute {
        /// The name.
        name: String,
        /// The values.
        values: Vec<Option<String>>,
    },
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultColumn {
    /// The name.
    pub name: String,
    /// The type.
    pub ty: ResultType,
}

/// The type of a column of an answer: one of our own, or one of PostgreSQL's catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResultType {
    /// One of ours.
    Column(ColumnType),
    /// `oid`, and its like (`regclass`, `regtype`): a BIGINT array.
    Oid,
    /// `name`: a TEXT array.
    Name,
    /// `"char"`: a TEXT array of one letter each.
    Char,
    /// `interval`, as PostgreSQL prints it: a TEXT array.
    Interval,
    /// `text[]`, as PostgreSQL prints it: a TEXT array of `{a,b}`.
    TextArray,
    /// `int2vector`, as PostgreSQL prints it: a TEXT array of `1 2 3`.
    Int2Vector,
    /// `oid[]`, `oidvector`, as PostgreSQL prints them: a TEXT array.
    OidVector,
}

/// The rows of an answer, in batches whose columns are those of the [`Prepared`], in the Arrow types of theirs.
pub type Rows = Box<dyn Iterator<Item = Result<RecordBatch, StatementError>> + Send>;

/// A prepared read.
pub trait Read: fmt::Debug + Send + Sync {
    /// Runs it. Values are PostgreSQL's text forms of the parameters' types; `None` is NULL. It may block: call it, and the
    /// iterator it gives, on a thread of their own, inside a tokio runtime's context.
    fn run(&self, values: &[Option<String>], view: &Arc<View>, limits: &Limits) -> Result<Rows, StatementError>;
}

/// A prepared write.
pub trait Write: fmt::Debug + Send + Sync {
    /// The table it changes.
    fn table(&self) -> TableId;

    /// Whether what it changes depends on the rows that are there (UPDATE, DELETE, TRUNCATE; not INSERT).
    fn reads_its_table(&self) -> bool;

    /// Whether it is about sequences alone (nextval, setval): then it is done at once, and no transaction takes it back.
    fn is_of_sequences(&self) -> bool {
        false
    }

    /// What it would change, seen from a view. Constraints of a row alone (NOT NULL, CHECK, lengths) are checked here;
    /// that keys are unique is checked by the engine's loop.
    fn evaluate(&self, values: &[Option<String>], view: &Arc<View>, limits: &Limits)
    -> Result<Written, StatementError>;
}

/// What a write would change.
#[derive(Debug, Clone)]
pub struct Written {
    /// The rows.
    pub changes: RowChanges,
    /// `INSERT 0 3`, `UPDATE 2`, `DELETE 1`, `TRUNCATE TABLE`.
    pub tag: String,
    /// The answer of RETURNING.
    pub returning: Vec<RecordBatch>,
}

/// Rows of a table of our own that go and come, each in the table's columns. A row may be in both.
#[derive(Debug, Clone)]
pub struct RowChanges {
    /// The table.
    pub table: TableId,
    /// As it was when the rows were evaluated: if it was altered since, they are of no use.
    pub evaluated_on: Arc<TableDef>,
    /// The epoch of the view that they were evaluated on.
    pub seen: Epoch,
    /// The rows that go, as they are in the view; of a keyless table as often as they go.
    pub gone: RecordBatch,
    /// The rows that come.
    pub come: RecordBatch,
    /// The unique constraints by whose rows it was decided what comes (ON CONFLICT): a key of theirs that another statement
    /// takes first is a conflict, no duplicate.
    pub arbiters: Vec<String>,
    /// How far the statement took sequences, or set them: in the record of the epoch that has the rows.
    pub sequences: Vec<SequenceMark>,
    /// Whether sequences begin anew (RESTART IDENTITY): the table must be as it was seen.
    pub restarts: bool,
}

impl RowChanges {
    /// Whether nothing changes, no sequence either.
    pub fn is_nothing(&self) -> bool {
        self.gone.num_rows() + self.come.num_rows() == 0 && self.sequences.is_empty()
    }
}

/// All tables at one committed epoch.
#[derive(Debug, Clone)]
pub struct View {
    /// The epoch.
    pub epoch: Epoch,
    /// Its time.
    pub timestamp: TimestampMs,
    /// The catalog.
    pub catalog: Arc<Catalog>,
    /// The stored tables. A CREATE SOURCE is not among them.
    pub tables: Arc<std::collections::BTreeMap<TableId, TableRows>>,
    /// What hands out the values of sequences: the same for all views, but for that of a transaction which restarted some.
    pub sequences: Arc<Sequences>,
    /// Of the memory that may be taken: those who read it take theirs of it.
    pub memory: Arc<Budget>,
}

/// The rows of one table at one epoch.
#[derive(Debug, Clone)]
pub struct TableRows {
    /// What reads them.
    pub reader: ContentsReader,
    /// Where they are.
    pub snapshot: state::Snapshot,
    /// How many they are, copies counted.
    pub rows: i64,
    /// The indexes of the UNIQUE constraints, in their order.
    pub uniques: Vec<UniqueRows>,
    /// When a table of our own was written.
    pub last: LastChange,
    /// Why the rows of a stream table are not those of this epoch, as what it is: `is in ERROR: ...`.
    pub trouble: Option<Arc<str>>,
}

impl TableRows {
    /// The rows with their weights, in chunks.
    pub fn read(&self) -> impl Iterator<Item = Result<zset::Delta, state::StateError>> + use<> {
        self.reader.read(&self.snapshot)
    }

    /// What is there of some rows.
    pub fn look(&self, rows: &RecordBatch) -> Result<crate::Looked, state::StateError> {
        self.reader.look(&self.snapshot, rows)
    }

    /// The rows of some keys, in their bytes, with their weights.
    pub fn find(&self, keys: &zset::RowBytes) -> Result<zset::Delta, state::StateError> {
        self.reader.find(&self.snapshot, keys)
    }

    /// The index of a UNIQUE constraint by its number in the table.
    pub fn unique(&self, slot: u32) -> Option<&UniqueRows> {
        self.uniques.iter().find(|unique| unique.slot() == slot)
    }

    /// The stored rows that have the same values in a UNIQUE constraint's columns as `rows`, which are of the table's
    /// columns; and for each of `rows` which of them has, if one does.
    pub fn find_unique(
        &self,
        unique: &UniqueRows,
        rows: &RecordBatch,
    ) -> Result<(zset::Delta, Vec<Option<usize>>), state::StateError> {
        let (keys, at) = unique.find(rows)?;
        Ok((self.find(&keys)?, at))
    }
}

/// The bounds of one statement.
#[derive(Debug, Clone)]
pub struct Limits {
    /// When it is ended (57014), if ever.
    pub deadline: Option<Instant>,
    /// Bytes that it may hold (53200).
    pub memory_bytes: usize,
    /// Set by whoever cancels it (57014).
    pub cancelled: Arc<AtomicBool>,
    /// What sequences gave to the session that runs it.
    pub session: Arc<SequenceSession>,
}
