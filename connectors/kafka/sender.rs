//! Sends records and collects what became of each: its offset, or why it failed.
//!
//! Used inside transactions and without.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{OutRecord, TopicPartition};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use zset::{Offset, TimestampMs};

use crate::context::tell;
use crate::meta;
use crate::native::{self, Topic};
use crate::round::{Failure, Round};
use crate::windows::Windows;

/// The producer's context. What it is told of deliveries nobody waits for any more: [`Sender`] hears of them by itself.
#[derive(Default)]
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        tell(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", "{error}: {reason}");
    }
}

impl ProducerContext for Quiet {
    type DeliveryOpaque = usize;

    fn delivery(&self, _: &DeliveryResult<'_>, _: usize) {}
}

/// A producer and the records on their way.
pub(crate) struct Sender {
    pub(crate) producer: BaseProducer<Quiet>,
    round: Round,
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

/// How long it is waited for what librdkafka has to tell, before it is looked whether to go on waiting.
const WAIT: Duration = Duration::from_millis(100);

/// Records sent before it is looked what became of those before.
const RUN_MAX: usize = 512;

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
            producer: config.create_with_context(Quiet)?,
            round: Round::default(),
            known: HashMap::new(),
            since: Instant::now(),
            waits: None,
        })
    }

    /// Handles what librdkafka has to tell; waits for it a while.
    pub(crate) fn serve(&mut self, wait: Duration) {
        let round = &mut self.round;
        native::hear(self.producer.client(), wait, &mut |number, outcome| round.hear(number, outcome));
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
        let mut failures = self.round.failures.clone();
        failures.sort_by_key(|failure| failure.index);
        failures
    }

    /// Nothing that was sent before is heard of after this.
    fn begin(&mut self, records: usize) {
        self.round = self.round.next(records);
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
                index += run(&records[index..], |a, b| a == b);
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
        let (mut done, mut unserved) = (0, 0);
        while done < records.len() {
            let rest = &records[done..records.len().min(done + RUN_MAX)];
            let run = &rest[..run(rest, |a, b| a.topic == b.topic)];
            match windows.of(&run[0].to.topic) {
                None => self.send_run(done, run)?,
                Some(window) => {
                    for (index, record) in run.iter().enumerate() {
                        let size = size(record);
                        let used = sent.entry(&record.to.topic).or_default();
                        if *used > 0 && *used + size > window {
                            *used = 0;
                            self.wait(records)?;
                        }
                        *used += size;
                        self.send_run(done + index, std::slice::from_ref(record))?;
                    }
                }
            }
            done += run.len();
            unserved += run.len();
            if unserved >= RUN_MAX {
                unserved = 0;
                self.serve(Duration::ZERO);
                if !self.round.failures.is_empty() {
                    return None;
                }
            }
        }
        self.wait(records)?;
        Some(std::mem::take(&mut self.round.offsets))
    }

    /// Sends records of one topic; `first` is the place of the first of them.
    fn send_run(&mut self, first: usize, records: &[OutRecord]) -> Option<()> {
        self.round.open += records.len();
        let mut sent = 0;
        while sent < records.len() {
            let (more, stopped) = enqueue(&self.producer, self.round.mark(first + sent), &records[sent..]);
            sent += more;
            match stopped {
                None => {}
                Some(Code::QueueFull) if !self.is_over() => self.serve(WAIT),
                Some(code) => {
                    self.round.open -= records.len() - sent;
                    self.round.failures.push(Failure { index: first + sent, code });
                    return None;
                }
            }
        }
        Some(())
    }

    /// Waits until everything was heard of; `None` as soon as something failed.
    fn wait(&mut self, records: &[OutRecord]) -> Option<()> {
        let (mut last, mut heard) = (usize::MAX, Instant::now());
        loop {
            if !self.round.failures.is_empty() {
                return None;
            }
            let open = self.round.open;
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
            self.serve(WAIT);
        }
    }

    /// A transaction waits for a topic that was deleted until it times out: librdkafka hopes that it comes back.
    fn look_for_missing(&mut self, records: &[OutRecord]) {
        self.known.clear();
        // No answer: brokers are away, which librdkafka waits for.
        if let Ok(Some(failure)) = self.first_missing(records) {
            self.round.failures.push(failure);
        }
    }

    /// The error after which the producer does nothing more.
    pub(crate) fn fatal(&self) -> Option<(Code, String)> {
        self.producer.client().fatal_error()
    }

    /// Without a transaction: waits until each record was written or failed.
    pub(crate) fn settle(&mut self) {
        while self.round.open > 0 {
            self.serve(WAIT);
        }
    }
}

/// How many records follow one another that go where the first goes.
fn run(records: &[OutRecord], same: impl Fn(&TopicPartition, &TopicPartition) -> bool) -> usize {
    let Some(first) = records.first() else { return 0 };
    records.iter().take_while(|record| same(&record.to, &first.to)).count()
}

/// Gives records of one topic to librdkafka, which copies them: how many it took, and why not all.
fn enqueue(producer: &BaseProducer<Quiet>, number: usize, records: &[OutRecord]) -> (usize, Option<Code>) {
    let Some(first) = records.first() else { return (0, None) };
    let Some(topic) = Topic::of(producer.client(), &first.to.topic) else { return (0, Some(Code::InvalidTopic)) };
    for (index, record) in records.iter().enumerate() {
        let taken = if record.headers.is_empty() {
            let bytes = (record.key.as_deref(), record.value.as_deref());
            topic.produce(record.to.partition.0, time(record), bytes, number + index)
        } else {
            let sent = producer.send(with_headers(record, number + index));
            sent.map_err(|(error, _)| error.rdkafka_error_code().unwrap_or(Code::InvalidArgument))
        };
        if let Err(code) = taken {
            return (index, Some(code));
        }
    }
    (records.len(), None)
}

/// To librdkafka 0 means now. A time that nobody has is changed by a millisecond rather than by fifty years.
fn time(record: &OutRecord) -> TimestampMs {
    TimestampMs(if record.timestamp.0 == 0 { 1 } else { record.timestamp.0 })
}

/// About what a record takes in a batch.
fn size(record: &OutRecord) -> usize {
    let bytes = |b: &Option<bytes::Bytes>| b.as_ref().map_or(0, |b| b.len());
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + bytes(value) + 8).sum();
    bytes(&record.key) + bytes(&record.value) + headers + 32
}

fn with_headers(record: &OutRecord, number: usize) -> BaseRecord<'_, [u8], [u8], usize> {
    let to_send = BaseRecord::with_opaque_to(&record.to.topic, number).partition(record.to.partition.0);
    let mut to_send = to_send.timestamp(time(record).0);
    if let Some(key) = &record.key {
        to_send = to_send.key(&key[..]);
    }
    if let Some(value) = &record.value {
        to_send = to_send.payload(&value[..]);
    }
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
    for (key, value) in &record.headers {
        headers = headers.insert(Header { key, value: value.as_deref() });
    }
    to_send.headers(headers)
}

#[cfg(test)]
mod tests;
