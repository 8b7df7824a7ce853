//! Golden bytes: the row encoding of every column type, pinned. If one of these fails after an upgrade of arrow, raise
//! `ROW_FORMAT`; never just write the new bytes down.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::NullBuffer;
use arrow::datatypes::i256;

use crate::{Column, ColumnType, RowCodec, RowType};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of every value of a column of a type.
fn bytes_of(ty: ColumnType, column: ArrayRef) -> Vec<String> {
    let codec = RowCodec::new(RowType(vec![Column::new("c", ty, true)]).schema());
    assert_eq!(*column.data_type(), ty.arrow(), "{ty}");
    let rows = codec.encode(&[Arc::clone(&column)]);
    let back = codec.decode(rows.iter());
    assert_eq!(hex_of(&codec, &back), hex_of(&codec, &[column]), "{ty}: decoding gives the same value");
    rows.iter().map(hex).collect()
}

fn hex_of(codec: &RowCodec, columns: &[ArrayRef]) -> Vec<String> {
    codec.encode(columns).iter().map(hex).collect()
}

/// The values of a numeric column of any width, NULL last.
fn decimals(ty: ColumnType, values: &[i128]) -> ArrayRef {
    let values = values.iter().copied().map(Some).chain([None]);
    match ty {
        ColumnType::Numeric { precision, scale } if precision <= 38 => {
            let array: Decimal128Array = values.collect();
            Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
        }
        ColumnType::Numeric { precision, scale } => {
            let array: Decimal256Array = values.map(|value| value.map(i256::from_i128)).collect();
            Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
        }
        other => panic!("{other} is not numeric"),
    }
}

#[test]
fn golden_bytes_of_integers_and_booleans() {
    use ColumnType::*;
    let boolean = Arc::new(BooleanArray::from(vec![Some(false), Some(true), None]));
    assert_eq!(bytes_of(Boolean, boolean), ["0100", "0101", "0000"]);
    let small = Arc::new(Int16Array::from(vec![Some(i16::MIN), Some(-1), Some(1), None]));
    assert_eq!(bytes_of(SmallInt, small), ["010000", "017fff", "018001", "000000"]);
    let int = Arc::new(Int32Array::from(vec![Some(-1), Some(1), None]));
    assert_eq!(bytes_of(Int, int), ["017fffffff", "0180000001", "0000000000"]);
    let big = Arc::new(Int64Array::from(vec![Some(-1), Some(1), None]));
    assert_eq!(bytes_of(BigInt, big), ["017fffffffffffffff", "018000000000000001", "000000000000000000"]);
}

#[test]
fn golden_bytes_of_floats_with_one_nan_and_one_zero() {
    let negative_nan = f32::from_bits(0xffc0_0001);
    let real =
        Arc::new(Float32Array::from(vec![Some(1.5), Some(0.0), Some(-0.0), Some(f32::NAN), Some(negative_nan), None]));
    assert_eq!(
        bytes_of(ColumnType::Real, real),
        ["01bfc00000", "0180000000", "0180000000", "01ffc00000", "01ffc00000", "0000000000"]
    );
    let double = Arc::new(Float64Array::from(vec![Some(-1.5), Some(-0.0), Some(f64::NAN), Some(f64::INFINITY), None]));
    assert_eq!(
        bytes_of(ColumnType::Double, double),
        ["014007ffffffffffff", "018000000000000000", "01fff8000000000000", "01fff0000000000000", "000000000000000000"]
    );
}

#[test]
fn golden_bytes_of_numerics() {
    let narrow = ColumnType::Numeric { precision: 10, scale: 2 };
    assert_eq!(
        bytes_of(narrow, decimals(narrow, &[-1250, 1250])),
        ["017ffffffffffffffffffffffffffffb1e", "01800000000000000000000000000004e2", &"00".repeat(17)]
    );
    let wide = ColumnType::Numeric { precision: 76, scale: 38 };
    let zeros = "00".repeat(30);
    assert_eq!(
        bytes_of(wide, decimals(wide, &[-1, 1])),
        [format!("017f{}", "ff".repeat(31)), format!("0180{zeros}01"), "00".repeat(33)]
    );
}

#[test]
fn golden_bytes_of_text_and_bytes() {
    use ColumnType::*;
    let golden = ["01", "02616200000000000002", "026162636465666768ff696a00000000000002", "00"];
    for ty in [Text, Varchar(20), Jsonb] {
        let text = Arc::new(StringArray::from(vec![Some(""), Some("ab"), Some("abcdefghij"), None]));
        assert_eq!(bytes_of(ty, text), golden, "{ty}");
    }
    let bytea = Arc::new(BinaryArray::from(vec![Some(b"".as_slice()), Some(b"ab"), Some(b"abcdefghij"), None]));
    assert_eq!(bytes_of(Bytea, bytea), golden);
    let uuid = Arc::new(StringArray::from(vec![Some("00000000-0000-0000-0000-00000000000a"), None]));
    let row = bytes_of(Uuid, uuid);
    assert_eq!((row[0].len(), row[1].as_str()), (140, "00"));
}

#[test]
fn golden_bytes_of_dates_and_times() {
    use ColumnType::*;
    let date = Arc::new(Date32Array::from(vec![Some(-1), Some(19737), None]));
    assert_eq!(bytes_of(Date, date), ["017fffffff", "0180004d19", "0000000000"]);
    let golden = ["018000000000000001", "000000000000000000"];
    let time = Arc::new(Time64MicrosecondArray::from(vec![Some(1), None]));
    assert_eq!(bytes_of(Time, time), golden);
    let timestamp = Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None]));
    assert_eq!(bytes_of(Timestamp(3), timestamp), golden);
    let zoned = Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None]).with_timezone("UTC"));
    assert_eq!(bytes_of(TimestampTz(6), zoned), golden);
}

#[test]
fn rows_of_several_columns_are_the_columns_one_after_another() {
    let columns = RowType(vec![Column::new("a", ColumnType::Int, true), Column::new("b", ColumnType::Text, true)]);
    let codec = RowCodec::new(columns.schema());
    let ints: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![None, Some("x")]));
    assert_eq!(hex_of(&codec, &[ints, texts]), ["018000000100", "000000000002780000000000000001"]);
}

#[test]
fn byte_order_is_value_order() {
    let codec = RowCodec::new(RowType(vec![Column::new("c", ColumnType::Double, true)]).schema());
    let ordered = [f64::NEG_INFINITY, -1e308, -1.0, -5e-324, 0.0, 5e-324, 1.0, f64::INFINITY, f64::NAN];
    let nulls = NullBuffer::from(vec![true; ordered.len()]);
    let rows = codec.encode(&[Arc::new(Float64Array::new(ordered.to_vec().into(), Some(nulls)))]);
    assert!((1..rows.len()).all(|at| rows.row(at - 1) < rows.row(at)));
}
