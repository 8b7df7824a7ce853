//! Conversions between types: one arm a pair, checked.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryBuilder, BooleanArray, BooleanBuilder, PrimitiveArray,
    StringArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType, i256,
};
use zset::ColumnType as T;
use zset::{RowError, sqlstate};

use super::civil::{DAY, TIMESTAMP_DAYS, split};
use super::decimal::{Rounding, finish, overflow, round_to, wide};
use super::number::out_of_range;
use super::{Result, format, parse, primitive, strings, valid};

/// Converts a column.
pub(super) fn cast(array: &ArrayRef, from: T, to: T, exact: bool) -> Result<ArrayRef> {
    match (from, to) {
        (T::Text | T::Varchar(_) | T::Uuid | T::Jsonb, T::Varchar(n)) => cut(array.as_string::<i32>(), n),
        (_, T::Varchar(n)) => cut(printed(array, from)?.as_string::<i32>(), n),
        (T::Text | T::Varchar(_), to) => read(array.as_string::<i32>(), to, exact),
        (_, T::Text) => printed(array, from),
        (T::Boolean, T::Int) => {
            let flags = array.as_boolean();
            let value = |row| Ok(i32::from(flags.value(row)));
            Ok(Arc::new(primitive::<Int32Type>(array.len(), valid(&[array.as_ref()]), value)?))
        }
        (T::Int, T::Boolean) => {
            let numbers = array.as_primitive::<Int32Type>();
            Ok(Arc::new(BooleanArray::from_unary(numbers, |n| n != 0)))
        }
        (T::Date | T::Timestamp(_) | T::TimestampTz(_), _) => moment(array, from, to),
        _ => number(array, from, to, exact),
    }
}

/// varchar(n): an explicit cast cuts.
fn cut(text: &StringArray, n: u32) -> Result<ArrayRef> {
    let output = strings(text.len(), valid(&[text]), |row, out| {
        let value = text.value(row);
        out.push_str(&value[..super::text::byte_of(value, n as usize)]);
        Ok(())
    })?;
    Ok(Arc::new(output))
}

fn printed(array: &ArrayRef, from: T) -> Result<ArrayRef> {
    let array = array.as_ref();
    let decimals = matches!(from, T::Numeric { .. }).then(|| wide(array));
    let output = strings(array.len(), valid(&[array]), |row, out| {
        match from {
            T::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
            T::SmallInt => out.push_str(&array.as_primitive::<Int16Type>().value(row).to_string()),
            T::Int => out.push_str(&array.as_primitive::<Int32Type>().value(row).to_string()),
            T::BigInt => out.push_str(&array.as_primitive::<Int64Type>().value(row).to_string()),
            T::Real => format::real(array.as_primitive::<Float32Type>().value(row), out),
            T::Double => format::double(array.as_primitive::<Float64Type>().value(row), out),
            T::Numeric { scale, .. } => {
                if let Some(decimals) = &decimals {
                    format::numeric(decimals.value(row), scale, out);
                }
            }
            T::Date => format::date(i64::from(array.as_primitive::<Date32Type>().value(row)), out),
            T::Time => format::time(array.as_primitive::<Time64MicrosecondType>().value(row), out),
            T::Timestamp(_) => {
                format::timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row), false, out)
            }
            T::TimestampTz(_) => {
                format::timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row), true, out)
            }
            T::Bytea => format::bytea(array.as_binary::<i32>().value(row), out),
            T::Text | T::Varchar(_) | T::Uuid | T::Jsonb => out.push_str(array.as_string::<i32>().value(row)),
        }
        Ok(())
    })?;
    Ok(Arc::new(output))
}

/// Text as values.
fn read(text: &StringArray, to: T, exact: bool) -> Result<ArrayRef> {
    fn of<P: ArrowPrimitiveType>(text: &StringArray, read: impl Fn(&str) -> Result<P::Native>) -> Result<ArrayRef> {
        Ok(Arc::new(primitive::<P>(text.len(), valid(&[text]), |row| read(text.value(row)))?))
    }
    let rows = text.len();
    let nulls = valid(&[text]);
    Ok(match to {
        T::SmallInt => of::<Int16Type>(text, |t| {
            parse::integer(t, "smallint", i16::MIN.into(), i16::MAX.into()).map(|n| n as i16)
        })?,
        T::Int => {
            of::<Int32Type>(text, |t| parse::integer(t, "integer", i32::MIN.into(), i32::MAX.into()).map(|n| n as i32))?
        }
        T::BigInt => of::<Int64Type>(text, |t| parse::integer(t, "bigint", i64::MIN, i64::MAX))?,
        T::Real => of::<Float32Type>(text, parse::real)?,
        T::Double => of::<Float64Type>(text, parse::double)?,
        T::Numeric { scale, .. } => {
            let values = primitive::<Decimal256Type>(rows, nulls, |row| parse::numeric(text.value(row), scale, exact))?;
            finish(values, to)?
        }
        T::Date => of::<Date32Type>(text, parse::date)?,
        T::Time => of::<Time64MicrosecondType>(text, parse::time)?,
        T::Timestamp(p) | T::TimestampTz(p) => {
            let zoned = matches!(to, T::TimestampTz(_));
            let values = primitive::<TimestampMicrosecondType>(rows, nulls, |row| {
                Ok(rounded(parse::timestamp(text.value(row), zoned)?, p))
            })?;
            timestamps(values, to)
        }
        T::Uuid => Arc::new(strings(rows, nulls, |row, out| parse::uuid(text.value(row), out))?),
        T::Boolean => {
            let mut flags = BooleanBuilder::with_capacity(rows);
            for value in text {
                flags.append_option(value.map(parse::boolean).transpose()?);
            }
            Arc::new(flags.finish())
        }
        T::Bytea => {
            let mut bytes = BinaryBuilder::new();
            for value in text {
                bytes.append_option(value.map(parse::bytea).transpose()?);
            }
            Arc::new(bytes.finish())
        }
        T::Jsonb => Arc::new(strings(rows, nulls, |row, out| {
            let document = schemas::text::jsonb(text.value(row)).map_err(|why| {
                RowError::new(sqlstate::INVALID_TEXT, format!("invalid input syntax for type json: it {why}"))
            })?;
            out.push_str(&document);
            Ok(())
        })?),
        T::Text | T::Varchar(_) => Arc::new(text.clone()),
    })
}

/// Microseconds rounded to p digits of a second, half away from zero.
fn rounded(micros: i64, p: u8) -> i64 {
    let unit = 10i64.pow(u32::from(6 - p.min(6)));
    let half = unit / 2;
    if micros >= 0 {
        micros.saturating_add(half) / unit * unit
    } else {
        -(micros.saturating_neg().saturating_add(half) / unit * unit)
    }
}

fn timestamps(values: PrimitiveArray<TimestampMicrosecondType>, to: T) -> ArrayRef {
    let zone = matches!(to, T::TimestampTz(_)).then_some("UTC");
    Arc::new(values.with_timezone_opt(zone))
}

/// Dates and times into each other; the zone is UTC.
fn moment(array: &ArrayRef, from: T, to: T) -> Result<ArrayRef> {
    let micros: PrimitiveArray<TimestampMicrosecondType> = if from == T::Date {
        let days = array.as_primitive::<Date32Type>();
        primitive::<TimestampMicrosecondType>(array.len(), valid(&[days]), |row| {
            let day = i64::from(days.value(row));
            let beyond = || RowError::new(sqlstate::DATETIME_OVERFLOW, "date out of range for timestamp");
            if TIMESTAMP_DAYS.contains(&day) { Ok(day * DAY) } else { Err(beyond()) }
        })?
    } else {
        array.as_primitive::<TimestampMicrosecondType>().clone()
    };
    Ok(match to {
        T::Date => Arc::new(micros.unary::<_, Date32Type>(|at| split(at).0 as i32)),
        T::Time => Arc::new(micros.unary::<_, Time64MicrosecondType>(|at| split(at).1)),
        T::Timestamp(p) | T::TimestampTz(p) => {
            timestamps(micros.unary::<_, TimestampMicrosecondType>(|at| rounded(at, p)), to)
        }
        _ => return Err(RowError::new(sqlstate::DATA_EXCEPTION, format!("cannot cast {from} to {to}"))),
    })
}

/// Whole numbers and numerics into numerics of at least their scale, in 128 bits.
fn widen(array: &ArrayRef, from: T, to: T) -> Result<Option<ArrayRef>> {
    let T::Numeric { precision: precision @ ..=38, scale } = to else { return Ok(None) };
    let own = match from {
        T::Numeric { precision: ..=38, scale } => scale,
        T::SmallInt | T::Int | T::BigInt => 0,
        _ => return Ok(None),
    };
    if own > scale {
        return Ok(None);
    }
    let values: PrimitiveArray<Decimal128Type> = match from {
        T::Numeric { .. } => array.as_primitive::<Decimal128Type>().clone(),
        _ => bigints(array).unary(i128::from),
    };
    let (power, bound) = (10i128.pow((scale - own) as u32), 10i128.pow(u32::from(precision)));
    let widened = primitive::<Decimal128Type>(array.len(), valid(&[array.as_ref()]), |row| {
        let value = values.value(row).checked_mul(power);
        value.filter(|v| *v < bound && *v > -bound).ok_or_else(|| overflow(to))
    })?;
    Ok(Some(Arc::new(widened.with_precision_and_scale(precision, scale).map_err(|_| overflow(to))?)))
}

/// Numbers into each other.
fn number(array: &ArrayRef, from: T, to: T, exact: bool) -> Result<ArrayRef> {
    if let Some(widened) = widen(array, from, to)? {
        return Ok(widened);
    }
    let nulls = valid(&[array.as_ref()]);
    let rows = array.len();
    match (from, to) {
        (T::Numeric { scale, .. }, T::Numeric { scale: s2, .. }) => {
            let a = wide(array.as_ref());
            let values = primitive::<Decimal256Type>(rows, nulls, |row| {
                round_to(a.value(row), scale.into(), s2.into(), Rounding::HalfAway).ok_or_else(|| overflow(to))
            })?;
            finish(values, to)
        }
        (T::Numeric { scale, .. }, T::Real | T::Double) => {
            let a = wide(array.as_ref());
            float(rows, nulls, to, |row| to_double(a.value(row), scale), |row| to_real(a.value(row), scale))
        }
        (T::Numeric { scale, .. }, _) => {
            let a = wide(array.as_ref());
            integer(rows, nulls, to, |row| {
                round_to(a.value(row), scale.into(), 0, Rounding::HalfAway).and_then(i256::to_i128)
            })
        }
        (T::Real | T::Double, T::Numeric { scale, .. }) => {
            let a = doubles(array);
            let digits = if from == T::Real { 6 } else { 15 };
            let values =
                primitive::<Decimal256Type>(rows, nulls, |row| from_float(a.value(row), digits, scale, exact))?;
            finish(values, to)
        }
        (T::Real | T::Double, T::Real | T::Double) => {
            let a = doubles(array);
            let narrow = |row| {
                let (wide, value) = (a.value(row), a.value(row) as f32);
                if value.is_infinite() && wide.is_finite() {
                    return Err(RowError::new(sqlstate::OUT_OF_RANGE, "value out of range: overflow"));
                }
                if value == 0.0 && wide != 0.0 {
                    return Err(RowError::new(sqlstate::OUT_OF_RANGE, "value out of range: underflow"));
                }
                Ok(value)
            };
            float(rows, nulls, to, |row| Ok(a.value(row)), narrow)
        }
        (T::Real | T::Double, _) => {
            let a = doubles(array);
            integer(rows, nulls, to, |row| {
                let value = a.value(row).round_ties_even();
                (value.abs() < 1e30).then_some(value as i128)
            })
        }
        (_, T::Numeric { scale, .. }) => {
            let a = bigints(array);
            let values = primitive::<Decimal256Type>(rows, nulls, |row| {
                round_to(i256::from(a.value(row)), 0, scale.into(), Rounding::HalfAway).ok_or_else(|| overflow(to))
            })?;
            finish(values, to)
        }
        (_, T::Real | T::Double) => {
            let a = bigints(array);
            float(rows, nulls, to, |row| Ok(a.value(row) as f64), |row| Ok(a.value(row) as f32))
        }
        _ => {
            let a = bigints(array);
            integer(rows, nulls, to, |row| Some(i128::from(a.value(row))))
        }
    }
}

fn doubles(array: &ArrayRef) -> PrimitiveArray<Float64Type> {
    match array.data_type() {
        DataType::Float32 => array.as_primitive::<Float32Type>().unary(f64::from),
        _ => array.as_primitive::<Float64Type>().clone(),
    }
}

fn bigints(array: &ArrayRef) -> PrimitiveArray<Int64Type> {
    match array.data_type() {
        DataType::Int16 => array.as_primitive::<Int16Type>().unary(i64::from),
        DataType::Int32 => array.as_primitive::<Int32Type>().unary(i64::from),
        _ => array.as_primitive::<Int64Type>().clone(),
    }
}

type Nulls = Option<arrow::buffer::NullBuffer>;

fn float(
    rows: usize,
    nulls: Nulls,
    to: T,
    double: impl Fn(usize) -> Result<f64>,
    real: impl Fn(usize) -> Result<f32>,
) -> Result<ArrayRef> {
    Ok(match to {
        T::Real => Arc::new(primitive::<Float32Type>(rows, nulls, real)?),
        _ => Arc::new(primitive::<Float64Type>(rows, nulls, double)?),
    })
}

fn integer(rows: usize, nulls: Nulls, to: T, value: impl Fn(usize) -> Option<i128>) -> Result<ArrayRef> {
    let name = match to {
        T::SmallInt => "smallint",
        T::Int => "integer",
        _ => "bigint",
    };
    let beyond = || out_of_range(name);
    Ok(match to {
        T::SmallInt => Arc::new(primitive::<Int16Type>(rows, nulls, |row| {
            value(row).and_then(|n| i16::try_from(n).ok()).ok_or_else(beyond)
        })?),
        T::Int => Arc::new(primitive::<Int32Type>(rows, nulls, |row| {
            value(row).and_then(|n| i32::try_from(n).ok()).ok_or_else(beyond)
        })?),
        _ => Arc::new(primitive::<Int64Type>(rows, nulls, |row| {
            value(row).and_then(|n| i64::try_from(n).ok()).ok_or_else(beyond)
        })?),
    })
}

fn decimal_text(value: i256, scale: i8) -> String {
    let mut text = String::new();
    format::numeric(value, scale, &mut text);
    text
}

/// The nearest double: the division of two exact doubles is correctly rounded, all else goes by the decimal text.
fn to_double(value: i256, scale: i8) -> Result<f64> {
    const EXACT: i128 = 1 << 53;
    if let Some(small) = value.to_i128().filter(|v| (-EXACT..=EXACT).contains(v))
        && (0..=22).contains(&scale)
    {
        return Ok(small as f64 / 10f64.powi(scale.into()));
    }
    decimal_text(value, scale).parse().map_err(|_| overflow(T::Double))
}

fn to_real(value: i256, scale: i8) -> Result<f32> {
    let real: f32 = decimal_text(value, scale).parse().map_err(|_| overflow(T::Real))?;
    if real.is_infinite() {
        return Err(RowError::new(
            sqlstate::OUT_OF_RANGE,
            format!("\"{}\" is out of range for type real", decimal_text(value, scale)),
        ));
    }
    Ok(real)
}

/// A float as numeric: its first 15 digits (6 of a real), as PostgreSQL takes them, then the type's scale.
fn from_float(value: f64, digits: usize, scale: i8, exact: bool) -> Result<i256> {
    if !value.is_finite() {
        return Err(RowError::new(
            sqlstate::OUT_OF_RANGE,
            format!("cannot convert {value} to numeric: there is neither NaN nor infinity in it here"),
        ));
    }
    parse::numeric(&format!("{value:.*e}", digits - 1), scale, exact)
}
