//! Queries: from the AST to a typed logical plan, through the optimizer's named rules, to the operator graph.

mod from;
mod group;
mod optimize;
mod scope;
mod select;
mod set_operation;
pub(crate) mod source;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use dataflow::Eval;
use datafusion::common::Column as DfColumn;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use datafusion::sql::sqlparser::ast::{Cte, Query as Ast, SetExpr, Spanned};
use plan::{Catalog, Graph};
use zset::{ColumnType, RowType};

use crate::error::{Detail, Result, code, error, from_datafusion, unsupported};
use crate::statements::identifier;
use crate::{key, lower};

pub(crate) use scope::Scope;

/// A compiled query.
pub(crate) struct Compiled {
    /// Its operators.
    pub(crate) graph: Graph<Arc<dyn Eval>>,
    /// Its columns.
    pub(crate) columns: RowType,
    /// The derived key's columns; empty without one.
    pub(crate) key: Vec<usize>,
    /// Whether its rows are proved never to be retracted.
    pub(crate) append_only: bool,
    /// What the user is told besides.
    pub(crate) notices: Vec<String>,
}

/// Compiles the query of a stream table.
pub(crate) fn compile(ast: &Ast, catalog: &Catalog) -> Result<Compiled> {
    let mut planner = Planner { catalog, notices: Vec::new() };
    let planned = planner.query(ast, &Ctes::default())?;
    refuse_duplicates(&planned.columns)?;
    let names: Vec<String> = planned.columns.iter().map(|column| column.name.clone()).collect();
    let plan = optimize::optimize(planned.plan)?;
    let lowered = lower::lower(&plan, &names)?;
    let key = key::derive(&lowered, catalog);
    let append_only = key::append_only(&lowered, catalog);
    let columns = lowered.nodes[lowered.root().0 as usize].output.clone();
    Ok(Compiled { graph: lower::erase(lowered), columns, key, append_only, notices: planner.notices })
}

fn refuse_duplicates(columns: &[Output]) -> Result<()> {
    if columns.is_empty() {
        return Err(error(code::SYNTAX, "a stream table needs at least one column"));
    }
    for (at, column) in columns.iter().enumerate() {
        if columns[..at].iter().any(|before| before.name == column.name) {
            return Err(error(code::DUPLICATE_COLUMN, format!("column \"{}\" specified more than once", column.name))
                .with_hint("name each column: SELECT a.id AS a_id, b.id AS b_id"));
        }
    }
    Ok(())
}

/// A column of a query: the name that SQL sees, the column of the plan that has it.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) column: DfColumn,
    pub(crate) ty: ColumnType,
}

/// A planned query.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) plan: LogicalPlan,
    pub(crate) columns: Vec<Output>,
}

/// The WITH queries in sight.
pub(crate) type Ctes = HashMap<String, Planned>;

/// Plans queries against a catalog.
pub(crate) struct Planner<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) notices: Vec<String>,
}

impl Planner<'_> {
    /// A query with all its clauses.
    pub(crate) fn query(&mut self, ast: &Ast, ctes: &Ctes) -> Result<Planned> {
        refuse_clauses(ast).at(ast.span())?;
        let mut inner = ctes.clone();
        if let Some(with) = &ast.with {
            if with.recursive {
                let hint = "write the levels you need as joins";
                return Err(unsupported("WITH RECURSIVE", hint).at(with.with_token.0.span));
            }
            let mut names: Vec<String> = Vec::new();
            for cte in &with.cte_tables {
                let name = identifier(&cte.alias.name);
                if names.contains(&name) {
                    return Err(error(
                        code::DUPLICATE_ALIAS,
                        format!("WITH query name \"{name}\" specified more than once"),
                    )
                    .at(cte.alias.name.span));
                }
                let planned = self.cte(cte, &inner)?;
                inner.insert(name.clone(), planned);
                names.push(name);
            }
        }
        self.body(&ast.body, &inner)
    }

    fn cte(&mut self, cte: &Cte, ctes: &Ctes) -> Result<Planned> {
        if cte.from.is_some() {
            return Err(unsupported("WITH ... FROM", "write WITH name AS (SELECT ...)"));
        }
        let mut planned = self.query(&cte.query, ctes)?;
        from::rename(&mut planned.columns, &cte.alias)?;
        Ok(planned)
    }

    /// The body of a query: a SELECT, VALUES, or a set operation.
    fn body(&mut self, body: &SetExpr, ctes: &Ctes) -> Result<Planned> {
        let body = self.set_operand(body, ctes)?;
        body.finish(None)
    }
}

/// Every clause of a query that is not its WITH or its body.
fn refuse_clauses(ast: &Ast) -> Result<()> {
    let Ast {
        with: _,
        body: _,
        order_by,
        limit_clause,
        fetch,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = ast;
    if order_by.is_some() && limit_clause.is_none() && fetch.is_none() {
        return Err(unsupported("ORDER BY", "a stream table has no order; sort where you read"));
    }
    if limit_clause.is_some() || fetch.is_some() {
        return Err(unsupported(
            "LIMIT, OFFSET and FETCH",
            "use min or max with GROUP BY for the first or last row, or LIMIT where you read",
        ));
    }
    if !locks.is_empty() || for_clause.is_some() {
        return Err(unsupported("FOR UPDATE and its like", "leave it out: a stream table locks nothing"));
    }
    if settings.is_some() || format_clause.is_some() || !pipe_operators.is_empty() {
        return Err(unsupported("SETTINGS, FORMAT and |>", "write plain SQL"));
    }
    Ok(())
}

/// A projection with names of its own for every column, whatever SQL calls them.
pub(crate) fn project(input: LogicalPlan, expressions: Vec<(Expr, ColumnType, String)>) -> Result<Planned> {
    let mut taken: Vec<String> = Vec::new();
    let mut columns = Vec::with_capacity(expressions.len());
    let mut list = Vec::with_capacity(expressions.len());
    for (expr, ty, name) in expressions {
        let mut unique = name.clone();
        let mut n = 1;
        while taken.contains(&unique) {
            n += 1;
            unique = format!("{name}:{n}");
        }
        taken.push(unique.clone());
        list.push(expr.alias(unique.clone()));
        columns.push(Output { name, column: DfColumn::new_unqualified(unique), ty });
    }
    let projection = Projection::try_new(list, Arc::new(input)).map_err(from_datafusion)?;
    Ok(Planned { plan: LogicalPlan::Projection(projection), columns })
}
