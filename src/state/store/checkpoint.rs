//! Making a checkpoint, and removing old ones.
//!
//! Each step leaves the folder such that dying after it loses nothing: blocks that no manifest names do not count, a
//! folder called `.tmp` does not count, and the manifest is whole before the folder gets its name.

use std::sync::Arc;
use std::time::Instant;

use rocksdb::checkpoint::Checkpoint;
use zset::{Epoch, ROW_FORMAT};

use super::{CheckpointStats, Store, files};
use crate::batch::Batch;
use crate::manifest::{ArrangementEntry, BatchEntry, FILE, FORMAT, Manifest, Metadata};
use crate::tier::{Pending, Stored, Tier, Writer};
use crate::{ArrangementId, Snapshot, StateError};

/// What a checkpoint is made of: all state at one committed epoch.
#[derive(Debug)]
pub struct CheckpointInput {
    /// The epoch.
    pub epoch: Epoch,
    /// Of each arrangement, once. One that is not here is not in the checkpoint.
    pub snapshots: Vec<Snapshot>,
    /// What the runtime wants kept beside them.
    pub metadata: Vec<u8>,
}

impl Store {
    /// Makes a checkpoint: writes the batches that are not in the live database yet, deletes those that nobody has any
    /// more, and names the whole as durable. Arrangements may go on meanwhile. After an error the older checkpoints are as
    /// they were and the call may be made again. `progress` is told what is done of how much: a batch to be written is one,
    /// and the rest (flush, links, manifest) is one.
    pub fn checkpoint(
        &self,
        input: &CheckpointInput,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<CheckpointStats, StateError> {
        let epoch = input.epoch;
        let started = Instant::now();
        // Held to the end: one checkpoint at a time.
        let mut written = self.written();
        if written.checkpoints.contains(&epoch) {
            return Ok(CheckpointStats { existed: true, ..CheckpointStats::default() });
        }
        let made = self.make(input, progress);
        if made.is_err() {
            // What it links stays on the disk for as long as it stands there. The next start removes it too.
            let _ = files::remove_dir(&files::unfinished(&self.dir, epoch));
        }
        let mut stats = made?;
        written.checkpoints.insert(epoch);
        written.damaged.remove(&epoch);
        self.faults.reach("checkpoint-made")?;
        stats.duration = started.elapsed();
        Ok(stats)
    }

    /// Makes it, up to its name.
    fn make(&self, input: &CheckpointInput, progress: &mut dyn FnMut(u64, u64)) -> Result<CheckpointStats, StateError> {
        let CheckpointInput { epoch, ref snapshots, ref metadata } = *input;
        let (target, temporary) = (files::checkpoint(&self.dir, epoch), files::unfinished(&self.dir, epoch));
        // What stands there was left by a failed attempt or was skipped as damaged.
        files::remove_dir(&temporary)?;
        files::remove_dir(&target)?;

        self.faults.reach("checkpoint-blocks")?;
        // First what can be given back: the disk may be full. If it cannot be now, it is tried again below.
        let deleted = self.tier.delete_buried().unwrap_or(0);
        let mut stats = self.write_blocks(snapshots, progress)?;
        stats.deleted = deleted + self.tier.delete_buried()?;
        self.faults.reach("checkpoint-flush")?;
        self.tier.flush()?;
        let files = files_of(snapshots);
        files.iter().filter_map(|stored| stored.file()).try_for_each(|file| self.tier.make_durable(file))?;
        self.faults.reach("checkpoint-links")?;
        self.tier.with_db(|db| {
            Checkpoint::new(db)
                .and_then(|checkpoint| checkpoint.create_checkpoint(&temporary))
                .map_err(StateError::rocks("link the files of a checkpoint"))
        })?;
        files.iter().filter_map(|stored| stored.file()).try_for_each(|file| file.link(&temporary))?;
        self.faults.reach("checkpoint-manifest")?;
        let manifest = Manifest {
            format: FORMAT,
            row_format: ROW_FORMAT,
            epoch,
            next_batch: self.tier.next_batch(),
            metadata: Metadata::new(metadata),
            arrangements: lists(&self.tier, snapshots),
            files: files::describe(&temporary)?,
        };
        files::write_durably(&temporary.join(FILE), &manifest.encode())?;
        self.faults.reach("checkpoint-rename")?;
        files::rename_dir(&temporary, &target)?;
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

    /// Writes every batch that is in memory alone.
    fn write_blocks(
        &self,
        snapshots: &[Snapshot],
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<CheckpointStats, StateError> {
        let mut stats = CheckpointStats::default();
        let mut to_write: Vec<(ArrangementId, &Arc<Batch>)> = Vec::new();
        for snapshot in snapshots {
            snapshot.shared().tier.get_or_init(|| Arc::clone(&self.tier));
            let unwritten = snapshot.list().iter().filter(|batch| batch.blocks().is_none());
            to_write.extend(unwritten.map(|batch| (snapshot.id(), batch)));
        }
        let total = to_write.len() as u64 + 1;
        progress(0, total);
        let mut pending = Pending::new(&self.tier);
        // They count as stored when all of them are written.
        let mut done: Vec<(&Arc<Batch>, Stored)> = Vec::with_capacity(to_write.len());
        for (id, batch) in to_write {
            // Another thread may have written it, and given its resident copy up.
            if let Some(columns) = batch.columns() {
                let (stored, bytes) = Writer::write_all(&self.tier, id, &columns, &mut pending)?;
                stats.batches += 1;
                stats.blocks += stored.blocks();
                stats.bytes += bytes;
                done.push((batch, stored));
            }
            progress(stats.batches as u64, total);
        }
        pending.write()?;
        done.into_iter().for_each(|(batch, stored)| batch.keep(Arc::new(stored)));
        Ok(stats)
    }
}

/// The batches of a checkpoint that have files.
fn files_of(snapshots: &[Snapshot]) -> Vec<Arc<Stored>> {
    let batches = snapshots.iter().flat_map(|snapshot| snapshot.list().iter());
    batches.filter_map(|batch| batch.blocks()).filter(|stored| stored.file().is_some()).collect()
}

/// The lists that a manifest names, in the order of the arrangements' names.
fn lists(tier: &Arc<Tier>, snapshots: &[Snapshot]) -> Vec<ArrangementEntry> {
    let entry = |batch: &Arc<Batch>| {
        let stored = batch.blocks().expect("every batch of a checkpoint was written");
        assert!(stored.is_in(tier), "an arrangement has one store");
        let (entries, blocks, file) = (batch.len() as u64, stored.blocks() as u32, stored.file().is_some());
        BatchEntry { id: stored.id(), entries, blocks, file }
    };
    let mut lists: Vec<ArrangementEntry> = snapshots
        .iter()
        .map(|snapshot| ArrangementEntry {
            id: snapshot.id(),
            law: snapshot.law(),
            batches: snapshot.list().iter().map(entry).collect(),
        })
        .collect();
    lists.sort_by_key(|list| list.id);
    lists
}
