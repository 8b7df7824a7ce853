//! Measures the embedded log: `cargo run --release -p millstream-local --example log_cost`. It judges nothing.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use api::{Log, OutRecord, TopicKind, TopicPartition, TopicSpec, Transport};
use local::LocalLog;
use zset::{Offset, Partition, TimestampMs};

const RECORDS: usize = 65_536;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let log = LocalLog::open(dir.path()).unwrap();
    let spec = TopicSpec { topic: "t".into(), partitions: 2, replication: None, kind: TopicKind::Plain };
    log.make_topic(&spec).unwrap();
    let at = |partition: usize| TopicPartition { topic: "t".into(), partition: Partition(partition as i32) };
    let record = |n: usize| OutRecord {
        to: at(n % 2),
        timestamp: TimestampMs(1_700_000_000_000),
        key: Some(n.to_string().into()),
        value: Some(format!("{n:0200}").into()),
        headers: Vec::new(),
    };
    let records: Vec<OutRecord> = (0..RECORDS).map(record).collect();
    let mut writer = log.writer().unwrap();

    let begin = Instant::now();
    (0..10).for_each(|_| drop(writer.commit_all(&records).unwrap()));
    println!("commit of 64 Ki records of 200 bytes: {:?}", begin.elapsed() / 10);

    let begin = Instant::now();
    (0..500).for_each(|_| drop(writer.commit_all(&records[..1]).unwrap()));
    println!("commit of one record: {:?}", begin.elapsed() / 500);

    let mut reader = log.reader(&Default::default()).unwrap();
    reader.assign(&at(1), Offset(0)).unwrap();
    let begin = Instant::now();
    let mut read = 0;
    while read < 5 * RECORDS {
        read += reader.poll(RECORDS, Duration::ZERO).unwrap().len();
    }
    println!("reading a record: {:?}", begin.elapsed() / read as u32);
}
