//! Row 20: more at once than an epoch takes.

use std::sync::Arc;
use std::time::Instant;

use api::{Log, OutRecord, TopicKind, TopicPartition, TopicSpec};
use local::LocalLog;
use serde_json::Value;
use zset::{Partition, TimestampMs};

use super::{End, finish, live, replaying, show_hits};
use crate::kill::rig::{PATIENCE, Rig, show, wait_until, wait_until_caught_up};
use crate::kill::topics::read;

/// Events that are there before the pipeline is.
const EVENTS: i64 = 200_000;
/// An epoch has no more records than this and what one poll brings.
const EPOCH_RECORDS_MAX: u64 = 64 * 1024 + 16 * 1024;

#[test]
fn row_20_a_huge_topic_comes_in_epochs_that_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = replaying(dir.path(), false);
    fill(&rig);
    live(&mut rig, "epoch-staged=kill@2", End::Kill);
    live(&mut rig, "commit-after=kill@15", End::Kill);
    let serving = rig.serve("");
    wait_until_caught_up(&serving.http);
    rig.stop(serving);
    // A sink that is made now is filled with all that is there: it dies before, and when its first rows are written.
    let sink = "CREATE SINK again FROM thirds WITH (connector = 'log', topic = 'again', envelope = 'append')";
    dies_of(&rig, "populate=kill", sink);
    // A stream table gets it in pieces where there is little memory.
    if !rig.settings.iter().any(|setting| setting == "--memory-limit") {
        rig.settings.extend(["--memory-limit", "32MB"].map(String::from));
    }
    let table = "CREATE STREAM TABLE kinds AS SELECT kind, count(*) AS n FROM events GROUP BY kind";
    dies_of(&rig, "populate-piece=kill@3", table);
    let serving = rig.serve("");
    show(&serving.http, table);
    rig.stop(serving);
    dies_of(&rig, "backlog-fill=kill", sink);
    // And between its epochs.
    let mut killed = rig.start("backlog-release=kill");
    killed.ended_by(Instant::now() + PATIENCE).expect("it goes on by itself");
    let serving = rig.serve("");
    wait_until(&serving.http, "SHOW SINKS", |rows| rows.iter().all(|row| row[2] == "ACTIVE" && row[4] == "0"));
    rig.stop(serving);
    finish(&mut rig);
    let fatal = ["epoch-staged", "commit-after", "populate", "populate-piece", "backlog-fill", "backlog-release"];
    show_hits(&rig, &fatal.map(|name| format!("{name}=kill")).each_ref().map(String::as_str));

    let log = LocalLog::open(&rig.data.join("log")).unwrap();
    let counts = read(&log, "pipeline.epochs").into_iter().map(|record| {
        let record: Value = serde_json::from_slice(&record.value.unwrap()).unwrap();
        let inputs = record["inputs"].as_array().cloned().unwrap_or_default();
        inputs.iter().map(|input| input["count"].as_u64().unwrap()).sum::<u64>()
    });
    let largest = counts.max().unwrap();
    println!("the largest epoch has {largest} records");
    assert!(largest > 0 && largest <= EPOCH_RECORDS_MAX, "{largest}");
    assert_eq!(read(&log, "again").len(), read(&log, "thirds").len(), "the sink that was made later has all");
}

/// A life that a statement ends.
fn dies_of(rig: &Rig, failpoint: &str, statement: &str) {
    let mut serving = rig.serve(failpoint);
    let answer = ureq::post(format!("http://{}/sql", serving.http)).send(statement);
    assert!(answer.is_err(), "it dies of {statement}");
    serving.process.ended_by(Instant::now() + PATIENCE).expect("it is dead");
}

/// Writes the events, behind those that the load will write.
fn fill(rig: &Rig) {
    std::fs::create_dir_all(&rig.data).unwrap();
    let log: Arc<dyn Log> = Arc::new(LocalLog::open(&rig.data.join("log")).unwrap());
    let spec = TopicSpec { topic: "events".into(), partitions: 3, replication: None, kind: TopicKind::Plain };
    log.make_topic(&spec).unwrap();
    let record = |n: i64| OutRecord {
        to: TopicPartition { topic: "events".into(), partition: Partition((n % 3) as i32) },
        timestamp: TimestampMs(1_700_000_000_000),
        key: None,
        value: Some(format!("{{\"n\":-{n},\"kind\":\"old\"}}").into()),
        headers: Vec::new(),
    };
    log.append(&(1..=EVENTS).map(record).collect::<Vec<_>>()).unwrap();
}
