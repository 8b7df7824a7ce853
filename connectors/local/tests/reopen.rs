//! Opening again: everything is there; what is not ours, newer or in use is refused with a reason.

use std::fs;

use api::{Log, LogError, TopicKind, TopicSpec, Transport};
use rocksdb::{DB, Options};
use zset::{Offset, TimestampMs};

use super::{at, commit_records, contents, files, open, spec, whole_commits};
use crate::LocalLog;
use crate::keys::{FORMAT, FORMAT_KEY};

#[test]
fn everything_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..4_u64 {
        let log = open(dir.path());
        assert_eq!(whole_commits(&contents(&log).unwrap()), round * 3);
        let mut writer = log.writer().unwrap();
        for n in round * 3..round * 3 + 3 {
            writer.commit_all(&commit_records(n)).unwrap();
        }
    }
    let log = open(dir.path());
    assert_eq!(whole_commits(&contents(&log).unwrap()), 12);
    let topics: Vec<_> = log.topics().unwrap().into_iter().map(|t| (t.topic, t.partitions)).collect();
    assert_eq!(topics, [("a".to_string(), 2), ("b".to_string(), 1)]);
}

#[test]
fn trimming_and_kinds_and_times_are_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let epochs = TopicSpec { kind: TopicKind::Epochs, ..spec("p.epochs", 1) };
    let late = {
        let log = open(dir.path());
        log.make_topic(&epochs).unwrap();
        log.append(&commit_records(4)).unwrap();
        log.trim(&at("a", 0), Offset(2)).unwrap();
        log.trim(&at("b", 0), Offset(3)).unwrap();
        TimestampMs(commit_records(4)[0].timestamp.0 + 1)
    };
    let log = LocalLog::open(dir.path()).unwrap();
    log.make_topic(&epochs).unwrap();
    assert!(log.make_topic(&TopicSpec { kind: TopicKind::Epochs, ..spec("b", 1) }).is_err());
    let bounds = |at| log.bounds(&at).map(|b| (b.low.0, b.high.0)).unwrap();
    assert_eq!([bounds(at("a", 0)), bounds(at("a", 1)), bounds(at("b", 0))], [(2, 3), (0, 3), (3, 3)]);
    assert_eq!(log.offset_at(&at("a", 1), late).unwrap(), Offset(3));
    assert_eq!(log.append(&commit_records(0)).unwrap()[2], Offset(3), "offsets go on where they were");
}

#[test]
fn a_second_opening_says_that_it_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let error = LocalLog::open(dir.path()).err().unwrap();
    assert!(matches!(&error, LogError::Unusable(why) if why.contains("in use by another process")), "{error}");
    // It is the last handle, also a reader, that holds the folder.
    let reader = first.reader(&Default::default()).unwrap();
    drop(first);
    assert!(LocalLog::open(dir.path()).is_err());
    drop(reader);
    open(dir.path());
}

#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let mut options = Options::default();
    options.set_track_and_verify_wals_in_manifest(true);
    let db = DB::open(&options, dir.path()).unwrap();
    db.put(FORMAT_KEY, (FORMAT + 1).to_be_bytes()).unwrap();
    drop(db);
    let error = LocalLog::open(dir.path()).err().unwrap();
    assert!(matches!(&error, LogError::Unusable(why) if why.contains("format 2")), "{error}");
}

#[test]
fn another_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.create_if_missing(true);
    DB::open(&options, dir.path()).unwrap().put(b"something", b"else").unwrap();
    let error = LocalLog::open(dir.path()).err().unwrap();
    assert!(matches!(&error, LogError::Unusable(why) if why.contains("not an embedded log")), "{error}");
}

#[test]
fn records_without_their_current_file_are_not_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.append(&commit_records(0)).unwrap();
    drop(log);
    fs::remove_file(dir.path().join("CURRENT")).unwrap();
    let before = files(dir.path(), |_| true);
    let error = LocalLog::open(dir.path()).err().unwrap();
    assert!(matches!(&error, LogError::Fatal(why) if why.contains("CURRENT")), "{error}");
    assert_eq!(files(dir.path(), |_| true), before, "nothing was touched");
}
