//! Queries: from the AST to a typed logical plan, through the optimizer's named rules, to the operator graph.

pub(crate) mod explain;
mod from;
mod group;
mod limit;
pub(crate) mod optimize;
mod order;
mod outer;
pub(crate) mod reads;
pub(crate) mod scope;
mod select;
pub(crate) mod series;
mod set_operation;
pub(crate) mod source;
pub(crate) mod subquery;
mod windows;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use dataflow::Eval;
use datafusion::common::Column as DfColumn;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use datafusion::sql::sqlparser::ast::{Cte, Query as Ast, SetExpr, Spanned, TableWithJoins, With};
use plan::{Catalog, Graph};
use zset::{ColumnType, RowType};

use crate::error::{Detail, Result, code, error, from_datafusion, unsupported};
use crate::expr::host::{Asked, Host};
use crate::expr::parameter::{self, Parameters};
use crate::expr::{Typed, bind};
use crate::statements::identifier;
use crate::{key, lower};

pub(crate) use scope::Scope;
pub(crate) use select::refuse_jsonb;

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
    let mut planner = Planner::new(catalog, None);
    let planned = planner.query(ast)?;
    refuse_duplicates(&planned.columns)?;
    let names: Vec<String> = planned.columns.iter().map(|column| column.name.clone()).collect();
    let plan = optimize::optimize(planned.plan)?;
    let lowered = lower::lower(&plan, &names)?;
    let key = key::derive(&lowered, catalog);
    let append_only = key::append_only(&lowered, catalog);
    let columns = lowered.nodes[lowered.root().0 as usize].output.clone();
    Ok(Compiled { graph: lower::erase(lowered), columns, key, append_only, notices: planner.notices })
}

/// Plans a client's query: all that a stream table may have, and all that only a query may have that is asked once.
/// Parameters without a type get that of their use.
pub(crate) fn client(ast: &Ast, catalog: &Catalog, parameters: &mut Parameters) -> Result<Planned> {
    loop {
        let planned = Planner::new(catalog, Some(&mut *parameters)).query(ast)?;
        // a type that one use decided may be another for the uses before it
        if !parameters.learn(&planned.plan)? {
            return Ok(planned);
        }
    }
}

/// The columns in sight of a FROM clause of a client's statement that is no query: UPDATE ... FROM, DELETE ... USING.
pub(crate) fn client_scope(
    with: Option<&With>,
    from: &[TableWithJoins],
    catalog: &Catalog,
    parameters: &mut Parameters,
) -> Result<Scope> {
    loop {
        let mut planner = Planner::new(catalog, Some(&mut *parameters));
        if let Some(with) = with {
            planner.ctes(with)?;
        }
        let (plan, scope) = planner.from(from)?;
        if !parameters.learn(&plan)? {
            return Ok(scope);
        }
    }
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
    /// Of a client's query.
    parameters: Option<&'a mut Parameters>,
    /// The WITH queries in sight.
    ctes: Ctes,
    /// The queries around the one that is planned.
    frames: Vec<subquery::Frame>,
    frame_count: usize,
}

impl Host for Planner<'_> {
    fn note(&mut self, notice: &str) {
        self.notices.note(notice);
    }

    fn is_client(&self) -> bool {
        self.parameters.is_some()
    }

    fn parameter(&mut self, name: &str) -> Result<Typed> {
        match &mut self.parameters {
            Some(parameters) => parameters.bind(name),
            None => self.notices.parameter(name),
        }
    }

    fn outer(&mut self, table: Option<&str>, name: &str) -> Result<Option<Typed>> {
        self.outer_column(self.frames.len(), table, name)
    }

    fn now(&mut self) -> Result<Typed> {
        let ty = ColumnType::TimestampTz(6);
        Ok(Typed::new(parameter::expr(NOW, Some(ty)), ty))
    }

    fn subquery(&mut self, scope: &Scope, query: &Ast, asked: Asked, shown: &str) -> Result<Typed> {
        if !self.is_client() {
            return Err(bind::subquery(shown));
        }
        self.plan_subquery(scope, query, asked).at(query.span())
    }
}

/// The name of the placeholder of the view's time.
pub(crate) const NOW: &str = "now";

impl<'a> Planner<'a> {
    /// A planner; with parameters it is that of a client's query.
    pub(crate) fn new(catalog: &'a Catalog, parameters: Option<&'a mut Parameters>) -> Self {
        Self { catalog, notices: Vec::new(), parameters, ctes: Ctes::default(), frames: Vec::new(), frame_count: 0 }
    }

    /// A query with all its clauses.
    pub(crate) fn query(&mut self, ast: &Ast) -> Result<Planned> {
        refuse_clauses(ast, self.is_client()).at(ast.span())?;
        let around = self.ctes.clone();
        let planned = self.with(ast);
        self.ctes = around;
        planned
    }

    fn with(&mut self, ast: &Ast) -> Result<Planned> {
        if let Some(with) = &ast.with {
            self.ctes(with)?;
        }
        let order = order::keys(ast.order_by.as_ref())?;
        let planned = match ast.body.as_ref() {
            SetExpr::Select(select) => self.select(select, &order)?.finish(None)?,
            body => {
                let planned = self.set_operand(body)?.finish(None)?;
                order::by_columns(planned, &order)?
            }
        };
        self.limited(planned, ast)
    }

    /// The queries of a WITH come in sight.
    fn ctes(&mut self, with: &With) -> Result<()> {
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
            let planned = self.cte(cte)?;
            self.ctes.insert(name.clone(), planned);
            names.push(name);
        }
        Ok(())
    }

    fn cte(&mut self, cte: &Cte) -> Result<Planned> {
        if cte.from.is_some() {
            return Err(unsupported("WITH ... FROM", "write WITH name AS (SELECT ...)"));
        }
        let mut planned = self.query(&cte.query)?;
        from::rename(&mut planned.columns, &cte.alias)?;
        Ok(planned)
    }
}

/// Every clause of a query that is not its WITH or its body.
fn refuse_clauses(ast: &Ast, client: bool) -> Result<()> {
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
    if !client && order_by.is_some() && limit_clause.is_none() && fetch.is_none() {
        return Err(unsupported("ORDER BY", "a stream table has no order; sort where you read"));
    }
    if !client && (limit_clause.is_some() || fetch.is_some()) {
        return Err(unsupported(
            "LIMIT, OFFSET and FETCH",
            "use min or max with GROUP BY for the first or last row, or LIMIT where you read",
        ));
    }
    if !locks.is_empty() || for_clause.is_some() {
        return Err(unsupported(
            "FOR UPDATE and its like",
            "leave it out: nothing is locked here, and readers never wait",
        ));
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
