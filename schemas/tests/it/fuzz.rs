//! Fuzzed: records of every envelope, as anybody may write them into a topic. Each is a change of the table, nothing, or a dead
//! letter; nothing panics, and the record behind a bad one is read as it would be alone.
#![allow(clippy::unwrap_used)]

use plan::Envelope::{Append, Debezium, Upsert};
use testkit::{Choices, spoil};

use crate::model::{Bytes, Table, columns};

const COLUMNS: &[(&str, &str)] = &[
    ("id", "bigint!"),
    ("a", "numeric(12,3)"),
    ("b", "text"),
    ("c", "timestamp(6)"),
    ("d", "double precision"),
    ("e", "boolean"),
    ("f", "bytea"),
    ("g", "jsonb"),
    ("h", "date"),
    ("i", "uuid"),
    ("j", "real"),
    ("k", "timestamptz(6)"),
    ("l", "time"),
    ("m", "smallint"),
];

const ROW: &str = r#"{"id":1,"a":"12.345","b":"x\u00e9\ud83d\ude00","c":"2024-01-15T10:00:00.123456","d":1.5e3,"e":true,"f":"AQID","g":"{\"x\":[1,2]}","h":"2024-01-15","i":"6f1e0b1e-8f54-4b9c-9a6b-0d1f6c2f7a11","j":-0.5,"k":"2024-01-15T10:00:00Z","l":"13:14:15.5","m":7}"#;
const NUMBERS: &str = r#"{"id":9223372036854775807,"a":12.5,"b":"","c":1700000000000,"d":"NaN","e":null,"f":"","g":"1","h":19000,"j":"Infinity","l":1000,"m":-32768}"#;

const WORDS: &[&[u8]] = &[
    b"null",
    b"true",
    b"-",
    b"1e999",
    b"18446744073709551616",
    b"\"NaN\"",
    b"\"op\":\"d\"",
    b"\"before\":",
    b"\"after\":",
    b"\"payload\":",
    b"\"schema\":",
    b"\\u0000",
    b"\\ud800",
    b"\xff\xfe",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":",
    b"\"__debezium_unavailable_value\"",
    b",,",
    b"\"infinity\"",
    b"99999-12-31T00:00:00",
    b"\xef\xbb\xbf",
];

const MODES: &[(&str, &str)] =
    &[("decimal_handling_mode", "string"), ("time_precision_mode", "isostring"), ("binary_handling_mode", "base64")];

fn table(kind: usize) -> Table {
    let of = |key: &[&str], envelope, options: &[(&str, &str)]| Table::new(columns(COLUMNS), key, envelope, options);
    match kind {
        0 => of(&[], Append, &[]),
        1 => of(&["id"], Upsert, &[]),
        2 => of(&["id"], Debezium, MODES),
        _ => of(&[], Debezium, &[MODES, &[("replica_identity", "full")]].concat()),
    }
}

/// Good records of a kind.
fn samples(kind: usize) -> Vec<Bytes> {
    let key = |key: &str| Some(key.as_bytes().to_vec());
    let event = |op: &str, before: &str, after: &str| {
        key(&format!(r#"{{"before":{before},"after":{after},"source":{{"lsn":1}},"op":"{op}","ts_ms":1}}"#))
    };
    match kind {
        0 => vec![(None, key(ROW)), (None, key(NUMBERS))],
        1 => vec![(key(r#"{"id":1}"#), key(ROW)), (key("2"), key(NUMBERS)), (key(r#"{"id":1}"#), None)],
        _ => vec![
            (key(r#"{"id":1}"#), event("c", "null", ROW)),
            (key(r#"{"id":1}"#), event("u", ROW, NUMBERS)),
            (key(r#"{"id":1}"#), event("d", ROW, "null")),
            (None, event("t", "null", "null")),
            (
                None,
                key(&format!(
                    r#"{{"schema":{{"type":"struct","fields":[]}},"payload":{{"before":null,"after":{ROW},"op":"r"}}}}"#
                )),
            ),
        ],
    }
}

#[test]
fn fuzz_json_decoder() {
    let good: Bytes = (Some(br#"{"id":77}"#.to_vec()), Some(ROW.replace("\"id\":1,", "\"id\":77,").into_bytes()));
    let event: Bytes =
        (good.0.clone(), Some([&br#"{"op":"c","after":"#[..], good.1.as_deref().unwrap(), b"}"].concat()));
    bolero::check!().with_iterations(3_000).for_each(|bytes| {
        let mut choices = Choices::new(bytes);
        let kind = choices.below(4);
        let samples = samples(kind);
        let (key, value) = &samples[choices.below(samples.len())];
        let which = choices.below(4);
        let spoilt =
            |part: &Option<Vec<u8>>, choices: &mut Choices<'_>| part.as_deref().map(|part| spoil(part, WORDS, choices));
        let key = if which == 0 { spoilt(key, &mut choices) } else { key.clone() };
        let value = if which > 0 { spoilt(value, &mut choices) } else { value.clone() };
        let (mut fuzzed, mut clean) = (table(kind), table(kind));
        let after = if kind < 2 { good.clone() } else { event.clone() };
        fuzzed.feed_bytes(&[(key, value), after.clone()]);
        clean.feed_bytes(&[after]);
        assert!(fuzzed.dead.len() <= 1, "{:?}", fuzzed.reasons());
        assert!(fuzzed.dead.iter().all(|dead| !dead.reason.is_empty() && dead.reason.len() < 2000));
        for row in clean.rows() {
            assert!(fuzzed.rows().contains(&row), "the record behind it is lost: {:?}", fuzzed.rows());
        }
    });
}
