//! Rows as an outbox keeps them: under the bytes of the sink's key the bytes of the row, or none: the row is gone. No row has
//! no bytes, for a table with a key has a column.

use std::collections::HashSet;

use api::{TargetError, TargetRows};
use arrow::array::RecordBatch;
use state::{Entries, Snapshot, StateError};
use zset::{Delta, RowBytes, RowCodec, RowType};

use super::Whole;

/// Rows given to the target at once.
const CHUNK_ROWS: usize = 8192;

/// The keys that an epoch changed, each once, and their rows.
pub(crate) struct KeyedChanges {
    pub keys: RowBytes,
    /// Empty: it is gone.
    pub rows: RowBytes,
}

/// See the module.
pub(crate) struct KeyedRows {
    key: Vec<usize>,
    key_codec: RowCodec,
    codec: RowCodec,
}

impl KeyedRows {
    /// For a table's columns and the positions of the key's.
    pub fn new(columns: &RowType, key: &[usize]) -> Self {
        let key_columns = RowType(key.iter().map(|&at| columns.0[at].clone()).collect());
        Self {
            key: key.to_vec(),
            key_codec: RowCodec::new(key_columns.schema()),
            codec: RowCodec::new(columns.schema()),
        }
    }

    /// What a consolidated delta does to its keys.
    pub fn changes(&self, delta: &Delta) -> KeyedChanges {
        let batch = delta.batch();
        let keys = self.key_codec.encode(&self.key.iter().map(|&at| batch.column(at).clone()).collect::<Vec<_>>());
        let rows = self.codec.encode_batch(batch);
        let weights = delta.weights().values();
        let mut known: HashSet<&[u8]> = HashSet::with_capacity(keys.len());
        let mut changes = KeyedChanges {
            keys: RowBytes::with_capacity(keys.len(), keys.data_len()),
            rows: RowBytes::with_capacity(rows.len(), rows.data_len()),
        };
        for (come, at) in [true, false].into_iter().flat_map(|come| (0..keys.len()).map(move |at| (come, at))) {
            if weights[at] != 0 && (weights[at] > 0) == come && known.insert(keys.row(at)) {
                changes.keys.push(keys.row(at));
                changes.rows.push(if come { rows.row(at) } else { &[] });
            }
        }
        changes
    }

    /// What a snapshot of an outbox says, in chunks: first all that is gone, then all that is there.
    pub fn read(&self, snapshot: &Snapshot) -> impl Iterator<Item = Result<TargetRows, TargetError>> {
        let pass = |there: bool| snapshot.scan(CHUNK_ROWS).map(move |entries| self.chunk(&entries?, there));
        let unreadable = |error: StateError| TargetError::Retriable(format!("cannot read the outbox: {error}"));
        let chunks =
            pass(false).chain(pass(true)).map(move |chunk: Result<TargetRows, StateError>| chunk.map_err(unreadable));
        chunks.filter(|chunk| !chunk.as_ref().is_ok_and(|rows| rows.deletes.num_rows() + rows.upserts.num_rows() == 0))
    }

    /// All rows of a table, in chunks.
    pub fn all(&self, whole: &Whole) -> impl Iterator<Item = Result<TargetRows, TargetError>> {
        let unreadable = |error: StateError| TargetError::Retriable(format!("cannot read the table: {error}"));
        whole.reader.read(&whole.snapshot).map(move |delta| {
            let delta = delta.map_err(unreadable)?;
            Ok(TargetRows { deletes: self.key_codec.decode_batch([]), upserts: delta.batch().clone() })
        })
    }

    fn chunk(&self, entries: &Entries, there: bool) -> Result<TargetRows, StateError> {
        let some = |is: bool| (0..entries.rows.len()).filter(move |&at| is && entries.rows.row(at).is_empty() != there);
        let deletes: RecordBatch = self.key_codec.decode_batch(some(!there).map(|at| entries.keys.row(at)));
        let upserts = self.codec.decode_batch(some(there).map(|at| entries.rows.row(at)));
        Ok(TargetRows { deletes, upserts })
    }
}
