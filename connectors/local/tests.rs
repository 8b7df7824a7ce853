//! Tests of the embedded log. What they share is here: a log in a folder, commits with known contents, crash images.
#![allow(clippy::unwrap_used)]

mod chunks;
mod concurrent;
mod conform;
mod crash;
mod damage;
mod files;
mod lines;
mod reopen;

use std::fs;
use std::path::{Path, PathBuf};

use api::{Log, LogError, OutRecord, Record, TopicKind, TopicPartition, TopicSpec, Transport};
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;
use zset::{Offset, Partition, TimestampMs};

use crate::LocalLog;

/// A number by chance: the same for the same seed and place.
fn dice(seed: u64, n: u64) -> u64 {
    xxh3_64_with_seed(&n.to_le_bytes(), seed)
}

fn noise(seed: u64, len: usize) -> Bytes {
    (0..len as u64).map(|n| dice(seed, n / 8).to_le_bytes()[n as usize % 8]).collect::<Vec<u8>>().into()
}

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition: Partition(partition) }
}

fn spec(topic: &str, partitions: u32) -> TopicSpec {
    TopicSpec { topic: topic.into(), partitions, replication: None, kind: TopicKind::Plain }
}

fn record(to: &TopicPartition, key: &str, value: Bytes) -> OutRecord {
    let timestamp = TimestampMs(1_700_000_000_000 + value.len() as i64);
    OutRecord { to: to.clone(), timestamp, key: Some(key.to_owned().into()), value: Some(value), headers: Vec::new() }
}

/// A log with topics `a` (2 partitions) and `b` (1).
fn open(dir: &Path) -> LocalLog {
    let log = LocalLog::open(dir).unwrap();
    log.make_topic(&spec("a", 2)).unwrap();
    log.make_topic(&spec("b", 1)).unwrap();
    log
}

/// The records of commit `n`: the same number in each of the three partitions, sizes by `n`.
fn commit_records(n: u64) -> Vec<OutRecord> {
    let size = |i: u64| if n % 5 == 4 { 90_000 } else { 10 + (dice(n, i) % 300) as usize };
    (0..3)
        .flat_map(|i| {
            [at("a", 0), at("a", 1), at("b", 0)].map(|to| record(&to, &format!("{n}.{i}"), noise(n, size(i))))
        })
        .collect()
}

/// All there is, by partition in order of `a` 0, `a` 1, `b` 0.
fn contents(log: &LocalLog) -> Result<Vec<Vec<Record>>, LogError> {
    [at("a", 0), at("a", 1), at("b", 0)]
        .iter()
        .map(|at| {
            let bounds = log.bounds(at)?;
            let (mut records, mut next) = (Vec::new(), bounds.low);
            while next < bounds.high {
                records.extend(log.read(&at.topic, at.partition, next, 1000)?);
                next = Offset(records.last().map(|r: &Record| r.offset.0 + 1).unwrap());
            }
            Ok(records)
        })
        .collect()
}

/// What `contents` must be after the first `commits` commits.
fn expected(commits: u64) -> Vec<Vec<Record>> {
    let mut partitions = vec![Vec::new(); 3];
    for n in 0..commits {
        for (i, record) in commit_records(n).into_iter().enumerate() {
            let records: &mut Vec<Record> = &mut partitions[i % 3];
            let OutRecord { to: at, timestamp, key, value, headers } = record;
            records.push(Record { at, offset: Offset(records.len() as i64), timestamp, key, value, headers });
        }
    }
    partitions
}

/// How many whole commits there are; panics if one is there in part or otherwise than it was written.
fn whole_commits(contents: &[Vec<Record>]) -> u64 {
    let commits = contents[0].len() as u64 / 3;
    assert!(
        contents == expected(commits),
        "not a row of whole commits: {:?}",
        contents.iter().map(Vec::len).collect::<Vec<_>>()
    );
    commits
}

/// A copy of the folder as a power cut would leave it: what is synced, without a clean closing.
fn image(of: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(of).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() != "LOCK" {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// Files of a kind, in order of their numbers.
fn files(dir: &Path, is: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| is(path.file_name().unwrap().to_str().unwrap())).collect();
    paths.sort();
    paths
}
