//! Schema drift: what a source's change of its fields does to a table that was made before. The cases are README's table, row by
//! row; each is tried without Debezium's schema part, and with it where that says more.
#![allow(clippy::unwrap_used)]

use plan::Envelope::{Append, Debezium, Upsert};

use crate::model::{Table, columns};

/// What a case comes to.
enum Then {
    /// Another value of the column.
    Value(&'static str),
    /// A dead letter with these words.
    Dead(&'static str),
}
use Then::{Dead, Value};

/// A case: the column, the field that comes now, and what becomes of it.
type Case = (&'static str, &'static str, Then);

/// README's row, what it says of it, and its cases without a schema part.
const DRIFT: &[(&str, &str, &[Case])] = &[
    (
        "field added",
        "ignored; to have it, DROP and CREATE the table with the column: the topic is read again",
        &[("a integer", r#""a":1,"more":{"x":[1]}"#, Value("1"))],
    ),
    (
        "field removed",
        "NULL from then on; a dead letter if the column is NOT NULL or in the PRIMARY KEY",
        &[
            ("a integer", r#""z":0"#, Value("null")),
            ("a integer!", r#""z":0"#, Dead("column \"a\" is NOT NULL, and there is no field \"a\" in the record")),
        ],
    ),
    (
        "field renamed, also in case only",
        "as removed and added; a column that is in none of the first 1,000 records after a start is warned of, with the names \
         that were",
        &[
            ("a integer", r#""A":1"#, Value("null")),
            ("a integer!", r#""b":1"#, Dead("column \"a\" is NOT NULL, and there is no field \"a\" in the record")),
        ],
    ),
    ("fields in another order", "no matter", &[("a integer", r#""z":[],"a":1,"y":2"#, Value("1"))]),
    (
        "now may be null",
        "NULL; a dead letter if the column is NOT NULL",
        &[
            ("a integer", r#""a":null"#, Value("null")),
            ("a integer!", r#""a":null"#, Dead("column \"a\" is NOT NULL, and it is null in the record")),
        ],
    ),
    (
        "type widened (int to bigint, numeric of more digits, longer varchar)",
        "values that fit the column go on; the others are dead letters",
        &[
            ("a integer", r#""a":2147483647"#, Value("2147483647")),
            ("a integer", r#""a":2147483648"#, Dead("2147483648 is out of range")),
            ("a numeric(6,2)", r#""a":"1234.5""#, Value(r#""1234.50""#)),
            ("a numeric(6,2)", r#""a":"12345.5""#, Dead("more than 4 digits before the point")),
            ("a numeric(6,2)", r#""a":"1.234""#, Dead("more than 2 digits behind the point")),
            ("a varchar(3)", r#""a":"abc""#, Value(r#""abc""#)),
            ("a varchar(3)", r#""a":"abcd""#, Dead("has 4 characters")),
            ("a real", r#""a":123456789"#, Dead("cannot keep exactly")),
        ],
    ),
    (
        "type narrowed (bigint to int)",
        "no matter",
        &[("a bigint", r#""a":5"#, Value("5")), ("a numeric(12,2)", r#""a":5"#, Value(r#""5.00""#))],
    ),
    (
        "number to text",
        "a text that PostgreSQL reads as the column's type goes on; any other is a dead letter",
        &[
            ("a integer", r#""a":"5""#, Value("5")),
            ("a integer", r#""a":"five""#, Dead("\"five\" is not an integer")),
            ("a boolean", r#""a":"yes""#, Value("true")),
            ("a timestamp(6)", r#""a":"2024-01-15 10:00:00""#, Value(r#""2024-01-15T10:00:00.000000""#)),
        ],
    ),
    (
        "text to number, or number to boolean",
        "a dead letter: no value is made into another",
        &[
            ("a text", r#""a":5"#, Dead("5 is a number, and a string was expected")),
            ("a boolean", r#""a":1"#, Dead("1 is a number, and true or false was expected")),
            ("a integer", r#""a":true"#, Dead("true is a boolean")),
            ("a integer", r#""a":1.5"#, Dead("1.5 is not an integer")),
        ],
    ),
    (
        "value to object or array",
        "a dead letter; a jsonb column takes it",
        &[
            ("a text", r#""a":{"x":1}"#, Dead("{\"x\":1} is an object")),
            ("a integer", r#""a":[1]"#, Dead("[1] is an array")),
            ("a jsonb", r#""a":{"x":1}"#, Value(r#""{\"x\": 1}""#)),
        ],
    ),
];

/// A case: the column, its field's schema, the field, what becomes of it with the schema part, and what without.
type SchemaCase = (&'static str, &'static str, &'static str, Then, Then);

/// README's rows of what the schema part tells, and a record without one cannot.
const WITH_SCHEMA: &[(&str, &str, &[SchemaCase])] = &[
    (
        "dates and times in another unit",
        "with Debezium's schema part: read as it says. Without: a number is read as time_precision_mode says, so that another \
         unit is another time: change the mode with ALTER TABLE ... SET when you change it at the source",
        &[(
            "a timestamp(6)",
            r#"{"field":"a","type":"int64","name":"io.debezium.time.Timestamp"}"#,
            r#""a":1700000000123"#,
            Value(r#""2023-11-14T22:13:20.123000""#),
            Value(r#""1970-01-20T16:13:20.000123""#),
        )],
    ),
    (
        "decimals of another scale, as bytes (decimal_handling_mode = 'precise')",
        "with the schema part: read as it says, a dead letter if digits would be lost. Without: the column's scale is taken, so \
         that another scale is another number",
        &[
            (
                "a numeric(12,2)",
                r#"{"field":"a","type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"1"}}"#,
                r#""a":"fQ==""#,
                Value(r#""12.50""#),
                Value(r#""1.25""#),
            ),
            (
                "a numeric(12,2)",
                r#"{"field":"a","type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"3"}}"#,
                r#""a":"fQ==""#,
                Dead("more than 2 digits behind the point"),
                Value(r#""1.25""#),
            ),
        ],
    ),
    (
        "a date that became a timestamp, or the other way round",
        "with the schema part: a dead letter. Without: read as what the column is",
        &[(
            "a date",
            r#"{"field":"a","type":"int64","name":"io.debezium.time.MicroTimestamp"}"#,
            r#""a":19737"#,
            Dead("19737 is a number"),
            Value(r#""2024-01-15""#),
        )],
    ),
];

fn declared(column: &str) -> Table {
    let (name, ty) = column.split_once(' ').unwrap();
    Table::new(columns(&[("id", "integer!"), (name, ty)]), &["id"], Debezium, &[])
}

#[track_caller]
fn comes_to(mut table: Table, key: Option<&str>, value: &str, then: &Then) {
    table.feed(&[(key, Some(value))]);
    match then {
        Value(value) => {
            assert_eq!(table.rows(), [format!(r#"{{"id":3,"a":{value}}}"#)], "dead letters: {:?}", table.dead);
        }
        Dead(words) => {
            assert_eq!(table.rows(), Vec::<String>::new());
            assert!(table.reasons()[0].contains(words), "{:?}", table.reasons());
        }
    }
}

#[test]
fn drift_is_as_documented() {
    for (column, fields, then) in DRIFT.iter().flat_map(|(_, _, cases)| *cases) {
        let (name, ty) = column.split_once(' ').unwrap();
        let options = [("decimal_handling_mode", "string"), ("time_precision_mode", "isostring")];
        for envelope in [Append, Upsert, Debezium] {
            let table = || Table::new(columns(&[("id", "integer!"), (name, ty)]), &["id"], envelope, &options);
            let row = format!(r#"{{"id":3,{fields}}}"#);
            match envelope {
                Debezium => {
                    let event = format!(r#"{{"op":"u","before":null,"after":{row}}}"#);
                    comes_to(table(), None, &event, then);
                    // A schema part that says nothing of the column changes nothing.
                    let schema = r#"{"type":"struct","fields":[]}"#;
                    comes_to(table(), None, &format!(r#"{{"schema":{schema},"payload":{event}}}"#), then);
                }
                _ => comes_to(table(), Some(r#"{"id":3}"#), &row, then),
            }
        }
    }
}

#[test]
fn drift_with_a_schema_part_is_as_documented() {
    for (column, schema, field, with, without) in WITH_SCHEMA.iter().flat_map(|(_, _, cases)| *cases) {
        let event = format!(r#"{{"op":"c","before":null,"after":{{"id":3,{field}}}}}"#);
        comes_to(declared(column), None, &event, without);
        let after = format!(r#"{{"field":"after","type":"struct","fields":[{schema}]}}"#);
        let event = format!(r#"{{"schema":{{"type":"struct","fields":[{after}]}},"payload":{event}}}"#);
        comes_to(declared(column), None, &event, with);
    }
}

/// A schema that changes from record to record, as it does when a connector is restarted over old records.
#[test]
fn each_record_is_read_by_its_own_schema_part() {
    let mut table = declared("a timestamp(6)");
    let event = |id: i64, name: &str, value: i64| {
        let field = format!(r#"{{"field":"a","type":"int64","name":"io.debezium.time.{name}"}}"#);
        let after = format!(r#"{{"field":"after","type":"struct","fields":[{field}]}}"#);
        format!(
            r#"{{"schema":{{"type":"struct","fields":[{after}]}},"payload":{{"op":"c","after":{{"id":{id},"a":{value}}}}}}}"#
        )
    };
    let (millis, micros) = (event(1, "Timestamp", 1000), event(2, "MicroTimestamp", 1000));
    let plain = r#"{"op":"c","after":{"id":3,"a":1000}}"#;
    table.feed(&[(None, Some(&millis)), (None, Some(&micros)), (None, Some(plain)), (None, Some(&millis))]);
    assert_eq!(
        table.rows(),
        [
            r#"{"id":1,"a":"1970-01-01T00:00:01.000000"}"#,
            r#"{"id":2,"a":"1970-01-01T00:00:00.001000"}"#,
            r#"{"id":3,"a":"1970-01-01T00:00:00.001000"}"#
        ]
    );
}

#[test]
fn readme_has_these_rows() {
    let readme = include_str!("../../../README.md");
    let rows = DRIFT.iter().map(|(change, what, _)| (change, what));
    for (change, what) in rows.chain(WITH_SCHEMA.iter().map(|(change, what, _)| (change, what))) {
        let row = format!("| {change} | {what} |");
        assert!(readme.contains(&row), "README lacks: {row}");
    }
}
