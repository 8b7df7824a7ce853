//! Calls: of functions, and of aggregates where they may stand.

use datafusion::sql::sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::bind::{self, Binder};
use super::{Typed, absent, function};
use crate::aggregates;
use crate::error::{Detail, Result, code, error, syntax, unsupported};
use crate::statements::identifier;

impl Binder<'_> {
    /// A call: of a function or an aggregate.
    pub(super) fn function(&mut self, call: &ast::Function) -> Result<Typed> {
        let name = function_name(call)?;
        if call.over.is_some() {
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
        let list = match &call.args {
            FunctionArguments::List(list) => list,
            FunctionArguments::None => return Err(absent::refused(&name)),
            FunctionArguments::Subquery(_) => return Err(bind::subquery("a subquery as an argument")),
        };
        if function::is_aggregate(&name) {
            return self.aggregate(&name, call, list);
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

    fn argument(&mut self, name: &str, argument: &FunctionArg) -> Result<Typed> {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(ast)) => self.bind(ast),
            FunctionArg::Unnamed(_) => {
                Err(syntax(format!("{name}(*) is not a call of this function")).with_hint("only count(*) takes a star"))
            }
            _ => Err(unsupported(format!("a named argument of {name}"), "give the arguments by position")),
        }
    }

    fn aggregate(&mut self, name: &str, call: &ast::Function, list: &ast::FunctionArgumentList) -> Result<Typed> {
        if !self.aggregates {
            return Err(error(code::GROUPING, format!("aggregate functions are not allowed in {}", self.clause))
                .with_hint("use HAVING for conditions on aggregates, or a subquery in FROM"));
        }
        if !list.clauses.is_empty() {
            return Err(unsupported(
                format!("ORDER BY in {name}(...)"),
                "leave it out: count, sum, avg, min and max do not depend on the order",
            ));
        }
        let distinct = matches!(list.duplicate_treatment, Some(ast::DuplicateTreatment::Distinct));
        let mut inner = Binder {
            scope: self.scope,
            clause: "the arguments of an aggregate",
            aggregates: false,
            notices: self.notices,
        };
        let nested = |e: dataflow::StatementError| {
            if e.sqlstate == code::GROUPING {
                error(code::GROUPING, "aggregate function calls cannot be nested")
                    .with_hint("aggregate in a subquery in FROM first")
            } else {
                e
            }
        };
        let argument = match list.args.as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] if name == "count" && !distinct => None,
            [one] => Some(inner.argument(name, one).map_err(nested)?),
            other => {
                let hint = format!("{name} takes one argument");
                return Err(error(
                    code::UNDEFINED_FUNCTION,
                    format!("function {name} with {} arguments does not exist", other.len()),
                )
                .with_hint(hint));
            }
        };
        let filter = match &call.filter {
            None => None,
            Some(ast) => {
                inner.clause = "FILTER";
                Some(inner.condition(ast)?)
            }
        };
        aggregates::call(name, argument, distinct, filter)
    }
}

fn not_aggregate(name: &str) -> dataflow::StatementError {
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
