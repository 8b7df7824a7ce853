//! Literals and constants: of exact types, computed at planning time where nothing but constants is involved.

use std::collections::BTreeMap;

use arrow::array::ArrayRef;
use datafusion::common::metadata::FieldMetadata;
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::Value;
use zset::{ColumnType, TYPE_METADATA_KEY};

use super::Typed;
use crate::error::{Result, code, error, from_datafusion, from_row, syntax, unsupported};

/// A literal of a type.
pub(crate) fn literal(value: ScalarValue, ty: ColumnType) -> Typed {
    let metadata = FieldMetadata::from(BTreeMap::from([(TYPE_METADATA_KEY.to_string(), ty.to_string())]));
    Typed::new(Expr::Literal(value, Some(metadata)), ty)
}

/// NULL of a type.
pub(crate) fn null(ty: ColumnType) -> Result<Typed> {
    let value = ScalarValue::try_from(&ty.arrow()).map_err(from_datafusion)?;
    Ok(literal(value, ty))
}

/// A boolean.
pub(crate) fn boolean(value: bool) -> Typed {
    literal(ScalarValue::Boolean(Some(value)), ColumnType::Boolean)
}

/// The value of a literal.
pub(crate) fn value_of(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

/// A text literal's text, typed or not.
pub(crate) fn text_of(typed: &Typed) -> Option<&str> {
    match value_of(&typed.expr) {
        Some(ScalarValue::Utf8(Some(text))) => Some(text),
        _ => None,
    }
}

/// A whole-number literal.
pub(crate) fn integer_of(typed: &Typed) -> Option<i64> {
    match value_of(&typed.expr)? {
        ScalarValue::Int16(Some(n)) => Some(i64::from(*n)),
        ScalarValue::Int32(Some(n)) => Some(i64::from(*n)),
        ScalarValue::Int64(Some(n)) => Some(*n),
        _ => None,
    }
}

/// The literal of a token.
pub(crate) fn from_value(value: &Value) -> Result<Typed> {
    match value {
        Value::Number(digits, false) => number(digits, false),
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) | Value::UnicodeStringLiteral(text) => {
            Ok(unknown_text(text))
        }
        Value::DollarQuotedString(text) => Ok(unknown_text(&text.value)),
        Value::Boolean(value) => Ok(boolean(*value)),
        Value::Null => Ok(Typed { expr: Expr::Literal(ScalarValue::Null, None), ty: None }),
        other => {
            Err(unsupported(format!("the literal {other}"), "use a plain 'string', a number, TRUE, FALSE or NULL"))
        }
    }
}

/// A string literal whose type its use decides.
pub(crate) fn unknown_text(text: &str) -> Typed {
    Typed { expr: Expr::Literal(ScalarValue::Utf8(Some(text.to_string())), None), ty: None }
}

/// A number with the sign directly before it: the smallest of integer, bigint and numeric that holds it.
pub(crate) fn number(digits: &str, negative: bool) -> Result<Typed> {
    let digits = digits.replace('_', "");
    if let Ok(n) = digits.parse::<i128>() {
        let n = if negative { -n } else { n };
        if let Ok(small) = i32::try_from(n) {
            return Ok(literal(ScalarValue::Int32(Some(small)), ColumnType::Int));
        }
        if let Ok(n) = i64::try_from(n) {
            return Ok(literal(ScalarValue::Int64(Some(n)), ColumnType::BigInt));
        }
    }
    let (value, scale) = kernels::parse_numeric_literal(&digits).ok_or_else(|| {
        syntax(format!("the number {digits} has more than 76 digits, or more than 38 behind the point"))
    })?;
    let precision = kernels::digits_of(value).max(scale).max(1) as u8;
    let ty = ColumnType::Numeric { precision, scale: scale as i8 };
    let value = if negative { value.wrapping_neg() } else { value };
    let value = match value.to_i128() {
        Some(small) if precision <= 38 => ScalarValue::Decimal128(Some(small), precision, scale as i8),
        _ => ScalarValue::Decimal256(Some(value), precision, scale as i8),
    };
    Ok(literal(value, ty))
}

/// Computes a function call whose arguments are all literals; others are left as they are.
pub(crate) fn fold(typed: Typed) -> Result<Typed> {
    let (Expr::ScalarFunction(call), Some(ty)) = (&typed.expr, typed.ty) else { return Ok(typed) };
    let Some(scalar) = super::scalar::of(&call.func) else { return Ok(typed) };
    let values: Option<Vec<&ScalarValue>> = call.args.iter().map(value_of).collect();
    let Some(values) = values else { return Ok(typed) };
    let arrays = values.iter().map(|v| v.to_array()).collect::<Result<Vec<ArrayRef>, _>>().map_err(from_datafusion)?;
    let output = scalar.compute(&arrays, 1).map_err(from_row)?;
    let value = ScalarValue::try_from_array(&output, 0).map_err(from_datafusion)?;
    Ok(literal(value, ty))
}

/// A literal where only a literal will do.
pub(crate) fn demand_text<'a>(typed: &'a Typed, what: &str) -> Result<&'a str> {
    text_of(typed).ok_or_else(|| {
        let mut e = unsupported(format!("{what} that is not a literal"), "write it as a 'string'");
        if typed.ty.is_some_and(|ty| ty.arrow() != arrow::datatypes::DataType::Utf8) {
            e = error(code::UNDEFINED_FUNCTION, format!("{what} must be text, not {}", typed.type_name()));
        }
        e
    })
}
