//! The loop: it gathers records until an epoch is full, processes and commits it, and answers statements in between.
//!
//! It ends when it is asked to (after a last epoch and a checkpoint), or by an error, which every other thread can see.

use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use api::Record;
use dataflow::RowChanges;
use plan::{SinkId, TableId};
use state::Counted;
use zset::{Epoch, Offset, Partition, TimestampMs};

use crate::ddl::Origin;
use crate::engine::Position;
use crate::group::{Input, Waiting, unfinished};
use crate::outbox::Report;
use crate::source::{Source, Trouble};
use crate::{Engine, EngineError, Phase, Reply, WriteError};

/// The longest the loop sleeps.
const TURN_MAX: Duration = Duration::from_millis(200);

/// An epoch closes when its records have so many bytes of keys and values.
pub(crate) const EPOCH_BYTES_MAX: usize = 64 << 20;
/// The same, however little memory there is.
const EPOCH_BYTES_MIN: usize = 1 << 20;

/// What reaches the loop.
pub(crate) enum Event {
    /// Records of a source table, by a reader that may have been ended since: then another one reads them again.
    Records { table: TableId, records: Vec<Record>, held: Counted, ended: Arc<AtomicBool> },
    /// A source's topic has a partition more, of which nothing was read at a time; its records come later.
    Partition { table: TableId, partition: Partition, from: Offset, seen: Option<TimestampMs> },
    /// There are topics that the pattern of a source matches and that it does not read.
    Topics { table: TableId, topics: Vec<String>, ended: Arc<AtomicBool> },
    /// A topic is back that was not there when a source's reader began.
    Back { table: TableId, ended: Arc<AtomicBool> },
    /// A source cannot go on.
    SourceFailed { table: TableId, trouble: Trouble, ended: Arc<AtomicBool> },
    /// A source has all that a partition had at a time.
    End { table: TableId, partition: Partition, end: Offset, time: TimestampMs, ended: Arc<AtomicBool> },
    /// The process dies.
    #[cfg(test)]
    Crash(String),
    /// Run statements.
    Execute { text: String, reply: Sender<Result<Vec<Reply>, EngineError>> },
    /// Write rows of tables of our own, of each table once.
    Write { changes: Vec<RowChanges>, reply: Sender<Result<Epoch, WriteError>> },
    /// What the target of a sink did.
    Target { sink: SinkId, report: Report },
    /// Make a checkpoint now.
    Checkpoint { reply: Sender<Result<Epoch, EngineError>> },
    /// The commit of an epoch that was on its way is at its end.
    Landed { epoch: Epoch },
}

/// An epoch closes when so many statements wait in it.
const EPOCH_STATEMENTS_MAX: usize = 4096;

/// Records and statements gathered for the next epoch.
#[derive(Default)]
pub(crate) struct Gathered {
    records: Input,
    statements: Vec<Waiting>,
    count: usize,
    bytes: usize,
    /// What its records take.
    held: Vec<Counted>,
    closes: Option<Instant>,
}

impl Gathered {
    fn is_empty(&self) -> bool {
        self.count == 0 && self.statements.is_empty()
    }
}

impl Engine {
    /// Runs until it is asked to stop or fails. The phase says which, before this returns.
    pub fn run(&mut self) -> Result<(), EngineError> {
        self.shared.publish(|published| published.phase = Phase::Serving);
        let workers = self.parts.workers.clone();
        let mut result = workers.run(|| self.turn_until_stopped());
        if let Err(EngineError::Stopped(why)) = &result {
            tracing::warn!("{why}");
            result = if self.ahead { Ok(()) } else { self.checkpoint_now().map(|_| ()) };
        }
        if let (Err(EngineError::InDoubt(why)), true) = (&result, self.shared.stop_asked()) {
            tracing::warn!("{why}");
            result = Ok(());
        }
        self.sources.values().for_each(Source::halt);
        self.sources.clear();
        let phase = match &result {
            Ok(()) => Phase::Stopping,
            Err(EngineError::Fenced(_)) => Phase::Fenced,
            Err(error) => Phase::Failed(error.to_string()),
        };
        self.shared.publish(|published| published.phase = phase);
        self.answer_waiting();
        result
    }

    /// Tells those who came too late that nothing of theirs was begun.
    fn answer_waiting(&self) {
        let stopped = || EngineError::Stopped("the pipeline stopped before the statement began".to_string());
        for event in self.events.try_iter() {
            // Whoever asked may be gone.
            match event {
                Event::Execute { reply, .. } => drop(reply.send(Err(stopped()))),
                Event::Write { reply, .. } => drop(reply.send(Err(stopped().into()))),
                Event::Checkpoint { reply } => drop(reply.send(Err(stopped()))),
                _ => {}
            }
        }
    }

    fn turn_until_stopped(&mut self) -> Result<(), EngineError> {
        let mut gathered = Gathered::default();
        while !self.shared.stop_asked() {
            self.turn(&mut gathered, TURN_MAX)?;
        }
        self.shared.publish(|published| published.phase = Phase::Stopping);
        self.leave(gathered)
    }

    /// One turn: waits at most `wait_max` for an event, and does what is due.
    pub(crate) fn turn(&mut self, gathered: &mut Gathered, wait_max: Duration) -> Result<(), EngineError> {
        self.shared.turn();
        if let Some(why) = self.parts.log.failed() {
            return Err(EngineError::Log(why));
        }
        let now = self.instant();
        let wait = match gathered.closes {
            Some(closes) if !self.is_in_flight() => closes.saturating_duration_since(now).min(wait_max),
            Some(_) => wait_max,
            None if self.releases() => Duration::ZERO,
            None => wait_max,
        };
        match self.events.recv_timeout(wait) {
            Ok(event) => {
                self.handle_event(event, gathered)?;
                self.gather_waiting(gathered)?;
            }
            Err(RecvTimeoutError::Timeout) => self.land_if_over()?,
            Err(RecvTimeoutError::Disconnected) => unreachable!("the engine holds a sender itself"),
        }
        if !gathered.statements.is_empty() || self.is_full(gathered) || self.is_due(gathered) {
            self.epoch(std::mem::take(gathered))?;
        }
        // What follows is of the last committed epoch, and the state is that of the one which is on its way.
        if self.is_in_flight() {
            return Ok(());
        }
        if gathered.is_empty() {
            self.turn_backlogs()?;
        }
        self.turn_beside();
        self.turn_doubts()?;
        self.turn_checkpoint()?;
        self.hold_sources()
    }

    /// What is told and handed out of the last committed epoch.
    pub(crate) fn turn_beside(&mut self) {
        self.turn_detached();
        self.tell_positions(false);
        self.note_ends(false);
    }

    /// While the journal is full, because checkpoints fail, no source is read on: nothing that was read may be nowhere but in topics
    /// that lose it.
    fn hold_sources(&mut self) -> Result<(), EngineError> {
        let full = self.journal.is_full();
        if full && !self.held {
            self.held = true;
            tracing::error!(
                "{} bytes that were read are in no checkpoint, and {} of them not in the journal either: the sources are read on when \
                 there is a checkpoint; the log says why there is none; is the disk full?",
                self.journal.uncovered(),
                self.journal.missed()
            );
            return self.checkpoint_soon();
        }
        if !full && self.held {
            self.held = false;
            tracing::info!("there is a checkpoint again: the sources are read on");
            self.sources.values_mut().for_each(Source::go_on);
        }
        Ok(())
    }

    /// The last epoch and the last checkpoint.
    pub(crate) fn leave(&mut self, mut gathered: Gathered) -> Result<(), EngineError> {
        self.close(&mut gathered)?;
        self.tell_positions(true);
        self.note_ends(true);
        self.parts.faults.reach("stop")?;
        self.checkpoint_now().map(|_| ())
    }

    /// Where memory is scarce an epoch takes a part of it.
    fn epoch_bytes_max(&self) -> usize {
        let share = usize::try_from(self.parts.memory.limit() / 16).unwrap_or(usize::MAX);
        share.clamp(EPOCH_BYTES_MIN, EPOCH_BYTES_MAX)
    }

    fn is_full(&self, gathered: &Gathered) -> bool {
        gathered.count >= self.shared.rows_max()
            || gathered.bytes >= self.epoch_bytes_max()
            || gathered.statements.len() >= EPOCH_STATEMENTS_MAX
    }

    /// Whether it is time for the epoch to close. While another one commits it grows instead: so epochs are as large as the load and the
    /// log make them, and readers are never kept waiting.
    fn is_due(&self, gathered: &Gathered) -> bool {
        !self.is_in_flight() && gathered.closes.is_some_and(|closes| closes <= self.instant())
    }

    /// A statement does not wait for the epoch's interval, but takes along what is there already.
    fn gather_waiting(&mut self, gathered: &mut Gathered) -> Result<(), EngineError> {
        while !gathered.statements.is_empty() && !self.is_full(gathered) {
            let Ok(event) = self.events.try_recv() else { break };
            self.handle_event(event, gathered)?;
        }
        Ok(())
    }

    fn handle_event(&mut self, event: Event, gathered: &mut Gathered) -> Result<(), EngineError> {
        let event = self.land_for(event)?;
        match event {
            Event::Landed { epoch } => self.land_of(epoch),
            Event::Records { table, records, held, ended } => {
                if let Some(source) = self.sources.get_mut(&table).filter(|_| !ended.load(Ordering::SeqCst)) {
                    source.taken(!self.held);
                    gathered.count += records.len();
                    gathered.bytes += self.count_received(table, &records);
                    gathered.held.push(held);
                    match gathered.records.entry(table) {
                        Entry::Vacant(none) => drop(none.insert(records)),
                        Entry::Occupied(mut some) => some.get_mut().extend(records),
                    }
                    gathered.closes.get_or_insert_with(|| self.parts.scheduler.now() + self.config.epoch_interval);
                }
                Ok(())
            }
            Event::Partition { table, partition, from, seen } => {
                if self.sources.contains_key(&table) {
                    if let Entry::Vacant(position) = self.positions.entry((table, partition)) {
                        position.insert(Position::at(from));
                        seen.into_iter().for_each(|time| self.ends.begin(table, partition, time));
                    }
                    self.publish_status();
                }
                Ok(())
            }
            Event::Topics { table, topics, ended } => {
                let over = |engine: &Self| !engine.sources.contains_key(&table) || ended.load(Ordering::SeqCst);
                let topics = if over(self) { Vec::new() } else { self.foreign_topics(table, topics) };
                if topics.is_empty() {
                    return Ok(());
                }
                self.close(gathered)?;
                if over(self) { Ok(()) } else { self.add_topics(table, &topics) }
            }
            Event::Back { table, ended } => {
                let over = |engine: &Self| !engine.sources.contains_key(&table) || ended.load(Ordering::SeqCst);
                if !over(self) {
                    self.close(gathered)?;
                }
                if over(self) { Ok(()) } else { self.come_back(table) }
            }
            Event::SourceFailed { table, trouble, ended } => {
                // What a table that is gone could not read is nobody's trouble, nor one that is halted by what it had read.
                let over = |engine: &Self| !engine.sources.contains_key(&table) || ended.load(Ordering::SeqCst);
                if over(self) {
                    return Ok(());
                }
                self.close(gathered)?;
                if over(self) { Ok(()) } else { self.trouble(table, trouble) }
            }
            Event::End { table, partition, end, time, ended } => {
                if self.sources.contains_key(&table) && !ended.load(Ordering::SeqCst) {
                    self.ends.meet(table, partition, end, time);
                }
                Ok(())
            }
            #[cfg(test)]
            Event::Crash(why) => Err(EngineError::Log(why)),
            Event::Execute { text, reply } => {
                self.close(gathered)?;
                let result = self.execute(&text, Origin::Session);
                let ended = match &result {
                    Ok(_) | Err(EngineError::Statement(_)) => Ok(()),
                    Err(EngineError::Fenced(why)) => Err(EngineError::Fenced(why.clone())),
                    Err(EngineError::Stopped(why)) => Err(EngineError::Stopped(why.clone())),
                    Err(EngineError::InDoubt(why)) => Err(EngineError::InDoubt(why.clone())),
                    Err(error) => Err(EngineError::Log(error.to_string())),
                };
                let result = result.map_err(|error| if self.committing { unfinished(&error, true) } else { error });
                // Whoever asked may be gone; the statement is committed all the same.
                let _ = reply.send(result);
                ended
            }
            Event::Write { changes, reply } => {
                gathered.statements.push(Waiting { changes, reply });
                Ok(())
            }
            Event::Target { sink, report } => {
                self.hear(sink, report);
                Ok(())
            }
            Event::Checkpoint { reply } => {
                let _ = reply.send(self.checkpoint_now());
                Ok(())
            }
        }
    }

    /// Waits for the commit that is on its way, if what came is not for the next epoch.
    fn land_for(&mut self, event: Event) -> Result<Event, EngineError> {
        #[cfg(test)]
        if matches!(event, Event::Crash(_)) {
            return Ok(event);
        }
        if matches!(event, Event::Records { .. } | Event::End { .. } | Event::Write { .. } | Event::Landed { .. }) {
            return Ok(event);
        }
        let Err(error) = self.land() else { return Ok(event) };
        // Whoever asked may be gone.
        match event {
            Event::Execute { reply, .. } => drop(reply.send(Err(unfinished(&error, false)))),
            Event::Checkpoint { reply } => drop(reply.send(Err(unfinished(&error, false)))),
            _ => {}
        }
        Err(error)
    }

    /// Ends the epoch that is gathered, and waits for its commit.
    fn close(&mut self, gathered: &mut Gathered) -> Result<(), EngineError> {
        if !gathered.is_empty() {
            self.epoch(std::mem::take(gathered))?;
        }
        self.land()
    }

    fn epoch(&mut self, gathered: Gathered) -> Result<(), EngineError> {
        self.group(gathered.records, gathered.statements)
    }

    /// Counts records of a source; answers their bytes.
    fn count_received(&self, table: TableId, records: &[Record]) -> usize {
        let Some(table) = self.tables.get(&table) else { return 0 };
        let mut all = 0;
        for of_partition in records.chunk_by(|a, b| a.at.partition == b.at.partition) {
            let bytes = of_partition.iter().map(bytes_of).sum::<usize>();
            let metrics = &self.shared.metrics;
            metrics.received(&table.def.name, &of_partition[0].at, of_partition.len() as u64, bytes as u64);
            all += bytes;
        }
        all
    }

    /// Makes a checkpoint of the last committed epoch, unless there is one, and answers its epoch.
    pub(crate) fn checkpoint_now(&mut self) -> Result<Epoch, EngineError> {
        self.land()?;
        self.finish_checkpoint(true)?;
        self.start_checkpoint()?;
        self.finish_checkpoint(true)?;
        Ok(self.last_checkpoint.0)
    }
}

/// The bytes of a record's key and value.
pub(crate) fn bytes_of(record: &Record) -> usize {
    record.key.as_ref().map_or(0, bytes::Bytes::len) + record.value.as_ref().map_or(0, bytes::Bytes::len)
}
