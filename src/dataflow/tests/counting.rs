//! Speed is structural: the state rows that a step reads depend on the delta and its matches, not on the state. Counted at
//! 10^3 and at 10^6 rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use plan::{AggregateFunction::*, Graph, TableId};
use zset::ColumnType::{self, *};
use zset::Delta;

use super::build::*;
use super::harness::flow;
use crate::TableFlow;

const TYPES: &[ColumnType] = &[BigInt, BigInt];

fn delta(rows: impl Iterator<Item = (i64, i64)>, weight: i64) -> Delta {
    let (a, b): (Vec<i64>, Vec<i64>) = rows.unzip();
    let weights = Int64Array::from_value(weight, a.len());
    let arrays: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(a)), Arc::new(Int64Array::from(b))];
    Delta::new(RecordBatch::try_new(columns(TYPES).schema(), arrays).unwrap(), weights)
}

fn read(flow: &TableFlow) -> u64 {
    flow.arrangements().iter().map(|arrangement| arrangement.counters().rows_read()).sum()
}

/// Fills a flow with so many rows a table, two a key, then counts what epochs of 100 rows read.
fn reads(graph: &Graph<Expr>, rows: i64) -> u64 {
    let mut flow = flow(graph);
    for start in (0..rows).step_by(50_000) {
        let part = || delta((start..rows.min(start + 50_000)).map(|row| (row / 2, row)), 1);
        flow.step(&BTreeMap::from([(TableId(1), part()), (TableId(2), part())])).unwrap();
        flow.commit();
    }
    let before = read(&flow);
    for epoch in 0..4i64 {
        let touched = (0..100).map(|at| (epoch * 100 + at) * (rows / 2 - 1) / 400);
        let gone = delta(touched.clone().map(|key| (key, key * 2)), -1);
        let new = delta(touched.map(|key| (key, -1 - epoch)), 1);
        let both = Delta::sum(columns(TYPES).schema(), &[gone, new]);
        flow.step(&BTreeMap::from([(TableId(1), both.clone()), (TableId(2), both)])).unwrap();
        flow.commit();
    }
    read(&flow) - before
}

fn counted(name: &str, graph: &Graph<Expr>, limit: u64) {
    let (few, many) = (reads(graph, 1_000), reads(graph, 1_000_000));
    println!("{name}: 4 epochs of 200 rows a table read {few} rows of state at 10^3 rows, {many} at 10^6");
    assert!(few <= limit && many <= limit, "{name}: {few} and {many} rows read, at most {limit} are due");
    assert!(many > 0);
}

#[test]
fn joins_read_their_matches_only() {
    let mut b = Build::default();
    let (left, right) = (b.input(1, TYPES), b.input(2, TYPES));
    b.join(left, right, &[(col(0, BigInt), col(0, BigInt))], None);
    // Every changed key has two rows a side, of which one is replaced: at most four entries over the batches.
    counted("join", &b.done(), 4 * 200 * 2 * 4);
}

#[test]
fn aggregates_read_their_groups_only() {
    let mut b = Build::default();
    let input = b.input(1, TYPES);
    let of = |function| call(function, Some(col(1, BigInt)));
    let calls = vec![call(Count, None), of(Sum), of(Avg), of(Min), of(Max), distinct(of(Count))];
    b.aggregate(input, vec![col(0, BigInt)], calls);
    counted("aggregate", &b.done(), 4 * 200 * 8);
}

#[test]
fn the_extremum_of_one_great_group_is_not_searched() {
    let mut b = Build::default();
    let input = b.input(1, TYPES);
    let of = |function| call(function, Some(col(1, BigInt)));
    b.aggregate(input, vec![], vec![of(Min), of(Max), distinct(of(Sum))]);
    counted("global aggregate", &b.done(), 4 * 200 * 8);
}

#[test]
fn distinct_reads_the_rows_of_the_delta_only() {
    let mut b = Build::default();
    let (one, two) = (b.input(1, TYPES), b.input(2, TYPES));
    let all = b.union(vec![one, two]);
    b.distinct(all);
    counted("distinct", &b.done(), 4 * 200 * 8);
}

/// What SHOW JOBS shows of the first population.
#[test]
fn a_watched_step_tells_of_every_operator() {
    let mut b = Build::default();
    let (left, right) = (b.input(1, TYPES), b.input(2, TYPES));
    b.join(left, right, &[(col(0, BigInt), col(0, BigInt))], None);
    let mut told = Vec::new();
    flow(&b.done()).step_watched(&BTreeMap::new(), &mut |done, total| told.push((done, total))).unwrap();
    assert_eq!(told, [(1, 3), (2, 3), (3, 3)]);
}
