//! A stored batch: its index, in memory, and its blocks, in the store: in RocksDB or in a file.
//!
//! The index says for a hash in which blocks its entries can be, a filter for most absent hashes that there are none. When
//! nobody has the batch any more its blocks are deleted: not before, so that no reader misses them.

use std::ops::Range;
use std::sync::Arc;

use super::{BatchFile, Grave, Tier};
use crate::block::{BlockKey, INDEX, Index, decode_block};
use crate::budget::{Counted, Part};
use crate::columns::{Columns, ColumnsBuilder};
use crate::{ArrangementId, End, StateError};

/// See the module.
#[derive(Debug)]
pub(crate) struct Stored {
    tier: Arc<Tier>,
    arrangement: ArrangementId,
    id: u64,
    index: Index,
    /// Where its blocks are, if not in RocksDB.
    file: Option<BatchFile>,
    _counted: Counted,
}

/// What a probe wants of a stored batch: hashes and keys, in this order, each once.
pub(crate) type Wanted<'a> = [(u64, &'a [u8])];

/// What a probe gets.
#[derive(Debug)]
pub(crate) struct Extract {
    /// The entries of the wanted keys.
    pub(crate) columns: Columns,
    /// The hashes of keys that have more than were taken, in order.
    pub(crate) cut: Vec<u64>,
}

impl Stored {
    pub(crate) fn new(
        tier: &Arc<Tier>,
        arrangement: ArrangementId,
        id: u64,
        (index, file): (Index, Option<BatchFile>),
    ) -> Self {
        let counted = tier.budget().count(Part::Indexes, index.bytes() as u64);
        Self { tier: Arc::clone(tier), arrangement, id, index, file, _counted: counted }
    }

    /// The file that it is in, if it is in one.
    pub(crate) fn file(&self) -> Option<&BatchFile> {
        self.file.as_ref()
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Whether its blocks are in this tier.
    pub(crate) fn is_in(&self, tier: &Arc<Tier>) -> bool {
        Arc::ptr_eq(&self.tier, tier)
    }

    pub(crate) fn blocks(&self) -> usize {
        self.index.blocks.len()
    }

    pub(crate) fn entries(&self) -> usize {
        self.index.entries as usize
    }

    pub(crate) fn data_len(&self) -> usize {
        self.index.data_bytes as usize
    }

    /// No fewer than there are different hashes.
    pub(crate) fn hashes(&self) -> usize {
        self.index.hashes as usize
    }

    pub(crate) fn index_bytes(&self) -> usize {
        self.index.bytes()
    }

    /// The block of an entry and how many entries come before it. `from` is such a pair, to look from there on.
    pub(crate) fn block_of_entry(&self, entry: usize, from: (usize, usize)) -> (usize, usize) {
        let (mut block, mut start) = if from.1 <= entry { from } else { (0, 0) };
        while start + self.index.blocks[block].1 as usize <= entry {
            start += self.index.blocks[block].1 as usize;
            block += 1;
        }
        (block, start)
    }

    /// A block, to be read once: it is looked for in the cache, and not put there.
    pub(crate) fn read(&self, block: usize) -> Result<Arc<Columns>, StateError> {
        if let Some(columns) = self.tier.cached((self.id, block)) {
            return Ok(columns);
        }
        self.fetch(block)
    }

    /// A block, through the cache.
    fn load(&self, block: usize) -> Result<Arc<Columns>, StateError> {
        if let Some(columns) = self.tier.cached((self.id, block)) {
            return Ok(columns);
        }
        let columns = self.fetch(block)?;
        self.tier.cache((self.id, block), &columns);
        Ok(columns)
    }

    fn fetch(&self, block: usize) -> Result<Arc<Columns>, StateError> {
        let expected = self.index.blocks[block];
        let mut out = ColumnsBuilder::for_block(expected.1 as usize, 0);
        self.fetch_into(block, &mut out)?;
        Ok(Arc::new(out.finish()))
    }

    fn fetch_into(&self, block: usize, out: &mut ColumnsBuilder) -> Result<(), StateError> {
        let number = INDEX + 1 + block as u32;
        let key = BlockKey { arrangement: self.arrangement, batch: self.id, block: number };
        let expected = self.index.blocks[block];
        match &self.file {
            None => self.tier.read(key, |bytes| decode_block(bytes, key, expected, out)),
            Some(file) => {
                let read = || file.read(self.index.place(block));
                self.tier.read_file(key, read, |bytes| decode_block(&bytes, key, expected, out))
            }
        }
    }

    /// All entries.
    pub(crate) fn read_all(&self) -> Result<Columns, StateError> {
        let mut out = ColumnsBuilder::with_capacity(self.entries(), self.data_len());
        (0..self.blocks()).try_for_each(|block| self.fetch_into(block, &mut out))?;
        Ok(out.finish())
    }

    /// Reads every block, for what is wrong with it.
    pub(crate) fn check(&self) -> Result<(), StateError> {
        (0..self.blocks()).try_for_each(|block| self.fetch(block).map(|_| ()))
    }

    /// The blocks that may have entries of a hash. Its run may begin at the end of the block before the first that begins
    /// with it.
    fn blocks_of(&self, hash: u64) -> Range<usize> {
        if self.index.filter.as_ref().is_some_and(|filter| !filter.may_have(hash)) {
            return 0..0;
        }
        let first = self.index.blocks.partition_point(|&(first, _)| first < hash).saturating_sub(1);
        first..self.index.blocks.partition_point(|&(first, _)| first <= hash).max(first)
    }

    /// The entries of keys; of each at most `limit`, from one end of its rows.
    pub(crate) fn extract(&self, wanted: &Wanted<'_>, end: End, limit: usize) -> Result<Extract, StateError> {
        let (mut out, mut cut) = (ColumnsBuilder::with_capacity(wanted.len(), 0), Vec::new());
        let mut parts: Vec<(Arc<Columns>, Range<usize>)> = Vec::new();
        // Keys that follow one another are often in one block.
        let mut last: Option<(usize, Arc<Columns>)> = None;
        for &(hash, key) in wanted {
            let mut blocks = self.blocks_of(hash);
            let mut left = limit;
            while left > 0
                && let Some(block) = if end == End::First { blocks.next() } else { blocks.next_back() }
            {
                let columns = match &last {
                    Some((at, columns)) if *at == block => Arc::clone(columns),
                    _ => self.load(block)?,
                };
                last = Some((block, Arc::clone(&columns)));
                let Some(start) = columns.find(hash) else { continue };
                let range = columns.entries_of(key, start);
                let taken = range.len().min(left);
                left -= taken;
                let range = match end {
                    End::First => range.start..range.start + taken,
                    End::Last => range.end - taken..range.end,
                };
                match end {
                    End::First => range.for_each(|at| out.copy(&columns, at)),
                    End::Last => parts.push((columns, range)),
                }
            }
            for (columns, range) in parts.drain(..).rev() {
                range.for_each(|at| out.copy(&columns, at));
            }
            if left == 0 {
                cut.push(hash);
            }
        }
        Ok(Extract { columns: out.finish(), cut })
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        let (blocks, in_file) = (self.blocks() as u32, self.file.is_some());
        self.tier.bury(Grave { arrangement: self.arrangement, batch: self.id, blocks, in_file });
    }
}
