//! Values to Arrow and back.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::*;
use zset::{ColumnType, Delta, RowType};

use crate::{Row, Value};

fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Null => None,
        Value::Int(int) => Some(*int),
        other => panic!("{other} is not an integer"),
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Null => None,
        Value::Float(float) => Some(*float),
        other => panic!("{other} is not a float"),
    }
}

fn numeric(value: &Value) -> Option<i256> {
    match value {
        Value::Null => None,
        Value::Numeric(numeric) => Some(*numeric),
        Value::Int(int) => Some(i256::from(*int)),
        other => panic!("{other} is not numeric"),
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Null => None,
        Value::Text(text) => Some(text),
        other => panic!("{other} is not text"),
    }
}

/// A column of a type; panics on values of another.
pub fn column(ty: ColumnType, values: &[&Value]) -> ArrayRef {
    let ints = || values.iter().map(|value| int(value));
    let narrow = |int: i64| i32::try_from(int).expect("32 bits");
    match ty {
        ColumnType::Boolean => Arc::new(BooleanArray::from_iter(values.iter().map(|value| match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        }))),
        ColumnType::SmallInt => {
            Arc::new(Int16Array::from_iter(ints().map(|v| v.map(|v| i16::try_from(v).expect("16 bits")))))
        }
        ColumnType::Int => Arc::new(Int32Array::from_iter(ints().map(|v| v.map(narrow)))),
        ColumnType::BigInt => Arc::new(Int64Array::from_iter(ints())),
        ColumnType::Real => Arc::new(Float32Array::from_iter(values.iter().map(|v| float(v).map(|v| v as f32)))),
        ColumnType::Double => Arc::new(Float64Array::from_iter(values.iter().map(|v| float(v)))),
        ColumnType::Numeric { precision, scale } if precision <= 38 => {
            let units = values.iter().map(|v| numeric(v).map(|v| v.to_i128().expect("128 bits")));
            let array = Decimal128Array::from_iter(units).with_precision_and_scale(precision, scale);
            Arc::new(array.expect("a numeric type"))
        }
        ColumnType::Numeric { precision, scale } => {
            let array = Decimal256Array::from_iter(values.iter().map(|v| numeric(v)));
            Arc::new(array.with_precision_and_scale(precision, scale).expect("a numeric type"))
        }
        ColumnType::Text | ColumnType::Varchar(_) | ColumnType::Uuid | ColumnType::Jsonb => {
            Arc::new(StringArray::from_iter(values.iter().map(|v| text(v))))
        }
        ColumnType::Bytea => Arc::new(BinaryArray::from_iter(values.iter().map(|value| match value {
            Value::Bytes(bytes) => Some(bytes.as_slice()),
            _ => None,
        }))),
        ColumnType::Date => Arc::new(Date32Array::from_iter(ints().map(|v| v.map(narrow)))),
        ColumnType::Time => Arc::new(Time64MicrosecondArray::from_iter(ints())),
        ColumnType::Timestamp(_) => Arc::new(TimestampMicrosecondArray::from_iter(ints())),
        ColumnType::TimestampTz(_) => Arc::new(TimestampMicrosecondArray::from_iter(ints()).with_timezone("UTC")),
    }
}

/// A delta of rows with weights.
pub fn delta(columns: &RowType, rows: &[(Row, i64)]) -> Delta {
    let arrays = columns.0.iter().enumerate().map(|(at, of)| {
        let values: Vec<&Value> = rows.iter().map(|(row, _)| &row[at]).collect();
        column(of.ty, &values)
    });
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let batch = RecordBatch::try_new_with_options(columns.schema(), arrays.collect(), &options);
    let weights: Vec<i64> = rows.iter().map(|(_, weight)| *weight).collect();
    Delta::new(batch.expect("columns of the row type"), weights.into())
}

/// The rows of a delta, as they are, with their weights.
pub fn rows(delta: &Delta) -> Vec<(Row, i64)> {
    let batch = delta.batch();
    let row = |at: usize| batch.columns().iter().map(|column| value(column, at)).collect();
    (0..delta.len()).map(|at| (row(at), delta.weights().value(at))).collect()
}

fn value(column: &ArrayRef, at: usize) -> Value {
    if column.is_null(at) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Boolean => Value::Bool(column.as_boolean().value(at)),
        DataType::Int16 => Value::Int(column.as_primitive::<Int16Type>().value(at).into()),
        DataType::Int32 => Value::Int(column.as_primitive::<Int32Type>().value(at).into()),
        DataType::Int64 => Value::Int(column.as_primitive::<Int64Type>().value(at)),
        DataType::Float32 => Value::Float(column.as_primitive::<Float32Type>().value(at).into()),
        DataType::Float64 => Value::Float(column.as_primitive::<Float64Type>().value(at)),
        DataType::Decimal128(_, _) => Value::Numeric(column.as_primitive::<Decimal128Type>().value(at).into()),
        DataType::Decimal256(_, _) => Value::Numeric(column.as_primitive::<Decimal256Type>().value(at)),
        DataType::Utf8 => Value::Text(column.as_string::<i32>().value(at).to_string()),
        DataType::Binary => Value::Bytes(column.as_binary::<i32>().value(at).to_vec()),
        DataType::Date32 => Value::Int(column.as_primitive::<Date32Type>().value(at).into()),
        DataType::Time64(_) => Value::Int(column.as_primitive::<Time64MicrosecondType>().value(at)),
        DataType::Timestamp(_, _) => Value::Int(column.as_primitive::<TimestampMicrosecondType>().value(at)),
        other => panic!("no column type is kept as {other}"),
    }
}
