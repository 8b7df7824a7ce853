//! Expressions.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr as Ast, FunctionArguments, Query as QueryAst, Subscript, UnaryOperator,
    Value as Literal,
};

use super::super::node::{Comparison, Expr, Node};
use super::super::ty::Ty;
use super::super::value::Value;
use super::scope::Scope;
use super::{Binder, Ctes};
use crate::error::{Result, code, error, syntax, unsupported};
use crate::expr::precedence::mended;
use crate::statements::identifier;

pub(super) fn refused(ast: &Ast) -> dataflow::StatementError {
    unsupported(format!("{ast} in a catalog query"), "ask pg_catalog with simpler expressions")
}

pub(super) fn boxed(expr: Expr) -> Box<Expr> {
    Box::new(expr)
}

pub(super) fn negated(expr: Expr, negated: bool) -> Expr {
    if negated { Expr::new(Node::Not(boxed(expr)), Ty::BOOL) } else { expr }
}

impl Binder<'_> {
    /// An expression.
    pub(super) fn expr(&self, ast: &Ast, scope: &Scope, ctes: &Ctes) -> Result<Expr> {
        self.deeper(|| self.bound_expr(ast, scope, ctes))
    }

    fn bound_expr(&self, ast: &Ast, scope: &Scope, ctes: &Ctes) -> Result<Expr> {
        let bind = |ast: &Ast| self.expr(ast, scope, ctes);
        if let Some(mended) = mended(ast) {
            return self.expr(&mended, scope, ctes);
        }
        match ast {
            Ast::Identifier(ident) => self.column(&[identifier(ident)], scope),
            Ast::CompoundIdentifier(parts) => {
                let parts: Vec<String> = parts.iter().map(identifier).collect();
                self.column(&parts, scope)
            }
            Ast::Nested(inner) | Ast::Collate { expr: inner, .. } => bind(inner),
            Ast::Value(value) => self.value(&value.value),
            Ast::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } => {
                let parts = chain(ast, op).into_iter().map(|part| self.coerce(bind(part)?, Ty::BOOL));
                let parts = parts.collect::<Result<Vec<_>>>()?;
                let node = if *op == BinaryOperator::And { Node::And(parts) } else { Node::Or(parts) };
                Ok(Expr::new(node, Ty::BOOL))
            }
            Ast::BinaryOp { left, op, right } => self.binary(bind(left)?, op, bind(right)?),
            Ast::UnaryOp { op: UnaryOperator::Not, expr } => Ok(negated(self.coerce(bind(expr)?, Ty::BOOL)?, true)),
            Ast::UnaryOp { op: UnaryOperator::Minus, expr } => {
                let inner = bind(expr)?;
                let ty = inner.ty;
                Ok(Expr::new(Node::Negate(boxed(inner)), ty))
            }
            Ast::UnaryOp { op: UnaryOperator::Plus, expr } => bind(expr),
            Ast::Cast { expr, data_type, .. } => self.cast(bind(expr)?, Ty::named(data_type)?),
            Ast::TypedString(typed) => {
                let text = typed.value.clone().into_string().unwrap_or_default();
                self.cast(Expr::constant(text, Ty::UNKNOWN), Ty::named(&typed.data_type)?)
            }
            Ast::Case { .. } => self.case_of(ast, scope, ctes),
            Ast::Subquery(query) => self.scalar(query, scope, ctes),
            Ast::Array(array) => {
                let (items, ty) = self.unify(array.elem.iter().map(bind).collect::<Result<_>>()?)?;
                Ok(Expr::new(Node::Array(items), ty.array()))
            }
            Ast::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain, scope, ctes),
            Ast::Function(function) => match &function.args {
                FunctionArguments::Subquery(query) => {
                    let query = self.query(query, Some(scope), ctes)?;
                    let ty = query.columns.first().map_or(Ty::TEXT, |column| column.ty).array();
                    Ok(Expr::new(Node::ArrayOf(Box::new(query)), ty))
                }
                _ => self.call(function, scope, ctes),
            },
            Ast::Trim { .. } | Ast::Substring { .. } | Ast::Position { .. } => self.spelled(ast, scope, ctes),
            other => self.predicate(other, scope, ctes),
        }
    }

    fn value(&self, literal: &Literal) -> Result<Expr> {
        Ok(match literal {
            Literal::Null => Expr::constant(Value::Null, Ty::UNKNOWN),
            Literal::Boolean(value) => Expr::constant(*value, Ty::BOOL),
            Literal::Number(text, _) => match text.parse::<i64>() {
                Ok(number) if i32::try_from(number).is_ok() => Expr::constant(number, Ty::INT4),
                Ok(number) => Expr::constant(number, Ty::INT8),
                Err(_) => {
                    let number = text.parse::<f64>().map_err(|_| syntax(format!("{text} is not a number")))?;
                    Expr::constant(Value::Float(number), Ty::NUMERIC)
                }
            },
            Literal::SingleQuotedString(text)
            | Literal::EscapedStringLiteral(text)
            | Literal::UnicodeStringLiteral(text)
            | Literal::NationalStringLiteral(text) => Expr::constant(text.as_str(), Ty::UNKNOWN),
            Literal::DollarQuotedString(text) => Expr::constant(text.value.as_str(), Ty::UNKNOWN),
            Literal::Placeholder(name) => {
                let number = name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()).filter(|n| *n > 0);
                let number = number.ok_or_else(|| syntax(format!("parameters are $1, $2, ..., not {name}")))?;
                if number > 65_535 {
                    return Err(error("42P02", format!("there is no parameter {name}")));
                }
                let mut types = self.parameters.borrow_mut();
                if types.len() < number {
                    types.resize(number, None);
                }
                Expr::new(Node::Parameter(number - 1), types[number - 1].unwrap_or(Ty::UNKNOWN))
            }
            other => return Err(unsupported(format!("the literal {other}"), "write it as a string")),
        })
    }

    /// A subquery of one row and column.
    fn scalar(&self, query: &QueryAst, scope: &Scope, ctes: &Ctes) -> Result<Expr> {
        let query = self.query(query, Some(scope), ctes)?;
        match query.columns.as_slice() {
            [column] => {
                let ty = column.ty;
                Ok(Expr::new(Node::Scalar(Box::new(query)), ty))
            }
            _ => Err(syntax("subquery must return only one column")),
        }
    }

    /// A cast that is written.
    pub(super) fn cast(&self, expr: Expr, ty: Ty) -> Result<Expr> {
        match (&expr.node, expr.ty) {
            (_, from) if from == ty => Ok(expr),
            (Node::Constant(_) | Node::Parameter(_), Ty::UNKNOWN) => self.coerce(expr, ty),
            _ => Ok(Expr::new(Node::Cast(boxed(expr)), ty)),
        }
    }

    fn case_of(&self, ast: &Ast, scope: &Scope, ctes: &Ctes) -> Result<Expr> {
        let bind = |ast: &Ast| self.expr(ast, scope, ctes);
        let Ast::Case { operand, conditions, else_result, .. } = ast else { return Err(refused(ast)) };
        let operand = operand.as_deref().map(bind).transpose()?;
        let mut branches = Vec::new();
        for branch in conditions {
            let condition = bind(&branch.condition)?;
            let condition = match &operand {
                Some(operand) => self.compare(Comparison::Equal, operand.clone(), condition)?,
                None => self.coerce(condition, Ty::BOOL)?,
            };
            branches.push((condition, bind(&branch.result)?));
        }
        self.case(branches, else_result.as_deref().map(bind).transpose()?)
    }

    pub(super) fn case(&self, branches: Vec<(Expr, Expr)>, otherwise: Option<Expr>) -> Result<Expr> {
        let (conditions, results): (Vec<_>, Vec<_>) = branches.into_iter().unzip();
        // ELSE is the first to have a say about the type
        let ty = Self::common(otherwise.iter().chain(&results).map(|expr| expr.ty));
        let ty = if ty == Ty::UNKNOWN { Ty::TEXT } else { ty };
        let results = results.into_iter().map(|expr| self.coerce(expr, ty)).collect::<Result<Vec<_>>>()?;
        let otherwise = otherwise.map(|expr| self.coerce(expr, ty)).transpose()?.map(boxed);
        Ok(Expr::new(Node::Case { branches: conditions.into_iter().zip(results).collect(), otherwise }, ty))
    }

    /// `a.b[1]`, `(f(x)).n`.
    fn access(&self, root: &Ast, chain: &[AccessExpr], scope: &Scope, ctes: &Ctes) -> Result<Expr> {
        let mut parts = match root {
            Ast::Identifier(ident) => vec![identifier(ident)],
            Ast::CompoundIdentifier(idents) => idents.iter().map(identifier).collect(),
            _ => Vec::new(),
        };
        let mut rest = chain;
        while let ([AccessExpr::Dot(Ast::Identifier(ident)), behind @ ..], false) = (rest, parts.is_empty()) {
            parts.push(identifier(ident));
            rest = behind;
        }
        let mut expr = if parts.is_empty() { self.expr(root, scope, ctes)? } else { self.column(&parts, scope)? };
        for access in rest {
            expr = match access {
                AccessExpr::Dot(Ast::Identifier(ident)) => field(expr, &identifier(ident))?,
                AccessExpr::Subscript(Subscript::Index { index }) => {
                    let index = self.expr(index, scope, ctes)?;
                    let index = self.coerce(index, Ty::INT4)?;
                    let ty = expr.ty.element().ok_or_else(|| {
                        let message =
                            format!("cannot subscript type {} because it does not support subscripting", expr.ty.sql());
                        error(code::DATATYPE_MISMATCH, message)
                    })?;
                    Expr::new(Node::Subscript(boxed(expr), boxed(index)), ty)
                }
                _ => return Err(refused(root)),
            };
        }
        Ok(expr)
    }
}

/// A field of a record that a function of rows gave.
fn field(expr: Expr, name: &str) -> Result<Expr> {
    let (at, ty) = match name {
        "x" => (0, Ty::INT2),
        "n" => (1, Ty::INT4),
        "option_name" => (0, Ty::TEXT),
        "option_value" => (1, Ty::TEXT),
        _ => return Err(error(code::UNDEFINED_COLUMN, format!("column \"{name}\" not found in data type record"))),
    };
    if expr.ty != Ty::RECORD {
        let message =
            format!("column notation .{name} applied to type {}, which is not a composite type", expr.ty.sql());
        return Err(error(code::WRONG_OBJECT_TYPE, message));
    }
    Ok(Expr::new(Node::Field(boxed(expr), at), ty))
}

/// The parts of `a AND b AND c`, however many: a loop, where recursion would be as deep as the chain is long.
pub(super) fn chain<'a>(ast: &'a Ast, op: &BinaryOperator) -> Vec<&'a Ast> {
    let (mut parts, mut at) = (Vec::new(), ast);
    while let Ast::BinaryOp { left, op: here, right } = at
        && here == op
    {
        parts.push(&**right);
        at = left;
    }
    parts.push(at);
    parts.reverse();
    parts
}
