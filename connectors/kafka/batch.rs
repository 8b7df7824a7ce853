//! The records of one poll, gathered into one buffer: an allocation per poll, not two per record.

use std::ops::Range;

use api::{Headers, Record, TopicPartition};
use bytes::Bytes;
use zset::{Offset, TimestampMs};

use crate::native::Message;

/// A poll gives no more bytes than this, and what librdkafka has at hand, however many records were asked for.
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

    /// The bytes of all keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= BYTES_MAX
    }

    /// So much is to come.
    pub(crate) fn reserve(&mut self, records: usize, bytes: usize) {
        self.places.reserve(records);
        self.bytes.reserve(bytes);
    }

    /// Copies a message, that came from `at`.
    pub(crate) fn push(&mut self, at: &TopicPartition, message: Message<'_>) {
        let key = self.copy(message.key());
        let value = self.copy(message.value());
        self.places.push(Place {
            at: at.clone(),
            offset: Offset(message.offset()),
            timestamp: message.timestamp(),
            key,
            value,
            headers: message.headers(),
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
