//! A key as PostgreSQL shows it in a DETAIL: `Key (a, b)=(1, x)`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use plan::TableDef;
use schemas::text::{write_date, write_i256_trimmed, write_numeric128, write_time, write_timestamp};
use zset::ColumnType;

/// What a row of the table has in some columns.
pub(crate) fn key(def: &TableDef, columns: &[usize], rows: &RecordBatch, row: usize) -> String {
    let arrays: Vec<ArrayRef> = columns.iter().map(|&at| Arc::clone(rows.column(at))).collect();
    values(def, columns, &arrays, row)
}

/// The same, of the columns alone.
pub(crate) fn values(def: &TableDef, columns: &[usize], arrays: &[ArrayRef], row: usize) -> String {
    let names: Vec<&str> = columns.iter().map(|&at| def.columns.0[at].name.as_str()).collect();
    let value = |(&at, array): (&usize, &ArrayRef)| value(def.columns.0[at].ty, array, row);
    let values: Vec<String> = columns.iter().zip(arrays).map(value).collect();
    format!("Key ({})=({})", names.join(", "), values.join(", "))
}

fn value(ty: ColumnType, array: &dyn Array, row: usize) -> String {
    if array.is_null(row) {
        return "null".to_string();
    }
    let mut out = Vec::new();
    match ty {
        ColumnType::Boolean => return if array.as_boolean().value(row) { "t" } else { "f" }.to_string(),
        ColumnType::SmallInt => return array.as_primitive::<Int16Type>().value(row).to_string(),
        ColumnType::Int => return array.as_primitive::<Int32Type>().value(row).to_string(),
        ColumnType::BigInt => return array.as_primitive::<Int64Type>().value(row).to_string(),
        ColumnType::Real => return array.as_primitive::<Float32Type>().value(row).to_string(),
        ColumnType::Double => return array.as_primitive::<Float64Type>().value(row).to_string(),
        ColumnType::Text | ColumnType::Varchar(_) | ColumnType::Uuid | ColumnType::Jsonb => {
            return array.as_string::<i32>().value(row).to_string();
        }
        ColumnType::Bytea => {
            let bytes = array.as_binary::<i32>().value(row);
            return bytes.iter().fold("\\x".to_string(), |text, byte| format!("{text}{byte:02x}"));
        }
        ColumnType::Numeric { precision, scale } if precision <= 38 => {
            write_numeric128(array.as_primitive::<Decimal128Type>().value(row), scale, &mut out);
        }
        ColumnType::Numeric { scale, .. } => {
            write_i256_trimmed(array.as_primitive::<Decimal256Type>().value(row), scale, &mut out);
        }
        ColumnType::Date => write_date(array.as_primitive::<Date32Type>().value(row), &mut out),
        ColumnType::Time => write_time(array.as_primitive::<Time64MicrosecondType>().value(row), &mut out),
        ColumnType::Timestamp(_) | ColumnType::TimestampTz(_) => {
            write_timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row), false, &mut out);
        }
    }
    let mut text = String::from_utf8_lossy(&out).replacen('T', " ", 1);
    if matches!(ty, ColumnType::Time | ColumnType::Timestamp(_) | ColumnType::TimestampTz(_)) {
        // Six digits behind the point, of which PostgreSQL leaves out the zeros; a year before 1 has words behind them.
        let (head, tail) = text.split_once('.').map_or((text.clone(), String::new()), |(head, tail)| {
            let digits = tail.chars().take_while(char::is_ascii_digit).count();
            let kept = tail[..digits].trim_end_matches('0');
            let point = if kept.is_empty() { "" } else { "." };
            (format!("{head}{point}{kept}"), tail[digits..].to_string())
        });
        let zone = if matches!(ty, ColumnType::TimestampTz(_)) { "+00" } else { "" };
        text = format!("{head}{zone}{tail}");
    }
    text
}
