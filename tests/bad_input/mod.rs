//! Bad input through a real Kafka, as a client sees it: records of every kind of badness between good ones, records of 10 MB in a cluster
//! whose topics take 1 MiB, a source that stops, letters that are shown and replayed, with kills between.

use std::sync::OnceLock;

use api::{Headers, OutRecord, Record, TopicPartition};
use bytes::Bytes;
use zset::{Partition, TimestampMs};

use crate::kill::load::now_ms;
use crate::topics::rig::{Rig, Rows, Running, until};

const SQL: &str = "
CREATE TABLE t (id INT PRIMARY KEY, v INT, n NUMERIC(12,2)) WITH (connector = 'kafka', topic = '@t', dlq_topic = '@t.dlq',
  format = 'json', envelope = 'upsert', decimal_handling_mode = 'precise');
CREATE STREAM TABLE s AS SELECT v, count(*) AS n FROM t GROUP BY v;
CREATE SINK counts FROM s WITH (connector = 'kafka', topic = '@counts', format = 'json', envelope = 'upsert');
";

/// So that the topic takes what the dead-letter topic does not.
const LARGE: &[(&str, &str)] = &[("max.message.bytes", "20000000")];

/// Of all records.
fn time() -> i64 {
    static TIME: OnceLock<i64> = OnceLock::new();
    *TIME.get_or_init(now_ms)
}

fn append(rig: &Rig, records: &[(&str, Vec<u8>)]) {
    let record = |(key, value): &(&str, Vec<u8>)| OutRecord {
        to: TopicPartition { topic: rig.topic("t").into(), partition: Partition(0) },
        timestamp: TimestampMs(time()),
        key: Some(Bytes::from(key.to_string())),
        value: Some(Bytes::from(value.clone())),
        headers: vec![("trace".to_string(), Some("7".into()))],
    };
    let records: Vec<OutRecord> = records.iter().map(record).collect();
    rig.log.append(&records).expect("the topic takes records");
}

/// What a letter says of itself, and how its reason begins; the value that it was of.
type Expected<'a> = (&'a str, &'a [u8], &'a str);

fn header(headers: &Headers, name: &str) -> Option<String> {
    let found = headers.iter().find(|(found, _)| found == &format!("millstream.error.{name}"))?;
    Some(String::from_utf8_lossy(found.1.as_deref().unwrap_or_default()).into_owned())
}

/// All that a letter must have.
fn judge_letter(rig: &Rig, letter: &Record, (offset, value, reason): Expected<'_>) {
    let of = |name: &str| header(&letter.headers, name).unwrap_or_else(|| panic!("no header {name}: {letter:?}"));
    assert_eq!((of("table"), of("topic"), of("partition")), ("t".into(), rig.topic("t"), "0".into()));
    assert_eq!((of("offset").as_str(), of("timestamp")), (offset, time().to_string()));
    assert!(of("reason").starts_with(reason), "{} is not {reason}", of("reason"));
    assert!(of("epoch").parse::<u64>().is_ok() && of("incarnation").len() == 36);
    assert_eq!(letter.headers[0], ("trace".to_string(), Some("7".into())), "the record's own headers are kept");
    let kept = letter.value.as_deref().unwrap_or_default();
    let cut = value.len() > 1_000_000;
    assert_eq!(header(&letter.headers, "truncated").is_some(), cut);
    assert!(if cut { value.starts_with(kept) && kept.len() > 900_000 } else { kept == value }, "the original bytes");
}

#[test]
fn bad_records_through_kafka() {
    let mut rig = Rig::new("bad", SQL);
    rig.make("t", 1, LARGE);
    let mut running = rig.start();
    let ten_mb = "x".repeat(10 << 20);
    let bad_large = format!(r#"{{"v":"{ten_mb}"}}"#).into_bytes();
    let good_large = format!(r#"{{"v":2,"unknown":"{ten_mb}"}}"#).into_bytes();
    let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000)).into_bytes();
    let cases: [(&[u8], &str); 6] = [
        (&bad_large, "column \"v\" is integer: \"xxx"),
        (b"{\"v\":1", "the value is not JSON: it ends too early, after 6 bytes"),
        (b"{\"v\":\"\xff\"}", "the value is not UTF-8 text: byte 6 of 9 is invalid"),
        (b"{\"v\":NaN}", "the value is not JSON: a value was expected at byte 5, where it says NaN}"),
        (b"{\"v\":99999999999999999999}", "column \"v\" is integer: 99999999999999999999 is out of range"),
        (&deep, "the value is an array; a JSON object was expected"),
    ];
    append(&rig, &[("1", b"{\"v\":1}".to_vec())]);
    for (value, _) in &cases {
        append(&rig, &[("9", value.to_vec())]);
    }
    append(&rig, &[("2", good_large), ("3", b"{\"v\":2}".to_vec())]);
    let rows: Rows = [(1, 1), (2, 2), (3, 2)].into();
    for _ in 0..2 {
        running.wait_for(&rows, "the good ones are there");
        until("the sink has them", || rig.counts("counts") == [(1, 1), (2, 2)].into());
        let letters = rig.read("t.dlq", 0);
        assert_eq!(letters.len(), cases.len(), "each once");
        for ((letter, (value, reason)), offset) in letters.iter().zip(&cases).zip(1..) {
            judge_letter(&rig, letter, (&offset.to_string(), value, reason));
        }
        running.kill();
        running = rig.start();
    }
    running.stop();
}

/// The rows of an answer.
fn ask(running: &mut Running, sql: &str) -> Vec<Vec<String>> {
    let rows = running.client.simple_query(sql).unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    let row = |message| match message {
        postgres::SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or_default().to_string()).collect())
        }
        _ => None,
    };
    rows.into_iter().filter_map(row).collect()
}

#[test]
fn letters_are_replayed_through_kafka_and_a_source_stops_and_goes_on() {
    let mut rig = Rig::new("letters", SQL);
    rig.make("t", 1, LARGE);
    let mut running = rig.start();
    let text = |v: i64| format!("{{\"v\":{v},\"n\":\"1.50\"}}").into_bytes();
    append(&rig, &[("1", text(1)), ("2", text(2)), ("2", b"{\"v\":7}".to_vec()), ("3", b"{".to_vec())]);
    running.wait_for(&[(2, 7)].into(), "the good one is there");
    let mut shown = Vec::new();
    until("the letters can be read", || {
        shown = ask(&mut running, "SHOW DEAD LETTERS FROM t LIMIT 2");
        shown.len() == 2 && shown[0][4] == "3"
    });
    let newest = &shown[0];
    assert_eq!(newest[2..4], [rig.topic("t"), "0".to_string()]);
    let (seconds, millis) = (time() / 1000 % 86_400, time() % 1000);
    let clock = format!(" {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = format!(".{millis:03}").trim_end_matches(['0', '.']).to_string();
    assert!(newest[5].ends_with(&format!("{clock}{fraction}+00")), "{} is not {clock}{fraction}", newest[5]);
    assert_eq!(newest[7..], ["the value is not JSON: it ends too early, after 1 bytes", "3", "{", "waiting"]);

    running.sql("SET default_transaction_read_only = on");
    let refused = running.client.simple_query("REPLAY DEAD LETTERS FROM t").expect_err("it changes rows");
    assert_eq!(refused.code().map(|code| code.code().to_string()).as_deref(), Some("25006"));
    running.sql("SET default_transaction_read_only = off");
    running.sql("ALTER TABLE t SET (decimal_handling_mode = 'string', on_error = 'stop')");
    running.kill();
    let mut running = rig.start();
    // 1 is as it was sent, 2 is newer by now, 3 is as bad as before.
    until("the letters can be read", || ask(&mut running, "SHOW DEAD LETTERS FROM t").len() == 3);
    assert_eq!(ask(&mut running, "REPLAY DEAD LETTERS FROM t"), [["1", "1", "1", "0", "f"]]);
    running.wait_for(&[(1, 1), (2, 7)].into(), "what was mended is there");
    running.kill();
    let mut running = rig.start();
    running.wait_for(&[(1, 1), (2, 7)].into(), "as it was");
    until("the sink has them", || rig.counts("counts") == [(1, 1), (7, 1)].into());
    assert_eq!(rig.read("t.dlq", 0).len(), 4, "what failed is a letter again, once");

    append(&rig, &[("4", text(4)), ("5", b"{".to_vec()), ("6", text(6))]);
    until("it is halted", || running.halted().is_some());
    running.kill();
    let mut running = rig.start();
    let why = running.halted().expect("it still is");
    assert!(why.contains("partition 0 offset 5") && why.contains("ALTER TABLE t RESUME"), "{why}");
    running.wait_for(&[(1, 1), (2, 7), (4, 4)].into(), "what came before is there");
    running.sql("ALTER TABLE t SET (on_error = 'dead_letter')");
    running.wait_for(&[(1, 1), (2, 7), (4, 4), (6, 6)].into(), "it goes on");
    running.stop();
}
