//! The incremental engine: deltas in, deltas out. It never sees bytes, Kafka or SQL.
//!
//! Everything that moves is a [`zset::Delta`]. Every operator is exact under retraction: applied to deltas and summed, it
//! gives what the query gives on the summed input, whatever the epochs. [`TableFlow`] is the operators of one stream
//! table, [`Contents`] the stored rows of any table. Both *stage* what a step changes; `commit` makes it so, `discard`
//! makes it never have been.
//!
//! Reading order: `flow`, `operators/mod`, one operator after another; `contents/`.

mod contents;
mod error;
mod eval;
mod flow;
mod operators;
mod planner;
mod queries;
mod rows;

pub use contents::{Applied, Contents, ContentsReader, Looked, Passed, contents_id, pass_on};
pub use error::FlowError;
pub use eval::Eval;
pub use flow::{OperatorInfo, TableFlow};
pub use operators::aggregate::{Exact, quotient};
pub use planner::{Action, Alter, ColumnChange, Planned, Planner, Show, StatementError};
pub use queries::{
    Limits, Prepared, Queries, Read, ResultColumn, ResultType, RowChanges, Rows, Session, TableRows, View, Work, Write,
    Written,
};

#[cfg(test)]
mod tests;
