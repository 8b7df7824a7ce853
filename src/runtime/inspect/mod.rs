//! What is on disk and in the epoch topic, for whoever looks at it: nothing here runs a pipeline, and nothing is changed but by
//! [`prune`].

mod chain;
mod checkpoints;
mod words;

pub use chain::{Chained, Links, each_record};
pub use checkpoints::{CheckpointLine, Trouble, check, list, prune};
pub use words::{Names, describe};

#[cfg(test)]
mod tests;
