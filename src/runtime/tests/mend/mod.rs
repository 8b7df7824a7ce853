//! Topics that are not what was read of them: reconciled where they say all of the table, halted where only the user knows, and
//! mended by what he says. After each, every table and sink is what the topic says, also after a crash at any moment of it.

mod absent;
mod begun;
mod halted;
mod kept;
mod policy;
mod reconciled;
mod several;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::{Keeping, Log};
use zset::{Epoch, Offset, TimestampMs};

use super::rows::once;
use super::wait::{answer, until};
use super::world::{Between, Running, T, World, append, at, gone, halted, make_topic, put, read, upserted};

const SUM: &str = "CREATE STREAM TABLE s AS SELECT a, count(*) AS n FROM t GROUP BY a;\
    CREATE SINK out FROM s WITH (connector = 'log', topic = 'out', format = 'json', envelope = 'upsert');\
    CREATE SINK each FROM t WITH (connector = 'log', topic = 'each', format = 'json', envelope = 'debezium');";
const ROWS: &str = "CREATE TABLE r (id INT, a INT, b INT) WITH (connector = 'log', topic = 'r', format = 'json');\
    CREATE STREAM TABLE n AS SELECT count(*) AS n FROM r;";
const COMPACTED: Keeping = Keeping { compacted_after_ms: Some(0), tombstones_ms: 1, expires_after_ms: None };

fn keep(world: &World, topic: &str, keeping: Keeping) {
    world.log.faults.keeping.lock().unwrap().insert(topic.to_string(), keeping);
}

/// Compaction takes records of a topic.
fn vanish(world: &World, topic: &'static str, offsets: &[i64]) {
    let offsets: BTreeSet<i64> = offsets.iter().copied().collect();
    let vanished = move |record: &api::Record| &*record.at.topic == topic && offsets.contains(&record.offset.0);
    *world.log.faults.vanished.lock().unwrap() = Some(Box::new(vanished));
}

/// A topic is deleted; `None`: not made anew.
fn instead(world: &World, topic: &str, real: &str) {
    world.log.faults.instead.lock().unwrap().insert(topic.to_string(), real.to_string());
}

fn row(id: i64, a: i64, b: i64) -> String {
    format!(r#"{{"id":{id},"a":{a},"b":{b}}}"#)
}

/// Table, stream table and both sinks say what these rows say.
fn judge(world: &World, running: &Running, rows: &[(i64, i64, i64)]) {
    let expected: BTreeMap<String, i64> = rows.iter().map(|(id, a, b)| (row(*id, *a, *b), 1)).collect();
    assert_eq!(running.rows("t"), expected);
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    rows.iter().for_each(|(_, a, _)| *counts.entry(*a).or_default() += 1);
    let mut sums: Vec<String> = counts.iter().map(|(a, n)| format!(r#"{{"a":{a},"n":{n}}}"#)).collect();
    sums.sort();
    assert_eq!(running.rows("s"), once(&sums));
    assert_eq!(upserted(&world.log, "out"), sums);
    assert_eq!(events(world), expected, "record by record");
}

/// The events of the debezium sink, each on what those before it left.
fn events(world: &World) -> BTreeMap<String, i64> {
    let mut rows: BTreeMap<String, i64> = BTreeMap::new();
    for record in read(&world.log, "each", 0) {
        let Some(value) = record.value else { continue };
        let event: serde_json::Value = serde_json::from_slice(&value).unwrap();
        for (image, weight) in [("before", -1), ("after", 1)] {
            if let Some(object) = event[image].as_object() {
                let number = |name: &str| object[name].as_i64().unwrap();
                *rows.entry(row(number("id"), number("a"), number("b"))).or_default() += weight;
            }
        }
        rows.retain(|_, weight| *weight != 0);
        assert!(rows.values().all(|weight| *weight == 1), "{event}");
    }
    rows
}

/// The event of a new row of t.
fn created(id: i64) -> (String, Option<String>) {
    let event = format!(r#"{{"before":null,"after":{{"id":{id},"a":1,"b":1}},"op":"c"}}"#);
    (format!(r#"{{"id":{id}}}"#), Some(event))
}

/// t has 1, 2 and 3 after four epochs, at offset 4.
fn filled(world: &World) -> Running {
    let running = world.start();
    running.sql(&format!("{T}{SUM}"));
    running.feed("t", &[put(1, 1, 0), put(2, 1, 0)]);
    running.feed("t", &[put(3, 2, 0)]);
    running.feed("t", &[put(3, 3, 0)]);
    running
}
