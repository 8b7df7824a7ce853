//! HARD_CASES 1-10: joins.

use plan::AggregateFunction::Count;
use testkit::{Row, Value};
use zset::ColumnType::{self, *};

use super::build::*;
use super::harness::{TableChange, expect, script};

const PAIR: &[ColumnType] = &[Int, Int];

fn row(values: &[i64]) -> Row {
    values.iter().copied().map(Value::Int).collect()
}

fn ins(table: u32, values: &[i64]) -> TableChange {
    (table, row(values), 1)
}

fn del(table: u32, values: &[i64]) -> TableChange {
    (table, row(values), -1)
}

/// l(id, k) join r(k, v) on k.
fn two() -> plan::Graph<Expr> {
    let mut b = Build::default();
    let (left, right) = (b.input(1, PAIR), b.input(2, PAIR));
    b.join(left, right, &[(col(1, Int), col(0, Int))], None);
    b.done()
}

const TWO: super::harness::Types<'static> = &[(1, PAIR), (2, PAIR)];

#[test]
fn hard_case_01_left_key_updated_and_old_partner_deleted() {
    let cycles = [
        vec![ins(1, &[1, 10]), ins(2, &[10, 100]), ins(2, &[20, 200])],
        vec![del(1, &[1, 10]), ins(1, &[1, 20]), del(2, &[10, 100])],
        vec![del(1, &[1, 20]), ins(1, &[1, 10]), del(2, &[20, 200]), ins(2, &[10, 101])],
    ];
    expect(&script("1", TWO, &two(), &cycles), &[(row(&[1, 10, 10, 101]), 1)]);
}

#[test]
fn hard_case_02_insert_on_both_sides() {
    let cycles = [
        vec![ins(1, &[1, 10]), ins(2, &[10, 100])],
        vec![ins(1, &[2, 10]), ins(2, &[10, 200])],
        vec![ins(1, &[2, 10]), ins(2, &[10, 200])],
    ];
    let expected = [
        (row(&[1, 10, 10, 100]), 1),
        (row(&[1, 10, 10, 200]), 2),
        (row(&[2, 10, 10, 100]), 2),
        (row(&[2, 10, 10, 200]), 4),
    ];
    expect(&script("2", TWO, &two(), &cycles), &expected);
}

#[test]
fn hard_case_03_delete_on_both_sides() {
    let cycles = [
        vec![ins(1, &[1, 10]), ins(1, &[2, 10]), ins(2, &[10, 100]), ins(2, &[10, 200])],
        vec![del(1, &[1, 10]), del(2, &[10, 100])],
        vec![del(1, &[2, 10]), del(2, &[10, 200])],
    ];
    expect(&script("3", TWO, &two(), &cycles[..2]), &[(row(&[2, 10, 10, 200]), 1)]);
    expect(&script("3", TWO, &two(), &cycles), &[]);
}

#[test]
fn hard_case_04_eight_way_join_with_deletes_on_several_sides() {
    const ONE: &[ColumnType] = &[Int];
    let mut b = Build::default();
    let mut joined = b.input(1, ONE);
    for table in 2..=8 {
        let next = b.input(table, ONE);
        joined = b.join(joined, next, &[(col(table as usize - 2, Int), col(0, Int))], None);
    }
    let graph = b.done();
    let types: Vec<(u32, &[ColumnType])> = (1..=8).map(|table| (table, ONE)).collect();
    let all = |v: i64| (1..=8).map(move |table| ins(table, &[v])).collect::<Vec<_>>();
    let cycles = [
        [all(1), all(2)].concat(),
        vec![del(1, &[1]), del(4, &[1]), del(8, &[1])],
        vec![ins(1, &[1]), del(2, &[2]), ins(8, &[1]), ins(2, &[2])],
        vec![ins(4, &[1]), del(3, &[2]), del(5, &[2])],
        vec![ins(6, &[1])],
    ];
    expect(&script("4", &types, &graph, &cycles), &[(row(&[1; 8]), 2)]);
}

#[test]
fn hard_case_05_self_join_one_row_changes_both_sides() {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    b.join(input, input, &[(col(0, Int), col(1, Int))], None);
    let graph = b.done();
    let cycles = [
        vec![ins(1, &[1, 1]), ins(1, &[2, 1])],
        vec![del(1, &[1, 1]), ins(1, &[1, 2])],
        vec![ins(1, &[3, 3]), ins(1, &[3, 3])],
    ];
    let expected = [(row(&[1, 2, 2, 1]), 1), (row(&[2, 1, 1, 2]), 1), (row(&[3, 3, 3, 3]), 4)];
    expect(&script("5", &[(1, PAIR)], &graph, &cycles), &expected);
}

#[test]
fn hard_case_06_insert_then_delete_and_three_updates_in_one_batch() {
    let cycles = [
        vec![ins(2, &[10, 100]), ins(1, &[1, 10]), del(1, &[1, 10])],
        vec![ins(1, &[1, 10]), del(1, &[1, 10]), ins(1, &[1, 20]), del(1, &[1, 20]), ins(1, &[1, 10])],
        vec![del(1, &[1, 10]), ins(1, &[1, 10]), ins(2, &[20, 200]), del(2, &[20, 200])],
    ];
    expect(&script("6", TWO, &two(), &cycles), &[(row(&[1, 10, 10, 100]), 1)]);
}

#[test]
fn hard_case_07_key_update_and_key_swap() {
    let cycles = [
        vec![ins(1, &[1, 10]), ins(1, &[2, 20]), ins(2, &[10, 100]), ins(2, &[20, 200])],
        vec![del(1, &[1, 10]), ins(1, &[3, 10])],
        vec![del(1, &[3, 10]), del(1, &[2, 20]), ins(1, &[3, 20]), ins(1, &[2, 10])],
        vec![del(2, &[10, 100]), del(2, &[20, 200]), ins(2, &[10, 200]), ins(2, &[20, 100])],
    ];
    expect(&script("7", TWO, &two(), &cycles), &[(row(&[2, 10, 10, 200]), 1), (row(&[3, 20, 20, 100]), 1)]);
}

#[test]
fn hard_case_08_output_without_keys_has_duplicates() {
    let mut b = Build::default();
    let (left, right) = (b.input(1, PAIR), b.input(2, PAIR));
    let joined = b.join(left, right, &[(col(1, Int), col(0, Int))], None);
    b.project(joined, vec![col(3, Int)]);
    let graph = b.done();
    let cycles = [
        vec![ins(1, &[1, 10]), ins(1, &[2, 10]), ins(2, &[10, 7])],
        vec![ins(2, &[20, 7]), ins(1, &[3, 20])],
        vec![del(1, &[1, 10])],
        vec![del(2, &[10, 7]), ins(2, &[10, 8])],
    ];
    expect(&script("8", TWO, &graph, &cycles), &[(row(&[7]), 1), (row(&[8]), 1)]);
}

#[test]
fn hard_case_09_join_on_between_and_on_expressions() {
    let mut b = Build::default();
    let (left, right) = (b.input(1, PAIR), b.input(2, PAIR));
    let half = fun("#0 / 2", BigInt, |row| int(&row[0]).map_or(Value::Null, |v| Value::Int(v / 2)));
    let residual = test("#1 between #2 and #3", &[1, 2, 3], |v| v[1] <= v[0] && v[0] <= v[2]);
    b.join(left, right, &[(half.clone(), half)], Some(residual));
    let graph = b.done();
    let cycles = [
        vec![ins(1, &[4, 15]), ins(2, &[5, 20])],
        vec![del(2, &[5, 20]), ins(2, &[5, 14]), ins(1, &[5, 10])],
        vec![del(1, &[4, 15]), ins(1, &[4, 14]), del(1, &[5, 10])],
    ];
    expect(&script("9", TWO, &graph, &cycles), &[(row(&[4, 14, 5, 14]), 1)]);
}

#[test]
fn hard_case_10_null_keys_never_match() {
    let null = |table, v: i64, at: usize, weight| {
        let mut row = row(&[v, v]);
        row[at] = Value::Null;
        (table, row, weight)
    };
    let cycles = [
        vec![null(1, 1, 1, 1), null(2, 100, 0, 1), ins(1, &[1, 10])],
        vec![null(1, 1, 1, -1), ins(1, &[1, 20]), null(2, 100, 0, -1), ins(2, &[20, 100])],
        vec![del(1, &[1, 20]), null(1, 1, 1, 1), null(2, 100, 0, 1), ins(2, &[10, 9])],
    ];
    expect(&script("10", TWO, &two(), &cycles), &[(row(&[1, 10, 10, 9]), 1)]);
}

#[test]
fn hard_case_46_diamond_with_both_arms_changing_one_key() {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    let left = b.filter(input, test("#1 >= 0", &[1], |v| v[0] >= 0));
    let right = b.aggregate(input, vec![col(0, Int)], vec![call(Count, None)]);
    let joined = b.join(left, right, &[(col(0, Int), col(0, Int))], None);
    let arms = b.project(joined, vec![col(0, Int), col(3, BigInt)]);
    let other = b.project(right, vec![col(0, Int), col(1, BigInt)]);
    b.union(vec![arms, other]);
    let graph = b.done();
    let cycles = [
        vec![ins(1, &[1, 1]), ins(1, &[1, 2])],
        vec![del(1, &[1, 1]), ins(1, &[1, -1]), ins(1, &[1, 3])],
        vec![ins(1, &[2, 0]), del(1, &[1, -1])],
    ];
    expect(&script("46", &[(1, PAIR)], &graph, &cycles), &[(row(&[1, 2]), 3), (row(&[2, 1]), 2)]);
}
