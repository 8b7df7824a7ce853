//! The indexes of UNIQUE constraints against a model: they have what the table has, whatever is discarded, committed and
//! restored, and say of rows to come what a walk over all rows says.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use plan::{OwnDef, TableDef, TableKind, Unique};
use rand::RngExt;
use testkit::{Generator, Row, Value};
use zset::Op;

use super::contents::{changes, contents, source, stored};
use super::harness::copy;
use crate::{Contents, unique_id};

fn with_uniques(key: &[usize]) -> TableDef {
    let unique = |columns: &[usize], nulls_not_distinct, slot| Unique {
        name: format!("u{slot}"),
        columns: columns.to_vec(),
        nulls_not_distinct,
        slot,
    };
    let mut def = source(key);
    let TableKind::Source(source) = &mut def.kind else { unreachable!() };
    let uniques = vec![unique(&[1], false, 0), unique(&[2, 1], false, 3), unique(&[2], true, 4)];
    source.own = Some(OwnDef { uniques, next_slot: 5, ..OwnDef::default() });
    def
}

/// The values of a row in a constraint's columns; `None`: it is not in the index.
fn key_of(unique: &Unique, row: &Row) -> Option<Vec<Value>> {
    let key: Vec<Value> = unique.columns.iter().map(|&at| row[at].clone()).collect();
    (unique.nulls_not_distinct || !key.contains(&Value::Null)).then_some(key)
}

/// How many rows have each key.
fn expected(unique: &Unique, rows: &[(Row, i64)]) -> BTreeMap<Vec<Value>, i64> {
    let mut counts = BTreeMap::new();
    for (row, weight) in rows {
        if let Some(key) = key_of(unique, row) {
            *counts.entry(key).or_default() += weight;
        }
    }
    counts.retain(|_, count| *count != 0);
    counts
}

fn rows_of(contents: &Contents) -> Vec<(Row, i64)> {
    stored(contents).rows().map(|(row, weight)| (row.clone(), weight)).collect()
}

fn batch(def: &TableDef, rows: &[Row]) -> RecordBatch {
    let rows: Vec<(Row, i64)> = rows.iter().map(|row| (row.clone(), 1)).collect();
    testkit::delta(&def.columns, &rows).batch().clone()
}

/// Every index has as many entries of every key as the table has rows of it, and finds them.
fn check_indexes(def: &TableDef, contents: &Contents, what: &str) {
    let rows = rows_of(contents);
    for index in contents.uniques() {
        let wanted = expected(index.unique(), &rows);
        let mut sum = 0;
        for entries in index.snapshot.scan(7) {
            sum += entries.unwrap().weights.iter().sum::<i64>();
        }
        assert_eq!(sum, wanted.values().sum::<i64>(), "{what}: entries of {}", index.unique().name);
        for (row, _) in &rows {
            let (found, at) = index.find(&batch(def, std::slice::from_ref(row))).unwrap();
            let there = key_of(index.unique(), row).is_some();
            assert_eq!((found.len(), at[0].is_some()), (usize::from(there), there), "{what}: {row:?}");
        }
    }
}

/// The first row that breaks a constraint, and which, by a walk over all rows.
fn walked(def: &TableDef, stored: &[(Row, i64)], gone: &[Row], come: &[Row]) -> Option<(usize, usize)> {
    let mut first = None;
    for (at, unique) in def.uniques().iter().enumerate() {
        let mut counts = expected(unique, stored);
        for key in gone.iter().filter_map(|row| key_of(unique, row)) {
            *counts.entry(key).or_default() -= 1;
        }
        for (row, values) in come.iter().enumerate() {
            let Some(key) = key_of(unique, values) else { continue };
            let count = counts.entry(key).or_default();
            if *count > 0 {
                first = first.into_iter().chain([(row, at)]).min();
                break;
            }
            *count += 1;
        }
    }
    first
}

#[test]
fn indexes_have_what_the_table_has() {
    let mut violations = 0;
    for (key, seed) in [&[0][..], &[]].into_iter().flat_map(|key| (0..120).map(move |seed| (key, seed))) {
        let (def, rng) = (with_uniques(key), &mut testkit::rng(seed));
        let generator = Generator { values: 3, ..Generator::new(def.columns.clone()) };
        let mut contents = contents(&def);
        for step in 0..12 {
            let what = format!("key {key:?}, seed {seed}, step {step}");
            let (come, gone) = if key.is_empty() { (Op::Insert, Op::Retract) } else { (Op::Upsert, Op::Delete) };
            let mut records: Vec<(Op, Row, &[u32])> = Vec::new();
            for _ in 0..rng.random_range(1..6) {
                let op = if rng.random_bool(0.6) { come } else { gone };
                records.push((op, generator.row(rng), &[]));
            }
            if rng.random_bool(0.05) {
                records.push((Op::Truncate, vec![Value::Null; 3], &[]));
            }
            contents.apply_changes(&changes(&def, &records)).unwrap();
            if rng.random_bool(0.3) {
                contents.discard();
                check_indexes(&def, &contents, &format!("{what}, discarded"));
                continue;
            }
            contents.commit();
            check_indexes(&def, &contents, &what);

            let rows = rows_of(&contents);
            let gone: Vec<Row> = rows.iter().filter(|_| rng.random_bool(0.3)).map(|(row, _)| row.clone()).collect();
            let come: Vec<Row> = (0..rng.random_range(1..4)).map(|_| generator.row(rng)).collect();
            let found = contents.violated(&batch(&def, &gone), &batch(&def, &come)).unwrap();
            assert_eq!(found, walked(&def, &rows, &gone, &come), "{what}: {gone:?} go, {come:?} come, of {rows:?}");
            violations += usize::from(found.is_some());

            if rng.random_bool(0.2) {
                let indexes: Vec<_> = contents.index_arrangements().map(copy).collect();
                let mut indexes = indexes.into_iter();
                let ids: Vec<_> = def.uniques().iter().map(|unique| unique_id(def.id, unique)).collect();
                let mut asked = Vec::new();
                contents =
                    Contents::new(&def, copy(contents.arrangement())).unwrap().with_indexes(&def, &mut |id, _| {
                        asked.push(id);
                        indexes.next().unwrap()
                    });
                assert_eq!(asked, ids);
                check_indexes(&def, &contents, &format!("{what}, restored"));
            }
        }
    }
    assert!(violations > 300, "{violations} violations");
}

#[test]
fn duplicates_are_found_when_an_index_is_built() {
    let def = with_uniques(&[0]);
    let mut contents = contents(&def);
    let row = |id: i64, a: &str| vec![Value::Int(id), Value::Text(a.into()), Value::Float(id as f64)];
    for id in 0..500 {
        contents.fill(&testkit::delta(&def.columns, &[(row(id, &format!("v{id}")), 1)]));
    }
    assert!(contents.duplicate().unwrap().is_none());
    contents.fill(&testkit::delta(&def.columns, &[(row(500, "v77"), 1)]));
    let (at, values) = contents.duplicate().unwrap().unwrap();
    assert_eq!((at, values.num_rows(), values.num_columns()), (0, 1, 1));
}
