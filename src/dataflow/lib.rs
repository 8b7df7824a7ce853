//! The incremental engine: deltas in, deltas out. It never sees bytes, Kafka or SQL.
//!
//! Everything that moves is a [`zset::Delta`]. Every operator is exact under retraction: applied to deltas and summed, it
//! gives what the query gives on the summed input, whatever the epochs. [`TableFlow`] is the operators of one stream
//! table, [`Contents`] the stored rows of any table. Both *stage* what a step changes; `commit` makes it so, `discard`
//! makes it never have been.
//!
//! Reading order: `flow`, `operators/mod`, one operator after another; `contents/`.

mod contents;
mod copy;
mod error;
mod eval;
mod flow;
mod last_change;
mod operators;
mod planner;
mod queries;
mod reads;
mod rows;
mod sequences;
mod transaction;

pub use contents::{
    Applied, Contents, ContentsReader, Looked, Moved, Passed, UniqueKeys, UniqueRows, contents_id, pass_on, unique_id,
    violated,
};
pub use copy::{CopyColumn, CopyFormat, CopyIn, CopyOut, CopyReader, Header};
pub use error::FlowError;
pub use eval::Eval;
pub use flow::{OperatorInfo, TableFlow};
pub use last_change::LastChange;
pub use operators::aggregate::{Exact, quotient};
pub use planner::{
    About, Action, Alter, AlterSource, ColumnChange, DEAD_LETTER_COLUMNS, Mend, Planned, Planner, REPLAY_COLUMNS,
    ReadFrom, Show, StatementError,
};
pub use queries::{
    Limits, Prepared, Queries, Read, ResultColumn, ResultType, RowChanges, Rows, Session, TableRows, View, Work, Write,
    Written,
};
pub use sequences::{SequenceAt, SequenceMarks, SequenceSession, Sequences};
pub use transaction::{Block, Isolation, Modes};

#[cfg(test)]
mod tests;
