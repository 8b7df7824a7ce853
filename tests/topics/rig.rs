//! A pipeline as a process on a real Kafka, with topics of a test's own, and the judge of it: what its tables and sinks are, against
//! what the topics say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use api::{Log, OutRecord, Record, TopicPartition};
use bytes::Bytes;
use kafka::{KafkaConfig, KafkaLog};
use serde_json::Value;
use zset::{Partition, TimestampMs};

use super::wire::Owner;
use crate::support::process::{Process, address_in};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// So small that keys and tombstones vanish as soon as the next segment begins.
pub const TINY: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("segment.ms", "50"),
    ("min.cleanable.dirty.ratio", "0.0001"),
    ("delete.retention.ms", "50"),
    ("min.compaction.lag.ms", "0"),
];

pub struct Rig {
    dir: tempfile::TempDir,
    brokers: String,
    /// Before the names of everything in Kafka.
    prefix: String,
    pub log: Arc<dyn Log>,
    pub owner: Owner,
    sql: String,
}

/// A process of it.
pub struct Running {
    process: Process,
    http: String,
    pub client: postgres::Client,
}

/// The rows of a table by key.
pub type Rows = BTreeMap<i64, i64>;

impl Rig {
    /// With tables and sinks by `sql`, in which `@` is the prefix of topics.
    pub fn new(name: &str, sql: &str) -> Self {
        let brokers = std::env::var("MILLSTREAM_TEST_KAFKA")
            .expect("MILLSTREAM_TEST_KAFKA is not set: run this by tests/run, or tests/with-services COMMAND");
        let prefix = format!("{name}{}-", std::process::id());
        let config =
            KafkaConfig { brokers: brokers.clone(), pipeline: format!("{prefix}test"), properties: BTreeMap::new() };
        let log = KafkaLog::connect(&config).expect("Kafka answers");
        let dir = tempfile::tempdir().expect("a temporary folder");
        let sql = sql.replace('@', &prefix);
        Self { dir, owner: Owner::connect(&brokers), brokers, prefix, log: Arc::new(log), sql }
    }

    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub fn make(&mut self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let topic = self.topic(name);
        self.owner.make(&topic, partitions, settings);
        until("the topic is there", || matches!(self.log.topic(&topic), Ok(Some(_))));
    }

    pub fn delete(&mut self, name: &str) {
        let topic = self.topic(name);
        self.owner.delete(&topic);
        until("the topic is gone", || matches!(self.log.topic(&topic), Ok(None)));
    }

    pub fn grow(&mut self, name: &str, partitions: i32) {
        let topic = self.topic(name);
        self.owner.grow(&topic, partitions);
        until(
            "there are more partitions",
            || matches!(self.log.topic(&topic), Ok(Some(info)) if info.partitions == partitions as u32),
        );
    }

    /// Starts it; `None`: it ends before it is ready.
    pub fn try_start(&self, failpoints: &str) -> Option<Running> {
        let path = |name: &str| self.dir.path().join(name).to_str().expect("a path").to_string();
        std::fs::write(path("pipeline.sql"), &self.sql).expect("the SQL file can be written");
        let (data, file, pipeline) = (path("data"), path("pipeline.sql"), self.topic("pipeline"));
        let mut arguments = vec!["run", "--data", &data, "--kafka", &self.brokers, "--pipeline", &pipeline];
        // A checkpoint is made by a reconciliation alone, or by a clean end: a kill is replayed from before.
        arguments.extend(["--checkpoint-interval", "1h", "--epoch-interval", "5ms"]);
        arguments.extend(["--pg-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", &file]);
        let log = self.dir.path().join("stderr.log");
        let process = Process::start_with(&arguments, &log, failpoints);
        let line = process.ready_line(PATIENCE)?;
        let (host, port) = address_in(&line, "pg").rsplit_once(':').map(|(h, p)| (h.to_string(), p.to_string()))?;
        let url = format!("host={host} port={port} user=test dbname=test");
        let client = postgres::Client::connect(&url, postgres::NoTls).expect("it takes connections");
        Some(Running { process, http: address_in(&line, "http"), client })
    }

    pub fn start(&self) -> Running {
        self.try_start("").unwrap_or_else(|| panic!("it starts:\n{}", self.said()))
    }

    /// What the process said.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("stderr.log")).unwrap_or_default()
    }

    /// Writes (id, v) to a partition; without a value a tombstone.
    pub fn write(&self, name: &str, partition: i32, records: &[(i64, Option<i64>)]) {
        let to = TopicPartition { topic: self.topic(name).into(), partition: Partition(partition) };
        // Segments end by the time of records.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
        let record = |(id, v): &(i64, Option<i64>)| OutRecord {
            to: to.clone(),
            timestamp: TimestampMs(now.as_millis() as i64),
            key: Some(Bytes::from(format!("{{\"id\":{id}}}"))),
            value: v.map(|v| Bytes::from(format!("{{\"id\":{id},\"v\":{v}}}"))),
            headers: Vec::new(),
        };
        let records: Vec<OutRecord> = records.iter().map(record).collect();
        until("the topic takes records", || self.log.append(&records).is_ok());
    }

    /// All records of a partition.
    pub fn read(&self, name: &str, partition: i32) -> Vec<Record> {
        let at = TopicPartition { topic: self.topic(name).into(), partition: Partition(partition) };
        let mut reader = self.log.reader(&BTreeMap::new()).expect("a reader");
        let mut records = Vec::new();
        until("a topic can be read", || {
            records.clear();
            let Ok(bounds) = self.log.bounds(&at) else { return false };
            // What it begins with may be compacted away while it is read.
            reader.assign(&at, bounds.low).is_ok()
                && loop {
                    match (reader.poll(10_000, Duration::from_millis(20)), reader.at_end(&at)) {
                        (Ok(more), Ok(end)) => {
                            records.extend(more);
                            if end {
                                break true;
                            }
                        }
                        _ => break false,
                    }
                }
        });
        records
    }

    /// What the records of a debezium sink come to, each on what those before it left.
    pub fn events(&self, name: &str) -> Rows {
        let mut rows = Rows::new();
        for record in self.read(name, 0) {
            let Some(value) = record.value else { continue };
            let event: Value = serde_json::from_slice(&value).expect("an event is JSON");
            let image = |name: &str| event[name].as_object().map(|it| (number(&it["id"]), number(&it["v"])));
            if let Some((id, v)) = image("before") {
                assert_eq!(rows.remove(&id), Some(v), "an event takes what is there: {event}");
            }
            if let Some((id, v)) = image("after") {
                assert_eq!(rows.insert(id, v), None, "an event brings what is not there: {event}");
            }
        }
        rows
    }

    /// What the records of an upsert sink come to: (v, n) by v.
    pub fn counts(&self, name: &str) -> Rows {
        let mut rows: BTreeMap<Bytes, Option<(i64, i64)>> = BTreeMap::new();
        for record in self.read(name, 0) {
            let row = record.value.map(|value| serde_json::from_slice::<Value>(&value).expect("a row is JSON"));
            rows.insert(record.key.expect("a key"), row.map(|row| (number(&row["v"]), number(&row["n"]))));
        }
        rows.into_values().flatten().collect()
    }
}

/// A number, or the text of one.
fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("a number: {value}"))
}

impl Running {
    pub fn sql(&mut self, sql: &str) {
        self.client.batch_execute(sql).unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    }

    /// Pairs of whole numbers.
    pub fn pairs(&mut self, query: &str) -> Vec<(i64, i64)> {
        let rows = self.client.simple_query(query).unwrap_or_else(|error| panic!("{error:?}\n{query}"));
        let pair = |message| match message {
            postgres::SimpleQueryMessage::Row(row) => {
                let number = |at: usize| row.get(at).expect("a value").parse().expect("a number");
                Some((number(0), number(1)))
            }
            _ => None,
        };
        rows.into_iter().filter_map(pair).collect()
    }

    /// The values of a column.
    pub fn text(&mut self, query: &str) -> Vec<String> {
        let rows = self.client.simple_query(query).unwrap_or_else(|error| panic!("{error:?}\n{query}"));
        let text = |message| match message {
            postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).expect("a value").to_string()),
            _ => None,
        };
        rows.into_iter().filter_map(text).collect()
    }

    /// SHOW SOURCES.
    pub fn sources(&self) -> Vec<Vec<String>> {
        let mut answer = ureq::post(format!("http://{}/sql", self.http)).send("SHOW SOURCES").expect("it answers");
        let reply: Value = serde_json::from_str(&answer.body_mut().read_to_string().expect("a text")).expect("JSON");
        let rows = reply["results"][0]["rows"].as_array().expect("rows").iter();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        rows.map(|row| row.as_array().expect("a row").iter().map(text).collect()).collect()
    }

    /// Why the source is halted.
    pub fn halted(&self) -> Option<String> {
        self.sources().into_iter().find(|row| row[7] == "HALTED").map(|row| row[8].clone())
    }

    /// Waits until the rows of t are so.
    pub fn wait_for(&mut self, expected: &Rows, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rows: Rows = self.pairs("SELECT id, v FROM t").into_iter().collect();
            if rows == *expected {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {rows:?} is to be {expected:?}; {:?}", self.sources());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it, as a power cut would.
    pub fn kill(mut self) {
        self.process.kill();
    }

    /// Asks it to end.
    pub fn stop(mut self) {
        assert_eq!(self.process.terminate(), Some(0), "it ends cleanly");
    }
}

/// Waits until something is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
