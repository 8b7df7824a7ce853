//! An arrangement: an indexed Z-set kept as state.
//!
//! Changes are staged, then committed or discarded together. Every call works on a whole delta. Nothing here can fail:
//! staging and committing are memory only, and what does not fit in a weight is kept exactly and told to the reader.

use std::sync::Arc;

use zset::RowBytes;

use crate::batch::Batch;
use crate::spine::Spine;
use crate::stage::{added, replaced};
use crate::{ArrangementId, Counters, Law, Snapshot};

/// See the module.
#[derive(Debug)]
pub struct Arrangement {
    id: ArrangementId,
    law: Law,
    spine: Spine,
    /// The spine's list as it is shared with snapshots.
    list: Arc<[Arc<Batch>]>,
    staged: Vec<Arc<Batch>>,
    counters: Arc<Counters>,
}

impl Arrangement {
    /// An empty arrangement.
    pub fn new(id: ArrangementId, law: Law) -> Self {
        Self::restored(id, law, Vec::new())
    }

    /// An arrangement of batches read back, oldest first.
    pub(crate) fn restored(id: ArrangementId, law: Law, batches: Vec<Arc<Batch>>) -> Self {
        let spine = Spine::new(law, batches);
        let list = spine.batches();
        Self { id, law, spine, list, staged: Vec::new(), counters: Arc::default() }
    }

    /// Its name.
    pub fn id(&self) -> ArrangementId {
        self.id
    }

    /// Its law.
    pub fn law(&self) -> Law {
        self.law
    }

    /// What it did so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Stages changes under [`Law::Add`]: `rows` under `keys`, in any order, any of them repeated, with any weights.
    pub fn stage(&mut self, keys: &RowBytes, rows: &RowBytes, weights: &[i64]) {
        assert_eq!(self.law, Law::Add, "arrangement {} does not add", self.id);
        self.stage_batch(added(keys, rows, weights));
    }

    /// Stages changes under [`Law::Replace`]: each value is now its key's row; where `present` is false the key has
    /// none any more and its value means nothing. Of equal keys the later wins.
    pub fn stage_replace(&mut self, keys: &RowBytes, values: &RowBytes, present: &[bool]) {
        assert_eq!(self.law, Law::Replace, "arrangement {} does not replace", self.id);
        self.stage_batch(replaced(keys, values, present));
    }

    fn stage_batch(&mut self, batch: Batch) {
        if !batch.is_empty() {
            self.staged.push(Arc::new(batch));
        }
    }

    /// What was staged joins the list; then a bounded share of merging is done.
    pub fn commit(&mut self) {
        if self.staged.is_empty() {
            return;
        }
        let worked = self.spine.commit(std::mem::take(&mut self.staged));
        self.counters.add_merged(worked as u64);
        self.list = self.spine.batches();
    }

    /// What was staged vanishes.
    pub fn discard(&mut self) {
        self.staged.clear();
    }

    /// The committed contents.
    pub fn committed(&self) -> Snapshot {
        Snapshot::new(self.id, self.law, Arc::clone(&self.list), Arc::clone(&self.counters))
    }

    /// The committed contents with what is staged.
    pub fn staged(&self) -> Snapshot {
        if self.staged.is_empty() {
            return self.committed();
        }
        let list = self.list.iter().chain(&self.staged).map(Arc::clone).collect();
        Snapshot::new(self.id, self.law, list, Arc::clone(&self.counters))
    }
}
