//! Writing the blocks of a batch, one after the other, and at last its index: to a file of its own if it may be large, else as
//! values of RocksDB.
//!
//! What is not finished is deleted again: without its index a batch is nothing.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rocksdb::WriteBatch;

use super::file::{FILE_BYTES, FileWriter};
use super::{Filter, Grave, Stored, Tier};
use crate::block::{BlockKey, ENTRY_BYTES, INDEX, Index, cut, encode_block, encode_index};
use crate::budget::Promised;
use crate::columns::Columns;
use crate::{ArrangementId, StateError};

/// Values that are on their way to the database.
#[derive(Debug)]
pub(crate) struct Pending {
    tier: Arc<Tier>,
    values: Vec<(BlockKey, Vec<u8>)>,
    bytes: usize,
}

impl Pending {
    pub(crate) fn new(tier: &Arc<Tier>) -> Self {
        Self { tier: Arc::clone(tier), values: Vec::new(), bytes: 0 }
    }

    /// Adds a value; when they are many they are written. Returns its bytes.
    fn put(&mut self, key: BlockKey, value: Vec<u8>) -> Result<u64, StateError> {
        let bytes = value.len();
        self.values.push((key, value));
        self.bytes += bytes;
        self.tier.calls.puts.fetch_add(1, Relaxed);
        if self.bytes >= self.tier.write_bytes {
            self.write()?;
        }
        Ok(bytes as u64)
    }

    /// Writes what there is.
    pub(crate) fn write(&mut self) -> Result<(), StateError> {
        let mut values = WriteBatch::default();
        self.values.drain(..).for_each(|(key, value)| values.put(key.encode(), value));
        self.bytes = 0;
        self.tier.write(values)
    }
}

/// No less than a batch may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AtMost {
    pub(crate) entries: usize,
    /// Of keys and rows.
    pub(crate) data_bytes: usize,
    /// Different ones.
    pub(crate) hashes: usize,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Writer {
    tier: Arc<Tier>,
    arrangement: ArrangementId,
    id: u64,
    /// Of the blocks that are written.
    index: Index,
    last_hash: Option<u64>,
    /// Where they are, if they are not values.
    file: Option<FileWriter>,
    in_file: bool,
    finished: bool,
    /// Of its filter, which nobody counts yet.
    _promised: Promised,
}

impl Writer {
    pub(crate) fn new(tier: &Arc<Tier>, arrangement: ArrangementId, at_most: AtMost) -> Self {
        let (id, filter) = (tier.new_batch(), Some(Filter::for_hashes(at_most.hashes)));
        let in_file = at_most.data_bytes + at_most.entries * ENTRY_BYTES >= FILE_BYTES;
        let file = in_file.then(|| FileWriter::new(tier.path_of(id), &tier.handles));
        let index = Index { filter, ..Index::default() };
        let promised = tier.budget().promise(index.bytes() as u64);
        let tier = Arc::clone(tier);
        Self { tier, arrangement, id, index, last_hash: None, file, in_file, finished: false, _promised: promised }
    }

    /// Writes one block, which comes after those before. Returns its bytes.
    pub(crate) fn block(
        &mut self,
        pending: &mut Pending,
        columns: &Columns,
        range: Range<usize>,
        data_bytes: usize,
    ) -> Result<u64, StateError> {
        let number = INDEX + 1 + self.index.blocks.len() as u32;
        let key = self.key(number);
        let bytes = match &mut self.file {
            None => {
                let mut value = Vec::new();
                encode_block(columns, range.clone(), key, &mut value);
                pending.put(key, value)?
            }
            Some(file) => {
                let start = self.index.ends.last().copied().unwrap_or(0);
                let end =
                    self.tier.with_db(|_| file.add(|buffer| encode_block(columns, range.clone(), key, buffer)))?;
                self.index.ends.push(end);
                end - start
            }
        };
        self.index.blocks.push((columns.hash(range.start), range.len() as u32));
        self.index.entries += range.len() as u64;
        self.index.data_bytes += data_bytes as u64;
        for hash in range.map(|at| columns.hash(at)) {
            if self.last_hash.replace(hash) != Some(hash) {
                self.index.hashes += 1;
                if let Some(filter) = &mut self.index.filter {
                    filter.add(hash);
                }
            }
        }
        Ok(bytes)
    }

    /// Writes the index. The batch is there when what is pending is written.
    pub(crate) fn finish(mut self, pending: &mut Pending) -> Result<(Stored, u64), StateError> {
        let key = self.key(INDEX);
        let (file, bytes) = match self.file.take() {
            None => {
                let mut value = Vec::new();
                encode_index(&self.index, key, &mut value);
                (None, pending.put(key, value)?)
            }
            Some(mut file) => {
                let start = self.index.ends.last().copied().unwrap_or(0);
                let (file, end) = self.tier.with_db(|_| {
                    let end = file.add(|buffer| encode_index(&self.index, key, buffer))?;
                    Ok((file.finish(start)?, end))
                })?;
                self.tier.calls.files.fetch_add(1, Relaxed);
                if self.tier.handles.are_many() {
                    self.tier.make_durable(&file)?;
                }
                (Some(file), end - start)
            }
        };
        self.finished = true;
        Ok((Stored::new(&self.tier, self.arrangement, self.id, (std::mem::take(&mut self.index), file)), bytes))
    }

    /// Writes a batch whole; returns it, and its bytes.
    pub(crate) fn write_all(
        tier: &Arc<Tier>,
        arrangement: ArrangementId,
        columns: &Columns,
        pending: &mut Pending,
    ) -> Result<(Stored, u64), StateError> {
        let at_most = AtMost { entries: columns.len(), data_bytes: columns.data_len(), hashes: columns.hashes() };
        let mut writer = Self::new(tier, arrangement, at_most);
        let mut bytes = 0;
        for range in cut(columns) {
            let data = columns.data_of(range.clone());
            bytes += writer.block(pending, columns, range, data)?;
        }
        let (stored, index) = writer.finish(pending)?;
        Ok((stored, bytes + index))
    }

    fn key(&self, block: u32) -> BlockKey {
        BlockKey { arrangement: self.arrangement, batch: self.id, block }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            let (blocks, in_file) = (self.index.blocks.len() as u32, self.in_file);
            self.tier.bury(Grave { arrangement: self.arrangement, batch: self.id, blocks, in_file });
        }
    }
}
