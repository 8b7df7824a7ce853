//! The cells of one column while a batch is decoded: plain vectors that can be cut back, so that a bad record leaves
//! nothing behind; they become an Arrow array without a copy.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray, make_array,
    new_null_array,
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
    Bytes {
        data: Vec<u8>,
        offsets: Vec<i32>,
    },
    /// Nobody reads them: how many there are.
    Unread(usize),
}

/// The cells of a column.
#[derive(Debug)]
pub struct Cells {
    ty: ColumnType,
    values: Values,
    /// Which rows are NULL, in order.
    nulls: Vec<usize>,
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
        Self { ty, values, nulls: Vec::new() }
    }

    /// No cells of a column that nobody reads: values are counted, and refused as others are, but not kept.
    pub fn unread(ty: ColumnType) -> Self {
        Self { ty, values: Values::Unread(0), nulls: Vec::new() }
    }

    /// Makes room for so many bytes of values, where values have bytes.
    pub fn reserve_bytes(&mut self, bytes: usize) {
        if let Values::Bytes { data, .. } = &mut self.values {
            data.reserve(bytes);
        }
    }

    /// How many bytes the values have, where values have bytes.
    pub fn bytes(&self) -> usize {
        match &self.values {
            Values::Bytes { data, .. } => data.len(),
            _ => 0,
        }
    }

    /// The number of cells.
    fn len(&self) -> usize {
        match &self.values {
            Values::Boolean(values) => values.len(),
            Values::SmallInt(values) => values.len(),
            Values::Int(values) => values.len(),
            Values::BigInt(values) => values.len(),
            Values::Real(values) => values.len(),
            Values::Double(values) => values.len(),
            Values::Decimal(values) => values.len(),
            Values::WideDecimal(values) => values.len(),
            Values::Bytes { offsets, .. } => offsets.len() - 1,
            Values::Unread(count) => *count,
        }
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
            (Values::Unread(count), _) => *count += 1,
            (values, cell) => panic!("{cell:?} for a column of {values:?}"),
        }
        Ok(())
    }

    /// Adds an integer to a column of integers that has it. Whether it did.
    pub fn push_integer(&mut self, value: i64) -> bool {
        match (&mut self.values, self.ty) {
            (Values::BigInt(values), ColumnType::BigInt) => values.push(value),
            (Values::Int(values), ColumnType::Int) => match i32::try_from(value) {
                Ok(value) => values.push(value),
                Err(_) => return false,
            },
            (Values::SmallInt(values), ColumnType::SmallInt) => match i16::try_from(value) {
                Ok(value) => values.push(value),
                Err(_) => return false,
            },
            (Values::Unread(count), ColumnType::BigInt) => *count += 1,
            (Values::Unread(count), ColumnType::Int) if i32::try_from(value).is_ok() => *count += 1,
            (Values::Unread(count), ColumnType::SmallInt) if i16::try_from(value).is_ok() => *count += 1,
            _ => return false,
        }
        true
    }

    /// Adds a NULL.
    pub fn push_null(&mut self) {
        match &self.values {
            Values::Unread(_) => {}
            _ => self.nulls.push(self.len()),
        }
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
            Values::Unread(count) => *count += 1,
        }
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
            Values::Unread(count) => *count = rows.min(*count),
        }
        while self.nulls.last().is_some_and(|row| *row >= rows) {
            self.nulls.pop();
        }
    }

    /// A cell of a column that is read; `None` is NULL.
    pub fn get(&self, row: usize) -> Option<Cell<'_>> {
        self.nulls.binary_search(&row).is_err().then(|| match &self.values {
            Values::Boolean(values) => Cell::Boolean(values[row]),
            Values::SmallInt(values) => Cell::SmallInt(values[row]),
            Values::Int(values) => Cell::Int(values[row]),
            Values::BigInt(values) => Cell::BigInt(values[row]),
            Values::Real(values) => Cell::Real(values[row]),
            Values::Double(values) => Cell::Double(values[row]),
            Values::Decimal(values) => Cell::Decimal(values[row]),
            Values::WideDecimal(values) => Cell::WideDecimal(values[row]),
            Values::Bytes { data, offsets } => Cell::Bytes(&data[offsets[row] as usize..offsets[row + 1] as usize]),
            Values::Unread(_) => panic!("a cell of a column that nobody reads"),
        })
    }

    /// The array of all cells. Of a column that nobody reads every cell is NULL, or, if it is not `nullable`, the same value.
    pub fn finish(self, nullable: bool) -> ArrayRef {
        let nulls = (!self.nulls.is_empty()).then(|| valid(&self.nulls, self.len()));
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
            Values::Unread(count) => constant(self.ty, count, nullable),
        }
    }
}

/// Which of so many rows have a value.
fn valid(nulls: &[usize], rows: usize) -> NullBuffer {
    let mut valid = vec![true; rows];
    nulls.iter().for_each(|row| valid[*row] = false);
    NullBuffer::from(valid)
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

/// So many cells that are all alike: NULL, or, if they may not be NULL, zero, or empty.
fn constant(ty: ColumnType, rows: usize, nullable: bool) -> ArrayRef {
    let nulls = new_null_array(&ty.arrow(), rows);
    if nullable {
        return nulls;
    }
    let values = nulls.to_data().into_builder().nulls(None).build();
    make_array(values.expect("what stands under NULLs is zero, or empty"))
}
