//! Targets: what a detached sink writes to, outside of the pipeline's log.
//!
//! A target keeps, in the same transaction as the rows, how far it is: [`Progress`]. It is never ahead of the pipeline, and
//! what it is given twice changes nothing.

use std::sync::Arc;

use plan::{Options, SinkDef, SourceDef};
use zset::{Epoch, Generation, RowType};

use crate::{LogError, Transport};

/// How far a target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The log's incarnation.
    pub incarnation: String,
    /// The start of the process that wrote last.
    pub generation: Generation,
    /// All epochs up to this one are in the target.
    pub epoch: Epoch,
}

/// What a target is made of.
#[derive(Debug, Clone)]
pub struct TargetSpec {
    /// The pipeline.
    pub pipeline: String,
    /// The incarnation of its log.
    pub incarnation: String,
    /// The sink, with its options.
    pub sink: SinkDef,
    /// The columns of its table.
    pub columns: RowType,
}

/// The newest state of keys that changed.
#[derive(Debug, Clone)]
pub struct TargetRows {
    /// The keys whose rows are gone: the key columns, in the sink's order.
    pub deletes: arrow::array::RecordBatch,
    /// The rows that are there: all columns.
    pub upserts: arrow::array::RecordBatch,
}

/// Why a target did not take rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It may work later: the target is away. The rows wait.
    #[error("{0}")]
    Retriable(String),
    /// It will not work before somebody mends it: wrong columns, no right, a row refused. The sink is in ERROR.
    #[error("{0}")]
    Refused(String),
}

/// A target of rows by key. It is called from a thread of its own, and may block.
pub trait Target: Send {
    /// Connects, makes what is missing, refuses what does not fit, and reads how far it is; `None`: it has nothing of this
    /// pipeline and sink. It may be called again after an error.
    fn open(&mut self) -> Result<Option<Progress>, TargetError>;

    /// Applies rows in the order they come (all deletes come before the first upsert) and sets the progress from `before` (as
    /// `open` or the last `apply` left it) to `after`, all in one transaction. If the progress there is not `before`,
    /// nothing is done: `Refused`, naming who, if somebody else owns the target. After any error nothing is known of the
    /// transaction, also not that it failed: `open` tells.
    fn apply(
        &mut self,
        rows: &mut dyn Iterator<Item = Result<TargetRows, TargetError>>,
        before: Option<&Progress>,
        after: &Progress,
    ) -> Result<(), TargetError>;

    /// As [`Target::apply`], of the rows that are there, all of them: one that the target has as it would be written stays
    /// untouched.
    fn resynchronise(
        &mut self,
        rows: &mut dyn Iterator<Item = Result<TargetRows, TargetError>>,
        before: Option<&Progress>,
        after: &Progress,
    ) -> Result<(), TargetError>;
}

/// A target of lines, in order, each epoch once: a file.
pub trait Lines: Send {
    /// Makes what is missing, refuses what is not this sink's, and says how far it is; what it holds beyond that is cut off.
    /// `None`: no epoch of this sink is in it.
    fn open(&mut self) -> Result<Option<Progress>, TargetError>;

    /// Appends an epoch's lines, durably, and then the progress.
    fn append(&mut self, lines: &[u8], after: &Progress) -> Result<(), TargetError>;
}

/// The connectors beside the pipeline's log, by the names they have in `connector = '...'`.
pub trait Connectors: Send + Sync {
    /// What a source reads from if it is not the pipeline's log (`file`); `None`: it is.
    fn transport(&self, source: &SourceDef) -> Result<Option<Arc<dyn Transport>>, LogError>;

    /// The target of a sink by key (`postgres`), not yet opened.
    fn target(&self, spec: &TargetSpec) -> Result<Box<dyn Target>, TargetError>;

    /// The target of a sink of lines (`file`), not yet opened.
    fn lines(&self, spec: &TargetSpec) -> Result<Box<dyn Lines>, TargetError>;

    /// Checks a sink's options without touching anything: `millstream check` asks it too.
    fn check(&self, sink: &SinkDef) -> Result<(), String>;

    /// The options as a client takes them: a property `kafka.*` of the form `env:NAME` or `file:PATH` is read from there.
    fn options(&self, options: &Options) -> Result<Options, String> {
        Ok(options.clone())
    }

    /// A value of an option without its secrets, for SHOW, logs and errors.
    fn without_secrets(&self, options: &Options) -> Options;
}
