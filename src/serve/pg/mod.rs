//! The PostgreSQL protocol, version 3: psql, drivers and BI tools are at home here.
//!
//! One task per connection. It reads messages, prepares statements against the catalog of the last committed epoch, and
//! runs them: reads and the evaluation of writes on blocking threads under limits of time and memory, whose rows come back
//! through a bounded channel, so that a slow client slows its own query and nothing else. A read holds a view of one
//! committed epoch and holds up nobody.
//!
//! Guarantees: no statement is answered before recovery is done (57P03) nor after this process was fenced or is leaving
//! (57P01); a statement that returns from a write is in a committed epoch; a transaction is in one epoch or nowhere. A panic in
//! one connection ends, at most, that connection.
//!
//! The reading order: `listen`, `start`, `session`, then `simple` and `extended`, which both come to `run`; `transaction/`.

mod answer;
mod array;
mod auth;
mod binary;
mod bind;
mod calendar;
mod cancel;
mod conn;
mod copy_in;
mod copy_out;
mod door;
mod error;
mod extended;
mod frame;
mod interval;
mod listen;
mod numeric;
mod parameter;
mod read;
mod row;
mod run;
mod session;
mod setting;
mod settings;
mod simple;
mod sql_session;
mod start;
mod statement;
mod transaction;
mod types;
mod write;

pub use auth::Password;
pub use door::{PgDoor, PgLimits};
pub use listen::{ListenError, listen};

#[cfg(test)]
mod tests;
