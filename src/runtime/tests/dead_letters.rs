//! What cannot be decoded goes to the dead-letter topic, in the epoch's own transaction.

use api::{Headers, Record, Transport as _};
use bytes::Bytes;
use plan::EpochRecord;
use zset::{Epoch, Offset, TimestampMs};

use super::faulty_log::Fault;
use super::world::{T, World, append, at, make_topic, put, read};
use crate::dead_letter::{Cause, dead_letter};

fn header(headers: &Headers, name: &str) -> Option<String> {
    let found = headers.iter().find(|(found, _)| found == &format!("millstream.error.{name}"))?;
    found.1.as_ref().map(|value| String::from_utf8(value.to_vec()).unwrap())
}

fn bad(key: &str) -> (String, Option<String>) {
    (key.to_string(), Some(r#"{"id":7,"a":"not a number","b":1}"#.to_string()))
}

#[test]
fn a_dead_letter_is_in_the_transaction_of_its_epoch_and_says_all() {
    let world = World::new();
    let running = world.start();
    running.sql(T);
    running.feed("t", &[put(1, 1, 1)]);
    world.log.faults.commits.lock().unwrap().push_back(Fault::Abort);
    running.feed("t", &[put(2, 2, 2), bad(r#"{"id":7}"#), put(3, 3, 3)]);
    assert_eq!(running.rows("t").len(), 3, "the others are there");

    let letters = read(&world.log, "t.dlq", 0);
    assert_eq!(letters.len(), 1, "once, though its first transaction was aborted");
    let (letter, (key, value)) = (&letters[0], bad(r#"{"id":7}"#));
    assert_eq!(letter.key, Some(Bytes::from(key)));
    assert_eq!(letter.value, value.map(Bytes::from));
    let headers = &letter.headers;
    assert_eq!(header(headers, "table").unwrap(), "t");
    assert_eq!(header(headers, "topic").unwrap(), "t");
    assert_eq!(header(headers, "partition").unwrap(), "0");
    assert_eq!(header(headers, "offset").unwrap(), "2");
    assert_eq!(header(headers, "timestamp").unwrap(), "1600000000000");
    assert_eq!(header(headers, "column").unwrap(), "a");
    assert!(header(headers, "reason").unwrap().contains("not a number"));
    assert_eq!(header(headers, "truncated"), None);

    let tried = world.log.faults.tried.lock().unwrap();
    let of_letter = tried.iter().rfind(|records| records.iter().any(|r| &*r.to.topic == "t.dlq")).unwrap();
    let last = of_letter.last().unwrap();
    assert_eq!(&*last.to.topic, "p.epochs", "the epoch record is in the same transaction, and the last");
    let record = EpochRecord::decode(last.value.as_ref().unwrap()).unwrap();
    assert_eq!(header(headers, "epoch").unwrap(), record.epoch.to_string());
    assert_eq!(record.inputs[0].dead_letters, 1);
}

#[test]
fn replay_sends_no_dead_letter_again_and_counts_it() {
    let world = World::new();
    let running = world.start();
    running.sql(T);
    running.feed("t", &[bad("x"), put(1, 1, 1)]);
    running.crash();
    let running = world.start();
    assert_eq!(read(&world.log, "t.dlq", 0).len(), 1);
    assert_eq!(running.show("SOURCES")["t"][6], "1");
    running.stop().unwrap();
    let running = world.start();
    assert_eq!(running.show("SOURCES")["t"][6], "1", "nor does a checkpoint forget it");
    assert_eq!(running.rows("t").len(), 1);
}

#[test]
fn a_dead_letter_goes_to_the_partition_of_its_key() {
    let world = World::new();
    make_topic(&world.log, "t.dlq", 3);
    let running = world.start();
    running.sql(T);
    let keys = ["k0", "k1", "k2", "k3", "k4", "k5"];
    for key in keys {
        running.feed("t", &[bad(key)]);
    }
    for partition in 0..3 {
        for letter in read(&world.log, "t.dlq", partition) {
            let hash = schemas::murmur2(letter.key.as_ref().unwrap()) as u32;
            assert_eq!(schemas::partition(hash, 3), partition, "{letter:?}");
        }
    }
    let all: usize = (0..3).map(|partition| read(&world.log, "t.dlq", partition).len()).sum();
    assert_eq!(all, keys.len());
    assert!(read(&world.log, "t.dlq", 0).len() < keys.len());
}

#[test]
fn a_dead_letter_is_never_too_large() {
    let part = |len: usize| Some(Bytes::from(vec![b'x'; len]));
    let record = |key, value, header: usize| Record {
        at: at("t", 0),
        offset: Offset(1),
        timestamp: TimestampMs(1),
        key,
        value,
        headers: vec![("own".to_string(), part(header)), ("small".to_string(), part(1))],
    };
    let cases = [(10, 10, 10, false), (10, 2_000_000, 10, true), (700_000, 700_000, 10, true), (9, 9, 2_000_000, true)];
    for (key, value, header_bytes, cut) in cases {
        let record = record(part(key), part(value), header_bytes);
        let cause = Cause { column: None, reason: "r".repeat(5_000_000) };
        let letter = dead_letter("t", "t.dlq", &record, cause, ("i", Epoch(1), TimestampMs(1)));
        let size = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers: usize = letter.headers.iter().map(|(name, value)| name.len() + size(value)).sum();
        assert!(size(&letter.key) + size(&letter.value) + headers < 1_000_000);
        assert_eq!(header(&letter.headers, "truncated").is_some(), cut);
        assert!(letter.headers.iter().any(|(name, _)| name == "small") || header_bytes == 10, "what fits is kept");
        if !cut {
            assert_eq!((letter.key, letter.value), (record.key, record.value));
            assert_eq!(letter.headers[0].0, "own");
        }
    }
}

#[test]
fn dead_letters_of_a_topic_read_twice_are_each_tables_own() {
    let world = World::new();
    let running = world.start();
    running.sql(T);
    running.sql(&T.replace("TABLE t", "TABLE u").replace("'t'", "'t', dlq_topic = 'u.bad'"));
    append(&world.log, "t", 0, &[bad("x"), put(1, 1, 1)]);
    running.settle("t");
    running.read_to("u", zset::Partition(0), world.log.bounds(&at("t", 0)).unwrap().high);
    assert_eq!(read(&world.log, "t.dlq", 0).len(), 1);
    assert_eq!(header(&read(&world.log, "u.bad", 0)[0].headers, "table").unwrap(), "u");
}
