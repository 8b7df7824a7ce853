//! One source table's reader: a thread that polls its partitions and hands records to the loop, never more than two
//! batches ahead of it, so that a producer faster than we are fills the log and not our memory. Partitions that the topic
//! gets later are read from their first record on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use api::{LogError, Reader, TopicPartition};
use plan::TableId;
use zset::{Offset, Partition};

use crate::feed::Feed;
use crate::run::Event;
use crate::{EngineError, Shared};

/// Records asked for at once.
const POLL_RECORDS_MAX: usize = 16 * 1024;
/// How long a poll waits for the first record.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// How often the ends of the partitions are looked at, for the lag, and whether there are more partitions.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Batches the thread may be ahead of the loop.
const CREDITS: usize = 2;

/// A running reader. Dropping it stops the thread.
pub(crate) struct Source {
    credits: Sender<()>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Worker {
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
    broken: Option<LogError>,
    reader: Box<dyn Reader>,
    look_at: Instant,
    /// Whether it was told that the log does not answer.
    waits: bool,
    events: Sender<Event>,
    credits: Receiver<()>,
    stop: Arc<AtomicBool>,
    shared: Arc<Shared>,
}

impl Source {
    /// Starts to read a table's topic, each partition from its offset.
    pub fn start(
        (table, name): (TableId, &str),
        feed: Feed,
        from: &BTreeMap<Partition, Offset>,
        events: &Sender<Event>,
        shared: &Arc<Shared>,
    ) -> Result<Self, EngineError> {
        let mut reader = feed.reader()?;
        let mut gone = from.clone();
        if feed.transport.partitions_go() {
            let there = feed.partitions()?;
            gone.retain(|partition, _| !there.contains(partition));
        } else {
            gone.clear();
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
        let worker = Worker {
            table,
            name: name.to_string(),
            feed,
            partitions,
            gone,
            read: from.clone(),
            broken: None,
            reader,
            look_at: Instant::now(),
            waits: false,
            events: events.clone(),
            credits: credits_out,
            stop: Arc::clone(&stop),
            shared: Arc::clone(shared),
        };
        let thread = std::thread::Builder::new()
            .name(format!("source-{name}"))
            .spawn(move || worker.run())
            .map_err(|error| EngineError::Log(format!("cannot start a thread for source {name}: {error}")))?;
        Ok(Self { credits, stop, thread: Some(thread) })
    }

    /// Asks the thread to end; dropping waits for it.
    pub fn halt(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// The loop has taken a batch.
    pub fn taken(&self) {
        // The thread may have ended by an error, which it has reported.
        let _ = self.credits.send(());
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.halt();
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by its own message; here it must not become a second one.
            let _ = thread.join();
        }
    }
}

impl Worker {
    fn run(mut self) {
        while !self.stopped() {
            self.look();
            if self.has_failed() {
                return;
            }
            match self.credits.recv_timeout(POLL_WAIT) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if !self.poll_until_some() {
                return;
            }
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Polls until there are records, and hands them over. False: it is over.
    fn poll_until_some(&mut self) -> bool {
        while !self.stopped() {
            match self.reader.poll(POLL_RECORDS_MAX, POLL_WAIT) {
                Ok(records) => {
                    self.waits = false;
                    for record in &records {
                        self.read.insert(record.at.partition, Offset(record.offset.0 + 1));
                    }
                    if !records.is_empty() {
                        return self.events.send(Event::Records { table: self.table, records }).is_ok();
                    }
                    self.look();
                    if self.has_failed() {
                        return false;
                    }
                }
                Err(LogError::Retriable(reason)) => {
                    if !std::mem::replace(&mut self.waits, true) {
                        tracing::warn!(table = %self.name, "source waits: {reason}");
                    }
                    std::thread::sleep(POLL_WAIT);
                }
                Err(error) => {
                    self.fail(&error);
                    return false;
                }
            }
        }
        false
    }

    fn fail(&self, error: &LogError) {
        let message = format!("cannot go on reading source {}: {error}", self.name);
        let _ = self.events.send(Event::SourceFailed { table: self.table, message });
    }

    /// Whether looking found what ends the reading.
    fn has_failed(&self) -> bool {
        self.broken.iter().for_each(|error| self.fail(error));
        self.broken.is_some()
    }

    /// Looks at the topic from time to time. What it does not answer now it answers the next time.
    fn look(&mut self) {
        if Instant::now() < self.look_at {
            return;
        }
        if let Err(error) = self.look_for_partitions().and_then(|()| self.look_at_ends()) {
            tracing::debug!(table = %self.name, "cannot look at the source's topic: {error}");
        }
        self.look_at = Instant::now() + LOOK_EVERY;
    }

    fn look_for_partitions(&mut self) -> Result<(), LogError> {
        for partition in self.feed.partitions()? {
            if self.partitions.contains(&partition) {
                continue;
            }
            let at = self.at(partition);
            let back = self.gone.get(&partition).copied();
            let from = match back {
                Some(from) => from,
                None => self.feed.transport.bounds(&at)?.low,
            };
            match self.reader.assign(&at, from) {
                Err(error @ LogError::OutOfRange { .. }) if back.is_some() => {
                    self.broken = Some(error);
                    return Ok(());
                }
                assigned => assigned?,
            }
            self.gone.remove(&partition);
            self.partitions.insert(partition);
            self.read.insert(partition, from);
            let news = if back.is_some() { "its partition back" } else { "a new partition" };
            tracing::info!(table = %self.name, %partition, "topic {} has {news}", self.feed.topic);
            // Before its first records: the loop knows from where they are.
            let _ = self.events.send(Event::Partition { table: self.table, partition, from });
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
            let met = matches!(self.reader.at_end(&at), Ok(true));
            let end = match (self.read.get(&partition), self.feed.transport.bounds(&at)) {
                (Some(read), Ok(_)) if met => *read,
                (_, Err(_)) if self.feed.transport.partitions_go() => continue,
                (_, bounds) => bounds?.high,
            };
            let key = (self.name.clone(), at.topic.to_string(), at.partition);
            self.shared.publish(|published| {
                if let Some(status) = published.sources.get_mut(&key) {
                    status.end = end;
                }
            });
        }
        Ok(())
    }

    fn at(&self, partition: Partition) -> TopicPartition {
        self.feed.at(partition)
    }
}
