//! Looking at rows before they are changed: whether they are there, and whether their keys are taken.

use arrow::array::RecordBatch;
use state::{Snapshot, StateError};
use zset::{RowBytes, canonical};

use super::{Contents, ContentsReader, beside};
use crate::rows::batch;

/// What is there of some rows, with what is staged.
#[derive(Debug, Clone)]
pub struct Looked {
    /// The rows as they would be stored: under the table's schema, floats canonical.
    pub batch: RecordBatch,
    /// The bytes of each row.
    pub rows: RowBytes,
    /// The bytes of each row's key; of a table without one, of the row.
    pub keys: RowBytes,
    /// How many copies of exactly this row there are.
    pub copies: Vec<i64>,
    /// Whether the key has a row.
    pub taken: Vec<bool>,
}

impl ContentsReader {
    /// Looks at rows of the table's columns in a snapshot of it.
    pub fn look(&self, snapshot: &Snapshot, rows: &RecordBatch) -> Result<Looked, StateError> {
        let columns = rows.columns().iter().map(canonical).collect();
        let batch = batch(self.codec.schema(), columns, rows.num_rows()).expect("rows of the table's type");
        let rows = self.codec.encode_batch(&batch);
        let keys = self.keys(&batch);
        let found = snapshot.probe(&keys)?;
        let copies = |row: usize| {
            let same = found.range(row).filter(|&place| self.alone || found.rows.row(place) == rows.row(row));
            same.map(|place| found.weights[place]).sum()
        };
        let copies = (0..rows.len()).map(copies).collect();
        let taken = (0..rows.len()).map(|row| !found.is_absent(row)).collect();
        Ok(Looked { batch, rows, keys, copies, taken })
    }
}

impl Contents {
    /// Looks at rows of the table's columns.
    pub fn look(&self, rows: &RecordBatch) -> Result<Looked, StateError> {
        self.reader().look(&self.staged(), rows)
    }

    /// The bytes of rows and of their keys.
    pub fn bytes(&self, rows: &RecordBatch) -> (RowBytes, RowBytes) {
        (self.codec.encode_batch(rows), self.keys(rows))
    }

    /// Stages rows as they are: each is the row of its key, or there so many times.
    pub fn fill(&mut self, rows: &zset::Delta) {
        let (bytes, keys) = self.bytes(rows.batch());
        match self.arrangement.law() {
            state::Law::Replace => self.arrangement.stage_replace(&keys, &bytes, &vec![true; bytes.len()]),
            state::Law::Add => self.arrangement.stage(&keys, &beside(self.beside, &bytes), rows.weights().values()),
        }
        self.stage_indexes(rows);
        self.rows_staged += rows.weights().values().iter().sum::<i64>();
    }
}
