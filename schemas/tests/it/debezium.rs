//! The rules of the Debezium envelope, sentence by sentence.
#![allow(clippy::unwrap_used)]

use plan::Envelope::{Debezium, Upsert};
use schemas::DecoderSpec;
use zset::Op;

use crate::envelopes::{T, refuses, table};
use crate::model::{Table, columns, options};

#[test]
fn debezium_events_of_a_table_with_a_key() {
    let mut rows = table(Debezium, &["id"]);
    let changes = rows.decode(&[
        (None, Some(r#"{"before":null,"after":{"id":1,"v":"a"},"op":"r"}"#)),
        (None, Some(r#"{"before":null,"after":{"id":1,"v":"b"},"op":"u"}"#)),
        (None, Some(r#"{"before":{"id":1,"v":null},"after":{"id":1,"v":"c"},"op":"u"}"#)),
        (None, Some(r#"{"before":{"id":1},"after":{"id":2,"v":"d"},"op":"u"}"#)),
        (None, Some(r#"{"before":{"id":"1"},"after":{"id":1,"v":"e"},"op":"u"}"#)),
        (None, Some(r#"{"before":{"id":null},"after":{"id":3,"v":"f"},"op":"u"}"#)),
        (None, Some(r#"{"before":{"id":3,"n":"AA=="},"after":null,"op":"d"}"#)),
        (Some(r#"{"id":3}"#), None),
        (None, Some(r#"{"before":null,"after":null,"op":"t"}"#)),
        (None, Some(r#"{"op":"m","message":{"prefix":"p"}}"#)),
    ]);
    use Op::{Delete, Truncate, Upsert};
    assert_eq!(changes.ops, [Upsert, Upsert, Upsert, Delete, Upsert, Upsert, Upsert, Delete, Delete, Truncate]);
    assert_eq!(changes.origin, [0, 1, 2, 3, 3, 4, 5, 6, 7, 8]);
    assert_eq!(rows.reasons(), Vec::<&str>::new());
}

#[test]
fn debezium_tombstones_delete_only_by_a_whole_key() {
    let mut rows = table(Debezium, &["id"]);
    let none = rows.decode(&[
        (Some(r#"{"other":1}"#), None),
        (Some(r#"{"id":null}"#), None),
        (Some("1"), None),
        (None, None),
        (Some("not json"), None),
    ]);
    assert_eq!((none.ops.len(), rows.dead.len()), (0, 0));
    assert_eq!(rows.decode(&[(Some(r#"{"schema":null,"payload":{"id":1}}"#), None)]).ops, [Op::Delete]);
    let mut two = table(Debezium, &["id", "v"]);
    assert_eq!(two.decode(&[(Some(r#"{"id":1}"#), None)]).ops, []);
    assert_eq!(two.decode(&[(Some(r#"{"v":"a","id":1}"#), None)]).ops, [Op::Delete]);
}

#[test]
fn debezium_events_that_say_too_little() {
    let cases = [
        (r#"{"before":null,"after":null,"op":"c"}"#, "\"after\" is null in a change event with op \"c\""),
        (r#"{"before":{"id":1},"op":"u"}"#, "\"after\" is null in a change event with op \"u\""),
        (r#"{"after":{"id":1},"op":"x"}"#, "op \"x\" is not known; a change event has r, c, u, d, t or m"),
        (r#"{"after":{"id":1},"op":"cc"}"#, "op \"cc\" is not known; a change event has r, c, u, d, t or m"),
        (
            r#"{"before":null,"after":null,"op":"d"}"#,
            "\"before\" is null in a change event with op \"d\"; is the source's REPLICA IDENTITY set (FULL for a table \
             without a key)?",
        ),
        (
            r#"{"before":{"v":"x"},"after":null,"op":"d"}"#,
            "column \"id\" is in the PRIMARY KEY, and there is no field \"id\" in what the record deletes",
        ),
        (
            r#"{"id":1,"v":"x"}"#,
            "there is no field \"op\": this is no Debezium change event; for flattened records \
             (ExtractNewRecordState) use envelope 'upsert' or 'append'",
        ),
        (
            r#"{"after":"x","op":"c"}"#,
            "the value cannot be read: found string \"x\", expected an object or null in \"before\" and \"after\"",
        ),
    ];
    for (value, reason) in cases {
        refuses(Debezium, &["id"], (None, Some(value)), reason);
    }
}

#[test]
fn debezium_without_a_key_needs_full_identity() {
    let t = columns(T);
    let given = options(&[]);
    let spec = DecoderSpec { table: "t", columns: &t, key: &[], envelope: Debezium, options: &given };
    let refused = schemas::decoder(&spec).err().unwrap().to_string();
    assert!(refused.contains("replica_identity = 'full'"), "{refused}");
    let refused = schemas::decoder(&DecoderSpec { envelope: Upsert, ..spec }).err().unwrap().to_string();
    assert!(refused.contains("needs one"), "{refused}");
    let mut rows = Table::new(columns(T), &[], Debezium, &[("replica_identity", "full")]);
    let changes = rows.decode(&[
        (None, Some(r#"{"before":null,"after":{"id":1},"op":"c"}"#)),
        (None, Some(r#"{"before":{"id":1},"after":{"id":2},"op":"u"}"#)),
        (None, Some(r#"{"before":{"id":2},"after":null,"op":"d"}"#)),
        (None, Some(r#"{"before":null,"after":{"id":2},"op":"u"}"#)),
        (Some(r#"{"id":1}"#), None),
        (None, Some(r#"{"op":"t"}"#)),
    ]);
    assert_eq!(changes.ops, [Op::Insert, Op::Retract, Op::Insert, Op::Retract, Op::Truncate]);
    assert_eq!(changes.origin, [0, 1, 1, 2, 5]);
    assert_eq!(rows.dead.len(), 1);
}

#[test]
fn unavailable_values_are_kept_or_taken_from_a_full_before() {
    let event = r#"{"before":{"id":1,"v":"old"},"after":{"id":1,"v":"__debezium_unavailable_value"},"op":"u"}"#;
    let mut default = table(Debezium, &["id"]);
    let changes = default.decode(&[(None, Some(event))]);
    assert_eq!(changes.keep, [(0, 1)]);
    for key in [&["id"][..], &[]] {
        let mut full = Table::new(columns(T), key, Debezium, &[("replica_identity", "full")]);
        let changes = full.decode(&[(None, Some(event))]);
        assert_eq!(changes.keep, []);
        full.feed(&[(None, Some(event))]);
        assert!(full.rows().contains(&r#"{"id":1,"v":"old","n":null}"#.to_string()), "{:?}", full.rows());
    }
    // Without a key, and without the value in before, there is no row to take it from.
    let mut full = Table::new(columns(T), &[], Debezium, &[("replica_identity", "full")]);
    full.feed(&[(None, Some(r#"{"before":null,"after":{"id":1,"v":"__debezium_unavailable_value"},"op":"c"}"#))]);
    assert_eq!(
        full.reasons(),
        [
            "column \"v\": the source did not send the value because it did not change, and there is no old row to take it \
          from"
        ]
    );
    // A key update with a placeholder: the row number of what is kept is that of the second row.
    let moved = r#"{"before":{"id":1},"after":{"id":2,"v":"__debezium_unavailable_value"},"op":"u"}"#;
    let bad = r#"{"before":{"id":1},"after":{"id":2,"v":"__debezium_unavailable_value","n":"?"},"op":"u"}"#;
    let changes = default.decode(&[(None, Some(bad)), (None, Some(moved))]);
    assert_eq!((changes.ops.len(), changes.keep), (2, vec![(1, 1)]));
}
