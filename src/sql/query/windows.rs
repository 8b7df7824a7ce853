//! Window functions in a plan: their partitions, orders and arguments become columns, the rows are sorted by them, and each
//! function adds a column. Functions over one window share its sort.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{Sort as SortExpr, WindowFunction};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};

use super::order::{unqualified, window};
use crate::error::{Result, from_datafusion};

/// Columns that are added below the windows.
struct Below {
    list: Vec<Expr>,
    added: Vec<Expr>,
    prefix: usize,
}

impl Below {
    /// An expression as a column.
    fn column(&mut self, expr: Expr) -> Expr {
        if matches!(expr, Expr::Column(_) | Expr::Literal(..)) {
            return expr;
        }
        let at = self.added.iter().position(|known| *known == expr).unwrap_or_else(|| {
            self.list.push(expr.clone().alias(self.name(self.added.len())));
            self.added.push(expr);
            self.added.len() - 1
        });
        unqualified(&self.name(at))
    }

    fn name(&self, at: usize) -> String {
        format!("#below{}.{at}", self.prefix)
    }

    fn function(&mut self, mut function: WindowFunction) -> WindowFunction {
        let params = &mut function.params;
        params.partition_by = std::mem::take(&mut params.partition_by).into_iter().map(|e| self.column(e)).collect();
        params.args = std::mem::take(&mut params.args).into_iter().map(|e| self.column(e)).collect();
        for key in &mut params.order_by {
            key.expr = self.column(key.expr.clone());
        }
        params.filter = params.filter.take().map(|e| Box::new(self.column(*e)));
        function
    }
}

/// The window functions in some expressions, each once.
fn found(list: &[Expr]) -> Result<Vec<Expr>> {
    let mut all: Vec<Expr> = Vec::new();
    for expr in list {
        expr.apply(|node| {
            if matches!(node, Expr::WindowFunction(_)) {
                if !all.contains(node) {
                    all.push(node.clone());
                }
                return Ok(TreeNodeRecursion::Jump);
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .map_err(from_datafusion)?;
    }
    Ok(all)
}

/// What a window's rows are sorted by: its partitions, then its order; constants sort nothing.
fn sorts(function: &WindowFunction) -> Vec<SortExpr> {
    let partitions = function.params.partition_by.iter().map(|e| SortExpr::new(e.clone(), true, true));
    let mut sorts: Vec<SortExpr> = Vec::new();
    for sort in partitions.chain(function.params.order_by.iter().cloned()) {
        if matches!(sort.expr, Expr::Column(_)) && !sorts.iter().any(|known| known.expr == sort.expr) {
            sorts.push(sort);
        }
    }
    sorts
}

/// A plan with a column for every window function in some expressions, which then name the columns instead.
pub(super) fn computed(plan: LogicalPlan, list: &mut [Expr]) -> Result<LogicalPlan> {
    let functions = found(list)?;
    if functions.is_empty() {
        return Ok(plan);
    }
    let prefix = plan.schema().fields().len();
    let name = |at: usize| format!("#window{prefix}.{at}");
    let mut below = Below { list: plan.schema().iter().map(Expr::from).collect(), added: Vec::new(), prefix };
    // functions of one window, side by side
    let mut groups: Vec<(Vec<Expr>, Vec<SortExpr>, Vec<Expr>)> = Vec::new();
    for (at, function) in functions.iter().enumerate() {
        let Expr::WindowFunction(function) = function else { continue };
        let function = below.function(function.as_ref().clone());
        let (partition, order) = (function.params.partition_by.clone(), function.params.order_by.clone());
        let expr = Expr::WindowFunction(Box::new(function)).alias(name(at));
        match groups.iter_mut().find(|(p, o, _)| *p == partition && *o == order) {
            Some((_, _, members)) => members.push(expr),
            None => groups.push((partition, order, vec![expr])),
        }
    }
    let mut plan = plan;
    if !below.added.is_empty() {
        let projection = Projection::try_new(below.list, Arc::new(plan)).map_err(from_datafusion)?;
        plan = LogicalPlan::Projection(projection);
    }
    for (_, _, members) in groups {
        let first = members.first().and_then(|expr| match expr {
            Expr::Alias(alias) => match alias.expr.as_ref() {
                Expr::WindowFunction(function) => Some(sorts(function)),
                _ => None,
            },
            _ => None,
        });
        plan = window(plan, members, first.unwrap_or_default())?;
    }
    for expr in list {
        let rewritten = expr.clone().transform_down(|node| {
            let Some(at) = functions.iter().position(|function| *function == node) else {
                return Ok(Transformed::no(node));
            };
            Ok(Transformed::new(unqualified(&name(at)), true, TreeNodeRecursion::Jump))
        });
        *expr = rewritten.map_err(from_datafusion)?.data;
    }
    Ok(plan)
}
