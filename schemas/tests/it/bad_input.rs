//! The matrix of bad input: what is wrong, in which envelope, and the reason that its dead letter gives. Nothing of a bad
//! record is in the table, and the next one is fine.
#![allow(clippy::unwrap_used)]

use plan::Envelope::{self, Append, Debezium, Upsert};

use crate::model::{Bytes, Table, columns};

pub(super) const COLUMNS: &[(&str, &str)] = &[
    ("id", "bigint!"),
    ("small", "smallint"),
    ("n", "numeric(12,2)"),
    ("d", "double precision"),
    ("b", "boolean"),
    ("t", "text"),
    ("c", "varchar(3)"),
    ("j", "jsonb"),
    ("u", "uuid"),
    ("day", "date"),
    ("ts", "timestamp(6)"),
    ("need", "text!"),
];

/// An envelope, a PRIMARY KEY, and options.
type Kind = (Envelope, &'static [&'static str], &'static [(&'static str, &'static str)]);

/// Envelopes, as a table may have them.
pub(super) const TABLES: &[Kind] = &[
    (Append, &[], &[]),
    (Append, &["id"], &[]),
    (Upsert, &["id"], &[]),
    (Debezium, &["id"], TEXT_MODES),
    (Debezium, &[], TEXT_MODES),
];
pub(super) const TEXT_MODES: &[(&str, &str)] =
    &[("replica_identity", "full"), ("decimal_handling_mode", "string"), ("time_precision_mode", "isostring")];

/// The value that has this row.
pub(super) fn value(envelope: Envelope, row: &[u8]) -> Vec<u8> {
    match envelope {
        Debezium => [br#"{"before":null,"after":"#.as_slice(), row, br#","op":"c"}"#].concat(),
        _ => row.to_vec(),
    }
}

/// Feeds a good record, the bad one and a good one; answers why the bad one is a dead letter.
#[track_caller]
pub(super) fn reason(table: &mut Table, envelope: Envelope, bad: Bytes) -> String {
    let good = |id: i64| (None, Some(value(envelope, format!(r#"{{"id":{id},"need":"x"}}"#).as_bytes())));
    table.feed_bytes(&[good(1), bad, good(2)]);
    let ids: Vec<String> = table.rows().iter().map(|row| row[..8].to_string()).collect();
    assert_eq!(ids, [r#"{"id":1,"#, r#"{"id":2,"#], "nothing of it is in the table, and the next one is fine");
    assert_eq!(table.dead.len(), 1, "{:?}", table.dead);
    assert_eq!(table.dead[0].record, 1);
    table.dead[0].reason.clone()
}

/// A row that is bad in one column, in every envelope: the column, its value, and what the reason says behind
/// `column "name" `.
const CELLS: &[(&str, &str, &str)] = &[
    (
        "id",
        "99999999999999999999",
        "is bigint: 99999999999999999999 is out of range (-9223372036854775808 to 9223372036854775807)",
    ),
    ("id", "1.5", "is bigint: 1.5 is not an integer"),
    ("id", "1e3", "is bigint: 1e3 is not an integer"),
    ("id", "true", "is bigint: true is a boolean"),
    ("id", "{}", "is bigint: {} is an object"),
    ("id", "\"\"", "is bigint: \"\" is not an integer"),
    ("small", "40000", "is smallint: 40000 is out of range (-32768 to 32767)"),
    ("small", "\"abc\"", "is smallint: \"abc\" is not an integer"),
    ("small", "[1]", "is smallint: [1] is an array"),
    ("n", "1.234", "is numeric(12,2): 1.234 has more than 2 digits behind the point"),
    ("n", "99999999999", "is numeric(12,2): 99999999999 has more than 10 digits before the point"),
    ("n", "1e400", "is numeric(12,2): 1e400 has more than 10 digits before the point"),
    (
        "n",
        "\"NaN\"",
        "is numeric(12,2): \"NaN\" is not a finite number; a numeric column here holds no NaN and no Infinity",
    ),
    ("n", "\"12,5\"", "is numeric(12,2): \"12,5\" is not a number"),
    ("n", "{\"scale\":1}", "is numeric(12,2): {\"scale\":1} is an object"),
    ("d", "1e400", "is double precision: 1e400 is out of the range of double precision"),
    (
        "d",
        "9007199254740993",
        "is double precision: 9007199254740993 is a whole number that this type cannot keep exactly",
    ),
    ("d", "\"abc\"", "is double precision: \"abc\" is not a number"),
    ("b", "1", "is boolean: 1 is a number, and true or false was expected"),
    ("b", "\"maybe\"", "is boolean: \"maybe\" is not true or false"),
    ("t", "5", "is text: 5 is a number, and a string was expected"),
    ("t", "true", "is text: true is a boolean"),
    ("t", "{\"a\":1}", "is text: {\"a\":1} is an object"),
    ("t", "\"\\ud800\"", "is text: \"\\ud800\" holds an escape that stands for no character"),
    ("t", "\"a\\u0000b\"", "is text: \"a\\u0000b\" holds \\u0000, which no text of PostgreSQL can"),
    ("c", "\"abcd\"", "is varchar(3): \"abcd\" has 4 characters"),
    ("j", "\"{\"", "is jsonb: \"{\" is not JSON: it ends too early"),
    ("j", "{\"a\":\"\\ud800\"}", "is jsonb: {\"a\":\"\\ud800\"} holds an escape that stands for no character"),
    ("u", "\"12\"", "is uuid: \"12\" is not a UUID"),
    ("day", "\"infinity\"", "is date: \"infinity\" cannot be kept: a date or time here is always finite"),
    ("day", "\"2024-02-30\"", "is date: \"2024-02-30\" is not a day of the calendar"),
    ("day", "\"soon\"", "is date: \"soon\" is not a date (2024-01-15)"),
    (
        "day",
        "19737",
        "is date: 19737 is a number, and neither time_precision_mode nor a schema part says what it counts",
    ),
    ("ts", "\"-infinity\"", "is timestamp(6): \"-infinity\" cannot be kept: a date or time here is always finite"),
    (
        "ts",
        "\"294247-01-01 00:00:00\"",
        "is timestamp(6): \"294247-01-01 00:00:00\" is out of the range of timestamp (4714-11-24 BC to 294246-12-31; \
         infinity cannot be kept)",
    ),
    ("need", "null", "is NOT NULL, and it is null in the record"),
];

#[test]
fn bad_values_in_every_envelope() {
    for (name, cell, why) in CELLS {
        let others = [("id", "3"), ("need", "\"y\"")].iter().filter(|(other, _)| other != name);
        let fields: String = others.map(|(other, value)| format!("\"{other}\":{value},")).collect();
        let row = format!("{{{fields}\"{name}\":{cell}}}");
        for (envelope, key, options) in TABLES {
            let mut table = Table::new(columns(COLUMNS), key, *envelope, options);
            let reason = reason(&mut table, *envelope, (None, Some(value(*envelope, row.as_bytes()))));
            assert_eq!(reason, format!("column \"{name}\" {why}"), "{envelope:?} {key:?}");
            assert_eq!(table.dead[0].column.as_deref(), Some(*name));
        }
    }
}

#[test]
fn missing_columns_in_every_envelope() {
    for (envelope, key, options) in TABLES {
        for (row, column, null) in [
            (r#"{"need":"y"}"#, "id", false),
            (r#"{"id":null,"need":"y"}"#, "id", true),
            ("{}", "id", false),
            (r#"{"id":3}"#, "need", false),
        ] {
            let mut table = Table::new(columns(COLUMNS), key, *envelope, options);
            let reason = reason(&mut table, *envelope, (None, Some(value(*envelope, row.as_bytes()))));
            let is = if key.contains(&column) { "in the PRIMARY KEY" } else { "NOT NULL" };
            let what = if null { "it is null".to_string() } else { format!("there is no field \"{column}\"") };
            assert_eq!(
                reason,
                format!("column \"{column}\" is {is}, and {what} in the record"),
                "{envelope:?} {key:?}"
            );
        }
    }
}

/// A value that is no row at all, and why; the same in every envelope.
const VALUES: &[(&[u8], &str)] = &[
    (b"", "the value is empty; a JSON object was expected (a tombstone is a null value, not an empty one)"),
    (b" \n", "the value is empty; a JSON object was expected (a tombstone is a null value, not an empty one)"),
    (b"5", "the value is a number; a JSON object was expected"),
    (b"[{\"id\":3}]", "the value is an array; a JSON object was expected"),
    (b"\"x\"", "the value is a string; a JSON object was expected"),
    (b"true", "the value is a boolean; a JSON object was expected"),
    (b"<xml/>", "the value is not JSON: it begins with <xml/>"),
    (b"NaN", "the value is not JSON: it begins with NaN"),
    (b"{", "the value is not JSON: it ends too early, after 1 bytes"),
    (b"{\"id\":3", "the value is not JSON: it ends too early, after 7 bytes"),
    (b"{\"id\":3,}", "the value is not JSON: there is a comma too many at byte 8, where it says }"),
    (b"{\"id\":3} x", "the value is not JSON: there is more behind its end at byte 9, where it says x"),
    (
        b"{\"id\":3}{\"id\":4}",
        "the value is not JSON: there is more behind its end at byte 8, where it says {\"id\":4}",
    ),
    (b"{\"id\":NaN}", "the value is not JSON: a value was expected at byte 6, where it says NaN}"),
    (b"{\"id\":3,\"d\":Infinity}", "the value is not JSON: a value was expected at byte 12, where it says Infinity}"),
    (b"{\"id\":01}", "the value is not JSON: invalid number at byte 7, where it says 1}"),
    (b"{id:3}", "the value is not JSON: a field's name in double quotes was expected at byte 1, where it says id:3}"),
    (
        b"{\"id\":3 \"t\":1}",
        "the value is not JSON: a comma or the end of the object was expected at byte 8, where it says \"t\":1}",
    ),
    (b"{\"id\":3,\n\"t\":\"\\x\"}", "the value is not JSON: invalid escape at byte 15, where it says x\"}"),
    (
        b"{\"id\":3,\"t\":\"a\nb\"}",
        "the value is not JSON: a string holds a control character that is not escaped at byte 13, where it says a\\nb\"}",
    ),
    (
        b"{\"id\":3,\"\\ud800\":1}",
        "the value is not JSON: an escape stands for no character at byte 15, where it says \":1}",
    ),
    (
        b"\xef\xbb\xbf{\"id\":3}",
        "the value begins with a byte order mark (the bytes EF BB BF), which JSON does not have; let the producer leave it \
         out",
    ),
    (b"{\"id\":3,\"need\":\"\xff\"}", "the value is not UTF-8 text: byte 16 of 19 is invalid"),
    (b"\xff\xfe{\0", "the value is not UTF-8 text: byte 0 of 4 is invalid"),
    (
        b"\0\0\0\0\x05\x02",
        "the value begins with the byte 0, as Avro, Protobuf and JSON Schema of a schema registry do; format 'json' reads \
         plain JSON",
    ),
    (
        b"\0\0\0\0\x05\xff",
        "the value begins with the byte 0, as Avro, Protobuf and JSON Schema of a schema registry do; format 'json' reads \
         plain JSON",
    ),
];

#[test]
fn bad_documents_in_every_envelope() {
    for (bytes, why) in VALUES {
        for (envelope, key, options) in TABLES {
            let mut table = Table::new(columns(COLUMNS), key, *envelope, options);
            assert_eq!(reason(&mut table, *envelope, (None, Some(bytes.to_vec()))), *why, "{envelope:?} {key:?}");
        }
    }
}

/// A value without an end in sight costs neither the stack nor more than its own size.
#[test]
fn deep_and_large_documents_in_every_envelope() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let in_column = format!(r#"{{"id":3,"need":"y","j":{}}}"#, nested(100_000));
    let unknown = format!(r#"{{"id":3,"need":"y","unknown":{}}}"#, nested(1_000_000));
    let large = format!(r#"{{"id":3,"need":"y","small":"{}"}}"#, "9".repeat(10 << 20));
    let open = r#"{"a":"#.repeat(1_000_000);
    for (envelope, key, options) in TABLES {
        let new = || Table::new(columns(COLUMNS), key, *envelope, options);
        let refused = |row: &str| reason(&mut new(), *envelope, (None, Some(value(*envelope, row.as_bytes()))));
        let why = refused(&in_column);
        assert!(why.starts_with("column \"j\" is jsonb: [[["), "{why}");
        assert!(why.ends_with("… (200001 bytes) is nested more than 1024 deep"), "{why}");
        let why = refused(&large);
        assert!(why.starts_with("column \"small\" is smallint: \"999") && why.len() < 300, "{why}");
        assert!(why.ends_with("… (10485762 bytes) is out of range (-32768 to 32767)"), "{why}");
        let whole = reason(&mut new(), *envelope, (None, Some(open.clone().into_bytes())));
        assert_eq!(whole, "the value is not JSON: it ends too early, after 5000000 bytes");
        let whole = reason(&mut new(), *envelope, (None, Some(nested(1_000_000).into_bytes())));
        assert_eq!(whole, "the value is an array; a JSON object was expected");
        let mut table = new();
        table.feed_bytes(&[(None, Some(value(*envelope, unknown.as_bytes())))]);
        assert_eq!((table.rows().len(), table.dead.len()), (1, 0), "what is not read may be as deep as it likes");
    }
}

/// Of a field that is there several times the last counts, as PostgreSQL's jsonb has it.
#[test]
fn of_duplicate_fields_the_last_counts() {
    for (envelope, key, options) in TABLES {
        let mut table = Table::new(columns(&[("id", "bigint!"), ("j", "jsonb")]), key, *envelope, options);
        let row = r#"{"id":"bad","j":0,"id":3,"j":{"b":1,"a":2,"b":3}}"#;
        table.feed_bytes(&[(None, Some(value(*envelope, row.as_bytes())))]);
        assert_eq!(table.rows(), [r#"{"id":3,"j":"{\"a\": 2, \"b\": 3}"}"#], "{envelope:?}: {:?}", table.dead);
    }
    let mut table = Table::new(columns(&[("id", "bigint!")]), &["id"], Debezium, &[]);
    let event = r#"{"op":"d","after":{"id":1},"before":{"id":9},"after":null,"after":{"id":2},"op":"c"}"#;
    table.feed(&[(None, Some(event))]);
    assert_eq!(table.rows(), [r#"{"id":2}"#]);
    let mut table = Table::new(columns(&[("id", "bigint!")]), &["id"], Upsert, &[]);
    table.feed(&[(Some(r#"{"id":1,"id":2}"#), Some(r#"{"id":3}"#))]);
    assert_eq!(table.rows(), [r#"{"id":2}"#], "of a record key too");
}
