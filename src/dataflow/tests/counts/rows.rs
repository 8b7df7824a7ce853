//! The rows that are counted: a key, and columns of every kind of value that is made of one number.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
use zset::ColumnType::{self, BigInt, Double, Numeric, Text};
use zset::{Column, Delta, RowType};

/// Of 12 digits.
pub const NUMERIC: ColumnType = Numeric { precision: 12, scale: 2 };

/// The columns by their names.
pub const COLUMNS: [(&str, ColumnType); 5] =
    [("key", BigInt), ("value", BigInt), ("float", Double), ("numeric", NUMERIC), ("text", Text)];

/// Nullable columns of these types.
pub fn row_type(types: impl IntoIterator<Item = ColumnType>) -> RowType {
    RowType(types.into_iter().enumerate().map(|(at, ty)| Column::new(format!("c{at}"), ty, true)).collect())
}

/// Those of [`COLUMNS`].
pub fn columns() -> RowType {
    row_type(COLUMNS.map(|(_, ty)| ty))
}

/// Rows by key and number.
pub fn batch(of: impl Iterator<Item = (i64, i64)>) -> RecordBatch {
    let (keys, values): (Vec<i64>, Vec<i64>) = of.unzip();
    let numerics = Decimal128Array::from_iter_values(values.iter().map(|value| i128::from(*value % 1_000_000)));
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(keys)),
        Arc::new(Float64Array::from_iter_values(values.iter().map(|value| *value as f64 / 4.0))),
        Arc::new(numerics.with_precision_and_scale(12, 2).unwrap()),
        Arc::new(StringArray::from_iter_values(values.iter().map(|value| format!("the text of {value}")))),
        Arc::new(Int64Array::from(values)),
    ];
    let [key, float, numeric, text, value] = arrays.try_into().unwrap();
    RecordBatch::try_new(columns().schema(), vec![key, value, float, numeric, text]).unwrap()
}

/// So many of each of these rows come.
pub fn delta(of: impl Iterator<Item = (i64, i64)>, weight: i64) -> Delta {
    let rows = batch(of);
    let weights = Int64Array::from_value(weight, rows.num_rows());
    Delta::new(rows, weights)
}

/// Two rows of each of `rows / 2` keys, in parts.
pub fn filled(rows: i64) -> impl Iterator<Item = std::ops::Range<i64>> {
    (0..rows).step_by(50_000).map(move |start| start..rows.min(start + 50_000))
}

/// Rows by key and number.
type Named = Vec<(i64, i64)>;

/// Of 100 keys, other ones at each epoch, the first of two rows goes and another one comes.
pub fn touched(rows: i64, epoch: i64) -> (Named, Named) {
    let keys = (0..100).map(|at| (epoch * 100 + at) * (rows / 2 - 1) / 400);
    keys.map(|key| ((key, key * 2), (key, -1 - epoch))).unzip()
}
