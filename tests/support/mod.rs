//! What integration tests share: a pipeline in process, a PostgreSQL to judge it, and rows that both can be compared by.

pub mod cells;
pub mod pipeline;
pub mod postgres;
pub mod process;
