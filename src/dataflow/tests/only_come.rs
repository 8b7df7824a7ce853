//! Rows that only ever come: min and max keep no values, whoever kept them before; and a result that only comes stays in its order.

use plan::AggregateFunction::*;
use plan::{Graph, TableId};
use state::{Arrangement, ArrangementId};
use testkit::{Row, Value};
use zset::ColumnType::{self, *};

use super::build::*;
use super::harness::{Beside, TableChange, Types, copy, deltas, law};
use crate::{FlowError, TableFlow};

const PAIR: &[ColumnType] = &[Int, Int];
const ONE: Types<'static> = &[(1, PAIR)];

fn ins(values: [i64; 2]) -> TableChange {
    (1, values.map(Value::Int).to_vec(), 1)
}

/// The least and the greatest value of each group, of a table whose rows only come, or may go.
fn extremes(only_comes: bool) -> Graph<Expr> {
    let mut b = Build::default();
    let input = if only_comes { b.source(1, PAIR) } else { b.input(1, PAIR) };
    let calls = [Min, Max].map(|function| call(function, Some(col(1, Int))));
    b.aggregate(input, vec![col(0, Int)], calls.to_vec());
    b.done()
}

/// The flow of another version of the program over what a flow has committed, where it still has such an arrangement.
fn taken_over(graph: &Graph<Expr>, old: &TableFlow) -> TableFlow {
    TableFlow::new(TableId(99), &compiled(graph), &mut |id: ArrangementId, law| {
        let kept = old.arrangements().into_iter().find(|arrangement| arrangement.id() == id);
        kept.map_or_else(|| Arrangement::new(id, law), copy)
    })
}

fn slots(flow: &TableFlow) -> Vec<u32> {
    flow.arrangements().iter().map(|arrangement| arrangement.id().slot).collect()
}

#[test]
fn the_law_of_min_and_max_of_sources() {
    for kind in [SmallInt, Double, Text, Numeric { precision: 12, scale: 2 }] {
        let types = &[Int, kind];
        let mut b = Build::default();
        let input = b.source(1, types);
        let ok = test("#0 > 1", &[0], |v| v[0] > 1);
        let mut calls: Vec<_> = [Min, Max, Count].map(|function| call(function, Some(col(1, kind)))).to_vec();
        calls.extend([Min, Max].map(|function| filtered(call(function, Some(col(1, kind))), ok.clone())));
        calls.push(distinct(call(Count, Some(col(1, kind)))));
        b.aggregate(input, vec![col(0, Int)], calls);
        law(&format!("extremes of a source's {kind}"), &[(1, types)], &b.done(), 0..32);
    }
}

#[test]
fn the_law_of_the_greatest_joined_back() {
    let mut b = Build::default();
    let (bids, more) = (b.source(1, PAIR), b.source(2, PAIR));
    let all = b.union(vec![bids, more]);
    let highest = b.aggregate(all, vec![col(0, Int)], vec![call(Max, Some(col(1, Int)))]);
    let keys = [(col(0, Int), col(0, Int)), (col(1, Int), col(1, Int))];
    let back = b.join(all, highest, &keys, None);
    b.aggregate(back, vec![col(0, Int)], [Min, Max].map(|function| call(function, Some(col(1, Int)))).to_vec());
    law("highest joined back", &[(1, PAIR), (2, PAIR)], &b.done(), 0..60);
}

#[test]
fn values_that_only_come_are_not_kept_and_those_that_were_are_not_missed() {
    let (keeping, not) = (extremes(false), extremes(true));
    assert_eq!(keeping.fingerprint(), not.fingerprint(), "the state of either is that of the other");
    let mut beside = Beside::new(&keeping, ONE);
    beside.epoch(&[ins([1, 5]), ins([1, 7]), ins([2, 3])], "with the values kept");
    assert_eq!(slots(&beside.flow), [0, 1]);
    beside.flow = taken_over(&not, &beside.flow);
    assert_eq!(slots(&beside.flow), [0]);
    beside.epoch(&[ins([1, 6]), ins([2, 2]), ins([3, 1])], "not kept any more");
    beside.epoch(&[ins([1, 9]), ins([1, 4])], "both ends change");
    beside.flow = taken_over(&keeping, &beside.flow);
    beside.epoch(&[ins([1, 10]), ins([2, 0]), ins([4, 4])], "by the version before");
}

#[test]
fn a_row_that_goes_all_the_same_is_refused() {
    let graph = extremes(true);
    let mut beside = Beside::new(&graph, ONE);
    beside.epoch(&[ins([1, 5]), ins([1, 7])], "come");
    // Not even where the extremum stays.
    for value in [5, 6, 7] {
        let gone = (1, vec![Value::Int(1), Value::Int(value)], -1);
        let FlowError::Invariant(why) = beside.flow.step(&deltas(ONE, &[gone])).unwrap_err() else { panic!("{value}") };
        assert!(why.contains("a value goes of those that only come"), "{why}");
    }
    beside.epoch(&[ins([1, 8])], "as if it had not been");
}

#[test]
fn what_only_comes_stays_in_its_order_and_equal_rows_apart() {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    b.filter(input, test("#0 > 0", &[0], |v| v[0] > 0));
    let graph = b.done();
    let mut beside = Beside::new(&graph, ONE);
    let rows = |values: &[[i64; 2]]| values.iter().map(|values| ins(*values)).collect::<Vec<_>>();
    let delta = beside.epoch(&rows(&[[3, 1], [1, 2], [0, 9], [3, 1], [2, 2]]), "only comes");
    let wanted: Vec<(Row, i64)> =
        rows(&[[3, 1], [1, 2], [3, 1], [2, 2]]).into_iter().map(|(_, row, w)| (row, w)).collect();
    assert_eq!(testkit::rows(&delta), wanted);
    // What comes and goes is summed, and sorted.
    let mut both = rows(&[[3, 3], [1, 1], [3, 3]]);
    both.push((1, vec![Value::Int(2), Value::Int(2)], -1));
    let delta = beside.epoch(&both, "comes and goes");
    let wanted = [([1, 1], 1), ([2, 2], -1), ([3, 3], 2)].map(|(row, weight)| (row.map(Value::Int).to_vec(), weight));
    assert_eq!(testkit::rows(&delta), wanted);
}
