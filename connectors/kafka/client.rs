//! A consumer of librdkafka's that readers read with: a reader's own, or one that all readers have together that are kept and have the
//! same properties. A consumer is several threads and a question to each broker ten times a second, also where nothing comes.
//!
//! Guarantees: a reader is given what is of its own partitions; what is of none comes to all readers. In a consumer that is shared a
//! partition is assigned once at most, whoever reads it, so that nothing of an earlier assignment is ever met.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use api::{LogError, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{ClientConfig, Offset as At, TopicPartitionList};
use zset::Offset;

use crate::config::KafkaConfig;
use crate::context::Told;
use crate::error::log_error;
use crate::leaving::{Apart, Leaving};
use crate::native::{self, Queue};

/// See the module.
pub(crate) struct Client {
    /// Of its log. They go before the consumer.
    lines: Queue,
    /// What it says of no partition, if it is shared. One that is a reader's own leads all that it has to that reader: librdkafka takes
    /// away where a partition was led when it is no more assigned, some time after that.
    own: Option<Queue>,
    consumer: Apart<BaseConsumer<Told>>,
    /// All partitions that were ever assigned, if it is shared.
    used: Mutex<BTreeSet<TopicPartition>>,
    heard: Mutex<Heard>,
}

/// What a client said that is of no partition.
#[derive(Default)]
struct Heard {
    /// It is of no use any more.
    fatal: Option<Code>,
    /// How often something was said of a partition which is not known.
    alarms: u64,
    /// Since when no broker was there.
    silent: Option<Instant>,
}

impl Client {
    /// A client.
    pub(crate) fn open(config: &KafkaConfig, leaving: &Arc<Leaving>) -> Result<Self, LogError> {
        Self::with(&config.reader(), leaving, false)
    }

    fn with(config: &ClientConfig, leaving: &Arc<Leaving>, shared: bool) -> Result<Self, LogError> {
        let consumer = config.create_with_context(Told::default());
        let consumer: BaseConsumer<Told> = consumer.map_err(|e| log_error("open a Kafka consumer", "", &e))?;
        Ok(Self {
            lines: Queue::of_lines(consumer.client()),
            own: shared.then(|| Queue::of_consumer(consumer.client())),
            consumer: Apart::new(consumer, leaving),
            used: Mutex::default(),
            heard: Mutex::default(),
        })
    }

    pub(crate) fn consumer(&self) -> &BaseConsumer<Told> {
        &self.consumer
    }

    /// A queue for one reader, to be dropped before this.
    pub(crate) fn inbox(&self) -> Queue {
        match self.own {
            Some(_) => Queue::of(self.consumer.client()),
            None => Queue::of_consumer(self.consumer.client()),
        }
    }

    /// Whether none of the partitions was ever assigned here. From now on they were.
    fn claim(&self, partitions: &[TopicPartition]) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let free = !partitions.iter().any(|at| used.contains(at));
        if free {
            used.extend(partitions.iter().cloned());
        }
        free
    }

    /// Begins to read a partition into a queue.
    pub(crate) fn assign(&self, at: &TopicPartition, offset: i64, inbox: &Queue) -> Result<(), LogError> {
        let failed = |e: KafkaError| log_error(&format!("read topic \"{}\"", at.topic), &at.topic, &e);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&at.topic, at.partition.0, At::Offset(offset)).map_err(failed)?;
        if self.own.is_some() {
            native::lead(self.consumer.client(), (&at.topic, at.partition.0), inbox)
                .ok_or_else(|| LogError::NoTopic(at.topic.to_string()))?;
        }
        self.consumer.incremental_assign(&list).map_err(failed)
    }

    /// Reads a partition no more.
    pub(crate) fn unassign(&self, at: &TopicPartition) -> Result<(), LogError> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&at.topic, at.partition.0);
        // It takes away by itself where the partition was led.
        let done = self.consumer.incremental_unassign(&list);
        done.map_err(|e| log_error(&format!("stop reading topic \"{}\"", at.topic), &at.topic, &e))
    }

    /// Where librdkafka is in a partition: behind the last record or control record that it served.
    pub(crate) fn position(&self, at: &TopicPartition) -> Option<Offset> {
        let positions = self.consumer.position().ok()?;
        match positions.find_partition(&at.topic, at.partition.0)?.offset() {
            At::Offset(offset) => Some(Offset(offset)),
            _ => None,
        }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the client says that is of no partition.
    pub(crate) fn listen(&self) {
        if let Some(own) = &self.own {
            own.listen(self.consumer.client(), &mut |error| self.heed(&error));
        }
        self.lines.tell(self.consumer.client());
        if self.consumer.context().missed() {
            self.heard().alarms += 1;
        }
    }

    /// Takes notice of an error that is of no partition.
    pub(crate) fn heed(&self, error: &KafkaError) {
        match error {
            KafkaError::MessageConsumptionFatal(code) => self.heard().fatal = Some(*code),
            KafkaError::MessageConsumption(code) if is_silence(*code) => {
                self.heard().silent.get_or_insert_with(Instant::now);
            }
            KafkaError::MessageConsumption(code) if is_alarming(*code) => self.heard().alarms += 1,
            // What is left librdkafka mends, or it concerns the consumer group, which is not used.
            other => tracing::debug!(target: "kafka", "while reading: {other}"),
        }
    }

    /// A broker was there.
    pub(crate) fn answered(&self) {
        let mut heard = self.heard();
        // That no broker is there is said once: what was at hand before may come after it.
        heard.silent = heard.silent.map(|_| Instant::now());
    }

    /// For how long no broker was there.
    pub(crate) fn silence(&self) -> Duration {
        self.heard().silent.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// What a reader has to look into since it was here last.
    pub(crate) fn alarm(&self, seen: &mut u64) -> Option<Code> {
        let heard = self.heard();
        let news = std::mem::replace(seen, heard.alarms) != heard.alarms;
        // This code is one that a reader looks into and that passes if it finds nothing.
        heard.fatal.or(news.then_some(Code::UnknownTopicOrPartition))
    }
}

/// The partition it is about stands still, and nothing but a new assignment moves it.
pub(crate) fn is_alarming(code: Code) -> bool {
    crate::error::is_missing(code)
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

/// Where a reader's partitions lead and whose queue that is, for other threads: to have it wait no longer, or to see what is in it.
#[derive(Default)]
pub(crate) struct Door {
    inbox: Mutex<Option<(Weak<Client>, Weak<Queue>)>>,
    rung: AtomicBool,
    /// The bytes of a record as they came last.
    record_bytes: AtomicUsize,
}

impl Door {
    /// The reader waits at another queue.
    pub(crate) fn lead(&self, client: &Arc<Client>, inbox: &Arc<Queue>) {
        let at = (Arc::downgrade(client), Arc::downgrade(inbox));
        *self.inbox.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    fn at<T>(&self, look: impl FnOnce(&Queue) -> T) -> Option<T> {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let (client, inbox) = inbox.as_ref()?;
        // The client first and held to the end: a queue never outlives it.
        let _client = client.upgrade()?;
        let inbox = inbox.upgrade()?;
        Some(look(&inbox))
    }

    /// Ends the reader's wait, or its next one.
    pub(crate) fn ring(&self) {
        self.rung.store(true, SeqCst);
        self.at(Queue::wake);
    }

    /// Whether somebody rang since this was asked last.
    pub(crate) fn was_rung(&self) -> bool {
        self.rung.swap(false, SeqCst)
    }

    /// So many records came, of so many bytes.
    pub(crate) fn passed(&self, records: usize, bytes: usize) {
        self.record_bytes.store(bytes / records.max(1), Relaxed);
    }

    /// About how many bytes are in the queue, if its records are as those before; nothing, if there was none.
    pub(crate) fn held_bytes(&self) -> u64 {
        let waiting = self.at(Queue::len).unwrap_or(0);
        waiting as u64 * self.record_bytes.load(Relaxed) as u64
    }
}

/// A client that is shared, and its properties.
type Shared = (BTreeMap<String, String>, Weak<Client>);

/// The clients that are shared, for as long as somebody reads with them.
#[derive(Default)]
pub(crate) struct Clients(Mutex<Vec<Shared>>);

impl Clients {
    /// A client in which none of the partitions was ever assigned. From now on they were.
    pub(crate) fn claim(
        &self,
        config: &KafkaConfig,
        leaving: &Arc<Leaving>,
        partitions: &[TopicPartition],
    ) -> Result<Arc<Client>, LogError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, client)| client.strong_count() > 0);
        let alike = all.iter().filter(|(properties, _)| *properties == config.properties);
        if let Some(client) = alike
            .filter_map(|(_, client)| client.upgrade())
            .find(|client| client.heard().fatal.is_none() && client.claim(partitions))
        {
            return Ok(client);
        }
        let client = Arc::new(Client::with(&config.shared(), leaving, true)?);
        client.claim(partitions);
        all.push((config.properties.clone(), Arc::downgrade(&client)));
        Ok(client)
    }
}

/// Whose client a reader has.
pub(crate) enum Whose {
    /// Its own.
    Own,
    /// One of these.
    Shared(Arc<Clients>),
}

impl Whose {
    /// A client for one more partition beside others, where `now` will not do.
    pub(crate) fn other(
        &self,
        (config, leaving): (&KafkaConfig, &Arc<Leaving>),
        now: &Client,
        at: &TopicPartition,
        others: impl Iterator<Item = TopicPartition>,
    ) -> Result<Option<Arc<Client>>, LogError> {
        match self {
            Self::Shared(clients) if !now.claim(std::slice::from_ref(at)) => {
                let all: Vec<TopicPartition> = others.chain([at.clone()]).collect();
                clients.claim(config, leaving, &all).map(Some)
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use zset::Partition;

    use super::*;
    use crate::config::tests::config;

    fn at(topic: &str) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition: Partition(0) }
    }

    /// Nobody listens there: no broker is needed to see who has which client.
    #[test]
    fn readers_of_the_same_properties_share_a_client_but_never_a_partition() {
        let (clients, leaving) = (Clients::default(), Arc::default());
        let claim = |properties: &[(&str, &str)], topics: &[&str]| {
            let partitions: Vec<_> = topics.iter().map(|topic| at(topic)).collect();
            clients.claim(&config(properties), &leaving, &partitions).unwrap()
        };
        let first = claim(&[], &["a"]);
        assert!(Arc::ptr_eq(&first, &claim(&[], &["b", "c"])));
        assert!(!Arc::ptr_eq(&first, &claim(&[("check.crcs", "false")], &["d"])), "other properties");
        let second = claim(&[], &["e", "b"]);
        assert!(!Arc::ptr_eq(&first, &second), "b was assigned already");
        assert!(Arc::ptr_eq(&first, &claim(&[], &["e"])), "what was not to be had together was not taken");
        assert!(Arc::ptr_eq(&second, &claim(&[], &["a"])));
        drop((first, second));
        assert!(clients.0.lock().unwrap().iter().all(|(_, client)| client.strong_count() == 0), "nobody keeps them");
    }

    #[test]
    fn what_is_of_no_partition_comes_to_every_reader_once() {
        let client = Client::open(&config(&[]), &Arc::default()).unwrap();
        let (mut one, mut other) = (0, 0);
        client.heed(&KafkaError::MessageConsumption(Code::AutoOffsetReset));
        assert_eq!(client.alarm(&mut one), Some(Code::UnknownTopicOrPartition));
        assert_eq!((client.alarm(&mut one), client.alarm(&mut other)), (None, Some(Code::UnknownTopicOrPartition)));
        client.heed(&KafkaError::MessageConsumptionFatal(Code::Fenced));
        assert_eq!(
            (client.alarm(&mut one), client.alarm(&mut one)),
            (Some(Code::Fenced), Some(Code::Fenced)),
            "for good"
        );
    }
}
