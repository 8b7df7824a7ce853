//! A log that has the topics of the data in memory, and all else (the epoch topic, the transactions) in the log beneath it: what
//! is measured on it is the engine without the reading of a log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::{Bounds, Log, LogError, OutRecord, Reader, Record, TopicInfo, TopicPartition, TopicSpec, Transport, Writer};
use zset::{Offset, Partition, TimestampMs};

/// The records of a topic, which has one partition, by offset.
type Records = Arc<Vec<Record>>;

/// See the module.
pub(super) struct MemoryLog {
    beneath: Arc<dyn Log>,
    topics: BTreeMap<String, Records>,
}

/// A topic that is read: where, and how far.
struct Cursor {
    at: TopicPartition,
    records: Records,
    next: usize,
}

/// Reads from memory what is there, and from the reader beneath what is not.
struct MemoryReader {
    topics: BTreeMap<String, Records>,
    cursors: Vec<Cursor>,
    beneath: Box<dyn Reader>,
    /// Which partitions it has.
    assigned: usize,
}

impl MemoryLog {
    /// Topics in memory over a log. Their records are taken as they are, with offsets from 0.
    pub fn over(beneath: Arc<dyn Log>, records: BTreeMap<String, Vec<OutRecord>>) -> Self {
        let numbered = |records: Vec<OutRecord>| {
            let read = |(offset, record): (usize, OutRecord)| {
                let OutRecord { to: at, timestamp, key, value, headers } = record;
                Record { at, offset: Offset(offset as i64), timestamp, key, value, headers }
            };
            Arc::new(records.into_iter().enumerate().map(read).collect())
        };
        let topics = records.into_iter().map(|(topic, records)| (topic, numbered(records))).collect();
        Self { beneath, topics }
    }

    fn find(&self, at: &TopicPartition) -> Result<Option<&Records>, LogError> {
        let Some(records) = self.topics.get(&*at.topic) else { return Ok(None) };
        match at.partition {
            Partition(0) => Ok(Some(records)),
            other => Err(LogError::Unusable(format!("topic \"{}\" in memory has no partition {other}", at.topic))),
        }
    }
}

fn info(topic: &str) -> TopicInfo {
    TopicInfo { topic: topic.to_string(), partitions: 1 }
}

impl Transport for MemoryLog {
    fn name(&self) -> String {
        format!("memory over {}", self.beneath.name())
    }

    fn partitions(&self, topic: &str) -> Result<Option<Vec<Partition>>, LogError> {
        if self.topics.contains_key(topic) { Ok(Some(vec![Partition(0)])) } else { self.beneath.partitions(topic) }
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        match self.find(at)? {
            Some(records) => Ok(Bounds { low: Offset(0), high: Offset(records.len() as i64) }),
            None => self.beneath.bounds(at),
        }
    }

    fn offset_at(&self, at: &TopicPartition, time: TimestampMs) -> Result<Offset, LogError> {
        match self.find(at)? {
            Some(records) => {
                let found = records.iter().position(|record| record.timestamp >= time);
                Ok(Offset(found.unwrap_or(records.len()) as i64))
            }
            None => self.beneath.offset_at(at, time),
        }
    }

    fn reader(&self, properties: &BTreeMap<String, String>) -> Result<Box<dyn Reader>, LogError> {
        let beneath = self.beneath.reader(properties)?;
        Ok(Box::new(MemoryReader { topics: self.topics.clone(), cursors: Vec::new(), beneath, assigned: 0 }))
    }
}

impl Log for MemoryLog {
    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        let mut topics = self.beneath.topics()?;
        topics.extend(self.topics.keys().map(|topic| info(topic)));
        topics.sort_by(|a, b| a.topic.cmp(&b.topic));
        Ok(topics)
    }

    fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, LogError> {
        if self.topics.contains_key(topic) { Ok(Some(info(topic))) } else { self.beneath.topic(topic) }
    }

    fn make_topic(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
        if self.topics.contains_key(&spec.topic) { Ok(info(&spec.topic)) } else { self.beneath.make_topic(spec) }
    }

    fn trim(&self, at: &TopicPartition, below: Offset) -> Result<(), LogError> {
        match self.find(at)? {
            Some(_) => Err(LogError::Unusable(format!("topic \"{}\" is in memory and keeps its records", at.topic))),
            None => self.beneath.trim(at, below),
        }
    }

    fn append(&self, records: &[OutRecord]) -> Result<Vec<Offset>, LogError> {
        match records.iter().find(|record| self.topics.contains_key(&*record.to.topic)) {
            Some(record) => {
                Err(LogError::Unusable(format!("topic \"{}\" is in memory and takes no more records", record.to.topic)))
            }
            None => self.beneath.append(records),
        }
    }

    fn writer(&self) -> Result<Box<dyn Writer>, LogError> {
        self.beneath.writer()
    }

    fn tell_positions(&self, positions: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        self.beneath.tell_positions(positions)
    }
}

impl Reader for MemoryReader {
    fn assign(&mut self, at: &TopicPartition, offset: Offset) -> Result<(), LogError> {
        let Some(records) = self.topics.get(&*at.topic) else {
            self.beneath.assign(at, offset)?;
            self.assigned += 1;
            return Ok(());
        };
        let (low, high) = (Offset(0), Offset(records.len() as i64));
        if offset < low || offset > high {
            let (topic, partition) = (at.topic.to_string(), at.partition);
            return Err(LogError::OutOfRange { topic, partition, offset, low, high });
        }
        self.cursors.retain(|cursor| cursor.at != *at);
        self.cursors.push(Cursor { at: at.clone(), records: Arc::clone(records), next: offset.0 as usize });
        Ok(())
    }

    fn unassign(&mut self, at: &TopicPartition) -> Result<(), LogError> {
        if self.topics.contains_key(&*at.topic) {
            self.cursors.retain(|cursor| cursor.at != *at);
            return Ok(());
        }
        self.beneath.unassign(at)?;
        self.assigned = self.assigned.saturating_sub(1);
        Ok(())
    }

    fn poll(&mut self, max: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let mut records = Vec::new();
        for cursor in &mut self.cursors {
            let end = cursor.records.len().min(cursor.next + max - records.len());
            records.extend_from_slice(&cursor.records[cursor.next..end]);
            cursor.next = end;
        }
        // Nothing comes to what is in memory: who waits, waits for the log beneath.
        match (records.is_empty(), self.assigned) {
            (false, _) => Ok(records),
            (true, 0) => {
                std::thread::park_timeout(wait);
                Ok(records)
            }
            (true, _) => self.beneath.poll(max, wait),
        }
    }

    fn at_end(&mut self, at: &TopicPartition) -> Result<bool, LogError> {
        match self.cursors.iter().find(|cursor| cursor.at == *at) {
            Some(cursor) => Ok(cursor.next == cursor.records.len()),
            None => self.beneath.at_end(at),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use api::TopicKind;
    use local::LocalLog;

    use super::*;

    fn record(topic: &str, value: &str) -> OutRecord {
        let to = TopicPartition { topic: topic.into(), partition: Partition(0) };
        let value = Some(value.to_string().into());
        OutRecord { to, timestamp: TimestampMs(1), key: None, value, headers: Vec::new() }
    }

    #[test]
    fn a_reader_gives_what_is_in_memory_and_what_is_beneath() {
        let dir = tempfile::tempdir().unwrap();
        let beneath: Arc<dyn Log> = Arc::new(LocalLog::open(dir.path()).unwrap());
        let kind = TopicKind::Plain;
        beneath.make_topic(&TopicSpec { topic: "below".to_string(), partitions: 1, replication: None, kind }).unwrap();
        let data = [("above".to_string(), vec![record("above", "a"), record("above", "b"), record("above", "c")])];
        let log = MemoryLog::over(beneath, data.into());
        log.append(&[record("below", "d")]).unwrap();
        assert!(log.append(&[record("above", "d")]).is_err());
        let [above, below] = ["above", "below"].map(|topic| record(topic, "").to);
        assert_eq!(log.bounds(&above).unwrap(), Bounds { low: Offset(0), high: Offset(3) });
        let mut reader = log.reader(&BTreeMap::new()).unwrap();
        assert!(matches!(reader.assign(&above, Offset(4)), Err(LogError::OutOfRange { .. })));
        reader.assign(&above, Offset(1)).unwrap();
        reader.assign(&below, Offset(0)).unwrap();
        assert!(!reader.at_end(&above).unwrap());
        let mut seen = Vec::new();
        while seen.len() < 3 {
            let records = reader.poll(1, Duration::from_secs(10)).unwrap();
            assert!(records.len() < 2);
            seen.extend(records.into_iter().map(|record| (record.offset, record.value.unwrap())));
        }
        assert_eq!(seen, [(Offset(1), "b".into()), (Offset(2), "c".into()), (Offset(0), "d".into())]);
        assert!(reader.at_end(&above).unwrap() && reader.at_end(&below).unwrap());
    }
}
