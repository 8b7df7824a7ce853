//! The sink side: the delta of an epoch to records of JSON.

mod encoder;
mod murmur2;
mod row;

pub use encoder::{SinkEncoder, SinkEpoch, SinkNames, SinkRecord};
pub use murmur2::{murmur2, partition};
pub use row::{BoundRows, RowWriter};
