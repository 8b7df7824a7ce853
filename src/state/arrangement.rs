//! An arrangement: an indexed Z-set kept as state.
//!
//! Changes are staged, then committed or discarded together. Every call works on a whole delta. Nothing here can fail: staging is
//! memory only; a merge that cannot read or write its blocks waits for the next commit, its inputs in its place; and what does
//! not fit in a weight is kept exactly and told to the reader.

use std::sync::Arc;

use zset::RowBytes;

use crate::batch::Batch;
use crate::budget::Part;
use crate::columns::Columns;
use crate::counters::Shared;
use crate::spine::Spine;
use crate::stage::{added, ordered, replaced, replaced_ordered};
use crate::tier::Tier;
use crate::{ArrangementId, Counters, Law, Snapshot};

/// With a key probed, or an entry retracted, for so many entries, few batches are worth their merging.
const FEW: u64 = 8;

/// See the module.
#[derive(Debug)]
pub struct Arrangement {
    id: ArrangementId,
    law: Law,
    spine: Spine,
    /// The spine's list as it is shared with snapshots.
    list: Arc<[Arc<Batch>]>,
    staged: Vec<Arc<Batch>>,
    shared: Arc<Shared>,
    use_of: Use,
    /// The last failure of a merge was told.
    told: bool,
}

/// How an arrangement is used of late: what was before counts half as much with every commit.
#[derive(Debug, Default)]
struct Use {
    entries: u64,
    retracted: u64,
    probed: u64,
    /// Keys that were probed by the last commit.
    before: u64,
}

impl Use {
    /// Takes down a commit: its entries, how many of them retract, and how many keys were probed since the arrangement was made.
    /// Whether few batches are worth their merging: where keys are probed, and where much cancels, which merging frees.
    fn wants_few(&mut self, entries: u64, retracted: u64, probed: u64) -> bool {
        self.entries = self.entries / 2 + entries;
        self.retracted = self.retracted / 2 + retracted;
        self.probed = self.probed / 2 + (probed - self.before);
        self.before = probed;
        (self.probed + self.retracted) * FEW >= self.entries
    }
}

impl Arrangement {
    /// An empty arrangement.
    pub fn new(id: ArrangementId, law: Law) -> Self {
        Self::restored(id, law, Vec::new())
    }

    /// An arrangement of batches read back, oldest first.
    pub(crate) fn restored(id: ArrangementId, law: Law, batches: Vec<Arc<Batch>>) -> Self {
        let spine = Spine::new(id, law, batches);
        let list = spine.batches();
        let shared = Arc::default();
        Self { id, law, spine, list, staged: Vec::new(), shared, use_of: Use::default(), told: false }
    }

    /// The same, whose batches may be stored.
    pub(crate) fn stored_in(self, tier: &Arc<Tier>) -> Self {
        self.shared.tier.get_or_init(|| Arc::clone(tier));
        self.list.iter().for_each(|batch| tier.admit(self.id, batch));
        self
    }

    /// One of the same name and law that has nothing yet.
    pub fn emptied(&self) -> Self {
        self.beside(self.id, self.law)
    }

    /// One of another name, stored where this one is, that has nothing yet.
    pub fn beside(&self, id: ArrangementId, law: Law) -> Self {
        let empty = Self::new(id, law);
        match self.shared.tier.get() {
            Some(tier) => empty.stored_in(tier),
            None => empty,
        }
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
        &self.shared.counters
    }

    /// Stages changes under [`Law::Add`]: `rows` under `keys`, in any order, any of them repeated, with any weights.
    pub fn stage(&mut self, keys: &RowBytes, rows: &RowBytes, weights: &[i64]) {
        assert_eq!(self.law, Law::Add, "arrangement {} does not add", self.id);
        self.stage_batch(added(keys, rows, weights));
    }

    /// The same of `count` entries (hash of the key, key, row, weight) that are consolidated and come in the order (hash, key, row).
    /// Their keys and rows have about so many `bytes`.
    pub fn stage_sorted<'a>(
        &mut self,
        count: usize,
        bytes: usize,
        entries: impl Iterator<Item = (u64, &'a [u8], &'a [u8], i64)>,
    ) {
        assert_eq!(self.law, Law::Add, "arrangement {} does not add", self.id);
        self.stage_batch(ordered(count, bytes, entries));
    }

    /// Stages changes under [`Law::Replace`]: each value is now its key's row; where `present` is false the key has
    /// none any more and its value means nothing. Of equal keys the later wins.
    pub fn stage_replace(&mut self, keys: &RowBytes, values: &RowBytes, present: &[bool]) {
        assert_eq!(self.law, Law::Replace, "arrangement {} does not replace", self.id);
        self.stage_batch(replaced(keys, values, present));
    }

    /// The same of `count` entries (hash of the key, key, its row if it has one), of which each key is there once and which come in the
    /// order (hash, key). They have about so many `bytes`.
    pub fn stage_replace_sorted<'a>(
        &mut self,
        count: usize,
        bytes: usize,
        entries: impl Iterator<Item = (u64, &'a [u8], Option<&'a [u8]>)>,
    ) {
        assert_eq!(self.law, Law::Replace, "arrangement {} does not replace", self.id);
        self.stage_batch(replaced_ordered(count, bytes, entries));
    }

    fn stage_batch(&mut self, columns: Columns) {
        if !columns.is_empty() {
            if let Some(tier) = self.shared.tier.get() {
                columns.count(tier.budget(), Part::Batches);
            }
            self.staged.push(Arc::new(Batch::resident(columns)));
        }
    }

    /// What was staged joins the list; then a bounded share of merging is done.
    pub fn commit(&mut self) {
        if self.staged.is_empty() {
            return;
        }
        let tier = self.shared.tier.get();
        let staged = std::mem::take(&mut self.staged);
        let columns = staged.iter().filter_map(|batch| batch.columns());
        let (entries, retracted) = columns.fold((0, 0), |(entries, retracted), columns| {
            let weights = columns.weights(0..columns.len());
            let gone = weights.iter().filter(|&&weight| weight < 0).count();
            (entries + weights.len() as u64, retracted + gone as u64)
        });
        // Of what replaces, who can tell what is replaced.
        let few = self.use_of.wants_few(entries, retracted, self.shared.counters.keys_probed());
        let (worked, failed) = self.spine.commit(staged, few || self.law == Law::Replace, tier);
        self.shared.counters.add_merged(worked as u64);
        self.list = self.spine.batches();
        match failed {
            Some(error) if !self.told => {
                tracing::error!(
                    "cannot merge batches of arrangement {}, it is tried again at each commit: {error}",
                    self.id
                );
                self.told = true;
            }
            Some(_) => {}
            None => self.told = false,
        }
        if let Some(tier) = tier {
            self.list.iter().for_each(|batch| tier.admit(self.id, batch));
            tier.relieve();
        }
    }

    /// What was staged vanishes.
    pub fn discard(&mut self) {
        self.staged.clear();
    }

    /// The committed contents.
    pub fn committed(&self) -> Snapshot {
        Snapshot::new(self.id, self.law, Arc::clone(&self.list), Arc::clone(&self.shared))
    }

    /// The committed contents with what is staged.
    pub fn staged(&self) -> Snapshot {
        if self.staged.is_empty() {
            return self.committed();
        }
        let list = self.list.iter().chain(&self.staged).map(Arc::clone).collect();
        Snapshot::new(self.id, self.law, list, Arc::clone(&self.shared))
    }
}
