//! A pipeline in process, on the embedded log in a folder.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use api::{Log, OutRecord, TopicPartition};
use bytes::Bytes;
use runtime::{DataDir, Engine, EngineConfig, EngineError, Handle, Parts, Phase, Reply, Shared};
use schemas::{RowWriter, murmur2, partition};
use serde_json::value::RawValue;
use zset::{Offset, Partition, RowType, TimestampMs};

use super::beside::Beside;
use super::cells::{self, Rows};

/// How long anything may take before a test gives up.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A running pipeline.
pub struct Pipeline {
    pub log: Arc<dyn Log>,
    pub handle: Handle,
    thread: Option<JoinHandle<Result<(), EngineError>>>,
}

/// The settings of a test's pipeline: checkpoints only when asked for.
pub fn config(pipeline: &str) -> EngineConfig {
    EngineConfig {
        pipeline: pipeline.to_string(),
        epoch_interval: Duration::from_millis(2),
        epoch_rows_max: 64 * 1024,
        checkpoint_interval: Duration::from_secs(3600),
        checkpoints_kept: 2,
        brokers: None,
    }
}

/// The parts of a pipeline on a log.
pub fn parts(log: Arc<dyn Log>) -> Parts {
    let now = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
        TimestampMs(since.as_millis() as i64)
    };
    Parts {
        log,
        connectors: Arc::new(Beside::default()),
        planner: Arc::new(sql::SqlPlanner::new()),
        clock: Arc::new(now),
        scheduler: Arc::new(runtime::Threads),
        random_id: Arc::new(|| uuid::Uuid::new_v4().to_string()),
        memory: Default::default(),
        workers: Default::default(),
        faults: Default::default(),
    }
}

impl Pipeline {
    /// Opens a folder with its embedded log and recovers.
    pub fn open(dir: &Path) -> Result<Self, EngineError> {
        let lock = DataDir::lock(dir)?;
        let log: Arc<dyn Log> = Arc::new(local::LocalLog::open(&lock.log())?);
        Self::open_on(lock, log, config("test"))
    }

    /// Opens a folder on a log.
    pub fn open_on(dir: DataDir, log: Arc<dyn Log>, config: EngineConfig) -> Result<Self, EngineError> {
        let shared = Arc::new(Shared::default());
        let mut engine = Engine::open(config, parts(Arc::clone(&log)), dir, Arc::clone(&shared))?;
        let handle = engine.handle();
        let thread = std::thread::spawn(move || engine.run());
        assert!(shared.wait_phase(&Phase::Serving, Instant::now() + DEADLINE), "the engine serves");
        Ok(Self { log, handle, thread: Some(thread) })
    }

    /// Runs statements that must succeed.
    pub fn sql(&self, text: &str) -> Vec<Reply> {
        self.handle.execute(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// Appends records of (key, value) to a topic, each to the partition of its key.
    pub fn write(&self, topic: &str, records: &[(Option<String>, Option<String>)]) {
        let partitions = self.log.topic(topic).expect("the log answers").expect("the topic exists").partitions;
        let records: Vec<OutRecord> = records
            .iter()
            .map(|(key, value)| {
                let hash = murmur2(key.as_deref().unwrap_or_default().as_bytes()) as u32;
                let number = Partition(partition(hash, partitions) as i32);
                OutRecord {
                    to: TopicPartition { topic: topic.into(), partition: number },
                    timestamp: TimestampMs(1_700_000_000_000),
                    key: key.clone().map(Bytes::from),
                    value: value.clone().map(Bytes::from),
                    headers: Vec::new(),
                }
            })
            .collect();
        self.log.append(&records).expect("the log takes records");
    }

    /// Waits until a source table has everything that is in its topic now.
    pub fn settle(&self, table: &str, topic: &str) {
        let partitions = self.log.topic(topic).expect("the log answers").expect("the topic exists").partitions;
        for number in 0..partitions {
            let at = TopicPartition { topic: topic.into(), partition: Partition(number as i32) };
            let high = self.log.bounds(&at).expect("the log answers").high;
            if high == Offset(0) {
                continue;
            }
            let there = self.handle.shared().wait_position(table, at.partition, high, Instant::now() + DEADLINE);
            assert!(there, "{table} reads {topic} {number} to {high}; phase {:?}", self.handle.shared().phase());
        }
    }

    /// The rows of a table at the last epoch, and its columns.
    pub fn rows(&self, table: &str) -> (Rows, RowType) {
        let view = self.handle.table(table).expect("the engine runs").unwrap_or_else(|| panic!("no table {table}"));
        let columns = view.def.columns.clone();
        let writer = RowWriter::new(&columns, &(0..columns.0.len()).collect::<Vec<_>>());
        let mut rows = Rows::new();
        view.read(|delta| {
            let bound = writer.bind(delta.batch());
            for at in 0..delta.len() {
                let mut text = Vec::new();
                bound.write(at, &mut text);
                let json: HashMap<String, Box<RawValue>> = serde_json::from_slice(&text).expect("a row is JSON");
                let cells = columns.0.iter().map(|column| cells::of_json(column.ty, &json[column.name.as_str()]));
                *rows.entry(cells.collect()).or_default() += delta.weights().value(at);
            }
        })
        .expect("contents can be read");
        (rows, columns)
    }

    /// The error of a table, if it is in ERROR.
    pub fn error_of(&self, table: &str) -> Option<String> {
        self.handle.shared().tables().get(table).and_then(|status| status.error.clone())
    }

    /// Stops it: a last epoch, a checkpoint, and gone.
    pub fn stop(mut self) -> Result<(), EngineError> {
        self.handle.shared().ask_to_stop();
        let thread = self.thread.take().expect("it runs");
        thread.join().expect("the engine does not panic")
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.handle.shared().ask_to_stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
