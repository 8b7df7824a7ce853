//! The naive interpreter: whole tables in, the whole result out, row by row. It shares nothing with the operators but the
//! division of avg, which has tests of its own against PostgreSQL.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::i256;
use plan::{AggregateCall, AggregateFunction, Graph, NodeKind, TableId};
use testkit::{Model, Row, Value};
use zset::{ColumnType, RowError};

use super::build::Expr;
use crate::operators::aggregate::division_for_tests as quotient;

pub type Tables = BTreeMap<TableId, Model>;

/// The query's result.
pub fn run(graph: &Graph<Expr>, tables: &Tables) -> Result<Model, RowError> {
    let mut results: Vec<Model> = Vec::new();
    for node in &graph.nodes {
        let input = |id: &plan::NodeId| &results[id.0 as usize];
        let mut out = Model::new();
        match &node.kind {
            NodeKind::Input { table, .. } => {
                let rows = tables.get(table).cloned().unwrap_or_default();
                rows.rows().for_each(|(row, weight)| out.add_row(row.iter().map(canonical).collect(), weight));
            }
            NodeKind::Filter { input: from, predicate } => {
                for (row, weight) in input(from).rows() {
                    if predicate.value(row)? == Value::Bool(true) {
                        out.add_row(row.clone(), weight);
                    }
                }
            }
            NodeKind::Project { input: from, expressions } => {
                for (row, weight) in input(from).rows() {
                    out.add_row(all(expressions, row)?, weight);
                }
            }
            NodeKind::Join { left, right, left_keys, right_keys, residual } => {
                out = join(input(left), input(right), left_keys, right_keys, residual.as_ref())?;
            }
            NodeKind::Aggregate { input: from, group, calls } => out = aggregate(input(from), group, calls)?,
            NodeKind::Distinct { input: from } => {
                input(from).rows().for_each(|(row, _)| out.add_row(row.clone(), 1));
            }
            NodeKind::Union { inputs } => {
                let rows = inputs.iter().flat_map(|from| input(from).rows());
                rows.for_each(|(row, weight)| out.add_row(row.clone(), weight));
            }
            NodeKind::Values { rows } => {
                for row in rows {
                    out.add_row(all(row, &[])?, 1);
                }
            }
        }
        results.push(out);
    }
    Ok(results.pop().unwrap())
}

fn all(expressions: &[Expr], row: &[Value]) -> Result<Row, RowError> {
    expressions.iter().map(|expression| expression.value(row).map(|value| canonical(&value))).collect()
}

/// -0 is 0, wherever a row is made.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Float(float) => Value::Float(float + 0.0),
        other => other.clone(),
    }
}

fn join(
    left: &Model,
    right: &Model,
    left_keys: &[Expr],
    right_keys: &[Expr],
    residual: Option<&Expr>,
) -> Result<Model, RowError> {
    let mut out = Model::new();
    for (one, weight) in left.rows() {
        let key = all(left_keys, one)?;
        for (other, times) in right.rows() {
            if key.iter().any(Value::is_null) || key != all(right_keys, other)? {
                continue;
            }
            let row = [one.as_slice(), other].concat();
            if residual.map_or(Ok(Value::Bool(true)), |residual| residual.value(&row))? == Value::Bool(true) {
                out.add_row(row, weight * times);
            }
        }
    }
    Ok(out)
}

fn aggregate(input: &Model, group: &[Expr], calls: &[AggregateCall<Expr>]) -> Result<Model, RowError> {
    let mut groups: BTreeMap<Row, Vec<(&Row, i64)>> = BTreeMap::new();
    if group.is_empty() {
        groups.insert(vec![], vec![]);
    }
    for (row, weight) in input.rows() {
        groups.entry(all(group, row)?).or_default().push((row, weight));
    }
    let mut out = Model::new();
    for (key, rows) in groups {
        let results = calls.iter().map(|call| result(call, &rows)).collect::<Result<Vec<_>, _>>()?;
        out.add_row([key, results].concat(), 1);
    }
    Ok(out)
}

fn result(call: &AggregateCall<Expr>, rows: &[(&Row, i64)]) -> Result<Value, RowError> {
    let mut values: Vec<(Value, i64)> = Vec::new();
    for (row, weight) in rows {
        let passes = call.filter.as_ref().map_or(Ok(Value::Bool(true)), |filter| filter.value(row))?;
        if passes == Value::Bool(true) {
            let value = call.argument.as_ref().map_or(Ok(Value::Int(0)), |argument| argument.value(row))?;
            if !value.is_null() {
                values.push((value, *weight));
            }
        }
    }
    if call.distinct {
        let distinct: BTreeSet<Value> = values.into_iter().map(|(value, _)| value).collect();
        values = distinct.into_iter().map(|value| (value, 1)).collect();
    }
    let count: i64 = values.iter().map(|(_, weight)| weight).sum();
    let ordered = values.iter().map(|(value, _)| value.clone());
    Ok(match call.function {
        AggregateFunction::Count => Value::Int(count),
        _ if count == 0 => Value::Null,
        AggregateFunction::Min => ordered.min().unwrap(),
        AggregateFunction::Max => ordered.max().unwrap(),
        AggregateFunction::Sum => match call.argument_type {
            ColumnType::Real => {
                Value::Float(f64::from(float_sum(&values, |eighths| (eighths as f32 / 8.0).into()) as f32))
            }
            ColumnType::Double => Value::Float(float_sum(&values, |eighths| eighths as f64 / 8.0)),
            _ => match call.output_type {
                ColumnType::BigInt => Value::Int(exact_sum(&values).as_i128().try_into().unwrap()),
                _ => Value::Numeric(exact_sum(&values)),
            },
        },
        AggregateFunction::Avg => match call.argument_type {
            ColumnType::Real | ColumnType::Double => {
                Value::Float(float_sum(&values, |eighths| eighths as f64 / 8.0) / count as f64)
            }
            ColumnType::Numeric { scale, .. } => Value::Numeric(quotient(exact_sum(&values), scale, count)?),
            _ => Value::Numeric(quotient(exact_sum(&values), 0, count)?),
        },
    })
}

fn exact_sum(values: &[(Value, i64)]) -> i256 {
    let product = |(value, weight): &(Value, i64)| match value {
        Value::Int(int) => i256::from(*int).wrapping_mul(i256::from(*weight)),
        Value::Numeric(units) => units.wrapping_mul(i256::from(*weight)),
        other => panic!("a sum of {other}"),
    };
    values.iter().map(product).fold(i256::ZERO, i256::wrapping_add)
}

/// Generated floats are eighths: their sum is an integer of eighths, exactly.
fn float_sum(values: &[(Value, i64)], finite: impl Fn(i128) -> f64) -> f64 {
    let floats: Vec<(f64, i64)> = values
        .iter()
        .map(|(value, weight)| match value {
            Value::Float(float) => (*float, *weight),
            other => panic!("a float sum of {other}"),
        })
        .collect();
    let has = |special: f64| floats.iter().any(|(float, _)| *float == special);
    let nan = floats.iter().any(|(float, _)| float.is_nan());
    match (nan, has(f64::INFINITY), has(f64::NEG_INFINITY)) {
        (true, _, _) | (_, true, true) => f64::NAN,
        (_, true, _) => f64::INFINITY,
        (_, _, true) => f64::NEG_INFINITY,
        _ => finite(floats.iter().map(|(float, weight)| (float * 8.0) as i128 * i128::from(*weight)).sum()),
    }
}
