//! What integration tests share: a pipeline in process, a PostgreSQL to judge it, and rows that both can be compared by.

/// The binary's own.
#[path = "../../src/cli/connectors.rs"]
pub mod beside;
pub mod cells;
pub mod connect;
pub mod database;
pub mod pipeline;
pub mod postgres;
pub mod process;
