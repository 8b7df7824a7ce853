//! The rows of a batch while it is decoded. A record adds its rows one after another; if it fails, all of them are taken
//! back.

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use zset::{Changes, Op, RowType};

use crate::cells::Cells;

/// Rows, by column.
#[derive(Debug)]
pub struct Rows {
    columns: Vec<Cells>,
    ops: Vec<Op>,
    origin: Vec<u32>,
    keep: Vec<(u32, u32)>,
}

impl Rows {
    /// No rows, with room for some.
    pub fn new(columns: &RowType, room: usize) -> Self {
        Self {
            columns: columns.0.iter().map(|column| Cells::new(column.ty, room)).collect(),
            ops: Vec::with_capacity(room),
            origin: Vec::with_capacity(room),
            keep: Vec::new(),
        }
    }

    /// The number of finished rows.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// The cells of a column.
    pub fn column(&mut self, column: usize) -> &mut Cells {
        &mut self.columns[column]
    }

    /// Makes the value at `column` of the row that is being made one that its key already has: NULL here.
    pub fn keep(&mut self, column: usize) {
        self.columns[column].push_null();
        self.keep.push((self.ops.len() as u32, column as u32));
    }

    /// Ends a row, of which every column has its cell.
    pub fn finish_row(&mut self, op: Op, origin: u32) {
        self.ops.push(op);
        self.origin.push(origin);
    }

    /// Takes back all rows from the `rows`th on, and what was begun of the next.
    pub fn truncate(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|cells| cells.truncate(rows));
        self.ops.truncate(rows);
        self.origin.truncate(rows);
        while self.keep.last().is_some_and(|(row, _)| *row as usize >= rows) {
            self.keep.pop();
        }
    }

    /// Whether two rows have the same values in these columns.
    pub fn same(&self, a: usize, b: usize, columns: &[usize]) -> bool {
        columns.iter().all(|&column| self.columns[column].get(a) == self.columns[column].get(b))
    }

    /// The changes.
    pub fn finish(self, schema: SchemaRef) -> Changes {
        let options = RecordBatchOptions::new().with_row_count(Some(self.ops.len()));
        let columns = self.columns.into_iter().map(Cells::finish).collect();
        let rows = RecordBatch::try_new_with_options(schema, columns, &options).expect("every row has every column");
        Changes { rows, ops: self.ops, origin: self.origin, keep: self.keep }
    }
}
