//! From the AST to typed expressions. Every variant that is accepted is named here; the rest is refused by name.

use datafusion::logical_expr::{Expr, Operator};
use datafusion::sql::sqlparser::ast::{
    self, CastKind, CeilFloorKind, DateTimeField, Expr as Ast, Spanned, TrimWhereField, UnaryOperator, Value,
};

use super::condition::{self, Is};
use super::host::{Asked, Host};
use super::{Typed, cast, function, literal, operator, precedence};
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
    /// The named windows, where window functions may stand.
    pub(crate) windows: Option<&'a [ast::NamedWindowDefinition]>,
    /// The statement it stands in.
    pub(crate) host: &'a mut dyn Host,
}

impl<'a> Binder<'a> {
    /// A binder of plain expressions: no aggregates, no window functions.
    pub(crate) fn new(scope: &'a Scope, clause: &'static str, host: &'a mut dyn Host) -> Self {
        Self { scope, clause, aggregates: false, windows: None, host }
    }
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
            Ast::Identifier(ident) => self.column(None, &identifier(ident)).at(ident.span),
            Ast::CompoundIdentifier(parts) => self.compound(parts),
            Ast::Nested(inner) => self.bind(inner),
            Ast::Value(value) => match &value.value {
                Value::Placeholder(name) => self.host.parameter(name),
                value => literal::from_value(value),
            },
            Ast::TypedString(typed) => {
                let text = literal::from_value(&typed.value.value)?;
                self.cast(text, &typed.data_type)
            }
            Ast::BinaryOp { left, op, right } => {
                if is_comparison(op) && [left, right].iter().any(|side| is_bare_comparison(side)) {
                    return Err(syntax(format!("syntax error at {op}: comparisons do not follow one another"))
                        .with_hint("put one of them in parentheses"));
                }
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
            Ast::Subquery(_) | Ast::Exists { .. } | Ast::InSubquery { .. } | Ast::AnyOp { .. } | Ast::AllOp { .. } => {
                self.subquery(ast)
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
            [table, column] => self.column(Some(table), column).at(parts[1].span),
            [schema, table, column] if schema == "public" => self.column(Some(table), column).at(parts[2].span),
            _ => Err(unsupported(format!("the name {}", names.join(".")), "name a column as table.column")),
        }
    }

    /// A column: of the nearest query that has it.
    fn column(&mut self, table: Option<&str>, name: &str) -> Result<Typed> {
        let missing = match self.scope.column(table, name) {
            Err(e) if e.sqlstate == code::UNDEFINED_COLUMN || e.sqlstate == code::UNDEFINED_TABLE => e,
            found => return found,
        };
        // a table that is here hides those of its name around
        if table.is_some() && missing.sqlstate == code::UNDEFINED_COLUMN {
            return Err(missing);
        }
        self.host.outer(table, name)?.ok_or(missing)
    }

    /// `left op ANY (query)`, `left op ALL (query)`.
    fn quantified(&mut self, left: &Ast, op: Operator, query: &ast::Query, all: bool, shown: &str) -> Result<Typed> {
        let left = self.bind(left)?;
        self.host.subquery(self.scope, query, Asked::Quantified { left, op, all }, shown)
    }

    /// A subquery, and what it is asked.
    fn subquery(&mut self, ast: &Ast) -> Result<Typed> {
        let negate = |typed, negated: bool| if negated { operator::not(typed) } else { Ok(typed) };
        match ast {
            Ast::Subquery(query) => self.host.subquery(self.scope, query, Asked::Value, "a scalar subquery"),
            Ast::Exists { subquery, negated } => {
                let exists = self.host.subquery(self.scope, subquery, Asked::Exists, "EXISTS (SELECT ...)")?;
                negate(exists, *negated)
            }
            Ast::InSubquery { expr, subquery, negated } => {
                let within = self.quantified(expr, Operator::Eq, subquery, false, "IN (SELECT ...)")?;
                negate(within, *negated)
            }
            Ast::AnyOp { left, compare_op, right, .. } | Ast::AllOp { left, compare_op, right } => {
                let all = matches!(ast, Ast::AllOp { .. });
                match (right.as_ref(), comparison(compare_op)) {
                    (Ast::Subquery(query), Some(op)) if self.host.is_client() => {
                        self.quantified(left, op, query, all, "ANY, SOME and ALL")
                    }
                    _ => Err(unsupported("ANY, SOME and ALL", "use IN (values), or a join")),
                }
            }
            other => Err(refused(other)),
        }
    }

    fn unary(&mut self, op: UnaryOperator, ast: &Ast) -> Result<Typed> {
        match op {
            UnaryOperator::Not => operator::not(self.bind(ast)?),
            // the sign belongs to the number: -2147483648 is an integer
            UnaryOperator::Minus => match ast {
                Ast::Value(ast::ValueWithSpan { value: Value::Number(digits, _), .. }) => literal::number(digits, true),
                _ => operator::negate(self.bind(ast)?),
            },
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
        if named.bare_numeric && from.is_some_and(|ty| cast::as_numeric(ty).is_none()) {
            let notice = "a cast to NUMERIC without precision gives NUMERIC(38,10); a value that does not fit exactly is an error";
            self.host.note(notice);
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
}

fn is_comparison(op: &ast::BinaryOperator) -> bool {
    use ast::BinaryOperator as B;
    matches!(op, B::Eq | B::NotEq | B::Lt | B::LtEq | B::Gt | B::GtEq)
}

fn comparison(op: &ast::BinaryOperator) -> Option<Operator> {
    use ast::BinaryOperator as B;
    Some(match op {
        B::Eq => Operator::Eq,
        B::NotEq => Operator::NotEq,
        B::Lt => Operator::Lt,
        B::LtEq => Operator::LtEq,
        B::Gt => Operator::Gt,
        B::GtEq => Operator::GtEq,
        _ => return None,
    })
}

fn is_bare_comparison(ast: &Ast) -> bool {
    matches!(ast, Ast::BinaryOp { op, .. } if is_comparison(op))
}

/// A number literal under a cast to a float is read as that float, however many digits it has.
fn float_literal(ast: &Ast, name: &ast::DataType) -> Option<Typed> {
    let Ast::Value(value) = ast else { return None };
    let Value::Number(digits, _) = &value.value else { return None };
    let ty = types::named(name).ok()?.ty;
    let float = matches!(ty, zset::ColumnType::Real | zset::ColumnType::Double);
    float.then(|| literal::unknown_text(&digits.replace('_', "")))
}

fn field_name(field: &DateTimeField) -> String {
    match field {
        DateTimeField::Custom(ident) => ident.value.clone(),
        other => other.to_string(),
    }
}

/// The refusal of a subquery in an expression.
pub(crate) fn subquery(what: &str) -> dataflow::StatementError {
    unsupported(what, "join with it: put the query in FROM, and its condition in ON")
}

/// The refusal of an expression that is not on the list.
fn refused(ast: &Ast) -> dataflow::StatementError {
    match ast {
        Ast::SimilarTo { .. } | Ast::RLike { .. } => unsupported("SIMILAR TO", "use LIKE, strpos or split_part"),
        Ast::GroupingSets(_) | Ast::Cube(_) | Ast::Rollup(_) => {
            unsupported("GROUPING SETS, CUBE and ROLLUP", "write a GROUP BY for each, with UNION ALL")
        }
        Ast::Interval(_) => {
            unsupported("INTERVAL", "add whole days to a date (d + 7), or compare extract(epoch FROM t) in seconds")
        }
        Ast::AtTimeZone { .. } => unsupported("AT TIME ZONE", "timestamptz is UTC: cast it to timestamp"),
        Ast::Collate { .. } => unsupported("COLLATE", "text is compared by its bytes (collation C)"),
        Ast::Cast { kind: CastKind::TryCast | CastKind::SafeCast, .. } => {
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
