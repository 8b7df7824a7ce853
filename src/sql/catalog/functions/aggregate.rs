//! Aggregates. NULLs are skipped, but by `array_agg` and `count(*)`.

use super::super::ty::Ty;
use super::super::value::Value;
use crate::error::{Result, code, error};

/// An aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregate {
    /// `count(*)`.
    Rows,
    Count,
    Min,
    Max,
    Sum,
    BoolAnd,
    BoolOr,
    ArrayAgg,
    StringAgg,
}

impl Aggregate {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "count" => Self::Count,
            "min" => Self::Min,
            "max" => Self::Max,
            "sum" => Self::Sum,
            "bool_and" | "every" => Self::BoolAnd,
            "bool_or" => Self::BoolOr,
            "array_agg" => Self::ArrayAgg,
            "string_agg" => Self::StringAgg,
            _ => return None,
        })
    }

    /// The type of the result.
    pub(crate) fn gives(self, arguments: &[Ty]) -> Ty {
        let first = arguments.first().copied().unwrap_or(Ty::TEXT);
        match self {
            Self::Rows | Self::Count => Ty::INT8,
            Self::Min | Self::Max if first.is_text() => Ty::TEXT,
            Self::Min | Self::Max => first,
            Self::Sum if first.is_float() => first,
            Self::Sum => Ty::INT8,
            Self::BoolAnd | Self::BoolOr => Ty::BOOL,
            Self::ArrayAgg => first.array(),
            Self::StringAgg => Ty::TEXT,
        }
    }

    /// The result over rows of arguments.
    pub(crate) fn over(self, rows: &[Vec<Value>]) -> Result<Value> {
        let firsts = || rows.iter().filter_map(|row| row.first());
        let there = || firsts().filter(|value| !value.is_null());
        Ok(match self {
            Self::Rows => (rows.len() as i64).into(),
            Self::Count => (there().count() as i64).into(),
            Self::Min => there().min().cloned().unwrap_or_default(),
            Self::Max => there().max().cloned().unwrap_or_default(),
            Self::Sum => sum(there())?,
            Self::BoolAnd if there().next().is_none() => Value::Null,
            Self::BoolAnd => there().all(Value::is_true).into(),
            Self::BoolOr if there().next().is_none() => Value::Null,
            Self::BoolOr => there().any(Value::is_true).into(),
            Self::ArrayAgg if rows.is_empty() => Value::Null,
            Self::ArrayAgg => Value::array(firsts().cloned()),
            Self::StringAgg => join(rows),
        })
    }
}

fn sum<'a>(values: impl Iterator<Item = &'a Value>) -> Result<Value> {
    let mut total = None;
    for value in values {
        total = Some(match (total, value) {
            (None, value) => value.clone(),
            (Some(Value::Int(a)), Value::Int(b)) => {
                a.checked_add(*b).map(Value::Int).ok_or_else(|| error("22003", "bigint out of range"))?
            }
            (Some(a), b) => match (a.as_float(), b.as_float()) {
                (Some(a), Some(b)) => Value::Float(a + b),
                _ => return Err(error(code::DATATYPE_MISMATCH, "sum needs numbers")),
            },
        });
    }
    Ok(total.unwrap_or_default())
}

/// `string_agg(text, delimiter)`.
fn join(rows: &[Vec<Value>]) -> Value {
    let mut out: Option<String> = None;
    for row in rows {
        let Some(text) = row.first().and_then(Value::as_str) else { continue };
        match &mut out {
            None => out = Some(text.to_string()),
            Some(out) => {
                out.push_str(row.get(1).and_then(Value::as_str).unwrap_or_default());
                out.push_str(text);
            }
        }
    }
    out.into()
}
