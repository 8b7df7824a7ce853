//! A pipeline in process, over a log that can be made to fail, that can be stopped, crashed and started again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use api::{Log, OutRecord, Reader, Record, TopicKind, TopicPartition, TopicSpec, Transport as _};
use bytes::Bytes;
use dataflow::{Limits, Planned, Planner, Queries as _, StatementError, Work};
use fault::Failpoints;
use plan::Catalog;
use schemas::RowWriter;
use sql::SqlPlanner;
use state::Budget;
use workers::Workers;
use zset::{Offset, Partition, TimestampMs};

use super::database::Database;
use super::faulty_log::FaultyLog;
use super::wait::deadline;
use crate::run::Event;
use crate::{DataDir, Engine, EngineConfig, EngineError, Handle, Parts, Phase, Reply, Shared, Threads};

/// A version of millstream that understands some SQL otherwise.
struct OtherVersion {
    from: &'static str,
    to: &'static str,
}

impl Planner for OtherVersion {
    fn split(&self, text: &str) -> Result<Vec<String>, StatementError> {
        SqlPlanner::new().split(text)
    }

    fn plan(&self, statement: &str, catalog: &Catalog) -> Result<Planned, StatementError> {
        SqlPlanner::new().plan(&statement.replace(self.from, self.to), catalog)
    }
}

/// Everything that outlives a process: its folder, its log.
pub struct World {
    pub dir: tempfile::TempDir,
    pub log: FaultyLog,
    pub database: Database,
    pub config: EngineConfig,
    pub planner: Arc<dyn Planner>,
    pub faults: Failpoints,
    pub memory: Arc<Budget>,
    pub workers: Workers,
    /// The time, which does not go back when a process follows another.
    pub clock: Arc<AtomicI64>,
    /// So many milliseconds its clock is ahead.
    pub ahead: Arc<AtomicI64>,
}

/// A process. One that nobody ends dies with its test.
pub struct Running {
    pub log: FaultyLog,
    pub handle: Handle,
    thread: Option<JoinHandle<Result<(), EngineError>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Not waited for: a test may have left its log where nothing is committed.
        let _ = self.handle.events.send(Event::Crash("its test is over".into()));
    }
}

/// How one process follows another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// It does not: there is one.
    Nothing,
    /// The first leaves with a checkpoint.
    Stop,
    /// The first dies, and what it did since the last checkpoint is replayed.
    Crash,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            log: FaultyLog::open(&dir.path().join("log")),
            database: Database::default(),
            dir,
            config: EngineConfig {
                pipeline: "p".to_string(),
                epoch_interval: Duration::from_millis(1),
                epoch_rows_max: 64 * 1024,
                checkpoint_interval: Duration::from_secs(3600),
                checkpoints_kept: 2,
                brokers: None,
            },
            planner: Arc::new(SqlPlanner::new()),
            faults: Failpoints::counting(),
            memory: Arc::default(),
            workers: Workers::default(),
            clock: Arc::new(AtomicI64::new(1_700_000_000_000)),
            ahead: Arc::default(),
        }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// From now on a version runs that takes `to` for `from` in every statement.
    pub fn update(&mut self, from: &'static str, to: &'static str) {
        self.planner = Arc::new(OtherVersion { from, to });
    }

    pub fn open(&self) -> Result<Engine, EngineError> {
        self.open_with(Arc::new(Shared::default()))
    }

    /// The same, seen from outside while it opens.
    pub fn open_with(&self, shared: Arc<Shared>) -> Result<Engine, EngineError> {
        let (clock, ahead) = (Arc::clone(&self.clock), Arc::clone(&self.ahead));
        let parts = Parts {
            log: Arc::new(self.log.clone()),
            connectors: Arc::new(self.database.clone()),
            planner: Arc::clone(&self.planner),
            clock: Arc::new(move || TimestampMs(clock.fetch_add(1, Ordering::SeqCst) + ahead.load(Ordering::SeqCst))),
            scheduler: Arc::new(Threads),
            random_id: Arc::new(|| uuid::Uuid::new_v4().to_string()),
            memory: Arc::clone(&self.memory),
            workers: self.workers.clone(),
            faults: self.faults.clone(),
        };
        Engine::open(self.config.clone(), parts, DataDir::lock(&self.data())?, shared)
    }

    /// Why it does not start.
    pub fn refusal(&self) -> String {
        match self.open() {
            Ok(engine) => panic!("it started, at epoch {}", engine.chain.epoch),
            Err(error) => error.to_string(),
        }
    }

    pub fn start(&self) -> Running {
        self.start_with(|_| ())
    }

    /// A process with an engine that is another than usual.
    pub fn start_with(&self, change: impl FnOnce(&mut Engine)) -> Running {
        let mut engine = self.open().unwrap();
        change(&mut engine);
        let handle = engine.handle();
        let thread = std::thread::spawn(move || engine.run());
        assert!(handle.shared().wait_phase(&Phase::Serving, deadline()));
        Running { log: self.log.clone(), handle, thread: Some(thread) }
    }

    pub fn again(&self, running: Running, between: Between) -> Running {
        match between {
            Between::Nothing => return running,
            Between::Stop => running.stop().unwrap(),
            Between::Crash => running.crash(),
        }
        self.start()
    }
}

impl Running {
    pub fn sql(&self, text: &str) -> Vec<Reply> {
        self.handle.execute(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// Why a statement fails.
    pub fn refusal(&self, text: &str) -> EngineError {
        self.handle.execute(text).expect_err(text)
    }

    /// The rows of a SHOW, without NULLs, by their first column.
    pub fn show(&self, what: &str) -> BTreeMap<String, Vec<String>> {
        let rows = self.sql(&format!("SHOW {what}")).remove(0).rows;
        let text = |row: Vec<Option<String>>| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>();
        rows.into_iter().map(text).map(|row| (row[0].clone(), row)).collect()
    }

    pub fn error_of(&self, table: &str) -> Option<String> {
        self.handle.shared().tables()[table].error.clone()
    }

    /// The rows of a table, as JSON, with their weights.
    pub fn rows(&self, table: &str) -> BTreeMap<String, i64> {
        let view = self.handle.table(table).unwrap().unwrap();
        let writer = RowWriter::new(&view.def.columns, &(0..view.def.columns.0.len()).collect::<Vec<_>>());
        let mut rows = BTreeMap::new();
        view.read(|delta| {
            let bound = writer.bind(delta.batch());
            for at in 0..delta.len() {
                let mut text = Vec::new();
                bound.write(at, &mut text);
                *rows.entry(String::from_utf8(text).unwrap()).or_default() += delta.weights().value(at);
            }
        })
        .unwrap();
        rows
    }

    /// Every stream table that can be verified has exactly the rows of its query.
    pub fn verify(&self) {
        let view = self.handle.view();
        let prepared = SqlPlanner::new().prepare("VERIFY STREAM TABLES", &view.catalog, &[]).unwrap();
        let Work::Read(read) = prepared.work else { panic!("VERIFY is a read") };
        let limits = Limits {
            deadline: Some(deadline()),
            memory_bytes: 256 << 20,
            cancelled: Arc::default(),
            session: Arc::default(),
        };
        let batches: Vec<_> = read.run(&[], &view, &limits).unwrap().map(Result::unwrap).collect();
        assert!(batches.is_empty(), "at epoch {}: {batches:?}", view.epoch);
    }

    /// Appends records to partition 0, and waits until a table has them, in an epoch.
    pub fn feed(&self, table: &str, records: &[(String, Option<String>)]) {
        append(&self.log, table, 0, records);
        self.settle(table);
    }

    /// Waits until a table has all of the topic that is called like it.
    pub fn settle(&self, table: &str) {
        for partition in 0..self.log.inner.topic(table).unwrap().unwrap().partitions {
            let at = at(table, partition);
            let high = self.log.bounds(&at).unwrap().high;
            if high > Offset(0) {
                self.read_to(table, at.partition, high);
            }
        }
    }

    fn join(&mut self) -> Result<(), EngineError> {
        self.thread.take().unwrap().join().unwrap()
    }

    pub fn stop(mut self) -> Result<(), EngineError> {
        self.handle.shared().ask_to_stop();
        self.join()
    }

    /// Ends without a checkpoint: nothing but the log remembers what was done since the last one.
    pub fn crash(self) {
        let event = Event::Crash("a crash".into());
        self.handle.events.send(event).unwrap();
        self.died();
    }

    /// Waits for the end of one that was crashed.
    pub fn died(mut self) {
        let end = self.join();
        assert!(matches!(&end, Err(EngineError::Log(message)) if message == "a crash"), "{end:?}");
    }

    /// Waits for an end that nobody asked for.
    pub fn end(mut self) -> (Phase, Result<(), EngineError>) {
        self.handle.shared().wait_phase(&Phase::Stopping, deadline());
        assert_ne!(self.handle.shared().phase(), Phase::Serving, "it ends");
        let end = self.join();
        (self.handle.shared().phase(), end)
    }
}

pub fn at(topic: &str, partition: u32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition: Partition(partition as i32) }
}

pub fn make_topic(log: &FaultyLog, topic: &str, partitions: u32) {
    let spec = TopicSpec { topic: topic.into(), partitions, replication: None, kind: TopicKind::Plain };
    log.inner.make_topic(&spec).unwrap();
}

pub fn append(log: &FaultyLog, topic: &str, partition: u32, records: &[(String, Option<String>)]) {
    let records: Vec<OutRecord> =
        records.iter().map(|(key, value)| record(topic, partition, key, value.as_deref())).collect();
    log.append(&records).unwrap();
}

pub fn record(topic: &str, partition: u32, key: &str, value: Option<&str>) -> OutRecord {
    OutRecord {
        to: at(topic, partition),
        timestamp: TimestampMs(1_600_000_000_000),
        key: Some(Bytes::from(key.to_string())),
        value: value.map(|value| Bytes::from(value.to_string())),
        headers: Vec::new(),
    }
}

/// All records of a topic's partition.
pub fn read(log: &FaultyLog, topic: &str, partition: u32) -> Vec<Record> {
    let at = at(topic, partition);
    let mut reader: Box<dyn Reader> = log.inner.reader(&Default::default()).unwrap();
    reader.assign(&at, log.bounds(&at).unwrap().low).unwrap();
    let mut records = Vec::new();
    while !reader.at_end(&at).unwrap() {
        records.extend(reader.poll(1000, Duration::from_millis(10)).unwrap());
    }
    records
}

/// What the records of an upsert topic come to: the values that are there, sorted.
pub fn upserted(log: &FaultyLog, topic: &str) -> Vec<String> {
    let mut values = BTreeMap::new();
    for record in read(log, topic, 0) {
        match record.value {
            Some(value) => values.insert(record.key, String::from_utf8(value.to_vec()).unwrap()),
            None => values.remove(&record.key),
        };
    }
    let mut values: Vec<String> = values.into_values().collect();
    values.sort();
    values
}

/// Why a source is halted, if it is.
pub fn halted(running: &Running, table: &str) -> Option<String> {
    let row = running.show("SOURCES").remove(table)?;
    (row[7] == "HALTED").then(|| row[8].clone())
}

/// A row of table `t (id, a, b)`.
pub fn put(id: i64, a: i64, b: i64) -> (String, Option<String>) {
    (format!("{{\"id\":{id}}}"), Some(format!("{{\"id\":{id},\"a\":{a},\"b\":{b}}}")))
}

/// The end of one.
pub fn gone(id: i64) -> (String, Option<String>) {
    (format!("{{\"id\":{id}}}"), None)
}

/// Table `t`, which is the first: its id is 1.
pub const T: &str = "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT) \
     WITH (connector = 'log', topic = 't', format = 'json', envelope = 'upsert');";
