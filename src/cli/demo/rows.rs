//! Rows of a table as JSON objects: what is shown, and what the generator's books are read from.

use runtime::Handle;
use schemas::RowWriter;
use serde_json::{Map, Value};

use crate::cli::Failure;

/// A row by column.
pub(super) type Row = Map<String, Value>;

/// All rows of a table at the last committed epoch.
pub(super) fn rows(handle: &Handle, table: &str) -> Result<Vec<Row>, Failure> {
    let missing = || Failure::other(format!("the demo's table {table} is gone; begin anew with --fresh"));
    let view = handle.table(table)?.ok_or_else(missing)?;
    let positions: Vec<usize> = (0..view.def.columns.0.len()).collect();
    let writer = RowWriter::new(&view.def.columns, &positions);
    let mut rows = Vec::new();
    view.read(|delta| {
        let bound = writer.bind(delta.batch());
        for (at, weight) in delta.weights().values().iter().enumerate() {
            let mut json = Vec::new();
            bound.write(at, &mut json);
            let row: Row = serde_json::from_slice(&json).expect("the row writer writes JSON objects");
            // A row may be there several times.
            rows.extend(std::iter::repeat_n(row, usize::try_from(*weight).unwrap_or(0)));
        }
    })?;
    Ok(rows)
}

/// A whole number of a row; 0 where there is none.
pub(super) fn whole(row: &Row, column: &str) -> i64 {
    row.get(column).and_then(Value::as_i64).unwrap_or(0)
}

/// A text of a row.
pub(super) fn text(row: &Row, column: &str) -> String {
    row.get(column).and_then(Value::as_str).unwrap_or_default().to_string()
}

/// An amount of money, in cents, of a numeric's text; `None` if it is not one, or not in whole cents.
pub(super) fn cents(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 2 {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let fraction: i64 = format!("{fraction:0<2}").parse().ok()?;
    Some(sign * (whole * 100 + fraction))
}

/// Cents as a numeric's text.
pub(super) fn money(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_there_and_back() {
        for (text, value) in [("12.50", Some(1250)), ("-0.05", Some(-5)), ("7", Some(700)), ("1.500000", Some(150))] {
            assert_eq!(cents(text), value, "{text}");
        }
        assert_eq!(cents("1.005"), None);
        assert_eq!(cents("NaN"), None);
        assert_eq!((money(1250), money(-5)), ("12.50".to_string(), "-0.05".to_string()));
    }
}
