//! INCLUDE: columns from beside the value.
#![allow(clippy::unwrap_used)]

use plan::Envelope::{self, Append, Debezium, Upsert};
use plan::Include;
use schemas::{Decoder, DecoderSpec, RawRecord, RowWriter, SchemaError};
use zset::{Changes, Op, RowType};

use crate::model::{columns, options};

/// Included columns between the others, so that places are not mixed up.
fn table() -> (RowType, Vec<(usize, Include)>) {
    let columns = columns(&[
        ("k", "bytea"),
        ("id", "bigint!"),
        ("p", "integer"),
        ("o", "bigint"),
        ("v", "text"),
        ("t", "timestamptz(6)"),
        ("h", "jsonb"),
    ]);
    let include = vec![
        (0, Include::Key),
        (2, Include::Partition),
        (3, Include::Offset),
        (5, Include::Timestamp),
        (6, Include::Headers),
    ];
    (columns, include)
}

fn decoder(
    envelope: Envelope,
    key: &[usize],
    given: &[(&str, &str)],
    include: &[(usize, Include)],
) -> Result<Box<dyn Decoder>, SchemaError> {
    let (columns, options) = (table().0, options(given));
    schemas::include(&DecoderSpec { table: "t", columns: &columns, key, envelope, options: &options }, include)
}

fn rows(changes: &Changes) -> Vec<String> {
    let columns = table().0;
    let all: Vec<usize> = (0..columns.0.len()).collect();
    let writer = RowWriter::new(&columns, &all);
    let row = |at: usize| {
        let mut out = Vec::new();
        writer.bind(&changes.rows).write(at, &mut out);
        String::from_utf8(out).unwrap()
    };
    (0..changes.ops.len()).map(row).collect()
}

fn record<'a>(offset: i64, value: &'a str) -> RawRecord<'a> {
    RawRecord {
        partition: 3,
        offset,
        timestamp: 1_700_000_000_123,
        headers: &[("b", None), ("trace", Some(b"x\"y")), ("raw", Some(b"\xff\x00"))],
        ..RawRecord::new(Some(b"k1"), Some(value.as_bytes()))
    }
}

const BESIDE: &str = r#""t":"2023-11-14T22:13:20.123000Z","h":"[{\"key\": \"b\", \"value\": null}, {\"key\": \"trace\", \"value\": \"x\\\"y\"}, {\"key\": \"raw\", \"value\": \"\\\\xff00\"}]""#;

#[test]
fn each_row_has_what_its_own_record_has() {
    let mut decoder = decoder(Append, &[], &[], &table().1).unwrap();
    let records =
        [record(7, r#"{"id":1,"v":"a","o":99}"#), record(8, "broken"), record(9, r#"{"v":"c","id":2,"k":"no"}"#)];
    let decoded = decoder.decode(&records);
    assert_eq!(decoded.dead.iter().map(|letter| letter.record).collect::<Vec<_>>(), [1]);
    let expected = [
        format!(r#"{{"k":"azE=","id":1,"p":3,"o":7,"v":"a",{BESIDE}}}"#),
        format!(r#"{{"k":"azE=","id":2,"p":3,"o":9,"v":"c",{BESIDE}}}"#),
    ];
    assert_eq!(rows(&decoded.changes), expected, "behind a dead letter too, and never from a field of that name");
    assert_eq!(decoded.changes.origin, [0, 2]);
}

#[test]
fn what_a_record_does_not_have_is_null() {
    let mut decoder = decoder(Append, &[], &[], &table().1).unwrap();
    let bare = RawRecord { timestamp: -1, ..RawRecord::new(None, Some(br#"{"id":1}"#)) };
    let decoded = decoder.decode(&[bare]);
    assert_eq!(rows(&decoded.changes), [r#"{"k":null,"id":1,"p":0,"o":0,"v":null,"t":null,"h":"[]"}"#]);
}

#[test]
fn an_upsert_takes_its_key_from_the_record_and_the_rest_from_beside_it() {
    let mut decoder = decoder(Upsert, &[1], &[], &table().1).unwrap();
    let key: Option<&[u8]> = Some(br#"{"id":5}"#);
    let upsert = RawRecord { offset: 1, ..RawRecord::new(key, Some(br#"{"v":"a"}"#)) };
    let delete = RawRecord { offset: 2, ..RawRecord::new(key, None) };
    let changes = decoder.decode(&[upsert, delete]).changes;
    assert_eq!(changes.ops, [Op::Upsert, Op::Delete]);
    assert!(rows(&changes)[0].starts_with(r#"{"k":"eyJpZCI6NX0=","id":5,"p":0,"o":1,"v":"a""#), "{:?}", rows(&changes));
}

#[test]
fn a_row_has_the_topic_of_its_record() {
    let include = [(4, Include::Topic)];
    let mut decoder = decoder(Append, &[], &[], &include).unwrap();
    let of = |topic, value: &'static str| RawRecord { topic, ..RawRecord::new(None, Some(value.as_bytes())) };
    let decoded = decoder.decode(&[of("a", r#"{"id":1,"v":"no"}"#), of("shop.ä", r#"{"id":2}"#)]);
    let rows = rows(&decoded.changes);
    assert!(rows[0].contains(r#""v":"a""#) && rows[1].contains(r#""v":"shop.ä""#), "{rows:?}");
}

/// Debezium's placeholder keeps the value of the right column, though the decoder counts the columns otherwise.
#[test]
fn a_kept_value_is_that_of_its_column() {
    let mut decoder = decoder(Debezium, &[1], &[], &table().1).unwrap();
    let value = br#"{"op":"u","before":null,"after":{"id":1,"v":"__debezium_unavailable_value"}}"#;
    let changes = decoder.decode(&[RawRecord::new(None, Some(value))]).changes;
    assert_eq!(changes.keep, [(0, 4)], "column v");
}

#[test]
fn what_cannot_be_included_is_refused() {
    let refused = |result: Result<Box<dyn Decoder>, SchemaError>| result.map(|_| ()).unwrap_err().to_string();
    let full = refused(decoder(Debezium, &[], &[("replica_identity", "full")], &table().1));
    assert!(full.contains("INCLUDE needs a PRIMARY KEY"), "{full}");
    let key = refused(decoder(Append, &[3], &[], &table().1));
    assert!(key.contains("\"o\" is included, and cannot be in the PRIMARY KEY"), "{key}");
}

/// The columns that never come are warned of; those that cannot come in the value are not.
#[test]
fn included_columns_are_not_missed() {
    let mut decoder = decoder(Append, &[], &[], &table().1).unwrap();
    let record = RawRecord::new(None, Some(br#"{"id":1}"#));
    decoder.decode(&vec![record; schemas::WATCHED_RECORDS as usize]);
    let warnings = decoder.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("column \"v\" was in none"), "{warnings:?}");
}
