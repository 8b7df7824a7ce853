//! Arithmetic of integers and floats: checked, as PostgreSQL checks it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use zset::ColumnType as T;
use zset::{RowError, sqlstate};

use super::{Result, primitive, valid};
use crate::Op;

pub(super) fn division_by_zero() -> RowError {
    RowError::new(sqlstate::DIVISION_BY_ZERO, "division by zero")
}

pub(super) fn out_of_range(name: &str) -> RowError {
    RowError::new(sqlstate::OUT_OF_RANGE, format!("{name} out of range"))
}

/// Computes over numbers of one type.
pub(super) fn compute(op: &Op, arrays: &[ArrayRef], ty: T) -> Result<ArrayRef> {
    match ty {
        T::SmallInt => integers::<Int16Type>(op, arrays, "smallint"),
        T::Int => integers::<Int32Type>(op, arrays, "integer"),
        T::BigInt => integers::<Int64Type>(op, arrays, "bigint"),
        T::Real => floats::<Float32Type>(op, arrays),
        _ => floats::<Float64Type>(op, arrays),
    }
}

/// Integers that know their checked operations.
trait Checked: Copy {
    fn apply(op: &Op, a: Self, b: Self) -> Option<Self>;
    fn zero(self) -> bool;
}

macro_rules! checked {
    ($($ty:ty),*) => {$(
        impl Checked for $ty {
            fn apply(op: &Op, a: Self, b: Self) -> Option<Self> {
                match op {
                    Op::Add => a.checked_add(b),
                    Op::Sub => a.checked_sub(b),
                    Op::Mul => a.checked_mul(b),
                    Op::Div => a.checked_div(b),
                    // the least number % -1 is 0 in PostgreSQL
                    Op::Rem => Some(a.wrapping_rem(b)),
                    Op::Neg => a.checked_neg(),
                    _ => a.checked_abs(),
                }
            }

            fn zero(self) -> bool {
                self == 0
            }
        }
    )*};
}
checked!(i16, i32, i64);

fn integers<P>(op: &Op, arrays: &[ArrayRef], name: &str) -> Result<ArrayRef>
where
    P: ArrowPrimitiveType,
    P::Native: Checked,
{
    let a = arrays[0].as_primitive::<P>();
    let b = arrays.last().unwrap_or(&arrays[0]).as_primitive::<P>();
    let divides = matches!(op, Op::Div | Op::Rem);
    let output = primitive::<P>(a.len(), valid(&[a, b]), |row| {
        let (x, y) = (a.value(row), b.value(row));
        if divides && y.zero() {
            return Err(division_by_zero());
        }
        P::Native::apply(op, x, y).ok_or_else(|| out_of_range(name))
    })?;
    Ok(Arc::new(output))
}

fn floats<P>(op: &Op, arrays: &[ArrayRef]) -> Result<ArrayRef>
where
    P: ArrowPrimitiveType,
    P::Native: Into<f64> + Narrow,
{
    let a = arrays[0].as_primitive::<P>();
    let b = arrays.last().unwrap_or(&arrays[0]).as_primitive::<P>();
    let output: PrimitiveArray<P> =
        primitive::<P>(a.len(), valid(&[a, b]), |row| P::Native::float(op, a.value(row), b.value(row)))?;
    Ok(Arc::new(output))
}

fn overflow() -> RowError {
    RowError::new(sqlstate::OUT_OF_RANGE, "value out of range: overflow")
}

fn underflow() -> RowError {
    RowError::new(sqlstate::OUT_OF_RANGE, "value out of range: underflow")
}

/// Floats that know PostgreSQL's operations.
trait Narrow: Copy {
    fn float(op: &Op, a: Self, b: Self) -> Result<Self>;
}

macro_rules! narrow {
    ($($ty:ty),*) => {$(
        impl Narrow for $ty {
            fn float(op: &Op, a: Self, b: Self) -> Result<Self> {
                let finite = !a.is_infinite() && !b.is_infinite();
                match op {
                    Op::Add | Op::Sub => {
                        let sum = if *op == Op::Add { a + b } else { a - b };
                        if sum.is_infinite() && finite { Err(overflow()) } else { Ok(sum) }
                    }
                    Op::Mul => {
                        let product = a * b;
                        if product.is_infinite() && finite {
                            return Err(overflow());
                        }
                        if product == 0.0 && a != 0.0 && b != 0.0 { Err(underflow()) } else { Ok(product) }
                    }
                    Op::Div => {
                        if b == 0.0 && !a.is_nan() {
                            return Err(division_by_zero());
                        }
                        let quotient = a / b;
                        if quotient.is_infinite() && !a.is_infinite() {
                            return Err(overflow());
                        }
                        let vanished = quotient == 0.0 && a != 0.0 && !b.is_infinite();
                        if vanished { Err(underflow()) } else { Ok(quotient) }
                    }
                    Op::Neg => Ok(-a),
                    Op::Abs => Ok(a.abs()),
                    Op::Ceil => Ok(a.ceil()),
                    Op::Floor => Ok(a.floor()),
                    Op::Round(_) => Ok(a.round_ties_even()),
                    Op::Trunc(_) => Ok(a.trunc()),
                    Op::Sign => Ok(if a > 0.0 { 1.0 } else if a < 0.0 { -1.0 } else { 0.0 }),
                    Op::Sqrt if a < 0.0 => {
                        Err(RowError::new("2201F", "cannot take square root of a negative number"))
                    }
                    Op::Sqrt => Ok(a.sqrt()),
                    Op::Exp => {
                        let e = a.exp();
                        if e.is_infinite() && !a.is_infinite() {
                            return Err(overflow());
                        }
                        if e == 0.0 && !a.is_infinite() { Err(underflow()) } else { Ok(e) }
                    }
                    Op::Ln if a == 0.0 => Err(RowError::new("2201E", "cannot take logarithm of zero")),
                    Op::Ln if a < 0.0 => Err(RowError::new("2201E", "cannot take logarithm of a negative number")),
                    Op::Ln => Ok(a.ln()),
                    _ => power(f64::from(a), f64::from(b)).map(|p| p as $ty),
                }
            }
        }
    )*};
}
narrow!(f32, f64);

fn power(a: f64, b: f64) -> Result<f64> {
    if a == 0.0 && b < 0.0 {
        return Err(RowError::new("2201F", "zero raised to a negative power is undefined"));
    }
    if a < 0.0 && a.is_finite() && b.is_finite() && b.trunc() != b {
        return Err(RowError::new("2201F", "a negative number raised to a non-integer power yields a complex result"));
    }
    let p = a.powf(b);
    let finite = a.is_finite() && b.is_finite();
    if p.is_infinite() && finite {
        return Err(overflow());
    }
    if p == 0.0 && finite && a != 0.0 { Err(underflow()) } else { Ok(p) }
}

/// Floats with one NaN and one zero; others as they are.
pub(super) fn canonical(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float32 => {
            let map = |x: f32| if x.is_nan() { f32::NAN } else { x + 0.0 };
            Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(map))
        }
        DataType::Float64 => {
            let map = |x: f64| if x.is_nan() { f64::NAN } else { x + 0.0 };
            Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(map))
        }
        _ => Arc::clone(array),
    }
}
