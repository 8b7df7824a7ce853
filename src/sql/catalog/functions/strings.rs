//! Texts.

use super::super::ty::Ty;
use super::super::value::Value;
use super::super::world::quote_ident;
use super::{Call, Function, function};
use crate::error::{Result, error};

const TEXT: Ty = Ty::TEXT;
const INT4: Ty = Ty::INT4;
const ANY: Ty = Ty::ANY;

pub(super) const FUNCTIONS: &[Function] = &[
    function("lower", &[TEXT], TEXT, |call| Ok(call.str(0).to_lowercase().into())),
    function("upper", &[TEXT], TEXT, |call| Ok(call.str(0).to_uppercase().into())),
    function("length", &[TEXT], INT4, length),
    function("char_length", &[TEXT], INT4, length),
    function("octet_length", &[TEXT], INT4, |call| Ok((call.str(0).len() as i64).into())),
    function("btrim", &[TEXT, TEXT], TEXT, |call| Ok(call.str(0).trim_matches(characters(call)).into())).from(1),
    function("ltrim", &[TEXT, TEXT], TEXT, |call| Ok(call.str(0).trim_start_matches(characters(call)).into())).from(1),
    function("rtrim", &[TEXT, TEXT], TEXT, |call| Ok(call.str(0).trim_end_matches(characters(call)).into())).from(1),
    function("replace", &[TEXT, TEXT, TEXT], TEXT, |call| {
        let from = call.str(1);
        Ok(if from.is_empty() { call.str(0).into() } else { call.str(0).replace(from, call.str(2)).into() })
    }),
    function("substring", &[TEXT, INT4, INT4], TEXT, substring).from(2),
    function("substr", &[TEXT, INT4, INT4], TEXT, substring).from(2),
    function("left", &[TEXT, INT4], TEXT, |call| {
        let count = wanted(call);
        Ok(call.str(0).chars().take(count).collect::<String>().into())
    }),
    function("right", &[TEXT, INT4], TEXT, |call| {
        let skipped = call.str(0).chars().count().saturating_sub(wanted(call));
        Ok(call.str(0).chars().skip(skipped).collect::<String>().into())
    }),
    function("strpos", &[TEXT, TEXT], INT4, position),
    function("position", &[TEXT, TEXT], INT4, position),
    function("starts_with", &[TEXT, TEXT], Ty::BOOL, |call| Ok(call.str(0).starts_with(call.str(1)).into())),
    function("split_part", &[TEXT, TEXT, INT4], TEXT, |call| {
        let at = usize::try_from(call.int(2).saturating_sub(1)).unwrap_or(usize::MAX);
        Ok(call.str(0).split(call.str(1)).nth(at).unwrap_or_default().into())
    }),
    function("repeat", &[TEXT, INT4], TEXT, |call| {
        let times = call.int(1).clamp(0, 10_000) as usize;
        Ok(call.str(0).repeat(times).into())
    }),
    function("concat", &[], TEXT, |call| {
        Ok((0..call.arguments.len()).map(|at| call.text(at)).collect::<String>().into())
    })
    .variadic()
    .null_too(),
    function("concat_ws", &[TEXT], TEXT, |call| {
        let there = (1..call.arguments.len()).filter(|at| !call.value(*at).is_null());
        Ok(there.map(|at| call.text(at)).collect::<Vec<_>>().join(call.str(0)).into())
    })
    .variadic()
    .null_too(),
    function("quote_ident", &[TEXT], TEXT, |call| Ok(quote_ident(call.str(0)).into())),
    function("quote_literal", &[ANY], TEXT, |call| Ok(quote_literal(&call.text(0)).into())),
    function("quote_nullable", &[ANY], TEXT, |call| {
        Ok(if call.value(0).is_null() { "NULL".into() } else { quote_literal(&call.text(0)).into() })
    })
    .null_too(),
    function("format", &[TEXT], TEXT, format).variadic().null_too(),
    function("json_build_object", &[], Ty::JSON, json_object).variadic().null_too(),
    function("abs", &[ANY], ANY, |call| {
        Ok(match call.value(0) {
            Value::Float(value) => Value::Float(value.abs()),
            value => value.as_int().map(i64::saturating_abs).into(),
        })
    }),
];

fn length(call: &Call) -> Result<Value> {
    Ok((call.str(0).chars().count() as i64).into())
}

/// The characters to trim.
fn characters<'a>(call: &'a Call) -> impl FnMut(char) -> bool + use<'a> {
    let set = if call.arguments.len() > 1 { call.str(1) } else { " " };
    move |c| set.contains(c)
}

/// How many characters left and right take; a negative number is all but so many.
fn wanted(call: &Call) -> usize {
    let count = call.int(1);
    let all = call.str(0).chars().count() as i64;
    (if count < 0 { all + count } else { count }).max(0) as usize
}

fn substring(call: &Call) -> Result<Value> {
    let start = call.int(1);
    let end = if call.arguments.len() > 2 { start.saturating_add(call.int(2)) } else { i64::MAX };
    let inside = call.str(0).chars().zip(1_i64..).filter(|(_, at)| *at >= start && *at < end);
    Ok(inside.map(|(c, _)| c).collect::<String>().into())
}

fn position(call: &Call) -> Result<Value> {
    let found = call.str(0).find(call.str(1));
    Ok(found.map_or(0, |at| call.str(0)[..at].chars().count() as i64 + 1).into())
}

fn quote_literal(text: &str) -> String {
    let prefix = if text.contains('\\') { "E" } else { "" };
    format!("{prefix}'{}'", text.replace('\'', "''").replace('\\', "\\\\"))
}

/// %s, %I, %L and %%.
fn format(call: &Call) -> Result<Value> {
    if call.value(0).is_null() {
        return Ok(Value::Null);
    }
    let mut out = String::new();
    let mut chars = call.str(0).chars();
    let mut next = 1;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let kind = chars.next();
        if kind == Some('%') {
            out.push('%');
            continue;
        }
        if next >= call.arguments.len() {
            return Err(error("22023", "too few arguments for format()"));
        }
        let (text, null) = (call.text(next), call.value(next).is_null());
        next += 1;
        match kind {
            Some('s') => out.push_str(&text),
            Some('I') => out.push_str(&quote_ident(&text)),
            Some('L') if null => out.push_str("NULL"),
            Some('L') => out.push_str(&quote_literal(&text)),
            _ => return Err(error("22023", "unrecognized format() type specifier")),
        }
    }
    Ok(out.into())
}

fn json_object(call: &Call) -> Result<Value> {
    let text = |text: &str| format!("{text:?}");
    let value = |at: usize| match call.value(at) {
        Value::Null => "null".to_string(),
        value @ (Value::Bool(_) | Value::Int(_) | Value::Float(_)) => match value {
            Value::Bool(value) => value.to_string(),
            _ => call.text(at),
        },
        _ => text(&call.text(at)),
    };
    let pairs =
        (0..call.arguments.len() / 2).map(|pair| format!("{} : {}", text(&call.text(pair * 2)), value(pair * 2 + 1)));
    Ok(format!("{{{}}}", pairs.collect::<Vec<_>>().join(", ")).into())
}
