//! The list of an arrangement's committed batches, oldest first, and the merges that keep it short.
//!
//! Two neighbours merge when the older is not at least twice as long as the newer, so a list of N entries has about
//! log2(N) batches. The work of a merge is spread: a commit of n entries gives every merge in progress fuel for
//! [`FUEL_PER_ENTRY`] x n entries, which finishes it before the batches behind it have grown to its size. So a commit's
//! merge work is at most `TAIL + (FUEL_PER_ENTRY x n or FUEL_MIN) x log2(N)` entries, however much state there is.
//! Only neighbours merge: the replace law depends on it.

use std::sync::Arc;

use crate::Law;
use crate::batch::{Batch, BatchBuilder};
use crate::merge::Merge;

/// Batches that together are no longer than this are merged at once: small epochs share one tail.
pub(crate) const TAIL: usize = 256;
/// Entries of merge work per committed entry and merge in progress.
pub(crate) const FUEL_PER_ENTRY: usize = 4;
/// Entries of merge work per commit and merge in progress at least, so that trickling input finishes large merges.
pub(crate) const FUEL_MIN: usize = 256;

#[derive(Debug)]
enum Slot {
    Whole(Arc<Batch>),
    Merging(Box<Merge>),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Spine {
    law: Law,
    /// Older batches lie below it that are not its own: its delete markers hide their rows, and are kept.
    over: bool,
    slots: Vec<Slot>,
}

impl Spine {
    pub(crate) fn new(law: Law, batches: Vec<Arc<Batch>>) -> Self {
        Self { law, over: false, slots: batches.into_iter().map(Slot::Whole).collect() }
    }

    /// Of batches that lie over others.
    pub(crate) fn over(law: Law, batches: Vec<Arc<Batch>>) -> Self {
        Self { over: true, ..Self::new(law, batches) }
    }

    /// The batches, oldest first; of a merge in progress its inputs.
    pub(crate) fn batches(&self) -> Arc<[Arc<Batch>]> {
        let mut list = Vec::with_capacity(2 * self.slots.len());
        for slot in &self.slots {
            match slot {
                Slot::Whole(batch) => list.push(Arc::clone(batch)),
                Slot::Merging(merge) => list.extend([Arc::clone(merge.older()), Arc::clone(merge.newer())]),
            }
        }
        list.into()
    }

    /// Adds newer batches and does this commit's share of merging. Returns the entries consumed by merges.
    pub(crate) fn commit(&mut self, staged: Vec<Arc<Batch>>) -> usize {
        let entries: usize = staged.iter().map(|batch| batch.len()).sum();
        if entries == 0 {
            return 0;
        }
        let mut worked = 0;
        for batch in staged {
            worked += self.push(batch);
        }
        self.begin();
        worked += self.advance((FUEL_PER_ENTRY * entries).max(FUEL_MIN));
        self.begin();
        worked
    }

    /// Puts a batch at the newest end, or merges it into the tail. Returns the entries consumed.
    fn push(&mut self, batch: Arc<Batch>) -> usize {
        match self.slots.last() {
            None if self.law == Law::Replace && !self.over => {
                // It becomes the oldest: its markers hide nothing, and merging with nothing drops them.
                let nothing = Arc::new(BatchBuilder::with_capacity(0, 0).finish());
                self.merge_now(Merge::new(self.law, true, nothing, batch))
            }
            Some(Slot::Whole(tail)) if tail.len() + batch.len() <= TAIL => {
                let tail = Arc::clone(tail);
                self.slots.pop();
                self.merge_now(Merge::new(self.law, self.slots.is_empty() && !self.over, tail, batch))
            }
            _ => {
                self.slots.push(Slot::Whole(batch));
                0
            }
        }
    }

    fn merge_now(&mut self, mut merge: Merge) -> usize {
        let worked = merge.work(usize::MAX);
        self.put(self.slots.len(), merge);
        worked
    }

    /// Puts the result of a finished merge into the list, unless nothing is left of it.
    fn put(&mut self, at: usize, merge: Merge) {
        let batch = merge.finish();
        if !batch.is_empty() {
            self.slots.insert(at, Slot::Whole(Arc::new(batch)));
        }
    }

    /// Begins every merge that is due, from the newest end: there the batches are small and soon done.
    fn begin(&mut self) {
        let mut at = self.slots.len();
        while at >= 2 {
            at -= 1;
            let (Slot::Whole(older), Slot::Whole(newer)) = (&self.slots[at - 1], &self.slots[at]) else { continue };
            if older.len() < 2 * newer.len() {
                let oldest = at == 1 && !self.over;
                let merge = Merge::new(self.law, oldest, Arc::clone(older), Arc::clone(newer));
                self.slots[at - 1] = Slot::Merging(Box::new(merge));
                self.slots.remove(at);
            }
        }
    }

    /// Gives every merge in progress its fuel. Returns the entries consumed.
    fn advance(&mut self, fuel: usize) -> usize {
        let mut worked = 0;
        for at in (0..self.slots.len()).rev() {
            let Slot::Merging(merge) = &mut self.slots[at] else { continue };
            worked += merge.work(fuel);
            if merge.left() == 0
                && let Slot::Merging(merge) = self.slots.remove(at)
            {
                self.put(at, *merge);
            }
        }
        worked
    }
}
