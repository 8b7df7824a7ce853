//! A reader: one librdkafka consumer over the partitions that were assigned to it.
//!
//! Guarantees: committed records only; within a partition by offset, each once; nothing before the offset of `assign`; a
//! position that is gone is an error, and stays one until the partition is assigned anew or taken out. Brokers that go
//! away are librdkafka's matter: after a while without an answer the caller is told, and may go on polling.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{LogError, Reader, Record, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset as At, TopicPartitionList};
use zset::{Offset, TimestampMs};

use crate::batch::Batch;
use crate::config::KafkaConfig;
use crate::context::Told;
use crate::error::{is_missing, log_error};
use crate::meta::Meta;
use crate::probe;

const ANY_TIME: TimestampMs = TimestampMs(i64::MIN);

/// Without any broker for this long the caller is told.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A partition that is read.
struct Assigned {
    at: TopicPartition,
    /// No record below it is wanted any more: one behind the last record delivered.
    next: i64,
    /// A record came since it was assigned: librdkafka's position is that of this assignment.
    delivered: bool,
    /// It was assigned before: librdkafka's position may still be that of the former assignment.
    moved: bool,
    /// librdkafka met the end after the last record. A hint only: it does not say of which topic.
    met_end: bool,
    /// Below it nothing readable is left.
    nothing_below: i64,
    /// The next readable record, if it was looked for.
    waiting: Option<i64>,
}

/// Partitions by topic and number, so that a message finds its own without allocating.
type Partitions = BTreeMap<Arc<str>, BTreeMap<i32, Assigned>>;

pub(crate) struct KafkaReader {
    consumer: BaseConsumer<Told>,
    meta: Arc<Meta>,
    config: KafkaConfig,
    partitions: Partitions,
    /// Read already, but not asked for yet.
    pending: VecDeque<Record>,
    /// An error event that was not looked into yet, or that nothing explains: then it stays.
    alarm: Option<Code>,
    /// Partitions that stand still until they are assigned anew or taken out.
    broken: BTreeSet<TopicPartition>,
    /// All that were ever assigned.
    seen: BTreeSet<TopicPartition>,
    /// Since when no broker was there.
    silent: Option<Instant>,
}

impl KafkaReader {
    pub(crate) fn open(config: &KafkaConfig, meta: Arc<Meta>) -> Result<Self, LogError> {
        let consumer = config.reader().create_with_context(Told::default());
        Ok(Self {
            consumer: consumer.map_err(|e| log_error("open a Kafka consumer", "", &e))?,
            meta,
            config: config.clone(),
            partitions: BTreeMap::new(),
            pending: VecDeque::new(),
            alarm: None,
            broken: BTreeSet::new(),
            seen: BTreeSet::new(),
            silent: None,
        })
    }

    fn assigned(&mut self, at: &TopicPartition) -> Option<&mut Assigned> {
        self.partitions.get_mut(&at.topic)?.get_mut(&at.partition.0)
    }

    /// Takes a partition out, if it is in.
    fn remove(&mut self, at: &TopicPartition) -> Result<(), LogError> {
        if let Some(code) = self.alarm {
            // Which partition it is about can be seen only as long as that is still assigned.
            self.locate(code).or_else(|e| if matches!(e, LogError::Retriable(_)) { Err(e) } else { Ok(()) })?;
        }
        self.broken.remove(at);
        self.pending.retain(|record| record.at != *at);
        let removed = self.partitions.get_mut(&at.topic).and_then(|of| of.remove(&at.partition.0));
        if removed.is_none() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(&at.topic, at.partition.0);
        let done = self.consumer.incremental_unassign(&list);
        done.map_err(|e| log_error(&format!("stop reading topic \"{}\"", at.topic), &at.topic, &e))
    }

    /// Where librdkafka is: behind the last record or control record that it served.
    fn position(&self, at: &TopicPartition) -> Option<i64> {
        let positions = self.consumer.position().ok()?;
        match positions.find_partition(&at.topic, at.partition.0)?.offset() {
            At::Offset(offset) => Some(offset),
            _ => None,
        }
    }

    /// Takes notice of an error event.
    fn heed(&mut self, error: &KafkaError) {
        match error {
            KafkaError::PartitionEOF(partition) => {
                for of in self.partitions.values_mut() {
                    if let Some(assigned) = of.get_mut(partition) {
                        assigned.met_end = true;
                    }
                }
                self.silent = None;
            }
            KafkaError::MessageConsumptionFatal(code) => self.alarm = Some(*code),
            KafkaError::MessageConsumption(code) if is_alarming(*code) => self.alarm = Some(*code),
            KafkaError::MessageConsumption(code) if is_silence(*code) => {
                self.silent.get_or_insert_with(Instant::now);
            }
            // What is left librdkafka mends, or it concerns the consumer group, which is not used.
            other => tracing::debug!(target: "kafka", "while reading: {other}"),
        }
    }

    /// Why a partition cannot be read, if it cannot.
    fn complaint(&self, assigned: &Assigned) -> Option<LogError> {
        let at = &assigned.at;
        let bounds = match self.meta.exists(at).and_then(|()| self.meta.bounds(at)) {
            Ok(bounds) => bounds,
            Err(error) => return Some(error),
        };
        let trusted = assigned.delivered || !assigned.moved;
        let position = self.position(at).filter(|_| trusted);
        let offset = Offset(position.unwrap_or(assigned.next).max(assigned.next));
        if (bounds.low..=bounds.high).contains(&offset) {
            return None;
        }
        let (topic, partition) = (at.topic.to_string(), at.partition);
        Some(LogError::OutOfRange { topic, partition, offset, low: bounds.low, high: bounds.high })
    }

    /// Looks for the partitions that an error event is about, which it does not say.
    fn locate(&mut self, code: Code) -> Result<(), LogError> {
        let mut found = Vec::new();
        for assigned in self.partitions.values().flat_map(BTreeMap::values) {
            match self.complaint(assigned) {
                Some(error @ LogError::Retriable(_)) => return Err(error),
                Some(_) => found.push(assigned.at.clone()),
                None => {}
            }
        }
        if found.is_empty() && !is_missing(code) {
            return Err(log_error("read from Kafka", "", &KafkaError::MessageConsumption(code)));
        }
        // Found nothing missing: the topic was only unknown to a broker that had just started; librdkafka goes on.
        self.broken.extend(found);
        self.alarm = None;
        Ok(())
    }

    fn raise_alarm(&mut self) -> Result<(), LogError> {
        if let Some(code) = self.alarm {
            self.locate(code)?;
        }
        for at in &self.broken {
            let assigned = self.partitions.get(&at.topic).and_then(|of| of.get(&at.partition.0));
            if let Some(error) = assigned.and_then(|assigned| self.complaint(assigned)) {
                return Err(error);
            }
        }
        if let Some(at) = self.broken.first() {
            let (topic, partition) = (&at.topic, at.partition);
            return Err(LogError::Fatal(format!(
                "reading of topic \"{topic}\" partition {partition} stopped at an offset that is there again: it was \
                 deleted and made anew, or truncated; start again, and what was read will be compared"
            )));
        }
        Ok(())
    }

    /// Told when nothing came and no broker has been there for long.
    fn raise_silence(&mut self) -> Result<(), LogError> {
        let Some(since) = self.silent.filter(|since| since.elapsed() > SILENCE_MAX) else {
            return Ok(());
        };
        if self.meta.answers(Duration::from_secs(2)) {
            self.silent = None;
            return Ok(());
        }
        let (seconds, brokers) = (since.elapsed().as_secs(), &self.config.brokers);
        Err(LogError::Retriable(format!("cannot read: no Kafka broker of {brokers} has answered for {seconds} s")))
    }

    /// Gathers records until there are `max`, or nothing is at hand and the time for the first is over.
    fn gather(&mut self, max: usize, deadline: Instant) -> Batch {
        let mut batch = Batch::default();
        while batch.len() < max && !batch.is_full() && self.alarm.is_none() {
            let wait =
                if batch.is_empty() { deadline.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            let failed = match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    accept(&mut self.partitions, &message, &mut batch);
                    continue;
                }
                Some(Err(error)) => error,
                None if !batch.is_empty() || Instant::now() >= deadline => break,
                None => continue,
            };
            self.heed(&failed);
        }
        if !batch.is_empty() {
            self.silent = None;
        }
        batch
    }
}

/// Takes a message, unless it is of an assignment that is over.
fn accept(partitions: &mut Partitions, message: &BorrowedMessage<'_>, batch: &mut Batch) {
    let of = partitions.get_mut(message.topic());
    let Some(assigned) = of.and_then(|of| of.get_mut(&message.partition())) else {
        return;
    };
    if message.offset() < assigned.next {
        return;
    }
    assigned.next = message.offset() + 1;
    assigned.delivered = true;
    assigned.met_end = false;
    batch.push(&assigned.at, message);
}

/// The partition it is about stands still, and nothing but a new assignment moves it.
fn is_alarming(code: Code) -> bool {
    is_missing(code)
        || matches!(
            code,
            Code::AutoOffsetReset
                | Code::OffsetOutOfRange
                | Code::LogTruncation
                | Code::TopicAuthorizationFailed
                | Code::BadMessage
                | Code::BadCompression
                | Code::InvalidMessage
                | Code::UnsupportedFeature
        )
}

fn is_silence(code: Code) -> bool {
    matches!(
        code,
        Code::AllBrokersDown | Code::Resolve | Code::Authentication | Code::SSL | Code::SaslAuthenticationFailed
    )
}

impl Reader for KafkaReader {
    fn assign(&mut self, at: &TopicPartition, offset: Offset) -> Result<(), LogError> {
        self.meta.exists(at)?;
        let bounds = self.meta.bounds(at)?;
        if offset < bounds.low || offset > bounds.high {
            let (topic, partition) = (at.topic.to_string(), at.partition);
            return Err(LogError::OutOfRange { topic, partition, offset, low: bounds.low, high: bounds.high });
        }
        self.remove(at)?;
        let failed = |e: KafkaError| log_error(&format!("read topic \"{}\"", at.topic), &at.topic, &e);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&at.topic, at.partition.0, At::Offset(offset.0)).map_err(failed)?;
        self.consumer.incremental_assign(&list).map_err(failed)?;
        let assigned = Assigned {
            at: at.clone(),
            next: offset.0,
            delivered: false,
            moved: !self.seen.insert(at.clone()),
            met_end: false,
            nothing_below: offset.0,
            waiting: None,
        };
        self.partitions.entry(at.topic.clone()).or_default().insert(at.partition.0, assigned);
        Ok(())
    }

    fn unassign(&mut self, at: &TopicPartition) -> Result<(), LogError> {
        self.remove(at)
    }

    fn poll(&mut self, max: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let mut records: Vec<_> = self.pending.drain(..max.min(self.pending.len())).collect();
        if records.is_empty() {
            self.raise_alarm()?;
        }
        let deadline = Instant::now() + if records.is_empty() { wait } else { Duration::ZERO };
        let batch = self.gather(max - records.len(), deadline);
        if records.is_empty() && batch.is_empty() {
            self.raise_alarm()?;
            self.raise_silence()?;
        }
        records.append(&mut batch.finish());
        Ok(records)
    }

    fn at_end(&mut self, at: &TopicPartition) -> Result<bool, LogError> {
        if self.assigned(at).is_none() {
            let (topic, partition) = (&at.topic, at.partition);
            return Err(LogError::Fatal(format!(
                "topic \"{topic}\" partition {partition} is not assigned to the reader"
            )));
        }
        // Control records count only when they are served; a record that comes with them waits for the next poll.
        if self.pending.is_empty() {
            let batch = self.gather(1, Instant::now());
            self.pending.extend(batch.finish());
        }
        if self.pending.iter().any(|record| record.at == *at) {
            return Ok(false);
        }
        let high = self.meta.bounds(at)?.high.0;
        let position = self.position(at);
        let Some(assigned) = self.assigned(at) else {
            return Ok(false);
        };
        if assigned.next.max(assigned.nothing_below) >= high {
            return Ok(true);
        }
        if assigned.waiting.is_some_and(|waiting| assigned.next <= waiting) {
            return Ok(false);
        }
        let trusted = assigned.delivered || !assigned.moved;
        let reached = position.filter(|_| trusted).unwrap_or(assigned.next).max(assigned.next);
        if reached >= high {
            return Ok(true);
        }
        if !assigned.met_end {
            return Ok(false);
        }
        let found = probe::first_record(&self.config, at, Offset(reached), ANY_TIME)?;
        let Some(assigned) = self.assigned(at) else {
            return Ok(false);
        };
        match found {
            Some(record) if record.0 < high => {
                assigned.waiting = Some(record.0);
                Ok(false)
            }
            _ => {
                assigned.nothing_below = high;
                Ok(true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use api::Log;

    use super::*;
    use crate::against_kafka::support::{brokers, config, log_and_topic, records};

    /// librdkafka does not say of which topic it met the end: partitions of the same number are all told.
    #[test]
    fn the_end_of_another_topic_is_only_a_hint() {
        let (log, at) = log_and_topic("hint");
        log.append(&records(&at, "a", 5)).unwrap();
        let config = config(&brokers(), "hint");
        let mut reader = KafkaReader::open(&config, Arc::new(Meta::open(&config).unwrap())).unwrap();
        reader.assign(&at, Offset(0)).unwrap();
        reader.heed(&KafkaError::PartitionEOF(0));
        assert!(!reader.at_end(&at).unwrap(), "five records are ahead");
    }
}
