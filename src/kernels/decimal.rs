//! Numerics: exact, with PostgreSQL's digits, or an error. In 128 bits where everything fits there, else in 256.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, i256};
use zset::ColumnType as T;
use zset::{RowError, sqlstate};

use super::number::division_by_zero;
use super::{Result, primitive, valid};
use crate::Op;

/// 10^n, for n up to 76.
pub(super) fn power_of_ten(n: u32) -> Option<i256> {
    i256::from_i128(10).checked_pow(n)
}

pub(super) fn overflow(ty: T) -> RowError {
    RowError::new(sqlstate::OUT_OF_RANGE, format!("numeric field overflow: the value does not fit {ty}"))
}

/// The decimal digits of a number without its sign; 0 has none.
pub fn digits_of(value: i256) -> u32 {
    value.wrapping_abs().checked_ilog10().map_or(0, |log| log + 1)
}

/// The column's values, unscaled, in 256 bits.
pub(super) fn wide(array: &dyn Array) -> Decimal256Array {
    match array.data_type() {
        DataType::Decimal128(_, _) => array.as_primitive::<Decimal128Type>().unary(i256::from_i128),
        _ => array.as_primitive::<Decimal256Type>().clone(),
    }
}

/// A column of a numeric type from unscaled values, checked to fit.
pub(super) fn finish(values: Decimal256Array, ty: T) -> Result<ArrayRef> {
    let T::Numeric { precision, scale } = ty else { return Ok(Arc::new(values)) };
    let bound = power_of_ten(u32::from(precision)).ok_or_else(|| overflow(ty))?;
    let fits = |v: i256| v < bound && v > bound.wrapping_neg();
    for row in 0..values.len() {
        if values.is_valid(row) && !fits(values.value(row)) {
            return Err(overflow(ty));
        }
    }
    let wrong = |_| overflow(ty);
    if precision <= 38 {
        let narrow: Decimal128Array = values.unary(i256::as_i128);
        return Ok(Arc::new(narrow.with_precision_and_scale(precision, scale).map_err(wrong)?));
    }
    Ok(Arc::new(values.with_precision_and_scale(precision, scale).map_err(wrong)?))
}

fn scale_of(ty: T) -> i32 {
    match ty {
        T::Numeric { scale, .. } => i32::from(scale),
        _ => 0,
    }
}

/// Computes over numerics.
pub(super) fn compute(op: &Op, arrays: &[ArrayRef], types: &[T], output: T) -> Result<ArrayRef> {
    if let Some(array) = fast(op, arrays, types, output)? {
        return Ok(array);
    }
    let a = wide(&arrays[0]);
    let s1 = scale_of(types[0]);
    let so = scale_of(output);
    let too_large = || overflow(output);
    if let [_, second] = arrays {
        let b = wide(second);
        let s2 = scale_of(types[1]);
        let values = primitive::<Decimal256Type>(a.len(), valid(&[&a, &b]), |row| {
            let (x, y) = (a.value(row), b.value(row));
            match op {
                Op::Add | Op::Sub => {
                    let (x, y) = (rescale_up(x, so - s1), rescale_up(y, so - s2));
                    let sum =
                        x.zip(y).and_then(|(x, y)| if *op == Op::Add { x.checked_add(y) } else { x.checked_sub(y) });
                    sum.ok_or_else(too_large)
                }
                Op::Mul => product(x, y, s1 + s2, so).ok_or_else(|| inexact(output)),
                Op::Rem => remainder(x, s1, y, s2, so, output),
                _ => quotient(x, s1, y, s2, so),
            }
        })?;
        return finish(values, output);
    }
    let values = primitive::<Decimal256Type>(a.len(), valid(&[&a]), |row| {
        let x = a.value(row);
        Ok(match op {
            Op::Neg => x.wrapping_neg(),
            Op::Abs => x.wrapping_abs(),
            Op::Sign => x.signum(),
            Op::Ceil => round_to(x, s1, 0, Rounding::Up).ok_or_else(too_large)?,
            Op::Floor => round_to(x, s1, 0, Rounding::Down).ok_or_else(too_large)?,
            Op::Trunc(n) => digits_then(x, s1, *n, so, Rounding::ToZero).ok_or_else(too_large)?,
            Op::Round(n) => digits_then(x, s1, *n, so, Rounding::HalfAway).ok_or_else(too_large)?,
            _ => return Err(overflow(output)),
        })
    })?;
    finish(values, output)
}

/// Sums, differences and products that stay in 128 bits by their types.
fn fast(op: &Op, arrays: &[ArrayRef], types: &[T], output: T) -> Result<Option<ArrayRef>> {
    let T::Numeric { precision: precision @ ..=37, scale } = output else { return Ok(None) };
    let narrow = |ty: &T| matches!(ty, T::Numeric { precision: ..=37, .. });
    if !matches!(op, Op::Add | Op::Sub | Op::Mul) || !types.iter().all(narrow) {
        return Ok(None);
    }
    let (s1, s2, so) = (scale_of(types[0]), scale_of(types[1]), i32::from(scale));
    if *op == Op::Mul && s1 + s2 != so {
        return Ok(None);
    }
    let (up1, up2) = if *op == Op::Mul { (1, 1) } else { (10i128.pow((so - s1) as u32), 10i128.pow((so - s2) as u32)) };
    let (a, b) = (arrays[0].as_primitive::<Decimal128Type>(), arrays[1].as_primitive::<Decimal128Type>());
    let bound = 10i128.pow(u32::from(precision));
    let values = primitive::<Decimal128Type>(a.len(), valid(&[a, b]), |row| {
        let (x, y) = (a.value(row), b.value(row));
        let value = match op {
            Op::Add => x.checked_mul(up1).zip(y.checked_mul(up2)).and_then(|(x, y)| x.checked_add(y)),
            Op::Sub => x.checked_mul(up1).zip(y.checked_mul(up2)).and_then(|(x, y)| x.checked_sub(y)),
            _ => x.checked_mul(y),
        };
        value.filter(|v| *v < bound && *v > -bound).ok_or_else(|| overflow(output))
    })?;
    let array = values.with_precision_and_scale(precision, scale).map_err(|_| overflow(output))?;
    Ok(Some(Arc::new(array)))
}

fn inexact(ty: T) -> RowError {
    RowError::new(
        sqlstate::OUT_OF_RANGE,
        format!("numeric field overflow: the exact product does not fit {ty}; round an operand first"),
    )
}

fn rescale_up(value: i256, digits: i32) -> Option<i256> {
    value.checked_mul(power_of_ten(u32::try_from(digits).ok()?)?)
}

/// A product at fewer digits than it has, if those are zeros.
fn product(x: i256, y: i256, scale: i32, output: i32) -> Option<i256> {
    let (mut x, mut y, mut scale) = (x, y, scale);
    let ten = i256::from_i128(10);
    // zeros at the end are taken from the factors, so that nothing is larger than it must be
    for factor in [&mut x, &mut y] {
        while scale > output && *factor != i256::ZERO && factor.wrapping_rem(ten) == i256::ZERO {
            *factor = factor.wrapping_div(ten);
            scale -= 1;
        }
    }
    let mut value = x.checked_mul(y)?;
    while scale > output {
        if value.wrapping_rem(ten) != i256::ZERO {
            return None;
        }
        value = value.wrapping_div(ten);
        scale -= 1;
    }
    rescale_up(value, output - scale)
}

fn remainder(x: i256, s1: i32, y: i256, s2: i32, so: i32, output: T) -> Result<i256> {
    if y == i256::ZERO {
        return Err(division_by_zero());
    }
    let (x, y) = rescale_up(x, so - s1).zip(rescale_up(y, so - s2)).ok_or_else(|| overflow(output))?;
    Ok(x.wrapping_rem(y))
}

/// The weight and value of the first base-10000 digit that is not zero; of zero both are 0.
fn leading(value: i256, scale: i32) -> (i32, i32) {
    let digits = digits_of(value) as i32;
    if digits == 0 {
        return (0, 0);
    }
    let exponent = digits - 1 - scale;
    let weight = exponent.div_euclid(4);
    let keep = exponent - weight * 4 + 1;
    let magnitude = value.wrapping_abs();
    let first = if digits > keep {
        power_of_ten((digits - keep) as u32).map(|p| magnitude.wrapping_div(p).as_i128())
    } else {
        power_of_ten((keep - digits) as u32).map(|p| magnitude.wrapping_mul(p).as_i128())
    };
    (weight, first.unwrap_or(0) as i32)
}

/// PostgreSQL's `select_div_scale`: at least 16 significant digits, counted in base-10000 digits.
fn quotient_scale(x: i256, s1: i32, y: i256, s2: i32) -> i32 {
    let ((w1, f1), (w2, f2)) = (leading(x, s1), leading(y, s2));
    let weight = w1 - w2 - i32::from(f1 <= f2);
    (16 - weight * 4).max(s1).max(s2).clamp(0, 1000)
}

/// x / y rounded where PostgreSQL rounds it, half away from zero, at scale `output`.
fn quotient(x: i256, s1: i32, y: i256, s2: i32, output: i32) -> Result<i256> {
    if y == i256::ZERO {
        return Err(division_by_zero());
    }
    let many = || {
        RowError::new(
            sqlstate::OUT_OF_RANGE,
            "numeric field overflow: the quotient has more digits than numeric(76,38) holds; round the operands first",
        )
    };
    let wanted = quotient_scale(x, s1, y, s2);
    let negative = x.is_negative() != y.is_negative();
    let (x, y) = (x.wrapping_abs(), y.wrapping_abs());
    // with more digits wanted than there are, the quotient must end within those there are
    let scale = wanted.min(output);
    let shift = scale - s1 + s2;
    let (x, y) = if shift < 0 { (x, rescale_up(y, -shift).ok_or_else(many)?) } else { (x, y) };
    let (mut value, rest) = long_division(x, y, shift.max(0)).ok_or_else(many)?;
    if wanted > output {
        if rest != i256::ZERO {
            return Err(many());
        }
    } else if rest.checked_mul(i256::from_i128(2)).is_none_or(|twice| twice >= y) {
        value = value.checked_add(i256::ONE).ok_or_else(many)?;
    }
    let value = rescale_up(value, output - scale).ok_or_else(many)?;
    Ok(if negative { value.wrapping_neg() } else { value })
}

/// x * 10^digits / y and its remainder, without ever forming the dividend.
fn long_division(x: i256, y: i256, digits: i32) -> Option<(i256, i256)> {
    let (mut value, mut rest) = (x.wrapping_div(y), x.wrapping_rem(y));
    let mut left = digits as u32;
    while left > 0 {
        let mut step = left.min(18);
        let shifted = loop {
            match rest.checked_mul(power_of_ten(step)?) {
                Some(shifted) => break shifted,
                None if step > 1 => step /= 2,
                None => return None,
            }
        };
        value = value.checked_mul(power_of_ten(step)?)?.checked_add(shifted.wrapping_div(y))?;
        rest = shifted.wrapping_rem(y);
        left -= step;
    }
    Some((value, rest))
}

/// How digits are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    Up,
    Down,
    ToZero,
    HalfAway,
}

/// A value of scale `from` at scale `to`.
pub(super) fn round_to(value: i256, from: i32, to: i32, rounding: Rounding) -> Option<i256> {
    if to >= from {
        return rescale_up(value, to - from);
    }
    let digits = (from - to) as u32;
    let Some(power) = power_of_ten(digits).filter(|_| digits <= 76) else { return Some(i256::ZERO) };
    let (quotient, rest) = (value.wrapping_div(power), value.wrapping_rem(power));
    let half = power.wrapping_div(i256::from_i128(2));
    let step = match rounding {
        Rounding::ToZero => i256::ZERO,
        Rounding::Up if rest.is_positive() => i256::ONE,
        Rounding::Down if rest.is_negative() => i256::MINUS_ONE,
        Rounding::HalfAway if rest.wrapping_abs() >= half => value.signum(),
        _ => i256::ZERO,
    };
    Some(quotient.wrapping_add(step))
}

/// round(x, n) and trunc(x, n): cut to n digits, which may be before the point, shown with the output's.
fn digits_then(value: i256, scale: i32, n: i32, output: i32, rounding: Rounding) -> Option<i256> {
    let cut = round_to(value, scale, n, rounding)?;
    rescale_up(cut, output - n)
}

/// The digits of a number literal: an unscaled value and its scale, as PostgreSQL reads it. `None` if there are too many.
pub fn parse_literal(text: &str) -> Option<(i256, u32)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let trimmed = digits.trim_start_matches('0');
    let mut value = if trimmed.is_empty() { i256::ZERO } else { i256::from_string(trimmed)? };
    let mut scale = fraction.len() as i32 - exponent;
    if scale < 0 {
        value = rescale_up(value, -scale)?;
        scale = 0;
    }
    (scale <= 38 && digits_of(value) <= 76).then_some((value, scale as u32))
}
