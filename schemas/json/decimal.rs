//! Decimals as Kafka Connect writes them: the bytes of an unscaled integer, big-endian, two's complement.

use arrow::datatypes::i256;
use serde::Deserialize;
use zset::ColumnType;

use super::value::Problem;
use crate::cells::{Cell, Cells};
use crate::text::{Misfit, base64, misfit, rescale, write_numeric256};

/// Debezium's decimal with a scale of its own.
#[derive(Debug, Deserialize)]
struct Variable {
    scale: i32,
    value: String,
}

/// Reads `{"scale":2,"value":"Th8="}`.
pub(super) fn read_variable(ty: ColumnType, token: &str, cells: &mut Cells) -> Result<(), Problem> {
    match serde_json::from_str::<Variable>(token) {
        Ok(variable) => read_unscaled(ty, variable.scale, &variable.value, cells),
        Err(_) => Ok(misfit("is an object, but not one with \"scale\" and \"value\"")?),
    }
}

/// Reads the base64 of an unscaled integer.
pub(super) fn read_unscaled(ty: ColumnType, from: i32, text: &str, cells: &mut Cells) -> Result<(), Problem> {
    let ColumnType::Numeric { precision, scale } = ty else {
        panic!("a decimal is read for a numeric column, not for {ty}");
    };
    let unscaled = base64(text).and_then(|bytes| integer(&bytes)).map_err(|why| Problem {
        shown: None,
        why: Misfit(
            format!(
                "{why}, as decimal_handling_mode 'precise' writes a decimal; if it is written as text or as a number, \
                 say 'string' or 'double'"
            )
            .into(),
        ),
    })?;
    let value = rescale(unscaled, from, precision, scale)
        .map_err(|why| Problem { shown: Some(shown(unscaled, from, text)), why })?;
    let cell = match value.to_i128() {
        Some(value) if precision <= 38 => Cell::Decimal(value),
        _ => Cell::WideDecimal(value),
    };
    Ok(cells.push(cell)?)
}

/// The number, where it can be written.
fn shown(unscaled: i256, scale: i32, text: &str) -> String {
    match i8::try_from(scale) {
        Ok(scale) => {
            let mut out = Vec::new();
            write_numeric256(unscaled, scale, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        }
        Err(_) => format!("\"{text}\" with {scale} digits behind the point"),
    }
}

fn integer(bytes: &[u8]) -> Result<i256, Misfit> {
    let Some(first) = bytes.first() else {
        return misfit("is not the base64 of an integer");
    };
    let sign = if *first >= 0x80 { 0xff } else { 0 };
    let extra = bytes.len().saturating_sub(32);
    let (head, tail) = bytes.split_at(extra);
    let fits = head.iter().all(|byte| *byte == sign) && (extra == 0 || (tail[0] >= 0x80) == (sign == 0xff));
    if !fits {
        return misfit("is the base64 of an integer of more than 256 bits");
    }
    let mut wide = [sign; 32];
    wide[32 - tail.len()..].copy_from_slice(tail);
    Ok(i256::from_be_bytes(wide))
}
