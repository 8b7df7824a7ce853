//! Conditions, with SQL's three values of truth.

use super::super::node::{Comparison, Expr, Match, Node, Query};
use super::super::value::{Row, Value};
use super::pattern::{like, regex};
use super::{Frame, Run};
use crate::error::Result;

impl Run<'_> {
    /// The value of a condition; NULL is unknown.
    pub(super) fn truth(&self, expr: &Expr, frame: &Frame) -> Result<Value> {
        Ok(match &expr.node {
            Node::And(parts) => self.logical(parts, false, frame)?,
            Node::Or(parts) => self.logical(parts, true, frame)?,
            Node::Not(inner) => match self.eval(inner, frame)? {
                Value::Bool(value) => (!value).into(),
                _ => Value::Null,
            },
            Node::IsNull(inner) => self.eval(inner, frame)?.is_null().into(),
            Node::Is(inner, wanted) => {
                matches!(self.eval(inner, frame)?, Value::Bool(value) if value == *wanted).into()
            }
            Node::Distinct(left, right) => (self.eval(left, frame)? != self.eval(right, frame)?).into(),
            Node::Compare(comparison, left, right) => {
                compared(*comparison, &self.eval(left, frame)?, &self.eval(right, frame)?)
            }
            Node::Match { kind, text, pattern, insensitive } => {
                let (text, pattern) = (self.eval(text, frame)?, self.eval(pattern, frame)?);
                let (Some(text), Some(pattern)) = (text.as_str(), pattern.as_str()) else { return Ok(Value::Null) };
                match kind {
                    Match::Like(escape) => like(text, pattern, *escape, *insensitive).into(),
                    Match::Regex => regex(text, pattern, *insensitive)?.into(),
                }
            }
            Node::Any { comparison, left, array, all } => {
                let (left, array) = (self.eval(left, frame)?, self.eval(array, frame)?);
                if array.is_null() {
                    return Ok(Value::Null);
                }
                quantified(array.as_slice().iter().map(|value| compared(*comparison, &left, value)), *all)
            }
            Node::AnyOf { comparison, left, query, all } => self.any_of(*comparison, left, query, *all, frame)?,
            Node::Exists(query) => (!self.answer(query, Some(frame))?.is_empty()).into(),
            other => unreachable!("{other:?} is no condition"),
        })
    }

    /// AND (`decides` false) or OR (true): the first part that decides, else NULL if there is one, else the other.
    fn logical(&self, parts: &[Expr], decides: bool, frame: &Frame) -> Result<Value> {
        let mut unknown = false;
        for part in parts {
            match self.eval(part, frame)? {
                Value::Bool(value) if value == decides => return Ok(value.into()),
                Value::Bool(_) => {}
                _ => unknown = true,
            }
        }
        Ok(if unknown { Value::Null } else { (!decides).into() })
    }

    fn any_of(&self, comparison: Comparison, left: &[Expr], query: &Query, all: bool, frame: &Frame) -> Result<Value> {
        let left = left.iter().map(|expr| self.eval(expr, frame)).collect::<Result<Vec<_>>>()?;
        let rows = self.answer(query, Some(frame))?;
        let of_row = |row: &Row| quantified(left.iter().zip(row.iter()).map(|(a, b)| compared(comparison, a, b)), true);
        Ok(quantified(rows.iter().map(of_row), all))
    }
}

/// A comparison; NULL if a side is.
fn compared(comparison: Comparison, left: &Value, right: &Value) -> Value {
    if left.is_null() || right.is_null() {
        return Value::Null;
    }
    let ordering = left.cmp(right);
    Value::Bool(match comparison {
        Comparison::Equal => ordering.is_eq(),
        Comparison::NotEqual => ordering.is_ne(),
        Comparison::Less => ordering.is_lt(),
        Comparison::LessOrEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        Comparison::GreaterOrEqual => ordering.is_ge(),
    })
}

/// ANY or ALL of truth values.
fn quantified(values: impl Iterator<Item = Value>, all: bool) -> Value {
    let mut unknown = false;
    for value in values {
        match value {
            Value::Bool(value) if value != all => return value.into(),
            Value::Bool(_) => {}
            _ => unknown = true,
        }
    }
    if unknown { Value::Null } else { all.into() }
}
