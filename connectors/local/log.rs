//! The log itself: topics, bounds, trimming, and the handles to read and write.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::{
    Bounds, Log, LogError, OutRecord, Reader, Record, TopicInfo, TopicKind, TopicPartition, TopicSpec, Transport,
    Writer,
};
use fault::Failpoints;
use rocksdb::WriteBatch;
use zset::{Offset, Partition, TimestampMs};

use crate::keys::{self, Extent, TopicEntry};
use crate::open;
use crate::reader::{LocalReader, find};
use crate::shared::{Place, Shared, Topic};
use crate::writer::{LocalWriter, append};

/// More partitions are a slip of the hand.
const PARTITIONS_MAX: u32 = 10_000;

/// The embedded log. A clone is the same log; the directory is locked until the last clone, reader and writer is gone.
#[derive(Clone)]
pub struct LocalLog {
    shared: Arc<Shared>,
}

impl LocalLog {
    /// Opens the log in a folder of its own, made if missing.
    pub fn open(dir: &Path) -> Result<Self, LogError> {
        Self::open_with(dir, Failpoints::default())
    }

    /// The same, with failpoints.
    pub fn open_with(dir: &Path, faults: Failpoints) -> Result<Self, LogError> {
        let (db, topics) = open::open(dir)?;
        Ok(Self { shared: Arc::new(Shared::new(db, dir.to_path_buf(), topics, faults)) })
    }

    /// At most `max` records of a partition, from an offset on; fewer when there are no more, or when they are large.
    /// Nothing at the end, an error outside of the bounds.
    pub fn read(&self, topic: &str, partition: Partition, from: Offset, max: usize) -> Result<Vec<Record>, LogError> {
        let mut reader = LocalReader::new(&self.shared);
        reader.assign(&TopicPartition { topic: topic.into(), partition }, from)?;
        reader.poll(max, Duration::ZERO)
    }

    /// RocksDB's counters as text.
    #[cfg(test)]
    pub(crate) fn statistics(&self) -> String {
        self.shared.db.property_value("rocksdb.options-statistics").ok().flatten().unwrap_or_default()
    }

    fn place(&self, at: &TopicPartition) -> Result<Place, LogError> {
        self.shared.state().place(at)
    }

    /// The first offset of the partition at which a record can be that late. `latest` never falls from chunk to chunk,
    /// so it is found by halving.
    fn first_chunk_reaching(&self, at: &TopicPartition, place: &Place, time: i64) -> Result<i64, LogError> {
        let Extent { mut low, mut high, .. } = place.extent;
        while low < high {
            let chunk = find(&self.shared, at, place, low + (high - low) / 2)?;
            if chunk.latest() >= time {
                high = chunk.base().max(low);
            } else {
                low = chunk.end();
            }
        }
        Ok(low)
    }

    fn search(&self, at: &TopicPartition, place: &Place, time: i64) -> Result<i64, LogError> {
        if place.extent.latest < time {
            return Ok(place.extent.high);
        }
        let mut next = self.first_chunk_reaching(at, place, time)?;
        // A record that is trimmed may have been the latest: then the chunks are looked through.
        while next < place.extent.high {
            let mut chunk = find(&self.shared, at, place, next)?;
            while let Some(record) = chunk.next().map_err(|why| self.shared.damaged(at, next, &why))? {
                if record.offset >= next && record.timestamp >= time {
                    return Ok(record.offset);
                }
            }
            next = chunk.end();
        }
        Ok(place.extent.high)
    }
}

fn info(topic: &str, partitions: usize) -> TopicInfo {
    TopicInfo { topic: topic.into(), partitions: u32::try_from(partitions).unwrap_or(u32::MAX) }
}

/// Kafka's rules, so that a pipeline can move there.
fn check_spec(spec: &TopicSpec) -> Result<(), LogError> {
    let name = &spec.topic;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let unusable = |why: String| Err(LogError::Unusable(format!("cannot make topic \"{name}\": {why}")));
    if name.is_empty() || name.len() > 249 || name == "." || name == ".." || !name.chars().all(allowed) {
        return unusable("a name is 1 to 249 letters, digits, '.', '_' and '-', and not '.' or '..'".into());
    }
    if !(1..=PARTITIONS_MAX).contains(&spec.partitions) {
        return unusable(format!("{} partitions; 1 to {PARTITIONS_MAX} are possible", spec.partitions));
    }
    if spec.kind == TopicKind::Epochs && spec.partitions != 1 {
        return unusable(format!("an epoch topic has 1 partition, not {}", spec.partitions));
    }
    Ok(())
}

/// An existing topic is used as it is, but not for what must lose nothing if it was not made for that: it could not move to
/// Kafka.
fn check_existing(spec: &TopicSpec, topic: &Topic) -> Result<(), LogError> {
    let (what, way_out) = match spec.kind {
        kind if kind == topic.kind => return Ok(()),
        TopicKind::Compacted | TopicKind::Plain => return Ok(()),
        TopicKind::Epochs => ("an epoch topic", "give another --pipeline name"),
        TopicKind::OwnKeyed => ("the topic of a table with a PRIMARY KEY", "give another by topic = '...'"),
        TopicKind::OwnKeyless => ("the topic of a table without a PRIMARY KEY", "give another by topic = '...'"),
    };
    let name = &spec.topic;
    Err(LogError::Unusable(format!("topic \"{name}\" exists and was not made as {what}; {way_out}")))
}

impl Transport for LocalLog {
    fn name(&self) -> String {
        self.shared.name()
    }

    fn partitions(&self, topic: &str) -> Result<Option<Vec<Partition>>, LogError> {
        Ok(self.shared.state().topics.get(topic).map(|found| (0..).map(Partition).take(found.extents.len()).collect()))
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        let extent = self.place(at)?.extent;
        Ok(Bounds { low: Offset(extent.low), high: Offset(extent.high) })
    }

    fn offset_at(&self, at: &TopicPartition, time: TimestampMs) -> Result<Offset, LogError> {
        loop {
            let place = self.place(at)?;
            match self.search(at, &place, time.0) {
                Ok(offset) => return Ok(Offset(offset)),
                // Trimmed meanwhile: looked for again in what is left.
                Err(LogError::OutOfRange { .. }) if self.place(at)?.extent.low > place.extent.low => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn reader(&self, properties: &BTreeMap<String, String>) -> Result<Box<dyn Reader>, LogError> {
        if let Some(name) = properties.keys().next() {
            return Err(LogError::Unusable(format!(
                "the embedded log's reader has no property {name}: it has none; take it out, or start with --kafka HOST:PORT"
            )));
        }
        Ok(Box::new(LocalReader::new(&self.shared)))
    }
}

impl Log for LocalLog {
    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        Ok(self.shared.state().topics.iter().map(|(name, topic)| info(name, topic.extents.len())).collect())
    }

    fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, LogError> {
        Ok(self.shared.state().topics.get(topic).map(|found| info(topic, found.extents.len())))
    }

    fn make_topic(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
        let mut turn = self.shared.turn();
        let id = {
            let state = self.shared.state();
            if let Some(topic) = state.topics.get(spec.topic.as_str()) {
                check_existing(spec, topic)?;
                return Ok(info(&spec.topic, topic.extents.len()));
            }
            state.topics.values().map(|topic| topic.id + 1).max().unwrap_or(0)
        };
        check_spec(spec)?;
        if let Some(why) = self.shared.broken(&turn) {
            return Err(LogError::Fatal(why));
        }
        let entry = TopicEntry { id, partitions: spec.partitions, kind: spec.kind };
        let mut batch = WriteBatch::default();
        batch.put(keys::topic_key(&spec.topic), keys::topic_value(&entry));
        self.shared.write(&mut turn, batch).map_err(LogError::Fatal)?;
        let extents = vec![Extent::EMPTY; spec.partitions as usize];
        self.shared.publish(|topics| {
            topics.insert(spec.topic.as_str().into(), Topic { id, kind: spec.kind, extents });
        });
        Ok(info(&spec.topic, spec.partitions as usize))
    }

    fn trim(&self, at: &TopicPartition, below: Offset) -> Result<(), LogError> {
        let mut turn = self.shared.turn();
        let place = self.place(at)?;
        if below.0 <= place.extent.low {
            return Ok(());
        }
        place.check(at, below.0)?;
        if let Some(why) = self.shared.broken(&turn) {
            return Err(LogError::Fatal(why));
        }
        let chunk_key = |offset| keys::chunk_key(place.id, place.partition, offset);
        // A chunk goes when all of its records do.
        let kept = if below.0 == place.extent.high { below.0 } else { find(&self.shared, at, &place, below.0)?.base() };
        let extent = Extent { low: below.0, ..place.extent };
        let mut batch = WriteBatch::default();
        batch.delete_range(chunk_key(0), chunk_key(kept));
        batch.put(keys::extent_key(place.id, place.partition), keys::extent_value(&extent));
        self.shared.write(&mut turn, batch).map_err(LogError::Fatal)?;
        self.shared.publish(|topics| {
            if let Some(topic) = topics.get_mut(&at.topic) {
                topic.extents[place.partition as usize] = extent;
            }
        });
        Ok(())
    }

    fn append(&self, records: &[OutRecord]) -> Result<Vec<Offset>, LogError> {
        append(&self.shared, records)
    }

    fn failed(&self) -> Option<String> {
        self.shared.failed()
    }

    fn writer(&self) -> Result<Box<dyn Writer>, LogError> {
        Ok(Box::new(LocalWriter::open(&self.shared)?))
    }

    /// No tool watches it.
    fn tell_positions(&self, _: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        Ok(())
    }
}
