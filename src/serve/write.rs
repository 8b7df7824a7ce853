//! POST /topics/T: records as JSON lines, all of them written or none.

use std::sync::atomic::Ordering;

use api::{LogError, OutRecord, TopicInfo, TopicKind, TopicPartition, TopicSpec};
use zset::{Offset, Partition, TimestampMs};

use crate::LogDoor;
use crate::line::{self, Line};

/// What may be said besides the lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// The partition of all records, whatever the lines say.
    pub partition: Option<i32>,
    /// The partitions to make the topic with if it is missing; 1 if nothing is said.
    pub partitions: Option<u32>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A line is wrong.
    #[error("line {line}: {reason}; no line was written")]
    Line {
        /// Which, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// The topic is the pipeline's own.
    #[error("topic \"{0}\" holds the pipeline's epoch records: only the pipeline writes to it; choose another topic")]
    OwnTopic(String),
    /// The topic is missing and is not for us to make.
    #[error(
        "topic \"{topic}\" does not exist in {log}; make it with Kafka's tools, or by CREATE TABLE with partitions = N"
    )]
    NoTopic {
        /// The topic.
        topic: String,
        /// Where.
        log: String,
    },
    /// The log refused.
    #[error("{0}")]
    Log(#[from] LogError),
}

/// Writes the JSON lines of `body` to a topic, which is made if it is missing and the log is the embedded one. Answers
/// where each record went, in the order of the lines. (On Kafka a failing broker may have taken some of them.)
pub fn write_lines(
    door: &LogDoor,
    topic: &str,
    options: &WriteOptions,
    body: &[u8],
    now: TimestampMs,
) -> Result<Vec<(Partition, Offset)>, WriteError> {
    if topic == door.epoch_topic {
        return Err(WriteError::OwnTopic(topic.to_string()));
    }
    let lines = parse(body, topic)?;
    let info = topic_info(door, topic, options)?;
    let topic_name = info.topic.as_str().into();
    let mut records = Vec::with_capacity(lines.len());
    let mut numbers = Vec::with_capacity(lines.len());
    for (number, line) in lines {
        let partition =
            partition(door, &info, options, &line).map_err(|reason| WriteError::Line { line: number, reason })?;
        numbers.push(number);
        records.push(OutRecord {
            to: TopicPartition { topic: std::sync::Arc::clone(&topic_name), partition },
            timestamp: line.timestamp.map_or(now, TimestampMs),
            key: line.key,
            value: line.value,
            headers: line.headers,
        });
    }
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let offsets = door.log.append(&records).map_err(|error| match error {
        LogError::Refused { index, reason, .. } => WriteError::Line { line: numbers[index], reason },
        other => other.into(),
    })?;
    Ok(records.iter().map(|record| record.to.partition).zip(offsets).collect())
}

/// The lines that are not blank, with their numbers.
fn parse(body: &[u8], topic: &str) -> Result<Vec<(usize, Line)>, WriteError> {
    let lines = body.split(|byte| *byte == b'\n').enumerate().map(|(at, line)| (at + 1, line.trim_ascii()));
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| match line::parse(line, topic) {
            Ok(parsed) => Ok((number, parsed)),
            Err(reason) => Err(WriteError::Line { line: number, reason }),
        })
        .collect()
}

fn topic_info(door: &LogDoor, topic: &str, options: &WriteOptions) -> Result<TopicInfo, WriteError> {
    if let Some(info) = door.log.topic(topic)? {
        return Ok(info);
    }
    if !door.makes_topics {
        return Err(WriteError::NoTopic { topic: topic.to_string(), log: door.log.name() });
    }
    let partitions = options.partitions.unwrap_or(1);
    let spec = TopicSpec { topic: topic.to_string(), partitions, replication: None, kind: TopicKind::Plain };
    Ok(door.log.make_topic(&spec)?)
}

/// The one that was asked for, else the one that Kafka's Java clients choose: by the key's hash, without one in turn.
fn partition(door: &LogDoor, info: &TopicInfo, options: &WriteOptions, line: &Line) -> Result<Partition, String> {
    let count = info.partitions;
    let chosen = match (options.partition.or(line.partition), &line.key) {
        (Some(partition), _) => {
            if u32::try_from(partition).is_ok_and(|partition| partition < count) {
                return Ok(Partition(partition));
            }
            let last = count.saturating_sub(1);
            return Err(format!("topic \"{}\" has no partition {partition}; it has 0 to {last}", info.topic));
        }
        (None, Some(key)) => schemas::partition(schemas::murmur2(key) as u32, count),
        (None, None) => (door.turn.fetch_add(1, Ordering::Relaxed) % count.max(1) as usize) as u32,
    };
    Ok(Partition(chosen as i32))
}
