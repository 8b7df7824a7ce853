//! The log that needs nothing but a folder: topics, partitions and transactions over a RocksDB directory of its own.
//!
//! A commit is one write batch, synced: all of it is there after a crash, or nothing. Records are kept in chunks (a run
//! of records of one partition, with a checksum), so that a commit of many records is few puts. Offsets begin at 0 and
//! have no gaps. Readers see a commit at once, over all topics, and are woken by it.
//!
//! After any failed write the log takes no more writes until it is opened again: whether the failed batch will be there
//! then is only known by reading.

mod chunk;
mod files;
mod keys;
mod lines;
mod log;
mod open;
mod reader;
mod shared;
mod writer;

#[cfg(test)]
mod tests;

pub use files::FileTransport;
pub use lines::{LinesFile, check_path};
pub use log::LocalLog;
pub use writer::MAX_RECORD_BYTES;
