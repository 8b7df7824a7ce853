//! Records decoded in slices by several workers: the same rows, the same dead letters, the same warnings as by one.
#![allow(clippy::unwrap_used)]

use plan::Envelope::{Append, Debezium, Upsert};
use plan::{Envelope, Include};
use schemas::{Decoded, DecoderSpec, RawRecord, WATCHED_RECORDS};
use workers::Workers;

use crate::model::{columns, options};

/// What a table is declared with.
type Declared<'a> = (Envelope, &'a [usize], &'a [(&'a str, &'a str)]);

const WATCHED: usize = WATCHED_RECORDS as usize;

/// What batches of records are decoded to by so many workers, the last of them included; what was warned of; and how often work was cut.
fn decoded(by: usize, table: Declared<'_>, batches: &[&[RawRecord<'_>]]) -> (Vec<Decoded>, Vec<String>, u64) {
    let (envelope, key, given) = table;
    let columns = columns(&[("id", "bigint!"), ("v", "text"), ("n", "integer"), ("o", "bigint")]);
    let options = options(given);
    let spec = DecoderSpec { table: "t", columns: &columns, key, envelope, options: &options };
    let mut decoder = schemas::sliced(&spec, &[(3, Include::Offset)]).unwrap();
    let workers = Workers::eager(by).unwrap();
    let mut warnings = Vec::new();
    let mut all = Vec::new();
    for records in batches {
        all.push(workers.run(|| decoder.decode(records)));
        warnings.extend(decoder.warnings());
    }
    (all, warnings, workers.forks())
}

/// A record, and where it stands.
fn record((at, (key, value)): (usize, &(Option<String>, Option<String>))) -> RawRecord<'_> {
    RawRecord {
        offset: 7 * at as i64,
        ..RawRecord::new(key.as_deref().map(str::as_bytes), value.as_deref().map(str::as_bytes))
    }
}

fn same(table: Declared<'_>, texts: &[(Option<String>, Option<String>)]) {
    let records: Vec<RawRecord<'_>> = texts.iter().enumerate().map(record).collect();
    // Slices of every length, beside one that is still watched.
    let batches: Vec<&[RawRecord<'_>]> = [&records[..WATCHED + 500], &records[WATCHED + 500..]]
        .into_iter()
        .chain((1..20).map(|len| &records[WATCHED..WATCHED + len]))
        .collect();
    let (wanted, warned, alone) = decoded(1, table, &batches);
    assert_eq!((warned.len(), alone), (1, 0), "{warned:?}");
    assert!(wanted[1].dead.len() > 10 && wanted[1].changes.ops.len() > 500, "there is something to compare");
    for by in [2, 4, 8] {
        let (found, warnings, forks) = decoded(by, table, &batches);
        assert_eq!(warnings, warned, "by {by}");
        assert!(forks as usize >= batches.len() - 2, "by {by}: work was cut {forks} times");
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(found.changes.rows, wanted.changes.rows, "by {by}");
            assert_eq!(found.changes.ops, wanted.changes.ops, "by {by}");
            assert_eq!(found.changes.origin, wanted.changes.origin, "by {by}");
            assert_eq!(found.changes.keep, wanted.changes.keep, "by {by}");
            assert_eq!(found.dead, wanted.dead, "by {by}");
        }
    }
}

#[test]
fn rows_of_an_append_topic() {
    let value = |at: usize| match at % 31 {
        7 => Some(format!(r#"{{"id":{at},"v":"#)),
        11 => Some(r#"{"id":"one"}"#.to_string()),
        13 => None,
        _ => Some(format!(r#"{{"v":"row {at}","id":{at}}}"#)),
    };
    same((Append, &[], &[]), &(0..3000).map(|at| (None, value(at))).collect::<Vec<_>>());
}

#[test]
fn rows_and_deletes_of_an_upsert_topic() {
    let record = |at: usize| {
        let key = format!(r#"{{"id":{}}}"#, at % 97);
        let value = match at % 17 {
            3 => None,
            5 => Some("no row".to_string()),
            _ => Some(format!(r#"{{"id":{},"v":null}}"#, at % 97)),
        };
        (Some(key), value)
    };
    same((Upsert, &[0], &[]), &(0..3000).map(record).collect::<Vec<_>>());
}

/// Records that give two rows or none, and values that are to be kept.
#[test]
fn change_events() {
    let row = |id: usize, v: &str| format!(r#"{{"id":{id},"v":{v}}}"#);
    let value = |at: usize| {
        let (before, after) = match at % 13 {
            0 => ("null".to_string(), row(at, "\"new\"")),
            1 => (row(at, "\"old\""), row(at + 1, "\"moved\"")),
            2 => (row(at, "\"old\""), "null".to_string()),
            3 => ("null".to_string(), "null".to_string()),
            _ => (row(at, "null"), row(at, "\"__debezium_unavailable_value\"")),
        };
        let op = ["c", "u", "d", "m", "u"][(at % 13).min(4)];
        Some(match at % 29 {
            4 => format!(r#"{{"op":"?","before":{before},"after":{after}}}"#),
            _ => format!(r#"{{"op":"{op}","before":{before},"after":{after}}}"#),
        })
    };
    same((Debezium, &[0], &[]), &(0..3000).map(|at| (None, value(at))).collect::<Vec<_>>());
}
