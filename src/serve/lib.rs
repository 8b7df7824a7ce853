//! What other processes see of a pipeline, over HTTP: its health, its metrics, the topics of its log, and a door for SQL.
//!
//! It answers from the moment it listens, long before recovery is done: what is not there yet answers 503 and says what
//! the process is doing. Nothing here holds up the engine's loop: what blocks runs on threads of its own.
//!
//! | path | what |
//! |---|---|
//! | `GET /healthz` | 200 while the loop turns |
//! | `GET /readyz` | 200 when recovered and serving |
//! | `GET /metrics` | all metrics, for Prometheus |
//! | `GET /topics` | the topics, a JSON line each |
//! | `GET /topics/T?partition=&from=&max=` | records, a JSON line each (see `line`) |
//! | `POST /topics/T?partition=&partitions=` | records to be written, all or none |
//! | `POST /sql` | statements for the engine, without a client; all others come by [`pg`] |

mod door;
mod error;
mod guard;
mod health;
mod https;
mod line;
pub mod pg;
mod read;
mod router;
mod sql;
mod stream;
mod tls;
mod write;

pub use door::{Door, LogDoor};
pub use router::{BODY_BYTES_MAX, listen};
pub use tls::{Tls, TlsError};
pub use write::{WriteError, WriteOptions, write_lines};

#[cfg(test)]
mod tests;
