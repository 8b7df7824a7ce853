//! Types that meet: a literal or parameter without a type takes that of what it meets; numbers meet as numbers.

use super::super::cast::{cast, read};
use super::super::node::{Expr, Node};
use super::super::ty::Ty;
use super::super::value::Value;
use super::Binder;
use crate::error::{Result, code, error};

impl Binder<'_> {
    /// The expression as a type where PostgreSQL would take it without being told.
    pub(super) fn coerce(&self, expr: Expr, ty: Ty) -> Result<Expr> {
        if expr.ty == ty || ty == Ty::ANY || ty == Ty::UNKNOWN || (ty == Ty::ANYARRAY && expr.ty != Ty::UNKNOWN) {
            return Ok(expr);
        }
        let ty = if ty == Ty::ANYARRAY { Ty::TEXT_ARRAY } else { ty };
        match (expr.ty, expr.node) {
            (Ty::UNKNOWN, Node::Constant(value)) => Ok(Expr::constant(self.literal(&value, ty)?, ty)),
            (Ty::UNKNOWN, Node::Parameter(at)) => {
                self.parameters.borrow_mut()[at].get_or_insert(ty);
                Ok(Expr::new(Node::Parameter(at), ty))
            }
            (from, node) => {
                let expr = Expr::new(node, from);
                // a name is compared with an oid by what it names, a text is never taken for a number
                if from.is_text() && ty.is_text() || from.is_integer() && (ty.is_integer() || ty.is_float()) {
                    return Ok(expr);
                }
                if from.is_float() && ty.is_float() || from.element().is_some() && ty.element().is_some() {
                    return Ok(expr);
                }
                if ty.is_text() && !matches!(from, Ty::BOOL) || ty == Ty::REGCLASS && from.is_text() {
                    return Ok(Expr::new(Node::Cast(Box::new(expr)), ty));
                }
                Ok(expr)
            }
        }
    }

    /// A literal without a type as one of a type.
    pub(super) fn literal(&self, value: &Value, ty: Ty) -> Result<Value> {
        match value {
            Value::Text(text) => read(self.world, text, ty),
            value => cast(self.world, value, Ty::UNKNOWN, ty),
        }
    }

    /// The type in which expressions meet.
    pub(super) fn common(types: impl IntoIterator<Item = Ty>) -> Ty {
        let meet = |a: Ty, b: Ty| match (a, b) {
            (Ty::UNKNOWN, b) => b,
            (a, Ty::UNKNOWN) => a,
            (a, b) if a == b => a,
            (a, b) if a.is_float() && b.is_integer() => a,
            (a, b) if b.is_float() && a.is_integer() => b,
            (a, b) if a.is_float() && b.is_float() => Ty::FLOAT8,
            (a, b) if a.is_integer() && b.is_integer() => wider(a, b),
            // names and texts become each other, the one-byte type only text
            (Ty::CHAR, b) if b.is_text() => Ty::TEXT,
            (a, Ty::CHAR) if a.is_text() => Ty::TEXT,
            (a, _) => a,
        };
        types.into_iter().reduce(meet).unwrap_or(Ty::TEXT)
    }

    /// Expressions in the type in which they meet.
    pub(super) fn unify(&self, exprs: Vec<Expr>) -> Result<(Vec<Expr>, Ty)> {
        let ty = Self::common(exprs.iter().map(|expr| expr.ty));
        let ty = if ty == Ty::UNKNOWN { Ty::TEXT } else { ty };
        Ok((exprs.into_iter().map(|expr| self.coerce(expr, ty)).collect::<Result<_>>()?, ty))
    }

    /// Two sides of a comparison.
    pub(super) fn sides(&self, left: Expr, right: Expr) -> Result<(Expr, Expr)> {
        let ty = Self::common([left.ty, right.ty]);
        let ty = if ty == Ty::UNKNOWN { Ty::TEXT } else { ty };
        let (a, b) = (left.ty, right.ty);
        let comparable = a == b
            || a == Ty::UNKNOWN
            || b == Ty::UNKNOWN
            || (a.is_text() && b.is_text())
            || ((a.is_integer() || a.is_float()) && (b.is_integer() || b.is_float()))
            || (a.element().is_some() && b.element().is_some())
            || (a.element().is_none() && b.element().is_none() && a.is_text() == b.is_text());
        if !comparable {
            let message = format!("operator does not exist: {} = {}", a.sql(), b.sql());
            return Err(error(code::UNDEFINED_FUNCTION, message));
        }
        Ok((self.coerce(left, ty)?, self.coerce(right, ty)?))
    }
}

fn wider(a: Ty, b: Ty) -> Ty {
    let rank = |ty: Ty| match ty {
        Ty::INT2 => 0,
        Ty::INT4 => 1,
        Ty::INT8 => 2,
        _ => 3,
    };
    if rank(a) >= rank(b) { a } else { b }
}
