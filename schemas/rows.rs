//! The rows of a batch while it is decoded. A record adds its rows one after another; if it fails, all of them are taken
//! back.

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use zset::{Changes, Column, Op, RowType};

use crate::cells::Cells;

/// Values of the next batch may be a little longer.
const BYTES_MORE: f32 = 1.05;

/// Rows, by column.
#[derive(Debug)]
pub struct Rows {
    columns: Vec<Cells>,
    nullable: Vec<bool>,
    ops: Vec<Op>,
    origin: Vec<u32>,
    keep: Vec<(u32, u32)>,
}

impl Rows {
    /// No rows, with room for some. Columns that are not `read` are not kept; of those that are, `bytes` says how many a value has, of
    /// `bytes_max` of all of them.
    pub fn new(columns: &RowType, read: Option<&[bool]>, (room, bytes_max): (usize, usize), bytes: &[f32]) -> Self {
        let cells = |(at, column): (usize, &Column)| {
            if read.is_some_and(|read| !read[at]) {
                return Cells::unread(column.ty);
            }
            let mut cells = Cells::new(column.ty, room);
            cells.reserve_bytes(((room as f32 * bytes[at]) as usize).min(bytes_max));
            cells
        };
        Self {
            columns: columns.0.iter().enumerate().map(cells).collect(),
            nullable: columns.0.iter().map(|column| column.nullable).collect(),
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

    /// How many bytes a value has of each column; of one that was not kept what it was before.
    pub fn learn_bytes(&self, bytes: &mut [f32]) {
        let rows = self.ops.len().max(1) as f32;
        let kept = self.columns.iter().zip(bytes).filter(|(cells, _)| cells.bytes() > 0);
        kept.for_each(|(cells, bytes)| *bytes = cells.bytes() as f32 / rows * BYTES_MORE);
    }

    /// The changes.
    pub fn finish(self, schema: SchemaRef) -> Changes {
        let options = RecordBatchOptions::new().with_row_count(Some(self.ops.len()));
        let columns =
            self.columns.into_iter().zip(self.nullable).map(|(cells, nullable)| cells.finish(nullable)).collect();
        let rows = RecordBatch::try_new_with_options(schema, columns, &options).expect("every row has every column");
        Changes { rows, ops: self.ops, origin: self.origin, keep: self.keep }
    }
}
