//! Values in the place of placeholders, in a whole plan with its subqueries.

use std::sync::Arc;

use datafusion::common::Result as DfResult;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::{Expr, LogicalPlan, ScalarUDF, TableScanBuilder};
use datafusion::scalar::ScalarValue;
use zset::{ColumnType, TimestampMs};

use crate::error::{Result, from_datafusion};
use crate::expr::{literal, parameter};
use crate::query::subquery::{self, Subquery};
use crate::query::{NOW, series};

/// Changes every expression of a plan, from its leaves up, those of subqueries too.
pub(super) fn each(plan: LogicalPlan, change: &dyn Fn(Expr) -> DfResult<Transformed<Expr>>) -> DfResult<LogicalPlan> {
    let one = |expr: Expr| {
        expr.transform_up(|part| {
            let part = match part {
                Expr::ScalarFunction(call) if subquery::of(&call.func).is_some() => within(call, change)?,
                other => other,
            };
            change(part)
        })
    };
    let changed = plan.transform_up(|node| {
        if let LogicalPlan::TableScan(scan) = &node
            && let Some(series) = series::of(scan)
        {
            let mut arguments = series.arguments().clone();
            for argument in &mut arguments {
                *argument = one(argument.clone())?.data;
            }
            let source = Arc::new(series.with_arguments(arguments));
            let name = scan.table_name.clone();
            let scan = TableScanBuilder::new(name, source).with_projection(scan.projection.clone()).build()?;
            return Ok(Transformed::yes(LogicalPlan::TableScan(scan)));
        }
        let changed = node.map_expressions(one)?;
        if changed.transformed { changed.map_data(LogicalPlan::recompute_schema) } else { Ok(changed) }
    })?;
    Ok(changed.data)
}

fn within(call: ScalarFunction, change: &dyn Fn(Expr) -> DfResult<Transformed<Expr>>) -> DfResult<Expr> {
    let Some(subquery) = subquery::of(&call.func) else { return Ok(Expr::ScalarFunction(call)) };
    let plan = each(subquery.plan.clone(), change)?;
    Ok(with_plan(subquery, plan, call.args))
}

/// The call of a subquery with another plan.
pub(super) fn with_plan(subquery: &Subquery, plan: LogicalPlan, arguments: Vec<Expr>) -> Expr {
    let function = ScalarUDF::from(subquery.with_plan(plan));
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), arguments))
}

/// The plan with the parameters' values and the view's time.
pub(super) fn values(plan: LogicalPlan, parameters: &[Expr], now: TimestampMs) -> Result<LogicalPlan> {
    let moment = ScalarValue::TimestampMicrosecond(Some(now.0.saturating_mul(1000)), Some("UTC".into()));
    let moment = literal::literal(moment, ColumnType::TimestampTz(6)).expr;
    let change = |expr: Expr| {
        let Expr::Placeholder(Placeholder { id, .. }) = &expr else { return Ok(Transformed::no(expr)) };
        let value = match parameter::number(id) {
            Some(number) => parameters.get(number - 1),
            None => (id == NOW).then_some(&moment),
        };
        Ok(match value {
            Some(value) => Transformed::yes(value.clone()),
            None => Transformed::no(expr),
        })
    };
    each(plan, &change).map_err(from_datafusion)
}
