#![allow(clippy::unwrap_used)]
use api::Log;
use rdkafka::consumer::Consumer;

use super::*;
use crate::against_kafka::support::{log_and_topic, own_reader, records};

impl KafkaReader {
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.client, &other.client)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.inbox.len()
    }

    pub(crate) fn consumer(&self) -> &rdkafka::client::Client<crate::context::Told> {
        self.client.consumer().client()
    }
}

/// librdkafka does not say of which topic it met the end: partitions of the same number are all told.
#[test]
fn the_end_of_another_topic_is_only_a_hint() {
    let (log, at) = log_and_topic("hint");
    log.append(&records(&at, "a", 5)).unwrap();
    let mut reader = own_reader("hint");
    reader.assign(&at, Offset(0)).unwrap();
    reader.heed(&KafkaError::PartitionEOF(0));
    assert!(!reader.at_end(&at).unwrap(), "five records are ahead");
}
