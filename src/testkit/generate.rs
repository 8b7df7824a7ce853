//! Random values, rows and histories. Few values, so that keys meet and rows repeat; NULLs; the extremes of each type.

use arrow::datatypes::i256;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use zset::{Column, ColumnType, RowType};

use crate::{Row, Value};

/// One change: a row and how many copies come (or, negative, go).
pub type Change = (Row, i64);

/// The random source of a seed.
pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Makes rows and histories of some columns.
#[derive(Debug, Clone)]
pub struct Generator {
    /// The columns.
    pub columns: RowType,
    /// How many ordinary values a column has.
    pub values: i64,
    /// How often a nullable column is NULL.
    pub nulls: f64,
    /// How often a value is an extreme one of its type.
    pub extremes: f64,
}

impl Generator {
    /// Four values a column, a NULL in eight, an extreme in ten.
    pub fn new(columns: RowType) -> Self {
        Self { columns, values: 4, nulls: 0.125, extremes: 0.1 }
    }

    /// A random value of a column.
    pub fn value(&self, rng: &mut impl Rng, column: &Column) -> Value {
        if column.nullable && rng.random_bool(self.nulls) {
            return Value::Null;
        }
        if rng.random_bool(self.extremes) {
            let all = extremes(column.ty);
            return all[rng.random_range(0..all.len())].clone();
        }
        ordinary(column.ty, rng.random_range(0..self.values))
    }

    /// A random row.
    pub fn row(&self, rng: &mut impl Rng) -> Row {
        self.columns.0.iter().map(|column| self.value(rng, column)).collect()
    }

    /// A random history of so many changes: inserts, duplicates, retractions and updates. No prefix of it retracts what
    /// is not there.
    pub fn history(&self, rng: &mut impl Rng, changes: usize) -> Vec<Change> {
        let mut present: Vec<Row> = Vec::new();
        let mut history = Vec::with_capacity(changes + 1);
        while history.len() < changes {
            let dice = rng.random_range(0..10);
            if dice < 5 || present.is_empty() {
                let copy = dice == 0 && !present.is_empty();
                let row = if copy { present[rng.random_range(0..present.len())].clone() } else { self.row(rng) };
                present.push(row.clone());
                history.push((row, 1));
                continue;
            }
            let old = present.swap_remove(rng.random_range(0..present.len()));
            if dice >= 8 {
                let mut new = old.clone();
                let at = rng.random_range(0..self.columns.0.len().max(1));
                if let Some(column) = self.columns.0.get(at) {
                    new[at] = self.value(rng, column);
                }
                present.push(new.clone());
                history.push((old, -1));
                history.push((new, 1));
            } else {
                history.push((old, -1));
            }
        }
        history.truncate(changes);
        history
    }

    /// The changes of an epoch in another order: what it means is the sum.
    pub fn shuffled(&self, rng: &mut impl Rng, changes: &[Change]) -> Vec<Change> {
        let mut changes = changes.to_vec();
        changes.shuffle(rng);
        changes
    }
}

fn ordinary(ty: ColumnType, number: i64) -> Value {
    match ty {
        ColumnType::Boolean => Value::Bool(number % 2 == 0),
        // Dyadic: their sums are exact in a double.
        ColumnType::Real | ColumnType::Double => Value::Float(number as f64 * 0.375 - 0.5),
        ColumnType::Numeric { .. } => Value::Numeric(i256::from(number * 37 - 50)),
        ColumnType::Text | ColumnType::Varchar(_) | ColumnType::Jsonb => Value::Text(format!("v{number}")),
        ColumnType::Uuid => Value::Text(format!("00000000-0000-0000-0000-{number:012x}")),
        ColumnType::Bytea => Value::Bytes(vec![number as u8; number as usize]),
        _ => Value::Int(number),
    }
}

fn extremes(ty: ColumnType) -> Vec<Value> {
    let ints = |all: &[i64]| all.iter().copied().map(Value::Int).collect();
    match ty {
        ColumnType::Boolean => vec![Value::Bool(true), Value::Bool(false)],
        ColumnType::SmallInt => ints(&[i16::MIN.into(), i16::MAX.into(), -1, 0]),
        ColumnType::Int | ColumnType::Date => ints(&[i32::MIN.into(), i32::MAX.into(), -1, 0]),
        ColumnType::Time => ints(&[0, 86_399_999_999]),
        ColumnType::BigInt | ColumnType::Timestamp(_) | ColumnType::TimestampTz(_) => {
            ints(&[i64::MIN, i64::MAX, -1, 0])
        }
        ColumnType::Real => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1048576.5].map(Value::Float).to_vec(),
        ColumnType::Double => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e15 + 0.5].map(Value::Float).to_vec(),
        ColumnType::Numeric { precision, .. } => {
            // Not the very greatest: two of those are no numeric(38) any more, which is an error and has its own tests.
            let digits = u32::from(precision.saturating_sub(3).clamp(1, 70));
            let great = i256::from(10).wrapping_pow(digits);
            [great, great.wrapping_neg(), i256::from(0)].map(Value::Numeric).to_vec()
        }
        ColumnType::Uuid => vec![Value::text("ffffffff-ffff-ffff-ffff-ffffffffffff")],
        ColumnType::Bytea => vec![Value::Bytes(vec![]), Value::Bytes(vec![0]), Value::Bytes(vec![255; 40])],
        _ => ["", "\0", "é", " ", &"long ".repeat(30)].map(Value::from).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Model, delta};

    #[test]
    fn histories_are_proper_and_hold_retractions_nulls_and_duplicates() {
        let column = |name: &str, ty| Column::new(name, ty, true);
        let columns = RowType(vec![column("a", ColumnType::Int), column("b", ColumnType::Double)]);
        let (mut nulls, mut copies, mut gone) = (0, 0, 0);
        for seed in 0..50 {
            let generator = Generator::new(columns.clone());
            let history = generator.history(&mut rng(seed), 60);
            let mut model = Model::new();
            for (row, weight) in &history {
                model.add_row(row.clone(), *weight);
                assert!(model.is_proper(), "seed {seed}");
                nulls += usize::from(row.iter().any(Value::is_null));
                copies += usize::from(model.weight(row) > 1);
                gone += usize::from(*weight < 0);
            }
            assert_eq!(history, generator.history(&mut rng(seed), 60), "the same seed gives the same history");
            let mut summed = Model::new();
            summed.add(&delta(&columns, &history));
            assert_eq!(summed, model, "seed {seed}: through Arrow and back");
        }
        assert!(nulls > 100 && copies > 50 && gone > 500, "{nulls} {copies} {gone}");
    }
}
