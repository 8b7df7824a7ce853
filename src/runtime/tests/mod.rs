//! Tests of the engine as a whole, in process, over the embedded log.
#![allow(clippy::unwrap_used)]

mod commits;
mod dead_letters;
mod faulty_log;
mod recovery;
mod row_errors;
mod sources;
mod statements;
mod world;
