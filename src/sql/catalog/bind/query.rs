//! Queries: SELECT, VALUES, set operations, with ORDER BY and LIMIT.

use std::rc::Rc;

use datafusion::sql::sqlparser::ast::{
    Distinct as DistinctAst, Expr as Ast, GroupByExpr, LimitClause, OrderByExpr, OrderByKind, Query as QueryAst,
    Select as SelectAst, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator as SetOperatorAst,
    SetQuantifier, Value as Literal,
};

use super::super::node::{Body, Distinct, Expr, Node, Order, Output, Query, Select, SetOperator};
use super::super::ty::Ty;
use super::call::direction;
use super::names::output_name;
use super::scope::Scope;
use super::{Binder, Cte, Ctes};
use crate::error::{Result, code, error, syntax, unsupported};
use crate::statements::identifier;

/// A bound body.
struct Bodied {
    body: Body,
    columns: Vec<Output>,
    order: Vec<Order>,
}

impl Binder<'_> {
    /// A query inside of a scope.
    pub(super) fn query(&self, ast: &QueryAst, parent: Option<&Scope>, ctes: &Ctes) -> Result<Query> {
        if !ast.locks.is_empty() || ast.for_clause.is_some() || !ast.pipe_operators.is_empty() {
            return Err(unsupported("FOR UPDATE and the like of a catalog query", "leave it out"));
        }
        let ctes = self.with(ast, ctes)?;
        self.queries.borrow_mut().push((Self::around(parent), false));
        let bound = self.bound(ast, parent, &ctes);
        let correlated = self.queries.borrow_mut().pop().is_some_and(|query| query.1);
        let (Bodied { body, mut columns, order }, limit, offset) = bound?;
        for column in &mut columns {
            if column.ty == Ty::UNKNOWN {
                column.ty = Ty::TEXT;
            }
        }
        Ok(Query { id: self.number(), correlated, columns, body, order, limit, offset })
    }

    fn with(&self, ast: &QueryAst, ctes: &Ctes) -> Result<Ctes> {
        let mut ctes = ctes.clone();
        for cte in ast.with.iter().flat_map(|with| &with.cte_tables) {
            if ast.with.as_ref().is_some_and(|with| with.recursive) {
                return Err(unsupported("WITH RECURSIVE in a catalog query", "write the levels as joins"));
            }
            ctes = Ctes(Some(Rc::new(Cte {
                name: identifier(&cte.alias.name),
                columns: cte.alias.columns.iter().map(|column| identifier(&column.name)).collect(),
                ast: (*cte.query).clone(),
                before: ctes,
            })));
        }
        Ok(ctes)
    }

    fn bound(
        &self,
        ast: &QueryAst,
        parent: Option<&Scope>,
        ctes: &Ctes,
    ) -> Result<(Bodied, Option<Expr>, Option<Expr>)> {
        let order: &[OrderByExpr] = match ast.order_by.as_ref().map(|order| &order.kind) {
            None => &[],
            Some(OrderByKind::Expressions(order)) => order,
            Some(OrderByKind::All(_)) => return Err(unsupported("ORDER BY ALL", "name the columns")),
        };
        let bodied = self.body(&ast.body, order, parent, ctes)?;
        let scope = Scope::inside(parent);
        let count = |ast: &Ast| -> Result<Expr> {
            let bound = self.expr(ast, &scope, ctes)?;
            self.coerce(bound, Ty::INT8)
        };
        let (limit, offset) = match &ast.limit_clause {
            None => (None, None),
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                let offset = offset.as_ref().map(|offset| count(&offset.value)).transpose()?;
                (limit.as_ref().map(count).transpose()?, offset)
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => (Some(count(limit)?), Some(count(offset)?)),
        };
        let fetch = ast.fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref()).map(count).transpose()?;
        Ok((bodied, limit.or(fetch), offset))
    }

    fn body(&self, ast: &SetExpr, order: &[OrderByExpr], parent: Option<&Scope>, ctes: &Ctes) -> Result<Bodied> {
        self.deeper(|| self.bound_body(ast, order, parent, ctes))
    }

    fn bound_body(&self, ast: &SetExpr, order: &[OrderByExpr], parent: Option<&Scope>, ctes: &Ctes) -> Result<Bodied> {
        match ast {
            SetExpr::Select(select) => self.select(select, order, parent, ctes),
            SetExpr::Query(query) => {
                let query = self.query(query, parent, ctes)?;
                let columns = query.columns.clone();
                // a query in parentheses is the union of itself alone
                let body = Body::Set { operator: SetOperator::Union, all: true, parts: vec![query] };
                let order = self.order_of_columns(order, &columns)?;
                Ok(Bodied { body, columns, order })
            }
            SetExpr::Values(values) => {
                let scope = Scope::inside(parent);
                let mut rows = Vec::new();
                for row in &values.rows {
                    let row: &[Ast] = row;
                    rows.push(row.iter().map(|ast| self.expr(ast, &scope, ctes)).collect::<Result<Vec<_>>>()?);
                }
                let width = rows.first().map_or(0, Vec::len);
                if rows.iter().any(|row| row.len() != width) {
                    return Err(syntax("VALUES lists must all be the same length"));
                }
                let ty = |at: usize| Self::common(rows.iter().map(|row| row[at].ty));
                let columns: Vec<Output> =
                    (0..width).map(|at| Output { name: format!("column{}", at + 1), ty: ty(at) }).collect();
                let order = self.order_of_columns(order, &columns)?;
                Ok(Bodied { body: Body::Values(rows), columns, order })
            }
            SetExpr::SetOperation { op, set_quantifier, .. } => {
                let operator = match op {
                    SetOperatorAst::Union => SetOperator::Union,
                    SetOperatorAst::Intersect => SetOperator::Intersect,
                    SetOperatorAst::Except | SetOperatorAst::Minus => SetOperator::Except,
                };
                let all = matches!(set_quantifier, SetQuantifier::All);
                let sides = chain(ast, *op, *set_quantifier).into_iter().map(|side| self.side(side, parent, ctes));
                let parts = sides.collect::<Result<Vec<Query>>>()?;
                let mut columns = parts[0].columns.clone();
                for part in &parts[1..] {
                    if part.columns.len() != columns.len() {
                        return Err(syntax("each query of a set operation must have the same number of columns"));
                    }
                    for (column, other) in columns.iter_mut().zip(&part.columns) {
                        column.ty = Self::common([column.ty, other.ty]);
                    }
                }
                let order = self.order_of_columns(order, &columns)?;
                Ok(Bodied { body: Body::Set { operator, all, parts }, columns, order })
            }
            other => Err(unsupported(format!("{other} in a catalog query"), "use SELECT, VALUES and UNION")),
        }
    }

    /// One side of a set operation.
    fn side(&self, ast: &SetExpr, parent: Option<&Scope>, ctes: &Ctes) -> Result<Query> {
        self.queries.borrow_mut().push((Self::around(parent), false));
        let bodied = self.body(ast, &[], parent, ctes);
        let correlated = self.queries.borrow_mut().pop().is_some_and(|query| query.1);
        let Bodied { body, columns, order } = bodied?;
        Ok(Query { id: self.number(), correlated, columns, body, order, limit: None, offset: None })
    }

    /// ORDER BY of what has columns alone: by name or number.
    fn order_of_columns(&self, order: &[OrderByExpr], columns: &[Output]) -> Result<Vec<Order>> {
        let one = |by: &OrderByExpr| {
            let at = position(&by.expr, columns)?.ok_or_else(|| {
                unsupported("ORDER BY an expression over a set operation", "order by the name or number of a column")
            })?;
            let (descending, nulls_first) = direction(by);
            Ok(Order { at, descending, nulls_first })
        };
        order.iter().map(one).collect()
    }

    fn select(&self, ast: &SelectAst, order: &[OrderByExpr], parent: Option<&Scope>, ctes: &Ctes) -> Result<Bodied> {
        refuse_clauses(ast)?;
        let scope = Scope::inside(parent);
        let from = self.from(&ast.from, &scope, ctes)?;
        let filter = match &ast.selection {
            Some(ast) => self.conjuncts(ast, &scope, ctes)?,
            None => Vec::new(),
        };
        if !scope.aggregates.borrow().is_empty() {
            return Err(error(code::GROUPING, "aggregate functions are not allowed in WHERE"));
        }
        let (mut items, columns) = self.items(&ast.projection, &scope, ctes)?;
        let group = self.group(&ast.group_by, &items, &columns, &scope, ctes)?;
        let having = ast.having.as_ref().map(|ast| self.expr(ast, &scope, ctes)).transpose()?;
        let mut place = |ast: &Ast| -> Result<usize> {
            if let Some(at) = position(ast, &columns)? {
                return Ok(at);
            }
            items.push(self.expr(ast, &scope, ctes)?);
            Ok(items.len() - 1)
        };
        let mut by = Vec::new();
        for order in order {
            let (descending, nulls_first) = direction(order);
            by.push(Order { at: place(&order.expr)?, descending, nulls_first });
        }
        let distinct = match &ast.distinct {
            None | Some(DistinctAst::All) => Distinct::No,
            Some(DistinctAst::Distinct) => Distinct::Rows(columns.len()),
            Some(DistinctAst::On(on)) => Distinct::On(on.iter().map(place).collect::<Result<_>>()?),
        };
        let slots = scope.relations.borrow().len();
        let aggregates = scope.aggregates.into_inner();
        let grouped = !group.is_empty() || !aggregates.is_empty() || having.is_some();
        let select = Select {
            from,
            slots,
            filter,
            grouped,
            group,
            aggregates,
            having,
            windows: scope.windows.into_inner(),
            series: scope.series.into_inner(),
            items,
            distinct,
        };
        Ok(Bodied { body: Body::Select(Box::new(select)), columns, order: by })
    }

    /// The items, `*` written out; and the columns they are.
    fn items(&self, projection: &[SelectItem], scope: &Scope, ctes: &Ctes) -> Result<(Vec<Expr>, Vec<Output>)> {
        let (mut items, mut columns) = (Vec::new(), Vec::new());
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(ast) => {
                    let bound = self.expr(ast, scope, ctes)?;
                    columns.push(Output { name: output_name(ast), ty: bound.ty });
                    items.push(bound);
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let bound = self.expr(expr, scope, ctes)?;
                    columns.push(Output { name: identifier(alias), ty: bound.ty });
                    items.push(bound);
                }
                SelectItem::Wildcard(_) => star(None, scope, &mut items, &mut columns)?,
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    let last = name.0.last().and_then(|part| part.as_ident()).map(identifier);
                    star(last.as_deref(), scope, &mut items, &mut columns)?;
                }
                other => return Err(unsupported(format!("{other} in a catalog query"), "name the columns")),
            }
        }
        Ok((items, columns))
    }

    fn group(
        &self,
        ast: &GroupByExpr,
        items: &[Expr],
        columns: &[Output],
        scope: &Scope,
        ctes: &Ctes,
    ) -> Result<Vec<Expr>> {
        let GroupByExpr::Expressions(exprs, modifiers) = ast else {
            return Err(unsupported("GROUP BY ALL", "name the columns"));
        };
        if !modifiers.is_empty() {
            return Err(unsupported("GROUP BY with modifiers in a catalog query", "name the columns"));
        }
        let one = |ast: &Ast| -> Result<Expr> {
            if let Ast::Value(value) = ast
                && let Literal::Number(..) = value.value
                && let Some(at) = position(ast, columns)?
            {
                return Ok(items[at].clone());
            }
            // a column of FROM comes before a name given to an item
            match self.expr(ast, scope, ctes) {
                Err(e) if e.sqlstate == code::UNDEFINED_COLUMN => match position(ast, columns)? {
                    Some(at) => Ok(items[at].clone()),
                    None => Err(e),
                },
                other => other,
            }
        };
        exprs.iter().map(one).collect()
    }
}

/// Where ORDER BY's number or name is among the columns.
fn position(ast: &Ast, columns: &[Output]) -> Result<Option<usize>> {
    match ast {
        Ast::Value(value) => match &value.value {
            Literal::Number(text, _) => match text.parse::<usize>() {
                Ok(number) if (1..=columns.len()).contains(&number) => Ok(Some(number - 1)),
                _ => Err(error(
                    code::INVALID_COLUMN_REFERENCE,
                    format!("ORDER BY position {text} is not in select list"),
                )),
            },
            _ => Ok(None),
        },
        Ast::Identifier(ident) => {
            let name = identifier(ident);
            Ok(columns.iter().position(|column| column.name == name))
        }
        _ => Ok(None),
    }
}

fn refuse_clauses(ast: &SelectAst) -> Result<()> {
    let clauses = [
        (ast.into.is_some(), "INTO"),
        (ast.top.is_some(), "TOP"),
        (!ast.named_window.is_empty(), "WINDOW"),
        (ast.qualify.is_some(), "QUALIFY"),
        (ast.prewhere.is_some(), "PREWHERE"),
        (!ast.lateral_views.is_empty(), "LATERAL VIEW"),
        (!ast.connect_by.is_empty(), "CONNECT BY"),
    ];
    match clauses.iter().find(|clause| clause.0) {
        Some((_, name)) => Err(unsupported(format!("{name} in a catalog query"), "leave it out")),
        None => Ok(()),
    }
}

/// `*`, or `relation.*`; a column that USING has merged is there once.
fn star(relation: Option<&str>, scope: &Scope, items: &mut Vec<Expr>, columns: &mut Vec<Output>) -> Result<()> {
    let relations = scope.relations.borrow();
    let mut found = false;
    for (slot, from) in relations.iter().enumerate().filter(|(_, from)| relation.is_none_or(|name| from.alias == name))
    {
        found = true;
        for (at, column) in from.columns.iter().enumerate() {
            if relation.is_none() && from.merged.contains(&at) {
                continue;
            }
            items.push(Expr::new(Node::Column { up: 0, slot, at }, column.ty));
            columns.push(column.clone());
        }
    }
    match relation {
        Some(name) if !found => {
            Err(error(code::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{name}\"")))
        }
        None if !found => Err(syntax("SELECT * with no tables specified is not valid")),
        _ => Ok(()),
    }
}

/// The sides of `a UNION b UNION c`, however many; of another operation its two.
fn chain(ast: &SetExpr, operator: SetOperatorAst, quantifier: SetQuantifier) -> Vec<&SetExpr> {
    let (mut sides, mut at) = (Vec::new(), ast);
    while let SetExpr::SetOperation { left, op, set_quantifier, right } = at
        && (*op, *set_quantifier) == (operator, quantifier)
        && (sides.is_empty() || operator == SetOperatorAst::Union)
    {
        sides.push(&**right);
        at = left;
    }
    sides.push(at);
    sides.reverse();
    sides
}
