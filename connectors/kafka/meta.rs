//! What topics there are and what they hold: questions that change nothing.
//!
//! All of them are asked by a `read_committed` consumer, so that the end of a partition is its last stable offset.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use api::{Bounds, LogError, TopicInfo, TopicPartition};
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::{Offset as At, TopicPartitionList};
use zset::{Offset, TimestampMs};

use crate::client::Door;
use crate::config::KafkaConfig;
use crate::context::Told;
use crate::error::{is_missing, log_error};
use crate::leaving::Leaving;
use crate::patience::{ANSWER, Patience};
use crate::sight::{self, Sights};

/// How long is waited for a broker before it is looked whether one has refused us.
const GLANCE: Duration = Duration::from_millis(500);

/// Why there is no broker.
pub(crate) enum Unmet {
    Silent,
    Refused(String),
}

/// The consumer that asks.
pub(crate) struct Meta {
    consumer: BaseConsumer<Told>,
    /// The log's clients that are closed already.
    pub(crate) leaving: Arc<Leaving>,
    pub(crate) patience: Patience,
    sights: Sights,
    /// Those of all readers.
    doors: Mutex<Vec<Weak<Door>>>,
}

impl Meta {
    pub(crate) fn open(config: &KafkaConfig) -> Result<Self, LogError> {
        let consumer = config.meta().create_with_context(Told::default());
        let consumer = consumer.map_err(|e| log_error("open a Kafka consumer", "", &e))?;
        Ok(Self {
            consumer,
            leaving: Arc::default(),
            patience: Patience::default(),
            sights: Sights::default(),
            doors: Mutex::default(),
        })
    }

    #[cfg(test)]
    pub(crate) fn consumer(&self) -> &BaseConsumer<Told> {
        &self.consumer
    }

    /// librdkafka's log lines wait in a queue until they are polled.
    fn heard<T>(&self, answer: T) -> T {
        for _ in 0..8 {
            self.consumer.poll(Duration::ZERO);
        }
        answer
    }

    /// There is a reader more.
    pub(crate) fn opened(&self, door: &Arc<Door>) {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        doors.retain(|door| door.strong_count() > 0);
        doors.push(Arc::downgrade(door));
    }

    /// About how many bytes the queues of all readers hold.
    pub(crate) fn held_bytes(&self) -> u64 {
        let doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        doors.iter().filter_map(Weak::upgrade).map(|door| door.held_bytes()).sum()
    }

    /// Whether any broker answers.
    pub(crate) fn answers(&self, within: Duration) -> bool {
        // An existing or a missing topic: both are answers.
        self.heard(self.consumer.client().fetch_metadata(Some("__consumer_offsets"), within)).is_ok()
    }

    /// Waits until a broker answers; what a broker says against us ends the waiting.
    pub(crate) fn greet(&self, within: Duration) -> Result<(), Unmet> {
        let deadline = Instant::now() + within;
        loop {
            if self.answers(within.min(GLANCE)) {
                return Ok(());
            }
            if let Some(reason) = self.consumer.context().refusal() {
                return Err(Unmet::Refused(reason));
            }
            if Instant::now() >= deadline {
                return Err(Unmet::Silent);
            }
        }
    }

    /// The topics that are not Kafka's own.
    pub(crate) fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        let metadata = self.heard(self.consumer.client().fetch_metadata(None, ANSWER));
        let metadata = metadata.map_err(|e| log_error("list the topics", "", &e))?;
        let named = metadata.topics().iter().filter(|t| !t.name().starts_with("__") && t.error().is_none());
        let mut topics: Vec<_> = named
            .map(|t| TopicInfo { topic: t.name().into(), partitions: t.partitions().len() as u32 })
            .filter(|t| t.partitions > 0)
            .collect();
        topics.sort_by(|a, b| a.topic.cmp(&b.topic));
        Ok(topics)
    }

    /// One topic.
    pub(crate) fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, LogError> {
        let missing = KafkaError::MetadataFetch(Code::UnknownTopicOrPartition);
        let there = self.patience.ask(topic, || {
            self.heard(partitions(self.consumer.client(), topic, ANSWER))?.ok_or_else(|| missing.clone())
        });
        match there {
            Ok(partitions) => Ok(Some(TopicInfo { topic: topic.into(), partitions })),
            Err(error) if error == missing => Ok(None),
            Err(error) => Err(log_error(&format!("look up topic \"{topic}\""), topic, &error)),
        }
    }

    /// An error unless the partition exists.
    pub(crate) fn exists(&self, at: &TopicPartition) -> Result<(), LogError> {
        let Some(info) = self.topic(&at.topic)? else {
            return Err(LogError::NoTopic(at.topic.to_string()));
        };
        if at.partition.0 < 0 || at.partition.0 as u32 >= info.partitions {
            let (topic, has) = (&at.topic, info.partitions);
            return Err(LogError::Unusable(format!(
                "topic \"{topic}\" has no partition {}: it has {has}, numbered from 0",
                at.partition
            )));
        }
        Ok(())
    }

    /// What a partition that exists holds.
    pub(crate) fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        let asked = || self.heard(self.consumer.fetch_watermarks(&at.topic, at.partition.0, ANSWER));
        let answer = self.patience.ask(&at.topic, asked);
        let (low, high) = answer.map_err(|e| {
            let doing = format!("ask for the offsets of topic \"{}\" partition {}", at.topic, at.partition);
            log_error(&doing, &at.topic, &e)
        })?;
        // With a transaction open from the first offset on, or records deleted above it, the stable end may lie below.
        Ok(Bounds { low: Offset(low), high: Offset(high.max(low)) })
    }

    /// What a partition held, and how long ago, which is less than `at_most`.
    pub(crate) fn bounds_seen(&self, at: &TopicPartition, at_most: Duration) -> Result<(Bounds, Duration), LogError> {
        let all = |wanted: &[&TopicPartition]| self.heard(sight::ask_all(&self.consumer, wanted));
        self.sights.bounds(at, at_most, all, || self.exists(at).and_then(|()| self.bounds(at)))
    }

    /// The first offset at or after a time; `None` if no record is that late.
    pub(crate) fn offset_at(&self, at: &TopicPartition, time: TimestampMs) -> Result<Option<Offset>, LogError> {
        let failed = |e: &KafkaError| {
            let doing = format!("find time {} in topic \"{}\" partition {}", time.0, at.topic, at.partition);
            log_error(&doing, &at.topic, e)
        };
        let mut times = TopicPartitionList::new();
        // Times before 1970 have no meaning to Kafka: negative ones are its words for first and last.
        let asked = At::Offset(time.0.max(0));
        times.add_partition_offset(&at.topic, at.partition.0, asked).map_err(|e| failed(&e))?;
        let found = self.patience.ask(&at.topic, || {
            let found = self.heard(self.consumer.offsets_for_times(times.clone(), ANSWER))?;
            let elements = found.elements();
            elements.first().map(|element| element.error().map(|()| element.offset())).transpose()
        });
        match found.map_err(|e| failed(&e))? {
            Some(At::Offset(offset)) => Ok(Some(Offset(offset))),
            _ => Ok(None),
        }
    }
}

/// Whether Kafka would take this for a topic's name. librdkafka's bindings abort the process on an empty one.
pub(crate) fn is_name(topic: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    !matches!(topic, "" | "." | "..") && topic.len() <= 249 && topic.bytes().all(allowed)
}

/// The number of partitions of a topic, asked by any client; `None` if it does not exist.
pub(crate) fn partitions<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    within: Duration,
) -> KafkaResult<Option<u32>> {
    if !is_name(topic) {
        return Ok(None);
    }
    let metadata = match client.fetch_metadata(Some(topic), within) {
        Err(KafkaError::MetadataFetch(code)) if is_missing(code) => return Ok(None),
        other => other?,
    };
    let Some(found) = metadata.topics().iter().find(|t| t.name() == topic) else {
        return Ok(None);
    };
    match found.error().map(Code::from) {
        None if found.partitions().is_empty() => Err(KafkaError::MetadataFetch(Code::LeaderNotAvailable)),
        None => Ok(Some(found.partitions().len() as u32)),
        Some(code) if is_missing(code) => Ok(None),
        Some(code) => Err(KafkaError::MetadataFetch(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_kafka_takes() {
        for name in ["a", "a.b-c_D9", "...", &"x".repeat(249)] {
            assert!(is_name(name), "{name:?}");
        }
        for name in ["", ".", "..", "a b", "a/b", "é", "a\0", &"x".repeat(250)] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
