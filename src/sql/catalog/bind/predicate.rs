//! Conditions: IS, IN, BETWEEN, LIKE, ANY, ALL, EXISTS.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr as Ast, Query as QueryAst, Value as Literal};

use super::super::node::{Comparison, Expr, Match, Node};
use super::super::ty::Ty;
use super::expr::{boxed, negated, refused};
use super::operator::comparison;
use super::scope::Scope;
use super::{Binder, Ctes};
use crate::error::{Result, code, error, syntax, unsupported};

impl Binder<'_> {
    /// A condition.
    pub(super) fn predicate(&self, ast: &Ast, scope: &Scope, ctes: &Ctes) -> Result<Expr> {
        let bind = |ast: &Ast| self.expr(ast, scope, ctes);
        let is = |ast: &Ast, value: bool, not: bool| -> Result<Expr> {
            Ok(negated(Expr::new(Node::Is(boxed(bind(ast)?), value), Ty::BOOL), not))
        };
        match ast {
            Ast::IsNull(inner) => Ok(Expr::new(Node::IsNull(boxed(bind(inner)?)), Ty::BOOL)),
            Ast::IsNotNull(inner) => Ok(negated(Expr::new(Node::IsNull(boxed(bind(inner)?)), Ty::BOOL), true)),
            Ast::IsUnknown(inner) => Ok(Expr::new(Node::IsNull(boxed(bind(inner)?)), Ty::BOOL)),
            Ast::IsNotUnknown(inner) => Ok(negated(Expr::new(Node::IsNull(boxed(bind(inner)?)), Ty::BOOL), true)),
            Ast::IsTrue(inner) => is(inner, true, false),
            Ast::IsNotTrue(inner) => is(inner, true, true),
            Ast::IsFalse(inner) => is(inner, false, false),
            Ast::IsNotFalse(inner) => is(inner, false, true),
            Ast::IsDistinctFrom(left, right) => self.distinct(bind(left)?, bind(right)?, false),
            Ast::IsNotDistinctFrom(left, right) => self.distinct(bind(left)?, bind(right)?, true),
            Ast::InList { expr, list, negated: not } => {
                let list = list.iter().map(bind).collect::<Result<Vec<_>>>()?;
                Ok(negated(self.in_list(bind(expr)?, list)?, *not))
            }
            Ast::InSubquery { expr, subquery, negated: not } => {
                Ok(negated(self.any_of(expr, Comparison::Equal, subquery, false, scope, ctes)?, *not))
            }
            Ast::Between { expr, negated: not, low, high } => {
                let (low, high) = (bind(low)?, bind(high)?);
                let from = self.compare(Comparison::GreaterOrEqual, bind(expr)?, low)?;
                let to = self.compare(Comparison::LessOrEqual, bind(expr)?, high)?;
                Ok(negated(Expr::new(Node::And(vec![from, to]), Ty::BOOL), *not))
            }
            Ast::Like { negated: not, any: false, expr, pattern, escape_char } => {
                let kind = Match::Like(escape(escape_char.as_ref().map(|value| &value.value))?);
                Ok(negated(self.matches(kind, bind(expr)?, bind(pattern)?, false)?, *not))
            }
            Ast::ILike { negated: not, any: false, expr, pattern, escape_char } => {
                let kind = Match::Like(escape(escape_char.as_ref().map(|value| &value.value))?);
                Ok(negated(self.matches(kind, bind(expr)?, bind(pattern)?, true)?, *not))
            }
            Ast::AnyOp { left, compare_op, right, .. } => self.any(left, compare_op, right, false, scope, ctes),
            Ast::AllOp { left, compare_op, right } => self.any(left, compare_op, right, true, scope, ctes),
            Ast::Exists { subquery, negated: not } => {
                let query = self.query(subquery, Some(scope), ctes)?;
                Ok(negated(Expr::new(Node::Exists(Box::new(query)), Ty::BOOL), *not))
            }
            other => Err(refused(other)),
        }
    }

    fn distinct(&self, left: Expr, right: Expr, not: bool) -> Result<Expr> {
        let (left, right) = self.sides(left, right)?;
        Ok(negated(Expr::new(Node::Distinct(boxed(left), boxed(right)), Ty::BOOL), not))
    }

    fn in_list(&self, left: Expr, list: Vec<Expr>) -> Result<Expr> {
        let (mut all, ty) = self.unify(std::iter::once(left).chain(list).collect())?;
        let left = boxed(all.remove(0));
        let array = boxed(Expr::new(Node::Array(all), ty.array()));
        Ok(Expr::new(Node::Any { comparison: Comparison::Equal, left, array, all: false }, Ty::BOOL))
    }

    /// `x = ANY (...)`, `x <> ALL (...)`: of an array or a query.
    fn any(&self, left: &Ast, op: &BinaryOperator, right: &Ast, all: bool, scope: &Scope, ctes: &Ctes) -> Result<Expr> {
        let comparison = comparison(&op.to_string()).ok_or_else(|| refused(left))?;
        let mut inner = right;
        while let Ast::Nested(nested) = inner {
            inner = nested;
        }
        if let Ast::Subquery(query) = inner {
            return self.any_of(left, comparison, query, all, scope, ctes);
        }
        let (left, array) = (self.expr(left, scope, ctes)?, self.expr(inner, scope, ctes)?);
        let of = if left.ty == Ty::UNKNOWN { Ty::TEXT } else { left.ty };
        let array = self.coerce(array, of.array())?;
        let element = array
            .ty
            .element()
            .ok_or_else(|| error(code::WRONG_OBJECT_TYPE, "op ANY/ALL (array) requires array on right side"))?;
        let left = boxed(self.coerce(left, element)?);
        Ok(Expr::new(Node::Any { comparison, left, array: boxed(array), all }, Ty::BOOL))
    }

    fn any_of(
        &self,
        left: &Ast,
        comparison: Comparison,
        query: &QueryAst,
        all: bool,
        scope: &Scope,
        ctes: &Ctes,
    ) -> Result<Expr> {
        let left: Vec<&Ast> = match left {
            Ast::Tuple(parts) => parts.iter().collect(),
            other => vec![other],
        };
        let query = self.query(query, Some(scope), ctes)?;
        if query.columns.len() != left.len() {
            return Err(syntax("subquery has another number of columns than what it is compared with"));
        }
        let left = left.iter().zip(&query.columns).map(|(ast, column)| {
            let bound = self.expr(ast, scope, ctes)?;
            self.coerce(bound, column.ty)
        });
        let left = left.collect::<Result<_>>()?;
        Ok(Expr::new(Node::AnyOf { comparison, left, query: Box::new(query), all }, Ty::BOOL))
    }
}

/// The escape of LIKE: a backslash unless told otherwise; `ESCAPE ''` is none.
fn escape(given: Option<&Literal>) -> Result<Option<char>> {
    let text = match given {
        None => return Ok(Some('\\')),
        Some(Literal::SingleQuotedString(text) | Literal::EscapedStringLiteral(text)) => text,
        Some(other) => return Err(unsupported(format!("ESCAPE {other}"), "give one character in quotes")),
    };
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (first, None) => Ok(first),
        _ => Err(error("22025", "invalid escape string")),
    }
}
