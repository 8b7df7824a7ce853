//! What an arrangement did, counted: speed is structural here and is tested by counting, not by clocks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use crate::tier::Tier;

/// What an arrangement and its snapshots share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) counters: Counters,
    /// Where its batches may be stored, once a store knows it.
    pub(crate) tier: OnceLock<Arc<Tier>>,
}

/// Counts of one arrangement and its snapshots, since it was made.
#[derive(Debug, Default)]
pub struct Counters {
    rows_read: AtomicU64,
    rows_merged: AtomicU64,
    keys_probed: AtomicU64,
}

impl Counters {
    /// Entries of batches that probes and scans looked at.
    pub fn rows_read(&self) -> u64 {
        self.rows_read.load(Relaxed)
    }

    /// Entries of batches that merges consumed.
    pub fn rows_merged(&self) -> u64 {
        self.rows_merged.load(Relaxed)
    }

    /// Keys that were asked for.
    pub fn keys_probed(&self) -> u64 {
        self.keys_probed.load(Relaxed)
    }

    pub(crate) fn add_probed(&self, keys: u64) {
        self.keys_probed.fetch_add(keys, Relaxed);
    }

    pub(crate) fn add_read(&self, rows: u64) {
        self.rows_read.fetch_add(rows, Relaxed);
    }

    pub(crate) fn add_merged(&self, rows: u64) {
        self.rows_merged.fetch_add(rows, Relaxed);
    }
}
