//! What leaves: values in the text form that PostgreSQL sends them in; and text that must fit its column.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use zset::ColumnType as T;
use zset::{RowError, sqlstate};

use super::decimal::wide;
use super::{Result, cast, format, strings, valid};

/// Values as text: `t`, `1.50`, `2024-01-15 10:00:00+00`.
pub fn text_form(ty: T, array: &ArrayRef) -> Result<ArrayRef> {
    match ty {
        T::Boolean => {
            let flags = array.as_boolean();
            let text = flags.iter().map(|flag| flag.map(|flag| if flag { "t" } else { "f" }));
            Ok(Arc::new(text.collect::<StringArray>()))
        }
        // how many digits a quotient is kept with is our own affair
        T::Numeric { scale: scale @ 38.., .. } => {
            let values = wide(array.as_ref());
            let texts = strings(array.len(), valid(&[array.as_ref()]), |row, out| {
                format::numeric(values.value(row), scale, out);
                if out.contains('.') {
                    out.truncate(out.trim_end_matches('0').trim_end_matches('.').len());
                }
                Ok(())
            })?;
            Ok(Arc::new(texts))
        }
        T::Text | T::Varchar(_) | T::Uuid | T::Jsonb => Ok(Arc::clone(array)),
        ty => cast::cast(array, ty, T::Text, false),
    }
}

/// Text for a varchar(n) column: what is too long is an error, but for blanks at the end.
pub(super) fn fit(text: &StringArray, n: u32) -> Result<ArrayRef> {
    let output = strings(text.len(), valid(&[text]), |row, out| {
        let value = text.value(row);
        let end = super::text::byte_of(value, n as usize);
        if !value[end..].bytes().all(|byte| byte == b' ') {
            return Err(RowError::new(
                sqlstate::STRING_TOO_LONG,
                format!("value too long for type character varying({n})"),
            ));
        }
        out.push_str(&value[..end]);
        Ok(())
    })?;
    Ok(Arc::new(output))
}
