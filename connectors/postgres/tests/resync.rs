//! A target that is compared with all rows there are: what is as it would be written is not touched, also not locked.

use std::sync::Arc;

use api::{Target, TargetRows};
use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use zset::{Column, ColumnType, RowType};

use super::support::{World, apply, batch, columns, gone, open, progress, there};
use super::types::cases;
use crate::PostgresTarget;

fn resynchronise(target: &mut PostgresTarget, rows: Vec<TargetRows>, before: Option<u64>, after: u64) {
    let before = before.map(|epoch| progress(1, epoch));
    target.resynchronise(&mut rows.into_iter().map(Ok), before.as_ref(), &progress(1, after)).unwrap();
}

/// The place of every row version, and who has locked it, in the order of the ids.
fn versions(world: &mut World, table: &str) -> Vec<Vec<String>> {
    world.rows(&format!("SELECT id, ctid, xmin, xmax FROM {table} ORDER BY id"))
}

#[test]
fn every_type_is_compared_as_it_is_written() {
    for (ty, values, _) in cases() {
        let mut world = World::new();
        let columns = RowType(vec![Column::new("id", ColumnType::Int, false), Column::new("v", ty, true)]);
        let count = values.len() as i32;
        let rows = || {
            let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..count));
            let key = RowType(vec![columns.0[0].clone()]);
            let upserts = batch(&columns, vec![ids, Arc::clone(&values)]);
            vec![TargetRows { deletes: RecordBatch::new_empty(key.schema()), upserts }]
        };
        let (mut target, _) = open(&world.spec("t", &columns, &[0]));
        apply(&mut target, rows(), None, 1).unwrap();
        let (then, text) = (versions(&mut world, "t"), world.rows("SELECT v::text FROM t ORDER BY id"));
        resynchronise(&mut target, rows(), Some(1), 2);
        assert_eq!(versions(&mut world, "t"), then, "{ty}: nothing is written");
        world.run("UPDATE t SET v = NULL WHERE id = 0; UPDATE t SET v = (SELECT v FROM t WHERE id = 1) WHERE id = 3");
        resynchronise(&mut target, rows(), Some(2), 3);
        assert_eq!(world.rows("SELECT v::text FROM t ORDER BY id"), text, "{ty}");
        let now = versions(&mut world, "t");
        assert_eq!(now[1..3], then[1..3], "{ty}: the others are as they were");
    }
}

#[test]
fn what_is_called_equal_but_is_written_otherwise_is_different() {
    let mut world = World::new();
    world.run("CREATE TABLE t (id int PRIMARY KEY, j jsonb, s json, n numeric)");
    let ty = |name: &str, ty| Column::new(name, ty, true);
    let numeric = ColumnType::Numeric { precision: 5, scale: 2 };
    let columns = RowType(vec![
        Column::new("id", ColumnType::Int, false),
        ty("j", ColumnType::Jsonb),
        ty("s", ColumnType::Jsonb),
        ty("n", numeric),
    ]);
    let json = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let n: ArrayRef = Arc::new(arrow::array::Decimal128Array::from(vec![150]).with_precision_and_scale(5, 2).unwrap());
    let one: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let rows = || {
        let key = RowType(vec![columns.0[0].clone()]);
        let row = vec![Arc::clone(&one), json("{\"a\": 1.0}"), json("{\"a\": 1.0}"), Arc::clone(&n)];
        vec![TargetRows { deletes: RecordBatch::new_empty(key.schema()), upserts: batch(&columns, row) }]
    };
    let (mut target, _) = open(&world.spec("t", &columns, &[0]));
    resynchronise(&mut target, rows(), None, 1);
    let written = [["1", "{\"a\": 1.0}", "{\"a\": 1.0}", "1.50"]];
    assert_eq!(world.rows("TABLE t"), written);
    let then = versions(&mut world, "t");
    resynchronise(&mut target, rows(), Some(1), 2);
    assert_eq!(versions(&mut world, "t"), then);
    for change in ["j = '{\"a\": 1}'", "s = '{\"a\": 1}'", "n = 1.5"] {
        world.run(&format!("UPDATE t SET {change}"));
        let epoch: u64 = world.rows("SELECT epoch FROM millstream_progress")[0][0].parse().unwrap();
        resynchronise(&mut target, rows(), Some(epoch), epoch + 1);
        assert_eq!(world.rows("TABLE t"), written, "{change}");
    }
}

#[test]
fn only_the_difference_is_written_and_what_is_not_ours_stays() {
    let mut world = World::new();
    world.run(
        "CREATE TABLE t (note text DEFAULT 'new', name text, id int PRIMARY KEY);
        INSERT INTO t VALUES ('kept', 'a', 1), ('kept', 'old', 2), ('kept', 'gone', 3), ('mine', 'x', 100)",
    );
    let (mut target, _) = open(&world.spec("t", &columns(), &[0]));
    let then = versions(&mut world, "t");
    let rows = vec![gone(&[3, 7]), there(&[(1, "a"), (2, "b")]), there(&[(4, "d")])];
    resynchronise(&mut target, rows, None, 1);
    let rows = world.rows("SELECT id, name, note FROM t ORDER BY id");
    assert_eq!(
        rows,
        [["1", "a", "kept"], ["2", "b", "kept"], ["4", "d", "new"], ["100", "x", "mine"]]
            .map(|row| row.map(String::from))
    );
    let now = versions(&mut world, "t");
    assert_eq!((&now[0], &now[3]), (&then[0], &then[3]), "what is right, and what is not ours, is not touched");
    assert_eq!(world.rows("TABLE millstream_progress"), [["p", "s", "i", "1", "1"]]);
}

#[test]
fn keys_with_nulls_and_tables_that_are_all_key() {
    let mut world = World::new();
    let columns = RowType(vec![Column::new("id", ColumnType::Int, false), Column::new("k", ColumnType::Int, true)]);
    let (mut target, _) = open(&world.spec("t", &columns, &[0, 1]));
    let chunk = || {
        let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
        let others: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
        let upserts = batch(&columns, vec![ids, others]);
        vec![TargetRows { deletes: RecordBatch::new_empty(columns.schema()), upserts }]
    };
    resynchronise(&mut target, chunk(), None, 1);
    let then = versions(&mut world, "t");
    resynchronise(&mut target, chunk(), Some(1), 2);
    assert_eq!(versions(&mut world, "t"), then);
    world.run("DELETE FROM t WHERE id < 3");
    resynchronise(&mut target, chunk(), Some(2), 3);
    assert_eq!(world.rows("SELECT * FROM t ORDER BY id"), [["1", "1"], ["2", "NULL"], ["3", "3"]]);
}

#[test]
fn a_refused_row_leaves_the_target_as_it_was() {
    let mut world = World::new();
    world.run("CREATE TABLE t (id int PRIMARY KEY, name text CHECK (name <> 'bad')); INSERT INTO t VALUES (1, 'old'), (9, 'gone')");
    let (mut target, _) = open(&world.spec("t", &columns(), &[0]));
    let rows = vec![gone(&[9]), there(&[(1, "new")]), there(&[(2, "bad")])];
    target.resynchronise(&mut rows.into_iter().map(Ok), None, &progress(1, 1)).unwrap_err();
    assert_eq!(world.rows("SELECT * FROM t ORDER BY id"), [["1", "old"], ["9", "gone"]]);
    assert!(world.rows("TABLE millstream_progress").is_empty());
}
