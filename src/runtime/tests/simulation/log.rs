//! A log in memory that fails as the dice of a run say: commits are aborted, refused, or in doubt; reads fail for a while
//! and come in pieces; what was not synced is gone after a crash. As Kafka's, its offsets may have gaps, and what is in
//! doubt is hidden, with all behind it, until the next writer is opened.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use api::{
    Bounds, Log, LogError, OutRecord, Reader, Record, TopicInfo, TopicKind, TopicPartition, TopicSpec, Transport,
    Writer,
};
use zset::{Offset, Partition, TimestampMs};

use super::dice::Dice;
use super::log_reader::SimReader;
use super::log_writer::SimWriter;

/// What a commit does that does not simply happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is aborted.
    Abort,
    /// It does not happen, and nobody knows.
    Lost,
    /// It happens, and nobody knows.
    Unanswered,
    /// It is in doubt until the next writer is opened, and then it has happened, or not.
    Open { commits: bool },
}

/// How the log behaves.
#[derive(Debug, Default)]
pub struct Behaviour {
    /// Whether commits leave gaps between offsets.
    pub gaps: bool,
    /// Of the next commits, one each; `None` happens.
    pub commits: VecDeque<Option<Fault>>,
    /// A topic whose next record is refused.
    pub refuse: Option<String>,
    /// So many of the next reads fail for now.
    pub reads_fail: usize,
    /// So many of the next topics that are made are not, for now.
    pub topics_fail: usize,
    /// What decides how much a poll gives; `None`: all there is, and a poll waits.
    pub dice: Option<Dice>,
}

#[derive(Debug, Clone)]
pub struct PartLog {
    pub low: i64,
    pub next: i64,
    /// Those below `low` are deleted: nobody reads them but a look back.
    pub records: Vec<Record>,
    /// From here on nothing is read before the next writer is opened.
    pub hidden: Option<i64>,
}

#[derive(Debug, Clone)]
pub struct Topic {
    pub kind: TopicKind,
    pub parts: Vec<PartLog>,
}

/// A transaction that is in doubt.
pub struct InDoubt {
    pub records: Vec<Record>,
    pub commits: bool,
}

/// Where everything ended at a moment: for each partition of a topic low, next, records.
pub type Mark = BTreeMap<String, Vec<(i64, i64, usize)>>;

#[derive(Default)]
pub struct State {
    pub topics: BTreeMap<String, Topic>,
    pub generation: u64,
    pub in_doubt: Option<InDoubt>,
    /// The records of every committed transaction.
    pub transactions: Vec<Vec<Record>>,
    /// Where everything ended after each of them.
    pub marks: Vec<Mark>,
    pub behaviour: Behaviour,
}

#[derive(Default)]
pub struct Inner {
    pub state: Mutex<State>,
    pub changed: Condvar,
}

/// See the module. A clone is the same log.
#[derive(Clone, Default)]
pub struct SimLog(pub Arc<Inner>);

impl PartLog {
    /// The end for readers.
    pub fn high(&self) -> i64 {
        self.hidden.unwrap_or(self.next)
    }

    pub fn check(&self, at: &TopicPartition, offset: i64) -> Result<(), LogError> {
        let (low, high) = (self.low, self.high());
        if (low..=high).contains(&offset) {
            return Ok(());
        }
        let (topic, partition) = (at.topic.to_string(), at.partition);
        let (offset, low, high) = (Offset(offset), Offset(low), Offset(high));
        Err(LogError::OutOfRange { topic, partition, offset, low, high })
    }

    /// Where in `records` the first at or after an offset is.
    pub fn find(&self, offset: i64) -> usize {
        self.records.partition_point(|record| record.offset.0 < offset)
    }

    fn empty() -> Self {
        Self { low: 0, next: 0, records: Vec::new(), hidden: None }
    }
}

impl State {
    pub fn part(&self, at: &TopicPartition) -> Result<&PartLog, LogError> {
        let topic = self.topics.get(&*at.topic).ok_or_else(|| LogError::NoTopic(at.topic.to_string()))?;
        topic
            .parts
            .get(at.partition.0 as usize)
            .ok_or_else(|| LogError::Unusable(format!("topic \"{}\" has no partition {}", at.topic, at.partition)))
    }

    pub fn part_mut(&mut self, at: &TopicPartition) -> &mut PartLog {
        let topic = self.topics.get_mut(&*at.topic).expect("the topic was checked");
        &mut topic.parts[at.partition.0 as usize]
    }

    pub fn push(&mut self, records: &[Record]) {
        for record in records {
            let part = self.part_mut(&record.at);
            part.records.push(record.clone());
            part.next = part.next.max(record.offset.0 + 1);
        }
    }

    /// Control records take an offset in each partition of a transaction.
    pub fn leave_gaps(&mut self, records: &[Record]) {
        let mut parts: Vec<&TopicPartition> = records.iter().map(|record| &record.at).collect();
        parts.sort_unstable();
        parts.dedup();
        parts.into_iter().for_each(|at| self.part_mut(at).next += 1);
    }

    /// A transaction has happened.
    pub fn note(&mut self, records: Vec<Record>) {
        self.transactions.push(records);
        let ends = |topic: &Topic| topic.parts.iter().map(|part| (part.low, part.next, part.records.len())).collect();
        let mark = self.topics.iter().map(|(name, topic)| (name.clone(), ends(topic))).collect();
        self.marks.push(mark);
    }

    /// What was in doubt is decided.
    pub fn resolve(&mut self) {
        let Some(InDoubt { records, commits }) = self.in_doubt.take() else { return };
        for record in &records {
            let part = self.part_mut(&record.at);
            part.hidden = None;
            if !commits {
                part.records.retain(|kept| kept.offset != record.offset);
            }
        }
        self.leave_gaps(&records);
        if commits {
            self.note(records);
        }
    }
}

impl SimLog {
    /// A log whose polls wait, as a real one's do.
    pub fn waiting(gaps: bool) -> Self {
        let log = Self::default();
        log.behaviour(|behaviour| behaviour.gaps = gaps);
        log
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    pub fn behaviour(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.lock().behaviour);
    }

    /// The transactions from the `from`-th on.
    pub fn transactions(&self, from: usize) -> Vec<Vec<Record>> {
        self.lock().transactions[from..].to_vec()
    }

    /// Goes back to the moment after the `count`-th transaction: nothing behind it was synced.
    pub fn lose_behind(&self, count: usize) {
        let mut state = self.lock();
        let mark = state.marks[count - 1].clone();
        state.topics.retain(|name, _| mark.contains_key(name));
        for (name, topic) in &mut state.topics {
            topic.parts.truncate(mark[name].len());
            for (part, (low, next, records)) in topic.parts.iter_mut().zip(&mark[name]) {
                (part.low, part.next, part.hidden) = (*low, *next, None);
                part.records.truncate(*records);
            }
        }
        state.in_doubt = None;
        state.transactions.truncate(count);
        state.marks.truncate(count);
    }

    /// Everything as it is, to come back to.
    pub fn save(&self) -> (BTreeMap<String, Topic>, Vec<Vec<Record>>, Vec<Mark>) {
        let state = self.lock();
        assert!(state.in_doubt.is_none(), "what is in doubt is resolved first");
        (state.topics.clone(), state.transactions.clone(), state.marks.clone())
    }

    pub fn restore(&self, saved: (BTreeMap<String, Topic>, Vec<Vec<Record>>, Vec<Mark>)) {
        let mut state = self.lock();
        (state.topics, state.transactions, state.marks) = saved;
    }

    /// The records of a range of offsets, also deleted ones.
    pub fn range(&self, at: &TopicPartition, from: i64, to: i64) -> Vec<Record> {
        let state = self.lock();
        let part = state.part(at).unwrap();
        part.records[part.find(from)..part.find(to)].to_vec()
    }

    /// Makes another record of one of a topic; false if it has none.
    pub fn forge(&self, topic: &str, dice: &mut Dice) -> bool {
        let mut state = self.lock();
        let Some(topic) = state.topics.get_mut(topic) else { return false };
        let part = dice.below(topic.parts.len());
        let records = &mut topic.parts[part].records;
        if records.is_empty() {
            return false;
        }
        let at = dice.below(records.len());
        let value = records[at].value.as_deref().map(|value| String::from_utf8_lossy(value).replace(':', ": "));
        records[at].value = Some(value.unwrap_or_else(|| r#"{"id":1}"#.to_string()).into());
        true
    }

    /// Adds a partition to a topic.
    pub fn grow(&self, topic: &str) {
        self.lock().topics.get_mut(topic).unwrap().parts.push(PartLog::empty());
    }
}

/// Kafka's rules.
fn check_spec(spec: &TopicSpec) -> Result<(), LogError> {
    let name = &spec.topic;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let named = (1..=249).contains(&name.len()) && name != "." && name != ".." && name.chars().all(allowed);
    let counted = (1..=10_000).contains(&spec.partitions) && (spec.kind != TopicKind::Epochs || spec.partitions == 1);
    if named && counted { Ok(()) } else { Err(LogError::Unusable(format!("topic {name} is impossible"))) }
}

fn info(topic: &str, of: &Topic) -> TopicInfo {
    TopicInfo { topic: topic.to_string(), partitions: of.parts.len() as u32 }
}

impl Transport for SimLog {
    fn name(&self) -> String {
        "simulated log".to_string()
    }

    fn partitions(&self, topic: &str) -> Result<Option<Vec<Partition>>, LogError> {
        Ok(self.topic(topic)?.map(|info| (0..info.partitions as i32).map(Partition).collect()))
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        let state = self.lock();
        let part = state.part(at)?;
        Ok(Bounds { low: Offset(part.low), high: Offset(part.high()) })
    }

    fn offset_at(&self, at: &TopicPartition, time: TimestampMs) -> Result<Offset, LogError> {
        let state = self.lock();
        let part = state.part(at)?;
        let mut held = part.records.iter().filter(|record| (part.low..part.high()).contains(&record.offset.0));
        let found = held.find(|record| record.timestamp >= time);
        Ok(found.map_or(Offset(part.high()), |record| record.offset))
    }

    fn reader(&self, properties: &BTreeMap<String, String>) -> Result<Box<dyn Reader>, LogError> {
        match properties.keys().next() {
            Some(name) => Err(LogError::Unusable(format!("there is no property {name}"))),
            None => Ok(Box::new(SimReader::new(self.clone()))),
        }
    }
}

impl Log for SimLog {
    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        Ok(self.lock().topics.iter().map(|(name, topic)| info(name, topic)).collect())
    }

    fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, LogError> {
        Ok(self.lock().topics.get(topic).map(|of| info(topic, of)))
    }

    fn make_topic(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
        let mut state = self.lock();
        if let Some(topic) = state.topics.get(&spec.topic) {
            let fits = matches!(spec.kind, TopicKind::Compacted | TopicKind::Plain) || spec.kind == topic.kind;
            return match fits {
                true => Ok(info(&spec.topic, topic)),
                false => Err(LogError::Unusable(format!("topic {} was made as something else", spec.topic))),
            };
        }
        check_spec(spec)?;
        if state.behaviour.topics_fail > 0 {
            state.behaviour.topics_fail -= 1;
            return Err(LogError::Retriable("no topic is made just now".to_string()));
        }
        let topic = Topic { kind: spec.kind, parts: vec![PartLog::empty(); spec.partitions as usize] };
        let made = info(&spec.topic, &topic);
        state.topics.insert(spec.topic.clone(), topic);
        Ok(made)
    }

    fn trim(&self, at: &TopicPartition, below: Offset) -> Result<(), LogError> {
        let mut state = self.lock();
        let part = state.part(at)?;
        if below.0 > part.low {
            part.check(at, below.0)?;
            state.part_mut(at).low = below.0;
        }
        Ok(())
    }

    fn append(&self, records: &[OutRecord]) -> Result<Vec<Offset>, LogError> {
        let mut state = self.lock();
        records.iter().try_for_each(|record| state.part(&record.to).map(|_| ()))?;
        let mut offsets = Vec::with_capacity(records.len());
        for record in records {
            let offset = Offset(state.part(&record.to)?.next);
            state.push(&[as_read(record, offset)]);
            offsets.push(offset);
        }
        self.0.changed.notify_all();
        Ok(offsets)
    }

    fn writer(&self) -> Result<Box<dyn Writer>, LogError> {
        let mut state = self.lock();
        state.resolve();
        state.generation += 1;
        self.0.changed.notify_all();
        Ok(Box::new(SimWriter::new(self.clone(), state.generation)))
    }

    fn tell_positions(&self, _: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        Ok(())
    }
}

pub fn as_read(record: &OutRecord, offset: Offset) -> Record {
    let OutRecord { to, timestamp, key, value, headers } = record.clone();
    Record { at: to, offset, timestamp, key, value, headers }
}
