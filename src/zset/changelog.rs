//! The meaning of source records, decoded: what each says about the table, in order.
//!
//! This is not yet a delta: only the table's own state can say what an upsert or a delete retracts.

use arrow::array::RecordBatch;

/// What one decoded row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// One more copy of the row (append; keyless Debezium).
    Insert,
    /// One copy of the row less (keyless Debezium).
    Retract,
    /// The row is now the row of its key.
    Upsert,
    /// The key has no row any more; only the key columns of the row mean anything.
    Delete,
    /// The table is empty; the row means nothing.
    Truncate,
}

/// Decoded rows in the order of their records. Tables with a key get `Upsert`, `Delete` and `Truncate`; tables without
/// one `Insert`, `Retract` and `Truncate`.
#[derive(Debug, Clone)]
pub struct Changes {
    /// All columns of the table, a row for each op.
    pub rows: RecordBatch,
    /// What each row says.
    pub ops: Vec<Op>,
    /// The record each row came from: its index among the records that were decoded. Ascending; a record may give none,
    /// one or several rows.
    pub origin: Vec<u32>,
    /// (row, column) of values the source did not send because they did not change (Debezium's unavailable TOAST
    /// values): taken from the row that the key has; sorted. Such a value is NULL in `rows`.
    pub keep: Vec<(u32, u32)>,
}
