//! Writes: a statement says what it would change, seen from a view; the engine changes it if the rows are still as they were.
//!
//! If they are not, it is evaluated again on a newer view: no update is lost. While a table's writes meet with no conflict
//! they go side by side, with a share of the table's lock; one that has met with too many takes the lock for itself, and
//! then nothing can come between.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dataflow::{Limits, View, Write, Written};
use runtime::{Handle, Transaction, WriteError};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::error::PgError;
use super::statement::Source;

/// Attempts side by side with others.
const SHARED_ATTEMPTS: usize = 3;
/// How long is waited for a newer view at a time.
const GLANCE: Duration = Duration::from_millis(100);

/// Held while rows are evaluated and written.
#[derive(Debug)]
pub(crate) enum Guard {
    Shared(#[allow(dead_code, reason = "held")] OwnedRwLockReadGuard<()>),
    Alone(#[allow(dead_code, reason = "held")] OwnedRwLockWriteGuard<()>),
}

impl Guard {
    /// The guard of an attempt, from 0.
    pub async fn take(lock: Arc<RwLock<()>>, attempt: usize) -> Self {
        if attempt < SHARED_ATTEMPTS {
            Self::Shared(lock.read_owned().await)
        } else {
            Self::Alone(lock.write_owned().await)
        }
    }
}

/// One attempt's outcome.
#[derive(Debug)]
pub(crate) enum Attempt {
    Done(Written),
    /// Another statement changed the rows first.
    Conflict,
}

/// A statement that writes.
#[derive(Debug, Clone)]
pub(crate) struct Writing {
    pub write: Arc<dyn Write>,
    pub values: Vec<Option<String>>,
    pub limits: Limits,
    pub source: Source,
}

impl Writing {
    /// Tries once; blocking. Nothing was changed unless it is done.
    pub fn attempt(&self, handle: &Handle, view: &Arc<View>) -> Result<Attempt, PgError> {
        let written = self
            .write
            .evaluate(&self.values, view, &self.limits)
            .map_err(|error| PgError::of_statement(error, &self.source))?;
        if written.changes.is_nothing() {
            return Ok(Attempt::Done(written));
        }
        match handle.write(written.changes.clone()) {
            Ok(_) => Ok(Attempt::Done(written)),
            Err(WriteError::Conflict) => {
                self.await_newer(handle, view);
                Ok(Attempt::Conflict)
            }
            Err(WriteError::Engine(error)) => Err(PgError::of_engine(error, &self.source)),
        }
    }

    /// Writes within a transaction; blocking. Refused, nothing is written.
    pub fn within(&self, transaction: &mut Transaction, handle: &Handle) -> Result<Written, PgError> {
        let newest = handle.view().epoch;
        let written = self
            .write
            .evaluate(&self.values, transaction.view(), &self.limits)
            .map_err(|error| PgError::of_statement(error, &self.source))?;
        if self.write.is_of_sequences() {
            let mut others = written.changes.clone();
            others.sequences = transaction.keep_restarted(others.sequences);
            // Numbers are everybody's: it does not matter that the snapshot is older.
            others.seen = newest;
            if !others.is_nothing() {
                handle.write(others).map_err(|error| PgError::of_write(error, &self.source))?;
            }
            return Ok(written);
        }
        transaction.write(&written.changes, &handle.view()).map_err(|error| PgError::of_write(error, &self.source))?;
        let bytes = transaction.bytes();
        if bytes > self.limits.memory_bytes {
            let message =
                format!("the rows that the transaction has written take {bytes} bytes, more than it may hold");
            return Err(PgError::new("53200", message).hint("commit more often, or raise --query-memory"));
        }
        Ok(written)
    }

    /// Waits until there is a view with what was first; not longer than a moment, for it may have failed after all.
    fn await_newer(&self, handle: &Handle, view: &Arc<View>) {
        if handle.view().epoch == view.epoch {
            handle.shared().wait_epoch_after(view.epoch, Instant::now() + GLANCE);
        }
    }
}
