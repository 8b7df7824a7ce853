//! The law test of every operator, and of graphs of several. The seeds are printed.

use plan::{AggregateFunction::*, NodeKind};
use testkit::Value;
use zset::ColumnType::{self, *};

use super::build::*;
use super::harness::law;

const NUMERIC: ColumnType = Numeric { precision: 12, scale: 2 };
const PAIR: &[ColumnType] = &[Int, Int];

#[test]
fn the_law_filter() {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    b.filter(input, test("#0 > #1", &[0, 1], |v| v[0] > v[1]));
    law("filter", &[(1, PAIR)], &b.done(), 0..60);
}

#[test]
fn the_law_project() {
    let types = &[Int, Text, Double];
    let mut b = Build::default();
    let input = b.input(1, types);
    let negative = fun("-#2", Double, |row| match &row[2] {
        Value::Float(float) => Value::Float(-float),
        _ => Value::Null,
    });
    let negated = b.project(input, vec![negative, col(1, Text)]);
    b.project(negated, vec![fun("text(#0)", Text, |row| Value::text(row[0].to_string())), col(1, Text)]);
    law("project", &[(1, types)], &b.done(), 0..60);
}

#[test]
fn the_law_project_to_no_columns() {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    let nothing = b.project(input, vec![]);
    b.aggregate(nothing, vec![], vec![call(Count, None)]);
    law("project to nothing", &[(1, PAIR)], &b.done(), 0..40);
}

#[test]
fn the_law_join_of_every_key_type() {
    let kinds = [Boolean, SmallInt, Int, BigInt, Real, Double, NUMERIC, Text, Bytea, Date, Time, Timestamp(6), Uuid];
    for kind in kinds {
        let types = &[kind, Int];
        let mut b = Build::default();
        let (left, right) = (b.input(1, types), b.input(2, types));
        b.join(left, right, &[(col(0, kind), col(0, kind))], None);
        law(&format!("join on {kind}"), &[(1, types), (2, types)], &b.done(), 0..16);
    }
}

#[test]
fn the_law_join_on_two_keys_with_a_residual() {
    let mut b = Build::default();
    let (left, right) = (b.input(1, PAIR), b.input(2, PAIR));
    let next = fun("#0 + 1", BigInt, |row| int(&row[0]).map_or(Value::Null, |v| Value::Int(v + 1)));
    let other = fun("#1 + 1", BigInt, |row| int(&row[1]).map_or(Value::Null, |v| Value::Int(v + 1)));
    let residual = test("#1 <= #2", &[1, 2], |v| v[0] <= v[1]);
    b.join(left, right, &[(next, other), (col(0, Int), col(1, Int))], Some(residual));
    law("join on two keys", &[(1, PAIR), (2, PAIR)], &b.done(), 0..80);
}

#[test]
fn the_law_cross_join_with_a_condition() {
    let mut b = Build::default();
    let (left, right) = (b.input(1, PAIR), b.input(2, PAIR));
    b.join(left, right, &[], Some(test("#0 between #2 and #3", &[0, 2, 3], |v| v[1] <= v[0] && v[0] <= v[2])));
    law("cross join", &[(1, PAIR), (2, PAIR)], &b.done(), 0..40);
}

#[test]
fn the_law_self_join() {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    b.join(input, input, &[(col(0, Int), col(1, Int))], None);
    law("self-join", &[(1, PAIR)], &b.done(), 0..80);
}

#[test]
fn the_law_join_of_joins() {
    let mut b = Build::default();
    let (one, two, three) = (b.input(1, PAIR), b.input(2, PAIR), b.input(3, PAIR));
    let first = b.join(one, two, &[(col(0, Int), col(0, Int))], None);
    b.join(first, three, &[(col(3, Int), col(0, Int))], None);
    law("three-way join", &[(1, PAIR), (2, PAIR), (3, PAIR)], &b.done(), 0..60);
}

#[test]
fn the_law_distinct_of_every_type() {
    let types = &[Boolean, Real, NUMERIC, Varchar(9)];
    let mut b = Build::default();
    let input = b.input(1, types);
    let few = b.project(input, vec![col(1, Real), col(3, Varchar(9))]);
    b.distinct(few);
    law("distinct", &[(1, types)], &b.done(), 0..80);
}

#[test]
fn the_law_union_and_diamond() {
    let mut b = Build::default();
    let (one, two) = (b.input(1, PAIR), b.input(2, PAIR));
    let some = b.filter(one, test("#0 > 1", &[0], |v| v[0] > 1));
    let all = b.union(vec![some, two, one]);
    b.aggregate(all, vec![col(1, Int)], vec![call(Count, None), call(Sum, Some(col(0, Int)))]);
    law("union", &[(1, PAIR), (2, PAIR)], &b.done(), 0..60);
}

#[test]
fn the_law_values_joined() {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    let literal = |v: i64| fun(&v.to_string(), Int, move |_| Value::Int(v));
    let rows = [1, 2, 2].map(|v| vec![literal(v)]).to_vec();
    let values = b.add(NodeKind::Values { rows }, columns(&[Int]));
    b.join(input, values, &[(col(0, Int), col(0, Int))], None);
    law("values", &[(1, PAIR)], &b.done(), 0..40);
}

/// All aggregates that a type has.
fn calls(at: usize, ty: ColumnType) -> Vec<plan::AggregateCall<Expr>> {
    let of = |function| call(function, Some(col(at, ty)));
    let mut calls = vec![of(Count), distinct(of(Count))];
    if matches!(ty, SmallInt | Int | BigInt | Real | Double | Numeric { .. }) {
        calls.extend([of(Sum), of(Avg), distinct(of(Sum)), distinct(of(Avg))]);
    }
    if ty != Boolean {
        calls.extend([of(Min), of(Max), distinct(of(Max))]);
    }
    calls
}

#[test]
fn the_law_aggregate_of_every_type() {
    let kinds = [Boolean, SmallInt, Int, BigInt, Real, Double, NUMERIC, Text, Bytea, Date, Time, TimestampTz(3), Uuid];
    let wide = Numeric { precision: 38, scale: 10 };
    for kind in kinds.into_iter().chain([wide]) {
        let types = &[Text, kind];
        let mut b = Build::default();
        let input = b.input(1, types);
        b.aggregate(input, vec![col(0, Text)], calls(1, kind));
        law(&format!("aggregate of {kind}"), &[(1, types)], &b.done(), 0..24);
    }
}

#[test]
fn the_law_aggregate_by_every_type() {
    for kind in [Boolean, Real, Double, NUMERIC, Bytea, Date, Timestamp(0)] {
        let types = &[kind, Int];
        let mut b = Build::default();
        let input = b.input(1, types);
        b.aggregate(input, vec![col(0, kind)], vec![call(Count, None), call(Min, Some(col(1, Int)))]);
        law(&format!("aggregate by {kind}"), &[(1, types)], &b.done(), 0..16);
    }
}

#[test]
fn the_law_aggregate_with_filters_and_without_calls() {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    let positive = || test("#1 > 0", &[1], |v| v[0] > 0);
    let of = |function| call(function, Some(col(1, Int)));
    let calls = vec![
        filtered(call(Count, None), positive()),
        filtered(of(Sum), positive()),
        filtered(distinct(of(Count)), positive()),
        filtered(of(Min), positive()),
        of(Min),
        filtered(call(Max, Some(hundred_by(1))), positive()),
    ];
    let groups = b.aggregate(input, vec![col(0, Int)], calls);
    b.aggregate(groups, vec![col(1, BigInt), col(5, Int)], vec![]);
    law("aggregate with filters", &[(1, PAIR)], &b.done(), 0..80);
}

#[test]
fn the_law_global_aggregate() {
    let mut b = Build::default();
    let input = b.input(1, PAIR);
    let of = |function| call(function, Some(col(0, Int)));
    b.aggregate(input, vec![], vec![call(Count, None), of(Sum), of(Avg), of(Min), of(Max), distinct(of(Count))]);
    law("global aggregate", &[(1, PAIR)], &b.done(), 0..60);
}

#[test]
fn the_law_a_query_of_all_operators() {
    let mut b = Build::default();
    let (orders, people) = (b.input(1, &[Int, Int, NUMERIC]), b.input(2, &[Int, Text]));
    let some = b.filter(orders, test("#1 < 3", &[1], |v| v[0] < 3));
    let joined = b.join(some, people, &[(col(1, Int), col(0, Int))], None);
    let named = b.project(joined, vec![col(4, Text), col(2, NUMERIC)]);
    let of = |function| call(function, Some(col(1, NUMERIC)));
    let totals = b.aggregate(named, vec![col(0, Text)], vec![call(Count, None), of(Sum), of(Avg), of(Max)]);
    let many = b.filter(totals, test("#1 > 1", &[1], |v| v[0] > 1));
    let counts = b.project(many, vec![col(1, BigInt)]);
    let once = b.distinct(counts);
    b.union(vec![once, counts]);
    law("everything", &[(1, &[Int, Int, NUMERIC]), (2, &[Int, Text])], &b.done(), 0..80);
}
