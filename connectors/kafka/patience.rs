//! What a broker says that will pass: that a partition has no leader, or that a topic is unknown which another broker
//! has just made.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};

use crate::error::{code, is_missing};

/// How long one question may take.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);
/// How soon a question is asked again.
const AGAIN: Duration = Duration::from_millis(50);
/// How long a broker may need to hear of a new topic.
const NEWS: Duration = Duration::from_secs(10);

/// Asks again what is not known yet.
#[derive(Default)]
pub(crate) struct Patience {
    /// The topics that were made here, and since when they are known to some broker.
    made: Mutex<HashMap<String, Instant>>,
}

impl Patience {
    /// A topic was made: from now on a broker that does not know it has not heard of it yet.
    pub(crate) fn made(&self, topic: &str) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|_, since| since.elapsed() < NEWS);
        made.insert(topic.into(), Instant::now());
    }

    fn is_new(&self, topic: &str) -> bool {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.get(topic).is_some_and(|since| since.elapsed() < NEWS)
    }

    /// The answer to a question about a topic; one that will pass is not taken for as long as it may.
    pub(crate) fn ask<T>(&self, topic: &str, mut question: impl FnMut() -> KafkaResult<T>) -> KafkaResult<T> {
        let deadline = Instant::now() + ANSWER;
        loop {
            match question() {
                Err(error) if self.passes(topic, &error) && Instant::now() < deadline => thread::sleep(AGAIN),
                answer => return answer,
            }
        }
    }

    fn passes(&self, topic: &str, error: &KafkaError) -> bool {
        match code(error) {
            Some(Code::NotLeaderForPartition | Code::LeaderNotAvailable) => true,
            Some(code) => is_missing(code) && self.is_new(topic),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code) -> KafkaResult<u32> {
        Err(KafkaError::MetadataFetch(code))
    }

    fn answer(patience: &Patience, answers: &[KafkaResult<u32>]) -> KafkaResult<u32> {
        let mut answers = answers.iter();
        patience.ask("t", || answers.next().expect("an answer").clone())
    }

    #[test]
    fn a_partition_without_a_leader_is_asked_again() {
        let patience = Patience::default();
        let passing = [refused(Code::NotLeaderForPartition), refused(Code::LeaderNotAvailable), Ok(7)];
        assert_eq!(answer(&patience, &passing), Ok(7));
        let lasting = [refused(Code::TopicAuthorizationFailed), Ok(7)];
        assert_eq!(answer(&patience, &lasting), lasting[0]);
    }

    #[test]
    fn a_topic_that_was_just_made_is_asked_for_again() {
        let patience = Patience::default();
        let answers = [refused(Code::UnknownTopicOrPartition), Ok(7)];
        assert_eq!(answer(&patience, &answers), answers[0], "it was not made here");
        patience.made("t");
        assert_eq!(answer(&patience, &answers), Ok(7));
        let settings = [Err(KafkaError::AdminOp(Code::UnknownTopicOrPartition)), Ok(7)];
        assert_eq!(answer(&patience, &settings), Ok(7));
    }
}
