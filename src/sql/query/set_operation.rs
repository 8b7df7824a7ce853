//! UNION, INTERSECT, EXCEPT, each with ALL or without, VALUES, and the types of their columns: PostgreSQL decides them over all the rows and all the branches.

use std::sync::Arc;

use datafusion::common::{Column as DfColumn, DFSchema, JoinConstraint, JoinType, NullEquality, TableReference};
use datafusion::logical_expr::{Distinct, Expr, Join, LogicalPlan, SubqueryAlias, Union, Values};
use datafusion::sql::sqlparser::ast::{self, SetExpr, SetOperator, SetQuantifier, Spanned};
use zset::{Column, ColumnType};

use super::order::{self, OrderKey, Rows};
use super::scope::Scope;
use super::select::refuse_jsonb;
use super::{Output, Planned, Planner, project};
use crate::error::{Detail, Result, code, error, from_datafusion, syntax, unsupported};
use crate::expr::bind::Binder;
use crate::expr::host::Host;
use crate::expr::{Typed, cast, operator};

/// A query whose columns' types may still be open: literals take the type of the other branches.
pub(crate) enum Body {
    /// A SELECT list over a plan.
    Select { input: LogicalPlan, items: Vec<(Typed, String)>, rows: Rows, order: Vec<OrderKey> },
    /// VALUES.
    Rows(Vec<Vec<Typed>>),
    /// A query whose columns have types.
    Done(Planned),
}

impl Planner<'_> {
    /// An operand of a set operation, or the whole body.
    pub(crate) fn set_operand(&mut self, body: &SetExpr) -> Result<Body> {
        match body {
            SetExpr::Select(select) => self.select(select, &[]),
            SetExpr::Query(query) => Ok(Body::Done(self.query(query)?)),
            SetExpr::Values(values) => self.values(values),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let all = quantifier(*op, *set_quantifier, self.is_client()).at(right.span())?;
                let left = self.set_operand(left)?;
                let right = self.set_operand(right)?;
                Ok(Body::Done(combined(left, right, *op, all)?))
            }
            // the parser loses what is behind it
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
            let row = Binder::new(&scope, "VALUES", self).all(&row.content)?;
            if rows.first().is_some_and(|first: &Vec<Typed>| first.len() != row.len()) {
                return Err(syntax("VALUES lists must all be the same length"));
            }
            rows.push(row);
        }
        Ok(Body::Rows(rows))
    }
}

/// Whether all rows count.
fn quantifier(op: SetOperator, quantifier: SetQuantifier, client: bool) -> Result<bool> {
    match (op, quantifier) {
        (SetOperator::Intersect, _) if !client => {
            Err(unsupported("INTERSECT", "use SELECT DISTINCT and JOIN ... USING (all columns)"))
        }
        (SetOperator::Except | SetOperator::Minus, _) if !client => Err(unsupported(
            "EXCEPT",
            "count the rows of both sides with UNION ALL and GROUP BY, and keep them with HAVING",
        )),
        (_, SetQuantifier::All) => Ok(true),
        (_, SetQuantifier::Distinct | SetQuantifier::None) => Ok(false),
        (op, _) => Err(unsupported(format!("{op} BY NAME"), "list the columns in one order")),
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
            Self::Select { input, items, rows, order } => {
                let mut list = Vec::with_capacity(items.len());
                for (at, (typed, name)) in items.into_iter().enumerate() {
                    list.push((to_type(typed, target(at))?.expr, target(at), name));
                }
                match (rows, order.as_slice()) {
                    (Rows::All, []) => project(input, list),
                    (Rows::Once, []) => all_once(project(input, list)?),
                    (Rows::Once, order) => {
                        let once = all_once(project(input, list)?)?;
                        let column = |c: Output| (Expr::Column(c.column), c.ty, c.name);
                        order::arranged(once.plan, once.columns.into_iter().map(column).collect(), &Rows::All, order)
                    }
                    (rows, order) => order::arranged(input, list, &rows, order),
                }
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

/// Both operands with columns of the same types, the right one's named as the left one's.
fn alike(left: Body, right: Body, name: &str) -> Result<(Planned, Planned)> {
    let (a, b) = (left.types()?, right.types()?);
    if a.len() != b.len() {
        return Err(syntax(format!("each {name} query must have the same number of columns")));
    }
    let mut types = Vec::with_capacity(a.len());
    for pair in a.iter().zip(&b) {
        types.push(cast::common_of([pair.0, pair.1], name)?);
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
    Ok((left, right))
}

fn combined(left: Body, right: Body, op: SetOperator, all: bool) -> Result<Planned> {
    match op {
        SetOperator::Union => union(left, right, all),
        SetOperator::Intersect => matched(left, right, "INTERSECT", JoinType::LeftSemi, all),
        SetOperator::Except | SetOperator::Minus => matched(left, right, "EXCEPT", JoinType::LeftAnti, all),
    }
}

fn union(left: Body, right: Body, all: bool) -> Result<Planned> {
    let (left, right) = alike(left, right, "UNION")?;
    let union = Union::try_new(vec![Arc::new(left.plan), Arc::new(right.plan)]).map_err(from_datafusion)?;
    let columns: Vec<Output> = left.columns;
    if union.schema.fields().len() != columns.len() {
        return Err(error(code::INTERNAL, "a UNION lost columns"));
    }
    let planned = Planned { plan: LogicalPlan::Union(union), columns };
    if all { Ok(planned) } else { all_once(planned) }
}

/// INTERSECT and EXCEPT: the left rows that have, or have not, their like on the right; NULLs are alike. With ALL each copy
/// of a row is numbered on both sides, and is matched with the copy of its number.
fn matched(left: Body, right: Body, name: &str, kind: JoinType, all: bool) -> Result<Planned> {
    let (left, right) = alike(left, right, name)?;
    let left = if all { left } else { all_once(left)? };
    let left = side(left, "#left", name, all)?;
    let right = side(right, "#right", name, all)?;
    let on = left.1.iter().cloned().zip(right.1).collect();
    let (left_plan, right_plan) = (Arc::new(left.0.plan), Arc::new(right.0.plan));
    let nulls = NullEquality::NullEqualsNull;
    let join = Join::try_new(left_plan, right_plan, on, None, kind, JoinConstraint::On, nulls, false);
    let plan = LogicalPlan::Join(join.map_err(from_datafusion)?);
    let list = left.0.columns.into_iter().map(|column| (Expr::Column(column.column), column.ty, column.name));
    project(plan, list.collect())
}

/// An operand under a name, and what its rows are matched by.
fn side(planned: Planned, name: &str, operation: &str, all: bool) -> Result<(Planned, Vec<Expr>)> {
    let mut keys = Vec::with_capacity(planned.columns.len() + 1);
    for column in &planned.columns {
        refuse_jsonb(Some(column.ty), operation)?;
        keys.push(operator::canonical(Typed::new(Expr::Column(column.column.clone()), column.ty))?.expr);
    }
    let mut plan = planned.plan;
    let mut number = None;
    if all {
        let (numbered, column) = order::numbered(plan, keys, vec![])?;
        plan = numbered;
        number = Some(column);
    }
    let table = TableReference::bare(name);
    let alias = SubqueryAlias::try_new(Arc::new(plan), table.clone()).map_err(from_datafusion)?;
    let renamed = |name: String| DfColumn::new(Some(table.clone()), name);
    let columns: Vec<Output> =
        planned.columns.into_iter().map(|c| Output { column: renamed(c.column.name), ..c }).collect();
    let mut keys = Vec::with_capacity(columns.len() + 1);
    for column in &columns {
        keys.push(operator::canonical(Typed::new(Expr::Column(column.column.clone()), column.ty))?.expr);
    }
    if let Some(Expr::Column(column)) = number {
        keys.push(Expr::Column(renamed(column.name)));
    }
    Ok((Planned { plan: LogicalPlan::SubqueryAlias(alias), columns }, keys))
}
