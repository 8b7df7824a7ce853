//! From a plan with its values to the plan that is run: optimized, its tables snapshots, its limits numbers, its keys without
//! two zeros, its subqueries functions that can be called, its conditions guarded.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::catalog::default_table_source::{DefaultTableSource, source_as_provider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result as DfResult};
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, Distinct, EmptyRelation, Expr, Filter, Limit, LogicalPlan, Operator, Sort, TableScan,
};
use datafusion::scalar::ScalarValue;
use zset::{Column, ColumnType, RowCodec, RowType};

use super::context::Context;
use super::limits::carried;
use super::table::{Rows, Table};
use super::{guarded, subplan};
use crate::error::{Result, code, error};
use crate::expr::{Typed, literal, operator};
use crate::query::{optimize, series, source, subquery};

/// The plan after the optimizer's named rules.
pub(crate) fn optimized(plan: LogicalPlan) -> Result<LogicalPlan> {
    optimize::optimize(plan)
}

/// See the module.
pub(super) fn settled(plan: LogicalPlan, context: &Context, again: bool) -> DfResult<LogicalPlan> {
    let changed = plan.transform_up(|node| {
        let node = match node {
            LogicalPlan::TableScan(scan) => read(scan, context, again)?,
            LogicalPlan::Filter(filter) => probed(filter)?,
            LogicalPlan::Aggregate(aggregate) => grouped(aggregate)?,
            LogicalPlan::Distinct(Distinct::All(input)) => once(input)?,
            LogicalPlan::Limit(limit) => limited(limit)?,
            other => other,
        };
        expressions(node, context).map(Transformed::yes)
    })?;
    Ok(changed.data)
}

/// A table as its snapshot, a series as its numbers.
fn read(mut scan: TableScan, context: &Context, again: bool) -> DfResult<LogicalPlan> {
    let watch = context.watch().clone();
    if let Some(series) = series::of(&scan) {
        let rows = numbers(series)?;
        let table = Table { schema: scan.source.schema(), key: vec![], rows, watch };
        scan.source = Arc::new(DefaultTableSource::new(Arc::new(table)));
        return Ok(LogicalPlan::TableScan(scan));
    }
    let Some(table) = source::of(&scan) else { return Ok(LogicalPlan::TableScan(scan)) };
    let view = context.view();
    let gone = || {
        carried(error(
            code::NOT_SUPPORTED,
            format!("cached plan must not change result type: table {} is not as it was", scan.table_name),
        ))
    };
    let def = view.catalog.table(table.id).filter(|def| def.columns == table.columns).ok_or_else(gone)?;
    let rows = if again {
        Rows::Kept(context.kept(table.id).ok_or_else(gone)?)
    } else {
        Rows::All(view.tables.get(&table.id).ok_or_else(gone)?.clone())
    };
    let table = Table { schema: scan.source.schema(), key: def.key.clone(), rows, watch };
    scan.source = Arc::new(DefaultTableSource::new(Arc::new(table)));
    Ok(LogicalPlan::TableScan(scan))
}

fn numbers(series: &series::Series) -> DfResult<Rows> {
    let mut values = [0i64; 3];
    for (value, expr) in values.iter_mut().zip(series.arguments()) {
        match whole_number(expr)? {
            Some(n) => *value = n,
            None => return Ok(Rows::Nothing),
        }
    }
    let [start, stop, step] = values;
    if step == 0 {
        return Err(carried(error(code::INVALID_PARAMETER, "step size cannot equal zero")));
    }
    Ok(Rows::Series { start, stop, step, ty: series.ty })
}

/// The value of an expression without columns, a whole number; `None` is NULL.
fn whole_number(expr: &Expr) -> DfResult<Option<i64>> {
    let nothing = DFSchema::empty();
    let compiled = crate::expr::eval::compile(expr, &nothing).map_err(carried)?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(1));
    let row = arrow::array::RecordBatch::try_new_with_options(Arc::clone(nothing.inner()), vec![], &options)?;
    let value = dataflow::Eval::eval(&compiled, &row).map_err(crate::error::into_datafusion)?;
    let value = Typed::new(Expr::Literal(ScalarValue::try_from_array(&value, 0)?, None), ColumnType::BigInt);
    Ok(literal::integer_of(&value))
}

/// A filter that names one row by its key reads that row alone. The filter stays: it asks for more than the key, perhaps.
fn probed(filter: Filter) -> DfResult<LogicalPlan> {
    let LogicalPlan::TableScan(scan) = filter.input.as_ref() else { return Ok(LogicalPlan::Filter(filter)) };
    let provider = source_as_provider(&scan.source)?;
    let Some(table) = provider.downcast_ref::<Table>() else { return Ok(LogicalPlan::Filter(filter)) };
    let Rows::All(rows) = &table.rows else { return Ok(LogicalPlan::Filter(filter)) };
    let Some(key) = key_values(&filter.predicate, table)? else { return Ok(LogicalPlan::Filter(filter)) };
    let fields: Vec<Column> = table
        .key
        .iter()
        .filter_map(|&at| {
            let field = table.schema.field(at);
            ColumnType::of_field(field).map(|ty| Column::new(field.name().clone(), ty, true))
        })
        .collect();
    let bytes = RowCodec::new(RowType(fields).schema()).encode(&key);
    let table = Table { rows: Rows::Of(rows.clone(), bytes), ..table.clone() };
    let source = Arc::new(DefaultTableSource::new(Arc::new(table)));
    let scan = LogicalPlan::TableScan(TableScan { source, ..scan.clone() });
    Ok(LogicalPlan::Filter(Filter::try_new(filter.predicate, Arc::new(scan))?))
}

/// The values that a condition demands of the whole key.
fn key_values(predicate: &Expr, table: &Table) -> DfResult<Option<Vec<ArrayRef>>> {
    let conditions = datafusion::logical_expr::utils::split_conjunction(predicate);
    let mut key = Vec::with_capacity(table.key.len());
    for &at in &table.key {
        let field = table.schema.field(at);
        let value = conditions.iter().find_map(|condition| {
            let Expr::BinaryExpr(binary) = condition else { return None };
            let (column, value) = match (binary.left.as_ref(), binary.right.as_ref()) {
                (Expr::Column(column), Expr::Literal(value, _)) => (column, value),
                (Expr::Literal(value, _), Expr::Column(column)) => (column, value),
                _ => return None,
            };
            let same = binary.op == Operator::Eq && column.name == *field.name();
            (same && !value.is_null() && value.data_type() == *field.data_type()).then_some(value)
        });
        match value {
            Some(value) => key.push(value.to_array()?),
            None => return Ok(None),
        }
    }
    Ok((!key.is_empty()).then_some(key))
}

/// A float as a key of groups: one NaN, one zero.
fn keyed(expr: Expr, schema: &DFSchema) -> DfResult<Expr> {
    use datafusion::logical_expr::ExprSchemable;
    let ty = match expr.get_type(schema)? {
        DataType::Float32 => ColumnType::Real,
        DataType::Float64 => ColumnType::Double,
        _ => return Ok(expr),
    };
    let canonical = |expr: Expr| operator::canonical(Typed::new(expr, ty)).map(|typed| typed.expr).map_err(carried);
    Ok(match expr {
        Expr::Alias(mut alias) => {
            alias.expr = Box::new(canonical(*alias.expr)?);
            Expr::Alias(alias)
        }
        Expr::Column(column) => {
            let (table, name) = (column.relation.clone(), column.name.clone());
            canonical(Expr::Column(column))?.alias_qualified(table, name)
        }
        other => {
            let name = other.schema_name().to_string();
            canonical(other)?.alias(name)
        }
    })
}

fn grouped(aggregate: Aggregate) -> DfResult<LogicalPlan> {
    let schema = Arc::clone(aggregate.input.schema());
    let keys = aggregate.group_expr.into_iter().map(|e| keyed(e, &schema)).collect::<DfResult<Vec<_>>>()?;
    Ok(LogicalPlan::Aggregate(Aggregate::try_new(aggregate.input, keys, aggregate.aggr_expr)?))
}

/// DISTINCT: a group of each row.
fn once(input: Arc<LogicalPlan>) -> DfResult<LogicalPlan> {
    let schema = Arc::clone(input.schema());
    let keys = schema.iter().map(|field| keyed(Expr::from(field), &schema)).collect::<DfResult<Vec<_>>>()?;
    Ok(LogicalPlan::Aggregate(Aggregate::try_new(input, keys, vec![])?))
}

/// A limit as numbers; a sort below it keeps no more rows than it needs.
fn limited(limit: Limit) -> DfResult<LogicalPlan> {
    let rows = |expr: Option<Box<Expr>>, sqlstate: &'static str, clause: &str| -> DfResult<Option<usize>> {
        let Some(expr) = expr else { return Ok(None) };
        match whole_number(&expr)? {
            None => Ok(None),
            Some(n) => usize::try_from(n)
                .map(Some)
                .map_err(|_| carried(error(sqlstate, format!("{clause} must not be negative")))),
        }
    };
    let fetch = rows(limit.fetch, "2201W", "LIMIT")?;
    let skip = rows(limit.skip, "2201X", "OFFSET")?.unwrap_or(0);
    let mut input = limit.input;
    if fetch == Some(0) {
        let schema = Arc::clone(input.schema());
        return Ok(LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema }));
    }
    if let Some(most) = fetch.and_then(|fetch| fetch.checked_add(skip)) {
        input = Arc::new(first(input, most)?);
    }
    let number = |n: usize| Box::new(Expr::Literal(ScalarValue::Int64(i64::try_from(n).ok()), None));
    let (skip, fetch) = ((skip > 0).then(|| number(skip)), fetch.map(number));
    if skip.is_none() && fetch.is_none() {
        return Ok(Arc::unwrap_or_clone(input));
    }
    Ok(LogicalPlan::Limit(Limit { skip, fetch, input }))
}

/// Tells a sort how many rows are asked of it.
fn first(plan: Arc<LogicalPlan>, most: usize) -> DfResult<LogicalPlan> {
    match Arc::unwrap_or_clone(plan) {
        LogicalPlan::Sort(sort) => Ok(LogicalPlan::Sort(Sort { fetch: Some(most), ..sort })),
        LogicalPlan::Projection(mut projection) => {
            projection.input = Arc::new(first(projection.input, most)?);
            Ok(LogicalPlan::Projection(projection))
        }
        other => Ok(other),
    }
}

/// The columns that a node's expressions are over.
fn over(node: &LogicalPlan) -> DfResult<DFSchema> {
    match node.inputs().as_slice() {
        [] => Ok(DFSchema::empty()),
        [input] => Ok(input.schema().as_ref().clone()),
        inputs => {
            let mut all = DFSchema::empty();
            for input in inputs {
                all.merge(input.schema());
            }
            Ok(all)
        }
    }
}

/// A node whose expressions can be computed.
fn expressions(node: LogicalPlan, context: &Context) -> DfResult<LogicalPlan> {
    let schema = over(&node)?;
    let nested_loop = matches!(&node, LogicalPlan::Join(join) if join.on.is_empty() && join.filter.is_some());
    let names = NamePreserver::new(&node);
    let changed = node.map_expressions(|expr| {
        let name = names.save(&expr);
        let mut expr = expr.transform_up(|part| callable(part, context))?.data;
        expr = if nested_loop {
            guarded::function(expr, &schema, context.watch())?
        } else {
            guarded::guarded(expr, &schema, context.watch())?.data
        };
        Ok(Transformed::yes(name.restore(expr)))
    })?;
    Ok(changed.data)
}

/// What is left of placeholders and subqueries as functions that can be called.
fn callable(expr: Expr, context: &Context) -> DfResult<Transformed<Expr>> {
    match expr {
        Expr::Placeholder(Placeholder { id, field }) => {
            if id == subquery::CALLED {
                return Ok(Transformed::yes(literal::boolean(true).expr));
            }
            match (subquery::captured_of(&id), field) {
                (Some((frame, at)), Some(field)) => Ok(Transformed::yes(context.cells().reader(frame, at, field))),
                (_, field) => Ok(Transformed::no(Expr::Placeholder(Placeholder { id, field }))),
            }
        }
        Expr::ScalarFunction(call) => match subquery::of(&call.func) {
            Some(query) => subplan::callable(query, call.args, context).map(Transformed::yes),
            None => Ok(Transformed::no(Expr::ScalarFunction(call))),
        },
        other => Ok(Transformed::no(other)),
    }
}
