//! Text in text: strpos, starts_with, split_part, replace, translate.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::Int32Type;
use zset::RowError;

use super::text::chars;
use super::{Result, primitive, strings, valid};
use crate::Op;

/// Computes over text.
pub(super) fn compute(op: &Op, arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let text = arrays[0].as_string::<i32>();
    let second = arrays[1].as_string::<i32>();
    let rows = text.len();
    let nulls = valid(&arrays.iter().map(|a| a.as_ref()).collect::<Vec<_>>());
    match op {
        Op::Strpos => {
            let position = |row: usize| {
                let value = text.value(row);
                value.find(second.value(row)).map_or(0, |at| chars(&value[..at]) as i32 + 1)
            };
            Ok(Arc::new(primitive::<Int32Type>(rows, nulls, |row| Ok(position(row)))?))
        }
        Op::StartsWith => {
            let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
            let starts = (0..rows).map(|row| (!is_null(row)).then(|| text.value(row).starts_with(second.value(row))));
            Ok(Arc::new(starts.collect::<BooleanArray>()))
        }
        Op::SplitPart => {
            let n = arrays[2].as_primitive::<Int32Type>();
            let output = strings(rows, nulls, |row, out| {
                out.push_str(split_part(text.value(row), second.value(row), n.value(row))?);
                Ok(())
            })?;
            Ok(Arc::new(output))
        }
        _ => {
            let third = arrays[2].as_string::<i32>();
            let output = strings(rows, nulls, |row, out| {
                let (value, from, to) = (text.value(row), second.value(row), third.value(row));
                if *op == Op::Replace {
                    replace(value, from, to, out)
                } else {
                    translate(value, from, to, out)
                }
                Ok(())
            })?;
            Ok(Arc::new(output))
        }
    }
}

fn replace(value: &str, from: &str, to: &str, out: &mut String) {
    if from.is_empty() {
        out.push_str(value);
        return;
    }
    for (at, part) in value.split(from).enumerate() {
        if at > 0 {
            out.push_str(to);
        }
        out.push_str(part);
    }
}

fn translate(value: &str, from: &str, to: &str, out: &mut String) {
    for c in value.chars() {
        match from.chars().position(|f| f == c) {
            None => out.push(c),
            Some(at) => out.extend(to.chars().nth(at)),
        }
    }
}

/// The nth part, from the end if n is negative.
fn split_part<'a>(value: &'a str, delimiter: &str, n: i32) -> Result<&'a str> {
    if n == 0 {
        return Err(RowError::new("22023", "field position must not be zero"));
    }
    if delimiter.is_empty() {
        return Ok(if n == 1 || n == -1 { value } else { "" });
    }
    let part = if n > 0 {
        value.split(delimiter).nth(n as usize - 1)
    } else {
        // parts are found from the start, also when they are counted from the end
        let count = value.split(delimiter).count();
        let back = n.unsigned_abs() as usize;
        if back > count { None } else { value.split(delimiter).nth(count - back) }
    };
    Ok(part.unwrap_or(""))
}
