//! Tests of the engine as a whole, in process, over the embedded log.
#![allow(clippy::unwrap_used)]

mod alter;
mod bad_input;
mod commits;
mod constraints;
mod create_source;
mod database;
mod dead_letters;
mod faulty_log;
mod file_source;
mod files;
mod formats;
mod letters;
mod mend;
mod origins;
mod outbox;
mod own_failures;
mod own_replay;
mod own_writes;
mod passwords;
mod recovery;
mod resync;
mod row_errors;
mod rows;
mod simulation;
mod sources;
mod statements;
mod suspended;
mod topics;
mod transactions;
mod world;
