//! What the engine needs of SQL, as traits: it evaluates compiled expressions without knowing what compiled them.

use std::fmt;

use arrow::array::{ArrayRef, RecordBatch};
use zset::RowError;

/// A compiled scalar expression over the columns of a node's input.
///
/// Deterministic: the same row gives the same value at any time, on any machine, in any batch. An error names the row
/// (`RowError::at_row`): when a batch fails, the implementation evaluates row by row to find it.
pub trait Eval: fmt::Debug + fmt::Display + Send + Sync {
    /// The value for every row of the batch, in the Arrow type that the plan says.
    fn eval(&self, batch: &RecordBatch) -> Result<ArrayRef, RowError>;

    /// The position of the column that it is, if it is nothing else.
    fn column(&self) -> Option<usize> {
        None
    }
}
