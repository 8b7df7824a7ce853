//! Records as they come from a log and as they go to it.

use std::sync::Arc;

use bytes::Bytes;
use zset::{Offset, Partition, TimestampMs};

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: Partition,
}

/// Headers in order; a name may occur twice, a value may be null.
pub type Headers = Vec<(String, Option<Bytes>)>;

/// A record read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// From where.
    pub at: TopicPartition,
    /// Its offset.
    pub offset: Offset,
    /// Its time.
    pub timestamp: TimestampMs,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The headers.
    pub headers: Headers,
}

/// A record to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutRecord {
    /// To where. The partition is always decided by us.
    pub to: TopicPartition,
    /// Its time.
    pub timestamp: TimestampMs,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The headers.
    pub headers: Headers,
}
