//! What a producer is given and what it tells: records by their topic's handle, delivery reports by the event.

use std::ffi::{CString, c_void};
use std::marker::PhantomData;
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode as Code;
use zset::TimestampMs;

use super::{Event, FINE, whole_ms};

/// Waits until a producer has something to tell, for `wait` at most, and takes what is at hand then: delivery reports, and what goes
/// to its context.
pub(crate) fn hear<C: ClientContext>(
    client: &Client<C>,
    wait: Duration,
    report: &mut dyn FnMut(usize, Result<i64, Code>),
) {
    // SAFETY: the queue is destroyed before the client, which is borrowed.
    unsafe {
        let queue = rd::rd_kafka_queue_get_main(client.native_ptr());
        let mut wait_ms = whole_ms(wait);
        while let Some(event) = Event::next(rd::rd_kafka_queue_poll(queue, wait_ms)) {
            match rd::rd_kafka_event_type(event.0) {
                rd::RD_KAFKA_EVENT_DR => event.reports(report),
                _ => event.tell(client),
            }
            wait_ms = 0;
        }
        rd::rd_kafka_queue_destroy(queue);
    }
}

/// A topic that a producer writes to.
pub(crate) struct Topic<'a> {
    topic: *mut rd::rd_kafka_topic_t,
    client: *mut rd::rd_kafka_t,
    lives: PhantomData<&'a ()>,
}

impl<'a> Topic<'a> {
    /// `None` if librdkafka does not take the name.
    pub(crate) fn of<C: ClientContext>(client: &'a Client<C>, name: &str) -> Option<Self> {
        let name = CString::new(name).ok()?;
        // SAFETY: the name lives through the call, which copies it; the handle is destroyed before the client.
        let topic = unsafe { rd::rd_kafka_topic_new(client.native_ptr(), name.as_ptr(), ptr::null_mut()) };
        (!topic.is_null()).then_some(Self { topic, client: client.native_ptr(), lives: PhantomData })
    }

    /// Enqueues a copy of a record without headers; `number` comes back in its delivery report.
    pub(crate) fn produce(
        &self,
        partition: i32,
        time: TimestampMs,
        (key, value): (Option<&[u8]>, Option<&[u8]>),
        number: usize,
    ) -> Result<(), Code> {
        let parts = |bytes: Option<&[u8]>| bytes.map_or((ptr::null(), 0), |bytes| (bytes.as_ptr(), bytes.len()));
        let ((key, key_len), (value, value_len)) = (parts(key), parts(value));
        // SAFETY: the words of rd_kafka_producev, each with what follows it; F_COPY: nothing is kept of the pointers.
        let error = unsafe {
            rd::rd_kafka_producev(
                self.client,
                rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT,
                self.topic,
                rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION,
                partition,
                rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS,
                rd::RD_KAFKA_MSG_F_COPY,
                rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE,
                value.cast::<c_void>(),
                value_len,
                rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY,
                key.cast::<c_void>(),
                key_len,
                rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_OPAQUE,
                number as *mut c_void,
                rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP,
                time.0,
                rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_END,
            )
        };
        if error == FINE { Ok(()) } else { Err(error.into()) }
    }
}

impl Drop for Topic<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `of`, destroyed once, while the client is borrowed.
        unsafe { rd::rd_kafka_topic_destroy(self.topic) };
    }
}
