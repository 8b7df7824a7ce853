//! Several topics read as one. The loop calls a partition by the place of its topic and its number there, in one number
//! ([`Partition`]); a transport knows topics and numbers. [`Together`] stands between them: what goes in is what a transport knows, and
//! what comes out what the loop knows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::{Bell, Bounds, Keeping, LogError, Reader, Record, TopicPartition, Transport};
use zset::{Offset, Partition, TimestampMs};

/// Topics, each at its place.
type Places = Arc<BTreeMap<Arc<str>, usize>>;

/// A transport whose topics have places.
pub(crate) struct Together {
    inner: Arc<dyn Transport>,
    places: Places,
}

impl Together {
    /// The topics of a transport, in the order of their places.
    pub fn new(inner: Arc<dyn Transport>, topics: &[Arc<str>]) -> Self {
        let places = topics.iter().enumerate().map(|(place, topic)| (Arc::clone(topic), place));
        Self { inner, places: Arc::new(places.collect()) }
    }
}

/// As the transport calls it, and all that is outside of the loop.
pub(crate) fn alone(at: &TopicPartition) -> TopicPartition {
    TopicPartition { topic: Arc::clone(&at.topic), partition: Partition(at.partition.number()) }
}

/// As the loop calls it.
fn together(places: &Places, topic: &str, partition: Partition) -> Result<Partition, LogError> {
    let place = places.get(topic).copied();
    place.and_then(|place| Partition::of(place, partition.0)).ok_or_else(|| {
        LogError::Unusable(format!(
            "topic \"{topic}\" has a partition {partition}: of several topics that are read as one only the first may have more \
             than 65536; give the topic a table of its own"
        ))
    })
}

impl Transport for Together {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn partitions(&self, topic: &str) -> Result<Option<Vec<Partition>>, LogError> {
        let Some(partitions) = self.inner.partitions(topic)? else { return Ok(None) };
        partitions
            .into_iter()
            .map(|partition| together(&self.places, topic, partition))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    fn partitions_go(&self) -> bool {
        self.inner.partitions_go()
    }

    fn place(&self, at: &TopicPartition) -> String {
        self.inner.place(&alone(at))
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        self.inner.bounds(&alone(at))
    }

    fn bounds_seen(&self, at: &TopicPartition, at_most: Duration) -> Result<(Bounds, Duration), LogError> {
        self.inner.bounds_seen(&alone(at), at_most)
    }

    fn keeping(&self, topic: &str) -> Result<Option<Keeping>, LogError> {
        self.inner.keeping(topic)
    }

    fn offset_at(&self, at: &TopicPartition, time: TimestampMs) -> Result<Offset, LogError> {
        self.inner.offset_at(&alone(at), time)
    }

    fn reader(&self, properties: &BTreeMap<String, String>) -> Result<Box<dyn Reader>, LogError> {
        let inner = self.inner.reader(properties)?;
        Ok(Box::new(TogetherReader { inner, places: Arc::clone(&self.places) }))
    }

    fn lasting_reader(&self, properties: &BTreeMap<String, String>) -> Result<Box<dyn Reader>, LogError> {
        let inner = self.inner.lasting_reader(properties)?;
        Ok(Box::new(TogetherReader { inner, places: Arc::clone(&self.places) }))
    }
}

struct TogetherReader {
    inner: Box<dyn Reader>,
    places: Places,
}

impl Reader for TogetherReader {
    fn assign(&mut self, at: &TopicPartition, offset: Offset) -> Result<(), LogError> {
        self.inner.assign(&alone(at), offset)
    }

    fn unassign(&mut self, at: &TopicPartition) -> Result<(), LogError> {
        self.inner.unassign(&alone(at))
    }

    fn poll(&mut self, max: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let mut records = self.inner.poll(max, wait)?;
        for run in records.chunk_by_mut(|one, next| one.at == next.at) {
            let partition = together(&self.places, &run[0].at.topic, run[0].at.partition)?;
            run.iter_mut().for_each(|record| record.at.partition = partition);
        }
        Ok(records)
    }

    fn at_end(&mut self, at: &TopicPartition) -> Result<bool, LogError> {
        self.inner.at_end(&alone(at))
    }

    fn bell(&self) -> Option<Bell> {
        self.inner.bell()
    }
}

/// What several topics lose by themselves: of each the most, so that nobody is too sure.
pub(crate) fn least(one: Option<Keeping>, other: Option<Keeping>) -> Option<Keeping> {
    let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
    let sooner = |one: Option<i64>, other: Option<i64>| match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    let tombstones_ms = match (one.compacted_after_ms, other.compacted_after_ms) {
        (Some(_), None) => one.tombstones_ms,
        (None, Some(_)) => other.tombstones_ms,
        _ => one.tombstones_ms.min(other.tombstones_ms),
    };
    Some(Keeping {
        compacted_after_ms: sooner(one.compacted_after_ms, other.compacted_after_ms),
        tombstones_ms,
        expires_after_ms: sooner(one.expires_after_ms, other.expires_after_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_a_partition_is_the_number_in_its_topic() {
        let places: Places = Arc::new([("a".into(), 0), ("b".into(), 1)].into());
        for (topic, number) in [("a", 0), ("a", 70_000), ("b", 0), ("b", 65_535)] {
            let partition = together(&places, topic, Partition(number)).expect("there is room for it");
            let at = TopicPartition { topic: topic.into(), partition };
            assert_eq!(alone(&at).partition, Partition(number), "{at:?}");
        }
        let error = together(&places, "b", Partition(65_536)).expect_err("there is no room").to_string();
        assert!(error.contains("topic \"b\"") && error.contains("a table of its own"), "{error}");
    }

    #[test]
    fn of_what_several_topics_lose_the_most_counts() {
        let compacted = Keeping { compacted_after_ms: Some(5), tombstones_ms: 100, expires_after_ms: None };
        let plain = Keeping { expires_after_ms: Some(9), ..Keeping::default() };
        let both = Keeping { expires_after_ms: Some(9), ..compacted };
        for (one, other, expected) in [
            (None, None, None),
            (Some(plain), None, Some(plain)),
            (None, Some(compacted), Some(compacted)),
            (Some(plain), Some(compacted), Some(both)),
            (Some(compacted), Some(plain), Some(both)),
            (
                Some(compacted),
                Some(Keeping { compacted_after_ms: Some(7), tombstones_ms: 50, expires_after_ms: Some(1) }),
                Some(Keeping { compacted_after_ms: Some(5), tombstones_ms: 50, expires_after_ms: Some(1) }),
            ),
        ] {
            assert_eq!(least(one, other), expected, "{one:?} and {other:?}");
        }
    }
}
