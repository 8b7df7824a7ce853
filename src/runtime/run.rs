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

/// What reaches the loop.
pub(crate) enum Event {
    /// Records of a source table, by a reader that may have been ended since: then another one reads them again.
    Records { table: TableId, records: Vec<Record>, ended: Arc<AtomicBool> },
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
        let mut result = self.turn_until_stopped();
        if let Err(EngineError::Stopped(why)) = &result {
            tracing::warn!("{why}");
            result = self.checkpoint_now().map(|_| ());
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
        self.shared.publish(|published| published.turned = Instant::now());
        if let Some(why) = self.parts.log.failed() {
            return Err(EngineError::Log(why));
        }
        let now = self.instant();
        let wait = match gathered.closes {
            Some(closes) => closes.saturating_duration_since(now).min(wait_max),
            None if self.releases() => Duration::ZERO,
            None => wait_max,
        };
        match self.events.recv_timeout(wait) {
            Ok(event) => {
                self.handle_event(event, gathered)?;
                self.gather_waiting(gathered)?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => unreachable!("the engine holds a sender itself"),
        }
        let now = !gathered.statements.is_empty() || self.is_full(gathered);
        if now || gathered.closes.is_some_and(|closes| closes <= self.instant()) {
            self.epoch(std::mem::take(gathered))?;
        }
        if gathered.is_empty() {
            self.turn_backlogs()?;
        }
        self.turn_detached();
        self.tell_positions(false);
        self.turn_doubts()?;
        self.note_ends(false);
        self.finish_checkpoint(false)?;
        if self.instant().saturating_duration_since(self.last_checkpoint.1) >= self.config.checkpoint_interval {
            self.start_checkpoint()?;
        }
        self.hold_sources()
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
    pub(crate) fn leave(&mut self, gathered: Gathered) -> Result<(), EngineError> {
        if !gathered.is_empty() {
            self.epoch(gathered)?;
        }
        self.tell_positions(true);
        self.note_ends(true);
        self.parts.faults.reach("stop")?;
        self.checkpoint_now().map(|_| ())
    }

    fn is_full(&self, gathered: &Gathered) -> bool {
        gathered.count >= self.config.epoch_rows_max
            || gathered.bytes >= EPOCH_BYTES_MAX
            || gathered.statements.len() >= EPOCH_STATEMENTS_MAX
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
        match event {
            Event::Records { table, records, ended } => {
                if let Some(source) = self.sources.get_mut(&table).filter(|_| !ended.load(Ordering::SeqCst)) {
                    source.taken(!self.held);
                    gathered.count += records.len();
                    gathered.bytes += self.count_received(table, &records);
                    gathered.records.entry(table).or_default().extend(records);
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
                if !gathered.is_empty() {
                    self.epoch(std::mem::take(gathered))?;
                }
                if over(self) { Ok(()) } else { self.add_topics(table, &topics) }
            }
            Event::Back { table, ended } => {
                let over = |engine: &Self| !engine.sources.contains_key(&table) || ended.load(Ordering::SeqCst);
                if !over(self) && !gathered.is_empty() {
                    self.epoch(std::mem::take(gathered))?;
                }
                if over(self) { Ok(()) } else { self.come_back(table) }
            }
            Event::SourceFailed { table, trouble, ended } => {
                // What a table that is gone could not read is nobody's trouble, nor one that is halted by what it had read.
                let over = |engine: &Self| !engine.sources.contains_key(&table) || ended.load(Ordering::SeqCst);
                if over(self) {
                    return Ok(());
                }
                if !gathered.is_empty() {
                    self.epoch(std::mem::take(gathered))?;
                }
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
                if !gathered.is_empty() {
                    self.epoch(std::mem::take(gathered))?;
                }
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
        self.finish_checkpoint(true)?;
        self.start_checkpoint()?;
        self.finish_checkpoint(true)?;
        Ok(self.last_checkpoint.0)
    }
}

fn bytes_of(record: &Record) -> usize {
    record.key.as_ref().map_or(0, bytes::Bytes::len) + record.value.as_ref().map_or(0, bytes::Bytes::len)
}
