//! What librdkafka does for many records at once, and its bindings for Rust only one by one: the only unsafe code here.
//!
//! - [`Queue`] is where the partitions of one reader come together, so that many readers can have one consumer. `take` takes all
//!   messages that are at hand by one call: no event, no clock and no lock of ours for each.
//! - `meet` and [`hear`] wait for what a consumer or a producer has to tell without spinning. The bindings' own `poll` asks again and
//!   again with a time-out of 0 during its last millisecond: with it, waiting for delivery reports was a fifth of the loop's CPU
//!   time, and 20 idle sources took 10 % of a core.
//! - [`Topic::produce`] enqueues a record by its topic's handle: no C string and no search for the name.
//!
//! Measured on two busy cores, `millstream bench q0 --source kafka --sink kafka`: the bindings' way and this one are in
//! `benches/README.md`; `cargo run --release -p millstream-kafka --example raw_loop` is either client alone.
//!
//! Why it is sound: messages and events are destroyed once, by their owner's `drop`, and nothing borrowed from them outlives it; queues
//! are asked for by each call or dropped before their client; whatever is given to librdkafka it copies before it returns.

#![allow(unsafe_code)]

mod produce;

use std::ffi::{CStr, CString, c_int, c_void};
use std::marker::PhantomData;
use std::ptr;
use std::time::Duration;

use api::Headers;
use bytes::Bytes;
use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use zset::TimestampMs;

use crate::context::level;
pub(crate) use produce::{Topic, hear};

const FINE: rd::rd_kafka_resp_err_t = rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
const END: rd::rd_kafka_resp_err_t = rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF;

/// A record in librdkafka's memory.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a>(&'a rd::rd_kafka_message_t);

/// Messages that were taken; they are destroyed with it.
pub(crate) struct Taken<'a> {
    messages: Vec<*mut rd::rd_kafka_message_t>,
    queue: PhantomData<&'a ()>,
}

/// A queue of our own of a consumer's: its partitions can be led into it, or the lines of its log. It is to be dropped before the consumer.
pub(crate) struct Queue(*mut rd::rd_kafka_queue_t);

// SAFETY: librdkafka's queues may be used by any thread.
unsafe impl Send for Queue {}
// SAFETY: the same.
unsafe impl Sync for Queue {}

impl Queue {
    pub(crate) fn of<C: ClientContext>(client: &Client<C>) -> Self {
        // SAFETY: the client is there; whatever leads here keeps its own reference.
        Self(unsafe { rd::rd_kafka_queue_new(client.native_ptr()) })
    }

    /// For the lines of a client's log: those that the bindings leave in the queue of messages would be printed when that is taken
    /// from at once.
    pub(crate) fn of_lines<C: ClientContext>(client: &Client<C>) -> Self {
        let queue = Self::of(client);
        // SAFETY: the client keeps its own reference to the queue.
        unsafe { rd::rd_kafka_set_log_queue(client.native_ptr(), queue.0) };
        queue
    }

    /// Where a consumer's partitions lead that are led nowhere else, and what it says that is of none.
    pub(crate) fn of_consumer<C: ClientContext>(client: &Client<C>) -> Self {
        // SAFETY: a reference of our own, destroyed by `drop`.
        Self(unsafe { rd::rd_kafka_queue_get_consumer(client.native_ptr()) })
    }

    /// Takes what is at hand, at most `max`, and does not wait. What is told of a partition without being a message of it becomes a line
    /// of the client's log, of `context::ERROR`.
    pub(crate) fn take(&self, max: usize) -> Taken<'_> {
        let mut messages = vec![ptr::null_mut(); max];
        // SAFETY: the array has `max` places; the queue is there until `drop`.
        let count = unsafe { rd::rd_kafka_consume_batch_queue(self.0, 0, messages.as_mut_ptr(), max) };
        messages.truncate(usize::try_from(count).unwrap_or(0));
        Taken { messages, queue: PhantomData }
    }

    /// Waits for the next message, for `wait` at most, and hands it to `take`; or answers what came in its place.
    pub(crate) fn meet<C: ClientContext>(
        &self,
        client: &Client<C>,
        wait: Duration,
        take: impl FnOnce(Message<'_>),
    ) -> Option<Result<(), KafkaError>> {
        // SAFETY: the queue is there until `drop`; the message lives as long as its event.
        unsafe {
            let event = Event::next(rd::rd_kafka_queue_poll(self.0, whole_ms(wait)))?;
            if rd::rd_kafka_event_type(event.0) != rd::RD_KAFKA_EVENT_FETCH {
                event.tell(client);
                return event.error().map(Err);
            }
            let message = outcome(rd::rd_kafka_event_message_next(event.0).as_ref()?);
            Some(message.map(take))
        }
    }

    /// Takes what a consumer tells that is of no partition, if all of those lead elsewhere: each error goes to `heed`.
    pub(crate) fn listen<C: ClientContext>(&self, client: &Client<C>, heed: &mut dyn FnMut(KafkaError)) {
        // SAFETY: the queue is there until `drop`.
        while let Some(event) = Event::next(unsafe { rd::rd_kafka_queue_poll(self.0, 0) }) {
            event.tell(client);
            event.error().into_iter().for_each(&mut *heed);
        }
    }

    /// Whoever waits in `meet`, or does so next, goes on without anything.
    pub(crate) fn wake(&self) {
        // SAFETY: the queue is there until `drop`.
        unsafe { rd::rd_kafka_queue_yield(self.0) };
    }

    /// How much is at hand.
    pub(crate) fn len(&self) -> usize {
        // SAFETY: the queue is there until `drop`.
        unsafe { rd::rd_kafka_queue_length(self.0) }
    }

    /// Tells what has come.
    pub(crate) fn tell<C: ClientContext>(&self, client: &Client<C>) {
        // SAFETY: the queue is there until `drop`.
        while let Some(event) = Event::next(unsafe { rd::rd_kafka_queue_poll(self.0, 0) }) {
            event.tell(client);
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made by `of`, destroyed once.
        unsafe { rd::rd_kafka_queue_destroy(self.0) };
    }
}

/// Leads what a consumer has of a partition into a queue. Before it is assigned: then nothing of it is elsewhere.
pub(crate) fn lead<C: ClientContext>(client: &Client<C>, at: (&str, i32), to: &Queue) -> Option<()> {
    let topic = CString::new(at.0).ok()?;
    // SAFETY: the name lives through the call; the partition keeps its own reference to where it leads.
    unsafe {
        let from = rd::rd_kafka_queue_get_partition(client.native_ptr(), topic.as_ptr(), at.1);
        if from.is_null() {
            return None;
        }
        rd::rd_kafka_queue_forward(from, to.0);
        rd::rd_kafka_queue_destroy(from);
    }
    Some(())
}

/// A message, or what came in its place.
fn outcome(message: &rd::rd_kafka_message_t) -> Result<Message<'_>, KafkaError> {
    match message.err {
        FINE => Ok(Message(message)),
        END => Err(KafkaError::PartitionEOF(message.partition)),
        error => Err(KafkaError::MessageConsumption(error.into())),
    }
}

/// No less than was asked for: a wait of part of a millisecond is none to librdkafka.
fn whole_ms(wait: Duration) -> c_int {
    c_int::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX)
}

impl Taken<'_> {
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The messages, and what came in their place, with the message that says so: where an end is, it has its topic and offset.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Result<Message<'_>, (KafkaError, Message<'_>)>> {
        self.messages.iter().map(|message| {
            // SAFETY: librdkafka gave them, and they are destroyed with `self`.
            let message = unsafe { &**message };
            outcome(message).map_err(|error| (error, Message(message)))
        })
    }

    /// The bytes of all keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.iter().flatten().map(|message| message.0.len + message.0.key_len).sum()
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        for message in &self.messages {
            // SAFETY: each once, by who took it.
            unsafe { rd::rd_kafka_message_destroy(*message) };
        }
    }
}

impl<'a> Message<'a> {
    pub(crate) fn topic(&self) -> &'a str {
        // SAFETY: a message keeps its topic, and that its name.
        let name = unsafe { CStr::from_ptr(rd::rd_kafka_topic_name(self.0.rkt)) };
        name.to_str().unwrap_or_default()
    }

    pub(crate) fn partition(&self) -> i32 {
        self.0.partition
    }

    pub(crate) fn offset(&self) -> i64 {
        self.0.offset
    }

    /// Whether both are of one partition.
    pub(crate) fn is_beside(&self, other: &Message<'_>) -> bool {
        self.0.rkt == other.0.rkt && self.0.partition == other.0.partition
    }

    /// -1 is Kafka's word for no time (the message format of before 2016).
    pub(crate) fn timestamp(&self) -> TimestampMs {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: both live through the call.
        let time = unsafe { rd::rd_kafka_message_timestamp(self.0, &mut kind) };
        let none = time == -1 || kind == rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        TimestampMs(if none { -1 } else { time })
    }

    pub(crate) fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: librdkafka's memory, as long as the message.
        unsafe { slice(self.0.key, self.0.key_len) }
    }

    pub(crate) fn value(&self) -> Option<&'a [u8]> {
        // SAFETY: librdkafka's memory, as long as the message.
        unsafe { slice(self.0.payload, self.0.len) }
    }

    /// A header whose name is no text has neither its name nor a value. The record is still to be read.
    pub(crate) fn headers(&self) -> Headers {
        let mut headers = ptr::null_mut();
        // SAFETY: both live through the call; the headers live as long as the message.
        if unsafe { rd::rd_kafka_message_headers(self.0, &mut headers) } != FINE {
            return Vec::new();
        }
        // SAFETY: headers of this message.
        let count = unsafe { rd::rd_kafka_header_cnt(headers) };
        let one = |index: usize| {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: an index below the count; name and value live as long as the headers, and are copied here.
            unsafe {
                rd::rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut size);
                match CStr::from_ptr(name).to_str() {
                    Ok(name) => (name.to_string(), slice(value, size).map(Bytes::copy_from_slice)),
                    Err(_) => ("\u{fffd}".to_string(), None),
                }
            }
        };
        (0..count).map(one).collect()
    }
}

/// `None` where there is no value; one of no bytes has a place.
/// # Safety
/// `at` is null, or has `len` bytes that live for `'a`.
unsafe fn slice<'a>(at: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's word.
    (!at.is_null()).then(|| unsafe { std::slice::from_raw_parts(at.cast(), len) })
}

/// What librdkafka has to tell; destroyed with it.
struct Event(*mut rd::rd_kafka_event_t);

impl Event {
    fn next(event: *mut rd::rd_kafka_event_t) -> Option<Self> {
        (!event.is_null()).then_some(Self(event))
    }

    /// A line of its log, or an error of the client.
    fn tell<C: ClientContext>(&self, client: &Client<C>) {
        let context = client.context();
        // SAFETY: the event's own texts, which live as long as it.
        unsafe {
            match rd::rd_kafka_event_type(self.0) {
                rd::RD_KAFKA_EVENT_LOG => {
                    let (mut facility, mut line, mut urgency) = (ptr::null(), ptr::null(), 0);
                    if rd::rd_kafka_event_log(self.0, &mut facility, &mut line, &mut urgency) == 0 {
                        let text = |text| CStr::from_ptr(text).to_string_lossy();
                        context.log(level(urgency), text(facility).trim(), text(line).trim());
                    }
                }
                rd::RD_KAFKA_EVENT_ERROR => {
                    let reason = CStr::from_ptr(rd::rd_kafka_event_error_string(self.0)).to_string_lossy();
                    context.error(KafkaError::Global(rd::rd_kafka_event_error(self.0).into()), reason.trim());
                }
                _ => {}
            }
        }
    }

    /// What came in the place of a message.
    fn error(&self) -> Option<KafkaError> {
        // SAFETY: the event is there; what it gives of a partition is ours to destroy.
        unsafe {
            if rd::rd_kafka_event_type(self.0) != rd::RD_KAFKA_EVENT_ERROR {
                return None;
            }
            match rd::rd_kafka_event_error(self.0) {
                FINE => None,
                END => {
                    let at = rd::rd_kafka_event_topic_partition(self.0);
                    let partition = at.as_ref()?.partition;
                    rd::rd_kafka_topic_partition_destroy(at);
                    Some(KafkaError::PartitionEOF(partition))
                }
                error if rd::rd_kafka_event_error_is_fatal(self.0) != 0 => {
                    Some(KafkaError::MessageConsumptionFatal(error.into()))
                }
                error => Some(KafkaError::MessageConsumption(error.into())),
            }
        }
    }

    /// The delivery reports in it: what was given to [`Topic::produce`], and the record's offset.
    fn reports(&self, report: &mut dyn FnMut(usize, Result<i64, Code>)) {
        // SAFETY: the event's own messages, which live as long as it.
        unsafe {
            while let Some(message) = rd::rd_kafka_event_message_next(self.0).as_ref() {
                let outcome = if message.err == FINE { Ok(message.offset) } else { Err(message.err.into()) };
                report(message._private as usize, outcome);
            }
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: given to us, destroyed once.
        unsafe { rd::rd_kafka_event_destroy(self.0) };
    }
}

#[cfg(test)]
mod tests;
