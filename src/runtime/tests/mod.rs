//! Tests of the engine as a whole, in process, over the embedded log.
#![allow(clippy::unwrap_used)]

mod alter;
mod commits;
mod create_source;
mod database;
mod dead_letters;
mod faulty_log;
mod file_source;
mod files;
mod outbox;
mod own_failures;
mod own_replay;
mod own_writes;
mod recovery;
mod row_errors;
mod rows;
mod sources;
mod statements;
mod world;
