//! The bounds of a statement, and what an error of its execution is to the client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use dataflow::{Limits, StatementError};
use datafusion::common::DataFusionError;

use crate::error::{Detail, Result, code, error, from_row, row_error};

/// Looks at a statement's clock and at whether it was cancelled. Asked at every batch, and by whatever works long without.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    deadline: Option<Instant>,
    cancelled: Arc<AtomicBool>,
}

impl Watch {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { deadline: limits.deadline, cancelled: Arc::clone(&limits.cancelled) }
    }

    /// Whether the statement may go on.
    pub(crate) fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(error(code::QUERY_CANCELED, "canceling statement due to user request"));
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(error(code::QUERY_CANCELED, "canceling statement due to statement timeout")
                .with_hint("filter more, or raise the time a statement has: SET statement_timeout = '5min'"));
        }
        Ok(())
    }

    /// As [`Watch::check`], inside DataFusion.
    pub(crate) fn look(&self) -> Result<(), DataFusionError> {
        self.check().map_err(carried)
    }
}

/// A statement's error on its way through DataFusion.
pub(crate) fn carried(e: StatementError) -> DataFusionError {
    DataFusionError::External(Box::new(e))
}

/// The error of a statement whose execution failed.
pub(crate) fn from_execution(e: DataFusionError) -> StatementError {
    if let Some(row) = row_error(&e) {
        let mut out = from_row(row.clone());
        out.detail = row.row.map(|row| format!("The row is {row}."));
        return out;
    }
    match e.find_root() {
        DataFusionError::External(inner) => match inner.downcast_ref::<StatementError>() {
            Some(e) => e.clone(),
            None => internal(&e),
        },
        DataFusionError::ResourcesExhausted(why) => {
            let mut out = error(code::OUT_OF_MEMORY, "out of memory").with_hint(
                "the statement needs more than it may hold: filter earlier, read fewer columns, or make a stream table of \
                 the part that is asked often",
            );
            out.detail = Some(why.lines().next().unwrap_or_default().to_string());
            out
        }
        _ => internal(&e),
    }
}

fn internal(e: &DataFusionError) -> StatementError {
    error(code::INTERNAL, format!("cannot run the query: {}", e.strip_backtrace()))
        .with_hint("this is a bug of millstream; please report the statement")
}
