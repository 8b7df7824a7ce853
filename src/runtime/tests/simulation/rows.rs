//! Rows of the model: every table of a run has the columns `id INT, g TEXT, a INT, b INT`, so that any query can read any
//! table. A table is a multiset of rows.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int32Type;
use serde_json::Value;
use zset::Delta;

use super::dice::Dice;

/// The columns, as every CREATE TABLE says them.
pub const COLUMNS: &str = "g TEXT, a INT, b INT";

/// The texts that there are.
pub const TEXTS: [&str; 3] = ["x", "y", "z"];

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub id: Option<i32>,
    pub g: Option<&'static str>,
    pub a: Option<i32>,
    pub b: Option<i32>,
}

/// Rows with how often each is there; never zero times.
pub type Rows = BTreeMap<Row, i64>;

pub fn add(rows: &mut Rows, row: Row, times: i64) {
    let count = rows.entry(row).or_default();
    *count += times;
    if *count == 0 {
        rows.remove(&row);
    }
}

impl Row {
    /// A random one. Few values, so that keys meet; now and then a zero to divide by, and the greatest integer to add to.
    pub fn random(dice: &mut Dice, id: Option<i32>) -> Self {
        let small = |dice: &mut Dice| (!dice.chance(10)).then(|| 1 + dice.below(4) as i32);
        let g = (!dice.chance(10)).then(|| *dice.pick(&TEXTS));
        let a = if dice.chance(2) { Some(i32::MAX) } else { small(dice) };
        let b = if dice.chance(4) { Some(0) } else { small(dice) };
        Self { id, g, a, b }
    }

    /// As records have it.
    pub fn json(&self) -> String {
        let number = |n: Option<i32>| n.map_or("null".to_string(), |n| n.to_string());
        let g = self.g.map_or("null".to_string(), |g| format!("\"{g}\""));
        format!(r#"{{"id":{},"g":{g},"a":{},"b":{}}}"#, number(self.id), number(self.a), number(self.b))
    }

    /// A row that records have; `None` if it is none.
    pub fn parse(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let number = |name: &str| match object.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(value) => value.as_i64().and_then(|n| i32::try_from(n).ok()).map(Some),
        };
        let g = match object.get("g") {
            None | Some(Value::Null) => None,
            Some(value) => Some(*TEXTS.iter().find(|text| Some(**text) == value.as_str())?),
        };
        Some(Self { id: number("id")?, g, a: number("a")?, b: number("b")? })
    }

    pub fn parse_bytes(bytes: &[u8]) -> Option<Self> {
        Self::parse(&serde_json::from_slice(bytes).ok()?)
    }
}

/// Adds the rows of the engine.
pub fn add_delta(rows: &mut Rows, delta: &Delta) {
    let batch = delta.batch();
    let int = |column: usize, at: usize| {
        let column = batch.column(column).as_primitive::<Int32Type>();
        column.is_valid(at).then(|| column.value(at))
    };
    let texts = batch.column(1).as_string::<i32>();
    for at in 0..delta.len() {
        let g = texts.is_valid(at).then(|| *TEXTS.iter().find(|text| **text == texts.value(at)).expect("a known text"));
        let row = Row { id: int(0, at), g, a: int(2, at), b: int(3, at) };
        add(rows, row, delta.weights().value(at));
    }
}
