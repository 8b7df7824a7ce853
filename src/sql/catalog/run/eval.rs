//! Expressions over a row.

use super::super::cast::{cast, display};
use super::super::functions::{Call, Function};
use super::super::node::{Arithmetic, Expr, Node};
use super::super::ty::Ty;
use super::super::value::Value;
use super::{Frame, Run};
use crate::error::{Result, error};

impl Run<'_> {
    /// The value of an expression.
    pub(super) fn eval(&self, expr: &Expr, frame: &Frame) -> Result<Value> {
        Ok(match &expr.node {
            Node::Constant(value) => value.clone(),
            Node::Parameter(at) => self.parameters.get(*at).cloned().unwrap_or_default(),
            Node::Column { up, slot, at } => column(frame, *up, *slot, *at),
            Node::Aggregate(at) => frame.aggregates.get(*at).cloned().unwrap_or_default(),
            Node::Window(at) => frame.windows.get(*at).cloned().unwrap_or_default(),
            Node::Series(at) => frame.series.get(*at).cloned().unwrap_or_default(),
            Node::Arithmetic(operator, left, right) => {
                arithmetic(*operator, &self.eval(left, frame)?, &self.eval(right, frame)?)?
            }
            Node::Negate(inner) => match self.eval(inner, frame)? {
                Value::Int(value) => value.checked_neg().map(Value::Int).ok_or_else(out_of_range)?,
                Value::Float(value) => Value::Float(-value),
                _ => Value::Null,
            },
            Node::Concat(left, right) => self.concat(left, right, frame)?,
            Node::Cast(inner) => cast(self.world, &self.eval(inner, frame)?, inner.ty, expr.ty)?,
            Node::Call(function, arguments) => self.call(function, arguments, frame)?,
            Node::Scalar(query) => {
                let rows = self.answer(query, Some(frame))?;
                if rows.len() > 1 {
                    return Err(error("21000", "more than one row returned by a subquery used as an expression"));
                }
                rows.first().map(|row| row[0].clone()).unwrap_or_default()
            }
            Node::ArrayOf(query) => Value::array(self.answer(query, Some(frame))?.iter().map(|row| row[0].clone())),
            Node::Array(items) => {
                let items = items.iter().map(|expr| self.eval(expr, frame)).collect::<Result<Vec<_>>>()?;
                Value::array(items)
            }
            Node::Subscript(array, index) => {
                let index = self.eval(index, frame)?;
                let first = i64::from(array.ty != Ty::INT2VECTOR && array.ty != Ty::OIDVECTOR);
                let at = index.as_int().and_then(|index| usize::try_from(index.checked_sub(first)?).ok());
                let array = self.eval(array, frame)?;
                at.and_then(|at| array.as_slice().get(at).cloned()).unwrap_or_default()
            }
            Node::Case { branches, otherwise } => self.case(branches, otherwise.as_deref(), frame)?,
            Node::Coalesce(parts) => self.coalesce(parts, frame)?,
            Node::Field(record, at) => self.eval(record, frame)?.as_slice().get(*at).cloned().unwrap_or_default(),
            _ => self.truth(expr, frame)?,
        })
    }

    fn call(&self, function: &Function, arguments: &[Expr], frame: &Frame) -> Result<Value> {
        let values = arguments.iter().map(|expr| self.eval(expr, frame)).collect::<Result<Vec<_>>>()?;
        if function.strict && values.iter().any(Value::is_null) {
            return Ok(Value::Null);
        }
        let types: Vec<Ty> = arguments.iter().map(|expr| expr.ty).collect();
        (function.body)(&Call { world: self.world, arguments: &values, types: &types })
    }

    /// CASE: what is not chosen is not computed.
    fn case(&self, branches: &[(Expr, Expr)], otherwise: Option<&Expr>, frame: &Frame) -> Result<Value> {
        for (condition, result) in branches {
            if self.eval(condition, frame)?.is_true() {
                return self.eval(result, frame);
            }
        }
        otherwise.map_or(Ok(Value::Null), |expr| self.eval(expr, frame))
    }

    fn coalesce(&self, parts: &[Expr], frame: &Frame) -> Result<Value> {
        for part in parts {
            let value = self.eval(part, frame)?;
            if !value.is_null() {
                return Ok(value);
            }
        }
        Ok(Value::Null)
    }

    fn concat(&self, left: &Expr, right: &Expr, frame: &Frame) -> Result<Value> {
        let (a, b) = (self.eval(left, frame)?, self.eval(right, frame)?);
        let arrays = matches!(a, Value::Array(_)) || matches!(b, Value::Array(_));
        if arrays {
            let part = |value: &Value| match value {
                Value::Array(values) => values.to_vec(),
                Value::Null => Vec::new(),
                value => vec![value.clone()],
            };
            return Ok(Value::array(part(&a).into_iter().chain(part(&b))));
        }
        if a.is_null() || b.is_null() {
            return Ok(Value::Null);
        }
        let text = |value: &Value, ty: Ty| display(self.world, value, ty);
        Ok(format!("{}{}", text(&a, left.ty), text(&b, right.ty)).into())
    }
}

fn column(frame: &Frame, up: usize, slot: usize, at: usize) -> Value {
    let mut frame = frame;
    for _ in 0..up {
        match frame.up {
            Some(outer) => frame = outer,
            None => return Value::Null,
        }
    }
    frame.tuple.get(slot).and_then(Option::as_ref).map(|row| row[at].clone()).unwrap_or_default()
}

fn out_of_range() -> dataflow::StatementError {
    error("22003", "bigint out of range")
}

fn arithmetic(operator: Arithmetic, left: &Value, right: &Value) -> Result<Value> {
    let by_zero = || error("22012", "division by zero");
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        (Value::Int(a), Value::Int(b)) => {
            let result = match operator {
                Arithmetic::Add => a.checked_add(*b),
                Arithmetic::Subtract => a.checked_sub(*b),
                Arithmetic::Multiply => a.checked_mul(*b),
                Arithmetic::Divide | Arithmetic::Remainder if *b == 0 => return Err(by_zero()),
                Arithmetic::Divide => a.checked_div(*b),
                Arithmetic::Remainder => a.checked_rem(*b),
                Arithmetic::BitAnd => Some(a & b),
            };
            result.map(Value::Int).ok_or_else(out_of_range)
        }
        _ => {
            let (a, b) = (left.as_float().unwrap_or_default(), right.as_float().unwrap_or_default());
            Ok(Value::Float(match operator {
                Arithmetic::Add => a + b,
                Arithmetic::Subtract => a - b,
                Arithmetic::Multiply => a * b,
                Arithmetic::Divide | Arithmetic::Remainder if b == 0.0 => return Err(by_zero()),
                Arithmetic::Divide => a / b,
                Arithmetic::Remainder => a % b,
                Arithmetic::BitAnd => return Err(error("42883", "operator & needs whole numbers")),
            }))
        }
    }
}
