//! Contents against a model of what the records say, and stream tables' contents.

use std::collections::BTreeMap;

use plan::TableDef;
use rand::RngExt;
use state::{Arrangement, StateError};
use testkit::{Generator, Model, Row, Value};
use zset::ColumnType::*;
use zset::{Changes, Column, Op, RowType};

use super::harness::copy;
use super::tables;
use crate::{Contents, FlowError, contents_id};

fn columns(key: &[usize]) -> RowType {
    let columns =
        [Column::new("id", Int, key.is_empty()), Column::new("a", Text, true), Column::new("b", Double, true)];
    RowType(columns.to_vec())
}

pub fn source(key: &[usize]) -> TableDef {
    tables::source(columns(key), key)
}

/// A stream table of the same columns.
fn stream(key: &[usize]) -> TableDef {
    tables::stream(columns(key), key)
}

pub fn contents(def: &TableDef) -> Contents {
    Contents::new(def, Arrangement::new(contents_id(def.id), Contents::law(def))).unwrap()
}

/// Records, one change each.
pub fn changes(def: &TableDef, records: &[(Op, Row, &[u32])]) -> Changes {
    let rows: Vec<(Row, i64)> = records.iter().map(|(_, row, _)| (row.clone(), 1)).collect();
    let keep =
        records.iter().enumerate().flat_map(|(at, record)| record.2.iter().map(move |column| (at as u32, *column)));
    Changes {
        rows: testkit::delta(&def.columns, &rows).batch().clone(),
        ops: records.iter().map(|record| record.0).collect(),
        origin: (0..records.len() as u32).collect(),
        keep: keep.collect(),
    }
}

pub fn stored(contents: &Contents) -> Model {
    let mut model = Model::new();
    contents.read(&contents.snapshot()).for_each(|delta| model.add(&delta.unwrap()));
    model
}

/// What the records say, one by one.
#[derive(Default, Clone)]
struct Said {
    keyed: BTreeMap<Value, Row>,
    keyless: Model,
    unresolved: usize,
    missing: u64,
}

impl Said {
    fn apply(&mut self, (op, row, keep): &(Op, Row, &[u32])) {
        match op {
            Op::Upsert => {
                let old = self.keyed.get(&row[0]).cloned();
                if old.is_none() && !keep.is_empty() {
                    self.unresolved += keep.len();
                    return;
                }
                let mut row = row.clone();
                keep.iter().for_each(|&at| row[at as usize] = old.as_ref().unwrap()[at as usize].clone());
                self.keyed.insert(row[0].clone(), row);
            }
            Op::Delete => drop(self.keyed.remove(&row[0])),
            Op::Insert => self.keyless.add_row(row.clone(), 1),
            Op::Retract if self.keyless.weight(row) > 0 => self.keyless.add_row(row.clone(), -1),
            Op::Retract => self.missing += 1,
            Op::Truncate => (self.keyed, self.keyless) = Default::default(),
        }
    }

    fn contents(&self) -> Model {
        let mut all = self.keyless.clone();
        self.keyed.values().for_each(|row| all.add_row(row.clone(), 1));
        all
    }
}

fn random(rng: &mut impl rand::Rng, def: &TableDef) -> (Op, Row, &'static [u32]) {
    let generator = Generator { values: 3, ..Generator::new(def.columns.clone()) };
    let mut row = generator.row(rng);
    if rng.random_bool(0.03) {
        return (Op::Truncate, vec![Value::Null; 3], &[]);
    }
    if def.key.is_empty() {
        return (if rng.random_bool(0.6) { Op::Insert } else { Op::Retract }, row, &[]);
    }
    if rng.random_bool(0.3) {
        return (Op::Delete, vec![row[0].clone(), Value::Null, Value::Null], &[]);
    }
    let keep: &[u32] = [&[][..], &[], &[1], &[2], &[1, 2]][rng.random_range(0..5)];
    keep.iter().for_each(|&at| row[at as usize] = Value::Null);
    (Op::Upsert, row, keep)
}

#[test]
fn contents_are_what_the_records_say_in_any_batches() {
    for (key, seeds) in [(&[0][..], 0..150), (&[][..], 0..150)] {
        let def = source(key);
        for seed in seeds {
            let rng = &mut testkit::rng(seed);
            let records: Vec<_> = (0..60).map(|_| random(rng, &def)).collect();
            let (mut contents, mut said, mut sum) = (contents(&def), Said::default(), Model::new());
            let epochs = [1, 5, 60][seed as usize % 3];
            for range in testkit::random_split(rng, records.len(), epochs) {
                let part = &records[range];
                if rng.random_bool(0.3) {
                    contents.apply_changes(&changes(&def, &[part, &records[..5]].concat())).unwrap();
                    contents.discard();
                }
                let (unresolved, missing) = (said.unresolved, said.missing);
                part.iter().for_each(|record| said.apply(record));
                let applied = contents.apply_changes(&changes(&def, part)).unwrap();
                contents.commit();
                sum.add(&applied.delta);
                assert_eq!(sum, said.contents(), "key {key:?}, seed {seed}: the deltas");
                assert_eq!(stored(&contents), sum, "key {key:?}, seed {seed}: the contents");
                let rows: i64 = sum.rows().map(|(_, weight)| weight).sum();
                assert_eq!(contents.rows(), rows, "key {key:?}, seed {seed}");
                assert_eq!(applied.unresolved.len(), said.unresolved - unresolved, "key {key:?}, seed {seed}");
                assert_eq!(applied.missing_retractions, said.missing - missing, "key {key:?}, seed {seed}");
                let mut once = Model::new();
                once.add(&applied.delta);
                assert_eq!(once.len(), applied.delta.len(), "key {key:?}, seed {seed}: consolidated");
                if rng.random_bool(0.1) {
                    contents = Contents::new(&def, copy(contents.arrangement())).unwrap();
                    assert_eq!(contents.rows(), rows);
                }
            }
        }
    }
    println!("contents: seeds 0..150 keyed and keyless");
}

#[test]
fn contents_of_a_stream_table_follow_its_deltas() {
    for key in [&[][..], &[0], &[0, 1]] {
        let def = stream(key);
        for seed in 0..40 {
            let rng = &mut testkit::rng(seed);
            let history = Generator::new(def.columns.clone()).history(rng, 50);
            let (mut contents, mut model) = (contents(&def), Model::new());
            for range in testkit::random_split(rng, history.len(), 6) {
                let delta = testkit::delta(&def.columns, &history[range]);
                contents.apply_delta(&delta).unwrap();
                contents.discard();
                contents.apply_delta(&delta).unwrap();
                contents.commit();
                model.add(&delta);
                assert_eq!(stored(&contents), model, "key {key:?}, seed {seed}");
                assert_eq!(contents.rows(), model.rows().map(|(_, weight)| weight).sum::<i64>());
            }
            let absent = vec![Value::Int(77), Value::Null, Value::Null];
            let error = contents.apply_delta(&testkit::delta(&def.columns, &[(absent, -1)])).unwrap_err();
            assert!(matches!(error, FlowError::Invariant(_)), "{error}");
            assert_eq!(stored(&contents), model);
        }
    }
}

/// A row of a stream table without a key is kept once; where a version before kept it beside its key, what is told of it later is told so.
#[test]
fn a_row_that_is_its_own_key_is_kept_once() {
    let def = stream(&[]);
    let all = |contents: &Contents| contents.snapshot().scan(100).map(Result::unwrap).collect::<Vec<_>>();
    let beside = |contents: &Contents| all(contents).iter().map(|entries| entries.rows.data_len()).sum::<usize>();
    for seed in 0..40 {
        let rng = &mut testkit::rng(seed);
        let history = Generator::new(def.columns.clone()).history(rng, 60);
        let [first, second] = [0..30, 30..60].map(|range| testkit::delta(&def.columns, &history[range]));
        let mut new = contents(&def);
        new.apply_delta(&first).unwrap();
        new.commit();
        let (bytes, _) = new.bytes(first.batch());
        let mut arrangement = Arrangement::new(contents_id(def.id), Contents::law(&def));
        arrangement.stage(&bytes, &bytes, first.weights().values());
        arrangement.commit();
        let mut old = Contents::new(&def, arrangement).unwrap();
        let had_rows = old.rows() > 0;
        for (rows, more) in [(&first, Some(&second)), (&second, None)] {
            assert_eq!(stored(&old), stored(&new), "seed {seed}");
            let difference = |one: &Contents, other| one.difference::<StateError>(other, &mut || Ok(())).unwrap().len();
            assert_eq!(difference(&old, &new) + difference(&new, &old), 0, "seed {seed}");
            assert!(
                old.rows() == 0 || old.difference(&new, &mut || Err(StateError::Closed)).is_err(),
                "seed {seed}: it was asked to stop"
            );
            let (_, keys) = new.bytes(rows.batch());
            let [of_old, of_new] = [&old, &new].map(|contents| {
                let (mut found, reader) = (Model::new(), contents.reader());
                found.add(&reader.find(&contents.snapshot(), &keys).unwrap());
                (found, reader.look(&contents.snapshot(), rows.batch()).unwrap().copies)
            });
            assert_eq!(of_old, of_new, "seed {seed}");
            assert_eq!((beside(&new), beside(&old) > 0), (0, had_rows && old.rows() > 0), "seed {seed}");
            let Some(more) = more else { continue };
            for contents in [&mut old, &mut new] {
                contents.apply_delta(more).unwrap();
                contents.commit();
            }
        }
        // All that is there goes, told as it was.
        let rest: Vec<_> = new.read(&new.snapshot()).map(Result::unwrap).collect();
        for contents in [&mut old, &mut new] {
            rest.iter().for_each(|rows| contents.apply_delta(&rows.negated()).unwrap());
            contents.commit();
            assert!(all(contents).is_empty(), "seed {seed}");
        }
    }
}
