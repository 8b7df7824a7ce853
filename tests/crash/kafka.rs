//! Rows 3, 4, 14, 16, 19 and 22, against a real Kafka: transactions that are aborted, in doubt, of others, refused; a process
//! that was taken over; a broker that dies.

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use api::{CommitError, Log, OutRecord, TopicPartition};
use fault::{Action, Failpoints};
use kafka::{KafkaConfig, KafkaLog};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use zset::{Partition, TimestampMs};

use super::{End, copy, finish, live, show_hits, wait_epochs, wait_fired};
use crate::kill::load::now_ms;
use crate::kill::rig::{PATIENCE, Rig, Serving, hits, kafka_log, wait_until};
use crate::kill::topics::read;
use crate::topics::wire::Owner;

/// Longer than what librdkafka answers from its own memory.
const OUTAGE: Duration = Duration::from_secs(3);

/// The events of the other producer are none of the load's.
const OTHERS_FROM: i64 = 300_000_000;

#[test]
fn rows_3_4_14_16_19_22_on_kafka() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::kafka(dir.path(), 3, false);
    own_rows_aborted(&mut rig);
    live(&mut rig, "commit-abort=kill@2", End::Kill);
    live(&mut rig, "commit-doubt=kill@2", End::Kill);
    live(&mut rig, "commit-doubt=error@2", End::Error);
    let mut serving = rig.serve("commit-abort=error@2,commit-abort=error@3");
    rig.go_on(&serving);
    wait_fired(&rig, "commit-abort=error@3");
    transactional_source(&mut rig, &serving);
    outage(&mut rig, &mut serving);
    rig.note_hits(&serving);
    rig.pause();
    rig.stop(serving);
    zombie(&mut rig, dir.path());
    refused(&mut rig);
    finish(&mut rig);
    show_hits(
        &rig,
        &[
            "commit-abort=kill",
            "commit-doubt=kill",
            "commit-doubt=error",
            "commit-abort=error",
            "sink-refused=kill",
            "backlog-release=kill",
        ],
    );
    for name in ["commit-retry", "input-gap", "writer-open"] {
        println!("failpoint {name}: reached {} times", rig.reached[name]);
    }
}

/// Row 4: dies in its first write to a table of its own, whose topic then has nothing but what was aborted.
fn own_rows_aborted(rig: &mut Rig) {
    // Behind the first epoch, four tables, four stream tables and five sinks.
    let serving = rig.serve("commit-abort=kill@15");
    let (host, port) = serving.pg.rsplit_once(':').unwrap();
    let parameters = format!("host={host} port={port} user=ledger dbname=millstream");
    let mut client = postgres::Client::connect(&parameters, postgres::NoTls).unwrap();
    client.batch_execute("INSERT INTO ledger VALUES (-2, 0, 1), (-1, 0, -1)").unwrap_err();
    let mut process = serving.process;
    let ended = process.ended_by(Instant::now() + PATIENCE).expect("it dies with its transaction open");
    assert_eq!(ended.signal(), Some(super::ABORT), "{}", rig.tail());
}

/// Row 19: others write the source's topic in transactions, some of which are aborted: their offsets are gaps.
fn transactional_source(rig: &mut Rig, serving: &Serving) {
    let faults = Failpoints::counting();
    faults.set("commit-abort", Action::Error, 2);
    let brokers = rig.broker().unwrap().address.clone();
    let config = KafkaConfig { brokers, pipeline: "somebody-else".into(), properties: Default::default() };
    let log = KafkaLog::connect_with(&config, faults).unwrap();
    let mut writer = log.writer().unwrap();
    let mut n = OTHERS_FROM;
    for commit in 1..=4 {
        let records: Vec<OutRecord> = (n..n + 6).map(|n| event(n, (n % 3) as i32)).collect();
        n += 6;
        let committed = writer.commit_all(&records);
        assert_eq!(matches!(committed, Err(CommitError::Aborted(_))), commit == 2, "{committed:?}");
    }
    let deadline = Instant::now() + PATIENCE;
    while hits(&serving.http).get("input-gap").is_none_or(|hits| *hits == 0) {
        assert!(Instant::now() < deadline, "the gaps are read: {:?}", hits(&serving.http));
    }
}

fn event(n: i64, partition: i32) -> OutRecord {
    OutRecord {
        to: TopicPartition { topic: "events".into(), partition: Partition(partition) },
        timestamp: TimestampMs(now_ms()),
        key: None,
        value: Some(format!("{{\"n\":{n},\"kind\":\"theirs\"}}").into()),
        headers: Vec::new(),
    }
}

/// Row 22: it waits for its broker, and goes on when that is back.
fn outage(rig: &mut Rig, serving: &mut Serving) {
    let broker = rig.broker().unwrap();
    broker.kill();
    assert_eq!(serving.process.ended_by(Instant::now() + OUTAGE), None, "it waits for its broker");
    rig.broker().unwrap().come_back();
    wait_epochs(serving, 3);
}

/// Row 16: whoever starts later takes over, and who was there before ends, with code 4. A folder has one process.
fn zombie(rig: &mut Rig, dir: &std::path::Path) {
    let later = dir.join("later");
    copy(&rig.data, &later);
    // Its checkpoints would trim the epoch records that the copy still needs.
    rig.checkpoint_every("1h");
    let mut first = rig.serve("");
    rig.checkpoint_every("300ms");
    rig.go_on(&first);
    wait_epochs(&first, 2);
    let earlier = std::mem::replace(&mut rig.data, later);
    let second = rig.serve("");
    let ended = first.process.ended_by(Instant::now() + PATIENCE).expect("it learns that it was taken over");
    assert_eq!(ended.code(), Some(4), "{}", rig.tail());
    let said = std::fs::read_to_string(&rig.errors).unwrap();
    assert!(said.lines().any(|line| line.contains("failpoints reached") && line.contains(" fenced=1")), "{said}");
    println!("failpoint fenced: 1");
    let mut third = rig.start("");
    let ended = third.ended_by(Instant::now() + PATIENCE).expect("the folder is locked");
    assert_eq!(ended.code(), Some(3), "{}", rig.tail());
    rig.pause();
    rig.go_on(&second);
    wait_epochs(&second, 2);
    rig.pause();
    rig.note_hits(&second);
    rig.stop(second);
    std::fs::remove_dir_all(earlier).unwrap();
}

/// A text that does not compress.
fn noise(seed: u64) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..700_000).map(|_| char::from(rng.random_range(b'0'..=b'z'))).filter(|c| c.is_ascii_alphanumeric()).collect()
}

/// Row 14: a sink whose record the broker does not take is taken out, and the epoch commits without it; the record waits, and is
/// written when the broker takes it, whenever the process dies.
fn refused(rig: &mut Rig) {
    let serving = rig.serve("sink-refused=kill");
    let sql =
        "CREATE TABLE docs (id INT PRIMARY KEY, body TEXT) WITH (connector = 'kafka', topic = 'docs', format = 'json',
                 envelope = 'upsert', partitions = 1);
               CREATE STREAM TABLE texts AS SELECT id, body FROM docs;
               CREATE SINK texts_out FROM texts WITH (connector = 'kafka', topic = 'texts', envelope = 'debezium')";
    ureq::post(format!("http://{}/sql", serving.http)).send(sql).unwrap();
    rig.go_on(&serving);
    let log = kafka_log(&rig.broker().unwrap().address, "docs");
    // A change has both rows: together they are more than a record may be.
    let doc = |seed: u64| OutRecord {
        to: TopicPartition { topic: "docs".into(), partition: Partition(0) },
        timestamp: TimestampMs(now_ms()),
        key: Some("{\"id\":1}".into()),
        value: Some(format!("{{\"id\":1,\"body\":\"{}\"}}", noise(seed)).into()),
        headers: Vec::new(),
    };
    log.append(&[doc(1)]).unwrap();
    wait_until(&serving.http, "SHOW STREAM TABLES", |rows| rows.iter().any(|row| row[0] == "texts" && row[3] == "1"));
    log.append(&[doc(2)]).unwrap();
    let mut process = serving.process;
    process.ended_by(Instant::now() + PATIENCE).expect("it dies when the record is refused");
    rig.pause();
    live(rig, "backlog-release=kill@2", End::Kill);
    let serving = rig.serve("");
    wait_until(&serving.http, "SHOW SINKS", |rows| {
        rows.iter().all(|row| (row[2] == "ACTIVE") == (row[0] != "texts_out"))
    });
    let brokers = rig.broker().unwrap().address.clone();
    Owner::connect(&brokers).set("texts", "max.message.bytes", "20000000");
    wait_until(&serving.http, "SHOW SINKS", |rows| rows.iter().all(|row| row[2] == "ACTIVE" && row[4] == "0"));
    let log = kafka_log(&brokers, "texts");
    let ops = || {
        let op = |record: &api::Record| {
            let event: serde_json::Value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
            event["op"].as_str().unwrap().to_string()
        };
        read(&*log, "texts").iter().map(op).collect::<Vec<_>>()
    };
    // A transaction that was answered may be seen a moment later.
    let deadline = Instant::now() + PATIENCE;
    while ops() != ["c", "u"] {
        assert!(Instant::now() < deadline, "{:?}", ops());
    }
    ureq::post(format!("http://{}/sql", serving.http)).send("DROP SINK texts_out").unwrap();
    rig.stop(serving);
}
