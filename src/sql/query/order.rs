//! ORDER BY, DISTINCT ON: keys that are output columns (by name or position) or expressions beside them.
//!
//! PostgreSQL's rules: a bare name is an output column before it is one of the rows'; a whole number is a position; NULLs
//! come last, going down first. Expressions become columns of their own below the sort, which the result leaves out.

use std::sync::Arc;

use datafusion::common::Column as DfColumn;
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::{Sort as SortExpr, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, Sort, Window, WindowFrame, WindowFunctionDefinition};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{self, Expr as Ast, OrderByExpr, OrderByKind, Spanned, Value};
use zset::ColumnType;

use super::select::{Item, filter, refuse_jsonb};
use super::{Output, Planned, Planner, Scope, project, windows};
use crate::error::{Detail, Result, code, error, from_datafusion, syntax, unsupported};
use crate::expr::bind::Binder;
use crate::expr::{Typed, cast, operator};
use crate::statements::identifier;

/// What rows are ordered by.
#[derive(Debug, Clone)]
pub(crate) enum Key {
    /// An output column.
    Item(usize),
    /// Something else.
    Beside(Typed),
}

/// One key, and its direction.
#[derive(Debug, Clone)]
pub(crate) struct OrderKey {
    pub(crate) key: Key,
    asc: bool,
    nulls_first: bool,
}

/// How often equal rows count.
#[derive(Debug, Clone)]
pub(crate) enum Rows {
    /// As often as they are there.
    All,
    /// Once.
    Once,
    /// The first of those that are equal in these keys.
    FirstOf(Vec<Key>),
}

/// The items of the clause.
pub(super) fn keys(clause: Option<&ast::OrderBy>) -> Result<Vec<&OrderByExpr>> {
    let Some(clause) = clause else { return Ok(vec![]) };
    if clause.interpolate.is_some() {
        return Err(unsupported("INTERPOLATE", "leave it out"));
    }
    match &clause.kind {
        OrderByKind::Expressions(list) => {
            if let Some(filled) = list.iter().find(|key| key.with_fill.is_some()) {
                return Err(unsupported("WITH FILL", "leave it out").at(filled.expr.span()));
            }
            Ok(list.iter().collect())
        }
        OrderByKind::All(_) => Err(unsupported("ORDER BY ALL", "list the columns")),
    }
}

/// A key that is written as an output column: by position, or by name.
fn item(ast: &Ast, names: &[&str], same: impl Fn(usize, usize) -> bool, clause: &str) -> Result<Option<usize>> {
    if let Ast::Value(value) = ast
        && !matches!(value.value, Value::Placeholder(_))
    {
        let constant =
            || syntax(format!("non-integer constant in {clause}")).with_hint("name a column or its position");
        let Value::Number(digits, _) = &value.value else { return Err(constant()) };
        let position = digits.parse::<usize>().map_err(|_| constant())?;
        return position.checked_sub(1).filter(|at| *at < names.len()).map(Some).ok_or_else(|| {
            error(code::INVALID_COLUMN_REFERENCE, format!("{clause} position {position} is not in select list"))
        });
    }
    let Ast::Identifier(ident) = ast else { return Ok(None) };
    let name = identifier(ident);
    let mut found = names.iter().enumerate().filter(|(_, of)| **of == name).map(|(at, _)| at);
    let Some(first) = found.next() else { return Ok(None) };
    if found.any(|other| !same(first, other)) {
        return Err(error(code::AMBIGUOUS_COLUMN, format!("{clause} \"{name}\" is ambiguous"))
            .with_hint("give the columns names of their own"));
    }
    Ok(Some(first))
}

fn directed(key: Key, ast: &OrderByExpr) -> OrderKey {
    let asc = ast.options.asc.unwrap_or(true);
    OrderKey { key, asc, nulls_first: ast.options.nulls_first.unwrap_or(!asc) }
}

impl Planner<'_> {
    /// A key of a SELECT.
    pub(super) fn key(
        &mut self,
        ast: &Ast,
        items: &[Item],
        scope: &Scope,
        windows: &[ast::NamedWindowDefinition],
        clause: &'static str,
    ) -> Result<Key> {
        let names: Vec<&str> = items.iter().map(|item| item.name.as_str()).collect();
        if let Some(at) = item(ast, &names, |a, b| items[a].typed == items[b].typed, clause)? {
            return Ok(Key::Item(at));
        }
        let typed = Binder { scope, clause, aggregates: true, windows: Some(windows), host: self }.bind(ast)?;
        if let Some(at) = items.iter().position(|item| item.typed == typed) {
            return Ok(Key::Item(at));
        }
        let typed = if typed.ty.is_none() { cast::of_unknown(typed, ColumnType::Text)? } else { typed };
        refuse_jsonb(typed.ty, clause).at(ast.span())?;
        Ok(Key::Beside(typed))
    }

    /// ORDER BY of a SELECT.
    pub(super) fn order(
        &mut self,
        order: &[&OrderByExpr],
        items: &[Item],
        scope: &Scope,
        windows: &[ast::NamedWindowDefinition],
    ) -> Result<Vec<OrderKey>> {
        let mut all = Vec::with_capacity(order.len());
        for ast in order {
            let key = self.key(&ast.expr, items, scope, windows, "ORDER BY").at(ast.expr.span())?;
            all.push(directed(key, ast));
        }
        Ok(all)
    }
}

/// ORDER BY of a set operation or of VALUES: output columns alone.
pub(super) fn by_columns(planned: Planned, order: &[&OrderByExpr]) -> Result<Planned> {
    if order.is_empty() {
        return Ok(planned);
    }
    let names: Vec<&str> = planned.columns.iter().map(|column| column.name.as_str()).collect();
    let mut sorts = Vec::with_capacity(order.len());
    for ast in order {
        let at = item(&ast.expr, &names, |_, _| false, "ORDER BY").at(ast.expr.span())?.ok_or_else(|| {
            unsupported("an expression or another name than an output column's in ORDER BY of UNION or VALUES", {
                "order by an output column, or put the query in FROM"
            })
            .at(ast.expr.span())
        })?;
        sorts.push(sort_by(&planned.columns[at], &directed(Key::Item(at), ast))?);
    }
    let plan = LogicalPlan::Sort(Sort { expr: sorts, input: Arc::new(planned.plan), fetch: None });
    Ok(Planned { plan, columns: planned.columns })
}

fn sort_by(column: &Output, key: &OrderKey) -> Result<SortExpr> {
    refuse_jsonb(Some(column.ty), "ORDER BY")?;
    let typed = operator::canonical(Typed::new(Expr::Column(column.column.clone()), column.ty))?;
    Ok(SortExpr::new(typed.expr, key.asc, key.nulls_first))
}

/// A SELECT's rows: its items and what is beside them, the first rows of each kind, ordered, and the items alone.
pub(super) fn arranged(
    input: LogicalPlan,
    mut list: Vec<(Expr, ColumnType, String)>,
    rows: &Rows,
    order: &[OrderKey],
) -> Result<Planned> {
    let width = list.len();
    let mut places = Vec::with_capacity(order.len());
    let mut place = |key: &Key| match key {
        Key::Item(at) => *at,
        Key::Beside(typed) => {
            let ty = typed.ty.unwrap_or(ColumnType::Text);
            let known = list[width..].iter().position(|(expr, ..)| *expr == typed.expr);
            known.map_or_else(
                || {
                    list.push((typed.expr.clone(), ty, format!("#beside{}", list.len() - width)));
                    list.len() - 1
                },
                |at| width + at,
            )
        }
    };
    for key in order {
        places.push(place(&key.key));
    }
    let first_of: Option<Vec<usize>> = match rows {
        Rows::FirstOf(keys) => Some(keys.iter().map(&mut place).collect()),
        Rows::All | Rows::Once => None,
    };
    let mut planned = project(input, list)?;
    let mut sorts = Vec::with_capacity(places.len());
    for (at, key) in places.iter().zip(order) {
        sorts.push(sort_by(&planned.columns[*at], key)?);
    }
    if let Some(keys) = first_of {
        // PostgreSQL demands that ORDER BY begins with the keys, so that there is a first row of each
        if places.iter().take(keys.len()).any(|at| !keys.contains(at)) {
            return Err(error(
                code::INVALID_COLUMN_REFERENCE,
                "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
            ));
        }
        planned.plan = first_rows(planned.plan, &planned.columns, &keys, &sorts)?;
    }
    if !sorts.is_empty() {
        planned.plan = LogicalPlan::Sort(Sort { expr: sorts, input: Arc::new(planned.plan), fetch: None });
    }
    let columns = planned.columns.into_iter().take(width);
    let items = columns.map(|column| (Expr::Column(column.column), column.ty, column.name)).collect();
    project(planned.plan, items)
}

/// The first row of each kind, in an order.
fn first_rows(plan: LogicalPlan, columns: &[Output], keys: &[usize], order: &[SortExpr]) -> Result<LogicalPlan> {
    let mut partition = Vec::with_capacity(keys.len());
    for &at in keys {
        refuse_jsonb(Some(columns[at].ty), "DISTINCT ON")?;
        let typed = Typed::new(Expr::Column(columns[at].column.clone()), columns[at].ty);
        partition.push(operator::canonical(typed)?.expr);
    }
    let (plan, number) = numbered(plan, partition, order.to_vec())?;
    let first = Expr::Literal(ScalarValue::UInt64(Some(1)), None);
    filter(plan, operator::raw(number, Operator::Eq, first))
}

/// A plan whose rows are numbered, among those of one partition, in an order.
pub(super) fn numbered(
    plan: LogicalPlan,
    partition_by: Vec<Expr>,
    order_by: Vec<SortExpr>,
) -> Result<(LogicalPlan, Expr)> {
    let ordered = (!order_by.is_empty()).then_some(true);
    let params = WindowFunctionParams {
        args: vec![],
        partition_by,
        order_by,
        window_frame: WindowFrame::new(ordered),
        filter: None,
        null_treatment: None,
        distinct: false,
    };
    let fun = WindowFunctionDefinition::WindowUDF(row_number_udwf());
    let mut number = [Expr::WindowFunction(Box::new(WindowFunction { fun, params }))];
    let plan = windows::computed(plan, &mut number)?;
    let [number] = number;
    Ok((plan, number))
}

/// A window over a plan that is sorted as it wants.
pub(super) fn window(plan: LogicalPlan, functions: Vec<Expr>, sorts: Vec<SortExpr>) -> Result<LogicalPlan> {
    let mut input = Arc::new(plan);
    if !sorts.is_empty() {
        input = Arc::new(LogicalPlan::Sort(Sort { expr: sorts, input, fetch: None }));
    }
    Ok(LogicalPlan::Window(Window::try_new(functions, input).map_err(from_datafusion)?))
}

/// The column of a plan of this name.
pub(super) fn unqualified(name: &str) -> Expr {
    Expr::Column(DfColumn::new_unqualified(name))
}
