//! One column of a batch in the wire's text or binary form, value by value.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, PrimitiveArray, StringArray,
};
use arrow::datatypes::{
    Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use bytes::{BufMut, BytesMut};
use dataflow::{Queries, ResultType};
use zset::ColumnType;

use super::calendar::{DAYS_TO_2000, MICROS_TO_2000};
use super::error::PgError;
use super::{array, interval, numeric};

/// A form of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Binary,
}

/// The values of a column, ready to be written.
#[derive(Debug)]
pub(crate) enum Cells {
    /// As they are: all text forms, and the binary ones that are text too.
    Text(StringArray),
    Bytes(BinaryArray),
    Bool(BooleanArray),
    Int2(Int16Array),
    Int4(Int32Array),
    Int8(Int64Array),
    Float4(Float32Array),
    Float8(Float64Array),
    Date(Date32Array),
    Time(PrimitiveArray<Time64MicrosecondType>),
    Timestamp(PrimitiveArray<TimestampMicrosecondType>),
    Oid(Int64Array),
    /// Text whose binary form is another one.
    Converted(StringArray, fn(&str, &mut BytesMut) -> Result<(), PgError>),
}

impl Cells {
    /// A column's values in a form.
    pub fn new(queries: &dyn Queries, ty: ResultType, format: Format, values: &ArrayRef) -> Result<Self, PgError> {
        match (format, ty) {
            (Format::Text, ResultType::Column(ty)) => text(queries, ty, values).map(Self::Text),
            (Format::Text, ResultType::Oid) => {
                let oids = typed(values.as_primitive_opt::<Int64Type>(), ty, values)?;
                Ok(Self::Text(oids.iter().map(|oid| oid.map(|oid| oid.to_string())).collect()))
            }
            (Format::Text, _) => typed(values.as_string_opt(), ty, values).map(Self::Text),
            (Format::Binary, _) => Self::binary(queries, ty, values),
        }
    }

    fn binary(queries: &dyn Queries, ty: ResultType, values: &ArrayRef) -> Result<Self, PgError> {
        let strings = || typed(values.as_string_opt(), ty, values);
        let column = match ty {
            ResultType::Column(column) => column,
            ResultType::Oid => return typed(values.as_primitive_opt::<Int64Type>(), ty, values).map(Self::Oid),
            ResultType::Name | ResultType::Char => return strings().map(Self::Text),
            ResultType::Interval => return Ok(Self::Converted(strings()?, interval::write)),
            ResultType::TextArray => return Ok(Self::Converted(strings()?, array::write_texts)),
            ResultType::Int2Vector => return Ok(Self::Converted(strings()?, array::write_int2vector)),
            ResultType::OidVector => return Ok(Self::Converted(strings()?, array::write_oids)),
        };
        Ok(match column {
            ColumnType::Boolean => Self::Bool(typed(values.as_boolean_opt(), ty, values)?),
            ColumnType::SmallInt => Self::Int2(typed(values.as_primitive_opt::<Int16Type>(), ty, values)?),
            ColumnType::Int => Self::Int4(typed(values.as_primitive_opt::<Int32Type>(), ty, values)?),
            ColumnType::BigInt => Self::Int8(typed(values.as_primitive_opt::<Int64Type>(), ty, values)?),
            ColumnType::Real => Self::Float4(typed(values.as_primitive_opt::<Float32Type>(), ty, values)?),
            ColumnType::Double => Self::Float8(typed(values.as_primitive_opt::<Float64Type>(), ty, values)?),
            ColumnType::Numeric { .. } => Self::Converted(text(queries, column, values)?, numeric::write),
            ColumnType::Text | ColumnType::Varchar(_) => Self::Text(strings()?),
            ColumnType::Bytea => Self::Bytes(typed(values.as_binary_opt(), ty, values)?),
            ColumnType::Date => Self::Date(typed(values.as_primitive_opt::<Date32Type>(), ty, values)?),
            ColumnType::Time => Self::Time(typed(values.as_primitive_opt::<Time64MicrosecondType>(), ty, values)?),
            ColumnType::Timestamp(_) | ColumnType::TimestampTz(_) => {
                Self::Timestamp(typed(values.as_primitive_opt::<TimestampMicrosecondType>(), ty, values)?)
            }
            ColumnType::Uuid => Self::Converted(strings()?, write_uuid),
            ColumnType::Jsonb => Self::Converted(strings()?, write_jsonb),
        })
    }

    /// A value of a column in the text form.
    pub fn text(&self, row: usize) -> Option<&str> {
        match self {
            Self::Text(values) if values.is_valid(row) => Some(values.value(row)),
            _ => None,
        }
    }

    /// Writes a value with its length; -1 is NULL.
    pub fn write(&self, row: usize, out: &mut BytesMut) -> Result<(), PgError> {
        if self.is_null(row) {
            out.put_i32(-1);
            return Ok(());
        }
        let start = out.len();
        out.put_i32(0);
        match self {
            Self::Text(values) => out.put_slice(values.value(row).as_bytes()),
            Self::Bytes(values) => out.put_slice(values.value(row)),
            Self::Bool(values) => out.put_u8(u8::from(values.value(row))),
            Self::Int2(values) => out.put_i16(values.value(row)),
            Self::Int4(values) => out.put_i32(values.value(row)),
            Self::Int8(values) => out.put_i64(values.value(row)),
            Self::Float4(values) => out.put_f32(values.value(row)),
            Self::Float8(values) => out.put_f64(values.value(row)),
            Self::Date(values) => out.put_i32(values.value(row).wrapping_sub(DAYS_TO_2000)),
            Self::Time(values) => out.put_i64(values.value(row)),
            Self::Timestamp(values) => out.put_i64(values.value(row).wrapping_sub(MICROS_TO_2000)),
            Self::Oid(values) => out.put_u32(values.value(row) as u32),
            Self::Converted(values, write) => write(values.value(row), out)?,
        }
        let length = (out.len() - start - 4) as i32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Text(values) | Self::Converted(values, _) => values.is_null(row),
            Self::Bytes(values) => values.is_null(row),
            Self::Bool(values) => values.is_null(row),
            Self::Int2(values) => values.is_null(row),
            Self::Int4(values) => values.is_null(row),
            Self::Int8(values) | Self::Oid(values) => values.is_null(row),
            Self::Float4(values) => values.is_null(row),
            Self::Float8(values) => values.is_null(row),
            Self::Date(values) => values.is_null(row),
            Self::Time(values) => values.is_null(row),
            Self::Timestamp(values) => values.is_null(row),
        }
    }
}

fn text(queries: &dyn Queries, ty: ColumnType, values: &ArrayRef) -> Result<StringArray, PgError> {
    // These are kept as their text.
    if matches!(ty, ColumnType::Text | ColumnType::Varchar(_) | ColumnType::Uuid | ColumnType::Jsonb) {
        return typed(values.as_string_opt(), ResultType::Column(ty), values);
    }
    let texts = queries.text(ty, values).map_err(|error| PgError::new(error.sqlstate, error.message))?;
    typed(texts.as_string_opt(), ResultType::Column(ty), &texts)
}

/// The array, which a query of this type gives by contract.
fn typed<A: Clone>(array: Option<&A>, ty: ResultType, values: &ArrayRef) -> Result<A, PgError> {
    array.cloned().ok_or_else(|| PgError::internal(format!("a column of type {ty:?} came as {}", values.data_type())))
}

fn write_uuid(text: &str, out: &mut BytesMut) -> Result<(), PgError> {
    let mut digits = text.chars().filter(|c| *c != '-').map(|c| c.to_digit(16));
    for _ in 0..16 {
        match (digits.next().flatten(), digits.next().flatten()) {
            (Some(high), Some(low)) => out.put_u8((high * 16 + low) as u8),
            _ => return Err(PgError::internal(format!("{text} is not the text of a uuid"))),
        }
    }
    Ok(())
}

fn write_jsonb(text: &str, out: &mut BytesMut) -> Result<(), PgError> {
    out.put_u8(1);
    out.put_slice(text.as_bytes());
    Ok(())
}

/// Texts as an array.
pub(crate) fn texts(values: impl IntoIterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}
