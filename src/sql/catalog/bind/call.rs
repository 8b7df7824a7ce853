//! Function calls: scalar, aggregate, over a window, or giving rows.

use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr as Expression, Function as Ast, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, OrderByExpr, TrimWhereField, WindowType,
};

use super::super::functions::{Aggregate, Series, function_named};
use super::super::node::{AggregateCall, Comparison, Expr, Node, SeriesCall, WindowCall, WindowFunction};
use super::super::ty::Ty;
use super::super::value::Value;
use super::expr::refused;
use super::scope::Scope;
use super::{Binder, Ctes};
use crate::error::{Result, code, error, unsupported};
use crate::statements::identifier;

/// The name of a function without its schema, which is pg_catalog or information_schema.
pub(super) fn function_name(name: &datafusion::sql::sqlparser::ast::ObjectName) -> Result<String> {
    let parts: Option<Vec<String>> = name.0.iter().map(|part| part.as_ident().map(identifier)).collect();
    match parts.as_deref() {
        Some([name]) => Ok(name.clone()),
        Some([schema, name]) if schema == "pg_catalog" || schema == "information_schema" => Ok(name.clone()),
        _ => Err(error(code::UNDEFINED_FUNCTION, format!("function {name} does not exist"))),
    }
}

impl Binder<'_> {
    /// A call.
    pub(super) fn call(&self, ast: &Ast, scope: &Scope, ctes: &Ctes) -> Result<Expr> {
        let name = function_name(&ast.name)?;
        let mut order: &[OrderByExpr] = &[];
        let (mut distinct, mut star) = (false, false);
        let mut arguments = Vec::new();
        if let FunctionArguments::List(list) = &ast.args {
            distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
            for clause in &list.clauses {
                match clause {
                    FunctionArgumentClause::OrderBy(by) => order = by,
                    other => return Err(unsupported(format!("{other} in a catalog query"), "leave it out")),
                }
            }
            for argument in &list.args {
                match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => star = true,
                    _ => arguments.push(self.argument(argument, scope, ctes)?),
                }
            }
        }
        if let Some(over) = &ast.over {
            return self.window(&name, arguments, star, over, scope, ctes);
        }
        if let Some(aggregate) = Aggregate::named(&name) {
            let order = self.order(order, scope, ctes)?;
            let filter = ast.filter.as_deref().map(|filter| self.expr(filter, scope, ctes)).transpose()?;
            let mut call = aggregate_call(aggregate, arguments, star);
            (call.distinct, call.order, call.filter) = (distinct, order, filter);
            if aggregate == Aggregate::StringAgg {
                call.arguments = self.coerce_all(call.arguments, &[Ty::TEXT, Ty::TEXT])?;
            }
            let ty = gives(&call);
            let mut calls = scope.aggregates.borrow_mut();
            calls.push(call);
            return Ok(Expr::new(Node::Aggregate(calls.len() - 1), ty));
        }
        if let Some(series) = Series::named(&name) {
            let call = self.series(series, arguments)?;
            let ty = call.ty;
            let mut calls = scope.series.borrow_mut();
            calls.push(call);
            return Ok(Expr::new(Node::Series(calls.len() - 1), ty));
        }
        self.named_call(&name, arguments)
    }

    /// One argument.
    pub(super) fn argument(&self, ast: &FunctionArg, scope: &Scope, ctes: &Ctes) -> Result<Expr> {
        match ast {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(ast)) => self.expr(ast, scope, ctes),
            other => Err(unsupported(format!("the argument {other} in a catalog query"), "give plain expressions")),
        }
    }

    /// What to order by: expression, descending, NULLs first.
    pub(super) fn order(&self, order: &[OrderByExpr], scope: &Scope, ctes: &Ctes) -> Result<Vec<(Expr, bool, bool)>> {
        let one = |by: &OrderByExpr| {
            let (descending, nulls_first) = direction(by);
            Ok((self.expr(&by.expr, scope, ctes)?, descending, nulls_first))
        };
        order.iter().map(one).collect()
    }

    /// A call of a function that gives rows.
    pub(super) fn series(&self, series: Series, arguments: Vec<Expr>) -> Result<SeriesCall> {
        let arguments = self.coerce_all(arguments, series.takes())?;
        let types: Vec<Ty> = arguments.iter().map(|argument| argument.ty).collect();
        let columns = series.columns(&types);
        let ty = if let [(_, ty)] = columns.as_slice() { *ty } else { Ty::RECORD };
        Ok(SeriesCall { series, arguments, ty })
    }

    fn coerce_all(&self, arguments: Vec<Expr>, types: &[Ty]) -> Result<Vec<Expr>> {
        let coerced = arguments.into_iter().enumerate().map(|(at, argument)| {
            let ty = types.get(at).copied().unwrap_or(Ty::ANY);
            self.coerce(argument, ty)
        });
        coerced.collect()
    }

    fn window(
        &self,
        name: &str,
        arguments: Vec<Expr>,
        star: bool,
        over: &WindowType,
        scope: &Scope,
        ctes: &Ctes,
    ) -> Result<Expr> {
        let WindowType::WindowSpec(spec) = over else {
            return Err(unsupported("a named window in a catalog query", "write the window behind OVER"));
        };
        let partition = spec.partition_by.iter().map(|by| self.expr(by, scope, ctes)).collect::<Result<Vec<_>>>()?;
        let order = self.order(&spec.order_by, scope, ctes)?;
        let whole = order.is_empty() && spec.window_frame.is_none();
        let (function, ty) = match (name, Aggregate::named(name)) {
            ("row_number", _) => (WindowFunction::RowNumber, Ty::INT8),
            ("rank", _) => (WindowFunction::Rank, Ty::INT8),
            ("dense_rank", _) => (WindowFunction::DenseRank, Ty::INT8),
            (_, Some(aggregate)) if whole => {
                let call = aggregate_call(aggregate, arguments, star);
                let ty = gives(&call);
                (WindowFunction::Aggregate(call), ty)
            }
            _ => {
                let hint = "there are row_number, rank, dense_rank, and aggregates over whole partitions";
                return Err(unsupported(format!("{name}() over this window in a catalog query"), hint));
            }
        };
        let mut calls = scope.windows.borrow_mut();
        calls.push(WindowCall { function, partition, order });
        Ok(Expr::new(Node::Window(calls.len() - 1), ty))
    }

    /// A function with a syntax of its own.
    pub(super) fn spelled(&self, ast: &Expression, scope: &Scope, ctes: &Ctes) -> Result<Expr> {
        let bind = |ast: &Expression| self.expr(ast, scope, ctes);
        match ast {
            Expression::Trim { trim_where, trim_what, expr, trim_characters } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    _ => "btrim",
                };
                let what = trim_what.as_deref().into_iter().chain(trim_characters.iter().flatten());
                let arguments = std::iter::once(&**expr).chain(what).map(bind).collect::<Result<_>>()?;
                self.named_call(name, arguments)
            }
            Expression::Substring { expr, substring_from, substring_for, .. } => {
                let parts = [Some(expr), substring_from.as_ref(), substring_for.as_ref()];
                self.named_call("substring", parts.into_iter().flatten().map(|e| bind(e)).collect::<Result<_>>()?)
            }
            Expression::Position { expr, r#in } => self.named_call("strpos", vec![bind(r#in)?, bind(expr)?]),
            other => Err(refused(other)),
        }
    }

    /// A call of a scalar function with bound arguments.
    pub(super) fn named_call(&self, name: &str, arguments: Vec<Expr>) -> Result<Expr> {
        match (name, arguments.len()) {
            ("coalesce", 1..) => {
                let (arguments, ty) = self.unify(arguments)?;
                return Ok(Expr::new(Node::Coalesce(arguments), ty));
            }
            ("greatest" | "least", 1..) => return self.extreme(name, arguments),
            ("nullif", 2) => {
                let (a, b) = (arguments[0].clone(), arguments[1].clone());
                let equal = self.compare(Comparison::Equal, a.clone(), b)?;
                let null = Expr::constant(Value::Null, Ty::UNKNOWN);
                return self.case(vec![(equal, null)], Some(a));
            }
            _ => {}
        }
        let function = function_named(name, arguments.len()).ok_or_else(|| {
            let types: Vec<&str> = arguments.iter().map(|argument| argument.ty.sql()).collect();
            error(code::UNDEFINED_FUNCTION, format!("function {name}({}) does not exist", types.join(", ")))
        })?;
        let types: Vec<Ty> = function.takes.to_vec();
        let element = arguments.first().and_then(|array| array.ty.element());
        let coerced = arguments.into_iter().enumerate().map(|(at, argument)| match types.get(at) {
            // an element is of the array's type
            Some(&Ty::ANY) if at > 0 && argument.ty == Ty::UNKNOWN && types[0] == Ty::ANYARRAY => {
                self.coerce(argument, element.unwrap_or(Ty::TEXT))
            }
            Some(&ty) => self.coerce(argument, ty),
            None => Ok(argument),
        });
        let arguments = coerced.collect::<Result<Vec<_>>>()?;
        let ty = if function.gives == Ty::ANY {
            arguments.first().map_or(Ty::TEXT, |first| first.ty)
        } else {
            function.gives
        };
        Ok(Expr::new(Node::Call(function, arguments), ty))
    }

    /// greatest and least, as CASE: NULLs are passed over.
    fn extreme(&self, name: &str, arguments: Vec<Expr>) -> Result<Expr> {
        let (arguments, ty) = self.unify(arguments)?;
        let comparison = if name == "greatest" { Comparison::GreaterOrEqual } else { Comparison::LessOrEqual };
        let is_null = |expr: &Expr| Expr::new(Node::IsNull(Box::new(expr.clone())), Ty::BOOL);
        let mut best: Option<Expr> = None;
        for argument in arguments {
            best = Some(match best {
                None => argument,
                Some(best) => {
                    let wins = self.compare(comparison, best.clone(), argument.clone())?;
                    let wins = Expr::new(Node::Or(vec![is_null(&argument), wins]), Ty::BOOL);
                    self.case(vec![(is_null(&best), argument.clone()), (wins, best)], Some(argument))?
                }
            });
        }
        Ok(best.unwrap_or_else(|| Expr::constant(Value::Null, ty)))
    }
}

fn aggregate_call(aggregate: Aggregate, arguments: Vec<Expr>, star: bool) -> AggregateCall {
    let aggregate = if star { Aggregate::Rows } else { aggregate };
    AggregateCall { aggregate, arguments, distinct: false, order: Vec::new(), filter: None }
}

fn gives(call: &AggregateCall) -> Ty {
    let types: Vec<Ty> = call.arguments.iter().map(|argument| argument.ty).collect();
    call.aggregate.gives(&types)
}

/// Descending, and NULLs first: by default NULL is the largest.
pub(super) fn direction(by: &OrderByExpr) -> (bool, bool) {
    let descending = by.options.asc == Some(false);
    (descending, by.options.nulls_first.unwrap_or(descending))
}
