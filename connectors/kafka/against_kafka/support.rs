//! What the tests share: the broker, names that nobody else uses, records, and a second process' producer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use api::{Log, OutRecord, Reader, TopicInfo, TopicKind, TopicPartition, TopicSpec};
use bytes::Bytes;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tempfile::TempDir;
use zset::{Offset, Partition, TimestampMs};

use crate::meta::Meta;
use crate::reader::KafkaReader;
use crate::{KafkaConfig, KafkaLog};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn brokers() -> String {
    std::env::var("MILLSTREAM_TEST_KAFKA").unwrap_or_else(|_| {
        panic!("these tests need Kafka: set MILLSTREAM_TEST_KAFKA=host:port, or run them by tests/with-services")
    })
}

/// A name that was never used on this broker.
pub(crate) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    format!("{prefix}-{nanos}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn config(brokers: &str, pipeline: &str) -> KafkaConfig {
    KafkaConfig { brokers: brokers.into(), pipeline: pipeline.into(), properties: BTreeMap::new() }
}

pub(crate) fn log(pipeline: &str) -> KafkaLog {
    KafkaLog::connect(&config(&brokers(), pipeline)).unwrap()
}

/// A log of a pipeline of its own, and a topic of one partition.
pub(crate) fn log_and_topic(name: &str) -> (KafkaLog, TopicPartition) {
    let name = unique(name);
    let log = log(&name);
    let at = topic(&log, &name, 1).remove(0);
    (log, at)
}

/// A reader with a client of its own.
pub(crate) fn own_reader(pipeline: &str) -> KafkaReader {
    let config = config(&brokers(), pipeline);
    KafkaReader::open(&config, Arc::new(Meta::open(&config).unwrap())).unwrap()
}

/// Asks until it is so.
#[track_caller]
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

pub(crate) fn spec(topic: &str, partitions: u32, kind: TopicKind) -> TopicSpec {
    TopicSpec { topic: topic.into(), partitions, replication: None, kind }
}

pub(crate) fn topic(log: &dyn Log, name: &str, partitions: u32) -> Vec<TopicPartition> {
    let TopicInfo { topic, partitions } = log.make_topic(&spec(name, partitions, TopicKind::Plain)).unwrap();
    (0..partitions).map(|n| at(&topic, n as i32)).collect()
}

pub(crate) fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition: Partition(partition) }
}

pub(crate) fn now() -> TimestampMs {
    TimestampMs(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64)
}

pub(crate) fn record(to: &TopicPartition, value: &str) -> OutRecord {
    let value = Some(Bytes::copy_from_slice(value.as_bytes()));
    OutRecord { to: to.clone(), timestamp: now(), key: Some(Bytes::from_static(b"k")), value, headers: Vec::new() }
}

pub(crate) fn records(to: &TopicPartition, prefix: &str, n: usize) -> Vec<OutRecord> {
    (0..n).map(|i| record(to, &format!("{prefix}{i}"))).collect()
}

/// A record of so many bytes that do not compress.
pub(crate) fn large(to: &TopicPartition, bytes: usize) -> OutRecord {
    static SEED: AtomicU64 = AtomicU64::new(0x9e37_79b9_7f4a_7c15);
    let mut state = SEED.fetch_add(0x1234_5678_9abc_def1, Ordering::Relaxed);
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    });
    OutRecord { value: Some(noise.take(bytes).collect::<Vec<u8>>().into()), ..record(to, "") }
}

pub(crate) fn reader(log: &dyn Log, from: &[(&TopicPartition, Offset)]) -> Box<dyn Reader> {
    let mut reader = log.reader(&Default::default()).unwrap();
    for (at, offset) in from {
        reader.assign(at, *offset).unwrap();
    }
    reader
}

pub(crate) fn text(record: &api::Record) -> String {
    String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap()
}

/// Reads until the reader says that it is at the end.
pub(crate) fn read_to_end(reader: &mut dyn Reader, at: &TopicPartition) -> Vec<String> {
    let begin = Instant::now();
    let mut got = Vec::new();
    while !reader.at_end(at).unwrap() {
        assert!(begin.elapsed() < PATIENCE, "no end after {} records", got.len());
        got.extend(reader.poll(1000, Duration::from_millis(100)).unwrap().iter().map(text));
    }
    got
}

/// Waits until so many records can be read: a transaction is visible a moment after its commit.
pub(crate) fn visible(log: &dyn Log, at: &TopicPartition, records: usize) -> Vec<String> {
    let begin = Instant::now();
    loop {
        let got = all(log, at);
        assert!(got.len() <= records, "{got:?}");
        if got.len() == records {
            return got;
        }
        assert!(begin.elapsed() < PATIENCE, "only {} of {records} records are visible", got.len());
    }
}

/// All that is in a partition now.
pub(crate) fn all(log: &dyn Log, at: &TopicPartition) -> Vec<String> {
    let low = log.bounds(at).unwrap().low;
    read_to_end(reader(log, &[(at, low)]).as_mut(), at)
}

/// A producer as another process may have it, with a transaction begun.
pub(crate) fn open_transaction(id: &str) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers()).set("transactional.id", id).set("linger.ms", "0");
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    producer
}

/// Writes, and returns when the broker has it.
pub(crate) fn send(producer: &BaseProducer, to: &TopicPartition, value: &str) {
    let record = BaseRecord::<str, str>::to(&to.topic).partition(to.partition.0).key("k").payload(value);
    producer.send(record).map_err(|(e, _)| e).unwrap();
    producer.flush(PATIENCE).unwrap();
}

/// A broker of a test's own, to be killed and started again.
pub(crate) struct Broker {
    folder: TempDir,
    pub(crate) address: String,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let address = start(&folder.path().join("kafka"));
        Self { folder, address }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("kafka")
    }

    /// The process ends as by a power cut.
    pub(crate) fn kill(&self) {
        let pid = std::fs::read_to_string(self.data().join("pid")).unwrap();
        let killed = Command::new("kill").args(["-9", pid.trim()]).status().unwrap();
        assert!(killed.success());
        let status = format!("/proc/{}/status", pid.trim());
        let begun = Instant::now();
        while std::fs::read_to_string(&status).is_ok_and(|status| !status.contains("State:\tZ")) {
            assert!(begun.elapsed() < PATIENCE, "it is gone");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts it again, with its data, at its address.
    pub(crate) fn start_again(&self) {
        assert_eq!(start(&self.data()), self.address);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let stopped = Command::new(script()).arg("stop").arg(self.data()).status();
        assert!(stopped.is_ok_and(|status| status.success()), "the test's broker was not stopped");
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/services/kafka")
}

fn start(data: &Path) -> String {
    // Its standard output must be a file: the broker keeps it open for as long as it runs.
    let output = tempfile::NamedTempFile::new().unwrap();
    let status = Command::new(script()).arg("start").arg(data).stdout(output.reopen().unwrap()).status().unwrap();
    assert!(status.success(), "tests/services/kafka start failed");
    std::fs::read_to_string(output.path()).unwrap().trim().to_owned()
}
