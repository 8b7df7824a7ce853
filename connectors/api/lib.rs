//! The contract between the engine and the logs it runs on.
//!
//! A [`Log`] is a set of topics with partitions and offsets, read back exactly as written, and one [`Writer`] whose
//! transactions are atomic over topics; a [`Transport`] is only read, a [`Target`] is outside of the log. Production is Kafka; the embedded log is the default without it. Both pass
//! [`conformance`].

pub mod conformance;
mod error;
mod log;
mod record;
mod target;

pub use error::{CommitError, LogError};
pub use log::{
    Bell, Bounds, EPOCH_PARTITION, Keeping, Log, Reader, TopicInfo, TopicKind, TopicSpec, Transport, Writer,
};
pub use record::{Headers, OutRecord, Record, TopicPartition};
pub use target::{Connectors, Lines, Progress, Target, TargetError, TargetRows, TargetSpec};
