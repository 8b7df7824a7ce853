//! The embedded log is a log.

use std::sync::Arc;

use api::{CommitError, Log, LogError, Transport, conformance};
use bytes::Bytes;
use zset::Offset;

use super::{at, noise, open, record, spec};
use crate::{LocalLog, MAX_RECORD_BYTES};

#[test]
fn it_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let log = LocalLog::open(&dir.path().join("log")).unwrap();
    conformance::run(&|| Arc::new(log.clone()), "conformance");
}

/// With the records of each property read back from disk, not from memory.
#[test]
fn it_conforms_when_reopened_for_each_property() {
    let dir = tempfile::tempdir().unwrap();
    conformance::run(&|| Arc::new(LocalLog::open(dir.path()).unwrap()), "again");
}

#[test]
fn offsets_have_no_gaps_and_are_visible_when_the_commit_returns() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut writer = log.writer().unwrap();
    for n in 0..10 {
        let (a, b) = (record(&at("a", 1), "k", Bytes::new()), record(&at("b", 0), "k", Bytes::new()));
        let offsets = writer.commit_all(&[a.clone(), a, b]).unwrap();
        assert_eq!(offsets, [Offset(2 * n), Offset(2 * n + 1), Offset(n)]);
        assert_eq!(log.bounds(&at("a", 1)).unwrap().high, Offset(2 * n + 2));
        assert_eq!(log.bounds(&at("b", 0)).unwrap().high, Offset(n + 1));
    }
}

#[test]
fn a_record_above_the_limit_is_refused_by_commit_and_append() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let records = [record(&at("a", 0), "k", Bytes::new()), record(&at("a", 0), "", noise(1, MAX_RECORD_BYTES + 1))];
    let refused = log.writer().unwrap().commit_all(&records);
    assert!(matches!(refused, Err(CommitError::Refused { index: 1, .. })), "{refused:?}");
    assert!(matches!(log.append(&records), Err(LogError::Refused { index: 1, .. })));
    let just = [record(&at("a", 0), "", noise(1, MAX_RECORD_BYTES))];
    assert_eq!(log.append(&just).unwrap(), [Offset(0)]);
    assert!(log.read("a", at("a", 0).partition, Offset(0), 1).unwrap()[0].value == just[0].value);
}

#[test]
fn a_missing_partition_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for partition in [2, -1] {
        let error = log.append(&[record(&at("a", partition), "k", Bytes::new())]).unwrap_err().to_string();
        assert_eq!(error, format!("topic \"a\" has 2 partitions, numbered from 0: there is no partition {partition}"));
    }
}

#[test]
fn one_poll_is_bounded_in_bytes_and_the_next_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let big: Vec<_> = (0..30).map(|n| record(&at("a", 0), &n.to_string(), noise(n, 2 << 20))).collect();
    log.append(&big).unwrap();
    let (mut reader, mut polls, mut got) = (log.reader(&Default::default()).unwrap(), 0, Vec::new());
    reader.assign(&at("a", 0), Offset(0)).unwrap();
    while got.len() < big.len() {
        got.extend(reader.poll(usize::MAX, std::time::Duration::ZERO).unwrap());
        polls += 1;
    }
    assert_eq!(polls, 2, "60 MiB are two polls of at most about 32");
    assert!(got.iter().map(|r| &r.value).eq(big.iter().map(|r| &r.value)));
}

#[test]
fn a_busy_partition_does_not_starve_another() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let busy: Vec<_> = (0..100).map(|n| record(&at("a", 0), &n.to_string(), Bytes::new())).collect();
    log.append(&busy).unwrap();
    log.append(&[record(&at("b", 0), "quiet", Bytes::new())]).unwrap();
    let mut reader = log.reader(&Default::default()).unwrap();
    reader.assign(&at("a", 0), Offset(0)).unwrap();
    reader.assign(&at("b", 0), Offset(0)).unwrap();
    let mut first_two = reader.poll(10, std::time::Duration::ZERO).unwrap();
    first_two.extend(reader.poll(10, std::time::Duration::ZERO).unwrap());
    assert!(first_two.iter().any(|r| r.at == at("b", 0)));
}

#[test]
fn times_that_do_not_rise_are_found_too_also_after_trimming() {
    let dir = tempfile::tempdir().unwrap();
    let log = LocalLog::open(dir.path()).unwrap();
    log.make_topic(&spec("times", 1)).unwrap();
    let to = at("times", 0);
    let times = [5, i64::MIN, 3, 900, 7, 8, i64::MAX, 6, 10, 11, 0, 12];
    for pair in times.chunks(2) {
        let records = pair
            .iter()
            .map(|time| api::OutRecord { timestamp: zset::TimestampMs(*time), ..record(&to, "", Bytes::new()) });
        log.append(&records.collect::<Vec<_>>()).unwrap();
    }
    for low in [0, 1, 4, 7, 12] {
        log.trim(&to, Offset(low)).unwrap();
        for wanted in [i64::MIN, 0, 1, 4, 6, 7, 9, 10, 12, 13, 900, 901, i64::MAX] {
            let first = (low as usize..times.len()).find(|i| times[*i] >= wanted).unwrap_or(times.len());
            let found = log.offset_at(&to, zset::TimestampMs(wanted)).unwrap();
            assert_eq!(found, Offset(first as i64), "the first at or after {wanted} from offset {low}");
        }
    }
}
