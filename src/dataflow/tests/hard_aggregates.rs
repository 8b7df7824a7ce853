//! HARD_CASES 18-24: aggregates.

use arrow::datatypes::i256;
use plan::AggregateFunction::*;
use testkit::{Row, Value};
use zset::ColumnType::{self, *};

use super::build::*;
use super::harness::{Beside, TableChange, Types, expect, script};

const PAIR: &[ColumnType] = &[Int, Int];
const ONE: Types<'static> = &[(1, PAIR)];

fn row(values: &[i64]) -> Row {
    values.iter().copied().map(Value::Int).collect()
}

fn ins(values: &[i64]) -> TableChange {
    (1, row(values), 1)
}

fn del(values: &[i64]) -> TableChange {
    (1, row(values), -1)
}

/// SELECT c0, calls FROM t GROUP BY c0.
fn grouped(calls: Vec<plan::AggregateCall<Expr>>) -> plan::Graph<Expr> {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    b.aggregate(input, vec![col(0, Int)], calls);
    b.done()
}

fn of(function: plan::AggregateFunction) -> plan::AggregateCall<Expr> {
    call(function, Some(col(1, Int)))
}

#[test]
fn hard_case_18_the_extremum_goes() {
    let graph = grouped(vec![of(Min), of(Max)]);
    let cycles = [
        vec![ins(&[1, 5]), ins(&[1, 5]), ins(&[1, 9]), ins(&[1, 7])],
        vec![del(&[1, 5])],
        vec![del(&[1, 5]), del(&[1, 9])],
        vec![del(&[1, 7]), ins(&[1, 3])],
        vec![ins(&[1, 1]), ins(&[2, 0])],
        vec![del(&[2, 0]), del(&[1, 1])],
    ];
    let after = |cycles: &[Vec<TableChange>]| script("18", ONE, &graph, cycles);
    expect(&after(&cycles[..2]), &[(row(&[1, 5, 9]), 1)]);
    expect(&after(&cycles[..3]), &[(row(&[1, 7, 7]), 1)]);
    expect(&after(&cycles[..4]), &[(row(&[1, 3, 3]), 1)]);
    expect(&after(&cycles[..5]), &[(row(&[1, 1, 3]), 1), (row(&[2, 0, 0]), 1)]);
    expect(&after(&cycles), &[(row(&[1, 3, 3]), 1)]);
}

#[test]
fn hard_case_19_rows_move_between_groups_and_null_is_a_group() {
    let graph = grouped(vec![call(Count, None), of(Sum)]);
    let null = |v: i64, weight| (1, vec![Value::Null, Value::Int(v)], weight);
    let cycles = [
        vec![ins(&[1, 5]), ins(&[2, 6]), null(1, 1), null(2, 1)],
        vec![del(&[1, 5]), ins(&[2, 5])],
        vec![del(&[2, 5]), del(&[2, 6]), null(1, -1), ins(&[1, 1])],
        vec![ins(&[2, 8])],
    ];
    let expected = [(row(&[1, 1, 1]), 1), (row(&[2, 1, 8]), 1), (vec![Value::Null, 1.into(), 2.into()], 1)];
    expect(&script("19", ONE, &graph, &cycles), &expected);
}

#[test]
fn hard_case_20_having_crossed_up_and_down() {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    let sums = b.aggregate(input, vec![col(0, Int)], vec![call(Count, None), of(Sum)]);
    b.filter(sums, test("#1 > 1", &[1], |v| v[0] > 1));
    let graph = b.done();
    let cycles =
        [vec![ins(&[1, 5]), ins(&[1, 6])], vec![del(&[1, 6])], vec![ins(&[1, 7]), ins(&[2, 1])], vec![ins(&[2, 1])]];
    expect(&script("20", ONE, &graph, &cycles[..2]), &[]);
    expect(&script("20", ONE, &graph, &cycles), &[(row(&[1, 2, 12]), 1), (row(&[2, 2, 2]), 1)]);
}

#[test]
fn hard_case_21_a_global_aggregate_has_one_row_always() {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    b.aggregate(input, vec![], vec![call(Count, None), of(Sum), of(Max)]);
    let graph = b.done();
    let empty = vec![Value::Int(0), Value::Null, Value::Null];
    let mut beside = Beside::new(&graph, ONE);
    beside.discarded(&[ins(&[1, 1])]).unwrap();
    assert_eq!(beside.epoch(&[], "21, first").len(), 1);
    expect(&beside.result, &[(empty.clone(), 1)]);
    assert!(beside.epoch(&[], "21, idle").is_empty());
    beside.restart();
    assert!(beside.epoch(&[], "21, restarted").is_empty(), "the row is given once, not once per start");
    beside.epoch(&[ins(&[1, 4]), ins(&[1, 9])], "21");
    expect(&beside.result, &[(row(&[2, 13, 9]), 1)]);
    beside.epoch(&[del(&[1, 4]), del(&[1, 9])], "21");
    expect(&beside.result, &[(empty, 1)]);
    let cycles = [vec![ins(&[1, 4])], vec![del(&[1, 4])], vec![ins(&[1, 5])]];
    expect(&script("21", ONE, &graph, &cycles), &[(row(&[1, 5, 5]), 1)]);
}

#[test]
fn hard_case_22_distinct_aggregates_lose_copies_one_by_one() {
    let graph = grouped(vec![distinct(of(Count)), distinct(of(Sum)), of(Count), distinct(of(Avg))]);
    let cycles =
        [vec![ins(&[1, 5]), ins(&[1, 5]), ins(&[1, 7])], vec![del(&[1, 5])], vec![del(&[1, 5])], vec![del(&[1, 7])]];
    let sixth = Value::Numeric(i256::from(6).wrapping_mul(i256::from(10).wrapping_pow(38)));
    let expected = [(vec![2.into(), 12.into(), 2.into(), sixth], 1)];
    let expected = expected.map(|(row, weight)| ([vec![Value::Int(1)], row].concat(), weight));
    expect(&script("22", ONE, &graph, &cycles[..2]), &expected);
    expect(&script("22", ONE, &graph, &cycles), &[]);
}

#[test]
fn hard_case_23_float_sums_do_not_drift_and_nan_can_leave() {
    const FLOATS: &[ColumnType] = &[Double];
    let mut b = Build::default();
    let input = b.input(1, FLOATS);
    b.aggregate(input, vec![], vec![call(Sum, Some(col(0, Double))), call(Avg, Some(col(0, Double)))]);
    let graph = b.done();
    let types: Types<'_> = &[(1, FLOATS)];
    let mut flow = super::harness::flow(&graph);
    let mut sum = testkit::Model::new();
    let mut step = |values: &[f64], weight: i64| {
        let changes: Vec<TableChange> = values.iter().map(|v| (1, vec![Value::Float(*v)], weight)).collect();
        sum.add(&flow.step(&super::harness::deltas(types, &changes)).unwrap());
        flow.commit();
        sum.clone()
    };
    let one = |sum: f64, avg: f64| [(vec![Value::Float(sum), Value::Float(avg)], 1)];
    step(&[0.1], 1);
    for round in 0..2000 {
        let noise = [1e300, -3e-300 * f64::from(round + 1), 0.2 + f64::from(round), 5e-324];
        step(&noise, 1);
        step(&noise, -1);
    }
    expect(&step(&[], 1), &one(0.1, 0.1));
    expect(&step(&[f64::NAN, f64::INFINITY], 1), &one(f64::NAN, f64::NAN));
    expect(&step(&[f64::NAN], -1), &one(f64::INFINITY, f64::INFINITY));
    expect(&step(&[f64::NEG_INFINITY], 1), &one(f64::NAN, f64::NAN));
    expect(&step(&[f64::NEG_INFINITY, f64::INFINITY], -1), &one(0.1, 0.1));
    expect(&step(&[1e308, 1e308, -1e308], 1), &one(1e308, 1e308 / 4.0));
}

#[test]
fn hard_case_24_filter_column_updated() {
    let few = || test("#1 < 10", &[1], |v| v[0] < 10);
    let graph = grouped(vec![filtered(call(Count, None), few()), filtered(of(Sum), few()), of(Avg)]);
    let cycles =
        [vec![ins(&[1, 5]), ins(&[1, 15])], vec![del(&[1, 5]), ins(&[1, 25])], vec![del(&[1, 15]), ins(&[1, 1])]];
    let ten = |v: i64| Value::Numeric(i256::from(v).wrapping_mul(i256::from(10).wrapping_pow(38)));
    let none = [(vec![1.into(), 0.into(), Value::Null, ten(20)], 1)];
    expect(&script("24", ONE, &graph, &cycles[..2]), &none);
    expect(&script("24", ONE, &graph, &cycles), &[(vec![1.into(), 1.into(), 1.into(), ten(13)], 1)]);
}

#[test]
fn hard_case_24_sum_of_bigint_is_numeric_and_does_not_wrap() {
    const BIG: &[ColumnType] = &[BigInt];
    let mut b = Build::default();
    let input = b.input(1, BIG);
    b.aggregate(input, vec![], vec![call(Sum, Some(col(0, BigInt)))]);
    let graph = b.done();
    let cycles = [vec![ins(&[i64::MAX]), ins(&[i64::MAX])], vec![ins(&[i64::MIN])], vec![ins(&[i64::MAX])]];
    let sum = i256::from_i128(3 * i128::from(i64::MAX) + i128::from(i64::MIN));
    expect(&script("24", &[(1, BIG)], &graph, &cycles), &[(vec![Value::Numeric(sum)], 1)]);
}
