//! The kernels: what functions compute over Arrow arrays, as PostgreSQL does. NULL in, NULL out, unless said otherwise.
//!
//! They know neither SQL nor plans: an operation, the types of its arguments and of what it gives. They run at every row, and are
//! optimised for speed where those that plan are for size.

mod cast;
mod civil;
mod decimal;
mod extract;
mod extreme;
mod format;
mod like;
mod number;
mod op;
mod output;
mod parse;
mod search;
mod text;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringArray, StringBuilder};
use arrow::buffer::NullBuffer;
use zset::ColumnType as T;
use zset::RowError;

pub use decimal::{digits_of, parse_literal as parse_numeric_literal};
pub use op::{DateField, Op};
pub use output::text_form;

/// What a kernel gives.
type Result<T, E = RowError> = std::result::Result<T, E>;

/// Computes an operation over its arguments, which have these types and `rows` rows; what it gives has the other type.
pub fn compute(op: &Op, (types, output): (&[T], T), arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    match op {
        Op::Relabel => Ok(Arc::clone(&arrays[0])),
        Op::Cast => cast::cast(&arrays[0], types[0], output, false),
        Op::CastExactly => cast::cast(&arrays[0], types[0], output, true),
        Op::Fit => match output {
            T::Varchar(n) => output::fit(arrays[0].as_string::<i32>(), n),
            _ => Ok(Arc::clone(&arrays[0])),
        },
        Op::Canonical => Ok(number::canonical(&arrays[0])),
        Op::Greatest => Ok(extreme::extreme(arrays, true)),
        Op::Least => Ok(extreme::extreme(arrays, false)),
        Op::Extract(field) => extract::extract(*field, &arrays[0], types[0], output),
        Op::DatePart(field) => extract::date_part(*field, &arrays[0]),
        Op::DateTrunc(field) => extract::date_trunc(*field, &arrays[0], output),
        Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Div
        | Op::Rem
        | Op::Neg
        | Op::Abs
        | Op::Sign
        | Op::Ceil
        | Op::Floor
        | Op::Round(_)
        | Op::Trunc(_)
        | Op::Sqrt
        | Op::Power
        | Op::Exp
        | Op::Ln => match types[0] {
            T::Numeric { .. } => decimal::compute(op, arrays, types, output),
            T::Date => civil::arithmetic(op, arrays, output),
            _ => number::compute(op, arrays, types[0]),
        },
        Op::Like { insensitive, escape } => like::like(&arrays[0], &arrays[1], *insensitive, *escape),
        Op::Strpos | Op::StartsWith | Op::SplitPart | Op::Replace | Op::Translate => search::compute(op, arrays),
        _ => text::compute(op, arrays, types, rows),
    }
}

/// The rows in which no argument is NULL.
fn valid(arrays: &[&dyn Array]) -> Option<NullBuffer> {
    arrays.iter().fold(None, |nulls, array| NullBuffer::union(nulls.as_ref(), array.nulls()))
}

/// A primitive column, computed row by row where no argument is NULL.
fn primitive<O: ArrowPrimitiveType>(
    rows: usize,
    nulls: Option<NullBuffer>,
    mut value: impl FnMut(usize) -> Result<O::Native>,
) -> Result<PrimitiveArray<O>> {
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        values.push(if is_null { O::Native::default() } else { value(row)? });
    }
    Ok(PrimitiveArray::new(values.into(), nulls))
}

/// A text column, written row by row where no argument is NULL.
fn strings(
    rows: usize,
    nulls: Option<NullBuffer>,
    mut write: impl FnMut(usize, &mut String) -> Result<()>,
) -> Result<StringArray> {
    let mut builder = StringBuilder::with_capacity(rows, rows * 16);
    let mut scratch = String::new();
    for row in 0..rows {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            builder.append_null();
        } else {
            scratch.clear();
            write(row, &mut scratch)?;
            builder.append_value(&scratch);
        }
    }
    Ok(builder.finish())
}
