//! GROUP BY and HAVING: the aggregate node, and the items in terms of its columns.

use std::sync::Arc;

use datafusion::common::Column as DfColumn;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use zset::ColumnType;

use super::scope::{Keyed, Scope};
use super::select::filter;
use crate::aggregates;
use crate::error::{Detail, Result, code, error, from_datafusion};
use crate::expr::{Typed, literal};

/// Whether an aggregate is in an expression.
pub(crate) fn has_aggregate(expr: &Expr) -> bool {
    expr.exists(|e| Ok(matches!(e, Expr::AggregateFunction(_)))).unwrap_or(false)
}

/// The aggregates of a block, each once.
struct Calls {
    keys: Vec<Expr>,
    calls: Vec<Expr>,
}

fn key_name(at: usize) -> String {
    format!("#key{at}")
}

fn call_name(at: usize) -> String {
    format!("#call{at}")
}

impl Calls {
    /// An expression over the rows in terms of the groups: group keys and aggregates become columns. What is left of the
    /// rows' own columns is in no group.
    fn over_groups(&mut self, expr: Expr) -> Result<Expr> {
        let rewritten = expr.transform_down(|node| {
            if let Some(at) = self.keys.iter().position(|key| *key == node) {
                let column = Expr::Column(DfColumn::new_unqualified(key_name(at)));
                return Ok(Transformed::new(column, true, TreeNodeRecursion::Jump));
            }
            if matches!(node, Expr::AggregateFunction(_)) {
                let at = self.calls.iter().position(|call| *call == node).unwrap_or_else(|| {
                    self.calls.push(node);
                    self.calls.len() - 1
                });
                let column = Expr::Column(DfColumn::new_unqualified(call_name(at)));
                return Ok(Transformed::new(column, true, TreeNodeRecursion::Jump));
            }
            Ok(Transformed::no(node))
        });
        Ok(rewritten.map_err(from_datafusion)?.data)
    }
}

/// The columns in expressions over the rows that a PRIMARY KEY among the group keys determines: what is grouped by them too, is
/// grouped as before.
pub(crate) fn determined<'e>(
    scope: &Scope,
    keys: &[Typed],
    expressions: impl Iterator<Item = &'e Typed>,
) -> Result<Vec<Typed>> {
    let is_key = |expr: &Expr| keys.iter().any(|key| key.expr == *expr);
    let whole = |keyed: &&Keyed| keyed.key.iter().all(|column| is_key(&Expr::Column(column.clone())));
    let known: Vec<&(DfColumn, ColumnType)> =
        scope.keyed.iter().filter(whole).flat_map(|keyed| &keyed.others).collect();
    let mut found: Vec<Typed> = Vec::new();
    for typed in expressions.filter(|_| !known.is_empty()) {
        let mut look = |node: &Expr| {
            if is_key(node) || matches!(node, Expr::AggregateFunction(_)) {
                return Ok(TreeNodeRecursion::Jump);
            }
            if let Expr::Column(column) = node
                && let Some((_, ty)) = known.iter().find(|(known, _)| known == column)
                && !found.iter().any(|other| other.expr == *node)
            {
                found.push(Typed::new(node.clone(), *ty));
            }
            Ok(TreeNodeRecursion::Continue)
        };
        typed.expr.apply(&mut look).map_err(from_datafusion)?;
    }
    Ok(found)
}

/// The error of a column that is neither grouped nor aggregated.
fn refuse_ungrouped(expr: &Expr, scope: &Scope) -> Result<()> {
    let mut left: Option<DfColumn> = None;
    expr.apply(|node| {
        if let Expr::Column(column) = node
            && !column.name.starts_with('#')
        {
            left.get_or_insert_with(|| column.clone());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(from_datafusion)?;
    let Some(column) = left else { return Ok(()) };
    let shown = scope.columns.iter().find(|visible| visible.column == column);
    let name = shown.map_or_else(|| column.to_string(), |visible| format!("{}.{}", visible.table, visible.name));
    Err(error(
        code::GROUPING,
        format!("column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"),
    )
    .with_hint("add it to GROUP BY, or aggregate it, as in max(column)"))
}

/// The aggregate over a plan, HAVING on top, and the items over its columns.
pub(crate) fn group(
    plan: LogicalPlan,
    scope: &Scope,
    keys: Vec<Typed>,
    items: Vec<(Typed, String)>,
    having: Option<Typed>,
    for_client: bool,
) -> Result<(LogicalPlan, Vec<(Typed, String)>)> {
    let mut calls = Calls { keys: keys.into_iter().map(|key| key.expr).collect(), calls: Vec::new() };
    let mut list = Vec::with_capacity(items.len());
    for (typed, name) in items {
        let expr = calls.over_groups(typed.expr)?;
        refuse_ungrouped(&expr, scope)?;
        list.push((Typed { expr, ty: typed.ty }, name));
    }
    let having = match having {
        None => None,
        Some(typed) => {
            let expr = calls.over_groups(typed.expr)?;
            refuse_ungrouped(&expr, scope)?;
            Some(expr)
        }
    };
    let keys: Vec<Expr> = calls.keys.into_iter().enumerate().map(|(at, key)| key.alias(key_name(at))).collect();
    let mut calls: Vec<Expr> =
        calls.calls.into_iter().enumerate().map(|(at, call)| call.alias(call_name(at))).collect();
    if keys.is_empty() && calls.is_empty() && for_client {
        // all rows are one group, of which nothing is asked
        let count = aggregates::resolve("count", Some(literal::boolean(true)), false)?;
        calls.push(aggregates::call(count, false, None).expr.alias(call_name(0)));
    } else if keys.is_empty() && calls.is_empty() {
        return Err(error(code::GROUPING, "HAVING without GROUP BY needs an aggregate")
            .with_hint("use WHERE for conditions on rows"));
    }
    let aggregate = Aggregate::try_new(Arc::new(plan), keys, calls).map_err(from_datafusion)?;
    let mut plan = LogicalPlan::Aggregate(aggregate);
    if let Some(condition) = having {
        plan = filter(plan, condition)?;
    }
    Ok((plan, list))
}
