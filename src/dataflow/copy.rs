//! COPY: how rows are written as bytes, and who reads such bytes.

use std::fmt;
use std::sync::Arc;

use plan::TableId;

use crate::{Limits, Read, ResultColumn, StatementError, View, Write};

/// What a file of COPY looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFormat {
    /// CSV, else PostgreSQL's text format.
    pub csv: bool,
    /// Between fields: one byte.
    pub delimiter: u8,
    /// What stands for NULL.
    pub null: String,
    /// The first line.
    pub header: Header,
    /// Around fields of CSV.
    pub quote: u8,
    /// Before a quote within quotes.
    pub escape: u8,
    /// Of each column, what CSV does otherwise with it.
    pub columns: Vec<CopyColumn>,
}

/// What CSV does otherwise with a column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopyColumn {
    /// TO: all that is not NULL is quoted.
    pub force_quote: bool,
    /// FROM: what is not quoted is not compared with the NULL string.
    pub force_not_null: bool,
    /// FROM: what is quoted is.
    pub force_null: bool,
}

/// Whether the first line has the names of the columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Header {
    /// There is none.
    #[default]
    No,
    /// TO writes them; FROM skips the line.
    Yes,
    /// FROM compares them.
    Match,
}

/// COPY ... TO STDOUT.
#[derive(Debug, Clone)]
pub struct CopyOut {
    /// What gives the rows.
    pub read: Arc<dyn Read>,
    /// Their columns.
    pub columns: Vec<ResultColumn>,
    /// How they are written.
    pub format: Arc<CopyFormat>,
}

/// COPY ... FROM STDIN.
pub trait CopyIn: fmt::Debug + Send + Sync {
    /// The table that the rows go to.
    fn table(&self) -> TableId;

    /// How many columns its rows have.
    fn columns(&self) -> usize;

    /// Begins to read, for a session that sees this view.
    fn reader(&self, view: &Arc<View>, limits: &Limits) -> Result<Box<dyn CopyReader>, StatementError>;
}

/// Reads the bytes of one COPY. It may take its time: call it on a thread that may block.
pub trait CopyReader: fmt::Debug + Send {
    /// Takes some more.
    fn push(&mut self, bytes: &[u8]) -> Result<(), StatementError>;

    /// There are no more: the rows, as a write.
    fn finish(self: Box<Self>) -> Result<Arc<dyn Write>, StatementError>;
}
