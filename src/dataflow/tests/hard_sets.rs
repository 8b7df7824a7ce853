//! HARD_CASES 27, 45, 47: sets, stream tables on stream tables, cycles that change nothing.

use std::collections::BTreeMap;

use plan::{AggregateFunction::*, TableId};
use testkit::{Model, Row, Value};
use zset::ColumnType::{self, *};
use zset::Delta;

use super::build::*;
use super::harness::{Beside, TableChange, expect, flow, script};

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

#[test]
fn hard_case_27_distinct_loses_one_of_several_copies() {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    let one = b.project(input, vec![col(0, Int)]);
    b.distinct(one);
    let graph = b.done();
    let cycles = [
        vec![ins(1, &[1, 1]), ins(1, &[1, 2]), ins(1, &[1, 2]), ins(1, &[2, 1])],
        vec![del(1, &[1, 2])],
        vec![del(1, &[1, 2]), del(1, &[2, 1])],
    ];
    expect(&script("27", &[(1, PAIR)], &graph, &cycles), &[(row(&[1]), 1)]);
}

#[test]
fn hard_case_27_union_beside_union_all_and_distinct_over_a_join() {
    let mut b = Build::default();
    let (one, two) = (b.input(1, PAIR), b.input(2, PAIR));
    let joined = b.join(one, two, &[(col(0, Int), col(0, Int))], None);
    let values = b.project(joined, vec![col(1, Int), col(3, Int)]);
    let set = b.distinct(values);
    let all = b.union(vec![one, two]);
    let once = b.distinct(all);
    b.union(vec![set, once, one]);
    let graph = b.done();
    let cycles = [
        vec![ins(1, &[1, 5]), ins(1, &[1, 5]), ins(2, &[1, 5]), ins(2, &[1, 6])],
        vec![del(1, &[1, 5]), del(2, &[1, 5])],
        vec![del(1, &[1, 5]), ins(2, &[2, 2]), ins(1, &[2, 2])],
    ];
    let expected = [(row(&[1, 6]), 1), (row(&[2, 2]), 3)];
    expect(&script("27", &[(1, PAIR), (2, PAIR)], &graph, &cycles), &expected);
}

#[test]
fn hard_case_45_stream_table_on_stream_table() {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    let sums = b.aggregate(input, vec![col(0, Int)], vec![call(Sum, Some(col(1, Int)))]);
    b.project(sums, vec![col(1, BigInt)]);
    let upper = b.done();
    let mut b = Build::default();
    let input = b.input(50, &[BigInt]);
    b.aggregate(input, vec![col(0, BigInt)], vec![call(Count, None)]);
    let lower = b.done();
    let cycles = [
        vec![ins(1, &[1, 7]), ins(1, &[2, 7]), ins(1, &[3, 1])],
        vec![del(1, &[1, 7]), ins(1, &[1, 1])],
        vec![del(1, &[2, 7]), del(1, &[1, 1]), del(1, &[3, 1])],
        vec![ins(1, &[9, 4])],
    ];
    let (mut above, mut below, mut result) = (Beside::new(&upper, &[(1, PAIR)]), flow(&lower), Model::new());
    let mut seen = Vec::new();
    for (at, changes) in cycles.iter().enumerate() {
        let delta = above.epoch(changes, &format!("45, epoch {at}"));
        let out = below.step(&BTreeMap::from([(TableId(50), delta)])).unwrap();
        below.commit();
        result.add(&out);
        assert_eq!(result, super::naive::run(&lower, &[(TableId(50), above.result.clone())].into()).unwrap());
        seen.push(result.clone());
    }
    expect(&seen[0], &[(row(&[7, 2]), 1), (row(&[1, 1]), 1)]);
    expect(&seen[1], &[(row(&[7, 1]), 1), (row(&[1, 2]), 1)]);
    expect(&seen[2], &[]);
    expect(&seen[3], &[(row(&[4, 1]), 1)]);
}

#[test]
fn hard_case_47_changes_that_change_nothing() {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    let ids = b.project(input, vec![col(0, Int)]);
    b.aggregate(ids, vec![col(0, Int)], vec![call(Count, None)]);
    let graph = b.done();
    let mut beside = Beside::new(&graph, &[(1, PAIR)]);
    beside.epoch(&[ins(1, &[1, 10]), ins(1, &[2, 20])], "47");
    for cycle in 0..5i64 {
        let same = beside.epoch(&[del(1, &[1, 10]), ins(1, &[1, 10])], "47, the same values");
        assert!(same.is_empty());
        let (old, new) = ([2, 20 + cycle], [2, 21 + cycle]);
        let unreferenced = beside.epoch(&[del(1, &old), ins(1, &new)], "47, an unreferenced column");
        assert!(unreferenced.is_empty(), "cycle {cycle}");
    }
}

#[test]
fn an_untouched_operator_does_no_work() {
    let mut b = Build::default();
    let (one, two) = (b.input(1, PAIR), b.input(2, PAIR));
    let never = b.filter(one, test("false", &[], |_| false));
    let sums = b.aggregate(never, vec![col(0, Int)], vec![call(Count, None)]);
    let other = b.aggregate(two, vec![col(0, Int)], vec![call(Count, None)]);
    b.union(vec![sums, other]);
    let mut flow = flow(&b.done());
    let step = |flow: &mut crate::TableFlow, changes: &[TableChange]| -> Delta {
        let out = flow.step(&super::harness::deltas(&[(1, PAIR), (2, PAIR)], changes)).unwrap();
        flow.commit();
        out
    };
    for _ in 0..3 {
        assert!(step(&mut flow, &[]).is_empty());
    }
    assert!(flow.operators().iter().all(|operator| operator.steps == 0), "no input, no work");
    step(&mut flow, &[ins(1, &[1, 1])]);
    let steps: Vec<(&str, u64)> = flow.operators().iter().map(|operator| (operator.name, operator.steps)).collect();
    assert_eq!(steps, [("filter", 1), ("aggregate", 0), ("aggregate", 0), ("union", 0)]);
    step(&mut flow, &[ins(1, &[1, 1]), del(1, &[1, 1])]);
    assert_eq!(flow.operators()[0].steps, 1, "rows that cancel are no input");
}
