//! One JSON value into one column, strictly: a string is read as PostgreSQL would read it; a number that would lose
//! something, or a number for text, is refused.

use std::borrow::Cow;

use zset::ColumnType;

use super::decimal::{read_unscaled, read_variable};
use super::locate::Kind;
use super::wire::{Unit, Wire};
use crate::cells::{Cell, Cells};
use crate::text::{self, Misfit, misfit, misfit_with};

/// Why a value is refused.
#[derive(Debug)]
pub(super) struct Problem {
    /// The value as it is to be shown, if not as it is written.
    pub shown: Option<String>,
    /// What is wrong with it.
    pub why: Misfit,
}

impl From<Misfit> for Problem {
    fn from(why: Misfit) -> Self {
        Self { shown: None, why }
    }
}

/// Reads what most values are: integers, and text and booleans that are as they are written. Whether it was one; if not, nothing was
/// read.
pub(super) fn read_usual(ty: ColumnType, kind: Kind, token: &[u8], cells: &mut Cells) -> bool {
    match (kind, token) {
        (Kind::Integer(value), _) => cells.push_integer(value),
        (Kind::Literal, [b'"', text @ .., b'"']) => match ty {
            // A character 0 would be written as an escape.
            ColumnType::Text => cells.push(Cell::Bytes(text)).is_ok(),
            ColumnType::Varchar(most) if text.len() <= most as usize => cells.push(Cell::Bytes(text)).is_ok(),
            _ => false,
        },
        (Kind::Literal, word @ (b"true" | b"false")) if ty == ColumnType::Boolean => {
            cells.push(Cell::Boolean(word == b"true")).is_ok()
        }
        _ => false,
    }
}

/// Reads a token that is not null.
pub(super) fn read(ty: ColumnType, wire: Wire, token: &str, cells: &mut Cells) -> Result<(), Problem> {
    match (token.as_bytes().first(), ty) {
        (Some(b'"'), _) => read_text(ty, wire, &string(token)?, cells),
        (_, ColumnType::Jsonb) => Ok(cells.push(Cell::Bytes(text::jsonb(token)?.as_bytes()))?),
        (Some(b't' | b'f'), ColumnType::Boolean) => Ok(cells.push(Cell::Boolean(token == "true"))?),
        (Some(b't' | b'f'), _) => Ok(misfit("is a boolean")?),
        (Some(b'{'), ColumnType::Numeric { .. }) if matches!(wire, Wire::Unscaled(_)) => {
            read_variable(ty, token, cells)
        }
        (Some(b'{'), _) => Ok(misfit("is an object")?),
        (Some(b'['), _) => Ok(misfit("is an array")?),
        _ => read_number(ty, wire, token, cells),
    }
}

/// The text of a string's token.
fn string(token: &str) -> Result<Cow<'_, str>, Misfit> {
    match token.contains('\\') {
        false => Ok(Cow::Borrowed(&token[1..token.len() - 1])),
        true => text::unescape(token).map(Cow::Owned),
    }
}

/// Reads the text of a string.
pub(super) fn read_text(ty: ColumnType, wire: Wire, value: &str, cells: &mut Cells) -> Result<(), Problem> {
    let cell = match (ty, wire) {
        (ColumnType::Boolean, _) => Cell::Boolean(text::boolean(value)?),
        (ColumnType::SmallInt | ColumnType::Int | ColumnType::BigInt, _) => integer(ty, value)?,
        (ColumnType::Real, _) => Cell::Real(text::real(value)?),
        (ColumnType::Double, _) => Cell::Double(text::double(value)?),
        (ColumnType::Numeric { .. }, Wire::Unscaled(scale)) => return read_unscaled(ty, scale, value, cells),
        (ColumnType::Numeric { .. }, _) => numeric(ty, value)?,
        (ColumnType::Text, _) => Cell::Bytes(no_nul(value)?.as_bytes()),
        (ColumnType::Varchar(most), _) => Cell::Bytes(varchar(no_nul(value)?, most)?.as_bytes()),
        (ColumnType::Bytea, _) => return Ok(cells.push(Cell::Bytes(&bytes(wire, value)?))?),
        (ColumnType::Date, _) => Cell::Int(text::date(value)?),
        (ColumnType::Time, _) => Cell::BigInt(text::time(value)?),
        (ColumnType::Timestamp(digits), _) => Cell::BigInt(text::timestamp(value, digits)?),
        (ColumnType::TimestampTz(digits), _) => Cell::BigInt(text::timestamptz(value, digits)?),
        (ColumnType::Uuid, _) => return Ok(cells.push(Cell::Bytes(&text::uuid(value)?))?),
        (ColumnType::Jsonb, _) => return Ok(cells.push(Cell::Bytes(text::jsonb(value)?.as_bytes()))?),
    };
    Ok(cells.push(cell)?)
}

fn read_number(ty: ColumnType, wire: Wire, token: &str, cells: &mut Cells) -> Result<(), Problem> {
    let cell = match (ty, wire) {
        (ColumnType::SmallInt | ColumnType::Int | ColumnType::BigInt, _) => integer(ty, token)?,
        (ColumnType::Real, _) => {
            let value = text::real(token)?;
            whole_number_kept(token, 7, || format!("{value:e}"))?;
            Cell::Real(value)
        }
        (ColumnType::Double, _) => {
            let value = text::double(token)?;
            whole_number_kept(token, 15, || format!("{value:e}"))?;
            Cell::Double(value)
        }
        (ColumnType::Numeric { .. }, _) => numeric(ty, token)?,
        (ColumnType::Date, Wire::Days) => Cell::Int(text::check_date(count(token)?)?),
        (ColumnType::Time, Wire::Time(unit)) => Cell::BigInt(time(micros(count(token)?, unit)?)?),
        (ColumnType::Timestamp(digits) | ColumnType::TimestampTz(digits), Wire::Instant(unit)) => {
            let micros = text::check_timestamp(micros(count(token)?, unit)?)?;
            Cell::BigInt(text::round_timestamp(micros, digits)?)
        }
        (ColumnType::Date | ColumnType::Time | ColumnType::Timestamp(_), _) => {
            return Ok(misfit("is a number, and neither time_precision_mode nor a schema part says what it counts")?);
        }
        (ColumnType::Boolean, _) => return Ok(misfit("is a number, and true or false was expected")?),
        _ => return Ok(misfit("is a number, and a string was expected")?),
    };
    Ok(cells.push(cell)?)
}

fn integer(ty: ColumnType, value: &str) -> Result<Cell<'static>, Misfit> {
    Ok(match ty {
        ColumnType::SmallInt => Cell::SmallInt(text::integer(value, i16::MIN.into(), i16::MAX.into())? as i16),
        ColumnType::Int => Cell::Int(text::integer(value, i32::MIN.into(), i32::MAX.into())? as i32),
        _ => Cell::BigInt(text::integer(value, i64::MIN, i64::MAX)?),
    })
}

fn numeric(ty: ColumnType, value: &str) -> Result<Cell<'static>, Misfit> {
    match ty {
        ColumnType::Numeric { precision, scale } if precision <= 38 => {
            text::numeric128(value, precision, scale).map(Cell::Decimal)
        }
        ColumnType::Numeric { precision, scale } => text::numeric256(value, precision, scale).map(Cell::WideDecimal),
        other => panic!("a numeric is read for a numeric column, not for {other}"),
    }
}

fn no_nul(value: &str) -> Result<&str, Misfit> {
    if value.contains('\0') { misfit("holds the character 0, which no text of PostgreSQL can") } else { Ok(value) }
}

/// Spaces too many are cut, as PostgreSQL does; anything else too many is refused.
fn varchar(value: &str, most: u32) -> Result<&str, Misfit> {
    let most = most as usize;
    if value.len() <= most {
        return Ok(value);
    }
    match value.char_indices().nth(most) {
        None => Ok(value),
        Some((end, _)) if value[end..].bytes().all(|byte| byte == b' ') => Ok(&value[..end]),
        Some(_) => misfit_with(format!("has {} characters", value.chars().count())),
    }
}

fn bytes(wire: Wire, value: &str) -> Result<Vec<u8>, Misfit> {
    match wire {
        Wire::Base64Url => text::base64_url(value),
        Wire::Hex => text::hex(value.strip_prefix("\\x").unwrap_or(value)),
        _ => text::bytea(value),
    }
}

fn count(token: &str) -> Result<i64, Misfit> {
    text::integer(token, i64::MIN, i64::MAX)
}

fn micros(count: i64, unit: Unit) -> Result<i128, Misfit> {
    let count = i128::from(count);
    match unit {
        Unit::Millis => Ok(count * 1000),
        Unit::Micros => Ok(count),
        Unit::Nanos if count % 1000 == 0 => Ok(count / 1000),
        Unit::Nanos => misfit("counts nanoseconds, and only whole microseconds are kept"),
    }
}

fn time(micros: i128) -> Result<i64, Misfit> {
    match i64::try_from(micros) {
        Ok(micros) if (0..=text::MICROS_PER_DAY).contains(&micros) => Ok(micros),
        _ => misfit("is out of the range of time (00:00:00 to 24:00:00)"),
    }
}

/// A whole number in a float column must come back with the digits it was written with. (A fraction need not: 0.1 is
/// no float, and everybody knows.)
fn whole_number_kept(token: &str, safe: usize, shortest: impl Fn() -> String) -> Result<(), Misfit> {
    let digits = token.trim_start_matches('-');
    if digits.len() <= safe || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    let shortest = shortest();
    let mantissa = shortest.split('e').next().unwrap_or_default();
    let kept = mantissa.bytes().filter(u8::is_ascii_digit);
    let kept: Vec<u8> = kept.collect();
    let end = kept.iter().rposition(|digit| *digit != b'0').map_or(0, |at| at + 1);
    match digits.trim_end_matches('0').as_bytes() == &kept[..end] {
        true => Ok(()),
        false => misfit("is a whole number that this type cannot keep exactly"),
    }
}

/// A token for a message: its first 80 characters.
pub(super) fn shorten(token: &str) -> String {
    match token.char_indices().nth(80) {
        None => visible(token),
        Some((end, _)) => format!("{}… ({} bytes)", visible(&token[..end]), token.len()),
    }
}

/// A text in which what cannot be seen is written as an escape.
pub(super) fn visible(text: &str) -> String {
    let hidden =
        |c: char| c.is_control() || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}');
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match hidden(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
