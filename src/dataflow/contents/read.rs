//! Reading contents: a snapshot's rows as deltas in the table's schema, in chunks of bounded size.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use state::{Snapshot, StateError};
use zset::{Delta, RowBytes, RowCodec};

/// Rows read at once.
pub(super) const CHUNK_ROWS: usize = 8192;

/// Reads snapshots of one table. It may be cloned and sent to any thread.
#[derive(Debug, Clone)]
pub struct ContentsReader {
    codec: Arc<RowCodec>,
}

impl ContentsReader {
    pub(super) fn new(codec: Arc<RowCodec>) -> Self {
        Self { codec }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(self.codec.schema())
    }

    /// The rows of some keys, in their bytes, with their weights.
    pub fn find(&self, snapshot: &Snapshot, keys: &RowBytes) -> Result<Delta, StateError> {
        let found = snapshot.probe(keys)?;
        Ok(Delta::new(self.codec.decode_batch(found.rows.iter()), found.weights.into()))
    }

    /// The rows of a snapshot with their weights, each once.
    pub fn read(&self, snapshot: &Snapshot) -> impl Iterator<Item = Result<Delta, StateError>> + use<> {
        let codec = Arc::clone(&self.codec);
        snapshot.scan(CHUNK_ROWS).map(move |entries| {
            let entries = entries?;
            Ok(Delta::new(codec.decode_batch(entries.rows.iter()), entries.weights.into()))
        })
    }
}
