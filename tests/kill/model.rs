//! The judge: reads the source topics, computes the query by plain maps, and reads the sink topics record by record.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use api::{Log, Record, TopicPartition};
use schemas::{murmur2, partition};
use serde_json::Value;
use zset::Partition;

/// What the stream tables are to be: rows by key, both as JSON.
pub struct Expected {
    pub joined: BTreeMap<String, String>,
    pub totals: BTreeMap<String, String>,
}

/// Judges the sink topics of a pipeline against its source topics; answers what they came to.
pub fn judge(log: &dyn Log, prefix: &str) -> Expected {
    let customers = customers(&read(log, &format!("{prefix}customers")));
    let orders = orders(&read(log, &format!("{prefix}orders")));
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    let mut totals: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for (id, (customer, amount)) in &orders {
        let Some(region) = customers.get(customer) else { continue };
        let key = format!("{{\"id\":{id},\"customer_id\":{customer}}}");
        let row = format!("{{\"id\":{id},\"amount\":{amount},\"customer_id\":{customer},\"region\":\"{region}\"}}");
        joined.insert(key, row);
        let total = totals.entry(region.clone()).or_default();
        *total = (total.0 + 1, total.1 + amount);
    }
    let totals: BTreeMap<String, String> = totals
        .into_iter()
        .map(|(region, (count, total))| {
            let row = format!("{{\"region\":\"{region}\",\"orders\":{count},\"total\":\"{total}\"}}");
            (format!("{{\"region\":\"{region}\"}}"), row)
        })
        .collect();
    assert!(!joined.is_empty(), "the load made rows");
    assert_eq!(replayed(log, &format!("{prefix}joined")), joined, "the join, from its sink topic");
    assert_eq!(replayed(log, &format!("{prefix}totals")), totals, "the aggregate, from its sink topic");
    Expected { joined, totals }
}

/// What a debezium-envelope topic says, record by record: every `before` is what was there, every key is in one partition,
/// every delete has its tombstone, and no epoch says two things of a key.
fn replayed(log: &dyn Log, topic: &str) -> BTreeMap<String, String> {
    let mut rows: BTreeMap<String, String> = BTreeMap::new();
    let mut epochs: HashSet<(String, u64)> = HashSet::new();
    let mut tombstone_due: Option<String> = None;
    let partitions = log.topic(topic).expect("the log answers").expect("the topic exists").partitions;
    let records = read(log, topic);
    for record in &records {
        let key = text(record.key.as_ref());
        let of_key = partition(murmur2(key.as_bytes()) as u32, partitions) as i32;
        assert_eq!(record.at.partition, Partition(of_key), "{topic}: partition of {key}");
        let Some(value) = &record.value else {
            assert_eq!(tombstone_due.take().as_deref(), Some(key.as_str()), "{topic}: a tombstone follows its delete");
            continue;
        };
        assert_eq!(tombstone_due, None, "{topic}: a delete is followed by its tombstone");
        let event: Value = serde_json::from_slice(value).expect("an event is JSON");
        let epoch = event["source"]["epoch"].as_u64().expect("an epoch");
        let what = format!("{topic} partition {} offset {}: {event}", record.at.partition, record.offset);
        assert!(epochs.insert((key.clone(), epoch)), "one change per key and epoch: {what}");
        let (before, after) = (row(&event["before"]), row(&event["after"]));
        match event["op"].as_str() {
            Some("c" | "r") => assert!(before.is_none() && after.is_some(), "{what}"),
            Some("u") => assert!(before.is_some() && after.is_some(), "{what}"),
            Some("d") => {
                assert!(before.is_some() && after.is_none(), "{what}");
                tombstone_due = Some(key.clone());
            }
            other => panic!("op {other:?}: {what}"),
        }
        assert_eq!(rows.get(&key), before.as_ref(), "before is what was there: {what}");
        match after {
            Some(after) => rows.insert(key, after),
            None => rows.remove(&key),
        };
    }
    assert_eq!(tombstone_due, None, "{topic}: a delete is followed by its tombstone");
    println!("{topic}: {} records, {} rows", records.len(), rows.len());
    rows
}

fn row(value: &Value) -> Option<String> {
    (!value.is_null()).then(|| ordered(value))
}

/// The row with its fields in declared order, which is the order of the names here.
fn ordered(row: &Value) -> String {
    let names: &[&str] = if row.get("amount").is_some() {
        &["id", "amount", "customer_id", "region"]
    } else {
        &["region", "orders", "total"]
    };
    let fields: Vec<String> = names.iter().map(|name| format!("\"{name}\":{}", row[*name])).collect();
    format!("{{{}}}", fields.join(","))
}

fn customers(records: &[Record]) -> BTreeMap<i64, String> {
    let mut all = BTreeMap::new();
    for record in records {
        let key: Value = serde_json::from_slice(record.key.as_ref().expect("a key")).expect("JSON");
        let id = key["id"].as_i64().expect("an id");
        match &record.value {
            None => all.remove(&id),
            Some(value) => {
                let value: Value = serde_json::from_slice(value).expect("JSON");
                all.insert(id, value["region"].as_str().expect("a region").to_string())
            }
        };
    }
    all
}

fn orders(records: &[Record]) -> BTreeMap<i64, (i64, i64)> {
    let mut all = BTreeMap::new();
    for record in records {
        let Some(value) = &record.value else { continue };
        let event: Value = serde_json::from_slice(value).expect("JSON");
        if event["op"] == "d" {
            all.remove(&event["before"]["id"].as_i64().expect("an id"));
        } else {
            let after = &event["after"];
            let number = |name: &str| after[name].as_i64().expect("a number");
            all.insert(number("id"), (number("customer_id"), number("amount")));
        }
    }
    all
}

fn text(bytes: Option<&bytes::Bytes>) -> String {
    String::from_utf8(bytes.expect("a key").to_vec()).expect("UTF-8")
}

/// All records of a topic, partition by partition, committed ones only.
fn read(log: &dyn Log, topic: &str) -> Vec<Record> {
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
