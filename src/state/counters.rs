//! What an arrangement did, counted: speed is structural here and is tested by counting, not by clocks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts of one arrangement and its snapshots, since it was made.
#[derive(Debug, Default)]
pub struct Counters {
    rows_read: AtomicU64,
    rows_merged: AtomicU64,
}

impl Counters {
    /// Entries of batches that probes looked at.
    pub fn rows_read(&self) -> u64 {
        self.rows_read.load(Relaxed)
    }

    /// Entries of batches that merges consumed.
    pub fn rows_merged(&self) -> u64 {
        self.rows_merged.load(Relaxed)
    }

    pub(crate) fn add_read(&self, rows: u64) {
        self.rows_read.fetch_add(rows, Relaxed);
    }

    pub(crate) fn add_merged(&self, rows: u64) {
        self.rows_merged.fetch_add(rows, Relaxed);
    }
}
