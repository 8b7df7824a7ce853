//! The records of one poll, gathered into one buffer: an allocation per poll, not two per record.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use api::{Headers, Record, TopicPartition};
use bytes::Bytes;
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers as _};
use zset::{Offset, TimestampMs};

/// A poll gives no more bytes than this, however many records were asked for.
const BYTES_MAX: usize = 32 << 20;

struct Place {
    at: TopicPartition,
    offset: Offset,
    timestamp: TimestampMs,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Headers,
}

/// Records on their way from librdkafka's memory to ours.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= BYTES_MAX
    }

    /// Copies a message, that came from `at`.
    pub(crate) fn push(&mut self, at: &TopicPartition, message: &BorrowedMessage<'_>) {
        let key = self.copy(message.key());
        let value = self.copy(message.payload());
        self.places.push(Place {
            at: at.clone(),
            offset: Offset(message.offset()),
            // -1 is Kafka's word for no time (the message format of before 2016).
            timestamp: TimestampMs(message.timestamp().to_millis().unwrap_or(-1)),
            key,
            value,
            headers: headers(message),
        });
    }

    fn copy(&mut self, bytes: Option<&[u8]>) -> Option<Range<usize>> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes?);
        Some(start..self.bytes.len())
    }

    /// The records.
    pub(crate) fn finish(self) -> Vec<Record> {
        let bytes = Bytes::from(self.bytes);
        let slice = |range: Option<Range<usize>>| range.map(|range| bytes.slice(range));
        let record = |place: Place| Record {
            at: place.at,
            offset: place.offset,
            timestamp: place.timestamp,
            key: slice(place.key),
            value: slice(place.value),
            headers: place.headers,
        };
        self.places.into_iter().map(record).collect()
    }
}

fn headers(message: &BorrowedMessage<'_>) -> Headers {
    let Some(found) = message.headers() else {
        return Vec::new();
    };
    let one = |i: usize| {
        // The bindings panic on a header whose name is not UTF-8. Such a record is still to be read.
        let read = catch_unwind(AssertUnwindSafe(|| {
            let header = found.get(i);
            (header.key.to_owned(), header.value.map(Bytes::copy_from_slice))
        }));
        read.unwrap_or_else(|_| ("\u{fffd}".into(), None))
    };
    (0..found.count()).map(one).collect()
}
