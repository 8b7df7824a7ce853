//! The cells of one column while a batch is decoded: plain vectors that can be cut back, so that a bad record leaves
//! nothing behind; they become an Arrow array without a copy.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::i256;
use zset::ColumnType;

use crate::text::{Misfit, misfit};

/// A value on its way into a column; its kind must be the column's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// `boolean`
    Boolean(bool),
    /// `smallint`
    SmallInt(i16),
    /// `integer`; the days of a `date`
    Int(i32),
    /// `bigint`; the microseconds of `time`, `timestamp`, `timestamptz`
    BigInt(i64),
    /// `real`
    Real(f32),
    /// `double precision`
    Double(f64),
    /// `numeric` of up to 38 digits, unscaled
    Decimal(i128),
    /// `numeric` of more digits, unscaled
    WideDecimal(i256),
    /// `text`, `varchar`, `uuid`, `jsonb`, and the bytes of `bytea`
    Bytes(&'a [u8]),
}

#[derive(Debug)]
enum Values {
    Boolean(Vec<bool>),
    SmallInt(Vec<i16>),
    Int(Vec<i32>),
    BigInt(Vec<i64>),
    Real(Vec<f32>),
    Double(Vec<f64>),
    Decimal(Vec<i128>),
    WideDecimal(Vec<i256>),
    Bytes { data: Vec<u8>, offsets: Vec<i32> },
}

/// The cells of a column.
#[derive(Debug)]
pub struct Cells {
    ty: ColumnType,
    values: Values,
    valid: Vec<bool>,
}

impl Cells {
    /// No cells, with room for some.
    pub fn new(ty: ColumnType, room: usize) -> Self {
        let values = match ty {
            ColumnType::Boolean => Values::Boolean(Vec::with_capacity(room)),
            ColumnType::SmallInt => Values::SmallInt(Vec::with_capacity(room)),
            ColumnType::Int | ColumnType::Date => Values::Int(Vec::with_capacity(room)),
            ColumnType::BigInt | ColumnType::Time | ColumnType::Timestamp(_) | ColumnType::TimestampTz(_) => {
                Values::BigInt(Vec::with_capacity(room))
            }
            ColumnType::Real => Values::Real(Vec::with_capacity(room)),
            ColumnType::Double => Values::Double(Vec::with_capacity(room)),
            ColumnType::Numeric { precision, .. } if precision <= 38 => Values::Decimal(Vec::with_capacity(room)),
            ColumnType::Numeric { .. } => Values::WideDecimal(Vec::with_capacity(room)),
            ColumnType::Text | ColumnType::Varchar(_) | ColumnType::Uuid | ColumnType::Jsonb | ColumnType::Bytea => {
                let mut offsets = Vec::with_capacity(room + 1);
                offsets.push(0);
                Values::Bytes { data: Vec::new(), offsets }
            }
        };
        Self { ty, values, valid: Vec::with_capacity(room) }
    }

    /// Adds a value. Refused only if all values of the batch together are too many bytes for one array. Panics on a
    /// value of another kind, which would be our own bug.
    pub fn push(&mut self, cell: Cell<'_>) -> Result<(), Misfit> {
        match (&mut self.values, cell) {
            (Values::Boolean(values), Cell::Boolean(value)) => values.push(value),
            (Values::SmallInt(values), Cell::SmallInt(value)) => values.push(value),
            (Values::Int(values), Cell::Int(value)) => values.push(value),
            (Values::BigInt(values), Cell::BigInt(value)) => values.push(value),
            (Values::Real(values), Cell::Real(value)) => values.push(value),
            (Values::Double(values), Cell::Double(value)) => values.push(value),
            (Values::Decimal(values), Cell::Decimal(value)) => values.push(value),
            (Values::WideDecimal(values), Cell::WideDecimal(value)) => values.push(value),
            (Values::Bytes { data, offsets }, Cell::Bytes(value)) => {
                let Ok(end) = i32::try_from(data.len() + value.len()) else {
                    return misfit("is one too many: the column's values in this batch are over 2 GiB");
                };
                data.extend_from_slice(value);
                offsets.push(end);
            }
            (values, cell) => panic!("{cell:?} for a column of {values:?}"),
        }
        self.valid.push(true);
        Ok(())
    }

    /// Adds a NULL.
    pub fn push_null(&mut self) {
        match &mut self.values {
            Values::Boolean(values) => values.push(false),
            Values::SmallInt(values) => values.push(0),
            Values::Int(values) => values.push(0),
            Values::BigInt(values) => values.push(0),
            Values::Real(values) => values.push(0.0),
            Values::Double(values) => values.push(0.0),
            Values::Decimal(values) => values.push(0),
            Values::WideDecimal(values) => values.push(i256::ZERO),
            Values::Bytes { data, offsets } => offsets.push(data.len() as i32),
        }
        self.valid.push(false);
    }

    /// Takes back all cells from the `rows`th on.
    pub fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Boolean(values) => values.truncate(rows),
            Values::SmallInt(values) => values.truncate(rows),
            Values::Int(values) => values.truncate(rows),
            Values::BigInt(values) => values.truncate(rows),
            Values::Real(values) => values.truncate(rows),
            Values::Double(values) => values.truncate(rows),
            Values::Decimal(values) => values.truncate(rows),
            Values::WideDecimal(values) => values.truncate(rows),
            Values::Bytes { data, offsets } => {
                offsets.truncate(rows + 1);
                data.truncate(offsets.last().map_or(0, |end| *end as usize));
            }
        }
        self.valid.truncate(rows);
    }

    /// A cell; `None` is NULL.
    pub fn get(&self, row: usize) -> Option<Cell<'_>> {
        self.valid[row].then(|| match &self.values {
            Values::Boolean(values) => Cell::Boolean(values[row]),
            Values::SmallInt(values) => Cell::SmallInt(values[row]),
            Values::Int(values) => Cell::Int(values[row]),
            Values::BigInt(values) => Cell::BigInt(values[row]),
            Values::Real(values) => Cell::Real(values[row]),
            Values::Double(values) => Cell::Double(values[row]),
            Values::Decimal(values) => Cell::Decimal(values[row]),
            Values::WideDecimal(values) => Cell::WideDecimal(values[row]),
            Values::Bytes { data, offsets } => Cell::Bytes(&data[offsets[row] as usize..offsets[row + 1] as usize]),
        })
    }

    /// The array of all cells.
    pub fn finish(self) -> ArrayRef {
        let nulls = (!self.valid.iter().all(|valid| *valid)).then(|| NullBuffer::from(self.valid));
        match self.values {
            Values::Boolean(values) => Arc::new(BooleanArray::new(values.into(), nulls)),
            Values::SmallInt(values) => Arc::new(Int16Array::new(values.into(), nulls)),
            Values::Int(values) => match self.ty {
                ColumnType::Date => Arc::new(Date32Array::new(values.into(), nulls)),
                _ => Arc::new(Int32Array::new(values.into(), nulls)),
            },
            Values::BigInt(values) => big_ints(self.ty, values.into(), nulls),
            Values::Real(values) => Arc::new(Float32Array::new(values.into(), nulls)),
            Values::Double(values) => Arc::new(Float64Array::new(values.into(), nulls)),
            Values::Decimal(values) => {
                let (precision, scale) = digits(self.ty);
                let array = Decimal128Array::new(values.into(), nulls).with_precision_and_scale(precision, scale);
                Arc::new(array.expect("a column's precision and scale are Arrow's"))
            }
            Values::WideDecimal(values) => {
                let (precision, scale) = digits(self.ty);
                let array = Decimal256Array::new(values.into(), nulls).with_precision_and_scale(precision, scale);
                Arc::new(array.expect("a column's precision and scale are Arrow's"))
            }
            Values::Bytes { data, offsets } => {
                let (offsets, data) = (OffsetBuffer::new(offsets.into()), Buffer::from_vec(data));
                match self.ty {
                    ColumnType::Bytea => Arc::new(BinaryArray::new(offsets, data, nulls)),
                    _ => Arc::new(StringArray::new(offsets, data, nulls)),
                }
            }
        }
    }
}

fn big_ints(ty: ColumnType, values: ScalarBuffer<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
    match ty {
        ColumnType::Time => Arc::new(Time64MicrosecondArray::new(values, nulls)),
        ColumnType::Timestamp(_) => Arc::new(TimestampMicrosecondArray::new(values, nulls)),
        ColumnType::TimestampTz(_) => Arc::new(TimestampMicrosecondArray::new(values, nulls).with_timezone("UTC")),
        _ => Arc::new(Int64Array::new(values, nulls)),
    }
}

fn digits(ty: ColumnType) -> (u8, i8) {
    match ty {
        ColumnType::Numeric { precision, scale } => (precision, scale),
        other => panic!("{other} has no digits"),
    }
}
