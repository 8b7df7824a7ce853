//! The algebra and time of Millstream: what every other room speaks.
//!
//! A *Z-set* is a set of rows with integer weights; a [`Delta`] is the Z-set of changes of one epoch. Everything here
//! is pure: no I/O, no clock, no randomness.

mod changelog;
mod consolidate;
mod delta;
mod digest;
mod epoch;
mod error;
mod hash;
mod position;
mod row;
mod sort;
mod types;

#[cfg(test)]
mod algebra_tests;
#[cfg(test)]
mod row_tests;
#[cfg(test)]
mod workers_tests;

pub use changelog::{Changes, Op};
pub use consolidate::consolidate;
pub use delta::{Delta, DeltaBuilder, stacked};
pub use digest::Digest;
pub use epoch::{Epoch, Generation, TimestampMs};
pub use error::{RowError, RowOrigin, RowRecord, sqlstate};
pub use hash::{KEY_HASH_SEED, SHARDS, key_hash, shard_of};
pub use position::{Offset, Partition, Range};
pub use row::{ROW_FORMAT, RowBytes, RowCodec, canonical};
pub use sort::{sorted, sorted_by_key};
pub use types::{Column, ColumnType, RowType, TYPE_METADATA_KEY};
