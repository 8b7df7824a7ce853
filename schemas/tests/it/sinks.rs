//! The records of sinks, as the interface pins them.
#![allow(clippy::unwrap_used)]

use plan::{Envelope, SinkEnvelope};
use schemas::{SinkEncoder, SinkEpoch, SinkNames, SinkRecord, murmur2};
use zset::{Delta, Epoch, RowCodec, TimestampMs, consolidate};

use crate::model::{Table, columns};

const T: &[(&str, &str)] = &[("a", "bigint"), ("b", "text"), ("n", "numeric(12,2)")];

/// A consolidated delta of JSON rows with weights.
fn delta(list: &[(&str, &str)], rows: &[(&str, i64)]) -> Delta {
    let mut table = Table::new(columns(list), &[], Envelope::Append, &[]);
    let records: Vec<(Option<&str>, Option<&str>)> = rows.iter().map(|(row, _)| (None, Some(*row))).collect();
    let changes = table.decode(&records);
    assert_eq!(table.reasons(), Vec::<&str>::new());
    let codec = RowCodec::new(changes.rows.schema());
    consolidate(&Delta::new(changes.rows, rows.iter().map(|(_, weight)| *weight).collect::<Vec<_>>().into()), &codec)
}

fn encode(envelope: SinkEnvelope, key: &[usize], tombstones: bool, snapshot: bool, delta: &Delta) -> Vec<SinkRecord> {
    let names = SinkNames { pipeline: "mill\"stream".into(), table: "v".into() };
    let encoder = SinkEncoder::new(&columns(T), key, envelope, tombstones, &names);
    encoder.encode(delta, &SinkEpoch { epoch: Epoch(17), timestamp: TimestampMs(1_700_000_000_123), snapshot })
}

fn text(records: &[SinkRecord]) -> Vec<(String, String)> {
    let show = |bytes: Option<&[u8]>| bytes.map_or("-".to_string(), |bytes| String::from_utf8(bytes.to_vec()).unwrap());
    records.iter().map(|record| (show(record.key.as_deref()), show(record.value.as_deref()))).collect()
}

fn event(before: &str, after: &str, snapshot: &str, op: &str) -> String {
    format!(
        "{{\"before\":{before},\"after\":{after},\"source\":{{\"version\":\"{}\",\"connector\":\"millstream\",\
         \"name\":\"mill\\\"stream\",\"ts_ms\":1700000000123,\"snapshot\":\"{snapshot}\",\"db\":\"mill\\\"stream\",\
         \"schema\":\"public\",\"table\":\"v\",\"epoch\":17}},\"op\":\"{op}\",\"ts_ms\":1700000000123}}",
        env!("CARGO_PKG_VERSION")
    )
}

const ONE: &str = r#"{"a":1,"b":"x","n":"12.50"}"#;
const ONE_NEW: &str = r#"{"a":1,"b":"y","n":null}"#;
const TWO: &str = r#"{"a":2,"b":null,"n":"0.00"}"#;
const THREE: &str = r#"{"a":3,"b":"z","n":"-0.05"}"#;

#[test]
fn upsert_is_one_record_a_key() {
    let delta = delta(T, &[(ONE, -1), (ONE_NEW, 1), (TWO, -1), (THREE, 1), (THREE, 1), (THREE, -1)]);
    let records = encode(SinkEnvelope::Upsert, &[0], true, false, &delta);
    let mut found = text(&records);
    found.sort();
    let pair = |key: &str, value: &str| (key.to_string(), value.to_string());
    assert_eq!(found, [pair(r#"{"a":1}"#, ONE_NEW), pair(r#"{"a":2}"#, "-"), pair(r#"{"a":3}"#, THREE)]);
    for record in &records {
        assert_eq!(record.partition_hash, murmur2(record.key.as_deref().unwrap()) as u32);
    }
    // Key columns in the order of the key, not of the table.
    let records = encode(SinkEnvelope::Upsert, &[1, 0], true, false, &delta);
    assert!(text(&records).contains(&pair(r#"{"b":"z","a":3}"#, THREE)));
}

#[test]
fn debezium_with_a_key() {
    let delta = delta(T, &[(ONE, -1), (ONE_NEW, 1), (TWO, -1), (THREE, 1)]);
    let mut found = text(&encode(SinkEnvelope::Debezium, &[0], true, false, &delta));
    found.sort();
    let expected = [
        (r#"{"a":1}"#, event(ONE, ONE_NEW, "false", "u")),
        (r#"{"a":2}"#, "-".to_string()),
        (r#"{"a":2}"#, event(TWO, "null", "false", "d")),
        (r#"{"a":3}"#, event("null", THREE, "false", "c")),
    ];
    assert_eq!(found, expected.map(|(key, value)| (key.to_string(), value)));
    let records = encode(SinkEnvelope::Debezium, &[0], true, false, &delta);
    let tombstone = records.iter().position(|record| record.value.is_none()).unwrap();
    assert_eq!(records[tombstone - 1].key, records[tombstone].key, "behind its d");
    assert_eq!(records[tombstone - 1].partition_hash, records[tombstone].partition_hash);
    assert_eq!(encode(SinkEnvelope::Debezium, &[0], false, false, &delta).len(), 3);
    let snapshot = super::sinks::delta(T, &[(THREE, 1)]);
    assert_eq!(
        text(&encode(SinkEnvelope::Debezium, &[0], true, true, &snapshot)),
        [(r#"{"a":3}"#.to_string(), event("null", THREE, "true", "r"))]
    );
}

#[test]
fn debezium_without_a_key_has_a_record_a_copy() {
    let delta = delta(T, &[(ONE, 2), (TWO, -2)]);
    let records = encode(SinkEnvelope::Debezium, &[], false, false, &delta);
    let mut values: Vec<String> = text(&records).into_iter().map(|(key, value)| key + &value).collect();
    values.sort();
    let create = "-".to_string() + &event("null", ONE, "false", "c");
    let delete = "-".to_string() + &event(TWO, "null", "false", "d");
    assert_eq!(values, [create.clone(), create, delete.clone(), delete]);
    for record in &records {
        let row = if record.value.as_ref().unwrap().starts_with(b"{\"before\":null") { ONE } else { TWO };
        assert_eq!(record.partition_hash, murmur2(row.as_bytes()) as u32, "of the row's JSON");
    }
    assert_eq!(encode(SinkEnvelope::Debezium, &[], true, false, &delta).len(), 6);
}

#[test]
fn append_writes_rows() {
    let delta = delta(T, &[(ONE, 1), (TWO, 2)]);
    let mut found = text(&encode(SinkEnvelope::Append, &[], true, false, &delta));
    found.sort();
    let pair = |value: &str| ("-".to_string(), value.to_string());
    assert_eq!(found, [pair(ONE), pair(TWO), pair(TWO)]);
}

#[test]
fn append_writes_every_row_whatever_its_key() {
    let delta = delta(T, &[(ONE, 1), (ONE_NEW, 1), (TWO, 2)]);
    let records = encode(SinkEnvelope::Append, &[0], true, false, &delta);
    let mut found = text(&records);
    found.sort();
    let pair = |key: &str, value: &str| (key.to_string(), value.to_string());
    let (one, two) = (r#"{"a":1}"#, r#"{"a":2}"#);
    let mut wanted = [pair(one, ONE), pair(one, ONE_NEW), pair(two, TWO), pair(two, TWO)];
    wanted.sort();
    assert_eq!(found, wanted);
    for record in &records {
        assert_eq!(record.partition_hash, murmur2(record.key.as_deref().unwrap()) as u32);
    }
}

#[test]
fn nothing_gives_nothing() {
    let empty = Delta::empty(columns(T).schema());
    for envelope in [SinkEnvelope::Append, SinkEnvelope::Upsert, SinkEnvelope::Debezium] {
        assert_eq!(encode(envelope, &[0], true, true, &empty), []);
    }
}

#[test]
fn every_type_has_its_pinned_form() {
    let list = [
        ("bo", "boolean"),
        ("s", "smallint"),
        ("i", "integer"),
        ("b", "bigint"),
        ("r", "real"),
        ("d", "double precision"),
        ("n", "numeric(12,2)"),
        ("w", "numeric(60,20)"),
        ("t", "text"),
        ("vc", "varchar(5)"),
        ("by", "bytea"),
        ("da", "date"),
        ("ti", "time"),
        ("ts", "timestamp(6)"),
        ("tz", "timestamptz(3)"),
        ("u", "uuid"),
        ("j", "jsonb"),
        ("we\"ird ü", "text"),
    ];
    let full = r#"{"bo":true,"s":-1,"i":2147483647,"b":-9223372036854775808,"r":0.1,"d":1e300,"n":"12.50","w":"0.3333","t":"a\"\\\n\u0001é/🎉","vc":"v","by":"AP8Q","da":"2024-01-15","ti":"13:14:15.123456","ts":"2024-01-15T10:00:00.123456","tz":"2024-01-15T10:00:00.000000Z","u":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11","j":"{\"a\": [1.0, \"x\"]}","we\"ird ü":""}"#;
    let special = r#"{"bo":false,"s":0,"i":0,"b":0,"r":"NaN","d":"-Infinity","n":"0.00","w":"-100","t":"","vc":"","by":"","da":"0001-01-01","ti":"00:00:00.000000","ts":"1969-12-31T23:59:59.999999","tz":"9999-12-31T23:59:59.999000Z","u":"00000000-0000-0000-0000-000000000000","j":"null","we\"ird ü":""}"#;
    let nulls = format!("{{{}}}", list.map(|(name, _)| format!("{name:?}:null")).join(","));
    for row in [full, special, &nulls] {
        let delta = delta(&list, &[(row, 1)]);
        let names = SinkNames { pipeline: "p".into(), table: "v".into() };
        let encoder = SinkEncoder::new(&columns(&list), &[], SinkEnvelope::Append, true, &names);
        let at = SinkEpoch { epoch: Epoch(1), timestamp: TimestampMs(1), snapshot: false };
        assert_eq!(text(&encoder.encode(&delta, &at)), [("-".to_string(), row.to_string())]);
    }
}

/// Room for so many as long as the first would be more than the machine has.
#[test]
fn a_long_row_before_many_short_ones() {
    let long = format!(r#"{{"a":0,"b":"{}","n":null}}"#, "x".repeat(2 << 20));
    let mut table = Table::new(columns(T), &[], Envelope::Append, &[]);
    let one: Vec<(Option<&str>, Option<&str>)> = vec![(None, Some(&long))];
    assert_eq!(table.decode(&one).rows.num_rows(), 1);
    let short: Vec<(Option<&str>, Option<&str>)> = vec![(None, Some(TWO)); 100_000];
    assert_eq!(table.decode(&short).rows.num_rows(), 100_000);
    let changes = table.decode(&[one, short].concat());
    let delta = Delta::new(changes.rows, vec![1; 100_001].into());
    assert_eq!(encode(SinkEnvelope::Append, &[], true, false, &delta).len(), 100_001);
}
