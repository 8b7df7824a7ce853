//! Sink topics, read record by record, committed records only: what each envelope promises is held against every record.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use api::{Log, Record, TopicPartition};
use schemas::{murmur2, partition};
use serde_json::Value;
use zset::Partition;

/// A change of a key: its row afterwards, as JSON; `None`: it is gone.
pub type Change = Option<String>;

/// The changes of a debezium-envelope topic, by key: every `before` is what was there, every key is in one partition, every
/// delete has its tombstone, and no epoch says two things of a key. `columns` are the row's, in their order.
pub fn replayed(log: &dyn Log, topic: &str, columns: &[&str]) -> BTreeMap<String, Vec<Change>> {
    let mut changes: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    let mut epochs: HashSet<(String, u64)> = HashSet::new();
    let mut tombstone_due: Option<String> = None;
    let (partitions, records) = (partitions(log, topic), read(log, topic));
    for record in &records {
        let key = key_of(record);
        check_partition(partitions, record, &key);
        let Some(value) = &record.value else {
            assert_eq!(tombstone_due.take().as_deref(), Some(key.as_str()), "{topic}: a tombstone follows its delete");
            continue;
        };
        assert_eq!(tombstone_due, None, "{topic}: a delete is followed by its tombstone");
        let event: Value = serde_json::from_slice(value).expect("an event is JSON");
        let epoch = event["source"]["epoch"].as_u64().expect("an epoch");
        let what = format!("{topic} partition {} offset {}: {event}", record.at.partition, record.offset);
        assert!(epochs.insert((key.clone(), epoch)), "one change per key and epoch: {what}");
        let (before, after) = (row(&event["before"], columns), row(&event["after"], columns));
        match event["op"].as_str() {
            Some("c" | "r") => assert!(before.is_none() && after.is_some(), "{what}"),
            Some("u") => assert!(before.is_some() && after.is_some(), "{what}"),
            Some("d") => {
                assert!(before.is_some() && after.is_none(), "{what}");
                tombstone_due = Some(key.clone());
            }
            other => panic!("op {other:?}: {what}"),
        }
        let of_key = changes.entry(key).or_default();
        assert_eq!(of_key.last().cloned().flatten(), before, "before is what was there: {what}");
        of_key.push(after);
    }
    assert_eq!(tombstone_due, None, "{topic}: a delete is followed by its tombstone");
    println!("{topic}: {} records, {} keys", records.len(), changes.len());
    changes
}

/// The changes of an upsert topic, by key: each is a change.
pub fn latest(log: &dyn Log, topic: &str) -> BTreeMap<String, Vec<Change>> {
    let mut changes: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    let (partitions, records) = (partitions(log, topic), read(log, topic));
    for record in &records {
        let key = key_of(record);
        check_partition(partitions, record, &key);
        let change = record.value.as_ref().map(|value| String::from_utf8(value.to_vec()).expect("UTF-8"));
        let of_key = changes.entry(key).or_default();
        assert_ne!(
            of_key.last().cloned().flatten(),
            change,
            "{topic} partition {} offset {}: it changes what was there",
            record.at.partition,
            record.offset
        );
        of_key.push(change);
    }
    println!("{topic}: {} records, {} keys", records.len(), changes.len());
    changes
}

/// How often each row is in an append topic.
pub fn appended(log: &dyn Log, topic: &str) -> BTreeMap<String, u64> {
    let mut rows = BTreeMap::new();
    let (partitions, records) = (partitions(log, topic), read(log, topic));
    for record in &records {
        let value = String::from_utf8(record.value.clone().expect("a row").to_vec()).expect("UTF-8");
        assert_eq!(record.key, None, "{topic}: its table has no key");
        check_partition(partitions, record, &value);
        let row: Value = serde_json::from_str(&value).expect("a row is JSON");
        *rows.entry(row.to_string()).or_default() += 1;
    }
    println!("{topic}: {} records", records.len());
    rows
}

fn partitions(log: &dyn Log, topic: &str) -> u32 {
    log.topic(topic).expect("the log answers").expect("the topic exists").partitions
}

fn check_partition(partitions: u32, record: &Record, hashed: &str) {
    let topic = &record.at.topic;
    let expected = partition(murmur2(hashed.as_bytes()) as u32, partitions) as i32;
    assert_eq!(record.at.partition, Partition(expected), "{topic}: partition of {hashed}");
}

fn row(value: &Value, columns: &[&str]) -> Change {
    let fields = || columns.iter().map(|name| format!("\"{name}\":{}", value[*name])).collect::<Vec<_>>().join(",");
    (!value.is_null()).then(|| format!("{{{}}}", fields()))
}

pub fn key_of(record: &Record) -> String {
    String::from_utf8(record.key.as_ref().expect("a key").to_vec()).expect("UTF-8")
}

/// All records of a topic, partition by partition, committed ones only.
pub fn read(log: &dyn Log, topic: &str) -> Vec<Record> {
    let info = log.topic(topic).expect("the log answers").expect("the topic exists");
    let mut reader = log.reader(&Default::default()).expect("a reader");
    let mut records = Vec::new();
    for number in 0..info.partitions {
        let at = TopicPartition { topic: topic.into(), partition: Partition(number as i32) };
        let low = log.bounds(&at).expect("the log answers").low;
        reader.assign(&at, low).expect("the partition can be read");
        while !reader.at_end(&at).expect("the log answers") {
            records.extend(reader.poll(10_000, Duration::from_millis(100)).expect("the log answers"));
        }
        reader.unassign(&at).expect("the log answers");
    }
    records
}
