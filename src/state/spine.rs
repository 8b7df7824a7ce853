//! The list of an arrangement's committed batches, oldest first, and the merges that keep it short.
//!
//! Which merge is `levels`' business: a list of N entries has about log2(N) batches where few are wanted, elsewhere up to
//! [`crate::levels::FAN`] a level. The work of a merge is spread: a commit of n entries gives every merge in progress fuel for
//! [`FUEL_PER_ENTRY`] x n entries, which finishes it before the batches behind it have grown to its size. So a commit's
//! merge work is at most `TAIL + (FUEL_PER_ENTRY x n or FUEL_MIN) x log2(N)` entries, however much state there is.
//! Only neighbours merge: the replace law depends on it. A merge that cannot read or write leaves its inputs in their place, and
//! is begun anew at the next commit.

use std::sync::Arc;

use crate::batch::Batch;
use crate::columns::ColumnsBuilder;
use crate::levels::due;
use crate::merge::Merge;
use crate::tier::Tier;
use crate::{ArrangementId, Law, StateError};

/// Batches that together are no longer than this are merged at once: small epochs share one tail.
pub(crate) const TAIL: usize = 256;
/// Entries of merge work per committed entry and merge in progress.
pub(crate) const FUEL_PER_ENTRY: usize = 4;
/// Entries of merge work per commit and merge in progress at least, so that trickling input finishes large merges.
pub(crate) const FUEL_MIN: usize = 256;

/// With so much fuel for each, merges in progress are shared out among workers.
const FUEL_CUT: usize = 8192;

#[derive(Debug)]
enum Slot {
    Whole(Arc<Batch>),
    Merging(Box<Merge>),
}

impl Slot {
    fn whole(&self) -> Option<&Arc<Batch>> {
        match self {
            Self::Whole(batch) => Some(batch),
            Self::Merging(_) => None,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Spine {
    id: ArrangementId,
    law: Law,
    /// Older batches lie below it that are not its own: its delete markers hide their rows, and are kept.
    over: bool,
    slots: Vec<Slot>,
}

impl Spine {
    pub(crate) fn new(id: ArrangementId, law: Law, batches: Vec<Arc<Batch>>) -> Self {
        Self { id, law, over: false, slots: batches.into_iter().map(Slot::Whole).collect() }
    }

    /// Of batches that lie over others.
    pub(crate) fn over(id: ArrangementId, law: Law, batches: Vec<Arc<Batch>>) -> Self {
        Self { over: true, ..Self::new(id, law, batches) }
    }

    /// The batches, oldest first; of a merge in progress its inputs.
    pub(crate) fn batches(&self) -> Arc<[Arc<Batch>]> {
        let mut list = Vec::with_capacity(2 * self.slots.len());
        for slot in &self.slots {
            match slot {
                Slot::Whole(batch) => list.push(Arc::clone(batch)),
                Slot::Merging(merge) => list.extend(merge.inputs().cloned()),
            }
        }
        list.into()
    }

    /// Adds newer batches and does this commit's share of merging. Returns the entries consumed by merges, and why one could not
    /// go on if it could not. `few`: few batches are worth more merging.
    pub(crate) fn commit(
        &mut self,
        staged: Vec<Arc<Batch>>,
        few: bool,
        tier: Option<&Arc<Tier>>,
    ) -> (usize, Option<StateError>) {
        let entries: usize = staged.iter().map(|batch| batch.len()).sum();
        if entries == 0 {
            return (0, None);
        }
        let mut done = Done::default();
        for batch in staged {
            self.push(batch, tier, &mut done);
        }
        self.begin(few, tier);
        self.advance((FUEL_PER_ENTRY * entries).max(FUEL_MIN), &mut done);
        if done.failed.is_none() {
            self.begin(few, tier);
        }
        (done.worked, done.failed)
    }

    /// Puts a batch at the newest end, or merges it into the tail.
    fn push(&mut self, batch: Arc<Batch>, tier: Option<&Arc<Tier>>, done: &mut Done) {
        match self.slots.last() {
            None if self.law == Law::Replace && !self.over => {
                // It becomes the oldest: its markers hide nothing, and merging with nothing drops them.
                let nothing = Arc::new(Batch::resident(ColumnsBuilder::with_capacity(0, 0).finish()));
                self.merge_now(vec![nothing, batch], tier, done);
            }
            Some(Slot::Whole(tail)) if tail.len() + batch.len() <= TAIL => {
                let tail = Arc::clone(tail);
                self.slots.pop();
                self.merge_now(vec![tail, batch], tier, done);
            }
            _ => self.slots.push(Slot::Whole(batch)),
        }
    }

    /// Merges batches into the newest one.
    fn merge_now(&mut self, batches: Vec<Arc<Batch>>, tier: Option<&Arc<Tier>>, done: &mut Done) {
        let merge = self.merge(self.slots.is_empty(), batches, tier);
        self.slots.push(Slot::Merging(Box::new(merge)));
        self.work(self.slots.len() - 1, usize::MAX, done);
    }

    fn merge(&self, lowest: bool, batches: Vec<Arc<Batch>>, tier: Option<&Arc<Tier>>) -> Merge {
        Merge::new(self.id, (self.law, lowest && !self.over), batches, tier)
    }

    /// Works on the merge in a slot.
    fn work(&mut self, at: usize, fuel: usize, done: &mut Done) {
        let Slot::Merging(merge) = &mut self.slots[at] else { return };
        let worked = merge.work(fuel);
        self.settle(at, worked, done);
    }

    /// Takes down what was worked on the merge in a slot. When it is done its result is there instead, unless nothing is left of
    /// it; when it failed its inputs are.
    fn settle(&mut self, at: usize, (worked, mut failed): (usize, Option<StateError>), done: &mut Done) {
        let Slot::Merging(merge) = &mut self.slots[at] else { return };
        done.worked += worked;
        if failed.is_none() && merge.left() > 0 {
            return;
        }
        let inputs: Vec<Arc<Batch>> = merge.inputs().cloned().collect();
        let Slot::Merging(merge) = self.slots.remove(at) else { return };
        if failed.is_none() {
            match merge.finish() {
                Ok(batch) if batch.is_empty() => {}
                Ok(batch) => self.slots.insert(at, Slot::Whole(Arc::new(batch))),
                Err(error) => failed = Some(error),
            }
        }
        if failed.is_some() {
            done.failed = failed;
            for batch in inputs.into_iter().rev().filter(|batch| !batch.is_empty()) {
                self.slots.insert(at, Slot::Whole(batch));
            }
        }
    }

    /// Begins every merge that is due, from the newest end: there the batches are small and soon done.
    fn begin(&mut self, few: bool, tier: Option<&Arc<Tier>>) {
        let mut end = self.slots.len();
        while end > 0 {
            let mut whole: Vec<&Arc<Batch>> = self.slots[..end].iter().rev().map_while(Slot::whole).collect();
            whole.reverse();
            let (start, sizes) = (end - whole.len(), whole.iter().map(|batch| batch.len()).collect::<Vec<_>>());
            let Some(due) = due(&sizes, few) else {
                end = start.saturating_sub(1);
                continue;
            };
            let batches = whole[due.clone()].iter().map(|batch| Arc::clone(batch)).collect();
            let (first, last) = (start + due.start, start + due.end);
            let merge = self.merge(first == 0, batches, tier);
            self.slots.splice(first..last, [Slot::Merging(Box::new(merge))]);
            end = first;
        }
    }

    /// Gives every merge in progress its fuel.
    fn advance(&mut self, fuel: usize, done: &mut Done) {
        let merging = self.slots.iter_mut().zip(0..).filter_map(|(slot, at)| match slot {
            Slot::Merging(merge) => Some((at, merge)),
            Slot::Whole(_) => None,
        });
        // From the newest on: what becomes of a slot moves none of those before it.
        let merging = merging.collect::<Vec<_>>().into_iter().rev().collect();
        for (at, worked) in workers::map_large(merging, fuel, FUEL_CUT, |(at, merge)| (at, merge.work(fuel))) {
            self.settle(at, worked, done);
        }
    }
}

/// What a commit did.
#[derive(Debug, Default)]
struct Done {
    /// Entries consumed by merges.
    worked: usize,
    failed: Option<StateError>,
}
