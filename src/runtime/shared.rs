//! What the engine's loop publishes to every other thread: its phase, its frontier, the state of sources and tables.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dataflow::View;
use zset::{Epoch, Offset, Partition, TimestampMs};

use crate::{EngineError, Jobs, Metrics, view};

/// Where the process is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Opening, recovering, applying files.
    Starting,
    /// Serving.
    Serving,
    /// Leaving.
    Stopping,
    /// Another process has taken over.
    Fenced,
    /// Stopped by an error.
    Failed(String),
}

/// A partition of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceStatus {
    /// The offset up to which it is in the tables.
    pub position: Offset,
    /// The time of the last record that is in the tables.
    pub last: Option<TimestampMs>,
    /// The end of the partition when it was last looked at.
    pub end: Offset,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableStatus {
    /// The rows it holds.
    pub rows: i64,
    /// Why its last refresh failed.
    pub error: Option<String>,
}

/// What is published.
#[derive(Debug)]
pub(crate) struct Published {
    pub phase: Phase,
    pub epoch: Epoch,
    pub epoch_time: TimestampMs,
    /// By table name, topic and partition.
    pub sources: BTreeMap<(String, String, Partition), SourceStatus>,
    pub tables: BTreeMap<String, TableStatus>,
    pub view: Arc<View>,
    pub turned: Instant,
}

/// The published state; shared by everyone.
#[derive(Debug)]
pub struct Shared {
    published: Mutex<Published>,
    changed: Condvar,
    stop: AtomicBool,
    /// How many rows an epoch takes.
    rows_max: AtomicUsize,
    /// Counters and gauges.
    pub metrics: Metrics,
    /// What is worked at besides epochs.
    pub jobs: Jobs,
}

impl Default for Shared {
    fn default() -> Self {
        let published = Published {
            phase: Phase::Starting,
            epoch: Epoch(0),
            epoch_time: TimestampMs(0),
            sources: BTreeMap::new(),
            tables: BTreeMap::new(),
            view: view::empty(),
            turned: Instant::now(),
        };
        Self {
            published: Mutex::new(published),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
            rows_max: AtomicUsize::new(usize::MAX),
            metrics: Metrics::default(),
            jobs: Jobs::default(),
        }
    }
}

impl Shared {
    /// How many rows an epoch takes.
    pub(crate) fn rows_max(&self) -> usize {
        self.rows_max.load(Ordering::Relaxed)
    }

    pub(crate) fn take_rows_max(&self, rows_max: usize) {
        self.rows_max.store(rows_max, Ordering::Relaxed);
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn publish(&self, change: impl FnOnce(&mut Published)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// The phase.
    pub fn phase(&self) -> Phase {
        self.lock().phase.clone()
    }

    /// The last committed epoch and its time.
    pub fn epoch(&self) -> (Epoch, TimestampMs) {
        let published = self.lock();
        (published.epoch, published.epoch_time)
    }

    /// The partitions of all sources, by table, topic and partition.
    pub fn sources(&self) -> BTreeMap<(String, String, Partition), SourceStatus> {
        self.lock().sources.clone()
    }

    /// All tables.
    pub fn tables(&self) -> BTreeMap<String, TableStatus> {
        self.lock().tables.clone()
    }

    /// All stored tables at the last committed epoch.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.lock().view)
    }

    /// How long ago the loop turned.
    pub fn since_turn(&self) -> Duration {
        self.lock().turned.elapsed()
    }

    /// Asks the loop to finish its epoch, make a checkpoint and leave.
    pub fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// In the middle of what takes long: the loop works, and does not hang. An error if it was asked to stop: recovery begins anew at
    /// the next start, and a statement has not been.
    pub(crate) fn go_on(&self) -> Result<(), EngineError> {
        if self.stop_asked() {
            return Err(EngineError::Stopped("asked to stop before it was done: nothing of it is kept".to_string()));
        }
        self.turn();
        Ok(())
    }

    /// The loop works.
    pub(crate) fn turn(&self) {
        self.publish(|published| published.turned = Instant::now());
    }

    pub(crate) fn stop_asked(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Waits until a condition on the published state holds; false if it does not by the deadline, or if the loop has
    /// failed: then nothing changes any more.
    fn wait_for(&self, deadline: Instant, holds: impl Fn(&Published) -> bool) -> bool {
        let mut published = self.lock();
        loop {
            if holds(&published) {
                return true;
            }
            if matches!(published.phase, Phase::Fenced | Phase::Failed(_)) {
                return false;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            published = self.changed.wait_timeout(published, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the tables have everything of a partition up to an offset; false if not by the deadline, or if the
    /// engine has failed.
    pub fn wait_position(&self, table: &str, partition: Partition, offset: Offset, deadline: Instant) -> bool {
        self.wait_for(deadline, |published| {
            let mut partitions = published.sources.iter().filter(|((t, _, p), _)| t == table && *p == partition);
            partitions.any(|(_, status)| status.position >= offset)
        })
    }

    /// Waits until the phase is `phase`; false if it is not by the deadline.
    pub fn wait_phase(&self, phase: &Phase, deadline: Instant) -> bool {
        self.wait_for(deadline, |published| published.phase == *phase)
    }

    /// Waits until an epoch after `epoch` is committed; false if none is by the deadline.
    pub fn wait_epoch_after(&self, epoch: Epoch, deadline: Instant) -> bool {
        self.wait_for(deadline, |published| published.epoch > epoch)
    }
}
