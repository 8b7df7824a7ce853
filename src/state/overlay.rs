//! Changes over a snapshot that nobody else sees: the own writes of a transaction.
//!
//! They are batches above those of the snapshot, kept few as an arrangement's are; the snapshot's own are never merged, so
//! that what an overlay costs depends on what is written into it alone. They are always in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use zset::RowBytes;

use crate::batch::Batch;
use crate::columns::Columns;
use crate::spine::Spine;
use crate::stage::{added, replaced};
use crate::{Law, Snapshot};

/// See the module.
#[derive(Debug)]
pub struct Overlay {
    base: Snapshot,
    spine: Spine,
}

impl Overlay {
    /// Nothing yet, over a snapshot.
    pub fn new(base: Snapshot) -> Self {
        let spine = Spine::over(base.id(), base.law(), Vec::new());
        Self { base, spine }
    }

    /// What it lies over.
    pub fn base(&self) -> &Snapshot {
        &self.base
    }

    /// Changes under [`Law::Add`], as [`crate::Arrangement::stage`] takes them.
    pub fn add(&mut self, keys: &RowBytes, rows: &RowBytes, weights: &[i64]) {
        assert_eq!(self.base.law(), Law::Add, "arrangement {} does not add", self.base.id());
        self.push(added(keys, rows, weights));
    }

    /// Changes under [`Law::Replace`], as [`crate::Arrangement::stage_replace`] takes them. A key that is replaced by the row
    /// that it has is one that was written.
    pub fn replace(&mut self, keys: &RowBytes, values: &RowBytes, present: &[bool]) {
        assert_eq!(self.base.law(), Law::Replace, "arrangement {} does not replace", self.base.id());
        self.push(replaced(keys, values, present));
    }

    fn push(&mut self, columns: Columns) {
        if !columns.is_empty() {
            self.spine.commit(vec![Arc::new(Batch::resident(columns))], true, None);
        }
    }

    /// The snapshot with the changes.
    pub fn snapshot(&self) -> Snapshot {
        self.base.with(self.base.list().iter().chain(self.spine.batches().iter()).cloned().collect())
    }

    /// The changes alone: under [`Law::Add`] what they come to, row by row.
    pub fn changes(&self) -> Snapshot {
        self.base.with(self.spine.batches())
    }

    /// The keys that were written, each once, in the order of their bytes.
    pub fn keys(&self) -> RowBytes {
        let batches: Vec<Arc<Columns>> = self.spine.batches().iter().filter_map(|batch| batch.columns()).collect();
        let keys: BTreeSet<&[u8]> = batches.iter().flat_map(|batch| (0..batch.len()).map(|at| batch.key(at))).collect();
        keys.into_iter().collect()
    }

    /// Bytes of the changes in memory.
    pub fn bytes(&self) -> usize {
        self.spine.batches().iter().map(|batch| batch.bytes()).sum()
    }

    /// Goes back to what [`Overlay::changes`] was once: what was written since is forgotten.
    pub fn back_to(&mut self, changes: &Snapshot) {
        self.spine = Spine::over(self.base.id(), self.base.law(), changes.list().to_vec());
    }
}
