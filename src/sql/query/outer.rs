//! LEFT, RIGHT and FULL joins: every row of a side has a partner, or NULLs in its place.

use std::sync::Arc;

use datafusion::common::{Column as DfColumn, JoinConstraint as Constraint, JoinType, NullEquality};
use datafusion::logical_expr::{Expr, Join, LogicalPlan, Projection};
use datafusion::sql::sqlparser::ast::{JoinConstraint, JoinOperator};

use super::scope::{Scope, Visible};
use crate::error::{Detail, Result, from_datafusion, syntax, unsupported};
use crate::expr::{Typed, condition};

/// The kind of a join and its constraint; what is not a join of the kinds that there are is refused.
pub(super) fn kind(operator: &JoinOperator, client: bool) -> Result<(JoinType, &JoinConstraint)> {
    let refused = |name: &str| {
        unsupported(
            format!("{name} JOIN"),
            "use INNER JOIN; for rows without a partner, UNION ALL them from a table that has them",
        )
    };
    let (join, constraint, name) = match operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (JoinType::Inner, constraint, "INNER"),
        JoinOperator::CrossJoin(constraint @ JoinConstraint::None) => return Ok((JoinType::Inner, constraint)),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
            (JoinType::Left, constraint, "LEFT OUTER")
        }
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
            (JoinType::Right, constraint, "RIGHT OUTER")
        }
        JoinOperator::FullOuter(constraint) => (JoinType::Full, constraint, "FULL OUTER"),
        other => {
            return Err(unsupported(
                format!("the join {other:?}"),
                "use JOIN ... ON, USING, NATURAL JOIN or CROSS JOIN",
            ));
        }
    };
    if join != JoinType::Inner && !client {
        return Err(refused(name));
    }
    if matches!(constraint, JoinConstraint::None) {
        return Err(syntax("JOIN needs a condition").with_hint("say ON ..., USING (...), or CROSS JOIN"));
    }
    Ok((join, constraint))
}

/// A join of some kind.
pub(super) fn join(left: LogicalPlan, right: LogicalPlan, filter: Option<Expr>, kind: JoinType) -> Result<LogicalPlan> {
    let (left, right) = (Arc::new(left), Arc::new(right));
    let nulls = NullEquality::NullEqualsNothing;
    let join = Join::try_new(left, right, vec![], filter, kind, Constraint::On, nulls, false);
    Ok(LogicalPlan::Join(join.map_err(from_datafusion)?))
}

/// The columns that USING merges, of a join of some kind, once in `*`, in front. `merged` are their places in both sides'
/// columns, the right ones counted behind the left ones. Of a FULL join the merged column is the one that is there.
pub(super) fn merge(
    plan: LogicalPlan,
    mut scope: Scope,
    merged: &[(usize, usize)],
    kind: JoinType,
) -> Result<(LogicalPlan, Scope)> {
    let rest: Vec<usize> =
        scope.star.iter().copied().filter(|at| !merged.iter().any(|(l, r)| at == l || at == r)).collect();
    let mut star = Vec::with_capacity(merged.len() + rest.len());
    let mut list: Vec<Expr> = plan.schema().iter().map(Expr::from).collect();
    let mut added = false;
    for &(l, r) in merged {
        match kind {
            JoinType::Right => {
                scope.columns[l].merged = true;
                star.push(r);
            }
            JoinType::Full => {
                scope.columns[l].merged = true;
                scope.columns[r].merged = true;
                let side = |at: usize| {
                    let visible: &Visible = &scope.columns[at];
                    Typed::new(Expr::Column(visible.column.clone()), visible.ty)
                };
                let both = condition::coalesce(vec![side(l), side(r)])?;
                let name = scope.columns[l].name.clone();
                // no other join has these tables
                let column = format!("{name}:{}", scope.tables.join("+"));
                list.push(both.expr.alias(&column));
                added = true;
                let ty = both.ty.unwrap_or(scope.columns[l].ty);
                let column = DfColumn::new_unqualified(column);
                star.push(scope.columns.len());
                scope.columns.push(Visible { table: String::new(), name, column, ty, merged: false });
            }
            _ => {
                scope.columns[r].merged = true;
                star.push(l);
            }
        }
    }
    star.extend(rest);
    scope.star = star;
    if !added {
        return Ok((plan, scope));
    }
    let projection = Projection::try_new(list, Arc::new(plan)).map_err(from_datafusion)?;
    Ok((LogicalPlan::Projection(projection), scope))
}
