//! Text: characters are Unicode code points, as in a UTF-8 database; case by the simple mappings of Unicode.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Int32Type};
use zset::ColumnType as T;
use zset::RowError;

use super::{Result, primitive, strings, valid};
use crate::Op;

/// PostgreSQL's limit of a value: 1 GiB.
const BYTES_MAX: usize = 0x3fff_ffff;

fn too_large() -> RowError {
    RowError::new("54000", "requested length too large")
}

/// One character in upper case, by Unicode's simple mapping: one character for one.
pub(super) fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => match c {
            // Greek with iota subscript: several characters by the full mapping, one by the simple one
            '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
                char::from_u32(c as u32 + 8).unwrap_or(c)
            }
            '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => char::from_u32(c as u32 + 9).unwrap_or(c),
            _ => c,
        },
    }
}

/// One character in lower case, by Unicode's simple mapping: one character for one.
pub(super) fn lower(c: char) -> char {
    let mut mapped = c.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ if c == '\u{130}' => 'i',
        _ => c,
    }
}

/// The byte at which the nth character begins; the end if there are not so many.
pub(super) fn byte_of(text: &str, n: usize) -> usize {
    if text.is_ascii() { n.min(text.len()) } else { text.char_indices().nth(n).map_or(text.len(), |(at, _)| at) }
}

pub(super) fn chars(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

/// Computes over text.
pub(super) fn compute(op: &Op, arrays: &[ArrayRef], types: &[T], rows: usize) -> Result<ArrayRef> {
    match op {
        Op::OctetLength if arrays[0].data_type() == &DataType::Binary => {
            let bytes = arrays[0].as_binary::<i32>();
            Ok(Arc::new(primitive::<Int32Type>(rows, valid(&[bytes]), |row| Ok(bytes.value(row).len() as i32))?))
        }
        Op::Length | Op::OctetLength => {
            let text = arrays[0].as_string::<i32>();
            let count = |row| if *op == Op::Length { chars(text.value(row)) } else { text.value(row).len() };
            Ok(Arc::new(primitive::<Int32Type>(rows, valid(&[text]), |row| Ok(count(row) as i32))?))
        }
        Op::ConcatSkippingNulls => {
            let all: Vec<&StringArray> = arrays.iter().map(|a| a.as_string::<i32>()).collect();
            let output = strings(rows, None, |row, out| {
                all.iter().filter(|text| text.is_valid(row)).for_each(|text| out.push_str(text.value(row)));
                Ok(())
            })?;
            Ok(Arc::new(output))
        }
        _ => written(op, arrays, types, rows),
    }
}

fn written(op: &Op, arrays: &[ArrayRef], types: &[T], rows: usize) -> Result<ArrayRef> {
    let text = arrays[0].as_string::<i32>();
    let nulls = valid(&arrays.iter().map(|a| a.as_ref()).collect::<Vec<_>>());
    let string = |at: usize, row: usize| arrays[at].as_string::<i32>().value(row);
    let number = |at: usize, row: usize| i64::from(arrays[at].as_primitive::<Int32Type>().value(row));
    debug_assert_eq!(types.len(), arrays.len());
    let output = strings(rows, nulls, |row, out| {
        let value = text.value(row);
        match op {
            Op::Concat => {
                out.push_str(value);
                out.push_str(string(1, row));
            }
            Op::Upper => out.extend(value.chars().map(upper)),
            Op::Lower => out.extend(value.chars().map(lower)),
            Op::Reverse => out.extend(value.chars().rev()),
            Op::TrimBoth | Op::TrimLeft | Op::TrimRight => {
                out.push_str(trim(op, value, if arrays.len() > 1 { string(1, row) } else { " " }));
            }
            Op::Left => {
                let n = number(1, row);
                let keep = if n < 0 { (chars(value) as i64 + n).max(0) } else { n };
                out.push_str(&value[..byte_of(value, keep as usize)]);
            }
            Op::Right => {
                let skip = match number(1, row) {
                    // the least integer has no opposite: PostgreSQL skips nothing
                    -2_147_483_648 => 0,
                    n if n < 0 => -n,
                    n => (chars(value) as i64 - n).max(0),
                };
                out.push_str(&value[byte_of(value, skip as usize)..]);
            }
            Op::Repeat => {
                let n = number(1, row).max(0) as usize;
                if value.len().saturating_mul(n) > BYTES_MAX {
                    return Err(too_large());
                }
                (0..n).for_each(|_| out.push_str(value));
            }
            Op::Substr => {
                let count = (arrays.len() > 2).then(|| number(2, row));
                out.push_str(substr(value, number(1, row), count)?);
            }
            _ => {
                let fill = if arrays.len() > 2 { string(2, row) } else { " " };
                pad(*op == Op::LeftPad, value, number(1, row), fill, out)?;
            }
        }
        Ok(())
    })?;
    Ok(Arc::new(output))
}

fn trim<'a>(op: &Op, value: &'a str, set: &str) -> &'a str {
    let of_set = |c: char| set.contains(c);
    match op {
        Op::TrimLeft => value.trim_start_matches(of_set),
        Op::TrimRight => value.trim_end_matches(of_set),
        _ => value.trim_matches(of_set),
    }
}

/// PostgreSQL's substring: positions from 1, what lies before the text counts as nothing.
fn substr(value: &str, from: i64, count: Option<i64>) -> Result<&str> {
    let end = match count {
        None => i64::MAX,
        Some(count) if count < 0 => return Err(RowError::new("22011", "negative substring length not allowed")),
        Some(count) => from + count,
    };
    if end < 1 {
        return Ok("");
    }
    let start = byte_of(value, (from.max(1) - 1) as usize);
    let stop = if end == i64::MAX { value.len() } else { byte_of(value, (end - 1) as usize) };
    Ok(if start < stop { &value[start..stop] } else { "" })
}

fn pad(left: bool, value: &str, length: i64, fill: &str, out: &mut String) -> Result<()> {
    let length = length.max(0) as usize;
    let have = chars(value);
    if length <= have || fill.is_empty() {
        out.push_str(&value[..byte_of(value, length)]);
        return Ok(());
    }
    let missing = length - have;
    if missing.saturating_mul(fill.len()) > BYTES_MAX {
        return Err(too_large());
    }
    let padding = fill.chars().cycle().take(missing);
    if left {
        out.extend(padding);
        out.push_str(value);
    } else {
        out.push_str(value);
        out.extend(padding);
    }
    Ok(())
}
