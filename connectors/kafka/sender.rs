//! Sends records and collects what became of each: its offset, or why it failed.
//!
//! Used inside transactions and without. Delivery reports carry the record's index and the number of the round, so that
//! a late report of a round that was given up is not taken for one of the next.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::{OutRecord, TopicPartition};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use zset::Offset;

use crate::context::tell;
use crate::meta;

/// A record that was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Its place among the records.
    pub(crate) index: usize,
    /// Why.
    pub(crate) code: Code,
}

/// What is known of the records of a round.
#[derive(Default)]
struct Round {
    number: u32,
    /// The offsets of those that were written.
    offsets: Vec<Option<Offset>>,
    failures: Vec<Failure>,
    /// Sent, and not heard of.
    open: usize,
}

/// The producer's context: hears the delivery reports.
#[derive(Default)]
pub(crate) struct Reports(Mutex<Round>);

impl Reports {
    fn round(&self) -> MutexGuard<'_, Round> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        tell(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", "{error}: {reason}");
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, report: &DeliveryResult<'_>, opaque: usize) {
        let (number, index) = ((opaque >> 32) as u32, opaque & 0xffff_ffff);
        let mut round = self.round();
        if round.number != number {
            return;
        }
        round.open -= 1;
        match report {
            Ok(message) => round.offsets[index] = Some(Offset(message.offset())),
            Err((error, _)) => {
                let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
                round.failures.push(Failure { index, code });
            }
        }
    }
}

/// How many bytes of a topic are sent before its reports are waited for, where a topic takes no full batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Windows(HashMap<Arc<str>, usize>);

/// Less than this no record is: each is then alone in its batch.
const ALONE: usize = 1;

impl Windows {
    /// The next smaller window; false if records go alone already.
    pub(crate) fn shrink(&mut self, topic: &Arc<str>) -> bool {
        let window = self.0.entry(topic.clone()).or_insert(4 << 20);
        let was_alone = *window == ALONE;
        *window = if *window > 16 << 10 { *window / 16 } else { ALONE };
        !was_alone
    }
}

/// A producer and the records on their way.
pub(crate) struct Sender {
    pub(crate) producer: BaseProducer<Reports>,
    /// The topics that were seen, with their partitions; and when it was begun to look.
    known: HashMap<Arc<str>, u32>,
    since: Instant,
    waits: Option<Waits>,
}

/// Whom to ask whether we may wait, and when that was done.
struct Waits {
    may_wait: Box<dyn Fn() -> bool + Send>,
    asked: Cell<Instant>,
    /// When the commit in hand began.
    since: Instant,
    /// It has waited long enough.
    over: Cell<bool>,
}

/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// So long a commit may take in any case.
const COMMIT_LEAST: Duration = Duration::from_secs(5);

/// How long a question may take while a commit waits for the answer.
const QUESTION: Duration = Duration::from_secs(5);

/// When nothing is heard for this long, it is asked whether the topics are still there.
const STALL: Duration = Duration::from_secs(1);

/// So long a topic that was seen is taken for existing. A transaction that begins with one that was deleted does not
/// only fail: librdkafka cannot abort it, because the broker never heard of it, and gives the producer up.
const SEEN: Duration = Duration::from_secs(1);

/// A topic that is said to be missing is asked for again so long: another broker may know it.
const MISSING: Duration = Duration::from_secs(1);

impl Sender {
    pub(crate) fn open(config: &ClientConfig) -> KafkaResult<Self> {
        Ok(Self {
            producer: config.create_with_context(Reports::default())?,
            known: HashMap::new(),
            since: Instant::now(),
            waits: None,
        })
    }

    /// Handles what librdkafka has to tell.
    pub(crate) fn serve(&self, wait: Duration) {
        self.producer.poll(wait);
        if let Some(waits) = &self.waits
            && waits.asked.get().elapsed() > ASK_EVERY
        {
            waits.asked.set(Instant::now());
            let may_wait = (waits.may_wait)();
            waits.over.set(!may_wait && waits.since.elapsed() > COMMIT_LEAST);
        }
    }

    /// Whom to ask while it waits.
    pub(crate) fn on_wait(&mut self, may_wait: Box<dyn Fn() -> bool + Send>) {
        let now = Instant::now();
        self.waits = Some(Waits { may_wait, asked: Cell::new(now), since: now, over: Cell::new(false) });
    }

    /// A commit begins.
    pub(crate) fn commit_begins(&mut self) {
        if let Some(waits) = &mut self.waits {
            waits.since = Instant::now();
            waits.over.set(false);
        }
    }

    /// Whether the commit in hand is to be given up.
    pub(crate) fn is_over(&self) -> bool {
        self.waits.as_ref().is_some_and(|waits| waits.over.get())
    }

    /// The failures of this round, first records first.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        let mut failures = self.producer.context().round().failures.clone();
        failures.sort_by_key(|failure| failure.index);
        failures
    }

    /// Nothing that was sent before is heard of after this.
    fn begin(&self, records: usize) {
        let mut round = self.producer.context().round();
        let number = round.number.wrapping_add(1);
        *round = Round { number, offsets: vec![None; records], failures: Vec::new(), open: 0 };
    }

    /// The first record whose topic or partition does not exist.
    pub(crate) fn first_missing(&mut self, records: &[OutRecord]) -> KafkaResult<Option<Failure>> {
        if self.since.elapsed() > SEEN {
            self.known.clear();
            self.since = Instant::now();
        }
        let mut deadline = None;
        let mut index = 0;
        while let Some(OutRecord { to, .. }) = records.get(index) {
            if self.is_known(to) {
                index += 1;
                continue;
            }
            let code = match meta::partitions(self.producer.client(), &to.topic, QUESTION)? {
                Some(partitions) => {
                    self.known.insert(to.topic.clone(), partitions);
                    if self.is_known(to) {
                        continue;
                    }
                    Code::UnknownPartition
                }
                None => Code::UnknownTopicOrPartition,
            };
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + MISSING);
            if Instant::now() > deadline {
                self.known.remove(&to.topic);
                return Ok(Some(Failure { index, code }));
            }
            self.serve(Duration::from_millis(20));
        }
        Ok(None)
    }

    fn is_known(&self, to: &TopicPartition) -> bool {
        let number = u32::try_from(to.partition.0).ok();
        number.is_some_and(|number| self.known.get(&to.topic).is_some_and(|partitions| number < *partitions))
    }

    /// Sends all. `Some`: all were written, each with its offset (none, if the broker only remembers that it has it).
    /// `None`: something failed, or it is over; some may be on their way still; what failed is in `failures`.
    pub(crate) fn send(&mut self, records: &[OutRecord], windows: &Windows) -> Option<Vec<Option<Offset>>> {
        self.begin(records.len());
        let mut sent: HashMap<&Arc<str>, usize> = HashMap::new();
        for (index, record) in records.iter().enumerate() {
            if let Some(window) = windows.0.get(&record.to.topic) {
                let size = size(record);
                let used = sent.entry(&record.to.topic).or_default();
                if *used > 0 && *used + size > *window {
                    *used = 0;
                    self.wait(records)?;
                }
                *used += size;
            }
            self.send_one(index, record)?;
            if index % 512 == 511 {
                self.serve(Duration::ZERO);
                if !self.producer.context().round().failures.is_empty() {
                    return None;
                }
            }
        }
        self.wait(records)?;
        Some(self.producer.context().round().offsets.clone())
    }

    fn send_one(&self, index: usize, record: &OutRecord) -> Option<()> {
        let number = {
            let mut round = self.producer.context().round();
            round.open += 1;
            round.number as usize
        };
        let mut to_send = base_record(record, number << 32 | index);
        loop {
            match self.producer.send(to_send) {
                Ok(()) => return Some(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), again)) if !self.is_over() => {
                    self.serve(Duration::from_millis(1));
                    to_send = again;
                }
                Err((error, _)) => {
                    let code = error.rdkafka_error_code().unwrap_or(Code::InvalidArgument);
                    let mut round = self.producer.context().round();
                    round.open -= 1;
                    round.failures.push(Failure { index, code });
                    return None;
                }
            }
        }
    }

    /// Waits until everything was heard of; `None` as soon as something failed.
    fn wait(&mut self, records: &[OutRecord]) -> Option<()> {
        let (mut last, mut heard) = (usize::MAX, Instant::now());
        loop {
            let open = {
                let round = self.producer.context().round();
                if !round.failures.is_empty() {
                    return None;
                }
                round.open
            };
            if open == 0 {
                return Some(());
            }
            if self.is_over() {
                return None;
            }
            if open != last {
                (last, heard) = (open, Instant::now());
            } else if heard.elapsed() > STALL {
                self.look_for_missing(records);
                heard = Instant::now();
            }
            self.serve(Duration::from_millis(1));
        }
    }

    /// A transaction waits for a topic that was deleted until it times out: librdkafka hopes that it comes back.
    fn look_for_missing(&mut self, records: &[OutRecord]) {
        self.known.clear();
        // No answer: brokers are away, which librdkafka waits for.
        if let Ok(Some(failure)) = self.first_missing(records) {
            self.producer.context().round().failures.push(failure);
        }
    }

    /// The error after which the producer does nothing more.
    pub(crate) fn fatal(&self) -> Option<(Code, String)> {
        self.producer.client().fatal_error()
    }

    /// Without a transaction: waits until each record was written or failed.
    pub(crate) fn settle(&self) {
        while self.producer.context().round().open > 0 {
            self.serve(Duration::from_millis(1));
        }
    }
}

/// About what a record takes in a batch.
fn size(record: &OutRecord) -> usize {
    let bytes = |b: &Option<bytes::Bytes>| b.as_ref().map_or(0, |b| b.len());
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + bytes(value) + 8).sum();
    bytes(&record.key) + bytes(&record.value) + headers + 32
}

fn base_record(record: &OutRecord, opaque: usize) -> BaseRecord<'_, [u8], [u8], usize> {
    let mut to_send = BaseRecord::with_opaque_to(&record.to.topic, opaque).partition(record.to.partition.0);
    // To librdkafka 0 means now. A time that nobody has is changed by a millisecond rather than by fifty years.
    to_send = to_send.timestamp(if record.timestamp.0 == 0 { 1 } else { record.timestamp.0 });
    if let Some(key) = &record.key {
        to_send = to_send.key(&key[..]);
    }
    if let Some(value) = &record.value {
        to_send = to_send.payload(&value[..]);
    }
    if !record.headers.is_empty() {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: value.as_deref() });
        }
        to_send = to_send.headers(headers);
    }
    to_send
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_shrink_until_records_go_alone() {
        let mut windows = Windows::default();
        let topic: Arc<str> = "t".into();
        let mut steps = Vec::new();
        while windows.shrink(&topic) {
            steps.push(windows.0[&topic]);
        }
        assert_eq!(steps, [256 << 10, 16 << 10, ALONE]);
    }
}
