//! Making a checkpoint, and removing old ones.
//!
//! Each step leaves the folder such that dying after it loses nothing: blocks that no manifest names do not count, a
//! folder called `.tmp` does not count, and the manifest is whole before the folder gets its name.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use rocksdb::WriteBatch;
use rocksdb::checkpoint::Checkpoint;
use zset::{Epoch, ROW_FORMAT};

use super::{CheckpointStats, Store, Stored, Written, files};
use crate::batch::Batch;
use crate::block::{BlockKey, INDEX, cut, encode_block, encode_index};
use crate::manifest::{ArrangementEntry, BatchEntry, FILE, FORMAT, Manifest, Metadata};
use crate::{ArrangementId, Snapshot, StateError};

/// A write batch is written when it holds this much.
const WRITE_BYTES: usize = 4 << 20;

impl Store {
    /// Makes a checkpoint of one epoch's snapshots: writes the batches that are not in the live database yet, deletes
    /// those that none of the snapshots has, and names the whole as durable. Arrangements may go on meanwhile; an
    /// arrangement that is not given is not in the checkpoint. After an error the older checkpoints are as they were
    /// and the call may be made again. `progress` is told what is done of how much: a batch to be written is one, and the
    /// rest (flush, links, manifest) is one.
    pub fn checkpoint(
        &self,
        epoch: Epoch,
        snapshots: &[(ArrangementId, Snapshot)],
        metadata: &[u8],
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<CheckpointStats, StateError> {
        let started = Instant::now();
        // Held to the end: one checkpoint at a time.
        let mut written = self.written();
        if written.checkpoints.contains(&epoch) {
            return Ok(CheckpointStats { existed: true, ..CheckpointStats::default() });
        }
        let (target, temporary) = (files::checkpoint(&self.dir, epoch), files::unfinished(&self.dir, epoch));
        // What stands there was left by a failed attempt or was skipped as damaged.
        files::remove_dir(&temporary)?;
        files::remove_dir(&target)?;

        self.faults.reach("checkpoint-blocks")?;
        let mut stats = self.write_blocks(&mut written, snapshots, progress)?;
        stats.deleted = self.delete_unnamed(&mut written, snapshots)?;
        self.faults.reach("checkpoint-flush")?;
        self.flush(&mut written)?;
        self.faults.reach("checkpoint-links")?;
        Checkpoint::new(&self.db)
            .and_then(|checkpoint| checkpoint.create_checkpoint(&temporary))
            .map_err(StateError::rocks("link the files of a checkpoint"))?;
        self.faults.reach("checkpoint-manifest")?;
        let manifest = Manifest {
            format: FORMAT,
            row_format: ROW_FORMAT,
            epoch,
            next_batch: written.next_batch,
            metadata: Metadata::new(metadata),
            arrangements: lists(&written, snapshots),
            files: files::describe(&temporary)?,
        };
        files::write_durably(&temporary.join(FILE), &manifest.encode())?;
        self.faults.reach("checkpoint-rename")?;
        files::rename_dir(&temporary, &target)?;
        written.checkpoints.insert(epoch);
        written.damaged.remove(&epoch);
        self.faults.reach("checkpoint-made")?;
        stats.duration = started.elapsed();
        Ok(stats)
    }

    /// Removes damaged checkpoints and all but the newest `keep` others (at least one stays). Returns what was removed.
    pub fn prune(&self, keep: usize) -> Result<Vec<Epoch>, StateError> {
        let mut written = self.written();
        let old = written.checkpoints.len().saturating_sub(keep.max(1));
        // Without a whole checkpoint the damaged ones are all there is to look at.
        let damaged = if written.checkpoints.is_empty() { 0 } else { written.damaged.len() };
        let gone: Vec<Epoch> =
            written.checkpoints.iter().take(old).chain(written.damaged.iter().take(damaged)).copied().collect();
        for &epoch in &gone {
            files::remove_checkpoint(&self.dir, epoch)?;
            written.checkpoints.remove(&epoch);
            written.damaged.remove(&epoch);
        }
        if !gone.is_empty() {
            files::sync_dir(&files::checkpoints(&self.dir))?;
        }
        Ok(gone)
    }

    /// Writes every batch that the live database does not have for sure.
    fn write_blocks(
        &self,
        written: &mut Written,
        snapshots: &[(ArrangementId, Snapshot)],
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<CheckpointStats, StateError> {
        let mut stats = CheckpointStats::default();
        let mut pending = WriteBatch::default();
        let is_durable = |batch: &Arc<Batch>| written.batches.get(&batch.uid()).is_some_and(|stored| stored.durable);
        let to_write = snapshots.iter().flat_map(|(_, snapshot)| snapshot.list()).filter(|batch| !is_durable(batch));
        let total = to_write.count() as u64 + 1;
        progress(0, total);
        for (arrangement, snapshot) in snapshots {
            for batch in snapshot.list() {
                let known = written.batches.get(&batch.uid()).copied();
                if known.is_some_and(|stored| stored.durable) {
                    continue;
                }
                let id = known.map_or(written.next_batch, |stored| stored.id);
                written.next_batch = written.next_batch.max(id + 1);
                let ranges = cut(batch);
                let blocks = ranges.len() as u32;
                // Remembered before it is written: what a failed attempt leaves is deleted or written over later.
                let stored = Stored { arrangement: *arrangement, id, blocks, durable: false };
                written.batches.insert(batch.uid(), stored);
                stats.batches += 1;
                stats.blocks += ranges.len();
                let key = |block| BlockKey { arrangement: *arrangement, batch: id, block };
                for (range, block) in ranges.iter().zip(INDEX + 1..) {
                    stats.bytes +=
                        self.put(&mut pending, key(block), encode_block(batch, range.clone(), key(block)))?;
                }
                stats.bytes += self.put(&mut pending, key(INDEX), encode_index(batch, &ranges, key(INDEX)))?;
                progress(stats.batches as u64, total);
            }
        }
        self.write(pending)?;
        Ok(stats)
    }

    /// Adds a value to the pending write batch, writing that when it is full. Returns the value's bytes.
    fn put(&self, pending: &mut WriteBatch, key: BlockKey, value: Vec<u8>) -> Result<u64, StateError> {
        pending.put(key.encode(), &value);
        self.calls.puts.fetch_add(1, Relaxed);
        if pending.size_in_bytes() >= WRITE_BYTES {
            self.write(std::mem::take(pending))?;
        }
        Ok(value.len() as u64)
    }

    /// Deletes the batches that no snapshot has.
    fn delete_unnamed(
        &self,
        written: &mut Written,
        snapshots: &[(ArrangementId, Snapshot)],
    ) -> Result<usize, StateError> {
        let named: HashSet<u64> =
            snapshots.iter().flat_map(|(_, snapshot)| snapshot.list()).map(|batch| batch.uid()).collect();
        let mut deletes = WriteBatch::default();
        let mut deleted = 0;
        written.batches.retain(|uid, stored| {
            let keep = named.contains(uid);
            if !keep {
                self.delete(&mut deletes, stored.arrangement, stored.id);
                deleted += 1;
            }
            keep
        });
        self.write(deletes)?;
        Ok(deleted)
    }

    /// Adds the deletion of a whole batch to a write batch.
    pub(super) fn delete(&self, pending: &mut WriteBatch, arrangement: ArrangementId, batch: u64) {
        let (from, to) = BlockKey::batch_range(arrangement, batch);
        pending.delete_range(from.encode(), to.encode());
        self.calls.deletes.fetch_add(1, Relaxed);
    }

    /// Writes a write batch, without the log: only a flush counts.
    pub(super) fn write(&self, pending: WriteBatch) -> Result<(), StateError> {
        if pending.is_empty() {
            return Ok(());
        }
        self.calls.writes.fetch_add(1, Relaxed);
        self.db.write_without_wal(pending).map_err(StateError::rocks("write blocks"))
    }

    fn flush(&self, written: &mut Written) -> Result<(), StateError> {
        self.calls.flushes.fetch_add(1, Relaxed);
        self.db.flush().map_err(StateError::rocks("flush blocks"))?;
        written.batches.values_mut().for_each(|stored| stored.durable = true);
        Ok(())
    }
}

/// The lists that a manifest names, in the order of the arrangements' names.
fn lists(written: &Written, snapshots: &[(ArrangementId, Snapshot)]) -> Vec<ArrangementEntry> {
    let entry = |batch: &Batch| {
        let stored = written.batches[&batch.uid()];
        BatchEntry { id: stored.id, entries: batch.len() as u64, blocks: stored.blocks }
    };
    let mut lists: Vec<ArrangementEntry> = snapshots
        .iter()
        .map(|(id, snapshot)| ArrangementEntry {
            id: *id,
            law: snapshot.law(),
            batches: snapshot.list().iter().map(|batch| entry(batch)).collect(),
        })
        .collect();
    lists.sort_by_key(|list| list.id);
    lists
}
