//! Fuzzed: epoch records and catalogs as bytes of anybody's. They are read whole or refused; nothing panics.

#![allow(clippy::unwrap_used)]

use testkit::{Choices, spoil};

use crate::{EpochRecord, replace_passwords, without_passwords};

const RECORDS: &[&str] = &[include_str!("samples/fuzz_inputs.json"), include_str!("samples/fuzz_catalog.json")];

const WORDS: &[&[u8]] = &[
    b"null",
    b"-1",
    b"18446744073709551616",
    b"1e400",
    b"\"\"",
    b"[]",
    b"{}",
    b"\"version\":3,",
    b"\\ud800",
    b"[[[[[[[[",
    b"\xff",
];

#[test]
fn fuzz_epoch_record() {
    bolero::check!().with_iterations(4_000).for_each(|bytes| {
        let mut choices = Choices::new(bytes);
        let sample = choices.of(RECORDS).trim().as_bytes();
        let spoilt = spoil(sample, WORDS, &mut choices);
        if let Ok(record) = EpochRecord::decode(&spoilt) {
            assert_eq!(EpochRecord::decode(&record.encode()).unwrap(), record, "what was read is written as it is");
        }
    });
}

/// Whatever the statement: nothing panics, nothing is said that is no password, and a second time changes nothing.
#[test]
fn fuzz_passwords() {
    const STATEMENTS: &[&str] = &[
        "CREATE SINK s FROM t WITH (connector = 'postgres', url = 'postgres://u:geheim@h:1/d?password=x', table = 't')",
        "CREATE SOURCE s (a INT) WITH (\"kafka.sasl.password\" = 'ge''heim', topic = 'with (secret = ''a'')')",
        "CREATE TABLE \"with (\" (password TEXT DEFAULT 'with (password = 1')",
    ];
    let words: &[&[u8]] = &[b"'", b"\"", b"WITH (", b"password =", b"://u:", b"@", "ü".as_bytes(), b"secret='", b"***"];
    bolero::check!().with_iterations(4_000).for_each(|bytes| {
        let mut choices = Choices::new(bytes);
        let sample = choices.of(STATEMENTS).as_bytes();
        let Ok(text) = String::from_utf8(spoil(sample, words, &mut choices)) else { return };
        let shown = without_passwords(&text);
        assert_eq!(without_passwords(&shown), shown);
        let mut taken = Vec::new();
        let hidden = replace_passwords(&text, &mut |secret| {
            taken.push(secret.to_string());
            format!("millstream-secret-{}", taken.len())
        });
        let mut again = Vec::new();
        let same = replace_passwords(&hidden, &mut |secret| {
            again.push(secret.to_string());
            secret.to_string()
        });
        assert_eq!(same, hidden);
    });
}
