//! Operators between bound sides.

use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::super::node::{Arithmetic, Comparison, Expr, Match, Node};
use super::super::ty::Ty;
use super::Binder;
use super::expr::{boxed, negated};
use crate::error::{Result, code, error, unsupported};

impl Binder<'_> {
    /// An operator between bound sides.
    pub(super) fn binary(&self, left: Expr, op: &BinaryOperator, right: Expr) -> Result<Expr> {
        let symbol = match op {
            BinaryOperator::PGCustomBinaryOperator(parts) => parts.last().cloned().unwrap_or_default(),
            other => other.to_string(),
        };
        if let Some(comparison) = comparison(&symbol) {
            return self.compare(comparison, left, right);
        }
        let like = Match::Like(Some('\\'));
        let (kind, insensitive, not) = match symbol.as_str() {
            "~" => (Match::Regex, false, false),
            "~*" => (Match::Regex, true, false),
            "!~" => (Match::Regex, false, true),
            "!~*" => (Match::Regex, true, true),
            "~~" => (like, false, false),
            "~~*" => (like, true, false),
            "!~~" => (like, false, true),
            "!~~*" => (like, true, true),
            "||" => return self.concat(left, right),
            _ => return self.arithmetic(&symbol, left, right),
        };
        Ok(negated(self.matches(kind, left, right, insensitive)?, not))
    }

    fn arithmetic(&self, symbol: &str, left: Expr, right: Expr) -> Result<Expr> {
        let operator = match symbol {
            "+" => Arithmetic::Add,
            "-" => Arithmetic::Subtract,
            "*" => Arithmetic::Multiply,
            "/" => Arithmetic::Divide,
            "%" => Arithmetic::Remainder,
            "&" => Arithmetic::BitAnd,
            other => return Err(unsupported(format!("operator {other} in a catalog query"), "write it otherwise")),
        };
        let (left, right) = match (left.ty, right.ty) {
            (Ty::UNKNOWN, Ty::UNKNOWN) => (self.coerce(left, Ty::INT4)?, self.coerce(right, Ty::INT4)?),
            _ => self.sides(left, right)?,
        };
        let ty = Self::common([left.ty, right.ty]);
        if !ty.is_integer() && !ty.is_float() {
            return Err(error(
                code::UNDEFINED_FUNCTION,
                format!("operator does not exist: {} {symbol} {}", left.ty.sql(), right.ty.sql()),
            ));
        }
        Ok(Expr::new(Node::Arithmetic(operator, boxed(left), boxed(right)), ty))
    }

    fn concat(&self, left: Expr, right: Expr) -> Result<Expr> {
        let array = [left.ty, right.ty].into_iter().find(|ty| ty.element().is_some());
        let ty = array.unwrap_or(Ty::TEXT);
        let side = |expr: Expr| -> Result<Expr> {
            if array.is_none() && !expr.ty.is_text() { self.cast(expr, Ty::TEXT) } else { self.coerce(expr, ty) }
        };
        Ok(Expr::new(Node::Concat(boxed(side(left)?), boxed(side(right)?)), ty))
    }

    /// A comparison of bound sides.
    pub(super) fn compare(&self, comparison: Comparison, left: Expr, right: Expr) -> Result<Expr> {
        let (left, right) = self.sides(left, right)?;
        Ok(Expr::new(Node::Compare(comparison, boxed(left), boxed(right)), Ty::BOOL))
    }

    pub(super) fn matches(&self, kind: Match, text: Expr, pattern: Expr, insensitive: bool) -> Result<Expr> {
        let (text, pattern) = (boxed(self.coerce(text, Ty::TEXT)?), boxed(self.coerce(pattern, Ty::TEXT)?));
        Ok(Expr::new(Node::Match { kind, text, pattern, insensitive }, Ty::BOOL))
    }
}

/// The comparison that a symbol means.
pub(super) fn comparison(symbol: &str) -> Option<Comparison> {
    Some(match symbol {
        "=" => Comparison::Equal,
        "<>" | "!=" => Comparison::NotEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        _ => return None,
    })
}
