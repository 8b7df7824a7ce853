//! Every type: its extremes arrive as they are, and PostgreSQL's text of them is what the type's own text is.

use std::sync::Arc;

use api::TargetRows;
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float32Array,
    Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::i256;
use zset::{Column, ColumnType, RowType};

use super::support::{World, apply, batch, open};

/// A type, values and their text in PostgreSQL; the last is NULL.
pub fn cases() -> Vec<(ColumnType, ArrayRef, Vec<&'static str>)> {
    use ColumnType as T;
    let nines = "9".repeat(38);
    let nines: &'static str = Box::leak(nines.into_boxed_str());
    let wide: &'static str = Box::leak(format!("-{}.{}", "9".repeat(38), "9".repeat(38)).into_boxed_str());
    let wide_value = i256::from_string(&wide.replace('.', "")).unwrap();
    let decimal = |values: Vec<Option<i128>>, p: u8, s: i8| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(p, s).unwrap())
    };
    let text = |values: [Option<&str>; 4]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let micros = |values: Vec<Option<i64>>| TimestampMicrosecondArray::from(values);
    let times = vec![Some(-210_866_803_200_000_000), Some(i64::MAX), Some(946_684_799_999_999), None];
    vec![
        (
            T::Boolean,
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), Some(true), None])),
            vec!["t", "f", "t"],
        ),
        (
            T::SmallInt,
            Arc::new(Int16Array::from(vec![Some(i16::MIN), Some(i16::MAX), Some(0), None])),
            vec!["-32768", "32767", "0"],
        ),
        (
            T::Int,
            Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(i32::MAX), Some(-1), None])),
            vec!["-2147483648", "2147483647", "-1"],
        ),
        (
            T::BigInt,
            Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), Some(0), None])),
            vec!["-9223372036854775808", "9223372036854775807", "0"],
        ),
        (
            T::Real,
            Arc::new(Float32Array::from(vec![Some(f32::MAX), Some(f32::NAN), Some(1e-45), None])),
            vec!["3.4028235e+38", "NaN", "1e-45"],
        ),
        (
            T::Double,
            Arc::new(Float64Array::from(vec![Some(f64::MIN), Some(f64::NEG_INFINITY), Some(5e-324), None])),
            vec!["-1.7976931348623157e+308", "-Infinity", "5e-324"],
        ),
        (
            T::Numeric { precision: 38, scale: 0 },
            decimal(vec![Some(nines.parse().unwrap()), Some(0), Some(-1), None], 38, 0),
            vec![nines, "0", "-1"],
        ),
        (
            T::Numeric { precision: 20, scale: 5 },
            decimal(vec![Some(1_250_000), Some(-1), Some(12_345_678_901_234_567_890), None], 20, 5),
            vec!["12.50000", "-0.00001", "123456789012345.67890"],
        ),
        (
            T::Numeric { precision: 76, scale: 38 },
            Arc::new(
                Decimal256Array::from(vec![Some(wide_value), Some(i256::ZERO), Some(i256::from_i128(10)), None])
                    .with_precision_and_scale(76, 38)
                    .unwrap(),
            ),
            vec![wide, "0", "0.0000000000000000000000000000000000001"],
        ),
        (
            T::Text,
            text([Some(""), Some("a\tb\n\\N'\""), Some("\u{10FFFF}é"), None]),
            vec!["", "a\tb\n\\N'\"", "\u{10FFFF}é"],
        ),
        (T::Varchar(3), text([Some("abc"), Some("ééé"), Some(""), None]), vec!["abc", "ééé", ""]),
        (
            T::Bytea,
            Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff\\"[..]), Some(b""), Some(b"x"), None])),
            vec!["\\x00ff5c", "\\x", "\\x78"],
        ),
        (
            T::Date,
            Arc::new(Date32Array::from(vec![Some(-2_440_588), Some(106_762_939), Some(10_956), None])),
            vec!["4714-11-24 BC", "294276-12-31", "1999-12-31"],
        ),
        (
            T::Time,
            Arc::new(Time64MicrosecondArray::from(vec![Some(0), Some(86_400_000_000), Some(47_655_123_456), None])),
            vec!["00:00:00", "24:00:00", "13:14:15.123456"],
        ),
        (
            T::Timestamp(6),
            Arc::new(micros(times.clone())),
            vec!["4714-11-24 00:00:00 BC", "294247-01-10 04:00:54.775807", "1999-12-31 23:59:59.999999"],
        ),
        (
            T::TimestampTz(6),
            Arc::new(micros(times).with_timezone("UTC")),
            vec!["4714-11-24 00:00:00+00 BC", "294247-01-10 04:00:54.775807+00", "1999-12-31 23:59:59.999999+00"],
        ),
        (
            T::Uuid,
            text([
                Some("00000000-0000-0000-0000-000000000000"),
                Some("ffffffff-ffff-ffff-ffff-ffffffffffff"),
                Some("123e4567-e89b-12d3-a456-426614174000"),
                None,
            ]),
            vec![
                "00000000-0000-0000-0000-000000000000",
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
                "123e4567-e89b-12d3-a456-426614174000",
            ],
        ),
        (
            T::Jsonb,
            text([Some("{\"a\": [1, null, \"x\"]}"), Some("null"), Some("1.50"), None]),
            vec!["{\"a\": [1, null, \"x\"]}", "null", "1.50"],
        ),
    ]
}

#[test]
fn every_type_and_its_extremes_arrive_as_they_are() {
    let mut world = World::new();
    let cases = cases();
    let mut columns = vec![Column::new("id", ColumnType::Int, false)];
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![0, 1, 2, 3]))];
    for (number, (ty, array, _)) in cases.iter().enumerate() {
        columns.push(Column::new(format!("c{number}"), *ty, true));
        arrays.push(Arc::clone(array));
    }
    let columns = RowType(columns);
    let spec = world.spec("types", &columns, &[0]);
    let (mut target, _) = open(&spec);
    let key = RowType(vec![columns.0[0].clone()]);
    let rows = TargetRows { deletes: RecordBatch::new_empty(key.schema()), upserts: batch(&columns, arrays) };
    apply(&mut target, vec![rows], None, 1).unwrap();
    for (number, (ty, _, texts)) in cases.iter().enumerate() {
        let found = world.rows(&format!("SELECT c{number} FROM types ORDER BY id"));
        let found: Vec<&str> = found.iter().map(|row| row[0].as_str()).collect();
        assert_eq!(found, [texts.as_slice(), &["NULL"]].concat(), "{ty}");
    }
    // The table that was made fits the sink that made it.
    open(&spec);
}

#[test]
fn every_type_that_can_be_a_key_finds_its_rows_again() {
    let mut world = World::new();
    for (number, (ty, array, _)) in cases().into_iter().enumerate() {
        let table = format!("keys{number}");
        let columns = RowType(vec![Column::new("k", ty, true), Column::new("v", ColumnType::Int, true)]);
        let mut spec = world.spec(&table, &columns, &[0]);
        spec.sink.name = table.clone();
        let (mut target, _) = open(&spec);
        let key = RowType(vec![columns.0[0].clone()]);
        let rows = |deletes: &ArrayRef, upserts: &ArrayRef, value: i32| TargetRows {
            deletes: batch(&key, vec![Arc::clone(deletes)]),
            upserts: batch(&columns, vec![Arc::clone(upserts), Arc::new(Int32Array::from(vec![value; upserts.len()]))]),
        };
        let none = array.slice(0, 0);
        // Of the booleans two are the same.
        let distinct = array.slice(1, 3);
        apply(&mut target, vec![rows(&none, &distinct, 1)], None, 1).unwrap();
        apply(&mut target, vec![rows(&none, &distinct, 2)], Some(1), 2).unwrap();
        assert_eq!(world.rows(&format!("SELECT count(*), min(v), max(v) FROM {table}")), [["3", "2", "2"]], "{ty}");
        apply(&mut target, vec![rows(&distinct.slice(0, 2), &none, 0)], Some(2), 3).unwrap();
        assert_eq!(world.rows(&format!("SELECT k FROM {table}")), [["NULL"]], "{ty}");
        apply(&mut target, vec![rows(&distinct, &none, 0)], Some(3), 4).unwrap();
        assert_eq!(world.rows(&format!("SELECT k FROM {table}")).len(), 0, "{ty}");
    }
}
