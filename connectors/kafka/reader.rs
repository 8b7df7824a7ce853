//! A reader: what a consumer of librdkafka's has of the partitions that were assigned to it. The consumer is its own or shared (`client`).
//!
//! Guarantees: committed records only; within a partition by offset, each once; nothing before the offset of `assign`; a
//! position that is gone is an error, and stays one until the partition is assigned anew or taken out. Brokers that go
//! away are librdkafka's matter: after a while without an answer the caller is told, and may go on polling.

mod gather;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{Bell, LogError, Reader, Record, TopicPartition};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use zset::{Offset, TimestampMs};

use crate::assigned::{Assigned, Partitions};
use crate::client::{Client, Clients, Door, Whose};
use crate::config::KafkaConfig;
use crate::error::{is_missing, log_error};
use crate::meta::Meta;
use crate::native::Queue;
use crate::probe;

/// Without any broker for this long the caller is told.
const SILENCE_MAX: Duration = Duration::from_secs(30);

pub(crate) struct KafkaReader {
    /// Where its partitions lead. It goes before the client.
    inbox: Arc<Queue>,
    client: Arc<Client>,
    whose: Whose,
    door: Arc<Door>,
    meta: Arc<Meta>,
    config: KafkaConfig,
    partitions: Partitions,
    /// Read already, but not asked for yet.
    pending: VecDeque<Record>,
    /// An error event that was not looked into yet, or that nothing explains: then it stays.
    alarm: Option<Code>,
    /// Partitions that stand still until they are assigned anew or taken out.
    broken: BTreeSet<TopicPartition>,
    /// All that were ever assigned to a client of its own.
    seen: BTreeSet<TopicPartition>,
    /// How many of the client's alarms were looked into.
    alarms: u64,
}

impl KafkaReader {
    /// With a client of its own.
    pub(crate) fn open(config: &KafkaConfig, meta: Arc<Meta>) -> Result<Self, LogError> {
        let client = Client::open(config, &meta.leaving)?;
        Ok(Self::with(Arc::new(client), Whose::Own, config, meta))
    }

    /// With a client that others have too.
    pub(crate) fn open_shared(config: &KafkaConfig, meta: Arc<Meta>, clients: &Arc<Clients>) -> Result<Self, LogError> {
        let client = clients.claim(config, &meta.leaving, &[])?;
        Ok(Self::with(client, Whose::Shared(Arc::clone(clients)), config, meta))
    }

    fn with(client: Arc<Client>, whose: Whose, config: &KafkaConfig, meta: Arc<Meta>) -> Self {
        let (inbox, door) = (Arc::new(client.inbox()), Arc::<Door>::default());
        door.lead(&client, &inbox);
        meta.opened(&door);
        Self {
            inbox,
            door,
            client,
            whose,
            meta,
            config: config.clone(),
            partitions: BTreeMap::new(),
            pending: VecDeque::new(),
            alarm: None,
            broken: BTreeSet::new(),
            seen: BTreeSet::new(),
            alarms: 0,
        }
    }

    /// Goes on with another client, if the one that it has was already used for a partition.
    fn make_way(&mut self, at: &TopicPartition) -> Result<(), LogError> {
        let others = || self.partitions.values().flat_map(BTreeMap::values);
        let tools = (&self.config, &self.meta.leaving);
        let names = others().map(|assigned| assigned.at.clone());
        let Some(client) = self.whose.other(tools, &self.client, at, names)? else { return Ok(()) };
        let inbox = Arc::new(client.inbox());
        for (done, assigned) in others().enumerate() {
            if let Err(error) = client.assign(&assigned.at, assigned.next, &inbox) {
                // Nobody would read them there.
                others().take(done).for_each(|assigned| drop(client.unassign(&assigned.at)));
                return Err(error);
            }
        }
        self.leave();
        for assigned in self.partitions.values_mut().flat_map(BTreeMap::values_mut) {
            assigned.begin_anew();
        }
        self.door.lead(&client, &inbox);
        self.inbox = inbox;
        self.client = client;
        self.alarms = 0;
        Ok(())
    }

    /// Gives a shared client back.
    fn leave(&self) {
        if matches!(self.whose, Whose::Own) {
            return;
        }
        for assigned in self.partitions.values().flat_map(BTreeMap::values) {
            if let Err(error) = self.client.unassign(&assigned.at) {
                tracing::debug!(target: "kafka", "{error}");
            }
        }
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
        self.client.unassign(at)
    }

    fn position(&self, at: &TopicPartition) -> Option<i64> {
        self.client.position(at).map(|offset| offset.0)
    }

    /// Why a partition cannot be read, if it cannot.
    fn complaint(&self, assigned: &Assigned) -> Option<LogError> {
        let at = &assigned.at;
        let bounds = match self.meta.exists(at).and_then(|()| self.meta.bounds(at)) {
            Ok(bounds) => bounds,
            Err(error) => return Some(error),
        };
        let offset = Offset(assigned.reached(self.position(at)));
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
        let silence = self.client.silence();
        if silence <= SILENCE_MAX {
            return Ok(());
        }
        if self.meta.answers(Duration::from_secs(2)) {
            self.client.answered();
            return Ok(());
        }
        let (seconds, brokers) = (silence.as_secs(), &self.config.brokers);
        Err(LogError::Retriable(format!("cannot read: no Kafka broker of {brokers} has answered for {seconds} s")))
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        self.leave();
    }
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
        self.make_way(at)?;
        self.client.assign(at, offset.0, &self.inbox)?;
        let assigned = Assigned {
            at: at.clone(),
            next: offset.0,
            delivered: false,
            moved: matches!(self.whose, Whose::Own) && !self.seen.insert(at.clone()),
            met_end: false,
            ended_at: None,
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
        if records.is_empty() {
            if batch.is_empty() {
                self.raise_alarm()?;
                self.raise_silence()?;
            }
            return Ok(batch.finish());
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
        let reached = assigned.reached(position);
        if reached >= high {
            return Ok(true);
        }
        if !assigned.met_end {
            return Ok(false);
        }
        let found =
            probe::first_record((&self.config, &self.meta.leaving), at, Offset(reached), TimestampMs(i64::MIN))?;
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

    fn bell(&self) -> Option<Bell> {
        let door = Arc::clone(&self.door);
        Some(Box::new(move || door.ring()))
    }
}

#[cfg(test)]
mod tests;
