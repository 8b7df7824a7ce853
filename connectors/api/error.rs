//! What can go wrong with a log, by what the caller can do about it.

use zset::{Offset, Partition};

/// A failed operation on a log, except a commit.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another process has taken the pipeline over: stop, and answer no more.
    #[error(
        "fenced: another process runs this pipeline ({0}); stop one of the two, or give them different --pipeline names"
    )]
    Fenced(String),
    /// There is no such topic.
    #[error("topic \"{0}\" does not exist; make it, or correct the name")]
    NoTopic(String),
    /// A position is no longer in the topic, or not yet.
    #[error(
        "cannot read topic \"{topic}\" partition {partition} from offset {offset}: it holds offsets {low} to {high}"
    )]
    OutOfRange {
        /// The topic.
        topic: String,
        /// The partition.
        partition: Partition,
        /// What was asked for.
        offset: Offset,
        /// The first offset there is.
        low: Offset,
        /// The offset behind the last.
        high: Offset,
    },
    /// A record to be appended was refused for good: too large, no right.
    #[error("record {index} for topic \"{topic}\" was refused: {reason}")]
    Refused {
        /// Its place among the records.
        index: usize,
        /// Its topic.
        topic: String,
        /// Why.
        reason: String,
    },
    /// The log cannot be used as it is set up: wrong settings, wrong format, no permission.
    #[error("{0}")]
    Unusable(String),
    /// It may work later: broker away, time-out. The caller waits and tries again.
    #[error("{0}")]
    Retriable(String),
    /// It will not work later either.
    #[error("{0}")]
    Fatal(String),
}

/// A commit that did not happen, or of which it is not known.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The transaction was aborted: nothing of it is visible; the same records may be committed again.
    #[error("transaction aborted: {0}")]
    Aborted(String),
    /// A record was refused for good (too large, topic gone, no right); the transaction was aborted.
    #[error("record {index} for topic \"{topic}\" was refused: {reason}")]
    Refused {
        /// Its place among the records of the commit.
        index: usize,
        /// Its topic.
        topic: String,
        /// Why.
        reason: String,
    },
    /// Another process has taken the pipeline over: stop, and answer no more.
    #[error("fenced: another process runs this pipeline ({0})")]
    Fenced(String),
    /// Committed or not: only opening a new writer and reading the epoch topic to its end tells. The process must end.
    #[error("it is not known whether the transaction committed: {0}")]
    InDoubt(String),
}
