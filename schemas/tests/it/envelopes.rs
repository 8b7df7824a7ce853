//! The rules of sources, sentence by sentence.
#![allow(clippy::unwrap_used)]

use plan::Envelope::{self, Append, Debezium, Upsert};
use zset::Op;

use crate::model::{Table, assert_rows, columns};

pub const T: &[(&str, &str)] = &[("id", "bigint!"), ("v", "text"), ("n", "numeric(12,2)")];

pub fn table(envelope: Envelope, key: &[&str]) -> Table {
    Table::new(columns(T), key, envelope, &[])
}

#[track_caller]
pub fn refuses(envelope: Envelope, key: &[&str], record: (Option<&str>, Option<&str>), reason: &str) {
    let mut table = table(envelope, key);
    let good = match envelope {
        Debezium => r#"{"before":null,"after":{"id":7},"op":"c"}"#,
        _ => r#"{"id":7}"#,
    };
    table.feed(&[(None, Some(good)), record, (None, Some(good))]);
    assert_eq!(table.reasons(), [reason]);
    assert_eq!(table.dead[0].record, 1);
    assert!(!table.rows().is_empty(), "the others go on");
}

#[test]
fn append_is_a_row_a_record() {
    let mut rows = table(Append, &[]);
    rows.feed(&[(None, Some(r#"{"id":1,"v":"a"}"#)), (Some("x"), Some(r#"{"id":1,"v":"a","unknown":[{}]}"#))]);
    assert_rows(&rows, &[r#"{"id":1,"v":"a","n":null}"#, r#"{"id":1,"v":"a","n":null}"#]);
    let changes = rows.decode(&[(None, Some(r#"{"id":1}"#))]);
    assert_eq!(changes.ops, [Op::Insert]);
}

#[test]
fn append_with_a_key_keeps_the_last_row() {
    let mut rows = table(Append, &["id"]);
    rows.feed(&[
        (Some(r#"{"id":9}"#), Some(r#"{"id":1,"v":"a","n":1}"#)),
        (Some(r#"{"id":9}"#), Some(r#"{"id":1,"v":"b"}"#)),
    ]);
    assert_rows(&rows, &[r#"{"id":1,"v":"b","n":null}"#]);
}

#[test]
fn append_has_no_tombstones() {
    let why = "the value is null, and every record of an append topic is a row; if it deletes, use envelope 'upsert'";
    refuses(Append, &[], (Some("1"), None), why);
    refuses(Append, &["id"], (Some("1"), None), why);
}

#[test]
fn upsert_takes_the_key_from_the_record_key_else_from_the_value() {
    for key in
        [None, Some(r#"{"id":1}"#), Some("1"), Some(" \"1\" "), Some(r#"{"other":5}"#), Some("not json"), Some("null")]
    {
        let mut rows = table(Upsert, &["id"]);
        rows.feed(&[(key, Some(r#"{"id":1,"v":"a"}"#)), (key, Some(r#"{"id":1,"v":"b"}"#))]);
        assert_rows(&rows, &[r#"{"id":1,"v":"b","n":null}"#]);
    }
    // The record key wins, and the value need not have it.
    let mut rows = table(Upsert, &["id"]);
    rows.feed(&[(Some(r#"{"id":1}"#), Some(r#"{"id":2,"v":"a"}"#)), (Some("3"), Some(r#"{"v":"b"}"#))]);
    assert_rows(&rows, &[r#"{"id":1,"v":"a","n":null}"#, r#"{"id":3,"v":"b","n":null}"#]);
}

#[test]
fn upsert_keys_of_several_columns() {
    let mut rows = table(Upsert, &["v", "id"]);
    rows.feed(&[
        (Some(r#"{"id":1,"v":"a"}"#), Some(r#"{"n":1}"#)),
        (Some(r#"{"v":"b"}"#), Some(r#"{"id":2,"n":"2.5"}"#)),
        (Some("5"), Some(r#"{"id":3,"v":"c"}"#)),
        (Some(r#"{"v":"a","id":1}"#), None),
    ]);
    assert_rows(&rows, &[r#"{"id":2,"v":"b","n":"2.50"}"#, r#"{"id":3,"v":"c","n":null}"#]);
    rows.feed(&[(Some("5"), None)]);
    assert_eq!(
        rows.reasons(),
        [
            "a tombstone (a null value) deletes by its key, and this key is no JSON object with the columns of the PRIMARY KEY; it \
          must hold \"v\", \"id\""
        ]
    );
}

#[test]
fn upsert_tombstones_delete() {
    for (key, ty) in
        [("1", "bigint!"), ("\"1\"", "text!"), (r#"{"id":"1"}"#, "text!"), ("abc", "text!"), ("a b", "text!")]
    {
        let mut rows = Table::new(columns(&[("id", ty), ("v", "text")]), &["id"], Upsert, &[]);
        rows.feed(&[(Some(key), Some(r#"{"v":"x"}"#))]);
        assert_eq!(rows.rows().len(), 1, "{key}: {:?}", rows.dead);
        rows.feed(&[(Some(key), None)]);
        assert_rows(&rows, &[]);
        assert_eq!(rows.dead.len(), 0);
    }
    let missing = "column \"id\" is in the PRIMARY KEY, and there is no field \"id\" in what the record deletes";
    refuses(Upsert, &["id"], (Some("{}"), None), missing);
    refuses(Upsert, &["id"], (None, None), "a tombstone (a null value) deletes by its key, and this one has none");
    // What old JSON converters write in place of a null value.
    let mut rows = table(Upsert, &["id"]);
    rows.feed(&[(Some("1"), Some("{}")), (Some("2"), Some("{}")), (Some("1"), Some("null"))]);
    rows.feed(&[(Some("2"), Some(r#"{"schema":null,"payload":null}"#))]);
    assert_rows(&rows, &[]);
}

#[test]
fn a_key_column_is_never_null() {
    refuses(
        Upsert,
        &["id"],
        (None, Some(r#"{"v":"a"}"#)),
        "column \"id\" is in the PRIMARY KEY, and there is no field \"id\" in the record",
    );
    refuses(
        Upsert,
        &["id"],
        (Some(r#"{"id":null}"#), Some(r#"{"id":1}"#)),
        "column \"id\" is in the PRIMARY KEY, and it is null in the record",
    );
    refuses(Append, &[], (None, Some(r#"{"id":null}"#)), "column \"id\" is NOT NULL, and it is null in the record");
    refuses(
        Upsert,
        &["id"],
        (Some("\"x\""), Some("{}")),
        "column \"id\" is bigint: \"x\" is not an integer (in the record key)",
    );
}

#[test]
fn reasons_name_column_type_value_and_fault() {
    refuses(
        Append,
        &[],
        (None, Some(r#"{"id":1,"n":"12.345"}"#)),
        "column \"n\" is numeric(12,2): \"12.345\" has more than 2 digits behind the point",
    );
    refuses(
        Append,
        &[],
        (None, Some(r#"{"id":1,"v":12}"#)),
        "column \"v\" is text: 12 is a number, and a string was expected",
    );
    let mut rows = table(Append, &[]);
    rows.feed(&[(None, Some(r#"{"id":1.5}"#))]);
    assert_eq!(rows.dead[0].column.as_deref(), Some("id"));
    assert_eq!(rows.reasons(), ["column \"id\" is bigint: 1.5 is not an integer"]);
}

#[test]
fn what_is_no_object_is_a_dead_letter() {
    for (value, reason) in [
        ("", "the value is empty; a JSON object was expected (a tombstone is a null value, not an empty one)"),
        ("[1]", "the value is an array; a JSON object was expected"),
        ("\"x\"", "the value is a string; a JSON object was expected"),
        ("12", "the value is a number; a JSON object was expected"),
        ("true", "the value is a boolean; a JSON object was expected"),
        ("hello", "the value is not JSON: it begins with hello"),
        ("{\"id\":1", "the value is not JSON: it ends too early, after 7 bytes"),
        (
            "{\"id\":1}{\"id\":2}",
            "the value is not JSON: there is more behind its end at byte 8, where it says {\"id\":2}",
        ),
        ("{\"id\":01}", "the value is not JSON: invalid number at byte 7, where it says 1}"),
        ("{\"id\":NaN}", "the value is not JSON: a value was expected at byte 6, where it says NaN}"),
    ] {
        for envelope in [Append, Upsert, Debezium] {
            refuses(envelope, &["id"], (Some("{\"id\":1}"), Some(value)), reason);
        }
    }
    let mut rows = table(Append, &[]);
    rows.feed_bytes(&[(None, Some(b"{\"id\":1,\"v\":\"\xff\"}".to_vec())), (None, Some(b"{\"id\":1}".to_vec()))]);
    assert_eq!(rows.reasons(), ["the value is not UTF-8 text: byte 13 of 16 is invalid"]);
    assert_eq!(rows.rows().len(), 1);
}

#[test]
fn the_last_of_equal_fields_wins() {
    let mut rows = table(Append, &[]);
    rows.feed(&[(None, Some(r#"{"id":1,"v":"a","v":"b","id":2}"#)), (None, Some(r#"{"\u0069d":3}"#))]);
    assert_rows(&rows, &[r#"{"id":2,"v":"b","n":null}"#, r#"{"id":3,"v":null,"n":null}"#]);
    let mut rows = table(Debezium, &["id"]);
    rows.feed(&[(None, Some(r#"{"op":"d","op":"c","after":{"id":1,"v":"x"},"after":{"id":2}}"#))]);
    assert_rows(&rows, &[r#"{"id":2,"v":null,"n":null}"#]);
}

#[test]
fn large_and_deep_records() {
    let text = "x".repeat(10 << 20);
    let large = format!(r#"{{"id":1,"v":"{text}"}}"#);
    let mut rows = table(Append, &[]);
    rows.feed(&[(None, Some(&large))]);
    assert_eq!(rows.rows()[0].len(), text.len() + r#"{"id":1,"v":"","n":null}"#.len());
    // In a field that is no column depth does not matter; nothing may overflow.
    let deep = format!(r#"{{"id":1,"x":{}{}}}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
    rows.feed(&[(None, Some(&deep))]);
    assert_eq!(rows.rows().len(), 2);
    let mut documents = Table::new(columns(&[("j", "jsonb")]), &[], Append, &[]);
    for quote in ["", "\""] {
        let deep = format!(r#"{{"j":{quote}{}{}{quote}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        documents.feed(&[(None, Some(&deep))]);
    }
    assert_eq!(documents.dead.len(), 2);
    assert!(documents.reasons().iter().all(|why| why.contains("is nested more than 1024 deep") && why.len() < 250));
}

#[test]
fn a_bad_record_takes_nothing_with_it() {
    let mut rows = Table::new(columns(&[("id", "bigint"), ("a", "text"), ("z", "bigint!")]), &[], Append, &[]);
    let changes = rows.decode(&[
        (None, Some(r#"{"id":1,"a":"one","z":1}"#)),
        (None, Some(r#"{"id":2,"a":"a long one that must leave nothing behind"}"#)),
        (None, Some(r#"{"id":3,"z":"x"}"#)),
        (None, Some(r#"{"id":4,"a":"four","z":4}"#)),
    ]);
    assert_eq!(changes.origin, [0, 3]);
    assert_eq!(rows.dead.iter().map(|dead| dead.record).collect::<Vec<_>>(), [1, 2]);
    let writer = schemas::RowWriter::new(&rows.columns, &[0, 1, 2]);
    let mut text = Vec::new();
    let bound = writer.bind(&changes.rows);
    bound.write(0, &mut text);
    bound.write(1, &mut text);
    assert_eq!(String::from_utf8(text).unwrap(), r#"{"id":1,"a":"one","z":1}{"id":4,"a":"four","z":4}"#);
}

/// Whatever the record before had at its place, a field is known by its whole name.
#[test]
fn long_names_that_begin_alike_in_any_order() {
    let names = ["a_name_that_is_long_1", "a_name_that_is_long_2", "a_name_that_is_long_12", "a_name_that_is_long"];
    let declared: Vec<(&str, &str)> = names.iter().map(|name| (*name, "bigint")).collect();
    let mut table = Table::new(columns(&declared), &[], Envelope::Append, &[]);
    let mut wanted = Vec::new();
    // Only behind the records that are watched is anything predicted.
    // A record like the one before teaches what the next is taken for.
    let turns = [0, 0, 0, 1, 1, 1, 0, 2, 2, 3, 3, 1];
    for (at, turn) in turns.into_iter().cycle().take(schemas::WATCHED_RECORDS as usize + 60).enumerate() {
        let order = [turn, (turn + 1 + at % 3) % 4];
        let field = |column: usize| format!("\"{}\":{}", names[column], 10 * at + column);
        let fields = if order[0] == order[1] { field(order[0]) } else { order.map(field).join(",") };
        table.feed(&[(None, Some(&format!("{{{fields}}}")))]);
        let cell = |column: usize| order.contains(&column).then_some((10 * at + column) as i64);
        wanted.push((0..4).map(cell).collect::<Vec<_>>());
    }
    let mut found: Vec<String> = table.rows();
    let mut wanted: Vec<String> = wanted
        .into_iter()
        .map(|row| {
            let cells = row
                .iter()
                .zip(names)
                .map(|(cell, name)| format!("\"{name}\":{}", cell.map_or("null".to_string(), |cell| cell.to_string())));
            format!("{{{}}}", cells.collect::<Vec<_>>().join(","))
        })
        .collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
}
