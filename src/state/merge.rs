//! Adjacent batches becoming one, a bounded number of entries at a time.
//!
//! One code for both laws; they differ in what "equal" compares and in what becomes of equal entries. What comes out is
//! gathered in memory, or written as blocks while it comes, of which one at a time is in memory. Reading and writing may fail:
//! then the merge is of no use any more, and its inputs are what they were.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::batch::{Batch, Reader};
use crate::block::{BLOCK_BYTES, BLOCK_BYTES_MAX, ENTRY_BYTES};
use crate::budget::{Counted, Part, Promised};
use crate::columns::{Columns, ColumnsBuilder, MARKER};
use crate::tier::{AtMost, Pending, Tier, Writer};
use crate::{ArrangementId, Law, StateError};

/// Merges whose result takes no more than one part in so many of the limit are done in memory in any case.
const SMALL_SHARE: usize = 64;

/// A merge in progress. Its inputs stay readable until it is done.
#[derive(Debug)]
pub(crate) struct Merge {
    law: Law,
    /// The oldest input is the oldest batch of the arrangement: nothing lies below that a delete marker could hide.
    oldest: bool,
    /// Oldest first.
    inputs: Vec<Reader>,
    /// What came out; only what is not written yet, if blocks are written.
    out: ColumnsBuilder,
    blocks: Option<Blocks>,
    /// What `out` takes of the budget, and what it may take yet, if it is not written.
    counted: Option<(Counted, Promised)>,
    /// What it comes to at most in memory; nothing if it is written.
    takes: u64,
}

/// The inputs that have a next entry, oldest first, and the hash of that.
#[derive(Debug)]
struct Heads {
    hashes: Vec<u64>,
    inputs: Vec<usize>,
    /// The places of equal entries: kept, so that nothing is allocated for each.
    equal: Vec<usize>,
}

impl Heads {
    /// The place of the oldest whose hash is the least, and whether another has the same.
    fn least(&self) -> (usize, bool) {
        let (mut least, mut at) = (self.hashes[0], 0);
        for (next, &hash) in self.hashes.iter().enumerate().skip(1) {
            at = if hash < least { next } else { at };
            least = least.min(hash);
        }
        (at, self.hashes[at + 1..].contains(&least))
    }
}

/// The result as it is written.
#[derive(Debug)]
struct Blocks {
    writer: Writer,
    pending: Pending,
    /// How many entries of `out` are in `bytes`.
    measured: usize,
    /// What these take in a block.
    bytes: usize,
}

impl Merge {
    /// Of batches, oldest first. In memory, or as blocks if there is a tier that has no room for the result.
    pub(crate) fn new(
        id: ArrangementId,
        (law, oldest): (Law, bool),
        inputs: Vec<Arc<Batch>>,
        tier: Option<&Arc<Tier>>,
    ) -> Self {
        let total = |of: fn(&Batch) -> usize| inputs.iter().map(|batch| of(batch)).sum::<usize>();
        let (entries, data_bytes) = (total(Batch::len), total(Batch::data_len));
        let blocks = tier.filter(|tier| !has_room(tier, entries, data_bytes)).map(|tier| Blocks {
            writer: Writer::new(tier, id, AtMost { entries, data_bytes, hashes: total(Batch::hashes_max) }),
            pending: Pending::new(tier),
            measured: 0,
            bytes: 0,
        });
        let out = match &blocks {
            Some(_) => ColumnsBuilder::for_block(0, BLOCK_BYTES),
            None => ColumnsBuilder::with_capacity(entries, data_bytes),
        };
        let takes = if blocks.is_some() { 0 } else { Columns::bytes_of(entries, data_bytes) as u64 };
        let counted = tier.map(|tier| (tier.budget().count(Part::Batches, 0), tier.budget().promise(takes)));
        Self { law, oldest, inputs: inputs.into_iter().map(Reader::new).collect(), out, blocks, counted, takes }
    }

    /// The batches that become one, oldest first.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &Arc<Batch>> {
        self.inputs.iter().map(Reader::batch)
    }

    /// Entries still to be consumed.
    pub(crate) fn left(&self) -> usize {
        self.inputs.iter().map(Reader::left).sum()
    }

    /// Consumes about `fuel` entries (as many more at most as there are inputs) and returns how many it did; and why it did no
    /// more, if reading or writing failed.
    pub(crate) fn work(&mut self, fuel: usize) -> (usize, Option<StateError>) {
        let before = self.left();
        let failed = self.consume(before.saturating_sub(fuel)).err();
        self.inputs.iter_mut().for_each(Reader::rest);
        if let Some((counted, promised)) = &mut self.counted {
            counted.resize(self.out.bytes() as u64);
            promised.resize(self.takes.saturating_sub(self.out.bytes() as u64));
        }
        (before - self.left(), failed)
    }

    fn consume(&mut self, until: usize) -> Result<(), StateError> {
        let mut left = self.left();
        let mut heads = Heads { hashes: Vec::new(), inputs: Vec::new(), equal: Vec::new() };
        for (at, input) in self.inputs.iter_mut().enumerate() {
            if input.ready()? {
                heads.hashes.push(input.columns().hash(input.at()));
                heads.inputs.push(at);
            }
        }
        while left > until {
            let (first, shared) = heads.least();
            left -= if shared { self.take_equal(&mut heads, first)? } else { self.take(&mut heads, first)? };
        }
        Ok(())
    }

    /// Takes the next entry of the only input that has its hash.
    fn take(&mut self, heads: &mut Heads, first: usize) -> Result<usize, StateError> {
        let input = heads.inputs[first];
        let (columns, at) = (self.inputs[input].columns(), self.inputs[input].at());
        if !self.drops(columns.weight(at)) {
            if self.blocks.is_some() {
                let bytes = columns.entry_len(at);
                self.make_room(bytes + ENTRY_BYTES)?;
            }
            let (columns, at) = (self.inputs[input].columns(), self.inputs[input].at());
            self.out.copy(columns, at);
        }
        self.step(heads, first)?;
        Ok(1)
    }

    /// Takes the least of the next entries whose hash is the least, and all that are equal to it. Returns how many it took.
    fn take_equal(&mut self, heads: &mut Heads, first: usize) -> Result<usize, StateError> {
        let hash = heads.hashes[first];
        let mut equal = std::mem::take(&mut heads.equal);
        equal.clear();
        equal.push(first);
        for place in first + 1..heads.inputs.len() {
            if heads.hashes[place] != hash {
                continue;
            }
            match self.order(heads.inputs[place], heads.inputs[equal[0]]) {
                Ordering::Less => {
                    equal.clear();
                    equal.push(place);
                }
                Ordering::Equal => equal.push(place),
                Ordering::Greater => {}
            }
        }
        self.join(&heads.inputs, &equal)?;
        // From the newest on: who has nothing left moves nobody that comes before.
        equal.iter().rev().try_for_each(|&place| self.step(heads, place))?;
        heads.equal = equal;
        Ok(heads.equal.len())
    }

    /// Steps over the next entry of an input.
    fn step(&mut self, heads: &mut Heads, place: usize) -> Result<(), StateError> {
        let input = &mut self.inputs[heads.inputs[place]];
        input.advance();
        if input.ready()? {
            heads.hashes[place] = input.columns().hash(input.at());
        } else {
            heads.hashes.remove(place);
            heads.inputs.remove(place);
        }
        Ok(())
    }

    /// Compares the next entries of two inputs as the law does.
    fn order(&self, a: usize, b: usize) -> Ordering {
        let (a, b) = (&self.inputs[a], &self.inputs[b]);
        match self.law {
            Law::Add => a.columns().cmp_entry(a.at(), b.columns(), b.at()),
            Law::Replace => a.columns().cmp_key(a.at(), b.columns(), b.at()),
        }
    }

    /// What becomes of equal entries of the inputs in these places, the oldest first: their sum, or the newest. A sum of more than 64
    /// bits is more than one entry: see `columns`.
    fn join(&mut self, inputs: &[usize], equal: &[usize]) -> Result<(), StateError> {
        let weight = |&place: &usize| self.inputs[inputs[place]].columns().weight(self.inputs[inputs[place]].at());
        let Some(last) = equal.last() else { return Ok(()) };
        let newest = inputs[*last];
        if self.law == Law::Replace {
            let weight = weight(last);
            return if self.drops(weight) { Ok(()) } else { self.put(newest, weight) };
        }
        let mut sum: i128 = equal.iter().map(|place| i128::from(weight(place))).sum();
        while sum != 0 {
            let part = sum.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
            self.put(newest, part)?;
            sum -= i128::from(part);
        }
        Ok(())
    }

    /// Puts the next entry of an input out, with this weight.
    fn put(&mut self, input: usize, weight: i64) -> Result<(), StateError> {
        if self.blocks.is_some() {
            let bytes = self.inputs[input].columns().entry_len(self.inputs[input].at());
            self.make_room(bytes + ENTRY_BYTES)?;
        }
        let input = &self.inputs[input];
        self.out.copy_with(input.columns(), input.at(), weight);
        Ok(())
    }

    fn drops(&self, weight: i64) -> bool {
        self.oldest && self.law == Law::Replace && weight == MARKER
    }

    /// The merged batch; call it when nothing is left.
    pub(crate) fn finish(mut self) -> Result<Batch, StateError> {
        assert_eq!(self.left(), 0, "a merge is finished when its inputs are consumed");
        self.write_block()?;
        let Some(Blocks { writer, mut pending, .. }) = self.blocks else {
            return Ok(Batch::resident(self.out.finish()));
        };
        let (stored, _) = writer.finish(&mut pending)?;
        pending.write()?;
        Ok(Batch::stored(stored, None))
    }

    /// Writes the block that is begun if an entry of so many bytes may not fit in.
    fn make_room(&mut self, next: usize) -> Result<(), StateError> {
        let Some(blocks) = &mut self.blocks else { return Ok(()) };
        for at in blocks.measured..self.out.len() {
            blocks.bytes += self.out.entry_len(at) + ENTRY_BYTES;
        }
        blocks.measured = self.out.len();
        if blocks.bytes >= BLOCK_BYTES || (blocks.bytes > 0 && blocks.bytes + next > BLOCK_BYTES_MAX) {
            self.write_block()?;
        }
        Ok(())
    }

    /// Writes the block that is begun, if blocks are written.
    fn write_block(&mut self) -> Result<(), StateError> {
        let Some(blocks) = &mut self.blocks else { return Ok(()) };
        if self.out.len() == 0 {
            return Ok(());
        }
        let next = ColumnsBuilder::for_block(self.out.len(), BLOCK_BYTES);
        let block = std::mem::replace(&mut self.out, next).finish();
        (blocks.measured, blocks.bytes) = (0, 0);
        blocks.writer.block(&mut blocks.pending, &block, 0..block.len(), block.data_len())?;
        Ok(())
    }
}

/// Whether there is room in memory for what so many entries come to.
pub(crate) fn has_room(tier: &Tier, entries: usize, data_bytes: usize) -> bool {
    let budget = tier.budget();
    Columns::bytes_of(entries, data_bytes) as u64 <= budget.room().max(budget.limit() / SMALL_SHARE as u64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Budget, Store};

    /// What is begun at one commit does not all see the same room.
    #[test]
    fn what_one_merge_will_take_is_not_there_for_the_next() {
        let mut rows = ColumnsBuilder::with_capacity(1000, 1000 * 108);
        (0..1000u64).for_each(|n| rows.push(n, &n.to_be_bytes(), &[7; 100], 1));
        let batch = Arc::new(Batch::resident(rows.finish()));
        let (inputs, each) = (vec![Arc::clone(&batch), batch], Columns::bytes_of(2000, 2000 * 108) as u64);
        let dir = tempfile::tempdir().unwrap();
        let budget = Arc::new(Budget::new(each * 5 / 2));
        let (store, _) = Store::open_with(dir.path(), fault::Failpoints::default(), Arc::clone(&budget)).unwrap();
        let begun = || Merge::new(crate::tests::ID, (Law::Add, true), inputs.clone(), Some(&store.tier));
        let mut merges = [begun(), begun(), begun()];
        assert_eq!(merges.each_ref().map(|merge| merge.blocks.is_some()), [false, false, true]);
        for merge in &mut merges {
            assert!(matches!(merge.work(1000), (1000.., None)));
            let columns = merge.inputs[0].batch().columns().unwrap();
            assert_eq!(Arc::strong_count(&columns), 2, "nobody knows when it goes on: it holds no resident copy");
        }
        assert!(begun().blocks.is_some(), "what is there already was promised");
        drop(merges);
        assert!(begun().blocks.is_none());
    }
}
