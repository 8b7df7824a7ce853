//! The failure of one row: what went wrong, with PostgreSQL's SQLSTATE, and where in the source the row came from.

use std::fmt;

use crate::{Offset, Partition};

/// The SQLSTATEs used for rows.
pub mod sqlstate {
    /// Division by zero.
    pub const DIVISION_BY_ZERO: &str = "22012";
    /// Numeric value out of range.
    pub const OUT_OF_RANGE: &str = "22003";
    /// Invalid text representation of a type.
    pub const INVALID_TEXT: &str = "22P02";
    /// Invalid date or time.
    pub const INVALID_DATETIME: &str = "22007";
    /// Date or time field overflow.
    pub const DATETIME_OVERFLOW: &str = "22008";
    /// A string too long for its type.
    pub const STRING_TOO_LONG: &str = "22001";
    /// NOT NULL violated.
    pub const NOT_NULL: &str = "23502";
    /// Anything else in the data.
    pub const DATA_EXCEPTION: &str = "22000";
}

/// Where a row came from, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowOrigin {
    /// The table that the row entered by.
    pub table: String,
    /// The record that brought it.
    pub record: Option<RowRecord>,
}

/// A record of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowRecord {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: Partition,
    /// The offset.
    pub offset: Offset,
}

/// A row that an expression, a cast or an operator could not be computed for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RowError {
    /// PostgreSQL's code for what happened.
    pub sqlstate: &'static str,
    /// What happened, in a sentence without a full stop: `division by zero`.
    pub message: String,
    /// The row it happened on, printed, where it is known: `(id=3, amount=0)`.
    pub row: Option<String>,
    /// Where the row came from, where it is known.
    pub origin: Option<Box<RowOrigin>>,
}

impl RowError {
    /// An error of which only the message is known yet.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { sqlstate, message: message.into(), row: None, origin: None }
    }

    /// The same error with the row named, unless it already is.
    #[must_use]
    pub fn at_row(mut self, row: impl Into<String>) -> Self {
        self.row.get_or_insert_with(|| row.into());
        self
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.sqlstate)?;
        if let Some(row) = &self.row {
            write!(f, " on row {row}")?;
        }
        self.origin.as_ref().map_or(Ok(()), |origin| write!(f, "{origin}"))
    }
}

impl fmt::Display for RowOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " from table {}", self.table)?;
        match &self.record {
            Some(at) => write!(f, ", topic {}, partition {}, offset {}", at.topic, at.partition, at.offset),
            None => Ok(()),
        }
    }
}
