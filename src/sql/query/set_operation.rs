//! UNION [ALL], VALUES, and the types of their columns: PostgreSQL decides them over all the rows and all the branches.

use std::sync::Arc;

use datafusion::common::{Column as DfColumn, DFSchema};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, Union, Values};
use datafusion::sql::sqlparser::ast::{self, SetExpr, SetOperator, SetQuantifier, Spanned};
use zset::{Column, ColumnType};

use super::scope::Scope;
use super::select::refuse_jsonb;
use super::{Ctes, Output, Planned, Planner, project};
use crate::error::{Detail, Result, code, error, from_datafusion, syntax, unsupported};
use crate::expr::bind::Binder;
use crate::expr::{Typed, cast};

/// A query whose columns' types may still be open: literals take the type of the other branches.
pub(crate) enum Body {
    /// A SELECT list over a plan.
    Select { input: LogicalPlan, items: Vec<(Typed, String)>, distinct: bool },
    /// VALUES.
    Rows(Vec<Vec<Typed>>),
    /// A query whose columns have types.
    Done(Planned),
}

impl Planner<'_> {
    /// An operand of a set operation, or the whole body.
    pub(crate) fn set_operand(&mut self, body: &SetExpr, ctes: &Ctes) -> Result<Body> {
        match body {
            SetExpr::Select(select) => self.select(select, ctes),
            SetExpr::Query(query) => Ok(Body::Done(self.query(query, ctes)?)),
            SetExpr::Values(values) => self.values(values),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let all = quantifier(*op, *set_quantifier).at(right.span())?;
                let left = self.set_operand(left, ctes)?;
                let right = self.set_operand(right, ctes)?;
                Ok(Body::Done(union(left, right, all)?))
            }
            SetExpr::Table(_) => Err(unsupported("TABLE t", "write SELECT * FROM t").at(body.span())),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(unsupported("INSERT, UPDATE, DELETE or MERGE in a query", "write a SELECT"))
            }
        }
    }

    fn values(&mut self, values: &ast::Values) -> Result<Body> {
        if values.explicit_row || values.value_keyword {
            return Err(unsupported("ROW and VALUE", "write VALUES (...), (...)"));
        }
        let scope = Scope::default();
        let mut rows = Vec::with_capacity(values.rows.len());
        for row in &values.rows {
            let mut binder = Binder { scope: &scope, clause: "VALUES", aggregates: false, notices: &mut self.notices };
            let row = binder.all(&row.content)?;
            if rows.first().is_some_and(|first: &Vec<Typed>| first.len() != row.len()) {
                return Err(syntax("VALUES lists must all be the same length"));
            }
            rows.push(row);
        }
        Ok(Body::Rows(rows))
    }
}

/// Whether all rows count; what is not UNION is refused.
fn quantifier(op: SetOperator, quantifier: SetQuantifier) -> Result<bool> {
    match (op, quantifier) {
        (SetOperator::Union, SetQuantifier::All) => Ok(true),
        (SetOperator::Union, SetQuantifier::Distinct | SetQuantifier::None) => Ok(false),
        (SetOperator::Union, _) => Err(unsupported("UNION BY NAME", "list the columns in one order")),
        (SetOperator::Intersect, _) => {
            Err(unsupported("INTERSECT", "use SELECT DISTINCT and JOIN ... USING (all columns)"))
        }
        _ => Err(unsupported(
            "EXCEPT",
            "count the rows of both sides with UNION ALL and GROUP BY, and keep them with HAVING",
        )),
    }
}

impl Body {
    /// The types of the columns, as far as they are decided.
    fn types(&self) -> Result<Vec<Option<ColumnType>>> {
        match self {
            Self::Select { items, .. } => Ok(items.iter().map(|(typed, _)| typed.ty).collect()),
            Self::Done(planned) => Ok(planned.columns.iter().map(|column| Some(column.ty)).collect()),
            Self::Rows(rows) => {
                let width = rows.first().map_or(0, Vec::len);
                let open = |at: usize| rows.iter().all(|row| row[at].ty.is_none());
                (0..width)
                    .map(|at| {
                        let types: Vec<Option<ColumnType>> = rows.iter().map(|row| row[at].ty).collect();
                        if open(at) { Ok(None) } else { cast::common_of(&types, "VALUES").map(Some) }
                    })
                    .collect()
            }
        }
    }

    /// The plan, with these types, or with text where nothing decides.
    pub(crate) fn finish(self, targets: Option<&[ColumnType]>) -> Result<Planned> {
        let decided = self.types()?;
        let target = |at: usize| match targets {
            Some(targets) => targets[at],
            None => decided[at].unwrap_or(ColumnType::Text),
        };
        match self {
            Self::Select { input, items, distinct } => {
                let mut list = Vec::with_capacity(items.len());
                for (at, (typed, name)) in items.into_iter().enumerate() {
                    list.push((to_type(typed, target(at))?.expr, target(at), name));
                }
                let planned = project(input, list)?;
                if distinct { all_once(planned) } else { Ok(planned) }
            }
            Self::Rows(rows) => finish_rows(rows, target, decided.len()),
            Self::Done(planned) => {
                if planned.columns.iter().enumerate().all(|(at, column)| column.ty == target(at)) {
                    return Ok(planned);
                }
                let mut list = Vec::with_capacity(planned.columns.len());
                for (at, column) in planned.columns.into_iter().enumerate() {
                    let typed = Typed::new(Expr::Column(column.column), column.ty);
                    list.push((to_type(typed, target(at))?.expr, target(at), column.name));
                }
                project(planned.plan, list)
            }
        }
    }
}

fn to_type(typed: Typed, ty: ColumnType) -> Result<Typed> {
    cast::implicit(typed, ty, |t| format!("UNION types {} and {ty} cannot be matched", t.type_name()))
}

fn finish_rows(rows: Vec<Vec<Typed>>, target: impl Fn(usize) -> ColumnType, width: usize) -> Result<Planned> {
    let mut values = Vec::with_capacity(rows.len());
    for row in rows {
        let mut list = Vec::with_capacity(width);
        for (at, typed) in row.into_iter().enumerate() {
            list.push(to_type(typed, target(at))?.expr);
        }
        values.push(list);
    }
    let name = |at: usize| format!("column{}", at + 1);
    let fields = (0..width).map(|at| Column::new(name(at), target(at), true).field()).collect();
    let schema = DFSchema::from_unqualified_fields(fields, Default::default()).map_err(from_datafusion)?;
    let plan = LogicalPlan::Values(Values { schema: Arc::new(schema), values });
    let list = (0..width).map(|at| (Expr::Column(DfColumn::new_unqualified(name(at))), target(at), name(at))).collect();
    project(plan, list)
}

/// Every row once.
fn all_once(planned: Planned) -> Result<Planned> {
    for column in &planned.columns {
        refuse_jsonb(Some(column.ty), "DISTINCT and UNION without ALL")?;
    }
    Ok(Planned { plan: LogicalPlan::Distinct(Distinct::All(Arc::new(planned.plan))), columns: planned.columns })
}

fn union(left: Body, right: Body, all: bool) -> Result<Planned> {
    let (a, b) = (left.types()?, right.types()?);
    if a.len() != b.len() {
        return Err(syntax("each UNION query must have the same number of columns"));
    }
    let mut types = Vec::with_capacity(a.len());
    for pair in a.iter().zip(&b) {
        types.push(cast::common_of([pair.0, pair.1], "UNION")?);
    }
    let left = left.finish(Some(&types))?;
    let mut right = right.finish(Some(&types))?;
    let renamed: Vec<(Expr, ColumnType, String)> = right
        .columns
        .drain(..)
        .zip(&left.columns)
        .map(|(column, name)| (Expr::Column(column.column), column.ty, name.name.clone()))
        .collect();
    let right = project(right.plan, renamed)?;
    let union = Union::try_new(vec![Arc::new(left.plan), Arc::new(right.plan)]).map_err(from_datafusion)?;
    let columns: Vec<Output> = left.columns;
    if union.schema.fields().len() != columns.len() {
        return Err(error(code::INTERNAL, "a UNION lost columns"));
    }
    let planned = Planned { plan: LogicalPlan::Union(union), columns };
    if all { Ok(planned) } else { all_once(planned) }
}
