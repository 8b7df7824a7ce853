//! From the AST to typed expressions. Every variant that is accepted is named here; the rest is refused by name.

use datafusion::logical_expr::{Expr, Operator};
use datafusion::sql::sqlparser::ast::{
    self, CastKind, CeilFloorKind, DateTimeField, Expr as Ast, FunctionArg, FunctionArgExpr, FunctionArguments,
    Spanned, TrimWhereField, UnaryOperator, Value,
};

use super::condition::{self, Is};
use super::{Typed, cast, function, literal, operator, precedence};
use crate::aggregates;
use crate::error::{Detail, Result, code, error, syntax, unsupported};
use crate::query::Scope;
use crate::statements::identifier;
use crate::types;

/// What an expression may refer to, and where it stands.
pub(crate) struct Binder<'a> {
    /// The columns in sight.
    pub(crate) scope: &'a Scope,
    /// The clause, for messages.
    pub(crate) clause: &'static str,
    /// Whether aggregates may stand here.
    pub(crate) aggregates: bool,
    /// What the user is told besides.
    pub(crate) notices: &'a mut Vec<String>,
}

impl Binder<'_> {
    /// The typed expression.
    pub(crate) fn bind(&mut self, ast: &Ast) -> Result<Typed> {
        self.node(ast).at(ast.span())
    }

    /// A truth value.
    pub(crate) fn condition(&mut self, ast: &Ast) -> Result<Typed> {
        let typed = self.bind(ast)?;
        operator::condition(typed, self.clause).at(ast.span())
    }

    fn node(&mut self, ast: &Ast) -> Result<Typed> {
        if let Some(mended) = precedence::mended(ast) {
            return self.bind(&mended);
        }
        match ast {
            Ast::Identifier(ident) => self.scope.column(None, &identifier(ident)).at(ident.span),
            Ast::CompoundIdentifier(parts) => self.compound(parts),
            Ast::Nested(inner) => self.bind(inner),
            Ast::Value(value) => literal::from_value(&value.value),
            Ast::TypedString(typed) => {
                let text = literal::from_value(&typed.value.value)?;
                self.cast(text, &typed.data_type)
            }
            Ast::BinaryOp { left, op, right } => {
                let left = self.bind(left)?;
                let right = self.bind(right)?;
                operator::binary(op, left, right)
            }
            Ast::UnaryOp { op, expr } => self.unary(*op, expr),
            Ast::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, array: false, format: None } => {
                let typed = match float_literal(expr, data_type) {
                    Some(text) => text,
                    None => self.bind(expr)?,
                };
                self.cast(typed, data_type)
            }
            Ast::IsNull(_)
            | Ast::IsNotNull(_)
            | Ast::IsTrue(_)
            | Ast::IsNotTrue(_)
            | Ast::IsFalse(_)
            | Ast::IsNotFalse(_)
            | Ast::IsUnknown(_)
            | Ast::IsNotUnknown(_) => self.is(ast),
            Ast::IsDistinctFrom(a, b) => operator::distinct_from(false, self.bind(a)?, self.bind(b)?),
            Ast::IsNotDistinctFrom(a, b) => operator::distinct_from(true, self.bind(a)?, self.bind(b)?),
            Ast::Between { expr, negated, low, high } => {
                condition::between(self.bind(expr)?, self.bind(low)?, self.bind(high)?, *negated)
            }
            Ast::InList { expr, list, negated } => {
                let x = self.bind(expr)?;
                let list = self.all(list)?;
                condition::in_list(x, list, *negated)
            }
            Ast::Like { negated, any: false, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char.as_ref(), false, *negated)
            }
            Ast::ILike { negated, any: false, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char.as_ref(), true, *negated)
            }
            Ast::Case { operand, conditions, else_result, .. } => self.case(operand, conditions, else_result),
            Ast::Function(call) => self.function(call),
            _ => self.special(ast),
        }
    }

    /// Functions with a syntax of their own, and refusals.
    fn special(&mut self, ast: &Ast) -> Result<Typed> {
        match ast {
            Ast::Extract { field, expr, .. } => {
                let x = self.bind(expr)?;
                function::extract(&field_name(field), x)
            }
            Ast::Position { expr, r#in } => {
                let all = vec![self.bind(r#in)?, self.bind(expr)?];
                function::call("position", all)
            }
            Ast::Substring { expr, substring_from, substring_for, .. } => {
                let from = match substring_from {
                    Some(from) => self.bind(from)?,
                    None => literal::number("1", false)?,
                };
                let mut all = vec![self.bind(expr)?, from];
                if let Some(count) = substring_for {
                    all.push(self.bind(count)?);
                }
                function::call("substring", all)
            }
            Ast::Trim { expr, trim_where, trim_what, trim_characters } => {
                let mut all = vec![self.bind(expr)?];
                if let Some(what) = trim_what {
                    all.push(self.bind(what)?);
                }
                all.extend(self.all(trim_characters.as_deref().unwrap_or_default())?);
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    _ => "btrim",
                };
                function::call(name, all)
            }
            Ast::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                let x = self.bind(expr)?;
                function::call("ceil", vec![x])
            }
            Ast::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                let x = self.bind(expr)?;
                function::call("floor", vec![x])
            }
            other => Err(refused(other)),
        }
    }

    /// Several expressions.
    pub(crate) fn all(&mut self, list: &[Ast]) -> Result<Vec<Typed>> {
        list.iter().map(|ast| self.bind(ast)).collect()
    }

    fn compound(&mut self, parts: &[ast::Ident]) -> Result<Typed> {
        let names: Vec<String> = parts.iter().map(identifier).collect();
        match names.as_slice() {
            [table, column] => self.scope.column(Some(table), column).at(parts[1].span),
            [schema, table, column] if schema == "public" => self.scope.column(Some(table), column).at(parts[2].span),
            _ => Err(unsupported(format!("the name {}", names.join(".")), "name a column as table.column")),
        }
    }

    fn unary(&mut self, op: UnaryOperator, ast: &Ast) -> Result<Typed> {
        match op {
            UnaryOperator::Not => operator::not(self.bind(ast)?),
            UnaryOperator::Minus => operator::negate(self.bind(ast)?),
            UnaryOperator::Plus => {
                let typed = self.bind(ast)?;
                match typed.ty {
                    Some(ty) if cast::number_rank(ty).is_some() => Ok(typed),
                    _ => Err(error(
                        code::UNDEFINED_FUNCTION,
                        format!("operator does not exist: + {}", typed.type_name()),
                    )
                    .with_hint("only numbers have a sign")),
                }
            }
            other => Err(unsupported(format!("the operator {other}"), "the prefix operators are + - NOT")),
        }
    }

    fn cast(&mut self, typed: Typed, name: &ast::DataType) -> Result<Typed> {
        let named = types::named(name)?;
        let from = typed.ty;
        if named.bare_numeric && !from.is_some_and(|ty| cast::as_numeric(ty).is_some()) {
            let notice = "a cast to NUMERIC without precision gives NUMERIC(38,10); a value that does not fit exactly is an error";
            if !self.notices.iter().any(|n| n == notice) {
                self.notices.push(notice.to_string());
            }
        }
        cast::explicit(typed, named.ty, named.bare_numeric)
    }

    fn is(&mut self, ast: &Ast) -> Result<Typed> {
        let (x, what) = match ast {
            Ast::IsNull(x) => (x, Is::Null),
            Ast::IsNotNull(x) => (x, Is::NotNull),
            Ast::IsTrue(x) => (x, Is::True),
            Ast::IsNotTrue(x) => (x, Is::NotTrue),
            Ast::IsFalse(x) => (x, Is::False),
            Ast::IsNotFalse(x) => (x, Is::NotFalse),
            Ast::IsUnknown(x) => (x, Is::Unknown),
            Ast::IsNotUnknown(x) => (x, Is::NotUnknown),
            other => return Err(refused(other)),
        };
        condition::is(self.bind(x)?, what)
    }

    fn like(
        &mut self,
        x: &Ast,
        pattern: &Ast,
        escape: Option<&ast::ValueWithSpan>,
        insensitive: bool,
        negated: bool,
    ) -> Result<Typed> {
        let escape = match escape.map(|e| &e.value) {
            None => None,
            Some(Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text)) => Some(text.as_str()),
            Some(other) => return Err(unsupported(format!("ESCAPE {other}"), "write ESCAPE 'c'")),
        };
        condition::like(self.bind(x)?, self.bind(pattern)?, escape, insensitive, negated)
    }

    fn case(
        &mut self,
        operand: &Option<Box<Ast>>,
        conditions: &[ast::CaseWhen],
        otherwise: &Option<Box<Ast>>,
    ) -> Result<Typed> {
        let operand = operand.as_deref().map(|ast| self.bind(ast)).transpose()?;
        let mut branches = Vec::with_capacity(conditions.len());
        for branch in conditions {
            branches.push((self.bind(&branch.condition)?, self.bind(&branch.result)?));
        }
        let otherwise = otherwise.as_deref().map(|ast| self.bind(ast)).transpose()?;
        condition::searched(operand, branches, otherwise)
    }

    fn function(&mut self, call: &ast::Function) -> Result<Typed> {
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
            FunctionArguments::None => return Err(function::refused(&name)),
            FunctionArguments::Subquery(_) => return Err(subquery("a subquery as an argument")),
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

/// A number literal under a cast to a float is read as that float, however many digits it has.
fn float_literal(ast: &Ast, name: &ast::DataType) -> Option<Typed> {
    let Ast::Value(value) = ast else { return None };
    let Value::Number(digits, _) = &value.value else { return None };
    let ty = types::named(name).ok()?.ty;
    let float = matches!(ty, zset::ColumnType::Real | zset::ColumnType::Double);
    float.then(|| literal::unknown_text(&digits.replace('_', "")))
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

fn field_name(field: &DateTimeField) -> String {
    match field {
        DateTimeField::Custom(ident) => ident.value.clone(),
        other => other.to_string(),
    }
}

/// The refusal of a subquery in an expression.
fn subquery(what: &str) -> dataflow::StatementError {
    unsupported(what, "join with it: put the query in FROM, and its condition in ON")
}

/// The refusal of an expression that is not on the list.
fn refused(ast: &Ast) -> dataflow::StatementError {
    match ast {
        Ast::InSubquery { .. } => subquery("IN (SELECT ...)"),
        Ast::Exists { .. } => subquery("EXISTS (SELECT ...)"),
        Ast::Subquery(_) => subquery("a scalar subquery"),
        Ast::AnyOp { .. } | Ast::AllOp { .. } => unsupported("ANY, SOME and ALL", "use IN (values), or a join"),
        Ast::SimilarTo { .. } | Ast::RLike { .. } => unsupported("SIMILAR TO", "use LIKE, strpos or split_part"),
        Ast::GroupingSets(_) | Ast::Cube(_) | Ast::Rollup(_) => {
            unsupported("GROUPING SETS, CUBE and ROLLUP", "write a GROUP BY for each, with UNION ALL")
        }
        Ast::Interval(_) => {
            unsupported("INTERVAL", "add whole days to a date (d + 7), or compare extract(epoch FROM t) in seconds")
        }
        Ast::AtTimeZone { .. } => unsupported("AT TIME ZONE", "timestamptz is UTC: cast it to timestamp"),
        Ast::Collate { .. } => unsupported("COLLATE", "text is compared by its bytes (collation C)"),
        Ast::Cast { kind, .. } if matches!(kind, CastKind::TryCast | CastKind::SafeCast) => {
            unsupported("TRY_CAST", "use CAST, guarded by CASE WHEN")
        }
        Ast::Tuple(_) => unsupported("a row of values", "compare the values one by one, with AND"),
        Ast::Array(_) => unsupported("ARRAY", "there are no arrays: a row each"),
        Ast::Overlay { .. } => unsupported("OVERLAY", "use left(x, n) || y || substring(x FROM m)"),
        Ast::CompoundFieldAccess { .. } | Ast::JsonAccess { .. } => {
            unsupported(format!("the access {ast}"), "declare the fields you need as columns of the table")
        }
        Ast::Like { .. } | Ast::ILike { .. } => unsupported("LIKE ANY", "write a LIKE for each, with OR"),
        other => {
            unsupported(format!("the expression {other}"), "see the list of operators and functions in the manual")
        }
    }
}

/// AND of several conditions.
pub(crate) fn conjunction(conditions: Vec<Expr>) -> Option<Expr> {
    conditions.into_iter().reduce(|a, b| operator::raw(a, Operator::And, b))
}
