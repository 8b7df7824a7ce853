//! The epoch topic, read: what was committed, to the end. Nothing here takes anything over or changes anything.

use std::time::Duration;

use api::{EPOCH_PARTITION, Log, LogError, TopicPartition};
use bytes::Bytes;
use zset::Offset;

use crate::{EngineError, Shared};

/// Epoch records with their offsets.
pub(crate) type Records = Vec<(Offset, Bytes)>;

/// How long a poll waits for records.
const POLL_WAIT: Duration = Duration::from_millis(50);

/// The first records from an offset (else from the first there is) on; none if there is no topic. Not all of them: a
/// process that goes on writing may be there still.
pub(crate) fn read_first(
    log: &dyn Log,
    topic: &str,
    from: Option<Offset>,
    shared: &Shared,
) -> Result<Records, EngineError> {
    match log.topic(topic)? {
        Some(_) => read(log, topic, from, 1, shared),
        None => Ok(Records::new()),
    }
}

/// Whether the record that was looked for may be committed and not be shown yet: Kafka answers a commit before all of its
/// partitions show it. It would be the next that the topic shows.
pub(crate) fn may_be_hidden(
    log: &dyn Log,
    topic: &str,
    from: Option<Offset>,
    found: &Records,
) -> Result<bool, EngineError> {
    let at = TopicPartition { topic: topic.into(), partition: EPOCH_PARTITION };
    Ok(found.is_empty() && from.is_some() && log.topic(topic)?.is_some() && Some(log.bounds(&at)?.high) == from)
}

/// All records from an offset (else from the first there is) on, to the end as it is now.
pub(crate) fn read_all(
    log: &dyn Log,
    topic: &str,
    from: Option<Offset>,
    shared: &Shared,
) -> Result<Records, EngineError> {
    read(log, topic, from, usize::MAX, shared)
}

/// The topic's end is known only by having met it: its last entry may be a control record, which is never delivered.
fn read(
    log: &dyn Log,
    topic: &str,
    from: Option<Offset>,
    enough: usize,
    shared: &Shared,
) -> Result<Records, EngineError> {
    let at = TopicPartition { topic: topic.into(), partition: EPOCH_PARTITION };
    let bounds = log.bounds(&at)?;
    let from = from.unwrap_or(bounds.low);
    if from > bounds.high {
        return Ok(Records::new());
    }
    if from < bounds.low {
        return Err(EngineError::Recovery(format!(
            "the epoch topic \"{topic}\" begins at offset {}, but the checkpoint needs its records from offset {from}: they \
             were deleted; restore a newer checkpoint, or start anew with another --data folder and --pipeline name",
            bounds.low
        )));
    }
    let mut records = Records::new();
    each(log, &at, from, shared, &mut |more| {
        records.extend(more);
        records.len() < enough
    })?;
    Ok(records)
}

/// Gives the records of the epoch topic from an offset on to `take`, as they come, until it wants no more.
pub(crate) fn each(
    log: &dyn Log,
    at: &TopicPartition,
    from: Offset,
    shared: &Shared,
    take: &mut dyn FnMut(Records) -> bool,
) -> Result<(), EngineError> {
    let mut reader = log.reader(&Default::default())?;
    reader.assign(at, from)?;
    let mut wanted = true;
    while wanted && !reader.at_end(at)? {
        shared.go_on()?;
        match reader.poll(10_000, POLL_WAIT) {
            Ok(more) => wanted = take(more.into_iter().map(|r| (r.offset, r.value.unwrap_or_default())).collect()),
            Err(LogError::Retriable(reason)) => tracing::warn!("reading the epoch topic: {reason}"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
