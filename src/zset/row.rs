//! Canonical row bytes: one row, one byte string, memcomparable, equal exactly when the rows are equal as keys.
//!
//! The encoding is arrow-row's with floats made canonical first (one NaN; -0.0 is 0.0, as PostgreSQL's equality has it).
//! arrow-row may change it between releases, so whatever is stored carries [`ROW_FORMAT`] and the golden tests pin the
//! bytes of every type.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, SchemaRef};
use arrow_row::{RowConverter, SortField};

/// The id of the row encoding: raised when golden bytes change.
pub const ROW_FORMAT: u32 = 1;

/// What workers encode or copy at a time has no fewer rows.
const ROWS_MIN: usize = 16_384;

/// Byte strings one after another, without an allocation per row.
#[derive(Debug, Clone, Default)]
pub struct RowBytes {
    ends: Vec<usize>,
    data: Vec<u8>,
}

impl RowBytes {
    /// No rows.
    pub const fn new() -> Self {
        Self { ends: Vec::new(), data: Vec::new() }
    }

    /// No rows, with room.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self { ends: Vec::with_capacity(rows), data: Vec::with_capacity(bytes) }
    }

    /// The number of rows.
    #[inline]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of one row.
    #[inline]
    pub fn row(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.data[start..self.ends[index]]
    }

    /// Adds a row.
    #[inline]
    pub fn push(&mut self, row: &[u8]) {
        self.data.extend_from_slice(row);
        self.ends.push(self.data.len());
    }

    /// The rows at `indices`, in that order.
    #[must_use]
    pub fn gather(&self, indices: &[u32]) -> Self {
        if workers::is_cut(indices.len(), ROWS_MIN) {
            return self.gather_cut(indices);
        }
        let bytes = indices.iter().map(|&at| self.row(at as usize).len()).sum();
        let mut out = Self::with_capacity(indices.len(), bytes);
        indices.iter().for_each(|&at| out.push(self.row(at as usize)));
        out
    }

    fn gather_cut(&self, indices: &[u32]) -> Self {
        let mut end = 0;
        let add = |at: &u32| {
            end += self.row(*at as usize).len();
            end
        };
        let ends: Vec<usize> = indices.iter().map(add).collect();
        let mut data = vec![0; end];
        workers::fill(&mut data, &ends, &workers::pieces(indices.len(), ROWS_MIN), |piece, mut part| {
            for at in &indices[piece] {
                let row = self.row(*at as usize);
                let (place, rest) = part.split_at_mut(row.len());
                place.copy_from_slice(row);
                part = rest;
            }
        });
        Self { ends, data }
    }

    /// The rows of parts, one part after another.
    pub fn joined(mut parts: Vec<Self>) -> Self {
        if parts.len() == 1 {
            return parts.remove(0);
        }
        let mut ends = Vec::with_capacity(parts.iter().map(Self::len).sum());
        let mut part_ends = Vec::with_capacity(parts.len());
        let mut filled = 0;
        for part in &parts {
            ends.extend(part.ends.iter().map(|end| filled + end));
            filled += part.data.len();
            part_ends.push(filled);
        }
        let mut data = vec![0; filled];
        let each: Vec<_> = (0..parts.len()).map(|at| at..at + 1).collect();
        workers::fill(&mut data, &part_ends, &each, |at, part| part.copy_from_slice(&parts[at.start].data));
        Self { ends, data }
    }

    /// All rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + '_ {
        (0..self.len()).map(|index| self.row(index))
    }

    /// The bytes of all rows together.
    pub fn data_len(&self) -> usize {
        self.data.len()
    }
}

impl<'a> FromIterator<&'a [u8]> for RowBytes {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(rows: I) -> Self {
        let mut all = Self::default();
        rows.into_iter().for_each(|row| all.push(row));
        all
    }
}

/// Encodes and decodes the rows of one schema.
#[derive(Debug)]
pub struct RowCodec {
    schema: SchemaRef,
    converter: RowConverter,
}

impl RowCodec {
    /// A codec for all columns of a schema, in order. Panics on a type that no [`crate::ColumnType`] maps to.
    pub fn new(schema: SchemaRef) -> Self {
        let fields = schema.fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
        let converter = RowConverter::new(fields).expect("every column type has row bytes");
        Self { schema, converter }
    }

    /// The schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The bytes of every row.
    pub fn encode(&self, columns: &[ArrayRef]) -> RowBytes {
        if columns.is_empty() {
            return RowBytes::default();
        }
        let columns: Vec<ArrayRef> = columns.iter().map(canonical).collect();
        let rows = self.converter.convert_columns(&columns).expect("columns of the codec's schema");
        if rows.size() > i32::MAX as usize {
            let mut bytes = RowBytes::with_capacity(rows.num_rows(), rows.size());
            rows.iter().for_each(|row| bytes.push(row.as_ref()));
            return bytes;
        }
        let (offsets, data, _) = rows.try_into_binary().expect("under 2 GiB").into_parts();
        let ends = offsets[1..].iter().map(|end| *end as usize).collect();
        let data = data.into_vec().unwrap_or_else(|shared| shared.to_vec());
        RowBytes { ends, data }
    }

    /// The bytes of every row of a batch. A schema without columns has one empty byte string per row.
    pub fn encode_batch(&self, batch: &RecordBatch) -> RowBytes {
        if batch.num_columns() == 0 {
            return (0..batch.num_rows()).map(|_| [].as_slice()).collect();
        }
        let encode = |rows: Range<usize>| self.encode(batch.slice(rows.start, rows.len()).columns());
        RowBytes::joined(workers::map_pieces(batch.num_rows(), ROWS_MIN, encode))
    }

    /// The columns of rows that this codec encoded. Panics on other bytes: those that come from a disk are checked by
    /// their block before they get here.
    pub fn decode<'a>(&self, rows: impl IntoIterator<Item = &'a [u8]>) -> Vec<ArrayRef> {
        let parser = self.converter.parser();
        let rows = rows.into_iter().map(|row| parser.parse(row));
        self.converter.convert_rows(rows).expect("bytes of the codec's schema")
    }

    /// As [`RowCodec::decode`], as a batch of the codec's schema.
    pub fn decode_batch<'a>(&self, rows: impl IntoIterator<Item = &'a [u8]>) -> RecordBatch {
        if self.schema.fields().is_empty() {
            let count = rows.into_iter().count();
            let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(count));
            return RecordBatch::try_new_with_options(Arc::clone(&self.schema), vec![], &options)
                .expect("a batch without columns");
        }
        RecordBatch::try_new(Arc::clone(&self.schema), self.decode(rows)).expect("columns of the codec's schema")
    }
}

/// The column with one NaN and one zero, as its row bytes have it. Rows are made so where they are computed, that a row
/// and its copy that went through state are the same to every expression (`x::text` tells -0 from 0).
pub fn canonical(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float32 => {
            let floats = column.as_primitive::<Float32Type>();
            let map = |x: f32| if x.is_nan() { f32::NAN } else { x + 0.0 };
            Arc::new(floats.unary::<_, Float32Type>(map)) as Arc<Float32Array>
        }
        DataType::Float64 => {
            let floats = column.as_primitive::<Float64Type>();
            let map = |x: f64| if x.is_nan() { f64::NAN } else { x + 0.0 };
            Arc::new(floats.unary::<_, Float64Type>(map)) as Arc<Float64Array>
        }
        _ => Arc::clone(column),
    }
}
