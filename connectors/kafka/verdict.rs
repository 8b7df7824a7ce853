//! What it means that records of a transaction were not written: decided here, done in `writer`.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::OutRecord;
use rdkafka::error::RDKafkaErrorCode as Code;

use crate::error::is_missing;
use crate::round::Failure;

/// What to do about failures.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A batch failed, and which of its records it was about is not known: send fewer at once to these topics.
    Narrow(Vec<Arc<str>>),
    /// This record will never be taken.
    Refuse(usize, Code),
    /// Nothing speaks against trying again.
    Retry,
}

/// The broker judges a batch by these, and librdkafka may report them for all its records.
fn is_of_a_batch(code: Code) -> bool {
    matches!(
        code,
        Code::MessageSizeTooLarge
            | Code::MessageBatchTooLarge
            | Code::InvalidMessageSize
            | Code::InvalidRecord
            | Code::InvalidTimestamp
    )
}

/// The topic takes no record of ours, whatever it holds.
pub(crate) fn is_of_a_topic(code: Code) -> bool {
    is_missing(code)
        || matches!(
            code,
            Code::TopicAuthorizationFailed
                | Code::InvalidTopic
                | Code::PolicyViolation
                | Code::UnsupportedForMessageFormat
                | Code::InvalidRequiredAcks
                | Code::UnsupportedCompressionType
        )
}

/// Decides; failures are in the order of the records.
pub(crate) fn decide(failures: &[Failure], records: &[OutRecord]) -> Verdict {
    let mut batches: BTreeMap<_, Vec<&Failure>> = BTreeMap::new();
    for failure in failures.iter().filter(|failure| is_of_a_batch(failure.code)) {
        batches.entry(&records[failure.index].to).or_default().push(failure);
    }
    let of_a_topic = failures.iter().find(|failure| is_of_a_topic(failure.code));
    let alone = batches.values().filter(|of| of.len() == 1).map(|of| of[0]);
    if let Some(failure) = alone.chain(of_a_topic).min_by_key(|failure| failure.index) {
        return Verdict::Refuse(failure.index, failure.code);
    }
    if batches.is_empty() {
        return Verdict::Retry;
    }
    let mut topics: Vec<_> = batches.keys().map(|to| to.topic.clone()).collect();
    topics.dedup();
    Verdict::Narrow(topics)
}

/// Why a record is refused, for people.
pub(crate) fn reason(code: Code, record: &OutRecord) -> String {
    let to = &record.to;
    match code {
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
            let bytes = record.key.as_ref().map_or(0, |b| b.len()) + record.value.as_ref().map_or(0, |b| b.len());
            format!("it has {bytes} bytes, which is more than the topic's max.message.bytes allows; raise that")
        }
        Code::UnknownPartition => format!("the topic has no partition {}", to.partition),
        code if is_missing(code) => "the topic does not exist; make it, or correct the name".into(),
        Code::TopicAuthorizationFailed => "we may not write to the topic; grant the right to".into(),
        Code::InvalidRecord if record.key.is_none() => {
            "the topic does not take it: a compacted topic needs a key".into()
        }
        code => code.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::TopicPartition;
    use zset::{Partition, TimestampMs};

    fn records() -> Vec<OutRecord> {
        let record = |i: usize| OutRecord {
            to: TopicPartition { topic: if i < 5 { "a" } else { "b" }.into(), partition: Partition(0) },
            timestamp: TimestampMs(1),
            key: None,
            value: None,
            headers: Vec::new(),
        };
        (0..10).map(record).collect()
    }

    fn of(failures: &[(usize, Code)]) -> Verdict {
        let failures: Vec<_> = failures.iter().map(|(index, code)| Failure { index: *index, code: *code }).collect();
        decide(&failures, &records())
    }

    #[test]
    fn purged_and_timed_out_records_are_tried_again() {
        assert_eq!(of(&[]), Verdict::Retry);
        assert_eq!(of(&[(0, Code::PurgeQueue), (1, Code::MessageTimedOut), (2, Code::PurgeInflight)]), Verdict::Retry);
    }

    #[test]
    fn the_record_that_is_named_is_refused_not_those_that_fell_with_it() {
        let failures = [(0, Code::PurgeQueue), (3, Code::MessageSizeTooLarge), (7, Code::PurgeQueue)];
        assert_eq!(of(&failures), Verdict::Refuse(3, Code::MessageSizeTooLarge));
        let failures = [(1, Code::InvalidDifferentRecord), (2, Code::InvalidRecord), (3, Code::InvalidDifferentRecord)];
        assert_eq!(of(&failures), Verdict::Refuse(2, Code::InvalidRecord));
        let failures =
            [(4, Code::PurgeQueue), (6, Code::TopicAuthorizationFailed), (7, Code::TopicAuthorizationFailed)];
        assert_eq!(of(&failures), Verdict::Refuse(6, Code::TopicAuthorizationFailed));
    }

    #[test]
    fn a_batch_that_fails_as_a_whole_is_made_smaller() {
        let failures = [(5, Code::MessageSizeTooLarge), (6, Code::MessageSizeTooLarge), (0, Code::PurgeQueue)];
        assert_eq!(of(&failures), Verdict::Narrow(vec!["b".into()]));
        // One that is certain goes before.
        let failures = [(0, Code::MessageSizeTooLarge), (5, Code::MessageSizeTooLarge), (6, Code::MessageSizeTooLarge)];
        assert_eq!(of(&failures), Verdict::Refuse(0, Code::MessageSizeTooLarge));
    }
}
