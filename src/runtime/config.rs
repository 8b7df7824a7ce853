//! What an engine is given: settings, and the parts of the outside world it may touch.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use api::{Connectors, Log};
use dataflow::Planner;
use fault::Failpoints;
use state::Budget;
use workers::Workers;
use zset::TimestampMs;

use crate::Scheduler;

/// Settings of one pipeline.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The name of the pipeline: it names the epoch topic and, in Kafka, the transactions.
    pub pipeline: String,
    /// How long after its first record an epoch closes.
    pub epoch_interval: Duration,
    /// How many records close an epoch before that.
    pub epoch_rows_max: usize,
    /// How long after the last checkpoint the next one starts, if there was an epoch.
    pub checkpoint_interval: Duration,
    /// How many checkpoints are kept.
    pub checkpoints_kept: usize,
    /// The brokers of the pipeline's log; `None`: the embedded log, on which a source's missing topic is made unasked.
    pub brokers: Option<String>,
}

/// Of the memory that may be taken, so much for each row that an epoch may have.
const EPOCH_ROW_BYTES: u64 = 16 << 10;
/// Epochs are never held to fewer rows than this.
const EPOCH_ROWS_MIN: usize = 1024;

/// The rows that an epoch's keys have already take about so much at most, and an eighth of the memory that may be taken: it is all of
/// them that are read, however short what came is. (A column of them is one array, which has 2 GiB at most.)
const OLD_BYTES_MAX: u64 = 1 << 30;

impl EngineConfig {
    /// The same with no more rows in an epoch than there is memory for: what is computed of one takes several KiB.
    pub(crate) fn within(self, memory: &Budget) -> Self {
        let rows = usize::try_from(memory.limit() / EPOCH_ROW_BYTES).unwrap_or(usize::MAX).max(EPOCH_ROWS_MIN);
        Self { epoch_rows_max: self.epoch_rows_max.min(rows), ..self }
    }

    /// How many rows an epoch takes where those of some table have so many bytes.
    pub(crate) fn rows_max(&self, row_bytes: u64, memory: &Budget) -> usize {
        let rows = OLD_BYTES_MAX.min(memory.limit() / 8) / row_bytes.max(1);
        self.epoch_rows_max.min(usize::try_from(rows).unwrap_or(usize::MAX).max(EPOCH_ROWS_MIN))
    }

    /// The epoch topic.
    pub fn epoch_topic(&self) -> String {
        format!("{}.epochs", self.pipeline)
    }
}

/// The outside world: a log, SQL, the clock, threads and randomness are parameters, so that the engine runs under a simulation.
#[derive(Clone)]
pub struct Parts {
    /// The log.
    pub log: Arc<dyn Log>,
    /// What is read and written beside the log.
    pub connectors: Arc<dyn Connectors>,
    /// SQL.
    pub planner: Arc<dyn Planner>,
    /// The time, for the timestamps of epochs.
    pub clock: Arc<dyn Fn() -> TimestampMs + Send + Sync>,
    /// What runs the work beside the loop, and lets time pass.
    pub scheduler: Arc<dyn Scheduler>,
    /// A new random id, for an incarnation.
    pub random_id: Arc<dyn Fn() -> String + Send + Sync>,
    /// How much memory may be taken; by default as much as there is.
    pub memory: Arc<Budget>,
    /// What helps the loop; by default nobody.
    pub workers: Workers,
    /// Where it is to fail.
    pub faults: Failpoints,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parts({})", self.log.name())
    }
}
