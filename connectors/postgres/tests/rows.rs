//! Rows: what is written is the newest of each key, and what is not ours stays.

use std::sync::Arc;

use api::{TargetError, TargetRows};
use arrow::array::{ArrayRef, Int32Array, RecordBatch};
use zset::{Column, ColumnType, RowType};

use super::support::{World, apply, batch, columns, gone, open, there};

#[test]
fn rows_come_change_and_go_with_the_progress() {
    let mut world = World::new();
    let spec = world.spec("t", &columns(), &[0]);
    let (mut target, none) = open(&spec);
    assert_eq!(none, None);
    apply(&mut target, vec![there(&[(1, "a"), (2, "b")])], None, 3).unwrap();
    apply(&mut target, vec![gone(&[1, 7]), there(&[(2, "c")]), there(&[(3, "d")])], Some(3), 9).unwrap();
    assert_eq!(world.rows("SELECT * FROM t ORDER BY id"), [["2", "c"], ["3", "d"]]);
    assert_eq!(world.rows("TABLE millstream_progress"), [["p", "s", "i", "1", "9"]]);
    let (_, progress) = open(&spec);
    assert_eq!(progress, Some(super::support::progress(1, 9)));
}

#[test]
fn deletes_come_before_upserts() {
    let mut world = World::new();
    world.run("CREATE TABLE t (id int PRIMARY KEY, name text UNIQUE)");
    let (mut target, _) = open(&world.spec("t", &columns(), &[0]));
    apply(&mut target, vec![there(&[(1, "taken"), (2, "free")])], None, 1).unwrap();
    // The name goes from one row to another.
    let both = TargetRows { deletes: gone(&[1]).deletes, upserts: there(&[(2, "taken")]).upserts };
    apply(&mut target, vec![both], Some(1), 2).unwrap();
    assert_eq!(world.rows("SELECT * FROM t"), [["2", "taken"]]);
}

#[test]
fn rows_and_columns_that_are_not_ours_stay() {
    let mut world = World::new();
    world.run(
        "CREATE TABLE t (note text DEFAULT 'new', name varchar, id bigint PRIMARY KEY);
        INSERT INTO t VALUES ('mine', 'x', 100), ('kept', 'y', 1)",
    );
    let (mut target, _) = open(&world.spec("t", &columns(), &[0]));
    apply(&mut target, vec![gone(&[2]), there(&[(1, "a"), (3, "c")])], None, 1).unwrap();
    let rows = world.rows("SELECT id, name, note FROM t ORDER BY id");
    assert_eq!(rows, [["1", "a", "kept"], ["3", "c", "new"], ["100", "x", "mine"]]);
}

#[test]
fn a_row_that_is_refused_is_named_and_nothing_of_its_epoch_is_there() {
    let mut world = World::new();
    world.run("CREATE TABLE t (id int PRIMARY KEY, name text CHECK (name <> 'bad'))");
    let (mut target, _) = open(&world.spec("t", &columns(), &[0]));
    let error = apply(&mut target, vec![there(&[(1, "good")]), there(&[(2, "bad")])], None, 1).unwrap_err();
    assert!(matches!(&error, TargetError::Refused(why) if why.contains("(2, bad)")), "{error}");
    assert!(world.rows("SELECT * FROM t").is_empty() && world.rows("TABLE millstream_progress").is_empty());
}

#[test]
fn rows_in_many_chunks_and_a_table_that_is_all_key() {
    let mut world = World::new();
    let columns = RowType(vec![Column::new("a", ColumnType::Int, false), Column::new("Select", ColumnType::Int, true)]);
    let (mut target, _) = open(&world.spec("all_key", &columns, &[1, 0]));
    let pairs = |from: i32| -> Vec<ArrayRef> {
        let second = (from..from + 5000).map(|n| (n % 3 != 0).then_some(n));
        vec![Arc::new(Int32Array::from_iter_values(from..from + 5000)), Arc::new(Int32Array::from_iter(second))]
    };
    let key = RowType(vec![columns.0[1].clone(), columns.0[0].clone()]);
    let chunk =
        |from: i32| TargetRows { deletes: RecordBatch::new_empty(key.schema()), upserts: batch(&columns, pairs(from)) };
    let chunks = |count: i32| (0..count).map(|n| chunk(n * 5000)).collect::<Vec<_>>();
    apply(&mut target, chunks(4), None, 1).unwrap();
    apply(&mut target, chunks(4), Some(1), 2).unwrap();
    assert_eq!(world.rows("SELECT count(*), count(\"Select\") FROM all_key"), [["20000", "13333"]]);
    let mut keys = pairs(0);
    keys.reverse();
    let deletes = TargetRows { deletes: batch(&key, keys), upserts: RecordBatch::new_empty(columns.schema()) };
    apply(&mut target, vec![deletes], Some(2), 3).unwrap();
    assert_eq!(
        world.rows("SELECT count(*), min(a) FROM all_key"),
        [["15000", "5000"]],
        "also those with a NULL in the key"
    );
}
