//! The runtime: one loop that cuts epochs, processes them, commits them and publishes them.
//!
//! It guarantees that what a reader or a sink sees is always the result of a committed epoch, that a committed epoch is
//! never lost and never published twice, and that after any crash the state is what the epoch records say, or the
//! process stops and says why not. It names no concrete connector, and no SQL: both come as traits.
//!
//! Reading order: [`Engine`] (the parts), `open` (recovery), `run` (the loop), `stage` (one epoch's work), `commit`.

mod alter;
mod alter_source;
mod backfill;
mod backlog;
mod blame;
mod checkpoint;
mod cluster;
mod commit;
mod config;
mod courtesy;
mod create_sink;
mod create_source;
mod data_dir;
mod ddl;
mod dead_letter;
mod decide;
mod detached;
mod ends;
mod engine;
mod epochs;
mod error;
mod feed;
mod flight;
mod group;
mod halt;
mod handle;
mod inputs;
pub mod inspect;
mod jobs;
mod journal;
mod letters;
mod mend;
mod metrics;
mod moves;
mod narrow;
mod open;
mod outbox;
mod own;
mod patterns;
mod phases;
mod populate;
mod query_metrics;
mod range;
mod replay;
mod resume;
mod run;
mod scheduler;
mod secrets;
mod shared;
mod show;
mod sink;
mod source;
mod stage;
mod table;
#[cfg(test)]
mod tests;
mod topics;
mod transaction;
mod verify;
mod view;
mod written;

pub use config::{EngineConfig, Parts};
pub use data_dir::{DataDir, Identity};
pub use engine::Engine;
pub use error::EngineError;
pub use handle::{Handle, Reply, TableView, WriteError};
pub use jobs::{Job, Jobs};
pub use metrics::{Metrics, resident_bytes};
pub use query_metrics::{Counted, QueryMetrics};
pub use scheduler::{Scheduler, Steps, Task, Threads};
pub use shared::{Phase, Shared, SourceStatus, TableStatus};
pub use state::Budget;
pub use transaction::{Mark, Transaction};
