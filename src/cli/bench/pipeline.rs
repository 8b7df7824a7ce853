//! The engine of a run: as `millstream run` starts it, with its epochs, commits and checkpoints, but without listeners.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use api::{Log, TopicPartition};
use runtime::{DataDir, Engine, EngineConfig, EngineError, Handle, Parts, Phase, Shared, Threads};
use sql::SqlPlanner;
use zset::{Offset, Partition};

use super::data::Topic;
use super::sources::Places;
use crate::cli::connectors::Beside;
use crate::cli::process::{STACK_BYTES, now};
use crate::cli::{Failure, memory, workers};

/// How long is waited at a time, before it is asked whether the engine still runs.
const GLANCE: Duration = Duration::from_millis(500);
/// How long nothing may move.
const STILL_MAX: Duration = Duration::from_secs(120);

/// See the module.
pub(super) struct Pipeline {
    pub shared: Arc<Shared>,
    pub handle: Handle,
    engine: JoinHandle<Result<(), EngineError>>,
}

/// The end of a source's topic.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub table: &'static str,
    pub offset: Offset,
}

impl End {
    /// Where the only partition of a source's topic ends now.
    pub fn of(log: &dyn Log, topic: Topic, places: &Places) -> Result<Self, Failure> {
        let at = TopicPartition { topic: places.topic(topic).into(), partition: Partition(0) };
        Ok(Self { table: topic.name(), offset: log.bounds(&at)?.high })
    }
}

impl Pipeline {
    /// Starts the engine on a log and waits until it serves.
    pub fn start(
        config: EngineConfig,
        (threads, limit): (usize, u64),
        folder: &Path,
        log: Arc<dyn Log>,
    ) -> Result<Self, Failure> {
        let dir = DataDir::lock(folder)?;
        let shared = Arc::new(Shared::default());
        let parts = Parts {
            log,
            connectors: Arc::new(Beside::default()),
            planner: Arc::new(SqlPlanner::new()),
            clock: Arc::new(now),
            scheduler: Arc::new(Threads),
            random_id: Arc::new(|| uuid::Uuid::new_v4().to_string()),
            memory: memory::budget(limit),
            workers: workers::start(threads)?,
            faults: Default::default(),
        };
        let mut engine = Engine::open(config, parts, dir, Arc::clone(&shared))?;
        let handle = engine.handle();
        let engine = std::thread::Builder::new()
            .name("engine".to_string())
            .stack_size(STACK_BYTES)
            .spawn(move || engine.run())
            .map_err(|error| Failure::while_doing("cannot start the engine's thread", error))?;
        let pipeline = Self { shared, handle, engine };
        while !pipeline.shared.wait_phase(&Phase::Serving, Instant::now() + GLANCE) {
            pipeline.runs()?;
        }
        Ok(pipeline)
    }

    /// Runs statements as a client sends them, all in one message.
    pub fn execute(&self, statements: &[String]) -> Result<(), Failure> {
        self.handle.execute(statements.join(";\n")).map(|_| ()).map_err(Failure::from)
    }

    /// Waits until every source is at its end.
    pub fn wait_for(&self, ends: &[End]) -> Result<(), Failure> {
        let mut seen = self.shared.epoch();
        let mut moved = Instant::now();
        for End { table, offset } in ends {
            while !self.shared.wait_position(table, Partition(0), *offset, Instant::now() + GLANCE) {
                self.runs()?;
                self.is_well()?;
                if self.shared.epoch() != seen {
                    (seen, moved) = (self.shared.epoch(), Instant::now());
                }
                if moved.elapsed() > STILL_MAX {
                    return Err(Failure::other(format!(
                        "source {table} does not come to offset {offset}: no epoch for {} s; the log says why \
                         (MILLSTREAM_LOG=info)",
                        STILL_MAX.as_secs()
                    )));
                }
            }
        }
        self.is_well()
    }

    /// An error if the engine has ended.
    fn runs(&self) -> Result<(), Failure> {
        let phase = self.shared.phase();
        match self.engine.is_finished() || matches!(phase, Phase::Failed(_) | Phase::Fenced) {
            true => Err(Failure::other(format!("the engine has stopped: {phase:?}"))),
            false => Ok(()),
        }
    }

    /// An error if a table is in ERROR: its figures would say nothing.
    fn is_well(&self) -> Result<(), Failure> {
        let tables = self.shared.tables();
        let broken = tables.into_iter().find_map(|(name, status)| Some((name, status.error?)));
        match broken {
            Some((name, error)) => Err(Failure::other(format!("table {name} is in ERROR: {error}"))),
            None => Ok(()),
        }
    }

    /// Ends it, and waits for that.
    pub fn stop(self) -> Result<(), Failure> {
        self.shared.ask_to_stop();
        let ended = self.engine.join();
        ended.map_err(|_| Failure::other("the engine's thread panicked; its message is above"))?.map_err(Failure::from)
    }
}
