//! Taking messages from the client: a poll waits for the first one, and takes all that are at hand behind it.
//!
//! Guarantees: each message goes to its partition, which knows whether it is wanted; what is of an assignment that is over
//! is left out. An error that alarms ends the poll; what was taken before and with it is given all the same.

use std::time::Instant;

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::KafkaReader;
use crate::assigned::{Partitions, of_message};
use crate::batch::Batch;
use crate::client::{Client, is_alarming};
use crate::native::Message;

/// Messages taken at once.
const TAKEN_MAX: usize = 4096;

impl KafkaReader {
    /// Gathers records until there are `max`, or nothing is at hand and the time for the first is over.
    pub(super) fn gather(&mut self, max: usize, deadline: Instant) -> Batch {
        let mut batch = Batch::default();
        while batch.is_empty() && max > 0 && self.alarm.is_none() && !self.door.was_rung() {
            let wait = deadline.saturating_duration_since(Instant::now());
            let partitions = &mut self.partitions;
            let met = self.inbox.meet(self.client.consumer().client(), wait, |message| {
                if let Some(assigned) = of_message(partitions, message) {
                    assigned.accept(message, &mut batch);
                }
            });
            match met {
                Some(Ok(())) => {}
                Some(Err(error)) => self.heed(&error),
                None if Instant::now() >= deadline => break,
                // What came was of an assignment that is over, or somebody rang.
                None => {}
            }
        }
        if !batch.is_empty() {
            self.client.answered();
            while batch.len() < max && !batch.is_full() && self.alarm.is_none() && self.take(max, &mut batch) {}
            self.door.passed(batch.len(), batch.bytes());
        }
        self.client.listen();
        if let Some(code) = self.client.alarm(&mut self.alarms) {
            self.alarm.get_or_insert(code);
        }
        batch
    }

    /// Takes what is at hand behind the first. False: nothing was.
    fn take(&mut self, max: usize, batch: &mut Batch) -> bool {
        let taken = self.inbox.take(TAKEN_MAX.min(max - batch.len()));
        if taken.len() == 0 {
            return false;
        }
        batch.reserve(taken.len(), taken.bytes());
        let mut all = taken.iter().peekable();
        while let Some(next) = all.next() {
            let message = match next {
                Ok(message) => message,
                Err((KafkaError::PartitionEOF(_), at)) => {
                    self.client.answered();
                    of_message(&mut self.partitions, at).into_iter().for_each(|assigned| assigned.end_at(at.offset()));
                    continue;
                }
                Err((error, _)) => {
                    heed((&mut self.partitions, &mut self.alarm, &self.client), &error);
                    continue;
                }
            };
            let Some(assigned) = of_message(&mut self.partitions, message) else { continue };
            assigned.accept(message, batch);
            let beside = |next: &Result<Message<'_>, _>| matches!(next, Ok(next) if next.is_beside(&message));
            while let Some(Ok(next)) = all.next_if(beside) {
                assigned.accept(next, batch);
            }
        }
        true
    }

    /// Takes notice of an error event.
    pub(super) fn heed(&mut self, error: &KafkaError) {
        heed((&mut self.partitions, &mut self.alarm, &self.client), error);
    }
}

/// Takes notice of an error event among what is of its partitions.
fn heed((partitions, alarm, client): (&mut Partitions, &mut Option<Code>, &Client), error: &KafkaError) {
    match error {
        KafkaError::PartitionEOF(partition) => {
            for of in partitions.values_mut() {
                if let Some(assigned) = of.get_mut(partition) {
                    assigned.met_end = true;
                }
            }
            client.answered();
        }
        KafkaError::MessageConsumption(code) if is_alarming(*code) => *alarm = Some(*code),
        other => client.heed(other),
    }
}
