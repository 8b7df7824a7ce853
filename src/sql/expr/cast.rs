//! Conversions of types: which there are, which happen by themselves, and the common type of several expressions.

use zset::ColumnType;
use zset::ColumnType as T;

use super::scalar::Scalar;
use super::{Op, Typed, literal, parameter, scale_is_known};
use crate::error::{Detail, Result, code, error, unsupported};
use crate::types::{BARE_NUMERIC, message_name};

/// Whether a type is a number; if so, its place in smallint < integer < bigint < numeric < real < double precision.
pub(crate) fn number_rank(ty: ColumnType) -> Option<u8> {
    Some(match ty {
        T::SmallInt => 0,
        T::Int => 1,
        T::BigInt => 2,
        T::Numeric { .. } => 3,
        T::Real => 4,
        T::Double => 5,
        _ => return None,
    })
}

fn moment_rank(ty: ColumnType) -> Option<u8> {
    Some(match ty {
        T::Date => 0,
        T::Timestamp(_) => 1,
        T::TimestampTz(_) => 2,
        _ => return None,
    })
}

/// Whether a type is text of any length.
pub(crate) fn is_text(ty: ColumnType) -> bool {
    matches!(ty, T::Text | T::Varchar(_))
}

/// Whether a type is a whole number.
pub(crate) fn is_integer(ty: ColumnType) -> bool {
    matches!(ty, T::SmallInt | T::Int | T::BigInt)
}

/// A number type as numeric: as many digits as it may have.
pub(crate) fn as_numeric(ty: ColumnType) -> Option<(u8, i8)> {
    Some(match ty {
        T::SmallInt => (5, 0),
        T::Int => (10, 0),
        T::BigInt => (19, 0),
        T::Numeric { precision, scale } => (precision, scale),
        _ => return None,
    })
}

/// A numeric with so many digits before and behind the point, at most 76 together.
pub(crate) fn numeric_of(integer_digits: u32, scale: i8) -> ColumnType {
    let precision = (integer_digits + u32::from(scale.unsigned_abs())).clamp(1, 76) as u8;
    T::Numeric { precision, scale }
}

/// The digits before the point.
pub(crate) fn integer_digits(precision: u8, scale: i8) -> u32 {
    u32::from(precision).saturating_sub(u32::from(scale.unsigned_abs()))
}

/// The type that holds the values of both, if values of both can be one column without an explicit cast.
pub(crate) fn common(a: ColumnType, b: ColumnType) -> Option<ColumnType> {
    if a == b {
        return Some(a);
    }
    if let (Some(x), Some(y)) = (number_rank(a), number_rank(b)) {
        return match (as_numeric(a), as_numeric(b)) {
            (Some((p1, s1)), Some((p2, s2))) if x == 3 || y == 3 => {
                Some(numeric_of(integer_digits(p1, s1).max(integer_digits(p2, s2)), s1.max(s2)))
            }
            _ => Some(if x > y { a } else { b }),
        };
    }
    if is_text(a) && is_text(b) {
        return Some(T::Text);
    }
    if let (Some(x), Some(y)) = (moment_rank(a), moment_rank(b)) {
        return Some(match x.max(y) {
            0 => T::Date,
            1 => T::Timestamp(6),
            _ => T::TimestampTz(6),
        });
    }
    None
}

/// The common type of several expressions, for CASE, COALESCE, UNION, VALUES and the like; text if none has a type.
pub(crate) fn common_of<'a>(types: impl IntoIterator<Item = &'a Option<ColumnType>>, what: &str) -> Result<ColumnType> {
    let mut found: Option<ColumnType> = None;
    let mut literals = false;
    for ty in types {
        let Some(ty) = ty else {
            literals = true;
            continue;
        };
        found = Some(match found {
            None => *ty,
            Some(before) => common(before, *ty).ok_or_else(|| {
                error(
                    code::DATATYPE_MISMATCH,
                    format!("{what} types {} and {} cannot be matched", message_name(before), message_name(*ty)),
                )
                .with_hint("cast them to one type")
            })?,
        });
    }
    Ok(match found {
        None => T::Text,
        // a literal has no length limit, and must not be cut by one
        Some(T::Varchar(_)) if literals => T::Text,
        Some(ty) => ty,
    })
}

/// Makes an expression of a type where PostgreSQL would without being asked: literals of no type, wider numbers, text of
/// any length, later moments. Refuses with the message if it would not.
pub(crate) fn implicit(typed: Typed, to: ColumnType, refused: impl FnOnce(&Typed) -> String) -> Result<Typed> {
    match typed.ty {
        // PostgreSQL would keep all its digits: those that the other values' type has no place for are an error
        None if matches!(to, T::Numeric { .. }) => match parameter::open(&typed) {
            Some(_) => Ok(Scalar::call(Op::CastExactly, vec![operand(typed, to)?], to)),
            None => of_unknown_exactly(typed, to),
        },
        None => of_unknown(typed, to),
        Some(from) if from == to => Ok(typed),
        Some(from) if common(from, to).is_some_and(|ty| reaches(ty, to)) => convert(typed, to),
        Some(_) => Err(error(code::DATATYPE_MISMATCH, refused(&typed)).with_hint("cast it explicitly")),
    }
}

/// Whether values of `common` are kept whole by `to`: numerics may only grow.
fn reaches(common: ColumnType, to: ColumnType) -> bool {
    match (common, to) {
        (T::Numeric { precision: p1, scale: s1 }, T::Numeric { precision: p2, scale: s2 }) => {
            s1 <= s2 && (integer_digits(p1, s1) <= integer_digits(p2, s2) || p2 == 76)
        }
        (T::Text, T::Text) => true,
        (T::Timestamp(_), T::Timestamp(_)) | (T::TimestampTz(_), T::TimestampTz(_)) => true,
        (a, b) => a == b,
    }
}

/// A literal without a type becomes one of this type: PostgreSQL reads its text. A parameter without a type has this one.
pub(crate) fn of_unknown(typed: Typed, to: ColumnType) -> Result<Typed> {
    if let Some(name) = parameter::open(&typed) {
        return Ok(Typed::new(parameter::expr(name, Some(to)), to));
    }
    let Some(text) = literal::text_of(&typed) else { return literal::null(to) };
    let text = literal::literal(datafusion::scalar::ScalarValue::Utf8(Some(text.to_string())), T::Text);
    match to {
        T::Text => Ok(text),
        to => literal::fold(Scalar::call(Op::Cast, vec![text], to)),
    }
}

/// As [`of_unknown`]; digits that a numeric has no place for are an error.
pub(crate) fn of_unknown_exactly(typed: Typed, to: ColumnType) -> Result<Typed> {
    let Some(text) = literal::text_of(&typed) else { return of_unknown(typed, to) };
    let text = literal::literal(datafusion::scalar::ScalarValue::Utf8(Some(text.to_string())), T::Text);
    literal::fold(Scalar::call(Op::CastExactly, vec![text], to))
}

/// A literal or parameter without a type as the other operand of an operator: of that type, but without its bounds. What
/// is compared with a numeric(10,2) keeps all its digits, and with a varchar(3) all its letters.
pub(crate) fn operand(typed: Typed, other: ColumnType) -> Result<Typed> {
    match other {
        T::Numeric { scale, .. } if parameter::open(&typed).is_some() => {
            let scale = if (10..38).contains(&scale) { scale } else { 10 };
            of_unknown(typed, T::Numeric { precision: 38, scale })
        }
        T::Numeric { .. } => bare_literal(typed, other),
        T::Varchar(_) => of_unknown(typed, T::Text),
        T::Timestamp(_) => of_unknown(typed, T::Timestamp(6)),
        T::TimestampTz(_) => of_unknown(typed, T::TimestampTz(6)),
        other => of_unknown(typed, other),
    }
}

/// The conversion itself, of types that have one; computed at once for literals.
pub(crate) fn convert(typed: Typed, to: ColumnType) -> Result<Typed> {
    let Some(from) = typed.ty else { return of_unknown(typed, to) };
    if from == to {
        return Ok(typed);
    }
    let op = if is_relabel(from, to) { Op::Relabel } else { Op::Cast };
    literal::fold(Scalar::call(op, vec![typed], to))
}

/// Whether the bytes stay as they are.
fn is_relabel(from: ColumnType, to: ColumnType) -> bool {
    match (from, to) {
        (T::Varchar(n), T::Varchar(m)) => n <= m,
        (T::Varchar(_) | T::Uuid | T::Jsonb, T::Text) => true,
        (T::Timestamp(p), T::Timestamp(q)) | (T::TimestampTz(p), T::TimestampTz(q)) => p <= q,
        _ => false,
    }
}

/// `CAST(x AS type)`: PostgreSQL's explicit conversions, those between types we have.
pub(crate) fn explicit(typed: Typed, to: ColumnType, bare_numeric: bool) -> Result<Typed> {
    let Some(from) = typed.ty else {
        return if bare_numeric { bare_literal(typed, to) } else { of_unknown(typed, to) };
    };
    if bare_numeric && let Some((precision, scale)) = as_numeric(from) {
        return convert(typed, T::Numeric { precision, scale });
    }
    if !is_castable(from, to) {
        return Err(error(
            code::CANNOT_COERCE,
            format!("cannot cast type {} to {}", message_name(from), message_name(to)),
        )
        .with_hint("cast it to a type in between, if there is one"));
    }
    if to == T::Jsonb && from != T::Jsonb {
        return Err(unsupported("a cast to jsonb", "keep the document as text, or read it as jsonb from the topic"));
    }
    if bare_numeric {
        return literal::fold(Scalar::call(Op::CastExactly, vec![typed], to));
    }
    if is_text(to) && !scale_is_known(from) {
        return Err(unknown_scale("its text"));
    }
    convert(typed, to)
}

/// `'1.50'::numeric`: a numeric with the literal's own digits.
fn bare_literal(typed: Typed, to: ColumnType) -> Result<Typed> {
    if parameter::open(&typed).is_some() {
        return of_unknown(typed, BARE_NUMERIC);
    }
    let Some(text) = literal::text_of(&typed) else { return literal::null(to) };
    let trimmed = text.trim();
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || digits.contains('_') {
        return of_unknown(typed, to);
    }
    let Ok(number) = literal::number(digits, negative) else { return of_unknown(typed, to) };
    let Some((precision, scale)) = number.ty.and_then(as_numeric) else { return of_unknown(typed, to) };
    convert(number, T::Numeric { precision, scale })
}

/// The refusal of what would show how many digits a quotient or an average is kept with.
pub(crate) fn unknown_scale(what: &str) -> dataflow::StatementError {
    unsupported(
        format!("{what} of a quotient or avg, whose digits behind the point differ by row,"),
        "give it digits first: round(x, 6), or x::numeric(20,6)",
    )
}

fn is_castable(from: ColumnType, to: ColumnType) -> bool {
    if is_text(from) || is_text(to) {
        return true;
    }
    if number_rank(from).is_some() && number_rank(to).is_some() {
        return true;
    }
    match (from, to) {
        (T::Boolean, T::Int) | (T::Int, T::Boolean) => true,
        (T::Timestamp(_) | T::TimestampTz(_), T::Time) => true,
        (a, b) if moment_rank(a).is_some() && moment_rank(b).is_some() => true,
        (a, b) => std::mem::discriminant(&a) == std::mem::discriminant(&b),
    }
}
