//! Two adjacent batches becoming one, a bounded number of entries at a time.
//!
//! One code for both laws; they differ in what "equal" compares and in what becomes of two equal entries.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::Law;
use crate::batch::{Batch, BatchBuilder, MARKER};

/// A merge in progress. Its inputs stay readable until it is done.
#[derive(Debug)]
pub(crate) struct Merge {
    law: Law,
    /// The older input is the oldest batch of the arrangement: nothing lies below that a delete marker could hide.
    oldest: bool,
    older: Arc<Batch>,
    newer: Arc<Batch>,
    at_older: usize,
    at_newer: usize,
    out: BatchBuilder,
}

impl Merge {
    pub(crate) fn new(law: Law, oldest: bool, older: Arc<Batch>, newer: Arc<Batch>) -> Self {
        let out = BatchBuilder::with_capacity(older.len() + newer.len(), older.data_len() + newer.data_len());
        Self { law, oldest, older, newer, at_older: 0, at_newer: 0, out }
    }

    pub(crate) fn older(&self) -> &Arc<Batch> {
        &self.older
    }

    pub(crate) fn newer(&self) -> &Arc<Batch> {
        &self.newer
    }

    /// Entries still to be consumed.
    pub(crate) fn left(&self) -> usize {
        self.older.len() - self.at_older + self.newer.len() - self.at_newer
    }

    /// Consumes about `fuel` entries (one more at most) and returns how many it did.
    pub(crate) fn work(&mut self, fuel: usize) -> usize {
        let before = self.left();
        while before - self.left() < fuel && self.left() > 0 {
            self.step();
        }
        before - self.left()
    }

    /// The merged batch; call it when nothing is left.
    pub(crate) fn finish(self) -> Batch {
        assert_eq!(self.left(), 0, "a merge is finished when its inputs are consumed");
        self.out.finish()
    }

    fn step(&mut self) {
        match self.order() {
            Ordering::Less => {
                self.keep_older();
                self.at_older += 1;
            }
            Ordering::Greater => {
                self.keep_newer();
                self.at_newer += 1;
            }
            Ordering::Equal => {
                match self.law {
                    Law::Add => self.add(),
                    Law::Replace => self.keep_newer(),
                }
                self.at_older += 1;
                self.at_newer += 1;
            }
        }
    }

    fn order(&self) -> Ordering {
        match (self.at_older < self.older.len(), self.at_newer < self.newer.len()) {
            (true, false) => Ordering::Less,
            (false, _) => Ordering::Greater,
            (true, true) => match self.law {
                Law::Add => self.older.cmp_entry(self.at_older, &self.newer, self.at_newer),
                Law::Replace => self.older.cmp_key(self.at_older, &self.newer, self.at_newer),
            },
        }
    }

    /// Sums two weights of one row. A sum of more than 64 bits stays two entries: see `batch`.
    fn add(&mut self) {
        let (a, b) = (self.older.weight(self.at_older), self.newer.weight(self.at_newer));
        match a.checked_add(b) {
            Some(0) => {}
            Some(sum) => self.out.copy_with(&self.older, self.at_older, sum),
            None => {
                self.out.copy(&self.older, self.at_older);
                self.out.copy(&self.newer, self.at_newer);
            }
        }
    }

    fn keep_older(&mut self) {
        if !self.drops(self.older.weight(self.at_older)) {
            self.out.copy(&self.older, self.at_older);
        }
    }

    fn keep_newer(&mut self) {
        if !self.drops(self.newer.weight(self.at_newer)) {
            self.out.copy(&self.newer, self.at_newer);
        }
    }

    fn drops(&self, weight: i64) -> bool {
        self.oldest && self.law == Law::Replace && weight == MARKER
    }
}
