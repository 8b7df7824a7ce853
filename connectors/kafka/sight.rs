//! What partitions held a moment ago, for who asks again and again: all that were asked for lately are asked for together, so that a
//! hundred sources with nothing to do are two questions a second and not hundreds.
//!
//! Guarantees: what is answered was so at one time since the stated age. Where not all can be asked together, each is asked alone.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::{Bounds, LogError, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset as At, TopicPartitionList};
use zset::Offset;

use crate::context::Told;

/// How long an answer for all is waited for.
const ANSWER: Duration = Duration::from_secs(2);
/// For how long each is asked alone after one for all has failed.
const PAUSE: Duration = Duration::from_secs(10);
/// Who has not asked for so long is not asked for any more.
const LATELY: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Default)]
pub(crate) struct Sights(Mutex<Sight>);

#[derive(Default)]
struct Sight {
    /// Who was asked for, and when.
    wanted: BTreeMap<TopicPartition, Instant>,
    seen: BTreeMap<TopicPartition, Bounds>,
    /// Somebody asks for all just now.
    asking: bool,
    /// When it was begun to see them.
    at: Option<Instant>,
    /// When all together did not work.
    failed: Option<Instant>,
}

/// What is to be done about a partition that is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Take(Bounds, Duration),
    AskAll,
    AskAlone,
}

impl Sight {
    fn step(&self, at: &TopicPartition, now: Instant, at_most: Duration) -> Step {
        let age = self.at.map(|seen| now.duration_since(seen));
        match (age.filter(|age| *age < at_most), self.seen.get(at)) {
            (Some(age), Some(bounds)) => Step::Take(*bounds, age),
            (Some(_), None) => Step::AskAlone,
            (None, _) if self.failed.is_some_and(|failed| now.duration_since(failed) < PAUSE) => Step::AskAlone,
            (None, _) if self.asking || !self.wanted.contains_key(at) => Step::AskAlone,
            (None, _) => Step::AskAll,
        }
    }
}

impl Sights {
    /// What a partition held, and how long ago, which is less than `at_most`.
    pub(crate) fn bounds(
        &self,
        at: &TopicPartition,
        at_most: Duration,
        all: impl FnOnce(&[&TopicPartition]) -> KafkaResult<Vec<Option<Bounds>>>,
        alone: impl FnOnce() -> Result<Bounds, LogError>,
    ) -> Result<(Bounds, Duration), LogError> {
        let mut sight = self.sight();
        let now = Instant::now();
        if let Some(asked) = sight.wanted.get_mut(at) {
            *asked = now;
        }
        let mut step = sight.step(at, now, at_most);
        if step == Step::AskAll {
            sight.wanted.retain(|_, asked| now.duration_since(*asked) < LATELY);
            sight.asking = true;
            let wanted: Vec<TopicPartition> = sight.wanted.keys().cloned().collect();
            // Whoever comes meanwhile asks for itself.
            drop(sight);
            let answer = all(&wanted.iter().collect::<Vec<_>>());
            sight = self.sight();
            sight.asking = false;
            let seen = answer.as_ref().map(|found| {
                let found = wanted.into_iter().zip(found).filter_map(|(at, bounds)| Some((at, (*bounds)?)));
                found.collect()
            });
            let seen = seen.unwrap_or_default();
            if let Err(error) = answer {
                tracing::debug!(target: "kafka", "cannot ask for the offsets of all that is read together: {error}");
                // One of them may be in the way of all others.
                sight.wanted.clear();
                sight.failed = Some(now);
            }
            (sight.seen, sight.at) = (seen, Some(now));
            step = sight.seen.get(at).map_or(Step::AskAlone, |bounds| Step::Take(*bounds, now.elapsed()));
        }
        drop(sight);
        if let Step::Take(bounds, age) = step {
            return Ok((bounds, age));
        }
        let bounds = alone()?;
        self.sight().wanted.insert(at.clone(), now);
        Ok((bounds, Duration::ZERO))
    }

    fn sight(&self) -> MutexGuard<'_, Sight> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What partitions hold, each if it answers.
pub(crate) fn ask_all(
    consumer: &BaseConsumer<Told>,
    partitions: &[&TopicPartition],
) -> KafkaResult<Vec<Option<Bounds>>> {
    let ask = |end: At| -> KafkaResult<Vec<Option<Offset>>> {
        let mut list = TopicPartitionList::new();
        for at in partitions {
            list.add_partition_offset(&at.topic, at.partition.0, end)?;
        }
        let found = consumer.offsets_for_times(list, ANSWER)?;
        let offset = |at: &&TopicPartition| {
            let found = found.find_partition(&at.topic, at.partition.0)?;
            match found.offset() {
                At::Offset(offset) if found.error().is_ok() => Some(Offset(offset)),
                _ => None,
            }
        };
        Ok(partitions.iter().map(offset).collect())
    };
    // As when one is asked for alone, the beginning first: what is deleted in between lies above it.
    let (low, high) = (ask(At::Beginning)?, ask(At::End)?);
    let both = |(low, high): (Option<Offset>, Option<Offset>)| {
        let low = low?;
        Some(Bounds { low, high: high?.max(low) })
    };
    Ok(low.into_iter().zip(high).map(both).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
    use zset::Partition;

    use super::*;

    fn at(partition: i32) -> TopicPartition {
        TopicPartition { topic: "t".into(), partition: Partition(partition) }
    }

    const fn upto(high: i64) -> Bounds {
        Bounds { low: Offset(0), high: Offset(high) }
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn what_is_old_is_asked_for_again_and_what_failed_is_asked_for_alone() {
        let (begun, second) = (Instant::now(), Duration::from_secs(1));
        let seen = BTreeMap::from([(at(0), upto(7))]);
        let wanted = BTreeMap::from([(at(0), begun), (at(1), begun)]);
        let sight =
            |failed, asking| Sight { seen: seen.clone(), at: Some(begun), failed, asking, wanted: wanted.clone() };
        let step = |sight: &Sight, partition, ms| sight.step(&at(partition), begun + Duration::from_millis(ms), second);
        let fine = sight(None, false);
        assert_eq!(step(&fine, 0, 999), Step::Take(upto(7), Duration::from_millis(999)));
        assert_eq!(step(&fine, 1, 999), Step::AskAlone, "the next time it is among all");
        assert_eq!((step(&fine, 0, 1000), step(&fine, 1, 1000)), (Step::AskAll, Step::AskAll));
        assert_eq!(step(&fine, 2, 1000), Step::AskAlone, "who never had an answer is in nobody's way");
        assert_eq!(step(&sight(None, true), 0, 1000), Step::AskAlone, "somebody asks already");
        let failed = sight(Some(begun), false);
        assert_eq!((step(&failed, 0, 1000), step(&failed, 0, 10_000)), (Step::AskAlone, Step::AskAll));
    }

    fn never(_: &[&TopicPartition]) -> KafkaResult<Vec<Option<Bounds>>> {
        panic!("not all are asked for")
    }

    #[test]
    fn many_are_one_question() {
        let sights = Sights::default();
        let alone = || panic!("all are asked for together");
        for partition in [0, 1] {
            let first = sights.bounds(&at(partition), LONG, never, || Ok(upto(1))).unwrap();
            assert_eq!(first, (upto(1), Duration::ZERO));
        }
        let two = |all: &[&TopicPartition]| {
            assert_eq!(all, [&at(0), &at(1)]);
            Ok(vec![Some(upto(3)), None])
        };
        assert_eq!(sights.bounds(&at(0), Duration::ZERO, two, alone).unwrap().0, upto(3));
        assert_eq!(sights.bounds(&at(0), LONG, never, alone).unwrap().0, upto(3));
        assert_eq!(sights.bounds(&at(1), LONG, never, || Ok(upto(4))).unwrap().0, upto(4), "no answer");
    }

    #[test]
    fn who_has_no_answer_is_in_nobodys_way() {
        let sights = Sights::default();
        assert!(sights.bounds(&at(0), LONG, never, || Err(LogError::NoTopic("t".into()))).is_err());
        sights.bounds(&at(1), LONG, never, || Ok(upto(1))).unwrap();
        let fails = |all: &[&TopicPartition]| {
            assert_eq!(all, [&at(1)]);
            Err(KafkaError::MetadataFetch(Code::UnknownTopicOrPartition))
        };
        assert_eq!(sights.bounds(&at(1), Duration::ZERO, fails, || Ok(upto(2))).unwrap().0, upto(2));
        assert!(sights.sight().failed.is_some());
        assert_eq!(sights.sight().wanted.keys().collect::<Vec<_>>(), [&at(1)], "it has answered alone");
    }
}
