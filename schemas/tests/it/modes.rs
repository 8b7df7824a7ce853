//! Schema parts, options, and the watch over the first records.
#![allow(clippy::unwrap_used)]

use plan::Envelope::{Append, Debezium, Upsert};
use schemas::{WATCHED_RECORDS, check_options, source_options};

use crate::model::{Table, assert_rows, columns, options};

#[test]
fn a_schema_part_overrides_the_modes_while_it_is_there() {
    let field = |name: &str, rest: &str| format!(r#"{{"field":"{name}",{rest}}}"#);
    let part = |ts: &str| {
        let fields = [
            field("id", r#""type":"int64""#),
            field("ts", &format!(r#""type":"int64","name":"{ts}""#)),
            field("b", r#""type":"string""#),
            field("n", r#""type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"3"}"#),
        ];
        format!(r#"{{"type":"struct","fields":[{}],"optional":false}}"#, fields.join(","))
    };
    let row = r#"{"id":1,"ts":1000000,"b":"ff","n":"CcQ="}"#;
    let wrapped = |ts: &str| format!(r#"{{"schema":{},"payload":{row}}}"#, part(ts));
    let list = [("id", "bigint!"), ("ts", "timestamp(6)"), ("b", "bytea"), ("n", "numeric(12,2)")];
    let given =
        [("binary_handling_mode", "hex"), ("time_precision_mode", "connect"), ("decimal_handling_mode", "precise")];
    let mut rows = Table::new(columns(&list), &["id"], Upsert, &given);
    let micros = wrapped("io.debezium.time.MicroTimestamp");
    let nanos = wrapped("io.debezium.time.NanoTimestamp");
    for (value, ts, n) in [
        (micros.as_str(), "1970-01-01T00:00:01.000000", "2.50"),
        (nanos.as_str(), "1970-01-01T00:00:00.001000", "2.50"),
        (row, "1970-01-01T00:16:40.000000", "25.00"),
        (micros.as_str(), "1970-01-01T00:00:01.000000", "2.50"),
    ] {
        rows.feed(&[(None, Some(value))]);
        assert_rows(&rows, &[&format!(r#"{{"id":1,"ts":"{ts}","b":"/w==","n":"{n}"}}"#)]);
    }
    assert_eq!(rows.dead.len(), 0);
    let broken = r#"{"schema":{"type":"struct","fields":7},"payload":{"before":null,"after":{"id":1},"op":"c"}}"#;
    let mut rows = Table::new(columns(&list), &["id"], Debezium, &[]);
    rows.feed(&[(None, Some(broken))]);
    assert!(rows.reasons()[0].starts_with("the schema part of the record cannot be read: found"));
}

#[test]
fn columns_named_schema_and_payload_are_columns() {
    let list = [("id", "bigint"), ("schema", "jsonb"), ("payload", "jsonb")];
    let mut rows = Table::new(columns(&list), &[], Append, &[]);
    rows.feed(&[
        (None, Some(r#"{"schema":null,"payload":{"a":1}}"#)),
        (None, Some(r#"{"payload":{"a":1},"schema":{"x":1}}"#)),
        (None, Some(r#"{"schema":"x","payload":{"id":1},"id":2}"#.replace("\"x\"", "1").as_str())),
    ]);
    assert_rows(
        &rows,
        &[
            r#"{"id":null,"schema":null,"payload":"{\"a\": 1}"}"#,
            r#"{"id":null,"schema":"{\"x\": 1}","payload":"{\"a\": 1}"}"#,
            r#"{"id":2,"schema":"1","payload":"{\"id\": 1}"}"#,
        ],
    );
}

#[test]
fn a_column_never_seen_is_warned_of_once() {
    let mut rows = Table::new(columns(&[("id", "bigint!"), ("datetime", "text"), ("v", "text")]), &["id"], Upsert, &[]);
    let record = (Some(r#"{"id":1}"#), Some(r#"{"dateTime":"x","v":null}"#));
    let most = vec![record; WATCHED_RECORDS as usize - 1];
    rows.feed(&most);
    rows.feed(&[(Some(r#"{"id":1}"#), None)]);
    assert_eq!(rows.warnings(), Vec::<String>::new());
    rows.feed(&[record, record]);
    assert_eq!(
        rows.warnings(),
        [
            "table \"t\": column \"datetime\" was in none of the first 1000 records and is NULL in all of them; the fields \
          that were: \"id\", \"v\", \"dateTime\"; names match exactly; if \"dateTime\" is meant, write \"dateTime\" with its \
          quotes in CREATE TABLE"
        ]
    );
    rows.feed(&most);
    assert_eq!(rows.warnings(), Vec::<String>::new());
}

#[test]
fn options_are_checked() {
    assert!(check_options(&options(&[("topic", "x"), ("decimal_handling_mode", "string")])).is_ok());
    assert_eq!(
        check_options(&options(&[("decimal_handling_mode", "exact")])).unwrap_err().to_string(),
        "option decimal_handling_mode = 'exact' is not known; it takes 'precise', 'string', 'double'"
    );
    for option in source_options() {
        assert!(option.default.is_none_or(|default| option.values.contains(&default)));
        for value in option.values {
            assert!(check_options(&options(&[(option.name, value)])).is_ok());
        }
    }
}
