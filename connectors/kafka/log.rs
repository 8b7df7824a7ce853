//! Kafka as a log: the trait, by the parts that do it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::{Bounds, Keeping, Log, LogError, OutRecord, Reader, TopicInfo, TopicPartition, TopicSpec, Transport, Writer};
use fault::Failpoints;
use rdkafka::error::KafkaError;
use zset::{Offset, Partition, TimestampMs};

use crate::admin::Admin;
use crate::client::Clients;
use crate::config::KafkaConfig;
use crate::error::{is_missing, log_error};
use crate::group::Group;
use crate::meta::{Meta, Unmet};
use crate::probe;
use crate::reader::KafkaReader;
use crate::sender::Sender;
use crate::verdict::{self, Verdict};
use crate::windows::Windows;
use crate::writer::KafkaWriter;

/// How long the first answer of a broker is waited for.
const CONNECT: Duration = Duration::from_secs(10);

/// A Kafka cluster, as one pipeline uses it.
pub struct KafkaLog {
    config: KafkaConfig,
    meta: Arc<Meta>,
    /// The producer without transactions; made when it is first used, and anew after a failure.
    plain: Mutex<Option<Sender>>,
    group: Group,
    /// The consumers of readers that are kept.
    clients: Arc<Clients>,
    faults: Failpoints,
}

impl KafkaLog {
    /// Connects: a broker has answered when this returns. Takes nothing over; only `writer` does.
    pub fn connect(config: &KafkaConfig) -> Result<Self, LogError> {
        Self::connect_with(config, Failpoints::default())
    }

    /// The same, with failpoints.
    pub fn connect_with(config: &KafkaConfig, faults: Failpoints) -> Result<Self, LogError> {
        config.check()?;
        let meta = Arc::new(Meta::open(config)?);
        meta.greet(CONNECT).map_err(|unmet| match unmet {
            Unmet::Silent => LogError::Retriable(format!(
                "cannot reach Kafka at {}: no answer within {} s; is it running, and is the address right?",
                config.brokers,
                CONNECT.as_secs()
            )),
            Unmet::Refused(reason) => LogError::Unusable(format!(
                "Kafka at {} does not let us in: {reason}; correct --kafka-property (security.protocol, sasl.*, ssl.*)",
                config.brokers
            )),
        })?;
        Ok(Self {
            config: config.clone(),
            meta,
            plain: Mutex::new(None),
            group: Group::default(),
            clients: Arc::default(),
            faults,
        })
    }
}

impl Transport for KafkaLog {
    fn name(&self) -> String {
        format!("Kafka at {}", self.config.brokers)
    }

    fn partitions(&self, topic: &str) -> Result<Option<Vec<Partition>>, LogError> {
        let info = self.meta.topic(topic)?;
        Ok(info.map(|info| (0..info.partitions as i32).map(Partition).collect()))
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        self.meta.exists(at)?;
        self.meta.bounds(at)
    }

    fn bounds_seen(&self, at: &TopicPartition, at_most: Duration) -> Result<(Bounds, Duration), LogError> {
        self.meta.bounds_seen(at, at_most)
    }

    fn keeping(&self, topic: &str) -> Result<Option<Keeping>, LogError> {
        Admin::open(&self.config, &self.meta)?.keeping(&self.meta, topic).map(Some)
    }

    fn offset_at(&self, at: &TopicPartition, time: TimestampMs) -> Result<Offset, LogError> {
        self.meta.exists(at)?;
        // The end is asked for first: a record that comes in between is then at it, not before.
        let Bounds { low, high } = self.meta.bounds(at)?;
        // What Kafka finds may be a control record, whose time is the commit's: records before `time` may follow it.
        match self.meta.offset_at(at, time)? {
            Some(found) if found < high => {
                Ok(probe::first_record((&self.config, &self.meta.leaving), at, found.max(low), time)?.unwrap_or(high))
            }
            _ => Ok(high),
        }
    }

    fn reader(&self, properties: &BTreeMap<String, String>) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(KafkaReader::open(&self.config.with(properties)?, self.meta.clone())?))
    }

    fn lasting_reader(&self, properties: &BTreeMap<String, String>) -> Result<Box<dyn Reader>, LogError> {
        let config = self.config.with(properties)?;
        Ok(Box::new(KafkaReader::open_shared(&config, self.meta.clone(), &self.clients)?))
    }
}

impl Log for KafkaLog {
    fn held_bytes(&self) -> u64 {
        self.meta.held_bytes()
    }

    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        self.meta.topics()
    }

    fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, LogError> {
        self.meta.topic(topic)
    }

    fn make_topic(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
        Admin::open(&self.config, &self.meta)?.make_topic(&self.meta, spec)
    }

    fn trim(&self, at: &TopicPartition, below: Offset) -> Result<(), LogError> {
        self.meta.exists(at)?;
        let Bounds { low, high } = self.meta.bounds(at)?;
        if below > high {
            let (topic, partition) = (at.topic.to_string(), at.partition);
            return Err(LogError::OutOfRange { topic, partition, offset: below, low, high });
        }
        if below <= low {
            return Ok(());
        }
        Admin::open(&self.config, &self.meta)?.delete_below(at, below)
    }

    fn append(&self, records: &[OutRecord]) -> Result<Vec<Offset>, LogError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let mut plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = match plain.take() {
            Some(sender) => sender,
            None => Sender::open(&self.config.plain()).map_err(|e| log_error("open a Kafka producer", "", &e))?,
        };
        let (sender, answer) = append(opened, records);
        // After a fatal error a producer is of no use; the next call opens another.
        *plain = Some(sender).filter(|sender| sender.fatal().is_none());
        answer
    }

    fn writer(&self) -> Result<Box<dyn Writer>, LogError> {
        Ok(Box::new(KafkaWriter::open(&self.config, self.faults.clone())?))
    }

    fn tell_positions(&self, positions: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        self.group.tell(&self.config, positions)
    }
}

/// Writes without a transaction; returns when each record was written or has failed.
fn append(mut sender: Sender, records: &[OutRecord]) -> (Sender, Result<Vec<Offset>, LogError>) {
    let refuse = |index: usize, code| {
        let record = &records[index];
        let topic = record.to.topic.to_string();
        if is_missing(code) && code != rdkafka::error::RDKafkaErrorCode::UnknownPartition {
            return LogError::NoTopic(topic);
        }
        LogError::Refused { index, topic, reason: verdict::reason(code, record) }
    };
    match sender.first_missing(records) {
        Ok(None) => {}
        Ok(Some(failure)) => return (sender, Err(refuse(failure.index, failure.code))),
        Err(error) => return (sender, Err(log_error("look up the topics to append to", "", &error))),
    }
    let sent = sender.send(records, &Windows::default());
    sender.settle();
    if let Some(offsets) = sent.and_then(|offsets| offsets.into_iter().collect()) {
        return (sender, Ok(offsets));
    }
    let failures = sender.failures();
    let error = match verdict::decide(&failures, records) {
        Verdict::Refuse(index, code) => refuse(index, code),
        // Of a batch that is too large as a whole the largest is the likeliest.
        Verdict::Narrow(_) => {
            let size = |index: usize| records[index].value.as_ref().map_or(0, |value| value.len());
            match failures.iter().max_by_key(|failure| size(failure.index)) {
                Some(failure) => refuse(failure.index, failure.code),
                None => LogError::Retriable("records were not appended".into()),
            }
        }
        Verdict::Retry => match failures.first() {
            Some(failure) => log_error("append records", "", &KafkaError::MessageProduction(failure.code)),
            None => LogError::Retriable("records were appended, but an offset was not reported".into()),
        },
    };
    (sender, Err(error))
}
