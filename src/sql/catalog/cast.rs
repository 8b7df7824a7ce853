//! Values to text and back, and the names that oids stand for (`regclass`, `regtype`, ...).

use chrono::DateTime;

use super::facts;
use super::ty::Ty;
use super::value::Value;
use super::world::{PUBLIC, SCHEMAS, USER, USER_OID, World, quote_ident};
use crate::error::{Result, code, error};

/// `22P02`.
fn invalid(ty: Ty, text: &str) -> dataflow::StatementError {
    error("22P02", format!("invalid input syntax for type {}: \"{text}\"", ty.sql()))
}

/// A value in another type.
pub(crate) fn cast(world: &World, value: &Value, from: Ty, to: Ty) -> Result<Value> {
    if value.is_null() || from == to {
        return Ok(value.clone());
    }
    if let (Some(inner), Value::Array(values)) = (from.element(), value) {
        return match to.element() {
            Some(element) => {
                let values = values.iter().map(|value| cast(world, value, inner, element));
                Ok(Value::array(values.collect::<Result<Vec<_>>>()?))
            }
            None => Ok(display(world, value, from).into()),
        };
    }
    match value {
        Value::Text(text) => read(world, text, to),
        Value::Int(number) if to.is_float() => Ok(Value::Float(*number as f64)),
        Value::Int(number) if to == Ty::BOOL => Ok((*number != 0).into()),
        Value::Int(number) if to.is_integer() => in_range(*number, to),
        Value::Float(number) if to.is_integer() => in_range(number.round_ties_even() as i64, to),
        Value::Float(_) if to.is_float() => Ok(value.clone()),
        Value::Bool(value) if to.is_integer() => Ok(i64::from(*value).into()),
        Value::Int(_) if from == Ty::TIMESTAMPTZ && to == Ty::TIMESTAMP => Ok(value.clone()),
        _ if to == Ty::TEXT || to.is_text() => narrow(display(world, value, from), to),
        _ => Err(error(code::CANNOT_COERCE, format!("cannot cast type {} to {}", from.sql(), to.sql()))),
    }
}

fn in_range(number: i64, to: Ty) -> Result<Value> {
    let fits = match to {
        Ty::INT2 => i16::try_from(number).is_ok(),
        Ty::INT4 => i32::try_from(number).is_ok(),
        Ty::INT8 => true,
        _ => u32::try_from(number).is_ok(),
    };
    if fits { Ok(number.into()) } else { Err(error("22003", format!("{} out of range", to.sql()))) }
}

/// The one-byte type keeps one byte.
fn narrow(text: String, to: Ty) -> Result<Value> {
    Ok(if to == Ty::CHAR { text.chars().take(1).collect::<String>().into() } else { text.into() })
}

/// The value that a text means.
pub(crate) fn read(world: &World, text: &str, to: Ty) -> Result<Value> {
    let trimmed = text.trim();
    if to.is_reg() {
        return object(world, trimmed, to);
    }
    if let Some(element) = to.element() {
        return array(world, trimmed, to, element);
    }
    if to.is_integer() {
        return in_range(trimmed.parse().map_err(|_| invalid(to, text))?, to);
    }
    if to.is_float() {
        return Ok(Value::Float(trimmed.parse().map_err(|_| invalid(to, text))?));
    }
    if to == Ty::BOOL {
        return match trimmed.to_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Ok(true.into()),
            "f" | "false" | "n" | "no" | "off" | "0" => Ok(false.into()),
            _ => Err(invalid(to, text)),
        };
    }
    if to == Ty::TIMESTAMPTZ {
        let time = DateTime::parse_from_rfc3339(trimmed).map_err(|_| invalid(to, text))?;
        return Ok(time.timestamp_micros().into());
    }
    narrow(text.to_string(), to)
}

/// `{a,"b c",NULL}`, or `1 2 3` of a vector.
fn array(world: &World, text: &str, ty: Ty, element: Ty) -> Result<Value> {
    if ty == Ty::INT2VECTOR || ty == Ty::OIDVECTOR {
        let values = text.split_whitespace().map(|item| read(world, item, element));
        return Ok(Value::array(values.collect::<Result<Vec<_>>>()?));
    }
    let malformed = || error("22P02", format!("malformed array literal: \"{text}\""));
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(malformed)?;
    let mut values = Vec::new();
    let mut rest = inner.chars().peekable();
    while rest.peek().is_some() {
        let mut item = String::new();
        let quoted = rest.next_if_eq(&'"').is_some();
        loop {
            match rest.next() {
                None if quoted => return Err(malformed()),
                None => break,
                Some('\\') => item.extend(rest.next()),
                Some('"') if quoted => {
                    rest.next_if_eq(&',');
                    break;
                }
                Some(',') if !quoted => break,
                Some('{') if !quoted => return Err(malformed()),
                Some(c) => item.push(c),
            }
        }
        let null = !quoted && item.trim().eq_ignore_ascii_case("null");
        values.push(if null { Value::Null } else { read(world, &item, element)? });
    }
    Ok(Value::array(values))
}

/// `schema.name` as PostgreSQL reads it: in lower case unless it is quoted.
pub(crate) fn split_name(text: &str) -> (Option<String>, String) {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        let part = parts.last_mut();
        match (c, part) {
            ('"', Some(part)) if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                part.push('"');
            }
            ('"', _) => quoted = !quoted,
            ('.', _) if !quoted => parts.push(String::new()),
            (c, Some(part)) if quoted => part.push(c),
            (c, Some(part)) => part.extend(c.to_lowercase()),
            (_, None) => {}
        }
    }
    let name = parts.pop().unwrap_or_default();
    (parts.pop(), name)
}

/// The type that a name in SQL means: `integer`, `varchar(20)`, `pg_catalog.int4`, `text[]`.
pub(crate) fn type_by_name(text: &str) -> Option<Ty> {
    let bare = text.split('(').next().unwrap_or_default().trim();
    if let Some(element) = bare.strip_suffix("[]") {
        return type_by_name(element).map(Ty::array);
    }
    let one_byte = bare == "\"char\"";
    let (schema, name) = split_name(bare);
    if schema.is_some_and(|schema| schema != "pg_catalog") {
        return None;
    }
    if one_byte { Some(Ty::CHAR) } else { facts::type_named(&name).map(|ty| ty.ty) }
}

/// The oid of the object that a text names, or of the number it is.
fn object(world: &World, text: &str, ty: Ty) -> Result<Value> {
    if text == "-" {
        return Ok(Value::Int(0));
    }
    if let Ok(oid) = text.parse::<i64>() {
        return in_range(oid, ty);
    }
    let (schema, name) = split_name(text);
    let (found, what, sqlstate) = match ty {
        Ty::REGCLASS => (world.relation_oid(schema.as_deref(), &name), "relation", code::UNDEFINED_TABLE),
        Ty::REGTYPE => (type_by_name(text).map(|ty| ty.0.into()), "type", code::UNDEFINED_OBJECT),
        Ty::REGNAMESPACE => (schema_oid(&name), "schema", code::INVALID_SCHEMA),
        Ty::REGROLE => ((name == USER).then_some(USER_OID), "role", code::UNDEFINED_OBJECT),
        _ => {
            let proc = facts::PROCS.iter().find(|proc| proc.1 == name).map(|proc| proc.0);
            (proc, "function", code::UNDEFINED_FUNCTION)
        }
    };
    found.map(Value::Int).ok_or_else(|| error(sqlstate, format!("{what} \"{text}\" does not exist")))
}

pub(crate) fn schema_oid(name: &str) -> Option<i64> {
    SCHEMAS.iter().find(|schema| schema.0 == name).map(|schema| schema.1)
}

/// The name of the object that an oid is of.
fn object_name(world: &World, oid: i64, ty: Ty) -> String {
    let number = || oid.to_string();
    match ty {
        Ty::REGCLASS => world.relation(oid).map_or_else(number, |(schema, name)| match schema {
            PUBLIC | "pg_catalog" => quote_ident(&name),
            schema => format!("{schema}.{}", quote_ident(&name)),
        }),
        Ty::REGTYPE if oid == 0 => "-".to_string(),
        Ty::REGTYPE => format_type(world, oid, None),
        Ty::REGNAMESPACE => {
            SCHEMAS.iter().find(|schema| schema.1 == oid).map_or_else(number, |schema| schema.0.to_string())
        }
        Ty::REGROLE if oid == USER_OID => USER.to_string(),
        Ty::REGPROC | Ty::REGPROCEDURE if oid != 0 => {
            facts::PROCS.iter().find(|proc| proc.0 == oid).map_or_else(number, |proc| proc.1.to_string())
        }
        _ if oid == 0 => "-".to_string(),
        _ => number(),
    }
}

/// The name of a type with its modifier: `character varying(20)`.
pub(crate) fn format_type(world: &World, oid: i64, modifier: Option<i64>) -> String {
    let fact = u32::try_from(oid).ok().and_then(|oid| facts::type_by_oid(Ty(oid)));
    let Some(fact) = fact else {
        let row = world.tables().find_map(|table| {
            let (row, array) = super::world::row_types(table);
            let name = || quote_ident(&table.name);
            (row == oid).then(name).or_else(|| (array == oid).then(|| format!("{}[]", name())))
        });
        return row.unwrap_or_else(|| if oid == 0 { "-".to_string() } else { "???".to_string() });
    };
    let base = if fact.ty.element().is_some() && fact.sql.ends_with("[]") { fact.element } else { fact.ty };
    let brackets = if base == fact.ty { "" } else { "[]" };
    let digits = modifier.filter(|modifier| *modifier >= 0);
    match (base, digits) {
        (Ty::VARCHAR, Some(m)) => format!("character varying({}){brackets}", m - 4),
        (Ty::BPCHAR, Some(m)) => format!("character({}){brackets}", m - 4),
        (Ty::BPCHAR, None) if modifier == Some(-1) => format!("bpchar{brackets}"),
        (Ty::NUMERIC, Some(m)) => format!("numeric({},{}){brackets}", (m - 4) >> 16, (m - 4) & 0x7ff),
        (Ty::TIMESTAMP, Some(m)) => format!("timestamp({m}) without time zone{brackets}"),
        (Ty::TIMESTAMPTZ, Some(m)) => format!("timestamp({m}) with time zone{brackets}"),
        (Ty::TIME, Some(m)) => format!("time({m}) without time zone{brackets}"),
        _ => fact.sql.to_string(),
    }
}

/// A value as PostgreSQL prints it.
pub(crate) fn display(world: &World, value: &Value, ty: Ty) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(value) if ty == Ty::BOOL => if *value { "t" } else { "f" }.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Int(micros) if matches!(ty, Ty::TIMESTAMPTZ | Ty::TIMESTAMP) => moment(*micros, ty),
        Value::Int(oid) if ty.is_reg() => object_name(world, *oid, ty),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string().replace("inf", "Infinity"),
        Value::Text(text) => text.to_string(),
        Value::Array(values) => {
            let element = ty.element().unwrap_or(Ty::TEXT);
            let items = values.iter().map(|value| (value, display(world, value, element)));
            if ty == Ty::INT2VECTOR || ty == Ty::OIDVECTOR {
                return items.map(|(_, text)| text).collect::<Vec<_>>().join(" ");
            }
            let items: Vec<String> = items.map(|(value, text)| element_text(value, text)).collect();
            format!("{{{}}}", items.join(","))
        }
    }
}

/// An element as it stands in the text of an array.
fn element_text(value: &Value, text: String) -> String {
    if value.is_null() {
        return "NULL".to_string();
    }
    let special = |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || c.is_whitespace();
    if text.is_empty() || text.eq_ignore_ascii_case("null") || text.contains(special) {
        return format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    }
    text
}

fn moment(micros: i64, ty: Ty) -> String {
    let zone = if ty == Ty::TIMESTAMPTZ { "+00" } else { "" };
    let Some(time) = DateTime::from_timestamp_micros(micros) else { return micros.to_string() };
    let text = time.format("%Y-%m-%d %H:%M:%S%.6f").to_string();
    format!("{}{zone}", text.trim_end_matches('0').trim_end_matches('.'))
}
