//! Readers beside a writer: in order, nothing lost, a commit seen in all topics at once or in none.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::Duration;

use api::{Log, LogError, TopicPartition, Transport};
use bytes::Bytes;
use zset::Offset;

use super::{at, dice, open, record, spec};

const COMMITS: i64 = 400;
const SEED: u64 = 20_240_115;

/// So many that a commit which became visible step by step would be met half-way.
const WIDE: i32 = 300;

#[test]
fn a_commit_is_seen_in_all_partitions_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.make_topic(&spec("wide", WIDE as u32 - 1)).unwrap();
    let partitions: Vec<_> = (1..WIDE).map(|p| at("wide", p - 1)).chain([at("b", 0)]).collect();
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let mut reader = log.reader(&Default::default()).unwrap();
            partitions.iter().for_each(|at| reader.assign(at, Offset(0)).unwrap());
            let partitions = partitions.clone();
            thread::spawn(move || {
                let mut next: HashMap<TopicPartition, i64> = partitions.into_iter().map(|at| (at, 0)).collect();
                while next.values().any(|n| *n < 100) {
                    let records = reader.poll(usize::MAX, Duration::from_secs(60)).unwrap();
                    assert!(!records.is_empty(), "no commit came");
                    for record in records {
                        let next = next.get_mut(&record.at).unwrap();
                        assert_eq!(record.offset, Offset(*next), "in order, none lost, none twice");
                        assert_eq!(record.key.as_deref(), Some(next.to_string().as_bytes()));
                        *next += 1;
                    }
                    let seen: HashSet<i64> = next.values().copied().collect();
                    assert_eq!(seen.len(), 1, "a commit is seen in part: {seen:?}");
                }
            })
        })
        .collect();
    let mut writer = log.writer().unwrap();
    for n in 0..100 {
        let records = partitions.iter().map(|to| record(to, &n.to_string(), Bytes::new()));
        writer.commit_all(&records.collect::<Vec<_>>()).unwrap();
    }
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

#[test]
fn small_polls_lose_nothing_while_commits_and_appends_go_on() {
    println!("seed {SEED}");
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut reader = log.reader(&Default::default()).unwrap();
    reader.assign(&at("a", 0), Offset(0)).unwrap();
    let reading = thread::spawn(move || {
        let mut got = Vec::new();
        while got.len() < 2 * COMMITS as usize {
            let max = 1 + dice(SEED, got.len() as u64) as usize % 7;
            let records = reader.poll(max, Duration::from_secs(60)).unwrap();
            assert!((1..=max).contains(&records.len()));
            got.extend(records);
        }
        got
    });
    let appending = {
        let log = log.clone();
        thread::spawn(move || {
            let append = |n: i64| log.append(&[record(&at("a", 0), &format!("append {n}"), Bytes::new())]).unwrap()[0];
            (0..COMMITS).map(append).collect::<Vec<_>>()
        })
    };
    let mut writer = log.writer().unwrap();
    let commit = |n: i64| writer.commit_all(&[record(&at("a", 0), &format!("commit {n}"), Bytes::new())]).unwrap()[0];
    let committed: Vec<_> = (0..COMMITS).map(commit).collect();
    let appended = appending.join().unwrap();
    let got = reading.join().unwrap();
    for (name, offsets) in [("commit", committed), ("append", appended)] {
        for (n, offset) in offsets.iter().enumerate() {
            let record = &got[offset.0 as usize];
            assert_eq!(record.offset, *offset);
            assert_eq!(record.key.as_deref(), Some(format!("{name} {n}").as_bytes()));
        }
    }
}

#[test]
fn a_reader_overtaken_by_trimming_is_out_of_range() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let records: Vec<_> = (0..10).map(|n| record(&at("a", 0), &n.to_string(), Bytes::new())).collect();
    log.append(&records).unwrap();
    let mut reader = log.reader(&Default::default()).unwrap();
    reader.assign(&at("a", 0), Offset(0)).unwrap();
    reader.assign(&at("b", 0), Offset(0)).unwrap();
    assert_eq!(reader.poll(4, Duration::ZERO).unwrap().len(), 4);
    log.trim(&at("a", 0), Offset(4)).unwrap();
    assert_eq!(reader.poll(1, Duration::ZERO).unwrap()[0].offset, Offset(4), "its position is still there");
    log.trim(&at("a", 0), Offset(6)).unwrap();
    let gone = reader.poll(1, Duration::ZERO);
    assert!(matches!(gone, Err(LogError::OutOfRange { offset: Offset(5), low: Offset(6), .. })), "{gone:?}");
    reader.assign(&at("a", 0), Offset(6)).unwrap();
    assert_eq!(reader.poll(9, Duration::ZERO).unwrap().len(), 4);
}
