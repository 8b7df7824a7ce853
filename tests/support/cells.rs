//! Cells that can be compared: our JSON of a value and PostgreSQL's text of it come to the same string when they are the
//! same value. Numerics are compared as numbers: trailing zeros do not count.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use zset::ColumnType;

/// A multiset of rows.
pub type Rows = BTreeMap<Vec<String>, i64>;

const NULL: &str = "NULL";

/// A cell of our JSON, as its text: a parsed float might not be the one that was written.
pub fn of_json(ty: ColumnType, json: &RawValue) -> String {
    let text = match json.get() {
        "null" => return NULL.to_string(),
        quoted if quoted.starts_with('"') => serde_json::from_str(quoted).expect("a JSON string"),
        other => other.to_string(),
    };
    match ty {
        ColumnType::Real | ColumnType::Double => float(&text),
        ColumnType::Numeric { .. } => numeric(&text),
        ColumnType::Timestamp(_) | ColumnType::TimestampTz(_) => time(&text.replace('T', " ")),
        ColumnType::Time => time(&text),
        ColumnType::Bytea => hex(&STANDARD.decode(text).expect("bytea is base64")),
        _ => format!("'{text}'"),
    }
}

/// A cell of PostgreSQL's text.
pub fn of_postgres(ty: ColumnType, text: Option<&str>) -> String {
    let Some(text) = text else { return NULL.to_string() };
    match ty {
        ColumnType::Boolean => format!("'{}'", text == "t"),
        ColumnType::Real | ColumnType::Double => float(text),
        ColumnType::Numeric { .. } => numeric(text),
        ColumnType::Timestamp(_) | ColumnType::TimestampTz(_) | ColumnType::Time => time(text),
        ColumnType::Bytea => text.trim_start_matches("\\x").to_string(),
        _ => format!("'{text}'"),
    }
}

fn float(text: &str) -> String {
    let number: f64 = text.parse().unwrap_or_else(|_| panic!("{text} is not a float"));
    format!("{:?}", number + 0.0)
}

fn numeric(text: &str) -> String {
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    if text == "-0" { "0".to_string() } else { text.to_string() }
}

fn time(text: &str) -> String {
    let text = text.trim_end_matches('Z').trim_end_matches("+00");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text.to_string() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The difference of two multisets, for a message.
pub fn difference(ours: &Rows, theirs: &Rows) -> String {
    let mut lines = Vec::new();
    for row in ours.keys().chain(theirs.keys().filter(|row| !ours.contains_key(*row))) {
        let (a, b) = (ours.get(row).copied().unwrap_or(0), theirs.get(row).copied().unwrap_or(0));
        if a != b {
            lines.push(format!("  {row:?}: Millstream {a}, PostgreSQL {b}"));
        }
    }
    let more = lines.len().saturating_sub(20);
    lines.truncate(20);
    format!("{}\n  and {more} more", lines.join("\n"))
}
