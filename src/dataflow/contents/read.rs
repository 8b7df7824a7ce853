//! Reading contents: a snapshot's rows as deltas in the table's schema, in chunks of bounded size.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use state::{Entries, Snapshot, StateError};
use zset::{Delta, RowBytes, RowCodec};

/// Rows read at once.
pub(super) const CHUNK_ROWS: usize = 8192;

/// Reads snapshots of one table. It may be cloned and sent to any thread.
#[derive(Debug, Clone)]
pub struct ContentsReader {
    pub(super) codec: Arc<RowCodec>,
    /// The places of the key columns; none: the whole row.
    pub(super) key: Arc<[usize]>,
    pub(super) key_codec: Arc<RowCodec>,
    /// Whether a row is its own key.
    pub(super) alone: bool,
}

impl ContentsReader {
    /// The bytes of the keys of rows.
    pub fn keys(&self, rows: &RecordBatch) -> RowBytes {
        if self.key.is_empty() {
            return self.codec.encode_batch(rows);
        }
        self.key_codec.encode(&self.key.iter().map(|&at| Arc::clone(rows.column(at))).collect::<Vec<_>>())
    }

    /// Rows of their bytes.
    pub fn rows<'a>(&self, bytes: impl IntoIterator<Item = &'a [u8]>) -> RecordBatch {
        self.codec.decode_batch(bytes)
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(self.codec.schema())
    }

    /// The rows of some keys, in their bytes, with their weights.
    pub fn find(&self, snapshot: &Snapshot, keys: &RowBytes) -> Result<Delta, StateError> {
        let found = snapshot.probe(keys)?;
        let rows = match self.alone {
            true => {
                let there = (0..keys.len()).filter(|&probe| !found.is_absent(probe));
                self.codec.decode_batch(there.map(|probe| keys.row(probe)))
            }
            false => self.codec.decode_batch(found.rows.iter()),
        };
        Ok(Delta::new(rows, found.weights.into()))
    }

    /// The rows of a snapshot with their weights, each once.
    pub fn read(&self, snapshot: &Snapshot) -> impl Iterator<Item = Result<Delta, StateError>> + use<> {
        let (codec, alone) = (Arc::clone(&self.codec), self.alone);
        snapshot.scan(CHUNK_ROWS).map(move |entries| {
            let entries = entries?;
            let rows = stored(alone, &entries);
            Ok(Delta::new(codec.decode_batch(rows.iter()), entries.weights.into()))
        })
    }
}

/// The rows of entries, of a table whose rows may be their own keys.
pub(super) fn stored(alone: bool, entries: &Entries) -> &RowBytes {
    if alone { &entries.keys } else { &entries.rows }
}
