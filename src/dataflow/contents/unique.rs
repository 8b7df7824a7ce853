//! The index of a UNIQUE constraint: an arrangement from the values of its columns to the keys of the rows that have them.
//!
//! It follows the table's delta, row by row of it: staged, committed and discarded with the contents. A row with a NULL among
//! the columns is not in it, unless NULL is like NULL. Everything is asked by whole batches, and nothing scans the table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use plan::{TableDef, TableId, Unique};
use state::{Arrangement, ArrangementId, Law, Snapshot, StateError};
use zset::{RowBytes, RowCodec, RowType};

use super::read::CHUNK_ROWS;

/// The node number under which a table's indexes are kept.
const UNIQUE_NODE: u32 = u32::MAX - 2;

/// The arrangement of an index.
pub fn unique_id(table: TableId, unique: &Unique) -> ArrangementId {
    ArrangementId { owner: table.0, node: UNIQUE_NODE, slot: unique.slot }
}

/// The values of rows in a constraint's columns, as bytes.
#[derive(Debug, Clone)]
pub struct UniqueKeys {
    /// The bytes of every row.
    pub keys: RowBytes,
    /// Whether the row is in the index.
    pub there: Vec<bool>,
}

/// How rows become entries.
#[derive(Debug)]
pub(super) struct Shape {
    unique: Unique,
    codec: RowCodec,
}

impl Shape {
    fn new(def: &TableDef, unique: &Unique) -> Self {
        let columns = RowType(unique.columns.iter().map(|&at| def.columns.0[at].clone()).collect());
        Self { unique: unique.clone(), codec: RowCodec::new(columns.schema()) }
    }

    /// The keys of rows of the table's columns.
    fn keys(&self, rows: &RecordBatch) -> UniqueKeys {
        let columns: Vec<ArrayRef> = self.unique.columns.iter().map(|&at| Arc::clone(rows.column(at))).collect();
        let present = |row: usize| columns.iter().all(|column| column.is_valid(row));
        let there = (0..rows.num_rows()).map(|row| self.unique.nulls_not_distinct || present(row)).collect();
        UniqueKeys { keys: self.codec.encode(&columns), there }
    }

    /// The entries of rows of the table, of their keys in it, and their weights.
    fn entries(&self, rows: &RecordBatch, row_keys: &RowBytes, weights: &[i64]) -> (RowBytes, RowBytes, Vec<i64>) {
        let UniqueKeys { keys, there } = self.keys(rows);
        let at: Vec<usize> = (0..there.len()).filter(|&row| there[row]).collect();
        let pick = |bytes: &RowBytes| at.iter().map(|&row| bytes.row(row)).collect::<RowBytes>();
        (pick(&keys), pick(row_keys), at.iter().map(|&row| weights[row]).collect())
    }
}

/// An index at work.
#[derive(Debug)]
pub(super) struct Index {
    shape: Arc<Shape>,
    pub arrangement: Arrangement,
}

impl Index {
    /// The indexes of a table, each over its arrangement.
    pub fn all(def: &TableDef, arrangement: &mut dyn FnMut(ArrangementId, Law) -> Arrangement) -> Vec<Self> {
        let index = |unique: &Unique| Self {
            shape: Arc::new(Shape::new(def, unique)),
            arrangement: arrangement(unique_id(def.id, unique), Law::Add),
        };
        def.uniques().iter().map(index).collect()
    }

    /// Stages what a delta of the table, with the keys of its rows, does to it.
    pub fn stage(&mut self, rows: &RecordBatch, row_keys: &RowBytes, weights: &[i64]) {
        let (keys, rows, weights) = self.shape.entries(rows, row_keys, weights);
        self.arrangement.stage(&keys, &rows, &weights);
    }

    /// The index with what is staged.
    pub fn staged(&self) -> UniqueRows {
        UniqueRows { shape: Arc::clone(&self.shape), snapshot: self.arrangement.staged() }
    }

    /// The values that more than one row has in what is staged, if any has: asked when an index is built.
    pub fn duplicate(&self) -> Result<Option<RecordBatch>, StateError> {
        let mut last: Option<Vec<u8>> = None;
        for entries in self.arrangement.staged().scan(CHUNK_ROWS) {
            let entries = entries?;
            for (key, weight) in entries.keys.iter().zip(&entries.weights) {
                if *weight > 1 || last.as_deref() == Some(key) {
                    return Ok(Some(self.shape.codec.decode_batch([key])));
                }
                let last = last.get_or_insert_default();
                last.clear();
                last.extend_from_slice(key);
            }
        }
        Ok(None)
    }

    /// The committed index, for readers.
    pub fn rows(&self) -> UniqueRows {
        UniqueRows { shape: Arc::clone(&self.shape), snapshot: self.arrangement.committed() }
    }
}

/// Of some indexes: the first of the rows that come whose values another row has, once the rows that go are gone, and the
/// place of the index.
pub fn violated(
    indexes: impl IntoIterator<Item = UniqueRows>,
    gone: &RecordBatch,
    come: &RecordBatch,
) -> Result<Option<(usize, usize)>, StateError> {
    let mut first: Option<(usize, usize)> = None;
    if come.num_rows() == 0 {
        return Ok(None);
    }
    for (at, index) in indexes.into_iter().enumerate() {
        let row = index.violated(gone, come)?;
        first = first.into_iter().chain(row.map(|row| (row, at))).min();
    }
    Ok(first)
}

/// The index of a UNIQUE constraint at one epoch. It may be cloned and sent to any thread.
#[derive(Debug, Clone)]
pub struct UniqueRows {
    shape: Arc<Shape>,
    /// Where its entries are.
    pub snapshot: Snapshot,
}

impl UniqueRows {
    /// The constraint.
    pub fn unique(&self) -> &Unique {
        &self.shape.unique
    }

    /// The constraint's number in its table.
    pub fn slot(&self) -> u32 {
        self.shape.unique.slot
    }

    /// The keys of rows of the table's columns.
    pub fn keys(&self, rows: &RecordBatch) -> UniqueKeys {
        self.shape.keys(rows)
    }

    /// The entries, as an arrangement has them, of rows of the table with their keys in it, and their weights.
    pub fn entries(&self, rows: &RecordBatch, row_keys: &RowBytes, weights: &[i64]) -> (RowBytes, RowBytes, Vec<i64>) {
        self.shape.entries(rows, row_keys, weights)
    }

    /// The same index over other entries.
    pub fn with(&self, snapshot: Snapshot) -> Self {
        Self { shape: Arc::clone(&self.shape), snapshot }
    }

    /// The first of the rows that come whose values another row has, once the rows that go are gone.
    pub fn violated(&self, gone: &RecordBatch, come: &RecordBatch) -> Result<Option<usize>, StateError> {
        let (gone, come) = (self.keys(gone), self.keys(come));
        let coming: Vec<usize> = (0..come.there.len()).filter(|&row| come.there[row]).collect();
        let found = self.snapshot.probe(&coming.iter().map(|&row| come.keys.row(row)).collect())?;
        let mut rows: HashMap<&[u8], i64> = HashMap::with_capacity(coming.len());
        for (probe, &row) in coming.iter().enumerate() {
            rows.insert(come.keys.row(row), found.weights[found.range(probe)].iter().sum());
        }
        for row in (0..gone.there.len()).filter(|&row| gone.there[row]) {
            rows.entry(gone.keys.row(row)).and_modify(|rows| *rows -= 1);
        }
        for row in coming {
            let rows = rows.entry(come.keys.row(row)).or_default();
            if *rows > 0 {
                return Ok(Some(row));
            }
            *rows += 1;
        }
        Ok(None)
    }

    /// The first of the rows that come whose values a row has here that did not have them in an earlier state of the index.
    pub fn taken_since(&self, before: &UniqueRows, come: &RecordBatch) -> Result<Option<usize>, StateError> {
        let UniqueKeys { keys, there } = self.keys(come);
        let (then, now) = (before.snapshot.probe(&keys)?, self.snapshot.probe(&keys)?);
        let is_new = |row: usize| {
            let known: Vec<&[u8]> = then.range(row).map(|at| then.rows.row(at)).collect();
            now.range(row).any(|at| !known.contains(&now.rows.row(at)))
        };
        Ok((0..there.len()).find(|&row| there[row] && is_new(row)))
    }

    /// The keys, in their table, of the stored rows that have the values of `rows`, each once; and for each of `rows` which
    /// of them, if any.
    pub fn find(&self, rows: &RecordBatch) -> Result<(RowBytes, Vec<Option<usize>>), StateError> {
        let UniqueKeys { keys, there } = self.keys(rows);
        let found = self.snapshot.probe(&keys)?;
        let (mut stored, mut at) = (RowBytes::default(), Vec::with_capacity(there.len()));
        let mut places: HashMap<&[u8], usize> = HashMap::new();
        for (row, there) in there.into_iter().enumerate() {
            let matched = found.range(row).find(|&place| there && found.weights[place] > 0);
            at.push(matched.map(|place| {
                *places.entry(found.rows.row(place)).or_insert_with(|| {
                    stored.push(found.rows.row(place));
                    stored.len() - 1
                })
            }));
        }
        Ok((stored, at))
    }
}
