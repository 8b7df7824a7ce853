//! The partitions that a reader reads, and how far it is in each.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::TopicPartition;

use crate::batch::Batch;
use crate::native::Message;

/// A partition that is read.
pub(crate) struct Assigned {
    pub(crate) at: TopicPartition,
    /// No record below it is wanted any more: one behind the last record delivered.
    pub(crate) next: i64,
    /// A record came since it was assigned: librdkafka's position is that of this assignment.
    pub(crate) delivered: bool,
    /// It was assigned before: librdkafka's position may still be that of the former assignment.
    pub(crate) moved: bool,
    /// librdkafka met the end after the last record. A hint only: it does not say of which topic.
    pub(crate) met_end: bool,
    /// Where the end was that librdkafka gave as one of many messages: its own position is one behind that then.
    pub(crate) ended_at: Option<i64>,
    /// Below it nothing readable is left.
    pub(crate) nothing_below: i64,
    /// The next readable record, if it was looked for.
    pub(crate) waiting: Option<i64>,
}

/// Partitions by topic and number, so that a message finds its own without allocating.
pub(crate) type Partitions = BTreeMap<Arc<str>, BTreeMap<i32, Assigned>>;

impl Assigned {
    /// It is assigned to another client, from `next` on.
    pub(crate) fn begin_anew(&mut self) {
        self.delivered = false;
        self.moved = false;
        self.met_end = false;
        self.ended_at = None;
        self.waiting = None;
    }

    /// The end is there, and behind all that was delivered.
    pub(crate) fn end_at(&mut self, offset: i64) {
        self.met_end = true;
        self.ended_at = Some(offset);
    }

    /// How far it was read, librdkafka's position being this.
    pub(crate) fn reached(&self, position: Option<i64>) -> i64 {
        let trusted = self.delivered || !self.moved;
        self.ended_at.or(position.filter(|_| trusted)).unwrap_or(self.next).max(self.next)
    }

    /// Takes a message, unless it is of an assignment that is over.
    pub(crate) fn accept(&mut self, message: Message<'_>, batch: &mut Batch) {
        if message.offset() < self.next {
            return;
        }
        self.next = message.offset() + 1;
        self.delivered = true;
        self.met_end = false;
        self.ended_at = None;
        batch.push(&self.at, message);
    }
}

/// The partition of a message, if it is assigned.
pub(crate) fn of_message<'a>(partitions: &'a mut Partitions, message: Message<'_>) -> Option<&'a mut Assigned> {
    partitions.get_mut(message.topic())?.get_mut(&message.partition())
}
