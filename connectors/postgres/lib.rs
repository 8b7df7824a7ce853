//! PostgreSQL as the target of sinks: the newest row of every key, and how far it is, in one transaction.
//!
//! The table may be there or is made; it must have the sink's columns in types that hold every value, and be unique by the
//! sink's key. Rows that are not ours stay. `millstream_progress`, in the same schema, has a row for each (pipeline, sink): it
//! moves only from the epoch that we left it at, so that of two writers one is stopped, and a commit whose answer was lost is
//! found out by reading it.
//!
//! Reading order: `settings`, `connect`, `session`, `columns`, `table`, `progress`, `statements`, `values`, `target`.

mod columns;
mod connect;
mod encryption;
mod error;
mod numeric;
mod progress;
mod session;
mod settings;
mod statements;
mod table;
mod target;
#[cfg(test)]
mod tests;
mod values;

pub use settings::check;
pub use target::PostgresTarget;
