//! Readers that have a client together: what each of them guarantees alone, and that they are in nobody's way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::conformance::{PROPERTIES, Subject};
use api::{Bounds, Log, LogError, OutRecord, Reader, TopicInfo, TopicPartition, TopicSpec, Transport, Writer};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use zset::{Offset, Partition, TimestampMs};

use super::support::{
    PATIENCE, brokers, config, log, log_and_topic, own_reader, read_to_end, record, records, text, topic, unique,
    until, visible,
};
use super::topics::wait;
use crate::client::Clients;
use crate::meta::Meta;
use crate::reader::KafkaReader;
use crate::{KafkaConfig, KafkaLog};

const SHORT: Duration = Duration::from_millis(100);

/// A log all readers of which have a client together.
struct Lasting(KafkaLog);

impl Transport for Lasting {
    fn name(&self) -> String {
        self.0.name()
    }

    fn partitions(&self, topic: &str) -> Result<Option<Vec<Partition>>, LogError> {
        self.0.partitions(topic)
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        self.0.bounds(at)
    }

    fn offset_at(&self, at: &TopicPartition, time: TimestampMs) -> Result<Offset, LogError> {
        self.0.offset_at(at, time)
    }

    fn reader(&self, properties: &BTreeMap<String, String>) -> Result<Box<dyn Reader>, LogError> {
        self.0.lasting_reader(properties)
    }
}

impl Log for Lasting {
    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        self.0.topics()
    }

    fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, LogError> {
        self.0.topic(topic)
    }

    fn make_topic(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
        self.0.make_topic(spec)
    }

    fn trim(&self, at: &TopicPartition, below: Offset) -> Result<(), LogError> {
        self.0.trim(at, below)
    }

    fn append(&self, records: &[OutRecord]) -> Result<Vec<Offset>, LogError> {
        self.0.append(records)
    }

    fn writer(&self) -> Result<Box<dyn Writer>, LogError> {
        self.0.writer()
    }

    fn tell_positions(&self, positions: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        self.0.tell_positions(positions)
    }
}

/// All that is demanded of readers, and of what they give.
#[test]
fn readers_that_share_conform() {
    let prefix = unique("lasting");
    let log = Arc::new(Lasting(log(&prefix)));
    let of_readers = ["reader", "record", "order", "poll", "at_end", "trim", "transaction"];
    for (name, property) in PROPERTIES.iter().filter(|(name, _)| of_readers.iter().any(|word| name.contains(word))) {
        eprintln!("conformance, shared: {name}");
        property(&Subject::new(&|| Arc::clone(&log) as Arc<dyn Log>, &prefix));
    }
}

fn delete(topic: &str) {
    let admin: AdminClient<DefaultClientContext> = config(&brokers(), "x").admin().create().unwrap();
    wait(admin.delete_topics(&[topic], &AdminOptions::new())).unwrap();
}

struct Rig {
    log: KafkaLog,
    config: KafkaConfig,
    meta: Arc<Meta>,
    clients: Arc<Clients>,
}

impl Rig {
    fn new(name: &str) -> Self {
        let config = config(&brokers(), &unique(name));
        let meta = Arc::new(Meta::open(&config).unwrap());
        Self { log: log(&config.pipeline), config, meta, clients: Arc::default() }
    }

    fn topic(&self, name: &str) -> TopicPartition {
        topic(&self.log, &unique(name), 1).remove(0)
    }

    fn reader(&self) -> KafkaReader {
        KafkaReader::open_shared(&self.config, self.meta.clone(), &self.clients).unwrap()
    }

    /// Two topics of so many records, from `a0` and from `b0` on, and a reader of each from an offset on.
    fn two(&self, count: usize, from: [i64; 2]) -> [(TopicPartition, KafkaReader); 2] {
        [("a", from[0]), ("b", from[1])].map(|(prefix, from)| {
            let at = self.topic(prefix);
            self.log.append(&records(&at, prefix, count)).unwrap();
            let mut reader = self.reader();
            reader.assign(&at, Offset(from)).unwrap();
            (at, reader)
        })
    }
}

/// Polls until there is a record or an error.
fn next(reader: &mut KafkaReader) -> Result<Vec<String>, LogError> {
    let begin = Instant::now();
    loop {
        let got = reader.poll(1000, SHORT)?;
        if !got.is_empty() {
            return Ok(got.iter().map(text).collect());
        }
        assert!(begin.elapsed() < PATIENCE, "neither a record nor an error");
    }
}

#[test]
fn one_goes_and_the_other_reads_on() {
    let rig = Rig::new("beside");
    let [(one, mut first), (other, mut second)] = rig.two(3, [0, 1]);
    assert!(first.is_beside(&second));
    assert_eq!(read_to_end(&mut first, &one), ["a0", "a1", "a2"]);
    assert_eq!(read_to_end(&mut second, &other), ["b1", "b2"]);
    drop(first);
    rig.log.append(&[record(&one, "nobody reads it"), record(&other, "b3")]).unwrap();
    assert_eq!(next(&mut second).unwrap(), ["b3"]);
    // What was read by one that is gone is read from where it is asked for.
    let mut third = rig.reader();
    third.assign(&one, Offset(1)).unwrap();
    assert_eq!(read_to_end(&mut third, &one), ["a1", "a2", "nobody reads it"]);
}

#[test]
fn a_reader_that_needs_another_client_takes_all_its_partitions_along() {
    let rig = Rig::new("along");
    let [(one, mut first), (other, mut second)] = rig.two(3, [0, 0]);
    assert_eq!(read_to_end(&mut second, &other), ["b0", "b1", "b2"]);
    rig.log.append(&[record(&other, "b3")]).unwrap();
    visible(&rig.log, &other, 4);
    second.assign(&one, Offset(2)).unwrap();
    assert!(!first.is_beside(&second), "both read the same partition");
    let mut got = Vec::new();
    while got.len() < 2 {
        got.extend(next(&mut second).unwrap());
    }
    got.sort();
    assert_eq!(got, ["a2", "b3"], "neither is read twice, none is left out");
    assert_eq!(read_to_end(&mut first, &one), ["a0", "a1", "a2"]);
    assert!(second.at_end(&one).unwrap() && second.at_end(&other).unwrap());
}

/// The topic's end stands behind its records in the queue, and comes with them in one batch.
#[test]
fn an_error_behind_records_that_are_at_hand_is_raised() {
    let (log, at) = log_and_topic("behind");
    log.append(&records(&at, "a", 5)).unwrap();
    let mut reader = own_reader("behind");
    reader.assign(&at, Offset(0)).unwrap();
    until("five records and the end of the partition are at hand", || reader.waiting() >= 6);
    delete(&at.topic);
    let before = reader.waiting();
    until("the client hears that the topic is gone", || {
        let _ = reader.consumer().fetch_metadata(Some(&at.topic), PATIENCE);
        reader.waiting() > before
    });
    assert_eq!(reader.poll(1000, PATIENCE).unwrap().len(), 5);
    // Not when the client looks again some time.
    match reader.poll(1000, Duration::ZERO) {
        Err(LogError::NoTopic(topic)) => assert_eq!(topic, *at.topic),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_waits_in_the_client_is_known_as_soon_as_something_came() {
    let (log, at) = log_and_topic("held");
    log.append(&records(&at, "a", 1)).unwrap();
    let mut reader = log.lasting_reader(&BTreeMap::new()).unwrap();
    reader.assign(&at, Offset(0)).unwrap();
    until("a record is there", || !reader.poll(1, SHORT).unwrap().is_empty());
    log.append(&records(&at, "b", 100)).unwrap();
    until("a hundred records of three bytes or four are held", || log.held_bytes() >= 300);
    drop(reader);
    assert_eq!(log.held_bytes(), 0);
}

#[test]
fn a_wait_ends_when_it_is_rung() {
    let rig = Rig::new("bell");
    let [(one, first), (_, mut second)] = rig.two(0, [0, 0]);
    let bell = second.bell().unwrap();
    bell();
    assert!(second.poll(10, PATIENCE * 10).unwrap().is_empty(), "rung before it waits");
    // Its queue is another one now.
    second.assign(&one, Offset(0)).unwrap();
    assert!(!first.is_beside(&second));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| second.poll(10, PATIENCE * 10).unwrap().len());
        while !waits.is_finished() {
            bell();
            std::thread::yield_now();
        }
        assert_eq!(waits.join().unwrap(), 0);
    });
    drop(second);
    bell();
}

/// Its neighbour's topic is gone: a reader reads on.
#[test]
fn an_error_is_its_own_readers() {
    let rig = Rig::new("own");
    let [(one, mut first), (other, mut second)] = rig.two(0, [0, 0]);
    assert!(first.at_end(&one).unwrap() && second.at_end(&other).unwrap());
    delete(&one.topic);
    until("the topic's reader has an error", || {
        let gone = first.poll(10, SHORT).is_err();
        assert!(second.poll(10, Duration::ZERO).unwrap().is_empty());
        let _ = first.consumer().fetch_metadata(Some(&one.topic), PATIENCE);
        gone
    });
    rig.log.append(&records(&other, "b", 2)).unwrap();
    assert_eq!(next(&mut second).unwrap()[0], "b0");
}

#[test]
fn what_partitions_held_is_asked_for_together() {
    let rig = Rig::new("seen");
    let (one, other) = (rig.topic("one"), rig.topic("other"));
    rig.log.append(&records(&one, "a", 3)).unwrap();
    rig.log.append(&records(&other, "b", 5)).unwrap();
    let seen = crate::sight::ask_all(rig.meta.consumer(), &[&one, &other]).unwrap();
    assert_eq!(seen, [Some(rig.log.bounds(&one).unwrap()), Some(rig.log.bounds(&other).unwrap())]);
    let hour = Duration::from_secs(3600);
    // Who asks for the first time asks alone.
    let (bounds, _) = rig.meta.bounds_seen(&one, hour).unwrap();
    assert_eq!(rig.meta.bounds_seen(&one, Duration::ZERO).unwrap().0, bounds);
    rig.log.append(&records(&one, "c", 1)).unwrap();
    assert_eq!(rig.meta.bounds_seen(&one, hour).unwrap().0, bounds, "as it was");
    until("the end moves", || rig.meta.bounds_seen(&one, Duration::ZERO).unwrap().0.high.0 > bounds.high.0);
}
