//! The precedence of IS DISTINCT FROM: the parser takes `a IS DISTINCT FROM b OR c` for `a IS DISTINCT FROM (b OR c)`.
//!
//! PostgreSQL reads AND and OR behind it as looser than it. Here the operands and operators that no parentheses hold
//! together are laid out in their order again and put together by precedence: AND before OR.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};

/// The expression as PostgreSQL reads it; `None` if it already is.
pub(crate) fn mended(ast: &Expr) -> Option<Expr> {
    swallowed(ast).then(|| {
        let mut parts = Parts { operands: Vec::new(), operators: Vec::new() };
        parts.lay_out(ast);
        parts.put_together()
    })
}

/// Whether an IS DISTINCT FROM, in what no parentheses hold together, has taken an AND or OR.
fn swallowed(ast: &Expr) -> bool {
    match ast {
        Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
            swallowed(left) || swallowed(right)
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => swallowed(expr),
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => {
            matches!(**right, Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. }) || swallowed(right)
        }
        _ => false,
    }
}

/// Operands with the AND or OR between each and the next.
struct Parts {
    operands: Vec<Expr>,
    operators: Vec<BinaryOperator>,
}

impl Parts {
    fn lay_out(&mut self, ast: &Expr) {
        match ast {
            Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
                self.lay_out(left);
                self.operators.push(op.clone());
                self.lay_out(right);
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
                self.first_as(expr, |first| Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(first) });
            }
            Expr::IsDistinctFrom(left, right) => {
                self.first_as(right, |first| Expr::IsDistinctFrom(left.clone(), Box::new(first)));
            }
            Expr::IsNotDistinctFrom(left, right) => {
                self.first_as(right, |first| Expr::IsNotDistinctFrom(left.clone(), Box::new(first)));
            }
            operand => self.operands.push(operand.clone()),
        }
    }

    /// Lays out an operand of which only the first part belongs to the operator before it.
    fn first_as(&mut self, ast: &Expr, whole: impl FnOnce(Expr) -> Expr) {
        let at = self.operands.len();
        self.lay_out(ast);
        let first = self.operands.remove(at);
        self.operands.insert(at, whole(first));
    }

    fn put_together(self) -> Expr {
        let join = |left, op, right| Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) };
        let mut operands = self.operands.into_iter();
        let mut term = operands.next().expect("an expression has an operand");
        let mut sum: Option<Expr> = None;
        for (op, operand) in self.operators.into_iter().zip(operands) {
            if op == BinaryOperator::And {
                term = join(term, op, operand);
                continue;
            }
            sum = Some(match sum {
                Some(sum) => join(sum, BinaryOperator::Or, term),
                None => term,
            });
            term = operand;
        }
        match sum {
            Some(sum) => join(sum, BinaryOperator::Or, term),
            None => term,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;
    use crate::text::DIALECT;

    fn parse(text: &str) -> Expr {
        Parser::new(&DIALECT).try_with_sql(text).unwrap().parse_expr().unwrap()
    }

    /// As read, and as PostgreSQL reads it, with its parentheses written out.
    const CASES: [(&str, &str); 6] = [
        ("a IS DISTINCT FROM b OR c", "(a IS DISTINCT FROM b) OR c"),
        ("p AND a IS DISTINCT FROM b OR c", "(p AND (a IS DISTINCT FROM b)) OR c"),
        ("a IS NOT DISTINCT FROM b AND c OR d", "((a IS NOT DISTINCT FROM b) AND c) OR d"),
        ("NOT a IS DISTINCT FROM b OR c", "(NOT (a IS DISTINCT FROM b)) OR c"),
        (
            "a IS DISTINCT FROM b AND NOT c IS DISTINCT FROM d AND e",
            "((a IS DISTINCT FROM b) AND (NOT (c IS DISTINCT FROM d))) AND e",
        ),
        ("a OR b IS DISTINCT FROM c AND d OR e", "(a OR ((b IS DISTINCT FROM c) AND d)) OR e"),
    ];

    fn bare(ast: &Expr) -> Expr {
        let boxed = |e: &Expr| Box::new(bare(e));
        match ast {
            Expr::Nested(inner) => bare(inner),
            Expr::BinaryOp { left, op, right } => {
                Expr::BinaryOp { left: boxed(left), op: op.clone(), right: boxed(right) }
            }
            Expr::UnaryOp { op, expr } => Expr::UnaryOp { op: *op, expr: boxed(expr) },
            Expr::IsDistinctFrom(a, b) => Expr::IsDistinctFrom(boxed(a), boxed(b)),
            Expr::IsNotDistinctFrom(a, b) => Expr::IsNotDistinctFrom(boxed(a), boxed(b)),
            other => other.clone(),
        }
    }

    #[test]
    fn is_distinct_from_binds_tighter_than_and_and_or() {
        for (text, expected) in CASES {
            let read = parse(text);
            let read = mended(&read).unwrap_or(read);
            assert_eq!(bare(&read), bare(&parse(expected)), "{text}");
        }
    }

    #[test]
    fn parentheses_are_kept() {
        assert!(mended(&parse("a IS DISTINCT FROM (b OR c)")).is_none());
        assert!(mended(&parse("(a OR b) AND c IS DISTINCT FROM d")).is_none());
    }
}
