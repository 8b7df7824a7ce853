//! Record keys and change events that are bad: their records are dead letters that say why.

use plan::Envelope::{Debezium, Upsert};

use crate::bad_input::{COLUMNS, TABLES, TEXT_MODES, reason, value};
use crate::model::{Table, columns};

/// A record key of an upsert table; why it cannot delete; why it brings no row whose value has no key either.
const KEYS: &[(&[u8], &str, &str)] = &[
    (
        b"",
        "a tombstone (a null value) deletes by its key, and this key is empty; it must hold \"id\"",
        "column \"id\" is in the PRIMARY KEY, and there is no field \"id\" in the record; and the record key is empty",
    ),
    (
        b"\xff",
        "a tombstone (a null value) deletes by its key, and this key is not UTF-8 text; it must hold \"id\"",
        "column \"id\" is in the PRIMARY KEY, and there is no field \"id\" in the record; and the record key is not UTF-8 \
         text",
    ),
    (
        b"[1]",
        "a tombstone (a null value) deletes by its key, and this key is an array; it must hold \"id\"",
        "column \"id\" is in the PRIMARY KEY, and there is no field \"id\" in the record; and the record key is an array",
    ),
    (
        b"null",
        "a tombstone (a null value) deletes by its key, and this one has none",
        "column \"id\" is in the PRIMARY KEY, and there is no field \"id\" in the record",
    ),
    (
        b"{\"other\":1}",
        "column \"id\" is in the PRIMARY KEY, and there is no field \"id\" in what the record deletes",
        "column \"id\" is in the PRIMARY KEY, and there is no field \"id\" in the record",
    ),
    (
        b"{\"id\":null}",
        "column \"id\" is in the PRIMARY KEY, and it is null in what the record deletes",
        "column \"id\" is in the PRIMARY KEY, and it is null in the record",
    ),
    (
        b"{\"id\":",
        "column \"id\" is bigint: {\"id\": is not an integer (in the record key)",
        "column \"id\" is bigint: {\"id\": is not an integer (in the record key)",
    ),
    (
        b"{\"id\":\"x\"}",
        "column \"id\" is bigint: \"x\" is not an integer (in the record key)",
        "column \"id\" is bigint: \"x\" is not an integer (in the record key)",
    ),
    (
        b"1.5",
        "column \"id\" is bigint: 1.5 is not an integer (in the record key)",
        "column \"id\" is bigint: 1.5 is not an integer (in the record key)",
    ),
    (
        b"\xef\xbb\xbf1\n",
        "column \"id\" is bigint: \\u{feff}1\\n is not an integer (in the record key)",
        "column \"id\" is bigint: \\u{feff}1\\n is not an integer (in the record key)",
    ),
    (
        b"99999999999999999999",
        "column \"id\" is bigint: 99999999999999999999 is out of range (-9223372036854775808 to 9223372036854775807) (in \
         the record key)",
        "column \"id\" is bigint: 99999999999999999999 is out of range (-9223372036854775808 to 9223372036854775807) (in \
         the record key)",
    ),
];

#[test]
fn bad_record_keys_of_upsert_tables() {
    for (key, delete, row) in KEYS {
        for (value, why) in [(None, delete), (Some(b"{\"need\":\"y\"}".to_vec()), row)] {
            let mut table = Table::new(columns(COLUMNS), &["id"], Upsert, &[]);
            let reason = reason(&mut table, Upsert, (Some(key.to_vec()), value));
            assert_eq!(reason, *why, "{}", String::from_utf8_lossy(key));
        }
    }
    let mut table = Table::new(columns(COLUMNS), &["id"], Upsert, &[]);
    let none = "a tombstone (a null value) deletes by its key, and this one has none";
    assert_eq!(reason(&mut table, Upsert, (None, None)), none);
}

/// The record key means nothing to the other envelopes: it may be anything.
#[test]
fn record_keys_of_other_envelopes_do_not_matter() {
    for (envelope, key, options) in TABLES.iter().filter(|(envelope, _, _)| *envelope != Upsert) {
        for (bytes, _, _) in KEYS {
            let mut table = Table::new(columns(COLUMNS), key, *envelope, options);
            table.feed_bytes(&[(Some(bytes.to_vec()), Some(value(*envelope, br#"{"id":3,"need":"y"}"#)))]);
            assert_eq!((table.rows().len(), table.dead.len()), (1, 0), "{envelope:?} {:?}", table.dead);
        }
    }
}

const UNKNOWN_OP: &str = "is not known; a change event has r, c, u, d, t or m";
const NO_IDENTITY: &str = "; is the source's REPLICA IDENTITY set (FULL for a table without a key)?";

/// A change event; why it is bad for a table with a key, and for one without. Empty: it is not.
fn events() -> Vec<(&'static str, String, String)> {
    let both = |event, why: &str| (event, why.to_string(), why.to_string());
    let no_op = "there is no field \"op\": this is no Debezium change event; for flattened records \
                 (ExtractNewRecordState) use envelope 'upsert' or 'append'";
    let rows = "expected an object or null in \"before\" and \"after\"";
    vec![
        both(r#"{"op":"x","after":{"id":3}}"#, &format!("op \"x\" {UNKNOWN_OP}")),
        both(r#"{"op":"cc","after":{"id":3}}"#, &format!("op \"cc\" {UNKNOWN_OP}")),
        both(r#"{"op":5,"after":{"id":3}}"#, &format!("op \"5\" {UNKNOWN_OP}")),
        both(r#"{"op":null,"after":{"id":3}}"#, no_op),
        both(r#"{"id":3,"need":"y"}"#, no_op),
        both(r#"{"op":"c","after":null}"#, "\"after\" is null in a change event with op \"c\""),
        both(r#"{"op":"c"}"#, "\"after\" is null in a change event with op \"c\""),
        both(r#"{"op":"c","after":5}"#, &format!("the value cannot be read: found integer `5`, {rows}")),
        both(r#"{"op":"c","after":[]}"#, &format!("the value cannot be read: found an array, {rows}")),
        both(r#"{"op":"d","before":null}"#, &format!("\"before\" is null in a change event with op \"d\"{NO_IDENTITY}")),
        (
            r#"{"op":"u","before":null,"after":{"id":1,"need":"x"}}"#,
            String::new(),
            format!("\"before\" is null in a change event with op \"u\"{NO_IDENTITY}"),
        ),
        (
            r#"{"op":"d","before":{"id":7}}"#,
            String::new(),
            "column \"need\" is NOT NULL, and there is no field \"need\" in what the record deletes".to_string(),
        ),
        (
            r#"{"op":"r","before":null,"after":{"id":1,"need":"__debezium_unavailable_value"}}"#,
            String::new(),
            "column \"need\": the source did not send the value because it did not change, and there is no old row to take \
             it from"
                .to_string(),
        ),
        both(
            r#"{"schema":{"type":"struct","fields":5},"payload":{"op":"c","after":{}}}"#,
            "the schema part of the record cannot be read: found integer `5`, expected a sequence",
        ),
        both(
            r#"{"schema":{"type":"struct","fields":[{"field":"after","fields":[{"field":"day","name":"io.debezium.time.Date"}]}]},"payload":{"op":"c","after":{"id":3,"need":"y","day":99999999999}}}"#,
            "column \"day\" is date: 99999999999 is out of the range of date (4714-11-24 BC to 5874897-12-31; infinity cannot \
             be kept)",
        ),
    ]
}

#[test]
fn bad_change_events() {
    for (event, keyed, keyless) in events() {
        for (key, why) in [(["id"].as_slice(), keyed), (&[], keyless)] {
            let options = if key.is_empty() { TEXT_MODES } else { &TEXT_MODES[1..] };
            let mut table = Table::new(columns(COLUMNS), key, Debezium, options);
            if why.is_empty() {
                table.feed(&[(None, Some(event))]);
                assert_eq!(table.reasons(), Vec::<&str>::new(), "{event}");
            } else {
                assert_eq!(reason(&mut table, Debezium, (None, Some(event.as_bytes().to_vec()))), why, "{event}");
            }
        }
    }
}
