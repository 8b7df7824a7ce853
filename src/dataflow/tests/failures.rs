//! What fails, fails cleanly: the step is as if it had not been, and what PostgreSQL would not fail on does not fail here.

use plan::AggregateFunction::*;
use testkit::{Row, Value};
use zset::ColumnType::{self, *};
use zset::sqlstate;

use super::build::*;
use super::harness::{Beside, TableChange, Types, deltas, expect, flow};
use crate::FlowError;

const PAIR: &[ColumnType] = &[Int, Int];
const TWO: Types<'static> = &[(1, PAIR), (2, PAIR)];

fn row(values: &[i64]) -> Row {
    values.iter().copied().map(Value::Int).collect()
}

fn ins(table: u32, values: &[i64]) -> TableChange {
    (table, row(values), 1)
}

fn del(table: u32, values: &[i64]) -> TableChange {
    (table, row(values), -1)
}

/// Join, then a division by the sum of both sides' values, then a count.
fn dividing() -> plan::Graph<Expr> {
    let mut b = Build::default();
    let (left, right) = (b.input(1, PAIR), b.input(2, PAIR));
    let sum = fun("#1 + #3", Int, |row| match (int(&row[1]), int(&row[3])) {
        (Some(a), Some(b)) => Value::Int(a + b),
        _ => Value::Null,
    });
    let joined = b.join(left, right, &[(col(0, Int), col(0, Int))], None);
    let sums = b.project(joined, vec![col(0, Int), sum]);
    let divided = b.project(sums, vec![col(0, Int), hundred_by(1)]);
    b.aggregate(divided, vec![col(0, Int)], vec![call(Sum, Some(col(1, BigInt)))]);
    b.done()
}

#[test]
fn hard_case_49_division_by_zero_leaves_nothing_behind_and_repair_converges() {
    let graph = dividing();
    let mut beside = Beside::new(&graph, TWO);
    beside.epoch(&[ins(1, &[1, 4]), ins(2, &[1, 6])], "49");
    for _ in 0..3 {
        let bad = [ins(1, &[1, -6]), ins(1, &[2, 1])];
        let error = beside.flow.step(&deltas(TWO, &bad)).unwrap_err();
        let FlowError::Row(error) = error else { panic!("{error}") };
        assert_eq!((error.sqlstate, error.row.as_deref()), (sqlstate::DIVISION_BY_ZERO, Some("(1, 0)")));
        beside.epoch(&[], "49, as if it had not been");
        beside.epoch(&[ins(2, &[2, 1])], "49, others go on");
    }
    beside.epoch(&[ins(1, &[1, -6]), ins(1, &[2, 1]), del(1, &[1, -6])], "49, mended: one refresh");
    assert_eq!(beside.result.len(), 2);
}

#[test]
fn a_pair_that_was_never_there_is_not_evaluated() {
    // The new left row meets the deleted right row only in the algebra, never in a result: 4 + -4 would be divided by.
    let graph = dividing();
    let mut beside = Beside::new(&graph, TWO);
    beside.epoch(&[ins(1, &[1, 1]), ins(2, &[1, -4])], "before");
    beside.epoch(&[ins(1, &[1, 4]), del(2, &[1, -4]), ins(2, &[1, 6])], "the old partner goes as the row comes");
    beside.epoch(&[del(1, &[1, 4]), ins(2, &[1, -4])], "the new partner comes as the row goes");
}

#[test]
fn rows_that_cancel_within_an_epoch_are_not_evaluated() {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    b.project(input, vec![hundred_by(0)]);
    let graph = b.done();
    let mut beside = Beside::new(&graph, &[(1, PAIR)]);
    beside.epoch(&[ins(1, &[0, 1]), ins(1, &[5, 1]), del(1, &[0, 1])], "cancelled");
    expect(&beside.result, &[(row(&[20]), 1)]);
}

#[test]
fn the_filter_of_an_aggregate_guards_its_argument() {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    let guarded = filtered(call(Sum, Some(hundred_by(0))), test("#0 <> 0", &[0], |v| v[0] != 0));
    b.aggregate(input, vec![], vec![guarded]);
    let graph = b.done();
    let mut beside = Beside::new(&graph, &[(1, PAIR)]);
    beside.epoch(&[ins(1, &[0, 1]), ins(1, &[5, 1])], "guarded");
}

#[test]
fn a_sum_too_great_for_its_type_is_22003_and_names_the_group() {
    let numeric = Numeric { precision: 38, scale: 0 };
    let types: &[ColumnType] = &[Int, numeric];
    let mut b = Build::default();
    let input = b.input(1, types);
    b.aggregate(input, vec![col(0, Int)], vec![call(Sum, Some(col(1, numeric)))]);
    let graph = b.done();
    let greatest = Value::Numeric(arrow::datatypes::i256::from(10).wrapping_pow(38) - arrow::datatypes::i256::ONE);
    let tables = [(1, types)];
    let mut beside = Beside::new(&graph, &tables);
    beside.epoch(&[(1, vec![7.into(), greatest.clone()], 1)], "the greatest");
    let error = beside.discarded(&[(1, vec![7.into(), greatest.clone()], 1)]).unwrap_err();
    let FlowError::Row(error) = error else { panic!("{error}") };
    assert_eq!((error.sqlstate, error.row.as_deref()), (sqlstate::OUT_OF_RANGE, Some("(c0=7)")));
    let minus = Value::Numeric(arrow::datatypes::i256::from(-5));
    let both = [(1, vec![7.into(), greatest], 1), (1, vec![7.into(), minus], 1)];
    assert!(beside.discarded(&both).is_err());
    let real = &[Double];
    let mut b = Build::default();
    let input = b.input(1, real);
    b.aggregate(input, vec![], vec![call(Avg, Some(col(0, Double)))]);
    let mut beside = flow(&b.done());
    let great = [(1, vec![Value::Float(1.7e308)], 1), (1, vec![Value::Float(1.6e308)], 1)];
    let error = beside.step(&deltas(&[(1, real)], &great)).unwrap_err();
    assert!(matches!(error, FlowError::Row(error) if error.sqlstate == sqlstate::OUT_OF_RANGE));
}

/// Many small tables joined without a condition: each row that has no columns is there as often as the table has rows.
#[test]
fn a_joined_row_that_is_there_too_often_is_22003_and_not_a_bug() {
    let mut b = Build::default();
    let (left, right) = (b.input(1, PAIR), b.input(2, PAIR));
    b.join(left, right, &[(col(0, Int), col(0, Int))], None);
    let tables = [(1, PAIR), (2, PAIR)];
    let mut joined = flow(&b.done());
    let often = |table, times| (table, row(&[7, 1]), times);
    joined.step(&deltas(&tables, &[often(1, 1 << 31), often(2, 1 << 31)])).unwrap();
    joined.discard();
    let error = joined.step(&deltas(&tables, &[often(1, 1 << 32), often(2, 1 << 31)])).unwrap_err();
    assert!(matches!(&error, FlowError::Row(error) if error.sqlstate == sqlstate::OUT_OF_RANGE), "{error}");
}

#[test]
fn retracting_what_was_never_there_is_an_invariant_not_a_wrong_answer() {
    type Make = fn(&mut Build, plan::NodeId) -> plan::NodeId;
    let makes: [(&str, Make); 5] = [
        ("distinct", |b, input| b.distinct(input)),
        ("group", |b, input| b.aggregate(input, vec![col(0, Int)], vec![call(Count, None)])),
        ("sum", |b, input| b.aggregate(input, vec![col(0, Int)], vec![call(Sum, Some(col(1, Int)))])),
        ("min", |b, input| b.aggregate(input, vec![col(0, Int)], vec![call(Min, Some(col(1, Int)))])),
        ("distinct count", |b, input| b.aggregate(input, vec![], vec![distinct(call(Count, Some(col(1, Int))))])),
    ];
    for (name, make) in makes {
        let mut b = Build::default();
        let input = b.input(1, PAIR);
        make(&mut b, input);
        let mut flow = flow(&b.done());
        flow.step(&deltas(&[(1, PAIR)], &[ins(1, &[1, 1])])).unwrap();
        flow.commit();
        let error = flow.step(&deltas(&[(1, PAIR)], &[del(1, &[1, 2]), del(1, &[1, 2])])).unwrap_err();
        assert!(matches!(error, FlowError::Invariant(_)), "{name}: {error}");
        let gone = flow.step(&deltas(&[(1, PAIR)], &[del(1, &[1, 1])])).unwrap();
        assert!(!gone.is_empty(), "{name}: the state is as before");
    }
}

#[test]
fn a_value_of_another_type_than_planned_is_an_invariant() {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    let mut graph = b.done();
    graph.nodes.push(plan::Node {
        kind: plan::NodeKind::Project { input, expressions: vec![col(0, Int)] },
        output: columns(&[Text]),
    });
    let error = flow(&graph).step(&deltas(&[(1, PAIR)], &[ins(1, &[1, 1])])).unwrap_err();
    assert!(matches!(error, FlowError::Invariant(_)), "{error}");
}
