//! Columns of a batch as arrays in PostgreSQL's binary form: no text is parsed on the other side, no value allocated on this.

use std::error::Error;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use schemas::text::{write_i256_trimmed, write_numeric128};
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};
use zset::ColumnType;

use crate::numeric;

/// 2000-01-01 in days and microseconds since 1970: PostgreSQL's zero.
const ZERO_DAY: i32 = 10_957;
const ZERO_MICROS: i64 = 946_684_800_000_000;

/// A column.
#[derive(Debug)]
pub(crate) struct Values<'a> {
    pub ty: ColumnType,
    pub array: &'a ArrayRef,
}

impl ToSql for Values<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Kind::Array(element) = ty.kind() else { return Err(format!("{ty} is no array").into()) };
        let count = i32::try_from(self.array.len())?;
        let dimensions = i32::from(count > 0);
        out.extend_from_slice(&dimensions.to_be_bytes());
        out.extend_from_slice(&i32::from(self.array.null_count() > 0).to_be_bytes());
        out.extend_from_slice(&element.oid().to_be_bytes());
        if count > 0 {
            out.extend_from_slice(&count.to_be_bytes());
            out.extend_from_slice(&1i32.to_be_bytes());
            self.write(out)?;
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(ty.kind(), Kind::Array(_))
    }

    to_sql_checked!();
}

type Done = Result<(), Box<dyn Error + Sync + Send>>;

impl Values<'_> {
    fn write(&self, out: &mut BytesMut) -> Done {
        let array = self.array.as_ref();
        match self.ty {
            ColumnType::Boolean => {
                let values = array.as_boolean();
                each(array, out, |row, out| fixed(&[u8::from(values.value(row))], out))
            }
            ColumnType::SmallInt => primitive::<Int16Type, 2>(array, out, i16::to_be_bytes),
            ColumnType::Int => primitive::<Int32Type, 4>(array, out, i32::to_be_bytes),
            ColumnType::BigInt => primitive::<Int64Type, 8>(array, out, i64::to_be_bytes),
            ColumnType::Real => primitive::<Float32Type, 4>(array, out, f32::to_be_bytes),
            ColumnType::Double => primitive::<Float64Type, 8>(array, out, f64::to_be_bytes),
            ColumnType::Date => {
                primitive::<Date32Type, 4>(array, out, |days| days.saturating_sub(ZERO_DAY).to_be_bytes())
            }
            ColumnType::Time => primitive::<Time64MicrosecondType, 8>(array, out, i64::to_be_bytes),
            ColumnType::Timestamp(_) | ColumnType::TimestampTz(_) => {
                primitive::<TimestampMicrosecondType, 8>(array, out, |micros| {
                    micros.saturating_sub(ZERO_MICROS).to_be_bytes()
                })
            }
            ColumnType::Numeric { precision, scale } => decimals(array, precision, scale, out),
            ColumnType::Text | ColumnType::Varchar(_) => {
                let values = array.as_string::<i32>();
                each(array, out, |row, out| fixed(values.value(row).as_bytes(), out))
            }
            ColumnType::Bytea => {
                let values = array.as_binary::<i32>();
                each(array, out, |row, out| fixed(values.value(row), out))
            }
            ColumnType::Uuid => {
                let values = array.as_string::<i32>();
                each(array, out, |row, out| fixed(&uuid(values.value(row))?, out))
            }
            ColumnType::Jsonb => {
                let values = array.as_string::<i32>();
                each(array, out, |row, out| {
                    let text = values.value(row).as_bytes();
                    out.extend_from_slice(&i32::try_from(text.len() + 1)?.to_be_bytes());
                    // The version of the form.
                    out.extend_from_slice(&[1]);
                    out.extend_from_slice(text);
                    Ok(())
                })
            }
        }
    }
}

/// Writes every element, NULL or by `write`.
fn each(array: &dyn Array, out: &mut BytesMut, mut write: impl FnMut(usize, &mut BytesMut) -> Done) -> Done {
    for row in 0..array.len() {
        if array.is_null(row) {
            out.extend_from_slice(&(-1i32).to_be_bytes());
        } else {
            write(row, out)?;
        }
    }
    Ok(())
}

/// An element's length and bytes.
fn fixed(bytes: &[u8], out: &mut BytesMut) -> Done {
    out.extend_from_slice(&i32::try_from(bytes.len())?.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

fn primitive<T: ArrowPrimitiveType, const N: usize>(
    array: &dyn Array,
    out: &mut BytesMut,
    bytes: impl Fn(T::Native) -> [u8; N],
) -> Done {
    let values = array.as_primitive::<T>();
    each(array, out, |row, out| fixed(&bytes(values.value(row)), out))
}

fn decimals(array: &dyn Array, precision: u8, scale: i8, out: &mut BytesMut) -> Done {
    let (mut text, mut bytes) = (Vec::new(), Vec::new());
    let mut write = |text: &mut Vec<u8>, out: &mut BytesMut| {
        bytes.clear();
        numeric::write(text, &mut bytes);
        text.clear();
        fixed(&bytes, out)
    };
    if precision <= 38 {
        let values = array.as_primitive::<Decimal128Type>();
        return each(array, out, |row, out| {
            write_numeric128(values.value(row), scale, &mut text);
            write(&mut text, out)
        });
    }
    let values = array.as_primitive::<Decimal256Type>();
    each(array, out, |row, out| {
        write_i256_trimmed(values.value(row), scale, &mut text);
        write(&mut text, out)
    })
}

fn uuid(text: &str) -> Result<[u8; 16], Box<dyn Error + Sync + Send>> {
    let mut bytes = [0; 16];
    let mut digits = text.bytes().filter(|byte| *byte != b'-').map(|byte| (byte as char).to_digit(16));
    for byte in &mut bytes {
        match (digits.next().flatten(), digits.next().flatten()) {
            (Some(high), Some(low)) => *byte = (high * 16 + low) as u8,
            _ => return Err(format!("'{text}' is no uuid").into()),
        }
    }
    Ok(bytes)
}
