//! Checkpoints: made in the background from the snapshot of a committed epoch, at intervals and at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use api::{EPOCH_PARTITION, TopicPartition};
use plan::{Catalog, SequenceMark, TableId};
use serde::{Deserialize, Serialize};
use state::{CheckpointInput, CheckpointStats, StateError};
use zset::{Epoch, Generation, Offset, Partition, ROW_FORMAT, TimestampMs};

use crate::detached::SinkState;
use crate::engine::{Chain, Position};
use crate::letters::Letters;
use crate::scheduler::{Once, Task};
use crate::sink::{Sink, Way};
use crate::{Engine, EngineError};

/// The format of [`Metadata`] that is written. In 4 a row that is its own key is stored once.
pub(crate) const METADATA_FORMAT: u32 = 4;

/// The oldest format that is read: what came since has a default, and is left out where it has that.
const METADATA_FORMAT_OLDEST: u32 = 2;

/// What a checkpoint holds besides arrangements: all that later work needs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    pub format: u32,
    pub row_format: u32,
    pub incarnation: String,
    pub generation: Generation,
    pub epoch: Epoch,
    pub hash: String,
    pub offset: Offset,
    pub timestamp: TimestampMs,
    pub catalog: Catalog,
    pub positions: Vec<(TableId, Partition, Position)>,
    pub tables: Vec<TableState>,
    pub sinks: Vec<SinkState>,
    /// Up to where dropped tables of our own had written their topics.
    pub retired: Vec<(String, Partition, Offset)>,
    /// Where sequences are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sequences: Vec<SequenceMark>,
}

/// A table's state outside of its arrangements.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableState {
    pub id: TableId,
    pub rows: i64,
    pub error: Option<String>,
    pub consecutive_errors: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// The epoch of its rows, if that is not the checkpoint's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frontier: Option<Epoch>,
    #[serde(default, skip_serializing_if = "Letters::is_empty")]
    pub letters: Letters,
    /// Why it is not read, if it is a halted source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
}

/// A checkpoint that is being made.
struct Running {
    epoch: Epoch,
    task: Box<dyn Task>,
    result: Receiver<Result<CheckpointStats, StateError>>,
}

/// The checkpoint that is being made, and where the records of those that are there lie.
#[derive(Default)]
pub(crate) struct Background {
    running: Option<Running>,
    /// One is wanted of an epoch that may not be in the one that is being made.
    due: bool,
    pub records: BTreeMap<Epoch, Offset>,
    /// Epoch records below this offset are to be deleted.
    trim_below: Option<Offset>,
}

impl Drop for Background {
    /// Whoever opens the folder next must not find it being written to.
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.task.join();
        }
    }
}

impl Metadata {
    /// Reads the bytes that a checkpoint holds.
    pub fn decode(bytes: &[u8]) -> Result<Self, EngineError> {
        #[derive(Deserialize)]
        struct Formats {
            format: u32,
            row_format: u32,
        }
        let unreadable = |why: String| EngineError::Recovery(format!("cannot read the checkpoint's metadata: {why}"));
        let not_json = |error: serde_json::Error| {
            unreadable(format!(
                "{error}; start the version of millstream that wrote it, or restore an older checkpoint"
            ))
        };
        let formats: Formats = serde_json::from_slice(bytes).map_err(not_json)?;
        plan::known_version(formats.format, METADATA_FORMAT_OLDEST..=METADATA_FORMAT).map_err(unreadable)?;
        plan::known_version(formats.row_format, ROW_FORMAT..=ROW_FORMAT)
            .map_err(|why| unreadable(format!("of its rows, {why}")))?;
        serde_json::from_slice(bytes).map_err(not_json)
    }
}

impl Engine {
    fn metadata(&self) -> Vec<u8> {
        let Chain { incarnation, generation, epoch, hash, offset, timestamp } = self.chain.clone();
        let tables = self.tables.values().map(|table| TableState {
            id: table.def.id,
            rows: table.contents.rows(),
            error: table.error.clone(),
            consecutive_errors: table.consecutive_errors,
            suspended: table.suspended,
            frontier: table.frontier,
            letters: table.letters.clone(),
            halted: self.halts.get(&table.def.id).cloned(),
        });
        let metadata = Metadata {
            format: METADATA_FORMAT,
            row_format: ROW_FORMAT,
            incarnation,
            generation,
            epoch,
            hash,
            offset,
            timestamp,
            catalog: self.catalog.clone(),
            positions: self.positions.iter().map(|((t, p), position)| (*t, *p, position.clone())).collect(),
            tables: tables.collect(),
            sinks: self.sinks.values().map(Sink::state).collect(),
            retired: self.retired.iter().map(|((topic, p), next)| (topic.clone(), *p, *next)).collect(),
            sequences: self.sequences.all(),
        };
        serde_json::to_vec(&metadata).expect("metadata is always JSON")
    }

    /// Starts a checkpoint of the last committed epoch, or does so when the one is done that is being made: what a replay of the
    /// epoch needs is nowhere but in a topic that may lose it.
    pub(crate) fn checkpoint_soon(&mut self) -> Result<(), EngineError> {
        self.background.due = true;
        self.start_checkpoint()
    }

    /// Whether one is to be begun, or is done.
    pub(crate) fn checkpoint_is_due(&self) -> bool {
        match &self.background.running {
            Some(running) => running.task.is_finished(),
            None => self.background.due || self.is_checkpoint_time(),
        }
    }

    /// Takes note of one that is done, and begins the next when it is time. All that the loop stands still for.
    pub(crate) fn turn_checkpoint(&mut self) -> Result<(), EngineError> {
        if !self.checkpoint_is_due() {
            return Ok(());
        }
        let began = Instant::now();
        self.finish_checkpoint(false)?;
        if self.is_checkpoint_time() {
            self.start_checkpoint()?;
        }
        self.shared.metrics.stood_still(began.elapsed());
        Ok(())
    }

    /// Whether the last one is so long ago.
    fn is_checkpoint_time(&self) -> bool {
        self.instant().saturating_duration_since(self.last_checkpoint.1) >= self.config.checkpoint_interval
    }

    /// Starts a checkpoint of the last committed epoch, unless there is one, or one is being made.
    pub(crate) fn start_checkpoint(&mut self) -> Result<(), EngineError> {
        let epoch = self.chain.epoch;
        if self.background.running.is_some() {
            return Ok(());
        }
        assert!(!self.ahead, "the state is that of a committed epoch");
        self.background.due = false;
        if self.last_checkpoint.0 == epoch {
            // No epoch needs the journal to be replayed.
            self.journal.rotate();
            self.journal.covered();
            self.tell_journal();
            return Ok(());
        }
        let mut snapshots: Vec<_> = self.tables.values().flat_map(|table| table.snapshots()).collect();
        for sink in self.sinks.values() {
            match &sink.way {
                Way::Outbox(outbox) => snapshots.extend(outbox.snapshots()),
                Way::Topic(backlog) => snapshots.extend(backlog.snapshot()),
                Way::Direct | Way::File(_) => {}
            }
        }
        let input = CheckpointInput { epoch, snapshots, metadata: self.metadata() };
        let store = Arc::clone(&self.store);
        let at_work = self.shared.jobs.begin("checkpoint", &self.config.pipeline, None, "batches");
        let kept = self.config.checkpoints_kept;
        let (made, result) = channel();
        let work = Once::new(move || {
            let progress = &mut |done, total| at_work.reach(done, total);
            let done = store.checkpoint(&input, progress);
            // What it holds may be the last to hold it.
            drop(input);
            // Here, for it takes as long as their files are large.
            if done.is_ok()
                && let Err(error) = store.prune(kept)
            {
                tracing::warn!("cannot delete old checkpoints, it is tried again after the next one: {error}");
            }
            // The engine may be gone.
            let _ = made.send(done);
        });
        let task = self
            .parts
            .scheduler
            .begin("checkpoint", Box::new(work))
            .map_err(|error| EngineError::Log(format!("cannot start a thread for the checkpoint: {error}")))?;
        self.journal.rotate();
        self.background.records.insert(epoch, self.chain.offset);
        self.background.running = Some(Running { epoch, task, result });
        Ok(())
    }

    /// Takes note of a checkpoint that is done; with `wait`, waits for it. A checkpoint that fails is not fatal: the one
    /// before it is still there, and the next is tried at the next interval.
    pub(crate) fn finish_checkpoint(&mut self, wait: bool) -> Result<(), EngineError> {
        match &self.background.running {
            Some(running) if wait || running.task.is_finished() => {}
            _ => return Ok(()),
        }
        let Some(Running { epoch, task, result }) = self.background.running.take() else { return Ok(()) };
        task.join();
        self.last_checkpoint.1 = self.instant();
        let result =
            result.recv().map_err(|_| EngineError::Recovery("the checkpoint's thread panicked".to_string()))?;
        match result {
            Ok(stats) => {
                self.last_checkpoint.0 = epoch;
                self.journal.covered();
                self.shared.metrics.checkpoint_done(epoch, &stats);
                tracing::debug!(%epoch, blocks = stats.blocks, bytes = stats.bytes, "checkpoint made");
                self.forget_pruned();
                if self.background.due { self.start_checkpoint() } else { Ok(()) }
            }
            Err(error) => {
                self.background.records.remove(&epoch);
                self.shared.metrics.checkpoint_errors.inc();
                tracing::error!(%epoch, "cannot make a checkpoint: {error}; the one before is kept, and it is tried again");
                if wait { Err(error.into()) } else { Ok(()) }
            }
        }
    }

    /// Lets go of what only checkpoints needed that are deleted, and notes below which offset no epoch record is needed.
    fn forget_pruned(&mut self) {
        let kept = self.store.checkpoints();
        self.background.records.retain(|epoch, _| kept.contains(epoch));
        let offsets: Option<Vec<Offset>> =
            kept.iter().map(|epoch| self.background.records.get(epoch).copied()).collect();
        // The record of a checkpoint from before this start may be unknown: nothing is trimmed until it is pruned.
        if let Some(oldest) = kept.iter().min() {
            self.journal.prune(*oldest);
        }
        self.tell_journal();
        self.background.trim_below = offsets.and_then(|offsets| offsets.into_iter().min());
    }

    /// Deletes the epoch records that no kept checkpoint needs. Only right after a commit of our own: who has been fenced
    /// would delete what the checkpoints of others need.
    pub(crate) fn trim(&mut self) -> Result<(), EngineError> {
        let Some(below) = self.background.trim_below.take() else { return Ok(()) };
        let began = Instant::now();
        self.parts.faults.reach("epochs-trim")?;
        let at = TopicPartition { topic: self.config.epoch_topic().into(), partition: EPOCH_PARTITION };
        if let Err(error) = self.parts.log.trim(&at, below) {
            tracing::warn!("cannot trim the epoch topic below offset {below}: {error}");
        }
        self.shared.metrics.stood_still(began.elapsed());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    struct AtWork(Arc<AtomicBool>);

    impl Task for AtWork {
        fn is_finished(&self) -> bool {
            false
        }

        fn join(self: Box<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    /// An engine that ends by an error gives its folder free.
    #[test]
    fn a_checkpoint_that_is_being_made_is_waited_for() {
        let waited = Arc::new(AtomicBool::new(false));
        let (_, result) = channel();
        let mut background = Background::default();
        background.running.get_or_insert(Running {
            epoch: Epoch(1),
            task: Box::new(AtWork(Arc::clone(&waited))),
            result,
        });
        drop(background);
        assert!(waited.load(Ordering::SeqCst));
    }
}
