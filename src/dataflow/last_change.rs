//! When a table of our own was written last: what the numbers of its sequences are judged by.
//!
//! A restart gives numbers again. So it is a conflict if anybody has written the table, or moved a sequence of it, since what the
//! restart has seen: it knows nothing of those numbers. And what took numbers before a restart and comes to be written after it
//! is one too: they are given again.

use zset::Epoch;

use crate::RowChanges;

/// The epochs of the last changes that this process made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastChange {
    /// Of rows, or of where a sequence is.
    pub any: Epoch,
    /// That restarted the sequences.
    pub restart: Epoch,
}

impl LastChange {
    /// Whether changes conflict with what was done since they were evaluated.
    pub fn conflicts(&self, changes: &RowChanges) -> bool {
        match changes.restarts {
            true => self.any > changes.seen,
            false => !changes.sequences.is_empty() && self.restart > changes.seen,
        }
    }

    /// With changes that an epoch has.
    #[must_use]
    pub fn with(self, changes: &RowChanges, epoch: Epoch) -> Self {
        Self { any: epoch, restart: if changes.restarts { epoch } else { self.restart } }
    }
}
