//! When a table of our own was written last: what the numbers of its sequences are judged by.
//!
//! A restart gives numbers again. So it is a conflict if anybody has written rows of the table since what the restart has seen: it
//! knows nothing of their numbers. And what took numbers before a restart and comes to be written after it is one too: they are
//! given again. Numbers that are in no row were taken before the restart, whoever took them, the same transaction too.

use zset::Epoch;

use crate::RowChanges;

/// The epochs of the last changes that this process made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastChange {
    /// Of rows.
    pub rows: Epoch,
    /// That restarted the sequences.
    pub restart: Epoch,
}

impl LastChange {
    /// Whether changes conflict with what was done since they were evaluated.
    pub fn conflicts(&self, changes: &RowChanges) -> bool {
        match changes.restarts {
            true => self.rows > changes.seen,
            false => !changes.sequences.is_empty() && self.restart > changes.seen,
        }
    }

    /// With changes that an epoch has, and whether these are of rows.
    #[must_use]
    pub fn with(self, changes: &RowChanges, of_rows: bool, epoch: Epoch) -> Self {
        let last = |before: Epoch, is_so: bool| if is_so { epoch } else { before };
        Self { rows: last(self.rows, of_rows), restart: last(self.restart, changes.restarts) }
    }
}
