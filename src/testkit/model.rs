//! The Z-set model: rows as values, each with its weight, nothing else. Slow and plain, so that it is right.

use std::collections::BTreeMap;
use std::fmt;

use zset::{Delta, RowType};

use crate::{Row, columns};

/// A Z-set of rows; no row has weight zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Model(BTreeMap<Row, i64>);

impl Model {
    /// The empty Z-set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `weight` copies of a row.
    pub fn add_row(&mut self, row: Row, weight: i64) {
        let sum = self.0.entry(row).or_insert(0);
        *sum += weight;
        if *sum == 0 {
            self.0.retain(|_, weight| *weight != 0);
        }
    }

    /// Adds a delta.
    pub fn add(&mut self, delta: &Delta) {
        columns::rows(delta).into_iter().for_each(|(row, weight)| self.add_row(row, weight));
    }

    /// The rows in order, with their weights.
    pub fn rows(&self) -> impl Iterator<Item = (&Row, i64)> {
        self.0.iter().map(|(row, weight)| (row, *weight))
    }

    /// The weight of a row.
    pub fn weight(&self, row: &Row) -> i64 {
        self.0.get(row).copied().unwrap_or(0)
    }

    /// The number of different rows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is a multiset: no weight is negative.
    pub fn is_proper(&self) -> bool {
        self.0.values().all(|weight| *weight > 0)
    }

    /// All of it as one delta.
    pub fn delta(&self, row_type: &RowType) -> Delta {
        let rows: Vec<(Row, i64)> = self.0.iter().map(|(row, weight)| (row.clone(), *weight)).collect();
        columns::delta(row_type, &rows)
    }
}

impl FromIterator<(Row, i64)> for Model {
    fn from_iter<I: IntoIterator<Item = (Row, i64)>>(rows: I) -> Self {
        let mut model = Self::default();
        rows.into_iter().for_each(|(row, weight)| model.add_row(row, weight));
        model
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (row, weight) in &self.0 {
            let values: Vec<String> = row.iter().map(ToString::to_string).collect();
            writeln!(f, "{weight:+} ({})", values.join(", "))?;
        }
        Ok(())
    }
}
