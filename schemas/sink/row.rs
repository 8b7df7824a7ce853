//! Rows as compact JSON, written by column type into one buffer.

use arrow::array::{Array, AsArray, BinaryArray, BooleanArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::Write as _;
use zset::{ColumnType, RowType};

use crate::text::{
    write_date, write_i64, write_i256_trimmed, write_json_string, write_numeric128, write_time, write_timestamp,
};

/// Writes objects with some columns of a table.
#[derive(Debug)]
pub struct RowWriter {
    /// Position, type, and `"name":`.
    columns: Vec<(usize, ColumnType, Vec<u8>)>,
}

impl RowWriter {
    /// For the columns at these positions, in this order.
    pub fn new(columns: &RowType, positions: &[usize]) -> Self {
        let column = |&at: &usize| {
            let mut name = Vec::new();
            write_json_string(&columns.0[at].name, &mut name);
            name.push(b':');
            (at, columns.0[at].ty, name)
        };
        Self { columns: positions.iter().map(column).collect() }
    }

    /// The columns of a batch, ready to be written. Panics if they are not of the table's types, which would be our own
    /// bug.
    pub fn bind<'a>(&'a self, batch: &'a RecordBatch) -> BoundRows<'a> {
        let bind = |(at, ty, name): &'a (usize, ColumnType, Vec<u8>)| {
            (name.as_slice(), Values::new(*ty, batch.column(*at).as_ref()))
        };
        BoundRows { columns: self.columns.iter().map(bind).collect() }
    }
}

/// The rows of one batch.
#[derive(Debug)]
pub struct BoundRows<'a> {
    columns: Vec<(&'a [u8], Values<'a>)>,
}

impl BoundRows<'_> {
    /// Writes a row as an object.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        for (at, (name, values)) in self.columns.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(name);
            values.write(row, out);
        }
        out.push(b'}');
    }
}

#[derive(Debug)]
enum Values<'a> {
    Boolean(&'a BooleanArray),
    SmallInt(&'a PrimitiveArray<Int16Type>),
    Int(&'a PrimitiveArray<Int32Type>),
    BigInt(&'a PrimitiveArray<Int64Type>),
    Real(&'a PrimitiveArray<Float32Type>),
    Double(&'a PrimitiveArray<Float64Type>),
    Decimal(&'a PrimitiveArray<Decimal128Type>, i8),
    WideDecimal(&'a PrimitiveArray<Decimal256Type>, i8),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    Date(&'a PrimitiveArray<Date32Type>),
    Time(&'a PrimitiveArray<Time64MicrosecondType>),
    Timestamp(&'a PrimitiveArray<TimestampMicrosecondType>, bool),
}

impl<'a> Values<'a> {
    fn new(ty: ColumnType, array: &'a dyn Array) -> Self {
        match ty {
            ColumnType::Boolean => Self::Boolean(array.as_boolean()),
            ColumnType::SmallInt => Self::SmallInt(array.as_primitive()),
            ColumnType::Int => Self::Int(array.as_primitive()),
            ColumnType::BigInt => Self::BigInt(array.as_primitive()),
            ColumnType::Real => Self::Real(array.as_primitive()),
            ColumnType::Double => Self::Double(array.as_primitive()),
            ColumnType::Numeric { precision, scale } if precision <= 38 => Self::Decimal(array.as_primitive(), scale),
            ColumnType::Numeric { scale, .. } => Self::WideDecimal(array.as_primitive(), scale),
            ColumnType::Text | ColumnType::Varchar(_) | ColumnType::Uuid | ColumnType::Jsonb => {
                Self::Text(array.as_string())
            }
            ColumnType::Bytea => Self::Bytes(array.as_binary()),
            ColumnType::Date => Self::Date(array.as_primitive()),
            ColumnType::Time => Self::Time(array.as_primitive()),
            ColumnType::Timestamp(_) => Self::Timestamp(array.as_primitive(), false),
            ColumnType::TimestampTz(_) => Self::Timestamp(array.as_primitive(), true),
        }
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Boolean(array) if array.is_null(row) => null(out),
            Self::Boolean(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
            Self::SmallInt(array) => value(array, row, out, |value, out| write_i64(value.into(), out)),
            Self::Int(array) => value(array, row, out, |value, out| write_i64(value.into(), out)),
            Self::BigInt(array) => value(array, row, out, write_i64),
            // Debug, not Display: the shortest digits, and an exponent where they would be many.
            Self::Real(array) => {
                value(array, row, out, |value, out| float(value.into(), format_args!("{value:?}"), out))
            }
            Self::Double(array) => value(array, row, out, |value, out| float(value, format_args!("{value:?}"), out)),
            Self::Decimal(array, scale) => {
                value(array, row, out, |value, out| quoted(out, |out| write_numeric128(value, *scale, out)));
            }
            // So many digits only derived numerics have, and the zeros they end with mean nothing.
            Self::WideDecimal(array, scale) => {
                value(array, row, out, |value, out| quoted(out, |out| write_i256_trimmed(value, *scale, out)));
            }
            Self::Text(array) if array.is_null(row) => null(out),
            Self::Text(array) => write_json_string(array.value(row), out),
            Self::Bytes(array) if array.is_null(row) => null(out),
            Self::Bytes(array) => quoted(out, |out| base64(array.value(row), out)),
            Self::Date(array) => value(array, row, out, |value, out| quoted(out, |out| write_date(value, out))),
            Self::Time(array) => value(array, row, out, |value, out| quoted(out, |out| write_time(value, out))),
            Self::Timestamp(array, utc) => {
                value(array, row, out, |value, out| quoted(out, |out| write_timestamp(value, *utc, out)));
            }
        }
    }
}

fn value<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    row: usize,
    out: &mut Vec<u8>,
    write: impl FnOnce(T::Native, &mut Vec<u8>),
) {
    if array.is_null(row) { null(out) } else { write(array.value(row), out) }
}

fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn float(value: f64, shortest: std::fmt::Arguments<'_>, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
    } else {
        // Writing to a vector does not fail.
        let _ = out.write_fmt(shortest);
    }
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).expect("four characters for three bytes");
    out.truncate(start + written);
}
