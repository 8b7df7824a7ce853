//! A log that does what it is told to: it aborts, refuses, dies, forges. Otherwise it is the embedded log.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use api::{
    Bounds, CommitError, Keeping, Log, LogError, OutRecord, Reader, Record, TopicInfo, TopicPartition, TopicSpec,
    Transport, Writer,
};
use local::LocalLog;
use zset::{Offset, Partition, TimestampMs};

use super::wait::DEADLINE;

/// What a commit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is aborted.
    Abort,
    /// It does not happen, and nobody knows.
    DieBefore,
    /// It happens, and nobody knows.
    DieAfter,
    /// It happens, completed by who has taken over.
    FencedAfter,
    /// Its thread panics.
    Panic,
    /// It happens when the next writer is opened, which completes it; nobody knows before.
    Later,
}

type Forge = Box<dyn Fn(&mut Record) + Send + Sync>;
type Vanished = Box<dyn Fn(&Record) -> bool + Send + Sync>;
type Refuse = Box<dyn Fn(&OutRecord) -> bool + Send + Sync>;

/// What is to go wrong, and what was tried.
#[derive(Default)]
pub struct Faults {
    /// Of the next commits, one each.
    pub commits: Mutex<VecDeque<Fault>>,
    /// Every commit is aborted.
    pub away: Mutex<bool>,
    /// Records that are refused.
    pub refuse: Mutex<Option<Refuse>>,
    /// What becomes of a record that is read.
    pub forge: Mutex<Option<Forge>>,
    /// A topic that may not be looked at or made.
    pub forbidden: Mutex<Option<&'static str>>,
    /// Records come from the last partition first.
    pub backwards: Mutex<bool>,
    /// Topics that show fewer partitions than they have.
    pub shown: Mutex<BTreeMap<String, u32>>,
    /// What is read in the place of a topic: it was deleted, or deleted and made anew.
    pub instead: Mutex<BTreeMap<String, String>>,
    /// What partitions held when that was first looked at is what is said of them ever after; and how often it was.
    pub stale: Mutex<Option<(BTreeMap<TopicPartition, Bounds>, u32)>>,
    /// What topics lose by themselves.
    pub keeping: Mutex<BTreeMap<String, Keeping>>,
    /// The topics of which it was asked.
    pub asked: Mutex<Vec<String>>,
    /// Nobody may see what topics lose.
    pub undescribed: Mutex<bool>,
    /// The reader that cannot be made, counted from the next one.
    pub no_reader: Mutex<Option<u32>>,
    /// Records that were compacted away.
    pub vanished: Mutex<Option<Vanished>>,
    /// So many looks at the end of the epoch topic do not show its last record yet.
    pub hidden: Mutex<u32>,
    /// It is the last record of another topic.
    pub hidden_of: Mutex<Option<String>>,
    /// The positions that were told.
    pub told: Mutex<Vec<Vec<(TopicPartition, Offset)>>>,
    /// Nobody listens to positions.
    pub deaf: Mutex<bool>,
    /// What the next writer completes.
    pub later: Mutex<Vec<OutRecord>>,
    /// The records of every commit that was tried.
    pub tried: Mutex<Vec<Vec<OutRecord>>>,
    /// Commits wait, and so many do.
    pub gate: Gate,
}

/// Where commits are held up.
#[derive(Default)]
pub struct Gate {
    /// Whether it is shut, and how many wait before it.
    state: Mutex<(bool, u32)>,
    changed: Condvar,
}

impl Gate {
    pub fn shut(&self) {
        self.state.lock().unwrap().0 = true;
    }

    pub fn open(&self) {
        self.state.lock().unwrap().0 = false;
        self.changed.notify_all();
    }

    /// Waits until a commit waits here.
    pub fn wait_held(&self) {
        let state = self.state.lock().unwrap();
        let waited = self.changed.wait_timeout_while(state, DEADLINE, |(_, held)| *held == 0).unwrap();
        assert!(!waited.1.timed_out(), "a commit is begun");
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        self.changed.notify_all();
        state = self.changed.wait_while(state, |(shut, _)| *shut).unwrap();
        state.1 -= 1;
    }
}

#[derive(Clone)]
pub struct FaultyLog {
    pub inner: LocalLog,
    pub faults: Arc<Faults>,
}

impl FaultyLog {
    pub fn open(dir: &Path) -> Self {
        Self { inner: LocalLog::open(dir).unwrap(), faults: Arc::default() }
    }

    fn permit(&self, topic: &str) -> Result<(), LogError> {
        match *self.faults.forbidden.lock().unwrap() {
            Some(forbidden) if forbidden == topic => Err(LogError::Unusable(format!("no right to topic {topic}"))),
            _ => Ok(()),
        }
    }

    fn real(&self, at: &TopicPartition) -> TopicPartition {
        self.faults.real(at)
    }

    fn shown(&self, mut info: TopicInfo) -> TopicInfo {
        if let Some(shown) = self.faults.shown.lock().unwrap().get(&info.topic) {
            info.partitions = *shown;
        }
        info
    }
}

impl Transport for FaultyLog {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn partitions(&self, topic: &str) -> Result<Option<Vec<Partition>>, LogError> {
        let info = self.topic(topic)?;
        Ok(info.map(|info| (0..info.partitions as i32).map(Partition).collect()))
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        let mut bounds = self.inner.bounds(&self.real(at))?;
        let mut hidden = self.faults.hidden.lock().unwrap();
        let of = self.faults.hidden_of.lock().unwrap();
        if at.topic.ends_with(of.as_deref().unwrap_or(".epochs")) && *hidden > 0 {
            *hidden -= 1;
            bounds.high.0 -= 1;
        }
        Ok(bounds)
    }

    fn bounds_seen(&self, at: &TopicPartition, _: Duration) -> Result<(Bounds, Duration), LogError> {
        let bounds = self.bounds(at)?;
        match self.faults.stale.lock().unwrap().as_mut() {
            None => Ok((bounds, Duration::ZERO)),
            Some((seen, times)) => {
                *times += 1;
                Ok((*seen.entry(at.clone()).or_insert(bounds), Duration::from_millis(1)))
            }
        }
    }

    fn keeping(&self, topic: &str) -> Result<Option<Keeping>, LogError> {
        self.faults.asked.lock().unwrap().push(topic.to_string());
        if *self.faults.undescribed.lock().unwrap() {
            return Err(LogError::Unusable(format!("no right to describe topic {topic}")));
        }
        let real = self.faults.instead.lock().unwrap().get(topic).cloned();
        if let Some(real) = real
            && self.inner.topic(&real)?.is_none()
        {
            return Err(LogError::NoTopic(topic.to_string()));
        }
        Ok(self.faults.keeping.lock().unwrap().get(topic).copied())
    }

    fn offset_at(&self, at: &TopicPartition, time: TimestampMs) -> Result<Offset, LogError> {
        self.inner.offset_at(&self.real(at), time)
    }

    fn reader(&self, properties: &BTreeMap<String, String>) -> Result<Box<dyn Reader>, LogError> {
        let mut no_reader = self.faults.no_reader.lock().unwrap();
        match no_reader.take() {
            Some(1) => return Err(LogError::Retriable("there is no reader now".into())),
            later => *no_reader = later.map(|count| count - 1),
        }
        Ok(Box::new(FaultyReader { inner: self.inner.reader(properties)?, faults: Arc::clone(&self.faults) }))
    }
}

impl Log for FaultyLog {
    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        self.inner.topics()
    }

    fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, LogError> {
        self.permit(topic)?;
        let real = self.real(&TopicPartition { topic: topic.into(), partition: Partition(0) }).topic;
        let info = self.inner.topic(&real)?.map(|info| TopicInfo { topic: topic.into(), ..info });
        Ok(info.map(|info| self.shown(info)))
    }

    fn make_topic(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
        self.permit(&spec.topic)?;
        Ok(self.shown(self.inner.make_topic(spec)?))
    }

    fn trim(&self, at: &TopicPartition, below: Offset) -> Result<(), LogError> {
        self.inner.trim(at, below)
    }

    fn append(&self, records: &[OutRecord]) -> Result<Vec<Offset>, LogError> {
        self.inner.append(records)
    }

    fn writer(&self) -> Result<Box<dyn Writer>, LogError> {
        let mut inner = self.inner.writer()?;
        let later = std::mem::take(&mut *self.faults.later.lock().unwrap());
        inner.commit_all(&later).map_err(|error| LogError::Fatal(error.to_string()))?;
        Ok(Box::new(FaultyWriter { inner, faults: Arc::clone(&self.faults) }))
    }

    fn tell_positions(&self, positions: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        if *self.faults.deaf.lock().unwrap() {
            return Err(LogError::Retriable("nobody listens".into()));
        }
        self.faults.told.lock().unwrap().push(positions.to_vec());
        self.inner.tell_positions(positions)
    }
}

struct FaultyReader {
    inner: Box<dyn Reader>,
    faults: Arc<Faults>,
}

impl Faults {
    /// What is read in the place of a partition.
    fn real(&self, at: &TopicPartition) -> TopicPartition {
        match self.instead.lock().unwrap().get(&*at.topic) {
            Some(topic) => TopicPartition { topic: topic.as_str().into(), partition: at.partition },
            None => at.clone(),
        }
    }

    /// The name that a partition which is read has for whoever reads it.
    fn called(&self, at: &TopicPartition) -> TopicPartition {
        match self.instead.lock().unwrap().iter().find(|(_, real)| **real == *at.topic) {
            Some((topic, _)) => TopicPartition { topic: topic.as_str().into(), partition: at.partition },
            None => at.clone(),
        }
    }
}

impl Reader for FaultyReader {
    fn assign(&mut self, at: &TopicPartition, offset: Offset) -> Result<(), LogError> {
        self.inner.assign(&self.faults.real(at), offset)
    }

    fn unassign(&mut self, at: &TopicPartition) -> Result<(), LogError> {
        self.inner.unassign(&self.faults.real(at))
    }

    fn poll(&mut self, max: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let mut records = self.inner.poll(max, wait)?;
        records.iter_mut().for_each(|record| record.at = self.faults.called(&record.at));
        if let Some(vanished) = self.faults.vanished.lock().unwrap().as_ref() {
            records.retain(|record| !vanished(record));
        }
        if let Some(forge) = self.faults.forge.lock().unwrap().as_ref() {
            records.iter_mut().for_each(forge);
        }
        if *self.faults.backwards.lock().unwrap() {
            records.sort_by_key(|record| (std::cmp::Reverse(record.at.partition), record.offset));
        }
        Ok(records)
    }

    fn at_end(&mut self, at: &TopicPartition) -> Result<bool, LogError> {
        self.inner.at_end(&self.faults.real(at))
    }
}

struct FaultyWriter {
    inner: Box<dyn Writer>,
    faults: Arc<Faults>,
}

impl Writer for FaultyWriter {
    fn commit(
        &mut self,
        first: &[OutRecord],
        rest: &mut dyn FnMut(&[Offset]) -> Vec<OutRecord>,
    ) -> Result<Vec<Offset>, CommitError> {
        let faults = Arc::clone(&self.faults);
        faults.gate.pass();
        let mut whole = |offsets: &[Offset]| {
            let follows = rest(offsets);
            faults.tried.lock().unwrap().push([first, &follows].concat());
            follows
        };
        // Of an attempt that fails what follows is told offsets that its records never have.
        let never: Vec<Offset> = (0..first.len() as i64).map(|at| Offset(1_000_000 + at)).collect();
        if *self.faults.away.lock().unwrap() {
            whole(&never);
            return Err(CommitError::Aborted("the broker is away".into()));
        }
        if let Some(refuse) = self.faults.refuse.lock().unwrap().as_ref() {
            let records = [first, &whole(&never)].concat();
            if let Some(index) = records.iter().position(refuse) {
                let topic = records[index].to.topic.to_string();
                return Err(CommitError::Refused { index, topic, reason: "it is not wanted".into() });
            }
        }
        let fault = self.faults.commits.lock().unwrap().pop_front();
        match fault {
            None => self.inner.commit(first, &mut whole),
            Some(Fault::Abort) => {
                whole(&never);
                Err(CommitError::Aborted("as it was told".into()))
            }
            Some(Fault::Later) => {
                let records = [first, &whole(&never)].concat();
                *self.faults.later.lock().unwrap() = records;
                Err(CommitError::InDoubt("it died in the middle".into()))
            }
            Some(Fault::Panic) => panic!("as it was told"),
            Some(Fault::DieBefore) => Err(CommitError::InDoubt("it died before".into())),
            Some(Fault::DieAfter) => {
                self.inner.commit(first, &mut whole)?;
                Err(CommitError::InDoubt("it died after".into()))
            }
            Some(Fault::FencedAfter) => {
                self.inner.commit(first, &mut whole)?;
                Err(CommitError::Fenced("another one has taken over".into()))
            }
        }
    }
}
