//! Why a step failed.

use state::StateError;
use zset::{RowError, sqlstate};

/// A failure of a step. Whatever it is, everything staged since the last commit is already discarded.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// A row that something could not be computed for: the data's or the query's fault, and this table's alone.
    #[error(transparent)]
    Row(#[from] RowError),
    /// State could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// What can never be, was: a weight below zero, a column of another type than the plan says. Our own bug, or an input
    /// that retracts rows it never gave; going on would be silently wrong.
    #[error("invariant broken in {0}; the table's contents stay as they were; please report this")]
    Invariant(String),
}

impl FlowError {
    /// A row is there more often than can be counted.
    pub(crate) fn too_often(what: impl std::fmt::Display) -> Self {
        Self::Row(RowError::new(sqlstate::OUT_OF_RANGE, format!("bigint out of range: {what}")))
    }

    pub(crate) fn invariant(what: impl Into<String>) -> Self {
        Self::Invariant(what.into())
    }
}
