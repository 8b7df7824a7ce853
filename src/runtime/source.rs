//! One source table's reader: work beside the loop that polls its partitions and hands records to the loop, never more than two
//! batches ahead of it, so that a producer faster than we are fills the log and not our memory. Partitions that the topic
//! gets later are read from their first record on.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use api::{Bell, Bounds, LogError, Reader, Record, TopicPartition};
use plan::TableId;
use state::{Budget, Part};
use zset::{Offset, Partition, TimestampMs};

use crate::feed::Feed;
use crate::mend::{Deletes, Look};
use crate::run::{Event, bytes_of};
use crate::scheduler::{STEP_WAIT, Scheduler, Steps, Task};
use crate::{EngineError, Shared};

/// Records asked for at once: half an epoch's at most, for an epoch takes whole polls and is full with the one that fills it.
const POLL_RECORDS: RangeInclusive<usize> = 512..=16 * 1024;
/// How often the ends of the partitions are looked at, for the lag.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether there are more partitions. Where topics are to be found, or some are gone, it is looked as often as
/// at the ends.
const LOOK_AROUND_EVERY: Duration = Duration::from_secs(10);
/// Batches it may be ahead of the loop.
const CREDITS: usize = 2;

/// A running reader. Dropping it ends the work, and waits for that.
pub(crate) struct Source {
    credits: Sender<()>,
    /// Credits that are held back.
    owed: usize,
    stop: Arc<AtomicBool>,
    /// What ends a wait for records.
    bell: Option<Bell>,
    task: Option<Box<dyn Task>>,
}

/// Why a source cannot be read on.
pub(crate) enum Trouble {
    /// The log refuses.
    Log(LogError),
    /// Deletes may have been compacted away before they were read: what and where.
    Deletes(String),
}

struct Worker {
    /// How long it may wait, if it can be woken.
    wait_max: Option<Duration>,
    table: TableId,
    name: String,
    feed: Feed,
    /// Those that are read.
    partitions: BTreeSet<Partition>,
    /// Where those stand that were gone when this began. One that comes back is read on from there.
    gone: BTreeMap<Partition, Offset>,
    /// The offset after the last record that was read.
    read: BTreeMap<Partition, Offset>,
    /// Why one of those cannot be read on.
    broken: Option<Trouble>,
    /// What is known of the deletes of compacted topics, where a delete is known by its key.
    deletes: Option<Deletes>,
    reader: Box<dyn Reader>,
    look_at: Instant,
    look_around_at: Instant,
    /// Whether it was told that the log does not answer.
    waits: bool,
    events: Sender<Event>,
    credits: Receiver<()>,
    /// Whether it has a credit in hand.
    may_poll: bool,
    stop: Arc<AtomicBool>,
    scheduler: Arc<dyn Scheduler>,
    shared: Arc<Shared>,
    memory: Arc<Budget>,
}

impl Source {
    /// Starts to read a table's topic, each partition from its offset; some of those in `absent` may not be there.
    pub fn start(
        (table, name): (TableId, &str),
        (feed, deletes): (Feed, Option<Deletes>),
        (from, absent): (&BTreeMap<Partition, Offset>, &BTreeSet<Partition>),
        events: &Sender<Event>,
        (shared, scheduler, memory): (&Arc<Shared>, &Arc<dyn Scheduler>, &Arc<Budget>),
    ) -> Result<Self, EngineError> {
        let mut reader = feed.lasting_reader()?;
        let mut gone = from.clone();
        let go = feed.transport.partitions_go();
        gone.retain(|partition, _| go || absent.contains(partition));
        if !gone.is_empty() {
            let there = feed.partitions()?;
            gone.retain(|partition, _| !there.contains(partition));
        }
        let there = from.iter().filter(|(partition, _)| !gone.contains_key(partition));
        for (partition, offset) in there.clone() {
            reader.assign(&feed.at(*partition), *offset)?;
        }
        let partitions = there.map(|(partition, _)| *partition).collect();
        let (credits, credits_out) = channel();
        for _ in 0..CREDITS {
            credits.send(()).expect("the receiver is here");
        }
        let stop = Arc::new(AtomicBool::new(false));
        let bell = reader.bell();
        let worker = Worker {
            wait_max: bell.as_ref().map(|_| LOOK_EVERY),
            table,
            name: name.to_string(),
            feed,
            partitions,
            gone,
            read: from.clone(),
            broken: None,
            deletes,
            reader,
            look_at: scheduler.now(),
            look_around_at: scheduler.now(),
            waits: false,
            events: events.clone(),
            credits: credits_out,
            may_poll: false,
            stop: Arc::clone(&stop),
            scheduler: Arc::clone(scheduler),
            shared: Arc::clone(shared),
            memory: Arc::clone(memory),
        };
        let task = scheduler
            .begin(&format!("source-{name}"), Box::new(worker))
            .map_err(|error| EngineError::Log(format!("cannot start a thread for source {name}: {error}")))?;
        Ok(Self { credits, owed: 0, stop, bell, task: Some(task) })
    }

    /// Asks it to end; dropping waits for that.
    pub fn halt(&self) {
        self.stop.store(true, Ordering::SeqCst);
        // It may wait for either.
        if let Some(bell) = &self.bell {
            bell();
            let _ = self.credits.send(());
        }
    }

    /// The loop has taken a batch. The next one is to be read, or waits for [`Source::go_on`].
    pub fn taken(&mut self, go_on: bool) {
        self.owed += 1;
        if go_on {
            self.go_on();
        }
    }

    /// Reads on.
    pub fn go_on(&mut self) {
        for _ in 0..std::mem::take(&mut self.owed) {
            // It may have ended by an error, which it has reported.
            let _ = self.credits.send(());
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.halt();
        if let Some(task) = self.task.take() {
            task.join();
        }
    }
}

impl Steps for Worker {
    fn step(&mut self, wait: Duration) -> bool {
        if self.stopped() {
            return false;
        }
        self.look();
        // Looking may have taken what was to wake it.
        if self.has_failed() || self.stopped() {
            return false;
        }
        if !self.may_poll {
            match self.credits.recv_timeout(wait) {
                Ok(()) => self.may_poll = true,
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        self.poll(wait)
    }

    fn wait_max(&self) -> Duration {
        self.wait_max.unwrap_or(STEP_WAIT)
    }
}

impl Worker {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Polls once, and hands over what came. False: it is over.
    fn poll(&mut self, wait: Duration) -> bool {
        let records_max = (self.shared.rows_max() / 2).clamp(*POLL_RECORDS.start(), *POLL_RECORDS.end());
        match self.reader.poll(records_max, wait) {
            Ok(records) => {
                self.waits = false;
                for run in records.chunk_by(|a, b| a.at.partition == b.at.partition) {
                    let last = &run[run.len() - 1];
                    self.read.insert(last.at.partition, Offset(last.offset.0 + 1));
                }
                if records.is_empty() {
                    return true;
                }
                self.may_poll = false;
                let ended = Arc::clone(&self.stop);
                let bytes = records.iter().map(|record| size_of::<Record>() + bytes_of(record)).sum::<usize>();
                let held = self.memory.count(Part::Input, bytes as u64);
                self.events.send(Event::Records { table: self.table, records, held, ended }).is_ok()
            }
            Err(LogError::Retriable(reason)) => {
                if !std::mem::replace(&mut self.waits, true) {
                    tracing::warn!(table = %self.name, "source waits: {reason}");
                }
                self.scheduler.sleep(wait.min(STEP_WAIT));
                true
            }
            Err(error) => {
                self.fail(Trouble::Log(error));
                false
            }
        }
    }

    fn fail(&self, trouble: Trouble) {
        let ended = Arc::clone(&self.stop);
        let _ = self.events.send(Event::SourceFailed { table: self.table, trouble, ended });
    }

    /// Whether looking found what ends the reading.
    fn has_failed(&mut self) -> bool {
        let Some(trouble) = self.broken.take() else { return false };
        self.fail(trouble);
        true
    }

    /// Looks at the topic from time to time. What it does not answer now it answers the next time.
    fn look(&mut self) {
        if self.scheduler.now() < self.look_at {
            return;
        }
        if let Err(error) = self.look_around().and_then(|()| self.look_at_ends()) {
            tracing::debug!(table = %self.name, "cannot look at the source's topic: {error}");
        }
        self.look_at = self.scheduler.now() + LOOK_EVERY;
    }

    fn look_around(&mut self) -> Result<(), LogError> {
        let often = self.feed.finds_topics() || !self.gone.is_empty();
        if !often && self.scheduler.now() < self.look_around_at {
            return Ok(());
        }
        self.look_for_partitions().and_then(|()| self.look_for_topics())?;
        self.look_around_at = self.scheduler.now() + LOOK_AROUND_EVERY;
        Ok(())
    }

    fn look_for_partitions(&mut self) -> Result<(), LogError> {
        for partition in self.feed.partitions()? {
            if self.partitions.contains(&partition) {
                continue;
            }
            let at = self.at(partition);
            self.look_at_keeping(partition);
            let seen = self.deletes.as_ref().map(Deletes::now);
            let back = self.gone.get(&partition).copied();
            if back.is_some() && !self.feed.transport.partitions_go() {
                // Whether it is the topic that was read is for the loop to see, which begins another reader then.
                let ended = Arc::clone(&self.stop);
                let _ = self.events.send(Event::Back { table: self.table, ended });
                continue;
            }
            let from = match back {
                Some(from) => from,
                None => self.feed.transport.bounds(&at)?.low,
            };
            match self.reader.assign(&at, from) {
                Err(error @ LogError::OutOfRange { .. }) if back.is_some() => {
                    self.broken = Some(Trouble::Log(error));
                    return Ok(());
                }
                assigned => assigned?,
            }
            self.gone.remove(&partition);
            self.partitions.insert(partition);
            self.read.insert(partition, from);
            let news = if back.is_some() { "its partition back" } else { "a new partition" };
            tracing::info!(table = %self.name, %partition, "topic {} has {news}", at.topic);
            // Before its first records: the loop knows from where they are.
            let _ = self.events.send(Event::Partition { table: self.table, partition, from, seen });
        }
        Ok(())
    }

    /// A topic that was gone when this began may be compacted. What it does not answer the next start asks.
    fn look_at_keeping(&mut self, partition: Partition) {
        let Some(deletes) = self.deletes.as_mut().filter(|deletes| !deletes.knows(partition)) else { return };
        match self.feed.keeping(partition.place()) {
            Ok(keeping) => deletes.learn(partition, keeping),
            Err(error) => tracing::debug!(table = %self.name, %partition, "cannot see what its topic keeps: {error}"),
        }
    }

    /// Which of them are read is for the loop to say, which begins another reader then.
    fn look_for_topics(&mut self) -> Result<(), LogError> {
        let topics = self.feed.found_topics()?;
        if !topics.is_empty() {
            let ended = Arc::clone(&self.stop);
            let _ = self.events.send(Event::Topics { table: self.table, topics, ended });
        }
        Ok(())
    }

    /// For the eye only. Behind the last record there may be marks of transactions, which nobody reads: who has met the end
    /// lags by what is not in the tables yet.
    fn look_at_ends(&mut self) -> Result<(), LogError> {
        for partition in self.partitions.clone() {
            if self.stopped() {
                return Ok(());
            }
            let at = self.at(partition);
            let now = self.deletes.as_ref().and_then(|deletes| deletes.begin_look(partition));
            let read = self.read.get(&partition).copied();
            let (bounds, ago) = match self.look_at_bounds(&at, read) {
                Err(_) if self.feed.transport.partitions_go() => continue,
                seen => seen?,
            };
            let now = now.map(|now| TimestampMs(now.0 - ago.as_nanos().div_ceil(1_000_000) as i64));
            // Behind the last record there may be nothing to read. To find that out is to ask the log again.
            let met = read.is_some_and(|read| bounds.high <= read) || matches!(self.reader.at_end(&at), Ok(true));
            self.judge(&at, bounds, now, met);
            let end = read.filter(|_| met).unwrap_or(bounds.high);
            let key = (self.name.clone(), at.topic.to_string(), at.partition);
            self.shared.publish(|published| {
                if let Some(status) = published.sources.get_mut(&key) {
                    status.end = end;
                }
            });
        }
        Ok(())
    }

    /// What a partition holds, and how long ago that was. What has been read since is behind the end of then: it is asked anew.
    fn look_at_bounds(&self, at: &TopicPartition, read: Option<Offset>) -> Result<(Bounds, Duration), LogError> {
        let (bounds, ago) = self.feed.transport.bounds_seen(at, LOOK_EVERY)?;
        if !ago.is_zero() && read.is_some_and(|read| bounds.high < read) {
            return Ok((self.feed.transport.bounds(at)?, Duration::ZERO));
        }
        Ok((bounds, ago))
    }

    /// Whether a partition still goes on from where it was read, and its deletes were read in time.
    fn judge(&mut self, at: &TopicPartition, bounds: Bounds, now: Option<TimestampMs>, met: bool) {
        let Some(read) = self.read.get(&at.partition).copied() else { return };
        if bounds.high < read {
            let (topic, partition) = (at.topic.to_string(), at.partition);
            let (low, high) = (bounds.low, bounds.high);
            self.broken = Some(Trouble::Log(LogError::OutOfRange { topic, partition, offset: read, low, high }));
            return;
        }
        let (Some(deletes), Some(now)) = (&mut self.deletes, now) else { return };
        match deletes.look(at.partition, now, (bounds.high, read), met) {
            Look::Same => {}
            Look::End(end, time) => {
                let ended = Arc::clone(&self.stop);
                let (table, partition) = (self.table, at.partition);
                let _ = self.events.send(Event::End { table, partition, end, time, ended });
            }
            Look::Missed { unseen_ms, kept_ms } => {
                self.broken = Some(Trouble::Deletes(format!(
                    "{} is compacted, and may have lost deletes that were not read yet, from offset {read} on: it was last read \
                     to its end {} s ago, and keeps a tombstone for {kept_ms} ms (delete.retention.ms)",
                    self.feed.transport.place(at),
                    unseen_ms / 1000
                )));
            }
        }
    }

    fn at(&self, partition: Partition) -> TopicPartition {
        self.feed.at(partition)
    }
}
