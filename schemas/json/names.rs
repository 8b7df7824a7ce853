//! Field names to columns, predicting that a record's fields come in the order of the last record's.

use std::collections::HashMap;

use zset::RowType;

/// How many fields are predicted.
const PREDICTED_MAX: usize = 4096;

/// The columns by name.
#[derive(Debug)]
pub(super) struct Names {
    columns: HashMap<String, usize>,
    /// The fields of the last record, in order.
    last: Vec<(String, Option<usize>)>,
}

impl Names {
    /// The names of all columns.
    pub fn new(columns: &RowType) -> Self {
        let columns = columns.0.iter().enumerate().map(|(at, column)| (column.name.clone(), at)).collect();
        Self { columns, last: Vec::new() }
    }

    /// The column of the field that is the `place`th of its record, if it was that of the last record too.
    pub fn predicted(&self, place: usize, name: &[u8]) -> Option<Option<usize>> {
        self.last.get(place).filter(|(last, _)| last.as_bytes() == name).map(|(_, column)| *column)
    }

    /// The column of the field that is the `place`th of its record.
    pub fn find(&mut self, place: usize, name: &str) -> Option<usize> {
        if let Some((last, column)) = self.last.get(place)
            && last == name
        {
            return *column;
        }
        let column = self.columns.get(name).copied();
        if let Some(last) = self.last.get_mut(place) {
            last.0.clear();
            last.0.push_str(name);
            last.1 = column;
        } else if place < PREDICTED_MAX {
            self.last.push((name.to_string(), column));
        }
        column
    }
}
