//! Schemas: bytes of records to changes of tables, and deltas of tables to bytes of records.
//!
//! ```text
//! record ─► encoding (JSON) ─► where the columns stand ─► envelope (append, upsert, debezium) ─► zset::Changes
//! zset::Delta ─► one change per key ─► envelope ─► key, value, partition hash
//! ```
//!
//! An encoding knows how values are written, an envelope what a record means; they are composed when a table is planned
//! ([`decoder`]), and neither names the other. A record that cannot be decoded is a [`DeadLetter`] with a reason that
//! names the column, the value and what is wrong with it; nothing of it gets into the table.

mod cells;
mod compose;
mod encoding;
mod envelope;
mod include;
mod json;
mod options;
mod record;
mod rows;
mod sink;
mod sliced;
pub mod text;
mod watch;

pub use compose::{DecoderSpec, decoder};
pub use include::include;
pub use options::{OWN_RECORDS, SchemaError, SourceOption, check_options, source_options};
pub use record::{DeadLetter, Decoded, Decoder, RawHeader, RawRecord};
pub use sink::{BoundRows, RowWriter, SinkEncoder, SinkEpoch, SinkNames, SinkRecord, murmur2, partition};
pub use sliced::sliced;
pub use watch::WATCHED_RECORDS;
