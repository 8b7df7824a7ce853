#![allow(clippy::unwrap_used)]
//! The lines and what becomes of them on an embedded log. Break `compact`, the check of all lines before the first write,
//! or the end at which reading stops, and they fail.

use std::sync::Arc;
use std::time::Duration;

use api::{Record, TopicKind, TopicPartition, TopicSpec};
use axum::http::StatusCode;
use bytes::Bytes;
use runtime::Phase;
use zset::{Offset, Partition, TimestampMs};

use crate::read::{Lines, ReadOptions, parts, send};
use crate::{LogDoor, WriteError, WriteOptions, line, write_lines};

fn door() -> (tempfile::TempDir, LogDoor) {
    let dir = tempfile::tempdir().unwrap();
    let log = local::LocalLog::open(&dir.path().join("log")).unwrap();
    (dir, LogDoor::new(Arc::new(log), "millstream.epochs".into(), true))
}

fn write(door: &LogDoor, topic: &str, body: &str) -> Result<Vec<(i32, i64)>, WriteError> {
    let written = write_lines(door, topic, &WriteOptions::default(), body.as_bytes(), TimestampMs(77))?;
    Ok(written.into_iter().map(|(partition, offset)| (partition.0, offset.0)).collect())
}

fn read(door: &LogDoor, topic: &str, options: ReadOptions) -> Vec<String> {
    let parts = parts(&*door.log, topic, &options).unwrap();
    let (sender, mut lines) = Lines::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            send(&*door.log, &parts, options.max, &sender);
            drop(sender);
        });
        let mut text = Vec::new();
        while let Some(chunk) = lines.blocking_recv() {
            text.extend_from_slice(&chunk.unwrap());
        }
        String::from_utf8(text).unwrap().lines().map(str::to_string).collect()
    })
}

fn record(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&str, Option<&[u8]>)]) -> Record {
    let bytes = |part: Option<&[u8]>| part.map(Bytes::copy_from_slice);
    Record {
        at: TopicPartition { topic: "t".into(), partition: Partition(2) },
        offset: Offset(9),
        timestamp: TimestampMs(5),
        key: bytes(key),
        value: bytes(value),
        headers: headers.iter().map(|(name, value)| (name.to_string(), bytes(*value))).collect(),
    }
}

#[test]
fn what_is_read_can_be_written_again() {
    let cases = [
        record(None, None, &[]),
        record(Some(b""), Some(b""), &[("a", None), ("b", Some(b"x"))]),
        record(Some(b"{\"id\": 1}"), Some("\"é\n\u{1F600}\"".as_bytes()), &[("a", Some(b"1")), ("a", Some(b"2"))]),
        record(Some(&[0xff, 0x00]), Some(b"{\"$base64\":\"AA==\"}"), &[("\"", Some(&[0xc3]))]),
    ];
    for case in cases {
        let mut text = Vec::new();
        line::write(&case, &mut text);
        let parsed = line::parse(text.trim_ascii_end(), "t").unwrap();
        assert_eq!((parsed.key, parsed.value, parsed.headers), (case.key, case.value, case.headers));
        assert_eq!((parsed.partition, parsed.timestamp), (Some(2), Some(5)));
    }
}

#[test]
fn other_json_stands_for_its_text() {
    for (written, bytes) in [
        (r#""a\"b""#, "a\"b"),
        (r#"{ "b" : 1.10, "a": [ 1, "x  \" {y" , null ] }"#, r#"{"b":1.10,"a":[1,"x  \" {y",null]}"#),
        (r#"12345678901234567890"#, "12345678901234567890"),
        (r#"[ "AA==" ]"#, r#"["AA=="]"#),
        (r#"{"$base64":"AA==","x":1}"#, r#"{"$base64":"AA==","x":1}"#),
        (r#"{"$base64":"aGk="}"#, "hi"),
        ("true", "true"),
    ] {
        let parsed = line::parse(format!("{{\"value\":{written}}}").as_bytes(), "t").unwrap();
        assert_eq!(parsed.value.unwrap(), Bytes::from(bytes.to_string()), "{written}");
    }
}

#[test]
fn a_wrong_line_says_why() {
    for (written, why) in [
        ("{}", "missing field `value`"),
        ("nonsense", "not a JSON object"),
        ("[1,2]", "not a JSON object"),
        (r#"{"value":1,"vlaue":2}"#, "vlaue"),
        (r#"{"value":1,"value":2}"#, "duplicate field"),
        (r#"{"value":{"$base64":"!"}}"#, "base64"),
        (r#"{"value":1,"topic":"other"}"#, "topic \"other\""),
        (r#"{"value":"\ud800"}"#, "not text"),
        (r#"{"value":1,"headers":3}"#, "headers"),
    ] {
        let error = line::parse(written.as_bytes(), "t").unwrap_err();
        assert!(error.contains(why), "{written}: {error}");
    }
}

#[test]
fn all_lines_or_none() {
    let (_dir, door) = door();
    assert_eq!(write(&door, "t", "{\"value\":\"a\"}\n\n{\"value\":\"b\"}\n").unwrap(), [(0, 0), (0, 1)]);
    let error = write(&door, "t", "{\"value\":\"c\"}\n\n{\"value\":\"d\",\"partition\":1}").unwrap_err();
    assert!(matches!(&error, WriteError::Line { line: 3, .. }), "{error}");
    let error = write(&door, "t", "{\"value\":\"c\"}\n{").unwrap_err();
    assert!(matches!(&error, WriteError::Line { line: 2, .. }), "{error}");
    assert_eq!(read(&door, "t", ReadOptions::default()).len(), 2, "nothing of a refused body is written");
    assert!(matches!(write(&door, "millstream.epochs", "{\"value\":1}"), Err(WriteError::OwnTopic(_))));
    let strict = LogDoor::new(Arc::clone(&door.log), "e".into(), false);
    assert!(matches!(write(&strict, "missing", "{\"value\":1}"), Err(WriteError::NoTopic { .. })));
}

#[test]
fn keys_choose_the_partition_as_java_clients_do() {
    let (_dir, door) = door();
    let spec = TopicSpec { topic: "t".into(), partitions: 7, replication: None, kind: TopicKind::Plain };
    door.log.make_topic(&spec).unwrap();
    let expected = (-973_932_308i32 & 0x7fff_ffff) % 7;
    assert_eq!(write(&door, "t", r#"{"key":"21","value":1}"#).unwrap(), [(expected, 0)]);
    let turns = write(&door, "t", &"{\"value\":1}\n".repeat(7)).unwrap();
    assert_eq!(turns.iter().map(|(partition, _)| *partition).collect::<std::collections::BTreeSet<_>>().len(), 7);
    let options = WriteOptions { partition: Some(3), partitions: None };
    let body = br#"{"key":"21","value":1,"partition":5}"#;
    let written = write_lines(&door, "t", &options, body, TimestampMs(0)).unwrap();
    assert_eq!(written[0].0, Partition(3), "the partition that was asked for is taken");
}

#[test]
fn reading_takes_ranges() {
    let (_dir, door) = door();
    let body: String = (0..2500).map(|n| format!("{{\"key\":null,\"value\":\"{n}\",\"partition\":0}}\n")).collect();
    write(&door, "t", &body).unwrap();
    let all = read(&door, "t", ReadOptions::default());
    assert_eq!(all.len(), 2500);
    let last = r#"{"partition":0,"offset":2499,"key":null,"value":"2499","headers":{},"timestamp":77}"#;
    assert_eq!(all.last().unwrap(), last);
    let some = read(&door, "t", ReadOptions { partition: Some(0), from: Some(1400), max: Some(3) });
    assert_eq!(some, all[1400..1403]);
    assert!(read(&door, "t", ReadOptions { partition: None, from: Some(2500), max: None }).is_empty());
    let refused = |options| parts(&*door.log, "t", &options).unwrap_err();
    refused(ReadOptions { partition: None, from: Some(2501), max: None });
    refused(ReadOptions { partition: Some(1), from: None, max: None });
    parts(&*door.log, "missing", &ReadOptions::default()).unwrap_err();
}

#[test]
fn health_by_phase() {
    use crate::health::health;
    let (now, long) = (Duration::from_secs(1), Duration::from_secs(11));
    let status = |phase, since| health(&phase, since).0;
    assert_eq!(status(Phase::Starting, long), StatusCode::OK, "recovery takes as long as it takes");
    assert_eq!(status(Phase::Serving, now), StatusCode::OK);
    assert_eq!(status(Phase::Serving, long), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status(Phase::Fenced, now), StatusCode::SERVICE_UNAVAILABLE);
}
