//! HARD_CASES 6, 7, 29, 45, 47, 51 where records enter: source tables.

use testkit::{Model, Row, Value};
use zset::Op::{self, *};

use super::contents::{changes, contents, source, stored};
use crate::Applied;

type Record = (Op, Row, &'static [u32]);

fn row(id: i64, a: &str, b: f64) -> Row {
    vec![Value::Int(id), Value::from(a), Value::Float(b)]
}

fn key(id: i64) -> Row {
    vec![Value::Int(id), Value::Null, Value::Null]
}

fn up(id: i64, a: &str) -> Record {
    (Upsert, row(id, a, 0.5), &[])
}

fn del(id: i64) -> Record {
    (Delete, key(id), &[])
}

/// Applies batches; the contents and what the last batch gave.
fn run(keys: &[usize], batches: &[Vec<Record>]) -> (Model, Applied) {
    let def = source(keys);
    let mut contents = contents(&def);
    let mut last = None;
    for batch in batches {
        last = Some(contents.apply_changes(&changes(&def, batch)).unwrap());
        contents.commit();
    }
    (stored(&contents), last.unwrap())
}

fn rows(rows: &[Row]) -> Model {
    rows.iter().map(|row| (row.clone(), 1)).collect()
}

fn model(applied: &Applied) -> Model {
    let mut model = Model::new();
    model.add(&applied.delta);
    model
}

#[test]
fn hard_case_06_one_key_many_times_in_one_batch() {
    let (all, applied) = run(&[0], &[vec![up(1, "x"), del(1)]]);
    assert!(all.is_empty() && applied.delta.is_empty());
    let (all, applied) = run(&[0], &[vec![up(1, "x")], vec![up(1, "y"), up(1, "z"), up(1, "w")]]);
    assert_eq!(all, rows(&[row(1, "w", 0.5)]));
    assert_eq!(applied.delta.len(), 2, "one retraction, one insert");
    let (all, applied) = run(&[0], &[vec![up(1, "x")], vec![del(1), up(1, "x")]]);
    assert_eq!(all, rows(&[row(1, "x", 0.5)]));
    assert!(applied.delta.is_empty(), "D before I of the same row is nothing");
    let (all, _) = run(&[0], &[vec![del(1), del(1)], vec![up(1, "x")]]);
    assert_eq!(all, rows(&[row(1, "x", 0.5)]));
}

#[test]
fn hard_case_07_keys_swapped_in_one_batch() {
    let swap = vec![del(1), up(2, "x"), up(1, "y")];
    let (all, applied) = run(&[0], &[vec![up(1, "x"), up(2, "y")], swap]);
    assert_eq!(all, rows(&[row(1, "y", 0.5), row(2, "x", 0.5)]));
    assert_eq!(applied.delta.len(), 4);
}

#[test]
fn hard_case_29_exact_duplicates_without_a_key() {
    let one = || row(1, "x", 0.5);
    let insert = |times: usize| vec![(Insert, one(), &[][..]); times];
    let retract = |times: usize| vec![(Retract, one(), &[][..]); times];
    let (all, _) = run(&[], &[insert(3), retract(1)]);
    assert_eq!(all.weight(&one()), 2);
    let (all, applied) = run(&[], &[insert(2), [retract(1), vec![(Insert, row(2, "x", 0.5), &[])]].concat()]);
    assert_eq!((all.weight(&one()), all.len(), applied.delta.len()), (1, 2, 2));
    let (all, applied) = run(&[], &[insert(3), retract(3), insert(3)]);
    assert_eq!((all.weight(&one()), applied.missing_retractions), (3, 0));
    let (all, applied) = run(&[], &[insert(1), retract(3)]);
    assert_eq!((all.len(), applied.missing_retractions), (0, 2), "never a negative weight");
    let (all, _) = run(&[], &[retract(2), insert(1)]);
    assert_eq!(all.weight(&one()), 1, "what was not there is not owed");
}

#[test]
fn hard_case_45_truncate_then_rows_again_in_one_batch() {
    let truncate = || (Truncate, vec![Value::Null; 3], &[][..]);
    let (all, applied) =
        run(&[0], &[vec![up(1, "x"), up(2, "y")], vec![up(3, "z"), truncate(), up(2, "y"), up(4, "w")]]);
    assert_eq!(all, rows(&[row(2, "y", 0.5), row(4, "w", 0.5)]));
    let expected: Model = [(row(1, "x", 0.5), -1), (row(4, "w", 0.5), 1)].into_iter().collect();
    assert_eq!(model(&applied), expected);
    let insert = |id| (Insert, row(id, "x", 0.5), &[][..]);
    let (all, applied) = run(&[], &[vec![insert(1), insert(1), insert(2)], vec![truncate(), insert(1)]]);
    assert_eq!(all, rows(&[row(1, "x", 0.5)]));
    let expected: Model = [(row(1, "x", 0.5), -1), (row(2, "x", 0.5), -1)].into_iter().collect();
    assert_eq!(model(&applied), expected);
}

#[test]
fn hard_case_47_an_update_to_the_same_values_is_nothing() {
    let (_, applied) = run(&[0], &[vec![up(1, "x")], vec![up(1, "x")]]);
    assert!(applied.delta.is_empty());
    let zero = |b| (Upsert, row(1, "x", b), &[][..]);
    let (_, applied) = run(&[0], &[vec![zero(0.0)], vec![zero(-0.0)]]);
    assert!(applied.delta.is_empty(), "-0 is 0");
    let (all, _) = run(&[0], &[vec![zero(-0.0)]]);
    let Value::Float(stored) = all.rows().next().unwrap().0[2] else { panic!("a float") };
    assert!(stored.is_sign_positive());
}

#[test]
fn hard_case_51_toast_placeholders_keep_the_value_of_the_present_row() {
    let keep = |id, b| (Upsert, vec![Value::Int(id), Value::Null, Value::Float(b)], &[1][..]);
    let (all, applied) = run(&[0], &[vec![up(1, "long")], vec![keep(1, 1.5), keep(1, 2.5)]]);
    assert_eq!((all, applied.unresolved.len()), (rows(&[row(1, "long", 2.5)]), 0));
    let (all, _) = run(&[0], &[vec![up(1, "x"), keep(1, 1.5), up(1, "y"), keep(1, 2.5)]]);
    assert_eq!(all, rows(&[row(1, "y", 2.5)]), "from the row before in the same batch");
    let (all, applied) = run(&[0], &[vec![up(1, "x")], vec![del(1), keep(1, 1.5), keep(2, 1.5), up(3, "z")]]);
    assert_eq!(all, rows(&[row(3, "z", 0.5)]), "a row that cannot be known is not applied");
    assert_eq!(applied.unresolved, [(1, 1), (2, 1)]);
}
