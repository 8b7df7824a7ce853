//! Calls: of functions, and of aggregates where they may stand.

use datafusion::sql::sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments};

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::Sort;
use zset::ColumnType;

use super::bind::{self, Binder};
use super::{Typed, absent, cast, function, host, literal, window};
use crate::aggregates::{self, Resolved};
use crate::error::{Detail, Result, code, error, from_datafusion, syntax, unsupported};
use crate::query::subquery;
use crate::statements::identifier;

impl Binder<'_> {
    /// A call: of a function or an aggregate.
    pub(super) fn function(&mut self, call: &ast::Function) -> Result<Typed> {
        let name = function_name(call)?;
        if let Some(over) = &call.over {
            if self.host.is_client() {
                return self.window(&name, call, over);
            }
            return Err(unsupported(
                format!("the window function {name}(...) OVER"),
                "use GROUP BY, or join the table with its own aggregate",
            ));
        }
        if call.null_treatment.is_some() || !call.within_group.is_empty() || call.uses_odbc_syntax {
            return Err(unsupported(format!("{call}"), "call the function plainly: name(arguments)"));
        }
        if !matches!(call.parameters, FunctionArguments::None) {
            return Err(unsupported(format!("{call}"), "call the function plainly: name(arguments)"));
        }
        if self.host.is_client() && window::is_window_function(&name) {
            return Err(error(code::WRONG_OBJECT_TYPE, format!("window function {name} requires an OVER clause"))
                .with_hint(format!("write {name}(...) OVER (ORDER BY ...)")));
        }
        let list = match &call.args {
            FunctionArguments::List(list) => list,
            FunctionArguments::None => {
                return self.of_the_session(&name)?.ok_or_else(|| absent::refused(&name));
            }
            FunctionArguments::Subquery(_) => return Err(bind::subquery("a subquery as an argument")),
        };
        if self.is_aggregate(&name) {
            return self.aggregate(&name, call, list);
        }
        if list.args.is_empty()
            && let Some(typed) = self.of_the_session(&name)?
        {
            return Ok(typed);
        }
        if call.filter.is_some() || list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
            // a name that we do not have is refused as what it is
            function::call(&name, Vec::new())
                .map_err(|e| if e.sqlstate == code::NOT_SUPPORTED { e } else { not_aggregate(&name) })?;
            return Err(not_aggregate(&name));
        }
        let mut arguments = Vec::with_capacity(list.args.len());
        for argument in &list.args {
            arguments.push(self.argument(&name, argument)?);
        }
        function::call(&name, arguments)
    }

    pub(super) fn argument(&mut self, name: &str, argument: &FunctionArg) -> Result<Typed> {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(ast)) => self.bind(ast),
            FunctionArg::Unnamed(_) => {
                Err(syntax(format!("{name}(*) is not a call of this function")).with_hint("only count(*) takes a star"))
            }
            _ => Err(unsupported(format!("a named argument of {name}"), "give the arguments by position")),
        }
    }

    /// Whether a name is an aggregate's.
    pub(super) fn is_aggregate(&self, name: &str) -> bool {
        function::is_aggregate(name) || (self.host.is_client() && aggregates::is_for_clients(name))
    }

    /// What is known of the session and the moment: now(), version() and their like.
    fn of_the_session(&mut self, name: &str) -> Result<Option<Typed>> {
        if !self.host.is_client() {
            return Ok(None);
        }
        if let Some((text, ty)) = host::session_function(name) {
            return cast::of_unknown(literal::unknown_text(&text), ty).map(Some);
        }
        let to = match name {
            "now" | "current_timestamp" | "transaction_timestamp" | "statement_timestamp" => ColumnType::TimestampTz(6),
            "localtimestamp" => ColumnType::Timestamp(6),
            "current_date" => ColumnType::Date,
            "localtime" => ColumnType::Time,
            _ => return Ok(None),
        };
        cast::explicit(self.host.now()?, to, false).map(Some)
    }

    fn aggregate(&mut self, name: &str, call: &ast::Function, list: &ast::FunctionArgumentList) -> Result<Typed> {
        if !self.aggregates {
            return Err(error(code::GROUPING, format!("aggregate functions are not allowed in {}", self.clause))
                .with_hint("use HAVING for conditions on aggregates, or a subquery in FROM"));
        }
        let distinct = matches!(list.duplicate_treatment, Some(ast::DuplicateTreatment::Distinct));
        let mut inner = self.within("the arguments of an aggregate", false);
        let resolved = inner.resolved(name, list, distinct).map_err(nested)?;
        let filter = match &call.filter {
            None => None,
            Some(ast) => {
                inner.clause = "FILTER";
                Some(inner.condition(ast)?)
            }
        };
        refuse_outer(name, resolved.arguments.iter().chain(filter.iter().map(|typed| &typed.expr)))?;
        Ok(aggregates::call(resolved, distinct, filter))
    }

    /// A binder for what stands inside.
    pub(super) fn within<'b>(&'b mut self, clause: &'static str, aggregates: bool) -> Binder<'b> {
        Binder { scope: self.scope, clause, aggregates, windows: None, host: &mut *self.host }
    }

    /// The aggregate of a name and its arguments.
    pub(super) fn resolved(
        &mut self,
        name: &str,
        list: &ast::FunctionArgumentList,
        distinct: bool,
    ) -> Result<Resolved> {
        let order = self.order_within(name, list)?;
        let star = matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
        if star && name == "count" && !distinct {
            // an accumulator sees how many rows there are by its argument
            let argument = self.host.is_client().then(|| literal::boolean(true));
            return aggregates::resolve(name, argument, distinct);
        }
        let mut arguments = Vec::with_capacity(list.args.len());
        for argument in &list.args {
            arguments.push(self.argument(name, argument)?);
        }
        if name == "string_agg" {
            return aggregates::string_agg(arguments, distinct, order);
        }
        match <[Typed; 1]>::try_from(arguments) {
            Ok([one]) => aggregates::resolve(name, Some(one), distinct),
            Err(other) => Err(error(
                code::UNDEFINED_FUNCTION,
                format!("function {name} with {} arguments does not exist", other.len()),
            )
            .with_hint(format!("{name} takes one argument"))),
        }
    }

    /// ORDER BY among the arguments of an aggregate: for those whose answer depends on it.
    fn order_within(&mut self, name: &str, list: &ast::FunctionArgumentList) -> Result<Vec<Sort>> {
        match list.clauses.as_slice() {
            [] => Ok(vec![]),
            [ast::FunctionArgumentClause::OrderBy(keys)] if name == "string_agg" => {
                keys.iter().map(|key| self.sort_key(key)).collect()
            }
            _ => Err(unsupported(
                format!("ORDER BY in {name}(...)"),
                "leave it out: count, sum, avg, min and max do not depend on the order",
            )),
        }
    }
}

/// An aggregate of nothing but columns of a query around belongs to that query, by the standard.
fn refuse_outer<'e>(name: &str, expressions: impl Iterator<Item = &'e Expr>) -> Result<()> {
    let (mut outer, mut own) = (false, false);
    for expr in expressions {
        expr.apply(|node| {
            match node {
                Expr::Placeholder(placeholder) => outer |= subquery::captured_of(&placeholder.id).is_some(),
                Expr::Column(_) => own = true,
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .map_err(from_datafusion)?;
    }
    if outer && !own {
        return Err(unsupported(
            format!("{name}(...) of columns of the query around the subquery alone"),
            "aggregate in the query that the columns are of",
        ));
    }
    Ok(())
}

/// An aggregate among the arguments of another.
fn nested(e: dataflow::StatementError) -> dataflow::StatementError {
    if e.sqlstate == code::GROUPING {
        error(code::GROUPING, "aggregate function calls cannot be nested")
            .with_hint("aggregate in a subquery in FROM first")
    } else if e.sqlstate == code::WINDOWING {
        error(code::GROUPING, "aggregate function calls cannot contain window function calls")
            .with_hint("compute the window in a subquery in FROM first")
    } else {
        e
    }
}

pub(super) fn not_aggregate(name: &str) -> dataflow::StatementError {
    error(
        code::WRONG_OBJECT_TYPE,
        format!("DISTINCT, FILTER or ORDER BY specified, but {name} is not an aggregate function"),
    )
    .with_hint("leave them out")
}

fn function_name(call: &ast::Function) -> Result<String> {
    let parts: Option<Vec<String>> = call.name.0.iter().map(|part| part.as_ident().map(identifier)).collect();
    match parts.as_deref() {
        Some([name]) => Ok(name.clone()),
        Some([schema, name]) if schema == "pg_catalog" => Ok(name.clone()),
        _ => Err(unsupported(format!("the function {}", call.name), "functions have names without schema")),
    }
}
